/* SPDX-License-Identifier: Apache-2.0 */
/* unlink and rmdir. */
#include <errno.h>
#include <string.h>

#include "fs/nameless.h"
#include "fs/remove.h"

static void unsettle(struct fs *fs, struct inode *inode)
{
	unsigned int now = fs_seconds();

	atomic_store(&inode->unlinked, now);
	atomic_store(&fs->unlinked, now);
}

bool fs_unsettled(struct fs *fs, uint64_t ino)
{
	/* Hardly ever is there any such inode. */
	if (!fs_is_recent(atomic_load_explicit(&fs->unlinked, memory_order_relaxed)))
		return false;

	CLEANUP(held) struct held h = {fs, inode_get(fs, ino)};

	return h.inode != NULL && fs_is_recent(atomic_load(&h.inode->unlinked));
}

/*
 * A lower inode with one name needs no record to lose it: the whiteout says all there is to say, and
 * while somebody still uses it the lower file itself answers. So deleting copies nothing up.
 */
static int needs_record(struct fs *fs, const struct inode *inode, const struct attr *attr)
{
	CLEANUP(inode_rec) struct inode_rec rec = {0};
	int r;

	if (!S_ISDIR(inode->type) && attr->nlink > 1)
		return 1;
	r = record_load(fs, inode->ino, &rec);
	return r == 0 ? 1 : r == -ENOENT ? 0 : r;
}

int removal_plan(struct change *ch, struct inode *inode, const struct attr *attr,
		 enum removal *ret_removal)
{
	struct inode_rec *rec;
	int r = needs_record(ch->fs, inode, attr);

	if (r < 0)
		return r;
	if (r == 0) {
		*ret_removal = REMOVAL_GONE;
		return 0;
	}
	r = change_rec(ch, inode, &rec);
	if (r < 0)
		return r;
	rec->attr.ctime = ch->now;
	if (S_ISDIR(inode->type)) {
		rec->attr.nlink = 0;
		batch_del_entries(&ch->batch, inode->ino);
	} else if (rec->attr.nlink > 0) {
		rec->attr.nlink--;
	}
	if (rec->attr.nlink == 0)
		batch_put_orphan(&ch->batch, inode->ino);
	else
		nameless_note(ch, rec);
	*ret_removal = rec->attr.nlink == 0 ? REMOVAL_ORPHAN : REMOVAL_KEEPS;
	/* Before anybody can see the new count. */
	if (*ret_removal == REMOVAL_KEEPS)
		unsettle(ch->fs, inode);
	return 0;
}

void removal_apply(struct fs *fs, struct inode *inode, enum removal removal)
{
	/* Once more, for the commit may have waited. */
	if (removal == REMOVAL_KEEPS)
		unsettle(fs, inode);
	else
		inode->deleted = true;
	if (removal == REMOVAL_GONE)
		inode->gone = true;
	if (removal == REMOVAL_ORPHAN)
		inode_set_orphan(fs, inode, true);
}

static int check_type(struct fs *fs, struct inode *inode, bool dir)
{
	if (!dir)
		return S_ISDIR(inode->type) ? -EISDIR : 0;
	return S_ISDIR(inode->type) ? dir_check_empty(fs, inode) : -ENOTDIR;
}

static int remove_name(struct fs *fs, uint64_t parent, const char *name, bool dir)
{
	CLEANUP(held) struct held p = {fs, inode_get(fs, parent)};
	CLEANUP(held) struct held h = {fs, NULL};
	CLEANUP(change) struct change ch = {0};
	struct inode_rec *dir_rec;
	enum removal removal;
	struct attr attr;
	int r = name_check(name);

	if (r < 0)
		return r;
	if (p.inode == NULL)
		return -ESTALE;
	r = change_begin(&ch, fs);
	if (r == 0)
		r = name_resolve(fs, p.inode, name, &h.inode, &attr);
	if (r == 0)
		r = check_type(fs, h.inode, dir);
	if (r == 0)
		r = change_dir(&ch, p.inode, &dir_rec);
	if (r == 0)
		r = removal_plan(&ch, h.inode, &attr, &removal);
	if (r == 0)
		r = change_remove_name(&ch, p.inode, name);
	if (r < 0)
		return r;
	if (dir)
		rec_count_dir(dir_rec, -1);
	r = change_commit(&ch);
	if (r == 0)
		removal_apply(fs, h.inode, removal);
	return r;
}

/* Room that was needed to delete comes back from what was deleted, before somebody else has it. */
static int removed(struct fs *fs, int r)
{
	if (r == 0 && catalog_lacks_spares(fs->catalog) && data_reclaim(fs->data))
		catalog_take_spare(fs->catalog);
	return r;
}

int fs_unlink(struct fs *fs, uint64_t parent, const char *name)
{
	return removed(fs, remove_name(fs, parent, name, false));
}

int fs_rmdir(struct fs *fs, uint64_t parent, const char *name)
{
	return removed(fs, remove_name(fs, parent, name, true));
}
