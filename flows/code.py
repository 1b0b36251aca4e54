"""What a process would compute with: versions, and the source of this program.

Two processes of the same code give the same numbers. A worker with other code is told apart before
it computes anything.
"""

import hashlib
import platform
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Final

LIBRARIES: Final = ("huzhu", "numpy", "numba", "llvmlite", "pyarrow", "dask", "distributed")
"""Those that numbers depend on, or that must understand one another's messages."""

ROOMS: Final = ("configs", "flows", "kernels", "results")

DIGITS: Final = 16


@dataclass(frozen=True)
class Code:
    """What a process would compute with.

    Attributes
    ----------
    versions : tuple of (str, str)
        Name and version of Python and of each library.
    source : str
        Digest of the source files of the rooms.
    """

    versions: tuple[tuple[str, str], ...]
    source: str


@lru_cache(maxsize=1)
def code() -> Code:
    """Return what this process computes with."""
    versions = [("Python", platform.python_version())]
    versions += [(library, _version(library)) for library in LIBRARIES]
    return Code(tuple(versions), _source())


def short_code() -> str:
    """Return a digest of what this process computes with, for each message to carry."""
    return hashlib.sha256(repr(code()).encode()).hexdigest()[:DIGITS]


def differences(theirs: Code, ours: Code) -> list[str]:
    """Return what differs between two processes, in words."""
    other = dict(ours.versions)
    told = [
        f"{name} {version}, here {other[name]}"
        for name, version in theirs.versions
        if version != other[name]
    ]
    return told + ([] if theirs.source == ours.source else ["another source of huzhu"])


def _version(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return "not installed"


def _source() -> str:
    """Return the digest of every Python file of the rooms, by its path in them."""
    digest = hashlib.sha256()
    top = Path(__file__).resolve().parent.parent
    for file in sorted(file for room in ROOMS for file in (top / room).rglob("*.py")):
        digest.update(file.relative_to(top).as_posix().encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()
