#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# plyfs cache: what it lists, what it removes, and that mounts beside it go on and begin.
set -euo pipefail
# shellcheck source=tests/support/lib.sh
. "$(dirname "$0")/../support/lib.sh"

need_packages fuse3 python3 zstd umoci
in_private_ns "$@"
fuse_ready

HERE=$(cd "$(dirname "$0")" && pwd)
I=$WORK/images
M=$WORK/mnt
export XDG_CACHE_HOME=$WORK/cache
C=$XDG_CACHE_HOME/plyfs
mkdir -p "$I" "$M"
after_failure() { umount -l "$M" 2>/dev/null || true; }

odd() { /usr/bin/python3 "$HERE/_odd_layers.py" "$@"; }
cache() { "$PLYFS" cache "$@"; }

mounted() { "$PLYFS" mount "$I/$1" "$M"; }

# Indexes of everything: layers alone and over those below them, a tar with frames.
fill() {
	rm -rf "$C"
	for image in whiteout link-to-lower one.tar.zst; do
		mounted "$image"
		unmounted "$M"
	done
}

files() { find "$C" -type f | wc -l; }
kinds() { cache ls | awk 'NF > 6 && $1 != "KIND" {print $1}' | sort | uniq -c | awk '{printf "%s %s,", $2, $1}'; }

make_images() {
	odd make whiteout "$I/whiteout"
	odd make link-to-lower "$I/link-to-lower"
	mkdir "$I/tree"
	# Long enough for one frame to be written anew in many.
	seq 6000000 >"$I/tree/file"
	tar -C "$I/tree" -cf "$I/one.tar" .
	zstd -q --rm "$I/one.tar"
	mkdir -p "$C"
}

lists() {
	local size
	eq "$(cache ls)" "0 in $C, 0 B"
	eq "$(cache ls --json)" "[]"
	fill
	eq "$(kinds)" "layer 4,stack 2," "kinds"
	cache ls --json >"$WORK/json"
	/usr/bin/python3 - "$WORK/json" "$C" <<-'END'
		import json, os, sys, time
		entries = json.load(open(sys.argv[1]))
		assert len(entries) == 6, entries
		total = 0
		for e in entries:
		    path = f"{sys.argv[2]}/{e['path']}"
		    size = os.stat(path).st_size
		    if os.path.exists(path + ".zst"):
		        size += os.stat(path + ".zst").st_size
		    assert e["size"] == size, e
		    assert e["digest"].startswith("sha256:") and not e["inUse"], e
		    if os.path.basename(path).startswith("sha256-"):
		        assert e["digest"][7:] == os.path.basename(path)[7:71], e
		    when = time.strptime(e["lastUse"], "%Y-%m-%dT%H:%M:%SZ")
		    assert e["lastUse"] == time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(os.stat(path).st_mtime)), e
		    total += size
		assert total == sum(os.stat(f"{sys.argv[2]}/index-1/{n}").st_size for n in os.listdir(f"{sys.argv[2]}/index-1"))
	END
	contains "$(cache ls --cache "$C" | tail -n 1)" "6 in $C"
}

in_use() {
	local before
	fill
	mounted link-to-lower
	eq "$(cache ls --json | grep -c '"inUse": true')" 3 "files in use"
	cache prune --all
	eq "$(kinds)" "layer 2,stack 1," "what is left"
	odd check link-to-lower "$M"
	unmounted "$M"
	# Its indexes are there still, and are found.
	before=$(ls -i "$C/index-1")
	mounted link-to-lower
	eq "$(ls -i "$C/index-1")" "$before" "files of the cache"
	odd check link-to-lower "$M"
	unmounted "$M"
	eq "$(cache ls --json | grep -c '"inUse": true' || true)" 0 "files in use"
	cache prune --all
	eq "$(files)" 0 "files"
}

by_age() {
	local file
	fill
	eq "$(cache prune)" "removed 0 of 6, 0 B"
	eq "$(cache prune --older 1h)" "removed 0 of 6, 0 B"
	for file in "$C/index-1"/chain-* "$C/index-1"/file-*; do touch -d '31 days ago' "$file"; done
	# Dry, nothing happens.
	contains "$(cache prune --dry-run)" "would remove 3 of 6"
	eq "$(kinds)" "layer 4,stack 2," "kinds"
	eq "$(cache prune --older 5w -n)" "would remove 0 of 6, 0 B"
	contains "$(cache prune --older 30d)" "removed 3 of 6"
	eq "$(files)" 3 "files"
	eq "$(ls "$C/index-1"/*.zst 2>/dev/null || true)" "" "frames"
	# A mount makes young again what it uses.
	for file in "$C/index-1"/*; do touch -d '31 days ago' "$file"; done
	mounted whiteout
	unmounted "$M"
	contains "$(cache prune)" "removed 1 of 4"
	mounted whiteout
	odd check whiteout "$M"
	unmounted "$M"
}

to_a_size() {
	local old
	fill
	old=$(find "$C/index-1" -name 'file-*.idx')
	touch -d '2 hours ago' "$old" "$old.zst"
	eq "$(cache prune --keep-storage 1T)" "removed 0 of 6, 0 B"
	# The frames are nearly all of it.
	contains "$(cache prune --keep-storage 1M)" "removed 1 of 6"
	[[ ! -e $old && ! -e $old.zst ]] || fail "the last used ones went"
	contains "$(cache prune --keep-storage 0)" "removed 5 of 5"
	eq "$(files)" 0 "files"
}

# What is whose: the dead writer's, the living one's, the broken one, and files of others.
leavings() {
	local index hex
	fill
	hex=$(printf %064d 7)
	mkdir -p "$C/blobs/sha256"
	echo half >"$C/index-1/draft-1-dead"
	echo half >"$C/index-1/draft-2-alive"
	echo half >"$C/blobs/sha256/$hex.part"
	echo half >"$C/blobs/sha256/$hex.AbCdEf"
	echo other >"$C/index-1/README"
	echo other >"$C/blobs/sha256/notes"
	ln -s /etc/passwd "$C/index-1/link.idx"
	index=$(find "$C/index-1" -name 'sha256-*.idx' | head -n 1)
	printf X | dd of="$index" bs=1 seek=5000 conv=notrunc status=none
	exec 7<"$C/index-1/draft-2-alive"
	flock 7
	eq "$(kinds)" "damaged 1,layer 3,part 1,stack 2,unfinished 3," "kinds"
	contains "$(cache prune)" "removed 3 of 10"
	[[ ! -e $index && ! -e $C/index-1/draft-1-dead && ! -e $C/blobs/sha256/$hex.AbCdEf ]] || fail "leavings are left"
	contains "$(cache prune --all)" "removed 6 of 7"
	[[ -e $C/index-1/draft-2-alive && -e $C/index-1/README && -e $C/blobs/sha256/notes ]] || fail "too much went"
	[[ -L $C/index-1/link.idx && -e /etc/passwd ]] || fail "a link was removed"
	eq "$(files)" 3 "files"
}

# Everything goes all the time while mounts begin: each shows what it should.
beside_mounts() {
	local n pids=() pruner
	rm -rf "$C"
	while [[ ! -e $WORK/enough ]]; do cache prune --all >>"$WORK/pruned"; done &
	pruner=$!
	for n in 1 2 3; do
		(
			mkdir -p "$WORK/m$n"
			for _ in 1 2 3 4 5; do
				"$PLYFS" mount "$I/link-to-lower" "$WORK/m$n"
				odd check link-to-lower "$WORK/m$n"
				unmounted "$WORK/m$n"
				"$PLYFS" cat "$I/one.tar.zst" file | cmp - "$I/tree/file"
			done
		) &
		pids+=($!)
	done
	for n in "${pids[@]}"; do wait "$n"; done
	touch "$WORK/enough"
	wait "$pruner"
	grep -q 'removed [1-9]' "$WORK/pruned" || fail "nothing was ever removed"
	eq "$(find "$C" -name 'draft-*')" "" "drafts left"
}

# wrong PATTERN ARG…: the command line is not understood.
wrong() {
	local pattern=$1 rc=0
	shift
	cache "$@" >"$WORK/out" 2>"$WORK/err" || rc=$?
	eq "$rc" 16 "exit status of $*"
	contains "$(cat "$WORK/err")" "$pattern" "the message"
}

command_lines() {
	fill
	wrong "ls or prune"
	wrong "no such command: look" look
	wrong "unknown option --all" ls --all
	wrong "unknown option --what" prune --what
	wrong "unknown argument x" prune x
	wrong "needs an argument" prune --older
	for age in 30 d 3x -1d 3dd 99999999999999999999d; do wrong "an age is" prune --older "$age"; done
	for size in M 3x -1 3kk 99999999999T; do wrong "a size is" prune --keep-storage "$size"; done
	wrong "cannot both" prune --all --older 1d
	eq "$(cache ls | tail -n 1 | cut -d' ' -f1)" 6 "what is left"
	contains "$(env -u HOME -u XDG_CACHE_HOME "$PLYFS" cache ls 2>&1)" "there is no cache" "the error"
}

# A file where a directory should be, and one that may not be removed.
errors() {
	local rc=0 out
	mkdir -p "$WORK/bad"
	: >"$WORK/bad/index-1"
	out=$(cache ls --cache "$WORK/bad" 2>&1) || rc=$?
	eq "$rc" 1 "exit status"
	contains "$out" "$WORK/bad/index-1: Not a directory"
	fill
	chattr +i "$C/index-1" 2>/dev/null || return 0
	rc=0
	out=$(cache prune --all 2>&1) || rc=$?
	chattr -i "$C/index-1"
	eq "$rc" 1 "exit status"
	contains "$out" "cannot be removed"
	contains "$out" "removed 0 of 6"
}

make_images
run_test "what is there" lists
run_test "what is in use stays" in_use
run_test "by age" by_age
run_test "down to a size" to_a_size
run_test "leavings of the dead, damage, files of others" leavings
run_test "mounts beside it" beside_mounts
run_test "wrong command lines" command_lines
run_test "errors" errors
finish
