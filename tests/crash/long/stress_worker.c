/* SPDX-License-Identifier: Apache-2.0 */
/* A worker: operations on its own names, each with a result that it knows beforehand. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "crash/long/stress.h"

static int dir_of(const struct worker *w, unsigned int n)
{
	return w->s->dirs[w->names[n].dir];
}

/* What is seen of the name now, for who looks for the reason. */
static void __attribute__((noreturn))
failed(const struct worker *w, unsigned int n, const char *what)
{
	const struct object *o = w->names[n].o;
	int error = errno, r;
	struct stat st = {0};
	char name[32];

	name_of(w->nr, n, name);
	r = fstatat(dir_of(w, n), name, &st, AT_SYMLINK_NOFOLLOW);
	wrong("stress: worker %u, operation %llu: %s of name %u: %s; it has %u links by the model, "
	      "stat says %s, inode %llu, %lu links",
	      w->nr, (unsigned long long)w->ops, what, n, strerror(error), o != NULL ? o->nlink : 0,
	      r < 0 ? strerror(errno) : "it is there", (unsigned long long)st.st_ino,
	      (unsigned long)st.st_nlink);
}

/* A name that is, or is not, in use; -1 when none was found quickly. */
static int choose(struct worker *w, bool alive)
{
	for (int tries = 0; tries < 50; tries++) {
		unsigned int n = below(&w->rng, N_NAMES);

		if ((w->names[n].o != NULL) == alive)
			return (int)n;
	}
	return -1;
}

static int choose_file(struct worker *w)
{
	for (int tries = 0; tries < 20; tries++) {
		int n = choose(w, true);

		if (n >= 0 && S_ISREG(w->names[n].o->mode))
			return n;
	}
	return -1;
}

static void drop(struct worker *w, unsigned int n)
{
	struct object *o = w->names[n].o;

	w->names[n].o = NULL;
	if (o != NULL && --o->nlink == 0)
		free(o);
}

static int open_name(struct worker *w, unsigned int n, int flags)
{
	char name[32];
	int fd;

	name_of(w->nr, n, name);
	fd = openat(dir_of(w, n), name, flags, 0644);
	if (fd < 0)
		failed(w, n, "open");
	return fd;
}

static void check_bytes(struct worker *w, unsigned int n, int fd)
{
	static _Thread_local unsigned char is[SIZE_MAX_FILE + 1], must[SIZE_MAX_FILE];
	const struct object *o = w->names[n].o;
	ssize_t got = pread(fd, is, sizeof(is), 0);

	content(o->seed, 0, must, o->size);
	if (got != (ssize_t)o->size || memcmp(is, must, o->size) != 0)
		wrong("stress: worker %u, operation %llu: name %u has %zd bytes, not the right %zu",
		      w->nr, (unsigned long long)w->ops, n, got, o->size);
}

static void check_target(struct worker *w, unsigned int n, const char *name)
{
	char target[64], must[64];
	ssize_t got = readlinkat(dir_of(w, n), name, target, sizeof(target) - 1);

	if (got < 0)
		failed(w, n, "readlink");
	target[got] = '\0';
	snprintf(must, sizeof(must), "target-%llu", (unsigned long long)w->names[n].o->seed);
	if (strcmp(target, must) != 0)
		wrong("stress: worker %u: link %u leads to %s, not %s", w->nr, n, target, must);
}

static void check_note(struct worker *w, unsigned int n, int fd)
{
	const struct object *o = w->names[n].o;
	uint32_t note = 0;
	ssize_t got = fgetxattr(fd, "user.note", &note, sizeof(note));

	if (got < 0 && errno == ENODATA)
		note = 0;
	else if (got != sizeof(note))
		failed(w, n, "getxattr");
	if (note != o->note)
		wrong("stress: worker %u: the note of %u is %u, not %u", w->nr, n, note, o->note);
}

/*
 * The kernel counts a link down when unlink(2) has been answered. Where another thread's look-up has brought the
 * new count in just before, it counts twice. What counts here is what the file system says when it is asked.
 */
static unsigned int links_of(struct worker *w, int dir, const char *name, unsigned int cached,
			     unsigned int must)
{
	struct statx now;

	if (cached == must ||
	    statx(dir, name, AT_SYMLINK_NOFOLLOW | AT_STATX_FORCE_SYNC, STATX_NLINK, &now) < 0)
		return cached;
	w->s->stale_links++;
	return now.stx_nlink;
}

static void check_attributes(struct worker *w, unsigned int n, struct stat *st)
{
	struct object *o = w->names[n].o;
	char name[32];

	name_of(w->nr, n, name);
	if (!S_ISDIR(o->mode))
		st->st_nlink = links_of(w, dir_of(w, n), name, (unsigned int)st->st_nlink,
					o->nlink);
	if (st->st_mode != o->mode || (!S_ISDIR(o->mode) && st->st_nlink != o->nlink))
		wrong("stress: worker %u, operation %llu: name %u has mode %o and %lu links, not %o "
		      "and %u",
		      w->nr, (unsigned long long)w->ops, n, st->st_mode,
		      (unsigned long)st->st_nlink, o->mode, o->nlink);
	if (S_ISREG(o->mode) && (size_t)st->st_size != o->size)
		wrong("stress: worker %u, operation %llu: name %u has size %lld, not %zu", w->nr,
		      (unsigned long long)w->ops, n, (long long)st->st_size, o->size);
	if (o->ino != 0 && o->ino != st->st_ino)
		wrong("stress: worker %u: name %u is inode %llu, not %llu", w->nr, n,
		      (unsigned long long)st->st_ino, (unsigned long long)o->ino);
	o->ino = st->st_ino;
}

void check_name(struct worker *w, unsigned int n)
{
	char name[32];
	struct stat st;
	int fd;

	name_of(w->nr, n, name);
	if (w->names[n].o == NULL) {
		if (fstatat(dir_of(w, n), name, &st, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT)
			wrong("stress: worker %u, operation %llu: name %u is there", w->nr,
			      (unsigned long long)w->ops, n);
		return;
	}
	if (fstatat(dir_of(w, n), name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		failed(w, n, "stat");
	check_attributes(w, n, &st);
	if (S_ISLNK(st.st_mode))
		check_target(w, n, name);
	if (!S_ISREG(st.st_mode))
		return;
	fd = open_name(w, n, O_RDONLY);
	check_bytes(w, n, fd);
	check_note(w, n, fd);
	close(fd);
}

static struct object *new_object(struct worker *w, mode_t mode)
{
	struct object *o = calloc(1, sizeof(*o));

	*o = (struct object){.mode = mode, .nlink = 1, .seed = rnd(&w->rng) >> 16};
	return o;
}

static void do_create(struct worker *w)
{
	int n = choose(w, false);
	unsigned int type = below(&w->rng, 8);
	struct object *o;
	char name[32], target[64];
	int dir, r = 0;

	if (n < 0)
		return;
	w->names[n].dir = (int)below(&w->rng, N_DIRS);
	dir = dir_of(w, (unsigned int)n);
	name_of(w->nr, (unsigned int)n, name);
	o = new_object(w, type == 0 ? S_IFLNK | 0777 : type == 1 ? S_IFDIR | 0755 : S_IFREG | 0644);
	snprintf(target, sizeof(target), "target-%llu", (unsigned long long)o->seed);
	if (type == 0)
		r = symlinkat(target, dir, name);
	else if (type == 1)
		r = mkdirat(dir, name, 0755);
	else
		make_file(dir, name, o->seed, o->size = any_size(&w->rng));
	if (r < 0)
		failed(w, (unsigned int)n, "create");
	w->names[n].o = o;
}

static void do_unlink(struct worker *w)
{
	int n = choose(w, true), fd = -1;
	char name[32];
	bool dir, keep;

	if (n < 0)
		return;
	dir = S_ISDIR(w->names[n].o->mode);
	keep = S_ISREG(w->names[n].o->mode) && below(&w->rng, 3) == 0;
	if (keep)
		fd = open_name(w, (unsigned int)n, O_RDWR);
	name_of(w->nr, (unsigned int)n, name);
	if (unlinkat(dir_of(w, (unsigned int)n), name, dir ? AT_REMOVEDIR : 0) < 0)
		failed(w, (unsigned int)n, "unlink");
	if (keep) {
		check_bytes(w, (unsigned int)n, fd);
		/* What is written to it now is nobody's, unless it has another name. */
		if (w->names[n].o->nlink == 1)
			write_at(fd, name, sizeof(name), (off_t)below(&w->rng, 9000), name);
		close(fd);
	}
	drop(w, (unsigned int)n);
}

/* The content becomes another one, or longer, or shorter. */
static void do_write(struct worker *w)
{
	static _Thread_local unsigned char bytes[SIZE_MAX_FILE];
	int n = choose_file(w), how = (int)below(&w->rng, 3), fd;
	struct object *o;
	size_t size;

	if (n < 0)
		return;
	o = w->names[n].o;
	fd = open_name(w, (unsigned int)n, how == 0 ? O_RDWR | O_TRUNC : O_RDWR);
	size = how == 2 ? below(&w->rng, (unsigned int)o->size + 1) : any_size(&w->rng);
	if (how == 0) {
		o->size = 0;
		o->seed = rnd(&w->rng) >> 16;
	}
	content(o->seed, 0, bytes, size);
	if (size > o->size)
		write_at(fd, bytes + o->size, size - o->size, (off_t)o->size, "write");
	else if (ftruncate(fd, (off_t)size) < 0)
		failed(w, (unsigned int)n, "ftruncate");
	o->size = size;
	if (below(&w->rng, 30) == 0 && fsync(fd) < 0)
		failed(w, (unsigned int)n, "fsync");
	close(fd);
}

static void do_rename(struct worker *w)
{
	int a = choose(w, true), b = (int)below(&w->rng, N_NAMES), r;
	char from[32], to[32];
	struct object *oa, *ob;
	int to_dir;

	if (a < 0 || a == b)
		return;
	oa = w->names[a].o;
	ob = w->names[b].o;
	to_dir = ob != NULL ? w->names[b].dir : (int)below(&w->rng, N_DIRS);
	name_of(w->nr, (unsigned int)a, from);
	name_of(w->nr, (unsigned int)b, to);
	r = renameat(dir_of(w, (unsigned int)a), from, w->s->dirs[to_dir], to);
	if (ob != NULL && S_ISDIR(ob->mode) && !S_ISDIR(oa->mode)) {
		if (r == 0 || errno != EISDIR)
			failed(w, (unsigned int)a, "rename over a directory");
		return;
	}
	if (ob != NULL && !S_ISDIR(ob->mode) && S_ISDIR(oa->mode)) {
		if (r == 0 || errno != ENOTDIR)
			failed(w, (unsigned int)a, "rename of a directory over a file");
		return;
	}
	if (r < 0)
		failed(w, (unsigned int)a, "rename");
	/* Two names of one file: nothing happens. */
	if (oa == ob)
		return;
	drop(w, (unsigned int)b);
	w->names[b] = (struct name){oa, to_dir};
	w->names[a].o = NULL;
}

static void do_exchange(struct worker *w)
{
	int a = choose(w, true), b = choose(w, true);
	bool noreplace = below(&w->rng, 3) == 0;
	char first[32], second[32];
	struct object *o;
	int r;

	if (a < 0 || b < 0 || a == b)
		return;
	name_of(w->nr, (unsigned int)a, first);
	name_of(w->nr, (unsigned int)b, second);
	r = renameat2(dir_of(w, (unsigned int)a), first, dir_of(w, (unsigned int)b), second,
		      noreplace ? RENAME_NOREPLACE : RENAME_EXCHANGE);
	if (noreplace ? r == 0 || errno != EEXIST : r < 0)
		failed(w, (unsigned int)a, noreplace ? "rename over a name" : "exchange");
	if (noreplace)
		return;
	o = w->names[a].o, w->names[a].o = w->names[b].o, w->names[b].o = o;
}

/* With a cached link count of 0, see links_of(), the kernel refuses by itself. */
static int link_names(struct worker *w, int from_dir, const char *from, int to_dir, const char *to,
		      unsigned int links)
{
	int r = linkat(from_dir, from, to_dir, to, 0);
	struct statx known;

	if (r == 0 || errno != ENOENT)
		return r;
	if (statx(from_dir, from, AT_STATX_DONT_SYNC, STATX_NLINK, &known) < 0 ||
	    known.stx_nlink != 0 || links_of(w, from_dir, from, 0, links) != links) {
		errno = ENOENT;
		return -1;
	}
	return linkat(from_dir, from, to_dir, to, 0);
}

static void do_link(struct worker *w)
{
	int a = choose_file(w), b = choose(w, false);
	char from[32], to[32];

	if (a < 0 || b < 0)
		return;
	w->names[b].dir = (int)below(&w->rng, N_DIRS);
	name_of(w->nr, (unsigned int)a, from);
	name_of(w->nr, (unsigned int)b, to);
	if (link_names(w, dir_of(w, (unsigned int)a), from, dir_of(w, (unsigned int)b), to,
		       w->names[a].o->nlink) < 0)
		failed(w, (unsigned int)a, "link");
	w->names[b].o = w->names[a].o;
	w->names[b].o->nlink++;
}

static void do_attributes(struct worker *w)
{
	int n = choose_file(w), fd;
	struct object *o;

	if (n < 0)
		return;
	o = w->names[n].o;
	fd = open_name(w, (unsigned int)n, O_RDONLY);
	if (below(&w->rng, 2)) {
		o->mode = S_IFREG | 0400 | below(&w->rng, 0400);
		if (fchmod(fd, o->mode & 07777) < 0)
			failed(w, (unsigned int)n, "fchmod");
	} else if (o->note != 0 && below(&w->rng, 2)) {
		o->note = 0;
		if (fremovexattr(fd, "user.note") < 0)
			failed(w, (unsigned int)n, "removexattr");
	} else {
		o->note = 1 + below(&w->rng, 1000);
		if (fsetxattr(fd, "user.note", &o->note, sizeof(o->note), 0) < 0)
			failed(w, (unsigned int)n, "setxattr");
	}
	close(fd);
}

static void do_check(struct worker *w)
{
	check_name(w, below(&w->rng, N_NAMES));
}

/* Whose name is it? -1: somebody else's. */
static int own_name(const struct worker *w, const char *text)
{
	char must[32];
	unsigned int nr, n;

	if (sscanf(text, "w%u-%u", &nr, &n) != 2 || nr != w->nr || n >= N_NAMES)
		return -1;
	name_of(nr, n, must);
	return strcmp(must, text) == 0 ? (int)n : -1;
}

/* What is wrong with a listing of DIR; "" nothing. */
static void list(struct worker *w, int dir, char ret_fault[128])
{
	int fd = open_dir(w->s->dirs[dir], ".");
	bool seen[N_NAMES] = {false};
	DIR *stream = fdopendir(fd);
	struct dirent *d;

	ret_fault[0] = '\0';
	for (errno = 0; (d = readdir(stream)) != NULL; errno = 0) {
		int n = own_name(w, d->d_name);

		if (n >= 0 && (seen[n] || w->names[n].o == NULL || w->names[n].dir != dir))
			snprintf(ret_fault, 128, "%.60s is listed in %d %s", d->d_name, dir,
				 seen[n] ? "twice" : "wrongly");
		if (n >= 0)
			seen[n] = true;
	}
	if (errno != 0)
		snprintf(ret_fault, 128, "listing of %d: %s", dir, strerror(errno));
	closedir(stream);
	for (unsigned int n = 0; n < N_NAMES; n++) {
		if (w->names[n].o != NULL && w->names[n].dir == dir && !seen[n])
			snprintf(ret_fault, 128, "%u is not listed in %d", n, dir);
	}
}

/*
 * All own names that are in a directory are listed once, whatever others do in it. When several threads
 * list a directory, the kernel may put an answer that is older than a change behind one that is newer
 * into its cache; a change of the directory makes it ask again.
 */
static void do_list(struct worker *w)
{
	int dir = (int)below(&w->rng, N_DIRS);
	char fault[128], name[32];

	list(w, dir, fault);
	for (int i = 0; fault[0] != '\0' && i < 3; i++) {
		w->s->stale_lists++;
		snprintf(name, sizeof(name), "again-%u", w->nr);
		if (mkdirat(w->s->dirs[dir], name, 0755) < 0 ||
		    unlinkat(w->s->dirs[dir], name, AT_REMOVEDIR) < 0)
			wrong("stress: %s in %d: %s", name, dir, strerror(errno));
		list(w, dir, fault);
	}
	if (fault[0] != '\0')
		wrong("stress: worker %u, operation %llu: %s", w->nr, (unsigned long long)w->ops,
		      fault);
}

/* A container's package manager: thousands of files that are there for a moment. */
static void do_many(struct worker *w)
{
	const unsigned int many = 1500;
	char name[64];
	int dir;

	snprintf(name, sizeof(name), "many-%u", w->nr);
	if (mkdirat(w->s->root, name, 0755) < 0)
		wrong("stress: mkdir of %s: %s", name, strerror(errno));
	dir = open_dir(w->s->root, name);
	for (unsigned int i = 0; i < many; i++) {
		snprintf(name, sizeof(name), "a file of many, this is number %u", i);
		make_file(dir, name, i, i % 16 == 0 ? 6000 : i % 700);
		w->ops++;
	}
	for (unsigned int i = 0; i < many; i++) {
		snprintf(name, sizeof(name), "a file of many, this is number %u", i);
		if (unlinkat(dir, name, 0) < 0)
			wrong("stress: unlink of %s: %s", name, strerror(errno));
		w->ops++;
	}
	close(dir);
	snprintf(name, sizeof(name), "many-%u", w->nr);
	if (unlinkat(w->s->root, name, AT_REMOVEDIR) < 0)
		wrong("stress: rmdir of %s: %s", name, strerror(errno));
}

void *stress_worker(void *arg)
{
	static void (*const ops[])(struct worker * w) = {
		do_create, do_create, do_create, do_unlink,	do_unlink,     do_write, do_write,
		do_write,  do_rename, do_rename, do_exchange,	do_link,       do_check, do_check,
		do_check,  do_check,  do_list,	 do_attributes, do_attributes,
	};
	struct worker *w = arg;

	while (seconds() < w->s->end) {
		ops[below(&w->rng, sizeof(ops) / sizeof(ops[0]))](w);
		w->ops++;
		if (below(&w->rng, 3000) == 0)
			do_many(w);
	}
	for (unsigned int n = 0; n < N_NAMES; n++)
		check_name(w, n);
	return NULL;
}
