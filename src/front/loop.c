/* SPDX-License-Identifier: Apache-2.0 */
/* Receiving requests: threads of our own, each with its buffer, on one /dev/fuse. */
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

#include "base/log.h"
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
	struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};

	log_warn("cannot read a request: %s", strerror(code));
	nanosleep(&pause, NULL);
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

static void serve(struct front *f)
{
	CLEANUP(loop_buf) struct loop_buf b = {0};

	/* Without memory the others serve; when there is no other, wait for memory. */
	while (loop_buf_init(&b) < 0) {
		if (atomic_load(&f->stop))
			return;
		back_off(ENOMEM);
	}
	while (!atomic_load(&f->stop))
		if (loop_step(f, &b) == 0)
			return;
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	struct front *f = w->front;

	serve(f);
	if (atomic_fetch_sub(&f->running, 1) == 1)
		eventfd_write(f->done_fd, 1);
	return NULL;
}

/* More threads than processors, as some wait for disks; few, as each wake-up costs. */
static unsigned int default_threads(void)
{
	cpu_set_t cpus;
	unsigned int n = 2;

	if (sched_getaffinity(0, sizeof(cpus), &cpus) == 0)
		n = (unsigned int)CPU_COUNT(&cpus);
	return n + 2 < 8 ? n + 2 : 8;
}

int loop_start(struct front *f)
{
	unsigned int n = f->options->threads > 0 ? f->options->threads : default_threads();
	int r = 0;

	f->workers = calloc(n, sizeof(*f->workers));
	if (f->workers == NULL)
		return -ENOMEM;
	/* One for this function, so that workers that end at once do not count as the last. */
	atomic_store(&f->running, 1);
	for (f->n_workers = 0; f->n_workers < n; f->n_workers++) {
		struct worker *w = &f->workers[f->n_workers];

		w->front = f;
		atomic_fetch_add(&f->running, 1);
		r = pthread_create(&w->thread, NULL, worker_main, w);
		if (r != 0) {
			atomic_fetch_sub(&f->running, 1);
			break;
		}
	}
	if (atomic_fetch_sub(&f->running, 1) == 1)
		eventfd_write(f->done_fd, 1);
	if (r != 0 && f->n_workers > 0)
		log_warn("only %u of %u threads could be started", f->n_workers, n);
	return f->n_workers > 0 ? 0 : -r;
}

void loop_stop(struct front *f)
{
	struct timespec pause = {.tv_nsec = 5 * 1000 * 1000};

	atomic_store(&f->stop, true);
	/* A worker may be between its look at `stop` and its read(2): wake it until it is gone. */
	while (f->n_workers > 0 && atomic_load(&f->running) > 0) {
		for (unsigned int i = 0; i < f->n_workers; i++)
			control_wake(f->workers[i].thread);
		nanosleep(&pause, NULL);
	}
	for (unsigned int i = 0; i < f->n_workers; i++)
		pthread_join(f->workers[i].thread, NULL);
	free(f->workers);
	f->workers = NULL;
	f->n_workers = 0;
}
