/* SPDX-License-Identifier: Apache-2.0 */
/* Which of the kernel's offers are taken. */
#ifndef PLYFS_FRONT_NEGOTIATE_H
#define PLYFS_FRONT_NEGOTIATE_H

#include <stdbool.h>
#include <stdint.h>

#include "front/options.h"

/*
 * The FUSE_CAP_* bits to ask for: a subset of CAPABLE, which the kernel and libfuse offer. READ_ONLY: of a
 * file system that cannot be changed.
 */
uint64_t negotiate_want(const struct front_options *o, bool read_only, uint64_t capable);

#endif
