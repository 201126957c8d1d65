/* SPDX-License-Identifier: Apache-2.0 */
/* Compressed archives: a decoder that goes forward, and a temporary file for what has to be read anywhere. */
#include "image/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "base/sys.h"
#include "image/source.h"

#define WINDOW_LOG_MAX 27 /* 128 MiB: what zstd decodes without being asked twice */
#define EXPANSION_MAX  200u
#define EXPANSION_FREE (UINT64_C(1) << 30)

struct unpack {
	struct blob *blob; /* owns a ref */
	const char *name;  /* borrowed */
	enum compression compression;
	z_stream gzip;
	bool gzip_begun;
	ZSTD_DStream *zstd; /* owned */
	uint64_t at;
	bool inside;	 /* of a gzip member or a zstd frame */
	size_t from, to; /* what of IN is not decoded yet */
	uint8_t in[65536];
};

void unpack_free(struct unpack *u)
{
	if (u == NULL)
		return;
	if (u->gzip_begun)
		inflateEnd(&u->gzip);
	ZSTD_freeDStream(u->zstd);
	blob_unref(u->blob);
	free(u);
}

uint64_t unpack_at(const struct unpack *u)
{
	return u->at - (u->to - u->from);
}

static int begin(struct unpack *u)
{
	if (u->compression == COMPRESSION_GZIP) {
		/* 16: a gzip header, and no zlib header. */
		if (inflateInit2(&u->gzip, 16 + MAX_WBITS) != Z_OK)
			return -ENOMEM;
		u->gzip_begun = true;
	}
	if (u->compression == COMPRESSION_ZSTD) {
		u->zstd = ZSTD_createDStream();
		if (u->zstd == NULL)
			return -ENOMEM;
		ZSTD_DCtx_setParameter(u->zstd, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
	}
	return 0;
}

int unpack_open(struct blob *compressed, enum compression c, const char *name, struct unpack **ret,
		struct err *err)
{
	CLEANUP(unpack) struct unpack *u = NULL;

	if (c != COMPRESSION_NONE && c != COMPRESSION_GZIP && c != COMPRESSION_ZSTD)
		return err_set(
			err, ENOTSUP,
			"%s is compressed with %s, which is not read; uncompress it, or use gzip or zstd",
			name, compression_name(c));
	u = calloc(1, sizeof(*u));
	if (u == NULL)
		return err_errno(err, ENOMEM, "%s", name);
	u->blob = blob_ref(compressed);
	u->name = name;
	u->compression = c;
	if (begin(u) < 0)
		return err_errno(err, ENOMEM, "%s", name);
	*ret = steal_ptr(&u);
	return 0;
}

/* More compressed bytes into IN, when there are none left. 0 or -errno; none at the end. */
static int refill(struct unpack *u, struct err *err)
{
	ssize_t n;

	if (u->from < u->to)
		return 0;
	n = blob_pread(u->blob, u->in, sizeof(u->in), u->at);
	if (n < 0)
		return err_errno(err, (int)-n, "%s", u->name);
	u->from = 0;
	u->to = (size_t)n;
	u->at += (uint64_t)n;
	return 0;
}

static int broken(const struct unpack *u, const char *why, struct err *err)
{
	return err_set(err, EBADMSG, "%s is damaged after %" PRIu64 " bytes: %s", u->name,
		       unpack_at(u), why);
}

/*
 * One step into BUF: how many bytes came out, which may be none. Members follow each other; zeros after the last
 * one are padding, as gzip(1) takes them.
 */
static ssize_t step_gzip(struct unpack *u, void *buf, size_t len, struct err *err)
{
	int status;

	if (!u->inside && unpack_at(u) > 0 && u->in[u->from] == 0) {
		u->from++;
		return 0;
	}
	u->gzip.next_in = u->in + u->from;
	u->gzip.avail_in = (uInt)(u->to - u->from);
	u->gzip.next_out = buf;
	u->gzip.avail_out = (uInt)len;
	status = inflate(&u->gzip, Z_NO_FLUSH);
	u->from = u->to - u->gzip.avail_in;
	u->inside = true;
	if (status == Z_STREAM_END) {
		inflateReset(&u->gzip);
		u->inside = false;
	} else if (status == Z_MEM_ERROR) {
		return err_errno(err, ENOMEM, "%s", u->name);
	} else if (status != Z_OK && status != Z_BUF_ERROR) {
		return broken(u, u->gzip.msg != NULL ? u->gzip.msg : "no gzip", err);
	}
	return (ssize_t)(len - u->gzip.avail_out);
}

static ssize_t step_zstd(struct unpack *u, void *buf, size_t len, struct err *err)
{
	ZSTD_inBuffer in = {u->in + u->from, u->to - u->from, 0};
	ZSTD_outBuffer out = {buf, len, 0};
	size_t left = ZSTD_decompressStream(u->zstd, &out, &in);

	u->from += in.pos;
	if (ZSTD_isError(left))
		return broken(u, ZSTD_getErrorName(left), err);
	u->inside = left > 0;
	return (ssize_t)out.pos;
}

static ssize_t step_none(struct unpack *u, void *buf, size_t len)
{
	size_t n = u->to - u->from < len ? u->to - u->from : len;

	memcpy(buf, u->in + u->from, n);
	u->from += n;
	return (ssize_t)n;
}

ssize_t unpack_read(struct unpack *u, void *buf, size_t len, struct err *err)
{
	ssize_t n = 0;

	if (len > INT32_MAX)
		len = INT32_MAX;
	while (n == 0) {
		int rc = refill(u, err);

		if (rc < 0)
			return rc;
		if (u->from == u->to)
			return u->inside ? broken(u, "it ends before its end", err) : 0;
		if (u->compression == COMPRESSION_GZIP)
			n = step_gzip(u, buf, len, err);
		else if (u->compression == COMPRESSION_ZSTD)
			n = step_zstd(u, buf, len, err);
		else
			n = step_none(u, buf, len);
	}
	return n;
}

/* ---- into a file ----------------------------------------------------------------------------- */

static int temporary_file(const char *name, struct err *err)
{
	const char *dir = getenv("TMPDIR");
	int fd;

	if (dir == NULL || *dir == '\0')
		dir = "/var/tmp";
	fd = sys_openat(AT_FDCWD, dir, O_TMPFILE | O_RDWR, 0600);
	if (fd == -EOPNOTSUPP || fd == -EISDIR) {
		char path[4096];

		snprintf(path, sizeof(path), "%s/plyfs-XXXXXX", dir);
		fd = mkostemp(path, O_CLOEXEC);
		if (fd < 0)
			fd = -errno;
		else
			unlink(path);
	}
	if (fd < 0)
		return err_errno(err, -fd,
				 "%s is compressed, and there is no temporary file for it in %s",
				 name, dir);
	return fd;
}

static uint64_t expansion_limit(const struct blob *compressed)
{
	uint64_t limit;

	if (__builtin_mul_overflow(compressed->size, (uint64_t)EXPANSION_MAX, &limit))
		limit = INT64_MAX;
	return limit > EXPANSION_FREE ? limit : EXPANSION_FREE;
}

static int copy_out(struct unpack *u, int fd, const struct image_options *options, struct err *err)
{
	const uint64_t limit = expansion_limit(u->blob);
	uint64_t done = 0;
	char buf[65536];

	for (;;) {
		ssize_t n = unpack_read(u, buf, sizeof(buf), err);
		int rc = n <= 0 ? (int)n : image_check_cancel(options, err);

		if (n <= 0 || rc < 0)
			return rc;
		if (done + (uint64_t)n > limit)
			return err_set(err, E2BIG,
				       "%s expands to more than %" PRIu64
				       " bytes, %u times its size, which "
				       "no image does",
				       u->name, limit, EXPANSION_MAX);
		rc = sys_pwrite_full(fd, buf, (size_t)n, (off_t)done);
		if (rc < 0)
			return err_errno(err, -rc, "%s cannot be unpacked to a temporary file",
					 u->name);
		done += (uint64_t)n;
		if (options->progress != NULL)
			options->progress(options->progress_arg, "unpacking the archive",
					  unpack_at(u), u->blob->size);
	}
}

int unpack_to_file(struct blob *compressed, enum compression c, const char *name,
		   const struct image_options *options, struct blob **ret, struct err *err)
{
	CLEANUP(unpack) struct unpack *u = NULL;
	CLEANUP(fd) int fd = -1;
	int rc = unpack_open(compressed, c, name, &u, err);

	if (rc < 0)
		return rc;
	fd = temporary_file(name, err);
	rc = fd < 0 ? fd : copy_out(u, fd, options, err);
	if (rc < 0)
		return rc;
	rc = blob_of_fd(fd, ret);
	if (rc < 0)
		return err_errno(err, -rc, "%s", name);
	(void)steal_fd(&fd);
	return 0;
}
