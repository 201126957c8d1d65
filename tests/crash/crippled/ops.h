/* SPDX-License-Identifier: Apache-2.0 */
/* The operations of the crippled file system. Include after <fuse3/fuse.h>. */
#ifndef PLYFS_TESTS_CRIPPLED_OPS_H
#define PLYFS_TESTS_CRIPPLED_OPS_H

/* Opens the directory that is shown. */
int ops_open_source(const char *path);

/* Which operations exist depends on what is left out. */
const struct fuse_operations *ops_table(void);

#endif
