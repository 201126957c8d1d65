/* SPDX-License-Identifier: Apache-2.0 */
/* plyfs help: what the manual page says, in one screen. */
#include <stdio.h>

#include "cli/commands.h"

static const char text[] =
	"usage: plyfs mount --lower DIR... [--upper DIR] [-o OPTIONS] MOUNTPOINT\n"
	"       plyfs mount IMAGE MOUNTPOINT [--upper DIR | --tmp-upper]\n"
	"       plyfs umount [-l] MOUNTPOINT...\n"
	"       plyfs ps [--reap]\n"
	"       plyfs fsck [--repair | --salvage DIR] UPPER\n"
	"       plyfs doctor [--json]\n"
	"       plyfs version\n"
	"       plyfs [-f] [-d] [-o OPTIONS]... [SOURCE] MOUNTPOINT   as fuse-overlayfs\n"
	"\n"
	"Shows read-only layers and a writable one as a single tree.\n"
	"\n"
	"plyfs mount:\n"
	"  --lower DIR          a read-only layer; the first one given is topmost\n"
	"  --data DIR           a layer that only redirects lead to\n"
	"  --layers-file FILE   layers, one path a line\n"
	"  --upper DIR          the writable layer; without it the mount is read-only\n"
	"  --work DIR           accepted for other programs' sake, not used\n"
	"  --read-only          change nothing, even with --upper\n"
	"  --foreground, -f     stay in the foreground\n"
	"  --debug, -d          log every request, in the foreground\n"
	"  --strict             refuse options that are unknown\n"
	"\n"
	"plyfs mount IMAGE:      oci:DIR[:TAG], docker-archive:FILE, a layer's tar, ...\n"
	"  --tmp-upper          a writable layer that goes away with the mount\n"
	"  --layer N, --upto N  only layer N (1 is the lowest), or all up to it\n"
	"  --platform OS/ARCH   of an image for several\n"
	"  --cache DIR          where indexes of layers are kept\n"
	"  --strict-image       refuse what breaks the image specification\n"
	"  -o owner=auto|real|squash|map    whose the files are shown to be\n"
	"\n"
	"plyfs fsck:             checks an upper layer\n"
	"  --repair             mend what has one right answer, the rest goes to lost+found\n"
	"  --salvage DIR        write what can be read of a broken one into DIR\n"
	"\n"
	"plyfs doctor:           says what keeps plyfs from working here, and what would make it faster\n"
	"\n"
	"options (-o), of which plyfs(1) has the full list:\n"
	"  lowerdir=A:B:...,upperdir=U,workdir=W    the layers; A is topmost\n"
	"  uidmapping=DISK:SHOWN:COUNT...           how owners are shown; also gidmapping=\n"
	"  squash_to_root, squash_to_uid=N, squash_to_gid=N\n"
	"  volatile             do not sync: after a crash of the system the upper is worthless\n"
	"  noacl, noxattrs=1, static_nlink, ino32_t, atime\n"
	"  timeout=SECONDS      trust names and attributes that long; 0: layers may change\n"
	"  loop=auto|follow|threads, threads=N, writeback=0|1, io_uring=0|1\n"
	"  ro, nosuid, nodev, noexec, allow_other, fsname=NAME, remount\n"
	"  lower_changed=accept, catalog_map=auto|yes|no, strict\n";

int cmd_help(const struct invocation *by, int argc, char **argv)
{
	return fputs(text, stdout) >= 0 && fflush(stdout) == 0 ? 0 : 1;
}
