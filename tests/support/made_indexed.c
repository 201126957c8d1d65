/* SPDX-License-Identifier: Apache-2.0 */
/* An image's layer made of another layer's tree. */
#include "support/made_indexed.h"

#include <criterion/criterion.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>

#include "base/sys.h"

enum { MAX_LINKS = 64 };

struct making {
	struct layer *from;
	struct apply *a;
	int fd; /* the archive: bytes of files back to back */
	uint64_t end;
	struct {
		uint64_t ino;
		struct apply_inode *inode;
	} links[MAX_LINKS];
	size_t n_links;
};

/* A directory that is being made. */
struct place {
	struct layer_dir *dir;
	struct apply_name *name;
};

static void put_bytes(struct making *m, const struct place *at, const char *name,
		      struct index_rec *rec)
{
	CLEANUP(layer_file) struct layer_file *f = NULL;
	static char bytes[1 << 16];
	off_t off = 0, end;
	bool holes = false;

	cr_assert_eq(layer_open(m->from, at->dir, name, &f), 0);
	/* A byte that belongs to nobody: no file begins at 0 by chance. */
	m->end++;
	rec->data_off = m->end;
	rec->extents = calloc(16, sizeof(*rec->extents));
	while ((off = layer_file_seek(f, off, SEEK_DATA)) >= 0) {
		end = layer_file_seek(f, off, SEEK_HOLE);
		cr_assert_lt(rec->n_extents, 16);
		rec->extents[rec->n_extents++] = (struct index_extent){(uint64_t)off, m->end,
								       (uint64_t)(end - off)};
		holes |= rec->n_extents > 1 || off > 0 || (uint64_t)end < rec->attr.size;
		while (off < end) {
			size_t left = (size_t)(end - off);
			ssize_t n = layer_file_read(
				f, bytes, left < sizeof(bytes) ? left : sizeof(bytes), off);

			cr_assert_gt(n, 0);
			cr_assert_eq(sys_pwrite_full(m->fd, bytes, (size_t)n, (off_t)m->end), 0);
			off += n;
			m->end += (uint64_t)n;
		}
	}
	if (!holes) {
		free(steal_ptr(&rec->extents));
		rec->n_extents = 0;
	}
}

static void put_xattrs(struct making *m, const struct place *at, const char *name,
		       struct apply_inode *inode)
{
	CLEANUP(buf) struct buf names = {0};
	char value[4096];
	size_t i;

	cr_assert_eq(layer_listxattr(m->from, at->dir, name, &names), 0);
	for (i = 0; i < names.len; i += strlen((char *)names.data + i) + 1) {
		const char *xattr = (const char *)names.data + i;
		ssize_t n = layer_getxattr(m->from, at->dir, name, xattr, value, sizeof(value));

		cr_assert_geq(n, 0, "%s", xattr);
		cr_assert_eq(apply_xattr_set(inode, xattr, value, (size_t)n), 0);
	}
}

static struct apply_inode *linked(struct making *m, uint64_t ino)
{
	for (size_t i = 0; i < m->n_links; i++)
		if (m->links[i].ino == ino)
			return m->links[i].inode;
	return NULL;
}

static struct apply_inode *put_inode(struct making *m, const struct place *at, const char *name,
				     const struct layer_entry *e)
{
	struct apply_inode *inode = apply_inode_new(m->a);
	char target[PATH_MAX];

	cr_assert_not_null(inode);
	inode->rec.attr = e->attr;
	inode->rec.attr.ino = 0;
	if (e->flags & LAYER_OPAQUE)
		inode->rec.flags |= INDEX_OPAQUE;
	put_xattrs(m, at, name, inode);
	if (S_ISREG(e->attr.mode))
		put_bytes(m, at, name, &inode->rec);
	if (S_ISLNK(e->attr.mode)) {
		cr_assert_gt(layer_readlink(m->from, at->dir, name, target, sizeof(target)), 0);
		inode->rec.text = strdup(target);
	}
	if (!S_ISDIR(e->attr.mode) && e->attr.nlink > 1) {
		cr_assert_lt(m->n_links, MAX_LINKS);
		m->links[m->n_links].ino = e->attr.ino;
		m->links[m->n_links++].inode = inode;
	}
	return inode;
}

static void put_names(struct making *m, const struct place *at)
{
	CLEANUP(layer_list) struct layer_list list = {0};
	size_t i;

	cr_assert_eq(layer_readdir(m->from, at->dir, &list), 0);
	for (i = 0; i < list.n; i++) {
		const char *text = (const char *)list.text.data + list.names[i].off;
		struct apply_name *name = apply_name_in(m->a, at->name, text, strlen(text));
		struct layer_entry e = {0};
		struct apply_inode *inode;

		cr_assert_not_null(name);
		cr_assert_eq(layer_lookup(m->from, at->dir, text, &e), 0, "%s", text);
		cr_assert_eq(e.flags & (LAYER_REDIRECT | LAYER_METACOPY), 0, "%s", text);
		if (e.flags & LAYER_WHITEOUT) {
			name->whiteout = true;
			continue;
		}
		inode = linked(m, e.attr.ino);
		if (inode == NULL)
			inode = put_inode(m, at, text, &e);
		apply_set(m->a, name, inode);
		if (e.dir != NULL) {
			struct place inside = {e.dir, name};

			put_names(m, &inside);
		}
		layer_entry_done(m->from, &e);
	}
}

struct index_file *made_index(struct apply *a, struct indexed_head *head)
{
	CLEANUP(index_builder) struct index_builder *b = NULL;
	CLEANUP(err) struct err err = {0};
	CLEANUP(fd) int fd = memfd_create("index", MFD_CLOEXEC);
	struct index_file *x = NULL;

	cr_assert_eq(index_builder_new(fd, &b), 0);
	cr_assert_eq(indexed_write(a, head, b), 0);
	cr_assert_eq(index_finish(b, false), 0);
	cr_assert_eq(index_file_open(steal_fd(&fd), "index", &x, &err), 0, "%s", err_text(&err));
	return x;
}

struct layer *made_indexed(struct layer *from)
{
	struct apply_options options = {0};
	CLEANUP(apply) struct apply *a = NULL;
	CLEANUP(err) struct err err = {0};
	struct making m = {.from = from, .fd = memfd_create("archive", MFD_CLOEXEC)};
	struct indexed_head head = {0};
	struct indexed_parts parts = {0};
	struct layer_entry e = {0};
	struct place root = {0};
	struct layer *l = NULL;

	cr_assert_eq(apply_new(&options, &a), 0);
	m.a = a;
	root.name = a->root;
	cr_assert_eq(layer_root(from, &root.dir), 0);
	cr_assert_eq(layer_dir_entry(from, root.dir, &e), 0);
	apply_set(a, a->root, put_inode(&m, &root, NULL, &e));
	put_names(&m, &root);
	layer_entry_done(from, &e);
	layer_dir_unref(from, root.dir);
	cr_assert_eq(sys_ftruncate(m.fd, (off_t)m.end), 0);
	head.size = head.blob_size = m.end;
	parts.names = made_index(a, &head);
	cr_assert_eq(blob_of_fd(m.fd, &parts.stored), 0);
	cr_assert_eq(layer_open_indexed(&parts, "indexed", &l, &err), 0, "%s", err_text(&err));
	return l;
}
