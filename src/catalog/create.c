/* SPDX-License-Identifier: Apache-2.0 */
/* Making an empty catalog. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/sys.h"
#include "catalog/internal.h"

static int put_numbers(struct store *s)
{
	uint8_t version[4], seed[8], applied[8] = {0};
	uint64_t random;
	int rc = sys_random(&random, sizeof(random));

	put_le32(version, FORMAT_VERSION);
	put_le64(seed, random);
	if (rc == 0)
		rc = store_put_super(s, SUPER_FORMAT, version, sizeof(version));
	if (rc == 0)
		rc = store_put_super(s, SUPER_SEED, seed, sizeof(seed));
	return rc < 0 ? rc : store_put_super(s, SUPER_APPLIED, applied, sizeof(applied));
}

static int make_tables(const struct catalog *c, const char *path)
{
	struct store s;
	int rc = open_store(c, path, true, &s);

	if (rc < 0)
		return rc;
	rc = put_numbers(&s);
	store_close(&s);
	return rc;
}

int create_new(const struct catalog *c)
{
	CLEANUP(fd) int fd = -1;
	int rc = sys_unlinkat(c->dirfd, CATALOG_FILE_NEW, 0);

	if (rc < 0 && rc != -ENOENT)
		return rc;
	fd = sys_openat(c->dirfd, CATALOG_FILE_NEW, O_RDWR | O_CREAT | O_EXCL, 0600);
	if (fd < 0)
		return fd;
	/* LMDB writes no page that is in use, and a full disk must not keep it from writing others. */
	sys_set_in_place(fd);
	return 0;
}

/* It must be on the disk before it gets the name that it is looked for by. */
static int flush_new(const struct catalog *c)
{
	CLEANUP(fd) int fd = -1;

	if (c->options.no_sync)
		return 0;
	fd = sys_openat(c->dirfd, CATALOG_FILE_NEW, O_RDWR, 0);
	return fd < 0 ? fd : sys_fdatasync(fd);
}

/* Makes the file under another name and renames it, so that there never is half a catalog. */
int create_file(const struct catalog *c)
{
	char path[64];
	int rc;

	if (mirrored_is_wanted(c))
		return mirrored_create(c, make_tables);
	rc = sys_unlinkat(c->dirfd, CATALOG_FILE_NEW, 0);
	if (rc < 0 && rc != -ENOENT)
		return rc;
	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", c->dirfd, CATALOG_FILE_NEW);
	rc = make_tables(c, path);
	if (rc == 0)
		rc = flush_new(c);
	rc = store_full_errno(c->dirfd, rc);
	if (rc == 0)
		rc = sys_renameat(c->dirfd, CATALOG_FILE_NEW, c->dirfd, CATALOG_FILE, 0);
	if (rc < 0)
		sys_unlinkat(c->dirfd, CATALOG_FILE_NEW, 0);
	return rc;
}
