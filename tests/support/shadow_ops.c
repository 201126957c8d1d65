/* SPDX-License-Identifier: Apache-2.0 */
/* Operations at random, their bytes, and their names in messages. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "support/shadow.h"

unsigned int shadow_rnd(uint64_t *state, unsigned int n)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned int)((*state >> 33) % n);
}

void shadow_fill(uint8_t *bytes, uint64_t off, size_t size, unsigned int seed)
{
	for (size_t i = 0; i < size; i++) {
		uint64_t x = (off + i) / 8 * UINT64_C(0x9e3779b97f4a7c15) + seed;

		x = (x ^ (x >> 29)) * UINT64_C(0xbf58476d1ce4e5b9);
		/* Never zero, so that what is lost shows. */
		bytes[i] = (uint8_t)(x >> (8 + (off + i) % 8 * 6)) | 1;
	}
}

static const char *const kind_names[] = {
	"create",   "mkdir",	   "mkfifo", "symlink",	 "link",       "unlink",
	"rmdir",    "rename",	   "write",  "truncate", "punch",      "chmod",
	"setxattr", "removexattr", "fsync",  "syncfs",	 "checkpoint", "reopen",
};

void shadow_op_text(const struct shadow_op *op, char *ret_text, size_t size)
{
	snprintf(ret_text, size, "%s \"%s\" \"%s\" off %llu len %llu mode %o seed %u",
		 kind_names[op->kind], op->path, op->path2, (unsigned long long)op->off,
		 (unsigned long long)op->len, op->mode, op->seed);
}

/* A name that is there, of a file for which WANT is true; "" when luck does not find one. */
static void some_path(const struct shadow *s, uint64_t *state, bool (*want)(uint32_t mode),
		      char *path)
{
	path[0] = '\0';
	for (int i = 0; i < 20 && s->n_names > 0; i++) {
		unsigned int node = s->names[shadow_rnd(state, s->n_names)].node;

		if (want(s->nodes[node].mode) && shadow_path(s, node, path, SHADOW_PATH))
			return;
		path[0] = '\0';
	}
}

static bool is_file(uint32_t mode)
{
	return S_ISREG(mode);
}

static bool is_dir(uint32_t mode)
{
	return S_ISDIR(mode);
}

static bool is_no_dir(uint32_t mode)
{
	return !S_ISDIR(mode);
}

static bool is_any(uint32_t mode)
{
	return mode != 0;
}

static void new_path(const struct shadow *s, uint64_t *state, char *path)
{
	size_t len;

	some_path(s, state, is_dir, path);
	/* Deep trees say nothing more, and paths end. */
	if (shadow_rnd(state, 3) == 0 || strlen(path) > SHADOW_PATH / 2)
		path[0] = '\0';
	len = strlen(path);
	snprintf(path + len, SHADOW_PATH - len, "%sn%u", len > 0 ? "/" : "",
		 shadow_rnd(state, 1000));
}

/* A length: often small, inline or just not, sometimes long. */
static uint64_t some_length(uint64_t *state, uint64_t max)
{
	static const unsigned int upto[] = {50, 5000, 70000, 300000};
	unsigned int n = upto[shadow_rnd(state, 4)];

	if (shadow_rnd(state, 10) == 0)
		n = (unsigned int)max;
	return 1 + shadow_rnd(state, n < max ? n : (unsigned int)max);
}

static void random_bytes(const struct shadow *s, uint64_t *state, uint64_t max,
			 struct shadow_op *op)
{
	int node = shadow_find(s, op->path);
	uint64_t size = node > 0 ? s->nodes[node].blob->size : 0;

	op->len = some_length(state, max);
	/* At the end, somewhere inside, or a little behind it. */
	op->off = shadow_rnd(state, 2) ? size : shadow_rnd(state, (unsigned int)size + 5000);
	if (op->kind == SHADOW_TRUNCATE)
		op->off = shadow_rnd(state, 3) ? shadow_rnd(state, (unsigned int)size + 1)
					       : some_length(state, max);
	if (op->kind == SHADOW_WRITE && op->off + op->len > max)
		op->off = 0;
}

void shadow_random(const struct shadow *s, uint64_t *state, uint64_t max, struct shadow_op *ret_op)
{
	static const enum shadow_kind kinds[] = {
		SHADOW_CREATE, SHADOW_CREATE,  SHADOW_CREATE,	SHADOW_CREATE,	SHADOW_MKDIR,
		SHADOW_FIFO,   SHADOW_SYMLINK, SHADOW_LINK,	SHADOW_UNLINK,	SHADOW_UNLINK,
		SHADOW_RMDIR,  SHADOW_RENAME,  SHADOW_RENAME,	SHADOW_WRITE,	SHADOW_WRITE,
		SHADOW_WRITE,  SHADOW_WRITE,   SHADOW_WRITE,	SHADOW_WRITE,	SHADOW_TRUNCATE,
		SHADOW_PUNCH,  SHADOW_CHMOD,   SHADOW_SETXATTR, SHADOW_RMXATTR, SHADOW_FSYNC,
	};
	struct shadow_op op = {.seed = 1 + shadow_rnd(state, 100000)};

	op.kind = kinds[shadow_rnd(state, sizeof(kinds) / sizeof(kinds[0]))];
	op.mode = shadow_rnd(state, 2) ? 0644 : 0755;
	switch (op.kind) {
	case SHADOW_CREATE:
	case SHADOW_MKDIR:
	case SHADOW_FIFO:
		new_path(s, state, op.path);
		break;
	case SHADOW_SYMLINK:
		new_path(s, state, op.path);
		snprintf(op.path2, sizeof(op.path2), "to/%u", op.seed);
		break;
	case SHADOW_LINK:
		some_path(s, state, is_no_dir, op.path);
		new_path(s, state, op.path2);
		break;
	case SHADOW_RENAME:
		some_path(s, state, is_any, op.path);
		if (shadow_rnd(state, 3) == 0)
			some_path(s, state, is_any, op.path2);
		else
			new_path(s, state, op.path2);
		break;
	case SHADOW_UNLINK:
		some_path(s, state, is_no_dir, op.path);
		break;
	case SHADOW_RMDIR:
		some_path(s, state, is_dir, op.path);
		break;
	case SHADOW_CHMOD:
	case SHADOW_SETXATTR:
	case SHADOW_RMXATTR:
		some_path(s, state, shadow_rnd(state, 4) ? is_file : is_dir, op.path);
		break;
	default:
		some_path(s, state, is_file, op.path);
		random_bytes(s, state, max, &op);
	}
	*ret_op = op;
	/* Into itself: the kernel refuses that before a file system hears of it. */
	if (op.kind == SHADOW_RENAME && strncmp(op.path, op.path2, strlen(op.path)) == 0)
		op.path[0] = '\0';
	/* Without a file to do it to: make one. */
	if (op.path[0] == '\0' || (op.path2[0] == '\0' && op.kind == SHADOW_RENAME)) {
		ret_op->kind = SHADOW_CREATE;
		new_path(s, state, ret_op->path);
	}
}
