/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists directories as programs of 32 bits do that know no large files: positions and inode numbers have 32 bits, and the C
 * library refuses others with EOVERFLOW.
 *
 *     list32 DIR...
 *
 * Prints the names, and fails when readdir(3) or stat(2) do, or do not agree. Built with -m32 by tests/mount/32bit.sh.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

_Static_assert(sizeof(off_t) == 4 && sizeof(ino_t) == 4, "built for large files");

static int complain(const char *dir, const char *name)
{
	fprintf(stderr, "list32: %s/%s: %s\n", dir, name, strerror(errno));
	return 1;
}

static int list(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *e;
	struct stat st;

	if (dir == NULL)
		return complain(path, "");
	while (errno = 0, (e = readdir(dir)) != NULL) {
		puts(e->d_name);
		/* Of a mount's root it is outside. */
		if (strcmp(e->d_name, "..") == 0)
			continue;
		if (fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return complain(path, e->d_name);
		if (st.st_ino != e->d_ino) {
			fprintf(stderr, "list32: %s/%s: %lu in the directory, else %lu\n", path,
				e->d_name, (unsigned long)e->d_ino, (unsigned long)st.st_ino);
			return 1;
		}
	}
	if (errno != 0)
		return complain(path, "");
	return closedir(dir) < 0 ? complain(path, "") : 0;
}

int main(int argc, char **argv)
{
	int failed = 0;

	for (int i = 1; i < argc; i++)
		failed |= list(argv[i]);
	return failed;
}
