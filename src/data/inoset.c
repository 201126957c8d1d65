/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of inode numbers: open addressing, eight bytes a slot. */
#include <stdlib.h>

#include "data/inoset.h"

#define FIRST_CAP 64

void ino_set_done(struct ino_set *s)
{
	free(s->slots);
	*s = (struct ino_set){0};
}

/* Numbers come in rows: the multiplication spreads them, the upper bits are the good ones. */
static size_t home_of(const struct ino_set *s, uint64_t ino)
{
	return (size_t)(ino * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (s->cap - 1);
}

/* The slot of INO, or the free one where it would be. */
static size_t slot_of(const struct ino_set *s, uint64_t ino)
{
	size_t i = home_of(s, ino);

	while (s->slots[i] != 0 && s->slots[i] != ino)
		i = (i + 1) & (s->cap - 1);
	return i;
}

static bool grow(struct ino_set *s)
{
	struct ino_set bigger = {.cap = s->cap > 0 ? s->cap * 2 : FIRST_CAP};
	size_t i;

	bigger.slots = calloc(bigger.cap, sizeof(*bigger.slots));
	if (bigger.slots == NULL)
		return false;
	for (i = 0; i < s->cap; i++)
		if (s->slots[i] != 0)
			bigger.slots[slot_of(&bigger, s->slots[i])] = s->slots[i];
	free(s->slots);
	s->slots = bigger.slots;
	s->cap = bigger.cap;
	return true;
}

void ino_set_add(struct ino_set *s, uint64_t ino)
{
	size_t i;

	if (ino_set_has(s, ino))
		return;
	/* A half of the slots is free, so that a search is short. */
	if (s->n >= INO_SET_MAX || (s->n * 2 >= s->cap && !grow(s))) {
		s->full = true;
		return;
	}
	i = slot_of(s, ino);
	s->slots[i] = ino;
	s->n++;
}

bool ino_set_has(const struct ino_set *s, uint64_t ino)
{
	return s->n > 0 && s->slots[slot_of(s, ino)] == ino;
}

/* Those behind a freed slot, up to the next free one, may have to move up to be found. */
void ino_set_del(struct ino_set *s, uint64_t ino)
{
	size_t hole, i, mask = s->cap - 1;

	if (!ino_set_has(s, ino))
		return;
	hole = i = slot_of(s, ino);
	for (;;) {
		i = (i + 1) & mask;
		if (s->slots[i] == 0)
			break;
		/* It stays when its home lies behind the hole. */
		if (((i - home_of(s, s->slots[i])) & mask) < ((i - hole) & mask))
			continue;
		s->slots[hole] = s->slots[i];
		hole = i;
	}
	s->slots[hole] = 0;
	s->n--;
}

void ino_set_move(struct ino_set *s, struct ino_set *ret_set)
{
	*ret_set = *s;
	*s = (struct ino_set){0};
}

uint64_t ino_set_next(const struct ino_set *s, size_t *at)
{
	while (*at < s->cap) {
		uint64_t ino = s->slots[(*at)++];

		if (ino != 0)
			return ino;
	}
	return 0;
}
