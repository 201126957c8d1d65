/* SPDX-License-Identifier: Apache-2.0 */
#include "image/decoded.h"

#include <pthread.h>
#include <string.h>

#include "base/sys_sched.h"
#include "image/span.h"
#include "image/spancache.h"

/* Spans that are decoded ahead at a time, in the whole process. */
#define AHEAD_MAX 2

struct decoded {
	struct blob blob;
	struct blob *compressed; /* a reference */
	struct points points;	 /* owned */
	atomic_size_t next;	 /* the span that a reader who goes on would come to */
};

static atomic_int ahead;

static int make_span(void *owner, size_t k, uint8_t *bytes)
{
	const struct decoded *d = owner;

	return span_decode(d->compressed, &d->points.at[k], bytes);
}

static int get_span(struct decoded *d, size_t k, struct span **ret_span)
{
	return spancache_get(d, k, d->points.at[k].out_len, make_span, ret_span);
}

/* ---- reading ahead ---------------------------------------------------------------------- */

struct errand {
	struct decoded *d; /* a reference */
	size_t k;
};

static void *run_errand(void *arg)
{
	struct errand *x = arg;
	struct span *s;

	if (get_span(x->d, x->k, &s) == 0)
		spancache_put(s);
	blob_unref(&x->d->blob);
	free(x);
	atomic_fetch_sub(&ahead, 1);
	return NULL;
}

/* A thread for the errand, which no signal disturbs. */
static int start_thread(struct errand *x)
{
	pthread_attr_t attr;
	pthread_t thread;
	int r;

	if (pthread_attr_init(&attr) != 0)
		return -ENOMEM;
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	sys_attr_anywhere(&attr);
	r = sys_thread_create(&thread, &attr, run_errand, x);
	pthread_attr_destroy(&attr);
	return r;
}

/* Has the span K decoded in the background. That it cannot be is no error. */
static void decode_ahead(struct decoded *d, size_t k)
{
	struct errand *x;

	/* Readers of the usual class would come to wait for a thread that gets what nobody else wants. */
	if (k >= d->points.n || spancache_has(d, k) || sys_is_sched_idle())
		return;
	if (atomic_fetch_add(&ahead, 1) >= AHEAD_MAX)
		goto none;
	x = malloc(sizeof(*x));
	if (x == NULL)
		goto none;
	*x = (struct errand){.d = d, .k = k};
	blob_ref(&d->blob);
	if (start_thread(x) == 0)
		return;
	blob_unref(&d->blob);
	free(x);
none:
	atomic_fetch_sub(&ahead, 1);
}

/* ---- the blob --------------------------------------------------------------------------- */

static ssize_t decoded_pread(struct blob *b, void *buf, size_t len, uint64_t off)
{
	struct decoded *d = (struct decoded *)b;
	size_t done = 0;

	for (size_t k = points_find(&d->points, off); done < len; k++) {
		const struct point *p = &d->points.at[k];
		uint64_t skip = off + done - p->out;
		size_t n = p->out_len - skip < len - done ? p->out_len - skip : len - done;
		struct span *s;
		int r;

		if (atomic_exchange(&d->next, k + 1) == k)
			decode_ahead(d, k + 1);
		r = get_span(d, k, &s);
		if (r < 0)
			return r;
		memcpy((uint8_t *)buf + done, span_bytes(s) + skip, n);
		spancache_put(s);
		done += n;
	}
	return (ssize_t)len;
}

static void decoded_close(struct blob *b)
{
	struct decoded *d = (struct decoded *)b;

	spancache_drop(d);
	blob_unref(d->compressed);
	points_done(&d->points);
	free(d);
}

static const struct blob_ops decoded_ops = {.pread = decoded_pread, .close = decoded_close};

int decoded_open(struct blob *compressed, enum compression c, struct points *points, uint64_t size,
		 struct blob **ret_b)
{
	CLEANUP(points) struct points taken = *points;
	struct decoded *d;
	int r;

	*points = (struct points){0};
	r = points_check(&taken, c, compressed->size, size);
	if (r < 0)
		return r;
	d = calloc(1, sizeof(*d));
	if (d == NULL)
		return -ENOMEM;
	blob_init(&d->blob, &decoded_ops, size);
	atomic_init(&d->next, SIZE_MAX);
	d->compressed = blob_ref(compressed);
	d->points = taken;
	taken = (struct points){0};
	*ret_b = &d->blob;
	return 0;
}

void decoded_keep(uint64_t bytes)
{
	spancache_keep(bytes);
}
