/* SPDX-License-Identifier: Apache-2.0 */
/* Data files whose records are lost: each gets an inode, and a name in lost+found. */
#include "data/lost.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "data/files.h"
#include "data/path.h"
#include "tool/private.h"

static int remember(struct fsck *f, uint64_t ino, const char *path)
{
	struct adopted *a;

	if (f->n_adopted == f->cap_adopted) {
		size_t cap = f->cap_adopted == 0 ? 16 : f->cap_adopted * 2;

		a = reallocarray(f->adopted, cap, sizeof(*a));
		if (a == NULL)
			return -ENOMEM;
		f->adopted = a;
		f->cap_adopted = cap;
	}
	a = &f->adopted[f->n_adopted++];
	a->ino = ino;
	snprintf(a->path, sizeof(a->path), "%s", path);
	return 0;
}

/* The number that the file had, unless it is somebody's, or a lower inode's, which would show it then. */
static int number_for(struct fsck *f, uint64_t wanted, uint64_t *ret_ino)
{
	const struct node *n = find_node(f, wanted);

	if (wanted > CATALOG_ROOT_INO && wanted < CATALOG_FIRST_LOWER_INO &&
	    (n == NULL || (!n->has_record && !n->has_data))) {
		*ret_ino = wanted;
		return 0;
	}
	return node_new_ino(f, ret_ino);
}

static int give_inode(struct fsck *f, const struct data_file *file)
{
	struct node *n;
	uint64_t ino;
	int r = number_for(f, file->ino, &ino);

	if (r < 0)
		return r;
	n = get_node(f, ino);
	if (n == NULL)
		return -ENOMEM;
	n->has_record = n->is_fresh = n->has_data = true;
	n->has_origin = false;
	n->where = BYTES_FILE;
	n->mode = S_IFREG | 0600;
	n->size = n->data_size = file->size;
	n->nlink = 1;
	r = mend_attach_as(f, n, file->ino);
	return r < 0 ? r : remember(f, ino, file->path);
}

int lost_adopt(struct fsck *f, const struct data_file *file)
{
	struct place_text place = place_of(f, file->ino);
	const struct node *n = find_node(f, file->ino);
	bool has_record = n != NULL && n->has_record;
	int r = f->repair ? give_inode(f, file) : 0;

	if (r < 0)
		return r;
	return found(f, &place, "give them a name in lost+found",
		     has_record ? "there are bytes that its record does not need, and changes "
				  "are lost"
				: "there are bytes of it, but its record is lost");
}

static int look(void *arg, const struct data_file *file)
{
	struct fsck *f = arg;
	int r = 0;

	f->n_lost++;
	f->lost_bytes += file->size;
	if (f->repair)
		r = lost_adopt(f, file);
	return r < 0 ? r : step(f);
}

int lost_look(struct fsck *f)
{
	int r = lost_walk(f->dirfd, look, f);

	if (r == 0 && f->n_lost > 0 && !f->repair)
		note(f,
		     "%" PRIu64 " data files, %" PRIu64
		     " bytes, that a mount has put into .plyfs/" LOST_DIR
		     ", for their records are lost; --repair gives them names in lost+found",
		     f->n_lost, f->lost_bytes);
	return r;
}

static int open_data(struct fsck *f)
{
	int r = 0;

	if (f->data_fd < 0) {
		r = sys_mkdirat(f->dirfd, "data", 0700);
		if (r == 0)
			r = sys_fsync_dir(f->dirfd);
		if (r == 0 || r == -EEXIST)
			r = sys_openat(f->dirfd, "data", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
		if (r >= 0)
			f->data_fd = r;
	}
	return r < 0 ? r : 0;
}

static bool is_in_place(const struct adopted *a)
{
	char path[DATA_PATH_SIZE];

	data_path(a->ino, path);
	return strncmp(a->path, "data/", 5) == 0 && strcmp(a->path + 5, path) == 0;
}

/* Before anything is in them, or a power cut could take a directory with what was moved into it. */
static int make_dirs(struct fsck *f)
{
	bool any = false;
	int r = 0;

	for (size_t i = 0; r == 0 && i < f->n_adopted; i++) {
		if (is_in_place(&f->adopted[i]))
			continue;
		r = data_path_make_dir(f->data_fd, f->adopted[i].ino);
		any = true;
	}
	return r == 0 && any ? sys_fsync_dir(f->data_fd) : r;
}

/*
 * A data file without a record is what REPAIR_MARK keeps; a record without a data file is an empty file in
 * lost+found, and the bytes are where they were. So the records go first.
 */
int lost_settle(struct fsck *f)
{
	struct data_names names = {0};
	int r = 0;

	/* Who copies the tree finds them where they are. */
	if (f->n_adopted == 0 || f->keeps_data)
		return 0;
	r = catalog_sync(f->catalog);
	if (r == 0)
		r = open_data(f);
	if (r == 0)
		r = make_dirs(f);
	names.dirfd = f->data_fd;
	for (size_t i = 0; r == 0 && i < f->n_adopted; i++) {
		const struct adopted *a = &f->adopted[i];

		if (!is_in_place(a))
			r = data_path_move(f->dirfd, a->path, f->data_fd, a->ino);
		names.dirs[data_path_dir(a->ino)] = true;
	}
	if (r == 0)
		r = data_names_sync(&names);
	f->n_adopted = 0;
	/* Not if there is something else in it. */
	(void)sys_unlinkat(f->dirfd, LOST_DIR, AT_REMOVEDIR);
	return r;
}

int lost_open(const struct fsck *f, uint64_t ino, int *ret_fd)
{
	for (size_t i = 0; i < f->n_adopted; i++) {
		int fd;

		if (f->adopted[i].ino != ino)
			continue;
		fd = sys_openat(f->dirfd, f->adopted[i].path, O_RDONLY | O_NOFOLLOW, 0);
		if (fd < 0)
			return fd;
		*ret_fd = fd;
		return 0;
	}
	return f->data_fd < 0 ? -ENOENT : data_path_open(f->data_fd, ino, true, ret_fd);
}
