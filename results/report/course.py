"""The figures of how it went: share, membership and claims over time, who left, how pools ended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from results.analysis.bands import bands, of_main_plans
from results.analysis.leaving import lapses, uncovered
from results.analysis.money import members_money, money
from results.analysis.subsidy import subsidy
from results.analysis.survival import OPEN, survival
from results.report import charts
from results.report.figure import INTERVAL, Figure
from results.report.words import Text
from results.run import Run

Points = Mapping[int, str]
"""Points and their settings in words."""

Choices = Mapping[str, Mapping[Any, str]]
"""What can be chosen: columns of a figure's data, and the values of each with their words."""

OVER_TIME: Final = ("share", "cases", "members")
MARKET: Final = "all"
"""Stands for all the pools of a market together."""

IN_MULTIPLES: Final = ("share", "members")


def over_time(run: Run, points: Points) -> Figure:
    """Return share, cases and members over time with their bands, of points and plans to choose."""
    found = with_years(run, bands(run, OVER_TIME, list(points)))
    found, choices = _with_choices(run, points, found)
    return Figure(
        "over_time",
        Text("Share, claims and members over time", "分摊、互助案例数与成员数"),
        Text(
            "Line: median over the paths; dark band: middle half; light band: 5–95 %. The share is "
            "over the paths whose pool is open: it ends with the closure, as nobody is covered "
            "while a pool winds down. Claims and members are over all paths, where a pool that has "
            "ended counts as 0. Drag over the lowest strip to choose the years; point at a year "
            "for its figures.",
            "线为各路径中位数，深色带为中间 50%，浅色带为 5–95%。分摊仅计互助池尚未关闭的路径"
            "（清算期内无人受保障，不计入）；互助案例数与成员数计入全部路径（已终止的互助池计为零）。"
            "在最下方拖动可选择年份，指向某年可查看数值。",
        ),
        found,
        lambda language: charts.fans(language, OVER_TIME, choices),
    )


def _with_choices(run: Run, points: Points, found: pa.Table) -> tuple[pa.Table, Choices]:
    """Return the data with what can be chosen of them: points and plans.

    They are chosen apart where all points have the same plans, otherwise together, by a column of
    their own.
    """
    if run.shapes.have_same_plans:
        return found, {"plan": {plan: plan for plan in run.shapes.plans}, "point": points}
    words = {
        f"{point} {plan}": " · ".join(filter(None, (name, plan)))
        for point, name in points.items()
        for plan in run.shapes.at(point).plans
    }
    keys = zip(found["point"].to_pylist(), found["plan"].to_pylist(), strict=True)
    course = pa.array([f"{point} {plan}" for point, plan in keys], pa.string())
    return found.append_column("course", course), {"course": words}


def with_years(run: Run, table: pa.Table) -> pa.Table:
    """Return a table with the end of each row's period in years since the start."""
    periods = pc.add(table["period"].cast(pa.float64()), 1.0)
    a_year = {
        point: float(run.shapes.at(point).periods_per_year)
        for point in table["point"].unique().to_pylist()
    }
    years = pa.array([a_year[point] for point in table["point"].to_pylist()], pa.float64())
    return table.append_column("year", pc.divide(periods, years))


def multiples(run: Run, points: Points) -> Figure:
    """Return small multiples of share and members by setting."""
    found = with_years(run, of_main_plans(run, bands(run, IN_MULTIPLES, list(points))))
    names = pa.array([points[point] for point in found["point"].to_pylist()], pa.string())
    return Figure(
        "side_by_side",
        Text("Settings side by side", "各参数组合对比"),
        Text(
            "Each setting's first plan, on common scales: line the median, bands the middle half "
            "and 5–95 % of the paths.",
            "各参数组合的首个计划，同一坐标：线为中位数，带为中间 50% 与 5–95%。",
        ),
        found.append_column("setting", names),
        lambda language: charts.multiples(language, IN_MULTIPLES, list(points.values())),
    )


def leaving(run: Run, points: Points) -> Iterator[Figure]:
    """Yield who left by cause, unless nobody did."""
    found = lapses(run, list(points))
    if not found.num_rows:
        return
    ranked = dict(zip(found["rank"].to_pylist(), found["cause"].to_pylist(), strict=True))
    causes = [ranked[rank] for rank in sorted(ranked)]
    yield Figure(
        "lapses",
        Text("Who left, and why", "退出人数与原因"),
        Text(
            "Members who leave in a period by cause, mean over all paths; a click in the legend "
            "brings one cause forward.",
            "每期按原因退出的成员数（全部路径均值）；点击图例可突出某一原因。",
        ),
        with_years(run, found),
        lambda language: charts.lapses(language, causes, points),
    )


def bills(run: Run, points: Points) -> Figure:
    """Return what was shared among the members, and who paid it."""
    return _book(
        "bills",
        Text("What is shared, and who pays it", "分摊了什么，由谁支付"),
        Text(
            "The members' book over the whole life of a path, mean over paths with its 95 % "
            "interval: benefits, fee and custody on one side, on the other what members paid, what "
            "the platform bore, and what is not collected or billed yet.",
            "成员账：每条路径全程合计（元），路径均值及 95% 区间。一侧为互助金、管理费与托管费，"
            "另一侧为成员支付、平台承担以及尚未收取或出账的部分。",
        ),
        members_money(run, list(points)),
        points,
    )


def cash(run: Run, points: Points) -> Figure:
    """Return the sources and uses of the platform's cash."""
    return _book(
        "money",
        Text("Money by source and use", "资金来源与去向"),
        Text(
            "The platform's cash book over the whole life of a path, mean over paths with its 95 % "
            "interval. What comes in is what goes out or is left, on every path.",
            "平台现金账：每条路径全程合计（元），路径均值及 95% 区间。每条路径收支（含结余）相等。",
        ),
        money(run, list(points)),
        points,
    )


def _book(name: str, title: Text, reading: Text, found: pa.Table, points: Points) -> Figure:
    """Return the two sides of a book."""
    names = list(dict.fromkeys(found["name"].to_pylist()))
    data = _with_bounds(found)
    return Figure(
        name, title, reading, data, lambda language: charts.money(language, names, points)
    )


def _with_bounds(table: pa.Table) -> pa.Table:
    """Return a table of means with the ends of their intervals, missing where there is no error."""
    away = pc.multiply(table["standard_error"], INTERVAL)
    table = table.append_column("low", pc.subtract(table["mean"], away))
    return table.append_column("high", pc.add(table["mean"], away))


def _with_ages(table: pa.Table) -> pa.Table:
    """Return a table with its age bands in words."""
    bounds = zip(table["from_age"].to_pylist(), table["to_age"].to_pylist(), strict=True)
    words = [f"{low}" if low == high else f"{low}–{high}" for low, high in bounds]
    return table.append_column("ages", pa.array(words, pa.string()))


def who_pays(run: Run, points: Points) -> Figure:
    """Return who subsidises whom, by age and sex."""
    found = subsidy(run, list(points))
    amounts = [abs(amount) for amount in found["subsidy"].to_pylist() if amount is not None]
    strongest = max(amounts, default=1.0)
    return Figure(
        "subsidy",
        Text("Who pays for whom", "谁在补贴谁"),
        Text(
            "Yuan a person pays in a year above (orange) or below (blue) what persons of this age "
            "and sex would have cost on average, scaled so that all together add to nothing.",
            "每人每年支付额高于（橙）或低于（蓝）同龄同性别平均成本的部分，按总额归一，合计为零。",
        ),
        _with_ages(found),
        lambda language: charts.subsidy(language, strongest, points),
    )


def endings(run: Run, points: Points) -> Figure:
    """Return survival over time, closed ones by cause: of the market and of each of its pools."""
    several = any(len(run.shapes.at(point).pools) > 1 for point in points)
    named = (pool for point in points for pool in run.shapes.at(point).pools)
    pools = list(dict.fromkeys(named)) if several else []
    parts = [(MARKET, _from_start(survival(run, list(points))))]
    parts += [(pool, _from_start(survival(run, list(points), pool))) for pool in pools]
    found = pa.concat_tables(
        part.append_column("pool", pa.array([pool] * part.num_rows, pa.string()))
        for pool, part in parts
    )
    causes = sorted({*found["state"].to_pylist()} - {"open"})
    ranks = {"open": 0} | {cause: rank for rank, cause in enumerate(causes, 1)}
    rank = pa.array([ranks[state] for state in found["state"].to_pylist()], pa.int32())
    return Figure(
        "survival",
        Text("How long the pool lives", "互助池存续"),
        Text(
            "Part of the paths on which the pool is open (grey) after each period, and closed by "
            "cause above it; each step is one period wide. Dashed: 95 % interval of the open part. "
            "A market of several pools is open while one of them is.",
            "每期末仍在运行的路径占比（灰），其上为按原因关闭的占比；每级台阶对应一期。"
            "虚线为运行占比的 95% 区间。"
            "多池市场在至少一池运行时视为运行中。",
        ),
        with_years(run, found).append_column("rank", rank),
        lambda language: charts.survival(language, causes, points, [MARKET, *pools]),
    )


def _from_start(table: pa.Table) -> pa.Table:
    """Return survival with the start before its first period (-1), where every path is open."""
    first = table.filter(pc.equal(table["period"], 0))
    is_open = pc.equal(first["state"], OPEN)
    start = {
        "period": pa.array([-1] * first.num_rows, pa.int32()),
        **{name: pc.cast(is_open, pa.float64()) for name in ("part", "low", "high")},
        "at_risk": first["paths"],
        "closed": pa.array([0] * first.num_rows, pa.int64()),
    }
    for name, values in start.items():
        place = first.schema.get_field_index(name)
        first = first.set_column(place, first.schema.field(name), values)
    return pa.concat_tables([first, table])


def left_uncovered(run: Run, points: Points) -> Iterator[Figure]:
    """Yield who is left without cover, unless nobody is."""
    found = uncovered(run, list(points))
    if not found.num_rows:
        return
    some = {point: points[point] for point in sorted(set(found["point"].to_pylist()))}
    yield Figure(
        "uncovered",
        Text("Who is left without cover", "谁会失去保障"),
        Text(
            "Members of the pool when it closes, by age and sex: mean over the paths on which a "
            "closure leaves anybody without cover, with its 95 % interval. The part of the paths "
            "on which it does is in the table of outcomes.",
            "关闭时的成员，按年龄与性别：只对因关闭而有成员失去保障的路径取均值，并附 95% 区间；"
            "此类路径的占比见结果一览表。",
        ),
        _with_bounds(_with_ages(found)),
        lambda language: charts.uncovered(language, some),
    )
