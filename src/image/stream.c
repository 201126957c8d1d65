/* SPDX-License-Identifier: Apache-2.0 */
#include "image/stream.h"

#include <string.h>

/* ---- bytes as they are ------------------------------------------------------------------ */

static int plain_open(struct stream *s, struct err *e)
{
	(void)s;
	(void)e;
	return 0;
}

static int plain_step(struct stream *s, struct err *e)
{
	size_t n = s->filled - s->at;

	(void)e;
	n = n < STREAM_OUT - s->out_len ? n : STREAM_OUT - s->out_len;
	memcpy(s->out + s->out_len, s->in + s->at, n);
	stream_consume(s, n);
	stream_produce(s, n);
	return 0;
}

static bool plain_may_end(const struct stream *s)
{
	(void)s;
	return true;
}

static void plain_close(struct stream *s)
{
	(void)s;
}

static const struct stream_ops stream_plain = {
	.open = plain_open,
	.step = plain_step,
	.may_end = plain_may_end,
	.close = plain_close,
};

/* ---- all streams ------------------------------------------------------------------------ */

static const struct stream_ops *ops_of(enum compression c)
{
	switch (c) {
	case COMPRESSION_NONE:
		return &stream_plain;
	case COMPRESSION_GZIP:
		return &stream_gzip;
	case COMPRESSION_ZSTD:
		return &stream_zstd;
	default:
		return NULL;
	}
}

int stream_open(struct blob *b, enum compression c, const struct stream_options *options,
		struct stream **ret_s, struct err *e)
{
	CLEANUP(stream) struct stream *s = NULL;
	int r;

	if (ops_of(c) == NULL)
		return c == COMPRESSION_UNKNOWN
			       ? err_set(e, EBADMSG,
					 "neither a tar nor compressed with gzip or zstd")
			       : err_set(e, EOPNOTSUPP,
					 "compressed with %s, which is not read: only gzip and zstd are",
					 compression_name(c));
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return err_errno(e, ENOMEM, "decompressing");
	s->options = *options;
	s->blob = blob_ref(b);
	s->in = malloc(STREAM_IN);
	s->out = malloc(STREAM_OUT);
	if (s->in == NULL || s->out == NULL)
		return err_errno(e, ENOMEM, "decompressing");
	s->ops = ops_of(c);
	r = s->ops->open(s, e);
	if (r < 0)
		return r;
	*ret_s = steal_ptr(&s);
	return 0;
}

void stream_close(struct stream *s)
{
	if (s->ops != NULL)
		s->ops->close(s);
	blob_unref(s->blob);
	free(s->in);
	free(s->out);
	free(s);
}

/* Moves what is left to the front and reads on behind it. 1; 0 when there is no more. */
static int fill(struct stream *s, struct err *e)
{
	size_t left = s->filled - s->at;
	ssize_t n;

	memmove(s->in, s->in + s->at, left);
	s->at = 0;
	s->filled = left;
	n = blob_pread(s->blob, s->in + left, STREAM_IN - left, s->in_off + left);
	if (n < 0)
		return err_errno(e, (int)-n, "reading it");
	s->filled += (size_t)n;
	if (n > 0 && s->options.input != NULL)
		s->options.input(s->options.arg, s->in + left, (size_t)n);
	return n > 0;
}

bool stream_mark(struct stream *s, struct restart at)
{
	if (s->begun && s->since < s->options.span)
		return false;
	s->begun = true;
	s->since = 0;
	s->restart = true;
	s->mark = at;
	return true;
}

/* Sees to it that the step has something to do. 1; 0 at the end of the blob. */
static int prepare(struct stream *s, struct err *e)
{
	int r;

	if (s->pending || (s->at < s->filled && !s->wants_more))
		return 1;
	r = fill(s, e);
	if (r != 0 || s->at < s->filled)
		return r < 0 ? r : 1;
	return s->ops->may_end(s) ? 0 : err_set(e, EBADMSG, "its compressed data is cut off");
}

int stream_next(struct stream *s, struct stream_piece *ret_piece, struct err *e)
{
	bool end = false;

	s->out_len = 0;
	s->restart = false;
	while (s->out_len < STREAM_OUT && !s->restart && !end) {
		int r = prepare(s, e);

		end = r == 0;
		s->wants_more = false;
		if (r > 0)
			r = s->ops->step(s, e);
		if (r < 0)
			return r;
		/* With the output full, more may be held back that needs no input. */
		s->pending = s->out_len == STREAM_OUT;
	}
	*ret_piece = (struct stream_piece){
		.data = s->out,
		.len = s->out_len,
		.restart = s->restart,
		.at = s->mark,
		.end = end && s->out_len == 0,
	};
	return 0;
}
