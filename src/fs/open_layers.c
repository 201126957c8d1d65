/* SPDX-License-Identifier: Apache-2.0 */
/* Opening the lower layers: paths, loops, uppers among them. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "fs/ancestry.h"
#include "fs/open.h"
#include "layer/backends.h"

void layers_done(struct layers *l)
{
	for (size_t i = 0; i < l->n; i++)
		layer_close(l->layers[i]);
	free(l->layers);
	free(l->uppers);
	l->layers = NULL;
	l->uppers = NULL;
	l->n = l->cap = l->n_uppers = 0;
}

int layers_add(struct layers *l, struct layer *layer, struct err *err)
{
	if (l->n == l->cap) {
		size_t cap = l->cap == 0 ? 16 : l->cap * 2;
		struct layer **grown = reallocarray(l->layers, cap, sizeof(struct layer *));

		if (grown == NULL) {
			layer_close(layer);
			return err_set(err, ENOMEM, "out of memory");
		}
		l->layers = grown;
		l->cap = cap;
	}
	l->layers[l->n++] = layer;
	return 0;
}

int open_directory(const char *path, const char *what, int *ret_fd, struct err *err)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	/* A directory that may be searched but not listed is still a layer. */
	if (fd < 0 && errno == EACCES)
		fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(err, errno, "%s %s", what, path);
	*ret_fd = fd;
	return 0;
}

/* An upper may lie in a lower layer, but not the other way round: layers do not change. UPPER is NULL where there is none. */
static int check_loop(const char *path, int fd, const struct place_id *id,
		      const struct fs_options *o, struct ancestry *upper, struct err *err)
{
	int r = upper != NULL ? ancestry_of(upper, fd, id) : ANCESTRY_OUTSIDE;

	if (r == ANCESTRY_SAME)
		return err_set(err, ELOOP,
			       "upper %s is the lower layer %s as well: choose another upper",
			       o->upper, path);
	if (r == ANCESTRY_INSIDE)
		return err_set(err, ELOOP,
			       "lower layer %s lies in the upper %s: choose an upper outside of it",
			       path, o->upper);
	return r < 0 ? err_errno(err, -r, "lower layer %s", path) : 0;
}

/* One identity a lower, to find a directory that is given twice. */
struct seen {
	struct place_id id;
	const char *path;
};

static int compare_seen(const void *a, const void *b)
{
	const struct seen *x = a, *y = b;

	if (x->id.dev != y->id.dev)
		return x->id.dev < y->id.dev ? -1 : 1;
	return x->id.ino < y->id.ino ? -1 : x->id.ino > y->id.ino;
}

static int check_twice(struct seen *seen, size_t n, struct err *err)
{
	qsort(seen, n, sizeof(*seen), compare_seen);
	for (size_t i = 1; i < n; i++) {
		if (compare_seen(&seen[i - 1], &seen[i]) == 0)
			return err_set(err, ELOOP,
				       "lower layers %s and %s are one directory: name it once",
				       seen[i - 1].path, seen[i].path);
	}
	return 0;
}

static struct layer_options options_of(const struct fs_options *o, struct layer_clones *clones)
{
	struct layer_options lo = {.detach = true, .clones = clones, .noxattr = o->no_xattr};

	if (o->follow_redirect)
		lo.trust |= LAYER_TRUST_REDIRECT;
	if (o->follow_metacopy)
		lo.trust |= LAYER_TRUST_METACOPY;
	return lo;
}

static void add_trap(struct layer_options *lo, const struct stat *st)
{
	lo->traps[lo->n_traps++] = (struct layer_trap){.dev = st->st_dev, .ino = st->st_ino};
}

/* The upper and the work directory are not to be found in a lower layer. */
static int set_traps(const struct fs_options *o, int upper_fd, int work_fd,
		     struct layer_options *lo, struct err *err)
{
	struct stat st;

	if (upper_fd < 0)
		return 0;
	if (fstat(upper_fd, &st) < 0)
		return err_errno(err, errno, "upper %s", o->upper);
	add_trap(lo, &st);
	if (work_fd >= 0 && fstat(work_fd, &st) == 0)
		add_trap(lo, &st);
	return 0;
}

/* With -o debug every layer tells what it is asked. */
static int maybe_trace(const struct fs_options *o, struct layer **layer, struct err *err)
{
	if (!o->trace_layers)
		return 0;
	return layer_open_trace(steal_ptr(layer), layer, err);
}

/* Does LAYER have any name at all? 1, 0, -errno. */
static int has_names(struct layer *layer)
{
	CLEANUP(layer_list) struct layer_list list = {0};
	struct layer_dir *dir;
	int r = layer_root(layer, &dir);

	if (r < 0)
		return r;
	r = layer_readdir(layer, dir, &list);
	layer_dir_unref(layer, dir);
	return r < 0 ? r : list.n > 0;
}

/* What lies beside the catalog of the upper that was added last, if anything does. FD is taken over. */
static int add_rest(struct layer_options lo, int fd, const char *path, struct layers *l,
		    struct err *err)
{
	CLEANUP(layer) struct layer *layer = NULL;
	int r;

	lo.hide_private = true;
	r = layer_open_dir(fd, path, &lo, &layer, err);
	if (r < 0)
		return r;
	r = has_names(layer);
	if (r < 0)
		return err_errno(err, -r, "lower layer %s", path);
	return r > 0 ? layers_add(l, steal_ptr(&layer), err) : 0;
}

/* A directory, and where it is an upper also what lies beside its catalog. FD is taken over. */
static int add_directory(const struct layer_options *lo, const struct fs_options *o, int fd,
			 const char *path, struct layers *l, struct err *err)
{
	CLEANUP(layer) struct layer *layer = NULL;
	bool upper = layer_is_upper(fd);
	CLEANUP(fd) int rest = upper ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
	int r = upper ? layer_open_upper(fd, path, lo, &layer, err)
		      : layer_open_dir(fd, path, lo, &layer, err);
	struct layer *opened = layer;

	if (r == 0)
		r = maybe_trace(o, &layer, err);
	if (r == 0)
		r = layers_add(l, steal_ptr(&layer), err);
	if (r < 0 || !upper)
		return r;
	if (rest < 0)
		return err_errno(err, EMFILE, "lower layer %s", path);
	r = add_rest(*lo, steal_fd(&rest), path, l, err);
	return r == 0 ? layers_note_upper(l, opened, err) : r;
}

int layers_open(const struct fs_options *o, int upper_fd, int work_fd, struct layers *l,
		struct err *err)
{
	CLEANUP(free) struct seen *seen = calloc(o->n_lower + 1, sizeof(*seen));
	CLEANUP(ancestry) struct ancestry upper = {0};
	CLEANUP(layer_clones) struct layer_clones clones = {0};
	struct layer_options lo = options_of(o, &clones);
	int fd, r;

	if (seen == NULL)
		return err_set(err, ENOMEM, "out of memory");
	r = upper_fd >= 0 ? ancestry_init(&upper, upper_fd) : 0;
	if (r < 0)
		return err_errno(err, -r, "upper %s", o->upper);
	r = set_traps(o, upper_fd, work_fd, &lo, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < o->n_lower; i++) {
		const char *path = o->lower[i];
		size_t before = l->n;

		r = open_directory(path, "lower layer", &fd, err);
		if (r < 0)
			return r;
		seen[i].path = path;
		r = ancestry_place(fd, &seen[i].id);
		if (r < 0)
			r = err_errno(err, -r, "lower layer %s", path);
		if (r == 0)
			r = check_loop(path, fd, &seen[i].id, o, upper_fd >= 0 ? &upper : NULL,
				       err);
		if (r < 0) {
			close(fd);
			return r;
		}
		r = add_directory(&lo, o, fd, path, l, err);
		if (r < 0)
			return r;
		if (i >= o->n_lower - o->n_data_only)
			l->n_data += l->n - before;
	}
	return check_twice(seen, o->n_lower, err);
}

int layers_open_upper_rest(const struct fs_options *o, int upper_fd, struct layers *l,
			   struct layer **ret_layer, struct err *err)
{
	struct layer_options lo = options_of(o, NULL);
	CLEANUP(layer) struct layer *layer = NULL;
	int fd = openat(upper_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (fd < 0)
		return err_errno(err, errno, "upper %s", o->upper);
	lo.hide_private = true;
	r = layer_open_dir(fd, o->upper, &lo, &layer, err);
	if (r < 0)
		return r;
	r = has_names(layer);
	if (r < 0)
		return err_errno(err, -r, "upper %s", o->upper);
	*ret_layer = layer;
	if (r > 0) {
		r = layers_add(l, steal_ptr(&layer), err);
		l->n_own = 1;
		return r;
	}
	layer = NULL;
	return 0;
}
