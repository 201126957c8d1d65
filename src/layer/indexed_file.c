/* SPDX-License-Identifier: Apache-2.0 */
/* Open files of an image's layer: pieces of its archive. */
#include <errno.h>
#include <string.h>

#include "layer/indexed.h"

struct indexed_file {
	struct layer_file base;
	struct index_rec rec; /* owned */
};

static struct indexed_file *file_of(struct layer_file *f)
{
	return (struct indexed_file *)f;
}

void indexed_file_close(struct layer_file *f)
{
	index_rec_done(&file_of(f)->rec);
	free(f);
}

int indexed_file_open(struct layer *l, struct layer_dir *dir, const char *name,
		      struct layer_file **ret_file)
{
	CLEANUP(layer_file) struct layer_file *base = NULL;
	struct indexed_file *f = calloc(1, sizeof(*f));
	int r;

	if (f == NULL)
		return -ENOMEM;
	f->base.layer = l;
	base = &f->base;
	r = indexed_find(indexed_of(l), dir, name, &f->rec);
	if (r < 0)
		return r;
	if (!S_ISREG(f->rec.attr.mode))
		return S_ISDIR(f->rec.attr.mode) ? -EISDIR : -ESTALE;
	/* The bytes are in a layer below: who opens it must look there. */
	if (f->rec.flags & INDEX_LOWER)
		return -EIO;
	*ret_file = steal_ptr(&base);
	return 0;
}

/* The first extent that ends after OFF; n_extents when there is none. */
static size_t extent_at(const struct index_rec *rec, uint64_t off)
{
	size_t low = 0, high = rec->n_extents;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (rec->extents[mid].logical + rec->extents[mid].len <= off)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* Up to SIZE bytes of a sparse file, all of one extent or of one hole: how many. */
static ssize_t read_piece(struct indexed_bytes *b, const struct index_rec *rec, void *bytes,
			  size_t size, uint64_t off)
{
	size_t i = extent_at(rec, off);
	const struct index_extent *e = &rec->extents[i];
	uint64_t left;
	int r;

	if (i == rec->n_extents || off < e->logical) {
		left = i == rec->n_extents ? size : e->logical - off;
		size = size < left ? size : (size_t)left;
		memset(bytes, 0, size);
		return (ssize_t)size;
	}
	left = e->logical + e->len - off;
	size = size < left ? size : (size_t)left;
	r = indexed_bytes_read(b, bytes, size, e->physical + (off - e->logical));
	return r < 0 ? r : (ssize_t)size;
}

ssize_t indexed_file_read(struct layer_file *f, void *bytes, size_t size, off_t off)
{
	const struct index_rec *rec = &file_of(f)->rec;
	struct indexed_bytes *b = &indexed_of(f->layer)->bytes;
	uint64_t at = (uint64_t)off, left;
	size_t done = 0;
	int r;

	if (off < 0)
		return -EINVAL;
	if (at >= rec->attr.size)
		return 0;
	left = rec->attr.size - at;
	size = size < left ? size : (size_t)left;
	if (rec->extents == NULL) {
		r = indexed_bytes_read(b, bytes, size, rec->data_off + at);
		return r < 0 ? r : (ssize_t)size;
	}
	while (done < size) {
		ssize_t n = read_piece(b, rec, (char *)bytes + done, size - done, at + done);

		if (n < 0)
			return n;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

static off_t seek_data(const struct index_rec *rec, uint64_t off)
{
	size_t i;

	if (rec->extents == NULL)
		return (off_t)off;
	i = extent_at(rec, off);
	if (i == rec->n_extents)
		return -ENXIO;
	return (off_t)(off < rec->extents[i].logical ? rec->extents[i].logical : off);
}

static off_t seek_hole(const struct index_rec *rec, uint64_t off)
{
	if (rec->extents == NULL)
		return (off_t)rec->attr.size;
	for (size_t i = extent_at(rec, off); i < rec->n_extents; i++) {
		if (off < rec->extents[i].logical)
			break;
		off = rec->extents[i].logical + rec->extents[i].len;
	}
	return (off_t)off;
}

off_t indexed_file_seek(struct layer_file *f, off_t off, int whence)
{
	const struct index_rec *rec = &file_of(f)->rec;

	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return -EINVAL;
	if (off < 0 || (uint64_t)off >= rec->attr.size)
		return -ENXIO;
	return whence == SEEK_DATA ? seek_data(rec, (uint64_t)off) : seek_hole(rec, (uint64_t)off);
}

int indexed_file_fd(struct layer_file *f)
{
	(void)f;
	return -EOPNOTSUPP;
}

/* The same place of the same archive. */
int indexed_file_identity(struct layer_file *f, struct hash128 *ret_id)
{
	const struct indexed_layer *x = indexed_of(f->layer);
	const uint64_t place[] = {x->archive.low, x->archive.high, file_of(f)->rec.data_off};

	*ret_id = hash128(place, sizeof(place));
	return 0;
}
