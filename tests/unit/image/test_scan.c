/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of image/scan: one pass gives the same of a tar however it is compressed. */
#include <criterion/criterion.h>
#include <string.h>

#include "unit/image/packed.h"

/* The bytes PACKED scan as the TAR does that they were made of. */
static void expect_same(const struct buf *packed, const struct buf *tar, enum compression c,
			uint64_t frames)
{
	const struct scan_options o = {.span = 8192};
	CLEANUP(scanned) struct scanned got = {0}, plain = {0};
	CLEANUP(err) struct err e = {0};
	struct digest stored, diff;

	cr_assert_eq(scan_bytes(tar->data, tar->len, &o, &plain, &e), 0, "%s", err_text(&e));
	cr_assert_eq(scan_bytes(packed->data, packed->len, &o, &got, &e), 0, "%s", err_text(&e));
	cr_assert_str_eq(buf_cstr(&got.members.text), buf_cstr(&plain.members.text));
	digest_of(DIGEST_SHA256, packed->data, packed->len, &stored);
	digest_of(DIGEST_SHA256, tar->data, tar->len, &diff);
	cr_assert(digest_equal(&got.result.blob_digest, &stored));
	cr_assert(digest_equal(&got.result.diff_id, &diff));
	cr_assert_eq(got.result.compression, c);
	cr_assert_eq(got.result.blob_size, packed->len);
	cr_assert_eq(got.result.size, tar->len);
	cr_assert_eq(got.result.frames, frames);
	cr_assert_eq(got.result.members, plain.result.members);
	cr_assert_eq(got.result.points, got.points.n);
	cr_assert_eq(points_check(&got.points, c, packed->len, tar->len),
		     c == COMPRESSION_NONE ? -EINVAL : 0);
}

Test(scan, a_tar_as_it_is_has_no_points)
{
	CLEANUP(buf) struct buf tar = {0};
	struct rng g = rng_seeded(1);

	put_likely_tar(&tar, 40, 30000, &g);
	expect_same(&tar, &tar, COMPRESSION_NONE, 0);
}

Test(scan, gzip_of_every_level_gives_the_tar)
{
	struct rng g = rng_seeded(2);

	for (int level = 0; level <= 9; level += 3) {
		CLEANUP(buf) struct buf tar = {0}, packed = {0};

		put_likely_tar(&tar, 40, 30000, &g);
		put_gzip(&packed, tar.data, tar.len, level, 0);
		expect_same(&packed, &tar, COMPRESSION_GZIP, 1);
	}
}

/* Cuts the tar into N parts at random places, some empty, and packs each by itself. */
static void put_parts(struct buf *packed, const struct buf *tar, unsigned n, bool zstd,
		      struct rng *g)
{
	size_t off = 0;

	for (unsigned i = 0; i < n; i++) {
		size_t rest = tar->len - off;
		size_t len = i + 1 == n		    ? rest
			     : rng_below(g, 4) == 0 ? 0
						    : rng_below(g, 20000) % (rest + 1);

		if (zstd)
			put_zstd(packed, tar->data + off, len, 3);
		else
			put_gzip(packed, tar->data + off, len, 6, rng_below(g, 2) * 3000);
		off += len;
	}
}

Test(scan, many_members_and_frames_give_the_tar)
{
	struct rng g = rng_seeded(3);

	for (unsigned n = 1; n <= 31; n += 10) {
		CLEANUP(buf) struct buf tar = {0}, gzip = {0}, zstd = {0};

		put_likely_tar(&tar, 20, 30000, &g);
		put_parts(&gzip, &tar, n, false, &g);
		expect_same(&gzip, &tar, COMPRESSION_GZIP, n);
		put_parts(&zstd, &tar, n, true, &g);
		expect_same(&zstd, &tar, COMPRESSION_ZSTD, n);
	}
}

Test(scan, all_bytes_count_for_the_digests_also_after_the_end)
{
	CLEANUP(buf) struct buf tar = {0}, packed = {0};

	tarball_file(&tar, "a", "x", 1);
	tarball_end(&tar);
	buf_put_str(&tar, "behind the end, and no whole block");
	put_gzip(&packed, tar.data, tar.len, 6, 0);
	expect_same(&packed, &tar, COMPRESSION_GZIP, 1);
}

Test(scan, garbage_after_gzip_is_warned_of)
{
	static const char *const tails[] = {"\0", "\0\0\0\0", "x", "\x1f", "\x1fxyz"};

	for (size_t i = 0; i < sizeof(tails) / sizeof(tails[0]); i++) {
		CLEANUP(buf) struct buf tar = {0}, packed = {0};
		CLEANUP(scanned) struct scanned got = {0};
		CLEANUP(err) struct err e = {0};
		struct digest stored;

		tarball_file(&tar, "a", "x", 1);
		tarball_end(&tar);
		put_gzip(&packed, tar.data, tar.len, 6, 0);
		buf_put(&packed, tails[i], i == 1 ? 4 : strlen(tails[i]) + (i == 0));
		cr_assert_eq(scan_bytes(packed.data, packed.len, NULL, &got, &e), 0, "%s",
			     err_text(&e));
		digest_of(DIGEST_SHA256, packed.data, packed.len, &stored);
		cr_assert(digest_equal(&got.result.blob_digest, &stored));
		cr_assert_eq(got.result.size, tar.len);
		cr_assert_eq(got.result.warnings, 1);
		cr_assert_not_null(strstr(buf_cstr(&got.members.text), "something follows"));
	}
}

/* Whatever is done to one byte, or cut off, no scan says that the layer is the one it was. */
static void expect_damage_noticed(const struct buf *packed)
{
	struct digest whole;

	digest_of(DIGEST_SHA256, packed->data, packed->len, &whole);
	for (size_t i = 0; i < packed->len; i++) {
		CLEANUP(scanned) struct scanned got = {0};
		CLEANUP(err) struct err e = {0};

		packed->data[i] ^= 0x10;
		if (scan_bytes(packed->data, packed->len, NULL, &got, &e) == 0)
			cr_assert_not(digest_equal(&got.result.blob_digest, &whole));
		packed->data[i] ^= 0x10;
	}
	for (size_t len = 1; len < packed->len; len++) {
		CLEANUP(scanned) struct scanned got = {0};
		CLEANUP(err) struct err e = {0};

		cr_assert_neq(scan_bytes(packed->data, len, NULL, &got, &e), 0, "%zu of %zu bytes",
			      len, packed->len);
		cr_assert_neq(e.code, 0);
	}
}

Test(scan, damage_anywhere_is_noticed)
{
	CLEANUP(buf) struct buf tar = {0}, gzip = {0}, zstd = {0};
	struct rng g = rng_seeded(4);

	put_likely_tar(&tar, 3, 500, &g);
	put_gzip(&gzip, tar.data, tar.len, 6, 0);
	put_zstd(&zstd, tar.data, tar.len, 3);
	expect_damage_noticed(&gzip);
	expect_damage_noticed(&zstd);
}

static void expect_failure(const struct buf *bytes, const struct scan_options *o, int code,
			   const char *text)
{
	CLEANUP(scanned) struct scanned got = {0};
	CLEANUP(err) struct err e = {0};

	cr_assert_eq(scan_bytes(bytes->data, bytes->len, o, &got, &e), -code, "%s", err_text(&e));
	cr_assert_not_null(strstr(err_text(&e), text), "%s", err_text(&e));
}

Test(scan, what_cannot_be_read_is_said)
{
	CLEANUP(buf) struct buf xz = {0}, text = {0};

	buf_put(&xz, "\xfd\x37zXZ\0", 6);
	buf_put_str(&text, "no tar at all");
	expect_failure(&xz, NULL, EOPNOTSUPP, "compressed with xz");
	expect_failure(&text, NULL, EBADMSG, "neither a tar");
}

Test(scan, limits_hold_against_bombs)
{
	CLEANUP(buf) struct buf zeros = {0}, packed = {0}, huge = {0};
	const struct scan_options bytes = {.max_bytes = 1 << 20};
	const struct scan_options window = {.window_log = 10};

	for (unsigned i = 0; i < (4u << 20) / 8; i++)
		buf_put_u64(&zeros, 0);
	put_gzip(&packed, zeros.data, zeros.len, 9, 0);
	expect_failure(&packed, &bytes, E2BIG, "more than 1048576 bytes");
	put_zstd(&huge, zeros.data, zeros.len, 19);
	expect_failure(&huge, &window, E2BIG, "window of more than 2^10");
	expect_failure(&huge, &bytes, E2BIG, "more than 1048576 bytes");
}

static void count_calls(void *arg, uint64_t done, uint64_t total)
{
	cr_assert_leq(done, total);
	++*(unsigned *)arg;
}

Test(scan, progress_is_told_and_can_be_cancelled)
{
	CLEANUP(buf) struct buf tar = {0};
	CLEANUP(scanned) struct scanned got = {0};
	CLEANUP(err) struct err e = {0};
	struct rng g = rng_seeded(5);
	atomic_bool cancel = false;
	unsigned calls = 0;
	struct scan_options o = {
		.progress = count_calls, .progress_arg = &calls, .cancel = &cancel};

	put_likely_tar(&tar, 80, 100000, &g);
	cr_assert_eq(scan_bytes(tar.data, tar.len, &o, &got, &e), 0);
	cr_assert_geq(calls, tar.len >> 21);
	atomic_store(&cancel, true);
	expect_failure(&tar, &o, ECANCELED, "cancelled");
}

static int refuse(void *arg, const struct tar_member *m)
{
	(void)arg;
	(void)m;
	return -ENOSPC;
}

Test(scan, the_sink_can_end_it)
{
	CLEANUP(buf) struct buf tar = {0};
	CLEANUP(blob) struct blob *b = NULL;
	CLEANUP(err) struct err e = {0};
	struct scan_sink sink = {.tar = {.member = refuse}};
	struct scan_result result;

	tarball_file(&tar, "some-name", "x", 1);
	cr_assert_eq(blob_from_memory(tar.data, tar.len, &b), 0);
	cr_assert_eq(scan_layer(b, NULL, &sink, &result, &e), -ENOSPC);
	cr_assert_not_null(strstr(err_text(&e), "some-name"));
}

Test(scan, an_empty_layer_is_one)
{
	CLEANUP(buf) struct buf none = {0}, packed = {0};

	put_gzip(&packed, "", 0, 6, 0);
	expect_same(&packed, &none, COMPRESSION_GZIP, 1);
	buf_clear(&packed);
	put_zstd(&packed, "", 0, 3);
	expect_same(&packed, &none, COMPRESSION_ZSTD, 1);
}
