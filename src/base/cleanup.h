/* SPDX-License-Identifier: Apache-2.0 */
/* Resources that are freed by scope, and the two ways to hand one on. */
#ifndef PLYFS_BASE_CLEANUP_H
#define PLYFS_BASE_CLEANUP_H

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/*
 * A cleanup is defined beside the function that frees the thing:
 *
 *	DEFINE_CLEANUP(struct buf, buf, buf_done)		a value on the stack
 *	DEFINE_CLEANUP_PTR(struct layer, layer, layer_close)	an owned pointer
 *
 * and used as `CLEANUP(buf) struct buf b = {0};`. The function runs when the variable leaves its
 * scope, in reverse order of declaration, and never changes errno. It must accept a zeroed value
 * (or NULL).
 */
#define DEFINE_CLEANUP(type, name, fn)                                                             \
	static inline void name##_cleanup_(type *p)                                                \
	{                                                                                          \
		int saved_errno_ = errno;                                                          \
		fn(p);                                                                             \
		errno = saved_errno_;                                                              \
	}

#define DEFINE_CLEANUP_PTR(type, name, fn)                                                         \
	static inline void name##_cleanup_(type **p)                                               \
	{                                                                                          \
		int saved_errno_ = errno;                                                          \
		if (*p != NULL)                                                                    \
			fn(*p);                                                                    \
		errno = saved_errno_;                                                              \
	}

/* "Unused": some variables, of locks, are there for their end only. */
#define CLEANUP(name) __attribute__((cleanup(name##_cleanup_), unused))

/* free(3) for any pointer type. */
static inline void free_cleanup_(void *p)
{
	free(*(void **)p);
}

/* Closes a descriptor >= 0. */
static inline void fd_cleanup_(const int *fd)
{
	if (*fd >= 0) {
		int saved_errno = errno;
		close(*fd);
		errno = saved_errno;
	}
}

/* Takes the pointer out of its variable, so that the scope no longer frees it. */
#define steal_ptr(pp)                                                                              \
	__extension__({                                                                            \
		__typeof__(*(pp)) stolen_ = *(pp);                                                 \
		*(pp) = NULL;                                                                      \
		stolen_;                                                                           \
	})

/* Takes the descriptor out of its variable. */
static inline int steal_fd(int *fd)
{
	int stolen = *fd;
	*fd = -1;
	return stolen;
}

#endif
