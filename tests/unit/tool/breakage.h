/* SPDX-License-Identifier: Apache-2.0 */
/* One rule of the format broken: what a check says, and what a repair leaves. */
#ifndef PLYFS_TESTS_TOOL_BREAKAGE_H
#define PLYFS_TESTS_TOOL_BREAKAGE_H

#include <criterion/criterion.h>

#include "support/sample.h"

struct breakage {
	void (*break_it)(struct made_upper *u);
	const char *finds;		    /* lines, without what a repair adds to them */
	bool clean;			    /* there is nothing to find */
	bool changes;			    /* a repair does not make everything as it was before */
	void (*look)(struct made_upper *u); /* at what it made, if it is not NULL; reopened */
};

void run_breakage(const struct breakage *b);

/* Where names lead; they must be there. */
uint64_t ino_at(struct made_upper *u, uint64_t parent, const char *name);
/* In the root's lost+found. */
uint64_t lost(struct made_upper *u, const char *name);
void assert_gone(struct made_upper *u, uint64_t parent, const char *name);
void assert_whiteout(struct made_upper *u, uint64_t parent, const char *name);
/* Without its origin. */
struct inode_rec record(struct made_upper *u, uint64_t ino);

/* BREAK(suite, name, finds, ...) { what breaks U }: the rest initialises the breakage. */
#define BREAK(suite, name, lines, ...)                                                             \
	static void break_##name(struct made_upper *u);                                            \
	Test(suite, name)                                                                          \
	{                                                                                          \
		struct breakage b = {.break_it = break_##name, .finds = lines, __VA_ARGS__};       \
		run_breakage(&b);                                                                  \
	}                                                                                          \
	static void break_##name(struct made_upper *u)

#define BATCH(u, code)                                                                             \
	do {                                                                                       \
		CLEANUP(batch) struct batch b = {0};                                               \
		batch_begin(&b, (u)->catalog);                                                     \
		code;                                                                              \
		sample_commit(u, &b);                                                              \
	} while (0)

#endif
