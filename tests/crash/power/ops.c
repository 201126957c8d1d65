/* SPDX-License-Identifier: Apache-2.0 */
/* Operations on a real directory tree. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "crash/power/power.h"

static const char *const op_names[OP_KINDS] = {
	[OP_CREATE] = "create",
	[OP_MKDIR] = "mkdir",
	[OP_SYMLINK] = "symlink",
	[OP_LINK] = "link",
	[OP_RENAME] = "rename",
	[OP_EXCHANGE] = "exchange",
	[OP_UNLINK] = "unlink",
	[OP_RMDIR] = "rmdir",
	[OP_WRITE] = "write",
	[OP_TRUNCATE] = "truncate",
	[OP_CHMOD] = "chmod",
	[OP_CHOWN] = "chown",
	[OP_SETXATTR] = "setxattr",
	[OP_RMXATTR] = "removexattr",
	[OP_FSYNC] = "fsync",
	[OP_FDATASYNC] = "fdatasync",
	[OP_WRITE_FSYNC] = "write-fsync",
	[OP_PUNCH] = "punch",
};

void op_print(const struct op *op, FILE *to)
{
	fprintf(to, "t%u #%u %s %s", op->thread, op->seq, op_names[op->kind], op->path);
	if (op->path2[0] != '\0')
		fprintf(to, " %s", op->path2);
	if (op->kind == OP_WRITE || op->kind == OP_WRITE_FSYNC || op->kind == OP_PUNCH)
		fprintf(to, " %" PRIu64 "+%" PRIu64, op->off, op->len);
	else if (op->kind == OP_TRUNCATE)
		fprintf(to, " %" PRIu64, op->len);
	else if (op->kind == OP_CHMOD)
		fprintf(to, " %o", op->mode);
	fputc('\n', to);
}

static int write_pattern(int fd, const struct op *op)
{
	char *bytes = malloc(op->len);
	uint64_t i, done = 0;
	int r = bytes == NULL ? -ENOMEM : 0;

	for (i = 0; r == 0 && i < op->len; i++)
		bytes[i] = (char)pattern_byte(op->thread, op->seq, op->off + i);
	while (r == 0 && done < op->len) {
		ssize_t n = pwrite(fd, bytes + done, op->len - done, (off_t)(op->off + done));

		if (n <= 0)
			r = n < 0 ? -errno : -EIO;
		else
			done += (uint64_t)n;
	}
	free(bytes);
	return r;
}

static int set_xattr(int fd, const struct op *op)
{
	char name[] = "user.x0", value[4096];
	uint64_t i;

	name[6] = (char)('0' + op->mode);
	for (i = 0; i < op->len; i++)
		value[i] = (char)pattern_byte(op->thread, op->seq, i);
	if (op->kind == OP_RMXATTR)
		return fremovexattr(fd, name);
	return fsetxattr(fd, name, value, op->len, 0);
}

static int run_on_fd(int fd, const struct op *op)
{
	int r;

	switch (op->kind) {
	case OP_WRITE:
		return write_pattern(fd, op);
	case OP_WRITE_FSYNC:
		r = write_pattern(fd, op);
		return r == 0 && fsync(fd) < 0 ? -errno : r;
	case OP_PUNCH:
		r = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)op->off,
			      (off_t)op->len);
		return r < 0 ? -errno : 0;
	case OP_TRUNCATE:
		return ftruncate(fd, (off_t)op->len) < 0 ? -errno : 0;
	case OP_CHMOD:
		return fchmod(fd, op->mode) < 0 ? -errno : 0;
	case OP_CHOWN:
		return fchown(fd, op->mode, op->mode) < 0 ? -errno : 0;
	case OP_SETXATTR:
	case OP_RMXATTR:
		return set_xattr(fd, op) < 0 ? -errno : 0;
	case OP_FSYNC:
		return fsync(fd) < 0 ? -errno : 0;
	case OP_FDATASYNC:
		return fdatasync(fd) < 0 ? -errno : 0;
	}
	return 0;
}

/* A failed close would hide an error of the kernel's write-back. */
static int run_opened(int root_fd, const struct op *op, int flags)
{
	int fd = openat(root_fd, op->path, flags | O_NOFOLLOW | O_CLOEXEC, op->mode);
	int r;

	if (fd < 0)
		return -errno;
	r = run_on_fd(fd, op);
	return close(fd) < 0 && r == 0 ? -errno : r;
}

static int run_names(int fd, const struct op *op)
{
	switch (op->kind) {
	case OP_MKDIR:
		return mkdirat(fd, op->path, op->mode);
	case OP_SYMLINK:
		return symlinkat(op->path2, fd, op->path);
	case OP_LINK:
		return linkat(fd, op->path, fd, op->path2, 0);
	case OP_RENAME:
		return renameat(fd, op->path, fd, op->path2);
	case OP_EXCHANGE:
		return renameat2(fd, op->path, fd, op->path2, RENAME_EXCHANGE);
	case OP_UNLINK:
		return unlinkat(fd, op->path, 0);
	case OP_RMDIR:
		return unlinkat(fd, op->path, AT_REMOVEDIR);
	}
	errno = EINVAL;
	return -1;
}

int op_run(int root_fd, const struct op *op)
{
	switch (op->kind) {
	case OP_CREATE:
		return run_opened(root_fd, op, O_WRONLY | O_CREAT | O_EXCL);
	case OP_WRITE:
	case OP_WRITE_FSYNC:
	case OP_PUNCH:
	case OP_TRUNCATE:
		return run_opened(root_fd, op, O_WRONLY);
	case OP_CHMOD:
	case OP_CHOWN:
	case OP_SETXATTR:
	case OP_RMXATTR:
	case OP_FSYNC:
	case OP_FDATASYNC:
		return run_opened(root_fd, op, O_RDONLY);
	default:
		return run_names(root_fd, op) < 0 ? -errno : 0;
	}
}
