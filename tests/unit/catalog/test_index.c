/* SPDX-License-Identifier: Apache-2.0 */
/* Indexes of image layers: what is written is read, and nothing else is accepted. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/hash.h"
#include "base/sys.h"
#include "catalog/index_format.h"

static int new_file(void)
{
	int fd = memfd_create("index", MFD_CLOEXEC);

	cr_assert_geq(fd, 0);
	return fd;
}

static struct index_rec rec_of(uint64_t ino, uint32_t mode)
{
	return (struct index_rec){.attr = {.ino = ino, .mode = mode, .nlink = 1}};
}

/* Two names, a whiteout, a directory, a hard link, attributes and points. */
static int made(void)
{
	CLEANUP(index_builder) struct index_builder *b = NULL;
	struct index_rec file = rec_of(2, S_IFREG | 0644), root = rec_of(1, S_IFDIR | 0755),
			 linked = rec_of(3, S_IFREG | 0600);
	int fd = new_file();

	file.attr.size = 1000;
	file.data_off = 512;
	file.attr.mtime = (struct timespec){-5, 999999999};
	linked.flags = INDEX_HAS_XATTRS;
	cr_assert_eq(index_builder_new(fd, &b), 0);
	for (int i = 0; i < 100000; i++)
		cr_assert_eq(index_put_points(b, &i, sizeof(i)), 0);
	cr_assert_eq(index_put_super(b, "key", "value", 5), 0);
	cr_assert_eq(index_put_name(b, 1, "a", 1, 300, &file), 0);
	cr_assert_eq(index_put_link(b, 1, "b", 1, 0, 3, DT_REG), 0);
	cr_assert_eq(index_put_whiteout(b, 1, "c", 1), 0);
	cr_assert_eq(index_put_link(b, 1, "d", 1, UINT64_MAX, 3, DT_REG), 0);
	cr_assert_eq(index_put_inode(b, &root), 0);
	cr_assert_eq(index_put_inode(b, &linked), 0);
	cr_assert_eq(index_put_xattr(b, 3, "user.a", "1", 1), 0);
	cr_assert_eq(index_put_xattr(b, 3, "user.b", "", 0), 0);
	cr_assert_eq(index_finish(b, false), 0);
	return fd;
}

static struct index_file *opened(int fd)
{
	CLEANUP(err) struct err err = {0};
	struct index_file *x = NULL;

	cr_assert_eq(index_file_open(fd, "index", &x, &err), 0, "%s", err_text(&err));
	return x;
}

static int add_name(void *arg, const struct index_name *name)
{
	buf_printf(arg, "%s:%ju:%u:%ju ", name->name, (uintmax_t)name->ino, name->dtype,
		   (uintmax_t)name->seq);
	return 0;
}

Test(index, round_trip)
{
	CLEANUP(index_file) struct index_file *x = opened(made());
	CLEANUP(index_rec) struct index_rec rec = {0};
	CLEANUP(buf) struct buf text = {0};
	char value[8];

	cr_assert_eq(index_file_lookup(x, 1, "a", 1, &rec), 0);
	cr_assert_eq(rec.attr.ino, 2);
	cr_assert_eq(rec.attr.size, 1000);
	cr_assert_eq(rec.data_off, 512);
	cr_assert_eq(rec.attr.mtime.tv_sec, -5);
	cr_assert_eq(rec.attr.mtime.tv_nsec, 999999999);
	cr_assert_eq(index_file_lookup(x, 1, "c", 1, &rec), 0);
	cr_assert_eq(rec.attr.ino, 0);
	cr_assert_eq(index_file_lookup(x, 1, "d", 1, &rec), 0);
	cr_assert_eq(rec.attr.ino, 3);
	cr_assert_eq(index_file_lookup(x, 1, "e", 1, &rec), -ENOENT);
	cr_assert_eq(index_file_lookup(x, 2, "a", 1, &rec), -ENOENT);
	cr_assert_eq(index_file_list(x, 1, add_name, &text), 0);
	cr_assert_str_eq(buf_cstr(&text), "a:2:8:300 b:3:8:0 c:0:14:0 d:3:8:18446744073709551615 ");
	cr_assert_eq(index_file_xattr(x, 3, "user.a", value, sizeof(value)), 1);
	cr_assert_eq(index_file_xattr(x, 3, "user.b", NULL, 0), 0);
	cr_assert_eq(index_file_xattr(x, 3, "user.c", NULL, 0), -ENODATA);
	buf_clear(&text);
	cr_assert_eq(index_file_xattr_names(x, 3, &text), 0);
	cr_assert_eq(text.len, 14);
	buf_clear(&text);
	cr_assert_eq(index_file_points(x, &text), 0);
	cr_assert_eq(text.len, 400000);
	for (int i = 0; i < 100000; i++)
		cr_assert_eq(((int *)(void *)text.data)[i], i);
}

Test(index, keys_out_of_order_are_refused)
{
	CLEANUP(index_builder) struct index_builder *b = NULL;
	CLEANUP(fd) int fd = new_file();

	cr_assert_eq(index_builder_new(fd, &b), 0);
	cr_assert_eq(index_put_whiteout(b, 2, "b", 1), 0);
	cr_assert_eq(index_put_whiteout(b, 2, "b", 1), -EINVAL);
	cr_assert_eq(index_put_whiteout(b, 2, "a", 1), -EINVAL);
	cr_assert_eq(index_put_whiteout(b, 1, "c", 1), -EINVAL);
	cr_assert_eq(index_put_super(b, "late", "", 0), -EINVAL);
	cr_assert_eq(index_put_whiteout(b, 2, "", 0), -EINVAL);
	cr_assert_eq(index_put_whiteout(b, UINT64_MAX, "x", 1), -EINVAL);
}

/* Each byte of a small index is worth something. */
Test(index, every_changed_byte_is_seen)
{
	CLEANUP(fd) int fd = made();
	struct stat st;

	cr_assert_eq(fstat(fd, &st), 0);
	for (off_t at = 0; at<st.st_size; at += at> st.st_size - 100 ? 1 : 997) {
		CLEANUP(err) struct err err = {0};
		struct index_file *x = NULL;
		uint8_t byte;

		cr_assert_eq(sys_pread_full(fd, &byte, 1, at), 1);
		byte ^= 0x10;
		cr_assert_eq(sys_pwrite_full(fd, &byte, 1, at), 0);
		cr_assert_lt(index_file_open(fcntl(fd, F_DUPFD_CLOEXEC, 3), "index", &x, &err), 0,
			     "byte %jd", (intmax_t)at);
		cr_assert_not_null(strstr(err_text(&err), "index"));
		byte ^= 0x10;
		cr_assert_eq(sys_pwrite_full(fd, &byte, 1, at), 0);
	}
	index_file_close(opened(fcntl(fd, F_DUPFD_CLOEXEC, 3)));
}

Test(index, every_length_but_the_right_one_is_refused)
{
	CLEANUP(fd) int fd = made();
	struct stat st;

	cr_assert_eq(fstat(fd, &st), 0);
	for (off_t len = st.st_size - 1; len >= 0; len -= len > st.st_size - 60 ? 1 : 4093) {
		struct index_file *x = NULL;

		cr_assert_eq(ftruncate(fd, len), 0);
		cr_assert_eq(index_file_open(fcntl(fd, F_DUPFD_CLOEXEC, 3), "index", &x, NULL),
			     -EUCLEAN, "%jd bytes", (intmax_t)len);
	}
}

Test(index, another_version_is_to_be_made_anew)
{
	CLEANUP(fd) int fd = made();
	uint8_t trailer[INDEX_TRAILER_SIZE];
	struct index_file *x = NULL;
	struct stat st;

	cr_assert_eq(fstat(fd, &st), 0);
	cr_assert_eq(sys_pread_full(fd, trailer, sizeof(trailer), st.st_size - INDEX_TRAILER_SIZE),
		     INDEX_TRAILER_SIZE);
	put_le32(trailer + 8, INDEX_VERSION + 1);
	put_le64(trailer + INDEX_TRAILER_SUMMED, hash64(trailer, INDEX_TRAILER_SUMMED, 0));
	cr_assert_eq(sys_pwrite_full(fd, trailer, sizeof(trailer), st.st_size - INDEX_TRAILER_SIZE),
		     0);
	cr_assert_eq(index_file_open(fcntl(fd, F_DUPFD_CLOEXEC, 3), "index", &x, NULL),
		     -EPROTONOSUPPORT);
}

/* ---- records ---- */

static void check_record(const struct index_rec *rec)
{
	CLEANUP(index_rec) struct index_rec got = {0};
	CLEANUP(buf) struct buf bytes = {0};
	struct reader r;

	index_rec_encode(rec, &bytes);
	r = reader_of(bytes.data, bytes.len);
	cr_assert_eq(index_rec_decode(&r, rec->attr.ino, &got), 0);
	cr_assert_eq(got.attr.mode, rec->attr.mode);
	cr_assert_eq(got.attr.uid, rec->attr.uid);
	cr_assert_eq(got.attr.gid, rec->attr.gid);
	cr_assert_eq(got.attr.rdev_major, rec->attr.rdev_major);
	cr_assert_eq(got.attr.rdev_minor, rec->attr.rdev_minor);
	cr_assert_eq(got.attr.mtime.tv_sec, rec->attr.mtime.tv_sec);
	cr_assert_eq(got.flags, rec->flags);
	cr_assert_eq(got.union_ino, rec->union_ino);
	cr_assert_eq(got.n_extents, rec->n_extents);
	cr_assert_eq(got.text != NULL, rec->text != NULL);
	if (got.text != NULL)
		cr_assert_str_eq(got.text, rec->text);
	for (size_t i = 0; i < got.n_extents; i++)
		cr_assert_eq(memcmp(&got.extents[i], &rec->extents[i], sizeof(*got.extents)), 0);
	/* Cut short anywhere it is no record, or a record of another text. */
	for (size_t len = 0; len < bytes.len; len++) {
		CLEANUP(index_rec) struct index_rec other = {0};

		r = reader_of(bytes.data, len);
		if (index_rec_decode(&r, 1, &other) == 0)
			cr_assert_not_null(other.text);
	}
}

Test(index, records)
{
	struct index_extent extents[] = {{0, 512, 100}, {4096, 612, 1}, {1 << 30, 613, 7}};
	char target[] = "over/there";
	struct index_rec rec = rec_of(7, S_IFREG | 07777);

	rec.attr.uid = UINT32_MAX - 1;
	rec.attr.gid = 4000000000u;
	rec.attr.size = (1 << 30) + 7;
	rec.attr.mtime.tv_sec = INT64_MIN;
	check_record(&rec);
	rec.attr.mtime.tv_sec = INT64_MAX;
	rec.extents = extents;
	rec.n_extents = 3;
	check_record(&rec);
	/* All of it a hole. */
	rec.n_extents = 0;
	check_record(&rec);
	rec = rec_of(8, S_IFLNK | 0777);
	rec.text = target;
	check_record(&rec);
	rec = rec_of(9, S_IFCHR | 0600);
	rec.attr.rdev_major = 4095;
	rec.attr.rdev_minor = 1048575;
	check_record(&rec);
	rec = rec_of(10, S_IFREG | 0600);
	rec.flags = INDEX_LOWER | INDEX_HAS_XATTRS;
	rec.union_ino = UINT64_C(3) << 48 | 5;
	rec.text = target;
	check_record(&rec);
	rec = rec_of(11, S_IFDIR | 0755);
	rec.flags = INDEX_OPAQUE | INDEX_IMPLICIT;
	check_record(&rec);
}

/* What the reader of archives lets through can be read back, and more is refused. */
Test(index, as_many_extents_as_a_tar_may_have)
{
	size_t n = ATTR_EXTENTS_MAX + 1;
	struct index_rec rec = rec_of(7, S_IFREG | 0600);

	rec.attr.size = 2 * n;
	rec.extents = calloc(n, sizeof(*rec.extents));
	cr_assert_not_null(rec.extents);
	for (size_t i = 0; i < n; i++)
		rec.extents[i] = (struct index_extent){2 * i, 512 + i, 1};
	for (rec.n_extents = n - 1; rec.n_extents <= n; rec.n_extents++) {
		CLEANUP(index_rec) struct index_rec got = {0};
		CLEANUP(buf) struct buf bytes = {0};
		struct reader r;
		int rc;

		index_rec_encode(&rec, &bytes);
		cr_assert(buf_ok(&bytes));
		r = reader_of(bytes.data, bytes.len);
		rc = index_rec_decode(&r, 7, &got);
		cr_assert_eq(rc, rec.n_extents == n ? -EUCLEAN : 0, "%zu: %d", rec.n_extents, rc);
		cr_assert_eq(got.n_extents, rec.n_extents == n ? 0 : n - 1);
	}
	free(rec.extents);
}

Test(index, random_bytes_are_no_records_that_harm)
{
	unsigned int seed = 20261126;
	uint8_t bytes[64];

	for (int i = 0; i < 200000; i++) {
		CLEANUP(index_rec) struct index_rec rec = {0};
		struct reader r = reader_of(bytes, (size_t)rand_r(&seed) % sizeof(bytes));

		for (size_t k = 0; k < r.left; k++)
			bytes[k] = (uint8_t)rand_r(&seed);
		/* So that it gets past the flags and the mode now and then. */
		if (r.left > 4 && (i & 1)) {
			bytes[0] &= 0x1f;
			bytes[1] = 0xa4;
			bytes[2] = 0x83;
			bytes[3] = 0x02;
		}
		if (index_rec_decode(&r, 1, &rec) == 0)
			cr_assert_leq(rec.attr.mtime.tv_nsec, 999999999, "seed 20261126, %d", i);
	}
}
