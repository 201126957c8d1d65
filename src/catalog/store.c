/* SPDX-License-Identifier: Apache-2.0 */
/* The LMDB environment and its read transaction. */
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

/* Handles of tables live on only when the transaction that opened them is committed. */
static int open_tables(struct store *s, bool create)
{
	MDB_txn *txn;
	int rc = mdb_txn_begin(s->env, NULL, create ? 0 : MDB_RDONLY, &txn);

	if (rc != 0)
		return store_errno(rc);
	for (int i = 0; i < N_TABLES && rc == 0; i++) {
		rc = mdb_dbi_open(txn, table_names[i], create ? MDB_CREATE : 0, &s->dbi[i]);
		if (rc == MDB_NOTFOUND && i == TABLE_SUM) {
			s->dbi[i] = NO_TABLE;
			rc = 0;
		}
	}
	memcpy(s->write_dbi, s->dbi, sizeof(s->dbi));
	if (rc == 0)
		return store_errno(mdb_txn_commit(txn));
	mdb_txn_abort(txn);
	return rc == MDB_NOTFOUND ? -EUCLEAN : store_errno(rc);
}

int store_open(struct store *s, const char *path, const struct store_options *options)
{
	/* No MDB_WRITEMAP: it turns a full disk into SIGBUS. */
	unsigned int flags = MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOTLS | MDB_NORDAHEAD;
	size_t map_size = options->map_size;
	int rc;

	if (options->no_sync)
		flags |= MDB_NOSYNC;
	*s = (struct store){0};
	do {
		rc = env_open(path, flags, map_size, &s->env);
		map_size /= 2;
	} while (rc == -ENOMEM && map_size >= MAP_SIZE_MIN);
	if (rc < 0)
		return rc;
	rc = open_tables(s, options->create);
	if (rc == 0)
		rc = store_errno(mdb_txn_begin(s->env, NULL, MDB_RDONLY, &s->read));
	if (rc < 0)
		store_close(s);
	return rc;
}

void store_close(struct store *s)
{
	if (s->read != NULL)
		mdb_txn_abort(s->read);
	if (s->env != NULL)
		mdb_env_close(s->env);
	*s = (struct store){0};
}

int store_full_errno(int fd, int error)
{
	struct statvfs st;

	if (error == -EIO && fstatvfs(fd, &st) == 0 && st.f_bavail * st.f_frsize < FULL_BYTES)
		return -ENOSPC;
	return error;
}

int store_get(struct store *s, enum catalog_table table, const void *key, size_t key_len,
	      MDB_val *ret_value)
{
	/* LMDB only reads what it is given, but its type has no const. */
	MDB_val k = {.mv_size = key_len, .mv_data = (void *)(uintptr_t)key};

	if (s->read == NULL)
		return -EIO;
	if (s->dbi[table] == NO_TABLE)
		return -ENOENT;
	return store_errno(mdb_get(s->read, s->dbi[table], &k, ret_value));
}

int store_cursor(struct store *s, enum catalog_table table, MDB_cursor **ret_cursor)
{
	if (s->read == NULL)
		return -EIO;
	if (s->dbi[table] == NO_TABLE)
		return -ENOENT;
	return store_errno(mdb_cursor_open(s->read, s->dbi[table], ret_cursor));
}

int store_refresh(struct store *s)
{
	int rc;

	if (s->read == NULL)
		return -EIO;
	mdb_txn_reset(s->read);
	rc = mdb_txn_renew(s->read);
	memcpy(s->dbi, s->write_dbi, sizeof(s->dbi));
	if (rc != 0) {
		/* It needs no memory and no disk, so this is for a broken environment. */
		mdb_txn_abort(s->read);
		s->read = NULL;
	}
	return store_errno(rc);
}

/* The free list, LMDB's table 0: the values are counts of pages and their numbers. */
static int count_free(struct store *s, uint64_t *ret_free)
{
	CLEANUP_CURSOR MDB_cursor *cursor = NULL;
	MDB_val key, value;
	uint64_t n = 0;
	int rc = mdb_cursor_open(s->read, 0, &cursor);

	while (rc == 0) {
		rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
		if (rc == 0 && value.mv_size >= sizeof(size_t))
			n += *(const size_t *)value.mv_data;
	}
	*ret_free = n;
	return rc == MDB_NOTFOUND ? 0 : store_errno(rc);
}

int store_space(struct store *s, struct store_space *ret_space)
{
	struct store_space space = {0};
	MDB_envinfo info;
	MDB_stat st;
	int rc;

	if (s->read == NULL)
		return -EIO;
	rc = mdb_env_info(s->env, &info);
	if (rc == 0)
		rc = mdb_env_stat(s->env, &st);
	if (rc != 0)
		return store_errno(rc);
	space.pages = info.me_last_pgno + 1;
	space.page_size = st.ms_psize;
	rc = count_free(s, &space.free);
	if (rc == 0)
		*ret_space = space;
	return rc;
}
