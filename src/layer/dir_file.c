/* SPDX-License-Identifier: Apache-2.0 */
/* Open files of a plain-directory layer. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/log.h"
#include "base/sys.h"
#include "layer/dir.h"

struct dir_file {
	struct layer_file base;
	int fd;	    /* owned */
	off_t size; /* layers do not change */
};

static struct dir_file *file_of(struct layer_file *f)
{
	return (struct dir_file *)f;
}

/* The path of NAME in N; NULL when there is no memory. */
static char *path_of(const struct dir_node *n, const char *name)
{
	size_t left = strlen(name);
	char *path;

	for (const struct dir_node *d = n; d->parent != NULL; d = d->parent)
		left += strlen(d->name) + 1;
	path = malloc(left + 1);
	if (path == NULL)
		return NULL;
	path[left] = '\0';
	left -= strlen(name);
	memcpy(path + left, name, strlen(name));
	for (; n->parent != NULL; n = n->parent) {
		size_t len = strlen(n->name);

		path[--left] = '/';
		left -= len;
		memcpy(path + left, n->name, len);
	}
	return path;
}

/*
 * The bytes of a metacopy are elsewhere; what is here reads as zeros. Where the layer is trusted with them a look-up has
 * asked already, for then it needs the answer. Else it has asked only of files without any block, and it is asked here,
 * of every file that has bytes: how many blocks it has does not tell. Those of xattrs are counted (ext4: one, when
 * overlayfs' own do not fit an inode of 256 bytes; XFS: as many as there are xattrs), a small file has no more than that,
 * CIFS and Ceph derive them from the size, and a copy made by who knows no holes has stored the zeros.
 */
static int refuse_metacopy(const struct dir_node *n, const char *name, int fd)
{
	CLEANUP(free) char *path = NULL;
	int r;

	if (n->layer->noxattr || (n->layer->base.trust & LAYER_TRUST_METACOPY) != 0)
		return 0;
	r = overlay_is_metacopy(fd);
	if (r <= 0)
		return r;
	path = path_of(n, name);
	log_warn("layer %s: the metacopy of \"%s\" is refused: the layer is not trusted with it",
		 n->layer->base.path, path != NULL ? path : name);
	return -EPERM;
}

/*
 * The caller knows that NAME is a regular file. If it no longer is, that shows here, and what took
 * its place is not waited for: O_NONBLOCK for a fifo without writers.
 */
static int open_regular(struct dir_node *n, int dirfd, const char *name, off_t *ret_size)
{
	CLEANUP(fd) int fd = dir_open_in(n->layer, dirfd, name, O_RDONLY | O_NONBLOCK);
	struct stat st;
	int r;

	if (fd == -ELOOP || fd == -ENXIO || fd == -EXDEV)
		return -ESTALE;
	if (fd < 0)
		return fd;
	r = sys_fstat(fd, &st);
	if (r < 0)
		return r;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	if (!S_ISREG(st.st_mode))
		return -ESTALE;
	r = st.st_size > 0 ? refuse_metacopy(n, name, fd) : 0;
	if (r < 0)
		return r;
	*ret_size = st.st_size;
	return steal_fd(&fd);
}

int dir_open(struct layer *l, struct layer_dir *dir, const char *name, struct layer_file **ret_file)
{
	struct dir_node *n = dir_node_of(dir);
	CLEANUP(free) struct dir_file *f = calloc(1, sizeof(*f));
	int dirfd;

	if (f == NULL)
		return -ENOMEM;
	if (name == NULL)
		return -EISDIR;
	dirfd = dir_node_enter(n, name);
	if (dirfd < 0)
		return dirfd;
	f->base.layer = l;
	f->fd = open_regular(n, dirfd, name, &f->size);
	dir_fd_put(n);
	if (f->fd < 0)
		return f->fd;
	*ret_file = &steal_ptr(&f)->base;
	return 0;
}

ssize_t dir_file_read(struct layer_file *f, void *bytes, size_t size, off_t off)
{
	struct dir_file *file = file_of(f);

	/* The kernel asks for whole pages: what is behind the end is not read for. */
	if (off >= 0 && off < file->size && (uint64_t)(file->size - off) < size)
		size = (size_t)(file->size - off);
	return sys_pread_full(file->fd, bytes, size, off);
}

off_t dir_file_seek(struct layer_file *f, off_t off, int whence)
{
	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return -EINVAL;
	return sys_lseek(file_of(f)->fd, off, whence);
}

int dir_file_fd(struct layer_file *f)
{
	return file_of(f)->fd;
}

void dir_file_close(struct layer_file *f)
{
	close(file_of(f)->fd);
	free(f);
}
