#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# As many layers as clients stack, and as few open files as systems allow.
set -euo pipefail
# shellcheck source=tests/support/lib.sh
. "$(dirname "$0")/../support/lib.sh"
need_packages fuse3 python3
in_private_ns "$@"
fuse_ready

LAYERS=500
FILES=3000
HERE=$(cd "$(dirname "$0")" && pwd)
SEED=${PLYFS_TEST_SEED:-$RANDOM}

after_failure() { drop_mounts; }

deep() { /usr/bin/python3 "$HERE/_deep.py" "$@"; }

# The lowest layer has the number 0.
stack_options() {
	echo "lowerdir=$(seq -s : $((LAYERS - 1)) -1 0),upperdir=upper,workdir=work"
}

# fresh NAME: an upper, a work directory and a mount point, in the directory of the layers.
fresh() {
	cd "$WORK/layers"
	rm -rf upper work mnt
	mkdir upper work mnt
	echo "seed $SEED"
}

# limited N COMMAND…: with N descriptors, which cannot be made more.
limited() {
	local n=$1
	shift
	(
		ulimit -n "$n"
		exec setpriv --bounding-set=-sys_resource --inh-caps=-sys_resource "$@"
	)
}

# has_at_most N MOUNTPOINT: the daemon was not allowed more descriptors.
has_at_most() {
	local pid
	pid=$(daemon_pids "$2")
	eq "$(awk '/^Max open files/ {print $4, $5}' "/proc/$pid/limits")" "$1 $1"
	(($(find "/proc/$pid/fd" -mindepth 1 | wc -l) <= $1))
}

stack() {
	fresh
	mount_plyfs "$(stack_options)" "$PWD/mnt"
	deep check . mnt
	# What is written goes above all of them.
	echo new >mnt/shared/newest
	rm -r mnt/shared/f*
	eq "$(ls mnt/shared)" newest
	umount_plyfs "$PWD/mnt"
	mount_plyfs "$(stack_options)" "$PWD/mnt"
	eq "$(cat mnt/shared/newest)" new
	eq "$(ls mnt/shared)" newest
	umount_plyfs "$PWD/mnt"
}

stack_with_few() {
	fresh
	limited 1024 "$PLYFS" -o "$(stack_options)" "$PWD/mnt"
	deep check . mnt
	has_at_most 1024 "$PWD/mnt"
	# All directories are in use at once by several processes.
	for i in 1 2 3 4; do
		find mnt -type f -exec cat {} + >"out$i" &
		jobs[i]=$!
	done
	for i in 1 2 3 4; do wait "${jobs[i]}"; done
	for i in 2 3 4; do cmp out1 "out$i"; done
	deep check . mnt
	has_at_most 1024 "$PWD/mnt"
	umount_plyfs "$PWD/mnt"
}

# Files above and below at the same time: layers, directories, data files and lower files all want descriptors.
all_with_few() {
	local round i
	fresh
	limited 1024 "$PLYFS" -o "$(stack_options)" "$PWD/mnt"
	mkdir mnt/new
	for round in 1 2 3; do
		deep files mnt/new "$LAYERS"
		echo 3 >/proc/sys/vm/drop_caches
		# Each of them above and one below, in turn.
		for ((i = 0; i < LAYERS; i++)); do
			cat "mnt/new/file$i" "mnt/shared/f$i" || fail "round $round, file $i"
		done >out
		eq "$(wc -c <out)" $((LAYERS * 8192 + $(printf %s $(seq 0 $((LAYERS - 1))) | wc -c)))
		# Copied up, with the same descriptors.
		for ((i = 0; i < LAYERS; i += 7)); do echo "$round" >"mnt/shared/f$i"; done
		for ((i = 0; i < LAYERS; i += 7)); do
			eq "$(cat "mnt/shared/f$i")" "$round"
			echo -n "$i" >"mnt/shared/f$i"
		done
	done
	rm -r mnt/new
	deep check . mnt
	has_at_most 1024 "$PWD/mnt"
	umount_plyfs "$PWD/mnt"
}

many_open() {
	cd "$WORK"
	rm -rf low upper work mnt
	mkdir low upper work mnt
	deep files low "$FILES"
	limited 1024 "$PLYFS" -o lowerdir=low,upperdir=upper,workdir=work "$PWD/mnt"
	ulimit -n $((FILES + 1000))
	deep hold mnt "$FILES"
	has_at_most 1024 "$PWD/mnt"
	umount_plyfs "$PWD/mnt"
	mount_plyfs lowerdir=low,upperdir=upper,workdir=work "$PWD/mnt"
	eq "$(find mnt -type f | wc -l)" $((FILES / 2))
	umount_plyfs "$PWD/mnt"
}

too_few() {
	local said n
	fresh
	for n in 20 256 505 540; do
		said=$(limited "$n" "$PLYFS" -o "$(stack_options)" "$PWD/mnt" 2>&1) && fail "mounted with $n descriptors"
		echo "$said"
		eq "$(wc -l <<<"$said")" 1 "lines with $n"
		contains "$said" "Too many open files"
		contains "$said" "$LAYERS layers"
		contains "$said" "this process may have $n"
		contains "$said" "ulimit -n"
		[[ -z $(mount_type "$PWD/mnt") ]] || fail "something is mounted"
	done
	# With the limit raised the same upper is mounted.
	mount_plyfs "$(stack_options)" "$PWD/mnt"
	deep check . mnt
	umount_plyfs "$PWD/mnt"
}

# What is accepted is enough: large files are read by several at once, from the layers and from above them.
just_enough() {
	local n i
	fresh
	for ((i = 0; i < LAYERS; i++)); do
		mkdir "$i/large"
		head -c 60000 /dev/zero >"$i/large/f$i"
	done
	for ((n = 541; n < 600; n++)); do
		! limited "$n" "$PLYFS" -o "$(stack_options)" "$PWD/mnt" 2>/dev/null || break
	done
	echo "mounted with $n descriptors"
	has_at_most "$n" "$PWD/mnt"
	for i in {1..6}; do
		find mnt/large mnt/shared -type f -print0 | xargs -0 cat | md5sum >"out$i" &
		jobs[i]=$!
	done
	for i in {1..6}; do wait "${jobs[i]}" || fail "reading fails"; done
	for ((i = 0; i < LAYERS; i++)); do
		echo >>"mnt/large/f$i" || fail "writing fails"
		cat "mnt/large/f$i" >/dev/null || fail "reading fails afterwards"
	done
	has_at_most "$n" "$PWD/mnt"
	umount_plyfs "$PWD/mnt"
	rm -r ./*/large
}

mkdir "$WORK/layers"
deep make "$WORK/layers" "$LAYERS" "$SEED"
run_test "$LAYERS layers" stack
run_test "$LAYERS layers with 1,024 descriptors" stack_with_few
run_test "files above and below $LAYERS layers with 1,024 descriptors" all_with_few
run_test "$FILES open files with 1,024 descriptors" many_open
run_test "$LAYERS layers with the fewest descriptors that are accepted" just_enough
run_test "too few descriptors for the layers: what to do is said" too_few
finish
