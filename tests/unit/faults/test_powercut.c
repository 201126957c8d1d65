/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The power is cut after every call on a file of the upper in turn: what was flushed is there, the tree
 * is the one after some operation, whole. Without faults, and after a flush that has failed, which loses
 * for good what was written before it.
 *
 * The quick run takes a sample, whose seed it prints (PLYFS_SEED). PLYFS_FAULTS=all: every call.
 * PLYFS_CUT_AT=N, PLYFS_FAULT_AT=N: only that cut, only that failing flush.
 */
#include <criterion/logging.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "support/tmpdir.h"
#include "unit/faults/workload.h"

#define OPS_MAX 200

/* Second cuts after each first one. */
#define AGAIN 6

/* What was done, and the tree after each operation: states[0] is before the first. */
struct history {
	struct shadow *states[OPS_MAX + 1]; /* owned */
	struct shadow_op ops[OPS_MAX];
	int results[OPS_MAX];
	unsigned int n;
	unsigned int fired; /* the operation in which a fault fired; UINT_MAX: none has */
};

static void note(void *arg, struct work *w, unsigned int number, const struct shadow_op *op,
		 int result)
{
	struct history *h = arg;

	if (number >= OPS_MAX)
		wrong("too many operations");
	h->ops[number] = *op;
	h->results[number] = result;
	h->states[number + 1] = shadow_copy(w->s);
	h->n = number + 1;
	if (h->fired == UINT_MAX && faults_fired() > 0)
		h->fired = number;
	faults_mark(number + 1);
}

/* The workload on "upper", recorded. It is left open, as a power cut finds it. */
static void record_run(struct work *w, struct history *h, const struct fault_plan *plan,
		       unsigned int n_random, unsigned int seed)
{
	work_open(w);
	work_close(w);
	remove_all(AT_FDCWD, "upper");
	mkdir("upper", 0755);
	memset(h, 0, sizeof(*h));
	h->fired = UINT_MAX;
	h->states[0] = shadow_copy(w->s);
	w->after = note;
	w->arg = h;
	w->code = plan != NULL ? plan->code : 0;
	faults_watch("upper", true);
	faults_begin(plan);
	work_open(w);
	work_run(w, n_random, seed);
	faults_end();
}

/*
 * Before the first cut, which forks: of a thread that allocates just then the child would inherit the lock, and nobody to
 * let go of it (AddressSanitizer's allocator; the C library takes its own along).
 */
static void end_run(struct work *w)
{
	faults_end();
	work_close(w);
}

static void history_done(struct history *h)
{
	for (unsigned int i = 0; i <= h->n; i++)
		shadow_free(h->states[i]);
}

/* ---- what must be there --------------------------------------------------------------- */

/* The first state that a cut during operation MARK may show. */
static unsigned int names_since(const struct history *h, unsigned int mark)
{
	for (unsigned int k = mark; k-- > 0;) {
		if (h->results[k] == 0 && h->ops[k].kind >= SHADOW_FSYNC)
			return k + 1;
	}
	return 0;
}

static bool reopened_between(const struct history *h, unsigned int from, unsigned int to)
{
	for (unsigned int k = from; k < to; k++) {
		if (h->ops[k].kind == SHADOW_REOPEN)
			return true;
	}
	return false;
}

/*
 * Does operation K promise the bytes of NODE? After a flush has failed, which was told to somebody, only an
 * fsync of the file itself does; and who closes the upper then forgets it, as the kernel does.
 */
static bool promises(const struct history *h, unsigned int k, unsigned int node)
{
	const struct shadow_op *op = &h->ops[k];
	bool after = h->fired != UINT_MAX && k >= h->fired;

	if (h->results[k] != 0)
		return false;
	if (op->kind == SHADOW_SYNCFS || op->kind == SHADOW_REOPEN)
		return !after;
	return op->kind == SHADOW_FSYNC && shadow_find(h->states[k], op->path) == (int)node &&
	       !(after && reopened_between(h, h->fired, k));
}

/* The state whose bytes of NODE were the last to be flushed. */
static unsigned int bytes_since(const struct history *h, unsigned int mark, unsigned int node)
{
	for (unsigned int k = mark; k-- > 0;) {
		if (promises(h, k, node))
			return k + 1;
	}
	return 0;
}

static const struct shadow_blob *blob_of(const struct shadow *s, unsigned int node)
{
	return node < s->n_nodes ? s->nodes[node].blob : NULL;
}

/* Byte AT may be what it was in any state since SINCE; and zero where there was none in one of them. */
static bool byte_is_right(const struct history *h, unsigned int since, unsigned int last,
			  unsigned int node, uint64_t at, uint8_t byte)
{
	for (unsigned int m = since; m <= last; m++) {
		const struct shadow_blob *b = blob_of(h->states[m], node);

		if (b == NULL || at >= b->size ? byte == 0 : byte == b->bytes[at])
			return true;
	}
	return false;
}

static bool bytes_are_right(const struct history *h, unsigned int since, unsigned int last,
			    unsigned int node, const struct shadow_blob *is, char *why, size_t size)
{
	uint64_t least = UINT64_MAX, most = 0;

	for (unsigned int m = since; m <= last; m++) {
		const struct shadow_blob *b = blob_of(h->states[m], node);
		uint64_t n = b != NULL ? b->size : 0;

		least = n < least ? n : least;
		most = n > most ? n : most;
	}
	if (is->size < least || is->size > most) {
		snprintf(why, size, "it has %llu bytes, not %llu to %llu",
			 (unsigned long long)is->size, (unsigned long long)least,
			 (unsigned long long)most);
		return false;
	}
	for (uint64_t at = 0; at < is->size; at++) {
		if (byte_is_right(h, since, last, node, at, is->bytes[at]))
			continue;
		snprintf(why, size, "byte %llu of %llu is %02x, of no state from %u to %u",
			 (unsigned long long)at, (unsigned long long)is->size, is->bytes[at], since,
			 last);
		return false;
	}
	return true;
}

struct cut {
	const struct history *h;
	size_t point;
	enum cut_mode mode;
	uint64_t seed;
	bool again; /* and once more, while that is recovered */
};

static const char *const mode_names[] = {"flushed only", "some of the rest", "all of it"};

/* Are the bytes of IS right if it is the state WAS, whose names it has? */
static bool bytes_fit(const struct cut *c, unsigned int mark, unsigned int last,
		      const struct shadow *was, const struct shadow *is, const int *pairs,
		      char *ret_why, size_t size)
{
	char why[300], path[SHADOW_PATH];

	for (unsigned int i = 0; i < was->n_nodes; i++) {
		unsigned int since = bytes_since(c->h, mark, i);

		if (!S_ISREG(was->nodes[i].mode) ||
		    bytes_are_right(c->h, since, last, i, is->nodes[pairs[i]].blob, why,
				    sizeof(why)))
			continue;
		shadow_path(was, i, path, sizeof(path));
		snprintf(ret_why, size, "%s was flushed in state %u, but: %s", path, since, why);
		return false;
	}
	return true;
}

/* One of the states that may be. A file that is made and renamed over another brings the old names back: the bytes tell. */
static void check_tree(const struct cut *c, unsigned int mark, const struct shadow *is)
{
	unsigned int since = names_since(c->h, mark);
	unsigned int last = mark < c->h->n ? mark + 1 : mark;
	char why[600], first[600] = "", bytes[700] = "";
	int pairs[2000];

	for (unsigned int j = last + 1; j-- > since;) {
		cr_assert_lt(c->h->states[j]->n_nodes, 2000);
		if (shadow_same(c->h->states[j], is, SHADOW_NAMES_ONLY, pairs, why, sizeof(why))) {
			if (bytes_fit(c, mark, last, c->h->states[j], is, pairs, why, sizeof(why)))
				return;
			if (bytes[0] == '\0')
				snprintf(bytes, sizeof(bytes), "; with the names of state %u: %s",
					 j, why);
		}
		if (first[0] == '\0')
			snprintf(first, sizeof(first), "%s", why);
	}
	wrong("the tree is none of states %u to %u: %s; %s%s", since, last, first, why, bytes);
}

/* UPPER as a cut in operation MARK has left it. */
static void check_upper(const struct cut *c, unsigned int mark, const char *upper)
{
	struct work w = {.upper = upper};
	struct shadow *again;
	char why[300];

	work_open(&w);
	check_tree(c, mark, w.s);
	/* It goes on from there, and stays. */
	if (!work_probe(&w))
		wrong("nothing can be changed after it");
	work_close(&w);
	again = w.s;
	w.s = NULL;
	work_open(&w);
	if (!shadow_same(again, w.s, 0, NULL, why, sizeof(why)))
		wrong("opened once more: %s", why);
	work_close(&w);
}

/* The power is cut once more, while "cut" is opened and closed: at some moments, half of them early ones. */
static void check_again(const struct cut *c, unsigned int mark)
{
	struct work w = {.upper = "cut"};
	size_t n, at;

	faults_watch("cut", true);
	faults_begin(NULL);
	work_open(&w);
	n = faults_recorded();
	work_close(&w);
	faults_end();
	for (unsigned int i = 0; i < AGAIN; i++) {
		size_t end = i < AGAIN / 2 ? n : faults_recorded();

		at = end - (c->seed + c->point + i * end / AGAIN) % (end + 1);
		remove_all(AT_FDCWD, "again");
		faults_cut(at, i % 4 == 3 ? CUT_RANDOM : CUT_DURABLE, c->seed + i, "again");
		check_upper(c, mark, "again");
	}
}

static void check_cut(void *arg)
{
	const struct cut *c = arg;
	unsigned int mark = faults_mark_at(c->point);

	remove_all(AT_FDCWD, "cut");
	faults_cut(c->point, c->mode, c->seed, "cut");
	if (c->again)
		check_again(c, mark);
	else
		check_upper(c, mark, "cut");
}

/* False, and a line, when something is wrong. */
static bool cut_is_right(const struct cut *c, const char *what)
{
	unsigned int mark = faults_mark_at(c->point);
	char why[1200], op[500] = "the end";

	if (in_child(check_cut, (void *)(uintptr_t)c, why, sizeof(why)) == 0)
		return true;
	if (mark < c->h->n)
		shadow_op_text(&c->h->ops[mark], op, sizeof(op));
	fprintf(stderr, "%sPLYFS_CUT_AT=%zu PLYFS_SEED=%llu (%s; in operation %u, %s): %s\n", what,
		c->point, (unsigned long long)c->seed, mode_names[c->mode], mark, op, why);
	return false;
}

static unsigned long seed_of(void)
{
	return number_of("PLYFS_SEED", (unsigned long)time(NULL) % 100000);
}

static bool everything(void)
{
	const char *all = getenv("PLYFS_FAULTS");

	return all != NULL && strcmp(all, "all") == 0;
}

/* ---- the tests ------------------------------------------------------------------------ */

/* Cuts behind call FIRST; TEMPLATE says of which kind; QUICK: about how many in the quick run. */
static void cut_from(size_t first, const struct cut *template, unsigned int quick)
{
	unsigned long only = number_of("PLYFS_CUT_AT", 0), n = faults_recorded(), runs = 0, bad = 0;
	unsigned long step = everything() ? 1 : (n - first) / quick + 1;

	cr_log_info("%s: %lu calls, cut after every %lu., PLYFS_SEED=%lu",
		    mode_names[template->mode], n, step, (unsigned long)template->seed);
	for (unsigned long at = only != 0 ? only : first + template->seed % step; at <= n;
	     at += step) {
		struct cut c = *template;

		c.point = at;

		bad += !cut_is_right(&c, "");
		runs++;
		if (only != 0)
			break;
	}
	cr_assert_eq(bad, 0, "%lu of %lu cuts went wrong (PLYFS_SEED=%lu)", bad, runs,
		     (unsigned long)template->seed);
}

static void cut_everywhere(enum cut_mode mode, bool again, unsigned int quick)
{
	static struct history h;
	struct cut c = {.h = &h, .mode = mode, .seed = seed_of(), .again = again};
	struct work w;
	char dir[64];

	work_init(&w, dir);
	record_run(&w, &h, NULL, 60, (unsigned int)c.seed);
	end_run(&w);
	cut_from(0, &c, quick);
	history_done(&h);
	work_done(&w, dir);
}

Test(powercut, flushed_only)
{
	cut_everywhere(CUT_DURABLE, false, 80);
}

Test(powercut, some_of_the_rest)
{
	cut_everywhere(CUT_RANDOM, false, 80);
}

/* No cut at all, but a killed process: everything is there. */
Test(powercut, killed)
{
	cut_everywhere(CUT_ALL, false, 30);
}

/* What the first recovery has brought into the tables must not need what the second cut takes. */
Test(powercut, while_it_recovers)
{
	cut_everywhere(CUT_RANDOM, true, 60);
}

static void do_all(struct work *w, struct history *h, const struct shadow_op *ops, size_t n)
{
	for (size_t i = 0; i < n; i++)
		note(h, w, h->n, &ops[i], work_step(w, &ops[i]));
}

/* Behind call FIRST, with nothing and with some of what was not flushed. */
static void cut_the_rest(size_t first, struct cut *c)
{
	for (int mode = CUT_DURABLE; mode <= CUT_RANDOM; mode++) {
		c->mode = (enum cut_mode)mode;
		cut_from(first, c, 40);
	}
}

/* The process is killed first: what it had not flushed is in memory only when it is opened again. */
Test(powercut, after_a_kill)
{
	static const struct shadow_op last[] = {
		{SHADOW_CREATE, .path = "killed", .mode = 0644},
		{SHADOW_WRITE, .path = "killed", .len = 9000, .seed = 1},
	};
	static struct history h;
	struct cut c = {.h = &h, .seed = seed_of()};
	static struct work w;
	char dir[64];
	size_t n;

	work_init(&w, dir);
	record_run(&w, &h, NULL, 60, (unsigned int)c.seed);
	do_all(&w, &h, last, sizeof(last) / sizeof(*last));
	n = faults_recorded();
	work_kill(&w);
	work_open(&w);
	work_compare(&w, "after a kill");
	end_run(&w);
	cut_the_rest(n, &c);
	history_done(&h);
	work_done(&w, dir);
}

/* What a mount flushes nothing of, and closes well, is flushed by the next one that promises something. */
Test(powercut, after_a_volatile_mount)
{
	static const struct shadow_op volatile_ops[] = {
		{SHADOW_CREATE, .path = "large", .mode = 0644},
		{SHADOW_WRITE, .path = "large", .len = 70000, .seed = 1},
		{SHADOW_MKDIR, .path = "new", .mode = 0755},
		{SHADOW_CREATE, .path = "new/small", .mode = 0644},
		{SHADOW_WRITE, .path = "new/small", .len = 100, .seed = 2},
	};
	static const struct shadow_op after_ops[] = {
		{SHADOW_WRITE, .path = "large", .off = 1000, .len = 2000, .seed = 3},
		{SHADOW_CREATE, .path = "new/later", .mode = 0644},
		{SHADOW_SYNCFS},
	};
	static struct history h;
	struct cut c = {.h = &h, .seed = seed_of()};
	static struct work w;
	char dir[64];
	size_t n;

	work_init(&w, dir);
	record_run(&w, &h, NULL, 60, (unsigned int)c.seed);
	work_close(&w);
	w.how = DRIVE_NO_SYNC;
	work_open(&w);
	do_all(&w, &h, volatile_ops, sizeof(volatile_ops) / sizeof(*volatile_ops));
	work_close(&w);
	w.how = 0;
	work_open(&w);
	do_all(&w, &h, after_ops, sizeof(after_ops) / sizeof(*after_ops));
	n = faults_recorded();
	end_run(&w);
	cut_the_rest(n, &c);
	history_done(&h);
	work_done(&w, dir);
}

struct full_disk {
	unsigned long at;
	unsigned int seed;
	struct {
		unsigned int bad, runs;
		unsigned long syncs; /* the most that an open made */
		bool fired;
	} * result; /* shared */
};

#define KILLED_FILES 40

/* Write number AT of the open after a kill finds the disk full, once. Cuts behind its calls. */
static void check_full_disk(void *arg)
{
	static struct history h;
	static struct work w; /* what a kill leaves stays */
	struct full_disk *f = arg;
	struct fault_plan plan = {.at = f->at, .code = ENOSPC, .calls = CALLS_OF(CALL_WRITE)};
	char dir[64], what[400];
	unsigned long syncs;
	size_t n;

	work_init(&w, dir);
	record_run(&w, &h, NULL, 0, f->seed);
	for (unsigned int i = 0; i < 2 * KILLED_FILES; i++) {
		struct shadow_op op = {SHADOW_CREATE, .mode = 0644, .len = 50, .seed = i};

		op.kind = i % 2 == 0 ? SHADOW_CREATE : SHADOW_WRITE;
		snprintf(op.path, sizeof(op.path), "killed%u", i / 2);
		note(&h, &w, h.n, &op, work_step(&w, &op));
	}
	n = faults_recorded();
	work_kill(&w);
	w.code = plan.code;
	faults_begin(&plan);
	work_open(&w);
	syncs = faults_seen(CALL_SYNC);
	f->result->fired = faults_fired() > 0;
	snprintf(what, sizeof(what), "PLYFS_FAULT_AT=%lu (%s) ", f->at, faults_what());
	faults_begin(NULL);
	work_compare(&w, "after a kill");
	end_run(&w);
	if (syncs > f->result->syncs)
		f->result->syncs = syncs;
	for (size_t end = faults_recorded(); n <= end; n += everything() ? 1 : 2) {
		struct cut c = {&h, n, CUT_DURABLE, f->seed, false};

		f->result->bad += !cut_is_right(&c, what);
		f->result->runs++;
	}
	history_done(&h);
	work_done(&w, dir);
}

/*
 * Then the tables get what was not flushed before the kill in pieces, and pieces of records are worth something only with the
 * journals.
 */
Test(powercut, after_a_kill_on_a_full_disk)
{
	unsigned long only = number_of("PLYFS_FAULT_AT", 0), seed = seed_of();
	struct full_disk f = {.seed = (unsigned int)seed, .result = shared(sizeof(*f.result))};
	char why[1200];

	cr_log_info("a full disk, PLYFS_SEED=%lu", seed);
	f.result->fired = true;
	for (f.at = only != 0 ? only : 1; f.result->fired && f.at <= (everything() ? 1000 : 6);
	     f.at++) {
		if (in_child(check_full_disk, &f, why, sizeof(why)) < 0) {
			f.result->bad++;
			fprintf(stderr, "PLYFS_FAULT_AT=%lu PLYFS_SEED=%lu: %s\n", f.at, seed, why);
		}
		if (only != 0)
			break;
	}
	cr_log_info("%u cuts; up to %lu flushes in an open", f.result->runs, f.result->syncs);
	cr_assert_eq(f.result->bad, 0, "%u cuts went wrong (PLYFS_SEED=%lu)", f.result->bad, seed);
	cr_assert(only != 0 || f.result->syncs > 5, "the records were never applied in pieces");
}

struct failed_flush {
	unsigned long at;
	unsigned int seed;
	struct {
		unsigned int bad;
		bool fired;
	} * result; /* shared */
};

/* The flush number AT fails. Cuts at some points, most behind it. */
static void check_failed_flush(void *arg)
{
	static struct history h;
	struct failed_flush *f = arg;
	struct fault_plan plan = {.at = f->at, .code = EIO, .calls = CALLS_OF(CALL_SYNC)};
	struct work w;
	char dir[64], what[400];

	work_init(&w, dir);
	record_run(&w, &h, &plan, 30, f->seed);
	f->result->fired = faults_fired() > 0;
	snprintf(what, sizeof(what), "PLYFS_FAULT_AT=%lu (%s) ", f->at, faults_what());
	end_run(&w);
	for (unsigned int i = 0; i < 4; i++) {
		size_t n = faults_recorded();
		struct cut c = {&h, n - n * i / 5, CUT_DURABLE, f->seed, false};

		f->result->bad += !cut_is_right(&c, what);
	}
	history_done(&h);
	work_done(&w, dir);
}

Test(powercut, after_a_failed_flush)
{
	unsigned long only = number_of("PLYFS_FAULT_AT", 0), seed = seed_of();
	struct failed_flush f = {.seed = (unsigned int)seed, .result = shared(sizeof(*f.result))};
	unsigned long step = everything() ? 1 : 4;
	unsigned int runs = 0;
	char why[1200];

	cr_log_info("failed flushes, every %lu., PLYFS_SEED=%lu", step, seed);
	f.result->fired = true;
	for (f.at = only != 0 ? only : 1 + seed % step; f.result->fired; f.at += step) {
		runs++;
		if (in_child(check_failed_flush, &f, why, sizeof(why)) < 0) {
			f.result->bad++;
			fprintf(stderr, "PLYFS_FAULT_AT=%lu PLYFS_SEED=%lu: %s\n", f.at, seed, why);
		}
		if (only != 0)
			break;
	}
	cr_log_info("%u flushes", runs);
	cr_assert_eq(f.result->bad, 0, "%u cuts went wrong (PLYFS_SEED=%lu)", f.result->bad, seed);
	cr_assert(only != 0 || runs > 10);
}
