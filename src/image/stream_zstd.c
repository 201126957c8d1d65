/* SPDX-License-Identifier: Apache-2.0 */
/* zstd, of one or many frames (RFC 8878), with places to start between frames. */
#include <zstd.h>
#include <zstd_errors.h>

#include "image/stream.h"

struct zstd {
	ZSTD_DCtx *d;
	bool inside; /* a frame */
};

static int zstd_open(struct stream *s, struct err *e)
{
	struct zstd *z = calloc(1, sizeof(*z));

	if (z == NULL)
		return err_errno(e, ENOMEM, "decompressing");
	s->state = z;
	z->d = ZSTD_createDCtx();
	if (z->d == NULL)
		return err_errno(e, ENOMEM, "decompressing");
	ZSTD_DCtx_setParameter(z->d, ZSTD_d_windowLogMax, (int)s->options.window_log);
	return 0;
}

static void zstd_close(struct stream *s)
{
	struct zstd *z = s->state;

	if (z != NULL)
		ZSTD_freeDCtx(z->d);
	free(z);
}

static bool zstd_may_end(const struct stream *s)
{
	return !((const struct zstd *)s->state)->inside;
}

static int zstd_failure(const struct stream *s, size_t code, struct err *e)
{
	switch (ZSTD_getErrorCode(code)) {
	case ZSTD_error_memory_allocation:
		return err_errno(e, ENOMEM, "decompressing");
	case ZSTD_error_frameParameter_windowTooLarge:
		return err_set(e, E2BIG,
			       "its compressed data needs a window of more than 2^%u bytes",
			       s->options.window_log);
	default:
		return err_set(e, EBADMSG, "its compressed data is broken after byte %llu: %s",
			       (unsigned long long)s->in_off, ZSTD_getErrorName(code));
	}
}

static int zstd_step(struct stream *s, struct err *e)
{
	struct zstd *z = s->state;
	ZSTD_inBuffer in = {.src = s->in + s->at, .size = s->filled - s->at};
	ZSTD_outBuffer out = {.dst = s->out + s->out_len, .size = STREAM_OUT - s->out_len};
	size_t left;

	if (!z->inside && in.size > 0 && stream_mark(s, (struct restart){.in = s->in_off}))
		return 0;
	left = ZSTD_decompressStream(z->d, &out, &in);
	if (ZSTD_isError(left))
		return zstd_failure(s, left, e);
	stream_consume(s, in.pos);
	stream_produce(s, out.pos);
	z->inside = left != 0;
	s->frames += left == 0;
	return 0;
}

const struct stream_ops stream_zstd = {
	.open = zstd_open,
	.step = zstd_step,
	.may_end = zstd_may_end,
	.close = zstd_close,
};
