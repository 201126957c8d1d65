#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The daemon is killed at random moments: everything that was answered is there after the next mount,
# and nothing is there in part. See kill/main.c.
#
#     kill.sh [KILLS [SEED]]	default: as many kills as fit into a minute; thousands: kill.sh 5000
set -euo pipefail
# shellcheck source=tests/support/lib.sh
. "$(dirname "$0")/../support/lib.sh"
in_private_ns "$@"
fuse_ready

KILLS=${1:-100000}
SEED=${2:-$((RANDOM * 32768 + RANDOM))}
# Seconds; none when the kills are counted: such a run may take as long as it needs.
LIMIT=55 PLYFS_TEST_LIMIT=180 PLYFS_TEST_LINES=100
[[ $# == 0 ]] || LIMIT=0 PLYFS_TEST_LIMIT=86400

build_kill() {
	local sources
	sources=$(cd "$(dirname "$0")" && pwd)/kill
	"${CC:-cc}" -std=gnu17 -D_GNU_SOURCE -O2 -g -Wall -Wextra -I"$SUPPORT_DIR/.." -o "$WORK/kill" \
		"$sources"/*.c -pthread
}

# The numbers go to the log of the script as they are.
kills() {
	mkdir -p "$WORK/scene"
	"$WORK/kill" "$PLYFS" "$WORK/scene" "$SEED" "$KILLS" "$LIMIT" >"$WORK/result" || {
		cat "$WORK/result"
		fail "seed $SEED: $(sed -n 2p "$WORK/result")"
	}
}

enough() {
	local n
	n=$(sed -n 's/.*: \([0-9]*\) kills.*/\1/p' "$WORK/result")
	((n >= 100)) || fail "only $n kills"
}

build_kill
run_test "nothing answered is lost, nothing is there in part (seed $SEED)" kills
[[ ! -s $WORK/result ]] || sed 's/^/# /' "$WORK/result"
run_test "there were at least a hundred kills" enough
finish
