#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# podman as root with plyfs as its mount program: everything it does with a container's root.
set -euo pipefail
# shellcheck source=tests/support/lib.sh
. "$(dirname "$0")/../support/lib.sh"
# shellcheck source=tests/support/rootfs.sh
. "$SUPPORT_DIR/rootfs.sh"
# shellcheck source=tests/support/containers.sh
. "$SUPPORT_DIR/containers.sh"

need_packages podman crun fuse3 mmdebstrap iptables
in_private_ns "$@"
setup_containers_root

# An image whose build takes every way that a layer can change the ones below.
containerfile() {
	cat <<'END'
FROM localhost/plyfs-base
RUN mkdir /app /app/dir && echo one >/app/one && echo two >/app/two && seq 200000 >/app/big \
	&& echo in >/app/dir/in && chown 1000:1000 /app/two && mkdir -m 2755 /app/group
RUN rm /app/one && echo changed >/app/two && echo 200001 >>/app/big \
	&& rm -r /app/dir && echo file >/app/dir && echo x >/app/group/file
RUN mv /usr/share/zoneinfo/Europe /usr/share/zoneinfo/Old && rm /app/dir && mkdir /app/dir
RUN apt-get update && apt-get install -y --no-install-recommends hello && rm -rf /var/lib/apt/lists/*
COPY --chown=7:8 payload /data/
RUN printf '%s\n' 'set -e' \
	'test ! -e /app/one' 'test "$(cat /app/two)" = changed' \
	'test "$(stat -c %u:%g /app/two)" = 1000:1000' \
	'test "$(tail -n 1 /app/big)" = 200001' 'test "$(wc -l </app/big)" = 200001' \
	'test -d /app/dir' 'test -z "$(ls -A /app/dir)"' \
	'test -e /usr/share/zoneinfo/Old/Berlin' 'test ! -e /usr/share/zoneinfo/Europe' \
	'test "$(hello)" = "Hello, world!"' 'dpkg -s hello | grep -q "^Status: install ok installed"' \
	'test "$(stat -c %u:%g /data/payload)" = 7:8' 'test "$(cat /data/payload)" = payload' >/check
END
}

build() {
	containerfile >"$WORK/Containerfile"
	check_build "$WORK/Containerfile"
	eq "$(pod inspect built --format '{{len .RootFS.Layers}}')" 7 "layers of the image"
}

# (The stand-in loses the bit when it copies the directory up.)
built_setgid() {
	eq "$(pod run --rm --network=none built stat -c %a /app/group)" 2755
}

# podman cp goes through the mount from outside the container.
copy() {
	local dir=$WORK/cp
	mkdir -p "$dir/tree/sub"
	echo data >"$dir/tree/sub/file"
	chmod 640 "$dir/tree/sub/file"
	pod cp "$dir/tree" first:/srv/tree
	eq "$(pod exec first sh -c 'cat /srv/tree/sub/file; stat -c %a /srv/tree/sub/file')" $'data\n640'
	pod cp first:/srv/dir "$dir/out"
	eq "$(cat "$dir/out/sub/a")" a
	pod cp first:/etc/passwd "$dir/passwd"
	eq "$(tail -n 1 "$dir/passwd")" "tester:x:4242:4242::/:/bin/sh"
	pod exec first rm -r /srv/tree
}

export_archive() {
	local list
	pod export -o "$WORK/export.tar" first
	list=$(tar --numeric-owner -tvf "$WORK/export.tar" srv etc/passwd)
	grep -Eq '^-rws?r?-?[xs-]+ .*1/2 .* srv/(new|hard)' <<<"$list" || fail "no srv/new of 1/2 in: $list"
	contains "$list" "srv/soft -> new"
	refuses tar -tf "$WORK/export.tar" etc/issue
	rm "$WORK/export.tar"
}

save_and_load() {
	pod save -q -o "$WORK/saved.tar" changed
	pod rmi changed
	pod load -q -i "$WORK/saved.tar"
	rm "$WORK/saved.tar"
	eq "$(pod run --rm --network=none changed sh -c "$(look_at_changes)")" "all there"
}

# An image as a volume: plyfs over plyfs.
image_volume() {
	local out
	out=$(pod run --rm --network=none --mount type=image,source=changed,destination=/img plyfs-base \
		sh -ec 'cat /img/srv/new; test ! -e /img/opt; if touch /img/x 2>/dev/null; then echo writable; fi')
	eq "$out" new
	out=$(pod run --rm --network=none --mount type=image,source=changed,destination=/img,rw=true plyfs-base \
		sh -ec 'echo more >>/img/srv/new; cat /img/srv/new')
	eq "$out" $'new\nmore'
}

read_only_root() {
	pod run --rm --network=none --read-only plyfs-base sh -ec '
		if touch /x 2>/dev/null; then echo "FAIL: writable"; exit 1; fi; echo y >/tmp/y'
}

# Mount options of the storage's configuration arrive in the middle of plyfs's own.
mount_options() {
	pod --storage-opt "overlay.mount_program=$PLYFS" --storage-opt overlay.mountopt=nodev,fsync=0 \
		run --rm --network=none plyfs-base sh -ec 'echo x >/srv/x; sync /srv/x; cat /srv/x'
}

# Nothing that ran above may have touched what an image consists of.
lowers_untouched() {
	fingerprint "$STORE/graph/overlay/$base_layer/diff" >"$WORK/base.after"
	same_lines "$WORK/base.before" "$WORK/base.after"
}

cached_archive base >/dev/null
run_test "import of a base image" import_base
base_layer=$(basename "$(dirname "$STORE"/graph/overlay/*/diff)")
fingerprint "$STORE/graph/overlay/$base_layer/diff" >"$WORK/base.before"

run_test "info names the mount program" check_info
run_test "run" check_run
run_test "run -d: the root is served by the mount program" check_start
run_test "exec changes the root" check_exec
run_test "diff names exactly what changed" check_diff
run_test "cp in and out" copy
run_test "commit" check_commit
run_test "permissions of other users" check_users
run_test "two containers of one image" check_two_at_once
run_test "a stopped container keeps its writes" check_restart
run_test "a container survives kill -9 of its daemon" check_killed_daemon
run_test "diff is the same after all that" check_diff
run_test "a directory renamed there and back is no change" check_rename_back
run_test "export" export_archive
run_test "rm leaves no mount and no daemon" check_remove
run_test "image mount" check_image_mount changed
run_test "save and load" save_and_load
run_test "volume :O" check_overlay_volume
run_test "volume :O of a directory in which the storage lies" check_volume_with_storage
run_test "mount type=image" image_volume
run_test "read-only root" read_only_root
run_test "mountopt of the storage" mount_options
run_test "build of several layers" build
run_test "a directory's setgid bit comes through the build" built_setgid
run_test "no mount and no daemon is left" nothing_mounted "$STORE"
run_test "the base image's files are untouched" lowers_untouched
finish
