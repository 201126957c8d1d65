/* SPDX-License-Identifier: Apache-2.0 */
/* What of a layer's tree depends on the layers below: implicit directories. Links: indexed_resolve_links.c. */
#include "layer/indexed_resolve.h"

#include <errno.h>
#include <stdio.h>
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
	name->seq = r->seq;
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

/* What a directory that no member describes was in one place says nothing of another. */
static void forget(struct apply_inode *dir)
{
	struct apply_xattr *x;

	if (!dir->implied)
		return;
	while ((x = dir->xattrs) != NULL) {
		dir->xattrs = x->next;
		free(x);
	}
	dir->rec.attr = (struct attr){.mode = S_IFDIR | 0755};
	dir->rec.flags = INDEX_IMPLICIT | (dir->rec.flags & INDEX_OPAQUE);
	dir->implied = false;
}

/* The inode of FROM becomes that of TO, too. A directory hides what it would have hidden as a member in that place. */
static void take_over(struct resolving *r, const struct apply_name *from, struct apply_name *to)
{
	uint32_t *flags = &from->inode->rec.flags;

	forget(from->inode);
	if (apply_is_dir(from) && apply_is_dir(to))
		*flags |= to->inode->rec.flags & INDEX_OPAQUE;
	else if (apply_is_dir(from) && to->inode != NULL)
		*flags = (*flags & ~(uint32_t)INDEX_IMPLICIT) | INDEX_OPAQUE;
	apply_set(r->a, to, from->inode);
	to->seq = from->seq;
}

/*
 * NAME waits for what others are. False: it does so already, or too many do, one for the other; as many as links may
 * lead to one another.
 */
static bool enter(struct resolving *r, struct apply_name *name)
{
	if (name->busy || r->depth >= LINKS_MAX)
		return false;
	name->busy = true;
	r->depth++;
	return true;
}

static void leave(struct resolving *r, struct apply_name *name)
{
	name->busy = false;
	r->depth--;
}

static int move_into(struct resolving *r, struct apply_name *from, struct apply_name *to);

/* What is in the directory FROM moves to where TARGET leads from DIR. PATH is for the report: where that is no place. */
static int move_along(struct resolving *r, struct apply_name *from, struct apply_name *dir,
		      const char *target, const char *path)
{
	struct apply_name *to;
	uint64_t seq = r->seq;
	int rc;

	r->seq = from->seq;
	rc = resolve_walk(r, dir, target, &to);
	r->seq = seq;
	if (rc == -ENOTDIR)
		return apply_report(r->a, APPLY_NOT_A_DIRECTORY, path, r->err);
	if (rc == -ELOOP || rc == -ENAMETOOLONG)
		return apply_report(r->a, APPLY_LOOP, path, r->err);
	if (rc < 0)
		return rc;
	for (const struct apply_name *up = to; up != NULL; up = up->parent)
		if (up == from)
			return apply_report(r->a, APPLY_LOOP, path, r->err);
	return move_into(r, from, to);
}

/* Is NEEDED a directory that members are only below, and LINK a symbolic link that was there before them? */
static bool leads_on(const struct apply_name *link, const struct apply_name *needed)
{
	return link->inode != NULL && S_ISLNK(link->inode->rec.attr.mode) && apply_is_dir(needed) &&
	       is_implied(needed) && link->seq < needed->seq;
}

/* Names in the root cannot be named so: what lies below is out of everybody's way. */
#define ASIDE "/"

static int aside_dir(struct resolving *r, struct apply_name **ret_dir)
{
	struct apply_name *top = apply_name_in(r->a, r->a->root, ASIDE, strlen(ASIDE)), *dir;
	struct apply_inode *inode = apply_implicit_new(r->a);
	char text[24];
	int len = snprintf(text, sizeof(text), "%ju", (uintmax_t)r->n_asides++);

	dir = top != NULL ? apply_name_in(r->a, top, text, (size_t)len) : NULL;
	if (dir == NULL || inode == NULL)
		return -ENOMEM;
	inode->rec.flags = 0;
	inode->implied = true;
	apply_set(r->a, dir, inode);
	*ret_dir = dir;
	return 0;
}

/*
 * What is in the directory FROM belongs where the link at NAME leads. Where that is, is not known while directories are on
 * the move: it is put aside for settle(). FROM is emptied by its caller.
 */
static int put_aside(struct resolving *r, struct apply_name *from, const struct apply_name *name)
{
	CLEANUP(buf) struct buf path = {0};
	struct aside *x, **at = &r->asides;
	int rc = resolve_path(name, &path);

	if (rc < 0)
		return rc;
	x = calloc(1, sizeof(*x) + path.len + 1);
	if (x == NULL)
		return -ENOMEM;
	memcpy(x->path, path.data, path.len);
	x->links = r->links + 1;
	while (*at != NULL)
		at = &(*at)->next;
	*at = x;
	rc = aside_dir(r, &x->dir);
	if (rc < 0)
		return rc;
	x->dir->seq = from->seq;
	return move_into(r, from, x->dir);
}

/* FROM and TO come to one place, and one is a link that the other's members went through: the link stays. */
static int keep_link(struct resolving *r, struct apply_name *from, struct apply_name *to)
{
	int rc;

	if (leads_on(to, from))
		return put_aside(r, from, to);
	rc = put_aside(r, to, to);
	if (rc == 0)
		take_over(r, from, to);
	return rc;
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
		if (leads_on(c, d) || leads_on(d, c)) {
			rc = keep_link(r, c, d);
			continue;
		}
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
	int rc = resolve_readlink(r, path, target);

	if (rc == 0)
		rc = move_along(r, name, name->parent, target, path);
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

	if (!enter(r, name))
		return -ELOOP;
	if (resolve_is_open(name))
		rc = resolve_open_dir(r, name);
	leave(r, name);
	inode->rec.flags &= ~(uint32_t)INDEX_IMPLICIT;
	inode->implied = true;
	return rc;
}

/* What was put aside moves to where it belongs; that may put more aside. */
static int settle(struct resolving *r)
{
	struct aside *x;
	int rc = 0;

	while (rc == 0 && (x = r->asides) != NULL) {
		r->asides = x->next;
		r->links = x->links;
		if (x->links > LINKS_MAX)
			rc = apply_report(r->a, APPLY_LOOP, x->path, r->err);
		else
			rc = move_along(r, x->dir, r->a->root, x->path, x->path);
		apply_set(r->a, x->dir, NULL);
		free(x);
	}
	r->links = 0;
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
			if (rc == 0)
				rc = settle(r);
		}
	}
	return rc;
}
