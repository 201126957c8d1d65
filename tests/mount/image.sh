#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# plyfs mount IMAGE: odd layers one by one, a real image against what umoci unpacks, the cache of indexes, parts of
# an image, a writable layer, and a user who has one id only and runs a container on it.
set -euo pipefail
# shellcheck source=tests/support/lib.sh
. "$(dirname "$0")/../support/lib.sh"
# shellcheck source=tests/support/rootfs.sh
. "$SUPPORT_DIR/rootfs.sh"

need_packages umoci crun fuse3 mmdebstrap python3 uidmap zstd
in_private_ns "$@"
fuse_ready
make_user

HERE=$(cd "$(dirname "$0")" && pwd)
I=$WORK/images
M=$WORK/mnt
export XDG_CACHE_HOME=$WORK/cache
INDEXES=$XDG_CACHE_HOME/plyfs/index-1
mkdir -p "$I" "$M"
after_failure() { umount -l "$M" 2>/dev/null || true; }

odd() { /usr/bin/python3 "$HERE/_odd_layers.py" "$@"; }
crane() { /usr/bin/python3 "$HERE/_crane.py" "$@"; }
same_tree() { /usr/bin/python3 "$HERE/_tree.py" "$@"; }
image() { "$PLYFS" mount "$@"; }

# refused PATTERN ARG…: one line on standard error that has it, and nothing is mounted.
refused() {
	local pattern=$1 rc=0
	shift
	image "$@" >"$WORK/out" 2>"$WORK/err" || rc=$?
	((rc == 1)) || fail "exit status $rc: $*"
	eq "$(wc -l <"$WORK/err")" 1 "lines on stderr ($(cat "$WORK/err"))"
	grep -Eq -- "$pattern" "$WORK/err" || fail "message lacks '$pattern': $(cat "$WORK/err")"
	no_mounts "$M" || fail "something stayed mounted"
}

# --- libraries that are missing -----------------------------------------------------------

# They are loaded when something needs them; one that cannot be is said to be that, and what package has it.
missing_libraries() {
	local empty=$WORK/empty
	mkdir -p "$empty"
	odd make plain "$I/libraries"
	touch "$empty"/libcrypto.so.{3,4}
	LD_LIBRARY_PATH=$empty refused "^plyfs: oci:.*: digests of images need libcrypto .*install it" "oci:$I/libraries:t" "$M"
	LD_LIBRARY_PATH=$empty refuses "$PLYFS" ls "oci:$I/libraries:t" / 2>"$WORK/err"
	contains "$(cat "$WORK/err")" "need libcrypto"
	rm "$empty"/*
	touch "$empty/libcurl.so.4"
	LD_LIBRARY_PATH=$empty refused "^plyfs: docker:.*: registries need libcurl .*install it" docker://127.0.0.1:1/name "$M"
	LD_LIBRARY_PATH=$empty image "oci:$I/libraries:t" "$M"
	contains "$(cat "/proc/$(daemon_pids "$M")/maps")" /libcrypto.so
	unmounted "$M"
}

# --- layers one by one ------------------------------------------------------------------

# The first mount makes the indexes, the second one finds them.
odd_case() {
	local name=$1 fault=$2
	odd make "$name" "$I/$name"
	for _ in first second; do
		image "oci:$I/$name:t" "$M"
		odd check "$name" "$M"
		unmounted "$M"
	done
	if [[ $fault == - ]]; then
		image --cache "$WORK/strict" --strict-image "oci:$I/$name:t" "$M"
		unmounted "$M"
	else
		refused "$fault" --cache "$WORK/strict" --strict-image "oci:$I/$name:t" "$M"
		# What was put up with once is not good enough now.
		refused "$fault" --strict-image "oci:$I/$name:t" "$M"
	fi
}

# umoci_has NAME: what it unpacks of NAME is what the mount shows.
umoci_has() {
	local name=$1
	umoci unpack --image "$I/$name:t" "$I/$name.umoci"
	image "oci:$I/$name:t" "$M"
	same_tree --no-root "$I/$name.umoci/rootfs" "$M"
	unmounted "$M"
}

# So it is where tar unpacks the layers of NAME one over the other.
as_unpacked() {
	local name=$1 layer
	umoci_has "$name"
	mkdir "$I/$name.tars" "$I/$name.tree"
	odd tars "$name" "$I/$name.tars"
	for layer in "$I/$name.tars"/*; do tar -C "$I/$name.tree" -xpf "$layer"; done
	image "oci:$I/$name:t" "$M"
	same_tree --no-root "$I/$name.tree" "$M"
	unmounted "$M"
}

# --- a real image -----------------------------------------------------------------------

# Layers as umoci packs them, with gzip: enough of Debian for a shell, then changes of every kind on top.
make_real() {
	cd "$I"
	mkdir root
	tar -C root --xattrs --numeric-owner --exclude='./usr/lib/x86_64-linux-gnu/perl*' -xf "$ARCHIVE" \
		./etc ./usr/bin ./usr/sbin ./usr/lib64 ./usr/lib/x86_64-linux-gnu ./bin ./sbin ./lib ./lib64 ./var/log ./tmp
	mkdir root/{proc,sys,dev} root/usr/share{,/doc{,/old}}
	tar -C root --xattrs --numeric-owner -cf root.tar .
	umoci init --layout real
	umoci new --image real:t
	umoci raw add-layer --image real:t root.tar
	umoci unpack --image real:t work
	cd work/rootfs
	chmod 711 etc
	chown 12:34 etc/hostname
	rm -r usr/share/doc
	rm etc/debian_version
	mkdir -p usr/share/doc/new
	echo new >usr/share/doc/new/file
	rm -r var/log
	ln -s ../tmp var/log
	ln etc/passwd etc/passwd.link
	setfattr -n user.test -v value etc/group
	mknod dev/thing c 5 1 || true
	truncate -s 1M var/sparse
	cd ../..
	umoci repack --image real:t work
	rm -r work root.tar
}

real_gzip() {
	umoci unpack --image "$I/real:t" "$I/unpacked"
	image "oci:$I/real:t" "$M"
	same_tree --no-root "$I/unpacked/rootfs" "$M"
	unmounted "$M"
}

# A layer's tar by itself, as it is and compressed: the whole tree at the first and a second mount.
bare_layer() {
	local file=$1
	image "$file" "$M"
	same_tree --no-root "$BARE" "$M"
	unmounted "$M"
	image "$file" "$M"
	same_tree --no-root "$BARE" "$M"
	unmounted "$M"
}

make_bare() {
	BARE=$I/root
	tar -C "$BARE" --xattrs --numeric-owner -cf "$I/bare.tar" .
	gzip -k "$I/bare.tar"
	split -b 1M --filter='zstd -q' "$I/bare.tar" >"$I/bare.tar.zst"
}

# One frame cannot be entered in the middle: it is written once more, in many.
one_frame() {
	local frames
	zstd -q -k "$I/bare.tar" -o "$I/one.tar.zst"
	bare_layer "$I/one.tar.zst"
	frames=$(ls "$INDEXES"/*.idx.zst)
	zstd -dc "$frames" | cmp - "$I/bare.tar"
	rm "$frames"
	bare_layer "$I/one.tar.zst"
	[[ -e $frames ]] || fail "the frames were not made again"
}

small_index() {
	local size
	image "$ARCHIVE" "$M"
	unmounted "$M"
	size=$(stat -c %s "$INDEXES"/file-*.idx | sort -n | tail -n 1)
	((size * 100 < $(stat -c %s "$ARCHIVE"))) || fail "the index has $size bytes"
}

# --- parts of an image, many layers -----------------------------------------------------

parts_of_an_image() {
	odd make whiteout "$I/parts"
	image --layer 2 "oci:$I/parts:t" "$M"
	eq "$(ls -A "$M")" a "names in layer 2 alone"
	unmounted "$M"
	image --upto 1 "oci:$I/parts:t" "$M"
	eq "$(cat "$M/b/z")" bz "a file deleted by layer 2"
	unmounted "$M"
	refused "has 2 layers, there is no layer 3" --layer 3 "oci:$I/parts:t" "$M"
	refused "cannot both" --layer 1 --upto 1 "oci:$I/parts:t" "$M"
	refused "counted from 1" --layer 0 "oci:$I/parts:t" "$M"
	refused "counted from 1" --upto 0 "oci:$I/parts:t" "$M"
}

many_layers() {
	odd many 130 "$I/many"
	image "oci:$I/many:t" "$M"
	# f129 is not deleted any more.
	eq "$(ls "$M" | wc -l)" 67 "names"
	for i in 0 64 128; do eq "$(cat "$M/f$i")" "$i"; done
	eq "$(cat "$M/all")" 129
	eq "$(stat -c %h "$M/f0")" 1
	unmounted "$M"
}

# --- the cache --------------------------------------------------------------------------

plain() {
	[[ -d $I/cached ]] || odd make whiteout "$I/cached"
	echo "oci:$I/cached:t"
}

fresh_cache() {
	rm -rf "$WORK/c"
	mkdir -p "$WORK/c"
}

cache_from_elsewhere() {
	local before
	fresh_cache
	image --cache "$WORK/c/site" "$(plain)" "$M"
	unmounted "$M"
	chown -R "$TEST_USER" "$WORK/c/site"
	chmod -R a-w,a+rX "$WORK/c/site"
	before=$(fingerprint "$WORK/c/site")
	PLYFS_CACHE_PATH=/nowhere:$WORK/c/site image --cache "$WORK/c/own" "$(plain)" "$M"
	odd check whiteout "$M"
	unmounted "$M"
	[[ ! -e $WORK/c/own ]] || fail "indexes were made that are there already"
	eq "$(fingerprint "$WORK/c/site")" "$before"
}

damaged_indexes() {
	local file
	fresh_cache
	image --cache "$WORK/c" "$(plain)" "$M"
	unmounted "$M"
	for file in "$WORK/c/index-1"/*.idx; do
		printf X | dd of="$file" bs=1 seek=5000 conv=notrunc status=none
	done
	image --cache "$WORK/c" "$(plain)" "$M" 2>"$WORK/err"
	odd check whiteout "$M"
	unmounted "$M"
	contains "$(cat "$WORK/err")" "made anew"
	image --cache "$WORK/c" "$(plain)" "$M" 2>"$WORK/err"
	unmounted "$M"
	eq "$(cat "$WORK/err")" "" "complaints about the new one"
}

# One of another layer under the right name is no index of this one.
swapped_indexes() {
	local files
	fresh_cache
	image --cache "$WORK/c" "$(plain)" "$M"
	unmounted "$M"
	mapfile -t files < <(ls "$WORK"/c/index-1/sha256-*.idx)
	mv "${files[0]}" "$WORK/c/x"
	mv "${files[1]}" "${files[0]}"
	mv "$WORK/c/x" "${files[1]}"
	image --cache "$WORK/c" "$(plain)" "$M" 2>"$WORK/err"
	odd check whiteout "$M"
	unmounted "$M"
}

no_cache_at_all() {
	fresh_cache
	: >"$WORK/c/file"
	image --cache "$WORK/c/file" "oci:$I/link-to-lower:t" "$M" 2>"$WORK/err"
	contains "$(cat "$WORK/err")" "cannot be kept"
	odd check link-to-lower "$M"
	unmounted "$M"
}

two_at_once() {
	local pids=() n
	fresh_cache
	for n in 1 2 3 4; do
		mkdir -p "$WORK/m$n"
		image --cache "$WORK/c" "$(plain)" "$WORK/m$n" &
		pids+=($!)
	done
	for n in "${pids[@]}"; do wait "$n"; done
	for n in 1 2 3 4; do
		odd check whiteout "$WORK/m$n"
		unmounted "$WORK/m$n"
	done
	eq "$(find "$WORK/c/index-1" -name 'draft-*')" "" "drafts left"
}

dead_drafts() {
	fresh_cache
	mkdir -p "$WORK/c/index-1"
	echo half >"$WORK/c/index-1/draft-1-dead"
	echo half >"$WORK/c/index-1/draft-2-alive"
	exec 7<"$WORK/c/index-1/draft-2-alive"
	flock 7
	image --cache "$WORK/c" "$(plain)" "$M"
	unmounted "$M"
	[[ ! -e $WORK/c/index-1/draft-1-dead ]] || fail "a dead draft is still there"
	[[ -e $WORK/c/index-1/draft-2-alive ]] || fail "a live draft was removed"
}

altered_layer() {
	local blob
	odd make whiteout "$I/altered"
	blob=$(ls -S "$I/altered/blobs/sha256"/* | head -1)
	printf X | dd of="$blob" bs=1 seek=1540 conv=notrunc status=none
	refused "its digest is sha256:.* and the image says" --cache "$WORK/none" "oci:$I/altered:t" "$M"
	eq "$(find "$WORK/none" -name 'draft-*')" "" "drafts left"
}

# --- archives with compressed layers ------------------------------------------------------

# shows FILE KINDS [ID]: FILE is mounted, by its name and its ID too, and looked into. KINDS: of the names of the indexes,
# all of which the first mount has made.
shows() {
	local file=$1 kinds=$2 id=${3:-} before ref
	fresh_cache
	image --cache "$WORK/c" "$file" "$M"
	odd check parent-is-a-link-below "$M"
	unmounted "$M"
	eq "$(ls "$WORK/c/index-1" | sed 's/-.*//' | sort | uniq -c | xargs)" "$kinds" "indexes of $file"
	before=$(cd "$WORK/c/index-1" && stat -c '%n %i' -- *)
	for ref in "$file" "docker-archive:$file:h.org/x:1" ${id:+"docker-archive:$file:@$id"}; do
		image --cache "$WORK/c" "$ref" "$M"
		odd check parent-is-a-link-below "$M"
		unmounted "$M"
		eq "$(cd "$WORK/c/index-1" && stat -c '%n %i' -- *)" "$before" "indexes after $ref"
	done
	eq "$("$PLYFS" cat "$file" usr/lib/new)" new
	eq "$("$PLYFS" ls "$file" usr/lib)" $'more\nnew'
	contains "$("$PLYFS" check --strict "$file")" ": in order"
}

make_crane() {
	odd make parent-is-a-link-below "$I/crane"
	crane crane "$I/crane" "$I/crane.tar" >"$WORK/id"
	crane nameless "$I/crane" "$I/nameless.tar"
	crane crane "$I/crane" "$I/large.tar" 40000000
	crane nameless "$I/crane" "$I/nameless-large.tar" 40000000
	gzip -k "$I"/{crane,nameless}.tar
	zstd -q "$I"/{crane,large,nameless,nameless-large}.tar
}

crane_archives() {
	local id file
	id=$(cat "$WORK/id")
	for file in crane.tar{,.gz,.zst} large.tar.zst; do shows "$I/$file" "1 chain 2 sha256" "$id"; done
	refused "has no image with the digest" "docker-archive:$I/crane.tar:@sha256:$(printf '0%.0s' {1..64})" "$M"
}

# Then the place is a layer's name; where that is none, nor one that lasts, the digest is computed.
nameless_archives() {
	local file
	shows "$I/nameless.tar" "1 chain 2 file"
	for file in nameless.tar.{gz,zst} nameless-large.tar.zst; do shows "$I/$file" "1 chain 2 sha256"; done
}

crane_lies() {
	crane config "$I/crane" "$I/lie.tar"
	refused "the bytes of sha256:.* have the digest sha256:" "$I/lie.tar" "$M"
	crane layer "$I/crane" "$I/lie.tar"
	refused "layer 2: its digest is sha256:.* and the image says" "$I/lie.tar" "$M"
	contains "$("$PLYFS" check "$I/lie.tar")" "layer 2: its digest is sha256:"
}

# --- a writable layer, users --------------------------------------------------------------

writable() {
	mkdir -p "$WORK/upper"
	image --upper "$WORK/upper" "$(plain)" "$M"
	echo changed >>"$M/top"
	rm "$M/a/y"
	unmounted "$M"
	image --upper "$WORK/upper" "$(plain)" "$M"
	eq "$(cat "$M/top")" topchanged
	eq "$(ls "$M/a")" "" "names in a"
	unmounted "$M"
	refused "made over other layers" --upper "$WORK/upper" "oci:$I/names:t" "$M"
}

# A link into a lower layer is one file for the writable layer too.
writable_links() {
	mkdir -p "$WORK/upper-links"
	image --upper "$WORK/upper-links" "oci:$I/link-to-lower:t" "$M"
	echo more >>"$M/again"
	eq "$(cat "$M/a/x")" axmore
	eq "$(cat "$M/b/third")" axmore
	eq "$(stat -c %h "$M/a/x")" 3
	unmounted "$M"
}

temporary() {
	mkdir -p "$WORK/tmp"
	TMPDIR=$WORK/tmp image --tmp-upper "$(plain)" "$M"
	echo new >"$M/new"
	eq "$(ls "$WORK/tmp" | wc -l)" 1
	unmounted "$M"
	eq "$(ls "$WORK/tmp")" "" "what is left of the upper"
}

read_only() {
	image "$(plain)" "$M"
	! touch "$M/new" 2>"$WORK/err" || fail "it can be written"
	contains "$(cat "$WORK/err")" "Read-only"
	unmounted "$M"
}

listed() {
	image "$(plain)" "$M"
	"$PLYFS" ps | grep -Eq "^$M +root +ro +$(plain)\$" || fail "not listed: $("$PLYFS" ps)"
	kill -KILL "$(daemon_pids "$M")"
	wait_until 10 dead_is_listed || fail "plyfs ps does not know that it is dead: $("$PLYFS" ps)"
	"$PLYFS" ps --reap
	no_mounts "$M" || fail "it is still there"
}

# A mount that does not answer is not waited for, whether its daemon has taken the question (and asks the layer below) or
# not; nor is it by who reads the list.
stuck_are_listed() {
	local pid
	mkdir -p "$WORK/below" "$WORK/above"
	image "$(plain)" "$WORK/below"
	"$PLYFS" -o "lowerdir=$WORK/below" "$WORK/above"
	pid=$(daemon_pids "$WORK/below" | head -n 1)
	kill -STOP "$pid"
	# shellcheck disable=SC2016
	timeout 60 bash -c '"$1" ps | cat >"$2"' - "$PLYFS" "$WORK/ps" || fail "it is waited for"
	kill -CONT "$pid"
	eq "$(grep -c "^$WORK/\(below\|above\) \+root \+stuck " "$WORK/ps")" 2 "stuck: $(cat "$WORK/ps")"
	wait_until 20 answers "$WORK/above" || fail "it answers again: $("$PLYFS" ps)"
	unmounted "$WORK/above"
	unmounted "$WORK/below"
}

answers() { "$PLYFS" ps | grep -Eq "^$1 +root +ro +"; }

dead_is_listed() { "$PLYFS" ps | grep -q "$M .*dead"; }

# The user's own files, whatever the image says.
user_mounts() {
	chmod -R a+rX "$I"
	as_user mkdir -p "$USER_HOME/m"
	as_user env -u XDG_CACHE_HOME "$PLYFS" mount "oci:$I/real:t" "$USER_HOME/m"
	eq "$(as_user stat -c %U "$USER_HOME/m/etc/passwd")" "$TEST_USER"
	as_user test -r "$USER_HOME/m/etc/shadow"
	as_user "$PLYFS" umount "$USER_HOME/m"
	as_user env -u XDG_CACHE_HOME "$PLYFS" mount -o owner=real "oci:$I/real:t" "$USER_HOME/m"
	eq "$(as_user stat -c %u "$USER_HOME/m/etc/passwd")" 0
	as_user "$PLYFS" umount "$USER_HOME/m"
	as_user env -u XDG_CACHE_HOME "$PLYFS" mount -o owner=map "oci:$I/real:t" "$USER_HOME/m"
	eq "$(as_user stat -c %u "$USER_HOME/m/etc/passwd")" "$(id -u "$TEST_USER")"
	eq "$(as_user stat -c %u "$USER_HOME/m/etc/hostname")" \
		"$(($(awk -F: -v u="$TEST_USER" '$1 == u {print $2; exit}' /etc/subuid) + 11))"
	as_user "$PLYFS" umount "$USER_HOME/m"
}

# One id, no subordinate ones, no privileges: root in the container is the user.
user_container() {
	local out
	as_user mkdir -p "$USER_HOME/up" "$USER_HOME/bundle"
	out=$(as_user env -u XDG_CACHE_HOME PLYFS="$PLYFS" REAL="$I/real" BUNDLE="$HERE/../clients/_bundle.py" bash -ec '
		"$PLYFS" mount --upper up "oci:$REAL:t" m
		cd bundle
		crun spec --rootless
		/usr/bin/python3 "$BUNDLE" . "$HOME/m" /bin/sh -ec "id -u; echo from-inside >/etc/inside; rm /etc/issue; cat /etc/inside"
		crun --root "$XDG_RUNTIME_DIR/crun" --cgroup-manager=disabled run plyfs-image
		cat "$HOME/m/etc/inside"
		test ! -e "$HOME/m/etc/issue"
		cd
		"$PLYFS" umount m')
	eq "$out" $'0\nfrom-inside\nfrom-inside'
}

ARCHIVE=$(cached_archive base)
while read -r name fault; do
	run_test "odd layers: $name" odd_case "$name" "$fault"
done < <(odd list)
run_test "libraries that are missing" missing_libraries
run_test "one place by two ways, as umoci and tar have it" as_unpacked one-place-by-two-ways
run_test "links in the way, as umoci and tar have it" as_unpacked link-of-its-own-in-the-way
run_test "targets behind links, as umoci and tar have it" as_unpacked link-behind-a-link-below
run_test "what is deleted and made anew, as umoci has it" umoci_has deleted-and-needed-anew
run_test "making a real image" make_real
run_test "a real image is what umoci unpacks" real_gzip
make_bare
run_test "a layer's tar" bare_layer "$I/bare.tar"
run_test "a layer's tar, gzip" bare_layer "$I/bare.tar.gz"
run_test "a layer's tar, zstd in frames" bare_layer "$I/bare.tar.zst"
run_test "a layer's tar, zstd in one frame" one_frame
run_test "an index is less than a hundredth" small_index
run_test "single layers, and those up to one" parts_of_an_image
run_test "130 layers" many_layers
run_test "indexes of somebody else" cache_from_elsewhere
run_test "damaged indexes" damaged_indexes
run_test "indexes of other layers" swapped_indexes
run_test "nowhere to keep indexes" no_cache_at_all
run_test "several first mounts at once" two_at_once
run_test "drafts of the dead" dead_drafts
run_test "a layer that is not what its digest says" altered_layer
make_crane >/dev/null
run_test "archives of crane, ko and kaniko" crane_archives
run_test "compressed layers whose digests nobody says" nameless_archives
run_test "names of archives that lie" crane_lies
run_test "a writable layer" writable
run_test "a writable layer over links into lower layers" writable_links
run_test "a temporary writable layer" temporary
run_test "read-only without one" read_only
run_test "plyfs ps" listed
run_test "plyfs ps beside a stopped daemon" stuck_are_listed
run_test "owners for a user with one id" user_mounts
run_test "a container of a user with one id" user_container
finish
