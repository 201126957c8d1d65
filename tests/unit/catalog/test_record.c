/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the codecs: what is written is read, and any bytes are survived. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "catalog/batch.h"
#include "catalog/record.h"
#include "unit/catalog/helper.h"

static void assert_same(const struct inode_rec *a, const struct inode_rec *b)
{
	cr_assert_eq(a->attr.ino, b->attr.ino);
	cr_assert_eq(a->attr.mode, b->attr.mode);
	cr_assert_eq(a->attr.nlink, b->attr.nlink);
	cr_assert_eq(a->attr.uid, b->attr.uid);
	cr_assert_eq(a->attr.gid, b->attr.gid);
	cr_assert_eq(a->attr.rdev_major, b->attr.rdev_major);
	cr_assert_eq(a->attr.rdev_minor, b->attr.rdev_minor);
	cr_assert_eq(a->attr.size, b->attr.size);
	cr_assert_eq(timespec_cmp(&a->attr.atime, &b->attr.atime), 0);
	cr_assert_eq(timespec_cmp(&a->attr.mtime, &b->attr.mtime), 0);
	cr_assert_eq(timespec_cmp(&a->attr.ctime, &b->attr.ctime), 0);
	cr_assert_eq(a->where, b->where);
	cr_assert_eq(a->flags, b->flags);
	cr_assert_eq(a->chunk_shift, b->chunk_shift);
	cr_assert_eq(a->lower_size, b->lower_size);
	cr_assert_eq(a->stale_mtime, b->stale_mtime);
	cr_assert_eq(a->parent, b->parent);
	cr_assert_eq(a->origin == NULL, b->origin == NULL);
	if (a->origin != NULL)
		cr_assert_str_eq(a->origin, b->origin);
}

static void round_trip(const struct inode_rec *rec)
{
	CLEANUP(inode_rec) struct inode_rec back = {0};
	CLEANUP(buf) struct buf out = {0};

	inode_encode(rec, &out);
	cr_assert(buf_ok(&out));
	cr_assert_eq(inode_decode(out.data, out.len, rec->attr.ino, &back), 0);
	assert_same(rec, &back);
	/* Every byte counts: no shorter value is a record. */
	for (size_t len = 0; len < INODE_VALUE_MIN; len++) {
		struct inode_rec untouched = {0};

		cr_assert_eq(inode_decode(out.data, len, 1, &untouched), -EUCLEAN);
		cr_assert_null(untouched.origin);
	}
}

Test(record, inode_round_trip)
{
	static char long_origin[ORIGIN_SIZE_MAX + 1];
	struct inode_rec rec = {.attr = {.ino = 7, .mode = S_IFDIR | 07777}};

	round_trip(&rec);
	memset(long_origin, 'o', ORIGIN_SIZE_MAX);
	for (int i = 0; i < 3; i++) {
		rec = (struct inode_rec){
			.attr = {.ino = UINT64_MAX,
				 .mode = S_IFREG | 04755,
				 .nlink = UINT32_MAX,
				 .uid = UINT32_MAX,
				 .gid = UINT32_MAX - 1,
				 .rdev_major = UINT32_MAX,
				 .rdev_minor = UINT32_MAX - 2,
				 .size = UINT64_MAX,
				 .atime = {INT64_MIN, 0},
				 .mtime = {INT64_MAX, 999999999},
				 .ctime = {-1, 1}},
			.where = BYTES_CHUNKS,
			.flags = ~(uint32_t)INODE_HAS_MTIME,
			.chunk_shift = 62,
			.lower_size = UINT64_MAX - 3,
			.parent = UINT64_MAX - 4,
			.origin = (char *[]){NULL, (char[]){""}, long_origin}[i],
		};
		round_trip(&rec);
	}
}

/* The size says nothing, then. */
Test(record, inode_with_a_stale_mtime)
{
	for (enum bytes_where where = BYTES_INLINE; where <= BYTES_CHUNKS; where++) {
		struct inode_rec rec = {.attr = {.ino = 5, .mode = S_IFREG | 0644},
					.where = where,
					.flags = INODE_HAS_MTIME};

		if (inode_has_file(&rec))
			rec.stale_mtime = inode_mtime_tag(&(struct timespec){-3, 7});
		else
			rec.attr.size = 11;
		round_trip(&rec);
	}
}

Test(record, inode_every_type)
{
	const uint32_t types[] = {S_IFREG, S_IFDIR, S_IFLNK, S_IFCHR, S_IFBLK, S_IFIFO, S_IFSOCK};

	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
		struct inode_rec rec = {.attr = {.ino = i, .mode = types[i] | 0604}};

		round_trip(&rec);
	}
}

static int decode_with(size_t at, uint64_t v, size_t width, size_t extra)
{
	CLEANUP(inode_rec) struct inode_rec back = {0};
	CLEANUP(buf) struct buf out = {0};
	struct inode_rec rec = {.attr = {.mode = S_IFREG | 0644}};

	inode_encode(&rec, &out);
	memcpy(out.data + at, &v, width);
	for (size_t i = 0; i < extra; i++)
		buf_put_u8(&out, i == 1 ? 0 : 'x');
	return inode_decode(out.data, out.len, 1, &back);
}

Test(record, inode_refuses)
{
	cr_assert_eq(decode_with(0, S_IFREG | 0644, 4, 0), 0);
	cr_assert_eq(decode_with(0, 0644, 4, 0), -EUCLEAN, "no type");
	cr_assert_eq(decode_with(0, 0xf000 | 0644, 4, 0), -EUCLEAN, "unknown type");
	cr_assert_eq(decode_with(0, 0x10000 | S_IFREG, 4, 0), -EUCLEAN, "mode too large");
	cr_assert_eq(decode_with(40, 1000000000, 4, 0), -EUCLEAN, "nanoseconds");
	cr_assert_eq(decode_with(72, 4, 1, 0), -EUCLEAN, "where");
	cr_assert_eq(decode_with(73, 63, 1, 0), -EUCLEAN, "shift");
	cr_assert_eq(decode_with(74, 2, 2, 0), -EUCLEAN, "unknown follower");
	cr_assert_eq(decode_with(74, 0, 2, 1), -EUCLEAN, "bytes behind the end");
	cr_assert_eq(decode_with(74, 1, 2, 1), 0, "an origin");
	cr_assert_eq(decode_with(74, 1, 2, 3), -EUCLEAN, "a NUL in the origin");
}

Test(record, entry)
{
	uint8_t value[10] = {DT_DIR, 1, 2, 3, 4, 5, 6, 7, 8};
	struct entry_rec e;

	cr_assert_eq(entry_decode(value, 9, &e), 0);
	cr_assert_eq(e.dtype, DT_DIR);
	cr_assert_eq(e.ino, 0x0807060504030201u);
	cr_assert_eq(entry_decode(value, 8, &e), -EUCLEAN);
	cr_assert_eq(entry_decode(value, 10, &e), -EUCLEAN);
	value[0] = DT_WHT;
	cr_assert_eq(entry_decode(value, 9, &e), -EUCLEAN, "a whiteout with an inode");
	memset(value + 1, 0, 8);
	cr_assert_eq(entry_decode(value, 9, &e), 0);
	cr_assert(entry_is_whiteout(&e));
	value[0] = DT_REG;
	cr_assert_eq(entry_decode(value, 9, &e), -EUCLEAN, "a name without an inode");
}

Test(record, keys_sort_as_numbers)
{
	uint8_t a[KEY_SIZE_MAX], b[KEY_SIZE_MAX];

	key_of_ino(a, 0xff);
	key_of_ino(b, 0x100);
	cr_assert_lt(memcmp(a, b, INO_KEY_SIZE), 0);
	key_of_chunks(a, 1, 0xffff);
	key_of_chunks(b, 1, 0x10000);
	cr_assert_lt(memcmp(a, b, CHUNKS_KEY_SIZE), 0);
	cr_assert_eq(key_of_entry(a, 1, 255, "x", 1), ENTRY_KEY_PREFIX + 1u);
	key_of_entry(b, 1, 256, "a", 1);
	cr_assert_lt(memcmp(a, b, ENTRY_KEY_PREFIX + 1), 0);
}

/* The body of a batch with one change of every kind, in a catalog-less way. */
static void fill(struct batch *b)
{
	static const uint8_t bits[CHUNK_SEGMENT_BYTES] = {1};
	struct inode_rec rec = {.attr = {.ino = 5, .mode = S_IFREG}, .origin = (char[]){"a/b"}};

	batch_put_entry(b, 1, "name", 4, 5, DT_REG);
	batch_put_whiteout(b, 1, "gone", 4);
	batch_del_entry(b, 1, "old", 3);
	batch_del_entries(b, 9);
	batch_put_inode(b, &rec);
	batch_del_inode(b, 6);
	batch_put_xattr(b, 5, "user.x", "v", 1);
	batch_put_xattr(b, 5, "user.empty", NULL, 0);
	batch_del_xattr(b, 5, "user.y");
	batch_put_inline(b, 5, "bytes", 5);
	batch_put_inline(b, 5, NULL, 0);
	batch_put_chunks(b, 5, 3, bits);
	batch_del_chunks(b, 5);
	batch_put_orphan(b, 5);
	batch_del_orphan(b, 5);
	batch_put_super(b, "key", "value", 5);
}

static int walk(const void *bytes, size_t len, unsigned int *ret_n)
{
	struct reader r = reader_of(bytes, len);
	struct op op;
	int rc;

	*ret_n = 0;
	while ((rc = op_next(&r, &op)) > 0)
		++*ret_n;
	return rc;
}

Test(record, ops_round_trip)
{
	CLEANUP(batch) struct batch b = {0};
	unsigned int n;

	fill(&b);
	cr_assert(buf_ok(&b.body));
	cr_assert_eq(b.n, 16);
	cr_assert_eq(walk(b.body.data, b.body.len, &n), 0);
	cr_assert_eq(n, b.n);
}

Test(record, ops_cut_anywhere)
{
	CLEANUP(batch) struct batch b = {0};
	unsigned int n, whole = 0;

	fill(&b);
	for (size_t len = 0; len < b.body.len; len++) {
		/* A copy of its own, so that the sanitizer sees a read behind its end. */
		uint8_t *copy = malloc(len + 1);

		memcpy(copy, b.body.data, len);
		whole += walk(copy, len, &n) == 0;
		free(copy);
	}
	cr_assert_eq(whole, b.n, "only the ends of changes are ends");
}

Test(record, ops_any_bytes)
{
	struct rng r = rng_seeded("ops_any_bytes");
	CLEANUP(batch) struct batch b = {0};

	fill(&b);
	for (int i = 0; i < 200000; i++) {
		uint8_t *copy = malloc(b.body.len);
		unsigned int n;

		memcpy(copy, b.body.data, b.body.len);
		for (uint64_t k = 1 + rng_below(&r, 3); k > 0; k--)
			copy[rng_below(&r, b.body.len)] = (uint8_t)rng_next(&r);
		cr_assert(walk(copy, b.body.len, &n) <= 0);
		free(copy);
	}
}

Test(record, impossible_changes_are_refused)
{
	static char long_name[400];
	static uint8_t large[XATTR_VALUE_MAX + 1];
	struct batch batches[10] = {0};
	unsigned int n;

	memset(long_name, 'n', sizeof(long_name) - 1);
	batch_put_entry(&batches[0], 1, "", 0, 5, DT_REG);
	batch_put_entry(&batches[1], 1, long_name, 256, 5, DT_REG);
	batch_put_entry(&batches[2], 1, "n", 1, 0, DT_REG);
	batch_put_entry(&batches[3], 1, "n", 1, 5, DT_WHT);
	batch_put_xattr(&batches[4], 1, "", "v", 1);
	batch_put_xattr(&batches[5], 1, long_name, "v", 1);
	batch_put_xattr(&batches[6], 1, "user.v", large, sizeof(large));
	batch_put_inline(&batches[7], 1, large, sizeof(large));
	batch_put_super(&batches[8], long_name, "v", 1);
	batch_put_whiteout(&batches[9], 1, long_name, 300);
	for (int i = 0; i < 10; i++) {
		cr_assert_eq(walk(batches[i].body.data, batches[i].body.len, &n), -EBADMSG, "%d",
			     i);
		batch_done(&batches[i]);
	}
}
