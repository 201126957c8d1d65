/* SPDX-License-Identifier: Apache-2.0 */
/* Files whose record and bytes are in different layers: hard links and metacopies. */
#ifndef PLYFS_UNION_BYTES_H
#define PLYFS_UNION_BYTES_H

#include "union/private.h"

/*
 * Is there, among the layers [FROM, *LAYER), a record for the file ENTRY of *LAYER, when that is
 * one of several hard links? Then it replaces ENTRY, *LAYER is its layer, and 1 is returned; else
 * 0 or -errno.
 */
int origin_replace(const struct stack *s, uint32_t from, uint32_t *layer,
		   struct layer_entry *entry);

/*
 * Where the bytes of a metacopy are: of ENTRY (its redirect is taken out), which LAYER has for
 * NAME of DIR. PART as in union_ref. -EPERM: not trusted; -EIO: there are none.
 */
int bytes_find(struct union_dir *dir, const char *name, uint32_t part, uint32_t layer,
	       struct layer_entry *entry, struct union_data **ret_data);

/* Opens the bytes at D. */
int bytes_open(const struct stack *s, const struct union_data *d, struct layer_file **ret_file);

#endif
