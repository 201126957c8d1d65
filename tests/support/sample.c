/* SPDX-License-Identifier: Apache-2.0 */
/* An upper with one of everything. */
#include "support/sample.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/sys.h"
#include "catalog/walk.h"
#include "data/path.h"
#include "data/walk.h"

static int data_dir(const struct made_upper *u)
{
	int fd = sys_openat(u->tmp.fd, ".plyfs/data", O_RDONLY | O_DIRECTORY, 0);

	cr_assert_geq(fd, 0);
	return fd;
}

void sample_data(struct made_upper *u, uint64_t ino, const char *text)
{
	CLEANUP(fd) int dir = data_dir(u);
	CLEANUP(fd) int fd = -1;

	cr_assert_eq(data_path_create(dir, ino, &fd), 0);
	cr_assert_eq(sys_pwrite_full(fd, text, strlen(text), 0), 0);
}

void sample_no_data(struct made_upper *u, uint64_t ino)
{
	CLEANUP(fd) int dir = data_dir(u);

	cr_assert_eq(data_path_remove(dir, ino), 0);
}

void sample_commit(const struct made_upper *u, const struct batch *b)
{
	cr_assert_eq(catalog_commit(u->catalog, b), 0);
}

void sample_poke(struct made_upper *u, uint64_t ino, size_t off, uint64_t value, size_t size)
{
	CLEANUP(inode_rec) struct inode_rec rec = {0};
	CLEANUP(batch) struct batch b = {0};
	CLEANUP(buf) struct buf bytes = {0};
	uint8_t key[8];

	cr_assert_eq(catalog_inode(u->catalog, ino, &rec), 0);
	inode_encode(&rec, &bytes);
	for (size_t i = 0; i < size; i++)
		bytes.data[off + i] = (uint8_t)(value >> 8 * i);
	put_be64(key, ino);
	batch_begin(&b, u->catalog);
	batch_put_raw(&b, TABLE_INODE, key, sizeof(key), bytes.data, bytes.len);
	sample_commit(u, &b);
}

void sample_name(struct made_upper *u, uint64_t parent, const char *name, uint64_t ino,
		 uint8_t dtype)
{
	made_name(u, parent, name, ino, dtype);
}

void sample_unname(struct made_upper *u, uint64_t parent, const char *name)
{
	CLEANUP(batch) struct batch b = {0};

	batch_begin(&b, u->catalog);
	batch_del_entry(&b, parent, name, strlen(name));
	sample_commit(u, &b);
}

void sample_raw_name(struct made_upper *u, uint64_t parent, const char *name, int64_t hash_off,
		     uint64_t ino, uint8_t dtype)
{
	CLEANUP(batch) struct batch b = {0};
	uint8_t key[KEY_SIZE_MAX], value[ENTRY_VALUE_SIZE] = {dtype};
	uint64_t hash = catalog_name_hash(catalog_seed(u->catalog), name, strlen(name));
	size_t len = key_of_entry(key, parent, hash + (uint64_t)hash_off, name, strlen(name));

	put_le64(value + 1, ino);
	batch_begin(&b, u->catalog);
	batch_put_raw(&b, TABLE_ENTRY, key, len, value, sizeof(value));
	sample_commit(u, &b);
}

static void make_root(struct made_upper *u)
{
	struct inode_rec root = {
		.attr = {.ino = CATALOG_ROOT_INO, .mode = S_IFDIR | 0755, .nlink = 1, .uid = 7},
		.parent = CATALOG_ROOT_INO,
		.origin = strdup(""),
	};

	made_record(u, 0, NULL, &root);
	inode_rec_done(&root);
}

static void set_nlink(struct made_upper *u, uint64_t ino, uint32_t nlink)
{
	sample_poke(u, ino, 4, nlink, 4);
}

static void make_chunks(struct made_upper *u)
{
	CLEANUP(batch) struct batch b = {0};
	uint8_t bits[CHUNK_SEGMENT_BYTES] = {1};
	struct inode_rec rec = {
		.attr = {.ino = M(7), .mode = S_IFREG | 0600, .nlink = 1, .size = 100000},
		.where = BYTES_CHUNKS,
		.chunk_shift = 12,
		.lower_size = 100000,
		.origin = strdup("m/c"),
	};

	made_record(u, M(5), "c", &rec);
	inode_rec_done(&rec);
	batch_begin(&b, u->catalog);
	batch_put_chunks(&b, M(7), 0, bits);
	sample_commit(u, &b);
	sample_data(u, M(7), "chunk");
}

void sample_make(struct made_upper *u)
{
	static const char bytes[SAMPLE_G_SIZE] = "gggg";
	CLEANUP(batch) struct batch b = {0};

	made_upper_make(u);
	make_root(u);
	made_dir(u, 1, "d", 10, NULL);
	set_nlink(u, 10, 3);
	made_dir(u, 10, "s", 11, NULL);
	made_inline(u, 11, "f", 12, S_IFREG, "hello");
	batch_begin(&b, u->catalog);
	batch_put_xattr(&b, 12, "user.a", "b", 1);
	sample_commit(u, &b);
	sample_poke(u, 12, 68, INODE_HAS_XATTRS, 4);
	made_inline(u, 10, "g", 13, S_IFREG, "");
	made_write(u, 13, NULL, bytes, sizeof(bytes), 0);
	made_inline(u, 10, "h1", 14, S_IFREG, "two names");
	made_name(u, 1, "h2", 14, DT_REG);
	set_nlink(u, 14, 2);
	made_inline(u, 1, "k", 15, S_IFLNK, "target");
	made_inline(u, 1, "p", 16, S_IFIFO, "");
	made_dir(u, 1, "m", M(5), "m");
	made_lower(u, M(5), "l", M(6), "m/l", 5000, 3);
	made_whiteout(u, M(5), "w");
	make_chunks(u);
}

/* Test_damage makes a hundred thousand dumps, so not by printf. */
static void put_hex(struct buf *out, const uint8_t *bytes, size_t len)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++) {
		buf_put_u8(out, (uint8_t)digits[bytes[i] >> 4]);
		buf_put_u8(out, (uint8_t)digits[bytes[i] & 15]);
	}
}

static int dump_row(void *arg, const struct catalog_raw *raw)
{
	struct buf *out = arg;

	put_hex(out, raw->key, raw->key_len);
	buf_put_str(out, " = ");
	put_hex(out, raw->value, raw->value_len);
	buf_put_u8(out, '\n');
	return 0;
}

struct total {
	uint64_t n, numbers, sizes;
};

static int add_file(void *arg, const struct data_file *file)
{
	struct total *t = arg;

	t->n++;
	t->numbers += file->ino;
	t->sizes += file->size;
	return 0;
}

char *sample_dump(const struct made_upper *u)
{
	struct catalog_options options = {.mode = CATALOG_SNAPSHOT};
	CLEANUP(err) struct err err = {0};
	CLEANUP(buf) struct buf out = {0};
	CLEANUP(fd) int dir = sys_openat(u->tmp.fd, ".plyfs", O_RDONLY | O_DIRECTORY, 0);
	CLEANUP(fd) int data = data_dir(u);
	struct catalog *c = NULL;
	struct total t = {0};

	cr_assert_eq(catalog_open(dir, &options, &c, &err), 0, "%s", err_text(&err));
	for (int table = TABLE_ENTRY; table < N_TABLES; table++) {
		buf_printf(&out, "%s\n", table_names[table]);
		cr_assert_eq(catalog_walk(c, table, dump_row, &out), 0);
	}
	catalog_close(c);
	cr_assert_eq(data_walk(data, add_file, &t), 0);
	buf_printf(&out, "%" PRIu64 " data files, %" PRIu64 ", %" PRIu64 " bytes\n", t.n, t.numbers,
		   t.sizes);
	cr_assert_not_null(buf_cstr(&out));
	return (char *)steal_ptr(&out.data);
}

static int run(const struct made_upper *u, bool repair, const char *to, char **ret_text)
{
	CLEANUP(err) struct err err = {0};
	size_t size;
	FILE *out = open_memstream(ret_text, &size);
	struct fsck_options o = {.upper = u->tmp.path, .repair = repair, .out = out};
	int status;

	cr_assert_not_null(out);
	status = to != NULL ? fsck_salvage(&o, to, &err) : fsck_run(&o, &err);
	if (status & FSCK_FAILED)
		fprintf(out, "failed: %s\n", err_text(&err));
	fclose(out);
	return status;
}

int sample_fsck(const struct made_upper *u, bool repair, char **ret_text)
{
	int status = run(u, repair, NULL, ret_text);
	size_t len = strlen(u->tmp.path);

	/* The last line begins with the upper's path. */
	for (char *line = *ret_text; !(status & FSCK_FAILED) && *line != '\0';) {
		if (strncmp(line, u->tmp.path, len) == 0 && line[len] == ':')
			*line = '\0';
		line += strcspn(line, "\n");
		line += *line == '\n';
	}
	return status;
}

int sample_salvage(const struct made_upper *u, const char *to, char **ret_text)
{
	return run(u, false, to, ret_text);
}
