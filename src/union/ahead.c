/* SPDX-License-Identifier: Apache-2.0 */
/* A thread that reads directories ahead of a walk. */
#include "union/ahead.h"

#include <dirent.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/sys_sched.h"
#include "union/listing.h"

/* As long as a listing is kept that nobody has read to its end. */
#define RECENT_SECONDS LISTING_SECONDS
/* So often must it go down before it is taken for a walk. */
#define DOWN_MIN 3
/* Its thread may be waiting for a layer that does not answer. */
#define END_SECONDS 10
/* A larger directory is read in pieces by the walker itself. */
#define NAMES_MAX 4096

/* Seconds, never 0. */
static unsigned int stamp(void)
{
	return (unsigned int)listing_seconds() + 1;
}

static bool is_recent(unsigned int then, unsigned int now)
{
	/* Signed: another thread may have looked at the clock later. */
	return then != 0 && (int)(now - then) <= RECENT_SECONDS;
}

int ahead_init(struct ahead *a)
{
	int r = pthread_mutex_init(&a->lock, NULL);

	return -(r != 0 ? r : pthread_cond_init(&a->wake, NULL));
}

/* Forgets all directories; the references are given back without the lock. */
static void clear(struct ahead *a)
{
	struct ahead_entry entries[AHEAD_MAX];
	size_t n;

	pthread_mutex_lock(&a->lock);
	n = a->n;
	memcpy(entries, a->entries, n * sizeof(entries[0]));
	a->n = 0;
	pthread_mutex_unlock(&a->lock);
	for (size_t i = 0; i < n; i++)
		union_dir_unref(entries[i].dir);
}

bool ahead_done(struct ahead *a)
{
	struct timespec end;

	pthread_mutex_lock(&a->lock);
	a->stop = true;
	pthread_cond_signal(&a->wake);
	pthread_mutex_unlock(&a->lock);
	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += END_SECONDS;
	if (a->started && pthread_timedjoin_np(a->thread, NULL, &end) != 0)
		return false;
	clear(a);
	pthread_cond_destroy(&a->wake);
	pthread_mutex_destroy(&a->lock);
	return true;
}

/* The latest directory, with a reference; waits for one. NULL: the end has come. */
static struct union_dir *latest(struct ahead *a, size_t *ret_next)
{
	struct union_dir *dir = NULL;

	pthread_mutex_lock(&a->lock);
	while (a->n == 0 && !a->stop)
		pthread_cond_wait(&a->wake, &a->lock);
	if (!a->stop) {
		dir = union_dir_ref(a->entries[a->n - 1].dir);
		*ret_next = a->entries[a->n - 1].next;
	}
	pthread_mutex_unlock(&a->lock);
	return dir;
}

/* DIR is done up to NEXT, or (END) altogether. It may be another's turn meanwhile, or not be there. */
static void note(struct ahead *a, struct union_dir *dir, size_t next, bool end)
{
	struct union_dir *gone = NULL;

	pthread_mutex_lock(&a->lock);
	for (size_t i = 0; i < a->n && gone == NULL; i++) {
		if (a->entries[i].dir != dir)
			continue;
		a->entries[i].next = next;
		if (!end)
			break;
		gone = dir;
		a->n--;
		memmove(&a->entries[i], &a->entries[i + 1], (a->n - i) * sizeof(a->entries[0]));
	}
	pthread_mutex_unlock(&a->lock);
	union_dir_unref(gone);
}

/* Whoever looked DIR's sub-directories up has their nodes: others are not made for this. */
static struct union_dir *next_child(struct union_dir *dir, size_t *next)
{
	const struct union_list *list;
	struct union_dir *child = NULL;

	if (union_list_get(dir, &list) < 0)
		return NULL;
	for (; child == NULL && *next < list->n; (*next)++) {
		if (list->names[*next].dtype == DT_DIR)
			child = node_find(dir, list->names[*next].name);
		if (child != NULL && is_recent(atomic_load(&child->walked), stamp())) {
			union_dir_unref(child);
			child = NULL;
		}
	}
	union_list_put(dir, list);
	return child;
}

static void look_up_names(struct ahead *a, struct union_dir *dir, const struct union_list *list)
{
	struct listing_known *known = listing_make_known(dir, list);

	for (size_t i = 0; known != NULL && i < list->n; i++) {
		CLEANUP(union_ref) struct union_ref ref = {0};

		if (a->stop)
			return;
		if (list->names[i].dtype == DT_DIR || list->names[i].dtype == DT_UNKNOWN)
			continue;
		if (union_lookup_listed(dir, list, &list->names[i], &ref) == 0)
			listing_know(&known[i], &ref);
	}
}

static void read_dir(struct ahead *a, struct union_dir *dir)
{
	const struct union_list *list;

	if (union_list_get(dir, &list) < 0)
		return;
	if (list->n <= NAMES_MAX) {
		look_up_names(a, dir, list);
		union_list_put(dir, list);
	} else {
		/* Nothing that is worth keeping was learned. */
		union_list_end(dir, list);
	}
}

static void *ahead_main(void *arg)
{
	struct ahead *a = arg;
	struct union_dir *dir;
	size_t next;

	while ((dir = latest(a, &next)) != NULL) {
		struct union_dir *child = next_child(dir, &next);

		note(a, dir, next, child == NULL);
		/* The walker does not come after us: what was read is thrown away before it is used. */
		if (listings_full(dir->stack))
			clear(a);
		else if (child != NULL)
			read_dir(a, child);
		union_dir_unref(child);
		union_dir_unref(dir);
	}
	return NULL;
}

/* With one processor there is nothing to gain. */
void union_start(struct stack *s)
{
	struct ahead *a = &s->ahead;

	a->started = sysconf(_SC_NPROCESSORS_ONLN) > 1 &&
		     sys_thread_create(&a->thread, NULL, ahead_main, a) == 0;
}

/* Returns the entry that had to make room: DIR's own, from before, or the oldest. */
static struct union_dir *push_locked(struct ahead *a, struct union_dir *dir)
{
	struct union_dir *gone = NULL;
	size_t i = 0;

	while (i < a->n && a->entries[i].dir != dir)
		i++;
	if (i == a->n && a->n == AHEAD_MAX)
		i = 0;
	if (i < a->n) {
		gone = a->entries[i].dir;
		a->n--;
		memmove(&a->entries[i], &a->entries[i + 1], (a->n - i) * sizeof(a->entries[0]));
	}
	a->entries[a->n++] = (struct ahead_entry){.dir = union_dir_ref(dir)};
	return gone;
}

void union_walked(struct union_dir *dir, bool any_dir)
{
	struct ahead *a = &dir->stack->ahead;
	unsigned int now = stamp();
	struct union_dir *gone = NULL;
	bool push;

	/* One piece of it after the other. */
	if (is_recent(atomic_exchange(&dir->walked, now), now))
		return;
	pthread_mutex_lock(&a->lock);
	if (dir->parent != NULL && is_recent(atomic_load(&dir->parent->walked), now))
		a->down++;
	else
		a->down = 0;
	push = any_dir && a->down >= DOWN_MIN && a->started;
	if (push)
		gone = push_locked(a, dir);
	pthread_mutex_unlock(&a->lock);
	/* Without the lock, which the thread that wakes takes first. */
	if (push)
		pthread_cond_signal(&a->wake);
	union_dir_unref(gone);
}
