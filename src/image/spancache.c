/* SPDX-License-Identifier: Apache-2.0 */
#include "image/spancache.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/table.h"

#define KEEP_BYTES (UINT64_C(64) << 20)

enum span_state { BEING_MADE, MADE, FAILED };

struct span {
	struct table_node node;
	void *owner;
	size_t k, len;
	enum span_state state;
	int error;		    /* when FAILED: -errno */
	unsigned users;		    /* of those that got it */
	struct span *newer, *older; /* in the list of unused ones */
	uint8_t bytes[];
};

/* One budget for the process: what many layers may keep together is what counts. */
static struct {
	pthread_mutex_t lock; /* protects all the rest */
	pthread_cond_t changed;
	struct table spans;
	struct span *newest, *oldest; /* unused */
	uint64_t unused, keep;	      /* bytes */
} cache = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.changed = PTHREAD_COND_INITIALIZER,
	.keep = KEEP_BYTES,
};

static uint64_t hash_of(const void *owner, size_t k)
{
	const uint64_t key[2] = {(uintptr_t)owner, k};

	return hash64(key, sizeof(key), 0);
}

static struct span *find(const void *owner, size_t k)
{
	struct table_node *n;

	if (cache.spans.buckets == NULL)
		return NULL;
	for (n = table_first(&cache.spans, hash_of(owner, k)); n != NULL; n = table_next(n)) {
		struct span *s = table_entry(n, struct span, node);

		if (s->owner == owner && s->k == k)
			return s;
	}
	return NULL;
}

static void unlist(struct span *s)
{
	*(s->newer != NULL ? &s->newer->older : &cache.newest) = s->older;
	*(s->older != NULL ? &s->older->newer : &cache.oldest) = s->newer;
	s->newer = s->older = NULL;
	cache.unused -= s->len;
}

static void list_as_newest(struct span *s)
{
	s->older = cache.newest;
	*(cache.newest != NULL ? &cache.newest->newer : &cache.oldest) = s;
	cache.newest = s;
	cache.unused += s->len;
}

static void forget_oldest(void)
{
	while (cache.unused > cache.keep) {
		struct span *s = cache.oldest;

		unlist(s);
		table_del(&cache.spans, &s->node);
		free(s);
	}
}

/* Adds a span that has one user and is yet to be made. */
static int add(void *owner, size_t k, size_t len, struct span **ret_span)
{
	struct span *s;

	if (cache.spans.buckets == NULL && table_init(&cache.spans) < 0)
		return -ENOMEM;
	s = malloc(sizeof(*s) + len);
	if (s == NULL)
		return -ENOMEM;
	*s = (struct span){.owner = owner, .k = k, .len = len, .users = 1};
	table_add(&cache.spans, &s->node, hash_of(owner, k));
	*ret_span = s;
	return 0;
}

/* A user less. A span that failed goes with its last one. */
static void put_locked(struct span *s)
{
	if (--s->users > 0)
		return;
	if (s->state == FAILED) {
		free(s);
		return;
	}
	list_as_newest(s);
	forget_oldest();
}

/* S is found, perhaps still being made by another thread. */
static int wait_for(struct span *s, struct span **ret_span)
{
	int r;

	if (s->users++ == 0)
		unlist(s);
	while (s->state == BEING_MADE)
		pthread_cond_wait(&cache.changed, &cache.lock);
	r = s->error;
	if (r < 0)
		put_locked(s);
	else
		*ret_span = s;
	return r;
}

static int make_new(struct span *s, span_make_fn *make, struct span **ret_span)
{
	int r;

	pthread_mutex_unlock(&cache.lock);
	r = make(s->owner, s->k, s->bytes);
	pthread_mutex_lock(&cache.lock);
	s->error = r;
	s->state = r < 0 ? FAILED : MADE;
	pthread_cond_broadcast(&cache.changed);
	if (r < 0) {
		table_del(&cache.spans, &s->node);
		put_locked(s);
	} else {
		*ret_span = s;
	}
	return r;
}

int spancache_get(void *owner, size_t k, size_t len, span_make_fn *make, struct span **ret_span)
{
	struct span *s;
	int r;

	pthread_mutex_lock(&cache.lock);
	s = find(owner, k);
	if (s != NULL) {
		r = wait_for(s, ret_span);
	} else {
		r = add(owner, k, len, &s);
		if (r == 0)
			r = make_new(s, make, ret_span);
	}
	pthread_mutex_unlock(&cache.lock);
	return r;
}

const uint8_t *span_bytes(const struct span *s)
{
	return s->bytes;
}

void spancache_put(struct span *s)
{
	pthread_mutex_lock(&cache.lock);
	put_locked(s);
	pthread_mutex_unlock(&cache.lock);
}

bool spancache_has(void *owner, size_t k)
{
	bool has;

	pthread_mutex_lock(&cache.lock);
	has = find(owner, k) != NULL;
	pthread_mutex_unlock(&cache.lock);
	return has;
}

void spancache_drop(void *owner)
{
	pthread_mutex_lock(&cache.lock);
	for (struct span *s = cache.newest, *older; s != NULL; s = older) {
		older = s->older;
		if (s->owner != owner)
			continue;
		unlist(s);
		table_del(&cache.spans, &s->node);
		free(s);
	}
	pthread_mutex_unlock(&cache.lock);
}

void spancache_keep(uint64_t bytes)
{
	pthread_mutex_lock(&cache.lock);
	cache.keep = bytes;
	forget_oldest();
	pthread_mutex_unlock(&cache.lock);
}
