/* SPDX-License-Identifier: Apache-2.0 */
/* What the file system can be told; filled by cli/, read by fs/. */
#ifndef PLYFS_FS_OPTIONS_H
#define PLYFS_FS_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attr/idmap.h"
#include "catalog/catalog.h"

/* Zeroed memory and fs_options_init() give the defaults. Strings are borrowed by fs_open(). */
struct fs_options {
	char **lower; /* owned array of owned paths, topmost first */
	size_t n_lower;
	size_t n_data_only; /* the last ones of `lower` are data-only ("::") */
	char *upper;	    /* owned; NULL: read-only */
	char *work;	    /* owned; not used, but not found in lowers either */
	char *image;	    /* owned; TRANSPORT:REST; its layers lie below all others; NULL: none */
	char *platform;	    /* owned; OS/ARCH[/VARIANT]; NULL: this machine's */
	char *cache;	    /* owned; where indexes of layers are kept; NULL: the usual place */
	uint32_t image_layer; /* only this layer, 1 is the lowest; 0: all */
	uint32_t image_upto;  /* the layers up to and with this one; 0: all */
	bool image_strict;    /* what breaks the image specification is an error */
	/* Long work: DONE of TOTAL bytes (0: not known) of what WHAT names; may be NULL. */
	void (*progress)(void *arg, const char *what, uint64_t done, uint64_t total);
	void *progress_arg;
	struct idmap uids, gids;
	bool squash_to_root;
	bool read_only;	      /* "ro" */
	bool no_sync;	      /* volatile, fsync=0 */
	bool integrity;	      /* keep checksums of the data files */
	bool no_acl;	      /* noacl */
	bool no_xattr;	      /* noxattrs=1 */
	bool static_nlink;    /* directories always show nlink 1 */
	bool ino32;	      /* st_ino folded to 32 bits */
	bool atime;	      /* keep access times (relatime) instead of noatime */
	bool follow_redirect; /* redirect_dir=on|follow: trust redirects of lowers */
	bool follow_metacopy; /* metacopy=on */
	bool any_lower;	      /* lower_changed=accept: open an upper although its lowers differ */
	bool trace_layers;    /* debug: every layer is wrapped by the tracing one */
	enum catalog_map catalog_map;
};

void fs_options_init(struct fs_options *o);
void fs_options_done(struct fs_options *o);

#endif
