/* SPDX-License-Identifier: Apache-2.0 */
/* Listings of a plain directory, and the whiteouts found on the way. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/sys.h"
#include "layer/dir.h"

enum { DIRENTS_SIZE = 32 * 1024 };

/* Calls FN with every entry of the directory FD, from its position on, but "." and "..". */
static int read_entries(int fd, int (*fn)(const struct linux_dirent64 *d, void *arg), void *arg)
{
	CLEANUP(free) void *bytes = malloc(DIRENTS_SIZE);

	if (bytes == NULL)
		return -ENOMEM;
	for (;;) {
		ssize_t n = sys_getdents(fd, bytes, DIRENTS_SIZE);
		struct sys_dirents it = sys_dirents_of(bytes, n > 0 ? (size_t)n : 0);
		const struct linux_dirent64 *d;

		if (n <= 0)
			return (int)n;
		while ((d = sys_dirents_next(&it)) != NULL) {
			int r = 0;

			if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
				r = fn(d, arg);
			if (r < 0)
				return r;
		}
		if (it.bad)
			return -EBADMSG;
	}
}

/*
 * Calls FN with every entry of N, of which FD is a descriptor, but "." and "..". The position of a
 * descriptor that others share is moved by one at a time; the next one opens the directory anew.
 * So does who may not read it: its descriptor is O_PATH, and opening tells why.
 */
static int each_entry(struct dir_node *n, int fd,
		      int (*fn)(const struct linux_dirent64 *d, void *arg), void *arg)
{
	CLEANUP(fd) int own = -1;
	int r = -EBADF;

	if (!atomic_flag_test_and_set_explicit(&n->listing, memory_order_acquire)) {
		bool moved = n->listed;

		n->listed = true;
		if (!moved || sys_lseek(fd, 0, SEEK_SET) == 0)
			r = read_entries(fd, fn, arg);
		atomic_flag_clear_explicit(&n->listing, memory_order_release);
	}
	if (r != -EBADF)
		return r;
	own = dir_open_in(n->layer, fd, ".", O_RDONLY | O_DIRECTORY);
	return own < 0 ? own : read_entries(own, fn, arg);
}

static int scan_entry(const struct linux_dirent64 *d, void *arg)
{
	if (aufs_reserved(d->d_name))
		aufs_set_add(arg, d->d_name);
	return 0;
}

int dir_scan_hidden(struct dir_node *n, int fd, struct aufs_set *ret_set)
{
	CLEANUP(aufs_set) struct aufs_set set = {0};
	int r = each_entry(n, fd, scan_entry, &set);

	if (r == 0)
		r = aufs_set_sort(&set);
	if (r < 0)
		return r;
	*ret_set = set;
	set = (struct aufs_set){0};
	return 0;
}

enum by_path { BY_PATH_UNKNOWN, BY_PATH_NO, BY_PATH_YES };

struct listing {
	struct dir_node *node;
	int fd;
	struct layer_list *list;
	size_t first; /* index of the first of ours in `list` */
	bool xwhiteout;
	enum by_path by_path; /* overlay_by_path() */
	struct aufs_set hidden;
};

/* What a listing says of an entry's type; DT_UNKNOWN where a mark can make it something else. */
static uint8_t listed_type(const struct listing *ls, const struct linux_dirent64 *d)
{
	const struct dir_layer *l = ls->node->layer;
	struct stat st;

	if (d->d_type == DT_CHR) {
		if (sys_fstatat(ls->fd, d->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return DT_UNKNOWN;
		return overlay_is_whiteout(&st) ? DT_WHT : DT_CHR;
	}
	if (d->d_type == DT_REG && (ls->xwhiteout || l->override != OVERRIDE_NONE))
		return DT_UNKNOWN;
	/* A whiteout of the BSDs, which Linux keeps on disk but gives no meaning. */
	return d->d_type == DT_WHT ? DT_UNKNOWN : d->d_type;
}

/* A subvolume is listed with its own number, which is not that of its root directory. */
static uint64_t number_of_btrfs(const struct listing *ls, const struct linux_dirent64 *d)
{
	struct stat st;
	bool mount;

	/* One that cannot be asked cannot be looked up either. */
	if (d->d_type != DT_DIR || dir_stat(ls->node->layer, ls->fd, d->d_name, &st, &mount) < 0)
		return dir_number_in(ls->node, d->d_ino);
	if (mount || dir_has_path_number(ls->node, &st))
		return dir_number(ls->node, d->d_name);
	return dir_number_in(ls->node, st.st_ino);
}

/*
 * Do files of LS, in an overlayfs, have the numbers of their paths? D, one of them, tells for all: either its layers are of one
 * device, or no file is of the device of the overlayfs itself.
 */
static bool overlay_by_path(struct listing *ls, const struct linux_dirent64 *d)
{
	struct stat st;
	bool mount;

	if (ls->by_path != BY_PATH_UNKNOWN)
		return ls->by_path == BY_PATH_YES;
	if (dir_stat(ls->node->layer, ls->fd, d->d_name, &st, &mount) < 0 || mount ||
	    S_ISDIR(st.st_mode))
		return true;
	ls->by_path = dir_has_path_number(ls->node, &st) ? BY_PATH_YES : BY_PATH_NO;
	return ls->by_path == BY_PATH_YES;
}

/* What a look-up of D will give as its number, without one: getdents(2) does not tell of which device it is. */
static uint64_t listed_number(struct listing *ls, const struct linux_dirent64 *d)
{
	switch (ls->node->layer->numbering) {
	case DIR_NUMBERS_PATH:
		return dir_number(ls->node, d->d_name);
	case DIR_NUMBERS_OVERLAY:
		return d->d_type == DT_DIR || overlay_by_path(ls, d)
			       ? dir_number(ls->node, d->d_name)
			       : dir_number_in(ls->node, d->d_ino);
	case DIR_NUMBERS_BTRFS:
		return number_of_btrfs(ls, d);
	default:
		return dir_number_in(ls->node, d->d_ino);
	}
}

/* A name that is looked for in a listing. */
struct sought {
	struct listing ls;
	const char *name;
	uint64_t number;
};

static int seek_entry(const struct linux_dirent64 *d, void *arg)
{
	struct sought *s = arg;

	if (strcmp(d->d_name, s->name) != 0)
		return 0;
	s->number = listed_number(&s->ls, d);
	return -ECANCELED;
}

uint64_t dir_listed_number(struct dir_node *n, int fd, const char *name)
{
	struct sought s = {.ls = {.node = n, .fd = fd}, .name = name};

	/* In an overlayfs another name would have to tell. */
	if (n->layer->numbering != DIR_NUMBERS_OVERLAY &&
	    each_entry(n, fd, seek_entry, &s) == -ECANCELED)
		return s.number;
	return dir_number(n, name);
}

static int list_entry(const struct linux_dirent64 *d, void *arg)
{
	struct listing *ls = arg;

	if (aufs_reserved(d->d_name)) {
		aufs_set_add(&ls->hidden, d->d_name);
		return 0;
	}
	if (dir_node_private(ls->node, d->d_name))
		return 0;
	return layer_list_add(ls->list, d->d_name, strlen(d->d_name), listed_number(ls, d),
			      listed_type(ls, d), false);
}

/* Adds the names that only whiteouts mention. */
static int list_hidden(struct listing *ls)
{
	const struct aufs_set *hidden = &ls->hidden;
	CLEANUP(free) bool *shown = NULL;
	size_t i;
	int r = 0;

	if (hidden->n == 0)
		return 0;
	shown = calloc(hidden->n, sizeof(*shown));
	if (shown == NULL)
		return -ENOMEM;
	for (i = ls->first; i < ls->list->n; i++) {
		const char *text = (const char *)ls->list->text.data;
		ptrdiff_t at = aufs_set_find(hidden, text + ls->list->names[i].off);

		if (at >= 0)
			shown[at] = true;
	}
	for (i = 0; i < hidden->n && r == 0; i++) {
		const char *name = hidden->names[i];

		if (!shown[i] && !dir_node_private(ls->node, name))
			r = layer_list_add(ls->list, name, strlen(name), 0, DT_WHT, false);
	}
	return r;
}

static int list_node(struct listing *ls)
{
	int r = dir_node_xwhiteout(ls->node, ls->fd);

	if (r < 0)
		return r;
	ls->xwhiteout = r > 0;
	r = each_entry(ls->node, ls->fd, list_entry, ls);
	if (r == 0)
		r = aufs_set_sort(&ls->hidden);
	if (r == 0)
		r = list_hidden(ls);
	if (r == 0)
		dir_node_keep_hidden(ls->node, &ls->hidden);
	aufs_set_done(&ls->hidden);
	return r;
}

int dir_list(struct layer *l, struct layer_dir *dir, struct layer_list *list)
{
	struct listing ls = {.node = dir_node_of(dir), .list = list, .first = list->n};
	int r;

	(void)l;
	if (ls.node->empty)
		return 0;
	ls.fd = dir_fd_get(ls.node);
	if (ls.fd < 0)
		return ls.fd;
	r = list_node(&ls);
	dir_fd_put(ls.node);
	return r;
}

/*
 * Those known to have all their names in their listings, byte for byte. Others may ignore case
 * without saying so (XFS, ZFS, network file systems) or find files by names that they do not list
 * (FAT, NTFS).
 */
bool dir_names_exact(unsigned long type)
{
	switch (type) {
	case EXT4_SUPER_MAGIC:
	case F2FS_SUPER_MAGIC:
	case BTRFS_SUPER_MAGIC:
	case TMPFS_MAGIC:
	case SQUASHFS_MAGIC:
	case EROFS_SUPER_MAGIC_V1:
		return true;
	default:
		return false;
	}
}

bool dir_lists_all(struct layer *l, struct layer_dir *dir)
{
	struct dir_node *n = dir_node_of(dir);
	int fd, flags = 0, r;

	if (n->empty)
		return true;
	if (!dir_layer_of(l)->exact_names)
		return false;
	fd = dir_fd_get(n);
	if (fd < 0)
		return false;
	r = ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0 ? errno : 0;
	dir_fd_put(n);
	/* Where directories have no flags none ignores case. */
	return r == ENOTTY || r == EOPNOTSUPP || (r == 0 && (flags & FS_CASEFOLD_FL) == 0);
}
