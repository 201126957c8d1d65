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

static XXH3_state_t *state_of(struct hash128_stream *s)
{
	_Static_assert(sizeof(XXH3_state_t) <= sizeof(s->state), "the state has room");
	_Static_assert(_Alignof(XXH3_state_t) <= 64, "the state is aligned");
	return (XXH3_state_t *)(void *)s->state;
}

void hash128_begin(struct hash128_stream *s)
{
	XXH3_INITSTATE(state_of(s));
	XXH3_128bits_reset(state_of(s));
}

void hash128_add(struct hash128_stream *s, const void *p, size_t len)
{
	XXH3_128bits_update(state_of(s), p, len);
}

struct hash128 hash128_end(const struct hash128_stream *s)
{
	XXH128_hash_t h = XXH3_128bits_digest((const XXH3_state_t *)(const void *)s->state);

	return (struct hash128){.low = h.low64, .high = h.high64};
}
