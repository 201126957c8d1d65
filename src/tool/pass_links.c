/* SPDX-License-Identifier: Apache-2.0 */
/* Link counts, inodes without a name, orphans. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "data/path.h"
#include "tool/private.h"

static int set_count(struct fsck *f, struct node *n, uint32_t nlink)
{
	struct place_text place = place_of(f, n->ino);
	uint32_t was = n->nlink;
	int r;

	n->nlink = nlink;
	r = mend_put(f, n);
	return r < 0 ? r
		     : found(f, &place, "correct it", "its link count is %" PRIu32 ", not %" PRIu32,
			     was, nlink);
}

static int look_at_dir(struct fsck *f, struct node *n)
{
	if (n->nlink == 0)
		return set_count(f, n, 1);
	/* Of a directory with a lower part, only those who see the layers can count. */
	if (!n->has_origin && n->nlink > 1 && n->nlink != 2 + n->n_dirs)
		return set_count(f, n, 2 + n->n_dirs);
	return 0;
}

static int attach(struct fsck *f, struct node *n, const char *what)
{
	struct place_text place = place_of(f, n->ino);
	int r = mend_attach(f, n);

	return r < 0 ? r : found(f, &place, "give it a name in lost+found", "%s", what);
}

/*
 * An inode that began in a lower layer may have names there that only the layers know: its count is
 * at least that of the names in the catalog, which may be none.
 */
static int look_at_file(struct fsck *f, struct node *n)
{
	if (n->n_names == 0 && (node_is_upper(n) || n->n_seen > 0))
		return attach(f, n, "it has no name");
	if (n->n_names == 0 && (n->has_data || n->has_inline)) {
		f->n_nameless++;
		f->nameless_bytes += n->has_data ? n->data_size : n->inline_len;
	}
	if (node_is_upper(n) ? n->nlink != n->n_names : n->nlink < n->n_names)
		return set_count(f, n, n->n_names);
	return 0;
}

static int unmark(struct fsck *f, struct node *n)
{
	struct place_text place;

	if (!n->has_mark)
		return 0;
	place = place_of(f, n->ino);
	n->has_mark = false;
	batch_del_orphan(&f->batch, n->ino);
	return found(f, &place, "remove the mark", "it is marked as deleted, but it is there");
}

/* What was deleted while it was in use: the next mount gives it back, or this repair. */
static int give_back(struct fsck *f, struct node *n)
{
	int r;

	f->n_dead++;
	if (!f->repair || f->keeps_data)
		return 0;
	r = f->data_fd >= 0 ? data_path_remove(f->data_fd, n->ino) : 0;
	if (r < 0)
		return r;
	batch_del_entries(&f->batch, n->ino);
	batch_del_inode(&f->batch, n->ino);
	r = catalog_commit(f->catalog, &f->batch);
	batch_begin(&f->batch, f->catalog);
	return r;
}

/* No name, no count, no mark: something is lost, perhaps only the mark. */
static int look_at_unmarked(struct fsck *f, struct node *n)
{
	struct place_text place = place_of(f, n->ino);

	n->is_dead = false;
	if (!S_ISDIR(n->mode))
		return attach(f, n, "it is deleted, but not marked so");
	batch_del_inode(&f->batch, n->ino);
	n->has_record = false;
	return found(f, &place, "remove it", "this directory is deleted, but not marked so");
}

/* One that was deleted may have been given a name again by what is lost. */
static bool has_bytes(const struct node *n)
{
	return S_ISREG(n->mode) && ((n->has_data && n->data_size > 0) || n->inline_len > 0);
}

static int bring_back(struct fsck *f, struct node *n)
{
	n->is_dead = n->has_mark = false;
	batch_del_orphan(&f->batch, n->ino);
	return attach(f, n, "it is deleted, but changes that are lost may have given it a name");
}

static int look(struct fsck *f, struct node *n)
{
	int r;

	if (!n->has_record)
		return 0;
	if (n->is_dead && n->has_mark && f->lost_changes && !f->in_use && has_bytes(n))
		return bring_back(f, n);
	if (n->nlink == 0 && n->n_names == 0 && n->has_mark && n->ino != CATALOG_ROOT_INO)
		return give_back(f, n);
	if (n->is_dead)
		return look_at_unmarked(f, n);
	r = S_ISDIR(n->mode) ? look_at_dir(f, n) : look_at_file(f, n);
	return r < 0 ? r : unmark(f, n);
}

int pass_links(struct fsck *f)
{
	int r = each_node(f, look);

	if (f->n_nameless > 0)
		note(f,
		     "%" PRIu64 " files of lower layers, %" PRIu64
		     " bytes here, that names below may still lead to: those that were in the upper "
		     "are deleted",
		     f->n_nameless, f->nameless_bytes);
	if (f->n_dead > 0)
		note(f, "%" PRIu64 " deleted files were still in use; %s", f->n_dead,
		     f->repair && !f->keeps_data ? "removed"
						 : "the next mount or --repair removes them");
	return r;
}
