/* SPDX-License-Identifier: Apache-2.0 */
/* What an open makes of the journals once they are read: into the tables, or put aside. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/log.h"
#include "base/sys.h"
#include "catalog/internal.h"

/* Records behind a bad one: what could be read is in the tables, and the file is kept for people. */
static int keep_bad_journal(struct catalog *c, unsigned int i, bool whole, struct err *err)
{
	struct dir_name dir = dir_name_of(c->dirfd);
	unsigned int number;
	int rc = journal_set_aside(c->dirfd, journal_names[i], &number);

	if (rc < 0)
		return err_errno(err, -rc, "cannot put %s/%s aside", dir.text, journal_names[i]);
	log_error("%s/%s was damaged: %s", dir.text, journal_names[i],
		  whole ? "its header; nothing is lost" : "changes after the damage are lost");
	if (number != 0)
		log_error("%s/%s is kept as " JOURNAL_FILE_BAD, dir.text, journal_names[i], number);
	else
		log_error("%s/%s is not kept: there are as many damaged ones already as are kept",
			  dir.text, journal_names[i]);
	return 0;
}

/*
 * What the owner changes goes to the tables with the records that it is about: at once, as the journals do not have it, and
 * also when he could not do all that there was to do.
 */
static int tell_replayed(struct catalog *c)
{
	CLEANUP(batch) struct batch fixes = {0};
	int rc, told;

	if (c->options.replayed == NULL || c->seq == c->applied)
		return 0;
	batch_begin(&fixes, c);
	told = c->options.replayed(c->options.arg, c, &fixes);
	if (fixes.n == 0)
		return told;
	rc = buf_ok(&fixes.body) ? delta_reserve(c->active, fixes.body.len, fixes.n) : -ENOMEM;
	if (rc == 0)
		delta_apply(c->active, fixes.body.data, fixes.body.len);
	return rc;
}

/* Before the journal is put aside: a crash in between finds it again. */
static int tell_lost(struct catalog *c, struct err *err)
{
	CLEANUP(err) struct err why = {0};
	int rc;

	if (c->options.lost == NULL)
		return 0;
	do {
		rc = c->options.lost(c->options.arg, c, &why);
	} while (spare_give(c, rc, SPARE_FOR_CHECKPOINT));
	return rc < 0 ? err_set(err, -rc, "%s", err_text(&why)) : 0;
}

/*
 * On a full disk the tables get the records in pieces, which are worth nothing without the journals: these must be on
 * the disk first, where nobody may have asked for that before their owner died. The older one first, as ever. What
 * failed is made up for by the tables, as in a flush; until then no sync succeeds.
 */
static void flush_replayed(struct catalog *c, const struct replay *r)
{
	unsigned int older = r->scans[1].last_seq < r->scans[0].last_seq;
	int rc = 0;

	for (unsigned int i = 0; i < N_JOURNALS && rc == 0 && !c->options.no_sync; i++) {
		const char *name = journal_names[i == 0 ? older : !older];
		CLEANUP(fd) int fd = sys_openat(c->dirfd, name, O_RDONLY | O_NOFOLLOW, 0);

		if (fd != -ENOENT)
			rc = fd < 0 ? fd : sys_fdatasync(fd);
	}
	if (rc == 0)
		return;
	c->sync_error = rc;
	log_error("%s: the catalog's journal could not be flushed to the disk: %s",
		  dir_name_of(c->dirfd).text, strerror(-rc));
}

/* Was all of it read, whatever its header is like? */
static bool is_whole(const struct journal_scan *scan)
{
	return scan->off == scan->len;
}

int settle_replay(struct catalog *c, const struct replay *r, uint64_t ret_lens[N_JOURNALS],
		  struct err *err)
{
	bool bad[N_JOURNALS], any_bad = false, any_lost = false;
	int rc;

	for (unsigned int i = 0; i < N_JOURNALS; i++) {
		bad[i] = r->scans[i].header_bad || journal_scan_more(&r->scans[i], c->seed, c->seq);
		any_bad |= bad[i];
		any_lost |= bad[i] && !is_whole(&r->scans[i]);
		ret_lens[i] = 0;
	}
	rc = tell_replayed(c);
	if (any_lost) {
		int kept = tell_lost(c, err);

		if (kept < 0)
			return kept;
	}
	/* A damaged journal cannot be continued, whatever else fails. */
	if ((rc == 0 || any_bad) && c->seq != c->applied) {
		flush_replayed(c, r);
		rc = checkpoint(c, true);
	}
	if (rc < 0 && any_bad)
		return err_errno(err, -rc, "cannot start a new journal in %s",
				 dir_name_of(c->dirfd).text);
	for (unsigned int i = 0; i < N_JOURNALS; i++) {
		if (rc < 0 && r->scans[i].last_seq > c->applied)
			ret_lens[i] = r->scans[i].off;
		if (rc < 0 && r->scans[i].last_seq == c->seq)
			c->current = i;
		if (bad[i]) {
			rc = keep_bad_journal(c, i, is_whole(&r->scans[i]), err);
			if (rc < 0)
				return rc;
		}
	}
	if (rc < 0)
		log_warn("what the journal holds could not be brought into the catalog: %s",
			 strerror(-rc));
	return 0;
}
