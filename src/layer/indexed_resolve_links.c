/* SPDX-License-Identifier: Apache-2.0 */
/* Hard links whose targets the layer itself did not have: files of the layers below get new names. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "layer/indexed_resolve.h"

/* A file of the layers below that has a new name, by its number. */
struct lower {
	struct table_node node;
	uint64_t ino;
	struct apply_inode *inode;
};

static void free_lower(struct table_node *node, void *arg)
{
	(void)arg;
	free(table_entry(node, struct lower, node));
}

static void resolving_done(struct resolving *r)
{
	struct aside *x;

	while ((x = r->asides) != NULL) {
		r->asides = x->next;
		free(x);
	}
	table_each(&r->lowers, free_lower, NULL);
	table_done(&r->lowers);
}
DEFINE_CLEANUP(struct resolving, resolving, resolving_done)

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
		rc = resolve_stat(r, (const char *)ret_path->data, ret_attr);
		if (rc <= 0 || last)
			return rc;
		rc = 0;
		if (!S_ISLNK(ret_attr->mode))
			continue;
		rc = resolve_readlink(r, (const char *)ret_path->data, target);
		ret_path->len = target[0] == '/' ? 0 : before;
		if (rc == 0)
			rc = ahead_push(&w, target);
	}
	return rc == -ELOOP || rc == -ENAMETOOLONG ? 0 : rc;
}

static struct lower *lower_find(const struct resolving *r, uint64_t ino)
{
	struct table_node *t;

	for (t = table_first(&r->lowers, hash_number(ino)); t != NULL; t = table_next(t)) {
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
		rc = resolve_readlink(r, path, target);
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
	table_add(&r->lowers, &l->node, hash_number(l->ino));
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
	rc = resolve_walk(r, r->a->root, parent, &dir);
	if (rc < 0)
		return rc == -ENOMEM ? rc : 0;
	name = apply_name_in(r->a, dir, last, strlen(last));
	if (name == NULL)
		return -ENOMEM;
	if (name->inode == NULL && resolve_is_open(name))
		apply_set(r->a, name, inode);
	return 0;
}

/* The pending link's header goes for the file below, too: see indexed_apply.h. Links come in the archive's order. */
static int take_header(const struct apply_inode *from, struct apply_inode *to)
{
	const struct attr *said = &from->rec.attr;
	struct attr *attr = &to->rec.attr;
	int rc = 0;

	if (!S_ISLNK(attr->mode))
		attr->mode = (attr->mode & S_IFMT) | (said->mode & 07777);
	attr->uid = said->uid;
	attr->gid = said->gid;
	attr->mtime = said->mtime;
	for (const struct apply_xattr *x = from->xattrs; rc == 0 && x != NULL; x = x->next)
		rc = apply_xattr_set(to, x->name, x->value, x->len);
	return rc;
}

/* NAME becomes INODE's. Of a file below the count has the name that it has there already. */
static int add_link(struct resolving *r, struct apply_name *name, struct apply_inode *inode)
{
	CLEANUP(buf) struct buf path = {0};
	int rc;

	apply_set(r->a, name, inode);
	if ((inode->rec.flags & INDEX_LOWER) == 0)
		return 0;
	rc = resolve_path(name, &path);
	if (rc == 0 && strcmp((const char *)path.data, inode->rec.text) != 0)
		inode->rec.attr.nlink++;
	return rc;
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
	if (rc == 0)
		rc = take_header(name->inode, l->inode);
	if (rc < 0)
		return rc;
	return add_link(r, name, l->inode);
}

static int report_name(struct resolving *r, enum apply_fault fault, const struct apply_name *name)
{
	CLEANUP(buf) struct buf path = {0};
	int rc = resolve_path(name, &path);

	return rc < 0 ? rc : apply_report(r->a, fault, (const char *)path.data, r->err);
}

/* ---- where a target is ---- */

/* What a name is for a path through it. */
enum parent {
	PARENT_NONE, /* nothing, or no directory */
	PARENT_DIR,
	PARENT_LINK,
};

/*
 * NAME as the member SEQ found it: what this layer had put there by then, else what the layers below have, else what
 * this layer put later. RET_TARGET: of a link.
 */
static int parent_at(struct resolving *r, const struct apply_name *name, uint64_t seq,
		     char ret_target[PATH_MAX])
{
	CLEANUP(buf) struct buf path = {0};
	struct attr attr;
	int rc;

	if (apply_is_dir(name))
		return PARENT_DIR;
	if (name->inode == NULL || name->seq > seq) {
		rc = resolve_path(name, &path);
		if (rc == 0)
			rc = resolve_stat(r, (const char *)path.data, &attr);
		if (rc > 0 && S_ISLNK(attr.mode)) {
			rc = resolve_readlink(r, (const char *)path.data, ret_target);
			return rc < 0 ? rc : PARENT_LINK;
		}
		if (rc != 0)
			return rc < 0 ? rc : S_ISDIR(attr.mode) ? PARENT_DIR : PARENT_NONE;
	}
	if (name->inode == NULL || !S_ISLNK(name->inode->rec.attr.mode))
		return PARENT_NONE;
	rc = snprintf(ret_target, PATH_MAX, "%s", name->inode->rec.text);
	return rc < PATH_MAX ? PARENT_LINK : PARENT_NONE;
}

/* One component of a target: 1 when RET_NAME is the last one's, 0 to go on from *DIR, -ENOENT. */
static int find_step(struct resolving *r, struct ahead *w, uint64_t seq, struct apply_name **dir,
		     struct apply_name **ret_name)
{
	char component[NAME_MAX + 1], target[PATH_MAX];
	struct apply_name *name;
	int rc = ahead_next(w, component);

	if (rc <= 0)
		return rc < 0 ? rc : -ENOENT;
	if (strcmp(component, "..") == 0) {
		*dir = (*dir)->parent != NULL ? (*dir)->parent : *dir;
		return 0;
	}
	if ((*dir)->depth >= APPLY_DEPTH_MAX)
		return -ENAMETOOLONG;
	name = apply_name_in(r->a, *dir, component, strlen(component));
	if (name == NULL)
		return -ENOMEM;
	*ret_name = name;
	if (w->text.data[w->at] == '\0')
		return 1;
	rc = parent_at(r, name, seq, target);
	if (rc == PARENT_DIR)
		*dir = name;
	else if (rc == PARENT_LINK && target[0] == '/')
		*dir = r->a->root;
	if (rc == PARENT_LINK)
		return ahead_push(w, target);
	return rc == PARENT_NONE ? -ENOENT : rc < 0 ? rc : 0;
}

/*
 * Where PATH leads in the tree of this layer over those below, for the member SEQ: 1 and its name, which may have
 * nothing; 0: nowhere. Nothing is put.
 */
static int find_place(struct resolving *r, const char *path, uint64_t seq,
		      struct apply_name **ret_name)
{
	CLEANUP(ahead) struct ahead w = {0};
	struct apply_name *dir = r->a->root;
	int rc = ahead_push(&w, path);

	while (rc == 0)
		rc = find_step(r, &w, seq, &dir, ret_name);
	return rc == -ELOOP || rc == -ENAMETOOLONG || rc == -ENOENT ? 0 : rc;
}

/* ---- links ---- */

static bool is_pending(const struct apply_name *n)
{
	return n->inode != NULL && (n->inode->rec.flags & INDEX_PENDING) != 0;
}

static int drop_link(struct resolving *r, struct apply_name *name)
{
	int rc = report_name(r, APPLY_BAD_LINK, name);

	apply_set(r->a, name, NULL);
	return rc;
}

/* NAME becomes one more of INODE, which this layer has; LATE: since after the link only. */
static int link_own(struct resolving *r, struct apply_name *name, struct apply_inode *inode,
		    bool late)
{
	int rc;

	if (S_ISDIR(inode->rec.attr.mode))
		return drop_link(r, name);
	rc = late ? report_name(r, APPLY_LATE_LINK, name) : take_header(name->inode, inode);
	if (rc < 0)
		return rc;
	return add_link(r, name, inode);
}

/* What the archive's order says of a target: had this layer put it by then, is it below, or does it come later? */
static int resolve_link(struct resolving *r, struct apply_name *name, struct apply_name **ret_wait)
{
	CLEANUP(buf) struct buf path = {0};
	/* Its name goes to another inode; the text stays with this one. */
	const struct index_rec *link = &name->inode->rec;
	struct apply_name *at = NULL;
	struct attr attr;
	bool is_own, is_earlier;
	int rc = find_place(r, link->text, link->data_off, &at);

	if (rc <= 0)
		return rc < 0 ? rc : drop_link(r, name);
	is_own = at->inode != NULL && at->inode != name->inode;
	is_earlier = is_own && at->seq < link->data_off;
	rc = 0;
	if (!is_earlier) {
		rc = resolve_path(at, &path);
		if (rc == 0)
			rc = find_below(r, (const char *)path.data, &path, &attr);
	}
	if (rc < 0)
		return rc;
	if (rc > 0 && !S_ISDIR(attr.mode))
		return link_below(r, name, (const char *)path.data, &attr);
	if (is_own && is_pending(at)) {
		*ret_wait = at;
		return 0;
	}
	return is_own ? link_own(r, name, at->inode, !is_earlier) : drop_link(r, name);
}

static int compare_order(const void *a, const void *b)
{
	const struct apply_name *x = *(void *const *)a, *y = *(void *const *)b;

	return (x->seq > y->seq) - (x->seq < y->seq);
}

/* The names that are pending, in the order of the archive. */
static int list_pending(const struct apply *a, struct apply_name ***ret_v, size_t *ret_n)
{
	struct apply_name *root = a->root, *n;
	size_t count = 0;

	for (n = apply_next(root, root); n != NULL; n = apply_next(root, n))
		count += is_pending(n);
	*ret_v = calloc(count + 1, sizeof(**ret_v));
	if (*ret_v == NULL)
		return -ENOMEM;
	*ret_n = count;
	count = 0;
	for (n = apply_next(root, root); n != NULL; n = apply_next(root, n))
		if (is_pending(n))
			(*ret_v)[count++] = n;
	qsort(*ret_v, count, sizeof(**ret_v), compare_order);
	return 0;
}

/*
 * NAME waits for another that is pending, that one perhaps for a third: the last one comes first. STACK has room for all
 * that are pending. Those that wait in a circle are dangling.
 */
static int resolve_waiting(struct resolving *r, struct apply_name *name, struct apply_name **stack)
{
	size_t n = 0;
	int rc = 0;

	stack[n++] = name;
	name->busy = true;
	while (rc == 0 && n > 0) {
		struct apply_name *top = stack[n - 1], *wait = NULL;

		rc = resolve_link(r, top, &wait);
		if (rc == 0 && wait != NULL && !wait->busy) {
			wait->busy = true;
			stack[n++] = wait;
			continue;
		}
		if (rc == 0 && wait != NULL)
			rc = drop_link(r, top);
		top->busy = false;
		n--;
	}
	return rc;
}

/* First those that need not wait, so that headers count in the archive's order. */
int resolve_links(struct resolving *r)
{
	CLEANUP(free) struct apply_name **v = NULL, **stack = NULL;
	size_t n = 0;
	int rc = list_pending(r->a, &v, &n);

	if (rc == 0)
		stack = calloc(n + 1, sizeof(struct apply_name *));
	if (rc == 0 && stack == NULL)
		rc = -ENOMEM;
	for (size_t i = 0; rc == 0 && i < n; i++) {
		struct apply_name *wait = NULL;

		if (is_pending(v[i]))
			rc = resolve_link(r, v[i], &wait);
	}
	for (size_t i = 0; rc == 0 && i < n; i++)
		if (is_pending(v[i]))
			rc = resolve_waiting(r, v[i], stack);
	return rc;
}

int apply_resolve(struct apply *a, const struct apply_below *below, struct err *err)
{
	CLEANUP(resolving) struct resolving r = {.a = a, .below = below, .err = err, .seq = a->seq};
	int rc = table_init(&r.lowers);

	if (rc == 0)
		rc = resolve_dirs(&r);
	if (rc == 0)
		rc = resolve_links(&r);
	if (rc < 0 && rc != -EBADMSG && rc != -ELOOP)
		return err_errno(err, -rc, "the layers below");
	return rc;
}
