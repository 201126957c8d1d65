/* SPDX-License-Identifier: Apache-2.0 */
/* Findings, notes and progress. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include "tool/private.h"

/* No path of a tree that is in order has more; in one that is not, names may run in circles. */
#define DEPTH_MAX 4096

/* Puts a name before what is at *AT, as far as there is room; control characters in hex. */
static bool prepend(char *text, size_t *at, const char *name, size_t len)
{
	for (size_t i = len; i-- > 0;) {
		unsigned char c = (unsigned char)name[i];
		char hex[5];
		size_t n = 1;

		if (c < 0x20 || c == 0x7f || c == '\\') {
			snprintf(hex, sizeof(hex), "\\x%02x", c);
			n = 4;
		} else {
			hex[0] = (char)c;
		}
		if (*at < n + 4)
			return false;
		*at -= n;
		memcpy(text + *at, hex, n);
	}
	return true;
}

/* The path of the directory INO before *AT; false when it is not known. */
static bool prepend_path(const struct fsck *f, uint64_t ino, char *text, size_t *at)
{
	for (int depth = 0; ino != CATALOG_ROOT_INO; depth++) {
		const struct node *n = find_node(f, ino);
		size_t len;
		const char *name;

		if (n == NULL || n->up == 0 || depth == DEPTH_MAX)
			return false;
		name = name_of_node(f, n, &len);
		if (!prepend(text, at, name, len) || *at < 5) {
			*at -= 4;
			memcpy(text + *at, "/...", 4);
			return true;
		}
		text[--*at] = '/';
		ino = n->up;
	}
	return true;
}

struct place_text place_of(const struct fsck *f, uint64_t ino)
{
	struct place_text place;
	size_t at = sizeof(place.text) - 1;

	place.text[at] = '\0';
	if (ino == CATALOG_ROOT_INO)
		place.text[--at] = '/';
	if (prepend_path(f, ino, place.text, &at))
		memmove(place.text, place.text + at, sizeof(place.text) - at);
	else
		snprintf(place.text, sizeof(place.text), "inode %" PRIu64, ino);
	return place;
}

struct place_text place_of_name(const struct fsck *f, uint64_t parent, const char *name, size_t len)
{
	struct place_text place;
	size_t at = sizeof(place.text) - 1;
	char dir[48];

	place.text[at] = '\0';
	(void)prepend(place.text, &at, name, len);
	place.text[--at] = '/';
	if (!prepend_path(f, parent, place.text, &at)) {
		at = sizeof(place.text) - 1;
		(void)prepend(place.text, &at, name, len);
		place.text[--at] = '/';
		snprintf(dir, sizeof(dir), "inode %" PRIu64, parent);
		if (at > sizeof(dir)) {
			at -= strlen(dir);
			memcpy(place.text + at, dir, strlen(dir));
		}
	}
	memmove(place.text, place.text + at, sizeof(place.text) - at);
	return place;
}

/* A terminal's progress line must not stay in front of a finding. */
static void wipe(struct fsck *f)
{
	if (f->options->progress != NULL && f->shown.tv_sec != 0)
		fprintf(f->options->progress, "\r\033[K");
}

int found(struct fsck *f, const struct place_text *place, const char *fix, const char *what, ...)
{
	FILE *out = f->options->out;
	va_list args;
	int r = 0;

	if (f->repair && fix != NULL && f->batch.n > 0)
		r = catalog_commit(f->catalog, &f->batch);
	batch_begin(&f->batch, f->catalog);
	wipe(f);
	fprintf(out, "%s: %s: ", f->pass, place->text);
	va_start(args, what);
	vfprintf(out, what, args);
	va_end(args);
	if (fix == NULL)
		fprintf(out, "; cannot be mended\n");
	else if (r < 0)
		fprintf(out, "; %s: failed: %s\n", fix, strerror(-r));
	else
		fprintf(out, "; %s%s\n", fix, f->repair ? ": done" : "");
	if (f->repair && fix != NULL && r == 0)
		f->fixed++;
	else
		f->left++;
	return r;
}

void note(struct fsck *f, const char *text, ...)
{
	va_list args;

	wipe(f);
	fprintf(f->options->out, "%s: note: ", f->pass);
	va_start(args, text);
	vfprintf(f->options->out, text, args);
	va_end(args);
	fputc('\n', f->options->out);
}

static void show_progress(struct fsck *f)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (now.tv_sec == f->shown.tv_sec && now.tv_nsec - f->shown.tv_nsec < 100000000)
		return;
	f->shown = now;
	fprintf(f->options->progress, "\r%s: %" PRIu64 "\033[K", f->pass, f->stepped);
	fflush(f->options->progress);
}

static int count_step(struct fsck *f, uint64_t at_once)
{
	f->stepped++;
	if (f->options->cancelled != NULL && *f->options->cancelled)
		return -ECANCELED;
	if (f->options->progress != NULL && f->stepped % at_once == 0)
		show_progress(f);
	return 0;
}

int step(struct fsck *f)
{
	return count_step(f, 1024);
}

int step_long(struct fsck *f)
{
	return count_step(f, 1);
}

void progress_end(struct fsck *f)
{
	wipe(f);
	f->shown = (struct timespec){0};
	f->stepped = 0;
}
