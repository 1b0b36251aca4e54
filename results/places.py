"""Where results lie: in a folder of this machine, or in object storage under a URL.

A plain path is a `pathlib.Path`, written as `results.atomic` says. `s3://…` and the like are a
`UPath` over fsspec, which takes credentials and endpoints from the environment and from its own
configuration; none of them is kept here. An object is put whole in one call, so it too is whole or
not there. Listings are never remembered: what another process has put there is seen.
"""

from __future__ import annotations

import contextlib
import glob
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final, cast
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pyarrow as pa
from upath import UPath

from configs.text_file import brief
from results import atomic
from results.atomic import StoreError, Stream

Folder = Path | UPath
"""A folder or a file: of this machine, or in object storage."""

BYTES_AT_ONCE: Final = 2**26
"""Bytes of objects that are fetched together, if each of them is smaller than that."""

BYTES_READ: Final = 2**20
"""Bytes from which on a file of this machine is mapped and not read."""

OBJECTS_AT_ONCE: Final = 512
"""Objects that are fetched together, at most."""

MAX_NAME_BYTES: Final = 255
MAX_PATH_BYTES: Final = 4095
"""What file systems take."""

_URL: Final = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*)://")
_EXTRAS: Final = {"s3": "s3", "s3a": "s3"}


def place(name: str | os.PathLike[str] | UPath) -> Folder:
    """Return the folder or file of that name.

    Parameters
    ----------
    name : str or path
        A path, `file://` with an absolute path, or a URL that fsspec knows, such as
        `s3://bucket/folder`.

    Returns
    -------
    Path or UPath
        Path for what is on this machine.

    Raises
    ------
    StoreError
        There is no storage of that scheme, what it needs is not installed, or no file system takes
        a path of that length.
    """
    if isinstance(name, (Path, UPath)):
        return name
    text = os.fspath(name)
    scheme = _URL.match(text)
    if scheme is None:
        if "://" in text:
            raise StoreError(f"{text}: not a URL; write a path, or a URL such as s3://bucket/runs")
        _check_length(text)
        return Path(text)
    if scheme[1].lower() in ("file", "local"):
        return _local_path(text)
    _check_driver(text, scheme[1])
    return UPath(text.rstrip("/"), use_listings_cache=False)


def _check_length(path: str) -> None:
    """Refuse a path that no file system takes: to look whether it exists would raise OSError."""
    longest = max(len(os.fsencode(name)) for name in path.split(os.sep))
    length = len(os.fsencode(path))
    if longest > MAX_NAME_BYTES or length > MAX_PATH_BYTES:
        raise StoreError(
            f"{brief(path)}: expected a path of at most {MAX_PATH_BYTES} bytes whose names have at "
            f"most {MAX_NAME_BYTES}, got {length} with a name of {longest}"
        )


def make_folder(folder: Folder) -> None:
    """Make a folder and those above it; in object storage there are none to make.

    Raises
    ------
    StoreError
        It cannot be made.
    """
    if isinstance(folder, Path):
        atomic.make_folder(folder)


def check_space(folder: Folder, needs_bytes: int = 0) -> None:
    """Make sure that a file can be written in a folder, and that there is space where that ends.

    Raises
    ------
    StoreError
        It cannot, or there is less space than needed.
    """
    if isinstance(folder, Path):
        atomic.write_whole(folder / "probe", b"huzhu", keep=False)
        free = shutil.disk_usage(folder).free
        if free < needs_bytes:
            raise StoreError(atomic.disk_full(folder, needs_bytes, free))
        return
    probe = folder / f".huzhu-{uuid.uuid4().hex}.probe"
    write_whole(probe, b"huzhu")
    remove([probe])


def write_whole(path: Folder, content: bytes | pa.Buffer) -> None:
    """Write a file whole, replacing the one before; its folder is there.

    Raises
    ------
    StoreError
        It cannot be written; the one before stays.
    """
    if isinstance(path, Path):
        atomic.write_whole(path, content)
        return
    with _answered(path):
        path.fs.pipe_file(path.path, bytes(content))


@contextlib.contextmanager
def open_whole(path: Folder) -> Iterator[Stream]:
    """Open a file that is written piece by piece, and is whole or not there; its folder is there.

    What goes to object storage is kept in a temporary file of this machine until it is whole. It
    is there at the end of the block, and is not there when the block raises.

    Raises
    ------
    StoreError
        It cannot be written; the one before stays.
    """
    if isinstance(path, Path):
        with atomic.open_whole(path) as stream:
            yield stream
        return
    with tempfile.NamedTemporaryFile(prefix="huzhu-") as file:
        yield Stream(Path(file.name), cast(BinaryIO, file.file))
        file.flush()
        with _answered(path):
            path.fs.put_file(file.name, path.path)


def read_whole(path: Folder) -> bytes:
    """Return the content of a file.

    Raises
    ------
    OSError
        It is not there (FileNotFoundError), or this machine does not let it be read.
    StoreError
        The storage does not answer, or refuses.
    """
    if isinstance(path, Path):
        return path.read_bytes()
    with _answered(path, absent=FileNotFoundError):
        content: bytes = path.fs.cat_file(path.path)
        return content


def sizes(folder: Folder, names: Iterable[str] = ()) -> dict[str, int]:
    """Return the size in bytes of each file of a folder, by its path within it, in one listing.

    Parameters
    ----------
    folder : Path or UPath
        The folder; one that is not there has no files.
    names : iterable of str
        Folders in it whose files, and those of their folders, are wanted as well.

    Raises
    ------
    StoreError
        The storage does not answer, or refuses.
    """
    if isinstance(folder, UPath) and not isinstance(folder, Path):
        return _object_sizes(folder)
    found: dict[str, int] = {}
    for name in ("", *names):
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            found |= _file_sizes(folder / name, f"{name}/" if name else "", deep=bool(name))
    return found


def folders(folder: Folder) -> list[Folder]:
    """Return the folders in a folder, in order of their names.

    Raises
    ------
    FileNotFoundError
        There is no such folder.
    StoreError
        The storage does not answer, or refuses.
    """
    if isinstance(folder, Path):
        return sorted(path for path in folder.iterdir() if path.is_dir())
    with _answered(folder, absent=FileNotFoundError):
        entries = folder.fs.ls(folder.path, detail=True)
    names = (entry["name"] for entry in entries if entry["type"] == "directory")
    return [folder / name.rstrip("/").rsplit("/", 1)[-1] for name in sorted(names)]


def buffers(folder: Folder, files: Sequence[tuple[str, int]]) -> Iterator[pa.Buffer]:
    """Yield the content of files of a folder, in their order: many objects are fetched at once.

    Parameters
    ----------
    folder : Path or UPath
        The folder.
    files : sequence of (str, int)
        Path of each within the folder, and its size in bytes.

    Raises
    ------
    OSError
        A file is not there or cannot be read.
    StoreError
        The storage does not answer, or refuses.
    """
    if isinstance(folder, Path):
        for name, size in files:
            if size < BYTES_READ:
                yield pa.py_buffer((folder / name).read_bytes())
                continue
            with pa.memory_map(str(folder / name)) as file:
                yield file.read_buffer()
        return
    for batch in _batches(files):
        paths = [(folder / name).path for name in batch]
        with _answered(folder, absent=FileNotFoundError):
            # not `cat`, which would read names with [ or * as patterns
            found = folder.fs.cat_ranges(paths, None, None, on_error="raise")
        yield from map(pa.py_buffer, found)


def small_files(folder: Folder, names: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of those of some small files of a folder that can be read, in order.

    Raises
    ------
    StoreError
        The storage does not answer, or refuses.
    """
    if isinstance(folder, Path):
        for name in names:
            with contextlib.suppress(OSError):
                yield name, (folder / name).read_bytes()
        return
    for batch in _batches((name, 0) for name in names):
        paths = [(folder / name).path for name in batch]
        with _answered(folder):
            found = folder.fs.cat_ranges(paths, None, None, on_error="return")
            for content in found:
                if isinstance(content, Exception) and not isinstance(content, FileNotFoundError):
                    raise content
        yield from (pair for pair in zip(batch, found, strict=True) if isinstance(pair[1], bytes))


def is_there(path: Folder, size: int) -> bool:
    """Whether a file of that size is there.

    Raises
    ------
    StoreError
        The storage does not answer, or refuses.
    """
    if isinstance(path, Path):
        with contextlib.suppress(OSError):
            return path.is_file() and path.stat().st_size == size
        return False
    with _answered(path, absent=FileNotFoundError), contextlib.suppress(FileNotFoundError):
        return bool(path.fs.size(path.path) == size)
    return False


def remove(paths: Iterable[Folder]) -> None:
    """Remove files; one that is not there is passed over.

    Raises
    ------
    StoreError
        The storage does not answer, or refuses.
    """
    objects = []
    for path in paths:
        if isinstance(path, Path):
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise StoreError(atomic.refusal(error, path)) from error
        else:
            objects.append(path)
    if objects:
        _remove_objects(objects)


def rename(folder: Folder, name: str, marker: str) -> Folder:
    """Give a folder another name; in object storage all is copied before anything is removed.

    Parameters
    ----------
    folder : Path or UPath
        The folder.
    name : str
        Its new name, of which there is no folder.
    marker : str
        Name of the file by which a folder is known: copied last and removed first.

    Returns
    -------
    Path or UPath
        The folder under its new name.

    Raises
    ------
    StoreError
        It cannot be renamed.
    """
    if isinstance(folder, Path):
        try:
            return folder.rename(folder.with_name(name))
        except OSError as error:
            raise StoreError(atomic.refusal(error, folder)) from error
    target = folder.parent / name
    names = sorted(sizes(folder), key=lambda found: (found == marker, found))
    with _answered(folder):
        for found in names:
            folder.fs.cp_file((folder / found).path, (target / found).path)
    remove([folder / marker])
    remove(folder / found for found in names if found != marker)
    return target


def for_arrow(path: Folder) -> tuple[str, Any]:
    """Return path and filesystem by which Arrow opens a file; None is its own, of this machine."""
    return (str(path), None) if isinstance(path, Path) else (path.path, path.fs)


@contextlib.contextmanager
def answered(path: Folder) -> Iterator[None]:
    """Turn what keeps a storage from answering into a StoreError; a file's damage passes.

    Raises
    ------
    StoreError
        The storage does not answer, or refuses.
    """
    if isinstance(path, Path):
        yield
        return
    with _answered(path, absent=OSError):
        yield


@contextlib.contextmanager
def _answered(path: UPath, absent: type[OSError] | None = None) -> Iterator[None]:
    """Turn what a storage says into a StoreError, but for errors of the type `absent`."""
    try:
        yield
    except (StoreError, pa.ArrowException):
        raise
    except Exception as error:  # every driver raises errors of its own
        kept = absent is not None and isinstance(error, absent)
        if kept and not isinstance(error, PermissionError):
            raise
        raise StoreError(_reason(error, path)) from error


def _reason(error: Exception, path: UPath) -> str:
    """Return what a storage said, and the remedy."""
    said = (str(error).splitlines() or [type(error).__name__])[0]
    if isinstance(error, FileNotFoundError):
        return f"{path}: no such place ({said}); make the bucket or use --results with another"
    if isinstance(error, PermissionError) or "Credentials" in type(error).__name__:
        return (
            f"{path}: the storage refuses ({said}); set credentials that may read and write there "
            "(for s3: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY) or use --results with another"
        )
    return (
        f"{path}: the storage does not answer ({said}); look at its address (for s3: "
        "AWS_ENDPOINT_URL) and at the network, or use --results DIR"
    )


def _local_path(url: str) -> Path:
    """Return the path that a `file://` URL stands for."""
    parts = urlsplit(url)
    path = Path(url2pathname(parts.path))
    if parts.netloc not in ("", "localhost") or not path.is_absolute():
        raise StoreError(
            f"{url}: expected an absolute path after file://, such as file:///srv/runs"
        )
    return path


def _check_driver(url: str, scheme: str) -> None:
    """Raise StoreError where nothing is known of the storage of a URL, or it is not installed."""
    from fsspec import get_filesystem_class

    try:
        get_filesystem_class(scheme)
    except ImportError as error:
        extra = _EXTRAS.get(scheme)
        remedy = f"pip install 'huzhu[{extra}]'" if extra else str(error)
        raise StoreError(f"{url}: what {scheme}:// needs is not installed; {remedy}") from error
    except ValueError as error:
        raise StoreError(
            f"{url}: no storage is known as {scheme}://; write a path, or a URL such as "
            "s3://bucket/runs"
        ) from error


def _file_sizes(folder: Path, before: str, deep: bool) -> dict[str, int]:
    """Return the size of each file in a folder, or below it, by its path after `before`."""
    found = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            # a temporary file may go while we look
            with contextlib.suppress(FileNotFoundError):
                if entry.is_file():
                    found[before + entry.name] = entry.stat().st_size
                elif deep and entry.is_dir():
                    found |= _file_sizes(folder / entry.name, f"{before}{entry.name}/", deep)
    return found


def _object_sizes(folder: UPath) -> dict[str, int]:
    """Return the size of each object whose path begins with that of a folder."""
    with _answered(folder, absent=FileNotFoundError), contextlib.suppress(FileNotFoundError):
        root = folder.fs._strip_protocol(folder.path).rstrip("/") + "/"
        entries = folder.fs.find(folder.path, detail=True)
        return {name.removeprefix(root): entry["size"] for name, entry in entries.items()}
    return {}


def _remove_objects(objects: Sequence[UPath]) -> None:
    """Remove objects of one storage, all at once where it can."""
    filesystem = objects[0].fs
    paths = [path.path for path in objects]
    # names with [ or * are patterns to `rm`, not to `rm_file`
    at_once = not any(map(glob.has_magic, paths))
    with _answered(objects[0]):
        with contextlib.suppress(FileNotFoundError):
            if at_once:
                filesystem.rm(paths)
                return
        for path in paths:
            with contextlib.suppress(FileNotFoundError):
                filesystem.rm_file(path)


def _batches(files: Iterable[tuple[str, int]]) -> Iterator[list[str]]:
    """Yield the names of files, so many at a time as are fetched together."""
    batch: list[str] = []
    held = 0
    for name, size in files:
        if batch and (held + size > BYTES_AT_ONCE or len(batch) == OBJECTS_AT_ONCE):
            yield batch
            batch, held = [], 0
        batch.append(name)
        held += size
    if batch:
        yield batch
