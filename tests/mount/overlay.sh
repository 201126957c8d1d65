#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Kernel overlayfs is the oracle: random stacks of layers in its format, mounted by both, show the
# same trees.
#
#     overlay.sh [SEED...]
. "$(dirname "$0")/../support/lib.sh"
. "$SUPPORT_DIR/oracle.sh"
need_packages e2fsprogs
in_private_ns "$@"
build_oracle

SEEDS=("$@")
((${#SEEDS[@]} > 0)) || SEEDS=(11 12 13 14 15 16 17 18 "$((RANDOM * 32768 + RANDOM))")

one_stack() {
	local seed=$1 layers=$((2 + $1 % 5)) dir=$WORK/$1 lowers
	mkdir -p "$dir/kernel" "$dir/mnt"
	"$ORACLE" stack "$dir/stack" "$seed" "$layers" marks
	lowers=$(lower_list "$dir/stack" "$layers")
	mount -t overlay -o "ro,lowerdir=$lowers" overlay "$dir/kernel"
	mount_plyfs "lowerdir=$lowers" "$dir/mnt"
	"$ORACLE" cmp "$dir/kernel" "$dir/mnt" times kernel
	umount_plyfs "$dir/mnt"
	mount_plyfs "lowerdir=$lowers,io=passthrough" "$dir/mnt"
	"$ORACLE" cmp "$dir/kernel" "$dir/mnt" times kernel
	umount_plyfs "$dir/mnt"
	umount "$dir/kernel"
	rm -rf "$dir"
}

# An upper that kernel overlayfs wrote, redirects and metacopies in it, opens as a lower layer and as an upper.
written_by_kernel() {
	local seed=$1 dir=$WORK/k$1 o
	mkdir -p "$dir/kernel" "$dir/mnt" "$dir/upper" "$dir/work" "$dir/plain" "$dir/work2"
	"$ORACLE" stack "$dir/stack" "$seed" 2
	o=redirect_dir=on,metacopy=on,index=off,xino=off
	mount -t overlay -o "lowerdir=$dir/stack/0:$dir/stack/1,upperdir=$dir/upper,workdir=$dir/work,$o" \
		overlay "$dir/kernel"
	cp -a "$dir/kernel/." "$dir/plain"
	# Hard links are broken by copy-up there, so only what shows no links is compared.
	find "$dir/kernel" -mindepth 1 -maxdepth 1 -type d | sort | while read -r d; do
		mv "$d" "$d.moved"
		mkdir "$d"
		touch "$d/new"
	done
	find "$dir/kernel" -type f -links 1 | sort | awk 'NR % 3 == 0' | tr '\n' '\0' | xargs -0 -r chmod 0741
	find "$dir/kernel" -type f -links 1 | sort | awk 'NR % 5 == 0' | tr '\n' '\0' | xargs -0 -r rm -f
	umount "$dir/kernel"
	mount -t overlay -o "ro,lowerdir=$dir/upper:$dir/stack/0:$dir/stack/1,redirect_dir=follow,metacopy=on" \
		overlay "$dir/kernel"
	for o in cache passthrough; do
		mount_plyfs "lowerdir=$dir/upper:$dir/stack/0:$dir/stack/1,redirect_dir=on,metacopy=on,io=$o" "$dir/mnt"
		"$ORACLE" cmp "$dir/kernel" "$dir/mnt" times kernel
		umount_plyfs "$dir/mnt"
	done
	# plyfs writes into its upper, and the kernel's mount still looks at the first one.
	cp -a "$dir/upper" "$dir/upper2"
	mount_plyfs "lowerdir=$dir/stack/0:$dir/stack/1,upperdir=$dir/upper2,workdir=$dir/work2,redirect_dir=on,metacopy=on" \
		"$dir/mnt"
	"$ORACLE" cmp "$dir/kernel" "$dir/mnt" times kernel
	umount_plyfs "$dir/mnt"
	umount "$dir/kernel"
	rm -rf "$dir"
}

# refused NAME…: of mnt/d, what has attributes and no bytes. Zeros would be a lie.
refused() {
	local name
	for name; do
		! cat "mnt/d/$name" >out 2>err || fail "$name is read, $(wc -c <out) bytes"
		contains "$(cat err)" "Operation not permitted" "$name"
		contains "$(cat log)" "the metacopy of \"d/$name\" is refused: the layer is not trusted with it"
	done
}

# As the kernel leaves them on ext4: their xattrs have no room in inodes of 256 bytes and take a block, which is counted.
metacopies_without_trust() {
	local dir=$WORK/untrusted o name
	mkdir "$dir"
	cd "$dir" || exit
	mkdir on mnt
	truncate -s 64M disk
	mkfs.ext4 -q -F -I 256 -b 4096 disk
	mount -o loop disk on
	mkdir -p on/{low/d,up,work,kernel,own,own.work}
	for name in 1 4096 100000; do head -c "$name" /dev/urandom >"on/low/d/$name"; done
	mount -t overlay -o lowerdir=on/low,upperdir=on/up,workdir=on/work,metacopy=on,index=off overlay on/kernel
	chmod 0640 on/kernel/d/*
	umount on/kernel
	for name in 1 4096 100000; do
		eq "$(stat -c '%s %b' "on/up/d/$name")" "$name 8" "size and blocks of a metacopy"
	done
	for o in cache passthrough; do
		serve_here "lowerdir=on/up:on/low,io=$o"
		refused 1 4096 100000
		eq "$(stat -c '%s %a' mnt/d/100000)" "100000 640"
		umount mnt
		served_well
	done
	# Nothing of them becomes the upper's own, whatever is done to them there.
	serve_here lowerdir=on/up:on/low,upperdir=on/own,workdir=on/own.work
	chmod 0600 mnt/d/{1,100000}
	refused 1 4096 100000
	refuses cp mnt/d/4096 mnt/copy
	refuses dd if=/dev/zero of=mnt/d/100000 bs=1 count=1 seek=50000 conv=notrunc
	refuses truncate -s 50000 mnt/d/100000
	mv mnt/d/100000 mnt/d/moved
	ln mnt/d/1 mnt/link
	refuses cat mnt/d/moved
	refuses cat mnt/link
	echo new >mnt/d/4096
	umount mnt
	served_well
	serve_here lowerdir=on/up:on/low,upperdir=on/own,workdir=on/own.work,metacopy=on
	cmp on/low/d/1 mnt/link
	cmp on/low/d/100000 mnt/d/moved
	eq "$(cat mnt/d/4096)" new
	umount mnt
	served_well
	# The upper that the kernel left, as an upper.
	serve_here lowerdir=on/low,upperdir=on/up,workdir=on/work
	refused 1 4096 100000
	umount mnt
	served_well
	umount on
	rm -rf "$dir"
}

# What a tree with the upper in it tells of itself, and how it takes what leads there.
tell() {
	cd "$1" || exit
	local path
	trap - ERR
	set +e
	for path in deep deep/upper deep/upper/x deep/work deep/link deep/link/. deep/../deep/upper other; do
		stat -c '%n %F' "$path"
	done
	ls -A deep
	cat deep/upper/file
	rmdir deep/upper
	mkdir deep/upper deep/work
	mv deep/upper out
	mv deep/file deep/upper
	echo new >deep/new
	cat deep/new
	stat -c '%n %F' deep/upper
	rm -r other
	find . 2>&1 | sort
	cp -a deep copy 2>&1 | sort
	find copy 2>&1 | sort
	rm -r copy
	ls -A
}

# The same tree twice, as each writes into its own.
upper_in_lower() {
	local dir=$WORK/inside at
	for at in kernel plyfs; do
		mkdir -p "$dir/$at"/{mnt,low/other,low/deep/{upper,work,sub/sub}}
		echo text | tee "$dir/$at/low/deep/file" "$dir/$at/low/deep/sub/sub/file" "$dir/$at/low/other/file" >/dev/null
		ln -s upper "$dir/$at/low/deep/link"
	done
	mount -t overlay -o "lowerdir=$dir/kernel/low,upperdir=$dir/kernel/low/deep/upper,workdir=$dir/kernel/low/deep/work" \
		overlay "$dir/kernel/mnt"
	mount_plyfs "lowerdir=$dir/plyfs/low,upperdir=$dir/plyfs/low/deep/upper,workdir=$dir/plyfs/low/deep/work" "$dir/plyfs/mnt"
	for at in kernel plyfs; do (tell "$dir/$at/mnt") >"$dir/$at/told" 2>&1; done
	grep -q "Too many levels of symbolic links" "$dir/kernel/told"
	same_lines "$dir/kernel/told" "$dir/plyfs/told"
	umount "$dir/kernel/mnt"
	umount_plyfs "$dir/plyfs/mnt"
	rm -rf "$dir"
}

for seed in "${SEEDS[@]}"; do
	run_test "stack, seed $seed" one_stack "$seed"
done
for seed in 21 22 23; do
	run_test "upper written by kernel overlayfs, seed $seed" written_by_kernel "$seed"
done
run_test "metacopies of the kernel's on ext4, in layers that are not trusted" metacopies_without_trust
run_test "an upper inside of a lower layer" upper_in_lower
finish
