#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Who owns an upper: one mount writes, further ones show one moment and disturb nobody, and no owner that
# is dead keeps anyone out.
set -euo pipefail
# shellcheck source=tests/support/lib.sh
. "$(dirname "$0")/../support/lib.sh"
need_packages fuse3 python3-minimal
in_private_ns "$@"
fuse_ready

HERE=$(cd "$(dirname "$0")" && pwd)/owners

after_failure() { drop_mounts; }

# fresh NAME: a lower, an upper, five mountpoints, in D. RW mounts the upper.
fresh() {
	D=$WORK/$1
	mkdir -p "$D"/{low,up,work,m1,m2,m3,m4,m5}
	echo low >"$D/low/file"
	mkdir "$D/low/dir"
	echo deep >"$D/low/dir/deep"
	RW=lowerdir=$D/low,upperdir=$D/up,workdir=$D/work
	LOCK=$D/up/.plyfs/lock
}

mount_at() { mount_plyfs "$RW" "$D/$1"; }

kill_daemon() {
	local pid
	pid=$(daemon_pids "$D/$1")
	[[ $pid =~ ^[0-9]+$ ]] || fail "not one daemon but: $pid"
	kill -KILL "$pid"
	wait_until 5 all_gone "$pid" || fail "the daemon does not die"
	umount -l "$D/$1"
}

is_writable() {
	touch "$D/$1/touched" 2>/dev/null || return 1
	rm "$D/$1/touched"
}

owns() { is_writable "$1" || fail "$1 did not get the upper for writing"; }

is_read_only() {
	local said
	said=$(touch "$D/$1/new" 2>&1) && fail "$1 can be written to"
	contains "$said" "Read-only file system"
}

# What a mount shows, with times and contents.
shown() {
	(cd "$D/$1" && find . -printf '%P %y %m %U:%G %n %s %T@ %i %l\n' | LC_ALL=C sort &&
		find . -type f -exec sha256sum {} + | LC_ALL=C sort)
}

bytes_of_upper() { (cd "$D/up" && find . -type f -exec sha256sum {} + | LC_ALL=C sort); }

# Changes of every kind. They end in a tree that is_changed() knows.
change() {
	echo changed >"$D/$1/file"
	mv "$D/$1/dir" "$D/$1/moved"
	rm "$D/$1/moved/deep"
	mkdir "$D/$1/made"
	echo new >"$D/$1/made/new"
	ln "$D/$1/file" "$D/$1/made/link"
	head -c 100000 /dev/zero >"$D/$1/made/big"
}

is_changed() {
	eq "$(cat "$D/$1/file" "$D/$1/made/new" "$D/$1/made/link")" $'changed\nnew\nchanged' "contents in $1"
	eq "$(cd "$D/$1" && find . -printf '%P\n' | LC_ALL=C sort | tr '\n' ' ')" \
		" file made made/big made/link made/new moved " "names in $1"
	eq "$(stat -c '%s %h' "$D/$1/made/big" "$D/$1/file")" $'100000 1\n8 2' "sizes in $1"
}

# --- snapshots -------------------------------------------------------------------------

shows_one_moment() {
	fresh moment
	mount_at m1
	touch "$D/m1/before" "$D/m1/large"
	# What is written in the tick of the clock in which the file was made, or cut, does not change its time to
	# the kernel, which then does not tell; the data file's is that of the write.
	sleep 0.05
	echo before >>"$D/m1/before"
	head -c 50000 /dev/urandom >>"$D/m1/large"
	# The writeback cache has times of its own until they are written, too.
	sync "$D/m1/before" "$D/m1/large"
	mount_at m2
	is_read_only m2
	shown m1 >"$D/then"
	shown m2 | diff "$D/then" -
	change m1
	echo more >"$D/m1/before"
	rm "$D/m1/before"
	echo 3 >/proc/sys/vm/drop_caches
	shown m2 | diff "$D/then" -
	umount_plyfs "$D/m2"
	rm "$D/m1/large"
	is_changed m1
	umount_plyfs "$D/m1"
	mount_at m1
	is_changed m1
	umount_plyfs "$D/m1"
}

writes_nothing() {
	fresh nothing
	mount_at m1
	change m1
	umount_plyfs "$D/m1"
	mount_at m1
	echo more >"$D/m1/more"
	bytes_of_upper >"$D/then"
	mount_at m2
	find "$D/m2" -type f -exec cat {} + >/dev/null
	is_read_only m2
	umount_plyfs "$D/m2"
	mount_plyfs "$RW,ro" "$D/m3"
	find "$D/m3" -type f -exec cat {} + >/dev/null
	kill_daemon m3
	bytes_of_upper | diff "$D/then" -
	kill_daemon m1
	# Nobody owns it now, and what the dead owner left is shown without being touched.
	mount_plyfs "$RW,ro" "$D/m3"
	eq "$(cat "$D/m3/more")" more
	is_read_only m3
	umount_plyfs "$D/m3"
	bytes_of_upper | diff "$D/then" -
	mount_at m1
	owns m1
	rm "$D/m1/more"
	is_changed m1
	umount_plyfs "$D/m1"
}

three_mounts_and_a_kill() {
	fresh three
	mount_at m1
	echo one >"$D/m1/one"
	mount_at m2
	shown m2 >"$D/then2"
	change m1
	mount_at m3
	is_read_only m3
	shown m3 >"$D/then3"
	rm "$D/m1/one"
	kill_daemon m1
	shown m2 | diff "$D/then2" -
	shown m3 | diff "$D/then3" -
	mount_at m4
	owns m4
	is_changed m4
	echo four >"$D/m4/four"
	mount_at m5
	is_read_only m5
	eq "$(cat "$D/m5/four")" four
	echo 3 >/proc/sys/vm/drop_caches
	shown m2 | diff "$D/then2" -
	shown m3 | diff "$D/then3" -
	kill_daemon m3
	umount_plyfs "$D/m2"
	umount_plyfs "$D/m4"
	eq "$(cat "$D/m5/four")" four
	mount_at m1
	owns m1
	rm "$D/m1/four"
	is_changed m1
	umount_plyfs "$D/m5"
	owns m1
	umount_plyfs "$D/m1"
}

# The first one unmounts; the snapshot stays, and the upper is free.
snapshot_outlives_owner() {
	fresh outlives
	mount_at m1
	change m1
	mount_at m2
	umount_plyfs "$D/m1"
	is_changed m2
	mount_at m1
	owns m1
	rm -r "$D/m1/made"
	rm "$D/m1/file"
	eq "$(cat "$D/m2/file")" changed
	umount_plyfs "$D/m2"
	umount_plyfs "$D/m1"
}

writer_is_at_work() { [[ -n $(find "$D/m1/w" -name '[1-9][0-9]*') ]]; }

# A writer makes file after file, and deletes the one before the last ten; every moment shows numbers
# without a gap. Large xattrs make the checkpoints come often.
moments_under_load() {
	local i writer
	fresh load
	mount_at m1
	/usr/bin/python3 "$HERE/window.py" write "$D/m1" &
	writer=$!
	wait_until 10 writer_is_at_work || fail "the writer does not write"
	for i in $(seq 12); do
		mount_at m2
		/usr/bin/python3 "$HERE/window.py" check "$D/m2"
		sleep "0.0$((RANDOM % 10))"
		/usr/bin/python3 "$HERE/window.py" check "$D/m2"
		umount_plyfs "$D/m2"
	done
	mount_at m2
	kill -0 "$writer" || fail "the writer has ended"
	kill_daemon m1
	wait "$writer" || true
	/usr/bin/python3 "$HERE/window.py" check "$D/m2"
	mount_at m1
	owns m1
	/usr/bin/python3 "$HERE/window.py" check "$D/m1"
	umount_plyfs "$D/m2"
	umount_plyfs "$D/m1"
}

only_one_wins() {
	local i m owners
	fresh race
	for i in 1 2 3 4 5 6; do
		for m in m1 m2 m3 m4; do
			"$PLYFS" -o "$RW" "$D/$m" &
		done
		wait
		owners=0
		for m in m1 m2 m3 m4; do
			is_plyfs_mount "$D/$m" || fail "$m is not mounted"
			if is_writable "$m"; then
				owners=$((owners + 1))
				echo "$i" >"$D/$m/last"
			fi
		done
		eq "$owners" 1 "number of mounts that can write"
		for m in m1 m2 m3 m4; do
			if ((i % 2)); then kill_daemon "$m"; else umount_plyfs "$D/$m"; fi
		done
	done
	mount_at m1
	eq "$(cat "$D/m1/last")" 6
	umount_plyfs "$D/m1"
}

# --- dead owners -----------------------------------------------------------------------

# says TEXT: the lock file's.
says() { echo "$1" >"$LOCK"; }

boot() { cat /proc/sys/kernel/random/boot_id; }

# Nobody holds the lock, whatever the text says.
dead_owners_text() {
	local text
	fresh text
	mount_at m1
	change m1
	kill_daemon m1
	contains "$(cat "$LOCK")" " $(uname -n) $(boot)" "the dead owner's text"
	mount_at m1
	owns m1
	is_changed m1
	umount_plyfs "$D/m1"
	for text in "1 $(uname -n) $(boot)" "$$ $(uname -n) $(boot)" "1 $(uname -n) another-boot" \
		"1 elsewhere another-boot" "1 elsewhere $(boot)" nonsense "99999999999999999999 a b" "-1 a b"; do
		says "$text"
		mount_at m1
		owns m1
		is_changed m1
		kill_daemon m1
		says "$text"
		mount_at m1
		owns m1
		is_changed m1
		umount_plyfs "$D/m1"
	done
}

# A lock that somebody holds decides, even if the text is that of a dead process or of nobody.
held_lock_decides() {
	local text holder
	fresh held
	mount_at m1
	change m1
	umount_plyfs "$D/m1"
	for text in "1 elsewhere another-boot" "1 $(uname -n) another-boot" ""; do
		rm -f "$D/held"
		/usr/bin/python3 "$HERE/hold.py" "$LOCK" "$text" >"$D/held" &
		holder=$!
		wait_until 5 test -s "$D/held" || fail "nobody holds the lock"
		mount_at m1
		is_read_only m1
		is_changed m1
		umount_plyfs "$D/m1"
		kill -KILL "$holder"
		wait "$holder" || true
		mount_at m1
		owns m1
		is_changed m1
		umount_plyfs "$D/m1"
	done
}

# --- a file system without locks --------------------------------------------------------

build_nolocks() {
	"${CC:-cc}" -std=gnu17 -O1 -shared -fPIC -o "$WORK/nolocks.so" "$HERE/nolocks.c"
	cat >"$WORK/$PLYFS_NAME" <<-END
		#!/bin/sh
		exec env LD_PRELOAD="$WORK/nolocks.so" "$PLYFS" "\$@"
	END
	chmod 755 "$WORK/$PLYFS_NAME"
}

mount_without_locks() {
	"$WORK/$PLYFS_NAME" -o "$RW" "$D/$1"
	is_plyfs_mount "$D/$1" || fail "$1 is not mounted"
}

text_decides_without_locks() {
	local dead
	fresh no-locks
	mount_without_locks m1
	change m1
	contains "$(cat "$LOCK")" "$(daemon_pids "$D/m1") $(uname -n) $(boot)" "the owner's text"
	mount_without_locks m2
	is_read_only m2
	is_changed m2
	umount_plyfs "$D/m2"
	owns m1
	kill_daemon m1
	mount_without_locks m1
	owns m1
	is_changed m1
	umount_plyfs "$D/m1"
	# Alive, dead, before the last boot.
	says "1 $(uname -n) $(boot)"
	mount_without_locks m1
	is_read_only m1
	is_changed m1
	umount_plyfs "$D/m1"
	true &
	dead=$!
	wait "$dead"
	for text in "$dead $(uname -n) $(boot)" "1 $(uname -n) another-boot" nonsense; do
		says "$text"
		mount_without_locks m1
		owns m1
		umount_plyfs "$D/m1"
	done
}

# Nobody can tell whether another host has it, so it is refused, and the message says what to do.
foreign_host_without_locks() {
	local rc=0
	fresh foreign
	mount_without_locks m1
	change m1
	umount_plyfs "$D/m1"
	says "4711 elsewhere another-boot"
	"$WORK/$PLYFS_NAME" -o "$RW" "$D/m1" 2>"$D/err" || rc=$?
	eq "$rc" 1 "exit status"
	eq "$(wc -l <"$D/err")" 1 "lines on stderr ($(cat "$D/err"))"
	contains "$(cat "$D/err")" "process 4711 on host elsewhere"
	contains "$(cat "$D/err")" "remove the file"
	no_mounts "$D/m1" || fail "something is mounted"
	wait_until 5 no_daemons || fail "a daemon stays"
	eq "$(cat "$LOCK")" "4711 elsewhere another-boot" "the text afterwards"
	"$WORK/$PLYFS_NAME" -o "$RW,ro" "$D/m1"
	is_changed m1
	umount_plyfs "$D/m1"
	# What the message says helps.
	rm "$LOCK"
	mount_without_locks m1
	owns m1
	is_changed m1
	umount_plyfs "$D/m1"
}

run_test "a second mount shows one moment and does not disturb the first" shows_one_moment
run_test "further mounts write nothing, with an owner and without" writes_nothing
run_test "three mounts, and the first is killed" three_mounts_and_a_kill
run_test "a snapshot outlives its owner" snapshot_outlives_owner
run_test "every snapshot under load is one moment" moments_under_load
run_test "of mounts at the same time one gets the upper" only_one_wins
run_test "a dead owner's text keeps nobody out" dead_owners_text
run_test "a lock that is held decides" held_lock_decides
build_nolocks
run_test "without locks the text decides" text_decides_without_locks
run_test "without locks a foreign host's text is refused" foreign_host_without_locks
finish
