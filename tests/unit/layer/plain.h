/* SPDX-License-Identifier: Apache-2.0 */
/* A plain directory made by hand, and the layer on it. */
#ifndef PLYFS_TESTS_UNIT_LAYER_PLAIN_H
#define PLYFS_TESTS_UNIT_LAYER_PLAIN_H

#include "layer/backends.h"
#include "support/tmpdir.h"

struct plain {
	struct tmpdir tmp;
	struct layer *layer;
	struct layer_dir *root;
};

/* An empty directory in p->tmp.fd, to be filled; then the layer. OPTIONS NULL: all off. */
void plain_make(struct plain *p);
void plain_open(struct plain *p, const struct layer_options *options);
void plain_close(struct plain *p);
void plain_done(struct plain *p);
DEFINE_CLEANUP(struct plain, plain, plain_done)
/*
 * Between the two: a mount namespace of the test's own, whose mounts end with it. The descriptor is opened again: the old one
 * is of a mount that the new ones do not touch.
 */
void plain_private_mounts(struct plain *p);

/* What is put into it. Paths are relative to the directory. */
void put_dir(struct plain *p, const char *path);
void put_file(struct plain *p, const char *path, const char *bytes);
void put_node(struct plain *p, const char *path, mode_t mode, unsigned int major,
	      unsigned int minor);
void put_xattr(struct plain *p, const char *path, const char *xattr, const char *value);

/* Looks PATH up from the root. 0 or -errno. */
int plain_lookup(struct plain *p, const char *path, struct layer_entry *ret_entry);
/* The flags of PATH, which must be there; or -errno. */
int plain_flags(struct plain *p, const char *path);
/* The attributes of PATH, which must be there. */
struct attr plain_attr(struct plain *p, const char *path);

/* The type with which PATH's listing has NAME; -ENOENT when it has not. */
int plain_listed(struct plain *p, const char *path, const char *name);
/* How many names the listing has. */
size_t plain_count(struct plain *p, const char *path);

#endif
