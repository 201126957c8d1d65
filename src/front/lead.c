/* SPDX-License-Identifier: Apache-2.0 */
/* The leader, its followers, and the guard that looks after it. */
#include "front/lead.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <sys/timerfd.h>
#include <time.h>

#include "base/sys_sched.h"
#include "front/private.h"

/* The guard's turn. So long a slow operation that did not look slow keeps others waiting, twice. */
#define GUARD_NS (2 * PACE_MS)

/* So many turns in a row with fewer than two requests each are a rest. */
#define REST_TURNS 8

/* Threads that are made as long as all that there are wait for disks. */
#define MAX_GROWN 16

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 * PACE_MS + (uint64_t)t.tv_nsec;
}

/* More threads than processors, as some wait for disks; few, as each wake-up costs. */
static unsigned int default_threads(void)
{
	struct cpus cpus = {0};
	unsigned int n = 2;

	if (sys_get_cpus(0, &cpus) == 0)
		n = (unsigned int)CPU_COUNT_S(cpus.size, cpus.set);
	cpus_done(&cpus);
	return n + 2 < 8 ? n + 2 : 8;
}

int lead_init(struct front *f)
{
	struct lead *l = &f->lead;
	const struct front_options *o = f->options;
	unsigned int n = o->threads > 0 ? o->threads : default_threads();
	/* With io_uring what comes here is the rest; and a leader needs somebody to take over. */
	enum front_loop loop = o->io_uring || n == 1 ? FRONT_LOOP_THREADS : o->loop;
	bool may_idle = loop != FRONT_LOOP_THREADS;

	l->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (l->timer_fd < 0)
		return -errno;
	l->n_wanted = n;
	l->max_workers = o->threads > 0 ? n : MAX_GROWN;
	pthread_mutex_init(&l->lock, NULL);
	l->workers = calloc(l->max_workers + 1, sizeof(*l->workers));
	if (l->workers == NULL)
		return -ENOMEM;
	if (may_idle)
		l->idler = &l->workers[l->max_workers];
	atomic_store(&l->cpu, -1);
	follow_init(&l->follow);
	pace_init(&l->pace, loop, may_idle, now_ns());
	atomic_store(&l->mode, l->pace.mode);
	return 0;
}

void lead_done(struct front *f)
{
	struct lead *l = &f->lead;

	if (l->workers == NULL)
		return;
	follow_done(&l->follow);
	free(l->workers);
	l->workers = NULL;
}

/* ---- under the lock ---------------------------------------------------------------------- */

/* The next turn of the guard: after GUARD_NS, or at once. */
static void call_guard(struct lead *l, bool at_once)
{
	struct itimerspec t = {.it_value.tv_nsec = at_once ? 1 : (long)GUARD_NS};

	atomic_store(&l->guarded, true);
	timerfd_settime(l->timer_fd, 0, &t, NULL);
}

static void unpark(struct worker *w)
{
	if (!w->parked)
		return;
	w->parked = false;
	sem_post(&w->wake);
}

/* A thread that can lead at once, or NULL. */
static struct worker *find_parked(struct lead *l)
{
	for (unsigned int i = 0; i < l->n_workers; i++)
		if (l->workers[i].parked)
			return &l->workers[i];
	return NULL;
}

static void set_mode(struct lead *l, enum pace_mode mode, struct worker *leader)
{
	l->pace.mode = mode;
	atomic_store(&l->leader, leader);
	atomic_store(&l->mode, mode);
}

/* Makes W the leader; with NULL the guard has to find one. */
static void appoint(struct lead *l, enum pace_mode mode, struct worker *w)
{
	if (w != atomic_load(&l->leader))
		l->handovers++;
	set_mode(l, mode, w);
	if (w != NULL)
		unpark(w);
	if (w == NULL || !atomic_load(&l->guarded))
		call_guard(l, w == NULL);
}

static void to_threads(struct lead *l)
{
	atomic_store(&l->cpu, -1);
	set_mode(l, PACE_THREADS, NULL);
	for (unsigned int i = 0; i < l->n_workers; i++)
		unpark(&l->workers[i]);
}

static void to_follow(struct lead *l, struct worker *w)
{
	struct worker *leader = atomic_load(&l->leader);

	if (leader == NULL || leader->idle_class)
		leader = w != NULL && !w->idle_class ? w : find_parked(l);
	appoint(l, PACE_FOLLOW, leader);
}

/* The idler may still be busy with a slow request, or on its way to park. */
static void to_follow_idle(struct lead *l, struct worker *w)
{
	if (atomic_load(&l->leader) == l->idler || l->idler->parked)
		appoint(l, PACE_FOLLOW_IDLE, l->idler);
	else
		to_follow(l, w);
}

void lead_started(struct front *f)
{
	struct lead *l = &f->lead;

	if (l->pace.mode != PACE_THREADS && l->n_workers > 0)
		appoint(l, PACE_FOLLOW, &l->workers[0]);
}

static void decide(struct lead *l, struct worker *w)
{
	struct pace_seen seen = follow_look(&l->follow, l->pace.last);
	enum pace_mode before = atomic_load(&l->mode);
	enum pace_mode mode = pace_decide(&l->pace, &seen, now_ns());

	atomic_store(&l->cpu, seen.reachable ? l->follow.cpu : -1);
	if (mode == PACE_FOLLOW_IDLE)
		to_follow_idle(l, w);
	else if (mode == PACE_FOLLOW)
		to_follow(l, w);
	else if (before != PACE_THREADS)
		to_threads(l);
}

/* ---- workers ----------------------------------------------------------------------------- */

static bool may_read(struct lead *l, struct worker *w)
{
	if (atomic_load(&l->mode) == PACE_THREADS)
		return !w->idle_class;
	return atomic_load(&l->leader) == w;
}

static void park(struct front *f, struct worker *w)
{
	struct lead *l = &f->lead;
	bool wait;

	pthread_mutex_lock(&l->lock);
	w->parked = wait = !atomic_load(&f->stop) && !may_read(l, w);
	pthread_mutex_unlock(&l->lock);
	if (!wait)
		return;
	while (sem_wait(&w->wake) < 0)
		;
	/* The guard may have helped it out of there. */
	if (w->idle_class)
		sys_sched_idle(0, true);
}

/* Moves the calling worker to a processor, or (-1) lets it run where the main thread may. */
static void go_to(struct worker *w, int cpu)
{
	struct cpus cpus = {0};

	if (atomic_exchange(&w->cpu, cpu) == cpu)
		return;
	if (cpu >= 0 && sys_set_cpu(0, (unsigned int)cpu) == 0)
		return;
	if (sys_get_cpus(getpid(), &cpus) == 0)
		sys_set_cpus(0, &cpus);
	cpus_done(&cpus);
}

void lead_without_idler(struct front *f)
{
	pthread_mutex_lock(&f->lead.lock);
	f->lead.pace.may_idle = false;
	pthread_mutex_unlock(&f->lead.lock);
}

bool lead_await(struct worker *w)
{
	struct front *f = w->front;
	struct lead *l = &f->lead;

	for (;;) {
		if (atomic_load(&f->stop))
			return false;
		if (may_read(l, w))
			break;
		park(f, w);
	}
	go_to(w, atomic_load(&l->mode) == PACE_THREADS ? -1 : atomic_load(&l->cpu));
	return true;
}

static void hand_over(struct worker *w)
{
	struct lead *l = &w->front->lead;

	pthread_mutex_lock(&l->lock);
	if (atomic_load(&l->mode) != PACE_THREADS && atomic_load(&l->leader) == w)
		appoint(l, PACE_FOLLOW, find_parked(l));
	pthread_mutex_unlock(&l->lock);
}

/* A leader is guarded, and so are all threads when none of them is left to read. */
static bool needs_guard(struct lead *l, unsigned int busy)
{
	unsigned int n = atomic_load(&l->n_workers);

	if (atomic_load(&l->guarded))
		return false;
	return atomic_load(&l->mode) != PACE_THREADS || (busy >= n && n < l->max_workers);
}

void lead_begin(struct worker *w, const struct request *r)
{
	struct lead *l = &w->front->lead;
	unsigned int busy = atomic_fetch_add(&l->busy, 1) + 1;

	atomic_fetch_add(&w->step, 1);
	if (r->slow) {
		hand_over(w);
		go_to(w, -1);
	}
	if (needs_guard(l, busy))
		call_guard(l, false);
}

/* Nobody leads when all others were busy. */
static void take_empty_place(struct worker *w)
{
	struct lead *l = &w->front->lead;

	pthread_mutex_lock(&l->lock);
	if (atomic_load(&l->mode) != PACE_THREADS && atomic_load(&l->leader) == NULL)
		appoint(l, w->idle_class ? PACE_FOLLOW_IDLE : PACE_FOLLOW, w);
	pthread_mutex_unlock(&l->lock);
}

void lead_end(struct worker *w, const struct request *r)
{
	struct lead *l = &w->front->lead;

	atomic_fetch_add(&w->step, 1);
	atomic_fetch_sub(&l->busy, 1);
	if (atomic_load(&l->leader) == NULL && atomic_load(&l->mode) != PACE_THREADS)
		take_empty_place(w);
	/* What others are counting just now is as good a sample. */
	if (pthread_mutex_trylock(&l->lock) != 0)
		return;
	if (pace_request(&l->pace, r) && l->pace.loop != FRONT_LOOP_THREADS)
		decide(l, w);
	pthread_mutex_unlock(&l->lock);
}

void lead_ended(struct worker *w)
{
	struct lead *l = &w->front->lead;

	pthread_mutex_lock(&l->lock);
	w->ended = true;
	pthread_mutex_unlock(&l->lock);
	lead_wake_all(w->front);
}

/* ---- the guard: the main thread ---------------------------------------------------------- */

static struct worker *find_or_make(struct front *f)
{
	struct worker *w = find_parked(&f->lead);

	if (w == NULL && f->lead.n_workers < f->lead.max_workers)
		w = loop_spawn(f);
	return w;
}

/* Lets a thread finish that waits for its turn under SCHED_IDLE, perhaps with locks held. */
static void help(struct worker *w)
{
	struct cpus cpus = {0};
	int cpu = atomic_exchange(&w->cpu, -1);

	if (sys_sched_idle(atomic_load(&w->tid), false) == 0 || sys_get_cpus(getpid(), &cpus) < 0)
		return;
	/* The set it is in must lose its processor, or the scheduler leaves it where it is. */
	if (cpu >= 0 && cpus_have(&cpus, (unsigned int)cpu) && CPU_COUNT_S(cpus.size, cpus.set) > 1)
		CPU_CLR_S(cpu, cpus.size, cpus.set);
	sys_set_cpus(atomic_load(&w->tid), &cpus);
	cpus_done(&cpus);
}

static void rescue(struct front *f, struct worker *leader)
{
	struct lead *l = &f->lead;
	bool starved = follow_state(atomic_load(&leader->tid)) == 'R';

	l->rescues++;
	if (starved && leader->idle_class)
		help(leader);
	if (pace_stuck(&l->pace, starved, now_ns()) == PACE_THREADS)
		to_threads(l);
	else
		appoint(l, PACE_FOLLOW, find_or_make(f));
}

static bool is_pending(struct front *f)
{
	struct pollfd p = {.fd = fuse_session_fd(f->session), .events = POLLIN};

	return poll(&p, 1, 0) > 0 && (p.revents & POLLIN);
}

/* A request that nobody takes, or one that is not done, since the last turn. */
static bool is_stuck(struct front *f, struct worker *leader)
{
	struct lead *l = &f->lead;
	unsigned int step = atomic_load(&leader->step);
	bool same = l->seen.leader == leader && l->seen.step == step;
	bool waits = !(step & 1) && is_pending(f);
	bool stuck = same && ((step & 1) || (waits && l->seen.waited));

	if (l->seen.leader != leader || step - l->seen.step >= 4)
		l->seen.credit = REST_TURNS;
	else if (l->seen.credit > 0)
		l->seen.credit--;
	l->seen.leader = leader;
	l->seen.step = step;
	l->seen.waited = waits;
	return stuck;
}

/* The idler must not take requests when it does not lead: they would have to wait for it. */
static bool call_back_idler(struct lead *l)
{
	struct worker *w = l->idler;

	if (w == NULL || w->parked || w->ended || atomic_load(&l->leader) == w)
		return false;
	if (!(atomic_load(&w->step) & 1))
		control_wake(w->thread);
	return true;
}

/* With all threads reading: one more, when each has been at its request for a turn. */
static bool guard_threads(struct front *f)
{
	struct lead *l = &f->lead;
	unsigned int n = atomic_load(&l->n_workers), stuck = 0;

	for (unsigned int i = 0; i < n; i++) {
		struct worker *w = &l->workers[i];
		unsigned int step = atomic_load(&w->step);

		stuck += (step & 1) && step == w->seen;
		w->seen = step;
	}
	if (stuck == n && n < l->max_workers)
		loop_spawn(f);
	return atomic_load(&l->busy) >= n && n < l->max_workers;
}

/* One turn; true: another is needed. */
static bool guard_turn(struct front *f)
{
	struct lead *l = &f->lead;
	struct worker *leader;
	bool again = call_back_idler(l);

	if (atomic_load(&l->mode) == PACE_THREADS)
		return guard_threads(f) || again;
	leader = atomic_load(&l->leader);
	if (leader == NULL) {
		appoint(l, PACE_FOLLOW, find_or_make(f));
		return true;
	}
	if (is_stuck(f, leader)) {
		rescue(f, leader);
		return true;
	}
	if (l->seen.credit > 0)
		return true;
	if (pace_rest(&l->pace) == PACE_THREADS) {
		to_threads(l);
		return l->idler != NULL;
	}
	to_follow(l, NULL);
	return again || leader->idle_class;
}

void lead_guard(struct front *f)
{
	struct lead *l = &f->lead;
	uint64_t n;

	if (read(l->timer_fd, &n, sizeof(n)) < 0)
		return;
	pthread_mutex_lock(&l->lock);
	atomic_store(&l->guarded, false);
	if (!atomic_load(&f->stop) && guard_turn(f))
		call_guard(l, false);
	pthread_mutex_unlock(&l->lock);
}

void lead_settle(struct front *f)
{
	struct lead *l = &f->lead;
	struct timespec pause = {.tv_nsec = PACE_MS};
	bool again = true;

	for (int i = 0; again && i < 100; i++) {
		pthread_mutex_lock(&l->lock);
		l->pace.loop = FRONT_LOOP_THREADS;
		to_threads(l);
		again = call_back_idler(l);
		pthread_mutex_unlock(&l->lock);
		if (again)
			nanosleep(&pause, NULL);
	}
}

void lead_wake_all(struct front *f)
{
	struct lead *l = &f->lead;

	pthread_mutex_lock(&l->lock);
	for (unsigned int i = 0; i < l->n_workers; i++)
		unpark(&l->workers[i]);
	if (l->idler != NULL)
		unpark(l->idler);
	pthread_mutex_unlock(&l->lock);
}

void lead_to_text(struct front *f, struct buf *out)
{
	struct lead *l = &f->lead;

	pthread_mutex_lock(&l->lock);
	buf_printf(out, "loop %s, %u threads, handovers %" PRIu64 ", rescues %" PRIu64 "\n",
		   pace_mode_name(l->pace.mode), l->n_workers, l->handovers, l->rescues);
	for (int m = 0; m < PACE_MODES; m++)
		buf_printf(out, "loop %s served %" PRIu64 "\n", pace_mode_name(m),
			   l->pace.served[m]);
	pthread_mutex_unlock(&l->lock);
}
