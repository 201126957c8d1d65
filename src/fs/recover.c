/* SPDX-License-Identifier: Apache-2.0 */
/* What a crash leaves in an upper: orphans, records without bytes, bytes without records. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/sys.h"
#include "catalog/raw.h"
#include "catalog/walk.h"
#include "data/files.h"
#include "data/lost.h"
#include "data/replayed.h"
#include "fs/open.h"

/* Inodes deleted by one commit. */
#define ORPHANS_AT_ONCE 256

int orphans_erase(struct fs *fs, const uint64_t *inos, size_t n)
{
	CLEANUP(batch) struct batch b = {0};
	int r, error = 0;

	for (size_t i = 0; i < n;) {
		size_t end = n - i < ORPHANS_AT_ONCE ? n : i + ORPHANS_AT_ONCE;

		batch_begin(&b, fs->catalog);
		for (; i < end; i++) {
			/* One whose data file is not taken over is an orphan at the next open. */
			r = data_delete(fs->data, inos[i]);
			if (r < 0) {
				error = r;
				continue;
			}
			batch_del_entries(&b, inos[i]);
			batch_del_inode(&b, inos[i]);
		}
		r = catalog_commit(fs->catalog, &b);
		if (r < 0)
			error = r;
	}
	return error;
}

/* Orphans of a crash, and of a mount that was cut off, are given back. */
static void clear_orphans(struct fs *fs)
{
	CLEANUP(free) uint64_t *inos = NULL;
	size_t n = 0;
	int r = catalog_orphans(fs->catalog, &inos, &n);

	/* Their names may have been taken away by records that were only just replayed. */
	if (r == 0 && n > 0 && !fs->options->no_sync)
		r = catalog_sync(fs->catalog);
	if (r == 0)
		r = orphans_erase(fs, inos, n);
	if (r < 0)
		log_warn("upper %s: deleted files could not be given back (%s); the next mount "
			 "tries again",
			 fs->options->upper, strerror(-r));
}

struct numbers {
	uint64_t *inos; /* owned */
	size_t n, max;
};

static void note_orphan(struct inode *inode, void *arg)
{
	struct numbers *all = arg;

	if (inode->orphan && all->n < all->max)
		all->inos[all->n++] = inode->ino;
}

void fs_erase_orphans(struct fs *fs)
{
	struct numbers all = {.max = atomic_load(&fs->n_orphans)};
	int r;

	if (fs->catalog == NULL || fs->read_only || all.max == 0)
		return;
	all.inos = reallocarray(NULL, all.max, sizeof(*all.inos));
	if (all.inos == NULL)
		return;
	inodes_each(&fs->inodes, note_orphan, &all);
	r = orphans_erase(fs, all.inos, all.n);
	if (r < 0)
		log_debug("deleted files are given back by the next mount: %s", strerror(-r));
	free(all.inos);
}

int fs_recover_replayed(const struct fs_options *options, struct catalog *c, int data_dir,
			struct batch *fixes)
{
	struct replayed_count n = {0};
	int r = replayed_mend(data_dir, c, options->no_sync, fixes, &n);

	if (n.emptied > 0)
		log_warn("upper %s: %" PRIu64
			 " files had not reached the disk when the power was cut; they are empty",
			 options->upper, n.emptied);
	if (n.lower > 0)
		log_warn("upper %s: what was written into %" PRIu64
			 " files had not reached the disk when the power was cut; they show their "
			 "lower content",
			 options->upper, n.lower);
	if (r < 0)
		log_warn("upper %s: looking for files without bytes failed: %s", options->upper,
			 strerror(-r));
	return r;
}

int fs_keep_lost(const struct fs_options *options, struct catalog *c, int dir, struct err *err)
{
	struct lost_count n = {0};
	int r = lost_keep(dir, c, options->no_sync, &n, err);

	if (n.files > 0)
		log_error("upper %s: %" PRIu64 " data files, %" PRIu64
			  " bytes, have lost their records, and are kept in .plyfs/" LOST_DIR
			  "; plyfs fsck --repair gives them names in lost+found",
			  options->upper, n.files, n.bytes);
	return r;
}

struct leftover {
	uint64_t ino;
	bool no_record;
};

struct leftovers {
	struct fs *fs;
	struct leftover *v; /* owned */
	size_t n, cap;
	bool damaged; /* records of the tables are lost, and these may be what they were about */
};

static int add_leftover(struct leftovers *l, uint64_t ino, bool no_record)
{
	if (l->n == l->cap) {
		size_t cap = l->cap == 0 ? 64 : l->cap * 2;
		struct leftover *grown = reallocarray(l->v, cap, sizeof(*grown));

		if (grown == NULL)
			return -ENOMEM;
		l->v = grown;
		l->cap = cap;
	}
	l->v[l->n++] = (struct leftover){ino, no_record};
	return 0;
}

static int look_at_file(void *arg, uint64_t ino)
{
	struct leftovers *l = arg;
	CLEANUP(inode_rec) struct inode_rec rec = {0};
	int r = record_load(l->fs, ino, &rec);

	/* A record that cannot be read may be the file's own. */
	l->damaged = l->damaged || r == -EUCLEAN;
	if (r < 0 && r != -ENOENT)
		return r == -EUCLEAN ? 0 : r;
	if (r == 0 && inode_has_file(&rec))
		return 0;
	return add_leftover(l, ino, r == -ENOENT);
}

static int by_number(const void *a, const void *b)
{
	const struct leftover *x = a, *y = b;

	return (x->ino > y->ino) - (x->ino < y->ino);
}

/* 1: the name leads to an inode without a record, and there are bytes of it. */
static int look_at_name(void *arg, const struct catalog_raw *raw)
{
	struct leftovers *l = arg;
	struct leftover want;
	const struct leftover *have;
	struct entry_key key;
	struct entry_rec entry;

	if (raw->value_len != ENTRY_VALUE_SIZE || !entry_key_of(raw->key, raw->key_len, &key))
		return 0;
	want.ino = get_le64(raw->value + 1);
	have = bsearch(&want, l->v, l->n, sizeof(want), by_number);
	if (have == NULL || !have->no_record)
		return 0;
	/* The journal may have taken the name away. */
	return catalog_entry(l->fs->catalog, key.parent, key.name, key.len, &entry) == 0 &&
	       entry.ino == want.ino;
}

/*
 * An inode's record goes with its last name, and before its data file does. So a name that leads to no record says
 * that the tables have lost it, and nobody knows what else.
 */
static int look_for_names(struct leftovers *l)
{
	bool any = false;
	int r;

	for (size_t i = 0; i < l->n; i++)
		any |= l->v[i].no_record;
	if (!any || l->damaged)
		return 0;
	qsort(l->v, l->n, sizeof(*l->v), by_number);
	r = catalog_walk_tables(l->fs->catalog, TABLE_ENTRY, look_at_name, l);
	l->damaged = r == 1;
	return r < 0 ? r : 0;
}

static int remove_leftovers(struct fs *fs, const struct leftovers *l)
{
	int r = 0;

	/* That they are not needed is said by records, some of which were only just replayed. */
	if (l->n > 0 && !fs->options->no_sync)
		r = catalog_sync(fs->catalog);
	for (size_t i = 0; r == 0 && i < l->n; i++)
		r = data_remove_file(fs->data, l->v[i].ino);
	return r;
}

/* Finds those that are not needed; where that may be by damage, they are kept. -errno and a sentence: bytes could be lost. */
static int sort_leftovers(struct leftovers *l, int dir, struct err *err)
{
	int r = data_each_file(l->fs->data, look_at_file, l);

	if (r == 0)
		r = look_for_names(l);
	if (r < 0)
		return lost_refuse(r, "looked for", err);
	return l->damaged ? fs_keep_lost(l->fs->options, l->fs->catalog, dir, err) : 0;
}

/* Data files that were made and not committed, or whose record was deleted before they were; but see REPAIR_MARK. */
static int clear_leftovers(struct fs *fs, int dir, bool marked, struct err *err)
{
	struct leftovers l = {.fs = fs, .damaged = marked};
	int r = sort_leftovers(&l, dir, err);

	/* New files could get the numbers of those that stay, and take their places. */
	if (r < 0) {
		free(l.v);
		err_wrap(err, "upper %s", fs->options->upper);
		return r;
	}
	r = remove_leftovers(fs, &l);
	if (r == 0 && marked)
		r = lost_unmark(dir);
	if (r == 0)
		catalog_recovered(fs->catalog);
	if (r < 0)
		log_warn("upper %s: left-over data files could not be removed (%s)",
			 fs->options->upper, strerror(-r));
	else if (l.n > 0 && !l.damaged)
		log_info("upper %s: %zu left-over data files were removed", fs->options->upper,
			 l.n);
	free(l.v);
	return 0;
}

int fs_recover(struct fs *fs, struct err *err)
{
	CLEANUP(fd)
	int dir = sys_openat(fs->upper_fd, ".plyfs", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	bool unclean = catalog_was_unclean(fs->catalog), marked;

	if (dir < 0)
		return err_errno(err, -dir, "upper %s: cannot open .plyfs", fs->options->upper);
	marked = lost_is_marked(dir);
	clear_orphans(fs);
	if (!unclean && !marked)
		return 0;
	catalog_remove_leftovers(fs->catalog);
	return clear_leftovers(fs, dir, marked, err);
}
