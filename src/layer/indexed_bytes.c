/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of a layer's archive, decoded as they are asked for. */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "image/decoded.h"
#include "image/points.h"
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
	buf_done(&b->encoded);
	pthread_mutex_destroy(&b->lock);
}

/* The points lie back to back, each with its length before it. */
static int read_points(const struct buf *bytes, struct points *points)
{
	struct reader r = reader_of(bytes->data, bytes->len);
	int rc = 0;

	while (rc == 0 && r.left > 0 && reader_ok(&r)) {
		size_t len = read_u32(&r);
		const void *p = read_bytes(&r, len);
		struct point point;

		rc = p != NULL ? point_decode(p, len, &point) : -EUCLEAN;
		if (rc == 0)
			rc = points_add(points, &point);
	}
	return rc;
}

static int open_plain(struct indexed_bytes *b, struct blob **ret_plain)
{
	/* The windows stay in the bytes that they are read from. */
	struct points points = {.borrowed = true};
	int r;

	if (b->compression == COMPRESSION_NONE) {
		*ret_plain = blob_ref(b->stored);
		return 0;
	}
	r = index_file_points(b->points, &b->encoded);
	if (r == 0)
		r = read_points(&b->encoded, &points);
	if (r < 0) {
		points_done(&points);
		return r;
	}
	return decoded_open(b->stored, b->compression, &points, b->size, ret_plain);
}

/* Never changes once it is there. */
static int get_plain(struct indexed_bytes *b, struct blob **ret_plain)
{
	int r;

	pthread_mutex_lock(&b->lock);
	if (b->plain == NULL && b->error == 0) {
		b->error = open_plain(b, &b->plain);
		if (b->error < 0)
			log_warn("a layer's archive cannot be read: %s", strerror(-b->error));
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
