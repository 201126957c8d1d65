/* SPDX-License-Identifier: Apache-2.0 */
#include "image/digest.h"

#include <errno.h>
#include <string.h>

#include "image/libcrypto.h"

static const struct {
	const char *name;
	size_t size;
} algs[] = {
	[DIGEST_NONE] = {"none", 0},
	[DIGEST_SHA256] = {"sha256", 32},
	[DIGEST_SHA512] = {"sha512", 64},
};

size_t digest_size(enum digest_alg alg)
{
	return algs[alg].size;
}

const char *digest_alg_name(enum digest_alg alg)
{
	return algs[alg].name;
}

/* The value of a lower-case hexadecimal digit, or -1. */
static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

static int parse_hex(const char *hex, size_t size, uint8_t *ret_bytes)
{
	for (size_t i = 0; i < size; i++) {
		int high = digit(hex[2 * i]);
		int low = digit(hex[2 * i + 1]);

		if (high < 0 || low < 0)
			return -EINVAL;
		ret_bytes[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}

int digest_parse(const char *text, size_t len, struct digest *ret_d)
{
	for (enum digest_alg alg = DIGEST_SHA256; alg <= DIGEST_SHA512; alg++) {
		struct digest d = {.alg = alg};
		size_t name = strlen(algs[alg].name);

		if (len != name + 1 + 2 * algs[alg].size || text[name] != ':' ||
		    memcmp(text, algs[alg].name, name) != 0)
			continue;
		if (parse_hex(text + name + 1, algs[alg].size, d.bytes) < 0)
			return -EINVAL;
		*ret_d = d;
		return 0;
	}
	return -EINVAL;
}

const char *digest_hex(const struct digest *d, char buf[static DIGEST_TEXT_MAX])
{
	static const char digits[] = "0123456789abcdef";
	size_t size = digest_size(d->alg);

	for (size_t i = 0; i < size; i++) {
		buf[2 * i] = digits[d->bytes[i] >> 4];
		buf[2 * i + 1] = digits[d->bytes[i] & 15];
	}
	buf[2 * size] = '\0';
	return buf;
}

const char *digest_format(const struct digest *d, char buf[static DIGEST_TEXT_MAX])
{
	char hex[DIGEST_TEXT_MAX];
	size_t name = strlen(algs[d->alg].name);

	memcpy(buf, algs[d->alg].name, name + 1);
	if (d->alg == DIGEST_NONE)
		return buf;
	buf[name] = ':';
	memcpy(buf + name + 1, digest_hex(d, hex), 2 * digest_size(d->alg) + 1);
	return buf;
}

bool digest_equal(const struct digest *a, const struct digest *b)
{
	return a->alg != DIGEST_NONE && a->alg == b->alg &&
	       memcmp(a->bytes, b->bytes, digest_size(a->alg)) == 0;
}

int digest_of(enum digest_alg alg, const void *p, size_t len, struct digest *ret_d)
{
	CLEANUP(digester) struct digester g = {0};
	int r = digester_begin(&g, alg);

	if (r < 0)
		return r;
	digester_add(&g, p, len);
	return digester_end(&g, ret_d);
}

int digester_begin(struct digester *g, enum digest_alg alg)
{
	const EVP_MD *md;
	int r = alg == DIGEST_NONE ? -EINVAL : libcrypto_load();

	if (r < 0)
		return r;
	*g = (struct digester){.alg = alg, .state = libcrypto.MD_CTX_new()};
	if (g->state == NULL)
		return -ENOMEM;
	md = alg == DIGEST_SHA256 ? libcrypto.sha256() : libcrypto.sha512();
	if (libcrypto.DigestInit_ex(g->state, md, NULL) != 1) {
		digester_done(g);
		return -EIO; /* a library that has been told not to compute this */
	}
	return 0;
}

void digester_add(struct digester *g, const void *p, size_t len)
{
	if (g->failed == 0 && libcrypto.DigestUpdate(g->state, p, len) != 1)
		g->failed = -EIO;
}

int digester_end(struct digester *g, struct digest *ret_d)
{
	struct digest d = {.alg = g->alg};
	int r = g->failed;

	if (r == 0 && libcrypto.DigestFinal_ex(g->state, d.bytes, NULL) != 1)
		r = -EIO;
	if (r == 0)
		*ret_d = d;
	digester_done(g);
	return r;
}

void digester_done(struct digester *g)
{
	if (g->state != NULL)
		libcrypto.MD_CTX_free(g->state);
	*g = (struct digester){0};
}
