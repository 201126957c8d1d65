/* SPDX-License-Identifier: Apache-2.0 */
/* Which backend a directory is for. */
#include "layer/backends.h"

#include <fcntl.h>

#include "base/sys.h"

bool layer_is_upper(int fd)
{
	struct stat st;

	return sys_fstatat(fd, ".plyfs", &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

int layer_open_auto(int fd, const char *path, const struct layer_options *options,
		    struct layer **ret_layer, struct err *err)
{
	if (layer_is_upper(fd))
		return layer_open_upper(fd, path, options, ret_layer, err);
	return layer_open_dir(fd, path, options, ret_layer, err);
}
