/* SPDX-License-Identifier: Apache-2.0 */
/* Two trees compared in full: names, types, modes, owners, links, xattrs, contents. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "mount/oracle/oracle.h"

/* A tree as one sorted list of lines. */
struct lines {
	char **v;
	size_t n, cap;
};

/* Inodes with several links, in order of their first name: the number of a group is its index. */
struct group {
	ino_t ino;
	dev_t dev;
	unsigned int id;
};
struct tree {
	struct lines lines;
	struct group *groups;
	size_t n_groups;
	const struct compare_options *o;
	bool whiteouts; /* whiteouts may be listed that cannot be looked up */
	bool bad;
};

static void add_line(struct tree *t, char *line)
{
	struct lines *l = &t->lines;

	if (l->n == l->cap) {
		l->cap = l->cap == 0 ? 256 : l->cap * 2;
		l->v = realloc(l->v, l->cap * sizeof(char *));
	}
	l->v[l->n++] = line;
}

static unsigned int group_of(struct tree *t, const struct stat *st)
{
	for (size_t i = 0; i < t->n_groups; i++) {
		if (t->groups[i].ino == st->st_ino && t->groups[i].dev == st->st_dev)
			return t->groups[i].id;
	}
	t->groups = realloc(t->groups, (t->n_groups + 1) * sizeof(*t->groups));
	t->groups[t->n_groups] = (struct group){st->st_ino, st->st_dev, (unsigned int)t->n_groups};
	return t->groups[t->n_groups++].id;
}

static uint64_t mix(uint64_t h, const unsigned char *p, size_t n)
{
	while (n-- > 0)
		h = (h ^ *p++) * 0x100000001b3u;
	return h;
}

static uint64_t content_hash(int dir, const char *name, int *ret_err)
{
	static unsigned char bytes[1 << 17];
	uint64_t h = 0xcbf29ce484222325u;
	int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
	ssize_t n;

	*ret_err = fd < 0 ? errno : 0;
	while (fd >= 0 && (n = read(fd, bytes, sizeof(bytes))) != 0) {
		if (n < 0) {
			*ret_err = errno;
			break;
		}
		h = mix(h, bytes, (size_t)n);
	}
	if (fd >= 0)
		close(fd);
	return h;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_mark(const char *name)
{
	return strncmp(name, "trusted.overlay.", 16) == 0 ||
	       strncmp(name, "user.overlay.", 13) == 0;
}

/* Appends " name=hash" for each xattr in order of names. */
static void print_xattrs(FILE *out, const char *path)
{
	static char names[65536], value[65536];
	ssize_t len = llistxattr(path, names, sizeof(names));
	char *sorted[512];
	size_t n = 0;

	if (len < 0 && errno != EOPNOTSUPP)
		fprintf(out, " listxattr:%s", strerror(errno));
	for (char *p = names; len > 0 && p < names + len && n < 512; p += strlen(p) + 1)
		sorted[n++] = p;
	qsort(sorted, n, sizeof(char *), by_text);
	for (size_t i = 0; i < n; i++) {
		ssize_t v = lgetxattr(path, sorted[i], value, sizeof(value));

		if (is_mark(sorted[i]))
			continue;
		if (v < 0)
			fprintf(out, " %s:%s", sorted[i], strerror(errno));
		else
			fprintf(out, " %s=%zd:%016llx", sorted[i], v,
				(unsigned long long)mix(1, (unsigned char *)value, (size_t)v));
	}
}

static void print_times(FILE *out, const struct stat *st)
{
	fprintf(out, " mtime %lld.%09ld", (long long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec);
}

static void print_entry(struct tree *t, int dir, const char *name, const char *path,
			const struct stat *st)
{
	char target[PATH_MAX];
	size_t size;
	char *line;
	FILE *out = open_memstream(&line, &size);
	int err = 0;

	fprintf(out, "%s mode %o owner %u:%u", path, st->st_mode, st->st_uid, st->st_gid);
	if (S_ISDIR(st->st_mode)) {
		/* 1 says that sub-directories are not counted, which either side may say. */
		fprintf(out, " links %lu", st->st_nlink > 1 ? (unsigned long)st->st_nlink : 0);
	} else {
		fprintf(out, " links %lu", (unsigned long)st->st_nlink);
		if (st->st_nlink > 1)
			fprintf(out, " group %u", group_of(t, st));
	}
	if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode))
		fprintf(out, " dev %u:%u", major(st->st_rdev), minor(st->st_rdev));
	if (S_ISREG(st->st_mode)) {
		uint64_t h = content_hash(dir, name, &err);

		fprintf(out, " size %lld content %016llx %s", (long long)st->st_size,
			(unsigned long long)h, err ? strerror(err) : "");
	}
	if (S_ISLNK(st->st_mode)) {
		ssize_t n = readlinkat(dir, name, target, sizeof(target) - 1);

		fprintf(out, " -> %.*s", n < 0 ? 1 : (int)n, n < 0 ? "?" : target);
	}
	if (t->o->times)
		print_times(out, st);
	if (t->o->inos)
		fprintf(out, " ino %llu", (unsigned long long)st->st_ino);
	print_xattrs(out, path);
	fclose(out);
	add_line(t, line);
}

static int scan(struct tree *t, int fd, const char *path);

static void scan_name(struct tree *t, int dir, const char *path, const struct dirent *e)
{
	char *child;
	struct stat st;
	int fd;

	if (asprintf(&child, "%s/%s", path, e->d_name) < 0)
		return;
	if (fstatat(dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		/* The kernel lists a whiteout in a directory that it does not merge. */
		if (t->whiteouts && errno == ENOENT && e->d_type == DT_CHR) {
			free(child);
			return;
		}
		printf("%s: listed, but stat says: %s\n", child, strerror(errno));
		t->bad = true;
		free(child);
		return;
	}
	if (e->d_type != DT_UNKNOWN && e->d_type != IFTODT(st.st_mode)) {
		printf("%s: d_type %u, mode %o\n", child, e->d_type, st.st_mode);
		t->bad = true;
	}
	print_entry(t, dir, e->d_name, child, &st);
	if (S_ISDIR(st.st_mode)) {
		fd = openat(dir, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
		if (fd < 0 || scan(t, fd, child) < 0) {
			printf("%s: %s\n", child, strerror(errno));
			t->bad = true;
		}
	}
	free(child);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* Takes FD over. */
static int scan(struct tree *t, int fd, const char *path)
{
	struct dirent **names;
	int n = scandirat(fd, ".", &names, NULL, by_name);

	for (int i = 0; i < n; i++) {
		if (i > 0 && strcmp(names[i]->d_name, names[i - 1]->d_name) == 0) {
			printf("%s/%s: listed twice\n", path, names[i]->d_name);
			t->bad = true;
		} else if (strcmp(names[i]->d_name, ".") != 0 &&
			   strcmp(names[i]->d_name, "..") != 0) {
			scan_name(t, fd, path, names[i]);
		}
	}
	for (int i = 0; i < n; i++)
		free(names[i]);
	if (n >= 0)
		free(names);
	close(fd);
	return n < 0 ? -1 : 0;
}

/* Paths are printed relative to the root, so the process goes there. */
static int load(struct tree *t, const char *dir)
{
	int back = open(".", O_PATH | O_DIRECTORY), fd, r;
	struct stat st;

	if (chdir(dir) < 0) {
		printf("%s: %s\n", dir, strerror(errno));
		return -1;
	}
	fd = open(".", O_RDONLY | O_DIRECTORY);
	fstat(fd, &st);
	print_entry(t, fd, ".", ".", &st);
	r = scan(t, fd, ".");
	if (r < 0)
		printf("%s: %s\n", dir, strerror(errno));
	if (fchdir(back) < 0)
		r = -1;
	close(back);
	return r;
}

static void tree_done(struct tree *t)
{
	for (size_t i = 0; i < t->lines.n; i++)
		free(t->lines.v[i]);
	free(t->lines.v);
	free(t->groups);
}

/* Lines are equal, or differ only where one side does not count sub-directories. */
static bool same_line(const char *a, const char *b)
{
	static const char word[] = " links 0";
	const char *la = strstr(a, " links "), *lb = strstr(b, " links ");

	if (strcmp(a, b) == 0)
		return true;
	if (la == NULL || lb == NULL || la - a != lb - b || memcmp(a, b, (size_t)(la - a)) != 0)
		return false;
	if (strncmp(la, word, strlen(word)) != 0 && strncmp(lb, word, strlen(word)) != 0)
		return false;
	la += 7, lb += 7;
	return strcmp(la + strspn(la, "0123456789"), lb + strspn(lb, "0123456789")) == 0;
}

int compare_trees(const char *a, const char *b, const struct compare_options *o)
{
	struct tree ta = {.o = o, .whiteouts = o->kernel}, tb = {.o = o};
	int differences = 0;

	if (load(&ta, a) < 0 || load(&tb, b) < 0 || ta.bad || tb.bad)
		differences = 1;
	for (size_t i = 0; i < ta.lines.n || i < tb.lines.n; i++) {
		const char *la = i < ta.lines.n ? ta.lines.v[i] : "(nothing)";
		const char *lb = i < tb.lines.n ? tb.lines.v[i] : "(nothing)";

		if (same_line(la, lb))
			continue;
		printf("- %s\n+ %s\n", la, lb);
		if (++differences > 5)
			break;
	}
	tree_done(&ta);
	tree_done(&tb);
	return differences;
}

int print_tree(const char *dir, const struct compare_options *o)
{
	struct tree t = {.o = o};
	int r = load(&t, dir);

	for (size_t i = 0; i < t.lines.n; i++)
		puts(t.lines.v[i]);
	tree_done(&t);
	return r < 0 || t.bad ? 1 : 0;
}
