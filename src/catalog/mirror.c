/* SPDX-License-Identifier: Apache-2.0 */
/* Copying a remote LMDB file in, and publishing the pages that changed. */
#include "catalog/mirror.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/hash.h"
#include "base/sys.h"
#include "catalog/format.h"
#include "catalog/lmdb_page.h"
#include "catalog/private.h"

#define PIECE ((size_t)1 << 20) /* a multiple of every page size */

/* So many commits may be published at once, in place. */
#define COMMITS_MAX 2

/* Where a meta page keeps its magic, its page size and its transaction number. */
enum {
	META_MAGIC = PAGE_HEADER,
	META_PAGE_SIZE = PAGE_HEADER + 24,
	META_TXNID = PAGE_HEADER + META_SIZE - 8,
	META_END = META_TXNID + 8
};

/* In the sum of a page: the page is on the disk, or was never written by us. */
#define SETTLED ((uint64_t)1)

/* A remote file, and a sum of each of its pages; 0: not known. */
struct remote {
	int fd; /* owned; -1: there is none yet */
	uint64_t *sums;
	size_t n, cap;
};

struct mirror {
	int dirfd;
	char name[32], new_name[36], path[PRIVATE_PATH_MAX];
	bool no_sync;
	int work; /* owned; the local copy */
	struct remote remote;
	bool dir_unsynced;  /* the remote file was renamed, but that may not be on the disk */
	bool rename_failed; /* the last one: it may have been made, or its target be gone */
	bool same;	    /* as of `published` all pages are, not only those in use */
	uint32_t page_size; /* of both files */
	uint64_t published; /* transaction number of the remote file */
	uint64_t seed;	    /* of the sums: pages hold bytes that users choose */
};

/* The two meta pages of the local copy. */
struct metas {
	uint32_t page_size;
	uint64_t txnid[2];
	unsigned int newer;
};

static int call_pwrite(int fd, const void *bytes, size_t len, off_t off)
{
	return sys_pwrite_full(fd, bytes, len, off);
}

/* Some file systems have nothing to flush here, and say so. */
static int call_sync_dir(int fd)
{
	int rc = fsync(fd) < 0 ? -errno : 0;

	return rc == -EINVAL || rc == -EOPNOTSUPP || rc == -ENOSYS ? 0 : rc;
}

static int call_rename(int dirfd, const char *from, const char *to)
{
	return sys_renameat(dirfd, from, dirfd, to, 0);
}

struct mirror_calls mirror_calls = {call_pwrite, sys_fdatasync, call_rename, call_sync_dir};

bool mirror_wanted(int dirfd)
{
	return private_is_remote(dirfd);
}

static void remote_done(struct remote *r)
{
	if (r->fd >= 0)
		close(r->fd);
	free(r->sums);
	*r = (struct remote){.fd = -1};
}
DEFINE_CLEANUP(struct remote, remote, remote_done)

static uint64_t page_sum(const struct mirror *m, const uint8_t *page, size_t len)
{
	return hash64(page, len, m->seed) & ~SETTLED;
}

/* A page that is cut short counts. */
static size_t count_pages(const struct mirror *m, off_t size)
{
	return ((size_t)size + m->page_size - 1) / m->page_size;
}

/* Room for the sums of N pages, the new ones not known. */
static int remote_grow(struct remote *r, size_t n)
{
	if (n > r->cap) {
		size_t cap = n + n / 4 + 64;
		uint64_t *more = reallocarray(r->sums, cap, sizeof(*more));

		if (more == NULL)
			return -ENOMEM;
		r->sums = more;
		r->cap = cap;
	}
	if (n > r->n) {
		memset(r->sums + r->n, 0, (n - r->n) * sizeof(*r->sums));
		r->n = n;
	}
	return 0;
}

static int read_metas(int fd, struct metas *ret_metas)
{
	uint8_t meta[META_END];
	struct metas metas = {.page_size = 0};

	for (unsigned int i = 0; i < 2; i++) {
		ssize_t n = sys_pread_full(fd, meta, sizeof(meta), (off_t)i * metas.page_size);

		if (n < 0)
			return (int)n;
		if (n != sizeof(meta) || get_le32(meta + META_MAGIC) != LMDB_MAGIC)
			return -EUCLEAN;
		metas.page_size = get_le32(meta + META_PAGE_SIZE);
		if (!is_page_size(metas.page_size))
			return -EUCLEAN;
		metas.txnid[i] = get_le64(meta + META_TXNID);
	}
	metas.newer = metas.txnid[1] > metas.txnid[0];
	*ret_metas = metas;
	return 0;
}

/* Copies the remote file; its pages' sums are known then. */
static int copy_in(struct mirror *m)
{
	CLEANUP(free) uint8_t *bytes = malloc(PIECE);
	off_t off = 0;
	ssize_t n;

	if (bytes == NULL)
		return -ENOMEM;
	while ((n = sys_pread_full(m->remote.fd, bytes, PIECE, off)) > 0) {
		int rc = sys_pwrite_full(m->work, bytes, (size_t)n, off);

		if (rc == 0)
			rc = remote_grow(&m->remote, count_pages(m, off + n));
		if (rc < 0)
			return rc;
		for (ssize_t done = 0, len; done < n; done += len) {
			len = n - done < m->page_size ? n - done : m->page_size;
			m->remote.sums[(off + done) / m->page_size] =
				page_sum(m, bytes + done, (size_t)len) | SETTLED;
		}
		off += n;
	}
	return n < 0 ? (int)n : 0;
}

static int read_remote(struct mirror *m)
{
	struct metas metas;
	struct stat st;
	int rc = sys_fstat(m->remote.fd, &st);

	if (rc == 0 && !S_ISREG(st.st_mode))
		rc = -EUCLEAN;
	if (rc < 0)
		return rc;
	/* What is no LMDB file is copied too: to say what is wrong with it is not our task. */
	rc = read_metas(m->remote.fd, &metas);
	if (rc == 0) {
		m->page_size = metas.page_size;
		m->published = metas.txnid[metas.newer];
	} else if (rc != -EUCLEAN) {
		return rc;
	}
	rc = copy_in(m);
	m->same = true;
	return rc;
}

static int mirror_new(int dirfd, const char *name, bool no_sync, struct mirror **ret_mirror)
{
	CLEANUP(mirror) struct mirror *m = calloc(1, sizeof(*m));
	int rc;

	if (m == NULL)
		return -ENOMEM;
	m->dirfd = dirfd;
	m->no_sync = no_sync;
	m->page_size = 4096;
	m->work = m->remote.fd = -1;
	if ((size_t)snprintf(m->name, sizeof(m->name), "%s", name) >= sizeof(m->name))
		return -ENAMETOOLONG;
	snprintf(m->new_name, sizeof(m->new_name), "%s.new", m->name);
	rc = sys_random(&m->seed, sizeof(m->seed));
	if (rc < 0)
		return rc;
	m->work = private_file();
	if (m->work < 0)
		return m->work;
	private_path(m->work, m->path);
	*ret_mirror = steal_ptr(&m);
	return 0;
}

int mirror_create(int dirfd, const char *name, bool no_sync, struct mirror **ret_mirror)
{
	return mirror_new(dirfd, name, no_sync, ret_mirror);
}

int mirror_open(int dirfd, const char *name, bool no_sync, struct mirror **ret_mirror)
{
	CLEANUP(mirror) struct mirror *m = NULL;
	CLEANUP(fd) int fd = sys_openat(dirfd, name, O_RDWR | O_NOFOLLOW, 0);
	int rc;

	if (fd < 0)
		return fd;
	rc = mirror_new(dirfd, name, no_sync, &m);
	if (rc < 0)
		return rc;
	m->remote.fd = steal_fd(&fd);
	rc = read_remote(m);
	if (rc == 0)
		*ret_mirror = steal_ptr(&m);
	return rc;
}

void mirror_close(struct mirror *m)
{
	if (m == NULL)
		return;
	if (m->work >= 0)
		close(m->work);
	remote_done(&m->remote);
	free(m);
}

const char *mirror_path(const struct mirror *m)
{
	return m->path;
}

int mirror_fd(const struct mirror *m)
{
	return m->work;
}

/*
 * Does the name lead to the file that we have open? A rename of which a server said that it failed may have been made all the
 * same, or its target be gone: a client moves it out of the way while somebody has it open. When in doubt: no. But who removes
 * the upper while it is being closed must not find a name again that he has removed.
 */
static bool has_name(const struct mirror *m)
{
	struct stat name, file;
	int rc;

	if (m->remote.fd < 0 || sys_fstat(m->remote.fd, &file) < 0)
		return false;
	rc = sys_fstatat(m->dirfd, m->name, &name, AT_SYMLINK_NOFOLLOW);
	if (rc == -ENOENT)
		return !m->rename_failed;
	return rc == 0 && name.st_dev == file.st_dev && name.st_ino == file.st_ino;
}

bool mirror_is_published(const struct mirror *m)
{
	struct metas metas;

	return m->same && !m->dir_unsynced && read_metas(m->work, &metas) == 0 &&
	       metas.txnid[metas.newer] == m->published && has_name(m);
}

/* Makes a rename durable. */
static int settle_name(struct mirror *m)
{
	int rc = m->no_sync ? 0 : mirror_calls.sync_dir(m->dirfd);

	m->dir_unsynced = rc < 0;
	return rc;
}

/*
 * Writes those of the pages in LEN bytes from page FIRST on that differ, neighbours together. The
 * last page of a file may be cut short. A page that is being written is not known until it is
 * settled: after a failed flush the kernel may have dropped it.
 */
static int write_pages(const struct mirror *m, struct remote *r, const uint8_t *bytes, size_t first,
		       size_t len)
{
	size_t off = 0;

	while (off < len) {
		size_t from = off;
		int rc;

		for (size_t n; off < len; off += n) {
			uint64_t *sum = &r->sums[first + off / m->page_size], now;

			n = len - off < m->page_size ? len - off : m->page_size;
			now = page_sum(m, bytes + off, n);
			if (*sum == (now | SETTLED))
				break;
			*sum = now;
		}
		if (off == from) {
			off += m->page_size;
			continue;
		}
		rc = mirror_calls.pwrite(r->fd, bytes + from, off - from,
					 (off_t)(first * m->page_size + from));
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* Writes and settles what differs of the pages from FIRST up to END. */
static int write_range(const struct mirror *m, int work, struct remote *r, size_t first, size_t end)
{
	CLEANUP(free) uint8_t *bytes = malloc(PIECE);
	size_t per_piece = PIECE / m->page_size;
	bool unsettled = false;
	int rc = bytes == NULL ? -ENOMEM : remote_grow(r, end);

	for (size_t page = first; rc == 0 && page < end; page += per_piece) {
		size_t pages = end - page < per_piece ? end - page : per_piece;
		ssize_t n = sys_pread_full(work, bytes, pages * m->page_size,
					   (off_t)(page * m->page_size));

		rc = n < 0 ? (int)n : write_pages(m, r, bytes, page, (size_t)n);
	}
	for (size_t page = first; rc == 0 && page < end && !unsettled; page++)
		unsettled = !(r->sums[page] & SETTLED);
	if (rc == 0 && unsettled)
		rc = m->no_sync ? 0 : mirror_calls.sync(r->fd);
	for (size_t page = first; rc == 0 && unsettled && page < end; page++)
		r->sums[page] |= SETTLED;
	return rc;
}

static int file_pages(const struct mirror *m, int fd, size_t *ret_pages)
{
	struct stat st;
	int rc = sys_fstat(fd, &st);

	if (rc == 0)
		*ret_pages = count_pages(m, st.st_size);
	return rc;
}

static int publish_in_place(struct mirror *m, const struct metas *metas)
{
	size_t pages = 0;
	int rc = file_pages(m, m->work, &pages);

	if (rc == 0 && m->dir_unsynced)
		rc = settle_name(m);
	m->same = false;
	if (rc == 0)
		rc = write_range(m, m->work, &m->remote, 2, pages);
	if (rc == 0)
		rc = write_range(m, m->work, &m->remote, metas->newer, metas->newer + 1);
	if (rc < 0)
		return rc;
	m->published = metas->txnid[metas->newer];
	/* It is older, so that it does not matter, but for the checksum of the whole file. */
	rc = write_range(m, m->work, &m->remote, metas->newer ^ 1, (metas->newer ^ 1) + 1);
	m->same = rc == 0;
	return rc;
}

/* A new file with all of WORK, under the old name when it is whole. */
static int write_new(struct mirror *m, int work, struct remote *ret_remote)
{
	CLEANUP(remote) struct remote r = {.fd = -1};
	size_t pages = 0;
	int rc = file_pages(m, work, &pages);

	if (rc < 0)
		return rc;
	rc = sys_unlinkat(m->dirfd, m->new_name, 0);
	if (rc < 0 && rc != -ENOENT)
		return rc;
	r.fd = sys_openat(m->dirfd, m->new_name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
	if (r.fd < 0)
		return r.fd;
	rc = write_range(m, work, &r, 0, pages);
	if (rc == 0) {
		rc = mirror_calls.rename(m->dirfd, m->new_name, m->name);
		m->rename_failed = rc < 0;
	}
	if (rc < 0) {
		sys_unlinkat(m->dirfd, m->new_name, 0);
		return rc;
	}
	*ret_remote = r;
	r = (struct remote){.fd = -1};
	return 0;
}

/* WORK and the new file are the ones from here on. */
static int publish_new(struct mirror *m, int work)
{
	uint32_t page_size = m->page_size;
	struct remote r;
	struct metas metas;
	int rc = read_metas(work, &metas);

	if (rc < 0)
		return rc;
	m->page_size = metas.page_size;
	rc = write_new(m, work, &r);
	if (rc < 0) {
		m->page_size = page_size;
		return rc;
	}
	remote_done(&m->remote);
	m->remote = r;
	m->published = metas.txnid[metas.newer];
	m->same = true;
	m->dir_unsynced = true;
	return 0;
}

int mirror_publish(struct mirror *m)
{
	struct metas metas;
	int rc = read_metas(m->work, &metas);

	if (rc < 0)
		return rc;
	if (mirror_is_published(m))
		return 0;
	/* A smaller number, of a file that was made anew, is far away, too. */
	if (metas.page_size == m->page_size &&
	    metas.txnid[metas.newer] - m->published <= COMMITS_MAX && has_name(m))
		return publish_in_place(m, &metas);
	rc = publish_new(m, m->work);
	return rc < 0 ? rc : settle_name(m);
}

int mirror_replace(struct mirror *m, int fd)
{
	int rc = publish_new(m, fd);

	if (rc < 0)
		return rc;
	/* The number stays, and with it the path. Neither descriptor can be wrong. */
	dup3(fd, m->work, O_CLOEXEC);
	close(fd);
	return 0;
}
