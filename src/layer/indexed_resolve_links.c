/* SPDX-License-Identifier: Apache-2.0 */
/* Hard links whose targets the layer itself did not have: files of the layers below get new names. */
#include <errno.h>
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
	apply_set(r->a, name, l->inode);
	l->inode->rec.attr.nlink++;
	return 0;
}

static int report_name(struct resolving *r, enum apply_fault fault, const struct apply_name *name)
{
	CLEANUP(buf) struct buf path = {0};
	int rc = resolve_path(name, &path);

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

static bool is_pending(const struct apply_name *n)
{
	return n->inode != NULL && (n->inode->rec.flags & INDEX_PENDING) != 0;
}

/* Links that wait for links that wait for themselves are dangling. */
static int drop_pending(struct resolving *r)
{
	struct apply_name *root = r->a->root, *n;
	int rc = 0;

	for (n = apply_next(root, root); rc == 0 && n != NULL; n = apply_next(root, n)) {
		if (!is_pending(n))
			continue;
		rc = report_name(r, APPLY_BAD_LINK, n);
		apply_set(r->a, n, NULL);
	}
	return rc;
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

int resolve_links(struct resolving *r)
{
	CLEANUP(free) struct apply_name **v = NULL;
	bool progress = true;
	size_t n;
	int rc = list_pending(r->a, &v, &n);

	while (rc >= 0 && progress) {
		progress = false;
		for (size_t i = 0; rc >= 0 && i < n; i++) {
			if (!is_pending(v[i]))
				continue;
			rc = resolve_link(r, v[i]);
			progress |= rc > 0;
		}
	}
	return rc < 0 ? rc : drop_pending(r);
}

int apply_resolve(struct apply *a, const struct apply_below *below, struct err *err)
{
	CLEANUP(resolving) struct resolving r = {
		.a = a, .below = below, .err = err, .seq = a->seq};
	int rc = table_init(&r.lowers);

	if (rc == 0)
		rc = resolve_dirs(&r);
	if (rc == 0)
		rc = resolve_links(&r);
	if (rc < 0 && rc != -EBADMSG && rc != -ELOOP)
		return err_errno(err, -rc, "the layers below");
	return rc;
}
