"""Being stopped: Ctrl-C and SIGTERM reach us where they can be answered, and nobody else."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker

from flows import environment


@contextmanager
def later() -> Iterator[None]:
    """Have Ctrl-C and SIGTERM wait until the block is done.

    For what must not be broken off: half a cluster cannot be ended, and an exception in the midst
    of a large import is now and then swallowed by somebody's `except`.

    Processes and threads started within never see Ctrl-C, which a terminal sends to all of a
    program's processes: it is for the one that ends the others.
    """
    # It would unblock Ctrl-C in the thread that first needs it, and in all that this one starts.
    with environment.changed(environment.SAFE_PATH):
        resource_tracker.ensure_running()
    unblocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    noted: list[int] = []
    try:
        with _noting(noted):
            yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)
        for number in noted:
            os.kill(os.getpid(), number)


@contextmanager
def _noting(noted: list[int]) -> Iterator[None]:
    """Note the signals to stop that arrive, instead of answering them; main thread only."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {
        number: signal.signal(number, lambda arrived, _: noted.append(arrived))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
