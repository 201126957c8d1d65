/* SPDX-License-Identifier: Apache-2.0 */
/* Threads of the loop that cannot be made. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "front/guard.h"
#include "front/private.h"

/* No more threads: none has room for its stack. */
static void refuse_threads(void)
{
	pthread_attr_t attr;

	cr_assert_eq(pthread_attr_init(&attr), 0);
	cr_assert_eq(pthread_attr_setstacksize(&attr, SIZE_MAX / 4), 0);
	cr_assert_eq(pthread_setattr_default_np(&attr), 0);
	pthread_attr_destroy(&attr);
}

static struct front *front_with(struct worker *workers)
{
	static struct front f;

	f.done_fd = eventfd(0, EFD_NONBLOCK);
	f.lead.workers = workers;
	f.lead.max_workers = 2;
	atomic_store(&f.lead.n_workers, 1);
	return &f;
}

/* As the others ended while this one was being made, none of them was the last. */
Test(loop, says_that_all_have_ended_when_the_last_could_not_be_made)
{
	struct worker workers[3] = {0};
	struct front *f = front_with(workers);
	eventfd_t n = 0;

	refuse_threads();
	cr_assert_not(loop_spawn(f));
	cr_assert_eq(atomic_load(&f->running), 0);
	cr_assert_eq(eventfd_read(f->done_fd, &n), 0, "the main thread waits for ever");
	close(f->done_fd);
}

Test(loop, says_nothing_while_others_run)
{
	struct worker workers[3] = {0};
	struct front *f = front_with(workers);
	eventfd_t n = 0;

	atomic_store(&f->running, 1);
	refuse_threads();
	cr_assert_not(loop_spawn(f));
	cr_assert_eq(atomic_load(&f->running), 1);
	cr_assert_neq(eventfd_read(f->done_fd, &n), 0);
	close(f->done_fd);
}
