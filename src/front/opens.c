/* SPDX-License-Identifier: Apache-2.0 */
/* The table of open files. */
#include "front/opens.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/hash.h"

struct open_inode {
	struct table_node node;
	uint64_t ino;
	uint64_t n; /* opens */
	int id;
};

int opens_init(struct opens *t)
{
	int r = table_init(&t->table);

	return r < 0 ? r : -pthread_mutex_init(&t->lock, NULL);
}

static void free_node(struct table_node *node, void *arg)
{
	(void)arg;
	free(table_entry(node, struct open_inode, node));
}

void opens_done(struct opens *t)
{
	if (t->table.buckets == NULL)
		return;
	table_each(&t->table, free_node, NULL);
	table_done(&t->table);
	pthread_mutex_destroy(&t->lock);
}

static struct open_inode *find_locked(struct opens *t, uint64_t ino)
{
	struct table_node *n;

	for (n = table_first(&t->table, hash_number(ino)); n != NULL; n = table_next(n)) {
		struct open_inode *o = table_entry(n, struct open_inode, node);

		if (o->ino == ino)
			return o;
	}
	return NULL;
}

int opens_join(struct opens *t, uint64_t ino, int *ret_id)
{
	struct open_inode *o;

	pthread_mutex_lock(&t->lock);
	o = find_locked(t, ino);
	if (o != NULL) {
		o->n++;
		*ret_id = o->id;
	}
	pthread_mutex_unlock(&t->lock);
	return o != NULL;
}

int opens_add(struct opens *t, uint64_t ino, int id, int *ret_id)
{
	CLEANUP(free) struct open_inode *fresh = calloc(1, sizeof(*fresh));
	struct open_inode *o;

	if (fresh == NULL)
		return -ENOMEM;
	fresh->ino = ino;
	fresh->id = id;
	pthread_mutex_lock(&t->lock);
	o = find_locked(t, ino);
	if (o == NULL) {
		o = steal_ptr(&fresh);
		table_add(&t->table, &o->node, hash_number(ino));
	}
	o->n++;
	*ret_id = o->id;
	pthread_mutex_unlock(&t->lock);
	return 0;
}

int opens_drop(struct opens *t, uint64_t ino)
{
	CLEANUP(free) struct open_inode *last = NULL;
	struct open_inode *o;

	pthread_mutex_lock(&t->lock);
	o = find_locked(t, ino);
	if (o != NULL && --o->n == 0) {
		table_del(&t->table, &o->node);
		last = o;
	}
	pthread_mutex_unlock(&t->lock);
	return last != NULL ? last->id : OPENS_CACHED;
}
