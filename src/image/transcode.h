/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compressing a blob anew, in frames short enough for random access. For what has no points at useful
 * places: zstd in one frame, gzip in one enormous block.
 */
#ifndef PLYFS_IMAGE_TRANSCODE_H
#define PLYFS_IMAGE_TRANSCODE_H

#include "base/err.h"
#include "image/blob.h"
#include "image/digest.h"
#include "image/points.h"
#include "image/scan.h"

struct transcode_result {
	struct digest diff_id; /* of the uncompressed bytes: to be compared with the scan's */
	uint64_t blob_size;    /* written */
	uint64_t size;	       /* uncompressed */
};

/*
 * Writes B's uncompressed bytes to FD, from its offset 0, as frames of zstd of OPTIONS->span bytes each
 * (default 512 KiB) with the table of frames at the end that zstd's seekable format has, so that
 * other tools can use the file too. RET_POINTS, empty before, gets the points of the file, which
 * decoded_open() takes with COMPRESSION_ZSTD. Limits, progress, cancelling and failures are those of
 * scan_layer(); also those of writing. The caller syncs, and removes the file after a failure.
 */
int transcode(struct blob *b, const struct scan_options *options, int fd, struct points *ret_points,
	      struct transcode_result *ret_result, struct err *e);

#endif
