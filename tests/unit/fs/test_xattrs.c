/* SPDX-License-Identifier: Apache-2.0 */
/* Extended attributes and ACLs: kept by copy-up, inherited, in step with the mode. */
#include <errno.h>
#include <limits.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "attr/acl.h"
#include "unit/fs/support.h"

/* u::U [u:ID:P] g::G [m::M] o::O; a negative M leaves the entries in brackets out. */
struct acl {
	struct posix_acl_xattr_header head;
	struct posix_acl_xattr_entry e[5];
};

static size_t make_acl(struct acl *a, int user, uint32_t id, int perm, int group, int mask,
		       int other)
{
	size_t n = 0;

	memset(a, 0, sizeof(*a));
	a->head.a_version = POSIX_ACL_XATTR_VERSION;
	a->e[n++] = (struct posix_acl_xattr_entry){ACL_USER_OBJ, (uint16_t)user, UINT32_MAX};
	if (mask >= 0)
		a->e[n++] = (struct posix_acl_xattr_entry){ACL_USER, (uint16_t)perm, id};
	a->e[n++] = (struct posix_acl_xattr_entry){ACL_GROUP_OBJ, (uint16_t)group, UINT32_MAX};
	if (mask >= 0)
		a->e[n++] = (struct posix_acl_xattr_entry){ACL_MASK, (uint16_t)mask, UINT32_MAX};
	a->e[n++] = (struct posix_acl_xattr_entry){ACL_OTHER, (uint16_t)other, UINT32_MAX};
	return sizeof(a->head) + n * sizeof(a->e[0]);
}

static ssize_t get(struct world *w, const char *path, const char *name, void *value, size_t size)
{
	uint64_t ino = hold(w, path);
	ssize_t n = fs_getxattr(w->fs, ino, name, value, size);

	drop(w, ino);
	return n;
}

static int set(struct world *w, const char *path, const char *name, const void *value, size_t len,
	       int flags)
{
	uint64_t ino = hold(w, path);
	int r = fs_setxattr(w->fs, ino, name, value, len, flags, false);

	drop(w, ino);
	return r;
}

static int unset(struct world *w, const char *path, const char *name)
{
	uint64_t ino = hold(w, path);
	int r = fs_removexattr(w->fs, ino, name);

	drop(w, ino);
	return r;
}

static void assert_acl(struct world *w, const char *path, const char *name, const struct acl *want,
		       size_t len)
{
	struct acl is;

	cr_assert_eq(get(w, path, name, &is, sizeof(is)), (ssize_t)len, "%s of %s", name, path);
	cr_assert_eq(memcmp(&is, want, len), 0, "%s of %s", name, path);
}

Test(xattrs, set_get_list_remove)
{
	static const char *const paths[] = {"upper", "lower", "d", "s"};
	CLEANUP(world) struct world w;
	char value[64], names[256];

	world_init(&w, 1);
	put_file("l0/lower", "x");
	put_xattr("l0/lower", "user.old", "old", 3);
	put_xattr("l0/lower", "trusted.t", "t", 1);
	put_dir("l0/d");
	put_xattr("l0/d", "user.old", "old", 3);
	put_symlink("x", "l0/s");
	put_xattr("l0/s", "trusted.old", "old", 3);
	world_open(&w);
	ok(t_write(&w, "upper", "x"));
	assert_xattr(&w, "lower", "user.old", "old");
	for (size_t i = 0; i < 4; i++) {
		const char *path = paths[i], *name = i == 3 ? "trusted.n" : "user.n";

		fails(ENODATA, get(&w, path, name, value, sizeof(value)));
		fails(ENODATA, unset(&w, path, name));
		fails(ENODATA, set(&w, path, name, "1", 1, XATTR_REPLACE));
		ok(set(&w, path, name, "first", 5, XATTR_CREATE));
		fails(EEXIST, set(&w, path, name, "1", 1, XATTR_CREATE));
		ok(set(&w, path, name, "2nd", 3, XATTR_REPLACE));
		assert_xattr(&w, path, name, "2nd");
		cr_assert_eq(get(&w, path, name, NULL, 0), 3);
		fails(ERANGE, get(&w, path, name, value, 2));
		cr_assert_eq(get(&w, path, name, value, 3), 3);
		fails(EINVAL, set(&w, path, name, "1", 1, 0x40));
		ok(set(&w, path, "security.empty", "", 0, 0));
		cr_assert_eq(get(&w, path, "security.empty", value, sizeof(value)), 0);
	}
	assert_xattr(&w, "lower", "user.old", "old");
	assert_xattr(&w, "lower", "trusted.t", "t");
	assert_xattr(&w, "s", "trusted.old", "old");
	world_assert_lasting(&w);
	{
		uint64_t ino = hold(&w, "lower");
		ssize_t len = fs_listxattr(w.fs, ino, names, sizeof(names));

		cr_assert_eq(len, (ssize_t)(sizeof("user.old") + sizeof("trusted.t") +
					    sizeof("user.n") + sizeof("security.empty")));
		cr_assert_eq(fs_listxattr(w.fs, ino, NULL, 0), len);
		fails(ERANGE, fs_listxattr(w.fs, ino, names, (size_t)len - 1));
	}
	ok(unset(&w, "lower", "user.old"));
	ok(unset(&w, "d", "user.old"));
	assert_xattr(&w, "lower", "user.old", NULL);
	fails(ENODATA, unset(&w, "lower", "user.old"));
	world_assert_lasting(&w);
	assert_xattr(&w, "d", "user.old", NULL);
	assert_xattr(&w, "d", "user.n", "2nd");
}

Test(xattrs, limits)
{
	CLEANUP(world) struct world w;
	CLEANUP(free) char *big = calloc(1, XATTR_SIZE_MAX + 1);
	CLEANUP(free) char *is = calloc(1, XATTR_SIZE_MAX + 1);
	char name[XATTR_NAME_MAX + 2] = "user.";

	memset(name + 5, 'n', sizeof(name) - 5);
	name[sizeof(name) - 1] = '\0';
	memset(big, 'v', XATTR_SIZE_MAX);
	world_init(&w, 1);
	put_file("l0/f", "x");
	world_open(&w);
	fails(ERANGE, set(&w, "f", name, "1", 1, 0));
	fails(ERANGE, get(&w, "f", name, is, 1));
	name[XATTR_NAME_MAX] = '\0';
	ok(set(&w, "f", name, "1", 1, 0));
	assert_xattr(&w, "f", name, "1");
	ok(set(&w, "f", "user.big", big, XATTR_SIZE_MAX, 0));
	cr_assert_eq(get(&w, "f", "user.big", is, XATTR_SIZE_MAX), XATTR_SIZE_MAX);
	cr_assert_eq(memcmp(is, big, XATTR_SIZE_MAX), 0);
	fails(E2BIG, set(&w, "f", "user.big", big, XATTR_SIZE_MAX + 1, 0));
	fails(EOPNOTSUPP, set(&w, "f", "other.x", "1", 1, 0));
	fails(EOPNOTSUPP, set(&w, "f", "system.x", "1", 1, 0));
	fails(EOPNOTSUPP, get(&w, "f", "", is, 1));
	fails(EINVAL, set(&w, "f", "user.", "1", 1, 0));
	fails(EINVAL, get(&w, "f", "trusted.", is, 1));
	fails(EINVAL, unset(&w, "f", "security."));
	world_assert_lasting(&w);
}

Test(xattrs, switched_off)
{
	CLEANUP(world) struct world w;
	struct acl a;
	size_t len = make_acl(&a, 7, 5, 7, 5, 5, 0);
	char value[16];

	world_init(&w, 1);
	put_file("l0/f", "x");
	put_xattr("l0/f", "user.a", "1", 1);
	w.o.no_xattr = true;
	world_open(&w);
	fails(EOPNOTSUPP, get(&w, "f", "user.a", value, 1));
	fails(EOPNOTSUPP, set(&w, "f", "user.a", "1", 1, 0));
	fails(EOPNOTSUPP, unset(&w, "f", "user.a"));
	cr_assert_eq(fs_listxattr(w.fs, hold(&w, "f"), NULL, 0), 0);
	w.o.no_xattr = false;
	w.o.no_acl = true;
	world_reopen(&w);
	assert_xattr(&w, "f", "user.a", "1");
	fails(EOPNOTSUPP, set(&w, "f", ACL_XATTR_ACCESS, &a, len, 0));
	fails(EOPNOTSUPP, get(&w, "f", ACL_XATTR_ACCESS, &a, len));
}

/* Marks of union file systems in a layer are not the user's. */
Test(xattrs, marks_of_layers_are_hidden)
{
	CLEANUP(world) struct world w;

	world_init(&w, 1);
	put_opaque("l0/d");
	put_xattr("l0/d", "user.x", "1", 1);
	world_open(&w);
	assert_xattr(&w, "d", "trusted.overlay.opaque", NULL);
	ok(t_chmod(&w, "d", 0700));
	assert_xattr(&w, "d", "trusted.overlay.opaque", NULL);
	assert_xattr(&w, "d", "user.x", "1");
	/* One of the user's own is kept as it is. */
	ok(t_setxattr(&w, "d", "trusted.overlay.opaque", "y"));
	assert_xattr(&w, "d", "trusted.overlay.opaque", "y");
	world_assert_lasting(&w);
}

Test(xattrs, capabilities_do_not_survive_changes)
{
	static const char cap[20] = {0, 0, 0, 2, 1};
	static const char *const names[] = {"w", "t", "o", "k", "a"};
	CLEANUP(world) struct world w;
	struct attr a;

	world_init(&w, 1);
	for (int i = 0; i < 5; i++) {
		char path[16];

		snprintf(path, sizeof(path), "l0/%s", names[i]);
		put_bytes(path, 20000, 1);
		put_xattr(path, "security.capability", cap, sizeof(cap));
		put_xattr(path, "user.keep", "1", 1);
	}
	world_open(&w);
	for (int round = 0; round < 3; round++) {
		ok(t_pwrite(&w, "w", "x", 1, 0));
		ok(t_truncate(&w, "t", 10));
		ok(t_chown(&w, "o", 1, 1));
		ok(fs_fallocate(w.fs, hold(&w, "a"), 0, 0, 30000));
		ok(t_chmod(&w, "k", 0711));
		assert_xattr(&w, "w", "security.capability", NULL);
		assert_xattr(&w, "t", "security.capability", NULL);
		assert_xattr(&w, "o", "security.capability", NULL);
		assert_xattr(&w, "a", "security.capability", NULL);
		assert_xattr(&w, "w", "user.keep", "1");
		assert_xattr(&w, "o", "user.keep", "1");
		cr_assert_eq(get(&w, "k", "security.capability", &a, sizeof(a)), sizeof(cap));
		world_assert_lasting(&w);
		for (int i = 0; i < 5; i++)
			ok(set(&w, names[i], "security.capability", cap, sizeof(cap), 0));
	}
}

Test(xattrs, an_acl_and_the_mode_are_one)
{
	CLEANUP(world) struct world w;
	struct acl a, want;
	size_t len = make_acl(&a, 6, 1000, 7, 4, 6, 1);

	world_init(&w, 1);
	put_file("l0/f", "x");
	put_dir("l0/d");
	world_open(&w);
	ok(set(&w, "f", ACL_XATTR_ACCESS, &a, len, 0));
	cr_assert_eq(mode_of(&w, "f"), 0661);
	assert_acl(&w, "f", ACL_XATTR_ACCESS, &a, len);
	/* chmod changes the owner, the mask and the others. */
	ok(t_chmod(&w, "f", 0750));
	make_acl(&want, 7, 1000, 7, 4, 5, 0);
	assert_acl(&w, "f", ACL_XATTR_ACCESS, &want, len);
	cr_assert_eq(mode_of(&w, "f"), 0750);
	world_assert_lasting(&w);
	assert_acl(&w, "f", ACL_XATTR_ACCESS, &want, len);
	/* One that the mode says as well is not kept. */
	len = make_acl(&a, 6, 0, 0, 4, -1, 0);
	ok(set(&w, "f", ACL_XATTR_ACCESS, &a, len, 0));
	cr_assert_eq(mode_of(&w, "f"), 0640);
	assert_xattr(&w, "f", ACL_XATTR_ACCESS, NULL);
	ok(unset(&w, "f", ACL_XATTR_ACCESS));
	ok(set(&w, "f", ACL_XATTR_ACCESS, NULL, 0, 0));
	/* Default ACLs are the directories'. */
	len = make_acl(&a, 7, 5, 7, 5, 5, 0);
	fails(EACCES, set(&w, "f", ACL_XATTR_DEFAULT, &a, len, 0));
	ok(set(&w, "d", ACL_XATTR_DEFAULT, &a, len, 0));
	cr_assert_eq(mode_of(&w, "d"), 0755);
	fails(EINVAL, set(&w, "d", ACL_XATTR_DEFAULT, &a, len - 1, 0));
	a.head.a_version = 77;
	fails(EINVAL, set(&w, "d", ACL_XATTR_ACCESS, &a, len, 0));
	world_assert_lasting(&w);
	ok(unset(&w, "d", ACL_XATTR_DEFAULT));
	assert_xattr(&w, "d", ACL_XATTR_DEFAULT, NULL);
}

Test(xattrs, an_acl_by_a_stranger_clears_setgid)
{
	CLEANUP(world) struct world w;
	struct acl a;
	size_t len = make_acl(&a, 7, 1000, 7, 5, 5, 5);
	uint64_t ino;

	world_init(&w, 1);
	world_open(&w);
	ok(t_create(&w, "f", 0644));
	ok(t_chmod(&w, "f", 02755));
	ino = hold(&w, "f");
	ok(fs_setxattr(w.fs, ino, ACL_XATTR_ACCESS, &a, len, 0, false));
	cr_assert_eq(mode_of(&w, "f"), 02755);
	ok(fs_setxattr(w.fs, ino, ACL_XATTR_ACCESS, &a, len, 0, true));
	cr_assert_eq(mode_of(&w, "f"), 0755);
	world_assert_lasting(&w);
}

Test(xattrs, chmod_of_a_lower_file_with_an_acl)
{
	CLEANUP(world) struct world w;
	struct acl a, want;
	size_t len = make_acl(&a, 7, 1000, 7, 5, 7, 5);

	world_init(&w, 1);
	put_file("l0/f", "x");
	put_xattr("l0/f", ACL_XATTR_ACCESS, &a, len);
	world_open(&w);
	cr_assert_eq(mode_of(&w, "f"), 0775);
	assert_acl(&w, "f", ACL_XATTR_ACCESS, &a, len);
	ok(t_chmod(&w, "f", 0640));
	cr_assert_eq(mode_of(&w, "f"), 0640);
	make_acl(&want, 6, 1000, 7, 5, 4, 0);
	assert_acl(&w, "f", ACL_XATTR_ACCESS, &want, len);
	world_assert_lasting(&w);
}

/* A directory that has a default ACL, by PATH: the umask does not count in it. */
static void assert_inherited(struct world *w, const char *dir, const struct acl *def, size_t len)
{
	struct acl want;
	char path[64];

	w->who.umask = 077;
	snprintf(path, sizeof(path), "%s/f", dir);
	ok(t_create(w, path, 0666));
	cr_assert_eq(mode_of(w, path), 0660);
	make_acl(&want, 6, 1000, 7, 5, 6, 0);
	assert_acl(w, path, ACL_XATTR_ACCESS, &want, len);
	assert_xattr(w, path, ACL_XATTR_DEFAULT, NULL);
	snprintf(path, sizeof(path), "%s/p", dir);
	ok(t_mknod(w, path, S_IFIFO | 0604, 0, 0));
	cr_assert_eq(mode_of(w, path), 0600);
	snprintf(path, sizeof(path), "%s/sub", dir);
	ok(t_mkdir(w, path, 0777));
	cr_assert_eq(mode_of(w, path), 0770);
	assert_acl(w, path, ACL_XATTR_ACCESS, def, len);
	assert_acl(w, path, ACL_XATTR_DEFAULT, def, len);
	snprintf(path, sizeof(path), "%s/sub/f", dir);
	ok(t_create(w, path, 0644));
	cr_assert_eq(mode_of(w, path), 0640);
	snprintf(path, sizeof(path), "%s/s", dir);
	ok(t_symlink(w, "x", path));
	cr_assert_eq(mode_of(w, path), 0777);
	assert_xattr(w, path, ACL_XATTR_ACCESS, NULL);
	w->who.umask = 022;
}

Test(xattrs, default_acls_are_inherited)
{
	CLEANUP(world) struct world w;
	struct acl def;
	size_t len = make_acl(&def, 7, 1000, 7, 5, 7, 0);
	struct fs_entry e;

	world_init(&w, 1);
	put_dir("l0/lower");
	put_xattr("l0/lower", ACL_XATTR_DEFAULT, &def, len);
	put_dir("l0/changed");
	put_xattr("l0/changed", ACL_XATTR_DEFAULT, &def, len);
	put_dir("l0/tmp");
	put_xattr("l0/tmp", ACL_XATTR_DEFAULT, &def, len);
	world_open(&w);
	/* Nothing of it was copied up before. */
	assert_inherited(&w, "lower", &def, len);
	ok(t_chmod(&w, "changed", 0700));
	assert_inherited(&w, "changed", &def, len);
	ok(t_mkdir(&w, "upper", 0755));
	ok(set(&w, "upper", ACL_XATTR_DEFAULT, &def, len, 0));
	assert_inherited(&w, "upper", &def, len);
	w.who.umask = 077;
	ok(fs_tmpfile(w.fs, &w.who, hold(&w, "tmp"), 0666, &e));
	held_add(&w, e.ino);
	cr_assert_eq(e.attr.mode, S_IFREG | 0660);
	/* Back to the umask when it is gone, and when ACLs are switched off. */
	ok(unset(&w, "upper", ACL_XATTR_DEFAULT));
	ok(t_create(&w, "upper/late", 0666));
	cr_assert_eq(mode_of(&w, "upper/late"), 0600);
	world_assert_lasting(&w);
	w.o.no_acl = true;
	world_reopen(&w);
	ok(t_create(&w, "lower/late", 0666));
	cr_assert_eq(mode_of(&w, "lower/late"), 0600);
}

Test(xattrs, ids_in_acls_are_mapped)
{
	CLEANUP(world) struct world w;
	struct acl shown, stored, def;
	size_t len = make_acl(&shown, 7, 5, 7, 5, 7, 0);

	world_init(&w, 1);
	put_file("l0/f", "x");
	make_acl(&stored, 7, 100005, 7, 5, 7, 0);
	put_xattr("l0/f", ACL_XATTR_ACCESS, &stored, len);
	put_dir("l0/d");
	put_xattr("l0/d", ACL_XATTR_DEFAULT, &stored, len);
	ok(idmap_parse("100000:0:1000", "uidmapping", &w.o.uids, NULL));
	ok(idmap_parse("100000:0:1000", "gidmapping", &w.o.gids, NULL));
	world_open(&w);
	assert_acl(&w, "f", ACL_XATTR_ACCESS, &shown, len);
	ok(t_create(&w, "new", 0644));
	ok(set(&w, "new", ACL_XATTR_ACCESS, &shown, len, 0));
	assert_acl(&w, "new", ACL_XATTR_ACCESS, &shown, len);
	ok(t_create(&w, "d/f", 0666));
	make_acl(&def, 6, 5, 7, 5, 6, 0);
	assert_acl(&w, "d/f", ACL_XATTR_ACCESS, &def, len);
	world_assert_lasting(&w);
	idmap_done(&w.o.uids);
	idmap_done(&w.o.gids);
	world_reopen(&w);
	assert_acl(&w, "new", ACL_XATTR_ACCESS, &stored, len);
}

/* To whom the map does not show gives an ACL nothing; least of all to the one who has the overflow id. */
Test(xattrs, unmapped_ids_in_acls_are_not_shown)
{
	CLEANUP(world) struct world w;
	struct acl shown, stored;
	size_t len = make_acl(&stored, 6, 4242, 6, 0, 6, 0);
	size_t n = make_acl(&shown, 6, 0, 0, 0, -1, 0);

	world_init(&w, 1);
	put_file("l0/f", "x");
	put_xattr("l0/f", ACL_XATTR_ACCESS, &stored, len);
	ok(idmap_parse("100000:0:1000", "uidmapping", &w.o.uids, NULL));
	world_open(&w);
	/* u::6 g::0 m::6 o::0 */
	shown.e[3] = shown.e[2];
	shown.e[2] = (struct posix_acl_xattr_entry){ACL_MASK, 6, UINT32_MAX};
	n += sizeof(shown.e[0]);
	assert_acl(&w, "f", ACL_XATTR_ACCESS, &shown, n);
	ok(t_chmod(&w, "f", 0660));
	assert_acl(&w, "f", ACL_XATTR_ACCESS, &shown, n);
	fails(EOVERFLOW, set(&w, "f", ACL_XATTR_ACCESS, &stored, len, 0));
	idmap_done(&w.o.uids);
	world_reopen(&w);
	assert_acl(&w, "f", ACL_XATTR_ACCESS, &stored, len);
}
