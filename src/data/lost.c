/* SPDX-License-Identifier: Apache-2.0 */
/* Moving data files whose records are lost out of the way. */
#include "data/lost.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/sys.h"
#include "catalog/catalog.h"
#include "data/files.h"

#define NAME_SIZE 32

struct keeping {
	int dirfd, data, lost; /* the first is borrowed; `lost` -1: not needed yet */
	bool no_sync;
	struct catalog *catalog;
	struct lost_count *count;
	struct data_names touched;
};

static void keeping_done(struct keeping *k)
{
	if (k->data >= 0)
		close(k->data);
	if (k->lost >= 0)
		close(k->lost);
}
DEFINE_CLEANUP(struct keeping, keeping, keeping_done)

/* 1: a record needs the data file of INO, or may need it; 0: none does. */
static int is_needed(struct catalog *c, uint64_t ino)
{
	CLEANUP(inode_rec) struct inode_rec rec = {0};
	int r = catalog_inode(c, ino, &rec);

	if (r < 0)
		return r == -ENOENT ? 0 : r == -EUCLEAN ? 1 : r;
	return rec.attr.nlink > 0 && inode_has_file(&rec);
}

static int open_lost(struct keeping *k)
{
	k->lost = sys_openat(k->dirfd, LOST_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (k->lost < 0)
		return k->lost;
	/* Before anything is in it, or a cut of the power could take it with what was moved into it. */
	return k->no_sync ? 0 : sys_fsync_dir(k->dirfd);
}

static int make_lost(struct keeping *k)
{
	int r = sys_mkdirat(k->dirfd, LOST_DIR, 0700);

	return r < 0 && r != -EEXIST ? r : open_lost(k);
}

/*
 * An attempt that failed, or was cut off, may have moved files and not flushed that, and what it has moved is not seen
 * again: so where there is a directory of lost files, that and all that they can have come from are flushed.
 */
static int continue_lost(struct keeping *k)
{
	int r = open_lost(k);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	for (unsigned int dir = 0; dir < DATA_DIRS; dir++) {
		char name[3];
		struct stat st;

		data_path_dir_name(dir, name);
		r = sys_fstatat(k->data, name, &st, AT_SYMLINK_NOFOLLOW);
		if (r < 0 && r != -ENOENT)
			return r;
		k->touched.dirs[dir] = r == 0 && S_ISDIR(st.st_mode);
	}
	return 0;
}

/* The number, and behind it which one it is, if there has been another. */
static int free_name(int dir, uint64_t ino, char name[NAME_SIZE])
{
	struct stat st;
	int r;

	snprintf(name, NAME_SIZE, "%016" PRIx64, ino);
	for (unsigned int i = 2; (r = sys_fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW)) == 0; i++)
		snprintf(name, NAME_SIZE, "%016" PRIx64 "-%u", ino, i);
	/* What cannot be looked at may be one that is kept already. */
	return r == -ENOENT ? 0 : r;
}

static int keep(void *arg, const struct data_file *file)
{
	struct keeping *k = arg;
	char name[NAME_SIZE];
	int r = 0;

	if (file->ino == 0 || file->size == 0)
		return 0;
	r = is_needed(k->catalog, file->ino);
	if (r != 0)
		return r < 0 ? r : 0;
	if (k->lost < 0)
		r = make_lost(k);
	if (r < 0)
		return r;
	r = free_name(k->lost, file->ino, name);
	if (r < 0)
		return r;
	r = sys_renameat(k->data, file->path, k->lost, name, 0);
	if (r < 0)
		return r;
	k->touched.dirs[data_path_dir(file->ino)] = true;
	k->count->files++;
	k->count->bytes += file->size;
	return 0;
}

/* First where the names are now, or a cut of the power takes both. */
static int sync_all(const struct keeping *k)
{
	int r = k->lost < 0 ? 0 : sys_fsync_dir(k->lost);

	return r == 0 ? data_names_sync(&k->touched) : r;
}

static int keep_all(int dirfd, struct catalog *c, bool no_sync, struct lost_count *count)
{
	CLEANUP(keeping)
	struct keeping k = {
		.dirfd = dirfd,
		.data = -1,
		.lost = -1,
		.no_sync = no_sync,
		.catalog = c,
		.count = count,
	};
	int r;

	k.data = sys_openat(dirfd, "data", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (k.data < 0)
		return k.data == -ENOENT ? 0 : k.data;
	k.touched.dirfd = k.data;
	r = continue_lost(&k);
	if (r == 0)
		r = data_walk(k.data, keep, &k);
	return r == 0 && !no_sync ? sync_all(&k) : r;
}

/* What to do before the next try. */
static const char *way_out(int r)
{
	if (sys_is_full(r))
		return "make room and ";
	return r == -ENOMEM || r == -EMFILE || r == -ENFILE ? "" : "see to the disk and ";
}

int lost_refuse(int r, const char *what, struct err *err)
{
	return err_set(err, -r,
		       "data files whose records are lost cannot be %s: %s; %smount again, or "
		       "mount with -o ro, which leaves them",
		       what, strerror(-r), way_out(r));
}

int lost_keep(int dirfd, struct catalog *c, bool no_sync, struct lost_count *count, struct err *err)
{
	int r = keep_all(dirfd, c, no_sync, count);

	return r == 0 ? 0 : lost_refuse(r, "moved to .plyfs/" LOST_DIR, err);
}

struct lost_walker {
	int dir;
	int (*each)(void *arg, const struct data_file *file);
	void *arg;
};

static int visit(const struct lost_walker *w, const char *name)
{
	char path[sizeof(LOST_DIR "/") + 256];
	struct data_file file = {.path = path};
	unsigned int which;
	struct stat st;
	char more;
	int n = sscanf(name, "%16" SCNx64 "-%u%c", &file.ino, &which, &more);

	if (n != 1 && n != 2)
		return 0;
	if (sys_fstatat(w->dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
		return 0;
	snprintf(path, sizeof(path), LOST_DIR "/%s", name);
	file.size = (uint64_t)st.st_size;
	file.space = (uint64_t)st.st_blocks * 512;
	return w->each(w->arg, &file);
}

int lost_walk(int dirfd, int (*each)(void *arg, const struct data_file *file), void *arg)
{
	CLEANUP(fd) int dir = sys_openat(dirfd, LOST_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	struct lost_walker w = {.dir = dir, .each = each, .arg = arg};
	_Alignas(uint64_t) char names[4096];
	ssize_t n;

	if (dir < 0)
		return dir == -ENOENT ? 0 : dir;
	while ((n = sys_getdents(dir, names, sizeof(names))) > 0) {
		struct sys_dirents it = sys_dirents_of(names, (size_t)n);
		const struct linux_dirent64 *d;

		while ((d = sys_dirents_next(&it)) != NULL) {
			int r = visit(&w, d->d_name);

			if (r != 0)
				return r;
		}
	}
	return (int)n;
}

int lost_mark(int dirfd)
{
	CLEANUP(fd) int fd = sys_openat(dirfd, REPAIR_MARK, O_WRONLY | O_CREAT | O_NOFOLLOW, 0600);

	return fd < 0 ? fd : sys_fsync_dir(dirfd);
}

int lost_unmark(int dirfd)
{
	int r = sys_unlinkat(dirfd, REPAIR_MARK, 0);

	return r == -ENOENT ? 0 : r;
}

bool lost_is_marked(int dirfd)
{
	struct stat st;

	return sys_fstatat(dirfd, REPAIR_MARK, &st, AT_SYMLINK_NOFOLLOW) != -ENOENT;
}
