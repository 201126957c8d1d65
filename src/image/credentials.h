/* SPDX-License-Identifier: Apache-2.0 */
/* Private to image/: what podman login and docker login have left for a registry; and what it challenges with. */
#ifndef PLYFS_IMAGE_CREDENTIALS_H
#define PLYFS_IMAGE_CREDENTIALS_H

#include "base/err.h"

/*
 * The base 64 of USER:PASSWORD for HOST/REPOSITORY: from FILE, or when it is NULL from the first of
 * $REGISTRY_AUTH_FILE, $XDG_RUNTIME_DIR/containers/auth.json, ~/.config/containers/auth.json and ~/.docker/config.json
 * that has an entry. The entry of the longest name that HOST/REPOSITORY begins with counts. *RET is the
 * caller's, NULL where there is none. Programs that keep credentials (credHelpers) are not asked.
 */
int credentials_find(const char *file, const char *host, const char *repository, char **ret,
		     struct err *err);

/* A challenge of WWW-Authenticate: Bearer with a realm, or Basic. */
struct challenge {
	enum { CHALLENGE_NONE, CHALLENGE_BASIC, CHALLENGE_BEARER } kind;
	char *realm, *service; /* owned; NULL where it says nothing */
};

void challenge_done(struct challenge *c); /* zeroed is fine */
DEFINE_CLEANUP(struct challenge, challenge, challenge_done)

/* The best of the challenges in HEADERS, one a line: Bearer before Basic. 0 or -ENOMEM. */
int challenge_parse(const char *headers, struct challenge *ret);

#endif
