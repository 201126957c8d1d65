/* SPDX-License-Identifier: Apache-2.0 */
/* A model made from a directory, and a look at the upper's data files. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "crash/kill/kill.h"

static void die(const char *path)
{
	fprintf(stderr, "%s: %s\n", path, strerror(errno));
	exit(1);
}

static void scan_bytes(struct node *n, const char *full)
{
	struct content *c = node_content(n);
	int fd = open(full, O_RDONLY | O_CLOEXEC);
	ssize_t r = 1;

	if (fd < 0)
		die(full);
	c->bytes = malloc(FILE_MAX + 1);
	while (r > 0) {
		r = pread(fd, c->bytes + c->size, FILE_MAX + 1 - c->size, (off_t)c->size);
		c->size += r > 0 ? (uint64_t)r : 0;
	}
	if (r < 0)
		die(full);
	close(fd);
}

static void scan_xattrs(struct node *n, const char *full)
{
	char names[8192], value[65536];
	ssize_t len = llistxattr(full, names, sizeof(names));

	if (len < 0)
		die(full);
	for (char *p = names; p < names + len; p += strlen(p) + 1) {
		ssize_t size = lgetxattr(full, p, value, sizeof(value));

		if (size < 0)
			die(full);
		xattr_put(n, p, value, (size_t)size);
	}
}

static struct node *scan_node(const char *full, const struct stat *st)
{
	struct node *n = node_new(st->st_mode);
	char target[PATH_SIZE];
	ssize_t len;

	n->uid = st->st_uid;
	n->gid = st->st_gid;
	n->rdev = st->st_rdev;
	n->ino = st->st_ino;
	n->nlink = S_ISDIR(n->mode) ? 1 : (unsigned int)st->st_nlink;
	n->mtime = st->st_mtim;
	n->ctime = st->st_ctim;
	n->mtime_known = n->ctime_known = true;
	if (S_ISREG(n->mode))
		scan_bytes(n, full);
	if (S_ISLNK(n->mode)) {
		len = readlink(full, target, sizeof(target) - 1);
		if (len < 0)
			die(full);
		n->target = strndup(target, (size_t)len);
	} else {
		scan_xattrs(n, full);
	}
	return n;
}

struct by_ino {
	ino_t ino;
	struct node *found;
};

static void match_ino(const char *path, struct node *n, void *arg)
{
	struct by_ino *b = arg;

	(void)path;
	if (n->ino == b->ino)
		b->found = n;
}

static void scan_dir(struct tree *t, struct node *dir, const char *path)
{
	DIR *d = opendir(path);
	char full[2 * PATH_SIZE];
	struct dirent *e;

	if (d == NULL)
		die(path);
	while ((e = readdir(d)) != NULL) {
		struct by_ino b = {0};
		struct node *n;
		struct stat st;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		snprintf(full, sizeof(full), "%s/%s", path, e->d_name);
		if (lstat(full, &st) < 0)
			die(full);
		b.ino = st.st_ino;
		if (st.st_nlink > 1 && !S_ISDIR(st.st_mode))
			tree_each(t, match_ino, &b);
		n = b.found != NULL ? node_ref(b.found) : scan_node(full, &st);
		dir_add(dir, e->d_name, n);
		if (S_ISDIR(n->mode))
			scan_dir(t, n, full);
	}
	closedir(d);
}

static void note_hidden(const char *path, struct node *n, void *arg)
{
	struct tree *t = arg;

	(void)path;
	/* Of a file each name is a reference. */
	if (S_ISDIR(n->mode) || n->nlink == n->refs)
		return;
	if (t->n_hidden == MAX_HIDDEN)
		abort();
	t->hidden[t->n_hidden++] = n->ino;
}

void scan_tree(struct tree *ret_model, const char *dir)
{
	struct stat st;

	if (lstat(dir, &st) < 0)
		die(dir);
	*ret_model = (struct tree){.root = scan_node(dir, &st)};
	scan_dir(ret_model, ret_model->root, dir);
	tree_each(ret_model, note_hidden, ret_model);
}

/* --- data files --- */

struct owner {
	ino_t ino;
	const struct node *node; /* NULL: one with hidden names */
	char path[PATH_SIZE];
};

struct owners {
	struct owner *v;
	size_t n, cap;
};

static void add(struct owners *o, ino_t ino, const struct node *n, const char *path)
{
	if (o->n == o->cap) {
		o->cap = o->cap == 0 ? 256 : o->cap * 2;
		o->v = realloc(o->v, o->cap * sizeof(*o->v));
		if (o->v == NULL)
			abort();
	}
	o->v[o->n] = (struct owner){.ino = ino, .node = n};
	snprintf(o->v[o->n++].path, PATH_SIZE, "%s", path);
}

static void add_owner(const char *path, struct node *n, void *arg)
{
	add(arg, n->ino, n, path);
}

static int by_number(const void *a, const void *b)
{
	const struct owner *x = a, *y = b;

	return x->ino < y->ino ? -1 : x->ino > y->ino;
}

static bool is_hidden(struct tree *const *models, unsigned int n, ino_t ino)
{
	for (unsigned int i = 0; i < n; i++)
		for (unsigned int j = 0; j < models[i]->n_hidden; j++)
			if (models[i]->hidden[j] == ino)
				return true;
	return false;
}

static unsigned int check_one(const struct owners *o, ino_t ino, FILE *out)
{
	struct owner key = {.ino = ino};
	const struct owner *found = NULL;

	if (o->n > 0)
		found = bsearch(&key, o->v, o->n, sizeof(*o->v), by_number);
	if (found == NULL) {
		fprintf(out, "data file %016llx belongs to nobody\n", (unsigned long long)ino);
		return 1;
	}
	if (S_ISREG(found->node->mode) && found->node->grown)
		return 0;
	fprintf(out, "data file %016llx of \"%s\" (mode %o, %llu bytes), which needs none\n",
		(unsigned long long)ino, found->path, found->node->mode,
		S_ISREG(found->node->mode) ? (unsigned long long)found->node->states[0].size : 0);
	return 1;
}

static unsigned int check_dir(DIR *d, struct tree *const *models, unsigned int n,
			      const struct owners *o, FILE *out)
{
	unsigned int complaints = 0;
	struct dirent *e;

	while ((e = readdir(d)) != NULL) {
		ino_t ino = strtoull(e->d_name, NULL, 16);

		if (e->d_name[0] != '.' && !is_hidden(models, n, ino))
			complaints += check_one(o, ino, out);
	}
	return complaints;
}

static unsigned int check_data(struct tree *const *models, unsigned int n, const char *upper,
			       const struct owners *o, FILE *out)
{
	unsigned int complaints = 0;

	for (unsigned int i = 0; i < 256; i++) {
		char path[PATH_SIZE];
		DIR *d;

		snprintf(path, sizeof(path), "%s/.plyfs/data/%02x", upper, i);
		d = opendir(path);
		if (d == NULL)
			continue;
		complaints += check_dir(d, models, n, o, out);
		closedir(d);
	}
	return complaints;
}

static unsigned int check_unique(const struct owners *o, FILE *out)
{
	unsigned int complaints = 0;

	for (size_t i = 1; i < o->n; i++) {
		if (o->v[i].ino != o->v[i - 1].ino || o->v[i].node == o->v[i - 1].node)
			continue;
		fprintf(out, "\"%s\" and \"%s\" have one number, %llu\n", o->v[i].path,
			o->v[i - 1].path, (unsigned long long)o->v[i].ino);
		complaints++;
	}
	return complaints;
}

/* A killed daemon leaves no damage behind, so nothing is put aside. */
static unsigned int check_bad(const char *upper, FILE *out)
{
	char path[PATH_SIZE];
	unsigned int bad = 0;
	struct dirent *e;
	DIR *d;

	snprintf(path, sizeof(path), "%s/.plyfs", upper);
	d = opendir(path);
	while (d != NULL && (e = readdir(d)) != NULL) {
		if (strstr(e->d_name, "bad") == NULL)
			continue;
		fprintf(out, "%s was put aside\n", e->d_name);
		bad++;
	}
	if (d != NULL)
		closedir(d);
	return bad;
}

unsigned int check_upper(struct tree *const *models, unsigned int n, const char *upper, FILE *out)
{
	struct owners o = {0};
	unsigned int complaints;

	for (unsigned int i = 0; i < n; i++)
		tree_each(models[i], add_owner, &o);
	if (o.n > 0)
		qsort(o.v, o.n, sizeof(*o.v), by_number);
	complaints = check_unique(&o, out) + check_data(models, n, upper, &o, out) +
		     check_bad(upper, out);
	free(o.v);
	return complaints;
}
