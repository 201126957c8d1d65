/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of layer/indexed_cache: indexes of an earlier version hide nothing, and make way. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/hash.h"
#include "base/sys.h"
#include "catalog/index_format.h"
#include "layer/indexed_cache.h"
#include "layer/indexed_usage.h"
#include "layer/indexed_write.h"
#include "support/tmpdir.h"

#define NAME "file-1.idx"

struct caches {
	struct tmpdir tmp;
	char own[600], site[600];
};

static void caches_make(struct caches *ret_c)
{
	tmpdir_make(&ret_c->tmp);
	snprintf(ret_c->own, sizeof(ret_c->own), "%s/own", ret_c->tmp.path);
	snprintf(ret_c->site, sizeof(ret_c->site), "%s/site", ret_c->tmp.path);
}

static void caches_done(struct caches *c)
{
	tmpdir_done(&c->tmp);
}
DEFINE_CLEANUP(struct caches, caches, caches_done)

/* The index of an empty layer of SIZE bytes, as a mount would leave it in DIR. */
static void make_index(const char *dir, uint64_t size)
{
	CLEANUP(indexed_cache) struct indexed_cache *cache = NULL;
	CLEANUP(indexed_draft) struct indexed_draft draft = {.dirfd = -1, .fd = -1};
	CLEANUP(index_builder) struct index_builder *b = NULL;
	CLEANUP(index_file) struct index_file *x = NULL;
	CLEANUP(err) struct err err = {0};
	struct indexed_head head = {.compression = COMPRESSION_NONE, .size = size};
	struct apply *a = NULL;

	cr_assert_eq(apply_new(&(struct apply_options){0}, &a), 0);
	cr_assert_eq(indexed_cache_open(dir, "", &cache, &err), 0, "%s", err_text(&err));
	cr_assert_eq(indexed_draft_new(cache, &draft, &err), 0, "%s", err_text(&err));
	cr_assert_eq(index_builder_new(draft.fd, &b), 0);
	cr_assert_eq(indexed_write(a, &head, b), 0);
	cr_assert_eq(index_finish(b, false), 0);
	cr_assert_eq(indexed_draft_publish(&draft, NAME, &x, &err), 0, "%s", err_text(&err));
	apply_free(a);
}

/* It becomes one of the first version, in which headers of hard links did not count. */
static void make_old(const char *dir)
{
	uint8_t trailer[INDEX_TRAILER_SIZE];
	char path[700];
	struct stat st;
	CLEANUP(fd) int fd = -1;

	snprintf(path, sizeof(path), "%s/" CACHE_INDEXES "/" NAME, dir);
	cr_assert_eq(chmod(path, 0600), 0);
	fd = sys_openat(AT_FDCWD, path, O_RDWR, 0);
	cr_assert_geq(fd, 0);
	cr_assert_eq(sys_fstat(fd, &st), 0);
	cr_assert_eq(sys_pread_full(fd, trailer, sizeof(trailer), st.st_size - INDEX_TRAILER_SIZE),
		     INDEX_TRAILER_SIZE);
	put_le32(trailer + 8, 1);
	put_le64(trailer + INDEX_TRAILER_SUMMED, hash64(trailer, INDEX_TRAILER_SUMMED, 0));
	cr_assert_eq(sys_pwrite_full(fd, trailer, sizeof(trailer), st.st_size - INDEX_TRAILER_SIZE),
		     0);
}

/* What a mount finds: the index of a layer of so many bytes; 0: none. */
static uint64_t found(const struct caches *c)
{
	CLEANUP(indexed_cache) struct indexed_cache *cache = NULL;
	CLEANUP(index_file) struct index_file *x = NULL;
	CLEANUP(err) struct err err = {0};
	struct indexed_head head;
	int rc;

	cr_assert_eq(indexed_cache_open(c->own, c->site, &cache, &err), 0, "%s", err_text(&err));
	rc = indexed_cache_find(cache, NAME, &x);
	if (rc == -ENOENT)
		return 0;
	cr_assert_eq(rc, 0);
	cr_assert_eq(indexed_read_head(x, &head), 0);
	return head.size;
}

Test(indexed_cache, an_old_index_hides_nothing)
{
	CLEANUP(caches) struct caches c;

	caches_make(&c);
	make_index(c.own, 1);
	make_index(c.site, 2);
	cr_expect_eq(found(&c), 1);
	make_old(c.own);
	cr_expect_eq(found(&c), 2);
	make_old(c.site);
	cr_expect_eq(found(&c), 0);
	/* The next mount makes it anew, in its place. */
	make_index(c.own, 3);
	cr_expect_eq(found(&c), 3);
}

/* It is no damage, so that it goes when nobody has used it for long, as others do. */
Test(indexed_cache, an_old_index_is_outdated)
{
	CLEANUP(caches) struct caches c;
	CLEANUP(cached_list) struct cached_list l = {0};
	CLEANUP(err) struct err err = {0};
	const struct cached_policy old = {.older = 3600};

	caches_make(&c);
	make_index(c.own, 1);
	make_old(c.own);
	cr_assert_eq(cached_list(c.own, &l, &err), 0, "%s", err_text(&err));
	cr_assert_eq(l.n, 1);
	cr_expect_str_eq(cached_kind_name(l.v[0].kind), "outdated");
	cached_choose(&l, &old, l.v[0].used + 3599);
	cr_expect_not(l.v[0].chosen);
	cached_choose(&l, &old, l.v[0].used + 3600);
	cr_expect(l.v[0].chosen);
}
