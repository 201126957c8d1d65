/* SPDX-License-Identifier: Apache-2.0 */
/*
 * full PROGRAM OPTIONS MOUNTPOINT BALLAST SEED ROUNDS [writeback] [inodes] [grows]
 *
 *	mounts, and fills what is under the upper with random operations and a neighbour's files (in the
 *	directory BALLAST)
 *	again and again, beside a model: what was acknowledged is there, what failed is not. "writeback":
 *	the kernel writes later, so fsync is what acknowledges. "inodes": they are what is used up. "grows": the
 *	file system may not let a file be shortened, so that an append that failed half-way stays.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crash/full/full.h"

#define MIB (1u << 20)

struct test {
	struct mount m;
	struct shadow *s;
	uint64_t state;
	int ballast;
	bool flush;  /* a write is acknowledged by fsync */
	bool inodes; /* there is always room, but for one more file */
	bool grows;  /* what a failed write has added may stay */
	unsigned long ops, full, deleted;
};

static char seed_text[100];
static char last_op[600] = "nothing yet";
static const char *phase = "start";

void wrong(const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fprintf(stderr, "FAIL: %s, %s, after %s: ", seed_text, phase, last_op);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	_exit(1);
}

static void compare(struct test *t, const char *when)
{
	char why[500] = "";
	struct shadow *is = shadow_load(&dir_view, (void *)(uintptr_t)t->m.dir, why, sizeof(why));

	if (is == NULL || !shadow_same(t->s, is, 0, NULL, why, sizeof(why)))
		wrong("%s: %s", when, why);
	shadow_free(is);
}

static bool is_full(int r)
{
	return r == -ENOSPC || r == -EDQUOT;
}

static void expect(struct test *t, const struct shadow_op *op, int r)
{
	int should = shadow_apply(t->s, op);

	/* Of two reasons to fail either may come first. */
	if ((r == 0) != (should == 0))
		wrong("it is: %s; should be: %s", strerror(-r), strerror(-should));
}

static bool path_of(const struct shadow *s, const struct shadow_name *n, char *path, size_t size)
{
	if (!shadow_path(s, n->parent, path, size))
		return false;
	snprintf(path + strlen(path), size - strlen(path), "%s%s", path[0] != '\0' ? "/" : "",
		 n->name);
	return true;
}

/* With a cache that writes later, nobody knows what of a failed write is there: the file goes, with all its names. */
static void forget_file(struct test *t, const struct shadow_op *op)
{
	struct shadow_op gone = {.kind = SHADOW_UNLINK};
	int node = shadow_find(t->s, op->path);
	unsigned int i = 0;
	uint64_t done;
	int r;

	while (i < t->s->n_names) {
		const struct shadow_name *n = &t->s->names[i++];

		if ((int)n->node != node || !path_of(t->s, n, gone.path, sizeof(gone.path)))
			continue;
		r = op_do(t->m.dir, &gone, false, &done);
		if (r < 0)
			wrong("a file that could not be written cannot be deleted: %s",
			      strerror(-r));
		expect(t, &gone, 0);
		i = 0;
	}
}

static void failed_for_space(struct test *t, const struct shadow_op *op, uint64_t done)
{
	struct shadow_op part = *op;
	char why[500];

	t->full++;
	if (op->kind == SHADOW_UNLINK || op->kind == SHADOW_RMDIR)
		wrong("it cannot be deleted on a full disk");
	if (op->kind == SHADOW_WRITE && t->flush) {
		forget_file(t, op);
		return;
	}
	/* What the kernel wrote in several pieces is there up to the one that failed. */
	part.len = done;
	if (op->kind == SHADOW_WRITE && done > 0)
		expect(t, &part, 0);
	part = *op;
	part.off += done;
	part.len -= op->kind == SHADOW_WRITE ? done : 0;
	if (!shadow_settle(t->s, &part, t->grows ? SHADOW_MAY_GROW : 0, &dir_view,
			   (void *)(uintptr_t)t->m.dir, why, sizeof(why)))
		wrong("%s", why);
}

static int step(struct test *t, const struct shadow_op *op)
{
	uint64_t done = 0;
	int r;

	shadow_op_text(op, last_op, sizeof(last_op));
	t->ops++;
	r = op_do(t->m.dir, op, t->flush, &done);
	if (is_full(r))
		failed_for_space(t, op, done);
	else
		expect(t, op, r);
	return r;
}

static void random_op(struct test *t, uint64_t max)
{
	struct shadow_op op;

	do
		shadow_random(t->s, &t->state, max, &op);
	while (t->flush && op.kind == SHADOW_LINK);
	step(t, &op);
}

/* A file of SIZE bytes at PATH; what was there goes before. */
static int put(struct test *t, const char *name, uint64_t size)
{
	struct shadow_op op = {.kind = SHADOW_CREATE, .mode = 0644, .len = size};
	int r;

	snprintf(op.path, sizeof(op.path), "%s", name);
	op.seed = 1 + shadow_rnd(&t->state, 100000);
	r = step(t, &op);
	op.kind = SHADOW_WRITE;
	return r == 0 ? step(t, &op) : r;
}

static int drop(struct test *t, const char *name)
{
	struct shadow_op op = {.kind = SHADOW_UNLINK};

	snprintf(op.path, sizeof(op.path), "%s", name);
	return step(t, &op);
}

/* ---- the phases ---------------------------------------------------------------------- */

/* Until it has been full often enough. */
static void fill(struct test *t, uint64_t max, unsigned int times)
{
	unsigned long full = t->full + times;

	phase = "filling";

	for (unsigned int i = 0; t->full < full && i < 6000; i++) {
		random_op(t, max);
		/* The neighbour takes all that is left, sometimes. */
		if (shadow_rnd(&t->state, 400) == 0)
			ballast_fill(t->ballast);
	}
	compare(t, "full");
}

/* Something without which nothing is lost: a file, or an empty directory. */
static bool delete_one(struct test *t)
{
	struct shadow_op op = {0};

	for (int i = 0; t->s->n_names > 0 && i < 1000; i++) {
		const struct shadow_name *n = &t->s->names[shadow_rnd(&t->state, t->s->n_names)];
		bool dir = S_ISDIR(t->s->nodes[n->node].mode), empty = true;

		for (unsigned int k = 0; dir && k < t->s->n_names; k++)
			empty = empty && t->s->names[k].parent != n->node;
		if (!empty)
			continue;
		op.kind = dir ? SHADOW_RMDIR : SHADOW_UNLINK;
		if (!path_of(t->s, n, op.path, sizeof(op.path)))
			continue;
		if (step(t, &op) < 0)
			wrong("it cannot be deleted");
		t->deleted++;
		return true;
	}
	return false;
}

/* The neighbour takes at once what comes free. */
static void delete_some(struct test *t, unsigned int n, bool greedy)
{
	ballast_fill(t->ballast);
	for (unsigned int i = 0; i < n && delete_one(t); i++) {
		if (greedy && i % 8 == 0)
			ballast_fill(t->ballast);
	}
	compare(t, greedy ? "deleted while the neighbour takes the space" : "deleted");
}

/* Space that comes free can be used at once. */
static void reuse(struct test *t)
{
	phase = "using space again";
	if (t->inodes)
		return;
	ballast_shrink(t->ballast, 3 * MIB);
	/* Two, as the new file may need a directory of its own under data/. */
	if (put(t, "spare", MIB) < 0 || put(t, "spare2", 10000) < 0)
		wrong("3 MiB are free, and 1 MiB cannot be written");
	ballast_fill(t->ballast);
	if (drop(t, "spare2") < 0 || drop(t, "spare") < 0 || put(t, "again", 900 * 1024) < 0)
		wrong("1 MiB was deleted, and 900 KiB cannot be written");
	if (drop(t, "again") < 0)
		wrong("it cannot be deleted");
	compare(t, "space used again");
}

static void kill_and_mount(struct test *t)
{
	phase = "killed";
	ballast_fill(t->ballast);
	mount_kill(&t->m);
	snprintf(last_op, sizeof(last_op), "a kill on the full disk");
	ballast_fill(t->ballast);
	mount_start(&t->m);
	compare(t, "after a kill");
	delete_some(t, 5, false);
}

static void unmount_and_mount(struct test *t)
{
	phase = "mounted again";
	ballast_fill(t->ballast);
	snprintf(last_op, sizeof(last_op), "an unmount on the full disk");
	mount_stop(&t->m);
	/* The neighbour takes whatever the daemon kept back for bad days. */
	ballast_fill(t->ballast);
	mount_start(&t->m);
	compare(t, "mounted again");
	delete_some(t, 5, false);
}

/* With room again, everything works. */
static void go_on(struct test *t)
{
	unsigned long full;

	phase = "with room again";

	ballast_shrink(t->ballast, 12 * MIB);
	full = t->full;
	for (int i = 0; i < 100; i++)
		random_op(t, 60000);
	if (t->full != full && !t->inodes)
		wrong("12 MiB are free, and there is no space");
	compare(t, "with room again");
}

static void round_of(struct test *t, unsigned int n)
{
	printf("# round %u: %lu operations, %lu found no space, %lu names deleted, %u there\n", n,
	       t->ops, t->full, t->deleted, t->s->n_names);
	fflush(stdout);
	ballast_leave(t->ballast, (1 + shadow_rnd(&t->state, 6)) * MIB);
	/* Once with large files, once with small ones that live in the catalog. */
	fill(t, n % 2 == 0 ? 400000 : 3000, 40);
	delete_some(t, 30, false);
	reuse(t);
	if (shadow_rnd(&t->state, 2))
		kill_and_mount(t);
	fill(t, 200000, 10);
	delete_some(t, 60, true);
	if (shadow_rnd(&t->state, 2))
		unmount_and_mount(t);
	else
		kill_and_mount(t);
	go_on(t);
}

/* The whole tree, in any order. */
static void delete_all(struct test *t)
{
	phase = "deleting all";
	ballast_fill(t->ballast);
	while (delete_one(t))
		;
	compare(t, "all deleted");
	if (t->s->n_names > 0)
		wrong("%u names cannot be deleted", t->s->n_names);
	unmount_and_mount(t);
}

int main(int argc, char **argv)
{
	struct test t = {0};
	char why[500];

	if (argc < 7) {
		fprintf(stderr,
			"usage: full PROGRAM OPTIONS MOUNTPOINT BALLAST SEED ROUNDS [writeback] [inodes] [grows]\n");
		return 2;
	}
	umask(0);
	snprintf(seed_text, sizeof(seed_text), "seed %s", argv[5]);
	t.m = (struct mount){.program = argv[1], .options = argv[2], .dir = argv[3]};
	t.ballast = open(argv[4], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (t.ballast < 0)
		wrong("%s: %s", argv[4], strerror(errno));
	t.state = strtoull(argv[5], NULL, 10);
	for (int i = 7; i < argc; i++) {
		t.flush |= strcmp(argv[i], "writeback") == 0;
		t.inodes |= strcmp(argv[i], "inodes") == 0;
		t.grows |= strcmp(argv[i], "grows") == 0;
	}
	mount_start(&t.m);
	t.s = shadow_load(&dir_view, argv[3], why, sizeof(why));
	if (t.s == NULL)
		wrong("%s", why);
	for (unsigned int i = 0; i < (unsigned int)atoi(argv[6]); i++)
		round_of(&t, i);
	delete_all(&t);
	mount_stop(&t.m);
	printf("# %lu operations, %lu found no space, %lu names deleted\n", t.ops, t.full,
	       t.deleted);
	return 0;
}
