/* SPDX-License-Identifier: Apache-2.0 */
/* What several tests of attr/ need: random numbers, and ACLs made of them. */
#ifndef PLYFS_TESTS_ATTR_FIXTURE_H
#define PLYFS_TESTS_ATTR_FIXTURE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* A repeatable sequence; the seed is printed, so that a failure can be run again. */
struct rng {
	uint64_t state;
};
struct rng rng_seeded(uint64_t seed);
uint64_t rng_next(struct rng *g);
/* A number below N. */
uint32_t rng_below(struct rng *g, uint32_t n);

/* The tags and permissions of ACL entries, as acl(5) writes them in xattrs. */
enum {
	USER_OBJ = 1,
	USER = 2,
	GROUP_OBJ = 4,
	GROUP = 8,
	MASK = 16,
	OTHER = 32,
};
#define NO_ID UINT32_MAX

/* Begins an ACL, and appends an entry to one. */
void acl_begin(struct buf *b);
void acl_add(struct buf *b, uint16_t tag, uint16_t perm, uint32_t id);

/* A well-formed ACL with ids below 1000. */
void acl_random(struct rng *g, struct buf *b);
/* Changes one field or adds, drops or doubles an entry; the result is often no longer well-formed. */
void acl_disturb(struct rng *g, struct buf *b);

#endif
