#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Calls of several processes at once, after which the kernel's caches must say what is so.

    races.py links DIRECTORY ROUNDS     link counts, while another process asks for attributes
    races.py names DIRECTORY ROUNDS     what is made in a directory counts, while another process lists its parent
    races.py acls DIRECTORY ROUNDS      a mode that an ACL sets, likewise
"""
import contextlib
import ctypes
import mmap
import os
import random
import signal
import struct
import sys
import time

AT_FDCWD, AT_STATX_FORCE_SYNC, STATX_BASIC_STATS = -100, 0x2000, 0x7FF


def ask_for_ever(path):
    """Has the kernel ask the file system for PATH's attributes, again and again."""
    libc = ctypes.CDLL(None)
    answer = ctypes.create_string_buffer(256)
    while True:
        libc.statx(AT_FDCWD, path.encode(), AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, answer)


def links(directory, rounds):
    """The kernel counts down the links of what was unlinked by itself. It may have been told already."""
    kept, other = os.path.join(directory, "kept"), os.path.join(directory, "other")
    wrong = 0
    with open(kept, "w", encoding="utf-8"):
        pass
    asker = os.fork()
    if asker == 0:
        ask_for_ever(kept)
    try:
        for _ in range(rounds):
            os.link(kept, other)
            os.unlink(other)
            wrong += os.stat(kept).st_nlink != 1
    finally:
        os.kill(asker, signal.SIGKILL)
        os.waitpid(asker, 0)
    return wrong


class Lister:
    """A process that lists DIRECTORY with attributes, anew each time, but for the while that it is told to rest."""

    def __init__(self, directory):
        self.rest, self.rests = mmap.mmap(-1, 1), mmap.mmap(-1, 1)
        self.pid = os.fork()
        if self.pid == 0:
            self.run(os.path.join(directory, "tick"))

    def run(self, tick):
        while True:
            while self.rest[0]:
                self.rests[0] = 1
                os.sched_yield()
            self.rests[0] = 0
            # The kernel's own listing is no good any more.
            os.close(os.open(tick, os.O_CREAT | os.O_WRONLY))
            os.unlink(tick)
            os.listdir(os.path.dirname(tick))

    @contextlib.contextmanager
    def resting(self):
        self.rest[0] = 1
        while not self.rests[0]:
            os.sched_yield()
        yield
        self.rest[0] = 0
        while self.rests[0]:
            os.sched_yield()

    def end(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def while_listed(directory, rounds, change, is_right):
    """Listings that were made before a change must not count after it."""
    os.mkdir(os.path.join(directory, "seen"))
    lister, wrong = Lister(directory), 0
    try:
        for number in range(rounds):
            time.sleep(random.random() / 1000)
            change(os.path.join(directory, "seen"), number)
            with lister.resting():
                wrong += not is_right(os.stat(os.path.join(directory, "seen")), number)
    finally:
        lister.end()
    return wrong


def names(directory, rounds):
    return while_listed(directory, rounds, lambda seen, number: os.mkdir(f"{seen}/{number}"),
                        lambda st, number: st.st_nlink == number + 3)


def mode_of(number):
    return 0o700 if number % 2 else 0o755


def set_acl(path, number):
    mode = mode_of(number)
    entries = ((1, mode >> 6), (4, mode >> 3 & 7), (0x20, mode & 7))
    acl = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", tag, bits, 0xFFFFFFFF) for tag, bits in entries)
    os.setxattr(path, "system.posix_acl_access", acl)


def acls(directory, rounds):
    return while_listed(directory, rounds, set_acl, lambda st, number: st.st_mode & 0o777 == mode_of(number))


def main():
    directory, rounds = sys.argv[2], int(sys.argv[3])
    wrong = {"links": links, "names": names, "acls": acls}[sys.argv[1]](directory, rounds)
    if wrong:
        sys.exit(f"wrong {wrong} times of {rounds}")


main()
