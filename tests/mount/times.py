# SPDX-License-Identifier: Apache-2.0
"""Times of files: times.py tick|change|deleted|show DIR."""
import json
import mmap
import os
import subprocess
import sys
import time

SMALL, LARGE = 100, 200000


def show(directory):
    times = {}
    for name in sorted(set(os.listdir(directory)) - {".git"}):
        st = os.lstat(f"{directory}/{name}")
        times[name] = [st.st_mtime_ns, st.st_ctime_ns]
    return times


def in_one_tick(path, size):
    """A new file, made and written to in one tick of the kernel's clock; still open."""
    while True:
        fd = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_RDWR, 0o644)
        made = os.fstat(fd).st_mtime_ns
        os.write(fd, b"x" * size)
        if os.fstat(fd).st_mtime_ns == made:
            return fd
        os.close(fd)
        os.unlink(path)


def again_in_one_tick(path, size):
    """The second write is in the tick of the first, but for the kernel not of the same writing back."""
    while True:
        fd = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_RDWR, 0o644)
        os.write(fd, b"x" * size)
        time.sleep(0.02)
        os.pwrite(fd, b"y" * 50, 0)
        first = os.fstat(fd).st_mtime_ns
        os.fsync(fd)
        os.pwrite(fd, b"z" * 50, 0)
        if os.fstat(fd).st_mtime_ns == first:
            return fd
        os.close(fd)


def tick(directory):
    """Files whose bytes reach the daemon seconds after they were written, and no word about the time."""
    fds = []
    for i in range(3):
        fds.append(in_one_tick(f"{directory}/small{i}", SMALL))
        fds.append(in_one_tick(f"{directory}/large{i}", LARGE))
    fds.append(again_in_one_tick(f"{directory}/small-again", SMALL))
    fds.append(again_in_one_tick(f"{directory}/large-again", LARGE))
    git = ["git", "-C", directory, "-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(git + ["init", "-q"], check=True)
    subprocess.run(git + ["add", "-A"], check=True)
    subprocess.run(git + ["commit", "-q", "-m", "all"], check=True)
    time.sleep(3)
    for fd in fds:
        os.close(fd)


def change(directory):
    """What changes a ctime, of files with and without a data file of their own."""
    for kind, size in (("small", SMALL), ("large", LARGE)):
        path = f"{directory}/{kind}"

        def write(name):
            with open(f"{path}-{name}", "wb") as f:
                f.write(b"y" * size)
            return f"{path}-{name}"

        write("plain")
        os.rename(write("old"), f"{path}-renamed")
        os.link(write("linked"), f"{path}-link")
        path_of = write("unlinked")
        os.link(path_of, f"{path_of}2")
        os.unlink(f"{path_of}2")
        path_of = write("mode")
        time.sleep(0.05)
        os.chmod(path_of, 0o600)
        os.utime(write("times"), (1, 2))
        os.utime(write("future"), (1, 2**32))
        # Centuries that ext4 and XFS cannot keep.
        os.utime(write("far-future"), (1, 2**40))
        os.utime(write("far-past"), (1, -(2**33)))
        path_of = write("far-past-written")
        os.utime(path_of, (1, -(2**33)))
        with open(path_of, "ab") as f:
            f.write(b"z")
        os.setxattr(write("xattr"), "user.a", b"1")
        with open(write("mapped"), "r+b") as f:
            with mmap.mmap(f.fileno(), size) as m:
                m[5] = 3
        with open(write("longer"), "ab") as f:
            time.sleep(0.02)
            f.write(b"z" * 10)
        os.truncate(write("shorter"), size // 2)
        # By the path no time moves, by the descriptor both do.
        path_of = write("same-length")
        with open(path_of, "rb") as f:
            os.fsync(f.fileno())
        time.sleep(0.05)
        os.truncate(path_of, size)
        with open(write("same-length-fd"), "r+b") as f:
            os.fsync(f.fileno())
            time.sleep(0.05)
            os.ftruncate(f.fileno(), size)
        # A time of its own, and a write after it.
        path_of = write("later")
        os.utime(path_of, (1, 2))
        time.sleep(0.02)
        with open(path_of, "ab") as f:
            f.write(b"z")
    for name in os.listdir(directory):
        fd = os.open(f"{directory}/{name}", os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)


def deleted(directory):
    """Those who have a deleted file open see what was set, whomever the kernel asks."""
    for name in sorted(os.listdir(directory)):
        fd = os.open(f"{directory}/{name}", os.O_RDWR)
        os.unlink(f"{directory}/{name}")
        path = f"/proc/{os.getpid()}/fd/{fd}"
        subprocess.run(["touch", "-c", "-m", "-d", "@1000000000", path], check=True)
        os.pread(fd, 10, 0)
        # The mode is the daemon's, the times with it are not.
        os.fchmod(fd, 0o640)
        for cached in ("default", "never"):
            stat = ["stat", "-L", f"--cached={cached}", "-c", "%h %a %Y", path]
            shown = subprocess.run(stat, check=True, stdout=subprocess.PIPE, text=True).stdout
            if shown != "0 640 1000000000\n":
                sys.exit(f"{name}, {cached}: {shown}")
        os.write(fd, b"x")
        os.fsync(fd)
        if os.fstat(fd).st_mtime < 1000000001 or os.pread(fd, 1, 0) != b"x":
            sys.exit(f"{name}: after a write")
        os.close(fd)


if sys.argv[1] == "show":
    json.dump(show(sys.argv[2]), sys.stdout, indent=0)
    print()
else:
    {"tick": tick, "change": change, "deleted": deleted}[sys.argv[1]](sys.argv[2])
