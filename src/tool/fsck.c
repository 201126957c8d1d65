/* SPDX-License-Identifier: Apache-2.0 */
/* Checking and mending: the files, then pass by pass. */
#include "tool/fsck.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "data/lost.h"
#include "data/replayed.h"
#include "tool/private.h"

/* Later passes rely on what earlier ones have seen. */
static const struct pass {
	const char *name;
	int (*run)(struct fsck *f); /* 0, or -errno when it could not be made */
} passes[] = {
	{"data files", pass_data}, {"inodes", pass_inodes},	{"names", pass_entries},
	{"tree", pass_tree},	   {"attached", pass_attached}, {"content", pass_content},
	{"links", pass_links},	   {"checksums", pass_sums},
};

void fsck_done(struct fsck *f)
{
	nodes_free(f->nodes);
	buf_done(&f->names);
	batch_done(&f->batch);
	free(f->adopted);
	catalog_close(f->catalog);
	if (f->data_fd >= 0)
		close(f->data_fd);
	if (f->dirfd >= 0)
		close(f->dirfd);
	if (f->upper_fd >= 0)
		close(f->upper_fd);
}

int fsck_passes(struct fsck *f, struct err *err)
{
	int r = 0;

	f->nodes = nodes_new();
	if (f->nodes == NULL)
		r = -ENOMEM;
	batch_begin(&f->batch, f->catalog);
	for (size_t i = 0; r == 0 && i < sizeof(passes) / sizeof(*passes); i++) {
		f->pass = passes[i].name;
		r = passes[i].run(f);
		progress_end(f);
	}
	if (r < 0 && r != -ECANCELED)
		return err_errno(err, -r, "upper %s: cannot check the %s", f->options->upper,
				 f->pass);
	return r;
}

int fsck_open_dirs(struct fsck *f, struct err *err)
{
	const int flags = O_RDONLY | O_DIRECTORY;
	const char *upper = f->options->upper;

	f->upper_fd = sys_openat(AT_FDCWD, upper, flags, 0);
	if (f->upper_fd < 0)
		return err_errno(err, -f->upper_fd, "upper %s", upper);
	f->dirfd = sys_openat(f->upper_fd, ".plyfs", flags | O_NOFOLLOW, 0);
	if (f->dirfd == -ENOENT)
		return err_set(err, ENOENT,
			       "%s is not an upper layer of plyfs: it has no directory .plyfs",
			       upper);
	if (f->dirfd < 0)
		return err_errno(err, -f->dirfd, "upper %s: .plyfs", upper);
	f->data_fd = sys_openat(f->dirfd, "data", flags | O_NOFOLLOW, 0);
	if (f->data_fd < 0 && f->data_fd != -ENOENT)
		return err_errno(err, -f->data_fd, "upper %s: .plyfs/data", upper);
	f->lost_changes = lost_is_marked(f->dirfd);
	return 0;
}

#define CLOSING_WAIT_MS 60000
#define UNMOUNT_WAIT_MS 300
#define OWNER_POLL_MS	10

/* An owner that was just unmounted lets go in a moment. */
static int wait_for_owner(struct fsck *f, struct catalog_owner *ret_owner)
{
	const struct timespec pause = {.tv_nsec = OWNER_POLL_MS * 1000000L};
	int r = catalog_owner_of(f->dirfd, ret_owner);

	for (int ms = 0; r == 0 && ret_owner->in_use && step(f) == 0; ms += OWNER_POLL_MS) {
		if (ms >= (ret_owner->closing ? CLOSING_WAIT_MS : UNMOUNT_WAIT_MS))
			break;
		nanosleep(&pause, NULL);
		r = catalog_owner_of(f->dirfd, ret_owner);
	}
	return r;
}

int fsck_look_at_owner(struct fsck *f, bool alone, struct err *err)
{
	struct catalog_owner owner;
	char who[128] = "another process";
	int r = wait_for_owner(f, &owner);

	if (r < 0)
		return err_errno(err, -r, "upper %s: .plyfs/lock", f->options->upper);
	f->in_use = owner.in_use;
	if (!owner.in_use)
		return 0;
	if (owner.pid != 0)
		snprintf(who, sizeof(who), "process %ld on %s", owner.pid, owner.host);
	if (alone)
		return err_set(err, EBUSY, "upper %s is in use by %s: unmount it first",
			       f->options->upper, who);
	note(f, "the upper is in use by %s: checked as it was a moment ago", who);
	return 0;
}

static void damage(struct fsck *f, const char *file, const char *what)
{
	fprintf(f->options->out, "%s: .plyfs/%s: %s; cannot be mended\n", f->pass, file, what);
	f->left++;
}

/* Can LMDB be given the file at all? 1: no. */
static int look_at_tables(struct fsck *f, const struct catalog_files *files, struct err *err)
{
	struct place_text place = {".plyfs/" SUM_FILE};
	int r = 0;

	if (!files->has_catalog) {
		if (!files->has_changes)
			return err_set(err, ENOENT, "upper %s has no catalog", f->options->upper);
		damage(f, CATALOG_FILE, "it is missing, but there are changes to it");
		return 1;
	}
	if (files->tree == -EUCLEAN) {
		damage(f, CATALOG_FILE, files->why);
		note(f, "plyfs fsck --salvage gets out of it what can be read");
		return 1;
	}
	if (files->tree == -EPROTONOSUPPORT)
		return err_set(err, EPROTONOSUPPORT,
			       "upper %s: .plyfs/" CATALOG_FILE
			       " was made by another version of LMDB than %s",
			       f->options->upper, catalog_library_version());
	if (files->tree < 0)
		return err_errno(err, -files->tree, "upper %s: .plyfs/" CATALOG_FILE,
				 f->options->upper);
	if (files->sum >= 0)
		return 0;
	if (f->repair)
		r = catalog_forget_sum(f->dirfd);
	if (r < 0)
		return err_errno(err, -r, "upper %s: .plyfs/" SUM_FILE, f->options->upper);
	fprintf(f->options->out,
		"%s: %s: " CATALOG_FILE " is not as it was when it was closed: something in it has "
		"changed that may not be found below; take it as it is%s\n",
		f->pass, place.text, f->repair ? ": done" : "");
	f->left += !f->repair;
	f->fixed += f->repair;
	f->is_suspect = true;
	return 0;
}

/* After the catalog was opened, which a repair does with the journals already. */
static void look_at_journals(struct fsck *f, const struct catalog_files *files)
{
	uint64_t seed = catalog_seed(f->catalog), last = catalog_committed(f->catalog);
	uint64_t pending = 0;

	for (size_t i = 0; i < N_JOURNALS; i++) {
		const struct journal_file *j = &files->journals[i];
		struct journal_verdict v;

		journal_judge(j, seed, last, &v);
		pending += v.records;
		if (!v.header_bad && !v.damaged)
			continue;
		f->lost_changes = f->lost_changes || v.damaged;
		fprintf(f->options->out, "%s: .plyfs/%s: %s; put it aside%s\n", f->pass, j->name,
			v.damaged
				? "it is damaged, or a power cut took a part of it; changes behind that are lost"
				: "its header is damaged; nothing else is",
			f->repair ? ": done" : "");
		f->left += !f->repair;
		f->fixed += f->repair;
	}
	if (pending > 0 && !f->in_use)
		note(f, "the journal has %" PRIu64 " changes that %s", pending,
		     f->repair ? "were not in the tables yet; now they are"
			       : "the next mount puts into the tables");
	if (files->n_bad_journals > 0)
		note(f,
		     "%zu damaged journals were put aside earlier (.plyfs/journal.bad-N): "
		     "changes are missing",
		     files->n_bad_journals);
}

static bool is_damage(int error)
{
	return error == -EUCLEAN || error == -EBADMSG || error == -ESTALE;
}

/* As a mount does, should this end half-way. */
static int keep_lost(void *arg, struct catalog *c, struct err *err)
{
	const struct fsck *f = arg;
	struct lost_count n = {0};

	return lost_keep(f->dirfd, c, false, &n, err);
}

/* The same: once the journal's records are in the tables nobody can tell what a power cut has taken from what was lost. */
static int mend_replayed(void *arg, struct catalog *c, struct batch *fixes)
{
	struct fsck *f = arg;
	struct replayed_count n = {0};
	int r = replayed_mend(f->data_fd, c, false, fixes, &n);

	f->n_cut = n.emptied + n.lower;
	/* A record that cannot be read is for the passes to mend. */
	f->replay_error = r == -EUCLEAN ? 0 : r;
	return f->replay_error;
}

/* The files, and the catalog opened. 1: it cannot be. */
static int open_catalog(struct fsck *f, struct err *err)
{
	CLEANUP(catalog_files) struct catalog_files files = {0};
	CLEANUP(err) struct err why = {0};
	struct catalog_options options = {
		.mode = f->repair ? CATALOG_WRITE : CATALOG_SNAPSHOT,
		.replayed = mend_replayed,
		.lost = keep_lost,
		.arg = f,
	};
	int r = catalog_inspect(f->dirfd, f->in_use, &files, err);

	if (r < 0)
		return err_wrap(err, "upper %s", f->options->upper);
	r = look_at_tables(f, &files, err);
	if (r != 0)
		return r;
	r = catalog_open(f->dirfd, &options, &f->catalog, &why);
	if (is_damage(r)) {
		fprintf(f->options->out, "%s: %s\n", f->pass, err_text(&why));
		f->left++;
		return 1;
	}
	if (r < 0)
		return err_set(err, -r, "upper %s: %s", f->options->upper, err_text(&why));
	if (f->replay_error < 0)
		return err_errno(err, -f->replay_error,
				 "upper %s: cannot look for data files that a power cut has taken",
				 f->options->upper);
	look_at_journals(f, &files);
	return 0;
}

/* Should this end half-way: the next mount, or repair, must not take what is not mended yet for left-overs. */
static int begin_repair(struct fsck *f, struct err *err)
{
	int r = 0;

	if (f->lost_changes)
		note(f, "an earlier repair did not end: data files may have lost their records");
	if (f->repair)
		r = lost_mark(f->dirfd);
	return r < 0 ? err_errno(err, -r,
				 "upper %s: cannot make .plyfs/" REPAIR_MARK
				 ", without which a repair that is cut off could lose bytes",
				 f->options->upper)
		     : 0;
}

/* All that is left of an owner that died, or of a repair, is seen to. */
static void end_repair(struct fsck *f)
{
	catalog_remove_leftovers(f->catalog);
	catalog_recovered(f->catalog);
	lost_unmark(f->dirfd);
}

static int summary(struct fsck *f, int r)
{
	int status = FSCK_CLEAN;

	if (f->fixed > 0)
		status |= FSCK_CORRECTED;
	if (f->left > 0)
		status |= FSCK_ERRORS_LEFT;
	if (r == -ECANCELED)
		status |= FSCK_CANCELLED;
	else if (r < 0)
		status |= FSCK_FAILED;
	if (r != 0)
		return status;
	fprintf(f->options->out,
		"%s: %s: %" PRIu64 " inodes, %" PRIu64 " names, %" PRIu64 " data files",
		f->options->upper, status == FSCK_CLEAN ? "clean" : "done", f->n_inodes, f->n_names,
		f->n_data);
	if (f->fixed > 0)
		fprintf(f->options->out, "; %" PRIu64 " errors mended", f->fixed);
	if (f->left > 0)
		fprintf(f->options->out, "; %" PRIu64 " errors left", f->left);
	fputc('\n', f->options->out);
	return status;
}

int fsck_run(const struct fsck_options *options, struct err *err)
{
	CLEANUP(fsck)
	struct fsck f = {
		.options = options,
		.upper_fd = -1,
		.dirfd = -1,
		.data_fd = -1,
		.repair = options->repair,
		.pass = "files",
	};
	int r = fsck_open_dirs(&f, err);

	if (r == 0)
		r = fsck_look_at_owner(&f, options->repair, err);
	if (r == 0)
		r = begin_repair(&f, err);
	if (r == 0)
		r = open_catalog(&f, err);
	if (r == 0)
		r = fsck_passes(&f, err);
	if (r == 0 && f.repair) {
		r = catalog_checkpoint(f.catalog);
		if (r < 0)
			err_errno(err, -r, "upper %s: cannot write the catalog", options->upper);
		else
			end_repair(&f);
	}
	return summary(&f, r);
}
