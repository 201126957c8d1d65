/* SPDX-License-Identifier: Apache-2.0 */
/* Decoded spans of all blobs of this process, those used last. Any thread. */
#ifndef PLYFS_IMAGE_SPANCACHE_H
#define PLYFS_IMAGE_SPANCACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct span;

/* Makes the LEN bytes of the span K of OWNER; 0 or -errno. */
typedef int span_make_fn(void *owner, size_t k, uint8_t *bytes);

/*
 * The span K of OWNER, LEN bytes, made by MAKE when it is not there. Who asks while it is made
 * waits; a failure is given to all of them and not kept. The span stays until spancache_put().
 */
int spancache_get(void *owner, size_t k, size_t len, span_make_fn *make, struct span **ret_span);
const uint8_t *span_bytes(const struct span *s);
void spancache_put(struct span *s);

/* Whether the span is there or being made. */
bool spancache_has(void *owner, size_t k);

/* Forgets the spans of OWNER, of which none is in use. */
void spancache_drop(void *owner);

/* How many bytes are kept while nobody uses them. */
void spancache_keep(uint64_t bytes);

#endif
