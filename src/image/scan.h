/* SPDX-License-Identifier: Apache-2.0 */
/* One pass over a layer: its digests, its members, the points for reading it later. */
#ifndef PLYFS_IMAGE_SCAN_H
#define PLYFS_IMAGE_SCAN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "image/blob.h"
#include "image/compression.h"
#include "image/digest.h"
#include "image/points.h"
#include "image/tar.h"

/* Zeroed memory is the defaults. */
struct scan_options {
	struct tar_limits tar;
	uint64_t span;	     /* uncompressed bytes between points, at least; default 512 KiB */
	uint64_t max_bytes;  /* uncompressed; default 1 TiB */
	uint64_t max_ratio;  /* uncompressed : compressed, beyond the first GiB; default 20000 */
	unsigned window_log; /* of zstd's windows, 2^; default 27, which is 128 MiB */
	enum digest_alg blob_alg, diff_alg; /* default SHA-256 */
	/* Called about every MiB of compressed bytes: DONE of TOTAL are read. */
	void (*progress)(void *arg, uint64_t done, uint64_t total);
	void *progress_arg;
	const atomic_bool *cancel; /* optional: once true, the scan ends with -ECANCELED */
};

/* Called in the thread of scan_layer(), members and points each in the order of the archive. */
struct scan_sink {
	struct tar_sink tar; /* warn() also gets what is odd about the compression */
	/* Optional. The point and its window are valid during the call. < 0 ends the scan. */
	int (*point)(void *arg, const struct point *p);
	void *point_arg;
};

struct scan_result {
	enum compression compression;
	struct digest blob_digest; /* of the bytes as stored */
	struct digest diff_id;	   /* of the uncompressed bytes, to the last one */
	uint64_t blob_size, size;  /* as stored, uncompressed */
	uint64_t frames;	   /* members of gzip, frames of zstd; 0 uncompressed */
	uint64_t points;
	uint64_t max_span; /* the longest; above SPAN_MAX the blob must be transcoded to be read */
	uint64_t members;
	uint64_t warnings;
};

/*
 * Reads all of B, a tar as it is or compressed with gzip or zstd. OPTIONS may be NULL. The sentences
 * do not name the layer: the caller wraps them. -EBADMSG: broken; -EOPNOTSUPP: compressed in a way
 * that cannot be read; -E2BIG: beyond a limit; -ECANCELED; of reading; the sink's.
 */
int scan_layer(struct blob *b, const struct scan_options *options, const struct scan_sink *sink,
	       struct scan_result *ret_result, struct err *e);

#endif
