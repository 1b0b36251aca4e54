"""A small pool with a known truth, figures of it, and a calibration that is to find it again."""

from pathlib import Path
from textwrap import dedent

import numpy as np

from configs.calibration import Calibration, load_calibration, names, priors
from flows import fitting
from tests.flows.conftest import SMALL

TRUTH = {"level": 1.5, "push": 0.06, "rivals": 1.0}
"""`rivals` is how members answer to a competitor that there is none of: no figure tells of it."""

FIGURES = (
    *((f"2020-{month:02}-28", "members", 0.01) for month in (1, 2, 3, 4, 5)),
    *((f"2020-{month:02}-28", "claims", 0.05) for month in (3, 4, 5, 6)),
    ("2020-06-30", "share_year", 0.03),
    ("2020-05-31", "claims_cumulative", 0.03),
)
"""Day, quantity and relative error of what is published."""

CALIBRATION = """
scenario: small.yaml
settings:
  start_date: 2020-01-01
  periods: 18
  closure: {}
  motives.*.lapse.competitor: 0.01
  motives.*.lapse.news: 0.05
  channels.app.push: [{from_period: 0, value: 0.05}, {from_period: 12, value: 0.05}]
observations: published.csv
until: 2020-05-31
scopes: {everybody: [main]}
parameters:
  level: {fields: [claims.level], prior: {law: log_normal, median: 1, factor: 2}}
  push:
    fields: [channels.app.push.0.value]
    prior: {law: log_normal, median: 0.05, factor: 2}
    meaning: part of the market that joins in a period
  rivals:
    fields: ["motives.*.lapse.competitor"]
    how: multiply
    prior: {law: log_normal, median: 1, factor: 2}
model_errors:
  error: {quantities: [members], prior: {law: log_normal, median: 0.005, factor: 1.5}}
sampler: {particles: 120, seed: 3, correlation_left: 0.4, most_moves: 8, final_moves: 6}
forecast:
  draws: 40
  worlds:
    known: {}
    bad_news: {news.jumps: [{period: 12, size: 3}]}
  unknown:
    push_in_july:
      fields: [channels.app.push.1.value]
      prior: {law: log_normal, median: 0.05, factor: 3}
  taken_as_given: {bad_news: a scandal in July}
"""


def written(folder: Path) -> Path:
    """Write a small calibration and all that it names; return its file."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "small.yaml").write_text(dedent(SMALL))
    file = folder / "found_again.yaml"
    file.write_text(dedent(CALIBRATION))
    header = "date,quantity,value,scope,error\n"
    rows = [f"{day},{quantity},100,everybody,1" for day, quantity, _ in FIGURES]
    (folder / "published.csv").write_text(header + "\n".join(rows))
    values = [value for _, value in published(load_calibration(file, until="null"), seed=20)]
    told = zip(FIGURES, values, strict=True)
    rows = [f"{day},{what},{v:.12g},everybody,{e * v:.12g}" for (day, what, e), v in told]
    (folder / "published.csv").write_text(header + "\n".join(rows))
    return file


def published(calibration: Calibration, seed: int) -> list[tuple[float, float]]:
    """Return what a path of the truth says of each figure, and the same as it is published."""
    truth = np.array([[TRUTH.get(name, 0.0) for name in names(calibration)]])
    sums = fitting.sums_of(calibration, fitting.fitted(calibration))
    (said,) = fitting.simulated(calibration, sums, truth, np.array([77]))
    noise = np.random.default_rng(seed).standard_normal(len(said))
    return [
        (v, v * (1 + error * e))
        for v, e, (_, _, error) in zip(said.tolist(), noise.tolist(), FIGURES, strict=True)
    ]


def truth_in_z(calibration: Calibration) -> dict[str, float]:
    """Return where the truth lies on the scale on which priors are standard normal."""
    return {name: priors(calibration)[name].z_of(value) for name, value in TRUTH.items()}
