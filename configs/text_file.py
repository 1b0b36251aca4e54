"""Reading the text files that users write: regular files of UTF-8, up to a size."""

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final

SHOWN_LENGTH: Final = 60
SHOWN_FILES: Final = 10


class FileError(ValueError):
    """A file that cannot be read; the message has what was expected and a remedy, not the path."""


def read_text(path: str | os.PathLike[str], most_bytes: int, kind: str, save_as: str) -> str:
    """Return the text of a file, with its line breaks as they are and without a byte order mark.

    Parameters
    ----------
    path : str or path-like
        The file.
    most_bytes : int
        Largest size; a larger file is refused.
    kind : str
        What messages expect, such as "CSV file".
    save_as : str
        Format that messages recommend, such as "CSV UTF-8".

    Raises
    ------
    FileError
        There is no such file, it is no regular file, too large, or holds no UTF-8 text.
    """
    try:
        return _decoded(_content(path, most_bytes, kind), save_as)
    except FileNotFoundError:
        raise FileError(f"expected an existing {kind}, got no such file") from None
    except OSError as error:
        raise FileError(f"expected a readable file, got: {error.strerror}") from None


def _content(path: str | os.PathLike[str], most_bytes: int, kind: str) -> bytes:
    """Return the bytes of a file. A pipe or a device, which may never end, is not opened."""
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode):
        came = "a folder" if stat.S_ISDIR(mode) else "a pipe or a device"
        raise FileError(f"expected a {kind}, got {came}")
    with open(path, "rb") as file:
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        size = max(len(content), os.stat(path).st_size)
        raise FileError(f"expected a {kind} of at most {most_bytes:_} bytes, got {size:_}")
    return content


def _decoded(content: bytes, save_as: str) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise FileError(f"expected UTF-8 text, got UTF-16 ('Unicode text'); save it as {save_as}")
    try:
        text = content.decode("utf-8-sig")  # spreadsheets put a mark before the first byte
    except UnicodeDecodeError as error:
        raise FileError(
            f"expected UTF-8 text, got the byte {error.object[error.start]:#04x} at position "
            f"{error.start}; save the file as {save_as}"
        ) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise FileError(
            f"expected text, got a NUL character in line {line}; save the file as {save_as}"
        )
    return text


def brief(text: str) -> str:
    """Return text in quotes, as messages show it: on one line and cut to `SHOWN_LENGTH`."""
    shown = repr(text if len(text) <= SHOWN_LENGTH else text[: SHOWN_LENGTH + 1])
    return shown if len(shown) <= SHOWN_LENGTH else f"{shown[: SHOWN_LENGTH - 1]}…"


def files_in(folder: Path, suffixes: Sequence[str]) -> list[str]:
    """Return the names of the files in a folder that end in one of the suffixes, sorted.

    Raises
    ------
    FileError
        There is no such folder, or it cannot be read.
    """
    try:
        return sorted(name for name in os.listdir(folder) if name.endswith(tuple(suffixes)))
    except OSError as error:
        raise FileError(error.strerror or str(error)) from None
    except ValueError:  # a NUL character
        raise FileError("no such folder") from None
