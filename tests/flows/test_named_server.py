"""A server that `PREFECT_API_URL` names is asked before anything starts."""

import http.server
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flows import cli, named_server
from flows.server import Server, ServerError

Refusal = tuple[int, str]


@contextmanager
def answering(status: int, content: str, seconds: float = 0.0) -> Iterator[str]:
    """Give the address of a server that answers everything alike."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            time.sleep(seconds)
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content.encode())

        do_GET = do_POST  # noqa: N815

        def log_message(self, format: str, *arguments: object) -> None:
            """Keep the screen clear."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/api"
        server.shutdown()


def refusal(address: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return what is said of a server."""
    monkeypatch.setenv("PREFECT_API_URL", address)
    with pytest.raises(ServerError, match=r"^PREFECT_API_URL=.*/api; without the") as raised:
        named_server.check()
    told = str(raised.value)
    assert len(told.splitlines()) == 1
    return told


@pytest.mark.parametrize("address", ["4200", "localhost:4200/api", "ftp://a/api", "http://", " "])
def test_what_is_no_address_is_refused(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert f"={address}: that is no address of an API" in refusal(address, monkeypatch)


def test_an_address_that_nobody_answers_at_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    told = refusal("http://huzhu:secret@127.0.0.1:9/api", monkeypatch)
    assert "http://…@127.0.0.1:9/api: nobody answers there ([Errno 111] Connection" in told
    assert "secret" not in told


@pytest.mark.parametrize(
    ("status", "content", "told"),
    [
        (200, "<html>a page</html>", "what answers there is no Prefect API"),
        (200, "{}", "what answers there is no Prefect API"),
        (404, "not found", r"no Prefect API answers there \(HTTP status 404\)"),
        (401, "{}", r"it asks for a login \(HTTP status 401; PREFECT_API_AUTH_STRING"),
    ],
)
def test_a_server_of_another_kind_is_refused(
    status: int, content: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with answering(status, content) as address:
        assert told.replace("\\", "") in refusal(address, monkeypatch)


def test_a_server_that_does_not_answer_is_not_waited_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(named_server, "ANSWER_SECONDS", 0.2)
    with answering(200, "[]", seconds=2.0) as address:
        began = time.monotonic()
        assert "nobody answers there (timed out)" in refusal(address, monkeypatch)
        assert time.monotonic() - began < 2.0


def test_a_prefect_server_is_accepted(
    prefect_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", prefect_server.address)
    named_server.check()
    named_server.check_by_client(prefect_server.address)


@pytest.mark.parametrize("address", ["", None])
def test_no_address_is_no_server(address: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if address is None:
        monkeypatch.delenv("PREFECT_API_URL", raising=False)
    else:
        monkeypatch.setenv("PREFECT_API_URL", address)
    named_server.check()


def test_a_run_with_a_wrong_address_is_refused_and_leaves_nothing(
    small: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    assert cli.carry_out(["run", str(small), "--results", str(tmp_path / "runs")]) == 2
    assert capfd.readouterr().err.splitlines()[-1].startswith("huzhu: PREFECT_API_URL=")
    assert not list(tmp_path.iterdir())
