/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of override_stat in a plain directory. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "unit/layer/plain.h"

#define STAT "user.containers.override_stat"

static void make(struct plain *p)
{
	plain_make(p);
	put_xattr(p, ".", STAT, "10:20:0750");
	log_set_level(LOG_LEVEL_ERROR);
}

Test(dir_override, kind_is_the_root_s)
{
	CLEANUP(plain) struct plain p = {0};

	plain_make(&p);
	put_file(&p, "f", "");
	put_xattr(&p, "f", STAT, "1:2:0600");
	plain_open(&p, NULL);
	cr_assert_eq(plain_attr(&p, "f").uid, 0, "the root has none");
	plain_close(&p);
	put_xattr(&p, ".", "user.fuseoverlayfs.override_stat", "1:1:0755");
	plain_open(&p, NULL);
	cr_assert_eq(plain_attr(&p, "f").uid, 0, "the root has another kind");
	plain_close(&p);
	put_xattr(&p, ".", STAT, "1:1:0755");
	plain_open(&p, NULL);
	cr_assert_eq(plain_attr(&p, "f").uid, 1, "containers' goes before");
	cr_assert_eq(plain_attr(&p, "f").mode, S_IFREG | 0600);
}

Test(dir_override, applies_everywhere)
{
	CLEANUP(plain) struct plain p = {0};
	struct layer_entry e = {0};
	struct attr a;

	make(&p);
	put_file(&p, "f", "12345");
	put_xattr(&p, "f", STAT, "1:2:4711");
	put_dir(&p, "d");
	put_xattr(&p, "d", STAT, "3:4:1777:dir");
	put_file(&p, "dev", "");
	put_xattr(&p, "dev", STAT, "0:6:0660:block-8-1");
	plain_open(&p, NULL);
	cr_assert_eq(layer_dir_entry(p.layer, p.root, &e), 0);
	cr_assert_eq(e.attr.mode, S_IFDIR | 0750);
	cr_assert_eq(e.attr.uid, 10);
	layer_entry_done(p.layer, &e);
	a = plain_attr(&p, "f");
	cr_assert_eq(a.mode, S_IFREG | 04711);
	cr_assert_eq(a.size, 5);
	cr_assert_eq(layer_getattr(p.layer, p.root, "f", &a), 0);
	cr_assert_eq(a.gid, 2);
	a = plain_attr(&p, "d");
	cr_assert_eq(a.mode, S_IFDIR | 01777);
	a = plain_attr(&p, "dev");
	cr_assert_eq(a.mode, S_IFBLK | 0660);
	cr_assert_eq(a.rdev_major, 8);
	cr_assert_eq(a.rdev_minor, 1);
	cr_assert_eq(plain_listed(&p, "", "dev"), DT_UNKNOWN);
	cr_assert_eq(plain_listed(&p, "", "d"), DT_DIR);
}

/* A device 0:0 that was made by mknod is a device; only one on disk is a whiteout. */
Test(dir_override, device_zero_is_a_device)
{
	CLEANUP(plain) struct plain p = {0};

	make(&p);
	put_file(&p, "zero", "");
	put_xattr(&p, "zero", STAT, "0:0:0600:char-0-0");
	plain_open(&p, NULL);
	cr_assert_eq(plain_flags(&p, "zero"), 0);
	cr_assert_eq(plain_attr(&p, "zero").mode, S_IFCHR | 0600);
}

Test(dir_override, malformed_is_ignored)
{
	static const char *const bad[] = {"",
					  "x",
					  "1:2",
					  "1:2:9",
					  "1:2:0600:nothing",
					  "-1:2:0600",
					  "1:2:0600:char-",
					  "99999999999:1:0600"};
	CLEANUP(plain) struct plain p = {0};
	char longer[300], name[2] = "a";
	size_t i, n = sizeof(bad) / sizeof(bad[0]);

	make(&p);
	memset(longer, '1', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	for (i = 0; i <= n; i++) {
		name[0] = (char)('a' + i);
		put_file(&p, name, "");
		put_xattr(&p, name, STAT, i < n ? bad[i] : longer);
	}
	plain_open(&p, NULL);
	for (i = 0; i <= n; i++) {
		name[0] = (char)('a' + i);
		cr_assert_eq(plain_attr(&p, name).mode, S_IFREG | 0644, "%s", name);
		cr_assert_eq(plain_attr(&p, name).uid, 0, "%s", name);
	}
}

/* Whether a name is a directory decides which calls are made: no xattr may turn that round. */
Test(dir_override, directories_stay_directories)
{
	CLEANUP(plain) struct plain p = {0};

	make(&p);
	put_dir(&p, "d");
	put_xattr(&p, "d", STAT, "1:1:0644:file");
	put_file(&p, "f", "");
	put_xattr(&p, "f", STAT, "1:1:0755:dir");
	plain_open(&p, NULL);
	cr_assert_eq(plain_attr(&p, "d").mode, S_IFDIR | 0755);
	cr_assert_eq(plain_attr(&p, "f").mode, S_IFREG | 0644);
	cr_assert_eq(plain_attr(&p, "f").uid, 0);
}

Test(dir_override, symlinks_kept_as_files)
{
	CLEANUP(plain) struct plain p = {0};
	char target[32];

	make(&p);
	put_file(&p, "l", "to/there");
	put_xattr(&p, "l", STAT, "1:1:0777:symlink");
	put_file(&p, "f", "no link");
	put_xattr(&p, "f", STAT, "1:1:0777");
	plain_open(&p, NULL);
	cr_assert_eq(plain_attr(&p, "l").mode, S_IFLNK | 0777);
	cr_assert_eq(plain_attr(&p, "l").size, 8);
	cr_assert_eq(layer_readlink(p.layer, p.root, "l", target, sizeof(target)), 8);
	cr_assert_str_eq(target, "to/there");
	cr_assert_eq(layer_readlink(p.layer, p.root, "l", target, 8), -ENAMETOOLONG);
	cr_assert_eq(layer_readlink(p.layer, p.root, "f", target, sizeof(target)), -EINVAL);
	cr_assert_eq(layer_readlink(p.layer, p.root, "none", target, sizeof(target)), -ENOENT);
}

Test(dir_override, encoded_xattrs)
{
	CLEANUP(plain) struct plain p = {0};
	CLEANUP(buf) struct buf out = {0};
	char value[16];

	make(&p);
	put_file(&p, "f", "");
	put_xattr(&p, "f", STAT, "1:1:0644");
	put_xattr(&p, "f", "user.containers.override_security.capability", "CAP");
	put_xattr(&p, "f", "user.containers.override_user.both", "encoded");
	put_xattr(&p, "f", "user.both", "plain");
	put_xattr(&p, "f", "user.containers.override_trusted.overlay.opaque", "y");
	plain_open(&p, NULL);
	cr_assert_eq(layer_getxattr(p.layer, p.root, "f", "security.capability", value, 16), 3);
	cr_assert_eq(memcmp(value, "CAP", 3), 0);
	cr_assert_eq(layer_getxattr(p.layer, p.root, "f", "user.both", value, 16), 7);
	cr_assert_eq(layer_getxattr(p.layer, p.root, "f", "stat", value, 16), -ENODATA);
	cr_assert_eq(layer_getxattr(p.layer, p.root, "f", STAT, value, 16), -ENODATA);
	cr_assert_eq(layer_getxattr(p.layer, p.root, "f", "trusted.overlay.opaque", value, 16),
		     -ENODATA);
	cr_assert_eq(layer_listxattr(p.layer, p.root, "f", &out), 0);
	cr_assert_eq(out.len, sizeof("security.capability") + sizeof("user.both"));
}

Test(dir_override, encoded_xattrs_of_other_kinds_are_hidden)
{
	CLEANUP(plain) struct plain p = {0};
	CLEANUP(buf) struct buf out = {0};
	char value[16];

	plain_make(&p);
	put_xattr(&p, ".", "security.fuseoverlayfs.override_stat", "0:0:0755");
	put_file(&p, "f", "");
	put_xattr(&p, "f", "user.containers.override_security.capability", "CAP");
	plain_open(&p, NULL);
	cr_assert_eq(layer_getxattr(p.layer, p.root, "f", "security.capability", value, 16),
		     -ENODATA);
	cr_assert_eq(layer_listxattr(p.layer, p.root, "f", &out), 0);
	cr_assert_eq(out.len, 0);
}
