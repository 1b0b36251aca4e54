"""What a report holds, section by section: what a run has to show decides which figures there are.

A sweep of many points shows a choice of them over time, the outcomes of all of them in a table and
over its axes.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import pyarrow as pa

from configs.plausibility import warnings_of
from configs.sweep import Config
from results.analysis.outcomes import (
    OUTCOMES,
    RARE,
    SHOWN,
    SPLIT,
    estimates,
    mean_with,
    part_with,
)
from results.analysis.survival import OPEN, survival
from results.brief import told_points
from results.places import Folder
from results.pooled import PooledRun, pooled
from results.report import course, sweep
from results.report.figure import Figure
from results.report.page import Heading, Report, Rows, Section
from results.report.story import labels_of, state, story
from results.report.words import Text, term
from results.run import Run, RunError
from results.store import CONFIG_NAME
from results.table import short_names

POINTS_OVER_TIME: Final = 24
LEAST_OVER_TIME: Final = 6
"""Points that can be chosen in the figures over time: of one plan, and of many at least."""

LEFT: Final = ("uncovered_members", "unfunded_benefits")
"""What a closure leaves behind."""

_UNITS: Final = (Text("members", "名"), Text("yuan", "元"))

SIDE_BY_SIDE: Final = 6
"""Points that are shown side by side."""


def report(run: Run, against: Run | None = None) -> Report:
    """Return the report of a run.

    Parameters
    ----------
    run : Run
        The run, finished or not.
    against : Run, optional
        A run that it is compared with, point by point.

    Raises
    ------
    RunError
        No path is finished yet, or a file is damaged.
    """
    if not run.rows("paths"):
        raise RunError(
            f"{run.folder}: nothing to report, no path is finished; run the configuration again"
        )
    whole = pooled(run)
    found = estimates(whole, (*OUTCOMES, *SPLIT))
    rows = told_points(whole.arrow("points").to_pylist(), whole.manifest.config.get("sweep", {}))
    finished = set(found["point"].to_pylist())
    labels = labels_of([row for row in rows if row["point"] in finished])
    shown = _shown(whole, rows, labels)
    several = len(labels) > 1 or whole is not run
    name = run.manifest.scenario_title
    return Report(
        Text(name, name),
        [*state(run), *_doubts(run)],
        [
            Section("what", Text("What was run", "运行内容"), story(run)),
            _at_a_glance(rows, labels, found, whole),
            _over_time(whole, shown),
            _people(whole, shown),
            _ends(whole, shown),
            *([sweep.section(whole, labels, found)] if several else []),
            *sweep.compared(whole, None if against is None else pooled(against), labels),
            _trust(run, found, labels),
        ],
    )


def _doubts(run: Run) -> list[Text]:
    """Return the warnings of the run's configuration, as `huzhu run` wrote them."""
    warnings = warnings_of(Config.model_validate(run.manifest.config))
    return [Text(f"Warning: {text}", f"警告：{text}") for text in warnings]


def _shown(
    run: Run, rows: Sequence[Mapping[str, Any]], labels: Mapping[int, str]
) -> dict[int, str]:
    """Return the points whose course is shown, and their names."""
    there = [row["point"] for row in rows if row["point"] in labels]
    most = max(LEAST_OVER_TIME, POINTS_OVER_TIME // len(run.shapes.plans))
    last, count = len(there) - 1, min(len(there), most)
    chosen = [there[round(place * last / max(1, count - 1))] for place in range(count)]
    return {point: labels[point] for point in chosen}


def _at_a_glance(
    rows: Sequence[Mapping[str, Any]], labels: Mapping[int, str], found: pa.Table, run: Run
) -> Section:
    """Return what every point came to, with its Monte-Carlo error."""
    means = Text(
        "Means over the paths of a setting, each ± its standard error: how much another run with "
        "other random numbers would change it.",
        "各参数组合的路径均值 ± 标准误（即更换随机数时数值的波动幅度）。",
    )
    if isinstance(run, PooledRun):
        means = Text(
            f"Means over the {run.draws:,} draws of {run.sample} and their paths, each ± its "
            "standard error: how much as many other draws and paths would change it.",
            f"样本 {run.sample} 的 {run.draws:,} 次抽取及其路径的均值 ± 标准误"
            "（即换用同样多的其他抽取与路径时数值的波动幅度）。",
        )
    return Section(
        "outcomes",
        Text("What came out", "结果一览"),
        [means],
        [_outcomes_table(rows, labels, found)],
    )


def _outcomes_table(
    rows: Sequence[Mapping[str, Any]], labels: Mapping[int, str], found: pa.Table
) -> Rows:
    """Return the table of points with their outcomes."""
    there = [row for row in rows if row["point"] in labels]
    swept = [name for name in there[0] if name != "point"]
    names = short_names(swept)
    data: dict[str, list[Any]] = {"point": [row["point"] for row in there]}
    headings = [Heading("point", term("point"))]
    for path in swept:
        values = [row[path] for row in there]
        is_number = all(
            isinstance(value, (int, float)) and not isinstance(value, bool) for value in values
        )
        data[path] = (
            values if is_number else ["–" if value is None else str(value) for value in values]
        )
        headings.append(Heading(path, Text(names[path], names[path]), number=is_number))
    for outcome in SHOWN:
        means, errors = _column(found, outcome, data["point"])
        if any(mean for mean in means):
            data |= {outcome: means, f"{outcome}_standard_error": errors}
            headings.append(Heading(outcome, term(outcome), f"{outcome}_standard_error"))
    return Rows(
        "outcomes",
        Text("Points and their outcomes", "各参数点的结果"),
        Text(
            "A click on a heading sorts by it; outcomes that are 0 everywhere are left out. What "
            "only some paths have is given as the part of the paths that have any, and as the mean "
            "over these.",
            "点击表头可排序；各点均为零的指标不列出。只在部分路径上出现的指标分为两列："
            "出现该情形的路径占比，以及这些路径的均值。",
        ),
        headings,
        data,
    )


def _column(
    found: pa.Table, outcome: str, points: Sequence[int]
) -> tuple[list[float | None], list[float | None]]:
    """Return means and standard errors of an outcome at some points."""
    rows = {row["point"]: row for row in found.to_pylist() if row["outcome"] == outcome}
    means = [rows[point]["mean"] if point in rows else None for point in points]
    errors = [rows[point]["standard_error"] if point in rows else None for point in points]
    return means, errors


def _over_time(run: Run, shown: Mapping[int, str]) -> Section:
    """Return how it went over time."""
    parts: list[Figure] = [course.over_time(run, shown)]
    if len(shown) > 1:
        few = _side_by_side(run, shown)
        parts.append(course.multiples(run, few))
    parts.extend(course.leaving(run, shown))
    return Section("time", Text("Over time", "随时间的变化"), _note(run, shown), parts)


def _side_by_side(run: Run, shown: Mapping[int, str]) -> dict[int, str]:
    """Return the points that are shown side by side: one a policy, or some that span the sweep."""
    policies = run.manifest.config.get("sweep", {}).get("policies", {})
    if len(policies) > 1:
        each = run.manifest.points // len(policies)
        firsts = {place * each: name for place, name in enumerate(policies)}
        found = {point: name for point, name in firsts.items() if point in shown}
        if len(found) > 1:
            return found
    return dict(list(shown.items())[:: max(1, math.ceil(len(shown) / SIDE_BY_SIDE))])


def _note(run: Run, shown: Mapping[int, str]) -> list[Text]:
    """Return which points are shown, where not all are."""
    if len(shown) == run.manifest.points:
        return []
    return [
        Text(
            f"{len(shown)} of {run.manifest.points:,} points can be chosen here, spanning the axes "
            "of the sweep; the table above has all.",
            f"此处可选择 {run.manifest.points:,} 个参数点中的 {len(shown)} 个（覆盖扫描范围）；"
            "上表含全部参数点。",
        )
    ]


def _people(run: Run, shown: Mapping[int, str]) -> Section:
    """Return the money and who pays for whom."""
    parts = [course.bills(run, shown), course.cash(run, shown), course.who_pays(run, shown)]
    return Section("money", Text("Whose money, for whom", "资金与补贴"), [], parts)


def _ends(run: Run, shown: Mapping[int, str]) -> Section:
    """Return how long pools live, and who is left when they close."""
    parts = [course.endings(run, shown), *course.left_uncovered(run, shown)]
    return Section("end", Text("How it ends", "如何终止"), list(_left(run, shown)), parts)


def _left(run: Run, shown: Mapping[int, str]) -> Iterator[Text]:
    """Yield what closures leave behind at the first point shown, in words."""
    point, name = next(iter(shown.items()))
    closed, low, high = _closed(run, point)
    names = (*LEFT, *SPLIT)
    rows = {
        row["outcome"]: row for row in estimates(run, names).to_pylist() if row["point"] == point
    }
    paths = rows[LEFT[0]]["paths"]
    left, unpaid = (
        _if_any(rows, outcome, unit) for outcome, unit in zip(LEFT, _UNITS, strict=True)
    )
    setting = Text(f"{name}: ", f"{name}：") if name else Text("", "")
    pools = run.shapes.at(point).pools
    what = Text("the pool closes" if name else "The pool closes", "关闭")
    if len(pools) > 1:
        article = "the" if name else "The"
        last = f"{article} last of {len(pools)} pools closes"
        what = Text(last, f"{len(pools)} 个互助池全部关闭")
    yield Text(
        f"{setting.en}{what.en} on {closed:.1%} of {paths} paths (95 % interval {low:.1%} "
        f"to {high:.1%}). Closures leave members without cover {left.en}. Benefits stay unpaid "
        f"{unpaid.en}.",
        f"{setting.zh}{paths} 条路径中 {closed:.1%} {what.zh}"
        f"（95% 区间 {low:.1%}–{high:.1%}）。因关闭而有成员失去保障：{left.zh}。"
        f"互助金未兑付：{unpaid.zh}。",
    )


def _if_any(rows: Mapping[str, Mapping[str, Any]], outcome: str, unit: Text) -> Text:
    """Return on which part of the paths there is any of a rare outcome, and the mean over these."""
    part, those = rows[part_with(outcome)], rows.get(mean_with(outcome))
    if those is None:
        return Text("on none of the paths", "无此情形")
    share, error = part["mean"], part["standard_error"]
    around = "" if error is None else f" ± {100 * error:.1f}"
    amount = f"{those['mean']:,.0f}{_margin(those)}"
    return Text(
        f"on {100 * share:.1f}{around} % of the paths: {amount} {unit.en} on average over these, "
        f"at most {those['q95']:,.0f} on 95 % of these",
        f"占 {100 * share:.1f}{around} % 的路径，这些路径平均 {amount} {unit.zh}"
        f"（其中 95% 不超过 {those['q95']:,.0f}）",
    )


def _closed(run: Run, point: int) -> tuple[float, float, float]:
    """Return the part of a point's paths that closes by the end, and its interval of 95 %."""
    last = [row for row in survival(run, [point]).to_pylist() if row["state"] == OPEN][-1]
    return 1 - last["part"], 1 - last["high"], 1 - last["low"]


def _margin(row: Mapping[str, Any]) -> str:
    """Return a standard error as it stands behind a figure; nothing where there is none."""
    error = row["standard_error"]
    if error is None:
        return ""
    decimals = max(0, 2 - math.floor(math.log10(error))) if error else 0
    return f" ± {error:,.{decimals}f}"


def _trust(run: Run, found: pa.Table, labels: Mapping[int, str]) -> Section:
    """Return how sure the figures are, and how to make them again."""
    manifest = run.manifest
    versions = ", ".join(f"{name} {version}" for name, version in manifest.versions.items())
    again = f"huzhu run {_typed(run.folder / CONFIG_NAME)}"
    return Section(
        "trust",
        Text("How sure, and how made", "可信度与复现"),
        [
            Text(
                "The errors say how far random numbers move a figure. They do not say that the "
                "model is right: parameters set by hand move results by more than paths do.",
                "误差只反映随机数的影响，不代表模型本身正确：人为设定的参数对结果的影响往往更大。",
            ),
            Text(
                f"Digest {manifest.digest[:12]}, seed {manifest.seed}, started {manifest.started}; "
                f"{versions}. The same again, bit for bit: {again}.",
                f"摘要 {manifest.digest[:12]}，种子 {manifest.seed}，开始于 {manifest.started}；"
                f"{versions}。逐位复现：{again}。",
            ),
        ],
        # how sure a mean over draws is depends on their number as well as on that of the paths
        [] if pooled(run) is not run else [_needed(found, labels)],
    )


def _typed(file: Folder) -> str:
    """Return a file as one types it in a shell, in the words in which the run was opened."""
    typed = str(file)
    return shlex.quote(f"./{typed}" if typed.startswith("-") else typed)


def _needed(found: pa.Table, labels: Mapping[int, str]) -> Rows:
    """Return how many paths each outcome of the first point would need for ± 1 %."""
    point = next(iter(labels))
    # a mean over some of the paths would need a number of these, not of all
    precise = [name for name in SHOWN if name not in map(mean_with, RARE)]
    rows = [
        row
        for row in found.to_pylist()
        if row["point"] == point
        and row["mean"]
        and row["sd"] is not None
        and row["outcome"] in precise
    ]
    data = {
        "outcome": [term(row["outcome"]) for row in rows],
        "mean": [row["mean"] for row in rows],
        "standard_error": [row["standard_error"] for row in rows],
        "relative": [abs(row["standard_error"] / row["mean"]) * 100 for row in rows],
        "needed": [math.ceil((1.96 * row["sd"] / (0.01 * row["mean"])) ** 2) for row in rows],
    }
    name = labels[point]
    return Rows(
        "precision",
        Text("Paths needed for ± 1 %", "达到 ±1% 所需路径数"),
        Text(
            f"{name + ': ' if name else ''}standard error in per cent of the mean, and the paths "
            "after which the 95 % interval is one per cent of the mean on each side.",
            f"{name + '：' if name else ''}标准误占均值的百分比，以及使 95% 区间收窄至均值 ±1% "
            "所需的路径数。",
        ),
        [
            Heading("outcome", term("outcome"), number=False),
            Heading("mean", term("mean"), "standard_error"),
            Heading("relative", Text("error, % of the mean", "误差（占均值 %）")),
            Heading("needed", term("paths")),
        ],
        data,
    )
