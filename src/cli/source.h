/* SPDX-License-Identifier: Apache-2.0 */
/* What a SOURCE on the command line of plyfs ls and its like is. */
#ifndef PLYFS_CLI_SOURCE_H
#define PLYFS_CLI_SOURCE_H

#include <stdbool.h>

#include "cli/strv.h"
#include "cli/words.h"
#include "fs/options.h"
#include "image/platform.h"
#include "tool/look.h"

/*
 * Puts SOURCE into O: as an image, or when it is a directory that holds none as a layer, below those of ABOVE (taken
 * over; the topmost first). Progress is shown as tool/progress.h does. 0 or -errno with a sentence.
 */
int source_choose(const char *source, struct strv *above, struct fs_options *o, struct err *err);

/* Opens the image of O once more, for L to tell of its layers; NULL when O has none. */
int source_describe(const struct fs_options *o, struct look *l, struct image **ret_image,
		    struct err *err);

/* Is SOURCE a directory that holds a plyfs upper? */
bool source_is_upper(const char *source);

/* Values of options: a copy of VALUE (0 or -ENOMEM), a number of at least 1 (-EINVAL: it is none). */
int source_set_text(char **field, const char *value);
int source_set_number(uint32_t *field, const char *value);
/* "OS/ARCH" into FIELD, instead of what is there; 0, or W's exit status when that was said to be wrong. */
int source_set_platform(const struct words *w, struct platform *field, const char *value);

#endif
