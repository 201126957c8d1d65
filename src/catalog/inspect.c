/* SPDX-License-Identifier: Apache-2.0 */
/* The files of a catalog, looked at from outside. */
#include "catalog/inspect.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/sys.h"
#include "catalog/check.h"

/* "pid host boot-id", as the owner wrote it, and what lock.c writes behind that. */
static void read_owner(int fd, struct catalog_owner *owner)
{
	char text[256] = "", word[8] = "";
	int n;

	if (sys_pread_full(fd, text, sizeof(text) - 1, 0) <= 0)
		return;
	n = sscanf(text, "%ld %64s %*s %7s", &owner->pid, owner->host, word);
	/* Who has let go of what another one left that died is no owner. */
	if (n < 2 || owner->pid <= 0 || (n == 3 && strcmp(word, "unclean") == 0))
		owner->pid = 0;
	for (char *p = owner->host; *p != '\0'; p++)
		if (!isgraph((unsigned char)*p))
			*p = '?';
}

/* -errno where there are no locks, or whether somebody has BYTE. */
static int is_locked(int fd, short type, off_t byte)
{
	struct flock fl = {.l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};

	return fcntl(fd, F_OFD_GETLK, &fl) == 0 ? fl.l_type != F_UNLCK : -errno;
}

int catalog_owner_of(int dirfd, struct catalog_owner *ret_owner)
{
	CLEANUP(fd) int fd = sys_openat(dirfd, LOCK_FILE, O_RDWR | O_NOFOLLOW, 0);
	struct catalog_owner owner = {0};
	short type = F_WRLCK;
	int r;

	*ret_owner = owner;
	if (fd == -EACCES || fd == -EROFS) {
		fd = sys_openat(dirfd, LOCK_FILE, O_RDONLY | O_NOFOLLOW, 0);
		type = F_RDLCK;
	}
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	read_owner(fd, &owner);
	r = is_locked(fd, type, LOCK_OWNER_BYTE);
	owner.in_use = r > 0;
	owner.closing = is_locked(fd, type, LOCK_CLOSING_BYTE) > 0;
	/* No locks here: what the file says is all there is. */
	if (r < 0)
		owner.in_use = owner.pid > 0 && (kill((pid_t)owner.pid, 0) == 0 || errno == EPERM);
	*ret_owner = owner;
	return 0;
}

void catalog_files_done(struct catalog_files *f)
{
	for (size_t i = 0; i < N_JOURNALS; i++)
		free(f->journals[i].bytes);
	*f = (struct catalog_files){0};
}

static int inspect_tables(int dirfd, bool in_use, struct catalog_files *f, struct err *err)
{
	CLEANUP(fd) int fd = sys_openat(dirfd, CATALOG_FILE, O_RDONLY | O_NOFOLLOW, 0);
	struct check_info info = {0};

	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		return err_errno(err, -fd, "cannot open " CATALOG_FILE);
	f->has_catalog = true;
	/* Two commits of its owner during the walk, and pages of the tree that is walked are others. */
	if (in_use)
		return 0;
	f->sum = check_sum(dirfd, fd);
	f->tree = check_tree(fd, &info, &f->why);
	f->pages = info.pages;
	return f->tree == -ENOMEM ? err_errno(err, ENOMEM, "cannot check " CATALOG_FILE) : 0;
}

static int inspect_journal(int dirfd, unsigned int i, struct catalog_files *f, struct err *err)
{
	CLEANUP(fd) int fd = sys_openat(dirfd, journal_names[i], O_RDONLY | O_NOFOLLOW, 0);
	struct journal_file *j = &f->journals[i];
	int r;

	j->name = journal_names[i];
	if (fd == -ENOENT)
		return 0;
	r = fd < 0 ? fd : journal_read(fd, &j->bytes, &j->len);
	if (r < 0)
		return err_errno(err, -r, "cannot read %s", j->name);
	f->has_changes = f->has_changes || j->len > JOURNAL_HEADER_SIZE;
	return 0;
}

static int count_bad_journals(int dirfd, struct catalog_files *f)
{
	CLEANUP(fd) int fd = sys_openat(dirfd, ".", O_RDONLY | O_DIRECTORY, 0);
	const struct linux_dirent64 *d;
	_Alignas(uint64_t) char names[4096];
	ssize_t n = fd;

	while (fd >= 0 && (n = sys_getdents(fd, names, sizeof(names))) > 0) {
		struct sys_dirents it = sys_dirents_of(names, (size_t)n);

		while ((d = sys_dirents_next(&it)) != NULL) {
			unsigned int number;
			char more;

			f->n_bad_journals += sscanf(d->d_name, JOURNAL_FILE_BAD "%c", &number,
						    &more) == 1;
		}
	}
	return (int)n;
}

int catalog_inspect(int dirfd, bool in_use, struct catalog_files *ret_files, struct err *err)
{
	CLEANUP(catalog_files) struct catalog_files f = {0};
	int r = 0;

	/* The journals first: what an owner moves from them to the tables meanwhile is in both. */
	for (unsigned int i = 0; r == 0 && i < N_JOURNALS; i++)
		r = inspect_journal(dirfd, i, &f, err);
	if (r == 0)
		r = inspect_tables(dirfd, in_use, &f, err);
	if (r < 0)
		return r;
	r = count_bad_journals(dirfd, &f);
	if (r < 0)
		return err_errno(err, -r, "cannot list the files beside " CATALOG_FILE);
	*ret_files = f;
	f = (struct catalog_files){0};
	return 0;
}

void journal_judge(const struct journal_file *file, uint64_t seed, uint64_t last,
		   struct journal_verdict *ret_verdict)
{
	struct journal_verdict v = {0};
	struct journal_record record;
	struct journal_scan scan;

	journal_scan_begin(&scan, file->bytes, file->len);
	v.header_bad = scan.header_bad;
	/* Records of an earlier life of the file may lie in it: their numbers are lower. */
	while (journal_scan_next(&scan, seed, &record)) {
		v.records += record.seq > scan.base && record.seq <= last;
		v.damaged = v.damaged || record.seq > last;
	}
	v.damaged = v.damaged || journal_scan_more(&scan, seed, last);
	*ret_verdict = v;
}

int catalog_forget_sum(int dirfd)
{
	return sum_forget(dirfd);
}
