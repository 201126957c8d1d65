/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client's side of scripts/bench. It works in the current directory and prints the wall-clock,
 * user and system time in milliseconds. Lists have one path a line, and are read before the clock starts.
 *
 *     work walk DIR                  reads all directories, and lstats every name
 *     work stat LIST                 lstats the files of a list
 *     work open LIST                 opens and closes them
 *     work read LIST                 reads them
 *     work read-dirs LIST THREADS    reads the directories of a list and every file in them
 *     work absent LIST DIRS NAMES    looks NAMES absent names up in each of the first DIRS directories, twice
 *     work chmod LIST                changes their mode
 *     work create N DIRS             makes N files of 2 KiB in DIRS directories d0, d1, ...
 *     work rename N DIRS             renames them
 *     work unlink N DIRS             unlinks them
 *     work move FROM TO              rename(2), and mv(1) where that is refused with EXDEV
 *     work append FILE               appends a byte
 *     work seq-read FILE             reads a file from start to end
 *     work seq-write FILE MIB        writes a new one
 *     work random FILE N             writes 4 KiB at N random places
 *     work small FILE N              writes a new file in N pieces of 512 bytes
 *     work run PROGRAM ARG...        whatever another program does; its output goes to standard error
 */
#include "bench/work.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

struct job {
	const char *name;
	int n_args; /* at least */
	int has_list;
	void (*prepare)(struct work *w);
	void (*run)(struct work *w);
};

static const struct job jobs[] = {
	{"walk", 1, 0, NULL, tree_walk},
	{"stat", 1, 1, NULL, tree_stat},
	{"open", 1, 1, NULL, tree_open},
	{"read", 1, 1, NULL, tree_read},
	{"read-dirs", 2, 1, NULL, tree_read_dirs},
	{"absent", 3, 1, NULL, tree_absent},
	{"chmod", 1, 1, NULL, tree_chmod},
	{"create", 2, 0, tree_make_dirs, tree_create},
	{"rename", 2, 0, NULL, tree_rename},
	{"unlink", 2, 0, NULL, tree_unlink},
	{"move", 2, 0, NULL, tree_move},
	{"append", 1, 0, NULL, file_append},
	{"seq-read", 1, 0, NULL, file_read},
	{"seq-write", 2, 0, NULL, file_write},
	{"random", 2, 0, file_open_old, file_random},
	{"small", 2, 0, file_open_new, file_small},
	{"run", 1, 0, NULL, run_program},
};

void work_fail(const char *what)
{
	fprintf(stderr, "work: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void read_list(struct work *w, const char *path)
{
	FILE *list = fopen(path, "re");
	char *line = NULL;
	size_t size = 0, room = 0;
	ssize_t n;

	if (list == NULL)
		work_fail(path);
	while ((n = getline(&line, &size, list)) > 0) {
		line[n - 1] = '\0';
		if (w->n_lines == room) {
			room = room > 0 ? 2 * room : 1024;
			w->lines = realloc(w->lines, room * sizeof(*w->lines));
		}
		if (w->lines == NULL || (w->lines[w->n_lines++] = strdup(line)) == NULL)
			work_fail(path);
	}
	free(line);
	fclose(list);
}

static double wall_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static double ms(struct timeval t)
{
	return (double)t.tv_sec * 1e3 + (double)t.tv_usec / 1e3;
}

/* This program's own time and that of the programs it ran. */
static void cpu_ms(double *ret_user, double *ret_sys)
{
	struct rusage self, children;

	getrusage(RUSAGE_SELF, &self);
	getrusage(RUSAGE_CHILDREN, &children);
	*ret_user = ms(self.ru_utime) + ms(children.ru_utime);
	*ret_sys = ms(self.ru_stime) + ms(children.ru_stime);
}

static void time_job(const struct job *job, struct work *w)
{
	double wall, user, sys, user_end, sys_end;

	cpu_ms(&user, &sys);
	wall = wall_ms();
	job->run(w);
	wall = wall_ms() - wall;
	cpu_ms(&user_end, &sys_end);
	printf("%.3f %.3f %.3f\n", wall, user_end - user, sys_end - sys);
}

int main(int argc, char **argv)
{
	struct work w = {.arg = {"", "", ""}, .rest = argv + 2};

	for (size_t i = 0; argc > 1 && i < sizeof(jobs) / sizeof(*jobs); i++) {
		if (strcmp(jobs[i].name, argv[1]) != 0 || argc - 2 < jobs[i].n_args)
			continue;
		for (int a = 0; a < 3 && a < argc - 2; a++)
			w.arg[a] = argv[a + 2];
		if (jobs[i].has_list)
			read_list(&w, w.arg[0]);
		if (jobs[i].prepare != NULL)
			jobs[i].prepare(&w);
		time_job(&jobs[i], &w);
		return 0;
	}
	fprintf(stderr, "work: unknown workload, or words missing: see work.c\n");
	return 2;
}
