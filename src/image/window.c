/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which bytes of a window are referred to? zlib does not say; but it copies them. The span's first
 * 32 KiB, and only they can refer to the window, are decompressed twice with made-up windows. Byte i
 * of the first is LOW(i), of the second HIGH(i), and the two differ for each i. Where both outputs
 * have the same byte it came from the compressed data; where they differ it came from the window, and
 * the pair says from which place.
 */
#include "image/window.h"

#include <string.h>
#include <zlib.h>
#include <zstd.h>

/* Compressed bytes that are looked at. When they do not hold 32 KiB, all of the window is kept. */
#define LOOK_IN	   (96u << 10)
#define ZSTD_LEVEL 3

/*
 * Pairs of different bytes, one for each i below 32768: the high byte counts, the low one is at a
 * distance of 1 .. 128 from it.
 */
static uint8_t high_of(size_t i)
{
	return (uint8_t)(i >> 7);
}

static uint8_t low_of(size_t i)
{
	return (uint8_t)(high_of(i) + 1 + (i & 127));
}

static size_t place_of(uint8_t low, uint8_t high)
{
	return (size_t)high << 7 | (uint8_t)(low - high - 1);
}

static bool allocate(struct window_packer *w)
{
	if (w->zstd != NULL)
		return true;
	window_packer_done(w); /* what a failure has left */
	w->in = malloc(LOOK_IN + 1);
	w->packed = malloc(ZSTD_compressBound(POINT_WINDOW_MAX));
	for (int k = 0; k < 2; k++) {
		z_stream *z = calloc(1, sizeof(*z));

		w->z[k] = z;
		w->out[k] = malloc(POINT_WINDOW_MAX);
		w->marks[k] = malloc(POINT_WINDOW_MAX);
		if (z == NULL || w->out[k] == NULL || w->marks[k] == NULL ||
		    inflateInit2(z, -MAX_WBITS) != Z_OK)
			return false;
	}
	for (size_t i = 0; i < POINT_WINDOW_MAX; i++) {
		w->marks[0][i] = low_of(i);
		w->marks[1][i] = high_of(i);
	}
	w->zstd = w->in != NULL && w->packed != NULL ? ZSTD_createCCtx() : NULL;
	return w->zstd != NULL;
}

void window_packer_done(struct window_packer *w)
{
	for (int k = 0; k < 2; k++) {
		if (w->z[k] != NULL)
			inflateEnd(w->z[k]);
		free(w->z[k]);
		free(w->out[k]);
		free(w->marks[k]);
	}
	free(w->in);
	ZSTD_freeCCtx(w->zstd);
	free(w->packed);
	*w = (struct window_packer){0};
}

/* Decompresses up to 32 KiB after the made-up window K. The bytes, or -1 when it cannot be told. */
static ssize_t look(struct window_packer *w, int k, size_t in_len, uint8_t bits, size_t window_len)
{
	z_stream *z = w->z[k];
	int r;

	inflateReset(z);
	if (bits > 0)
		inflatePrime(z, bits, w->in[0] >> (8 - bits));
	inflateSetDictionary(z, w->marks[k], (uInt)window_len);
	z->next_in = w->in + 1;
	z->avail_in = (uInt)in_len;
	z->next_out = w->out[k];
	z->avail_out = POINT_WINDOW_MAX;
	r = inflate(z, Z_SYNC_FLUSH);
	if (r != Z_STREAM_END && z->avail_out > 0)
		return -1;
	return POINT_WINDOW_MAX - z->avail_out;
}

/* Zeroes what nothing refers to. False when all of it has to stay; RET_USED: whether some has to. */
static bool thin_out(struct window_packer *w, struct blob *b, const struct point *p,
		     uint8_t *window, size_t len, bool *ret_used)
{
	uint8_t used[POINT_WINDOW_MAX] = {0};
	size_t front = p->bits > 0 ? 1 : 0;
	ssize_t in_len = blob_pread(b, w->in + 1 - front, LOOK_IN + front, p->in - front);
	ssize_t n;

	*ret_used = true;
	if (in_len < (ssize_t)front)
		return false;
	n = look(w, 0, (size_t)in_len - front, p->bits, len);
	if (n < 0 || look(w, 1, (size_t)in_len - front, p->bits, len) != n)
		return false;
	*ret_used = false;
	for (ssize_t i = 0; i < n; i++) {
		uint8_t low = w->out[0][i], high = w->out[1][i];

		if (low != high) {
			used[place_of(low, high) % POINT_WINDOW_MAX] = 1;
			*ret_used = true;
		}
	}
	for (size_t i = 0; i < len; i++)
		window[i] = used[i] ? window[i] : 0;
	return true;
}

int window_pack(struct window_packer *w, struct blob *b, uint8_t *window, size_t len,
		struct point *p)
{
	bool used = true;
	size_t n;

	p->window = NULL;
	p->window_len = 0;
	p->packed_len = 0;
	if (len == 0)
		return 0;
	if (!allocate(w))
		return -ENOMEM;
	thin_out(w, b, p, window, len, &used);
	if (!used)
		return 0;
	n = ZSTD_compressCCtx(w->zstd, w->packed, ZSTD_compressBound(POINT_WINDOW_MAX), window, len,
			      ZSTD_LEVEL);
	if (ZSTD_isError(n))
		return -ENOMEM;
	p->window = w->packed;
	p->window_len = (uint32_t)len;
	p->packed_len = n;
	return 0;
}

int window_unpack(const struct point *p, uint8_t buf[static POINT_WINDOW_MAX])
{
	size_t n;

	if (p->window_len > POINT_WINDOW_MAX)
		return -EIO;
	n = ZSTD_decompress(buf, POINT_WINDOW_MAX, p->window, p->packed_len);
	return ZSTD_isError(n) || n != p->window_len ? -EIO : 0;
}
