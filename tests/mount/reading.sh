#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Large files: what is read is what the files have, whichever way it takes, and in as few requests as may be.
. "$(dirname "$0")/../support/lib.sh"
need_packages libfuse3-dev fuse3
in_private_ns "$@"
fuse_ready

fresh() {
	local dir
	dir=$(mktemp -d "$WORK/XXXXXX")
	chmod 755 "$dir"
	cd "$dir" || exit
	mkdir low upper work mnt
	head -c 8388608 /dev/urandom >low/large
	head -c 3000001 /dev/urandom >low/odd
	cp low/odd low/cut
	cp low/odd low/grown
	cp low/large low/chunks
}

reads() { sed -n 's/.*request read \([0-9]*\)$/\1/p' log; }

ended() {
	umount mnt
	served_well
}

# Each place that bytes can have, by requests of each size.
same_bytes() {
	local size file
	fresh
	cp -r low plain
	serve_here "lowerdir=low,upperdir=upper,workdir=work$1"
	for file in plain mnt; do
		truncate -s 2000000 "$file/cut"
		truncate -s 4000000 "$file/grown"
		dd if=low/odd of="$file/chunks" bs=1000 seek=3000 count=5 conv=notrunc status=none
		cp low/odd "$file/own"
	done
	for size in 128 64 4 1024; do
		set_read_ahead "$size"
		echo 1 >/proc/sys/vm/drop_caches
		for file in large odd cut grown chunks own; do
			cmp "plain/$file" "mnt/$file" || fail "$file, with $size KiB of read-ahead"
		done
	done
	ended
}

read_ahead_file() { echo "/sys/class/bdi/$(stat -c %Hd:%Ld mnt)/read_ahead_kb"; }
has_read_ahead() { [[ $(cat "$(read_ahead_file)") == "$1" ]]; }
set_read_ahead() { echo "$1" >"$(read_ahead_file)"; }

few_requests() {
	fresh
	serve_here "lowerdir=low,io=cache"
	# Threads of io_uring serve requests before the daemon is through with mounting.
	wait_until 20 has_read_ahead 256 || fail "KiB of read-ahead for root: $(cat "$(read_ahead_file)")"
	cat mnt/large >/dev/null
	statistics
	# The first ones are smaller, as the kernel does not know yet that there will be more.
	(($(reads) <= 8388608 / 262144 + 4)) || fail "requests for 8 MiB: $(reads)"
	ended
}

few_requests_of_a_user() {
	make_user
	fresh
	chown "$TEST_USER:" mnt
	as_user "$PLYFS" -o "lowerdir=$PWD/low" "$PWD/mnt"
	eq "$(cat "/sys/class/bdi/$(as_user stat -c %Hd:%Ld "$PWD/mnt")/read_ahead_kb")" 128 "KiB of read-ahead"
	as_user cmp "$PWD/mnt/large" "$PWD/low/large"
	as_user fusermount3 -u "$PWD/mnt"
}

# Reading and cutting at once. What is never cut off is read as it is; behind the new end the kernel shows zeros to who reads before
# it has the answer that says so, whichever way the daemon takes.
cut_while_read() {
	local i reader
	fresh
	serve_here "lowerdir=low,upperdir=upper,workdir=work$1"
	cp low/large mnt/own
	(
		for i in {1..30}; do
			dd if=mnt/own bs=128K status=none of=read.out
			cmp -n 4000000 read.out low/large || exit 1
		done
	) &
	reader=$!
	for i in {1..20}; do
		truncate -s $((8000000 - i * 200000)) mnt/own
		echo 1 >/proc/sys/vm/drop_caches
	done
	wait "$reader" || fail "a reader got other bytes"
	eq "$(stat -c %s mnt/own)" 4000000
	cmp -n 4000000 mnt/own low/large
	ended
}

# Somebody shortens a layer's file under a mount, which nobody may: the kernel is told what there is.
shortened_below() {
	fresh
	serve_here "lowerdir=low,io=cache$1"
	stat mnt/large >/dev/null
	truncate -s 1000000 low/large
	timeout 60 cat mnt/large >got || fail "reading ends with status $?"
	cmp -n 1000000 got low/large
	ended
}

# A layer's file that cannot be read from some byte on: neither zeros nor an end, and what lies before it can be read.
bad_media() {
	local size
	fresh
	mkdir bad
	# shellcheck disable=SC2046  # words are wanted
	"${CC:-cc}" -std=gnu17 -D_GNU_SOURCE -O1 -I"$SUPPORT_DIR/.." $(pkg-config --cflags fuse3) -o crippled \
		"$SUPPORT_DIR"/../crash/crippled/*.c $(pkg-config --libs fuse3)
	./crippled "$PWD/low" media bad
	serve_here "lowerdir=bad,upperdir=upper,workdir=work$1"
	for size in 4 128 256; do
		set_read_ahead "$size"
		echo 1 >/proc/sys/vm/drop_caches
		cat mnt/large >got 2>err && fail "all of it can be read, with $size KiB of read-ahead"
		contains "$(cat err)" "Input/output error"
		cmp -n "$(stat -c %s got)" got low/large
		(($(stat -c %s got) <= 400000)) || fail "$(stat -c %s got) bytes were read, with $size KiB of read-ahead"
		eq "$(stat -c %s mnt/large)" 8388608
	done
	ended
	umount bad
}

# The connection goes away under readers: they end, and the daemon does.
aborted() {
	local readers=() i
	fresh
	serve_here "lowerdir=low,io=cache$1"
	for i in {1..4}; do
		while dd if=mnt/large of=/dev/null bs=128K status=none 2>/dev/null; do
			echo 1 >/proc/sys/vm/drop_caches
		done &
		readers+=($!)
	done
	wait_until 20 has_read
	umount -f mnt 2>/dev/null || umount -l mnt
	echo 1 >"/sys/fs/fuse/connections/$DEV/abort" 2>/dev/null || true
	wait "${readers[@]}" || true
	wait_until 20 all_gone "$DAEMON" || fail "the daemon did not end"
}

has_read() {
	DEV=$(stat -c %Ld mnt)
	statistics
	[[ -n $(reads) ]] && (($(reads) > 100))
}

for options in "" ,threads=1,loop=follow ,timeout=0; do
	run_test "the same bytes${options/,/, }" same_bytes "$options"
	run_test "cut while it is read${options/,/, }" cut_while_read "$options"
	run_test "a layer's file gets shorter${options/,/, }" shortened_below "$options"
	run_test "a layer's file that cannot be read${options/,/, }" bad_media "$options"
	run_test "aborted under readers${options/,/, }" aborted "$options"
done
run_test "few requests" few_requests
run_test "few requests of a user" few_requests_of_a_user
finish
