/* SPDX-License-Identifier: Apache-2.0 */
/* The contents of a cache directory: reading them, choosing among them, removing. */
#include "layer/indexed_usage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

#include "base/log.h"
#include "base/sys.h"
#include "catalog/index.h"
#include "layer/indexed_cache.h"
#include "layer/indexed_write.h"

#define INDEX_END  ".idx"
#define FRAMES_END ".zst"
#define PART_END   ".part"

const char *cached_kind_name(enum cached_kind kind)
{
	static const char *const names[] = {"layer",	  "stack",    "blob",	"part",
					    "unfinished", "outdated", "damaged"};

	return names[kind];
}

void cached_list_done(struct cached_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i].path);
	free(l->v);
	*l = (struct cached_list){0};
}

static bool has_end(const char *name, const char *end)
{
	size_t len = strlen(name), n = strlen(end);

	return len > n && strcmp(name + len - n, end) == 0;
}

/* ---- one file ---- */

/* Who writes a file locks it until it has its name; who reads it marks it. */
static bool is_writing(enum cached_kind kind)
{
	return kind == CACHED_UNFINISHED || kind == CACHED_PART;
}

/* Opens a regular file and nothing else: -ENOENT for what is none. */
static int open_file(int dirfd, const char *name, struct stat *ret_st)
{
	CLEANUP(fd) int fd = sys_openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
	int r;

	if (fd < 0)
		return fd == -ELOOP ? -ENOENT : fd;
	r = sys_fstat(fd, ret_st);
	if (r < 0)
		return r;
	return S_ISREG(ret_st->st_mode) ? steal_fd(&fd) : -ENOENT;
}

/* For a writer's file, that it is not in use means that its lock is ours as long as FD is open. */
static bool is_in_use(int fd, enum cached_kind kind)
{
	if (is_writing(kind))
		return flock(fd, LOCK_EX | LOCK_NB) < 0;
	return sys_is_used(fd);
}

/* NAME in SUB becomes an entry. It is kept even if there is no memory for its path: the next one fails then. */
static struct cached *add(struct cached_list *l, enum cached_kind kind, const char *sub,
			  const char *name)
{
	if (l->n == l->cap) {
		size_t cap = l->cap == 0 ? 64 : l->cap * 2;
		struct cached *grown = reallocarray(l->v, cap, sizeof(*grown));

		if (grown == NULL)
			return NULL;
		l->v = grown;
		l->cap = cap;
	}
	l->v[l->n] = (struct cached){.kind = kind};
	if (asprintf(&l->v[l->n].path, "%s/%s", sub, name) < 0)
		return NULL;
	return &l->v[l->n++];
}

static int add_file(struct cached_list *l, int dirfd, enum cached_kind kind, const char *sub,
		    const char *name, const struct digest *digest)
{
	struct stat st;
	CLEANUP(fd) int fd = open_file(dirfd, name, &st);
	struct cached *e;

	if (fd < 0)
		return fd;
	e = add(l, kind, sub, name);
	if (e == NULL)
		return -ENOMEM;
	if (digest != NULL)
		e->digest = *digest;
	e->size = (uint64_t)st.st_size;
	e->used = st.st_mtim.tv_sec;
	e->in_use = is_in_use(fd, kind);
	return 0;
}

/* ---- indexes ---- */

/* What the index NAME says of itself, if it is one that a mount would take. */
static int read_index(int dirfd, const char *name, enum cached_kind *ret_kind,
		      struct digest *ret_digest)
{
	CLEANUP(index_file) struct index_file *x = NULL;
	CLEANUP(err) struct err err = {0};
	struct indexed_head head;
	struct stat st;
	int fd = open_file(dirfd, name, &st);
	int r = fd < 0 ? fd : index_file_open(fd, name, &x, &err);

	if (r == 0)
		r = indexed_read_head(x, &head);
	if (r == -EUCLEAN || r == -EPROTONOSUPPORT) {
		*ret_kind = r == -EUCLEAN ? CACHED_DAMAGED : CACHED_OUTDATED;
		return 0;
	}
	if (r < 0)
		return r;
	*ret_kind = (head.flags & INDEXED_RESOLVED) != 0 ? CACHED_STACK : CACHED_LAYER;
	*ret_digest = *ret_kind == CACHED_STACK ? head.chain : head.diff_id;
	return 0;
}

static int add_index(struct cached_list *l, int dirfd, const char *name)
{
	enum cached_kind kind;
	struct digest digest = {0};
	int r;

	if (strncmp(name, CACHE_DRAFT, strlen(CACHE_DRAFT)) == 0)
		return add_file(l, dirfd, CACHED_UNFINISHED, CACHE_INDEXES, name, NULL);
	if (has_end(name, INDEX_END FRAMES_END))
		return add_file(l, dirfd, CACHED_DAMAGED, CACHE_INDEXES, name, NULL);
	if (!has_end(name, INDEX_END))
		return 0;
	r = read_index(dirfd, name, &kind, &digest);
	return r < 0 ? r : add_file(l, dirfd, kind, CACHE_INDEXES, name, &digest);
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct cached *)a)->path, ((const struct cached *)b)->path);
}

/* Frames were listed as damaged: they are, but for those with an index, whose path is the one before theirs. */
static void join_frames(struct cached_list *l)
{
	size_t n = 0;

	qsort(l->v, l->n, sizeof(*l->v), by_path);
	for (size_t i = 0; i < l->n; i++) {
		struct cached *e = &l->v[i], *before = n > 0 ? &l->v[n - 1] : NULL;
		size_t len = before != NULL ? strlen(before->path) : 0;

		if (before == NULL || strncmp(e->path, before->path, len) != 0 ||
		    strcmp(e->path + len, FRAMES_END) != 0) {
			l->v[n++] = *e;
			continue;
		}
		before->frames = true;
		before->size += e->size;
		before->used = before->used > e->used ? before->used : e->used;
		before->in_use = before->in_use || e->in_use;
		free(e->path);
	}
	l->n = n;
}

/* ---- blobs ---- */

/* HEX, HEX.part, or HEX and a point and six letters of mkostemp(3). */
static int add_blob(struct cached_list *l, int dirfd, const char *sub, enum digest_alg alg,
		    const char *name)
{
	size_t digits = 2 * digest_size(alg), len = strlen(name);
	char text[DIGEST_TEXT_MAX];
	struct digest digest;
	enum cached_kind kind;

	if (len < digits)
		return 0;
	snprintf(text, sizeof(text), "%s:%.*s", digest_alg_name(alg), (int)digits, name);
	if (digest_parse(text, strlen(text), &digest) < 0)
		return 0;
	if (len == digits)
		kind = CACHED_BLOB;
	else if (strcmp(name + digits, PART_END) == 0)
		kind = CACHED_PART;
	else if (name[digits] == '.' && len == digits + 7)
		kind = CACHED_UNFINISHED;
	else
		return 0;
	return add_file(l, dirfd, kind, sub, name, kind == CACHED_UNFINISHED ? NULL : &digest);
}

/* ---- directories ---- */

static int add_name(struct cached_list *l, int dirfd, const char *sub, enum digest_alg alg,
		    const char *name)
{
	int r = alg == DIGEST_NONE ? add_index(l, dirfd, name) : add_blob(l, dirfd, sub, alg, name);

	if (r == 0 || r == -ENOMEM)
		return r;
	/* What goes away meanwhile is not there. */
	if (r != -ENOENT)
		log_warn("%s/%s: %s", sub, name, strerror(-r));
	return 0;
}

/*
 * The directory SUB of DIR, LEN bytes of it: DIR may be reached by links, but no link leads out of it. It could be
 * somebody else's that is being cleaned.
 */
static int open_dir(const char *dir, const char *sub, size_t len)
{
	CLEANUP(fd) int fd = sys_openat(AT_FDCWD, dir, O_RDONLY | O_DIRECTORY, 0);
	char part[NAME_MAX + 1];

	while (fd >= 0 && len > 0) {
		size_t n = strcspn(sub, "/");
		int next;

		n = n < len ? n : len;
		snprintf(part, sizeof(part), "%.*s", (int)n, sub);
		next = sys_open_in(fd, part, O_RDONLY | O_DIRECTORY, false);
		close(fd);
		fd = next;
		sub += n + (n < len);
		len -= n + (n < len);
	}
	return fd < 0 ? fd : steal_fd(&fd);
}

/* All that is in SUB of DIR: blobs of ALG, or of no ALG indexes. */
static int list_dir(const char *dir, const char *sub, enum digest_alg alg, struct cached_list *l,
		    struct err *err)
{
	struct dirent *d;
	DIR *names;
	int fd = open_dir(dir, sub, strlen(sub)), r = 0;

	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		return err_errno(err, -fd, "%s/%s", dir, sub);
	names = fdopendir(fd);
	if (names == NULL) {
		close(fd);
		return err_set(err, ENOMEM, "out of memory");
	}
	while (r == 0 && (d = readdir(names)) != NULL)
		r = add_name(l, fd, sub, alg, d->d_name);
	closedir(names);
	return r < 0 ? err_errno(err, -r, "%s/%s", dir, sub) : 0;
}

static int by_use(const void *a, const void *b)
{
	const struct cached *x = a, *y = b;

	if (x->used != y->used)
		return x->used < y->used ? -1 : 1;
	return strcmp(x->path, y->path);
}

int cached_list(const char *dir, struct cached_list *ret_list, struct err *err)
{
	CLEANUP(cached_list) struct cached_list l = {0};
	int r = list_dir(dir, CACHE_INDEXES, DIGEST_NONE, &l, err);

	if (r == 0 && l.n > 0)
		join_frames(&l);
	if (r == 0)
		r = list_dir(dir, CACHE_BLOBS "/sha256", DIGEST_SHA256, &l, err);
	if (r == 0)
		r = list_dir(dir, CACHE_BLOBS "/sha512", DIGEST_SHA512, &l, err);
	if (r < 0)
		return r;
	if (l.n > 0)
		qsort(l.v, l.n, sizeof(*l.v), by_use);
	*ret_list = l;
	l = (struct cached_list){0};
	return 0;
}

/* ---- removing ---- */

static bool is_rubbish(const struct cached *e)
{
	return e->kind == CACHED_UNFINISHED || e->kind == CACHED_DAMAGED;
}

void cached_choose(struct cached_list *l, const struct cached_policy *policy, int64_t now)
{
	uint64_t left = 0;

	for (size_t i = 0; i < l->n; i++) {
		l->v[i].chosen = is_rubbish(&l->v[i]) && !l->v[i].in_use;
		left += l->v[i].chosen ? 0 : l->v[i].size;
	}
	for (size_t i = 0; i < l->n; i++) {
		struct cached *e = &l->v[i];

		if (policy->sized && left <= policy->keep)
			break;
		if (e->chosen || e->in_use)
			continue;
		/* Who wrote it may have another clock, so 0 is not compared. */
		if (policy->older > 0 && now - e->used < policy->older)
			continue;
		e->chosen = true;
		left -= e->size;
	}
}

/* The frames of the index NAME. */
static void remove_frames(int dirfd, const char *name)
{
	CLEANUP(free) char *frames = NULL;

	if (asprintf(&frames, "%s" FRAMES_END, name) < 0)
		frames = NULL;
	else
		(void)sys_unlinkat(dirfd, frames, 0);
}

int cached_remove(const char *dir, const struct cached *e)
{
	const char *slash = strrchr(e->path, '/'), *name = slash + 1;
	CLEANUP(fd) int dirfd = open_dir(dir, e->path, (size_t)(slash - e->path)), fd = -1;
	struct stat st, named;
	int r;

	if (dirfd < 0)
		return dirfd;
	fd = open_file(dirfd, name, &st);
	if (fd < 0)
		return fd;
	if (is_in_use(fd, e->kind))
		return -EBUSY;
	/* A writer's file may have got its name before it could be locked, and another one be here now. */
	r = sys_fstatat(dirfd, name, &named, AT_SYMLINK_NOFOLLOW);
	if (r == 0 && (named.st_ino != st.st_ino || named.st_dev != st.st_dev))
		r = -EBUSY;
	if (r == 0)
		r = sys_unlinkat(dirfd, name, 0);
	/* The index first: without it the frames are nothing, and not the other way round. */
	if (r == 0 && e->frames)
		remove_frames(dirfd, name);
	return r;
}
