/* SPDX-License-Identifier: Apache-2.0 */
/* Writing a layer's tree into an index. */
#include "layer/indexed_write.h"

#include <errno.h>
#include <string.h>

/*
 * Directories are numbered breadth first, children in the order of their names' bytes, so that the
 * names come out sorted by (number of the directory, name) and the records by number, as the index wants them.
 */
#define HEAD_KEY "head"

/* A growing array of pointers. */
struct list {
	void **v;
	size_t n, cap;
};

static void list_done(struct list *l)
{
	free(l->v);
}
DEFINE_CLEANUP(struct list, list, list_done)

static int list_add(struct list *l, void *p)
{
	if (l->n == l->cap) {
		size_t cap = l->cap == 0 ? 64 : l->cap * 2;
		void **v = reallocarray(l->v, cap, sizeof(*v));

		if (v == NULL)
			return -ENOMEM;
		l->v = v;
		l->cap = cap;
	}
	l->v[l->n++] = p;
	return 0;
}

struct writing {
	struct index_builder *b;
	struct list dirs;   /* struct apply_name, by number */
	struct list inodes; /* struct apply_inode, by number */
	bool ordered;	    /* somebody will ask for the order of the archive */
};

static void writing_done(struct writing *w)
{
	list_done(&w->dirs);
	list_done(&w->inodes);
}
DEFINE_CLEANUP(struct writing, writing, writing_done)

static int number(struct writing *w, struct apply_inode *inode)
{
	if (inode->rec.attr.ino != 0)
		return 0;
	if (w->inodes.n >= INDEX_INO_MAX)
		return -EFBIG;
	inode->rec.attr.ino = w->inodes.n + 1;
	if (!S_ISDIR(inode->rec.attr.mode) && (inode->rec.flags & INDEX_LOWER) == 0)
		inode->rec.attr.nlink = inode->n_names;
	return list_add(&w->inodes, inode);
}

/* A record in its only name, or under its number. */
static bool has_own_record(const struct apply_inode *inode)
{
	return S_ISDIR(inode->rec.attr.mode) || inode->n_names > 1 ||
	       (inode->rec.flags & INDEX_LOWER) != 0;
}

static int write_name(struct writing *w, uint64_t parent, struct apply_name *n)
{
	struct apply_inode *inode = n->inode;
	const struct index_rec *rec = inode != NULL ? &inode->rec : NULL;
	uint64_t seq = w->ordered ? indexed_place(n) : 0;
	int r;

	if (inode == NULL)
		return index_put_whiteout(w->b, parent, n->text, n->len);
	r = number(w, inode);
	if (r == 0 && S_ISDIR(rec->attr.mode))
		r = list_add(&w->dirs, n);
	if (r < 0)
		return r;
	if (!has_own_record(inode))
		return index_put_name(w->b, parent, n->text, n->len, seq, rec);
	return index_put_link(w->b, parent, n->text, n->len, seq, rec->attr.ino,
			      attr_dtype(rec->attr.mode));
}

static int compare_names(const void *a, const void *b)
{
	const struct apply_name *x = *(void *const *)a, *y = *(void *const *)b;
	int diff = memcmp(x->text, y->text, x->len < y->len ? x->len : y->len);

	return diff != 0 ? diff : (x->len > y->len) - (x->len < y->len);
}

static bool is_shown(const struct apply_name *n)
{
	return n->inode != NULL || n->whiteout;
}

/* Reserved names are never shown, and count as no links. Those to what they have were made. */
static void drop_reserved(struct apply *a)
{
	for (struct apply_name *n = a->root; n != NULL; n = apply_next(a->root, n))
		if (n->inode != NULL && strncmp(n->text, ".wh..wh.", 8) == 0)
			apply_set(a, n, NULL);
}

static int write_dir(struct writing *w, struct apply_name *dir)
{
	CLEANUP(list) struct list children = {0};
	uint32_t subdirs = 0;
	int r = 0;

	for (struct apply_name *n = dir->child; r == 0 && n != NULL; n = n->sibling) {
		if (is_shown(n))
			r = list_add(&children, n);
		subdirs += is_shown(n) && apply_is_dir(n);
	}
	dir->inode->rec.attr.nlink = 2 + subdirs;
	if (r == 0 && children.n > 0)
		qsort(children.v, children.n, sizeof(*children.v), compare_names);
	for (size_t i = 0; r == 0 && i < children.n; i++) {
		struct apply_name *n = children.v[i];

		/* A directory that was deleted and made anew hides what is below it. */
		if (n->whiteout && apply_is_dir(n))
			n->inode->rec.flags |= INDEX_OPAQUE;
		r = write_name(w, dir->inode->rec.attr.ino, n);
	}
	return r;
}

static int write_records(struct writing *w)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < w->inodes.n; i++) {
		const struct apply_inode *inode = w->inodes.v[i];

		if (has_own_record(inode))
			r = index_put_inode(w->b, &inode->rec);
	}
	for (size_t i = 0; r == 0 && i < w->inodes.n; i++) {
		const struct apply_inode *inode = w->inodes.v[i];

		for (struct apply_xattr *x = inode->xattrs; r == 0 && x != NULL; x = x->next)
			r = index_put_xattr(w->b, inode->rec.attr.ino, x->name, x->value, x->len);
	}
	return r;
}

static void put_digest(struct buf *out, const struct digest *d)
{
	char text[DIGEST_TEXT_MAX];

	if (d->alg != DIGEST_NONE)
		digest_format(d, text);
	else
		text[0] = '\0';
	buf_put_u8(out, (uint8_t)strlen(text));
	buf_put_str(out, text);
}

static int write_head(const struct indexed_head *head, struct index_builder *b)
{
	CLEANUP(buf) struct buf out = {0};

	buf_put_u32(&out, INDEXED_HEAD_VERSION);
	buf_put_u32(&out, head->flags);
	buf_put_u32(&out, head->compression);
	buf_put_u64(&out, head->blob_size);
	buf_put_u64(&out, head->size);
	buf_put_u64(&out, head->n_names);
	buf_put_u64(&out, head->frames_size);
	put_digest(&out, &head->diff_id);
	put_digest(&out, &head->blob);
	put_digest(&out, &head->chain);
	buf_put_u8(&out, N_APPLY_FAULTS);
	for (size_t i = 0; i < N_APPLY_FAULTS; i++)
		buf_put_u64(&out, head->faults[i]);
	if (!buf_ok(&out))
		return -ENOMEM;
	return index_put_super(b, HEAD_KEY, out.data, out.len);
}

static uint64_t count_names(const struct apply *a)
{
	uint64_t n = 0;

	for (const struct apply_inode *i = a->inodes; i != NULL; i = i->next)
		n += i->n_names;
	return n;
}

int indexed_write(struct apply *a, struct indexed_head *head, struct index_builder *b)
{
	CLEANUP(writing)
	struct writing w = {
		.b = b,
		.ordered = (head->flags & (INDEXED_IMPLICIT | INDEXED_PENDING)) != 0,
	};
	int r;

	for (struct apply_inode *i = a->inodes; i != NULL; i = i->next)
		i->rec.attr.ino = 0;
	drop_reserved(a);
	memcpy(head->faults, a->faults, sizeof(head->faults));
	head->n_names = count_names(a);
	r = write_head(head, b);
	if (r == 0)
		r = number(&w, a->root->inode);
	if (r == 0)
		r = list_add(&w.dirs, a->root);
	for (size_t i = 0; r == 0 && i < w.dirs.n; i++)
		r = write_dir(&w, w.dirs.v[i]);
	return r < 0 ? r : write_records(&w);
}
