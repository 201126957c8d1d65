/* SPDX-License-Identifier: Apache-2.0 */
/* Merged listings: made once a directory, kept while they are used. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "catalog/catalog.h"
#include "union/listing.h"
#include "union/merge.h"

/*
 * A listing is read in pieces, and between two of them nobody holds it. So those that nobody holds
 * stay until they are too many, and old or read to their end: the kernel keeps what it has read.
 */
#define KEEP_BYTES (1 << 20)
/* How many of the oldest are looked at for one that may go: few are in the middle of being read. */
#define KEEP_LOOKS 8

/* union_dir.asked: parts that were asked for names; as many as are worth a listing; never one for look-ups. */
#define ASKED_ENOUGH 512
#define ASKED_NEVER  UINT_MAX

/* Are look-ups of names that are not in it in vain? Found out when it is asked. */
enum listing_exact { EXACT_UNKNOWN, EXACT_NO, EXACT_YES };

struct listing {
	struct union_list list;		       /* first: what users hold */
	struct union_dir *dir;		       /* borrowed */
	size_t bytes;			       /* changes under the lock, while it is in use */
	_Atomic(struct listing_known *) known; /* owned; one a name, or NULL */
	atomic_int exact;		       /* enum listing_exact */
	/* The rest is protected by stack.lists.lock. */
	uint32_t users;
	bool ended;		       /* somebody has read it to its end */
	time_t used;		       /* seconds; when it was last given back */
	struct listing *older, *newer; /* in stack.lists while nobody uses it */
};

static void listing_free(struct listing *l)
{
	if (l != NULL)
		free(atomic_load(&l->known));
	free(l);
}

static bool may_be_dir(const struct union_name *name)
{
	return name->dtype == DT_DIR || name->dtype == DT_UNKNOWN;
}

/* A directory (what fails to be looked up may be one) merges with what is below it. */
static size_t count_parts(const struct merge *m, const struct union_name *name)
{
	size_t n = 0;

	for (uint32_t at = name->parts; at != 0; at = m->parts[at - 1].next)
		n++;
	return may_be_dir(name) ? n : 1;
}

/* Puts the parts of NAME to TO, topmost first, after their number; returns how many words. */
static size_t put_parts(const struct merge *m, const struct union_name *name, uint16_t *to)
{
	size_t n = count_parts(m, name), left = n;
	uint32_t at = name->parts;

	to[0] = (uint16_t)n;
	/* The chain begins with the lowest. */
	for (; at != 0; at = m->parts[at - 1].next)
		to[left > 1 ? left-- : 1] = m->parts[at - 1].index;
	return n + 1;
}

/* The listing with its names, their parts and their texts, in one piece of memory. */
static struct listing *listing_new(struct union_dir *dir, const struct merge *m)
{
	size_t names = m->n * sizeof(struct union_name), text = 0, n_parts = 0;
	struct union_name *to;
	uint16_t *parts;
	struct listing *l;
	char *p;

	for (size_t i = 0; i < m->n; i++) {
		text += m->names[i].len + (size_t)1;
		n_parts += m->parts != NULL ? count_parts(m, &m->names[i]) + 1 : 0;
	}
	l = malloc(sizeof(*l) + names + n_parts * sizeof(*parts) + text);
	if (l == NULL)
		return NULL;
	to = (struct union_name *)(l + 1);
	parts = (uint16_t *)(to + m->n);
	p = (char *)(parts + n_parts);
	*l = (struct listing){
		.list = {.names = to, .n = m->n, .parts = m->parts != NULL ? parts : NULL},
		.dir = dir,
		.bytes = sizeof(*l) + names + n_parts * sizeof(*parts) + text,
	};
	for (size_t i = 0, at = 0; i < m->n; i++) {
		to[i] = m->names[i];
		to[i].name = p;
		memcpy(p, m->names[i].name, to[i].len);
		p[to[i].len] = '\0';
		p += to[i].len + 1;
		to[i].parts = (uint32_t)at;
		l->list.any_dir = l->list.any_dir || may_be_dir(&to[i]);
		if (m->parts != NULL)
			at += put_parts(m, &m->names[i], parts + at);
	}
	return l;
}

/* Bytes that wait for a walk. */
static size_t unread_bytes(const struct listing *l)
{
	return l->ended || atomic_load(&l->known) == NULL ? 0 : l->bytes;
}

static void unused_add(struct listings *t, struct listing *l)
{
	l->older = t->newest;
	l->newer = NULL;
	if (t->newest != NULL)
		t->newest->newer = l;
	else
		t->oldest = l;
	t->newest = l;
	t->bytes += l->bytes;
	t->unread += unread_bytes(l);
}

static void unused_del(struct listings *t, struct listing *l)
{
	if (l->older != NULL)
		l->older->newer = l->newer;
	else
		t->oldest = l->newer;
	if (l->newer != NULL)
		l->newer->older = l->older;
	else
		t->newest = l->older;
	t->bytes -= l->bytes;
	t->unread -= unread_bytes(l);
}

/* The oldest unused listing that may go; NULL. */
static struct listing *oldest_idle(const struct listings *t)
{
	struct listing *l = t->oldest;
	time_t now = listing_seconds();

	if (t->bytes <= KEEP_BYTES)
		return NULL;
	for (int i = 0; i < KEEP_LOOKS && l != NULL; i++, l = l->newer) {
		if (l->ended || now - l->used >= LISTING_SECONDS)
			return l;
	}
	return NULL;
}

/* Takes an unused listing out if one may go; the caller frees it without the lock. */
static struct listing *evict_locked(struct listings *t, bool any)
{
	struct listing *l = any ? t->oldest : oldest_idle(t);

	if (l == NULL)
		return NULL;
	unused_del(t, l);
	l->dir->listing = NULL;
	return l;
}

static struct listing *use_locked(struct listings *t, struct listing *l)
{
	if (l != NULL && l->users++ == 0)
		unused_del(t, l);
	return l;
}

static struct listing *listing_use(struct union_dir *dir)
{
	struct listings *t = &dir->stack->lists;
	struct listing *l;

	pthread_mutex_lock(&t->lock);
	l = use_locked(t, dir->listing);
	pthread_mutex_unlock(&t->lock);
	return l;
}

/* Makes FRESH the listing of its node, or takes the one that another thread made meanwhile. */
static struct listing *listing_publish(struct listing *fresh)
{
	struct listings *t = &fresh->dir->stack->lists;
	struct listing *l;

	pthread_mutex_lock(&t->lock);
	l = use_locked(t, fresh->dir->listing);
	if (l == NULL) {
		fresh->users = 1;
		fresh->dir->listing = fresh;
	}
	pthread_mutex_unlock(&t->lock);
	if (l == NULL)
		return fresh;
	listing_free(fresh);
	return l;
}

int union_list_get(struct union_dir *dir, const struct union_list **ret_list)
{
	CLEANUP(merge) struct merge m = {0};
	struct listing *l = listing_use(dir);
	int r;

	if (l == NULL) {
		r = merge_dir(dir, &m);
		if (r < 0)
			return r;
		l = listing_new(dir, &m);
		if (l == NULL)
			return -ENOMEM;
		l = listing_publish(l);
	}
	*ret_list = &l->list;
	return 0;
}

enum put_by { BY_READER, BY_LAST_READER, BY_LOOKUP };

static void put(struct union_dir *dir, enum put_by by)
{
	struct listings *t = &dir->stack->lists;
	/* While it is in use it is the node's. */
	struct listing *l = dir->listing, *old = NULL;

	pthread_mutex_lock(&t->lock);
	l->ended |= by == BY_LAST_READER;
	/* Look-ups keep it only while there is room: a reader who does not come back must not be waited for. */
	if (by != BY_LOOKUP)
		l->used = listing_seconds();
	if (--l->users == 0) {
		unused_add(t, l);
		old = evict_locked(t, false);
	}
	pthread_mutex_unlock(&t->lock);
	listing_free(old);
}

void union_list_put(struct union_dir *dir, const struct union_list *list)
{
	(void)list;
	put(dir, BY_READER);
}

void union_list_end(struct union_dir *dir, const struct union_list *list)
{
	(void)list;
	put(dir, BY_LAST_READER);
}

void listing_put(struct union_dir *dir)
{
	put(dir, BY_LOOKUP);
}

void listing_drop(struct union_dir *dir)
{
	struct listings *t = &dir->stack->lists;
	struct listing *l;

	pthread_mutex_lock(&t->lock);
	l = dir->listing;
	if (l != NULL)
		unused_del(t, l);
	dir->listing = NULL;
	pthread_mutex_unlock(&t->lock);
	listing_free(l);
}

void stack_trim(struct stack *s)
{
	struct listing *l;

	do {
		pthread_mutex_lock(&s->lists.lock);
		l = evict_locked(&s->lists, true);
		pthread_mutex_unlock(&s->lists.lock);
		listing_free(l);
	} while (l != NULL);
}

static bool is_exact(struct union_dir *dir, struct listing *l)
{
	int exact = atomic_load_explicit(&l->exact, memory_order_relaxed);

	if (exact != EXACT_UNKNOWN)
		return exact == EXACT_YES;
	exact = EXACT_YES;
	for (uint32_t i = 0; i < dir->n_parts && exact == EXACT_YES; i++) {
		const struct part *p = &dir->parts[i];

		if (!layer_lists_all(dir->stack->layers[p->layer], p->dir))
			exact = EXACT_NO;
	}
	atomic_store_explicit(&l->exact, exact, memory_order_relaxed);
	return exact == EXACT_YES;
}

static const struct union_name *find_name(const struct union_list *list, uint64_t hash,
					  const char *name, size_t len)
{
	size_t low = 0, high = list->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (list->names[mid].hash < hash)
			low = mid + 1;
		else
			high = mid;
	}
	for (; low < list->n && list->names[low].hash == hash; low++) {
		const struct union_name *u = &list->names[low];

		if (u->len == len && memcmp(u->name, name, len) == 0)
			return u;
	}
	return NULL;
}

/* A look-up asks the layers of DIR, which has no listing. */
static void count_asked(struct union_dir *dir)
{
	unsigned int asked = atomic_load_explicit(&dir->asked, memory_order_relaxed);

	if (dir->n_parts >= 2 && asked < ASKED_ENOUGH)
		atomic_compare_exchange_strong(&dir->asked, &asked, asked + dir->n_parts);
}

void union_asked(struct union_dir *dir)
{
	struct listings *t = &dir->stack->lists;
	unsigned int asked = atomic_load_explicit(&dir->asked, memory_order_relaxed);
	const struct union_list *list;
	bool large;

	if (asked < ASKED_ENOUGH || asked == ASKED_NEVER ||
	    !atomic_compare_exchange_strong(&dir->asked, &asked, 0))
		return;
	if (union_list_get(dir, &list) < 0) {
		atomic_store(&dir->asked, ASKED_NEVER);
		return;
	}
	/* It is in use, so it stays the node's. */
	pthread_mutex_lock(&t->lock);
	large = dir->listing->bytes > KEEP_BYTES / 4;
	pthread_mutex_unlock(&t->lock);
	if (large)
		atomic_store(&dir->asked, ASKED_NEVER);
	union_list_end(dir, list);
}

enum listing_says listing_ask(struct union_dir *dir, const char *name,
			      const struct union_list **ret_list,
			      const struct union_name **ret_name)
{
	struct listing *l = listing_use(dir);
	size_t len = strlen(name);
	const struct union_name *u;

	if (l == NULL) {
		count_asked(dir);
		return LISTING_SILENT;
	}
	u = find_name(&l->list, catalog_name_hash(dir->stack->seed, name, len), name, len);
	/* With one part there is nothing to choose from: it is asked for the name as it is. */
	if (!(u != NULL && dir->n_parts == 1) && !is_exact(dir, l)) {
		listing_put(dir);
		return LISTING_SILENT;
	}
	if (u == NULL) {
		listing_put(dir);
		return LISTING_HAS_NOT;
	}
	*ret_list = &l->list;
	*ret_name = u;
	return LISTING_HAS;
}

bool listings_full(struct stack *s)
{
	bool full;

	pthread_mutex_lock(&s->lists.lock);
	full = s->lists.unread > KEEP_BYTES || s->lists.bytes > 4 * KEEP_BYTES;
	pthread_mutex_unlock(&s->lists.lock);
	return full;
}

struct listing_known *listing_make_known(struct union_dir *dir, const struct union_list *list)
{
	struct listing *l = (struct listing *)(uintptr_t)list;
	struct listings *t = &dir->stack->lists;
	struct listing_known *known;

	if (atomic_load(&l->known) != NULL)
		return NULL;
	known = calloc(list->n + 1, sizeof(*known));
	if (known == NULL)
		return NULL;
	pthread_mutex_lock(&t->lock);
	l->bytes += list->n * sizeof(*known);
	pthread_mutex_unlock(&t->lock);
	atomic_store(&l->known, known);
	return known;
}

void listing_know(struct listing_known *k, const struct union_ref *ref)
{
	if (ref->data != NULL || attr_is_dir(&ref->attr))
		return;
	k->attr = ref->attr;
	k->part = ref->part;
	atomic_store_explicit(&k->ready, true, memory_order_release);
}

const struct listing_known *listing_find_known(const struct union_list *list,
					       const struct union_name *name)
{
	const struct listing *l = (const struct listing *)list;
	const struct listing_known *known = atomic_load(&l->known);

	if (known == NULL)
		return NULL;
	known += name - list->names;
	return atomic_load_explicit(&known->ready, memory_order_acquire) ? known : NULL;
}
