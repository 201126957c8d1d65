/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POSIX ACLs in the kernel's xattr form (linux/posix_acl_xattr.h: le32 version 2, then entries of
 * le16 tag, le16 perm, le32 id). Pure functions on bytes; the rules are those of fs/posix_acl.c
 * and acl(5).
 */
#ifndef PLYFS_ATTR_ACL_H
#define PLYFS_ATTR_ACL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attr/idmap.h"
#include "base/buf.h"

/*
 * Every function but acl_map_ids() first checks its ACL as acl_check() does; in those that are stored, which acl_chmod() and
 * acl_inherit() get, named entries may be of ID_UNMAPPED. A buffer that is returned into is replaced, not appended to, and may be the one that holds the ACL passed in; it
 * is untouched on failure (-EINVAL, -ENOMEM).
 */

#define ACL_XATTR_ACCESS  "system.posix_acl_access"
#define ACL_XATTR_DEFAULT "system.posix_acl_default"

/*
 * 0 when the bytes are a well-formed, ordered and complete ACL; -EINVAL otherwise. An ACL without
 * entries, by which setxattr(2) removes one, is not complete.
 */
int acl_check(const void *acl, size_t len);

/*
 * The permission bits that an access ACL stands for are put into the low nine bits of *MODE.
 * RET_EQUIV: the ACL says nothing more than those bits, so it need not be stored.
 */
int acl_to_mode(const void *acl, size_t len, uint32_t *mode, bool *ret_equiv);

/* The access ACL after chmod(MODE): the owner, other and mask (or group) entries change. */
int acl_chmod(const void *acl, size_t len, uint32_t mode, struct buf *ret_acl);

/*
 * A new object in a directory whose default ACL is DEF: its mode is masked by the ACL (the umask is
 * not used), and RET_ACCESS gets its access ACL, empty when the mode alone says it all. A symbolic
 * link inherits nothing.
 */
int acl_inherit(const void *def, size_t len, uint32_t *mode, struct buf *ret_access);

/*
 * The same ACL with its ids mapped (for showing, or for storing: TO_DISK, which fails with
 * -EOVERFLOW for an id that has no place on disk). Entries for users and groups whom the map does not have are not
 * shown: nobody here is one of them. Any table of entries will do.
 */
int acl_map_ids(const void *acl, size_t len, const struct idmap *uids, const struct idmap *gids,
		bool to_disk, struct buf *ret_acl);

#endif
