#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# plyfs image, against skopeo: real images in every form that skopeo, podman, buildah and Docker's
# daemons write. The same ids, digests, DiffIDs, configuration and choice of platform are seen.
set -euo pipefail
# shellcheck source=tests/support/lib.sh
. "$(dirname "$0")/../support/lib.sh"
# shellcheck source=tests/support/containers.sh
. "$SUPPORT_DIR/containers.sh"

need_packages podman buildah skopeo fuse3 zstd
in_private_ns "$@"

I=$WORK/images
DIR=$(cd "$(dirname "$0")" && pwd)

sk() { skopeo --insecure-policy "$@"; }
images() { /usr/bin/python3 "$DIR/_images.py" "$@"; }
ply() { "$PLYFS" image "$@"; }
# same REF [SKOPEO-REF [PLATFORM]]
same() { images same "$1" "${2:-$1}" ${3:+"$3"}; }

# --- images -------------------------------------------------------------------------------

make_images() {
	local name
	mkdir -p "$I/files"
	name=$(bud from scratch)
	echo one >"$I/files/one"
	bud copy "$name" "$I/files/one" /one
	bud config --env A=b --env 'C=d e' --cmd "/one with words" --entrypoint '["/bin/sh", "-c"]' --user 5:6 \
		--label 'l=v w' --workingdir /w --port 80/tcp --volume /v --author somebody "$name"
	bud commit --rm "$name" base
	name=$(bud from base)
	echo two >"$I/files/two"
	bud copy "$name" "$I/files/two" /two
	bud commit --rm "$name" two
	name=$(bud from --arch arm64 scratch)
	bud config --arch arm64 --variant v8 "$name"
	bud copy "$name" "$I/files/two" /arm
	bud commit --rm "$name" arm
	bud manifest create many
	bud manifest add many localhost/base
	bud manifest add --arch arm64 --variant v8 many localhost/arm
}

copy_images() {
	cd "$I"
	sk copy containers-storage:localhost/two oci:gzip:two
	sk copy containers-storage:localhost/base oci:gzip:base
	sk copy --dest-compress-format zstd oci:gzip:two oci:zstd:two
	sk copy containers-storage:localhost/two oci-archive:two.oci.tar:two
	sk copy containers-storage:localhost/two docker-archive:two.docker.tar:two:latest
	sk copy containers-storage:localhost/two dir:plain
	sk copy --dest-compress containers-storage:localhost/two dir:compressed
	sk copy --format v2s2 containers-storage:localhost/two dir:docker
	bud manifest push --all many oci:many:many
	pod save -m -o pod.docker.tar localhost/two localhost/base
	pod save --format oci-archive -o pod.oci.tar localhost/two
	images old old.tar gzip two base
	images docker25 docker25.tar gzip two
	images containerd containerd.tar gzip two
	gzip -k two.docker.tar two.oci.tar
	zstd -q -k two.docker.tar two.oci.tar
}

# --- checks -------------------------------------------------------------------------------

layouts() {
	same "oci:$I/gzip:two"
	same "oci:$I/gzip:base"
	same "oci:$I/zstd:two"
	same "$I/zstd" "oci:$I/zstd"
	same "$I/gzip:base" "oci:$I/gzip:base"
	eq "$(ply layers --json "oci:$I/gzip:two" | grep -c '"compression": "gzip"')" 2
	eq "$(ply layers --json "oci:$I/zstd:two" | grep -c '"compression": "zstd"')" 2
}

archives() {
	same "oci-archive:$I/two.oci.tar"
	same "oci-archive:$I/two.oci.tar:two"
	same "$I/pod.oci.tar" "oci-archive:$I/pod.oci.tar"
	same "docker-archive:$I/two.docker.tar"
	same "docker-archive:$I/two.docker.tar:two"
	same "docker-archive:$I/two.docker.tar:docker.io/library/two:latest"
	same "docker-archive:$I/pod.docker.tar:localhost/two:latest"
	same "docker-archive:$I/pod.docker.tar:localhost/base:latest"
	same "docker-archive:$I/pod.docker.tar:@1"
}

generations() {
	same "docker-archive:$I/old.tar:two" "docker-archive:$I/old.tar:two:latest"
	same "docker-archive:$I/old.tar:base" "docker-archive:$I/old.tar:base:latest"
	same "docker-archive:$I/docker25.tar"
	same "docker-archive:$I/containerd.tar"
	eq "$(ply layers --json "$I/containerd.tar" | grep -c '"compression": "gzip"')" 2
	eq "$(ply layers --json "$I/docker25.tar" | grep -c '"compression": "none"')" 2
	# Taken as a layout, the archive of one platform of three has that one.
	same "oci-archive:$I/containerd.tar" "oci:$I/gzip:two"
	same "oci-archive:$I/containerd.tar:two" "oci:$I/gzip:two"
	contains "$(ply inspect --platform linux/s390x "oci-archive:$I/containerd.tar" 2>&1)" \
		"has no image for linux/s390x; it has: linux/s390x (not there), linux/amd64" "the error"
}

# What check says of them is what a mount makes of them.
checked() {
	local name
	for name in old.tar:two old.tar:base docker25.tar containerd.tar containerd.tar:two pod.docker.tar:@1; do
		contains "$("$PLYFS" check --strict "docker-archive:$I/$name")" ": in order" "the check of $name"
	done
	# Other platforms are listed beside the one that is here.
	contains "$("$PLYFS" check "$I/containerd.tar")" ": 1 image (1 more is not here), 2 layers, " "the check"
	contains "$("$PLYFS" check --platform linux/s390x "docker-archive:$I/containerd.tar" 2>&1)" \
		"has no image for linux/s390x; it has: linux/s390x (not there), linux/amd64" "the error"
	contains "$("$PLYFS" check "docker-archive:$I/old.tar:nobody" 2>&1)" "no image named nobody" "the error"
}

compressed_archives() {
	local ending
	for ending in gz zst; do
		same "docker-archive:$I/two.docker.tar.$ending" "docker-archive:$I/two.docker.tar"
		same "$I/two.oci.tar.$ending" "oci-archive:$I/two.oci.tar"
	done
}

directories() {
	local name
	for name in plain compressed docker; do
		same "dir:$I/$name"
		same "$I/$name" "dir:$I/$name"
	done
}

storage() {
	local id
	same containers-storage:localhost/two
	same containers-storage:two containers-storage:localhost/two
	same "containers-storage:[overlay@$STORE/graph]localhost/base" containers-storage:localhost/base
	id=$(pod inspect --format '{{.Id}}' localhost/two)
	same "containers-storage:$id" containers-storage:localhost/two
	same "containers-storage:${id:0:12}" containers-storage:localhost/two
	eq "$(ply ls --json containers-storage: | grep -c '"localhost/.*:latest"')" 4 "images"
	contains "$(ply inspect containers-storage:many 2>&1)" "is a list of images" "the error"
	contains "$(ply inspect containers-storage:nobody 2>&1)" "no such image" "the error"
}

# The store's directories are those that podman mounts.
storage_directories() {
	local dir
	dir=$(ply layers --json containers-storage:two | sed -n 's/.*"directory": "\(.*\)".*/\1/p' | tail -n 1)
	eq "$(cat "$dir/two")" two
	# A store of another's, read only.
	cp -a "$STORE/graph" "$I/graph"
	cat >"$I/storage.conf" <<-END
		[storage]
		driver = "overlay"
		graphroot = "$I/nothing" # not there yet
		[storage.options]
		additionalimagestores = [
		  "$I/graph",
		]
	END
	contains "$(CONTAINERS_STORAGE_CONF=$I/storage.conf ply layers --json containers-storage:two)" \
		"$I/graph/overlay/" "the layers"
}

platforms() {
	same "oci:$I/many" "oci:$I/many" linux/amd64
	same "oci:$I/many:many" "oci:$I/many:many" linux/arm64/v8
	same "oci:$I/many:many" "oci:$I/many:many" linux/arm64
	contains "$(ply inspect --platform linux/s390x "oci:$I/many" 2>&1)" \
		"has no image for linux/s390x; it has: linux/amd64, linux/arm64/v8" "the error"
	eq "$(ply ls --json "$I/many" | grep -c '"architecture"')" 2 "images"
	# Another machine's image alone is looked into without being asked for.
	sk copy --override-arch arm64 --override-variant v8 "oci:$I/many" "oci:$I/arm:arm"
	same "oci:$I/arm" "oci:$I/arm"
	contains "$(ply inspect --platform linux/amd64 "oci:$I/arm" 2>&1)" "not for linux/amd64" "the error"
}

open_choices() {
	local out
	out=$(ply inspect "oci:$I/gzip" 2>&1) && fail "an open choice was made"
	contains "$out" "several images; add one of these after a colon: two, base" "the error"
	out=$(ply inspect "docker-archive:$I/pod.docker.tar" 2>&1) && fail "an open choice was made"
	contains "$out" "localhost/two:latest, localhost/base:latest" "the error"
	out=$(ply inspect "oci:$I/gzip:three" 2>&1) && fail "an image was found"
	contains "$out" "no image named three; it has: two, base" "the error"
	refuses ply inspect "docker-archive:$I/two.oci.tar:nobody"
}

# One byte of a document, and nothing else, is another.
changed_bytes() {
	local blob
	cp -r "$I/gzip" "$I/changed"
	blob=$(ply inspect --json "oci:$I/changed:two" | sed -n 's/.*"id": "sha256:\(.*\)".*/\1/p')
	sed -i 's/somebody/somebodx/' "$I/changed/blobs/sha256/$blob"
	contains "$(ply inspect "oci:$I/changed:two" 2>&1)" "have the digest" "the error"
	truncate -s -1 "$I/changed/blobs/sha256/$blob"
	contains "$(ply inspect "oci:$I/changed:two" 2>&1)" "it should have" "the error"
	rm "$I/changed/blobs/sha256/$blob"
	contains "$(ply inspect "oci:$I/changed:two" 2>&1)" "is not there" "the error"
	head -c 2000 "$I/two.docker.tar" >"$I/cut.tar"
	refuses ply inspect "$I/cut.tar"
	head -c 300 "$I/two.docker.tar.gz" >"$I/cut.tar.gz"
	refuses ply inspect "docker-archive:$I/cut.tar.gz"
}

layer_alone() {
	local blob
	blob=$(ply inspect --json "oci:$I/gzip:base" | sed -n 's/.*"digest": "sha256:\(.*\)".*/\1/p')
	contains "$(ply layers "$I/gzip/blobs/sha256/$blob")" gzip "the layer"
	refuses ply inspect --raw "$I/gzip/blobs/sha256/$blob"
	refuses ply inspect "$0"
}

setup_containers_root
run_test "images of buildah's" make_images
run_test "every form of them" copy_images
run_test "OCI layouts" layouts
run_test "archives of skopeo's and podman's" archives
run_test "Docker's archives, three generations" generations
run_test "check of Docker's archives" checked
run_test "compressed archives" compressed_archives
run_test "directories" directories
run_test "podman's storage" storage
run_test "podman's storage: directories, additional stores" storage_directories
run_test "platforms" platforms
run_test "an open choice is listed" open_choices
run_test "changed bytes are noticed" changed_bytes
run_test "a layer alone" layer_alone
finish
