#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The calling contract: every form in which container tools call their mount program, and what
# they expect of it and of the daemon that it leaves behind.
set -euo pipefail
# shellcheck source=tests/support/lib.sh
. "$(dirname "$0")/../support/lib.sh"

need_packages fuse3 python3
in_private_ns "$@"
fuse_ready

HERE=$(cd "$(dirname "$0")" && pwd)

after_failure() { drop_mounts; }

# go_call ARG…: calls plyfs as a Go client does; its stderr becomes stdout.
go_call() {
	/usr/bin/python3 "$HERE/_caller.py" call ${CALL_CWD:+--cwd "$CALL_CWD"} -- "$PLYFS" "$@"
}

# fresh NAME: a new scene in D: two lower layers, an upper, a work directory, a mount point.
fresh() {
	D=$WORK/$1
	mkdir -p "$D"/{a,b,up,work,m}
	echo a >"$D/a/file"
	echo only-a >"$D/a/in-a"
	echo b >"$D/b/file"
	echo only-b >"$D/b/in-b"
	LOWERS=lowerdir=$D/a:$D/b
	RW=$LOWERS,upperdir=$D/up,workdir=$D/work
}

# The scene is mounted, shows the layers, and can be written to.
scene_works() {
	is_plyfs_mount "$D/m" || fail "$D/m is not mounted"
	eq "$(cat "$D/m/file" "$D/m/in-a" "$D/m/in-b")" $'a\nonly-a\nonly-b'
	echo written >"$D/m/written"
	eq "$(cat "$D/m/written")" written
	[[ ! -e $D/a/written && ! -e $D/b/written ]] || fail "a lower layer was written to"
}

# Ends the scene and looks whether the next mount has what was written.
scene_ends() {
	umount_plyfs "$D/m"
	mount_plyfs "$RW" "$D/m"
	eq "$(cat "$D/m/written")" written "after a new mount"
	umount_plyfs "$D/m"
}

# called ARG…: plyfs called so mounts the scene.
called() {
	go_call "$@"
	scene_works
	scene_ends
}

# --- forms of the command line ---------------------------------------------------------

one_option() { fresh one-option; called -o "$RW" "$D/m"; }
glued_option() { fresh glued; called "-o$RW" "$D/m"; }
several_options() { fresh several; called -o "$LOWERS" -o "upperdir=$D/up" -o "workdir=$D/work" "$D/m"; }
two_positionals() { fresh positionals; called -o "$RW" overlay "$D/m"; }
options_last() { fresh options-last; called overlay "$D/m" -o "$RW"; }
options_between() { fresh between; called -o "$LOWERS" "$D/m" -o "upperdir=$D/up,workdir=$D/work"; }
empty_options() { fresh empty; called -o "$LOWERS,,upperdir=$D/up,workdir=$D/work,,volatile" "$D/m"; }
trailing_comma() { fresh comma; called -o "$RW," "$D/m"; }
kernel_options() { fresh kernel; called "$D/src" "$D/m" -o "rw,$RW,dev,suid,private"; }
volatile_option() { fresh volatile; called -o "$RW,fsync=0,volatile" "$D/m"; }

disable_whiteout_variable() {
	fresh whiteouts
	FUSE_OVERLAYFS_DISABLE_OVL_WHITEOUT=y go_call -o "$RW" "$D/m"
	scene_works
	rm "$D/m/in-b"
	[[ ! -e $D/m/in-b ]]
	scene_ends
}

last_duplicate_wins() {
	fresh duplicate
	mkdir "$D/other"
	go_call -o "lowerdir=$D/b,upperdir=$D/other,$RW" "$D/m"
	scene_works
	scene_ends
	eq "$(ls -A "$D/other")" ""
}

unknown_option() {
	local said
	fresh unknown
	said=$(go_call -o "$RW,frobnicate,colour=blue" "$D/m")
	contains $'\n'"$said"$'\n' $'\nunknown argument ignored: frobnicate\n' stderr
	contains $'\n'"$said"$'\n' $'\nunknown argument ignored: colour=blue\n' stderr
	scene_works
	scene_ends
}

# Whoever reads stderr takes every line for a fault.
silent_success() {
	fresh silent
	eq "$(go_call -o "$RW" "$D/m")" "" stderr
	umount_plyfs "$D/m"
}

quoted_comma() {
	local said
	fresh quoted
	said=$(go_call -o "$LOWERS,context=\"system_u:object_r:container_file_t:s0:c1,c2\",upperdir=$D/up,workdir=$D/work" "$D/m")
	lacks "$said" 'c2"' stderr
	scene_works
	scene_ends
}

escaped_comma() {
	fresh escaped-comma
	mv "$D/a" "$D/a,1"
	go_call -o "lowerdir=$D/a\\,1:$D/b,upperdir=$D/up,workdir=$D/work" "$D/m"
	eq "$(cat "$D/m/in-a")" only-a
	umount_plyfs "$D/m"
}

escaped_colon() {
	fresh escaped-colon
	mv "$D/a" "$D/a:1"
	go_call -o "lowerdir=$D/a\\:1:$D/b,upperdir=$D/up,workdir=$D/work" "$D/m"
	eq "$(cat "$D/m/in-a" "$D/m/in-b")" $'only-a\nonly-b'
	umount_plyfs "$D/m"
}

# Clients write the mapping with a colon in front.
id_mapping() {
	fresh mapping
	chown 5:6 "$D/a/file"
	go_call -o "$RW,uidmapping=:0:100000:65536,gidmapping=:0:200000:65536" "$D/m"
	eq "$(stat -c %u:%g "$D/m/file" "$D/m/in-a")" $'100005:200006\n100000:200000'
	chown 100007:200008 "$D/m/file"
	eq "$(stat -c %u:%g "$D/m/file")" 100007:200008
	umount_plyfs "$D/m"
	mount_plyfs "$RW" "$D/m"
	eq "$(stat -c %u:%g "$D/m/file")" 7:8 "owner without the mapping"
	umount_plyfs "$D/m"
}

squash() {
	fresh squash
	chown 5:6 "$D/a/file"
	go_call -o "$RW,squash_to_uid=1000,squash_to_gid=1001" "$D/m"
	eq "$(stat -c %u:%g "$D/m/file")" 1000:1001
	umount_plyfs "$D/m"
}

version() {
	local out
	out=$("$PLYFS" --version)
	grep -Eq "^$PLYFS_NAME:? (version )?[0-9]+\.[0-9]" <<<"$out" || fail "no version in: $out"
	[[ -n $("$PLYFS" --help) ]] || fail "--help says nothing"
}

# --- paths -----------------------------------------------------------------------------

# G/l/ABC/../diff1 is beside what the link points to; taken as text it would be G/l/diff1.
lower_beside_link() {
	fresh link
	mkdir -p "$D/g/l" "$D/g/l/diff1" "$D/g/layer/diff"
	mv "$D/a" "$D/g/layer/diff1"
	ln -s ../layer/diff "$D/g/l/ABC"
	go_call -o "lowerdir=$D/g/l/ABC/../diff1:$D/g/l/ABC:$D/b,upperdir=$D/up,workdir=$D/work" "$D/m"
	eq "$(cat "$D/m/in-a")" only-a
	umount_plyfs "$D/m"
}

relative_paths() {
	fresh relative
	CALL_CWD=$D go_call -o lowerdir=a:b,upperdir=up,workdir=work m
	scene_works
	scene_ends
}

many_lowers() {
	local i lowers='' dir
	fresh many
	for i in {1..500}; do
		dir=$D/$1$i
		mkdir "$dir"
		echo "$i" >"$dir/file"
		echo "$i" >"$dir/file$i"
		lowers+=:$dir
	done
	go_call -o "lowerdir=${lowers#:},upperdir=$D/up,workdir=$D/work" "$D/m"
	eq "$(find "$D/m" -name 'file*' | wc -l)" 501
	eq "$(cat "$D/m/file" "$D/m/file500")" $'1\n500'
	umount_plyfs "$D/m"
	rm -r "$D"
}

few_names() { many_lowers l; }

# Nearly the 128 KiB that one argument may have.
long_names() {
	many_lowers "$(printf 'x%.0s' {1..210})"
}

# enroot's call: the mount covers the layers.
layers_below_mountpoint() {
	fresh below
	mv "$D"/{a,b,up,work} "$D/m/"
	"$PLYFS" -f -o "lowerdir=$D/m/a:$D/m/b,upperdir=$D/m/up,workdir=$D/m/work" "$D/m" &
	wait_until 5 is_plyfs_mount "$D/m"
	eq "$(cat "$D/m/in-a" "$D/m/in-b")" $'only-a\nonly-b'
	echo written >"$D/m/written"
	find "$D/m" >/dev/null
	umount_plyfs "$D/m"
	mount_plyfs "lowerdir=$D/m/a:$D/m/b,upperdir=$D/m/up,workdir=$D/m/work" "$D/m"
	eq "$(cat "$D/m/written")" written
	umount_plyfs "$D/m"
}

lower_is_mountpoint() {
	fresh same
	mv "$D/a/in-a" "$D/m/"
	go_call -o "lowerdir=$D/m,upperdir=$D/up,workdir=$D/work" "$D/m"
	eq "$(cat "$D/m/in-a")" only-a
	echo written >"$D/m/written"
	umount_plyfs "$D/m"
	[[ ! -e $D/m/written ]] || fail "written through to the directory below"
}

device_fd_mountpoint() {
	fresh devfd
	/usr/bin/python3 "$HERE/_caller.py" devfd "$D/m" "$FSTYPE" -- "$PLYFS" -o "$RW"
	eq "$(all_daemons | wc -l)" 1 "number of daemons"
	scene_works
	umount "$D/m"
	wait_until 5 no_daemons || fail "the daemon outlives the mount"
}

# --- the daemon ------------------------------------------------------------------------

# Sets DAEMON to the process that serves the scene.
find_daemon() {
	DAEMON=$(daemon_pids "$D/m")
	[[ $DAEMON =~ ^[0-9]+$ ]] || fail "not one daemon but: $DAEMON"
}

daemon_lets_go() {
	local fd
	fresh daemon
	CALL_CWD=$D go_call -o "$RW" "$D/m"
	find_daemon
	for fd in 0 1 2; do
		eq "$(readlink "/proc/$DAEMON/fd/$fd")" /dev/null "descriptor $fd of the daemon"
	done
	eq "$(readlink "/proc/$DAEMON/cwd")" / "working directory of the daemon"
	[[ $(ps -o sid= -p "$DAEMON") != $(ps -o sid= -p $$) ]] || fail "the daemon is in its caller's session"
	eq "$(ps -o ppid= -p "$DAEMON" | tr -d ' ')" 1 "parent of the daemon"
	umount_plyfs "$D/m"
	all_gone "$DAEMON"
}

in_proc_mounts() {
	local line stat
	fresh proc-mounts
	go_call -o "$RW" "$D/m"
	line=$(grep " $D/m " /proc/self/mounts)
	eq "$(cut -d' ' -f1 <<<"$line")" "$PLYFS_NAME" "source"
	eq "$(cut -d' ' -f3 <<<"$line")" "$FSTYPE" "type"
	contains "$line" default_permissions
	contains "$line" allow_other
	lacks "$line" nosuid
	stat=$(stat -f -c %t "$D/m")
	eq "$stat" 65735546 "file system's magic number"
	[[ $(stat -c %d "$D/m") != $(stat -c %d "$D") ]] || fail "same device number as the directory around it"
	umount_plyfs "$D/m"
}

names_in_proc_mounts() {
	fresh names
	go_call -o "$RW,fsname=chosen" "$D/m"
	eq "$(awk -v m="$D/m" '$2 == m {print $1}' /proc/self/mounts)" chosen "source"
	scene_works
	umount_plyfs "$D/m"
}

other_users() {
	local as_nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups)
	fresh others
	chmod 600 "$D/a/in-a"
	go_call -o "$RW" "$D/m"
	eq "$("${as_nobody[@]}" cat "$D/m/file")" a
	refuses "${as_nobody[@]}" cat "$D/m/in-a"
	refuses "${as_nobody[@]}" touch "$D/m/new"
	umount_plyfs "$D/m"
}

devices_with_dev() {
	fresh devices
	go_call -o "$RW,dev" "$D/m"
	mknod "$D/m/zero" c 1 5
	eq "$(head -c 3 "$D/m/zero" | od -An -tx1 | tr -d ' ')" 000000
	umount_plyfs "$D/m"
}

# ends_on SIGNAL: within two seconds the mount and the daemon are gone, nothing is lost.
ends_on() {
	fresh "signal-$1"
	go_call -o "$RW" "$D/m"
	scene_works
	find_daemon
	kill -"$1" "$DAEMON"
	wait_until 2 all_gone "$DAEMON" || fail "still running 2 s after SIG$1"
	no_mounts "$D/m" || fail "still mounted after SIG$1"
	mount_plyfs "$RW" "$D/m"
	eq "$(cat "$D/m/written")" written
	umount_plyfs "$D/m"
}

# A stop that comes while somebody has a file open there may not wait for him.
ends_while_used() {
	local fd
	fresh term-used
	go_call -o "$RW" "$D/m"
	find_daemon
	exec {fd}<"$D/m/file"
	kill -TERM "$DAEMON"
	wait_until 3 no_mounts "$D/m" || fail "still mounted 3 s after SIGTERM"
	exec {fd}<&-
	wait_until 3 all_gone "$DAEMON" || fail "still running"
}

statistics_signal() {
	fresh usr1
	go_call -o "$RW" "$D/m"
	find_daemon
	kill -USR1 "$DAEMON"
	sleep 0.2
	scene_works
	eq "$(daemon_pids "$D/m")" "$DAEMON"
	scene_ends
}

foreground() {
	local pid
	fresh foreground
	"$PLYFS" -f -o "$RW" "$D/m" 2>"$D/stderr" &
	pid=$!
	wait_until 5 is_plyfs_mount "$D/m" || fail "not mounted"
	scene_works
	eq "$(daemon_pids "$D/m")" "$pid" "process that serves"
	kill -TERM "$pid"
	wait "$pid" || true
	no_mounts "$D/m"
	lacks "$(cat "$D/stderr")" rror
}

foreground_unmount() {
	local pid rc=0
	fresh foreground-unmount
	"$PLYFS" -f -o "$RW" "$D/m" &
	pid=$!
	wait_until 5 is_plyfs_mount "$D/m" || fail "not mounted"
	fusermount3 -u "$D/m"
	wait "$pid" || rc=$?
	eq "$rc" 0 "exit code"
}

# What containers/storage does when a mount is busy.
lazy_unmount() {
	local fd
	fresh lazy
	go_call -o "$RW" "$D/m"
	find_daemon
	exec {fd}<>"$D/m/file"
	umount -l "$D/m"
	no_mounts "$D/m"
	sleep 0.3
	if all_gone "$DAEMON"; then fail "the daemon left its last user alone"; fi
	eq "$(cat <&"$fd")" a
	echo more >&"$fd"
	exec {fd}<&-
	wait_until 5 all_gone "$DAEMON" || fail "the daemon outlives its last user"
	mount_plyfs "$RW" "$D/m"
	eq "$(cat "$D/m/file")" $'a\nmore'
	umount_plyfs "$D/m"
}

killed_and_mounted_again() {
	fresh killed
	go_call -o "$RW" "$D/m"
	scene_works
	mkdir "$D/m/dir"
	mv "$D/m/in-a" "$D/m/dir/"
	rm "$D/m/in-b"
	sync "$D/m/written"
	find_daemon
	kill -KILL "$DAEMON"
	wait_until 5 all_gone "$DAEMON"
	fusermount3 -u "$D/m"
	mount_plyfs "$RW" "$D/m"
	eq "$(cat "$D/m/written" "$D/m/dir/in-a")" $'written\nonly-a'
	[[ ! -e $D/m/in-b && ! -e $D/m/in-a ]] || fail "a deleted name is back"
	umount_plyfs "$D/m"
}

# --- upper, work, read-only ------------------------------------------------------------

read_only_without_upper() {
	local said
	fresh read-only
	go_call -o "$LOWERS" "$D/m"
	eq "$(cat "$D/m/file" "$D/m/in-b")" $'a\nonly-b'
	said=$(touch "$D/m/new" 2>&1) && fail "written to"
	contains "$said" "Read-only file system"
	said=$(rm "$D/m/file" 2>&1) && fail "removed"
	contains "$said" "Read-only file system"
	umount_plyfs "$D/m"
}

read_only_option() {
	fresh ro
	go_call -o "$RW,ro" "$D/m"
	eq "$(cat "$D/m/file")" a
	contains "$(touch "$D/m/new" 2>&1 || true)" "Read-only file system"
	umount_plyfs "$D/m"
}

work_deleted() {
	fresh work-deleted
	go_call -o "$RW" "$D/m"
	scene_works
	umount_plyfs "$D/m"
	rm -rf "$D/work"
	mkdir "$D/work"
	mount_plyfs "$RW" "$D/m"
	scene_works
	umount_plyfs "$D/m"
}

work_missing() {
	fresh work-missing
	rmdir "$D/work"
	called -o "$RW" "$D/m"
}

work_not_given() {
	fresh no-work
	RW=$LOWERS,upperdir=$D/up
	called -o "$RW" "$D/m"
}

# An upper directory that another overlay file system wrote opens as it was.
foreign_upper() {
	fresh foreign
	mknod "$D/up/in-a" c 0 0
	echo old >"$D/up/old"
	touch "$D/up/.wh.in-b"
	go_call -o "$RW" "$D/m"
	eq "$(ls -A "$D/m")" $'file\nold'
	echo new >"$D/m/in-a"
	rm "$D/m/old"
	eq "$(ls -A "$D/m")" $'file\nin-a'
	umount_plyfs "$D/m"
}

# containerd reads a snapshot through a second mount while the first may be in use.
second_mount_of_upper() {
	local said
	fresh second
	mkdir "$D/m2"
	go_call -o "$RW" "$D/m"
	scene_works
	rm "$D/m/in-b"
	go_call -o "$RW" "$D/m2"
	eq "$(cat "$D/m2/written" "$D/m2/file")" $'written\na' "what the second mount shows"
	[[ ! -e $D/m2/in-b ]] || fail "the second mount shows a deleted name"
	said=$(touch "$D/m2/new" 2>&1) && fail "the second mount can be written to"
	contains "$said" "Read-only file system"
	echo more >"$D/m/more"
	umount_plyfs "$D/m2"
	eq "$(cat "$D/m/written" "$D/m/more")" $'written\nmore'
	umount_plyfs "$D/m"
	mount_plyfs "$RW" "$D/m"
	eq "$(cat "$D/m/written" "$D/m/more")" $'written\nmore'
	[[ ! -e $D/m/in-b ]] || fail "a deleted name is back"
	umount_plyfs "$D/m"
}

same_lowers_twice() {
	fresh twice
	mkdir "$D"/{up2,work2,m2}
	go_call -o "$RW" "$D/m"
	go_call -o "$LOWERS,upperdir=$D/up2,workdir=$D/work2" "$D/m2"
	scene_works
	rm "$D/m2/file"
	scene_works
	[[ ! -e $D/m2/file && ! -e $D/m2/written ]]
	umount_plyfs "$D/m2"
	scene_ends
}

# --- failures --------------------------------------------------------------------------

# fails_cleanly ARG…: non-zero, one line on stderr, nothing mounted, no daemon.
fails_cleanly() {
	local said rc=0
	said=$(go_call "$@") || rc=$?
	((rc > 0 && rc < 124)) || fail "exit code is $rc"
	[[ -n $said ]] || fail "nothing on stderr"
	eq "$(wc -l <<<"$said")" 1 "number of lines on stderr ($said)"
	no_mounts "$D/m" || fail "something is mounted"
	wait_until 2 no_daemons || fail "a daemon is left"
}

missing_lower() { fresh no-lower; fails_cleanly -o "lowerdir=$D/a:$D/none,upperdir=$D/up,workdir=$D/work" "$D/m"; }
missing_upper() { fresh no-upper; fails_cleanly -o "$LOWERS,upperdir=$D/none,workdir=$D/work" "$D/m"; }
missing_mountpoint() { fresh no-mountpoint; fails_cleanly -o "$RW" "$D/none"; }
lower_is_file() { fresh lower-file; fails_cleanly -o "lowerdir=$D/a/file,upperdir=$D/up,workdir=$D/work" "$D/m"; }
no_mountpoint() { fresh no-argument; fails_cleanly -o "$RW"; }

run_test "mounts; the pipe ends, the exit code is 0" one_option
run_test "-oOPTIONS in one word" glued_option
run_test "several -o" several_options
run_test "the last of two positionals is the mount point" two_positionals
run_test "options after the positionals" options_last
run_test "options on both sides" options_between
run_test "empty options" empty_options
run_test "trailing comma" trailing_comma
run_test "rw, dev, suid, private" kernel_options
run_test "volatile, fsync=0" volatile_option
run_test "FUSE_OVERLAYFS_DISABLE_OVL_WHITEOUT" disable_whiteout_variable
run_test "the last of duplicate options wins" last_duplicate_wins
run_test "unknown options are named and ignored" unknown_option
run_test "nothing on stderr when all is well" silent_success
run_test "comma inside quotes" quoted_comma
run_test "escaped comma in a path" escaped_comma
run_test "escaped colon in a path" escaped_colon
run_test "id mappings with a leading colon" id_mapping
run_test "squash_to_uid, squash_to_gid" squash
run_test "--version and --help" version

run_test "lower beside a link's target" lower_beside_link
run_test "relative paths" relative_paths
run_test "500 lowers" few_names
run_test "500 lowers in 120 KiB of options" long_names
run_test "layers below the mount point" layers_below_mountpoint
run_test "a lower that is the mount point" lower_is_mountpoint
run_test "mount point /dev/fd/N" device_fd_mountpoint

run_test "the daemon lets go of its caller" daemon_lets_go
run_test "source, type and flags in /proc/mounts" in_proc_mounts
run_test "fsname=" names_in_proc_mounts
run_test "other users are let in, as far as modes allow" other_users
run_test "device nodes with dev" devices_with_dev
run_test "SIGTERM unmounts and ends" ends_on TERM
run_test "SIGINT unmounts and ends" ends_on INT
run_test "SIGHUP unmounts and ends" ends_on HUP
run_test "SIGTERM while a file is open" ends_while_used
run_test "SIGUSR1 is survived" statistics_signal
run_test "-f stays in the foreground" foreground
run_test "-f ends when unmounted" foreground_unmount
run_test "MNT_DETACH: ends with its last user" lazy_unmount
run_test "kill -9 and a new mount" killed_and_mounted_again

run_test "read-only without an upper" read_only_without_upper
run_test "read-only with ro" read_only_option
run_test "work directory made anew between mounts" work_deleted
run_test "work directory missing" work_missing
run_test "work directory not given" work_not_given
run_test "an upper of another overlay" foreign_upper
run_test "a second mount of an upper in use" second_mount_of_upper
run_test "two mounts of the same lowers" same_lowers_twice

run_test "missing lower" missing_lower
run_test "missing upper" missing_upper
run_test "missing mount point" missing_mountpoint
run_test "a lower that is a file" lower_is_file
run_test "no mount point given" no_mountpoint
run_test "no mount and no daemon is left" nothing_mounted "$WORK"
finish
