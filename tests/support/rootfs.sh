# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Debian root trees for tests and for scripts/try, made by mmdebstrap from the machine's own
# package sources. Sourced after packages.sh; needs the package mmdebstrap.

# The sources in one-line form. Only Debian's own: other vendors' packages are no part of the
# image, and their keys are not there.
debian_sources() {
	apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' \
		'Created-By: Packages' 'Origin: Debian' | LC_ALL=C sort -u
}

# What apt needs on this machine to reach its sources (a proxy, a mirror frozen at a date), so
# that apt works the same way inside the image.
apt_settings() {
	apt-config dump | grep -E '^Acquire::(Check-|https?::Proxy |Retries)' || true
}

# make_debian_root OUT [PACKAGE…]: OUT is a directory, or a tar archive if it ends in .tar.
make_debian_root() {
	local out=$1 line sources options=() packages
	shift
	packages=$(IFS=,; echo "$*")
	[[ -z $packages ]] || options+=("--include=$packages")
	while read -r line; do options+=("--aptopt=$line"); done < <(apt_settings)
	sources=$(debian_sources)
	if [[ -z $sources ]]; then
		apt_update
		sources=$(debian_sources)
	fi
	[[ -n $sources ]] || { echo "apt knows no Debian packages: look at /etc/apt/sources.list.d" >&2; return 1; }
	# shellcheck disable=SC1091
	mmdebstrap --quiet --mode=root --variant=minbase "${options[@]}" \
		"$(. /etc/os-release && echo "$VERSION_CODENAME")" "$out" - <<<"$sources"
}

# cached_root NAME [PACKAGE…]: prints the directory CACHE/NAME with such a root; made by the
# first who asks, kept for the others. It is for reading only: lay a file system over it.
cached_root() {
	local dir=$TEST_CACHE/$1 name=$1
	shift
	build_once "$dir" "root $*" make_debian_root "$@" || { echo "cannot make the root tree $name" >&2; return 1; }
	echo "$dir"
}

# cached_archive NAME: the same tree as a tar archive, which podman imports.
cached_archive() {
	local dir out=$TEST_CACHE/$1.tar
	dir=$(cached_root "$@") || return 1
	build_once "$out" "tar $*" archive_of "$dir"
	echo "$out"
}

archive_of() {
	tar -C "$2" --xattrs --numeric-owner -cf "$1" .
}

# build_once OUT KEY COMMAND…: runs COMMAND with a temporary OUT as its first argument unless
# an OUT made with the same KEY is there. One process at a time; a torn build leaves nothing.
build_once() {
	local out=$1 key=$2 command=$3
	shift 3
	mkdir -p "$TEST_CACHE"
	(
		flock 9
		if [[ -e $out && $(cat "$out.key" 2>/dev/null) == "$key" ]]; then exit 0; fi
		rm -rf "$out" "$out.key" "$TEST_CACHE"/new.*
		partial=$TEST_CACHE/new.$(basename "$out")
		"$command" "$partial" "$@" >"$out.log" 2>&1 || { tail -n 20 "$out.log" >&2; exit 1; }
		mv "$partial" "$out"
		echo "$key" >"$out.key"
	) 9>"$TEST_CACHE/lock"
}

# in_root ROOT CMD…: runs it with ROOT as its root directory, with /proc and /dev, in a mount
# namespace of its own, so that nothing under ROOT is left mounted.
in_root() {
	local root=$1
	shift
	# shellcheck disable=SC2016  # the inner shell expands them
	unshare --mount --propagation private bash -ec '
		mount --rbind /dev "$1/dev"
		mount -t proc proc "$1/proc"
		root=$1
		shift
		exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
			LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive chroot "$root" "$@"
	' sh "$root" "$@"
}
