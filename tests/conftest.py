"""The order of the tests: the longest files first.

Before that the kernels are compiled, once for all of these processes.
"""

import os
import signal
import subprocess
import sys

import pytest

LONGEST = ("killed", "storage", "sweep", "calibrate", "deployment", "report")
"""Files of `flows` whose tests take a minute or more, the longest first.

Begun last, they would be waited for by all the others.
"""

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
    """Begin with the longest files, each of which one process takes as a whole."""
    ranks = {f"flows/test_{name}.py": rank for rank, name in enumerate(LONGEST)}
    places = {item: "/".join(item.path.parts[-2:]) for item in items}
    items.sort(key=lambda item: ranks.get(places[item], len(ranks)))
