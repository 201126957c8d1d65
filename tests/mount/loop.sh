#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Each way to serve requests: a mixed load with slow operations gives right results and ends; requests that
# hang keep nobody else waiting, nor do clients that end; SIGTERM in the middle ends in order, and SIGKILL
# after it at once, whatever sync(1) does; the daemon stays on its processors.
#
#     loop.sh	PLYFS_TEST_ROUNDS: of the mixed load (default 60)
. "$(dirname "$0")/../support/lib.sh"
in_private_ns "$@"
fuse_ready

ROUNDS=${PLYFS_TEST_ROUNDS:-60}
compile() { "${CC:-cc}" -std=gnu17 -D_GNU_SOURCE -O1 -g -Wall -Wextra -o "$@"; }
compile "$WORK/mixed" "$SUPPORT_DIR/../mount/loop/mixed.c"
compile "$WORK/ends" "$SUPPORT_DIR/../mount/loop/ends.c"
compile "$WORK/latency" "$SUPPORT_DIR/../bench/latency.c"

fresh() {
	local dir
	dir=$(mktemp -d "$WORK/XXXXXX")
	cd "$dir" || exit
	mkdir low upper work mnt
	head -c $((8 << 20)) /dev/zero | tr '\0' l >low/large
}

# serve OPTIONS [COMMAND...]: the daemon in the foreground, so that its log and its status can be had. Each check
# says which loop it is about, so it is that one in any mode of the scripts.
serve() {
	local options=$1
	shift
	serve_here "lowerdir=low,upperdir=upper,workdir=work,loop=auto,io_uring=0$options" "$@"
}

# ended: with which status, after unmounting or a signal.
ended() {
	served_well
	is_plyfs_mount "$PWD/mnt" && fail "still mounted"
	"$PLYFS" fsck upper >fsck || fail "fsck: $(cat fsck)"
}

# served MODE: how many requests, by the daemon's own count.
served() {
	statistics
	sed -n "s/.*loop $1 served //p" log
}

mixed() {
	fresh
	serve "$1"
	"$WORK/mixed" mnt "$ROUNDS" large
	"$WORK/mixed" mnt "$((ROUNDS / 4))" large 2>/dev/null && fail "mixed does not notice that files are there"
	umount mnt
	ended
}

# A burst of one client is led, where that was asked for, and by all threads where not.
burst() {
	fresh
	serve "$1"
	"$WORK/latency" stat mnt 1 1000 >/dev/null
	"$WORK/latency" stat mnt 4 300 >/dev/null
	"$WORK/latency" files mnt 300 >/dev/null
	case $1 in
	*threads*) eq "$(served follow) $(served follow-idle)" "0 0" "requests that were led" ;;
	*) (($(served follow) + $(served follow-idle) > 0)) || fail "no request was led: $(cat log)" ;;
	esac
	umount mnt
	ended
}

# Whoever looks at a client that ends may have to write its files back, through the daemon.
ends() {
	fresh
	serve "$1"
	"$WORK/ends" mnt "$((ROUNDS * 50))"
	umount mnt
	ended
}

# Lower files are on a file system whose daemon is stopped: whoever reads them hangs until it goes on.
hanging() {
	local i pids=()
	fresh
	mkdir below below-mnt
	for i in 1 2 3 4 5 6; do echo "hidden $i" >"below/f$i"; done
	"$PLYFS" -o lowerdir=below "$PWD/below-mnt"
	mapfile -t below < <(daemon_pids "$PWD/below-mnt")
	serve "$1,lowerdir=below-mnt"
	stat mnt/f* >/dev/null
	# A directory that is not below, where nothing is looked for there.
	mkdir mnt/own
	"$WORK/latency" stat mnt/own 1 200 >/dev/null
	# However this ends: nothing that hangs may be left.
	trap 'kill -CONT "${below[@]}" 2>/dev/null || true' EXIT
	kill -STOP "${below[@]}"
	wait_until 20 are_stopped "${below[@]}"
	for i in 1 2 3 4 5 6; do
		cat "mnt/f$i" >"got$i" &
		pids+=($!)
	done
	# All of them hang before the daemon is asked for other things.
	wait_until 20 all_hang "${pids[@]}"
	"$WORK/latency" stat mnt/own 2 300 >/dev/null
	# More inodes than there are locks on their bytes.
	for i in {1..600}; do
		echo "$i" >"mnt/own/d$i"
		mv "mnt/own/d$i" "mnt/own/e$i"
		rm "mnt/own/e$i"
	done
	all_hang "${pids[@]}" || fail "a reader does not hang, so nothing was shown"
	kill -CONT "${below[@]}"
	for i in 1 2 3 4 5 6; do
		wait "${pids[i - 1]}"
		eq "$(cat "got$i")" "hidden $i"
	done
	umount mnt
	ended
	umount below-mnt
}

are_stopped() {
	local pid
	for pid; do
		cat "/proc/$pid"/task/*/status | grep "^State:" | grep -qv "T (" && return 1
	done
	return 0
}

all_hang() {
	local pid
	for pid; do
		[[ $(awk '/^State/ {print $2}' "/proc/$pid/status") == [DS] ]] || return 1
		grep -q "fuse\|request_wait\|folio_wait\|io_schedule" "/proc/$pid/stack" || return 1
	done
}

term_while_busy() {
	local load
	fresh
	serve "$1"
	# From inside: under the name there is an ordinary directory afterwards.
	(cd mnt && exec "$WORK/mixed" . 100000 large 2>/dev/null) &
	load=$!
	wait_until 20 test -e mnt/append0
	"$WORK/latency" stat mnt 1 100 >/dev/null
	kill -TERM "$DAEMON"
	ended
	wait "$load" && fail "the load did not notice the end"
	serve "$1"
	test -s mnt/append0 || fail "what was written is gone"
	umount mnt
	ended
}

# Users of a busy mount keep their server for 300 ms after a signal to end, whatever else the daemon hears meanwhile: it is
# asked for its statistics, and the guard of a loop that was led has its turn.
grace() {
	local load began took
	fresh
	serve "$1"
	(cd mnt && exec "$WORK/mixed" . 100000 large 2>/dev/null) &
	load=$!
	wait_until 20 test -e mnt/append0
	began=${EPOCHREALTIME/./}
	kill -TERM "$DAEMON"
	if [[ $2 == asked ]]; then
		wait_until 20 is_detached
		kill -USR1 "$DAEMON" || fail "it ended at once"
	fi
	ended
	took=$((${EPOCHREALTIME/./} - began))
	wait "$load" && fail "the load did not notice the end"
	((took >= 300000)) || fail "ended after $took us"
}

is_detached() { ! is_plyfs_mount "$PWD/mnt"; }

# The daemon must never wait for its own mount in a way that not even SIGKILL ends: the connection would live as long as
# it does, and so would the requests that wait for an answer.
killed_while_it_ends() {
	local load dev pause mode=$1
	shift
	for pause in 0 0.01 0.03 0.1; do
		fresh
		serve "$mode" "$@"
		dev=$(stat -c %Ld mnt)
		# It is not closed meanwhile, which would write it back.
		(cd mnt && exec dd if=/dev/zero of=big bs=1M count=600 status=none 2>/dev/null) &
		load=$!
		wait_until 20 test -s mnt/big
		kill -TERM "$DAEMON"
		sleep "$pause"
		kill -KILL "$DAEMON" 2>/dev/null || true
		wait_until 20 has_ended "$DAEMON" || {
			abort_connection "$dev"
			fail "SIGKILL did not end it"
		}
		wait "$DAEMON" || true
		wait "$load" || true
		umount -l mnt 2>/dev/null || true
		"$PLYFS" fsck upper >fsck || fail "fsck: $(cat fsck)"
	done
}

# A sync(1) that fails has been waited for.
sync_fails() {
	fake_sync '[ "$3" = /proc ]'
	killed_while_it_ends "" env "PATH=$WORK/fake:$PATH"
	fresh
	serve "" env "PATH=$WORK/fake:$PATH"
	exec 4<mnt
	kill -TERM "$DAEMON"
	ended
	exec 4<&-
	grep -q "may be lost: sync -f failed" log || fail "nothing is said: $(cat log)"
}

# One that does not know -f has written nothing.
sync_is_old() {
	fake_sync 'false'
	fresh
	serve "" env "PATH=$WORK/fake:$PATH"
	exec 4>mnt/open
	head -c 3000000 low/large >&4
	kill -TERM "$DAEMON"
	ended
	exec 4>&-
	serve ""
	eq "$(cmp <(head -c 3000000 low/large) mnt/open && echo same)" same "what was written"
	umount mnt
	ended
}

# The upper's disk stands still when SIGTERM comes, and a program has written into a file that it still has open: closing it would
# write it back. As with kernels whose syncfs(2) only begins to write, sync(1) does not wait.
slow_disk() {
	local writer
	fake_sync "$(command -v sync) \"\$@\" & sleep 0.5"
	fresh
	rmdir upper work
	mkdir disk
	truncate -s 256M disk.img
	mkfs.ext4 -q -F disk.img
	mount -o loop disk.img disk
	mkdir disk/upper disk/work
	ln -s disk/upper disk/work .
	serve "" env "PATH=$WORK/fake:$PATH"
	mkfifo pipe
	dd if=pipe of=mnt/open bs=1M iflag=fullblock status=none &
	writer=$!
	exec 4>pipe
	cat low/large low/large low/large low/large >&4
	wait_until 20 has_size mnt/open $((32 << 20))
	fsfreeze -f disk
	kill -TERM "$DAEMON"
	sleep 1
	fsfreeze -u disk
	ended
	exec 4>&-
	wait "$writer" 2>/dev/null || true
	serve ""
	eq "$(cmp <(cat low/large low/large low/large low/large) mnt/open && echo same)" same "what was written"
	umount mnt
	ended
	umount disk
}

has_size() { [ "$(stat -c %s "$1")" = "$2" ]; }

# fake_sync COMMAND
fake_sync() {
	mkdir -p "$WORK/fake"
	printf '#!/bin/sh\n%s\n' "$1" >"$WORK/fake/sync"
	chmod +x "$WORK/fake/sync"
}

has_ended() { [[ ! -e /proc/$1 || $(awk '/^State/ {print $2}' "/proc/$1/status") == Z ]]; }

# abort_connection NUMBER: the minor one of the device
abort_connection() {
	mkdir -p ctl
	mount -t fusectl none ctl
	echo 1 >"ctl/$1/abort"
	umount ctl
}

# last_cpu: of those that this script may use.
last_cpu() { taskset -cp $$ | sed 's/.*[ ,-]//'; }

own_cpus() {
	local cpu
	cpu=$(last_cpu)
	fresh
	serve "" taskset -c "$cpu"
	"$WORK/latency" stat mnt 1 300 >/dev/null
	taskset -c "$(taskset -cp $$ | sed 's/.*: //; s/[,-].*//')" "$WORK/latency" stat mnt 1 300 >/dev/null
	taskset -c "$cpu" "$WORK/latency" stat mnt 1 300 >/dev/null
	cat "/proc/$DAEMON"/task/*/status | sed -n 's/^Cpus_allowed_list:\s*//p' | sort -u >cpus
	eq "$(cat cpus)" "$cpu" "processors of the daemon's threads"
	umount mnt
	ended
}

# At rest threads may run anywhere, wherever they followed their clients to.
freed() {
	local before
	before=$(sed -n 's/^Cpus_allowed_list:\s*//p' /proc/self/status)
	fresh
	serve ""
	"$WORK/latency" stat mnt 1 500 >/dev/null
	wait_until 20 at_rest || fail "a thread is bound still: $(cat cpus)"
	umount mnt
	ended
}

# A thread that is bound lets go of it before its next request: all get one.
at_rest() {
	local i
	for i in {1..40}; do stat -f mnt >/dev/null; done
	cat "/proc/$DAEMON"/task/*/status |
		sed -n 's/^Cpus_allowed_list:\s*//p' >cpus
	# The thread under SCHED_IDLE waits where it was.
	(($(grep -vcx "$before" cpus) <= 1))
}

# Clients outside of the daemon's pid namespace have the number 0.
pid_namespace() {
	fresh
	serve "" unshare --pid --fork --kill-child
	"$WORK/latency" stat mnt 1 500 >/dev/null
	"$WORK/mixed" mnt 10 large
	umount mnt
	ended
}

# Who asks for io_uring where there is none is told, and is served.
no_uring() {
	fresh
	set_switch "$FUSE_URING" N
	serve ,io_uring=1
	restore_switches
	grep -q "io_uring=1 cannot be had here" log || fail "nothing is said: $(cat log)"
	"$WORK/mixed" mnt 10 large
	umount mnt
	ended
}

for mode in "" ,loop=follow ,loop=threads ,threads=1 ,threads=2 ,threads=2,loop=follow; do
	run_test "mixed load$mode" mixed "$mode"
	run_test "SIGTERM under load$mode" term_while_busy "$mode"
	run_test "SIGKILL after SIGTERM$mode" killed_while_it_ends "$mode"
done
for mode in "" ,loop=follow ,loop=threads; do
	run_test "the time between SIGTERM and the end$mode" grace "$mode" alone
	run_test "the same when asked for statistics$mode" grace "$mode" asked
done
run_test "a sync(1) that fails" sync_fails
run_test "a sync(1) that does not know -f" sync_is_old
run_test "SIGTERM while the upper's disk stands still" slow_disk
for mode in "" ,loop=follow ,loop=threads; do
	run_test "a burst$mode" burst "$mode"
	run_test "requests that hang$mode" hanging "$mode"
	run_test "clients that end$mode" ends "$mode"
done
switch_uring Y
for mode in ,io_uring=1 ,io_uring=1,loop=follow; do
	run_test "mixed load$mode" mixed "$mode"
	run_test "SIGTERM under load$mode" term_while_busy "$mode"
	run_test "SIGKILL after SIGTERM$mode" killed_while_it_ends "$mode"
done
unswitch_uring
# In a mode of io_uring it is on for the whole script.
[[ $MODE == *,io_uring=1,* ]] || run_test "io_uring that is switched off" no_uring
run_test "the processors it was started with" own_cpus
run_test "threads are free again" freed
run_test "clients of another pid namespace" pid_namespace
finish
