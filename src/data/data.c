/* SPDX-License-Identifier: Apache-2.0 */
/* The store itself: opening it, attributes of its files, deleting them, statistics. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "data/files.h"
#include "data/path.h"
#include "data/private.h"

#define DEFAULT_CHUNK_SHIFT 17
#define DEFAULT_FDS	    64

static void data_free(struct data *d)
{
	reaper_done(d);
	fdcache_free(d->fds);
	unsynced_done(&d->unsynced);
	sums_done(&d->sums);
	order_done(&d->order);
	kept_done(&d->kept);
	if (d->dirfd >= 0)
		close(d->dirfd);
	free(d);
}

void data_keep_fds(struct data *d, size_t n)
{
	fdcache_set_max(d->fds, n);
}

int data_open(int dirfd, struct catalog *c, const struct data_options *options,
	      struct data **ret_data, struct err *err)
{
	struct data *d;
	size_t max = options->max_fds > 0 ? options->max_fds : DEFAULT_FDS;

	if (options->chunk_shift != 0 && (options->chunk_shift < 9 || options->chunk_shift > 30))
		return err_set(err, EINVAL, "chunks of 2^%d bytes are not possible",
			       options->chunk_shift);
	d = calloc(1, sizeof(*d));
	if (d == NULL)
		return err_errno(err, ENOMEM, "cannot open the data files");
	unsynced_init(&d->unsynced);
	sums_init(&d->sums, options->keep_sums && !options->read_only);
	order_init(&d->order);
	reaper_init(&d->reaper);
	d->catalog = c;
	d->read_only = options->read_only;
	d->no_sync = options->no_sync;
	d->chunk_shift = options->chunk_shift != 0 ? options->chunk_shift : DEFAULT_CHUNK_SHIFT;
	d->whole_max = options->whole_max != 0 ? options->whole_max : 1u << d->chunk_shift;
	/* Not dup(): flushing takes a descriptor that can be read, which O_PATH cannot. */
	d->dirfd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->dirfd < 0 || kept_init(&d->kept) < 0 ||
	    fdcache_new(d->dirfd, d->read_only, max, &d->fds) < 0) {
		int code = d->dirfd < 0 ? errno : ENOMEM;

		data_free(d);
		return err_errno(err, code, "cannot open the directory of the data files");
	}
	d->coarse = times_are_coarse(d->dirfd, d->read_only);
	fdcache_on_evict(d->fds, unsynced_evicted, d);
	if (!d->read_only && catalog_was_unclean(c))
		unsynced_unknown(d);
	*ret_data = d;
	return 0;
}

void data_close(struct data *d)
{
	if (d != NULL)
		data_free(d);
}

bool data_is_plain(const struct inode_rec *rec)
{
	return rec->where == BYTES_FILE;
}

int data_file(struct data *d, const struct inode_rec *rec, struct fdref **ret_ref)
{
	return data_is_plain(rec) ? datafile_get(d, rec->attr.ino, ret_ref) : -EOPNOTSUPP;
}

/* Without opening a file for it: listings ask for all files of a directory. */
static int stat_file(struct data *d, uint64_t ino, struct stat *ret_st)
{
	CLEANUP(fdref) struct fdref *ref = fdcache_peek(d->fds, ino);

	if (ref != NULL)
		return fstat(ref->fd, ret_st) < 0 ? -errno : 0;
	return datafile_missing(ino, data_path_stat(d->dirfd, ino, ret_st));
}

static uint64_t blocks_of(uint64_t size)
{
	return size / 512 + (size % 512 != 0);
}

/* Without a number of its own, which a change of the length takes away: what is behind the lower file's bytes has none. */
static uint64_t lower_blocks(const struct inode_rec *rec)
{
	return rec->attr.blocks > 0 ? rec->attr.blocks : blocks_of(rec->lower_size);
}

/* Lower blocks are counted as if none had been copied, but never more than the length has. */
static uint64_t chunks_blocks(const struct inode_rec *rec, const struct stat *st)
{
	uint64_t all = blocks_of((uint64_t)st->st_size);
	uint64_t n = (uint64_t)st->st_blocks + lower_blocks(rec);

	return n < all ? n : all;
}

/* One that was set together with the record goes with the record's ctime: it may be of any day. */
static struct timespec ctime_of(const struct inode_rec *rec, const struct timespec *mtime)
{
	const struct attr *a = &rec->attr;

	return timespec_cmp(mtime, &a->mtime) != 0 && timespec_cmp(mtime, &a->ctime) > 0 ? *mtime
											 : a->ctime;
}

int data_attr(struct data *d, const struct inode_rec *rec, struct attr *a)
{
	struct timespec mtime;
	struct stat st;
	int r;

	if (rec->where == BYTES_INLINE || rec->where == BYTES_LOWER) {
		a->size = rec->attr.size;
		a->blocks = rec->where == BYTES_LOWER ? lower_blocks(rec) : blocks_of(a->size);
		return 0;
	}
	r = stat_file(d, rec->attr.ino, &st);
	if (r < 0)
		return r;
	a->size = (uint64_t)st.st_size;
	a->blocks = rec->where == BYTES_FILE ? (uint64_t)st.st_blocks : chunks_blocks(rec, &st);
	mtime = st.st_mtim;
	times_refine(rec, d->coarse, &mtime);
	if (!times_in_record(rec, &st.st_mtim))
		(void)kept_find(d, rec->attr.ino, &mtime);
	a->ctime = ctime_of(rec, &mtime);
	a->mtime = mtime;
	return 0;
}

int data_mark_mtime(struct data *d, struct inode_rec *rec)
{
	struct stat st;
	int r;

	rec->flags &= ~(uint32_t)INODE_HAS_MTIME;
	/* Where the next write may leave the same time nothing could be told from it. */
	if (!inode_has_file(rec) || d->coarse)
		return 0;
	r = stat_file(d, rec->attr.ino, &st);
	if (r < 0)
		return r;
	rec->flags |= INODE_HAS_MTIME;
	rec->stale_mtime = inode_mtime_tag(&st.st_mtim);
	return 0;
}

int data_set_mtime(struct data *d, const struct inode_rec *rec, const struct timespec *mtime)
{
	CLEANUP(fdref) struct fdref *ref = NULL;
	int r;

	if (!inode_has_file(rec))
		return 0;
	if (d->read_only)
		return -EROFS;
	r = datafile_get(d, rec->attr.ino, &ref);
	if (r < 0)
		return r;
	kept_drop(d, rec->attr.ino);
	return datafile_set_mtime(d, ref, mtime);
}

int data_set_own_mtime(struct data *d, const struct inode_rec *rec, const struct timespec *mtime,
		       const struct timespec *ctime)
{
	struct timespec shown = ctime_of(rec, mtime);

	/* A time that the file may not keep whole the record keeps. */
	if (!inode_has_file(rec) || times_in_record(rec, mtime) || times_need_record(d, mtime) ||
	    timespec_cmp(&shown, ctime) != 0)
		return 1;
	return data_set_mtime(d, rec, mtime);
}

/* 0 bytes also for a file that cannot be asked; -ENOENT when there is none. */
static int look_at(struct data *d, uint64_t ino, uint64_t *ret_bytes, uint64_t *ret_born)
{
	CLEANUP(fdref) struct fdref *ref = fdcache_peek(d->fds, ino);
	struct stat st = {0};

	*ret_born = ref != NULL ? atomic_load(&ref->born) : 0;
	if (ref != NULL)
		(void)fstat(ref->fd, &st);
	else if (data_path_stat(d->dirfd, ino, &st) == -ENOENT)
		return -ENOENT;
	*ret_bytes = (uint64_t)st.st_blocks * 512;
	return 0;
}

int data_delete(struct data *d, uint64_t ino)
{
	uint64_t bytes, born, seq;
	int r;

	if (d->read_only)
		return -EROFS;
	r = look_at(d, ino, &bytes, &born);
	if (r < 0)
		return 0;
	kept_drop(d, ino);
	seq = catalog_committed(d->catalog);
	/* No power cut can bring back what was never flushed, or what was deleted durably. */
	if (d->no_sync || (born != 0 && order_is_unflushed(d, born)) ||
	    catalog_durable(d->catalog) >= seq)
		return data_remove_file(d, ino);
	r = reaper_add(d, ino, seq, bytes);
	if (r < 0)
		return r;
	fdcache_drop(d->fds, ino);
	unsynced_forget(d, ino);
	return 0;
}

void data_write_soon(struct data *d, uint64_t ino)
{
	CLEANUP(fdref) struct fdref *ref = NULL;

	if (unsynced_has(d, ino) && fdcache_get(d->fds, ino, &ref) == 0)
		(void)sync_file_range(ref->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
}

void data_to_text(struct data *d, struct buf *out)
{
	struct fdcache_counts n;

	fdcache_count(d->fds, &n);
	buf_printf(out,
		   "data files open: %zu of at most %zu, %" PRIu64 " hits, %" PRIu64 " misses\n",
		   n.open, n.max, n.hits, n.misses);
	buf_printf(out,
		   "data moved: %" PRIu64 " bytes copied, %" PRIu64 " chunks filled, %" PRIu64
		   " reflinks\n",
		   (uint64_t)d->stats.copied_bytes, (uint64_t)d->stats.filled_chunks,
		   (uint64_t)d->stats.reflinks);
	if (d->sums.keep)
		buf_printf(out, "sums: %" PRIu64 " taken, of %" PRIu64 " bytes\n",
			   (uint64_t)d->sums.taken, (uint64_t)d->sums.hashed_bytes);
	buf_printf(out,
		   "data files begun: %" PRIu64 " from the catalog, %" PRIu64
		   " by whole copy, %" PRIu64 " by chunks\n",
		   (uint64_t)d->stats.moved_inline, (uint64_t)d->stats.moved_whole,
		   (uint64_t)d->stats.moved_chunks);
	buf_printf(out,
		   "data files to be deleted: %zu, %" PRIu64 " bytes; %" PRIu64
		   " bytes copied ahead\n",
		   (size_t)d->reaper.count, data_doomed_bytes(d), (uint64_t)d->stats.ahead_bytes);
}
