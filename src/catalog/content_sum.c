/* SPDX-License-Identifier: Apache-2.0 */
/* The table of checksums of data files. What they mean is data/sums.h's. */
#include <errno.h>

#include "catalog/internal.h"

void batch_put_sum(struct batch *b, uint64_t ino, const struct sum_rec *sum)
{
	uint8_t key[INO_KEY_SIZE], value[SUM_VALUE_SIZE];

	key_of_ino(key, ino);
	put_le64(value, sum->size);
	put_le64(value + 8, (uint64_t)sum->mtime.tv_sec);
	put_le32(value + 16, (uint32_t)sum->mtime.tv_nsec);
	put_le64(value + 20, sum->hash.low);
	put_le64(value + 28, sum->hash.high);
	op_append(&b->body, OP_PUT, TABLE_SUM, key, sizeof(key), value, sizeof(value));
	b->n++;
}

void batch_del_sum(struct batch *b, uint64_t ino)
{
	uint8_t key[INO_KEY_SIZE];

	key_of_ino(key, ino);
	op_append(&b->body, OP_DEL, TABLE_SUM, key, sizeof(key), NULL, 0);
	b->n++;
}

int sum_decode(const void *value, size_t len, struct sum_rec *ret_sum)
{
	struct reader r = reader_of(value, len);
	struct sum_rec sum;

	sum.size = read_u64(&r);
	sum.mtime.tv_sec = (time_t)read_u64(&r);
	sum.mtime.tv_nsec = read_u32(&r);
	sum.hash.low = read_u64(&r);
	sum.hash.high = read_u64(&r);
	if (!reader_end(&r) || sum.mtime.tv_nsec >= 1000000000)
		return -EUCLEAN;
	*ret_sum = sum;
	return 0;
}

int catalog_sum(struct catalog *c, uint64_t ino, struct sum_rec *ret_sum)
{
	uint8_t key[INO_KEY_SIZE];
	MDB_val v;
	int rc;

	key_of_ino(key, ino);
	pthread_mutex_lock(&c->lock);
	rc = view_get(c, TABLE_SUM, key, sizeof(key), &v);
	if (rc == 0)
		rc = sum_decode(v.mv_data, v.mv_size, ret_sum);
	pthread_mutex_unlock(&c->lock);
	return rc;
}
