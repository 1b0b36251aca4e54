"""What a run is going to take, told before anything starts."""

from dataclasses import dataclass

from configs.calibration import Calibration
from configs.cluster import Cluster, Local
from configs.sweep import Config, engines, scenario_at
from flows import cluster, layout, pilot, warmup
from flows.layout import Cost, Cut
from flows.plan import Plan


@dataclass(frozen=True)
class Forecast:
    """What a run is going to take.

    Attributes
    ----------
    run : Plan
        The run.
    cut : Cut
        Its shards.
    cost : Cost
        What a path takes.
    finished : int
        Shards that are on disk already.
    workers : int or None
        How many shards run at once; None where a scheduler of the user's knows.
    """

    run: Plan
    cut: Cut
    cost: Cost
    finished: int
    workers: int | None

    @property
    def kernel_seconds(self) -> float:
        """Seconds in kernels that are still to be spent, over all workers."""
        left = 1 - self.finished / len(self.cut.shards)
        return left * self.cut.pairs * self.cost.seconds_a_path

    @property
    def memory_bytes(self) -> int:
        """What a worker takes, at most."""
        return self.cost.memory(min(self.cut.pairs_a_shard, self.cut.pairs))


def forecast(run: Plan, settings: Cluster | None) -> Forecast:
    """Measure a few paths in this process, and return what the run is going to take.

    Parameters
    ----------
    run : Plan
        The run.
    settings : Cluster, optional
        Where it is going to run; this machine without it.

    Raises
    ------
    ClusterError, CutError
        As of `check`, which is asked before anything is compiled.
    """
    warmup.warm_up(engines(run.config))
    cost = pilot.measure(run.config)
    workers, memory = expected(settings)
    cut = run.cut() or run.cut(layout.pairs_a_shard(cost, run.paths, memory))
    assert cut is not None
    return Forecast(run, cut, cost, _finished(run), workers)


def check(what: Config | Calibration, settings: Cluster | None) -> None:
    """Make sure that a cluster, as far as it is known before it starts, can compute something.

    Parameters
    ----------
    what : Config or Calibration
        A sweep, or a fit.
    settings : Cluster, optional
        Where it is going to run; this machine without it.

    Raises
    ------
    ClusterError
        This machine does not have the memory or the cores for so many workers.
    CutError
        A path does not fit in a worker's memory.
    """
    _, memory = expected(settings)
    check_memory(what, memory)


def check_memory(what: Config | Calibration, memory_bytes: int | None) -> None:
    """Make sure that a path fits in a worker's memory, if that is known; as `check`."""
    if isinstance(what, Config):
        scenario, by_member = scenario_at(what, 0), "member" in engines(what)
    else:
        scenario, by_member = what.scenario, what.scenario.engine == "member"
    layout.check_memory(pilot.cost_of(scenario, by_member), memory_bytes)


def expected(settings: Cluster | None) -> tuple[int | None, int | None]:
    """Return how many workers a cluster will have and the memory of each, where that is known."""
    if settings is None or isinstance(settings, Local):
        return cluster.local_size(settings or Local())
    return getattr(settings, "workers", None) or getattr(settings, "jobs", None), None


def _finished(run: Plan) -> int:
    """Return how many shards are on disk, by their records."""
    return len(run.store.finished_shards(verify=False)) if run.cut() else 0


def told(what: Forecast) -> list[tuple[str, str]]:
    """Return a forecast as pairs of a heading and what there is to say."""
    run, cut = what.run, what.cut
    most = "at most " if run.config.sweep.stop_when else ""
    pairs = min(cut.pairs_a_shard, cut.pairs)
    seconds = pairs * what.cost.seconds_a_path
    rows = [
        ("points", f"{run.points:_}"),
        ("paths", f"{most}{cut.pairs:_} ({cut.rounds[-1]:_} of each point)"),
        ("shards", f"{most}{len(cut.shards):_} of {pairs:_} paths, {duration(seconds)} each"),
        ("time", _time(what)),
        ("disk", f"{most}{run.disk_bytes / 1e6:,.1f} MB, twice that while it is written"),
        ("memory", f"{what.memory_bytes / 1e9:.1f} GB a worker"),
    ]
    if what.finished:
        rows.append(("finished", f"{what.finished:_} of the shards are there already"))
    return [*rows, ("folder", str(run.folder))]


def _time(what: Forecast) -> str:
    """Return how long a run is going to take."""
    kernels = f"{duration(what.kernel_seconds)} in kernels"
    if what.workers is None:
        return f"{kernels}, over the workers of the scheduler"
    workers = "1 worker" if what.workers == 1 else f"{what.workers} workers"
    return f"{kernels}: {duration(what.kernel_seconds / what.workers)} on {workers}"


def duration(seconds: float) -> str:
    """Return a length of time as a person says it."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
