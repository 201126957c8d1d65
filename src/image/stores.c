/* SPDX-License-Identifier: Apache-2.0 */
/* Where podman keeps images: storage.conf, the built-in places, the lists of a store. */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include "base/sys.h"
#include "image/store.h"
#include "image/toml.h"

#define CONF_MAX (1u << 20)

void stores_done(struct stores *s)
{
	for (size_t i = 0; i < s->count; i++) {
		json_decref(s->list[i].images);
		json_decref(s->list[i].layers);
		json_decref(s->list[i].layers2);
		free(s->list[i].root);
	}
	free(s->list);
	*s = (struct stores){0};
}

bool store_is_id(const char *id)
{
	return id != NULL && strlen(id) == 64 && strspn(id, "0123456789abcdef") == 64;
}

/* ---- where ---------------------------------------------------------------------------------- */

static bool is_rootless(void)
{
	const char *uid = getenv("_CONTAINERS_ROOTLESS_UID");

	return geteuid() != 0 || (uid != NULL && *uid != '\0' && strcmp(uid, "0") != 0);
}

/* $HOME, or what the user's entry says. */
static const char *home(void)
{
	const char *dir = getenv("HOME");
	const struct passwd *entry;

	if (dir != NULL && *dir != '\0')
		return dir;
	entry = getpwuid(geteuid());
	return entry != NULL ? entry->pw_dir : "/";
}

static char *under(const char *variable, const char *fallback, const char *rest)
{
	const char *dir = getenv(variable);
	char *path;
	int n;

	if (dir != NULL && *dir == '/')
		n = asprintf(&path, "%s/%s", dir, rest);
	else
		n = asprintf(&path, "%s/%s/%s", home(), fallback, rest);
	return n >= 0 ? path : NULL;
}

/* The whole file as a text; -ENOENT without a sentence. */
static int read_conf(const char *path, char **ret, struct err *err)
{
	CLEANUP(blob) struct blob *blob = NULL;
	int rc = blob_open_file(AT_FDCWD, path, 0, &blob);
	size_t len;

	if (rc == -ENOENT || rc == -ENOTDIR)
		return -ENOENT;
	if (rc < 0)
		return err_errno(err, -rc, "%s", path);
	return source_read_all(blob, CONF_MAX, path, ret, &len, err);
}

/* Adds FROM's path, with $HOME at its beginning replaced. */
static int add_root(struct image_strings *roots, const char *from)
{
	char *path = NULL;
	int rc;

	if (strncmp(from, "$HOME", 5) == 0 && (from[5] == '/' || from[5] == '\0')) {
		if (asprintf(&path, "%s%s", home(), from + 5) < 0)
			return -ENOMEM;
		from = path;
	}
	rc = *from == '/' ? strings_add(roots, from) : 0;
	free(path);
	return rc;
}

static int add_all(struct image_strings *roots, const char *conf, const char *table,
		   const char *key)
{
	struct image_strings found = {0};
	int rc = toml_texts(conf, table, key, &found);

	for (size_t i = 0; rc == 0 && i < found.count; i++)
		rc = add_root(roots, found.list[i]);
	strings_done(&found);
	return rc;
}

/* What one file says; the first root is the writable store's. */
static int add_conf(struct image_strings *roots, const char *path, bool own, struct err *err)
{
	CLEANUP(free) char *conf = NULL;
	int rc = read_conf(path, &conf, err);

	if (rc < 0)
		return rc;
	if (is_rootless() && roots->count == 0)
		rc = add_all(roots, conf, "storage", "rootless_storage_path");
	if (rc == 0 && own && roots->count == 0)
		rc = add_all(roots, conf, "storage", "graphroot");
	if (rc == 0 && roots->count == 0 && is_rootless()) {
		CLEANUP(free)
		char *root = under("XDG_DATA_HOME", ".local/share", "containers/storage");

		rc = root != NULL ? strings_add(roots, root) : -ENOMEM;
	} else if (rc == 0 && roots->count == 0) {
		rc = strings_add(roots, "/var/lib/containers/storage");
	}
	if (rc == 0)
		rc = add_all(roots, conf, "storage.options", "additionalimagestores");
	if (rc == 0)
		rc = add_all(roots, conf, "storage.options.overlay", "additionalimagestores");
	return rc < 0 ? err_errno(err, -rc, "%s", path) : 0;
}

int stores_find(struct image_strings *ret_roots, struct err *err)
{
	static const char *const system_wide[] = {"/etc/containers/storage.conf",
						  "/usr/share/containers/storage.conf"};
	const char *given = getenv("CONTAINERS_STORAGE_CONF");
	CLEANUP(free) char *own = NULL, *root = NULL;
	int rc = -ENOENT;

	if (given != NULL && *given != '\0') {
		rc = add_conf(ret_roots, given, true, err);
		return rc == -ENOENT ? err_errno(err, ENOENT, "%s", given) : rc;
	}
	if (is_rootless()) {
		own = under("XDG_CONFIG_HOME", ".config", "containers/storage.conf");
		rc = own != NULL ? add_conf(ret_roots, own, true, err) : -ENOMEM;
	}
	for (size_t i = 0; rc == -ENOENT && i < sizeof(system_wide) / sizeof(*system_wide); i++)
		rc = add_conf(ret_roots, system_wide[i], !is_rootless(), err);
	if (rc != -ENOENT)
		return rc;
	root = is_rootless() ? under("XDG_DATA_HOME", ".local/share", "containers/storage")
			     : strdup("/var/lib/containers/storage");
	return root != NULL ? strings_add(ret_roots, root) : -ENOMEM;
}

/* ---- what is in them ------------------------------------------------------------------------ */

/* An array in a file; one that is not there is NULL. */
static int read_list(const char *root, const char *name, json_t **ret, struct err *err)
{
	CLEANUP(blob) struct blob *blob = NULL;
	CLEANUP(free) char *path = NULL, *bytes = NULL;
	size_t len;
	int rc;

	if (asprintf(&path, "%s/%s", root, name) < 0) {
		path = NULL;
		return err_errno(err, ENOMEM, "%s", root);
	}
	rc = blob_open_file(AT_FDCWD, path, 0, &blob);
	if (rc == -ENOENT || rc == -ENOTDIR)
		return 0;
	if (rc < 0)
		return err_errno(err, -rc, "%s", path);
	rc = source_read_all(blob, JSON_LIMITS_STORE.bytes, path, &bytes, &len, err);
	if (rc == 0 && len > 0)
		rc = json_read(bytes, len, &JSON_LIMITS_STORE, path, ret, err);
	if (rc == 0 && *ret != NULL && !json_is_array(*ret))
		return err_set(err, EBADMSG, "%s is no list", path);
	return rc;
}

static int add_store(struct stores *s, const char *root, struct err *err)
{
	struct store *list = reallocarray(s->list, s->count + 1, sizeof(*list)), *one;
	int rc;

	if (list == NULL)
		return err_errno(err, ENOMEM, "%s", root);
	s->list = list;
	one = &list[s->count++];
	*one = (struct store){.root = strdup(root)};
	if (one->root == NULL)
		return err_errno(err, ENOMEM, "%s", root);
	rc = read_list(root, "overlay-images/images.json", &one->images, err);
	if (rc == 0)
		rc = read_list(root, "overlay-layers/layers.json", &one->layers, err);
	if (rc == 0)
		rc = read_list(root, "overlay-layers/volatile-layers.json", &one->layers2, err);
	return rc;
}

int stores_open(const char *root, struct stores *ret, struct err *err)
{
	struct image_strings roots = {0};
	bool any = false;
	int rc = root != NULL ? strings_add(&roots, root) : stores_find(&roots, err);

	for (size_t i = 0; rc == 0 && i < roots.count; i++) {
		rc = add_store(ret, roots.list[i], err);
		any = any || (rc == 0 && ret->list[i].images != NULL);
	}
	if (rc == 0 && !any)
		rc = err_set(err, ENOENT,
			     "%s is no container storage with the driver overlay, or has no image",
			     roots.count > 0 ? roots.list[0] : "(nothing)");
	strings_done(&roots);
	return rc;
}

static const json_t *find(const json_t *list, const char *id)
{
	json_t *one;
	size_t i;

	json_array_foreach(list, i, one)
	{
		const char *is = json_text(one, "id");

		if (is != NULL && strcmp(is, id) == 0)
			return one;
	}
	return NULL;
}

const json_t *stores_layer(const struct stores *s, const char *id, const struct store **ret_store)
{
	for (size_t i = 0; i < s->count; i++) {
		const json_t *one = find(s->list[i].layers, id);

		if (one == NULL)
			one = find(s->list[i].layers2, id);
		if (one != NULL) {
			*ret_store = &s->list[i];
			return one;
		}
	}
	return NULL;
}
