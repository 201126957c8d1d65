/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The link count of a lower file is what its file system counts: among the names are some that nobody sees, as they are
 * outside of the layer, or hidden by another one. So a record can lose its last name in the mount and keep a count, and its
 * bytes, for ever. Whether any name is left only a walk through all of them can tell. It is taken by a later mount, in the
 * background, when such a file with bytes in the upper has lost a name.
 */
#include "fs/nameless.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/sys.h"

#define PIECE	       256   /* names of a directory at a time */
#define CANDIDATES_MAX 65536 /* others have to wait for another mount */
#define TRIES	       3     /* when names are moved meanwhile */
#define RETRY_SECONDS  30

unsigned int nameless_wait_ms = 2000;

void nameless_note(struct change *ch, struct inode_rec *rec)
{
	if (!S_ISREG(rec->attr.mode) || rec->attr.ino < CATALOG_FIRST_LOWER_INO)
		return;
	rec->flags |= INODE_LOST_NAME;
	/* A record alone is not worth a walk. */
	if (rec->where == BYTES_LOWER)
		return;
	batch_put_super(&ch->batch, SUPER_NAMELESS, "1", 1);
	ch->fs->names_lost++;
}

void nameless_moved(struct change *ch, const struct inode_rec *rec)
{
	if (S_ISDIR(rec->attr.mode) || (rec->flags & INODE_LOST_NAME))
		ch->fs->names_moved++;
}

struct candidate {
	uint64_t ino;
	bool seen;
};

/* A directory that is being walked. Its look-up is ours, the root's excepted. */
struct level {
	uint64_t ino, cookie;
	struct buf names; /* a piece of them, each with its NUL */
	size_t at, n;	  /* in the piece: where the next one is; how many the last call gave */
};

struct walk {
	struct fs *fs;
	struct background *b;	 /* borrowed; NULL: nobody stops it */
	struct candidate *found; /* owned; in the order of their numbers */
	size_t n_found, n_seen;
	bool rest;	       /* something is left for the next time */
	struct level **levels; /* owned */
	size_t n, cap;
	uint64_t moved, lost; /* fs->names_moved and names_lost, when it began */
};

static void level_pop(struct walk *w)
{
	struct level *at = w->levels[--w->n];

	if (at->ino != FS_ROOT_INO)
		fs_forget(w->fs, at->ino, 1);
	buf_done(&at->names);
	free(at);
}

static void walk_done(struct walk *w)
{
	while (w->n > 0)
		level_pop(w);
	free(w->levels);
	free(w->found);
}
DEFINE_CLEANUP(struct walk, walk, walk_done)

/* On failure the look-up is given back, too. */
static int level_push(struct walk *w, uint64_t ino)
{
	struct level *made = calloc(1, sizeof(*made));

	if (made != NULL && w->n == w->cap) {
		size_t cap = w->cap == 0 ? 16 : w->cap * 2;
		struct level **grown = reallocarray(w->levels, cap, sizeof(struct level *));

		if (grown != NULL) {
			w->levels = grown;
			w->cap = cap;
		}
	}
	if (made == NULL || w->n == w->cap) {
		free(made);
		if (ino != FS_ROOT_INO)
			fs_forget(w->fs, ino, 1);
		return -ENOMEM;
	}
	made->ino = ino;
	w->levels[w->n++] = made;
	return 0;
}

static bool take_names(void *arg, const struct fs_dirent *entries, size_t n)
{
	struct level *at = arg;

	if (at->n > 0 && at->n + n > PIECE)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!sys_is_dots(entries[i].name))
			buf_put(&at->names, entries[i].name, (size_t)entries[i].len + 1);
	at->cookie = entries[n - 1].cookie;
	at->n += n;
	return true;
}

static int next_piece(struct walk *w, struct level *at)
{
	int r;

	at->names.len = at->at = at->n = 0;
	r = fs_readdir(w->fs, at->ino, at->cookie, take_names, at);
	return r == 0 && !buf_ok(&at->names) ? -ENOMEM : r;
}

static int by_number(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	return x->ino < y->ino ? -1 : x->ino > y->ino;
}

static struct candidate *find(const struct walk *w, uint64_t ino)
{
	struct candidate want = {.ino = ino};

	return bsearch(&want, w->found, w->n_found, sizeof(want), by_number);
}

/*
 * A name of the last level. It is looked up, although the listing has a number, too: what is found is what counts, and
 * what cannot be looked at may be any file.
 */
static int next_name(struct walk *w, struct level *at)
{
	const char *name = (const char *)at->names.data + at->at;
	struct candidate *c;
	struct fs_entry e;
	int r;

	at->at += strlen(name) + 1;
	r = fs_lookup(w->fs, at->ino, name, &e);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (S_ISDIR(e.attr.mode))
		return level_push(w, e.ino);
	fs_forget(w->fs, e.ino, 1);
	c = find(w, e.ino);
	if (c != NULL && !c->seen) {
		c->seen = true;
		w->n_seen++;
	}
	return 0;
}

static int pace(struct walk *w, double start)
{
	if (w->b == NULL)
		return 0;
	background_worked(w->b, background_now() - start);
	return background_stopped(w->b) ? -ECANCELED : 0;
}

/* Goes on until all were seen, or all names were. */
static int walk_all(struct walk *w)
{
	int r = level_push(w, FS_ROOT_INO);

	while (r == 0 && w->n > 0 && w->n_seen < w->n_found) {
		double start = background_now();
		struct level *at = w->levels[w->n - 1];

		if (at->at < at->names.len) {
			r = next_name(w, at);
		} else {
			r = next_piece(w, at);
			if (r == 0 && at->n == 0)
				level_pop(w);
		}
		if (r == 0)
			r = pace(w, start);
	}
	return r;
}

static bool is_candidate(const struct inode_rec *rec)
{
	/* Where the number may be another file's by now nothing is proved by not finding it. */
	return (rec->flags & INODE_LOST_NAME) && !(rec->flags & INODE_OTHER_LAYERS) &&
	       S_ISREG(rec->attr.mode) && rec->where != BYTES_LOWER && rec->attr.nlink > 0 &&
	       rec->attr.ino >= CATALOG_FIRST_LOWER_INO;
}

static int collect(void *arg, uint64_t ino)
{
	struct walk *w = arg;
	CLEANUP(inode_rec) struct inode_rec rec = {0};
	double start = background_now();
	int r = record_load(w->fs, ino, &rec);

	if (r == 0 && is_candidate(&rec)) {
		if (w->n_found < CANDIDATES_MAX)
			w->found[w->n_found++] = (struct candidate){.ino = ino};
		else
			w->rest = true;
	}
	return r < 0 && r != -ENOENT ? r : pace(w, start);
}

/* Names are moved under the write lock: none of which the count speaks is still to be committed. */
static void begin(struct walk *w)
{
	pthread_mutex_lock(&w->fs->write_lock);
	w->moved = w->fs->names_moved;
	w->lost = w->fs->names_lost;
	pthread_mutex_unlock(&w->fs->write_lock);
}

/*
 * Makes an orphan of INO, as the unlink of its last name does. Since the walk began no name can have come: a link needs the
 * inode, which somebody who had it open may have had, but that is counted as a move. 1: it was; 0: it is to stay.
 */
static int make_orphan(struct walk *w, uint64_t ino)
{
	CLEANUP(held) struct held h = {w->fs, NULL};
	CLEANUP(change) struct change ch = {0};
	CLEANUP(inode_rec) struct inode_rec rec = {0};
	int r = change_begin(&ch, w->fs);

	if (r < 0)
		return r;
	if (w->fs->names_moved != w->moved)
		return -EAGAIN;
	h.inode = inode_get(w->fs, ino);
	if (h.inode != NULL) {
		w->rest = true;
		return 0;
	}
	r = record_load(w->fs, ino, &rec);
	if (r < 0 || !is_candidate(&rec))
		return r == -ENOENT ? 0 : r;
	rec.attr.nlink = 0;
	batch_put_inode(&ch.batch, &rec);
	batch_put_orphan(&ch.batch, ino);
	r = change_commit(&ch);
	return r < 0 ? r : 1;
}

static int erase(struct walk *w, size_t *ret_erased)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < w->n_found; i++) {
		if (w->found[i].seen)
			continue;
		r = make_orphan(w, w->found[i].ino);
		if (r > 0) {
			/* What fails is an orphan at the next open. */
			(void)orphans_erase(w->fs, &w->found[i].ino, 1);
			++*ret_erased;
		}
	}
	return r < 0 ? r : 0;
}

/* Nobody needs to look again until another name is lost. */
static int settle(struct walk *w)
{
	CLEANUP(change) struct change ch = {0};
	int r = change_begin(&ch, w->fs);

	if (r < 0)
		return r;
	if (w->rest || w->fs->names_lost != w->lost)
		return -EAGAIN;
	batch_put_super(&ch.batch, SUPER_NAMELESS, "0", 1);
	return change_commit(&ch);
}

int nameless_look(struct fs *fs, struct background *b, size_t *ret_erased)
{
	CLEANUP(walk) struct walk w = {.fs = fs, .b = b};
	int r;

	*ret_erased = 0;
	w.found = reallocarray(NULL, CANDIDATES_MAX, sizeof(*w.found));
	if (w.found == NULL)
		return -ENOMEM;
	begin(&w);
	r = catalog_each_inode(fs->catalog, collect, &w);
	if (r == 0)
		r = walk_all(&w);
	if (r == 0)
		r = erase(&w, ret_erased);
	return r < 0 ? r : settle(&w);
}

struct nameless {
	struct background bg;
	struct fs *fs;
};

static void *run(void *arg)
{
	struct nameless *n = arg;
	const char *upper = n->fs->options->upper;
	size_t all = 0;
	int r = -EAGAIN;

	background_rest(&n->bg, nameless_wait_ms / 1e3);
	for (int i = 0; i < TRIES && r == -EAGAIN && !background_stopped(&n->bg); i++) {
		size_t erased;

		if (i > 0)
			background_rest(&n->bg, RETRY_SECONDS);
		r = nameless_look(n->fs, &n->bg, &erased);
		all += erased;
	}
	if (all > 0)
		log_info("upper %s: the bytes of %zu deleted files were given back, whose lower "
			 "files have names that nobody sees",
			 upper, all);
	if (r < 0 && r != -EAGAIN && r != -ECANCELED)
		log_info("upper %s: which changed files have no name left could not be found out: "
			 "%s; the next mount tries again",
			 upper, strerror(-r));
	return NULL;
}

/* Layers that are accepted although they differ may be those of before again, next time: who knows what shows then. */
static bool is_needed(struct fs *fs)
{
	CLEANUP(buf) struct buf value = {0};

	return !fs->options->any_lower && catalog_super(fs->catalog, SUPER_NAMELESS, &value) == 0 &&
	       value.len == 1 && value.data[0] == '1';
}

void nameless_start(struct fs *fs)
{
	struct nameless *n = is_needed(fs) ? calloc(1, sizeof(*n)) : NULL;
	int r;

	if (n == NULL)
		return;
	n->fs = fs;
	r = background_start(&n->bg, "names", run, n);
	if (r < 0)
		log_debug("no thread that looks for files without a name: %s", strerror(-r));
	fs->nameless = n;
}

void nameless_stop(struct fs *fs)
{
	if (fs->nameless == NULL)
		return;
	background_stop(&fs->nameless->bg);
	background_done(&fs->nameless->bg);
	free(fs->nameless);
	fs->nameless = NULL;
}
