#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What images of many layers are made of.

_steps.py build DIR N...: DIR/Containerfile.N and what they copy. Each is the beginning of the next, so that a build of the longer
one goes on where the shorter one ended. Every step changes something: new files, replaced ones, owners and modes; every nineteenth
runs commands: deleted trees, hidden directories, links to what lies layers below, names that change their kind.

_steps.py tars DIR FIRST LAST: DIR/LAYER.tar, with whiteouts, for more layers than builders can have.
"""
import io
import os
import sys
import tarfile

RUN = r"""set -e
i=%d
rm -rf /etc/issue /var/log /srv/kind
mkdir -p /var/log/new /srv/odd /srv/gone
echo $i >/var/log/new/$i
case $((i %% 3)) in
0) mkdir /srv/kind; echo $i >/srv/kind/below ;;
1) echo $i >/srv/kind ;;
2) ln -s ../etc /srv/kind ;;
esac
for f in /srv/gone/* /srv/tree/common; do rm -f $f; done
echo $i >/srv/gone/$i
ln /etc/passwd /etc/passwd.$i
ln -f /etc/debian_version /srv/linked
chown $i:34 /etc/debian_version
chmod 711 /etc
chmod 4755 /usr/bin/stat
mkfifo /srv/fifo.$i
mkdir -p /srv/move; mv /srv/move /srv/moved.$i; mkdir /srv/move; echo $i >/srv/move/f
touch /srv/odd/"a b" /srv/odd/"$(printf 'l\303\266')" /srv/odd/"$(printf 'bad\377')" /srv/odd/"$(printf 'new\nline.')"
truncate -s 1000000 /srv/odd/sparse; echo end >>/srv/odd/sparse
"""


def member(name, **more):
    info = tarfile.TarInfo(name)
    info.mtime = 1000000000
    info.mode = 0o644
    for key, value in more.items():
        setattr(info, key, value)
    return info


def write_tar(path, i):
    """What COPY cannot bring: hard links, devices, attributes, modes."""
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        data = f"hard {i}\n".encode()
        tar.addfile(member(f"hard{i}a", size=len(data), uid=i, gid=60000), io.BytesIO(data))
        for name in [f"hard{i}b", f"hard-z{i % 4}"]:
            tar.addfile(member(name, type=tarfile.LNKTYPE, linkname=f"hard{i}a", uid=i, gid=60000))
        tar.addfile(member(f"dangling{i}", type=tarfile.SYMTYPE, linkname="/no/such/place"))
        tar.addfile(member(f"device{i}", type=tarfile.CHRTYPE, devmajor=1, devminor=3, mode=0o666))
        tar.addfile(member(f"sticky{i}", type=tarfile.DIRTYPE, mode=0o1777))
        attributes = {"SCHILY.xattr.user.step": str(i), "SCHILY.xattr.user.empty": ""}
        tar.addfile(member("attributes", pax_headers=attributes, mode=0o2750))
        tar.addfile(member("n" * 120 + "/" + "m" * 200, size=1), io.BytesIO(b"x"))


def write_file(path, i):
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"step {i}\n" * (i * 37 % 400 + 1))
    os.utime(path, (1000000000 + i, 1000000000 + i))


def step(top, i):
    """The line of step I; its files are written."""
    if i % 19 == 2:
        with open(f"{top}/run{i}", "w", encoding="utf-8") as file:
            file.write(RUN % i)
        os.utime(f"{top}/run{i}", (1000000000, 1000000000))
        return f"RUN --mount=type=bind,target=/mnt /bin/sh /mnt/run{i}"
    if i % 19 == 3:
        write_tar(f"{top}/t{i}.tar", i)
        return f"ADD t{i}.tar /srv/"
    if i % 3 == 0:
        os.makedirs(f"{top}/d{i}/sub")
        for name in ["common", f"own{i}", "sub/common"]:
            write_file(f"{top}/d{i}/{name}", i)
        os.chmod(f"{top}/d{i}/common", 0o600 + i % 64)
        return f"COPY --chown={i}:{i * 500} d{i} /srv/tree/"
    write_file(f"{top}/f{i}", i)
    to = ["shared", f"f{i}", f"f{i - 9}", f"deep/{i % 7}/{i}"][i % 4]
    return f"COPY f{i} /srv/{to}"


def directory(name, **more):
    return member(name, type=tarfile.DIRTYPE, **{"mode": 0o755, **more})


def layer(path, i):
    """Puts three files, takes away one of seven layers ago and one of the layer before; every tenth hides a directory."""
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        add = lambda name, text, **more: tar.addfile(member(name, size=len(text), **more), io.BytesIO(text.encode()))
        tar.addfile(directory("tar", uid=i))
        add("tar/.wh.each", "")
        add(f"tar/.wh.{i - 7}", "")
        add(f"tar/{i}", f"layer {i}\n" * i, uid=i, gid=50000 + i, mode=0o600 + i % 64)
        add("tar/all", f"all {i}\n")
        add("tar/each" if i % 2 else f"tar/{i}.each", f"{i}\n")
        # The same owner and mode as its target: programs differ in whose count.
        like = {"uid": i, "gid": 50000 + i, "mode": 0o600 + i % 64}
        tar.addfile(member(f"tar/{i}.link", type=tarfile.LNKTYPE, linkname=f"tar/{i}", **like))
        tar.addfile(directory(f"tar/dir{i % 3}"))
        if i % 10 == 0:
            add(f"tar/dir{i % 3}/.wh..wh..opq", "")
        add(f"tar/dir{i % 3}/{i}", "x" * i)


def tars(top, first, last):
    os.makedirs(top, exist_ok=True)
    for i in range(first, last + 1):
        layer(f"{top}/{i}.tar", i)


def build(top, *counts):
    lines = ["FROM scratch", "ADD base.tar /"]
    for i in range(2, max(counts) + 1):
        lines.append(step(top, i))
    for n in counts:
        with open(f"{top}/Containerfile.{n}", "w", encoding="utf-8") as file:
            file.write("\n".join(lines[: n + 1]) + "\n")


COMMANDS = {"build": build, "tars": tars}

if __name__ == "__main__":
    COMMANDS[sys.argv[1]](sys.argv[2], *(int(n) for n in sys.argv[3:]))
