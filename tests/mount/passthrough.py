#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Readers for passthrough.sh: each compares what a mount gives with the plain files of a layer.

    passthrough.py same LAYER MOUNT            every file: read, pread at odd places, mmap, size
    passthrough.py many LAYER MOUNT N          N files held open at once, twice each
    passthrough.py storm LAYER MOUNT ROUNDS    processes that open, read, map and close the same files
    passthrough.py steady FILE COPY            reads while a line on stdin says to go on
    passthrough.py direct FILE CODE...         O_DIRECT while it is open otherwise, and while it is not
"""
import errno
import mmap
import os
import random
import sys


def read_all(path, flags=0):
    fd = os.open(path, os.O_RDONLY | flags)
    try:
        return os.read(fd, os.fstat(fd).st_size + 1)
    finally:
        os.close(fd)


def names(layer):
    for folder, _, files in os.walk(layer):
        for name in files:
            path = os.path.join(folder, name)
            if not os.path.islink(path):
                yield os.path.relpath(path, layer)


def same_mapped(path, want):
    """A mapping outlives its descriptor; a private one can be written without anybody seeing it."""
    with open(path, "rb") as f:
        shared = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)
        private = mmap.mmap(f.fileno(), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE)
    assert shared[:] == want, f"{path}: mapped bytes differ"
    private[0] = want[0] ^ 255
    assert shared[:] == want and private[1:] == want[1:], f"{path}: a private mapping shows elsewhere"


def same_file(there, here):
    want = read_all(there)
    assert read_all(here) == want, f"{here}: bytes differ"
    assert os.stat(here).st_size == len(want), f"{here}: size"
    fd = os.open(here, os.O_RDONLY)
    for off in (0, 1, 4095, 4096, 4097, len(want) // 2, max(0, len(want) - 1), len(want), len(want) + 5):
        assert os.pread(fd, 5000, off) == want[off:off + 5000], f"{here}: bytes at {off}"
    os.close(fd)
    if want:
        same_mapped(here, want)


def same(layer, mount):
    n = 0
    for name in names(layer):
        same_file(os.path.join(layer, name), os.path.join(mount, name))
        n += 1
    assert n > 0
    print(n)


def many(layer, mount, count):
    chosen = sorted(names(layer))[:int(count)]
    assert len(chosen) == int(count), len(chosen)
    held = [os.open(os.path.join(mount, name), os.O_RDONLY) for name in chosen for _ in range(2)]
    for i, fd in enumerate(held):
        want = read_all(os.path.join(layer, chosen[i // 2]))
        assert os.pread(fd, len(want) + 1, 0) == want, chosen[i // 2]
    for fd in held:
        os.close(fd)


def one_client(seed, layer, mount, rounds):
    rand = random.Random(seed)
    chosen = sorted(names(layer))
    want = {name: read_all(os.path.join(layer, name)) for name in chosen}
    for _ in range(rounds):
        name = rand.choice(chosen)
        here = os.path.join(mount, name)
        if rand.random() < 0.2 and want[name]:
            same_mapped(here, want[name])
        else:
            assert read_all(here) == want[name], name


def storm(layer, mount, rounds):
    seed = random.randrange(1 << 32)
    print("seed", seed)
    children = []
    for i in range(6):
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                one_client(seed + i, layer, mount, int(rounds))
                code = 0
            except BaseException as e:  # pylint: disable=broad-except
                print(f"client {i}: {e!r}", file=sys.stderr)
            os._exit(code)
        children.append(pid)
    bad = [pid for pid in children if os.waitpid(pid, 0)[1] != 0]
    assert not bad, "a client failed"


def steady(path, copy):
    """Says "open", then compares once for each line that it reads, through the descriptor and the mapping of before."""
    want = read_all(copy)
    with open(path, "rb", buffering=0) as f:
        mapped = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)
        print("open", flush=True)
        for _ in sys.stdin:
            assert os.pread(f.fileno(), len(want) + 1, 0) == want, "read"
            assert mapped[:] == want, "mapped"
            print("same", flush=True)


def try_direct(path):
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECT)
    except OSError as e:
        return errno.errorcode[e.errno]
    want = read_all(path)
    page = mmap.mmap(-1, 1 << 20)
    got = os.preadv(fd, [page], 0)
    assert page[:got] == want[:got] and got == min(len(want), 1 << 20), f"{path}: O_DIRECT reads other bytes"
    os.close(fd)
    return "ok"


def direct(path, held, alone):
    fd = os.open(path, os.O_RDONLY)
    assert os.read(fd, 1)
    assert try_direct(path) == held, f"{path}: {try_direct(path)} while it is open, not {held}"
    os.close(fd)
    assert try_direct(path) == alone, f"{path}: {try_direct(path)} alone, not {alone}"


if __name__ == "__main__":
    {"same": same, "many": many, "storm": storm, "steady": steady, "direct": direct}[sys.argv[1]](*sys.argv[2:])
