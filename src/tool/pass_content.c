/* SPDX-License-Identifier: Apache-2.0 */
/* Does each file have its bytes, and do all bytes have a file? */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include "data/data.h"
#include "data/path.h"
#include "data/walk.h"
#include "tool/private.h"

/*
 * A data file that no record speaks of is what a crash leaves of bytes that were being moved: it is
 * nobody's. It is somebody's when there are other traces of the inode, or when a journal was
 * damaged: then its record is what was lost.
 */
static bool was_there(const struct fsck *f, const struct node *n)
{
	if (n->dtype != 0 || n->has_rows || n->has_inline)
		return true;
	return f->lost_changes && node_is_upper(n) && n->data_size > 0;
}

/* Where records are lost, what would be a left-over may have been theirs. */
static int stray(struct fsck *f, struct node *n)
{
	char name[DATA_PATH_SIZE], path[sizeof("data/") + DATA_PATH_SIZE];
	struct data_file file = {.ino = n->ino, .size = n->data_size, .path = path};

	n->has_data = false;
	data_path(n->ino, name);
	snprintf(path, sizeof(path), "data/%s", name);
	return lost_adopt(f, &file);
}

static int leftover(struct fsck *f, struct node *n)
{
	if (!n->has_data || f->in_use)
		return 0;
	if (f->keeps_strays && n->data_size > 0)
		return stray(f, n);
	f->n_leftover++;
	f->leftover_bytes += n->data_size;
	n->has_data = false;
	return f->repair && !f->keeps_data ? data_path_remove(f->data_fd, n->ino) : 0;
}

static void drop_inline(struct fsck *f, struct node *n)
{
	if (n->has_inline)
		batch_put_inline(&f->batch, n->ino, NULL, 0);
	n->has_inline = false;
}

/* Bytes without a record. */
static int find_owner(struct fsck *f, struct node *n)
{
	struct place_text place;
	int r;

	if (!n->has_inline && !(n->has_data && was_there(f, n)))
		return leftover(f, n);
	place = place_of(f, n->ino);
	if (!n->has_data && n->inline_len > DATA_INLINE_MAX)
		return found(f, &place, NULL, "its record is lost, and its bytes are too many");
	n->has_record = n->is_fresh = true;
	n->where = n->has_data ? BYTES_FILE : BYTES_INLINE;
	n->mode = S_IFREG | 0600;
	if (!n->has_data && n->dtype == DT_LNK)
		n->mode = S_IFLNK | 0777;
	n->size = n->has_data ? n->data_size : n->inline_len;
	n->nlink = 1;
	if (n->has_data)
		drop_inline(f, n);
	r = mend_attach(f, n);
	return r < 0 ? r
		     : found(f, &place, "give them a name in lost+found",
			     "there are bytes of it, but its record is lost");
}

/* A file that has lost all its bytes, or some: what is left of it moves out of the way. */
static int bury(struct fsck *f, struct node *n)
{
	struct place_text place = place_of(f, n->ino);
	const char *what = n->is_partial ? "some of its bytes are lost" : "its bytes are lost";
	int r;

	/* Who copies the tree says so himself. */
	if (f->keeps_data)
		return 0;
	r = mend_drop_names(f, n);
	if (r < 0)
		return r;
	if (!n->is_partial) {
		n->where = BYTES_INLINE;
		n->size = 0;
		batch_del_all(&f->batch, TABLE_CHUNKS, n->ino);
		batch_del_sum(&f->batch, n->ino);
		n->has_sum = false;
	}
	n->has_origin = false;
	r = mend_attach(f, n);
	return r < 0 ? r : found(f, &place, "move what is left to lost+found", "%s", what);
}

static int set_place(struct fsck *f, struct node *n, enum bytes_where where, const char *what)
{
	struct place_text place = place_of(f, n->ino);
	int r;

	n->where = (uint8_t)where;
	if (where == BYTES_INLINE) {
		n->size = n->inline_len;
		batch_del_sum(&f->batch, n->ino);
		n->has_sum = false;
	}
	r = mend_put(f, n);
	return r < 0 ? r : found(f, &place, "correct its record", "%s", what);
}

/* The owner goes on: has the file lost its data file now, too, or has all of it changed? */
static bool is_missing_now(struct fsck *f, const struct node *n)
{
	struct catalog_options options = {.mode = CATALOG_SNAPSHOT};
	CLEANUP(inode_rec) struct inode_rec rec = {0};
	struct catalog *later = NULL;
	uint64_t size;
	bool missing;

	if (data_file_size(f->data_fd, n->ino, &size) == 0 ||
	    catalog_open(f->dirfd, &options, &later, NULL) < 0)
		return false;
	missing = catalog_inode(later, n->ino, &rec) == 0 && rec.attr.nlink > 0 &&
		  inode_has_file(&rec);
	catalog_close(later);
	return missing;
}

static int look_at_inline(struct fsck *f, struct node *n)
{
	if (n->has_inline && n->inline_len != n->size && n->inline_len <= DATA_INLINE_MAX)
		return set_place(f, n, BYTES_INLINE, "its size is not that of its bytes");
	/* An empty file beside a data file is what a crash leaves in the middle of its first write; or
	 * a record of a file that has forgotten where its bytes are, if that must be thought of. */
	if (!n->has_inline && n->has_data && (n->size > 0 || (f->is_suspect && n->data_size > 0)))
		return set_place(f, n, BYTES_FILE, "its bytes are in a data file");
	if (!n->has_inline && n->size > 0)
		return bury(f, n);
	return leftover(f, n);
}

static int drop_needless(struct fsck *f, struct node *n)
{
	struct place_text place;

	if (!n->has_inline)
		return 0;
	place = place_of(f, n->ino);
	drop_inline(f, n);
	return found(f, &place, "remove them",
		     "it has bytes in the catalog that are not its content");
}

/*
 * A power cut can leave a record in the journal and take its data file, when nobody had asked for
 * either to be flushed: that is no damage, and the next mount, or a repair, makes good for it as it opens the catalog.
 */
static bool is_cut_off(const struct fsck *f, const struct node *n)
{
	return n->is_replayed && !f->in_use && !f->keeps_data && !f->repair;
}

static int look_at_file(struct fsck *f, struct node *n)
{
	if (n->has_data && n->is_partial)
		return bury(f, n);
	if (n->has_data)
		return drop_needless(f, n);
	if (n->where == BYTES_FILE && n->has_inline && n->inline_len <= DATA_INLINE_MAX)
		return set_place(f, n, BYTES_INLINE, "its bytes are in the catalog");
	if (f->in_use && !is_missing_now(f, n))
		return 0;
	if (is_cut_off(f, n)) {
		f->n_cut++;
		return 0;
	}
	return bury(f, n);
}

static int look_at_regular(struct fsck *f, struct node *n)
{
	int r;

	switch (n->where) {
	case BYTES_INLINE:
		return look_at_inline(f, n);
	case BYTES_FILE:
	case BYTES_CHUNKS:
		return look_at_file(f, n);
	default:
		r = drop_needless(f, n);
		return r < 0 ? r : leftover(f, n);
	}
}

static int look_at_link(struct fsck *f, struct node *n)
{
	struct place_text place;
	int r;

	if (n->has_inline && n->inline_len < PATH_MAX) {
		/* The size of a link that was copied up is what its file system said. */
		if (!node_is_upper(n) || n->size == n->inline_len)
			return 0;
		return set_place(f, n, BYTES_INLINE, "its size is not that of its target");
	}
	place = place_of(f, n->ino);
	r = mend_drop_names(f, n);
	if (r < 0)
		return r;
	batch_del_inode(&f->batch, n->ino);
	n->has_record = n->has_inline = false;
	return found(f, &place, "remove it", "the target of this link is lost");
}

static int look(struct fsck *f, struct node *n)
{
	int r = 0;

	if (!n->has_record)
		return find_owner(f, n);
	if (n->is_dead)
		return 0;
	if (S_ISREG(n->mode))
		return look_at_regular(f, n);
	if (S_ISLNK(n->mode))
		r = look_at_link(f, n);
	else
		r = drop_needless(f, n);
	return r < 0 ? r : leftover(f, n);
}

static int note_replayed(void *arg, uint64_t ino)
{
	struct node *n = find_node(arg, ino);

	if (n != NULL)
		n->is_replayed = true;
	return 0;
}

int pass_content(struct fsck *f)
{
	int r = catalog_each_replayed(f->catalog, note_replayed, f), settled;

	f->keeps_strays = f->lost_changes || f->is_suspect || f->fixed + f->left > 0;
	if (r == 0)
		r = each_node(f, look);
	if (r == 0)
		r = lost_look(f);
	/* Also when it was cancelled: files whose new records are there must get to them. */
	settled = lost_settle(f);
	if (r == 0)
		r = settled;
	if (f->n_cut > 0)
		note(f,
		     "%" PRIu64
		     " files whose last bytes had not reached the disk when the power was cut; "
		     "%s",
		     f->n_cut,
		     f->repair ? "they have what they had before, or nothing"
			       : "the next mount or --repair gives them back what they had before, "
				 "or nothing");

	if (f->n_leftover > 0)
		note(f, "%" PRIu64 " data files that a crash left, %" PRIu64 " bytes; %s",
		     f->n_leftover, f->leftover_bytes,
		     f->repair && !f->keeps_data ? "removed" : "--repair removes them");
	return r;
}
