# SPDX-License-Identifier: Apache-2.0
"""Compares two trees entry by entry: _tree.py [--no-owner] [--no-root] A B. Prints each difference; 1 if any.

_tree.py [--no-owner] [--no-root] [--no-links] A: prints the entries of one, a line each, to be compared later.
"""
import hashlib
import os
import stat
import sys


def content(path):
    digest = hashlib.sha256()
    with open(path, "rb") as f:
        while piece := f.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def xattrs(path):
    try:
        names = os.listxattr(path, follow_symlinks=False)
    except OSError:
        return {}
    return {n: os.getxattr(path, n, follow_symlinks=False) for n in names}


class Tree:
    def __init__(self, top, options):
        self.top = os.fsencode(top)
        self.options = options
        self.first = {}

    def describe(self, name):
        path = os.path.join(self.top, name) if name else self.top
        st = os.lstat(path)
        kind = stat.S_IFMT(st.st_mode)
        d = {"type": oct(kind), "xattrs": xattrs(path)}
        if kind != stat.S_IFLNK:
            d["mode"] = oct(st.st_mode & 0o7777)
        if "--no-owner" not in self.options:
            d["owner"] = (st.st_uid, st.st_gid)
        if kind in (stat.S_IFCHR, stat.S_IFBLK):
            d["rdev"] = st.st_rdev
        if kind == stat.S_IFLNK:
            d["target"] = os.readlink(path)
        if kind == stat.S_IFREG:
            d["size"] = st.st_size
            d["content"] = content(path)
        if kind != stat.S_IFDIR:
            d["mtime"] = int(st.st_mtime_ns // 1000000000)
            d["links"] = st.st_nlink
            # Names of one inode are known by the first of them.
            d["same as"] = self.first.setdefault((st.st_dev, st.st_ino), name)
        return d

    def names(self):
        out = []
        for path, dirs, files in os.walk(self.top):
            dirs.sort()
            for n in dirs + files:
                out.append(os.path.relpath(os.path.join(path, n), self.top))
        return sorted(out)


def show(tree, options):
    for n in ([] if "--no-root" in options else [b""]) + tree.names():
        d = tree.describe(n)
        if "--no-links" in options:
            d.pop("links", None)
        print(repr(n)[1:], *(f"{key}={d[key]!r}" for key in sorted(d)))
    return 0


def main():
    options = [a for a in sys.argv[1:] if a.startswith("--")]
    trees = [Tree(t, options) for t in sys.argv[1:] if not t.startswith("--")]
    if len(trees) == 1:
        return show(trees[0], options)
    a, b = trees
    x, y = a.names(), b.names()
    bad = 0
    for n in sorted(set(x) ^ set(y)):
        print(f"{n!r} is only in {a.top if n in set(x) else b.top}")
        bad = 1
    for n in ([] if "--no-root" in options else [b""]) + sorted(set(x) & set(y)):
        p, q = a.describe(n), b.describe(n)
        for key in p.keys() | q.keys():
            if p.get(key) != q.get(key):
                print(f"{n!r}: {key}: {p.get(key)} and {q.get(key)}")
                bad = 1
    print(f"{len(x)} and {len(y)} entries")
    return bad


sys.exit(main())
