/* SPDX-License-Identifier: Apache-2.0 */
/* The disk under mirror_calls. */
#include "unit/catalog/mirror_disk.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "catalog/mirror.h"

#define SECTOR	  512u
#define FILES_MAX 16

struct piece {
	uint64_t off;
	size_t len;
	uint8_t bytes[SECTOR];
};

/* A file: what is on the platter, and what waits. */
struct platter {
	ino_t ino;
	uint8_t *bytes;
	size_t len;
	struct piece *waiting;
	size_t n, cap;
};

static struct {
	struct rng *rng;
	struct platter files[FILES_MAX];
	size_t n_files;
	struct platter *named,
		*renamed; /* the name leads to; and to, once the directory is flushed */
	int error;
	unsigned int enough;
	bool failed;
	struct mirror_calls real;
} disk;

void (*disk_watch)(void);
uint64_t disk_calls;

static void watch(void)
{
	if (disk_watch != NULL)
		disk_watch();
}

static struct platter *platter_of(int fd)
{
	struct platter *p;
	struct stat st;

	cr_assert_eq(fstat(fd, &st), 0);
	for (size_t i = 0; i < disk.n_files; i++)
		if (disk.files[i].ino == st.st_ino)
			return &disk.files[i];
	/* A file whose name is gone never comes back: its place is free. */
	for (p = disk.files; p < disk.files + disk.n_files; p++)
		if (p != disk.named && p != disk.renamed)
			break;
	if (p == disk.files + disk.n_files)
		disk.n_files++;
	cr_assert_leq(disk.n_files, (size_t)FILES_MAX);
	free(p->bytes);
	free(p->waiting);
	*p = (struct platter){.ino = st.st_ino};
	return p;
}

static void forget_number(ino_t ino)
{
	for (size_t i = 0; i < disk.n_files; i++)
		if (disk.files[i].ino == ino)
			disk.files[i].ino = 0;
}

/* Room for all that waits, at once: sanitizers copy at every step. */
static void make_room(const struct platter *p, uint8_t **bytes, size_t len)
{
	size_t end = len;

	for (size_t i = 0; i < p->n; i++)
		if (p->waiting[i].off + p->waiting[i].len > end)
			end = p->waiting[i].off + p->waiting[i].len;
	*bytes = realloc(*bytes, end + 1);
	cr_assert_not_null(*bytes);
	memset(*bytes + len, 0, end - len);
}

static void put(uint8_t *bytes, size_t *len, const struct piece *piece)
{
	if (piece->off + piece->len > *len)
		*len = piece->off + piece->len;
	memcpy(bytes + piece->off, piece->bytes, piece->len);
}

static void wait_for_flush(struct platter *p, const uint8_t *bytes, size_t len, uint64_t off)
{
	for (size_t done = 0; done < len; done += SECTOR) {
		struct piece *piece;

		if (p->n == p->cap) {
			p->cap = p->cap * 2 + 64;
			p->waiting = reallocarray(p->waiting, p->cap, sizeof(*p->waiting));
			cr_assert_not_null(p->waiting);
		}
		piece = &p->waiting[p->n++];
		piece->off = off + done;
		piece->len = len - done < SECTOR ? len - done : SECTOR;
		memcpy(piece->bytes, bytes + done, piece->len);
	}
}

static bool fails(void)
{
	disk_calls++;
	if (disk.error == 0 || disk.failed)
		return false;
	if (disk.enough > 0) {
		disk.enough--;
		return false;
	}
	disk.failed = true;
	return true;
}

static int disk_pwrite(int fd, const void *bytes, size_t len, off_t off)
{
	bool failing = fails();
	struct stat st;
	int rc;

	watch();
	/* Another file may have had the number of a new one. */
	cr_assert_eq(fstat(fd, &st), 0);
	if (st.st_size == 0)
		forget_number(st.st_ino);
	if (failing)
		len = rng_below(disk.rng, len);
	rc = disk.real.pwrite(fd, bytes, len, off);
	cr_assert_eq(rc, 0);
	wait_for_flush(platter_of(fd), bytes, len, (uint64_t)off);
	watch();
	return failing ? -disk.error : 0;
}

static int disk_sync(int fd)
{
	struct platter *p = platter_of(fd);
	bool failing = fails();

	watch();
	make_room(p, &p->bytes, p->len);
	for (size_t i = 0; i < p->n; i++)
		if (!failing || rng_below(disk.rng, 2) == 0)
			put(p->bytes, &p->len, &p->waiting[i]);
	p->n = 0;
	watch();
	return failing ? -disk.error : 0;
}

static int disk_rename(int dirfd, const char *from, const char *to)
{
	struct stat st;
	int rc;

	watch();
	if (fails())
		return -disk.error;
	cr_assert_eq(fstatat(dirfd, from, &st, 0), 0);
	rc = disk.real.rename(dirfd, from, to);
	cr_assert_eq(rc, 0);
	disk.renamed = NULL;
	for (size_t i = 0; i < disk.n_files; i++)
		if (disk.files[i].ino == st.st_ino)
			disk.renamed = &disk.files[i];
	cr_assert_not_null(disk.renamed);
	watch();
	return 0;
}

static int disk_sync_dir(int fd)
{
	(void)fd;
	watch();
	if (fails())
		return -disk.error;
	if (disk.renamed != NULL)
		disk.named = disk.renamed;
	disk.renamed = NULL;
	watch();
	return 0;
}

void disk_install(struct rng *r, const struct dir *d, const char *name)
{
	struct stat st;
	struct platter *p;

	disk_remove();
	disk.rng = r;
	disk.real = mirror_calls;
	mirror_calls = (struct mirror_calls){disk_pwrite, disk_sync, disk_rename, disk_sync_dir};
	if (fstatat(d->fd, name, &st, 0) < 0)
		return;
	p = &disk.files[disk.n_files++];
	*p = (struct platter){.ino = st.st_ino};
	p->bytes = file_read(d, name, &p->len);
	disk.named = p;
}

void disk_remove(void)
{
	if (disk.rng != NULL)
		mirror_calls = disk.real;
	for (size_t i = 0; i < disk.n_files; i++) {
		free(disk.files[i].bytes);
		free(disk.files[i].waiting);
	}
	memset(&disk, 0, sizeof(disk));
}

void disk_fail(int error, unsigned int enough)
{
	disk.error = error;
	disk.enough = enough;
	disk.failed = false;
}

bool disk_has_failed(void)
{
	return disk.failed;
}

uint8_t *disk_after_cut(bool worst, size_t *ret_len)
{
	const struct platter *p = disk.named;
	uint64_t percent = rng_below(disk.rng, 101);
	uint8_t *bytes;
	size_t len;

	if (disk.renamed != NULL && !worst && rng_below(disk.rng, 2) == 0)
		p = disk.renamed;
	if (p == NULL)
		return NULL;
	len = p->len;
	bytes = malloc(len + 1);
	cr_assert_not_null(bytes);
	if (len > 0)
		memcpy(bytes, p->bytes, len);
	make_room(p, &bytes, len);
	for (size_t i = 0; i < p->n && !worst; i++)
		if (rng_below(disk.rng, 100) < percent)
			put(bytes, &len, &p->waiting[i]);
	*ret_len = len;
	return bytes;
}
