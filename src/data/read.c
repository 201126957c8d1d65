/* SPDX-License-Identifier: Apache-2.0 */
/* Reading: inline bytes, data files, lower files, and chunks of both. */
#include <errno.h>
#include <string.h>

#include "data/chunks.h"

static ssize_t read_inline(struct data *d, const struct inode_rec *rec, void *bytes, size_t size,
			   uint64_t off)
{
	ssize_t n = catalog_inline(d->catalog, rec->attr.ino, off, bytes, size);

	if (n < 0)
		return n;
	memset((char *)bytes + n, 0, size - (size_t)n);
	return (ssize_t)size;
}

static int read_lower(const struct data_source *src, void *bytes, size_t size, uint64_t off)
{
	return src == NULL ? -EIO : source_read(src, bytes, size, off);
}

/* A lower file of which lower_size bytes count, and zeros after them. */
static ssize_t read_whole_lower(const struct inode_rec *rec, const struct data_source *src,
				void *bytes, size_t size, uint64_t off)
{
	size_t n = 0;
	int r = 0;

	if (off < rec->lower_size)
		n = rec->lower_size - off < size ? (size_t)(rec->lower_size - off) : size;
	if (n > 0)
		r = read_lower(src, bytes, n, off);
	memset((char *)bytes + n, 0, size - n);
	return r < 0 ? r : (ssize_t)size;
}

static ssize_t read_file(struct data *d, const struct inode_rec *rec, void *bytes, size_t size,
			 uint64_t off)
{
	CLEANUP(fdref) struct fdref *ref = NULL;
	int r = datafile_get(d, rec->attr.ino, &ref);

	return r < 0 ? r : datafile_pread(ref->fd, bytes, size, off);
}

static ssize_t read_chunks(struct data *d, const struct inode_rec *rec,
			   const struct data_source *src, char *bytes, size_t size, uint64_t off)
{
	CLEANUP(fdref) struct fdref *ref = NULL;
	struct chunk_walk w = {.d = d, .rec = rec};
	uint64_t length, pos = off, end = off + size, until;
	ssize_t n;
	bool ours;
	int r;

	r = chunks_check(rec);
	if (r == 0)
		r = datafile_get(d, rec->attr.ino, &ref);
	if (r == 0)
		r = datafile_size(ref->fd, &length);
	if (r < 0)
		return r;
	if (end > length)
		end = length;
	while (pos < end) {
		r = chunk_walk_run(&w, pos, end, &ours, &until);
		if (r < 0)
			return r;
		if (ours)
			n = datafile_pread(ref->fd, bytes + (pos - off), until - pos, pos);
		else
			n = read_lower(src, bytes + (pos - off), until - pos, pos);
		if (n < 0)
			return n;
		if (ours && (size_t)n < until - pos)
			return -EIO; /* we saw its length */
		pos = until;
	}
	return pos > off ? (ssize_t)(pos - off) : 0;
}

ssize_t data_read(struct data *d, const struct inode_rec *rec, const struct data_source *src,
		  void *bytes, size_t size, off_t off)
{
	uint64_t from = (uint64_t)off;

	if (off < 0)
		return -EINVAL;
	if (size > (uint64_t)INT64_MAX - from)
		size = (size_t)((uint64_t)INT64_MAX - from);
	if (size == 0)
		return 0;
	if (rec->where == BYTES_FILE)
		return read_file(d, rec, bytes, size, from);
	if (rec->where == BYTES_CHUNKS)
		return read_chunks(d, rec, src, bytes, size, from);
	if (from >= rec->attr.size)
		return 0;
	if (size > rec->attr.size - from)
		size = (size_t)(rec->attr.size - from);
	if (rec->where == BYTES_INLINE)
		return read_inline(d, rec, bytes, size, from);
	return rec->where == BYTES_LOWER ? read_whole_lower(rec, src, bytes, size, from) : -EUCLEAN;
}
