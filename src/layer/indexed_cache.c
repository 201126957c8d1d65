/* SPDX-License-Identifier: Apache-2.0 */
/* The directory of indexes: finding, drafts, publishing. */
#include "layer/indexed_cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

#include "base/log.h"
#include "base/sys.h"
#include "catalog/private.h"

/* For nobody else to look into: what is in a cache tells what images somebody has. */
#define DIR_MODE 0700

struct indexed_cache {
	char *dir;     /* owned; NULL: nobody says where */
	char *blobs;   /* owned; in `dir`, and NULL as that */
	char **others; /* owned, and the paths */
	size_t n_others;
};

static char *path_of(const char *dir, const char *name)
{
	char *path;

	return asprintf(&path, "%s/%s", dir, name) < 0 ? NULL : path;
}

/* Relative paths in such variables are to be ignored, says the XDG specification. */
static char *default_dir(void)
{
	const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");

	if (xdg != NULL && xdg[0] == '/')
		return path_of(xdg, "plyfs");
	return home != NULL && home[0] == '/' ? path_of(home, ".cache/plyfs") : NULL;
}

static int add_other(struct indexed_cache *c, const char *path, size_t len)
{
	char **grown;

	if (len == 0)
		return 0;
	grown = reallocarray(c->others, c->n_others + 1, sizeof(*grown));
	if (grown == NULL)
		return -ENOMEM;
	c->others = grown;
	grown[c->n_others] = strndup(path, len);
	return grown[c->n_others++] != NULL ? 0 : -ENOMEM;
}

int indexed_cache_open(const char *dir, const char *others, struct indexed_cache **ret_cache,
		       struct err *err)
{
	CLEANUP(indexed_cache) struct indexed_cache *c = calloc(1, sizeof(*c));

	/* A variable of a script that is not set. */
	if (dir != NULL && *dir == '\0')
		return err_set(err, EINVAL, "the cache's directory is an empty name");
	if (others == NULL)
		others = getenv("PLYFS_CACHE_PATH");
	if (c == NULL)
		return err_set(err, ENOMEM, "out of memory");
	c->dir = dir != NULL ? strdup(dir) : default_dir();
	if (dir != NULL && c->dir == NULL)
		return err_set(err, ENOMEM, "out of memory");
	if (c->dir != NULL && (c->blobs = path_of(c->dir, CACHE_BLOBS)) == NULL)
		return err_set(err, ENOMEM, "out of memory");
	while (others != NULL && *others != '\0') {
		size_t len = strcspn(others, ":");

		if (add_other(c, others, len) < 0)
			return err_set(err, ENOMEM, "out of memory");
		others += len + (others[len] == ':');
	}
	*ret_cache = steal_ptr(&c);
	return 0;
}

void indexed_cache_close(struct indexed_cache *c)
{
	if (c == NULL)
		return;
	for (size_t i = 0; i < c->n_others; i++)
		free(c->others[i]);
	free(c->others);
	free(c->blobs);
	free(c->dir);
	free(c);
}

const char *indexed_cache_dir(const struct indexed_cache *c)
{
	return c->dir;
}

const char *indexed_cache_blob_dir(const struct indexed_cache *c)
{
	return c->blobs;
}

/* ---- finding ---- */

/* Never waits for a fifo that somebody put there. */
static int open_file(const char *dir, const char *name)
{
	CLEANUP(free) char *sub = path_of(dir, CACHE_INDEXES);
	CLEANUP(free) char *path = sub != NULL ? path_of(sub, name) : NULL;

	return path != NULL ? sys_openat(AT_FDCWD, path, O_RDONLY | O_NONBLOCK, 0) : -ENOMEM;
}

/* The file of our own: the last to be removed when the cache is too large. */
static int open_own(const struct indexed_cache *c, const char *name)
{
	int fd = c->dir != NULL ? open_file(c->dir, name) : -ENOENT;

	if (fd >= 0)
		sys_note_use(fd);
	return fd;
}

int indexed_cache_file(struct indexed_cache *c, const char *name)
{
	int fd = open_own(c, name);

	for (size_t i = 0; fd < 0 && i < c->n_others; i++)
		fd = open_file(c->others[i], name);
	return fd;
}

/* FD is taken over; it may be an error. */
static int open_index(int fd, const char *name, struct index_file **ret_index)
{
	CLEANUP(err) struct err err = {0};
	int r;

	if (fd < 0)
		return fd;
	r = index_file_open(fd, name, ret_index, &err);
	if (r < 0 && r != -EPROTONOSUPPORT)
		log_warn("%s; it is made anew", err_text(&err));
	return r;
}

int indexed_cache_find(struct indexed_cache *c, const char *name, struct index_file **ret_index)
{
	int r = open_index(open_own(c, name), name, ret_index);

	for (size_t i = 0; r < 0 && r != -ENOMEM && i < c->n_others; i++)
		r = open_index(open_file(c->others[i], name), name, ret_index);
	return r == 0 || r == -ENOMEM ? r : -ENOENT;
}

/* ---- drafts ---- */

/* Removes a draft whose writer is gone: nobody holds its lock. */
static void remove_if_dead(int dirfd, const char *name)
{
	CLEANUP(fd) int fd = sys_openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);

	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
		sys_unlinkat(dirfd, name, 0);
}

static void remove_dead(int dirfd)
{
	int fd = sys_openat(dirfd, ".", O_RDONLY | O_DIRECTORY, 0);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *d;

	if (dir == NULL) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((d = readdir(dir)) != NULL)
		if (strncmp(d->d_name, CACHE_DRAFT, strlen(CACHE_DRAFT)) == 0)
			remove_if_dead(dirfd, d->d_name);
	closedir(dir);
}

/* A locked new file. One that was taken for dead before it was locked has no name any more: once more then. */
static int make_locked(int dirfd, struct indexed_draft *d)
{
	for (int attempt = 0; attempt < 100; attempt++) {
		struct stat st;
		uint64_t random;
		int r = sys_random(&random, sizeof(random));
		CLEANUP(fd) int fd = -1;

		if (r < 0)
			return r;
		snprintf(d->name, sizeof(d->name), CACHE_DRAFT "%ld-%016jx", (long)getpid(),
			 (uintmax_t)random);
		fd = sys_openat(dirfd, d->name, O_RDWR | O_CREAT | O_EXCL, 0644);
		if (fd == -EEXIST)
			continue;
		if (fd < 0)
			return fd;
		/* Without locks (NFS without a server for them) nobody takes it for dead either. */
		if (flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
			continue;
		r = sys_fstat(fd, &st);
		if (r < 0)
			return r;
		if (st.st_nlink == 0)
			continue;
		d->fd = steal_fd(&fd);
		return 0;
	}
	return -EBUSY;
}

static int make_in_dir(struct indexed_cache *c, struct indexed_draft *d)
{
	CLEANUP(free) char *sub = c->dir != NULL ? path_of(c->dir, CACHE_INDEXES) : NULL;
	CLEANUP(fd) int dirfd = -1;
	int r;

	if (sub == NULL)
		return c->dir != NULL ? -ENOMEM : -ENOENT;
	r = sys_mkdir_all(sub, DIR_MODE);
	if (r < 0)
		return r;
	dirfd = sys_openat(AT_FDCWD, sub, O_RDONLY | O_DIRECTORY, 0);
	if (dirfd < 0)
		return dirfd;
	remove_dead(dirfd);
	r = make_locked(dirfd, d);
	if (r == 0)
		d->dirfd = steal_fd(&dirfd);
	return r;
}

int indexed_draft_new(struct indexed_cache *c, struct indexed_draft *ret_draft, struct err *err)
{
	struct indexed_draft d = {.dirfd = -1, .fd = -1};
	int r = make_in_dir(c, &d);

	if (r < 0) {
		log_warn("indexes cannot be kept in %s: %s; the next mount makes them again",
			 c->dir != NULL ? c->dir : "a cache directory", strerror(-r));
		d.fd = private_file();
		if (d.fd < 0)
			return err_errno(err, -d.fd, "an index");
	}
	*ret_draft = d;
	return 0;
}

void indexed_draft_done(struct indexed_draft *d)
{
	if (d->fd < 0)
		return;
	if (d->dirfd >= 0 && d->name[0] != '\0')
		sys_unlinkat(d->dirfd, d->name, 0);
	if (d->dirfd >= 0)
		close(d->dirfd);
	close(d->fd);
	d->fd = d->dirfd = -1;
}

int indexed_draft_name(struct indexed_draft *d, const char *name)
{
	int r = 0;

	if (d->dirfd >= 0) {
		/* Before it can be found, or it could be removed at once. */
		sys_note_use(d->fd);
		r = sys_renameat(d->dirfd, d->name, d->dirfd, name, 0);
		if (r == 0)
			d->name[0] = '\0';
	}
	return r;
}

int indexed_draft_publish(struct indexed_draft *d, const char *name, struct index_file **ret_index,
			  struct err *err)
{
	/* A power cut may take the name away again: then it is made again. */
	int r = indexed_draft_name(d, name);

	if (r < 0)
		return err_errno(err, -r, "the index %s", name);
	r = index_file_open(fcntl(d->fd, F_DUPFD_CLOEXEC, 3), name, ret_index, err);
	indexed_draft_done(d);
	return r;
}
