# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which pages of a file are in memory, exactly, as the kernel says of each: by mincore(2)."""
import ctypes
import mmap
import os

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
_libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
_libc.mincore.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p]
MAP_FAILED = ctypes.c_void_p(-1).value


def resident_pages(path):
    """(pages in memory, pages of the file). Mapping it makes none of them resident."""
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        address = _libc.mmap(None, size, mmap.PROT_READ, mmap.MAP_SHARED, file.fileno(), 0)
        if address == MAP_FAILED:
            raise OSError(ctypes.get_errno(), "mmap", str(path))
        pages = -(-size // mmap.PAGESIZE)
        vector = ctypes.create_string_buffer(pages)
        try:
            if _libc.mincore(address, size, vector) < 0:
                raise OSError(ctypes.get_errno(), "mincore", str(path))
        finally:
            _libc.munmap(address, size)
    return sum(byte & 1 for byte in vector.raw), pages


def read_whole(path):
    with open(path, "rb") as file:
        while file.read(1 << 20):
            pass


def drop(path):
    """Out of memory, where nobody has them mapped."""
    with open(path, "rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def inode(path):
    status = os.stat(path)
    return status.st_dev, status.st_ino
