/* SPDX-License-Identifier: Apache-2.0 */
/* Flushes that fail: the loss is told, to the right ones, for as long as it matters. */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/magic.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "data/private.h"
#include "support/synctrace.h"
#include "unit/data/fixture.h"

static struct fixture s;
static struct file f, g;
static uint8_t bytes[8192];

static void make_big(struct file *file)
{
	file_make(file, &s, NULL);
	cr_assert_eq(file_write(file, bytes, sizeof(bytes), 0), 0);
}

/* Two files with data files; nothing is due. */
static void setup(void)
{
	fixture_open(&s, NULL, &(struct data_options){.max_fds = 4});
	make_big(&f);
	make_big(&g);
	cr_assert_eq(data_sync_all(s.data), 0);
	cr_assert_eq(catalog_sync(s.catalog), 0);
	synctrace_start(NULL);
}

static void done(void)
{
	file_done(&f);
	file_done(&g);
	fixture_close(&s);
}

TestSuite(errors, .init = setup, .fini = done);

/* Part of a path that only FILE's data file has. */
static const char *part_of(const struct file *file)
{
	static char parts[4][DATA_PATH_SIZE];
	static int next;
	char *part = parts[next++ % 4];

	data_path(file->rec.attr.ino, part);
	return part;
}

static int sync_file(struct file *file)
{
	return data_sync(s.data, &file->rec, true);
}

static bool is_tight_btrfs;

/* For all code of this program. */
int fstatfs(int fd, struct statfs *ret_st)
{
	int r = (int)syscall(SYS_fstatfs, fd, ret_st);

	if (r == 0 && is_tight_btrfs) {
		ret_st->f_type = BTRFS_SUPER_MAGIC;
		ret_st->f_bavail = 0;
	}
	return r;
}

/* Closes all descriptors that are not in use. */
static void evict(void)
{
	struct file other;

	for (int i = 0; i < 5; i++) {
		make_big(&other);
		cr_assert_eq(sync_file(&other), 0);
		file_done(&other);
	}
}

Test(errors, stay_until_the_store_is_closed)
{
	cr_assert_eq(file_write(&f, "x", 1, 0), 0);
	synctrace_fail("fdatasync", part_of(&f), ENOSPC, 1);
	cr_assert_eq(sync_file(&f), -ENOSPC);
	cr_assert_eq(sync_file(&f), -EIO, "the disk says yes by now, but the bytes are lost");
	cr_assert_eq(sync_file(&g), 0);
	evict();
	cr_assert_eq(sync_file(&f), -EIO);
	cr_assert_eq(file_write(&f, "x", 1, 0), 0);
	cr_assert_eq(sync_file(&f), -EIO);
	cr_assert_eq(data_sync_all(s.data), -ENOSPC);
	cr_assert_eq(data_sync_all(s.data), 0, "once");
	cr_assert_eq(sync_file(&f), -EIO);
	fixture_reopen(&s);
	cr_assert_eq(sync_file(&f), 0);
}

Test(errors, end_with_the_bytes)
{
	cr_assert_eq(file_write(&f, "x", 1, 0), 0);
	synctrace_fail("fdatasync", part_of(&f), EIO, 3);
	cr_assert_eq(sync_file(&f), -EIO);
	cr_assert_eq(file_truncate(&f, 1), 0);
	cr_assert_eq(sync_file(&f), -EIO);
	cr_assert_eq(file_truncate(&f, 0), 0);
	/* From here on the flush itself is asked: it fails once more. */
	cr_assert_eq(file_write(&f, bytes, 100, 0), 0);
	cr_assert_eq(sync_file(&f), -EIO);
	cr_assert_eq(sync_file(&f), -EIO);
	/* The whole content at once. */
	cr_assert_eq(file_write(&f, bytes, 99, 0), 0);
	cr_assert_eq(sync_file(&f), -EIO);
	cr_assert_eq(file_write(&f, bytes, 100, 0), 0);
	cr_assert_eq(sync_file(&f), -EIO, "the third");
	cr_assert_eq(file_write(&f, bytes, 200, 0), 0);
	cr_assert_eq(sync_file(&f), 0);
	cr_assert_eq(sync_file(&f), 0);
}

/* On a btrfs with little room a file is flushed before it is cut, whoever cuts it. */
Test(errors, of_the_flush_before_a_cut)
{
	is_tight_btrfs = true;
	cr_assert_eq(file_write(&f, "x", 1, 0), 0);
	synctrace_fail("fdatasync", part_of(&f), EIO, 1);
	cr_assert_eq(file_truncate(&f, 100), -EIO);
	cr_assert_eq(file_length(&f), sizeof(bytes));
	cr_assert_eq(sync_file(&f), -EIO, "the kernel has told it, and does not tell it again");
	cr_assert_eq(sync_file(&g), 0);
	cr_assert_eq(data_sync_all(s.data), -EIO);
	cr_assert_eq(file_truncate(&f, 100), 0);
	cr_assert_eq(sync_file(&f), -EIO);
	cr_assert_eq(file_truncate(&f, 0), 0);
	cr_assert_eq(sync_file(&f), 0);
}

Test(errors, of_the_flush_before_a_growth_is_undone)
{
	static const uint8_t more[20000];
	struct rlimit old, limit;

	is_tight_btrfs = true;
	cr_assert_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
	limit = (struct rlimit){16384, old.rlim_max};
	signal(SIGXFSZ, SIG_IGN);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	synctrace_fail("fdatasync", part_of(&f), EIO, 1);
	/* A part of it comes into the file first. */
	cr_assert_eq(file_write(&f, more, sizeof(more), sizeof(bytes)), -EFBIG);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
	cr_assert_eq(synctrace_count("fdatasync", part_of(&f)), 1);
	cr_assert_eq(sync_file(&f), -EIO);
	cr_assert_eq(sync_file(&g), 0);
}

/* A new file that loses its bytes does not hold up the records of others. */
Test(errors, of_a_moved_file)
{
	struct file lost;

	make_big(&lost);
	synctrace_fail("fsync", part_of(&lost), EIO, 1);
	cr_assert_eq(catalog_sync(s.catalog), 0);
	cr_assert_eq(catalog_durable(s.catalog), catalog_committed(s.catalog));
	cr_assert_eq(s.data->unsynced.moved.n, 0);
	cr_assert_eq(sync_file(&g), 0);
	cr_assert_eq(sync_file(&lost), -EIO, "nobody had asked until now");
	cr_assert_eq(data_sync_all(s.data), -EIO);
	cr_assert_eq(data_sync_all(s.data), 0);
	cr_assert_eq(sync_file(&lost), -EIO);
	cr_assert_eq(data_delete(s.data, lost.rec.attr.ino), 0);
	cr_assert(!unsynced_any_failed(&s.data->unsynced));
	file_done(&lost);
}

/* The others are on the disk although one is not. */
Test(errors, of_one_of_all)
{
	cr_assert_eq(file_write(&f, "x", 1, 0), 0);
	cr_assert_eq(file_write(&g, "x", 1, 0), 0);
	synctrace_fail("fsync", part_of(&f), EIO, 1);
	cr_assert_eq(data_sync_all(s.data), -EIO);
	cr_assert_eq(synctrace_count("fsync", part_of(&g)), 1);
	cr_assert_eq(s.data->unsynced.written.n, 0);
	cr_assert_eq(data_sync_all(s.data), 0);
	cr_assert_eq(sync_file(&f), -EIO);
	cr_assert_eq(sync_file(&g), 0);
}

Test(errors, of_the_directory)
{
	struct file lost;
	char dir[16];

	make_big(&lost);
	snprintf(dir, sizeof(dir), "/data/%.2s", part_of(&lost));
	synctrace_fail("fsync", dir, EIO, 1);
	cr_assert_eq(data_sync(s.data, &lost.rec, true), -EIO);
	cr_assert_eq(data_sync(s.data, &lost.rec, true), -EIO, "its name may be lost");
	cr_assert_eq(sync_file(&g), 0);
	file_done(&lost);
	/* Without anybody who asks for it. */
	make_big(&lost);
	snprintf(dir, sizeof(dir), "/data/%.2s", part_of(&lost));
	synctrace_fail("fsync", dir, EIO, 2);
	cr_assert_eq(catalog_sync(s.catalog), 0);
	cr_assert_eq(sync_file(&lost), -EIO);
	file_done(&lost);
}

static struct rlimit fds;
static struct fdref *held[3];

/* Nobody can open anything from here on. KEPT: nor close any of the data files that are open. */
static void use_up_fds(struct file *new, bool kept)
{
	const struct file *files[] = {&f, &g, new};
	int free_fd;

	make_big(new);
	for (size_t i = 0; kept && i < 3; i++)
		cr_assert_eq(fdcache_get(s.data->fds, files[i]->rec.attr.ino, &held[i]), 0);
	free_fd = dup(STDERR_FILENO);
	cr_assert_geq(free_fd, 0);
	cr_assert_eq(close(free_fd), 0);
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &fds), 0);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &(struct rlimit){(rlim_t)free_fd, fds.rlim_max}), 0);
}

static void give_fds(void)
{
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &fds), 0);
	for (size_t i = 0; i < 3; i++) {
		if (held[i] != NULL)
			fdcache_put(held[i]);
		held[i] = NULL;
	}
}

static unsigned int names_due(const struct file *file)
{
	const struct unsynced_names *names =
		&s.data->unsynced.dirs[data_path_dir(file->rec.attr.ino)];

	return names->made - names->synced;
}

/* What cannot be opened has not failed: the file system is flushed in its place. */
Test(errors, none_of_a_directory_that_cannot_be_opened)
{
	struct file new;

	use_up_fds(&new, true);
	cr_assert_eq(names_due(&new), 1);
	cr_assert_eq(sync_file(&new), 0);
	cr_assert_eq(synctrace_count("syncfs", NULL), 1);
	cr_assert_eq(names_due(&new), 0);
	cr_assert_eq(sync_file(&new), 0);
	cr_assert_eq(synctrace_count("syncfs", NULL), 1, "once");
	give_fds();
	cr_assert_eq(sync_file(&new), 0);
	file_done(&new);
	/* Without anybody who asks for it. */
	use_up_fds(&new, true);
	cr_assert_eq(catalog_sync(s.catalog), 0);
	cr_assert_eq(names_due(&new), 0);
	give_fds();
	cr_assert_eq(sync_file(&new), 0);
	cr_assert_eq(data_sync_all(s.data), 0);
	cr_assert_not(unsynced_any_failed(&s.data->unsynced));
	file_done(&new);
}

Test(errors, none_where_idle_descriptors_can_be_closed)
{
	struct file new;
	char dir[16];

	use_up_fds(&new, false);
	snprintf(dir, sizeof(dir), "/data/%.2s", part_of(&new));
	cr_assert_eq(sync_file(&new), 0);
	cr_assert_geq(synctrace_count("fsync", dir), 1);
	cr_assert_eq(synctrace_count("syncfs", NULL), 0);
	give_fds();
	file_done(&new);
}

/* Then a flush has failed, and of what that was for nothing is known. */
Test(errors, of_the_file_system_in_the_place_of_a_directory)
{
	struct file new;

	use_up_fds(&new, true);
	synctrace_fail("syncfs", NULL, ENOSPC, 1);
	cr_assert_eq(sync_file(&new), -ENOSPC);
	cr_assert_eq(names_due(&new), 1, "it is tried again");
	cr_assert_eq(sync_file(&new), -EIO);
	cr_assert_eq(sync_file(&g), 0);
	give_fds();
	cr_assert_eq(catalog_sync(s.catalog), 0);
	cr_assert_eq(names_due(&new), 0);
	file_done(&new);
}

/*
 * The kernel's own write-back fails while nobody has the file open: the next descriptor need not be
 * told. The file system's flush is.
 */
Test(errors, that_only_the_file_system_knows_of)
{
	cr_assert_eq(file_write(&f, "x", 1, 0), 0);
	evict();
	cr_assert_eq(synctrace_count("syncfs", NULL), 0);
	synctrace_fail("syncfs", NULL, EIO, 1);
	cr_assert_eq(sync_file(&f), -EIO);
	cr_assert_eq(synctrace_count("syncfs", NULL), 1);
	cr_assert_eq(sync_file(&f), -EIO);
	cr_assert_eq(sync_file(&g), 0, "it was flushed before it was closed");
	cr_assert_eq(data_sync_all(s.data), -EIO);
	cr_assert_eq(data_sync_all(s.data), 0);
}

static void *sync_f(void *ret_result)
{
	*(int *)ret_result = sync_file(&f);
	return NULL;
}

static pthread_t syncer;
static int synced;

/* Another thread syncs the file; it is past the flush of the file alone, or about to be, when this returns. */
static void sync_meanwhile(void *arg)
{
	(void)arg;
	synced = 1;
	cr_assert_eq(pthread_create(&syncer, NULL, sync_f, &synced), 0);
	while (synctrace_count("fdatasync", part_of(&f)) == 0)
		usleep(1000);
}

/* The flush of the file system is under way, for the sake of the same file. */
static void sync_twice(int error)
{
	cr_assert_eq(file_write(&f, "x", 1, 0), 0);
	evict();
	synctrace_start(NULL);
	synctrace_before("syncfs", NULL, sync_meanwhile, NULL);
	synctrace_fail("syncfs", NULL, error, 1);
	cr_assert_eq(data_sync_all(s.data), -error);
	cr_assert_eq(pthread_join(syncer, NULL), 0);
	cr_assert_eq(synctrace_count("syncfs", NULL), 1);
}

Test(errors, that_the_file_system_is_just_about_to_tell)
{
	sync_twice(EIO);
	cr_assert_eq(synced, -EIO);
	cr_assert_eq(sync_file(&f), -EIO);
	cr_assert_eq(sync_file(&g), 0);
}

Test(errors, none_that_the_file_system_is_just_about_to_tell)
{
	sync_twice(0);
	cr_assert_eq(synced, 0);
}

Test(errors, none_after_an_eviction)
{
	cr_assert_eq(file_write(&f, "x", 1, 0), 0);
	evict();
	cr_assert_eq(sync_file(&f), 0);
	cr_assert_eq(synctrace_count("syncfs", NULL), 1);
	cr_assert_eq(sync_file(&f), 0);
	cr_assert_eq(synctrace_count("syncfs", NULL), 1, "once");
	cr_assert_eq(file_write(&f, "x", 1, 0), 0);
	evict();
	cr_assert_eq(data_sync_all(s.data), 0);
	cr_assert_eq(synctrace_count("syncfs", NULL), 2);
}

/* Of others' files on the same file system: it is nothing to us. */
Test(errors, of_the_file_system_but_none_of_ours)
{
	static struct file many[UNSYNCED_MANY + 1];

	for (size_t i = 0; i <= UNSYNCED_MANY; i++)
		make_big(&many[i]);
	/* No descriptor is open: each of them may be the one. */
	synctrace_fail("syncfs", NULL, EIO, 1);
	cr_assert_eq(data_sync_all(s.data), -EIO);
	cr_assert_eq(sync_file(&many[0]), -EIO);
	cr_assert_eq(sync_file(&f), 0);
	/* A file that is open can tell by itself. */
	cr_assert_eq(file_write(&g, "x", 1, 0), 0);
	unsynced_unknown(s.data);
	synctrace_fail("syncfs", NULL, EIO, 1);
	cr_assert_eq(data_sync_all(s.data), 0);
	cr_assert_eq(sync_file(&g), 0);
	for (size_t i = 0; i <= UNSYNCED_MANY; i++)
		file_done(&many[i]);
}
