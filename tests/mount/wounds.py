# SPDX-License-Identifier: Apache-2.0
"""Where other union file systems are known to fail. Each check runs on a mount of plyfs.

    wounds.py CHECK MOUNT LOWER

The lower layer holds: file (text), suid (mode 6755, owner 100:100), dir/ with sub/ and sub2/ in it,
link -> file, sgid/ (mode 2775, group 100), acl/ (a default ACL that gives user 100 rwx).
"""
import ctypes
import errno
import mmap
import os
import socket
import stat
import struct
import subprocess
import sys
import threading
import time

libc = ctypes.CDLL(None, use_errno=True)
NOREPLACE, EXCHANGE, WHITEOUT = 1, 2, 4
AT_FDCWD = -100


def renameat2(old, new, flags):
    if libc.renameat2(AT_FDCWD, old.encode(), AT_FDCWD, new.encode(), flags) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), old)


def link_open(fd, name):
    """A name for an open file; os.link() cannot follow the link in /proc."""
    source = f"/proc/self/fd/{fd}".encode()
    if libc.linkat(AT_FDCWD, source, AT_FDCWD, name.encode(), 0x400) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), name)


def as_user(uid, fn, groups=()):
    """Runs fn in a child with no privileges; its exceptions fail the check."""
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups(list(groups))
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            fn()
            os._exit(0)
        except BaseException as e:  # noqa: the parent must hear of everything
            print("as user:", repr(e), file=sys.stderr)
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, "failed as a user"


def raises(number, fn, *args):
    try:
        fn(*args)
    except OSError as e:
        assert e.errno == number, f"{errno.errorcode[e.errno]} instead of {errno.errorcode[number]}"
        return
    raise AssertionError(f"no error, {errno.errorcode[number]} was due")


def write(path, text):
    with open(path, "w") as f:
        f.write(text)


def read(path):
    with open(path) as f:
        return f.read()


def unlinked_link_count(lower):
    for name in ("file", "fresh"):
        if name == "fresh":
            write(name, "x")
        fd = os.open(name, os.O_RDWR)
        os.unlink(name)
        assert os.fstat(fd).st_nlink == 0
        os.write(fd, b"still")
        os.fchmod(fd, 0o600)
        assert os.fstat(fd).st_nlink == 0
        assert os.pread(fd, 5, 0) == b"still"
        os.close(fd)
        assert not os.path.exists(name)
    write("a", "a")
    write("b", "b")
    fd = os.open("b", os.O_RDONLY)
    os.rename("a", "b")
    assert os.fstat(fd).st_nlink == 0
    assert os.read(fd, 9) == b"b"


def setgid_directory(lower):
    def make():
        os.umask(0o022)
        os.mkdir("sgid/d")
        write("sgid/f", "")
        os.mkfifo("sgid/p", 0o666)
        os.symlink("x", "sgid/l")
    as_user(100, make)
    for name in ("d", "f", "p", "l"):
        assert os.lstat("sgid/" + name).st_gid == 200, name
        assert os.lstat("sgid/" + name).st_uid == 100, name
    assert stat.S_IMODE(os.stat("sgid/d").st_mode) == 0o2755
    assert stat.S_IMODE(os.stat("sgid/p").st_mode) == 0o644, "the umask counts for fifos too"


def set_id_bits_dropped(lower):
    def change(what):
        def run():
            fd = os.open("s", os.O_RDWR)
            if what == "write":
                os.write(fd, b"x")
            elif what == "truncate":
                os.ftruncate(fd, 1)
            elif what == "fallocate":
                os.posix_fallocate(fd, 0, 100)
            elif what == "chown":
                os.chown("s", 100, 100)
            os.close(fd)
        return run
    for what in ("write", "truncate", "fallocate", "chown"):
        for source in ("lower", "upper"):
            if os.path.exists("s"):
                os.unlink("s")
            if source == "lower":
                os.link("suid", "s")
                os.chmod("s", 0o6777)
            else:
                write("s", "text")
                os.chown("s", 100, 100)
                os.chmod("s", 0o6777)
            as_user(100, change(what))
            mode = stat.S_IMODE(os.stat("s").st_mode)
            assert mode == 0o777, f"{what} on {source}: {mode:o}"


def setfacl_drops_setgid(lower):
    write("f", "")
    os.chown("f", 100, 300)
    os.chmod("f", 0o2755)
    as_user(100, lambda: subprocess.check_call(["setfacl", "-m", "u:55:rx", "f"]))
    assert not os.stat("f").st_mode & stat.S_ISGID


def capabilities_dropped(lower):
    cap = struct.pack("<5I", 0x02000001, 1 << 10, 0, 0, 0)
    write("f", "text")
    os.setxattr("f", "security.capability", cap)
    with open("f", "a") as f:
        f.write("more")
    assert "security.capability" not in os.listxattr("f")
    os.setxattr("f", "security.capability", cap)
    os.chown("f", 5, 5)
    assert "security.capability" not in os.listxattr("f")


def default_acl(lower):
    as_root = os.umask(0o077)
    try:
        write("acl/f", "")
        os.mkdir("acl/d")
        os.mkfifo("acl/p")
    finally:
        os.umask(as_root)
    acl = subprocess.check_output(["getfacl", "-cnp", "acl/f"], text=True)
    assert "user:100:rwx" in acl, acl
    assert "default:user:100:rwx" in subprocess.check_output(["getfacl", "-cnp", "acl/d"], text=True)
    assert stat.S_IMODE(os.stat("acl/p").st_mode) & 0o070, "the default ACL counts, not the umask"
    as_user(100, lambda: write("acl/f", "allowed by the ACL"))
    os.chmod("acl/f", 0o600)
    assert "mask::---" in subprocess.check_output(["getfacl", "-cnp", "acl/f"], text=True)


def long_names(lower):
    write("n" * 255, "x")
    assert read("n" * 255) == "x"
    raises(errno.ENAMETOOLONG, os.stat, "n" * 256)
    raises(errno.ENAMETOOLONG, os.mkdir, "n" * 256)
    raises(errno.ENAMETOOLONG, os.rename, "n" * 255, "m" * 256)
    raises(errno.ENAMETOOLONG, os.symlink, "x" * 4096, "l")
    os.symlink("x" * 4095, "l")
    assert os.readlink("l") == "x" * 4095
    top = os.getcwd()
    for _ in range(40):
        os.mkdir("d" * 200)
        os.chdir("d" * 200)
    write("deep", "deep")
    assert read("deep") == "deep"
    os.rename("deep", "deeper")
    assert os.listdir(".") == ["deeper"]
    os.unlink("deeper")
    for _ in range(40):
        os.chdir("..")
        os.rmdir("d" * 200)
    assert os.getcwd() == top


def caches_dropped(lower):
    stop = threading.Event()

    def drop():
        while not stop.is_set():
            with open("/proc/sys/vm/drop_caches", "w") as f:
                f.write("2")
    thread = threading.Thread(target=drop)
    thread.start()
    try:
        end = time.time() + 4
        n = 0
        while time.time() < end:
            n += 1
            name = f"c{n % 7}"
            os.mkdir(name)
            write(name + "/f", str(n))
            assert read(name + "/f") == str(n)
            os.rename(name + "/f", name + "/g")
            assert os.listdir(name) == ["g"]
            os.rename(name, name + "x")
            assert read(name + "x/g") == str(n)
            os.unlink(name + "x/g")
            os.rmdir(name + "x")
            assert os.path.isdir("dir/sub")
    finally:
        stop.set()
        thread.join()


def xattr_of_symlink(lower):
    os.symlink("/etc/passwd", "out")
    before = os.listxattr("/etc/passwd")
    os.setxattr("out", "trusted.x", b"1", follow_symlinks=False)
    assert os.getxattr("out", "trusted.x", follow_symlinks=False) == b"1"
    assert os.listxattr("/etc/passwd") == before
    os.setxattr("link", "trusted.y", b"2", follow_symlinks=False)
    assert "trusted.y" not in os.listxattr("file")
    raises(errno.EPERM, lambda: os.setxattr("link", "user.y", b"2", follow_symlinks=False))


def device_zero(lower):
    os.mknod("zero", stat.S_IFCHR | 0o600, os.makedev(0, 0))
    st = os.lstat("zero")
    assert stat.S_ISCHR(st.st_mode) and st.st_rdev == 0
    assert "zero" in os.listdir(".")

    def user():
        os.mknod("sgid/zero", stat.S_IFCHR | 0o600, os.makedev(0, 0))
        assert "zero" in os.listdir("sgid")
    os.chmod("sgid", 0o2777)
    as_user(100, user)
    os.unlink("zero")
    os.unlink("sgid/zero")


def rename_flags(lower):
    renameat2("file", "moved", WHITEOUT)
    assert stat.S_ISCHR(os.lstat("file").st_mode)
    os.unlink("file")
    raises(errno.EEXIST, renameat2, "moved", "suid", NOREPLACE)
    renameat2("dir", "suid", EXCHANGE)
    assert os.path.isdir("suid/sub") and os.path.isfile("dir")


def tmpfile(lower):
    for where in (".", "dir"):
        fd = os.open(where, os.O_TMPFILE | os.O_RDWR, 0o640)
        os.write(fd, b"text")
        assert os.fstat(fd).st_nlink == 0
        link_open(fd, where + "/named")
        assert os.fstat(fd).st_nlink == 1
        os.close(fd)
        assert read(where + "/named") == "text"
    fd = os.open(".", os.O_TMPFILE | os.O_RDWR | os.O_EXCL, 0o640)
    raises(errno.ENOENT, link_open, fd, "no")


def direct_io(lower):
    block = mmap.mmap(-1, 8192)
    block.write(b"D" * 8192)
    fd = os.open("direct", os.O_RDWR | os.O_CREAT | os.O_DIRECT, 0o644)
    assert os.pwritev(fd, [block], 0) == 8192
    back = mmap.mmap(-1, 8192)
    assert os.preadv(fd, [back], 0) == 8192
    assert back[:] == b"D" * 8192
    os.close(fd)
    fd = os.open("file", os.O_RDONLY | os.O_DIRECT)
    assert os.preadv(fd, [back], 0) == os.stat("file").st_size


def parent_links(lower):
    for d in (".", "dir"):
        assert os.stat(d).st_nlink == 2 + sum(e.is_dir(follow_symlinks=False) for e in os.scandir(d)), d
    before = os.stat("dir").st_nlink
    top = os.stat(".").st_nlink
    os.rename("dir/sub", "sub")
    assert os.stat("dir").st_nlink == before - 1
    assert os.stat(".").st_nlink == top + 1
    os.mkdir("empty")
    os.rename("sub", "empty")
    assert os.stat(".").st_nlink == top + 1


def inode_numbers(lower):
    before = {n: (os.lstat(n).st_ino, os.lstat(n).st_dev) for n in os.listdir(".")}
    for name in before:
        os.chown(name, 7, 7, follow_symlinks=False)
    with open("file", "a") as f:
        f.write("more")
    assert before == {n: (os.lstat(n).st_ino, os.lstat(n).st_dev) for n in os.listdir(".")}
    assert {e.name: e.inode() for e in os.scandir(".")} == {n: i for n, (i, _) in before.items()}


def listed(path):
    """The numbers of all names in a directory, with "." and "..", as getdents64(2) tells them."""
    fd, found = os.open(path, os.O_RDONLY | os.O_DIRECTORY), {}
    buf = ctypes.create_string_buffer(65536)
    while (n := libc.getdents64(fd, buf, len(buf))) > 0:
        at = 0
        while at < n:
            ino, _, length, _ = struct.unpack_from("<QqHB", buf, at)
            found[buf.raw[at + 19 : at + length].split(b"\0")[0].decode()] = ino
            at += length
    os.close(fd)
    return found


def parent_in_listings(lower):
    """The kernel has the listing of a directory, and another directory gets it."""
    os.mkdir("other")
    os.mkdir("other/new")
    for name in "dir/sub", "dir/sub2", "other/new":
        for _ in range(3):
            assert listed(name)[".."] == os.stat(os.path.dirname(name)).st_ino
    os.rename("dir/sub", "other/sub")
    renameat2("dir/sub2", "other/new", EXCHANGE)
    os.rename("other", "renamed")
    for name in "renamed/sub", "renamed/new", "dir/sub2":
        for _ in range(3):
            assert listed(name)[".."] == os.stat(os.path.dirname(name)).st_ino, name
            assert listed(name)["."] == os.stat(name).st_ino


def seen_through_open_file(lower):
    fd = os.open("file", os.O_RDONLY)
    size = os.fstat(fd).st_size
    view = mmap.mmap(fd, size, mmap.MAP_SHARED, mmap.PROT_READ)
    first = view[:]
    assert first
    with open("file", "r+") as f:
        f.write("Y" * size)
    assert os.pread(fd, size, 0) == b"Y" * size
    assert view[:] == b"Y" * size
    assert open(lower + "/file", "rb").read() == first


def hard_links(lower):
    assert os.stat("h1").st_nlink == 2
    os.chmod("h1", 0o600)
    assert stat.S_IMODE(os.stat("h2").st_mode) == 0o600
    with open("h2", "a") as f:
        f.write("more")
    assert read("h1").endswith("more")
    assert os.stat("h1").st_ino == os.stat("h2").st_ino
    os.unlink("h1")
    assert os.stat("h2").st_nlink == 1


def listing_while_changing(lower):
    os.mkdir("many")
    for i in range(3000):
        write(f"many/{i}", "")
    seen = set()
    with os.scandir("many") as entries:
        for n, entry in enumerate(entries):
            assert entry.name not in seen, "listed twice"
            seen.add(entry.name)
            os.unlink(entry.path)
            if n % 10 == 0:
                write(f"many/new{n}", "")
    assert {str(i) for i in range(3000)} <= seen, "a name that was there all the time is missing"


# cp(1) fails when it cannot read what is listed.
def trusted_names_are_roots(lower):
    os.setxattr("file", "trusted.y", b"1")
    os.setxattr("file", "user.y", b"1")
    assert os.listxattr("file") == ["trusted.y", "user.y"]
    assert os.listxattr("dir/sub") == ["trusted.z"]

    def user():
        assert os.listxattr("file") == ["user.y"]
        assert os.listxattr("dir/sub") == []
        copy = f"/var/tmp/plyfs-copy.{os.getpid()}"
        subprocess.check_call(["cp", "--preserve=xattr", "file", copy])
        os.unlink(copy)

    as_user(100, user)


def access_times(lower):
    os.utime("file", (1, 2))
    assert os.stat("file").st_atime == 1
    fd = os.open("file", os.O_RDONLY)
    os.read(fd, 10)
    os.close(fd)
    assert os.stat("file").st_atime == 1, "noatime is the default"


def sockets(lower):
    s = socket.socket(socket.AF_UNIX)
    s.bind("sock")
    s.listen(1)
    c = socket.socket(socket.AF_UNIX)
    c.connect("sock")
    a, _ = s.accept()
    a.send(b"hello")
    assert c.recv(9) == b"hello"


def text_busy(lower):
    write("prog", "#!/bin/sh\n")
    subprocess.check_call(["cp", "/bin/sleep", "sleeper"])
    p = subprocess.Popen(["./sleeper", "5"])
    time.sleep(0.3)
    raises(errno.ETXTBSY, os.open, "sleeper", os.O_WRONLY)
    p.kill()
    p.wait()


def sparse(lower):
    fd = os.open("holes", os.O_RDWR | os.O_CREAT)
    os.pwrite(fd, b"x" * 4096, 10 << 20)
    os.fsync(fd)
    assert os.lseek(fd, 0, os.SEEK_DATA) == 10 << 20
    assert os.lseek(fd, 10 << 20, os.SEEK_HOLE) == (10 << 20) + 4096


def holes_take_no_room(lower):
    fd = os.open("roomy", os.O_RDWR | os.O_CREAT)
    os.pwrite(fd, b"x" * 4096, 10 << 20)
    os.fsync(fd)
    assert os.fstat(fd).st_blocks < 100


# cp(1) and others believe that what is no data for SEEK_DATA is zeros.
def data_not_written_back_is_data(lower):
    fd = os.open("fresh", os.O_RDWR | os.O_CREAT)
    os.write(fd, b"x" * (1 << 20))
    assert os.lseek(fd, 0, os.SEEK_DATA) == 0
    assert os.lseek(fd, 0, os.SEEK_HOLE) == 1 << 20
    raises(errno.ENXIO, os.lseek, fd, 1 << 20, os.SEEK_DATA)
    os.fsync(fd)
    os.ftruncate(fd, 64 << 20)
    os.fsync(fd)
    os.pwrite(fd, b"y" * 4096, 32 << 20)
    assert os.lseek(fd, 16 << 20, os.SEEK_DATA) <= 32 << 20


def main():
    check, mount, lower = sys.argv[1:4]
    os.chdir(mount)
    globals()[check](lower)


main()
