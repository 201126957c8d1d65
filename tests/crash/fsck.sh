#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# plyfs fsck on uppers that real mounts have made: clean, killed, damaged; repair, salvage, exit
# statuses.
. "$(dirname "$0")/../support/lib.sh"
need_packages attr
in_private_ns "$@"
fuse_ready

LOW=$WORK/low

make_lower() {
	mkdir -p "$LOW/dir/sub" "$LOW/etc"
	echo "lower text" >"$LOW/dir/file"
	ln "$LOW/dir/file" "$LOW/dir/other"
	head -c 3000000 /dev/urandom >"$LOW/dir/large"
	echo gone >"$LOW/gone"
	ln -s file "$LOW/dir/link"
}

# fresh NAME: an upper of its own, in $UP, and its mountpoint, in $MNT.
fresh() {
	UP=$WORK/$1/upper MNT=$WORK/$1/mnt
	mkdir -p "$UP" "$MNT"
}

mount_it() {
	mount_plyfs "lowerdir=$LOW,upperdir=$UP,workdir=$WORK/x$1" "$MNT"
}

# Everything that leaves a trace of its own kind.
work() {
	mkdir -p "$MNT/new/deep/er"
	echo small >"$MNT/new/small"
	head -c 200000 /dev/urandom >"$MNT/new/deep/data"
	ln "$MNT/new/small" "$MNT/second"
	ln -s /nowhere "$MNT/new/link"
	mkfifo "$MNT/new/fifo"
	setfattr -n user.note -v kept "$MNT/new/small"
	echo more >>"$MNT/dir/large"
	echo more >>"$MNT/dir/other"
	chmod 600 "$MNT/dir/file"
	mv "$MNT/dir" "$MNT/moved"
	rm "$MNT/gone"
	chmod 700 "$MNT/etc"
	truncate -s 5000 "$MNT/new/hole"
	for i in $(seq 50); do echo "$i" >"$MNT/new/deep/er/$i"; done
	rm "$MNT"/new/deep/er/*[05]
}

# fsck STATUS [ARG…]: the output is in $WORK/out.
fsck() {
	local want=$1 rc=0
	shift
	"$PLYFS" fsck "$@" >"$WORK/out" 2>"$WORK/err" || rc=$?
	[[ $rc == "$want" ]] || { cat "$WORK/out" "$WORK/err" >&2; fail "exit status $rc, not $want: fsck $*"; }
}

says() {
	grep -Fq -- "$1" "$WORK/out" || fail "fsck does not say '$1': $(cat "$WORK/out" "$WORK/err")"
}

# The tree as programs see it, with all bytes.
contents() {
	(cd "$1" && find . -type f -exec sha256sum {} + -o -printf '%y %p %l\n' | LC_ALL=C sort)
}

clean() {
	fresh clean
	mount_it 1
	work
	umount_plyfs "$MNT"
	fingerprint "$UP" >"$WORK/before"
	fsck 0 "$UP"
	says "clean: "
	eq "$(wc -l <"$WORK/out")" 1 "lines ($(cat "$WORK/out"))"
	fsck 0 --repair "$UP"
	eq "$(wc -l <"$WORK/out")" 1 lines
}

# A check does not even touch the lock file.
check_changes_nothing() {
	fresh clean
	fingerprint "$UP" >"$WORK/before"
	fsck 0 "$UP"
	fingerprint "$UP" | cmp - "$WORK/before"
}

# While it is mounted, and worked on.
in_use() {
	local writer i
	fresh used
	mount_it 2
	work
	(while :; do for i in $(seq 20); do head -c 9000 /dev/zero >"$MNT/f$i"; done; rm "$MNT"/f*; done) &
	writer=$!
	for i in $(seq 10); do
		fsck 0 "$UP"
		says "in use by process $(daemon_pids "$MNT")"
	done
	kill "$writer"
	wait "$writer" || true
	fsck 8 --repair "$UP"
	contains "$(cat "$WORK/err")" "in use by process $(daemon_pids "$MNT")"
	contains "$(cat "$WORK/err")" "unmount it first"
	fsck 8 --salvage "$WORK/not" "$UP"
	umount_plyfs "$MNT"
	fsck 0 "$UP"
}

kill_daemon() {
	local pids
	mapfile -t pids < <(daemon_pids "$MNT")
	kill -KILL "${pids[@]}"
	wait_until 10 all_gone "${pids[@]}"
	umount -l "$MNT"
}

# A journal that was not applied, and files that were open and deleted, are not errors.
killed() {
	local i
	for i in 1 2 3; do
		fresh "killed$i"
		mount_it "3$i"
		work
		exec 7<>"$MNT/new/deep/data"
		rm "$MNT/new/deep/data"
		(for j in $(seq 1000); do head -c 20000 /dev/zero >"$MNT/k$j"; done 2>/dev/null) &
		sleep "0.$((i * 3))"
		kill_daemon
		wait $! || true
		exec 7>&-
		fsck 0 "$UP"
		((i > 1)) || says "the next mount puts into the tables"
		if ((i == 2)); then fsck 0 --repair "$UP"; fi
		mount_it "4$i"
		eq "$(cat "$MNT/second")" small
		umount_plyfs "$MNT"
		fsck 0 "$UP"
		eq "$(wc -l <"$WORK/out")" 1 "lines ($(cat "$WORK/out"))"
	done
}

# The bytes of a file are gone: it is moved out of the way, and all others stay as they are.
data_file_lost() {
	local file
	fresh lost
	mount_it 5
	work
	umount_plyfs "$MNT"
	file=$(find "$UP/.plyfs/data" -type f -size -300k -printf '%s %p\n' | sort -n | tail -1 | cut -d' ' -f2)
	rm "$file"
	fsck 4 "$UP"
	says "/new/deep/data: its bytes are lost; move what is left to lost+found"
	fsck 4 "$UP"
	fsck 1 --repair "$UP"
	says "to lost+found: done"
	fsck 0 "$UP"
	mount_it 6
	[[ ! -e $MNT/new/deep/data ]] || fail "it is still there"
	eq "$(stat -c %s "$MNT"/lost+found/*)" 0 size
	eq "$(cat "$MNT/new/small")" small
	eq "$(getfattr --only-values -n user.note "$MNT/new/small")" kept
	eq "$(tail -c 5 "$MNT/moved/large")" more
	umount_plyfs "$MNT"
	fsck 0 "$UP"
}

# A bit of a file's name in the catalog has turned over.
flipped_bit() {
	local at
	fresh flipped
	mount_it 7
	work
	umount_plyfs "$MNT"
	at=$(grep -abo 'hole' "$UP/.plyfs/catalog.mdb" | tail -1 | cut -d: -f1)
	printf 'm' | dd of="$UP/.plyfs/catalog.mdb" bs=1 seek="$at" conv=notrunc status=none
	refuses "$PLYFS" -o "lowerdir=$LOW,upperdir=$UP,workdir=x" "$MNT"
	fsck 4 "$UP"
	says "catalog.mdb is not as it was when it was closed"
	fsck 1 --repair "$UP"
	fsck 0 "$UP"
	mount_it 8
	eq "$(cat "$MNT/second")" small
	umount_plyfs "$MNT"
}

# What comes out is the tree as it was, but for bytes that are in the lower layers.
salvage_destroyed() {
	fresh salvaged
	mount_it 9
	work
	(cd "$MNT" && find new second -type f -exec sha256sum {} + | LC_ALL=C sort) >"$WORK/want"
	umount_plyfs "$MNT"
	dd if=/dev/urandom of="$UP/.plyfs/catalog.mdb" bs=4096 count=2 conv=notrunc status=none
	fsck 4 "$UP"
	says "cannot be mended"
	says "--salvage"
	fsck 4 --repair "$UP"
	fingerprint "$UP" >"$WORK/before"
	fsck 4 --salvage "$WORK/out.d" "$UP"
	fingerprint "$UP" | cmp - "$WORK/before"
	(cd "$WORK/out.d" && find new second -type f -exec sha256sum {} + | LC_ALL=C sort) | diff - "$WORK/want"
	eq "$(readlink "$WORK/out.d/new/link")" /nowhere
	[[ -p $WORK/out.d/new/fifo ]] || fail "no fifo"
	eq "$(stat -c %h "$WORK/out.d/second")" 2 links
	eq "$(stat -c %a "$WORK/out.d/etc")" 700 mode
	eq "$(getfattr --only-values -n user.note "$WORK/out.d/second")" kept
	eq "$(sort "$WORK/out.d/.plyfs-whiteouts" | tr '\n' ' ')" "/dir /gone "
	grep -q "^/moved/large" "$WORK/out.d/.plyfs-incomplete"
	[[ ! -e $WORK/out.d/.plyfs-salvage ]] || fail "the scratch directory is still there"
	fsck 8 --salvage "$WORK/out.d" "$UP"
	contains "$(cat "$WORK/err")" "is not empty"
}

# What the catalog of the last mount of a killed daemon says, without opening it.
salvage_killed() {
	fresh salvaged2
	mount_it 10
	work
	(cd "$MNT" && find new second -type f -exec sha256sum {} + | LC_ALL=C sort) >"$WORK/want"
	# The kernel's own cache is not ours to save.
	sync -f "$MNT/new/deep/data"
	find "$MNT/new" -type f -exec sync {} +
	kill_daemon
	fsck 0 --salvage "$WORK/out2.d" "$UP"
	(cd "$WORK/out2.d" && find new second -type f -exec sha256sum {} + | LC_ALL=C sort) | diff - "$WORK/want"
}

data_files() { find "$UP/.plyfs/data" -type f | wc -l; }
has_data_files() { [[ $(data_files) == "$1" ]]; }

# A lower file has a name outside of the layer, which only a walk through all names can tell from one that shows somewhere;
# the next mount takes it. Another one shows somewhere.
hidden_link() {
	fresh hidden
	mkdir -p "$LOW/shown/deep"
	head -c 200000 /dev/urandom >"$LOW/linked"
	ln "$LOW/linked" "$WORK/outside"
	head -c 200000 /dev/urandom >"$LOW/shown/one"
	ln "$LOW/shown/one" "$LOW/shown/deep/other"
	mount_it 15
	truncate -s 150000 "$MNT/linked"
	echo more >>"$MNT/linked"
	rm "$MNT/linked"
	truncate -s 150000 "$MNT/shown/one"
	echo more >>"$MNT/shown/one"
	rm "$MNT/shown/one"
	umount_plyfs "$MNT"
	fsck 0 "$UP"
	says "links: note: 2 files of lower layers, 300010 bytes here, that names below may still lead to"
	mount_it 15
	wait_until 60 has_data_files 1 || fail "the bytes that nobody can see are still there"
	eq "$(tail -c 5 "$MNT/shown/deep/other")" more "the name that was not deleted"
	umount_plyfs "$MNT"
	fsck 0 "$UP"
	rm -r "$LOW/linked" "$WORK/outside" "$LOW/shown"
}

# lose_record NAME: damages the record of a journal that first speaks of NAME.
lose_record() {
	local journal at
	for journal in "$UP"/.plyfs/journal "$UP"/.plyfs/journal2; do
		at=$(grep -abo -m1 "$1" "$journal" | head -1 | cut -d: -f1) || true
		[[ -n $at ]] || continue
		printf X | dd of="$journal" bs=1 seek="$at" conv=notrunc status=none
		return
	done
	fail "no record has $1"
}

# A journal is damaged, and the next mount knows nothing of what was made after that: the bytes are kept.
records_lost() {
	local sum
	fresh records
	mount_it 12
	umount_plyfs "$MNT"
	mount_it 12
	echo before >"$MNT/before"
	head -c 300000 /dev/urandom >"$MNT/large-and-lost"
	head -c 100000 /dev/urandom >"$MNT/other"
	sync "$MNT/large-and-lost" "$MNT/other"
	sum=$(sha256sum <"$MNT/large-and-lost")
	kill_daemon
	lose_record large-and-lost
	fsck 4 "$UP"
	says "changes behind that are lost"
	mount_it 13
	[[ ! -e $MNT/large-and-lost ]] || fail "its record is not lost"
	for i in $(seq 10); do head -c 50000 /dev/urandom >"$MNT/new$i"; done
	umount_plyfs "$MNT"
	fsck 0 "$UP"
	says "note: 2 data files, 400000 bytes, that a mount has put into .plyfs/lost"
	fsck 4 --salvage "$WORK/lost.d" "$UP"
	eq "$(find "$WORK/lost.d/lost+found" -size 300000c -exec sha256sum {} + | cut -c1-64)" "${sum%% *}" salvaged
	fsck 1 --repair "$UP"
	fsck 0 "$UP"
	eq "$(wc -l <"$WORK/out")" 2 "lines ($(cat "$WORK/out"))"
	[[ ! -e $UP/.plyfs/lost ]] || fail "lost is still there"
	mount_it 14
	eq "$(find "$MNT/lost+found" -type f | wc -l)" 2 files
	eq "$(find "$MNT/lost+found" -size 300000c -exec sha256sum {} + | cut -c1-64)" "${sum%% *}" repaired
	eq "$(cat "$MNT/before")" before
	umount_plyfs "$MNT"
	fsck 0 "$UP"
}

usage() {
	fsck 16
	contains "$(cat "$WORK/err")" "usage: plyfs fsck"
	fsck 16 --nonsense "$WORK"
	fsck 16 --salvage
	fsck 16 --salvage a --repair "$WORK"
	fsck 16 "$WORK" "$WORK"
	fsck 8 "$LOW"
	contains "$(cat "$WORK/err")" "is not an upper layer of plyfs"
	fsck 8 "$WORK/nothing"
	fsck 0 --help
	grep -q -- --salvage "$WORK/out"
}

# Nobody but a terminal is shown progress, and an interrupt ends the check.
progress() {
	local rc=0
	fresh many
	mount_it 11
	mkdir "$MNT/d"
	(cd "$MNT/d" && seq 20000 | xargs touch)
	umount_plyfs "$MNT"
	fsck 0 "$UP"
	[[ ! -s $WORK/err ]] || fail "stderr: $(cat "$WORK/err")"
	script -qec "'$PLYFS' fsck '$UP'" /dev/null >"$WORK/tty"
	grep -q 'inodes: [0-9]' "$WORK/tty" || fail "no progress: $(cat -v "$WORK/tty")"
	timeout -s INT 0.05 "$PLYFS" fsck "$UP" >"$WORK/out" || rc=$?
	[[ $rc == 124 || $rc == 32 || $rc == 0 ]] || fail "interrupted: $rc"
}

make_lower
run_test "a clean upper is clean" clean
run_test "a check changes nothing" check_changes_nothing
run_test "an upper in use is checked as it was, and not repaired" in_use
run_test "a killed daemon leaves no errors" killed
run_test "a lost data file is found, and moved out of the way" data_file_lost
run_test "a flipped bit is found, and the upper can be mounted again" flipped_bit
run_test "a file is told of that only names below may lead to" hidden_link
run_test "bytes whose records are lost are kept, and get names" records_lost
run_test "salvage gets the files out of a catalog without its first pages" salvage_destroyed
run_test "salvage gets the files out of what a killed daemon leaves" salvage_killed
run_test "bad command lines say how" usage
run_test "progress is for terminals" progress
finish
