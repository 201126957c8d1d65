#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Listings with attributes and without: what is seen is the same, in as few requests as may be.
. "$(dirname "$0")/../support/lib.sh"
need_packages fuse3 python3
in_private_ns "$@"
fuse_ready

DIRS=40 FILES=500

fresh() {
	local dir
	dir=$(mktemp -d "$WORK/XXXXXX")
	cd "$dir" || exit
	mkdir low upper work mnt
	(
		cd low || exit
		mkdir $(seq -f 'd%g' $DIRS)
		for dir in d*; do
			(cd "$dir" && seq -f '%g' $FILES | xargs touch && mkdir empty && ln -s 1 link)
		done
	)
	serve_here "lowerdir=low,upperdir=upper,workdir=work"
}

ended() {
	umount mnt
	served_well
}

requests() {
	statistics
	sed -n "s/.*request $1 \([0-9]*\)\$/\1/p" log | grep . || echo 0
}

# As a program whose buffer for names is small (Go's is 8 KiB): all names of a directory, then all their attributes.
READER='
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
getdents64 = {"x86_64": 217}.get(os.uname().machine, 61)
def names(path, size):
    fd, found, buf = os.open(path, os.O_RDONLY | os.O_DIRECTORY), [], ctypes.create_string_buffer(size)
    while (n := libc.syscall(getdents64, fd, buf, size)) > 0:
        at = 0
        while at < n:
            length = struct.unpack_from("H", buf, at + 16)[0]
            found.append(buf.raw[at + 19:at + length].split(b"\0")[0].decode())
            at += length
    os.close(fd)
    assert n == 0, ctypes.get_errno()
    return sorted(set(found) - {".", ".."})
top, size, look = sys.argv[1], int(sys.argv[2]), sys.argv[3:] == ["look"]
for d in names(top, size):
    for name in names(f"{top}/{d}", size):
        print(d, name, *(tuple(os.lstat(f"{top}/{d}/{name}"))[:1] if look else ()))
'
reader() { python3 -c "$READER" "$@"; }

# Twenty thousand names, five of a hundred tried without. More if the machine's caches are dropped meanwhile, as other tests do.
looked_at() {
	fresh
	reader mnt "$1" look >seen
	reader low "$1" look >expected
	cmp seen expected || fail "other names or modes"
	(($(requests lookup) <= DIRS * FILES / 4)) || fail "look-ups: $(requests lookup)"
	ended
}

only_listed() {
	local before
	fresh
	reader mnt 32768 >seen
	reader low 32768 >expected
	cmp seen expected || fail "other names"
	# The kernel has no attributes of most files.
	before=$(requests lookup)
	reader mnt 32768 look >/dev/null
	(($(requests lookup) - before > DIRS * FILES / 20)) ||
		fail "look-ups after a listing without attributes: $(requests lookup)"
	ended
}

# Nobody looks at them, then everybody does: attributes come back.
both_ways() {
	local before
	fresh
	reader mnt 32768 >/dev/null
	mount -i -o remount mnt # the kernel forgets
	find mnt -name none
	mount -i -o remount mnt
	before=$(requests lookup)
	find mnt -size +1000
	(($(requests lookup) - before <= DIRS * FILES / 4)) || fail "look-ups: $(requests lookup), $before before"
	reader mnt 8192 look >seen
	reader low 8192 look >expected
	cmp seen expected || fail "other names or modes"
	ended
}

# Names that the kernel knows, of files that were written: their attributes are asked for, not looked up.
known() {
	local before
	fresh
	mkdir mnt/new
	for dir in $(seq -f 'mnt/new/d%g' 20); do
		mkdir "$dir"
		(cd "$dir" && seq -f '%g' $FILES | xargs -I {} sh -c 'for i; do echo x >"$i"; done' - {} {}.c)
	done
	before=$(requests getattr)
	find mnt/new -size +1000
	find mnt/new -size +1000
	(($(requests getattr) - before <= 4 * FILES)) || fail "GETATTRs: $(requests getattr), $before before"
	ended
}

# Names that come and go while a directory is read, with and without attributes.
changed_meanwhile() {
	fresh
	for round in 1 2 3; do
		for dir in mnt/d*; do
			(cd "$dir" && rm -f $(seq "$round" 7 $FILES) && touch $(seq -f "new$round-%g" 20)) &
			find "$dir" -name none
			find "$dir" -size +1000 2>/dev/null || true
			wait $!
		done
	done
	cp -r low plain
	for round in 1 2 3; do
		for dir in plain/d*; do
			(cd "$dir" && rm -f $(seq "$round" 7 $FILES) && touch $(seq -f "new$round-%g" 20))
		done
	done
	diff <(cd plain && find . | sort) <(cd mnt && find . | sort) || fail "other names"
	diff <(cd plain && ls -lR --time-style=+) <(cd mnt && ls -lR --time-style=+) || fail "other attributes"
	ended
}

run_test "names that are looked at come with their attributes (buffer of 8 KiB)" looked_at 8192
run_test "names that are looked at come with their attributes (buffer of 32 KiB)" looked_at 32768
run_test "names that nobody looks at come without" only_listed
run_test "who wants attributes after that gets them" both_ways
run_test "names that are known come with their attributes" known
run_test "names that come and go meanwhile" changed_meanwhile
