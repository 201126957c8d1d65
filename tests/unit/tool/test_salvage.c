/* SPDX-License-Identifier: Apache-2.0 */
/* Salvage: what comes out of whole catalogs, and of broken ones. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>

#include "base/sys.h"
#include "support/sample.h"

#define PAGE 4096

struct salvaged {
	struct made_upper u;
	int dir; /* owned; .plyfs */
	int out; /* owned; what came out */
	char *text;
	int status;
};

static void salvaged_done(struct salvaged *s)
{
	close(s->dir);
	if (s->out >= 0)
		close(s->out);
	free(s->text);
	made_upper_done(&s->u);
}
DEFINE_CLEANUP(struct salvaged, salvaged, salvaged_done)

static void make(struct salvaged *s)
{
	*s = (struct salvaged){.out = -1};
	sample_make(&s->u);
	s->dir = openat(s->u.tmp.fd, ".plyfs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void salvage(struct salvaged *s)
{
	char to[300];

	snprintf(to, sizeof(to), "%s/out", s->u.tmp.path);
	s->status = sample_salvage(&s->u, to, &s->text);
	s->out = openat(s->u.tmp.fd, "out", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void assert_content(const struct salvaged *s, const char *name, const char *text)
{
	CLEANUP(fd) int fd = openat(s->out, name, O_RDONLY | O_CLOEXEC);
	char bytes[256] = "";

	cr_assert_geq(fd, 0, "%s: %s: %s", name, strerror(errno), s->text);
	cr_assert_geq(read(fd, bytes, sizeof(bytes) - 1), 0);
	cr_assert_str_eq(bytes, text, "%s", name);
}

static struct stat stat_of(const struct salvaged *s, const char *name)
{
	struct stat st;

	cr_assert_eq(fstatat(s->out, name, &st, AT_SYMLINK_NOFOLLOW), 0, "%s: %s: %s", name,
		     strerror(errno), s->text);
	return st;
}

/* All of the sample, in its place. */
static void assert_all(const struct salvaged *s)
{
	char target[32] = "";

	assert_content(s, "d/s/f", "hello");
	assert_content(s, "d/h1", "two names");
	cr_assert_eq(stat_of(s, "d/h1").st_ino, stat_of(s, "h2").st_ino);
	cr_assert_eq(stat_of(s, "d/g").st_size, SAMPLE_G_SIZE);
	assert_content(s, "d/g", "gggg");
	cr_assert_eq(readlinkat(s->out, "k", target, sizeof(target) - 1), 6);
	cr_assert_str_eq(target, "target");
	cr_assert(S_ISFIFO(stat_of(s, "p").st_mode));
	cr_assert_eq(stat_of(s, "m/l").st_size, 5000);
	assert_content(s, "m/c", "chunk");
	assert_content(s, ".plyfs-whiteouts", "/m/w\n");
	cr_assert_eq(stat_of(s, "d").st_mode, S_IFDIR | 0750u);
	if (geteuid() == 0)
		cr_assert_eq(stat_of(s, "d/s").st_gid, 12);
}

Test(fsck_salvage, whole)
{
	CLEANUP(salvaged) struct salvaged s;
	CLEANUP(free) char *before = NULL, *after = NULL;
	CLEANUP(fd) int fd = -1;
	char value[4] = "";

	make(&s);
	made_upper_close(&s.u);
	before = sample_dump(&s.u);
	salvage(&s);
	after = sample_dump(&s.u);
	cr_assert_eq(s.status, FSCK_CLEAN, "%s", s.text);
	cr_assert_str_eq(after, before);
	assert_all(&s);
	cr_assert_eq(faccessat(s.out, ".plyfs-salvage", F_OK, 0), -1, "nothing of ours is left");
	cr_assert_eq(faccessat(s.out, "lost+found", F_OK, 0), -1);
	cr_assert_eq(faccessat(s.out, ".plyfs-missing", F_OK, 0), -1);
	fd = openat(s.out, "d/s/f", O_RDONLY | O_CLOEXEC);
	/* Not every temporary directory keeps attributes. */
	if (fsetxattr(s.dir, "user.test", "1", 1, 0) == 0) {
		cr_assert_eq(fgetxattr(fd, "user.a", value, sizeof(value)), 1);
		cr_assert_eq(value[0], 'b');
	}
}

/* The order of names is that of their hashes, which differ from one catalog to the next. */
Test(fsck_salvage, lists_what_is_in_lower_layers)
{
	CLEANUP(salvaged) struct salvaged s;
	CLEANUP(fd) int fd = -1;
	char bytes[64] = "";

	make(&s);
	made_upper_close(&s.u);
	salvage(&s);
	fd = openat(s.out, ".plyfs-incomplete", O_RDONLY | O_CLOEXEC);
	cr_assert_geq(fd, 0);
	cr_assert_geq(read(fd, bytes, sizeof(bytes) - 1), 0);
	cr_assert_not_null(strstr(bytes, "/m/l\tm/l\n"));
	cr_assert_not_null(strstr(bytes, "/m/c\tm/c\n"));
}

static void overwrite(const struct salvaged *s, const char *file, off_t at, size_t len, int byte)
{
	CLEANUP(fd) int fd = openat(s->dir, file, O_WRONLY | O_CLOEXEC);
	CLEANUP(free) uint8_t *bytes = malloc(len);

	cr_assert_geq(fd, 0);
	memset(bytes, byte, len);
	cr_assert_eq(sys_pwrite_full(fd, bytes, len, at), 0);
}

/* Without its two first pages the file says nothing any more about where its trees begin. */
Test(fsck_salvage, without_meta_pages)
{
	CLEANUP(salvaged) struct salvaged s;

	make(&s);
	made_upper_close(&s.u);
	overwrite(&s, "catalog.mdb", 0, 2 * PAGE, 0xa5);
	salvage(&s);
	cr_assert_eq(s.status, FSCK_ERRORS_LEFT);
	assert_all(&s);
}

static void copy(const struct salvaged *s, const char *from, const char *to)
{
	CLEANUP(fd) int in = openat(s->dir, from, O_RDONLY | O_CLOEXEC);
	CLEANUP(fd) int out = openat(s->dir, to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	uint8_t bytes[PAGE];
	ssize_t n;

	cr_assert(in >= 0 && out >= 0);
	while ((n = read(in, bytes, sizeof(bytes))) > 0)
		cr_assert_eq(write(out, bytes, (size_t)n), n);
}

/* As a daemon that was killed leaves it: everything is in the journals. */
static void make_killed(struct salvaged *s)
{
	static const char *const names[] = {"catalog.mdb", "journal", "journal2"};
	char kept[32];

	make(s);
	for (size_t i = 0; i < 3; i++) {
		snprintf(kept, sizeof(kept), "kept.%s", names[i]);
		copy(s, names[i], kept);
	}
	made_upper_close(&s->u);
	for (size_t i = 0; i < 3; i++) {
		snprintf(kept, sizeof(kept), "kept.%s", names[i]);
		copy(s, kept, names[i]);
		unlinkat(s->dir, kept, 0);
	}
	unlinkat(s->dir, "catalog.sum", 0);
}

Test(fsck_salvage, journal)
{
	CLEANUP(salvaged) struct salvaged s;

	make_killed(&s);
	salvage(&s);
	cr_assert_eq(s.status, FSCK_CLEAN, "%s", s.text);
	assert_all(&s);
}

/* What is behind the damage is read, too: here all but the record of the root. */
Test(fsck_salvage, damaged_journal)
{
	CLEANUP(salvaged) struct salvaged s;

	make_killed(&s);
	overwrite(&s, "journal", 32 + 24, 4, 0xff);
	salvage(&s);
	cr_assert_eq(s.status, FSCK_ERRORS_LEFT);
	cr_assert_not_null(strstr(s.text, "1 changes are missing in the journal"), "%s", s.text);
	assert_all(&s);
}

/*
 * The page that has these bytes in one of its nodes; the newest state has it behind others. They must be enough not to
 * be met by chance in a hash or a time.
 */
static off_t page_with(const struct salvaged *s, const void *bytes, size_t len)
{
	CLEANUP(fd) int fd = openat(s->dir, "catalog.mdb", O_RDONLY | O_CLOEXEC);
	uint8_t page[PAGE];
	off_t found = -1;

	for (off_t at = 2 * PAGE; pread(fd, page, sizeof(page), at) == PAGE; at += PAGE)
		if (memmem(page, sizeof(page), bytes, len) != NULL)
			found = at;
	cr_assert_neq(found, -1);
	return found;
}

/* The names are gone: the bytes are in lost+found, under the numbers of their inodes. */
Test(fsck_salvage, without_names)
{
	/* The end of the entry's key, and its value: the type and the inode's number. */
	static const uint8_t entry_h1[] = {'h', '1', DT_REG, 14, 0, 0, 0, 0, 0, 0, 0};
	CLEANUP(salvaged) struct salvaged s;
	char target[32] = "";

	make(&s);
	made_upper_close(&s.u);
	overwrite(&s, "catalog.mdb", page_with(&s, entry_h1, sizeof(entry_h1)), PAGE, 0);
	salvage(&s);
	cr_assert_eq(s.status, FSCK_ERRORS_LEFT);
	assert_content(&s, "lost+found/#12", "hello");
	assert_content(&s, "lost+found/#14", "two names");
	assert_content(&s, "lost+found/#13", "gggg");
	cr_assert_eq(readlinkat(s.out, "lost+found/#15", target, sizeof(target) - 1), 6);
	cr_assert(S_ISDIR(stat_of(&s, "lost+found/#11").st_mode));
}

/* The records are gone: names lead nowhere, but the bytes are there. */
Test(fsck_salvage, without_records)
{
	uint8_t record_end[] = "........\0\0\0\0\0\0\0\0m/l";
	CLEANUP(salvaged) struct salvaged s;

	make(&s);
	made_upper_close(&s.u);
	/* A file's record ends with the size and, after the parent that only directories have, the path of its lower part. */
	put_le64(record_end, 5000);
	overwrite(&s, "catalog.mdb", page_with(&s, record_end, sizeof(record_end) - 1), PAGE, 0);
	salvage(&s);
	cr_assert_eq(s.status, FSCK_ERRORS_LEFT);
	assert_content(&s, "lost+found/#12", "hello");
	assert_content(&s, "lost+found/#14", "two names");
	assert_content(&s, "lost+found/#13", "gggg");
}

Test(fsck_salvage, without_data_file)
{
	CLEANUP(salvaged) struct salvaged s;

	make(&s);
	made_upper_close(&s.u);
	sample_no_data(&s.u, 13);
	salvage(&s);
	cr_assert_eq(s.status, FSCK_ERRORS_LEFT);
	assert_content(&s, ".plyfs-missing", "/d/g\tits bytes are lost\n");
	assert_content(&s, "d/s/f", "hello");
}

/* A directory of thousands: its tree has branches. */
static void make_many(struct salvaged *s, int n)
{
	CLEANUP(batch) struct batch b = {0};

	make(s);
	batch_begin(&b, s->u.catalog);
	for (int i = 0; i < n; i++) {
		struct inode_rec rec = {.attr = {.ino = 1000 + (uint64_t)i,
						 .mode = S_IFREG | 0644,
						 .nlink = 1,
						 .size = 4}};
		char name[40];
		int len = snprintf(name, sizeof(name), "a-rather-long-name-of-file-%04d", i);

		batch_put_inode(&b, &rec);
		batch_put_entry(&b, 11, name, (size_t)len, rec.attr.ino, DT_REG);
		batch_put_inline(&b, rec.attr.ino, name + len - 4, 4);
	}
	sample_commit(&s->u, &b);
	made_upper_close(&s->u);
}

static int open_of_many(const struct salvaged *s, int i)
{
	/* Where the name of their directory went with the page, it is in lost+found. */
	static const char *const dirs[] = {"d/s", "lost+found/#10/s", "lost+found/#11"};
	int fd = -1;

	for (size_t k = 0; fd < 0 && k < 3; k++) {
		char name[64];

		snprintf(name, sizeof(name), "%s/a-rather-long-name-of-file-%04d", dirs[k], i);
		fd = openat(s->out, name, O_RDONLY | O_CLOEXEC);
	}
	return fd;
}

static int count_right(const struct salvaged *s, int n)
{
	int right = 0;

	for (int i = 0; i < n; i++) {
		char want[8], bytes[8] = "";
		int fd = open_of_many(s, i);

		snprintf(want, sizeof(want), "%04d", i);
		if (fd < 0)
			continue;
		right += read(fd, bytes, 7) == 4 && strcmp(bytes, want) == 0;
		close(fd);
	}
	return right;
}

Test(fsck_salvage, many_without_meta_pages)
{
	CLEANUP(salvaged) struct salvaged s;

	make_many(&s, 2000);
	overwrite(&s, "catalog.mdb", 0, 2 * PAGE, 0);
	salvage(&s);
	cr_assert_eq(count_right(&s, 2000), 2000, "%s", s.text);
}

/* No page leads to the leaves any more: they are known by what they look like. */
Test(fsck_salvage, many_without_branches)
{
	CLEANUP(salvaged) struct salvaged s;
	CLEANUP(fd) int fd = -1;
	uint8_t page[PAGE];
	int n = 0;

	make_many(&s, 2000);
	fd = openat(s.dir, "catalog.mdb", O_RDWR | O_CLOEXEC);
	for (off_t at = 2 * PAGE; pread(fd, page, sizeof(page), at) == PAGE; at += PAGE) {
		if (!(page[10] & 1) || (page[10] & 0x6e))
			continue;
		memset(page, 0, sizeof(page));
		cr_assert_eq(pwrite(fd, page, sizeof(page), at), PAGE);
		n++;
	}
	cr_assert_geq(n, 3);
	salvage(&s);
	cr_assert_eq(count_right(&s, 2000), 2000, "%s", s.text);
	assert_all(&s);
}

/* A damaged leaf costs its own records and no others. */
Test(fsck_salvage, many_without_a_leaf)
{
	CLEANUP(salvaged) struct salvaged s;
	int right;

	make_many(&s, 2000);
	overwrite(&s, "catalog.mdb", page_with(&s, "name-of-file-0777", 17), PAGE, 0);
	salvage(&s);
	right = count_right(&s, 2000);
	cr_assert_geq(right, 1900, "%s", s.text);
	cr_assert_lt(right, 2000);
}

Test(fsck_salvage, refusals)
{
	CLEANUP(salvaged) struct salvaged s;

	make(&s);
	salvage(&s);
	cr_assert_eq(s.status, FSCK_FAILED, "it is in use");
	cr_assert_not_null(strstr(s.text, "unmount it first"));
	free(s.text);
	made_upper_close(&s.u);
	cr_assert_eq(mkdirat(s.u.tmp.fd, "out", 0755), 0);
	cr_assert_eq(mkdirat(s.u.tmp.fd, "out/x", 0755), 0);
	salvage(&s);
	cr_assert_eq(s.status, FSCK_FAILED);
	cr_assert_not_null(strstr(s.text, "is not empty"));
}

/* A file that begins like a catalog and goes on like nothing. */
Test(fsck_salvage, garbage)
{
	CLEANUP(salvaged) struct salvaged s;
	uint64_t state = 88172645463325252u;

	make_many(&s, 300);
	for (int round = 0; round < 30; round++) {
		CLEANUP(fd) int fd = openat(s.dir, "catalog.mdb", O_RDWR | O_CLOEXEC);
		CLEANUP(fd) int journal = openat(s.dir, "journal", O_RDWR | O_CLOEXEC);
		off_t size = lseek(fd, 0, SEEK_END);
		uint8_t bytes[64];

		for (size_t i = 0; i < sizeof(bytes); i++) {
			state ^= state << 13;
			state ^= state >> 7;
			state ^= state << 17;
			bytes[i] = (uint8_t)(state >> 32);
		}
		for (int i = 0; i < 8; i++) {
			off_t at = (off_t)((state >> i * 3) % (uint64_t)size);

			cr_assert_eq(pwrite(fd, bytes, 1u << i % 6, at), 1 << i % 6);
		}
		cr_assert_eq(pwrite(journal, bytes, sizeof(bytes), 32 + round * 40), 64);
		alarm(30);
		salvage(&s);
		alarm(0);
		/* It may have been the free space of pages that was hit. */
		cr_assert(s.status == FSCK_ERRORS_LEFT || s.status == FSCK_CLEAN, "%s", s.text);
		close(s.out);
		s.out = -1;
		free(s.text);
		s.text = NULL;
		remove_all(s.u.tmp.fd, "out");
	}
}
