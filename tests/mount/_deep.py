#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Stacks of many layers: made at random together with what they must look like, and many open files.

    _deep.py make DIR COUNT SEED   DIR/0 (the lowest) to DIR/COUNT-1; DIR/expected
    _deep.py check DIR MNT         MNT shows what is expected, by walking and by looking names up
    _deep.py files DIR COUNT       files of 8 KiB in DIR
    _deep.py hold MNT COUNT        opens all of them at once; reads, writes and deletes them while they are open
"""
import json
import os
import random
import stat
import sys

DIRS, TOUCHED, NAMES = 20, 5, 10
SIZE = 8192


class Layer:
    """One layer on the disk, and the same step on the MODEL: {directory: {name: text}}."""

    def __init__(self, top, number, model, rnd):
        self.top, self.text, self.model, self.rnd = top, str(number), model, rnd
        os.mkdir(top)

    def path(self, *names):
        return os.path.join(self.top, *names)

    def write(self, directory, name):
        os.makedirs(self.path(directory), exist_ok=True)
        with open(self.path(directory, name), "w", encoding="ascii") as f:
            f.write(self.text)
        self.model.setdefault(directory, {})[name] = self.text

    def whiteout(self, directory, name):
        os.makedirs(self.path(directory), exist_ok=True)
        if self.rnd.random() < 0.5:
            os.mknod(self.path(directory, name), stat.S_IFCHR, 0)
        else:
            open(self.path(directory, ".wh." + name), "wb").close()

    def add(self, directory):
        self.write(directory, f"n{self.rnd.randrange(NAMES)}")

    def hide(self, directory):
        if self.model.get(directory):
            name = self.rnd.choice(sorted(self.model[directory]))
            self.whiteout(directory, name)
            del self.model[directory][name]

    def remove(self, directory):
        if directory in self.model:
            self.whiteout("", directory)
            del self.model[directory]

    def opaque(self, directory):
        os.mkdir(self.path(directory))
        if self.rnd.random() < 0.5:
            os.setxattr(self.path(directory), "trusted.overlay.opaque", b"y")
        else:
            open(self.path(directory, ".wh..wh..opq"), "wb").close()
        self.model[directory] = {}
        self.write(directory, "only" + self.text)


def make(top, count, seed):
    rnd, model = random.Random(seed), {}
    for number in range(count):
        layer = Layer(os.path.join(top, str(number)), number, model, rnd)
        layer.write("shared", "f" + layer.text)
        layer.write("shared", "newest")
        for k in rnd.sample(range(DIRS), TOUCHED):
            rnd.choices((layer.add, layer.hide, layer.remove, layer.opaque), (70, 15, 5, 10))[0](f"t{k}")
    with open(os.path.join(top, "expected"), "w", encoding="ascii") as f:
        json.dump(model, f)


def read(path):
    with open(path, encoding="ascii") as f:
        return f.read()


def same(got, wanted, what):
    if got != wanted:
        sys.exit(f"FAIL: {what}: {got!r}, not {wanted!r}")


def check(top, mnt):
    with open(os.path.join(top, "expected"), encoding="ascii") as f:
        model = json.load(f)
    for directory, names in model.items():
        for k in range(NAMES):
            path = os.path.join(mnt, directory, f"n{k}")
            same(os.path.exists(path), f"n{k}" in names, f"{path} is there, before anything was listed")
    same(sorted(os.listdir(mnt)), sorted(model), "the root's names")
    for directory, names in model.items():
        got = {name: read(os.path.join(mnt, directory, name)) for name in os.listdir(os.path.join(mnt, directory))}
        same(got, names, directory)
        for k in range(NAMES):
            path = os.path.join(mnt, directory, f"absent{k}")
            same(os.path.exists(path), False, f"{path} is there, after the listing")
            path = os.path.join(mnt, directory, f"n{k}")
            same(os.path.exists(path), f"n{k}" in names, f"{path} is there, after the listing")


def block(number, generation):
    return f"{generation} {number} ".encode().ljust(16, b".") * (SIZE // 16)


def files(top, count):
    for i in range(count):
        with open(os.path.join(top, f"file{i}"), "wb") as f:
            f.write(block(i, "lower"))


def hold(mnt, count):
    paths = [os.path.join(mnt, f"file{i}") for i in range(count)]
    fds = [os.open(path, os.O_RDWR) for path in paths]
    for i, fd in enumerate(fds):
        same(os.pread(fd, SIZE, 0), block(i, "lower"), f"file{i} as it was")
    for i, fd in enumerate(fds):
        os.pwrite(fd, block(i, "upper"), 0)
    os.sync()
    for path in paths[::2]:
        os.unlink(path)
    with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as f:
        f.write("1")
    for i, fd in enumerate(fds):
        same(os.pread(fd, SIZE, 0), block(i, "upper"), f"file{i} while it is open")
    for fd in fds:
        os.close(fd)
    for i, path in enumerate(paths):
        same(os.path.exists(path), i % 2 == 1, f"{path} is there")
        if i % 2:
            with open(path, "rb") as f:
                same(f.read(), block(i, "upper"), path)


def main(what, *args):
    if what == "make":
        make(args[0], int(args[1]), int(args[2]))
    elif what == "check":
        check(*args)
    elif what == "files":
        files(args[0], int(args[1]))
    elif what == "hold":
        hold(args[0], int(args[1]))


main(*sys.argv[1:])
