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

int look_json(struct look *l, const char *path, uint64_t ino, const struct attr *a)
{
	char target[PATH_MAX], time[LOOK_TIME_MAX], mode[16];
	int r = look_target(l->fs, ino, a, target);

	snprintf(mode, sizeof(mode), "%04o", a->mode & 07777);
	json_out_text(&l->j, "path", path);
	json_out_text(&l->j, "type", look_type(a->mode));
	json_out_text(&l->j, "mode", mode);
	json_out_size(&l->j, "uid", a->uid);
	json_out_size(&l->j, "gid", a->gid);
	json_out_size(&l->j, "size", a->size);
	json_out_size(&l->j, "links", a->nlink);
	json_out_size(&l->j, "inode", a->ino);
	json_out_text(&l->j, "modified", look_time(&a->mtime, time));
	if (S_ISLNK(a->mode))
		json_out_text(&l->j, "target", target);
	if (S_ISCHR(a->mode) || S_ISBLK(a->mode)) {
		json_out_size(&l->j, "major", a->rdev_major);
		json_out_size(&l->j, "minor", a->rdev_minor);
	}
	return r;
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
