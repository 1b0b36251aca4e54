"""Prefect's record of a run, for as long as its server can be reached.

A run's results are its files. When Prefect's server goes away the run goes on without it: what is
left of it is computed and written by the same functions, and no longer recorded.
"""

from collections.abc import Callable
from typing import Any, Final, TypeVar

R = TypeVar("R")

LOST: Final = "Prefect's server was lost ({}); the run goes on without it"
MISSING: Final = (
    "huzhu: results do not depend on Prefect's server; its record of this run lacks what came "
    "after the loss: stages, progress, artifacts, logs, the final state"
)


class Record:
    """Prefect's record of one run.

    Attributes
    ----------
    is_lost : bool
        Whether its server went away: nothing more is recorded.
    """

    def __init__(self) -> None:
        self.is_lost = False

    def stage(self, task: Any, *arguments: Any) -> Any:
        """Run a stage as a task of Prefect's, or as a plain function once the server is lost.

        Parameters
        ----------
        task : prefect.Task
            The stage.
        *arguments
            What it takes.
        """
        if not self.is_lost:
            try:
                return task(*arguments)
            except Exception as error:
                if not self.lost_by(error):
                    raise
        return task.fn(*arguments)

    def leave(self, make: Callable[[], R]) -> R | None:
        """Leave something in Prefect's UI; None where its server is lost, or refuses it.

        Parameters
        ----------
        make : callable
            Makes it, by a call of Prefect's.
        """
        if self.is_lost:
            return None
        try:
            return make()
        except Exception as error:
            if not self.lost_by(error):
                raise
            return None

    def lost_by(self, error: BaseException) -> bool:
        """Whether an error says that Prefect's server does not answer or fails; it is then lost."""
        from httpx import HTTPError

        from flows import screen  # which imports the session, which has a record

        found: BaseException | None = error
        while found is not None and not isinstance(found, HTTPError):
            found = found.__cause__ or found.__context__
        if found is None:
            return False
        if not self.is_lost:
            self.is_lost = True
            said = (str(found).splitlines() or [""])[0] or type(found).__name__
            screen.say(LOST.format(said))
        return True
