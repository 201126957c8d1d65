/* SPDX-License-Identifier: Apache-2.0 */
/* Private files, and telling what is remote. */
#include "catalog/private.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/sys.h"

/*
 * File systems on which a mapping can go stale, or end the process with SIGBUS when a server does
 * not answer. FUSE is here because nobody can tell sshfs from a local one; so is virtiofs, which
 * says that it is FUSE. Cluster file systems have coherent mappings, until the node is fenced.
 */
static const uint32_t remote_types[] = {
	NFS_SUPER_MAGIC,  SMB_SUPER_MAGIC, 0xFF534D42, /* CIFS */
	0xFE534D42,				       /* SMB 2 and 3 */
	FUSE_SUPER_MAGIC, V9FS_MAGIC,	   0x00C36400, /* Ceph */
	AFS_SUPER_MAGIC,  0x6B414653,		       /* AFS, the kernel's own */
	CODA_SUPER_MAGIC, NCP_SUPER_MAGIC, 0x0BD00BD0, /* Lustre */
	0x47504653,				       /* GPFS */
	0x01161970,				       /* GFS2 */
	0x7461636F,				       /* OCFS2 */
	0x19830326,				       /* BeeGFS */
	0x20030528,				       /* OrangeFS */
	0xAAD7AAEA,				       /* PanFS */
	0x013111A8,				       /* IBRIX */
	0xBEEFDEAD,				       /* StorNext */
	0x61636673,				       /* ACFS */
	0x7C7C6673,				       /* Parallels' shared folders */
	0x786F4256,				       /* VirtualBox' shared folders */
	0xBACBACBC,				       /* VMware's shared folders */
};

bool private_is_remote(int fd)
{
	struct statfs st;

	if (fstatfs(fd, &st) < 0)
		return false;
	for (size_t i = 0; i < sizeof(remote_types) / sizeof(*remote_types); i++)
		if ((uint32_t)st.f_type == remote_types[i])
			return true;
	return false;
}

int private_file(void)
{
	const char *dirs[] = {getenv("TMPDIR"), "/var/tmp", "/tmp"};
	int fd;

	for (size_t i = 0; i < sizeof(dirs) / sizeof(*dirs); i++) {
		if (dirs[i] == NULL || dirs[i][0] != '/')
			continue;
		fd = sys_openat(AT_FDCWD, dirs[i], O_TMPFILE | O_RDWR, 0600);
		if (fd >= 0 && !private_is_remote(fd))
			return fd;
		if (fd >= 0)
			close(fd);
	}
	fd = memfd_create("plyfs-catalog", MFD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

void private_path(int fd, char path[PRIVATE_PATH_MAX])
{
	snprintf(path, PRIVATE_PATH_MAX, "/proc/self/fd/%d", fd);
}
