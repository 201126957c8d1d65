/* SPDX-License-Identifier: Apache-2.0 */
/* Headers of requests. */
#include "front/request.h"

#include <linux/fuse.h>
#include <string.h>

/* From here on copying takes longer than handing the queue to another thread. */
#define SLOW_BYTES (128 * 1024)

/* Added to linux/fuse.h by Linux 5.13. */
#define OP_SYNCFS 50

/* What follows the header, zeroed where the request is shorter. */
static void arguments(const void *bytes, size_t size, void *ret, size_t ret_size)
{
	size_t given = size - sizeof(struct fuse_in_header);

	memset(ret, 0, ret_size);
	memcpy(ret, (const char *)bytes + sizeof(struct fuse_in_header),
	       given < ret_size ? given : ret_size);
}

static void parse_write(const void *bytes, size_t size, struct request *r)
{
	struct fuse_write_in in;

	arguments(bytes, size, &in, sizeof(in));
	r->slow = in.size >= SLOW_BYTES;
	r->background = in.write_flags & FUSE_WRITE_CACHE;
}

static bool is_long_read(const void *bytes, size_t size)
{
	struct fuse_read_in in;

	arguments(bytes, size, &in, sizeof(in));
	return in.size >= SLOW_BYTES;
}

/* A new size may move bytes of a lower file. */
static bool sets_size(const void *bytes, size_t size)
{
	struct fuse_setattr_in in;

	arguments(bytes, size, &in, sizeof(in));
	return in.valid & FATTR_SIZE;
}

struct request request_parse(const void *bytes, size_t size)
{
	struct request r = {0};
	struct fuse_in_header h;

	if (size < sizeof(h))
		return r;
	memcpy(&h, bytes, sizeof(h));
	r.pid = (int)h.pid;
	switch (h.opcode) {
	case FUSE_FSYNC:
	case FUSE_FSYNCDIR:
	case FUSE_FALLOCATE:
	case FUSE_COPY_FILE_RANGE:
	case FUSE_LSEEK:
	case OP_SYNCFS:
		r.slow = true;
		break;
	case FUSE_READ:
		r.slow = is_long_read(bytes, size);
		break;
	case FUSE_WRITE:
		parse_write(bytes, size, &r);
		break;
	case FUSE_SETATTR:
		r.slow = sets_size(bytes, size);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
	case FUSE_RELEASE:
	case FUSE_RELEASEDIR:
		r.background = true;
		break;
	default:
		break;
	}
	return r;
}
