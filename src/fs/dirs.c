/* SPDX-License-Identifier: Apache-2.0 */
/* Listings: the catalog's names and the layers' names, two sorted streams merged into one. */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "fs/private.h"

/*
 * Both streams are in the order of (hash of the name, name), and the hash is the cookie: it stays
 * true while names come and go, and needs no state between two calls. Names with one hash share a
 * cookie, so all of them but the last carry the cookie before: who stops among them sees some of
 * them again rather than losing some.
 */
#define COOKIE_DOT    1
#define COOKIE_DOTDOT 2
#define PIECE	      256 /* names fetched from the catalog at a time */

struct name {
	const char *text; /* not NUL-terminated */
	uint16_t len;
	uint64_t hash;
	uint64_t ino; /* 0: a look-up will tell */
	uint8_t dtype;
	const struct union_name *listed; /* in the layers' stream; NULL: the catalog's */
};

struct walk {
	struct fs *fs;
	struct inode *dir;
	struct catalog_names piece; /* the catalog's stream */
	size_t at_piece;
	const struct union_list *list; /* the layers' stream; NULL: none */
	size_t at_list;
	bool ended; /* the caller asked for what follows the last name */
};

static void walk_done(struct walk *w)
{
	catalog_names_done(&w->piece);
	if (w->list != NULL && w->ended)
		union_list_end(w->dir->dir, w->list);
	else if (w->list != NULL)
		union_list_put(w->dir->dir, w->list);
	w->list = NULL;
}
DEFINE_CLEANUP(struct walk, walk, walk_done)

/* First index whose hash is greater than AFTER. */
static size_t list_find(const struct union_list *l, uint64_t after)
{
	size_t low = 0, high = l->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (l->names[mid].hash > after)
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

static int next_piece(struct walk *w, uint64_t after)
{
	w->at_piece = 0;
	return catalog_list(w->fs->catalog, w->dir->ino, after, PIECE, &w->piece);
}

static int walk_start(struct walk *w, struct fs *fs, struct inode *dir, uint64_t after)
{
	int r;

	w->fs = fs;
	w->dir = dir;
	w->piece.end = true;
	if (dir->dir != NULL && !inode_removed(dir)) {
		r = union_list_get(dir->dir, &w->list);
		if (r < 0)
			return r;
		w->at_list = list_find(w->list, after);
	}
	return fs->catalog != NULL ? next_piece(w, after) : 0;
}

/* The catalog's next name; NULL at the end. */
static int peek_catalog(struct walk *w, const struct catalog_name **ret_name)
{
	*ret_name = NULL;
	if (w->at_piece == w->piece.n && !w->piece.end) {
		int r = next_piece(w, w->piece.n > 0 ? w->piece.names[w->piece.n - 1].hash : 0);

		if (r < 0)
			return r;
	}
	if (w->at_piece < w->piece.n)
		*ret_name = &w->piece.names[w->at_piece];
	return 0;
}

static const char *text_of(const struct walk *w, const struct catalog_name *c)
{
	return (const char *)w->piece.text.data + c->name_off;
}

/* Order of the two streams' heads: as memcmp, by hash and then by name. */
static int compare(const struct walk *w, const struct catalog_name *c, const struct union_name *u)
{
	int order;

	if (c->hash != u->hash)
		return c->hash < u->hash ? -1 : 1;
	order = memcmp(text_of(w, c), u->name, c->name_len < u->len ? c->name_len : u->len);
	return order != 0 ? order : (int)c->name_len - (int)u->len;
}

/*
 * The next visible name: 1, 0 at the end, or -errno. RET_NAME's text is valid until the next call.
 * Where both streams have a name the catalog's counts: it is what was copied up, or a whiteout.
 */
static int walk_next(struct walk *w, struct name *ret_name)
{
	for (;;) {
		const struct union_name *u = NULL;
		const struct catalog_name *c;
		int r = peek_catalog(w, &c), order;

		if (r < 0)
			return r;
		if (w->list != NULL && w->at_list < w->list->n)
			u = &w->list->names[w->at_list];
		if (c == NULL && u == NULL)
			return 0;
		order = u == NULL ? -1 : c == NULL ? 1 : compare(w, c, u);
		if (order >= 0)
			w->at_list++;
		if (order > 0) {
			*ret_name = (struct name){u->name, u->len, u->hash, u->ino, u->dtype, u};
			return 1;
		}
		w->at_piece++;
		if (entry_is_whiteout(&c->entry))
			continue;
		*ret_name = (struct name){text_of(w, c), c->name_len,	 c->hash,
					  c->entry.ino,	 c->entry.dtype, NULL};
		return 1;
	}
}

int dir_check_empty(struct fs *fs, struct inode *dir)
{
	CLEANUP(walk) struct walk w = {0};
	struct name name;
	int r = walk_start(&w, fs, dir, 0);

	if (r == 0)
		r = walk_next(&w, &name);
	return r > 0 ? -ENOTEMPTY : r;
}

/* One call of fs_readdir() or fs_readdirplus(). */
struct listing {
	struct fs *fs;
	struct inode *dir;
	const struct union_list *list; /* the layers'; borrowed from the walk */
	bool any_dir;		       /* are there directories in it */
	bool plus;
	bool (*emit)(void *arg, const struct fs_dirent *entry);
	void *arg;
};

static uint64_t shown_ino(const struct fs *fs, uint64_t ino)
{
	struct attr attr = {.ino = ino};

	attr_show(fs, &attr);
	return attr.ino;
}

static int parent_ino(struct fs *fs, struct inode *dir, uint64_t *ret_ino)
{
	CLEANUP(inode_rec) struct inode_rec rec = {0};
	struct union_dir *above;
	int r = record_load(fs, dir->ino, &rec);

	if (r < 0 && r != -ENOENT)
		return r;
	*ret_ino = FS_ROOT_INO;
	if (r == 0 && rec.parent != 0)
		*ret_ino = rec.parent;
	if (r == -ENOENT && dir->dir != NULL) {
		above = union_dir_parent(dir->dir);
		if (above != NULL)
			*ret_ino = fs_dir_ino(fs, above);
	}
	return 0;
}

/* "." and "..": 1 to go on, 0 when EMIT has enough. */
static int emit_dots(const struct listing *l, uint64_t after)
{
	struct fs_dirent e = {.cookie = COOKIE_DOT, .name = ".", .len = 1, .dtype = DT_DIR};
	uint64_t above;
	int r;

	e.ino = shown_ino(l->fs, l->dir->ino);
	if (after < COOKIE_DOT && !l->emit(l->arg, &e))
		return 0;
	if (after >= COOKIE_DOTDOT)
		return 1;
	r = parent_ino(l->fs, l->dir, &above);
	if (r < 0)
		return r;
	e = (struct fs_dirent){.cookie = COOKIE_DOTDOT, .name = "..", .len = 2, .dtype = DT_DIR};
	e.ino = shown_ino(l->fs, above);
	return l->emit(l->arg, &e) ? 1 : 0;
}

/* Attributes of a name: by its entry where the catalog has one, else by the layers. */
static int resolve_name(const struct listing *l, const struct name *name, struct inode **ret_inode,
			struct attr *ret_attr)
{
	if (name->listed == NULL)
		return inode_of_entry(l->fs, name->ino, ret_inode, ret_attr);
	return name_resolve_listed(l->fs, l->dir, l->list, name->listed, ret_inode, ret_attr);
}

static int emit_plus(const struct listing *l, const struct name *name, uint64_t cookie)
{
	CLEANUP(held) struct held h = {l->fs, NULL};
	char text[NAME_MAX + 1];
	struct attr attr;
	struct fs_dirent e = {.cookie = cookie, .name = text, .len = name->len, .attr = &attr};
	int r = resolve_name(l, name, &h.inode, &attr);

	memcpy(text, name->text, name->len);
	text[name->len] = '\0';
	/* A name that cannot be looked at is listed without attributes: asking for it will tell
	 * why. One that is gone by now is not listed. */
	if (r == -ENOENT)
		return 1;
	if (r < 0) {
		e.attr = NULL;
		e.ino = name->ino != 0 ? name->ino : 1;
		e.dtype = name->dtype;
		return l->emit(l->arg, &e) ? 1 : 0;
	}
	attr_show(l->fs, &attr);
	e.ino = h.inode->ino;
	e.dtype = attr_dtype(attr.mode);
	if (!l->emit(l->arg, &e))
		return 0;
	inodes_keep(&l->fs->inodes, steal_ptr(&h.inode));
	return 1;
}

static int emit_name(const struct listing *l, const struct name *name, uint64_t cookie)
{
	CLEANUP(held) struct held h = {l->fs, NULL};
	char text[NAME_MAX + 1];
	struct attr attr = {.ino = name->ino};
	struct fs_dirent e = {
		.cookie = cookie, .name = text, .len = name->len, .dtype = name->dtype};
	int r;

	if (l->plus)
		return emit_plus(l, name, cookie);
	memcpy(text, name->text, name->len);
	text[name->len] = '\0';
	if (name->ino == 0) {
		r = resolve_name(l, name, &h.inode, &attr);
		if (r < 0)
			return r == -ENOENT ? 1 : r;
		e.dtype = attr_dtype(attr.mode);
	}
	e.ino = shown_ino(l->fs, attr.ino);
	return l->emit(l->arg, &e) ? 1 : 0;
}

static int list(struct listing *l, uint64_t after)
{
	CLEANUP(walk) struct walk w = {0};
	struct name name, next;
	char text[NAME_MAX];
	int more, r = emit_dots(l, after);

	if (r <= 0)
		return r;
	r = walk_start(&w, l->fs, l->dir, after > COOKIE_DOTDOT ? after : COOKIE_DOTDOT);
	l->list = w.list;
	l->any_dir = w.list != NULL && w.list->any_dir;
	more = r < 0 ? r : walk_next(&w, &name);
	w.ended = more == 0;
	while (more > 0) {
		/* The next name may replace the piece that this one's text lies in. */
		memcpy(text, name.text, name.len);
		name.text = text;
		more = walk_next(&w, &next);
		if (more < 0)
			break;
		r = emit_name(l, &name,
			      more > 0 && next.hash == name.hash ? name.hash - 1 : name.hash);
		if (r <= 0)
			return r;
		name = next;
	}
	return more;
}

static int read_dir(struct fs *fs, uint64_t ino, uint64_t cookie, bool plus,
		    bool (*emit)(void *arg, const struct fs_dirent *entry), void *arg)
{
	CLEANUP(held) struct held h = {fs, inode_get(fs, ino)};
	struct listing l = {.fs = fs, .dir = h.inode, .plus = plus, .emit = emit, .arg = arg};
	int r;

	if (h.inode == NULL)
		return -ESTALE;
	if (!S_ISDIR(h.inode->type))
		return -ENOTDIR;
	r = list(&l, cookie);
	/* Many go down as soon as they see a directory, and come back for the rest of the names. */
	if (r == 0 && plus && h.inode->dir != NULL)
		union_walked(h.inode->dir, l.any_dir);
	return r;
}

int fs_readdir(struct fs *fs, uint64_t ino, uint64_t cookie,
	       bool (*emit)(void *arg, const struct fs_dirent *entry), void *arg)
{
	return read_dir(fs, ino, cookie, false, emit, arg);
}

int fs_readdirplus(struct fs *fs, uint64_t ino, uint64_t cookie,
		   bool (*emit)(void *arg, const struct fs_dirent *entry), void *arg)
{
	return read_dir(fs, ino, cookie, true, emit, arg);
}
