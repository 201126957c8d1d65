/* SPDX-License-Identifier: Apache-2.0 */
/* Operations on names. */
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "front/caller.h"
#include "front/ops.h"
#include "front/reply.h"

void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct front *f = op_begin(req, FRONT_OP_LOOKUP);
	struct fs_entry entry;
	int r;

	shown_begin(&f->shown);
	r = fs_lookup(f->fs, parent, name, &entry);
	if (r == 0) {
		reply_note_shown(req, f, entry.ino, &entry.attr);
		plus_looked_up(&f->plus, parent);
	}
	shown_end(&f->shown);
	reply_lookup(req, f, r, &entry);
}

void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t nlookup)
{
	struct front *f = op_begin(req, FRONT_OP_FORGET);

	fs_forget(f->fs, ino, nlookup);
	reply_none(req);
}

void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	struct front *f = op_begin(req, FRONT_OP_FORGET);

	for (size_t i = 0; i < count; i++)
		fs_forget(f->fs, forgets[i].ino, forgets[i].nlookup);
	reply_none(req);
}

/* Answers of what has put a name into DIR, and of what has taken one away. */
static void reply_made(fuse_req_t req, struct front *f, fuse_ino_t dir, int r,
		       const struct fs_entry *entry)
{
	if (r == 0)
		reply_ctime_changed(req, f, dir, S_IFDIR);
	reply_entry(req, f, r, entry);
}

static void reply_removed(fuse_req_t req, struct front *f, fuse_ino_t dir, int r)
{
	if (r == 0)
		reply_ctime_changed(req, f, dir, S_IFDIR);
	reply_result(req, r);
}

void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	struct front *f = op_begin(req, FRONT_OP_MKNOD);
	struct fs_caller who = caller_of(req);
	struct fs_entry entry;
	int r = fs_mknod(f->fs, &who, parent, name, mode, major(rdev), minor(rdev), &entry);

	reply_made(req, f, parent, r, &entry);
}

void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct front *f = op_begin(req, FRONT_OP_MKDIR);
	struct fs_caller who = caller_of(req);
	struct fs_entry entry;
	int r = fs_mkdir(f->fs, &who, parent, name, mode, &entry);

	reply_made(req, f, parent, r, &entry);
}

void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	struct front *f = op_begin(req, FRONT_OP_SYMLINK);
	struct fs_caller who = caller_of(req);
	struct fs_entry entry;
	int r = fs_symlink(f->fs, &who, parent, name, target, &entry);

	reply_made(req, f, parent, r, &entry);
}

void op_tmpfile(fuse_req_t req, fuse_ino_t parent, mode_t mode, struct fuse_file_info *fi)
{
	struct front *f = op_begin(req, FRONT_OP_TMPFILE);
	struct fs_caller who = caller_of(req);
	struct fs_entry entry;
	int r = fs_tmpfile(f->fs, &who, parent, mode, &entry);

	reply_opened_entry(req, f, r, &entry, fi);
}

void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t new_parent, const char *new_name)
{
	struct front *f = op_begin(req, FRONT_OP_LINK);
	struct fs_entry entry;
	int r = fs_link(f->fs, ino, new_parent, new_name, &entry);

	reply_made(req, f, new_parent, r, &entry);
}

void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct front *f = op_begin(req, FRONT_OP_UNLINK);

	reply_removed(req, f, parent, fs_unlink(f->fs, parent, name));
}

void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct front *f = op_begin(req, FRONT_OP_RMDIR);

	reply_removed(req, f, parent, fs_rmdir(f->fs, parent, name));
}

/*
 * The kernel keeps a directory's listing with its "..", and nothing that it looks at tells it that this has become another
 * one. A directory has no pages but those of its listing, on which no request waits: so they may be dropped from here,
 * while the kernel waits for our answer. That tells of the attributes, too.
 */
static void reply_moved(fuse_req_t req, struct front *f, const struct fs_moved *moved,
			bool other_parent)
{
	if (moved->ino == 0)
		return;
	if (other_parent && S_ISDIR(moved->type))
		(void)fuse_lowlevel_notify_inval_inode(f->session, moved->ino, 0, 0);
	else
		reply_ctime_changed(req, f, moved->ino, moved->type);
}

void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
	       const char *new_name, unsigned int flags)
{
	struct front *f = op_begin(req, FRONT_OP_RENAME);
	struct fs_caller who = caller_of(req);
	struct fs_moved moved[2];
	int r = fs_rename(f->fs, &who, parent, name, new_parent, new_name, flags, moved);

	if (r == 0)
		reply_ctime_changed(req, f, parent, S_IFDIR);
	if (r == 0 && new_parent != parent)
		reply_ctime_changed(req, f, new_parent, S_IFDIR);
	for (int i = 0; r == 0 && i < 2; i++)
		reply_moved(req, f, &moved[i], new_parent != parent);
	reply_result(req, r);
}
