/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several threads do different things to one lower file at once, so that its copy-up races with
 * all the rest. What must come out in the end does not depend on who was first.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "crash/long/long.h"

#define N_FILES	  180
#define N_THREADS 4
#define N_SLOTS	  32
#define SLOT	  8
#define RECORD	  16
#define N_APPENDS 5
#define N_ACTIONS 9

enum action { WRITE, MAP, APPEND, CHMOD, NOTE, RENAME, UNLINK, LINK, READ };

static const size_t sizes[] = {300, 4096, 4097, 60000, 131072, 140000, 500000, 1500000};

static size_t size_of(unsigned int i)
{
	return sizes[i % (sizeof(sizes) / sizeof(sizes[0]))];
}

/* Every fifth has a second name. */
static bool has_twin(unsigned int i)
{
	return i % 5 == 0;
}

struct race {
	int dir;
	unsigned int nr;
	size_t size;
	char name[16], twin[16];
	unsigned char *lower;
	enum action actions[N_THREADS];
	pthread_barrier_t barrier;
	uint64_t seed;
	bool through; /* the kernel does not gather writes */
};

struct racer {
	struct race *r;
	unsigned int nr;
	pthread_t thread;
	int fd; /* open before the race begins */
};

void race_lower(int lower)
{
	int dir;

	mkdirat(lower, "race", 0755);
	dir = open_dir(lower, "race");
	for (unsigned int i = 0; i < N_FILES; i++) {
		char name[16], twin[16];

		snprintf(name, sizeof(name), "r%u", i);
		snprintf(twin, sizeof(twin), "r%u.twin", i);
		make_file(dir, name, i, size_of(i));
		if (has_twin(i) && linkat(dir, name, dir, twin, 0) < 0)
			wrong("race: link of %s: %s", name, strerror(errno));
	}
	close(dir);
}

static size_t slot_at(const struct race *r, unsigned int slot)
{
	return (r->size - SLOT) / N_SLOTS * slot;
}

/* What a thread writes into a slot. */
static void slot_bytes(const struct race *r, unsigned int slot, unsigned char *bytes)
{
	content(r->seed + slot, 0, bytes, SLOT);
}

static void record_bytes(const struct race *r, unsigned int thread, unsigned int n,
			 unsigned char *bytes)
{
	content(r->seed + 1000 + thread * 100 + n, 0, bytes, RECORD);
}

static void failed(const struct racer *t, const char *what)
{
	wrong("race: %s of %s by thread %u: %s", what, t->r->name, t->nr, strerror(errno));
}

/* Thread T owns the slots whose number leaves T when divided by the number of threads. */
static void act_write(struct racer *t)
{
	unsigned char bytes[SLOT];

	for (unsigned int s = t->nr; s < N_SLOTS; s += N_THREADS) {
		slot_bytes(t->r, s, bytes);
		write_at(t->fd, bytes, SLOT, (off_t)slot_at(t->r, s), t->r->name);
	}
}

static void act_map(struct racer *t)
{
	size_t size = t->r->size;
	unsigned char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, t->fd, 0);

	if (p == MAP_FAILED)
		failed(t, "mmap");
	for (unsigned int s = t->nr; s < N_SLOTS; s += N_THREADS)
		slot_bytes(t->r, s, p + slot_at(t->r, s));
	if (munmap(p, size) < 0)
		failed(t, "munmap");
}

static void act_append(struct racer *t)
{
	unsigned char bytes[RECORD];
	char proc[64];
	int fd;

	/* The name may be gone; the file is not. */
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", t->fd);
	fd = open(proc, O_WRONLY | O_APPEND);
	if (fd < 0)
		failed(t, "open for appending");
	for (unsigned int n = 0; n < N_APPENDS; n++) {
		record_bytes(t->r, t->nr, n, bytes);
		if (write(fd, bytes, RECORD) != RECORD)
			failed(t, "append");
	}
	close(fd);
}

static mode_t mode_of(const struct race *r)
{
	return 0600 | (r->nr * 7 & 077);
}

static void act_chmod(struct racer *t)
{
	if (fchmod(t->fd, mode_of(t->r)) < 0)
		failed(t, "chmod");
}

static void act_note(struct racer *t)
{
	if (fsetxattr(t->fd, "user.note", t->r->name, strlen(t->r->name), 0) < 0)
		failed(t, "setxattr");
}

/* Only one thread of a race does one of these two, so the name is there. */
static void act_rename(struct racer *t)
{
	char to[32];

	snprintf(to, sizeof(to), "%s.moved", t->r->name);
	if (renameat(t->r->dir, t->r->name, t->r->dir, to) < 0)
		failed(t, "rename");
}

static void act_unlink(struct racer *t)
{
	if (unlinkat(t->r->dir, t->r->name, 0) < 0)
		failed(t, "unlink");
}

/* The name may be gone: then nobody gets another one. The twin stays. */
static void act_link(struct racer *t)
{
	const char *from = has_twin(t->r->nr) ? t->r->twin : t->r->name;
	char to[32];

	snprintf(to, sizeof(to), "%s.link%u", t->r->name, t->nr);
	if (linkat(t->r->dir, from, t->r->dir, to, 0) < 0 && errno != ENOENT)
		failed(t, "link");
}

/* Each byte is the old one or the new one. */
static void check_mixed(const struct race *r, const unsigned char *is, const char *who)
{
	unsigned char slot[SLOT];
	size_t from = 0;

	for (unsigned int s = 0; s < N_SLOTS; s++) {
		size_t at = slot_at(r, s);

		if (memcmp(is + from, r->lower + from, at - from) != 0)
			wrong("race: %s: bytes before slot %u of %s are not the lower file's", who,
			      s, r->name);
		slot_bytes(r, s, slot);
		for (size_t i = 0; i < SLOT; i++) {
			if (is[at + i] != slot[i] && is[at + i] != r->lower[at + i])
				wrong("race: %s: slot %u of %s is neither old nor new", who, s,
				      r->name);
		}
		from = at + SLOT;
	}
	if (memcmp(is + from, r->lower + from, r->size - from) != 0)
		wrong("race: %s: the last bytes of %s are not the lower file's", who, r->name);
}

static void act_read(struct racer *t)
{
	unsigned char *bytes = malloc(t->r->size);

	for (int i = 0; i < 3; i++) {
		read_at(t->fd, bytes, t->r->size, 0, t->r->name);
		check_mixed(t->r, bytes, "reader");
	}
	free(bytes);
}

static void *racer(void *arg)
{
	static void (*const acts[])(struct racer * t) = {
		[WRITE] = act_write,   [MAP] = act_map,	  [APPEND] = act_append,
		[CHMOD] = act_chmod,   [NOTE] = act_note, [RENAME] = act_rename,
		[UNLINK] = act_unlink, [LINK] = act_link, [READ] = act_read,
	};
	struct racer *t = arg;

	pthread_barrier_wait(&t->r->barrier);
	acts[t->r->actions[t->nr]](t);
	return NULL;
}

static unsigned int count(const struct race *r, enum action a)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < N_THREADS; i++)
		n += r->actions[i] == a;
	return n;
}

/*
 * The name goes once at most. And without the writeback cache Linux (6.18) itself loses bytes that are
 * being appended to a page that was changed through a mapping and is being written out: it clears
 * the page behind the old end. Every FUSE file system shows it, so it is left out.
 */
static bool is_possible(const struct race *r, enum action a)
{
	if (a == RENAME || a == UNLINK)
		return count(r, RENAME) + count(r, UNLINK) == 0;
	if (r->through && (a == MAP || a == APPEND))
		return count(r, a == MAP ? APPEND : MAP) == 0;
	return true;
}

static void choose_actions(struct race *r, uint64_t *rng)
{
	for (unsigned int i = 0; i < N_THREADS; i++)
		r->actions[i] = READ;
	for (unsigned int i = 0; i < N_THREADS; i++) {
		enum action a = (enum action)below(rng, N_ACTIONS);

		while (!is_possible(r, a))
			a = (enum action)below(rng, N_ACTIONS);
		r->actions[i] = a;
	}
}

/* The file and who did what to it. */
static const char *describe(const struct race *r)
{
	static const char *const names[] = {"write",  "map",	"append", "chmod", "note",
					    "rename", "unlink", "link",	  "read"};
	static char text[200];
	size_t at = (size_t)snprintf(text, sizeof(text), "%s (%zu bytes;", r->name, r->size);

	for (unsigned int i = 0; i < N_THREADS; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, " %s", names[r->actions[i]]);
	snprintf(text + at, sizeof(text) - at, ")");
	return text;
}

static bool exists(const struct race *r, const char *ending)
{
	char name[32];
	struct stat st;

	snprintf(name, sizeof(name), "%s%s", r->name, ending);
	if (fstatat(r->dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return true;
	if (errno != ENOENT)
		wrong("race: stat of %s: %s", name, strerror(errno));
	return false;
}

static void check_attributes(const struct race *r, int fd, ino_t ino)
{
	bool moved = count(r, RENAME) > 0, unlinked = count(r, UNLINK) > 0;
	unsigned int links = has_twin(r->nr);
	struct stat st;
	char ending[16];

	if (fstat(fd, &st) < 0)
		wrong("race: fstat of %s: %s", r->name, strerror(errno));
	if (exists(r, "") == (moved || unlinked) || exists(r, ".moved") != moved)
		wrong("race: the name of %s is not where it must be", describe(r));
	links += !unlinked;
	for (unsigned int i = 0; i < N_THREADS; i++) {
		snprintf(ending, sizeof(ending), ".link%u", i);
		links += exists(r, ending);
	}
	if (st.st_nlink != links)
		wrong("race: %s has %lu links, not %u", describe(r), (unsigned long)st.st_nlink,
		      links);
	if (st.st_ino != ino)
		wrong("race: %s was inode %llu and is %llu", r->name, (unsigned long long)ino,
		      (unsigned long long)st.st_ino);
	if ((st.st_mode & 07777) != (count(r, CHMOD) > 0 ? mode_of(r) : 0644))
		wrong("race: %s has mode %o", describe(r), st.st_mode);
	if ((size_t)st.st_size != r->size + (size_t)count(r, APPEND) * N_APPENDS * RECORD)
		wrong("race: %s has %lld bytes", describe(r), (long long)st.st_size);
}

/* Each record that was appended is there once. */
static void check_appended(const struct race *r, const unsigned char *is)
{
	unsigned int n = count(r, APPEND) * N_APPENDS;

	for (unsigned int t = 0; t < N_THREADS; t++) {
		for (unsigned int i = 0; r->actions[t] == APPEND && i < N_APPENDS; i++) {
			unsigned char bytes[RECORD];
			unsigned int found = 0;

			record_bytes(r, t, i, bytes);
			for (unsigned int at = 0; at < n; at++)
				found += memcmp(is + at * RECORD, bytes, RECORD) == 0;
			if (found != 1)
				wrong("race: record %u of thread %u is %u times in %s", i, t, found,
				      describe(r));
		}
	}
}

static void check_content(const struct race *r, int fd)
{
	size_t size = r->size + (size_t)count(r, APPEND) * N_APPENDS * RECORD;
	unsigned char *is = malloc(size), slot[SLOT];

	read_at(fd, is, size, 0, r->name);
	check_mixed(r, is, "end");
	for (unsigned int s = 0; s < N_SLOTS; s++) {
		enum action a = r->actions[s % N_THREADS];

		slot_bytes(r, s, slot);
		if (memcmp(is + slot_at(r, s),
			   a == WRITE || a == MAP ? slot : r->lower + slot_at(r, s), SLOT) != 0)
			wrong("race: slot %u of %s is lost", s, describe(r));
	}
	check_appended(r, is + r->size);
	free(is);
}

static void check_note(const struct race *r, int fd)
{
	char note[32];
	ssize_t n = fgetxattr(fd, "user.note", note, sizeof(note));
	bool must = count(r, NOTE) > 0;

	if (must ? n != (ssize_t)strlen(r->name) : n >= 0 || errno != ENODATA)
		wrong("race: the note of %s is %zd bytes long", r->name, n);
}

static void run_one(struct race *r, uint64_t *rng)
{
	struct racer racers[N_THREADS];
	int fd = openat(r->dir, r->name, O_RDONLY);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		wrong("race: open of %s: %s", r->name, strerror(errno));
	choose_actions(r, rng);
	pthread_barrier_init(&r->barrier, NULL, N_THREADS);
	for (unsigned int i = 0; i < N_THREADS; i++) {
		const char *name = has_twin(r->nr) && i % 2 ? r->twin : r->name;

		racers[i] = (struct racer){.r = r, .nr = i, .fd = openat(r->dir, name, O_RDWR)};
		if (racers[i].fd < 0)
			failed(&racers[i], "open");
		pthread_create(&racers[i].thread, NULL, racer, &racers[i]);
	}
	for (unsigned int i = 0; i < N_THREADS; i++) {
		pthread_join(racers[i].thread, NULL);
		close(racers[i].fd);
	}
	pthread_barrier_destroy(&r->barrier);
	check_attributes(r, fd, st.st_ino);
	check_content(r, fd);
	check_note(r, fd);
	close(fd);
}

uint64_t race_run(const char *path, uint64_t seed, bool writeback)
{
	struct race r = {.dir = open_dir(AT_FDCWD, path), .through = !writeback};
	uint64_t rng = seed;

	for (r.nr = 0; r.nr < N_FILES; r.nr++) {
		r.size = size_of(r.nr);
		r.seed = rnd(&rng);
		r.lower = malloc(r.size);
		content(r.nr, 0, r.lower, r.size);
		snprintf(r.name, sizeof(r.name), "r%u", r.nr);
		snprintf(r.twin, sizeof(r.twin), "r%u.twin", r.nr);
		run_one(&r, &rng);
		free(r.lower);
	}
	close(r.dir);
	return (uint64_t)N_FILES * N_THREADS;
}
