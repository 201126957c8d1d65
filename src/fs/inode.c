/* SPDX-License-Identifier: Apache-2.0 */
/* The table of inodes. */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "fs/inode.h"

static uint64_t ino_hash(uint64_t ino)
{
	return hash64(&ino, sizeof(ino), 0);
}

int inodes_init(struct inodes *t)
{
	int r = table_init(&t->table);

	if (r < 0)
		return r;
	r = -pthread_mutex_init(&t->lock, NULL);
	if (r < 0)
		table_done(&t->table);
	return r;
}

static void free_node(struct table_node *node, void *arg)
{
	(void)arg;
	inode_free(table_entry(node, struct inode, node));
}

void inodes_done(struct inodes *t)
{
	if (t->table.buckets == NULL)
		return;
	table_each(&t->table, free_node, NULL);
	table_done(&t->table);
	pthread_mutex_destroy(&t->lock);
}

void inode_free(struct inode *inode)
{
	if (inode == NULL)
		return;
	union_data_free(inode->data);
	union_dir_unref(inode->dir);
	free(inode);
}

static struct inode *find_locked(struct inodes *t, uint64_t ino, uint64_t hash)
{
	struct table_node *n;

	for (n = table_first(&t->table, hash); n != NULL; n = table_next(n)) {
		struct inode *inode = table_entry(n, struct inode, node);

		if (inode->ino == ino) {
			inode->refs++;
			return inode;
		}
	}
	return NULL;
}

struct inode *inodes_find(struct inodes *t, uint64_t ino)
{
	uint64_t hash = ino_hash(ino);
	struct inode *inode;

	pthread_mutex_lock(&t->lock);
	inode = find_locked(t, ino, hash);
	pthread_mutex_unlock(&t->lock);
	return inode;
}

static struct inode *inode_new(uint64_t ino, uint32_t type, struct union_ref *ref, const char *name)
{
	const char *kept = ref != NULL && !S_ISDIR(type) ? name : "";
	size_t len = strlen(kept);
	struct inode *inode = calloc(1, sizeof(*inode) + len + 1);

	if (inode == NULL)
		return NULL;
	inode->ino = ino;
	inode->type = type & S_IFMT;
	inode->refs = 1;
	if (ref != NULL) {
		inode->dir = steal_ptr(&ref->dir);
		inode->data = steal_ptr(&ref->data);
		inode->part = ref->part;
	}
	memcpy(inode->name, kept, len + 1);
	return inode;
}

struct inode *inodes_obtain(struct inodes *t, uint64_t ino, uint32_t type, struct union_ref *ref,
			    const char *name)
{
	uint64_t hash = ino_hash(ino);
	struct inode *inode, *fresh = NULL;

	pthread_mutex_lock(&t->lock);
	inode = find_locked(t, ino, hash);
	if (inode == NULL) {
		inode = fresh = inode_new(ino, type, ref, name);
		if (fresh != NULL)
			table_add(&t->table, &fresh->node, hash);
	}
	pthread_mutex_unlock(&t->lock);
	/* Outside the lock: the last reference to a directory may close descriptors. */
	if (ref != NULL)
		union_ref_done(ref);
	return inode;
}

struct inode *inodes_ref(struct inodes *t, struct inode *inode)
{
	pthread_mutex_lock(&t->lock);
	inode->refs++;
	pthread_mutex_unlock(&t->lock);
	return inode;
}

bool inodes_drop(struct inodes *t, struct inode *inode, uint64_t lookups)
{
	bool last;

	pthread_mutex_lock(&t->lock);
	inode->refs--;
	inode->nlookup -= lookups < inode->nlookup ? lookups : inode->nlookup;
	last = inode->refs == 0 && inode->nlookup == 0;
	if (last)
		table_del(&t->table, &inode->node);
	pthread_mutex_unlock(&t->lock);
	return last;
}

void inodes_count(struct inodes *t, struct inode *inode)
{
	pthread_mutex_lock(&t->lock);
	inode->nlookup++;
	pthread_mutex_unlock(&t->lock);
}

size_t inodes_held(struct inodes *t)
{
	size_t n;

	pthread_mutex_lock(&t->lock);
	n = t->table.count;
	pthread_mutex_unlock(&t->lock);
	return n;
}
