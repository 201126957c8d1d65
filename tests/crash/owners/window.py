# SPDX-License-Identifier: Apache-2.0
# window.py write DIR: makes DIR/w/1, DIR/w/2 ... and keeps the last ten, until DIR fails.
# window.py check DIR: what is there is a piece of that without a gap, each file with its number in it.
import errno, os, sys

SIZE = 10


def large(number):
    return (str(number).encode() * 60000)[:60000]


def write(top):
    os.mkdir(top)
    number = 0
    while True:
        number += 1
        path = f"{top}/{number}"
        # The name comes when everything else is complete.
        with open(f"{top}/next", "w") as f:
            f.write(str(number) * 100)
        os.setxattr(f"{top}/next", "user.large", large(number))
        os.rename(f"{top}/next", path)
        if number > SIZE:
            os.unlink(f"{top}/{number - SIZE}")


def check(top):
    numbers = sorted(int(n) for n in os.listdir(top) if n != "next")
    if not numbers:
        sys.exit("nothing is there")
    if numbers != list(range(numbers[0], numbers[-1] + 1)) or len(numbers) not in (SIZE, SIZE + 1):
        sys.exit(f"not one moment: {numbers}")
    for n in numbers:
        with open(f"{top}/{n}") as f:
            text = f.read()
        if text != str(n) * 100:
            sys.exit(f"{n} has {text[:20]}... of {len(text)} bytes")
        if os.getxattr(f"{top}/{n}", "user.large") != large(n):
            sys.exit(f"{n} has another xattr")


DEATH = [errno.ENOTCONN, errno.ECONNABORTED, errno.EIO]
if "io_uring=1" in os.environ.get("PLYFS_TEST_MOUNT_OPTIONS", ""):
    DEATH.append(errno.ECANCELED)  # what Linux was about to hand to a thread that is dead

try:
    {"write": write, "check": check}[sys.argv[1]](sys.argv[2] + "/w")
except OSError as e:
    if sys.argv[1] == "check" or e.errno not in DEATH:
        raise
