# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Installing Debian packages. Waits for others who do the same.

# missing_packages PACKAGE…: prints those that are not installed.
missing_packages() {
	local name
	for name; do
		[[ $(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null) == installed ]] || echo "$name"
	done
}

apt_install() {
	DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=600 install -y \
		--no-install-recommends "$@" </dev/null
}

# The lists' lock, unlike dpkg's, is not waited for by apt itself.
apt_update() {
	local try
	for try in 1 2 3 4 5 6 7 8 9 10; do
		apt-get -qq update </dev/null && return
		sleep "$try"
	done
	return 1
}

# install_packages PACKAGE…: apt's lists are refreshed only if it does not work without.
install_packages() {
	apt_install "$@" || { apt_update && apt_install "$@"; }
}
