/* SPDX-License-Identifier: Apache-2.0 */
/* How an inode is shown, to people and to programs. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <time.h>

#include "tool/look_private.h"

const char *look_time(const struct timespec *t, char text[static LOOK_TIME_MAX])
{
	struct tm tm;

	if (gmtime_r(&t->tv_sec, &tm) == NULL ||
	    strftime(text, LOOK_TIME_MAX, "%Y-%m-%d %H:%M:%S", &tm) == 0)
		snprintf(text, LOOK_TIME_MAX, "@%jd", (intmax_t)t->tv_sec);
	return text;
}

const char *look_type(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return "file";
	case S_IFDIR:
		return "directory";
	case S_IFLNK:
		return "symlink";
	case S_IFCHR:
		return "char";
	case S_IFBLK:
		return "block";
	case S_IFIFO:
		return "fifo";
	case S_IFSOCK:
		return "socket";
	default:
		return "unknown";
	}
}

static char type_letter(uint32_t mode)
{
	static const char letters[] = "?pc?d?b?-?l?s???";

	return letters[(mode & S_IFMT) >> 12];
}

const char *look_mode(uint32_t mode, char text[static 11])
{
	static const char all[] = "rwxrwxrwx";

	text[0] = type_letter(mode);
	for (unsigned int i = 0; i < 9; i++)
		text[1 + i] = (char)((mode & 0400u >> i) != 0 ? all[i] : '-');
	if (mode & S_ISUID)
		text[3] = text[3] == 'x' ? 's' : 'S';
	if (mode & S_ISGID)
		text[6] = text[6] == 'x' ? 's' : 'S';
	if (mode & S_ISVTX)
		text[9] = text[9] == 'x' ? 't' : 'T';
	text[10] = '\0';
	return text;
}

int look_target(struct fs *fs, uint64_t ino, const struct attr *a, char *target)
{
	ssize_t len = 0;

	*target = '\0';
	if (S_ISLNK(a->mode))
		len = fs_readlink(fs, ino, target, PATH_MAX);
	return len < 0 ? (int)len : 0;
}

void look_json_attr(struct json_out *j, const struct attr *a, const char *target)
{
	char time[LOOK_TIME_MAX], mode[16];

	snprintf(mode, sizeof(mode), "%04o", a->mode & 07777);
	json_out_text(j, "type", look_type(a->mode));
	json_out_text(j, "mode", mode);
	json_out_size(j, "uid", a->uid);
	json_out_size(j, "gid", a->gid);
	json_out_size(j, "size", a->size);
	json_out_size(j, "links", a->nlink);
	json_out_size(j, "inode", a->ino);
	json_out_text(j, "modified", look_time(&a->mtime, time));
	if (S_ISLNK(a->mode))
		json_out_bytes(j, "target", target);
	if (S_ISCHR(a->mode) || S_ISBLK(a->mode)) {
		json_out_size(j, "major", a->rdev_major);
		json_out_size(j, "minor", a->rdev_minor);
	}
}

int look_json(struct look *l, const char *path, uint64_t ino, const struct attr *a)
{
	char target[PATH_MAX];
	int r = look_target(l->fs, ino, a, target);

	json_out_bytes(&l->j, "path", path);
	look_json_attr(&l->j, a, target);
	return r;
}

void look_put_json(struct look *l, const struct look_item *item)
{
	int r;

	json_out_object(&l->j, NULL);
	r = look_json(l, item->path, item->ino, item->attr);
	json_out_end(&l->j, '}');
	if (r < 0)
		look_complain(l, item->path, -r);
}

void look_begin(struct look *l)
{
	l->j = (struct json_out){.out = l->out};
	if (l->json)
		json_out_array(&l->j, NULL);
}

void look_end(struct look *l)
{
	if (l->json)
		json_out_end(&l->j, ']');
}
