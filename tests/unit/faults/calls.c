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

#include "unit/faults/calls.h"

/*
 * Watched calls are made one at a time, under `lock`, so that the record has them in the order in
 * which they happened. Nothing in here calls what is defined here, but for syscall().
 */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char watched[4096]; /* "" nothing */
static struct fault_plan plan;
static unsigned long counted, fired, seen[CALL_TIMES + 1];
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

bool calls_wanted(enum fault_call call)
{
	return (plan.calls & CALLS_OF(call)) != 0;
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

ino_t calls_fd_ino(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 ? st.st_ino : 0;
}

bool calls_place_of(int dirfd, const char *path, struct place *ret_place)
{
	const char *slash = strrchr(path, '/');
	char above[4096] = ".";
	const char *rest;

	if (watched[0] == '\0')
		return false;
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
int calls_count(enum fault_call call, const char *name, const char *file, uint64_t off, uint64_t n)
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

bool calls_begin_fd(int fd, char path[4096])
{
	const char *rest;
	int saved = errno;
	bool ours = watched[0] != '\0' && fd_path(fd, path) && is_watched(path, &rest);

	if (ours)
		pthread_mutex_lock(&lock);
	errno = saved;
	return ours;
}

void calls_begin(void)
{
	pthread_mutex_lock(&lock);
}

long calls_end(long r, int error)
{
	pthread_mutex_unlock(&lock);
	if (error != 0)
		errno = error;
	return error != 0 ? -1 : r;
}

void calls_note(int fd, struct event event)
{
	if (record.on) {
		event.object = record_object(calls_fd_ino(fd));
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
	calls_note(fd, event);
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

	if (!calls_begin_fd(fd, path)) {
		if (off < 0)
			return syscall(SYS_writev, fd, iov, (long)n_iov);
		return syscall(SYS_pwritev, fd, iov, (long)n_iov, (long)off, 0L);
	}
	if (off < 0)
		at = syscall(SYS_lseek, fd, 0L, (long)SEEK_CUR);
	error = plan.space && !takes_space(fd, at, (off_t)size)
			? 0
			: calls_count(CALL_WRITE, name, path, (uint64_t)at, size);
	if (error != 0 && plan.partial && size > 1) {
		size = 1 + (size_t)at / 7 % (size - 1);
		cut_short.ino = calls_fd_ino(fd);
		cut_short.at = at + (off_t)size;
		error = 0;
	} else if (cut_short.ino != 0 && cut_short.at == at && cut_short.ino == calls_fd_ino(fd)) {
		error = plan.code;
		cut_short.ino = 0;
	}
	if (error != 0) {
		record_add((struct event){.kind = EVENT_NOTHING});
		return calls_end(-1, error);
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
	return calls_end(r, error);
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

	if (!calls_begin_fd(fd, path))
		return (int)syscall(nr, fd);
	error = calls_count(CALL_SYNC, name, path, 0, 0);
	if (error == 0) {
		r = syscall(nr, fd);
		error = r < 0 ? errno : 0;
	}
	if (nr == SYS_syncfs)
		record_add((struct event){.kind = EVENT_SYNC_ALL, .failed = error != 0});
	else
		calls_note(fd, (struct event){.kind = EVENT_SYNC, .failed = error != 0});
	return (int)calls_end(r, error);
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

	if (!calls_begin_fd(fd, path))
		return (int)syscall(SYS_sync_file_range, fd, off, n, (long)flags);
	error = calls_count(CALL_HINT, "sync_file_range", path, 0, 0);
	if (error == 0) {
		r = syscall(SYS_sync_file_range, fd, off, n, (long)flags);
		error = r < 0 ? errno : 0;
	}
	record_add((struct event){.kind = EVENT_NOTHING});
	return (int)calls_end(r, error);
}

/* ---- lengths and places -------------------------------------------------------------- */

int ftruncate(int fd, off_t len)
{
	char path[4096];
	int error;
	long r = -1;

	if (!calls_begin_fd(fd, path))
		return (int)syscall(SYS_ftruncate, fd, (long)len);
	error = calls_count(CALL_TRUNCATE, "ftruncate", path, (uint64_t)len, 0);
	if (error == 0) {
		r = syscall(SYS_ftruncate, fd, (long)len);
		error = r < 0 ? errno : 0;
	}
	if (error == 0)
		set_room(calls_fd_ino(fd), 0);
	if (error == 0)
		calls_note(fd, (struct event){.kind = EVENT_LENGTH, .off = (uint64_t)len});
	else
		record_add((struct event){.kind = EVENT_NOTHING});
	return (int)calls_end(r, error);
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
		calls_note(fd, (struct event){.kind = EVENT_LENGTH, .off = (uint64_t)st.st_size});
	else
		record_add((struct event){.kind = EVENT_NOTHING});
	if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		calls_note(fd,
			   (struct event){
				   .kind = EVENT_WRITE, .off = off, .len = len, .same_call = true});
}

int fallocate(int fd, int mode, off_t off, off_t len)
{
	char path[4096];
	int error = 0;
	long r = -1;

	if (!calls_begin_fd(fd, path))
		return (int)syscall(SYS_fallocate, fd, (long)mode, (long)off, (long)len);
	if (!(plan.space && mode == FALLOC_FL_KEEP_SIZE && room_of(calls_fd_ino(fd)) >= off + len))
		error = calls_count(CALL_ALLOCATE, "fallocate", path, (uint64_t)off, (uint64_t)len);
	if (error == 0) {
		r = syscall(SYS_fallocate, fd, (long)mode, (long)off, (long)len);
		error = r < 0 ? errno : 0;
	}
	if (error == 0 && mode == FALLOC_FL_KEEP_SIZE)
		set_room(calls_fd_ino(fd), (off_t)(off + len));
	if (error == 0)
		note_fallocate(fd, mode, (uint64_t)off, (uint64_t)len);
	else
		record_add((struct event){.kind = EVENT_NOTHING});
	return (int)calls_end(r, error);
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

	if (!calls_begin_fd(out, path))
		return syscall(SYS_copy_file_range, in, in_off, out, out_off, n, (long)flags);
	if (out_off == NULL)
		at = syscall(SYS_lseek, out, 0L, (long)SEEK_CUR);
	error = calls_count(CALL_COPY, "copy_file_range", path, (uint64_t)at, n);
	if (error == 0) {
		r = syscall(SYS_copy_file_range, in, in_off, out, out_off, n, (long)flags);
		error = r < 0 ? errno : 0;
	}
	if (r > 0)
		note_content(out, (uint64_t)at, (uint64_t)r, false);
	else
		record_add((struct event){.kind = EVENT_NOTHING});
	return calls_end(r, error);
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
	if (request != FICLONE || !calls_begin_fd(fd, path))
		return (int)syscall(SYS_ioctl, fd, request, arg);
	error = calls_count(CALL_COPY, "FICLONE", path, 0, 0);
	if (error == 0) {
		r = syscall(SYS_ioctl, fd, request, arg);
		error = r < 0 ? errno : 0;
	}
	if (error == 0 && fstat(fd, &st) == 0)
		note_content(fd, 0, (uint64_t)st.st_size, false);
	else
		record_add((struct event){.kind = EVENT_NOTHING});
	return (int)calls_end(r, error);
}
