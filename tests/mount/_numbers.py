# SPDX-License-Identifier: Apache-2.0
"""Inode numbers of a tree, in which no name is a second link but those that are said to be.

    _numbers.py TREE [LINK...]      prints PATH NUMBER, sorted by path; LINK: may have the number of another name

What a listing says must be what stat(2) says, and of different files no two may have one number.
"""
import os
import sys


def walk(root, links):
    seen, lines = {}, []
    todo = [""]
    while todo:
        at = todo.pop()
        with os.scandir(os.path.join(root, at)) as names:
            entries = [(os.path.join(at, e.name), e.inode()) for e in names]
        for path, listed in entries:
            st = os.lstat(os.path.join(root, path))
            if st.st_ino != listed:
                sys.exit(f"FAIL: {path} is listed with {listed}, and has {st.st_ino}")
            if path not in links and seen.setdefault(st.st_ino, path) != path:
                sys.exit(f"FAIL: {path} and {seen[st.st_ino]} have one number")
            if os.path.isdir(os.path.join(root, path)) and not os.path.islink(os.path.join(root, path)):
                todo.append(path)
            lines.append(f"{path} {st.st_ino}")
    return sorted(lines)


if __name__ == "__main__":
    print("\n".join(walk(sys.argv[1], set(sys.argv[2:]))))
