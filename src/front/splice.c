/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Large READs by a pipe of the thread's own, which holds references to a file's pages instead of copies of them
 * (doc/messages.md). All of them are in it before anything is answered: what fails in the middle must become the answer.
 * libfuse, given the file itself, would answer with the bytes before the failure, and the kernel takes such an answer
 * for the end of the file.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "front/ops.h"
#include "front/reply.h"

/* Below, copying is less work; above, few may have such a pipe (pipe-user-pages-soft). */
#define SPLICE_MIN (16 * 1024)
#define SPLICE_MAX (256 * 1024)

struct splice {
	struct front *front;
	fuse_req_t req;
};

/* All of the range, or -errno: fewer bytes, for whatever reason, are for fs_read() to tell of. */
static int fill(int pipe, int fd, size_t size, off_t off)
{
	for (size_t done = 0; done < size;) {
		off_t at = off + (off_t)done;
		ssize_t n = splice(fd, &at, pipe, NULL, size - done, SPLICE_F_NONBLOCK);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -EOPNOTSUPP;
		done += (size_t)n;
	}
	return 0;
}

static int use_range(void *arg, int fd, size_t size, off_t off)
{
	const struct splice *s = arg;
	const struct scratch_pipe *pipe = scratch_pipe(s->front, size);
	int left = 0, r;

	if (pipe == NULL)
		return -EOPNOTSUPP;
	r = fill(pipe->in, fd, size, off);
	if (r == 0)
		reply_from_pipe(s->req, pipe->out, size);
	/* Nobody read it all: the connection may be gone. */
	if (r < 0 || ioctl(pipe->out, FIONREAD, &left) < 0 || left > 0)
		scratch_pipe_drop(s->front);
	return r;
}

bool read_by_splice(fuse_req_t req, struct front *f, uint64_t ino, size_t size, off_t off)
{
	struct splice s = {f, req};
	struct fs_reader reader = {use_range, &s};

	if (!f->splice || size < SPLICE_MIN || size > SPLICE_MAX)
		return false;
	return fs_read_file(f->fs, ino, size, off, &reader) == 0;
}
