/* SPDX-License-Identifier: Apache-2.0 */
/* The choice between threads, a leader, and a leader under SCHED_IDLE. */
#include "front/pace.h"

/* A window that takes longer is no burst: a leader would cost more than it saves. */
#define BURST_NS (8 * PACE_MS)

/* So often does the sender of a request differ from the last one's when several are at it at once. */
#define TURNS_OF_SEVERAL 4
#define SLOW_OF_SLOW	 2

/* The number of running tasks is a glimpse, so many are added up. */
#define CROWDED_MAX  8
#define CROWDED_FROM 6
#define CROWDED_TO   2

#define HOLD_MIN_NS (50 * PACE_MS)
#define HOLD_MAX_NS (1600 * PACE_MS)
#define BAN_MIN_NS  (250 * PACE_MS)
#define BAN_MAX_NS  (16000 * PACE_MS)

static void begin_window(struct pace *p, uint64_t now)
{
	p->began = now;
	p->n = 0;
	p->turns = 0;
	p->slow = 0;
}

/* Where a leader is not wanted, or not yet. */
static enum pace_mode without_leader(const struct pace *p)
{
	return p->loop == FRONT_LOOP_FOLLOW ? PACE_FOLLOW : PACE_THREADS;
}

void pace_init(struct pace *p, enum front_loop loop, bool may_idle, uint64_t now)
{
	/* The first glimpse at the load decides. */
	*p = (struct pace){.loop = loop,
			   .may_idle = may_idle,
			   .crowded = CROWDED_TO + 1,
			   .hold_ns = HOLD_MIN_NS,
			   .ban_ns = BAN_MIN_NS};
	p->mode = PACE_THREADS;
	trial_init(&p->trial, true);
	begin_window(p, now);
}

bool pace_request(struct pace *p, const struct request *r)
{
	p->served[p->mode]++;
	if (r->background)
		return false;
	p->turns += p->n > 0 && r->pid != p->last;
	p->slow += r->slow;
	p->last = r->pid;
	p->n++;
	return p->n >= PACE_WINDOW;
}

/* Two windows in a row, so that a mode does not last shorter than changing it takes. */
static bool are_several(struct pace *p)
{
	if (p->turns < TURNS_OF_SEVERAL)
		p->several = 0;
	else if (p->several < 2)
		p->several++;
	return p->several == 2 || (p->several == 1 && p->mode == PACE_THREADS);
}

static bool is_crowded(struct pace *p, bool seen)
{
	unsigned int limit = p->mode == PACE_FOLLOW_IDLE ? CROWDED_FROM : CROWDED_TO + 1;

	if (seen && p->crowded < CROWDED_MAX)
		p->crowded++;
	else if (!seen && p->crowded > 0)
		p->crowded--;
	return p->crowded >= limit;
}

enum pace_mode pace_decide(struct pace *p, const struct pace_seen *seen, uint64_t now)
{
	bool several = are_several(p), crowded = is_crowded(p, seen->crowded);
	bool burst = now - p->began <= BURST_NS;
	bool slow = p->slow >= SLOW_OF_SLOW;

	if (p->loop == FRONT_LOOP_AUTO && burst && p->turns < TURNS_OF_SEVERAL && !slow)
		trial_window(&p->trial, p->mode != PACE_THREADS, now - p->began);
	begin_window(p, now);
	if (p->loop == FRONT_LOOP_THREADS)
		p->mode = PACE_THREADS;
	else if (!burst || several || slow || !seen->reachable || now < p->hold_until)
		p->mode = without_leader(p);
	else if (p->loop == FRONT_LOOP_AUTO && !trial_wants_leader(&p->trial))
		p->mode = PACE_THREADS;
	else if (!p->may_idle || crowded || now < p->ban_until)
		p->mode = PACE_FOLLOW;
	else
		p->mode = PACE_FOLLOW_IDLE;
	return p->mode;
}

/* Until when: the time doubles when it happens again soon after the last time was over. */
static uint64_t hold(uint64_t now, uint64_t until, uint64_t *ns, uint64_t min, uint64_t max)
{
	if (until == 0 || now > until + 4 * *ns)
		*ns = min;
	else if (*ns < max)
		*ns *= 2;
	return now + *ns;
}

void pace_stuck(struct pace *p, bool starved, uint64_t now)
{
	if (starved)
		p->ban_until = hold(now, p->ban_until, &p->ban_ns, BAN_MIN_NS, BAN_MAX_NS);
	else
		p->hold_until = hold(now, p->hold_until, &p->hold_ns, HOLD_MIN_NS, HOLD_MAX_NS);
	begin_window(p, now);
}

const char *pace_mode_name(enum pace_mode mode)
{
	static const char *const names[] = {"threads", "follow", "follow-idle"};

	return names[mode];
}
