/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the mount options: what each does, and each mistake. */
#include "cli/options.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <unistd.h>

#include "unit/cli/parsed.h"

Test(options, last_duplicate_wins)
{
	CLEANUP(parsed)
	struct parsed *p = with_options(
		"upperdir=/u1,upperdir=/u2,timeout=3,timeout=7,lowerdir=/x:/y,fsync=0,fsync=1,ro,rw");

	cr_assert_eq(p->r, 0);
	cr_expect_str_eq(p->o.fs.upper, "/u2");
	cr_expect_eq(p->o.front.timeout, 7.0);
	cr_expect_str_eq(lowers(p), "/x:/y");
	cr_expect(!p->o.fs.no_sync);
	cr_expect(!p->o.fs.read_only);
}

Test(options, layers_one_by_one)
{
	CLEANUP(parsed)
	struct parsed *p = compat("-o", "lowerdir+=/a:b,lowerdir+=/c\\,d", "-o", "datadir+=/data",
				  "m");

	cr_assert_eq(p->r, 0);
	cr_assert_eq(p->o.fs.n_lower, 3);
	cr_expect_str_eq(p->o.fs.lower[0], "/a:b");
	cr_expect_str_eq(p->o.fs.lower[1], "/c,d");
	cr_expect_str_eq(p->o.fs.lower[2], "/data");
	cr_expect_eq(p->o.fs.n_data_only, 1);
}

Test(options, layersfile)
{
	char path[] = "/tmp/plyfs-layers-XXXXXX", opts[64];
	int fd = mkstemp(path);

	cr_assert_eq(write(fd, "/one\n/two\n", 10), 10);
	close(fd);
	snprintf(opts, sizeof(opts), "layersfile=%s", path);
	CLEANUP(parsed) struct parsed *p = compat("-o", opts, "/m");
	unlink(path);
	cr_assert_eq(p->r, 0);
	cr_expect_str_eq(lowers(p), "/one:/two");
}

Test(options, five_hundred_layers)
{
	char *opts = malloc(500 * 64 + 16), *end = opts;

	end += snprintf(end, 16, "lowerdir=");
	for (int i = 0; i < 500; i++)
		end += snprintf(end, 64, "%s/var/lib/containers/overlay/l/%026d", i > 0 ? ":" : "",
				i);
	CLEANUP(parsed) struct parsed *p = compat("-o", opts, "/m");
	free(opts);
	cr_assert_eq(p->r, 0);
	cr_expect_eq(p->o.fs.n_lower, 500);
	cr_expect_str_eq(p->o.fs.lower[499],
			 "/var/lib/containers/overlay/l/00000000000000000000000499");
}

Test(options, accepted)
{
	static const char *const accepted[] = {
		"xino=off",
		"xino=on",
		"xino=auto",
		"index=off",
		"index=on",
		"nfs_export=off",
		"verity=off",
		"uuid=null",
		"userxattr",
		"fast_ino=1",
		"fast_ino_check=1",
		"xattr_permissions=1",
		"xattr_permissions=2",
		"plugins=a.so:b.so",
		"context=system_u:object_r:x",
		"private",
		"rprivate",
		"shared",
		"slave",
		"lazytime",
		"diratime",
		"defaults",
		"nofail",
		"_netdev",
		"user=me",
		"x-systemd.automount",
		"X-mount.mkdir",
		"comment=x",
		"splice_read",
		"splice_write",
		"splice_move",
		"kernel_cache",
		"max_write=65536",
		"noauto",
	};

	for (size_t i = 0; i < sizeof(accepted) / sizeof(*accepted); i++) {
		CLEANUP(parsed) struct parsed *p = with_options(accepted[i]);

		cr_expect_eq(p->r, 0, "%s: %s", accepted[i], err_text(&p->err));
		cr_expect_eq(p->o.unknown.n, 0, "%s", accepted[i]);
		cr_expect_str_eq(mount_flags(p), "default_permissions,allow_other,suid,noatime",
				 "%s", accepted[i]);
	}
}

Test(options, handed_on)
{
	static const char *const flags[] = {
		"ro",	       "rw",	     "suid",	     "nosuid",
		"dev",	       "nodev",	     "exec",	     "noexec",
		"sync",	       "async",	     "dirsync",	     "nodiratime",
		"allow_other", "allow_root", "auto_unmount", "default_permissions",
	};

	for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++) {
		CLEANUP(parsed) struct parsed *p = with_options(flags[i]);

		cr_assert_eq(p->r, 0);
		cr_assert_eq(p->o.front.n_mount, 5);
		cr_expect_str_eq(p->o.front.mount[3], flags[i]);
	}
}

#define EXPECT_OPTION(text, condition)                                                             \
	do {                                                                                       \
		CLEANUP(parsed) struct parsed *p = with_options(text);                             \
		cr_expect_eq(p->r, 0, "%s: %s", text, err_text(&p->err));                          \
		cr_expect_eq(p->o.unknown.n, 0, "%s", text);                                       \
		cr_expect(condition, "%s", text);                                                  \
	} while (0)

Test(options, options_with_effect)
{
	EXPECT_OPTION("squash_to_root", p->o.fs.squash_to_root);
	EXPECT_OPTION("squash_to_uid=1000", p->o.fs.uids.squash && p->o.fs.uids.squash_id == 1000);
	EXPECT_OPTION("squash_to_gid=7", p->o.fs.gids.squash && p->o.fs.gids.squash_id == 7);
	EXPECT_OPTION("static_nlink", p->o.fs.static_nlink);
	EXPECT_OPTION("ino32_t", p->o.fs.ino32);
	EXPECT_OPTION("noacl", p->o.fs.no_acl && !p->o.front.acl);
	EXPECT_OPTION("noacl,acl", !p->o.fs.no_acl && p->o.front.acl);
	EXPECT_OPTION("noxattrs=1", p->o.fs.no_xattr && p->o.front.no_xattr && !p->o.front.acl);
	EXPECT_OPTION("noxattrs=0", !p->o.fs.no_xattr && p->o.front.acl);
	EXPECT_OPTION("volatile", p->o.fs.no_sync && p->o.front.no_fsync);
	EXPECT_OPTION("fsync=0", p->o.fs.no_sync);
	EXPECT_OPTION("fsync=1", !p->o.fs.no_sync && !p->o.front.no_fsync);
	EXPECT_OPTION("integrity", p->o.fs.integrity);
	EXPECT_OPTION("integrity=1", p->o.fs.integrity);
	EXPECT_OPTION("integrity,integrity=0", !p->o.fs.integrity);
	EXPECT_OPTION("rw", !p->o.fs.integrity);
	EXPECT_OPTION("noatime", !p->o.fs.atime);
	EXPECT_OPTION("atime", p->o.fs.atime && strstr(mount_flags(p), "noatime") == NULL);
	EXPECT_OPTION("relatime", p->o.fs.atime);
	EXPECT_OPTION("relatime,noatime", !p->o.fs.atime);
	EXPECT_OPTION("timeout=0", p->o.front.timeout == 0);
	EXPECT_OPTION("timeout=1.5", p->o.front.timeout == 1.5);
	EXPECT_OPTION("timeout=1e300", p->o.front.timeout == FRONT_TIMEOUT_ENDLESS);
	EXPECT_OPTION("writeback=0", !p->o.front.writeback);
	EXPECT_OPTION("io_uring=1", p->o.front.io_uring);
	EXPECT_OPTION("loop=follow", p->o.front.loop == FRONT_LOOP_FOLLOW);
	EXPECT_OPTION("loop=threads", p->o.front.loop == FRONT_LOOP_THREADS);
	EXPECT_OPTION("loop=threads,loop=auto", p->o.front.loop == FRONT_LOOP_AUTO);
	EXPECT_OPTION("io=cache", p->o.front.io == FRONT_IO_CACHE);
	EXPECT_OPTION("io=passthrough", p->o.front.io == FRONT_IO_PASSTHROUGH);
	EXPECT_OPTION("io=passthrough,io=auto", p->o.front.io == FRONT_IO_AUTO);
	EXPECT_OPTION("threads=3", p->o.front.threads == 3);
	EXPECT_OPTION("threaded=0", p->o.front.threads == 1);
	EXPECT_OPTION("threaded=1", p->o.front.threads == 0);
	EXPECT_OPTION("max_read=131072", p->o.front.max_read == 131072);
	EXPECT_OPTION("fsname=a b", strcmp(p->o.front.fsname, "a b") == 0);
	EXPECT_OPTION("subtype=x", strcmp(p->o.front.subtype, "x") == 0);
	EXPECT_OPTION("redirect_dir=follow", p->o.fs.follow_redirect);
	EXPECT_OPTION("redirect_dir=off", !p->o.fs.follow_redirect);
	EXPECT_OPTION("metacopy=off", !p->o.fs.follow_metacopy);
	EXPECT_OPTION("lower_changed=accept", p->o.fs.any_lower);
	EXPECT_OPTION("lower_changed=refuse", !p->o.fs.any_lower);
	EXPECT_OPTION("catalog_map=auto", p->o.fs.catalog_map == CATALOG_MAP_AUTO);
	EXPECT_OPTION("catalog_map=yes", p->o.fs.catalog_map == CATALOG_MAP_YES);
	EXPECT_OPTION("catalog_map=no", p->o.fs.catalog_map == CATALOG_MAP_NO);
	EXPECT_OPTION("catalog_map=no,catalog_map=auto", p->o.fs.catalog_map == CATALOG_MAP_AUTO);
	EXPECT_OPTION("ro", p->o.fs.read_only);
	EXPECT_OPTION("debug", p->o.foreground && p->o.debug && p->o.front.debug);
	EXPECT_OPTION("upperdir=/a\\,b\\:c", strcmp(p->o.fs.upper, "/a,b:c") == 0);
}

Test(options, defaults)
{
	CLEANUP(parsed) struct parsed *p = with_options("");

	cr_assert_eq(p->r, 0);
	cr_expect(p->o.front.acl && p->o.front.writeback && !p->o.front.io_uring);
	cr_expect_eq(p->o.front.timeout, FRONT_TIMEOUT_ENDLESS);
	cr_expect_eq(p->o.front.io, FRONT_IO_AUTO);
	cr_expect(!p->o.fs.atime && !p->o.fs.no_sync && !p->o.fs.follow_redirect);
	cr_expect_null(p->o.front.fsname);
}

Test(options, unknown_options_are_kept_in_order)
{
	CLEANUP(parsed)
	struct parsed *p = compat("-x", "-o", "lowerdir=/l,frobnicate,lazy=1,nfs_export=on",
				  "--new", "/m");

	cr_assert_eq(p->r, 0);
	cr_assert_eq(p->o.unknown.n, 5);
	cr_expect_str_eq(p->o.unknown.v[0], "-x");
	cr_expect_str_eq(p->o.unknown.v[1], "frobnicate");
	cr_expect_str_eq(p->o.unknown.v[2], "lazy=1");
	cr_expect_str_eq(p->o.unknown.v[3], "nfs_export=on");
	cr_expect_str_eq(p->o.unknown.v[4], "--new");
}

Test(options, verity_is_not_promised)
{
	CLEANUP(parsed) struct parsed *p = with_options("verity=require");

	cr_assert_eq(p->r, 0);
	cr_assert_eq(p->o.unknown.n, 1);
	cr_expect_str_eq(p->o.unknown.v[0], "verity=require");
}

Test(options, strict)
{
	CLEANUP(parsed) struct parsed *a = with_options("frobnicate,strict");
	CLEANUP(parsed) struct parsed *b = compat("--strict", "-olowerdir=/l,frob", "/m");
	CLEANUP(parsed)
	struct parsed *c = compat("--strict", "-olowerdir=/l,private", "/m");

	cr_expect_eq(a->r, -EINVAL);
	cr_expect_str_eq(err_text(&a->err), "unknown option: frobnicate");
	cr_expect_eq(b->r, -EINVAL);
	cr_expect_eq(c->r, 0);
}

Test(options, refused)
{
	static const struct {
		const char *options, *names;
	} cases[] = {
		{"timeout=", "timeout"},
		{"timeout=soon", "timeout=soon"},
		{"timeout=-1", "timeout=-1"},
		{"timeout=nan", "timeout"},
		{"timeout=1x", "timeout=1x"},
		{"threads=many", "threads=many"},
		{"threads=100000", "threads=100000"},
		{"threads=-1", "threads=-1"},
		{"writeback=2", "writeback=2"},
		{"io=", "io="},
		{"io=direct", "io=direct"},
		{"io", "io"},
		{"fsync=", "fsync"},
		{"fsync= 1", "fsync"},
		{"noxattrs=maybe", "noxattrs=maybe"},
		{"squash_to_uid=root", "squash_to_uid=root"},
		{"squash_to_uid=4294967296", "squash_to_uid"},
		{"squash_to_uid=4294967295", "squash_to_uid"},
		{"squash_to_uid", "squash_to_uid"},
		{"uidmapping=0:1", "uidmapping"},
		{"uidmapping=a:b:c", "uidmapping"},
		{"uidmapping=0:0:0", "uidmapping"},
		{"gidmapping=0:4294967295:2", "gidmapping"},
		{"gidmapping=0:0:10:5:100:10", "gidmapping"},
		{"upperdir=", "upperdir"},
		{"upperdir", "upperdir"},
		{"lowerdir", "lowerdir"},
		{"lowerdir+=", "lowerdir"},
		{"lowerdir=/a::/d:/b", "/b"},
		{"layersfile=/nonexistent", "/nonexistent"},
		{"redirect_dir=maybe", "redirect_dir=maybe"},
		{"metacopy=perhaps", "metacopy=perhaps"},
		{"lower_changed=yes", "lower_changed=yes"},
		{"catalog_map=maybe", "catalog_map=maybe: not one of auto, yes, no"},
		{"loop=fast", "loop=fast: not one of auto, follow, threads"},
		{"max_read=x", "max_read"},
		{"fsname=", "fsname"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		CLEANUP(parsed) struct parsed *p = with_options(cases[i].options);

		cr_expect_lt(p->r, 0, "%s", cases[i].options);
		cr_expect_not_null(strstr(err_text(&p->err), cases[i].names), "%s: %s",
				   cases[i].options, err_text(&p->err));
		cr_expect_null(strchr(err_text(&p->err), '\n'));
	}
}
