/* SPDX-License-Identifier: Apache-2.0 */
/* One client: does operations, and keeps its model in step with what was answered. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crash/kill/kill.h"

void worker_init(struct worker *w, const char *dir)
{
	*w = (struct worker){.dir = dir};
	for (unsigned int i = 0; i < N_SLOTS; i++)
		w->slots[i].fd = -1;
}

void worker_close_all(struct worker *w)
{
	for (unsigned int i = 0; i < N_SLOTS; i++) {
		if (w->slots[i].fd >= 0)
			close(w->slots[i].fd);
		node_unref(w->slots[i].node);
		w->slots[i].fd = -1;
		w->slots[i].node = NULL;
	}
}

void worker_done(struct worker *w)
{
	worker_close_all(w);
	tree_done(&w->tree);
}

static bool was_killed(const struct worker *w)
{
	return w->killed != NULL && atomic_load(w->killed);
}

/* By io_uring: Linux ends with ECANCELED what it was about to hand to a thread that is dead (fs/fuse/dev_uring.c). */
static bool is_death_by_uring(long r)
{
	const char *mode = getenv("PLYFS_TEST_MOUNT_OPTIONS");

	return r == -ECANCELED && mode != NULL && strstr(mode, "io_uring=1") != NULL;
}

/* What a call returns when its daemon is gone. */
static bool is_death(long r)
{
	return is_death_by_uring(r) || r == -ENOTCONN || r == -ECONNABORTED || r == -EIO ||
	       r == -ENODEV || r == -EINTR;
}

static void complain(struct worker *w, const struct op *op, long r, const char *what)
{
	FILE *out = fmemopen(w->why, sizeof(w->why), "w");

	fprintf(out, "%s: %s: %s: ", w->dir, what, r < 0 ? strerror((int)-r) : "success");
	op_print(op, out);
	fclose(out);
	w->failed = true;
}

/* What stat says right after an operation must be what the model says, and is what must last. */
static void learn(struct worker *w, const struct op *op, struct node *n, const struct stat *st)
{
	bool dir = S_ISDIR(n->mode);

	if (n->mode != st->st_mode || n->uid != st->st_uid || n->gid != st->st_gid ||
	    (!dir && n->nlink != st->st_nlink) || (n->ino != 0 && n->ino != st->st_ino) ||
	    (S_ISREG(n->mode) && node_content(n)->size != (uint64_t)st->st_size)) {
		complain(w, op, 0, "stat afterwards is wrong");
		fprintf(stderr,
			"model: mode %o owner %u:%u links %u size %llu ino %llu\n"
			"stat:  mode %o owner %u:%u links %lu size %llu ino %llu\n",
			n->mode, n->uid, n->gid, n->nlink,
			S_ISREG(n->mode) ? (unsigned long long)node_content(n)->size : 0,
			(unsigned long long)n->ino, st->st_mode, st->st_uid, st->st_gid,
			(unsigned long)st->st_nlink, (unsigned long long)st->st_size,
			(unsigned long long)st->st_ino);
	}
	n->ino = st->st_ino;
	if (dir)
		n->dir_nlink = (unsigned int)st->st_nlink;
	/* With the writeback cache the kernel has times of its own until it syncs. */
	if (w->writeback && S_ISREG(n->mode))
		return;
	n->mtime = st->st_mtim;
	n->ctime = st->st_ctim;
	n->mtime_known = n->ctime_known = true;
}

static void look_at(struct worker *w, const struct op *op, const char *path)
{
	struct node *n = tree_find(&w->tree, path);
	char full[2 * PATH_SIZE];
	struct stat st;

	if (n == NULL || w->failed)
		return;
	snprintf(full, sizeof(full), "%s%s%s", w->dir, *path != '\0' ? "/" : "", path);
	if (lstat(full, &st) == 0)
		learn(w, op, n, &st);
	else if (!was_killed(w) && !w->failed)
		complain(w, op, -errno, "stat afterwards");
}

static void look_at_parent(struct worker *w, const struct op *op, const char *path)
{
	char parent[PATH_SIZE];
	char *slash;

	snprintf(parent, sizeof(parent), "%s", path);
	slash = strrchr(parent, '/');
	if (slash == NULL)
		slash = parent;
	*slash = '\0';
	look_at(w, op, parent);
}

static void look(struct worker *w, const struct op *op)
{
	unsigned int slot = op->kind == OP_COPY ? op->slot2 : op->slot;
	struct node *n = w->slots[slot].node;
	struct stat st;

	if (op_is_bytes(op) && op->kind != OP_TRUNCATE) {
		if (fstat(w->slots[slot].fd, &st) == 0)
			learn(w, op, n, &st);
		return;
	}
	look_at(w, op, op->path);
	look_at_parent(w, op, op->path);
	if (op->kind == OP_LINK || op->kind == OP_LINKFD || op->kind == OP_RENAME) {
		look_at(w, op, op->other);
		look_at_parent(w, op, op->other);
	}
}

static void take_slot(struct worker *w, const struct op *op, int fd, struct node *n)
{
	if (w->slots[op->slot].fd >= 0)
		close(w->slots[op->slot].fd);
	node_unref(w->slots[op->slot].node);
	w->slots[op->slot].fd = fd;
	w->slots[op->slot].node = n;
}

/* Files opened and closed. */
static void apply_slots(struct worker *w, const struct op *op, long r)
{
	struct node *n;

	if (op->kind == OP_TMPFILE) {
		n = node_new(S_IFREG | op->mode);
		n->linkable = true;
		take_slot(w, op, (int)r, n);
	} else if (op->kind == OP_OPEN || op->kind == OP_CREATE) {
		take_slot(w, op, (int)r, node_ref(tree_find(&w->tree, op->path)));
	} else if (op->kind == OP_CLOSE) {
		node_unref(w->slots[op->slot].node);
		w->slots[op->slot].fd = -1;
		w->slots[op->slot].node = NULL;
	}
}

static bool answered(struct worker *w, const struct op *op, long r)
{
	bool can = op_apply(w, op, r < 0 ? 0 : r, false);

	if (r < 0 && can)
		complain(w, op, r, "failed, but must work");
	if (r >= 0 && !can)
		complain(w, op, r, "worked, but must fail");
	if (r == 0 && op->kind == OP_WRITE)
		complain(w, op, r, "nothing was written");
	if (w->failed || r < 0)
		return !w->failed;
	op_apply(w, op, r, true);
	apply_slots(w, op, r);
	return true;
}

static void one_op(struct worker *w)
{
	unsigned long at = w->n_ops % TRACE_LEN;
	struct op *op = &w->trace[at];
	long r;

	op_choose(w, op);
	w->inflight = *op;
	w->n_ops++;
	r = op_do(w, op);
	w->results[at] = r;
	if (r < 0 && is_death(r)) {
		if (!was_killed(w))
			complain(w, op, r, "the daemon is gone by itself");
		return;
	}
	w->inflight.kind = OP_NONE;
	if (op->kind == OP_WRITE && r > 0 && (size_t)r < op->len && was_killed(w)) {
		/* The kernel cut it in pieces, and only the first was answered. */
		w->inflight = *op;
		w->inflight.off += r;
		w->inflight.len -= (size_t)r;
		w->inflight.skip = (size_t)r;
	}
	if (answered(w, op, r) && r >= 0 && rnd_below(&w->rng, 4) > 0)
		look(w, op);
	if (w->done != NULL)
		atomic_fetch_add(w->done, 1);
}

void worker_run(struct worker *w, unsigned long n)
{
	w->inflight.kind = OP_NONE;
	for (unsigned long i = 0; i < n && !w->failed; i++) {
		one_op(w);
		if (w->inflight.kind != OP_NONE)
			break;
	}
}

void worker_print_trace(const struct worker *w, FILE *out)
{
	unsigned long n = w->n_ops < TRACE_LEN ? w->n_ops : TRACE_LEN;

	fprintf(out, "the last %lu operations in %s:\n", n, w->dir);
	for (unsigned long i = w->n_ops - n; i < w->n_ops; i++) {
		op_print(&w->trace[i % TRACE_LEN], out);
		fprintf(out, " -> %ld\n", w->results[i % TRACE_LEN]);
	}
}
