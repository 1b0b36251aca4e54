"""All shards of a run, handed out to the cluster's workers and taken back: no Prefect in it.

What is finished is asked of the run folder alone. A few shards a worker are handed out ahead, so
that neither the scheduler's memory nor ours grows with the sweep. A worker that dies is replaced,
and its shard done again; a scheduler that goes away is waited for; a shard that takes its worker
with it again and again, all alone, is recorded as failed.
"""

import itertools
import traceback
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from configs.sweep import rounds, seed_at, values_at
from flows import cluster, layout, screen, shard
from flows import plan as planning
from flows.cluster import ClusterError
from flows.code import short_code
from flows.layout import Cost, Cut, Shard, blocks
from flows.plan import Plan
from flows.session import Session
from flows.shard import CodeError
from results.atomic import StoreError
from results.manifest import Failure, FileRecord, Manifest, ShardRecord
from results.precision import imprecise_points

if TYPE_CHECKING:
    from distributed import Future

SHARDS_A_WORKER: Final = 3
"""Shards handed out ahead: no worker waits, and the scheduler need not remember the sweep."""

LOSSES_IN_VAIN: Final = 5
"""How often a cluster may go away without one shard done in between."""

K = TypeVar("K")
T = TypeVar("T")
R = TypeVar("R")
Tell = Callable[[int], None]


@dataclass(frozen=True)
class Task:
    """A shard to be done.

    Attributes
    ----------
    shard : Shard
        Which one.
    left_out : tuple of int
        Points of it that are precise enough, or have failed, and get no more paths.
    pairs : int
        Pairs of point and path that remain.
    """

    shard: Shard
    left_out: tuple[int, ...]
    pairs: int


@dataclass
class Tally:
    """What is known of a run's shards.

    Attributes
    ----------
    pairs : dict of int to int
        Pairs done in each finished shard.
    failures : dict of int to tuple of Failure
        What failed, by shard.
    kernel_seconds : float
        Spent since the run was taken up, over all workers.
    """

    pairs: dict[int, int]
    failures: dict[int, tuple[Failure, ...]]
    kernel_seconds: float = 0.0

    def add(self, record: ShardRecord) -> None:
        """Count a shard."""
        self.pairs[record.shard] = record.details["paths"]
        self.failures.pop(record.shard, None)
        if record.failures:
            self.failures[record.shard] = record.failures

    def failed_points(self) -> set[int]:
        """Return the points of which something failed."""
        every = (failure for found in self.failures.values() for failure in found)
        return {failure.point for failure in every if failure.point is not None}


def cut_of(run: Plan, here: Session, manifest: Manifest) -> tuple[Cut, Manifest]:
    """Return how the run is cut, and its manifest with that; measured where it is not known.

    Raises
    ------
    CutError
        A path does not fit in a worker's memory.
    StoreError
        The manifest cannot be written.
    """
    cut = run.cut(manifest.shard_pairs)
    if cut is not None:
        return cut, manifest
    pairs = layout.pairs_a_shard(_measured(run, here), run.paths, here.memory_bytes)
    measured = run.cut(pairs)
    assert measured is not None
    return measured, planning.keep_cut(run, manifest, measured)


def _measured(run: Plan, here: Session) -> Cost:
    """Return what a path costs, as a worker measured it."""
    from distributed import KilledWorker

    try:
        cost: Cost = here.client.submit(shard.measure, run.address, pure=False).result()
    except KilledWorker:
        # Its shards will say so, each of its own.
        return Cost(seconds_a_path=layout.LONGEST_SHARD_SECONDS, bytes_a_path=0, bytes_a_pair=0)
    return cost


def simulate(run: Plan, here: Session, cut: Cut, *, again: bool, tell: Tell) -> Tally:
    """Simulate every shard that is not on disk.

    Parameters
    ----------
    run : Plan
        The run; its folder is there.
    here : Session
        The cluster.
    cut : Cut
        Its shards.
    again : bool
        Whether shards of which something failed are done again.
    tell : callable
        Told how many pairs are done, those included that need not be.

    Raises
    ------
    ClusterError
        The cluster went away and did not come back.
    CodeError
        A worker has other code.
    StoreError
        Results cannot be written.
    """
    tally = _finished(run, again)
    later = cut.pairs
    for place in range(len(cut.rounds)):
        later -= cut.pairs_of(place)
        tasks = _missing(run, cut, tally, place)
        left = later + sum(task.pairs for task in tasks)
        tell(cut.pairs - left)
        for task, record in _records(run, here, tasks):
            tally.add(record)
            tally.kernel_seconds += record.details["kernel_seconds"]
            left -= task.pairs
            tell(cut.pairs - left)
    return tally


def _finished(run: Plan, again: bool) -> Tally:
    """Return what is on disk, whole; without what failed where that is done again."""

    def tell(shard: int, file: FileRecord) -> None:
        screen.say(
            f"{run.folder / file.path}: missing or damaged; its shard {shard} is simulated again"
        )

    tally = Tally({}, {})
    for record in run.store.finished_shards(tell=tell).values():
        if not (again and record.failures):
            tally.add(record)
    return tally


def _missing(run: Plan, cut: Cut, tally: Tally, place: int) -> list[Task]:
    """Return what is to be done in a round: a function of the rounds before it alone."""
    settled = _settled_points(run, cut, tally, place)
    tasks = (_task(shard, cut, settled) for shard in cut.of_round(place))
    return [task for task in tasks if tally.pairs.get(task.shard.index, 0) != task.pairs]


def _task(shard: Shard, cut: Cut, settled: Collection[int]) -> Task:
    """Return a shard without the points that are settled."""
    if not settled:
        return Task(shard, (), shard.stop - shard.first)
    parts = list(blocks(shard, cut.rounds))
    left_out = tuple(point for point, _ in parts if point in settled)
    pairs = sum(len(paths) for point, paths in parts if point not in settled)
    return Task(shard, left_out, pairs)


def _settled_points(run: Plan, cut: Cut, tally: Tally, place: int) -> frozenset[int]:
    """Return the points that get no paths in a round: precise enough before it, or failed."""
    rule = run.config.sweep.stop_when
    if place == 0 or rule is None:
        return frozenset()
    going_on: frozenset[int] | None = None
    for paths in cut.rounds[:place]:
        going_on = imprecise_points(
            run.store,
            None if going_on is None else sorted(going_on),
            paths,
            outcome=rule.outcome,
            half_width=rule.half_width,
            relative_half_width=rule.relative_half_width,
            confidence=rule.confidence,
        )
    return frozenset(range(cut.points)) - (going_on or frozenset()) | tally.failed_points()


def _records(run: Plan, here: Session, tasks: Sequence[Task]) -> Iterator[tuple[Task, ShardRecord]]:
    """Yield each task with its record, as workers finish them; a lost scheduler is waited for."""
    by_shard = {task.shard.index: task for task in tasks}

    def hand_out(left: Sequence[Task]) -> Iterator[tuple[int, ShardRecord]]:
        for task, record in _handed_out(run, here, left):
            yield task.shard.index, record

    for shard_index, record in kept_up(here, by_shard, hand_out):
        yield by_shard[shard_index], record


def kept_up(
    here: Session,
    tasks: Mapping[K, T],
    hand_out: Callable[[Sequence[T]], Iterator[tuple[K, R]]],
) -> Iterator[tuple[K, R]]:
    """Yield what comes of each task; where the scheduler is lost, what is left begins anew.

    Parameters
    ----------
    here : Session
        The cluster.
    tasks : mapping
        What is to be done, by a key.
    hand_out : callable
        Takes tasks and yields key and answer of each as it is finished.

    Raises
    ------
    ClusterError
        The cluster went away and did not come back.
    """
    left = dict(tasks)
    in_vain = 0
    while left:
        try:
            if not here.is_alive:
                here.connect_again()
            for key, answer in hand_out(list(left.values())):
                del left[key]
                in_vain = 0
                yield key, answer
        except Exception as error:
            in_vain += 1
            gone = cluster.lost(error, here.client)
            if isinstance(error, ClusterError | StoreError | CodeError) or not gone:
                raise
            if in_vain > LOSSES_IN_VAIN:
                raise ClusterError(f"the cluster goes away again and again: {error}") from error


def _handed_out(
    run: Plan, here: Session, tasks: Sequence[Task]
) -> Iterator[tuple[Task, ShardRecord]]:
    """Yield each task with its record; those whose workers died are tried once more, alone."""
    died = []
    for task, future in fan_out(here, tasks, partial(_submit, run, here)):
        record = _record_of(run, task, future)
        if record is None:
            died.append(task)
        else:
            yield task, record
    for task in died:
        record = _record_of(run, task, _submit(run, here, task))
        yield task, record or _recorded(run, task, _DEATH, "")


def fan_out(
    here: Session, tasks: Iterable[T], submit: Callable[[T], "Future[Any]"]
) -> Iterator[tuple[T, "Future[Any]"]]:
    """Yield tasks and their futures as workers finish them, a few a worker handed out ahead.

    Parameters
    ----------
    here : Session
        The cluster.
    tasks : iterable
        What is to be done, in order.
    submit : callable
        Hands one out.
    """
    from distributed import as_completed

    waiting, handed_out = iter(tasks), {}
    finished = as_completed(loop=here.client.loop)

    def hand_out(count: int) -> None:
        for task in itertools.islice(waiting, count):
            future = submit(task)
            handed_out[future.key] = task
            finished.add(future)

    hand_out(SHARDS_A_WORKER * max(1, here.workers))  # none, while all are begun anew
    for future in finished:
        yield handed_out.pop(future.key), future
        hand_out(1)


def _submit(run: Plan, here: Session, task: Task) -> "Future[ShardRecord]":
    """Hand a shard out."""
    arguments = (run.address, task.shard, task.left_out, short_code())
    return here.client.submit(shard.run, *arguments, pure=False)


def _record_of(run: Plan, task: Task, future: "Future[ShardRecord]") -> ShardRecord | None:
    """Return the record of a shard, None where workers died over it.

    What fails otherwise than in a path is recorded, so that the other shards go on; unless it is
    what all of them would fail of.
    """
    from distributed import KilledWorker

    try:
        return future.result()
    except KilledWorker:
        return None
    except (CodeError, StoreError):
        raise
    except Exception as error:
        if cluster.lost(error):
            raise
        told = f"{type(error).__name__}: {error}"
        return _recorded(run, task, told, "".join(traceback.format_exception(error)))


_DEATH: Final = (
    "the worker died over it again and again: killed, crashed, or out of memory; give workers more "
    "memory, or fewer paths a shard, and retry"
)


def _recorded(run: Plan, task: Task, told: str, where: str) -> ShardRecord:
    """Record a shard as failed as a whole."""
    parts = (part for part in blocks(task.shard, rounds(run.config.sweep)))
    failures = [
        Failure(
            shard=task.shard.index,
            point=point,
            path=paths.start,
            seed=seed_at(run.config, point),
            parameters=values_at(run.config, point),
            error=told,
            traceback=where,
        )
        for point, paths in parts
        if point not in task.left_out
    ]
    return run.store.finish_shard(
        task.shard.index, [], failures, paths=task.pairs, kernel_seconds=0.0
    )
