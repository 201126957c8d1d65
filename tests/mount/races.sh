#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Calls that race with each other leave no lasting mistake in the kernel's caches.
. "$(dirname "$0")/../support/lib.sh"
need_packages python3
in_private_ns "$@"
fuse_ready

after_failure() {
	drop_mounts
	rm -rf "$WORK"/{low,upper,work}
}

# race NAME ROUNDS OPTIONS
race() {
	mkdir -p "$WORK"/{low,upper,work,mnt}
	mount_plyfs "lowerdir=$WORK/low,upperdir=$WORK/upper,workdir=$WORK/work$3" "$WORK/mnt"
	/usr/bin/python3 "$(dirname "$0")/races.py" "$1" "$WORK/mnt" "$2"
	umount_plyfs "$WORK/mnt"
	rm -rf "$WORK"/{low,upper,work}
}

for options in "" ",writeback=0"; do
	run_test "an unlinked name counts once${options/,/, }" race links 3000 "$options"
	run_test "what is made in a directory counts while its parent is listed${options/,/, }" race names 3000 "$options"
	run_test "a mode set by an ACL counts while the parent is listed${options/,/, }" race acls 3000 "$options"
	run_test "a renamed inode has its new ctime while it is asked for${options/,/, }" race moved 100 "$options"
	run_test "two that change places have theirs${options/,/, }" race swapped 100 "$options"
done
finish
