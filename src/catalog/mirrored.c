/* SPDX-License-Identifier: Apache-2.0 */
/* A catalog whose LMDB file is not mapped where it is: what it does to its mirror. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "catalog/internal.h"
#include "catalog/private.h"

bool mirrored_is_wanted(const struct catalog *c)
{
	return c->options.map == CATALOG_MAP_NO ||
	       (c->options.map == CATALOG_MAP_AUTO && mirror_wanted(c->dirfd));
}

int mirrored_create(const struct catalog *c, int (*make)(const struct catalog *c, const char *path))
{
	CLEANUP(mirror) struct mirror *m = NULL;
	int rc = mirror_create(c->dirfd, CATALOG_FILE, c->options.no_sync, &m);

	if (rc == 0)
		rc = make(c, mirror_path(m));
	return rc < 0 ? rc : mirror_publish(m);
}

int mirrored_open(struct catalog *c)
{
	CLEANUP(mirror) struct mirror *m = NULL;
	int rc = mirror_open(c->dirfd, CATALOG_FILE, c->options.no_sync, &m);
	char *path;

	if (rc < 0)
		return rc;
	path = strdup(mirror_path(m));
	if (path == NULL)
		return -ENOMEM;
	free(c->path);
	c->path = path;
	c->mirror = steal_ptr(&m);
	return 0;
}

int mirrored_publish(struct catalog *c)
{
	int rc = mirror_publish(c->mirror);

	/* It may be a new file. */
	c->reserved = 0;
	c->is_behind = rc < 0;
	return rc;
}

int mirrored_compact(struct catalog *c, struct store *ret_store)
{
	CLEANUP(fd) int fd = private_file();
	char path[PRIVATE_PATH_MAX];
	int rc = fd < 0 ? fd : before_change(c);

	if (rc < 0)
		return rc;
	private_path(fd, path);
	rc = store_copy(&c->store, path, c->map_size);
	if (rc == 0)
		rc = open_store(c, path, false, ret_store);
	if (rc < 0)
		return rc;
	rc = mirror_replace(c->mirror, fd);
	if (rc < 0) {
		store_close(ret_store);
		/* What failed may have taken effect. A sum must not be left of another file than the name leads to. */
		mirrored_publish(c);
		return rc;
	}
	steal_fd(&fd);
	/* The tables are the same, so that it does no harm when this is for the next checkpoint to do. */
	mirrored_publish(c);
	return 0;
}
