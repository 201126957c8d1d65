/* SPDX-License-Identifier: Apache-2.0 */
/* A line that tells how far long work is, on a terminal. */
#include "tool/progress.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tool/columns.h"

#define INTERVAL_NSEC 100000000
#define WHAT_MAX      256
/* Of a rate as fresh as this many seconds. */
#define SMOOTH 3.0

/* ---- the line ---- */

/* The parts behind the bar, in the order in which they are shown. */
struct parts {
	char percent[16], bytes[80], rate[48], remaining[32];
};

static void put_remaining(char *text, size_t size, double seconds)
{
	const uint64_t s = seconds < 359999 ? (uint64_t)(seconds + 0.5) : 359999;

	if (s >= 3600)
		snprintf(text, size, " %" PRIu64 ":%02u:%02u left", s / 3600,
			 (unsigned int)(s / 60 % 60), (unsigned int)(s % 60));
	else
		snprintf(text, size, " %u:%02u left", (unsigned int)(s / 60),
			 (unsigned int)(s % 60));
}

static void describe(struct parts *p, const struct progress_view *v)
{
	char done[32], total[32];

	*p = (struct parts){0};
	format_size(done, v->done);
	if (v->total > 0) {
		snprintf(p->percent, sizeof(p->percent), " %3.0f%%",
			 v->done < v->total ? (double)v->done * 100 / (double)v->total : 100);
		snprintf(p->bytes, sizeof(p->bytes), " %s of %s", done,
			 format_size(total, v->total));
	} else {
		snprintf(p->bytes, sizeof(p->bytes), " %s", done);
	}
	if (v->rate <= 0)
		return;
	snprintf(p->rate, sizeof(p->rate), " %s/s",
		 format_size(done, v->rate < 1e18 ? (uint64_t)v->rate : (uint64_t)1e18));
	if (v->total > v->done)
		put_remaining(p->remaining, sizeof(p->remaining),
			      (double)(v->total - v->done) / v->rate);
}

/* Columns of TEXT, of which each character takes one. */
static size_t width(const char *text)
{
	size_t n = 0;

	for (; *text != '\0'; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

/* At most ROOM columns of what is done: the end of a long one, which says which layer it is. */
static size_t put_what(FILE *out, const char *what, size_t room)
{
	size_t n = width(what), dots = room >= 3 ? 3 : room;

	if (n <= room) {
		print_clean(out, what);
		return n;
	}
	/* What goes on with a character that is not there belongs to none. */
	while (((unsigned char)*what & 0xc0) == 0x80)
		what++;
	for (size_t skip = n - (room - dots); skip > 0; skip--)
		for (what++; ((unsigned char)*what & 0xc0) == 0x80;)
			what++;
	fprintf(out, "%.*s", (int)dots, "...");
	print_clean(out, what);
	return room;
}

static void put_bar(FILE *out, const struct progress_view *v, size_t cells)
{
	const size_t inner = cells - 2;
	size_t full = v->done < v->total
			      ? (size_t)((double)v->done / (double)v->total * (double)inner)
			      : inner;

	fputs(" [", out);
	for (size_t i = 1; i < inner; i++)
		fputc(i <= full ? '=' : i == full + 1 ? '>' : ' ', out);
	fputc(']', out);
}

void progress_put(FILE *out, const struct progress_view *v)
{
	/* The bar gives way first, then these from the last to the first. */
	enum { BAR_MIN = 12, BAR_MAX = 42, WHAT_MIN = 12 };
	struct parts p;
	char *const parts[] = {p.percent, p.bytes, p.rate, p.remaining};
	size_t used = 0, n = 4, what = width(v->what);

	describe(&p, v);
	for (size_t i = 0; i < n; i++)
		used += strlen(parts[i]);
	what = what < WHAT_MIN ? what : WHAT_MIN;
	while (n > 0 && used + what > v->width) {
		used -= strlen(parts[--n]);
		parts[n][0] = '\0';
	}
	if (used > v->width)
		used = 0;
	used += put_what(out, v->what,
			 v->total > 0 && v->width - used > 40 + BAR_MIN ? v->width - used - BAR_MIN
									: v->width - used);
	if (v->total > 0 && v->width - used >= BAR_MIN)
		put_bar(out, v, v->width - used < BAR_MAX ? v->width - used : BAR_MAX);
	for (size_t i = 0; i < n; i++)
		fputs(parts[i], out);
}

/* ---- the terminal ---- */

/* One process has one terminal. */
static bool shown, off;
static int64_t last_nsec;

/* The work that is shown. */
static struct {
	char what[WHAT_MAX];
	int64_t nsec;  /* when it was looked at last */
	uint64_t done; /* then */
	double rate;
} work;

static int64_t now_nsec(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* The rate follows what is fast now, but does not jump about. */
static double measure(const char *what, uint64_t done, int64_t now)
{
	double seconds = (double)(now - work.nsec) / 1e9, rate, weight;

	if (strncmp(work.what, what, WHAT_MAX - 1) != 0 || done < work.done) {
		snprintf(work.what, sizeof(work.what), "%s", what);
		work.nsec = now;
		work.done = done;
		work.rate = 0;
		return 0;
	}
	/* At first a moment says too little. */
	if (seconds < (work.rate > 0 ? 0.1 : 0.5))
		return work.rate;
	rate = (double)(done - work.done) / seconds;
	weight = work.rate > 0 && seconds < SMOOTH ? seconds / SMOOTH : 1;
	work.rate += (rate - work.rate) * weight;
	work.nsec = now;
	work.done = done;
	return work.rate;
}

/* Without the last column, from which some terminals go to the next line. */
static unsigned int columns_of_terminal(void)
{
	struct winsize size;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col < 2)
		return 79;
	return size.ws_col < 512 ? size.ws_col - 1u : 511;
}

/* What comes out goes to another program, which may have the same terminal: a pager. */
static bool is_piped(void)
{
	struct stat st;

	return fstat(STDOUT_FILENO, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode));
}

static bool can_show(void)
{
	const char *term = getenv("TERM");

	return !is_piped() && isatty(STDERR_FILENO) && (term == NULL || strcmp(term, "dumb") != 0);
}

void progress_line_show(void *arg, const char *what, uint64_t done, uint64_t total)
{
	struct progress_view v = {.what = what, .done = done, .total = total};
	int64_t now;

	(void)arg;
	if (off)
		return;
	now = now_nsec();
	/* What is done within a moment needs no line. */
	if (last_nsec == 0)
		last_nsec = now;
	if (work.what[0] == '\0')
		(void)measure(what, done, now);
	if (now - last_nsec < INTERVAL_NSEC)
		return;
	last_nsec = now;
	if (!can_show())
		return;
	v.rate = measure(what, done, now);
	v.width = columns_of_terminal();
	fputs("\r\033[K", stderr);
	progress_put(stderr, &v);
	fflush(stderr);
	shown = true;
}

void progress_line_off(void)
{
	off = true;
}

void progress_line_end(void)
{
	if (shown)
		fputs("\r\033[K", stderr);
	shown = false;
}
