#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# buildah with plyfs as its mount program, as root and as a user: a working container that is
# mounted, written to from outside and from inside, and committed.
set -euo pipefail
# shellcheck source=tests/support/lib.sh
. "$(dirname "$0")/../support/lib.sh"
# shellcheck source=tests/support/rootfs.sh
. "$SUPPORT_DIR/rootfs.sh"
# shellcheck source=tests/support/containers.sh
. "$SUPPORT_DIR/containers.sh"

need_packages podman buildah crun fuse3 mmdebstrap uidmap slirp4netns
in_private_ns "$@"

# The whole base is written through the mount.
from_scratch() {
	local name
	name=$(bud from --name base scratch)
	bud add "$name" "$(cached_archive base)" /
	bud commit --rm "$name" plyfs-base
}

from_image() {
	eq "$(bud from --name work plyfs-base)" work
}

# Chroot isolation runs the command without a container runtime between it and the mount.
run_inside() {
	local how
	for how in oci chroot; do
		bud run --isolation="$how" --network=host work sh -ec '
			grep " / '"$FSTYPE"' " /proc/mounts
			mkdir -p /srv/'"$how"'; echo '"$how"' >/srv/'"$how"'/file
			chown 3:4 /srv/'"$how"'/file; chmod 4711 /srv/'"$how"'/file'
	done
	bud run --network=host work sh -ec 'rm -r /opt; rm /etc/issue; mv /usr/share/zoneinfo/Europe /srv/'
}

copy_in() {
	mkdir -p "$WORK/copied/sub"
	echo payload >"$WORK/copied/sub/file"
	chmod -R a+rX "$WORK/copied"
	bud copy --chown 7:8 work "$WORK/copied" /data
	bud run --network=host work sh -ec 'test "$(cat /data/sub/file)" = payload; test "$(stat -c %u:%g /data/sub/file)" = 7:8'
}

# Written through the mount by a program that knows nothing of containers.
mount_and_write() {
	storage_sh '
		dir=$(buildah mount work)
		grep " $dir $1 " /proc/self/mounts
		test "$(cat "$dir/srv/oci/file")" = oci
		echo outside >"$dir/srv/outside"; chown 5:6 "$dir/srv/outside"
		mkfifo "$dir/srv/fifo"; ln "$dir/srv/outside" "$dir/srv/hard"
		buildah umount work' sh "$FSTYPE"
}

commit() {
	bud config --cmd "cat /srv/outside" work
	bud commit work result
	bud rm work
}

look_at_result() {
	cat <<'END'
set -ex
test "$(cat /srv/outside)" = outside
test "$(stat -c '%u:%g %h' /srv/outside)" = "5:6 2"
test "$(stat -c %F /srv/fifo)" = fifo
test "$(stat -c '%u:%g %a' /srv/oci/file)" = "3:4 4711"
test "$(cat /srv/chroot/file)" = chroot
test "$(cat /data/sub/file)" = payload
test ! -e /opt
test ! -e /etc/issue
test -e /srv/Europe/Berlin
test ! -e /usr/share/zoneinfo/Europe
echo all there
END
}

result_holds() {
	eq "$(pod run --rm --network=none result)" outside
	eq "$(pod run --rm --network=none result sh -c "$(look_at_result)")" "all there"
}

build_file() {
	local dir=$WORK/bud-context
	mkdir -p "$dir"
	printf '%s\n' 'FROM localhost/plyfs-base' 'RUN echo 1 >/one; rm -r /opt' 'RUN mkdir /opt; echo 2 >/opt/two; rm /one' >"$dir/Containerfile"
	chmod -R a+rX "$dir"
	bud build --layers --network=host -t built "$dir"
	eq "$(pod run --rm --network=none built sh -ec 'ls /opt; cat /opt/two; test ! -e /one')" $'two\n2'
}

# all_checks WHO
all_checks() {
	run_test "$1: from" from_image
	run_test "$1: run, in a container and in a chroot" run_inside
	run_test "$1: copy" copy_in
	run_test "$1: mount and write from outside" mount_and_write
	run_test "$1: commit" commit
	run_test "$1: the image holds what was done" result_holds
	run_test "$1: build with layers" build_file
	run_test "$1: no mount and no daemon is left" nothing_mounted "$STORE"
}

cached_archive base >/dev/null
setup_containers_root
run_test "root: a base image from an archive" from_scratch
all_checks root
unset CONTAINERS_CONF CONTAINERS_STORAGE_CONF
setup_containers_user
run_test "user: import of a base image" import_base
all_checks user
finish
