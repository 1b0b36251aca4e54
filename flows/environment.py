"""Settings of our own process, made before Prefect is imported, each only where the user made none.

Nothing leaves the machine: Prefect's telemetry is switched off. Prefect's state (its SQLite file)
lies in `~/.huzhu/prefect`, apart from any Prefect of the user's. A user who wants a Prefect server
of their own sets `PREFECT_API_URL`, and no temporary server is started.
"""

import contextlib
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

DEFAULTS: Final[Mapping[str, str]] = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY": "false",
    "PREFECT_TELEMETRY_ENABLE_RESOURCE_METRICS": "false",
    "PREFECT_HOME": str(Path.home() / ".huzhu" / "prefect"),
    # A loaded machine may need a minute for what takes an idle one three seconds.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
}

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
    # Prefect makes the last folder of the path only.
    with contextlib.suppress(OSError):  # Prefect says what is wrong with it
        Path(os.environ["PREFECT_HOME"]).expanduser().parent.mkdir(parents=True, exist_ok=True)


def keep_screen_clear() -> None:
    """Have Prefect log to its server alone, unless the user has chosen a level of logging.

    The command line tells progress and errors in its own words. What a log's server does not take
    is lost without a line of its own.
    """
    if "PREFECT_LOGGING_LEVEL" not in os.environ:
        logging.raiseExceptions = False
        os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
        os.environ.setdefault("PREFECT_LOGGING_INTERNAL_LEVEL", "CRITICAL")


def for_workers() -> dict[str, str]:
    """Return the variables that a Dask worker starts with, the user's own values winning."""
    return {name: os.environ.get(name, value) for name, value in WORKER_DEFAULTS.items()}
