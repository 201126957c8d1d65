/* SPDX-License-Identifier: Apache-2.0 */
/* Looking names up: the catalog first, then the layers. */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/sys.h"
#include "fs/private.h"

int name_check(const char *name)
{
	size_t len = strnlen(name, NAME_MAX + 1);

	if (len > NAME_MAX)
		return -ENAMETOOLONG;
	if (len == 0 || sys_is_dots(name))
		return -EINVAL;
	return strchr(name, '/') != NULL ? -EINVAL : 0;
}

/*
 * What is put into the catalog for names below REC's directory is put under the number that its own name leads to. That
 * is the number it had when it was copied up, and the layers may have another for it by now. 0 or -errno; 1: another
 * record has the same lower directory, which an upper may have that was changed over different layers: only one of
 * them can be shown with what lies in the layers.
 */
static int take_lower_dir(struct fs *fs, struct union_dir *dir, const struct inode_rec *rec)
{
	CLEANUP(inode_rec) struct inode_rec other = {0};
	uint64_t have = union_dir_ino(dir);
	int r;

	if (have == rec->attr.ino)
		return 0;
	r = record_load(fs, have, &other);
	if (r < 0 && r != -ENOENT)
		return r;
	if (r == 0 && S_ISDIR(other.attr.mode) && rec->origin != NULL && other.origin != NULL &&
	    strcmp(rec->origin, other.origin) == 0) {
		log_warn("inode %llu is shown without what its layers have in \"%s\": inode %llu "
			 "is the same directory",
			 (unsigned long long)rec->attr.ino, rec->origin, (unsigned long long)have);
		return 1;
	}
	union_dir_set_ino(dir, rec->attr.ino);
	return 0;
}

/* An inode that is not in memory, made of its record, with its lower part where it has one. */
static int inode_of_rec(struct fs *fs, uint64_t ino, struct inode **ret_inode)
{
	CLEANUP(inode_rec) struct inode_rec rec = {0};
	CLEANUP(union_ref) struct union_ref ref = {0};
	const char *slash;
	int r = record_load(fs, ino, &rec);

	if (r == 0)
		r = record_lower(fs, &rec, &ref);
	if (r == 0 && ref.dir != NULL && S_ISDIR(rec.attr.mode))
		r = take_lower_dir(fs, ref.dir, &rec);
	if (r < 0)
		return r;
	if (r > 0)
		union_ref_done(&ref);
	slash = rec.origin != NULL ? strrchr(rec.origin, '/') : NULL;
	*ret_inode = inodes_obtain(&fs->inodes, ino, rec.attr.mode, ref.dir != NULL ? &ref : NULL,
				   slash != NULL ? slash + 1 : rec.origin);
	return *ret_inode != NULL ? 0 : -ENOMEM;
}

/*
 * The inode that has the record INO; -ENOENT when there is no such record. Its attributes are read
 * once it is held: from then on neither its record nor its bytes can be taken away.
 */
static int inode_of_number(struct fs *fs, uint64_t ino, struct inode **ret_inode,
			   struct attr *ret_attr)
{
	CLEANUP(held) struct held h = {fs, inodes_find(&fs->inodes, ino)};
	CLEANUP(inode_rec) struct inode_rec rec = {0};
	struct attr attr;
	int r = h.inode == NULL ? inode_of_rec(fs, ino, &h.inode) : 0;

	if (r == 0)
		r = record_load(fs, ino, &rec);
	/* Its last user may be about to take it away. */
	if (r == 0 && rec.attr.nlink == 0)
		r = -ENOENT;
	if (r < 0)
		return r;
	attr = rec.attr;
	r = data_attr(fs->data, &rec, &attr);
	if (r < 0)
		return r;
	*ret_inode = steal_ptr(&h.inode);
	*ret_attr = attr;
	return 0;
}

int inode_of_entry(struct fs *fs, uint64_t ino, struct inode **ret_inode, struct attr *ret_attr)
{
	int r = inode_of_number(fs, ino, ret_inode, ret_attr);

	/* A name without an inode is damage, not a missing name. */
	return r == -ENOENT ? -EUCLEAN : r;
}

/* 1, 0 or -errno: is there a record INO? */
static int has_record(struct fs *fs, uint64_t ino)
{
	CLEANUP(inode_rec) struct inode_rec rec = {0};
	int r = record_load(fs, ino, &rec);

	return r == 0 ? 1 : r == -ENOENT ? 0 : r;
}

/*
 * 1, 0 or -errno: is REC, whose number the lower file REF has, that file's? Its origin is another name of REF then. When
 * nothing of the lower file is left in a record there is no origin, and the number and what cannot change have to do.
 */
static int is_record_of(struct fs *fs, const struct inode_rec *rec, const struct union_ref *ref)
{
	CLEANUP(union_ref) struct union_ref origin = {0};
	const struct attr *a = &rec->attr, *b = &ref->attr;
	int r;

	if (((a->mode ^ b->mode) & S_IFMT) != 0)
		return 0;
	if (rec->origin == NULL && (fs->renumbered || (rec->flags & INODE_OTHER_LAYERS)))
		return 0;
	if (rec->origin == NULL)
		return a->rdev_major == b->rdev_major && a->rdev_minor == b->rdev_minor &&
		       (!S_ISLNK(a->mode) || a->size == b->size);
	r = union_walk(fs->stack, rec->origin, &origin);
	if (r < 0)
		return r == -ENOENT || r == -ENOTDIR ? 0 : r;
	return origin.attr.ino == b->ino;
}

/* REF is one of several names of a lower file: -ENOENT when none of them was copied up. 1 as inode_of_ref(). */
static int inode_of_link(struct fs *fs, const struct union_ref *ref, struct inode **ret_inode,
			 struct attr *ret_attr)
{
	CLEANUP(inode_rec) struct inode_rec rec = {0};
	int r = record_load(fs, ref->attr.ino, &rec);

	if (r < 0)
		return r;
	r = is_record_of(fs, &rec, ref);
	if (r <= 0)
		return r < 0 ? r : 1;
	return inode_of_number(fs, ref->attr.ino, ret_inode, ret_attr);
}

/*
 * What the layers have under a name without an entry. Copying an inode up puts its name into the
 * catalog, so what is found here has no record, unless it is another name of a hard link that was
 * copied up. 0 or -errno; 1: the record under its number is not known to be its own.
 */
static int inode_of_ref(struct fs *fs, const char *name, struct union_ref *ref,
			struct inode **ret_inode, struct attr *ret_attr)
{
	struct inode *inode;
	struct attr attr;
	int r;

	if (fs->catalog != NULL && ref->attr.nlink > 1 && !S_ISDIR(ref->attr.mode)) {
		r = inode_of_link(fs, ref, ret_inode, ret_attr);
		if (r != -ENOENT)
			return r;
	} else if (fs->catalog != NULL) {
		r = has_record(fs, ref->attr.ino);
		if (r != 0)
			return r;
	}
	attr = ref->attr;
	inode = inodes_obtain(&fs->inodes, attr.ino, attr.mode, ref, name);
	if (inode == NULL)
		return -ENOMEM;
	*ret_inode = inode;
	*ret_attr = attr;
	return 0;
}

/* By the catalog's entry: 0 or -errno; 1: there is none, and the layers are to be asked. */
static int resolve_entry(struct fs *fs, struct inode *dir, const char *name,
			 struct inode **ret_inode, struct attr *ret_attr)
{
	struct entry_rec entry;
	int r = -ENOENT;

	if (!S_ISDIR(dir->type))
		return -ENOTDIR;
	if (fs->catalog != NULL)
		r = catalog_entry(fs->catalog, dir->ino, name, strlen(name), &entry);
	if (r == 0)
		return entry_is_whiteout(&entry)
			       ? -ENOENT
			       : inode_of_entry(fs, entry.ino, ret_inode, ret_attr);
	return r != -ENOENT || dir->dir == NULL || inode_removed(dir) ? r : 1;
}

/*
 * NAME, which had no entry, in the layers. Where a record has its number another thread may have copied it up since its entry
 * was looked for: then it has one by now, for both come in one batch. If it still has none, the record is another inode's, as the
 * layers are not those that the upper was made over, or were changed under it: an error is better than the other's bytes
 * under this name.
 */
static int resolve_ref(struct fs *fs, struct inode *dir, const char *name, struct union_ref *ref,
		       struct inode **ret_inode, struct attr *ret_attr)
{
	int r = inode_of_ref(fs, name, ref, ret_inode, ret_attr);

	if (r <= 0)
		return r;
	r = resolve_entry(fs, dir, name, ret_inode, ret_attr);
	if (r <= 0)
		return r;
	log_error("\"%s\" in inode %llu: its lower file has the inode number of another that was "
		  "copied up; were the layers changed?",
		  name, (unsigned long long)dir->ino);
	return -ESTALE;
}

int name_resolve(struct fs *fs, struct inode *dir, const char *name, struct inode **ret_inode,
		 struct attr *ret_attr)
{
	CLEANUP(union_ref) struct union_ref ref = {0};
	int r = resolve_entry(fs, dir, name, ret_inode, ret_attr);

	if (r <= 0)
		return r;
	r = union_lookup(dir->dir, name, &ref);
	return r < 0 ? r : resolve_ref(fs, dir, name, &ref, ret_inode, ret_attr);
}

int name_resolve_listed(struct fs *fs, struct inode *dir, const struct union_list *list,
			const struct union_name *name, struct inode **ret_inode,
			struct attr *ret_attr)
{
	CLEANUP(union_ref) struct union_ref ref = {0};
	int r = resolve_entry(fs, dir, name->name, ret_inode, ret_attr);

	if (r <= 0)
		return r;
	r = union_lookup_listed(dir->dir, list, name, &ref);
	return r < 0 ? r : resolve_ref(fs, dir, name->name, &ref, ret_inode, ret_attr);
}

void entry_fill(struct fs *fs, struct inode *inode, const struct attr *attr,
		struct fs_entry *ret_entry)
{
	inodes_count(&fs->inodes, inode);
	ret_entry->ino = inode->ino;
	ret_entry->attr = *attr;
	attr_show(fs, &ret_entry->attr);
}

int fs_lookup(struct fs *fs, uint64_t parent, const char *name, struct fs_entry *ret_entry)
{
	CLEANUP(held) struct held dir = {fs, inode_get(fs, parent)};
	CLEANUP(held) struct held found = {fs, NULL};
	struct attr attr;
	int r = name_check(name);

	if (r < 0)
		return r;
	if (dir.inode == NULL)
		return -ESTALE;
	if (dir.inode->dir != NULL)
		union_asked(dir.inode->dir);
	r = name_resolve(fs, dir.inode, name, &found.inode, &attr);
	if (r == 0)
		entry_fill(fs, found.inode, &attr, ret_entry);
	return r;
}

struct inode *inode_get(struct fs *fs, uint64_t ino)
{
	return inodes_find(&fs->inodes, ino);
}

/* The last user of an inode without a name takes its record and its bytes along. */
static void inode_reap(struct fs *fs, struct inode *inode)
{
	lower_file_drop(&fs->lower_files, inode->ino);
	/* One that cannot be erased is an orphan at the next open. */
	if (inode->orphan && fs->catalog != NULL && !fs->read_only)
		(void)orphans_erase(fs, &inode->ino, 1);
	inode_set_orphan(fs, inode, false);
	bytes_settle(fs, inode);
	inode_free(inode);
}

void inode_put(struct fs *fs, struct inode *inode)
{
	if (inodes_drop(&fs->inodes, inode, 0))
		inode_reap(fs, inode);
}

/* Looked at after so many inodes have gone. */
#define FORGOTTEN_STEP 1024

/*
 * When as many inodes were forgotten as are left, the memory of those goes back to the system. So
 * the cost, which grows with those that are left, is spread over those that went.
 */
static void count_forgotten(struct fs *fs)
{
	size_t n = atomic_fetch_add_explicit(&fs->forgotten, 1, memory_order_relaxed) + 1;

	if (n % FORGOTTEN_STEP != 0 || n < inodes_held(&fs->inodes))
		return;
	atomic_store_explicit(&fs->forgotten, 0, memory_order_relaxed);
	mem_give_back();
}

void fs_forget(struct fs *fs, uint64_t ino, uint64_t n)
{
	struct inode *inode = inode_get(fs, ino);

	if (inode == NULL)
		return;
	/* The root stays: the kernel forgets it once, at the end. */
	if (!inodes_drop(&fs->inodes, inode, ino == FS_ROOT_INO ? 0 : n))
		return;
	inode_reap(fs, inode);
	count_forgotten(fs);
}
