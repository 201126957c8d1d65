/* SPDX-License-Identifier: Apache-2.0 */
/* A snapshot: a private copy of the LMDB file, with the journal applied to it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/sys.h"
#include "catalog/check.h"
#include "catalog/internal.h"
#include "catalog/private.h"

/*
 * Between checkpoints the owner only appends to the journal and never touches catalog.mdb (LMDB
 * keeps changed pages in memory until it commits). So with the gate held against checkpoints, the
 * file and whatever prefix of the journal is found are a state that once was; and an owner is not
 * needed at all.
 */

#define COPY_PIECE ((size_t)1 << 20)

/* Where there are no locks, a copy during which a checkpoint happened is made again. */
#define TRIES 20

static int copy_bytes(int from, int to, off_t *off, size_t len)
{
	CLEANUP(free) uint8_t *bytes = malloc(COPY_PIECE);

	if (bytes == NULL)
		return -ENOMEM;
	while (len > 0) {
		ssize_t n = sys_pread_full(from, bytes, len < COPY_PIECE ? len : COPY_PIECE, *off);
		int rc;

		if (n <= 0)
			return n < 0 ? (int)n : -EUCLEAN;
		rc = sys_pwrite_full(to, bytes, (size_t)n, *off);
		if (rc < 0)
			return rc;
		*off += n;
		len -= (size_t)n;
	}
	return 0;
}

static int copy_file(int from, int to)
{
	struct stat st;
	off_t off = 0;
	int rc = sys_fstat(from, &st);

	if (rc < 0)
		return rc;
	rc = sys_ftruncate(to, 0);
	while (rc == 0 && off < st.st_size) {
		loff_t in = off, out = off;
		ssize_t n = copy_file_range(from, &in, to, &out, (size_t)(st.st_size - off), 0);

		if (n <= 0)
			return copy_bytes(from, to, &off, (size_t)(st.st_size - off));
		off += n;
	}
	return rc;
}

/* The LMDB file by the name that it has now, into the private file; then the journals. */
static int copy_once(struct catalog *c, int fd, struct journal_bytes *journals)
{
	int rc = copy_file(fd, c->copy_fd);

	journal_bytes_done(journals);
	return rc < 0 ? rc : journals_read(c->dirfd, journals);
}

/* Is FD still the catalog's file, and none that was replaced by a smaller one? */
static bool is_current(const struct catalog *c, int fd)
{
	struct stat is, was;

	return sys_fstat(fd, &was) == 0 && sys_fstatat(c->dirfd, CATALOG_FILE, &is, 0) == 0 &&
	       is.st_ino == was.st_ino;
}

/* A checkpoint changes one of the two meta pages and then a journal's header, in this order. */
static int copy_without_gate(struct catalog *c, struct journal_bytes *journals)
{
	uint8_t before[8192], after[8192];

	for (int i = 0; i < TRIES; i++) {
		CLEANUP(fd) int fd = sys_openat(c->dirfd, CATALOG_FILE, O_RDONLY | O_NOFOLLOW, 0);
		int rc;

		if (fd < 0)
			return fd;
		if (sys_pread_full(fd, before, sizeof(before), 0) < 0)
			return -EIO;
		rc = copy_once(c, fd, journals);
		if (rc < 0)
			return rc;
		if (sys_pread_full(fd, after, sizeof(after), 0) < 0)
			return -EIO;
		if (memcmp(before, after, sizeof(before)) == 0 && is_current(c, fd))
			return 0;
	}
	return -EBUSY;
}

static int copy_all(struct catalog *c, struct journal_bytes *journals, struct err *err)
{
	struct dir_name dir = dir_name_of(c->dirfd);
	CLEANUP(fd) int gate = gate_hold(c->dirfd);
	CLEANUP(fd) int fd = -1;
	int rc;

	if (gate == -EBUSY)
		return err_set(err, EBUSY, "%s: a checkpoint does not end; is its process stopped?",
			       dir.text);
	/* With the gate held it is not replaced. */
	fd = sys_openat(c->dirfd, CATALOG_FILE, O_RDONLY | O_NOFOLLOW, 0);
	if (fd < 0)
		return err_errno(err, -fd, "cannot open %s/" CATALOG_FILE, dir.text);
	c->copy_fd = private_file();
	if (c->copy_fd < 0)
		return err_errno(err, -c->copy_fd, "cannot make a private file for a snapshot");
	rc = gate < 0 ? copy_without_gate(c, journals) : copy_once(c, fd, journals);
	return rc < 0 ? err_errno(err, -rc, "cannot copy the catalog in %s", dir.text) : 0;
}

static int check_copy(struct catalog *c, struct err *err)
{
	struct check_info info;
	const char *why = "";
	int rc = check_tree(c->copy_fd, &info, &why);

	if (rc == -EUCLEAN)
		return err_set(err, EUCLEAN, "%s/" CATALOG_FILE " is damaged: %s",
			       dir_name_of(c->dirfd).text, why);
	return rc < 0 ? err_errno(err, -rc, "cannot read %s/" CATALOG_FILE,
				  dir_name_of(c->dirfd).text)
		      : 0;
}

static int refresh(void *arg)
{
	return store_refresh(arg);
}

/* Into the private file, so that all of it can be walked as one; no delta is left. */
static int apply_journals(struct catalog *c, const struct journal_bytes *journals)
{
	struct store_mark mark;
	struct replay replay;
	int rc = delta_new(&c->active);

	if (rc == 0)
		rc = replay_journals(c, journals, &replay);
	mark = (struct store_mark){c->seq, c->next_ino};
	if (rc == 0 && c->seq != c->applied)
		rc = store_apply(&c->store, c->active, &mark, refresh, &c->store);
	if (rc == 0)
		rc = store_refresh(&c->store);
	delta_free(steal_ptr(&c->active));
	c->applied = c->seq;
	return rc;
}

int snapshot_open(int dirfd, struct catalog *c, struct err *err)
{
	CLEANUP(journal_bytes) struct journal_bytes journals = {0};
	int rc;

	c->dirfd = fcntl(dirfd, F_DUPFD_CLOEXEC, 0);
	if (c->dirfd < 0)
		return err_errno(err, errno, "cannot hold the directory .plyfs open");
	rc = copy_all(c, &journals, err);
	if (rc == 0)
		rc = check_copy(c, err);
	if (rc < 0)
		return rc;
	if (asprintf(&c->path, "/proc/self/fd/%d", c->copy_fd) < 0) {
		c->path = NULL;
		return err_errno(err, ENOMEM, "cannot open the snapshot");
	}
	rc = open_store(c, c->path, false, &c->store);
	if (rc < 0)
		return err_errno(err, -rc, "cannot open the snapshot");
	rc = read_super(c, err);
	if (rc < 0)
		return rc;
	rc = apply_journals(c, &journals);
	return rc < 0 ? replay_failed(c, err, rc) : 0;
}
