#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Modes of plyfs in which whole scripts run (tests/support/mode.sh, `scripts/check modes`): what is asked for is in
# effect, by the daemon's own count. Without a mode: each of them, one after the other.
. "$(dirname "$0")/../support/lib.sh"
in_private_ns "$@"
fuse_ready
"${CC:-cc}" -std=gnu17 -D_GNU_SOURCE -O1 -o "$WORK/latency" "$SUPPORT_DIR/../bench/latency.c"

# count NAME: of the statistics.
count() { awk -v name="$1" 'index($0, name " ") {n = $NF} END {print n + 0}' log; }

served_by_loop() { echo $(($(count "loop threads served") + $(count "loop follow served") + $(count "loop follow-idle served"))); }
led() { echo $(($(count "loop follow served") + $(count "loop follow-idle served"))); }

# serve OPTIONS: a new daemon that has something to count: reading, a thousand attributes and a hundred writes.
serve() {
	local dir i
	dir=$(mktemp -d "$WORK/XXXXXX")
	cd "$dir" || exit
	mkdir low upper work mnt
	echo low >low/file
	serve_here "lowerdir=low$1"
	eq "$(cat mnt/file)" low
	if [[ -n $1 ]]; then
		"$WORK/latency" stat mnt 1 1000 >/dev/null
		for i in {1..100}; do echo "$i"; done >mnt/written
	fi
	statistics
}

served() {
	umount mnt
	wait "$DAEMON"
}

loop_in_effect() {
	serve ,upperdir=upper,workdir=work
	case $MODE in
	*,loop=threads,*) eq "$(led)" 0 "requests that were led" ;;
	*,io_uring=1,*) (($(served_by_loop) < $(count "request getattr"))) || fail "not by io_uring: $(cat log)" ;;
	*) (($(served_by_loop) >= 1000)) || fail "not by the loop: $(cat log)" ;;
	esac
	if [[ $MODE == *,loop=follow,* && $MODE != *,io_uring=1,* ]]; then
		(($(led) > 0)) || fail "no request was led: $(cat log)"
	fi
	served
}

writes_in_effect() {
	serve ,upperdir=upper,workdir=work
	case $MODE in
	*,writeback=0,*) eq "$(count "request write")" 100 "requests for 100 writes" ;;
	*) (($(count "request write") < 50)) || fail "no writeback cache: $(cat log)" ;;
	esac
	served
}

# Nothing can be written there.
io_in_effect() {
	serve ""
	case $MODE in
	*,io=passthrough,*) (($(count "opens passed through") > 0)) || fail "nothing is passed through: $(cat log)" ;;
	*) eq "$(count "opens passed through") $(count "request open")" "0 1" "opens passed through, of" ;;
	esac
	served
}

# in_mode OPTIONS CHECK: as the whole script is with PLYFS_TEST_MOUNT_OPTIONS.
in_mode() {
	PLYFS_TEST_MOUNT_OPTIONS=$1 MODE=,$1,
	PLYFS=$PLYFS_BINARY
	make_mode_program "$WORK/mode-$2"
	"$2"
}

# all_in_effect [OPTIONS]
all_in_effect() {
	local check
	for check in loop_in_effect writes_in_effect io_in_effect; do
		run_test "${check%_in_effect}${1:+, $1}" ${1:+in_mode "$1"} "$check"
	done
}

all_in_effect
if [[ $MODE == ,, ]]; then
	set_switch "$FUSE_URING" Y
	for options in loop=threads loop=follow io_uring=1 writeback=0 io=passthrough; do all_in_effect "$options"; done
	restore_switches
fi
finish
