/* SPDX-License-Identifier: Apache-2.0 */
/* SEEK_DATA and SEEK_HOLE. */
#include <errno.h>
#include <unistd.h>

#include "data/chunks.h"

/* The next data or hole in a lower file; one that cannot tell is data up to its end. */
static off_t seek_source(const struct data_source *src, uint64_t off, int whence, uint64_t end)
{
	off_t at;

	if (src == NULL)
		return -EIO;
	at = src->seek(src->arg, (off_t)off, whence);
	if (at == -EIO || at == -ENXIO)
		return at;
	if (at < (off_t)off)
		return whence == SEEK_DATA ? (off_t)off : (off_t)end;
	return at;
}

static off_t seek_file(int fd, uint64_t off, int whence)
{
	off_t at = lseek(fd, (off_t)off, whence);

	return at < 0 ? -errno : at;
}

/*
 * The same of [POS, END), a run that is all in one of them. Returns END when there is nothing: then
 * the next run is asked.
 */
static off_t seek_run(struct fdref *ref, bool ours, const struct data_source *src, uint64_t pos,
		      uint64_t end, int whence)
{
	off_t at = ours ? seek_file(ref->fd, pos, whence) : seek_source(src, pos, whence, end);

	if (at == -ENXIO)
		return whence == SEEK_DATA ? (off_t)end : (off_t)pos;
	return at > (off_t)end ? (off_t)end : at;
}

static off_t seek_chunks(struct data *d, const struct inode_rec *rec, const struct data_source *src,
			 uint64_t off, int whence)
{
	CLEANUP(fdref) struct fdref *ref = NULL;
	struct chunk_walk w = {.d = d, .rec = rec};
	uint64_t length, pos = off, until;
	bool ours;
	int r;

	r = chunks_check(rec);
	if (r == 0)
		r = datafile_get(d, rec->attr.ino, &ref);
	if (r == 0)
		r = datafile_size(ref->fd, &length);
	if (r < 0)
		return r;
	if (off >= length)
		return -ENXIO;
	while (pos < length) {
		off_t at;

		r = chunk_walk_run(&w, pos, length, &ours, &until);
		if (r < 0)
			return r;
		at = seek_run(ref, ours, src, pos, until, whence);
		if (at < (off_t)until)
			return at;
		pos = until;
	}
	return whence == SEEK_DATA ? -ENXIO : (off_t)length;
}

static off_t seek_plain(struct data *d, const struct inode_rec *rec, uint64_t off, int whence)
{
	CLEANUP(fdref) struct fdref *ref = NULL;
	int r = datafile_get(d, rec->attr.ino, &ref);

	return r < 0 ? r : seek_file(ref->fd, off, whence);
}

/* DATA_END bytes are the catalog's (SRC NULL: all data) or SRC's, then zeros up to attr.size. */
static off_t seek_sized(const struct inode_rec *rec, const struct data_source *src,
			uint64_t data_end, uint64_t off, int whence)
{
	off_t at;

	if (off >= rec->attr.size)
		return -ENXIO;
	if (off >= data_end)
		return whence == SEEK_DATA ? -ENXIO : (off_t)off;
	if (rec->where == BYTES_INLINE)
		at = whence == SEEK_DATA ? (off_t)off : (off_t)data_end;
	else
		at = seek_source(src, off, whence, data_end);
	if (whence == SEEK_DATA)
		return at >= (off_t)data_end ? -ENXIO : at;
	if (at == -ENXIO)
		return (off_t)off;
	return at > (off_t)data_end ? (off_t)data_end : at;
}

off_t data_seek(struct data *d, const struct inode_rec *rec, const struct data_source *src,
		off_t off, int whence)
{
	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return -EINVAL;
	if (off < 0)
		return -ENXIO;
	switch (rec->where) {
	case BYTES_INLINE:
		return seek_sized(rec, NULL, rec->attr.size, (uint64_t)off, whence);
	case BYTES_LOWER:
		return seek_sized(rec, src, rec->lower_size, (uint64_t)off, whence);
	case BYTES_FILE:
		return seek_plain(d, rec, (uint64_t)off, whence);
	case BYTES_CHUNKS:
		return seek_chunks(d, rec, src, (uint64_t)off, whence);
	}
	return -EUCLEAN;
}
