"""One writer a run folder: a lock that the system takes back when its holder dies."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from results.atomic import StoreError, refusal

LOCK_NAME: Final = ".huzhu.lock"
"""The file that is locked; it stays, for a lock on a file that is removed holds nobody off."""

_NO_LOCKS: Final = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder while the block runs.

    Parameters
    ----------
    folder : Path
        A folder that is there. On a file system without locks nothing is held.

    Raises
    ------
    StoreError
        Another process, or another block of this one, holds it; or the file cannot be written.
    """
    path = folder / LOCK_NAME
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise StoreError(refusal(error, path)) from error
    try:
        _take(handle, folder)
        yield
    finally:
        os.close(handle)


def _take(handle: int, folder: Path) -> None:
    """Lock an open file, and say in it who holds it."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(handle, 200, 0).decode(errors="replace").strip()
        raise StoreError(
            f"{folder}: another run is writing here ({holder or 'just started'}); wait for it, or "
            "stop it first"
        ) from error
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise StoreError(refusal(error, folder / LOCK_NAME)) from error
    with contextlib.suppress(OSError):  # on a full disk the lock holds without a name in it
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
