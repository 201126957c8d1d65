/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the command lines: each client's call, and what is missing in one. */
#include <criterion/criterion.h>
#include <errno.h>

#include "unit/cli/parsed.h"

Test(compat, podman_run)
{
	CLEANUP(parsed)
	struct parsed *p = compat(
		"-o", "lowerdir=/g/l/GK3N,upperdir=/g/39bd/diff,workdir=/g/39bd/work,,volatile",
		"/g/39bd/merged");

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
	CLEANUP(parsed)
	struct parsed *p = compat("-o", "lowerdir=/l,upperdir=/u,workdir=/w,", "/m");

	cr_assert_eq(p->r, 0);
	cr_expect_str_eq(p->o.fs.work, "/w");
	cr_expect_eq(p->o.unknown.n, 0);
}

Test(compat, podman_uidmap)
{
	CLEANUP(parsed)
	struct parsed *p = with_options(
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
	CLEANUP(parsed)
	struct parsed *p = compat("-o", "lowerdir=/g/d892/diff:/g/l/GK3N:/g/l/X/../diff1", "/g/m");

	cr_assert_eq(p->r, 0);
	cr_expect_str_eq(lowers(p), "/g/d892/diff:/g/l/GK3N:/g/l/X/../diff1");
	cr_expect_null(p->o.fs.upper);
}

Test(compat, buildah_volume)
{
	CLEANUP(parsed)
	struct parsed *p = compat("-o", "lowerdir=/etc\\:x,upperdir=/u,workdir=/w,private", "/m");

	cr_assert_eq(p->r, 0);
	cr_expect_str_eq(lowers(p), "/etc:x");
	cr_expect_eq(p->o.unknown.n, 0);
}

Test(compat, mount_fuse3)
{
	CLEANUP(parsed)
	struct parsed *p = compat("overlay", "/m", "-o",
				  "lowerdir=/a:/b,upperdir=/u,workdir=/w,dev,suid");

	cr_assert_eq(p->r, 0);
	cr_expect_str_eq(p->o.front.mountpoint, "/m");
	cr_expect_str_eq(mount_flags(p), "default_permissions,allow_other,suid,dev,suid,noatime");
}

Test(compat, mount_fuse3_rw)
{
	CLEANUP(parsed)
	struct parsed *p = compat("src", "/m", "-o", "rw,lowerdir=/a,dev,suid");

	cr_assert_eq(p->r, 0);
	cr_expect_eq(p->o.unknown.n, 0);
	cr_expect(!p->o.fs.read_only);
}

Test(compat, containerd_repeated_o)
{
	CLEANUP(parsed)
	struct parsed *p = compat("overlay", "/m", "-o", "workdir=/w", "-oupperdir=/u", "-o",
				  "lowerdir=/a:/b");

	cr_assert_eq(p->r, 0);
	cr_expect_str_eq(p->o.fs.upper, "/u");
	cr_expect_str_eq(p->o.fs.work, "/w");
	cr_expect_str_eq(lowers(p), "/a:/b");
}

Test(compat, apptainer)
{
	CLEANUP(parsed)
	struct parsed *p = parse_as(
		false, false,
		WORDS("-f", "-o", "allow_other,ro,lowerdir=/a:/b,noacl,lazytime", "/dev/fd/7"));

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
	CLEANUP(parsed)
	struct parsed *p = with_options(
		"upperdir=/u,workdir=/w,context=\"system_u:object_r:container_file_t:s0:c1,c2\"");

	cr_assert_eq(p->r, 0);
	cr_expect_eq(p->o.unknown.n, 0);
	cr_expect_str_eq(p->o.fs.upper, "/u");
}

Test(compat, composefs)
{
	CLEANUP(parsed)
	struct parsed *p = compat("-o", "lowerdir=/a:/b::/d1::/d2,metacopy=on,redirect_dir=on",
				  "/m");

	cr_assert_eq(p->r, 0);
	cr_expect_str_eq(lowers(p), "/a:/b:/d1:/d2");
	cr_expect_eq(p->o.fs.n_data_only, 2);
	cr_expect(p->o.fs.follow_metacopy);
	cr_expect(p->o.fs.follow_redirect);
}

Test(compat, last_positional_is_the_mountpoint)
{
	CLEANUP(parsed)
	struct parsed *p = compat("a", "-o", "lowerdir=/l", "b", "c");

	cr_assert_eq(p->r, 0);
	cr_expect_str_eq(p->o.front.mountpoint, "c");
}

Test(compat, double_dash)
{
	CLEANUP(parsed) struct parsed *p = compat("-olowerdir=/l", "--", "-strange");

	cr_assert_eq(p->r, 0);
	cr_expect_str_eq(p->o.front.mountpoint, "-strange");
}

Test(compat, unprivileged_defaults)
{
	CLEANUP(parsed)
	struct parsed *p = parse_as(false, false, WORDS("-o", "lowerdir=/l", "/m"));

	cr_assert_eq(p->r, 0);
	cr_expect_str_eq(mount_flags(p), "default_permissions,noatime");
}

/* Options that must be taken without a word and without an effect. */
/* A value that asks for protection that is not given must not pass in silence. */
/* Each with a word that the sentence must hold. */
Test(compat, something_is_missing)
{
	CLEANUP(parsed) struct parsed *a = compat("-o", "lowerdir=/l");
	CLEANUP(parsed) struct parsed *b = compat("/m");
	CLEANUP(parsed) struct parsed *c = compat("/m", "-o");
	CLEANUP(parsed) struct parsed *d = compat("-o", "lowerdir=,upperdir=/u", "/m");
	CLEANUP(parsed) struct parsed *e = compat("-o", "lowerdir=::", "/m");

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
		CLEANUP(parsed) struct parsed *p = compat(words[i]);

		cr_assert_eq(p->r, 0);
		cr_expect_eq(p->o.help, i < 2);
		cr_expect_eq(p->o.version, i >= 2);
	}
}

/* No defaults: what the mount has and nobody mentions must stay. */
Test(compat, remount)
{
	CLEANUP(parsed) struct parsed *p = compat("src", "/m", "-o", "remount,ro");

	cr_assert_eq(p->r, 0, "%s", err_text(&p->err));
	cr_expect(p->o.remount);
	cr_expect_str_eq(mount_flags(p), "ro");
}

Test(compat, debug_words)
{
	CLEANUP(parsed) struct parsed *a = compat("-d", "-olowerdir=/l", "/m");
	CLEANUP(parsed) struct parsed *b = compat("--debug", "-olowerdir=/l", "/m");
	CLEANUP(parsed) struct parsed *c = compat("-s", "-r", "-olowerdir=/l", "/m");

	cr_expect(a->o.foreground && a->o.front.debug);
	cr_expect(b->o.foreground && b->o.front.debug);
	cr_expect(!c->o.foreground && c->o.fs.read_only);
	cr_expect_eq(c->o.front.threads, 1);
}

Test(mount, words)
{
	CLEANUP(parsed)
	struct parsed *p = friendly("--lower", "/a:b", "--lower=/c\\d", "--upper", "/u\\:x",
				    "--data", "/d", "--foreground", "-o", "noacl", "/m");

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
	CLEANUP(parsed) struct parsed *a = friendly("--lower");
	CLEANUP(parsed) struct parsed *b = friendly("--lower=/a", "--lowr=/b", "/m");
	CLEANUP(parsed) struct parsed *c = friendly("--lower=/a", "--strict=1", "/m");
	CLEANUP(parsed) struct parsed *d = friendly("--upper=/u", "/m");

	cr_expect_eq(a->r, -EINVAL);
	cr_expect_str_eq(err_text(&a->err), "--lower needs an argument");
	cr_expect_eq(b->r, -EINVAL);
	cr_expect_not_null(strstr(err_text(&b->err), "--lowr=/b"));
	cr_expect_eq(c->r, -EINVAL);
	cr_expect_eq(d->r, -EINVAL);
}
