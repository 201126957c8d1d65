/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How an image is named on a command line: TRANSPORT:REST, in the clients' own terms
 * (containers-transports(5)), or a plain path. Reading a reference asks no file system.
 */
#ifndef PLYFS_IMAGE_REFERENCE_H
#define PLYFS_IMAGE_REFERENCE_H

#include "base/err.h"
#include "image/digest.h"

/*
 *	oci:DIR[:NAME|:@INDEX|:@DIGEST]			an OCI image layout
 *	oci-archive:FILE[:NAME|:@INDEX|:@DIGEST]	the same in a tar
 *	docker-archive:FILE[:NAME|:@INDEX|:@DIGEST]	docker save, podman save
 *	dir:DIR						skopeo's directory of one image
 *	containers-storage:[STORE]NAME|ID|@ID		podman's images; STORE is [DRIVER@]GRAPHROOT[+RUNROOT]
 *	docker://HOST[:PORT]/NAME[:TAG][@DIGEST]	a registry
 *	PATH						a directory or file of any of these, or a layer's tar
 *
 * DIR and FILE end at their first colon, as with the clients.
 */
enum transport {
	TRANSPORT_PATH,
	TRANSPORT_OCI,
	TRANSPORT_OCI_ARCHIVE,
	TRANSPORT_DOCKER_ARCHIVE,
	TRANSPORT_DIR,
	TRANSPORT_STORAGE,
	TRANSPORT_DOCKER,
};

/* "oci", "docker-archive", ...; "path" for a plain path. */
const char *transport_name(enum transport t);

/* Which image is meant where there can be several. At most one of the three is given. */
struct image_choice {
	char *name;	      /* owned; a tag or a full name as the source has it, or NULL */
	struct digest digest; /* of a manifest or of a configuration, or DIGEST_NONE */
	int index;	      /* the position in the source's list, or -1 */
};

struct reference {
	enum transport transport;
	char *text; /* owned: as it was given */

	char *path; /* owned: the file or directory; of STORAGE the graph root, or NULL; of DOCKER NULL */
	struct image_choice choice;

	/* DOCKER only. */
	char *host;	  /* owned: HOST[:PORT] */
	char *repository; /* owned: "library/debian" */
};

/*
 * Reads TEXT. RET_R is the caller's; it is empty after a failure: -EINVAL with a sentence that
 * says what is wrong and what would be right, or -ENOMEM.
 */
int reference_parse(const char *text, struct reference *ret_r, struct err *err);
void reference_done(struct reference *r); /* zeroed is fine */
DEFINE_CLEANUP(struct reference, reference, reference_done)

/*
 * Sets R's path and choice from "PATH[:WHICH]"; for TRANSPORT_PATH, once it is known what lies
 * there. What R had before is freed.
 */
int reference_split_path(struct reference *r, const char *text, struct err *err);

/*
 * The full form of a name of an image, as docker and podman complete it: "debian" is
 * "docker.io/library/debian:latest". -EINVAL when NAME is none. *RET_FULL is the caller's.
 */
int reference_complete(const char *name, char **ret_full);

#endif
