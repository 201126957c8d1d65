/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a layer: what a scan has read can be read again at random, and is the same. */
#include <string.h>

#include "image/decoded.h"
#include "image/scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool truth)
{
	if (!truth)
		abort();
}

static int pass_over(void *arg, const struct tar_member *m)
{
	(void)arg;
	(void)m;
	return 0;
}

static int keep_point(void *arg, const struct point *p)
{
	return points_add(arg, p);
}

static void read_again(struct blob *b, struct points *points, const struct scan_result *result)
{
	CLEANUP(blob) struct blob *decoded = NULL;
	CLEANUP(free) uint8_t *bytes = malloc(result->size + 1);
	struct digest diff;

	must(bytes != NULL);
	must(decoded_open(b, result->compression, points, result->size, &decoded) == 0);
	/* From the middle, so that not all spans are decoded in order. */
	for (uint64_t from = result->size / 2, i = 0; i < 2; from = 0, i++) {
		uint64_t to = i == 0 ? result->size : result->size / 2;

		must(blob_read_at(decoded, bytes + from, to - from, from) == 0);
	}
	must(digest_of(DIGEST_SHA256, bytes, result->size, &diff) == 0);
	must(digest_equal(&diff, &result->diff_id));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct scan_options options = {.span = 64, .max_bytes = 1 << 20, .window_log = 20};
	CLEANUP(points) struct points points = {0};
	CLEANUP(blob) struct blob *b = NULL;
	CLEANUP(err) struct err e = {0};
	struct scan_sink sink = {
		.tar = {.member = pass_over},
		.point = keep_point,
		.point_arg = &points,
	};
	struct scan_result result;
	int r;

	must(blob_from_memory(data, size, &b) == 0);
	r = scan_layer(b, &options, &sink, &result, &e);
	must(r == 0 || e.text != NULL);
	if (r < 0 || result.compression == COMPRESSION_NONE)
		return 0;
	must(result.blob_size == size && result.points == points.n);
	read_again(b, &points, &result);
	return 0;
}
