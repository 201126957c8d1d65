# SPDX-License-Identifier: Apache-2.0
"""Whole jobs: what people do in containers, from the first call to the last."""
import os
import shutil
import subprocess

import data as trees
import podman
from groups import Group, Step, cached
from systems import Unavailable, prepare

APT_PACKAGES = ("git", "python3")
NPM_PACKAGES = ("express", "eslint", "typescript", "webpack", "react", "jest")
UNTAR_FILES = 80000
SQLITE_COMMITS, SQLITE_ROWS = 1000, 200000
PGBENCH_SCALE, PGBENCH_TRANSACTIONS = 5, 1000
MODULES = """argparse asyncio bz2 calendar cmd code codecs concurrent.futures configparser csv ctypes curses
    datetime dbm decimal difflib doctest email.mime.multipart email.mime.text encodings.idna filecmp fractions ftplib
    getpass gettext glob gzip hashlib html.parser http.client http.cookiejar http.server imaplib importlib.metadata
    inspect ipaddress json.tool logging.config logging.handlers lzma mailbox mimetypes multiprocessing.pool netrc
    optparse pathlib pdb pickletools pkgutil platform plistlib poplib pprint profile pydoc queue random sched secrets
    shelve shlex smtplib socketserver sqlite3 ssl statistics string subprocess tarfile tempfile timeit trace
    tracemalloc typing unittest.mock urllib.request uuid venv wave webbrowser wsgiref.simple_server xml.dom.minidom
    xml.etree.ElementTree xml.sax xmlrpc.client xmlrpc.server zipapp zipfile zoneinfo""".split()


def need(program, package):
    """Programs may be there without Debian's package."""
    if not shutil.which(program):
        prepare("packages", package)


def scaled(count, data):
    return max(int(count * data.size.job), 2)


class Jobs:
    """Jobs with a lower layer of their own: prepared by check(), then mounted by run()."""

    def __init__(self):
        self.lower = None

    def mount(self, session):
        if session.system.name == "backing":
            session.use_copy(self.lower, os.listdir(self.lower))
        else:
            session.mount([self.lower])


class Apt(Jobs):
    """Unpacks and configures packages in a Debian root whose archives are there already."""

    def check(self, _bench):
        self.lower = prepare("apt-root", *APT_PACKAGES)

    def run(self, session, _data):
        self.mount(session)
        script = os.path.join(session.bench.here, "prepare.sh")
        yield "apt", session.work("run", script, "in-root", session.root, "apt-get", "-qq", "install", "-y",
                                  "--no-install-recommends", "--no-download", *APT_PACKAGES)


class Npm(Jobs):
    def check(self, bench):
        need("npm", "npm")
        self.cache = os.path.join(cached(bench, "bench-npm", " ".join(NPM_PACKAGES), self.fetch), "cache")
        self.lower = os.path.join(os.path.dirname(self.cache), "project")

    @staticmethod
    def npm(cache, *words):
        return ["npm", *words, "--cache", cache, "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error",
                "--logs-max=0", "--omit-lockfile-registry-resolved=false"]

    def fetch(self, directory):
        project = os.path.join(directory, "project")
        os.makedirs(project)
        with open(os.path.join(project, "package.json"), "w", encoding="utf-8") as f:
            f.write('{"name": "bench", "version": "1.0.0", "private": true}\n')
        done = subprocess.run(self.npm(os.path.join(directory, "cache"), "install", *NPM_PACKAGES), cwd=project,
                              stdout=subprocess.DEVNULL, check=False)
        if done.returncode != 0:
            raise Unavailable("npm could not fetch the packages")
        shutil.rmtree(os.path.join(project, "node_modules"))

    def run(self, session, _data):
        self.mount(session)
        yield "npm", session.work("run", *self.npm(self.cache, "ci", "--offline"))


class Python(Jobs):
    """Imports most of the standard library, found behind thirty empty directories of the search path."""

    PROGRAM = ("import importlib, os, sys; root = sys.argv[1]; "
               "sys.path[:0] = [f'{root}/empty{i}' for i in range(30)] + [f'{root}/lib']; "
               "sys.path_importer_cache.clear(); [importlib.import_module(name) for name in sys.argv[2:]]")

    def check(self, bench):
        done = subprocess.run(["/usr/bin/python3", "-c", "import os; print(os.path.dirname(os.__file__))"],
                              stdout=subprocess.PIPE, text=True, check=True)
        library = done.stdout.strip()
        self.lower = cached(bench, "bench-python", library, lambda to: self.copy(library, to))

    @staticmethod
    def copy(library, directory):
        subprocess.run(["cp", "-a", library, os.path.join(directory, "lib")], check=True)
        for number in range(30):
            os.makedirs(os.path.join(directory, f"empty{number}"))

    def run(self, session, data):
        self.mount(session)
        argv = ["/usr/bin/python3", "-I", "-S", "-B", "-W", "ignore", "-c", self.PROGRAM, session.root, *MODULES]
        yield "import", session.work("run", *argv)
        again = f"for i in $(seq {scaled(10, data)}); do \"$@\"; done"
        yield "import-again", session.work("run", "sh", "-ec", again, "sh", *argv)


class Untar(Jobs):
    """As many files as the sources of a kernel have."""

    def check(self, bench):
        count = scaled(UNTAR_FILES, bench.data)
        self.archive = os.path.join(cached(bench, f"bench-untar-{count}", str(count), lambda to: self.make(count, to)),
                                    "untar.tar")

    @staticmethod
    def make(count, directory):
        names = trees.sample("/usr", count, skip=("local",))
        trees.archive(names, "/usr", os.path.join(directory, "untar.tar"))

    def run(self, session, _data):
        session.work("run", "mkdir", "new")
        yield "untar-all", session.work("run", "tar", "-C", "new", "-xf", self.archive)
        yield "find-all", session.work("run", "find", "new", "-newer", "/", "-size", "+100M")
        yield "rm-all", session.work("run", "rm", "-rf", "new")


class Gcc(Jobs):
    """Compiles the greater part of plyfs, sources and system headers read through the mount."""

    FOLDERS = "base attr catalog image data layer union fs".split()

    def check(self, bench):
        top = os.path.dirname(os.path.dirname(bench.here))
        self.lower = cached(bench, "bench-gcc", str(os.path.getmtime(os.path.join(top, "src"))),
                            lambda to: self.copy(top, to))

    def copy(self, top, directory):
        os.makedirs(os.path.join(directory, "src"))
        for folder in self.FOLDERS:
            shutil.copytree(os.path.join(top, "src", folder), os.path.join(directory, "src", folder))
        subprocess.run(["cp", "-a", "/usr/include", os.path.join(directory, "include")], check=True)

    def run(self, session, data):
        self.mount(session)
        sources = "ls src/*/*.c" + (" | head -n 5" if data.size.job < 1 else "")
        yield "gcc", session.work("run", "sh", "-ec", f"""
            mkdir obj
            {sources} | xargs -P "$(nproc)" -I {{}} sh -ec 'gcc -std=gnu17 -D_GNU_SOURCE -O1 -w -nostdinc \
                -isystem "$(gcc -print-file-name=include)" -isystem "include/$(gcc -print-multiarch)" \
                -isystem include -Isrc -c -o "obj/$(echo {{}} | tr / _).o" {{}}'
            ar rcs all.a obj/*.o""")


class Pgbench(Jobs):
    def check(self, _bench):
        need("pgbench", "postgresql")
        found = [os.path.join("/usr/lib/postgresql", v, "bin") for v in sorted(os.listdir("/usr/lib/postgresql"))]
        if not found:
            raise Unavailable("there is no PostgreSQL server in /usr/lib/postgresql")
        self.bin = found[-1]

    def run(self, session, data):
        session.work("run", "install", "-d", "-o", "postgres", "-m", "700", "pg")
        sock = os.path.join(session.dir, "sock")
        subprocess.run(["install", "-d", "-o", "postgres", sock], check=True)

        def pg(program, *words):
            return session.work("run", "setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups",
                                "env", f"PGHOST={sock}", "LC_ALL=C.UTF-8", os.path.join(self.bin, program), *words)

        yield "initdb", pg("initdb", "-D", "pg", "--auth=trust")
        pg("pg_ctl", "-w", "-D", "pg", "-l", os.path.join(sock, "log"), "-o", f"-h '' -k {sock}", "start")
        try:
            yield "pgbench-load", pg("pgbench", "-q", "-i", "-s", str(scaled(PGBENCH_SCALE, data)), "postgres")
            yield "pgbench", pg("pgbench", "-c", "4", "-t", str(scaled(PGBENCH_TRANSACTIONS, data)), "postgres")
        finally:
            pg("pg_ctl", "-w", "-D", "pg", "-m", "immediate", "stop")


class Sqlite(Jobs):
    def check(self, _bench):
        need("sqlite3", "sqlite3")

    def run(self, session, data):
        commits, rows = scaled(SQLITE_COMMITS, data), scaled(SQLITE_ROWS, data)
        single = "create table t (a integer primary key, b text);\n" + "".join(
            f"insert into t values ({i}, 'row {i}');\n" for i in range(commits))
        many = (f"pragma journal_mode = wal; create table u (a integer primary key, b text); begin; "
                f"with recursive n (i) as (select 1 union all select i + 1 from n where i < {rows}) "
                "insert into u select i, hex(i * 7919) from n; commit; create index ub on u (b); "
                "select count(*) from u where b like '3%';\n")
        for name, script in (("sqlite", single), ("sqlite-bulk", many)):
            path = os.path.join(session.dir, name)
            with open(path, "w", encoding="utf-8") as f:
                f.write(script)
            yield name, session.work("run", "sqlite3", "db", f".read {path}")


def job(name, kind, steps, **more):
    titles = tuple(Step(step, title, unit="ms") for step, title in steps)
    return Group(name, titles, kind.run, kind="jobs", check=kind.check, **more)


JOBS = (
    job("podman", podman.Build(), (("podman-10", "podman build of 10 layers"),
                                   ("podman-40", "podman build of 40 layers")), mounts=False,
        counts=False, only=podman.can),
    job("apt", Apt(), (("apt", "apt-get install git python3"),), mounts=False, only=lambda s: s.copies_up),
    job("npm", Npm(), (("npm", "npm ci"),), mounts=False),
    job("python", Python(), (("import", f"{len(MODULES)} Python modules imported, cold"),
                             ("import-again", "ten times again")), mounts=False),
    job("untar-all", Untar(), (("untar-all", "untar 80,000 files"), ("find-all", "find in them"),
                               ("rm-all", "rm -rf of them"))),
    job("gcc", Gcc(), (("gcc", "gcc: plyfs' own sources"),), mounts=False),
    job("pgbench", Pgbench(), (("initdb", "initdb"), ("pgbench-load", "pgbench -i -s 5"),
                               ("pgbench", "pgbench, 4,000 transactions"))),
    job("sqlite", Sqlite(), (("sqlite", "sqlite: 1,000 commits"), ("sqlite-bulk", "sqlite: 200,000 rows, index"))),
)
