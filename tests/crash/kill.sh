#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The daemon is killed at random moments: everything that was answered is there after the next mount,
# and nothing is there in part. See kill/main.c.
#
#     kill.sh [KILLS [SEED]]	default: 300 kills; with 5000 it takes a quarter of an hour
set -euo pipefail
# shellcheck source=tests/support/lib.sh
. "$(dirname "$0")/../support/lib.sh"
in_private_ns "$@"
fuse_ready

KILLS=${1:-300}
SEED=${2:-$((RANDOM * 32768 + RANDOM))}
PLYFS_TEST_LIMIT=$((300 + KILLS * 2)) PLYFS_TEST_LINES=100

build_kill() {
	local sources
	sources=$(cd "$(dirname "$0")" && pwd)/kill
	"${CC:-cc}" -std=gnu17 -D_GNU_SOURCE -O2 -g -Wall -Wextra -I"$SUPPORT_DIR/.." -o "$WORK/kill" \
		"$sources"/*.c -pthread
}

# The numbers go to the log of the script as they are.
kills() {
	mkdir -p "$WORK/scene"
	"$WORK/kill" "$PLYFS" "$WORK/scene" "$SEED" "$KILLS" >"$WORK/result" || {
		cat "$WORK/result"
		[[ ! -s $WORK/scene/log ]] || sed 's/^/daemon: /' "$WORK/scene/log"
		fail "seed $SEED: $(sed -n 2p "$WORK/result")"
	}
}

build_kill
run_test "$KILLS kills: nothing answered is lost, nothing is there in part (seed $SEED)" kills
[[ ! -s $WORK/result ]] || sed 's/^/# /' "$WORK/result"
finish
