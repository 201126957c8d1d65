/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of base/sys: names, opening, bytes. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/sys.h"
#include "unit/base/fixture.h"

TestSuite(sys, .init = tmp_setup, .fini = tmp_teardown);

Test(sys, openat_is_close_on_exec_and_reports_errno)
{
	CLEANUP(fd) int fd = sys_openat(tmp_fd, "f", O_RDWR | O_CREAT | O_EXCL, 0600);
	struct stat st;

	cr_assert_geq(fd, 0);
	cr_assert_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	cr_assert_eq(sys_fstat(fd, &st), 0);
	cr_assert_eq(st.st_mode, (mode_t)S_IFREG | 0600);
	cr_assert_eq(sys_openat(tmp_fd, "f", O_RDWR | O_CREAT | O_EXCL, 0600), -EEXIST);
	cr_assert_eq(sys_openat(tmp_fd, "none", O_RDONLY, 0), -ENOENT);
}

Test(sys, stat_leaves_its_output_alone_on_failure)
{
	struct stat st = {.st_ino = 42};

	cr_assert_eq(sys_fstat(-1, &st), -EBADF);
	cr_assert_eq(sys_fstatat(tmp_fd, "none", &st, AT_SYMLINK_NOFOLLOW), -ENOENT);
	cr_assert_eq(st.st_ino, 42);
	cr_assert_eq(sys_fstatat(tmp_fd, "", &st, AT_EMPTY_PATH), 0);
	cr_assert(S_ISDIR(st.st_mode));
}

Test(sys, stat_tells_of_mounts)
{
	struct stat st, same;
	bool mount = true;

	tmp_file("f", "12345", 5);
	cr_assert_eq(sys_fstatat(tmp_fd, "f", &st, AT_SYMLINK_NOFOLLOW), 0);
	memset(&same, 0, sizeof(same));
	cr_assert_eq(sys_fstatat_mount(tmp_fd, "f", &same, AT_SYMLINK_NOFOLLOW, &mount), 0);
	cr_assert_not(mount);
	cr_assert_eq(same.st_dev, st.st_dev);
	cr_assert_eq(same.st_ino, st.st_ino);
	cr_assert_eq(same.st_mode, st.st_mode);
	cr_assert_eq(same.st_nlink, st.st_nlink);
	cr_assert_eq(same.st_uid, st.st_uid);
	cr_assert_eq(same.st_gid, st.st_gid);
	cr_assert_eq(same.st_size, 5);
	cr_assert_eq(same.st_blksize, st.st_blksize);
	cr_assert_eq(same.st_blocks, st.st_blocks);
	cr_assert_eq(memcmp(&same.st_mtim, &st.st_mtim, sizeof(st.st_mtim)), 0);
	cr_assert_eq(memcmp(&same.st_ctim, &st.st_ctim, sizeof(st.st_ctim)), 0);
	cr_assert_eq(sys_fstatat_mount(AT_FDCWD, "/dev/null", &same, 0, &mount), 0);
	cr_assert_eq(sys_fstatat(AT_FDCWD, "/dev/null", &st, 0), 0);
	cr_assert_eq(same.st_rdev, st.st_rdev);
	cr_assert_eq(sys_fstatat_mount(AT_FDCWD, "/proc", &same, 0, &mount), 0);
	cr_assert(mount);
	cr_assert_eq(sys_fstatat_mount(tmp_fd, "none", &same, 0, &mount), -ENOENT);
}

Test(sys, mkdir_all)
{
	CLEANUP(free) char *deep = NULL, *file = NULL, *below = NULL;
	struct stat st;

	cr_assert_gt(asprintf(&deep, "%s/a/b/c", tmp_path), 0);
	cr_assert_gt(asprintf(&file, "%s/file", tmp_path), 0);
	cr_assert_gt(asprintf(&below, "%s/file/x/y", tmp_path), 0);
	cr_assert_eq(sys_mkdir_all(deep, 0700), 0);
	cr_assert_eq(sys_fstatat(AT_FDCWD, deep, &st, 0), 0);
	cr_assert_eq(st.st_mode, (mode_t)S_IFDIR | 0700);
	cr_assert_eq(sys_mkdir_all(deep, 0700), 0);
	cr_assert_eq(sys_mkdir_all("/", 0700), 0);
	tmp_file("file", "1", 1);
	cr_assert_eq(sys_mkdir_all(file, 0700), -ENOTDIR);
	cr_assert_eq(sys_mkdir_all(below, 0700), -ENOTDIR);
	cr_assert_eq(sys_mkdir_all("", 0700), -ENOENT);
}

Test(sys, names)
{
	char target[8];
	struct stat st;
	CLEANUP(fd) int link = -1;

	cr_assert_eq(sys_mkdirat(tmp_fd, "d", 0700), 0);
	cr_assert_eq(sys_mkdirat(tmp_fd, "d", 0700), -EEXIST);
	tmp_file("a", "1", 1);
	tmp_file("b", "22", 2);
	cr_assert_eq(sys_renameat(tmp_fd, "a", tmp_fd, "b", RENAME_NOREPLACE), -EEXIST);
	cr_assert_eq(sys_renameat(tmp_fd, "a", tmp_fd, "b", RENAME_EXCHANGE), 0);
	cr_assert_eq(sys_fstatat(tmp_fd, "a", &st, 0), 0);
	cr_assert_eq(st.st_size, 2);
	cr_assert_eq(sys_renameat(tmp_fd, "a", tmp_fd, "b", 0), 0);
	cr_assert_eq(sys_unlinkat(tmp_fd, "a", 0), -ENOENT);
	cr_assert_eq(sys_unlinkat(tmp_fd, "b", AT_REMOVEDIR), -ENOTDIR);
	cr_assert_eq(sys_unlinkat(tmp_fd, "b", 0), 0);
	cr_assert_eq(sys_unlinkat(tmp_fd, "d", AT_REMOVEDIR), 0);

	cr_assert_eq(symlinkat("0123456789", tmp_fd, "l"), 0);
	cr_assert_eq(sys_readlinkat(tmp_fd, "l", target, sizeof(target)), 8);
	cr_assert_eq(memcmp(target, "01234567", 8), 0);
	link = sys_openat(tmp_fd, "l", O_PATH | O_NOFOLLOW, 0);
	cr_assert_geq(link, 0);
	cr_assert_eq(sys_readlinkat(link, "", target, sizeof(target)), 8);
	cr_assert_eq(sys_readlinkat(tmp_fd, ".", target, sizeof(target)), -EINVAL);
}

/* What sys_open_in() promises, whichever way it has to take. */
static void check_open_in(void)
{
	struct stat st;
	int fd;

	tmp_file("f", "x", 1);
	cr_assert_eq(sys_mkdirat(tmp_fd, "d", 0755), 0);
	cr_assert_eq(symlinkat("f", tmp_fd, "to-file"), 0);
	cr_assert_eq(symlinkat("d", tmp_fd, "to-dir"), 0);
	for (int xdev = 0; xdev < 2; xdev++) {
		fd = sys_open_in(tmp_fd, "f", O_RDONLY, xdev);
		cr_assert_geq(fd, 0);
		cr_assert_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
		close(fd);
		fd = sys_open_in(tmp_fd, "d", O_RDONLY | O_DIRECTORY, xdev);
		cr_assert_geq(fd, 0);
		close(fd);
		/* Flags that openat2(2) would refuse beside O_PATH. */
		fd = sys_open_in(tmp_fd, "f", O_PATH | O_NONBLOCK | O_NOCTTY, xdev);
		cr_assert_geq(fd, 0);
		close(fd);
		cr_assert_eq(sys_open_in(tmp_fd, "f", O_RDONLY | O_DIRECTORY, xdev), -ENOTDIR);
		cr_assert_eq(sys_open_in(tmp_fd, "to-file", O_RDONLY, xdev), -ELOOP);
		fd = sys_open_in(tmp_fd, "to-dir", O_RDONLY | O_DIRECTORY, xdev);
		cr_assert(fd == -ELOOP || fd == -ENOTDIR, "%d", fd);
		fd = sys_open_in(tmp_fd, "to-file", O_PATH, xdev);
		cr_assert_geq(fd, 0);
		cr_assert_eq(sys_fstat(fd, &st), 0);
		cr_assert(S_ISLNK(st.st_mode));
		close(fd);
		cr_assert_eq(sys_open_in(tmp_fd, "none", O_RDONLY, xdev), -ENOENT);
		cr_assert_eq(sys_open_in(tmp_fd, "", O_RDONLY, xdev), -ENOENT);
		cr_assert_eq(sys_open_in(tmp_fd, "..", O_RDONLY, xdev), -EXDEV);
		cr_assert_eq(sys_open_in(tmp_fd, "d/x", O_RDONLY, xdev), -EINVAL);
		cr_assert_eq(sys_open_in(tmp_fd, "/", O_RDONLY, xdev), -EINVAL);
		cr_assert_eq(sys_open_in(tmp_fd, "n", O_RDWR | O_CREAT, xdev), -EINVAL);
		cr_assert_eq(sys_open_in(-1, "f", O_RDONLY, xdev), -EBADF);
	}
}

static void check_no_xdev(void)
{
	char path[5000];
	int fd;

	cr_assert_eq(sys_mkdirat(tmp_fd, "mnt", 0755), 0);
	snprintf(path, sizeof(path), "%s/mnt", tmp_path);
	if (!private_mounts() || mount("none", path, "tmpfs", 0, NULL) < 0)
		cr_skip_test("no mount namespace here");
	cr_assert_eq(sys_open_in(tmp_fd, "mnt", O_RDONLY | O_DIRECTORY, true), -EXDEV);
	cr_assert_eq(sys_open_in(tmp_fd, "mnt", O_PATH, true), -EXDEV);
	fd = sys_open_in(tmp_fd, "mnt", O_RDONLY | O_DIRECTORY, false);
	cr_assert_geq(fd, 0);
	close(fd);
	umount2(path, MNT_DETACH);
}

static void without_openat2(int error)
{
	if (!deny_syscall(SYS_openat2, error))
		cr_skip_test("no seccomp here");
	cr_assert_eq(syscall(SYS_openat2, -1, NULL, NULL, 0), -1);
	cr_assert_eq(errno, error);
}

Test(sys, open_in)
{
	check_open_in();
}

Test(sys, open_in_without_openat2)
{
	without_openat2(ENOSYS);
	check_open_in();
}

Test(sys, open_in_where_a_filter_forbids_openat2)
{
	without_openat2(EPERM);
	check_open_in();
}

Test(sys, open_in_stays_on_its_mount)
{
	check_no_xdev();
}

Test(sys, open_in_without_openat2_stays_on_its_mount)
{
	without_openat2(ENOSYS);
	check_no_xdev();
}

Test(sys, open_below)
{
	CLEANUP(fd) int a = -1, fd = -1;

	cr_assert_eq(mkdirat(tmp_fd, "a", 0755), 0);
	cr_assert_eq(mkdirat(tmp_fd, "a/b", 0755), 0);
	cr_assert_eq(mkdirat(tmp_fd, "a/b/c", 0755), 0);
	cr_assert_eq(symlinkat("b", tmp_fd, "a/link"), 0);
	a = sys_open_in(tmp_fd, "a", O_RDONLY | O_DIRECTORY, true);
	cr_assert_geq(a, 0);
	fd = sys_open_below(a, "b/c", O_RDONLY | O_DIRECTORY);
	if (fd == -ENOSYS)
		cr_skip_test("no openat2 here");
	cr_assert_geq(fd, 0);
	cr_assert_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	cr_assert_eq(sys_open_below(a, "link/c", O_RDONLY), -ELOOP);
	cr_assert_eq(sys_open_below(a, "b/../../a", O_RDONLY), -EXDEV);
	cr_assert_eq(sys_open_below(a, "/tmp", O_RDONLY), -EXDEV);
	cr_assert_eq(sys_open_below(a, "b/none", O_RDONLY), -ENOENT);
	cr_assert_eq(sys_open_below(a, "b/c", O_RDWR | O_CREAT), -EINVAL);
}

Test(sys, a_cloned_tree_does_not_see_later_mounts)
{
	char path[5000];
	struct stat st;
	CLEANUP(fd) int tree = -1;

	tmp_file("under", "x", 1);
	if (!private_mounts())
		cr_skip_test("no mount namespace here");
	tree = sys_open_tree_clone(tmp_fd);
	cr_assert_geq(tree, 0, "%s", strerror(-tree));
	cr_assert_eq(fcntl(tree, F_GETFD), FD_CLOEXEC);
	cr_assert_eq(mount("none", tmp_path, "tmpfs", 0, NULL), 0);
	snprintf(path, sizeof(path), "%s/under", tmp_path);
	cr_assert_eq(sys_fstatat(AT_FDCWD, path, &st, 0), -ENOENT);
	cr_assert_eq(sys_fstatat(tree, "under", &st, 0), 0);
	umount2(tmp_path, MNT_DETACH);
	cr_assert_eq(sys_open_tree_clone(-1), -EBADF);
}

Test(sys, pread_full_is_short_only_at_the_end)
{
	static char data[300000], back[300000];
	CLEANUP(fd) int fd = -1;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (char)(i * 7 >> 3);
	tmp_file("f", data, sizeof(data));
	fd = sys_openat(tmp_fd, "f", O_RDONLY, 0);
	cr_assert_eq(sys_pread_full(fd, back, sizeof(back), 0), (ssize_t)sizeof(back));
	cr_assert_arr_eq(back, data, sizeof(data));
	cr_assert_eq(sys_pread_full(fd, back, sizeof(back), 299990), 10);
	cr_assert_arr_eq(back, data + 299990, 10);
	cr_assert_eq(sys_pread_full(fd, back, sizeof(back), 300000), 0);
	cr_assert_eq(sys_pread_full(fd, back, 10, -1), -EINVAL);
	cr_assert_eq(sys_pread_full(-1, back, 10, 0), -EBADF);
	cr_assert_eq(sys_pwrite_full(fd, back, 10, 0), -EBADF);
}

Test(sys, files_can_be_written_grown_and_cut)
{
	CLEANUP(fd) int fd = sys_openat(tmp_fd, "f", O_RDWR | O_CREAT, 0600);
	char back[8];
	struct stat st;

	cr_assert_eq(sys_write_full(fd, "abcd", 4), 0);
	cr_assert_eq(sys_pwrite_full(fd, "XY", 2, 5), 0);
	cr_assert_eq(sys_pread_full(fd, back, 8, 0), 7);
	cr_assert_eq(memcmp(back, "abcd\0XY", 7), 0);
	cr_assert_eq(sys_lseek(fd, 0, SEEK_CUR), 4);
	cr_assert_eq(sys_lseek(fd, -1, SEEK_SET), -EINVAL);
	cr_assert_eq(sys_ftruncate(fd, 2), 0);
	cr_assert_eq(sys_fstat(fd, &st), 0);
	cr_assert_eq(st.st_size, 2);
	cr_assert_eq(sys_ftruncate(fd, -1), -EINVAL);
	cr_assert_eq(sys_fdatasync(fd), 0);
	cr_assert_eq(sys_fdatasync(-1), -EBADF);
	cr_assert_eq(sys_fallocate(-1, 0, 0, 1), -EBADF);
	cr_assert_eq(sys_fallocate(fd, 0, 0, 0), -EINVAL);
}

Test(sys, a_full_device_is_an_error)
{
	CLEANUP(fd) int fd = sys_openat(AT_FDCWD, "/dev/full", O_WRONLY, 0);

	cr_assert_geq(fd, 0);
	cr_assert_eq(sys_write_full(fd, "x", 1), -ENOSPC);
	cr_assert_eq(sys_pwrite_full(fd, "x", 1, 0), -ENOSPC);
	cr_assert_eq(sys_write_full(fd, "", 0), 0);
}

static void on_alarm(int signal)
{
	(void)signal;
}

static void *slow_reader(void *arg)
{
	int fd = *(int *)arg;
	static char sink[4096];
	size_t total = 0;
	ssize_t n;

	usleep(60000);
	while ((n = read(fd, sink, sizeof(sink))) != 0)
		total += n > 0 ? (size_t)n : 0;
	return (void *)(uintptr_t)total;
}

/* The one timeout of Criterion (support/timed.h): SIGALRM is taken. */
Test(sys, signals_do_not_cut_a_write_short, .timeout = 20)
{
	struct sigaction act = {.sa_handler = on_alarm};
	struct itimerval often = {{0, 3000}, {0, 3000}}, never = {0};
	static char data[1 << 20];
	pthread_t thread;
	int fds[2];
	void *total;
	sigset_t set;

	cr_assert_eq(pipe(fds), 0);
	cr_assert_eq(sigaction(SIGALRM, &act, NULL), 0);
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	cr_assert_eq(pthread_create(&thread, NULL, slow_reader, &fds[0]), 0);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	cr_assert_eq(sys_write_full(fds[1], data, sizeof(data)), 0);
	setitimer(ITIMER_REAL, &never, NULL);
	close(fds[1]);
	pthread_join(thread, &total);
	cr_assert_eq((uintptr_t)total, sizeof(data));
	close(fds[0]);
}

/* For how many descriptors there is room in the table. */
static unsigned int fd_table_size(void)
{
	FILE *f = fopen("/proc/self/status", "re");
	unsigned int size = 0;
	char line[256];

	if (f == NULL)
		return 0;
	while (size == 0 && fgets(line, sizeof(line), f) != NULL)
		sscanf(line, "FDSize: %u", &size);
	fclose(f);
	return size;
}

/* In a process of its own, whose table is as small as what is open: its exit status is what went wrong. */
static int reserve_fds(void)
{
	struct rlimit limit;
	unsigned int most;
	int null = open("/dev/null", O_RDONLY), next = dup(null);

	close(next);
	if (fd_table_size() > 256)
		return 1;
	sys_reserve_fds(0);
	if (fd_table_size() > 256)
		return 2;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 3;
	most = limit.rlim_max < 1000 ? (unsigned int)limit.rlim_max : 1000;
	limit.rlim_cur = most;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 4;
	sys_reserve_fds(4 * most);
	if (fd_table_size() < most)
		return 5;
	/* Nothing stays open for it. */
	return dup(null) == next && fcntl((int)most - 1, F_GETFD) < 0 ? 0 : 6;
}

Test(sys, fds_left_counts_what_is_open)
{
	struct rlimit limit = {1000, 1000};
	int null = open("/dev/null", O_RDONLY);
	size_t left;

	cr_assert_eq(close_range((unsigned int)null + 1, ~0u, 0), 0);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	left = sys_fds_left();
	cr_assert_geq(left, 999 - (size_t)null);
	/* At any number, and with free ones before it. */
	for (int i = 0; i < 600; i++)
		cr_assert_geq(dup(null), 0);
	cr_assert_eq(sys_fds_left(), left - 600);
	cr_assert_eq(close_range((unsigned int)null + 1, (unsigned int)null + 100, 0), 0);
	cr_assert_eq(sys_fds_left(), left - 500);
	while (dup(null) >= 0)
		;
	cr_assert_eq(sys_fds_left(), 0);
	limit.rlim_cur = 300;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	cr_assert_eq(sys_fds_left(), 0);
}

Test(sys, reserve_fds_grows_the_table_at_once)
{
	int status;
	pid_t pid;

	/* Whoever runs the tests may have left descriptors open at any number. */
	cr_assert_eq(close_range(200, ~0u, 0), 0);
	pid = fork();
	if (pid == 0)
		_exit(reserve_fds());
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert_eq(status, 0, "%#x", (unsigned int)status);
}

Test(sys, random_fills_every_length)
{
	uint8_t a[5000] = {0}, b[5000] = {0};

	cr_assert_eq(sys_random(a, sizeof(a)), 0);
	cr_assert_eq(sys_random(b, sizeof(b)), 0);
	cr_assert_arr_neq(a, b, sizeof(a));
	cr_assert_arr_neq(a + 4900, b + 4900, 100);
	a[0] = 7;
	cr_assert_eq(sys_random(a, 0), 0);
	cr_assert_eq(a[0], 7);
}
