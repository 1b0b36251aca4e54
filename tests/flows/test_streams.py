"""What the command line writes, whatever its streams are connected to."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence

import pytest

PROGRAM = """
import sys
from flows import streams
streams.prepare()
try:
    streams.write_data({answer!r}, {form!r})
    print({shown!r})
except streams.OutputError as error:
    streams.give_up_output()
    streams.say(str(error))
    sys.exit(5)
"""


def ran(
    encoding: str, form: str, answer: str, shown: str = ""
) -> "subprocess.CompletedProcess[bytes]":
    """Write an answer and a line in a process with streams of an encoding."""
    program = PROGRAM.format(answer=answer, form=form, shown=shown)
    return subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONIOENCODING": encoding},
        capture_output=True,
        check=False,
    )


ANSWER = "互é\U0001f600"


@pytest.mark.parametrize(
    ("encoding", "form", "expected", "told"),
    [
        ("latin-1", "table", b"?\xe9?\n", b""),
        ("cp1252", "table", b"?\xe9?\n", b""),
        ("ascii", "table", f"{ANSWER}\n".encode(), b""),
        ("latin-1", "csv", f"{ANSWER}\n".encode(), b"huzhu: iso8859-1 lacks characters"),
        ("utf-8", "csv", f"{ANSWER}\n".encode(), b""),
        ("latin-1", "json", b'"\\u4e92\\u00e9\\ud83d\\ude00"\n', b""),
        ("utf-8", "json", f'"{ANSWER}"\n'.encode(), b""),
    ],
)
def test_an_answer_loses_no_character_but_in_a_table(
    encoding: str, form: str, expected: bytes, told: bytes
) -> None:
    text = f'"{ANSWER}"\n' if form == "json" else f"{ANSWER}\n"
    done = ran(encoding, form, text)
    assert done.stdout == expected + b"\n"
    assert done.stderr.startswith(told)
    assert done.returncode == 0
    if form == "json":
        assert json.loads(done.stdout.decode(encoding)) == ANSWER


def test_bytes_of_a_file_name_stay_what_they_are() -> None:
    assert ran("utf-8", "table", "", os.fsdecode(b"runs/\xff")).stdout == b"runs/\xff\n"


COMMAND = (sys.executable, "-m", "flows.cli")


def through_a_shell(ending: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a command of huzhu with its streams as a shell connects them."""
    line = ["bash", "-o", "pipefail", "-c", f'"$@" {ending}', "bash", *COMMAND, *arguments]
    return subprocess.run(line, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("ending", "status", "told"),
    [
        (">/dev/full", 2, ["huzhu: standard output cannot be written: No space left on device"]),
        ("| true", 141, []),
        (">&-", 0, []),
        (">&- 2>&- <&-", 0, []),
        (">/dev/full 2>/dev/full", 2, []),
    ],
)
@pytest.mark.parametrize("arguments", [["scenarios", "--format", "json"], ["run", "--help"]])
def test_an_output_that_is_not_taken_is_told_in_a_line_at_most(
    ending: str, status: int, told: Sequence[str], arguments: Sequence[str]
) -> None:
    # the reader of a pipe has gone for sure by the time that something is written
    done = through_a_shell(ending, *arguments)
    assert (done.returncode, done.stderr.splitlines()) == (status, told)


@pytest.mark.parametrize("ending", ["2>/dev/full", "2>&-", "2>&1 | true"])
def test_a_message_that_nobody_takes_is_no_failure_of_its_own(ending: str) -> None:
    assert through_a_shell(ending, "show", "no-such-run").returncode == 2
