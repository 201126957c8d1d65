/* SPDX-License-Identifier: Apache-2.0 */
/* The checksum of one data file. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "data/private.h"
#include "data/sums.h"

/* Where the file has data: from the last look on. Outside [from, to) nothing is known but holes before. */
struct extent {
	uint64_t from, to;
};

/* The next data at or behind POS; file systems that cannot tell have nothing but data. */
static void find_extent(int fd, uint64_t pos, uint64_t size, struct extent *ret)
{
	off_t from = lseek(fd, (off_t)pos, SEEK_DATA), to;

	if (from < 0 && errno == ENXIO) {
		*ret = (struct extent){size, size};
		return;
	}
	*ret = (struct extent){pos, size};
	if (from < 0)
		return;
	to = lseek(fd, from, SEEK_HOLE);
	ret->from = (uint64_t)from;
	if (to > from)
		ret->to = (uint64_t)to;
}

struct hasher {
	uint8_t *piece; /* owned; DATA_SUM_PIECE bytes, or as many as the file has */
	struct extent data;
	bool has_zeros;
	struct hash128 zeros; /* of a whole piece of them */
};

static void hasher_done(struct hasher *h)
{
	free(h->piece);
}
DEFINE_CLEANUP(struct hasher, hasher, hasher_done)

static struct hash128 hash_zeros(struct hasher *h, size_t n)
{
	struct hash128 hash = h->zeros;

	if (n < DATA_SUM_PIECE || !h->has_zeros) {
		memset(h->piece, 0, n);
		hash = hash128(h->piece, n);
	}
	if (n == DATA_SUM_PIECE) {
		h->zeros = hash;
		h->has_zeros = true;
	}
	return hash;
}

/* The N bytes at POS. -ESTALE: the file has become shorter. */
static int hash_piece(struct hasher *h, int fd, uint64_t pos, size_t n, uint64_t size,
		      struct hash128 *ret_hash)
{
	ssize_t got;

	if (pos >= h->data.to)
		find_extent(fd, pos, size, &h->data);
	if (pos + n <= h->data.from) {
		*ret_hash = hash_zeros(h, n);
		return 0;
	}
	got = datafile_pread(fd, h->piece, n, pos);
	if (got < 0)
		return (int)got;
	if ((size_t)got < n)
		return -ESTALE;
	*ret_hash = hash128(h->piece, n);
	return 0;
}

int sum_of_file(int fd, uint64_t size, bool (*give_up)(void *arg), void *arg,
		struct hash128 *ret_hash)
{
	CLEANUP(hasher) struct hasher h = {0};
	struct hash128_stream all;
	struct hash128 hash;
	int r;

	h.piece = malloc(size < DATA_SUM_PIECE ? (size_t)size + 1 : DATA_SUM_PIECE);
	if (h.piece == NULL)
		return -ENOMEM;
	if (size <= DATA_SUM_PIECE)
		return hash_piece(&h, fd, 0, (size_t)size, size, ret_hash);
	hash128_begin(&all);
	for (uint64_t pos = 0; pos < size; pos += DATA_SUM_PIECE) {
		size_t n = size - pos < DATA_SUM_PIECE ? (size_t)(size - pos) : DATA_SUM_PIECE;

		if (give_up != NULL && give_up(arg))
			return -ECANCELED;
		r = hash_piece(&h, fd, pos, n, size, &hash);
		if (r < 0)
			return r;
		hash128_add(&all, &hash, sizeof(hash));
	}
	*ret_hash = hash128_end(&all);
	return 0;
}

/* What the caller says, and what the file's writers say. */
struct asking {
	struct data_sum_job *job;
	bool (*give_up)(void *arg);
	void *arg;
};

static bool must_end(void *arg)
{
	const struct asking *a = arg;

	return atomic_load(&a->job->ref->sum_changed) || (a->give_up != NULL && a->give_up(a->arg));
}

int data_sum_hash(struct data *d, struct data_sum_job *job, bool (*give_up)(void *arg), void *arg)
{
	struct asking asking = {job, give_up, arg};
	int r = sum_of_file(job->ref->fd, job->sum.size, must_end, &asking, &job->sum.hash);

	if (r == 0)
		d->sums.hashed_bytes += job->sum.size;
	return r == -ESTALE ? -ECANCELED : r;
}
