#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The times of files are those that the kernel showed, also when it has forgotten them and asks.
. "$(dirname "$0")/../support/lib.sh"
need_packages python3 git
in_private_ns "$@"
fuse_ready

HERE=$(cd "$(dirname "$0")" && pwd)
times() { /usr/bin/python3 "$HERE/times.py" "$@"; }
on() { mount_plyfs "lowerdir=$DIR/low,upperdir=$DIR/upper,workdir=$DIR/work$1" "$DIR/mnt"; }

# What differs, by name.
same() { diff "$DIR/before" - >"$DIR/diff" || fail "$1: $(cat "$DIR/diff")"; }

# As git sees it, which compares times and sizes, and no bytes where those are the same.
unchanged() { eq "$(git -C "$DIR/mnt/d" diff-files --name-only)" "" "changed, says git, $1"; }

# stays HOW OPTIONS
stays() {
	DIR=$(mktemp -d "$WORK/XXXXXX")
	mkdir "$DIR"/{low,upper,work,mnt}
	on "$2"
	mkdir "$DIR/mnt/d"
	times "$1" "$DIR/mnt/d"
	times show "$DIR/mnt/d" >"$DIR/before"
	[[ $1 != tick ]] || unchanged "before"
	sync -f "$DIR/mnt"
	echo 3 >/proc/sys/vm/drop_caches
	times show "$DIR/mnt/d" | same "dropped from memory"
	[[ $1 != tick ]] || unchanged "when dropped from memory"
	umount_plyfs "$DIR/mnt"
	on "$2"
	times show "$DIR/mnt/d" | same "mounted again"
	[[ $1 != tick ]] || unchanged "when mounted again"
	umount_plyfs "$DIR/mnt"
}

deleted() {
	DIR=$(mktemp -d "$WORK/XXXXXX")
	mkdir -p "$DIR"/{low/d,upper,work,mnt}
	echo lower >"$DIR/low/d/lower"
	head -c 300000 /dev/zero >"$DIR/low/d/lower-large"
	on "$1"
	echo upper >"$DIR/mnt/d/upper"
	head -c 300000 /dev/zero >"$DIR/mnt/d/upper-large"
	times deleted "$DIR/mnt/d" || fail "of deleted files"
	umount_plyfs "$DIR/mnt"
}

run_test "written in one tick, closed later" stays tick ""
run_test "changed in every way" stays change ""
run_test "changed in every way, writeback=0" stays change ",writeback=0"
run_test "of deleted files that are open" deleted ""
run_test "of deleted files that are open, writeback=0" deleted ",writeback=0"
finish
