/* SPDX-License-Identifier: Apache-2.0 */
/* Uppers that are layers by now: what their numbers are good for over the layers that are below them. */
#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "fs/open.h"
#include "layer/backends.h"

/*
 * A record of an upper that began in a lower file has that file's number, and so the other names of the file find it. That
 * is true over the layers that the upper was made over, and where others came on top of them. Over others (one that was
 * restored from a copy, say) the numbers are those of any files, which must not become one with the upper's.
 */

int layers_note_upper(struct layers *l, struct layer *layer, struct err *err)
{
	struct upper_below *grown = reallocarray(l->uppers, l->n_uppers + 1,
						 sizeof(struct upper_below));

	if (grown == NULL)
		return err_set(err, ENOMEM, "out of memory");
	l->uppers = grown;
	l->uppers[l->n_uppers++] = (struct upper_below){layer, l->n};
	return 0;
}

/* Whether the catalog has anything under KEY, which goes to RET_TEXT: 1, 0, -errno. */
static int read_super(struct layer *layer, const char *key, struct buf *ret_text)
{
	int r = layer_upper_super(layer, key, ret_text);

	return r == 0 ? 1 : r == -ENOENT ? 0 : r;
}

/* IS: what is below UPPER. */
static int check(const struct layers *l, const struct upper_below *upper, const char *is)
{
	CLEANUP(buf) struct buf was = {0};
	CLEANUP(buf) struct buf mixed = {0};
	size_t visible = l->n - l->n_data;
	long on_top = -1;
	int r = read_super(upper->layer, SUPER_STACK, &was);

	if (r > 0 && buf_cstr(&was) == NULL)
		r = -ENOMEM;
	if (r > 0)
		on_top = stack_on_top(buf_cstr(&was), is);
	if (r >= 0)
		r = read_super(upper->layer, SUPER_MIXED, &mixed);
	if (r < 0)
		return r;
	if (r > 0)
		on_top = -1;
	if (on_top == 0)
		return 0;
	log_debug("layer %s was made over other layers than those below it", upper->layer->path);
	/* Of those that are still there; what lay beside the upper's catalog had numbers that the next one has now. */
	if (on_top > 0 && upper->next + (size_t)on_top <= visible)
		layer_upper_set_above(
			upper->layer,
			union_ino((uint32_t)(visible - upper->next - (size_t)on_top) + 1, 0));
	else
		layer_upper_set_above(upper->layer, 0);
	return 0;
}

int layers_check_uppers(struct layers *l, struct err *err)
{
	CLEANUP(free) size_t *begins = NULL;
	CLEANUP(buf) struct buf all = {0};
	int r = 0;

	if (l->n_uppers == 0)
		return 0;
	begins = calloc(l->n + 1, sizeof(*begins));
	if (begins == NULL)
		return err_set(err, ENOMEM, "out of memory");
	for (size_t i = 0; i < l->n; i++) {
		begins[i] = all.len;
		r = layer_describe(l->layers[i], &all, err);
		if (r < 0)
			return r;
	}
	begins[l->n] = all.len;
	if (buf_cstr(&all) == NULL)
		return err_set(err, ENOMEM, "out of memory");
	for (size_t i = 0; i < l->n_uppers; i++) {
		const struct upper_below *upper = &l->uppers[i];

		r = check(l, upper, buf_cstr(&all) + begins[upper->next]);
		if (r < 0)
			return err_errno(err, -r, "layer %s", upper->layer->path);
	}
	return 0;
}
