#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What scripts/bench needs from Debian:
#
#     prepare.sh packages NAME...             installs packages that are missing
#     prepare.sh root NAME [PACKAGE...]       prints a directory with a root file system
#     prepare.sh apt-root PACKAGE...          the same, the packages' archives fetched and not yet installed
#     prepare.sh archive NAME                 prints a tar archive of a root file system
#     prepare.sh in-root ROOT COMMAND...      runs it with ROOT as its root directory
#     prepare.sh newer-fuse-overlayfs         prints a program: fuse-overlayfs of a newer Debian
set -euo pipefail

SUPPORT_DIR=$(cd "$(dirname "$0")/../support" && pwd)
TEST_CACHE=${PLYFS_TEST_CACHE:-/var/cache/plyfs-tests}
NEWER_SUITE=trixie
# shellcheck source=tests/support/packages.sh
. "$SUPPORT_DIR/packages.sh"
# shellcheck source=tests/support/rootfs.sh
. "$SUPPORT_DIR/rootfs.sh"

need() {
	local missing
	mapfile -t missing < <(missing_packages "$@")
	((${#missing[@]} > 0)) || return 0
	echo "installing packages: ${missing[*]}" >&2
	(
		flock 9
		install_packages "${missing[@]}"
	) 9>/run/lock/plyfs-tests.lock >&2
}

# fetched_root OUT PACKAGE...
fetched_root() {
	local out=$1
	shift
	make_debian_root "$out" ca-certificates
	in_root "$out" apt-get -qq update
	in_root "$out" apt-get -qq install -y --no-install-recommends --download-only "$@"
	# The small archives of lists would be read by every later call, and change with the day.
	[[ -n $(ls "$out"/var/cache/apt/archives/*.deb) ]]
}

# The system's own package lists and state stay as they are.
newer_apt() {
	local program=$1 dir=$2
	shift 2
	"$program" -q -o Dir::Etc::SourceList="$dir/sources.list" -o Dir::Etc::SourceParts=- \
		-o Dir::State::Lists="$dir/lists" -o Dir::State::status=/dev/null -o Dir::Cache="$dir/cache" \
		-o APT::Sandbox::User=root "$@"
}

# unpack_newer OUT: the program, its library and the C library with its loader, in a directory; nothing is installed.
unpack_newer() {
	local out=$1 uri deb
	# shellcheck disable=SC2016  # apt-get's variables
	uri=$(apt-get indextargets --no-release-info --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
		awk -v name="$(. /etc/os-release && echo "$VERSION_CODENAME")" '$3 == "main" && $2 == name { print $1; exit }')
	[[ -n $uri ]] || { echo "apt knows no Debian mirror: look at /etc/apt/sources.list.d" >&2; return 1; }
	mkdir -p "$out/apt/lists/partial" "$out/apt/cache/archives/partial"
	echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri $NEWER_SUITE main" >"$out/apt/sources.list"
	newer_apt apt-get "$out/apt" update
	(cd "$out/apt" && newer_apt apt-get "$out/apt" download fuse-overlayfs libfuse3-4 libc6)
	for deb in "$out"/apt/*.deb; do dpkg-deb -x "$deb" "$out"; done
	dpkg-deb -f "$out"/apt/fuse-overlayfs_*.deb Version >"$out/version"
	rm -r "$out/apt"
	# shellcheck disable=SC2016  # expanded when it runs
	printf '%s\n' '#!/bin/sh' 'dir=$(dirname "$0")/usr' \
		'exec "$dir"/lib64/ld-linux-*.so.2 --library-path "$(echo "$dir"/lib/*-linux-gnu)" "$dir/bin/fuse-overlayfs" "$@"' \
		>"$out/fuse-overlayfs"
	chmod 755 "$out/fuse-overlayfs"
}

newer_fuse_overlayfs() {
	local dir=$TEST_CACHE/bench-fuse-overlayfs
	need fuse3
	build_once "$dir" "fuse-overlayfs of $NEWER_SUITE" unpack_newer
	"$dir/fuse-overlayfs" --version >&2
	echo "$dir/fuse-overlayfs"
}

what=${1-}
shift || true
case $what in
packages) need "$@" ;;
root)
	need mmdebstrap
	cached_root "$@"
	;;
apt-root)
	need mmdebstrap
	build_once "$TEST_CACHE/bench-apt" "apt $*" fetched_root "$@"
	echo "$TEST_CACHE/bench-apt"
	;;
archive)
	need mmdebstrap
	cached_archive "$@"
	;;
in-root) in_root "$@" ;;
newer-fuse-overlayfs) newer_fuse_overlayfs ;;
*)
	echo "usage: see the head of $0" >&2
	exit 2
	;;
esac
