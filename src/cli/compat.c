/* SPDX-License-Identifier: Apache-2.0 */
/* Command lines of mounts: that of fuse-overlayfs, and ours. */
#include "cli/compat.h"

#include <errno.h>
#include <string.h>

/* A word that stands for a mount option; one that takes an argument: OPTION=ARGUMENT. */
struct word {
	const char *word;
	const char *option; /* ends in "=": the word takes an argument; "": see set_word() */
	bool ours;	    /* in `plyfs mount` only */
};

static const struct word words[] = {
	{"-f", "-f", false},
	{"--foreground", "-f", true},
	{"-d", "debug", false},
	{"--debug", "debug", false},
	{"-h", "-h", false},
	{"--help", "-h", false},
	{"-V", "-V", false},
	{"--version", "-V", false},
	{"-s", "threads=1", false}, /* libfuse: single-threaded */
	{"-r", "ro", false},	    /* mount(8) */
	{"-w", "rw", false},
	{"-n", "", false},
	{"-v", "", false},
	{"--strict", "strict", false},
	{"--read-only", "ro", true},
	{"--lower", "lowerdir+=", true},
	{"--data", "datadir+=", true},
	{"--layers-file", "layersfile=", true},
	{"--upper", "upperdir=", true},
	{"--work", "workdir=", true},
	{"--tmp-upper", "-t", true},
	{"--layer", "layer=", true},
	{"--upto", "upto=", true},
	{"--platform", "platform=", true},
	{"--cache", "cache=", true},
	{"--quiet", "quiet", true},
	{"--strict-image", "image_strict", true},
};

static const struct word *find_word(const char *arg, size_t len, bool ours)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (strncmp(words[i].word, arg, len) == 0 && words[i].word[len] == '\0' &&
		    (ours || !words[i].ours))
			return &words[i];
	return NULL;
}

static bool takes_argument(const struct word *w)
{
	size_t len = strlen(w->option);

	return len > 0 && w->option[len - 1] == '=';
}

/* A path given as a word is meant as it is; the option's value would be read with escapes. */
static int set_path(struct mount_options *o, const struct word *w, const char *path,
		    struct err *err)
{
	bool escape = strcmp(w->option, "lowerdir+=") != 0 && strcmp(w->option, "datadir+=") != 0 &&
		      strcmp(w->option, "layersfile=") != 0;
	size_t len = strlen(w->option);
	char *text = malloc(len + 2 * strlen(path) + 1), *p;
	int r;

	if (text == NULL)
		return err_errno(err, ENOMEM, "%s", w->word);
	memcpy(text, w->option, len);
	p = text + len;
	for (; *path != '\0'; path++) {
		if (escape && *path == '\\')
			*p++ = '\\';
		*p++ = *path;
	}
	*p = '\0';
	r = mount_options_set(o, text, err);
	free(text);
	return r;
}

static int set_word(struct mount_options *o, const struct word *w, struct err *err)
{
	if (strcmp(w->option, "-f") == 0)
		o->foreground = true;
	else if (strcmp(w->option, "-h") == 0)
		o->help = true;
	else if (strcmp(w->option, "-V") == 0)
		o->version = true;
	else if (strcmp(w->option, "-t") == 0)
		o->tmp_upper = true;
	else if (*w->option != '\0')
		return mount_options_set(o, w->option, err);
	return 0;
}

static int set_mountpoint(struct mount_options *o, const char *path, struct err *err)
{
	free(o->front.mountpoint);
	o->front.mountpoint = strdup(path);
	return o->front.mountpoint == NULL ? err_errno(err, ENOMEM, "mountpoint") : 0;
}

/* `plyfs mount [IMAGE] MOUNTPOINT`: of two words the first is an image. */
static int set_place(struct mount_options *o, const char *text, struct err *err)
{
	if (o->front.mountpoint != NULL) {
		if (o->fs.image != NULL)
			return err_set(err, EINVAL,
				       "one image and one mountpoint are wanted, not also \"%s\"",
				       text);
		o->fs.image = steal_ptr(&o->front.mountpoint);
	}
	return set_mountpoint(o, text, err);
}

struct args {
	int argc, next;
	char **argv;
	bool ours;
};

static int next_argument(struct args *a, const char *word, const char **ret, struct err *err)
{
	if (a->next >= a->argc)
		return err_set(err, EINVAL, "%s needs an argument", word);
	*ret = a->argv[a->next++];
	return 0;
}

static int parse_option(struct args *a, const char *arg, struct mount_options *o, struct err *err)
{
	size_t len = strcspn(arg, "=");
	const struct word *w = find_word(arg, len, a->ours);
	const char *value = arg + len + 1;
	int r = 0;

	if (strncmp(arg, "-o", 2) == 0) {
		value = arg + 2;
		if (*value == '\0')
			r = next_argument(a, "-o", &value, err);
		return r < 0 ? r : mount_options_set_all(o, value, err);
	}
	if (w != NULL && takes_argument(w)) {
		if (arg[len] == '\0')
			r = next_argument(a, w->word, &value, err);
		return r < 0 ? r : set_path(o, w, value, err);
	}
	if (w != NULL && arg[len] == '\0')
		return set_word(o, w, err);
	if (a->ours)
		return err_set(err, EINVAL, "unknown option: %s; see plyfs --help", arg);
	return strv_add(&o->unknown, arg) < 0 ? err_errno(err, ENOMEM, "%s", arg) : 0;
}

static int parse(struct args *a, bool privileged, struct mount_options *o, struct err *err)
{
	bool options = true;
	int r = 0;

	while (r == 0 && a->next < a->argc) {
		const char *arg = a->argv[a->next++];

		if (options && strcmp(arg, "--") == 0)
			options = false;
		else if (options && arg[0] == '-' && arg[1] != '\0')
			r = parse_option(a, arg, o, err);
		else
			r = a->ours ? set_place(o, arg, err) : set_mountpoint(o, arg, err);
	}
	if (r < 0 || o->help || o->version)
		return r;
	return mount_options_finish(o, privileged, err);
}

int compat_parse(int argc, char **argv, bool privileged, struct mount_options *o, struct err *err)
{
	struct args a = {.argc = argc, .next = 1, .argv = argv};

	return parse(&a, privileged, o, err);
}

int mount_parse(int argc, char **argv, bool privileged, struct mount_options *o, struct err *err)
{
	struct args a = {.argc = argc, .next = 1, .argv = argv, .ours = true};

	return parse(&a, privileged, o, err);
}
