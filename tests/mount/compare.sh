#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# plyfs diff and waste: images against what umoci unpacks of them and what is in their tars, layers, uppers and directories.
set -euo pipefail
# shellcheck source=tests/support/lib.sh
. "$(dirname "$0")/../support/lib.sh"
# shellcheck source=tests/support/images.sh
. "$SUPPORT_DIR/images.sh"

need_packages umoci fuse3 python3 attr zstd
in_private_ns "$@"
fuse_ready
make_user

HERE=$(cd "$(dirname "$0")" && pwd)
I=$WORK/images
M=$WORK/mnt
export XDG_CACHE_HOME=$WORK/cache
mkdir -p "$I" "$M"
after_failure() { umount -l "$M" 2>/dev/null || true; }

# gives STATUS ARG…: what it writes goes to $WORK/out and $WORK/err.
gives() {
	local status=$1 rc=0
	shift
	"$PLYFS" "$@" >"$WORK/out" 2>"$WORK/err" || rc=$?
	((rc == status)) || fail "exit status $rc, not $status: $* ($(tail -n 3 "$WORK/out" "$WORK/err"))"
}

# refused STATUS PATTERN ARG…: a line on standard error that has it.
refused() {
	local status=$1 pattern=$2
	shift 2
	gives "$status" "$@"
	grep -Eq -- "$pattern" "$WORK/err" || fail "message lacks '$pattern': $(cat "$WORK/err")"
}

# --- images -----------------------------------------------------------------------------

# img:t has three layers; trees/1, 2 and 3 are what is there after each.
make_image() {
	cd "$I"
	umoci init --layout img
	umoci new --image img:t
	mkdir -p one/{usr/bin,etc/old,dev,many,kept}
	ln -s usr/bin one/bin
	echo first >one/etc/conf
	echo gone >one/etc/gone
	echo old >one/etc/old/file
	head -c 300000 /dev/urandom >one/usr/bin/prog
	ln one/usr/bin/prog one/usr/bin/prog.link
	cp one/usr/bin/prog one/usr/bin/copy
	cp one/usr/bin/prog one/usr/bin/chmodded
	setfattr -n user.note -v 'some text' one/etc/conf
	mknod one/dev/disk b 8 17
	mkfifo one/dev/pipe
	touch one/many/{a,b}{0,1,2} one/many/$'bad\xffname' one/many/$'new\nline'
	echo stays >one/kept/file
	add_layer img:t one 'ADD one /'
	mkdir -p two/{etc,many,usr/bin,dev}
	echo second, longer >two/etc/conf
	chown 12:34 two/etc/conf
	touch two/etc/.wh.gone two/many/.wh.a0
	cp one/usr/bin/prog two/usr/bin/chmodded
	chmod 4711 two/usr/bin/chmodded
	mknod two/dev/disk b 8 18
	ln -s usr two/bin
	touch two/.wh.bin
	rm two/.wh.bin
	add_layer img:t two 'RUN second'
	mkdir -p three/etc/old three/usr/bin/prog.link
	touch three/etc/old/.wh..wh..opq
	echo new >three/etc/old/new
	touch three/many
	setfattr -n user.layer -v three three/usr
	add_layer img:t three 'RUN third'
	umoci unpack --image img:t unpacked
	mkdir trees
	for n in 1 2 3; do
		"$PLYFS" extract --upto "$n" oci:img:t / "trees/$n"
	done
	cd "$WORK"
}

# The same tree as trees/3, packed anew as one layer: no byte lies where it was.
make_rebuilt() {
	cd "$I"
	umoci init --layout rebuilt
	umoci new --image rebuilt:t
	add_layer rebuilt:t trees/3 'COPY all'
	zstd -q layer.tar -o rebuilt.tar.zst
	tar -C img -cf img.tar .
	cd "$WORK"
}

# --- diff -------------------------------------------------------------------------------

# differs A B ARG…: plyfs diff ARG… finds what is different about the trees A and B, of which there is something.
differs() {
	local a=$1 b=$2
	shift 2
	gives 1 diff --json "$@"
	/usr/bin/python3 "$HERE/_compare.py" "$a" "$b" <"$WORK/out"
}

# umoci's unpacked tree is the witness of what plyfs extract gave.
states_of_an_image() {
	/usr/bin/python3 "$HERE/_tree.py" --no-root "$I/unpacked/rootfs" "$I/trees/3"
	differs "$I/trees/1" "$I/trees/2" --layer 2 "oci:$I/img:t"
	differs "$I/trees/2" "$I/trees/3" --layer 3 "$I/img"
	differs "$I/trees/1" "$I/trees/3" --layer 2-3 "oci-archive:$I/img.tar:t"
	differs "$I/trees/1" "$I/trees/3" --a-upto 1 "oci:$I/img:t" "oci:$I/img:t"
	differs "$I/trees/3" "$I/trees/1" --b-upto 1 "oci:$I/img:t" "oci:$I/img:t"
	gives 1 diff --layer 1 "oci:$I/img:t"
	eq "$(grep -c ^A "$WORK/out")" "$(wc -l <"$WORK/out")" 'lines that are additions'
	eq "$(wc -l <"$WORK/out")" "$(find "$I/trees/1" -printf 'x\n' | wc -l)" 'names of the first layer'
}

lines_for_people() {
	gives 1 diff --stat --layer 2 "oci:$I/img:t"
	grep -Fx 'M /etc/conf  size 6 -> 15, owner 0:0 -> 12:34, xattr user.note removed' "$WORK/out"
	grep -Fx 'D /etc/gone' "$WORK/out"
	grep -Fx 'M /bin  target usr/bin -> usr' "$WORK/out"
	grep -Fx 'M /dev/disk  device 8:17 -> 8:18' "$WORK/out"
	grep -Fx 'M /usr/bin/chmodded  mode 0644 -> 4711' "$WORK/out"
	tail -n 1 "$WORK/out" | grep -x '0 added (0 B), 2 deleted (5 B), 4 changed (300 kB -> 300 kB)'
	gives 1 diff --layer 3 "oci:$I/img:t" etc
	eq "$(cat "$WORK/out")" $'D /etc/old/file\nA /etc/old/new'
	gives 1 diff --layer 3 "oci:$I/img:t" many
	grep -Fx 'T /many  type directory -> file' "$WORK/out"
	# What is in a directory that is none any more is gone; no byte of a name orders a terminal about.
	grep -Fx 'D /many/new?line' "$WORK/out"
	gives 0 diff --layer 3 "oci:$I/img:t" kept
	eq "$(cat "$WORK/out")" ''
	gives 1 diff -q --layer 3 "oci:$I/img:t"
	eq "$(cat "$WORK/out")" ''
}

same_trees() {
	local other
	for other in "$I/rebuilt" "$I/layer.tar" "$I/rebuilt.tar.zst" "$I/trees/3"; do
		gives 0 diff "oci:$I/img:t" "$other"
		eq "$(cat "$WORK/out")" '' "what is said of $other"
		gives 0 diff "$other" "oci:$I/img:t"
	done
	gives 0 diff --mtime "$I/rebuilt" "$I/trees/3"
	gives 0 diff "$I/trees/2" "$I/trees/2"
	differs "$I/trees/1" "$I/trees/3" "$I/trees/1" "oci:$I/rebuilt:t"
}

# One byte, one time.
finds_the_least() {
	cp -a "$I/trees/3" "$I/least"
	printf x | dd of="$I/least/usr/bin/prog" bs=1 seek=299999 conv=notrunc status=none
	touch -d @1000 "$I/least/kept/file"
	gives 1 diff "oci:$I/img:t" "$I/least"
	eq "$(cat "$WORK/out")" 'M /usr/bin/prog  content'
	differs "$I/trees/3" "$I/least" "oci:$I/img:t" "$I/least"
	gives 1 diff --json --mtime "oci:$I/img:t" "$I/least"
	/usr/bin/python3 "$HERE/_compare.py" --mtime --no-root "$I/trees/3" "$I/least" <"$WORK/out"
	contains "$(cat "$WORK/out")" '"time"'
}

# Bytes of one layer at one place are the same whatever they are: nobody reads them.
reads_no_more_than_needed() {
	local blob
	cp -a "$I/img" "$I/cut"
	gives 0 diff "oci:$I/img:t" "oci:$I/cut:t"
	for blob in "$I"/cut/blobs/sha256/*; do
		(($(stat -c %s "$blob") < 100000)) || dd if=/dev/zero of="$blob" bs=1k seek=100 count=100 conv=notrunc status=none
	done
	gives 1 cat "oci:$I/cut:t" usr/bin/prog
	gives 0 diff "oci:$I/img:t" "oci:$I/cut:t"
	gives 2 diff "oci:$I/rebuilt:t" "oci:$I/cut:t"
	grep -q '^plyfs: /usr/bin/prog: ' "$WORK/err"
}

# What a container changed, with its upper mounted and not.
image_and_upper() {
	local pids
	mkdir "$WORK/upper"
	"$PLYFS" mount "oci:$I/img:t" "$M" --upper "$WORK/upper"
	gives 0 diff "oci:$I/img:t" "$WORK/upper"
	echo more >>"$M/etc/conf"
	rm "$M/kept/file"
	mkdir "$M/made"
	echo new >"$M/made/file"
	ln "$M/made/file" "$M/made/link"
	mv "$M/usr/bin" "$M/usr/moved"
	chmod 700 "$M/usr/moved/prog"
	chown 5:6 "$M/dev/pipe"
	setfattr -n user.new -v x "$M/etc/conf"
	cp -a "$M" "$WORK/after"
	differs "$I/trees/3" "$WORK/after" "oci:$I/img:t" "$WORK/upper"
	mapfile -t pids < <(daemon_pids "$M")
	"$PLYFS" umount "$M"
	wait_until 20 all_gone "${pids[@]}" || fail "the daemon did not end"
	differs "$I/trees/3" "$WORK/after" "oci:$I/img:t" "$WORK/upper"
	differs "$I/trees/3" "$WORK/after" --upper "$WORK/upper" "oci:$I/img:t"
	gives 1 diff "oci:$I/img:t" "$WORK/upper" kept
	eq "$(cat "$WORK/out")" 'D /kept/file'
	# By whiteouts, as other programs leave them.
	mkdir -p "$WORK/marks/kept"
	touch "$WORK/marks/kept/.wh.file"
	gives 1 diff --upper "$WORK/marks" "oci:$I/img:t" kept
	eq "$(cat "$WORK/out")" 'D /kept/file'
	refused 2 'is an upper: it has no layers' diff --b-upto 1 "oci:$I/img:t" "$WORK/upper"
}

bytes_of_names() {
	local command
	for command in "ls -R" find; do
		# shellcheck disable=SC2086
		"$PLYFS" $command --json "$I/trees/2" many | /usr/bin/python3 -c '
import base64, json, sys
odd = [e for e in json.load(sys.stdin) if "path_base64" in e]
assert [base64.b64decode(e["path_base64"]) for e in odd] == [b"many/bad\xffname"], odd
assert odd[0]["path"] == "many/bad\ufffdname", odd'
	done
	gives 1 diff --json --layer 3 "oci:$I/img:t" many
	/usr/bin/python3 -c '
import base64, json, sys
odd = [base64.b64decode(e["path_base64"]) for e in json.load(sys.stdin)["differences"] if "path_base64" in e]
assert odd == [b"/many/bad\xffname"], odd' <"$WORK/out"
}

diff_refuses() {
	refused 2 'two images or directories are needed' diff "$I/img"
	refused 2 'one path at a time' diff "$I/img" "$I/img" a b
	refused 2 'neither tree has it' diff "$I/img" "$I/img" nowhere
	refused 2 'has 3 layers, there is no layer 4' diff --layer 4 "$I/img"
	refused 2 '--layer cannot be that' diff --layer 3-2 "$I/img"
	refused 2 '--layer says all' diff --layer 2 --a-upto 1 "$I/img"
	refused 2 'only an image has layers' diff --layer 2 "$I/trees/1"
	refused 2 '[Nn]o such' diff "$I/img" "$I/none"
	refused 2 'unknown option -x' diff -x "$I/img" "$I/img"
}

diff_as_user() {
	chmod -R a+rX "$I/img" "$I/rebuilt"
	as_user env -u XDG_CACHE_HOME "$PLYFS" diff "oci:$I/img:t" "oci:$I/rebuilt:t"
}

# --- waste ------------------------------------------------------------------------------

# waste:t: every way in which bytes are hidden, over three layers.
make_waste() {
	local w=$I/w
	mkdir -p "$w"/{1,2,3}/{a,d,o} "$w/1/gone/sub" "$w/1/dir" "$w/1/keep" "$w/2/keep"
	cd "$w"
	for n in 1 2 3; do
		head -c 1000$n /dev/urandom >$n/a/all
		head -c 2000 /dev/urandom >$n/a/same.size
	done
	head -c 3000 /dev/urandom >1/a/chmodded
	cp 1/a/chmodded 2/a/chmodded
	cp 1/a/chmodded 3/a/chmodded
	chmod 600 2/a/chmodded
	chmod 711 3/a/chmodded
	head -c 4000 /dev/urandom >1/a/once
	cp 1/a/once 3/a/once
	head -c 5000 /dev/urandom >1/gone/sub/file
	touch 2/.wh.gone
	head -c 6000 /dev/urandom >1/dir/file
	echo file >3/dir
	head -c 7000 /dev/urandom >1/o/old
	head -c 7100 /dev/urandom >2/o/newer
	head -c 7200 /dev/urandom >3/o/new
	touch 3/o/.wh..wh..opq
	# Names of one file: bytes are hidden when the last one is.
	head -c 8000 /dev/urandom >1/d/link1
	ln 1/d/link1 1/d/link2
	touch 2/d/.wh.link1
	head -c 9000 /dev/urandom >1/d/both1
	ln 1/d/both1 1/d/both2
	touch 2/d/.wh.both{1,2}
	# A file where a directory was, and the other way round.
	head -c 1500 /dev/urandom >1/swap
	mkdir 2/swap
	head -c 1600 /dev/urandom >2/swap/file
	# Contents that several files have.
	for f in 1/d/twin1 1/d/twin2 2/d/twin3 2/a/twin4; do printf 'twins of some length' >$f; done
	printf 'others of some lengt' >1/d/other
	rm 2/a/twin4
	: >1/d/empty1
	: >1/d/empty2
	# A hard link keeps what its old name gives away.
	head -c 1234 /dev/urandom >1/keep/old
	head -c 4321 /dev/urandom >1/keep/one
	ln 1/keep/one 1/keep/two
	# What it replaces is hidden, and kept by no link to the link.
	head -c 2345 /dev/urandom >1/keep/new
	head -c 3456 /dev/urandom >1/keep/last
	umoci init --layout "$I/waste"
	umoci new --image "$I/waste:t"
	for n in 1 2 3; do tar -C $n -cf $n.tar .; done
	/usr/bin/python3 -c '
import tarfile
with tarfile.open("2.tar", "a") as tar:
    m = tarfile.TarInfo("./keep/new"); m.type = tarfile.LNKTYPE; m.linkname = "./keep/old"; tar.addfile(m)
    tar.addfile(tarfile.TarInfo("./keep/.wh.old"))
    # Of two names the one that is not the first.
    m.name, m.linkname = "./keep/three", "./keep/two"; tar.addfile(m)
    for name in "one", "two": tar.addfile(tarfile.TarInfo("./keep/.wh." + name))
with tarfile.open("3.tar", "a") as tar:
    m.name, m.linkname = "./keep/last", "./keep/new"; tar.addfile(m)
    tar.addfile(tarfile.TarInfo("./keep/.wh.new"))'
	for n in 1 2 3; do umoci raw add-layer --image "$I/waste:t" --history.created_by "STEP $n" $n.tar; done
	cd "$WORK"
}

waste_of_an_image() {
	gives 0 waste --json -n 0 "oci:$I/waste:t"
	/usr/bin/python3 "$HERE/_waste.py" "$I"/w/{1,2,3}.tar <"$WORK/out"
	gives 0 waste --json -n 0 --upto 2 "oci:$I/waste:t"
	/usr/bin/python3 "$HERE/_waste.py" "$I"/w/{1,2}.tar <"$WORK/out"
	# The other image, of which each layer is one tar.
	gives 0 waste --json -n 0 "$I/rebuilt"
	/usr/bin/python3 "$HERE/_waste.py" "$I/layer.tar" <"$WORK/out"
	eq "$(/usr/bin/python3 -c 'import json, sys; print(json.load(sys.stdin)["efficiency_permille"])' <"$WORK/out")" 1000
}

waste_for_people() {
	local n
	gives 0 waste "oci:$I/waste:t"
	grep -Eq '^efficiency [0-9.]+ %: [0-9.]+ kB of [0-9.]+ kB are hidden$' "$WORK/out"
	grep -Eq '^    1 .* STEP 1$' "$WORK/out"
	grep -Eq '^10.0 kB of them were copied to change attributes only$' "$WORK/out"
	grep -Eq '^ 5.0 kB +1  deleted +2  /gone/sub/file$' "$WORK/out"
	grep -Eq '^ 3.0 kB +2  copied +3  /a/chmodded$' "$WORK/out"
	grep -A 2 -E '^ *[0-9.]+ k?B +3 +1  /d/twin1$' "$WORK/out" | tail -n 1 | grep -Eq '^ +2  /d/twin3$'
	gives 0 waste -n 2 --quick "oci:$I/waste:t"
	n=$(sed -n '/^hidden files/,$p' "$WORK/out" | wc -l)
	eq "$n" 4 'lines about hidden files'
	lacks "$(cat "$WORK/out")" copied
	gives 0 waste --quick "$I/rebuilt.tar.zst"
	grep -q '^efficiency 100.0 %' "$WORK/out"
	refused 1 'only an image has layers' waste "$I/one"
	refused 16 'no image is given' waste
	refused 16 'n cannot be that' waste -n x "$I/img"
	refused 16 'one image at a time' waste "$I/img" "$I/img"
}

# --- holes ------------------------------------------------------------------------------

# exbibyte TAR MEMBER=TEXT…: members of 1 EiB that are a hole but for TEXT, in the middle; TAR has 2 KiB of each.
exbibyte() {
	/usr/bin/python3 - "$@" <<-'END'
		import io, sys, tarfile
		with tarfile.open(sys.argv[1], "w", format=tarfile.PAX_FORMAT) as tar:
		    for arg in sys.argv[2:]:
		        name, text = arg.split("=")
		        sparse = f"1\n{1 << 59}\n{len(text)}\n".encode().ljust(512, b"\0") + text.encode()
		        m = tarfile.TarInfo("GNUSparseFile.0/" + name)
		        m.size = len(sparse)
		        m.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": name,
		                         "GNU.sparse.realsize": str(1 << 60)}
		        tar.addfile(m, io.BytesIO(sparse))
	END
}

# Whoever reads them is at it for years, and never ends.
holes_are_not_read() {
	exbibyte "$I/holes1.tar" one=text two=text other=tex.
	exbibyte "$I/holes2.tar" before=1 one=text two=texT other=tex.
	gives 0 waste --json -n 0 "$I/holes1.tar"
	/usr/bin/python3 -c '
import json, sys
document = json.load(sys.stdin)
assert document["duplicate"] == 1 << 60, document
assert [[f["path"] for f in d["files"]] for d in document["duplicates"]] == [["/one", "/two"]], document' <"$WORK/out"
	gives 1 diff "$I/holes1.tar" "$I/holes2.tar"
	eq "$(cat "$WORK/out")" $'A /before\nM /two  content'
}

make_image >"$WORK/make.log" 2>&1 || { cat "$WORK/make.log" >&2; exit 2; }
make_rebuilt >"$WORK/make.log" 2>&1 || { cat "$WORK/make.log" >&2; exit 2; }
make_waste >"$WORK/make.log" 2>&1 || { cat "$WORK/make.log" >&2; exit 2; }
run_test "diff finds what a layer changed" states_of_an_image
run_test "diff has a line with the reasons for each name" lines_for_people
run_test "diff sees the same tree however it is packed" same_trees
run_test "diff finds one byte, and times when asked" finds_the_least
run_test "diff does not read what lies at one place" reads_no_more_than_needed
run_test "diff finds what a container changed" image_and_upper
run_test "JSON has the bytes of names that are no text" bytes_of_names
run_test "diff says what it cannot compare" diff_refuses
run_test "a user compares images" diff_as_user
run_test "waste finds what is hidden, copied and there twice" waste_of_an_image
run_test "waste has tables for people" waste_for_people
run_test "neither diff nor waste reads holes" holes_are_not_read
finish
