/* SPDX-License-Identifier: Apache-2.0 */
/* plyfs image: what is known of an image without looking into its layers. */
#ifndef PLYFS_TOOL_IMAGE_SHOW_H
#define PLYFS_TOOL_IMAGE_SHOW_H

#include <stdio.h>

#include "image/image.h"

/* Each writes to OUT, as JSON or for people; 0 or -ENOMEM. */
int show_list(const struct image_list *list, bool json, FILE *out);
int show_image(const struct image *image, bool json, FILE *out);
int show_layers(const struct image *image, bool json, FILE *out);
int show_history(const struct image *image, bool json, FILE *out);

#endif
