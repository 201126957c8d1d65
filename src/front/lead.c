/* SPDX-License-Identifier: Apache-2.0 */
/* The leader and its followers. */
#include "front/lead.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>

#include "base/sys_sched.h"
#include "front/guard.h"
#include "front/private.h"

/* The guard's turn. So long a slow operation that did not look slow keeps others waiting, twice. */
#define GUARD_NS (2 * PACE_MS)

/* Threads that are made as long as all that there are wait for disks. */
#define MAX_GROWN 16

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
	/* With io_uring what comes here is the rest. */
	enum front_loop loop = o->io_uring ? FRONT_LOOP_THREADS : o->loop;
	bool may_idle = loop != FRONT_LOOP_THREADS;

	l->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (l->timer_fd < 0)
		return -errno;
	l->queue_fd = fuse_session_fd(f->session);
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
	l->look = follow_look;
	l->watched = false;
	pace_init(&l->pace, loop, may_idle, lead_now());
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

void lead_call_guard(struct lead *l)
{
	struct itimerspec t = {.it_value.tv_nsec = (long)GUARD_NS};

	if (!atomic_exchange(&l->guarded, true))
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

/* First the leader: who sees a mode with one sees which. */
static void set_mode(struct lead *l, enum pace_mode mode, struct worker *leader)
{
	l->pace.mode = mode;
	atomic_store(&l->leader, leader);
	atomic_store(&l->mode, mode);
}

static void appoint(struct lead *l, enum pace_mode mode, struct worker *w)
{
	if (w != atomic_load(&l->leader))
		l->handovers++;
	set_mode(l, mode, w);
	unpark(w);
	lead_call_guard(l);
}

void lead_to_threads(struct lead *l)
{
	atomic_store(&l->cpu, -1);
	set_mode(l, PACE_THREADS, NULL);
	for (unsigned int i = 0; i < l->n_workers; i++)
		unpark(&l->workers[i]);
}

bool lead_is_astray(struct lead *l)
{
	const struct worker *w = l->idler;

	return w != NULL && !w->parked && !w->ended && atomic_load(&l->leader) != w;
}

/* W: who asks, and goes to read next. When all are busy nobody leads: the first that is ready reads. */
static void to_follow(struct lead *l, struct worker *w)
{
	struct worker *leader = atomic_load(&l->leader);

	if (leader == NULL || leader->idle_class)
		leader = !w->idle_class ? w : find_parked(l);
	if (leader != NULL)
		appoint(l, PACE_FOLLOW, leader);
	else
		lead_to_threads(l);
}

/* The idler may still be busy with a slow request, or on its way to park. */
static void to_follow_idle(struct lead *l, struct worker *w)
{
	if (atomic_load(&l->leader) == l->idler || l->idler->parked)
		appoint(l, PACE_FOLLOW_IDLE, l->idler);
	else
		to_follow(l, w);
}

static void decide(struct lead *l, struct worker *w, const struct pace_seen *seen)
{
	enum pace_mode mode = pace_decide(&l->pace, seen, lead_now());

	/* Nobody would notice a leader that is stuck. */
	if (!l->watched)
		mode = PACE_THREADS;
	atomic_store(&l->cpu, seen->reachable ? l->follow.cpu : -1);
	if (mode == PACE_FOLLOW_IDLE)
		to_follow_idle(l, w);
	else if (mode == PACE_FOLLOW)
		to_follow(l, w);
	else if (atomic_load(&l->mode) != PACE_THREADS)
		lead_to_threads(l);
	l->pace.mode = atomic_load(&l->mode);
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

void lead_add(struct front *f, struct worker *w)
{
	struct lead *l = &f->lead;

	guard_lock(l);
	atomic_fetch_add(&l->n_workers, 1);
	/* It may have parked before anybody knew it. */
	if (may_read(l, w))
		unpark(w);
	pthread_mutex_unlock(&l->lock);
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
	struct worker *next;

	/* Nobody else makes W the leader while it is here. */
	if (atomic_load(&l->leader) != w)
		return;
	pthread_mutex_lock(&l->lock);
	next = find_parked(l);
	if (atomic_load(&l->leader) == w && next != NULL)
		appoint(l, PACE_FOLLOW, next);
	else if (atomic_load(&l->leader) == w)
		lead_to_threads(l);
	pthread_mutex_unlock(&l->lock);
}

/* The guard is there while somebody leads; and with all threads reading, when none is left to. */
static bool needs_guard(struct lead *l, unsigned int busy)
{
	unsigned int n = atomic_load(&l->n_workers);

	return atomic_load(&l->mode) == PACE_THREADS && busy >= n && n < l->max_workers;
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
		lead_call_guard(l);
}

/* True: a window is full, and the caller is the one to look at *RET_PID and to decide. */
static bool count(struct lead *l, const struct request *r, int *ret_pid)
{
	bool due;

	/* What others are counting just now is as good a sample. */
	if (pthread_mutex_trylock(&l->lock) != 0)
		return false;
	due = pace_request(&l->pace, r) && l->pace.loop != FRONT_LOOP_THREADS && !l->looking;
	if (due) {
		l->looking = true;
		*ret_pid = l->pace.last;
	}
	pthread_mutex_unlock(&l->lock);
	return due;
}

void lead_end(struct worker *w, const struct request *r)
{
	struct lead *l = &w->front->lead;
	struct pace_seen seen;
	int pid;

	if (count(l, r, &pid)) {
		/*
		 * This may wait for a request of our own mount: it can be the last reference to the
		 * memory of a client that ends, and unmapping a file writes it back. So it is part of
		 * the service: without a lock, and the guard sees it.
		 */
		seen = l->look(&l->follow, pid);
		pthread_mutex_lock(&l->lock);
		l->looking = false;
		decide(l, w, &seen);
		pthread_mutex_unlock(&l->lock);
	}
	atomic_fetch_add(&w->step, 1);
	atomic_fetch_sub(&l->busy, 1);
}

void lead_ended(struct worker *w)
{
	struct lead *l = &w->front->lead;

	pthread_mutex_lock(&l->lock);
	w->ended = true;
	pthread_mutex_unlock(&l->lock);
	lead_wake_all(w->front);
}

bool lead_is_pending(const struct lead *l)
{
	struct pollfd p = {.fd = l->queue_fd, .events = POLLIN};

	return poll(&p, 1, 0) > 0 && (p.revents & POLLIN);
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
	uint64_t handovers, rescues, served[PACE_MODES];
	enum pace_mode mode;

	guard_lock(l);
	mode = l->left;
	handovers = l->handovers;
	rescues = l->rescues;
	memcpy(served, l->pace.served, sizeof(served));
	pthread_mutex_unlock(&l->lock);
	buf_printf(out, "loop %s, %u threads, handovers %" PRIu64 ", rescues %" PRIu64 "\n",
		   pace_mode_name(mode), atomic_load(&l->n_workers), handovers, rescues);
	for (int m = 0; m < PACE_MODES; m++)
		buf_printf(out, "loop %s served %" PRIu64 "\n", pace_mode_name(m), served[m]);
}
