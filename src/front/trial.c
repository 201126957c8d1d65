/* SPDX-License-Identifier: Apache-2.0 */
/* Two ways of serving, compared. */
#include "front/trial.h"

/* Samples of the better way between two trials of the other: the fewer, the less is known. */
#define INTERVAL_MIN 1
#define INTERVAL_MAX 32

/* The other must be better by a tenth: what differs less is chance. */
static bool is_better(uint64_t other, uint64_t usual)
{
	return other + other / 10 < usual;
}

static void wait_again(struct trial *t, unsigned int interval)
{
	t->interval = interval < INTERVAL_MAX ? interval : INTERVAL_MAX;
	t->wait = t->interval;
}

void trial_init(struct trial *t, bool leader)
{
	*t = (struct trial){.leader = leader, .fresh = true};
	wait_again(t, INTERVAL_MIN);
}

/* The other way has been tried: TIME against the usual. */
static void judge(struct trial *t, uint64_t time)
{
	bool better = is_better(time, t->usual);

	t->trying = false;
	if (better) {
		t->leader = !t->leader;
		t->usual = time;
	}
	/* It stays as it is, so there is nothing to get used to. */
	t->fresh = !better;
	wait_again(t, better ? INTERVAL_MIN : t->interval * 2);
}

static void end_sample(struct trial *t)
{
	uint64_t time = t->sum;

	t->n = 0;
	t->sum = 0;
	if (t->trying) {
		judge(t, time);
		return;
	}
	t->usual = time;
	if (--t->wait == 0) {
		t->trying = true;
		t->fresh = true;
	}
}

void trial_window(struct trial *t, bool leader, uint64_t ns)
{
	if (leader != trial_wants_leader(t))
		return;
	if (t->fresh) {
		t->fresh = false;
		return;
	}
	t->sum += ns;
	if (++t->n == TRIAL_SAMPLE)
		end_sample(t);
}
