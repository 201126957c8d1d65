#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Layers of several devices: subvolumes of btrfs, an overlayfs over two file systems, mounts below a layer of
# an ordinary user. Different files have different numbers, whatever they have there, and the same ones after the next mount.
. "$(dirname "$0")/../support/lib.sh"
need_packages btrfs-progs fuse3
in_private_ns "$@"
fuse_ready
make_user

IMAGES=$(run_dir)/images # in memory
mkdir -p "$IMAGES"

numbers() { python3 "$NUMBERS" "$@"; }

fresh() {
	T=$WORK/$1
	mkdir -p "$T"/{low,upper,work,mnt}
	cd "$T" || exit
}

mount_here() {
	mount_plyfs "lowerdir=low,upperdir=upper,workdir=work" "$T/mnt"
}

# What both subvolumes have, made in one order: their files have the same numbers.
fill_subvolume() {
	mkdir "$1/d" "$1/d/e"
	echo "f of $1" >"$1/f"
	echo "g of $1" >"$1/d/g"
	echo "h of $1" >"$1/d/e/h"
	ln "$1/d/g" "$1/d/link"
	ln -s "target of $1" "$1/d/symlink"
	btrfs -q subvolume create "$1/d/inner"
	echo "inner of $1" >"$1/d/inner/f"
}

# new_image NAME: mounted at NAME in this directory.
new_image() {
	mkdir -p "$1"
	truncate -s 200M "$IMAGES/${PWD##*/}-$1"
	mkfs.btrfs -q -f "$IMAGES/${PWD##*/}-$1"
	mount -o loop "$IMAGES/${PWD##*/}-$1" "$1"
}

btrfs_subvolumes() {
	local s names
	fresh btrfs
	new_image low
	mkdir low/plain
	echo plain >low/plain/f
	for s in s1 s2; do
		btrfs -q subvolume create "low/$s"
		fill_subvolume "low/$s"
		btrfs -q subvolume create "low/$s/second"
	done
	# Where the subvolumes in it were there are empty directories.
	btrfs -q subvolume snapshot low/s1 low/plain/snapshot
	eq "$(stat -c %i low/s1/f)" "$(stat -c %i low/s2/f)" "numbers of two files"
	eq "$(stat -c %i low/plain/snapshot/second)" "$(stat -c %i low/plain/snapshot/d/inner)" "numbers of two directories"
	mount_here
	numbers mnt {plain/snapshot,s1,s2}/d/link >numbers
	for s in s1 s2; do
		eq "$(cat mnt/$s/f)" "f of low/$s"
		eq "$(cat mnt/$s/d/link)" "g of low/$s"
		eq "$(cat mnt/$s/d/inner/f)" "inner of low/$s"
		eq "$(readlink mnt/$s/d/symlink)" "target of low/$s"
		eq "$(stat -c %i mnt/$s/d/link)" "$(stat -c %i mnt/$s/d/g)"
	done
	echo appended >>mnt/s2/f
	eq "$(cat mnt/s1/f)" "f of low/s1"
	echo appended >>mnt/s1/f
	echo new >mnt/s2/d/e/new
	echo by the other name >>mnt/s1/d/link
	echo 3 >mnt/plain/snapshot/second/new
	umount_plyfs "$T/mnt"
	# The devices are others by now.
	umount low
	new_image other
	mount -o loop "$IMAGES/btrfs-low" low
	ls -R low/s2 low/s1 >/dev/null
	mount_here
	for s in s2 s1; do eq "$(cat mnt/$s/f)" "f of low/$s"$'\n'appended; done
	eq "$(cat mnt/s1/d/g)" $'g of low/s1\nby the other name'
	eq "$(cat mnt/s2/d/g)" "g of low/s2"
	eq "$(ls mnt/s1/d/e mnt/s2/d/e mnt/plain/snapshot/d/inner mnt/plain/snapshot/second | tr '\n' ' ')" \
		"mnt/plain/snapshot/d/inner:  mnt/plain/snapshot/second: new  mnt/s1/d/e: h  mnt/s2/d/e: h new "
	rm mnt/s2/d/e/new mnt/plain/snapshot/second/new
	numbers mnt {plain/snapshot,s1,s2}/d/link >numbers2
	same_lines numbers numbers2
	eq "$(stat -c %h mnt/s2/d/g)" 2 "links"
	umount_plyfs "$T/mnt"
	umount low other
}

# The device of the root has the file system's numbers, as ever.
btrfs_root() {
	local i
	fresh root
	new_image low
	mkdir low/d
	for i in 1 2 3; do echo "$i" >low/d/$i; done
	mount_here
	for i in d d/1 d/2 d/3; do
		eq "$(($(stat -c %i "mnt/$i") & 0xffffffffffff))" "$(stat -c %i low/$i)" "number of $i"
	done
	umount_plyfs "$T/mnt"
	umount low
}

mount_overlay() {
	mount -t overlay -o lowerdir=l,upperdir=u/u,workdir=u/w,xino=off overlay low
}

overlay_of_two() {
	local i
	fresh overlay
	mkdir l u
	mount -t tmpfs none l
	mount -t tmpfs none u
	mkdir l/d
	for i in {1..12}; do
		echo "from lower $i" >l/d/q$i
		mkdir l/d$i
		echo "in d$i" >l/d$i/f
	done
	ln l/d/q12 l/link
	mkdir u/{u,w} u/u/d
	for i in {1..8}; do echo "from upper $i" >u/u/d/q$i; done
	for i in {20..30}; do echo "from upper $i" >u/u/d/q$i; done
	mount_overlay
	mount_here
	numbers mnt >numbers
	for i in {1..8} {20..30}; do eq "$(cat mnt/d/q$i)" "from upper $i"; done
	for i in {9..12}; do eq "$(cat mnt/d/q$i)" "from lower $i"; done
	for i in {1..6}; do
		chmod 700 mnt/d$i
		echo more >>mnt/d$i/f
	done
	for i in 3 10 25; do echo more >>mnt/d/q$i; done
	umount_plyfs "$T/mnt"
	umount low
	mount_overlay
	ls low/d12 low/d7 low/d8 low/d1 >/dev/null
	mount_here
	for i in {12..7}; do eq "$(cat mnt/d$i/f)" "in d$i"; done
	for i in {1..6}; do
		eq "$(cat mnt/d$i/f)" "in d$i"$'\n'more
		eq "$(stat -c %a mnt/d$i)" 700
	done
	eq "$(cat mnt/d/q3 mnt/d/q10 mnt/d/q25)" $'from upper 3\nmore\nfrom lower 10\nmore\nfrom upper 25\nmore'
	for i in 1 2 {4..8} 20 30; do eq "$(cat mnt/d/q$i)" "from upper $i"; done
	eq "$(cat mnt/link)" "from lower 12"
	numbers mnt >numbers2
	same_lines numbers numbers2
	umount_plyfs "$T/mnt"
	umount low u l
}

mounts_below() {
	local s T=$USER_HOME/below
	as_user mkdir -p "$T"/low/{a,b,c,bound,real} "$T"/{upper,work,mnt}
	cd "$T" || exit
	echo real >low/real/f
	echo file >low/file
	echo over >low/over
	chown "$TEST_USER" low/over
	for s in a b c; do
		mount -t tmpfs -o "uid=$(id -u "$TEST_USER")" none "low/$s"
		echo "of the mount" >"low/$s/own"
	done
	mount --bind low/real low/bound
	mount --bind low/over low/file
	as_user "$PLYFS" -o "lowerdir=$T/low,upperdir=$T/upper,workdir=$T/work" "$T/mnt"
	as_user python3 "$NUMBERS" "$T/mnt" >numbers
	as_user sh -ec "mkdir $T/mnt/a/made-in-a; touch $T/mnt/a/f; echo b >$T/mnt/b/f; echo x >$T/mnt/bound/f"
	as_user sh -ec "echo more >>$T/mnt/over"
	eq "$(as_user ls "$T"/mnt/{a,b,c,bound,real} | tr '\n' ' ')" \
		"$T/mnt/a: f made-in-a  $T/mnt/b: f  $T/mnt/bound: f  $T/mnt/c:  $T/mnt/real: f "
	eq "$(as_user cat "$T/mnt/real/f" "$T/mnt/over")" $'real\nover\nmore'
	as_user rm "$T"/mnt/{a,b,bound}/f
	as_user rmdir "$T/mnt/a/made-in-a"
	as_user fusermount3 -u "$T/mnt"
	wait_until 20 no_daemons
	# Without the mounts, and with one that is there now, names have the numbers that they had.
	umount low/a low/b low/bound low/file
	as_user "$PLYFS" -o "lowerdir=$T/low,upperdir=$T/upper,workdir=$T/work" "$T/mnt"
	as_user python3 "$NUMBERS" "$T/mnt" >numbers2
	same_lines numbers numbers2
	as_user fusermount3 -u "$T/mnt"
	wait_until 20 no_daemons
	umount low/c
}

NUMBERS=$WORK/numbers.py
cp "$(dirname "$0")/_numbers.py" "$NUMBERS"
for t in btrfs_subvolumes btrfs_root overlay_of_two mounts_below; do
	run_test "${t//_/ }" "$t"
done
finish
