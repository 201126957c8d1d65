# SPDX-License-Identifier: Apache-2.0
"""What is told to programs that sync files of a mount whose daemon has died.

    sync.py MOUNTPOINT PID      kills PID; prints the name of each file whose sync was a success
"""
import mmap
import os
import signal
import sys
import time

SIZE = 15000
FILES = 20
BYTES = b"x" * SIZE


def gone(pid):
    """Its parent may take the zombie away at any moment."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def written(path, flags=0):
    fd = os.open(path, os.O_RDWR | os.O_CREAT | flags)
    os.pwrite(fd, BYTES, 0)
    return fd


def mapped(path):
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    os.pwrite(fd, b"0" * SIZE, 0)
    os.fsync(fd)
    memory = mmap.mmap(fd, SIZE)
    memory[:] = BYTES
    return memory


def say(name, sync):
    try:
        sync()
    except OSError:
        return
    print(name)


def main():
    mnt, pid = sys.argv[1], int(sys.argv[2])
    os.chdir(mnt)
    # The kernel may learn from an answer that it need not ask again.
    os.fsync(written("before"))
    # A file that was made in another tick of the clock than it was written in has a time to send, which fails.
    fsync = [written(f"fsync{i}") for i in range(FILES)]
    fdatasync = [written(f"fdatasync{i}") for i in range(FILES)]
    memory = mapped("msync")
    dsync = written("dsync", os.O_DSYNC)
    os.pwrite(dsync, b"0" * SIZE, 0)
    os.kill(pid, signal.SIGKILL)
    while not gone(pid):
        time.sleep(0.01)
    say("before", lambda: None)
    for i in range(FILES):
        say(f"fsync{i}", lambda: os.fsync(fsync[i]))
        say(f"fdatasync{i}", lambda: os.fdatasync(fdatasync[i]))
    say("msync", memory.flush)
    say("dsync", lambda: os.pwrite(dsync, BYTES, 0))
    sys.stdout.flush()
    # Without closing anything: that would be a word about it, too.
    os._exit(0)


main()
