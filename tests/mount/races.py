#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Calls of several processes at once, after which the kernel's caches must say what is so.

    races.py links DIRECTORY ROUNDS     link counts, while another process asks for attributes
"""
import ctypes
import os
import signal
import sys

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


def main():
    directory, rounds = sys.argv[2], int(sys.argv[3])
    wrong = {"links": links}[sys.argv[1]](directory, rounds)
    if wrong:
        sys.exit(f"wrong {wrong} times of {rounds}")


main()
