/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the plain-directory backend: mixed marks, options, mounts, permissions. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "support/timed.h"
#include "unit/layer/plain.h"

#define WITH_PLAIN(p)                                                                              \
	CLEANUP(plain) struct plain p = {0};                                                       \
	plain_make(&p)

/* What OCI says of a whiteout beside the name itself: the name is shown, what is below is not. */
Test(dir, whiteout_beside_its_name)
{
	WITH_PLAIN(p);
	put_dir(&p, "d");
	put_file(&p, ".wh.d", "");
	put_file(&p, "f", "");
	put_file(&p, ".wh.f", "");
	plain_open(&p, NULL);
	cr_assert_eq(plain_flags(&p, "d"), LAYER_OPAQUE);
	cr_assert_eq(plain_flags(&p, "f"), 0);
	cr_assert_eq(plain_listed(&p, "", "d"), DT_DIR);
	cr_assert_eq(plain_listed(&p, "", "f"), DT_REG);
	cr_assert_eq(plain_count(&p, ""), 2);
}

Test(dir, formats_mix_in_one_directory)
{
	WITH_PLAIN(p);
	put_dir(&p, "d");
	put_node(&p, "d/a", S_IFCHR, 0, 0);
	put_file(&p, "d/.wh.b", "");
	put_file(&p, "d/c", "");
	put_xattr(&p, "d/c", "user.overlay.whiteout", "");
	put_xattr(&p, "d", "user.overlay.opaque", "x");
	put_node(&p, "d/e", S_IFCHR, 0, 0);
	put_file(&p, "d/.wh.e", "");
	put_file(&p, "d/real", "x");
	plain_open(&p, NULL);
	cr_assert_eq(plain_flags(&p, "d"), 0, "\"x\" is not opaque");
	cr_assert_eq(plain_flags(&p, "d/a"), LAYER_WHITEOUT);
	cr_assert_eq(plain_flags(&p, "d/b"), LAYER_WHITEOUT);
	cr_assert_eq(plain_flags(&p, "d/c"), LAYER_WHITEOUT);
	cr_assert_eq(plain_flags(&p, "d/e"), LAYER_WHITEOUT);
	cr_assert_eq(plain_flags(&p, "d/real"), 0);
	cr_assert_eq(plain_listed(&p, "d", "a"), DT_WHT);
	cr_assert_eq(plain_listed(&p, "d", "b"), DT_WHT);
	cr_assert_eq(plain_listed(&p, "d", "c"), DT_UNKNOWN);
	cr_assert_eq(plain_listed(&p, "d", "e"), DT_WHT);
	cr_assert_eq(plain_count(&p, "d"), 5);
}

Test(dir, whiteouts_of_any_type)
{
	WITH_PLAIN(p);
	put_dir(&p, ".wh.a");
	put_node(&p, ".wh.b", S_IFCHR, 0, 0);
	cr_assert_eq(symlinkat("x", p.tmp.fd, ".wh.c"), 0);
	plain_open(&p, NULL);
	cr_assert_eq(plain_flags(&p, "a"), LAYER_WHITEOUT);
	cr_assert_eq(plain_flags(&p, "b"), LAYER_WHITEOUT);
	cr_assert_eq(plain_flags(&p, "c"), LAYER_WHITEOUT);
	cr_assert_eq(plain_count(&p, ""), 3);
}

Test(dir, aufs_and_fuse_overlayfs_leave_files)
{
	WITH_PLAIN(p);
	put_dir(&p, ".wh..wh.plnk");
	put_dir(&p, ".wh..wh.orph");
	put_file(&p, ".wh..wh.aufs", "");
	put_node(&p, ".wh..opq", S_IFCHR, 0, 0);
	put_file(&p, ".wh.", "");
	plain_open(&p, NULL);
	cr_assert_eq(plain_count(&p, ""), 0);
	cr_assert_eq(plain_flags(&p, ".opq"), -ENOENT);
	cr_assert_eq(plain_flags(&p, ".wh.plnk"), -ENOENT);
	cr_assert_eq(plain_flags(&p, ".wh..wh.plnk"), -ENOENT);
}

Test(dir, opaque_spellings)
{
	static const char *const xattrs[] = {"trusted.overlay.opaque", "user.overlay.opaque",
					     "user.fuseoverlayfs.opaque"};
	WITH_PLAIN(p);
	char name[2] = "a";
	size_t i;

	for (i = 0; i < 3; i++) {
		name[0] = (char)('a' + i);
		put_dir(&p, name);
		put_xattr(&p, name, xattrs[i], "y");
	}
	put_dir(&p, "n");
	put_xattr(&p, "n", "trusted.overlay.opaque", "n");
	put_dir(&p, "yes");
	put_xattr(&p, "yes", "trusted.overlay.opaque", "yes");
	put_dir(&p, "none");
	put_xattr(&p, "none", "trusted.overlay.opaque", "");
	put_dir(&p, "oci");
	put_file(&p, "oci/.wh..wh..opq", "");
	plain_open(&p, NULL);
	cr_assert_eq(plain_flags(&p, "a"), LAYER_OPAQUE);
	cr_assert_eq(plain_flags(&p, "b"), LAYER_OPAQUE);
	cr_assert_eq(plain_flags(&p, "c"), LAYER_OPAQUE);
	cr_assert_eq(plain_flags(&p, "oci"), LAYER_OPAQUE);
	cr_assert_eq(plain_flags(&p, "n"), 0);
	cr_assert_eq(plain_flags(&p, "yes"), 0);
	cr_assert_eq(plain_flags(&p, "none"), 0);
}

Test(dir, xattr_whiteouts_need_a_marked_directory)
{
	WITH_PLAIN(p);
	put_dir(&p, "marked");
	put_xattr(&p, "marked", "trusted.overlay.opaque", "x");
	put_file(&p, "marked/full", "x");
	put_xattr(&p, "marked/full", "trusted.overlay.whiteout", "");
	put_file(&p, "marked/empty", "");
	put_dir(&p, "plain");
	put_file(&p, "plain/f", "");
	put_xattr(&p, "plain/f", "trusted.overlay.whiteout", "");
	plain_open(&p, NULL);
	cr_assert_eq(plain_flags(&p, "marked/full"), 0, "it has bytes");
	cr_assert_eq(plain_flags(&p, "marked/empty"), 0);
	cr_assert_eq(plain_flags(&p, "plain/f"), 0);
	cr_assert_eq(plain_listed(&p, "plain", "f"), DT_REG);
}

Test(dir, redirects)
{
	struct layer_entry e;
	WITH_PLAIN(p);
	put_dir(&p, "both");
	put_xattr(&p, "both", "user.overlay.redirect", "/user");
	put_xattr(&p, "both", "trusted.overlay.redirect", "/trusted");
	put_dir(&p, "empty");
	put_xattr(&p, "empty", "user.overlay.redirect", "");
	put_file(&p, "file", "x");
	put_xattr(&p, "file", "user.overlay.redirect", "/ignored");
	plain_open(&p, NULL);
	cr_assert_eq(plain_lookup(&p, "both", &e), 0);
	cr_assert_eq(e.flags, LAYER_REDIRECT);
	cr_assert_str_eq(e.redirect, "/trusted");
	layer_entry_done(p.layer, &e);
	cr_assert_eq(plain_flags(&p, "empty"), -EUCLEAN);
	cr_assert_eq(plain_flags(&p, "file"), 0, "a file's redirect is a metacopy's");
}

Test(dir, noxattr_asks_for_none)
{
	const struct layer_options options = {.noxattr = true, .trust = LAYER_TRUST_METACOPY};
	CLEANUP(buf) struct buf out = {0};
	char value[8];
	WITH_PLAIN(p);
	put_dir(&p, "d");
	put_xattr(&p, "d", "trusted.overlay.opaque", "y");
	put_dir(&p, "oci");
	put_file(&p, "oci/.wh..wh..opq", "");
	put_file(&p, "f", "x");
	put_xattr(&p, "f", "user.x", "1");
	put_xattr(&p, ".", "user.containers.override_stat", "1:2:700");
	plain_open(&p, &options);
	cr_assert_eq(plain_flags(&p, "d"), 0);
	cr_assert_eq(plain_flags(&p, "oci"), LAYER_OPAQUE);
	cr_assert_eq(plain_attr(&p, "f").uid, 0);
	cr_assert_eq(layer_getxattr(p.layer, p.root, "f", "user.x", value, 8), -ENODATA);
	cr_assert_eq(layer_listxattr(p.layer, p.root, "f", &out), 0);
	cr_assert_eq(out.len, 0);
}

Test(dir, hides_its_private_directory)
{
	const struct layer_options own = {.hide_private = true};
	WITH_PLAIN(p);
	put_dir(&p, ".plyfs");
	put_file(&p, ".wh..plyfs", "");
	put_dir(&p, "d");
	put_dir(&p, "d/.plyfs");
	plain_open(&p, &own);
	cr_assert_eq(plain_flags(&p, ".plyfs"), -ENOENT);
	cr_assert_eq(plain_listed(&p, "", ".plyfs"), -ENOENT);
	cr_assert_eq(plain_flags(&p, "d/.plyfs"), 0, "only the root's");
	plain_close(&p);
	plain_open(&p, NULL);
	cr_assert_geq(plain_flags(&p, ".plyfs"), 0);
	cr_assert_eq(plain_listed(&p, "", ".plyfs"), DT_DIR);
}

Test(dir, acls_pass)
{
	/* user::rw- user:1000:r-- group::r-- mask::r-- other::r-- */
	static const char acl[] = "\x02\0\0\0\x01\0\x06\0\xff\xff\xff\xff\x02\0\x04\0\xe8\x03\0\0"
				  "\x04\0\x04\0\xff\xff\xff\xff\x10\0\x04\0\xff\xff\xff\xff"
				  "\x20\0\x04\0\xff\xff\xff\xff";
	CLEANUP(buf) struct buf out = {0};
	char path[300], value[64];
	WITH_PLAIN(p);
	put_file(&p, "f", "");
	snprintf(path, sizeof(path), "%s/f", p.tmp.path);
	if (setxattr(path, "system.posix_acl_access", acl, sizeof(acl) - 1, 0) < 0)
		cr_skip_test("no ACLs here: %m");
	plain_open(&p, NULL);
	cr_assert_eq(layer_getxattr(p.layer, p.root, "f", "system.posix_acl_access", value, 64),
		     (ssize_t)sizeof(acl) - 1);
	cr_assert_eq(memcmp(value, acl, sizeof(acl) - 1), 0);
	cr_assert_eq(layer_listxattr(p.layer, p.root, "f", &out), 0);
	cr_assert_str_eq((char *)out.data, "system.posix_acl_access");
}

static int identity_of(const char *path, struct hash128 *ret_id)
{
	const struct layer_options off = {0};
	CLEANUP(layer) struct layer *l = NULL;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (layer_open_dir(fd, path, &off, &l, NULL) < 0)
		return -1;
	return layer_identity(l, ret_id);
}

Test(dir, identity_is_the_directory_s)
{
	char a[300], b[300];
	struct hash128 first, moved, other;
	WITH_PLAIN(p);
	put_dir(&p, "a");
	snprintf(a, sizeof(a), "%s/a", p.tmp.path);
	snprintf(b, sizeof(b), "%s/b", p.tmp.path);
	cr_assert_eq(identity_of(a, &first), 0);
	cr_assert_eq(rename(a, b), 0);
	put_dir(&p, "a");
	cr_assert_eq(identity_of(b, &moved), 0);
	cr_assert_eq(identity_of(a, &other), 0);
	cr_assert(first.low == moved.low && first.high == moved.high);
	cr_assert(first.low != other.low || first.high != other.high);
}

Test(dir, reading_leaves_no_atime)
{
	const struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 2000}};
	struct layer_file *f;
	struct stat st;
	char byte;
	WITH_PLAIN(p);
	put_file(&p, "f", "x");
	put_dir(&p, "d");
	cr_assert_eq(utimensat(p.tmp.fd, "f", old, 0), 0);
	cr_assert_eq(utimensat(p.tmp.fd, "d", old, 0), 0);
	plain_open(&p, NULL);
	cr_assert_eq(layer_open(p.layer, p.root, "f", &f), 0);
	cr_assert_eq(layer_file_read(f, &byte, 1, 0), 1);
	layer_file_close(f);
	cr_assert_eq(plain_count(&p, "d"), 0);
	cr_assert_eq(fstatat(p.tmp.fd, "f", &st, 0), 0);
	cr_assert_eq(st.st_atim.tv_sec, 1000);
	cr_assert_eq(fstatat(p.tmp.fd, "d", &st, 0), 0);
	cr_assert_eq(st.st_atim.tv_sec, 1000);
}

static void mount_over(struct plain *p, const char *name)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/%s", p->tmp.path, name);
	cr_assert_eq(mount("tmpfs", path, "tmpfs", 0, "mode=0700"), 0, "%m");
	snprintf(path, sizeof(path), "%s/%s/inside", p->tmp.path, name);
	cr_assert_eq(mkdir(path, 0755), 0);
}

static void unmount(struct plain *p, const char *name)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/%s", p->tmp.path, name);
	umount2(path, MNT_DETACH);
}

Test(dir, another_mount_is_shown_empty)
{
	struct layer_entry e;
	CLEANUP(buf) struct buf out = {0};
	struct attr a;
	char value[8];
	WITH_PLAIN(p);
	plain_private_mounts(&p);
	put_dir(&p, "m");
	mount_over(&p, "m");
	plain_open(&p, NULL);
	cr_assert_eq(plain_lookup(&p, "m", &e), 0);
	cr_assert_eq(e.attr.mode, S_IFDIR | 0700);
	cr_assert_eq(plain_count(&p, "m"), 0);
	cr_assert_eq(plain_flags(&p, "m/inside"), -ENOENT);
	cr_assert_eq(layer_getattr(p.layer, e.dir, NULL, &a), 0);
	cr_assert_eq(a.mode, S_IFDIR | 0700);
	cr_assert_eq(layer_listxattr(p.layer, e.dir, NULL, &out), 0);
	cr_assert_eq(layer_getxattr(p.layer, e.dir, NULL, "user.x", value, 8), -ENODATA);
	layer_entry_done(p.layer, &e);
	plain_close(&p);
	unmount(&p, "m");
}

Test(dir, a_detached_tree_does_not_see_later_mounts)
{
	const struct layer_options detached = {.detach = true};
	WITH_PLAIN(p);
	plain_private_mounts(&p);
	put_dir(&p, "before");
	put_dir(&p, "before/below");
	put_dir(&p, "after");
	put_dir(&p, "after/below");
	mount_over(&p, "before");
	plain_open(&p, &detached);
	mount_over(&p, "after");
	cr_assert_eq(plain_flags(&p, "before/inside"), -ENOENT);
	cr_assert_eq(plain_flags(&p, "before/below"), 0);
	cr_assert_eq(plain_flags(&p, "after/inside"), -ENOENT);
	cr_assert_eq(plain_flags(&p, "after/below"), 0);
	cr_assert_eq(plain_listed(&p, "after", "below"), DT_DIR);
	cr_assert_eq(faccessat(p.tmp.fd, "after/inside", F_OK, 0), 0, "others do see it");
	plain_close(&p);
	unmount(&p, "before");
	unmount(&p, "after");
}

Test(dir, mounting_over_the_layer_itself)
{
	const struct layer_options detached = {.detach = true};
	WITH_PLAIN(p);
	plain_private_mounts(&p);
	put_dir(&p, "d");
	plain_open(&p, &detached);
	mount_over(&p, "");
	cr_assert_eq(plain_count(&p, ""), 1);
	cr_assert_eq(plain_flags(&p, "d"), 0);
	unmount(&p, "");
}

Test(dir, says_whether_it_finds_only_what_it_lists)
{
	const struct layer_options off = {0};
	struct layer *proc = NULL;
	struct layer_entry d, e;
	struct layer_dir *root;
	int fd, flags = FS_CASEFOLD_FL;
	WITH_PLAIN(p);
	plain_private_mounts(&p);
	cr_assert_eq(mount("tmpfs", p.tmp.path, "tmpfs", 0, NULL), 0, "%m");
	close(p.tmp.fd);
	p.tmp.fd = open(p.tmp.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	plain_open(&p, NULL);
	cr_assert(layer_lists_all(p.layer, p.root));
	plain_close(&p);
	unmount(&p, "");

	/* Names there may be found that are not listed: that is not known. */
	fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert_eq(layer_open_dir(fd, "/proc", &off, &proc, NULL), 0);
	cr_assert_eq(layer_root(proc, &root), 0);
	cr_assert_not(layer_lists_all(proc, root));
	layer_dir_unref(proc, root);
	layer_close(proc);

	/* A directory that ignores case, in one that does not. Linux 6.13, where it is built in. */
	if (mount("tmpfs", p.tmp.path, "tmpfs", 0, "casefold") < 0)
		return;
	close(p.tmp.fd);
	p.tmp.fd = open(p.tmp.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	put_dir(&p, "d");
	fd = openat(p.tmp.fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert_eq(ioctl(fd, FS_IOC_SETFLAGS, &flags), 0, "%m");
	close(fd);
	put_file(&p, "d/Name", "");
	plain_open(&p, NULL);
	cr_assert(layer_lists_all(p.layer, p.root));
	cr_assert_eq(plain_lookup(&p, "d", &d), 0);
	cr_assert_not(layer_lists_all(p.layer, d.dir));
	cr_assert_eq(layer_lookup(p.layer, d.dir, "nAME", &e), 0);
	layer_entry_done(p.layer, &e);
	layer_entry_done(p.layer, &d);
	plain_close(&p);
	unmount(&p, "");
}

/* What nobody sees of a directory that may be searched but not read, and of one that may neither. */
static int check_as_nobody(struct plain *p)
{
	CLEANUP(layer_list) struct layer_list list = {0};
	struct layer_entry e;
	int bad = 0;

	plain_open(p, NULL);
	bad += plain_flags(p, "search/f") != 0;
	bad += plain_flags(p, "search/d") != 0;
	bad += plain_flags(p, "search/gone") != LAYER_WHITEOUT;
	bad += plain_flags(p, "search/none") != -ENOENT;
	bad += plain_attr(p, "search/f").size != 5;
	bad += plain_flags(p, "closed") != 0;
	bad += plain_flags(p, "closed/f") != -EACCES;
	bad += plain_lookup(p, "search", &e) != 0;
	bad += layer_readdir(p->layer, e.dir, &list) != -EACCES;
	layer_entry_done(p->layer, &e);
	plain_close(p);
	return bad;
}

static bool become_nobody(void)
{
	return setgroups(0, NULL) == 0 && setresgid(65534, 65534, 65534) == 0 &&
	       setresuid(65534, 65534, 65534) == 0;
}

/* In a process of its own, for the test must be able to remove what it has made. */
Test(dir, unreadable_directories)
{
	int status;
	pid_t pid;
	WITH_PLAIN(p);
	put_dir(&p, "search");
	put_file(&p, "search/f", "bytes");
	put_file(&p, "search/.wh.gone", "");
	put_dir(&p, "search/d");
	put_dir(&p, "closed");
	put_file(&p, "closed/f", "");
	cr_assert_eq(fchmodat(p.tmp.fd, "search", 0711, 0), 0);
	cr_assert_eq(fchmodat(p.tmp.fd, "closed", 0700, 0), 0);
	if (geteuid() != 0)
		cr_skip_test("only root can become nobody");
	pid = fork();
	cr_assert_geq(pid, 0);
	if (pid == 0)
		_exit(become_nobody() ? check_as_nobody(&p) : 100);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status));
	cr_assert_eq(WEXITSTATUS(status), 0, "%d checks failed", WEXITSTATUS(status));
}

Test(dir, what_is_no_layer)
{
	const struct layer_options off = {0};
	CLEANUP(err) struct err err = {0};
	struct layer *l = NULL;
	WITH_PLAIN(p);
	put_file(&p, "f", "");
	cr_assert_eq(layer_open_dir(openat(p.tmp.fd, "f", O_RDONLY), "/some/f", &off, &l, &err),
		     -ENOTDIR);
	cr_assert_null(l);
	cr_assert_not_null(strstr(err_text(&err), "/some/f"));
}

/* As many layers as clients stack, with the usual limit. */
TIMED_TEST(dir, five_hundred_layers, 120)
{
	enum { LAYERS = 500 };
	const struct layer_options off = {0};
	const struct rlimit lim = {.rlim_cur = 1024, .rlim_max = 1024};
	static struct layer *layers[LAYERS];
	struct layer_dir *root;
	struct layer_entry e, kept[LAYERS] = {0};
	size_t i;
	WITH_PLAIN(p);
	put_dir(&p, "d");
	put_file(&p, "d/f", "x");
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &lim), 0);
	for (i = 0; i < LAYERS; i++) {
		int fd = fcntl(p.tmp.fd, F_DUPFD_CLOEXEC, 3);

		cr_assert_eq(layer_open_dir(fd, p.tmp.path, &off, &layers[i], NULL), 0);
		cr_assert_eq(layer_root(layers[i], &root), 0);
		cr_assert_eq(layer_lookup(layers[i], root, "d", &kept[i]), 0);
		layer_dir_unref(layers[i], root);
	}
	for (i = 0; i < LAYERS; i++)
		cr_assert_eq(layer_lookup(layers[i], kept[i].dir, "f", &e), 0);
	cr_assert_lt(count_fds(), 700);
	for (i = 0; i < LAYERS; i++) {
		layer_entry_done(layers[i], &kept[i]);
		layer_close(layers[i]);
	}
}
