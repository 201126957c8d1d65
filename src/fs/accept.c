/* SPDX-License-Identifier: Apache-2.0 */
/* Other layers under an upper than those it was made over: what its numbers are still good for. */
#include <errno.h>
#include <string.h>

#include "fs/open.h"

/*
 * A name of a lower file that has others finds the file's record by its number. Where layers were only put on top, all
 * that were there have kept their places, which count from the lowest, and a number means the file that it meant. Else it
 * can be any other file's by now. Where a record still says which path its bytes are at, that decides
 * (names.c); of the others it is noted that their numbers are not to be trusted.
 */
#define PIECE 1000 /* records in one batch */

struct noting {
	struct fs *fs;
	struct batch batch;
	size_t n;
};

static int commit_piece(struct noting *n)
{
	int r = catalog_commit(n->fs->catalog, &n->batch);

	batch_done(&n->batch);
	batch_begin(&n->batch, n->fs->catalog);
	n->n = 0;
	return r;
}

static int note(void *arg, uint64_t ino)
{
	struct noting *n = arg;
	CLEANUP(inode_rec) struct inode_rec rec = {0};
	int r = ino >= CATALOG_FIRST_LOWER_INO ? record_load(n->fs, ino, &rec) : -ENOENT;

	/* One that is damaged is fsck's. */
	if (r == -ENOENT || r == -EUCLEAN)
		return 0;
	if (r < 0 || S_ISDIR(rec.attr.mode) || (rec.flags & INODE_OTHER_LAYERS))
		return r;
	rec.flags |= INODE_OTHER_LAYERS;
	batch_put_inode(&n->batch, &rec);
	return ++n->n == PIECE ? commit_piece(n) : 0;
}

static int note_all(struct fs *fs)
{
	struct noting n = {.fs = fs};
	int r;

	batch_begin(&n.batch, fs->catalog);
	r = catalog_each_inode(fs->catalog, note, &n);
	if (r == 0 && n.n > 0)
		r = commit_piece(&n);
	batch_done(&n.batch);
	return r;
}

static size_t count_lines(const char *text)
{
	size_t n = 0;

	while ((text = strchr(text, '\n')) != NULL) {
		text++;
		n++;
	}
	return n;
}

/* The identities at the lines' beginnings count. */
long stack_on_top(const char *was, const char *is)
{
	size_t n_was = count_lines(was), n_is = count_lines(is);
	long n = (long)n_is - (long)n_was;

	for (; n_is > n_was; n_is--)
		is = strchr(is, '\n') + 1;
	if (n_is < n_was)
		return -1;
	for (; n_is > 0; n_is--) {
		if (strncmp(was, is, STACK_ID_LEN) != 0)
			return -1;
		was = strchr(was, '\n') + 1;
		is = strchr(is, '\n') + 1;
	}
	return n;
}

int fs_upper_accept(struct fs *fs, const char *was, const char *is)
{
	if (stack_on_top(was, is) >= 0)
		return 0;
	fs->renumbered = fs->read_only;
	return fs->read_only ? 0 : note_all(fs);
}
