/* SPDX-License-Identifier: Apache-2.0 */
/* Open files of an upper that is used as a layer: its own bytes, over those of the layers below. */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/sys.h"
#include "data/fdcache.h"
#include "layer/upper.h"

struct upper_file {
	struct layer_file base;
	struct inode_rec rec;	      /* owned; as it was when the file was opened */
	struct layer_file *below;     /* owned; NULL: all bytes are the upper's own */
	struct data_source source;    /* reads `below` */
	_Atomic(struct fdref *) held; /* owned; once somebody asked for the descriptor */
};

static struct upper_file *file_of(struct layer_file *f)
{
	return (struct upper_file *)f;
}

static bool needs_below(const struct inode_rec *rec)
{
	return rec->where == BYTES_LOWER || rec->where == BYTES_CHUNKS;
}

static ssize_t source_read(void *arg, void *bytes, size_t size, off_t off)
{
	return layer_file_read(arg, bytes, size, off);
}

static off_t source_seek(void *arg, off_t off, int whence)
{
	return layer_file_seek(arg, off, whence);
}

static struct data_source source_of(struct layer_file *below)
{
	int fd = layer_file_fd(below);

	return (struct data_source){
		.read = source_read,
		.seek = source_seek,
		.arg = below,
		.fd = fd >= 0 ? fd : -1,
	};
}

void upper_file_close(struct layer_file *f)
{
	struct upper_file *file = file_of(f);

	if (atomic_load(&file->held) != NULL)
		fdcache_put(atomic_load(&file->held));
	layer_file_close(file->below);
	inode_rec_done(&file->rec);
	free(file);
}

int upper_open_over(struct layer *l, struct layer_dir *dir, const char *name,
		    struct layer_file *below, struct layer_file **ret_file)
{
	struct upper_layer *u = upper_of(l);
	CLEANUP(layer_file) struct layer_file *base = NULL;
	struct upper_file *f = calloc(1, sizeof(*f));
	uint64_t ino;
	int r;

	if (f == NULL)
		return -ENOMEM;
	f->base.layer = l;
	base = &f->base;
	r = upper_find(u, dir, name, &ino);
	if (r == 0)
		r = upper_record(u, ino, &f->rec);
	if (r < 0)
		return r;
	if (!S_ISREG(f->rec.attr.mode))
		return S_ISDIR(f->rec.attr.mode) ? -EISDIR : -ESTALE;
	if (needs_below(&f->rec) && below == NULL)
		return -EIO;
	if (below != NULL)
		f->source = source_of(below);
	f->below = below;
	*ret_file = steal_ptr(&base);
	return 0;
}

int upper_open(struct layer *l, struct layer_dir *dir, const char *name,
	       struct layer_file **ret_file)
{
	return upper_open_over(l, dir, name, NULL, ret_file);
}

static const struct data_source *source(const struct upper_file *f)
{
	return f->below != NULL ? &f->source : NULL;
}

ssize_t upper_file_read(struct layer_file *f, void *bytes, size_t size, off_t off)
{
	const struct upper_file *file = file_of(f);

	return data_read(upper_of(f->layer)->data, &file->rec, source(file), bytes, size, off);
}

off_t upper_file_seek(struct layer_file *f, off_t off, int whence)
{
	const struct upper_file *file = file_of(f);

	return data_seek(upper_of(f->layer)->data, &file->rec, source(file), off, whence);
}

/* Attributes were changed, and the bytes are what they were: they have the length of the file below. */
static int fd_below(const struct upper_file *file)
{
	const struct inode_rec *rec = &file->rec;
	int fd = file->below != NULL ? layer_file_fd(file->below) : -EOPNOTSUPP;
	struct stat st;
	int r;

	if (fd < 0)
		return fd;
	r = sys_fstat(fd, &st);
	if (r < 0)
		return r;
	return rec->lower_size == rec->attr.size && (uint64_t)st.st_size == rec->attr.size
		       ? fd
		       : -EOPNOTSUPP;
}

int upper_file_fd(struct layer_file *f)
{
	struct upper_file *file = file_of(f);
	struct fdref *ref = atomic_load(&file->held), *first = NULL;
	int r;

	if (file->rec.where == BYTES_LOWER)
		return fd_below(file);
	if (ref != NULL)
		return ref->fd;
	r = data_file(upper_of(f->layer)->data, &file->rec, &ref);
	if (r < 0)
		return r;
	if (atomic_compare_exchange_strong(&file->held, &first, ref))
		return ref->fd;
	fdcache_put(ref);
	return first->fd;
}

/* Of what has no bytes of its own the file below knows. */
int upper_file_identity(struct layer_file *f, struct hash128 *ret_id)
{
	const struct upper_file *file = file_of(f);

	if (file->rec.where != BYTES_LOWER || file->below == NULL)
		return -EOPNOTSUPP;
	return layer_file_identity(file->below, ret_id);
}
