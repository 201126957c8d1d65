/* SPDX-License-Identifier: Apache-2.0 */
/* What is removed of a cache, and what a cache directory is taken for. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "base/sys.h"
#include "layer/indexed_usage.h"
#include "support/tmpdir.h"

#define HEX "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

/* ---- choosing ---- */

/* Ten bytes each, last used at 100, 200, 300 and 400. */
static struct cached entries[4];
static struct cached_list list = {.v = entries, .n = 4};

static const char *chosen(const struct cached_policy *policy)
{
	static char text[5];

	cached_choose(&list, policy, 1000);
	for (size_t i = 0; i < list.n; i++)
		text[i] = entries[i].chosen ? 'x' : '.';
	return text;
}

static void fill(void)
{
	for (size_t i = 0; i < list.n; i++)
		entries[i] = (struct cached){
			.kind = CACHED_LAYER, .size = 10, .used = 100 * ((int64_t)i + 1)};
}

TestSuite(indexed_usage, .init = fill);

Test(indexed_usage, all_are_chosen_but_what_is_in_use)
{
	entries[2].in_use = true;
	cr_expect_str_eq(chosen(&(struct cached_policy){0}), "xx.x");
}

Test(indexed_usage, what_is_old_enough_is_chosen)
{
	cr_expect_str_eq(chosen(&(struct cached_policy){.older = 800}), "xx..");
	cr_expect_str_eq(chosen(&(struct cached_policy){.older = 801}), "x...");
	cr_expect_str_eq(chosen(&(struct cached_policy){.older = 2000}), "....");
}

/* A server's clock is ahead, or ours was set back. */
Test(indexed_usage, what_will_be_used_is_chosen_with_the_rest)
{
	entries[3].used = 1500;
	cr_expect_str_eq(chosen(&(struct cached_policy){0}), "xxxx");
	cr_expect_str_eq(chosen(&(struct cached_policy){.sized = true, .keep = 0}), "xxxx");
	cr_expect_str_eq(chosen(&(struct cached_policy){.older = 1}), "xxx.");
}

Test(indexed_usage, a_size_is_come_down_to_and_no_further)
{
	cr_expect_str_eq(chosen(&(struct cached_policy){.sized = true, .keep = 40}), "....");
	cr_expect_str_eq(chosen(&(struct cached_policy){.sized = true, .keep = 39}), "x...");
	cr_expect_str_eq(chosen(&(struct cached_policy){.sized = true, .keep = 20}), "xx..");
	cr_expect_str_eq(chosen(&(struct cached_policy){.sized = true, .keep = 0}), "xxxx");
	cr_expect_str_eq(chosen(&(struct cached_policy){.older = 801, .sized = true, .keep = 20}),
			 "x...");
	/* What is in use counts. */
	entries[0].in_use = true;
	cr_expect_str_eq(chosen(&(struct cached_policy){.sized = true, .keep = 20}), ".xx.");
}

Test(indexed_usage, rubbish_goes_whatever_is_asked_for)
{
	entries[1].kind = CACHED_DAMAGED;
	entries[3].kind = CACHED_UNFINISHED;
	cr_expect_str_eq(chosen(&(struct cached_policy){.older = 2000}), ".x.x");
	/* It makes room first. */
	cr_expect_str_eq(chosen(&(struct cached_policy){.sized = true, .keep = 20}), ".x.x");
	cr_expect_str_eq(chosen(&(struct cached_policy){.sized = true, .keep = 19}), "xx.x");
	entries[1].in_use = true;
	cr_expect_str_eq(chosen(&(struct cached_policy){.older = 2000}), "...x");
	/* A part is no rubbish: the next fetch goes on with it. */
	entries[3].kind = CACHED_PART;
	cr_expect_str_eq(chosen(&(struct cached_policy){.older = 2000}), "....");
}

/* ---- a directory ---- */

static struct tmpdir tmp;
static struct timespec then; /* all files are as old */

static void make_cache(void)
{
	tmpdir_make(&tmp);
	then.tv_sec = time(NULL) - 60;
	for (const char *const *dir =
		     (const char *const[]){"index-1", "blobs", "blobs/sha256", NULL};
	     *dir != NULL; dir++)
		cr_assert_eq(sys_mkdirat(tmp.fd, *dir, 0700), 0);
}

static void remove_cache(void)
{
	tmpdir_done(&tmp);
}

TestSuite(indexed_usage_dir, .init = make_cache, .fini = remove_cache);

static int make_file(const char *name)
{
	int fd = sys_openat(tmp.fd, name, O_RDWR | O_CREAT | O_EXCL, 0600);

	cr_assert_geq(fd, 0, "%s: %d", name, fd);
	cr_assert_eq(sys_write_full(fd, "12345", 5), 0);
	cr_assert_eq(futimens(fd, (struct timespec[]){then, then}), 0);
	return fd;
}

static void make_closed(const char *name)
{
	close(make_file(name));
}

/* "kind path size +" of all, + for what is in use. */
static const char *listed(struct cached_list *l)
{
	static char text[4096];
	CLEANUP(err) struct err err = {0};
	size_t len = 0;

	text[0] = '\0';
	cr_assert_eq(cached_list(tmp.path, l, &err), 0, "%s", err_text(&err));
	for (size_t i = 0; i < l->n; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s %s%s",
					i > 0 ? "\n" : "", cached_kind_name(l->v[i].kind),
					l->v[i].path, l->v[i].in_use ? " +" : "");
	return text;
}

static int exists(const char *name)
{
	struct stat st;

	return sys_fstatat(tmp.fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

Test(indexed_usage_dir, a_cache_that_is_not_there_is_empty)
{
	CLEANUP(cached_list) struct cached_list l = {0};
	CLEANUP(err) struct err err = {0};

	cr_expect_eq(cached_list("/nowhere/at/all", &l, &err), 0);
	cr_expect_eq(l.n, 0);
}

Test(indexed_usage_dir, files_are_known_by_their_names)
{
	CLEANUP(cached_list) struct cached_list l = {0};

	make_closed("blobs/sha256/" HEX);
	make_closed("blobs/sha256/" HEX ".part");
	make_closed("blobs/sha256/" HEX ".AbC123");
	make_closed("index-1/draft-1-2");
	make_closed("index-1/broken.idx");
	make_closed("index-1/broken.idx.zst");
	make_closed("index-1/lonely.idx.zst");
	/* Nobody's business. */
	make_closed("blobs/sha256/" HEX ".what");
	make_closed("blobs/sha256/00112233");
	make_closed("blobs/" HEX);
	make_closed("index-1/README");
	make_closed("index-1/.idx");
	make_closed("file");
	cr_assert_eq(symlinkat("../../file", tmp.fd, "index-1/link.idx"), 0);
	cr_assert_eq(mkfifoat(tmp.fd, "index-1/fifo.idx", 0600), 0);
	cr_assert_eq(sys_mkdirat(tmp.fd, "index-1/dir.idx", 0700), 0);
	/* By their paths, as all are as old. */
	cr_expect_str_eq(listed(&l), "blob blobs/sha256/" HEX "\n"
				     "unfinished blobs/sha256/" HEX ".AbC123\n"
				     "part blobs/sha256/" HEX ".part\n"
				     "damaged index-1/broken.idx\n"
				     "unfinished index-1/draft-1-2\n"
				     "damaged index-1/lonely.idx.zst");
	cr_assert_eq(l.n, 6);
	cr_expect_eq(l.v[0].digest.bytes[1], 0x11);
	cr_expect_eq(l.v[0].size, 5);
	cr_expect(l.v[3].frames);
	cr_expect_eq(l.v[3].size, 10);
	for (size_t i = 0; i < l.n; i++)
		cr_expect_eq(cached_remove(tmp.path, &l.v[i]), 0);
	cr_expect_not(exists("index-1/broken.idx.zst"));
	cr_expect_eq(cached_remove(tmp.path, &l.v[0]), -ENOENT);
	cr_expect(exists("index-1/link.idx"));
	cr_expect(exists("index-1/README"));
	cr_expect(exists("blobs/sha256/" HEX ".what"));
}

Test(indexed_usage_dir, what_is_used_or_written_stays)
{
	CLEANUP(cached_list) struct cached_list l = {0};
	CLEANUP(fd) int blob = make_file("blobs/sha256/" HEX);
	CLEANUP(fd) int part = make_file("blobs/sha256/" HEX ".part");
	CLEANUP(fd) int draft = make_file("index-1/draft-1-2");
	int frames = make_file("index-1/a.idx.zst");

	make_closed("index-1/a.idx");
	sys_note_use(blob);
	sys_note_use(frames);
	cr_assert_eq(flock(part, LOCK_EX), 0);
	cr_assert_eq(flock(draft, LOCK_EX), 0);
	cr_expect_str_eq(listed(&l), "blob blobs/sha256/" HEX " +\n"
				     "part blobs/sha256/" HEX ".part +\n"
				     "damaged index-1/a.idx +\n"
				     "unfinished index-1/draft-1-2 +");
	cr_expect_eq(cached_remove(tmp.path, &l.v[0]), -EBUSY);
	cr_expect_eq(cached_remove(tmp.path, &l.v[1]), -EBUSY);
	cr_expect_eq(cached_remove(tmp.path, &l.v[3]), -EBUSY);
	cached_list_done(&l);
	close(frames);
	cr_assert_eq(flock(draft, LOCK_UN), 0);
	cr_expect_str_eq(listed(&l), "blob blobs/sha256/" HEX " +\n"
				     "part blobs/sha256/" HEX ".part +\n"
				     "damaged index-1/a.idx\n"
				     "unfinished index-1/draft-1-2");
}

/* Somebody cleans another's cache: no link in it leads elsewhere. */
Test(indexed_usage_dir, directories_are_no_links)
{
	CLEANUP(cached_list) struct cached_list l = {0};
	CLEANUP(err) struct err err = {0};

	make_closed("blobs/sha256/" HEX);
	cr_assert_eq(sys_renameat(tmp.fd, "blobs", tmp.fd, "away", 0), 0);
	cr_assert_eq(symlinkat("away", tmp.fd, "blobs"), 0);
	cr_expect_neq(cached_list(tmp.path, &l, &err), 0);
	cr_expect_not_null(strstr(err_text(&err), "blobs/sha256"), "%s", err_text(&err));
	cr_expect(exists("away/sha256/" HEX));
}

Test(indexed_usage_dir, using_makes_young_again)
{
	const struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
	CLEANUP(fd) int fd = make_file("blobs/sha256/" HEX);
	struct stat st;

	cr_assert_eq(futimens(fd, old), 0);
	sys_note_use(fd);
	cr_assert_eq(sys_fstat(fd, &st), 0);
	cr_expect_gt(st.st_mtim.tv_sec, time(NULL) - 60);
	cr_expect_eq(st.st_atim.tv_sec, 1000);
}
