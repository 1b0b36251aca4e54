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
_FULL: Final = (errno.ENOSPC, errno.EFBIG)
_OTHER_RESULTS: Final = "use --results DIR"
_OTHER_FILE: Final = "name another file"
_OTHER_FOLDER: Final = "name another folder"
_REMEDIES: Final = {
    errno.EACCES: "allow writing there or {other}",
    errno.EPERM: "allow writing there or {other}",
    errno.EROFS: "{other} on another disk",
    errno.EMFILE: "raise the limit of this process, for example with `ulimit -n 4096`",
    errno.ENFILE: "close other programs, or raise the limit of this machine (fs.file-max)",
    errno.ENAMETOOLONG: "give a shorter name or {other}",
}
"""What to do where the system refuses a file for another reason than space."""


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
        It cannot be made, for example because a file is in the way.
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


def write_whole(
    path: Path, content: bytes | pa.Buffer, keep: bool = True, remedy: str = _OTHER_RESULTS
) -> None:
    """Write a file whole, replacing the one before.

    Parameters
    ----------
    path : Path
        The file, in a folder that exists.
    content : bytes or pyarrow.Buffer
        All of it.
    keep : bool
        False only tries: the temporary file is written and removed.
    remedy : str
        What error messages recommend.

    Raises
    ------
    StoreError
        It cannot be written; the one before stays, and no temporary file.
    """
    with open_whole(path, keep, remedy) as stream:
        stream.write(content)


def write_output(file: Path | str, content: bytes) -> None:
    """Write a file that the user named, whole or not at all.

    A link is followed: what it points to is written.

    Raises
    ------
    StoreError
        It cannot be written; the one before stays.
    """
    write_whole(_output_path(file), content, remedy=_OTHER_FILE)


def check_output(file: Path | str, *endings: str) -> None:
    """Refuse a file that the user named where it cannot be written, before it is computed.

    Parameters
    ----------
    file : path
        The file.
    *endings : str
        What its name may end in, in capitals or not; without any, every name will do.

    Raises
    ------
    StoreError
        It cannot be written, or its name does not end so.
    """
    write_whole(_output_path(file, *endings), b"", keep=False, remedy=_OTHER_FILE)


def _output_path(file: Path | str, *endings: str) -> Path:
    """Return the path of a file that the user named, links followed, if it can be a file."""
    if not str(file):
        raise StoreError("expected the name of a file, got nothing")
    path = Path(os.path.realpath(file))
    # os.path answers False where the system does not say, as in a folder that may not be read
    if os.path.isdir(path):
        raise StoreError(f"{file}: expected a file, got a folder; add the name of a file")
    if endings and path.suffix.lower() not in endings:
        raise StoreError(f"{file}: expected a name that ends in {' or '.join(endings)}")
    if os.path.exists(path) and not os.path.isfile(path):
        raise StoreError(f"{file}: expected an ordinary file, got a device or a pipe")
    if os.path.isfile(path.parent):
        raise StoreError(f"{file}: expected a folder at {path.parent}, got a file")
    if not os.path.isdir(path.parent):
        raise StoreError(
            f"{file}: expected a file in a folder that exists, got no folder {path.parent}; make "
            f"the folder first, or {_OTHER_FILE}"
        )
    return path


def check_output_folder(folder: Path | str) -> None:
    """Refuse a folder that the user named where it cannot be made or written to.

    Raises
    ------
    StoreError
        No file can be written there.
    """
    path = Path(os.path.realpath(folder))
    found = next(place for place in (path, *path.parents) if os.path.exists(place))
    if not os.path.isdir(found):
        raise StoreError(f"{folder}: expected a folder, got the file {found}; {_OTHER_FOLDER}")
    write_whole(found / "probe", b"", keep=False, remedy=_OTHER_FOLDER)


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

    def __init__(self, path: Path, file: BinaryIO, remedy: str = _OTHER_RESULTS) -> None:
        self.bytes = 0
        self._path, self._file, self._remedy = path, file, remedy
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
            message = refusal(error, self._path, self.bytes, self._remedy)
            raise StoreError(message) from error
        return size

    def flush(self) -> None:
        """Do nothing: the file is flushed when it is whole."""

    def abandon(self) -> None:
        """Take no more: the file will not be, and whoever still writes its end may do so."""
        self._abandoned = True


@contextlib.contextmanager
def open_whole(path: Path, keep: bool = True, remedy: str = _OTHER_RESULTS) -> Iterator[Stream]:
    """Open a file that is written piece by piece, and is whole or not there.

    It replaces the one before at the end of the block, and is not there when the block raises.

    Parameters
    ----------
    path : Path
        The file, in a folder that exists.
    keep : bool
        False only tries: the temporary file is written and removed.
    remedy : str
        What error messages recommend.

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
                stream = Stream(path, file, remedy)
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
        raise StoreError(refusal(error, path, needs, remedy)) from error


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


def disk_full(
    path: Path, needs: int, free: int, error: OSError | None = None, remedy: str = _OTHER_RESULTS
) -> str:
    """Return the message for a file, or a run, of `needs` bytes where `free` are left.

    A folder, or a file that was not begun, needs 0 bytes, which says nothing and is left out.
    """
    cause = f" ({error.strerror})" if error and error.errno != errno.ENOSPC else ""
    wanted = f"needs {_size(needs)}, " if needs else ""
    return f"{path}: disk full{cause}: {wanted}free {_size(free)}; free space or {remedy}"


def refusal(error: OSError, path: Path, needs: int = 0, remedy: str = _OTHER_RESULTS) -> str:
    """Return what kept a file of `needs` bytes, or a folder, from being written, and the remedy."""
    if error.errno == errno.ENOSPC and not _has_inodes(path):
        return (
            f"{path}: the disk has no inodes left for another file or folder "
            f"(free {_size(_free_bytes(path))}); remove files or {remedy}"
        )
    if error.errno in _FULL:
        return disk_full(path, needs, _free_bytes(path), error, remedy)
    if error.errno == errno.EDQUOT:
        wanted = f": needs {_size(needs)}" if needs else ""
        return (
            f"{path}: your quota on this disk is used up ({error.strerror}){wanted}; "
            f"remove files of yours or {remedy} on another disk"
        )
    if error.errno in _REMEDIES:
        what = _REMEDIES[error.errno].format(other=remedy)
        return f"{path}: not writable ({error.strerror}); {what}"
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return f"{path}: a file stands where a folder is needed; move it or {remedy}"
    return f"{path}: cannot be written ({error.strerror or error}); {remedy}"


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


def _has_inodes(path: Path) -> bool:
    """Whether the disk that `path` is or would be on takes another file; true where unknown."""
    for place in (path, *path.parents):
        with contextlib.suppress(OSError):
            found = os.statvfs(place)
            # some file systems count none: they make them as needed
            return found.f_files == 0 or found.f_favail > 0
    return True


def _size(count: int) -> str:
    """Return a number of bytes as a person reads it."""
    amount = float(count)
    for unit in ("bytes", "kB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "bytes" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"
