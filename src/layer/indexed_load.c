/* SPDX-License-Identifier: Apache-2.0 */
/* Reading an index back into a tree in memory. */
#include <dirent.h>
#include <errno.h>
#include <string.h>

#include "base/hash.h"
#include "layer/indexed_write.h"

#define HEAD_KEY "head"

static int read_digest(struct reader *r, struct digest *ret_d)
{
	size_t len = read_u8(r);
	const char *text = read_bytes(r, len);

	*ret_d = (struct digest){0};
	if (text == NULL)
		return -EUCLEAN;
	return len == 0 ? 0 : digest_parse(text, len, ret_d);
}

static int read_faults(struct reader *r, struct indexed_head *head)
{
	size_t n = read_u8(r);

	for (size_t i = 0; i < n; i++) {
		uint64_t count = read_u64(r);

		if (i < N_APPLY_FAULTS)
			head->faults[i] = count;
	}
	return reader_end(r) ? 0 : -EUCLEAN;
}

int indexed_read_head(struct index_file *x, struct indexed_head *ret_head)
{
	CLEANUP(buf) struct buf bytes = {0};
	struct indexed_head head = {0};
	struct reader r;
	int rc = index_file_super(x, HEAD_KEY, &bytes);

	if (rc < 0)
		return rc == -ENOENT ? -EUCLEAN : rc;
	r = reader_of(bytes.data, bytes.len);
	if (read_u32(&r) != INDEXED_HEAD_VERSION)
		return -EUCLEAN;
	head.flags = read_u32(&r);
	head.compression = read_u32(&r);
	head.blob_size = read_u64(&r);
	head.size = read_u64(&r);
	head.n_names = read_u64(&r);
	head.frames_size = read_u64(&r);
	if (read_digest(&r, &head.diff_id) < 0 || read_digest(&r, &head.blob) < 0 ||
	    read_digest(&r, &head.chain) < 0 || read_faults(&r, &head) < 0)
		return -EUCLEAN;
	*ret_head = head;
	return 0;
}

/* ---- the tree ---- */

/* Inodes that were read, by their numbers: names of one share it. */
struct loaded {
	struct table_node node;
	uint64_t ino;
	struct apply_inode *inode;
};

struct loading {
	struct index_file *x;
	struct apply *a;
	struct table inodes;	  /* owned; struct loaded, owned */
	struct apply_name **dirs; /* owned; still to be listed */
	size_t n_dirs, cap;
};

static void free_loaded(struct table_node *node, void *arg)
{
	(void)arg;
	free(table_entry(node, struct loaded, node));
}

static void loading_done(struct loading *l)
{
	table_each(&l->inodes, free_loaded, NULL);
	table_done(&l->inodes);
	free(l->dirs);
}
DEFINE_CLEANUP(struct loading, loading, loading_done)

static struct loaded *find_loaded(const struct loading *l, uint64_t ino)
{
	struct table_node *t;

	for (t = table_first(&l->inodes, hash_number(ino)); t != NULL; t = table_next(t)) {
		struct loaded *d = table_entry(t, struct loaded, node);

		if (d->ino == ino)
			return d;
	}
	return NULL;
}

static int load_xattrs(struct loading *l, uint64_t ino, struct apply_inode *inode)
{
	CLEANUP(buf) struct buf names = {0};
	int r = index_file_xattr_names(l->x, ino, &names);

	for (size_t at = 0; r == 0 && at < names.len;) {
		const char *name = (const char *)names.data + at;
		ssize_t len = index_file_xattr(l->x, ino, name, NULL, 0);
		CLEANUP(free) void *value = malloc(len > 0 ? (size_t)len : 1);

		if (len < 0 || value == NULL)
			return len < 0 ? (int)len : -ENOMEM;
		if (len > 0)
			len = index_file_xattr(l->x, ino, name, value, (size_t)len);
		r = len < 0 ? (int)len : apply_xattr_set(inode, name, value, (size_t)len);
		at += strlen(name) + 1;
	}
	return r;
}

/* REC is taken over. */
static int load_inode(struct loading *l, struct index_rec *rec, struct apply_inode **ret_inode)
{
	uint64_t ino = rec->attr.ino;
	struct loaded *d = find_loaded(l, ino);

	if (d != NULL) {
		/* A directory has one name, or it could be below itself. */
		*ret_inode = d->inode;
		return S_ISDIR(rec->attr.mode) ? -EUCLEAN : 0;
	}
	d = calloc(1, sizeof(*d));
	if (d == NULL)
		return -ENOMEM;
	d->ino = ino;
	d->inode = apply_inode_new(l->a);
	if (d->inode == NULL) {
		free(d);
		return -ENOMEM;
	}
	d->inode->rec = *rec;
	*rec = (struct index_rec){0};
	*ret_inode = d->inode;
	table_add(&l->inodes, &d->node, hash_number(ino));
	return (d->inode->rec.flags & INDEX_HAS_XATTRS) ? load_xattrs(l, ino, d->inode) : 0;
}

static int later(struct loading *l, struct apply_name *dir)
{
	if (l->n_dirs == l->cap) {
		size_t cap = l->cap == 0 ? 64 : l->cap * 2;
		struct apply_name **dirs = reallocarray(l->dirs, cap, sizeof(struct apply_name *));

		if (dirs == NULL)
			return -ENOMEM;
		l->dirs = dirs;
		l->cap = cap;
	}
	l->dirs[l->n_dirs++] = dir;
	return 0;
}

static int load_name(struct loading *l, struct apply_name *dir, const char *text, uint64_t place)
{
	const uint64_t seq = place >> INDEXED_PLACE_SHIFT;
	CLEANUP(index_rec) struct index_rec rec = {0};
	struct apply_inode *inode = NULL;
	struct apply_name *name;
	int r = index_file_lookup(l->x, dir->inode->rec.attr.ino, text, strlen(text), &rec);

	if (r < 0)
		return r;
	name = apply_name_in(l->a, dir, text, strlen(text));
	if (name == NULL)
		return -ENOMEM;
	name->whiteout = rec.attr.ino == 0 || (place & INDEXED_PLACE_WHITEOUT) != 0;
	if (rec.attr.ino == 0)
		return 0;
	r = load_inode(l, &rec, &inode);
	if (r < 0)
		return r;
	apply_set(l->a, name, inode);
	name->seq = seq;
	if (l->a->seq < seq)
		l->a->seq = seq;
	if (!apply_is_dir(name))
		return 0;
	return name->depth <= APPLY_DEPTH_MAX ? later(l, name) : -EUCLEAN;
}

/* Its indexed_place(), and the name with its NUL. */
static int add_name(void *arg, const struct index_name *name)
{
	struct buf *names = arg;

	if (memchr(name->name, '\0', name->len) != NULL)
		return -EUCLEAN;
	buf_put_u64(names, name->seq);
	buf_put(names, name->name, name->len + 1);
	return buf_ok(names) ? 0 : -ENOMEM;
}

static int load_dir(struct loading *l, struct apply_name *dir)
{
	CLEANUP(buf) struct buf names = {0};
	int r = index_file_list(l->x, dir->inode->rec.attr.ino, add_name, &names);
	struct reader at = reader_of(names.data, names.len);

	while (r == 0 && at.left > 0) {
		uint64_t place = read_u64(&at);
		const char *text = (const char *)at.p;

		read_bytes(&at, strlen(text) + 1);
		r = load_name(l, dir, text, place);
	}
	return r;
}

int indexed_load(struct index_file *x, struct apply *a)
{
	CLEANUP(loading) struct loading l = {.x = x, .a = a};
	CLEANUP(index_rec) struct index_rec rec = {0};
	struct apply_inode *root;
	int r = table_init(&l.inodes);

	if (r == 0)
		r = index_file_inode(x, INDEX_ROOT_INO, &rec);
	if (r == 0 && !S_ISDIR(rec.attr.mode))
		r = -EUCLEAN;
	if (r == 0)
		r = load_inode(&l, &rec, &root);
	if (r < 0)
		return r == -ENOENT ? -EUCLEAN : r;
	apply_set(a, a->root, root);
	r = later(&l, a->root);
	while (r == 0 && l.n_dirs > 0)
		r = load_dir(&l, l.dirs[--l.n_dirs]);
	return r;
}
