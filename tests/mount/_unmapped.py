# SPDX-License-Identifier: Apache-2.0
"""Files of owners that have no id here.

idmap FROM TO MAP: a bind mount of FROM at TO, idmapped: stored ids from MAP on are shown from 0 on.
ns MAP COMMAND...: COMMAND as root of a user namespace whose ids are those from MAP on, with a mount namespace of its own.
probe DIR UID...: what each UID may do to what is in DIR: a line each.
"""
import ctypes
import errno
import os
import sys

COUNT = 65536
NOBODY = 65534
CLONE_NEWNS, CLONE_NEWUSER = 0x20000, 0x10000000
OPEN_TREE, MOVE_MOUNT, MOUNT_SETATTR = 428, 429, 442
libc = ctypes.CDLL(None, use_errno=True)


def checked(result):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def in_namespace(flags, inside, outside, work):
    """WORK in a child with FLAGS unshared, whose ids from INSIDE on are ours from OUTSIDE on; its number, and what begins it."""
    ready, told = os.pipe()
    go, begin = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(begin)
        os.close(ready)
        checked(libc.unshare(flags))
        os.write(told, b"x")
        os.read(go, 1)
        work()
    os.close(told)
    os.close(go)
    os.read(ready, 1)
    for name in ("uid_map", "gid_map"):
        with open(f"/proc/{child}/{name}", "w", encoding="ascii") as f:
            f.write(f"{inside} {outside} {COUNT}")
    return child, begin


def idmap(source, target, first):
    child, begin = in_namespace(CLONE_NEWUSER, first, 0, lambda: os._exit(0))
    tree = checked(libc.syscall(OPEN_TREE, -100, source.encode(), 1 | os.O_CLOEXEC))
    space = os.open(f"/proc/{child}/ns/user", os.O_RDONLY)
    attr = (ctypes.c_uint64 * 4)(0x100000, 0, 0, space)
    checked(libc.syscall(MOUNT_SETATTR, tree, b"", 0x1000, attr, ctypes.sizeof(attr)))
    checked(libc.syscall(MOVE_MOUNT, tree, b"", -100, target.encode(), 4))
    os.write(begin, b"x")
    os.waitpid(child, 0)


def ns(first, *command):
    def run():
        os.setgroups([])
        os.setgid(0)
        os.setuid(0)
        os.execvp(command[0], command)

    child, begin = in_namespace(CLONE_NEWUSER | CLONE_NEWNS, 0, first, run)
    os.write(begin, b"x")
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def append(path):
    with open(path, "ab") as f:
        f.write(b"more")


def read(path):
    with open(path, "rb") as f:
        return f.read().decode().strip()


def owner(path):
    st = os.lstat(path)
    return f"{st.st_uid}:{st.st_gid} {st.st_mode & 0o7777:o}"


OPERATIONS = (
    ("stat", owner),
    ("read", lambda p: read(p) if os.path.isfile(p) and not os.path.islink(p) else None),
    ("append", lambda p: append(p) if os.path.isfile(p) and not os.path.islink(p) else None),
    ("truncate", lambda p: os.truncate(p, 2) if os.path.isfile(p) and not os.path.islink(p) else None),
    ("list", lambda p: sorted(os.listdir(p)) if os.path.isdir(p) else None),
    ("create", lambda p: os.mknod(p + "/new") if os.path.isdir(p) else None),
    ("created", lambda p: owner(p + "/new") if os.path.isdir(p) else None),
    ("erase", lambda p: os.unlink(p + "/new") if os.path.isdir(p) else None),
    ("erase file", lambda p: os.unlink(p + "/old") if os.path.isdir(p) else None),
    ("rename file", lambda p: os.rename(p + "/moved", p + "/to") if os.path.isdir(p) else None),
    ("chmod", lambda p: os.chmod(p, 0o4755) if not os.path.islink(p) else None),
    ("times", lambda p: os.utime(p, (1, 1), follow_symlinks=False)),
    ("now", lambda p: os.utime(p, follow_symlinks=False)),
    ("setxattr", lambda p: os.setxattr(p, "user.a", b"b") if not os.path.islink(p) else None),
    ("getxattr", lambda p: os.getxattr(p, "user.there") if not os.path.islink(p) else None),
    ("link", lambda p: os.link(p, p + ".link", follow_symlinks=False) if not os.path.isdir(p) else None),
    # Root may here, and may not on overlayfs, which has no owner to give to what is copied up before.
    ("chown", lambda p: os.chown(p, NOBODY, NOBODY, follow_symlinks=False) if os.geteuid() != 0 else None),
    ("owner", owner),
)


def probe_as(uid, top):
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    names = sorted(os.listdir(top))
    for name in names:
        for what, work in OPERATIONS:
            try:
                said = work(os.path.join(top, name))
            except OSError as e:
                said = errno.errorcode[e.errno]
            print(f"{uid} {name}: {what}: {said}", flush=True)


def probe(top, *uids):
    for uid in uids:
        child = os.fork()
        if child == 0:
            probe_as(int(uid), top)
            os._exit(0)
        if os.waitpid(child, 0)[1] != 0:
            sys.exit(f"probe of {uid} failed")


{"idmap": idmap, "ns": ns, "probe": probe}[sys.argv[1]](*sys.argv[2:])
