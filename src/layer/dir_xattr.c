/* SPDX-License-Identifier: Apache-2.0 */
/* The extended attributes that a plain directory shows. */
#include "layer/dir_xattr.h"

#include <errno.h>
#include <linux/limits.h>
#include <string.h>

#include "attr/xattr.h"
#include "base/sys.h"
#include "layer/dir.h"

/* Most inodes have few: their names fit the stack and take one system call. */
enum { SOME_NAMES = 1024, LIST_TRIES = 3 };

/*
 * containers/storage keeps attributes that its user may not set ("security.capability") under this
 * prefix, in layers that have its override_stat.
 */
#define ENCODED_PREFIX	   "user.containers.override_"
#define ENCODED_PREFIX_LEN (sizeof(ENCODED_PREFIX) - 1)
#define ENCODED_STAT	   "stat"

/* The names, in SOME when they fit or else in memory at *RET_MORE, which is the caller's. */
static ssize_t list_names(int dirfd, const char *name, char some[SOME_NAMES], char **ret_more)
{
	ssize_t n = sys_listxattr_at(dirfd, name, some, SOME_NAMES);
	int i;

	for (i = 0; n == -ERANGE && i < LIST_TRIES; i++) {
		CLEANUP(free) char *more = NULL;

		n = sys_listxattr_at(dirfd, name, NULL, 0);
		if (n < 0)
			break;
		more = malloc((size_t)n + SOME_NAMES);
		if (more == NULL)
			return -ENOMEM;
		n = sys_listxattr_at(dirfd, name, more, (size_t)n + SOME_NAMES);
		if (n >= 0)
			*ret_more = steal_ptr(&more);
	}
	return n;
}

int dir_each_xattr(int dirfd, const char *name, int (*fn)(const char *xattr, void *arg), void *arg)
{
	CLEANUP(free) char *more = NULL;
	char some[SOME_NAMES];
	ssize_t n = list_names(dirfd, name, some, &more);
	const char *p = more != NULL ? more : some;
	int r = 0;

	if (n < 0)
		return (int)n;
	while (n > 0 && r == 0) {
		size_t len = strnlen(p, (size_t)n);

		if (len == (size_t)n)
			return -EBADMSG;
		r = fn(p, arg);
		p += len + 1;
		n -= (ssize_t)len + 1;
	}
	return r;
}

static ssize_t get_encoded(int fd, const char *name, const char *xattr, void *value, size_t size)
{
	char stored[XATTR_NAME_MAX + 1];
	size_t len = strlen(xattr);

	if (len > XATTR_NAME_MAX - ENCODED_PREFIX_LEN || strcmp(xattr, ENCODED_STAT) == 0)
		return -ENODATA;
	memcpy(stored, ENCODED_PREFIX, ENCODED_PREFIX_LEN);
	memcpy(stored + ENCODED_PREFIX_LEN, xattr, len + 1);
	return sys_getxattr_at(fd, name, stored, value, size);
}

static ssize_t get_stored(const struct dir_layer *l, int fd, const char *name, const char *xattr,
			  void *value, size_t size)
{
	char buf[XATTR_NAME_MAX + 1];
	const char *stored = xattr_lower_stored(xattr, buf, sizeof(buf));

	if (stored == NULL)
		return -ENODATA;
	if (l->override == OVERRIDE_CONTAINERS) {
		ssize_t n = get_encoded(fd, name, stored, value, size);

		if (n != -ENODATA)
			return n;
	}
	return sys_getxattr_at(fd, name, stored, value, size);
}

ssize_t dir_getxattr(struct layer *l, struct layer_dir *dir, const char *name, const char *xattr,
		     void *value, size_t size)
{
	struct dir_node *n = dir_node_of(dir);
	ssize_t r;
	int fd;

	if (dir_layer_of(l)->noxattr || (n->empty && name == NULL))
		return -ENODATA;
	fd = dir_node_enter(n, name);
	if (fd < 0)
		return fd;
	r = get_stored(dir_layer_of(l), fd, name, xattr, value, size);
	dir_fd_put(n);
	return r;
}

struct showing {
	const struct dir_layer *layer;
	struct buf *out;
	size_t first; /* where ours begin in `out` */
};

static bool already_shown(const struct showing *sh, const char *xattr)
{
	const char *text = (const char *)sh->out->data;
	size_t at;

	for (at = sh->first; at < sh->out->len; at += strlen(text + at) + 1) {
		if (strcmp(text + at, xattr) == 0)
			return true;
	}
	return false;
}

static int show_xattr(const char *xattr, void *arg)
{
	struct showing *sh = arg;
	char buf[XATTR_NAME_MAX + 1];
	const char *shown = xattr;

	if (sh->layer->override == OVERRIDE_CONTAINERS &&
	    strncmp(xattr, ENCODED_PREFIX, ENCODED_PREFIX_LEN) == 0) {
		shown += ENCODED_PREFIX_LEN;
		if (strcmp(shown, ENCODED_STAT) == 0)
			return 0;
	}
	shown = xattr_lower_shown(shown, buf, sizeof(buf));
	if (shown == NULL || already_shown(sh, shown))
		return 0;
	buf_put(sh->out, shown, strlen(shown) + 1);
	return buf_ok(sh->out) ? 0 : -ENOMEM;
}

int dir_listxattr(struct layer *l, struct layer_dir *dir, const char *name, struct buf *out)
{
	struct showing sh = {.layer = dir_layer_of(l), .out = out, .first = out->len};
	struct dir_node *n = dir_node_of(dir);
	int fd, r;

	if (dir_layer_of(l)->noxattr || (n->empty && name == NULL))
		return 0;
	fd = dir_node_enter(n, name);
	if (fd < 0)
		return fd;
	r = dir_each_xattr(fd, name, show_xattr, &sh);
	dir_fd_put(n);
	return r;
}
