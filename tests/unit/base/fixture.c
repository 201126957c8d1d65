/* SPDX-License-Identifier: Apache-2.0 */
/* What several tests of base/ need: a directory, random numbers, a kernel that lacks calls. */
#include "unit/base/fixture.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

char tmp_path[4096];
int tmp_fd = -1;

void tmp_setup(void)
{
	const char *dir = getenv("TMPDIR");

	snprintf(tmp_path, sizeof(tmp_path), "%s/plyfs-test-XXXXXX", dir != NULL ? dir : "/tmp");
	cr_assert_not_null(mkdtemp(tmp_path));
	tmp_fd = open(tmp_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	cr_assert_geq(tmp_fd, 0);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void tmp_teardown(void)
{
	close(tmp_fd);
	nftw(tmp_path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

void tmp_file(const char *name, const void *data, size_t len)
{
	int fd = openat(tmp_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, data, len), (ssize_t)len);
	close(fd);
}

struct rng rng_seeded(uint64_t seed)
{
	cr_log_info("seed %#llx", (unsigned long long)seed);
	return (struct rng){.state = seed};
}

/* SplitMix64. */
uint64_t rng_next(struct rng *g)
{
	uint64_t z = g->state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

uint32_t rng_below(struct rng *g, uint32_t n)
{
	return (uint32_t)(rng_next(g) >> 32) % n;
}

bool deny_syscall(long nr, int error)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return false;
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &prog) == 0;
}

bool private_mounts(void)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return false;
	/* The descriptor of before belongs to the old namespace, where nothing gets mounted. */
	if (tmp_fd >= 0) {
		close(tmp_fd);
		tmp_fd = open(tmp_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	}
	return true;
}
