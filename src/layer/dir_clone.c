/* SPDX-License-Identifier: Apache-2.0 */
/* One detached mount for many layers. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/sys.h"
#include "layer/dir.h"

/*
 * A mount of its own costs a layer a clone, and when its last descriptor is closed the kernel waits
 * for an RCU grace period. Layers lie side by side: ROOT/1, ROOT/2, or ROOT/ID/diff. So what is
 * cloned is the directory two levels up, and layers are opened anew in it by the names that lead
 * there. Names can be wrong in many ways, so what is opened must be the inode that was asked for,
 * on the mount that was cloned; a layer of which that is not so gets a clone of its own.
 */
struct spot {
	uint64_t mount, ino;
	dev_t dev;
};

static int find_spot(int fd, struct spot *ret_spot)
{
	struct statx stx;

	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_INO | STATX_MNT_ID, &stx) < 0)
		return -errno;
	/* Linux before 5.8 does not tell. */
	if ((stx.stx_mask & STATX_MNT_ID) == 0)
		return -ENOSYS;
	*ret_spot = (struct spot){
		.mount = stx.stx_mnt_id,
		.ino = stx.stx_ino,
		.dev = makedev(stx.stx_dev_major, stx.stx_dev_minor),
	};
	return 0;
}

/* The path of FD as the kernel knows it: canonical, but perhaps not true any more. */
static int find_path(int fd, char path[PATH_MAX])
{
	char link[64];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = sys_readlinkat(AT_FDCWD, link, path, PATH_MAX);
	if (n < 0)
		return (int)n;
	if (n == PATH_MAX || path[0] != '/')
		return -ENOENT;
	path[n] = '\0';
	return 0;
}

/* How much of PATH names the directory LEVELS above; -1: there is none. */
static ssize_t cut_path(const char *path, int levels)
{
	size_t len = strlen(path);

	while (levels-- > 0) {
		while (len > 0 && path[len - 1] != '/')
			len--;
		if (len == 0)
			return -1;
		len--;
	}
	return (ssize_t)len;
}

static struct layer_clone *find_clone(struct layer_clones *c, uint64_t mount, const char *path)
{
	for (size_t i = 0; i < c->n; i++) {
		struct layer_clone *k = &c->v[i];

		if (k->mount == mount && strncmp(k->path, path, k->len) == 0 && path[k->len] == '/')
			return k;
	}
	return NULL;
}

/* Clones the directory LEVELS above FD, if it is on the same mount. */
static int clone_above(int fd, uint64_t mount, int levels)
{
	CLEANUP(fd)
	int up = sys_openat(fd, levels == 2 ? "../.." : "..", O_PATH | O_DIRECTORY, 0);
	struct spot above;
	int r = up < 0 ? up : find_spot(up, &above);

	if (r < 0)
		return r;
	return above.mount == mount ? sys_open_tree_clone(up) : -EXDEV;
}

/*
 * Adds the clone in which PATH, of FD, lies. One that cannot be made is added all the same, so that
 * it is not tried again for each layer there. NULL: none was added.
 */
static struct layer_clone *add_clone(struct layer_clones *c, int fd, uint64_t mount,
				     const char *path)
{
	struct layer_clone *k = &c->v[c->n];
	ssize_t len = -1;
	int levels, clone = -EXDEV;

	if (c->n == LAYER_CLONES_MAX)
		return NULL;
	for (levels = 2; levels > 0 && clone < 0 && clone != -EPERM; levels--) {
		len = cut_path(path, levels);
		if (len >= 0)
			clone = clone_above(fd, mount, levels);
	}
	/* We may not mount, here or anywhere. */
	c->forbidden = clone == -EPERM;
	if (len < 0 || c->forbidden)
		return NULL;
	*k = (struct layer_clone){.fd = clone < 0 ? -1 : clone, .mount = mount, .len = (size_t)len};
	k->path = strndup(path, k->len);
	if (k->path == NULL) {
		if (k->fd >= 0)
			close(k->fd);
		return NULL;
	}
	c->n++;
	return k;
}

int layer_clones_open(struct layer_clones *c, int fd)
{
	CLEANUP(fd) int own = -1;
	struct layer_clone *k;
	struct spot given, got;
	char path[PATH_MAX];
	int r = c->forbidden ? -EPERM : find_spot(fd, &given);

	if (r == 0)
		r = find_path(fd, path);
	if (r < 0)
		return r;
	k = find_clone(c, given.mount, path);
	if (k == NULL)
		k = add_clone(c, fd, given.mount, path);
	if (k == NULL || k->fd < 0)
		return -ENOENT;
	own = sys_open_below(k->fd, path + k->len + 1, O_RDONLY | O_DIRECTORY);
	if (own < 0)
		return own;
	r = find_spot(own, &got);
	if (r < 0)
		return r;
	return got.ino == given.ino && got.dev == given.dev ? steal_fd(&own) : -ESTALE;
}

void layer_clones_done(struct layer_clones *c)
{
	for (size_t i = 0; i < c->n; i++) {
		if (c->v[i].fd >= 0)
			close(c->v[i].fd);
		free(c->v[i].path);
	}
	c->n = 0;
}
