/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What it costs to scan a layer and to read it at random:
 *
 *     layer scan FILE       one pass, without keeping anything
 *     layer index FILE      the same, with the points; prints their share of the size, too
 *     layer random FILE N   scans, then reads N times 4 KiB, each from a span not decoded before
 *     layer read FILE       scans, then reads all from first to last
 *
 * Prints the milliseconds it took, and of random those of one read. Run by scripts/bench-layer.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "image/decoded.h"
#include "image/scan.h"

#define PIECE (128u << 10) /* what the kernel asks for */

static struct blob *blob;
static struct points points;
static struct scan_result result;
static char piece[PIECE];

static void fail(const char *what)
{
	fprintf(stderr, "layer: %s\n", what);
	exit(1);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int pass_over(void *arg, const struct tar_member *m)
{
	(void)arg;
	(void)m;
	return 0;
}

static int keep_point(void *arg, const struct point *p)
{
	(void)arg;
	return points_add(&points, p);
}

static void scan(bool with_points)
{
	CLEANUP(err) struct err e = {0};
	struct scan_sink sink = {.tar = {.member = pass_over}};

	if (with_points)
		sink.point = keep_point;
	if (scan_layer(blob, NULL, &sink, &result, &e) < 0)
		fail(err_text(&e));
}

static struct blob *open_decoded(void)
{
	struct blob *b;

	scan(true);
	if (result.compression == COMPRESSION_NONE)
		return blob;
	if (decoded_open(blob, result.compression, &points, result.size, &b) < 0)
		fail("it has to be transcoded first");
	return b;
}

static double read_random(struct blob *b, unsigned n)
{
	uint64_t x = 1;
	double start;

	decoded_keep(0);
	start = now();
	for (unsigned i = 0; i < n; i++) {
		x = x * 6364136223846793005u + 1442695040888963407u;
		if (blob_pread(b, piece, 4096, (x >> 16) % result.size) < 0)
			fail("reading");
	}
	return (now() - start) / n;
}

static double read_all(struct blob *b)
{
	double start = now();

	for (uint64_t off = 0; off < result.size; off += PIECE)
		if (blob_pread(b, piece, PIECE, off) < 0)
			fail("reading");
	return now() - start;
}

static void print_index(double took)
{
	CLEANUP(buf) struct buf b = {0};

	for (size_t i = 0; i < points.n; i++)
		point_encode(&points.at[i], &b);
	printf("%.0f  %llu points, %.3f %% of %llu bytes\n", took,
	       (unsigned long long)result.points, 100.0 * (double)b.len / (double)result.size,
	       (unsigned long long)result.size);
}

int main(int argc, char **argv)
{
	double start;

	if (argc < 3)
		fail("see the head of layer.c");
	if (blob_open_file(AT_FDCWD, argv[2], 0, &blob) < 0)
		fail("no such file");
	start = now();
	if (strcmp(argv[1], "scan") == 0) {
		scan(false);
		printf("%.0f\n", now() - start);
	} else if (strcmp(argv[1], "index") == 0) {
		scan(true);
		print_index(now() - start);
	} else if (strcmp(argv[1], "random") == 0 && argc > 3) {
		printf("%.2f\n", read_random(open_decoded(), (unsigned)atoi(argv[3])));
	} else if (strcmp(argv[1], "read") == 0) {
		printf("%.0f\n", read_all(open_decoded()));
	} else {
		fail("see the head of layer.c");
	}
	return 0;
}
