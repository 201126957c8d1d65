/* SPDX-License-Identifier: Apache-2.0 */
/* The system calls that change names, under the C library's names. */

/* Both open and open64 have to be defined, and be two functions. */
#undef _FILE_OFFSET_BITS
#undef _FORTIFY_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/sys.h"
#include "unit/faults/calls.h"

static bool exists(const struct place *p)
{
	struct stat st;

	return fstatat(p->dir, p->name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static ino_t ino_at(const struct place *p)
{
	struct stat st;

	return fstatat(p->dir, p->name, &st, AT_SYMLINK_NOFOLLOW) == 0 ? st.st_ino : 0;
}

static void note_name(enum event_kind kind, const struct place *p, unsigned int object, bool half)
{
	record_add((struct event){.kind = kind,
				  .dir = record.on ? record_object(calls_fd_ino(p->dir)) : 0,
				  .object = object,
				  .same_call = half,
				  .name = strdup(p->name)});
}

static long end_place(struct place *p, long r, int error)
{
	syscall(SYS_close, p->dir);
	return calls_end(r, error);
}

/* Opening a file that is there is none of our business, unless it is emptied. */
static void note_open(const struct place *p, int fd, bool is_new, int flags)
{
	if (is_new && record.on)
		note_name(EVENT_NAME, p, record_new_object(calls_fd_ino(fd), false), false);
	else if (!is_new && (flags & O_TRUNC))
		calls_note(fd, (struct event){.kind = EVENT_LENGTH, .off = 0});
	else
		record_add((struct event){.kind = EVENT_NOTHING});
}

/* HOW NULL: openat(2) with FLAGS. */
static long call_open(int dirfd, const char *path, int flags, const struct open_how *how)
{
	if (how != NULL)
		return syscall(SYS_openat2, dirfd, path, how, sizeof(*how));
	return syscall(SYS_openat, dirfd, path, (long)flags, 0L);
}

/* One that makes nothing: it is not in the record. */
static int open_only(int dirfd, const char *path, int flags, const struct open_how *how)
{
	struct place p;
	int error;
	long r = -1;

	if (!calls_wanted(CALL_OPEN) || !calls_place_of(dirfd, path, &p))
		return (int)call_open(dirfd, path, flags, how);
	calls_begin();
	error = calls_count(CALL_OPEN, "open", p.name, 0, 0);
	if (error == 0) {
		r = call_open(dirfd, path, flags, how);
		error = r < 0 ? errno : 0;
	}
	return (int)end_place(&p, r, error);
}

static int do_open(int dirfd, const char *path, int flags, mode_t mode)
{
	struct place p;
	int error;
	long r = -1;
	bool is_new;

	/* That of a temporary file has the flag of a directory in it. */
	if (!(flags & O_CREAT) && (flags & __O_TMPFILE) != __O_TMPFILE)
		return open_only(dirfd, path, flags, NULL);
	if (!(flags & O_CREAT) || !calls_place_of(dirfd, path, &p))
		return (int)syscall(SYS_openat, dirfd, path, (long)flags, (long)mode);
	calls_begin();
	is_new = !exists(&p);
	/* What the name is already is opened whatever the disk does. */
	error = is_new || (flags & O_TRUNC) ? calls_count(CALL_CREATE, "open", p.name, 0, 0) : 0;
	if (error == 0) {
		r = syscall(SYS_openat, dirfd, path, (long)flags, (long)mode);
		error = r < 0 ? errno : 0;
	}
	if (error == 0)
		note_open(&p, (int)r, is_new, flags);
	else
		record_add((struct event){.kind = EVENT_NOTHING});
	return (int)end_place(&p, r, error);
}

/* The mode of an open, which is there only when the call can make something. */
#define MODE_OF(flags, mode)                                                                       \
	do {                                                                                       \
		va_list ap;                                                                        \
                                                                                                   \
		va_start(ap, flags);                                                               \
		mode = (flags) & (O_CREAT | __O_TMPFILE) ? va_arg(ap, mode_t) : 0;                 \
		va_end(ap);                                                                        \
	} while (0)

int open(const char *path, int flags, ...)
{
	mode_t mode;

	MODE_OF(flags, mode);
	return do_open(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
	mode_t mode;

	MODE_OF(flags, mode);
	return do_open(AT_FDCWD, path, flags, mode);
}

int openat(int dirfd, const char *path, int flags, ...)
{
	mode_t mode;

	MODE_OF(flags, mode);
	return do_open(dirfd, path, flags, mode);
}

/* As base/openat2.c has it; nobody makes anything with it. */
int sys_openat2(int dirfd, const char *path, const struct open_how *how)
{
	return open_only(dirfd, path, 0, how);
}

int openat64(int dirfd, const char *path, int flags, ...)
{
	mode_t mode;

	MODE_OF(flags, mode);
	return do_open(dirfd, path, flags, mode);
}

int mkdirat(int dirfd, const char *path, mode_t mode)
{
	struct place p;
	int error;
	long r = -1;

	if (!calls_place_of(dirfd, path, &p))
		return (int)syscall(SYS_mkdirat, dirfd, path, (long)mode);
	calls_begin();
	error = exists(&p) ? EEXIST : calls_count(CALL_CREATE, "mkdir", p.name, 0, 0);
	if (error == 0) {
		r = syscall(SYS_mkdirat, dirfd, path, (long)mode);
		error = r < 0 ? errno : 0;
	}
	if (error == 0 && record.on)
		note_name(EVENT_NAME, &p, record_new_object(ino_at(&p), true), false);
	else
		record_add((struct event){.kind = EVENT_NOTHING});
	return (int)end_place(&p, r, error);
}

int unlinkat(int dirfd, const char *path, int flags)
{
	struct place p;
	int error;
	long r = -1;

	if (!calls_place_of(dirfd, path, &p))
		return (int)syscall(SYS_unlinkat, dirfd, path, (long)flags);
	calls_begin();
	error = exists(&p) ? calls_count(CALL_REMOVE, "unlink", p.name, 0, 0) : ENOENT;
	if (error == 0) {
		r = syscall(SYS_unlinkat, dirfd, path, (long)flags);
		error = r < 0 ? errno : 0;
	}
	if (error == 0)
		note_name(EVENT_UNNAME, &p, 0, false);
	else
		record_add((struct event){.kind = EVENT_NOTHING});
	return (int)end_place(&p, r, error);
}

int renameat(int old_dir, const char *old, int new_dir, const char *new)
{
	struct place from, to;
	int error;
	long r = -1;
	ino_t ino;

	if (!calls_place_of(old_dir, old, &from))
		return (int)syscall(SYS_renameat, old_dir, old, new_dir, new);
	if (!calls_place_of(new_dir, new, &to))
		abort();
	calls_begin();
	ino = ino_at(&from);
	error = calls_count(CALL_RENAME, "rename", to.name, 0, 0);
	if (error == 0) {
		r = syscall(SYS_renameat, old_dir, old, new_dir, new);
		error = r < 0 ? errno : 0;
	}
	if (error == 0) {
		note_name(EVENT_NAME, &to, record.on ? record_object(ino) : 0, false);
		note_name(EVENT_UNNAME, &from, 0, true);
	} else {
		record_add((struct event){.kind = EVENT_NOTHING});
	}
	syscall(SYS_close, to.dir);
	return (int)end_place(&from, r, error);
}
