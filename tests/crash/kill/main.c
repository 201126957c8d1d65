/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kill test: clients work on a mount, the daemon is killed, mounted again, and what is there is
 * compared with what was answered.
 *
 *	kill PROGRAM DIRECTORY SEED KILLS
 *
 * A scene is a stack of lower layers and an upper; it lives for some dozens of kills. Each client has a
 * directory of its own below the mount, and a model of it. Whatever was answered must be there after
 * the kill. The one operation that each client was waiting for may be there as a whole, or not at all;
 * only bytes in a data file that is changed in place may be there in part.
 *
 * The seed decides layers, operations and plans; when the kill comes between two operations, and how
 * those of different clients mix, is left to the machine.
 */
#include <errno.h>
#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "crash/kill/kill.h"

#define N_CLIENTS     3
#define N_LAYERS      2
#define SCENE_KILLS   30
#define LOWER_OPS     150
#define HANG_SECONDS  60
#define STRAY_SECONDS 10
#define PLAN_SECONDS  3

enum plan { PLAN_COUNT, PLAN_CHECKPOINT, PLAN_IDLE, PLAN_CLOSE, PLAN_MOUNT, N_PLANS };
static const char *const plan_names[N_PLANS] = {"while working", "at a checkpoint", "when idle",
						"while closing", "while mounting"};

struct run {
	struct place place;
	char dir[200], dirs[N_CLIENTS][300];
	uint64_t seed, rng;
	struct worker clients[N_CLIENTS];
	bool writeback;
	enum plan plan;
	atomic_ulong done;
	atomic_bool killed;
	unsigned long scene, n_kills, kills[N_PLANS], ops, inflight, inflight_bytes, happened,
		checks, events[N_EVENTS];
	double began;
};

uint64_t rnd(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static void failed(struct run *r, const struct worker *w, const char *text)
{
	printf("FAILED: seed %llu, scene %lu, kill %lu (%s; now mounted with writeback %s)\n%s\n",
	       (unsigned long long)r->seed, r->scene, r->n_kills, plan_names[r->plan],
	       r->writeback ? "on" : "off", text);
	if (w != NULL && w->inflight.kind != OP_NONE) {
		printf("in flight: ");
		op_print(&w->inflight, stdout);
		printf("\n");
	}
	if (w != NULL)
		worker_print_trace(w, stdout);
	fflush(stdout);
	if (r->place.daemon > 0)
		daemon_kill(&r->place);
	daemon_detach(&r->place);
	exit(1);
}

/* --- scenes --- */

/* With the writeback cache or without it; the rest makes no difference to what is promised. */
static void spawn(struct run *r, bool writeback)
{
	static const char *const others[] = {"",	  "",		"",	     "",
					     ",volatile", ",threads=1", ",timeout=0"};
	char options[64];

	r->writeback = writeback;
	snprintf(options, sizeof(options), "%s%s", writeback ? "" : ",writeback=0",
		 others[rnd_below(&r->rng, sizeof(others) / sizeof(*others))]);
	daemon_spawn(&r->place, options);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	return ftw->level == 0 ? 0 : remove(path);
}

static void empty_dir(const char *path)
{
	if (nftw(path, remove_one, 32, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT) {
		perror(path);
		exit(1);
	}
}

/* A client's directory of a lower layer: what the same operations make on a plain directory. */
static void make_lower(struct run *r, const char *path)
{
	struct worker w;
	unsigned int wrong;

	if (mkdir(path, 0755) < 0)
		perror(path);
	worker_init(&w, path);
	w.rng = rnd(&r->rng);
	w.plain = true;
	scan_tree(&w.tree, path);
	worker_run(&w, LOWER_OPS);
	if (w.failed)
		failed(r, &w, w.why);
	wrong = compare_tree(&w.tree, path, stdout);
	if (wrong > 0)
		failed(r, &w, "the model is wrong about a plain directory");
	worker_done(&w);
}

static void make_layers(struct run *r)
{
	char path[600];

	r->place.lowers[0] = '\0';
	for (unsigned int i = 0; i < N_LAYERS; i++) {
		snprintf(path, sizeof(path), "%s/low%u", r->dir, i);
		mkdir(path, 0755);
		empty_dir(path);
		snprintf(r->place.lowers + strlen(r->place.lowers),
			 sizeof(r->place.lowers) - strlen(r->place.lowers), "%s%s",
			 i > 0 ? ":" : "", path);
		for (unsigned int c = 0; c < N_CLIENTS; c++) {
			snprintf(path, sizeof(path), "%s/low%u/w%u", r->dir, i, c);
			make_lower(r, path);
		}
	}
}

static void scene_begin(struct run *r)
{
	r->scene++;
	r->rng = r->seed + r->scene * 1000003;
	make_layers(r);
	empty_dir(r->place.upper);
	spawn(r, false);
	daemon_await(&r->place);
	for (unsigned int c = 0; c < N_CLIENTS; c++) {
		worker_init(&r->clients[c], r->dirs[c]);
		r->clients[c].rng = rnd(&r->rng);
		r->clients[c].done = &r->done;
		r->clients[c].killed = &r->killed;
		scan_tree(&r->clients[c].tree, r->dirs[c]);
	}
}

static void sleep_us(unsigned long us)
{
	struct timespec t = {.tv_sec = us / 1000000, .tv_nsec = (us % 1000000) * 1000};

	nanosleep(&t, NULL);
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Data files may be deleted a moment after their records. */
static void check_all(struct run *r)
{
	struct tree *models[N_CLIENTS];
	double end = seconds() + STRAY_SECONDS;
	unsigned int wrong;
	char *text;
	size_t size;

	for (unsigned int c = 0; c < N_CLIENTS; c++)
		models[c] = &r->clients[c].tree;
	do {
		FILE *out = open_memstream(&text, &size);

		wrong = check_upper(models, N_CLIENTS, r->place.upper, out);
		fclose(out);
		if (wrong > 0 && seconds() > end)
			failed(r, NULL, text);
		free(text);
		if (wrong > 0)
			sleep_us(20000);
	} while (wrong > 0);
}

/* A kill leaves nothing to mend, whether a mount has seen it since or not. */
static void fsck(struct run *r)
{
	char *text;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	int rc = upper_check(&r->place, out);

	fclose(out);
	if (rc < 0)
		failed(r, NULL, text);
	free(text);
	r->checks++;
}

/* When every name is gone, so are all data files. */
static void scene_end(struct run *r)
{
	for (unsigned int c = 0; c < N_CLIENTS; c++) {
		struct worker *w = &r->clients[c];

		worker_close_all(w);
		empty_dir(r->dirs[c]);
		node_unref(w->tree.root);
		w->tree.root = node_new(S_IFDIR);
	}
	daemon_unmount(&r->place);
	daemon_wait(&r->place);
	check_all(r);
	fsck(r);
	for (unsigned int c = 0; c < N_CLIENTS; c++)
		worker_done(&r->clients[c]);
}

/* --- plans --- */

struct job {
	pthread_t thread;
	struct worker *w;
	unsigned long n;
	atomic_bool ended;
};

static void *client_main(void *arg)
{
	struct job *j = arg;

	worker_run(j->w, j->n);
	atomic_store(&j->ended, true);
	return NULL;
}

static void clients_start(struct run *r, struct job *jobs, unsigned long n)
{
	for (unsigned int c = 0; c < N_CLIENTS; c++) {
		struct worker *w = &r->clients[c];

		w->writeback = r->writeback;
		w->profile = r->plan == PLAN_CHECKPOINT ? PROFILE_JOURNAL
							: rnd_below(&r->rng, N_PROFILES);
		jobs[c].w = w;
		jobs[c].n = n;
		atomic_store(&jobs[c].ended, false);
		if (pthread_create(&jobs[c].thread, NULL, client_main, &jobs[c]) != 0)
			abort();
	}
}

static bool all_ended(struct job *jobs)
{
	for (unsigned int c = 0; c < N_CLIENTS; c++)
		if (!atomic_load(&jobs[c].ended))
			return false;
	return true;
}

static void clients_join(struct run *r, struct job *jobs)
{
	double end = seconds() + HANG_SECONDS;

	while (!all_ended(jobs)) {
		if (seconds() > end)
			failed(r, &r->clients[0], "a client hangs");
		sleep_us(100);
	}
	for (unsigned int c = 0; c < N_CLIENTS; c++)
		pthread_join(jobs[c].thread, NULL);
	for (unsigned int c = 0; c < N_CLIENTS; c++)
		if (r->clients[c].failed)
			failed(r, &r->clients[c], r->clients[c].why);
}

static void wait_for_moment(struct run *r, struct job *jobs)
{
	static const unsigned int counts[] = {20, 300, 3000};
	unsigned long n = rnd_below(&r->rng, counts[rnd_below(&r->rng, 3)]);
	unsigned int delay = rnd_below(&r->rng, 2) ? rnd_below(&r->rng, 300) : 0;
	enum event event = rnd_below(&r->rng, N_EVENTS);
	double end = seconds() + PLAN_SECONDS;
	struct files before = {.grows = -1};

	files_look(&before, r->place.upper);
	while (seconds() < end && !all_ended(jobs)) {
		if (r->plan == PLAN_CHECKPOINT && files_event(&before, r->place.upper, event)) {
			r->events[event]++;
			delay = rnd_below(&r->rng, 4) ? rnd_below(&r->rng, 5000) : 0;
			break;
		}
		if (r->plan == PLAN_COUNT && atomic_load(&r->done) >= n)
			break;
		sleep_us(20);
	}
	if (delay > 0)
		sleep_us(delay);
}

/* The clients' work, up to the kill. The daemon is dead when this returns. */
static void work_and_kill(struct run *r)
{
	bool endless = r->plan == PLAN_COUNT || r->plan == PLAN_CHECKPOINT;
	struct job jobs[N_CLIENTS];

	atomic_store(&r->killed, false);
	atomic_store(&r->done, 0);
	clients_start(r, jobs, endless ? ~0UL : rnd_below(&r->rng, 400));
	if (endless) {
		wait_for_moment(r, jobs);
		atomic_store(&r->killed, true);
		daemon_kill(&r->place);
	}
	clients_join(r, jobs);
	r->ops += atomic_load(&r->done);
	if (r->plan == PLAN_CLOSE) {
		for (unsigned int c = 0; c < N_CLIENTS; c++)
			worker_close_all(&r->clients[c]);
		daemon_unmount(&r->place);
		if (rnd_below(&r->rng, 4) > 0)
			sleep_us(rnd_below(&r->rng, 8000));
	}
	if (!endless)
		daemon_kill(&r->place);
}

/* Daemons that are killed while they open what the last one has left. */
static void kill_while_mounting(struct run *r)
{
	unsigned int n = 1 + rnd_below(&r->rng, 3);

	for (unsigned int i = 0; i < n; i++) {
		spawn(r, rnd_below(&r->rng, 2) == 0);
		sleep_us(rnd_below(&r->rng, rnd_below(&r->rng, 2) ? 5000 : 40000));
		daemon_kill(&r->place);
		daemon_detach(&r->place);
		r->n_kills++;
		r->kills[PLAN_MOUNT]++;
	}
}

/* --- comparing --- */

static void settle_all(const char *path, struct node *n, void *arg)
{
	(void)path;
	(void)arg;
	if (S_ISREG(n->mode))
		node_settle(n, n->n_states - 1);
}

static void compare_client(struct run *r, struct worker *w)
{
	char *without, *with;
	size_t size, size_with;
	FILE *out = open_memstream(&without, &size), *out_with;
	unsigned int wrong;

	r->inflight += w->inflight.kind != OP_NONE;
	r->inflight_bytes += op_is_bytes(&w->inflight);
	if (op_is_bytes(&w->inflight))
		op_apply_maybe(w, &w->inflight);
	wrong = compare_tree(&w->tree, w->dir, out);
	fclose(out);
	if (wrong == 0 || w->inflight.kind == OP_NONE || op_is_bytes(&w->inflight) ||
	    !op_apply(w, &w->inflight, 0, true)) {
		if (wrong > 0)
			failed(r, w, without);
		free(without);
		return;
	}
	out_with = open_memstream(&with, &size_with);
	wrong = compare_tree(&w->tree, w->dir, out_with);
	fclose(out_with);
	if (wrong > 0) {
		printf("If the operation in flight did not happen:\n%s", without);
		printf("If it did:\n");
		failed(r, w, with);
	}
	r->happened++;
	free(with);
	free(without);
}

static void compare_all(struct run *r)
{
	for (unsigned int c = 0; c < N_CLIENTS; c++) {
		struct worker *w = &r->clients[c];

		/* umount(2) has written what was cached. */
		if (r->plan == PLAN_CLOSE)
			tree_each(&w->tree, settle_all, NULL);
		compare_client(r, w);
		worker_close_all(w);
		w->inflight.kind = OP_NONE;
	}
	check_all(r);
}

static void one_kill(struct run *r)
{
	static const enum plan plans[] = {PLAN_COUNT, PLAN_COUNT,     PLAN_COUNT, PLAN_COUNT,
					  PLAN_COUNT, PLAN_COUNT,     PLAN_IDLE,  PLAN_CLOSE,
					  PLAN_CLOSE, PLAN_CHECKPOINT};

	r->plan = plans[rnd_below(&r->rng, sizeof(plans) / sizeof(*plans))];
	work_and_kill(r);
	r->n_kills++;
	r->kills[r->plan]++;
	daemon_detach(&r->place);
	if (rnd_below(&r->rng, 4) == 0)
		kill_while_mounting(r);
	if (rnd_below(&r->rng, 6) == 0)
		fsck(r);
	spawn(r, rnd_below(&r->rng, 4) == 0);
	daemon_await(&r->place);
	compare_all(r);
	if (rnd_below(&r->rng, 12) == 0)
		fsck(r);
}

static void report(const struct run *r)
{
	printf("seed %llu: %lu kills in %lu scenes and %.0f s", (unsigned long long)r->seed,
	       r->n_kills, r->scene, seconds() - r->began);
	for (unsigned int i = 0; i < N_PLANS; i++)
		printf("%s %lu %s", i == 0 ? ":" : ",", r->kills[i], plan_names[i]);
	printf("\n%lu operations answered, %lu in flight when killed (%lu on bytes; of the others %lu were done)\n",
	       r->ops, r->inflight, r->inflight_bytes, r->happened);
	for (unsigned int i = 0; i < N_EVENTS; i++)
		printf("%s %lu when %s", i == 0 ? "checkpoints caught:" : ",", r->events[i],
		       event_names[i]);
	printf("; %lu times fsck found nothing\n", r->checks);
}

int main(int argc, char **argv)
{
	static struct run r;
	unsigned long kills;

	if (argc != 5) {
		fprintf(stderr, "usage: kill PROGRAM DIRECTORY SEED KILLS\n");
		return 2;
	}
	umask(0);
	setvbuf(stdout, NULL, _IOLBF, 0);
	r.place.program = argv[1];
	snprintf(r.dir, sizeof(r.dir), "%s", argv[2]);
	r.seed = strtoull(argv[3], NULL, 0);
	kills = strtoul(argv[4], NULL, 0);
	r.began = seconds();
	snprintf(r.place.upper, sizeof(r.place.upper), "%s/upper", r.dir);
	snprintf(r.place.mnt, sizeof(r.place.mnt), "%s/mnt", r.dir);
	snprintf(r.place.log, sizeof(r.place.log), "%s/log", r.dir);
	mkdir(r.place.upper, 0755);
	mkdir(r.place.mnt, 0755);
	for (unsigned int c = 0; c < N_CLIENTS; c++)
		snprintf(r.dirs[c], sizeof(r.dirs[c]), "%s/w%u", r.place.mnt, c);
	while (r.n_kills < kills) {
		unsigned long end = r.n_kills + SCENE_KILLS;

		scene_begin(&r);
		while (r.n_kills < kills && r.n_kills < end)
			one_kill(&r);
		scene_end(&r);
	}
	report(&r);
	return 0;
}
