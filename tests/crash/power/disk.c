/* SPDX-License-Identifier: Apache-2.0 */
/* A disk that writes down what it is told: a FUSE file system with one file. */
#define FUSE_USE_VERSION 31
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crash/power/power.h"

/*
 * A loop device on the file turns its writes into WRITE and its flushes into FSYNC. The file is
 * opened for direct I/O, so nothing waits in a cache between the loop device and here, and one thread
 * serves all, so that the order of the record is the order on the disk. There is no fallocate:
 * the block layer then writes zeros where it would punch holes.
 */

static int image_fd = -1;
static int record_fd = -1;
static unsigned int flush_us;
static uint64_t rng = 1;

static void *disk_init(struct fuse_conn_info *conn, struct fuse_config *cfg)
{
	(void)conn;
	cfg->direct_io = 1;
	return NULL;
}

static int disk_getattr(const char *path, struct stat *st, struct fuse_file_info *fi)
{
	(void)fi;
	memset(st, 0, sizeof(*st));
	if (strcmp(path, "/") == 0) {
		st->st_mode = S_IFDIR | 0700;
		return 0;
	}
	if (strcmp(path, "/disk") != 0)
		return -ENOENT;
	return fstat(image_fd, st) < 0 ? -errno : 0;
}

static int disk_open(const char *path, struct fuse_file_info *fi)
{
	(void)fi;
	return strcmp(path, "/disk") == 0 ? 0 : -ENOENT;
}

static int disk_read(const char *path, char *buf, size_t size, off_t off, struct fuse_file_info *fi)
{
	ssize_t n = pread(image_fd, buf, size, off);

	(void)path;
	(void)fi;
	return n < 0 ? -errno : (int)n;
}

static int disk_write(const char *path, const char *buf, size_t size, off_t off,
		      struct fuse_file_info *fi)
{
	struct rec rec = {.kind = REC_WRITE, .len = (uint32_t)size, .off = (uint64_t)off};

	(void)path;
	(void)fi;
	if (pwrite(image_fd, buf, size, off) != (ssize_t)size)
		return -EIO;
	record_append(record_fd, &rec, buf);
	return (int)size;
}

/* What was written before is safe now; only then the answer goes out. It takes its time, as on a disk. */
static int disk_fsync(const char *path, int datasync, struct fuse_file_info *fi)
{
	struct rec rec = {.kind = REC_FLUSH};

	(void)path;
	(void)datasync;
	(void)fi;
	if (flush_us > 0)
		usleep(rnd_below(&rng, flush_us));
	record_append(record_fd, &rec, NULL);
	return 0;
}

static const struct fuse_operations disk_ops = {
	.init = disk_init,
	.getattr = disk_getattr,
	.open = disk_open,
	.read = disk_read,
	.write = disk_write,
	.fsync = disk_fsync,
};

/* disk IMAGE RECORD FLUSH-US MOUNTPOINT: serves IMAGE as MOUNTPOINT/disk, in the foreground. */
int disk_main(int argc, char **argv)
{
	char *args[] = {argv[0], "-f", "-s", argc == 5 ? argv[4] : NULL, NULL};

	if (argc != 5 || sscanf(argv[3], "%u", &flush_us) != 1)
		return 2;
	image_fd = open(argv[1], O_RDWR | O_CLOEXEC);
	record_fd = record_open(argv[2]);
	if (image_fd < 0 || record_fd < 0)
		return 2;
	return fuse_main(4, args, &disk_ops, NULL);
}
