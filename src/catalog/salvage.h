/* SPDX-License-Identifier: Apache-2.0 */
/* Reading what can be read of a damaged catalog, without LMDB. */
#ifndef PLYFS_CATALOG_SALVAGE_H
#define PLYFS_CATALOG_SALVAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "catalog/format.h"

struct catalog;

struct salvage_counts {
	uint64_t pages;		    /* of the file */
	uint64_t bad_pages;	    /* met, and not what they should be, or not readable */
	uint64_t records[N_TABLES]; /* taken from trees that could be walked */
	uint64_t older;		    /* taken from pages of older states, to fill gaps */
	uint64_t changes;	    /* records of the journals that were applied */
	uint64_t lost_changes; /* places in the journals where something is missing, at least */
	bool complete;	       /* nothing is missing */
};

/*
 * Copies into INTO, which is empty and open for writing, the records of the catalog in DIRFD: those
 * of the newest state that can be reached; where parts of its trees cannot be read, those of older
 * states and of pages that no tree leads to; and the changes in the journals. So names that were
 * deleted may come back, if there was damage. INTO may then hold any nonsense that the format can
 * spell. STEP (may be NULL) is called now and then; its error ends the work. Total: any bytes are
 * read in bounded time. 0; -ENOENT: there is nothing; -errno of INTO.
 */
int catalog_salvage(int dirfd, struct catalog *into, int (*step)(void *arg), void *arg,
		    struct salvage_counts *ret_counts, struct err *err);

#endif
