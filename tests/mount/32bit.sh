#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Programs of 32 bits that know no large files: positions in directories have 31 bits always, inode numbers 32 with ino32_t.
. "$(dirname "$0")/../support/lib.sh"
need_packages fuse3 python3
in_private_ns "$@"
fuse_ready

HERE=$(cd "$(dirname "$0")" && pwd)
FILES=3000

after_failure() { drop_mounts; }

# fresh OPTIONS: two layers, of each of which something was changed.
fresh() {
	local dir
	dir=$(mktemp -d "$WORK/XXXXXX")
	cd "$dir" || exit
	mkdir -p low/{a,deep/er} below/a upper work mnt
	(cd low/a && seq -f 'low%g' $FILES | xargs touch)
	(cd below/a && seq -f 'below%g' $FILES | xargs touch)
	touch low/deep/er/file
	serve_here "lowerdir=low:below,upperdir=upper,workdir=work$1"
	(cd mnt/a && seq -f 'low%g' 1 7 $FILES | xargs chmod 600 && seq -f 'new%g' $FILES | xargs touch)
	rm mnt/a/below{1,2,3}
	mkdir mnt/new
	touch mnt/new/file
}

ended() {
	umount mnt
	served_well
}

# Directories below and in the mount, as getdents(2) gives them: POSITION INODE NAME.
DUMP='
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
getdents64 = {"x86_64": 217}.get(os.uname().machine, 61)
for top in sys.argv[2:]:
    fd, buf = os.open(top, os.O_RDONLY | os.O_DIRECTORY), ctypes.create_string_buffer(int(sys.argv[1]))
    while (n := libc.syscall(getdents64, fd, buf, len(buf))) > 0:
        at = 0
        while at < n:
            ino, position, length = struct.unpack_from("QqH", buf, at)
            print(position, ino, buf.raw[at + 19:at + length].split(b"\0")[0].decode())
            at += length
    os.close(fd)
    assert n == 0, ctypes.get_errno()
'
dump() { python3 -c "$DUMP" "$@"; }

# A listing that gives attributes, and one that does not, as nobody looked at them before.
positions() {
	local size
	fresh ""
	for size in 600 2048 32768; do
		dump "$size" mnt mnt/a mnt/deep mnt/deep/er mnt/new >seen
		awk '$1 <= 0 || $1 >= 2 ^ 31 { print; bad = 1 } END { exit bad }' seen || fail "positions above"
		eq "$(awk '{print $3}' seen | grep -c '^\(low\|below\|new\)[0-9]')" $((3 * FILES - 3)) "names in pieces of $size"
		eq "$(awk '{print $3}' seen | grep '[0-9]' | sort | uniq -d)" "" "names seen twice in pieces of $size"
		ls -lR mnt >/dev/null
		mount -i -o remount mnt # the kernel forgets
	done
	ended
}

numbers() {
	local size
	fresh ,ino32_t
	for size in 2048 32768; do
		dump "$size" mnt mnt/a mnt/deep mnt/deep/er mnt/new >seen
		eq "$(grep -c '' seen)" "$(find mnt/ -printf '%y\n' | awk '{n += $1 == "d" ? 3 : 1} END {print n - 1}')" "entries"
		awk '$2 <= 0 || $2 >= 2 ^ 32 { print; bad = 1 } END { exit bad }' seen || fail "inode numbers above"
		(($(find mnt -printf '%i\n' | sort -n | tail -1) < 1 << 32)) || fail "st_ino of more than 32 bits"
		mount -i -o remount mnt
	done
	ended
}

listed() {
	fresh ,ino32_t
	"$WORK/list32" mnt mnt/a mnt/deep mnt/deep/er mnt/new | sort >seen
	ls -lR mnt >/dev/null
	for dir in mnt mnt/a mnt/deep mnt/deep/er mnt/new; do ls -a "$dir"; done | sort >expected
	cmp seen expected || fail "other names"
	"$WORK/list32" mnt mnt/a mnt/deep mnt/deep/er mnt/new | sort >seen
	cmp seen expected || fail "other names, when attributes come with them"
	ended
}

run_test "positions in directories have 31 bits" positions
run_test "with ino32_t all inode numbers have 32" numbers
if [[ $(uname -m) == x86_64 ]]; then
	need_packages gcc-multilib
	"${CC:-cc}" -m32 -std=gnu17 -D_GNU_SOURCE -O1 -o "$WORK/list32" "$HERE/list32.c"
	run_test "a program of 32 bits lists what is there" listed
else
	skip "a program of 32 bits lists what is there" "no -m32 here"
fi
finish
