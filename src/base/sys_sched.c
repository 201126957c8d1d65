/* SPDX-License-Identifier: Apache-2.0 */
/* Threads: their numbers, capabilities and scheduling. */
#include "base/sys_sched.h"

#include <errno.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Linux has no more than 8192 processors today. */
#define MAX_CPUS (1 << 16)

pid_t sys_gettid(void)
{
	return (pid_t)syscall(SYS_gettid);
}

int sys_caps_of(pid_t tid, uint64_t *ret_caps)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, tid};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};

	if (syscall(SYS_capget, &header, data) < 0)
		return -errno;
	*ret_caps = data[0].effective | (uint64_t)data[1].effective << 32;
	return 0;
}

/* The number that the kernel gives the first one (PROC_USER_INIT_INO). */
#define FIRST_USERNS 0xEFFFFFFDU

/* A number of ours means in /proc what we mean by it. */
static bool proc_is_ours(void)
{
	char self[16] = "";

	return readlink("/proc/self", self, sizeof(self) - 1) > 0 &&
	       strtol(self, NULL, 10) == getpid();
}

int sys_in_first_userns(pid_t tid)
{
	char path[64] = "/proc/self/ns/user";
	struct stat st;

	if (tid != 0) {
		if (!proc_is_ours())
			return -ESRCH;
		snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)tid);
	}
	if (stat(path, &st) < 0)
		return -errno;
	return st.st_ino == FIRST_USERNS;
}

int sys_sched_idle(pid_t tid, bool idle)
{
	struct sched_param p = {0};

	return sched_setscheduler(tid, idle ? SCHED_IDLE : SCHED_OTHER, &p) < 0 ? -errno : 0;
}

bool sys_is_sched_idle(void)
{
	return sched_getscheduler(0) == SCHED_IDLE;
}

/* The kernel refuses a set that is smaller than its own. */
int sys_get_cpus(pid_t tid, struct cpus *ret_cpus)
{
	for (int n = CPU_SETSIZE; n <= MAX_CPUS; n *= 2) {
		struct cpus c = {CPU_ALLOC((size_t)n), CPU_ALLOC_SIZE((size_t)n)};

		if (c.set == NULL)
			return -ENOMEM;
		CPU_ZERO_S(c.size, c.set);
		if (sched_getaffinity(tid, c.size, c.set) == 0) {
			*ret_cpus = c;
			return 0;
		}
		CPU_FREE(c.set);
		if (errno != EINVAL)
			return -errno;
	}
	return -EINVAL;
}

int sys_set_cpus(pid_t tid, const struct cpus *cpus)
{
	return sched_setaffinity(tid, cpus->size, cpus->set) < 0 ? -errno : 0;
}

int sys_set_cpu(pid_t tid, unsigned int cpu)
{
	struct cpus c = {CPU_ALLOC(cpu + 1), CPU_ALLOC_SIZE(cpu + 1)};
	int r;

	if (c.set == NULL)
		return -ENOMEM;
	CPU_ZERO_S(c.size, c.set);
	CPU_SET_S(cpu, c.size, c.set);
	r = sys_set_cpus(tid, &c);
	cpus_done(&c);
	return r;
}

int sys_thread_create(pthread_t *ret_thread, const pthread_attr_t *attr, void *(*run)(void *arg),
		      void *arg)
{
	sigset_t all, before;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(ret_thread, attr, run, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -r;
}

int sys_attr_anywhere(pthread_attr_t *attr)
{
	struct cpus c = {0};
	int r = sys_get_cpus(getpid(), &c);

	if (r == 0)
		r = -pthread_attr_setaffinity_np(attr, c.size, c.set);
	cpus_done(&c);
	return r;
}

void cpus_done(struct cpus *cpus)
{
	if (cpus->set != NULL)
		CPU_FREE(cpus->set);
	cpus->set = NULL;
}

bool cpus_have(const struct cpus *cpus, unsigned int cpu)
{
	return cpu < cpus->size * 8 && CPU_ISSET_S(cpu, cpus->size, cpus->set);
}
