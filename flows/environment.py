"""Settings of our own process, made before Prefect is imported, each only where the user made none.

Nothing leaves the machine: Prefect's telemetry is switched off. Prefect's state (its SQLite file)
lies in `~/.huzhu/prefect`, apart from any Prefect of the user's. A user who wants a Prefect server
of their own sets `PREFECT_API_URL`, and no temporary server is started.

Proxies of the user stay in force for all but loopback, where server, scheduler and workers are.
"""

import contextlib
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

DEFAULTS: Final[Mapping[str, str]] = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY": "false",
    "PREFECT_TELEMETRY_ENABLE_RESOURCE_METRICS": "false",
    "PREFECT_HOME": str(Path.home() / ".huzhu" / "prefect"),
    # A loaded machine may need a minute for what takes an idle one three seconds.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
}

LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
"""Hosts that a proxy cannot reach for us: there they mean the proxy itself."""

NO_PROXY: Final = ("no_proxy", "NO_PROXY")
"""Programs read both; most of them prefer the first."""

EVERY_HOST: Final = "*"

SAFE_PATH: Final[Mapping[str, str]] = {"PYTHONSAFEPATH": "1"}
"""A new Python process then does not import from its working folder, where a file of the user's
may have the name of a module (`operator.py`, `select.py`)."""

WORKER_DEFAULTS: Final[Mapping[str, str]] = {
    # One thread a worker, one worker a core: libraries with thread pools would oversubscribe.
    "NUMBA_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "ARROW_IO_THREADS": "1",
    "POLARS_MAX_THREADS": "1",
    # What goes wrong in a worker reaches the flow as an exception; its own log is of lost
    # connections when a run is stopped.
    "DASK_LOGGING__DISTRIBUTED": "critical",
}


def prepare() -> None:
    """Make the settings that the user has not made. Of use only before Prefect is imported."""
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    exempt_loopback()
    # Prefect makes the last folder of the path only.
    with contextlib.suppress(OSError):  # Prefect says what is wrong with it
        Path(os.environ["PREFECT_HOME"]).expanduser().parent.mkdir(parents=True, exist_ok=True)


def exempt_loopback() -> None:
    """Exempt loopback from the user's proxies, in this process and in every child of it."""
    if not has_proxies():
        return
    given = {name: os.environ[name] for name in NO_PROXY if name in os.environ}
    for name in NO_PROXY:
        hosts = _hosts(given.get(name, next(iter(given.values()), "")))
        if hosts != [EVERY_HOST]:  # with others beside it, it does not stand for every host
            os.environ[name] = ",".join(dict.fromkeys([*hosts, *LOOPBACK]))


def bypass_unusable_proxies(api_url: str | None) -> None:
    """Have Prefect's client ignore proxies that it cannot use, if its server is on loopback.

    The client (httpx) fails on a SOCKS proxy without the package socksio, even where it would not
    use it. A `*` among the hosts of `no_proxy` makes it ignore every proxy; other programs take
    only a `*` alone for that, so for them the proxies stay in force.

    Parameters
    ----------
    api_url : str, optional
        Where Prefect's server is; without it, on loopback.
    """
    if not has_proxies() or not (api_url is None or is_loopback(api_url)):
        return
    import httpx

    try:
        httpx.Client().close()
    except (ImportError, ValueError, httpx.InvalidURL):
        for name in NO_PROXY:
            os.environ[name] = ",".join([*_hosts(os.environ.get(name, "")), EVERY_HOST])


def is_loopback(url: str) -> bool:
    """Whether a URL is of this machine's loopback."""
    try:
        return urlsplit(url).hostname in LOOPBACK
    except ValueError:
        return False


def has_proxies() -> bool:
    """Whether the user's environment names a proxy."""
    names = [name for name in os.environ if name.lower().endswith("_proxy")]
    return any(os.environ[name] for name in names if name not in NO_PROXY)


def _hosts(listed: str) -> list[str]:
    """Return the hosts of a list such as `no_proxy` has."""
    return [host for host in map(str.strip, listed.split(",")) if host]


def for_children() -> dict[str, str]:
    """Return the variables of a Python process that imports from the same places as this one."""
    path = os.pathsep.join(folder for folder in sys.path if folder)
    return {**os.environ, **SAFE_PATH, "PYTHONPATH": path}


@contextmanager
def changed(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables for the processes that the block starts, and put back what was there."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def keep_screen_clear() -> None:
    """Have Prefect log to its server alone, unless the user has chosen a level of logging.

    The command line reports progress and errors itself. Log records that the server does not take
    are lost silently.
    """
    if "PREFECT_LOGGING_LEVEL" not in os.environ:
        logging.raiseExceptions = False
        os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
        os.environ.setdefault("PREFECT_LOGGING_INTERNAL_LEVEL", "CRITICAL")


def for_workers() -> dict[str, str]:
    """Return the variables that a Dask worker starts with, the user's own values winning."""
    own = {name: os.environ.get(name, value) for name, value in WORKER_DEFAULTS.items()}
    return {**own, **SAFE_PATH}
