/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plyfs extract: copies of files and trees. Nothing that is in DEST already is written to or entered, and no
 * link is followed on the way to where something is put: names come from whoever made the image.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/sys.h"
#include "base/table.h"
#include "tool/look_private.h"
#include "tool/progress.h"

#define CHUNK ((size_t)1 << 20)

/* A file with several names, and where the first of them is. */
struct first {
	struct table_node node;
	uint64_t ino;
	char path[]; /* in DEST */
};

struct extract {
	struct look *l;
	bool root;	   /* owners, devices and all xattrs can be had */
	int dest;	   /* owned; the directory DEST */
	int parent;	   /* owned; -1, or the directory PARENT_PATH in DEST */
	char *parent_path; /* owned */
	char *bytes;	   /* owned; a chunk */
	uint64_t done;	   /* bytes that were copied */
	bool whole;	   /* what was put last has all that it is but for attributes */
	struct table firsts;
};

static void free_first(struct table_node *node, void *arg)
{
	(void)arg;
	free(table_entry(node, struct first, node));
}

static void extract_done(struct extract *x)
{
	if (x->parent >= 0)
		close(x->parent);
	if (x->dest >= 0)
		close(x->dest);
	free(x->parent_path);
	free(x->bytes);
	table_each(&x->firsts, free_first, NULL);
	table_done(&x->firsts);
}
DEFINE_CLEANUP(struct extract, extract, extract_done)

/* ---- where things are put ---- */

/* Opens the first LEN bytes of PATH in DEST, name by name, through no link. */
static int open_below(const struct extract *x, const char *path, size_t len, int *ret_fd)
{
	CLEANUP(fd) int fd = fcntl(x->dest, F_DUPFD_CLOEXEC, 0);
	size_t at = 0;

	if (fd < 0)
		return -errno;
	while (at < len) {
		size_t n = strcspn(path + at, "/");
		CLEANUP(free) char *name = strndup(path + at, n);
		int next = name == NULL ? -ENOMEM
			   : n == 0	? fcntl(fd, F_DUPFD_CLOEXEC, 0)
					: sys_open_in(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC,
						      false);

		if (next < 0)
			return next;
		close(fd);
		fd = next;
		at += n + 1;
	}
	*ret_fd = steal_fd(&fd);
	return 0;
}

/* The directory that PATH is put in, as x->parent, and the name there. */
static int enter_parent(struct extract *x, const char *path, const char **ret_name)
{
	const char *slash = strrchr(path, '/');
	size_t len = slash != NULL ? (size_t)(slash - path) : 0;
	int r;

	*ret_name = slash != NULL ? slash + 1 : path;
	if (x->parent >= 0 && strncmp(x->parent_path, path, len) == 0 &&
	    x->parent_path[len] == '\0')
		return 0;
	if (x->parent >= 0)
		close(x->parent);
	x->parent = -1;
	free(x->parent_path);
	x->parent_path = strndup(path, len);
	if (x->parent_path == NULL)
		return -ENOMEM;
	r = open_below(x, path, len, &x->parent);
	return r;
}

/* ---- attributes ---- */

/* The name by which calls that take no O_PATH descriptor reach its inode, a link's own too. */
#define FD_PATH_MAX 32
static const char *fd_path(int fd, char path[static FD_PATH_MAX])
{
	snprintf(path, FD_PATH_MAX, "/proc/self/fd/%d", fd);
	return path;
}

static int set_xattr(int fd, const char *name, const void *value, size_t len)
{
	char path[FD_PATH_MAX];

	if (fsetxattr(fd, name, value, len, 0) == 0)
		return 0;
	if (errno != EBADF)
		return -errno;
	return setxattr(fd_path(fd, path), name, value, len, 0) < 0 ? -errno : 0;
}

static int copy_xattr(struct extract *x, uint64_t ino, int fd, const char *name)
{
	ssize_t len = fs_getxattr(x->l->fs, ino, name, NULL, 0);
	CLEANUP(free) void *value = malloc(len > 0 ? (size_t)len : 1);

	if (len < 0 || value == NULL)
		return len < 0 ? (int)len : -ENOMEM;
	if (len > 0)
		len = fs_getxattr(x->l->fs, ino, name, value, (size_t)len);
	return len < 0 ? (int)len : set_xattr(fd, name, value, (size_t)len);
}

/* As another than root, those that are his own to give; no file system has them of anything but files and directories. */
static bool is_wanted(const struct extract *x, uint32_t mode, const char *name)
{
	bool user = strncmp(name, "user.", 5) == 0;

	return user ? S_ISREG(mode) || S_ISDIR(mode) : x->root;
}

static int copy_xattrs(struct extract *x, const struct look_item *item, int fd)
{
	uint64_t ino = item->ino;
	ssize_t len = fs_listxattr(x->l->fs, ino, NULL, 0);
	CLEANUP(free) char *names = malloc(len > 0 ? (size_t)len : 1);
	int r = 0;

	if (len > 0 && names != NULL)
		len = fs_listxattr(x->l->fs, ino, names, (size_t)len);
	if (names == NULL)
		return -ENOMEM;
	for (ssize_t at = 0; at < len; at += (ssize_t)strlen(names + at) + 1) {
		bool wanted = is_wanted(x, item->attr->mode, names + at);
		int one = wanted ? copy_xattr(x, ino, fd, names + at) : 0;

		if (r == 0)
			r = one;
	}
	return len < 0 && len != -EOPNOTSUPP ? (int)len : r;
}

/* A set-id bit is meant for the owner in the image, nobody else. */
static mode_t mode_of(const struct attr *a, bool owned)
{
	return a->mode & (owned ? 07777 : 01777);
}

/*
 * The owner first: changing it takes set-id bits and capabilities away. What one of them lacks the others do not: the
 * first failure is the answer, after all that can be had.
 */
static int copy_attrs(struct extract *x, const struct look_item *item, int fd)
{
	const struct attr *a = item->attr;
	const struct timespec times[2] = {a->mtime, a->mtime};
	bool owned = x->root && fchown(fd, a->uid, a->gid) == 0;
	int r = x->root && !owned ? -errno : 0, r_xattrs = copy_xattrs(x, item, fd);

	if (r == 0)
		r = r_xattrs;
	if (fchmod(fd, mode_of(a, owned)) < 0 && r == 0)
		r = -errno;
	if (futimens(fd, times) < 0 && r == 0)
		r = -errno;
	return r;
}

/* Of a device or a pipe: FD is O_PATH. Mostly they were made with it. */
static int set_mode_at(int fd, mode_t mode)
{
	char path[FD_PATH_MAX];
	struct stat st;
	int r = sys_fstat(fd, &st);

	/* Somebody who may write in DEST put a link there: what it leads to is none of ours. */
	if (r == 0 && S_ISLNK(st.st_mode))
		r = -ELOOP;
	if (r < 0 || (st.st_mode & 07777) == mode)
		return r;
	return chmod(fd_path(fd, path), mode) < 0 ? -errno : 0;
}

/* As copy_attrs(), of NAME, which cannot be opened without its being a device or a pipe for somebody. */
static int copy_attrs_at(struct extract *x, const struct look_item *item, const char *name)
{
	const struct attr *a = item->attr;
	const struct timespec times[2] = {a->mtime, a->mtime};
	CLEANUP(fd) int fd = sys_open_in(x->parent, name, O_PATH, false);
	bool owned;
	int r, one;

	if (fd < 0)
		return fd;
	owned = x->root && fchownat(fd, "", a->uid, a->gid, AT_EMPTY_PATH) == 0;
	r = x->root && !owned ? -errno : 0;
	one = copy_xattrs(x, item, fd);
	r = r == 0 ? one : r;
	/* A link has no mode of its own. */
	one = S_ISLNK(a->mode) ? 0 : set_mode_at(fd, mode_of(a, owned));
	r = r == 0 ? one : r;
	if (utimensat(x->parent, name, times, AT_SYMLINK_NOFOLLOW) < 0 && r == 0)
		r = -errno;
	return r;
}

/* ---- files ---- */

static int write_all(int fd, const char *bytes, size_t len, off_t off)
{
	while (len > 0) {
		ssize_t n = pwrite(fd, bytes, len, off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		bytes += n;
		off += n;
		len -= (size_t)n;
	}
	return 0;
}

/* From OFF to END, as bytes. */
static int copy_range(struct extract *x, uint64_t ino, int fd, off_t off, off_t end)
{
	while (off < end) {
		size_t want = (size_t)(end - off) < CHUNK ? (size_t)(end - off) : CHUNK;
		ssize_t n = fs_read(x->l->fs, ino, x->bytes, want, off);
		int r = n > 0 ? write_all(fd, x->bytes, (size_t)n, off) : n < 0 ? (int)n : -EIO;

		if (r < 0)
			return r;
		off += n;
		x->done += (uint64_t)n;
		progress_line_show(NULL, "copying", x->done, 0);
	}
	return 0;
}

/* Holes stay holes. */
static int copy_bytes(struct extract *x, const struct look_item *item, int fd)
{
	off_t size = (off_t)item->attr->size, data = 0, hole;
	int r = 0;

	while (r == 0 && data < size) {
		data = fs_lseek(x->l->fs, item->ino, data, SEEK_DATA);
		if (data == -ENXIO)
			break;
		hole = data < 0 ? data : fs_lseek(x->l->fs, item->ino, data, SEEK_HOLE);
		if (hole < 0)
			return (int)hole;
		r = copy_range(x, item->ino, fd, data, hole < size ? hole : size);
		data = hole;
	}
	return r == 0 && ftruncate(fd, size) < 0 ? -errno : r;
}

static int put_file(struct extract *x, const struct look_item *item, const char *name)
{
	CLEANUP(fd)
	int fd = sys_openat(x->parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			    0600);
	int r = fd < 0 ? fd : copy_bytes(x, item, fd);

	if (r < 0)
		return r;
	x->whole = true;
	return copy_attrs(x, item, fd);
}

/* 1: NAME is now one more name of a file that was put; 0: it is the first. */
static int put_link(struct extract *x, const struct look_item *item, const char *name)
{
	uint64_t hash = hash_number(item->ino);
	const struct first *first = NULL;
	const char *slash;
	CLEANUP(fd) int dir = -1;
	int r;

	for (struct table_node *n = table_first(&x->firsts, hash); n != NULL; n = table_next(n))
		if (table_entry(n, struct first, node)->ino == item->ino)
			first = table_entry(n, struct first, node);
	if (first == NULL)
		return 0;
	slash = strrchr(first->path, '/');
	r = open_below(x, first->path, slash != NULL ? (size_t)(slash - first->path) : 0, &dir);
	if (r < 0)
		return r;
	if (linkat(dir, slash != NULL ? slash + 1 : first->path, x->parent, name, 0) < 0)
		return -errno;
	return 1;
}

static int note_first(struct extract *x, const struct look_item *item)
{
	size_t len = strlen(item->path) + 1;
	struct first *first = malloc(sizeof(*first) + len);

	if (first == NULL)
		return -ENOMEM;
	first->ino = item->ino;
	memcpy(first->path, item->path, len);
	table_add(&x->firsts, &first->node, hash_number(item->ino));
	return 0;
}

/* ---- everything else ---- */

static int put_symlink(struct extract *x, const struct look_item *item, const char *name)
{
	char target[PATH_MAX];
	int r = look_target(x->l->fs, item->ino, item->attr, target);

	if (r == 0 && symlinkat(target, x->parent, name) < 0)
		r = -errno;
	if (r < 0)
		return r;
	x->whole = true;
	return copy_attrs_at(x, item, name);
}

static int put_node(struct extract *x, const struct look_item *item, const char *name)
{
	const struct attr *a = item->attr;

	if (mknodat(x->parent, name, a->mode & (S_IFMT | 0777),
		    makedev(a->rdev_major, a->rdev_minor)) < 0)
		return -errno;
	x->whole = true;
	return copy_attrs_at(x, item, name);
}

static int put(struct extract *x, const struct look_item *item)
{
	uint32_t type = item->attr->mode & S_IFMT;
	const char *name;
	int r = enter_parent(x, item->path, &name), noted = 0;

	if (r < 0)
		return r;
	/* Until all is in it, it is nobody else's. */
	if (type == S_IFDIR)
		return mkdirat(x->parent, name, 0700) < 0 ? -errno : 0;
	if (item->attr->nlink > 1) {
		r = put_link(x, item, name);
		if (r != 0)
			return r < 0 ? r : 0;
	}
	x->whole = false;
	r = type == S_IFREG   ? put_file(x, item, name)
	    : type == S_IFLNK ? put_symlink(x, item, name)
			      : put_node(x, item, name);
	/* Its other names are names of it also when it lacks an owner or an attribute. */
	if (x->whole && item->attr->nlink > 1)
		noted = note_first(x, item);
	return r < 0 ? r : noted;
}

static int enter(void *arg, const struct look_item *item)
{
	struct extract *x = arg;
	int r;

	if (item->depth == 0 && *item->name == '\0')
		return 0;
	r = put(x, item);
	if (r == 0 || r == -ENOMEM)
		return r;
	look_complain(x->l, item->path, -r);
	/* A directory that was there before is not entered. */
	return 1;
}

static int leave(void *arg, const struct look_item *item)
{
	struct extract *x = arg;
	CLEANUP(fd) int fd = -1;
	int r;

	if (item->depth == 0 && *item->name == '\0')
		return 0;
	r = open_below(x, item->path, strlen(item->path), &fd);
	if (r == 0)
		r = copy_attrs(x, item, fd);
	if (r < 0)
		look_complain(x->l, item->path, -r);
	return 0;
}

static int open_dest(struct extract *x, struct err *err)
{
	const char *dest = x->l->dest;

	if (mkdir(dest, 0777) < 0 && errno != EEXIST)
		return err_errno(err, errno, "%s", dest);
	x->dest = open(dest, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (x->dest < 0)
		return err_errno(err, errno, "%s", dest);
	x->bytes = malloc(CHUNK);
	if (x->bytes == NULL || table_init(&x->firsts) < 0)
		return err_set(err, ENOMEM, "out of memory");
	return 0;
}

int look_extract(struct look *l, const char *path, struct err *err)
{
	CLEANUP(look_place) struct look_place place = {0};
	CLEANUP(extract)
	struct extract x = {.l = l, .root = geteuid() == 0, .dest = -1, .parent = -1};
	const struct look_visitor visitor = {.enter = enter, .leave = leave, .arg = &x};
	int r = look_at(l->fs, path, false, &place, err);
	mode_t old;

	if (r == 0)
		r = open_dest(&x, err);
	if (r < 0)
		return r;
	old = umask(0);
	r = look_walk(l, &place, strrchr(place.path, '/') + 1, &visitor);
	umask(old);
	return r < 0 ? err_errno(err, -r, "%s", path) : 0;
}
