/* SPDX-License-Identifier: Apache-2.0 */
/* A directory as a power cut leaves it, from the record. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit/faults/faults.h"
#include "unit/faults/record.h"

/*
 * The rules, which are what Linux' file systems have in common and no more:
 *
 * - What was written is durable after an fsync or fdatasync of the file, or a syncfs, that returned 0.
 *   Before that any part of it may be: here, any of its pages. A length may be old or new; where a file
 *   became longer and the bytes did not come, there are zeros.
 * - A flush that fails loses everything that was written to the file since the last one, for good: the
 *   kernel calls the pages clean, and the next flush returns 0 without them.
 * - A name is durable after an fsync of its directory, not of the file. Before that the changes of a
 *   directory become durable in order.
 * - A file that is renamed into another directory is not gone from the old one before it is in the new one, unless
 *   the old one was flushed, and it alone.
 */

#define PAGE 4096

struct file {
	uint8_t *bytes;
	uint64_t size;
	size_t *pending; /* owned: numbers of events */
	size_t n_pending;
	size_t lucky; /* of a directory: so many of them become durable */
	struct {
		char *name;
		unsigned int object;
	} * names; /* owned; of a directory */
	size_t n_names;
};

struct disk {
	struct file *files;
	bool *done; /* by event: it is durable */
	enum cut_mode mode;
	uint64_t state;
};

static unsigned int chance(struct disk *d, unsigned int n)
{
	d->state = d->state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned int)((d->state >> 33) % n);
}

/* ---- applying an event to the durable state ------------------------------------------ */

static void set_size(struct file *f, uint64_t size)
{
	f->bytes = realloc(f->bytes, size + 1);
	if (size > f->size)
		memset(f->bytes + f->size, 0, size - f->size);
	f->size = size;
}

static void put_bytes(struct file *f, const struct event *e, uint64_t from, uint64_t to)
{
	uint64_t end = e->bytes != NULL || to < f->size ? to : f->size;

	if (end > f->size)
		set_size(f, end);
	if (from >= end)
		return;
	if (e->bytes != NULL)
		memcpy(f->bytes + from, e->bytes + (from - e->off), end - from);
	else
		memset(f->bytes + from, 0, end - from);
}

static size_t find_name(const struct file *f, const char *name)
{
	size_t i = 0;

	while (i < f->n_names && strcmp(f->names[i].name, name) != 0)
		i++;
	return i;
}

static void put_name(struct file *dir, const struct event *e)
{
	size_t i = find_name(dir, e->name);

	if (e->kind == EVENT_UNNAME) {
		if (i < dir->n_names)
			dir->names[i] = dir->names[--dir->n_names];
		return;
	}
	if (i == dir->n_names) {
		dir->names = realloc(dir->names, (i + 1) * sizeof(*dir->names));
		dir->n_names++;
	}
	dir->names[i].name = e->name;
	dir->names[i].object = e->object;
}

static void put_event(struct file *f, const struct event *e)
{
	if (e->kind == EVENT_WRITE)
		put_bytes(f, e, e->off, e->off + e->len);
	else if (e->kind == EVENT_LENGTH)
		set_size(f, e->off);
	else
		put_name(f, e);
}

/* ---- flushes ------------------------------------------------------------------------- */

static void flush(struct disk *d, struct file *f, bool failed)
{
	for (size_t i = 0; i < f->n_pending; i++) {
		const struct event *e = &record.events[f->pending[i]];

		if (!failed || e->kind != EVENT_WRITE || e->forced)
			put_event(f, e);
		d->done[f->pending[i]] = true;
	}
	f->n_pending = 0;
}

static void add_pending(struct file *f, size_t event)
{
	f->pending = realloc(f->pending, (f->n_pending + 1) * sizeof(*f->pending));
	f->pending[f->n_pending++] = event;
}

static void replay(struct disk *d, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct event *e = &record.events[i];

		switch (e->kind) {
		case EVENT_WRITE:
		case EVENT_LENGTH:
			add_pending(&d->files[e->object], i);
			break;
		case EVENT_NAME:
		case EVENT_UNNAME:
			add_pending(&d->files[e->dir], i);
			break;
		case EVENT_SYNC:
			/* Names are metadata: a failure does not make them clean. */
			if (!e->failed || !record.objects[e->object].dir)
				flush(d, &d->files[e->object], e->failed);
			break;
		case EVENT_SYNC_ALL:
			for (unsigned int f = 0; f < record.n_objects; f++) {
				if (!e->failed || !record.objects[f].dir)
					flush(d, &d->files[f], e->failed);
			}
			break;
		case EVENT_NOTHING:
			break;
		}
	}
}

/* ---- the moment of the cut ----------------------------------------------------------- */

static void lucky_pages(struct disk *d, struct file *f, const struct event *e, uint64_t below)
{
	uint64_t end = e->off + e->len < below ? e->off + e->len : below;
	uint64_t at = e->off;

	while (at < end) {
		uint64_t next = (at / PAGE + 1) * PAGE;

		if (next > end)
			next = end;
		if (e->forced || chance(d, 2))
			put_bytes(f, e, at, next);
		at = next;
	}
}

/*
 * Lengths change in order, up to a random one. A write behind a cut that did not come about cannot be
 * seen behind that length: the blocks there are still the old ones.
 */
static void lucky_bytes(struct disk *d, struct file *f)
{
	size_t lengths = chance(d, (unsigned int)f->n_pending + 1);
	uint64_t below = UINT64_MAX;

	for (size_t i = 0; i < f->n_pending; i++) {
		const struct event *e = &record.events[f->pending[i]];

		if (e->kind == EVENT_WRITE)
			lucky_pages(d, f, e, below);
		else if (i < lengths)
			set_size(f, e->off);
		else if (e->off < below)
			below = e->off;
	}
}

static void lucky(struct disk *d, struct file *f, bool dir)
{
	if (dir) {
		f->lucky = d->mode == CUT_ALL	   ? f->n_pending
			   : d->mode == CUT_RANDOM ? chance(d, (unsigned int)f->n_pending + 1)
						   : 0;
		return;
	}
	if (d->mode == CUT_RANDOM) {
		lucky_bytes(d, f);
		return;
	}
	for (size_t i = 0; i < f->n_pending; i++) {
		const struct event *e = &record.events[f->pending[i]];

		if (d->mode == CUT_ALL || e->forced)
			put_event(f, e);
	}
}

/* The next change of the directory F, if it may come now. */
static bool lucky_name(struct disk *d, struct file *f, size_t i)
{
	size_t event = f->pending[i];

	if (record.events[event].same_call && !d->done[event - 1])
		return false;
	put_event(f, &record.events[event]);
	d->done[event] = true;
	return true;
}

/* Those of directories wait for each other: see the rules. */
static void lucky_names(struct disk *d)
{
	size_t *next = calloc(record.n_objects, sizeof(*next));
	bool more = true;

	while (more) {
		more = false;
		for (unsigned int i = 0; i < record.n_objects; i++) {
			struct file *f = &d->files[i];

			while (record.objects[i].dir && next[i] < f->lucky &&
			       lucky_name(d, f, next[i])) {
				next[i]++;
				more = true;
			}
		}
	}
	free(next);
}

/* ---- making it ----------------------------------------------------------------------- */

static void make_file(const struct file *f, const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0 || pwrite(fd, f->bytes, f->size, 0) != (ssize_t)f->size)
		abort();
	close(fd);
}

static void make_dir(const struct disk *d, unsigned int dir, const char *path)
{
	const struct file *f = &d->files[dir];
	char below[4096];

	if (mkdir(path, 0755) < 0)
		abort();
	for (size_t i = 0; i < f->n_names; i++) {
		unsigned int object = f->names[i].object;

		snprintf(below, sizeof(below), "%s/%s", path, f->names[i].name);
		if (record.objects[object].dir)
			make_dir(d, object, below);
		else
			make_file(&d->files[object], below);
	}
}

/* How many events the first POINT calls are. */
static size_t events_of(size_t point)
{
	size_t i = 0, calls = 0;

	while (i < record.n_events && calls + !record.events[i].same_call <= point)
		calls += !record.events[i++].same_call;
	return i;
}

unsigned int faults_mark_at(size_t point)
{
	size_t n = events_of(point);

	return n > 0 ? record.events[n - 1].mark : 0;
}

void faults_cut(size_t point, enum cut_mode mode, uint64_t seed, const char *dest)
{
	struct disk d = {.mode = mode, .state = seed};

	d.files = calloc(record.n_objects, sizeof(*d.files));
	d.done = calloc(record.n_events + 1, sizeof(*d.done));
	for (unsigned int i = 0; i < record.n_objects; i++) {
		set_size(&d.files[i], record.objects[i].size);
		if (record.objects[i].bytes != NULL)
			memcpy(d.files[i].bytes, record.objects[i].bytes, d.files[i].size);
	}
	replay(&d, events_of(point));
	for (unsigned int i = 0; i < record.n_objects; i++)
		lucky(&d, &d.files[i], record.objects[i].dir);
	lucky_names(&d);
	make_dir(&d, 0, dest);
	for (unsigned int i = 0; i < record.n_objects; i++) {
		free(d.files[i].bytes);
		free(d.files[i].pending);
		free(d.files[i].names);
	}
	free(d.files);
	free(d.done);
}
