/* SPDX-License-Identifier: Apache-2.0 */
/* Private to tool/: images as JSON. */
#ifndef PLYFS_TOOL_IMAGE_JSON_H
#define PLYFS_TOOL_IMAGE_JSON_H

#include <stdio.h>

#include "image/image.h"

/* All return 0. */
int json_list_images(const struct image_list *list, FILE *out);
int json_image(const struct image *image, FILE *out);
int json_layers(const struct image *image, FILE *out);
int json_history(const struct image *image, FILE *out);

#endif
