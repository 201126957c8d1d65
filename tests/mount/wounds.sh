#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What public test suites found wrong in other union file systems, one check each, on a fresh mount;
# see wounds.py for the checks that are made from inside.
. "$(dirname "$0")/../support/lib.sh"
need_packages python3-minimal acl attr
in_private_ns "$@"

HERE=$(cd "$(dirname "$0")" && pwd)
LOW=$WORK/low

make_lower() {
	mkdir -p "$LOW"/dir/sub "$LOW"/dir/sub2 "$LOW/sgid" "$LOW/acl" "$WORK"/m{1,2,3,4}/{mnt,upper}
	echo "the text of a lower file" >"$LOW/file"
	cp /bin/true "$LOW/suid"
	chown 100:100 "$LOW/suid"
	chmod 6755 "$LOW/suid"
	ln -s file "$LOW/link"
	echo linked >"$LOW/h1"
	ln "$LOW/h1" "$LOW/h2"
	chown 0:200 "$LOW/sgid"
	chmod 2777 "$LOW/sgid"
	setfacl -d -m u:100:rwx "$LOW/acl"
	setfattr -n trusted.z -v 1 "$LOW/dir/sub"
	chmod 755 "$WORK" "$LOW"
}

# Each check has an upper and a mountpoint of its own, so that one that fails spoils no other.
check() {
	local dir=$WORK/$1-${2//[,=]/}
	mkdir -p "$dir/upper" "$dir/mnt"
	chmod 777 "$dir/upper"
	mount_plyfs "lowerdir=$LOW,upperdir=$dir/upper,workdir=$dir/work$2" "$dir/mnt"
	/usr/bin/python3 "$HERE/wounds.py" "$1" "$dir/mnt" "$LOW"
	umount_plyfs "$dir/mnt"
	fingerprint "$LOW" | cmp - "$WORK/before"
}

options_of_mount() {
	rm -rf "$WORK/m1/upper" && mkdir "$WORK/m1/upper"
	mount_plyfs "lowerdir=$LOW,upperdir=$WORK/m1/upper,workdir=x,fsname=mine,nosuch=1" "$WORK/m1/mnt" 2>"$WORK/err"
	eq "$(cat "$WORK/err")" "unknown argument ignored: nosuch=1" stderr
	eq "$(awk -v m="$WORK/m1/mnt" '$2 == m {print $1}' /proc/self/mounts)" mine source
	# mount(8) runs the program by its name, from the system's own directories; these are the
	# namespace's.
	mount -t tmpfs none /usr/local/sbin
	ln -s "$PLYFS" /usr/local/sbin/plyfs
	mount -o remount,ro "$WORK/m1/mnt"
	refuses touch "$WORK/m1/mnt/x"
	mount -o remount,rw "$WORK/m1/mnt"
	touch "$WORK/m1/mnt/x"
	umount_plyfs "$WORK/m1/mnt"
}

# The layers are on a file system that can be unmounted as soon as umount has returned.
layers_let_go() {
	local i
	mkdir -p "$WORK/fs"
	for i in $(seq 10); do
		mount -t tmpfs none "$WORK/fs"
		mkdir "$WORK/fs/low" "$WORK/fs/up"
		touch "$WORK/fs/low/a"
		mount_plyfs "lowerdir=$WORK/fs/low,upperdir=$WORK/fs/up,workdir=x" "$WORK/m2/mnt"
		echo x >"$WORK/m2/mnt/a"
		umount "$WORK/m2/mnt"
		wait_until 5 umount "$WORK/fs"
	done
}

# umount(2) does not wait for the daemon; the next mount does, and gets the upper, not a snapshot of it.
mounted_again_at_once() {
	local i
	for i in $(seq 15); do
		"$PLYFS" -o "lowerdir=$LOW,upperdir=$WORK/m4/upper,workdir=x" "$WORK/m4/mnt"
		(("$i" == 1)) || eq "$(cat "$WORK/m4/mnt/n")" "$((i - 1))"
		echo "$i" >"$WORK/m4/mnt/n"
		umount "$WORK/m4/mnt"
	done
	wait_until 20 no_daemons
}

atime_options() {
	rm -rf "$WORK/m3/upper" && mkdir "$WORK/m3/upper"
	mount_plyfs "lowerdir=$LOW,upperdir=$WORK/m3/upper,workdir=x,atime" "$WORK/m3/mnt"
	echo text >"$WORK/m3/mnt/f"
	touch -a -d @1 "$WORK/m3/mnt/f"
	cat "$WORK/m3/mnt/f" >/dev/null
	echo 3 >/proc/sys/vm/drop_caches
	cat "$WORK/m3/mnt/f" >/dev/null
	(($(stat -c %X "$WORK/m3/mnt/f") > 1)) || fail "the access time stayed"
	umount_plyfs "$WORK/m3/mnt"
}

make_lower
fingerprint "$LOW" >"$WORK/before"
for c in unlinked_link_count setgid_directory set_id_bits_dropped setfacl_drops_setgid \
	capabilities_dropped default_acl long_names caches_dropped xattr_of_symlink device_zero \
	rename_flags tmpfile direct_io parent_links inode_numbers parent_in_listings seen_through_open_file hard_links \
	listing_while_changing access_times sockets text_busy \
	holes_take_no_room data_not_written_back_is_data trusted_names_are_roots; do
	run_test "${c//_/ }" check "$c" ""
done
run_test "without writeback: set id bits dropped" check set_id_bits_dropped ",writeback=0"
run_test "without writeback: seen through open file" check seen_through_open_file ",writeback=0"
run_test "without writeback: sparse" check sparse ",writeback=0"
run_test "unknown options, fsname, remount" options_of_mount
run_test "layers are let go at umount" layers_let_go
run_test "mounted again at once" mounted_again_at_once
run_test "atime option" atime_options
finish
