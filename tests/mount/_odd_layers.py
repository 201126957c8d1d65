#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Images whose layers are odd: each as an OCI layout, and the tree that it must give.

_odd_layers.py list                     the names of all cases, one a line: NAME FAULT|-
_odd_layers.py make NAME DIR            the case's layout in DIR, tag t
_odd_layers.py tars NAME DIR            its layers alone: DIR/1.tar, DIR/2.tar...
_odd_layers.py check NAME MOUNTPOINT    compares; prints what differs
_odd_layers.py many N DIR               N layers: each writes `all` and its own fI; the even ones' stay

FAULT is a part of the message with which a strict mount refuses the case; "-": it is in order.
"""

import hashlib
import io
import json
import os
import stat
import sys
import tarfile

# ---- members ----


def member(name, kind=tarfile.REGTYPE, **more):
    m = tarfile.TarInfo(name)
    m.type = kind
    m.mode = more.pop("mode", 0o755 if kind == tarfile.DIRTYPE else 0o644)
    m.mtime = more.pop("mtime", 1000)
    m.uid, m.gid = more.pop("owner", (0, 0))
    m.linkname = more.pop("to", "")
    m.devmajor, m.devminor = more.pop("dev", (0, 0))
    m.pax_headers = more.pop("pax", {})
    data = more.pop("data", b"")
    m.size = len(data)
    assert not more
    return m, data


def f(name, data="", **more):
    return member(name, data=data.encode(), **more)


def d(name, **more):
    return member(name, tarfile.DIRTYPE, **more)


def s(name, to):
    return member(name, tarfile.SYMTYPE, to=to)


def h(name, to, **more):
    return member(name, tarfile.LNKTYPE, to=to, **more)


# ---- cases: layers from the bottom, the tree, the fault ----

BASE = [d("./"), d("a/"), f("a/x", "ax"), f("a/y", "ay"), d("b/"), f("b/z", "bz"), f("top", "top")]
LONG = "n" * 255
DEEP = "/".join(["d" * 100] * 20)

CASES = {
    "plain": ([BASE], "d a\nd b\nf a/x ax\nf a/y ay\nf b/z bz\nf top top\n", "-"),
    "whiteout": ([BASE, [f("a/.wh.x"), f(".wh.b")]], "d a\nf a/y ay\nf top top\n", "-"),
    "whiteout-and-name": (
        [BASE, [f("a/x", "new"), f("a/.wh.x"), f(".wh.top"), f("top", "new")]],
        "d a\nd b\nf a/x new\nf a/y ay\nf b/z bz\nf top new\n", "a name and its whiteout"),
    "opaque-last": ([BASE, [d("a/"), f("a/n", "n"), f("a/.wh..wh..opq")]],
                    "d a\nd b\nf a/n n\nf b/z bz\nf top top\n", "-"),
    "opaque-of-absent": ([BASE, [f("a/.wh..wh..opq")]], "d a\nd b\nf b/z bz\nf top top\n", "-"),
    "deleted-and-made-anew": ([BASE, [f(".wh.a"), d("a/"), f("a/n", "n")]],
                              "d a\nd b\nf a/n n\nf b/z bz\nf top top\n", "a name and its whiteout"),
    # Nothing of what was there stays: neither the link, nor the file, nor the directory's owner and mode.
    "deleted-and-needed-anew": (
        [[d("usr/"), d("usr/lib/"), f("usr/lib/keep", "keep"), s("lib", "usr/lib"), f("top", "top"),
          d("a/", mode=0o700, owner=(77, 77)), f("a/old", "old")],
         [f(".wh.lib"), f("lib/new", "new"), f(".wh.top"), f("top/in", "in"), f(".wh.a"), f("a/b/x", "x")]],
        "d a\nd a/b\nd lib\nd top\nd usr\nd usr/lib\nf a/b/x x\nf lib/new new\nf top/in in\n"
        "f usr/lib/keep keep\n", "-"),
    "bare-whiteout": ([BASE, [f("a/.wh.")]], "d a\nd b\nf a/x ax\nf a/y ay\nf b/z bz\nf top top\n",
                      "a whiteout of nothing"),
    "whiteout-as-link": ([BASE, [h("a/.wh.x", "no/where"), d(".wh.b/")]], "d a\nf a/y ay\nf top top\n",
                         "a whiteout that is no regular file"),
    "below-a-whiteout": ([BASE, [f(".wh.b"), f(".wh.b/z")]], "d a\nf a/x ax\nf a/y ay\nf top top\n",
                         "a member below a whiteout"),
    "aufs": ([[d(".wh..wh.plnk/"), f(".wh..wh.plnk/1.2", "linked"), f(".wh..wh.aufs"), h("one", ".wh..wh.plnk/1.2"),
               h("two", ".wh..wh.plnk/1.2")]], "f one linked\nf two linked\n", "-"),
    "whiteout-of-nothing": ([BASE, [f("no/.wh.thing"), f(".wh.none")]],
                            "d a\nd b\nd no\nf a/x ax\nf a/y ay\nf b/z bz\nf top top\n", "-"),
    "file-over-directory": ([BASE, [f("a", "file")]], "d b\nf a file\nf b/z bz\nf top top\n", "-"),
    "directory-over-file": ([BASE, [d("top/"), f("top/in", "in")]],
                            "d a\nd b\nd top\nf a/x ax\nf a/y ay\nf b/z bz\nf top/in in\n", "-"),
    "link-over-directory": ([BASE, [s("a", "b")]], "d b\nf b/z bz\nf top top\nl a>b\n", "-"),
    "parents-are-missing": ([[f("p/q/r", "r")]], "d p\nd p/q\nf p/q/r r\n", "-"),
    "parents-are-below": ([[d("p/", mode=0o711), d("p/q/", mode=0o1777)], [f("p/q/r", "r")]],
                          "d p 711\nd p/q 1777\nf p/q/r r\n", "-"),
    "parent-is-a-link-below": (
        [[d("usr/"), d("usr/lib/"), f("usr/lib/old", "old"), s("lib", "usr/lib"), s("abs", "/usr/lib")],
         [f("lib/new", "new"), f("abs/more", "more"), f("lib/.wh.old")]],
        "d usr\nd usr/lib\nf usr/lib/more more\nf usr/lib/new new\nl abs>/usr/lib\nl lib>usr/lib\n", "-"),
    "one-place-by-two-ways": (
        [[d("usr/"), d("usr/lib/"), f("usr/lib/old", "old"), s("lib", "usr/lib")],
         [f("usr/lib/second", "A"), f("lib/second", "B"), f("lib/first", "A"), f("usr/lib/first", "B"),
          f("usr/lib/app/x", "x"), d("lib/app/", mode=0o700), d("lib/dir/", mode=0o711), f("usr/lib/dir/y", "y")]],
        "d usr\nd usr/lib\nd usr/lib/app\nd usr/lib/dir\nf usr/lib/app/x x\nf usr/lib/dir/y y\n"
        "f usr/lib/first B\nf usr/lib/old old\nf usr/lib/second B\nl lib>usr/lib\n", "-"),
    "link-of-its-own-in-the-way": (
        [[d("usr/"), d("usr/lib/"), s("lib", "usr/lib")],
         [d("usr/"), d("usr/lib/"), d("usr/lib/real/"), s("usr/lib/x", "real"), f("lib/x/f", "f"),
          s("lib/y", "real"), f("usr/lib/y/g", "g")]],
        "d usr\nd usr/lib\nd usr/lib/real\nf usr/lib/real/f f\nf usr/lib/real/g g\nl lib>usr/lib\n"
        "l usr/lib/x>real\nl usr/lib/y>real\n", "-"),
    "parent-link-stays-inside": ([[s("up", "../../../../b"), d("b/")], [f("up/x", "x")]],
                                 "d b\nf b/x x\nl up>../../../../b\n", "-"),
    "names": ([[d("./"), f("/abs", "1"), f("./dot/./x", "2"), f("dot//y", "3"), f("dot/../z", "4")]],
              "d dot\nf abs 1\nf dot/x 2\nf dot/y 3\nf z 4\n", "-"),
    "outside": ([BASE, [f("../out", "x"), f("a/../../out", "x")]],
                "d a\nd b\nf a/x ax\nf a/y ay\nf b/z bz\nf top top\n", "leads out of the layer's root"),
    "duplicates": ([[f("x", "first"), h("kept", "x"), f("x", "second")]], "f kept first\nf x second\n",
                   "a second member of the same name"),
    "link-before-target": ([[h("early", "late"), f("late", "late")]], "f early late\nf late late\n",
                           "a hard link before its target"),
    "dangling-link": ([[f("x", "x"), h("lost", "no/where")]], "f x x\n", "a hard link without a target"),
    "link-to-lower": ([BASE, [h("again", "a/x"), h("b/third", "a/x")]],
                      "d a\nd b\nf a/x ax\nf a/y ay\nf again ax\nf b/third ax\nf b/z bz\nf top top\n", "-"),
    "link-to-lower-deleted": ([BASE, [h("kept", "a/x"), f("a/.wh.x")]],
                              "d a\nd b\nf a/y ay\nf b/z bz\nf kept ax\nf top top\n", "-"),
    "link-to-lower-replaced": ([BASE, [h("kept", "top"), f("top", "new")]],
                               "d a\nd b\nf a/x ax\nf a/y ay\nf b/z bz\nf kept top\nf top new\n", "-"),
    "link-of-a-link-below": ([BASE, [h("l2", "a/x")], [h("l3", "l2")]],
                             "d a\nd b\nf a/x ax\nf a/y ay\nf b/z bz\nf l2 ax\nf l3 ax\nf top top\n", "-"),
    "link-behind-a-link-below": (
        [[d("usr/"), d("usr/lib/"), f("usr/lib/a", "old"), f("usr/lib/b", "old"), f("usr/lib/c", "old c"),
          f("usr/lib/d", "old d"), s("lib", "usr/lib")],
         [d("usr/"), d("usr/lib/"), f("lib/a", "new"), h("a2", "usr/lib/a"), f("usr/lib/b", "new"), h("b2", "lib/b"),
          f("usr/lib/n", "new"), h("n2", "lib/n"), h("usr/lib/d", "lib/c"), h("lib/c", "usr/lib/d")]],
        "d usr\nd usr/lib\nf a2 new\nf b2 new\nf n2 new\nf usr/lib/a new\nf usr/lib/b new\nf usr/lib/c old c\n"
        "f usr/lib/d old c\nf usr/lib/n new\nl lib>usr/lib\n", "-"),
    "link-to-symlink": ([[s("s", "t"), h("s2", "s")]], "l s2>t\nl s>t\n", "-"),
    "link-headers": ([[f("x", "x"), h("y", "x", mode=0o4711, mtime=77), f("low", "low", mode=0o600)],
                      [h("up", "low", mode=0o2755, mtime=88)]],
                     "f low low\nf up low\nf x x\nf y x\n", "-"),
    "link-headers-in-order": (
        [[f("low", "low", mode=0o600), f("two", "two")],
         [h("a", "low", mode=0o4711, mtime=77), h("y", "two", mode=0o4711, mtime=77),
          h("z", "low", mode=0o2755, mtime=88), h("b", "two", mode=0o2755, mtime=88)]],
        "f a low\nf b two\nf low low\nf two two\nf y two\nf z low\n", "-"),
    "bytes": ([[f("\udcff\udcfe\n", "b"), f("t\u00e4st", "u")]], "f t\u00e4st u\nf \udcff\udcfe\n b\n", "-"),
    "long-names": ([[f(LONG, "l"), f(DEEP + "/x", "deep")]],
                   "".join("d " + "/".join(["d" * 100] * i) + "\n" for i in range(1, 21)) +
                   "f " + DEEP + "/x deep\nf " + LONG + " l\n", "-"),
}
# Two names of one inode.
SAME = {
    "aufs": [("one", "two")],
    "link-before-target": [("early", "late")],
    "link-to-lower": [("a/x", "again", "b/third")],
    "link-of-a-link-below": [("a/x", "l2", "l3")],
    "link-behind-a-link-below": [("a2", "usr/lib/a"), ("b2", "usr/lib/b"), ("n2", "usr/lib/n"), ("usr/lib/c", "usr/lib/d")],
    "link-to-symlink": [("s", "s2")],
    "link-headers": [("x", "y"), ("low", "up")],
    "link-headers-in-order": [("a", "low", "z"), ("b", "two", "y")],
}
# Modes and times that count.
STATS = {
    "link-headers": {"x": (0o4711, 77), "low": (0o2755, 88)},
    "link-headers-in-order": {"low": (0o2755, 88), "two": (0o2755, 88)},
    "deleted-and-needed-anew": {"a": (0o755, 0), "lib": (0o755, 0)},
    "one-place-by-two-ways": {"usr/lib/app": (0o700, 1000), "usr/lib/dir": (0o711, 1000)},
}


# ---- making ----


def tar_of(members):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT, errors="surrogateescape") as tar:
        for m, data in members:
            tar.addfile(m, io.BytesIO(data))
    return out.getvalue()


def put(top, data):
    digest = hashlib.sha256(data).hexdigest()
    with open(f"{top}/blobs/sha256/{digest}", "wb") as out:
        out.write(data)
    return "sha256:" + digest


def describe(top, kind, data):
    return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": put(top, data), "size": len(data)}


def make(layers, top):
    os.makedirs(f"{top}/blobs/sha256")
    tars = [tar_of(members) for members in layers]
    descriptors = [describe(top, "layer.v1.tar", t) for t in tars]
    config = {"architecture": "amd64", "os": "linux", "config": {},
              "rootfs": {"type": "layers", "diff_ids": [x["digest"] for x in descriptors]}}
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": describe(top, "config.v1+json", json.dumps(config).encode()), "layers": descriptors}
    entry = describe(top, "manifest.v1+json", json.dumps(manifest).encode())
    entry["annotations"] = {"org.opencontainers.image.ref.name": "t"}
    with open(f"{top}/index.json", "w", encoding="utf-8") as out:
        json.dump({"schemaVersion": 2, "manifests": [entry]}, out)
    with open(f"{top}/oci-layout", "w", encoding="utf-8") as out:
        out.write('{"imageLayoutVersion": "1.0.0"}')


# ---- checking ----


def lines_of(top, with_modes):
    lines = []
    for path, dirs, files in os.walk(top):
        for name in dirs + files:
            full = os.path.join(path, name)
            shown = os.path.relpath(full, top)
            st = os.lstat(full)
            if stat.S_ISLNK(st.st_mode):
                lines.append(f"l {shown}>{os.readlink(full)}\n")
            elif stat.S_ISDIR(st.st_mode):
                mode = f" {st.st_mode & 0o7777:o}" if with_modes else ""
                lines.append(f"d {shown}{mode}\n")
            else:
                with open(full, encoding="utf-8") as file:
                    lines.append(f"f {shown} {file.read()}\n")
    return sorted(lines)


def check(name, top):
    _, expected, _ = CASES[name]
    is_ok = True
    got = lines_of(top, name == "parents-are-below")
    # A name may have a newline in it: all lines are compared as one text.
    if "".join(got) != expected:
        print(f"{name}: is {''.join(got)!r}\nand must be {expected!r}")
        is_ok = False
    for group in SAME.get(name, []):
        found = {(os.lstat(f"{top}/{n}").st_ino, os.lstat(f"{top}/{n}").st_nlink) for n in group}
        if len(found) != 1 or found.pop()[1] != len(group):
            print(f"{name}: {group} are not one inode")
            is_ok = False
    for path, wanted in STATS.get(name, {}).items():
        st = os.lstat(f"{top}/{path}")
        if (st.st_mode & 0o7777, st.st_mtime) != wanted:
            print(f"{name}: {path} has {st.st_mode:o} and {st.st_mtime}, and must have {wanted}")
            is_ok = False
    return is_ok


def many(n):
    """Layer I puts fI, and takes away that of the layer before if that was an odd one."""
    for i in range(n):
        layer = [f("all", str(i)), f(f"f{i}", str(i))]
        yield layer + ([f(f".wh.f{i - 1}")] if i % 2 == 0 and i > 0 else [])


def main():
    if sys.argv[1] == "list":
        for name, (_, _, fault) in CASES.items():
            print(name, fault)
    elif sys.argv[1] == "make":
        make(CASES[sys.argv[2]][0], sys.argv[3])
    elif sys.argv[1] == "tars":
        for i, members in enumerate(CASES[sys.argv[2]][0], 1):
            with open(f"{sys.argv[3]}/{i}.tar", "wb") as out:
                out.write(tar_of(members))
    elif sys.argv[1] == "many":
        make(list(many(int(sys.argv[2]))), sys.argv[3])
    else:
        sys.exit(0 if check(sys.argv[2], sys.argv[3]) else 1)


main()
