/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's log: one line an event, to stderr or, once detached, to syslog. */
#ifndef PLYFS_BASE_LOG_H
#define PLYFS_BASE_LOG_H

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum log_target { LOG_TARGET_STDERR, LOG_TARGET_SYSLOG };

/* Lines above LEVEL are dropped. Default: WARN. Any thread. */
void log_set_level(enum log_level level);
enum log_level log_level(void);

/* Where lines go. Default: stderr. Call before threads start or after a fork. */
void log_set_target(enum log_target target);

/*
 * Writes one line (the newline is added, control characters in it are escaped so that a file name
 * cannot forge a line). Never blocks for long, never fails, keeps errno. More than 20 lines within
 * a second from one call site are dropped and counted in the next line of that site.
 */
struct log_site {
	long second;
	unsigned int count;
	unsigned int dropped;
};
void log_write(struct log_site *site, enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#define log_at_(level, ...)                                                                        \
	do {                                                                                       \
		static struct log_site log_site_;                                                  \
		if ((level) <= log_level())                                                        \
			log_write(&log_site_, (level), __VA_ARGS__);                               \
	} while (0)
#define log_error(...) log_at_(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...)  log_at_(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...)  log_at_(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_at_(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
