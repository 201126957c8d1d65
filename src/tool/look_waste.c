/* SPDX-License-Identifier: Apache-2.0 */
/* plyfs waste: bytes of an image that nobody sees, or that are there more than once. */
#include <errno.h>

#include "tool/look_waste_private.h"
#include "tool/progress.h"

static void waste_done(struct waste *w)
{
	for (size_t i = 0; i < w->n; i++)
		free(w->files[i].path);
	free(w->files);
	free(w->layers);
	free(w->order);
	free(w->groups);
}
DEFINE_CLEANUP(struct waste, waste, waste_done)

int look_waste(struct look *l, const char *path, struct err *err)
{
	CLEANUP(waste) struct waste w = {.l = l, .stack = fs_stack(l->fs)};
	int r;

	w.n_layers = stack_count(w.stack);
	w.layers = calloc(w.n_layers > 0 ? w.n_layers : 1, sizeof(*w.layers));
	r = w.layers != NULL ? waste_walk(&w) : -ENOMEM;
	if (r == 0 && !l->quick)
		r = waste_compare(&w);
	progress_line_end();
	if (r == 0)
		r = waste_show(&w);
	return r < 0 ? err_errno(err, -r, "%s", path) : 0;
}
