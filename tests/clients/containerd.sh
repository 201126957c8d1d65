#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# containerd and mount(8): mounts made through the mount.fuse3 helper, and a container that
# containerd runs on one.
set -euo pipefail
# shellcheck source=tests/support/lib.sh
. "$(dirname "$0")/../support/lib.sh"
# shellcheck source=tests/support/rootfs.sh
. "$SUPPORT_DIR/rootfs.sh"
# shellcheck source=tests/support/containers.sh
. "$SUPPORT_DIR/containers.sh"

need_packages containerd runc fuse3 mmdebstrap python3
in_private_ns "$@"
fuse_ready

HERE=$(cd "$(dirname "$0")" && pwd)
after_failure() { drop_mounts; }

# The helper looks the program up by the name that stands for the type. mount(8) gives it the
# system's own PATH, so a directory of that has to have it: in our namespace, not outside.
mkdir "$WORK/bin"
ln -sf "$PLYFS" "$WORK/bin/$PLYFS_NAME"
mount --bind "$WORK/bin" /usr/local/sbin

fresh() {
	D=$WORK/$1
	mkdir -p "$D"/{a,b,up,work,m}
	echo a >"$D/a/file"
	echo b >"$D/b/in-b"
	OPTIONS=lowerdir=$D/a:$D/b,upperdir=$D/up,workdir=$D/work
}

# The mount shows the layers, takes a write, and ends with umount(8).
mount_works() {
	served_by_plyfs "$D/m"
	eq "$(cat "$D/m/file" "$D/m/in-b")" $'a\nb'
	echo written >"$D/m/written"
	mv "$D/m/in-b" "$D/m/moved"
	umount "$D/m"
	nothing_mounted "$D"
	mount_plyfs "$OPTIONS" "$D/m"
	eq "$(cat "$D/m/written" "$D/m/moved")" $'written\nb'
	umount_plyfs "$D/m"
}

# mountWithHelper of containerd: each option a -o of its own, the type last, standard output
# and standard error in one pipe that is read to its end.
containerd_helper() {
	/usr/bin/python3 "$HERE/_caller.py" call --combined -- mount.fuse3 overlay "$1" "${@:2}" -t "$PLYFS_NAME"
}

helper_read_write() {
	fresh helper
	containerd_helper "$D/m" -o "workdir=$D/work" -o "upperdir=$D/up" -o "lowerdir=$D/a:$D/b"
	mount_works
}

# A view of a snapshot, and what the snapshotter tries when it starts.
helper_read_only() {
	fresh helper-ro
	containerd_helper "$D/m" -o "lowerdir=$D/a:$D/b"
	eq "$(cat "$D/m/file" "$D/m/in-b")" $'a\nb'
	contains "$(touch "$D/m/new" 2>&1 || true)" "Read-only file system"
	umount "$D/m"
	nothing_mounted "$D"
}

helper_mapping() {
	fresh helper-mapping
	containerd_helper "$D/m" -o "workdir=$D/work" -o "upperdir=$D/up" -o "lowerdir=$D/a:$D/b" \
		-o uidmapping=0:100000:65536 -o gidmapping=0:100000:65536
	eq "$(stat -c %u:%g "$D/m/file")" 100000:100000
	umount "$D/m"
	nothing_mounted "$D"
}

helper_failure() {
	local said rc=0
	fresh helper-failure
	said=$(containerd_helper "$D/m" -o "lowerdir=$D/none") || rc=$?
	((rc > 0 && rc < 124)) || fail "exit code is $rc"
	contains "$said" "$D/none"
	nothing_mounted "$D"
}

# A layer is committed by reading it and its parent through two mounts at once, the second
# while the first may still be in use.
snapshot_and_parent() {
	fresh snapshot
	mkdir "$D/m2"
	containerd_helper "$D/m" -o "workdir=$D/work" -o "upperdir=$D/up" -o "lowerdir=$D/a:$D/b"
	containerd_helper "$D/m2" -o "lowerdir=$D/a:$D/b"
	echo new >"$D/m/new"
	rm "$D/m/file"
	eq "$(diff -r "$D/m2" "$D/m" | sort)" "Only in $D/m2: file"$'\n'"Only in $D/m: new"
	umount "$D/m2"
	umount "$D/m"
	nothing_mounted "$D"
}

# A committed snapshot is a lower layer of the next.
snapshot_as_lower() {
	fresh chain
	mkdir "$D"/{up2,work2}
	containerd_helper "$D/m" -o "workdir=$D/work" -o "upperdir=$D/up" -o "lowerdir=$D/a:$D/b"
	echo first >"$D/m/first"
	mkdir "$D/m/dir"
	echo x >"$D/m/dir/x"
	rm "$D/m/file"
	umount "$D/m"
	nothing_mounted "$D"
	containerd_helper "$D/m" -o "workdir=$D/work2" -o "upperdir=$D/up2" -o "lowerdir=$D/up:$D/a:$D/b"
	eq "$(cd "$D/m" && find . | LC_ALL=C sort)" $'.\n./dir\n./dir/x\n./first\n./in-b'
	rm -r "$D/m/dir"
	eq "$(cd "$D/m" && find . | LC_ALL=C sort)" $'.\n./first\n./in-b'
	umount "$D/m"
	nothing_mounted "$D"
}

mount_command() {
	fresh mount
	mount -t "fuse.$PLYFS_NAME" -o "$OPTIONS" source "$D/m"
	mount_works
}

fstab_line() {
	fresh fstab
	printf '%s\n' "source $D/m fuse.$PLYFS_NAME $OPTIONS,nofail,noauto,_netdev 0 0" >"$D/fstab"
	mount --fstab "$D/fstab" "$D/m"
	mount_works
}

# --- containerd itself -----------------------------------------------------------------

ctd() {
	ctr --address "$SOCKET" "$@"
}

# With a configuration, sockets and directories of its own, and without the Kubernetes part.
start_containerd() {
	SOCKET=$(run_dir)/containerd.sock
	cat >"$WORK/containerd.toml" <<END
version = 2
root = "$WORK/containerd"
state = "$(run_dir)/containerd"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "$SOCKET"
END
	containerd --config "$WORK/containerd.toml" >"$WORK/containerd.log" 2>&1 &
	started $!
	wait_until 20 ctd_answers || { tail -n 20 "$WORK/containerd.log" >&2; return 1; }
}

ctd_answers() {
	ctd version >/dev/null 2>&1
}

run_on_mount() {
	local out rc=0
	D=$WORK/ctr
	mkdir -p "$D"/{up,work,m}
	containerd_helper "$D/m" -o "workdir=$D/work" -o "upperdir=$D/up" -o "lowerdir=$BASE"
	out=$(ctd run --rm --rootfs "$D/m" plyfs-ctr /bin/sh -c "
		set -e
		grep -q ' / $FSTYPE ' /proc/mounts
		$(change_the_root)
		$(look_at_changes)")
	eq "$out" "all there"
	ctd run --rm --rootfs "$D/m" plyfs-ctr2 /bin/sh -c 'exit 7' || rc=$?
	eq "$rc" 7 "exit code"
	umount "$D/m"
	nothing_mounted "$D"
	mount_plyfs "lowerdir=$BASE,upperdir=$D/up,workdir=$D/work" "$D/m"
	eq "$(in_root "$D/m" sh -c "$(look_at_changes)")" "all there" "on the next mount"
	umount_plyfs "$D/m"
}

BASE=$(cached_root base)
run_test "mount.fuse3 as containerd calls it" helper_read_write
run_test "mount.fuse3, lowers only" helper_read_only
run_test "mount.fuse3 with id mappings" helper_mapping
run_test "mount.fuse3, a failure is reported" helper_failure
run_test "a snapshot beside its parent" snapshot_and_parent
run_test "a committed snapshot as a lower" snapshot_as_lower
run_test "mount -t" mount_command
run_test "a line of fstab" fstab_line
start_containerd
run_test "ctr run --rootfs" run_on_mount
run_test "no mount and no daemon is left" nothing_mounted "$WORK"
finish
