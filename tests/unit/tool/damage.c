/* SPDX-License-Identifier: Apache-2.0 */
/* Damage to the files of a small upper. */
#include "unit/tool/damage.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include "base/sys.h"
#include "catalog/internal.h"

#define N_CHILDREN   2
#define HANG_SECONDS 120
#define MAP_SIZE     ((size_t)4 << 20)

static const char *const names[N_DAMAGE_FILES] = {
	[FILE_TABLES] = CATALOG_FILE,
	[FILE_SUM] = SUM_FILE,
	[FILE_JOURNAL] = JOURNAL_FILE,
	[FILE_JOURNAL2] = "journal2",
};

static void say_where(const struct damage_place *p)
{
	if (p->upto > p->at + 1)
		fprintf(stderr,
			"one of %zu to %zu, bits from %u on (PLYFS_DAMAGE_AT=N, for each, says "
			"which): ",
			p->at, p->upto - 1, p->bit);
	else
		fprintf(stderr, "at %zu, bit %u: ", p->at, p->bit);
}

void damage_wrong(const struct damage *d, int status, const char *text)
{
	fprintf(stderr, "%s: ", d->place->what);
	say_where(d->place);
	fprintf(stderr, "status %d: %s\n", status, text);
	_exit(1);
}

static int open_file(struct damage *d, enum damage_file file, int flags)
{
	int fd = openat(d->dir, names[file], O_RDWR | O_CLOEXEC | flags, 0600);

	if (fd < 0 && (flags & O_CREAT))
		damage_wrong(d, errno, names[file]);
	return fd;
}

static void load(struct damage *d, enum damage_file file)
{
	CLEANUP(fd) int fd = open_file(d, file, 0);
	struct stat st;

	if (fd < 0)
		return;
	cr_assert_eq(fstat(fd, &st), 0);
	d->files[file].len = (size_t)st.st_size;
	d->files[file].bytes = malloc((size_t)st.st_size + 1);
	cr_assert_eq(sys_pread_full(fd, d->files[file].bytes, (size_t)st.st_size, 0), st.st_size);
}

static void store(struct damage *d, enum damage_file file)
{
	CLEANUP(fd) int fd = -1;

	unlinkat(d->dir, names[file], 0);
	if (d->files[file].bytes == NULL)
		return;
	fd = open_file(d, file, O_CREAT | O_EXCL);
	if (sys_pwrite_full(fd, d->files[file].bytes, d->files[file].len, 0) < 0)
		damage_wrong(d, errno, "cannot write the file anew");
}

static void store_all(struct damage *d)
{
	for (int file = 0; file < N_DAMAGE_FILES; file++)
		store(d, file);
	unlinkat(d->dir, "journal.bad-1", 0);
	unlinkat(d->dir, "journal.bad-2", 0);
	d->is_changed = false;
}

void damage_mend(struct damage *d)
{
	if (d->is_changed) {
		store_all(d);
	} else {
		CLEANUP(fd) int fd = open_file(d, d->file, 0);

		if (sys_pwrite_full(fd, d->files[d->file].bytes + d->from, d->to - d->from,
				    (off_t)d->from) < 0)
			damage_wrong(d, errno, "cannot mend");
	}
}

void damage_drop(struct damage *d, enum damage_file file)
{
	free(steal_ptr(&d->files[file].bytes));
	store(d, file);
}

void damage_flip(struct damage *d, enum damage_file file, size_t at, unsigned int bit)
{
	damage_flip_all(d, file, at, at + 1, bit);
}

void damage_flip_all(struct damage *d, enum damage_file file, size_t from, size_t to,
		     unsigned int bit)
{
	CLEANUP(fd) int fd = open_file(d, file, 0);
	uint8_t bytes[DAMAGE_BYTES];

	d->file = file;
	d->place->at = d->from = from;
	d->place->upto = d->to = to;
	d->place->bit = bit;
	for (size_t i = 0; i < to - from; i++)
		bytes[i] = d->files[file].bytes[from + i] ^ (uint8_t)(1u << (bit + i) % 8);
	if (pwrite(fd, bytes, to - from, (off_t)from) != (ssize_t)(to - from))
		damage_wrong(d, errno, "cannot damage it");
}

void damage_cut(struct damage *d, enum damage_file file, size_t len)
{
	CLEANUP(fd) int fd = open_file(d, file, 0);

	d->file = file;
	d->place->at = d->from = len;
	d->place->upto = len + 1;
	d->to = d->files[file].len;
	if (ftruncate(fd, (off_t)len) < 0)
		damage_wrong(d, errno, "cannot cut");
}

bool damage_is_wanted(const struct damage *d, size_t place)
{
	return d->only == NULL || strtoul(d->only, NULL, 0) == place;
}

bool damage_is_mine(const struct damage *d, size_t from, size_t n)
{
	if (from / n % d->n_children != d->child)
		return false;
	return d->only == NULL || strtoul(d->only, NULL, 0) / n == from / n;
}

bool damage_is_sampled(const struct damage *d, size_t place, size_t n)
{
	return d->all || (place / d->n_children + d->seed) % n == 0;
}

/* ---- children ----------------------------------------------------------------------------- */

/* The data file of the sample gets a checksum, so that its table is not empty. */
static void add_sum(struct damage *d)
{
	static const uint8_t bytes[SAMPLE_G_SIZE] = "gggg";
	CLEANUP(inode_rec) struct inode_rec rec = {0};
	CLEANUP(batch) struct batch b = {0};
	struct sum_rec sum = {.size = SAMPLE_G_SIZE, .hash = hash128(bytes, sizeof(bytes))};
	struct attr attr;

	cr_assert_eq(catalog_inode(d->u.catalog, 13, &rec), 0);
	attr = rec.attr;
	cr_assert_eq(data_attr(d->u.data, &rec, &attr), 0);
	sum.mtime = attr.mtime;
	batch_begin(&b, d->u.catalog);
	batch_put_sum(&b, 13, &sum);
	sample_commit(&d->u, &b);
}

static void make(struct damage *d, enum damage_state state)
{
	sample_make(&d->u);
	snprintf(d->place->upper, sizeof(d->place->upper), "%s", d->u.tmp.path);
	add_sum(d);
	d->dir = openat(d->u.tmp.fd, ".plyfs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (state == DAMAGE_CLOSED)
		made_upper_close(&d->u);
	for (int file = 0; file < N_DAMAGE_FILES; file++)
		load(d, file);
	made_upper_close(&d->u);
	d->whole = sample_dump(&d->u);
	store_all(d);
}

static void done(struct damage *d)
{
	close(d->dir);
	for (int file = 0; file < N_DAMAGE_FILES; file++)
		free(d->files[file].bytes);
	free(d->whole);
	made_upper_done(&d->u);
	d->place->upper[0] = '\0';
}

/*
 * In memory, where nothing waits for a disk; so are the private copies that snapshots make. What LMDB
 * callocs, megabytes that it does not touch, is not to be cleared each time.
 */
static void be_quick(void)
{
	if (access("/dev/shm", R_OK | W_OK | X_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 1);
	mallopt(M_MMAP_THRESHOLD, 1 << 20);
	catalog_map_size = MAP_SIZE;
}

static unsigned int make_seed(void)
{
	const char *text = getenv("PLYFS_TEST_SEED");
	unsigned int seed = text != NULL ? (unsigned int)strtoul(text, NULL, 0)
					 : (unsigned int)time(NULL) % 100000;

	fprintf(stderr, "PLYFS_TEST_SEED=%u\n", seed);
	return seed;
}

static struct damage_place *make_places(void)
{
	struct damage_place *places = mmap(NULL, N_CHILDREN * sizeof(*places),
					   PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
					   0);

	cr_assert(places != MAP_FAILED);
	return places;
}

/* Says how the child ended, and removes what it has left. */
static bool ended_well(const struct damage_place *place, int status)
{
	if (place->upper[0] != '\0')
		remove_all(AT_FDCWD, place->upper);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return true;
	if (WIFSIGNALED(status)) {
		fprintf(stderr, "%s: ", place->what);
		say_where(place);
		fprintf(stderr, "%s\n",
			WTERMSIG(status) == SIGALRM ? "hangs" : strsignal(WTERMSIG(status)));
	}
	return false;
}

void damage_run(enum damage_state state, void (*work)(struct damage *d))
{
	struct damage_place *places = make_places();
	struct damage d = {
		.n_children = N_CHILDREN,
		.seed = make_seed(),
		.all = getenv("PLYFS_TEST_ALL") != NULL,
		.only = getenv("PLYFS_DAMAGE_AT"),
	};
	pid_t pids[N_CHILDREN];
	bool good = true;

	fflush(NULL);
	for (unsigned int i = 0; i < N_CHILDREN; i++) {
		pids[i] = fork();
		cr_assert_geq(pids[i], 0);
		if (pids[i] == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			be_quick();
			d.child = i;
			d.place = &places[i];
			make(&d, state);
			work(&d);
			done(&d);
			/* Not exit(3): a look for leaks does not know its way about after a fork. */
			fflush(NULL);
			_exit(0);
		}
	}
	for (int i = 0; i < N_CHILDREN; i++) {
		int status;

		cr_assert_eq(waitpid(pids[i], &status, 0), pids[i]);
		good &= ended_well(&places[i], status);
	}
	munmap(places, N_CHILDREN * sizeof(*places));
	cr_assert(good);
}

/* ---- verdicts ----------------------------------------------------------------------------- */

/* Whole lines, without bytes that a terminal would take for something else. */
static bool is_for_people(const char *text)
{
	size_t len = strlen(text);

	for (size_t i = 0; i < len; i++)
		if (((unsigned char)text[i] < 0x20 && text[i] != '\n') || text[i] == 0x7f ||
		    (text[i] == '\n' && (i == 0 || text[i - 1] == '\n')))
			return false;
	return len == 0 || text[len - 1] == '\n';
}

int damage_check(struct damage *d, char **ret_text)
{
	int status;

	alarm(HANG_SECONDS);
	status = sample_fsck(&d->u, false, ret_text);
	if ((status & ~(FSCK_ERRORS_LEFT | FSCK_FAILED)) != 0)
		damage_wrong(d, status, *ret_text);
	/* Refusing to look is right for a file that another program could have made, no other. */
	if ((status & FSCK_FAILED) && strstr(*ret_text, "version") == NULL)
		damage_wrong(d, status, *ret_text);
	if (!is_for_people(*ret_text) || (status != FSCK_CLEAN && (*ret_text)[0] == '\0'))
		damage_wrong(d, status, *ret_text);
	return status;
}

void damage_salvage(struct damage *d)
{
	CLEANUP(free) char *text = NULL;
	char to[300];
	int status;

	snprintf(to, sizeof(to), "%s/out", d->u.tmp.path);
	alarm(HANG_SECONDS);
	status = sample_salvage(&d->u, to, &text);
	if ((status != FSCK_CLEAN && status != FSCK_ERRORS_LEFT) || !is_for_people(text))
		damage_wrong(d, status, text);
	remove_all(d->u.tmp.fd, "out");
}

static bool is_sentence(const char *text)
{
	return text[0] != '\0' && strpbrk(text, "\n\t\r\033") == NULL;
}

void damage_mount(struct damage *d, int verdict)
{
	struct catalog_options options = {.mode = CATALOG_WRITE, .no_threads = true};
	CLEANUP(err) struct err err = {0};
	struct catalog *c = NULL;
	int rc;

	alarm(HANG_SECONDS);
	d->is_changed = true;
	rc = catalog_open(d->dir, &options, &c, &err);
	catalog_close(c);
	if (rc == 0)
		return;
	if (verdict == FSCK_CLEAN || !is_sentence(err_text(&err)) ||
	    strstr(err_text(&err), ".plyfs") == NULL)
		damage_wrong(d, rc, err_text(&err));
}
