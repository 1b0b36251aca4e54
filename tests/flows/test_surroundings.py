"""Runs in surroundings of a user's: proxies, files with the names of modules, other encodings."""

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from results.run import open_run
from tests.flows.conftest import environment_of

MODULES = ("operator", "select", "signal", "types", "uuid")
"""Modules of the standard library that a new process imports before it runs anything of ours."""


class Proxy:
    """A proxy that notes what it is asked for, and refuses it."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._answer, daemon=True).start()

    def _answer(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            with connection:
                self.asked.append(connection.recv(4096).partition(b"\r\n")[0])
                connection.sendall(b"HTTP/1.1 503 no\r\nContent-Length: 0\r\n\r\n")

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()


@contextmanager
def proxy() -> Iterator[Proxy]:
    started = Proxy()
    try:
        yield started
    finally:
        started.close()


def users_folder(folder: Path, small: Path) -> Path:
    """Make a working folder with files and folders that are named like modules."""
    for name in MODULES:
        (folder / f"{name}.py").write_text("raise ImportError('a file of the user')\n")
    for room in ("configs", "flows", "kernels", "results"):
        (folder / room).mkdir()
        (folder / room / "__init__.py").write_text("raise ImportError('a folder of the user')\n")
    (folder / "small.yaml").write_bytes(small.read_bytes())
    return folder


@pytest.mark.end_to_end
def test_a_run_survives_a_proxy_names_of_modules_and_an_encoding(
    small: Path, tmp_path: Path
) -> None:
    """With a server and a cluster of its own, as `huzhu` starts from a folder of the user's."""
    # what pip installs as `huzhu` does not put the working folder first; `-m` would
    program = "from flows.cli import main; main()"
    with proxy() as asked:
        done = subprocess.run(
            [sys.executable, "-P", "-c", program, "run", "small.yaml", "--results", "runs"],
            env=environment_of(
                tmp_path / "prefect",
                http_proxy=f"http://{asked.address}",
                HTTPS_PROXY=f"http://{asked.address}",
                no_proxy="example.org",
                PYTHONIOENCODING="latin-1",
            ),
            cwd=users_folder(tmp_path, small),
            capture_output=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode("latin-1")
        assert asked.asked == []
    shown = done.stdout.decode("latin-1").splitlines()
    assert open_run(tmp_path / shown[-1]).manifest.status == "complete"
    assert any(set("??") <= set(line) for line in shown)  # the lines of the table's frame


@pytest.mark.end_to_end
def test_a_script_without_a_main_guard_runs_its_sweep_once_behind_a_socks_proxy(
    small: Path, tmp_path: Path
) -> None:
    with proxy() as asked:
        done = subprocess.run(
            [sys.executable, "-"],
            input=f"from flows.sweep import sweep\nprint(sweep({str(small)!r}, 'runs'))\n",
            env=environment_of(tmp_path / "prefect", all_proxy=f"socks4://{asked.address}"),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert asked.asked == []
    (line,) = done.stdout.splitlines()  # a worker that ran the script would print, or fail
    assert open_run(tmp_path / line).manifest.status == "complete"
