/* SPDX-License-Identifier: Apache-2.0 */
/* Mending records of the journal whose data files a power cut has taken. */
#include "data/replayed.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "catalog/catalog.h"
#include "data/files.h"
#include "data/inoset.h"

struct mending {
	struct catalog *catalog;
	struct batch *fixes;
	struct data_names names;
	struct ino_set mended; /* FIXES have them: a record of each change is told */
	struct replayed_count *count;
	int error; /* the first */
};

static void put(struct mending *m, struct inode_rec *rec, enum bytes_where where)
{
	rec->where = where;
	rec->chunk_shift = 0;
	rec->flags &= ~(uint32_t)INODE_HAS_MTIME;
	batch_del_chunks(m->fixes, rec->attr.ino);
	batch_del_sum(m->fixes, rec->attr.ino);
	batch_put_inode(m->fixes, rec);
}

/* Nothing of the upper's bytes is left: the file is again what it was before the first was written. */
static void back_to_lower(struct mending *m, struct inode_rec *rec)
{
	rec->attr.size = rec->lower_size;
	put(m, rec, BYTES_LOWER);
	m->count->lower++;
}

/* As a new file is: in the catalog, where it needs no room. */
static void make_empty(struct mending *m, struct inode_rec *rec)
{
	free(rec->origin);
	rec->origin = NULL;
	rec->lower_size = 0;
	rec->attr.size = 0;
	put(m, rec, BYTES_INLINE);
	m->count->emptied++;
}

static int has_data_file(struct mending *m, uint64_t ino)
{
	return m->names.dirfd < 0 ? 0 : data_names_find(&m->names, ino);
}

/* In the tables there are no such records: a data file that is missing there was lost otherwise, and reading it stays an error. */
static int look(struct mending *m, uint64_t ino)
{
	CLEANUP(inode_rec) struct inode_rec rec = {0};
	int r = catalog_inode(m->catalog, ino, &rec);

	if (r < 0 || !S_ISREG(rec.attr.mode) || rec.attr.nlink == 0 || !inode_has_file(&rec))
		return r;
	r = has_data_file(m, ino);
	if (r != 0)
		return r < 0 ? r : 0;
	ino_set_add(&m->mended, ino);
	if (rec.where == BYTES_CHUNKS && rec.origin != NULL && rec.lower_size > 0)
		back_to_lower(m, &rec);
	else
		make_empty(m, &rec);
	return 0;
}

/* One that cannot be looked at does not keep the others from being mended, which nobody does later. */
static int look_and_go_on(void *arg, uint64_t ino)
{
	struct mending *m = arg;
	int r = ino_set_has(&m->mended, ino) ? 0 : look(m, ino);

	if (m->error == 0)
		m->error = r;
	return 0;
}

int replayed_mend(int data_dir, struct catalog *c, bool no_sync, struct batch *fixes,
		  struct replayed_count *count)
{
	struct mending m = {
		.catalog = c,
		.fixes = fixes,
		.names = {.dirfd = data_dir},
		.count = count,
	};
	int r = catalog_each_replayed(c, look_and_go_on, &m);
	int synced = no_sync ? 0 : data_names_sync(&m.names);

	ino_set_done(&m.mended);
	if (m.error == 0)
		m.error = r;
	return m.error != 0 ? m.error : synced;
}
