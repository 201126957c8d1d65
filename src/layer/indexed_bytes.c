/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of a layer's archive, decoded as they are asked for. */
#include <errno.h>

#include "base/log.h"
#include "layer/indexed.h"

void indexed_bytes_init(struct indexed_bytes *b, struct blob *stored, enum compression compression,
			uint64_t size, struct index_file *points)
{
	*b = (struct indexed_bytes){
		.stored = stored,
		.compression = compression,
		.size = size,
		.points = points,
	};
	pthread_mutex_init(&b->lock, NULL);
}

void indexed_bytes_done(struct indexed_bytes *b)
{
	blob_unref(b->plain);
	blob_unref(b->stored);
	pthread_mutex_destroy(&b->lock);
}

static int open_plain(struct indexed_bytes *b, struct blob **ret_plain)
{
	if (b->compression == COMPRESSION_NONE) {
		*ret_plain = blob_ref(b->stored);
		return 0;
	}
	return -EOPNOTSUPP;
}

/* Never changes once it is there. */
static int get_plain(struct indexed_bytes *b, struct blob **ret_plain)
{
	int r;

	pthread_mutex_lock(&b->lock);
	if (b->plain == NULL && b->error == 0) {
		b->error = open_plain(b, &b->plain);
		if (b->error < 0)
			log_warn("a layer's archive cannot be read: error %d", -b->error);
	}
	r = b->error;
	*ret_plain = b->plain;
	pthread_mutex_unlock(&b->lock);
	return r;
}

int indexed_bytes_read(struct indexed_bytes *b, void *bytes, size_t len, uint64_t off)
{
	struct blob *plain;
	int r = get_plain(b, &plain);

	if (r == 0)
		r = blob_read_at(plain, bytes, len, off);
	return r == -ENODATA ? -EIO : r;
}
