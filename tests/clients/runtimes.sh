#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Container runtimes without an engine, with their root on a mount: crun, runc, bwrap and
# systemd-nspawn; as root, as a user with subordinate ids, and as one who is alone.
set -euo pipefail
# shellcheck source=tests/support/lib.sh
. "$(dirname "$0")/../support/lib.sh"
# shellcheck source=tests/support/rootfs.sh
. "$SUPPORT_DIR/rootfs.sh"
# shellcheck source=tests/support/containers.sh
. "$SUPPORT_DIR/containers.sh"

need_packages crun runc bubblewrap systemd-container fuse3 mmdebstrap python3 uidmap
in_private_ns "$@"
fuse_ready
make_user

HERE=$(cd "$(dirname "$0")" && pwd)
after_failure() { drop_mounts; }

# fresh NAME: D gets a mount point over the base tree.
fresh() {
	D=$WORK/$1
	mkdir -p "$D"/{up,work,m,bundle}
	RW=lowerdir=$BASE,upperdir=$D/up,workdir=$D/work
	mount_plyfs "$RW" "$D/m"
}

# What the container did is there outside, after it ended and after a new mount.
changes_stay() {
	eq "$(in_root "$D/m" sh -c "$(look_at_changes)")" "all there" "on the mount"
	umount_plyfs "$D/m"
	mount_plyfs "$RW" "$D/m"
	eq "$(in_root "$D/m" sh -c "$(look_at_changes)")" "all there" "on the next mount"
	umount_plyfs "$D/m"
}

changes() {
	printf '%s\n' 'set -e' 'grep -q " / '"$FSTYPE"' " /proc/mounts'
	change_the_root
	look_at_changes
}

# oci_bundle RUNTIME
oci_bundle() {
	fresh "$1"
	(cd "$D/bundle" && "$1" spec)
	/usr/bin/python3 "$HERE/_bundle.py" "$D/bundle" "$D/m" /bin/sh -c "$(changes)"
	eq "$("$1" --root "$(run_dir)/$1" run --bundle "$D/bundle" "plyfs-$1")" "all there"
	served_by_plyfs "$D/m"
	changes_stay
}

bubblewrap() {
	fresh bwrap
	eq "$(bwrap --bind "$D/m" / --dev /dev --proc /proc --unshare-pid --unshare-net sh -c "$(changes)")" "all there"
	changes_stay
}

nspawn() {
	fresh nspawn
	eq "$(systemd-nspawn --quiet --register=no --keep-unit --pipe --directory "$D/m" \
		sh -c "$(changes)" | tr -d '\r')" "all there"
	changes_stay
}

# --- a user with subordinate ids -------------------------------------------------------

# in_userns CMD…: as the user, who is root in there and has 65536 ids.
in_userns() {
	as_user unshare --user --map-root-user --map-auto --mount "$@"
}

# A user unpacks an image inside his namespace, so that it belongs to him and his ids.
unpack_for_user() {
	as_user mkdir -p "$USER_HOME/base"
	in_userns tar -C "$USER_HOME/base" --numeric-owner --exclude=./dev -xf "$ARCHIVE"
	in_userns mkdir -p "$USER_HOME/base/dev"
}

# A rootless specification maps one id only, so the files keep the owner that they get.
own_ids() {
	sed 's/chown 1:2/chown 0:0/; s/"1:2 /"0:0 /'
}

# user_script NAME FILTER SCRIPT: SCRIPT runs in the namespace with D mounted over the base;
# FILTER is applied to the changes and to what looks at them.
user_script() {
	local name=$1 filter=$2 script=$3
	D=$USER_HOME/$name
	as_user mkdir -p "$D"/{up,work,m,bundle}
	in_userns env D="$D" PLYFS="$PLYFS" FSTYPE="$FSTYPE" BASE="$USER_HOME/base" HERE="$HERE" CHANGES="$(changes | "$filter")" \
		LOOK="$(look_at_changes | "$filter")" bash -ec '
		mnt() { "$PLYFS" -o "lowerdir=$BASE,upperdir=$D/up,workdir=$D/work" "$D/m"; grep -q " $D/m $FSTYPE " /proc/mounts; }
		look() { chroot "$D/m" sh -c "$LOOK"; }
		cd "$D/bundle"
		mnt
		'"$script"'
		look
		umount "$D/m"
		mnt
		look
		umount "$D/m"'
	wait_until 5 no_daemons || fail "the daemon outlives the mount"
}

user_runc() {
	local out
	out=$(user_script runc own_ids '
		runc spec --rootless
		/usr/bin/python3 "$HERE/_bundle.py" . "$D/m" /bin/sh -c "$CHANGES"
		runc --root "$XDG_RUNTIME_DIR/runc" run plyfs-rootless')
	eq "$out" $'all there\nall there\nall there'
}

user_crun() {
	local out
	out=$(user_script crun own_ids '
		crun spec --rootless
		/usr/bin/python3 "$HERE/_bundle.py" . "$D/m" /bin/sh -c "$CHANGES"
		crun --root "$XDG_RUNTIME_DIR/crun" --cgroup-manager=disabled run plyfs-rootless')
	eq "$out" $'all there\nall there\nall there'
}

user_bubblewrap() {
	local out
	out=$(user_script bwrap cat 'bwrap --bind "$D/m" / --dev /dev --proc /proc sh -c "$CHANGES"')
	eq "$out" $'all there\nall there\nall there'
}

# --- a user who has one id only, and no helper program ----------------------------------

# alone SCRIPT: with nothing but the program under test and the shell's own commands in PATH
# up to the mount; there is no fusermount3 to be found.
alone() {
	D=$USER_HOME/alone
	rm -rf "$D"
	as_user mkdir -p "$D"/{low/dir,up,work,m}
	as_user sh -c 'echo low >alone/low/file; echo in >alone/low/dir/in'
	echo roots >"$D/low/foreign"
	as_user unshare --user --map-root-user --mount env D="$D" PLYFS="$PLYFS" FSTYPE="$FSTYPE" bash -ec '
		rw=lowerdir=$D/low,upperdir=$D/up,workdir=$D/work
		PATH=/nonexistent "$PLYFS" -o "$rw$1" "$D/m"
		grep -q " $D/m $FSTYPE " /proc/mounts
		'"$1"'
		umount "$D/m"' sh "${2-}"
	wait_until 5 no_daemons || fail "the daemon outlives the mount"
}

alone_without_fusermount() {
	eq "$(alone '
		cat "$D/m/file"; echo new >"$D/m/new"; mv "$D/m/dir" "$D/m/dir2"; rm "$D/m/file"
		stat -c "%u:%g" "$D/m/new"
		umount "$D/m"
		PATH=/nonexistent "$PLYFS" -o "$rw" "$D/m"
		cat "$D/m/new" "$D/m/dir2/in"; ls -A "$D/m"')" $'low\n0:0\nnew\nin\ndir2\nforeign\nnew'
}

# An owner that the namespace does not know is seen as root, and the file can be changed.
alone_squashed() {
	eq "$(alone '
		stat -c %u:%g "$D/m/foreign"; chown 0:0 "$D/m/foreign"; chmod 600 "$D/m/foreign"
		echo more >>"$D/m/foreign"; stat -c "%u:%g %a" "$D/m/foreign"; cat "$D/m/foreign"' ,squash_to_root)" \
		$'0:0\n0:0 600\nroots\nmore'
}

# Without a namespace a user needs fusermount3, and gets a mount of his own.
plain_user() {
	D=$USER_HOME/plain
	as_user mkdir -p "$D"/{low,up,work,m}
	as_user sh -c 'echo low >plain/low/file'
	as_user "$PLYFS" -o "lowerdir=$D/low,upperdir=$D/up,workdir=$D/work" "$D/m"
	is_plyfs_mount "$D/m" || fail "not mounted"
	eq "$(as_user sh -ec 'cd plain/m; cat file; echo more >>file; echo new >new; chmod 600 new; stat -c "%U %a" new; cat file')" \
		$'low\n'"$TEST_USER"$' 600\nlow\nmore'
	as_user fusermount3 -u "$D/m"
	wait_until 5 no_daemons || fail "the daemon outlives the mount"
}

lower_untouched() {
	fingerprint "$BASE" >"$WORK/base.after"
	same_lines "$WORK/base.before" "$WORK/base.after"
}

BASE=$(cached_root base)
ARCHIVE=$(cached_archive base)
fingerprint "$BASE" >"$WORK/base.before"

run_test "crun" oci_bundle crun
run_test "runc" oci_bundle runc
run_test "bwrap" bubblewrap
run_test "systemd-nspawn" nspawn
run_test "a user unpacks a root tree" unpack_for_user
run_test "user: runc spec --rootless" user_runc
run_test "user: crun spec --rootless" user_crun
run_test "user: bwrap" user_bubblewrap
run_test "user with one id, without fusermount3" alone_without_fusermount
run_test "user with one id, squash_to_root" alone_squashed
run_test "user without a namespace" plain_user
run_test "no mount and no daemon is left" nothing_mounted "$WORK"
run_test "the base tree is untouched" lower_untouched
finish
