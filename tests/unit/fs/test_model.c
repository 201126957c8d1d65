/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Long random sequences against a plain directory. To look for more: PLYFS_SEED (the first) and
 * PLYFS_SEEDS (how many) for seed_of_the_caller, PLYFS_STEPS; to find the step that did it:
 * PLYFS_COMPARE=1 compares after each.
 */
#include <criterion/logging.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit/fs/model.h"

static unsigned long number(const char *name, unsigned long otherwise)
{
	const char *text = getenv(name);

	return text != NULL ? strtoul(text, NULL, 10) : otherwise;
}

/* The layers, as they have to be for ever. */
static char *layers_dump(const struct world *w)
{
	CLEANUP(buf) struct buf out = {0};
	char path[24];

	for (size_t i = 0; i < w->o.n_lower; i++) {
		CLEANUP(free) char *one = NULL;

		snprintf(path, sizeof(path), "l%zu", i);
		one = plain_dump(path);
		buf_put_str(&out, one);
	}
	cr_assert_not_null(buf_cstr(&out));
	return (char *)steal_ptr(&out.data);
}

static void run(unsigned int seed, unsigned long steps)
{
	CLEANUP(world) struct world w;
	CLEANUP(free) char *before = NULL;
	CLEANUP(free) char *after = NULL;
	struct model m = {.w = &w, .state = seed, .seed = seed};
	unsigned long compare = number("PLYFS_COMPARE", 100);

	world_init(&w, 1 + seed % 4);
	model_build(&m);
	umask(022);
	before = layers_dump(&w);
	world_open(&w);
	snprintf(m.last, sizeof(m.last), "nothing yet");
	model_compare(&m);
	while (m.step < steps) {
		model_step(&m);
		if (m.step % compare == 0)
			model_compare(&m);
		if (m.step % 300 == 0) {
			/* Files that are held and unlinked become orphans, to be cleaned. */
			model_release(&m);
			world_assert_lasting(&w);
			model_compare(&m);
		}
	}
	model_release(&m);
	world_assert_lasting(&w);
	model_compare(&m);
	after = layers_dump(&w);
	cr_assert_str_eq(before, after, "seed %u: the layers have changed", seed);
}

/* Criterion runs tests at once: a few of them use all processors. */
static void run_seeds(unsigned int first, unsigned int n)
{
	unsigned long steps = number("PLYFS_STEPS", 3000);

	for (unsigned int seed = first; seed < first + n; seed++) {
		cr_log_info("seed %u, %lu steps", seed, steps);
		run(seed, steps);
	}
}

Test(model, first_seeds)
{
	run_seeds(1, 4);
}

Test(model, more_seeds)
{
	run_seeds(101, 4);
}

Test(model, seed_of_the_caller)
{
	run_seeds((unsigned int)number("PLYFS_SEED", 1001), (unsigned int)number("PLYFS_SEEDS", 1));
}

/* Does some steps in a process of its own, which is killed; M is shared with it. */
static void run_until_killed(struct model *m, unsigned long steps)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		world_open(m->w);
		for (unsigned long i = 0; i < steps; i++)
			model_step(m);
		raise(SIGKILL);
		_exit(1);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "seed %u, step %lu: %x",
		  m->seed, m->step, status);
	memset(m->held, 0, sizeof(m->held));
}

Test(model, killed_again_and_again)
{
	CLEANUP(world) struct world w;
	struct model *m = mmap(NULL, sizeof(*m), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			       -1, 0);
	unsigned long steps = number("PLYFS_STEPS", 3000);

	cr_assert_neq(m, MAP_FAILED);
	*m = (struct model){.w = &w, .state = 7001, .seed = 7001};
	world_init(&w, 3);
	model_build(m);
	umask(022);
	while (m->step < steps) {
		run_until_killed(m, 1 + model_random(m, 200));
		world_open(&w);
		world_audit(&w);
		model_compare(m);
		world_close(&w);
	}
	munmap(m, sizeof(*m));
}
