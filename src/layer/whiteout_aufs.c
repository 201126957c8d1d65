/* SPDX-License-Identifier: Apache-2.0 */
/* The aufs family of whiteouts, as OCI layers and containers/storage write them. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "base/sys.h"
#include "layer/whiteout.h"

#define PREFIX	   ".wh."
#define PREFIX_LEN (sizeof(PREFIX) - 1)
#define OPAQUE	   ".wh..wh..opq"

bool aufs_reserved(const char *name)
{
	return strncmp(name, PREFIX, PREFIX_LEN) == 0;
}

/*
 * The name that a reserved name hides, NULL when it hides none: aufs keeps files of its own under
 * the doubled prefix (.wh..wh.plnk, .wh..wh.aufs, .wh..wh.orph), and fuse-overlayfs leaves a
 * device .wh..opq beside its opaque marks.
 */
static const char *hidden_name(const char *reserved_name)
{
	const char *name = reserved_name + PREFIX_LEN;

	if (name[0] == '\0' || aufs_reserved(name) || strcmp(name, ".opq") == 0)
		return NULL;
	return name;
}

static int exists(int dirfd, const char *name)
{
	struct stat st;
	int r = sys_fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT);

	if (r == -ENOENT || r == -ENAMETOOLONG)
		return 0;
	return r < 0 ? r : 1;
}

int aufs_opaque(int dirfd)
{
	return exists(dirfd, OPAQUE);
}

int aufs_opaque_in(int dirfd, const char *name)
{
	char path[NAME_MAX + sizeof("/" OPAQUE)];
	size_t len = strlen(name);

	if (len > NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(path, name, len);
	memcpy(path + len, "/" OPAQUE, sizeof("/" OPAQUE));
	return exists(dirfd, path);
}

int aufs_hides(int dirfd, const char *name)
{
	char reserved_name[PREFIX_LEN + NAME_MAX + 1];
	size_t len = strlen(name);

	if (len > NAME_MAX - PREFIX_LEN)
		return 0;
	memcpy(reserved_name, PREFIX, PREFIX_LEN);
	memcpy(reserved_name + PREFIX_LEN, name, len + 1);
	return hidden_name(reserved_name) == NULL ? 0 : exists(dirfd, reserved_name);
}

void aufs_set_done(struct aufs_set *s)
{
	buf_done(&s->text);
	free(s->names);
	*s = (struct aufs_set){0};
}

void aufs_set_add(struct aufs_set *s, const char *reserved_name)
{
	const char *name = hidden_name(reserved_name);

	if (name == NULL)
		return;
	buf_put(&s->text, name, strlen(name) + 1);
	s->n++;
}

static int compare_names(const void *a, const void *b)
{
	const char *const *x = (const char *const *)a, *const *y = (const char *const *)b;

	return strcmp(*x, *y);
}

int aufs_set_sort(struct aufs_set *s)
{
	const char *name;
	size_t i;

	if (!buf_ok(&s->text))
		return -ENOMEM;
	if (s->n == 0)
		return 0;
	s->names = calloc(s->n, sizeof(*s->names));
	if (s->names == NULL)
		return -ENOMEM;
	name = (const char *)s->text.data;
	for (i = 0; i < s->n; i++) {
		s->names[i] = name;
		name += strlen(name) + 1;
	}
	qsort(s->names, s->n, sizeof(*s->names), compare_names);
	return 0;
}

ptrdiff_t aufs_set_find(const struct aufs_set *s, const char *name)
{
	const char **found;

	if (s->n == 0)
		return -1;
	found = bsearch(&name, s->names, s->n, sizeof(*s->names), compare_names);
	return found == NULL ? -1 : found - s->names;
}
