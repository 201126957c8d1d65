/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the command lines: each client's call, each option, each mistake. */
#include "cli/compat.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MAX_WORDS 16

struct parsed {
	struct mount_options o;
	struct err err;
	int r;
};

static struct parsed *parse_as(bool ours, bool privileged, char *const *words)
{
	struct parsed *p = calloc(1, sizeof(*p));
	char *argv[MAX_WORDS + 1] = {(char *)"plyfs"};
	int argc = 1;

	while (words[argc - 1] != NULL) {
		argv[argc] = words[argc - 1];
		argc++;
	}
	mount_options_init(&p->o);
	p->r = (ours ? mount_parse : compat_parse)(argc, argv, privileged, &p->o, &p->err);
	return p;
}

static void parsed_free(struct parsed *p)
{
	mount_options_done(&p->o);
	err_done(&p->err);
	free(p);
}
DEFINE_CLEANUP_PTR(struct parsed, parsed, parsed_free)

#define WORDS(...)   ((char *const[]){__VA_ARGS__, NULL})
#define compat(...)  parse_as(false, true, WORDS(__VA_ARGS__))
#define friendly(...) parse_as(true, true, WORDS(__VA_ARGS__))
#define W(text)	     ((char *)(text))

/* What one string of options gives; "lowerdir=/l" and a mountpoint are added. */
static struct parsed *with_options(const char *text)
{
	char opts[1024];

	snprintf(opts, sizeof(opts), "lowerdir=/l,%s", text);
	return compat(W("-o"), opts, W("/m"));
}

static const char *mount_flags(const struct parsed *p)
{
	static char text[1024];
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < p->o.front.n_mount; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s",
					 i > 0 ? "," : "", p->o.front.mount[i]);
	return text;
}

static const char *lowers(const struct parsed *p)
{
	static char text[4096];
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < p->o.fs.n_lower; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s",
					 i > 0 ? ":" : "", p->o.fs.lower[i]);
	return text;
}

Test(compat, podman_run)
{
	CLEANUP(parsed) struct parsed *p =
		compat(W("-o"),
		       W("lowerdir=/g/l/GK3N,upperdir=/g/39bd/diff,workdir=/g/39bd/work,,volatile"),
		       W("/g/39bd/merged"));

	cr_assert_eq(p->r, 0, "%s", err_text(&p->err));
	cr_expect_str_eq(lowers(p), "/g/l/GK3N");
	cr_expect_str_eq(p->o.fs.upper, "/g/39bd/diff");
	cr_expect_str_eq(p->o.fs.work, "/g/39bd/work");
	cr_expect(p->o.fs.no_sync);
	cr_expect(p->o.front.no_fsync);
	cr_expect_str_eq(p->o.front.mountpoint, "/g/39bd/merged");
	cr_expect_eq(p->o.unknown.n, 0);
	cr_expect(!p->o.foreground);
	cr_expect_str_eq(mount_flags(p), "default_permissions,allow_other,suid,noatime");
}

Test(compat, podman_trailing_comma)
{
	CLEANUP(parsed) struct parsed *p =
		compat(W("-o"), W("lowerdir=/l,upperdir=/u,workdir=/w,"), W("/m"));

	cr_assert_eq(p->r, 0);
	cr_expect_str_eq(p->o.fs.work, "/w");
	cr_expect_eq(p->o.unknown.n, 0);
}

Test(compat, podman_uidmap)
{
	CLEANUP(parsed) struct parsed *p = with_options(
		"upperdir=/u,workdir=/w,,volatile,"
		"uidmapping=:0:1:1001:1001:0:1:1002:1002:64535,gidmapping=:0:100000:65536");
	const struct idmap *uids = &p->o.fs.uids;

	cr_assert_eq(p->r, 0, "%s", err_text(&p->err));
	cr_assert_eq(uids->n, 3);
	cr_expect_eq(uids->ranges[0].disk, 0);
	cr_expect_eq(uids->ranges[0].shown, 1);
	cr_expect_eq(uids->ranges[0].len, 1001);
	cr_expect_eq(uids->ranges[2].disk, 1002);
	cr_expect_eq(p->o.fs.gids.n, 1);
}

Test(compat, podman_read_only_view)
{
	CLEANUP(parsed) struct parsed *p =
		compat(W("-o"), W("lowerdir=/g/d892/diff:/g/l/GK3N:/g/l/X/../diff1"), W("/g/m"));

	cr_assert_eq(p->r, 0);
	cr_expect_str_eq(lowers(p), "/g/d892/diff:/g/l/GK3N:/g/l/X/../diff1");
	cr_expect_null(p->o.fs.upper);
}

Test(compat, buildah_volume)
{
	CLEANUP(parsed) struct parsed *p =
		compat(W("-o"), W("lowerdir=/etc\\:x,upperdir=/u,workdir=/w,private"), W("/m"));

	cr_assert_eq(p->r, 0);
	cr_expect_str_eq(lowers(p), "/etc:x");
	cr_expect_eq(p->o.unknown.n, 0);
}

Test(compat, mount_fuse3)
{
	CLEANUP(parsed) struct parsed *p =
		compat(W("overlay"), W("/m"), W("-o"),
		       W("lowerdir=/a:/b,upperdir=/u,workdir=/w,dev,suid"));

	cr_assert_eq(p->r, 0);
	cr_expect_str_eq(p->o.front.mountpoint, "/m");
	cr_expect_str_eq(mount_flags(p), "default_permissions,allow_other,suid,dev,suid,noatime");
}

Test(compat, mount_fuse3_rw)
{
	CLEANUP(parsed) struct parsed *p =
		compat(W("src"), W("/m"), W("-o"), W("rw,lowerdir=/a,dev,suid"));

	cr_assert_eq(p->r, 0);
	cr_expect_eq(p->o.unknown.n, 0);
	cr_expect(!p->o.fs.read_only);
}

Test(compat, containerd_repeated_o)
{
	CLEANUP(parsed) struct parsed *p =
		compat(W("overlay"), W("/m"), W("-o"), W("workdir=/w"), W("-oupperdir=/u"),
		       W("-o"), W("lowerdir=/a:/b"));

	cr_assert_eq(p->r, 0);
	cr_expect_str_eq(p->o.fs.upper, "/u");
	cr_expect_str_eq(p->o.fs.work, "/w");
	cr_expect_str_eq(lowers(p), "/a:/b");
}

Test(compat, apptainer)
{
	CLEANUP(parsed) struct parsed *p =
		parse_as(false, false,
			 WORDS(W("-f"), W("-o"),
			       W("allow_other,ro,lowerdir=/a:/b,noacl,lazytime"), W("/dev/fd/7")));

	cr_assert_eq(p->r, 0);
	cr_expect(p->o.foreground);
	cr_expect(!p->o.debug);
	cr_expect(p->o.fs.read_only);
	cr_expect(p->o.fs.no_acl);
	cr_expect(!p->o.front.acl);
	cr_expect_eq(p->o.unknown.n, 0);
	cr_expect_str_eq(p->o.front.mountpoint, "/dev/fd/7");
	cr_expect_str_eq(mount_flags(p), "default_permissions,allow_other,ro,noatime");
}

Test(compat, selinux_context)
{
	CLEANUP(parsed) struct parsed *p = with_options(
		"upperdir=/u,workdir=/w,context=\"system_u:object_r:container_file_t:s0:c1,c2\"");

	cr_assert_eq(p->r, 0);
	cr_expect_eq(p->o.unknown.n, 0);
	cr_expect_str_eq(p->o.fs.upper, "/u");
}

Test(compat, composefs)
{
	CLEANUP(parsed) struct parsed *p =
		compat(W("-o"), W("lowerdir=/a:/b::/d1::/d2,metacopy=on,redirect_dir=on"), W("/m"));

	cr_assert_eq(p->r, 0);
	cr_expect_str_eq(lowers(p), "/a:/b:/d1:/d2");
	cr_expect_eq(p->o.fs.n_data_only, 2);
	cr_expect(p->o.fs.follow_metacopy);
	cr_expect(p->o.fs.follow_redirect);
}

Test(compat, last_positional_is_the_mountpoint)
{
	CLEANUP(parsed) struct parsed *p =
		compat(W("a"), W("-o"), W("lowerdir=/l"), W("b"), W("c"));

	cr_assert_eq(p->r, 0);
	cr_expect_str_eq(p->o.front.mountpoint, "c");
}

Test(compat, double_dash)
{
	CLEANUP(parsed) struct parsed *p =
		compat(W("-olowerdir=/l"), W("--"), W("-strange"));

	cr_assert_eq(p->r, 0);
	cr_expect_str_eq(p->o.front.mountpoint, "-strange");
}

Test(compat, unprivileged_defaults)
{
	CLEANUP(parsed) struct parsed *p =
		parse_as(false, false, WORDS(W("-o"), W("lowerdir=/l"), W("/m")));

	cr_assert_eq(p->r, 0);
	cr_expect_str_eq(mount_flags(p), "default_permissions,noatime");
}

Test(compat, last_duplicate_wins)
{
	CLEANUP(parsed) struct parsed *p = with_options(
		"upperdir=/u1,upperdir=/u2,timeout=3,timeout=7,lowerdir=/x:/y,fsync=0,fsync=1,ro,rw");

	cr_assert_eq(p->r, 0);
	cr_expect_str_eq(p->o.fs.upper, "/u2");
	cr_expect_eq(p->o.front.timeout, 7.0);
	cr_expect_str_eq(lowers(p), "/x:/y");
	cr_expect(!p->o.fs.no_sync);
	cr_expect(!p->o.fs.read_only);
}

Test(compat, layers_one_by_one)
{
	CLEANUP(parsed) struct parsed *p = compat(
		W("-o"), W("lowerdir+=/a:b,lowerdir+=/c\\,d"), W("-o"), W("datadir+=/data"), W("m"));

	cr_assert_eq(p->r, 0);
	cr_assert_eq(p->o.fs.n_lower, 3);
	cr_expect_str_eq(p->o.fs.lower[0], "/a:b");
	cr_expect_str_eq(p->o.fs.lower[1], "/c,d");
	cr_expect_str_eq(p->o.fs.lower[2], "/data");
	cr_expect_eq(p->o.fs.n_data_only, 1);
}

Test(compat, layersfile)
{
	char path[] = "/tmp/plyfs-layers-XXXXXX", opts[64];
	int fd = mkstemp(path);

	cr_assert_eq(write(fd, "/one\n/two\n", 10), 10);
	close(fd);
	snprintf(opts, sizeof(opts), "layersfile=%s", path);
	CLEANUP(parsed) struct parsed *p = compat(W("-o"), opts, W("/m"));
	unlink(path);
	cr_assert_eq(p->r, 0);
	cr_expect_str_eq(lowers(p), "/one:/two");
}

Test(compat, five_hundred_layers)
{
	char *opts = malloc(500 * 64 + 16), *end = opts;

	end += snprintf(end, 16, "lowerdir=");
	for (int i = 0; i < 500; i++)
		end += snprintf(end, 64, "%s/var/lib/containers/overlay/l/%026d", i > 0 ? ":" : "",
				i);
	CLEANUP(parsed) struct parsed *p = compat(W("-o"), opts, W("/m"));
	free(opts);
	cr_assert_eq(p->r, 0);
	cr_expect_eq(p->o.fs.n_lower, 500);
	cr_expect_str_eq(p->o.fs.lower[499],
			 "/var/lib/containers/overlay/l/00000000000000000000000499");
}

/* Options that must be taken without a word and without an effect. */
Test(compat, accepted)
{
	static const char *const accepted[] = {
		"xino=off", "xino=on", "xino=auto", "index=off", "index=on", "nfs_export=off",
		"verity=off", "uuid=null", "userxattr", "fast_ino=1", "fast_ino_check=1",
		"xattr_permissions=1", "xattr_permissions=2", "plugins=a.so:b.so",
		"context=system_u:object_r:x", "private", "rprivate", "shared", "slave", "lazytime",
		"diratime", "defaults", "nofail", "_netdev", "user=me", "x-systemd.automount",
		"X-mount.mkdir", "comment=x", "splice_read", "splice_write", "splice_move",
		"kernel_cache", "max_write=65536", "noauto",
	};

	for (size_t i = 0; i < sizeof(accepted) / sizeof(*accepted); i++) {
		CLEANUP(parsed) struct parsed *p = with_options(accepted[i]);

		cr_expect_eq(p->r, 0, "%s: %s", accepted[i], err_text(&p->err));
		cr_expect_eq(p->o.unknown.n, 0, "%s", accepted[i]);
		cr_expect_str_eq(mount_flags(p), "default_permissions,allow_other,suid,noatime",
				 "%s", accepted[i]);
	}
}

Test(compat, handed_on)
{
	static const char *const flags[] = {
		"ro",	 "rw",	  "suid", "nosuid", "dev",  "nodev",   "exec",
		"noexec", "sync", "async", "dirsync", "nodiratime", "allow_other", "allow_root",
		"auto_unmount", "default_permissions",
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

Test(compat, options_with_effect)
{
	EXPECT_OPTION("squash_to_root", p->o.fs.squash_to_root);
	EXPECT_OPTION("squash_to_uid=1000", p->o.fs.uids.squash && p->o.fs.uids.squash_id == 1000);
	EXPECT_OPTION("squash_to_gid=7", p->o.fs.gids.squash && p->o.fs.gids.squash_id == 7);
	EXPECT_OPTION("static_nlink", p->o.fs.static_nlink);
	EXPECT_OPTION("ino32_t", p->o.fs.ino32);
	EXPECT_OPTION("noacl", p->o.fs.no_acl && !p->o.front.acl);
	EXPECT_OPTION("noacl,acl", !p->o.fs.no_acl && p->o.front.acl);
	EXPECT_OPTION("noxattrs=1", p->o.fs.no_xattr && !p->o.front.acl);
	EXPECT_OPTION("noxattrs=0", !p->o.fs.no_xattr && p->o.front.acl);
	EXPECT_OPTION("volatile", p->o.fs.no_sync && p->o.front.no_fsync);
	EXPECT_OPTION("fsync=0", p->o.fs.no_sync);
	EXPECT_OPTION("fsync=1", !p->o.fs.no_sync && !p->o.front.no_fsync);
	EXPECT_OPTION("noatime", !p->o.fs.atime);
	EXPECT_OPTION("atime", p->o.fs.atime && strstr(mount_flags(p), "noatime") == NULL);
	EXPECT_OPTION("relatime", p->o.fs.atime);
	EXPECT_OPTION("relatime,noatime", !p->o.fs.atime);
	EXPECT_OPTION("timeout=0", p->o.front.timeout == 0);
	EXPECT_OPTION("timeout=1.5", p->o.front.timeout == 1.5);
	EXPECT_OPTION("timeout=1e300", p->o.front.timeout == FRONT_TIMEOUT_ENDLESS);
	EXPECT_OPTION("writeback=0", !p->o.front.writeback);
	EXPECT_OPTION("io_uring=1", p->o.front.io_uring);
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
	EXPECT_OPTION("ro", p->o.fs.read_only);
	EXPECT_OPTION("debug", p->o.foreground && p->o.debug && p->o.front.debug);
	EXPECT_OPTION("upperdir=/a\\,b\\:c", strcmp(p->o.fs.upper, "/a,b:c") == 0);
}

Test(compat, defaults)
{
	CLEANUP(parsed) struct parsed *p = with_options("");

	cr_assert_eq(p->r, 0);
	cr_expect(p->o.front.acl && p->o.front.writeback && !p->o.front.io_uring);
	cr_expect_eq(p->o.front.timeout, FRONT_TIMEOUT_ENDLESS);
	cr_expect(!p->o.fs.atime && !p->o.fs.no_sync && !p->o.fs.follow_redirect);
	cr_expect_null(p->o.front.fsname);
}

Test(compat, unknown_options_are_kept_in_order)
{
	CLEANUP(parsed) struct parsed *p = compat(
		W("-x"), W("-o"), W("lowerdir=/l,frobnicate,lazy=1,nfs_export=on"), W("--new"), W("/m"));

	cr_assert_eq(p->r, 0);
	cr_assert_eq(p->o.unknown.n, 5);
	cr_expect_str_eq(p->o.unknown.v[0], "-x");
	cr_expect_str_eq(p->o.unknown.v[1], "frobnicate");
	cr_expect_str_eq(p->o.unknown.v[2], "lazy=1");
	cr_expect_str_eq(p->o.unknown.v[3], "nfs_export=on");
	cr_expect_str_eq(p->o.unknown.v[4], "--new");
}

/* A value that asks for protection that is not given must not pass in silence. */
Test(compat, verity_is_not_promised)
{
	CLEANUP(parsed) struct parsed *p = with_options("verity=require");

	cr_assert_eq(p->r, 0);
	cr_assert_eq(p->o.unknown.n, 1);
	cr_expect_str_eq(p->o.unknown.v[0], "verity=require");
}

Test(compat, strict)
{
	CLEANUP(parsed) struct parsed *a = with_options("frobnicate,strict");
	CLEANUP(parsed) struct parsed *b = compat(W("--strict"), W("-olowerdir=/l,frob"), W("/m"));
	CLEANUP(parsed) struct parsed *c = compat(W("--strict"), W("-olowerdir=/l,private"), W("/m"));

	cr_expect_eq(a->r, -EINVAL);
	cr_expect_str_eq(err_text(&a->err), "unknown option: frobnicate");
	cr_expect_eq(b->r, -EINVAL);
	cr_expect_eq(c->r, 0);
}

/* Each with a word that the sentence must hold. */
Test(compat, refused)
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

Test(compat, something_is_missing)
{
	CLEANUP(parsed) struct parsed *a = compat(W("-o"), W("lowerdir=/l"));
	CLEANUP(parsed) struct parsed *b = compat(W("/m"));
	CLEANUP(parsed) struct parsed *c = compat(W("/m"), W("-o"));
	CLEANUP(parsed) struct parsed *d = compat(W("-o"), W("lowerdir=,upperdir=/u"), W("/m"));
	CLEANUP(parsed) struct parsed *e = compat(W("-o"), W("lowerdir=::"), W("/m"));

	cr_expect_eq(a->r, -EINVAL);
	cr_expect_not_null(strstr(err_text(&a->err), "mountpoint"));
	cr_expect_eq(b->r, -EINVAL);
	cr_expect_not_null(strstr(err_text(&b->err), "lowerdir="));
	cr_expect_eq(c->r, -EINVAL);
	cr_expect_str_eq(err_text(&c->err), "-o needs an argument");
	cr_expect_eq(d->r, -EINVAL);
	cr_expect_eq(e->r, -EINVAL);
}

Test(compat, help_and_version_need_nothing)
{
	static const char *const words[] = {"-h", "--help", "-V", "--version"};

	for (size_t i = 0; i < 4; i++) {
		CLEANUP(parsed) struct parsed *p = compat(W(words[i]));

		cr_assert_eq(p->r, 0);
		cr_expect_eq(p->o.help, i < 2);
		cr_expect_eq(p->o.version, i >= 2);
	}
}

/* No defaults: what the mount has and nobody mentions must stay. */
Test(compat, remount)
{
	CLEANUP(parsed) struct parsed *p = compat(W("src"), W("/m"), W("-o"), W("remount,ro"));

	cr_assert_eq(p->r, 0, "%s", err_text(&p->err));
	cr_expect(p->o.remount);
	cr_expect_str_eq(mount_flags(p), "ro");
}

Test(compat, debug_words)
{
	CLEANUP(parsed) struct parsed *a = compat(W("-d"), W("-olowerdir=/l"), W("/m"));
	CLEANUP(parsed) struct parsed *b = compat(W("--debug"), W("-olowerdir=/l"), W("/m"));
	CLEANUP(parsed) struct parsed *c = compat(W("-s"), W("-r"), W("-olowerdir=/l"), W("/m"));

	cr_expect(a->o.foreground && a->o.front.debug);
	cr_expect(b->o.foreground && b->o.front.debug);
	cr_expect(!c->o.foreground && c->o.fs.read_only);
	cr_expect_eq(c->o.front.threads, 1);
}

Test(mount, words)
{
	CLEANUP(parsed) struct parsed *p =
		friendly(W("--lower"), W("/a:b"), W("--lower=/c\\d"), W("--upper"), W("/u\\:x"),
			 W("--data"), W("/d"), W("--foreground"), W("-o"), W("noacl"), W("/m"));

	cr_assert_eq(p->r, 0, "%s", err_text(&p->err));
	cr_assert_eq(p->o.fs.n_lower, 3);
	cr_expect_str_eq(p->o.fs.lower[0], "/a:b");
	cr_expect_str_eq(p->o.fs.lower[1], "/c\\d");
	cr_expect_str_eq(p->o.fs.lower[2], "/d");
	cr_expect_eq(p->o.fs.n_data_only, 1);
	cr_expect_str_eq(p->o.fs.upper, "/u\\:x");
	cr_expect(p->o.foreground);
	cr_expect(p->o.fs.no_acl);
}

Test(mount, refused)
{
	CLEANUP(parsed) struct parsed *a = friendly(W("--lower"));
	CLEANUP(parsed) struct parsed *b = friendly(W("--lower=/a"), W("--lowr=/b"), W("/m"));
	CLEANUP(parsed) struct parsed *c = friendly(W("--lower=/a"), W("--strict=1"), W("/m"));
	CLEANUP(parsed) struct parsed *d = friendly(W("--upper=/u"), W("/m"));

	cr_expect_eq(a->r, -EINVAL);
	cr_expect_str_eq(err_text(&a->err), "--lower needs an argument");
	cr_expect_eq(b->r, -EINVAL);
	cr_expect_not_null(strstr(err_text(&b->err), "--lowr=/b"));
	cr_expect_eq(c->r, -EINVAL);
	cr_expect_eq(d->r, -EINVAL);
}
