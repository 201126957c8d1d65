/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors of directories, kept while there is room.
 *
 * The limit is the process's, so the cache is too: one list for all layers. Taking and giving back
 * a descriptor that is there is one atomic operation each on the node. The list is a clock: a node
 * whose descriptor was used since the hand last passed gets another round. Only a descriptor
 * without users is closed, by moving `users` from 0 to DIR_FD_CLOSED, so that nobody can take it
 * while it goes away. `fd` and the list are written under the cache's lock.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>

#include "base/sys.h"
#include "layer/dir.h"

enum { MIN_BUDGET = 8, DEFAULT_BUDGET = 128, MAX_BUDGET = 4096, MAKE_ROOM = 8 };

/* All of it protected by `lock`. */
static struct {
	pthread_mutex_t lock;
	struct dir_node *newest, *oldest;
	size_t count;
	size_t budget;
} cache = {.lock = PTHREAD_MUTEX_INITIALIZER, .budget = DEFAULT_BUDGET};

void layer_dir_keep_fds(size_t n)
{
	pthread_mutex_lock(&cache.lock);
	cache.budget = n < MIN_BUDGET ? MIN_BUDGET : n > MAX_BUDGET ? MAX_BUDGET : n;
	pthread_mutex_unlock(&cache.lock);
}

static void list_add(struct dir_node *n)
{
	n->newer = NULL;
	n->older = cache.newest;
	if (cache.newest != NULL)
		cache.newest->newer = n;
	else
		cache.oldest = n;
	cache.newest = n;
	cache.count++;
}

static void list_del(struct dir_node *n)
{
	if (n->newer != NULL)
		n->newer->older = n->older;
	else
		cache.newest = n->older;
	if (n->older != NULL)
		n->older->newer = n->newer;
	else
		cache.oldest = n->newer;
	n->newer = n->older = NULL;
	cache.count--;
}

/* Takes a descriptor out of the cache for the caller to close; -1 when all are in use. */
static int take_oldest(void)
{
	size_t steps = cache.count * 2;

	while (steps-- > 0) {
		struct dir_node *n = cache.oldest;
		int unused = 0;

		list_del(n);
		if (!atomic_exchange(&n->recent, false) &&
		    atomic_compare_exchange_strong(&n->users, &unused, DIR_FD_CLOSED)) {
			int fd = n->fd;

			n->fd = -1;
			return fd;
		}
		list_add(n);
	}
	return -1;
}

/* Closes old descriptors until at most KEEP are left, or MAKE_ROOM have gone. */
static void close_oldest(size_t keep)
{
	int fds[MAKE_ROOM];
	size_t n = 0;

	pthread_mutex_lock(&cache.lock);
	while (n < MAKE_ROOM && cache.count > keep) {
		fds[n] = take_oldest();
		if (fds[n] < 0)
			break;
		n++;
	}
	pthread_mutex_unlock(&cache.lock);
	while (n > 0)
		close(fds[--n]);
}

/* Takes the descriptor if there is one; -1 if not. */
static int take_present(struct dir_node *n)
{
	int users = atomic_load_explicit(&n->users, memory_order_relaxed);

	while (users != DIR_FD_CLOSED) {
		if (!atomic_compare_exchange_weak_explicit(&n->users, &users, users + 1,
							   memory_order_acquire,
							   memory_order_relaxed))
			continue;
		if (!atomic_load_explicit(&n->recent, memory_order_relaxed))
			atomic_store_explicit(&n->recent, true, memory_order_relaxed);
		return n->fd;
	}
	return -1;
}

/* Puts FD into the cache and takes it; when another thread was faster, takes that one's. */
static int install_and_take(struct dir_node *n, int fd)
{
	size_t keep;
	bool over;
	int have;

	pthread_mutex_lock(&cache.lock);
	have = take_present(n);
	if (have < 0) {
		n->fd = fd;
		atomic_store(&n->recent, true);
		atomic_store_explicit(&n->users, 1, memory_order_release);
		list_add(n);
	}
	keep = cache.budget;
	over = cache.count > keep;
	pthread_mutex_unlock(&cache.lock);
	if (over)
		close_oldest(keep);
	if (have < 0)
		return fd;
	close(fd);
	return have;
}

void dir_fd_install(struct dir_node *n, int fd)
{
	install_and_take(n, fd);
	dir_fd_put(n);
}

void dir_fd_pin(struct dir_node *n, int fd)
{
	n->fd = fd;
	atomic_store_explicit(&n->users, 1, memory_order_release);
}

void dir_fd_drop(struct dir_node *n)
{
	int fd;

	/* The lock even when `users` says closed: the closing thread may still hold the node. */
	pthread_mutex_lock(&cache.lock);
	fd = n->fd;
	n->fd = -1;
	if (fd >= 0 && n->parent != NULL)
		list_del(n);
	atomic_store(&n->users, DIR_FD_CLOSED);
	pthread_mutex_unlock(&cache.lock);
	if (fd >= 0)
		close(fd);
}

/* O_NOATIME is the owner's and root's; a layer where it was refused once is not asked again. */
static int open_noatime(struct dir_layer *l, int dirfd, const char *name, int flags)
{
	int fd;

	if ((flags & O_PATH) != 0 || !atomic_load_explicit(&l->may_noatime, memory_order_relaxed))
		return sys_open_in(dirfd, name, flags, true);
	fd = sys_open_in(dirfd, name, flags | O_NOATIME, true);
	if (fd != -EPERM)
		return fd;
	fd = sys_open_in(dirfd, name, flags, true);
	if (fd >= 0)
		atomic_store_explicit(&l->may_noatime, false, memory_order_relaxed);
	return fd;
}

int dir_open_in(struct dir_layer *l, int dirfd, const char *name, int flags)
{
	int fd = open_noatime(l, dirfd, name, flags);

	if (fd != -EMFILE && fd != -ENFILE)
		return fd;
	close_oldest(0);
	return open_noatime(l, dirfd, name, flags);
}

int dir_open_node(struct dir_node *n, int parent_fd)
{
	CLEANUP(fd) int fd = dir_open_in(n->layer, parent_fd, n->name, O_RDONLY | O_DIRECTORY);
	struct stat st;
	int r;

	if (fd == -EACCES)
		fd = dir_open_in(n->layer, parent_fd, n->name, O_PATH | O_DIRECTORY);
	if (fd < 0)
		return fd == -ENOTDIR || fd == -ELOOP ? -ESTALE : fd;
	r = sys_fstat(fd, &st);
	if (r < 0)
		return r;
	if (st.st_dev != n->dev || (st.st_ino != n->ino && !n->layer->loose_ino))
		return -ESTALE;
	return steal_fd(&fd);
}

/*
 * The nodes from N up to, not including, the nearest ancestor that has a descriptor, N first. That
 * ancestor's is taken. There always is one: the root's.
 */
static int missing_nodes(struct dir_node *n, struct dir_node ***ret_nodes, size_t *ret_n,
			 int *ret_fd)
{
	struct dir_node **nodes = calloc((size_t)n->depth + 1, sizeof(struct dir_node *));
	size_t count = 0;
	int fd;

	if (nodes == NULL)
		return -ENOMEM;
	while ((fd = take_present(n)) < 0) {
		nodes[count++] = n;
		n = n->parent;
	}
	nodes[count] = n;
	*ret_nodes = nodes;
	*ret_n = count;
	*ret_fd = fd;
	return 0;
}

static int get_missing(struct dir_node *n)
{
	CLEANUP(free) struct dir_node **nodes = NULL;
	size_t count;
	int fd, r = missing_nodes(n, &nodes, &count, &fd);

	if (r < 0)
		return r;
	for (; count > 0; count--) {
		int child = dir_open_node(nodes[count - 1], fd);

		/* It was there when it was looked up. */
		if (child == -ENOENT || child == -EXDEV)
			child = -ESTALE;
		if (child >= 0)
			child = install_and_take(nodes[count - 1], child);
		dir_fd_put(nodes[count]);
		if (child < 0)
			return child;
		fd = child;
	}
	return fd;
}

int dir_fd_get(struct dir_node *n)
{
	int fd = take_present(n);

	return fd >= 0 ? fd : get_missing(n);
}

void dir_fd_put(struct dir_node *n)
{
	atomic_fetch_sub_explicit(&n->users, 1, memory_order_release);
}
