/* SPDX-License-Identifier: Apache-2.0 */
/* The guard: a turn looks, decides under the lock, and does what may take time without it. */
#include "front/guard.h"

#include "base/sys_sched.h"
#include "front/private.h"

/* So many turns in a row with fewer than two requests each are a rest. */
#define REST_TURNS 8
/* When there may be no more threads it is not tried each turn. */
#define SPAWN_AGAIN_MS 100

/* What a turn leaves to be done without the lock. All threads read, and nobody leads until it is done. */
struct errand {
	struct worker *stuck; /* the leader that was replaced, or NULL */
	bool spawn;	      /* all threads are at something that takes long */
	bool help;	      /* the idler may have locks that others wait for */
};

/* Lets a thread finish that waits for its turn under SCHED_IDLE, perhaps with locks held. */
static void help(struct worker *w)
{
	struct cpus cpus = {0};
	pid_t tid = atomic_load(&w->tid);
	int cpu = atomic_exchange(&w->cpu, -1);

	if (tid == 0 || sys_sched_idle(tid, false) == 0 || sys_get_cpus(getpid(), &cpus) < 0)
		return;
	/* The set it is in must lose its processor, or the scheduler leaves it where it is. */
	if (cpu >= 0 && cpus_have(&cpus, (unsigned int)cpu) && CPU_COUNT_S(cpus.size, cpus.set) > 1)
		CPU_CLR_S(cpu, cpus.size, cpus.set);
	sys_set_cpus(tid, &cpus);
	cpus_done(&cpus);
}

void guard_lock(struct lead *l)
{
	while (pthread_mutex_trylock(&l->lock) != 0) {
		lead_pause(PACE_MS);
		if (pthread_mutex_trylock(&l->lock) == 0)
			return;
		if (l->idler != NULL)
			help(l->idler);
	}
}

/* ---- what is seen; under the lock -------------------------------------------------------- */

/* At the same request as a turn ago; the next turn compares with this one. */
static bool is_at_the_same(struct worker *w)
{
	unsigned int step = atomic_load(&w->step), seen = w->seen;

	w->seen = step;
	return (step & 1) && step == seen;
}

/* How many usual threads are at the same request as a turn ago; *RET_STEPS: what all have done. */
static unsigned int count_stuck(struct lead *l, unsigned int *ret_steps)
{
	unsigned int stuck = 0;

	*ret_steps = l->idler != NULL ? atomic_load(&l->idler->step) : 0;
	for (unsigned int i = 0; i < l->n_workers; i++) {
		struct worker *w = &l->workers[i];

		*ret_steps += atomic_load(&w->step);
		stuck += is_at_the_same(w);
	}
	return stuck;
}

/* ---- what is done; under the lock -------------------------------------------------------- */

/* Who sleeps in read(2) looks at the queue again, whatever it was that nobody was woken. */
static void wake_readers(struct lead *l)
{
	for (unsigned int i = 0; i < l->n_workers; i++) {
		struct worker *w = &l->workers[i];

		if (!w->parked && !w->ended && !(atomic_load(&w->step) & 1))
			control_wake(w->thread);
	}
}

/* The idler must not take requests when it does not lead: they would have to wait for it. */
static void call_back_idler(struct lead *l)
{
	if (lead_is_astray(l) && !(atomic_load(&l->idler->step) & 1))
		control_wake(l->idler->thread);
}

/* Is the leader stuck in a request? Otherwise: does hardly a request come any more? */
static bool look_at_leader(struct lead *l, struct worker *leader, bool *ret_rests)
{
	unsigned int step = atomic_load(&leader->step);
	bool stuck = (step & 1) && l->seen.leader == leader && l->seen.step == step;

	if (l->seen.leader != leader || step - l->seen.step >= 4)
		l->seen.credit = REST_TURNS;
	else if (l->seen.credit > 0)
		l->seen.credit--;
	l->seen.leader = leader;
	l->seen.step = step;
	*ret_rests = l->seen.credit == 0;
	return stuck;
}

/* A request was there a turn ago, one is there now, and nobody has done anything since. */
static bool is_untaken(struct lead *l, unsigned int steps)
{
	bool waits = lead_is_pending(l);
	bool untaken = waits && l->seen.waited && l->seen.steps == steps;

	l->seen.waited = waits;
	l->seen.steps = steps;
	return untaken;
}

static struct errand look(struct lead *l)
{
	struct errand e = {0};
	struct worker *leader = atomic_load(&l->leader);
	unsigned int steps, stuck = count_stuck(l, &steps);
	bool untaken = is_untaken(l, steps), rests = false;
	bool idler_is_stuck = l->idler != NULL && is_at_the_same(l->idler) && lead_is_astray(l);

	if (leader != NULL && (look_at_leader(l, leader, &rests) || untaken))
		e.stuck = leader;
	if (leader == NULL)
		e.spawn = stuck == l->n_workers && stuck < l->max_workers &&
			  lead_now() >= l->spawn_after;
	e.help = untaken || (stuck > 0 && idler_is_stuck);
	if (untaken)
		wake_readers(l);
	if (e.stuck != NULL || rests)
		lead_to_threads(l);
	call_back_idler(l);
	return e;
}

static bool is_needed(struct lead *l)
{
	unsigned int n = l->n_workers;

	return atomic_load(&l->mode) != PACE_THREADS || lead_is_astray(l) ||
	       (atomic_load(&l->busy) >= n && n < l->max_workers);
}

/* ---- without the lock -------------------------------------------------------------------- */

static void run(struct front *f, const struct errand *e)
{
	struct lead *l = &f->lead;
	bool starved = e->stuck != NULL && follow_state(atomic_load(&e->stuck->tid)) == 'R';

	if ((e->help || (starved && e->stuck->idle_class)) && l->idler != NULL)
		help(l->idler);
	if (e->spawn && !loop_spawn(f))
		l->spawn_after = lead_now() + SPAWN_AGAIN_MS * PACE_MS;
	if (e->stuck == NULL)
		return;
	guard_lock(l);
	l->rescues++;
	pace_stuck(&l->pace, starved, lead_now());
	pthread_mutex_unlock(&l->lock);
}

void guard_watch(struct front *f)
{
	struct lead *l = &f->lead;

	guard_lock(l);
	l->watched = true;
	if (!atomic_load(&f->stop) && is_needed(l))
		lead_call_guard(l);
	pthread_mutex_unlock(&l->lock);
}

void guard_leave(struct front *f)
{
	struct lead *l = &f->lead;

	guard_lock(l);
	l->watched = false;
	l->left = atomic_load(&l->mode);
	lead_to_threads(l);
	pthread_mutex_unlock(&l->lock);
}

void guard_turn(struct front *f)
{
	struct lead *l = &f->lead;
	struct errand e = {0};
	bool away;
	uint64_t n;

	if (read(l->timer_fd, &n, sizeof(n)) < 0)
		return;
	guard_lock(l);
	atomic_store(&l->guarded, false);
	if (!atomic_load(&f->stop))
		e = look(l);
	away = e.stuck != NULL || e.spawn || e.help;
	if (!away && !atomic_load(&f->stop) && is_needed(l))
		lead_call_guard(l);
	pthread_mutex_unlock(&l->lock);
	if (!away)
		return;
	guard_leave(f);
	run(f, &e);
	guard_watch(f);
}

void guard_settle(struct front *f)
{
	struct lead *l = &f->lead;
	bool again = true;

	guard_leave(f);
	guard_lock(l);
	l->pace.loop = FRONT_LOOP_THREADS;
	pthread_mutex_unlock(&l->lock);
	for (int i = 0; again && i < 100; i++) {
		guard_lock(l);
		call_back_idler(l);
		again = lead_is_astray(l);
		pthread_mutex_unlock(&l->lock);
		if (again && i > 0)
			help(l->idler);
		if (again)
			lead_pause(PACE_MS);
	}
}
