# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Sourced by every test script that drives plyfs through real mounts.
#
# A script reads:
#
#     . "$(dirname "$0")/../support/lib.sh"
#     need_packages podman crun
#     in_private_ns "$@"
#     run_test "what must hold" function
#     finish
#
# PLYFS             the program under test (required)
# PLYFS_FSTYPE      its type in /proc/mounts      (default: fuse.NAME-OF-THE-PROGRAM)
# PLYFS_TEST_DIR    where work directories are made         (default: /var/tmp)
# PLYFS_TEST_CACHE  what scripts share: Debian root trees   (default: /var/cache/plyfs-tests)
# PLYFS_TEST_KEEP   set: the work directory stays for a look afterwards
# PLYFS_TEST_TIMES  set: each check's seconds on stderr
# PLYFS_TEST_LIMIT  seconds after which a check is killed   (default: 180)
# PLYFS_TEST_MOUNT_OPTIONS   options of every mount: see mode.sh

set -euo pipefail

SUPPORT_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
SCRIPT_NAME=$(basename "$0" .sh)
TEST_CACHE=${PLYFS_TEST_CACHE:-/var/cache/plyfs-tests}
TEST_USER=plyfstest

# A program name is looked up in the caller's PATH; after that only the system's own
# programs are used, so that somebody's private python or podman changes no result.
: "${PLYFS:?set PLYFS to the program under test}"
PLYFS=$(command -v -- "$PLYFS") || { echo "PLYFS is not a program" >&2; exit 2; }
PLYFS=$(cd "$(dirname "$PLYFS")" && pwd)/$(basename "$PLYFS")
export PLYFS
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL=C.UTF-8

# The stand-in for plyfs is tested by the same scripts, so nothing may spell the type out.
PLYFS_NAME=$(basename "$PLYFS")
FSTYPE=${PLYFS_FSTYPE:-fuse.$PLYFS_NAME}

failed_checks=0
passed_checks=0

# shellcheck source=tests/support/mode.sh
. "$SUPPORT_DIR/mode.sh"

# shellcheck source=tests/support/packages.sh
. "$SUPPORT_DIR/packages.sh"

# --- reporting -------------------------------------------------------------------------

ok() {
	passed_checks=$((passed_checks + 1))
	printf 'ok %s: %s\n' "$SCRIPT_NAME" "$1"
}

# not_ok NAME WHY
not_ok() {
	failed_checks=$((failed_checks + 1))
	printf 'not ok %s: %s - %s\n' "$SCRIPT_NAME" "$1" "$2"
}

# skip NAME WHY: for what this machine cannot do; never for what plyfs cannot do.
skip() {
	printf 'ok %s: %s # SKIP %s\n' "$SCRIPT_NAME" "$1" "$2"
}

finish() {
	mode_summary
	printf '# %s: %d passed, %d failed\n' "$SCRIPT_NAME" "$passed_checks" "$failed_checks"
	exit $((failed_checks > 0))
}

fail() {
	printf 'FAIL: %s\n' "$*" >&2
	exit 1
}

# The body of one check. An ERR trap names the line that failed, which set -e alone would
# leave unsaid.
run_body() {
	set -eE
	trap 'explain_failure' ERR
	"$@"
}

# Prints the failed line of the check, not that of a wrapper which only passes a command on.
explain_failure() {
	local i=1
	while [[ ${FUNCNAME[i]} == @(pod|bud|storage_sh|as_user|in_userns|go_call|in_root|inside|git_inside|as_postgres) ]]; do i=$((i + 1)); done
	printf 'FAIL: line %s of %s: %s\n' "${BASH_LINENO[i - 1]}" "$(basename "${BASH_SOURCE[i]}")" \
		"$(sed -n "${BASH_LINENO[i - 1]}s/^[[:space:]]*//p" "${BASH_SOURCE[i]}")" >&2
	exit 1
}

# run_test NAME FUNCTION [ARG…]: never call it inside a condition, which would turn set -e
# off in the function. The check is a process group of its own, so that a hung one is killed
# whole; a daemon it started has its own session and lives on. A script may have a function
# after_failure, which clears away what a failed check has left in the others' way.
run_test() {
	local name=$1 log=$WORK/check.log rc=0 first='' job clock began=$EPOCHREALTIME
	shift
	set -m
	( run_body "$@" ) </dev/null >"$log" 2>&1 &
	job=$!
	sleep "${PLYFS_TEST_LIMIT:-180}" </dev/null >/dev/null 2>&1 &
	clock=$!
	set +m
	wait -n -p first "$job" "$clock" || rc=$?
	if [[ $first == "$clock" ]]; then
		rc=1
		echo "FAIL: still running after ${PLYFS_TEST_LIMIT:-180} s" >>"$log"
	fi
	{ kill -KILL -- "-$job"; kill "$clock"; wait "$job" "$clock"; } 2>/dev/null || true
	report "$name" "$rc" "$log"
	if [[ $rc != 0 && $(type -t after_failure) == function ]]; then after_failure; fi
	if [[ -n ${PLYFS_TEST_TIMES:-} ]]; then
		printf '# %6.1f s  %s\n' "$(awk "BEGIN{print $EPOCHREALTIME-$began}")" "$name" >&2
	fi
}

# report NAME EXIT-CODE LOG
report() {
	local why
	if [[ $2 == 0 ]]; then
		ok "$1"
		return
	fi
	why=$(grep -m1 '^FAIL: ' "$3" | cut -c7- || true)
	not_ok "$1" "${why:-$(tail -n 1 "$3")}"
	tail -n "${PLYFS_TEST_LINES:-20}" "$3" | sed 's/^/#   /'
}

# An after_failure for scripts whose checks do not build on each other.
drop_mounts() {
	local mnt pid
	while read -r mnt; do umount -l "$mnt" || true; done < <(mounts_under_work)
	wait_until 2 no_daemons && return
	for pid in $(all_daemons); do kill -KILL "$pid" || true; done
}

# --- assertions: they end the check ----------------------------------------------------

# eq GOT EXPECTED [WHAT]
eq() {
	[[ $1 == "$2" ]] || fail "${3:-value} is '$1', not '$2'"
}

# contains TEXT PART [WHAT]
contains() {
	[[ $1 == *"$2"* ]] || fail "${3:-text} lacks '$2': $1"
}

lacks() {
	[[ $1 != *"$2"* ]] || fail "${3:-text} has '$2': $1"
}

# refuses CMD…: the command must fail.
refuses() {
	if "$@"; then
		fail "succeeded, but must not: $*"
	fi
}

# same_lines FILE FILE: sorted texts are equal; the difference goes to the log.
same_lines() {
	diff -u "$1" "$2" || fail "$(basename "$1") and $(basename "$2") differ"
}

# wait_until SECONDS CMD…
wait_until() {
	local end=$((SECONDS + $1 + 1))
	shift
	until "$@"; do
		((SECONDS < end)) || return 1
		sleep 0.02
	done
}

# --- the work directory ----------------------------------------------------------------

# Inside the private namespace the directory is the one that the outer shell made, and the
# outer shell removes it once every process of the namespace is gone.
make_work_dir() {
	if [[ -n ${PLYFS_TEST_NS:-} ]]; then
		WORK=$PLYFS_TEST_WORK
		return
	fi
	WORK=$(mktemp -d "${PLYFS_TEST_DIR:-/var/tmp}/plyfs.XXXXXX")
	chmod 755 "$WORK"
	trap cleanup EXIT
}

mounts_under_work() {
	awk -v dir="$WORK/" 'index($2, dir) == 1 {print $2}' /proc/self/mounts | sort -r
}

# Records a process for cleanup.
started() {
	echo "$1" >>"$WORK/started.pids"
}

# set_switch FILE VALUE: a setting of the whole machine, which goes back to what it was in the end.
set_switch() {
	echo "$1 $(cat "$1")" >>"$WORK/switches"
	echo "$2" >"$1"
}

restore_switches() {
	local file value
	[[ -f $WORK/switches ]] || return 0
	while read -r file value; do echo "$value" >"$file"; done < <(tac "$WORK/switches")
	rm "$WORK/switches"
}

# Only what lies under the work directory and what was recorded is touched.
cleanup() {
	local mnt pid
	trap - EXIT
	restore_switches || true
	if [[ -f $WORK/started.pids ]]; then
		while read -r pid; do kill -KILL "$pid" 2>/dev/null || true; done <"$WORK/started.pids"
	fi
	while read -r mnt; do
		umount "$mnt" 2>/dev/null || umount -l "$mnt" || true
	done < <(mounts_under_work)
	if [[ -n ${PLYFS_TEST_KEEP:-} ]]; then
		echo "kept: $WORK" >&2
	else
		rm -rf --one-file-system "$WORK"
	fi
}

# in_private_ns "$@": runs the script again in mount and process namespaces of its own. When
# its last line is done, or when it is killed, the kernel ends every daemon and mount that it
# left behind, and nothing else on the machine was ever touched.
in_private_ns() {
	local rc=0
	[[ -z ${PLYFS_TEST_NS:-} ]] || return 0
	[[ $EUID == 0 ]] || { echo "$SCRIPT_NAME: only root can make the namespaces" >&2; exit 2; }
	PLYFS_TEST_NS=1 PLYFS_TEST_WORK=$WORK setpriv --pdeathsig KILL \
		unshare --mount --pid --fork --kill-child --mount-proc --propagation private \
		bash "$SUPPORT_DIR/ns-init.sh" "$0" "$@" &
	# shellcheck disable=SC2064  # the pid is known now
	trap "kill -KILL $! 2>/dev/null; exit 143" INT TERM HUP
	wait $! || rc=$?
	exit "$rc"
}

# --- packages, users -------------------------------------------------------------------

# need_packages PACKAGE…: installs those that are missing, one script at a time.
need_packages() {
	local missing
	mapfile -t missing < <(missing_packages "$@")
	((${#missing[@]} > 0)) || return 0
	(
		flock 9
		install_packages "${missing[@]}"
	) 9>/run/lock/plyfs-tests.lock >"$WORK/apt.log" 2>&1 || {
		tail -n 20 "$WORK/apt.log" >&2
		echo "$SCRIPT_NAME: cannot install ${missing[*]}" >&2
		exit 2
	}
}

# The user has a home and a run directory of the script's own, so nothing of it stays. The
# run directory's path is short: with long ones a socket's name no longer fits, and podman
# then waits 20 s at the end of every container.
make_user() {
	USER_HOME=$WORK/user USER_RUN=$(run_dir)/user
	(
		flock 9
		id "$TEST_USER" >/dev/null 2>&1 || useradd --create-home --shell /bin/bash "$TEST_USER"
		if ! grep -q "^$TEST_USER:" /etc/subuid; then
			usermod --add-subuids 1000000-1065535 --add-subgids 1000000-1065535 "$TEST_USER"
		fi
	) 9>/run/lock/plyfs-tests.lock
	mkdir -p "$USER_HOME" "$USER_RUN"
	chmod 700 "$USER_RUN"
	chown "$TEST_USER:" "$USER_HOME" "$USER_RUN"
	share_plyfs
}

# What /run is to a system: short-lived, and in the private namespace a tmpfs of its own.
run_dir() {
	if [[ -n ${PLYFS_TEST_NS:-} ]]; then echo /dev/shm; else echo "$WORK"; fi
}

# A build tree under root's home cannot be entered by other users: they get a copy.
share_plyfs() {
	as_user test -x "$PLYFS_BINARY" && return
	mkdir -p "$WORK/bin"
	cp "$PLYFS_BINARY" "$WORK/bin/$PLYFS_NAME"
	PLYFS=$WORK/bin/$PLYFS_NAME PLYFS_BINARY=$PLYFS
	[[ $MODE == ,, ]] || make_mode_program "$WORK/mode"
}

# as_user CMD…: no login, no session manager, no capability.
as_user() {
	(
		cd "$USER_HOME"
		exec env -u DBUS_SESSION_BUS_ADDRESS -u XDG_SESSION_ID HOME="$USER_HOME" USER="$TEST_USER" \
			LOGNAME="$TEST_USER" XDG_RUNTIME_DIR="$USER_RUN" \
			setpriv --reuid="$TEST_USER" --regid="$TEST_USER" --init-groups --inh-caps=-all "$@"
	)
}

# udev gives /dev/fuse to everybody; a machine without udev has it for root only.
fuse_ready() {
	[[ -e /dev/fuse ]] || modprobe fuse
	chmod 666 /dev/fuse
}

# --- mounts and daemons ----------------------------------------------------------------

# mount_plyfs OPTIONS MOUNTPOINT
mount_plyfs() {
	"$PLYFS" -o "$1" "$2"
	is_plyfs_mount "$2" || fail "$2 is not mounted, but $PLYFS_NAME said so"
}

# serve_here OPTIONS [COMMAND…]: on mnt in this directory, in the foreground, under COMMAND, so that its log (log) and its
# status can be had; DAEMON is its number.
serve_here() {
	local options=$1
	shift
	"$@" "$PLYFS" -f -o "$options" mnt 2>log &
	DAEMON=$!
	wait_until 20 is_plyfs_mount "$PWD/mnt" || fail "not mounted: $(cat log)"
}

# That daemon, once it was unmounted or told to end, must end well.
served_well() {
	local status=0
	wait "$DAEMON" || status=$?
	eq "$status" 0 "status of the daemon ($(cat log))"
}

# Its statistics, as all that is in the log. The last line says that it is all there.
statistics() {
	: >log
	kill -USR1 "$DAEMON"
	wait_until 20 grep -q "loop follow-idle served" log || fail "no statistics: $(cat log)"
}

# ended_by MOUNTPOINT COMMAND…: the command unmounts it; comes back when the daemon has ended, for only
# then is everything in the upper directory.
ended_by() {
	local mnt=$1 pids
	shift
	mapfile -t pids < <(daemon_pids "$mnt")
	"$@"
	wait_until 20 all_gone "${pids[@]}" || fail "the daemon of $mnt did not end"
}

# umount_plyfs MOUNTPOINT, as any program does; unmounted MOUNTPOINT, by our own command.
umount_plyfs() { ended_by "$1" fusermount3 -u "$1"; }
unmounted() { ended_by "$1" "$PLYFS" umount "$1"; }

mount_type() {
	awk -v mnt="$1" '$2 == mnt {type = $3} END {print type}' /proc/self/mounts
}

is_plyfs_mount() {
	[[ $(mount_type "$1") == "$FSTYPE" ]]
}

# served_by_plyfs MOUNTPOINT: the type alone could be another program's claim.
served_by_plyfs() {
	eq "$(mount_type "$1")" "$FSTYPE" "type of $1"
	[[ -n $(daemon_pids "$1") ]] || fail "no process of $PLYFS serves $1"
}

# Every running process of the program under test. A rebuilt program reads "(deleted)".
all_daemons() {
	local real
	real=$(realpath "$PLYFS_BINARY")
	# Processes end meanwhile, which find takes for a failure.
	{ find /proc/[0-9]*/exe -maxdepth 0 \( -lname "$real" -o -lname "$real (deleted)" \) 2>/dev/null || true; } |
		cut -d/ -f3
}

# daemon_pids MOUNTPOINT: those that have it as an argument.
daemon_pids() {
	local pid
	for pid in $(all_daemons); do
		if tr '\0' '\n' <"/proc/$pid/cmdline" 2>/dev/null | grep -Fxq -- "$1"; then
			echo "$pid"
		fi
	done
}

# all_gone PID…: a zombie has ended too; who reaps it is not the file system's affair.
all_gone() {
	local pid
	for pid; do
		if [[ -e /proc/$pid ]] && ! grep -q '^State:[[:space:]]*Z' "/proc/$pid/status" 2>/dev/null; then
			return 1
		fi
	done
}

no_daemons() {
	[[ -z $(all_daemons) ]]
}

# nothing_mounted DIR: neither mounts under it nor daemons are left, shortly after.
nothing_mounted() {
	wait_until 10 no_mounts "$1" || fail "still mounted: $(grep -F " $1" /proc/self/mounts)"
	wait_until 10 no_daemons || fail "daemons left: $(all_daemons)"
}

no_mounts() {
	! awk '{print $2}' /proc/self/mounts | grep -q -- "^$1\(/\|$\)"
}

# fingerprint DIR: one line a name with all its metadata. The change time is in it, which no
# program can set back, so equal fingerprints mean that nobody touched the tree.
fingerprint() {
	find "$1" -xdev -printf '%P %y %m %U:%G %n %s %T@ %C@ %l\n' | LC_ALL=C sort
}

make_work_dir
enter_mode
