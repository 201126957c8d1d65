/* SPDX-License-Identifier: Apache-2.0 */
/* Archives that cannot be read at random as they are: a temporary file of their bytes. */
#include "image/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/sys.h"
#include "image/scan_options.h"
#include "image/source.h"
#include "image/stream.h"

#define WINDOW_LOG_MAX 27 /* 128 MiB: what zstd decodes without being asked twice */
#define EXPANSION_MAX                                                                              \
	200u /* of a whole archive, which gets a file: less than of a layer, which gets none */

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

static int copy_out(struct stream *s, int fd, const char *name, const struct image_options *options,
		    struct err *err)
{
	const struct scan_options limits =
		scan_options_full(&(struct scan_options){.max_ratio = EXPANSION_MAX}, 0);
	struct stream_piece piece = {0};
	uint64_t done = 0;

	while (!piece.end) {
		CLEANUP(err) struct err why = {0};
		int rc = stream_next(s, &piece, &why);

		if (rc == 0)
			rc = scan_options_check(&limits, done + piece.len, s->blob->size, &why);
		if (rc < 0)
			return err_set(err, -rc, "%s: %s", name, err_text(&why));
		rc = image_check_cancel(options, err);
		if (rc < 0)
			return rc;
		rc = sys_pwrite_full(fd, piece.data, piece.len, (off_t)done);
		if (rc < 0)
			return err_errno(err, -rc, "%s cannot be unpacked to a temporary file",
					 name);
		done += piece.len;
		if (options->progress != NULL)
			options->progress(options->progress_arg, "unpacking the archive", s->in_off,
					  s->blob->size);
	}
	return 0;
}

int unpack_to_file(struct blob *compressed, enum compression c, const char *name,
		   const struct image_options *options, struct blob **ret, struct err *err)
{
	const struct stream_options how = {.span = UINT64_MAX, .window_log = WINDOW_LOG_MAX};
	CLEANUP(stream) struct stream *s = NULL;
	CLEANUP(err) struct err why = {0};
	CLEANUP(fd) int fd = -1;
	int rc = stream_open(compressed, c, &how, &s, &why);

	if (rc < 0)
		return err_set(err, -rc, "%s: %s", name, err_text(&why));
	fd = temporary_file(name, err);
	rc = fd < 0 ? fd : copy_out(s, fd, name, options, err);
	if (rc < 0)
		return rc;
	rc = blob_of_fd(fd, ret);
	if (rc < 0)
		return err_errno(err, -rc, "%s", name);
	(void)steal_fd(&fd);
	return 0;
}
