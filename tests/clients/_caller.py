#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Calls a mount program the way its Go clients do, which a shell cannot.

call:  standard input and output are /dev/null, standard error is a pipe (--combined: standard
       output as well, as Go's CombinedOutput has it). Go waits for the exit *and* for the end
       of the pipe, so a daemon that keeps the pipe hangs its client. Prints what came through
       the pipe and exits with the program's code; 124: it did not exit in time, 125: it did,
       but the pipe stayed open.

devfd: opens /dev/fuse and mounts it itself, as a privileged helper does for a program that has
       no privileges; the program gets /dev/fd/N as its mount point.
"""

import argparse
import ctypes
import os
import selectors
import signal
import subprocess
import sys
import time

MS_NOSUID_NODEV = 2 | 4


def read_to_end(pipe, deadline):
    """The bytes up to the end of the pipe, and whether the end came in time."""
    text = b""
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while selector.select(max(0, deadline - time.monotonic())):
            part = os.read(pipe, 65536)
            if not part:
                return text, True
            text += part
    return text, False


def call(args):
    reader, writer = os.pipe()
    stdout = writer if args.combined else subprocess.DEVNULL
    program = subprocess.Popen(
        args.argv, stdin=subprocess.DEVNULL, stdout=stdout, stderr=writer, cwd=args.cwd
    )
    os.close(writer)
    deadline = time.monotonic() + args.timeout
    text, ended = read_to_end(reader, deadline)
    sys.stdout.buffer.write(text)
    sys.stdout.flush()
    try:
        code = program.wait(max(0.1, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        program.kill()
        return 124
    return code if ended else 125


def devfd(args):
    fuse = os.open("/dev/fuse", os.O_RDWR)
    data = f"fd={fuse},rootmode=40000,user_id=0,group_id=0,default_permissions,allow_other"
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"caller", args.target.encode(), args.fstype.encode(), MS_NOSUID_NODEV, data.encode()):
        raise OSError(ctypes.get_errno(), "mount")
    program = subprocess.run(
        [*args.argv, f"/dev/fd/{fuse}"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        pass_fds=[fuse], timeout=args.timeout, check=False,
    )
    return program.returncode


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--timeout", type=float, default=10)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("call")
    command.add_argument("--combined", action="store_true")
    command.add_argument("--cwd")
    command.add_argument("argv", nargs="+")
    command.set_defaults(run=call)
    command = commands.add_parser("devfd")
    command.add_argument("target")
    command.add_argument("fstype")
    command.add_argument("argv", nargs="+")
    command.set_defaults(run=devfd)
    args = parser.parse_args()
    # A shell in the background ignores these and would hand that on.
    for number in signal.SIGINT, signal.SIGQUIT:
        signal.signal(number, signal.SIG_DFL)
    return args.run(args)


if __name__ == "__main__":
    sys.exit(main())
