/* SPDX-License-Identifier: Apache-2.0 */
/* Receiving requests: threads of our own, each with its buffer, on one /dev/fuse. */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/log.h"
#include "base/sys_sched.h"
#include "front/private.h"

/* The kernel wants room for the largest write and its header; libfuse counts a page for that. */
#define LOOP_BUF_SIZE (FRONT_MAX_WRITE + 4096)

int loop_buf_init(struct loop_buf *b)
{
	b->mem = aligned_alloc(4096, LOOP_BUF_SIZE);
	b->size = LOOP_BUF_SIZE;
	return b->mem == NULL ? -ENOMEM : 0;
}

void loop_buf_done(struct loop_buf *b)
{
	free(b->mem);
	b->mem = NULL;
}

/* An error that should not be: do not spin on it, and do not die of it. */
static void back_off(int code)
{
	log_warn("cannot read a request: %s", strerror(code));
	lead_pause(20 * PACE_MS);
}

/*
 * libfuse's own receive function prints to standard error and takes splices into account; a
 * request is simply what one read(2) returns.
 */
static int receive(struct front *f, const struct loop_buf *b, size_t *ret_size)
{
	ssize_t n = read(fuse_session_fd(f->session), b->mem, b->size);

	if (n > 0) {
		*ret_size = (size_t)n;
		return 1;
	}
	switch (n == 0 ? ENODEV : errno) {
	case ENODEV: /* unmounted, or aborted through /sys/fs/fuse/connections */
		atomic_store(&f->stop, true);
		fuse_session_exit(f->session);
		return 0;
	case ENOENT: /* the request was interrupted while it was being read */
	case EINTR:
	case EAGAIN:
		return -EAGAIN;
	default:
		back_off(errno);
		return -EAGAIN;
	}
}

int loop_step(struct front *f, struct loop_buf *b)
{
	struct fuse_buf buf = {.mem = b->mem};
	int r = receive(f, b, &buf.size);

	if (r > 0)
		fuse_session_process_buf(f->session, &buf);
	return r;
}

static void serve(struct worker *w)
{
	CLEANUP(loop_buf) struct loop_buf b = {0};
	struct front *f = w->front;

	/* Without memory the others serve; when there is no other, wait for memory. */
	while (loop_buf_init(&b) < 0) {
		if (atomic_load(&f->stop))
			return;
		back_off(ENOMEM);
	}
	while (lead_await(w)) {
		struct fuse_buf buf = {.mem = b.mem};
		struct request request;
		int r = receive(f, &b, &buf.size);

		if (r == 0)
			return;
		if (r < 0)
			continue;
		request = request_parse(b.mem, buf.size);
		lead_begin(w, &request);
		fuse_session_process_buf(f->session, &buf);
		lead_end(w, &request);
	}
}

/* Whoever is let through lets the next one through. */
static void pass_gate(struct front *f)
{
	while (sem_wait(&f->gate) < 0)
		;
	sem_post(&f->gate);
}

/* The last one says so, be it one that could not be started: the others may have ended meanwhile. */
static void count_out(struct front *f)
{
	if (atomic_fetch_sub(&f->running, 1) == 1)
		eventfd_write(f->done_fd, 1);
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	struct front *f = w->front;

	atomic_store(&w->tid, sys_gettid());
	if (w->idle_class && sys_sched_idle(0, true) < 0)
		lead_without_idler(f);
	pass_gate(f);
	serve(w);
	lead_ended(w);
	count_out(f);
	return NULL;
}

static int start(struct front *f, struct worker *w, bool idle_class)
{
	int r;

	w->front = f;
	w->idle_class = idle_class;
	atomic_store(&w->cpu, -1);
	sem_init(&w->wake, 0, 0);
	atomic_fetch_add(&f->running, 1);
	r = pthread_create(&w->thread, NULL, worker_main, w);
	if (r != 0)
		count_out(f);
	return -r;
}

bool loop_spawn(struct front *f)
{
	struct lead *l = &f->lead;
	struct worker *w = &l->workers[atomic_load(&l->n_workers)];

	if (start(f, w, false) < 0)
		return false;
	lead_add(f, w);
	return true;
}

static void make_all(struct front *f)
{
	struct lead *l = &f->lead;

	while (l->n_workers < l->n_wanted && loop_spawn(f))
		;
	if (l->n_workers > 0 && l->n_workers < l->n_wanted)
		log_warn("only %u of %u threads could be started", l->n_workers, l->n_wanted);
	/* Nobody could take over from a leader that looks for its client, and waits for it. */
	if (l->n_workers < 2)
		l->pace.loop = FRONT_LOOP_THREADS;
	if (l->idler != NULL && (l->n_workers < 2 || start(f, l->idler, true) < 0)) {
		l->idler = NULL;
		l->pace.may_idle = false;
	}
}

void loop_stop(struct front *f)
{
	struct lead *l = &f->lead;

	atomic_store(&f->stop, true);
	loop_start(f);
	lead_wake_all(f);
	/* A worker may be between its look at `stop` and its read(2): wake it until it is gone. */
	while (atomic_load(&f->running) > 0) {
		for (unsigned int i = 0; i < l->n_workers; i++)
			control_wake(l->workers[i].thread);
		if (l->idler != NULL)
			control_wake(l->idler->thread);
		lead_pause(5 * PACE_MS);
	}
	for (unsigned int i = 0; i < l->n_workers; i++)
		pthread_join(l->workers[i].thread, NULL);
	if (l->idler != NULL)
		pthread_join(l->idler->thread, NULL);
	lead_done(f);
}

int loop_prepare(struct front *f)
{
	int r = sem_init(&f->gate, 0, 0) < 0 ? -errno : lead_init(f);

	if (r < 0)
		return r;
	make_all(f);
	if (atomic_load(&f->lead.n_workers) > 0)
		return 0;
	loop_stop(f);
	return -EAGAIN;
}

void loop_start(struct front *f)
{
	sem_post(&f->gate);
}
