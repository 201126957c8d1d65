/* SPDX-License-Identifier: Apache-2.0 */
/* plyfs doctor: one small function a thing to look at. */
#include "front/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/sys.h"
#include "base/sys_sched.h"
#include "front/fuse.h"

/* What was found of one thing. */
struct finding {
	enum doctor_state state;
	char what[256]; /* a sentence without a full stop */
	char how[320];	/* what to do; empty when nothing is to be done */
};

static void found(struct finding *f, enum doctor_state state, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static void remedy(struct finding *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void found(struct finding *f, enum doctor_state state, const char *fmt, ...)
{
	va_list ap;

	f->state = state;
	va_start(ap, fmt);
	vsnprintf(f->what, sizeof(f->what), fmt, ap);
	va_end(ap);
}

static void remedy(struct finding *f, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(f->how, sizeof(f->how), fmt, ap);
	va_end(ap);
}

/* The file's text without the newline at its end. False: it cannot be read. */
static bool read_file(const struct doctor *d, const char *path, char *text, size_t size)
{
	char full[PATH_MAX];
	ssize_t n;
	int fd;

	snprintf(full, sizeof(full), "%s%s", d->root, path);
	fd = sys_openat(AT_FDCWD, full, O_RDONLY, 0);
	if (fd < 0)
		return false;
	n = read(fd, text, size - 1);
	close(fd);
	if (n < 0)
		return false;
	if (n > 0 && text[n - 1] == '\n')
		n--;
	text[n] = '\0';
	return true;
}

static bool has_cap(const struct doctor *d, int cap)
{
	return d->caps >> cap & 1;
}

static bool find_program(const struct doctor *d, const char *name, struct stat *ret_st)
{
	const char *p = d->path;

	while (p != NULL && *p != '\0') {
		int len = (int)strcspn(p, ":");
		char full[PATH_MAX];

		snprintf(full, sizeof(full), "%s%.*s/%s", d->root, len, p, name);
		if (stat(full, ret_st) == 0 && S_ISREG(ret_st->st_mode) &&
		    (ret_st->st_mode & S_IXUSR))
			return true;
		p += len + (p[len] == ':');
	}
	return false;
}

/* A line of TEXT that begins with WORD and goes on with END or ends there. */
static bool has_line(const char *text, const char *word, char end)
{
	size_t len = strlen(word);

	for (const char *p = text; len > 0 && p != NULL; p = strchr(p, '\n')) {
		p += strspn(p, " \t\n");
		if (strncmp(p, word, len) == 0 &&
		    (p[len] == end || p[len] == '\0' || p[len] == '\n'))
			return true;
	}
	return false;
}

/* ---- the things -------------------------------------------------------------------------- */

static void look_device(const struct doctor *d, struct finding *f)
{
	char full[PATH_MAX];
	int fd;

	snprintf(full, sizeof(full), "%s/dev/fuse", d->root);
	fd = sys_openat(AT_FDCWD, full, O_RDWR, 0);
	if (fd >= 0) {
		close(fd);
		found(f, DOCTOR_OK, "/dev/fuse can be opened");
		return;
	}
	found(f, DOCTOR_BROKEN, "/dev/fuse cannot be opened: %s", strerror(-fd));
	if (fd == -ENOENT)
		remedy(f,
		       "as root: modprobe fuse; in a container, start it with --device /dev/fuse");
	else if (fd == -EACCES)
		remedy(f, "as root: chmod 666 /dev/fuse, which is what udev does");
	else
		remedy(f, "the container or its device cgroup must allow the device c 10:229");
}

static void look_fusermount(const struct doctor *d, struct finding *f)
{
	bool needed = !has_cap(d, CAP_SYS_ADMIN);
	struct stat st;

	if (!find_program(d, "fusermount3", &st)) {
		found(f, needed ? DOCTOR_BROKEN : DOCTOR_HINT,
		      "fusermount3 is missing: only those with CAP_SYS_ADMIN can mount");
		remedy(f, "install the package fuse3");
	} else if (needed && d->first_userns && !(st.st_mode & S_ISUID)) {
		found(f, DOCTOR_BROKEN, "fusermount3 is not set-user-ID root");
		remedy(f, "as root: chmod u+s fusermount3, or install the package fuse3 again");
	} else {
		found(f, DOCTOR_OK, "fusermount3 is there");
	}
}

static void look_allow_other(const struct doctor *d, struct finding *f)
{
	char text[8192];

	if (d->uid == 0 || !d->first_userns)
		found(f, DOCTOR_OK, "allow_other needs no permission here");
	else if (read_file(d, "/etc/fuse.conf", text, sizeof(text)) &&
		 has_line(text, "user_allow_other", ' '))
		found(f, DOCTOR_OK, "allow_other is permitted");
	else {
		found(f, DOCTOR_HINT, "users may not mount with allow_other");
		remedy(f, "put a line \"user_allow_other\" into /etc/fuse.conf");
	}
}

static void look_libfuse(const struct doctor *d, struct finding *f)
{
	if (d->libfuse >= 318)
		found(f, DOCTOR_OK, "libfuse %d.%d has all that is used", d->libfuse / 100,
		      d->libfuse % 100);
	else {
		found(f, DOCTOR_HINT,
		      "libfuse %d.%d: the kernel asks for security.capability at each write, and "
		      "there is no io_uring",
		      d->libfuse / 100, d->libfuse % 100);
		remedy(f, "build plyfs with libfuse 3.18 or newer");
	}
}

static void look_uring(const struct doctor *d, struct finding *f)
{
	static const char path[] = "/sys/module/fuse/parameters/enable_uring";
	char text[16];

	if (!read_file(d, path, text, sizeof(text))) {
		found(f, DOCTOR_OK,
		      "no FUSE over io_uring: the kernel is older than 6.14, or "
		      "built without it");
	} else if (text[0] == 'Y') {
		found(f, DOCTOR_OK, "FUSE over io_uring can be had with -o io_uring=1");
	} else {
		found(f, DOCTOR_HINT, "FUSE over io_uring is turned off in the kernel");
		remedy(f,
		       "as root: echo Y >%s (or fuse.enable_uring=1 on the kernel's command line), "
		       "then mount with -o io_uring=1: it can be faster for many clients",
		       path);
	}
}

/* Waking an idle virtual CPU is an interrupt and an exit to the hypervisor. */
static void look_haltpoll(const struct doctor *d, struct finding *f)
{
	char info[16384], driver[64] = "";

	if (!read_file(d, "/proc/cpuinfo", info, sizeof(info)) || !strstr(info, " hypervisor")) {
		found(f, DOCTOR_OK, "not a virtual machine: idle processors wake quickly");
		return;
	}
	read_file(d, "/sys/devices/system/cpu/cpuidle/current_driver", driver, sizeof(driver));
	if (strcmp(driver, "haltpoll") == 0) {
		found(f, DOCTOR_OK, "virtual processors poll before they halt (haltpoll)");
		return;
	}
	found(f, DOCTOR_HINT,
	      "a virtual machine whose processors halt at once: what wakes a thread "
	      "on another one takes long");
	remedy(f, "cpuidle_haltpoll.force=1 on the kernel's command line; "
		  "/sys/module/haltpoll/parameters/guest_halt_poll_ns says for how long they poll");
}

/* A thread under SCHED_IDLE that has to wait with a request can be helped out of it. */
static void look_nice(const struct doctor *d, struct finding *f)
{
	if (has_cap(d, CAP_SYS_NICE) || d->nice >= 20)
		found(f, DOCTOR_OK, "threads may come back from SCHED_IDLE");
	else {
		found(f, DOCTOR_HINT,
		      "threads may not come back from SCHED_IDLE (RLIMIT_NICE is %u): on "
		      "a machine that becomes busy a request may take longer",
		      (unsigned int)d->nice);
		remedy(f,
		       "LimitNICE=+0 in the systemd unit, or \"* hard nice 0\" and \"* soft nice 0\" "
		       "in /etc/security/limits.conf");
	}
}

static void look_nofile(const struct doctor *d, struct finding *f)
{
	if (d->nofile >= 16384)
		found(f, DOCTOR_OK, "enough file descriptors");
	else {
		found(f, DOCTOR_HINT,
		      "only %u file descriptors: files of large trees are opened again "
		      "and again",
		      (unsigned int)d->nofile);
		remedy(f, "LimitNOFILE=524288 in the systemd unit, or \"* hard nofile 524288\" in "
			  "/etc/security/limits.conf");
	}
}

static void look_proc(const struct doctor *d, struct finding *f)
{
	char text[64];

	if (read_file(d, "/proc/1/stat", text, sizeof(text)))
		found(f, DOCTOR_OK, "clients can be followed to their processors");
	else {
		found(f, DOCTOR_HINT,
		      "/proc does not show the processes of others: clients are not "
		      "followed to their processors");
		remedy(f,
		       "mount /proc without hidepid=, or with it in the daemon's mount namespace");
	}
}

static bool has_range(const struct doctor *d, const char *path)
{
	char text[65536], number[16];

	if (!read_file(d, path, text, sizeof(text)))
		return false;
	snprintf(number, sizeof(number), "%u", (unsigned int)d->uid);
	return has_line(text, d->user, ':') || has_line(text, number, ':');
}

static void look_subuid(const struct doctor *d, struct finding *f)
{
	if (d->uid == 0 || !d->first_userns)
		found(f, DOCTOR_OK, "no ranges of subordinate ids are needed here");
	else if (has_range(d, "/etc/subuid") && has_range(d, "/etc/subgid"))
		found(f, DOCTOR_OK, "there are ranges of subordinate ids");
	else {
		found(f, DOCTOR_HINT,
		      "no ranges of subordinate ids: rootless containers have one user "
		      "only");
		remedy(f,
		       "as root: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 %s",
		       d->user[0] != '\0' ? d->user : "USER");
	}
}

static void look_passthrough(const struct doctor *d, struct finding *f)
{
	if (has_cap(d, CAP_SYS_ADMIN) && d->first_userns)
		found(f, DOCTOR_OK,
		      "the rights for FUSE passthrough are there: -o io=passthrough, for mounts "
		      "that cannot be written and large files");
	else
		found(f, DOCTOR_OK,
		      "no FUSE passthrough: it needs CAP_SYS_ADMIN outside of user namespaces");
}

/* ---- all of it --------------------------------------------------------------------------- */

static const struct {
	const char *name;
	void (*look)(const struct doctor *d, struct finding *f);
} things[] = {
	{"device", look_device},	   {"fusermount", look_fusermount},
	{"libfuse", look_libfuse},	   {"allow_other", look_allow_other},
	{"subuid", look_subuid},	   {"io_uring", look_uring},
	{"haltpoll", look_haltpoll},	   {"nice", look_nice},
	{"nofile", look_nofile},	   {"proc", look_proc},
	{"passthrough", look_passthrough},
};

/* The texts are ours and the user's name: quotes and backslashes are all that has to be escaped. */
static void put_string(struct buf *out, const char *s)
{
	buf_put_str(out, "\"");
	for (; *s != '\0'; s++) {
		if (*s == '"' || *s == '\\')
			buf_printf(out, "\\%c", *s);
		else if ((unsigned char)*s < ' ')
			buf_printf(out, "\\u%04x", *s);
		else
			buf_printf(out, "%c", *s);
	}
	buf_put_str(out, "\"");
}

static void put_json(struct buf *out, bool first, const char *name, const struct finding *f)
{
	static const char *const states[] = {"ok", "hint", "broken"};

	buf_printf(out,
		   "%s\n    {\"name\": \"%s\", \"state\": \"%s\", \"what\": ", first ? "" : ",",
		   name, states[f->state]);
	put_string(out, f->what);
	buf_put_str(out, ", \"how\": ");
	put_string(out, f->how);
	buf_put_str(out, "}");
}

static void put_text(struct buf *out, const char *name, const struct finding *f)
{
	static const char *const states[] = {"ok    ", "hint  ", "BROKEN"};

	buf_printf(out, "%s  %-11s  %s\n", states[f->state], name, f->what);
	if (f->how[0] != '\0')
		buf_printf(out, "%21s->  %s\n", "", f->how);
}

enum doctor_state doctor_run(const struct doctor *d, bool json, struct buf *out)
{
	enum doctor_state worst = DOCTOR_OK;

	buf_put_str(out, json ? "{\"findings\": [" : "");
	for (size_t i = 0; i < sizeof(things) / sizeof(*things); i++) {
		struct finding f = {0};

		things[i].look(d, &f);
		if (f.state > worst)
			worst = f.state;
		if (json)
			put_json(out, i == 0, things[i].name, &f);
		else
			put_text(out, things[i].name, &f);
	}
	buf_put_str(out, json ? "\n]}\n" : "");
	return worst;
}

void doctor_here(struct doctor *ret_doctor)
{
	static char user[128];
	struct doctor d = {.root = "", .path = getenv("PATH"), .user = user, .uid = geteuid()};
	const struct passwd *pw = getpwuid(d.uid);
	struct rlimit limit;
	char text[4096];
	uint64_t first, outside, length;

	snprintf(user, sizeof(user), "%s", pw != NULL ? pw->pw_name : "");
	sys_caps_of(0, &d.caps);
	/* Only the first user namespace maps all ids to themselves. */
	d.first_userns = !read_file(&d, "/proc/self/uid_map", text, sizeof(text)) ||
			 (sscanf(text, "%lu %lu %lu", &first, &outside, &length) == 3 &&
			  first == 0 && outside == 0 && length == UINT32_MAX);
	if (getrlimit(RLIMIT_NICE, &limit) == 0)
		d.nice = limit.rlim_max;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
		d.nofile = limit.rlim_max;
	d.libfuse = FUSE_MAJOR_VERSION * 100 + FUSE_MINOR_VERSION;
	*ret_doctor = d;
}
