/* SPDX-License-Identifier: Apache-2.0 */
/* The contents of data files against their checksums, where there are any. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "data/data.h"
#include "data/sums.h"
#include "tool/private.h"

/* Which bytes are wrong, and what they were, nobody knows. */
static int bad_bytes(struct fsck *f, const struct node *n, int error)
{
	struct place_text place = place_of(f, n->ino);

	if (error < 0)
		return found(f, &place, NULL, "its bytes cannot be read: %s", strerror(-error));
	return found(f, &place, NULL,
		     "its bytes are not those that were written: restore it from a copy");
}

static int look(struct fsck *f, struct data *d, struct node *n)
{
	enum data_sum_state state = DATA_SUM_NONE;
	int r = data_sum_check(d, n->ino, &state);

	if (r == -ENOMEM)
		return r;
	if (r < 0 || state == DATA_SUM_MISMATCH)
		return bad_bytes(f, n, r);
	f->n_sums += state == DATA_SUM_OK;
	f->n_stale += state == DATA_SUM_STALE;
	return 0;
}

static int open_data(struct fsck *f, struct data **ret_data)
{
	struct data_options options = {.read_only = true};
	CLEANUP(err) struct err err = {0};

	return data_open(f->data_fd, f->catalog, &options, ret_data, &err);
}

/* The data files are opened for the first of them that has a sum: few uppers have any. */
static int look_at_all(struct fsck *f)
{
	struct node *const *nodes = nodes_sorted(f->nodes);
	size_t n = nodes_count(f->nodes);
	CLEANUP(data) struct data *d = NULL;
	int r = nodes != NULL ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < n; i++) {
		if (nodes[i]->has_record && nodes[i]->has_sum && nodes[i]->has_data &&
		    !nodes[i]->is_dead) {
			r = d == NULL ? open_data(f, &d) : 0;
			if (r == 0)
				r = look(f, d, nodes[i]);
		}
		if (r == 0)
			r = step_long(f);
	}
	return r;
}

int pass_sums(struct fsck *f)
{
	int r;

	/* Whoever writes a file takes its sum away first; of a moment ago there may be one still. */
	if (f->data_fd < 0 || f->in_use || f->keeps_data)
		return 0;
	r = look_at_all(f);
	if (r == 0 && f->n_sums > 0)
		note(f, "%" PRIu64 " files have the bytes that were written", f->n_sums);
	if (r == 0 && f->n_stale > 0)
		note(f, "%" PRIu64 " files were changed since, by others than plyfs", f->n_stale);
	return r;
}
