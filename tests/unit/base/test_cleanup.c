/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of base/cleanup.h. */
#include <criterion/criterion.h>
#include <fcntl.h>

#include "base/cleanup.h"

static int order[4];
static int n_done;

struct thing {
	int id;
};

static void thing_done(struct thing *t)
{
	if (t->id != 0)
		order[n_done++] = t->id;
	errno = EBADMSG;
}

DEFINE_CLEANUP(struct thing, thing, thing_done)
DEFINE_CLEANUP_PTR(struct thing, thing_ptr, thing_done)

static void three_things(void)
{
	CLEANUP(thing) struct thing a = {1};
	CLEANUP(thing) struct thing zero = {0};
	CLEANUP(thing_ptr) struct thing *p = &(struct thing){2};
	CLEANUP(thing_ptr) struct thing *none = NULL;

	(void)a;
	(void)zero;
	(void)p;
	(void)none;
	errno = ENOENT;
}

Test(cleanup, runs_in_reverse_and_keeps_errno)
{
	three_things();
	cr_assert_eq(n_done, 2);
	cr_assert_eq(order[0], 2);
	cr_assert_eq(order[1], 1);
	cr_assert_eq(errno, ENOENT);
}

static int open_and_maybe_steal(int steal)
{
	CLEANUP(fd) int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int number = fd;

	return steal ? steal_fd(&fd) : number;
}

Test(cleanup, descriptors_close_unless_stolen)
{
	int fd = open_and_maybe_steal(1);

	cr_assert_geq(fcntl(fd, F_GETFD), 0);
	close(fd);
	fd = open_and_maybe_steal(0);
	cr_assert_eq(fcntl(fd, F_GETFD), -1);
	cr_assert_eq(errno, EBADF);
}

Test(cleanup, a_stolen_pointer_is_gone_from_its_variable)
{
	CLEANUP(free) char *p = malloc(1);
	CLEANUP(free) char *q = steal_ptr(&p);

	cr_assert_null(p);
	cr_assert_not_null(q);
}
