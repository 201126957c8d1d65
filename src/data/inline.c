/* SPDX-License-Identifier: Apache-2.0 */
/* The content of small files, whole and in memory. */
#include <errno.h>
#include <string.h>

#include "data/private.h"

int inline_load(struct data *d, const struct inode_rec *rec, uint8_t *ret_content)
{
	ssize_t n;

	if (rec->attr.size > DATA_INLINE_MAX)
		return -EUCLEAN;
	memset(ret_content, 0, DATA_INLINE_MAX);
	if (rec->attr.size == 0)
		return 0;
	n = catalog_inline(d->catalog, rec->attr.ino, 0, ret_content, rec->attr.size);
	return n < 0 ? (int)n : 0;
}

int inline_from_lower(const struct inode_rec *rec, const struct data_source *src,
		      uint8_t *ret_content)
{
	if (rec->attr.size > DATA_INLINE_MAX || rec->lower_size > rec->attr.size)
		return -EUCLEAN;
	memset(ret_content, 0, DATA_INLINE_MAX);
	if (rec->lower_size == 0)
		return 0;
	return src == NULL ? -EIO : source_read(src, ret_content, rec->lower_size, 0);
}
