/* SPDX-License-Identifier: Apache-2.0 */
/* Every byte of a small catalog and its journal flipped, and each of them cut at every length. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/sys.h"
#include "unit/tool/sample.h"

#define PAGE	   4096
#define N_CHILDREN 2
#define PLACES_MAX 200000

/*
 * Each child has an upper of its own and takes every N_CHILDREN-th place. A child that finds
 * something wrong says so and exits with 1; one that hangs is ended by an alarm.
 */
struct damage {
	struct made_upper u;
	int dir;			   /* .plyfs */
	uint8_t *mdb, *journal, *journal2; /* owned; undamaged */
	size_t mdb_len, journal_len, journal2_len;
	char *whole; /* owned; the dump of the undamaged state */
	int child;
};

static uint8_t *load(int dirfd, const char *name, size_t *ret_len)
{
	CLEANUP(fd) int fd = sys_openat(dirfd, name, O_RDONLY, 0);
	struct stat st;
	uint8_t *bytes;

	cr_assert_geq(fd, 0, "%s", name);
	cr_assert_eq(fstat(fd, &st), 0);
	bytes = malloc((size_t)st.st_size + 1);
	cr_assert_eq(sys_pread_full(fd, bytes, (size_t)st.st_size, 0), st.st_size);
	*ret_len = (size_t)st.st_size;
	return bytes;
}

static void store(struct damage *d, const char *name, const void *bytes, size_t len)
{
	CLEANUP(fd) int fd = -1;

	/* A new file: ext4 waits for the disk when an old one is cut and written again. */
	unlinkat(d->dir, name, 0);
	fd = openat(d->dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || sys_pwrite_full(fd, bytes, len, 0) < 0)
		_exit(90);
}

static void wrong(const char *what, size_t at, int status, const char *text)
{
	fprintf(stderr, "%s: at %zu: exit %d: %s\n", what, at, status, text);
	_exit(1);
}

static void damage_done(struct damage *d)
{
	close(d->dir);
	free(d->mdb);
	free(d->journal);
	free(d->journal2);
	free(d->whole);
	made_upper_done(&d->u);
}

/* CLOSED: everything is in catalog.mdb; else everything is in the journal. */
static void damage_make(struct damage *d, bool closed)
{
	sample_make(&d->u);
	d->dir = openat(d->u.tmp.fd, ".plyfs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (closed)
		made_upper_close(&d->u);
	d->mdb = load(d->dir, "catalog.mdb", &d->mdb_len);
	d->journal = load(d->dir, "journal", &d->journal_len);
	d->journal2 = load(d->dir, "journal2", &d->journal2_len);
	made_upper_close(&d->u);
	d->whole = sample_dump(&d->u);
	if (!closed) {
		unlinkat(d->dir, "catalog.sum", 0);
		store(d, "catalog.mdb", d->mdb, d->mdb_len);
		store(d, "journal", d->journal, d->journal_len);
		store(d, "journal2", d->journal2, d->journal2_len);
	}
}

/* Runs WORK in children. */
static void in_children(void (*work)(struct damage *d), bool closed)
{
	pid_t pids[N_CHILDREN];

	fflush(NULL);
	for (int i = 0; i < N_CHILDREN; i++) {
		pids[i] = fork();
		cr_assert_geq(pids[i], 0);
		if (pids[i] == 0) {
			struct damage d = {.child = i};

			prctl(PR_SET_PDEATHSIG, SIGKILL);
			damage_make(&d, closed);
			work(&d);
			damage_done(&d);
			_exit(0);
		}
	}
	for (int i = 0; i < N_CHILDREN; i++) {
		int status;

		cr_assert_eq(waitpid(pids[i], &status, 0), pids[i]);
		cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "child %d: status %#x", i,
			  (unsigned int)status);
	}
}

/* A check: any of the verdicts that there are, and soon. */
static int check(struct damage *d, const char *what, size_t at, char **ret_text)
{
	int status;

	alarm(20);
	status = sample_fsck(&d->u, false, ret_text);
	alarm(0);
	if (status != FSCK_CLEAN && status != FSCK_ERRORS_LEFT && status != FSCK_FAILED)
		wrong(what, at, status, *ret_text);
	/* Refusing to look is right for a file that another program could have made, no other. */
	if (status == FSCK_FAILED && strstr(*ret_text, "version") == NULL)
		wrong(what, at, status, *ret_text);
	return status;
}

static void salvage(struct damage *d, const char *what, size_t at)
{
	CLEANUP(free) char *text = NULL;
	char to[300];
	int status;

	snprintf(to, sizeof(to), "%s/out", d->u.tmp.path);
	alarm(20);
	status = sample_salvage(&d->u, to, &text);
	alarm(0);
	if (status != FSCK_CLEAN && status != FSCK_ERRORS_LEFT)
		wrong(what, at, status, text);
	remove_all(d->u.tmp.fd, "out");
}

/* How many lines differ. */
static int compare_lines(const char *a, const char *b)
{
	int n = 0;

	while (*a != '\0' || *b != '\0') {
		size_t la = strcspn(a, "\n"), lb = strcspn(b, "\n");

		n += la != lb || memcmp(a, b, la) != 0;
		a += la + (a[la] == '\n');
		b += lb + (b[lb] == '\n');
	}
	return n;
}

/* Is the byte one that LMDB looks at? Those between a page's offsets and its nodes are not. */
static bool is_used(const uint8_t *mdb, size_t at)
{
	const uint8_t *page = mdb + at / PAGE * PAGE;
	size_t off = at % PAGE;

	if (get_le16(page + 10) & 8)
		return off < 16 + 24 + 96 + 16;
	return off < get_le16(page + 12) || off >= get_le16(page + 14);
}

/* Places to damage: each used byte by itself, the others by pieces of 64. */
static size_t make_places(const struct damage *d, size_t *places)
{
	size_t n = 0;
	bool all = getenv("PLYFS_TEST_ALL") != NULL;

	for (size_t at = 0; at < d->mdb_len; at++)
		if (all || is_used(d->mdb, at) || at % 64 == 0)
			places[n++] = at;
	return n;
}

static void flip(struct damage *d, size_t at)
{
	size_t end = is_used(d->mdb, at) ? at + 1 : (at / 64 + 1) * 64;

	for (; at < end && at < d->mdb_len; at++)
		d->mdb[at] ^= (uint8_t)(1u << at % 8);
}

/*
 * Without a checksum a flipped bit can make another value that is one, too: of such one line of the
 * dump may differ. Everything else is found, or changes nothing.
 */
static void flip_tables(struct damage *d)
{
	static size_t places[PLACES_MAX];
	size_t n = make_places(d, places);
	int found = 0, same = 0, other = 0;

	unlinkat(d->dir, "catalog.sum", 0);
	for (size_t i = (size_t)d->child; i < n; i += N_CHILDREN) {
		CLEANUP(free) char *text = NULL, *dump = NULL;
		int status, differs;

		flip(d, places[i]);
		store(d, "catalog.mdb", d->mdb, d->mdb_len);
		status = check(d, "flipped", places[i], &text);
		if (i % 41 < N_CHILDREN)
			salvage(d, "flipped", places[i]);
		flip(d, places[i]);
		if (status != FSCK_CLEAN) {
			found++;
			continue;
		}
		dump = sample_dump(&d->u);
		differs = compare_lines(dump, d->whole);
		/* An older state is whole, too: LMDB's meta pages have no checksum. */
		if (differs > 1 && places[i] >= 2 * PAGE)
			wrong("not found", places[i], status, dump);
		same += differs == 0;
		other += differs != 0;
	}
	fprintf(stderr, "%zu bytes: %d found, %d change nothing, %d make another value\n",
		d->mdb_len, found, same, other);
	if (found < 500 || other > found)
		wrong("too few are found", 0, found, "");
}

/* With the checksum of a clean close, every bit is found. */
static void flip_with_sum(struct damage *d)
{
	static size_t places[PLACES_MAX];
	size_t n = make_places(d, places);

	for (size_t i = (size_t)d->child; i < n; i += N_CHILDREN) {
		CLEANUP(free) char *text = NULL;

		flip(d, places[i]);
		store(d, "catalog.mdb", d->mdb, d->mdb_len);
		/* The number of the transaction says that the file is newer than the sum. */
		if (check(d, "with sum", places[i], &text) == FSCK_CLEAN &&
		    (places[i] >= 2 * PAGE || places[i] % PAGE < 144))
			wrong("with sum", places[i], 0, text);
		flip(d, places[i]);
	}
}

static void cut_tables(struct damage *d)
{
	unlinkat(d->dir, "catalog.sum", 0);
	for (size_t len = (size_t)d->child; len < d->mdb_len; len += 97 * N_CHILDREN) {
		CLEANUP(free) char *text = NULL, *dump = NULL;

		store(d, "catalog.mdb", d->mdb, len);
		if (check(d, "cut", len, &text) == FSCK_CLEAN) {
			dump = sample_dump(&d->u);
			if (strcmp(dump, d->whole) != 0)
				wrong("cut", len, 0, dump);
		}
		if (len % 5 == 0)
			salvage(d, "cut", len);
	}
}

/* Where the last record begins. */
static size_t last_record(const struct damage *d)
{
	size_t at = 32, last = at;

	while (at + 24 <= d->journal_len) {
		last = at;
		at += 24 + get_le32(d->journal + at + 4);
	}
	return last;
}

static void flip_journal(struct damage *d)
{
	size_t last = last_record(d);

	for (size_t at = (size_t)d->child; at < d->journal_len; at += N_CHILDREN) {
		CLEANUP(free) char *text = NULL;
		int status;

		d->journal[at] ^= (uint8_t)(1u << at % 8);
		store(d, "journal", d->journal, d->journal_len);
		status = check(d, "journal", at, &text);
		/* Damage to the last record is a torn tail to whoever looks. */
		if (status == FSCK_CLEAN && at < last)
			wrong("journal", at, status, text);
		if (at % 17 < N_CHILDREN)
			salvage(d, "journal", at);
		d->journal[at] ^= (uint8_t)(1u << at % 8);
	}
}

static void cut_journal(struct damage *d)
{
	for (size_t len = (size_t)d->child; len < d->journal_len; len += N_CHILDREN) {
		CLEANUP(free) char *text = NULL;

		store(d, "journal", d->journal, len);
		check(d, "cut journal", len, &text);
		if (strstr(text, "is damaged") != NULL)
			wrong("cut journal", len, 0, text);
		if (len % 29 < N_CHILDREN)
			salvage(d, "cut journal", len);
	}
}

Test(fsck_damage, flipped)
{
	in_children(flip_tables, true);
}

Test(fsck_damage, flipped_with_sum)
{
	in_children(flip_with_sum, true);
}

Test(fsck_damage, cut)
{
	in_children(cut_tables, true);
}

Test(fsck_damage, journal_flipped)
{
	in_children(flip_journal, false);
}

Test(fsck_damage, journal_cut)
{
	in_children(cut_journal, false);
}
