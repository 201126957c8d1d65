#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# podman for scripts/bench: podman.sh STORE PROGRAM OPTIONS COMMAND
#
#     PROGRAM           the mount program, - for the kernel's overlayfs
#     OPTIONS           its mount options, - for none
#     prepare ARCHIVE   makes the storage, imports the base image
#     build LAYERS      builds an image with that many RUN steps
#     end               removes the storage
set -euo pipefail

SUPPORT_DIR=$(cd "$(dirname "$0")/../support" && pwd)
store=$1 program=$2 options=$3 command=$4
# shellcheck source=tests/support/containers.sh
. "$SUPPORT_DIR/containers.sh"
PLYFS=$program

export CONTAINERS_CONF=$store/containers.conf CONTAINERS_STORAGE_CONF=$store/storage.conf
# Paths of sockets must be short; /dev/shm is a tmpfs of the benchmark's own.
pod() { podman --tmpdir "/dev/shm/bench-tmp" "$@"; }

prepare() {
	mkdir -p "$store"
	containers_conf >"$store/containers.conf"
	storage_conf "$store/graph" "/dev/shm/bench-run" >"$store/storage.conf"
	[[ $program != - ]] || sed -i '/^mount_program/d' "$store/storage.conf"
	[[ $options == - ]] || echo "mountopt = \"$options\"" >>"$store/storage.conf"
	pod import "$1" bench-base
}

# Each layer adds files, replaces some of the layer before, and deletes others.
containerfile() {
	local n
	echo "FROM localhost/bench-base"
	for ((n = 1; n <= $1; n++)); do
		echo "RUN mkdir -p /app/$n && for i in \$(seq 100); do echo $n \$i >/app/$n/\$i; done && cp -a /etc /app/$n/ &&" \
			"echo $n >/app/version && rm -rf /app/$((n - 1))/etc"
	done
}

build() {
	mkdir -p "$store/context"
	containerfile "$1" >"$store/context/Containerfile"
	pod build -q --layers --network=none -t built "$store/context"
}

# Left-over mounts would keep the storage from being removed.
end() {
	pod system reset -f || true
	rm -rf --one-file-system "$store" /dev/shm/bench-tmp /dev/shm/bench-run
}

case $command in
prepare | build | end) "$command" "${@:5}" ;;
*)
	echo "usage: see the head of $0" >&2
	exit 2
	;;
esac
