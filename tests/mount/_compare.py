#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What is different about two unpacked trees, to hold against plyfs diff --json.

_compare.py [--mtime] [--no-root] A B <JSON     prints what is wrong; 1 when something is
"""

import base64
import json
import os
import stat
import sys

KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "symlink",
    stat.S_IFCHR: "char",
    stat.S_IFBLK: "block",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
}


def walk(trees, path):
    """Calls for every name of both, each directory before what is in it, sorted by bytes."""
    yield path
    below = set()
    for tree in trees:
        full = tree + path
        if os.path.isdir(full) and not os.path.islink(full):
            below |= set(os.listdir(full))
    for name in sorted(below):
        yield from walk(trees, (path if path != b"/" else b"") + b"/" + name)


def look(full):
    try:
        return os.lstat(full)
    except (FileNotFoundError, NotADirectoryError):
        return None


def xattrs(full):
    return {n: os.getxattr(full, n, follow_symlinks=False) for n in os.listxattr(full, follow_symlinks=False)}


def content(full):
    with open(full, "rb") as f:
        return f.read()


class Links:
    """The first names of two files make them twins."""

    def __init__(self):
        self.a, self.b = {}, {}

    def differ(self, a, b):
        if stat.S_ISDIR(a.st_mode) or (a.st_nlink <= 1 and b.st_nlink <= 1):
            return False
        if a.st_ino not in self.a and b.st_ino not in self.b:
            self.a[a.st_ino], self.b[b.st_ino] = b.st_ino, a.st_ino
            return False
        return self.a.get(a.st_ino) != b.st_ino or self.b.get(b.st_ino) != a.st_ino


def reasons(a, b, full_a, full_b, links, times):
    kind = stat.S_IFMT(a.st_mode)
    found = set()
    if kind == stat.S_IFREG and a.st_size != b.st_size:
        found.add("size")
    elif kind == stat.S_IFREG and content(full_a) != content(full_b):
        found.add("content")
    if kind == stat.S_IFLNK and os.readlink(full_a) != os.readlink(full_b):
        found.add("target")
    if kind in (stat.S_IFCHR, stat.S_IFBLK) and a.st_rdev != b.st_rdev:
        found.add("device")
    if kind != stat.S_IFLNK and a.st_mode != b.st_mode:
        found.add("mode")
    if (a.st_uid, a.st_gid) != (b.st_uid, b.st_gid):
        found.add("owner")
    if times and a.st_mtime_ns != b.st_mtime_ns:
        found.add("time")
    if xattrs(full_a) != xattrs(full_b):
        found.add("xattr")
    if links.differ(a, b):
        found.add("links")
    return found


def wanted(tree_a, tree_b, times):
    links = Links()
    for path in walk((tree_a, tree_b), b"/"):
        full_a, full_b = tree_a + path, tree_b + path
        a, b = look(full_a), look(full_b)
        if a is None:
            yield path, "added", set()
        elif b is None:
            yield path, "deleted", set()
        elif stat.S_IFMT(a.st_mode) != stat.S_IFMT(b.st_mode):
            yield path, "type", {"type"}
        else:
            why = reasons(a, b, full_a, full_b, links, times)
            if why:
                yield path, "modified", why


def path_of(entry):
    if "path_base64" in entry:
        return base64.b64decode(entry["path_base64"])
    return entry["path"].encode()


def check_side(path, entry, key, tree):
    st = look(tree + path)
    side = entry.get(key)
    if (st is None) != (side is None):
        return f"{path}: {key} is {side}"
    if st is None:
        return None
    mode = stat.S_IMODE(st.st_mode)
    want = (KINDS[stat.S_IFMT(st.st_mode)], f"{mode:04o}", st.st_uid, st.st_gid)
    got = (side["type"], side["mode"], side["uid"], side["gid"])
    return None if want == got else f"{path}: {key} is {got}, not {want}"


def main():
    options = [a for a in sys.argv[1:] if a.startswith("--")]
    tree_a, tree_b = [a.encode() for a in sys.argv[1:] if not a.startswith("--")]
    document = json.load(sys.stdin)
    want = [w for w in wanted(tree_a, tree_b, "--mtime" in options)]
    got = [(path_of(d), d["change"], set(d["reasons"])) for d in document["differences"]]
    if "--no-root" in options:
        want = [w for w in want if w[0] != b"/"]
        got = [g for g in got if g[0] != b"/"]
    wrong = [f"missing: {w}" for w in want if w not in got] + [f"not so: {g}" for g in got if g not in want]
    if not wrong and want != got:
        wrong.append("the order is another")
    for d in document["differences"]:
        for key, tree in (("before", tree_a), ("after", tree_b)):
            problem = check_side(path_of(d), d, key, tree)
            if problem and not ("--no-root" in options and path_of(d) == b"/"):
                wrong.append(problem)
    print(f"{len(want)} differences", *wrong, sep="\n")
    return len(wrong) > 0


if __name__ == "__main__":
    sys.exit(main())
