/* SPDX-License-Identifier: Apache-2.0 */
/* Loading what a file system shows, and comparing. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "support/shadow.h"

#define PIECE (1 << 20)

static bool say(char *why, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Always false, for who returns what has gone wrong. */
static bool say(char *why, size_t size, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, size, fmt, ap);
	va_end(ap);
	return false;
}

/* ---- loading ------------------------------------------------------------------------- */

struct loading {
	const struct shadow_view *view;
	void *arg;
	struct shadow *s;
	uint64_t *inos; /* of each node */
	char *why;
	size_t why_size;
};

struct name_list {
	char **names;
	size_t n;
};

static void keep_name(void *to, const char *name)
{
	struct name_list *l = to;

	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return;
	l->names = realloc(l->names, (l->n + 1) * sizeof(*l->names));
	l->names[l->n++] = strdup(name);
}

static struct shadow_blob *blob_new(uint64_t size)
{
	struct shadow_blob *b = calloc(1, sizeof(*b));

	b->refs = 1;
	b->size = size;
	b->bytes = malloc(size + 1);
	return b;
}

static struct shadow_blob *load_bytes(const struct shadow_view *view, void *arg, const char *path,
				      uint64_t size, char *why, size_t why_size)
{
	struct shadow_blob *b = blob_new(size);
	uint64_t at = 0;

	while (at <= size) {
		size_t want = size + 1 - at < PIECE ? (size_t)(size + 1 - at) : PIECE;
		ssize_t n = view->read(arg, path, b->bytes + at, want, at);

		if (n > 0 && at + (uint64_t)n <= size) {
			at += (uint64_t)n;
			continue;
		}
		if (n == 0 && at == size)
			return b;
		say(why, why_size, "%s: reading at %llu of %llu: %s", path, (unsigned long long)at,
		    (unsigned long long)size, n < 0 ? strerror((int)-n) : "a wrong length");
		break;
	}
	free(b->bytes);
	free(b);
	return NULL;
}

static bool load_node(struct loading *l, const char *path, const struct shadow_stat *st)
{
	struct shadow_node *node;
	char target[4096];
	ssize_t n;

	l->s->nodes = realloc(l->s->nodes, (l->s->n_nodes + 1) * sizeof(*l->s->nodes));
	l->inos = realloc(l->inos, (l->s->n_nodes + 1) * sizeof(*l->inos));
	l->inos[l->s->n_nodes] = st->ino;
	node = &l->s->nodes[l->s->n_nodes++];
	*node = (struct shadow_node){.mode = st->mode, .nlink = S_ISDIR(st->mode) ? 1 : st->nlink};
	if (S_ISREG(st->mode)) {
		node->blob = load_bytes(l->view, l->arg, path, st->size, l->why, l->why_size);
		if (node->blob == NULL)
			return false;
	} else if (S_ISLNK(st->mode)) {
		n = l->view->readlink(l->arg, path, target, sizeof(target));
		if (n < 0)
			return say(l->why, l->why_size, "%s: readlink: %s", path,
				   strerror((int)-n));
		node->blob = blob_new((uint64_t)n);
		memcpy(node->blob->bytes, target, (size_t)n);
	}
	if (!S_ISREG(st->mode) && !S_ISDIR(st->mode))
		return true;
	n = l->view->getxattr(l->arg, path, node->xattr, sizeof(node->xattr) - 1);
	if (n < 0 && n != -ENODATA)
		return say(l->why, l->why_size, "%s: getxattr: %s", path, strerror((int)-n));
	node->xattr[n < 0 ? 0 : n] = '\0';
	return true;
}

/* A node with the number INO that was loaded already: a hard link. */
static unsigned int find_ino(const struct loading *l, uint64_t ino)
{
	unsigned int i = 0;

	while (i < l->s->n_nodes && l->inos[i] != ino)
		i++;
	return i;
}

static bool load_dir(struct loading *l, const char *path, unsigned int dir);

static bool load_name(struct loading *l, const char *above, unsigned int dir, const char *name)
{
	struct shadow *s = l->s;
	struct shadow_stat st;
	char path[2 * SHADOW_PATH];
	unsigned int node;
	int r;

	snprintf(path, sizeof(path), "%s%s%s", above, above[0] != '\0' ? "/" : "", name);
	r = l->view->stat(l->arg, path, &st);
	if (r < 0)
		return say(l->why, l->why_size, "%s is listed, but: %s", path, strerror(-r));
	node = S_ISDIR(st.mode) || st.nlink == 1 ? s->n_nodes : find_ino(l, st.ino);
	if (node == s->n_nodes && !load_node(l, path, &st))
		return false;
	s->names = realloc(s->names, (s->n_names + 1) * sizeof(*s->names));
	s->names[s->n_names++] = (struct shadow_name){dir, node, strdup(name)};
	return !S_ISDIR(st.mode) || load_dir(l, path, node);
}

static bool load_dir(struct loading *l, const char *path, unsigned int dir)
{
	struct name_list names = {0};
	bool good = true;
	int r = l->view->list(l->arg, path, keep_name, &names);

	if (r < 0)
		good = say(l->why, l->why_size, "listing of %s: %s", path, strerror(-r));
	for (size_t i = 0; i < names.n; i++) {
		good = good && load_name(l, path, dir, names.names[i]);
		free(names.names[i]);
	}
	free(names.names);
	return good;
}

struct shadow *shadow_load(const struct shadow_view *view, void *arg, char *why, size_t size)
{
	struct loading l = {view, arg, calloc(1, sizeof(struct shadow)), NULL, why, size};
	struct shadow_stat st;
	int r = view->stat(arg, "", &st);
	bool good;

	if (r < 0)
		good = say(why, size, "the root: %s", strerror(-r));
	else
		good = load_node(&l, "", &st) && load_dir(&l, "", 0);
	free(l.inos);
	if (good)
		return l.s;
	shadow_free(l.s);
	return NULL;
}

/* ---- comparing ----------------------------------------------------------------------- */

struct comparing {
	const struct shadow *a, *b;
	int flags;
	int *pairs;
	char *why;
	size_t why_size;
};

static bool same_blob(const struct comparing *c, const char *path, const struct shadow_blob *x,
		      const struct shadow_blob *y)
{
	uint64_t at = 0;

	if (x->size != y->size)
		return say(c->why, c->why_size, "%s: %llu bytes, not %llu", path,
			   (unsigned long long)y->size, (unsigned long long)x->size);
	if (memcmp(x->bytes, y->bytes, x->size) == 0)
		return true;
	while (x->bytes[at] == y->bytes[at])
		at++;
	return say(c->why, c->why_size, "%s: byte %llu is %02x, not %02x", path,
		   (unsigned long long)at, y->bytes[at], x->bytes[at]);
}

static bool same_node(const struct comparing *c, const char *path, unsigned int i, unsigned int k)
{
	const struct shadow_node *x = &c->a->nodes[i], *y = &c->b->nodes[k];

	if (x->mode != y->mode)
		return say(c->why, c->why_size, "%s: mode %o, not %o", path, y->mode, x->mode);
	if (x->nlink != y->nlink)
		return say(c->why, c->why_size, "%s: %u links, not %u", path, y->nlink, x->nlink);
	if (strcmp(x->xattr, y->xattr) != 0)
		return say(c->why, c->why_size, "%s: xattr \"%s\", not \"%s\"", path, y->xattr,
			   x->xattr);
	if (x->blob == NULL || (S_ISREG(x->mode) && (c->flags & SHADOW_NAMES_ONLY)))
		return true;
	return same_blob(c, path, x->blob, y->blob);
}

static int in_dir(const struct shadow *s, unsigned int dir, const char *name)
{
	for (unsigned int i = 0; i < s->n_names; i++) {
		if (s->names[i].parent == dir && strcmp(s->names[i].name, name) == 0)
			return (int)s->names[i].node;
	}
	return -1;
}

static bool same_dir(const struct comparing *c, const char *above, unsigned int i, unsigned int k);

static bool same_name(const struct comparing *c, const char *above, const struct shadow_name *n,
		      unsigned int dir)
{
	int k = in_dir(c->b, dir, n->name);
	char path[2 * SHADOW_PATH];

	snprintf(path, sizeof(path), "%s%s%s", above, above[0] != '\0' ? "/" : "", n->name);
	if (k < 0)
		return say(c->why, c->why_size, "%s is missing", path);
	if (c->pairs[n->node] >= 0)
		return c->pairs[n->node] == k ||
		       say(c->why, c->why_size, "%s is not the same file as its other name", path);
	c->pairs[n->node] = k;
	if (!same_node(c, path, n->node, (unsigned int)k))
		return false;
	return !S_ISDIR(c->a->nodes[n->node].mode) || same_dir(c, path, n->node, (unsigned int)k);
}

static bool same_dir(const struct comparing *c, const char *above, unsigned int i, unsigned int k)
{
	for (unsigned int n = 0; n < c->a->n_names; n++) {
		if (c->a->names[n].parent == i && !same_name(c, above, &c->a->names[n], k))
			return false;
	}
	for (unsigned int n = 0; n < c->b->n_names; n++) {
		if (c->b->names[n].parent == k && in_dir(c->a, i, c->b->names[n].name) < 0)
			return say(c->why, c->why_size, "%s/%s should not be there", above,
				   c->b->names[n].name);
	}
	return true;
}

bool shadow_same(const struct shadow *a, const struct shadow *b, int flags, int *pairs, char *why,
		 size_t size)
{
	int *own = pairs != NULL ? pairs : calloc(a->n_nodes, sizeof(*own));
	struct comparing c = {a, b, flags, own, why, size};
	bool same;

	for (unsigned int i = 0; i < a->n_nodes; i++)
		own[i] = -1;
	own[0] = 0;
	same = same_node(&c, "", 0, 0) && same_dir(&c, "", 0, 0);
	if (pairs == NULL)
		free(own);
	return same;
}

/* ---- after a failure ----------------------------------------------------------------- */

static bool may_be(const struct shadow_blob *was, uint64_t at, uint8_t byte,
		   const struct shadow_op *op)
{
	uint8_t wanted = 0;

	if (at >= was->size ? at < op->off && byte == 0 : byte == was->bytes[at])
		return true;
	if (at < op->off || at - op->off >= op->len)
		return false;
	if (op->kind == SHADOW_WRITE)
		shadow_fill(&wanted, at, 1, op->seed);
	return byte == wanted;
}

static void blob_replace(struct shadow_node *node, struct shadow_blob *with)
{
	struct shadow_blob *old = node->blob;

	node->blob = with;
	if (--old->refs > 0)
		return;
	free(old->bytes);
	free(old);
}

bool shadow_settle(struct shadow *s, const struct shadow_op *op, int flags,
		   const struct shadow_view *view, void *arg, char *why, size_t size)
{
	int node = shadow_find(s, op->path);
	struct shadow_blob *is, *was;
	struct shadow_stat st;
	uint64_t at = 0;
	int r;

	if ((op->kind != SHADOW_WRITE && op->kind != SHADOW_PUNCH) || node < 0 ||
	    !S_ISREG(s->nodes[node].mode))
		return true;
	was = s->nodes[node].blob;
	r = view->stat(arg, op->path, &st);
	if (r < 0)
		return say(why, size, "%s: after a failure: %s", op->path, strerror(-r));
	if (st.size != was->size && !((flags & SHADOW_MAY_GROW) && st.size > was->size))
		return say(why, size, "%s: after a failure: %llu bytes, not %llu", op->path,
			   (unsigned long long)st.size, (unsigned long long)was->size);
	is = load_bytes(view, arg, op->path, st.size, why, size);
	while (is != NULL && at < is->size && may_be(was, at, is->bytes[at], op))
		at++;
	if (is != NULL && at == is->size) {
		blob_replace(&s->nodes[node], is);
		return true;
	}
	if (is != NULL) {
		say(why, size,
		    "%s: after a failure, byte %llu of %llu (before: %llu) is neither old nor new: %02x",
		    op->path, (unsigned long long)at, (unsigned long long)is->size,
		    (unsigned long long)was->size, is->bytes[at]);
		free(is->bytes);
		free(is);
	}
	return false;
}
