/* SPDX-License-Identifier: Apache-2.0 */
/* Writing a catalog's tree out as plain files. */
#include "tool/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/sys.h"
#include "data/data.h"
#include "data/files.h"

#define PIECE 1024

/* A directory that is being written: trees may be deeper than descriptors or a stack allow, so only
 * the deepest one is open, and going up is opening "..". */
struct level {
	uint64_t ino, after; /* the last hash that was listed */
	size_t path_len;     /* of the writer's path, without this directory's children */
	struct catalog_names names;
	size_t at;
};

struct writer {
	struct fsck *f;
	int scratch;
	int dir;	 /* owned; the deepest directory */
	struct buf path; /* of it, with a slash in front; "" is the root */
	struct level *levels;
	size_t n_levels, cap_levels;
	FILE *whiteouts, *incomplete, *missing; /* owned */
	struct tree_counts *counts;
};

static void list(struct writer *w, FILE *file, uint64_t *count, const char *name, const char *more)
{
	++*count;
	fprintf(file, "%s%s%s%s%s\n", w->path.len > 0 ? buf_cstr(&w->path) : "",
		name[0] != '\0' ? "/" : "", name, more[0] != '\0' ? "\t" : "", more);
}

static void missing(struct writer *w, const char *name, const char *why)
{
	list(w, w->missing, &w->counts->missing, name, why);
}

/* ---- one inode ---- */

static void put_xattrs(struct writer *w, int dirfd, const char *name, uint64_t ino)
{
	CLEANUP(buf) struct buf names = {0};
	CLEANUP(free) char *value = malloc(XATTR_VALUE_MAX);
	char path[64 + NAME_MAX];
	size_t at = 0;

	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", dirfd, name);
	if (value == NULL || catalog_xattr_names(w->f->catalog, ino, &names) < 0)
		return;
	while (at < names.len) {
		const char *xattr = (const char *)names.data + at;
		ssize_t len = catalog_xattr(w->f->catalog, ino, xattr, value, XATTR_VALUE_MAX);

		/* Best effort: the place may keep none, or not for this user. */
		if (len >= 0)
			(void)lsetxattr(path, xattr, value, (size_t)len, 0);
		at += strlen(xattr) + 1;
	}
}

/* Owner, mode, xattrs and times, in the order in which one does not undo the other. */
static void put_attrs(struct writer *w, int dirfd, const char *name, const struct inode_rec *rec)
{
	const struct attr *a = &rec->attr;
	struct timespec times[2] = {a->atime, a->mtime};

	(void)!fchownat(dirfd, name, a->uid, a->gid, AT_SYMLINK_NOFOLLOW);
	if (!S_ISLNK(a->mode))
		(void)!fchmodat(dirfd, name, a->mode & 07777, 0);
	put_xattrs(w, dirfd, name, a->ino);
	/* A data file keeps the time at which it was changed itself. */
	if (!S_ISREG(a->mode) || rec->where == BYTES_INLINE || rec->where == BYTES_LOWER)
		(void)!utimensat(dirfd, name, times, AT_SYMLINK_NOFOLLOW);
}

static int copy_inline(struct writer *w, int fd, const struct inode_rec *rec)
{
	uint8_t bytes[DATA_INLINE_MAX];
	ssize_t n = catalog_inline(w->f->catalog, rec->attr.ino, 0, bytes, sizeof(bytes));

	if (n == -ENOENT)
		n = 0;
	if (n < 0)
		return (int)n;
	w->counts->bytes += (uint64_t)n;
	return sys_pwrite_full(fd, bytes, (size_t)n, 0);
}

static int copy_data(struct writer *w, int fd, const struct inode_rec *rec)
{
	CLEANUP(fd) int from = -1;
	struct timespec times[2];
	struct stat st;
	int r = lost_open(w->f, rec->attr.ino, &from);

	if (r == 0)
		r = sys_fstat(from, &st);
	if (r == 0)
		r = sys_ftruncate(fd, st.st_size);
	if (r == 0)
		r = data_copy_range(from, 0, fd, 0, (uint64_t)st.st_size);
	if (r < 0)
		return r;
	w->counts->bytes += (uint64_t)st.st_size;
	times[0] = rec->attr.atime;
	times[1] = st.st_mtim;
	data_file_mtime(rec, &times[1]);
	(void)!futimens(fd, times);
	return 0;
}

static int write_regular(struct writer *w, int dirfd, const char *name, const char *shown,
			 const struct inode_rec *rec)
{
	CLEANUP(fd) int fd = sys_openat(dirfd, name, O_RDWR | O_CREAT | O_EXCL, 0600);
	int r = 0;

	if (fd < 0)
		return fd;
	if (rec->where == BYTES_INLINE && rec->attr.size > 0)
		r = copy_inline(w, fd, rec);
	else if (rec->where == BYTES_FILE || rec->where == BYTES_CHUNKS)
		r = copy_data(w, fd, rec);
	if (r < 0) {
		sys_unlinkat(dirfd, name, 0);
		return r;
	}
	if (rec->where == BYTES_LOWER && rec->attr.size <= INT64_MAX)
		r = sys_ftruncate(fd, (off_t)rec->attr.size);
	if (rec->where == BYTES_LOWER || rec->where == BYTES_CHUNKS)
		list(w, w->incomplete, &w->counts->incomplete, shown,
		     rec->origin != NULL ? rec->origin : "");
	w->counts->files++;
	return r;
}

static int write_link(struct writer *w, int dirfd, const char *name, const struct inode_rec *rec)
{
	char target[PATH_MAX];
	ssize_t n = catalog_inline(w->f->catalog, rec->attr.ino, 0, target, sizeof(target) - 1);

	if (n <= 0)
		return n < 0 ? (int)n : -ENODATA;
	target[n] = '\0';
	w->counts->links++;
	return symlinkat(target, dirfd, name) < 0 ? -errno : 0;
}

/* Makes NAME in DIRFD; the path in the lists ends in SHOWN. */
static int write_inode(struct writer *w, int dirfd, const char *name, const char *shown,
		       const struct inode_rec *rec)
{
	const struct attr *a = &rec->attr;
	int r;

	if (S_ISREG(a->mode)) {
		r = write_regular(w, dirfd, name, shown, rec);
	} else if (S_ISLNK(a->mode)) {
		r = write_link(w, dirfd, name, rec);
	} else {
		r = mknodat(dirfd, name, (a->mode & S_IFMT) | 0600,
			    makedev(a->rdev_major, a->rdev_minor)) < 0
			    ? -errno
			    : 0;
		w->counts->others += r == 0;
	}
	if (r == 0)
		put_attrs(w, dirfd, name, rec);
	return r;
}

/* A file of several names is made once, in the scratch directory, and linked from there. */
static int write_linked(struct writer *w, const char *name, const struct inode_rec *rec)
{
	char staged[40];
	int r = 0;

	snprintf(staged, sizeof(staged), "link-%" PRIu64, rec->attr.ino);
	if (faccessat(w->scratch, staged, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		r = write_inode(w, w->scratch, staged, name, rec);
	if (r == 0 && linkat(w->scratch, staged, w->dir, name, 0) < 0)
		r = -errno;
	/* Where there are no hard links, copies are better than nothing. */
	if (r == -EPERM || r == -EMLINK || r == -EOPNOTSUPP)
		r = write_inode(w, w->dir, name, name, rec);
	return r;
}

/* ---- the tree ---- */

static int push(struct writer *w, uint64_t ino)
{
	if (w->n_levels == w->cap_levels) {
		size_t cap = w->cap_levels == 0 ? 16 : w->cap_levels * 2;
		struct level *more = reallocarray(w->levels, cap, sizeof(*more));

		if (more == NULL)
			return -ENOMEM;
		w->levels = more;
		w->cap_levels = cap;
	}
	w->levels[w->n_levels++] = (struct level){.ino = ino, .path_len = w->path.len};
	return 0;
}

static int enter(struct writer *w, const char *name, uint64_t ino)
{
	int fd, r = sys_mkdirat(w->dir, name, 0700);

	if (r < 0 && r != -EEXIST)
		return r;
	fd = sys_openat(w->dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (fd < 0)
		return fd;
	r = push(w, ino);
	if (r < 0) {
		close(fd);
		return r;
	}
	close(w->dir);
	w->dir = fd;
	w->counts->dirs++;
	buf_put_u8(&w->path, '/');
	buf_put_str(&w->path, name);
	return buf_ok(&w->path) ? 0 : -ENOMEM;
}

/* The directory is done: its attributes, which its names would have changed, and up. */
static int leave(struct writer *w)
{
	struct level *level = &w->levels[w->n_levels - 1];
	CLEANUP(inode_rec) struct inode_rec rec = {0};
	int fd = w->n_levels > 1 ? sys_openat(w->dir, "..", O_RDONLY | O_DIRECTORY, 0) : -1;

	if (w->n_levels > 1 && fd < 0)
		return fd;
	if (catalog_inode(w->f->catalog, level->ino, &rec) == 0)
		put_attrs(w, w->dir, ".", &rec);
	if (fd >= 0) {
		close(w->dir);
		w->dir = fd;
	}
	w->path.len = level->path_len;
	catalog_names_done(&level->names);
	w->n_levels--;
	return 0;
}

static int write_name(struct writer *w, const struct catalog_name *n, const char *text)
{
	CLEANUP(inode_rec) struct inode_rec rec = {0};
	char name[NAME_MAX + 1];
	int r;

	memcpy(name, text, n->name_len);
	name[n->name_len] = '\0';
	if (entry_is_whiteout(&n->entry)) {
		list(w, w->whiteouts, &w->counts->whiteouts, name, "");
		return 0;
	}
	r = catalog_inode(w->f->catalog, n->entry.ino, &rec);
	if (r == 0 && S_ISDIR(rec.attr.mode))
		r = enter(w, name, n->entry.ino);
	else if (r == 0)
		r = rec.attr.nlink > 1 ? write_linked(w, name, &rec)
				       : write_inode(w, w->dir, name, name, &rec);
	if (sys_is_full(r) || r == -EROFS || r == -ENOMEM)
		return r;
	if (r < 0)
		missing(w, name, r == -ENOENT ? "its bytes are lost" : strerror(-r));
	return 0;
}

static int write_all(struct writer *w)
{
	int r = push(w, CATALOG_ROOT_INO);

	while (r == 0 && w->n_levels > 0) {
		struct level *level = &w->levels[w->n_levels - 1];

		r = step(w->f);
		if (r == 0 && level->at < level->names.n) {
			const struct catalog_name *n = &level->names.names[level->at++];

			level->after = n->hash;
			r = write_name(w, n, (const char *)level->names.text.data + n->name_off);
		} else if (r == 0 && !level->names.end) {
			level->at = 0;
			r = catalog_list(w->f->catalog, level->ino, level->after, PIECE,
					 &level->names);
			/* An end that is not said is one all the same. */
			level->names.end = level->names.end || level->names.n == 0;
		} else if (r == 0) {
			r = leave(w);
		}
	}
	return r;
}

static FILE *open_list(int to, const char *name)
{
	int fd = sys_openat(to, name, O_WRONLY | O_CREAT | O_EXCL, 0600);
	FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;

	if (file == NULL && fd >= 0)
		close(fd);
	return file;
}

static int close_list(int to, const char *name, FILE *file, uint64_t count)
{
	int r = file == NULL || fclose(file) == 0 ? 0 : -errno;

	if (file != NULL && count == 0)
		sys_unlinkat(to, name, 0);
	return r;
}

static void writer_done(struct writer *w)
{
	while (w->n_levels > 0)
		catalog_names_done(&w->levels[--w->n_levels].names);
	free(w->levels);
	buf_done(&w->path);
	if (w->dir >= 0)
		close(w->dir);
}
DEFINE_CLEANUP(struct writer, writer, writer_done)

int tree_write(struct fsck *f, int to, int scratch, struct tree_counts *ret_counts, struct err *err)
{
	CLEANUP(writer) struct writer w = {.f = f, .scratch = scratch, .counts = ret_counts};
	int r = 0, r2;

	w.dir = sys_openat(to, ".", O_RDONLY | O_DIRECTORY, 0);
	w.whiteouts = open_list(to, TREE_WHITEOUTS);
	w.incomplete = open_list(to, TREE_INCOMPLETE);
	w.missing = open_list(to, TREE_MISSING);
	if (w.dir < 0 || w.whiteouts == NULL || w.incomplete == NULL || w.missing == NULL)
		r = -EIO;
	if (r == 0)
		r = write_all(&w);
	r2 = close_list(to, TREE_WHITEOUTS, w.whiteouts, ret_counts->whiteouts);
	r = r < 0 ? r : r2;
	r2 = close_list(to, TREE_INCOMPLETE, w.incomplete, ret_counts->incomplete);
	r = r < 0 ? r : r2;
	r2 = close_list(to, TREE_MISSING, w.missing, ret_counts->missing);
	r = r < 0 ? r : r2;
	return r < 0 && r != -ECANCELED ? err_errno(err, -r, "cannot write the tree") : r;
}
