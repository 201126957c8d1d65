/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of reading the headers of requests. */
#include "front/request.h"

#include <criterion/criterion.h>
#include <linux/fuse.h>
#include <string.h>

/* A request of type OP by process 42 with ARGS behind its header. */
static struct request parse(uint32_t op, const void *args, size_t size)
{
	struct fuse_in_header h = {.len = (uint32_t)(sizeof(h) + size), .opcode = op, .pid = 42};
	char bytes[512];

	memcpy(bytes + 1, &h, sizeof(h));
	if (size > 0)
		memcpy(bytes + 1 + sizeof(h), args, size);
	return request_parse(bytes + 1, sizeof(h) + size);
}

Test(request, sender)
{
	struct fuse_getattr_in in = {0};
	struct request r = parse(FUSE_GETATTR, &in, sizeof(in));

	cr_expect_eq(r.pid, 42);
	cr_expect_not(r.background);
	cr_expect_not(r.slow);
}

Test(request, slow_types)
{
	static const uint32_t slow[] = {FUSE_FSYNC,	      FUSE_FSYNCDIR, FUSE_FALLOCATE,
					FUSE_COPY_FILE_RANGE, FUSE_LSEEK,    50 /* SYNCFS */};
	static const uint32_t quick[] = {FUSE_LOOKUP, FUSE_GETATTR, FUSE_MKNOD,	  FUSE_MKDIR,
					 FUSE_UNLINK, FUSE_RENAME,  FUSE_RENAME2, FUSE_READDIR,
					 FUSE_LINK,   FUSE_STATFS,  FUSE_GETXATTR};

	for (size_t i = 0; i < sizeof(slow) / sizeof(*slow); i++)
		cr_expect(parse(slow[i], NULL, 0).slow, "type %u", slow[i]);
	for (size_t i = 0; i < sizeof(quick) / sizeof(*quick); i++)
		cr_expect_not(parse(quick[i], NULL, 0).slow, "type %u", quick[i]);
}

Test(request, bytes)
{
	struct fuse_read_in small_read = {.size = 4096}, large_read = {.size = 1 << 20};
	struct fuse_write_in small_write = {.size = 4096}, large_write = {.size = 1 << 20};
	struct fuse_write_in cached = {.size = 4096, .write_flags = FUSE_WRITE_CACHE};

	cr_expect_not(parse(FUSE_READ, &small_read, sizeof(small_read)).slow);
	cr_expect(parse(FUSE_READ, &large_read, sizeof(large_read)).slow);
	cr_expect_not(parse(FUSE_WRITE, &small_write, sizeof(small_write)).slow);
	cr_expect(parse(FUSE_WRITE, &large_write, sizeof(large_write)).slow);
	cr_expect_not(parse(FUSE_WRITE, &small_write, sizeof(small_write)).background);
	cr_expect(parse(FUSE_WRITE, &cached, sizeof(cached)).background);
}

Test(request, new_size)
{
	struct fuse_setattr_in mode = {.valid = FATTR_MODE}, size = {.valid = FATTR_SIZE};

	cr_expect_not(parse(FUSE_SETATTR, &mode, sizeof(mode)).slow);
	cr_expect(parse(FUSE_SETATTR, &size, sizeof(size)).slow);
}

Test(request, nobody_waits_for_forget_and_release)
{
	cr_expect(parse(FUSE_RELEASE, NULL, 0).background);
	cr_expect(parse(FUSE_RELEASEDIR, NULL, 0).background);
	cr_expect_not(parse(FUSE_OPEN, NULL, 0).background);
	cr_expect(parse(FUSE_FORGET, NULL, 0).background);
	cr_expect(parse(FUSE_BATCH_FORGET, NULL, 0).background);
}

Test(request, cut_short)
{
	struct request r = request_parse("abc", 3);

	cr_expect_eq(r.pid, 0);
	cr_expect_not(r.slow);
	cr_expect_not(parse(FUSE_READ, "", 0).slow);
	cr_expect_not(parse(FUSE_WRITE, "ab", 2).slow);
	cr_expect_not(parse(FUSE_SETATTR, "", 1).slow);
}
