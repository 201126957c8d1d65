/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/indexed_key.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/sys.h"

#define PIECE ((size_t)1 << 20)

static void name_by_hash(const void *p, size_t len, char name[INDEXED_KEY_MAX])
{
	struct hash128 hash = hash128(p, len);

	snprintf(name, INDEXED_KEY_MAX, "file-%016" PRIx64 "%016" PRIx64 ".idx", hash.high,
		 hash.low);
}

/* -ENOENT: a place that the next mount will not find again. */
static int name_by_place(struct blob *b, char name[INDEXED_KEY_MAX])
{
	struct {
		uint64_t dev, ino, size, off, len;
		int64_t mtime, mtime_nsec, ctime, ctime_nsec;
	} id = {.len = b->size};
	struct stat st;
	int fd = blob_fd(b, &id.off), r;

	if (fd < 0)
		return fd == -EOPNOTSUPP ? -ENOENT : fd;
	r = sys_fstat(fd, &st);
	if (r < 0)
		return r;
	if (st.st_nlink == 0)
		return -ENOENT;
	id.dev = st.st_dev;
	id.ino = st.st_ino;
	id.size = (uint64_t)st.st_size;
	id.mtime = st.st_mtim.tv_sec;
	id.mtime_nsec = st.st_mtim.tv_nsec;
	id.ctime = st.st_ctim.tv_sec;
	id.ctime_nsec = st.st_ctim.tv_nsec;
	name_by_hash(&id, sizeof(id), name);
	return 0;
}

/* Without a DiffID: in its place, or if it has none by its digest. */
static int name_without(const struct indexed_source *s, char name[INDEXED_KEY_MAX])
{
	char text[DIGEST_TEXT_MAX];
	int r = name_by_place(s->blob, name);

	if (r != -ENOENT || s->digest->alg == DIGEST_NONE)
		return r;
	digest_format(s->digest, text);
	name_by_hash(text, strlen(text), name);
	return 0;
}

int indexed_key_of(const struct indexed_source *s, enum compression c, char name[INDEXED_KEY_MAX])
{
	char diff[DIGEST_TEXT_MAX], stored[DIGEST_TEXT_MAX];
	const char *alg = digest_alg_name(s->diff_id->alg);

	if (s->diff_id->alg == DIGEST_NONE ||
	    (c != COMPRESSION_NONE && s->digest->alg == DIGEST_NONE))
		return name_without(s, name);
	digest_hex(s->diff_id, diff);
	if (c == COMPRESSION_NONE)
		snprintf(name, INDEXED_KEY_MAX, "%s-%s.idx", alg, diff);
	else
		snprintf(name, INDEXED_KEY_MAX, "%s-%s.%.32s.idx", alg, diff,
			 digest_hex(s->digest, stored));
	return 0;
}

int indexed_key_digest(const struct indexed_source *s, const struct indexed_scan_options *options,
		       struct digest *ret_digest)
{
	CLEANUP(free) uint8_t *bytes = malloc(PIECE);
	CLEANUP(digester) struct digester g = {0};
	int r = bytes != NULL ? digester_begin(&g, DIGEST_SHA256) : -ENOMEM;

	for (uint64_t off = 0; r == 0 && off < s->blob->size;) {
		ssize_t n = blob_pread(s->blob, bytes, PIECE, off);

		if (n < 0)
			return (int)n;
		digester_add(&g, bytes, (size_t)n);
		off += (uint64_t)n;
		if (options->progress != NULL)
			options->progress(options->arg, s->name, off, s->blob->size);
		if (options->cancel != NULL && atomic_load(options->cancel))
			r = -ECANCELED;
	}
	return r < 0 ? r : digester_end(&g, ret_digest);
}

void indexed_key_resolved(const struct digest *chain, char name[INDEXED_KEY_MAX])
{
	char hex[DIGEST_TEXT_MAX];

	snprintf(name, INDEXED_KEY_MAX, "chain-%s-%s.idx", digest_alg_name(chain->alg),
		 digest_hex(chain, hex));
}
