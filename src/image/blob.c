/* SPDX-License-Identifier: Apache-2.0 */
#include "image/blob.h"

#include <fcntl.h>
#include <string.h>

#include "base/sys.h"

struct file_blob {
	struct blob blob;
	int fd; /* owned */
};

struct slice {
	struct blob blob;
	struct blob *whole; /* a reference */
	uint64_t off;
};

struct memory_blob {
	struct blob blob;
	uint8_t bytes[];
};

/* ---- all blobs -------------------------------------------------------------------------- */

void blob_init(struct blob *b, const struct blob_ops *ops, uint64_t size)
{
	b->ops = ops;
	b->size = size;
	atomic_init(&b->refs, 1);
}

struct blob *blob_ref(struct blob *b)
{
	atomic_fetch_add(&b->refs, 1);
	return b;
}

void blob_unref(struct blob *b)
{
	if (b != NULL && atomic_fetch_sub(&b->refs, 1) == 1)
		b->ops->close(b);
}

ssize_t blob_pread(struct blob *b, void *buf, size_t len, uint64_t off)
{
	if (off >= b->size || len == 0)
		return 0;
	if (len > b->size - off)
		len = b->size - off;
	return b->ops->pread(b, buf, len, off);
}

int blob_read_at(struct blob *b, void *buf, size_t len, uint64_t off)
{
	ssize_t n = blob_pread(b, buf, len, off);

	if (n < 0)
		return (int)n;
	return (size_t)n == len ? 0 : -ENODATA;
}

int blob_fd(struct blob *b, uint64_t *ret_off)
{
	return b->ops->fd != NULL ? b->ops->fd(b, ret_off) : -EOPNOTSUPP;
}

/* ---- files ------------------------------------------------------------------------------ */

static ssize_t file_pread(struct blob *b, void *buf, size_t len, uint64_t off)
{
	const struct file_blob *f = (const struct file_blob *)b;
	ssize_t n = sys_pread_full(f->fd, buf, len, (off_t)off);

	if (n < 0)
		return n;
	return (size_t)n == len ? n : -ESTALE; /* the file was cut */
}

static int file_fd(struct blob *b, uint64_t *ret_off)
{
	*ret_off = 0;
	return ((const struct file_blob *)b)->fd;
}

static void file_close(struct blob *b)
{
	close(((const struct file_blob *)b)->fd);
	free(b);
}

static const struct blob_ops file_ops = {.pread = file_pread, .fd = file_fd, .close = file_close};

int blob_of_fd(int fd, struct blob **ret_b)
{
	struct file_blob *f;
	struct stat st;
	int r = sys_fstat(fd, &st);

	if (r < 0)
		return r;
	if (!S_ISREG(st.st_mode))
		return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	f = malloc(sizeof(*f));
	if (f == NULL)
		return -ENOMEM;
	blob_init(&f->blob, &file_ops, (uint64_t)st.st_size);
	f->fd = fd;
	*ret_b = &f->blob;
	return 0;
}

int blob_open_file(int dirfd, const char *path, int flags, struct blob **ret_b)
{
	/* The open of a pipe would wait for a writer. */
	CLEANUP(fd) int fd = sys_openat(dirfd, path, O_RDONLY | O_NONBLOCK | flags, 0);
	int r;

	if (fd < 0)
		return fd;
	r = blob_of_fd(fd, ret_b);
	if (r == 0)
		steal_fd(&fd);
	return r;
}

/* ---- slices ----------------------------------------------------------------------------- */

static ssize_t slice_pread(struct blob *b, void *buf, size_t len, uint64_t off)
{
	const struct slice *s = (const struct slice *)b;

	return s->whole->ops->pread(s->whole, buf, len, s->off + off);
}

static int slice_fd(struct blob *b, uint64_t *ret_off)
{
	const struct slice *s = (const struct slice *)b;
	int fd = blob_fd(s->whole, ret_off);

	if (fd >= 0)
		*ret_off += s->off;
	return fd;
}

static void slice_close(struct blob *b)
{
	blob_unref(((const struct slice *)b)->whole);
	free(b);
}

static const struct blob_ops slice_ops = {
	.pread = slice_pread,
	.fd = slice_fd,
	.close = slice_close,
};

int blob_slice(struct blob *whole, uint64_t off, uint64_t size, struct blob **ret_b)
{
	struct slice *s;

	if (off > whole->size || size > whole->size - off)
		return -ERANGE;
	if (whole->ops == &slice_ops) {
		off += ((const struct slice *)whole)->off;
		whole = ((const struct slice *)whole)->whole;
	}
	s = malloc(sizeof(*s));
	if (s == NULL)
		return -ENOMEM;
	blob_init(&s->blob, &slice_ops, size);
	s->whole = blob_ref(whole);
	s->off = off;
	*ret_b = &s->blob;
	return 0;
}

/* ---- memory ----------------------------------------------------------------------------- */

static ssize_t memory_pread(struct blob *b, void *buf, size_t len, uint64_t off)
{
	memcpy(buf, ((const struct memory_blob *)b)->bytes + off, len);
	return (ssize_t)len;
}

static void memory_close(struct blob *b)
{
	free(b);
}

static const struct blob_ops memory_ops = {.pread = memory_pread, .close = memory_close};

int blob_from_memory(const void *p, size_t len, struct blob **ret_b)
{
	struct memory_blob *m = malloc(sizeof(*m) + len);

	if (m == NULL)
		return -ENOMEM;
	blob_init(&m->blob, &memory_ops, len);
	if (len > 0)
		memcpy(m->bytes, p, len);
	*ret_b = &m->blob;
	return 0;
}
