/* SPDX-License-Identifier: Apache-2.0 */
/* An open index from inside. */
#ifndef PLYFS_CATALOG_INDEX_PRIVATE_H
#define PLYFS_CATALOG_INDEX_PRIVATE_H

#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>

#include "catalog/index.h"

struct index_file {
	atomic_uint refs;
	int fd; /* owned */
	uint64_t size;
	MDB_env *env;
	pthread_mutex_t lock; /* protects the transaction and its cursors */
	MDB_txn *txn;
	MDB_dbi dbi;
};

#endif
