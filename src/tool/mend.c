/* SPDX-License-Identifier: Apache-2.0 */
/* What mends findings of several passes. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tool/private.h"

#define LOST_FOUND "lost+found"

/* What can be said of an inode whose record is lost: it is the owner's of the tree, and nobody
 * else's business. */
static int fresh_record(struct fsck *f, const struct node *n, struct inode_rec *ret_rec)
{
	CLEANUP(inode_rec) struct inode_rec root = {0};
	struct inode_rec rec = {.attr = {.ino = n->ino}};

	if (catalog_inode(f->catalog, CATALOG_ROOT_INO, &root) == 0) {
		rec.attr.uid = root.attr.uid;
		rec.attr.gid = root.attr.gid;
	}
	clock_gettime(CLOCK_REALTIME_COARSE, &rec.attr.ctime);
	rec.attr.atime = rec.attr.mtime = rec.attr.ctime;
	/* The root always shows the root of the lower layers. */
	if (n->ino == CATALOG_ROOT_INO) {
		rec.origin = strdup("");
		if (rec.origin == NULL)
			return -ENOMEM;
	}
	*ret_rec = rec;
	return 0;
}

int mend_put(struct fsck *f, const struct node *n)
{
	CLEANUP(inode_rec) struct inode_rec rec = {0};
	int r;

	if (!f->repair)
		return 0;
	r = catalog_inode(f->catalog, n->ino, &rec);
	if (r == -ENOENT && n->is_fresh)
		r = fresh_record(f, n, &rec);
	if (r < 0)
		return r;
	rec.attr.mode = n->mode;
	rec.attr.nlink = n->nlink;
	rec.attr.size = n->size;
	rec.flags = n->flags;
	rec.parent = n->parent;
	rec.where = n->where;
	if (!n->has_origin) {
		free(rec.origin);
		rec.origin = NULL;
	}
	if (rec.where == BYTES_INLINE || rec.where == BYTES_FILE) {
		rec.lower_size = 0;
		rec.chunk_shift = 0;
	}
	batch_put_inode(&f->batch, &rec);
	return 0;
}

void mend_drop_name(struct fsck *f, uint64_t parent, const char *name, size_t len)
{
	const struct node *dir = find_node(f, parent);

	if (dir != NULL && node_is_dir(dir) && dir->has_origin)
		batch_put_whiteout(&f->batch, parent, name, len);
	else
		batch_del_entry(&f->batch, parent, name, len);
}

struct name_search {
	struct fsck *f;
	uint64_t ino;
};

static int drop_if_name_of(void *arg, const struct catalog_raw *raw)
{
	struct fsck *f = ((struct name_search *)arg)->f;
	struct entry_key key;

	if (raw->value_len == ENTRY_VALUE_SIZE && raw->value[0] != DT_WHT &&
	    get_le64(raw->value + 1) == ((struct name_search *)arg)->ino &&
	    entry_key_of(raw->key, raw->key_len, &key))
		mend_drop_name(f, key.parent, key.name, key.len);
	return 0;
}

int mend_drop_names(struct fsck *f, struct node *n)
{
	struct name_search s = {.f = f, .ino = n->ino};
	int r = 0;

	if (f->repair && n->n_names > 0)
		r = catalog_walk(f->catalog, TABLE_ENTRY, drop_if_name_of, &s);
	n->n_names = 0;
	n->up = 0;
	return r;
}

/* A directory more in DIR. */
static int count_dir(struct fsck *f, struct node *dir)
{
	dir->n_dirs++;
	if (dir->nlink > 1)
		dir->nlink++;
	return mend_put(f, dir);
}

int mend_root(struct fsck *f)
{
	struct node *root = get_node(f, CATALOG_ROOT_INO);

	if (root == NULL)
		return -ENOMEM;
	root->has_record = root->is_fresh = root->has_origin = true;
	root->mode = S_IFDIR | 0755;
	root->nlink = 1;
	root->parent = CATALOG_ROOT_INO;
	root->where = BYTES_INLINE;
	return mend_put(f, root);
}

static int make_lost_found(struct fsck *f, const char *name)
{
	struct node *root = get_node(f, CATALOG_ROOT_INO), *n;
	uint64_t ino;
	int r = node_new_ino(f, &ino);

	if (r < 0)
		return r;
	n = get_node(f, ino);
	if (n == NULL || root == NULL || !set_node_name(f, n, CATALOG_ROOT_INO, name, strlen(name)))
		return -ENOMEM;
	/* Where there is a single file and nothing else. */
	if (!root->has_record)
		r = mend_root(f);
	if (r < 0)
		return r;
	n->has_record = n->is_fresh = true;
	n->mode = S_IFDIR | 0700;
	n->nlink = 2;
	n->n_names = 1;
	n->parent = CATALOG_ROOT_INO;
	f->lost_found = n->ino;
	batch_put_entry(&f->batch, CATALOG_ROOT_INO, name, strlen(name), n->ino, DT_DIR);
	r = mend_put(f, n);
	return r < 0 ? r : count_dir(f, root);
}

/* The directory of that name in the root, or one of another name if something else has it. */
static int find_lost_found(struct fsck *f)
{
	char name[32] = LOST_FOUND;

	if (f->lost_found != 0)
		return 0;
	for (int i = 1; i <= 100; i++) {
		struct entry_rec entry;
		const struct node *n;
		int r = catalog_entry(f->catalog, CATALOG_ROOT_INO, name, strlen(name), &entry);

		if (r == -ENOENT || (r == 0 && entry_is_whiteout(&entry)))
			return make_lost_found(f, name);
		n = r == 0 ? find_node(f, entry.ino) : NULL;
		if (n != NULL && node_is_dir(n) && n->up == CATALOG_ROOT_INO && n->nlink != 0) {
			f->lost_found = n->ino;
			return 0;
		}
		snprintf(name, sizeof(name), LOST_FOUND "-%d", i);
	}
	return -EEXIST;
}

int mend_attach(struct fsck *f, struct node *n)
{
	return mend_attach_as(f, n, n->ino);
}

int mend_attach_as(struct fsck *f, struct node *n, uint64_t number)
{
	struct entry_rec entry;
	struct node *dir;
	char name[48];
	int r = find_lost_found(f);

	if (r < 0)
		return r;
	dir = find_node(f, f->lost_found);
	snprintf(name, sizeof(name), "#%" PRIu64, number);
	for (int i = 1; catalog_entry(f->catalog, dir->ino, name, strlen(name), &entry) == 0; i++)
		snprintf(name, sizeof(name), "#%" PRIu64 "-%d", number, i);
	if (!set_node_name(f, n, dir->ino, name, strlen(name)))
		return -ENOMEM;
	n->n_names = 1;
	if (S_ISDIR(n->mode)) {
		n->parent = dir->ino;
		if (n->nlink == 0)
			n->nlink = 1;
		r = count_dir(f, dir);
	} else {
		n->nlink = 1;
	}
	batch_put_entry(&f->batch, dir->ino, name, strlen(name), n->ino, attr_dtype(n->mode));
	return r < 0 ? r : mend_put(f, n);
}
