/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of tool/check: findings in the tar of a layer, and what they come to. */
#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

#include "support/tmpdir.h"
#include "tool/check.h"

#define BLOCK 512

/* A member without content. */
static void member(FILE *f, char type, const char *name, const char *link)
{
	char block[BLOCK] = "";
	unsigned int sum = 0;

	snprintf(block, 100, "%s", name);
	memcpy(block + 100, "0000644", 8);
	memcpy(block + 108, "0000000", 8);
	memcpy(block + 116, "0000000", 8);
	memcpy(block + 124, "00000000000", 12);
	memcpy(block + 136, "00000000000", 12);
	block[156] = type;
	snprintf(block + 157, 100, "%s", link);
	memcpy(block + 257, "ustar\00000", 8);
	memset(block + 148, ' ', 8);
	for (size_t i = 0; i < BLOCK; i++)
		sum += (unsigned char)block[i];
	snprintf(block + 148, 8, "%06o", sum);
	cr_assert_eq(fwrite(block, BLOCK, 1, f), 1);
}

static void end_tar(FILE *f)
{
	static const char zeros[2 * BLOCK];

	cr_assert_eq(fwrite(zeros, sizeof(zeros), 1, f), 1);
	fclose(f);
}

/* Checking "t.tar" ends with STATUS and writes WANTED. */
static void checks(struct check_options o, int status, const char *wanted)
{
	CLEANUP(err) struct err err = {0};
	char *out = NULL;
	size_t len;

	o.ref = "t.tar";
	o.out = open_memstream(&out, &len);
	cr_assert_not_null(o.out);
	cr_assert_eq(check_run(&o, &err), status, "%s", err_text(&err));
	cr_assert_eq((status & CHECK_FAILED) != 0, err.code != 0);
	fclose(o.out);
	cr_assert_str_eq(out, wanted);
	free(out);
}

static FILE *begin(struct tmpdir *tmp)
{
	FILE *f;

	tmpdir_make(tmp);
	cr_assert_eq(chdir(tmp->path), 0);
	f = fopen("t.tar", "w");
	cr_assert_not_null(f);
	return f;
}

Test(check, a_layer_in_order)
{
	struct tmpdir tmp;
	FILE *f = begin(&tmp);

	member(f, '0', "a", "");
	member(f, '1', "b", "a");
	end_tar(f);
	checks((struct check_options){0}, CHECK_CLEAN,
	       "t.tar: 1 layer, 2 members, 2.0 kB: in order\n");
	tmpdir_done(&tmp);
}

Test(check, findings_are_warnings_or_errors)
{
	struct tmpdir tmp;
	FILE *f = begin(&tmp);

	member(f, '0', "a\033", "");
	member(f, '0', "a\033", "");
	member(f, '1', "d/b", "nowhere");
	end_tar(f);
	checks((struct check_options){0}, CHECK_WARNED,
	       "layers: warning: layer 1: a?: a second member of the same name; the last one is taken\n"
	       "stack: warning: layer 1: d/b: a hard link without a target, or to a directory; left out\n"
	       "t.tar: 1 layer, 3 members, 2.6 kB: 0 errors, 2 warnings\n");
	checks((struct check_options){.strict = true}, CHECK_BROKEN,
	       "layers: error: layer 1: a?: a second member of the same name\n"
	       "stack: error: layer 1: d/b: a hard link without a target, or to a directory\n"
	       "t.tar: 1 layer, 3 members, 2.6 kB: 2 errors, 0 warnings\n");
	tmpdir_done(&tmp);
}

Test(check, one_kind_has_so_many_lines)
{
	struct tmpdir tmp;
	FILE *f = begin(&tmp);
	char *out = NULL;
	size_t len, lines = 0;
	struct check_options o = {.ref = "t.tar"};

	for (int i = 0; i < 1000; i++)
		member(f, '0', "../x", "");
	end_tar(f);
	o.out = open_memstream(&out, &len);
	cr_assert_eq(check_run(&o, NULL), CHECK_WARNED);
	fclose(o.out);
	for (const char *p = out; *p != '\0'; p++)
		lines += *p == '\n';
	cr_assert_eq(lines, 22);
	cr_assert_not_null(strstr(out, "root: 980 more; left out\n"));
	free(out);
	tmpdir_done(&tmp);
}

Test(check, damage)
{
	struct tmpdir tmp;
	FILE *f = begin(&tmp);

	member(f, '0', "a", "");
	fputs("no header, although there are enough bytes to hold one of them", f);
	end_tar(f);
	checks((struct check_options){0}, CHECK_BROKEN,
	       "layers: error: layer 1: member 2 at byte 512: the header's checksum is wrong\n"
	       "t.tar: 1 layer, 0 members, 0 B: 1 error, 0 warnings\n");
	tmpdir_done(&tmp);
}

Test(check, cancelled)
{
	static const atomic_bool yes = true;
	struct tmpdir tmp;
	FILE *f = begin(&tmp);

	member(f, '0', "a", "");
	end_tar(f);
	checks((struct check_options){.cancel = &yes}, CHECK_FAILED | CHECK_CANCELLED, "");
	tmpdir_done(&tmp);
}

/* Whoever writes the first line is told to stop. */
static ssize_t write_and_cancel(void *cookie, const char *bytes, size_t size)
{
	(void)bytes;
	atomic_store((atomic_bool *)cookie, true);
	return (ssize_t)size;
}

Test(check, cancelled_after_a_finding)
{
	CLEANUP(err) struct err err = {0};
	atomic_bool cancel = false;
	struct check_options o = {.ref = "t.tar", .cancel = &cancel};
	struct tmpdir tmp;
	FILE *f = begin(&tmp);

	member(f, 'Z', "of an unknown type", "");
	for (int i = 0; i < 20000; i++)
		member(f, '0', "a", "");
	end_tar(f);
	o.out = fopencookie(&cancel, "w", (cookie_io_functions_t){.write = write_and_cancel});
	setvbuf(o.out, NULL, _IONBF, 0);
	cr_assert_eq(check_run(&o, &err), CHECK_FAILED | CHECK_CANCELLED | CHECK_WARNED);
	fclose(o.out);
	tmpdir_done(&tmp);
}
