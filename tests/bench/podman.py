# SPDX-License-Identifier: Apache-2.0
"""podman build: a storage of its own for each round, the base image imported before the clock starts."""
import os

from systems import Backing, Kernel, Plyfs, prepare

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "podman.sh")


def can(system):
    """podman has its own way to the kernel's overlayfs, and a mount program for the others."""
    return not isinstance(system, Backing) and (isinstance(system, Kernel) or bool(system.mount_program()))


class Build:
    def check(self, _bench):
        prepare("packages", "podman", "crun", "fuse3", "iptables")
        self.archive = prepare("archive", "base")

    def run(self, session, data):
        counts = (10, 40) if data.size.job >= 1 else (2, 3)
        for name, layers in zip(("podman-10", "podman-40"), counts):
            store = os.path.join(session.dir, f"store{layers}")
            options = session.system.options if isinstance(session.system, Plyfs) else []
            words = [SCRIPT, store, session.system.mount_program() or "-", ",".join(options) or "-"]
            session.work("run", *words, "prepare", self.archive)
            try:
                yield name, session.work("run", *words, "build", str(layers))
            finally:
                session.work("run", *words, "end")
