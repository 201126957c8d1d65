/* SPDX-License-Identifier: Apache-2.0 */
/* What several tests of attr/ need: random numbers, and ACLs made of them. */
#include "unit/attr/fixture.h"

#include <criterion/criterion.h>
#include <string.h>

struct rng rng_seeded(uint64_t seed)
{
	cr_log_info("seed %#llx", (unsigned long long)seed);
	return (struct rng){.state = seed};
}

/* SplitMix64. */
uint64_t rng_next(struct rng *g)
{
	uint64_t z = g->state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

uint32_t rng_below(struct rng *g, uint32_t n)
{
	return (uint32_t)(rng_next(g) >> 32) % n;
}

void acl_begin(struct buf *b)
{
	buf_clear(b);
	buf_put_u32(b, 2);
}

void acl_add(struct buf *b, uint16_t tag, uint16_t perm, uint32_t id)
{
	buf_put_u16(b, tag);
	buf_put_u16(b, perm);
	buf_put_u32(b, id);
}

static uint16_t random_perm(struct rng *g)
{
	return (uint16_t)rng_below(g, 8);
}

void acl_random(struct rng *g, struct buf *b)
{
	/* A third are no more than a mode. */
	uint32_t users = rng_below(g, 3) * rng_below(g, 3);
	uint32_t groups = rng_below(g, 3) * rng_below(g, 3);

	acl_begin(b);
	acl_add(b, USER_OBJ, random_perm(g), NO_ID);
	for (uint32_t i = 0; i < users; i++)
		acl_add(b, USER, random_perm(g), rng_below(g, 1000));
	acl_add(b, GROUP_OBJ, random_perm(g), NO_ID);
	for (uint32_t i = 0; i < groups; i++)
		acl_add(b, GROUP, random_perm(g), rng_below(g, 1000));
	if (users + groups > 0 || rng_below(g, 3) == 0)
		acl_add(b, MASK, random_perm(g), NO_ID);
	acl_add(b, OTHER, random_perm(g), NO_ID);
}

void acl_disturb(struct rng *g, struct buf *b)
{
	static const uint16_t tags[] = {USER_OBJ, USER, GROUP_OBJ, GROUP, MASK, OTHER, 0, 64};
	uint32_t n = (uint32_t)((b->len - 4) / 8);
	uint8_t *entry = b->data + 4 + 8 * (size_t)rng_below(g, n);
	size_t after = b->len - (size_t)(entry - b->data) - 8;
	uint8_t copy[8];

	memcpy(copy, entry, 8);
	switch (rng_below(g, 6)) {
	case 0:
		entry[0] = (uint8_t)tags[rng_below(g, 8)];
		break;
	case 1:
		entry[2] = (uint8_t)rng_below(g, 10);
		break;
	case 2:
		memset(entry + 4, rng_below(g, 2) != 0 ? 0xff : 0, 4);
		break;
	case 3: /* dropped */
		memmove(entry, entry + 8, after);
		b->len -= 8;
		break;
	case 4: /* doubled, at the end */
		buf_put(b, copy, 8);
		break;
	default: /* swapped with the next */
		if (after > 0) {
			memcpy(entry, entry + 8, 8);
			memcpy(entry + 8, copy, 8);
		}
		break;
	}
}
