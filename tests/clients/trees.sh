#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# plyfs mount IMAGE against umoci and podman: images of 3, 40 and 130 layers, built by buildah on a root of mmdebstrap's,
# uncompressed, gzip, zstd and zstd:chunked, for several platforms, in podman's storage and in a registry. Every entry of the
# tree that is mounted is what umoci unpacks and what podman shows.
set -euo pipefail
# shellcheck source=tests/support/lib.sh
. "$(dirname "$0")/../support/lib.sh"
# shellcheck source=tests/support/rootfs.sh
. "$SUPPORT_DIR/rootfs.sh"
# shellcheck source=tests/support/containers.sh
. "$SUPPORT_DIR/containers.sh"
# shellcheck source=tests/support/registry.sh
. "$SUPPORT_DIR/registry.sh"

need_packages podman buildah skopeo umoci crun fuse3 mmdebstrap python3 uidmap attr libcap2-bin docker-registry
in_private_ns "$@"
fuse_ready
make_user

HERE=$(cd "$(dirname "$0")" && pwd)
M=$WORK/mnt
LISTS=$WORK/lists
export XDG_CACHE_HOME=$WORK/cache
mkdir -p "$M" "$LISTS"
after_failure() { umount -l "$M" 2>/dev/null || true; }

sk() { skopeo --insecure-policy "$@"; }
same() { /usr/bin/python3 "$HERE/_images.py" same "$1" "${2:-$1}" ${3:+"$3"}; }
steps() { /usr/bin/python3 "$HERE/_steps.py" "$@"; }
list() { /usr/bin/python3 "$HERE/../mount/_tree.py" "$@"; }

# --- images -------------------------------------------------------------------------------

# native_store DIR: what podman and its like use from here on is a store in DIR, mounted by the kernel's overlayfs.
native_store() {
	mkdir -p "$1"
	containers_conf >"$1/containers.conf"
	storage_conf "$1/graph" "$1/run" | grep -v mount_program >"$1/storage.conf"
	export CONTAINERS_CONF=$1/containers.conf CONTAINERS_STORAGE_CONF=$1/storage.conf
}

# As little of Debian as a shell and the tools of the steps need, a capability, and attributes.
make_base() {
	local root=$1 context=$2 libraries
	mkdir -p "$context/more/srv"
	cp "$root/usr/bin/touch" "$context/more/srv/capable"
	setcap cap_net_raw=ep "$context/more/srv/capable"
	setfattr -n user.name -v value "$context/more/srv"
	mapfile -t libraries < <(cd "$root" && ls -d ./usr/lib/*-linux-gnu*/{ld-linux*,libc.so*,libselinux*,libpcre2*,libacl*,libattr*,libtinfo*})
	tar --xattrs --xattrs-include='*' --numeric-owner -cf "$context/base.tar" -C "$root" --no-recursion ./proc ./sys ./dev \
		--recursion ./etc ./var/log ./tmp ./bin ./sbin ./lib ./lib64 ./usr/lib64 ./usr/share/zoneinfo/Europe "${libraries[@]}" \
		./usr/bin/{bash,cat,chmod,chown,cp,dash,id,ln,ls,mkdir,mkfifo,mv,rm,sh,stat,touch,truncate} -C "$context/more" ./srv
}

# build_layouts OUT ROOT: OUT/{gzip,zstd,chunked} hold n3 and n40, and all but the last n130; OUT/many is for two platforms, and
# OUT/plain130 uncompressed. Stores of buildah's and podman's have no more than 128 layers: umoci adds what is above 40.
build_layouts() {
	local out=$1 context=$1/context n
	native_store "$out/store"
	make_base "$2" "$context"
	steps build "$context" 3 40
	cd "$context"
	for n in 3 40; do
		buildah build --layers --isolation=chroot --network=host --tag "n$n" -f "Containerfile.$n" .
		sk copy "containers-storage:localhost/n$n" "oci:$out/gzip:n$n"
	done
	printf 'FROM scratch\nCOPY Containerfile.3 /arm\n' >Containerfile.arm
	buildah build --arch arm64 --variant v8 --tag arm -f Containerfile.arm .
	buildah manifest create many
	buildah manifest add many localhost/n3
	buildah manifest add --arch arm64 --variant v8 many localhost/arm
	cd "$out"
	buildah manifest push --all many oci:many:many
	buildah rmi --all --force >/dev/null
	rm -rf store context
	steps tars "$out/tars" 41 130
	umoci tag --image gzip:n40 n120
	for n in {41..120}; do umoci raw add-layer --image gzip:n120 "tars/$n.tar"; done
	umoci tag --image gzip:n120 n130
	for n in {121..130}; do umoci raw add-layer --image gzip:n130 "tars/$n.tar"; done
	rm -rf tars
	umoci gc --layout gzip
	for n in 3 40 130; do sk copy --dest-compress-format zstd "oci:gzip:n$n" "oci:zstd:n$n"; done
	for n in 3 40; do sk copy --dest-compress-format zstd:chunked --dest-compress-level 1 "oci:gzip:n$n" "oci:chunked:n$n"; done
	sk copy --dest-decompress oci:gzip:n130 dir:plain130
	chmod -R a+rX "$out"
}

# Made once, as the root tree is.
layouts() {
	local root
	root=$(cached_root base)
	build_once "$TEST_CACHE/layers" "layouts $({ cat "$HERE/_steps.py" && declare -f make_base build_layouts; } | sha256sum)" build_layouts "$root"
}

# --- trees --------------------------------------------------------------------------------

# Link counts are left out here: a file of which a later layer deletes a name has the count of its own layer, as on overlayfs;
# umoci deletes it.
unpacked() {
	local n
	for n in 3 40 130; do
		umoci unpack --image "$I/gzip:n$n" "$WORK/unpacked"
		list --no-root --no-links "$WORK/unpacked/rootfs" >"$LISTS/n$n"
		rm -rf "$WORK/unpacked"
	done
	(($(wc -l <"$LISTS/n3") > 300)) || fail "there is not much in the images"
	for n in 'security.capability' 'user.step' 'bad\\xff' "type='0o20000'" "type='0o10000'" 'mode=.0o1777'; do
		grep -q -- "$n" "$LISTS/n40" || fail "the images lack $n"
	done
}

# shows REF N: the mounted image is what umoci unpacks of the one with N layers, at the first and a later mount; its documents
# are those that skopeo sees.
shows() {
	local ref=$1
	same "$ref"
	for _ in first second; do
		"$PLYFS" mount "$ref" "$M"
		list --no-root --no-links "$M" >"$LISTS/got"
		unmounted "$M"
		same_lines "$LISTS/n$2" "$LISTS/got"
	done
}

gzip_layers() {
	local n
	for n in 3 40 130; do shows "oci:$I/gzip:n$n" "$n"; done
}

zstd_layers() {
	local n
	for n in 3 40 130; do shows "oci:$I/zstd:n$n" "$n"; done
	eq "$("$PLYFS" image layers --json "oci:$I/zstd:n130" | grep -c '"compression": "zstd"')" 130
}

chunked_layers() {
	local n layer
	for n in 3 40; do shows "oci:$I/chunked:n$n" "$n"; done
	# They are what they are called: a frame that is skipped, with the table of contents, is at the end.
	layer=$(sk inspect --raw "oci:$I/chunked:n3" | sed 's/.*"layers":\[//' | grep -o '"digest":"sha256:[0-9a-f]*"' | head -n 1 | grep -o '[0-9a-f]\{64\}')
	grep -q 'zstd-chunked' "$I/chunked/index.json" "$I/chunked/blobs/sha256"/* || fail "no layer is zstd:chunked"
	tail -c 64 "$I/chunked/blobs/sha256/$layer" | grep -aq GnUlInUx || fail "layer $layer has no footer"
}

plain_layers() {
	sk copy --dest-decompress "oci:$I/gzip:n3" "dir:$WORK/plain3"
	shows "dir:$WORK/plain3" 3
	shows "dir:$I/plain130" 130
	eq "$("$PLYFS" image layers --json "dir:$I/plain130" | grep -c '"compression": "none"')" 130
}

archives() {
	sk copy "oci:$I/gzip:n40" "docker-archive:$WORK/n40.docker.tar"
	shows "docker-archive:$WORK/n40.docker.tar" 40
	eq "$("$PLYFS" image layers --json "docker-archive:$WORK/n40.docker.tar" | grep -c '"compression": "none"')" 40
	sk copy "oci:$I/zstd:n3" "oci-archive:$WORK/n3.oci.tar"
	shows "oci-archive:$WORK/n3.oci.tar" 3
}

platforms() {
	"$PLYFS" mount --platform linux/amd64 "oci:$I/many" "$M"
	list --no-root --no-links "$M" >"$LISTS/got"
	unmounted "$M"
	same_lines "$LISTS/n3" "$LISTS/got"
	"$PLYFS" mount --platform linux/arm64 "oci:$I/many" "$M"
	eq "$(ls "$M")" arm "names"
	unmounted "$M"
	same "oci:$I/many" "oci:$I/many" linux/arm64/v8
}

# --- podman -------------------------------------------------------------------------------

# listed REF FILE OPTION…: what plyfs shows of it, link counts and all.
listed() {
	local ref=$1 file=$2
	shift 2
	"$PLYFS" mount "$ref" "$M"
	list "$@" "$M" >"$LISTS/$file"
	unmounted "$M"
}

# Unpacked by podman and mounted by the kernel. The root has a mode of podman's own where no layer says one.
podman_shows() {
	local n dir
	native_store "$WORK/native"
	for n in 3 40 120; do
		sk copy "oci:$I/gzip:n$n" "containers-storage:localhost/n$n"
		dir=$(podman --tmpdir "$WORK/native/tmp" image mount "localhost/n$n")
		list "$dir" >"$LISTS/podman$n"
		list --no-root "$dir" >"$LISTS/podman$n.below"
		podman --tmpdir "$WORK/native/tmp" image unmount "localhost/n$n"
	done
	for n in 3 40; do
		listed "oci:$I/gzip:n$n" got --no-root
		same_lines "$LISTS/podman$n.below" "$LISTS/got"
	done
	"$PLYFS" mount --upto 120 "oci:$I/zstd:n130" "$M"
	list --no-root "$M" >"$LISTS/got"
	unmounted "$M"
	same_lines "$LISTS/podman120.below" "$LISTS/got"
}

# That store's directories as they lie there, root and link counts included.
podman_storage() {
	local n
	native_store "$WORK/native"
	for n in 3 40 120; do
		listed "containers-storage:localhost/n$n" got
		same_lines "$LISTS/podman$n" "$LISTS/got"
	done
	same containers-storage:localhost/n40
}

# A store that was made with a mount program has whiteouts of another kind.
program_storage() {
	setup_containers_root
	sk copy "oci:$I/gzip:n40" containers-storage:localhost/n40
	listed "containers-storage:localhost/n40" got --no-root
	same_lines "$LISTS/podman40.below" "$LISTS/got"
}

# A user's own store: inside the user namespace in which podman works, all is as podman shows it.
user_storage() {
	local conf=$USER_HOME/.config/containers
	as_user mkdir -p "$USER_HOME/store" "$USER_HOME/m" "$conf"
	containers_conf >"$conf/containers.conf"
	storage_conf "$USER_HOME/store/graph" "$USER_RUN/store" | grep -v mount_program >"$conf/storage.conf"
	as_user skopeo --insecure-policy copy "oci:$I/gzip:n40" containers-storage:localhost/n40
	as_user env PLYFS="$PLYFS" TREE="$HERE/../mount/_tree.py" podman unshare bash -ec '
		dir=$(podman image mount localhost/n40)
		/usr/bin/python3 "$TREE" "$dir" >podman
		podman image unmount localhost/n40
		"$PLYFS" mount containers-storage:localhost/n40 m
		/usr/bin/python3 "$TREE" m >plyfs
		"$PLYFS" umount m'
	same_lines "$USER_HOME/podman" "$USER_HOME/plyfs"
	grep -q "user.step" "$USER_HOME/plyfs" || fail "there are no attributes"
	# Outside of it, what the user may read.
	as_user env -u XDG_CACHE_HOME "$PLYFS" mount containers-storage:localhost/n40 m
	eq "$(as_user cat m/etc/passwd | sha256sum)" "$(sha256sum <"$(cached_root base)/etc/passwd")"
	as_user "$PLYFS" umount m
}

# --- a registry ---------------------------------------------------------------------------

from_registry() {
	sk copy --dest-tls-verify=false "oci:$I/zstd:n3" "$REGISTRY/n3"
	shows "$REGISTRY/n3" 3
}

# A container that an ordinary user runs on it, with a layer to write to.
registry_container() {
	local out
	as_user mkdir -p "$USER_HOME/m" "$USER_HOME/up" "$USER_HOME/bundle"
	out=$(as_user env -u XDG_CACHE_HOME PLYFS="$PLYFS" REF="$REGISTRY/n3" BUNDLE="$HERE/_bundle.py" bash -ec '
		"$PLYFS" mount --upper up "$REF" m
		cd bundle
		crun spec --rootless
		/usr/bin/python3 "$BUNDLE" . "$HOME/m" /bin/sh -ec "id -u; echo inside >/etc/inside; rm /srv/linked; cat /srv/move/f"
		crun --root "$XDG_RUNTIME_DIR/crun" --cgroup-manager=disabled run plyfs-registry
		cat "$HOME/m/etc/inside"
		test ! -e "$HOME/m/srv/linked"
		cd
		"$PLYFS" umount m')
	eq "$out" $'0\n2\ninside'
}

I=$TEST_CACHE/layers
start_registry plain 'http: {addr: "127.0.0.1:%s"}'
REGISTRY=docker://127.0.0.1:$PORT
PLYFS_TEST_LIMIT=600 run_test "images" layouts
run_test "what umoci unpacks" unpacked
run_test "gzip" gzip_layers
run_test "zstd" zstd_layers
run_test "zstd:chunked" chunked_layers
run_test "uncompressed" plain_layers
run_test "archives" archives
run_test "platforms" platforms
run_test "what podman shows" podman_shows
run_test "podman's storage" podman_storage
run_test "podman's storage, made with a mount program" program_storage
run_test "a user's storage" user_storage
run_test "a registry" from_registry
run_test "a registry: a container of a user's" registry_container
finish
