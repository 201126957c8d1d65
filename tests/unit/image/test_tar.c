/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of image/tar: forms of headers, and archives that are wrong. */
#include <criterion/criterion.h>
#include <string.h>

#include "image/tar_header.h"
#include "unit/image/tarball.h"

/* The archive gives the transcript, fed in pieces of any size and listed from a blob. */
static void expect(struct buf *t, const char *lines)
{
	static const size_t pieces[] = {1 << 20, 512, 1, 7, 511, 513};
	CLEANUP(transcript) struct transcript got = {0};
	CLEANUP(blob) struct blob *b = NULL;
	CLEANUP(err) struct err e = {0};
	struct tar_sink sink = transcript_sink(&got);
	int r;

	cr_assert(buf_ok(t));
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		const char *text = transcribe(&got, t->data, t->len, pieces[i], NULL, &e, &r);

		cr_assert_eq(r, 0, "%s", err_text(&e));
		cr_assert_str_eq(text, lines);
	}
	buf_clear(&got.text);
	cr_assert_eq(blob_from_memory(t->data, t->len, &b), 0);
	cr_assert_eq(tar_list(b, NULL, &sink, &e), 0, "%s", err_text(&e));
	cr_assert_str_eq(buf_cstr(&got.text), lines);
}

/* The archive is refused with CODE and a sentence that has TEXT in it. */
static void expect_refused(struct buf *t, const struct tar_limits *limits, int code,
			   const char *text)
{
	CLEANUP(transcript) struct transcript got = {0};
	CLEANUP(err) struct err e = {0};
	int r;

	transcribe(&got, t->data, t->len, 512, limits, &e, &r);
	cr_assert_eq(r, -code, "%d: %s", r, err_text(&e));
	cr_assert_not_null(strstr(err_text(&e), text), "%s", err_text(&e));
}

Test(tar, every_type_has_its_fields)
{
	CLEANUP(buf) struct buf t = {0};

	tarball_file(&t, "a", "hello", 5);
	tarball_header(&t, &(struct entry){'1', "b", "a", .mode = 0644, .size = 5});
	tarball_header(&t, &(struct entry){'2', "c", "../x y", .mode = 0777});
	tarball_header(&t, &(struct entry){'3', "d", .mode = 0600, .major = 1, .minor = 0xfffff});
	tarball_header(&t, &(struct entry){'4', "e", .mode = 0660, .uid = 7, .gid = 8, .major = 9});
	tarball_header(&t, &(struct entry){'5', "dir/", .mode = 01777, .size = 4096});
	tarball_header(&t, &(struct entry){'6', "p", .mode = 04644, .mtime = 1234567890});
	tarball_header(&t, &(struct entry){'7', "contiguous", .mode = 0100644, .mtime = -5});
	tarball_header(&t, &(struct entry){'\0', "old/", .mode = 0755});
	tarball_header(&t, &(struct entry){'0', "file/", .mode = 0755});
	tarball_end(&t);
	expect(&t, "f a 0644 0 0 5 0.000000000 @512\n"
		   "h b 0644 0 0 0 0.000000000 -> a\n"
		   "l c 0777 0 0 0 0.000000000 -> ../x\\040y\n"
		   "c d 0600 0 0 0 0.000000000 1:1048575\n"
		   "b e 0660 7 8 0 0.000000000 9:0\n"
		   "d dir/ 1777 0 0 0 0.000000000\n"
		   "p p 4644 0 0 0 1234567890.000000000\n"
		   "f contiguous 0644 0 0 0 -5.000000000 @4608\n"
		   "d old/ 0755 0 0 0 0.000000000\n"
		   "f file/ 0755 0 0 0 0.000000000 @5632\n");
}

static void star_trailer(uint8_t *block)
{
	memcpy(block + TAR_PREFIX + 131, "00000000012", 11);
	memcpy(block + TAR_STAR_TRAILER, "tar", 4);
}

Test(tar, names_have_a_prefix_where_the_format_has_one)
{
	CLEANUP(buf) struct buf t = {0}, lines = {0};
	char full[101];

	memset(full, 'n', 100);
	full[100] = '\0';
	tarball_header(&t, &(struct entry){'5', full, .prefix = "pre/fix"});
	tarball_header(&t, &(struct entry){'5', "star", .prefix = "p", .patch = star_trailer});
	tarball_header(&t, &(struct entry){'5', "v7", .prefix = "p", .magic = "\0\0\0\0\0\0\0"});
	tarball_header(&t,
		       &(struct entry){'5', "gnu", .prefix = "00000000012", .magic = "ustar  "});
	/* As Docker wrote it for a while: a prefix, in GNU's format. */
	tarball_header(&t,
		       &(struct entry){'5', "docker", .prefix = "usr/share", .magic = "ustar  "});
	tarball_end(&t);
	buf_printf(&lines, "d pre/fix/%s 0000 0 0 0 0.000000000\n", full);
	buf_put_str(&lines, "d p/star 0000 0 0 0 0.000000000\n"
			    "d v7 0000 0 0 0 0.000000000\n"
			    "d gnu 0000 0 0 0 0.000000000\n"
			    "d usr/share/docker 0000 0 0 0 0.000000000\n");
	expect(&t, buf_cstr(&lines));
}

Test(tar, pax_says_more_and_names_stay_as_they_are)
{
	CLEANUP(buf) struct buf t = {0}, pax = {0};

	/* Two names that are one to those who normalise, and one that is no UTF-8. */
	pax_text(&pax, "path", "e\xcc\x81");
	pax_text(&pax, "mtime", "-1.25");
	pax_text(&pax, "uid", "4294967294");
	pax_text(&pax, "gid", "100000");
	tarball_special(&t, 'x', pax.data, pax.len);
	tarball_header(&t, &(struct entry){'5', "short"});
	buf_clear(&pax);
	pax_text(&pax, "path", "\xc3\xa9");
	pax_text(&pax, "mtime", "1.0000000019");
	tarball_special(&t, 'x', pax.data, pax.len);
	tarball_header(&t, &(struct entry){'5', "short"});
	buf_clear(&pax);
	pax_text(&pax, "path", "\xff/x");
	pax_text(&pax, "linkpath", "long\xfe");
	pax_text(&pax, "comment", "");
	tarball_special(&t, 'x', pax.data, pax.len);
	tarball_header(&t, &(struct entry){'2', "short"});
	tarball_header(&t, &(struct entry){'5', "none"});
	tarball_end(&t);
	expect(&t, "d e\\314\\201 0000 4294967294 100000 0 -2.750000000\n"
		   "d \\303\\251 0000 0 0 0 1.000000001\n"
		   "l \\377/x 0000 0 0 0 0.000000000 -> long\\376\n"
		   "d none 0000 0 0 0 0.000000000\n");
}

Test(tar, pax_has_xattrs_and_sizes)
{
	CLEANUP(buf) struct buf t = {0}, pax = {0};

	pax_record(&pax, "SCHILY.xattr.security.capability", "\1\0\n=\2", 5);
	pax_text(&pax, "SCHILY.xattr.user.empty", "");
	pax_text(&pax, "SCHILY.xattr.user.twice", "1");
	pax_text(&pax, "SCHILY.xattr.user.twice", "2");
	pax_text(&pax, "SCHILY.xattr.", "nameless");
	pax_text(&pax, "size", "3");
	tarball_special(&t, 'x', pax.data, pax.len);
	tarball_header(&t, &(struct entry){'0', "f", .size = 0});
	tarball_bytes(&t, "abc", 3);
	tarball_file(&t, "g", "", 0);
	tarball_end(&t);
	expect(&t, "! : an extended attribute that no Linux can have is left out\n"
		   "f f 0000 0 0 3 0.000000000 @1536 security.capability=\\001\\000\\012=\\002"
		   " user.empty= user.twice=2\n"
		   "f g 0644 0 0 0 0.000000000 @2560\n");
}

Test(tar, long_names_of_gnu_win)
{
	CLEANUP(buf) struct buf t = {0}, pax = {0};

	pax_text(&pax, "path", "from-pax");
	tarball_special(&t, 'L', "from-gnu\0rest", 13);
	tarball_special(&t, 'K', "target", 6);
	tarball_special(&t, 'x', pax.data, pax.len);
	tarball_header(&t, &(struct entry){'2', "name", "link"});
	tarball_special(&t, 'x', pax.data, pax.len);
	tarball_header(&t, &(struct entry){'2', "name", "link"});
	tarball_end(&t);
	expect(&t, "l from-gnu 0000 0 0 0 0.000000000 -> target\n"
		   "l from-pax 0000 0 0 0 0.000000000 -> link\n");
}

Test(tar, what_is_not_used_is_passed_over_with_a_word)
{
	CLEANUP(buf) struct buf t = {0}, pax = {0};

	pax_text(&pax, "path", "for-all");
	tarball_special(&t, 'g', pax.data, pax.len);
	tarball_header(&t, &(struct entry){'V', "label", .size = 600});
	tarball_bytes(&t, "\0", 1);
	tarball_bytes(&t, "\0", 1);
	tarball_file(&t, "a", "x", 1);
	tarball_end(&t);
	tarball_bytes(&t, "more", 4);
	expect(&t, "! special: a pax global header is not applied\n"
		   "! label: a member of a type that only its maker knows\n"
		   "f a 0644 0 0 1 0.000000000 @3072\n" /* listed and fed alike */
		   "! : something follows the end of the archive\n");
}

/* ---- sparse files ----------------------------------------------------------------------- */

static void old_sparse(uint8_t *block)
{
	memcpy(block + TAR_GNU_SPARSE,
	       "00000000000\0"
	       "00000000003\0",
	       24);
	memcpy(block + TAR_GNU_SPARSE + 24,
	       "00000010000\0"
	       "00000000002\0",
	       24);
	memcpy(block + TAR_GNU_SPARSE + 48,
	       "00000020000\0"
	       "00000000001\0",
	       24);
	memcpy(block + TAR_GNU_SPARSE + 72,
	       "00000030000\0"
	       "00000000000\0",
	       24);
	memcpy(block + TAR_GNU_REALSIZE, "00000040000\0", 12);
}

static void old_sparse_extended(uint8_t *block)
{
	old_sparse(block);
	block[TAR_GNU_EXTENDED] = 1;
}

Test(tar, old_sparse_files_have_their_map_in_headers)
{
	CLEANUP(buf) struct buf t = {0};
	uint8_t more[TAR_BLOCK] = "00000040000\0"
				  "00000000004\0";

	tarball_header(&t, &(struct entry){'S', "s", .magic = "ustar  ", .size = 6,
					   .patch = old_sparse});
	tarball_bytes(&t, "abcdef", 6);
	memcpy(more, "00000035000", 11);
	tarball_header(&t, &(struct entry){'S', "m", .magic = "ustar  ", .size = 10,
					   .patch = old_sparse_extended});
	buf_put(&t, more, sizeof(more));
	tarball_bytes(&t, "abcdefghij", 10);
	tarball_file(&t, "z", "", 0);
	tarball_end(&t);
	expect(&t,
	       "f s 0000 0 0 16384 0.000000000 @512 [0+3@512] [4096+2@515] [8192+1@517] sparse\n"
	       "f m 0000 0 0 16384 0.000000000 @2048 [0+3@2048] [4096+2@2051] [8192+1@2053]"
	       " [14848+4@2054] sparse\n"
	       "f z 0644 0 0 0 0.000000000 @3072\n");
}

static void sparse_pax(struct buf *t, const char *const *records, size_t n)
{
	CLEANUP(buf) struct buf pax = {0};

	for (size_t i = 0; i < n; i += 2)
		pax_text(&pax, records[i], records[i + 1]);
	tarball_special(t, 'x', pax.data, pax.len);
}

#define SPARSE_PAX(t, ...)                                                                         \
	sparse_pax(t, (const char *const[]){__VA_ARGS__},                                          \
		   sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

Test(tar, pax_sparse_files_have_their_map_in_records_or_content)
{
	CLEANUP(buf) struct buf t = {0}, map = {0};

	SPARSE_PAX(&t, "GNU.sparse.size", "1000", "GNU.sparse.numblocks", "2", "GNU.sparse.offset",
		   "0", "GNU.sparse.numbytes", "2", "GNU.sparse.offset", "998",
		   "GNU.sparse.numbytes", "2");
	tarball_file(&t, "v00", "abcd", 4);
	SPARSE_PAX(&t, "GNU.sparse.size", "1000", "GNU.sparse.map", "7,4,1000,0", "GNU.sparse.name",
		   "v01");
	tarball_file(&t, "GNUSparseFile.0/v01", "abcd", 4);
	SPARSE_PAX(&t, "GNU.sparse.major", "1", "GNU.sparse.minor", "0", "GNU.sparse.name", "v10",
		   "GNU.sparse.realsize", "3000");
	buf_put_str(&map, "2\n10\n4\n2000\n1\n");
	tarball_pad(&map);
	buf_put_str(&map, "abcde");
	tarball_file(&t, "GNUSparseFile.0/v10", map.data, map.len);
	SPARSE_PAX(&t, "GNU.sparse.size", "1000", "GNU.sparse.map", "1000,0");
	tarball_file(&t, "hole", "", 0);
	tarball_end(&t);
	expect(&t, "f v00 0644 0 0 1000 0.000000000 @1536 [0+2@1536] [998+2@1538] sparse\n"
		   "f v01 0644 0 0 1000 0.000000000 @3584 [7+4@3584] sparse\n"
		   "f v10 0644 0 0 3000 0.000000000 @6144 [10+4@6144] [2000+1@6148] sparse\n"
		   "f hole 0644 0 0 1000 0.000000000 @8192 sparse\n");
}

/* A sparse file whose map has hundreds of blocks. */
Test(tar, a_map_in_the_content_may_be_long)
{
	CLEANUP(buf) struct buf t = {0}, map = {0}, lines = {0};
	const unsigned n = 20000;
	uint64_t physical;

	buf_printf(&map, "%u\n", n);
	for (unsigned i = 0; i < n; i++)
		buf_printf(&map, "%u\n1\n", 2 * i);
	tarball_pad(&map);
	physical = 1536 + map.len;
	buf_printf(&lines, "f long 0644 0 0 40000 0.000000000 @%llu", (unsigned long long)physical);
	for (unsigned i = 0; i < n; i++) {
		buf_printf(&lines, " [%u+1@%llu]", 2 * i, (unsigned long long)physical + i);
		buf_put_u8(&map, 'x');
	}
	buf_put_str(&lines, " sparse\n");
	SPARSE_PAX(&t, "GNU.sparse.major", "1", "GNU.sparse.realsize", "40000");
	tarball_file(&t, "long", map.data, map.len);
	tarball_end(&t);
	expect(&t, buf_cstr(&lines));
}

static void expect_bad_map(const char *text, size_t content, const char *why)
{
	CLEANUP(buf) struct buf t = {0};
	char bytes[64] = {0};

	SPARSE_PAX(&t, "GNU.sparse.size", "100", "GNU.sparse.map", text);
	tarball_file(&t, "bad", bytes, content);
	tarball_end(&t);
	expect_refused(&t, NULL, EBADMSG, why);
}

Test(tar, maps_that_do_not_fit_are_refused)
{
	expect_bad_map("0,2,1,2", 4, "does not fit");
	expect_bad_map("5,1,0,1", 2, "does not fit");
	expect_bad_map("99,2", 2, "does not fit");
	expect_bad_map("0,4", 3, "does not fit");
	expect_bad_map("0,4", 5, "does not fit");
	expect_bad_map("9223372036854775807,9223372036854775807", 5, "does not fit");
	expect_bad_map("0", 0, "cannot be");
	expect_bad_map("0,", 0, "cannot be");
	expect_bad_map("0,1,", 1, "cannot be");
	expect_bad_map("0,-1", 1, "cannot be");
	expect_bad_map("99999999999999999999,1", 1, "cannot be");
}

/* ---- what is wrong ---------------------------------------------------------------------- */

Test(tar, a_cut_is_noticed_wherever_it_matters)
{
	CLEANUP(buf) struct buf t = {0}, pax = {0};
	CLEANUP(transcript) struct transcript got = {0};
	size_t content_end, whole;

	pax_text(&pax, "path", "name");
	tarball_file(&t, "a", "0123456789", 10);
	tarball_special(&t, 'x', pax.data, pax.len);
	tarball_file(&t, "b", "0123456789", 10);
	content_end = t.len - TAR_BLOCK + 10;
	whole = t.len;
	tarball_end(&t);
	for (size_t len = 0; len <= t.len; len++) {
		CLEANUP(err) struct err e = {0};
		bool fine = len == 0 || (len >= 522 && len <= 1024) ||
			    (len >= content_end && len <= whole) || len >= whole + TAR_BLOCK;
		int r;

		transcribe(&got, t.data, len, 100, NULL, &e, &r);
		cr_assert_eq(r, fine ? 0 : -EBADMSG, "%zu bytes: %d", len, r);
	}
}

static void bad_size(uint8_t *block)
{
	memcpy(block + TAR_SIZE, "0000000x000", 12);
}

static void huge_size(uint8_t *block)
{
	memset(block + TAR_SIZE, 0, 12);
	memset(block + TAR_SIZE + 4, 0xff, 8);
	block[TAR_SIZE + 4] = 0x7f;
	block[TAR_SIZE] = 0x80;
}

static void too_big_number(uint8_t *block)
{
	huge_size(block);
	block[TAR_SIZE + 3] = 1;
}

Test(tar, headers_that_lie_are_refused)
{
	static const struct {
		struct entry x;
		const char *why;
	} cases[] = {
		{{'0', "f", .patch = bad_size}, "no number"},
		{{'0', "f", .patch = too_big_number}, "no number"},
		{{'0', "f", .size = -1}, "negative"},
		{{'0', "f", .patch = huge_size}, "ends inside"},
		{{'0', "f", .uid = UINT32_MAX}, "owner"},
		{{'3', "f", .major = 4096}, "device"},
		{{'x', "f", .size = (1 << 20) + 1}, "1 MiB"},
		{{'L', "f", .size = -1}, "1 MiB"},
		{{'S', "f"}, "only its maker"},
		{{'S', "f", .magic = "ustar  ", .size = 1}, "does not fit"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CLEANUP(buf) struct buf t = {0};

		tarball_header(&t, &cases[i].x);
		tarball_end(&t);
		expect_refused(&t, NULL, EBADMSG, cases[i].why);
	}
}

Test(tar, a_changed_byte_of_a_header_breaks_its_sum)
{
	CLEANUP(buf) struct buf t = {0};

	tarball_file(&t, "a", "", 0);
	tarball_end(&t);
	t.data[3] = 1;
	expect_refused(&t, NULL, EBADMSG, "member 1 at byte 0: the header's checksum");
}

Test(tar, pax_records_that_are_malformed_are_refused)
{
	static const char *const texts[] = {
		"x",
		"5 a=b",
		"7 a=b\n",
		"6 a=bc\n",
		"5 ab\n",
		"5 =b\n",
		"-6 a=b\n",
		"8 a=b\n",
		"99999999999999999999 a=b\n",
		"11 uid=abc\n",
		"13 mtime=1.x\n",
		"13 mtime=--1\n",
		"10 size=-\n",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		CLEANUP(buf) struct buf t = {0};

		tarball_special(&t, 'x', texts[i], strlen(texts[i]));
		tarball_file(&t, "a", "", 0);
		tarball_end(&t);
		expect_refused(&t, NULL, EBADMSG, "pax header");
	}
}

Test(tar, a_nul_in_a_pax_path_is_refused)
{
	CLEANUP(buf) struct buf t = {0}, pax = {0};

	pax_record(&pax, "path", "a\0b", 3);
	tarball_special(&t, 'x', pax.data, pax.len);
	tarball_file(&t, "a", "", 0);
	expect_refused(&t, NULL, EBADMSG, "cannot be");
}

Test(tar, limits_end_the_reading)
{
	CLEANUP(buf) struct buf t = {0}, pax = {0};

	pax_text(&pax, "SCHILY.xattr.user.x", "12345");
	tarball_special(&t, 'x', pax.data, pax.len);
	tarball_file(&t, "abc", "", 0);
	tarball_file(&t, "def", "", 0);
	SPARSE_PAX(&t, "GNU.sparse.size", "10", "GNU.sparse.map", "0,0,2,0,4,0");
	tarball_file(&t, "s", "", 0);
	tarball_end(&t);
	expect_refused(&t, &(struct tar_limits){.members = 2}, E2BIG,
		       "member 3 at byte 2048: more members");
	expect_refused(&t, &(struct tar_limits){.name_bytes = 6}, E2BIG, "more bytes of names");
	expect_refused(&t, &(struct tar_limits){.xattr_bytes = 10}, E2BIG, "extended attributes");
	expect_refused(&t, &(struct tar_limits){.extents = 2}, E2BIG, "parts");
	expect(&t, "f abc 0644 0 0 0 0.000000000 @1536 user.x=12345\n"
		   "f def 0644 0 0 0 0.000000000 @2048\n"
		   "f s 0644 0 0 10 0.000000000 @3584 sparse\n");
}
