/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of ownership: one owner, dead owners, forks, the gate. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "catalog/inspect.h"
#include "catalog/internal.h"
#include "unit/catalog/helper.h"

static void assert_busy(const struct dir *d, pid_t owner)
{
	CLEANUP(err) struct err err = {0};
	char word[32];

	cr_assert_eq(open_error(d, CATALOG_WRITE, &err), -EBUSY);
	snprintf(word, sizeof(word), "process %d ", (int)owner);
	cr_assert_not_null(strstr(err_text(&err), word), "%s", err_text(&err));
}

Test(lock, second_owner_is_refused)
{
	CLEANUP(dir) struct dir d = dir_make();
	struct catalog *c = open_quick(&d);

	cr_assert_not_null(c);
	assert_busy(&d, getpid());
	assert_busy(&d, getpid());
	cr_assert_eq(commit_numbered(c, 1), 0);
	catalog_close(c);
	cr_assert_eq(file_size(&d, LOCK_FILE), 0);
	c = open_quick(&d);
	cr_assert_not_null(c);
	cr_assert_eq(count_numbered(c), 1);
	catalog_close(c);
}

Test(lock, no_lock_file_without_a_catalog)
{
	CLEANUP(dir) struct dir d = dir_make();
	CLEANUP(err) struct err err = {0};

	cr_assert_eq(open_error(&d, CATALOG_WRITE, &err), -ENOENT);
	cr_assert_not_null(strstr(err_text(&err), d.path));
	cr_assert_eq(open_error(&d, CATALOG_SNAPSHOT, NULL), -ENOENT);
	cr_assert_eq(file_size(&d, LOCK_FILE), -1);
	cr_assert_eq(file_size(&d, CATALOG_FILE), -1);
}

/* Opens, says so, and waits to be killed. */
static pid_t owner_start(const struct dir *d)
{
	int ready[2];
	char byte;
	pid_t pid;

	cr_assert_eq(pipe(ready), 0);
	pid = fork();
	cr_assert_geq(pid, 0);
	if (pid == 0) {
		struct catalog *c = open_quick(d);

		die_with_parent();
		if (c == NULL || commit_numbered(c, 1) < 0 || write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	cr_assert_eq(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

Test(lock, dead_owner_is_replaced)
{
	CLEANUP(dir) struct dir d = dir_make();
	pid_t pid = owner_start(&d);
	struct catalog *c;

	assert_busy(&d, pid);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	cr_assert_gt(file_size(&d, LOCK_FILE), 0, "its text is still there");
	c = open_quick(&d);
	cr_assert_not_null(c);
	cr_assert_eq(count_numbered(c), 1);
	assert_busy(&d, getpid());
	catalog_close(c);
}

/* A mount that is refused after its catalog was opened has not looked for what the dead owner left. */
Test(lock, unclean_until_somebody_has_recovered)
{
	CLEANUP(dir) struct dir d = dir_make();
	pid_t pid = owner_start(&d);
	struct catalog_owner owner;
	struct catalog *c;

	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	for (int i = 0; i < 3; i++) {
		c = open_quick(&d);
		cr_assert_not_null(c);
		cr_assert(catalog_was_unclean(c), "open %d", i);
		cr_assert_eq(count_numbered(c), 1);
		if (i == 2)
			catalog_recovered(c);
		catalog_close(c);
		cr_assert_eq(catalog_owner_of(d.fd, &owner), 0);
		cr_assert_not(owner.in_use);
		cr_assert_eq(owner.pid, 0, "who has let go is named as the owner");
	}
	cr_assert_eq(file_size(&d, LOCK_FILE), 0);
	c = open_quick(&d);
	cr_assert_not(catalog_was_unclean(c));
	catalog_close(c);
}

/* As a daemon does: open, fork, the parent leaves, the child goes on. */
Test(lock, survives_a_fork)
{
	CLEANUP(dir) struct dir d = dir_make();
	struct catalog_options options = {.mode = CATALOG_WRITE, .create = true, .no_sync = true};
	int ready[2], go_on[2];
	pid_t parent, child;

	if (NO_THREADS_IN_CHILDREN)
		cr_skip_test("children cannot make threads");
	cr_assert_eq(pipe(ready), 0);
	cr_assert_eq(pipe(go_on), 0);
	parent = fork();
	if (parent == 0) {
		struct catalog *c = NULL;
		char byte;

		/* The commit starts the thread, which must not be there at the fork. */
		if (catalog_open(d.fd, &options, &c, NULL) < 0 || commit_numbered(c, 1) < 0 ||
		    !c->has_thread)
			_exit(1);
		catalog_before_fork(c);
		if (c->has_thread)
			_exit(2);
		if (fork() != 0)
			_exit(0);
		child = getpid();
		if (catalog_owner_changed(c) < 0 || !c->has_thread || commit_numbered(c, 2) < 0 ||
		    write(ready[1], &child, sizeof(child)) != sizeof(child))
			_exit(3);
		close(go_on[1]);
		if (read(go_on[0], &byte, 1) < 0)
			_exit(4);
		catalog_close(c);
		_exit(0);
	}
	close(ready[1]);
	cr_assert_eq(waitpid(parent, NULL, 0), parent);
	cr_assert_eq(read(ready[0], &child, sizeof(child)), (ssize_t)sizeof(child));
	assert_busy(&d, child);
	close(go_on[1]);
	/* Nobody waits for a grandchild: its lock says when it is gone. */
	for (int i = 0; i < 1000 && open_error(&d, CATALOG_WRITE, NULL) == -EBUSY; i++)
		usleep(10000);
	{
		CLEANUP(catalog) struct catalog *c = open_quick(&d);

		cr_assert_not_null(c);
		cr_assert_eq(count_numbered(c), 2);
		cr_assert_eq(c->applied, 2, "the child closed it");
	}
}

/* File systems without locks: the text decides. */
static int own_by_text(const struct dir *d, const char *text, struct err *err)
{
	struct lock_file l = {.fd = -1};
	int rc;

	file_write(d, LOCK_FILE, text, strlen(text));
	lock_without_locks = true;
	rc = lock_own(&l, d->fd, err);
	lock_without_locks = false;
	if (rc == 0) {
		cr_assert_not(l.has_locks);
		cr_assert_eq(gate_shut(&l, GATE_WAIT_MS), 0);
		gate_open(&l);
		lock_release(&l, false);
	}
	return rc;
}

Test(lock, without_locks_the_text_decides)
{
	CLEANUP(dir) struct dir d = dir_make();
	CLEANUP(err) struct err err = {0};
	char boot[64] = {0}, host[64] = {0}, text[256];
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY);
	pid_t dead = fork();

	if (dead == 0)
		_exit(0);
	cr_assert_eq(waitpid(dead, NULL, 0), dead);
	cr_assert_eq(read(fd, boot, 36), 36);
	close(fd);
	cr_assert_eq(gethostname(host, sizeof(host) - 1), 0);

	cr_assert_eq(own_by_text(&d, "", NULL), 0);
	cr_assert_eq(own_by_text(&d, "nonsense\n", NULL), 0);
	snprintf(text, sizeof(text), "%d %s %s\n", (int)dead, host, boot);
	cr_assert_eq(own_by_text(&d, text, NULL), 0, "dead");
	snprintf(text, sizeof(text), "1 %s %s\n", host, boot);
	cr_assert_eq(own_by_text(&d, text, &err), -EBUSY, "alive");
	cr_assert_not_null(strstr(err_text(&err), "process 1 "));
	snprintf(text, sizeof(text), "1 %s another-boot\n", host);
	cr_assert_eq(own_by_text(&d, text, NULL), 0, "before the last boot");
	err_done(&err);
	/* Not -EBUSY: whoever is told that it is in use is content with a snapshot. */
	cr_assert_eq(own_by_text(&d, "1 elsewhere another-boot\n", &err), -ENOLCK);
	cr_assert_not_null(strstr(err_text(&err), "host elsewhere"));
	cr_assert_not_null(strstr(err_text(&err), "remove the file"));
}

/* This host and boot, for a lock file's text. */
static void text_of_owner(pid_t pid, const char *last_word, char text[256])
{
	char boot[64] = {0}, host[64] = {0};
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY);

	cr_assert_eq(read(fd, boot, 36), 36);
	close(fd);
	cr_assert_eq(gethostname(host, sizeof(host) - 1), 0);
	snprintf(text, 256, "%d %s %s%s\n", (int)pid, host, boot, last_word);
}

Test(lock, without_locks_a_zombie_is_dead)
{
	CLEANUP(dir) struct dir d = dir_make();
	pid_t zombie = fork();
	siginfo_t info;
	char text[256];

	if (zombie == 0)
		_exit(0);
	cr_assert_eq(waitid(P_PID, (id_t)zombie, &info, WEXITED | WNOWAIT), 0);
	text_of_owner(zombie, "", text);
	cr_assert_eq(own_by_text(&d, text, NULL), 0);
	waitpid(zombie, NULL, 0);
}

Test(lock, without_locks_who_is_closing_is_waited_for)
{
	CLEANUP(dir) struct dir d = dir_make();
	pid_t pid = fork();
	char text[256];

	if (pid == 0) {
		/* Longer than one waits for an owner that does not say that it is closing. */
		usleep(500000);
		_exit(0);
	}
	text_of_owner(pid, " closing", text);
	cr_assert_eq(own_by_text(&d, text, NULL), 0);
	waitpid(pid, NULL, 0);
}

/* Whoever lives under that number now, and wherever it was. */
Test(lock, without_locks_who_has_let_go_is_no_owner)
{
	CLEANUP(dir) struct dir d = dir_make();
	char text[256];

	text_of_owner(1, " unclean", text);
	cr_assert_eq(own_by_text(&d, text, NULL), 0);
	cr_assert_eq(own_by_text(&d, "1 elsewhere another-boot unclean\n", NULL), 0);
}

Test(lock, without_locks_what_is_not_recovered_is_said)
{
	CLEANUP(dir) struct dir d = dir_make();
	struct lock_file l = {.fd = -1};

	for (int i = 0; i < 3; i++) {
		lock_without_locks = true;
		cr_assert_eq(lock_own(&l, d.fd, NULL), 0);
		lock_announce_closing(&l);
		lock_without_locks = false;
		cr_assert_eq(l.was_owned, i == 1, "open %d", i);
		lock_release(&l, i == 0);
	}
}

Test(lock, without_locks_an_owner_says_that_it_is_closing)
{
	CLEANUP(dir) struct dir d = dir_make();
	struct lock_file l = {.fd = -1};
	char text[256], expected[256];

	lock_without_locks = true;
	cr_assert_eq(lock_own(&l, d.fd, NULL), 0);
	lock_announce_closing(&l);
	lock_without_locks = false;
	memset(text, 0, sizeof(text));
	cr_assert_gt(pread(l.fd, text, sizeof(text) - 1, 0), 0);
	text_of_owner(getpid(), " closing", expected);
	cr_assert_str_eq(text, expected);
	lock_release(&l, false);
}

Test(lock, gate_keeps_checkpoints_out)
{
	CLEANUP(dir) struct dir d = dir_make();
	CLEANUP(catalog) struct catalog *c = open_quick(&d);
	int a, b;

	cr_assert_eq(commit_numbered(c, 1), 0);
	a = gate_hold(d.fd);
	b = gate_hold(d.fd);
	cr_assert_geq(a, 0);
	cr_assert_geq(b, 0, "snapshots do not exclude each other");
	cr_assert_eq(checkpoint(c, false), -EBUSY);
	cr_assert_eq(commit_numbered(c, 2), 0, "commits go on");
	close(a);
	cr_assert_eq(checkpoint(c, false), -EBUSY);
	close(b);
	cr_assert_eq(checkpoint(c, false), 0);
	cr_assert_eq(c->applied, 2);
	cr_assert_eq(gate_shut(&c->lock_file, 0), 0);
	cr_assert_eq(gate_hold_for(d.fd, 50), -EBUSY);
	gate_open(&c->lock_file);
}

/* As after many commits. */
static void fill_memory(struct catalog *c, uint64_t bytes)
{
	pthread_mutex_lock(&c->lock);
	c->active->bytes += bytes;
	pthread_mutex_unlock(&c->lock);
}

/* A reader that was stopped: journal and memory do not grow for ever. */
Test(lock, gate_that_is_held_for_ever)
{
	CLEANUP(dir) struct dir d = dir_make();
	CLEANUP(catalog) struct catalog *c = open_quick(&d);
	CLEANUP(batch) struct batch b = {0};
	int gate;

	be_quiet();
	cr_assert_eq(commit_numbered(c, 1), 0);
	gate = gate_hold(d.fd);
	cr_assert_geq(gate, 0);
	fill_memory(c, CHECKPOINT_BYTES);
	cr_assert_eq(checkpoint(c, false), -EBUSY);
	c->kept_out.tv_sec -= GATE_WAIT_MS / 1000 + 1;
	cr_assert_eq(checkpoint(c, false), -EBUSY);
	cr_assert_eq(commit_numbered(c, 2), 0, "there is room");
	fill_memory(c, BYTES_MAX);
	cr_assert_eq(commit_numbered(c, 3), -EBUSY);
	batch_begin(&b, c);
	batch_del_inode(&b, 1001);
	cr_assert_eq(catalog_commit(c, &b), -EBUSY);
	cr_assert_eq(count_numbered(c), 2, "reads go on");
	close(gate);
	cr_assert_eq(checkpoint(c, false), 0);
	cr_assert_eq(commit_numbered(c, 3), 0);
	cr_assert_eq(count_numbered(c), 3);
}

static bool is_kept_out(struct catalog *c)
{
	bool kept;

	pthread_mutex_lock(&c->lock);
	kept = c->kept_out.tv_sec != 0;
	pthread_mutex_unlock(&c->lock);
	return kept;
}

/* With a thread and a first record, and a reader that keeps its checkpoints out. */
static struct catalog *open_kept_out(const struct dir *d, bool no_sync, int *ret_gate)
{
	struct catalog_options options = {
		.mode = CATALOG_WRITE, .create = true, .no_sync = no_sync};
	struct catalog *c = NULL;

	be_quiet();
	cr_assert_eq(catalog_open(d->fd, &options, &c, NULL), 0);
	cr_assert_eq(commit_numbered(c, 1), 0);
	*ret_gate = gate_hold(d->fd);
	cr_assert_geq(*ret_gate, 0);
	return c;
}

/* All that is committed goes to the disk within seconds, though no checkpoint can be made. */
Test(lock, gate_that_is_held_keeps_no_flush_out)
{
	CLEANUP(dir) struct dir d = dir_make();
	int gate;
	CLEANUP(catalog) struct catalog *c = open_kept_out(&d, false, &gate);

	fill_memory(c, CHECKPOINT_BYTES);
	for (int i = 0; i < 400 && !is_kept_out(c); i++)
		usleep(50000);
	cr_assert_eq(commit_numbered(c, 2), 0);
	for (int i = 0; i < 400 && catalog_durable(c) < 2; i++)
		usleep(50000);
	cr_assert_eq(catalog_durable(c), 2);
	cr_assert(is_kept_out(c));
	close(gate);
}

static _Atomic int third = 1;

static void *commit_third(void *arg)
{
	third = commit_numbered(arg, 3);
	return NULL;
}

/* One that is only slow is waited for. */
Test(lock, gate_that_is_held_for_long)
{
	CLEANUP(dir) struct dir d = dir_make();
	int gate;
	CLEANUP(catalog) struct catalog *c = open_kept_out(&d, true, &gate);
	pthread_t thread;

	fill_memory(c, BYTES_MAX);
	cr_assert_eq(commit_numbered(c, 2), 0, "nobody knows yet");
	for (int ms = 0; ms < 5000 && !is_kept_out(c); ms += 10)
		usleep(10000);
	cr_assert(is_kept_out(c));
	cr_assert_eq(pthread_create(&thread, NULL, commit_third, c), 0);
	usleep(700000);
	cr_assert_eq(third, 1, "it waits");
	close(gate);
	cr_assert_eq(pthread_join(thread, NULL), 0);
	cr_assert_eq(third, 0);
	cr_assert_eq(count_numbered(c), 3);
}
