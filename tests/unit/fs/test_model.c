/* SPDX-License-Identifier: Apache-2.0 */
/* Long random sequences against a plain directory. PLYFS_SEED and PLYFS_STEPS choose another one. */
#include <criterion/logging.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "model.h"

static unsigned long number(const char *name, unsigned long otherwise)
{
	const char *text = getenv(name);

	return text != NULL ? strtoul(text, NULL, 10) : otherwise;
}

/* The layers, as they have to be for ever. */
static char *layers_dump(const struct world *w)
{
	CLEANUP(buf) struct buf out = {0};
	char path[16];

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

	world_init(&w, 1 + seed % 4);
	model_build(&m);
	umask(022);
	before = layers_dump(&w);
	world_open(&w);
	snprintf(m.last, sizeof(m.last), "nothing yet");
	model_compare(&m);
	while (m.step < steps) {
		model_step(&m);
		if (m.step % 100 == 0)
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
