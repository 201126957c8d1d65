/* SPDX-License-Identifier: Apache-2.0 */
/* The tree of a file system under test: as text, and looked at from all sides. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "attr/attr.h"
#include "base/hash.h"
#include "unit/fs/support.h"

/* A listing, in memory. */
struct names {
	struct one {
		char name[NAME_MAX + 1];
		uint64_t ino, cookie;
		uint8_t dtype;
		bool has_attr;
		struct attr attr;
	} * all; /* owned */
	size_t n;
};

static void names_done(struct names *l)
{
	free(l->all);
}
DEFINE_CLEANUP(struct names, names, names_done)

static void collect_one(struct names *l, const struct fs_dirent *e)
{
	struct one *o;

	cr_assert_leq(e->len, NAME_MAX);
	l->all = realloc(l->all, (l->n + 1) * sizeof(*l->all));
	o = &l->all[l->n++];
	memset(o, 0, sizeof(*o));
	memcpy(o->name, e->name, e->len);
	o->ino = e->ino;
	o->cookie = e->cookie;
	o->dtype = e->dtype;
	o->has_attr = e->attr != NULL;
	if (e->attr != NULL)
		o->attr = *e->attr;
}

static bool collect(void *arg, const struct fs_dirent *entries, size_t n)
{
	for (size_t i = 0; i < n; i++)
		collect_one(arg, &entries[i]);
	return true;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct one *)a)->name, ((const struct one *)b)->name);
}

static void list(struct world *w, uint64_t ino, bool plus, struct names *ret_list)
{
	int r = plus ? fs_readdirplus(w->fs, ino, 0, collect, ret_list)
		     : fs_readdir(w->fs, ino, 0, collect, ret_list);

	cr_assert(r == 0, "listing of %lx: %s", (unsigned long)ino, strerror(-r));
	for (size_t i = 1; i < ret_list->n; i++)
		cr_assert_geq(ret_list->all[i].cookie, ret_list->all[i - 1].cookie);
	if (ret_list->n > 0)
		qsort(ret_list->all, ret_list->n, sizeof(*ret_list->all), by_name);
	for (size_t i = 1; i < ret_list->n; i++)
		cr_assert_str_neq(ret_list->all[i].name, ret_list->all[i - 1].name);
}

static bool is_dot(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

void assert_names(struct world *w, const char *path, const char *names)
{
	CLEANUP(names) struct names l = {0};
	CLEANUP(buf) struct buf text = {0};
	uint64_t ino = hold(w, path);

	list(w, ino, false, &l);
	for (size_t i = 0; i < l.n; i++) {
		if (!is_dot(l.all[i].name))
			buf_printf(&text, "%s%s", text.len > 0 ? " " : "", l.all[i].name);
	}
	cr_assert_str_eq(buf_cstr(&text), names, "%s: \"%s\", not \"%s\"", path, buf_cstr(&text),
			 names);
	if (ino != FS_ROOT_INO)
		drop(w, ino);
}

static uint64_t hash_of(struct world *w, uint64_t ino, uint64_t size)
{
	CLEANUP(free) char *bytes = malloc(1 << 20);
	uint64_t hash = 0, at = 0;

	for (;;) {
		ssize_t n = fs_read(w->fs, ino, bytes, 1 << 20, (off_t)at);

		cr_assert(n >= 0, "read: %s", strerror((int)-n));
		if (n == 0)
			break;
		hash = hash64(bytes, (size_t)n, hash);
		at += (uint64_t)n;
	}
	cr_assert_eq(at, size, "%lu bytes, stat says %lu", (unsigned long)at, (unsigned long)size);
	return hash;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void dump_xattrs(struct world *w, uint64_t ino, struct buf *out)
{
	char names[65536], value[65536];
	const char *sorted[256];
	size_t n = 0;
	ssize_t len = fs_listxattr(w->fs, ino, names, sizeof(names));

	ok(len);
	for (ssize_t at = 0; at < len && n < 256; at += (ssize_t)strlen(names + at) + 1)
		sorted[n++] = names + at;
	qsort(sorted, n, sizeof(*sorted), by_text);
	for (size_t i = 0; i < n; i++) {
		ssize_t size = fs_getxattr(w->fs, ino, sorted[i], value, sizeof(value));

		ok(size);
		buf_printf(out, " %s=%016lx", sorted[i],
			   (unsigned long)hash64(value, (size_t)size, 0));
	}
}

static void dump_line(struct world *w, const char *path, uint64_t ino, const struct attr *a,
		      struct buf *out)
{
	char target[PATH_MAX];

	buf_printf(out, "%s %lx %o %u:%u %u %u:%u %ld.%09ld %ld.%09ld", path, (unsigned long)a->ino,
		   a->mode, a->uid, a->gid, a->nlink, a->rdev_major, a->rdev_minor,
		   (long)a->mtime.tv_sec, a->mtime.tv_nsec, (long)a->ctime.tv_sec,
		   a->ctime.tv_nsec);
	if (S_ISREG(a->mode))
		buf_printf(out, " %lu %016lx", (unsigned long)a->size,
			   (unsigned long)hash_of(w, ino, a->size));
	if (S_ISLNK(a->mode)) {
		cr_assert_eq(fs_readlink(w->fs, ino, target, sizeof(target)), (ssize_t)a->size);
		buf_printf(out, " -> %s", target);
	}
	dump_xattrs(w, ino, out);
	buf_put_str(out, "\n");
}

static void dump_dir(struct world *w, const char *path, uint64_t ino, struct buf *out)
{
	CLEANUP(names) struct names l = {0};

	list(w, ino, false, &l);
	for (size_t i = 0; i < l.n; i++) {
		CLEANUP(buf) struct buf below = {0};
		struct fs_entry e;

		if (is_dot(l.all[i].name))
			continue;
		buf_printf(&below, "%s/%s", path, l.all[i].name);
		ok(fs_lookup(w->fs, ino, l.all[i].name, &e));
		dump_line(w, buf_cstr(&below), e.ino, &e.attr, out);
		if (S_ISDIR(e.attr.mode))
			dump_dir(w, buf_cstr(&below), e.ino, out);
		fs_forget(w->fs, e.ino, 1);
	}
}

char *world_dump(struct world *w)
{
	struct buf out = {0};
	struct attr a;

	ok(fs_getattr(w->fs, FS_ROOT_INO, &a));
	dump_line(w, "", FS_ROOT_INO, &a, &out);
	dump_dir(w, "", FS_ROOT_INO, &out);
	cr_assert_not_null(buf_cstr(&out));
	return (char *)out.data;
}

static void assert_same_attr(const struct attr *a, const struct attr *b, const char *name)
{
	cr_assert(a->ino == b->ino && a->mode == b->mode && a->uid == b->uid && a->gid == b->gid &&
			  a->nlink == b->nlink && a->size == b->size &&
			  timespec_cmp(&a->mtime, &b->mtime) == 0 &&
			  timespec_cmp(&a->ctime, &b->ctime) == 0,
		  "%s: attributes differ from one way of asking to the other", name);
}

/* The same name in both listings, by look-up and by getattr. */
static struct fs_entry audit_name(struct world *w, uint64_t dir, const struct one *plain,
				  const struct one *plus)
{
	struct fs_entry e = {0};
	struct attr a;

	cr_assert_str_eq(plain->name, plus->name);
	ok(fs_lookup(w->fs, dir, plain->name, &e));
	ok(fs_getattr(w->fs, e.ino, &a));
	assert_same_attr(&e.attr, &a, plain->name);
	cr_assert(plus->has_attr, "%s: listed without attributes", plain->name);
	assert_same_attr(&e.attr, &plus->attr, plain->name);
	cr_assert_eq(plus->ino, e.ino);
	cr_assert_eq(plain->ino, e.attr.ino);
	cr_assert_eq(plain->dtype, attr_dtype(e.attr.mode));
	cr_assert_eq(plain->cookie, plus->cookie);
	fs_forget(w->fs, plus->ino, 1);
	return e;
}

static void audit_dir(struct world *w, const struct attr *self, uint64_t above, uint64_t ino)
{
	CLEANUP(names) struct names plain = {0};
	CLEANUP(names) struct names plus = {0};
	uint32_t dirs = 0;

	list(w, ino, false, &plain);
	list(w, ino, true, &plus);
	cr_assert_eq(plain.n, plus.n);
	for (size_t i = 0; i < plain.n; i++) {
		struct fs_entry e;

		if (is_dot(plain.all[i].name)) {
			bool up = plain.all[i].name[1] == '.';

			cr_assert_eq(plain.all[i].ino, up ? above : self->ino);
			cr_assert(!plus.all[i].has_attr);
			continue;
		}
		e = audit_name(w, ino, &plain.all[i], &plus.all[i]);
		cr_assert_gt(e.attr.nlink, 0, "%s has a name and no link", plain.all[i].name);
		if (S_ISDIR(e.attr.mode)) {
			dirs++;
			audit_dir(w, &e.attr, self->ino, e.ino);
		}
		fs_forget(w->fs, e.ino, 1);
	}
	cr_assert(self->nlink == 1 || self->nlink == dirs + 2,
		  "a directory has %u links and %u directories", self->nlink, dirs);
}

void world_audit(struct world *w)
{
	struct attr a;

	ok(fs_getattr(w->fs, FS_ROOT_INO, &a));
	audit_dir(w, &a, a.ino, FS_ROOT_INO);
}

void world_assert_lasting(struct world *w)
{
	CLEANUP(free) char *before = NULL;
	CLEANUP(free) char *after = NULL;

	world_audit(w);
	before = world_dump(w);
	world_reopen(w);
	world_audit(w);
	after = world_dump(w);
	cr_assert_str_eq(before, after, "before:\n%s\nafter:\n%s", before, after);
}
