/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One thread changes the bytes of a few dozen files by every means there is, and has a copy of all
 * of them in memory. The files begin in the lower layer, so the first changes are copy-ups.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crash/long/long.h"

#define N_FILES	 40
#define FILE_MAX 1500000
#define IO_MAX	 100000
/* Operations between an open and a close. */
#define SEGMENT 60

struct file {
	char name[16];
	unsigned char *bytes; /* FILE_MAX of them, zeros past `size` */
	size_t size;
	bool gone;
};

struct fsx {
	int dir;
	struct file files[N_FILES];
	struct file *f; /* the one that is open */
	int fd;
	unsigned char *map; /* of the first byte's page on, or NULL; stays while others write */
	size_t mapped;
	uint64_t rng, ops;
};

static const size_t sizes[] = {0, 100, 4096, 4097, 20000, 131072, 131073, 300000, 700000, 1200000};

static size_t lower_size(unsigned int i)
{
	return sizes[i % (sizeof(sizes) / sizeof(sizes[0]))];
}

void fsx_lower(int lower)
{
	int dir;

	mkdirat(lower, "fsx", 0755);
	dir = open_dir(lower, "fsx");
	for (unsigned int i = 0; i < N_FILES; i++) {
		char name[16];
		int fd;

		snprintf(name, sizeof(name), "f%u", i);
		make_file(dir, name, i, lower_size(i));
		/* Every third has a hole in it. */
		fd = openat(dir, name, O_RDWR);
		if (i % 3 == 0 && lower_size(i) > 100000)
			fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 8192, 90112);
		close(fd);
	}
	close(dir);
}

static void model_lower(struct file *f, unsigned int i)
{
	f->size = lower_size(i);
	content(i, 0, f->bytes, f->size);
	if (i % 3 == 0 && f->size > 100000)
		memset(f->bytes + 8192, 0, 90112);
}

/* The length becomes SIZE; what is past it is zeros for whoever grows the file again. */
static void model_resize(struct file *f, size_t size)
{
	if (size < f->size)
		memset(f->bytes + size, 0, f->size - size);
	f->size = size;
}

static void model_write(struct file *f, const unsigned char *bytes, size_t off, size_t n)
{
	memcpy(f->bytes + off, bytes, n);
	if (off + n > f->size)
		f->size = off + n;
}

static void differs(const struct fsx *x, const char *how, const unsigned char *got, size_t off,
		    size_t n)
{
	size_t i = 0;

	while (i < n && got[i] == x->f->bytes[off + i])
		i++;
	wrong("fsx operation %llu: %s of %s: byte %zu of %zu is %02x, not %02x",
	      (unsigned long long)x->ops, how, x->f->name, off + i, x->f->size, got[i],
	      x->f->bytes[off + i]);
}

static void failed(const struct fsx *x, const char *what)
{
	wrong("fsx operation %llu: %s of %s: %s", (unsigned long long)x->ops, what, x->f->name,
	      strerror(errno));
}

/* A range inside the file; false when there is none. */
static bool range_inside(struct fsx *x, size_t *ret_off, size_t *ret_n)
{
	size_t max;

	if (x->f->size == 0)
		return false;
	*ret_off = below(&x->rng, (unsigned int)x->f->size);
	max = x->f->size - *ret_off < IO_MAX ? x->f->size - *ret_off : IO_MAX;
	*ret_n = 1 + below(&x->rng, (unsigned int)max);
	return true;
}

/* A range that may lie past the end, but not far. */
static void range_any(struct fsx *x, size_t *ret_off, size_t *ret_n)
{
	size_t end = x->f->size + 50000 < FILE_MAX - IO_MAX ? x->f->size + 50000
							    : FILE_MAX - IO_MAX;

	*ret_off = below(&x->rng, 4) ? below(&x->rng, (unsigned int)end) : x->f->size;
	if (*ret_off > FILE_MAX - IO_MAX)
		*ret_off = FILE_MAX - IO_MAX;
	*ret_n = 1 + (below(&x->rng, 3) ? below(&x->rng, 5000) : below(&x->rng, IO_MAX - 1));
}

static unsigned char *fresh_bytes(struct fsx *x, size_t n)
{
	static unsigned char bytes[IO_MAX];

	content(rnd(&x->rng), 0, bytes, n);
	return bytes;
}

static void do_read(struct fsx *x)
{
	static unsigned char bytes[IO_MAX];
	size_t off, n;

	if (!range_inside(x, &off, &n))
		return;
	read_at(x->fd, bytes, n, (off_t)off, x->f->name);
	if (memcmp(bytes, x->f->bytes + off, n) != 0)
		differs(x, "read", bytes, off, n);
}

static void do_write(struct fsx *x)
{
	unsigned char *bytes;
	size_t off, n;

	range_any(x, &off, &n);
	bytes = fresh_bytes(x, n);
	write_at(x->fd, bytes, n, (off_t)off, x->f->name);
	model_write(x->f, bytes, off, n);
}

static void unmap(struct fsx *x)
{
	if (x->map != NULL && munmap(x->map, x->mapped) < 0)
		failed(x, "munmap");
	x->map = NULL;
}

/* Maps the file anew, or goes on with what is mapped already. */
static bool map(struct fsx *x)
{
	if (x->map != NULL && x->mapped <= x->f->size && below(&x->rng, 3) != 0)
		return true;
	unmap(x);
	if (x->f->size == 0)
		return false;
	x->mapped = x->f->size;
	x->map = mmap(NULL, x->mapped, PROT_READ | PROT_WRITE, MAP_SHARED, x->fd, 0);
	if (x->map == MAP_FAILED)
		failed(x, "mmap");
	return true;
}

static void do_mapread(struct fsx *x)
{
	size_t off, n;

	if (!map(x) || !range_inside(x, &off, &n) || off >= x->mapped)
		return;
	if (n > x->mapped - off)
		n = x->mapped - off;
	if (memcmp(x->map + off, x->f->bytes + off, n) != 0)
		differs(x, "mapped read", x->map + off, off, n);
}

static void do_mapwrite(struct fsx *x)
{
	unsigned char *bytes;
	size_t off, n;

	if (!map(x) || !range_inside(x, &off, &n) || off >= x->mapped)
		return;
	if (n > x->mapped - off)
		n = x->mapped - off;
	bytes = fresh_bytes(x, n);
	memcpy(x->map + off, bytes, n);
	model_write(x->f, bytes, off, n);
	if (below(&x->rng, 3) == 0 && msync(x->map, x->mapped, MS_SYNC) < 0)
		failed(x, "msync");
}

static void do_truncate(struct fsx *x)
{
	size_t size = below(&x->rng, 8) == 0 ? 0
		      : below(&x->rng, 2)    ? below(&x->rng, (unsigned int)x->f->size + 1)
					     : x->f->size + below(&x->rng, 50000);

	if (size > FILE_MAX - IO_MAX)
		size = x->f->size / 2;
	/* A page of a mapping that has no file under it any more must not be touched. */
	unmap(x);
	if (ftruncate(x->fd, (off_t)size) < 0)
		failed(x, "ftruncate");
	model_resize(x->f, size);
}

static void do_fallocate(struct fsx *x)
{
	static const int modes[] = {0,
				    FALLOC_FL_KEEP_SIZE,
				    FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				    FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				    FALLOC_FL_ZERO_RANGE,
				    FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE};
	int mode = modes[below(&x->rng, 6)];
	size_t off, n, end;

	range_any(x, &off, &n);
	if (fallocate(x->fd, mode, (off_t)off, (off_t)n) < 0)
		failed(x, "fallocate");
	if (!(mode & FALLOC_FL_KEEP_SIZE) && off + n > x->f->size)
		x->f->size = off + n;
	end = off + n < x->f->size ? off + n : x->f->size;
	if ((mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) && off < end)
		memset(x->f->bytes + off, 0, end - off);
}

/* From another file, or inside the file to a place that does not overlap. */
static void do_copy_range(struct fsx *x)
{
	struct file *from = below(&x->rng, 2) ? x->f : &x->files[below(&x->rng, N_FILES)];
	int fd = openat(x->dir, from->name, O_RDONLY);
	size_t src, dst, n;
	loff_t in, out;

	if (fd < 0)
		failed(x, "open for copying");
	range_any(x, &dst, &n);
	src = from->size > 0 ? below(&x->rng, (unsigned int)from->size) : 0;
	n = n < from->size - src ? n : from->size - src;
	if (from == x->f && src < dst + n && dst < src + n)
		n = 0;
	in = (loff_t)src;
	out = (loff_t)dst;
	for (size_t left = n; left > 0;) {
		ssize_t r = copy_file_range(fd, &in, x->fd, &out, left, 0);

		if (r <= 0)
			failed(x, "copy_file_range");
		left -= (size_t)r;
	}
	if (n > 0)
		model_write(x->f, from->bytes + src, dst, n);
	close(fd);
}

/* The kernel asks where holes are without writing out what it has: a limit of FUSE. */
static void do_seek(struct fsx *x)
{
	size_t from = below(&x->rng, (unsigned int)x->f->size + 1), end;
	off_t data;

	if (fdatasync(x->fd) < 0)
		failed(x, "fdatasync");
	data = lseek(x->fd, (off_t)from, SEEK_DATA);

	if (data < 0 && errno != ENXIO)
		failed(x, "SEEK_DATA");
	end = data < 0 ? x->f->size : (size_t)data;
	if (end > x->f->size || end < from)
		wrong("fsx operation %llu: SEEK_DATA from %zu of %s: %lld",
		      (unsigned long long)x->ops, from, x->f->name, (long long)data);
	for (size_t i = from; i < end; i++) {
		if (x->f->bytes[i] != 0)
			wrong("fsx operation %llu: SEEK_DATA of %s says that byte %zu is in a hole",
			      (unsigned long long)x->ops, x->f->name, i);
	}
}

static void do_fsync(struct fsx *x)
{
	if ((below(&x->rng, 2) ? fsync(x->fd) : fdatasync(x->fd)) < 0)
		failed(x, "fsync");
}

static void reopen(struct fsx *x)
{
	unmap(x);
	if (x->fd >= 0 && close(x->fd) < 0)
		failed(x, "close");
	x->fd = openat(x->dir, x->f->name, O_RDWR);
	if (x->fd < 0)
		failed(x, "open");
}

/* What needs no byte, but may make a record of a lower file. */
static void do_metadata(struct fsx *x)
{
	struct timespec t[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 1000000000, .tv_nsec = 7}};
	struct stat st;

	if (fchmod(x->fd, 0600 | below(&x->rng, 0100)) < 0)
		failed(x, "fchmod");
	/* Pages that were changed through a mapping may change the time whenever they are written. */
	if (below(&x->rng, 4) != 0)
		return;
	unmap(x);
	if (fsync(x->fd) < 0 || futimens(x->fd, t) < 0 || fstat(x->fd, &st) < 0)
		failed(x, "futimens");
	if (st.st_mtim.tv_sec != t[1].tv_sec || st.st_mtim.tv_nsec != t[1].tv_nsec)
		wrong("fsx operation %llu: mtime of %s is %lld.%09ld", (unsigned long long)x->ops,
		      x->f->name, (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
}

/* The name gets another file: a new one, or one that was renamed over it. */
static void do_replace(struct fsx *x)
{
	int fd;

	if (below(&x->rng, 2)) {
		if (unlinkat(x->dir, x->f->name, 0) < 0)
			failed(x, "unlink");
		/* The old one is still open and must still be whole. */
		do_read(x);
		do_write(x);
		do_mapread(x);
		fd = openat(x->dir, x->f->name, O_RDWR | O_CREAT | O_EXCL, 0644);
	} else {
		fd = openat(x->dir, "new", O_RDWR | O_CREAT | O_EXCL, 0644);
		if (fd >= 0 && renameat(x->dir, "new", x->dir, x->f->name) < 0)
			failed(x, "rename");
	}
	if (fd < 0)
		failed(x, "create");
	close(fd);
	model_resize(x->f, 0);
	reopen(x);
}

static void check_size(struct fsx *x)
{
	struct stat st;

	if (fstat(x->fd, &st) < 0)
		failed(x, "fstat");
	if ((size_t)st.st_size != x->f->size)
		wrong("fsx operation %llu: %s has %lld bytes, not %zu", (unsigned long long)x->ops,
		      x->f->name, (long long)st.st_size, x->f->size);
}

/* The whole file, in FD. */
static void check_all(struct fsx *x)
{
	unsigned char *bytes = malloc(FILE_MAX);

	check_size(x);
	read_at(x->fd, bytes, x->f->size, 0, x->f->name);
	if (memcmp(bytes, x->f->bytes, x->f->size) != 0)
		differs(x, "whole", bytes, 0, x->f->size);
	free(bytes);
}

static void step(struct fsx *x)
{
	static void (*const ops[])(struct fsx * x) = {
		do_read,      do_read,	     do_read,	 do_write,    do_write,	   do_write,
		do_write,     do_mapread,    do_mapread, do_mapwrite, do_mapwrite, do_truncate,
		do_fallocate, do_copy_range, do_seek,	 do_metadata,
	};

	x->ops++;
	if (below(&x->rng, 40) == 0)
		do_fsync(x);
	else if (below(&x->rng, 40) == 0)
		reopen(x);
	else if (below(&x->rng, 200) == 0)
		do_replace(x);
	else
		ops[below(&x->rng, sizeof(ops) / sizeof(ops[0]))](x);
	check_size(x);
}

static void save(const struct fsx *x, const char *state)
{
	int dir = open_dir(AT_FDCWD, state);

	for (int i = 0; i < N_FILES; i++) {
		const struct file *f = &x->files[i];
		int fd = openat(dir, f->name, O_WRONLY | O_CREAT | O_TRUNC, 0644);

		write_at(fd, f->bytes, f->size, 0, f->name);
		close(fd);
	}
	close(dir);
}

uint64_t fsx_run(const char *path, const char *state, uint64_t seed, double secs)
{
	struct fsx *x = calloc(1, sizeof(*x));
	double end = seconds() + secs;
	uint64_t ops;

	x->dir = open_dir(AT_FDCWD, path);
	x->rng = seed;
	x->fd = -1;
	for (unsigned int i = 0; i < N_FILES; i++) {
		snprintf(x->files[i].name, sizeof(x->files[i].name), "f%u", i);
		x->files[i].bytes = calloc(1, FILE_MAX);
		model_lower(&x->files[i], i);
	}
	while (seconds() < end) {
		x->f = &x->files[below(&x->rng, N_FILES)];
		reopen(x);
		for (int i = 0; i < SEGMENT; i++)
			step(x);
		check_all(x);
	}
	unmap(x);
	close(x->fd);
	save(x, state);
	ops = x->ops;
	for (int i = 0; i < N_FILES; i++)
		free(x->files[i].bytes);
	free(x);
	return ops;
}

void fsx_check(const char *path, const char *state)
{
	unsigned char *a = malloc(FILE_MAX), *b = malloc(FILE_MAX);
	int dir = open_dir(AT_FDCWD, path), plain = open_dir(AT_FDCWD, state);

	for (unsigned int i = 0; i < N_FILES; i++) {
		char name[16];
		int fd, is;
		ssize_t n, m;

		snprintf(name, sizeof(name), "f%u", i);
		fd = openat(dir, name, O_RDONLY);
		is = openat(plain, name, O_RDONLY);
		n = pread(fd, a, FILE_MAX, 0);
		m = pread(is, b, FILE_MAX, 0);
		if (n < 0 || n != m || memcmp(a, b, (size_t)n) != 0)
			wrong("fsx: %s is not what it was: %zd and %zd bytes", name, n, m);
		close(fd);
		close(is);
	}
	free(a);
	free(b);
}
