/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crippled SOURCE LACKS MOUNTPOINT [FUSE OPTIONS]: LACKS is a list of words with commas, see
 * crippled.h. Unlinked files that are open become `.fuse_hidden...` in their directory until they are
 * closed, as on NFS. O_TMPFILE does not exist.
 */
#define FUSE_USE_VERSION 31
#include <fcntl.h>
#include <fuse3/fuse.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "crash/crippled/crippled.h"
#include "crash/crippled/ops.h"

struct lacks lacks;

static const struct word {
	const char *name;
	size_t at;
} words[] = {
#define WORD(name)                                                                                 \
	{                                                                                          \
#name, offsetof(struct lacks, name)                                                \
	}
	WORD(xattr),   WORD(link),    WORD(symlink), WORD(node),  WORD(chown), WORD(chmod),
	WORD(holes),   WORD(seek),    WORD(flags),   WORD(locks), WORD(nanos), WORD(mmap),
	WORD(dirsync), WORD(nolocks), WORD(ino),     WORD(media),
};

static int take_word(const char *word)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(words[i].name, word) == 0) {
			*((bool *)((char *)&lacks + words[i].at)) = true;
			return 0;
		}
	}
	fprintf(stderr, "crippled: what is \"%s\"?\n", word);
	return -1;
}

static int parse(char *list)
{
	char *save = NULL;

	for (char *w = strtok_r(list, ",", &save); w != NULL; w = strtok_r(NULL, ",", &save)) {
		if (take_word(w) < 0)
			return -1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	int r;

	if (argc < 4 || parse(argv[2]) < 0)
		return 2;
	if (ops_open_source(argv[1]) < 0) {
		perror(argv[1]);
		return 1;
	}
	fuse_opt_add_arg(&args, argv[0]);
	fuse_opt_add_arg(&args, "-odev,suid,allow_other,default_permissions,fsname=crippled");
	for (int i = 3; i < argc; i++)
		fuse_opt_add_arg(&args, argv[i]);
	umask(0);
	r = fuse_main(args.argc, args.argv, ops_table(), NULL);
	fuse_opt_free_args(&args);
	return r;
}
