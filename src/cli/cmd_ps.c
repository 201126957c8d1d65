/* SPDX-License-Identifier: Apache-2.0 */
/* plyfs ps [--reap]: what is mounted, by whom, from what. */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/statfs.h>

#include "cli/commands.h"
#include "front/session.h"
#include "tool/columns.h"

/* What a line of /proc/self/mountinfo says; points into it. */
struct mounted {
	char *place, *source, *flags, *options;
};

/* Octal escapes of the kernel ("\040") become their bytes, in place. */
static void unescape(char *text)
{
	char *to = text;
	unsigned int byte;

	while (*text != '\0') {
		if (text[0] == '\\' && sscanf(text + 1, "%3o", &byte) == 1) {
			*to++ = (char)byte;
			text += 4;
		} else {
			*to++ = *text++;
		}
	}
	*to = '\0';
}

/* 36 35 98:0 /root PLACE FLAGS optional... - TYPE SOURCE OPTIONS */
static bool parse(char *line, struct mounted *m)
{
	char *tail = strstr(line, " - "), *type;

	line[strcspn(line, "\n")] = '\0';
	if (tail == NULL)
		return false;
	*tail = '\0';
	tail += 3;
	type = strsep(&tail, " ");
	m->source = strsep(&tail, " ");
	m->options = tail;
	if (m->options == NULL || strcmp(type, "fuse.plyfs") != 0)
		return false;
	for (int i = 0; i < 4; i++)
		strsep(&line, " ");
	m->place = strsep(&line, " ");
	m->flags = strsep(&line, " ");
	if (m->place == NULL || m->flags == NULL)
		return false;
	unescape(m->place);
	unescape(m->source);
	return true;
}

static void add_user(struct columns *c, const char *options)
{
	const char *id = strstr(options, "user_id=");
	unsigned int uid;
	const struct passwd *pw;

	if (id == NULL || sscanf(id, "user_id=%u", &uid) != 1) {
		columns_add(c, "?");
		return;
	}
	pw = getpwuid(uid);
	if (pw != NULL)
		columns_add(c, "%s", pw->pw_name);
	else
		columns_add(c, "%u", uid);
}

static bool is_dead(const struct mounted *m)
{
	struct statfs st;

	return statfs(m->place, &st) < 0 && errno == ENOTCONN;
}

static int show(struct mounted *m, bool reap, struct columns *c)
{
	CLEANUP(err) struct err err = {0};
	bool dead = is_dead(m);

	if (dead && reap)
		return front_unmount(m->place, true, &err) < 0 ? complain(&err) : 0;
	columns_add(c, "%s", m->place);
	add_user(c, m->options);
	columns_add(c, "%s", dead ? "dead" : strncmp(m->flags, "rw", 2) == 0 ? "rw" : "ro");
	columns_add(c, "%s", m->source);
	return 0;
}

static int list(bool reap)
{
	CLEANUP(columns) struct columns c = {.n = 4};
	CLEANUP(free) char *line = NULL;
	FILE *f = fopen("/proc/self/mountinfo", "re");
	size_t size = 0;
	int status = 0;

	if (f == NULL) {
		CLEANUP(err) struct err err = {0};

		err_errno(&err, errno, "/proc/self/mountinfo");
		return complain(&err);
	}
	columns_add(&c, "MOUNTPOINT");
	columns_add(&c, "USER");
	columns_add(&c, "STATE");
	columns_add(&c, "SOURCE");
	while (getline(&line, &size, f) > 0) {
		struct mounted m;

		if (parse(line, &m))
			status |= show(&m, reap, &c);
	}
	fclose(f);
	return columns_print(&c, 0, stdout) == 0 && fflush(stdout) == 0 ? status : 1;
}

int cmd_ps(const struct invocation *by, int argc, char **argv)
{
	CLEANUP(err) struct err err = {0};
	bool reap = false;

	(void)by;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--reap") != 0) {
			err_set(&err, EINVAL, "unknown argument: %s; see plyfs --help", argv[i]);
			return complain(&err);
		}
		reap = true;
	}
	return list(reap);
}
