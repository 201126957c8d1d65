/* SPDX-License-Identifier: Apache-2.0 */
/* The workload, and the shadow beside it. */
#include "unit/faults/workload.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/tmpdir.h"

#define CHILD_SECONDS 60

/* clang-format off */
static const struct shadow_op script[] = {
	{SHADOW_MKDIR, .path = "new", .mode = 0755},
	{SHADOW_CREATE, .path = "new/small", .mode = 0644},
	{SHADOW_WRITE, .path = "new/small", .len = 100, .seed = 1},
	{SHADOW_CREATE, .path = "new/large", .mode = 0644},
	{SHADOW_WRITE, .path = "new/large", .len = 200000, .seed = 2},
	{SHADOW_FSYNC, .path = "new/large"},
	{SHADOW_WRITE, .path = "new/large", .off = 50000, .len = 9000, .seed = 3},
	{SHADOW_FSYNC, .path = "new/large"},
	/* From the catalog into a data file. */
	{SHADOW_FSYNC, .path = "new/small"},
	{SHADOW_WRITE, .path = "new/small", .off = 100, .len = 6000, .seed = 4},
	{SHADOW_FSYNC, .path = "new/small"},
	{SHADOW_RENAME, .path = "d", .path2 = "moved"},
	{SHADOW_CHMOD, .path = "moved/f", .mode = 0600},
	{SHADOW_SETXATTR, .path = "moved/f", .seed = 5},
	/* By chunks. */
	{SHADOW_WRITE, .path = "moved/big", .off = 200000, .len = 100, .seed = 6},
	{SHADOW_FSYNC, .path = "moved/big"},
	{SHADOW_WRITE, .path = "moved/big", .off = 10, .len = 10, .seed = 7},
	{SHADOW_WRITE, .path = "moved/mid", .off = 5, .len = 5, .seed = 8},
	{SHADOW_CHECKPOINT},
	{SHADOW_UNLINK, .path = "gone"},
	{SHADOW_LINK, .path = "moved/f", .path2 = "link"},
	{SHADOW_TRUNCATE, .path = "cut", .off = 3},
	{SHADOW_TRUNCATE, .path = "moved/big", .off = 250000},
	{SHADOW_FSYNC, .path = "moved/big"},
	{SHADOW_SYMLINK, .path = "s", .path2 = "moved/f"},
	{SHADOW_FIFO, .path = "p", .mode = 0640},
	{SHADOW_CREATE, .path = "t", .mode = 0644},
	{SHADOW_WRITE, .path = "t", .len = 5000, .seed = 9},
	{SHADOW_TRUNCATE, .path = "t"},
	{SHADOW_WRITE, .path = "t", .len = 10, .seed = 10},
	{SHADOW_PUNCH, .path = "new/large", .off = 4096, .len = 20000},
	{SHADOW_SYNCFS},
	{SHADOW_RENAME, .path = "new/small", .path2 = "cut"},
	{SHADOW_UNLINK, .path = "new/large"},
	{SHADOW_MKDIR, .path = "e", .mode = 0700},
	{SHADOW_RMDIR, .path = "e"},
	{SHADOW_CREATE, .path = "x", .mode = 0644},
	{SHADOW_WRITE, .path = "x", .len = 300000, .seed = 11},
	{SHADOW_RENAME, .path = "x", .path2 = "new/x"},
	{SHADOW_FSYNC, .path = "new/x"},
	{SHADOW_WRITE, .path = "new/x", .off = 299000, .len = 50000, .seed = 12},
	{SHADOW_FSYNC, .path = "new/x"},
	{SHADOW_TRUNCATE, .path = "new/x", .off = 360000},
	{SHADOW_CHECKPOINT},
	{SHADOW_UNLINK, .path = "moved/f"},
	{SHADOW_RMXATTR, .path = "link"},
	{SHADOW_WRITE, .path = "link", .off = 3, .len = 4100, .seed = 13},
	{SHADOW_CREATE, .path = "z", .mode = 0755},
	{SHADOW_WRITE, .path = "z", .len = 4000, .seed = 14},
	{SHADOW_WRITE, .path = "z", .off = 4000, .len = 200, .seed = 15},
	{SHADOW_FSYNC, .path = "z"},
	{SHADOW_REOPEN},
	{SHADOW_WRITE, .path = "new/x", .off = 100, .len = 100, .seed = 16},
	{SHADOW_FSYNC, .path = "new/x"},
	{SHADOW_UNLINK, .path = "moved/big"},
	{SHADOW_CREATE, .path = "after", .mode = 0644},
	{SHADOW_WRITE, .path = "after", .len = 20000, .seed = 17},
	{SHADOW_SYNCFS},
	{SHADOW_WRITE, .path = "after", .off = 20000, .len = 20000, .seed = 18},
	{SHADOW_FSYNC, .path = "after"},
	{SHADOW_RENAME, .path = "after", .path2 = "z"},
};
/* clang-format on */

unsigned long number_of(const char *name, unsigned long otherwise)
{
	const char *text = getenv(name);

	return text != NULL ? strtoul(text, NULL, 10) : otherwise;
}

/* ---- processes ----------------------------------------------------------------------- */

/* Shared with the child. */
static char *last_words;
static bool is_child;
#define LAST_WORDS 2000

void wrong(const char *fmt, ...)
{
	va_list ap;
	int n;

	if (last_words == NULL)
		last_words = shared(LAST_WORDS);
	va_start(ap, fmt);
	n = vsnprintf(last_words, LAST_WORDS, fmt, ap);
	va_end(ap);
	if (n < LAST_WORDS && faults_fired() > 0)
		snprintf(last_words + n, LAST_WORDS - (size_t)n, " [%lu failed: %s]",
			 faults_fired(), faults_what());
	if (!is_child)
		fprintf(stderr, "%s\n", last_words);
	_exit(1);
}

void *shared(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		abort();
	return p;
}

int in_child(void (*body)(void *arg), void *arg, char *ret_why, size_t size)
{
	int status;
	pid_t pid;

	if (last_words == NULL)
		last_words = shared(LAST_WORDS);
	last_words[0] = '\0';
	pid = fork();
	if (pid == 0) {
		is_child = true;
		alarm(CHILD_SECONDS);
		body(arg);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		snprintf(ret_why, size, "no child: %s", strerror(errno));
	else if (WIFSIGNALED(status))
		snprintf(ret_why, size, "%s",
			 WTERMSIG(status) == SIGALRM ? "it hangs" : strsignal(WTERMSIG(status)));
	else
		snprintf(ret_why, size, "%s", last_words[0] != '\0' ? last_words : "it ended");
	return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

/* ---- the world ----------------------------------------------------------------------- */

static void put(const char *path, size_t size, unsigned int seed)
{
	uint8_t *bytes = malloc(size + 1);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	shadow_fill(bytes, 0, size, seed);
	if (fd < 0 || write(fd, bytes, size) != (ssize_t)size)
		wrong("%s: %s", path, strerror(errno));
	close(fd);
	free(bytes);
}

void work_init(struct work *w, char dir[64])
{
	memset(w, 0, sizeof(*w));
	snprintf(dir, 64, "%s/plyfs-faults-XXXXXX",
		 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	umask(0);
	if (mkdtemp(dir) == NULL || chdir(dir) < 0 || mkdir("l0", 0755) < 0 ||
	    mkdir("l0/d", 0755) < 0 || mkdir("upper", 0755) < 0)
		wrong("%s: %s", dir, strerror(errno));
	put("l0/d/f", 300, 101);
	put("l0/d/big", 400000, 102);
	put("l0/d/mid", 60000, 103);
	put("l0/gone", 10, 104);
	put("l0/cut", 7, 105);
	put("l0/stays", 100, 106);
	w->upper = "upper";
}

void work_done(struct work *w, const char *dir)
{
	work_close(w);
	shadow_free(w->s);
	w->s = NULL;
	faults_unwatch();
	if (chdir("/") == 0)
		remove_all(AT_FDCWD, dir);
}

/* Whether R is what an injected fault makes of an operation that would succeed. */
static bool is_fault(const struct work *w, int r)
{
	return w->code != 0 && faults_fired() > 0 && (r == -w->code || r == -EIO);
}

void work_open(struct work *w)
{
	char why[300];

	for (int i = 0;; i++) {
		CLEANUP(err) struct err err = {0};
		int r = drive_open(&w->d, w->upper, w->how, &err);

		if (r == 0)
			break;
		if (!is_fault(w, r) || i == 2)
			wrong("%s: cannot open: %s", w->where, err_text(&err));
		if (i == 1)
			faults_end();
	}
	w->open = true;
	/* The last owner gave its reserve back, and there is none to be had. */
	if (faults_fired() > 0)
		w->can_delete = false;
	if (fs_read_only(w->d.fs))
		wrong("%s: opened read-only", w->where);
	if (w->s == NULL)
		w->s = shadow_load(&drive_view, &w->d, why, sizeof(why));
	if (w->s == NULL)
		wrong("%s: cannot be read at the start: %s", w->where, why);
}

void work_close(struct work *w)
{
	if (w->open)
		drive_close(&w->d);
	w->open = false;
}

/* Only what lies below the current directory. The number stays taken: threads may still use it. */
static void void_ours(int fd, const char *dir, int null)
{
	char link[64], path[PATH_MAX];
	size_t len = strlen(dir);
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path));
	if (n >= (ssize_t)len && memcmp(path, dir, len) == 0 && dup2(null, fd) < 0)
		wrong("dup2: %s", strerror(errno));
}

void work_kill(struct work *w)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	char dir[PATH_MAX];

	if (getcwd(dir, sizeof(dir)) == NULL)
		wrong("%s: getcwd: %s", w->where, strerror(errno));
	for (int fd = 3; fd < 1024; fd++)
		void_ours(fd, dir, null);
	close(null);
	w->killed = malloc(sizeof(*w->killed));
	*w->killed = w->d;
	w->d = (struct drive){0};
	w->open = false;
}

void work_compare(struct work *w, const char *when)
{
	char why[300] = "";
	struct shadow *is = shadow_load(&drive_view, &w->d, why, sizeof(why));

	if (is == NULL || !shadow_same(w->s, is, 0, NULL, why, sizeof(why)))
		wrong("%s: %s: %s", w->where, when, why);
	shadow_free(is);
}

static void copy_file(int from_dir, int to_dir, const char *name, uint64_t size)
{
	int from = openat(from_dir, name, O_RDONLY | O_CLOEXEC);
	char *bytes;
	int to;

	if (from < 0 && errno == ENOENT)
		return; /* deleted meanwhile, by a thread of the file system */
	to = openat(to_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	bytes = malloc(size + 1);
	if (from < 0 || to < 0 || pread(from, bytes, size, 0) != (ssize_t)size ||
	    write(to, bytes, size) != (ssize_t)size)
		wrong("%s cannot be copied: %s", name, strerror(errno));
	free(bytes);
	close(from);
	close(to);
}

static void copy_dir(const char *from, const char *to)
{
	DIR *d = opendir(from);
	int from_dir = d != NULL ? dirfd(d) : -1, to_dir;
	struct dirent *e;
	struct stat st;
	char a[600], b[600];

	mkdir(to, 0755);
	to_dir = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	while (d != NULL && (e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
		    fstatat(from_dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		snprintf(a, sizeof(a), "%s/%s", from, e->d_name);
		snprintf(b, sizeof(b), "%s/%s", to, e->d_name);
		if (S_ISDIR(st.st_mode))
			copy_dir(a, b);
		else
			copy_file(from_dir, to_dir, e->d_name, (uint64_t)st.st_size);
	}
	close(to_dir);
	closedir(d);
}

void work_compare_copy(struct work *w, const char *copy)
{
	struct work other = *w;

	copy_dir(w->upper, copy);
	other.upper = copy;
	work_open(&other);
	work_compare(&other, "after a kill");
	work_close(&other);
	remove_all(AT_FDCWD, copy);
}

int work_step(struct work *w, const struct shadow_op *op)
{
	char why[300], text[500];
	int r, expected;

	if (op->kind == SHADOW_REOPEN) {
		work_close(w);
		work_open(w);
		work_compare(w, "opened again");
		return 0;
	}
	r = drive_apply(&w->d, op);
	if (r == 0) {
		expected = shadow_apply(w->s, op);
		if (expected == 0)
			return 0;
		shadow_op_text(op, text, sizeof(text));
		wrong("%s: %s succeeds, should: %s", w->where, text, strerror(-expected));
	}
	if (is_fault(w, r)) {
		w->refused++;
		if (w->can_delete && (op->kind == SHADOW_UNLINK || op->kind == SHADOW_RMDIR)) {
			shadow_op_text(op, text, sizeof(text));
			wrong("%s: %s fails: %s", w->where, text, strerror(-r));
		}
		if (!shadow_settle(w->s, op, 0, &drive_view, &w->d, why, sizeof(why)))
			wrong("%s: %s", w->where, why);
		return r;
	}
	shadow_op_text(op, text, sizeof(text));
	expected = shadow_apply(w->s, op);
	/* Of two reasons either may come first. */
	if (expected == 0)
		wrong("%s: %s fails: %s", w->where, text, strerror(-r));
	return r;
}

void work_run(struct work *w, unsigned int n_random, unsigned int seed)
{
	size_t n_script = sizeof(script) / sizeof(script[0]);
	uint64_t state = seed;

	for (unsigned int i = 0; i < n_script + n_random; i++) {
		struct shadow_op op;
		int r;

		if (i < n_script)
			op = script[i];
		else
			shadow_random(w->s, &state, 150000, &op);
		if (n_random > 0 && i == n_script + n_random / 2)
			op = (struct shadow_op){SHADOW_CHECKPOINT};
		/* Its number lives on when its name does not. */
		if (op.kind == SHADOW_UNLINK && i < n_script && strcmp(op.path, "new/large") == 0)
			drive_hold(&w->d, op.path);
		r = work_step(w, &op);
		if (w->after != NULL)
			w->after(w->arg, w, i, &op, r);
	}
}

bool work_probe(struct work *w)
{
	static const struct shadow_op ops[] = {
		{SHADOW_MKDIR, .path = "probe", .mode = 0755},
		{SHADOW_CREATE, .path = "probe/f", .mode = 0644},
		{SHADOW_WRITE, .path = "probe/f", .len = 50000, .seed = 20},
		{SHADOW_FSYNC, .path = "probe/f"},
		{SHADOW_SETXATTR, .path = "probe/f", .seed = 21},
		{SHADOW_UNLINK, .path = "probe/f"},
		{SHADOW_RMDIR, .path = "probe"},
	};
	int first = 1;

	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		int r = first < 0 && i > 0 ? drive_apply(&w->d, &ops[i]) : work_step(w, &ops[i]);

		if (i == 0)
			first = r;
		if (first == 0 && r != 0 && ops[i].kind != SHADOW_FSYNC)
			wrong("%s: after the fault, step %zu fails: %s", w->where, i, strerror(-r));
	}
	if (first != 0 && first != -EIO)
		wrong("%s: after the fault: %s", w->where, strerror(-first));
	return first == 0;
}
