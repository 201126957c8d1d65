#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# plyfs ls, cat, stat, find, du, which and extract: an image that is not mounted, against what umoci unpacks of it, layers one by
# one, directories and uppers, by an ordinary user who has no /dev/fuse.
set -euo pipefail
# shellcheck source=tests/support/lib.sh
. "$(dirname "$0")/../support/lib.sh"
# shellcheck source=tests/support/images.sh
. "$SUPPORT_DIR/images.sh"

need_packages umoci python3 attr libcap2-bin zstd
in_private_ns "$@"
make_user

HERE=$(cd "$(dirname "$0")" && pwd)
I=$WORK/images
T=$WORK/tree
export XDG_CACHE_HOME=$WORK/cache
mkdir -p "$I"

# refused STATUS PATTERN ARG…: one line on standard error that has it.
refused() {
	local status=$1 pattern=$2 rc=0
	shift 2
	"$PLYFS" "$@" >"$WORK/out" 2>"$WORK/err" || rc=$?
	eq "$rc" "$status" "exit status of $*"
	grep -Eq -- "$pattern" "$WORK/err" || fail "message lacks '$pattern': $(cat "$WORK/err")"
	((status != 1)) || eq "$(wc -l <"$WORK/err")" 1 "lines on stderr ($(cat "$WORK/err"))"
}

# Three layers: one of everything, changes, and a directory that hides the ones below.
make_image() {
	cd "$I"
	umoci init --layout img
	umoci new --image img:t
	mkdir -p one/{usr/bin,etc/old,dev,var,many}
	ln -s usr/bin one/bin
	ln -s ../../../../etc one/up
	ln -s /etc/conf one/usr/bin/conf
	echo first >one/etc/conf
	echo gone >one/etc/gone
	echo old >one/etc/old/file
	head -c 3000000 /dev/urandom >one/usr/bin/prog
	ln one/usr/bin/prog one/usr/bin/prog.link
	cp one/usr/bin/prog one/usr/bin/ping
	setcap cap_net_raw,cap_net_admin=ep one/usr/bin/ping
	setfattr -n user.note -v 'some text' one/etc/conf
	setfattr -n user.bytes -v 0x0001ff one/etc/conf
	mknod one/dev/zero c 1 5
	mknod one/dev/disk b 8 17
	mkfifo one/dev/pipe
	chown -h 5:6 one/dev/{pipe,disk} one/up
	chmod 1644 one/dev/pipe
	chmod 6660 one/dev/disk
	setfattr -h -n trusted.of.link -v link one/up
	setfattr -n trusted.of.device -v device one/dev/zero
	setfattr -n security.of.pipe -v pipe one/dev/pipe
	chown 12:34 one/etc/conf
	chmod 4711 one/usr/bin/prog
	chmod 1777 one/var
	truncate -s 5M one/var/sparse
	touch one/many/{a,b,c}{0,1,2,3,4,5,6,7,8,9} one/many/$'bad\xffname' one/many/$'new\nline' 'one/many/a b'
	add_layer img:t one 'ADD one /'
	mkdir -p two/etc two/many
	echo second, longer >two/etc/conf
	touch two/etc/.wh.gone two/many/.wh.a0
	add_layer img:t two 'RUN second'
	mkdir -p three/etc/old
	touch three/etc/old/.wh..wh..opq
	echo new >three/etc/old/new
	add_layer img:t three 'RUN third'
	umoci unpack --image img:t unpacked
	T=$I/unpacked/rootfs
	cd "$WORK"
}

# The image under its names: a layout, and a layout in a tar.
sources() {
	tar -C "$I/img" -cf "$I/img.tar" .
	IMAGES=("oci:$I/img:t" "$I/img" "oci-archive:$I/img.tar:t")
}

# Both ends have a line for each name: type, mode, owner, links, size, device, target.
by_find() {
	(cd "$1" && find . -printf '%P\t%y\t%04m\t%U\t%G\t%n\t%s\t%l\0') | /usr/bin/python3 -c '
import sys
for line in sys.stdin.buffer.read().decode("utf-8", "replace").split("\0"):
    if line:
        path, kind, mode, uid, gid, links, size, target = line.split("\t")
        if kind == "d":
            links = size = "-"
        print(repr("/" + path), kind, mode, uid, gid, links, size, repr(target))' | sort
}

by_plyfs() {
	"$PLYFS" find --json "$1" / | /usr/bin/python3 -c '
import json, sys
kinds = {"file": "f", "directory": "d", "symlink": "l", "char": "c", "block": "b", "fifo": "p", "socket": "s"}
for e in json.load(sys.stdin):
    dir = e["type"] == "directory"
    print(repr(e["path"]), kinds[e["type"]], e["mode"], e["uid"], e["gid"], "-" if dir else e["links"],
          "-" if dir else e["size"], repr(e.get("target", "")))' | sort
}

same_as_unpacked() {
	local image
	by_find "$T" | grep -v "^'/' " >"$WORK/wanted"
	(($(wc -l <"$WORK/wanted") > 50))
	for image in "${IMAGES[@]}"; do
		by_plyfs "$image" | grep -v "^'/' " >"$WORK/got"
		same_lines "$WORK/wanted" "$WORK/got"
	done
}

contents() {
	local file n=0
	while read -r file; do
		"$PLYFS" cat "oci:$I/img:t" "$file" | cmp - "$T/$file"
		n=$((n + 1))
	done < <(cd "$T" && find . -type f ! -name '*
*' -printf '%P\n' | grep -av 'many/[abc]')
	eq "$n" 6 'files that were read'
	"$PLYFS" cat "oci:$I/img:t" etc/conf /etc/old/new | cmp - <(cat "$T/etc/conf" "$T/etc/old/new")
	refused 1 'etc is a directory' cat "oci:$I/img:t" etc
	refused 1 'dev/pipe is a fifo' cat "oci:$I/img:t" dev/pipe
	refused 1 'etc/gone: No such file' cat "oci:$I/img:t" etc/gone
}

links_stay_inside() {
	eq "$("$PLYFS" cat "oci:$I/img:t" bin/conf)" 'second, longer'
	eq "$("$PLYFS" ls "oci:$I/img:t" up)" "$(ls "$T/etc")"
	eq "$("$PLYFS" ls "oci:$I/img:t" ../../bin/../bin)" "$(ls "$T/usr/bin")"
}

listings() {
	local line
	eq "$("$PLYFS" ls "oci:$I/img:t")" "$(ls "$T")"
	eq "$("$PLYFS" ls -R "oci:$I/img:t" etc usr)" "$(cd "$T" && ls -R etc usr)"
	# No byte of a name reaches the terminal that could order it about.
	eq "$("$PLYFS" ls "oci:$I/img:t" many | grep -c '^new?line$')" 1
	line=$("$PLYFS" ls -l "oci:$I/img:t" dev | grep zero)
	contains "$line" 'crw-' 'a device'
	contains "$line" '1, 5' 'a device'
	line=$("$PLYFS" ls -l "oci:$I/img:t" bin)
	contains "$line" 'bin -> usr/bin' 'a link'
	contains "$("$PLYFS" ls -ld "oci:$I/img:t" var)" 'drwxrwxrwt' 'a directory itself'
	refused 1 '^plyfs: nope: No such file' ls "oci:$I/img:t" nope
	# What is there is shown beside what is not.
	refused 1 '^plyfs: nope: No such file' ls "oci:$I/img:t" nope etc
	contains "$(cat "$WORK/out")" conf 'the others'
}

true_attributes() {
	local text
	text=$("$PLYFS" stat "oci:$I/img:t" bin/ping)
	contains "$text" 'Capabilities cap_net_admin,cap_net_raw=ep'
	contains "$text" '/usr/bin/ping'
	contains "$text" '1, ADD one /'
	text=$("$PLYFS" stat --layer 1 "oci:$I/img:t" etc/conf)
	contains "$text" '12:34'
	contains "$text" 'user.note="some text"'
	contains "$text" 'user.bytes=0x0001ff'
	lacks "$text" 'Capabilities'
	contains "$("$PLYFS" stat "oci:$I/img:t" etc/conf)" '2, RUN second'
	"$PLYFS" stat --json "oci:$I/img:t" dev/disk usr/bin/prog | /usr/bin/python3 -c '
import json, sys
disk, prog = json.load(sys.stdin)
assert (disk["type"], disk["major"], disk["minor"]) == ("block", 8, 17), disk
assert (prog["mode"], prog["links"], prog["size"], prog["layer"]) == ("4711", 2, 3000000, 1), prog'
}

finds() {
	local test
	for test in "-name c*" "-type d" "-type l" "-type c" "-size +2M" "-size -1k" "-size 5M" "-type f -name p*" \
		"-path */bin/*"; do
		# shellcheck disable=SC2086
		(set -f && "$PLYFS" find "oci:$I/img:t" / $test | grep -v '^/$' | sort >"$WORK/got")
		# shellcheck disable=SC2086
		(set -f && cd "$T" && find . -mindepth 1 $test -printf '/%P\0' | tr '\n\0' '?\n' | sort >"$WORK/wanted")
		if [[ $test == "-size"* ]]; then
			# Sizes of directories are the file system's affair.
			(set -f && "$PLYFS" find "oci:$I/img:t" / -type f $test | sort >"$WORK/got")
			(set -f && cd "$T" && find . -type f $test -printf '/%P\0' | tr '\n\0' '?\n' | sort >"$WORK/wanted")
		fi
		same_lines "$WORK/wanted" "$WORK/got"
	done
}

sums() {
	local wanted
	wanted=$(cd "$T" && find . -type f -printf '%i %s\n' | sort -u | awk '{n += $2} END {print n}')
	eq "$("$PLYFS" du -s "oci:$I/img:t")" "$wanted	/"
	eq "$("$PLYFS" du -sh "oci:$I/img:t" usr)" "6.0 MB	usr"
	eq "$("$PLYFS" du "oci:$I/img:t" etc | wc -l)" 2
}

which_layer() {
	"$PLYFS" which --json "oci:$I/img:t" etc/conf etc/gone etc/old/file usr/bin/prog | /usr/bin/python3 -c '
import json, sys
def states(e): return [(l["layer"], l["state"], l.get("hidden_by"), l["path"], l["by"]) for l in e["layers"]]
conf, gone, old, prog = map(states, json.load(sys.stdin))
assert conf == [(2, "shown", None, "/etc/conf", "RUN second"), (1, "hidden", 2, "/etc/conf", "ADD one /")], conf
assert gone == [(2, "deletes", None, "/etc/gone", "RUN second"), (1, "hidden", 2, "/etc/gone", "ADD one /")], gone
assert old == [(3, "opaque", None, "/etc/old", "RUN third"), (1, "hidden", 3, "/etc/old/file", "ADD one /")], old
assert prog == [(1, "shown", None, "/usr/bin/prog", "ADD one /")], prog'
	contains "$("$PLYFS" which "oci:$I/img:t" etc/gone)" 'deletes'
	refused 1 'nowhere: no layer has it' which "oci:$I/img:t" nowhere
	# However it is written.
	contains "$("$PLYFS" which "oci:$I/img:t" ./etc//old/../old/file)" '1  hidden by 3'
	# What is hidden can be read.
	eq "$("$PLYFS" cat --layer 1 "oci:$I/img:t" etc/conf)" first
	eq "$("$PLYFS" cat --upto 1 "oci:$I/img:t" etc/gone)" gone
	eq "$("$PLYFS" cat --layer 1 "oci:$I/img:t" etc/old/file)" old
	refused 1 'has 3 layers, there is no layer 4' cat --layer 4 "oci:$I/img:t" etc/conf
}

# A hard link to a file of the layer below, in a directory that hides what that one has there: the bytes are not hidden.
which_follows_what_leads_below() {
	umoci init --layout "$I/linked"
	umoci new --image "$I/linked:t"
	mkdir -p "$I/linked1"/{a,b}
	echo text >"$I/linked1/a/f"
	echo old >"$I/linked1/b/old"
	add_layer "$I/linked:t" "$I/linked1" first
	/usr/bin/python3 - "$I/linked2.tar" <<-'END'
		import sys, tarfile
		with tarfile.open(sys.argv[1], "w") as tar:
		    tar.addfile(tarfile.TarInfo(".wh.b"))
		    for name, kind, link in ("b", tarfile.DIRTYPE, ""), ("b/f", tarfile.LNKTYPE, "a/f"):
		        m = tarfile.TarInfo(name)
		        m.type, m.mode, m.linkname = kind, 0o755, link
		        tar.addfile(m)
	END
	umoci raw add-layer --image "$I/linked:t" --history.created_by second "$I/linked2.tar"
	"$PLYFS" which --json "oci:$I/linked:t" b/f b/old | /usr/bin/python3 -c '
import json, sys
def states(e): return [(l["layer"], l["state"], l.get("hidden_by"), l["path"]) for l in e["layers"]]
f, old = map(states, json.load(sys.stdin))
assert f == [(2, "attributes", None, "/b/f"), (1, "shown", None, "/a/f")], f
assert old == [(2, "opaque", None, "/b"), (1, "hidden", 2, "/b/old")], old'
	eq "$("$PLYFS" cat "oci:$I/linked:t" b/f)" text
}

# A layer's tar, plain and packed; a directory; directories on top of each other and of an image.
other_sources() {
	local file text
	tar -C "$I/one" --xattrs --xattrs-include='*' --numeric-owner -cf "$I/bare.tar" .
	gzip -k "$I/bare.tar"
	zstd -q "$I/bare.tar"
	by_find "$I/one" | grep -v "^'/' " >"$WORK/wanted"
	for file in bare.tar bare.tar.gz bare.tar.zst one; do
		by_plyfs "$I/$file" | grep -v "^'/' " >"$WORK/got"
		same_lines "$WORK/wanted" "$WORK/got"
	done
	eq "$("$PLYFS" cat --lower "$I/three" --lower "$I/two" "$I/one" etc/conf)" 'second, longer'
	eq "$("$PLYFS" ls --lower "$I/three" --lower "$I/two" "$I/one" etc)" "$(ls "$T/etc")"
	mkdir "$I/four"
	echo mine >"$I/four/mine"
	text=$("$PLYFS" which --upper "$I/four" "oci:$I/img:t" mine)
	contains "$text" '4  shown' 'the layer on top'
	contains "$text" "$I/four" 'the layer on top'
	refused 1 'is a directory: only an image has layers' ls --layer 1 "$I/one"
	refused 1 'no such|No such' ls "$I/none"
	refused 16 'unknown option -x' ls -x "$I/one"
	refused 16 'no path is given' cat "$I/one"
	refused 16 'cannot be that' find "$I/one" -size 1x
	refused 16 'needs an argument' find "$I/one" / -name
	refused 16 'no such command' image look "oci:$I/img:t"
	refused 16 'unknown option' image ls --nothing "oci:$I/img:t"
}

# All of it as umoci has it: contents, owners, xattrs, devices, hard links, holes.
extracts() {
	"$PLYFS" extract "oci:$I/img:t" / "$WORK/all"
	/usr/bin/python3 "$HERE/_tree.py" --no-root "$T" "$WORK/all"
	eq "$(cd "$WORK/all" && getfattr -hd -m 'of[.]' --absolute-names up dev/zero dev/pipe | grep "=")" 'trusted.of.link="link"
trusted.of.device="device"
security.of.pipe="pipe"'
	eq "$(stat -c '%a %u %g' "$WORK/all/dev/"{pipe,disk})" $'1644 5 6\n6660 5 6'
	(($(stat -c %b "$WORK/all/var/sparse") < 100)) || fail "holes became blocks"
	eq "$(getcap "$WORK/all/usr/bin/ping" | cut -d' ' -f2)" cap_net_admin,cap_net_raw=ep
	mkdir "$WORK/parts"
	"$PLYFS" extract --layer 1 "oci:$I/img:t" bin/prog etc dev/zero bin "$WORK/parts"
	cmp "$I/one/usr/bin/prog" "$WORK/parts/prog"
	eq "$(readlink "$WORK/parts/bin")" usr/bin
	diff -r "$I/one/etc" "$WORK/parts/etc"
	eq "$(stat -c '%F %t:%T' "$WORK/parts/zero")" 'character special file 1:5'
}

# Nothing that is in DEST is written to, entered or followed.
extracts_into_dest_only() {
	mkdir "$WORK/d" "$WORK/outside"
	echo before >"$WORK/outside/conf"
	ln -s ../outside "$WORK/d/etc"
	ln -s ../outside/new "$WORK/d/prog"
	mkdir "$WORK/d/var"
	refused 1 '^plyfs: etc: File exists' extract "oci:$I/img:t" etc "$WORK/d"
	refused 1 '^plyfs: prog: File exists' extract "oci:$I/img:t" usr/bin/prog "$WORK/d"
	refused 1 '^plyfs: var: File exists' extract "oci:$I/img:t" var "$WORK/d"
	eq "$(ls -A "$WORK/outside")" conf
	eq "$(cat "$WORK/outside/conf")" before
	eq "$(ls -A "$WORK/d/var")" ''
	# The others are put beside what was there.
	refused 1 'File exists' extract "oci:$I/img:t" etc usr/bin/ping "$WORK/d"
	cmp "$T/usr/bin/ping" "$WORK/d/ping"
	refused 1 'nope: No such file' extract "oci:$I/img:t" nope "$WORK/d"
	refused 16 'a path and a directory are needed' extract "oci:$I/img:t" /
	# A link of the image is never a way: its own tree goes below DEST, whatever is where it points to.
	mkdir -p "$I/evil/sub"
	ln -s "$WORK/outside" "$I/evil/away"
	tar -C "$I/evil" -cf "$I/evil.tar" away sub
	mkdir "$I/evil2"
	mkdir "$I/evil2/away"
	echo evil >"$I/evil2/away/conf"
	tar -C "$I/evil2" --append -f "$I/evil.tar" away/conf
	"$PLYFS" extract "$I/evil.tar" / "$WORK/e" || true
	eq "$(cat "$WORK/outside/conf")" before
}

extracts_as_user() {
	mkdir "$WORK/mine"
	chown "$TEST_USER:" "$WORK/mine"
	as_user env -u XDG_CACHE_HOME "$PLYFS" extract "oci:$I/img:t" usr etc "$WORK/mine"
	eq "$(stat -c '%U %a' "$WORK/mine/usr/bin/prog")" "$TEST_USER 711"
	cmp "$T/usr/bin/prog" "$WORK/mine/usr/bin/prog.link"
	eq "$(getcap "$WORK/mine/usr/bin/ping")" ''
	eq "$(stat -c %h "$WORK/mine/usr/bin/prog")" 2
	as_user env -u XDG_CACHE_HOME "$PLYFS" extract "oci:$I/img:t" dev "$WORK/mine" 2>"$WORK/err" && fail "devices were made"
	eq "$(sort "$WORK/err")" 'plyfs: dev/disk: Operation not permitted
plyfs: dev/zero: Operation not permitted'
	[[ -p $WORK/mine/dev/pipe ]]
}

# What lacks one thing has the others: an owner that cannot be had costs no mode, no time, no name.
extracts_in_a_small_namespace() {
	/usr/bin/python3 - "$I/owned.tar" <<-'END'
		import io, sys, tarfile
		with tarfile.open(sys.argv[1], "w") as tar:
		    def add(name, kind=tarfile.REGTYPE, mode=0o755, link="", pax={}):
		        m = tarfile.TarInfo(name)
		        m.type, m.mode, m.uid, m.gid, m.mtime, m.linkname = kind, mode, 1234, 1234, 1500000000, link
		        m.pax_headers = pax
		        m.size = 4 if kind == tarfile.REGTYPE else 0
		        tar.addfile(m, io.BytesIO(b"text") if m.size else None)
		    add("dir", tarfile.DIRTYPE, 0o750)
		    add("dir/prog", mode=0o4711, pax={"SCHILY.xattr.trusted.a": "1", "SCHILY.xattr.user.b": "2"})
		    add("dir/same", tarfile.LNKTYPE, 0o4711, "dir/prog")
		    add("dir/link", tarfile.SYMTYPE, 0o777, "prog")
	END
	unshare -r "$PLYFS" extract "$I/owned.tar" / "$WORK/small" 2>"$WORK/err" && fail "owners were there"
	eq "$(sort "$WORK/err")" 'plyfs: /dir/link: Invalid argument
plyfs: /dir/prog: Invalid argument
plyfs: /dir: Invalid argument'
	# The set-id bit was meant for the other owner.
	eq "$(cd "$WORK/small" && stat -c '%n %a %Y' dir dir/prog dir/link)" 'dir 750 1500000000
dir/prog 711 1500000000
dir/link 777 1500000000'
	eq "$(getfattr --only-values -n user.b "$WORK/small/dir/prog")" 2
	[[ $WORK/small/dir/prog -ef $WORK/small/dir/same ]] || fail "two names became two files"
}

# A name of an archive in an error orders no terminal about.
errors_are_clean() {
	/usr/bin/python3 - "$I/orders.tar" <<-'END'
		import sys, tarfile
		with tarfile.open(sys.argv[1], "w") as tar:
		    for _ in range(2):
		        tar.addfile(tarfile.TarInfo("a\033]0;title\007b"))
	END
	refused 1 'a\?]0;title\?b' ls --strict "$I/orders.tar"
	if grep -q $'[\033\007]' "$WORK/err"; then fail "the terminal got orders"; fi
}

# Every command tells of itself, and does nothing else.
help_everywhere() {
	local command
	for command in mount umount ps fsck doctor cache image ls cat stat find du which extract diff check waste; do
		"$PLYFS" "$command" --help >"$WORK/out" || fail "$command --help: exit status $?"
		grep -q '^usage: plyfs' "$WORK/out" || fail "$command --help says: $(head -n 3 "$WORK/out")"
	done
	refused 1 'unknown option: --frob' umount --frob "$WORK"
	refused 1 'unknown argument: --frob' ps --frob
}

# completes LINE WORD…: what bash offers for LINE, sorted. The words after a colon are all that readline replaces.
completes() {
	local line=$1 got
	shift
	got=$(
		# shellcheck source=completion/plyfs
		. "$HERE/../../completion/plyfs"
		COMP_LINE=$line COMP_POINT=${#line} COMP_WORDBREAKS=$' \t\n"\'><=;|&(:'
		_plyfs
		printf '%s\n' "${COMPREPLY[@]}" | sort | tr '\n' ' '
	)
	eq "${got% }" "$*" "what is offered for '$line'"
}

completion() {
	local commands
	# All commands that the help tells of.
	mapfile -t commands < <({ echo help
		"$PLYFS" help | sed -n '1,/^$/s/^.* plyfs \([a-z|]\+\)\( .*\)\?$/\1/p' | tr '|' '\n'; } | sort -u)
	contains "${commands[*]}" 'extract find fsck'
	completes "plyfs " "${commands[@]}"
	completes "plyfs wh" which
	completes "plyfs image hi" history
	completes "plyfs cache pr" prune
	completes "plyfs cache prune --a" --all
	completes "plyfs du --u" --upper --upto
	cd "$I"
	completes "plyfs ls oci:im" img img.tar
	completes "plyfs stat oc" oci-archive: oci:
	completes "plyfs fsck fou" four
	completes "$PLYFS cat oci:$I/img:t etc/" etc/conf etc/old
	completes "$PLYFS ls -l --layer 1 oci:$I/img:t /usr/bin/p" /usr/bin/ping /usr/bin/prog /usr/bin/prog.link
	completes "$PLYFS diff --layer 2 oci:$I/img:t usr/b" usr/bin
	completes "$PLYFS diff oci:$I/img:t oci:$I/img:t et" etc
	completes "plyfs diff oci:$I/img:t fou" four
	completes "plyfs cat docker://host/name e"
}

# No /dev/fuse, no capability, one id; every owner is told as it is.
ordinary_user() {
	chmod -R a+rX "$I/img"
	# In this namespace only.
	if [[ -e /dev/fuse ]]; then mount --bind /dev/null /dev/fuse; fi
	as_user env -u XDG_CACHE_HOME "$PLYFS" stat "oci:$I/img:t" bin/ping >"$WORK/got"
	"$PLYFS" stat "oci:$I/img:t" bin/ping >"$WORK/wanted"
	same_lines "$WORK/wanted" "$WORK/got"
	contains "$(as_user env -u XDG_CACHE_HOME "$PLYFS" stat --layer 1 "oci:$I/img:t" etc/conf)" '12:34'
}

make_image >"$WORK/make.log" 2>&1 || { cat "$WORK/make.log" >&2; exit 2; }
sources
run_test "an image has the names and attributes that umoci unpacks" same_as_unpacked
run_test "cat gives the bytes of files" contents
run_test "links lead to where they lead in a container" links_stay_inside
run_test "ls lists" listings
run_test "stat tells true owners, xattrs, capabilities and layers" true_attributes
run_test "find finds what find(1) finds" finds
run_test "du counts a hard link once" sums
run_test "which says which layer gives a path and which hides it" which_layer
run_test "which follows what leads to another place below" which_follows_what_leads_below
run_test "tars, directories and stacks are looked into alike" other_sources
run_test "an ordinary user needs no /dev/fuse" ordinary_user
run_test "extract copies what umoci unpacks" extracts
run_test "extract writes nowhere but into new names of DEST" extracts_into_dest_only
run_test "a user extracts files of his own" extracts_as_user
run_test "what lacks its owner has the rest" extracts_in_a_small_namespace
run_test "names in errors are clean" errors_are_clean
run_test "each command has its help" help_everywhere
run_test "bash completes commands, options, images and paths in them" completion
finish
