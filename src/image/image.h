/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An image, wherever it lies: its configuration, its history and its layers as they are stored.
 *
 * Opening reads documents only: indexes, manifests, configurations. Each is checked against the digest and the
 * size that lead to it. Layers are not read: that their bytes are what their digest says is found by who reads
 * them (image/scan.h). An opened image does not change; any thread may read it.
 */
#ifndef PLYFS_IMAGE_IMAGE_H
#define PLYFS_IMAGE_IMAGE_H

#include <signal.h>

#include "image/blob.h"
#include "image/compression.h"
#include "image/platform.h"
#include "image/reference.h"

#define IMAGE_LAYERS_MAX 4096u

/* One step of how the image was made. Every text may be NULL. */
struct image_history {
	char *created;	  /* RFC 3339 */
	char *created_by; /* the command, for people */
	char *author;
	char *comment;
	int layer; /* index in the image's layers, or -1: the step made none, or nobody knows which */
};

struct image_layer {
	/*
	 * Where the layer's tar is: owns a ref. NULL where it is a directory (DIR), where it is not there
	 * (MISSING), and for a registry's until image_fetch().
	 */
	struct blob *blob;
	char *dir; /* owned; containers-storage: the directory that it was unpacked to, else NULL */
	int dir_fd; /* owned; O_PATH of DIR, or -1 */
	enum compression
		compression;   /* by the bytes' own word; of what is not here by the media type's */
	struct digest digest;  /* of the bytes as stored; DIGEST_NONE where nothing says it */
	struct digest diff_id; /* of the tar by the configuration; DIGEST_NONE when there is none */
	uint64_t size;	       /* of the bytes as stored; 0 with DIR */
	char *media_type;      /* owned; NULL where there is none */
	int history;	       /* index in the image's history, or -1 */
	bool foreign;	       /* its place is elsewhere: "nondistributable" */
	bool missing;	       /* not in this archive, layout or store */
	bool unusable; /* an audit was told what is wrong with its descriptor; it is missing, too */
};

/* NAME=VALUE where the configuration has a map; VALUE is "" where it has a set. */
struct image_pair {
	char *name, *value; /* owned */
};

struct image_strings {
	char **list; /* owned, with its texts */
	size_t count;
};

struct image_pairs {
	struct image_pair *list; /* owned */
	size_t count;
};

/* What a runtime would do with the image. Texts may be NULL. */
struct image_config {
	struct image_strings env, entrypoint, cmd;
	struct image_pairs labels, volumes, ports;
	char *user, *working_dir, *stop_signal;
	char *created, *author;
	char *raw; /* owned: the bytes as they were; NULL where there is no configuration */
	size_t raw_len;
};

struct image_source; /* private: where layers come from */
struct image_audit;

struct image {
	char *name; /* owned: as it was asked for */
	char *tag;  /* owned: the name that the source has for it, or NULL */
	enum transport
		transport; /* what was found, never TRANSPORT_PATH unless it is a layer's tar */
	struct digest id;  /* of the configuration; DIGEST_NONE without one */
	struct digest manifest; /* DIGEST_NONE where there is none: docker-archive */
	char *manifest_type;	/* owned; its media type, or NULL */
	struct platform platform;
	struct image_config config;
	struct image_layer *layers; /* owned; the bottom one first */
	size_t n_layers;
	struct image_history *history; /* owned; the oldest first */
	size_t n_history;
	char **warnings; /* owned; sentences: what is odd, and was put up with */
	size_t n_warnings;
	struct image_source *source; /* owned */
};

/* Zeroed memory asks for nothing special. Texts are borrowed for the call. */
struct image_options {
	const struct platform *platform;	/* NULL: this machine's, or the only one there is */
	bool strict;				/* what would be a warning is an error */
	const volatile sig_atomic_t *cancelled; /* NULL, or: not 0 means stop, with -ECANCELED */

	/*
	 * Long work, such as unpacking a compressed archive: bytes done and, if known, of how many. It may
	 * come from other threads, one at a time.
	 */
	void (*progress)(void *arg, const char *what, uint64_t done, uint64_t total);
	void *progress_arg;

	const char *
		blob_dir; /* docker:// keeps what it fetched here, by digest; NULL: image_fetch() fails */
	const char *auth_file; /* NULL: where podman and docker have theirs */
	bool plain_http; /* docker:// without TLS; this machine's own addresses may do so anyway */
	const struct image_audit *audit; /* set by image_audit() */
};

/*
 * Opens the image REF. *RET_IMAGE is the caller's: image_close(). Errors have a sentence: -EINVAL: REF, or
 * the choice is open (the sentence lists what there is); -ENOENT: no such file, image, platform; -EBADMSG: bytes that
 * do not match their digest or are no image; -E2BIG: a limit; -ENOTSUP: a form that is not read.
 */
int image_open(const char *ref, const struct image_options *options, struct image **ret_image,
	       struct err *err);
void image_close(struct image *image); /* NULL is fine */
DEFINE_CLEANUP_PTR(struct image, image, image_close)

/*
 * Sees to it that every layer of a registry's image is here, several at a time, and sets its blob. Nothing to
 * do for other images. What was fetched before it failed stays, and the next call goes on there. The
 * only call that changes an image: no other thread may look at its layers.
 */
int image_fetch(struct image *image, const struct image_options *options, struct err *err);

/* One image that a source has. */
struct image_item {
	struct image_strings names; /* tags or full names; none: an image without a name */
	struct digest manifest;	    /* or DIGEST_NONE */
	struct digest id; /* of the configuration, where the list or the manifest says it */
	struct platform platform;
	uint64_t size; /* of all layers as stored, 0 where nothing says it */
	size_t n_layers;
	bool missing; /* listed, but its manifest or configuration is not there */
};

struct image_list {
	struct image_item *items; /* owned; in the source's order */
	size_t count;
};

/* What REF's source has, whatever image of it REF chooses; one item a platform. Errors as image_open(). */
int image_list(const char *ref, const struct image_options *options, struct image_list *ret_list,
	       struct err *err);
void image_list_done(struct image_list *list); /* zeroed is fine */
DEFINE_CLEANUP(struct image_list, image_list, image_list_done)

/*
 * The ChainID of the layers up to and with N: what identifies them as a stack. -ENODATA when a DiffID below is
 * not known.
 */
int image_chain_id(const struct image *image, size_t n, struct digest *ret_chain);

#endif
