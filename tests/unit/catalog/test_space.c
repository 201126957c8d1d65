/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the space that a catalog takes: it grows and shrinks with what is in it. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "catalog/internal.h"
#include "unit/catalog/helper.h"

static size_t name_of(char *name, size_t size, uint64_t n)
{
	return (size_t)snprintf(name, size, "a name of some length %llu", (unsigned long long)n);
}

static void add(struct catalog *c, uint64_t from, uint64_t to)
{
	for (uint64_t n = from; n < to; n++) {
		CLEANUP(batch) struct batch b = {0};
		struct inode_rec rec = {.attr = {.ino = 1000 + n, .mode = S_IFREG | 0644}};
		char name[64];

		batch_begin(&b, c);
		batch_put_entry(&b, 1, name, name_of(name, sizeof(name), n), 1000 + n, DT_REG);
		batch_put_inode(&b, &rec);
		cr_assert_eq(catalog_commit(c, &b), 0);
	}
}

static void del(struct catalog *c, uint64_t from, uint64_t to)
{
	for (uint64_t n = from; n < to; n++) {
		CLEANUP(batch) struct batch b = {0};
		char name[64];

		batch_begin(&b, c);
		batch_del_entry(&b, 1, name, name_of(name, sizeof(name), n));
		batch_del_inode(&b, 1000 + n);
		cr_assert_eq(catalog_commit(c, &b), 0);
	}
}

static void assert_names(struct catalog *c, uint64_t from, uint64_t to)
{
	CLEANUP(catalog_names) struct catalog_names l = {0};

	cr_assert_eq(catalog_list(c, 1, 0, SIZE_MAX, &l), 0);
	cr_assert_eq(l.n, to - from);
	for (uint64_t n = from; n < to; n++) {
		CLEANUP(inode_rec) struct inode_rec rec = {0};
		struct entry_rec e;
		char name[64];

		cr_assert_eq(catalog_entry(c, 1, name, name_of(name, sizeof(name), n), &e), 0);
		cr_assert_eq(e.ino, 1000 + n);
		cr_assert_eq(catalog_inode(c, e.ino, &rec), 0);
	}
}

Test(space, is_given_back)
{
	CLEANUP(dir) struct dir d = dir_make();
	struct catalog *c = open_quick(&d), *s;
	off_t large;

	cr_assert_not_null(c);
	add(c, 0, 100000);
	cr_assert_eq(catalog_checkpoint(c), 0);
	large = file_size(&d, CATALOG_FILE);
	del(c, 0, 90000);
	cr_assert_eq(catalog_checkpoint(c), 0);
	cr_assert_eq(c->stats.compactions, 1);
	cr_assert_lt(file_size(&d, CATALOG_FILE), large / 4);
	assert_names(c, 90000, 100000);
	/* The new file is written, and read, and copied as the old one was. */
	add(c, 100000, 101000);
	s = open_snapshot(&d);
	cr_assert_not_null(s);
	assert_names(s, 90000, 101000);
	catalog_close(s);
	cr_assert_eq(catalog_checkpoint(c), 0);
	del(c, 90000, 100000);
	catalog_close(c);
	c = open_quick(&d);
	cr_assert_not_null(c);
	assert_names(c, 100000, 101000);
	catalog_close(c);
	cr_assert_lt(file_size(&d, CATALOG_FILE), large / 20);
	cr_assert_eq(file_size(&d, CATALOG_FILE_NEW), -1);
}

/* Closed, it takes no blocks that it does not need. */
Test(space, reserves_are_given_back)
{
	CLEANUP(dir) struct dir d = dir_make();
	struct catalog *c = open_quick(&d);
	struct stat st;

	cr_assert_not_null(c);
	add(c, 0, 100);
	cr_assert_eq(fstatat(d.fd, JOURNAL_FILE, &st, 0), 0);
	cr_assert_geq(st.st_blocks, (blkcnt_t)(JOURNAL_RESERVE / 512),
		      "a reserve while it is open");
	catalog_close(c);
	for (unsigned int i = 0; i < N_JOURNALS; i++) {
		cr_assert_eq(fstatat(d.fd, journal_names[i], &st, 0), 0);
		cr_assert_leq(st.st_blocks, 16);
	}
	cr_assert_eq(fstatat(d.fd, CATALOG_FILE, &st, 0), 0);
	cr_assert_leq((off_t)st.st_blocks * 512, st.st_size + 65536);
}

/* For ever the same number of names, and never the same ones. */
Test(space, does_not_creep)
{
	CLEANUP(dir) struct dir d = dir_make();
	CLEANUP(catalog) struct catalog *c = open_quick(&d);
	off_t early = 0;

	cr_assert_not_null(c);
	add(c, 0, 2000);
	for (uint64_t n = 0; n < 200000; n += 500) {
		add(c, n + 2000, n + 2500);
		del(c, n, n + 500);
		if (n % 5000 == 0)
			cr_assert_eq(catalog_checkpoint(c), 0);
		if (n == 50000)
			early = file_size(&d, CATALOG_FILE);
	}
	cr_assert_eq(catalog_checkpoint(c), 0);
	assert_names(c, 200000, 202000);
	cr_assert_leq(file_size(&d, CATALOG_FILE), early * 5 / 4);
	for (unsigned int i = 0; i < N_JOURNALS; i++)
		cr_assert_leq(file_size(&d, journal_names[i]), (off_t)JOURNAL_KEEP);
}

static void unlink_all(const struct dir *d)
{
	DIR *dir = fdopendir(openat(d->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	const struct dirent *de;

	cr_assert_not_null(dir);
	while ((de = readdir(dir)) != NULL)
		unlinkat(d->fd, de->d_name, 0);
	closedir(dir);
}

static size_t count_names(const struct dir *d)
{
	DIR *dir = fdopendir(openat(d->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	const struct dirent *de;
	size_t n = 0;

	cr_assert_not_null(dir);
	while ((de = readdir(dir)) != NULL)
		n += de->d_name[0] != '.';
	closedir(dir);
	return n;
}

static struct catalog *open_mapped(const struct dir *d)
{
	struct catalog_options options = {
		.mode = CATALOG_WRITE,
		.create = true,
		.no_sync = true,
		.no_threads = true,
		.map = CATALOG_MAP_YES,
	};
	struct catalog *c = NULL;

	return catalog_open(d->fd, &options, &c, NULL) == 0 ? c : NULL;
}

/* Who removes the upper while it is closed, and could be made smaller, finds no name that was not there. */
Test(space, is_given_back_without_new_names)
{
	CLEANUP(dir) struct dir d = dir_make();
	struct catalog *c = open_mapped(&d);
	off_t large;
	size_t n;

	cr_assert_not_null(c);
	add(c, 0, 30000);
	catalog_close(c);
	large = file_size(&d, CATALOG_FILE);
	cr_assert_gt(large, 2 << 20);
	c = open_mapped(&d);
	cr_assert_not_null(c);
	n = count_names(&d);
	del(c, 0, 29000);
	catalog_close(c);
	cr_assert_lt(file_size(&d, CATALOG_FILE), large / 4);
	cr_assert_lt(count_names(&d), n);

	c = open_mapped(&d);
	cr_assert_not_null(c);
	assert_names(c, 29000, 30000);
	add(c, 30000, 60000);
	cr_assert_eq(catalog_checkpoint(c), 0);
	del(c, 29000, 60000);
	unlink_all(&d);
	catalog_close(c);
	cr_assert_eq(count_names(&d), 0);
}

/* A file system that cannot exchange two names says EINVAL. */
static bool deny_exchange(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_renameat2, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) == 0;
}

/* There it stays as large as it is, at each close: nothing to tell people of. */
Test(space, stays_where_names_cannot_be_exchanged)
{
	CLEANUP(dir) struct dir d = dir_make();
	CLEANUP(fd) int said = openat(d.fd, ".said", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct catalog *c = open_mapped(&d);
	char text[500] = "";
	off_t large;

	cr_assert_not_null(c);
	add(c, 0, 30000);
	catalog_close(c);
	large = file_size(&d, CATALOG_FILE);
	c = open_mapped(&d);
	cr_assert_not_null(c);
	del(c, 0, 29000);
	log_set_level(LOG_LEVEL_INFO);
	cr_assert(deny_exchange());
	cr_assert_eq(dup2(said, STDERR_FILENO), STDERR_FILENO);
	catalog_close(c);
	cr_assert_geq(pread(said, text, sizeof(text) - 1, 0), 0);
	cr_assert_str_empty(text, "%s", text);
	cr_assert_geq(file_size(&d, CATALOG_FILE), large);
	cr_assert_eq(file_size(&d, CATALOG_FILE_NEW), -1);
	c = open_mapped(&d);
	cr_assert_not_null(c);
	assert_names(c, 29000, 30000);
	catalog_close(c);
}
