/* SPDX-License-Identifier: Apache-2.0 */
/* Inode numbers of the union. */
#include "base/hash.h"
#include "union/private.h"

#define INO_BITS 48

uint64_t union_ino(uint32_t position, uint64_t layer_ino)
{
	uint64_t both[2] = {position, layer_ino};

	if (layer_ino >> INO_BITS == 0)
		return (uint64_t)position << INO_BITS | layer_ino;
	return (uint64_t)1 << 63 | hash64(both, sizeof(both), 0);
}

uint64_t stack_ino(const struct stack *s, uint32_t layer, uint64_t layer_ino, bool above)
{
	return above ? layer_ino : union_ino(s->n_visible - layer, layer_ino);
}
