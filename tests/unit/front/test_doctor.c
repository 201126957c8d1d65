/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of plyfs doctor on made-up machines. */
#include "front/doctor.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "support/tmpdir.h"

static struct tmpdir root;

/* A user on a machine where nothing is missing. */
static struct doctor user;

static void put(const char *path, const char *text, mode_t mode)
{
	char full[512];
	FILE *f;

	snprintf(full, sizeof(full), "%s%s", root.path, path);
	for (char *p = strchr(full + strlen(root.path) + 1, '/'); p != NULL;
	     p = strchr(p + 1, '/')) {
		*p = '\0';
		mkdir(full, 0755);
		*p = '/';
	}
	f = fopen(full, "w");
	cr_assert_not_null(f);
	fputs(text, f);
	fclose(f);
	cr_assert_eq(chmod(full, mode), 0);
}

static void drop(const char *path)
{
	cr_assert_eq(unlinkat(root.fd, path + 1, 0), 0);
}

static void begin(void)
{
	tmpdir_make(&root);
	put("/dev/fuse", "", 0666);
	put("/usr/bin/fusermount3", "", 04755);
	put("/etc/fuse.conf", "# a comment\n user_allow_other\n", 0644);
	put("/etc/subuid", "other:1:2\nann:100000:65536\n", 0644);
	put("/etc/subgid", "1000:100000:65536\n", 0644);
	put("/sys/module/fuse/parameters/enable_uring", "Y\n", 0644);
	put("/sys/devices/system/cpu/cpuidle/current_driver", "haltpoll\n", 0644);
	put("/proc/cpuinfo", "flags : fpu hypervisor lahf_lm\n", 0444);
	put("/proc/1/stat", "1 (init)\n", 0444);
	user = (struct doctor){.root = root.path,
			       .path = "/bin:/usr/bin",
			       .user = "ann",
			       .uid = 1000,
			       .first_userns = true,
			       .nice = 20,
			       .nofile = 524288,
			       .libfuse = 318};
}

static void end(void)
{
	tmpdir_done(&root);
}

/* The state is STATE, and so is that of NAME alone. */
static void expect(enum doctor_state state, const char *name)
{
	static const char *const states[] = {"ok ", "hint ", "BROKEN "};
	CLEANUP(buf) struct buf out = {0};
	enum doctor_state got = doctor_run(&user, false, &out);
	char *save = NULL;

	cr_expect_eq(got, state);
	cr_assert_not_null(buf_cstr(&out));
	for (char *line = strtok_r((char *)out.data, "\n", &save); line != NULL;
	     line = strtok_r(NULL, "\n", &save)) {
		char word[64] = "";

		if (*line == ' ')
			continue;
		sscanf(line, "%*s %63s", word);
		if (strcmp(word, name) == 0)
			cr_expect(strncmp(line, states[state], strlen(states[state])) == 0, "%s",
				  line);
		else
			cr_expect(strncmp(line, "ok ", 3) == 0, "%s", line);
	}
}

TestSuite(doctor, .init = begin, .fini = end);

Test(doctor, nothing_is_missing)
{
	expect(DOCTOR_OK, "");
}

Test(doctor, no_device)
{
	drop("/dev/fuse");
	expect(DOCTOR_BROKEN, "device");
}

Test(doctor, no_fusermount)
{
	drop("/usr/bin/fusermount3");
	expect(DOCTOR_BROKEN, "fusermount");
	user.caps = UINT64_C(1) << CAP_SYS_ADMIN;
	expect(DOCTOR_HINT, "fusermount");
}

Test(doctor, fusermount_without_set_user_id)
{
	put("/usr/bin/fusermount3", "", 0755);
	expect(DOCTOR_BROKEN, "fusermount");
	/* Root of a user namespace does not need it. */
	user.first_userns = false;
	user.caps = UINT64_C(1) << CAP_SYS_ADMIN;
	expect(DOCTOR_OK, "");
}

Test(doctor, no_path)
{
	user.path = NULL;
	expect(DOCTOR_BROKEN, "fusermount");
}

Test(doctor, old_libfuse)
{
	user.libfuse = 314;
	expect(DOCTOR_HINT, "libfuse");
}

Test(doctor, allow_other)
{
	put("/etc/fuse.conf", "#user_allow_other\nuser_allow_others\n", 0644);
	expect(DOCTOR_HINT, "allow_other");
	user.uid = 0;
	expect(DOCTOR_OK, "");
}

Test(doctor, subuid)
{
	put("/etc/subuid", "anna:1:2\n10000:1:2\n", 0644);
	expect(DOCTOR_HINT, "subuid");
	user.user = "";
	expect(DOCTOR_HINT, "subuid");
	put("/etc/subuid", "anna:1:2\n1000:1:2", 0644);
	expect(DOCTOR_OK, "");
	drop("/etc/subgid");
	expect(DOCTOR_HINT, "subuid");
}

Test(doctor, io_uring)
{
	put("/sys/module/fuse/parameters/enable_uring", "N\n", 0644);
	expect(DOCTOR_HINT, "io_uring");
	/* An old kernel: there is nothing to turn on. */
	drop("/sys/module/fuse/parameters/enable_uring");
	expect(DOCTOR_OK, "");
}

Test(doctor, haltpoll)
{
	put("/sys/devices/system/cpu/cpuidle/current_driver", "none\n", 0644);
	expect(DOCTOR_HINT, "haltpoll");
	drop("/sys/devices/system/cpu/cpuidle/current_driver");
	expect(DOCTOR_HINT, "haltpoll");
	put("/proc/cpuinfo", "flags : fpu lahf_lm\n", 0444);
	expect(DOCTOR_OK, "");
}

Test(doctor, limits)
{
	user.nice = 0;
	expect(DOCTOR_HINT, "nice");
	user.caps = UINT64_C(1) << CAP_SYS_NICE;
	expect(DOCTOR_OK, "");
	user.nofile = 1024;
	expect(DOCTOR_HINT, "nofile");
}

Test(doctor, hidden_processes)
{
	drop("/proc/1/stat");
	expect(DOCTOR_HINT, "proc");
}

static void expect_line(const char *part)
{
	CLEANUP(buf) struct buf out = {0};

	cr_expect_eq(doctor_run(&user, false, &out), DOCTOR_OK);
	cr_assert_not_null(buf_cstr(&out));
	cr_expect_not_null(strstr((char *)out.data, part), "%s", (char *)out.data);
}

Test(doctor, passthrough)
{
	expect_line("no FUSE passthrough");
	user.caps = UINT64_C(1) << CAP_SYS_ADMIN;
	expect_line("-o io=passthrough");
	user.first_userns = false;
	expect_line("no FUSE passthrough");
}

Test(doctor, json)
{
	CLEANUP(buf) struct buf out = {0};
	const char *text;

	drop("/etc/subgid");
	user.user = "a\"b\\c\n";
	cr_expect_eq(doctor_run(&user, true, &out), DOCTOR_HINT);
	text = buf_cstr(&out);
	cr_assert_not_null(text);
	cr_expect_eq(strncmp(text, "{\"findings\": [\n    {\"name\": \"device\", \"state\": \"ok\"",
			     48),
		     0);
	cr_expect_not_null(strstr(text, "\"name\": \"subuid\", \"state\": \"hint\""));
	cr_expect_not_null(strstr(text, "a\\\"b\\\\c\\u000a\""));
	cr_expect_not_null(strstr(text, "\n]}\n"));
}

Test(doctor, here)
{
	CLEANUP(buf) struct buf out = {0};
	struct doctor d;

	doctor_here(&d);
	cr_expect_eq(d.uid, geteuid());
	cr_expect_gt(d.nofile, 0);
	cr_expect_geq(d.libfuse, 314);
	doctor_run(&d, false, &out);
	cr_expect(buf_ok(&out));
}
