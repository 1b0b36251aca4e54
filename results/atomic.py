"""Files that are whole or not there: temporary name, flush to the disk, rename.

Every file of a run is written under a temporary name in its own folder, flushed, and renamed: a
reader sees the old file, the new file or none. What the system refuses becomes a `StoreError` that
names the path and a remedy. Nothing is ever removed but temporary files of this module's naming.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shutil
import socket
import stat
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

import pyarrow as pa

_TEMPORARY: Final = re.compile(r"^\..+\.huzhu-(?P<host>[^~]*)~(?P<pid>\d+)~[0-9a-f]{8}\.tmp$")
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_REFUSED: Final = (errno.EACCES, errno.EPERM, errno.EROFS)


class StoreError(Exception):
    """Results cannot be written or read; the message names what and a remedy in a line or two."""


def make_folder(folder: Path) -> None:
    """Make a folder and those above it.

    Raises
    ------
    StoreError
        It cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(refusal(error, folder)) from error


def nearest_folder(folder: Path) -> Path:
    """Return a folder, or the first one above it that is there.

    Raises
    ------
    StoreError
        It cannot be made: a file is in the way, say.
    """
    for above in (folder, *folder.parents):
        try:
            if stat.S_ISDIR(above.stat().st_mode):
                return above
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        except FileNotFoundError as error:
            if above.is_symlink():
                raise StoreError(refusal(error, above)) from error
        except OSError as error:
            raise StoreError(refusal(error, folder)) from error
    return folder


def check_folder(folder: Path) -> None:
    """Make sure that a file can be written in a folder, or in the one that it would be made in.

    Raises
    ------
    StoreError
        It cannot.
    """
    try:
        write_whole(nearest_folder(folder) / "probe", b"huzhu", keep=False)
    except StoreError as refused:
        if isinstance(refused.__cause__, OSError):
            raise StoreError(refusal(refused.__cause__, folder)) from refused.__cause__
        raise


def write_whole(path: Path, content: bytes | pa.Buffer, keep: bool = True) -> None:
    """Write a file whole, replacing the one before.

    Parameters
    ----------
    path : Path
        The file, in a folder that exists.
    content : bytes or pyarrow.Buffer
        All of it.
    keep : bool
        False only tries: the temporary file is written and removed.

    Raises
    ------
    StoreError
        It cannot be written; the one before stays, and no temporary file.
    """
    with open_whole(path, keep) as stream:
        stream.write(content)


class Stream:
    """Takes the content of a file piece by piece; counts and hashes it.

    Attributes
    ----------
    bytes : int
        How many it was given.
    closed : bool
        Always false: Arrow asks for it.
    """

    closed = False

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.bytes = 0
        self._path, self._file = path, file
        self._hash = hashlib.sha256()
        self._abandoned = False

    @property
    def sha256(self) -> str:
        """Checksum of what it was given, in hexadecimal."""
        return self._hash.hexdigest()

    def write(self, content: bytes | pa.Buffer) -> int:
        """Write a piece; returns its bytes.

        Raises
        ------
        StoreError
            The file cannot be written.
        """
        size = memoryview(content).nbytes
        if self._abandoned:
            return size
        self.bytes += size
        self._hash.update(content)
        try:
            self._file.write(content)
        except OSError as error:
            raise StoreError(refusal(error, self._path, needs=self.bytes)) from error
        return size

    def flush(self) -> None:
        """Do nothing: the file is flushed when it is whole."""

    def abandon(self) -> None:
        """Take no more: the file will not be, and whoever still writes its end may do so."""
        self._abandoned = True


@contextlib.contextmanager
def open_whole(path: Path, keep: bool = True) -> Iterator[Stream]:
    """Open a file that is written piece by piece, and is whole or not there.

    It replaces the one before at the end of the block, and is not there when the block raises.

    Parameters
    ----------
    path : Path
        The file, in a folder that exists.
    keep : bool
        False only tries: the temporary file is written and removed.

    Raises
    ------
    StoreError
        It cannot be written; the one before stays, and no temporary file.
    """
    temporary = path.with_name(_temporary_name(path.name))
    stream = None
    try:
        try:
            with temporary.open("xb") as file:
                stream = Stream(path, file)
                yield stream
                file.flush()
                os.fsync(file.fileno())
            if keep:
                temporary.replace(path)
                _flush_folder(path.parent)
        finally:
            # After the rename there is nothing under this name.
            temporary.unlink(missing_ok=True)
    except OSError as error:
        needs = 0 if stream is None else stream.bytes
        raise StoreError(refusal(error, path, needs)) from error


def is_temporary(name: str) -> bool:
    """Whether a file of this name is a temporary one of this module's."""
    return _TEMPORARY.match(name) is not None


def is_leftover(name: str) -> bool:
    """Whether a temporary file's writer ran on this machine and runs no more."""
    match = _TEMPORARY.match(name)
    if match is None or match["host"] != socket.gethostname():
        return False
    try:
        os.kill(int(match["pid"]), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        pass
    return False


def disk_full(path: Path, needs: int, free: int, error: OSError | None = None) -> str:
    """Return the message for a file, or a run, of `needs` bytes where `free` are left."""
    cause = f" ({error.strerror})" if error and error.errno != errno.ENOSPC else ""
    return (
        f"{path}: disk full{cause}: needs {_size(needs)}, free {_size(free)}; "
        "free space or use --results DIR"
    )


def refusal(error: OSError, path: Path, needs: int = 0) -> str:
    """Return what kept a file of `needs` bytes, or a folder, from being written, and the remedy."""
    if error.errno in _FULL:
        return disk_full(path, needs, _free_bytes(path), error)
    if error.errno in _REFUSED:
        return (
            f"{path}: not writable ({error.strerror}); "
            "allow writing there or use --results DIR with another folder"
        )
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return f"{path}: a file stands where a folder is needed; move it or use --results DIR"
    return f"{path}: cannot be written ({error.strerror or error}); use --results DIR"


def _temporary_name(name: str) -> str:
    """Return a name no other writer has, which tells whose it is."""
    return f".{name}.huzhu-{socket.gethostname()}~{os.getpid()}~{uuid.uuid4().hex[:8]}.tmp"


def _flush_folder(folder: Path) -> None:
    """Make a rename in `folder` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _free_bytes(path: Path) -> int:
    """Return the free space of the disk that `path` is or would be on."""
    for place in (path, *path.parents):
        with contextlib.suppress(OSError):
            return shutil.disk_usage(place).free
    return 0


def _size(count: int) -> str:
    """Return a number of bytes as a person reads it."""
    amount = float(count)
    for unit in ("bytes", "kB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "bytes" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"
