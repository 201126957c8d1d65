/* SPDX-License-Identifier: Apache-2.0 */
/* mount -o remount: other flags for a mount that is there; its daemon has no part in it. */
#include "cli/remount.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>

static const struct {
	const char *name;
	unsigned long flag;
	bool set;
} flag_names[] = {
	{"ro", MS_RDONLY, true},	{"rw", MS_RDONLY, false},
	{"nosuid", MS_NOSUID, true},	{"suid", MS_NOSUID, false},
	{"nodev", MS_NODEV, true},	{"dev", MS_NODEV, false},
	{"noexec", MS_NOEXEC, true},	{"exec", MS_NOEXEC, false},
	{"sync", MS_SYNCHRONOUS, true}, {"async", MS_SYNCHRONOUS, false},
	{"dirsync", MS_DIRSYNC, true},	{"nodiratime", MS_NODIRATIME, true},
	{"noatime", MS_NOATIME, true},
};

unsigned long remount_flags(unsigned long flags, char *const *options, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < sizeof(flag_names) / sizeof(*flag_names); k++) {
			if (strcmp(options[i], flag_names[k].name) != 0)
				continue;
			if (flag_names[k].set)
				flags |= flag_names[k].flag;
			else
				flags &= ~flag_names[k].flag;
		}
	}
	return flags;
}

/* What statvfs(3) says of a mount, in the flags of mount(2). */
static unsigned long current_flags(unsigned long st_flags)
{
	static const struct {
		unsigned long st, ms;
	} map[] = {
		{ST_RDONLY, MS_RDONLY},
		{ST_NOSUID, MS_NOSUID},
		{ST_NODEV, MS_NODEV},
		{ST_NOEXEC, MS_NOEXEC},
		{ST_SYNCHRONOUS, MS_SYNCHRONOUS},
		{ST_NOATIME, MS_NOATIME},
		{ST_NODIRATIME, MS_NODIRATIME},
		{ST_RELATIME, MS_RELATIME},
	};
	unsigned long flags = 0;

	for (size_t i = 0; i < sizeof(map) / sizeof(*map); i++)
		if (st_flags & map[i].st)
			flags |= map[i].ms;
	return flags;
}

int remount(const char *mountpoint, char *const *options, size_t n, struct err *err)
{
	struct statfs fs;
	struct statvfs st;
	unsigned long flags;

	if (statfs(mountpoint, &fs) < 0 || statvfs(mountpoint, &st) < 0)
		return err_errno(err, errno, "cannot remount %s", mountpoint);
	if (fs.f_type != FUSE_SUPER_MAGIC)
		return err_set(err, EINVAL, "cannot remount %s: no plyfs is mounted there",
			       mountpoint);
	flags = remount_flags(current_flags(st.f_flag), options, n);
	if (mount(NULL, mountpoint, NULL, MS_REMOUNT | flags, NULL) < 0)
		return err_errno(err, errno, "cannot remount %s", mountpoint);
	return 0;
}
