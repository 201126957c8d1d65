/* SPDX-License-Identifier: Apache-2.0 */
/* Walking whole tables, for those who check or copy a catalog. */
#ifndef PLYFS_CATALOG_WALK_H
#define PLYFS_CATALOG_WALK_H

#include <stddef.h>
#include <stdint.h>

#include "catalog/format.h"

struct catalog;

/* A record as it lies in its table: format.h describes it, and it may be damaged. */
struct catalog_raw {
	const uint8_t *key, *value; /* until EACH returns */
	size_t key_len, value_len;
};

/*
 * Calls EACH for the records of TABLE in the order of their keys. An error of EACH ends the walk and is
 * returned. EACH may read and commit; what it commits may or may not be seen by the walk. The
 * owner's walk waits for the disk, as it makes a checkpoint first. 0, -EIO, -ENOMEM.
 */
int catalog_walk(struct catalog *c, enum catalog_table table,
		 int (*each)(void *arg, const struct catalog_raw *raw), void *arg);
/* The same without a checkpoint: of what is in the tables, whatever later changes say of it. */
int catalog_walk_tables(struct catalog *c, enum catalog_table table,
			int (*each)(void *arg, const struct catalog_raw *raw), void *arg);

#endif
