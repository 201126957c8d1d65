/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's log: one line an event, bounded in length and in rate. */
#include "base/log.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#define LOG_LINES_A_SECOND 20
/* A line fits PIPE_BUF, so that lines of several processes on one pipe do not mix. */
#define LOG_TEXT_MAX 1000
#define LOG_LINE_MAX 4096
/* How long a full pipe on stderr may hold up the caller. */
#define LOG_WAIT_MS 50

static int current_level = LOG_LEVEL_WARN;
static int current_target = LOG_TARGET_STDERR;

static const struct {
	const char *name;
	int priority; /* syslog's */
} levels[] = {
	[LOG_LEVEL_ERROR] = {"error", LOG_ERR},
	[LOG_LEVEL_WARN] = {"warning", LOG_WARNING},
	[LOG_LEVEL_INFO] = {"info", LOG_INFO},
	[LOG_LEVEL_DEBUG] = {"debug", LOG_DEBUG},
};

void log_set_level(enum log_level level)
{
	__atomic_store_n(&current_level, (int)level, __ATOMIC_RELAXED);
}

enum log_level log_level(void)
{
	return (enum log_level)__atomic_load_n(&current_level, __ATOMIC_RELAXED);
}

void log_set_target(enum log_target target)
{
	if (target == LOG_TARGET_SYSLOG)
		openlog("plyfs", LOG_PID | LOG_NDELAY, LOG_DAEMON);
	else if (__atomic_load_n(&current_target, __ATOMIC_RELAXED) == LOG_TARGET_SYSLOG)
		closelog();
	__atomic_store_n(&current_target, (int)target, __ATOMIC_RELAXED);
}

/* Whether SITE may write now, and how many of its lines were dropped since it last did. */
static bool admit(struct log_site *site, unsigned int *ret_dropped)
{
	struct timespec now = {0};
	long then = __atomic_load_n(&site->second, __ATOMIC_RELAXED);

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	if (then != now.tv_sec &&
	    __atomic_compare_exchange_n(&site->second, &then, now.tv_sec, false, __ATOMIC_RELAXED,
					__ATOMIC_RELAXED))
		__atomic_store_n(&site->count, 0, __ATOMIC_RELAXED);
	if (__atomic_fetch_add(&site->count, 1, __ATOMIC_RELAXED) >= LOG_LINES_A_SECOND) {
		__atomic_fetch_add(&site->dropped, 1, __ATOMIC_RELAXED);
		return false;
	}
	*ret_dropped = __atomic_exchange_n(&site->dropped, 0, __ATOMIC_RELAXED);
	return true;
}

/*
 * Copies TEXT with control characters and backslashes escaped. TO holds four bytes for each byte
 * of TEXT and one more.
 */
static void escape(const char *text, char *to)
{
	static const char hex[] = "0123456789abcdef";

	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '\\') {
			*to++ = '\\';
			*to++ = '\\';
		} else if (c < 0x20 || c == 0x7f) {
			*to++ = '\\';
			*to++ = 'x';
			*to++ = hex[c >> 4];
			*to++ = hex[c & 15];
		} else {
			*to++ = (char)c;
		}
	}
	*to = '\0';
}

/*
 * A reader that has stopped reading costs a little time and then the line; one that has gone is not
 * written to, because that would raise SIGPIPE.
 */
static void write_stderr(const char *line, size_t len)
{
	struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};

	if (poll(&p, 1, LOG_WAIT_MS) != 1 || (p.revents & (POLLERR | POLLNVAL)) != 0)
		return;
	/* The result is used only to please the compiler: there is nowhere left to complain to. */
	if (write(STDERR_FILENO, line, len) < 0)
		return;
}

static void emit(enum log_level level, const char *text, unsigned int dropped)
{
	char note[64] = "";
	char line[LOG_LINE_MAX];
	int n;

	if (dropped > 0)
		snprintf(note, sizeof(note), " (%u lines like this one were dropped)", dropped);
	if (__atomic_load_n(&current_target, __ATOMIC_RELAXED) == LOG_TARGET_SYSLOG) {
		syslog(levels[level].priority, "%s%s", text, note);
		return;
	}
	n = snprintf(line, sizeof(line), "plyfs: %s: %s%s\n", levels[level].name, text, note);
	if (n > 0 && (size_t)n < sizeof(line))
		write_stderr(line, (size_t)n);
}

void log_write(struct log_site *site, enum log_level level, const char *fmt, ...)
{
	int saved_errno = errno;
	unsigned int dropped = 0;
	char raw[LOG_TEXT_MAX];
	char text[4 * LOG_TEXT_MAX + 1];
	va_list ap;
	int n;

	if (!admit(site, &dropped))
		return;
	errno = saved_errno; /* for %m */
	va_start(ap, fmt);
	n = vsnprintf(raw, sizeof(raw), fmt, ap);
	va_end(ap);
	if (n >= (int)sizeof(raw))
		memcpy(raw + sizeof(raw) - 4, "...", 4);
	if (n >= 0) {
		escape(raw, text);
		emit(level, text, dropped);
	}
	errno = saved_errno;
}
