#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A plain directory is the oracle: long random sequences of operations on the mount and on a directory
# give the same results, and the same trees, before and after mounting again.
#
#     ops.sh [SEED...]	PLYFS_TEST_OPS: operations a seed (default 6000)
. "$(dirname "$0")/../support/lib.sh"
. "$SUPPORT_DIR/oracle.sh"
in_private_ns "$@"
build_oracle

OPS=${PLYFS_TEST_OPS:-6000}
SEEDS=("$@")
((${#SEEDS[@]} > 0)) || SEEDS=(1 2 3 "$((RANDOM * 32768 + RANDOM))")

# one_run SEED LAYERS OPTIONS: lower layers whose merged tree is copied to a plain directory first.
one_run() {
	local seed=$1 layers=$2 options=$3 dir=$WORK/$1-$2 lowers how
	mkdir -p "$dir/upper" "$dir/work" "$dir/mnt" "$dir/plain"
	"$ORACLE" stack "$dir/stack" "$seed" "$layers" marks
	lowers=$(lower_list "$dir/stack" "$layers")
	fingerprint "$dir/stack" >"$dir/before"

	mount_plyfs "lowerdir=$lowers,upperdir=$dir/upper,workdir=$dir/work,dev$options" "$dir/mnt"
	settle_links "$dir/mnt"
	cp -a "$dir/mnt/." "$dir/plain"
	chmod --reference="$dir/mnt" "$dir/plain"
	"$ORACLE" ops "$dir/mnt" "$dir/plain" "$seed" "$OPS"
	"$ORACLE" print "$dir/mnt" inos >"$dir/first"
	umount_plyfs "$dir/mnt"

	mount_plyfs "lowerdir=$lowers,upperdir=$dir/upper,workdir=$dir/work,dev$options" "$dir/mnt"
	"$ORACLE" cmp "$dir/mnt" "$dir/plain"
	"$ORACLE" print "$dir/mnt" inos >"$dir/second"
	cmp "$dir/first" "$dir/second"
	"$ORACLE" ops "$dir/mnt" "$dir/plain" "$((seed + 1))" "$((OPS / 4))"
	umount_plyfs "$dir/mnt"

	# The upper as a lower, and read-only: the same tree, whoever reads the bytes.
	for how in "lowerdir=$dir/upper:$lowers" "lowerdir=$dir/upper:$lowers,io=passthrough" \
		"lowerdir=$lowers,upperdir=$dir/upper,ro,dev,io=passthrough"; do
		mount_plyfs "$how" "$dir/mnt"
		"$ORACLE" cmp "$dir/mnt" "$dir/plain"
		umount_plyfs "$dir/mnt"
	done

	fingerprint "$dir/stack" >"$dir/after"
	cmp "$dir/before" "$dir/after"
	rm -rf "$dir"
}

for seed in "${SEEDS[@]}"; do
	run_test "one layer, seed $seed" one_run "$seed" 1 ""
	run_test "three layers, seed $seed" one_run "$seed" 3 ""
	run_test "without writeback cache, seed $seed" one_run "$seed" 2 ",writeback=0"
done
finish
