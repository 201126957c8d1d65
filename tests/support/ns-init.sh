#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# First process of a test script's private namespaces (in_private_ns of lib.sh): prepares the
# mounts, runs the script, takes care of orphans, and by ending ends everything in there.
set -euo pipefail

# Old and new control groups side by side are refused by crun and runc; without the new ones
# they are content. A pure cgroup2 machine has it at /sys/fs/cgroup and is left alone.
if mountpoint -q /sys/fs/cgroup/unified; then
	umount /sys/fs/cgroup/unified
fi

# podman keeps its locks there, under a name that all storage roots of a user share.
mount -t tmpfs -o mode=1777 tmpfs /dev/shm

rc=0
bash "$@" &
wait $! || rc=$?
exit "$rc"
