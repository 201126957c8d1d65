/* SPDX-License-Identifier: Apache-2.0 */
/* Mount options from their beginning to their end: what is meant when nothing is said, and what goes together. */
#include <errno.h>
#include <string.h>

#include "cli/options.h"

void mount_options_init(struct mount_options *o)
{
	*o = (struct mount_options){.no_atime = true};
	fs_options_init(&o->fs);
	front_options_init(&o->front);
}

void mount_options_done(struct mount_options *o)
{
	fs_options_done(&o->fs);
	front_options_done(&o->front);
	strv_done(&o->lower);
	strv_done(&o->data);
	strv_done(&o->unknown);
}

/* What is meant when nothing is said comes first, so that what is said wins. */
static int add_defaults(struct mount_options *o, bool privileged)
{
	static const char *const defaults[] = {"default_permissions", "allow_other", "suid"};
	struct front_options all = {0};
	int r = 0;

	for (size_t i = 0; r == 0 && i < (privileged ? 3 : 1); i++)
		r = front_options_add(&all, defaults[i]);
	for (size_t i = 0; r == 0 && i < o->front.n_mount; i++)
		r = front_options_add(&all, o->front.mount[i]);
	if (r == 0 && o->no_atime)
		r = front_options_add(&all, "noatime");
	if (r == 0) {
		struct front_options old = {.mount = o->front.mount, .n_mount = o->front.n_mount};

		o->front.mount = all.mount;
		o->front.n_mount = all.n_mount;
		all = old;
	}
	front_options_done(&all);
	return r;
}

static int move_layers(struct mount_options *o)
{
	size_t n_data = o->data.n;
	int r = strv_move(&o->lower, &o->data);

	if (r < 0)
		return r;
	o->fs.lower = o->lower.v;
	o->fs.n_lower = o->lower.n;
	o->fs.n_data_only = n_data;
	o->lower = (struct strv){0};
	return 0;
}

/* An image's layers are the lowest; what is mounted is called after it. */
static int finish_image(struct mount_options *o, struct err *err)
{
	if (o->data.n > 0)
		return err_set(err, EINVAL, "layers of data only cannot lie below an image");
	if (o->fs.image_layer > 0 && o->fs.image_upto > 0)
		return err_set(err, EINVAL, "--layer and --upto cannot both be given");
	if (o->tmp_upper && o->fs.upper != NULL)
		return err_set(err, EINVAL, "--upper and --tmp-upper cannot both be given");
	if (o->front.fsname == NULL) {
		o->front.fsname = strdup(o->fs.image);
		if (o->front.fsname == NULL)
			return err_errno(err, ENOMEM, "mount options");
	}
	return 0;
}

int mount_options_finish(struct mount_options *o, bool privileged, struct err *err)
{
	int r;

	if (o->strict && o->unknown.n > 0)
		return err_set(err, EINVAL, "unknown option: %s", o->unknown.v[0]);
	if (o->front.mountpoint == NULL)
		return err_set(err, EINVAL, "no mountpoint is given; see plyfs --help");
	if (o->fs.image != NULL && !o->remount) {
		r = finish_image(o, err);
		if (r < 0)
			return r;
	} else if (!o->remount && o->lower.n == 0) {
		return err_set(err, EINVAL, "no layers are given: lowerdir= is missing or empty");
	}
	/* What a mount that is there was not told to change stays. */
	r = o->remount ? 0 : add_defaults(o, privileged);
	if (r == 0)
		r = move_layers(o);
	if (r < 0)
		return err_errno(err, -r, "mount options");
	r = owner_apply(o->owner, o->fs.image != NULL, &o->fs, err);
	if (r < 0)
		return r;
	o->fs.atime = !o->no_atime;
	o->front.acl = !o->fs.no_acl && !o->fs.no_xattr;
	o->front.no_xattr = o->fs.no_xattr;
	o->front.no_fsync = o->fs.no_sync;
	o->front.debug = o->debug;
	o->foreground |= o->debug;
	return 0;
}
