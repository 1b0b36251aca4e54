"""What a calibration costs, and whether its intervals are as wide as they should be.

`calibration_minutes` fits Xianghubao as a user would; the others take a small pool whose truth is
known. The sampler is held against emcee's ensemble sampler on the same likelihood, simulated by
the same kernels.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from benchmarks.record import Figure, benchmark
from configs.calibration import Calibration, fitted, load_calibration, names, values_at
from flows import fitting, sampling
from kernels import posterior
from kernels.posterior import PATHS

Floats = NDArray[np.float64]

ROOT: Final = Path(__file__).parent.parent
HUZHU: Final = str(Path(sys.executable).parent / "huzhu")
REAL: Final = ROOT / "configs" / "calibrations" / "xianghubao.yaml"

GOAL_MINUTES: Final = 30.0
GOAL_SAMPLES: Final = 1000
GOAL_PARAMETERS: Final = 10

REPLICATES: Final = int(os.environ.get("HUZHU_RANK_REPLICATES", "60"))
"""Data sets that are simulated from the prior and fitted, for ranks of their truth."""

CLASSES: Final = 10
WALKERS: Final = 32
BURN_IN, STEPS = 150, 600
PILOT: Final = 400
"""Draws of the prior of which emcee's walkers begin at the best."""


@lru_cache(maxsize=1)
def _small() -> Calibration:
    """Return the calibration of a small pool, with figures simulated from a known truth."""
    from tests.flows.calibrations import written

    with tempfile.TemporaryDirectory() as folder:
        return load_calibration(written(Path(folder)))


def _simulate_of(calibration: Calibration) -> sampling.Simulate:
    sums = fitting.sums_of(calibration, fitting.fitted(calibration))
    return lambda values, paths: fitting.simulated(calibration, sums, values, paths)


@benchmark("calibration_minutes")
def calibration_minutes() -> Figure:
    """Measure the calibration of Xianghubao, from the command to its report."""
    with tempfile.TemporaryDirectory(prefix="huzhu-calibration-") as folder:
        began = time.perf_counter()
        command = [HUZHU, "calibrate", str(REAL), "--results", folder]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        minutes = (time.perf_counter() - began) / 60
        last = Path(done.stdout.splitlines()[-1])
        said = json.loads((last / "manifest.json").read_text())
    samples, parameters = said["effective_samples"], len(said["parameters"])
    enough = samples >= GOAL_SAMPLES and parameters >= GOAL_PARAMETERS
    return Figure(
        name="calibration_minutes",
        value=minutes,
        unit="min",
        baseline=GOAL_MINUTES,
        ratio=minutes / GOAL_MINUTES,
        goal=f"<= {GOAL_MINUTES:g} min for {GOAL_SAMPLES} effective samples, 2 cores",
        meets=minutes <= GOAL_MINUTES and enough,
        against=f"the goal; {parameters} parameters, {samples:.0f} effective samples, "
        f"{said['simulations']} paths",
    )


@benchmark("calibration_ranks")
def calibration_ranks() -> Figure:
    """Measure whether truths drawn from the prior rank uniformly among the draws fitted to them."""
    calibration = _small()
    random = np.random.default_rng(1)
    ranks = []
    for i in range(REPLICATES):
        ranks.append(_rank(calibration, random, seed=i + 1))
        print(f"\r  {i + 1} of {REPLICATES} data sets", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    statistic = 0.0
    for name, of_one in zip(names(calibration), np.array(ranks).T, strict=True):
        counts = np.bincount(np.minimum((of_one * CLASSES).astype(int), 9), minlength=CLASSES)
        found = float(stats.chisquare(counts).statistic)
        statistic = max(statistic, found)
        print(f"  ranks of {name}: {counts.tolist()}, chi2 {found:.1f}", file=sys.stderr)
    tests = len(names(calibration))
    critical = float(stats.chi2(CLASSES - 1).ppf(1 - 0.01 / tests))
    return Figure(
        name="calibration_ranks",
        value=statistic,
        unit="chi2",
        baseline=critical,
        ratio=statistic / critical,
        goal="below the 1 % bound",
        meets=statistic < critical,
        against=f"largest of {tests} that 1 % of true samplers pass; {REPLICATES} data sets",
    )


def _rank(calibration: Calibration, random: np.random.Generator, seed: int) -> Floats:
    """Return which share of the draws lies below a truth whose figures they were fitted to."""
    simulate = _simulate_of(calibration)
    truth = random.standard_normal((1, len(names(calibration))))
    values = values_at(calibration, truth)
    said = simulate(values, random.integers(PATHS, size=1))
    rows = fitted(calibration)
    series = [(row.quantity, row.scope) for row in rows]
    sds = np.hypot(
        [row.error for row in rows], sampling.model_errors(calibration, series)(values, said)
    )
    figures = np.maximum((said + sds * random.standard_normal(said.shape))[0], 0.0)
    told = iter(figures.tolist())
    late = set(rows)
    observed = calibration.observations.model_copy(
        update={
            "rows": tuple(
                row.model_copy(update={"value": next(told)}) if row in late else row
                for row in calibration.observations.rows
            )
        }
    )
    sampler = calibration.sampler.model_copy(update={"seed": seed, "particles": 100})
    again = calibration.model_copy(update={"observations": observed, "sampler": sampler})
    *_, last = sampling.steps(again, _simulate_of(again))
    return np.asarray((last.state.z < truth).mean(axis=0))


@benchmark("calibration_sampler_ratio")
def calibration_sampler_ratio() -> Figure:
    """Measure effective samples per thousand simulated paths, beside emcee's."""
    calibration = _small()
    sampler = calibration.sampler.model_copy(update={"particles": 400})
    ours = calibration.model_copy(update={"sampler": sampler})
    *_, last = sampling.steps(ours, _simulate_of(ours))
    worth = float(posterior.effective_sample(last.state.z, last.state.families).min())
    value = 1000 * worth / last.state.simulations
    baseline = _of_emcee(calibration)
    return Figure(
        name="calibration_sampler_ratio",
        value=value,
        unit="effective samples per 1000 paths",
        baseline=baseline,
        ratio=value / baseline,
        goal=">= 1",
        meets=value >= baseline,
        against="emcee's affine-invariant ensemble, a new path at each step",
    )


def _of_emcee(calibration: Calibration) -> float:
    """Return effective samples per 1000 simulations of emcee's ensemble sampler."""
    import emcee

    evaluate = sampling.evaluation(calibration, _simulate_of(calibration))
    random = np.random.default_rng(5)

    def log_density(z: Floats) -> Floats:
        log_likelihood, _ = evaluate(z, random.integers(PATHS, size=len(z)))
        return np.asarray(log_likelihood - 0.5 * np.square(z).sum(axis=1))

    parameters = len(names(calibration))
    pilot = random.standard_normal((PILOT, parameters))
    start = pilot[np.argsort(log_density(pilot))[-WALKERS:]]
    ensemble = emcee.EnsembleSampler(
        WALKERS, parameters, log_density, vectorize=True, moves=emcee.moves.DEMove()
    )
    ensemble.run_mcmc(start, BURN_IN + STEPS)
    autocorrelation = ensemble.get_autocorr_time(discard=BURN_IN, quiet=True).max()
    # no autocorrelation can be told of walkers that stay where they are: each is one draw then
    steps = STEPS / float(autocorrelation) if np.isfinite(autocorrelation) else 1.0
    worth = WALKERS * steps
    return float(1000 * worth / (PILOT + WALKERS * (BURN_IN + STEPS)))
