/* SPDX-License-Identifier: Apache-2.0 */
/* Read-only bytes at any offset, wherever they come from: a file, a part of one, a decoded layer. */
#ifndef PLYFS_IMAGE_BLOB_H
#define PLYFS_IMAGE_BLOB_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cleanup.h"

struct blob;

/* What an implementation provides. Any thread, several at once. */
struct blob_ops {
	/*
	 * Copies LEN bytes from OFF; the caller sees to it that they lie inside the size. LEN, or
	 * -errno: there are no short reads.
	 */
	ssize_t (*pread)(struct blob *b, void *buf, size_t len, uint64_t off);
	/* As blob_fd(). NULL: never. */
	int (*fd)(struct blob *b, uint64_t *ret_off);
	/* Frees the implementation. */
	void (*close)(struct blob *b);
};

/* Embedded as the first member of an implementation. The size never changes. */
struct blob {
	const struct blob_ops *ops;
	uint64_t size;
	atomic_uint refs;
};

/* For implementations: a blob with one reference. */
void blob_init(struct blob *b, const struct blob_ops *ops, uint64_t size);

/* One more user; returns B. */
struct blob *blob_ref(struct blob *b);
/* One user less; the last one frees it. NULL is fine. */
void blob_unref(struct blob *b);
DEFINE_CLEANUP_PTR(struct blob, blob, blob_unref)

/*
 * The regular file PATH in DIRFD. FLAGS: 0 or O_NOFOLLOW. It is read with pread(2) only, so that a
 * file that is cut under us is an error (-ESTALE) and no signal. -EISDIR for a directory, -EINVAL for
 * what else is no regular file; nothing is waited for.
 */
int blob_open_file(int dirfd, const char *path, int flags, struct blob **ret_b);

/* The same of a descriptor of a regular file, which is taken over on success. */
int blob_of_fd(int fd, struct blob **ret_b);

/*
 * SIZE bytes of WHOLE from OFF, as a blob of its own, which holds a reference. -ERANGE when they do
 * not lie inside. A slice of a slice goes to the whole directly.
 */
int blob_slice(struct blob *whole, uint64_t off, uint64_t size, struct blob **ret_b);

/* A copy of LEN bytes. */
int blob_from_memory(const void *p, size_t len, struct blob **ret_b);

/* Up to LEN bytes from OFF: fewer only at the end, 0 past it. -errno. */
ssize_t blob_pread(struct blob *b, void *buf, size_t len, uint64_t off);

/* Exactly LEN bytes from OFF, or -ENODATA when B ends before. 0 or -errno. */
int blob_read_at(struct blob *b, void *buf, size_t len, uint64_t off);

/*
 * A descriptor in which B's bytes lie as they are, B's first at RET_OFF. It is borrowed: valid while
 * the caller holds a reference. -EOPNOTSUPP when there is none.
 */
int blob_fd(struct blob *b, uint64_t *ret_off);

#endif
