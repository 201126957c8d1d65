# SPDX-License-Identifier: Apache-2.0
"""FUSE requests of one mount by type, from the kernel's tracepoint fuse_request_send.

A trace instance of its own is used, so nobody else's tracing changes. FORGET is not traced by the kernel.
"""
import collections
import contextlib
import glob
import os
import re

TRACING = "/sys/kernel/tracing"
INSTANCE = f"{TRACING}/instances/" + os.environ.get("BENCH_TRACE", "plyfs-bench")
BUFFERS_KIB = 256 * 1024  # of all processors; a request takes about 40 bytes


def available():
    return os.path.isdir(f"{TRACING}/events/fuse/fuse_request_send") and os.access(f"{TRACING}/instances", os.W_OK)


def write(name, text):
    with open(f"{INSTANCE}/{name}", "w", encoding="ascii") as f:
        f.write(text)


def connection_of(mnt):
    """The number of the FUSE connection, which is the device number of its root."""
    device = os.stat(mnt).st_dev
    return os.major(device) << 20 | os.minor(device)


def count():
    seen = collections.Counter()
    with open(f"{INSTANCE}/trace", encoding="ascii", errors="replace") as f:
        for line in f:
            found = re.search(r"\(FUSE_(\w+)\)", line)
            if found:
                seen[found.group(1).lower()] += 1
    if lost():
        seen["not counted"] = lost()
    return dict(seen)


def lost():
    """Requests for which there was no room."""
    total = 0
    for path in glob.glob(f"{INSTANCE}/per_cpu/cpu*/stats"):
        with open(path, encoding="ascii") as f:
            total += sum(int(line.split(":")[1]) for line in f if line.startswith(("overrun:", "dropped events:")))
    return total


@contextlib.contextmanager
def requests(mnt):
    """Gives a dictionary that is filled at the end of the block; stays empty if MNT is None."""
    seen = {}
    if mnt is None or not available():
        yield seen
        return
    os.makedirs(INSTANCE, exist_ok=True)
    try:
        connection = connection_of(mnt)
        write("buffer_size_kb", str(BUFFERS_KIB // os.cpu_count()))
        write("events/fuse/fuse_request_send/filter", f"connection == {connection}")
        write("events/fuse/fuse_request_send/enable", "1")
        yield seen
        write("events/fuse/fuse_request_send/enable", "0")
        seen.update(count())
    finally:
        os.rmdir(INSTANCE)
