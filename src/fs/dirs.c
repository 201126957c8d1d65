/* SPDX-License-Identifier: Apache-2.0 */
/* Listings: the catalog's names and the layers' names, two sorted streams merged into one. */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "fs/private.h"

/*
 * Both streams are in the order of (hash of the name, name), and the upper 31 bits of the hash are the cookie: it stays
 * true while names come and go, needs no state between two calls, and has room in the off_t of programs of 32 bits, which
 * cannot read a directory with larger ones. In a directory of a million names some hundred pairs share a cookie. They are
 * given together, and all of them but the last carry the cookie before: who stops among them sees some of them again
 * rather than losing some. Those that do not fit in an answer together get wide cookies: the hash itself.
 */
#define COOKIE_DOT    1
#define COOKIE_DOTDOT 2
#define COOKIE_MAX    ((uint64_t)INT32_MAX)
#define PIECE	      256 /* names fetched from the catalog at a time */
#define TOGETHER      8	  /* names with one cookie; more have been made to collide */

static uint64_t cookie_of(uint64_t hash)
{
	uint64_t cookie = hash >> 32;

	if (cookie <= COOKIE_DOTDOT)
		return COOKIE_DOTDOT + 1;
	/* Larger ones than 2^63 are in broken catalogs only. */
	return cookie < COOKIE_MAX ? cookie : COOKIE_MAX;
}

/* As the hash of a name that does not share its cookie with others: there are not any so low. */
static uint64_t wide_cookie_of(uint64_t hash)
{
	return hash > COOKIE_MAX ? hash : COOKIE_DOTDOT;
}

/* What follows COOKIE are names with greater hashes than this. */
static uint64_t hash_at(uint64_t cookie)
{
	if (cookie <= COOKIE_DOTDOT)
		return 0;
	if (cookie > COOKIE_MAX)
		return cookie;
	return cookie < COOKIE_MAX ? cookie << 32 | UINT32_MAX : UINT64_MAX;
}

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
	bool emitted;	 /* something, in this call */
	uint64_t inside; /* the cookie of names some of which were given by wide ones; 0: none */
	fs_emit *emit;
	void *arg;
};

/* Names that share a cookie, ready to be given. */
struct group {
	struct listing *l;
	size_t n;
	bool whole;		       /* no more of them follow */
	uint64_t hashes[TOGETHER + 1]; /* and of the name that follows; 0: the end */
	struct fs_dirent entries[TOGETHER];
	struct attr attrs[TOGETHER];
	struct inode *inodes[TOGETHER]; /* owned, until their look-ups are counted; NULL: none */
	char text[TOGETHER][NAME_MAX + 1];
};

static void group_done(struct group *g)
{
	for (size_t i = 0; i < g->n; i++)
		if (g->inodes[i] != NULL)
			inode_put(g->l->fs, steal_ptr(&g->inodes[i]));
	g->n = 0;
}
DEFINE_CLEANUP(struct group, group, group_done)

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
static int emit_dots(struct listing *l, uint64_t after)
{
	struct fs_dirent e = {.cookie = COOKIE_DOT, .name = ".", .len = 1, .dtype = DT_DIR};
	uint64_t above;
	int r;

	e.ino = shown_ino(l->fs, l->dir->ino);
	if (after < COOKIE_DOT && !l->emit(l->arg, &e, 1))
		return 0;
	l->emitted = after < COOKIE_DOT;
	if (after >= COOKIE_DOTDOT)
		return 1;
	r = parent_ino(l->fs, l->dir, &above);
	if (r < 0)
		return r;
	e = (struct fs_dirent){.cookie = COOKIE_DOTDOT, .name = "..", .len = 2, .dtype = DT_DIR};
	e.ino = shown_ino(l->fs, above);
	if (!l->emit(l->arg, &e, 1))
		return 0;
	l->emitted = true;
	return 1;
}

/* Attributes of a name: by its entry where the catalog has one, else by the layers. */
static int resolve_name(const struct listing *l, const struct name *name, struct inode **ret_inode,
			struct attr *ret_attr)
{
	if (name->listed == NULL)
		return inode_of_entry(l->fs, name->ino, ret_inode, ret_attr);
	return name_resolve_listed(l->fs, l->dir, l->list, name->listed, ret_inode, ret_attr);
}

/* Puts NAME into G; one that is gone by now is left out. */
static int group_add_plus(struct group *g, const struct name *name, struct fs_dirent *e)
{
	CLEANUP(held) struct held h = {g->l->fs, NULL};
	struct attr *attr = &g->attrs[g->n];
	int r = resolve_name(g->l, name, &h.inode, attr);

	if (r == -ENOENT)
		return 0;
	if (r == 0) {
		attr_show(g->l->fs, attr);
		e->attr = attr;
		e->ino = h.inode->ino;
		e->dtype = attr_dtype(attr->mode);
	} else {
		/* One that cannot be looked at is listed without attributes: asking for it will tell why. */
		e->ino = name->ino != 0 ? shown_ino(g->l->fs, name->ino) : FS_ROOT_INO;
	}
	g->inodes[g->n++] = steal_ptr(&h.inode);
	return 0;
}

static int group_add_plain(struct group *g, const struct name *name, struct fs_dirent *e)
{
	CLEANUP(held) struct held h = {g->l->fs, NULL};
	struct attr attr = {.ino = name->ino};
	int r;

	if (name->ino == 0) {
		r = resolve_name(g->l, name, &h.inode, &attr);
		if (r < 0)
			return r == -ENOENT ? 0 : r;
		e->dtype = attr_dtype(attr.mode);
	}
	e->ino = shown_ino(g->l->fs, attr.ino);
	g->inodes[g->n++] = NULL;
	return 0;
}

static int group_add(struct group *g, const struct name *name)
{
	struct fs_dirent *e = &g->entries[g->n];
	char *text = g->text[g->n];

	memcpy(text, name->text, name->len);
	text[name->len] = '\0';
	*e = (struct fs_dirent){.name = text, .len = name->len, .dtype = name->dtype};
	g->hashes[g->n] = name->hash;
	return g->l->plus ? group_add_plus(g, name, e) : group_add_plain(g, name, e);
}

/* Fills G with NEXT and the names after it that share its cookie. RET_NEXT is the one that follows: as walk_next(). */
static int group_fill(struct group *g, struct walk *w, struct name *next)
{
	uint64_t cookie = cookie_of(next->hash);
	int r, more;

	g->n = 0;
	do {
		r = group_add(g, next);
		more = r < 0 ? r : walk_next(w, next);
		g->whole = more <= 0 || cookie_of(next->hash) != cookie;
	} while (!g->whole && g->n < TOGETHER);
	g->hashes[g->n] = more > 0 ? next->hash : 0;
	return more;
}

/* Gives N names of G from FIRST on; false when the caller has enough. */
static bool group_emit(struct group *g, size_t first, size_t n)
{
	struct listing *l = g->l;

	if (!l->emit(l->arg, &g->entries[first], n))
		return false;
	l->emitted = true;
	for (size_t i = first; i < first + n; i++)
		if (g->inodes[i] != NULL)
			inodes_keep(&l->fs->inodes, steal_ptr(&g->inodes[i]));
	return true;
}

/* One after the other: there are too many of them for one answer. */
static bool group_emit_each(struct group *g)
{
	g->l->inside = cookie_of(g->hashes[0]);
	for (size_t i = 0; i < g->n; i++) {
		uint64_t hash = g->hashes[i];

		if (i + 1 == g->n && g->whole)
			g->entries[i].cookie = cookie_of(hash);
		else
			g->entries[i].cookie = wide_cookie_of(g->hashes[i + 1] == hash ? hash - 1
										       : hash);
		if (!group_emit(g, i, 1))
			return false;
	}
	return true;
}

static bool group_emit_all(struct group *g)
{
	uint64_t cookie = cookie_of(g->hashes[0]);

	if (g->n == 0)
		return true;
	/* The cookie before would lead to those of them that were given already. */
	if (!g->whole || g->l->inside == cookie)
		return group_emit_each(g);
	for (size_t i = 0; i < g->n; i++)
		g->entries[i].cookie = i + 1 < g->n ? cookie - 1 : cookie;
	if (group_emit(g, 0, g->n))
		return true;
	return g->n > 1 && !g->l->emitted && group_emit_each(g);
}

static int list(struct listing *l, uint64_t after)
{
	CLEANUP(walk) struct walk w = {0};
	CLEANUP(group) struct group g = {.l = l};
	struct name next;
	int more, r = emit_dots(l, after);

	if (r <= 0)
		return r;
	l->inside = after > COOKIE_MAX ? cookie_of(after) : 0;
	r = walk_start(&w, l->fs, l->dir, hash_at(after));
	l->list = w.list;
	l->any_dir = w.list != NULL && w.list->any_dir;
	more = r < 0 ? r : walk_next(&w, &next);
	w.ended = more == 0;
	while (more > 0) {
		more = group_fill(&g, &w, &next);
		if (more < 0)
			break;
		if (!group_emit_all(&g))
			return 0;
	}
	return more;
}

static int read_dir(struct fs *fs, uint64_t ino, uint64_t cookie, bool plus, fs_emit *emit,
		    void *arg)
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

int fs_readdir(struct fs *fs, uint64_t ino, uint64_t cookie, fs_emit *emit, void *arg)
{
	return read_dir(fs, ino, cookie, false, emit, arg);
}

int fs_readdirplus(struct fs *fs, uint64_t ino, uint64_t cookie, fs_emit *emit, void *arg)
{
	return read_dir(fs, ino, cookie, true, emit, arg);
}
