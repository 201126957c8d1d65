/* SPDX-License-Identifier: Apache-2.0 */
/* The words after a command: options, and what is said when they are wrong. */
#ifndef PLYFS_CLI_WORDS_H
#define PLYFS_CLI_WORDS_H

#include <stdbool.h>
#include <string.h>

/* What a command knows. REQUEST, its own, is handed through. */
struct words {
	const char *command;
	const char *usage; /* lines, each with its end */
	int status;	   /* the exit status when the words are wrong */
	/* Takes WORD, an option without an argument; false: it is none. */
	bool (*flag)(void *request, const char *word);
	/*
	 * Takes WORD, an option with the argument VALUE (NULL: nothing follows): 0; WORDS_UNKNOWN: it is none;
	 * -ENODATA: it is one and VALUE is NULL; another -errno: VALUE cannot be that; an exit status: so it is,
	 * and that was said.
	 */
	int (*value)(void *request, const char *word, const char *value);
	/* Takes WORD, which is no option: 0 or -ENOMEM. Of words_all() only. */
	int (*operand)(void *request, const char *word);
};
#define WORDS_UNKNOWN 1

static inline bool word_is(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

/* Says on standard error what is wrong (WHAT, and WORD behind it), and how it is right; returns the exit status. */
int words_wrong(const struct words *w, const char *what, const char *word);

/* Takes the option at ARGV[*I] and moves *I to its argument, if it has one. 0, or an exit status. */
int words_option(const struct words *w, void *request, int argc, char **argv, int *i);

/* Takes ARGV[1 .. ARGC): options and operands; behind "--" all are operands. 0, or an exit status. */
int words_all(const struct words *w, void *request, int argc, char **argv);

/* Takes ARGV[FIRST .. ARGC): options and the name of one image. 0, or an exit status. */
int words_image(const struct words *w, void *request, int argc, char **argv, int first,
		const char **ret_image);

#endif
