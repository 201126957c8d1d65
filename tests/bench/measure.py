# SPDX-License-Identifier: Apache-2.0
"""Mounts, daemons, and one timed run of a workload."""
import dataclasses
import glob
import os
import shutil
import signal
import subprocess
import time

import tracing

STOP_SECONDS = 120


class StepFailed(Exception):
    """A workload did not end well; the message is for people."""


@dataclasses.dataclass
class Sample:
    """One run of one workload on one file system. Milliseconds and KiB; the value in the step's unit."""

    value: float
    user: float = 0.0
    sys: float = 0.0
    daemon: float | None = None
    rss: int | None = None


# ---- processes ------------------------------------------------------------------------------

def daemons_of(mnt):
    """The processes that have the mountpoint as an argument, as the daemons of FUSE mounts do."""
    found = []
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            with open(path, "rb") as f:
                words = f.read().split(b"\0")
        except OSError:
            continue
        if os.fsencode(mnt) in words:
            found.append(int(path.split("/")[2]))
    return found


def daemon_cpu(pids):
    """Milliseconds that the processes have used, threads that ended included."""
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
                fields = f.read().rpartition(")")[2].split()
        except OSError:
            continue
        total += int(fields[11]) + int(fields[12])
    return total * 1000 / os.sysconf("SC_CLK_TCK")


def rss(pids):
    """Resident KiB."""
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as f:
                total += sum(int(line.split()[1]) for line in f if line.startswith("VmRSS"))
        except OSError:
            continue
    return total


def has_ring(pids):
    """Whether one of the processes has an io_uring open."""
    for pid in pids:
        for path in glob.glob(f"/proc/{pid}/fd/*"):
            try:
                if "[io_uring]" in os.readlink(path):
                    return True
            except OSError:
                continue
    return False


def gone(pids):
    return not any(os.path.exists(f"/proc/{pid}") for pid in pids)


def stop(pids):
    """Waits for daemons that have been unmounted; true when they ended."""
    end = time.monotonic() + STOP_SECONDS
    while not gone(pids) and time.monotonic() < end:
        time.sleep(0.01)
    return gone(pids)


def is_mounted(path):
    """Asks the kernel's table, as a mount whose daemon died can be asked nothing."""
    with open("/proc/self/mounts", encoding="utf-8", errors="surrogateescape") as f:
        return any(line.split()[1] == path for line in f)


# ---- one mount ------------------------------------------------------------------------------

class Session:
    """A file system with a fresh upper, for one round of a group of workloads.

    `root` shows what is in the lower layers. For the backing directory it is a copy of what the
    group changes, or the lower layer itself.
    """

    def __init__(self, bench, system, counting=False):
        self.bench = bench
        self.system = system
        self.counting = counting
        self.dir = bench.new_directory()
        self.root = os.path.join(self.dir, "mnt")
        self.upper = os.path.join(self.dir, "upper")
        self.pids = []
        self.requests = {}

    def __enter__(self):
        for name in ("mnt", "upper", "work"):
            os.makedirs(os.path.join(self.dir, name))
        self.settle()
        return self

    def __exit__(self, *exc):
        self.unmount()
        if not is_mounted(self.root):
            shutil.rmtree(self.dir, ignore_errors=True)

    def settle(self):
        """What was written before is not to be written while something else is timed."""
        subprocess.run(["sync", "-f", self.bench.work], check=False)

    # ---- mounting

    def mount(self, lowers, cwd="/"):
        """Mounts, and returns the Sample of that."""
        argv = self.system.mount_argv(lowers, self.upper, os.path.join(self.dir, "work"), self.root)
        sample = self.work("run", *argv, cwd=cwd)
        if self.system.fuse:
            self.pids = daemons_of(self.root)
            if not self.pids:
                raise StepFailed(f"no process serves {self.root}")
            if self.system.wants_ring() and not has_ring(self.pids):
                raise StepFailed("io_uring was asked for, and requests still come by /dev/fuse")
        return sample

    def unmount(self):
        if not is_mounted(self.root):
            return
        done = subprocess.run(["umount", self.root], stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            self.bench.say(f"{self.system.title}: {done.stderr.strip()}; unmounting lazily")
            subprocess.run(["umount", "-l", self.root], check=False)
        if not stop(self.pids):
            self.bench.say(f"{self.system.title}: its daemon still runs {STOP_SECONDS} s after unmounting")

    def use_copy(self, lower, names):
        """The backing directory: a private copy of those names of the lower layer."""
        for name in names:
            argv = ["cp", "-a", os.path.join(lower, name), self.root]
            subprocess.run(argv, check=True)
        self.settle()

    # ---- running

    def work(self, *argv, cwd=None):
        """Runs tests/bench/work ARGV in the mount (or CWD) and returns its Sample."""
        return self.timed([self.bench.program("work"), *argv], cwd)

    def timed(self, argv, cwd=None):
        """A program that prints wall-clock milliseconds, and perhaps user and system time."""
        before = daemon_cpu(self.pids)
        with tracing.requests(self.root if self.counting and is_mounted(self.root) else None) as seen:
            done = run(argv, cwd or self.root, self.bench.limit)
        numbers = [float(word) for word in done.split()]
        sample = Sample(*numbers)
        if self.pids:
            sample.daemon = daemon_cpu(self.pids) - before
            sample.rss = rss(self.pids)
        self.requests = seen
        return sample


def run(argv, cwd, seconds):
    """What the program prints on stdout; StepFailed with the end of stderr if it fails."""
    with subprocess.Popen(argv, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace",
                          stdin=subprocess.DEVNULL, process_group=0) as process:
        try:
            out, errors = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise StepFailed(f"took longer than {seconds} s") from None
    if process.returncode != 0:
        raise StepFailed(" | ".join(errors.strip().splitlines()[-3:]) or f"exit status {process.returncode}")
    return out
