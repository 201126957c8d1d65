/* SPDX-License-Identifier: Apache-2.0 */
/* XXH3 under names of our own. Inlined: most keys are short, and the call would cost as much. */
#include "base/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t hash64(const void *p, size_t len, uint64_t seed)
{
	return XXH3_64bits_withSeed(p, len, seed);
}

struct hash128 hash128(const void *p, size_t len)
{
	XXH128_hash_t h = XXH3_128bits(p, len);

	return (struct hash128){.low = h.low64, .high = h.high64};
}
