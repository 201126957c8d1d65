/* SPDX-License-Identifier: Apache-2.0 */
/* The override_stat codec: uid:gid:mode[:type]. */
#include "attr/override.h"

#include <errno.h>
#include <string.h>

/* The order of the table is of no weight: no name is the beginning of another. */
static const struct {
	const char *name;
	uint32_t type;
} types[] = {
	{"dir", S_IFDIR},     {"file", S_IFREG},   {"symlink", S_IFLNK}, {"pipe", S_IFIFO},
	{"socket", S_IFSOCK}, {"block-", S_IFBLK}, {"char-", S_IFCHR},
};

const char *override_xattr(enum override_kind kind)
{
	switch (kind) {
	case OVERRIDE_SECURITY:
		return "security.fuseoverlayfs.override_stat";
	case OVERRIDE_CONTAINERS:
		return "user.containers.override_stat";
	case OVERRIDE_USER:
		return "user.fuseoverlayfs.override_stat";
	case OVERRIDE_NONE:
		break;
	}
	return NULL;
}

/* Unread text; not NUL-terminated. */
struct text {
	const char *p;
	size_t left;
};

static bool take_char(struct text *t, char c)
{
	if (t->left == 0 || *t->p != c)
		return false;
	t->p++;
	t->left--;
	return true;
}

static bool take_prefix(struct text *t, const char *prefix)
{
	size_t len = strlen(prefix);

	if (t->left < len || memcmp(t->p, prefix, len) != 0)
		return false;
	t->p += len;
	t->left -= len;
	return true;
}

/* One digit or more that make 32 bits at most. */
static bool take_u32(struct text *t, uint32_t base, uint32_t *ret_value)
{
	uint64_t value = 0;
	size_t digits = 0;

	while (t->left > 0 && *t->p >= '0' && *t->p < (char)('0' + base)) {
		value = value * base + (uint64_t)(*t->p - '0');
		if (value > UINT32_MAX)
			return false;
		t->p++;
		t->left--;
		digits++;
	}
	*ret_value = (uint32_t)value;
	return digits > 0;
}

static bool take_device(struct text *t, struct attr *a)
{
	if (!take_u32(t, 10, &a->rdev_major))
		return false;
	if (!take_char(t, '-') && !take_char(t, ':'))
		return false;
	if (!take_u32(t, 10, &a->rdev_minor))
		return false;
	/* More parts may follow one day; another character would make it another number. */
	return t->left == 0 || *t->p == '-' || *t->p == ':';
}

static bool take_type(struct text *t, struct attr *a)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (!take_prefix(t, types[i].name))
			continue;
		a->mode = (a->mode & ~(uint32_t)S_IFMT) | types[i].type;
		a->rdev_major = 0;
		a->rdev_minor = 0;
		if (S_ISBLK(types[i].type) || S_ISCHR(types[i].type))
			return take_device(t, a);
		return true;
	}
	return false;
}

int override_apply(const char *value, size_t len, struct attr *a)
{
	struct text t = {.p = value, .left = len};
	struct attr out = *a;
	uint32_t mode;

	if (!take_u32(&t, 10, &out.uid) || !take_char(&t, ':') || !take_u32(&t, 10, &out.gid) ||
	    !take_char(&t, ':') || !take_u32(&t, 8, &mode))
		return -EINVAL;
	/* Some writers put the type in here too, as in st_mode; it is not where it is read from. */
	out.mode = (a->mode & S_IFMT) | (mode & 07777);
	if (t.left > 0 && (!take_char(&t, ':') || !take_type(&t, &out)))
		return -EINVAL;
	*a = out;
	return 0;
}

void override_print(const struct attr *a, struct buf *out)
{
	const char *name = "file";

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if ((a->mode & S_IFMT) == types[i].type)
			name = types[i].name;
	}
	buf_printf(out, "%u:%u:%04o:%s", a->uid, a->gid, a->mode & 07777, name);
	if (S_ISBLK(a->mode) || S_ISCHR(a->mode))
		buf_printf(out, "%u-%u", a->rdev_major, a->rdev_minor);
}
