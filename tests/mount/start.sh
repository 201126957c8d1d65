#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Starting: whatever the caller left of its descriptors, its limits and its mounts, a mount that is told of is served.
. "$(dirname "$0")/../support/lib.sh"
need_packages attr fuse3
in_private_ns "$@"
fuse_ready
make_user

fresh() {
	rm -rf "$WORK/t"
	mkdir -p "$WORK/t"/{low,upper,mnt}
	echo text >"$WORK/t/low/file"
	cd "$WORK/t" || exit
}

# closed FDS COMMAND…
closed() {
	local fd fds=$1
	shift
	(
		for fd in $fds; do eval "exec $fd<&-"; done
		exec "$@"
	)
}

# Ticks of all processors that a process took.
ticks() { awk '{print $14 + $15}' "/proc/$1/stat"; }

# started_without FDS OPTIONS
started_without() {
	local pid before rc=0
	closed "$1" timeout 60 "$PLYFS" -o "$2" "$PWD/mnt" || rc=$?
	eq "$rc" 0 "status with $1 closed"
	is_plyfs_mount "$PWD/mnt" || fail "not mounted with $1 closed"
	pid=$(daemon_pids "$PWD/mnt")
	eq "$(readlink "/proc/$pid"/fd/{0,1,2} | uniq)" /dev/null "descriptors 0 to 2 with $1 closed"
	eq "$(cat mnt/file)" text
	eq "$(stat -f -c '%S %b' mnt)" "$(stat -f -c '%S %b' low)" "size of the file system with $1 closed"
	before=$(ticks "$pid")
	sleep 0.5
	(($(ticks "$pid") - before < 20)) || fail "with $1 closed the daemon is busy with nothing"
	kill -TERM "$pid"
	wait_until 20 all_gone "$pid" || fail "with $1 closed SIGTERM does not end it"
	no_mounts "$WORK/t" || fail "something stayed mounted"
}

closed_descriptors() {
	local fds
	for fds in 0 1 2 "0 1" "0 2" "1 2" "0 1 2"; do
		fresh
		started_without "$fds" lowerdir=low
		started_without "$fds" lowerdir=low,upperdir=upper
	done
}

# What a command had to say went nowhere: that is no success.
closed_output() {
	local command
	fresh
	for command in help version "ls low" "cat low/ file" "stat low/ file" doctor; do
		# shellcheck disable=SC2086  # words of a command
		"$PLYFS" $command >out 2>err || [[ $command == doctor ]] || fail "$command: $(cat err)"
		# shellcheck disable=SC2086
		refuses closed 1 "$PLYFS" $command
		# shellcheck disable=SC2086
		refuses closed "0 1 2" "$PLYFS" $command
	done
	refuses closed "0 1" "$PLYFS" -o lowerdir=nowhere mnt 2>err
	contains "$(cat err)" nowhere
}

# What only images need costs no mount of directories anything, and need not be there.
libraries_of_images() {
	local maps
	fresh
	mkdir empty
	touch empty/lib{crypto.so.{3,4},curl.so.4}
	LD_LIBRARY_PATH=$PWD/empty mount_plyfs lowerdir=low,upperdir=upper "$PWD/mnt"
	maps=$(cat "/proc/$(daemon_pids "$PWD/mnt")/maps")
	contains "$maps" /liblmdb.so "what is loaded"
	lacks "$maps" /libcrypto.so "what is loaded"
	lacks "$maps" /libcurl.so "what is loaded"
	eq "$(cat mnt/file)" text
	umount_plyfs "$PWD/mnt"
}

# limited N: mounts with at most N processes and threads, in a shell that is not limited. Says "served" or "refused".
# LeakSanitizer would need a thread of its own at the end.
limited() {
	local rc=0 mounted
	ASAN_OPTIONS=${ASAN_OPTIONS-}:detect_leaks=0 prlimit --nproc="$1" "$PLYFS" -o lowerdir=low,upperdir=upper "$PWD/mnt" 2>err || rc=$?
	mounted=$(grep -c " $PWD/mnt " /proc/self/mounts)
	if ((rc == 0)); then
		[[ $mounted == 1 && $(cat mnt/file) == text ]] || { echo "not served with $1"; return; }
		# Nobody else flushes what was committed.
		cat "/proc/$(daemon_pids "$PWD/mnt")"/task/*/comm >threads
		echo new >mnt/new
		"$PLYFS" umount "$PWD/mnt"
		grep -qx checkpoint threads || { echo "served with $1 without the thread that flushes: $(cat threads)"; return; }
		echo served
	else
		# Warnings tell of the threads that are not necessary.
		[[ $rc == 1 && $mounted == 0 && $(grep -vc "^plyfs: warning: " err) == 1 ]] ||
			{ echo "status $rc with $1: $(cat err)"; return; }
		grep -q "ulimit -u" err || { echo "no advice with $1: $(cat err)"; return; }
		echo refused
	fi
}

# fresh_of UID: for a user of the test's own, as all that the user runs counts; fusermount3 wants its name. Until /etc/passwd is unmounted.
fresh_of() {
	umount /etc/passwd 2>/dev/null || true # of a run that failed
	fresh
	{ cat /etc/passwd; echo "plyfs$1:x:$1:$1::/:/bin/sh"; } >passwd
	mount --bind passwd /etc/passwd
	chown "$1:$1" . low upper mnt
}

# few_threads COMMAND…: which brings the shell where the limits count.
few_threads() {
	local n uid=3000001 said served=0 refused=0
	fresh_of "$uid"
	export -f limited daemon_pids all_daemons
	export PLYFS_BINARY
	for n in {1..12}; do
		said=$(setpriv --reuid="$uid" --regid="$uid" --clear-groups --inh-caps=-all "$@" bash -c "limited $n")
		echo "$n: $said, $(cat err)"
		wait_until 20 no_daemons || fail "a daemon stayed ($n)"
		[[ $said == served || $said == refused ]] || fail "$said"
		if [[ $said == served ]]; then served=$((served + 1)); else refused=$((refused + 1)); fi
		if grep -q "cannot start a thread: .*ulimit -u" err; then touch told; fi
	done
	umount /etc/passwd
	((served > 0 && refused > 0)) || fail "$served served, $refused refused"
}

# alone N: serves with at most N processes and threads; prints who led when there is a single thread that serves.
alone() {
	local pid i
	ASAN_OPTIONS=${ASAN_OPTIONS-}:detect_leaks=0 prlimit --nproc="$1" \
		"$PLYFS" -f -o loop=follow,lowerdir=low,upperdir=upper "$PWD/mnt" 2>log &
	pid=$!
	while kill -0 "$pid" && ! grep -q " $PWD/mnt " /proc/self/mounts; do sleep 0.1; done 2>/dev/null
	grep -q "only 1 of" log || { kill "$pid" 2>/dev/null || true; wait "$pid" || true; return 0; }
	for i in {1..2000}; do [[ ! -e mnt/absent$i ]]; done
	kill -USR1 "$pid"
	for i in {1..100}; do ! grep "loop follow.* served" log || break; sleep 0.1; done
	kill -TERM "$pid"
	wait "$pid"
}

# It looks for no client: what it waits for then, nobody would serve.
leads_nobody_alone() {
	local n uid=3000002 said=""
	fresh_of "$uid"
	export -f alone
	for n in {1..12}; do
		said=$(setpriv --reuid="$uid" --regid="$uid" --clear-groups --inh-caps=-all bash -c "alone $n")
		wait_until 20 no_daemons || fail "a daemon stayed ($n)"
		[[ -z $said ]] || break
	done
	umount /etc/passwd
	contains "$said" "loop follow served 0" "a thread alone"
	contains "$said" "loop follow-idle served 0" "a thread alone"
}

# There the mount takes no other program, so that the first that there is no room for is a thread.
few_threads_in_userns() {
	few_threads unshare --user --map-root-user --mount
	[[ -e told ]] || fail "nobody was told of the limit"
}

# ends_in_time COMMAND…: as the user, whatever its status.
ends_in_time() {
	local rc=0
	as_user timeout -k 10 60 "$@" || rc=$?
	((rc != 124 && rc != 137)) || fail "does not end: $*"
}

# A user's layers are not detached: to look at the mountpoint in one of them must not be to ask the daemon, whose one thread
# is the one that looks.
# mountpoint_in_lower HOW UPPER
mountpoint_in_lower() {
	local i low=$WORK/t/low
	fresh
	mkdir low/mnt low/upper
	for i in {1..300}; do echo "$i" >"low/name$i"; done
	[[ $1 != override ]] || setfattr -n user.fuseoverlayfs.override_stat -v 0:0:755 low
	chown -R "$TEST_USER:" low upper mnt
	if [[ $1 == fuse ]]; then
		mkdir outer
		chown "$TEST_USER:" outer
		mount_plyfs "lowerdir=$low,upperdir=$PWD/outer,allow_other" "$PWD/mnt"
		low=$WORK/t/mnt
	fi
	as_user "$PLYFS" -o "lowerdir=$low,upperdir=$2,threads=1,timeout=0" "$low/mnt"
	ends_in_time ls -l "$low/mnt" >out
	eq "$(grep -c name out)" 300 "names"
	eq "$(ends_in_time ls -A "$low/mnt/mnt")" "" "names in the mountpoint, as the layer has it"
	eq "$(ends_in_time stat -c %F "$low/mnt/mnt")" directory
	ends_in_time getfattr -d "$low/mnt/mnt"
	ends_in_time find "$low/mnt" >out
	contains "$(cat out)" "$low/mnt/mnt"
	lacks "$(cat out)" "$low/mnt/mnt/"
	# Until it has ended it holds its layer.
	ended_by "$low/mnt" as_user fusermount3 -u "$low/mnt"
	[[ $1 != fuse ]] || umount_plyfs "$low"
	wait_until 20 no_daemons || fail "a daemon stayed"
}

# In a line of fstab the source is any word: mount.fuse3 puts it first, where commands are.
source_like_a_command() {
	local source
	fresh
	mkdir bin
	ln -s "$PLYFS" "bin/$PLYFS_NAME"
	for source in image ls umount help fsck cache mount none; do
		PATH=$PWD/bin:$PATH mount.fuse3 "$source" "$PWD/mnt" -t "fuse.$PLYFS_NAME" -o "lowerdir=$PWD/low,nofail"
		served_by_plyfs "$PWD/mnt"
		eq "$(cat mnt/file)" text "with the source $source"
		umount_plyfs "$PWD/mnt"
	done
}

after_failure() { drop_mounts; }

run_test "descriptors that are closed" closed_descriptors
run_test "output that is closed" closed_output
run_test "libraries that only images need" libraries_of_images
run_test "a source that is called like a command" source_like_a_command
run_test "few threads, as a user" few_threads
run_test "few threads, in a user namespace" few_threads_in_userns
run_test "one thread of those that were wanted" leads_nobody_alone
run_test "one thread, and the mountpoint in a lower layer" mountpoint_in_lower plain "$WORK/t/upper"
run_test "the same where owners are kept in attributes" mountpoint_in_lower override "$WORK/t/upper"
run_test "the same where the layer is no local file system" mountpoint_in_lower fuse "$WORK/t/upper"
run_test "the same with the upper in it, too" mountpoint_in_lower plain "$WORK/t/low/upper"
finish
