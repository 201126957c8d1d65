/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opens that are answered with a backing file: the kernel then reads and maps that file itself.
 *
 * The numbers of backing files are given out by an ioctl of /dev/fuse, from a descriptor that may be closed at once, and
 * live until another ioctl takes them back or the connection ends; open files keep theirs beyond that. So an inode has
 * one number while it is open, and no descriptor: RLIMIT_NOFILE limits nothing here.
 *
 * Any trouble with a file (no descriptor, a file system stacked too deep) means that the cache serves it.
 */
#include "front/passthrough.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/ioctl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/log.h"
#include "base/sys.h"
#include "front/private.h"

/* Added to linux/fuse.h by Linux 6.9. */
struct backing_map {
	int32_t fd;
	uint32_t flags;
	uint64_t padding;
};
#define IOC_BACKING_OPEN  _IOW(229, 1, struct backing_map)
#define IOC_BACKING_CLOSE _IOW(229, 2, uint32_t)

bool passthrough_wanted(const struct front_options *o, bool read_only)
{
	return o->io == FRONT_IO_PASSTHROUGH && read_only;
}

int passthrough_check(const struct front_options *o, bool read_only, struct err *err)
{
	if (o->io != FRONT_IO_PASSTHROUGH)
		return 0;
	if (!FRONT_FUSE_3_18)
		return err_set(err, EINVAL,
			       "io=passthrough: this plyfs was built with libfuse %d.%d, which is "
			       "too old for it; 3.18 is needed",
			       FUSE_MAJOR_VERSION, FUSE_MINOR_VERSION);
	if (!read_only)
		return err_set(err, EINVAL,
			       "io=passthrough: only for a mount that cannot be written, as open "
			       "files would not see later writes; add ro, leave out upperdir=, or "
			       "use io=cache");
	return 0;
}

/* > 0: the number; else -errno. */
static int backing_open(struct front *f, int fd)
{
	struct backing_map map = {.fd = fd};
	int id = ioctl(fuse_session_fd(f->session), IOC_BACKING_OPEN, &map);

	if (id > 0)
		return id;
	return id < 0 ? -errno : -EIO;
}

static void backing_close(struct front *f, int id)
{
	uint32_t number = (uint32_t)id;

	if (id > 0 && ioctl(fuse_session_fd(f->session), IOC_BACKING_CLOSE, &number) < 0)
		log_warn("backing file %d cannot be given back: %s", id, strerror(errno));
}

int passthrough_probe(struct front *f, struct err *err)
{
	int r;

	if (f->options->io != FRONT_IO_PASSTHROUGH)
		return 0;
	if (!f->passthrough.on)
		return err_set(err, EOPNOTSUPP,
			       "io=passthrough: the kernel does not offer it (it needs Linux 6.9 "
			       "with CONFIG_FUSE_PASSTHROUGH); use io=cache");
	/* Rights are looked at before the descriptor is. */
	r = backing_open(f, -1);
	if (r == -EBADF)
		return 0;
	return err_set(err, -r,
		       "io=passthrough: the kernel does not allow it (%s); it needs CAP_SYS_ADMIN "
		       "outside of user namespaces; use io=cache",
		       strerror(-r));
}

/* What is tried with the file of an inode. */
struct attempt {
	struct front *f;
	int id; /* result */
};

static int try_backing(void *arg, int fd)
{
	struct attempt *a = arg;

	a->id = backing_open(a->f, fd);
	return a->id < 0 ? a->id : 0;
}

static int backing_of(struct front *f, uint64_t ino)
{
	struct attempt a = {.f = f};
	int r = fs_with_file(f->fs, ino, try_backing, &a);

	if (r == 0)
		return a.id;
	if (r != -EOPNOTSUPP)
		log_debug("inode %" PRIu64 " goes through the cache: %s", ino, strerror(-r));
	return OPENS_CACHED;
}

/*
 * The kernel opens the backing file with the flags of the caller, and makes EIO of any error. -EINVAL when this one would
 * refuse O_DIRECT; where that cannot be found out it is let do so.
 */
static int try_direct(void *arg, int fd)
{
	char path[32];
	int again;

	(void)arg;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = sys_openat(AT_FDCWD, path, O_RDONLY | O_DIRECT | O_NONBLOCK, 0);
	if (again >= 0)
		close(again);
	return again == -EINVAL ? -EINVAL : 0;
}

int passthrough_open(struct front *f, uint64_t ino, int flags, int *ret_id)
{
	struct passthrough *p = &f->passthrough;
	bool cached = false;
	int id, r;

	/* The superblock may have been remounted rw: never hand out a layer's file for writing. */
	if ((flags & O_ACCMODE) != O_RDONLY)
		return -EROFS;
	if (flags & O_DIRECT)
		cached = fs_with_file(f->fs, ino, try_direct, NULL) == -EINVAL;
	if (!opens_join(&p->opens, ino, &id)) {
		int fresh = cached ? OPENS_CACHED : backing_of(f, ino);

		r = opens_add(&p->opens, ino, fresh, &id);
		if (r < 0 || id != fresh)
			backing_close(f, fresh);
		if (r < 0)
			return r;
	}
	if (cached && id != OPENS_CACHED) {
		passthrough_release(f, ino);
		return -EINVAL;
	}
	atomic_fetch_add_explicit(id == OPENS_CACHED ? &p->cached : &p->passed, 1,
				  memory_order_relaxed);
	*ret_id = id;
	return 0;
}

void passthrough_release(struct front *f, uint64_t ino)
{
	if (f->passthrough.on)
		backing_close(f, opens_drop(&f->passthrough.opens, ino));
}

void passthrough_to_text(struct passthrough *p, struct buf *out)
{
	if (!p->on)
		return;
	buf_printf(out, "opens passed through %" PRIu64 "\n", (uint64_t)atomic_load(&p->passed));
	buf_printf(out, "opens through the cache %" PRIu64 "\n", (uint64_t)atomic_load(&p->cached));
}
