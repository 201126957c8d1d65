/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of metacopies in a plain directory: what a look-up tells of them, and what opening them does. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "unit/layer/plain.h"

#define WITH_PLAIN(p)                                                                              \
	CLEANUP(plain) struct plain p = {0};                                                       \
	log_set_level(LOG_LEVEL_ERROR);                                                            \
	plain_make(&p)

/* Below a block, one, and above. */
static const off_t sizes[] = {1, 4096, 100000};
#define N_SIZES (sizeof(sizes) / sizeof(*sizes))

/* As overlayfs makes them: no byte is written, so nothing but xattrs can take blocks. */
static void put_hole(struct plain *p, const char *path, off_t size)
{
	int fd;

	put_file(p, path, "");
	fd = openat(p->tmp.fd, path, O_WRONLY | O_CLOEXEC);
	cr_assert_eq(ftruncate(fd, size), 0, "%m");
	close(fd);
}

/* As a copy of one can be: the zeros are stored. */
static void put_zeros(struct plain *p, const char *path, off_t size)
{
	static const char zeros[100000];
	int fd;

	put_file(p, path, "");
	fd = openat(p->tmp.fd, path, O_WRONLY | O_CLOEXEC);
	cr_assert_eq(write(fd, zeros, (size_t)size), size, "%m");
	close(fd);
}

/* More than an inode of ext4 has room for: a block of xattrs, as overlayfs' own can be. */
static void put_long_xattr(struct plain *p, const char *path)
{
	char value[1001];

	memset(value, 'x', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	put_xattr(p, path, "trusted.overlay.origin", value);
}

static blkcnt_t blocks_of(const struct plain *p, const char *path)
{
	struct stat st;

	cr_assert_eq(fstatat(p->tmp.fd, path, &st, AT_SYMLINK_NOFOLLOW), 0, "%s: %m", path);
	return st.st_blocks;
}

/* Opens DIR/NAME (NAME alone where DIR is ""): 0 or -errno. */
static int open_in(struct plain *p, const char *dir, const char *name)
{
	struct layer_entry e = {0};
	struct layer_file *f = NULL;
	int r;

	if (*dir != '\0')
		cr_assert_eq(plain_lookup(p, dir, &e), 0, "%s", dir);
	r = layer_open(p->layer, e.dir != NULL ? e.dir : p->root, name, &f);
	layer_entry_done(p->layer, &e);
	if (r == 0)
		layer_file_close(f);
	return r;
}

/* A look-up asks only where there is no block, and with trust. */
Test(dir_metacopy, what_a_lookup_tells)
{
	const struct layer_options trusting = {.trust = LAYER_TRUST_METACOPY};
	WITH_PLAIN(p);
	put_hole(&p, "hole", 100000);
	put_xattr(&p, "hole", "trusted.overlay.metacopy", "");
	put_zeros(&p, "full", 4096);
	put_xattr(&p, "full", "trusted.overlay.metacopy", "");
	put_hole(&p, "plain", 100000);
	plain_open(&p, NULL);
	if (blocks_of(&p, "hole") == 0)
		cr_assert_eq(plain_flags(&p, "hole"), LAYER_METACOPY);
	cr_assert_eq(plain_flags(&p, "full"), 0, "not asked without trust");
	cr_assert_eq(plain_flags(&p, "plain"), 0);
	plain_close(&p);
	plain_open(&p, &trusting);
	cr_assert_eq(plain_flags(&p, "hole"), LAYER_METACOPY);
	cr_assert_eq(plain_flags(&p, "full"), LAYER_METACOPY);
}

/* One of each kind for every size, in the directory d; how many there are. */
static int put_metacopies(struct plain *p, const char *mark, int first)
{
	int n = first;

	for (size_t i = 0; i < 3 * N_SIZES; i++, n++) {
		char path[64];

		snprintf(path, sizeof(path), "d/%d", n);
		if (i % 3 < 2)
			put_hole(p, path, sizes[i / 3]);
		else
			put_zeros(p, path, sizes[i / 3]);
		if (i % 3 == 1)
			put_long_xattr(p, path);
		put_xattr(p, path, mark, "");
	}
	return n;
}

/* Whatever their size is, and however many blocks they have. */
Test(dir_metacopy, is_not_opened_without_trust)
{
	const struct layer_options trusting = {.trust = LAYER_TRUST_METACOPY};
	const struct layer_options noxattr = {.noxattr = true};
	int n;
	WITH_PLAIN(p);
	put_dir(&p, "d");
	n = put_metacopies(&p, "user.overlay.metacopy", 0);
	n = put_metacopies(&p, "trusted.overlay.metacopy", n);
	plain_open(&p, NULL);
	for (int i = 0; i < n; i++) {
		char name[16];

		snprintf(name, sizeof(name), "%d", i);
		cr_expect_eq(open_in(&p, "d", name), -EPERM, "%s of %d", name, n);
	}
	plain_close(&p);
	plain_open(&p, &trusting);
	cr_expect_eq(open_in(&p, "d", "1"), 0, "the look-up has told whose bytes these are");
	plain_close(&p);
	plain_open(&p, &noxattr);
	cr_expect_eq(open_in(&p, "d", "1"), 0, "nothing is asked");
}

/* Other files open whatever xattrs they have. */
Test(dir_metacopy, other_files_are_opened)
{
	WITH_PLAIN(p);
	put_hole(&p, "hole", 100000);
	put_zeros(&p, "full", 4096);
	put_zeros(&p, "marked", 4096);
	put_long_xattr(&p, "marked");
	put_xattr(&p, "marked", "user.overlay.redirect", "/elsewhere");
	put_zeros(&p, "escaped", 1);
	put_xattr(&p, "escaped", "trusted.overlay.overlay.metacopy", "");
	put_file(&p, "empty", "");
	put_xattr(&p, "empty", "user.overlay.metacopy", "");
	plain_open(&p, NULL);
	cr_expect_eq(open_in(&p, "", "hole"), 0);
	cr_expect_eq(open_in(&p, "", "full"), 0);
	cr_expect_eq(open_in(&p, "", "marked"), 0);
	cr_expect_eq(open_in(&p, "", "escaped"), 0, "a nested overlay's");
	cr_expect_eq(open_in(&p, "", "empty"), 0, "there are no bytes to be wrong");
}
