/* SPDX-License-Identifier: Apache-2.0 */
/* The lower tree, and random operations. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "crash/power/model.h"

/* ---- the lower tree ------------------------------------------------------------------- */

/* Files on both sides of what is held inline, copied whole, and copied by chunks. */
static const struct {
	const char *path;
	uint64_t size;	  /* 0: a directory */
	const char *link; /* a second name */
} lower_files[] = {
	{"low", 0, NULL},
	{"low/tiny", 100, NULL},
	{"low/page", 4096, "low/page2"},
	{"low/small", 5000, NULL},
	{"low/whole", 60000, "low/whole2"},
	{"low/whole3", 131072, NULL},
	{"low/big", 300000, NULL},
	{"low/big2", 700001, "low/big3"},
	{"low/big4", 1048576, NULL},
	{"dir", 0, NULL},
	{"dir/sub", 0, NULL},
	{"dir/sub/a", 2000, NULL},
	{"dir/sub/b", 200000, NULL},
	{"dir/c", 10000, NULL},
};
#define N_LOWER (sizeof(lower_files) / sizeof(lower_files[0]))

bool lower_op(uint32_t thread, uint32_t n, struct op *ret_op)
{
	struct op op = {.thread = thread, .seq = n, .mode = 0644};
	size_t i = (n - 2) / 3;

	if (n == 1) {
		op.kind = OP_MKDIR;
		op.mode = 0755;
		snprintf(op.path, PATH_SIZE, "t%u", thread);
		*ret_op = op;
		return true;
	}
	if (i >= N_LOWER)
		return false;
	snprintf(op.path, PATH_SIZE, "t%u/%s", thread, lower_files[i].path);
	if ((n - 2) % 3 == 0 && lower_files[i].size == 0) {
		op.kind = OP_MKDIR;
		op.mode = 0755;
	} else if ((n - 2) % 3 == 0) {
		op.kind = OP_CREATE;
	} else if ((n - 2) % 3 == 1 && lower_files[i].size > 0) {
		op.kind = OP_WRITE;
		op.len = lower_files[i].size;
	} else if ((n - 2) % 3 == 2 && lower_files[i].link != NULL) {
		op.kind = OP_LINK;
		snprintf(op.path2, PATH_SIZE, "t%u/%s", thread, lower_files[i].link);
	} else {
		op.kind = OP_CHMOD;
		op.mode = lower_files[i].size == 0 ? 0755 : 0644;
	}
	*ret_op = op;
	return true;
}

void model_init(struct model *m, uint32_t thread)
{
	uint32_t n, last;
	struct op op;

	memset(m, 0, sizeof(*m));
	m->thread = thread;
	for (n = 1; lower_op(thread, n, &op); n++)
		model_apply(m, &op);
	last = n - 1;
	m->lower_seq = last;
}

/* ---- random operations ---------------------------------------------------------------- */

#define NAMES_MAX 160
#define DEPTH_MAX 4
#define BYTES_MAX (20 << 20)
#define FILE_MAX  (1536 << 10)
/* A file with more events than this is only deleted: checking it would list too many states. */
#define EVENTS_MAX 60

struct pick {
	const struct minode *dirs[NAMES_MAX * 2];
	size_t n_dirs;
	struct {
		const struct minode *dir;
		const struct name *name;
	} names[NAMES_MAX * 2];
	size_t n_names;
};

static int collect(void *arg, const struct minode *dir, const struct name *name)
{
	struct pick *p = arg;

	if (p->n_names == NAMES_MAX * 2)
		abort();
	p->names[p->n_names].dir = dir;
	p->names[p->n_names++].name = name;
	if (S_ISDIR(name->inode->mode))
		p->dirs[p->n_dirs++] = name->inode;
	return 0;
}

static unsigned int depth_of(const struct model *m, const struct minode *dir)
{
	return dir == m->root ? 0 : 1 + depth_of(m, dir->parent);
}

/* A name that is free. Few letters, so that deleted names come back. */
static void new_path(const struct model *m, const struct pick *p, uint64_t *rng, char *ret_path)
{
	const struct minode *dir;
	char text[NAME_SIZE];

	do {
		dir = p->dirs[rnd_below(rng, (uint32_t)p->n_dirs)];
		if (depth_of(m, dir) >= DEPTH_MAX)
			dir = m->root;
		snprintf(text, sizeof(text), "f%u", rnd_below(rng, 60));
		model_path(m, dir, text, ret_path);
	} while (model_find(m, ret_path) != NULL);
}

/* A random name whose type is TYPE (0: any); false: there is none. */
static bool old_path(const struct model *m, const struct pick *p, uint64_t *rng, uint32_t type,
		     char *ret_path, const struct minode **ret_inode)
{
	unsigned int try;

	for (try = 0; try < 200 && p->n_names > 0; try++) {
		size_t i = rnd_below(rng, (uint32_t)p->n_names);

		if (type != 0 && (p->names[i].name->inode->mode & S_IFMT) != type)
			continue;
		model_path(m, p->names[i].dir, p->names[i].name->text, ret_path);
		*ret_inode = p->names[i].name->inode;
		return true;
	}
	return false;
}

static uint64_t some_size(uint64_t *rng)
{
	switch (rnd_below(rng, 10)) {
	case 0:
	case 1:
	case 2:
	case 3:
		return 1 + rnd_below(rng, 1500);
	case 4:
	case 5:
		return 1 + rnd_below(rng, 6000);
	case 6:
	case 7:
		return 1 + rnd_below(rng, 30000);
	case 8:
		return 4096 * (1 + rnd_below(rng, 4));
	default:
		return 1 + rnd_below(rng, 150000);
	}
}

static bool gen_write(const struct minode *f, uint64_t *rng, bool syncs, struct op *op)
{
	op->kind = syncs && rnd_below(rng, 8) == 0 ? OP_WRITE_FSYNC : OP_WRITE;
	op->len = some_size(rng);
	switch (rnd_below(rng, 8)) {
	case 0: /* a gap */
		op->off = f->size + rnd_below(rng, 20000);
		break;
	case 1:
	case 2:
	case 3: /* over what is there */
		op->off = f->size == 0 ? 0 : rnd_below(rng, (uint32_t)f->size);
		if (rnd_below(rng, 2) == 0)
			op->off &= ~(uint64_t)4095;
		break;
	default:
		op->off = f->size;
	}
	return op->off + op->len <= FILE_MAX && f->n_events < EVENTS_MAX;
}

static bool gen_truncate(const struct minode *f, uint64_t *rng, struct op *op)
{
	op->kind = OP_TRUNCATE;
	if (f->size > 1 && rnd_below(rng, 5) == 0) {
		op->kind = OP_PUNCH;
		op->off = rnd_below(rng, (uint32_t)f->size - 1);
		op->len = 1 + rnd_below(rng, (uint32_t)(f->size - op->off));
		return f->n_events < EVENTS_MAX;
	}
	switch (rnd_below(rng, 4)) {
	case 0:
		op->len = 0;
		break;
	case 1:
		op->len = f->size + rnd_below(rng, 10000);
		break;
	default:
		op->len = rnd_below(rng, (uint32_t)f->size + 1);
	}
	return op->len <= FILE_MAX && f->n_events < EVENTS_MAX;
}

static bool is_below(const struct minode *dir, const struct minode *top)
{
	while (dir != NULL && dir != top)
		dir = dir->parent;
	return dir != NULL;
}

/* Over another name of the same kind, or to a free one. */
static bool gen_rename(const struct model *m, const struct pick *p, uint64_t *rng, struct op *op)
{
	const struct minode *from, *to = NULL;
	char parent[PATH_SIZE];

	if (!old_path(m, p, rng, 0, op->path, &from))
		return false;
	op->kind = OP_RENAME;
	if (rnd_below(rng, 2) == 0) {
		new_path(m, p, rng, op->path2);
	} else {
		if (!old_path(m, p, rng, from->mode & S_IFMT, op->path2, &to) || to == from)
			return false;
		if (rnd_below(rng, 8) == 0)
			op->kind = OP_EXCHANGE;
		else if (S_ISDIR(to->mode) && to->n_names > 0)
			return false;
	}
	if (!S_ISDIR(from->mode))
		return true;
	memcpy(parent, op->path2, strlen(op->path2) + 1);
	*strrchr(parent, '/') = '\0';
	/* Neither into itself, nor so that the tree becomes deeper. */
	if (is_below(model_find(m, parent), from) || (to != NULL && is_below(from, to)))
		return false;
	return depth_of(m, model_find(m, parent)) < depth_of(m, from) && op->kind == OP_RENAME;
}

static bool gen_attr(const struct minode *i, uint64_t *rng, struct op *op)
{
	if (S_ISLNK(i->mode))
		return false;
	switch (rnd_below(rng, 4)) {
	case 0:
		op->kind = OP_CHMOD;
		op->mode = 0600 | (rnd_below(rng, 8) << 3) | (S_ISDIR(i->mode) ? 0100 : 0);
		return true;
	case 1:
		op->kind = OP_CHOWN;
		op->mode = rnd_below(rng, 5);
		return true;
	default:
		op->mode = rnd_below(rng, XATTRS);
		op->kind = i->xattrs[op->mode].seq != 0 && rnd_below(rng, 3) == 0 ? OP_RMXATTR
										  : OP_SETXATTR;
		op->len = 1 + rnd_below(rng, rnd_below(rng, 4) == 0 ? 3000 : 50);
		return true;
	}
}

static bool gen_new(const struct model *m, const struct pick *p, uint64_t *rng, struct op *op)
{
	const struct minode *i;

	if (p->n_names >= NAMES_MAX)
		return false;
	new_path(m, p, rng, op->path);
	op->mode = 0644;
	switch (rnd_below(rng, 10)) {
	case 0:
		op->kind = OP_MKDIR;
		op->mode = 0755;
		return true;
	case 1:
		op->kind = OP_SYMLINK;
		op->mode = 0777;
		snprintf(op->path2, PATH_SIZE, "target of #%u", op->seq);
		return true;
	case 2:
		op->kind = OP_LINK;
		memcpy(op->path2, op->path, strlen(op->path) + 1);
		return old_path(m, p, rng, S_IFREG, op->path, &i);
	default:
		op->kind = OP_CREATE;
		return true;
	}
}

static bool gen_remove(const struct model *m, const struct pick *p, uint64_t *rng, struct op *op)
{
	const struct minode *i;

	if (!old_path(m, p, rng, 0, op->path, &i))
		return false;
	op->kind = S_ISDIR(i->mode) ? OP_RMDIR : OP_UNLINK;
	return i->n_names == 0;
}

static bool gen_sync(const struct model *m, const struct pick *p, uint64_t *rng, struct op *op)
{
	const struct minode *i;

	op->kind = rnd_below(rng, 3) == 0 ? OP_FDATASYNC : OP_FSYNC;
	return old_path(m, p, rng, rnd_below(rng, 5) == 0 ? S_IFDIR : S_IFREG, op->path, &i);
}

static bool gen_any(const struct model *m, const struct pick *p, uint64_t *rng, bool syncs,
		    struct op *op)
{
	const struct minode *i;
	uint32_t n = rnd_below(rng, 100);

	if (m->bytes > BYTES_MAX || p->n_names >= NAMES_MAX)
		n = n < 50 ? 99 : n;
	if (n < 18)
		return gen_new(m, p, rng, op);
	if (n < 28)
		return gen_rename(m, p, rng, op);
	if (n < 40)
		return old_path(m, p, rng, 0, op->path, &i) && gen_attr(i, rng, op);
	if (n >= 87)
		return gen_remove(m, p, rng, op);
	if (!old_path(m, p, rng, S_IFREG, op->path, &i))
		return false;
	return n < 48 ? gen_truncate(i, rng, op) : gen_write(i, rng, syncs, op);
}

void gen_op(const struct model *m, uint64_t *rng, uint32_t fsync_permille, struct op *ret_op)
{
	struct pick p = {.n_names = 0};
	bool found = false;

	p.dirs[p.n_dirs++] = m->root;
	model_walk(m, collect, &p);
	while (!found) {
		struct op op = {.thread = m->thread, .seq = m->seq + 1};

		if (rnd_below(rng, 1000) < fsync_permille)
			found = gen_sync(m, &p, rng, &op);
		else
			found = gen_any(m, &p, rng, fsync_permille >= 30, &op);
		*ret_op = op;
	}
}
