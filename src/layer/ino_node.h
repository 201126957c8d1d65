/* SPDX-License-Identifier: Apache-2.0 */
/* Handles of backends that name a directory by nothing but its number. */
#ifndef PLYFS_LAYER_INO_NODE_H
#define PLYFS_LAYER_INO_NODE_H

#include <stdint.h>

#include "layer/layer.h"

/* A handle on inode INO, with one reference; NULL: out of memory. */
struct layer_dir *ino_node_new(uint64_t ino);
/* The same for the root's number, as root() of struct layer_ops answers: 0 or -ENOMEM. */
int ino_node_root(uint64_t ino, struct layer_dir **ret_dir);
uint64_t ino_node_ino(const struct layer_dir *dir);

/* dir_ref() and dir_unref() of struct layer_ops; any thread. */
void ino_node_ref(struct layer_dir *dir);
void ino_node_unref(struct layer_dir *dir);

#endif
