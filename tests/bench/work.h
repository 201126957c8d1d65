/* SPDX-License-Identifier: Apache-2.0 */
/* Workloads of scripts/bench: what work.c runs and times, one function each. */
#ifndef PLYFS_BENCH_WORK_H
#define PLYFS_BENCH_WORK_H

#include <stddef.h>

/* The words after the workload's name; those that are not given are "". */
struct work {
	const char *arg[3];
	char **rest;  /* all of them, ended by NULL */
	char **lines; /* those of the file arg[0], where the workload wants a list */
	size_t n_lines;
};

/* Prints what failed, with errno's reason, and ends the program with status 1. */
_Noreturn void work_fail(const char *what);

/* What comes before the clock is started, for those that have something to prepare. */
void tree_make_dirs(struct work *w);
void file_open_old(struct work *w);
void file_open_new(struct work *w);

/* work_tree.c: names and attributes of many files. */
void tree_walk(struct work *w);
void tree_stat(struct work *w);
void tree_open(struct work *w);
void tree_read(struct work *w);
void tree_read_dirs(struct work *w);
void tree_absent(struct work *w);
void tree_chmod(struct work *w);
void tree_create(struct work *w);
void tree_rename(struct work *w);
void tree_unlink(struct work *w);
void tree_move(struct work *w);

/* work_file.c: the bytes of one file, and other programs. */
void file_append(struct work *w);
void file_read(struct work *w);
void file_write(struct work *w);
void file_random(struct work *w);
void file_small(struct work *w);
void run_program(struct work *w);

#endif
