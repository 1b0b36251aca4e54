"""Being stopped: Ctrl-C and SIGTERM reach us where they can be answered, and nobody else."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker


@contextmanager
def later() -> Iterator[None]:
    """Have Ctrl-C and SIGTERM wait until the block is done.

    For what must not be broken off: half a cluster cannot be ended, and an exception in the midst
    of a large import is now and then swallowed by somebody's `except`.

    Processes and threads started within never see Ctrl-C, which a terminal sends to all of a
    program's processes: it is for the one that ends the others.
    """
    # It would unblock Ctrl-C in the thread that first needs it, and in all that this one starts.
    resource_tracker.ensure_running()
    waiting: list[int] = []
    main = threading.current_thread() is threading.main_thread()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    handler = signal.signal(signal.SIGTERM, lambda *_: waiting.append(1)) if main else None
    try:
        yield
    finally:
        if main:
            signal.signal(signal.SIGTERM, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if waiting:
            os.kill(os.getpid(), signal.SIGTERM)
