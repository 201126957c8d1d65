/* SPDX-License-Identifier: Apache-2.0 */
#include "image/transcode.h"

#include <string.h>
#include <zstd.h>

#include "base/sys.h"
#include "image/scan_options.h"
#include "image/stream.h"

#define DEFAULT_FRAME (512u << 10)
#define LEVEL	      3

/* The table at the end, zstd's contrib/seekable_format: a skippable frame with a footer. */
#define TABLE_MAGIC  0x184d2a5eu
#define FOOTER_MAGIC 0x8f92eab1u

struct transcoder {
	struct scan_options options;
	struct blob *blob; /* borrowed, as is what follows */
	struct points *points;
	struct transcode_result *result;
	int fd;
	uint64_t stored, told; /* bytes read, and those when the progress was told */

	struct digester plain;
	struct stream *stream;
	ZSTD_CCtx *zstd;
	uint8_t *frame,
		*packed; /* owned: a frame under way, of options.span bytes, and compressed */
	size_t len, cap; /* full of the one, room of the other */
	struct buf table;
};

static void transcoder_done(struct transcoder *t)
{
	digester_done(&t->plain);
	if (t->stream != NULL)
		stream_close(t->stream);
	ZSTD_freeCCtx(t->zstd);
	free(t->frame);
	free(t->packed);
	buf_done(&t->table);
}
DEFINE_CLEANUP(struct transcoder, transcoder, transcoder_done)

static void on_input(void *arg, const void *p, size_t len)
{
	(void)p;
	((struct transcoder *)arg)->stored += len;
}

static int write_out(struct transcoder *t, const void *p, size_t len, struct err *e)
{
	int r = sys_pwrite_full(t->fd, p, len, (off_t)t->result->blob_size);

	if (r < 0)
		return err_errno(e, -r, "writing it decompressed into the cache");
	t->result->blob_size += len;
	return 0;
}

/* Compresses what is in FRAME, and writes it. */
static int end_frame(struct transcoder *t, struct err *e)
{
	struct point p = {
		.kind = COMPRESSION_ZSTD,
		.out = t->result->size,
		.out_len = t->len,
		.in = t->result->blob_size,
		.check = span_check(t->frame, t->len),
	};
	size_t n = ZSTD_compressCCtx(t->zstd, t->packed, t->cap, t->frame, t->len, LEVEL);
	int r;

	if (ZSTD_isError(n))
		return err_set(e, ENOMEM, "compressing it anew: %s", ZSTD_getErrorName(n));
	p.in_len = n;
	buf_put_u32(&t->table, (uint32_t)n);
	buf_put_u32(&t->table, (uint32_t)t->len);
	r = points_add(t->points, &p);
	if (r < 0 || !buf_ok(&t->table))
		return err_errno(e, ENOMEM, "compressing it anew");
	t->result->size += t->len;
	t->len = 0;
	return write_out(t, t->packed, n, e);
}

static int take_bytes(struct transcoder *t, const uint8_t *p, size_t len, struct err *e)
{
	int r = scan_options_check(&t->options, t->result->size + t->len + len, t->stored, e);

	digester_add(&t->plain, p, len);
	while (r == 0 && len > 0) {
		size_t room = t->options.span - t->len, n = room < len ? room : len;

		memcpy(t->frame + t->len, p, n);
		t->len += n;
		p += n;
		len -= n;
		if (t->len == t->options.span)
			r = end_frame(t, e);
	}
	return r;
}

static int all_frames(struct transcoder *t, struct err *e)
{
	struct stream_piece piece;
	int r;

	do {
		r = stream_next(t->stream, &piece, e);
		if (r == 0)
			r = take_bytes(t, piece.data, piece.len, e);
		if (r < 0)
			return r;
		scan_options_tell(&t->options, t->stored, t->blob->size, &t->told);
	} while (!piece.end);
	return t->len > 0 ? end_frame(t, e) : 0;
}

static int write_table(struct transcoder *t, struct err *e)
{
	CLEANUP(buf) struct buf b = {0};

	if (t->points->n > UINT32_MAX / 8 - 2) /* no such table; we do not need it */
		return 0;
	buf_put_u32(&b, TABLE_MAGIC);
	buf_put_u32(&b, (uint32_t)t->table.len + 9);
	buf_put(&b, t->table.data, t->table.len);
	buf_put_u32(&b, (uint32_t)t->points->n);
	buf_put_u8(&b, 0); /* no checksums: the points have better ones */
	buf_put_u32(&b, FOOTER_MAGIC);
	if (!buf_ok(&b))
		return err_errno(e, ENOMEM, "compressing it anew");
	return write_out(t, b.data, b.len, e);
}

static int begin(struct transcoder *t, struct err *e)
{
	struct stream_options stream = {
		.span = UINT64_MAX,
		.window_log = t->options.window_log,
		.input = on_input,
		.arg = t,
	};
	enum compression c;
	int r = compression_detect(t->blob, &c);

	if (r < 0)
		return err_errno(e, -r, "reading it");
	if (t->options.span > SPAN_MAX)
		t->options.span = SPAN_MAX;
	t->cap = ZSTD_compressBound(t->options.span);
	t->frame = malloc(t->options.span);
	t->packed = malloc(t->cap);
	t->zstd = ZSTD_createCCtx();
	if (t->frame == NULL || t->packed == NULL || t->zstd == NULL)
		return err_errno(e, ENOMEM, "compressing it anew");
	r = digester_begin(&t->plain, t->options.diff_alg);
	if (r < 0)
		return err_errno(e, -r, "computing its digest");
	return stream_open(t->blob, c, &stream, &t->stream, e);
}

int transcode(struct blob *b, const struct scan_options *options, int fd, struct points *ret_points,
	      struct transcode_result *ret_result, struct err *e)
{
	struct transcode_result result = {0};
	CLEANUP(points) struct points points = {0};
	CLEANUP(transcoder)
	struct transcoder t = {
		.options = scan_options_full(options, DEFAULT_FRAME),
		.blob = b,
		.points = &points,
		.result = &result,
		.fd = fd,
	};
	int r = begin(&t, e);

	if (r == 0)
		r = all_frames(&t, e);
	if (r == 0)
		r = write_table(&t, e);
	if (r < 0)
		return r;
	r = digester_end(&t.plain, &result.diff_id);
	if (r < 0)
		return err_errno(e, -r, "computing its digest");
	*ret_points = points;
	points = (struct points){0};
	*ret_result = result;
	return 0;
}
