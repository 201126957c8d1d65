#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Calls of several processes at once, after which the kernel's caches must say what is so.

    races.py links DIRECTORY ROUNDS     link counts, while another process asks for attributes
    races.py names DIRECTORY ROUNDS     what is made in a directory counts, while another process lists its parent
    races.py acls DIRECTORY ROUNDS      a mode that an ACL sets, likewise
    races.py moved DIRECTORY ROUNDS     the ctime of what is renamed, while another process asks for it
    races.py swapped DIRECTORY ROUNDS   the same of two that change places
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

AT_FDCWD, AT_EMPTY_PATH, AT_STATX_FORCE_SYNC, STATX_BASIC_STATS = -100, 0x1000, 0x2000, 0x7FF
RENAME_EXCHANGE = 2
LIBC = ctypes.CDLL(None)


def ask_for_ever(path):
    """Has the kernel ask the file system for PATH's attributes, again and again."""
    answer = ctypes.create_string_buffer(256)
    while True:
        LIBC.statx(AT_FDCWD, path.encode(), AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, answer)


def ctime(fd, flags=0):
    answer = ctypes.create_string_buffer(256)
    LIBC.statx(fd, b"", AT_EMPTY_PATH | flags, STATX_BASIC_STATS, answer)
    return struct.unpack_from("<qI", answer, 96)


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


class Looker:
    """A process that calls LOOK for ever, but for the while that it is told to rest."""

    def __init__(self, look):
        self.rest, self.rests = mmap.mmap(-1, 1), mmap.mmap(-1, 1)
        self.pid = os.fork()
        if self.pid == 0:
            self.run(look)

    def run(self, look):
        while True:
            while self.rest[0]:
                self.rests[0] = 1
                os.sched_yield()
            self.rests[0] = 0
            look()

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


def list_anew(directory):
    """Has the kernel ask for a listing with attributes."""
    tick = os.path.join(directory, "tick")
    # Its own is no good any more.
    os.close(os.open(tick, os.O_CREAT | os.O_WRONLY))
    os.unlink(tick)
    os.listdir(directory)


def while_listed(directory, rounds, change, is_right):
    """Listings that were made before a change must not count after it."""
    os.mkdir(os.path.join(directory, "seen"))
    lister, wrong = Looker(lambda: list_anew(directory)), 0
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


class Hog:
    """A process that keeps one processor busy."""

    def __init__(self, cpu):
        self.pid = os.fork()
        if self.pid == 0:
            os.sched_setaffinity(0, {cpu})
            while True:
                pass

    def end(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def make_each(directory, prefix):
    """One of each kind; returns their paths."""
    paths = [os.path.join(directory, prefix + kind) for kind in ("directory", "link", "pipe", "file")]
    os.mkdir(paths[0])
    os.symlink("nowhere", paths[1])
    os.mkfifo(paths[2])
    os.close(os.open(paths[3], os.O_CREAT | os.O_WRONLY))
    return paths


def while_asked(directory, rounds, rename):
    """
    Answers that were made before a rename must not count after it. Who asks shares its processor with one that never
    sleeps, and has to wait for it with the answer there already.
    """
    cpu = max(os.sched_getaffinity(0))
    paths = make_each(directory, "one-"), make_each(directory, "other-")
    fds = [[os.open(path, os.O_PATH | os.O_NOFOLLOW) for path in some] for some in paths]

    def ask():
        os.sched_setaffinity(0, {cpu})
        for fd in asked:
            ctime(fd, AT_STATX_FORCE_SYNC)

    hog, wrong = Hog(cpu), 0
    try:
        for kind, path in enumerate(paths[0]):
            asked = [some[kind] for some in fds]
            asker = Looker(ask)
            try:
                for number in range(rounds):
                    time.sleep(random.random() / 100)
                    rename(path, paths[1][kind], number)
                    with asker.resting():
                        wrong += any(ctime(fd) != ctime(fd, AT_STATX_FORCE_SYNC) for fd in asked)
            finally:
                asker.end()
    finally:
        hog.end()
    return wrong


def rename_to_and_fro(one, _, number):
    there = one + "-moved"
    os.rename(*((there, one) if number % 2 else (one, there)))


def swap(one, other, _):
    if LIBC.renameat2(AT_FDCWD, one.encode(), AT_FDCWD, other.encode(), RENAME_EXCHANGE) != 0:
        sys.exit(f"cannot exchange {one} and {other}")


def moved(directory, rounds):
    return while_asked(directory, rounds, rename_to_and_fro)


def swapped(directory, rounds):
    return while_asked(directory, rounds, swap)


def main():
    directory, rounds = sys.argv[2], int(sys.argv[3])
    checks = {"links": links, "names": names, "acls": acls, "moved": moved, "swapped": swapped}
    wrong = checks[sys.argv[1]](directory, rounds)
    if wrong:
        sys.exit(f"wrong {wrong} times in {rounds} rounds")


main()
