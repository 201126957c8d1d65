/* SPDX-License-Identifier: Apache-2.0 */
/* Operations as system calls, and as text. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "crash/kill/kill.h"

void op_bytes(const struct op *op, uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(op->fill + (op->skip + i) * 7 + ((op->skip + i) >> 8) * 13);
}

/* Version 2; owner, one named user, group, mask, others. */
void op_acl(const struct op *op, uint8_t acl[44])
{
	static const uint8_t tags[] = {0x01, 0x02, 0x04, 0x10, 0x20};

	memset(acl, 0, 44);
	acl[0] = 2;
	for (unsigned int i = 0; i < 5; i++) {
		uint8_t *e = acl + 4 + i * 8;

		e[0] = tags[i];
		e[2] = (op->flags >> (3 * i)) & 7;
		memset(e + 4, 0xff, 4);
		if (tags[i] == 0x02)
			memcpy(e + 4, "\x64\0\0", 4);
	}
}

static long result(long r)
{
	return r < 0 ? -errno : r;
}

static long do_write(int fd, const struct op *op)
{
	uint8_t *bytes = malloc(op->len + 1);
	long r;

	op_bytes(op, bytes, op->len);
	r = result(pwrite(fd, bytes, op->len, op->off));
	free(bytes);
	return r;
}

static long do_setxattr(const char *path, const struct op *op)
{
	uint8_t *value = malloc(op->len + 1), acl[44];
	long r;

	op_bytes(op, value, op->len);
	op_acl(op, acl);
	if (op->kind == OP_SETACL)
		r = result(lsetxattr(path, "system.posix_acl_access", acl, sizeof(acl), 0));
	else
		r = result(lsetxattr(path, op->name, value, op->len, 0));
	free(value);
	return r;
}

static long do_linkfd(int fd, const char *other)
{
	char proc[64];

	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	return result(linkat(AT_FDCWD, proc, AT_FDCWD, other, AT_SYMLINK_FOLLOW));
}

static long do_name(const char *path, const char *other, int fd, const struct op *op)
{
	switch (op->kind) {
	case OP_MKNOD:
		return result(mknod(path, op->mode, op->rdev));
	case OP_MKDIR:
		return result(mkdir(path, op->mode));
	case OP_SYMLINK:
		return result(symlink(op->other, path));
	case OP_LINK:
		return result(link(path, other));
	case OP_LINKFD:
		return do_linkfd(fd, other);
	case OP_UNLINK:
		return result(unlink(path));
	case OP_RMDIR:
		return result(rmdir(path));
	default:
		return result(renameat2(AT_FDCWD, path, AT_FDCWD, other, op->flags));
	}
}

static long do_attr(const char *path, const struct op *op)
{
	struct timespec times[2] = {op->mtime, op->mtime};

	switch (op->kind) {
	case OP_CHMOD:
		return result(chmod(path, op->mode));
	case OP_CHOWN:
		return result(lchown(path, op->uid, op->gid));
	case OP_UTIMENS:
		return result(utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW));
	case OP_RMXATTR:
		return result(lremovexattr(path, op->name));
	default:
		return do_setxattr(path, op);
	}
}

static long do_bytes(struct worker *w, const char *path, int fd, const struct op *op)
{
	loff_t from = op->off, to = op->off2;

	switch (op->kind) {
	case OP_WRITE:
		return do_write(fd, op);
	case OP_TRUNCATE:
		return result(truncate(path, op->off));
	case OP_FTRUNCATE:
		return result(ftruncate(fd, op->off));
	case OP_FALLOCATE:
		return result(fallocate(fd, (int)op->flags, op->off, (off_t)op->len));
	default:
		return result(copy_file_range(fd, &from, w->slots[op->slot2].fd, &to, op->len, 0));
	}
}

long op_do(struct worker *w, const struct op *op)
{
	char path[2 * PATH_SIZE], other[2 * PATH_SIZE];
	int fd = w->slots[op->slot].fd;

	snprintf(path, sizeof(path), "%s/%s", w->dir, op->path);
	snprintf(other, sizeof(other), "%s/%s", w->dir, op->other);
	if (op_is_bytes(op))
		return do_bytes(w, path, fd, op);
	switch (op->kind) {
	case OP_OPEN:
		return result(open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW));
	case OP_CREATE:
		return result(open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, op->mode));
	case OP_TMPFILE:
		return result(open(path, O_RDWR | O_TMPFILE | O_CLOEXEC, op->mode));
	case OP_CLOSE:
		close(fd);
		return 0;
	case OP_FSYNC:
		return result(fsync(fd));
	case OP_CHMOD:
	case OP_CHOWN:
	case OP_UTIMENS:
	case OP_SETXATTR:
	case OP_RMXATTR:
	case OP_SETACL:
		return do_attr(path, op);
	default:
		return do_name(path, other, fd, op);
	}
}

static const char *const op_names[N_OPS] = {
	"none",	     "open",	  "close",    "create",	 "mknod",  "tmpfile", "linkfd",
	"mkdir",     "symlink",	  "link",     "unlink",	 "rmdir",  "rename",  "chmod",
	"chown",     "utimens",	  "setxattr", "rmxattr", "setacl", "write",   "truncate",
	"ftruncate", "fallocate", "copy",     "fsync"};

void op_print(const struct op *op, FILE *out)
{
	fprintf(out,
		"%s path=\"%s\" other=\"%s\" slots=%u,%u off=%lld off2=%lld len=%zu mode=%o owner=%u:%u "
		"flags=%u fill=%u name=%s",
		op_names[op->kind], op->path, op->other, op->slot, op->slot2, (long long)op->off,
		(long long)op->off2, op->len, op->mode, op->uid, op->gid, op->flags, op->fill,
		op->name);
}
