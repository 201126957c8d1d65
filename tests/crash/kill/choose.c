/* SPDX-License-Identifier: Apache-2.0 */
/* Random operations that are likely to succeed. */
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "crash/kill/kill.h"

#define MAX_NAMES 70
#define MAX_DIRS  20
#define MAX_BYTES 2000000
#define LONG_PATH 60

static const struct {
	enum op_kind kind;
	unsigned int weight[N_PROFILES]; /* mixed, names, bytes, journal */
} weights[] = {
	{OP_OPEN, {10, 3, 20, 5}},     {OP_CLOSE, {3, 2, 3, 1}},    {OP_CREATE, {8, 10, 6, 4}},
	{OP_MKNOD, {4, 8, 1, 1}},      {OP_TMPFILE, {3, 4, 3, 1}},  {OP_LINKFD, {3, 4, 3, 1}},
	{OP_MKDIR, {6, 12, 1, 2}},     {OP_SYMLINK, {3, 5, 1, 1}},  {OP_LINK, {5, 8, 2, 1}},
	{OP_UNLINK, {7, 12, 5, 2}},    {OP_RMDIR, {5, 8, 1, 2}},    {OP_RENAME, {12, 25, 3, 3}},
	{OP_CHMOD, {5, 6, 2, 1}},      {OP_CHOWN, {4, 5, 1, 1}},    {OP_UTIMENS, {4, 4, 3, 1}},
	{OP_SETXATTR, {5, 5, 2, 60}},  {OP_RMXATTR, {3, 3, 1, 6}},  {OP_SETACL, {3, 4, 1, 1}},
	{OP_WRITE, {16, 5, 45, 12}},   {OP_TRUNCATE, {4, 1, 6, 1}}, {OP_FTRUNCATE, {4, 1, 8, 1}},
	{OP_FALLOCATE, {4, 1, 10, 1}}, {OP_COPY, {2, 1, 5, 1}},	    {OP_FSYNC, {2, 1, 4, 1}},
};
#define N_WEIGHTS (sizeof(weights) / sizeof(*weights))

static enum op_kind choose_kind(struct worker *w)
{
	unsigned int total = 0, at;

	for (size_t i = 0; i < N_WEIGHTS; i++)
		total += weights[i].weight[w->profile];
	at = rnd_below(&w->rng, total);
	for (size_t i = 0; i < N_WEIGHTS; i++) {
		if (at < weights[i].weight[w->profile])
			return weights[i].kind;
		at -= weights[i].weight[w->profile];
	}
	return OP_OPEN;
}

/* One walk counts the tree and takes one of those that are wanted, each with the same chance. */
enum wanted { ANY, DIRS, FILES, NOT_DIRS, NOT_LINKS, WITH_XATTRS };

struct pick {
	enum wanted wanted;
	uint64_t *rng;
	unsigned int seen, names, dirs;
	uint64_t bytes;
	char path[PATH_SIZE];
	struct node *node; /* NULL: there is none */
};

static bool is_wanted(enum wanted wanted, const struct node *n)
{
	switch (wanted) {
	case DIRS:
		return S_ISDIR(n->mode);
	case FILES:
		return S_ISREG(n->mode);
	case NOT_DIRS:
		return !S_ISDIR(n->mode);
	case NOT_LINKS:
		return !S_ISLNK(n->mode);
	case WITH_XATTRS:
		return S_ISREG(n->mode) || S_ISDIR(n->mode);
	default:
		return true;
	}
}

static void pick_one(const char *path, struct node *n, void *arg)
{
	struct pick *p = arg;

	p->names++;
	p->dirs += S_ISDIR(n->mode);
	p->bytes += S_ISREG(n->mode) ? node_content(n)->size : 0;
	if (!is_wanted(p->wanted, n) || strlen(path) > LONG_PATH)
		return;
	if (rnd_below(p->rng, ++p->seen) > 0)
		return;
	snprintf(p->path, sizeof(p->path), "%s", path);
	p->node = n;
}

static struct pick pick(struct worker *w, enum wanted wanted)
{
	struct pick p = {.wanted = wanted, .rng = &w->rng};

	tree_each(&w->tree, pick_one, &p);
	return p;
}

/* A name that is likely to be free. */
static void choose_new(struct worker *w, char *path)
{
	struct pick p = pick(w, DIRS);
	static const char *const names[] = {"n%u", "name %u", "\xff\xfe%u", "a longer name %u"};

	if (p.node == NULL || rnd_below(&w->rng, 4) == 0)
		p.path[0] = '\0';
	snprintf(path, PATH_SIZE, "%s%s", p.path, p.path[0] != '\0' ? "/" : "");
	snprintf(path + strlen(path), NAME_SIZE, names[rnd_below(&w->rng, 4)],
		 rnd_below(&w->rng, 8));
}

static void choose_slot(struct worker *w, unsigned int *ret_slot)
{
	unsigned int first = rnd_below(&w->rng, N_SLOTS);

	for (unsigned int i = 0; i < N_SLOTS; i++) {
		*ret_slot = (first + i) % N_SLOTS;
		if (w->slots[*ret_slot].fd >= 0)
			return;
	}
}

static void choose_range(struct worker *w, struct op *op, const struct node *n)
{
	static const unsigned int sizes[] = {1, 100, 1000, 4000, 4096, 5000, 20000, 66000};
	uint64_t size = n == NULL ? 0 : n->states[n->n_states - 1].size;
	uint64_t *rng = &w->rng;

	op->len = 1 + rnd_below(rng, sizes[rnd_below(rng, 8)]);
	switch (rnd_below(rng, 4)) {
	case 0:
		op->off = (off_t)size;
		break;
	case 1:
		op->off = (off_t)rnd_below(rng, 4500);
		break;
	case 2:
		op->off = (off_t)rnd_below(rng, 400000);
		break;
	default:
		op->off = (off_t)rnd_below(rng, (unsigned int)size + 1);
	}
	op->off2 = (off_t)rnd_below(rng, 100000);
	if (op->off + (off_t)op->len > FILE_MAX)
		op->off = 0;
}

static void choose_bytes(struct worker *w, struct op *op)
{
	static const unsigned int modes[] = {0, FALLOC_FL_KEEP_SIZE,
					     FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					     FALLOC_FL_ZERO_RANGE,
					     FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE};
	struct pick p = pick(w, FILES);
	bool much = p.bytes > MAX_BYTES;

	choose_slot(w, &op->slot);
	op->slot2 = rnd_below(&w->rng, N_SLOTS);
	snprintf(op->path, sizeof(op->path), "%s", p.path);
	choose_range(w, op, op->kind == OP_TRUNCATE ? p.node : w->slots[op->slot].node);
	if (op->kind == OP_FALLOCATE) {
		op->flags = modes[rnd_below(&w->rng, 5)];
		op->len *= 1 + rnd_below(&w->rng, 4);
	}
	if (op->kind == OP_TRUNCATE || op->kind == OP_FTRUNCATE)
		op->len = 0;
	if (much && (op->kind == OP_TRUNCATE || op->kind == OP_FTRUNCATE))
		op->off = (off_t)rnd_below(&w->rng, 5000);
	else if (much)
		op->off = op->off2 = (off_t)rnd_below(&w->rng, 9000);
}

/* Some kinds need an open file, room for another state of it, or two files. */
static void mend_bytes(struct worker *w, struct op *op)
{
	struct node *n = w->slots[op->slot].node, *to = w->slots[op->slot2].node;

	if (op->kind == OP_TRUNCATE && op->path[0] == '\0')
		op->kind = OP_MKDIR;
	if (op->kind == OP_TRUNCATE)
		return;
	if (n != NULL && n->n_states >= MAX_STATES - 1)
		op->kind = OP_FSYNC;
	if (op->kind == OP_COPY && (n == to || to == NULL))
		op->kind = OP_WRITE;
	if (n == NULL)
		op->kind = OP_OPEN;
}

static void choose_xattr(struct worker *w, struct op *op)
{
	bool big = w->profile == PROFILE_JOURNAL && !w->plain && rnd_below(&w->rng, 8) > 0;
	struct pick p = pick(w, WITH_XATTRS);

	snprintf(op->path, sizeof(op->path), "%s", p.path);
	snprintf(op->name, sizeof(op->name), rnd_below(&w->rng, 3) ? "user.note%u" : "trusted.n%u",
		 rnd_below(&w->rng, 3));
	op->len = rnd_below(&w->rng, 200);
	if (big) {
		snprintf(op->name, sizeof(op->name), "user.big");
		op->len = 30000 + rnd_below(&w->rng, 30000);
	}
	if (op->kind == OP_RMXATTR && p.node != NULL && p.node->xattrs != NULL &&
	    strncmp(p.node->xattrs->name, "system.", 7) != 0)
		snprintf(op->name, sizeof(op->name), "%s", p.node->xattrs->name);
}

static void choose_attr(struct worker *w, struct op *op)
{
	struct pick p = pick(w, op->kind == OP_CHMOD ? NOT_LINKS : ANY);

	snprintf(op->path, sizeof(op->path), "%s", p.path);
	op->mode = rnd_below(&w->rng, 01000) | (rnd_below(&w->rng, 4) == 0 ? S_ISUID : 0);
	op->uid = rnd_below(&w->rng, 3) * 100;
	op->gid = rnd_below(&w->rng, 3) * 100;
	op->mtime.tv_sec = 1000000000 + rnd_below(&w->rng, 1000000000);
	op->mtime.tv_nsec = rnd_below(&w->rng, 1000000000);
}

static void choose_name_op(struct worker *w, struct op *op)
{
	static const mode_t types[] = {S_IFREG, S_IFREG, S_IFIFO, S_IFCHR, S_IFSOCK, S_IFBLK};
	static const unsigned int how[] = {0, 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE};
	unsigned int n = rnd_below(&w->rng, 6);
	struct pick p;

	op->mode = rnd_below(&w->rng, 01000);
	op->rdev = makedev(rnd_below(&w->rng, 3), 1 + rnd_below(&w->rng, 5));
	op->flags = how[n % 5];
	op->slot = rnd_below(&w->rng, N_SLOTS);
	if (op->kind == OP_LINKFD)
		choose_slot(w, &op->slot);
	choose_new(w, op->path);
	choose_new(w, op->other);
	if (op->kind == OP_MKNOD)
		op->mode |= types[n];
	if (op->kind == OP_SYMLINK)
		snprintf(op->other, sizeof(op->other), "some/target/%u", n);
	if (op->kind == OP_LINKFD && (w->slots[op->slot].node == NULL))
		op->kind = OP_CREATE;
	p = pick(w, op->kind == OP_RENAME  ? (n < 3 ? DIRS : ANY)
		    : op->kind == OP_RMDIR ? DIRS
					   : NOT_DIRS);
	if (op->kind == OP_RENAME || op->kind == OP_LINK || op->kind == OP_UNLINK ||
	    op->kind == OP_RMDIR)
		snprintf(op->path, sizeof(op->path), "%s", p.path);
	if (op->kind == OP_RENAME && (op->flags == RENAME_EXCHANGE || rnd_below(&w->rng, 4) == 0))
		snprintf(op->other, sizeof(op->other), "%s", pick(w, n < 3 ? DIRS : ANY).path);
	if (op->path[0] == '\0' || op->other[0] == '\0')
		op->kind = OP_NONE;
}

static void choose_open(struct worker *w, struct op *op)
{
	struct pick p = pick(w, op->kind == OP_TMPFILE ? DIRS : FILES);

	op->mode = rnd_below(&w->rng, 01000);
	op->slot = rnd_below(&w->rng, N_SLOTS);
	if (op->kind == OP_CLOSE)
		choose_slot(w, &op->slot);
	snprintf(op->path, sizeof(op->path), "%s", p.path);
	if (p.node == NULL || (op->kind == OP_CLOSE && w->slots[op->slot].fd < 0))
		op->kind = OP_NONE;
}

/* A full tree is emptied, so that it stays small enough to be compared again and again. */
static enum op_kind instead(struct worker *w, enum op_kind kind)
{
	struct pick p = pick(w, ANY);
	bool makes = kind == OP_CREATE || kind == OP_MKNOD || kind == OP_SYMLINK ||
		     kind == OP_LINK || kind == OP_LINKFD || kind == OP_TMPFILE;

	if (makes && p.names >= MAX_NAMES)
		return OP_UNLINK;
	if (kind == OP_MKDIR && (p.dirs >= MAX_DIRS || p.names >= MAX_NAMES))
		return OP_RMDIR;
	return kind;
}

void op_choose(struct worker *w, struct op *ret_op)
{
	struct op op = {.kind = OP_NONE};

	while (op.kind == OP_NONE) {
		op = (struct op){.kind = instead(w, choose_kind(w)), .fill = (uint8_t)rnd(&w->rng)};
		if (op_is_bytes(&op) || op.kind == OP_FSYNC) {
			choose_bytes(w, &op);
			mend_bytes(w, &op);
		}
		if (op.kind == OP_SETXATTR || op.kind == OP_RMXATTR || op.kind == OP_SETACL)
			choose_xattr(w, &op);
		else if (op.kind == OP_CHMOD || op.kind == OP_CHOWN || op.kind == OP_UTIMENS)
			choose_attr(w, &op);
		else if (op.kind == OP_OPEN || op.kind == OP_CLOSE || op.kind == OP_TMPFILE)
			choose_open(w, &op);
		else if (!op_is_bytes(&op) && op.kind != OP_FSYNC)
			choose_name_op(w, &op);
		if (op.kind == OP_SETACL)
			op.flags = (unsigned int)rnd(&w->rng) & 077777;
	}
	*ret_op = op;
}
