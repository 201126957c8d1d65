#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# An upper on a file system where the catalog must not be mapped. No server is needed for that: the same
# mode is asked for on a disk, and a FUSE file system that maps nothing stands for the remote ones.
#
#     remote.sh [SEED]	PLYFS_TEST_OPS: operations of a sequence (default 3000); PLYFS_TEST_KILLS: how many (6)
. "$(dirname "$0")/../support/lib.sh"
. "$SUPPORT_DIR/oracle.sh"
need_packages libfuse3-dev pkg-config
in_private_ns "$@"
fuse_ready
build_oracle

SEED=${1:-$((RANDOM * 32768 + RANDOM))}
RANDOM=$SEED
OPS=${PLYFS_TEST_OPS:-3000}
KILLS=${PLYFS_TEST_KILLS:-6}
SOURCES=$(cd "$(dirname "$0")/crippled" && pwd)
echo "# seed $SEED"

# shellcheck disable=SC2046  # words are wanted
build_crippled() {
	"${CC:-cc}" -std=gnu17 -D_GNU_SOURCE -O1 -g -Wall -Wextra -I"$SUPPORT_DIR/.." $(pkg-config --cflags fuse3) \
		-o "$WORK/crippled" "$SOURCES"/*.c $(pkg-config --libs fuse3)
}

# dirs DIR: what a mount needs; DIR/home holds the upper.
dirs() {
	mkdir -p "$1"/{lower/d,home,mnt,plain}
	[[ $2 == disk ]] || remote_home "$1" "$2"
	mkdir -p "$1/home/upper" "$1/home/work"
}

# remote_home DIR LACKS: DIR/home is a FUSE file system without what LACKS says.
remote_home() {
	mkdir "$1/raw"
	"$WORK/crippled" "$1/raw" "$2" "$1/home"
}

# start DIR OPTIONS; stop DIR; kill_daemon DIR
start() {
	mount_plyfs "lowerdir=$1/lower,upperdir=$1/home/upper,workdir=$1/home/work,dev$2" "$1/mnt"
}

stop() {
	umount_plyfs "$1/mnt"
}

kill_daemon() {
	local pids
	mapfile -t pids < <(daemon_pids "$1/mnt")
	kill -KILL "${pids[@]}"
	wait_until 20 all_gone "${pids[@]}" || fail "the daemon does not die"
	umount -l "$1/mnt" 2>/dev/null || true
}

maps_catalog() {
	cat "/proc/$(daemon_pids "$1/mnt")/maps" >"$1/maps"
	grep -q '/\.plyfs/catalog\.mdb$' "$1/maps"
}

# check_map DIR LACKS OPTIONS YES: is the catalog of a mount with these options mapped where it is?
check_map() {
	local dir=$WORK/$1
	dirs "$dir" "$2"
	start "$dir" "$3"
	mkdir "$dir/mnt/made"
	if maps_catalog "$dir"; then eq yes "$4" "mapping"; else eq no "$4" "mapping"; fi
	stop "$dir"
	[[ -f $dir/home/upper/.plyfs/catalog.mdb ]] || fail "there is no catalog"
	start "$dir" ",ro"
	[[ -d $dir/mnt/made ]] || fail "what was made is gone"
	stop "$dir"
}

# The mode is a matter of the mount, not of the upper: another mount may map what this one did not.
either_way() {
	local dir=$WORK/either option
	dirs "$dir" disk
	mkdir "$dir/plain/d"
	for option in catalog_map=no catalog_map=yes catalog_map=no; do
		start "$dir" ",$option"
		"$ORACLE" ops "$dir/mnt" "$dir/plain" "$((SEED + ++n))" "$OPS"
		"$ORACLE" cmp "$dir/mnt" "$dir/plain"
		stop "$dir"
		[[ $(head -c 8 "$dir/home/upper/.plyfs/catalog.sum") == plyfssum ]] || fail "no checksum was left after $option"
	done
	start "$dir" ""
	"$ORACLE" cmp "$dir/mnt" "$dir/plain"
	stop "$dir"
}

# mmap_refused: who insists where it cannot be is told what to do.
mmap_refused() {
	local dir=$WORK/refused out
	dirs "$dir" mmap
	out=$("$PLYFS" -o "lowerdir=$dir/lower,upperdir=$dir/home/upper,catalog_map=yes" "$dir/mnt" 2>&1) &&
		fail "it was mounted"
	contains "$out" "catalog_map"
}

# Whatever was acknowledged is there after a kill; here the last checkpoint is under way, or has just
# been, or the daemon works. Bytes in the kernel's cache are no part of that, so they are written out.
kills() {
	local dir=$WORK/$1 i
	dirs "$dir" "$2"
	start "$dir" "$3"
	for i in {1..1500}; do echo "$i" >"$dir/mnt/d/$i"; done
	settle_links "$dir/mnt"
	cp -a "$dir/mnt/." "$dir/plain"
	chmod --reference="$dir/mnt" "$dir/plain"
	for ((i = 0; i < KILLS; i++)); do
		"$ORACLE" ops "$dir/mnt" "$dir/plain" "$((SEED + i))" "$((OPS / 10))"
		sync -f "$dir/mnt"
		if ((i % 3)); then
			local pid
			pid=$(daemon_pids "$dir/mnt")
			umount "$dir/mnt"
			sleep "0.0$(printf %02d $((RANDOM % 30)))"
			kill -KILL "$pid" 2>/dev/null || true
			wait_until 20 all_gone "$pid" || fail "the daemon does not die"
		else
			kill_daemon "$dir"
		fi
		start "$dir" "$3"
		"$ORACLE" cmp "$dir/mnt" "$dir/plain"
	done
	stop "$dir"
}

# A second mount of an upper that is in use.
second_mount() {
	local dir=$WORK/second
	dirs "$dir" mmap
	start "$dir" ""
	mkdir "$dir/mnt/one" "$dir/mnt2"
	mount_plyfs "lowerdir=$dir/lower,upperdir=$dir/home/upper" "$dir/mnt2"
	[[ -d $dir/mnt2/one ]] || fail "the snapshot lacks what was made before it"
	refuses mkdir "$dir/mnt2/two"
	mkdir "$dir/mnt/three"
	umount_plyfs "$dir/mnt2"
	stop "$dir"
	start "$dir" ""
	[[ -d $dir/mnt/one && -d $dir/mnt/three ]] || fail "something is lost"
	stop "$dir"
}

build_crippled
n=0
run_test "on a disk the catalog is mapped" check_map plain disk "" yes
run_test "it is not with catalog_map=no" check_map forced disk ,catalog_map=no no
run_test "it is not on FUSE" check_map fuse xattr "" no
run_test "nor where nothing can be mapped" check_map direct mmap "" no
run_test "catalog_map=yes there is refused" mmap_refused
run_test "mapped and not, in turns" either_way
run_test "kills with catalog_map=no" kills kills-forced disk ,catalog_map=no
run_test "kills on FUSE without mmap and locks" kills kills-fuse xattr,mmap,nolocks ""
run_test "a second mount" second_mount
finish
