# SPDX-License-Identifier: Apache-2.0
"""What a row of the tables is, and what rows have one mount in common."""
import dataclasses
import os
import shutil


@dataclasses.dataclass(frozen=True)
class Goal:
    """At most `factor` times what K (the kernel) or F (fuse-overlayfs) takes, or `factor` in the row's unit."""

    factor: float
    base: str = ""

    def text(self, unit):
        return f"≤ {self.factor:g} {self.base or unit}"

    def limit(self, kernel, fuse):
        """What the value must not exceed, or None if what it is compared with was not measured."""
        if not self.base:
            return self.factor
        reference = {"K": kernel, "F": fuse}[self.base]
        return None if reference is None else self.factor * reference


@dataclasses.dataclass(frozen=True)
class Step:
    """One row: a workload, or one of several that follow each other in one mount."""

    name: str
    title: str
    goal: Goal | None = None
    unit: str = "ms"


@dataclasses.dataclass(frozen=True)
class Group:
    """Steps that run one after the other in one fresh mount.

    `run` is a generator: it gets the Session and the Data, and yields the name of each step with its Sample.
    `reads` and `changes` are the parts of the lower layer that it uses.
    """

    name: str
    steps: tuple
    run: object
    reads: tuple = ()
    changes: tuple = ()
    kind: str = "goals"
    mounts: bool = True  # the runner mounts the lower layer; otherwise `run` does
    counts: bool = True  # its requests can be counted and are of interest
    only: object = None  # says of a system whether it can do it
    check: object = None  # called once before the first round, may install what is needed, or raise Unavailable

    def fits(self, system):
        """Whether the file system can do it at all."""
        if self.changes and not system.copies_up:
            return False
        if system.read_only and (self.changes or not self.reads):
            return False
        return self.only is None or self.only(system)


def cached(bench, name, key, make):
    """A directory kept beside the trees, made by make(directory) unless one with that key is there."""
    directory = os.path.join(os.path.dirname(bench.data.dir), name)
    try:
        with open(directory + ".key", encoding="utf-8") as f:
            if f.read() == key:
                return directory
    except OSError:
        pass
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(directory)
    make(directory)
    with open(directory + ".key", "w", encoding="utf-8") as f:
        f.write(key)
    return directory
