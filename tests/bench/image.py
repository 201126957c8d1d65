# SPDX-License-Identifier: Apache-2.0
"""Images mounted in place, beside what else there is: scripts/bench-image describes it."""
import argparse
import gzip
import hashlib
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tarfile
import time

import measure

LAYERS = 4
SMALL = 128 * 1024
SAMPLES = 2000


def run(*argv, **options):
    return subprocess.run(argv, check=True, **options)


def milliseconds(fn):
    start = time.monotonic()
    fn()
    return (time.monotonic() - start) * 1000


def size_of(path):
    return sum(os.path.getsize(os.path.join(top, name)) for top, _, names in os.walk(path) for name in names)


# ---- the image ------------------------------------------------------------------------------

def choose(source, count, total):
    """Regular files of SOURCE: COUNT small ones, and larger ones until there are TOTAL bytes."""
    small, large = [], []
    for top, directories, names in os.walk(source):
        directories.sort()
        for name in sorted(names):
            path = os.path.join(top, name)
            if os.path.islink(path) or not os.path.isfile(path):
                continue
            size = os.path.getsize(path)
            (small if size <= SMALL else large).append((path, size))
    chosen = small[:count]
    have = sum(size for _, size in chosen)
    for path, size in large:
        if have >= total or len(chosen) >= count + 500:
            break
        chosen.append((path, size))
        have += size
    return sorted(path for path, _ in chosen)


def digest(path):
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


class Layout:
    """An OCI layout in the making."""

    def __init__(self, directory):
        self.blobs = os.path.join(directory, "blobs", "sha256")
        self.directory = directory
        self.layers, self.diffs, self.plain = [], [], 0
        os.makedirs(self.blobs)

    def put(self, data, media_type):
        name = hashlib.sha256(data).hexdigest()
        with open(os.path.join(self.blobs, name), "wb") as f:
            f.write(data)
        return {"mediaType": media_type, "digest": "sha256:" + name, "size": len(data)}

    def add_layer(self, files, level):
        tar, packed = os.path.join(self.directory, "tar"), os.path.join(self.directory, "packed")
        with tarfile.open(tar, "w", format=tarfile.PAX_FORMAT) as archive:
            for path in files:
                archive.add(path, arcname=path.lstrip("/"), recursive=False)
        self.diffs.append("sha256:" + digest(tar))
        self.plain += os.path.getsize(tar)
        with open(tar, "rb") as plain, gzip.GzipFile(packed, "wb", level, mtime=0) as out:
            shutil.copyfileobj(plain, out, 1 << 20)
        os.unlink(tar)
        name = digest(packed)
        size = os.path.getsize(packed)
        os.rename(packed, os.path.join(self.blobs, name))
        self.layers.append({"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
                            "digest": "sha256:" + name, "size": size})

    def finish(self):
        config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": self.diffs}}
        manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                    "config": self.put(json.dumps(config).encode(), "application/vnd.oci.image.config.v1+json"),
                    "layers": self.layers}
        entry = self.put(json.dumps(manifest).encode(), manifest["mediaType"])
        entry["annotations"] = {"org.opencontainers.image.ref.name": "bench"}
        for name, value in (("oci-layout", {"imageLayoutVersion": "1.0.0"}),
                            ("index.json", {"schemaVersion": 2, "manifests": [entry]})):
            with open(os.path.join(self.directory, name), "w", encoding="utf-8") as f:
                json.dump(value, f)

    def blob_paths(self):
        return [os.path.join(self.blobs, layer["digest"].split(":")[1]) for layer in self.layers]


def make_large(directory, files):
    layout = Layout(directory)
    for i in range(LAYERS):
        layout.add_layer(files[i * len(files) // LAYERS:(i + 1) * len(files) // LAYERS], 6)
    layout.finish()
    return layout


def make_many(directory, files, count):
    layout = Layout(directory)
    for i in range(count):
        layout.add_layer(files[i::count][:20], 6)
    layout.finish()


# ---- what is measured -----------------------------------------------------------------------

class Bench:
    def __init__(self, options, work):
        self.plyfs, self.rounds, self.work = options.plyfs, options.rounds, work
        self.cache, self.mnt = os.path.join(work, "cache"), os.path.join(work, "mnt")
        self.rows = []
        os.mkdir(self.mnt)

    def row(self, what, value, beside=""):
        self.rows.append((what, value, beside))
        print(f"{what}: {value} {beside}".rstrip(), flush=True)

    def mount(self, layout):
        run(self.plyfs, "mount", "--cache", self.cache, "--quiet", f"oci:{layout}", self.mnt)

    def umount(self, path=None):
        run("umount", path or self.mnt)
        while measure.daemons_of(path or self.mnt):
            time.sleep(0.01)

    def first_mount(self, layout):
        def once():
            shutil.rmtree(self.cache, ignore_errors=True)
            took = milliseconds(lambda: self.mount(layout.directory))
            self.umount()
            return took

        def reference():
            for path in layout.blob_paths():
                run("sh", "-c", f"gzip -dc {path} | sha256sum", stdout=subprocess.DEVNULL)

        wanted, first = [], []
        for _ in range(self.rounds):
            wanted.append(milliseconds(reference))
            first.append(once())
        wanted, first = statistics.median(wanted), statistics.median(first)
        self.row("`gzip -dc \\| sha256sum` of the layers", f"{wanted:.0f} ms")
        self.row("first mount", f"{first:.0f} ms", f"{first / wanted:.2f} of that")
        self.row("indexes", f"{size_of(self.cache) / 1e6:.1f} MB",
                 f"{100 * size_of(self.cache) / layout.plain:.2f} % of the uncompressed size")

    def later_mounts(self, title, directory):
        self.mount(directory)
        self.umount()
        took = []
        for _ in range(3 * self.rounds):
            took.append(milliseconds(lambda: self.mount(directory)))
            self.umount()
        self.row(f"later mounts, {title}", f"{statistics.median(took):.0f} ms",
                 f"{min(took):.0f} to {max(took):.0f}")

    def read(self, top, files):
        """Reads FILES below TOP with nothing in the page cache."""
        run("sync")
        drop_caches()

        def all_of_them():
            for path in files:
                with open(os.path.join(top, path.lstrip("/")), "rb", buffering=0) as f:
                    while f.read(1 << 20):
                        pass
        return milliseconds(all_of_them)

    def reads(self, systems, title, files):
        """SYSTEMS: name to (mount, top). In turn; a mount of its own for each, so that nothing is known to it."""
        took = {name: [] for name in systems}
        resident = {}
        for _ in range(self.rounds):
            for name, (mount, unmount, top) in systems.items():
                mount()
                took[name].append(self.read(top, files))
                resident[name] = measure.rss(measure.daemons_of(top))
                unmount()
        medians = {name: statistics.median(times) for name, times in took.items()}
        for name, median in medians.items():
            ratio = "" if name == "extracted" else f"{median / medians['extracted']:.2f} of the extracted directory"
            memory = f", {resident[name] / 1024:.0f} MiB resident" if resident[name] else ""
            self.row(f"{title}, {name}", f"{median:.0f} ms", ratio + memory)

    def slow_reads(self, title, files, mount, unmount, top):
        """Of what cannot be waited for: one round of a few files, per file."""
        started = milliseconds(mount)
        took = self.read(top, files)
        unmount()
        self.row(title, f"{took / len(files):.0f} ms a file", f"the mount itself {started:.0f} ms")


def drop_caches():
    with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as f:
        f.write("3")


def nothing():
    pass


def measure_all(bench, files):
    layout = make_large(os.path.join(bench.work, "large"), files)
    bench.row("files", str(len(files)), f"{layout.plain / 1e6:.0f} MB of tar, {size_of(layout.blobs) / 1e6:.0f} MB of gzip")
    bench.first_mount(layout)
    bench.later_mounts(f"{LAYERS} layers", layout.directory)
    many = os.path.join(bench.work, "many")
    make_many(many, files, 130)
    bench.later_mounts("130 layers", many)

    extracted, squash = os.path.join(bench.work, "extracted"), os.path.join(bench.work, "squash")
    one = os.path.join(bench.work, "one.tar.gz")
    for directory in (extracted, squash, squash + ".mnt", one + ".mnt"):
        os.mkdir(directory)
    for path in layout.blob_paths():
        run("tar", "-C", extracted, "-xzf", path)
    run("mksquashfs", extracted, squash + ".img", "-comp", "gzip", "-no-progress", stdout=subprocess.DEVNULL)
    shutil.copyfile(layout.blob_paths()[0], one)
    systems = {
        "extracted": (nothing, nothing, extracted),
        "plyfs": (lambda: bench.mount(layout.directory), bench.umount, bench.mnt),
        "squashfuse": (lambda: run("squashfuse", squash + ".img", squash + ".mnt"),
                       lambda: bench.umount(squash + ".mnt"), squash + ".mnt"),
    }
    some = random.Random(1).sample([path for path in files if os.path.getsize(path) <= SMALL], min(SAMPLES, len(files) // 2))
    bench.reads(systems, f"{len(some)} small files at random, cold", some)
    bench.reads(systems, "all files in order, cold", files)
    first = files[:len(files) // LAYERS]
    bench.slow_reads("archivemount of the first layer, small files at random, cold", random.Random(1).sample(first, 5),
                     lambda: run("archivemount", "-o", "readonly", one, one + ".mnt"),
                     lambda: bench.umount(one + ".mnt"), one + ".mnt")


def put_into(document, rows):
    with open(document, encoding="utf-8") as f:
        text = f.read()
    begin, end = "<!-- bench:image -->\n", "<!-- /bench:image -->"
    head, _, rest = text.partition(begin)
    _, found, tail = rest.partition(end)
    if not found:
        sys.exit(f"bench-image: {document} has no place for this: {begin.strip()} ... {end}")
    table = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    with open(document, "w", encoding="utf-8") as f:
        f.write(f"{head}{begin}\n| | | |\n|---|---|---|\n{table}\n{end}{tail}")


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench-image", description="Measures images that are mounted in place.")
    parser.add_argument("--plyfs", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--work", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=3, help="of each measurement (default: 3)")
    parser.add_argument("--source", default="/usr", help="whose files are taken (default: /usr)")
    parser.add_argument("--files", type=int, default=40000, help="small ones, at most (default: 40000)")
    parser.add_argument("--bytes", type=int, default=10**9, help="in all, about (default: 1e9)")
    parser.add_argument("--markdown", metavar="FILE", help="puts the table into a document, between its bench:image comments")
    options = parser.parse_args()
    bench = Bench(options, options.work)
    measure_all(bench, choose(options.source, options.files, options.bytes))
    if options.markdown:
        put_into(options.markdown, bench.rows)


main()
