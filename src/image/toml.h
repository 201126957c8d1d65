/* SPDX-License-Identifier: Apache-2.0 */
/* Private to image/: texts and lists of texts out of the TOML that containers' configuration files are. */
#ifndef PLYFS_IMAGE_TOML_H
#define PLYFS_IMAGE_TOML_H

#include "image/image.h"

/*
 * Adds to RET the text, or the texts of the list, that KEY has in the table TABLE ("storage.options") of TEXT. A
 * key that is not there adds nothing; so does a value of another kind. 0, -EBADMSG for a value whose end is
 * missing, -ENOMEM.
 */
int toml_texts(const char *text, const char *table, const char *key, struct image_strings *ret);

#endif
