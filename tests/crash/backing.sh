#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What is under the layers does not matter: on every kind of file system that holds the upper and the
# lower layers the mount behaves as a plain directory does, gives back what was put into it after the
# daemon has ended or was killed, and lets a second mount look.
#
#     backing.sh [NAME...]	only these (default: all of ALL)
#     PLYFS_TEST_OPS: operations a file system (default 1500); PLYFS_TEST_SEED
. "$(dirname "$0")/../support/lib.sh"
. "$SUPPORT_DIR/oracle.sh"
need_packages acl attr btrfs-progs e2fsprogs fuse-overlayfs libcap2-bin libfuse3-dev pkg-config xfsprogs
in_private_ns "$@"
fuse_ready
build_oracle

ALL=(ext4 xfs btrfs tmpfs overlay plyfs fuse-overlayfs fuse vfat-like nfs-like sshfs-like no-mmap coarse)
OPS=${PLYFS_TEST_OPS:-1500}
SEED=${PLYFS_TEST_SEED:-$((RANDOM * 32768 + RANDOM))}
SOURCES=$(cd "$(dirname "$0")/crippled" && pwd)
NAMES=("$@")
((${#NAMES[@]} > 0)) || NAMES=("${ALL[@]}")
echo "# seed $SEED"

# shellcheck disable=SC2046  # words are wanted
build_crippled() {
	"${CC:-cc}" -std=gnu17 -D_GNU_SOURCE -O1 -g -Wall -Wextra -I"$SUPPORT_DIR/.." $(pkg-config --cflags fuse3) \
		-o "$WORK/crippled" "$SOURCES"/*.c $(pkg-config --libs fuse3)
}

# --- making and unmaking them: FS is where it is mounted, RAW where root may do everything in it ----

# Each can be called again after an unmount, and mounts what is there.

image() {
	if [[ ! -e $DIR/image ]]; then
		truncate -s 1G "$DIR/image"
		"$@" "$DIR/image" >"$DIR/mkfs.log" 2>&1
	fi
	mount -o loop "$DIR/image" "$FS"
}

crippled() {
	RAW=$DIR/raw
	mkdir -p "$RAW"
	"$WORK/crippled" "$RAW" "$1" "$FS"
	mountpoint -q "$FS" || fail "the crippled file system is not mounted"
}

# A union that has its own upper on a tmpfs, which takes whatever a union wants.
union_on_tmpfs() {
	if [[ ! -d $DIR/below ]]; then
		mkdir "$DIR/below"
		mount -t tmpfs tmpfs "$DIR/below"
		mkdir "$DIR"/below/{lower,upper,work}
	fi
	"$@" "lowerdir=$DIR/below/lower,upperdir=$DIR/below/upper,workdir=$DIR/below/work"
}

make_fs() {
	case $1 in
	ext4) image mkfs.ext4 -q -F ;;
	xfs) image mkfs.xfs -q -f ;;
	btrfs) image mkfs.btrfs -q -f ;;
	tmpfs) mount -t tmpfs tmpfs "$FS" ;;
	overlay) union_on_tmpfs mount -t overlay overlay "$FS" -o ;;
	plyfs) union_on_tmpfs "$PLYFS" "$FS" -o ;;
	fuse-overlayfs) union_on_tmpfs fuse-overlayfs "$FS" -o ;;
	# All of these are FUSE; the last words say what is missing.
	fuse) crippled "" ;;
	vfat-like) crippled xattr,link,symlink,node,chown,chmod,holes,flags,dirsync ;;
	nfs-like) crippled xattr,seek,locks,flags ;;
	no-mmap) crippled xattr,mmap,nolocks ;;
	sshfs-like) crippled xattr,link,node,chown,holes,flags,ino ;;
	coarse) crippled nanos,holes,dirsync ;;
	*) fail "no file system is called $1" ;;
	esac
}

drop_fs() {
	umount "$FS"
	[[ ! -d $DIR/below ]] || wait_until 20 umount -q "$DIR/below" || fail "still in use: $DIR/below"
	rm -rf --one-file-system "$DIR"
}

# Whiteouts can be made by hand only where nothing else takes them for its own.
marks() {
	case $1 in
	overlay | plyfs | fuse-overlayfs) ;;
	*) echo marks ;;
	esac
}

# --- what must hold --------------------------------------------------------------------------------

options() {
	echo "lowerdir=$LOWERS,upperdir=$FS/upper,workdir=$FS/work,dev,suid"
}

begin() {
	DIR=$WORK/$1 FS=$WORK/$1/fs RAW=$WORK/$1/fs
	mkdir -p "$FS" "$DIR/mnt" "$DIR/second" "$DIR/plain"
	make_fs "$1"
	mkdir "$FS/upper" "$FS/work"
	# shellcheck disable=SC2046  # no word is a word less
	"$ORACLE" stack "$RAW/stack" "$SEED" 2 $(marks "$1")
	LOWERS=$(lower_list "$FS/stack" 2)
}

remount() {
	umount_plyfs "$DIR/mnt"
	mount_plyfs "$(options)" "$DIR/mnt"
}

# The random oracle, before and after mounting again, then the same tree from a snapshot.
as_a_plain_directory() {
	fingerprint "$RAW/stack" >"$DIR/before"
	mount_plyfs "$(options)" "$DIR/mnt"
	settle_links "$DIR/mnt"
	cp -a "$DIR/mnt/." "$DIR/plain"
	chmod --reference="$DIR/mnt" "$DIR/plain"
	"$ORACLE" ops "$DIR/mnt" "$DIR/plain" "$SEED" "$OPS"
	"$ORACLE" print "$DIR/mnt" inos >"$DIR/first"
	remount
	"$ORACLE" print "$DIR/mnt" inos >"$DIR/again"
	same_lines "$DIR/first" "$DIR/again"
	"$ORACLE" ops "$DIR/mnt" "$DIR/plain" "$((SEED + 1))" "$((OPS / 4))"
	fingerprint "$RAW/stack" >"$DIR/after"
	same_lines "$DIR/before" "$DIR/after"
}

# While the first mount is in use.
second_mount() {
	mount_plyfs "$(options)" "$DIR/second"
	"$ORACLE" cmp "$DIR/second" "$DIR/plain"
	eq "$(findmnt -n -o OPTIONS "$DIR/second" | grep -o '^r[wo]')" ro "second mount"
	refuses touch "$DIR/second/new"
	umount_plyfs "$DIR/second"
	touch "$DIR/mnt/new" "$DIR/plain/new"
}

is_writable() {
	eq "$(findmnt -n -o OPTIONS "$1" | grep -o '^r[wo]')" rw "$2"
}

# Who unmounts and mounts again without waiting for the daemon gets the upper, not a snapshot of it.
mounted_again_at_once() {
	for i in 1 2 3; do
		mkdir "$DIR/mnt/at-once-$i" "$DIR/plain/at-once-$i"
		umount "$DIR/mnt"
		mount_plyfs "$(options)" "$DIR/mnt"
		is_writable "$DIR/mnt" "mount after an unmount"
	done
}

kill_daemon() {
	local pids
	mapfile -t pids < <(daemon_pids "$DIR/mnt")
	kill -KILL "${pids[@]}"
	wait_until 10 all_gone "${pids[@]}"
	umount -l "$DIR/mnt"
}

# On a file system that was not there meanwhile.
after_a_boot() {
	umount_plyfs "$DIR/mnt"
	umount "$FS"
	wait_until 20 make_fs "$1" || fail "$FS cannot be mounted again"
	find "$FS/stack" -mindepth 1 -print0 | sort -rz | xargs -0 stat >/dev/null
	mount_plyfs "$(options)" "$DIR/mnt"
	"$ORACLE" cmp "$DIR/mnt" "$DIR/plain"
	"$ORACLE" ops "$DIR/mnt" "$DIR/plain" "$((SEED + 3))" "$((OPS / 3))"
}

# A tree as containers have them: everything root can make.
pack_tree() {
	local t=$WORK/tree
	mkdir -p "$t/dev" "$t/bin"
	cp -a /etc "$t/etc"
	cp -aL /bin/true "$t/bin/true"
	ln "$t/bin/true" "$t/bin/also-true"
	ln -s ../etc "$t/bin/link"
	chmod 4755 "$t/bin/true"
	cp -L /bin/ls "$t/bin/ls"
	setcap cap_net_raw+ep "$t/bin/ls"
	chown 1234:4321 "$t/bin/ls"
	setcap cap_net_raw+ep "$t/bin/ls"
	setfattr -n user.note -v hello "$t/etc/passwd"
	setfattr -n trusted.note -v there "$t/etc"
	setfacl -m u:77:rw "$t/etc/group"
	setfacl -d -m g:78:rx "$t/etc"
	mknod "$t/dev/null" c 1 3
	mknod "$t/dev/disk" b 259 7
	mkfifo "$t/dev/fifo"
	truncate -s 3M "$t/dev/sparse"
	echo end >>"$t/dev/sparse"
	tar -C "$t" --xattrs --xattrs-include='*' --acls --sparse -cf "$WORK/tree.tar" .
}

unpack() {
	tar -C "$1" --xattrs --xattrs-include='*' --acls -xpf "$WORK/tree.tar"
}

# The tree is unpacked, fsynced, and read back after the daemon was killed.
container_tree() {
	mkdir "$DIR/mnt/root" "$DIR/plain/root"
	unpack "$DIR/mnt/root"
	unpack "$DIR/plain/root"
	"$ORACLE" cmp "$DIR/mnt/root" "$DIR/plain/root" times
	find "$DIR/mnt/root/bin" "$DIR/mnt/root/dev" "$DIR/mnt/root/etc/apt" -type f -print0 -o -type d -print0 | xargs -0 sync
	sync -f "$DIR/mnt"
	kill_daemon
	mount_plyfs "$(options)" "$DIR/mnt"
	is_writable "$DIR/mnt" "mount after a killed daemon"
	"$ORACLE" cmp "$DIR/mnt" "$DIR/plain"
	"$ORACLE" cmp "$DIR/mnt/root" "$DIR/plain/root" times
}

# across LOWERS UPPER: only one of the two is on the file system, bytes are copied between two.
across() {
	local lowers=$1 upper=$2 plain=$DIR/plain2
	mkdir "$upper" "$plain"
	mount_plyfs "lowerdir=$lowers,upperdir=$upper,dev,suid" "$DIR/mnt"
	settle_links "$DIR/mnt"
	cp -a "$DIR/mnt/." "$plain"
	chmod --reference="$DIR/mnt" "$plain"
	"$ORACLE" ops "$DIR/mnt" "$plain" "$((SEED + 2))" "$((OPS / 3))"
	umount_plyfs "$DIR/mnt"
	mount_plyfs "lowerdir=$lowers,upperdir=$upper,dev,suid" "$DIR/mnt"
	"$ORACLE" cmp "$DIR/mnt" "$plain"
	umount_plyfs "$DIR/mnt"
	rm -rf "$upper" "$plain"
}

used_kib() {
	sync -f "$1"
	df --output=used -k "$1" | tail -n 1
}

# shared_kib FILE: what it shares with another.
shared_kib() {
	filefrag -v -b1024 "$1" | awk -F: '/shared/ {n += $4} END {print n + 0}'
}

# What a byte written into a large lower file takes: next to nothing where blocks can be shared or
# the file can have holes, and then the rest is the lower file's.
cheap_copy_up() {
	local before after
	mkdir "$RAW/large" "$FS/upper2"
	head -c 16M /dev/urandom >"$RAW/large/file"
	cp "$RAW/large/file" "$DIR/large"
	mount_plyfs "lowerdir=$FS/large,upperdir=$FS/upper2" "$DIR/mnt"
	before=$(used_kib "$FS")
	for i in 1 9000000 16777215; do
		printf x | tee >(dd of="$DIR/mnt/file" bs=1 seek="$i" conv=notrunc,fsync status=none) |
			dd of="$DIR/large" bs=1 seek="$i" conv=notrunc status=none
	done
	umount_plyfs "$DIR/mnt"
	after=$(used_kib "$FS")
	mount_plyfs "lowerdir=$FS/large,upperdir=$FS/upper2" "$DIR/mnt"
	cmp "$DIR/mnt/file" "$DIR/large"
	umount_plyfs "$DIR/mnt"
	case $1 in
	ext4 | xfs | btrfs | tmpfs | overlay | plyfs | fuse-overlayfs)
		((after - before < 4096)) || fail "3 bytes written into a large lower file took $((after - before)) KiB"
		;;
	esac
	case $1 in
	btrfs | xfs) (($(shared_kib "$FS"/upper2/.plyfs/data/*/*) > 12288)) || fail "the copy is not the lower file's blocks" ;;
	esac
	rm -rf "$FS/upper2" "$RAW/large"
}

one_fs() {
	begin "$1"
	as_a_plain_directory
	second_mount
	container_tree
	mounted_again_at_once
	[[ $1 == tmpfs ]] || after_a_boot "$1"
	umount_plyfs "$DIR/mnt"
	[[ ! -s $FS/upper/.plyfs/lock ]] || fail "the lock file still names an owner"
	across "$LOWERS" "$DIR/upper"
	"$ORACLE" stack "$DIR/stack" "$SEED" 2 marks
	across "$(lower_list "$DIR/stack" 2)" "$FS/other"
	cheap_copy_up "$1"
	drop_fs
}

build_crippled
pack_tree
for name in "${NAMES[@]}"; do
	run_test "on $name" one_fs "$name"
done
finish
