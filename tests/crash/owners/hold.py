# SPDX-License-Identifier: Apache-2.0
# hold.py FILE TEXT: owns an upper as plyfs does, by a lock on byte 0 of its lock file, until it is killed.
import fcntl, os, signal, struct, sys

fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o600)
os.ftruncate(fd, 0)
if sys.argv[2]:
    os.write(fd, (sys.argv[2] + "\n").encode())
F_OFD_SETLK = 37
fcntl.fcntl(fd, F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 1, 0))
print("held", flush=True)
signal.pause()
