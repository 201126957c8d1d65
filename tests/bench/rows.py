# SPDX-License-Identifier: Apache-2.0
"""The rows that have a goal, and the daemon's memory."""
import os

from groups import Goal, Group, Step, cached
from measure import Sample


def walk(session, data):
    yield "walk", session.work("walk", "usr")
    yield "stat", session.work("stat", data.path("files.list"))


def absent(session, data):
    size = data.size
    yield "absent", session.work("absent", data.path("dirs.list"), str(size.absent_dirs), str(size.absent_names))


def read(session, data):
    files = data.path("files.list")
    yield "read", session.work("read-dirs", data.path("dirs.list"), "1")
    yield "reread", session.work("read", files)
    yield "open", session.work("open", files)


def read4(session, data):
    yield "read4", session.work("read-dirs", data.path("dirs.list"), "4")


def create(session, data):
    for name in ("create", "rename", "unlink"):
        yield name, session.work(name, str(data.size.create), str(data.size.create_dirs))


def untar(session, data):
    session.work("run", "mkdir", "new")
    yield "untar", session.work("run", "tar", "-C", "new", "-xf", data.path("untar.tar"))
    yield "rm", session.work("run", "rm", "-rf", "new")


def chmod(session, data):
    yield "chmod", session.work("chmod", data.path("files.list"))


def rm_lower(session, data):
    yield "rm-lower", session.work("run", "rm", "-rf", "usr")


def mv_lower(session, data):
    yield "mv-lower", session.work("move", "usr", "moved")


def append(session, data):
    yield "append", session.work("append", "big")


def seq_read(session, data):
    yield "seq-read", session.work("seq-read", "big")


def seq_write(session, data):
    yield "seq-write", session.work("seq-write", "new", str(data.size.big_mib))


def writes(session, data):
    session.work("seq-write", "old", str(max(data.size.big_mib // 2, 1)))
    session.settle()
    yield "random", session.work("random", "old", str(data.size.random))
    session.settle()
    yield "small", session.work("small", "new", str(data.size.small))


def sync(session, data):
    yield "sync", session.timed([session.bench.program("files"), "append", ".", str(data.size.syncs)])


def layers(session, data):
    # Short, relative paths: the kernel takes one page of options from mount(8).
    yield "mount", session.mount(data.layers(), cwd=data.path("layers"))
    yield "ls", session.work("run", "ls", "-l", "usr")
    yield "layers-walk", session.work("walk", "usr")


def copy(session, data):
    yield "cp", session.work("run", "cp", "-a", "nine", "copy")
    yield "git", session.work("run", "sh", "-ec", """
        cd copy
        git init -q
        git -c gc.auto=0 add -A
        git -c gc.auto=0 -c user.name=bench -c user.email=bench@localhost commit -q -m all
        git status --porcelain""")


def resident(session):
    return session.work("run", "true").rss


def drop_caches(session):
    """The kernel's names and attributes; the FORGETs that follow are given time."""
    with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as f:
        f.write("2")
    session.work("run", "sleep", "2")


def entries(top):
    return sum(len(names) + len(files) for _, names, files in os.walk(top))


def memory(session, data):
    yield from memory_of(session, "", os.path.join(data.lower, "usr"), "usr")


def memory_of(session, suffix, lower, name):
    """The daemon's memory after a walk of NAME, per entry, and after the kernel has let go of them."""
    before = resident(session)
    session.work("walk", name)
    walked = resident(session)
    drop_caches(session)
    dropped = resident(session)
    yield "rss" + suffix, Sample(walked / 1024, rss=walked)
    yield "rss-dropped" + suffix, Sample(dropped / 1024, rss=dropped)
    yield "rss-entry" + suffix, Sample(max(walked - before, 0) * 1024 / entries(lower), rss=walked)


class Million:
    """A thousand directories with a thousand empty files each."""

    def check(self, bench):
        count = 1000 if bench.data.size.files >= 10000 else 10
        self.lower = cached(bench, f"bench-million-{count}", str(count), lambda to: self.make(to, count))

    @staticmethod
    def make(directory, count):
        for number in range(count):
            os.makedirs(os.path.join(directory, "all", f"d{number}"))
            for name in range(count):
                with open(os.path.join(directory, "all", f"d{number}", f"f{name}"), "wb"):
                    pass

    def run(self, session, _data):
        session.mount([self.lower])
        yield from memory_of(session, "-million", self.lower, "all")


def row(name, title, factor=None, base="", unit="ms"):
    return Step(name, title, None if factor is None else Goal(factor, base), unit)


GOALS = (
    Group("walk", (row("walk", "cold walk with stat", 1.1, "K"),
                   row("stat", "stat again, warm", 1.0, "K")), walk, reads=("usr",)),
    Group("absent", (row("absent", "20,000 lookups of absent names, half repeated", 0.15, "F"),), absent,
          reads=("usr",)),
    Group("read", (row("read", "read every file, cold mount", 0.06, "F"),
                   row("reread", "read every file again", 1.0, "K"),
                   row("open", "open+close every file", 0.8, "K")), read, reads=("usr",)),
    Group("read4", (row("read4", "read every file with 4 threads, cold mount", 0.2, "F"),), read4, reads=("usr",)),
    Group("create", (row("create", "create 20,000 files of 2 KiB", 0.07, "F"),
                     row("rename", "rename them", 1.6, "K"),
                     row("unlink", "unlink them", 2.5, "K")), create),
    Group("untar", (row("untar", "untar 15,000 files", 0.1, "F"), row("rm", "rm -rf of it", 1.5, "K")), untar),
    Group("chmod", (row("chmod", "chmod of every lower file", 0.07, "K"),), chmod, changes=("usr",)),
    Group("rm-lower", (row("rm-lower", "rm -rf of the lower tree", 0.2, "K"),), rm_lower, changes=("usr",)),
    Group("mv-lower", (row("mv-lower", "mv of a lower directory", 2.0),), mv_lower, changes=("usr",)),
    Group("append", (row("append", "append a byte to a 512 MiB lower file", 5.0),), append, changes=("big",)),
    Group("seq-read", (row("seq-read", "sequential read 512 MiB, cold mount", 1.3, "K"),), seq_read, reads=("big",)),
    Group("seq-write", (row("seq-write", "sequential write 512 MiB", 1.1, "K"),), seq_write),
    Group("writes", (row("random", "50,000 random 4 KiB writes", 1.5, "K"),
                     row("small", "65,536 writes of 512 B", 1.5, "K")), writes),
    Group("sync", (row("sync", "append 4 KiB + fsync, 300 times", 1.1, "K"),), sync),
    Group("layers", (row("mount", "mount 128 layers", 2.0, "K"),
                     row("ls", "first ls -l in it", 2.0, "K"),
                     row("layers-walk", "cold walk of it", 0.8, "K")), layers, mounts=False,
          only=lambda system: system.name != "backing"),
    Group("copy", (row("cp", "cp -a inside, 9,000 files", 0.12, "F"),
                   row("git", "git init+add+commit+status of it", 0.25, "F")), copy, changes=("nine",)),
)

MILLION = Million()


def memory_rows(suffix, what):
    return (row("rss" + suffix, f"RSS after a walk of {what}, MiB", 0.5, "F", unit="MiB"),
            row("rss-dropped" + suffix, "the same, the kernel's caches dropped, MiB", 0.5, "F", unit="MiB"),
            row("rss-entry" + suffix, "growth by the walk, for each entry, bytes", 0.5, "F", unit="B"))


MEMORY = (
    Group("memory", memory_rows("", "the tree"), memory, reads=("usr",), kind="memory", counts=False,
          only=lambda s: s.fuse),
    Group("million", memory_rows("-million", "1,001,000 entries"), MILLION.run, kind="memory", mounts=False,
          counts=False, only=lambda s: s.fuse, check=MILLION.check),
)
