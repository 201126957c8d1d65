/* SPDX-License-Identifier: Apache-2.0 */
/* gzip, of one or many members (RFC 1952), with places to start between blocks of deflate. */
#include <string.h>
#include <zlib.h>

#include "image/points.h"
#include "image/stream.h"

#define GZIP_BITS (16 + MAX_WBITS) /* inflate() reads headers, and checks trailers, of gzip */

/* What inflate() says in data_type when it has stopped at the end of a block. */
#define AT_BOUNDARY 128
#define IN_LAST	    64
#define UNUSED_BITS 7

struct gzip {
	z_stream z;
	bool between; /* members */
	bool garbage; /* what follows the last member is none */
};

static int gzip_open(struct stream *s, struct err *e)
{
	struct gzip *g = calloc(1, sizeof(*g));

	if (g == NULL)
		return err_errno(e, ENOMEM, "decompressing");
	if (inflateInit2(&g->z, GZIP_BITS) != Z_OK) {
		free(g);
		return err_errno(e, ENOMEM, "decompressing");
	}
	s->state = g;
	return 0;
}

static void gzip_close(struct stream *s)
{
	struct gzip *g = s->state;

	if (g != NULL)
		inflateEnd(&g->z);
	free(g);
}

static bool gzip_may_end(const struct stream *s)
{
	return ((const struct gzip *)s->state)->between;
}

size_t stream_window(struct stream *s, uint8_t *buf)
{
	uInt len = 0;

	if (s->ops != &stream_gzip)
		return 0;
	inflateGetDictionary(&((struct gzip *)s->state)->z, buf, &len);
	return len;
}

/* Other programs too ignore what follows the last member; the digests have it. */
static void pass_garbage(struct stream *s)
{
	struct gzip *g = s->state;

	if (!g->garbage && s->options.warn != NULL)
		s->options.warn(s->options.arg, "something follows the compressed data");
	g->garbage = true;
	stream_consume(s, s->filled - s->at);
}

/* Between members: begins the next one. False when there is none in the input yet, or at all. */
static bool next_member(struct stream *s)
{
	struct gzip *g = s->state;
	size_t left = s->filled - s->at;

	if (!g->garbage && left == 1 && s->in_off + 1 < s->blob->size) {
		s->wants_more = true;
		return false;
	}
	if (g->garbage || left < 2 || s->in[s->at] != 0x1f || s->in[s->at + 1] != 0x8b) {
		pass_garbage(s);
		return false;
	}
	inflateReset(&g->z);
	g->between = false;
	return true;
}

static int step(struct stream *s, struct err *e)
{
	struct gzip *g = s->state;
	uInt in = (uInt)(s->filled - s->at), out = (uInt)(STREAM_OUT - s->out_len);
	int r;

	g->z.next_in = s->in + s->at;
	g->z.avail_in = in;
	g->z.next_out = s->out + s->out_len;
	g->z.avail_out = out;
	r = inflate(&g->z, Z_BLOCK);
	stream_consume(s, in - g->z.avail_in);
	stream_produce(s, out - g->z.avail_out);
	if (r == Z_STREAM_END) {
		g->between = true;
		s->frames++;
		return 0;
	}
	if (r == Z_MEM_ERROR)
		return err_errno(e, ENOMEM, "decompressing");
	if (r != Z_OK && r != Z_BUF_ERROR)
		return err_set(e, EBADMSG, "its compressed data is broken before byte %llu: %s",
			       (unsigned long long)s->in_off,
			       g->z.msg != NULL ? g->z.msg : "a dictionary is missing");
	return 0;
}

static int gzip_step(struct stream *s, struct err *e)
{
	struct gzip *g = s->state;

	do {
		int r;

		if (g->between && (s->at == s->filled || !next_member(s)))
			return 0;
		r = step(s, e);
		if (r < 0)
			return r;
		if ((g->z.data_type & (AT_BOUNDARY | IN_LAST)) == AT_BOUNDARY && !g->between &&
		    stream_mark(s, (struct restart){.in = s->in_off,
						    .bits = g->z.data_type & UNUSED_BITS}))
			return 0;
	} while (s->at < s->filled && s->out_len < STREAM_OUT);
	return 0;
}

const struct stream_ops stream_gzip = {
	.open = gzip_open,
	.step = gzip_step,
	.may_end = gzip_may_end,
	.close = gzip_close,
};
