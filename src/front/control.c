/* SPDX-License-Identifier: Apache-2.0 */
/* Signals: the end on demand, and statistics. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>

#include "base/log.h"
#include "front/guard.h"
#include "front/private.h"

/* How long users of a mount that is busy keep their server after a signal to end. */
#define BUSY_MS 300

static void do_nothing(int sig)
{
}

void control_wake(pthread_t thread)
{
	pthread_kill(thread, SIGRTMIN);
}

static void init_handlers(void)
{
	struct sigaction wake = {.sa_handler = do_nothing}, ignore = {.sa_handler = SIG_IGN};

	/* No SA_RESTART: the read(2) of a worker is to return. */
	sigaction(SIGRTMIN, &wake, NULL);
	/* A closed pipe and RLIMIT_FSIZE are errors of one call, not the end of the daemon. */
	sigaction(SIGPIPE, &ignore, NULL);
	sigaction(SIGXFSZ, &ignore, NULL);
}

int control_init(struct front *f)
{
	sigset_t set;
	int r;

	init_handlers();
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR1);
	r = pthread_sigmask(SIG_BLOCK, &set, NULL);
	if (r != 0)
		return -r;
	f->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (f->signal_fd < 0)
		return -errno;
	f->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return f->done_fd < 0 ? -errno : 0;
}

/* Statistics are asked for: they go out whatever the log level, and however many lines. */
static void log_statistics(struct front *f)
{
	CLEANUP(buf) struct buf text = {0};
	char *save = NULL;

	buf_printf(&text, "mount %s\n", f->mountpoint);
	fs_to_text(f->fs, &text);
	front_stats_to_text(&f->stats, &text);
	passthrough_to_text(&f->passthrough, &text);
	lead_to_text(f, &text);
	if (buf_cstr(&text) == NULL)
		return;
	for (char *line = strtok_r((char *)text.data, "\n", &save); line != NULL;
	     line = strtok_r(NULL, "\n", &save)) {
		struct log_site site = {0};

		log_write(&site, LOG_LEVEL_WARN, "%s", line);
	}
}

/* Returns the signal that asks for the end, or 0. */
static int read_signals(struct front *f)
{
	struct signalfd_siginfo info;

	while (read(f->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo != SIGUSR1)
			return (int)info.ssi_signo;
		/* Takes locks of the file system, and writes who knows where. */
		guard_leave(f);
		log_statistics(f);
		guard_watch(f);
	}
	return 0;
}

int control_await_init(struct front *f)
{
	CLEANUP(loop_buf) struct loop_buf b = {0};
	struct pollfd fds[] = {
		{.fd = f->signal_fd, .events = POLLIN},
		{.fd = fuse_session_fd(f->session), .events = POLLIN},
	};
	int r = loop_buf_init(&b);

	if (r < 0)
		return r;
	/* A kernel with another major version asks twice. */
	while (!f->init_done) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return -errno;
		if (fds[0].revents != 0 && read_signals(f) != 0)
			return -ECANCELED;
		if (fds[1].revents != 0 && loop_step(f, &b) == 0)
			return -ENODEV;
		if (fuse_session_exited(f->session))
			return -EPROTO;
	}
	return 0;
}

/*
 * True when the workers have ended within TIMEOUT_MS (-1: for ever) or a signal to end came: *RET_SIG. False then, but also
 * whenever something else had to be done.
 */
static bool wait_event(struct front *f, int timeout_ms, int *ret_sig)
{
	struct pollfd fds[] = {
		{.fd = f->done_fd, .events = POLLIN},
		{.fd = f->signal_fd, .events = POLLIN},
		{.fd = f->lead.timer_fd, .events = POLLIN},
	};

	*ret_sig = 0;
	if (poll(fds, 3, timeout_ms) <= 0)
		return false;
	if (fds[2].revents != 0)
		guard_turn(f);
	if (fds[1].revents != 0)
		*ret_sig = read_signals(f);
	return fds[0].revents != 0 || *ret_sig != 0;
}

/* Users of a busy mount go on; the guard, and whoever asks for statistics, do not end that. */
static void wait_grace(struct front *f)
{
	uint64_t now = lead_now(), end = now + BUSY_MS * PACE_MS;
	int sig;

	/* One more: the rest of a millisecond is not to be spun through. */
	while (now < end && !wait_event(f, (int)((end - now) / PACE_MS) + 1, &sig))
		now = lead_now();
}

void control_run(struct front *f)
{
	int sig;

	guard_watch(f);
	while (!wait_event(f, -1, &sig))
		;
	if (sig != 0) {
		log_info("signal %d: unmounting %s", sig, f->mountpoint);
		guard_settle(f);
		mount_detach(f);
		wait_grace(f);
	}
	loop_stop(f);
}
