# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What the podman and buildah scripts share: storage of their own with plyfs as the mount
# program, and the checks that must hold for root and for a user alike.

# Root here may lack CAP_SYS_RESOURCE, so no limit may be raised above the hard one.
containers_conf() {
	local files
	files=$(ulimit -Hn)
	[[ $files != unlimited && $files -lt 20000 ]] || files=20000
	cat <<END
[containers]
default_ulimits = ["nofile=$files:$files", "nproc=10000:10000"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
END
}

# storage_conf GRAPH-ROOT RUN-ROOT
storage_conf() {
	cat <<END
[storage]
driver = "overlay"
graphroot = "$1"
runroot = "$2"
[storage.options.overlay]
mount_program = "$PLYFS"
END
}

# setup_containers_root: pod and bud run podman and buildah as root.
setup_containers_root() {
	STORE=$WORK/root-store
	mkdir -p "$STORE"
	containers_conf >"$STORE/containers.conf"
	storage_conf "$STORE/graph" "$(run_dir)/root" >"$STORE/storage.conf"
	export CONTAINERS_CONF=$STORE/containers.conf CONTAINERS_STORAGE_CONF=$STORE/storage.conf
	pod() { podman --tmpdir "$(run_dir)/tmp" "$@"; }
	bud() { buildah "$@"; }
	# A shell in which storage can be mounted: root's own.
	storage_sh() { bash -ec "$@"; }
}

# setup_containers_user: the same for a user with subordinate ids.
setup_containers_user() {
	local conf
	fuse_ready
	make_user
	STORE=$USER_HOME/store conf=$USER_HOME/.config/containers
	as_user mkdir -p "$STORE" "$conf"
	containers_conf >"$conf/containers.conf"
	storage_conf "$STORE/graph" "$USER_RUN/store" >"$conf/storage.conf"
	pod() { as_user podman "$@"; }
	bud() { as_user buildah "$@"; }
	storage_sh() { as_user podman unshare bash -ec "$@"; }
}

# import_base: the archive is read as whoever runs podman.
import_base() {
	pod import "$(cached_archive base)" plyfs-base
}

# The mount points of all containers and images of this storage that plyfs serves now.
served_mounts() {
	local pid
	for pid in $(all_daemons); do
		tr '\0' '\n' <"/proc/$pid/cmdline" | tail -n 1
	done | grep -F "$STORE/" || true
}

# What a container does to its root: every kind of change that a diff has to name.
change_the_root() {
	cat <<'END'
echo new >/srv/new
chown 1:2 /srv/new
chmod 4750 /srv/new
mkdir -p /srv/dir/sub
echo a >/srv/dir/sub/a
ln /srv/new /srv/hard
ln -s new /srv/soft
mkfifo /srv/fifo
echo "tester:x:4242:4242::/:/bin/sh" >>/etc/passwd
chmod 700 /usr/games
rm /etc/issue
rm -r /opt
END
}

expected_diff() {
	cat <<'END'
A /srv/dir
A /srv/dir/sub
A /srv/dir/sub/a
A /srv/fifo
A /srv/hard
A /srv/new
A /srv/soft
C /etc
C /etc/passwd
C /srv
C /usr
C /usr/games
D /etc/issue
D /opt
END
}

# What must be seen wherever those changes arrived: the container, its image, an archive.
look_at_changes() {
	cat <<'END'
set -ex
test "$(cat /srv/new)" = new
test "$(stat -c '%u:%g %a %h' /srv/new)" = "1:2 4750 2"
test "$(stat -c %i /srv/new)" = "$(stat -c %i /srv/hard)"
test "$(readlink /srv/soft)" = new
test "$(stat -c %F /srv/fifo)" = fifo
test "$(cat /srv/dir/sub/a)" = a
test "$(stat -c %a /usr/games)" = 700
test "$(tail -n 1 /etc/passwd)" = "tester:x:4242:4242::/:/bin/sh"
test "$(head -n 1 /etc/passwd)" = "root:x:0:0:root:/root:/bin/bash"
test ! -e /etc/issue
test ! -e /opt
echo all there
END
}

# --- checks ----------------------------------------------------------------------------

check_info() {
	local info
	info=$(pod info)
	contains "$info" "Executable: $PLYFS" "podman info"
	[[ -n $(pod info --format '{{index .Store.GraphOptions "overlay.mount_program" "Version"}}') ]] ||
		fail "podman info has no version of the mount program"
}

check_run() {
	local out rc=0
	out=$(pod run --rm --network=none plyfs-base sh -ec 'cat /etc/debian_version; grep " / " /proc/mounts')
	contains "$out" " / $FSTYPE " "the container's root"
	contains "$out" "$(cat "$TEST_CACHE/base/etc/debian_version")"
	pod run --rm --network=none plyfs-base sh -c 'exit 7' || rc=$?
	eq "$rc" 7 "exit code of the container"
}

# The container of this and the following checks runs until check_remove.
check_start() {
	pod run -d --name first --network=none plyfs-base sleep 100000
	wait_until 10 container_mounted first
	eq "$(root_type_of first)" "$FSTYPE"
}

merged_dir() {
	pod inspect "$1" --format '{{.GraphDriver.Data.MergedDir}}'
}

# What the container itself sees. (A user's mounts are in a namespace that the script is not in.)
root_type_of() {
	pod exec "$1" sed -n 's,^[^ ]* / \([^ ]*\) .*,\1,p' /proc/mounts
}

container_mounted() {
	[[ -n $(daemon_pids "$(merged_dir "$1")") ]]
}

check_exec() {
	pod exec first sh -ec "$(change_the_root)"
	eq "$(pod exec first sh -c "$(look_at_changes)")" "all there"
}

check_diff() {
	pod diff first | sort >"$WORK/diff.got"
	expected_diff >"$WORK/diff.expected"
	same_lines "$WORK/diff.expected" "$WORK/diff.got"
}

check_commit() {
	pod commit first changed
	eq "$(pod run --rm --network=none changed sh -c "$(look_at_changes)")" "all there"
}

check_two_at_once() {
	local out
	pod run -d --name second --network=none plyfs-base sleep 100000
	out=$(pod exec second sh -ec 'test ! -e /srv/new; test -e /opt; echo second >/srv/mine; cat /srv/mine')
	eq "$out" second
	pod exec first sh -ec 'test ! -e /srv/mine'
	pod rm -f -t 0 second
	eq "$(pod exec first sh -c "$(look_at_changes)")" "all there" "first, after second went"
}

check_restart() {
	pod exec first sh -ec 'echo kept >/srv/kept'
	pod stop -t 0 first
	wait_until 10 no_daemons || fail "daemons after stop: $(served_mounts)"
	pod start first
	eq "$(pod exec first cat /srv/kept)" kept
	eq "$(pod exec first sh -c "$(look_at_changes)")" "all there"
	pod exec first rm /srv/kept
}

# The daemon dies under the container, as if for want of memory. podman notices at stop; what
# the container was told is done must be there after the start. (sync: bytes that the kernel
# still holds in its write-back cache are the kernel's to lose.)
check_killed_daemon() {
	local pid
	pod exec first sh -ec 'echo survived >/srv/survived; mkdir /srv/d; mv /srv/dir /srv/d/; sync'
	pid=$(daemon_pids "$(merged_dir first)")
	kill -KILL "$pid"
	wait_until 5 all_gone "$pid"
	pod stop -t 0 first || true
	pod start first
	eq "$(pod exec first cat /srv/survived)" survived
	pod exec first sh -ec 'test ! -e /srv/dir; mv /srv/d/dir /srv/; rm -r /srv/survived /srv/d'
	eq "$(pod exec first sh -c "$(look_at_changes)")" "all there"
}

# A directory of the image goes away and comes back: not one name may count as changed. (The
# stand-in answers EXDEV, mv copies, and the copies differ from the image's files.)
check_rename_back() {
	pod exec first sh -ec 'mv /usr/share/zoneinfo/Europe /srv/; test ! -e /usr/share/zoneinfo/Europe
		test -e /srv/Europe/Berlin; mv /srv/Europe /usr/share/zoneinfo/'
	check_diff
}

# Every user of the container gets the rights that its owners and modes say, no more.
check_users() {
	local out
	refuses pod exec --user 1234:1234 first sh -c 'echo x >>/etc/passwd'
	refuses pod exec --user 1234:1234 first cat /etc/shadow
	out=$(pod exec --user 1234:1234 first sh -ec 'echo mine >/tmp/mine; stat -c "%u:%g %a" /tmp/mine')
	eq "$out" "1234:1234 644"
	pod exec first rm /tmp/mine
}

check_remove() {
	pod rm -f -t 0 first
	nothing_mounted "$STORE"
	eq "$(served_mounts)" ""
}

# check_image_mount IMAGE: readable, and read-only.
check_image_mount() {
	storage_sh '
		dir=$(podman image mount "$1")
		grep " $dir $2 " /proc/self/mounts
		test "$(cat "$dir/srv/new")" = new
		test "$(stat -c "%u:%g %a" "$dir/srv/new")" = "1:2 4750"
		test ! -e "$dir/opt"
		if touch "$dir/x" 2>/dev/null; then echo "FAIL: writable"; exit 1; fi
		podman image unmount "$1"
		if grep " $dir " /proc/self/mounts; then echo "FAIL: still mounted"; exit 1; fi
	' sh "$1" "$FSTYPE"
}

# A directory outside goes into the container as the lower layer of an overlay of its own.
check_overlay_volume() {
	local dir=$WORK/volume
	mkdir -p "$dir"
	echo host >"$dir/file"
	chmod -R a+rwX "$dir"
	pod run --rm --network=none -v "$dir:/data:O" plyfs-base sh -ec '
		grep " /data '"$FSTYPE"' " /proc/mounts
		test "$(cat /data/file)" = host
		echo container >/data/file; echo x >/data/new; test "$(cat /data/file)" = container'
	eq "$(cat "$dir/file")" host "the file outside"
	[[ ! -e $dir/new ]] || fail "the volume was written through"
}

# The storage lies in the directory, and in the storage the upper layer of the overlay.
check_volume_with_storage() {
	pod run --rm --network=none -v "$STORE:/w:O" plyfs-base sh -ec '
		grep " /w '"$FSTYPE"' " /proc/mounts
		test -d /w/graph
		echo x >/w/new
		find /w >/dev/null 2>/complaints || true
		grep "Too many levels of symbolic links" /complaints'
	[[ ! -e $STORE/new ]] || fail "the volume was written through"
}

# check_build FILE: builds from it with an empty context, and lets the image test itself.
check_build() {
	local dir=$WORK/context
	mkdir -p "$dir"
	echo payload >"$dir/payload"
	cp "$1" "$dir/Containerfile"
	chmod -R a+rX "$dir"
	pod build --network=host -t built "$dir"
	pod run --rm --network=none built sh -x /check
}
