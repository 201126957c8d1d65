/* SPDX-License-Identifier: Apache-2.0 */
/* docker://: nothing of it is there so far but the refusal. */
#include "image/source.h"
#include <errno.h>
int source_open_registry(const struct reference *r, const struct image_options *options,
			 struct image_source **ret, struct err *err)
{
	return err_set(err, ENOTSUP, "%s: registries are not read yet", r->text);
}
int registry_root(struct image_source *s, const struct reference *r, struct document *ret,
		  struct err *err)
{
	return err_set(err, ENOTSUP, "%s: registries are not read yet", r->text);
}
