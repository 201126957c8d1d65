/* SPDX-License-Identifier: Apache-2.0 */
/* Appending to the journal file and cutting it; where it is full, broken or damaged. */
#include "catalog/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/sys.h"

/* Blocks are reserved in steps, so that a system call is paid for every few thousand records. */
#define RESERVE_STEP ((uint64_t)1 << 20)
/* But what little comes free on a full disk is for whoever freed it. */
#define SMALL_STEP  ((uint64_t)16 << 10)
#define TIGHT_BYTES (4 * RESERVE_STEP)

/* A journal is started anew at 32 MiB; while that fails it grows, but not to this. */
#define JOURNAL_SIZE_MAX ((uint64_t)1 << 30)

#define BAD_FILES_MAX 64

const char *const journal_names[N_JOURNALS] = {JOURNAL_FILE, JOURNAL_FILE_2};

static void encode_header(uint8_t *header, uint64_t base)
{
	memset(header, 0, JOURNAL_HEADER_SIZE);
	memcpy(header, JOURNAL_MAGIC, 8);
	put_le32(header + 8, FORMAT_VERSION);
	put_le64(header + 16, base);
	put_le64(header + 24, hash64(header, 24, 0));
}

static uint64_t record_sum(const uint8_t *header, const void *body, size_t len, uint64_t seed)
{
	/* The header's sum is the body's seed: one sum over both without one buffer for both. */
	return hash64(body, len, hash64(header, JOURNAL_RECORD_SUMMED, seed));
}

void journal_scan_begin(struct journal_scan *scan, const void *bytes, size_t len)
{
	*scan = (struct journal_scan){.bytes = bytes, .len = len, .off = JOURNAL_HEADER_SIZE};
	if (len < JOURNAL_HEADER_SIZE) {
		/* Made, but its header not written yet: nothing can follow. */
		scan->off = len;
		return;
	}
	if (memcmp(scan->bytes, JOURNAL_MAGIC, 8) != 0 ||
	    get_le64(scan->bytes + 24) != hash64(bytes, 24, 0)) {
		scan->header_bad = true;
		return;
	}
	scan->version = get_le32(scan->bytes + 8);
	scan->base = get_le64(scan->bytes + 16);
}

/* Is there a whole, undamaged record at OFF? */
static bool record_at(const struct journal_scan *scan, size_t off, uint64_t seed,
		      struct journal_record *ret_record)
{
	const uint8_t *header = scan->bytes + off;
	uint32_t len;

	if (scan->len - off < JOURNAL_RECORD_HEADER || get_le32(header) != JOURNAL_RECORD_MAGIC)
		return false;
	len = get_le32(header + 4);
	if (len > JOURNAL_BODY_MAX || len > scan->len - off - JOURNAL_RECORD_HEADER)
		return false;
	if (get_le64(header + 16) != record_sum(header, header + JOURNAL_RECORD_HEADER, len, seed))
		return false;
	*ret_record = (struct journal_record){
		.seq = get_le64(header + 8), .body = header + JOURNAL_RECORD_HEADER, .len = len};
	return true;
}

bool journal_scan_next(struct journal_scan *scan, uint64_t seed, struct journal_record *ret_record)
{
	struct journal_record record;

	if (scan->off >= scan->len || !record_at(scan, scan->off, seed, &record))
		return false;
	if (scan->last_seq != 0 && record.seq != scan->last_seq + 1)
		return false;
	scan->last_seq = record.seq;
	scan->off += JOURNAL_RECORD_HEADER + record.len;
	*ret_record = record;
	return true;
}

bool journal_scan_more(const struct journal_scan *scan, uint64_t seed, uint64_t after)
{
	const uint8_t first = JOURNAL_RECORD_MAGIC & 0xff;
	const uint8_t *p, *end;
	struct journal_record record;

	if (scan->off >= scan->len)
		return false;
	p = scan->bytes + scan->off;
	end = scan->bytes + scan->len;
	while (p < end && (p = memchr(p, first, (size_t)(end - p))) != NULL) {
		if (record_at(scan, (size_t)(p - scan->bytes), seed, &record) && record.seq > after)
			return true;
		p++;
	}
	return false;
}

int journal_read(int fd, uint8_t **ret_bytes, size_t *ret_len)
{
	CLEANUP(free) uint8_t *bytes = NULL;
	struct stat st;
	size_t size;
	ssize_t n;
	int rc = sys_fstat(fd, &st);

	if (rc < 0)
		return rc;
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size > JOURNAL_SIZE_MAX)
		return -EUCLEAN;
	size = (size_t)st.st_size;
	bytes = malloc(size + 1);
	if (bytes == NULL)
		return -ENOMEM;
	/* Fewer bytes come when a live journal is cut while a snapshot reads it. */
	n = sys_pread_full(fd, bytes, size, 0);
	if (n < 0)
		return (int)n;
	*ret_bytes = steal_ptr(&bytes);
	*ret_len = (size_t)n;
	return 0;
}

int journal_cut(struct journal *j, uint64_t len)
{
	int rc = sys_ftruncate(j->fd, (off_t)len);

	if (rc < 0)
		return rc;
	j->len = len;
	j->allocated = 0; /* file systems give back what is reserved behind the end */
	return 0;
}

/* Has blocks up to UPTO allocated: 0, -ENOSPC, -EDQUOT; 0 too where the file system cannot. */
static int allocate(struct journal *j, uint64_t upto)
{
	int rc;

	if (j->no_reserve || j->allocated >= upto)
		return 0;
	rc = sys_fallocate(j->fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)upto);
	if (rc == 0)
		j->allocated = upto;
	if (rc == 0 || sys_is_full(rc))
		return rc;
	/* Not every file system can (-EOPNOTSUPP), and some say so in other words. */
	j->no_reserve = true;
	return 0;
}

/* A quota that is nearly used up does not show, but a step that failed does. */
static bool is_tight(const struct journal *j)
{
	struct statvfs st;

	return j->step_failed || fstatvfs(j->fd, &st) < 0 ||
	       (uint64_t)st.f_bavail * st.f_frsize < TIGHT_BYTES;
}

static int allocate_step(struct journal *j, uint64_t end)
{
	int rc;

	if (is_tight(j))
		return allocate(j, end + JOURNAL_RESERVE + SMALL_STEP);
	rc = allocate(j, end + RESERVE_STEP);
	j->step_failed = rc < 0;
	return rc;
}

/* Makes sure that a record of SIZE bytes fits, and the reserve behind it unless FREES. */
static int reserve(struct journal *j, size_t size, bool frees)
{
	uint64_t end = j->len + size;
	int rc;

	if (j->no_reserve || j->allocated >= end + JOURNAL_RESERVE)
		return 0;
	if (allocate_step(j, end) == 0)
		return 0;
	rc = allocate(j, end + JOURNAL_RESERVE);
	/* What frees space is written all the same: there may be blocks under old records. */
	return frees ? 0 : rc;
}

bool journal_has_reserve(struct journal *j)
{
	return reserve(j, 0, false) == 0;
}

/* Writes both parts at the end of the journal; anything short of all is an error. RET_CLEAN: and
 * nothing of it was written. */
static int write_record(struct journal *j, const uint8_t *header, const void *body, size_t len,
			bool *ret_clean)
{
	struct iovec iov[2] = {
		{.iov_base = (void *)(uintptr_t)header, .iov_len = JOURNAL_RECORD_HEADER},
		{.iov_base = (void *)(uintptr_t)body, .iov_len = len},
	};
	ssize_t n;

	do {
		n = pwritev(j->fd, iov, 2, (off_t)j->len);
	} while (n < 0 && errno == EINTR);
	*ret_clean = n < 0 && sys_is_full(-errno);
	if (n < 0)
		return -errno;
	/* A regular file takes less than asked only when it is about to be full. */
	return (size_t)n == JOURNAL_RECORD_HEADER + len ? 0 : -ENOSPC;
}

/*
 * A record of which a part, or all, was written is taken back, so that no reader finds it. By overwriting its
 * first bytes, which are there: cutting the file may itself take space on btrfs, and where that fails
 * records before it go with it.
 */
static int undo_write(struct journal *j)
{
	static const uint8_t nothing[JOURNAL_RECORD_HEADER];
	struct stat st;
	uint64_t n;
	int rc = sys_fstat(j->fd, &st);

	if (rc == 0 && !S_ISREG(st.st_mode))
		rc = -EUCLEAN;
	if (rc < 0 || (uint64_t)st.st_size <= j->len)
		return rc;
	n = (uint64_t)st.st_size - j->len;
	rc = sys_pwrite_full(j->fd, nothing, n < sizeof(nothing) ? n : sizeof(nothing),
			     (off_t)j->len);
	return rc == 0 || sys_is_full(rc) ? rc : journal_cut(j, j->len);
}

int journal_append(struct journal *j, uint64_t seq, const void *body, size_t len, bool frees)
{
	uint8_t header[JOURNAL_RECORD_HEADER];
	size_t size = JOURNAL_RECORD_HEADER + len;
	bool clean;
	int rc;

	if (j->len + size > JOURNAL_SIZE_MAX)
		return -ENOSPC;
	rc = reserve(j, size, frees);
	if (rc < 0)
		return rc;
	put_le32(header, JOURNAL_RECORD_MAGIC);
	put_le32(header + 4, (uint32_t)len);
	put_le64(header + 8, seq);
	put_le64(header + 16, record_sum(header, body, len, j->seed));
	j->unsynced = true;
	rc = write_record(j, header, body, len, &clean);
	if (rc < 0)
		return !clean && undo_write(j) < 0 ? -EBADFD : rc;
	j->len += size;
	return 0;
}

void journal_fill(struct journal *j)
{
	static const uint8_t zeros[65536];
	struct stat st;

	if (sys_fstat(j->fd, &st) < 0 || (uint64_t)st.st_size >= JOURNAL_KEEP || is_tight(j))
		return;
	for (uint64_t at = (uint64_t)st.st_size; at < JOURNAL_KEEP;) {
		size_t n = JOURNAL_KEEP - at < sizeof(zeros) ? (size_t)(JOURNAL_KEEP - at)
							     : sizeof(zeros);

		if (sys_pwrite_full(j->fd, zeros, n, (off_t)at) < 0)
			return;
		at += n;
	}
}

static int write_header(struct journal *j, uint64_t base)
{
	uint8_t header[JOURNAL_HEADER_SIZE];

	encode_header(header, base);
	return sys_pwrite_full(j->fd, header, sizeof(header), 0);
}

int journal_reset(struct journal *j, uint64_t base, uint64_t keep)
{
	struct stat st;
	int rc = write_header(j, base);

	if (rc == 0)
		rc = sys_fstat(j->fd, &st);
	if (rc < 0)
		return rc;
	/* Cutting at the end gives blocks back that are reserved behind it. */
	if ((uint64_t)st.st_size > keep || keep <= JOURNAL_HEADER_SIZE)
		rc = journal_cut(j, keep);
	if (rc < 0)
		return rc;
	j->len = JOURNAL_HEADER_SIZE;
	j->unsynced = j->step_failed = false;
	return 0;
}

int journal_reset_failed(struct journal *j, uint64_t base)
{
	/* Cutting gives up the blocks that a full disk will not give again. */
	uint64_t keep = undo_write(j) == 0 ? JOURNAL_KEEP : JOURNAL_HEADER_SIZE;

	return journal_reset(j, base, keep);
}

int journal_open(struct journal *j, int dirfd, const char *name, uint64_t seed, uint64_t base,
		 uint64_t len)
{
	CLEANUP(fd) int fd = sys_openat(dirfd, name, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
	struct journal opened = {.fd = fd, .seed = seed, .len = len, .unsynced = true};
	struct stat st;
	int rc;

	if (fd < 0)
		return fd;
	rc = sys_fstat(fd, &st);
	if (rc < 0)
		return rc;
	if (!S_ISREG(st.st_mode))
		return -EUCLEAN;
	if (st.st_size == 0)
		sys_set_in_place(fd);
	if (len < JOURNAL_HEADER_SIZE || st.st_size < JOURNAL_HEADER_SIZE) {
		rc = write_header(&opened, base);
		/* On a full btrfs the old one has to do: what is behind it is in the tables. */
		if (rc < 0 && !(sys_is_full(rc) && st.st_size >= JOURNAL_HEADER_SIZE))
			return rc;
		opened.len = JOURNAL_HEADER_SIZE;
	}
	steal_fd(&fd);
	*j = opened;
	return 0;
}

void journal_close(struct journal *j)
{
	if (j->fd >= 0)
		close(j->fd);
	j->fd = -1;
}

int journal_set_aside(int dirfd, const char *file, unsigned int *ret_number)
{
	char name[32];

	for (unsigned int i = 1; i <= BAD_FILES_MAX; i++) {
		struct stat st;
		int rc;

		snprintf(name, sizeof(name), JOURNAL_FILE_BAD, i);
		rc = sys_fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW);
		if (rc == 0)
			continue;
		/* It may be there, and must not be overwritten. */
		if (rc != -ENOENT)
			return rc;
		*ret_number = i;
		return sys_renameat(dirfd, file, dirfd, name, 0);
	}
	/* So many: somebody opens a dying disk in a loop. The newest loses nothing that the first
	 * sixty-four do not show. */
	*ret_number = 0;
	return sys_unlinkat(dirfd, file, 0);
}
