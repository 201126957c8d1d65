/* SPDX-License-Identifier: Apache-2.0 */
/* The cache of open lower files: a table by inode and a list by use. */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/hash.h"
#include "fs/lower.h"

struct lower_file {
	struct table_node node;
	uint64_t ino;
	struct layer_file *file;	  /* owned */
	uint32_t refs;			  /* users; protected by lower_files.lock */
	bool dropped;			  /* out of the table; freed by its last user */
	struct lower_file *newer, *older; /* in the list while refs == 0 */
};

int lower_files_init(struct lower_files *t)
{
	int r = table_init(&t->table);

	return r < 0 ? r : -pthread_mutex_init(&t->lock, NULL);
}

void lower_files_keep(struct lower_files *t, size_t max)
{
	pthread_mutex_lock(&t->lock);
	t->max = max;
	pthread_mutex_unlock(&t->lock);
}

static void file_free(struct lower_file *f)
{
	if (f == NULL)
		return;
	layer_file_close(f->file);
	free(f);
}

static void free_node(struct table_node *node, void *arg)
{
	(void)arg;
	file_free(table_entry(node, struct lower_file, node));
}

void lower_files_done(struct lower_files *t)
{
	if (t->table.buckets == NULL)
		return;
	table_each(&t->table, free_node, NULL);
	table_done(&t->table);
	pthread_mutex_destroy(&t->lock);
}

static void list_add(struct lower_files *t, struct lower_file *f)
{
	f->newer = NULL;
	f->older = t->newest;
	if (t->newest != NULL)
		t->newest->newer = f;
	else
		t->oldest = f;
	t->newest = f;
}

static void list_del(struct lower_files *t, struct lower_file *f)
{
	if (f->newer != NULL)
		f->newer->older = f->older;
	else
		t->newest = f->older;
	if (f->older != NULL)
		f->older->newer = f->newer;
	else
		t->oldest = f->newer;
}

static struct lower_file *find_locked(struct lower_files *t, uint64_t ino)
{
	struct table_node *n;

	for (n = table_first(&t->table, hash_number(ino)); n != NULL; n = table_next(n)) {
		struct lower_file *f = table_entry(n, struct lower_file, node);

		if (f->ino == ino)
			return f;
	}
	return NULL;
}

/* Takes a use of F; the caller holds the lock. */
static struct lower_file *use_locked(struct lower_files *t, struct lower_file *f)
{
	if (f->refs++ == 0)
		list_del(t, f);
	return f;
}

/* Takes the oldest unused file out when there are too many; the caller frees it unlocked. */
static struct lower_file *evict_locked(struct lower_files *t)
{
	struct lower_file *f = t->oldest;

	if (t->table.count <= t->max || f == NULL)
		return NULL;
	list_del(t, f);
	table_del(&t->table, &f->node);
	return f;
}

static struct lower_file *add_or_use(struct lower_files *t, struct lower_file *fresh,
				     struct lower_file **ret_unused)
{
	struct lower_file *f;

	pthread_mutex_lock(&t->lock);
	f = find_locked(t, fresh->ino);
	if (f != NULL) {
		use_locked(t, f);
		*ret_unused = fresh;
	} else {
		f = fresh;
		table_add(&t->table, &f->node, hash_number(f->ino));
		*ret_unused = evict_locked(t);
	}
	pthread_mutex_unlock(&t->lock);
	return f;
}

int lower_file_get(struct lower_files *t, const struct inode *inode, struct lower_file **ret_file)
{
	struct lower_file *f, *unused;
	int r;

	if (inode->dir == NULL || !S_ISREG(inode->type))
		return -EIO;
	pthread_mutex_lock(&t->lock);
	f = find_locked(t, inode->ino);
	if (f != NULL)
		use_locked(t, f);
	pthread_mutex_unlock(&t->lock);
	if (f != NULL) {
		*ret_file = f;
		return 0;
	}
	f = calloc(1, sizeof(*f));
	if (f == NULL)
		return -ENOMEM;
	f->ino = inode->ino;
	f->refs = 1;
	r = union_open(inode->dir, inode->name, inode->part, inode->data, &f->file);
	if (r < 0) {
		free(f);
		return r;
	}
	*ret_file = add_or_use(t, f, &unused);
	file_free(unused);
	return 0;
}

void lower_file_put(struct lower_files *t, struct lower_file *f)
{
	struct lower_file *unused = NULL;

	if (f == NULL)
		return;
	pthread_mutex_lock(&t->lock);
	if (--f->refs == 0) {
		if (f->dropped) {
			unused = f;
		} else {
			list_add(t, f);
			unused = evict_locked(t);
		}
	}
	pthread_mutex_unlock(&t->lock);
	file_free(unused);
}

void lower_file_drop(struct lower_files *t, uint64_t ino)
{
	struct lower_file *f;

	pthread_mutex_lock(&t->lock);
	f = find_locked(t, ino);
	if (f != NULL) {
		table_del(&t->table, &f->node);
		if (f->refs == 0) {
			list_del(t, f);
		} else {
			f->dropped = true;
			f = NULL;
		}
	}
	pthread_mutex_unlock(&t->lock);
	file_free(f);
}

ssize_t lower_file_read(struct lower_file *f, void *bytes, size_t size, off_t off)
{
	return layer_file_read(f->file, bytes, size, off);
}

off_t lower_file_seek(struct lower_file *f, off_t off, int whence)
{
	return layer_file_seek(f->file, off, whence);
}

int lower_held_fd(struct lower_held *h, const struct inode *inode)
{
	int r = lower_file_get(h->files, inode, &h->file);

	return r < 0 ? r : layer_file_fd(h->file->file);
}

static ssize_t source_read(void *arg, void *bytes, size_t size, off_t off)
{
	return lower_file_read(arg, bytes, size, off);
}

static off_t source_seek(void *arg, off_t off, int whence)
{
	return lower_file_seek(arg, off, whence);
}

void lower_file_source(struct lower_file *f, struct data_source *ret_source)
{
	int fd = layer_file_fd(f->file);

	*ret_source = (struct data_source){
		.read = source_read,
		.seek = source_seek,
		.arg = f,
		.fd = fd >= 0 ? fd : -1,
	};
}
