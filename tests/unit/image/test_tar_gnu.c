/* SPDX-License-Identifier: Apache-2.0 */
/* What GNU tar writes, in each of its formats, is read as what it was. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/sys.h"
#include "support/tmpdir.h"
#include "unit/image/packed.h"

#define LONG                                                                                       \
	"a-name-of-more-than-a-hundred-bytes-which-no-field-of-a-header-has-the-room-for-so-that-it-goes-elsewhere"
#define DEEP "dir-of-fifty-bytes-or-so-that-a-prefix-takes-it-in"

struct look {
	int tree; /* the directory that the archive was made of */
	struct blob *archive;
	unsigned files, others;
	bool exact_times; /* the format has nanoseconds */
};

static void make_file(int dirfd, const char *name, size_t len, struct rng *g)
{
	CLEANUP(buf) struct buf b = {0};
	CLEANUP(fd) int fd = sys_openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL, 0600);

	put_likely_bytes(&b, len, g);
	cr_assert_geq(fd, 0);
	cr_assert_eq(sys_write_full(fd, b.data, b.len), 0);
	cr_assert_eq(fchmod(fd, 0640), 0);
}

/* Islands of bytes in holes: the file's map is long enough to leave the header. */
static void make_sparse(int dirfd, const char *name, unsigned islands)
{
	CLEANUP(fd) int fd = sys_openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL, 0644);

	cr_assert_geq(fd, 0);
	for (unsigned i = 0; i < islands; i++)
		cr_assert_eq(sys_pwrite_full(fd, "island", 6, (off_t)i * 100000 + 7), 0);
	cr_assert_eq(sys_ftruncate(fd, 10000000), 0);
}

static void make_tree(int dirfd, bool long_names)
{
	struct rng g = rng_seeded(31);

	make_file(dirfd, "empty", 0, &g);
	make_file(dirfd, "one-block", 512, &g);
	make_file(dirfd, "some", 70000, &g);
	cr_assert_eq(mkdirat(dirfd, DEEP, 0751), 0);
	make_file(dirfd, DEEP "/another-name-of-sixty-bytes-or-so-to-make-them-more-than-100", 100,
		  &g);
	make_sparse(dirfd, "sparse", 3);
	make_sparse(dirfd, "very-sparse", 90);
	cr_assert_eq(symlinkat("../some where", dirfd, "link"), 0);
	cr_assert_eq(linkat(dirfd, "some", dirfd, "zz-hard", 0), 0);
	cr_assert_eq(mkfifoat(dirfd, "pipe", 0600), 0);
	if (long_names) {
		make_file(dirfd, LONG, 10, &g);
		cr_assert_eq(symlinkat(LONG "/" LONG, dirfd, "long-link"), 0);
	}
}

/* The member's content, put together as the index would. */
static void expect_content(const struct look *l, const struct tar_member *m)
{
	CLEANUP(fd) int fd = sys_openat(l->tree, m->path, O_RDONLY | O_NOFOLLOW, 0);
	CLEANUP(free) uint8_t *wanted = malloc(m->size + 1);
	CLEANUP(free) uint8_t *got = calloc(1, m->size + 1);

	cr_assert_eq(sys_pread_full(fd, wanted, m->size + 1, 0), (ssize_t)m->size, "%s", m->path);
	if (!m->sparse)
		cr_assert_eq(blob_read_at(l->archive, got, m->size, m->data_off), 0);
	for (size_t i = 0; i < m->n_extents; i++)
		cr_assert_eq(blob_read_at(l->archive, got + m->extents[i].logical,
					  m->extents[i].len, m->extents[i].physical),
			     0);
	cr_assert(memcmp(got, wanted, m->size) == 0, "%s", m->path);
}

static int look_at(void *arg, const struct tar_member *m)
{
	static const mode_t types[] = {
		[TAR_FILE] = S_IFREG, [TAR_HARDLINK] = S_IFREG, [TAR_SYMLINK] = S_IFLNK,
		[TAR_DIR] = S_IFDIR,  [TAR_FIFO] = S_IFIFO,
	};
	struct look *l = arg;
	struct stat st;

	cr_assert_eq(sys_fstatat(l->tree, m->path, &st, AT_SYMLINK_NOFOLLOW), 0, "%s", m->path);
	cr_assert_eq(st.st_mode, types[m->type] | m->mode, "%s", m->path);
	cr_assert_eq(st.st_uid, m->uid);
	cr_assert_eq(st.st_mtim.tv_sec, m->mtime.tv_sec);
	if (l->exact_times)
		cr_assert_eq(st.st_mtim.tv_nsec, m->mtime.tv_nsec);
	if (m->type == TAR_SYMLINK) {
		char target[512] = {0};

		cr_assert_gt(sys_readlinkat(l->tree, m->path, target, sizeof(target) - 1), 0);
		cr_assert_str_eq(m->link, target);
	}
	if (m->type == TAR_FILE)
		expect_content(l, m);
	*(m->type == TAR_FILE ? &l->files : &l->others) += 1;
	return 0;
}

static void expect_format(const char *options, bool long_names)
{
	CLEANUP(tmpdir) struct tmpdir tree = {0}, out = {0};
	CLEANUP(blob) struct blob *archive = NULL;
	CLEANUP(err) struct err e = {0};
	struct look l = {.exact_times = strstr(options, "posix") != NULL};
	struct tar_sink sink = {.member = look_at, .arg = &l};
	char command[1024];
	int status;

	tmpdir_make(&tree);
	tmpdir_make(&out);
	make_tree(tree.fd, long_names);
	snprintf(command, sizeof(command), "cd '%s' && tar --sort=name -c %s -f '%s/t.tar' .",
		 tree.path, options, out.path);
	status = system(command);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s", command);
	cr_assert_eq(blob_open_file(out.fd, "t.tar", 0, &archive), 0);
	l.tree = tree.fd;
	l.archive = archive;
	cr_assert_eq(tar_list(archive, NULL, &sink, &e), 0, "%s: %s", options, err_text(&e));
	cr_assert_eq(l.files, long_names ? 7 : 6, "%s: %u", options, l.files);
	cr_assert_eq(l.others, long_names ? 6 : 5, "%s: %u", options, l.others);
}

Test(tar_gnu, each_format_is_read_as_what_it_was_made_of)
{
	expect_format("--format=gnu", true);
	expect_format("--format=gnu -S", true);
	expect_format("--format=oldgnu -S", true);
	expect_format("--format=ustar", false);
	expect_format("--format=posix", true);
	expect_format("--format=posix -S --sparse-version=0.0", true);
	expect_format("--format=posix -S --sparse-version=0.1", true);
	expect_format("--format=posix -S --sparse-version=1.0", true);
}
