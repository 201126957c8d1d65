/* SPDX-License-Identifier: Apache-2.0 */
/* Open descriptors of data files: the least recently used ones are closed. */
#include <errno.h>
#include <unistd.h>

#include "base/hash.h"
#include "data/fdcache.h"
#include "data/path.h"

struct fdcache {
	int dirfd;
	bool read_only;
	pthread_mutex_t lock;	       /* protects all below */
	struct table refs;	       /* by inode number */
	struct fdref *newest, *oldest; /* idle ones */
	struct fdcache_counts counts;
	/* Counts the drops of inodes with this low byte: was the file deleted while we opened it? */
	uint32_t drops[DATA_DIRS];
	void (*evicted)(void *arg, const struct fdref *ref); /* constant; NULL: nobody asks */
	void *evicted_arg;
};

int fdcache_new(int dirfd, bool read_only, size_t max, struct fdcache **ret_cache)
{
	struct fdcache *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return -ENOMEM;
	if (table_init(&c->refs) < 0) {
		free(c);
		return -ENOMEM;
	}
	c->dirfd = dirfd;
	c->read_only = read_only;
	c->counts.max = max;
	pthread_mutex_init(&c->lock, NULL);
	*ret_cache = c;
	return 0;
}

void fdcache_on_evict(struct fdcache *c, void (*evicted)(void *arg, const struct fdref *ref),
		      void *arg)
{
	c->evicted = evicted;
	c->evicted_arg = arg;
}

static struct fdref *find(struct fdcache *c, uint64_t ino)
{
	struct table_node *n;

	for (n = table_first(&c->refs, hash_number(ino)); n != NULL; n = table_next(n))
		if (table_entry(n, struct fdref, node)->ino == ino)
			return table_entry(n, struct fdref, node);
	return NULL;
}

static void idle_add(struct fdcache *c, struct fdref *ref)
{
	ref->newer = NULL;
	ref->older = c->newest;
	if (c->newest != NULL)
		c->newest->newer = ref;
	else
		c->oldest = ref;
	c->newest = ref;
}

static void idle_del(struct fdcache *c, struct fdref *ref)
{
	if (ref->newer != NULL)
		ref->newer->older = ref->older;
	else
		c->newest = ref->older;
	if (ref->older != NULL)
		ref->older->newer = ref->newer;
	else
		c->oldest = ref->newer;
	ref->newer = ref->older = NULL;
}

static void ref_free(struct fdref *ref)
{
	close(ref->fd);
	pthread_rwlock_destroy(&ref->growing);
	free(ref);
}

/* Frees a list that take_idle() made, without the lock. */
static void free_all(struct fdref *list)
{
	while (list != NULL) {
		struct fdref *next = list->older;

		ref_free(list);
		list = next;
	}
}

static void forget(struct fdcache *c, struct fdref *ref)
{
	table_del(&c->refs, &ref->node);
	ref->cached = false;
	c->counts.open--;
}

/* Takes the oldest idle ones out until at most KEEP are open; the caller frees them unlocked. */
static struct fdref *take_idle(struct fdcache *c, size_t keep)
{
	struct fdref *list = NULL;

	while (c->counts.open > keep && c->oldest != NULL) {
		struct fdref *ref = c->oldest;

		/* Under the lock: whoever opens the file anew comes after that. */
		if (c->evicted != NULL)
			c->evicted(c->evicted_arg, ref);
		idle_del(c, ref);
		forget(c, ref);
		ref->older = list;
		list = ref;
	}
	return list;
}

static struct fdref *find_and_hold(struct fdcache *c, uint64_t ino)
{
	struct fdref *ref = find(c, ino);

	if (ref == NULL)
		return NULL;
	if (ref->refs++ == 0)
		idle_del(c, ref);
	return ref;
}

bool fdcache_make_room(struct fdcache *c)
{
	struct fdref *list;

	pthread_mutex_lock(&c->lock);
	list = take_idle(c, c->counts.open / 2);
	pthread_mutex_unlock(&c->lock);
	free_all(list);
	return list != NULL;
}

static int open_file(struct fdcache *c, uint64_t ino, bool create, int *ret_fd)
{
	int r;

	do {
		r = create ? data_path_create(c->dirfd, ino, ret_fd)
			   : data_path_open(c->dirfd, ino, c->read_only, ret_fd);
	} while ((r == -EMFILE || r == -ENFILE) && fdcache_make_room(c));
	return r;
}

/* A reference of the caller's, not in the table; to a file that is made (CREATE), or one that is there. */
static int ref_new(struct fdcache *c, uint64_t ino, bool create, struct fdref **ret_ref)
{
	CLEANUP(free) struct fdref *ref = calloc(1, sizeof(*ref));
	int r;

	if (ref == NULL)
		return -ENOMEM;
	r = open_file(c, ino, create, &ref->fd);
	if (r < 0)
		return r;
	pthread_rwlock_init(&ref->growing, NULL);
	ref->cache = c;
	ref->ino = ino;
	ref->refs = 1;
	*ret_ref = steal_ptr(&ref);
	return 0;
}

/* Puts NEW into the table, where there is none of its inode. Returns what is to be freed. */
static struct fdref *add(struct fdcache *c, struct fdref *new)
{
	table_add(&c->refs, &new->node, hash_number(new->ino));
	new->cached = true;
	c->counts.open++;
	return take_idle(c, c->counts.max);
}

/*
 * Puts NEW into the table and returns it, or the one that another thread was quicker to open; NULL
 * when the file was deleted since DROPS was read. What is to be freed goes to RET_FREE.
 */
static struct fdref *publish(struct fdcache *c, struct fdref *new, uint32_t drops,
			     struct fdref **ret_free)
{
	struct fdref *ref = find_and_hold(c, new->ino);

	*ret_free = new;
	if (ref != NULL || c->drops[data_path_dir(new->ino)] != drops)
		return ref;
	*ret_free = add(c, new);
	return new;
}

int fdcache_get(struct fdcache *c, uint64_t ino, struct fdref **ret_ref)
{
	struct fdref *ref, *new = NULL, *garbage;
	uint32_t drops;
	int r;

	pthread_mutex_lock(&c->lock);
	for (;;) {
		ref = find_and_hold(c, ino);
		drops = c->drops[data_path_dir(ino)];
		if (ref != NULL)
			c->counts.hits++;
		else
			c->counts.misses++;
		pthread_mutex_unlock(&c->lock);
		if (ref != NULL)
			break;
		r = ref_new(c, ino, false, &new);
		if (r < 0)
			return r;
		pthread_mutex_lock(&c->lock);
		ref = publish(c, new, drops, &garbage);
		pthread_mutex_unlock(&c->lock);
		free_all(garbage);
		if (ref != NULL)
			break;
		pthread_mutex_lock(&c->lock);
	}
	*ret_ref = ref;
	return 0;
}

/* Under the lock. Whoever is about to come with a descriptor finds that it is too late. Returns what is to be freed. */
static struct fdref *drop(struct fdcache *c, uint64_t ino)
{
	struct fdref *ref = find(c, ino);

	c->drops[data_path_dir(ino)]++;
	if (ref == NULL)
		return NULL;
	if (ref->refs == 0)
		idle_del(c, ref);
	forget(c, ref);
	atomic_store(&ref->gone, true);
	return ref->refs == 0 ? ref : NULL;
}

int fdcache_create(struct fdcache *c, uint64_t ino, struct fdref **ret_ref)
{
	struct fdref *new = NULL, *old, *idle = NULL;
	int r = ref_new(c, ino, true, &new);

	/*
	 * The old one goes now, and in one step with the coming of the new one: as long as there is an old file, a thread
	 * that flushes what it finds in a set may open it by its name.
	 */
	pthread_mutex_lock(&c->lock);
	old = drop(c, ino);
	if (r == 0)
		idle = add(c, new);
	c->counts.misses++;
	pthread_mutex_unlock(&c->lock);
	free_all(old);
	free_all(idle);
	*ret_ref = new;
	return r;
}

struct fdref *fdcache_peek(struct fdcache *c, uint64_t ino)
{
	struct fdref *ref;

	pthread_mutex_lock(&c->lock);
	ref = find_and_hold(c, ino);
	if (ref != NULL)
		c->counts.hits++;
	pthread_mutex_unlock(&c->lock);
	return ref;
}

void fdcache_put(struct fdref *ref)
{
	struct fdcache *c = ref->cache;
	struct fdref *garbage = NULL;

	pthread_mutex_lock(&c->lock);
	if (--ref->refs == 0) {
		if (ref->cached)
			idle_add(c, ref);
		else
			garbage = ref;
		if (garbage == NULL)
			garbage = take_idle(c, c->counts.max);
	}
	pthread_mutex_unlock(&c->lock);
	free_all(garbage);
}

void fdcache_drop(struct fdcache *c, uint64_t ino)
{
	struct fdref *garbage;

	pthread_mutex_lock(&c->lock);
	garbage = drop(c, ino);
	pthread_mutex_unlock(&c->lock);
	free_all(garbage);
}

void fdcache_set_max(struct fdcache *c, size_t max)
{
	pthread_mutex_lock(&c->lock);
	c->counts.max = max;
	pthread_mutex_unlock(&c->lock);
}

void fdcache_count(struct fdcache *c, struct fdcache_counts *ret_counts)
{
	pthread_mutex_lock(&c->lock);
	*ret_counts = c->counts;
	pthread_mutex_unlock(&c->lock);
}

void fdcache_free(struct fdcache *c)
{
	if (c == NULL)
		return;
	free_all(take_idle(c, 0));
	table_done(&c->refs);
	pthread_mutex_destroy(&c->lock);
	free(c);
}
