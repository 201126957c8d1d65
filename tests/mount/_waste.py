#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What of an image's layers is hidden and what is there twice, out of their tars, to hold against plyfs waste --json -n 0.

_waste.py TAR... <JSON      the layers, the lowest first; prints what is wrong; 1 when something is
"""

import hashlib
import json
import os
import sys
import tarfile


class File:
    """The bytes of one file of one layer."""

    def __init__(self, layer, size, content):
        self.layer, self.size, self.content = layer, size, content
        self.names, self.shown = set(), set()
        self.why, self.by = "shown", None
        self.above = {}


def hide(shown, path, why, by, itself=True):
    """PATH and all below it are shown no more."""
    for p in [p for p in shown if (itself and p == path) or p.startswith(path + "/") or path == ""]:
        what = shown.pop(p)
        if isinstance(what, File):
            what.shown.discard(p)
            what.why, what.by = (why if p == path else "deleted"), by


def read_layer(name, number):
    """Names of a layer: a File, or something else's type; its whiteouts; its opaque directories."""
    entries, whiteouts, opaque = {}, [], []
    with tarfile.open(name) as tar:
        for m in tar:
            path = os.path.normpath(m.name)
            path = "" if path == "." else path
            base = os.path.basename(path)
            if base == ".wh..wh..opq":
                opaque.append(os.path.dirname(path))
            elif base.startswith(".wh."):
                whiteouts.append(os.path.join(os.path.dirname(path), base[4:]))
            elif m.isfile():
                data = tar.extractfile(m).read()
                entries[path] = File(number, len(data), hashlib.sha256(data).hexdigest())
            elif m.islnk():
                entries[path] = ("link", os.path.normpath(m.linkname))
            else:
                entries[path] = m.type
    return entries, whiteouts, opaque


def apply(shown, files, layer, number):
    entries, whiteouts, opaque = layer
    below = dict(shown)
    for path, what in list(entries.items()):
        if isinstance(what, tuple):
            # The file of this layer, or the one below, as it was before this layer.
            entries[path] = entries[what[1]] if what[1] in entries else below[what[1]]
    for path in whiteouts:
        hide(shown, path, "deleted", number)
    for path in opaque:
        hide(shown, path, "deleted", number, itself=False)
    for path, what in entries.items():
        old = below.get(path)
        if isinstance(old, File) and isinstance(what, File) and old is not what:
            old.above[path] = what
        if isinstance(old, File) and old is not what and path not in shown and old.by == number:
            old.why = "replaced"
        if path in shown and not (shown[path] == what == tarfile.DIRTYPE):
            hide(shown, path, "replaced", number)
    for path, what in entries.items():
        shown[path] = what
        if isinstance(what, File):
            what.names.add(path)
            what.shown.add(path)
            if what not in files:
                files.append(what)


def main():
    shown, files = {}, []
    for number, name in enumerate(sys.argv[1:], 1):
        apply(shown, files, read_layer(name, number), number)
    files = [f for f in files if f.size > 0]
    hidden = [f for f in files if not f.shown]
    for f in hidden:
        for above in f.above.values():
            if f.why == "replaced" and above.content == f.content:
                f.why, f.by = "copied", above.layer
    groups = {}
    for f in files:
        if f.shown:
            groups.setdefault(f.content, []).append(f)
    groups = {c: g for c, g in groups.items() if len(g) > 1}

    document = json.load(sys.stdin)
    wrong = []
    sums = {
        "bytes": sum(f.size for f in files),
        "hidden": sum(f.size for f in hidden),
        "copied": sum(f.size for f in hidden if f.why == "copied"),
        "duplicate": sum(g[0].size * (len(g) - 1) for g in groups.values()),
        "n_hidden_files": len(hidden),
        "n_duplicates": len(groups),
    }
    for key, value in sums.items():
        if document[key] != value:
            wrong.append(f"{key} is {document[key]}, not {value}")
    for entry in document["layers"]:
        mine = [f for f in files if f.layer == entry["layer"]]
        want = (sum(f.size for f in mine), sum(f.size for f in mine if not f.shown))
        if (entry["bytes"], entry["hidden"]) != want:
            wrong.append(f"layer {entry['layer']}: {entry}, not {want}")
    left = list(hidden)
    for entry in document["hidden_files"]:
        found = [f for f in left if entry["path"][1:] in f.names and
                 (f.size, f.layer, f.why, f.by) == (entry["size"], entry["layer"], entry["why"], entry["by"])]
        if found:
            left.remove(found[0])
        else:
            wrong.append(f"not so: {entry}")
    wrong += [f"missing: {sorted(f.names)} of layer {f.layer}: {f.why} by {f.by}" for f in left]
    got = sorted(sorted((e["layer"], e["path"][1:]) for e in d["files"]) for d in document["duplicates"])
    for paths in got:
        match = [g for g in groups.values() if len(g) == len(paths) and
                 all(any(f.layer == layer and path in f.names for f in g) for layer, path in paths)]
        if not match:
            wrong.append(f"no duplicates: {paths}")
    sizes = [e["size"] for e in document["hidden_files"]]
    if sizes != sorted(sizes, reverse=True):
        wrong.append("not the largest first")
    print(f"{len(hidden)} hidden, {len(groups)} contents twice", *wrong, sep="\n")
    return len(wrong) > 0


if __name__ == "__main__":
    sys.exit(main())
