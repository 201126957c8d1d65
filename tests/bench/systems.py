# SPDX-License-Identifier: Apache-2.0
"""The file systems that scripts/bench compares, and how each is mounted.

A name on the command line is NAME, or plyfs:OPTION+OPTION..., where OPTION is one of plyfs' own
(io_uring=1) or @KNOB=VALUE, a setting of the machine (see machine.KNOBS).
"""
import os
import shutil
import subprocess

import machine


class Unavailable(Exception):
    """This machine has not got the file system."""


class System:
    """One file system. `slow` ones get fewer rounds."""

    name = title = None
    slow = False
    fuse = True
    copies_up = True  # files of lower layers can be changed
    read_only = False  # mounted without an upper
    knobs = {}

    def check(self):
        """Raises Unavailable if it cannot run here; installs what is missing."""

    def version(self):
        return ""

    def mount_argv(self, lowers, upper, work, mnt):
        raise NotImplementedError

    def wants_ring(self):
        """Whether its daemon is to take requests from an io_uring."""
        return False

    def mount_program(self):
        """What podman calls to mount a container's root, or None for the kernel's own way."""
        return None


def overlay_options(lowers, upper, work):
    options = "lowerdir=" + ":".join(lowers)
    if upper:
        options += f",upperdir={upper},workdir={work}"
    return options


class Kernel(System):
    name, title, fuse = "kernel", "kernel (K)", False

    def version(self):
        return os.uname().release

    def mount_argv(self, lowers, upper, work, mnt):
        return ["mount", "-t", "overlay", "-o", overlay_options(lowers, upper, work), "overlay", mnt]


class Backing(System):
    """No union: a copy of what the lower layer holds, in a directory."""

    name, title, fuse = "backing", "backing", False

    def version(self):
        return "no union: the directory itself, or a copy of it where it is changed"


class Plyfs(System):
    def __init__(self, program, options=()):
        self.program = program
        self.options = [o for o in options if not o.startswith("@")]
        self.knobs = dict(o[1:].split("=", 1) for o in options if o.startswith("@"))
        self.name = "plyfs" + (":" + "+".join(options) if options else "")
        self.read_only = "io=passthrough" in self.options
        shown = [o.lstrip("@") for o in options if not o.startswith("@enable_uring")]
        self.title = " ".join(["plyfs", *shown])

    def check(self):
        for knob in self.knobs:
            if not machine.has_knob(knob):
                raise Unavailable(f"this machine has no {knob}: {machine.KNOBS.get(knob, 'unknown')}")

    def version(self):
        commit = first_line(["git", "-C", os.path.dirname(self.program), "describe", "--always", "--dirty"])
        version = first_line([self.program, "--version"]).rpartition(" ")[2]
        return version if commit.startswith("fatal") else f"{version}, commit {commit}"

    def mount_argv(self, lowers, upper, work, mnt):
        options = ",".join([overlay_options(lowers, None if self.read_only else upper, work)] + self.options)
        return [self.program, "-o", options, mnt]

    def wants_ring(self):
        return "io_uring=1" in self.options

    def mount_program(self):
        return self.program


class FuseOverlayfs(System):
    name, title, slow = "fuse-overlayfs", "f-o (F)", True
    program = "fuse-overlayfs"

    def check(self):
        prepare("packages", "fuse-overlayfs")

    def version(self):
        return package_version("fuse-overlayfs")

    def mount_argv(self, lowers, upper, work, mnt):
        return [self.program, "-o", overlay_options(lowers, upper, work), mnt]

    def mount_program(self):
        return shutil.which(self.program)


class NewFuseOverlayfs(FuseOverlayfs):
    """That of Debian trixie, unpacked beside the system with the libraries it wants."""

    name, title = "fuse-overlayfs-1.14", "f-o 1.14"

    def check(self):
        self.program = prepare("newer-fuse-overlayfs")

    def version(self):
        with open(os.path.join(os.path.dirname(self.program), "version"), encoding="utf-8") as f:
            return f.read().strip()


class Unionfs(System):
    name, title, slow = "unionfs-fuse", "unionfs-fuse", True

    def check(self):
        prepare("packages", "unionfs-fuse")

    def version(self):
        return package_version("unionfs-fuse")

    def mount_argv(self, lowers, upper, work, mnt):
        branches = [upper + "=RW"] if upper else []
        branches += [layer + "=RO" for layer in lowers]
        return ["unionfs", "-o", "cow,allow_other,use_ino,suid,dev", ":".join(branches), mnt]


class Mergerfs(System):
    """It merges branches, but leaves read-only ones as they are: only for what changes no lower file."""

    name, title, slow, copies_up = "mergerfs", "mergerfs", True, False

    def check(self):
        prepare("packages", "mergerfs")

    def version(self):
        return package_version("mergerfs")

    def mount_argv(self, lowers, upper, work, mnt):
        branches = [upper + "=RW"] if upper else []
        branches += [layer + "=RO" for layer in lowers]
        return ["mergerfs", "-o", "category.create=ff,cache.files=partial,use_ino,allow_other",
                ":".join(branches), mnt]


KNOWN = [Backing, Kernel, FuseOverlayfs, NewFuseOverlayfs, Unionfs, Mergerfs]
NAMES = ["plyfs"] + [known.name for known in KNOWN]
DEFAULT = ["backing", "kernel", "fuse-overlayfs", "fuse-overlayfs-1.14", "unionfs-fuse", "mergerfs", "plyfs"]
MATRIX = [f"plyfs:{loop}@haltpoll={ns}" for loop in ("", "io_uring=1+@enable_uring=Y+") for ns in ("0", "200000")]


def find(name, plyfs):
    """The system with that name on the command line, or ValueError."""
    if name.partition(":")[0] == "plyfs":
        return Plyfs(plyfs, [o for o in name.partition(":")[2].split("+") if o])
    for known in KNOWN:
        if known.name == name:
            return known()
    raise ValueError(f"there is no file system {name}: choose from {', '.join(NAMES)}")


# ---- helpers --------------------------------------------------------------------------------

def prepare(*words):
    """tests/bench/prepare.sh: packages, root trees, programs. Returns the last line it prints."""
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "prepare.sh")
    done = subprocess.run(["bash", script, *words], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise Unavailable(f"{' '.join(words)}: could not be made, see above")
    return done.stdout.strip().rpartition("\n")[2]


def first_line(argv):
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return done.stdout.partition("\n")[0]


def package_version(name):
    return first_line(["dpkg-query", "-W", "-f", "${Version}", name])
