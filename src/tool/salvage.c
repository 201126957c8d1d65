/* SPDX-License-Identifier: Apache-2.0 */
/* Salvage: a new catalog is made of what can be read, mended, and written out as a plain tree. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>

#include "base/sys.h"
#include "catalog/salvage.h"
#include "tool/private.h"
#include "tool/tree.h"

/* In the directory of the result while it is being made: the new catalog, and hard links. */
#define SCRATCH ".plyfs-salvage"

static int open_to(const char *to, int *ret_fd, struct err *err)
{
	CLEANUP(fd) int fd = -1;
	_Alignas(uint64_t) char names[1024];
	ssize_t n;
	int r = sys_mkdirat(AT_FDCWD, to, 0700);

	if (r < 0 && r != -EEXIST)
		return err_errno(err, -r, "cannot make %s", to);
	fd = sys_openat(AT_FDCWD, to, O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0)
		return err_errno(err, -fd, "%s", to);
	while ((n = sys_getdents(fd, names, sizeof(names))) > 0) {
		struct sys_dirents it = sys_dirents_of(names, (size_t)n);
		const struct linux_dirent64 *d;

		while ((d = sys_dirents_next(&it)) != NULL)
			if (!sys_is_dots(d->d_name))
				return err_set(err, ENOTEMPTY,
					       "%s is not empty: name a new directory", to);
	}
	*ret_fd = steal_fd(&fd);
	return 0;
}

static int open_scratch(int to, int *ret_fd, struct catalog **ret_catalog, struct err *err)
{
	struct catalog_options options = {
		.mode = CATALOG_WRITE, .create = true, .no_sync = true, .no_threads = true};
	int r = sys_mkdirat(to, SCRATCH, 0700);

	if (r == 0)
		r = sys_openat(to, SCRATCH, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (r < 0)
		return err_errno(err, -r, "cannot make " SCRATCH);
	*ret_fd = r;
	return catalog_open(r, &options, ret_catalog, err);
}

/* Plain files, and the directory of links, which is empty by now. */
static void remove_scratch(int to, int scratch)
{
	_Alignas(uint64_t) char names[4096];
	CLEANUP(fd) int fd = sys_openat(scratch, ".", O_RDONLY | O_DIRECTORY, 0);
	ssize_t n;

	while (fd >= 0 && (n = sys_getdents(fd, names, sizeof(names))) > 0) {
		struct sys_dirents it = sys_dirents_of(names, (size_t)n);
		const struct linux_dirent64 *d;

		while ((d = sys_dirents_next(&it)) != NULL)
			sys_unlinkat(scratch, d->d_name, 0);
	}
	sys_unlinkat(to, SCRATCH, AT_REMOVEDIR);
}

static int step_of(void *arg)
{
	return step(arg);
}

static void print_counts(FILE *out, const struct salvage_counts *c)
{
	fprintf(out,
		"catalog: %" PRIu64 " pages, %" PRIu64 " of them or of their records unreadable\n",
		c->pages, c->bad_pages);
	fprintf(out,
		"catalog: %" PRIu64 " names, %" PRIu64 " inodes, %" PRIu64 " attributes; %" PRIu64
		" more records from older pages; %" PRIu64 " changes from the journal\n",
		c->records[TABLE_ENTRY], c->records[TABLE_INODE], c->records[TABLE_XATTR], c->older,
		c->changes);
	if (c->lost_changes > 0)
		fprintf(out, "catalog: %" PRIu64 " changes are missing in the journal\n",
			c->lost_changes);
	if (c->older > 0)
		fprintf(out,
			"catalog: names that were deleted may be among those from older pages\n");
}

static void print_tree(FILE *out, const char *to, const struct tree_counts *c)
{
	fprintf(out,
		"%s: %" PRIu64 " files, %" PRIu64 " directories, %" PRIu64 " links, %" PRIu64
		" others; %" PRIu64 " bytes\n",
		to, c->files, c->dirs, c->links, c->others, c->bytes);
	if (c->whiteouts > 0)
		fprintf(out, "%s/" TREE_WHITEOUTS ": %" PRIu64 " names that hide lower ones\n", to,
			c->whiteouts);
	if (c->incomplete > 0)
		fprintf(out,
			"%s/" TREE_INCOMPLETE ": %" PRIu64
			" files whose bytes are in the lower layers, wholly or in part\n",
			to, c->incomplete);
	if (c->missing > 0)
		fprintf(out, "%s/" TREE_MISSING ": %" PRIu64 " names that could not be written\n",
			to, c->missing);
}

/* The passes make of whatever was found a tree: what has no place is in lost+found. */
static int mend(struct fsck *f, struct err *err)
{
	int r;

	f->pass = "files";
	f->keeps_data = f->repair = true;
	r = fsck_passes(f, err);
	if (r == 0)
		r = catalog_checkpoint(f->catalog);
	return r;
}

static int salvage(struct fsck *f, int to, const char *to_name, struct err *err)
{
	struct salvage_counts counts = {0};
	struct tree_counts tree = {0};
	CLEANUP(fd) int scratch = -1;
	uint64_t mended;
	int r = open_scratch(to, &scratch, &f->catalog, err);

	f->pass = "pages";
	if (r == 0)
		r = catalog_salvage(f->dirfd, f->catalog, step_of, f, &counts, err);
	progress_end(f);
	if (r == 0) {
		print_counts(f->options->out, &counts);
		/* Data files whose records are lost are what salvage is for. */
		f->lost_changes = f->lost_changes || !counts.complete;
		r = mend(f, err);
	}
	mended = f->fixed + f->left;
	f->pass = "writing";
	if (r == 0)
		r = tree_write(f, to, scratch, &tree, err);
	progress_end(f);
	if (r == 0)
		print_tree(f->options->out, to_name, &tree);
	catalog_close(steal_ptr(&f->catalog));
	if (scratch >= 0)
		remove_scratch(to, scratch);
	if (r < 0)
		return r;
	return counts.complete && mended == 0 && tree.missing == 0 ? FSCK_CLEAN : FSCK_ERRORS_LEFT;
}

int fsck_salvage(const struct fsck_options *options, const char *to, struct err *err)
{
	CLEANUP(fsck)
	struct fsck f = {
		.options = options, .upper_fd = -1, .dirfd = -1, .data_fd = -1, .pass = "files"};
	CLEANUP(fd) int to_fd = -1;
	int r = fsck_open_dirs(&f, err);

	if (r == 0)
		r = fsck_look_at_owner(&f, true, err);
	if (r == 0)
		r = open_to(to, &to_fd, err);
	if (r == 0)
		r = salvage(&f, to_fd, to, err);
	if (r >= 0)
		return r;
	return r == -ECANCELED ? FSCK_CANCELLED : FSCK_FAILED;
}
