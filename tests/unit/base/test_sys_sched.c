/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of what threads may do, and of moving them. */
#include "base/sys_sched.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

Test(sys_sched, one_cpu_and_back)
{
	struct cpus all = {0}, one = {0};
	unsigned int cpu = 0;

	cr_assert_eq(sys_get_cpus(0, &all), 0);
	while (!cpus_have(&all, cpu))
		cpu++;
	cr_expect_eq(sys_set_cpu(0, cpu), 0);
	cr_expect_eq(sched_getcpu(), (int)cpu);
	cr_assert_eq(sys_get_cpus(getpid(), &one), 0);
	cr_expect(cpus_have(&one, cpu));
	cr_expect_eq(CPU_COUNT_S(one.size, one.set), 1);
	cr_expect_eq(sys_set_cpus(0, &all), 0);
	cpus_done(&one);
	cr_assert_eq(sys_get_cpus(0, &one), 0);
	cr_expect(CPU_EQUAL_S(all.size, all.set, one.set));
	cpus_done(&one);
	cpus_done(&all);
	cpus_done(&all);
}

Test(sys_sched, no_such_cpu)
{
	struct cpus all = {0};

	cr_expect_eq(sys_set_cpu(0, 60000), -EINVAL);
	cr_assert_eq(sys_get_cpus(0, &all), 0);
	cr_expect_not(cpus_have(&all, 60000));
	cr_expect_not(cpus_have(&all, 1000000));
	cpus_done(&all);
}

Test(sys_sched, idle)
{
	cr_expect_eq(sys_sched_idle(0, true), 0);
	cr_expect_eq(sched_getscheduler(0), SCHED_IDLE);
}

Test(sys_sched, tid)
{
	cr_expect_eq(sys_gettid(), getpid());
}

static void *cpus_of_thread(void *arg)
{
	struct cpus *c = arg;

	sys_get_cpus(0, c);
	return NULL;
}

Test(sys_sched, a_thread_runs_where_the_main_thread_may)
{
	struct cpus all = {0}, has = {0};
	pthread_attr_t attr;
	pthread_t thread;

	cr_assert_eq(sys_get_cpus(getpid(), &all), 0);
	cr_assert_eq(pthread_attr_init(&attr), 0);
	cr_assert_eq(sys_attr_anywhere(&attr), 0);
	cr_assert_eq(pthread_create(&thread, &attr, cpus_of_thread, &has), 0);
	pthread_join(thread, NULL);
	pthread_attr_destroy(&attr);
	cr_expect(CPU_EQUAL_S(all.size, all.set, has.set));
	cpus_done(&all);
	cpus_done(&has);
}

static void *ask_class(void *arg)
{
	sys_sched_idle(0, true);
	*(bool *)arg = sys_is_sched_idle();
	return NULL;
}

Test(sys_sched, its_own_class)
{
	bool idle = false;
	pthread_t thread;

	cr_expect_not(sys_is_sched_idle());
	cr_assert_eq(pthread_create(&thread, NULL, ask_class, &idle), 0);
	pthread_join(thread, NULL);
	cr_expect(idle);
}

/* "CapEff:" of /proc/PID/status. */
static uint64_t shown_caps(int pid)
{
	char path[64], line[128];
	unsigned long caps = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "re");
	cr_assert_not_null(f);
	while (fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "CapEff: %lx", &caps) == 1)
			break;
	fclose(f);
	return caps;
}

Test(sys_sched, capabilities)
{
	uint64_t own = 0, others = 0;

	cr_assert_eq(sys_caps_of(0, &own), 0);
	cr_expect_eq(own, shown_caps(getpid()));
	cr_assert_eq(sys_caps_of(getppid(), &others), 0);
	cr_expect_eq(others, shown_caps(getppid()));
}

Test(sys_sched, capabilities_of_nobody)
{
	uint64_t caps = 7;

	cr_expect_eq(sys_caps_of(0x3fffffff, &caps), -ESRCH);
	cr_expect_eq(caps, 7);
}

/* As its parent sees it: `in the first one` of a child that has made one of its own, or tells that it may not. */
Test(sys_sched, user_namespaces)
{
	int made[2], end[2], r = -1;
	pid_t child;

	cr_expect_eq(sys_in_first_userns(getpid()), sys_in_first_userns(0));
	cr_expect_lt(sys_in_first_userns(1 << 30), 0);
	cr_assert_eq(pipe(made), 0);
	cr_assert_eq(pipe(end), 0);
	child = fork();
	cr_assert_geq(child, 0);
	if (child == 0) {
		close(end[1]);
		r = unshare(CLONE_NEWUSER);
		_exit(write(made[1], &r, sizeof(r)) != sizeof(r) || read(end[0], &r, 1) != 0);
	}
	cr_assert_eq(read(made[0], &r, sizeof(r)), (ssize_t)sizeof(r));
	if (r == 0)
		cr_expect_leq(sys_in_first_userns(child), 0);
	close(end[1]);
	cr_assert_eq(waitpid(child, &r, 0), child);
	cr_expect_eq(r, 0);
}
