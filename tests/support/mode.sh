# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Sourced by lib.sh: a whole script in another mode of plyfs.
#
# PLYFS_TEST_MOUNT_OPTIONS  options that each mount of the script gets, before those that it names itself, which
#                           so win. They reach the mounts of podman, mount(8) and child programs, too: PLYFS is a
#                           program in front of the one under test, which becomes it (PLYFS_BINARY).
# MODE                      the same options between commas, for what a script has to ask: [[ $MODE == *,io_uring=1,* ]]

MODE=,${PLYFS_TEST_MOUNT_OPTIONS:-},
[[ -n ${PLYFS_TEST_NS:-} ]] || PLYFS_BINARY=$PLYFS
export PLYFS_BINARY
FUSE_URING=/sys/module/fuse/parameters/enable_uring

# make_mode_program DIRECTORY: PLYFS is there from now on, and in front of PLYFS_BINARY.
make_mode_program() {
	PLYFS=$1/$PLYFS_NAME
	mkdir -p "$1"
	touch "$WORK/mode-mounts"
	chmod 666 "$WORK/mode-mounts"
	{
		printf '#!/bin/bash\nbinary=%q options=%q mounts=%q\n' "$PLYFS_BINARY" "$PLYFS_TEST_MOUNT_OPTIONS" \
			"$WORK/mode-mounts"
		cat "$SUPPORT_DIR/in-mode.sh"
	} >"$PLYFS"
	chmod 755 "$PLYFS"
}

# Once a script: in the private namespaces both are there already.
enter_mode() {
	[[ -n ${PLYFS_TEST_MOUNT_OPTIONS:-} && -z ${PLYFS_TEST_NS:-} ]] || return 0
	make_mode_program "$WORK/mode"
	[[ $MODE != *,io_uring=1,* ]] || set_switch "$FUSE_URING" Y
}

# switch_uring VALUE, restored by unswitch_uring: in that mode it is on anyway, and has to stay.
switch_uring() { [[ $MODE == *,io_uring=1,* ]] || set_switch "$FUSE_URING" "$1"; }
unswitch_uring() { [[ $MODE == *,io_uring=1,* ]] || restore_switches; }

# A script that reached plyfs past the mode has shown nothing for it.
mode_summary() {
	[[ -n ${PLYFS_TEST_MOUNT_OPTIONS:-} ]] || return 0
	printf '# %s: %d mounts with %s\n' "$SCRIPT_NAME" "$(wc -l <"$WORK/mode-mounts")" "$PLYFS_TEST_MOUNT_OPTIONS"
}
