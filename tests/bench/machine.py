# SPDX-License-Identifier: Apache-2.0
"""What the machine is, and the settings of it that change results."""
import os
import platform
import subprocess
import time

KNOBS = {
    "haltpoll": "/sys/module/haltpoll/parameters/guest_halt_poll_ns",
    "enable_uring": "/sys/module/fuse/parameters/enable_uring",
}


def read(path, default=""):
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read().strip()
    except OSError:
        return default


def has_knob(name):
    return os.access(KNOBS.get(name, ""), os.W_OK)


def set_knob(name, value):
    with open(KNOBS[name], "w", encoding="ascii") as f:
        f.write(value)


class Knobs:
    """Sets knobs for one system's turn, and puts back what was there before. Others are left alone.

    What has been changed is also in the file JOURNAL, a path and the old value a line, for
    scripts/bench to put back when this program is killed.
    """

    def __init__(self, journal):
        self.journal = journal
        self.before = {}

    def apply(self, wanted):
        """WANTED: name to value. Those set for an earlier turn get their old value unless they are in it."""
        for name in [name for name in self.before if name not in wanted]:
            set_knob(name, self.before.pop(name))
        for name, value in wanted.items():
            now = read(KNOBS[name])
            if now != value:
                self.before.setdefault(name, now)
                self.write_journal()
                set_knob(name, value)
        self.write_journal()

    def write_journal(self):
        with open(self.journal, "w", encoding="ascii") as f:
            f.writelines(f"{KNOBS[name]} {value}\n" for name, value in self.before.items())


def cpu_model():
    for line in read("/proc/cpuinfo").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def memory_mib():
    for line in read("/proc/meminfo").splitlines():
        if line.startswith("MemTotal"):
            return int(line.split()[1]) // 1024
    return 0


def processor_ticks():
    """All and idle ones since the machine was started."""
    ticks = [int(word) for word in read("/proc/stat").splitlines()[0].split()[1:9]]
    return sum(ticks), ticks[3] + ticks[4]


def busy_percent(seconds):
    """How much of the processors others use now. The load average still has what ended a minute ago."""
    all_before, idle_before = processor_ticks()
    time.sleep(seconds)
    all_after, idle_after = processor_ticks()
    return 100 * (1 - (idle_after - idle_before) / max(all_after - all_before, 1))


def file_system_of(path):
    done = subprocess.run(["findmnt", "-n", "-o", "FSTYPE,SOURCE", "-T", path], stdout=subprocess.PIPE, text=True,
                          check=False)
    kind, _, source = done.stdout.strip().partition(" ")
    return kind + (", of its own, in a file" if "/loop" in source else "")


def describe(layers, uppers):
    """Pairs of what and value, for the reports."""
    idle = "/sys/devices/system/cpu/cpuidle/"
    return {
        "kernel": " ".join(os.uname()[i] for i in (0, 2, 4)),
        "processors": f"{os.cpu_count()} x {cpu_model()}",
        "virtual machine": "yes" if "hypervisor" in read("/proc/cpuinfo") else "no",
        "memory": f"{memory_mib()} MiB",
        "file system of layers": file_system_of(layers),
        "file system of uppers": file_system_of(uppers),
        "idle driver and governor": f"{read(idle + 'current_driver')}, {read(idle + 'current_governor')}",
        "haltpoll, ns": read(KNOBS["haltpoll"], "not there"),
        "fuse enable_uring": read(KNOBS["enable_uring"], "not there"),
    }
