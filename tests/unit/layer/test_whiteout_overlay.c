/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the overlay family of marks. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/sys.h"
#include "layer/whiteout.h"
#include "unit/layer/plain.h"

Test(whiteout_overlay, by_device)
{
	struct stat st = {.st_mode = S_IFCHR, .st_rdev = makedev(0, 0)};

	cr_assert(overlay_is_whiteout(&st));
	st.st_rdev = makedev(0, 1);
	cr_assert_not(overlay_is_whiteout(&st));
	st.st_rdev = makedev(1, 0);
	cr_assert_not(overlay_is_whiteout(&st));
	st = (struct stat){.st_mode = S_IFBLK};
	cr_assert_not(overlay_is_whiteout(&st));
	st.st_mode = S_IFREG;
	cr_assert_not(overlay_is_whiteout(&st));
}

Test(whiteout_overlay, candidates)
{
	struct stat st = {.st_mode = S_IFREG};

	cr_assert(overlay_may_be_whiteout(&st));
	cr_assert_not(overlay_is_hollow(&st));
	st.st_size = 1;
	cr_assert_not(overlay_may_be_whiteout(&st));
	cr_assert(overlay_is_hollow(&st));
	st.st_blocks = 8;
	cr_assert_not(overlay_is_hollow(&st), "and a metacopy nevertheless, if they are of xattrs");
	st = (struct stat){.st_mode = S_IFDIR};
	cr_assert_not(overlay_may_be_whiteout(&st));
}

Test(whiteout_overlay, marks)
{
	CLEANUP(plain) struct plain p = {0};
	CLEANUP(overlay_marks) struct overlay_marks m = {0};

	plain_make(&p);
	put_file(&p, "none", "");
	put_xattr(&p, "none", "user.mine", "1");
	put_file(&p, "all", "");
	put_xattr(&p, "all", "trusted.overlay.opaque", "y");
	put_xattr(&p, "all", "user.overlay.whiteout", "anything");
	put_xattr(&p, "all", "user.overlay.metacopy", "");
	put_xattr(&p, "all", "user.overlay.redirect", "there");
	put_xattr(&p, "all", "trusted.overlay.origin", "ignored");
	cr_assert_eq(overlay_read_marks(p.tmp.fd, "none", &m), 0);
	cr_assert(!m.opaque && !m.xwhiteout && !m.whiteout && !m.metacopy && m.redirect == NULL);
	cr_assert_eq(overlay_read_marks(p.tmp.fd, "all", &m), 0);
	cr_assert(m.opaque && !m.xwhiteout && m.whiteout && m.metacopy);
	cr_assert_str_eq(m.redirect, "there");
	cr_assert_eq(overlay_read_marks(p.tmp.fd, "missing", &m), -ENOENT);
	cr_assert_str_eq(m.redirect, "there", "untouched on failure");
	cr_assert_eq(overlay_read_marks(-1, NULL, &m), -EBADF);
}

static int is_metacopy(const struct plain *p, const char *name)
{
	CLEANUP(fd) int fd = openat(p->tmp.fd, name, O_RDONLY | O_CLOEXEC);

	return overlay_is_metacopy(fd);
}

Test(whiteout_overlay, metacopy_of_an_open_file)
{
	CLEANUP(plain) struct plain p = {0};

	plain_make(&p);
	put_file(&p, "none", "bytes");
	put_file(&p, "other", "bytes");
	put_xattr(&p, "other", "user.overlay.redirect", "there");
	put_xattr(&p, "other", "trusted.overlay.origin", "ignored");
	put_file(&p, "root", "bytes");
	put_xattr(&p, "root", "trusted.overlay.origin", "ignored");
	put_xattr(&p, "root", "trusted.overlay.metacopy", "");
	put_file(&p, "user", "bytes");
	put_xattr(&p, "user", "user.overlay.metacopy", "a digest");
	cr_assert_eq(is_metacopy(&p, "none"), 0);
	cr_assert_eq(is_metacopy(&p, "other"), 0);
	cr_assert_eq(is_metacopy(&p, "root"), 1);
	cr_assert_eq(is_metacopy(&p, "user"), 1);
	cr_assert_eq(is_metacopy(&p, "missing"), -EBADF);
}

Test(whiteout_overlay, more_names_than_fit_the_stack)
{
	CLEANUP(plain) struct plain p = {0};
	CLEANUP(overlay_marks) struct overlay_marks m = {0};
	char name[64];
	int i;

	plain_make(&p);
	put_file(&p, "f", "");
	for (i = 0; i < 60; i++) {
		snprintf(name, sizeof(name), "user.a-name-that-is-rather-long-%020d", i);
		put_xattr(&p, "f", name, "");
	}
	put_xattr(&p, "f", "user.overlay.opaque", "x");
	cr_assert_eq(overlay_read_marks(p.tmp.fd, "f", &m), 0);
	cr_assert(m.xwhiteout);
}

Test(whiteout_overlay, bad_redirects)
{
	CLEANUP(plain) struct plain p = {0};
	struct overlay_marks m = {0};
	char path[300], longer[4000];

	plain_make(&p);
	put_file(&p, "empty", "");
	put_xattr(&p, "empty", "user.overlay.redirect", "");
	put_file(&p, "nul", "");
	snprintf(path, sizeof(path), "%s/nul", p.tmp.path);
	cr_assert_eq(setxattr(path, "user.overlay.redirect", "/a\0b", 4, 0), 0);
	cr_assert_eq(overlay_read_marks(p.tmp.fd, "empty", &m), -EUCLEAN);
	cr_assert_eq(overlay_read_marks(p.tmp.fd, "nul", &m), -EUCLEAN);
	memset(longer, '/', sizeof(longer));
	put_file(&p, "long", "");
	snprintf(path, sizeof(path), "%s/long", p.tmp.path);
	cr_assert_eq(setxattr(path, "user.overlay.redirect", longer, 3500, 0), 0);
	cr_assert_eq(overlay_read_marks(p.tmp.fd, "long", &m), 0);
	cr_assert_eq(strlen(m.redirect), 3500);
	overlay_marks_done(&m);
	cr_assert_null(m.redirect);
}
