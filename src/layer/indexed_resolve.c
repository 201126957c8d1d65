/* SPDX-License-Identifier: Apache-2.0 */
/* What of a layer's tree depends on the layers below: implicit directories. Links: indexed_resolve_links.c. */
#include "layer/indexed_resolve.h"

#include <errno.h>
#include <string.h>

#define LINKS_MAX 40

/* Symbolic links that lead to directories in which others lie: each pass goes one further. */
#define PASSES_MAX 1000

/* ---- the layers below ---- */

int resolve_stat(const struct resolving *r, const char *path, struct attr *ret_attr)
{
	int rc = r->below != NULL ? r->below->stat(r->below->arg, path, ret_attr) : -ENOENT;

	if (rc == -ENOENT || rc == -ENOTDIR)
		return 0;
	return rc < 0 ? rc : 1;
}

int resolve_readlink(const struct resolving *r, const char *path, char target[PATH_MAX])
{
	ssize_t n = r->below->readlink(r->below->arg, path, target, PATH_MAX);

	return n < 0 ? (int)n : 0;
}

int resolve_path(const struct apply_name *name, struct buf *out)
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

bool resolve_is_open(const struct apply_name *name)
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
	inode->implied = true;
	return r->below->xattrs(r->below->arg, path, inode);
}

static int resolve_dir(struct resolving *r, struct apply_name *name);

int ahead_push(struct ahead *w, const char *target)
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

int ahead_next(struct ahead *w, char component[NAME_MAX + 1])
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
	int found = 0, rc = resolve_path(name, &path);

	if (rc == 0 && resolve_is_open(name))
		found = resolve_stat(r, (const char *)path.data, &attr);
	if (rc < 0 || found < 0)
		return rc < 0 ? rc : found;
	if (found && S_ISLNK(attr.mode)) {
		rc = resolve_readlink(r, (const char *)path.data, target);
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
	inode->implied = true;
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

int resolve_walk(struct resolving *r, struct apply_name *start, const char *path,
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

/* A directory that no member describes. */
static bool is_implied(const struct apply_name *dir)
{
	return dir->inode->implied || (dir->inode->rec.flags & INDEX_IMPLICIT) != 0;
}

/* Which of two inodes for one name stays? The later member's; two directories become one, as the later says. */
static bool takes_over(const struct apply_name *from, const struct apply_name *to)
{
	if (to->inode == NULL)
		return true;
	if (apply_is_dir(from) && apply_is_dir(to)) {
		if (is_implied(from))
			return false;
		if (is_implied(to))
			return true;
	}
	return from->seq > to->seq;
}

/* The inode of FROM becomes that of TO, too. A directory hides what it would have hidden as a member in that place. */
static void take_over(struct resolving *r, const struct apply_name *from, struct apply_name *to)
{
	uint32_t *flags = &from->inode->rec.flags;

	if (apply_is_dir(from) && apply_is_dir(to))
		*flags |= to->inode->rec.flags & INDEX_OPAQUE;
	else if (apply_is_dir(from) && to->inode != NULL)
		*flags = (*flags & ~(uint32_t)INDEX_IMPLICIT) | INDEX_OPAQUE;
	apply_set(r->a, to, from->inode);
	to->seq = from->seq;
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
		if (c->inode != NULL && takes_over(c, d))
			take_over(r, c, d);
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
	int rc = resolve_readlink(r, path, target);

	if (rc < 0)
		return rc;
	rc = resolve_walk(r, name->parent, target, &to);
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
	int rc = resolve_path(name, &path);

	if (rc == 0)
		rc = resolve_stat(r, (const char *)path.data, &attr);
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
	if (resolve_is_open(name))
		rc = resolve_open_dir(r, name);
	name->busy = false;
	inode->rec.flags &= ~(uint32_t)INDEX_IMPLICIT;
	inode->implied = true;
	return rc;
}

/* Parents come first. What a link moved elsewhere may hold implicit directories again: once more then. */
int resolve_dirs(struct resolving *r)
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
