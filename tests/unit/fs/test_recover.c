/* SPDX-License-Identifier: Apache-2.0 */
/* What a crash leaves in an upper is mended, or removed, at the next open; damage is neither. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "catalog/raw.h"
#include "unit/fs/support.h"

#define LARGE 200000
#define DATA  "upper/.plyfs/data"

struct path {
	char text[64];
};

/* Where the bytes of an inode lie. */
static struct path data_file(uint64_t ino)
{
	struct path path;

	snprintf(path.text, sizeof(path.text), DATA "/%02x/%016llx", (unsigned int)(ino & 0xff),
		 (unsigned long long)ino);
	return path;
}

static void put_large(struct world *w, const char *path)
{
	CLEANUP(free) uint8_t *bytes = malloc(LARGE);

	fill(bytes, LARGE, 5);
	ok(t_create(w, path, 0644));
	ok(t_pwrite(w, path, bytes, LARGE, 0));
}

static ssize_t read_byte(struct world *w, const char *path, off_t off, char *ret_c)
{
	uint64_t ino = hold(w, path);
	ssize_t n = fs_read(w->fs, ino, ret_c, 1, off);

	drop(w, ino);
	return n;
}

static void new_file(struct world *w)
{
	put_large(w, "new");
	ok(t_chmod(w, "new", 0600));
}

Test(recover, new_record_without_bytes_is_empty)
{
	CLEANUP(world) struct world w;

	world_init(&w, 1);
	world_die(&w, new_file);
	cr_assert_eq(count_files(DATA), 1);
	remove_tree(DATA);
	world_open(&w);
	assert_text(&w, "new", "");
	cr_assert_eq(mode_of(&w, "new"), 0600);
	cr_assert_eq(count_files(DATA), 0);
	ok(t_pwrite(&w, "new", "x", 1, 0));
	assert_text(&w, "new", "x");
	world_assert_lasting(&w);
}

static void other_file(struct world *w)
{
	put_large(w, "other");
	/* The record is in the journal, too, but no new one. */
	ok(t_chmod(w, "old", 0600));
}

Test(recover, old_record_without_bytes_is_an_error)
{
	CLEANUP(world) struct world w;
	struct path old;
	uint64_t ino;
	char c;

	world_init(&w, 1);
	world_open(&w);
	put_large(&w, "old");
	ino = ino_of(&w, "old");
	world_close(&w);
	world_die(&w, other_file);
	old = data_file(ino);
	cr_assert_eq(unlink(old.text), 0);
	world_open(&w);
	fails(EIO, fs_lookup(w.fs, FS_ROOT_INO, "old", &(struct fs_entry){0}));
	cr_assert_neq(access(old.text, F_OK), 0);
	cr_assert_eq(read_byte(&w, "other", 0, &c), 1);
}

static void in_lower(struct world *w)
{
	ok(t_pwrite(w, "big", "X", 1, 1000000));
	ok(t_pwrite(w, "big", "Y", 1, 3000000));
	ok(t_chmod(w, "big", 0600));
}

Test(recover, chunks_without_bytes_show_the_lower_file)
{
	CLEANUP(world) struct world w;

	world_init(&w, 1);
	put_bytes("l0/big", 2000000, 1);
	world_die(&w, in_lower);
	remove_tree(DATA);
	world_open(&w);
	assert_bytes(&w, "big", 2000000, 1);
	cr_assert_eq(mode_of(&w, "big"), 0600);
	ok(t_pwrite(&w, "big", "Z", 1, 1999999));
	world_assert_lasting(&w);
}

static void small_file(struct world *w)
{
	ok(t_write(w, "small", "small"));
	put_large(w, "large");
}

Test(recover, data_files_without_records_are_removed)
{
	CLEANUP(world) struct world w;
	uint64_t ino;

	world_init(&w, 1);
	put_file("l0/lower", "lower");
	world_open(&w);
	ok(t_chmod(&w, "lower", 0600));
	ino = ino_of(&w, "lower");
	world_close(&w);
	world_die(&w, small_file);
	cr_assert_eq(count_files(DATA), 1);
	put_file(data_file(77).text, "of no record");
	put_file(data_file(ino).text, "of a record whose bytes are in a lower file");
	put_file(data_file(2).text, "of a record whose bytes are in the catalog");
	world_open(&w);
	cr_assert_neq(access(data_file(77).text, F_OK), 0);
	cr_assert_neq(access(data_file(ino).text, F_OK), 0);
	cr_assert_eq(count_files(DATA), 1);
	assert_text(&w, "small", "small");
	assert_text(&w, "lower", "lower");
	assert_bytes(&w, "large", LARGE, 5);
	world_assert_lasting(&w);
}

Test(recover, names_that_are_not_ours_stay)
{
	static const char *const strange[] = {
		DATA "/notes",
		DATA "/05/notes",
		DATA "/zz/0000000000000005",
		DATA "/06/0000000000000005",
		DATA "/0a/000000000000000A",
		DATA "/05/00000000000000005",
		DATA "/0f/ 00000000000000f",
		"upper/.plyfs/other",
	};
	CLEANUP(world) struct world w;

	world_init(&w, 1);
	world_die(&w, small_file);
	for (size_t i = 0; i < sizeof(strange) / sizeof(*strange); i++)
		put_file(strange[i], "strange");
	put_file(data_file(5).text, "left over");
	world_open(&w);
	for (size_t i = 0; i < sizeof(strange) / sizeof(*strange); i++)
		cr_assert_eq(access(strange[i], F_OK), 0, "%s", strange[i]);
	cr_assert_neq(access(data_file(5).text, F_OK), 0);
}

/* Looking at all files takes time that a clean end has made needless. */
Test(recover, not_after_a_clean_end)
{
	CLEANUP(world) struct world w;

	world_init(&w, 1);
	world_open(&w);
	small_file(&w);
	world_close(&w);
	put_file(data_file(77).text, "left over");
	world_open(&w);
	cr_assert_eq(access(data_file(77).text, F_OK), 0);
}

Test(recover, half_made_files_are_removed)
{
	CLEANUP(world) struct world w;

	world_init(&w, 1);
	world_die(&w, small_file);
	put_file("upper/.plyfs/catalog.mdb.new", "half");
	put_file("upper/.plyfs/catalog.sum.new", "half");
	world_open(&w);
	cr_assert_neq(access("upper/.plyfs/catalog.mdb.new", F_OK), 0);
	cr_assert_neq(access("upper/.plyfs/catalog.sum.new", F_OK), 0);
	assert_text(&w, "small", "small");
}

#define MANY 1000

static void many_orphans(struct world *w)
{
	CLEANUP(free) uint8_t *bytes = calloc(1, 5000);

	for (int i = 0; i < MANY; i++) {
		struct fs_entry e;

		ok(fs_tmpfile(w->fs, &w->who, FS_ROOT_INO, 0600, &e));
		cr_assert_eq(fs_write(w->fs, e.ino, bytes, 5000, 0, 0), 5000);
	}
}

Test(recover, orphans_are_erased_by_few_commits)
{
	CLEANUP(world) struct world w;
	CLEANUP(buf) struct buf text = {0};
	unsigned long commits = 0;
	const char *at;

	world_init(&w, 1);
	world_die(&w, many_orphans);
	cr_assert_eq(count_files(DATA), MANY);
	world_open(&w);
	cr_assert_eq(count_files(DATA), 0);
	fs_to_text(w.fs, &text);
	at = strstr(buf_cstr(&text), " commits");
	cr_assert_not_null(at, "%s", buf_cstr(&text));
	while (at > buf_cstr(&text) && at[-1] >= '0' && at[-1] <= '9')
		at--;
	commits = strtoul(at, NULL, 10);
	cr_assert(commits > 0 && commits <= 10, "%lu commits", commits);
}

static void two_orphans(struct world *w)
{
	put_large(w, "a");
	put_large(w, "b");
	cr_assert_eq(hold(w, "a"), 2);
	hold(w, "b");
	ok(t_unlink(w, "a"));
	ok(t_unlink(w, "b"));
}

Test(recover, orphan_that_cannot_be_erased_is_one_the_next_time)
{
	CLEANUP(world) struct world w;
	struct path a = data_file(2);

	world_init(&w, 1);
	world_die(&w, two_orphans);
	cr_assert_eq(unlink(a.text), 0);
	/* What unlink(2) refuses. */
	put_dir(a.text);
	world_open(&w);
	cr_assert_eq(count_files(DATA), 0);
	world_close(&w);
	cr_assert_eq(rmdir(a.text), 0);
	put_file(a.text, "bytes");
	world_open(&w);
	cr_assert_eq(count_files(DATA), 0);
	world_assert_lasting(&w);
}

/* The kernel does not tell of inodes that it forgets as it unmounts, or has told and was not heard. */
Test(recover, orphans_are_erased_at_the_end)
{
	CLEANUP(world) struct world w;

	world_init(&w, 1);
	world_open(&w);
	two_orphans(&w);
	put_large(&w, "kept");
	cr_assert_eq(count_files(DATA), 3);
	/* world_close() would forget them. */
	fs_close(steal_ptr(&w.fs));
	w.n_held = 0;
	cr_assert_eq(count_files(DATA), 1);
	world_open(&w);
	assert_bytes(&w, "kept", LARGE, 5);
	world_assert_lasting(&w);
}

/* ---- records that are lost ---- */

#define LOST "upper/.plyfs/lost"

/* Damages the first record of a journal in which TEXT is. */
static void damage_record(const char *text)
{
	static const char *const journals[] = {"upper/.plyfs/journal", "upper/.plyfs/journal2"};
	CLEANUP(free) char *bytes = malloc(1 << 20);

	for (size_t i = 0; i < 2; i++) {
		CLEANUP(fd) int fd = open(journals[i], O_RDWR | O_CLOEXEC);
		ssize_t n = fd < 0 ? 0 : pread(fd, bytes, 1 << 20, 0);
		char *at = n > 0 ? memmem(bytes, (size_t)n, text, strlen(text)) : NULL;

		if (at == NULL)
			continue;
		cr_assert_eq(pwrite(fd, "X", 1, at - bytes), 1);
		return;
	}
	cr_assert(false, "no record has %s", text);
}

static struct path lost_file(uint64_t ino)
{
	struct path path;

	snprintf(path.text, sizeof(path.text), LOST "/%016llx", (unsigned long long)ino);
	return path;
}

static void assert_lost(uint64_t ino, size_t size, unsigned int seed)
{
	CLEANUP(free) uint8_t *is = malloc(LARGE), *want = malloc(LARGE);
	CLEANUP(fd) int fd = open(lost_file(ino).text, O_RDONLY | O_CLOEXEC);

	cr_assert_geq(fd, 0, "%s: %s", lost_file(ino).text, strerror(errno));
	cr_assert_eq(read(fd, is, LARGE), (ssize_t)size);
	fill(want, size, seed);
	cr_assert_eq(memcmp(is, want, size), 0);
}

static void lost_and_small(struct world *w)
{
	ok(t_write(w, "before", "before"));
	put_large(w, "lost-name");
	ok(t_write(w, "after", "after"));
}

/* Their numbers are given to the next new files, which must not find them in their way, nor overwrite them. */
Test(recover, data_files_of_a_damaged_journal_are_kept)
{
	CLEANUP(world) struct world w;
	uint64_t ino;

	world_init(&w, 1);
	world_open(&w);
	ok(t_write(&w, "old", "old"));
	ino = ino_of(&w, "old");
	world_close(&w);
	world_die(&w, lost_and_small);
	cr_assert_eq(count_files(DATA), 1);
	damage_record("lost-name");
	world_open(&w);
	assert_names(&w, "", "before old");
	assert_lost(ino + 2, LARGE, 5);
	cr_assert_eq(count_files(DATA), 0);
	put_large(&w, "new");
	cr_assert_eq(ino_of(&w, "new"), ino + 2);
	world_assert_lasting(&w);
	world_close(&w);
	world_die(&w, small_file);
	world_open(&w);
	assert_lost(ino + 2, LARGE, 5);
	assert_bytes(&w, "new", LARGE, 5);
	assert_bytes(&w, "large", LARGE, 5);
}

static void lost_first(struct world *w)
{
	put_large(w, "lost-name");
	ok(t_write(w, "after", "after"));
}

/* The same number once more: that it was given has been lost, too. */
Test(recover, data_files_of_two_damaged_journals_are_kept)
{
	CLEANUP(world) struct world w;

	world_init(&w, 1);
	world_open(&w);
	world_close(&w);
	for (int i = 0; i < 2; i++) {
		world_die(&w, i == 0 ? lost_and_small : lost_first);
		damage_record("lost-name");
		world_open(&w);
		world_close(&w);
	}
	cr_assert_eq(count_files(LOST), 2);
	assert_lost(3, LARGE, 5);
	cr_assert_eq(access(LOST "/0000000000000003-2", F_OK), 0);
}

static void outgrown(struct world *w)
{
	CLEANUP(free) uint8_t *bytes = malloc(9000);

	fill(bytes, 9000, 6);
	ok(t_write(w, "before", "before"));
	ok(t_mkdir(w, "lost-name", 0755));
	ok(t_pwrite(w, "small", bytes, 9000, 0));
	ok(t_pwrite(w, "lower", "X", 1, 0));
	ok(t_write(w, "after", "after"));
}

/* What the records say that are left is that these files need no data file. */
Test(recover, data_files_beside_older_records_are_kept)
{
	CLEANUP(world) struct world w;
	uint64_t small, lower;

	world_init(&w, 1);
	put_bytes("l0/lower", 5000, 7);
	world_open(&w);
	ok(t_write(&w, "small", "small"));
	small = ino_of(&w, "small");
	lower = ino_of(&w, "lower");
	world_close(&w);
	world_die(&w, outgrown);
	cr_assert_eq(count_files(DATA), 2);
	damage_record("lost-name");
	world_open(&w);
	assert_names(&w, "", "before lower small");
	assert_text(&w, "small", "small");
	assert_bytes(&w, "lower", 5000, 7);
	assert_lost(small, 9000, 6);
	cr_assert_eq(access(lost_file(lower).text, F_OK), 0);
	cr_assert_eq(count_files(DATA), 0);
	world_assert_lasting(&w);
}

static void named_later(struct world *w)
{
	CLEANUP(free) uint8_t *bytes = malloc(9000);
	struct fs_entry e, linked;

	fill(bytes, 9000, 6);
	ok(fs_tmpfile(w->fs, &w->who, FS_ROOT_INO, 0666, &e));
	cr_assert_eq(fs_write(w->fs, e.ino, bytes, 9000, 0, 0), 9000);
	ok(fs_link(w->fs, e.ino, FS_ROOT_INO, "lost-name", &linked));
	ok(t_write(w, "after", "after"));
}

Test(recover, data_file_of_a_temporary_file_whose_name_is_lost_is_kept)
{
	CLEANUP(world) struct world w;

	world_init(&w, 1);
	world_open(&w);
	world_close(&w);
	world_die(&w, named_later);
	damage_record("lost-name");
	world_open(&w);
	assert_names(&w, "", "");
	assert_lost(2, 9000, 6);
	world_assert_lasting(&w);
}

/* Nothing is lost when the header alone is damaged: what a crash leaves is what it always leaves. */
Test(recover, damaged_header_loses_nothing)
{
	CLEANUP(world) struct world w;

	world_init(&w, 1);
	world_open(&w);
	world_close(&w);
	world_die(&w, small_file);
	put_file(data_file(77).text, "left over");
	for (int i = 1; i <= 2; i++) {
		CLEANUP(fd)
		int fd = open(i == 1 ? "upper/.plyfs/journal" : "upper/.plyfs/journal2",
			      O_WRONLY | O_CLOEXEC);
		struct stat st;

		cr_assert_eq(fstat(fd, &st), 0);
		if (st.st_size > 32)
			cr_assert_eq(pwrite(fd, "X", 1, 17), 1);
	}
	world_open(&w);
	assert_text(&w, "small", "small");
	assert_bytes(&w, "large", LARGE, 5);
	cr_assert_neq(access(data_file(77).text, F_OK), 0);
	cr_assert_eq(access(LOST, F_OK), -1);
}

static void delete_record(uint64_t ino)
{
	struct catalog_options o = {.mode = CATALOG_WRITE};
	CLEANUP(fd) int dir = open("upper/.plyfs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct catalog *c;
	CLEANUP(batch) struct batch b = {0};
	uint8_t key[8];

	ok(catalog_open(dir, &o, &c, NULL));
	batch_begin(&b, c);
	put_be64(key, ino);
	batch_del_raw(&b, TABLE_INODE, key, sizeof(key));
	ok(catalog_commit(c, &b));
	catalog_close(c);
}

/* A name leads to a record that is not there: something in the tables is lost, and who knows what. */
Test(recover, data_files_of_damaged_tables_are_kept)
{
	CLEANUP(world) struct world w;
	uint64_t ino;

	world_init(&w, 1);
	world_open(&w);
	put_large(&w, "f");
	ok(t_write(&w, "later", "has a higher number"));
	ino = ino_of(&w, "f");
	world_close(&w);
	delete_record(ino);
	world_die(&w, small_file);
	put_file(data_file(77).text, "of no record and no name");
	world_open(&w);
	assert_lost(ino, LARGE, 5);
	cr_assert_eq(access(lost_file(77).text, F_OK), 0);
	cr_assert_eq(count_files(DATA), 1);
	assert_text(&w, "small", "small");
}

static off_t size_of_lock(void)
{
	struct stat st;

	cr_assert_eq(stat("upper/.plyfs/lock", &st), 0);
	return st.st_size;
}

/* A mount that is refused has opened the catalog and closed it, but not looked for anything. */
Test(recover, refused_mount_leaves_it_to_the_next)
{
	CLEANUP(world) struct world w;
	CLEANUP(err) struct err err = {0};

	world_init(&w, 2);
	world_die(&w, small_file);
	put_file(data_file(77).text, "left over");
	world_set_lowers(&w, "l1");
	cr_assert_eq(world_try_open(&w, &err), -ESTALE, "%s", err_text(&err));
	world_set_lowers(&w, "l0:l1");
	world_open(&w);
	cr_assert_neq(access(data_file(77).text, F_OK), 0);
	assert_text(&w, "small", "small");
	assert_bytes(&w, "large", LARGE, 5);
	world_close(&w);
	cr_assert_eq(size_of_lock(), 0);
}

/* Nor does one forget the damage that it could not save the bytes from. */
Test(recover, refused_for_lost_files_leaves_them_to_the_next)
{
	CLEANUP(world) struct world w;
	uint64_t ino;

	world_init(&w, 1);
	world_open(&w);
	put_large(&w, "f");
	ok(t_write(&w, "later", "has a higher number"));
	ino = ino_of(&w, "f");
	world_close(&w);
	delete_record(ino);
	world_die(&w, small_file);
	put_file(LOST, "in the way of the directory");
	for (int i = 0; i < 2; i++) {
		CLEANUP(err) struct err err = {0};

		cr_assert_eq(world_try_open(&w, &err), -ENOTDIR, "%d: %s", i, err_text(&err));
		cr_assert_not_null(strstr(err_text(&err), "records are lost"));
		cr_assert_eq(access(data_file(ino).text, F_OK), 0);
	}
	cr_assert_eq(unlink(LOST), 0);
	world_open(&w);
	assert_lost(ino, LARGE, 5);
	world_close(&w);
	cr_assert_eq(size_of_lock(), 0);
}

static void delete_large(struct world *w)
{
	ok(t_unlink(w, "f"));
}

/* A name that the journal takes away leads nowhere. */
Test(recover, data_file_whose_name_was_deleted_is_removed)
{
	CLEANUP(world) struct world w;
	uint64_t ino;

	world_init(&w, 1);
	world_open(&w);
	put_large(&w, "f");
	ino = ino_of(&w, "f");
	world_close(&w);
	world_die(&w, delete_large);
	put_file(data_file(ino).text, "not deleted yet");
	world_open(&w);
	cr_assert_eq(count_files(DATA), 0);
	cr_assert_eq(access(LOST, F_OK), -1);
}
