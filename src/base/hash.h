/* SPDX-License-Identifier: Apache-2.0 */
/* XXH3 under names of our own: the only place that knows xxhash.h. */
#ifndef PLYFS_BASE_HASH_H
#define PLYFS_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

struct hash128 {
	uint64_t low, high;
};

/* XXH3-64 with a seed: hash tables, record checksums. */
uint64_t hash64(const void *p, size_t len, uint64_t seed);

/* The same of a number, such as an inode's: the key of a hash table. */
static inline uint64_t hash_number(uint64_t n)
{
	return hash64(&n, sizeof(n), 0);
}

/* XXH3-128: identities of layers, trees and contents. */
struct hash128 hash128(const void *p, size_t len);

/* The same of bytes that come in pieces: begin, add any number of times, end. */
struct hash128_stream {
	_Alignas(64) unsigned char state[576];
};
void hash128_begin(struct hash128_stream *s);
void hash128_add(struct hash128_stream *s, const void *p, size_t len);
struct hash128 hash128_end(const struct hash128_stream *s);

#endif
