/* SPDX-License-Identifier: Apache-2.0 */
/* The checksum of the whole LMDB file that a clean close leaves, and the next checkpoint removes. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/log.h"
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

int sum_write(int dirfd, int fd)
{
	uint8_t bytes[SUM_SIZE] = {0};
	struct sum sum;
	CLEANUP(fd) int out = -1;
	int rc = sum_of(fd, &sum);

	if (rc < 0)
		return rc == -EFBIG ? 0 : rc;
	memcpy(bytes, SUM_MAGIC, 8);
	put_le32(bytes + 8, FORMAT_VERSION);
	put_le64(bytes + 16, sum.txnid);
	put_le64(bytes + 24, sum.size);
	put_le64(bytes + 32, sum.sum);
	put_le64(bytes + 40, hash64(bytes, 40, 0));
	out = sys_openat(dirfd, SUM_FILE_NEW, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600);
	if (out < 0)
		return out;
	rc = sys_pwrite_full(out, bytes, sizeof(bytes), 0);
	if (rc == 0)
		rc = sys_renameat(dirfd, SUM_FILE_NEW, dirfd, SUM_FILE, 0);
	if (rc < 0)
		sys_unlinkat(dirfd, SUM_FILE_NEW, 0);
	return rc;
}

int sum_remove(int dirfd)
{
	int rc = sys_unlinkat(dirfd, SUM_FILE, 0);

	return rc == -ENOENT ? 0 : rc;
}
