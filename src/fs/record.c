/* SPDX-License-Identifier: Apache-2.0 */
/* Records read from the catalog, or imagined for what is still in a lower layer. */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "fs/private.h"

int record_load(struct fs *fs, uint64_t ino, struct inode_rec *ret_rec)
{
	return fs->catalog != NULL ? catalog_inode(fs->catalog, ino, ret_rec) : -ENOENT;
}

uint64_t fs_dir_ino(const struct fs *fs, const struct union_dir *dir)
{
	return dir == fs->root ? FS_ROOT_INO : union_dir_ino(dir);
}

/* The record that copy-up would make. */
static int record_imagine(struct inode *inode, struct inode_rec *ret_rec)
{
	CLEANUP(buf) struct buf path = {0};
	CLEANUP(inode_rec) struct inode_rec rec = {0};
	const char *name = S_ISDIR(inode->type) ? NULL : inode->name;
	int r;

	if (inode->dir == NULL)
		return -ESTALE;
	r = union_getattr(inode->dir, name, inode->part, &rec.attr);
	if (r == 0 && (S_ISREG(inode->type) || S_ISDIR(inode->type)))
		r = union_path(inode->dir, name, &path);
	if (r < 0)
		return r;
	rec.attr.ino = inode->ino;
	rec.where = BYTES_INLINE;
	if (S_ISREG(inode->type)) {
		rec.where = BYTES_LOWER;
		rec.lower_size = rec.attr.size;
	}
	if (S_ISREG(inode->type) || S_ISDIR(inode->type)) {
		rec.origin = strdup(path.len == 0 ? "" : buf_cstr(&path));
		if (rec.origin == NULL)
			return -ENOMEM;
	}
	*ret_rec = rec;
	rec.origin = NULL;
	return 0;
}

int record_peek(struct fs *fs, struct inode *inode, struct inode_rec *ret_rec)
{
	int r = record_load(fs, inode->ino, ret_rec);

	return r == -ENOENT ? record_imagine(inode, ret_rec) : r;
}

/* Does the record still need what its origin names? */
static bool needs_lower(const struct inode_rec *rec)
{
	if (rec->origin == NULL)
		return false;
	return S_ISDIR(rec->attr.mode) || rec->where == BYTES_LOWER || rec->where == BYTES_CHUNKS;
}

/*
 * What is not there is not there: the layers were changed. Everything else says nothing of what is there, and may be over in a
 * moment; a directory without its lower part would be shown empty, and could be removed, for as long as the kernel knows it.
 */
static bool is_gone(int r)
{
	return r == -ENOENT || r == -ENOTDIR;
}

int record_lower(struct fs *fs, const struct inode_rec *rec, struct union_ref *ret_ref)
{
	CLEANUP(union_ref) struct union_ref ref = {0};
	unsigned long long ino = rec->attr.ino;
	int r;

	if (!needs_lower(rec))
		return 0;
	r = union_walk(fs->stack, rec->origin, &ref);
	if (r < 0 && !is_gone(r)) {
		log_warn("inode %llu: its lower part \"%s\" cannot be looked at: %s", ino,
			 rec->origin, strerror(-r));
		return r;
	}
	if (r == 0 && (ref.attr.mode & S_IFMT) != (rec->attr.mode & S_IFMT))
		r = -ESTALE;
	if (r < 0) {
		/* The name stays usable; what showed through it does not. */
		log_error("inode %llu: its lower part \"%s\" is not in the layers any more: %s",
			  ino, rec->origin, strerror(-r));
		return 0;
	}
	*ret_ref = ref;
	memset(&ref, 0, sizeof(ref));
	return 0;
}
