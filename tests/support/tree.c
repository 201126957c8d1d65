/* SPDX-License-Identifier: Apache-2.0 */
/* Writes a layer's tree to disk in a chosen format. */
#include "support/tree.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "layer/backends.h"

const struct tree_format tree_overlay = {
	.whiteouts = TREE_DEVICES,
	.prefix = "trusted.overlay.",
	.opaque = "trusted.overlay.opaque",
};

enum { MAX_LINKS = 64 };

struct writer {
	struct layer *from;
	const struct tree_format *format;
	struct {
		uint64_t ino;
		int dirfd; /* owned */
		char name[NAME_MAX + 1];
	} links[MAX_LINKS];
	size_t n_links;
};

/* A directory that is being written. */
struct place {
	struct layer_dir *dir;
	int fd;
};

#define MUST(call) cr_assert_geq((call), 0, "%s: %s", #call, strerror(errno))

static void set_xattr(int dirfd, const char *name, const char *xattr, const void *value, size_t len)
{
	char path[64 + NAME_MAX];

	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", dirfd, name);
	cr_assert_eq(lsetxattr(path, xattr, value, len, 0), 0, "%s %s: %s", path, xattr,
		     strerror(errno));
}

static void set_mark(const struct writer *w, int dirfd, const char *name, const char *mark,
		     const char *value)
{
	char xattr[XATTR_NAME_MAX + 1];

	snprintf(xattr, sizeof(xattr), "%s%s", w->format->prefix, mark);
	set_xattr(dirfd, name, xattr, value, strlen(value));
}

static void make_empty(int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	MUST(fd);
	close(fd);
}

static void write_whiteout(const struct writer *w, int dirfd, const char *name)
{
	char reserved[NAME_MAX + 1];

	switch (w->format->whiteouts) {
	case TREE_DEVICES:
		MUST(mknodat(dirfd, name, S_IFCHR, makedev(0, 0)));
		return;
	case TREE_XATTRS:
		make_empty(dirfd, name);
		set_mark(w, dirfd, name, "whiteout", "");
		set_mark(w, dirfd, ".", "opaque", "x");
		return;
	case TREE_AUFS:
		cr_assert_lt(snprintf(reserved, sizeof(reserved), ".wh.%s", name), NAME_MAX + 1);
		make_empty(dirfd, reserved);
		return;
	}
}

static void write_opaque(const struct writer *w, int fd)
{
	if (w->format->whiteouts == TREE_AUFS)
		make_empty(fd, ".wh..wh..opq");
	else
		set_xattr(fd, ".", w->format->opaque, "y", 1);
}

/* In the containers kind privileged attributes are stored under another name. */
static void write_xattr(const struct writer *w, int dirfd, const char *name, const char *xattr,
			const void *value, size_t len)
{
	char stored[XATTR_NAME_MAX + 1];

	snprintf(stored, sizeof(stored), "%s%s",
		 w->format->override == OVERRIDE_CONTAINERS && strncmp(xattr, "user.", 5) != 0
			 ? "user.containers.override_"
			 : "",
		 xattr);
	set_xattr(dirfd, name, stored, value, len);
}

/* Copies the shown xattrs of SRC in AT's layer directory to NAME in DIRFD. */
static void write_xattrs(const struct writer *w, const struct place *at, const char *src, int dirfd,
			 const char *name)
{
	CLEANUP(buf) struct buf names = {0};
	char value[4096];
	size_t i;

	cr_assert_eq(layer_listxattr(w->from, at->dir, src, &names), 0);
	for (i = 0; i < names.len; i += strlen((char *)names.data + i) + 1) {
		const char *xattr = (const char *)names.data + i;
		ssize_t n = layer_getxattr(w->from, at->dir, src, xattr, value, sizeof(value));

		cr_assert_geq(n, 0, "%s", xattr);
		write_xattr(w, dirfd, name, xattr, value, (size_t)n);
	}
}

static void write_owner(const struct writer *w, int dirfd, const char *name, const struct attr *a)
{
	const char *override = override_xattr(w->format->override);
	CLEANUP(buf) struct buf value = {0};

	if (override == NULL || S_ISLNK(a->mode)) {
		MUST(fchownat(dirfd, name, a->uid, a->gid, AT_SYMLINK_NOFOLLOW));
		if (!S_ISLNK(a->mode))
			MUST(fchmodat(dirfd, name, a->mode & 07777, 0));
		return;
	}
	override_print(a, &value);
	cr_assert(buf_ok(&value));
	set_xattr(dirfd, name, override, value.data, value.len);
	MUST(fchmodat(dirfd, name, S_ISDIR(a->mode) ? 0755 : 0644, 0));
}

static void write_times(int dirfd, const char *name, const struct attr *a)
{
	const struct timespec times[2] = {a->atime, a->mtime};

	MUST(utimensat(dirfd, name, times, AT_SYMLINK_NOFOLLOW));
}

/* Data where the layer has data; the rest stays a hole. */
static void write_bytes(const struct writer *w, const struct place *at, const char *name, int fd)
{
	CLEANUP(layer_file) struct layer_file *f = NULL;
	static char bytes[1 << 16];
	off_t off = 0, end;

	cr_assert_eq(layer_open(w->from, at->dir, name, &f), 0);
	while ((off = layer_file_seek(f, off, SEEK_DATA)) >= 0) {
		end = layer_file_seek(f, off, SEEK_HOLE);
		cr_assert_gt(end, off);
		while (off < end) {
			size_t want = (size_t)(end - off) < sizeof(bytes) ? (size_t)(end - off)
									  : sizeof(bytes);
			ssize_t n = layer_file_read(f, bytes, want, off);

			cr_assert_gt(n, 0);
			cr_assert_eq(pwrite(fd, bytes, (size_t)n, off), n);
			off += n;
		}
	}
}

static void write_file(const struct writer *w, const struct place *at, const char *name,
		       const struct layer_entry *e)
{
	int fd = openat(at->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	MUST(fd);
	if ((e->flags & LAYER_METACOPY) == 0)
		write_bytes(w, at, name, fd);
	MUST(ftruncate(fd, (off_t)e->attr.size));
	close(fd);
	if ((e->flags & LAYER_METACOPY) != 0)
		set_mark(w, at->fd, name, "metacopy", "");
}

static void write_symlink(const struct writer *w, const struct place *at, const char *name)
{
	char target[PATH_MAX];

	cr_assert_geq(layer_readlink(w->from, at->dir, name, target, sizeof(target)), 0);
	MUST(symlinkat(target, at->fd, name));
}

static void write_special(const struct writer *w, const struct place *at, const char *name,
			  const struct attr *a)
{
	if (w->format->override != OVERRIDE_NONE)
		make_empty(at->fd, name);
	else
		MUST(mknodat(at->fd, name, a->mode, makedev(a->rdev_major, a->rdev_minor)));
}

/* True when NAME is one more name of a file that is there already; it is then linked. */
static bool write_link(struct writer *w, const struct place *at, const char *name,
		       const struct attr *a)
{
	size_t i;

	if (S_ISDIR(a->mode) || a->nlink < 2)
		return false;
	for (i = 0; i < w->n_links; i++) {
		if (w->links[i].ino != a->ino)
			continue;
		MUST(linkat(w->links[i].dirfd, w->links[i].name, at->fd, name, 0));
		return true;
	}
	cr_assert_lt(i, MAX_LINKS);
	w->links[i].ino = a->ino;
	w->links[i].dirfd = fcntl(at->fd, F_DUPFD_CLOEXEC, 3);
	MUST(w->links[i].dirfd);
	snprintf(w->links[i].name, sizeof(w->links[i].name), "%s", name);
	w->n_links++;
	return false;
}

static void write_dir(struct writer *w, const struct place *at, const char *name,
		      const struct layer_entry *e);

static void write_entry(struct writer *w, const struct place *at, const char *name,
			const struct layer_entry *e)
{
	if ((e->flags & LAYER_WHITEOUT) != 0) {
		write_whiteout(w, at->fd, name);
		return;
	}
	if (write_link(w, at, name, &e->attr))
		return;
	if (S_ISDIR(e->attr.mode)) {
		write_dir(w, at, name, e);
		return;
	}
	if (S_ISREG(e->attr.mode))
		write_file(w, at, name, e);
	else if (S_ISLNK(e->attr.mode))
		write_symlink(w, at, name);
	else
		write_special(w, at, name, &e->attr);
	write_owner(w, at->fd, name, &e->attr);
	write_xattrs(w, at, name, at->fd, name);
	if (e->redirect != NULL)
		set_mark(w, at->fd, name, "redirect", e->redirect);
	write_times(at->fd, name, &e->attr);
}

/* Fills the directory FD, which is that of E, and gives it its attributes. */
static void fill_dir(struct writer *w, int fd, const struct layer_entry *e)
{
	CLEANUP(layer_list) struct layer_list list = {0};
	struct place at = {.dir = e->dir, .fd = fd};
	size_t i;

	cr_assert_eq(layer_readdir(w->from, e->dir, &list), 0);
	for (i = 0; i < list.n; i++) {
		const char *name = (const char *)list.text.data + list.names[i].off;
		struct layer_entry child = {0};

		cr_assert_eq(layer_lookup(w->from, e->dir, name, &child), 0, "%s", name);
		write_entry(w, &at, name, &child);
		layer_entry_done(w->from, &child);
	}
	if ((e->flags & LAYER_OPAQUE) != 0)
		write_opaque(w, fd);
	write_owner(w, fd, ".", &e->attr);
	write_xattrs(w, &at, NULL, fd, ".");
	if (e->redirect != NULL)
		set_mark(w, fd, ".", "redirect", e->redirect);
	write_times(fd, ".", &e->attr);
}

static void write_dir(struct writer *w, const struct place *at, const char *name,
		      const struct layer_entry *e)
{
	int fd;

	MUST(mkdirat(at->fd, name, 0755));
	fd = openat(at->fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	MUST(fd);
	fill_dir(w, fd, e);
	close(fd);
}

void tree_write(struct layer *from, int dirfd, const struct tree_format *format)
{
	struct writer w = {.from = from, .format = format};
	struct layer_dir *root = NULL;
	struct layer_entry e = {0};

	cr_assert_eq(layer_root(from, &root), 0);
	cr_assert_eq(layer_dir_entry(from, root, &e), 0);
	fill_dir(&w, dirfd, &e);
	layer_entry_done(from, &e);
	layer_dir_unref(from, root);
	while (w.n_links > 0)
		close(w.links[--w.n_links].dirfd);
}

void tree_write_text(const char *text, int dirfd, const struct tree_format *format)
{
	CLEANUP(layer) struct layer *from = NULL;
	CLEANUP(err) struct err err = {0};

	cr_assert_eq(layer_open_mem(text, "text", 0, &from, &err), 0, "%s", err_text(&err));
	tree_write(from, dirfd, format);
}
