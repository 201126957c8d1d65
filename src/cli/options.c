/* SPDX-License-Identifier: Apache-2.0 */
/* The table of mount options. doc/plyfs.1 says what each one means to the user. */
#include "cli/options.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum value { NO_VALUE, VALUE };

struct option {
	const char *name;
	enum value value;
	int (*set)(struct mount_options *o, const struct option *def, const char *value,
		   struct err *err);
	size_t offset;	     /* what a general setter sets */
	const char *allowed; /* set_ignored(): the values that are meant, " a b "; NULL: any */
};

#define FIELD(type, o, def) ((type *)(void *)((char *)(o) + (def)->offset))

static int bad_value(const struct option *def, const char *value, const char *wanted,
		     struct err *err)
{
	return err_set(err, EINVAL, "%s=%s: %s", def->name, value, wanted);
}

static int set_true(struct mount_options *o, const struct option *def, const char *value,
		    struct err *err)
{
	*FIELD(bool, o, def) = true;
	return 0;
}

static int set_false(struct mount_options *o, const struct option *def, const char *value,
		     struct err *err)
{
	*FIELD(bool, o, def) = false;
	return 0;
}

/* LIST has a space before and after each word. */
static bool is_one_of(const char *value, const char *list)
{
	size_t len = strlen(value);

	if (len == 0 || strchr(value, ' ') != NULL)
		return false;
	for (const char *p = strstr(list, value); p != NULL; p = strstr(p + 1, value))
		if (p[-1] == ' ' && p[len] == ' ')
			return true;
	return false;
}

static int parse_bool(const struct option *def, const char *value, bool *ret, struct err *err)
{
	bool on = is_one_of(value, " 1 on yes true ");

	if (!on && !is_one_of(value, " 0 off no false "))
		return bad_value(def, value, "neither 0 nor 1", err);
	*ret = on;
	return 0;
}

static int set_bool(struct mount_options *o, const struct option *def, const char *value,
		    struct err *err)
{
	return parse_bool(def, value, FIELD(bool, o, def), err);
}

static int set_inverse(struct mount_options *o, const struct option *def, const char *value,
		       struct err *err)
{
	bool on = false;
	int r = parse_bool(def, value, &on, err);

	if (r == 0)
		*FIELD(bool, o, def) = !on;
	return r;
}

/* A path or a name: backslashes escape. */
static int set_string(struct mount_options *o, const struct option *def, const char *value,
		      struct err *err)
{
	char **field = FIELD(char *, o, def), *text;

	if (*value == '\0')
		return err_set(err, EINVAL, "%s= is empty", def->name);
	text = strv_unescape(value);
	if (text == NULL)
		return err_errno(err, ENOMEM, "%s", def->name);
	free(*field);
	*field = text;
	return 0;
}

static int parse_number(const struct option *def, const char *value, uint32_t max, uint32_t *ret,
			struct err *err)
{
	unsigned long long n;
	char *end;

	errno = 0;
	n = strtoull(value, &end, 10);
	if (*value < '0' || *value > '9' || *end != '\0')
		return bad_value(def, value, "not a number", err);
	if (errno != 0 || n > max)
		return bad_value(def, value, "too large", err);
	*ret = (uint32_t)n;
	return 0;
}

/* Layers count from 1. */
static int set_layer(struct mount_options *o, const struct option *def, const char *value,
		     struct err *err)
{
	int r = parse_number(def, value, UINT32_MAX, FIELD(uint32_t, o, def), err);

	if (r == 0 && *FIELD(uint32_t, o, def) == 0)
		return bad_value(def, value, "layers are counted from 1", err);
	return r;
}

static int set_owner(struct mount_options *o, const struct option *def, const char *value,
		     struct err *err)
{
	if (owner_parse(value, &o->owner) < 0)
		return bad_value(def, value, "not one of auto, real, squash, map", err);
	return 0;
}

static int set_squash(struct mount_options *o, const struct option *def, const char *value,
		      struct err *err)
{
	struct idmap *map = FIELD(struct idmap, o, def);
	int r = parse_number(def, value, UINT32_MAX - 1, &map->squash_id, err);

	if (r == 0)
		map->squash = true;
	return r;
}

static int set_idmap(struct mount_options *o, const struct option *def, const char *value,
		     struct err *err)
{
	return idmap_parse(value, def->name, FIELD(struct idmap, o, def), err);
}

static int set_lowerdir(struct mount_options *o, const struct option *def, const char *value,
			struct err *err)
{
	strv_done(&o->lower);
	strv_done(&o->data);
	return strv_split_layers(&o->lower, &o->data, value, err);
}

/* One more layer: what lowerdir= would need escapes for is part of the path. */
static int add_lowerdir(struct mount_options *o, const struct option *def, const char *value,
			struct err *err)
{
	if (*value == '\0')
		return err_set(err, EINVAL, "%s= is empty", def->name);
	return strv_add(FIELD(struct strv, o, def), value) < 0 ? err_errno(err, ENOMEM, "lowerdir")
							       : 0;
}

static int set_layersfile(struct mount_options *o, const struct option *def, const char *value,
			  struct err *err)
{
	return strv_read_layers(&o->lower, &o->data, value, err);
}

static int set_timeout(struct mount_options *o, const struct option *def, const char *value,
		       struct err *err)
{
	char *end;
	double seconds = strtod(value, &end);

	if (end == value || *end != '\0' || !isfinite(seconds) || seconds < 0)
		return bad_value(def, value, "not a number of seconds", err);
	o->front.timeout = seconds < FRONT_TIMEOUT_ENDLESS ? seconds : FRONT_TIMEOUT_ENDLESS;
	return 0;
}

static int set_threads(struct mount_options *o, const struct option *def, const char *value,
		       struct err *err)
{
	return parse_number(def, value, FRONT_MAX_THREADS, &o->front.threads, err);
}

/* threaded=0 of fuse-overlayfs: one request at a time. */
static int set_threaded(struct mount_options *o, const struct option *def, const char *value,
			struct err *err)
{
	bool on = false;
	int r = parse_bool(def, value, &on, err);

	if (r == 0)
		o->front.threads = on ? 0 : 1;
	return r;
}

static int set_loop(struct mount_options *o, const struct option *def, const char *value,
		    struct err *err)
{
	if (strcmp(value, "auto") == 0)
		o->front.loop = FRONT_LOOP_AUTO;
	else if (strcmp(value, "follow") == 0)
		o->front.loop = FRONT_LOOP_FOLLOW;
	else if (strcmp(value, "threads") == 0)
		o->front.loop = FRONT_LOOP_THREADS;
	else
		return bad_value(def, value, "not one of auto, follow, threads", err);
	return 0;
}

static int set_io(struct mount_options *o, const struct option *def, const char *value,
		  struct err *err)
{
	if (strcmp(value, "auto") == 0)
		o->front.io = FRONT_IO_AUTO;
	else if (strcmp(value, "cache") == 0)
		o->front.io = FRONT_IO_CACHE;
	else if (strcmp(value, "passthrough") == 0)
		o->front.io = FRONT_IO_PASSTHROUGH;
	else
		return bad_value(def, value, "not one of auto, cache, passthrough", err);
	return 0;
}

static int set_max_read(struct mount_options *o, const struct option *def, const char *value,
			struct err *err)
{
	return parse_number(def, value, INT_MAX, &o->front.max_read, err);
}

static int set_redirect_dir(struct mount_options *o, const struct option *def, const char *value,
			    struct err *err)
{
	bool follow = is_one_of(value, " on follow ");

	if (!follow && !is_one_of(value, " off nofollow "))
		return bad_value(def, value, "not one of on, follow, nofollow, off", err);
	o->fs.follow_redirect = follow;
	return 0;
}

static int set_lower_changed(struct mount_options *o, const struct option *def, const char *value,
			     struct err *err)
{
	bool accept = strcmp(value, "accept") == 0;

	if (!accept && strcmp(value, "refuse") != 0)
		return bad_value(def, value, "neither accept nor refuse", err);
	o->fs.any_lower = accept;
	return 0;
}

static int set_catalog_map(struct mount_options *o, const struct option *def, const char *value,
			   struct err *err)
{
	if (strcmp(value, "auto") == 0)
		o->fs.catalog_map = CATALOG_MAP_AUTO;
	else if (strcmp(value, "yes") == 0)
		o->fs.catalog_map = CATALOG_MAP_YES;
	else if (strcmp(value, "no") == 0)
		o->fs.catalog_map = CATALOG_MAP_NO;
	else
		return bad_value(def, value, "not one of auto, yes, no", err);
	return 0;
}

static int set_noatime(struct mount_options *o, const struct option *def, const char *value,
		       struct err *err)
{
	o->no_atime = true;
	return 0;
}

static int set_atime(struct mount_options *o, const struct option *def, const char *value,
		     struct err *err)
{
	o->no_atime = false;
	return 0;
}

/* A flag of the mount: handed on under its name. */
static int set_mount(struct mount_options *o, const struct option *def, const char *value,
		     struct err *err)
{
	return front_options_add(&o->front, def->name) < 0 ? err_errno(err, ENOMEM, "%s", def->name)
							   : 0;
}

static int set_ro(struct mount_options *o, const struct option *def, const char *value,
		  struct err *err)
{
	o->fs.read_only = strcmp(def->name, "ro") == 0;
	return set_mount(o, def, value, err);
}

/* Known, and nothing has to be done for it; but a value that asks for more is as good as unknown. */
static int set_ignored(struct mount_options *o, const struct option *def, const char *value,
		       struct err *err)
{
	char *option = NULL;
	int r;

	if (def->allowed == NULL || is_one_of(value, def->allowed))
		return 0;
	if (asprintf(&option, "%s=%s", def->name, value) < 0)
		return err_errno(err, ENOMEM, "%s", def->name);
	r = strv_add(&o->unknown, option);
	free(option);
	return r < 0 ? err_errno(err, -r, "%s", def->name) : 0;
}

#define FS(member)    offsetof(struct mount_options, fs.member)
#define FRONT(member) offsetof(struct mount_options, front.member)
#define OWN(member)   offsetof(struct mount_options, member)

static const struct option options[] = {
	/* layers */
	{"lowerdir", VALUE, set_lowerdir},
	{"lowerdir+", VALUE, add_lowerdir, OWN(lower)},
	{"datadir+", VALUE, add_lowerdir, OWN(data)},
	{"layersfile", VALUE, set_layersfile},
	{"upperdir", VALUE, set_string, FS(upper)},
	{"workdir", VALUE, set_string, FS(work)},
	{"lower_changed", VALUE, set_lower_changed},
	{"redirect_dir", VALUE, set_redirect_dir},
	{"metacopy", VALUE, set_bool, FS(follow_metacopy)},
	{"image", VALUE, set_string, FS(image)},
	{"platform", VALUE, set_string, FS(platform)},
	{"cache", VALUE, set_string, FS(cache)},
	{"layer", VALUE, set_layer, FS(image_layer)},
	{"upto", VALUE, set_layer, FS(image_upto)},
	{"image_strict", NO_VALUE, set_true, FS(image_strict)},
	/* owners */
	{"owner", VALUE, set_owner},
	{"uidmapping", VALUE, set_idmap, FS(uids)},
	{"gidmapping", VALUE, set_idmap, FS(gids)},
	{"squash_to_root", NO_VALUE, set_true, FS(squash_to_root)},
	{"squash_to_uid", VALUE, set_squash, FS(uids)},
	{"squash_to_gid", VALUE, set_squash, FS(gids)},
	/* what is shown and kept */
	{"noacl", NO_VALUE, set_true, FS(no_acl)},
	{"acl", NO_VALUE, set_false, FS(no_acl)},
	{"noxattrs", VALUE, set_bool, FS(no_xattr)},
	{"static_nlink", NO_VALUE, set_true, FS(static_nlink)},
	{"ino32_t", NO_VALUE, set_true, FS(ino32)},
	{"volatile", NO_VALUE, set_true, FS(no_sync)},
	{"fsync", VALUE, set_inverse, FS(no_sync)},
	{"integrity", NO_VALUE, set_true, FS(integrity)},
	{"integrity", VALUE, set_bool, FS(integrity)},
	{"catalog_map", VALUE, set_catalog_map},
	{"noatime", NO_VALUE, set_noatime},
	{"atime", NO_VALUE, set_atime},
	{"relatime", NO_VALUE, set_atime},
	{"strictatime", NO_VALUE, set_atime},
	{"trace_layers", NO_VALUE, set_true, FS(trace_layers)},
	/* how requests are served */
	{"timeout", VALUE, set_timeout},
	{"loop", VALUE, set_loop},
	{"threads", VALUE, set_threads},
	{"threaded", VALUE, set_threaded},
	{"io", VALUE, set_io},
	{"writeback", VALUE, set_bool, FRONT(writeback)},
	{"io_uring", VALUE, set_bool, FRONT(io_uring)},
	{"max_read", VALUE, set_max_read},
	/* the mount itself */
	{"fsname", VALUE, set_string, FRONT(fsname)},
	{"subtype", VALUE, set_string, FRONT(subtype)},
	{"ro", NO_VALUE, set_ro},
	{"rw", NO_VALUE, set_ro},
	{"allow_other", NO_VALUE, set_mount},
	{"allow_root", NO_VALUE, set_mount},
	{"auto_unmount", NO_VALUE, set_mount},
	{"default_permissions", NO_VALUE, set_mount},
	{"suid", NO_VALUE, set_mount},
	{"nosuid", NO_VALUE, set_mount},
	{"dev", NO_VALUE, set_mount},
	{"nodev", NO_VALUE, set_mount},
	{"exec", NO_VALUE, set_mount},
	{"noexec", NO_VALUE, set_mount},
	{"sync", NO_VALUE, set_mount},
	{"async", NO_VALUE, set_mount},
	{"dirsync", NO_VALUE, set_mount},
	{"nodiratime", NO_VALUE, set_mount},
	{"remount", NO_VALUE, set_true, OWN(remount)},
	{"debug", NO_VALUE, set_true, OWN(debug)},
	{"strict", NO_VALUE, set_true, OWN(strict)},
	{"quiet", NO_VALUE, set_true, OWN(quiet)},
	/* true in any case: numbers, links and renames are kept by the catalog */
	{"xino", VALUE, set_ignored},
	{"index", VALUE, set_ignored},
	{"uuid", VALUE, set_ignored},
	{"userxattr", NO_VALUE, set_ignored},
	{"nfs_export", VALUE, set_ignored, 0, " off "},
	{"verity", VALUE, set_ignored, 0, " off "},
	{"override_creds", NO_VALUE, set_ignored},
	{"nooverride_creds", NO_VALUE, set_ignored},
	{"fast_ino", VALUE, set_ignored},
	{"fast_ino_check", VALUE, set_ignored},
	{"xattr_permissions", VALUE, set_ignored, 0, " 0 1 2 "},
	{"plugins", VALUE, set_ignored},
	/* matters of SELinux policy, of /etc/fstab and of mount(8) */
	{"context", VALUE, set_ignored},
	{"fscontext", VALUE, set_ignored},
	{"defcontext", VALUE, set_ignored},
	{"rootcontext", VALUE, set_ignored},
	{"private", NO_VALUE, set_ignored},
	{"rprivate", NO_VALUE, set_ignored},
	{"shared", NO_VALUE, set_ignored},
	{"rshared", NO_VALUE, set_ignored},
	{"slave", NO_VALUE, set_ignored},
	{"rslave", NO_VALUE, set_ignored},
	{"unbindable", NO_VALUE, set_ignored},
	{"runbindable", NO_VALUE, set_ignored},
	{"lazytime", NO_VALUE, set_ignored},
	{"nolazytime", NO_VALUE, set_ignored},
	{"diratime", NO_VALUE, set_ignored},
	{"norelatime", NO_VALUE, set_ignored},
	{"nostrictatime", NO_VALUE, set_ignored},
	{"defaults", NO_VALUE, set_ignored},
	{"auto", NO_VALUE, set_ignored},
	{"noauto", NO_VALUE, set_ignored},
	{"nofail", NO_VALUE, set_ignored},
	{"_netdev", NO_VALUE, set_ignored},
	{"user", NO_VALUE, set_ignored},
	{"user", VALUE, set_ignored},
	{"nouser", NO_VALUE, set_ignored},
	{"users", NO_VALUE, set_ignored},
	{"owner", NO_VALUE, set_ignored},
	{"group", NO_VALUE, set_ignored},
	{"comment", VALUE, set_ignored},
	/* what a remount finds in /proc/self/mountinfo */
	{"user_id", VALUE, set_ignored},
	{"group_id", VALUE, set_ignored},
	/* how peers move bytes */
	{"splice_read", NO_VALUE, set_ignored},
	{"splice_write", NO_VALUE, set_ignored},
	{"splice_move", NO_VALUE, set_ignored},
	{"kernel_cache", NO_VALUE, set_ignored},
	{"max_write", VALUE, set_ignored},
};

/* The option's entry; NULL when it is unknown. RET_NEEDS: it is known, but lacks its value. */
static const struct option *find(const char *text, size_t name_len, bool has_value, bool *ret_needs)
{
	const struct option *found = NULL;

	*ret_needs = false;
	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++) {
		const struct option *def = &options[i];

		if (strncmp(def->name, text, name_len) != 0 || def->name[name_len] != '\0')
			continue;
		if ((def->value == VALUE) == has_value)
			found = def;
		else if (def->value == VALUE)
			*ret_needs = true;
	}
	return found;
}

int mount_options_set(struct mount_options *o, const char *text, struct err *err)
{
	size_t name_len = strcspn(text, "=");
	bool has_value = text[name_len] == '=', needs_value;
	const struct option *def = find(text, name_len, has_value, &needs_value);

	if (def != NULL)
		return def->set(o, def, has_value ? text + name_len + 1 : "", err);
	if (needs_value)
		return err_set(err, EINVAL, "option %s needs a value", text);
	/* Remarks of /etc/fstab and of mount(8), for other programs. */
	if (strncmp(text, "x-", 2) == 0 || strncmp(text, "X-", 2) == 0)
		return 0;
	return strv_add(&o->unknown, text) < 0 ? err_errno(err, ENOMEM, "%s", text) : 0;
}

int mount_options_set_all(struct mount_options *o, const char *text, struct err *err)
{
	CLEANUP(strv) struct strv list = {0};
	int r = strv_split_options(&list, text);

	if (r < 0)
		return err_errno(err, -r, "mount options");
	for (size_t i = 0; r == 0 && i < list.n; i++)
		r = mount_options_set(o, list.v[i], err);
	return r;
}
