#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The daemon has died, and programs go on: a sync that is a success has its bytes in the upper, however little
# the mount syncs.
# shellcheck source=tests/support/lib.sh
. "$(dirname "$0")/../support/lib.sh"
need_packages python3
in_private_ns "$@"
fuse_ready

SYNC=$(cd "$(dirname "$0")/death" && pwd)/sync.py

syncs() {
	local name options=lowerdir=l,upperdir=u,workdir=w$1
	mkdir "$WORK/$2"
	cd "$WORK/$2" || exit
	mkdir l u w mnt
	serve_here "$options"
	python3 "$SYNC" mnt "$DAEMON" >synced
	grep -qx before synced || fail "it did not come to the kill: $(cat synced)"
	umount -l mnt
	serve_here "$options"
	head -c 15000 /dev/zero | tr '\0' x >bytes
	while read -r name; do
		cmp bytes "mnt/$name" || fail "$name was a success"
	done <synced
	umount_plyfs "$PWD/mnt"
	served_well
}

run_test "after the daemon a sync that succeeds has its bytes" syncs "" plain
run_test "after the daemon a sync that succeeds has its bytes: volatile" syncs ,volatile volatile
run_test "after the daemon a sync that succeeds has its bytes: fsync=0" syncs ,fsync=0 fsync
run_test "after the daemon a sync that succeeds has its bytes: volatile, writeback=0" syncs ,volatile,writeback=0 through
finish
