/* SPDX-License-Identifier: Apache-2.0 */
/* Merged listings as union/ keeps them, and what is known of their names beforehand. */
#ifndef PLYFS_UNION_LISTING_H
#define PLYFS_UNION_LISTING_H

#include <time.h>

#include "union/private.h"

/* So long, at least, a listing is kept that nobody uses and nobody has read to its end. */
#define LISTING_SECONDS 5

/* The clock that this is counted by. */
static inline time_t listing_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return now.tv_sec;
}

/* What a look-up of a name (no directory, no metacopy) found. */
struct listing_known {
	atomic_bool ready; /* set last */
	uint32_t part;
	struct attr attr;
};

/*
 * Room for what is known of the names of LIST, which the caller uses; NULL: there is already, or no
 * memory. It lives as long as the listing. One thread fills it.
 */
struct listing_known *listing_make_known(struct union_dir *dir, const struct union_list *list);
void listing_know(struct listing_known *k, const struct union_ref *ref);
/* What is known of NAME, or NULL. */
const struct listing_known *listing_find_known(const struct union_list *list,
					       const struct union_name *name);

/*
 * What a listing says of a look-up of NAME. HAS: it is there; RET_LIST is in use, until
 * listing_put(). HAS_NOT: it is not there, in no layer. SILENT: the layers are to be asked.
 */
enum listing_says { LISTING_SILENT, LISTING_HAS, LISTING_HAS_NOT };
enum listing_says listing_ask(struct union_dir *dir, const char *name,
			      const struct union_list **ret_list,
			      const struct union_name **ret_name);
void listing_put(struct union_dir *dir);

/* Is there as much read ahead of walks as should be? */
bool listings_full(struct stack *s);

#endif
