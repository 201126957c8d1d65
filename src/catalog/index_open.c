/* SPDX-License-Identifier: Apache-2.0 */
/* Opening an index: its checksum, and where it must not be trusted a copy of it. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/sys.h"
#include "catalog/check.h"
#include "catalog/index_format.h"
#include "catalog/index_private.h"
#include "catalog/index_sum.h"
#include "catalog/private.h"
#include "catalog/store.h"

#define PIECE ((size_t)1 << 20)

int index_sum(int fd, uint64_t size, struct hash128 *ret_sum)
{
	CLEANUP(free) uint8_t *bytes = malloc(PIECE);
	struct hash128_stream s;

	if (bytes == NULL)
		return -ENOMEM;
	hash128_begin(&s);
	for (uint64_t off = 0; off < size;) {
		size_t want = size - off < PIECE ? (size_t)(size - off) : PIECE;
		ssize_t n = sys_pread_full(fd, bytes, want, (off_t)off);

		if (n < 0)
			return (int)n;
		if ((size_t)n < want)
			return -EUCLEAN;
		hash128_add(&s, bytes, want);
		off += want;
	}
	*ret_sum = hash128_end(&s);
	return 0;
}

static int damaged(struct err *err, const char *path, const char *why)
{
	return err_set(err, EUCLEAN, "the index %s is damaged: %s", path, why);
}

/* Reads the trailer: SIZE bytes of pages come before it. */
static int read_trailer(int fd, const char *path, uint8_t trailer[INDEX_TRAILER_SIZE],
			uint64_t *ret_size, struct err *err)
{
	struct stat st;
	ssize_t n;
	int rc = sys_fstat(fd, &st);

	if (rc < 0)
		return err_errno(err, -rc, "index %s", path);
	if (!S_ISREG(st.st_mode) || st.st_size < INDEX_TRAILER_SIZE)
		return damaged(err, path, "it is too short");
	*ret_size = (uint64_t)st.st_size - INDEX_TRAILER_SIZE;
	n = sys_pread_full(fd, trailer, INDEX_TRAILER_SIZE, (off_t)*ret_size);
	if (n < 0)
		return err_errno(err, (int)-n, "index %s", path);
	if (n < INDEX_TRAILER_SIZE || memcmp(trailer, INDEX_MAGIC, 8) != 0 ||
	    get_le64(trailer + INDEX_TRAILER_SUMMED) != hash64(trailer, INDEX_TRAILER_SUMMED, 0))
		return damaged(err, path, "its end is missing");
	if (get_le32(trailer + 8) != INDEX_VERSION)
		return err_set(err, EPROTONOSUPPORT, "the index %s has version %u, not %u", path,
			       get_le32(trailer + 8), INDEX_VERSION);
	if (get_le64(trailer + 16) != *ret_size || *ret_size == 0)
		return damaged(err, path, "it has another length than when it was made");
	return 0;
}

static int verify(int fd, const char *path, uint64_t *ret_size, struct err *err)
{
	uint8_t trailer[INDEX_TRAILER_SIZE];
	struct hash128 sum;
	int rc = read_trailer(fd, path, trailer, ret_size, err);

	if (rc < 0)
		return rc;
	rc = index_sum(fd, *ret_size, &sum);
	if (rc < 0)
		return err_errno(err, -rc, "index %s", path);
	if (sum.low != get_le64(trailer + 24) || sum.high != get_le64(trailer + 32))
		return damaged(err, path, "its checksum differs");
	return 0;
}

/* May the file change, or stop answering, while it is mapped? */
static bool is_foreign(int fd)
{
	struct stat st;

	return private_is_remote(fd) || sys_fstat(fd, &st) < 0 || st.st_uid != geteuid();
}

static int copy_all(int from, int to)
{
	CLEANUP(free) uint8_t *bytes = malloc(PIECE);
	ssize_t n = 1;
	off_t off = 0;

	if (bytes == NULL)
		return -ENOMEM;
	while (n > 0) {
		n = sys_pread_full(from, bytes, PIECE, off);
		if (n > 0) {
			int rc = sys_pwrite_full(to, bytes, (size_t)n, off);

			if (rc < 0)
				return rc;
			off += n;
		}
	}
	return (int)n;
}

/* A copy that only we have, whose pages are in order: a checksum is no proof against its author. */
static int take_copy(struct index_file *x, const char *path, struct err *err)
{
	CLEANUP(fd) int copy = memfd_create("plyfs-index", MFD_CLOEXEC);
	int rc = copy >= 0 ? copy_all(x->fd, copy) : -errno;

	if (rc < 0)
		return err_errno(err, -rc, "index %s", path);
	close(x->fd);
	x->fd = steal_fd(&copy);
	return 0;
}

static int check_pages(const struct index_file *x, const char *path, struct err *err)
{
	struct check_info info;
	const char *why;
	int rc = check_tree(x->fd, &info, &why);

	if (rc == -EUCLEAN)
		return damaged(err, path, why);
	return rc < 0 ? err_errno(err, -rc, "index %s", path) : 0;
}

/* The one read transaction. What LMDB finds out at its first use of a table it finds out here. */
static int open_table(struct index_file *x)
{
	int rc = mdb_txn_begin(x->env, NULL, MDB_RDONLY, &x->txn);

	if (rc == 0)
		rc = mdb_dbi_open(x->txn, INDEX_TABLE, 0, &x->dbi);
	return rc == MDB_NOTFOUND ? -EUCLEAN : store_errno(rc);
}

static int open_lmdb(struct index_file *x)
{
	char path[PRIVATE_PATH_MAX];
	int rc = mdb_env_create(&x->env);

	if (rc != 0)
		return store_errno(rc);
	private_path(x->fd, path);
	rc = mdb_env_set_mapsize(x->env, x->size);
	if (rc == 0)
		rc = mdb_env_set_maxdbs(x->env, 1);
	if (rc == 0)
		rc = mdb_env_open(
			x->env, path,
			MDB_RDONLY | MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOTLS | MDB_NORDAHEAD, 0);
	return rc != 0 ? store_errno(rc) : open_table(x);
}

int index_file_open(int fd, const char *path, struct index_file **ret_index, struct err *err)
{
	CLEANUP(fd) int own = fd;
	CLEANUP(index_file) struct index_file *x = calloc(1, sizeof(*x));
	bool foreign = is_foreign(fd);
	int rc;

	if (x == NULL)
		return err_set(err, ENOMEM, "out of memory");
	atomic_init(&x->refs, 1);
	x->fd = steal_fd(&own);
	pthread_mutex_init(&x->lock, NULL);
	rc = foreign ? take_copy(x, path, err) : 0;
	if (rc == 0)
		rc = verify(x->fd, path, &x->size, err);
	if (rc == 0 && foreign)
		rc = check_pages(x, path, err);
	if (rc < 0)
		return rc;
	rc = open_lmdb(x);
	if (rc < 0)
		return rc == -EUCLEAN ? damaged(err, path, "its table is missing")
				      : err_errno(err, -rc, "index %s", path);
	*ret_index = steal_ptr(&x);
	return 0;
}

struct index_file *index_file_ref(struct index_file *x)
{
	if (x != NULL)
		atomic_fetch_add_explicit(&x->refs, 1, memory_order_relaxed);
	return x;
}

void index_file_close(struct index_file *x)
{
	if (x == NULL || atomic_fetch_sub_explicit(&x->refs, 1, memory_order_acq_rel) > 1)
		return;
	if (x->txn != NULL)
		mdb_txn_abort(x->txn);
	if (x->env != NULL)
		mdb_env_close(x->env);
	if (x->fd >= 0)
		close(x->fd);
	pthread_mutex_destroy(&x->lock);
	free(x);
}

uint64_t index_file_size(const struct index_file *x)
{
	return x->size + INDEX_TRAILER_SIZE;
}
