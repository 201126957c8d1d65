/* SPDX-License-Identifier: Apache-2.0 */
/* What lies in the place of a data file, or of its directory: it must not lead out of the store. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "data/path.h"
#include "data/walk.h"
#include "unit/data/fixture.h"

#define INO 2

static char top[256];
static int dirfd_;

/* A store in `data`, and a file of somebody else's in `out` that would be INO's data file there. */
static void setup(void)
{
	int fd;

	alarm(60);
	make_temp_dir(top, sizeof(top));
	cr_assert_eq(chdir(top), 0);
	cr_assert_eq(mkdir("data", 0700), 0);
	cr_assert_eq(mkdir("out", 0700), 0);
	dirfd_ = open("data", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert_geq(dirfd_, 0);
	fd = open("out/0000000000000002", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	cr_assert_eq(write(fd, "secret", 6), 6);
	close(fd);
}

static void done(void)
{
	close(dirfd_);
	remove_tree(top);
}

TestSuite(path, .init = setup, .fini = done);

static void assert_no_file(void)
{
	uint64_t size;
	struct stat st;
	int fd;

	cr_assert_eq(data_path_open(dirfd_, INO, true, &fd), -EUCLEAN);
	cr_assert_eq(data_path_open(dirfd_, INO, false, &fd), -EUCLEAN);
	cr_assert_eq(data_path_stat(dirfd_, INO, &st), -EUCLEAN);
	cr_assert_eq(data_file_size(dirfd_, INO, &size), -EUCLEAN);
}

static void assert_secret(void)
{
	struct stat st;

	cr_assert_eq(stat("out/0000000000000002", &st), 0);
	cr_assert_eq(st.st_size, 6);
}

Test(path, what_is_there)
{
	struct stat st;
	int fd;

	cr_assert_eq(data_path_open(dirfd_, INO, true, &fd), -ENOENT);
	cr_assert_eq(data_path_stat(dirfd_, INO, &st), -ENOENT);
	cr_assert_eq(data_path_remove(dirfd_, INO), 0);
	cr_assert_eq(data_path_create(dirfd_, INO, &fd), 0);
	cr_assert_eq(write(fd, "own", 3), 3);
	close(fd);
	cr_assert_eq(data_path_stat(dirfd_, INO, &st), 0);
	cr_assert_eq(st.st_size, 3);
	cr_assert_eq(data_path_open(dirfd_, INO, true, &fd), 0);
	close(fd);
	cr_assert_eq(data_path_remove(dirfd_, INO), 0);
	cr_assert_eq(data_path_stat(dirfd_, INO, &st), -ENOENT);
}

Test(path, a_link_for_the_directory)
{
	int fd;

	cr_assert_eq(symlink("../out", "data/02"), 0);
	assert_no_file();
	cr_assert_eq(data_path_create(dirfd_, INO, &fd), -EUCLEAN);
	cr_assert_eq(data_path_remove(dirfd_, INO), -EUCLEAN);
	cr_assert_eq(data_path_move(AT_FDCWD, "out/0000000000000002", dirfd_, INO), -EUCLEAN);
	cr_assert_lt(data_path_open_dir(dirfd_, INO), 0);
	assert_secret();
}

Test(path, a_link_for_the_file)
{
	int fd;

	cr_assert_eq(mkdir("data/02", 0700), 0);
	cr_assert_eq(symlink("../../out/0000000000000002", "data/02/0000000000000002"), 0);
	assert_no_file();
	/* What is in the way of a new file goes. */
	cr_assert_eq(data_path_create(dirfd_, INO, &fd), 0);
	cr_assert_eq(write(fd, "own file", 8), 8);
	close(fd);
	assert_secret();
}

Test(path, what_is_no_file)
{
	cr_assert_eq(mkdir("data/02", 0700), 0);
	cr_assert_eq(mkfifo("data/02/0000000000000002", 0600), 0);
	assert_no_file();
	cr_assert_eq(unlink("data/02/0000000000000002"), 0);
	cr_assert_eq(mkdir("data/02/0000000000000002", 0700), 0);
	assert_no_file();
	cr_assert_eq(rmdir("data/02/0000000000000002"), 0);
	cr_assert_eq(rmdir("data/02"), 0);
	cr_assert_eq(mknod("data/02", S_IFREG | 0600, 0), 0);
	assert_no_file();
}
