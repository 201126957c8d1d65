#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A full disk, or a used-up quota, under the upper layer: what was acknowledged is there and what failed is
# not; reading, deleting and unmounting go on; space that comes free can be used at once; a daemon that is
# killed is followed by one that mounts on the full disk and shows everything.
#
#     full.sh [SEED [ROUNDS]]       without arguments: one round on each, a random seed
#
# FULL_ON=NAME limits it to one kind of file system (see below).
. "$(dirname "$0")/../support/lib.sh"
need_packages e2fsprogs xfsprogs btrfs-progs
in_private_ns "$@"

SEED=${1:-$((RANDOM * 32768 + RANDOM))}
ROUNDS=${2:-1}
IMAGES=$(run_dir)/images # in memory

build_driver() {
	local source
	source=$(dirname "$0")/full
	FULL=$WORK/full
	"${CC:-cc}" -std=gnu17 -D_GNU_SOURCE -O1 -g -Wall -Wextra -I"$SUPPORT_DIR/.." -o "$FULL" \
		"$source"/*.c "$SUPPORT_DIR"/shadow*.c
}

# A lower layer with names and bytes of all sizes.
make_lower() {
	local i
	mkdir -p "$WORK/lower/a/b" "$WORK/lower/many"
	for i in 1 2 3 4 5 6; do
		head -c $((i * i * i * 4000)) /dev/urandom >"$WORK/lower/a/f$i"
		head -c $((i * 50)) /dev/urandom >"$WORK/lower/a/b/s$i"
	done
	head -c 3000000 /dev/urandom >"$WORK/lower/big"
	ln "$WORK/lower/a/f1" "$WORK/lower/a/link"
	ln -s a/f1 "$WORK/lower/symlink"
	for i in $(seq 40); do echo "$i" >"$WORK/lower/many/$i"; done
}

# back NAME: a small file system of that kind, mounted at $WORK/NAME.
back() {
	local image=$IMAGES/$1
	mkdir -p "$WORK/$1"
	case $1 in
	ext4)
		truncate -s 40M "$image"
		mkfs.ext4 -q -m 0 "$image"
		mount -o loop "$image" "$WORK/$1"
		;;
	ext4-inodes)
		truncate -s 60M "$image"
		mkfs.ext4 -q -m 0 -N 64 "$image"
		mount -o loop "$image" "$WORK/$1"
		;;
	xfs)
		truncate -s 300M "$image"
		mkfs.xfs -q "$image"
		mount -o loop "$image" "$WORK/$1"
		;;
	btrfs)
		truncate -s 120M "$image"
		mkfs.btrfs -q --mixed "$image"
		mount -o loop "$image" "$WORK/$1"
		;;
	btrfs-split)
		truncate -s 400M "$image"
		mkfs.btrfs -q "$image"
		mount -o loop "$image" "$WORK/$1"
		;;
	# A quota of btrfs: kernels without CONFIG_QFMT_V2 have no other quotas.
	quota)
		truncate -s 500M "$image"
		mkfs.btrfs -q "$image"
		mount -o loop "$image" "$IMAGES/mnt"
		btrfs quota enable "$IMAGES/mnt"
		btrfs subvolume create "$IMAGES/mnt/limited"
		btrfs qgroup limit 30M "$IMAGES/mnt/limited"
		mount --bind "$IMAGES/mnt/limited" "$WORK/$1"
		umount "$IMAGES/mnt"
		;;
	tmpfs) mount -t tmpfs -o size=24m tmpfs "$WORK/$1" ;;
	esac
}

# on NAME SEED [writeback | inodes | grows]
on() {
	local dir=$WORK/$1 options seed=$2
	back "$1"
	mkdir -p "$dir/upper" "$dir/work" "$dir/ballast" "$WORK/mnt-$1"
	options=lowerdir=$WORK/lower,upperdir=$dir/upper,workdir=$dir/work
	[[ ${3-} == writeback ]] || options+=,writeback=0
	echo "# $1: seed $seed"
	"$FULL" "$PLYFS" "$options" "$WORK/mnt-$1" "$dir/ballast" "$seed" "$ROUNDS" "${@:3}"
	[[ $(find "$dir/upper/.plyfs/data" -type f | wc -l) == 0 ]] || fail "data files are left over"
	umount "$dir"
	rm -f "$IMAGES/$1"
}

# check NAME WHAT FUNCTION...
check() {
	[[ -z ${FULL_ON-} || $FULL_ON == "$1" ]] || return 0
	shift
	run_test "$@"
	grep '^# ' "$WORK/check.log" || true
}

after_failure() { drop_mounts; }

mkdir -p "$IMAGES/mnt"
build_driver
make_lower
check ext4 "a full ext4" on ext4 "$SEED"
check ext4-inodes "an ext4 without free inodes" on ext4-inodes "$SEED" inodes
check xfs "a full xfs" on xfs "$SEED"
check btrfs "a full btrfs" on btrfs "$SEED" grows
check btrfs-split "a full btrfs with metadata apart" on btrfs-split "$SEED" grows
check tmpfs "a full tmpfs" on tmpfs "$SEED"
check quota "a used-up quota" on quota "$SEED" grows
umount "$WORK/ext4" 2>/dev/null || true
rm -f "$IMAGES/ext4"
check writeback "a full ext4 under a cache that writes later" on ext4 "$((SEED + 1))" writeback
finish
