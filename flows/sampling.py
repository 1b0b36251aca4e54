"""A calibration's particles on the cluster: evaluated by its workers, kept on disk move by move.

What the sampler does is `kernels.posterior`; here it is given a likelihood that workers simulate,
and its state is written after every move, so that a fit that was stopped or killed goes on at the
move that it was at, and comes to the same particles.
"""

import io
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import threadpoolctl
from numpy.typing import NDArray

from configs.calibration import Calibration, error_column, error_floor, names, values_at
from configs.calibration import fitted as fitted_figures
from flows import fitting
from flows.cluster import ClusterError
from flows.code import short_code
from flows.session import Session
from flows.simulate import fan_out, kept_up
from kernels import posterior
from kernels.posterior import Settings, State

if TYPE_CHECKING:
    from distributed import Future

LOTS_A_WORKER: Final = 6
"""Lots that a move is cut into, for each worker: the last of them is not waited for long."""

QUANTILES: Final = (0.05, 0.25, 0.5, 0.75, 0.95)

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Errors = Callable[[Floats, Floats], Floats]
Simulate = Callable[[Floats, Counts], Floats]
"""Takes float64[n, parameters] values and int64[n] paths; returns float64[n, figures]."""


@dataclass(frozen=True)
class Step:
    """The sampler after a move, with what it went through.

    Attributes
    ----------
    state : State
        The particles.
    generations : float64[generations, 8]
        Of each generation that is done: its number, exponent, effective particles, moves, share
        accepted, step, correlation left, simulations so far.
    trace : float64[generations, parameters, 7]
        Mean, standard deviation and `QUANTILES` of the parameters at its end.
    """

    state: State
    generations: Floats
    trace: Floats


def settings_of(calibration: Calibration) -> Settings:
    """Return how the sampler of a calibration goes."""
    sampler = calibration.sampler
    return Settings(**{field.name: getattr(sampler, field.name) for field in fields(Settings)})


def evaluation(calibration: Calibration, simulate: Simulate) -> posterior.Evaluate:
    """Return the likelihood of points and paths as the sampler takes it.

    Parameters
    ----------
    calibration : Calibration
        The calibration.
    simulate : callable
        What the model says of the figures that are fitted, at parameters and paths.
    """
    rows = fitted_figures(calibration)
    observed = np.array([row.value for row in rows])
    misprint = np.array([row.error for row in rows])
    of_model = model_errors(calibration, [(row.quantity, row.scope) for row in rows])

    def evaluate(z: Floats, paths: Counts) -> tuple[Floats, Floats]:
        values = values_at(calibration, z)
        figures = simulate(values, paths)
        sd = np.hypot(misprint, of_model(values, figures))
        return posterior.log_likelihoods(figures, observed, sd), figures

    return evaluate


def model_errors(calibration: Calibration, series: Sequence[tuple[str, str]]) -> Errors:
    """Return a function that tells the standard deviation of what the model leaves out.

    Parameters
    ----------
    calibration : Calibration
        The calibration.
    series : sequence of (str, str)
        Quantity and scope of each figure.

    Returns
    -------
    callable
        Takes float64[n, parameters] values and float64[n, figures] what the model says; returns
        float64[n, figures].
    """
    columns = [error_column(calibration, quantity) for quantity, _ in series]
    floors = np.array([error_floor(calibration, *one) for one in series])

    def sds(values: Floats, figures: Floats) -> Floats:
        nothing = np.zeros(len(values))
        relative = [nothing if k is None else values[:, k] for k in columns]
        return np.asarray(np.stack(relative, axis=1) * np.maximum(np.abs(figures), floors))

    return sds


def steps(calibration: Calibration, simulate: Simulate, done: Step | None = None) -> Iterator[Step]:
    """Yield the sampler after the draws of the prior, and after each move, up to the posterior.

    Parameters
    ----------
    calibration : Calibration
        The calibration.
    simulate : callable
        As for `evaluation`.
    done : Step, optional
        Where to go on.

    Raises
    ------
    ValueError
        No draw of the prior could be simulated.
    """
    settings, evaluate = settings_of(calibration), evaluation(calibration, simulate)
    parameters = len(names(calibration))
    # Sums of LAPACK may depend on how many threads share them.
    with threadpoolctl.threadpool_limits(1):
        if done is None:
            state = posterior.begin(settings, parameters, evaluate)
            empty = Step(state, np.zeros((0, 8)), np.zeros((0, parameters, 7)))
            done = _told(empty, calibration)
            yield done
        while not posterior.is_finished(done.state, settings):
            state = posterior.advance(done.state, settings, evaluate)
            done = Step(state, done.generations, done.trace)
            if posterior.is_moved(state, settings):
                done = _told(done, calibration)
            yield done


def _told(step: Step, calibration: Calibration) -> Step:
    """Return a step at the end of a generation with an account of it."""
    state = step.state
    row = (
        *(state.generation, state.exponent, state.ess, state.move, state.accepted, state.step),
        *(posterior.correlation(state), state.simulations),
    )
    values = values_at(calibration, state.z)
    told = [values.mean(axis=0), values.std(axis=0, ddof=1), *np.quantile(values, QUANTILES, 0)]
    return Step(
        state,
        np.concatenate([step.generations, [row]]),
        np.concatenate([step.trace, np.stack(told, axis=1)[None]]),
    )


def packed(step: Step) -> bytes:
    """Return a step as bytes that `unpacked` reads back, bit for bit."""
    state = {field.name: getattr(step.state, field.name) for field in fields(State)}
    target = io.BytesIO()
    np.savez(target, generations=step.generations, trace=step.trace, **state)
    return target.getvalue()


def unpacked(content: bytes) -> Step:
    """Return the step that `packed` made bytes of."""
    with np.load(io.BytesIO(content), allow_pickle=False) as found:
        state: dict[str, Any] = {
            field.name: found[field.name] if found[field.name].ndim else found[field.name].item()
            for field in fields(State)
        }
        return Step(State(**state), found["generations"], found["trace"])


class Workers:
    """A likelihood that is simulated by the cluster's workers.

    Parameters
    ----------
    here : Session
        The cluster.
    folder : str
        Folder of the calibration, as workers find it.
    """

    def __init__(self, here: Session, folder: str) -> None:
        self._here, self._folder = here, folder

    def fit(self, values: Floats, paths: Counts) -> Floats:
        """Return what paths say of the figures up to the cut-off; as `fitting.fit`."""
        return self._on_all(fitting.fit, (), values, paths)

    def forecast(self, world: str, values: Floats, paths: Counts) -> Floats:
        """Return what paths say of every period in a world; as `fitting.forecast`."""
        return self._on_all(fitting.forecast, (world,), values, paths)

    def _on_all(
        self, what: Callable[..., Floats], asked: tuple[str, ...], values: Floats, paths: Counts
    ) -> Floats:
        from distributed import KilledWorker

        size = max(1, math.ceil(len(paths) / (LOTS_A_WORKER * max(1, self._here.workers))))
        lots = {start: slice(start, start + size) for start in range(0, len(paths), size)}

        def submit(lot: slice) -> "Future[Floats]":
            arguments = (self._folder, *asked, values[lot], paths[lot], short_code())
            return self._here.client.submit(what, *arguments, pure=False)

        def hand_out(left: Sequence[slice]) -> Iterator[tuple[int, Floats]]:
            for lot, future in fan_out(self._here, left, submit):
                yield lot.start, future.result()

        try:
            answers = dict(kept_up(self._here, lots, hand_out))
        except KilledWorker as error:
            raise ClusterError(f"workers died over it again and again: {error}") from error
        return np.concatenate([answers[start] for start in sorted(answers)])
