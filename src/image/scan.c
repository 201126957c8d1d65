/* SPDX-License-Identifier: Apache-2.0 */
#include "image/scan.h"

#include <string.h>

#include "base/hash.h"
#include "image/scan_options.h"
#include "image/stream.h"
#include "image/window.h"

#define DEFAULT_SPAN (512u << 10)

struct scan {
	struct scan_options options; /* with the defaults filled in */
	struct scan_sink sink;
	struct blob *blob; /* borrowed, as is */
	struct scan_result *result;
	struct digester stored, plain; /* bytes as stored, and uncompressed */
	struct tar_parser *tar;
	struct stream *stream;
	uint64_t told; /* of the progress: bytes as stored */

	bool in_span; /* POINT began, and CHECK has what followed */
	struct point point;
	struct hash128_stream check;
	uint8_t window[POINT_WINDOW_MAX];
	struct window_packer packer;
};

static void scan_done(struct scan *s)
{
	digester_done(&s->stored);
	digester_done(&s->plain);
	if (s->tar != NULL)
		tar_parser_free(s->tar);
	if (s->stream != NULL)
		stream_close(s->stream);
	window_packer_done(&s->packer);
}
DEFINE_CLEANUP(struct scan, scan, scan_done)

/* ---- what the parts tell ---------------------------------------------------------------- */

static void on_input(void *arg, const void *p, size_t len)
{
	struct scan *s = arg;

	digester_add(&s->stored, p, len);
	s->result->blob_size += len;
}

static void on_tar_warning(void *arg, const char *path, const char *text)
{
	struct scan *s = arg;

	s->result->warnings++;
	if (s->sink.tar.warn != NULL)
		s->sink.tar.warn(s->sink.tar.arg, path, text);
}

static void on_stream_warning(void *arg, const char *text)
{
	on_tar_warning(arg, "", text);
}

static int on_member(void *arg, const struct tar_member *m)
{
	struct scan *s = arg;

	return s->sink.tar.member(s->sink.tar.arg, m);
}

/* ---- points ----------------------------------------------------------------------------- */

/* The span under way ends where the next one begins, at IN of the blob. */
static int end_span(struct scan *s, uint64_t in)
{
	if (!s->in_span)
		return 0;
	s->in_span = false;
	s->point.in_len = in - s->point.in;
	s->point.out_len = s->result->size - s->point.out;
	s->point.check = hash128_end(&s->check).low;
	s->result->points++;
	if (s->point.out_len > s->result->max_span)
		s->result->max_span = s->point.out_len;
	return s->sink.point != NULL ? s->sink.point(s->sink.point_arg, &s->point) : 0;
}

static int begin_span(struct scan *s, const struct restart *at)
{
	int r = end_span(s, at->in);

	if (r < 0)
		return r;
	s->in_span = true;
	s->point = (struct point){
		.kind = s->result->compression,
		.out = s->result->size,
		.in = at->in,
		.bits = at->bits,
	};
	hash128_begin(&s->check);
	if (s->sink.point == NULL)
		return 0;
	return window_pack(&s->packer, s->blob, s->window, stream_window(s->stream, s->window),
			   &s->point);
}

/* ---- the pass --------------------------------------------------------------------------- */

static int take_piece(struct scan *s, const struct stream_piece *piece, struct err *e)
{
	int r;

	digester_add(&s->plain, piece->data, piece->len);
	if (s->in_span)
		hash128_add(&s->check, piece->data, piece->len);
	s->result->size += piece->len;
	r = scan_options_check(&s->options, s->result->size, s->result->blob_size, e);
	if (r == 0)
		r = tar_parser_feed(s->tar, piece->data, piece->len, e);
	if (r < 0 || !piece->restart)
		return r;
	r = begin_span(s, &piece->at);
	return r < 0 ? err_errno(e, -r, "keeping a point for reading") : 0;
}

static int whole_pass(struct scan *s, struct err *e)
{
	struct stream_piece piece;
	int r;

	for (;;) {
		r = stream_next(s->stream, &piece, e);
		if (r < 0)
			return r;
		if (piece.end)
			break;
		r = take_piece(s, &piece, e);
		if (r < 0)
			return r;
		scan_options_tell(&s->options, s->result->blob_size, s->blob->size, &s->told);
	}
	r = end_span(s, s->blob->size);
	if (r < 0)
		return err_errno(e, -r, "keeping a point for reading");
	return tar_parser_end(s->tar, e);
}

static int begin(struct scan *s, struct err *e)
{
	struct tar_sink tar = {.member = on_member, .warn = on_tar_warning, .arg = s};
	struct stream_options stream = {
		.span = s->options.span,
		.window_log = s->options.window_log,
		.input = on_input,
		.warn = on_stream_warning,
		.arg = s,
	};
	int r = compression_detect(s->blob, &s->result->compression);

	if (r < 0)
		return err_errno(e, -r, "reading it");
	r = digester_begin(&s->stored, s->options.blob_alg);
	if (r == 0)
		r = digester_begin(&s->plain, s->options.diff_alg);
	if (r == 0)
		r = tar_parser_new(&s->options.tar, &tar, &s->tar);
	if (r < 0)
		return err_errno(e, -r, "preparing to read it");
	return stream_open(s->blob, s->result->compression, &stream, &s->stream, e);
}

int scan_layer(struct blob *b, const struct scan_options *options, const struct scan_sink *sink,
	       struct scan_result *ret_result, struct err *e)
{
	struct scan_result result = {0};
	CLEANUP(scan) struct scan s = {.sink = *sink, .blob = b, .result = &result};
	int r;

	s.options = scan_options_full(options, DEFAULT_SPAN);
	r = begin(&s, e);
	if (r == 0)
		r = whole_pass(&s, e);
	if (r < 0)
		return r;
	result.frames = s.stream->frames;
	result.members = tar_parser_members(s.tar);
	r = digester_end(&s.stored, &result.blob_digest);
	if (r == 0)
		r = digester_end(&s.plain, &result.diff_id);
	if (r < 0)
		return err_errno(e, -r, "computing its digest");
	*ret_result = result;
	return 0;
}
