/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes move first and without the write lock; the record follows under it. */
#include <errno.h>

#include "base/log.h"
#include "data/files.h"
#include "fs/bytes.h"
#include "fs/nameless.h"

int bytes_source(struct fs *fs, const struct inode *inode, const struct inode_rec *rec,
		 struct lower_held *ret_held, struct data_source *ret_source,
		 const struct data_source **ret_src)
{
	int r;

	*ret_src = NULL;
	if (rec->where != BYTES_LOWER && rec->where != BYTES_CHUNKS)
		return 0;
	/* An emptied lower file has nothing to read: its lower part may even be gone. */
	if (rec->lower_size == 0 && inode->dir == NULL)
		return 0;
	r = lower_file_get(&fs->lower_files, inode, &ret_held->file);
	if (r < 0)
		return r;
	ret_held->files = &fs->lower_files;
	lower_file_source(ret_held->file, ret_source);
	*ret_src = ret_source;
	return 0;
}

/* What is done to the bytes, as data/ does it. */
struct byte_op {
	enum { OP_TRUNCATE, OP_WRITE, OP_FALLOCATE } kind;
	const void *bytes;
	uint64_t size;
	off_t off;
	int mode;
	bool back; /* from the kernel's cache */
};

static int run_op(struct change *ch, const struct byte_op *op, struct inode_rec *rec,
		  const struct data_source *src)
{
	struct data *d = ch->fs->data;
	bool *moved = &ch->moved;

	switch (op->kind) {
	case OP_TRUNCATE:
		return data_truncate(d, rec, src, op->size, &ch->batch, moved);
	case OP_WRITE:
		if (op->back)
			return data_write_back(d, rec, src, op->bytes, op->size, op->off,
					       &ch->batch, moved);
		return data_write(d, rec, src, op->bytes, op->size, op->off, &ch->batch, moved);
	case OP_FALLOCATE:
		return data_fallocate(d, rec, src, op->mode, op->off, (off_t)op->size, &ch->batch,
				      moved);
	}
	return -EINVAL;
}

/* Where the bytes are, and nothing else, goes from one record to the other. */
static void move_place(struct inode_rec *from, struct inode_rec *to)
{
	to->where = from->where;
	to->attr.size = from->attr.size;
	to->attr.blocks = from->attr.blocks;
	to->lower_size = from->lower_size;
	to->chunk_shift = from->chunk_shift;
	free(to->origin);
	to->origin = steal_ptr(&from->origin);
}

/* Remembers the data file that is about to be changed in place. */
static int note_before(struct change *ch, const struct byte_op *op, const struct inode_rec *rec)
{
	struct attr attr = {0};
	int r;

	if (!inode_has_file(rec))
		return 0;
	r = data_attr(ch->fs->data, rec, &attr);
	/* Emptying a file that a power cut has taken is no error. */
	if (r < 0)
		return op->kind == OP_TRUNCATE && op->size == 0 ? 0 : r;
	ch->before = *rec;
	ch->before.origin = NULL;
	ch->before.attr.size = attr.size;
	ch->cut = op->kind == OP_TRUNCATE && op->size < attr.size;
	return 0;
}

/*
 * The record that data/ works on is a copy: chmod and its kin may change the real one meanwhile,
 * for they do not take the data lock of other types, and under the write lock the real one is read
 * again. The place of the bytes changes only under the data lock, which the caller holds.
 */
static int run(struct change *ch, struct inode *inode, const struct byte_op *op,
	       struct inode_rec **ret_rec)
{
	CLEANUP(inode_rec) struct inode_rec copy = {0};
	CLEANUP(lower_held) struct lower_held held = {&ch->fs->lower_files, NULL};
	const struct data_source *src = NULL;
	struct data_source source;
	bool had_file;
	int r;

	if (!S_ISREG(inode->type))
		return S_ISDIR(inode->type) ? -EISDIR : -EINVAL;
	r = record_peek(ch->fs, inode, &copy);
	/* Emptying a file reads nothing: it works although the lower file is gone. */
	if (r == 0 && !(op->kind == OP_TRUNCATE && op->size == 0))
		r = bytes_source(ch->fs, inode, &copy, &held, &source, &src);
	if (r == 0)
		r = note_before(ch, op, &copy);
	had_file = inode_has_file(&copy);
	if (r == 0)
		r = run_op(ch, op, &copy, src);
	if (r < 0)
		return r;
	if (!had_file && inode_has_file(&copy))
		ch->made = copy.attr.ino;
	change_lock(ch);
	r = change_rec(ch, inode, ret_rec);
	if (r == 0)
		move_place(&copy, *ret_rec);
	/* Of a deleted file, perhaps, that is still in use. */
	if (r == 0 && ch->moved && ((*ret_rec)->flags & INODE_LOST_NAME))
		nameless_note(ch, *ret_rec);
	if (r < 0)
		bytes_abandon(ch);
	return r;
}

int bytes_truncate(struct change *ch, struct inode *inode, uint64_t size,
		   struct inode_rec **ret_rec)
{
	return run(ch, inode, &(struct byte_op){.kind = OP_TRUNCATE, .size = size}, ret_rec);
}

int bytes_write(struct change *ch, struct inode *inode, const void *bytes, size_t size, off_t off,
		unsigned int how, struct inode_rec **ret_rec)
{
	struct byte_op op = {.kind = OP_WRITE,
			     .bytes = bytes,
			     .size = size,
			     .off = off,
			     .back = how & FS_WRITE_BACK};

	return run(ch, inode, &op, ret_rec);
}

int bytes_fallocate(struct change *ch, struct inode *inode, int mode, off_t off, off_t len,
		    struct inode_rec **ret_rec)
{
	struct byte_op op = {.kind = OP_FALLOCATE, .mode = mode, .off = off, .size = (uint64_t)len};

	return run(ch, inode, &op, ret_rec);
}

void bytes_settle(struct fs *fs, const struct inode *inode)
{
	CLEANUP(data_lock) struct data_lock *lock = NULL;

	if (fs->data == NULL || !S_ISREG(inode->type) || !data_keeps_mtime(fs->data, inode->ino))
		return;
	lock = data_lock_exclusive(&fs->data_locks, inode->ino);
	data_settle_mtime(fs->data, inode->ino);
}

void bytes_abandon(struct change *ch)
{
	uint64_t made = ch->made;

	ch->made = 0;
	/* First the write lock: giving back a large file may take its time. The data lock is still held. */
	change_done(ch);
	if (made != 0)
		(void)data_remove_file(ch->fs->data, made);
}

int bytes_commit(struct change *ch)
{
	CLEANUP(batch) struct batch none = {0};
	struct inode_rec *before = &ch->before;
	struct attr now = {0};
	bool changed;
	int r = change_commit(ch);

	/*
	 * Without a record nobody would ever delete the data file. -EIO may mean that the whole record is in the journal
	 * and cannot be taken back, so that the next mount finds it: then the file is needed.
	 */
	if (r < 0 && r != -EIO && ch->made != 0)
		bytes_abandon(ch);
	if (r == 0 || before->attr.ino == 0)
		return r;
	if (ch->cut) {
		log_debug("inode %llu is shorter, but its record could not be written",
			  (unsigned long long)before->attr.ino);
		return 0;
	}
	batch_begin(&none, ch->fs->catalog);
	if (data_attr(ch->fs->data, before, &now) < 0 || now.size <= before->attr.size ||
	    data_truncate(ch->fs->data, before, NULL, before->attr.size, &none, &changed) == 0)
		return r;
	/* What was asked for is there and cannot be taken back: no error may say that it is not. */
	log_debug("inode %llu is longer, but its record could not be written",
		  (unsigned long long)before->attr.ino);
	return before->where == BYTES_FILE ? 0 : r;
}
