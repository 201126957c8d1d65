/* SPDX-License-Identifier: Apache-2.0 */
/* The system calls that change files, under the C library's names. */

/* Both pwrite and pwrite64 have to be defined, and be two functions. */
#undef _FILE_OFFSET_BITS
#undef _FORTIFY_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "unit/faults/faults.h"
#include "unit/faults/record.h"

/*
 * Watched calls are made one at a time, under `lock`, so that the record has them in the order in
 * which they happened. Nothing in here calls what is defined here, but for syscall().
 */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char watched[4096]; /* "" nothing */
static struct fault_plan plan;
static unsigned long counted, fired, seen[CALL_HINT + 1];
static char what[300];

/* A write that took only a part: what is left of it does not fit either. */
static struct {
	ino_t ino;
	off_t at;
} cut_short;

/* ---- the rules ----------------------------------------------------------------------- */

void faults_watch(const char *dir, bool keep)
{
	char *path = realpath(dir, NULL);

	pthread_mutex_lock(&lock);
	watched[0] = '\0';
	pthread_mutex_unlock(&lock);
	record_free();
	if (keep)
		record_start(path);
	pthread_mutex_lock(&lock);
	snprintf(watched, sizeof(watched), "%s", path);
	plan = (struct fault_plan){0};
	pthread_mutex_unlock(&lock);
	free(path);
}

void faults_unwatch(void)
{
	pthread_mutex_lock(&lock);
	watched[0] = '\0';
	pthread_mutex_unlock(&lock);
	record_free();
}

void faults_begin(const struct fault_plan *new_plan)
{
	pthread_mutex_lock(&lock);
	plan = new_plan != NULL ? *new_plan : (struct fault_plan){0};
	if (plan.calls == 0)
		plan.calls = CALLS_ALL;
	counted = fired = 0;
	cut_short.ino = 0;
	memset(seen, 0, sizeof(seen));
	what[0] = '\0';
	pthread_mutex_unlock(&lock);
}

unsigned long faults_end(void)
{
	unsigned long n;

	pthread_mutex_lock(&lock);
	n = counted;
	plan.at = 0;
	cut_short.ino = 0;
	pthread_mutex_unlock(&lock);
	return n;
}

unsigned long faults_fired(void)
{
	return fired;
}

const char *faults_what(void)
{
	return what;
}

unsigned long faults_seen(enum fault_call call)
{
	return seen[call];
}

size_t faults_recorded(void)
{
	return record.n_calls;
}

void faults_mark(unsigned int mark)
{
	pthread_mutex_lock(&lock);
	record.mark = mark;
	pthread_mutex_unlock(&lock);
}

/* ---- space ---------------------------------------------------------------------------- */

/* Room behind the end of files, by fallocate(2). */
static struct {
	ino_t ino;
	off_t upto;
} rooms[64];
static size_t n_rooms;

static void set_room(ino_t ino, off_t upto)
{
	size_t i = 0;

	while (i < n_rooms && rooms[i].ino != ino)
		i++;
	if (i == n_rooms)
		n_rooms = n_rooms < 64 ? n_rooms + 1 : 1;
	i %= 64;
	rooms[i].ino = ino;
	rooms[i].upto = upto;
}

static off_t room_of(ino_t ino)
{
	for (size_t i = 0; i < n_rooms; i++) {
		if (rooms[i].ino == ino)
			return rooms[i].upto;
	}
	return 0;
}

/* Whether a write takes blocks that the file does not have yet. */
static bool takes_space(int fd, off_t off, off_t n)
{
	struct stat st;
	long at, hole;

	if (fstat(fd, &st) < 0)
		return true;
	if (off + n > st.st_size)
		return off + n > room_of(st.st_ino);
	at = syscall(SYS_lseek, fd, 0L, (long)SEEK_CUR);
	hole = syscall(SYS_lseek, fd, (long)off, (long)SEEK_HOLE);
	syscall(SYS_lseek, fd, at, (long)SEEK_SET);
	return hole < off + n;
}

/* ---- which files --------------------------------------------------------------------- */

/* Below the watched directory, or itself; RET_REST is the path in it. */
static bool is_watched(const char *path, const char **ret_rest)
{
	size_t n = strlen(watched);

	if (n == 0 || strncmp(path, watched, n) != 0 || (path[n] != '\0' && path[n] != '/'))
		return false;
	*ret_rest = path + n + (path[n] == '/');
	return true;
}

static bool fd_path(int fd, char path[4096])
{
	char proc[40];
	long n;

	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	n = syscall(SYS_readlink, proc, path, 4095L);
	path[n > 0 ? n : 0] = '\0';
	return n > 0;
}

static ino_t fd_ino(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 ? st.st_ino : 0;
}

/* A name in a directory. The descriptor of the directory is ours. */
struct place {
	int dir;
	char name[256];
	char path[4096];
};

static bool place_of(int dirfd, const char *path, struct place *ret_place)
{
	const char *slash = strrchr(path, '/');
	char above[4096] = ".";
	const char *rest;

	if (slash != NULL)
		snprintf(above, sizeof(above), "%.*s", (int)(slash - path) + 1, path);
	ret_place->dir = (int)syscall(SYS_openat, dirfd, above, O_PATH | O_DIRECTORY | O_CLOEXEC,
				      0);
	if (ret_place->dir < 0)
		return false;
	snprintf(ret_place->name, sizeof(ret_place->name), "%s", slash != NULL ? slash + 1 : path);
	if (fd_path(ret_place->dir, ret_place->path) && is_watched(ret_place->path, &rest))
		return true;
	syscall(SYS_close, ret_place->dir);
	return false;
}

/* ---- one call ------------------------------------------------------------------------ */

/* Counts it; the error that it has to fail with, or 0. */
static int count(enum fault_call call, const char *name, const char *file, uint64_t off, uint64_t n)
{
	seen[call]++;
	if (!(plan.calls & CALLS_OF(call)))
		return 0;
	counted++;
	if (plan.at == 0 || counted < plan.at || (counted > plan.at && !plan.for_good))
		return 0;
	if (fired++ == 0)
		snprintf(what, sizeof(what), "%s of %s, %llu bytes at %llu", name, file,
			 (unsigned long long)n, (unsigned long long)off);
	return plan.code;
}

/* Begins a call on FD: true when it is watched, and then the lock is held. */
static bool begin(int fd, char path[4096])
{
	const char *rest;
	int saved = errno;
	bool ours = watched[0] != '\0' && fd_path(fd, path) && is_watched(path, &rest);

	if (ours)
		pthread_mutex_lock(&lock);
	errno = saved;
	return ours;
}

static long end(long r, int error)
{
	pthread_mutex_unlock(&lock);
	if (error != 0)
		errno = error;
	return error != 0 ? -1 : r;
}

static void note(int fd, struct event event)
{
	if (record.on) {
		event.object = record_object(fd_ino(fd));
		record_add(event);
	} else {
		free(event.bytes);
	}
}

/* What is in the file now, for whatever way it came there. */
static void note_content(int fd, uint64_t off, uint64_t len, bool forced)
{
	struct event event = {.kind = EVENT_WRITE, .off = off, .len = len, .forced = forced};
	char proc[40];
	long in;

	if (!record.on)
		return;
	/* The descriptor may be for writing only. */
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	in = syscall(SYS_openat, AT_FDCWD, proc, (long)(O_RDONLY | O_CLOEXEC), 0L);
	event.bytes = malloc(len + 1);
	if (in < 0 || syscall(SYS_pread64, in, event.bytes, len, off) != (long)len)
		abort();
	syscall(SYS_close, in);
	note(fd, event);
}

static bool is_dsync(int fd)
{
	long flags = syscall(SYS_fcntl, fd, F_GETFL, 0);

	return flags >= 0 && (flags & O_DSYNC) != 0;
}

/* ---- writes -------------------------------------------------------------------------- */

static size_t total(const struct iovec *iov, int n)
{
	size_t sum = 0;

	for (int i = 0; i < n; i++)
		sum += iov[i].iov_len;
	return sum;
}

/* The first N bytes of what IOV says. */
static long write_some(int fd, const struct iovec *iov, int n_iov, size_t n, off_t off)
{
	struct iovec some[64];
	int k = 0;

	for (int i = 0; i < n_iov && i < 64 && n > 0; i++, k++) {
		some[k] = iov[i];
		if (some[k].iov_len > n)
			some[k].iov_len = n;
		n -= some[k].iov_len;
	}
	return syscall(SYS_pwritev, fd, some, (long)k, (long)off, 0L);
}

/* OFF -1: at the descriptor's place, which moves. */
static ssize_t do_write(int fd, const struct iovec *iov, int n_iov, off_t off, const char *name)
{
	char path[4096];
	size_t size = total(iov, n_iov);
	off_t at = off;
	long r;
	int error;

	if (!begin(fd, path)) {
		if (off < 0)
			return syscall(SYS_writev, fd, iov, (long)n_iov);
		return syscall(SYS_pwritev, fd, iov, (long)n_iov, (long)off, 0L);
	}
	if (off < 0)
		at = syscall(SYS_lseek, fd, 0L, (long)SEEK_CUR);
	error = plan.space && !takes_space(fd, at, (off_t)size)
			? 0
			: count(CALL_WRITE, name, path, (uint64_t)at, size);
	if (error != 0 && plan.partial && size > 1) {
		size = 1 + (size_t)at / 7 % (size - 1);
		cut_short.ino = fd_ino(fd);
		cut_short.at = at + (off_t)size;
		error = 0;
	} else if (cut_short.ino != 0 && cut_short.at == at && cut_short.ino == fd_ino(fd)) {
		error = plan.code;
		cut_short.ino = 0;
	}
	if (error != 0) {
		record_add((struct event){.kind = EVENT_NOTHING});
		return end(-1, error);
	}
	r = size == total(iov, n_iov) && n_iov > 64
		    ? syscall(SYS_pwritev, fd, iov, (long)n_iov, (long)at, 0L)
		    : write_some(fd, iov, n_iov, size, at);
	error = r < 0 ? errno : 0;
	if (off < 0 && r > 0)
		syscall(SYS_lseek, fd, (long)at + r, (long)SEEK_SET);
	if (r > 0)
		note_content(fd, (uint64_t)at, (uint64_t)r, is_dsync(fd));
	else
		record_add((struct event){.kind = EVENT_NOTHING});
	return end(r, error);
}

ssize_t pwrite(int fd, const void *bytes, size_t n, off_t off)
{
	struct iovec iov = {(void *)(uintptr_t)bytes, n};

	return do_write(fd, &iov, 1, off, "pwrite");
}

ssize_t pwrite64(int fd, const void *bytes, size_t n, off64_t off)
{
	return pwrite(fd, bytes, n, off);
}

ssize_t pwritev(int fd, const struct iovec *iov, int n, off_t off)
{
	return do_write(fd, iov, n, off, "pwritev");
}

ssize_t pwritev64(int fd, const struct iovec *iov, int n, off64_t off)
{
	return do_write(fd, iov, n, off, "pwritev");
}

ssize_t write(int fd, const void *bytes, size_t n)
{
	struct iovec iov = {(void *)(uintptr_t)bytes, n};

	return do_write(fd, &iov, 1, -1, "write");
}

ssize_t writev(int fd, const struct iovec *iov, int n)
{
	return do_write(fd, iov, n, -1, "writev");
}

/* ---- flushes ------------------------------------------------------------------------- */

static int do_sync(long nr, int fd, const char *name)
{
	char path[4096];
	int error;
	long r = -1;

	if (!begin(fd, path))
		return (int)syscall(nr, fd);
	error = count(CALL_SYNC, name, path, 0, 0);
	if (error == 0) {
		r = syscall(nr, fd);
		error = r < 0 ? errno : 0;
	}
	if (nr == SYS_syncfs)
		record_add((struct event){.kind = EVENT_SYNC_ALL, .failed = error != 0});
	else
		note(fd, (struct event){.kind = EVENT_SYNC, .failed = error != 0});
	return (int)end(r, error);
}

int fsync(int fd)
{
	return do_sync(SYS_fsync, fd, "fsync");
}

int fdatasync(int fd)
{
	return do_sync(SYS_fdatasync, fd, "fdatasync");
}

int syncfs(int fd)
{
	return do_sync(SYS_syncfs, fd, "syncfs");
}

int sync_file_range(int fd, off64_t off, off64_t n, unsigned int flags)
{
	char path[4096];
	int error;
	long r = -1;

	if (!begin(fd, path))
		return (int)syscall(SYS_sync_file_range, fd, off, n, (long)flags);
	error = count(CALL_HINT, "sync_file_range", path, 0, 0);
	if (error == 0) {
		r = syscall(SYS_sync_file_range, fd, off, n, (long)flags);
		error = r < 0 ? errno : 0;
	}
	record_add((struct event){.kind = EVENT_NOTHING});
	return (int)end(r, error);
}

/* ---- lengths and places -------------------------------------------------------------- */

int ftruncate(int fd, off_t len)
{
	char path[4096];
	int error;
	long r = -1;

	if (!begin(fd, path))
		return (int)syscall(SYS_ftruncate, fd, (long)len);
	error = count(CALL_TRUNCATE, "ftruncate", path, (uint64_t)len, 0);
	if (error == 0) {
		r = syscall(SYS_ftruncate, fd, (long)len);
		error = r < 0 ? errno : 0;
	}
	if (error == 0)
		set_room(fd_ino(fd), 0);
	if (error == 0)
		note(fd, (struct event){.kind = EVENT_LENGTH, .off = (uint64_t)len});
	else
		record_add((struct event){.kind = EVENT_NOTHING});
	return (int)end(r, error);
}

int ftruncate64(int fd, off64_t len)
{
	return ftruncate(fd, len);
}

static void note_fallocate(int fd, int mode, uint64_t off, uint64_t len)
{
	struct stat st = {0};

	fstat(fd, &st);
	if (mode == 0 || mode == FALLOC_FL_ZERO_RANGE)
		note(fd, (struct event){.kind = EVENT_LENGTH, .off = (uint64_t)st.st_size});
	else
		record_add((struct event){.kind = EVENT_NOTHING});
	if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		note(fd, (struct event){
				 .kind = EVENT_WRITE, .off = off, .len = len, .same_call = true});
}

int fallocate(int fd, int mode, off_t off, off_t len)
{
	char path[4096];
	int error = 0;
	long r = -1;

	if (!begin(fd, path))
		return (int)syscall(SYS_fallocate, fd, (long)mode, (long)off, (long)len);
	if (!(plan.space && mode == FALLOC_FL_KEEP_SIZE && room_of(fd_ino(fd)) >= off + len))
		error = count(CALL_ALLOCATE, "fallocate", path, (uint64_t)off, (uint64_t)len);
	if (error == 0) {
		r = syscall(SYS_fallocate, fd, (long)mode, (long)off, (long)len);
		error = r < 0 ? errno : 0;
	}
	if (error == 0 && mode == FALLOC_FL_KEEP_SIZE)
		set_room(fd_ino(fd), (off_t)(off + len));
	if (error == 0)
		note_fallocate(fd, mode, (uint64_t)off, (uint64_t)len);
	else
		record_add((struct event){.kind = EVENT_NOTHING});
	return (int)end(r, error);
}

int fallocate64(int fd, int mode, off64_t off, off64_t len)
{
	return fallocate(fd, mode, off, len);
}

/* ---- copies -------------------------------------------------------------------------- */

ssize_t copy_file_range(int in, off64_t *in_off, int out, off64_t *out_off, size_t n,
			unsigned int flags)
{
	off64_t at = out_off != NULL ? *out_off : 0;
	char path[4096];
	int error;
	long r = -1;

	if (!begin(out, path))
		return syscall(SYS_copy_file_range, in, in_off, out, out_off, n, (long)flags);
	if (out_off == NULL)
		at = syscall(SYS_lseek, out, 0L, (long)SEEK_CUR);
	error = count(CALL_COPY, "copy_file_range", path, (uint64_t)at, n);
	if (error == 0) {
		r = syscall(SYS_copy_file_range, in, in_off, out, out_off, n, (long)flags);
		error = r < 0 ? errno : 0;
	}
	if (r > 0)
		note_content(out, (uint64_t)at, (uint64_t)r, false);
	else
		record_add((struct event){.kind = EVENT_NOTHING});
	return end(r, error);
}

int ioctl(int fd, unsigned long request, ...)
{
	char path[4096];
	struct stat st;
	va_list ap;
	long arg, r = -1;
	int error;

	va_start(ap, request);
	arg = va_arg(ap, long);
	va_end(ap);
	if (request != FICLONE || !begin(fd, path))
		return (int)syscall(SYS_ioctl, fd, request, arg);
	error = count(CALL_COPY, "FICLONE", path, 0, 0);
	if (error == 0) {
		r = syscall(SYS_ioctl, fd, request, arg);
		error = r < 0 ? errno : 0;
	}
	if (error == 0 && fstat(fd, &st) == 0)
		note_content(fd, 0, (uint64_t)st.st_size, false);
	else
		record_add((struct event){.kind = EVENT_NOTHING});
	return (int)end(r, error);
}

/* ---- names --------------------------------------------------------------------------- */

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
				  .dir = record.on ? record_object(fd_ino(p->dir)) : 0,
				  .object = object,
				  .same_call = half,
				  .name = strdup(p->name)});
}

static long end_place(struct place *p, long r, int error)
{
	syscall(SYS_close, p->dir);
	return end(r, error);
}

/* Opening a file that is there is none of our business, unless it is emptied. */
static void note_open(const struct place *p, int fd, bool is_new, int flags)
{
	if (is_new && record.on)
		note_name(EVENT_NAME, p, record_new_object(fd_ino(fd), false), false);
	else if (!is_new && (flags & O_TRUNC))
		note(fd, (struct event){.kind = EVENT_LENGTH, .off = 0});
	else
		record_add((struct event){.kind = EVENT_NOTHING});
}

static int do_open(int dirfd, const char *path, int flags, mode_t mode)
{
	struct place p;
	int error;
	long r = -1;
	bool is_new;

	if (!(flags & O_CREAT) || watched[0] == '\0' || !place_of(dirfd, path, &p))
		return (int)syscall(SYS_openat, dirfd, path, (long)flags, (long)mode);
	pthread_mutex_lock(&lock);
	is_new = !exists(&p);
	/* What the name is already is opened whatever the disk does. */
	error = is_new || (flags & O_TRUNC) ? count(CALL_CREATE, "open", p.name, 0, 0) : 0;
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

#define OPEN(name, dir)                                                                            \
	{                                                                                          \
		mode_t mode = 0;                                                                   \
                                                                                                   \
		if (flags & (O_CREAT | __O_TMPFILE)) {                                             \
			va_list ap;                                                                \
                                                                                                   \
			va_start(ap, flags);                                                       \
			mode = va_arg(ap, mode_t);                                                 \
			va_end(ap);                                                                \
		}                                                                                  \
		return do_open(dir, name, flags, mode);                                            \
	}

int open(const char *path, int flags, ...)
	OPEN(path, AT_FDCWD) int open64(const char *path, int flags, ...)
		OPEN(path, AT_FDCWD) int openat(int dirfd, const char *path, int flags, ...)
			OPEN(path, dirfd) int openat64(int dirfd, const char *path, int flags, ...)
				OPEN(path, dirfd)

					int mkdirat(int dirfd, const char *path, mode_t mode)
{
	struct place p;
	int error;
	long r = -1;

	if (watched[0] == '\0' || !place_of(dirfd, path, &p))
		return (int)syscall(SYS_mkdirat, dirfd, path, (long)mode);
	pthread_mutex_lock(&lock);
	error = exists(&p) ? EEXIST : count(CALL_CREATE, "mkdir", p.name, 0, 0);
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

	if (watched[0] == '\0' || !place_of(dirfd, path, &p))
		return (int)syscall(SYS_unlinkat, dirfd, path, (long)flags);
	pthread_mutex_lock(&lock);
	error = exists(&p) ? count(CALL_REMOVE, "unlink", p.name, 0, 0) : ENOENT;
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

	if (watched[0] == '\0' || !place_of(old_dir, old, &from))
		return (int)syscall(SYS_renameat, old_dir, old, new_dir, new);
	if (!place_of(new_dir, new, &to))
		abort();
	pthread_mutex_lock(&lock);
	ino = ino_at(&from);
	error = count(CALL_RENAME, "rename", to.name, 0, 0);
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
