/* SPDX-License-Identifier: Apache-2.0 */
/* The LMDB environment and its one write transaction. */
#include "catalog/store.h"

#include <errno.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/log.h"

/* Below this the file could not grow to anything useful. */
#define MAP_SIZE_MIN ((size_t)64 << 20)

/* A file system with less left than this is full. */
#define FULL_BYTES ((uint64_t)1 << 20)

int store_errno(int rc)
{
	switch (rc) {
	case MDB_SUCCESS:
		return 0;
	case MDB_NOTFOUND:
		return -ENOENT;
	case MDB_MAP_FULL:
		return -ENOSPC;
	case MDB_TXN_FULL:
		return -ENOMEM;
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
	case MDB_INVALID:
	case MDB_VERSION_MISMATCH:
	case MDB_INCOMPATIBLE:
	case MDB_BAD_VALSIZE:
		return -EUCLEAN;
	default:
		return rc > 0 ? -rc : -EIO;
	}
}

/*
 * LMDB aborts after this. check_tree() has seen the whole file at open, so only memory or a disk
 * that changed bytes under the running process leads here; the journal holds what was acknowledged.
 */
static void on_assert(MDB_env *env, const char *text)
{
	(void)env;
	log_error("LMDB found its own structure damaged: %s", text);
}

/* One attempt; -ENOMEM may mean that MAP_SIZE is too much for the address space. */
static int env_open(const char *path, unsigned int flags, size_t map_size, MDB_env **ret_env)
{
	MDB_env *env;
	int rc = mdb_env_create(&env);

	if (rc != 0)
		return store_errno(rc);
	mdb_env_set_assert(env, on_assert);
	rc = mdb_env_set_mapsize(env, map_size);
	if (rc == 0)
		rc = mdb_env_set_maxdbs(env, N_TABLES);
	if (rc == 0)
		rc = mdb_env_open(env, path, flags, 0600);
	if (rc != 0) {
		mdb_env_close(env);
		return store_errno(rc);
	}
	*ret_env = env;
	return 0;
}

static int open_tables(struct store *s, bool create)
{
	for (int i = 0; i < N_TABLES; i++) {
		int rc = mdb_dbi_open(s->txn, table_names[i], create ? MDB_CREATE : 0, &s->dbi[i]);

		if (rc != 0)
			return rc == MDB_NOTFOUND ? -EUCLEAN : store_errno(rc);
	}
	return 0;
}

int store_open(struct store *s, const char *path, bool create, bool no_sync, size_t map_size)
{
	/* No MDB_WRITEMAP: it turns a full disk into SIGBUS. */
	unsigned int flags = MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOTLS | MDB_NORDAHEAD;
	int rc;

	if (no_sync)
		flags |= MDB_NOSYNC;
	*s = (struct store){0};
	do {
		rc = env_open(path, flags, map_size, &s->env);
		map_size /= 2;
	} while (rc == -ENOMEM && map_size >= MAP_SIZE_MIN);
	if (rc < 0)
		return rc;
	rc = store_errno(mdb_txn_begin(s->env, NULL, 0, &s->txn));
	if (rc == 0)
		rc = open_tables(s, create);
	if (rc < 0)
		store_close(s);
	return rc;
}

void store_close(struct store *s)
{
	if (s->txn != NULL)
		mdb_txn_abort(s->txn);
	if (s->env != NULL)
		mdb_env_close(s->env);
	*s = (struct store){0};
}

int store_commit(struct store *s)
{
	int rc;

	if (s->txn == NULL)
		return -EIO;
	rc = mdb_txn_commit(steal_ptr(&s->txn));
	if (rc == 0)
		rc = mdb_txn_begin(s->env, NULL, 0, &s->txn);
	if (rc != 0) {
		s->txn = NULL;
		store_close(s);
		return store_errno(rc);
	}
	s->writes = 0;
	s->counted_at = 0;
	s->total_pages = 0;
	return 0;
}

int store_full_errno(int fd, int error)
{
	struct statvfs st;

	if (error == -EIO && fstatvfs(fd, &st) == 0 && st.f_bavail * st.f_frsize < FULL_BYTES)
		return -ENOSPC;
	return error;
}

static MDB_val val_of(const void *p, size_t len)
{
	/* LMDB only reads what it is given, but its type has no const. */
	return (MDB_val){.mv_size = len, .mv_data = (void *)(uintptr_t)p};
}

int store_get(struct store *s, enum table table, const void *key, size_t key_len,
	      MDB_val *ret_value)
{
	MDB_val k = val_of(key, key_len);

	if (s->txn == NULL)
		return -EIO;
	return store_errno(mdb_get(s->txn, s->dbi[table], &k, ret_value));
}

int store_put(struct store *s, enum table table, const void *key, size_t key_len, const void *value,
	      size_t value_len)
{
	MDB_val k = val_of(key, key_len);
	MDB_val v = val_of(value, value_len);

	if (s->txn == NULL)
		return -EIO;
	s->writes += 1 + value_len / 2048;
	return store_errno(mdb_put(s->txn, s->dbi[table], &k, &v, 0));
}

static int del_key(struct store *s, enum table table, const void *key, size_t key_len)
{
	MDB_val k = val_of(key, key_len);
	int rc = mdb_del(s->txn, s->dbi[table], &k, NULL);

	s->writes++;
	return rc == MDB_NOTFOUND ? 0 : store_errno(rc);
}

int store_cursor(struct store *s, enum table table, MDB_cursor **ret_cursor)
{
	if (s->txn == NULL)
		return -EIO;
	return store_errno(mdb_cursor_open(s->txn, s->dbi[table], ret_cursor));
}

static int del_prefix(struct store *s, enum table table, const void *prefix, size_t len)
{
	CLEANUP_CURSOR MDB_cursor *cursor = NULL;
	MDB_val key = val_of(prefix, len);
	int rc = store_cursor(s, table, &cursor);

	if (rc < 0)
		return rc;
	for (rc = mdb_cursor_get(cursor, &key, NULL, MDB_SET_RANGE); rc == 0;
	     rc = mdb_cursor_get(cursor, &key, NULL, MDB_NEXT)) {
		if (key.mv_size < len || memcmp(key.mv_data, prefix, len) != 0)
			return 0;
		/* The cursor stays before the next key, which MDB_NEXT then returns. */
		rc = mdb_cursor_del(cursor, 0);
		if (rc != 0)
			break;
		s->writes++;
	}
	return rc == MDB_NOTFOUND ? 0 : store_errno(rc);
}

static int del_inode(struct store *s, const void *key, size_t len)
{
	int rc = del_key(s, TABLE_INODE, key, len);

	if (rc == 0)
		rc = del_prefix(s, TABLE_XATTR, key, len);
	if (rc == 0)
		rc = del_key(s, TABLE_INLINE, key, len);
	if (rc == 0)
		rc = del_prefix(s, TABLE_CHUNKS, key, len);
	if (rc == 0)
		rc = del_key(s, TABLE_ORPHAN, key, len);
	return rc;
}

int store_apply_op(struct store *s, const struct op *op)
{
	if (s->txn == NULL)
		return -EIO;
	switch (op->kind) {
	case OP_PUT:
		return store_put(s, op->table, op->key, op->key_len, op->value, op->value_len);
	case OP_DEL:
		return del_key(s, op->table, op->key, op->key_len);
	case OP_DEL_PREFIX:
		return del_prefix(s, op->table, op->key, op->key_len);
	case OP_DEL_INODE:
		return del_inode(s, op->key, op->key_len);
	}
	return -EBADMSG;
}

int store_apply(struct store *s, const void *body, size_t len)
{
	struct reader r = reader_of(body, len);
	struct op op;
	int rc;

	while ((rc = op_next(&r, &op)) > 0) {
		rc = store_apply_op(s, &op);
		if (rc < 0)
			return rc;
	}
	return rc;
}

uint64_t store_dirty_pages(struct store *s)
{
	/*
	 * LMDB does not tell. A write dirties about one leaf that was clean (the branches above are
	 * soon dirty), and there cannot be more dirty pages than the trees have.
	 */
	if (s->txn == NULL)
		return 0;
	if (s->writes - s->counted_at >= 4096) {
		uint64_t pages = 0;

		s->counted_at = s->writes;
		for (int i = 0; i < N_TABLES; i++) {
			MDB_stat st;

			if (mdb_stat(s->txn, s->dbi[i], &st) != 0)
				continue;
			pages += st.ms_branch_pages + st.ms_leaf_pages + st.ms_overflow_pages;
		}
		/* A page that was freed again stays in memory: the most that there ever were. */
		if (pages > s->total_pages)
			s->total_pages = pages;
	}
	return s->counted_at == 0 || s->writes < s->total_pages ? s->writes : s->total_pages;
}
