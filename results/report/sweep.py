"""The figures of a sweep: outcomes over its axes, what moves them, and settings compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from results.analysis import sensitivity
from results.analysis.comparison import Side, compare_all
from results.analysis.discovery import Discovery, Limits, discover
from results.analysis.factors import Factor, factors, swept
from results.analysis.outcomes import OUTCOMES, estimates
from results.analysis.pareto import pareto
from results.analysis.settings import Axis, settings
from results.pooled import PooledRun
from results.report import charts
from results.report.figure import INTERVAL, Figure
from results.report.page import Section
from results.report.words import Text, term
from results.run import Run, RunError
from results.table import short_names, value_text

STEPS: Final = 8
"""Parts that an axis of many values is shown in."""

VALUES_APART: Final = 12
"""Values of an axis that are shown each by itself."""

SETTINGS_COMPARED: Final = 40

POINTS_OF_DENSITIES: Final = 2_000
"""Points beyond which densities take longer than a reader waits."""

CHOSEN_BY: Final = ("share_a_year", "survived", "cross_subsidy")
"""Outcomes that rules are chosen by."""

DEAR: Final = 0.75
"""Where nothing fails, the worlds are looked for in which the share is in the dearest quarter."""

Labels = Mapping[int, str]


def means_of(found: pa.Table, points: Sequence[int]) -> dict[str, list[float | None]]:
    """Return the means of each outcome at some points, without outcomes that do not differ.

    Parameters
    ----------
    found : pyarrow.Table
        What `results.analysis.outcomes.estimates` returned.
    points : sequence of int
        The points.
    """
    by_outcome: dict[str, dict[int, float]] = {name: {} for name in OUTCOMES}
    for row in found.select(["point", "outcome", "mean"]).to_pylist():
        if row["outcome"] in by_outcome:
            by_outcome[row["outcome"]][row["point"]] = row["mean"]
    means = {name: [there.get(point) for point in points] for name, there in by_outcome.items()}
    return {name: values for name, values in means.items() if len({*values} - {None}) > 1}


def plane(run: Run, labels: Labels, found: pa.Table) -> Iterator[Figure]:
    """Yield the heat map over two axes, where a sweep has two."""
    known = settings(run)
    # what a policy or a world sets moves with its name, which is an axis itself
    own = {*run.manifest.config.get("sweep", {}).get("axes", {}), "policy", "world"}
    axes = [axis for axis in known.axes if len(axis.values) > 1 and axis.name in own]
    if len(axes) < 2:
        return
    points = list(labels)
    names = short_names([axis.name for axis in axes])
    columns: dict[str, Any] = {"point": points}
    for number, axis in enumerate(axes):
        words, ranks = _in_steps(axis, [known.at(point)[axis.name] for point in points])
        columns |= {f"a{number}": words, f"a{number}_rank": ranks}
    means = means_of(found, points)
    columns |= means
    fields = {f"a{number}": names[axis.name] for number, axis in enumerate(axes)}
    yield Figure(
        "plane",
        Text("Any outcome over two axes", "任一指标在两轴上的分布"),
        Text(
            "Mean of the settings that fall into a field; choose the outcome and both axes. What "
            "else was swept is averaged over.",
            "落入每格的参数组合的均值；可选择指标与两轴，其余扫描参数取平均。",
        ),
        pa.table(columns),
        lambda language: charts.plane(language, fields, list(means)),
    )


def _in_steps(axis: Axis, values: Sequence[Any]) -> tuple[list[str], list[int]]:
    """Return the values of an axis in words, and their order; many numbers in steps of equal size.

    Steps hold about as many points each.
    """
    if not axis.is_number or len(axis.values) <= VALUES_APART:
        order = {value: rank for rank, value in enumerate(axis.values)}
        return [value_text(value) for value in values], [order[value] for value in values]
    numbers = np.array([np.nan if value is None else value for value in values], np.float64)
    edges = np.nanquantile(numbers, np.linspace(0, 1, STEPS + 1))
    ranks = np.clip(np.searchsorted(edges, numbers, "right") - 1, 0, STEPS - 1)
    words = [f"{value_text(float(f'{edges[i]:.3g}'))} …" for i in range(STEPS)]
    ranks = np.where(np.isnan(numbers), STEPS, ranks)
    return [[*words, "–"][rank] for rank in ranks], [int(rank) for rank in ranks]


def compared(run: Run, against: Run | None, labels: Labels) -> Iterator[Section]:
    """Yield settings compared: policies in the same world, points with the first, or two runs.

    Parameters
    ----------
    run : Run
        The run.
    against : Run, optional
        Another run, whose points of the same number are compared with.
    labels : mapping of int to str
        The run's finished points, and their settings in words.

    Raises
    ------
    RunError
        The other run has none of the points, or a file is damaged.
    """
    base, pairs = _pairs(run, against, labels)
    if not pairs:
        return
    rows = compare_all(pairs).to_pylist()
    for row in rows:
        row["setting"] = labels[pairs[row["pair"]][1].point] or run.folder.name
    yield Section(
        "compared",
        Text("Compared", "对比"),
        [_how(base, all(row["paired"] for row in rows), rows)],
        [_differences(rows, base)],
    )


def _pairs(run: Run, against: Run | None, labels: Labels) -> tuple[str, list[tuple[Side, Side]]]:
    """Return what settings are compared with, in words, and the pairs."""
    if against is not None:
        there = set(against.arrow("paths", ["point"])["point"].to_pylist())
        common = _some([point for point in labels if point in there])
        if not common:
            raise RunError(f"{against.folder}: it has none of the points of {run.folder}")
        return against.folder.name, [(Side(against, p), Side(run, p)) for p in common]
    policies = list(run.manifest.config.get("sweep", {}).get("policies", {}))
    if len(policies) < 2:
        first, *others = labels
        return labels[first], [(Side(run, first), Side(run, point)) for point in _some(others)]
    each = run.manifest.points // len(policies)
    others = _some([p for p in labels if p >= each and p % each in labels])
    return f"policy {policies[0]}", [(Side(run, p % each), Side(run, p)) for p in others]


def _some(points: Sequence[int]) -> list[int]:
    """Return the points, or as many of them, evenly between, as a figure has room for."""
    step = -(-len(points) // SETTINGS_COMPARED) or 1
    return list(points[::step])


def _how(base: str, paired: bool, rows: Sequence[Mapping[str, Any]]) -> Text:
    """Return how settings were compared, and what common random numbers saved."""
    if not paired:
        return Text(
            f"Differences from {base}; the seeds differ, so that luck is part of them: intervals "
            "are those of independent samples (Welch).",
            f"相对 {base} 的差值；随机种子不同，差值含运气成分，区间按独立样本（Welch）计算。",
        )
    ratios = [row["variance_ratio"] for row in rows if row["variance_ratio"]]
    saved = float(np.median(ratios)) if ratios else 1.0
    return Text(
        f"Differences from {base}, path by path: both saw the same draws, so that luck falls out. "
        f"An unpaired comparison would need {saved:.3g} times the paths for intervals as narrow "
        "(median over what is compared).",
        f"相对 {base} 的逐路径差值：双方使用相同随机数，运气相互抵消。若不配对，达到同样精度需要 "
        f"{saved:.3g} 倍路径（中位数）。",
    )


def _differences(rows: Sequence[Mapping[str, Any]], base: str) -> Figure:
    """Return the differences as a figure."""
    moved = [row for row in rows if row["difference"] is not None]
    outcomes = [
        name for name in OUTCOMES if any(r["difference"] for r in moved if r["outcome"] == name)
    ]
    shown = [row for row in moved if row["outcome"] in outcomes]
    return Figure(
        "differences",
        Text(f"Difference from {base}", f"与 {base} 的差值"),
        Text(
            "Dot: mean difference; line: its 95 % interval. An interval off the dashed line is a "
            "difference that luck alone would show once in twenty times.",
            "点为平均差值，线为 95% 区间；区间不跨虚线表示差异显著（5% 水平）。",
        ),
        pa.Table.from_pylist(shown) if shown else pa.table({}),
        lambda language: charts.differences(language, outcomes or ["share_a_year"]),
    )


def section(run: Run, labels: Labels, found: pa.Table) -> Section:
    """Return the section of a sweep: outcomes over its axes, what moves them, what to choose.

    Parameters
    ----------
    run : Run
        The run.
    labels : mapping of int to str
        Its finished points, and their settings in words.
    found : pyarrow.Table
        What `results.analysis.outcomes.estimates` returned.
    """
    by_draw, every = run, found
    if isinstance(run, PooledRun):  # what is drawn moves outcomes as axes do
        by_draw, every = run.original, estimates(run.original)
    there = every["point"].unique().to_pylist()
    outcomes = list(means_of(every, there))
    parts = [
        *plane(run, labels, found),
        *tornado(by_draw, outcomes),
        *_indices_of_design(run, by_draw, outcomes, len(there)),
        *best(run, labels),
        *failing(by_draw, every),
    ]
    return Section("sweep", Text("Across the sweep", "参数扫描"), [], parts)


def _indices_of_design(
    run: Run, by_draw: Run, outcomes: Sequence[str], points: int
) -> Iterator[Figure]:
    """Yield the indices that a sweep's design is made for, or what any sample tells."""
    design = swept(run).design
    if design == "saltelli":
        yield from sobol_indices(run, outcomes)
    elif design == "morris":
        yield from elementary_effects(run, outcomes)
    elif sensitivity.MIN_POINTS <= points <= POINTS_OF_DENSITIES:
        yield from deltas(by_draw, outcomes)


def _gathered(
    run: Run, outcomes: Sequence[str], ask: Callable[[Run, str], pa.Table]
) -> list[dict[str, Any]]:
    """Return the rows that an analysis has of each outcome; those it cannot be made of left out."""
    rows = []
    for outcome in outcomes:
        try:
            rows += [{"outcome": outcome, **row} for row in ask(run, outcome).to_pylist()]
        except RunError:
            continue
    names = short_names({row["axis"] for row in rows})
    return [{**row, "axis": names[row["axis"]]} for row in rows]


def tornado(run: Run, outcomes: Sequence[str]) -> Iterator[Figure]:
    """Yield the tornado, where an axis has two ends."""
    rows = [
        {
            "outcome": row["outcome"],
            "axis": row["axis"],
            "end": f"{end}_end",
            "at": row[end],
            "mean": row[f"mean_{end}"],
            **_bounds(row[f"mean_{end}"], row[f"standard_error_{end}"]),
            "least": min(row["mean_low"], row["mean_high"]),
            "most": max(row["mean_low"], row["mean_high"]),
            "swing": abs(row["swing"]),
        }
        for row in _gathered(run, outcomes, sensitivity.tornado)
        for end in ("low", "high")
    ]
    if rows:
        there = _in_order(rows, outcomes)
        yield Figure(
            "tornado",
            Text("What moves an outcome", "哪个参数影响最大"),
            Text(
                "Mean at the low and at the high end of each axis, all else averaged, with its "
                "95 % interval; of a range, an end is its lowest or highest fifth. The widest "
                "first.",
                "各轴取低端与高端时的均值（其余取平均）及 95% 区间；连续区间取最低与最高五分之一。"
                "按幅度排序。",
            ),
            pa.Table.from_pylist(rows),
            lambda language: charts.tornado(language, there),
        )


def _bounds(mean: float, error: float | None) -> dict[str, float | None]:
    """Return the standard error of a mean, and the ends of its interval of 95 %, if it has one."""
    if error is None:
        return {"standard_error": None, "low": None, "high": None}
    away = INTERVAL * error
    return {"standard_error": error, "low": mean - away, "high": mean + away}


def _in_order(rows: Sequence[Mapping[str, Any]], outcomes: Sequence[str]) -> list[str]:
    """Return the outcomes that there are rows of, in order."""
    there = {row["outcome"] for row in rows}
    return [outcome for outcome in outcomes if outcome in there]


def sobol_indices(run: Run, outcomes: Sequence[str]) -> Iterator[Figure]:
    """Yield Sobol indices, of the design that they are made for."""
    found = _gathered(run, outcomes, sensitivity.sobol)
    rows = [
        _index(row, kind, row[name], row[f"{name}_margin"])
        for row in found
        for kind, name in (("first_order", "s1"), ("total", "st"))
    ]
    noises = [row["noise"] for row in found if row["noise"] is not None]
    noise = max(noises, default=0.0)
    yield from _indices(
        "sobol",
        Text("Sobol indices", "Sobol 敏感性指数"),
        Text(
            "Part of an outcome's variance over the sweep that an axis explains alone, and with "
            "its interactions, with 95 % intervals. The Monte-Carlo variance of a point's mean is "
            f"at most {noise:.2g} of the variance over the sweep; common draws let most of it fall "
            "out, without them it counts as interaction.",
            "各轴单独及含交互作用所解释的方差占比及 95% 区间。路径噪声方差至多为扫描方差的 "
            f"{noise:.2g} 倍；使用共同随机数时大部分相互抵消，否则会计入交互作用。",
        ),
        rows,
        outcomes,
        ("first_order", "total"),
        term("index"),
    )


def elementary_effects(run: Run, outcomes: Sequence[str]) -> Iterator[Figure]:
    """Yield the elementary effects of Morris, of the design that they are made for."""
    rows = [
        _index(row, "effect", row["mu_star"], row["mu_star_margin"]) | {"sigma": row["sigma"]}
        for row in _gathered(run, outcomes, sensitivity.morris)
    ]
    yield from _indices(
        "morris",
        Text("Elementary effects (Morris)", "Morris 基本效应"),
        Text(
            "Mean absolute effect of an axis over its whole range, in the outcome's unit, with "
            "its 95 % interval.",
            "各轴在整个取值范围内的平均绝对效应（以指标单位计）及 95% 区间。",
        ),
        rows,
        outcomes,
        ("effect",),
        term("effect"),
    )


def deltas(run: Run, outcomes: Sequence[str]) -> Iterator[Figure]:
    """Yield Borgonovo's delta, where there are points enough."""
    rows = [
        _index(row, "delta", row["delta"], row["margin"])
        for row in _gathered(run, outcomes, sensitivity.delta)
    ]
    yield from _indices(
        "delta",
        Text("Influence on the whole distribution", "对整体分布的影响（delta）"),
        Text(
            "Borgonovo's delta: how far knowing an axis moves the distribution of an outcome over "
            "the points, 0 to 1, with its 95 % interval.",
            "Borgonovo delta：已知某轴取值时结果分布的平均移动，0 到 1，附 95% 区间。",
        ),
        rows,
        outcomes,
        ("delta",),
        Text("delta", "delta"),
    )


def _index(row: Mapping[str, Any], kind: str, index: float, margin: float) -> dict[str, Any]:
    """Return a row of a figure of indices."""
    ends = {"low": index - margin, "high": index + margin}
    return {"outcome": row["outcome"], "axis": row["axis"], "kind": kind, "index": index, **ends}


def _indices(
    name: str,
    title: Text,
    reading: Text,
    rows: Sequence[Mapping[str, Any]],
    outcomes: Sequence[str],
    kinds: Sequence[str],
    axis: Text,
) -> Iterator[Figure]:
    """Yield a figure of indices, where there are any."""
    if rows:
        there = _in_order(rows, outcomes)
        yield Figure(
            name,
            title,
            reading,
            pa.Table.from_pylist(list(rows)),
            lambda language: charts.indices(language, kinds, there, axis.of(language)),
        )


def best(run: Run, labels: Labels) -> Iterator[Figure]:
    """Yield the points that no other beats in share, survival and fairness."""
    try:
        found = pareto(run, CHOSEN_BY)
    except RunError:
        return
    if found.num_rows < 2:
        return
    names = pa.array([labels[point] for point in found["point"].to_pylist()], pa.string())
    yield Figure(
        "pareto",
        Text("Which rules to choose among", "可选规则（帕累托前沿）"),
        Text(
            "Each point by what members pay, how likely the pool survives, and how much money "
            "moves between groups; ringed: no other point is better in one and no worse in the "
            "others. `probability`: how often it is so when paths are drawn again.",
            "各参数点按成员支付、存续概率与群体间补贴排列；圈出者不被任何其他点全面超越。"
            "probability 为重抽路径后仍在前沿的频率。",
        ),
        found.append_column("setting", names),
        lambda language: charts.front(language, CHOSEN_BY),
    )


def failing(run: Run, found: pa.Table) -> Iterator[Figure]:
    """Yield the boxes of settings under which the pool fails, or is dear."""
    discovery = _discovered(run, found)
    if discovery is None or not discovery.boxes:
        return
    ranges = {factor.name: factor for factor in factors(run).factors}
    names = short_names(ranges)
    rows = [
        {
            "box": f"{number}: {names[axis]}",
            "axis": names[axis],
            "limits": _limits(box.limits[axis]),
            **_part_of_range(ranges[axis], box.limits[axis]),
            "coverage": box.coverage,
            "density": box.density,
            "quasi_p": box.quasi_p[axis],
        }
        for number, box in enumerate(discovery.boxes, 1)
        for axis in box.limits
    ]
    yield Figure("worlds", *_told(discovery), pa.Table.from_pylist(rows), charts.boxes)


def _discovered(run: Run, found: pa.Table) -> Discovery | None:
    """Return the boxes of the first question that has an answer: closed, unpaid, or dear."""
    shares = [row["mean"] for row in found.to_pylist() if row["outcome"] == "share_a_year"]
    dear = float(np.quantile(shares, DEAR)) if shares else None
    for outcome, threshold in (("survived", None), ("all_paid", None), ("share_a_year", dear)):
        try:
            return discover(run, outcome, threshold)
        except RunError:
            continue
    return None


def _told(discovery: Discovery) -> tuple[Text, Text]:
    """Return title and reading of the boxes."""
    side = Text("above", "高于") if discovery.above else Text("below", "低于")
    words, limit = term(discovery.outcome), f"{discovery.threshold:.3g}"
    boxes = "; ".join(
        f"{number}: {box.coverage:.0%} / {box.density:.0%}"
        for number, box in enumerate(discovery.boxes, 1)
    )
    return (
        Text(
            f"In which worlds it fails: {words.en} {side.en} {limit}",
            f"在哪些情形下失败：{words.zh}{side.zh} {limit}",
        ),
        Text(
            f"{discovery.of_interest} of {discovery.points} points are so. A bar is the part of an "
            "axis's range that a box keeps (PRIM); part of these points in the box / part of the "
            f"box's points that are so: {boxes}.",
            f"{discovery.points} 个参数点中有 {discovery.of_interest} 个如此。横条为各框（PRIM）"
            f"保留的取值范围；覆盖率／密度：{boxes}。",
        ),
    )


def _limits(limits: Limits) -> str:
    """Return the limits of a box on an axis in words."""
    if all(isinstance(limit, str) for limit in limits):
        return ", ".join(map(str, limits))
    low, high = limits
    return f"{value_text(float(f'{low:.3g}'))} – {value_text(float(f'{high:.3g}'))}"


def _part_of_range(factor: Factor, limits: Limits) -> dict[str, float]:
    """Return the part of an axis's range that is within limits."""
    inside = [
        share
        for value, share in zip(factor.values, factor.shares.tolist(), strict=True)
        if value is not None and _is_within(value, limits)
    ]
    return {"from": min(inside, default=0.0), "to": max(inside, default=0.0)}


def _is_within(value: Any, limits: Limits) -> bool:
    """Return whether a value is within limits."""
    if isinstance(limits[0], str):
        return str(value) in limits
    return bool(limits[0] <= value <= limits[1])
