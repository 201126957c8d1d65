/* SPDX-License-Identifier: Apache-2.0 */
/* Owners on disk and owners shown: uidmapping=, gidmapping= and the squash options. */
#ifndef PLYFS_ATTR_IDMAP_H
#define PLYFS_ATTR_IDMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct idmap_range {
	uint32_t disk;	/* first id as stored */
	uint32_t shown; /* first id as the mount shows it */
	uint32_t len;
};

/*
 * What is told the kernel of an owner that has no id here, and what is stored of one that nobody knows. Who asks it sees the
 * overflow id, but nobody is that owner. Were it the overflow id itself, he who has that (nobody, 65534) would be.
 */
#define ID_UNMAPPED UINT32_MAX

/* No ranges: every id is shown as it is. With ranges: an id outside them is ID_UNMAPPED. */
struct idmap {
	struct idmap_range *ranges; /* owned */
	size_t n;
	bool squash; /* show squash_id for everything */
	uint32_t squash_id;
};

/*
 * Parses colon triples "disk:shown:len[:...]". Empty fields (a leading, trailing or doubled colon)
 * are skipped, as containers/storage writes ":0:1000:1". Refused with -EINVAL and a sentence:
 * anything that is not a number, a count that is not a multiple of three, a length of 0, a range
 * that overflows 32 bits, overlapping ranges (on either side). OPTION names the option in
 * messages. RET_MAP's squash fields are left alone; its old ranges are freed.
 */
int idmap_parse(const char *text, const char *option, struct idmap *ret_map, struct err *err);
void idmap_done(struct idmap *m);

DEFINE_CLEANUP(struct idmap, idmap, idmap_done)

/* The id to show for a stored one. Never fails. */
uint32_t idmap_to_shown(const struct idmap *m, uint32_t disk);
/* The id to store for a shown one; -EOVERFLOW (as the kernel says) when no range holds it. */
int idmap_to_disk(const struct idmap *m, uint32_t shown, uint32_t *ret_disk);
/*
 * The id to store for what the one with the id SHOWN makes: as above. But the root whom no range holds is an engine that sets a
 * container up, and what he makes is the container's root's, if there is one.
 */
int idmap_owner(const struct idmap *m, uint32_t shown, uint32_t *ret_disk);

/* What the kernel shows for ids that it cannot: /proc/sys/kernel/overflow{u,g}id, 65534 where that cannot be read. */
void idmap_overflow_ids(uint32_t *ret_uid, uint32_t *ret_gid);

#endif
