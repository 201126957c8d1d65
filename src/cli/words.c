/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the words after a command. */
#include "cli/words.h"

#include <errno.h>
#include <stdio.h>

int words_wrong(const struct words *w, const char *what, const char *word)
{
	fprintf(stderr, "plyfs: %s: %s%s\n", w->command, what, word);
	fputs(w->usage, stderr);
	return w->status;
}

int words_option(const struct words *w, void *request, int argc, char **argv, int *i)
{
	const char *word = argv[*i];
	int r;

	if (w->flag(request, word))
		return 0;
	r = w->value(request, word, *i + 1 < argc ? argv[*i + 1] : NULL);
	if (r == WORDS_UNKNOWN)
		return words_wrong(w, "unknown option ", word);
	if (r == -ENODATA)
		return words_wrong(w, word, " needs an argument");
	if (r < 0)
		return words_wrong(w, word, " cannot be that");
	++*i;
	return r;
}

static bool is_option(const char *word)
{
	return word[0] == '-' && word[1] != '\0';
}

int words_all(const struct words *w, void *request, int argc, char **argv)
{
	bool options = true;

	for (int i = 1; i < argc; i++) {
		int status = 0;

		if (options && word_is(argv[i], "--"))
			options = false;
		else if (options && is_option(argv[i]))
			status = words_option(w, request, argc, argv, &i);
		else if (w->operand(request, argv[i]) < 0)
			status = words_wrong(w, "out of memory", "");
		if (status != 0)
			return status;
	}
	return 0;
}

int words_image(const struct words *w, void *request, int argc, char **argv, int first,
		const char **ret_image)
{
	const char *image = NULL;

	for (int i = first; i < argc; i++) {
		int status = 0;

		if (is_option(argv[i]))
			status = words_option(w, request, argc, argv, &i);
		else if (image != NULL)
			status = words_wrong(w, "one image at a time: ", argv[i]);
		else
			image = argv[i];
		if (status != 0)
			return status;
	}
	if (image == NULL)
		return words_wrong(w, "no image is given", "");
	*ret_image = image;
	return 0;
}
