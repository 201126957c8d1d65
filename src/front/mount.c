/* SPDX-License-Identifier: Apache-2.0 */
/* Mounting and unmounting, and what libfuse and fusermount3 say about it in one sentence. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "front/ops.h"

/*
 * What libfuse prints, and fusermount3, which has our standard error: all of it is gathered in
 * memory while the mount is made, as one failure deserves one line.
 */
struct capture {
	int saved;  /* the real standard error */
	int memory; /* -1: nothing is captured */
};

static void capture_begin(struct capture *c)
{
	c->saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	c->memory = c->saved < 0 ? -1 : memfd_create("plyfs-messages", MFD_CLOEXEC);
	if (c->memory >= 0)
		dup2(c->memory, STDERR_FILENO);
}

/* Restores standard error. The lines, joined by "; ", without libfuse's own prefixes. */
static void capture_end(struct capture *c, char *text, size_t size)
{
	char raw[512], *save = NULL;
	ssize_t len = 0;
	size_t used = 0;

	text[0] = '\0';
	if (c->memory >= 0) {
		dup2(c->saved, STDERR_FILENO);
		len = pread(c->memory, raw, sizeof(raw) - 1, 0);
		close(c->memory);
	}
	if (c->saved >= 0)
		close(c->saved);
	raw[len > 0 ? len : 0] = '\0';
	for (char *line = strtok_r(raw, "\n", &save); line != NULL;
	     line = strtok_r(NULL, "\n", &save)) {
		int n;

		if (strncmp(line, "fuse: ", 6) == 0)
			line += 6;
		n = snprintf(text + used, size - used, "%s%s", used > 0 ? "; " : "", line);
		if (n < 0 || (size_t)n >= size - used)
			break;
		used += (size_t)n;
	}
}

/* /dev/fuse: a fixed number since it exists (linux/miscdevice.h). */
#define FUSE_DEV_MAJOR 10
#define FUSE_DEV_MINOR 229

static bool is_fd_path(const char *path)
{
	unsigned int fd;
	int end = 0;

	return sscanf(path, "/dev/fd/%u%n", &fd, &end) == 1 && path[end] == '\0';
}

static int check_fd_path(const char *path, struct err *err)
{
	struct stat st;
	int fd = (int)strtol(path + strlen("/dev/fd/"), NULL, 10);

	if (fstat(fd, &st) < 0)
		return err_errno(err, errno, "cannot mount on %s", path);
	if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(FUSE_DEV_MAJOR, FUSE_DEV_MINOR))
		return err_set(err, EINVAL, "cannot mount on %s: it is not an open /dev/fuse",
			       path);
	return 0;
}

/* The mountpoint by its real name, as the daemon leaves the current directory. */
static int resolve_mountpoint(const char *path, char **ret_path, struct err *err)
{
	char *real;
	struct stat st;

	if (is_fd_path(path)) {
		int r = check_fd_path(path, err);

		if (r < 0)
			return r;
		real = strdup(path);
		if (real == NULL)
			return err_errno(err, ENOMEM, "cannot mount on %s", path);
		*ret_path = real;
		return 0;
	}
	real = realpath(path, NULL);
	if (real == NULL || stat(real, &st) < 0) {
		int code = errno;

		free(real);
		if (code == ENOTCONN)
			return err_set(err, code,
				       "cannot mount on %s: a mount whose daemon died is still "
				       "there; remove it with: plyfs umount %s",
				       path, path);
		return err_errno(err, code, "cannot mount on %s", path);
	}
	if (!S_ISDIR(st.st_mode)) {
		free(real);
		return err_set(err, ENOTDIR, "cannot mount on %s: it is not a directory", path);
	}
	*ret_path = real;
	return 0;
}

static int add_option(struct fuse_args *args, const char *name, const char *value)
{
	char *option = NULL, *text;
	int r;

	if (asprintf(&text, "%s%s", name, value) < 0)
		return -ENOMEM;
	r = fuse_opt_add_opt_escaped(&option, text);
	free(text);
	if (r == 0)
		r = fuse_opt_add_arg(args, "-o");
	if (r == 0)
		r = fuse_opt_add_arg(args, option);
	free(option);
	return r < 0 ? -ENOMEM : 0;
}

static int session_options(const struct front *f, struct fuse_args *args)
{
	const struct front_options *o = f->options;
	char number[16];
	int r = fuse_opt_add_arg(args, "plyfs") < 0 ? -ENOMEM : 0;

	for (size_t i = 0; r == 0 && i < o->n_mount; i++)
		r = add_option(args, o->mount[i], "");
	/* After the user's options: what cannot be written is not shown as writable. */
	if (r == 0 && fs_read_only(f->fs))
		r = add_option(args, "ro", "");
	if (r == 0)
		r = add_option(args, "fsname=", o->fsname != NULL ? o->fsname : "plyfs");
	if (r == 0)
		r = add_option(args, "subtype=", o->subtype != NULL ? o->subtype : "plyfs");
	if (r == 0 && o->max_read > 0) {
		snprintf(number, sizeof(number), "%u", o->max_read);
		r = add_option(args, "max_read=", number);
	}
	if (r == 0 && o->debug)
		r = add_option(args, "debug", "");
#if FRONT_FUSE_3_18
	if (r == 0 && o->io_uring)
		r = add_option(args, "io_uring", "");
#endif
	return r;
}

static bool program_exists(const char *name)
{
	const char *path = getenv("PATH");
	char candidate[PATH_MAX];

	for (const char *p = path != NULL ? path : ""; *p != '\0';) {
		size_t len = strcspn(p, ":");

		snprintf(candidate, sizeof(candidate), "%.*s/%s", (int)len, p, name);
		if (access(candidate, X_OK) == 0)
			return true;
		p += len + (p[len] == ':');
	}
	snprintf(candidate, sizeof(candidate), "/usr/bin/%s", name);
	return access(candidate, X_OK) == 0;
}

static int explain_failure(const char *mountpoint, const char *said, struct err *err)
{
	if (access("/dev/fuse", F_OK) < 0)
		return err_set(
			err, ENODEV,
			"cannot mount on %s: there is no /dev/fuse (load the module fuse, or "
			"give this container the device)",
			mountpoint);
	if (strstr(said, "fusermount3") != NULL && !program_exists("fusermount3"))
		return err_set(err, EPERM,
			       "cannot mount on %s: that needs privileges or fusermount3, which is "
			       "not installed (package fuse3)",
			       mountpoint);
	/* Of fusermount3. */
	if (strstr(said, strerror(EAGAIN)) != NULL)
		return err_set(err, EAGAIN, "cannot mount on %s: " FRONT_NO_MORE, mountpoint);
	return err_set(err, EIO, "cannot mount on %s%s%s", mountpoint, said[0] != '\0' ? ": " : "",
		       said);
}

int mount_session(struct front *f, struct err *err)
{
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	struct capture capture;
	char said[600];
	int r = resolve_mountpoint(f->options->mountpoint, &f->mountpoint, err);

	if (r < 0)
		return r;
	r = session_options(f, &args);
	if (r < 0) {
		fuse_opt_free_args(&args);
		return err_errno(err, -r, "cannot mount on %s", f->mountpoint);
	}
	capture_begin(&capture);
	f->session = fuse_session_new(&args, &front_ops, sizeof(front_ops), f);
	if (f->session != NULL)
		r = fuse_session_mount(f->session, f->mountpoint);
	capture_end(&capture, said, sizeof(said));
	fuse_opt_free_args(&args);
	if (f->session == NULL || r < 0)
		return explain_failure(f->mountpoint, said, err);
	f->mounted = !is_fd_path(f->mountpoint);
	return 0;
}

static dev_t dev_of_mountpoint(const struct front *f)
{
	struct statx stx;

	/* Nothing is asked of the file system: the answer would have to come from ourselves. */
	if (statx(AT_FDCWD, f->mountpoint, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, 0, &stx) < 0)
		return 0;
	return makedev(stx.stx_dev_major, stx.stx_dev_minor);
}

void mount_note_dev(struct front *f)
{
	if (f->mounted)
		f->dev = dev_of_mountpoint(f);
}

/* One READ for each 256 KiB of a file that is read from start to end, instead of two. */
#define READ_AHEAD_KB 256

/*
 * FUSE gets the kernel's default of 128 KiB, whatever INIT says; only root of the first user namespace may ask for more. A setting
 * that is no default was made by somebody who knows why. The answer to INIT has been taken, which sets it.
 */
void mount_raise_read_ahead(const struct front *f)
{
	char path[64], text[16] = "";
	CLEANUP(fd) int fd = -1;
	ssize_t n;

	if (f->dev == 0)
		return;
	snprintf(path, sizeof(path), "/sys/class/bdi/%u:%u/read_ahead_kb", major(f->dev),
		 minor(f->dev));
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return;
	n = pread(fd, text, sizeof(text) - 1, 0);
	if (n <= 0 || strcmp(text, "128\n") != 0)
		return;
	n = snprintf(text, sizeof(text), "%d", READ_AHEAD_KB);
	if (write(fd, text, (size_t)n) != n)
		log_debug("cannot read ahead farther: %s", strerror(errno));
}

int mount_run_program(char *const argv[])
{
	sigset_t none;
	posix_spawnattr_t attr;
	int status = -1, r;
	pid_t pid;

	sigemptyset(&none);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	r = posix_spawnp(&pid, argv[0], NULL, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	if (r != 0)
		return -r;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -EINTR;
}

static int run_fusermount(const char *path, bool lazy)
{
	char program[] = "fusermount3", unmount[] = "-u", quiet[] = "-q", detach[] = "-qz";
	char end[] = "--";
	CLEANUP(free) char *copy = strdup(path);
	char *argv[] = {program, unmount, lazy ? detach : quiet, end, copy, NULL};
	int r = copy == NULL ? -ENOMEM : mount_run_program(argv);

	return r > 0 ? -EBUSY : r;
}

static int unmount_path(const char *path, bool lazy)
{
	if (umount2(path, (lazy ? MNT_DETACH : 0) | UMOUNT_NOFOLLOW) == 0)
		return 0;
	return errno == EPERM ? run_fusermount(path, lazy) : -errno;
}

int front_unmount(const char *path, bool lazy, struct err *err)
{
	int r = unmount_path(path, lazy);

	if (r == -ENOENT && !program_exists("fusermount3"))
		return err_set(err, EPERM,
			       "cannot unmount %s: that needs privileges or fusermount3, which is "
			       "not installed (package fuse3)",
			       path);
	return r < 0 ? err_errno(err, -r, "cannot unmount %s", path) : 0;
}

void mount_detach(struct front *f)
{
	int r;

	if (!f->mounted)
		return;
	f->mounted = false;
	/* A lazily unmounted file system may still be alive while another one has its place. */
	if (f->dev == 0 || dev_of_mountpoint(f) != f->dev)
		return;
	/* A busy mount outlives us without its server: what it has to write it must write now. */
	write_back(f);
	r = unmount_path(f->mountpoint, true);
	if (r < 0 && r != -EINVAL && r != -ENOENT)
		log_warn("cannot unmount %s: %s", f->mountpoint, strerror(-r));
}
