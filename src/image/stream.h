/* SPDX-License-Identifier: Apache-2.0 */
/* A blob's uncompressed bytes from first to last, and where one could start again. */
#ifndef PLYFS_IMAGE_STREAM_H
#define PLYFS_IMAGE_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "image/blob.h"
#include "image/compression.h"

/* How much is read, and how much is decompressed, at a time. */
#define STREAM_IN  (256u << 10)
#define STREAM_OUT (256u << 10)

/* A place where decompressing can start. */
struct restart {
	uint64_t in;  /* the first whole byte */
	uint8_t bits; /* gzip: high bits of the byte before it that are to be read first */
};

/* What stream_next() gives. */
struct stream_piece {
	const uint8_t *data; /* LEN bytes, valid until the next call */
	size_t len;
	bool restart; /* right after these bytes is a place to start, */
	struct restart at;
	bool end; /* no more bytes, and none in this piece */
};

struct stream_options {
	uint64_t span;	     /* a restart at the beginning, then after at least so many bytes */
	unsigned window_log; /* of zstd */
	/* Gets all bytes of the blob as stored, in order. */
	void (*input)(void *arg, const void *p, size_t len);
	/* What is odd and can be read over. */
	void (*warn)(void *arg, const char *text);
	void *arg;
};

struct stream;

/* One kind of compression. */
struct stream_ops {
	int (*open)(struct stream *s, struct err *e);
	/*
	 * Decompresses into s->out from s->out_len until it is full, a restart is due or the input
	 * must be filled; 0 or -errno.
	 */
	int (*step)(struct stream *s, struct err *e);
	/* At the end of the input: whether the compressed data may end here. */
	bool (*may_end)(const struct stream *s);
	void (*close)(struct stream *s);
};

struct stream {
	const struct stream_ops *ops;
	void *state; /* the implementation's, owned */
	struct stream_options options;
	struct blob *blob; /* a reference */

	uint8_t *in; /* owned; STREAM_IN bytes, of which AT .. FILLED are yet to be read */
	size_t at, filled;
	uint64_t in_off; /* of the blob: the byte at AT */
	bool wants_more; /* the step needs more than what is left to go on */
	bool pending;	 /* the step may have output without more input */
	uint8_t *out;	 /* owned; STREAM_OUT bytes */
	size_t out_len;	 /* of them, full */
	uint64_t since;	 /* bytes since the last restart */
	bool begun;	 /* there was a restart */
	bool restart;	 /* there is one after the bytes of OUT */
	struct restart mark;
	uint64_t frames;
};

extern const struct stream_ops stream_gzip, stream_zstd;

/* B from its first byte. -EOPNOTSUPP for compressions that cannot be read, -ENOMEM. */
int stream_open(struct blob *b, enum compression c, const struct stream_options *options,
		struct stream **ret_s, struct err *e);
void stream_close(struct stream *s);
DEFINE_CLEANUP_PTR(struct stream, stream, stream_close)

/* -EBADMSG: broken; -E2BIG: a window larger than allowed; of reading. */
int stream_next(struct stream *s, struct stream_piece *ret_piece, struct err *e);

/* gzip: the last bytes before the restart just given, at most 32 KiB of them. */
size_t stream_window(struct stream *s, uint8_t *buf);

/* ---- for implementations ----------------------------------------------------------------- */

/* Notes a restart here when one is due; then the step has to return. */
bool stream_mark(struct stream *s, struct restart at);

/* N bytes of the input were read. */
static inline void stream_consume(struct stream *s, size_t n)
{
	s->at += n;
	s->in_off += n;
}

/* N bytes more are in OUT. */
static inline void stream_produce(struct stream *s, size_t n)
{
	s->out_len += n;
	s->since += n;
}

#endif
