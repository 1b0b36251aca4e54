"""Standard input, output and error of the command line, whatever they are connected to."""

import codecs
import io
import os
import re
import sys
from typing import Any, Final

from configs.visible import visible

ESCAPED_BYTES: Final = codecs.lookup_error("surrogateescape")
REPLACED: Final = codecs.lookup_error("replace")

_NAMES: Final = ("stdin", "stdout", "stderr")
_BEYOND_ASCII: Final = re.compile(r"[^\x00-\x7f]")


class OutputError(Exception):
    """Standard output takes no more.

    Attributes
    ----------
    is_closed : bool
        Whether its reader has gone, as `head` does when it has enough.
    """

    def __init__(self, error: OSError) -> None:
        super().__init__(f"standard output cannot be written: {error.strerror or error}")
        self.is_closed = isinstance(error, BrokenPipeError)


class _Output(io.TextIOWrapper):
    """Standard output: raises OutputError, which is no error of a file or a network."""

    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except OSError as error:
            raise OutputError(error) from error

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            raise OutputError(error) from error


class _Messages(io.TextIOWrapper):
    """Standard error: where messages go nowhere, a run goes on."""

    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except OSError:
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError:
            _discard(2)


def prepare() -> None:
    """Make the standard streams of this process take any text; once, when it begins.

    A stream that is closed reads and writes nothing. A character that the encoding of a stream
    lacks becomes a question mark; bytes of a file's name that are no text stay what they are. What
    is ASCII, the default where nothing was chosen, becomes UTF-8.
    """
    codecs.register_error("huzhu", _nearest)
    for name in _NAMES:
        if getattr(sys, name) is None:
            # it gets the lowest number that is free, which is the stream's
            opened = open(os.devnull, "r" if name == "stdin" else "w", encoding="utf-8")  # noqa: SIM115
            setattr(sys, name, opened)
            setattr(sys, f"__{name}__", opened)
    sys.stdout = _wrapped(sys.stdout, _Output)
    sys.stderr = _wrapped(sys.stderr, _Messages)


def _wrapped(stream: Any, kind: type[io.TextIOWrapper]) -> io.TextIOWrapper:
    """Return a stream as one of ours."""
    encoding = codecs.lookup(stream.encoding).name
    return kind(
        stream.buffer,
        encoding="utf-8" if encoding == "ascii" else encoding,
        errors="huzhu",
        line_buffering=stream.line_buffering,
    )


def _nearest(error: UnicodeError) -> tuple[str | bytes, int]:
    """Answer for characters that an encoding lacks, as handlers of `codecs` do."""
    try:
        return ESCAPED_BYTES(error)
    except UnicodeError:
        return REPLACED(error)


def write_data(answer: str | bytes, form: str) -> None:
    """Write an answer for programs to read, without losing a character.

    Where the encoding of standard output lacks one, JSON escapes it, and CSV is written in UTF-8,
    which a line on standard error says. A table is for people: it gets a question mark.

    Parameters
    ----------
    answer : str or bytes
        All of it.
    form : str
        "json", "csv" or another.

    Raises
    ------
    OutputError
        Standard output takes no more.
    """
    if isinstance(answer, bytes):
        _write_bytes(answer)
        return
    if form in ("csv", "json") and not _is_encodable(answer):
        if form == "csv":
            say(f"huzhu: {sys.stdout.encoding} lacks characters of the answer: written as UTF-8")
            _write_bytes(answer.encode("utf-8", "huzhu"))
            return
        answer = _BEYOND_ASCII.sub(_escape, answer)
    sys.stdout.write(answer)
    sys.stdout.flush()


def _write_bytes(content: bytes) -> None:
    """Write bytes to standard output."""
    try:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    except OSError as error:
        raise OutputError(error) from error


def _is_encodable(text: str) -> bool:
    """Whether standard output can have every character of a text."""
    try:
        text.encode(sys.stdout.encoding, "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def _escape(match: re.Match[str]) -> str:
    """Return a character as JSON escapes it: in two parts beyond the first 65 536."""
    units = match[0].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[i : i + 4]}" for i in range(0, len(units), 4))


def say(message: str) -> None:
    """Write a message to standard error; nothing in it steers the terminal."""
    print(visible(message), file=sys.stderr, flush=True)


def give_up_output() -> None:
    """Have what is left of standard output go nowhere, so that Python does not try it again."""
    _discard(1)


def _discard(descriptor: int) -> None:
    """Connect a stream's descriptor to nothing."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, descriptor)
    os.close(nothing)
