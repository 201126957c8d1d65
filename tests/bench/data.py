# SPDX-License-Identifier: Apache-2.0
"""The trees that the workloads run on, made from the machine's /usr and kept for the next time.

DIR/lower/usr      a sample of /usr by whole directories: real names, sizes, depths, symbolic links
DIR/lower/nine     a smaller one, for cp -a and git
DIR/lower/big      one large file
DIR/layers/N       the files of usr, without their bytes, dealt to N layers
DIR/untar.tar      an archive of a part of usr
DIR/*.list         files and directories of usr, as usr/...
"""
import dataclasses
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys

MAX_FILE = 512 * 1024  # larger files would make the sample one of large files
VERSION = 1


@dataclasses.dataclass(frozen=True)
class Size:
    """How much of everything."""

    files: int = 48314
    nine: int = 9000
    untar: int = 15000
    big_mib: int = 512
    layers: int = 128
    create: int = 20000
    create_dirs: int = 20
    absent_dirs: int = 100
    absent_names: int = 100
    random: int = 50000
    small: int = 65536
    syncs: int = 300
    job: float = 1.0  # of the whole jobs' usual size


FULL = Size()
SHORT = Size(files=600, nine=100, untar=150, big_mib=4, layers=8, create=200, create_dirs=4, absent_dirs=10,
             absent_names=10, random=200, small=512, syncs=5, job=0.02)


class Data:
    def __init__(self, directory, size):
        self.dir = directory
        self.size = size
        self.lower = self.path("lower")

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def layers(self):
        """The layers' paths below path("layers"), the topmost first."""
        return [str(n) for n in range(self.size.layers)]


def chosen(path):
    """An order of directories that is the same every time, and no order of the alphabet."""
    return hashlib.md5(path.encode("utf-8", "surrogateescape")).digest()


def sample(top, count, skip=()):
    """Directories under TOP, whole, until they hold COUNT files: names relative to TOP."""
    found = []
    for directory, names, files in os.walk(top):
        rel = os.path.relpath(directory, top)
        names[:] = [n for n in names if os.path.join(rel, n) not in skip]
        if files:
            found.append((rel, files))
    found.sort(key=lambda d: chosen(d[0]))
    names = []
    for rel, files in found:
        for name in sorted(files):
            path = os.path.normpath(os.path.join(rel, name))
            status = os.lstat(os.path.join(top, path))
            if status.st_size <= MAX_FILE and "\n" not in path:
                names.append(path)
            if len(names) == count:
                return names
    return names


def copy_names(names, source, target):
    """Copies files by name, with the directories above them, as tar does it."""
    os.makedirs(target)
    listing = "\0".join(names).encode("utf-8", "surrogateescape")
    pack = subprocess.Popen(["tar", "-C", source, "--null", "--no-recursion", "-T", "-", "-cf", "-"],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    unpack = subprocess.Popen(["tar", "-C", target, "-xf", "-"], stdin=pack.stdout)
    pack.stdout.close()
    pack.stdin.write(listing)
    pack.stdin.close()
    if pack.wait() != 0 or unpack.wait() != 0:
        raise RuntimeError(f"tar could not copy {len(names)} files from {source}")


def archive(names, source, target):
    listing = "\0".join(names).encode("utf-8", "surrogateescape")
    subprocess.run(["tar", "-C", source, "--null", "-T", "-", "-cf", target], input=listing, check=True)


def write_list(path, names):
    with open(path, "w", encoding="utf-8", errors="surrogateescape") as f:
        f.writelines(name + "\n" for name in names)


def make_lists(data):
    files, dirs = [], []
    for directory, names, in_it in os.walk(data.path("lower", "usr")):
        names.sort()
        rel = os.path.relpath(directory, data.lower)
        dirs.append(rel)
        files += [os.path.join(rel, n) for n in sorted(in_it) if not os.path.islink(os.path.join(directory, n))]
    write_list(data.path("files.list"), files)
    write_list(data.path("dirs.list"), dirs)
    return files


def make_layers(data, files):
    """A directory's files are mostly in one layer; one in eight is in another, so listings merge."""
    count = data.size.layers
    for name in files:
        key = os.path.dirname(name) if chosen(name)[0] % 8 else name
        layer = data.path("layers", str(int.from_bytes(chosen(key)[:4], "big") % count))
        target = os.path.join(layer, name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "wb") as f:
            f.truncate(os.lstat(os.path.join(data.lower, name)).st_size)
    for layer in data.layers():
        os.makedirs(data.path("layers", layer), exist_ok=True)


def make_big(path, mib):
    with open("/dev/urandom", "rb") as source, open(path, "wb") as f:
        for _ in range(mib):
            f.write(source.read(1 << 20))


def say(text):
    print(text, file=sys.stderr, flush=True)


def make(data):
    size = data.size
    say(f"making the trees in {data.dir} ({size.files} files of /usr), once")
    names = sample("/usr", size.files, skip=("local",))
    if len(names) < size.files:
        say(f"/usr has only {len(names)} files that are small enough")
    copy_names(names, "/usr", data.path("lower", "usr"))
    copy_names(names[: size.nine], "/usr", data.path("lower", "nine"))
    archive(names[: size.untar], "/usr", data.path("untar.tar"))
    make_big(data.path("lower", "big"), size.big_mib)
    make_layers(data, make_lists(data))


def get(cache, size):
    """The Data of that size under CACHE; made by the first who asks."""
    data = Data(os.path.join(cache, f"bench-{size.files}"), size)
    key = f"{VERSION} {size}"
    os.makedirs(cache, exist_ok=True)
    with open(os.path.join(cache, "bench.lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if read_key(data) != key:
            shutil.rmtree(data.dir, ignore_errors=True)
            os.makedirs(data.dir)
            make(data)
            with open(data.path("key"), "w", encoding="utf-8") as f:
                f.write(key)
    return data


def read_key(data):
    try:
        with open(data.path("key"), encoding="utf-8") as f:
            return f.read()
    except OSError:
        return None
