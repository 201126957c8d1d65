/* SPDX-License-Identifier: Apache-2.0 */
/* Whose an image's files are shown to be. */
#include "cli/owner.h"

#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"

#define ALL_IDS UINT32_MAX

int owner_parse(const char *text, enum owner_shown *ret_owner)
{
	static const struct {
		const char *word;
		enum owner_shown owner;
	} words[] = {
		{"auto", OWNER_AUTO},
		{"real", OWNER_REAL},
		{"squash", OWNER_SQUASH},
		{"map", OWNER_MAP},
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		if (strcmp(words[i].word, text) == 0) {
			*ret_owner = words[i].owner;
			return 0;
		}
	}
	return -EINVAL;
}

/* The ids that this user namespace has, as the text of a map onto themselves; RET_N: how many. */
static int namespace_map(const char *path, struct buf *out, uint64_t *ret_n)
{
	FILE *f = fopen(path, "re");
	uint32_t inside, outside, len;

	*ret_n = 0;
	/* No /proc: as if there were no user namespaces. */
	while (f != NULL &&
	       fscanf(f, "%" SCNu32 " %" SCNu32 " %" SCNu32, &inside, &outside, &len) == 3) {
		buf_printf(out, "%" PRIu32 ":%" PRIu32 ":%" PRIu32 ":", inside, inside, len);
		*ret_n += len;
	}
	if (f == NULL)
		*ret_n = ALL_IDS;
	else
		fclose(f);
	return buf_cstr(out) != NULL ? 0 : -ENOMEM;
}

/* Does a line of /etc/subuid begin with USER's name or number? */
static const char *subordinate_line(const char *line, const char *name, unsigned int id)
{
	size_t len = strcspn(line, ":");
	char number[16];

	snprintf(number, sizeof(number), "%u", id);
	if (line[len] != ':')
		return NULL;
	if ((name != NULL && strlen(name) == len && strncmp(line, name, len) == 0) ||
	    (strlen(number) == len && strncmp(line, number, len) == 0))
		return line + len + 1;
	return NULL;
}

/* 0 is SELF, and 1 and up are what PATH gives to this user. */
static int subordinate_map(const char *path, uint32_t self, struct buf *out)
{
	const struct passwd *pw = getpwuid(geteuid());
	FILE *f = fopen(path, "re");
	uint64_t next = 1;
	char line[512];

	buf_printf(out, "0:%" PRIu32 ":1:", self);
	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		const char *rest = subordinate_line(line, pw != NULL ? pw->pw_name : NULL,
						    geteuid());
		uint32_t start, len;

		if (rest == NULL || sscanf(rest, "%" SCNu32 ":%" SCNu32, &start, &len) != 2 ||
		    next + len > UINT32_MAX)
			continue;
		buf_printf(out, "%" PRIu64 ":%" PRIu32 ":%" PRIu32 ":", next, start, len);
		next += len;
	}
	if (f != NULL)
		fclose(f);
	if (buf_cstr(out) == NULL)
		return -ENOMEM;
	return next > 1 ? 0 : -ENOENT;
}

static void squash(struct fs_options *o)
{
	o->uids.squash = o->gids.squash = true;
	o->uids.squash_id = geteuid();
	o->gids.squash_id = getegid();
}

static int set_maps(struct buf *uids, struct buf *gids, struct fs_options *o, struct err *err)
{
	int r = idmap_parse(buf_cstr(uids), "uidmapping", &o->uids, err);

	return r < 0 ? r : idmap_parse(buf_cstr(gids), "gidmapping", &o->gids, err);
}

static int map_subordinate(struct fs_options *o, struct err *err)
{
	CLEANUP(buf) struct buf uids = {0};
	CLEANUP(buf) struct buf gids = {0};
	int r = subordinate_map("/etc/subuid", geteuid(), &uids);

	if (r == 0)
		r = subordinate_map("/etc/subgid", getegid(), &gids);
	if (r == -ENOENT)
		return err_set(err, EINVAL,
			       "owner=map: this user has no ids in /etc/subuid and /etc/subgid");
	return r < 0 ? err_errno(err, -r, "owner=map") : set_maps(&uids, &gids, o, err);
}

static bool is_said(const struct fs_options *o)
{
	return o->squash_to_root || o->uids.squash || o->gids.squash || o->uids.n > 0 ||
	       o->gids.n > 0;
}

int owner_apply(enum owner_shown owner, bool has_image, struct fs_options *o, struct err *err)
{
	CLEANUP(buf) struct buf uids = {0};
	CLEANUP(buf) struct buf gids = {0};
	uint64_t n_uids, n_gids;
	bool whole;

	if (owner == OWNER_UNSAID)
		owner = has_image ? OWNER_AUTO : OWNER_REAL;
	if (owner == OWNER_REAL || is_said(o))
		return 0;
	if (namespace_map("/proc/self/uid_map", &uids, &n_uids) < 0 ||
	    namespace_map("/proc/self/gid_map", &gids, &n_gids) < 0)
		return err_set(err, ENOMEM, "out of memory");
	whole = n_uids >= ALL_IDS && n_gids >= ALL_IDS;
	if (owner == OWNER_AUTO && whole && geteuid() == 0)
		return 0;
	if (owner == OWNER_AUTO)
		owner = whole || n_uids <= 1 || n_gids <= 1 ? OWNER_SQUASH : OWNER_MAP;
	if (owner == OWNER_SQUASH) {
		squash(o);
		return 0;
	}
	return whole ? map_subordinate(o, err) : set_maps(&uids, &gids, o, err);
}
