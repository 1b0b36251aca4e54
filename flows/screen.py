"""What a run shows while it goes on, on standard error, and the account of its time at the end."""

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from configs.visible import visible
from flows.session import Progress, Show

SECONDS_BETWEEN_LINES: Final = 5.0
"""How often a line is written where no bar can be drawn: in a log, or in a pipe."""


@contextmanager
def progress() -> Iterator[Show]:
    """Show progress as a bar on a terminal, and as a line now and then elsewhere."""
    if not sys.stderr.isatty():
        yield _line_teller()
        return
    import rich.progress
    from rich.console import Console

    bar = rich.progress.Progress(
        rich.progress.TextColumn("{task.description}"),
        rich.progress.BarColumn(),
        rich.progress.MofNCompleteColumn(),
        rich.progress.TextColumn("{task.fields[unit]}"),
        rich.progress.TimeElapsedColumn(),
        rich.progress.TextColumn("left"),
        rich.progress.TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    with bar:
        shown = bar.add_task("starting", total=None, unit="paths")
        yield lambda now: bar.update(
            shown, description=now.stage, completed=now.done, total=now.total, unit=now.unit
        )


def _line_teller() -> Show:
    """Return a function that writes a line at each new stage, and now and then within one."""
    last_stage, last_time = "", 0.0

    def tell(now: Progress) -> None:
        nonlocal last_stage, last_time
        finished = now.done == now.total
        late = time.monotonic() - last_time > SECONDS_BETWEEN_LINES
        if now.stage != last_stage or finished or late:
            say(f"{now.stage}: {now.done} of {now.total} {now.unit}")
            last_stage, last_time = now.stage, time.monotonic()

    return tell


def say(message: str) -> None:
    """Write a message to standard error."""
    print(visible(message), file=sys.stderr, flush=True)


def warn(warnings: Iterable[str]) -> None:
    """Write warnings to standard error, a line each."""
    for text in warnings:
        say(f"huzhu: warning: {text}")


def account(wall: float, kernels: float, workers: int) -> str:
    """Return what a run's time went to.

    Parameters
    ----------
    wall : float
        Seconds from the command to its end.
    kernels : float
        Seconds in kernels, summed over the workers.
    workers : int
        How many there were, ≥ 1.
    """
    overhead = wall - kernels / workers
    return (
        f"kernel {kernels:.1f} s over {workers} workers, "
        f"overhead {overhead:.1f} s of {wall:.1f} s wall"
    )
