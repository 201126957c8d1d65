/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a catalog: create or check the LMDB file, open it, bring the journal in. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/sys.h"
#include "catalog/check.h"
#include "catalog/internal.h"

/* Address space for the LMDB file; the file itself grows as it is used. */
size_t catalog_map_size = (size_t)64 << 30;

struct dir_name dir_name_of(int dirfd)
{
	struct dir_name name = {.text = ".plyfs"};
	char link[32], text[sizeof(name.text)];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", dirfd);
	n = sys_readlinkat(AT_FDCWD, link, text, sizeof(text) - 1);
	if (n > 0 && (size_t)n < sizeof(text) - 1) {
		memcpy(name.text, text, (size_t)n);
		name.text[n] = 0;
	}
	return name;
}

static int damaged(const struct catalog *c, struct err *err, const char *file, const char *why)
{
	return err_set(
		err, EUCLEAN,
		"%s/%s is damaged: %s; restore .plyfs from a copy, or start with an empty upper",
		dir_name_of(c->dirfd).text, file, why);
}

static int too_new(const struct catalog *c, struct err *err, uint32_t version)
{
	return err_set(
		err, EPROTONOSUPPORT,
		"%s was made by a newer plyfs: its format is version %u, this program knows up "
		"to version %u",
		dir_name_of(c->dirfd).text, version, FORMAT_VERSION);
}

static int super_u64(struct store *s, const char *key, uint64_t *ret_value)
{
	MDB_val v;
	int rc = store_get(s, TABLE_SUPER, key, strlen(key), &v);

	if (rc < 0)
		return rc;
	if (v.mv_size != 8)
		return -EUCLEAN;
	*ret_value = get_le64(v.mv_data);
	return 0;
}

int read_super(struct catalog *c, struct err *err)
{
	MDB_val v;
	int rc = store_get(&c->store, TABLE_SUPER, SUPER_FORMAT, strlen(SUPER_FORMAT), &v);

	if (rc < 0 || v.mv_size != 4)
		return damaged(c, err, CATALOG_FILE, "it does not say its version");
	if (get_le32(v.mv_data) > FORMAT_VERSION)
		return too_new(c, err, get_le32(v.mv_data));
	if (super_u64(&c->store, SUPER_SEED, &c->seed) < 0 ||
	    super_u64(&c->store, SUPER_APPLIED, &c->applied) < 0)
		return damaged(c, err, CATALOG_FILE, "its seed or sequence number is missing");
	c->seq = c->synced_seq = c->applied;
	return 0;
}

int read_next_ino(struct catalog *c)
{
	CLEANUP_CURSOR MDB_cursor *cursor = NULL;
	uint8_t limit[INO_KEY_SIZE];
	MDB_val key = {.mv_size = key_of_ino(limit, CATALOG_FIRST_LOWER_INO), .mv_data = limit};
	uint64_t last = CATALOG_ROOT_INO;
	int rc = store_cursor(&c->store, TABLE_INODE, &cursor);

	if (rc < 0)
		return rc;
	/* The last number below those that came from lower layers. */
	rc = mdb_cursor_get(cursor, &key, NULL, MDB_SET_RANGE);
	rc = mdb_cursor_get(cursor, &key, NULL, rc == 0 ? MDB_PREV : MDB_LAST);
	if (rc == 0 && key.mv_size == INO_KEY_SIZE && get_be64(key.mv_data) > last)
		last = get_be64(key.mv_data);
	else if (rc != 0 && rc != MDB_NOTFOUND)
		return store_errno(rc);
	c->next_ino = last + 1;
	return 0;
}

static int read_orphans(struct catalog *c)
{
	CLEANUP_CURSOR MDB_cursor *cursor = NULL;
	MDB_val key;
	size_t cap = 0;
	int rc = store_cursor(&c->store, TABLE_ORPHAN, &cursor);

	if (rc < 0)
		return rc;
	while ((rc = mdb_cursor_get(cursor, &key, NULL, MDB_NEXT)) == 0) {
		if (key.mv_size != INO_KEY_SIZE)
			continue;
		if (c->n_orphans == cap) {
			uint64_t *more;

			cap = cap == 0 ? 16 : cap * 2;
			more = reallocarray(c->orphans, cap, sizeof(*more));
			if (more == NULL)
				return -ENOMEM;
			c->orphans = more;
		}
		c->orphans[c->n_orphans++] = get_be64(key.mv_data);
	}
	return rc == MDB_NOTFOUND ? 0 : store_errno(rc);
}

/* Remembers the inodes whose records a journal record puts. */
static int note_replayed(struct catalog *c, const void *body, size_t len)
{
	struct reader r = reader_of(body, len);
	struct op op;

	while (op_next(&r, &op) > 0) {
		uint64_t *more;

		if (op.kind != OP_PUT || op.table != TABLE_INODE)
			continue;
		more = reallocarray(c->replayed, c->n_replayed + 1, sizeof(*more));
		if (more == NULL)
			return -ENOMEM;
		c->replayed = more;
		c->replayed[c->n_replayed++] = get_be64(op.key);
	}
	return 0;
}

int replay_journal(struct catalog *c, const uint8_t *bytes, size_t len, struct journal_scan *scan)
{
	struct journal_record record;
	uint64_t seq = c->applied;

	journal_scan_begin(scan, bytes, len);
	if (scan->base > c->applied)
		return -ESTALE;
	while (journal_scan_next(scan, c->seed, &record)) {
		int rc;

		if (record.seq <= seq)
			continue;
		if (record.seq != seq + 1)
			return -ESTALE;
		rc = store_apply(&c->store, record.body, record.len);
		if (rc == 0)
			rc = note_replayed(c, record.body, record.len);
		if (rc < 0)
			return rc;
		seq = record.seq;
	}
	c->seq = seq;
	return 0;
}

static int put_super(struct store *s, const char *key, const void *value, size_t len)
{
	return store_put(s, TABLE_SUPER, key, strlen(key), value, len);
}

/* An empty catalog in the file PATH, on the disk. */
static int make_tables(const struct catalog *c, const char *path)
{
	uint8_t version[4], seed[8], applied[8] = {0};
	struct store s;
	uint64_t random;
	int rc = sys_random(&random, sizeof(random));

	if (rc == 0)
		rc = store_open(&s, path, true, c->options.no_sync, c->map_size);
	if (rc < 0)
		return rc;
	put_le32(version, FORMAT_VERSION);
	put_le64(seed, random);
	rc = put_super(&s, SUPER_FORMAT, version, sizeof(version));
	if (rc == 0)
		rc = put_super(&s, SUPER_SEED, seed, sizeof(seed));
	if (rc == 0)
		rc = put_super(&s, SUPER_APPLIED, applied, sizeof(applied));
	if (rc == 0)
		rc = store_commit(&s);
	store_close(&s);
	return rc;
}

/* Makes the file under another name and renames it, so that there never is half a catalog. */
static int create_file(const struct catalog *c)
{
	char path[64];
	int rc = sys_unlinkat(c->dirfd, CATALOG_FILE_NEW, 0);

	if (rc < 0 && rc != -ENOENT)
		return rc;
	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", c->dirfd, CATALOG_FILE_NEW);
	rc = store_full_errno(c->dirfd, make_tables(c, path));
	if (rc == 0)
		rc = sys_renameat(c->dirfd, CATALOG_FILE_NEW, c->dirfd, CATALOG_FILE, 0);
	if (rc < 0)
		sys_unlinkat(c->dirfd, CATALOG_FILE_NEW, 0);
	return rc;
}

/* Refuses a file that LMDB could not be trusted with. */
static int check_file(struct catalog *c, int fd, struct err *err)
{
	struct check_info info;
	const char *why = "its checksum is wrong";
	int rc = check_sum(c->dirfd, fd);

	if (rc == 1) {
		c->has_sum = true;
		return 0;
	}
	if (rc == 0)
		rc = check_tree(fd, &info, &why);
	if (rc == -EUCLEAN)
		return damaged(c, err, CATALOG_FILE, why);
	if (rc == -EPROTONOSUPPORT)
		return err_set(err, EPROTONOSUPPORT,
			       "%s/" CATALOG_FILE " was made by another version of LMDB than %s",
			       dir_name_of(c->dirfd).text, catalog_library_version());
	return rc < 0 ? err_errno(err, -rc, "cannot read %s/" CATALOG_FILE,
				  dir_name_of(c->dirfd).text)
		      : 0;
}

/* Is there a journal with records although there is no catalog? Its names would be lost. */
static int refuse_lone_journal(struct catalog *c, struct err *err)
{
	struct stat st;

	if (sys_fstatat(c->dirfd, JOURNAL_FILE, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	if (st.st_size <= JOURNAL_HEADER_SIZE) {
		sys_unlinkat(c->dirfd, JOURNAL_FILE, 0);
		return 0;
	}
	return err_set(err, EUCLEAN, "%s has a journal but no " CATALOG_FILE "; restore that file",
		       dir_name_of(c->dirfd).text);
}

static int open_file(struct catalog *c, int *ret_fd, struct err *err)
{
	int fd = sys_openat(c->dirfd, CATALOG_FILE, O_RDWR | O_NOFOLLOW, 0);
	int rc;

	if (fd == -ENOENT && c->options.create) {
		rc = refuse_lone_journal(c, err);
		if (rc < 0)
			return rc;
		rc = create_file(c);
		if (rc < 0)
			return err_errno(err, -rc, "cannot make a catalog in %s",
					 dir_name_of(c->dirfd).text);
		fd = sys_openat(c->dirfd, CATALOG_FILE, O_RDWR | O_NOFOLLOW, 0);
	}
	if (fd < 0)
		return err_errno(err, -fd, "cannot open %s/" CATALOG_FILE,
				 dir_name_of(c->dirfd).text);
	*ret_fd = fd;
	return 0;
}

/* The journal's own version, before LMDB looks at a file that a newer program may have changed. */
static int read_journal(struct catalog *c, uint8_t **ret_bytes, size_t *ret_len, struct err *err)
{
	CLEANUP(fd) int fd = sys_openat(c->dirfd, JOURNAL_FILE, O_RDONLY | O_NOFOLLOW, 0);
	struct journal_scan scan;
	int rc;

	if (fd == -ENOENT)
		return 0;
	rc = fd < 0 ? fd : journal_read(fd, ret_bytes, ret_len);
	if (rc < 0)
		return err_errno(err, -rc, "cannot read %s/" JOURNAL_FILE,
				 dir_name_of(c->dirfd).text);
	journal_scan_begin(&scan, *ret_bytes, *ret_len);
	return scan.version > FORMAT_VERSION ? too_new(c, err, scan.version) : 0;
}

static int replay_failed(struct catalog *c, struct err *err, int rc)
{
	if (rc == -ESTALE)
		return err_set(err, EUCLEAN,
			       "%s/" JOURNAL_FILE " continues a newer " CATALOG_FILE
			       " than the one beside it; restore both from one copy, or remove the "
			       "journal to go back to the older state",
			       dir_name_of(c->dirfd).text);
	if (rc == -EBADMSG || rc == -EUCLEAN)
		return damaged(c, err, CATALOG_FILE, "the journal cannot be applied to it");
	return err_errno(err, -rc, "cannot apply %s/" JOURNAL_FILE, dir_name_of(c->dirfd).text);
}

/* Records behind a bad one: what could be read is made durable, then the file is kept for people. */
static int keep_bad_journal(struct catalog *c, bool whole, struct err *err)
{
	struct dir_name dir = dir_name_of(c->dirfd);
	unsigned int number;
	int rc = gate_shut(&c->lock_file, true);

	if (rc == 0)
		rc = checkpoint_tables(c);
	if (rc == 0) {
		journal_close(&c->journal);
		rc = journal_set_aside(c->dirfd, &number);
	}
	if (rc == 0)
		rc = journal_open(&c->journal, c->dirfd, c->seed, c->applied);
	gate_open(&c->lock_file);
	if (rc < 0)
		return err_errno(err, -rc, "cannot start a new journal in %s", dir.text);
	log_error("%s/" JOURNAL_FILE " was damaged: %s; it is kept as " JOURNAL_FILE_BAD, dir.text,
		  whole ? "its header; nothing is lost" : "changes after the damage are lost",
		  number);
	return 0;
}

static int open_journal(struct catalog *c, const uint8_t *bytes, size_t len, struct err *err)
{
	struct journal_scan scan;
	int rc = replay_journal(c, bytes, len, &scan);

	if (rc < 0)
		return replay_failed(c, err, rc);
	rc = journal_open(&c->journal, c->dirfd, c->seed, c->applied);
	if (rc == 0 && !c->options.no_sync && bytes == NULL && fsync(c->dirfd) < 0)
		rc = -errno;
	if (rc < 0)
		return err_errno(err, -rc, "cannot open %s/" JOURNAL_FILE,
				 dir_name_of(c->dirfd).text);
	if (scan.header_bad || journal_scan_more(&scan, c->seed, c->seq))
		return keep_bad_journal(c, scan.off == len, err);
	if (scan.off < len) {
		log_info(
			"the last record of the journal was not finished; it was never acknowledged");
		rc = journal_cut(&c->journal,
				 scan.off > JOURNAL_HEADER_SIZE ? scan.off : JOURNAL_HEADER_SIZE);
		if (rc < 0)
			return err_errno(err, -rc, "cannot cut the journal");
	}
	return 0;
}

static int open_owned(struct catalog *c, struct err *err)
{
	CLEANUP(free) uint8_t *bytes = NULL;
	CLEANUP(fd) int fd = -1;
	size_t len = 0;
	int rc = read_journal(c, &bytes, &len, err);

	if (rc == 0)
		rc = open_file(c, &fd, err);
	if (rc == 0)
		rc = check_file(c, fd, err);
	if (rc < 0)
		return rc;
	rc = store_open(&c->store, c->path, false, c->options.no_sync, c->map_size);
	if (rc < 0)
		return err_errno(err, -rc, "cannot open %s/" CATALOG_FILE,
				 dir_name_of(c->dirfd).text);
	rc = read_super(c, err);
	return rc < 0 ? rc : open_journal(c, bytes, len, err);
}

static void init_locks(struct catalog *c)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&c->checkpoint_lock, NULL);
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->synced, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&c->wake, &attr);
	pthread_condattr_destroy(&attr);
}

static struct catalog *catalog_alloc(const struct catalog_options *options)
{
	struct catalog *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->options = *options;
	c->dirfd = c->copy_fd = c->lock_file.fd = c->journal.fd = -1;
	c->map_size = catalog_map_size;
	init_locks(c);
	return c;
}

static void catalog_free(struct catalog *c)
{
	store_close(&c->store);
	journal_close(&c->journal);
	lock_release(&c->lock_file);
	if (c->copy_fd >= 0)
		close(c->copy_fd);
	if (c->dirfd >= 0)
		close(c->dirfd);
	free(c->orphans);
	free(c->replayed);
	free(c->path);
	pthread_cond_destroy(&c->wake);
	pthread_cond_destroy(&c->synced);
	pthread_mutex_destroy(&c->lock);
	pthread_mutex_destroy(&c->checkpoint_lock);
	free(c);
}
DEFINE_CLEANUP_PTR(struct catalog, opening, catalog_free)

static int open_for_writing(struct catalog *c, int dirfd, struct err *err)
{
	struct stat st;
	int rc;

	c->dirfd = fcntl(dirfd, F_DUPFD_CLOEXEC, 0);
	if (c->dirfd < 0)
		return err_errno(err, errno, "cannot hold the directory .plyfs open");
	if (asprintf(&c->path, "/proc/self/fd/%d/" CATALOG_FILE, c->dirfd) < 0) {
		c->path = NULL;
		return err_errno(err, ENOMEM, "cannot open the catalog");
	}
	/* Do not leave a lock file where there is no catalog. */
	if (!c->options.create && sys_fstatat(c->dirfd, CATALOG_FILE, &st, 0) == -ENOENT)
		return err_set(err, ENOENT, "there is no catalog in %s", dir_name_of(dirfd).text);
	rc = lock_own(&c->lock_file, c->dirfd, err);
	c->unclean = c->lock_file.was_owned;
	return rc < 0 ? rc : open_owned(c, err);
}

int catalog_open(int dirfd, const struct catalog_options *options, struct catalog **ret_catalog,
		 struct err *err)
{
	CLEANUP(opening) struct catalog *c = catalog_alloc(options);
	int rc;

	if (c == NULL)
		return err_errno(err, ENOMEM, "cannot open the catalog");
	if (options->mode == CATALOG_SNAPSHOT)
		rc = snapshot_open(dirfd, c, err);
	else
		rc = open_for_writing(c, dirfd, err);
	if (rc < 0)
		return rc;
	rc = read_next_ino(c);
	if (rc == 0)
		rc = read_orphans(c);
	if (rc < 0)
		return err_errno(err, -rc, "cannot read the catalog");
	*ret_catalog = steal_ptr(&c);
	return 0;
}

/* What is committed goes to LMDB; where that fails the journal still has it. */
static void close_owned(struct catalog *c)
{
	CLEANUP(fd) int fd = -1;
	int rc = checkpoint(c, true);

	if (rc < 0) {
		log_error(
			"the last checkpoint of the catalog failed (%s); its journal holds everything",
			strerror(-rc));
		return;
	}
	if (c->has_sum)
		return;
	fd = sys_openat(c->dirfd, CATALOG_FILE, O_RDONLY, 0);
	rc = fd < 0 ? fd : sum_write(c->dirfd, fd);
	if (rc < 0)
		log_info("no checksum of the catalog was left: %s", strerror(-rc));
}

void catalog_closing(struct catalog *c)
{
	if (c != NULL && c->options.mode == CATALOG_WRITE)
		lock_announce_closing(&c->lock_file);
}

void catalog_close(struct catalog *c)
{
	if (c == NULL)
		return;
	thread_stop(c);
	if (c->options.mode == CATALOG_WRITE)
		close_owned(c);
	catalog_free(c);
}
