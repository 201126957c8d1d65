#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Memory grows with the inodes that the kernel holds, and goes back to the system when it forgets them.
. "$(dirname "$0")/../support/lib.sh"
in_private_ns "$@"
fuse_ready

NAMES=30000
# Of the resident memory, an inode may take this much while it is held (bytes).
A_NAME=250

# resident MOUNTPOINT: kilobytes.
resident() {
	awk '/^VmRSS:/ {print $2}' "/proc/$(daemon_pids "$1")/status"
}

at_most() {
	(($(resident "$1") <= $2))
}

walk_and_forget() {
	local before held limit
	mkdir -p "$WORK"/{low,upper,work,mnt}
	(cd "$WORK/low" && seq -f 'd%g' 300 | xargs mkdir &&
		seq 0 $((NAMES - 1)) | awk '{printf "d%d/a file of the layer %d\n", $1 % 300 + 1, $1}' | tr '\n' '\0' | xargs -0 touch)
	mount_plyfs "lowerdir=$WORK/low,upperdir=$WORK/upper,workdir=$WORK/work" "$WORK/mnt"
	stat "$WORK/mnt/d1" >"$WORK/out"
	before=$(resident "$WORK/mnt")
	find "$WORK/mnt" -type f -printf '%s\n' >"$WORK/sizes"
	eq "$(wc -l <"$WORK/sizes")" "$NAMES"
	held=$(resident "$WORK/mnt")
	((held - before <= NAMES * A_NAME / 1024)) || fail "$((held - before)) kB for $NAMES names"

	# Has the kernel drop what it holds of this mount, and of no other.
	mount -i -o remount,rw "$WORK/mnt"
	limit=$((before + (held - before) / 2))
	wait_until 30 at_most "$WORK/mnt" "$limit" ||
		fail "$before kB, with $NAMES names $held kB, without them still $(resident "$WORK/mnt") kB"
	umount_plyfs "$WORK/mnt"
}

# The sanitizers' allocator has a heap of its own, which keeps what is freed. (clang links it statically.)
if grep -q __asan_init "$PLYFS"; then
	skip "memory is given back when names are forgotten" "a sanitizer keeps what is freed"
	finish
fi
run_test "memory is given back when names are forgotten" walk_and_forget
finish
