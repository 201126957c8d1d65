/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of data/ share: a store in a directory of its own, lower files, a record. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit/data/fixture.h"

#define BLOCK 4096

uint64_t random_next(uint64_t *state)
{
	uint64_t x = *state += 0x9e3779b97f4a7c15u; /* splitmix64 */

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

uint64_t random_below(uint64_t *state, uint64_t n)
{
	return n == 0 ? 0 : random_next(state) % n;
}

uint64_t random_seed(uint64_t default_seed)
{
	const char *text = getenv("PLYFS_TEST_SEED");

	return text != NULL ? strtoull(text, NULL, 0) : default_seed;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void remove_tree(const char *path)
{
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

void make_temp_dir(char *ret_path, size_t size)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(ret_path, size, "%s/plyfs-data-XXXXXX", tmp != NULL && *tmp ? tmp : "/tmp");
	cr_assert_not_null(mkdtemp(ret_path), "mkdtemp %s: %s", ret_path, strerror(errno));
}

static void open_both(struct fixture *s)
{
	CLEANUP(err) struct err err = {0};
	CLEANUP(fd) int data_fd = openat(s->dirfd, "data", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct catalog_options options = {
		.mode = CATALOG_WRITE,
		.create = true,
		.no_threads = true,
		.no_sync = s->options.no_sync,
	};
	struct catalog_hooks hooks;

	cr_assert_geq(data_fd, 0);
	cr_assert_eq(catalog_open(s->dirfd, &options, &s->catalog, &err), 0, "%s", err_text(&err));
	cr_assert_eq(data_open(data_fd, s->catalog, &s->options, &s->data, &err), 0, "%s",
		     err_text(&err));
	hooks = data_hooks(s->data);
	catalog_set_hooks(s->catalog, &hooks);
}

static void close_both(struct fixture *s)
{
	cr_assert_eq(catalog_sync(s->catalog), 0);
	catalog_set_hooks(s->catalog, NULL);
	data_close(s->data);
	catalog_close(s->catalog);
}

void fixture_open(struct fixture *s, const char *dir, const struct data_options *options)
{
	memset(s, 0, sizeof(*s));
	s->options = *options;
	s->own_dir = dir == NULL;
	if (s->own_dir)
		make_temp_dir(s->path, sizeof(s->path));
	else
		snprintf(s->path, sizeof(s->path), "%s", dir);
	s->dirfd = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert_geq(s->dirfd, 0);
	cr_assert(mkdirat(s->dirfd, "data", 0700) == 0 || errno == EEXIST);
	open_both(s);
}

void fixture_reopen(struct fixture *s)
{
	close_both(s);
	open_both(s);
}

void fixture_close(struct fixture *s)
{
	close_both(s);
	close(s->dirfd);
	if (s->own_dir)
		remove_tree(s->path);
}

uint64_t fixture_counter(struct fixture *s, const char *label)
{
	CLEANUP(buf) struct buf text = {0};
	const char *all, *at, *start;

	data_to_text(s->data, &text);
	all = buf_cstr(&text);
	at = strstr(all, label);
	cr_assert_not_null(at, "no \"%s\" in:\n%s", label, all);
	start = at;
	while (start > all && (start[-1] == ' ' || (start[-1] >= '0' && start[-1] <= '9')))
		start--;
	return strtoull(start, NULL, 10);
}

static ssize_t lower_read(void *arg, void *bytes, size_t size, off_t off)
{
	struct lower *l = arg;
	uint64_t from = (uint64_t)off;

	l->reads++;
	if (from >= l->size)
		return 0;
	if (size > l->size - from)
		size = (size_t)(l->size - from);
	if (from >= l->fail_from)
		return -EIO;
	/* Short now and then, as a layer may be; and up to the byte that fails. */
	if (size > 100 && l->reads % 3 == 0)
		size -= 7;
	if (size > l->fail_from - from)
		size = (size_t)(l->fail_from - from);
	memcpy(bytes, l->bytes + from, size);
	return (ssize_t)size;
}

static bool block_is_hole(const struct lower *l, uint64_t block)
{
	uint64_t i, end = (block + 1) * BLOCK < l->size ? (block + 1) * BLOCK : l->size;

	for (i = block * BLOCK; i < end; i++)
		if (l->bytes[i] != 0)
			return false;
	return true;
}

static off_t lower_seek(void *arg, off_t off, int whence)
{
	struct lower *l = arg;
	uint64_t pos = (uint64_t)off;

	if (pos >= l->size)
		return -ENXIO;
	while (pos < l->size && block_is_hole(l, pos / BLOCK) == (whence == SEEK_DATA))
		pos = (pos / BLOCK + 1) * BLOCK;
	if (pos >= l->size)
		return whence == SEEK_DATA ? -ENXIO : (off_t)l->size;
	return (off_t)pos;
}

/* The same bytes with the same holes in a file without a name. */
static int make_fd(const struct lower *l, const char *dir)
{
	int fd = open(dir, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	uint64_t off;

	cr_assert_geq(fd, 0, "O_TMPFILE in %s: %s", dir, strerror(errno));
	cr_assert_eq(ftruncate(fd, (off_t)l->size), 0);
	for (off = 0; off < l->size; off += BLOCK) {
		size_t n = l->size - off < BLOCK ? (size_t)(l->size - off) : BLOCK;

		if (!block_is_hole(l, off / BLOCK))
			cr_assert_eq(pwrite(fd, l->bytes + off, n, (off_t)off), (ssize_t)n);
	}
	return fd;
}

void lower_make(struct lower *l, uint64_t size, unsigned int holes, const char *dir,
		uint64_t *random)
{
	uint64_t i, block;

	memset(l, 0, sizeof(*l));
	l->size = size;
	l->bytes = calloc(1, size + 1);
	l->fail_from = UINT64_MAX;
	for (block = 0; block * BLOCK < size; block++) {
		if (holes > 0 && random_below(random, holes) == 0)
			continue;
		for (i = block * BLOCK; i < size && i < (block + 1) * BLOCK; i++)
			l->bytes[i] = (uint8_t)(random_next(random) | 1);
	}
	l->src = (struct data_source){.read = lower_read, .seek = lower_seek, .arg = l, .fd = -1};
	if (dir != NULL)
		l->src.fd = make_fd(l, dir);
}

void lower_done(struct lower *l)
{
	if (l->src.fd >= 0)
		close(l->src.fd);
	free(l->bytes);
	l->bytes = NULL;
}

static int commit(struct file *f, int r, struct batch *b, bool changed)
{
	if (r < 0 || !changed) {
		cr_assert_eq(b->n, 0, "the batch was touched");
		return r;
	}
	batch_put_inode(b, &f->rec);
	return catalog_commit(f->store->catalog, b);
}

void file_make(struct file *f, struct fixture *s, struct lower *lower)
{
	CLEANUP(batch) struct batch b = {0};

	memset(f, 0, sizeof(*f));
	f->store = s;
	f->lower = lower;
	f->rec.attr.ino = catalog_new_ino(s->catalog);
	f->rec.attr.mode = S_IFREG | 0644;
	f->rec.attr.nlink = 1;
	if (lower != NULL) {
		f->rec.where = BYTES_LOWER;
		f->rec.attr.size = f->rec.lower_size = lower->size;
		f->rec.origin = strdup("some/where");
	}
	batch_begin(&b, s->catalog);
	cr_assert_eq(commit(f, 0, &b, true), 0);
}

void file_done(struct file *f)
{
	inode_rec_done(&f->rec);
}

void file_reload(struct file *f)
{
	uint64_t ino = f->rec.attr.ino;

	inode_rec_done(&f->rec);
	memset(&f->rec, 0, sizeof(f->rec));
	cr_assert_eq(catalog_inode(f->store->catalog, ino, &f->rec), 0);
	cr_assert_eq(f->rec.attr.ino, ino);
}

const struct data_source *file_source(const struct file *f)
{
	return f->rec.where == BYTES_LOWER || f->rec.where == BYTES_CHUNKS ? &f->lower->src : NULL;
}

void fixture_open_file(struct fixture *s, struct file *f)
{
	fixture_open(s, NULL, &(struct data_options){.chunk_shift = 12});
	file_make(f, s, NULL);
}

void fixture_close_file(struct fixture *s, struct file *f)
{
	file_done(f);
	fixture_close(s);
}

int file_write(struct file *f, const void *bytes, size_t size, uint64_t off)
{
	CLEANUP(batch) struct batch b = {0};
	bool changed = false;
	int r;

	batch_begin(&b, f->store->catalog);
	r = data_write(f->store->data, &f->rec, file_source(f), bytes, size, (off_t)off, &b,
		       &changed);
	return commit(f, r, &b, changed);
}

int file_truncate(struct file *f, uint64_t size)
{
	CLEANUP(batch) struct batch b = {0};
	bool changed = false;
	int r;

	batch_begin(&b, f->store->catalog);
	r = data_truncate(f->store->data, &f->rec, file_source(f), size, &b, &changed);
	return commit(f, r, &b, changed);
}

int file_fallocate(struct file *f, int mode, uint64_t off, uint64_t len)
{
	bool again, changed;
	int r;

	do {
		CLEANUP(batch) struct batch b = {0};
		bool chunks = f->rec.where == BYTES_CHUNKS;

		changed = false;
		batch_begin(&b, f->store->catalog);
		r = data_fallocate(f->store->data, &f->rec, file_source(f), mode, (off_t)off,
				   (off_t)len, &b, &changed);
		r = commit(f, r, &b, changed);
		again = r == 0 && chunks && changed;
	} while (again);
	return r;
}

uint64_t file_length(struct file *f)
{
	struct attr a = {0};

	cr_assert_eq(data_attr(f->store->data, &f->rec, &a), 0);
	return a.size;
}

void file_expect(struct file *f, const uint8_t *bytes, uint64_t size)
{
	/* One byte more is asked for than there is, and lies behind the buffer's used part. */
	CLEANUP(free) uint8_t *have = malloc(size + 2);
	uint64_t i;
	ssize_t n;

	cr_assert_eq(file_length(f), size, "length %llu instead of %llu, where %d",
		     (unsigned long long)file_length(f), (unsigned long long)size, f->rec.where);
	memset(have, 0xa5, size + 2);
	n = data_read(f->store->data, &f->rec, file_source(f), have, size + 1, 0);
	cr_assert_eq(n, (ssize_t)size, "read %zd instead of %llu, where %d", n,
		     (unsigned long long)size, f->rec.where);
	if (size == 0 || memcmp(have, bytes, size) == 0)
		return;
	for (i = 0; have[i] == bytes[i]; i++)
		;
	cr_assert_fail("byte %llu of %llu is %02x, not %02x; where %d, lower_size %llu",
		       (unsigned long long)i, (unsigned long long)size, have[i], bytes[i],
		       f->rec.where, (unsigned long long)f->rec.lower_size);
}

static off_t seek(struct file *f, uint64_t off, int whence)
{
	return data_seek(f->store->data, &f->rec, file_source(f), (off_t)off, whence);
}

void file_expect_seeks(struct file *f, const uint8_t *bytes, uint64_t size)
{
	uint64_t i, pos = 0;

	cr_assert_eq(seek(f, size, SEEK_DATA), -ENXIO);
	cr_assert_eq(seek(f, size, SEEK_HOLE), -ENXIO);
	while (pos < size) {
		off_t data = seek(f, pos, SEEK_DATA);
		uint64_t until = data == -ENXIO ? size : (uint64_t)data;
		off_t hole;

		cr_assert(data == -ENXIO || (data >= (off_t)pos && data < (off_t)size));
		for (i = pos; i < until; i++)
			cr_assert_eq(bytes[i], 0, "a hole at %llu holds %02x",
				     (unsigned long long)i, bytes[i]);
		if (until > pos)
			cr_assert_eq(seek(f, pos, SEEK_HOLE), (off_t)pos);
		if (data == -ENXIO)
			return;
		hole = seek(f, (uint64_t)data, SEEK_HOLE);
		cr_assert(hole > data && hole <= (off_t)size, "data at %lld, hole at %lld",
			  (long long)data, (long long)hole);
		cr_assert_eq(seek(f, (uint64_t)hole - 1, SEEK_DATA), hole - 1);
		pos = (uint64_t)hole;
	}
}
