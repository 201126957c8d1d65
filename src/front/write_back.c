/* SPDX-License-Identifier: Apache-2.0 */
/* Writing back at the end: sync(1) asks for it, the WRITEs that come are counted. */
#include "front/write_back.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "front/private.h"

/* A program that goes on writing would keep us for ever: so many rounds, and so long after the first. */
#define ROUNDS_MAX 8
#define WAIT_MS	   10000
/* The kernel leaves pages out while so many requests are under way, three quarters of max_background. */
#define CONGESTED 48
/* So long after the last one, nothing else waiting, there is none left; or so long if other requests always wait. */
#define IDLE_MS 3
#define BUSY_MS 200
/* There may be no more processes just now. */
#define TRIES	     10
#define TRY_AGAIN_MS 100

static int run_sync(const char *path)
{
	char program[] = "sync", file_system[] = "-f", end[] = "--";
	CLEANUP(free) char *copy = strdup(path);
	char *argv[] = {program, file_system, end, copy, NULL};
	int r;

	if (copy == NULL)
		return -ENOMEM;
	r = mount_run_program(argv);
	for (int i = 0; i < TRIES && (r == -EAGAIN || r == -ENOMEM); i++) {
		lead_pause(TRY_AGAIN_MS * PACE_MS);
		r = mount_run_program(argv);
	}
	return r;
}

/*
 * Whether sync(1) did what it could, given how it ended. One that does not know -f says 1, as others do when the file system
 * cannot be written: for /proc there is nothing to write, so that is success where -f is known.
 */
static bool has_synced(int r)
{
	/* A signal ended it, or somebody else has waited for it. */
	if (r == 0 || r == -EINTR || r == -ECHILD)
		return true;
	return r > 0 && run_sync("/proc") == 0;
}

static void sync_ourselves(const char *path)
{
	CLEANUP(fd) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0)
		syncfs(fd);
}

/*
 * Waiting for what is written back cannot be interrupted, not even by SIGKILL: a daemon that did so when it was killed
 * would stay, with the connection, and wait for answers of its own. So another process does: when that one's
 * daemon is killed the connection ends, and with it the wait. Where there is no sync(1) there is no better way. One that
 * has failed is no reason: what it could not write is lost whoever tries. False: then there is no more to be done.
 */
static bool sync_once(const char *path)
{
	int r = run_sync(path);

	if (r == 0)
		return true;
	if (has_synced(r)) {
		log_warn("%s: what the kernel had not written back yet may be lost: sync -f failed",
			 path);
		return false;
	}
	sync_ourselves(path);
	return true;
}

/* Until all WRITEs that the kernel has sent are answered. False: END has come before. */
static bool await_answers(struct front *f, uint64_t end)
{
	const struct write_back *w = &f->write_back;
	unsigned int seen = 0;
	uint64_t now = lead_now(), last = now;

	while (now < end) {
		/* In this order: what has ended by now had begun. */
		unsigned int ended = atomic_load(&w->ended), begun = atomic_load(&w->begun);
		uint64_t quiet = (lead_is_pending(&f->lead) ? BUSY_MS : IDLE_MS) * PACE_MS;

		if (begun + ended != seen)
			last = now;
		seen = begun + ended;
		if (begun == ended && now - last >= quiet)
			return true;
		lead_pause(PACE_MS);
		now = lead_now();
	}
	return false;
}

/*
 * Not every kernel's syncfs(2) waits for a FUSE file system (SB_I_NO_DATA_INTEGRITY), and while many WRITEs are under way one that
 * does not leaves out pages (fuse_writepages(), WB_SYNC_NONE). So it is asked until it sent fewer than that takes: then all is
 * here that was to be written when it was asked.
 */
void write_back(struct front *f)
{
	uint64_t end = 0;

	for (int i = 0; i < ROUNDS_MAX; i++) {
		unsigned int before = atomic_load(&f->write_back.begun);

		if (!sync_once(f->mountpoint))
			return;
		if (end == 0)
			end = lead_now() + WAIT_MS * PACE_MS;
		if (!await_answers(f, end))
			break;
		if (atomic_load(&f->write_back.begun) - before < CONGESTED)
			return;
	}
	log_warn("%s: what the kernel had not written back yet may be lost: programs go on "
		 "writing, or the upper's disk does not get on",
		 f->mountpoint);
}
