/* SPDX-License-Identifier: Apache-2.0 */
/* The backends and formats that the contract suite runs on. A new backend is one row here. */
#include <fcntl.h>

#include "contract/contract.h"
#include "layer/backends.h"
#include "support/made_indexed.h"
#include "support/made_upper.h"

static const struct tree_format trusted = {
	.whiteouts = TREE_DEVICES,
	.prefix = "trusted.overlay.",
	.opaque = "trusted.overlay.opaque",
};
static const struct tree_format user = {
	.whiteouts = TREE_DEVICES,
	.prefix = "user.overlay.",
	.opaque = "user.overlay.opaque",
};
static const struct tree_format aufs = {
	.whiteouts = TREE_AUFS,
	.prefix = "trusted.overlay.",
};
static const struct tree_format xattrs = {
	.whiteouts = TREE_XATTRS,
	.prefix = "trusted.overlay.",
	.opaque = "trusted.overlay.opaque",
};
static const struct tree_format user_xattrs = {
	.whiteouts = TREE_XATTRS,
	.prefix = "user.overlay.",
	.opaque = "user.overlay.opaque",
};
static const struct tree_format fuse_overlayfs = {
	.whiteouts = TREE_DEVICES,
	.prefix = "user.overlay.",
	.opaque = "user.fuseoverlayfs.opaque",
};
static const struct tree_format override_security = {
	.whiteouts = TREE_DEVICES,
	.prefix = "trusted.overlay.",
	.opaque = "trusted.overlay.opaque",
	.override = OVERRIDE_SECURITY,
};
static const struct tree_format override_containers = {
	.whiteouts = TREE_AUFS,
	.prefix = "user.overlay.",
	.override = OVERRIDE_CONTAINERS,
};
static const struct tree_format override_user = {
	.whiteouts = TREE_AUFS,
	.prefix = "user.overlay.",
	.override = OVERRIDE_USER,
};

static void open_mem(struct fixture *f, uint32_t trust)
{
	/* It is its own reference: what is tested is that the suite and the contract agree. */
	f->layer = f->reference;
	(void)trust;
}

static void open_written(struct fixture *f, uint32_t trust, bool detach)
{
	const struct layer_options options = {.trust = trust, .detach = detach};
	CLEANUP(err) struct err err = {0};
	int fd;

	tree_write(f->reference, f->tmp.fd, f->variant->format);
	fd = fcntl(f->tmp.fd, F_DUPFD_CLOEXEC, 3);
	cr_assert_eq(layer_open_dir(fd, f->tmp.path, &options, &f->layer, &err), 0, "%s",
		     err_text(&err));
}

static void open_dir(struct fixture *f, uint32_t trust)
{
	open_written(f, trust, false);
}

static void open_detached(struct fixture *f, uint32_t trust)
{
	open_written(f, trust, true);
}

static void open_traced(struct fixture *f, uint32_t trust)
{
	struct layer *traced;

	open_written(f, trust, false);
	cr_assert_eq(layer_open_trace(f->layer, &traced, NULL), 0);
	f->layer = traced;
}

static void open_upper(struct fixture *f, uint32_t trust)
{
	const struct layer_options options = {.trust = trust};
	struct made_upper u = {.tmp = f->tmp};
	CLEANUP(err) struct err err = {0};
	int fd;

	made_upper_make_in(&u);
	made_tree(&u, f->reference);
	made_upper_close(&u);
	fd = fcntl(f->tmp.fd, F_DUPFD_CLOEXEC, 3);
	cr_assert_eq(layer_open_upper(fd, f->tmp.path, &options, &f->layer, &err), 0, "%s",
		     err_text(&err));
}

static void open_indexed(struct fixture *f, uint32_t trust)
{
	f->layer = made_indexed(f->reference);
	(void)trust;
}

const struct variant variants[] = {
	{"mem", 0, NULL, open_mem},
	{"dir, trusted xattrs", ON_DISK, &trusted, open_dir},
	{"dir, detached", ON_DISK, &trusted, open_detached},
	{"dir, user xattrs", ON_DISK, &user, open_dir},
	{"dir, aufs", ON_DISK, &aufs, open_dir},
	{"dir, xattr whiteouts", ON_DISK, &xattrs, open_dir},
	{"dir, user xattr whiteouts", ON_DISK, &user_xattrs, open_dir},
	{"dir, fuse-overlayfs", ON_DISK, &fuse_overlayfs, open_dir},
	{"dir, override security", ON_DISK, &override_security, open_dir},
	{"dir, override containers", ON_DISK, &override_containers, open_dir},
	{"dir, override user", ON_DISK, &override_user, open_dir},
	{"trace of dir", ON_DISK, &trusted, open_traced},
	{"upper", ALWAYS_REDIRECTS, NULL, open_upper},
	{"indexed", NO_REDIRECTS, NULL, open_indexed},
};
const size_t n_variants = sizeof(variants) / sizeof(variants[0]);
