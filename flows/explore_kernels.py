"""Loading the kernels behind a page, so that it is there at once."""

from __future__ import annotations

import threading
import time
from typing import Final

from configs.load import ConfigError
from configs.sweep import Config, engines
from flows import whatif
from flows.simulation import PathError
from flows.warmup import compile_kernels
from results.atomic import StoreError
from results.places import Folder
from results.run import RunError

PATHS_UNKNOWN: Final = 10
"""Paths of an answer where none could be simulated to measure one."""


class Kernels:
    """The kernels of a run's engines, loaded by a thread of their own.

    Attributes
    ----------
    is_loading : bool
        Whether they are not there yet.
    seconds : float
        What loading took.
    paths : int
        Paths that can be simulated while a user waits.
    paths_seconds : float
        What they take, about; 0 where that is not known.
    error : str
        Why they cannot be used; empty where they can.
    """

    def __init__(self, folder: Folder, config: Config, point: int) -> None:
        self.is_loading, self.error = True, ""
        self.seconds = self.paths_seconds = 0.0
        self.paths = min(PATHS_UNKNOWN, config.sweep.paths)
        self._asked = (folder, config, point)
        # It must not keep the program from ending.
        threading.Thread(target=self._load, name="kernels", daemon=True).start()

    def _load(self) -> None:
        started = time.perf_counter()
        folder, config, point = self._asked
        try:
            compile_kernels(engines(config))
            self.seconds = time.perf_counter() - started
            one = whatif.seconds_a_path(folder, point)
            self.paths = whatif.paths_within(one, config.sweep.paths)
            self.paths_seconds = self.paths * one
        except (ConfigError, PathError, RunError, StoreError):
            """This point cannot be simulated; an answer will tell why."""
        except Exception as error:
            self.error = f"The kernels cannot be used: {type(error).__name__}: {error}"
        finally:
            self.is_loading = False
