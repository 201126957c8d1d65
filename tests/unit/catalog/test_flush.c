/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of flushes of the journals: what fails, and what is waited for. */
#include <criterion/criterion.h>
#include <errno.h>
#include <unistd.h>

#include "catalog/internal.h"
#include "unit/catalog/helper.h"

Test(flush, failure_is_not_forgotten)
{
	CLEANUP(dir) struct dir d = dir_make();
	struct catalog_options options = {
		.mode = CATALOG_WRITE, .create = true, .no_threads = true};
	CLEANUP(catalog) struct catalog *c = NULL;
	int fds[2], journal;

	be_quiet();
	cr_assert_eq(catalog_open(d.fd, &options, &c, NULL), 0);
	cr_assert_eq(commit_numbered(c, 1), 0);
	cr_assert_eq(catalog_sync(c), 0);
	cr_assert_eq(c->synced_seq, 1);
	cr_assert_eq(commit_numbered(c, 2), 0);
	cr_assert_eq(pipe(fds), 0);
	journal = c->journals[c->current].fd;
	c->journals[c->current].fd = fds[1];
	c->fail_apply = 2;
	cr_assert_eq(catalog_sync(c), -ENOMEM, "nor can a checkpoint make up for it");
	c->journals[c->current].fd = journal;
	cr_assert_eq(catalog_sync(c), -ENOMEM, "although the disk would work now");
	cr_assert_eq(c->synced_seq, 1);
	cr_assert_eq(c->fail_apply, 0);
	cr_assert_eq(catalog_sync(c), 0, "a checkpoint makes up for it");
	cr_assert_eq(c->applied, 2);
	cr_assert_eq(commit_numbered(c, 3), 0);
	cr_assert_eq(catalog_sync(c), 0);
	cr_assert_eq(count_numbered(c), 3);
	close(fds[0]);
	close(fds[1]);
}

/* Commits that go on during the checkpoint, to the other journal, do not keep the failure alive. */
static int commit_meanwhile(void *arg)
{
	struct catalog *c = arg;

	/* The second time: frozen by then. Nor must this commit make a checkpoint of its own. */
	if (c->frozen != NULL && c->seq == c->frozen_seq) {
		c->has_thread = true;
		cr_assert_eq(commit_numbered(c, c->seq + 1), 0);
		c->has_thread = false;
	}
	return 0;
}

Test(flush, failure_is_of_one_journal)
{
	CLEANUP(dir) struct dir d = dir_make();
	struct catalog_options options = {
		.mode = CATALOG_WRITE, .create = true, .no_threads = true};
	CLEANUP(catalog) struct catalog *c = NULL;
	struct catalog_hooks hooks = {.before_flush = commit_meanwhile};

	be_quiet();
	cr_assert_eq(catalog_open(d.fd, &options, &c, NULL), 0);
	cr_assert_eq(commit_numbered(c, 1), 0);
	c->sync_error = -EIO;
	hooks.arg = c;
	catalog_set_hooks(c, &hooks);
	cr_assert_eq(catalog_checkpoint(c), 0);
	catalog_set_hooks(c, NULL);
	cr_assert_eq(c->applied, 1);
	cr_assert_eq(c->seq, 2);
	cr_assert_eq(c->sync_error, 0);
	cr_assert_eq(catalog_sync(c), 0);
	cr_assert_eq(c->synced_seq, 2);
	cr_assert_eq(c->applied, 1, "by a flush, not by another checkpoint");
}

static unsigned int n_asked, n_caught_up;
static uint64_t last_upto;

static bool is_always_behind(void *arg, uint64_t upto)
{
	(void)arg;
	last_upto = upto;
	n_asked++;
	return true;
}

static void count_catch_up(void *arg)
{
	(void)arg;
	n_caught_up++;
}

/* Before each journal: while the older one is being flushed records come into the other. But not without an end. */
Test(flush, catches_up)
{
	CLEANUP(dir) struct dir d = dir_make();
	struct catalog_options options = {
		.mode = CATALOG_WRITE, .create = true, .no_threads = true};
	CLEANUP(catalog) struct catalog *c = NULL;
	struct catalog_hooks hooks = {.is_behind = is_always_behind, .catch_up = count_catch_up};

	cr_assert_eq(catalog_open(d.fd, &options, &c, NULL), 0);
	cr_assert_eq(commit_numbered(c, 1), 0);
	cr_assert_eq(catalog_sync(c), 0);
	catalog_set_hooks(c, &hooks);
	cr_assert_eq(commit_numbered(c, 2), 0);
	cr_assert_eq(catalog_sync(c), 0);
	cr_assert_eq(n_caught_up, 3);
	cr_assert_eq(commit_numbered(c, 3), 0);
	hooks.before_flush = commit_meanwhile;
	hooks.arg = c;
	catalog_set_hooks(c, &hooks);
	cr_assert_eq(catalog_checkpoint(c), 0);
	catalog_set_hooks(c, NULL);
	cr_assert_eq(c->seq, 4);
	cr_assert_eq(n_caught_up, 9);
	/* Once more each time, to be told how far it comes. */
	cr_assert_eq(n_asked, 12);
	cr_assert_eq(last_upto, 4);
}
