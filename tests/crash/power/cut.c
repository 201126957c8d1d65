/* SPDX-License-Identifier: Apache-2.0 */
/* What is on the disk when the power is cut at some moment of the record. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crash/power/power.h"

/* A part of a write that the disk has or has not, as one. */
struct piece {
	uint64_t off;
	const uint8_t *bytes;
	uint32_t len;
};

struct pieces {
	struct piece *pieces;
	size_t n, cap;
};

static void add_pieces(struct pieces *p, const struct rec *rec, uint32_t unit)
{
	const uint8_t *bytes = rec_payload(rec);
	uint32_t done = 0;

	while (done < rec->len) {
		uint64_t off = rec->off + done;
		uint32_t len = (uint32_t)(unit - off % unit);

		if (len > rec->len - done)
			len = rec->len - done;
		if (p->n == p->cap) {
			p->cap = p->cap * 2 + 256;
			p->pieces = reallocarray(p->pieces, p->cap, sizeof(p->pieces[0]));
			if (p->pieces == NULL)
				abort();
		}
		p->pieces[p->n++] = (struct piece){off, bytes + done, len};
		done += len;
	}
}

static int put(int fd, const void *bytes, size_t len, uint64_t off)
{
	if (pwrite(fd, bytes, len, (off_t)off) == (ssize_t)len)
		return 0;
	perror("writing the image");
	return -EIO;
}

/* Holes stay holes. */
static int copy_image(int from, int to)
{
	static char bytes[1 << 20];
	off_t at = 0, end;
	struct stat st;

	if (fstat(from, &st) < 0 || ftruncate(to, st.st_size) < 0)
		return -errno;
	while ((at = lseek(from, at, SEEK_DATA)) >= 0) {
		end = lseek(from, at, SEEK_HOLE);
		while (at < end) {
			size_t want = (size_t)(end - at) < sizeof(bytes) ? (size_t)(end - at)
									 : sizeof(bytes);
			ssize_t n = pread(from, bytes, want, at);

			if (n <= 0 || put(to, bytes, (size_t)n, (uint64_t)at) < 0)
				return -EIO;
			at += n;
		}
	}
	return 0;
}

/* ---- the moment ------------------------------------------------------------------------- */

static bool is_sync_done(const struct record *r, size_t i)
{
	size_t back;

	if (r->recs[i]->kind != REC_DONE)
		return false;
	for (back = i; back-- > 0;)
		if (r->recs[back]->kind == REC_START && r->recs[back]->thread == r->recs[i]->thread)
			return op_is_sync(rec_payload(r->recs[back]));
	return false;
}

/*
 * Half of the cuts come right after a write, a quarter right after an fsync has returned (the
 * moment at which a lie shows), the rest anywhere. Nothing is cut before the load has begun.
 */
static size_t choose_moment(const struct record *r, uint64_t *rng)
{
	size_t first = 0, at, i;
	uint32_t how = rnd_below(rng, 4);

	while (first < r->n && r->recs[first]->kind != REC_START)
		first++;
	if (first == r->n)
		first = 0;
	at = first + rnd(rng) % (r->n - first);
	for (i = 0; i < 100000 && how < 3; i++, at = at + 1 < r->n ? at + 1 : first)
		if (how < 2 ? r->recs[at]->kind == REC_WRITE : is_sync_done(r, at))
			break;
	at += 1 + (how == 2 ? rnd_below(rng, 4) : 0);
	return at < r->n ? at : r->n;
}

/* ---- the disk --------------------------------------------------------------------------- */

/* In random order, each with the chance KEEP of a hundred. */
static int put_some(int fd, struct pieces *p, uint32_t keep, uint64_t *rng, size_t *ret_kept)
{
	size_t i, j;
	int r = 0;

	for (i = 0; r == 0 && i < p->n; i++) {
		j = i + rnd(rng) % (p->n - i);
		struct piece piece = p->pieces[j];

		p->pieces[j] = p->pieces[i];
		if (rnd_below(rng, 100) >= keep)
			continue;
		r = put(fd, piece.bytes, piece.len, piece.off);
		++*ret_kept;
	}
	return r;
}

/*
 * Everything before the last flush that was answered is there. So is, in some of the images, what
 * came up to some moment after it. Of the rest any part is, in any order.
 */
static int make_image(const struct record *r, size_t cut, int fd, uint32_t unit, uint64_t *rng)
{
	static const uint32_t chances[] = {0, 10, 50, 90, 100};
	uint32_t keep = chances[rnd_below(rng, 5)];
	struct pieces tail = {NULL, 0, 0};
	size_t i, safe = 0, kept = 0;
	int ret = 0;

	for (i = 0; i < cut; i++)
		if (r->recs[i]->kind == REC_FLUSH)
			safe = i;
	if (unit == 0)
		safe = cut;
	else if (rnd_below(rng, 3) == 0)
		safe += rnd(rng) % (cut - safe + 1);
	for (i = 0; ret == 0 && i < cut; i++) {
		const struct rec *rec = r->recs[i];

		if (rec->kind == REC_WRITE && i < safe)
			ret = put(fd, rec_payload(rec), rec->len, rec->off);
		else if (rec->kind == REC_WRITE)
			add_pieces(&tail, rec, unit);
	}
	if (ret == 0)
		ret = put_some(fd, &tail, keep, rng, &kept);
	fprintf(stderr, "cut at %zu of %zu, all up to %zu, then %zu of %zu pieces of %u\n", cut,
		r->n, safe, kept, tail.n, unit);
	free(tail.pieces);
	return ret;
}

/*
 * cut RECORD BASE IMAGE SEED UNIT: IMAGE becomes what BASE, the disk at the beginning of the record,
 * is after a cut. UNIT is the size of pieces that a disk writes whole; 0: nothing is lost. Prints the
 * number of the moment.
 */
int cut_main(int argc, char **argv)
{
	struct record record;
	uint64_t rng;
	uint32_t unit;
	size_t cut;
	int from, to;

	if (argc != 6 || record_load(argv[1], &record) < 0 || record.n == 0)
		return 2;
	rng = strtoull(argv[4], NULL, 0);
	unit = (uint32_t)strtoul(argv[5], NULL, 0);
	from = open(argv[2], O_RDONLY | O_CLOEXEC);
	to = open(argv[3], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (from < 0 || to < 0 || copy_image(from, to) < 0) {
		perror("copying the image");
		return 2;
	}
	cut = choose_moment(&record, &rng);
	if (make_image(&record, cut, to, unit, &rng) < 0)
		return 2;
	printf("%zu\n", cut);
	return 0;
}
