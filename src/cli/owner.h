/* SPDX-License-Identifier: Apache-2.0 */
/* Whose an image's files are shown to be. */
#ifndef PLYFS_CLI_OWNER_H
#define PLYFS_CLI_OWNER_H

#include "base/err.h"
#include "fs/options.h"

enum owner_shown {
	OWNER_UNSAID, /* AUTO for an image, REAL otherwise */
	OWNER_AUTO, /* what can be expressed: REAL for root, MAP inside a user namespace that has many
			 ids, else SQUASH */
	OWNER_REAL,   /* as the image says */
	OWNER_SQUASH, /* all files are the mounting user's */
	OWNER_MAP, /* inside a user namespace: the ids that it has, others as nobody's. Outside: 0 is the
			 mounting user, 1 and up are that user's subordinate ids, as podman has it */
};

/* -EINVAL: no such word. */
int owner_parse(const char *text, enum owner_shown *ret_owner);

/*
 * Sets the id maps of O, unless options have set them. The image's own owners stay what is stored.
 * -EINVAL and a sentence: MAP without subordinate ids.
 */
int owner_apply(enum owner_shown owner, bool has_image, struct fs_options *o, struct err *err);

#endif
