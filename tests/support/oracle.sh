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
