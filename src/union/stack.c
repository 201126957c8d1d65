/* SPDX-License-Identifier: Apache-2.0 */
/* The stack of layers: made once, constant from then on. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "union/private.h"

/* Takes the layers over; what cannot be held is closed. */
static struct stack *stack_alloc(struct layer **layers, size_t n)
{
	struct stack *s = calloc(1, sizeof(*s));

	if (s != NULL) {
		s->layers = calloc(n + 1, sizeof(struct layer *));
		s->roots = calloc(n + 1, sizeof(struct layer_dir *));
		s->origins = calloc(n + 1, sizeof(*s->origins));
	}
	if (s == NULL || s->layers == NULL || s->roots == NULL || s->origins == NULL) {
		for (size_t i = 0; i < n; i++)
			layer_close(layers[i]);
		stack_free(s);
		return NULL;
	}
	memcpy(s->layers, layers, n * sizeof(struct layer *));
	s->n = (uint32_t)n;
	return s;
}

static int stack_init_locks(struct stack *s)
{
	int r = ahead_init(&s->ahead);

	if (r == 0)
		r = -pthread_mutex_init(&s->lists.lock, NULL);

	for (size_t i = 0; r == 0 && i < STACK_STRIPES; i++) {
		r = table_init(&s->stripes[i].nodes);
		if (r == 0)
			r = -pthread_mutex_init(&s->stripes[i].lock, NULL);
	}
	return r;
}

static int open_roots(struct stack *s, struct err *err)
{
	for (uint32_t i = 0; i < s->n; i++) {
		struct layer *l = s->layers[i];
		int r = layer_root(l, &s->roots[i]);

		if (r < 0)
			return err_errno(err, -r, "layer %s", l->path);
		if ((l->caps & LAYER_CAP_BY_ORIGIN) != 0 && i < s->n_visible)
			s->origins[s->n_origins++] = i;
	}
	return 0;
}

/* One layer's root into PARTS: 1 to go on with the layer below, 0 at an opaque one. */
static int add_root(struct stack *s, uint32_t i, struct place *path, struct parts *parts,
		    uint64_t *ino, struct err *err)
{
	struct layer *l = s->layers[i];
	struct layer_entry e = {0};
	bool opaque;
	int r = layer_dir_entry(l, s->roots[i], &e);

	if (r < 0)
		return err_errno(err, -r, "layer %s", l->path);
	if (i == 0)
		*ino = stack_ino(s, 0, e.attr.ino, e.flags & LAYER_ABOVE);
	opaque = e.flags & LAYER_OPAQUE;
	layer_entry_done(l, &e);
	r = parts_add(parts, i, layer_dir_ref(l, s->roots[i]), place_ref(path));
	if (r < 0)
		return err_set(err, ENOMEM, "out of memory");
	return opaque ? 0 : 1;
}

static int make_root(struct stack *s, struct err *err)
{
	CLEANUP(parts) struct parts parts = {.layers = s->layers};
	CLEANUP(place) struct place *path = place_new("", 0);
	uint64_t ino = union_ino(1, 1);
	int r = 1;

	if (path == NULL)
		return err_set(err, ENOMEM, "out of memory");
	for (uint32_t i = 0; r > 0 && i < s->n_visible; i++)
		r = add_root(s, i, path, &parts, &ino, err);
	if (r < 0)
		return r;
	s->root = node_new_root(s, &parts, ino);
	return s->root != NULL ? 0 : err_set(err, ENOMEM, "out of memory");
}

int stack_new(struct layer **layers, size_t n, size_t n_data, uint64_t seed,
	      struct stack **ret_stack, struct err *err)
{
	CLEANUP(stack) struct stack *s = stack_alloc(layers, n);
	int r;

	if (s == NULL)
		return err_set(err, ENOMEM, "out of memory");
	if (n > UNION_MAX_LAYERS)
		return err_set(err, E2BIG, "%zu layers are more than the %d that can be stacked", n,
			       UNION_MAX_LAYERS);
	if (n_data > n)
		return err_set(err, EINVAL, "%zu data-only layers among %zu layers", n_data, n);
	s->seed = seed;
	s->n_visible = (uint32_t)(n - n_data);
	if (stack_init_locks(s) < 0)
		return err_set(err, ENOMEM, "out of memory");
	r = open_roots(s, err);
	if (r == 0)
		r = make_root(s, err);
	if (r < 0)
		return r;
	*ret_stack = steal_ptr(&s);
	return 0;
}

void stack_free(struct stack *s)
{
	if (s == NULL)
		return;
	if (!ahead_done(&s->ahead)) {
		log_warn("a layer does not answer; its directories stay open");
		return;
	}
	union_dir_unref(s->root);
	for (size_t i = 0; i < STACK_STRIPES; i++) {
		table_done(&s->stripes[i].nodes);
		pthread_mutex_destroy(&s->stripes[i].lock);
	}
	pthread_mutex_destroy(&s->lists.lock);
	for (uint32_t i = 0; s->layers != NULL && i < s->n; i++) {
		if (s->roots != NULL)
			layer_dir_unref(s->layers[i], s->roots[i]);
		layer_close(s->layers[i]);
	}
	free(s->layers);
	free(s->roots);
	free(s->origins);
	free(s);
}

size_t stack_count(const struct stack *s)
{
	return s->n;
}

struct layer *stack_layer(const struct stack *s, size_t index)
{
	return s->layers[index];
}

struct union_dir *union_root(struct stack *s)
{
	return union_dir_ref(s->root);
}

int union_statfs(struct stack *s, struct statvfs *ret_st)
{
	int r = -ENOSYS;

	for (uint32_t i = 0; r < 0 && i < s->n; i++)
		r = layer_statfs(s->layers[i], ret_st);
	if (r < 0)
		*ret_st = (struct statvfs){.f_bsize = 4096, .f_frsize = 4096, .f_namemax = 255};
	return 0;
}

void stack_to_text(struct stack *s, struct buf *out)
{
	for (uint32_t i = 0; i < s->n; i++) {
		struct layer *l = s->layers[i];
		struct hash128 id;

		buf_printf(out, "%s%s %s", l->ops->kind, i >= s->n_visible ? " (data only)" : "",
			   l->path);
		if (layer_identity(l, &id) == 0)
			buf_printf(out, " %016" PRIx64 "%016" PRIx64, id.high, id.low);
		buf_put_u8(out, '\n');
	}
}
