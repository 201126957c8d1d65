/* SPDX-License-Identifier: Apache-2.0 */
#include "image/span.h"

#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "image/window.h"

#ifdef HAVE_ISAL
#include <isa-l/igzip_lib.h>
#endif

#define PIECE	     (128u << 10)
#define TRAILER_SIZE 8u /* of a member of gzip */

/* The compressed bytes of a span, a piece at a time. */
struct source {
	struct blob *b;
	uint64_t off, end;
	uint8_t *buf;
};

/* The next bytes: how many are in BUF now, 0 at the end, -errno. */
static ssize_t next_piece(struct source *s)
{
	uint64_t left = s->end - s->off;
	ssize_t n = blob_pread(s->b, s->buf, left < PIECE ? left : PIECE, s->off);

	if (n > 0)
		s->off += (uint64_t)n;
	return n;
}

/* ---- gzip ------------------------------------------------------------------------------- */

static void inflate_done(z_stream *z)
{
	inflateEnd(z);
}
DEFINE_CLEANUP(z_stream, inflate, inflate_done)

/* Puts Z where the scan's was at P. */
static int restore(z_stream *z, struct source *s, const struct point *p)
{
	if (p->bits > 0) {
		int r = blob_read_at(s->b, s->buf, 1, s->off - 1);

		if (r < 0)
			return r;
		inflatePrime(z, p->bits, s->buf[0] >> (8 - p->bits));
	}
	if (p->window_len > 0) {
		uint8_t window[POINT_WINDOW_MAX];
		int r = window_unpack(p, window);

		if (r < 0)
			return r;
		inflateSetDictionary(z, window, p->window_len);
	}
	return 0;
}

/* Takes up to N bytes of the input away. How many. */
static size_t pass(z_stream *z, size_t n)
{
	n = n < z->avail_in ? n : z->avail_in;
	z->next_in += n;
	z->avail_in -= (uInt)n;
	return n;
}

/* Deflate as it is to the end of the member, then whole members. */
static int inflate_all(z_stream *z, struct source *s)
{
	size_t trailer = 0; /* bytes of it still to be passed over */
	bool raw = true;

	while (z->avail_out > 0) {
		int r;

		if (z->avail_in == 0) {
			ssize_t n = next_piece(s);

			if (n <= 0)
				return n < 0 ? (int)n : -EIO;
			z->next_in = s->buf;
			z->avail_in = (uInt)n;
		}
		if (trailer > 0) {
			trailer -= pass(z, trailer);
			continue;
		}
		r = inflate(z, Z_NO_FLUSH);
		if (r == Z_STREAM_END) {
			trailer = raw ? TRAILER_SIZE : 0;
			raw = false;
			inflateReset2(z, 16 + MAX_WBITS);
		} else if (r != Z_OK && r != Z_BUF_ERROR) {
			return r == Z_MEM_ERROR ? -ENOMEM : -EIO;
		}
	}
	return 0;
}

#ifdef HAVE_ISAL
static int fast_restore(struct inflate_state *z, struct source *s, const struct point *p)
{
	uint8_t window[POINT_WINDOW_MAX];
	int r = p->bits > 0 ? blob_read_at(s->b, s->buf, 1, s->off - 1) : 0;

	if (r < 0)
		return r;
	if (p->bits > 0) {
		z->read_in = (uint64_t)s->buf[0] >> (8 - p->bits);
		z->read_in_length = p->bits;
	}
	if (p->window_len == 0)
		return 0;
	r = window_unpack(p, window);
	if (r == 0 && isal_inflate_set_dict(z, window, p->window_len) != ISAL_DECOMP_OK)
		r = -EIO;
	return r;
}

/*
 * The span at P by ISA-L: more than twice as fast, but only inside of one member. Anything but 0: it did not come to the end,
 * for whatever reason.
 */
static int decode_fast(struct source s, const struct point *p, uint8_t *out)
{
	/* It is 85 KiB. */
	CLEANUP(free) struct inflate_state *z = malloc(sizeof(*z));
	int r;

	if (z == NULL)
		return -ENOMEM;
	isal_inflate_init(z);
	z->crc_flag = ISAL_DEFLATE;
	r = fast_restore(z, &s, p);
	if (r < 0)
		return r;
	z->next_out = out;
	z->avail_out = (uint32_t)p->out_len;
	while (z->avail_out > 0) {
		ssize_t n = next_piece(&s);

		if (n <= 0)
			return n < 0 ? (int)n : -EIO;
		z->next_in = s.buf;
		z->avail_in = (uint32_t)n;
		r = isal_inflate(z);
		if (r < 0 || z->block_state == ISAL_BLOCK_FINISH)
			break;
	}
	return z->avail_out == 0 ? 0 : -EIO;
}
#else
static int decode_fast(struct source s, const struct point *p, uint8_t *out)
{
	(void)s;
	(void)p;
	(void)out;
	return -ENOTSUP;
}
#endif

static int decode_gzip(struct source *s, const struct point *p, uint8_t *out)
{
	CLEANUP(inflate) z_stream z = {0};
	int r;

	if (inflateInit2(&z, -MAX_WBITS) != Z_OK)
		return -ENOMEM;
	r = restore(&z, s, p);
	if (r < 0)
		return r;
	z.next_out = out;
	z.avail_out = (uInt)p->out_len;
	return inflate_all(&z, s);
}

/* ---- zstd ------------------------------------------------------------------------------- */

static void dctx_done(ZSTD_DCtx *d)
{
	ZSTD_freeDCtx(d);
}
DEFINE_CLEANUP_PTR(ZSTD_DCtx, dctx, dctx_done)

static int decode_zstd(struct source *s, const struct point *p, uint8_t *out)
{
	CLEANUP(dctx) ZSTD_DCtx *d = ZSTD_createDCtx();
	ZSTD_outBuffer o = {.dst = out, .size = p->out_len};

	if (d == NULL)
		return -ENOMEM;
	/* The scan has decided how large a window may be; a span is no longer than SPAN_MAX. */
	ZSTD_DCtx_setParameter(d, ZSTD_d_windowLogMax, 31);
	while (o.pos < o.size) {
		ssize_t n = next_piece(s);
		ZSTD_inBuffer in = {.src = s->buf, .size = n > 0 ? (size_t)n : 0};

		if (n <= 0)
			return n < 0 ? (int)n : -EIO;
		while (in.pos < in.size && o.pos < o.size)
			if (ZSTD_isError(ZSTD_decompressStream(d, &o, &in)))
				return -EIO;
	}
	return 0;
}

/* ---- both ------------------------------------------------------------------------------- */

/* BUF is the caller's to free, also after a failure. */
static int begin(struct blob *b, const struct point *p, struct source *ret_s)
{
	*ret_s = (struct source){.b = b, .off = p->in, .end = p->in + p->in_len};
	if (p->out_len > SPAN_MAX)
		return -EFBIG;
	ret_s->buf = malloc(PIECE);
	return ret_s->buf != NULL ? 0 : -ENOMEM;
}

int span_decode_fast(struct blob *b, const struct point *p, uint8_t *out)
{
	struct source s;
	int r = p->kind == COMPRESSION_GZIP ? begin(b, p, &s) : -ENOTSUP;

	if (r < 0)
		return r;
	r = decode_fast(s, p, out);
	free(s.buf);
	/* What it makes of the bytes has to be what the scan saw, as with zlib. */
	return r == 0 && span_check(out, p->out_len) != p->check ? -EIO : r;
}

int span_decode_plain(struct blob *b, const struct point *p, uint8_t *out)
{
	struct source s;
	int r = begin(b, p, &s);

	if (r < 0)
		return r;
	r = p->kind == COMPRESSION_GZIP ? decode_gzip(&s, p, out) : decode_zstd(&s, p, out);
	free(s.buf);
	return r == 0 && span_check(out, p->out_len) != p->check ? -EIO : r;
}

int span_decode(struct blob *b, const struct point *p, uint8_t *out)
{
	return span_decode_fast(b, p, out) == 0 ? 0 : span_decode_plain(b, p, out);
}
