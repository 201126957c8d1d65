/* SPDX-License-Identifier: Apache-2.0 */
/* The model against a directory: everything that can be seen, exactly. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "crash/kill/kill.h"

struct compare {
	FILE *out;
	unsigned int differences;
	const char *dir;
};

static void differ(struct compare *c, const char *path, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static void differ(struct compare *c, const char *path, const char *fmt, ...)
{
	va_list ap;

	fprintf(c->out, "%s/%s: ", c->dir, path);
	va_start(ap, fmt);
	vfprintf(c->out, fmt, ap);
	va_end(ap);
	fputc('\n', c->out);
	c->differences++;
}

/* --- attributes --- */

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static void compare_times(struct compare *c, const char *path, struct node *n,
			  const struct stat *st)
{
	if (n->mtime_known && !same_time(&n->mtime, &st->st_mtim))
		differ(c, path, "mtime %lld.%09ld, not %lld.%09ld", (long long)st->st_mtim.tv_sec,
		       st->st_mtim.tv_nsec, (long long)n->mtime.tv_sec, n->mtime.tv_nsec);
	if (n->ctime_known && !same_time(&n->ctime, &st->st_ctim))
		differ(c, path, "ctime %lld.%09ld, not %lld.%09ld", (long long)st->st_ctim.tv_sec,
		       st->st_ctim.tv_nsec, (long long)n->ctime.tv_sec, n->ctime.tv_nsec);
}

static void compare_stat(struct compare *c, const char *path, struct node *n, const struct stat *st)
{
	bool dir = S_ISDIR(n->mode);

	if (n->mode != st->st_mode)
		differ(c, path, "mode %o, not %o", st->st_mode, n->mode);
	if (n->uid != st->st_uid || n->gid != st->st_gid)
		differ(c, path, "owner %u:%u, not %u:%u", st->st_uid, st->st_gid, n->uid, n->gid);
	if (!dir && n->nlink != st->st_nlink)
		differ(c, path, "%lu links, not %u", (unsigned long)st->st_nlink, n->nlink);
	if (dir && n->dir_nlink != 0 && n->dir_nlink != st->st_nlink)
		differ(c, path, "%lu links, not %u", (unsigned long)st->st_nlink, n->dir_nlink);
	if ((S_ISCHR(n->mode) || S_ISBLK(n->mode)) && n->rdev != st->st_rdev)
		differ(c, path, "device %u:%u, not %u:%u", major(st->st_rdev), minor(st->st_rdev),
		       major(n->rdev), minor(n->rdev));
	if (n->ino != 0 && n->ino != st->st_ino)
		differ(c, path, "inode %llu, not %llu", (unsigned long long)st->st_ino,
		       (unsigned long long)n->ino);
	compare_times(c, path, n, st);
	n->seen = *st;
}

static void compare_target(struct compare *c, const char *path, const char *full,
			   const struct node *n)
{
	char target[PATH_SIZE];
	ssize_t len = readlink(full, target, sizeof(target) - 1);

	target[len < 0 ? 0 : len] = '\0';
	if (strcmp(target, n->target) != 0)
		differ(c, path, "target %s, not %s", target, n->target);
}

static void compare_xattr(struct compare *c, const char *path, const char *full,
			  const struct xattr *x)
{
	static __thread uint8_t value[65536];
	ssize_t len = lgetxattr(full, x->name, value, sizeof(value));

	if (len < 0)
		differ(c, path, "%s: %s", x->name, strerror(errno));
	else if ((size_t)len != x->len || memcmp(value, x->value, x->len) != 0)
		differ(c, path, "%s has another value", x->name);
}

static void compare_xattrs(struct compare *c, const char *path, const char *full,
			   const struct node *n)
{
	char names[8192];
	ssize_t len = llistxattr(full, names, sizeof(names));
	unsigned int expected = 0, found = 0;

	if (len < 0)
		differ(c, path, "listxattr: %s", strerror(errno));
	for (const struct xattr *x = n->xattrs; x != NULL; x = x->next, expected++)
		compare_xattr(c, path, full, x);
	for (char *p = names; len > 0 && p < names + len; p += strlen(p) + 1, found++)
		if (xattr_find(n, p) == NULL)
			differ(c, path, "there is an xattr %s", p);
	if (found < expected)
		differ(c, path, "%u xattrs are listed, not %u", found, expected);
}

/* --- bytes --- */

static int read_file(const char *full, struct content *ret)
{
	struct content c = {.bytes = malloc(FILE_MAX + 1)};
	int fd = open(full, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : 1;

	while (n > 0) {
		n = pread(fd, c.bytes + c.size, FILE_MAX + 1 - c.size, (off_t)c.size);
		c.size += n > 0 ? (uint64_t)n : 0;
	}
	if (n < 0) {
		int e = errno;

		free(c.bytes);
		if (fd >= 0)
			close(fd);
		return -e;
	}
	close(fd);
	*ret = c;
	return 0;
}

static bool is_state(const struct content *state, const struct content *seen)
{
	return state->size == seen->size &&
	       (seen->size == 0 || memcmp(state->bytes, seen->bytes, seen->size) == 0);
}

static uint8_t byte_at(const struct content *c, uint64_t at)
{
	return at < c->size ? c->bytes[at] : 0;
}

/* Each byte is what it was in one of the states, and the length lies between theirs. */
static bool is_mixture(const struct node *n, const struct content *seen)
{
	uint64_t least = UINT64_MAX, most = 0;

	for (unsigned int i = 0; i < n->n_states; i++) {
		least = n->states[i].size < least ? n->states[i].size : least;
		most = n->states[i].size > most ? n->states[i].size : most;
	}
	if (seen->size < least || seen->size > most)
		return false;
	for (uint64_t at = 0; at < seen->size; at++) {
		unsigned int i = 0;

		while (i < n->n_states && byte_at(&n->states[i], at) != seen->bytes[at])
			i++;
		if (i == n->n_states)
			return false;
	}
	return true;
}

/*
 * The kernel may cut a write(2) in pieces at the ends of pages, and each is an operation of its own: the
 * first pieces may be there without the others.
 */
static bool is_piece(const struct node *n, const struct content *seen)
{
	const struct content *old, *new;
	uint64_t end, most;

	if (n->piece_len == 0 || n->n_states < 2)
		return false;
	old = &n->states[n->n_states - 2];
	new = &n->states[n->n_states - 1];
	most = n->piece_off + n->piece_len;
	for (end = (n->piece_off | 4095) + 1; end < most; end += 4096) {
		uint64_t size = old->size > end ? old->size : end, at = 0;

		while (at < size && at < seen->size &&
		       seen->bytes[at] == (at < end ? byte_at(new, at) : byte_at(old, at)))
			at++;
		if (at == size && seen->size == size)
			return true;
	}
	return false;
}

static void explain_bytes(struct compare *c, const char *path, const struct node *n,
			  const struct content *seen)
{
	const struct content *last = &n->states[n->n_states - 1];
	uint64_t at = 0;

	while (at < seen->size && at < last->size && seen->bytes[at] == last->bytes[at])
		at++;
	differ(c, path,
	       "%llu bytes, the last of %u allowed states has %llu; the first that differs is %llu%s",
	       (unsigned long long)seen->size, n->n_states, (unsigned long long)last->size,
	       (unsigned long long)at, n->bytewise ? " (mixtures are allowed)" : "");
}

static void compare_bytes(struct compare *c, const char *path, const char *full, struct node *n)
{
	struct content seen = {0};
	unsigned int i = n->n_states;
	int r = read_file(full, &seen);

	if (r < 0) {
		differ(c, path, "read: %s", strerror(-r));
		return;
	}
	while (i > 0 && !is_state(&n->states[i - 1], &seen))
		i--;
	free(n->seen_mixture.bytes);
	n->seen_mixture.bytes = NULL;
	n->seen_state = i - 1;
	if (i == 0 && ((n->bytewise && is_mixture(n, &seen)) || is_piece(n, &seen))) {
		n->seen_state = n->n_states;
		n->seen_mixture = seen;
		return;
	}
	if (i == 0)
		explain_bytes(c, path, n, &seen);
	free(seen.bytes);
}

/* --- names --- */

static bool is_dot(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static void compare_names(struct compare *c, const char *path, const char *full,
			  const struct node *n)
{
	DIR *d = opendir(full);
	size_t found = 0;
	struct dirent *e;

	if (d == NULL) {
		differ(c, path, "opendir: %s", strerror(errno));
		return;
	}
	while ((e = readdir(d)) != NULL) {
		struct entry *known = dir_find(n, e->d_name);

		if (is_dot(e->d_name))
			continue;
		found++;
		if (known == NULL)
			differ(c, path, "there is a name \"%s\"", e->d_name);
		else if (e->d_type != IFTODT(known->node->mode))
			differ(c, path, "d_type of \"%s\" is %u", e->d_name, e->d_type);
	}
	closedir(d);
	/* A name that is missing is found by looking it up; this finds one that is listed twice. */
	if (found > n->n_entries && c->differences == 0)
		differ(c, path, "%zu names are listed, not %zu", found, n->n_entries);
}

static void compare_node(const char *path, struct node *n, void *arg)
{
	struct compare *c = arg;
	char full[2 * PATH_SIZE];
	struct stat st;

	snprintf(full, sizeof(full), "%s%s%s", c->dir, *path != '\0' ? "/" : "", path);
	if (lstat(full, &st) < 0) {
		differ(c, path, "%s", strerror(errno));
		return;
	}
	if ((n->mode & S_IFMT) != (st.st_mode & S_IFMT)) {
		differ(c, path, "type %o, not %o", st.st_mode, n->mode);
		return;
	}
	compare_stat(c, path, n, &st);
	if (S_ISLNK(n->mode))
		compare_target(c, path, full, n);
	else
		compare_xattrs(c, path, full, n);
	if (S_ISREG(n->mode))
		compare_bytes(c, path, full, n);
	if (S_ISDIR(n->mode))
		compare_names(c, path, full, n);
}

static void believe_bytes(struct node *n)
{
	if (n->n_states > 1 && n->seen_state == 0 && n->small_if_first)
		n->grown = false;
	if (n->seen_state < n->n_states) {
		node_settle(n, n->seen_state);
		return;
	}
	if (n->seen_mixture.bytes == NULL)
		return; /* another name of it has come first */
	free(n->states[0].bytes);
	n->states[0] = n->seen_mixture;
	n->seen_mixture = (struct content){0};
	node_settle(n, 0);
}

static void believe(const char *path, struct node *n, void *arg)
{
	(void)path;
	(void)arg;
	n->ino = n->seen.st_ino;
	n->mtime = n->seen.st_mtim;
	n->ctime = n->seen.st_ctim;
	n->mtime_known = n->ctime_known = true;
	if (S_ISDIR(n->mode))
		n->dir_nlink = (unsigned int)n->seen.st_nlink;
	if (S_ISREG(n->mode)) {
		believe_bytes(n);
		n->seen_state = 0;
	}
}

unsigned int compare_tree(struct tree *model, const char *dir, FILE *out)
{
	struct compare c = {.out = out, .dir = dir};

	compare_node("", model->root, &c);
	tree_each(model, compare_node, &c);
	if (c.differences == 0) {
		believe("", model->root, NULL);
		tree_each(model, believe, NULL);
	}
	return c.differences;
}
