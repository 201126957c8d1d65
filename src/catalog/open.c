/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a catalog: create or check the LMDB file, open it, bring the journal in. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
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

int catalog_damaged(const struct catalog *c, struct err *err, const char *file, const char *why)
{
	return err_set(
		err, EUCLEAN,
		"%s/%s is damaged: %s; restore .plyfs from a copy, or start with an empty upper",
		dir_name_of(c->dirfd).text, file, why);
}

int catalog_too_new(const struct catalog *c, struct err *err, uint32_t version)
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

/*
 * Numbers of inodes that were deleted are known to snapshots, and lead these to data files. Whatever the value is, it can
 * only keep numbers from being given.
 */
static void read_next_ino(struct catalog *c)
{
	uint64_t next;

	c->next_ino = CATALOG_ROOT_INO + 1;
	if (super_u64(&c->store, SUPER_NEXT, &next) == 0 && next > 0 && next <= NEXT_INO_MAX)
		ino_is_given(c, next - 1);
}

int read_super(struct catalog *c, struct err *err)
{
	MDB_val v;
	int rc = store_get(&c->store, TABLE_SUPER, SUPER_FORMAT, strlen(SUPER_FORMAT), &v);

	if (rc < 0 || v.mv_size != 4)
		return catalog_damaged(c, err, CATALOG_FILE, "it does not say its version");
	if (get_le32(v.mv_data) > FORMAT_VERSION)
		return catalog_too_new(c, err, get_le32(v.mv_data));
	if (super_u64(&c->store, SUPER_SEED, &c->seed) < 0 ||
	    super_u64(&c->store, SUPER_APPLIED, &c->applied) < 0)
		return catalog_damaged(c, err, CATALOG_FILE,
				       "its seed or sequence number is missing");
	c->seq = c->synced_seq = c->applied;
	read_next_ino(c);
	return 0;
}

/* The last number in the tables below those that came from lower layers: older programs do not keep SUPER_NEXT. */
static int see_stored_inos(struct catalog *c)
{
	CLEANUP_CURSOR MDB_cursor *cursor = NULL;
	uint8_t limit[INO_KEY_SIZE];
	MDB_val key = {.mv_size = key_of_ino(limit, CATALOG_FIRST_LOWER_INO), .mv_data = limit};
	int rc = store_cursor(&c->store, TABLE_INODE, &cursor);

	if (rc < 0)
		return rc;
	rc = mdb_cursor_get(cursor, &key, NULL, MDB_SET_RANGE);
	rc = mdb_cursor_get(cursor, &key, NULL, rc == 0 ? MDB_PREV : MDB_LAST);
	if (rc == 0 && key.mv_size == INO_KEY_SIZE)
		ino_is_given(c, get_be64(key.mv_data));
	return rc == MDB_NOTFOUND ? 0 : store_errno(rc);
}

static int add_orphan(struct catalog *c, uint64_t ino)
{
	return inos_add(&c->orphans, &c->n_orphans, ino);
}

static int stored_orphans(struct catalog *c)
{
	CLEANUP_CURSOR MDB_cursor *cursor = NULL;
	MDB_val key, value;
	int rc = store_cursor(&c->store, TABLE_ORPHAN, &cursor);

	if (rc < 0)
		return rc;
	while ((rc = mdb_cursor_get(cursor, &key, NULL, MDB_NEXT)) == 0) {
		/* A deletion may still be in the delta. */
		if (key.mv_size != INO_KEY_SIZE ||
		    view_get(c, TABLE_ORPHAN, key.mv_data, key.mv_size, &value) < 0)
			continue;
		rc = add_orphan(c, get_be64(key.mv_data));
		if (rc < 0)
			return rc;
	}
	return rc == MDB_NOTFOUND ? 0 : store_errno(rc);
}

/* Orphans of what no checkpoint could bring into the tables. */
static int orphans_of_delta(struct catalog *c, struct delta *delta)
{
	CLEANUP(free) const struct delta_item **items = NULL;
	size_t n = 0;
	int rc = delta != NULL ? delta_sorted(delta, &items, &n) : 0;

	for (size_t i = 0; i < n && rc == 0; i++) {
		const struct delta_item *item = items[i];
		MDB_val value;

		if (item->value != NULL && item->table == TABLE_ORPHAN &&
		    store_get(&c->store, TABLE_ORPHAN, item->key, item->key_len, &value) < 0)
			rc = add_orphan(c, get_be64(item->key));
	}
	return rc;
}

static int read_inos(struct catalog *c)
{
	int rc = see_stored_inos(c);

	if (rc == 0)
		rc = stored_orphans(c);
	if (rc == 0)
		rc = orphans_of_delta(c, c->active);
	/* A checkpoint that failed while it was opened has left everything there. */
	if (rc == 0)
		rc = orphans_of_delta(c, c->frozen);
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
		return catalog_damaged(c, err, CATALOG_FILE, why);
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
	for (unsigned int i = 0; i < N_JOURNALS; i++) {
		struct stat st;

		if (sys_fstatat(c->dirfd, journal_names[i], &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (st.st_size > JOURNAL_HEADER_SIZE)
			return err_set(err, EUCLEAN,
				       "%s has a journal but no " CATALOG_FILE
				       "; restore that file",
				       dir_name_of(c->dirfd).text);
		sys_unlinkat(c->dirfd, journal_names[i], 0);
	}
	return 0;
}

static int cannot_map(const struct catalog *c, struct err *err)
{
	return err_set(err, ENODEV,
		       "%s/" CATALOG_FILE
		       " cannot be mapped on its file system: use catalog_map=no",
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
		if (rc == -ENODEV)
			return cannot_map(c, err);
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

/* The journals' own version, before LMDB looks at a file that a newer program may have changed. */
static int read_journals(struct catalog *c, struct journal_bytes *ret_bytes, struct err *err)
{
	int rc = journals_read(c->dirfd, ret_bytes);

	if (rc < 0)
		return err_errno(err, -rc, "cannot read the journal in %s",
				 dir_name_of(c->dirfd).text);
	for (unsigned int i = 0; i < N_JOURNALS; i++) {
		struct journal_scan scan;

		journal_scan_begin(&scan, ret_bytes->bytes[i], ret_bytes->len[i]);
		if (scan.version > FORMAT_VERSION)
			return catalog_too_new(c, err, scan.version);
	}
	return 0;
}

int replay_failed(const struct catalog *c, struct err *err, int rc)
{
	if (rc == -ESTALE)
		return err_set(err, EUCLEAN,
			       "%s/" JOURNAL_FILE " continues a newer " CATALOG_FILE
			       " than the one beside it; restore all from one copy, or remove the "
			       "journals to go back to the older state",
			       dir_name_of(c->dirfd).text);
	if (rc == -EBADMSG || rc == -EUCLEAN)
		return catalog_damaged(c, err, JOURNAL_FILE, "it has changes that make no sense");
	return err_errno(err, -rc, "cannot apply %s/" JOURNAL_FILE, dir_name_of(c->dirfd).text);
}

/* RET_MADE: there was none, or a damaged one was put aside. */
static int open_journal(struct catalog *c, unsigned int i, uint64_t len, bool *ret_made)
{
	struct stat st;
	int rc;

	*ret_made |= sys_fstatat(c->dirfd, journal_names[i], &st, AT_SYMLINK_NOFOLLOW) == -ENOENT;
	do {
		rc = journal_open(&c->journals[i], c->dirfd, journal_names[i], c->seed, c->applied,
				  len);
	} while (spare_give(c, rc, SPARE_FOR_CHECKPOINT));
	return rc;
}

/*
 * The names of a catalog are on the disk before its first record is, and that of a journal before its own first. A catalog
 * without records may be what another process had just made when it was killed, and flushed nothing of.
 */
static int flush_names(const struct catalog *c, bool made_journal, struct err *err)
{
	bool is_new = c->seq == 0;
	int rc = is_new && c->options.beside != NULL ? c->options.beside(c->options.arg, err) : 0;

	if (rc < 0 || c->options.no_sync || (!is_new && !made_journal))
		return rc;
	rc = sys_fsync_dir(c->dirfd);
	return rc < 0 ? err_errno(err, -rc, "cannot flush %s", dir_name_of(c->dirfd).text) : 0;
}

static int open_journals(struct catalog *c, const struct journal_bytes *bytes, struct err *err)
{
	uint64_t lens[N_JOURNALS];
	bool made = false;
	struct replay replay;
	int rc = replay_journals(c, bytes, &replay);

	if (rc < 0)
		return replay_failed(c, err, rc);
	/* A power cut may have taken the lock file's text. */
	c->unclean |= c->seq != c->applied;
	rc = settle_replay(c, &replay, lens, err);
	if (rc < 0)
		return rc;
	for (unsigned int i = 0; i < N_JOURNALS && rc == 0; i++)
		rc = open_journal(c, i, lens[i], &made);
	if (rc < 0)
		return err_errno(err, -rc, "cannot open the journal in %s",
				 dir_name_of(c->dirfd).text);
	rc = flush_names(c, made, err);
	if (rc < 0)
		return rc;
	prepare_compaction(c);
	reserve_space(c);
	spare_take(c);
	/* The disk may be full before the first commit, which may be to delete. */
	(void)journal_has_reserve(&c->journals[c->current]);
	return 0;
}

int open_store(const struct catalog *c, const char *path, bool create, struct store *ret_store)
{
	struct store_options options = {
		.create = create,
		/*
		 * The file of a snapshot or of a mirror is nobody else's, and gone with it. One
		 * that is being made is flushed once, when it is whole.
		 */
		.no_sync = create || c->options.no_sync || c->options.mode == CATALOG_SNAPSHOT ||
			   c->mirror != NULL,
		.map_size = c->map_size,
	};

	return store_open(ret_store, path, &options);
}

static int mirror_file(struct catalog *c, struct err *err)
{
	int rc = mirrored_is_wanted(c) ? mirrored_open(c) : 0;

	return rc < 0 ? err_errno(err, -rc,
				  "cannot copy %s/" CATALOG_FILE " to TMPDIR, /var/tmp or /tmp",
				  dir_name_of(c->dirfd).text)
		      : 0;
}

static int open_owned(struct catalog *c, struct err *err)
{
	CLEANUP(journal_bytes) struct journal_bytes bytes = {0};
	CLEANUP(fd) int fd = -1;
	int rc = read_journals(c, &bytes, err);

	if (rc == 0)
		rc = open_file(c, &fd, err);
	if (rc == 0)
		rc = mirror_file(c, err);
	if (rc == 0)
		rc = check_file(c, c->mirror != NULL ? mirror_fd(c->mirror) : fd, err);
	if (rc < 0)
		return rc;
	c->sum_fd = sum_open(c->dirfd);
	rc = open_store(c, c->path, false, &c->store);
	if (rc == -ENODEV)
		return cannot_map(c, err);
	if (rc == 0)
		rc = delta_new(&c->active);
	if (rc < 0)
		return err_errno(err, -rc, "cannot open %s/" CATALOG_FILE,
				 dir_name_of(c->dirfd).text);
	rc = read_super(c, err);
	return rc < 0 ? rc : open_journals(c, &bytes, err);
}

static void init_locks(struct catalog *c)
{
	pthread_mutex_init(&c->checkpoint_lock, NULL);
	pthread_mutex_init(&c->lock, NULL);
	pthread_mutex_init(&c->spare_lock, NULL);
	pthread_cond_init(&c->synced, NULL);
	monotonic_cond_init(&c->wake);
	monotonic_cond_init(&c->room);
}

static struct catalog *catalog_alloc(const struct catalog_options *options)
{
	struct catalog *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->options = *options;
	c->dirfd = c->copy_fd = c->sum_fd = c->lock_file.fd = -1;
	for (unsigned int i = 0; i < N_JOURNALS; i++)
		c->journals[i].fd = -1;
	c->map_size = catalog_map_size;
	init_locks(c);
	return c;
}

static void catalog_free(struct catalog *c)
{
	store_close(&c->store);
	mirror_close(c->mirror);
	delta_free(c->active);
	delta_free(c->frozen);
	for (unsigned int i = 0; i < N_JOURNALS; i++)
		journal_close(&c->journals[i]);
	lock_release(&c->lock_file, c->unclean && !c->recovered);
	if (c->copy_fd >= 0)
		close(c->copy_fd);
	if (c->sum_fd >= 0)
		close(c->sum_fd);
	if (c->dirfd >= 0)
		close(c->dirfd);
	free(c->orphans);
	free(c->replayed);
	free(c->path);
	pthread_cond_destroy(&c->wake);
	pthread_cond_destroy(&c->room);
	pthread_cond_destroy(&c->synced);
	pthread_mutex_destroy(&c->lock);
	pthread_mutex_destroy(&c->spare_lock);
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
	if (rc < 0)
		return rc;
	rc = volatile_settle(c, err);
	if (rc < 0)
		return rc;
	spare_begin(c);
	return open_owned(c, err);
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
	rc = read_inos(c);
	if (rc < 0)
		return err_errno(err, -rc, "cannot read the catalog");
	*ret_catalog = steal_ptr(&c);
	return 0;
}

/*
 * Blocks that were kept for later are given back; the journals hold nothing that counts. But on a file system
 * that is nearly full somebody else would take them, and the next owner could not delete.
 */
static void give_back_space(struct catalog *c, int *ret_fd)
{
	bool tight = space_is_tight(c);
	struct stat st;

	for (unsigned int i = 0; i < N_JOURNALS && !tight; i++)
		journal_reset(&c->journals[i], c->applied, JOURNAL_HEADER_SIZE);
	compact_if_worth(c, COMPACT_CLOSE_BYTES);
	*ret_fd = sys_openat(c->dirfd, CATALOG_FILE, O_RDWR | O_NOFOLLOW, 0);
	/* Cutting a file at its end frees what is allocated behind it. */
	if (*ret_fd >= 0 && !tight && sys_fstat(*ret_fd, &st) == 0)
		sys_ftruncate(*ret_fd, st.st_size);
}

static int leave_sum(struct catalog *c, int fd)
{
	if (c->has_sum || c->is_behind || c->sum_fd < 0)
		return 0;
	return sum_write(c->sum_fd, c->mirror != NULL ? mirror_fd(c->mirror) : fd);
}

/* What is committed goes to LMDB; where that fails the journal still has it. */
static void close_owned(struct catalog *c)
{
	CLEANUP(fd) int fd = -1;
	int rc;

	c->closing = true;
	rc = checkpoint(c, true);
	if (rc < 0) {
		log_error(
			"the last checkpoint of the catalog failed (%s); its journal holds everything",
			strerror(-rc));
		return;
	}
	spare_close(c);
	give_back_space(c, &fd);
	forget_compaction(c);
	rc = fd < 0 ? fd : leave_sum(c, fd);
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
