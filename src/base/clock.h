/* SPDX-License-Identifier: Apache-2.0 */
/* The clock that only goes forward, and waiting by it. */
#ifndef PLYFS_BASE_CLOCK_H
#define PLYFS_BASE_CLOCK_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

/* The monotonic clock. */
static inline struct timespec monotonic_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t;
}

/* The monotonic clock in NSEC nanoseconds. */
static inline struct timespec monotonic_in(int64_t nsec)
{
	struct timespec t = monotonic_now();

	t.tv_sec += nsec / 1000000000;
	t.tv_nsec += nsec % 1000000000;
	if (t.tv_nsec >= 1000000000L) {
		t.tv_nsec -= 1000000000L;
		t.tv_sec++;
	}
	return t;
}

/* A condition whose pthread_cond_timedwait(3) goes by that clock. */
static inline void monotonic_cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &attr);
	pthread_condattr_destroy(&attr);
}

#endif
