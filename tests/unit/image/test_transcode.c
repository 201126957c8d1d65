/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of image/transcode: what cannot be read at random becomes what can. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>
#include <zstd.h>

#include "base/sys.h"
#include "image/decoded.h"
#include "image/transcode.h"
#include "support/tmpdir.h"
#include "unit/image/packed.h"

/* PACKED is written anew into a file, RET_FILE, and opened there. */
static void open_transcoded(const struct buf *packed, const struct buf *tar, uint64_t frame,
			    struct blob **ret_file, struct blob **ret_b)
{
	CLEANUP(tmpdir) struct tmpdir tmp = {0};
	CLEANUP(blob) struct blob *b = NULL;
	CLEANUP(points) struct points points = {0};
	CLEANUP(err) struct err e = {0};
	const struct scan_options o = {.span = frame};
	struct transcode_result result;
	struct digest diff;
	int fd;

	tmpdir_make(&tmp);
	fd = sys_openat(tmp.fd, "cache", O_RDWR | O_CREAT | O_EXCL, 0600);
	cr_assert_geq(fd, 0);
	cr_assert_eq(blob_from_memory(packed->data, packed->len, &b), 0);
	cr_assert_eq(transcode(b, &o, fd, &points, &result, &e), 0, "%s", err_text(&e));
	digest_of(DIGEST_SHA256, tar->data, tar->len, &diff);
	cr_assert(digest_equal(&result.diff_id, &diff));
	cr_assert_eq(result.size, tar->len);
	cr_assert_eq(blob_of_fd(fd, ret_file), 0);
	cr_assert_eq((*ret_file)->size, result.blob_size);
	cr_assert_eq(points.n, (tar->len + frame - 1) / frame);
	cr_assert_eq(decoded_open(*ret_file, COMPRESSION_ZSTD, &points, tar->len, ret_b), 0);
}

static void expect_transcoded(const struct buf *packed, const struct buf *tar, struct rng *g)
{
	CLEANUP(blob) struct blob *file = NULL;
	CLEANUP(blob) struct blob *b = NULL;
	CLEANUP(free) uint8_t *buf = malloc(tar->len + 1);
	CLEANUP(free) uint8_t *stored = NULL;

	open_transcoded(packed, tar, 10000, &file, &b);
	for (unsigned i = 0; i < 100; i++) {
		size_t off = rng_below(g, (uint32_t)tar->len);
		size_t len = rng_below(g, (uint32_t)(tar->len - off) + 1);

		cr_assert_eq(blob_pread(b, buf, len, off), (ssize_t)len);
		cr_assert(memcmp(buf, tar->data + off, len) == 0);
	}
	/* It is zstd to everybody: the table is a frame that is skipped. */
	stored = malloc(file->size);
	cr_assert_eq(blob_read_at(file, stored, file->size, 0), 0);
	cr_assert_eq(ZSTD_decompress(buf, tar->len + 1, stored, file->size), tar->len);
	cr_assert(memcmp(buf, tar->data, tar->len) == 0);
	cr_assert(memcmp(stored + file->size - 4, "\xb1\xea\x92\x8f", 4) == 0);
}

Test(transcode, one_frame_becomes_many)
{
	struct rng g = rng_seeded(21);
	CLEANUP(buf) struct buf tar = {0}, zstd = {0}, gzip = {0};

	put_likely_tar(&tar, 30, 30000, &g);
	put_zstd(&zstd, tar.data, tar.len, 3);
	expect_transcoded(&zstd, &tar, &g);
	put_gzip(&gzip, tar.data, tar.len, 6, 0);
	expect_transcoded(&gzip, &tar, &g);
	expect_transcoded(&tar, &tar, &g);
}

Test(transcode, an_empty_layer_has_no_frames)
{
	CLEANUP(buf) struct buf none = {0}, zstd = {0};
	CLEANUP(blob) struct blob *file = NULL;
	CLEANUP(blob) struct blob *b = NULL;

	put_zstd(&zstd, "", 0, 3);
	open_transcoded(&zstd, &none, 1000, &file, &b);
	cr_assert_eq(b->size, 0);
}

Test(transcode, failures_are_said)
{
	CLEANUP(buf) struct buf tar = {0}, zstd = {0};
	CLEANUP(blob) struct blob *b = NULL;
	CLEANUP(points) struct points points = {0};
	struct rng g = rng_seeded(22);
	struct transcode_result result;
	struct err e = {0};
	CLEANUP(fd) int full = sys_openat(AT_FDCWD, "/dev/full", O_WRONLY, 0);

	put_likely_tar(&tar, 3, 30000, &g);
	put_zstd(&zstd, tar.data, tar.len, 3);
	cr_assert_eq(blob_from_memory(zstd.data, zstd.len, &b), 0);
	cr_assert_eq(transcode(b, NULL, full, &points, &result, &e), -ENOSPC);
	cr_assert_not_null(strstr(err_text(&e), "cache"));
	err_done(&e);
	cr_assert_eq(transcode(b, &(struct scan_options){.max_bytes = 100}, full, &points, &result,
			       &e),
		     -E2BIG);
	err_done(&e);
	cr_assert_eq(points.n, 0);
}
