# SPDX-License-Identifier: Apache-2.0
"""Runs groups of workloads on file systems in interleaved rounds, and keeps what came out."""
import os
import subprocess
import sys
import time

import machine
import measure
import systems
from results import Results

HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAMS = {"work": ("work.c", "work_tree.c", "work_file.c"), "files": ("files.c",)}


class Bench:
    def __init__(self, work, data, chosen, limit):
        self.here = HERE
        self.work = work
        self.data = data
        self.systems = chosen
        self.results = Results()
        self.knobs = machine.Knobs(os.path.join(work, "knobs"))
        self.limit = limit  # seconds a step may take
        self.sessions = 0
        self.began = time.monotonic()

    def say(self, text):
        print(f"[{time.monotonic() - self.began:5.0f} s] {text}", file=sys.stderr, flush=True)

    def program(self, name):
        return os.path.join(self.work, name)

    def new_directory(self):
        """The path of one that is not there yet."""
        self.sessions += 1
        return os.path.join(self.work, f"session{self.sessions}")

    def compile(self):
        for name, sources in PROGRAMS.items():
            paths = [os.path.join(HERE, source) for source in sources]
            subprocess.run([os.environ.get("CC", "cc"), "-O2", "-std=gnu17", "-D_GNU_SOURCE",
                            "-I", os.path.dirname(HERE), "-o", self.program(name), *paths, "-lpthread"], check=True)

    # ---- rounds

    def run(self, groups, rounds, slow_rounds, count, done):
        """COUNT says whether a system's requests are counted; DONE is called after each group of each round."""
        try:
            for number in range(rounds):
                self.warm()
                for group in groups:
                    for system in self.in_turn(number):
                        if number < self.rounds_of(group, system, rounds, slow_rounds):
                            self.one(group, system, f"round {number + 1}")
                    done()
            for group in groups:
                for system in self.systems:
                    if group.counts and count(system):
                        self.one(group, system, "counting requests", counting=True)
                done()
        finally:
            self.knobs.apply({})

    def warm(self):
        """Cold is a fresh mount, not a disk: what the layers hold is in the cache of the file system under them."""
        # (tar knows /dev/null when it sees it, and reads nothing.)
        subprocess.run("tar -cf - lower | cat >/dev/null; find layers -size +1M >/dev/null", shell=True, check=True,
                       cwd=self.data.dir)

    def usable(self, groups):
        """Those that this machine can run, prepared."""
        found = []
        for group in groups:
            try:
                if group.check:
                    self.say(f"{group.name}: preparing")
                    group.check(self)
                found.append(group)
            except systems.Unavailable as e:
                self.say(f"{group.name}: left out: {e}")
        return found

    def in_turn(self, number):
        """Nobody always comes first, or always after the same one."""
        start = number % len(self.systems)
        return self.systems[start:] + self.systems[:start]

    @staticmethod
    def rounds_of(group, system, rounds, slow_rounds):
        slow = system.slow or (system.name == "backing" and "usr" in group.changes)
        return min(rounds, slow_rounds) if slow else rounds

    def one(self, group, system, what, counting=False):
        """One group on one file system; a failure is noted, and the others go on."""
        if not group.fits(system) or (group.name, system.name) in self.results.failures:
            return
        self.knobs.apply(system.knobs)
        done = []
        try:
            with measure.Session(self, system, counting) as session:
                self.set_up(session, group)
                for step, sample in group.run(session, self.data):
                    done.append(f"{step} {sample.value:.1f}")
                    if counting:
                        self.results.requests.setdefault(step, {})[system.name] = session.requests
                    else:
                        self.results.add(step, system.name, sample)
        except (measure.StepFailed, OSError, subprocess.CalledProcessError) as e:
            self.results.failures[group.name, system.name] = str(e)
            self.say(f"{group.name} on {system.title} FAILED: {e}")
        self.say(f"{what}: {group.name} on {system.title}: {', '.join(done)}")

    def set_up(self, session, group):
        if not group.mounts:
            return
        if session.system.name != "backing":
            session.mount([self.data.lower])
        elif group.changes:
            session.use_copy(self.data.lower, group.changes)
        elif group.reads:
            session.root = self.data.lower
