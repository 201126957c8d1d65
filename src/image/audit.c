/* SPDX-License-Identifier: Apache-2.0 */
/* What an audit puts up with. */
#include "image/audit.h"

#include <errno.h>

#include "image/document.h"

/* Bytes that are wrong or absent; not a machine or a network that does not do its part. */
static bool is_images_own(int rc)
{
	switch (rc) {
	case -EBADMSG:
	case -ENOENT:
	case -E2BIG:
	case -EINVAL:
	case -EISDIR:
	case -ENOTDIR:
	case -ELOOP:
	case -EXDEV:
	case -ENAMETOOLONG:
		return true;
	}
	return false;
}

static void ignore(void *arg, const char *text)
{
	(void)arg;
	(void)text;
}

const struct image_audit audit_silent = {.fault = ignore};

int audit_forgive(const struct image_audit *audit, int rc, struct err *err)
{
	if (rc >= 0 || audit == NULL || !is_images_own(rc))
		return rc;
	audit->fault(audit->arg, err_text(err));
	err_done(err);
	return 0;
}

void audit_document(const struct image_audit *audit, enum audit_document what,
		    const struct document *d)
{
	if (audit != NULL)
		audit->document(audit->arg, what, d->name, d->root);
}
