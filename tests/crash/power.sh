#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Cut power. An upper lies on ext4 or xfs, on a disk that records what it is told; a load works on
# a mount of it; from the record come disks as a cut at some moment would have left them. The
# backing file system recovers each by itself, plyfs mounts the upper on it, and what is there must
# be what may be there (power/check.c).
#
#     power disk   a FUSE file that records writes and flushes; a loop device makes it a disk
#     power load   threads that work on the mount and say in the same record what they do, and when
#                  an fsync returned; beside them some thread writes out parts of the upper's
#                  files at random, as the kernel's write-back may at any time
#     power cut    makes the disk of a moment out of the record
#     power check  compares the mount with the states that are allowed at that moment
#
# The model of the disk: it takes a write into a volatile cache and says so at once. A flush makes
# safe what was written before it. At a cut, of the writes after the last flush that was answered, each
# piece of 4096 bytes (in some images: of 512) has reached the disk or not, in any order, whatever
# its neighbours did: the chance is one of 0, 10, 50, 90 and 100 %, and in a third of the images
# everything up to some later moment has reached it. Forced writes (FUA) are writes and a flush, as
# the loop device makes them. What the model cannot show: a write that the disk had not yet answered
# when a flush began counts as flushed, as one thread serves the disk; sectors never tear, and a disk
# never lies about a flush. "Snapshots" are moments at which nothing is lost.
#
# PLYFS_POWER_SEED     the first seed (default: from the clock; it is printed)
# PLYFS_POWER_IMAGES   disks made of one load (default: 10)
# PLYFS_POWER_ROUNDS   loads for each file system (default: 1). A long run:
#                      PLYFS=build/plyfs PLYFS_POWER_ROUNDS=20 PLYFS_POWER_IMAGES=100 \
#                          PLYFS_POWER_SECONDS=40 tests/crash/power.sh
# PLYFS_POWER_SECONDS  length of a load (default: 8)
# PLYFS_POWER_FS       what the upper lies on (default: "ext4 xfs reflink ext4+integrity"); reflink is xfs with
#                      the lower layer on the same disk, whose files are cloned, not copied; with
#                      +integrity checksums are kept: whatever is lost, no file may differ from its
#                      checksum. Such a load takes at least 28 seconds, as they are taken by and by.
# PLYFS_POWER_KEEP     a directory that gets the records of loads that led to faults
# PLYFS_POWER_REPLAY   such a directory: its record is used instead of a load. With the seed of the
#                      image it makes the same disk again.
# PLYFS_POWER_STRICT   set: bytes that move out of the catalog must not be lost, even if nothing was synced
. "$(dirname "$0")/../support/lib.sh"
need_packages e2fsprogs xfsprogs libfuse3-dev fuse3
in_private_ns "$@"

SEED=${PLYFS_POWER_SEED:-1$(date +%s%N | cut -c8-16)}
IMAGES=${PLYFS_POWER_IMAGES:-10}
ROUNDS=${PLYFS_POWER_ROUNDS:-1}
LOAD_SECONDS=${PLYFS_POWER_SECONDS:-8}
PLYFS_TEST_LIMIT=${PLYFS_TEST_LIMIT:-$((120 + LOAD_SECONDS * 3 + IMAGES * 5))}
SOURCES=$(cd "$(dirname "$0")/power" && pwd)
POWER=$WORK/power
# Flushes of the images must cost nothing, so they lie in memory.
FAST=$(run_dir)
LOWER=$WORK/lower

build_power() {
	# shellcheck disable=SC2046
	"${CC:-cc}" -std=gnu17 -D_GNU_SOURCE -O2 -g -Wall -Wextra -I"$SUPPORT_DIR/.." $(pkg-config --cflags fuse3) \
		-o "$POWER" "$SOURCES"/*.c $(pkg-config --libs fuse3) -lpthread
}

# make_fs TYPE IMAGE: an empty file system. Lazy initialisation would only fill the record.
make_fs() {
	truncate -s 320M "$2"
	case $1 in
	ext4*) mkfs.ext4 -q -F -E lazy_itable_init=0,lazy_journal_init=0,nodiscard -b 4096 -J size=8 "$2" ;;
	*) mkfs.xfs -q -f -K "$2" ;;
	esac
}

# mount_fs TYPE IMAGE DIR
mount_fs() {
	case $1 in
	ext4*) mount -t ext4 -o loop,commit=2 "$2" "$3" ;;
	*) mount -t xfs -o loop,nouuid "$2" "$3" ;;
	esac
}

# options_of TYPE: those of a mount of the upper on $WORK/fs.
options_of() {
	local lower=$LOWER more=
	[[ $1 != reflink* ]] || lower=$WORK/fs/lower
	[[ $1 != *+integrity ]] || more=,integrity
	echo "lowerdir=$lower,upperdir=$WORK/fs/upper,workdir=x$more"
}

# The loop device lets go a little after umount has returned.
umount_fs() {
	wait_until 10 umount "$1" || fail "$1 is busy"
}

# The lower layer has a file system of its own, so that a record that is kept can be used again: plyfs
# knows a layer by inode numbers and times.
mount_lower() {
	mkdir -p "$LOWER"
	if [[ -n ${PLYFS_POWER_REPLAY:-} ]]; then
		cp "$PLYFS_POWER_REPLAY/lower" "$WORK/lower.img"
		mount -o loop "$WORK/lower.img" "$LOWER"
		return
	fi
	truncate -s 24M "$WORK/lower.img"
	mkfs.ext4 -q -F "$WORK/lower.img"
	mount -o loop "$WORK/lower.img" "$LOWER"
	"$POWER" lower "$LOWER"
	mount -o remount,ro "$LOWER"
}

# ---- the load -----------------------------------------------------------------------------

# start_disk IMAGE RECORD: sets DISK to the recorded disk's file.
start_disk() {
	"$POWER" disk "$1" "$2" 3000 "$WORK/disk" &
	DISK_PID=$!
	wait_until 10 test -f "$WORK/disk/disk" || fail "the disk does not start"
	DISK=$WORK/disk/disk
}

stop_disk() {
	fusermount3 -u "$WORK/disk"
	wait "$DISK_PID"
}

# make_record TYPE SEED DIR: DIR/base and DIR/record. Half way there is an unmount and a new mount.
make_record() {
	local part seconds=$LOAD_SECONDS
	[[ $1 != *+integrity ]] || seconds=$((seconds < 28 ? 28 : seconds))
	rm -rf "$3" && mkdir "$3"
	make_fs "$1" "$3/base"
	cp --sparse=always "$3/base" "$3/image"
	: >"$3/record"
	start_disk "$3/image" "$3/record"
	mount_fs "$1" "$DISK" "$WORK/fs"
	mkdir "$WORK/fs/upper"
	if [[ $1 == reflink* ]]; then
		mkdir "$WORK/fs/lower"
		"$POWER" lower "$WORK/fs/lower"
	fi
	sync --file-system "$WORK/fs"
	for part in 1 2; do
		mount_plyfs "$(options_of "$1")" "$WORK/mnt"
		"$POWER" load "$3/record" "$WORK/mnt" "$WORK/fs/upper/.plyfs" "$(($2 + part))" \
			"$(awk "BEGIN{print $seconds / 2}")" || fail "an operation of the load failed"
		# The model and plyfs must agree before the power is cut, or nothing below means anything.
		"$POWER" check "$3/record" end "$WORK/mnt" all || fail "the mount is not what the load made"
		umount_plyfs "$WORK/mnt"
	done
	umount_fs "$WORK/fs"
	stop_disk
	rm "$3/image"
	touch "$3/complete"
	echo "record: $(stat -c %s "$3/record") bytes"
}

# ---- the cuts -----------------------------------------------------------------------------

# fsck_upper UPPER: it must find nothing.
fsck_upper() {
	"$PLYFS" fsck "$1" || fail "fsck of the upper ends with $?"
}

# The upper works as any other.
still_works() {
	echo text >"$1/t0/after" && sync "$1/t0/after" && rm "$1/t0/after"
}

# cut_again TYPE IMAGE SEED: the power is cut once more while IMAGE is mounted, recovered and unmounted;
# IMAGE becomes what is left of it.
cut_again() {
	cp --sparse=always "$2" "$2.base"
	rm -f "$2.record"
	start_disk "$2" "$2.record"
	mount_fs "$1" "$DISK" "$WORK/fs"
	mount_plyfs "$(options_of "$1")" "$WORK/mnt"
	umount_plyfs "$WORK/mnt"
	umount_fs "$WORK/fs"
	stop_disk
	"$POWER" cut "$2.record" "$2.base" "$2" "$3" 4096
}

# As the cut has left it: of what else may be wrong before a mount the check after it knows more.
sums_hold() {
	local said
	said=$("$PLYFS" fsck "$1" 2>&1) || (($? == 4)) || fail "fsck of what is left ends with $?: $said"
	lacks "$said" "its bytes"
	awk '/files have the bytes that were written/ {print $(NF - 7)}' <<<"$said" >>"$WORK/sums"
}

# look_at TYPE IMAGE RECORD MOMENT: mounts it all and checks; prints what is wrong.
look_at() {
	mount_fs "$1" "$2" "$WORK/fs" || fail "$1 does not mount"
	[[ $1 != *+integrity || ! -e $WORK/fs/upper/.plyfs/catalog.mdb ]] || sums_hold "$WORK/fs/upper"
	mount_plyfs "$(options_of "$1")" "$WORK/mnt"
	"$POWER" check "$3" "$4" "$WORK/mnt" || exit 1
	still_works "$WORK/mnt"
	umount_plyfs "$WORK/mnt"
	fsck_upper "$WORK/fs/upper"
	umount_fs "$WORK/fs"
}

clear_mounts() {
	local mnt pid # the lower layer stays
	while read -r mnt; do umount -l "$mnt" || true; done < <(mounts_under_work | grep -v "^$LOWER\$")
	wait_until 5 no_daemons || for pid in $(all_daemons); do kill -KILL "$pid" || true; done
}

after_failure() { clear_mounts; }

# cut_and_look TYPE DIR SEED UNIT: in some of the images recovery itself is cut, too.
cut_and_look() {
	local moment
	moment=$("$POWER" cut "$2/record" "$2/base" "$FAST/cut" "$3" "$4") || fail "no cut"
	(($4 == 0 || $3 % 4 != 1)) || cut_again "$1" "$FAST/cut" "$3"
	look_at "$1" "$FAST/cut" "$2/record" "$moment"
}

# one_cut TYPE DIR SEED UNIT: counts in faults.
one_cut() {
	local log=$WORK/cut.log rc=0
	# In the background, as set -e does nothing in a condition.
	cut_and_look "$@" >"$log" 2>&1 &
	wait $! || rc=$?
	((rc > 0)) || return 0
	faults=$((faults + 1))
	echo "FAIL: $1, image seed $3, pieces of $4: $(grep -m1 '^FAIL' "$log" || tail -n 1 "$log")"
	sed 's/^/    /' "$log"
	clear_mounts
}

# had_sums N: some of the N images had checksums, or they were not tested.
had_sums() {
	local with
	with=$(wc -l <"$WORK/sums")
	echo "# $with of $1 images had checksums, $(awk '{n += $1} END {print n + 0}' "$WORK/sums") in all"
	(($1 < 5 || with > 0)) || fail "no image had a checksum"
}

# wants_sums TYPE lost|none: images with checksums must be among them.
wants_sums() {
	[[ $1 == *+integrity && $2 != none ]]
}

# cuts TYPE DIR SEED N lost|none: N images of the record; more, where none of them had what is to be looked at. (A file
# that is written to loses its checksum, so one image in five has any.)
cuts() {
	local i unit faults=0
	: >"$WORK/sums"
	for ((i = 0; i < 8 * $4; i++)); do
		((i < $4)) || { wants_sums "$1" "$5" && [[ ! -s $WORK/sums ]]; } || break
		unit=0
		[[ $5 == none ]] || unit=$((i % 4 == 3 ? 512 : 4096))
		one_cut "$1" "$2" "$(($3 + i))" "$unit"
	done
	! wants_sums "$1" "$5" || had_sums "$i"
	((faults == 0)) || { keep_record "$2" "$1.$3"; fail "$faults of $i images have faults"; }
}

# The first faults come before the verdict, as run_test shows only a part.
keep_record() {
	[[ -n ${PLYFS_POWER_KEEP:-} ]] || return 0
	mkdir -p "$PLYFS_POWER_KEEP/$2"
	cp --sparse=always "$1/base" "$1/record" "$PLYFS_POWER_KEEP/$2/"
	sync "$WORK/lower.img"
	cp --sparse=always "$WORK/lower.img" "$PLYFS_POWER_KEEP/$2/lower"
	echo "kept: $PLYFS_POWER_KEEP/$2"
}

# ---- all of it ----------------------------------------------------------------------------

PLYFS_TEST_LINES=${PLYFS_TEST_LINES:-60}
echo "# seed $SEED (PLYFS_POWER_SEED)"
build_power
mkdir "$WORK/fs" "$WORK/mnt" "$WORK/disk"
mount_lower

for ((round = 0; round < ROUNDS; round++)); do
	for fs in ${PLYFS_POWER_FS:-ext4 xfs reflink ext4+integrity}; do
		dir=$FAST/$fs
		if [[ -n ${PLYFS_POWER_REPLAY:-} ]]; then
			dir=$PLYFS_POWER_REPLAY
		else
			run_test "$fs: load, seed $SEED" make_record "$fs" "$SEED" "$dir"
			[[ -e $dir/complete ]] || continue # there is nothing to cut
		fi
		run_test "$fs: $IMAGES cuts with lost writes, seed $SEED" cuts "$fs" "$dir" "$SEED" "$IMAGES" lost
		run_test "$fs: $((IMAGES / 2)) snapshots, seed $((SEED + 500))" cuts "$fs" "$dir" "$((SEED + 500))" "$((IMAGES / 2))" none
		[[ -n ${PLYFS_POWER_REPLAY:-} ]] || rm -rf "$dir"
	done
	SEED=$((SEED + 1000))
done
finish
