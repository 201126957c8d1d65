/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of image/blob and image/compression. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/sys.h"
#include "image/blob.h"
#include "image/compression.h"
#include "support/tmpdir.h"

static const char text[] = "0123456789abcdef";

static void put_file(int dirfd, const char *name, const void *bytes, size_t len)
{
	CLEANUP(fd) int fd = sys_openat(dirfd, name, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	cr_assert_geq(fd, 0);
	cr_assert_eq(sys_write_full(fd, bytes, len), 0);
}

/* Each piece of B is what TEXT of LEN bytes has there. */
static void expect_bytes(struct blob *b, const char *bytes, size_t len)
{
	char buf[64];

	cr_assert_eq(b->size, len);
	for (size_t off = 0; off <= len + 2; off++) {
		for (size_t n = 0; n <= len + 2; n++) {
			size_t there = off >= len ? 0 : n < len - off ? n : len - off;

			cr_assert_eq(blob_pread(b, buf, n, off), (ssize_t)there);
			cr_assert(memcmp(buf, bytes + (off < len ? off : len), there) == 0);
			cr_assert_eq(blob_read_at(b, buf, n, off), there == n ? 0 : -ENODATA);
		}
	}
	cr_assert_eq(blob_pread(b, buf, 1, UINT64_MAX), 0);
}

Test(blob, memory_and_files_give_their_bytes)
{
	CLEANUP(tmpdir) struct tmpdir tmp = {0};
	CLEANUP(blob) struct blob *memory = NULL;
	CLEANUP(blob) struct blob *file = NULL;
	uint64_t off = 7;

	tmpdir_make(&tmp);
	put_file(tmp.fd, "f", text, 16);
	cr_assert_eq(blob_from_memory(text, 16, &memory), 0);
	cr_assert_eq(blob_open_file(tmp.fd, "f", 0, &file), 0);
	expect_bytes(memory, text, 16);
	expect_bytes(file, text, 16);
	cr_assert_eq(blob_fd(memory, &off), -EOPNOTSUPP);
	cr_assert_geq(blob_fd(file, &off), 0);
	cr_assert_eq(off, 0);
}

Test(blob, slices_give_a_part_and_hold_the_whole)
{
	CLEANUP(tmpdir) struct tmpdir tmp = {0};
	struct blob *file = NULL;
	CLEANUP(blob) struct blob *slice = NULL;
	CLEANUP(blob) struct blob *inner = NULL;
	uint64_t off;
	char c;
	int fd;

	tmpdir_make(&tmp);
	put_file(tmp.fd, "f", text, 16);
	cr_assert_eq(blob_open_file(tmp.fd, "f", 0, &file), 0);
	cr_assert_eq(blob_slice(file, 4, 10, &slice), 0);
	blob_unref(file);
	expect_bytes(slice, text + 4, 10);
	cr_assert_eq(blob_slice(slice, 3, 7, &inner), 0);
	expect_bytes(inner, text + 7, 7);
	fd = blob_fd(inner, &off);
	cr_assert_eq(pread(fd, &c, 1, (off_t)off), 1);
	cr_assert_eq(c, '7');
}

Test(blob, a_slice_lies_inside)
{
	CLEANUP(blob) struct blob *b = NULL;
	struct blob *slice = NULL;

	cr_assert_eq(blob_from_memory(text, 16, &b), 0);
	cr_assert_eq(blob_slice(b, 17, 0, &slice), -ERANGE);
	cr_assert_eq(blob_slice(b, 0, 17, &slice), -ERANGE);
	cr_assert_eq(blob_slice(b, 1, UINT64_MAX, &slice), -ERANGE);
	cr_assert_eq(blob_slice(b, UINT64_MAX, 1, &slice), -ERANGE);
	cr_assert_null(slice);
	cr_assert_eq(blob_slice(b, 16, 0, &slice), 0);
	expect_bytes(slice, "", 0);
	blob_unref(slice);
}

Test(blob, a_file_that_was_cut_is_stale_and_no_signal)
{
	CLEANUP(tmpdir) struct tmpdir tmp = {0};
	CLEANUP(blob) struct blob *b = NULL;
	char buf[16];

	tmpdir_make(&tmp);
	put_file(tmp.fd, "f", text, 16);
	cr_assert_eq(blob_open_file(tmp.fd, "f", 0, &b), 0);
	put_file(tmp.fd, "f", text, 8);
	cr_assert_eq(blob_pread(b, buf, 8, 0), 8);
	cr_assert_eq(blob_pread(b, buf, 9, 0), -ESTALE);
	cr_assert_eq(blob_pread(b, buf, 1, 15), -ESTALE);
}

Test(blob, only_regular_files_are_opened)
{
	CLEANUP(tmpdir) struct tmpdir tmp = {0};
	struct blob *b = NULL;
	size_t fds;

	tmpdir_make(&tmp);
	put_file(tmp.fd, "f", text, 16);
	cr_assert_eq(mkfifoat(tmp.fd, "pipe", 0644), 0);
	cr_assert_eq(symlinkat("f", tmp.fd, "link"), 0);
	fds = count_fds();
	cr_assert_eq(blob_open_file(tmp.fd, "pipe", 0, &b), -EINVAL);
	cr_assert_eq(blob_open_file(tmp.fd, ".", 0, &b), -EISDIR);
	cr_assert_eq(blob_open_file(tmp.fd, "none", 0, &b), -ENOENT);
	cr_assert_eq(blob_open_file(tmp.fd, "link", O_NOFOLLOW, &b), -ELOOP);
	cr_assert_eq(blob_open_file(tmp.fd, "link", 0, &b), 0);
	blob_unref(b);
	cr_assert_eq(count_fds(), fds);
}

static void expect_compression(const void *bytes, size_t len, enum compression expected)
{
	CLEANUP(blob) struct blob *b = NULL;
	enum compression c;

	cr_assert_eq(blob_from_memory(bytes, len, &b), 0);
	cr_assert_eq(compression_detect(b, &c), 0);
	cr_assert_eq(c, expected, "%s, not %s", compression_name(c), compression_name(expected));
}

Test(compression, is_told_by_the_first_bytes)
{
	static const uint8_t zeros[1024];

	expect_compression("\x1f\x8b\x08\0rest", 8, COMPRESSION_GZIP);
	expect_compression("\x28\xb5\x2f\xfd", 4, COMPRESSION_ZSTD);
	expect_compression("\x50\x2a\x4d\x18", 4, COMPRESSION_ZSTD);
	expect_compression("\x5f\x2a\x4d\x18", 4, COMPRESSION_ZSTD);
	expect_compression("\xfd\x37zXZ\0", 6, COMPRESSION_XZ);
	expect_compression("BZh9", 4, COMPRESSION_BZIP2);
	expect_compression("", 0, COMPRESSION_NONE);
	expect_compression(zeros, sizeof(zeros), COMPRESSION_NONE);
	expect_compression(zeros, 511, COMPRESSION_UNKNOWN);
	expect_compression("{\"layers\": []}", 14, COMPRESSION_UNKNOWN);
	expect_compression("\x1f\x8b", 2, COMPRESSION_UNKNOWN);
}
