/* SPDX-License-Identifier: Apache-2.0 */
/* Images and directories that are looked into. */
#include "cli/source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "image/reference.h"
#include "layer/backends.h"
#include "tool/progress.h"

/* A directory that is no image is a layer: a plain tree, or an upper. */
static bool is_layer_dir(const char *source)
{
	static const char *const marks[] = {"oci-layout", "manifest.json"};
	CLEANUP(reference) struct reference ref = {0};
	struct stat st;

	if (reference_parse(source, &ref, NULL) < 0 || ref.transport != TRANSPORT_PATH ||
	    stat(source, &st) < 0 || !S_ISDIR(st.st_mode))
		return false;
	for (size_t i = 0; i < sizeof(marks) / sizeof(*marks); i++) {
		CLEANUP(free) char *path = NULL;

		if (asprintf(&path, "%s/%s", source, marks[i]) < 0)
			path = NULL;
		if (path != NULL && stat(path, &st) == 0)
			return false;
	}
	return true;
}

bool source_is_upper(const char *source)
{
	CLEANUP(fd) int fd = -1;

	if (!is_layer_dir(source))
		return false;
	fd = open(source, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd >= 0 && layer_is_upper(fd);
}

int source_set_text(char **field, const char *value)
{
	free(*field);
	*field = strdup(value);
	return *field != NULL ? 0 : -ENOMEM;
}

int source_set_number(uint32_t *field, const char *value)
{
	char *end;
	unsigned long n = strtoul(value, &end, 10);

	if (*value < '0' || *value > '9' || *end != '\0' || n == 0 || n > UINT32_MAX)
		return -EINVAL;
	*field = (uint32_t)n;
	return 0;
}

int source_set_platform(const struct words *w, struct platform *field, const char *value)
{
	CLEANUP(err) struct err err = {0};

	platform_done(field);
	return platform_parse(value, field, &err) < 0 ? words_wrong(w, err_text(&err), "") : 0;
}

int source_choose(const char *source, struct strv *above, struct fs_options *o, struct err *err)
{
	bool dir = is_layer_dir(source);
	int r = dir ? strv_add(above, source) : source_set_text(&o->image, source);

	if (r < 0)
		return err_errno(err, -r, "%s", source);
	if (dir && (o->image_layer > 0 || o->image_upto > 0))
		return err_set(err, EINVAL,
			       "%s is a directory: only an image has layers to choose from",
			       source);
	o->lower = above->v;
	o->n_lower = above->n;
	*above = (struct strv){0};
	o->progress = progress_line_show;
	return 0;
}

int source_describe(const struct fs_options *o, struct look *l, struct image **ret_image,
		    struct err *err)
{
	CLEANUP(platform) struct platform platform = {0};
	struct image_options options = {.strict = o->image_strict};
	int r = 0;

	if (o->image == NULL)
		return 0;
	if (o->platform != NULL) {
		r = platform_parse(o->platform, &platform, err);
		options.platform = &platform;
	}
	if (r == 0)
		r = image_open(o->image, &options, ret_image, err);
	if (r < 0)
		return r;
	l->image = *ret_image;
	l->first_layer = o->image_layer > 0 ? o->image_layer - 1 : 0;
	l->n_image = o->image_layer > 0	 ? 1
		     : o->image_upto > 0 ? o->image_upto
					 : (*ret_image)->n_layers;
	return 0;
}
