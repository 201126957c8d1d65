# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Builds tests/mount/oracle and says how it is called. Sourced after lib.sh.

ORACLE_SOURCES=$(cd "$SUPPORT_DIR/../mount/oracle" && pwd)

# build_oracle: sets ORACLE to a program made from tests/mount/oracle.
build_oracle() {
	ORACLE=$WORK/oracle
	"${CC:-cc}" -std=gnu17 -D_GNU_SOURCE -O1 -g -Wall -Wextra -I"$SUPPORT_DIR/.." -o "$ORACLE" "$ORACLE_SOURCES"/*.c
}

# lower_list DIR N: DIR/0 .. DIR/N-1 as the value of lowerdir=.
lower_list() {
	local i list=$1/0
	for ((i = 1; i < $2; i++)); do
		list+=:$1/$i
	done
	printf '%s' "$list"
}

# settle_links MOUNT: a lower file one of whose names is hidden by a layer above shows more links than it has
# names, as on overlayfs, which a plain directory cannot. Such names get files of their own, in the upper.
settle_links() {
	local ino name
	find "$1" -type f -links +1 -printf '%i %n\n' | sort | uniq -c | awk '$1 != $3 {print $2}' >"$WORK/hidden-links"
	while read -r ino; do
		find "$1" -type f -inum "$ino" -print0 >"$WORK/hidden-names"
		while IFS= read -r -d '' name; do
			cp -a "$name" "$name.own"
			mv "$name.own" "$name"
		done <"$WORK/hidden-names"
	done <"$WORK/hidden-links"
}
