#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The long run: files that change by every means, names that come and go by several threads while
# directories move, and copy-ups that race, each load knowing what must be there. Meanwhile memory,
# descriptors and disk are watched: they must not creep. At the end all is compared, before and after
# mounting again.
#
#     long.sh [SECONDS [SEED]]	default: 100 seconds, which is 2 minutes with everything; an hour: 3600
. "$(dirname "$0")/../support/lib.sh"
. "$SUPPORT_DIR/oracle.sh"
need_packages lmdb-utils
in_private_ns "$@"
build_oracle

SECS=${1:-100}
SEED=${2:-$((RANDOM * 32768 + RANDOM))}
SOURCES=$(cd "$(dirname "$0")/long" && pwd)
LONG=$WORK/long
export PLYFS_TEST_LIMIT=$((SECS + 180))
echo "# seed $SEED"

build_loads() {
	"${CC:-cc}" -std=gnu17 -D_GNU_SOURCE -O1 -g -Wall -Wextra -pthread -I"$SUPPORT_DIR/.." -o "$LONG" "$SOURCES"/*.c
	mkdir "$WORK/lower"
	"$LONG" lower "$WORK/lower"
}

# mount_it DIR WRITEBACK
mount_it() {
	mkdir -p "$1/upper" "$1/mnt" "$1/state"
	mount_plyfs "lowerdir=$WORK/lower,upperdir=$1/upper,writeback=$2" "$1/mnt"
}

# --- what must not creep ---------------------------------------------------------------------------

# kib FILE…: what those that are there take on the disk.
kib() {
	# Files go meanwhile, which du takes for a failure.
	{ du -skc "$@" 2>/dev/null || true; } | tail -n 1 | cut -f1
}

# One line: seconds, KiB of memory of the daemon's own and with mapped files, descriptors, KiB on disk.
sample() {
	local pid=$2 at=$1/upper/.plyfs
	awk -v t="$SECONDS" '/^RssAnon/ {anon = $2} /^VmRSS/ {rss = $2} END {printf "%d %d %d ", t, anon, rss}' "/proc/$pid/status"
	echo "$(find "/proc/$pid/fd" -mindepth 1 | wc -l) $(kib "$at"/catalog.mdb*) $(kib "$at"/journal*) $(kib "$at/data")"
}

# watch_it DIR PID UNTIL: the interval gives a few hundred samples, however long it takes.
watch_it() {
	local pause=$((SECS / 400 + 1))
	((SECS >= 100)) || pause=0.2 # taking a sample may itself be slow
	while ((SECONDS < $3)) && [[ -e /proc/$2/fd ]]; do
		sample "$1" "$2" >>"$1/samples"
		sleep "$pause"
	done
}

# must_not_creep FILE: the load is the same all the time and has bounds, so neither the largest sample of
# the last third nor their mean may be above those of the middle one by more than what chance explains. In less than
# ninety seconds everything is still on its way up: the thirds are shorter than the time between two
# checkpoints. All that can be asked of so short a run is that it stays below what an hour reaches.
must_not_creep() {
	awk '
		{ n++; for (i = 1; i <= 7; i++) v[n, i] = $i }
		function third(i, from, to,   j) {
			max = sum = 0
			for (j = from + 1; j <= to; j++) { sum += v[j, i]; if (v[j, i] > max) max = v[j, i] }
			mean = sum / (to - from)
		}
		END {
			split("- memory mapped-too descriptors catalog journal data", name, " ")
			split("- 5120 8192 10 8192 4096 4096", slack, " ")
			split("- 65536 98304 1200 24576 36864 49152", bound, " ")
			if (n < 9) { print "FAIL: only " n " samples: it must run longer"; exit 1 }
			for (i = 2; i <= 7; i++) {
				third(i, int(n / 3), int(2 * n / 3)); mid = max; mid_mean = mean
				third(i, int(2 * n / 3), n)
				printf "# %s%s: %d, at most %d in the middle third, %d, at most %d in the last\n", name[i], i == 4 ? "" : ", KiB", mid_mean, mid, mean, max
				if (v[n, 1] - v[1, 1] < 90) {
					if (max <= bound[i]) continue
					print "FAIL: " name[i] ": " max ", more than " bound[i]; bad = 1
				} else if (max > mid * 1.2 + 4 * slack[i] || mean > mid_mean * 1.1 + slack[i]) {
					print "FAIL: " name[i] " creeps: " int(mid_mean) ", later " int(mean); bad = 1
				}
			}
			exit bad
		}' "$1"
}

# The catalog as LMDB would write it anew, in KiB.
compact_kib() {
	cp "$1/upper/.plyfs/catalog.mdb" "$1/catalog.copy"
	mdb_copy -n -c "$1/catalog.copy" "$1/catalog.compact"
	kib "$1/catalog.compact"
	rm "$1"/catalog.co*
}

# nothing_left_over DIR: after the end the disk has what the tree needs. Mounts it.
nothing_left_over() {
	local at=$1/upper/.plyfs need have ino size
	no_mounts "$1/mnt" || fail "the load has not come to its end"
	need=$(compact_kib "$1") have=$(kib "$at/catalog.mdb")
	echo "# catalog: $have KiB, would be $need KiB if written anew"
	((have <= need * 5 / 2 + 1024)) || fail "catalog.mdb has $have KiB, but $need KiB would do"
	have=$(kib "$at"/journal*)
	# What is reserved for deleting on a full disk.
	((have <= 128)) || fail "the journal has $have KiB after the end"
	mount_it "$1" 1
	find "$1/mnt" -type f -printf '%i %s\n' | sort -u >"$1/files"
	umount_plyfs "$1/mnt"
	find "$at/data" -type f -printf '%f %s\n' | while read -r ino size; do echo "$((16#$ino)) $size"; done | sort >"$1/data-files"
	echo "# data: $(kib "$at/data") KiB in $(wc -l <"$1/data-files") files, the tree has $(wc -l <"$1/files") files"
	comm -13 "$1/files" "$1/data-files" >"$1/stray"
	[[ ! -s $1/stray ]] || fail "data file that is no file's: $(head -n 1 "$1/stray")"
}

# --- the loads -------------------------------------------------------------------------------------

# Two loads on one mount, from the begin to the end; then all is compared, before and after a new mount.
steady() {
	local dir=$WORK/steady-$1 pid fsx stress end=$((SECONDS + SECS))
	mount_it "$dir" "$1"
	pid=$(daemon_pids "$dir/mnt")
	"$LONG" fsx "$dir/mnt/fsx" "$dir/state" "$SEED" "$SECS" &
	fsx=$!
	"$LONG" stress "$dir/mnt/tree" "$dir/state" "$((SEED + 1))" "$SECS" &
	stress=$!
	watch_it "$dir" "$pid" "$end"
	wait "$fsx"
	wait "$stress"
	"$LONG" fsx-check "$dir/mnt/fsx" "$dir/state"
	"$LONG" stress-check "$dir/mnt/tree" "$dir/state"
	"$ORACLE" print "$dir/mnt" inos >"$dir/before"
	umount_plyfs "$dir/mnt"
	mount_it "$dir" "$1"
	"$LONG" fsx-check "$dir/mnt/fsx" "$dir/state"
	"$LONG" stress-check "$dir/mnt/tree" "$dir/state"
	"$ORACLE" print "$dir/mnt" inos >"$dir/after"
	umount_plyfs "$dir/mnt"
	same_lines "$dir/before" "$dir/after"
}

# Races of copy-ups need lower files that nobody has touched: a new upper each time.
fresh() {
	local dir=$WORK/fresh round=0 end=$((SECONDS + SECS)) load
	while ((SECONDS < end)); do
		round=$((round + 1))
		mount_it "$dir" "$((round % 2))"
		"$LONG" fsx "$dir/mnt/fsx" "$dir/state" "$((SEED + round))" 2 >>"$dir/log" &
		load=$!
		"$LONG" race "$dir/mnt/race" "$((SEED + round))" "$((round % 2))" >>"$dir/log" || { tail -n 1 "$dir/log"; fail "round $round"; }
		wait "$load" || { tail -n 1 "$dir/log"; fail "round $round"; }
		"$ORACLE" print "$dir/mnt" inos >"$dir/before"
		umount_plyfs "$dir/mnt"
		mount_it "$dir" "$((round % 2))"
		"$LONG" fsx-check "$dir/mnt/fsx" "$dir/state"
		"$ORACLE" print "$dir/mnt" inos >"$dir/after"
		same_lines "$dir/before" "$dir/after"
		umount_plyfs "$dir/mnt"
		rm -rf "$dir/upper"
	done
	echo "# $round rounds, $(awk '/race/ {n++} END {print n * 180}' "$dir/log") files raced for"
}

# The three run at once, each into a log of its own.
begin_all() {
	local what
	for what in "steady 1" "steady 0" fresh; do
		# shellcheck disable=SC2086  # a function and its argument
		( run_body $what ) </dev/null >"$WORK/${what/ /-}.log" 2>&1 &
		echo $! >"$WORK/${what/ /-}.pid"
	done
}

# ended NAME: of which of them, and what it said.
ended() {
	local rc=0
	wait "$(<"$WORK/$1.pid")" || rc=$?
	grep '^#' "$WORK/$1.log" || true
	report "$2" "$rc" "$WORK/$1.log"
}

# figures NAME NAME-OF-THE-CHECK
figures() {
	run_test "$2" "${@:3}"
	grep '^#' "$WORK/check.log" || true
}

build_loads
begin_all
ended steady-1 "with writeback cache: all is as it was left"
ended steady-0 "without writeback cache: all is as it was left"
ended fresh "copy-ups that race"
for wb in 1 0; do
	dir=$WORK/steady-$wb
	figures "$wb" "writeback=$wb: nothing creeps" must_not_creep "$dir/samples"
	figures "$wb" "writeback=$wb: nothing is left over" nothing_left_over "$dir"
done
finish
