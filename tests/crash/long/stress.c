/* SPDX-License-Identifier: Apache-2.0 */
/* The load of many names: its lower layer, its threads, and its state on a plain file system. */
#include "crash/long/stress.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void name_of(unsigned int worker, unsigned int n, char ret_name[32])
{
	/* Some names are longer than others. */
	snprintf(ret_name, 32, n % 7 == 0 ? "w%u-%u with a longer name" : "w%u-%u", worker, n);
}

void dir_name(int i, char ret_name[32])
{
	snprintf(ret_name, 32, "d%d", i);
}

uint64_t lower_seed(unsigned int worker, unsigned int n)
{
	return 1000000 + worker * 1000 + n;
}

size_t any_size(uint64_t *rng)
{
	static const size_t sizes[] = {0, 50, 3000, 4096, 5000, 20000, 65536, SIZE_MAX_FILE};

	return sizes[below(rng, sizeof(sizes) / sizeof(sizes[0]))];
}

/* Lower directories are a heap: d0 and d1 at the top, two in each. */
static int lower_parent(int i)
{
	return i < 2 ? -1 : i / 2 - 1;
}

static int lower_dir_of(unsigned int n)
{
	return (int)(n % N_LOWER_DIRS);
}

static size_t lower_size(unsigned int n)
{
	uint64_t s = n;

	return any_size(&s);
}

static void write_id(int dir, int i)
{
	int fd = openat(dir, ID_FILE, O_WRONLY | O_CREAT | O_EXCL, 0644);
	int n = i;

	if (fd < 0)
		wrong("stress: id of directory %d: %s", i, strerror(errno));
	write_at(fd, &n, sizeof(n), 0, ID_FILE);
	close(fd);
}

static int read_id(int dir)
{
	int fd = openat(dir, ID_FILE, O_RDONLY), n = -1;

	if (fd < 0)
		return -1;
	read_at(fd, &n, sizeof(n), 0, ID_FILE);
	close(fd);
	return n;
}

void stress_lower(int lower)
{
	int dirs[N_LOWER_DIRS], root;
	char name[32];

	mkdirat(lower, "tree", 0755);
	root = open_dir(lower, "tree");
	for (int i = 0; i < N_LOWER_DIRS; i++) {
		int at = lower_parent(i) < 0 ? root : dirs[lower_parent(i)];

		dir_name(i, name);
		mkdirat(at, name, 0755);
		dirs[i] = open_dir(at, name);
		write_id(dirs[i], i);
	}
	for (unsigned int w = 0; w < N_WORKERS; w++) {
		for (unsigned int n = 0; n < N_LOWER_NAMES; n++) {
			name_of(w, n, name);
			make_file(dirs[lower_dir_of(n)], name, lower_seed(w, n), lower_size(n));
		}
	}
	for (int i = 0; i < N_LOWER_DIRS; i++)
		close(dirs[i]);
	close(root);
}

void stress_open_dirs(struct stress *s)
{
	char name[32];

	for (int i = 0; i < N_DIRS; i++) {
		int p = i < N_LOWER_DIRS ? lower_parent(i) : i % 2 - 1;
		int at = p < 0 ? s->root : s->dirs[p];

		dir_name(i, name);
		if (i >= N_LOWER_DIRS && mkdirat(at, name, 0755) < 0)
			wrong("stress: mkdir of %s: %s", name, strerror(errno));
		s->dirs[i] = open_dir(at, name);
		if (i >= N_LOWER_DIRS)
			write_id(s->dirs[i], i);
		s->parent[i] = p;
		s->named[i] = i;
	}
}

/* The sub-directories of AT that are the mover's; MORE levels are looked at. */
static void find_below(struct stress *s, int at, int self)
{
	char name[32];

	for (int i = 0; i < N_DIRS; i++) {
		int fd, id;

		dir_name(i, name);
		fd = openat(at, name, O_RDONLY | O_DIRECTORY);
		if (fd < 0)
			continue;
		id = read_id(fd);
		if (id < 0 || id >= N_DIRS || s->dirs[id] >= 0)
			wrong("stress: directory %s says that it is %d", name, id);
		s->dirs[id] = fd;
		s->parent[id] = self;
		s->named[id] = i;
		find_below(s, fd, id);
	}
}

void stress_find_dirs(struct stress *s)
{
	for (int i = 0; i < N_DIRS; i++)
		s->dirs[i] = -1;
	find_below(s, s->root, -1);
	for (int i = 0; i < N_DIRS; i++) {
		if (s->dirs[i] < 0)
			wrong("stress: directory %d is lost", i);
	}
}

static void begin_model(struct worker *w)
{
	for (unsigned int n = 0; n < N_LOWER_NAMES; n++) {
		struct object *o = calloc(1, sizeof(*o));

		*o = (struct object){.mode = S_IFREG | 0644,
				     .nlink = 1,
				     .seed = lower_seed(w->nr, n),
				     .size = lower_size(n)};
		w->names[n] = (struct name){o, lower_dir_of(n)};
	}
}

/* What a name was, for another process: one a name. */
struct saved {
	struct object o;
	int dir, alive;
};

struct saved_dirs {
	int parent[N_DIRS], named[N_DIRS];
};

static int state_file(const char *state, const char *name, int flags)
{
	int dir = open_dir(AT_FDCWD, state);
	int fd = openat(dir, name, flags, 0644);

	close(dir);
	if (fd < 0)
		wrong("stress: state %s: %s", name, strerror(errno));
	return fd;
}

static void save(const struct stress *s, const char *state)
{
	int fd = state_file(state, "stress", O_WRONLY | O_CREAT | O_TRUNC);
	struct saved_dirs dirs;
	off_t at = sizeof(dirs);

	memcpy(dirs.parent, s->parent, sizeof(dirs.parent));
	memcpy(dirs.named, s->named, sizeof(dirs.named));
	write_at(fd, &dirs, sizeof(dirs), 0, "state");
	for (int w = 0; w < N_WORKERS; w++) {
		for (int n = 0; n < N_NAMES; n++) {
			const struct name *name = &s->workers[w].names[n];
			struct saved saved = {.dir = name->dir, .alive = name->o != NULL};

			if (name->o != NULL)
				saved.o = *name->o;
			write_at(fd, &saved, sizeof(saved), at, "state");
			at += sizeof(saved);
		}
	}
	close(fd);
}

uint64_t stress_run(const char *path, const char *state, uint64_t seed, double secs)
{
	struct stress *s = calloc(1, sizeof(*s));
	pthread_t mover, walker;
	uint64_t ops;

	s->root = open_dir(AT_FDCWD, path);
	s->end = seconds() + secs;
	s->rng = seed;
	stress_open_dirs(s);
	for (unsigned int i = 0; i < N_WORKERS; i++) {
		struct worker *w = &s->workers[i];

		*w = (struct worker){.s = s, .nr = i, .rng = seed + 1000 * (i + 1)};
		begin_model(w);
		pthread_create(&w->thread, NULL, stress_worker, w);
	}
	pthread_create(&mover, NULL, stress_mover, s);
	pthread_create(&walker, NULL, stress_walker, s);
	for (unsigned int i = 0; i < N_WORKERS; i++)
		pthread_join(s->workers[i].thread, NULL);
	pthread_join(mover, NULL);
	pthread_join(walker, NULL);
	save(s, state);
	ops = s->moves;
	for (unsigned int i = 0; i < N_WORKERS; i++)
		ops += s->workers[i].ops;
	printf("# stress: the kernel's cache was wrong about %llu link counts and %llu listings\n",
	       (unsigned long long)s->stale_links, (unsigned long long)s->stale_lists);
	printf("# stress: %llu directories moved, %llu names walked over\n",
	       (unsigned long long)s->moves, (unsigned long long)s->walked);
	return ops;
}

static void load(struct stress *s, int fd, struct saved_dirs *dirs)
{
	off_t at = sizeof(*dirs);

	read_at(fd, dirs, sizeof(*dirs), 0, "state");
	for (unsigned int w = 0; w < N_WORKERS; w++) {
		s->workers[w].s = s;
		s->workers[w].nr = w;
		for (int n = 0; n < N_NAMES; n++) {
			struct name *name = &s->workers[w].names[n];
			struct saved saved;

			read_at(fd, &saved, sizeof(saved), at, "state");
			at += sizeof(saved);
			name->dir = saved.dir;
			if (!saved.alive)
				continue;
			name->o = malloc(sizeof(*name->o));
			*name->o = saved.o;
		}
	}
}

void stress_check(const char *path, const char *state)
{
	struct stress *s = calloc(1, sizeof(*s));
	int fd = state_file(state, "stress", O_RDONLY);
	struct saved_dirs dirs;

	load(s, fd, &dirs);
	s->root = open_dir(AT_FDCWD, path);
	stress_find_dirs(s);
	for (int i = 0; i < N_DIRS; i++) {
		if (s->parent[i] != dirs.parent[i] || s->named[i] != dirs.named[i])
			wrong("stress: directory %d is d%d in %d, not d%d in %d", i, s->named[i],
			      s->parent[i], dirs.named[i], dirs.parent[i]);
	}
	for (unsigned int w = 0; w < N_WORKERS; w++) {
		for (unsigned int n = 0; n < N_NAMES; n++)
			check_name(&s->workers[w], n);
	}
}
