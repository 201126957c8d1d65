#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Set-id bits over requests that change bytes and do not say who may keep the bits: as on other file systems only those
# who have CAP_FSETID in the first user namespace. Anybody has it in one that he made himself.
. "$(dirname "$0")/../support/lib.sh"
need_packages fuse3 python3 acl
in_private_ns "$@"
fuse_ready
make_user

CHANGE='
import os, sys
how, to, source = sys.argv[1:]
fd = os.open(to, os.O_RDWR)
if how == "copy":
    assert os.copy_file_range(os.open(source, os.O_RDONLY), fd, 4, 0, 0) == 4
elif how == "allocate":
    os.posix_fallocate(fd, 0, 100)
else:
    os.pwrite(fd, b"x", 0)
print("%o" % (os.fstat(fd).st_mode & 0o7777))
'

after_failure() { drop_mounts; }

fresh() {
	rm -rf "$WORK/t"
	mkdir -p "$WORK/t"/{low,upper,work,mnt}
	cd "$WORK/t" || exit
	echo "some bytes" >low/source
	D=$PWD
}

# keeps MODE OWNER COMMAND…: the mode of OWNER's files with both bits after COMMAND has changed their bytes. write(2) is
# what the kernel decides about.
keeps() {
	local expected=$1 owner=$2 how
	shift 2
	for how in copy allocate write; do
		for file in "$D/mnt/small" "$D/mnt/large"; do
			chown "$owner" "$file"
			chmod 6755 "$file"
			eq "$("$@" python3 -c "$CHANGE" "$how" "$file" "$D/mnt/source")" "$expected" "mode after $how: $*"
			eq "$(stat -c %a "$file")" "$expected" "mode after $how, for others: $*"
		done
	done
}

by_root() {
	fresh
	head -c 300000 /dev/zero >low/large
	echo small >low/small
	mount_plyfs "lowerdir=low,upperdir=upper,workdir=work,allow_other" "$PWD/mnt"
	keeps 6755 root: env
	keeps 755 root: setpriv --bounding-set -fsetid --inh-caps -fsetid
	keeps 755 root: unshare --map-root-user
	keeps 755 "$TEST_USER:" as_user
	keeps 755 "$TEST_USER:" as_user unshare --user
	keeps 755 "$TEST_USER:" as_user unshare --map-root-user
	umount_plyfs "$PWD/mnt"
}

by_user() {
	local how
	fresh
	chown "$TEST_USER:" low upper work mnt
	as_user "$PLYFS" -o "lowerdir=$D/low,upperdir=$D/upper,workdir=$D/work" "$D/mnt"
	for how in copy allocate write; do
		as_user sh -c "echo text >$D/mnt/$how; chmod 6755 $D/mnt/$how"
		eq "$(as_user unshare --map-root-user python3 -c "$CHANGE" "$how" "$D/mnt/$how" "$D/mnt/source")" 755 "mode after $how"
	done
	as_user fusermount3 -u "$D/mnt"
	wait_until 20 no_daemons || fail "a daemon stayed"
}

# As in a container without privileges, where the daemon is in the namespace, too.
in_container() {
	fresh
	chown "$TEST_USER:" low upper work mnt
	as_user unshare --map-root-user --mount bash -c '
		"$0" -o "lowerdir=$1/low,upperdir=$1/upper,workdir=$1/work" "$1/mnt" || exit
		for how in copy allocate write; do
			echo text >"$1/mnt/$how" && chmod 6755 "$1/mnt/$how" && python3 -c "$2" "$how" "$1/mnt/$how" "$1/mnt/source"
		done
		"$0" umount "$1/mnt"' "$PLYFS" "$D" "$CHANGE" >seen
	eq "$(cat seen)" $'755\n755\n755' "modes"
	wait_until 20 no_daemons || fail "a daemon stayed"
}

# chowns COMMAND…: modes after chown(2) by COMMAND, which names neither owner nor group, and the same on an overlayfs.
chowns() {
	local where mode file
	for where in mnt plain; do
		for mode in 6755 2644 6777 755; do
			file=$D/$where/chowned
			touch "$file"
			chown "$TEST_USER:daemon" "$file"
			chmod "$mode" "$file"
			touch -c -d @1 "$file"
			"$@" python3 -c "import os; os.chown('$file', -1, -1)" || echo "not allowed"
			stat -c '%a' "$file"
			(($(stat -c %Z "$file") > 1))
		done
		mkdir -p "$D/$where/dir"
		chmod 6775 "$D/$where/dir"
		"$@" python3 -c "import os; os.chown('$D/$where/dir', -1, -1)" || echo "not allowed"
		stat -c %a "$D/$where/dir"
	done >seen
	eq "$(head -n $(($(wc -l <seen) / 2)) seen)" "$(tail -n $(($(wc -l <seen) / 2)) seen)" "modes after chown: $*"
}

to_nobody() {
	fresh
	mkdir plain
	mount_plyfs "lowerdir=low,upperdir=upper,workdir=work,allow_other" "$PWD/mnt"
	mkdir -p tmp
	mount -t tmpfs none tmp
	mkdir tmp/upper tmp/work
	mount -t overlay none -o "lowerdir=$D/low,upperdir=$D/tmp/upper,workdir=$D/tmp/work" plain
	chmod 777 mnt plain
	chowns env
	eq "$(sed -n 1p seen)" 755
	chowns setpriv --bounding-set -fsetid --inh-caps -fsetid
	chowns as_user
	umount plain tmp
	umount_plyfs "$PWD/mnt"
	# And without the cache of writes, where not even the time of the change comes along.
	mount_plyfs "lowerdir=low,upperdir=upper,workdir=work,allow_other,writeback=0" "$PWD/mnt"
	touch mnt/again
	chmod 6755 mnt/again
	python3 -c "import os; os.chown('$D/mnt/again', -1, -1)"
	eq "$(stat -c %a mnt/again)" 755
	umount_plyfs "$PWD/mnt"
}

# An ACL takes the set-gid bit from who is not in the group, whatever he is in a user namespace of his own.
by_acl() {
	local where
	fresh
	mkdir plain
	mount_plyfs "lowerdir=low,upperdir=upper,workdir=work,allow_other" "$PWD/mnt"
	for where in mnt plain; do
		touch "$where/f"
		for how in env "unshare --user" "unshare --map-root-user"; do
			chown "$TEST_USER:daemon" "$where/f"
			chmod 2755 "$where/f"
			# shellcheck disable=SC2086
			as_user $how setfacl -m u::rwx,g::r-x,o::r-x,m::rwx "$D/$where/f"
			eq "$(stat -c %a "$where/f")" 775 "mode in $where after setfacl by $how"
		done
	done
	umount_plyfs "$PWD/mnt"
}

run_test "root's mount" by_root
run_test "an ACL" by_acl
run_test "chown to nobody, as overlayfs does it" to_nobody
run_test "a user's mount" by_user
run_test "a mount in a user namespace" in_container
finish
