"""The order of the tests: the longest at once, each group of them in a process of its own.

Before that the kernels are compiled, once for all of these processes.
"""

import os
import signal
import subprocess
import sys

import pytest

LONGEST = ("flows/test_killed.py", "flows/test_storage.py", "flows/test_sweep.py")
"""Files whose tests take minutes; begun last, they would be waited for by all the others."""


WARM_UP = [sys.executable, "-m", "flows.cli", "warmup", "--engine"]
BESIDE = pytest.StashKey["subprocess.Popen[bytes]"]()


def pytest_configure() -> None:
    """Hear Ctrl-C, to which a shell deafens what it starts in the background, and all below it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Compile what several processes would compile at the same time, each for itself.

    The member engine, which few tests need and none of the first, is compiled beside the tests.
    """
    several = getattr(session.config.option, "numprocesses", None)
    interpreted = os.environ.get("NUMBA_DISABLE_JIT", "0") != "0"
    if several and not interpreted:
        root = session.config.rootpath
        subprocess.run([*WARM_UP, "cohort"], cwd=root, check=True)
        session.config.stash[BESIDE] = subprocess.Popen(
            [*WARM_UP, "member"], cwd=root, stdout=subprocess.DEVNULL
        )


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Leave no process behind."""
    beside = session.config.stash.get(BESIDE, None)
    if beside is not None:
        beside.terminate()
        beside.wait()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put each of the longest files where a share of the tests begins, of as many as there are."""
    groups = [[item for item in items if name in item.nodeid] for name in LONGEST]
    others = [item for item in items if not any(name in item.nodeid for name in LONGEST)]
    share = len(items) // len(LONGEST)
    ordered: list[pytest.Item] = []
    for group in groups:
        room = max(0, share - len(group))
        ordered += group + others[:room]
        others = others[room:]
    items[:] = ordered + others
