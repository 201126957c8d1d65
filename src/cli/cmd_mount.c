/* SPDX-License-Identifier: Apache-2.0 */
/* plyfs mount, and the mount that the command line of fuse-overlayfs asks for. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "cli/commands.h"
#include "cli/compat.h"
#include "cli/remount.h"
#include "cli/tmp_upper.h"
#include "front/session.h"
#include "tool/progress.h"

struct serving {
	const struct invocation *by;
	const struct mount_options *options;
	int ready_fd; /* -1 in the foreground */
};

/* A mountpoint /dev/fd/N names a descriptor that must stay open. */
static int kept_fd(const struct mount_options *o)
{
	int fd;

	return sscanf(o->front.mountpoint, "/dev/fd/%d", &fd) == 1 ? fd : -1;
}

static int ready(void *arg)
{
	const struct serving *s = arg;
	int r;

	if (s->ready_fd < 0)
		return 0;
	r = daemon_ready(s->ready_fd, &s->by->inherited, kept_fd(s->options));
	return r;
}

/*
 * Opens, mounts and serves until the mount is gone. The layers are opened before the mount is made
 * and never again by name: they may lie under the mountpoint.
 */
static int serve(struct serving *s, struct err *err)
{
	CLEANUP(fs) struct fs *fs = NULL;
	CLEANUP(front) struct front *front = NULL;
	int r = fs_open(&s->options->fs, &fs, err);

	if (r < 0)
		return r;
	if (fs_is_snapshot(fs))
		log_info("%s is in use: it is shown read-only, as it was", s->options->fs.upper);
	progress_line_end();
	/* Before the threads that serve, which may take all that the limits allow. */
	r = fs_start(fs);
	if (r == -EAGAIN)
		return err_set(
			err, EAGAIN,
			"cannot start the thread that makes changes durable: " FRONT_NO_MORE);
	if (r < 0)
		return err_errno(err, -r, "cannot start");
	r = front_open(fs, &s->options->front, &front, err);
	if (r < 0)
		return r;
	return front_run(front, ready, s, err);
}

static int serve_here(struct serving *s, struct mount_options *o)
{
	CLEANUP(tmp_upper) struct tmp_upper tmp = {0};
	CLEANUP(err) struct err err = {0};
	int r = 0;

	daemon_raise_limits();
	umask(022);
	if (o->tmp_upper)
		r = tmp_upper_make(&tmp, &o->fs.upper, &err);
	if (r == 0)
		r = serve(s, &err);
	return r < 0 ? complain(&err) : 0;
}

static int run(const struct invocation *by, struct mount_options *o)
{
	CLEANUP(err) struct err err = {0};
	struct serving s = {.by = by, .options = o, .ready_fd = -1};

	for (size_t i = 0; i < o->unknown.n; i++)
		fprintf(stderr, "unknown argument ignored: %s\n", o->unknown.v[i]);
	if (o->remount)
		return remount(o->front.mountpoint, o->front.mount, o->front.n_mount, &err) < 0
			       ? complain(&err)
			       : 0;
	if (o->debug)
		log_set_level(LOG_LEVEL_DEBUG);
	if (!o->foreground) {
		int status = daemon_fork(&s.ready_fd);

		if (status >= 0)
			return status;
	}
	if (!o->quiet)
		o->fs.progress = progress_line_show;
	return serve_here(&s, o);
}

typedef int parse_fn(int argc, char **argv, bool privileged, struct mount_options *o,
		     struct err *err);

static int parse_and_run(const struct invocation *by, int argc, char **argv, parse_fn *parse)
{
	CLEANUP(err) struct err err = {0};
	CLEANUP(mount_options) struct mount_options o;

	mount_options_init(&o);
	if (parse(argc, argv, geteuid() == 0, &o, &err) < 0)
		return complain(&err);
	if (o.help)
		return cmd_help(by, 1, argv);
	if (o.version)
		return cmd_version(by, 1, argv);
	if (by->as_fuse_overlayfs && o.front.subtype == NULL) {
		o.front.subtype = strdup("fuse-overlayfs");
		if (o.front.fsname == NULL)
			o.front.fsname = strdup("fuse-overlayfs");
	}
	return run(by, &o);
}

int cmd_mount(const struct invocation *by, int argc, char **argv)
{
	return parse_and_run(by, argc, argv, mount_parse);
}

int cmd_compat(const struct invocation *by, int argc, char **argv)
{
	return parse_and_run(by, argc, argv, compat_parse);
}
