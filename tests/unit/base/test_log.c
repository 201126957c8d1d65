/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of base/log: what reaches stderr and syslog. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "support/timed.h"
#include "unit/base/fixture.h"

static char text[1 << 20];
static int real_stderr, pipe_fds[2];

/* Stderr goes into a pipe from here to captured(). */
static void capture(void)
{
	cr_assert_eq(pipe(pipe_fds), 0);
	fcntl(pipe_fds[0], F_SETFL, O_NONBLOCK);
	fcntl(pipe_fds[1], F_SETPIPE_SZ, 1 << 20);
	fflush(stderr);
	real_stderr = dup(STDERR_FILENO);
	cr_assert_geq(real_stderr, 0);
	dup2(pipe_fds[1], STDERR_FILENO);
}

static const char *captured(void)
{
	size_t len = 0;
	ssize_t n;

	dup2(real_stderr, STDERR_FILENO);
	close(real_stderr);
	close(pipe_fds[1]);
	while ((n = read(pipe_fds[0], text + len, sizeof(text) - 1 - len)) > 0)
		len += (size_t)n;
	close(pipe_fds[0]);
	text[len] = '\0';
	return text;
}

static unsigned int count_lines(const char *s)
{
	unsigned int n = 0;

	for (; *s != '\0'; s++)
		n += *s == '\n';
	return n;
}

Test(log, lines_are_named_and_ended)
{
	capture();
	log_error("disk %s: %d", "sda", 3);
	log_warn("slow");
	cr_assert_str_eq(captured(), "plyfs: error: disk sda: 3\nplyfs: warning: slow\n");
}

Test(log, the_level_decides)
{
	cr_assert_eq(log_level(), LOG_LEVEL_WARN);
	capture();
	log_info("not shown");
	log_debug("not shown");
	log_set_level(LOG_LEVEL_DEBUG);
	log_info("i");
	log_debug("d");
	log_set_level(LOG_LEVEL_ERROR);
	log_warn("not shown");
	log_error("e");
	cr_assert_str_eq(captured(), "plyfs: info: i\nplyfs: debug: d\nplyfs: error: e\n");
}

Test(log, a_file_name_cannot_forge_a_line)
{
	capture();
	log_warn("name %s", "a\nplyfs: error: b\r\x1b[2J\x7f\\x\t");
	cr_assert_str_eq(
		captured(),
		"plyfs: warning: name a\\x0aplyfs: error: b\\x0d\\x1b[2J\\x7f\\\\x\\x09\n");
}

Test(log, utf8_is_left_alone)
{
	capture();
	log_warn("%s", "\xc3\xa9t\xc3\xa9");
	cr_assert_str_eq(captured(), "plyfs: warning: \xc3\xa9t\xc3\xa9\n");
}

Test(log, long_texts_are_cut)
{
	static char longest[5000];
	const char *line;

	memset(longest, '\n', sizeof(longest) - 1);
	capture();
	log_warn("%s", longest);
	line = captured();
	cr_assert_eq(count_lines(line), 1);
	cr_assert_leq(strlen(line), 4096);
	cr_assert_str_eq(line + strlen(line) - 8, "\\x0a...\n");
}

Test(log, errno_is_kept_and_may_be_printed)
{
	capture();
	errno = ENOSPC;
	log_warn("%m");
	cr_assert_eq(errno, ENOSPC);
	cr_assert_str_eq(captured(), "plyfs: warning: No space left on device\n");
}

Test(log, a_flood_is_cut_and_counted)
{
	struct log_site site = {0};
	unsigned int lines;
	char expected[100];

	capture();
	for (int i = 0; i < 500; i++)
		log_write(&site, LOG_LEVEL_WARN, "flood");
	lines = count_lines(captured());
	/* Twenty, or a few times that when seconds went by meanwhile. */
	cr_assert_geq(lines, 20);
	cr_assert_leq(lines, 200);
	cr_assert_eq(lines % 20, 0);

	site.second = -1; /* a second goes by */
	lines = site.dropped;
	cr_assert_gt(lines, 0);
	capture();
	log_write(&site, LOG_LEVEL_WARN, "flood");
	snprintf(expected, sizeof(expected),
		 "plyfs: warning: flood (%u lines like this one were dropped)\n", lines);
	cr_assert_str_eq(captured(), expected);
	cr_assert_eq(site.dropped, 0);
}

Test(log, sites_do_not_share_their_limit)
{
	capture();
	for (int i = 0; i < 20; i++)
		log_warn("one");
	log_warn("two");
	cr_assert_eq(count_lines(captured()), 21);
}

Test(log, a_gone_reader_does_not_kill)
{
	int saved = dup(STDERR_FILENO);
	int fds[2];

	signal(SIGPIPE, SIG_DFL);
	cr_assert_eq(pipe(fds), 0);
	dup2(fds[1], STDERR_FILENO);
	close(fds[0]);
	close(fds[1]);
	log_error("nobody reads this");
	close(STDERR_FILENO);
	log_error("nor this");
	dup2(saved, STDERR_FILENO);
	close(saved);
}

TIMED_TEST(log, a_full_pipe_does_not_hang, 20)
{
	struct timespec before, after;
	static char fill[65536];

	capture();
	fcntl(pipe_fds[1], F_SETFL, O_NONBLOCK);
	while (write(pipe_fds[1], fill, sizeof(fill)) > 0)
		;
	fcntl(pipe_fds[1], F_SETFL, 0);
	clock_gettime(CLOCK_MONOTONIC, &before);
	log_error("no room");
	clock_gettime(CLOCK_MONOTONIC, &after);
	captured();
	cr_assert_leq(after.tv_sec - before.tv_sec, 2);
}

#define N_THREADS 8

static struct log_site shared_site;

static void *flood(void *arg)
{
	(void)arg;
	for (int i = 0; i < 500; i++) {
		log_write(&shared_site, LOG_LEVEL_WARN, "from a thread");
		log_set_level(log_level());
	}
	return NULL;
}

Test(log, threads_share_a_site)
{
	pthread_t threads[N_THREADS];
	const char *all;

	capture();
	for (int i = 0; i < N_THREADS; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, flood, NULL), 0);
	for (int i = 0; i < N_THREADS; i++)
		pthread_join(threads[i], NULL);
	all = captured();
	cr_assert_geq(count_lines(all), 20);
	cr_assert_leq(count_lines(all), 2000);
	for (const char *line = all; *line != '\0'; line = strchr(line, '\n') + 1)
		cr_assert_eq(strncmp(line, "plyfs: warning: from a thread", 29), 0);
}

/* A /dev of our own with a socket where syslogd's would be. */
static int fake_syslogd(void)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX, .sun_path = "/dev/log"};
	struct timeval patience = {.tv_sec = 5};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	cr_assert_geq(fd, 0);
	if (!private_mounts() || mount("none", "/dev", "tmpfs", 0, NULL) < 0)
		cr_skip_test("no mount namespace here");
	cr_assert_eq(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return fd;
}

TIMED_TEST(log, detached_lines_go_to_syslog, 20)
{
	int fd = fake_syslogd();
	char line[1000];
	ssize_t n;

	capture();
	log_set_target(LOG_TARGET_SYSLOG);
	log_error("to %s", "sys\nlog");
	log_set_target(LOG_TARGET_STDERR);
	log_error("to stderr");
	cr_assert_str_eq(captured(), "plyfs: error: to stderr\n");
	n = recv(fd, line, sizeof(line) - 1, 0);
	cr_assert_gt(n, 0);
	line[n] = '\0';
	cr_assert_eq(strncmp(line, "<27>", 4), 0, "%s", line);
	cr_assert_not_null(strstr(line, " plyfs["), "%s", line);
	cr_assert_not_null(strstr(line, "]: to sys\\x0alog"), "%s", line);
	close(fd);
}
