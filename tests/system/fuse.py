# SPDX-License-Identifier: LGPL-2.1-or-later
"""A file system that answers everything but what a file holds: whoever reads it waits until it is let go."""
import ctypes
import errno
import os
import select
import stat
import struct
import threading

from varlink import TIMEOUT

LOOKUP, FORGET, GETATTR, STATFS, READ, INIT, INTERRUPT, BATCH_FORGET = 1, 2, 3, 17, 15, 26, 36, 42
OPEN, OPENDIR = 14, 27
DONE = (18, 25, 29)  # release, flush, releasedir: nothing to say
FOPEN_KEEP_CACHE = 2  # else who opens it waits for who reads it
MS_NOSUID, MS_NODEV, MNT_DETACH = 2, 4, 2
ROOT, FILE = 1, 2
FILE_BYTES = 65536

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _attributes(node):
    mode, links, size = (stat.S_IFDIR | 0o755, 2, 0) if node == ROOT else (stat.S_IFREG | 0o644, 1, FILE_BYTES)
    return struct.pack("=6Q10I", node, size, 0, 0, 0, 0, 0, 0, 0, mode, links, 0, 0, 0, 4096, 0)


class StalledFile:
    """Mounted at directory, which then has one file, "file"."""

    def __init__(self, directory):
        self.directory = directory
        self.path = directory / "file"
        self.reads = []  # (number of the request, bytes wanted)
        self.released = False
        self.changed = threading.Condition()
        self.fd = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
        self.end = os.eventfd(0, os.EFD_CLOEXEC)
        options = f"fd={self.fd},rootmode=40755,user_id=0,group_id=0,allow_other"
        _check(_libc.mount(b"stalled", os.fsencode(directory), b"fuse", MS_NOSUID | MS_NODEV, options.encode()))
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        """All who wait get an error."""
        _check(_libc.umount2(os.fsencode(self.directory), MNT_DETACH))
        os.eventfd_write(self.end, 1)
        self.thread.join()
        os.close(self.end)
        os.close(self.fd)

    def wait_reader(self):
        """Until somebody waits for what the file holds."""
        with self.changed:
            assert self.changed.wait_for(lambda: self.reads, TIMEOUT), "nobody has read the file"

    def release(self):
        """From now on the file holds zeroes."""
        with self.changed:
            self.released = True
            for unique, size in self.reads:
                self._answer(unique, 0, bytes(size))

    def _serve(self):
        while self.end not in select.select([self.fd, self.end], [], [])[0]:
            try:
                request = os.read(self.fd, 1 << 20)
            except OSError as error:
                if error.errno == errno.ENODEV:  # nobody has it mounted any more
                    return
                continue
            _, opcode, unique, node = struct.unpack_from("=IIQQ", request)
            if opcode == READ:
                self._read(unique, struct.unpack_from("=QQI", request, 40)[2])
            elif opcode not in (FORGET, BATCH_FORGET, INTERRUPT):
                self._answer(unique, *self._result(opcode, node, request[40:]))

    def _read(self, unique, size):
        with self.changed:
            if self.released:
                self._answer(unique, 0, bytes(size))
            self.reads.append((unique, size))
            self.changed.notify_all()

    def _answer(self, unique, error, data=b""):
        try:
            os.write(self.fd, struct.pack("=IiQ", 16 + len(data), -error, unique) + data)
        except OSError:
            pass  # whoever asked has gone

    def _result(self, opcode, node, body):
        if opcode == INIT:
            _, minor, readahead = struct.unpack_from("=III", body)
            return 0, struct.pack("=4I2H2I2H8I", 7, min(minor, 31), readahead, 0, 16, 12, 65536, 1, 16, 0, *[0] * 8)
        if opcode == LOOKUP:
            if body.rstrip(b"\0") != b"file":
                return (errno.ENOENT,)
            return 0, struct.pack("=4Q2I", FILE, 0, 3600, 3600, 0, 0) + _attributes(FILE)
        if opcode == GETATTR:
            return 0, struct.pack("=Q2I", 3600, 0, 0) + _attributes(node)
        if opcode in (OPEN, OPENDIR):
            return 0, struct.pack("=Q2I", 1, FOPEN_KEEP_CACHE, 0)
        if opcode == STATFS:
            return 0, struct.pack("=5Q10I", *[0] * 5, 4096, 255, 4096, *[0] * 7)
        return (0,) if opcode in DONE else (errno.ENOSYS,)
