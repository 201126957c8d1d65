/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The checksum of the whole LMDB file that a clean close leaves, and the next checkpoint takes back. Its file has its
 * name from the mount on and is written in place: engines remove an upper as soon as it is unmounted, while the
 * close still runs, and a name that is new then would have them find the directory not empty.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/sys.h"
#include "catalog/check.h"
#include "catalog/format.h"

#define SUMMED_SIZE_MAX ((off_t)1 << 30)

/* Where a meta page keeps its transaction number and its page size. */
enum { META_TXNID = 16 + 128, META_PAGE_SIZE = 16 + 24 };

struct sum {
	uint64_t txnid, size, sum;
};

/* The newer transaction number of the two meta pages; 0 when this is no LMDB file. */
static uint64_t newest_txnid(int fd)
{
	uint8_t meta[META_TXNID + 8];
	uint64_t first;
	uint32_t page_size;

	if (sys_pread_full(fd, meta, sizeof(meta), 0) != sizeof(meta))
		return 0;
	first = get_le64(meta + META_TXNID);
	page_size = get_le32(meta + META_PAGE_SIZE);
	if (page_size > 65536 || sys_pread_full(fd, meta, sizeof(meta), page_size) != sizeof(meta))
		return 0;
	return first > get_le64(meta + META_TXNID) ? first : get_le64(meta + META_TXNID);
}

static int sum_of(int fd, struct sum *ret_sum)
{
	struct sum sum;
	struct stat st;
	void *map;
	int rc = sys_fstat(fd, &st);

	if (rc < 0)
		return rc;
	if (st.st_size <= 0 || st.st_size > SUMMED_SIZE_MAX)
		return -EFBIG;
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	sum.size = (uint64_t)st.st_size;
	sum.sum = hash64(map, (size_t)st.st_size, 0);
	sum.txnid = newest_txnid(fd);
	munmap(map, (size_t)st.st_size);
	*ret_sum = sum;
	return 0;
}

/* False when there is none that can be read. */
static bool sum_read(int dirfd, struct sum *ret_sum)
{
	CLEANUP(fd) int fd = sys_openat(dirfd, SUM_FILE, O_RDONLY | O_NOFOLLOW, 0);
	uint8_t bytes[SUM_SIZE];

	if (fd < 0 || sys_pread_full(fd, bytes, sizeof(bytes), 0) != sizeof(bytes) ||
	    memcmp(bytes, SUM_MAGIC, 8) != 0 || get_le32(bytes + 8) != FORMAT_VERSION ||
	    get_le64(bytes + 40) != hash64(bytes, 40, 0))
		return false;
	*ret_sum = (struct sum){get_le64(bytes + 16), get_le64(bytes + 24), get_le64(bytes + 32)};
	return true;
}

int check_sum(int dirfd, int fd)
{
	struct sum want, is;
	struct stat st;

	if (!sum_read(dirfd, &want))
		return 0;
	/*
	 * The sum is gone from the disk before the file changes, except after a power cut in a volatile
	 * session: then the file is the newer one.
	 */
	if (newest_txnid(fd) > want.txnid)
		return 0;
	if (sys_fstat(fd, &st) == 0 && (uint64_t)st.st_size != want.size)
		return -EUCLEAN;
	if (sum_of(fd, &is) < 0)
		return 0;
	return is.txnid == want.txnid && is.sum == want.sum ? 1 : -EUCLEAN;
}

/* All zeros is no sum. They are there before there is one, so that a full disk has room for it. */
static const uint8_t no_sum[SUM_SIZE];

int sum_open(int dirfd)
{
	int fd = sys_openat(dirfd, SUM_FILE, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
	struct stat st;

	if (fd < 0 || sys_fstat(fd, &st) < 0 || st.st_size >= SUM_SIZE)
		return fd;
	if (st.st_size == 0)
		sys_set_in_place(fd);
	(void)sys_pwrite_full(fd, no_sum, SUM_SIZE, 0);
	return fd;
}

int sum_write(int sum_fd, int fd)
{
	uint8_t bytes[SUM_SIZE] = {0};
	struct sum sum;
	int rc = sum_of(fd, &sum);

	if (rc < 0)
		return rc == -EFBIG ? 0 : rc;
	memcpy(bytes, SUM_MAGIC, 8);
	put_le32(bytes + 8, FORMAT_VERSION);
	put_le64(bytes + 16, sum.txnid);
	put_le64(bytes + 24, sum.size);
	put_le64(bytes + 32, sum.sum);
	put_le64(bytes + 40, hash64(bytes, 40, 0));
	return sys_pwrite_full(sum_fd, bytes, sizeof(bytes), 0);
}

/* Without its name nobody takes it for right. What is no file never was. */
static int sum_remove(int dirfd, bool sync)
{
	int rc = sys_unlinkat(dirfd, SUM_FILE, 0);

	if (rc < 0 && rc != -ENOENT && rc != -EISDIR)
		return rc;
	return sync ? sys_fsync_dir(dirfd) : 0;
}

int sum_clear(int dirfd, int *sum_fd, bool sync)
{
	int rc = *sum_fd < 0 ? -EBADF : sys_pwrite_full(*sum_fd, no_sum, SUM_SIZE, 0);

	if (rc == 0 && sync)
		rc = sys_fdatasync(*sum_fd);
	if (rc == 0)
		return 0;
	/* After a flush that failed a second one proves nothing; and a full disk may refuse to overwrite. */
	if (*sum_fd >= 0)
		close(steal_fd(sum_fd));
	return sum_remove(dirfd, sync);
}

int sum_forget(int dirfd)
{
	CLEANUP(fd) int fd = sys_openat(dirfd, SUM_FILE, O_RDWR | O_NOFOLLOW, 0);

	return fd == -ENOENT ? 0 : sum_clear(dirfd, &fd, true);
}
