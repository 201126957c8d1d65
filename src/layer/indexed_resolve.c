/* SPDX-License-Identifier: Apache-2.0 */
/* What of a layer's tree depends on the layers below: implicit directories, and links to files there. */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/hash.h"
#include "layer/indexed_apply.h"

#define LINKS_MAX 40

/* Symbolic links that lead to directories in which others lie: each pass goes one further. */
#define PASSES_MAX 1000

/* A file of the layers below that has a new name, by its number. */
struct lower {
	struct table_node node;
	uint64_t ino;
	struct apply_inode *inode;
};

struct resolving {
	struct apply *a;
	const struct apply_below *below;
	struct table lowers; /* struct lower, owned */
	struct err *err;
};

static void free_lower(struct table_node *node, void *arg)
{
	(void)arg;
	free(table_entry(node, struct lower, node));
}

static void resolving_done(struct resolving *r)
{
	table_each(&r->lowers, free_lower, NULL);
	table_done(&r->lowers);
}
DEFINE_CLEANUP(struct resolving, resolving, resolving_done)

/* ---- the layers below ---- */

/* 1 and RET_ATTR, 0 when there is nothing. */
static int below_stat(const struct resolving *r, const char *path, struct attr *ret_attr)
{
	int rc = r->below != NULL ? r->below->stat(r->below->arg, path, ret_attr) : -ENOENT;

	if (rc == -ENOENT || rc == -ENOTDIR)
		return 0;
	return rc < 0 ? rc : 1;
}

static int below_readlink(const struct resolving *r, const char *path, char target[PATH_MAX])
{
	ssize_t n = r->below->readlink(r->below->arg, path, target, PATH_MAX);

	return n < 0 ? (int)n : 0;
}

static int path_of(const struct apply_name *name, struct buf *out)
{
	const struct apply_name *up[2 * APPLY_DEPTH_MAX + 2];
	size_t n = 0;

	for (; name->parent != NULL; name = name->parent) {
		if (n == sizeof(up) / sizeof(*up))
			return -ENAMETOOLONG;
		up[n++] = name;
	}
	buf_clear(out);
	while (n > 0) {
		buf_put(out, up[n - 1]->text, up[n - 1]->len);
		if (--n > 0)
			buf_put_u8(out, '/');
	}
	return buf_cstr(out) != NULL ? 0 : -ENOMEM;
}

/* Do the layers below show through at NAME? */
static bool is_open_below(const struct apply_name *name)
{
	if (name->whiteout)
		return false;
	for (name = name->parent; name != NULL; name = name->parent)
		if (name->whiteout || !apply_is_dir(name) ||
		    (name->inode->rec.flags & INDEX_OPAQUE) != 0)
			return false;
	return true;
}

/* ---- implicit directories ---- */

static int inherit(struct resolving *r, struct apply_inode *inode, const char *path,
		   const struct attr *attr)
{
	struct attr *to = &inode->rec.attr;

	to->mode = attr->mode & (S_IFMT | 07777);
	to->uid = attr->uid;
	to->gid = attr->gid;
	to->mtime = attr->mtime;
	inode->rec.flags &= ~(uint32_t)INDEX_IMPLICIT;
	return r->below->xattrs(r->below->arg, path, inode);
}

static int resolve_dir(struct resolving *r, struct apply_name *name);

/* The text ahead of a walk; a link's target comes before the rest. */
struct ahead {
	struct buf text;
	size_t at;
	unsigned int links;
};

static void ahead_done(struct ahead *w)
{
	buf_done(&w->text);
}
DEFINE_CLEANUP(struct ahead, ahead, ahead_done)

static int ahead_push(struct ahead *w, const char *target)
{
	struct buf text = {0};

	if (++w->links > LINKS_MAX)
		return -ELOOP;
	buf_put_str(&text, target);
	buf_put_u8(&text, '/');
	if (w->text.len > 0)
		buf_put_str(&text, (const char *)w->text.data + w->at);
	buf_cstr(&text);
	buf_done(&w->text);
	w->text = text;
	w->at = 0;
	return buf_ok(&text) ? 0 : -ENOMEM;
}

/* The next component: 1, 0 at the end, -ENAMETOOLONG. "." and nothing are passed over. */
static int ahead_next(struct ahead *w, char component[NAME_MAX + 1])
{
	for (;;) {
		const char *text = (const char *)w->text.data + w->at;
		size_t len = strcspn(text, "/");

		if (len > NAME_MAX)
			return -ENAMETOOLONG;
		if (*text == '\0')
			return 0;
		w->at += len + (text[len] == '/');
		if (len == 0 || (len == 1 && text[0] == '.'))
			continue;
		memcpy(component, text, len);
		component[len] = '\0';
		return 1;
	}
}

/* A name that this layer has nothing at: 1 when it is a link below, whose target is put ahead. */
static int step_below(struct resolving *r, struct apply_name *name, struct ahead *w,
		      struct apply_name **dir)
{
	CLEANUP(buf) struct buf path = {0};
	struct apply_inode *inode;
	char target[PATH_MAX];
	struct attr attr;
	int found = 0, rc = path_of(name, &path);

	if (rc == 0 && is_open_below(name))
		found = below_stat(r, (const char *)path.data, &attr);
	if (rc < 0 || found < 0)
		return rc < 0 ? rc : found;
	if (found && S_ISLNK(attr.mode)) {
		rc = below_readlink(r, (const char *)path.data, target);
		if (rc == 0)
			rc = ahead_push(w, target);
		if (rc == 0 && target[0] == '/')
			*dir = r->a->root;
		return rc < 0 ? rc : 1;
	}
	inode = apply_implicit_new(r->a);
	if (inode == NULL)
		return -ENOMEM;
	inode->rec.flags = 0;
	if (found && S_ISDIR(attr.mode))
		rc = inherit(r, inode, (const char *)path.data, &attr);
	apply_set(r->a, name, inode);
	name->seq = r->a->seq;
	return rc;
}

/* One step down from *DIR in the tree of this layer over those below. */
static int step(struct resolving *r, struct ahead *w, const char *component,
		struct apply_name **dir)
{
	struct apply_name *name, *from = *dir;
	int rc;

	if (strcmp(component, "..") == 0) {
		if (from->parent != NULL)
			*dir = from->parent;
		return 0;
	}
	if (from->depth >= APPLY_DEPTH_MAX)
		return -ENAMETOOLONG;
	name = apply_name_in(r->a, from, component, strlen(component));
	if (name == NULL)
		return -ENOMEM;
	/* What an implicit directory is must be known, and then it may be gone. */
	if (apply_is_dir(name) && (name->inode->rec.flags & INDEX_IMPLICIT) != 0) {
		rc = resolve_dir(r, name);
		if (rc < 0)
			return rc;
	}
	if (name->inode != NULL && S_ISLNK(name->inode->rec.attr.mode)) {
		if (name->inode->rec.text[0] == '/')
			*dir = r->a->root;
		return ahead_push(w, name->inode->rec.text);
	}
	if (name->inode != NULL && !apply_is_dir(name))
		return -ENOTDIR;
	if (name->inode == NULL) {
		rc = step_below(r, name, w, dir);
		if (rc != 0)
			return rc < 0 ? rc : 0;
	}
	*dir = name;
	return 0;
}

/* The directory that PATH leads to from START; what is missing is made. -ELOOP, -ENOTDIR. */
static int walk_merged(struct resolving *r, struct apply_name *start, const char *path,
		       struct apply_name **ret_dir)
{
	CLEANUP(ahead) struct ahead w = {0};
	struct apply_name *dir = path[0] == '/' ? r->a->root : start;
	char component[NAME_MAX + 1];
	int rc = ahead_push(&w, path);

	while (rc == 0) {
		rc = ahead_next(&w, component);
		if (rc <= 0)
			break;
		rc = step(r, &w, component, &dir);
	}
	if (rc == 0)
		*ret_dir = dir;
	return rc;
}

/* Which of two inodes for one name stays? Two directories become one; else the later member wins. */
static bool takes_over(const struct apply_name *from, const struct apply_name *to)
{
	if (to->inode == NULL)
		return true;
	if (apply_is_dir(from) && (from->inode->rec.flags & INDEX_IMPLICIT) != 0 &&
	    apply_is_dir(to))
		return false;
	return from->seq > to->seq;
}

/* What is in the directory FROM moves to the directory TO. FROM is emptied by its caller. */
static int move_into(struct resolving *r, struct apply_name *from, struct apply_name *to)
{
	int rc = 0;

	to->inode->rec.flags |= from->inode->rec.flags & INDEX_OPAQUE;
	for (struct apply_name *c = from->child; rc == 0 && c != NULL; c = c->sibling) {
		struct apply_name *d;

		if (c->inode == NULL && !c->whiteout)
			continue;
		if (to->depth >= APPLY_DEPTH_MAX)
			return -ENAMETOOLONG;
		d = apply_name_in(r->a, to, c->text, c->len);
		if (d == NULL)
			return -ENOMEM;
		d->whiteout |= c->whiteout;
		if (c->inode != NULL && takes_over(c, d)) {
			apply_set(r->a, d, c->inode);
			d->seq = c->seq;
		}
		if (apply_is_dir(c) && apply_is_dir(d))
			rc = move_into(r, c, d);
	}
	return rc;
}

/* The implicit directory NAME is a link below: what is in it belongs where that leads. */
static int graft(struct resolving *r, struct apply_name *name, const char *path)
{
	char target[PATH_MAX];
	struct apply_name *to;
	int rc = below_readlink(r, path, target);

	if (rc < 0)
		return rc;
	rc = walk_merged(r, name->parent, target, &to);
	if (rc == -ELOOP || rc == -ENAMETOOLONG || rc == -ENOTDIR) {
		rc = apply_report(r->a, rc == -ENOTDIR ? APPLY_NOT_A_DIRECTORY : APPLY_LOOP, path,
				  r->err);
	} else if (rc == 0) {
		for (const struct apply_name *up = to; up != NULL; up = up->parent)
			if (up == name)
				return apply_report(r->a, APPLY_LOOP, path, r->err);
		rc = move_into(r, name, to);
	}
	if (rc == 0)
		apply_set(r->a, name, NULL);
	return rc;
}

static int resolve_open_dir(struct resolving *r, struct apply_name *name)
{
	CLEANUP(buf) struct buf path = {0};
	struct apply_inode *inode = name->inode;
	struct attr attr;
	int rc = path_of(name, &path);

	if (rc == 0)
		rc = below_stat(r, (const char *)path.data, &attr);
	if (rc <= 0)
		return rc;
	if (S_ISDIR(attr.mode))
		return inherit(r, inode, (const char *)path.data, &attr);
	if (S_ISLNK(attr.mode))
		return graft(r, name, (const char *)path.data);
	return apply_report(r->a, APPLY_NOT_A_DIRECTORY, (const char *)path.data, r->err);
}

static int resolve_dir(struct resolving *r, struct apply_name *name)
{
	struct apply_inode *inode = name->inode;
	int rc = 0;

	if (name->busy)
		return -ELOOP;
	name->busy = true;
	if (is_open_below(name))
		rc = resolve_open_dir(r, name);
	name->busy = false;
	inode->rec.flags &= ~(uint32_t)INDEX_IMPLICIT;
	return rc;
}

/* Parents come first. What a link moved elsewhere may hold implicit directories again: once more then. */
static int resolve_dirs(struct resolving *r)
{
	bool again = true;
	int rc = 0;

	for (unsigned int pass = 0; rc == 0 && again; pass++) {
		struct apply_name *root = r->a->root, *n;

		again = false;
		if (pass == PASSES_MAX)
			return err_set(
				r->err, ELOOP,
				"symbolic links among the parents lead through too many others");
		for (n = apply_next(root, root); rc == 0 && n != NULL; n = apply_next(root, n)) {
			if (!apply_is_dir(n) || (n->inode->rec.flags & INDEX_IMPLICIT) == 0)
				continue;
			again = true;
			rc = resolve_dir(r, n);
		}
	}
	return rc;
}

/* ---- pending links ---- */

/* PATH in the layers below, symbolic links among its parents followed: 1 and RET_PATH, RET_ATTR; 0. */
static int find_below(struct resolving *r, const char *path, struct buf *ret_path,
		      struct attr *ret_attr)
{
	CLEANUP(ahead) struct ahead w = {0};
	char component[NAME_MAX + 1], target[PATH_MAX];
	int rc = ahead_push(&w, path);

	buf_clear(ret_path);
	while (rc == 0) {
		size_t before = ret_path->len;
		bool last;

		rc = ahead_next(&w, component);
		if (rc <= 0)
			return rc;
		last = w.text.data[w.at] == '\0';
		if (strcmp(component, "..") == 0) {
			while (ret_path->len > 0 && ret_path->data[ret_path->len - 1] != '/')
				ret_path->len--;
			ret_path->len -= ret_path->len > 0;
			rc = 0;
			continue;
		}
		buf_printf(ret_path, "%s%s", before > 0 ? "/" : "", component);
		if (buf_cstr(ret_path) == NULL)
			return -ENOMEM;
		rc = below_stat(r, (const char *)ret_path->data, ret_attr);
		if (rc <= 0 || last)
			return rc;
		rc = 0;
		if (!S_ISLNK(ret_attr->mode))
			continue;
		rc = below_readlink(r, (const char *)ret_path->data, target);
		ret_path->len = target[0] == '/' ? 0 : before;
		if (rc == 0)
			rc = ahead_push(&w, target);
	}
	return rc == -ELOOP || rc == -ENAMETOOLONG ? 0 : rc;
}

static struct lower *lower_find(const struct resolving *r, uint64_t ino)
{
	struct table_node *t;

	for (t = table_first(&r->lowers, hash64(&ino, sizeof(ino), 0)); t != NULL;
	     t = table_next(t)) {
		struct lower *l = table_entry(t, struct lower, node);

		if (l->ino == ino)
			return l;
	}
	return NULL;
}

/* Describes a new inode as the file PATH below. */
static int describe(struct resolving *r, struct apply_inode *inode, const char *path,
		    const struct attr *attr)
{
	struct index_rec *rec = &inode->rec;
	char target[PATH_MAX];
	int rc = 0;

	rec->attr = *attr;
	rec->attr.ino = 0;
	if (S_ISREG(attr->mode)) {
		rec->flags = INDEX_LOWER;
		rec->union_ino = attr->ino;
		rec->text = strdup(path);
	} else if (S_ISLNK(attr->mode)) {
		rc = below_readlink(r, path, target);
		rec->text = rc == 0 ? strdup(target) : NULL;
	}
	if (rc == 0 && rec->text == NULL && (S_ISREG(attr->mode) || S_ISLNK(attr->mode)))
		rc = -ENOMEM;
	return rc < 0 ? rc : r->below->xattrs(r->below->arg, path, inode);
}

static int lower_new(struct resolving *r, const char *path, const struct attr *attr,
		     struct lower **ret_lower)
{
	struct lower *l = calloc(1, sizeof(*l));
	int rc;

	if (l == NULL)
		return -ENOMEM;
	l->ino = attr->ino;
	l->inode = apply_inode_new(r->a);
	rc = l->inode != NULL ? describe(r, l->inode, path, attr) : -ENOMEM;
	if (rc < 0) {
		free(l);
		return rc;
	}
	table_add(&r->lowers, &l->node, hash64(&l->ino, sizeof(l->ino), 0));
	*ret_lower = l;
	return 0;
}

/*
 * The file's own name, too, leads to the record from now on, unless this layer has something else there:
 * so that both are one inode with the same count of links.
 */
static int take_old_name(struct resolving *r, const char *path, struct apply_inode *inode)
{
	const char *slash = strrchr(path, '/'), *last = slash != NULL ? slash + 1 : path;
	CLEANUP(free) char *parent = strndup(path, slash != NULL ? (size_t)(slash - path) : 0);
	struct apply_name *dir, *name;
	int rc;

	if (parent == NULL)
		return -ENOMEM;
	rc = walk_merged(r, r->a->root, parent, &dir);
	if (rc < 0)
		return rc == -ENOMEM ? rc : 0;
	name = apply_name_in(r->a, dir, last, strlen(last));
	if (name == NULL)
		return -ENOMEM;
	if (name->inode == NULL && is_open_below(name))
		apply_set(r->a, name, inode);
	return 0;
}

static int link_below(struct resolving *r, struct apply_name *name, const char *path,
		      const struct attr *attr)
{
	struct lower *l = lower_find(r, attr->ino);
	int rc = 0;

	if (l == NULL) {
		rc = lower_new(r, path, attr, &l);
		if (rc == 0 && (l->inode->rec.flags & INDEX_LOWER) != 0)
			rc = take_old_name(r, path, l->inode);
	}
	if (rc < 0)
		return rc;
	apply_set(r->a, name, l->inode);
	l->inode->rec.attr.nlink++;
	return 0;
}

static int report_name(struct resolving *r, enum apply_fault fault, const struct apply_name *name)
{
	CLEANUP(buf) struct buf path = {0};
	int rc = path_of(name, &path);

	return rc < 0 ? rc : apply_report(r->a, fault, (const char *)path.data, r->err);
}

/* 1 when it was resolved, 0 when its target is itself still pending. */
static int resolve_link(struct resolving *r, struct apply_name *name)
{
	CLEANUP(buf) struct buf path = {0};
	/* Its name goes to another inode; the text stays with this one. */
	const char *text = name->inode->rec.text;
	struct apply_inode *own;
	struct attr attr;
	int rc = find_below(r, text, &path, &attr);

	if (rc < 0)
		return rc;
	if (rc > 0 && !S_ISDIR(attr.mode)) {
		rc = link_below(r, name, (const char *)path.data, &attr);
		return rc < 0 ? rc : 1;
	}
	rc = apply_find_path(r->a, text, &own);
	if (rc < 0)
		return rc;
	if (own != NULL && own != name->inode && (own->rec.flags & INDEX_PENDING) != 0)
		return 0;
	if (own == NULL || own == name->inode || S_ISDIR(own->rec.attr.mode)) {
		rc = report_name(r, APPLY_BAD_LINK, name);
		apply_set(r->a, name, NULL);
	} else {
		rc = report_name(r, APPLY_LATE_LINK, name);
		apply_set(r->a, name, own);
	}
	return rc < 0 ? rc : 1;
}

/* Links that wait for links that wait for themselves are dangling. */
static int drop_pending(struct resolving *r)
{
	struct apply_name *root = r->a->root, *n;
	int rc = 0;

	for (n = apply_next(root, root); rc == 0 && n != NULL; n = apply_next(root, n)) {
		if (n->inode == NULL || (n->inode->rec.flags & INDEX_PENDING) == 0)
			continue;
		rc = report_name(r, APPLY_BAD_LINK, n);
		apply_set(r->a, n, NULL);
	}
	return rc;
}

static int resolve_links(struct resolving *r)
{
	struct apply_name *root = r->a->root, *n;
	bool progress = true;
	int rc = 0;

	while (rc >= 0 && progress) {
		progress = false;
		for (n = apply_next(root, root); rc >= 0 && n != NULL; n = apply_next(root, n)) {
			if (n->inode == NULL || (n->inode->rec.flags & INDEX_PENDING) == 0)
				continue;
			rc = resolve_link(r, n);
			progress |= rc > 0;
		}
	}
	return rc < 0 ? rc : drop_pending(r);
}

int apply_resolve(struct apply *a, const struct apply_below *below, struct err *err)
{
	CLEANUP(resolving) struct resolving r = {.a = a, .below = below, .err = err};
	int rc = table_init(&r.lowers);

	if (rc == 0)
		rc = resolve_dirs(&r);
	if (rc == 0)
		rc = resolve_links(&r);
	if (rc < 0 && rc != -EBADMSG && rc != -ELOOP)
		return err_errno(err, -rc, "the layers below");
	return rc;
}
