/* SPDX-License-Identifier: Apache-2.0 */
/* Buffers that a thread keeps from request to request. */
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "front/private.h"

struct scratch {
	void *bytes;
	size_t size;
	uint64_t *inos;
	size_t n_inos;
	struct scratch_pipe pipe;
};

static void drop(struct scratch_pipe *p)
{
	if (p->room == 0)
		return;
	close(p->in);
	close(p->out);
	p->room = 0;
}

void scratch_free(void *p)
{
	struct scratch *s = p;
	int before;

	if (s == NULL)
		return;
	/* libfuse may cancel a thread that is about to end anyway, and close(2) would end this, too. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
	drop(&s->pipe);
	pthread_setcancelstate(before, NULL);
	free(s->bytes);
	free(s->inos);
	free(s);
}

static struct scratch *scratch_get(struct front *f)
{
	struct scratch *s = pthread_getspecific(f->scratch_key);

	if (s != NULL)
		return s;
	s = calloc(1, sizeof(*s));
	if (s != NULL && pthread_setspecific(f->scratch_key, s) != 0)
		free(steal_ptr(&s));
	return s;
}

void *scratch_bytes(struct front *f, size_t size)
{
	struct scratch *s = scratch_get(f);

	if (s == NULL)
		return NULL;
	/* An empty answer needs a place too: NULL means that there is no memory. */
	if (s->bytes == NULL || s->size < size) {
		/* Most answers are small; one that is not asks for the largest there can be. */
		size_t want = size <= 65536 ? 65536 : (size + 4095) & ~(size_t)4095;
		void *bytes;

		if (size > 65536 && want < FRONT_MAX_WRITE)
			want = FRONT_MAX_WRITE;
		bytes = aligned_alloc(4096, want);
		if (bytes == NULL)
			return NULL;
		free(s->bytes);
		s->bytes = bytes;
		s->size = want;
	}
	return s->bytes;
}

uint64_t *scratch_inos(struct front *f, size_t n)
{
	struct scratch *s = scratch_get(f);

	if (s == NULL)
		return NULL;
	if (s->n_inos < n) {
		uint64_t *inos = reallocarray(NULL, n, sizeof(*inos));

		if (inos == NULL)
			return NULL;
		free(s->inos);
		s->inos = inos;
		s->n_inos = n;
	}
	return s->inos;
}

/* Those of a user have a limit together, and those of one that is reached only a page or two. */
static bool open_pipe(struct scratch_pipe *p, size_t size)
{
	int fds[2], room;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return false;
	p->out = fds[0];
	p->in = fds[1];
	room = fcntl(p->in, F_GETPIPE_SZ);
	if (room < (int)size)
		room = fcntl(p->in, F_SETPIPE_SZ, (int)size);
	p->room = room > 0 ? (size_t)room : 1;
	if (p->room >= size)
		return true;
	drop(p);
	return false;
}

const struct scratch_pipe *scratch_pipe(struct front *f, size_t size)
{
	struct scratch *s = scratch_get(f);
	struct scratch_pipe *p = s != NULL ? &s->pipe : NULL;

	/* What was refused once is not asked for again. */
	if (p == NULL || (p->lack != 0 && size >= p->lack))
		return NULL;
	if (p->room >= size)
		return p;
	drop(p);
	if (open_pipe(p, size))
		return p;
	p->lack = size;
	return NULL;
}

void scratch_pipe_drop(struct front *f)
{
	struct scratch *s = scratch_get(f);

	if (s != NULL)
		drop(&s->pipe);
}
