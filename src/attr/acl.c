/* SPDX-License-Identifier: Apache-2.0 */
/* POSIX ACLs in the kernel's xattr form. */
#include "attr/acl.h"

#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <sys/stat.h>

#define HEAD_LEN  sizeof(struct posix_acl_xattr_header)
#define ENTRY_LEN sizeof(struct posix_acl_xattr_entry)

#define ACL_RWX (ACL_READ | ACL_WRITE | ACL_EXECUTE)

struct entry {
	uint16_t tag;
	uint16_t perm;
	uint32_t id;
};

/* A reader that stands on the first entry; bad when the bytes are no table of entries. */
static struct reader entries_of(const void *acl, size_t len)
{
	struct reader r = reader_of(acl, len);

	if (read_u32(&r) != POSIX_ACL_XATTR_VERSION || r.left % ENTRY_LEN != 0)
		r.bad = true;
	return r;
}

static bool next_entry(struct reader *r, struct entry *ret_entry)
{
	if (r->bad || r->left == 0)
		return false;
	ret_entry->tag = read_u16(r);
	ret_entry->perm = read_u16(r);
	ret_entry->id = read_u32(r);
	return true;
}

static bool is_named(uint16_t tag)
{
	return tag == ACL_USER || tag == ACL_GROUP;
}

/* As the kernel writes an entry: one that names nobody has the undefined id. */
static void put_entry(struct buf *b, const struct entry *e)
{
	buf_put_u16(b, e->tag);
	buf_put_u16(b, e->perm);
	buf_put_u32(b, is_named(e->tag) ? e->id : (uint32_t)ACL_UNDEFINED_ID);
}

/* Gives what OUT holds to RET, or fails and leaves RET alone. */
static int hand_over(struct buf *out, struct buf *ret)
{
	if (!buf_ok(out))
		return -ENOMEM;
	buf_done(ret);
	*ret = *out;
	*out = (struct buf){0};
	return 0;
}

/*
 * The order of an ACL: the owner, named users, the group, named groups, the mask, the others. AT is
 * the tag that is expected or, for named entries, allowed next; 0 when the ACL is complete.
 */
struct order {
	uint16_t at;
	bool needs_mask;
};

static bool order_step(struct order *o, const struct entry *e)
{
	uint16_t at = o->at;

	switch (e->tag) {
	case ACL_USER_OBJ:
		o->at = ACL_USER;
		return at == ACL_USER_OBJ;
	case ACL_GROUP_OBJ:
		o->at = ACL_GROUP;
		return at == ACL_USER;
	case ACL_USER:
	case ACL_GROUP:
		o->needs_mask = true;
		return at == e->tag;
	case ACL_MASK:
		o->at = ACL_OTHER;
		return at == ACL_GROUP;
	case ACL_OTHER:
		o->at = 0;
		return at == ACL_OTHER || (at == ACL_GROUP && !o->needs_mask);
	default:
		return false;
	}
}

/* STORED: an id that a user namespace could not tell us may be in it. */
static int check(const void *acl, size_t len, bool stored)
{
	struct reader r = entries_of(acl, len);
	struct order order = {.at = ACL_USER_OBJ};
	struct entry e;

	while (next_entry(&r, &e)) {
		if ((e.perm & ~ACL_RWX) != 0 || !order_step(&order, &e))
			return -EINVAL;
		if (!stored && is_named(e.tag) && e.id == ID_UNMAPPED)
			return -EINVAL;
	}
	return reader_ok(&r) && order.at == 0 ? 0 : -EINVAL;
}

int acl_check(const void *acl, size_t len)
{
	return check(acl, len, false);
}

/* What an ACL says about the three classes of the mode; the group class is the mask's if any. */
struct classes {
	uint32_t user, group, other;
	bool has_mask; /* and so says more than a mode can */
};

static struct classes classes_of(const void *acl, size_t len)
{
	struct reader r = entries_of(acl, len);
	struct classes c = {0};
	struct entry e;

	while (next_entry(&r, &e)) {
		switch (e.tag) {
		case ACL_USER_OBJ:
			c.user = e.perm;
			break;
		case ACL_GROUP_OBJ:
			c.group = e.perm;
			break;
		case ACL_MASK:
			c.group = e.perm;
			c.has_mask = true;
			break;
		case ACL_OTHER:
			c.other = e.perm;
			break;
		default:
			break;
		}
	}
	return c;
}

static uint32_t classes_to_mode(const struct classes *c, uint32_t mode)
{
	return (mode & ~(uint32_t)ACCESSPERMS) | c->user << 6 | c->group << 3 | c->other;
}

/* The same ACL with other classes. */
static void put_with_classes(const void *acl, size_t len, const struct classes *c, struct buf *out)
{
	struct reader r = entries_of(acl, len);
	struct entry e;

	buf_put_u32(out, POSIX_ACL_XATTR_VERSION);
	while (next_entry(&r, &e)) {
		if (e.tag == ACL_USER_OBJ)
			e.perm = (uint16_t)c->user;
		else if (e.tag == (c->has_mask ? ACL_MASK : ACL_GROUP_OBJ))
			e.perm = (uint16_t)c->group;
		else if (e.tag == ACL_OTHER)
			e.perm = (uint16_t)c->other;
		put_entry(out, &e);
	}
}

int acl_to_mode(const void *acl, size_t len, uint32_t *mode, bool *ret_equiv)
{
	struct classes c;
	int r = acl_check(acl, len);

	if (r < 0)
		return r;
	c = classes_of(acl, len);
	*mode = classes_to_mode(&c, *mode);
	*ret_equiv = !c.has_mask;
	return 0;
}

int acl_chmod(const void *acl, size_t len, uint32_t mode, struct buf *ret_acl)
{
	CLEANUP(buf) struct buf out = {0};
	struct classes c;
	int r = check(acl, len, true);

	if (r < 0)
		return r;
	c = classes_of(acl, len);
	c.user = mode >> 6 & ACL_RWX;
	c.group = mode >> 3 & ACL_RWX;
	c.other = mode & ACL_RWX;
	put_with_classes(acl, len, &c, &out);
	return hand_over(&out, ret_acl);
}

int acl_inherit(const void *def, size_t len, uint32_t *mode, struct buf *ret_access)
{
	CLEANUP(buf) struct buf out = {0};
	struct classes c;
	int r = check(def, len, true);

	if (r < 0)
		return r;
	/* A symbolic link has neither permissions nor an ACL to inherit. */
	if (S_ISLNK(*mode))
		return hand_over(&out, ret_access);
	c = classes_of(def, len);
	c.user &= *mode >> 6;
	c.group &= *mode >> 3;
	c.other &= *mode;
	if (c.has_mask)
		put_with_classes(def, len, &c, &out);
	r = hand_over(&out, ret_access);
	if (r < 0)
		return r;
	*mode = classes_to_mode(&c, *mode);
	return 0;
}

/* Puts the id of a named entry through the map of its kind. */
static int map_entry(struct entry *e, const struct idmap *uids, const struct idmap *gids,
		     bool to_disk)
{
	const struct idmap *map = e->tag == ACL_USER ? uids : gids;

	if (!is_named(e->tag))
		return 0;
	if (to_disk)
		return idmap_to_disk(map, e->id, &e->id);
	e->id = idmap_to_shown(map, e->id);
	return 0;
}

int acl_map_ids(const void *acl, size_t len, const struct idmap *uids, const struct idmap *gids,
		bool to_disk, struct buf *ret_acl)
{
	CLEANUP(buf) struct buf out = {0};
	struct reader r = entries_of(acl, len);
	struct entry e;

	buf_put_u32(&out, POSIX_ACL_XATTR_VERSION);
	while (next_entry(&r, &e)) {
		int err = map_entry(&e, uids, gids, to_disk);

		if (err < 0)
			return err;
		/* The kernel takes no ACL with such an id, and another id would let somebody in. */
		if (!to_disk && is_named(e.tag) && e.id == ID_UNMAPPED)
			continue;
		put_entry(&out, &e);
	}
	if (!reader_ok(&r))
		return -EINVAL;
	return hand_over(&out, ret_acl);
}
