#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Starting: whatever the caller left of its descriptors, its limits and its mounts, a mount that is told of is served.
. "$(dirname "$0")/../support/lib.sh"
need_packages attr fuse3
in_private_ns "$@"
fuse_ready
make_user

fresh() {
	rm -rf "$WORK/t"
	mkdir -p "$WORK/t"/{low,upper,mnt}
	echo text >"$WORK/t/low/file"
	cd "$WORK/t" || exit
}

# closed FDS COMMAND…
closed() {
	local fd fds=$1
	shift
	(
		for fd in $fds; do eval "exec $fd<&-"; done
		exec "$@"
	)
}

# Ticks of all processors that a process took.
ticks() { awk '{print $14 + $15}' "/proc/$1/stat"; }

# started_without FDS OPTIONS
started_without() {
	local pid before rc=0
	closed "$1" timeout 60 "$PLYFS" -o "$2" "$PWD/mnt" || rc=$?
	eq "$rc" 0 "status with $1 closed"
	is_plyfs_mount "$PWD/mnt" || fail "not mounted with $1 closed"
	pid=$(daemon_pids "$PWD/mnt")
	eq "$(readlink "/proc/$pid"/fd/{0,1,2} | uniq)" /dev/null "descriptors 0 to 2 with $1 closed"
	eq "$(cat mnt/file)" text
	eq "$(stat -f -c '%S %b' mnt)" "$(stat -f -c '%S %b' low)" "size of the file system with $1 closed"
	before=$(ticks "$pid")
	sleep 0.5
	(($(ticks "$pid") - before < 20)) || fail "with $1 closed the daemon is busy with nothing"
	kill -TERM "$pid"
	wait_until 20 all_gone "$pid" || fail "with $1 closed SIGTERM does not end it"
	no_mounts "$WORK/t" || fail "something stayed mounted"
}

closed_descriptors() {
	local fds
	for fds in 0 1 2 "0 1" "0 2" "1 2" "0 1 2"; do
		fresh
		started_without "$fds" lowerdir=low
		started_without "$fds" lowerdir=low,upperdir=upper
	done
}

# What a command had to say went nowhere: that is no success.
closed_output() {
	local command
	fresh
	for command in help version "ls low" "cat low/ file" "stat low/ file" doctor; do
		# shellcheck disable=SC2086  # words of a command
		"$PLYFS" $command >out 2>err || [[ $command == doctor ]] || fail "$command: $(cat err)"
		# shellcheck disable=SC2086
		refuses closed 1 "$PLYFS" $command
		# shellcheck disable=SC2086
		refuses closed "0 1 2" "$PLYFS" $command
	done
	refuses closed "0 1" "$PLYFS" -o lowerdir=nowhere mnt 2>err
	contains "$(cat err)" nowhere
}

after_failure() { drop_mounts; }

run_test "descriptors that are closed" closed_descriptors
run_test "output that is closed" closed_output
finish
