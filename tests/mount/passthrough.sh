#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# io=passthrough: the kernel reads the files of layers itself. It gives the same bytes as io=cache, however many are open
# and wherever they lie; what cannot be passed through is served as ever; nobody writes into a layer; and where it cannot
# be, one line says why.
#
#     passthrough.sh	PLYFS_TEST_ROUNDS: of each client in the storm (default 400)
. "$(dirname "$0")/../support/lib.sh"
need_packages python3 e2fsprogs
in_private_ns "$@"
fuse_ready

ROUNDS=${PLYFS_TEST_ROUNDS:-400}
readers() { python3 "$SUPPORT_DIR/../mount/passthrough.py" "$@"; }

fresh() {
	local dir
	dir=$(mktemp -d "$WORK/XXXXXX")
	cd "$dir" || exit
	mkdir low upper work mnt
}

# put DIR: files of all kinds of sizes, and programs.
put() {
	local size
	mkdir -p "$1/sub"
	for size in 1 4095 4096 4097 100000 3000001; do head -c "$size" /dev/urandom >"$1/sub/$size"; done
	: >"$1/empty"
	truncate -s 9M "$1/holes"
	echo end >>"$1/holes"
	cp /bin/ls "$1/ls"
	printf '%s\n' '#!/bin/sh' 'echo "script works"' >"$1/script"
	chmod 755 "$1/script"
}

ended() {
	umount mnt
	served_well
}

# count LINE: of the last statistics; 0 when there is none.
count() { sed -n "s/.*: $1 \([0-9]*\)$/\1/p" log | grep . || echo 0; }

# all_passed / all_cached: by the daemon's counts, every open so far.
all_passed() {
	statistics
	eq "$(count 'opens through the cache')" 0 "opens through the cache"
	(($(count 'opens passed through') > 0)) || fail "nothing was passed through: $(cat log)"
	eq "$(count 'request read')" 0 "READ requests"
}
all_cached() {
	statistics
	eq "$(count 'opens passed through')" 0 "opens passed through"
	(($(count 'opens through the cache') > 0)) || fail "nothing was opened: $(cat log)"
}

# Each open has its release, so that the kernel has no backing file left. They come a little later.
released() {
	statistics
	[[ $(count 'request open') == "$(count 'request release')" ]]
}

contents() {
	local before
	fresh
	put low
	before=$(fingerprint low)
	serve_here "lowerdir=low,io=passthrough"
	readers same "$PWD/low" "$PWD/mnt"
	all_passed
	eq "$(cd low && find . | sort)" "$(cd mnt && find . | sort)" names
	wait_until 20 released || fail "opens without release: $(cat log)"
	ended
	eq "$(fingerprint low)" "$before" "the layer"
}

programs() {
	fresh
	put low
	serve_here "lowerdir=low,io=passthrough"
	mnt/ls mnt/sub >got
	ls low/sub >expected
	same_lines got expected
	eq "$(mnt/script)" "script works"
	all_passed
	ended
}

storm() {
	fresh
	put low
	serve_here "lowerdir=low,io=passthrough$1"
	readers storm "$PWD/low" "$PWD/mnt" "$ROUNDS"
	all_passed
	wait_until 20 released || fail "opens without release: $(cat log)"
	ended
}

# Files that can be passed through and those that cannot, and both kinds of the same inode never at once.
storm_of_an_upper() {
	local i
	fresh
	put low
	mount_plyfs "lowerdir=low,upperdir=upper,workdir=work" "$PWD/mnt"
	for i in {1..20}; do echo "inline $i" >"mnt/inline$i"; done
	head -c 200000 /dev/urandom >mnt/file
	echo more >>mnt/sub/3000001
	chmod 600 mnt/sub/100000
	truncate -s 5000 mnt/sub/4097
	cp -a mnt plain
	umount_plyfs "$PWD/mnt"
	serve_here "lowerdir=$1"
	readers same "$PWD/plain" "$PWD/mnt"
	readers storm "$PWD/plain" "$PWD/mnt" "$((ROUNDS / 2))"
	statistics
	(($(count 'opens passed through') > 0)) || fail "nothing was passed through: $(cat log)"
	(($(count 'opens through the cache') > 0)) || fail "nothing went through the cache: $(cat log)"
	wait_until 20 released || fail "opens without release: $(cat log)"
	ended
}

# More files open than the daemon may have descriptors.
descriptors() {
	local i
	fresh
	for i in {1..600}; do echo "file $i" >"low/$i"; done
	serve_here "lowerdir=low,io=passthrough" prlimit --nofile=64:64
	readers many "$PWD/low" "$PWD/mnt" 600
	(($(find "/proc/$DAEMON/fd" -type l | wc -l) < 64)) || fail "descriptors of the daemon"
	readers many "$PWD/low" "$PWD/mnt" 600
	all_passed
	eq "$(count 'opens passed through')" 2400 "opens passed through"
	wait_until 20 released || fail "opens without release: $(cat log)"
	ended
}

# layer_on FS EXPECTED: whether its files can be passed through, which the kernel decides.
layer_on() {
	fresh
	mkdir on
	case $1 in
	ext4)
		truncate -s 64M disk
		mkfs.ext4 -q -F disk
		mount -o loop disk on
		;;
	tmpfs | ramfs) mount -t "$1" "$1" on ;;
	overlay)
		mkdir other
		mount -t overlay -o "lowerdir=other,upperdir=upper,workdir=work" overlay on
		;;
	plyfs)
		put low
		"$PLYFS" -o lowerdir=low,io=cache "$PWD/on"
		;;
	plyfs-passthrough)
		put low
		"$PLYFS" -o lowerdir=low,io=passthrough "$PWD/on"
		;;
	esac
	[[ $1 == plyfs* ]] || put on
	serve_here "lowerdir=on,io=passthrough"
	readers same "$PWD/on" "$PWD/mnt"
	readers storm "$PWD/on" "$PWD/mnt" 50
	"$2"
	ended
	umount on
}

# One open through the cache, and then others, although the file could be passed through by then.
mixed_layers() {
	fresh
	mkdir on over other
	put low
	rm low/ls
	mount -t overlay -o "lowerdir=other,upperdir=upper,workdir=work" overlay on
	cp low/sub/100000 on/stacked
	cp low/sub/100000 low/plain
	serve_here "lowerdir=on:low,io=passthrough"
	cmp mnt/stacked low/sub/100000
	cmp mnt/plain low/sub/100000
	statistics
	eq "$(count 'opens through the cache') $(count 'opens passed through')" "1 1" "opens"
	ended
	umount on
}

image_layer() {
	fresh
	put low
	tar -cf layer.tar -C low .
	"$PLYFS" mount -f -o io=passthrough --cache "$PWD/cache" layer.tar mnt 2>log &
	DAEMON=$!
	wait_until 20 is_plyfs_mount "$PWD/mnt" || fail "not mounted: $(cat log)"
	readers same "$PWD/low" "$PWD/mnt"
	all_cached
	ended
}

# What the kernel has cached goes, of this mount and of the layer; those who read go on.
dropped_caches() {
	fresh
	put low
	serve_here "lowerdir=low,io=passthrough"
	coproc STEADY { readers steady "$PWD/mnt/sub/3000001" "$PWD/low/sub/3000001"; }
	read -r <&"${STEADY[0]}"
	local i
	for i in 1 2 3; do
		mount -i -o remount,ro none "$PWD/mnt"
		echo 3 >/proc/sys/vm/drop_caches
		echo go >&"${STEADY[1]}"
		eq "$(head -n 1 <&"${STEADY[0]}")" same
	done
	eval "exec ${STEADY[1]}>&-"
	wait "$STEADY_PID"
	all_passed
	ended
}

# When a file is closed and forgotten nothing holds its file in the layer, and the room of a deleted one is free again.
nothing_is_kept() {
	fresh
	mkdir on
	mount -t tmpfs tmpfs on
	head -c 20M /dev/urandom >on/large
	serve_here "lowerdir=on,io=passthrough"
	readers same "$PWD/on" "$PWD/mnt"
	all_passed
	wait_until 20 released || fail "opens without release: $(cat log)"
	rm on/large
	mount -i -o remount,ro none "$PWD/mnt"
	wait_until 20 is_empty on || fail "$(df -k on | tail -n 1)"
	ended
	umount on
}

# Of the 20 MiB in it; what a directory takes is less.
is_empty() { (($(df -k --output=used "$1" | tail -n 1) < 1000)); }

# With the superblock made writable behind our back, the layer must not be.
remounted_rw() {
	local before
	fresh
	put low
	chmod 666 low/sub/*
	before=$(fingerprint low)
	serve_here "lowerdir=low,io=passthrough"
	mount -i -o remount,rw none "$PWD/mnt"
	grep -q " $PWD/mnt .* rw," /proc/self/mounts || fail "still read-only: $(grep "$PWD/mnt" /proc/self/mounts)"
	exec 9<mnt/sub/4096
	refuses bash -c 'echo x >>mnt/sub/4096'
	refuses bash -c 'exec 8<>mnt/sub/4096'
	refuses truncate -s 0 mnt/sub/4096
	refuses dd if=/dev/zero of=mnt/sub/1 conv=notrunc count=1 status=none
	refuses touch mnt/new
	exec 9<&-
	readers same "$PWD/low" "$PWD/mnt"
	ended
	eq "$(fingerprint low)" "$before" "the layer"
}

direct() {
	fresh
	mkdir on
	mount -t ramfs ramfs on
	head -c 100000 /dev/urandom >on/file
	serve_here "lowerdir=on,io=passthrough"
	readers direct "$PWD/mnt/file" EINVAL ok
	cmp on/file mnt/file
	ended
	umount on
	truncate -s 64M disk
	mkfs.ext4 -q -F disk
	mount -o loop disk on
	head -c 100000 /dev/urandom >on/file
	serve_here "lowerdir=on,io=passthrough"
	readers direct "$PWD/mnt/file" ok ok
	ended
	umount on
}

# An overlayfs can have such a mount as a layer.
below_overlay() {
	fresh
	put low
	mkdir over
	serve_here "lowerdir=low,io=passthrough"
	mount -t overlay -o "lowerdir=mnt,upperdir=upper,workdir=work" overlay over
	readers same "$PWD/low" "$PWD/over"
	echo more >>over/sub/4096
	umount over
	all_passed
	ended
}

# Without it opens send no message at all, apart from the first. In its own mode "" is no default.
not_by_default() {
	local options defaults=("")
	[[ $MODE != *,io=passthrough,* ]] || defaults=()
	for options in "${defaults[@]}" ,io=auto ,io=cache; do
		fresh
		put low
		serve_here "lowerdir=low$options"
		readers same "$PWD/low" "$PWD/mnt"
		statistics
		eq "$(count 'request open') $(count 'request release')" "1 0" "messages of opens with \"$options\""
		lacks "$(cat log)" "opens passed through"
		ended
	done
}

# uncached: names and attributes are asked for each time, bytes are the layer's.
timeout_0() {
	fresh
	put low
	serve_here "lowerdir=low,io=passthrough,timeout=0"
	readers same "$PWD/low" "$PWD/mnt"
	echo changed >low/sub/1
	eq "$(cat mnt/sub/1)" changed
	all_passed
	ended
}

refused() {
	local pattern=$1 rc=0
	shift
	"$@" >out 2>err || rc=$?
	eq "$rc" 1 "exit status ($(cat err))"
	eq "$(wc -l <err)" 1 "lines on stderr ($(cat err))"
	grep -Eq -- "$pattern" err || fail "message lacks '$pattern': $(cat err)"
	nothing_mounted "$PWD"
}

refusals() {
	fresh
	put low
	refused "io=passthrough: only for a mount that cannot be written" \
		"$PLYFS" -o lowerdir=low,upperdir=upper,workdir=work,io=passthrough mnt
	refused "io=direct: not one of auto, cache, passthrough" "$PLYFS" -o lowerdir=low,io=direct mnt
	refused "io=passthrough: the kernel does not allow it.*CAP_SYS_ADMIN" \
		unshare --user --map-root-user --mount "$PLYFS" -o lowerdir=low,io=passthrough mnt
}

rootless() {
	make_user
	fresh
	chmod 755 .
	put low
	chown "$TEST_USER:" mnt
	printf '%s\n' '#!/bin/sh' "cd '$PWD' && exec '$PLYFS' \"\$@\"" >run
	chmod 755 run
	refused "io=passthrough: the kernel does not allow it.*CAP_SYS_ADMIN.*io=cache" \
		as_user "$PWD/run" -o lowerdir=low,io=passthrough "$PWD/mnt"
	# The other ways are open to everybody.
	as_user "$PWD/run" -o lowerdir=low,io=auto "$PWD/mnt"
	as_user cmp "$PWD/mnt/sub/4097" "$PWD/low/sub/4097"
	umount_plyfs "$PWD/mnt"
}

run_test "contents" contents
run_test "programs are run" programs
run_test "many clients" storm ""
run_test "many clients, requests by one thread" storm ,threads=1,loop=follow
run_test "an upper mounted read-only" storm_of_an_upper "low,upperdir=upper,workdir=work,ro,io=passthrough"
run_test "an upper as a layer" storm_of_an_upper "upper:low,io=passthrough"
run_test "more open files than descriptors" descriptors
for fs in ext4 tmpfs ramfs plyfs; do
	run_test "layer on $fs" layer_on "$fs" all_passed
done
for fs in overlay plyfs-passthrough; do
	run_test "layer on $fs, stacked too deep" layer_on "$fs" all_cached
done
run_test "layers of both kinds" mixed_layers
run_test "layer of an image" image_layer
run_test "caches dropped" dropped_caches
run_test "nothing is kept open" nothing_is_kept
run_test "remounted rw" remounted_rw
run_test "O_DIRECT" direct
run_test "below an overlayfs" below_overlay
run_test "not by default" not_by_default
run_test "timeout=0" timeout_0
run_test "refusals" refusals
run_test "refused to users" rootless
switch_uring Y
run_test "many clients, io_uring" storm ,io_uring=1
unswitch_uring
finish
