/* SPDX-License-Identifier: Apache-2.0 */
/* What an operation does to the model. Each function first checks, then changes. */
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "crash/kill/kill.h"

static void touch_ctime(struct node *n)
{
	n->ctime_known = false;
}

static void touch(struct node *n)
{
	n->mtime_known = n->ctime_known = false;
	n->dir_nlink = 0;
}

/* --- names --- */

static bool add_name(struct worker *w, const char *path, struct node *n, bool really)
{
	const char *name;
	struct node *dir = tree_parent(&w->tree, path, &name);

	if (dir == NULL || *name == '\0' || dir_find(dir, name) != NULL)
		return false;
	if (!really)
		return true;
	dir_add(dir, name, n);
	n->nlink++;
	touch(dir);
	return true;
}

static bool apply_new(struct worker *w, const struct op *op, mode_t mode, bool really)
{
	struct node *n = node_new(mode);

	n->uid = 0;
	n->rdev = S_ISCHR(mode) || S_ISBLK(mode) ? op->rdev : 0;
	if (S_ISLNK(mode))
		n->target = strdup(op->other);
	if (!add_name(w, op->path, n, really)) {
		node_unref(n);
		return false;
	}
	if (!really)
		node_unref(n);
	return true;
}

/* The name goes away, and with it perhaps the node. */
static void drop_entry(struct node *dir, struct entry *e)
{
	struct node *n = e->node;

	*e = dir->entries[--dir->n_entries];
	n->nlink--;
	touch_ctime(n);
	touch(dir);
	node_unref(n);
}

static bool apply_unlink(struct worker *w, const struct op *op, bool is_dir, bool really)
{
	const char *name;
	struct node *dir = tree_parent(&w->tree, op->path, &name);
	struct entry *e = dir == NULL ? NULL : dir_find(dir, name);

	if (e == NULL || S_ISDIR(e->node->mode) != is_dir || e->node->n_entries > 0)
		return false;
	if (really)
		drop_entry(dir, e);
	return true;
}

static bool apply_link(struct worker *w, const struct op *op, struct node *n, bool really)
{
	if (n == NULL || S_ISDIR(n->mode) || (n->nlink == 0 && !n->linkable) ||
	    !add_name(w, op->other, n, really))
		return false;
	if (really) {
		node_ref(n);
		n->linkable = false;
		touch_ctime(n);
	}
	return true;
}

static bool lies_in(const struct node *dir, const struct node *ancestor)
{
	for (; dir != NULL; dir = dir->parent)
		if (dir == ancestor)
			return true;
	return false;
}

struct rename_ends {
	struct node *from_dir, *to_dir;
	struct entry *from, *to;
	const char *to_name;
};

static bool rename_is_possible(const struct rename_ends *r, unsigned int flags)
{
	struct node *from, *to = r->to == NULL ? NULL : r->to->node;

	if (r->from == NULL || r->to_dir == NULL || *r->to_name == '\0')
		return false;
	from = r->from->node;
	if (S_ISDIR(from->mode) && lies_in(r->to_dir, from))
		return false;
	if (flags == RENAME_EXCHANGE)
		return to != NULL && !(S_ISDIR(to->mode) && lies_in(r->from_dir, to));
	if (to == NULL)
		return true;
	return flags == 0 && S_ISDIR(from->mode) == S_ISDIR(to->mode) &&
	       (to->n_entries == 0 || from == to);
}

static void exchange(const struct rename_ends *r)
{
	struct node *from = r->from->node;

	r->from->node = r->to->node;
	r->to->node = from;
	if (S_ISDIR(r->from->node->mode))
		r->from->node->parent = r->from_dir;
	if (S_ISDIR(from->mode))
		from->parent = r->to_dir;
	touch_ctime(r->from->node);
}

static bool apply_rename(struct worker *w, const struct op *op, bool really)
{
	struct rename_ends r = {0};
	const char *name;
	struct node *n;

	r.from_dir = tree_parent(&w->tree, op->path, &name);
	r.from = r.from_dir == NULL ? NULL : dir_find(r.from_dir, name);
	r.to_dir = tree_parent(&w->tree, op->other, &r.to_name);
	r.to = r.to_dir == NULL ? NULL : dir_find(r.to_dir, r.to_name);
	if (!rename_is_possible(&r, op->flags))
		return false;
	if (!really || (r.to != NULL && r.to->node == r.from->node))
		return true;
	n = r.from->node;
	touch_ctime(n);
	touch(r.from_dir);
	touch(r.to_dir);
	if (op->flags == RENAME_EXCHANGE) {
		exchange(&r);
		return true;
	}
	if (r.to != NULL)
		drop_entry(r.to_dir, r.to);
	/* Entries may have moved. */
	*dir_find(r.from_dir, name) = r.from_dir->entries[r.from_dir->n_entries - 1];
	r.from_dir->n_entries--;
	dir_add(r.to_dir, r.to_name, n);
	return true;
}

/* --- attributes --- */

#define ACL_NAME "system.posix_acl_access"

/* The ACL of op_acl(): the bytes at these places are the permissions of its entries. */
enum { ACL_OWNER = 6, ACL_USER = 14, ACL_GROUP = 22, ACL_MASK = 30, ACL_OTHER = 38 };

static void acl_to_mode(struct node *n, const uint8_t *acl)
{
	n->mode = (n->mode & ~(mode_t)0777) | (mode_t)(acl[ACL_OWNER] << 6) |
		  (mode_t)(acl[ACL_MASK] << 3) | acl[ACL_OTHER];
}

static void set_mode(struct node *n, mode_t mode)
{
	struct xattr *acl = xattr_find(n, ACL_NAME);

	n->mode = (n->mode & S_IFMT) | mode;
	if (acl == NULL)
		return;
	acl->value[ACL_OWNER] = (mode >> 6) & 7;
	acl->value[ACL_MASK] = (mode >> 3) & 7;
	acl->value[ACL_OTHER] = mode & 7;
}

static bool has_xattrs(const struct node *n)
{
	return S_ISREG(n->mode) || S_ISDIR(n->mode);
}

static void set_xattr(struct node *n, const struct op *op)
{
	uint8_t *value = malloc(op->len + 1), acl[44];

	if (op->kind == OP_SETACL) {
		op_acl(op, acl);
		xattr_put(n, ACL_NAME, acl, sizeof(acl));
		acl_to_mode(n, acl);
	} else {
		op_bytes(op, value, op->len);
		xattr_put(n, op->name, value, op->len);
	}
	free(value);
}

static bool apply_attr(struct worker *w, const struct op *op, bool really)
{
	struct node *n = tree_find(&w->tree, op->path);

	if (n == NULL || (op->kind == OP_CHMOD && S_ISLNK(n->mode)))
		return false;
	if ((op->kind == OP_SETXATTR || op->kind == OP_RMXATTR || op->kind == OP_SETACL) &&
	    (!has_xattrs(n) || (op->kind == OP_RMXATTR && xattr_find(n, op->name) == NULL)))
		return false;
	if (!really)
		return true;
	touch_ctime(n);
	if (op->kind == OP_CHMOD) {
		set_mode(n, op->mode);
	} else if (op->kind == OP_CHOWN) {
		n->uid = op->uid;
		n->gid = op->gid;
		if (!S_ISDIR(n->mode))
			n->mode &= ~(mode_t)S_ISUID;
	} else if (op->kind == OP_UTIMENS) {
		n->mtime = op->mtime;
		n->mtime_known = true;
	} else if (op->kind == OP_RMXATTR) {
		xattr_remove(n, op->name);
	} else {
		set_xattr(n, op);
	}
	return true;
}

/* --- bytes --- */

bool op_is_bytes(const struct op *op)
{
	return op->kind == OP_WRITE || op->kind == OP_TRUNCATE || op->kind == OP_FTRUNCATE ||
	       op->kind == OP_FALLOCATE || op->kind == OP_COPY;
}

static struct node *bytes_node(struct worker *w, const struct op *op)
{
	struct node *n = op->kind == OP_TRUNCATE ? tree_find(&w->tree, op->path)
			 : op->kind == OP_COPY	 ? w->slots[op->slot2].node
						 : w->slots[op->slot].node;

	return n != NULL && S_ISREG(n->mode) ? n : NULL;
}

/* How many bytes a copy can get. */
static size_t copy_len(struct worker *w, const struct op *op)
{
	struct node *from = w->slots[op->slot].node;
	uint64_t size = from == NULL ? 0 : node_content(from)->size, off = (uint64_t)op->off;

	return off >= size ? 0 : size - off < op->len ? size - off : op->len;
}

static void edit(struct worker *w, struct content *c, const struct op *op, size_t len)
{
	uint64_t off = (uint64_t)(op->kind == OP_COPY ? op->off2 : op->off), end = off + len;
	int mode = (int)op->flags;

	if (op->kind == OP_TRUNCATE || op->kind == OP_FTRUNCATE) {
		content_resize(c, off);
		return;
	}
	if (op->kind != OP_FALLOCATE || !(mode & FALLOC_FL_KEEP_SIZE))
		content_resize(c, c->size > end || len == 0 ? c->size : end);
	if (op->kind == OP_WRITE)
		op_bytes(op, c->bytes + off, len);
	else if (op->kind == OP_COPY && len > 0)
		memcpy(c->bytes + off, node_content(w->slots[op->slot].node)->bytes + op->off, len);
	else if (op->kind == OP_FALLOCATE && mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE) &&
		 off < c->size)
		memset(c->bytes + off, 0, (end < c->size ? end : c->size) - off);
}

static bool will_grow(struct node *n, const struct op *op, size_t len)
{
	uint64_t off = (uint64_t)(op->kind == OP_COPY ? op->off2 : op->off);

	return node_content(n)->size > INLINE_MAX || off + len > INLINE_MAX;
}

static bool apply_bytes(struct worker *w, const struct op *op, long result, bool really)
{
	struct node *n = bytes_node(w, op);
	bool cached = w->writeback && op->kind == OP_WRITE;
	size_t len = op->kind == OP_WRITE || op->kind == OP_COPY ? (size_t)result : op->len;

	if (n == NULL)
		return false;
	if (!really)
		return true;
	n->grown = n->grown || will_grow(n, op, len);
	touch(n);
	if (cached) {
		node_push_state(n);
		n->bytewise = true;
		edit(w, node_content(n), op, len);
		return true;
	}
	/* What was answered holds whatever else of the file is still on its way. */
	for (unsigned int i = 0; i < n->n_states; i++)
		edit(w, &n->states[i], op, len);
	return true;
}

void op_apply_maybe(struct worker *w, const struct op *op)
{
	struct node *n = bytes_node(w, op);
	size_t len = op->kind == OP_COPY ? copy_len(w, op) : op->len;

	if (n == NULL)
		return;
	/*
	 * The first bytes of a file, or the first change of a lower one, are not seen before they are
	 * complete. What is in a data file already is changed in place.
	 */
	n->bytewise = n->bytewise || n->grown || w->writeback;
	n->small_if_first = !n->grown && (op->kind == OP_WRITE || op->kind == OP_COPY);
	n->grown = n->grown || will_grow(n, op, len);
	n->piece_off = (uint64_t)op->off;
	n->piece_len = op->kind == OP_WRITE ? len : 0;
	touch(n);
	node_push_state(n);
	edit(w, node_content(n), op, len);
}

static bool apply_fsync(struct worker *w, const struct op *op, bool really)
{
	struct node *n = w->slots[op->slot].node;

	if (n != NULL && really && S_ISREG(n->mode))
		node_settle(n, n->n_states - 1);
	return n != NULL;
}

bool op_apply(struct worker *w, const struct op *op, long result, bool really)
{
	switch (op->kind) {
	case OP_CREATE:
		return apply_new(w, op, S_IFREG | op->mode, really);
	case OP_MKNOD:
		return apply_new(w, op, op->mode, really);
	case OP_MKDIR:
		return apply_new(w, op, S_IFDIR | op->mode, really);
	case OP_SYMLINK:
		return apply_new(w, op, S_IFLNK | 0777, really);
	case OP_LINK:
		return apply_link(w, op, tree_find(&w->tree, op->path), really);
	case OP_LINKFD:
		return apply_link(w, op, w->slots[op->slot].node, really);
	case OP_UNLINK:
	case OP_RMDIR:
		return apply_unlink(w, op, op->kind == OP_RMDIR, really);
	case OP_RENAME:
		return apply_rename(w, op, really);
	case OP_CHMOD:
	case OP_CHOWN:
	case OP_UTIMENS:
	case OP_SETXATTR:
	case OP_RMXATTR:
	case OP_SETACL:
		return apply_attr(w, op, really);
	case OP_FSYNC:
		return apply_fsync(w, op, really);
	default:
		return op_is_bytes(op) ? apply_bytes(w, op, result, really) : true;
	}
}
