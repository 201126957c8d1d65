/* SPDX-License-Identifier: Apache-2.0 */
/* The checksum of an index. */
#ifndef PLYFS_CATALOG_INDEX_SUM_H
#define PLYFS_CATALOG_INDEX_SUM_H

#include <stdint.h>

#include "base/hash.h"

/* XXH3-128 of the first SIZE bytes of FD; -EUCLEAN when there are fewer. */
int index_sum(int fd, uint64_t size, struct hash128 *ret_sum);

#endif
