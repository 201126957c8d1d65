/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a mount: made, served, gone. */
#include "front/session.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/sys.h"
#include "base/sys_sched.h"
#include "front/private.h"

/* What libfuse says while it serves goes where everything else goes. */
static void libfuse_log(enum fuse_log_level level, const char *fmt, va_list ap)
	__attribute__((format(printf, 2, 0)));

static void libfuse_log(enum fuse_log_level level, const char *fmt, va_list ap)
{
	char line[512];

	vsnprintf(line, sizeof(line), fmt, ap);
	line[strcspn(line, "\n")] = '\0';
	if (level == FUSE_LOG_DEBUG) {
		struct log_site unlimited = {0};

		if (log_level() >= LOG_LEVEL_DEBUG)
			log_write(&unlimited, LOG_LEVEL_DEBUG, "%s", line);
	} else if (level >= FUSE_LOG_NOTICE) {
		log_info("libfuse: %s", line);
	} else {
		log_warn("libfuse: %s", line);
	}
}

static int front_new(struct fs *fs, const struct front_options *options, struct front **ret_front)
{
	struct front *f = calloc(1, sizeof(*f));
	int r;

	if (f == NULL)
		return -ENOMEM;
	f->fs = fs;
	f->options = options;
	f->first_userns = sys_in_first_userns(0) > 0;
	f->signal_fd = -1;
	f->done_fd = -1;
	f->lead.timer_fd = -1;
	plus_init(&f->plus);
	r = opens_init(&f->passthrough.opens);
	if (r == 0)
		r = -pthread_key_create(&f->scratch_key, scratch_free);
	if (r < 0) {
		opens_done(&f->passthrough.opens);
		plus_done(&f->plus);
		free(f);
		return r;
	}
	*ret_front = f;
	return 0;
}

/* Before anybody is told of a mount: one without threads would answer nothing. */
static int make_threads(struct front *f, struct err *err)
{
	int r = loop_prepare(f);

	if (r == -EAGAIN)
		return err_set(err, EAGAIN, "cannot start a thread: " FRONT_NO_MORE);
	return r < 0 ? err_errno(err, -r, "cannot start a thread") : 0;
}

int front_open(struct fs *fs, const struct front_options *options, struct front **ret_front,
	       struct err *err)
{
	CLEANUP(front) struct front *f = NULL;
	int r = front_new(fs, options, &f);

	if (r < 0)
		return err_errno(err, -r, "cannot mount on %s", options->mountpoint);
	r = passthrough_check(options, fs_read_only(fs), err);
	if (r == 0)
		r = mount_session(f, err);
	if (r < 0)
		return r;
	r = control_init(f);
	if (r < 0)
		return err_errno(err, -r, "cannot receive signals");
	r = make_threads(f, err);
	if (r < 0)
		return r;
	fuse_set_log_func(libfuse_log);
	*ret_front = steal_ptr(&f);
	return 0;
}

static void *await_init_idle(void *arg)
{
	sys_sched_idle(0, true);
	return (void *)(intptr_t)control_await_init(arg);
}

/*
 * libfuse starts its threads for io_uring while INIT is answered, and a thread has the class of the
 * one that made it: under SCHED_IDLE each answer wakes its client where it is (doc/loop.md).
 */
static int await_init(struct front *f)
{
	pthread_t thread;
	void *result;

	if (!f->options->io_uring || f->options->loop != FRONT_LOOP_FOLLOW ||
	    pthread_create(&thread, NULL, await_init_idle, f) != 0)
		return control_await_init(f);
	pthread_join(thread, &result);
	return (int)(intptr_t)result;
}

static int handshake(struct front *f, struct err *err)
{
	int r = await_init(f);

	switch (r) {
	case 0:
		return 0;
	case -ECANCELED:
		return err_set(err, ECANCELED, "a signal ended it before the mount was ready");
	case -ENODEV:
		return err_set(err, ENODEV, "%s was unmounted before it was ready", f->mountpoint);
	case -EPROTO:
		return err_set(err, EPROTO, "the kernel's FUSE and this libfuse do not agree");
	default:
		return err_errno(err, -r, "cannot receive requests");
	}
}

int front_run(struct front *f, int (*ready)(void *arg), void *arg, struct err *err)
{
	int r = handshake(f, err);

	if (r == 0)
		r = passthrough_probe(f, err);
	if (r < 0)
		return r;
	mount_note_dev(f);
	mount_raise_read_ahead(f);
	loop_start(f);
	r = ready(arg);
	if (r < 0)
		return err_errno(err, -r, "nobody waits for the mount any more");
	control_run(f);
	return 0;
}

/*
 * Nobody serves any more: an unmount that waits for answers would wait for ever. The connection
 * goes first, which fails them; then the place is cleared if it is still ours.
 */
static void abandon(struct front *f)
{
	if (f->mounted)
		fuse_session_unmount(f->session);
	f->mounted = false;
}

void front_close(struct front *f)
{
	if (f == NULL)
		return;
	if (f->lead.workers != NULL)
		loop_stop(f);
	if (f->session != NULL) {
		abandon(f);
#if FRONT_FUSE_3_18
		/* With nothing left to receive this only ends the threads of io_uring. */
		fuse_session_exit(f->session);
		if (f->options->io_uring)
			fuse_session_loop(f->session);
#endif
		fuse_session_destroy(f->session);
	}
	if (f->signal_fd >= 0)
		close(f->signal_fd);
	if (f->done_fd >= 0)
		close(f->done_fd);
	if (f->lead.timer_fd >= 0)
		close(f->lead.timer_fd);
	scratch_free(pthread_getspecific(f->scratch_key));
	pthread_key_delete(f->scratch_key);
	opens_done(&f->passthrough.opens);
	plus_done(&f->plus);
	free(f->mountpoint);
	free(f);
}

void front_print_version(void)
{
	printf("libfuse: version %s\n", fuse_pkgversion());
	fflush(stdout);
	fuse_lowlevel_version();
#if FRONT_FUSE_3_18
	printf("features: handle_killpriv_v2, tmpfile, passthrough, %s\n",
#ifdef HAVE_FUSE_URING
	       "io_uring"
#else
	       "no io_uring"
#endif
	);
#else
	printf("features: no handle_killpriv_v2, no tmpfile, no passthrough, no io_uring "
	       "(libfuse before 3.18)\n");
#endif
}
