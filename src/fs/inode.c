/* SPDX-License-Identifier: Apache-2.0 */
/* The table of inodes. */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "fs/inode.h"

/* The table uses the upper bits of the hash's product; the stripe takes the lowest. */
static struct inodes_stripe *stripe_of(struct inodes *t, uint64_t hash)
{
	return &t->stripes[hash % INODES_STRIPES];
}

int inodes_init(struct inodes *t)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < INODES_STRIPES; i++) {
		r = table_init(&t->stripes[i].table);
		if (r == 0)
			r = -pthread_mutex_init(&t->stripes[i].lock, NULL);
	}
	return r;
}

static void free_node(struct table_node *node, void *arg)
{
	(void)arg;
	inode_free(table_entry(node, struct inode, node));
}

void inodes_done(struct inodes *t)
{
	for (size_t i = 0; i < INODES_STRIPES; i++) {
		if (t->stripes[i].table.buckets == NULL)
			return;
		table_each(&t->stripes[i].table, free_node, NULL);
		table_done(&t->stripes[i].table);
		pthread_mutex_destroy(&t->stripes[i].lock);
	}
}

struct each {
	void (*fn)(struct inode *inode, void *arg);
	void *arg;
};

static void call(struct table_node *node, void *arg)
{
	const struct each *e = arg;

	e->fn(table_entry(node, struct inode, node), e->arg);
}

void inodes_each(struct inodes *t, void (*fn)(struct inode *inode, void *arg), void *arg)
{
	struct each e = {fn, arg};

	for (size_t i = 0; i < INODES_STRIPES; i++)
		table_each(&t->stripes[i].table, call, &e);
}

void inode_free(struct inode *inode)
{
	if (inode == NULL)
		return;
	union_data_free(inode->data);
	union_dir_unref(inode->dir);
	free(inode);
}

static struct inode *find_locked(struct inodes_stripe *s, uint64_t ino, uint64_t hash)
{
	struct table_node *n;

	for (n = table_first(&s->table, hash); n != NULL; n = table_next(n)) {
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
	uint64_t hash = hash_number(ino);
	struct inodes_stripe *s = stripe_of(t, hash);
	struct inode *inode;

	pthread_mutex_lock(&s->lock);
	inode = find_locked(s, ino, hash);
	pthread_mutex_unlock(&s->lock);
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
	uint64_t hash = hash_number(ino);
	struct inodes_stripe *s = stripe_of(t, hash);
	struct inode *inode, *fresh = NULL;

	pthread_mutex_lock(&s->lock);
	inode = find_locked(s, ino, hash);
	if (inode == NULL) {
		inode = fresh = inode_new(ino, type, ref, name);
		if (fresh != NULL)
			table_add(&s->table, &fresh->node, hash);
	}
	pthread_mutex_unlock(&s->lock);
	/* Outside the lock: the last reference to a directory may close descriptors. */
	if (ref != NULL)
		union_ref_done(ref);
	return inode;
}

bool inodes_drop(struct inodes *t, struct inode *inode, uint64_t lookups)
{
	struct inodes_stripe *s = stripe_of(t, inode->node.hash);
	bool last;

	pthread_mutex_lock(&s->lock);
	inode->refs--;
	inode->nlookup -= lookups < inode->nlookup ? lookups : inode->nlookup;
	last = inode->refs == 0 && inode->nlookup == 0;
	if (last)
		table_del(&s->table, &inode->node);
	pthread_mutex_unlock(&s->lock);
	return last;
}

void inodes_count(struct inodes *t, struct inode *inode)
{
	struct inodes_stripe *s = stripe_of(t, inode->node.hash);

	pthread_mutex_lock(&s->lock);
	inode->nlookup++;
	pthread_mutex_unlock(&s->lock);
}

void inodes_keep(struct inodes *t, struct inode *inode)
{
	struct inodes_stripe *s = stripe_of(t, inode->node.hash);

	pthread_mutex_lock(&s->lock);
	inode->nlookup++;
	inode->refs--;
	pthread_mutex_unlock(&s->lock);
}

size_t inodes_held(struct inodes *t)
{
	size_t n = 0;

	for (size_t i = 0; i < INODES_STRIPES; i++) {
		pthread_mutex_lock(&t->stripes[i].lock);
		n += t->stripes[i].table.count;
		pthread_mutex_unlock(&t->stripes[i].lock);
	}
	return n;
}
