/* SPDX-License-Identifier: Apache-2.0 */
/* A word for each of some thousand places; inodes that share one are taken for each other. */
#include "front/shown.h"

#include "base/hash.h"

/* An answer is at its client within so many seconds. */
#define SECONDS 10

/* Times are kept in so many bits. What is a multiple of an hour and eight minutes old looks new. */
#define TIME_BITS 12
#define TIME_MASK ((1u << TIME_BITS) - 1)
/* PID_MAX_LIMIT is 2^22. */
#define PID_MASK ((1u << 22) - 1)

struct place {
	uint32_t pid;	    /* who was shown it last, + 1; 0: nobody yet */
	unsigned int at;    /* when */
	unsigned int other; /* when somebody else was */
	bool any_other;
};

static uint64_t pack(const struct place *p)
{
	return p->pid | (uint64_t)p->at << 24 | (uint64_t)p->other << 36 |
	       (uint64_t)p->any_other << 48;
}

static struct place unpack(uint64_t word)
{
	return (struct place){.pid = word & ((1u << 24) - 1),
			      .at = word >> 24 & TIME_MASK,
			      .other = word >> 36 & TIME_MASK,
			      .any_other = word >> 48 & 1};
}

static _Atomic uint64_t *place_of(struct shown *s, uint64_t ino)
{
	return &s->places[hash_number(ino) % SHOWN_PLACES];
}

static bool is_recent(unsigned int then, unsigned int now)
{
	/* Another thread may have looked at the clock a little later. */
	return ((now - then + 1) & TIME_MASK) <= SECONDS + 1;
}

void shown_begin(struct shown *s)
{
	atomic_fetch_add(&s->looking, 1);
}

void shown_end(struct shown *s)
{
	atomic_fetch_sub(&s->looking, 1);
}

/* A thread that is not known may be another each time. */
static bool is_same(const struct place *p, pid_t pid)
{
	return pid != 0 && p->pid == ((uint32_t)pid & PID_MASK) + 1;
}

void shown_note(struct shown *s, uint64_t ino, pid_t pid, unsigned int now)
{
	_Atomic uint64_t *at = place_of(s, ino);
	uint64_t old = atomic_load(at);
	struct place p;

	do {
		p = unpack(old);
		if (p.pid != 0 && !is_same(&p, pid)) {
			p.other = p.at;
			p.any_other = true;
		}
		if (p.any_other && !is_recent(p.other, now))
			p.any_other = false;
		p.pid = ((uint32_t)pid & PID_MASK) + 1;
		p.at = now & TIME_MASK;
	} while (!atomic_compare_exchange_weak(at, &old, pack(&p)));
}

bool shown_to_others(struct shown *s, uint64_t ino, pid_t pid, unsigned int now)
{
	struct place p = unpack(atomic_load(place_of(s, ino)));

	if (atomic_load(&s->looking) > 0)
		return true;
	if (p.pid != 0 && !is_same(&p, pid) && is_recent(p.at, now))
		return true;
	return p.any_other && is_recent(p.other, now);
}
