/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes are left out now and then, to see whether they are missed. */
#include "front/plus.h"

#include "base/hash.h"

/*
 * Who has attributes says nothing when he uses them. So one answer in so many goes out without: if its names are looked up
 * later, attributes are wanted. Ever fewer for as long as they are.
 */
#define TRY_EVERY_MIN 16
#define TRY_EVERY_MAX 64
/*
 * A walk may go down before it comes to the other names of a directory (podman's does), and fts(3) reads ten thousand names before it
 * looks at the first. So it takes several answers, and as many names, before it is decided that nobody looks.
 */
#define TRIES	  4
#define NAMES_MIN 256
/* At least this part of the names must be looked up: a LOOKUP costs three to four times what its attributes do in a listing. */
#define WORTH 4
/* So many LOOKUPs bring attributes back. */
#define ASKED_MIN 16
/* While they are left out older answers count less and less. */
#define NAMES_MAX 512

static _Atomic uint64_t *place_of(struct plus *p, uint64_t dir)
{
	return &p->dirs[hash_number(dir) % PLUS_DIRS];
}

static _Atomic uint64_t *place_of_name(struct plus *p, uint64_t ino)
{
	return &p->inos[hash_number(ino) % PLUS_INOS];
}

void plus_init(struct plus *p)
{
	*p = (struct plus){.lock = PTHREAD_MUTEX_INITIALIZER, .every = TRY_EVERY_MIN};
}

void plus_done(struct plus *p)
{
	pthread_mutex_destroy(&p->lock);
}

static void start_anew(struct plus *p, bool off)
{
	p->off = off;
	p->tried = 0;
	p->given = p->asked = 0;
	for (size_t i = 0; i < PLUS_DIRS; i++)
		atomic_store_explicit(&p->dirs[i], 0, memory_order_relaxed);
	for (size_t i = 0; i < PLUS_INOS; i++)
		atomic_store_explicit(&p->inos[i], 0, memory_order_relaxed);
}

static bool are_looked_up(const struct plus *p)
{
	return p->asked * WORTH >= p->given;
}

/* Attributes are given, and what went out without them is enough to judge by. */
static void judge(struct plus *p)
{
	bool off = !are_looked_up(p);

	p->every = off ? TRY_EVERY_MIN : p->every * 2;
	if (p->every > TRY_EVERY_MAX)
		p->every = TRY_EVERY_MAX;
	start_anew(p, off);
}

bool plus_wanted(struct plus *p)
{
	bool wanted;

	pthread_mutex_lock(&p->lock);
	if (!p->off && p->since >= p->every && p->tried >= TRIES && p->given >= NAMES_MIN)
		judge(p);
	wanted = !p->off && p->since < p->every;
	pthread_mutex_unlock(&p->lock);
	return wanted;
}

void plus_listed(struct plus *p, uint64_t dir, size_t n, bool with)
{
	if (n == 0)
		return;
	pthread_mutex_lock(&p->lock);
	if (with) {
		p->since++;
	} else {
		p->since = 0;
		p->tried++;
		p->given += n;
		atomic_store_explicit(place_of(p, dir), dir, memory_order_relaxed);
	}
	while (p->off && p->given > NAMES_MAX) {
		p->given /= 2;
		p->asked /= 2;
	}
	pthread_mutex_unlock(&p->lock);
}

void plus_left_out(struct plus *p, uint64_t ino)
{
	atomic_store_explicit(place_of_name(p, ino), ino, memory_order_relaxed);
}

static void count_use(struct plus *p)
{
	pthread_mutex_lock(&p->lock);
	p->asked++;
	if (p->off && p->asked >= ASKED_MIN && are_looked_up(p))
		start_anew(p, false);
	pthread_mutex_unlock(&p->lock);
}

void plus_looked_up(struct plus *p, uint64_t dir)
{
	if (atomic_load_explicit(place_of(p, dir), memory_order_relaxed) == dir)
		count_use(p);
}

void plus_asked_for(struct plus *p, uint64_t ino)
{
	_Atomic uint64_t *place = place_of_name(p, ino);

	if (atomic_load_explicit(place, memory_order_relaxed) != ino)
		return;
	/* Once: it may be asked for again for reasons of its own. */
	atomic_store_explicit(place, 0, memory_order_relaxed);
	count_use(p);
}
