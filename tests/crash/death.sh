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

mount_in_front() {
	"$PLYFS" -f -o "$OPTIONS" "$D/m" 2>"$D/log" &
	PID=$!
	wait_until 20 is_plyfs_mount "$D/m" || fail "not mounted: $(cat "$D/log")"
}

syncs() {
	local name
	D=$WORK/$2
	mkdir -p "$D"/{l,u,w,m}
	OPTIONS=lowerdir=$D/l,upperdir=$D/u,workdir=$D/w$1
	mount_in_front
	python3 "$SYNC" "$D/m" "$PID" >"$D/synced"
	grep -qx before "$D/synced" || fail "it did not come to the kill: $(cat "$D/synced")"
	umount -l "$D/m"
	mount_in_front
	head -c 15000 /dev/zero | tr '\0' x >"$D/bytes"
	while read -r name; do
		cmp "$D/bytes" "$D/m/$name" || fail "$name was a success"
	done <"$D/synced"
	umount_plyfs "$D/m"
}

run_test "after the daemon a sync that succeeds has its bytes" syncs "" plain
run_test "after the daemon a sync that succeeds has its bytes: volatile" syncs ,volatile volatile
run_test "after the daemon a sync that succeeds has its bytes: fsync=0" syncs ,fsync=0 fsync
run_test "after the daemon a sync that succeeds has its bytes: volatile, writeback=0" syncs ,volatile,writeback=0 through
finish
