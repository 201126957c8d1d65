/* SPDX-License-Identifier: Apache-2.0 */
/* rename: one batch, whatever is renamed, be it a directory of a hundred thousand lower files. */
#include <errno.h>
#include <linux/fs.h>
#include <string.h>

#include "fs/create.h"
#include "fs/nameless.h"
#include "fs/remove.h"

/* One side of a rename. */
struct side {
	struct inode *dir;
	const char *name;
	struct inode *inode; /* what the name is now; NULL: nothing */
	struct attr attr;
	struct inode_rec *dir_rec;
};

static int resolve_side(struct fs *fs, struct side *s, bool must_exist)
{
	int r = name_resolve(fs, s->dir, s->name, &s->inode, &s->attr);

	return r == -ENOENT && !must_exist ? 0 : r;
}

/* May what is at FROM take the place of what is at TO? */
static int check_replace(struct fs *fs, const struct side *from, const struct side *to)
{
	bool from_dir = S_ISDIR(from->inode->type);

	if (to->inode == NULL)
		return 0;
	if (S_ISDIR(to->inode->type) != from_dir)
		return from_dir ? -ENOTDIR : -EISDIR;
	return from_dir ? dir_check_empty(fs, to->inode) : 0;
}

static int check_flags(const struct side *to, unsigned int flags)
{
	if (flags & ~(unsigned int)(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT))
		return -EINVAL;
	if ((flags & RENAME_EXCHANGE) && (flags & (RENAME_NOREPLACE | RENAME_WHITEOUT)))
		return -EINVAL;
	if ((flags & RENAME_NOREPLACE) && to->inode != NULL)
		return -EEXIST;
	return 0;
}

/* What FROM's name stands for moves to TO's name; counts of directories follow it. */
static int move(struct change *ch, struct side *from, struct side *to)
{
	struct inode_rec *rec;
	int r = change_rec(ch, from->inode, &rec);

	if (r < 0)
		return r;
	rec->attr.ctime = ch->now;
	nameless_moved(ch, rec);
	if (S_ISDIR(from->inode->type)) {
		rec->parent = to->dir->ino;
		rec_count_dir(from->dir_rec, -1);
		rec_count_dir(to->dir_rec, 1);
	}
	batch_put_entry(&ch->batch, to->dir->ino, to->name, strlen(to->name), from->inode->ino,
			attr_dtype(from->attr.mode));
	return 0;
}

/* A whiteout that the user asked for is a device like any other: to us it hides nothing. */
static int put_user_whiteout(struct change *ch, const struct fs_caller *who, const struct side *at)
{
	const struct wanted device = {.who = who, .dir = at->dir, .mode = S_IFCHR};
	struct inode_rec *rec;
	int r = create_rec(ch, at->dir_rec, &device, &rec);

	if (r == 0)
		batch_put_entry(&ch->batch, at->dir->ino, at->name, strlen(at->name), rec->attr.ino,
				DT_CHR);
	return r;
}

static int exchange(struct change *ch, struct side *from, struct side *to)
{
	int r = to->inode == NULL ? -ENOENT : 0;

	/* Both are copied up before a name is put, for copying up puts the old one. */
	if (r == 0)
		r = move(ch, from, to);
	if (r == 0)
		r = move(ch, to, from);
	if (r < 0)
		return r;
	batch_put_entry(&ch->batch, to->dir->ino, to->name, strlen(to->name), from->inode->ino,
			attr_dtype(from->attr.mode));
	/* As in replace(), both ways. */
	data_replacing(ch->fs->data, from->inode->ino);
	data_replacing(ch->fs->data, to->inode->ino);
	return change_commit(ch);
}

static int replace(struct change *ch, const struct fs_caller *who, struct side *from,
		   struct side *to, unsigned int flags)
{
	enum removal removal = REMOVAL_KEEPS;
	int r = check_replace(ch->fs, from, to);

	if (r == 0 && to->inode != NULL) {
		r = removal_plan(ch, to->inode, &to->attr, &removal);
		if (S_ISDIR(to->inode->type))
			rec_count_dir(to->dir_rec, -1);
	}
	if (r == 0)
		r = move(ch, from, to);
	/* Many programs write a file anew, rename it over the old one, and sync nothing. */
	if (r == 0 && to->inode != NULL)
		data_replacing(ch->fs->data, from->inode->ino);
	if (r == 0)
		r = flags & RENAME_WHITEOUT ? put_user_whiteout(ch, who, from)
					    : change_remove_name(ch, from->dir, from->name);
	if (r == 0)
		r = change_commit(ch);
	if (r == 0 && to->inode != NULL)
		removal_apply(ch->fs, to->inode, removal);
	return r;
}

static int rename_locked(struct change *ch, const struct fs_caller *who, struct side *from,
			 struct side *to, unsigned int flags)
{
	int r = resolve_side(ch->fs, from, true);

	if (r == 0)
		r = resolve_side(ch->fs, to, false);
	if (r == 0)
		r = check_flags(to, flags);
	if (r < 0)
		return r;
	/* Two names of one inode: POSIX says nothing happens. */
	if (to->inode == from->inode)
		return 0;
	r = change_dir(ch, from->dir, &from->dir_rec);
	if (r == 0)
		r = change_dir(ch, to->dir, &to->dir_rec);
	if (r < 0)
		return r;
	if (flags & RENAME_EXCHANGE)
		return exchange(ch, from, to);
	return replace(ch, who, from, to, flags);
}

static struct fs_moved moved(const struct inode *inode)
{
	return (struct fs_moved){.ino = inode->ino, .type = inode->type};
}

static int try_rename(struct fs *fs, const struct fs_caller *who, struct side *from,
		      struct side *to, unsigned int flags, struct fs_moved ret_moved[2])
{
	CLEANUP(held) struct held from_inode = {fs, NULL};
	CLEANUP(held) struct held to_inode = {fs, NULL};
	CLEANUP(change) struct change ch = {0};
	int r = change_begin(&ch, fs);

	if (r < 0)
		return r;
	r = rename_locked(&ch, who, from, to, flags);
	from_inode.inode = steal_ptr(&from->inode);
	to_inode.inode = steal_ptr(&to->inode);
	change_done(&ch);
	if (r == 0 && from_inode.inode != to_inode.inode) {
		ret_moved[0] = moved(from_inode.inode);
		if (flags & RENAME_EXCHANGE)
			ret_moved[1] = moved(to_inode.inode);
	}
	if (r == 0 && to_inode.inode != NULL)
		data_write_soon(fs->data, from_inode.inode->ino);
	if (r == 0 && (flags & RENAME_EXCHANGE))
		data_write_soon(fs->data, to_inode.inode->ino);
	return r;
}

int fs_rename(struct fs *fs, const struct fs_caller *who, uint64_t parent, const char *name,
	      uint64_t new_parent, const char *new_name, unsigned int flags,
	      struct fs_moved ret_moved[2])
{
	CLEANUP(held) struct held from_dir = {fs, inode_get(fs, parent)};
	CLEANUP(held) struct held to_dir = {fs, inode_get(fs, new_parent)};
	struct side from = {.dir = from_dir.inode, .name = name};
	struct side to = {.dir = to_dir.inode, .name = new_name};
	struct fs_moved both[2] = {0};
	unsigned int tries = 0;
	int r = name_check(name);

	if (r == 0)
		r = name_check(new_name);
	if (r == 0 && (from.dir == NULL || to.dir == NULL))
		r = -ESTALE;
	if (r < 0)
		return r;
	do {
		r = try_rename(fs, who, &from, &to, flags, both);
	} while (fs_made_room(fs, r, &tries));
	if (ret_moved != NULL)
		memcpy(ret_moved, both, sizeof(both));
	return r;
}
