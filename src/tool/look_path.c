/* SPDX-License-Identifier: Apache-2.0 */
/* Where a path leads, with links that never lead out of the tree. */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "tool/look_private.h"

#define LINKS_MAX 40 /* as the kernel has it */

struct step {
	uint64_t ino;
	size_t path_len; /* of the path up to and with it */
};

/* The directories from the root down to where we are; none: we are at the root. */
struct trail {
	struct fs *fs;
	struct step *steps; /* owned; each holds a look-up */
	size_t n, cap;
	struct buf path; /* "/a/b"; "" is the root */
	uint32_t mode;	 /* of where we are */
	unsigned int links;
};

static void trail_pop(struct trail *t)
{
	fs_forget(t->fs, t->steps[--t->n].ino, 1);
	t->path.len = t->n > 0 ? t->steps[t->n - 1].path_len : 0;
	t->mode = S_IFDIR;
}

static void trail_done(struct trail *t)
{
	while (t->n > 0)
		trail_pop(t);
	free(t->steps);
	buf_done(&t->path);
}
DEFINE_CLEANUP(struct trail, trail, trail_done)

static uint64_t trail_ino(const struct trail *t)
{
	return t->n > 0 ? t->steps[t->n - 1].ino : FS_ROOT_INO;
}

static void path_add(struct trail *t, const char *name)
{
	buf_put_str(&t->path, "/");
	buf_put_str(&t->path, name);
}

/* Takes over the look-up of ENTRY. */
static int trail_push(struct trail *t, const char *name, const struct fs_entry *entry)
{
	if (t->n == t->cap) {
		size_t cap = t->cap > 0 ? 2 * t->cap : 16;
		struct step *grown = reallocarray(t->steps, cap, sizeof(*grown));

		if (grown == NULL) {
			fs_forget(t->fs, entry->ino, 1);
			return -ENOMEM;
		}
		t->steps = grown;
		t->cap = cap;
	}
	path_add(t, name);
	t->steps[t->n++] = (struct step){entry->ino, t->path.len};
	t->mode = entry->attr.mode;
	return buf_ok(&t->path) ? 0 : -ENOMEM;
}

/* What is left to walk becomes the target of the link INO, and then REST. */
static int enter_link(struct trail *t, uint64_t ino, const char *rest, char **todo)
{
	char target[PATH_MAX + 1], *joined;
	ssize_t len = ++t->links > LINKS_MAX ? -ELOOP
					     : fs_readlink(t->fs, ino, target, sizeof(target));

	if (len < 0)
		return (int)len;
	if (asprintf(&joined, "%s/%s", target, rest) < 0)
		return -ENOMEM;
	if (*rest == '\0')
		joined[len] = '\0';
	while (*joined == '/' && t->n > 0)
		trail_pop(t);
	free(*todo);
	*todo = joined;
	return 0;
}

/* One name; *AT is the rest of *TODO after it, and both change at a link. */
static int trail_step(struct trail *t, const char *name, bool follow, char **todo, const char **at)
{
	struct fs_entry entry;
	bool last = (*at)[strspn(*at, "/")] == '\0';
	int r;

	if (!S_ISDIR(t->mode))
		return -ENOTDIR;
	if (strcmp(name, ".") == 0)
		return 0;
	if (strcmp(name, "..") == 0) {
		if (t->n > 0)
			trail_pop(t);
		return 0;
	}
	r = fs_lookup(t->fs, trail_ino(t), name, &entry);
	if (r < 0)
		return r;
	/* As everywhere, a slash at the end asks for what the link leads to. */
	if (!S_ISLNK(entry.attr.mode) || (last && **at != '/' && !follow))
		return trail_push(t, name, &entry);
	r = enter_link(t, entry.ino, *at, todo);
	fs_forget(t->fs, entry.ino, 1);
	if (r == 0)
		*at = *todo;
	return r;
}

/* What is not there is named as if it were, and had no links: name by name, ".." takes one away. */
static void add_missing(struct trail *t, const char *rest)
{
	for (rest += strspn(rest, "/"); *rest != '\0'; rest += strspn(rest, "/")) {
		size_t len = strcspn(rest, "/");

		if (len == 2 && strncmp(rest, "..", 2) == 0) {
			while (t->path.len > 0 && t->path.data[--t->path.len] != '/')
				continue;
		} else if (len != 1 || *rest != '.') {
			buf_put_str(&t->path, "/");
			buf_put(&t->path, rest, len);
		}
		rest += len;
	}
}

static int trail_walk(struct trail *t, bool follow, char **todo)
{
	const char *at = *todo;

	for (;;) {
		const char *before = at;
		char name[NAME_MAX + 1];
		size_t len;
		int r = *at == '/' && !S_ISDIR(t->mode) ? -ENOTDIR : 0;

		at += strspn(at, "/");
		len = strcspn(at, "/");
		if (r == 0 && len == 0)
			return 0;
		if (len > NAME_MAX)
			return -ENAMETOOLONG;
		memcpy(name, at, len);
		name[len] = '\0';
		at += len;
		if (r == 0)
			r = trail_step(t, name, follow, todo, &at);
		/* Nothing was entered then, so BEFORE is still what is to be walked. */
		if (r == -ENOENT || r == -ENOTDIR)
			add_missing(t, before);
		if (r < 0)
			return r;
	}
}

void look_place_done(struct look_place *p)
{
	if (p->fs != NULL && p->ino != FS_ROOT_INO)
		fs_forget(p->fs, p->ino, 1);
	free(p->path);
	*p = (struct look_place){0};
}

int look_resolve(struct fs *fs, const char *path, bool follow, struct look_place *ret_place)
{
	CLEANUP(trail) struct trail t = {.fs = fs, .mode = S_IFDIR};
	CLEANUP(look_place) struct look_place place = {0};
	CLEANUP(free) char *todo = strdup(path);
	int r = todo != NULL ? trail_walk(&t, follow, &todo) : -ENOMEM;

	if (r < 0 && r != -ENOENT && r != -ENOTDIR)
		return r;
	if (t.path.len == 0)
		buf_put_str(&t.path, "/");
	place.path = buf_cstr(&t.path) != NULL ? strdup(buf_cstr(&t.path)) : NULL;
	if (place.path == NULL)
		return -ENOMEM;
	if (r == 0)
		r = fs_getattr(fs, trail_ino(&t), &place.attr);
	if (r == 0) {
		place.fs = fs;
		place.ino = trail_ino(&t);
		/* Its look-up is the place's from now on. */
		t.n -= t.n > 0;
	}
	*ret_place = place;
	place = (struct look_place){0};
	return r;
}

int look_at(struct fs *fs, const char *path, bool follow, struct look_place *ret_place,
	    struct err *err)
{
	int r = look_resolve(fs, path, follow, ret_place);

	return r < 0 ? err_errno(err, -r, "%s", path) : 0;
}
