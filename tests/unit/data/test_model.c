/* SPDX-License-Identifier: Apache-2.0 */
/* Files of all kinds against a plain array of bytes: long random sequences of operations. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <string.h>

#include "unit/data/fixture.h"

#define SHIFT	  12
#define CHUNK	  (1u << SHIFT)
#define SIZE_MAX_ (18 * CHUNK + 100)

struct model {
	uint8_t bytes[SIZE_MAX_ * 2];
	uint64_t size;
};

struct run {
	struct fixture store;
	struct lower lower;
	struct file file;
	struct model m;
	uint64_t random;
	bool drop;	       /* some changes are not committed */
	unsigned int kinds[4]; /* how often a file was found in each place */
	unsigned int dropped;
};

static void model_write(struct model *m, const uint8_t *bytes, uint64_t size, uint64_t off)
{
	memcpy(m->bytes + off, bytes, size);
	if (m->size < off + size)
		m->size = off + size;
}

static void model_resize(struct model *m, uint64_t size)
{
	if (size < m->size)
		memset(m->bytes + size, 0, m->size - size);
	m->size = size;
}

static void model_fallocate(struct model *m, int mode, uint64_t off, uint64_t len)
{
	uint64_t end = off + len;

	if (!(mode & FALLOC_FL_KEEP_SIZE) && end > m->size)
		m->size = end;
	if (end > m->size)
		end = m->size;
	if ((mode & ~FALLOC_FL_KEEP_SIZE) != 0 && off < end)
		memset(m->bytes + off, 0, end - off);
}

/* Offsets and lengths lie around the borders where the code decides. */
static uint64_t near_border(uint64_t *random, uint64_t max)
{
	uint64_t at;

	switch (random_below(random, 4)) {
	case 0:
		return random_below(random, max + 1);
	case 1:
		at = random_below(random, max / CHUNK + 1) * CHUNK;
		break;
	case 2:
		at = DATA_INLINE_MAX;
		break;
	default:
		at = random_below(random, 40);
	}
	at += random_below(random, 5);
	return at < 2 ? at : at - 2 < max ? at - 2 : max;
}

struct op {
	enum { WRITE, TRUNCATE, FALLOCATE } kind;
	int mode;
	uint64_t off, len;
	uint8_t bytes[4 * CHUNK];
};

static void op_pick(struct run *t, struct op *op)
{
	static const int modes[] = {0, FALLOC_FL_KEEP_SIZE,
				    FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				    FALLOC_FL_ZERO_RANGE,
				    FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE};
	uint64_t i, kind = random_below(&t->random, 10);

	op->kind = kind < 6 ? WRITE : kind < 8 ? TRUNCATE : FALLOCATE;
	op->mode = modes[random_below(&t->random, 5)];
	op->off = near_border(&t->random, SIZE_MAX_);
	op->len = near_border(&t->random, sizeof(op->bytes) - 1) + 1;
	/* Most files should stay below the border of inline ones for some operations. */
	if (t->m.size < DATA_INLINE_MAX && random_below(&t->random, 4) != 0) {
		op->off %= DATA_INLINE_MAX;
		op->len = op->len % (DATA_INLINE_MAX - op->off + 1) + 1;
	}
	for (i = 0; i < op->len; i++)
		op->bytes[i] = (uint8_t)random_next(&t->random);
}

static void op_model(const struct op *op, struct model *m)
{
	if (op->kind == WRITE)
		model_write(m, op->bytes, op->len, op->off);
	else if (op->kind == TRUNCATE)
		model_resize(m, op->off);
	else
		model_fallocate(m, op->mode, op->off, op->len);
}

static int op_data(const struct op *op, struct file *f, struct batch *b, bool *ret_changed)
{
	const struct data_source *src = file_source(f);
	struct data *d = f->store->data;

	if (op->kind == WRITE)
		return data_write(d, &f->rec, src, op->bytes, op->len, (off_t)op->off, b,
				  ret_changed);
	if (op->kind == TRUNCATE)
		return data_truncate(d, &f->rec, src, op->off, b, ret_changed);
	return data_fallocate(d, &f->rec, src, op->mode, (off_t)op->off, (off_t)op->len, b,
			      ret_changed);
}

static bool mapped(struct run *t, uint64_t at)
{
	uint8_t bits[CHUNK_SEGMENT_BYTES];
	uint64_t chunk = at >> SHIFT;

	if (at >= t->file.rec.lower_size)
		return true;
	cr_assert_eq(catalog_chunks(t->store.catalog, t->file.rec.attr.ino,
				    (uint32_t)(chunk / CHUNK_SEGMENT_BITS), bits),
		     0);
	return bits[chunk % CHUNK_SEGMENT_BITS / 8] >> chunk % 8 & 1;
}

/*
 * OP was done and its batch was lost. Everything is as before, but that a data file is changed in
 * place: its length, and bytes that a write found to be its own before. Then the model learns what came of it.
 */
static void expect_dropped(struct run *t, const struct op *op)
{
	static struct model after, have;
	uint64_t i;
	ssize_t n;

	file_reload(&t->file);
	if (t->file.rec.where != BYTES_CHUNKS) {
		if (t->file.rec.where == BYTES_FILE)
			op_model(op, &t->m);
		return;
	}
	after = t->m;
	op_model(op, &after);
	memset(&have, 0, sizeof(have));
	n = data_read(t->store.data, &t->file.rec, &t->lower.src, have.bytes, sizeof(have.bytes),
		      0);
	cr_assert(n == (ssize_t)t->m.size || n == (ssize_t)after.size, "length %zd", n);
	have.size = (uint64_t)n;
	for (i = 0; i < have.size; i++) {
		uint8_t old = i < t->m.size ? t->m.bytes[i] : after.bytes[i];
		uint8_t new = i < after.size ? after.bytes[i] : old;

		if (have.bytes[i] != old)
			cr_assert(mapped(t, i) && have.bytes[i] == new && op->kind != FALLOCATE,
				  "byte %llu is torn", (unsigned long long)i);
	}
	t->m = have;
}

/* The second half of a fallocate(2) needs no record. */
static void step_again(struct run *t, const struct op *op)
{
	CLEANUP(batch) struct batch b = {0};
	bool changed = false;

	batch_begin(&b, t->store.catalog);
	cr_assert_eq(op_data(op, &t->file, &b, &changed), 0);
	cr_assert_not(changed);
	cr_assert_eq(b.n, 0);
}

static void step(struct run *t)
{
	static struct op op;
	CLEANUP(batch) struct batch b = {0};
	bool changed = false, chunks = t->file.rec.where == BYTES_CHUNKS;
	int r;

	op_pick(t, &op);
	batch_begin(&b, t->store.catalog);
	r = op_data(&op, &t->file, &b, &changed);
	cr_assert_eq(r, 0, "operation %d: %s", op.kind, strerror(-r));
	if (changed && t->drop && random_below(&t->random, 3) == 0) {
		t->dropped++;
		expect_dropped(t, &op);
		return;
	}
	op_model(&op, &t->m);
	if (changed) {
		batch_put_inode(&b, &t->file.rec);
		cr_assert_eq(catalog_commit(t->store.catalog, &b), 0);
		if (op.kind == FALLOCATE && chunks)
			step_again(t, &op);
	} else {
		cr_assert_eq(b.n, 0);
	}
}

static void read_somewhere(struct run *t)
{
	static uint8_t have[SIZE_MAX_ * 2];
	uint64_t off = near_border(&t->random, SIZE_MAX_);
	uint64_t len = near_border(&t->random, SIZE_MAX_);
	uint64_t want = off >= t->m.size ? 0 : t->m.size - off < len ? t->m.size - off : len;
	ssize_t n = data_read(t->store.data, &t->file.rec, file_source(&t->file), have, len,
			      (off_t)off);

	cr_assert_eq(n, (ssize_t)want);
	cr_assert_arr_eq(have, t->m.bytes + off, want);
}

/* One file from its beginning: N operations. */
static void play_file(struct run *t, unsigned int n)
{
	unsigned int i;

	file_expect(&t->file, t->m.bytes, t->m.size);
	file_expect_seeks(&t->file, t->m.bytes, t->m.size);
	for (i = 0; i < n; i++) {
		t->kinds[t->file.rec.where]++;
		step(t);
		file_expect(&t->file, t->m.bytes, t->m.size);
		if (i % 4 == 0)
			file_expect_seeks(&t->file, t->m.bytes, t->m.size);
		read_somewhere(t);
		if (random_below(&t->random, 40) == 0)
			file_reload(&t->file);
		if (random_below(&t->random, 200) == 0)
			fixture_reopen(&t->store);
	}
}

static void begin_file(struct run *t, bool lower, bool with_fd)
{
	memset(&t->m, 0, sizeof(t->m));
	if (lower) {
		lower_make(&t->lower, near_border(&t->random, SIZE_MAX_ - 10),
			   (unsigned int)random_below(&t->random, 4),
			   with_fd ? t->store.path : NULL, &t->random);
		t->m.size = t->lower.size;
		memcpy(t->m.bytes, t->lower.bytes, t->lower.size);
	}
	file_make(&t->file, &t->store, lower ? &t->lower : NULL);
}

static void end_file(struct run *t)
{
	CLEANUP(batch) struct batch b = {0};
	uint64_t ino = t->file.rec.attr.ino;

	cr_assert_eq(data_sync(t->store.data, &t->file.rec, true), 0);
	cr_assert_eq(data_delete(t->store.data, ino), 0);
	batch_begin(&b, t->store.catalog);
	batch_del_inode(&b, ino);
	cr_assert_eq(catalog_commit(t->store.catalog, &b), 0);
	file_done(&t->file);
	lower_done(&t->lower);
}

static void play(bool lower, bool with_fd, bool drop, uint64_t seed)
{
	/* One of them waits for the disk. */
	struct data_options o = {.chunk_shift = SHIFT, .max_fds = 4, .no_sync = seed != 5};
	static struct run t;
	unsigned int i;

	memset(&t, 0, sizeof(t));
	t.random = random_seed(seed);
	t.drop = drop;
	printf("PLYFS_TEST_SEED=%llu\n", (unsigned long long)t.random);
	fixture_open(&t.store, NULL, &o);
	for (i = 0; i < 100; i++) {
		begin_file(&t, lower, with_fd);
		/* Few operations show a lower file at its beginning, many its way to a plain one. */
		play_file(&t, i % 2 == 0 ? 20 : 100);
		end_file(&t);
	}
	/* The test tests something only when the files were everywhere. */
	cr_assert_gt(t.kinds[BYTES_INLINE], lower ? 20 : 100);
	cr_assert_gt(t.kinds[BYTES_FILE], 100);
	if (lower) {
		cr_assert_gt(t.kinds[BYTES_LOWER], 100);
		cr_assert_gt(t.kinds[BYTES_CHUNKS], 500);
	}
	if (drop)
		cr_assert_gt(t.dropped, 100);
	fixture_close(&t.store);
}

Test(model, new_files)
{
	play(false, false, false, 1);
}

Test(model, lower_files_with_descriptor)
{
	play(true, true, false, 2);
}

Test(model, lower_files_without_descriptor)
{
	play(true, false, false, 3);
}

Test(model, new_files_with_lost_commits)
{
	play(false, false, true, 4);
}

Test(model, lower_files_with_lost_commits)
{
	play(true, true, true, 5);
}

Test(model, lower_files_without_descriptor_with_lost_commits)
{
	play(true, false, true, 6);
}
