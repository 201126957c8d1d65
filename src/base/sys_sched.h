/* SPDX-License-Identifier: Apache-2.0 */
/* What a thread may do, and where and when it runs. Results are >= 0 or -errno; any thread. */
#ifndef PLYFS_BASE_SYS_SCHED_H
#define PLYFS_BASE_SYS_SCHED_H

#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The kernel's number of the calling thread. */
pid_t sys_gettid(void);

/*
 * The effective capabilities of thread TID (0: this one), a bit each; -ESRCH. capget(2), which looks at the thread only:
 * /proc/PID/status may be the last to let go of a process that ends, and then waits for its files, perhaps our own.
 */
int sys_caps_of(pid_t tid, uint64_t *ret_caps);

/*
 * Is thread TID (0: this one) in the first user namespace, which capable() in the kernel is about? 1, 0; -EACCES and others
 * when that cannot be seen, -ESRCH also when /proc is another PID namespace's. Waits for nobody.
 */
int sys_in_first_userns(pid_t tid);

/* Puts thread TID (0: this one) under SCHED_IDLE; back only with RLIMIT_NICE or CAP_SYS_NICE. */
int sys_sched_idle(pid_t tid, bool idle);

/* Does the calling thread run under SCHED_IDLE? Threads that it makes would, too, and could not leave it. */
bool sys_is_sched_idle(void);

/* The processors that thread TID (0: this one) may use, also of more than CPU_SETSIZE. */
struct cpus {
	cpu_set_t *set; /* owned */
	size_t size;	/* bytes */
};
int sys_get_cpus(pid_t tid, struct cpus *ret_cpus);
int sys_set_cpus(pid_t tid, const struct cpus *cpus);
/* Moves thread TID (0: this one) to one processor. -EINVAL: it may not run there. */
int sys_set_cpu(pid_t tid, unsigned int cpu);
/*
 * pthread_create(3) of a thread that takes no signals, which are the main thread's. ATTR may be NULL. 0 or -errno.
 */
int sys_thread_create(pthread_t *ret_thread, const pthread_attr_t *attr, void *(*run)(void *arg),
		      void *arg);
/* Has threads made with ATTR run where the main thread may, not where the caller was moved to. */
int sys_attr_anywhere(pthread_attr_t *attr);
void cpus_done(struct cpus *cpus);
bool cpus_have(const struct cpus *cpus, unsigned int cpu);

#endif
