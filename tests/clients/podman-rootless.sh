#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# podman as a user with subordinate ids, with plyfs as its mount program.
set -euo pipefail
# shellcheck source=tests/support/lib.sh
. "$(dirname "$0")/../support/lib.sh"
# shellcheck source=tests/support/rootfs.sh
. "$SUPPORT_DIR/rootfs.sh"
# shellcheck source=tests/support/containers.sh
. "$SUPPORT_DIR/containers.sh"

need_packages podman crun fuse3 mmdebstrap uidmap slirp4netns
in_private_ns "$@"
setup_containers_user

containerfile() {
	cat <<'END'
FROM localhost/plyfs-base
RUN mkdir /app && echo one >/app/one && echo two >/app/two && chown 1000:1000 /app/two && rm -r /usr/share/doc
RUN rm /app/one && echo changed >/app/two && mv /usr/share/zoneinfo/Europe /usr/share/zoneinfo/Old
COPY --chown=7:8 payload /data/
RUN printf '%s\n' 'set -e' 'test ! -e /app/one' 'test "$(cat /app/two)" = changed' \
	'test "$(stat -c %u:%g /app/two)" = 1000:1000' 'test ! -e /usr/share/doc' \
	'test -e /usr/share/zoneinfo/Old/Berlin' 'test ! -e /usr/share/zoneinfo/Europe' \
	'test "$(stat -c %u:%g /data/payload)" = 7:8' >/check
END
}

build() {
	containerfile >"$WORK/Containerfile"
	check_build "$WORK/Containerfile"
	eq "$(pod inspect built --format '{{len .RootFS.Layers}}')" 5 "layers of the image"
}

# The user is itself inside; plyfs, not a chown of the whole image, maps the ids.
keep_id() {
	local out uid
	uid=$(id -u "$TEST_USER")
	out=$(pod run --rm --network=none --userns=keep-id plyfs-base sh -ec '
		id -u; stat -c %u /etc/passwd; echo x >/tmp/x; stat -c %u /tmp/x')
	eq "$out" "$uid"$'\n'0$'\n'"$uid"
	refuses pod run --rm --network=none --userns=keep-id plyfs-base touch /etc/x
}

keep_id_root() {
	local out
	out=$(pod run --rm --network=none --userns=keep-id --user 0:0 plyfs-base sh -ec '
		echo x >/etc/new; chown 5:6 /etc/new; stat -c %u:%g /etc/new; chmod 600 /etc/passwd; stat -c "%u:%g %a" /etc/passwd')
	eq "$out" $'5:6\n0:0 600'
}

# Every container gets a range of its own out of the user's.
userns_auto() {
	eq "$(pod run --rm --network=none --userns=auto:size=2000 plyfs-base sh -ec '
		echo x >/srv/x; chown 1:1 /srv/x; stat -c %u:%g /srv/x /etc/passwd')" $'1:1\n0:0'
}

cached_archive base >/dev/null
run_test "import of a base image" import_base
run_test "info names the mount program" check_info
run_test "run" check_run
run_test "run -d: the root is served by the mount program" check_start
run_test "exec changes the root" check_exec
run_test "diff names exactly what changed" check_diff
run_test "commit" check_commit
run_test "permissions of other users" check_users
run_test "two containers of one image" check_two_at_once
run_test "a stopped container keeps its writes" check_restart
run_test "a container survives kill -9 of its daemon" check_killed_daemon
run_test "rm leaves no mount and no daemon" check_remove
run_test "image mount under podman unshare" check_image_mount changed
run_test "volume :O" check_overlay_volume
run_test "volume :O of a directory in which the storage lies" check_volume_with_storage
run_test "userns=keep-id" keep_id
run_test "userns=keep-id as the container's root" keep_id_root
run_test "userns=auto" userns_auto
run_test "build of several layers" build
run_test "no mount and no daemon is left" nothing_mounted "$STORE"
finish
