"""The report of a calibration: one HTML file that opens offline.

What was fitted, what the figures say of each parameter and what they do not, how the fit runs
through the figures, what is forecast from the cut-off on, and how good that was.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from results.atomic import write_whole
from results.calibration import charts
from results.calibration.show import FEW_FIGURES, FORECASTERS, has_few_figures
from results.calibration.tables import CalibrationRun
from results.report import files
from results.report.figure import Figure
from results.report.page import Heading, Report, Rows, Section, html
from results.report.words import Language, Text

REPORT_NAME: Final = files.REPORT_NAME
PICTURE_NAME: Final = "bands.svg"
MOST_PAIRED: Final = 8
"""Parameters of the pair plot: more panels than 36 are too small to be read."""

DRAWS_PAIRED: Final = 400


def write_report(run: CalibrationRun, language: Language = "en") -> Path:
    """Write the report into the calibration's folder, whole or not at all.

    Raises
    ------
    StoreError
        The file cannot be written.
    """
    file = run.folder / REPORT_NAME
    write_whole(file, html(report(run), language, source_of(run.manifest)).encode())
    return file


def source_of(manifest: Mapping[str, Any]) -> str:
    """Return the digest of what a report is made from: the files that the manifest names."""
    return hashlib.sha256(json.dumps(manifest["files"], sort_keys=True).encode()).hexdigest()


def write_figures(
    run: CalibrationRun,
    folder: Path,
    language: Language = "en",
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> list[Path]:
    """Write every figure of the report as SVG and PNG, and its data as CSV.

    Raises
    ------
    StoreError
        A file cannot be written.
    """
    return files.write_figures(report(run), folder, language, tell)


def bands_svg(run: CalibrationRun, file: Path) -> None:
    """Write the figures and the forecast through them as one drawing.

    Raises
    ------
    StoreError
        It cannot be written.
    """
    write_whole(file, _bands(run).svg("en").encode())


def report(run: CalibrationRun) -> Report:
    """Return the report of a calibration."""
    name = run.manifest["title"]
    return Report(
        Text(f"{name}: what the figures say", f"{name}：数据说明了什么"),
        (Text(FEW_FIGURES, "数据不多于参数：区间很宽，不宜据此决策。"),)
        if has_few_figures(run)
        else (),
        (
            _what(run),
            _parameters(run),
            _fit(run),
            *([_scores(run)] if run.table("scores").num_rows else []),
            _sampler(run),
        ),
    )


def _what(run: CalibrationRun) -> Section:
    said = run.manifest
    held = run.table("figures")["held_back"].to_pylist()
    fitted, late = len(held) - sum(held), sum(held)
    until = said["until"] or "the last figure"
    paragraphs = [
        Text(
            f"The scenario has {len(said['parameters'])} parameters that nobody published. This is "
            f"what the {fitted} published figures up to {until} say of them, and what the model "
            f"says from there on; {late} later figures were held back, and nothing was fitted to "
            "them.",
            f"该情景有 {len(said['parameters'])} 个未公开的参数。以下为截至 {until} 的 {fitted} "
            f"个公开数据对它们的说明，以及模型此后的预测；其后的 {late} 个数据"
            "留作检验，未参与拟合。",
        ),
        Text(
            "Every band holds all that is uncertain in the model: the parameters, the chance of "
            "claims, news and weather, and, as far as past misfit shows it, what the model leaves "
            "out. It does not hold what no such model foresees.",
            "每条区间带包含模型内的全部不确定性：参数、理赔与新闻的偶然性，以及以往误差所显示的"
            "模型遗漏；不包含此类模型无法预见之事。",
        ),
    ]
    paragraphs += [
        Text(f"The forecast {world!r} takes as given: {told}.", f"预测“{world}”的前提：{told}。")
        for world, told in said["exogenous"].items()
    ]
    return Section("what", Text("What was asked", "问题"), paragraphs)


def _parameters(run: CalibrationRun) -> Section:
    rows = run.table("parameters").to_pylist()
    unknown = [row["parameter"] for row in rows if not row["identified"]]
    told = ", ".join(unknown)
    paragraphs = [
        Text(
            "A parameter is identified where the figures have narrowed or moved what was believed "
            "of it before, by more than so few draws do by chance. "
            + (
                f"Not identified, and therefore left as wide as they were: {told}."
                if unknown
                else "All of them are."
            ),
            "若数据对先验的收窄或移动超出有限抽样的偶然误差，则该参数可识别。"
            + (f"不可识别、故保持先验宽度：{told}。" if unknown else "全部可识别。"),
        )
    ]
    parts: list[Figure | Rows] = [_intervals(rows), _parameter_rows(rows)]
    if len(rows) > 1:
        parts.append(_pairs(run, rows))
    return Section(
        "parameters", Text("What the figures say of the parameters", "参数"), paragraphs, parts
    )


def _intervals(rows: list[dict[str, Any]]) -> Figure:
    """Return prior and posterior of each parameter, on the prior's scale."""
    told = [
        {
            "parameter": row["parameter"],
            "of": kind,
            "identified": row["identified"],
            "low": on_prior(row, row[f"{before}q05"]),
            "middle": on_prior(row, row[f"{before}q50"]),
            "high": on_prior(row, row[f"{before}q95"]),
        }
        for row in rows
        for kind, before in (("prior", "prior_"), ("posterior", ""))
    ]
    return Figure(
        "prior_and_posterior",
        Text("Before and after the figures", "先验与后验"),
        Text(
            "Median and 90 % interval of each parameter, before and after the figures: 0 is the "
            "prior's median, −1 to 1 about its 90 % interval; parameters whose prior is skewed are "
            "drawn by their logarithms. Where the lower bar is as long as the upper one and below "
            "it, the figures say nothing: not identified.",
            "各参数在使用数据前后的中位数与 90 % 区间：0 为先验中位数，−1 至 1 约为其 90 % 区间；"
            "先验偏斜者取对数。上下两条等长且对齐者，数据未提供信息：不可识别。",
        ),
        pa.Table.from_pylist(told),
        charts.intervals,
    )


def on_prior(row: Mapping[str, Any], value: float) -> float:
    """Return where a value lies in its prior: 0 at the median, about -1 and 1 at 5 % and 95 %.

    On a scale of logarithms where these have the prior's median nearer the middle of its interval.

    Parameters
    ----------
    row : mapping of str to value
        Row of the table `parameters`.
    value : float
        A value of this parameter; its least is the posterior's 5 % quantile.
    """
    low, middle, high = (row[f"prior_q{share:02d}"] for share in (5, 50, 95))
    smallest = min(low, row["q05"])
    is_skewed = (
        smallest > 0 and abs(middle - math.sqrt(low * high)) < abs(2 * middle - low - high) / 2
    )
    if is_skewed:
        low, middle, high, value = (math.log(each) for each in (low, middle, high, value))
    return (value - middle) / ((high - low) / 2) if high > low else 0.0


def _parameter_rows(rows: list[dict[str, Any]]) -> Rows:
    names = ("parameter", "meaning", "prior", "q05", "q50", "q95", "contraction", "ess")
    data: dict[str, list[Any]] = {name: [row[name] for row in rows] for name in names}
    data["identified"] = [
        Text("yes", "是") if row["identified"] else Text("no: posterior = prior", "否：后验即先验")
        for row in rows
    ]
    return Rows(
        "parameters_table",
        Text("The parameters", "参数表"),
        Text(
            "Contraction is the part of the prior's variance that the figures took away; effective "
            "is of how many independent draws the sample is worth.",
            "收缩：数据消除的先验方差比例；有效：样本相当的独立抽样数。",
        ),
        (
            Heading("parameter", Text("parameter", "参数"), number=False),
            Heading("meaning", Text("meaning", "含义"), number=False),
            Heading("prior", Text("prior", "先验"), number=False),
            Heading("q50", Text("median", "中位数")),
            Heading("q05", Text("5 %", "5 %")),
            Heading("q95", Text("95 %", "95 %")),
            Heading("contraction", Text("contraction", "收缩")),
            Heading("ess", Text("effective", "有效")),
            Heading("identified", Text("identified", "可识别"), number=False),
        ),
        data,
    )


def _pairs(run: CalibrationRun, rows: list[dict[str, Any]]) -> Figure:
    """Return draws of the best identified parameters against one another."""
    best = sorted(rows, key=lambda row: -(row["contraction"] + row["shift"]))[:MOST_PAIRED]
    names = [row["parameter"] for row in best]
    posterior = run.table("posterior").select(names)
    draws = min(DRAWS_PAIRED, posterior.num_rows)
    chosen = posterior.take([i * posterior.num_rows // draws for i in range(draws)])
    priors = {row["parameter"]: (row["prior_q05"], row["prior_q95"]) for row in best}
    return Figure(
        "pairs",
        Text("Parameters against one another", "参数两两对照"),
        Text(
            "Each point is a draw of the posterior: a slant says that the figures fix a "
            "combination of the two better than either. At the end of each row, how often each "
            "value was drawn; the grey bar is the 90 % interval of the prior. The best identified "
            f"come first, {MOST_PAIRED} at most.",
            "每点为一次后验抽样；倾斜表示数据对两者组合的约束强于单个参数。各行末为取值频数，"
            f"灰条为先验 90 % 区间。按可识别程度排列，至多 {MOST_PAIRED} 个。",
        ),
        chosen,
        lambda language: charts.pairs(language, priors),
    )


def _fit(run: CalibrationRun) -> Section:
    return Section(
        "fit",
        Text("Figures, fit and forecast", "数据、拟合与预测"),
        [],
        [_bands(run), *_year_totals(run), _figure_rows(run)],
    )


def _bands(run: CalibrationRun) -> Figure:
    """Return the forecast's bands with the figures in them, a panel a series."""
    bands = run.table("forecast").to_pylist()
    told = [
        {
            "kind": "band",
            "series": f"{row['quantity']}, {row['scope']}",
            "world": row["world"],
            "date": row["date"].isoformat(),
            **{name: row[name] for name in ("q05", "q25", "q50", "q75", "q95")},
            "value": None,
            "low": None,
            "high": None,
            "held_back": False,
        }
        for row in bands
    ]
    told += [
        {
            "kind": "figure",
            "series": f"{row['quantity']}, {row['scope']}",
            "world": "",
            "date": row["date"].isoformat(),
            **dict.fromkeys(("q05", "q25", "q50", "q75", "q95")),
            "value": row["value"],
            "low": row["value"] - 2 * row["error"],
            "high": row["value"] + 2 * row["error"],
            "held_back": row["held_back"],
        }
        for row in run.table("figures").to_pylist()
    ]
    data = pa.Table.from_pylist(told)
    series = list(dict.fromkeys(row["series"] for row in told if row["kind"] == "figure"))
    worlds = list(dict.fromkeys(row["world"] for row in bands))
    until = run.manifest["until"]
    return Figure(
        "bands",
        Text("What was published, and what the model says", "公开数据与模型"),
        Text(
            "Bands of 50 % and 90 % of the first forecast, and its median; medians of the others "
            "as dashed lines. Points are published figures with two standard errors, hollow where "
            "they were held back; the line is the cut-off, and the ground behind the forecast is "
            "grey. Figures of a year are sums since January.",
            "首个预测的 50 % 与 90 % 区间及中位数；虚线为其他预测的中位数。"
            "点为公开数据及两倍标准误，空心者留作检验；竖线为截止日，其后灰底为预测。"
            "年度数据为当年累计。",
        ),
        data,
        lambda language: charts.bands(language, series, worlds, until),
    )


def _year_totals(run: CalibrationRun) -> list[Figure]:
    """Return the sums of whole years, where a quantity has such: one figure or none."""
    forecast = [row for row in run.table("forecast").to_pylist() if _is_of_a_year(row)]
    last = max((row["date"] for row in forecast), default=date.min)
    # rows come by date, so that a year's last one stays
    ends = {
        (row["world"], row["quantity"], row["scope"], row["date"].year): row
        for row in sorted(forecast, key=lambda row: row["date"])
        if row["date"].year < last.year or _ends_year(last)
    }
    told = [
        {
            **_of_year(row, "forecast"),
            "world": row["world"],
            **{name: row[name] for name in ("q05", "q50", "q95")},
            "value": None,
            "held_back": False,
        }
        for row in ends.values()
    ]
    told += [
        {
            **_of_year(row, "figure"),
            "world": "",
            **dict.fromkeys(("q05", "q50", "q95")),
            "value": row["value"],
            "held_back": row["held_back"],
        }
        for row in run.table("figures").to_pylist()
        if _is_of_a_year(row) and _ends_year(row["date"])
    ]
    if not ends:
        return []
    series = list(dict.fromkeys(row["series"] for row in told))
    worlds = list(dict.fromkeys(row["world"] for row in told if row["world"]))
    return [
        Figure(
            "year_totals",
            Text("Totals of whole years", "全年合计"),
            Text(
                "Median of each year's total with its 90 % interval, a bar for each forecast; "
                "points are published totals, hollow where they were held back.",
                "各年合计的中位数与 90 % 区间，每个预测一条；点为公布合计，空心者留作检验。",
            ),
            pa.Table.from_pylist(told),
            lambda language: charts.year_totals(language, series, worlds),
        )
    ]


def _is_of_a_year(row: Mapping[str, Any]) -> bool:
    """Whether a row is of a quantity that adds up from January on."""
    return str(row["quantity"]).endswith("_year")


def _ends_year(day: date) -> bool:
    """Whether a day is the last of its year."""
    return (day.month, day.day) == (12, 31)


def _of_year(row: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Return what names a bar or point of a year's total."""
    series = f"{row['quantity']}, {row['scope']}"
    return {"kind": kind, "series": series, "year": str(row["date"].year)}


def _figure_rows(run: CalibrationRun) -> Rows:
    rows = run.table("figures").to_pylist()
    names = ("quantity", "scope", "value", "error", "fit_q50", "q05", "q50", "q95", "source")
    data: dict[str, list[Any]] = {name: [row[name] for row in rows] for name in names}
    data["date"] = [row["date"].isoformat() for row in rows]
    data["held_back"] = [
        Text("held back", "留作检验") if row["held_back"] else Text("fitted", "参与拟合")
        for row in rows
    ]
    return Rows(
        "figures_table",
        Text("Every figure", "全部数据"),
        Text(
            "The fit is the median of what the model says; the quantiles are of what would have "
            "been published, misprints included.",
            "拟合为模型中位数；分位数为可能公布之值，含印误。",
        ),
        (
            Heading("date", Text("date", "日期"), number=False),
            Heading("quantity", Text("quantity", "数量"), number=False),
            Heading("scope", Text("scope", "口径"), number=False),
            Heading("value", Text("published", "公布值")),
            Heading("error", Text("error", "误差")),
            Heading("fit_q50", Text("fit", "拟合")),
            Heading("q05", Text("5 %", "5 %")),
            Heading("q50", Text("median", "中位数")),
            Heading("q95", Text("95 %", "95 %")),
            Heading("held_back", Text("used", "用途"), number=False),
            Heading("source", Text("source", "来源"), number=False),
        ),
        data,
    )


def _scores(run: CalibrationRun) -> Section:
    rows = run.table("scores").to_pylist()
    names = ("world", "figures", "log_score", "coverage_50", "coverage_90", "error")
    data: dict[str, list[Any]] = {name: [row[name] for row in rows] for name in names}
    data["forecaster"] = [FORECASTERS[row["forecaster"]] for row in rows]
    data["quantity"] = [row["quantity"] or "all" for row in rows]
    table = Rows(
        "scores_table",
        Text("Figures that were held back", "留作检验的数据"),
        Text(
            "The log score is the mean of the log density that a forecast had at the figures: "
            "higher is better, and a difference of 1 is a factor of 2.7. A forecast as wide as it "
            "should be holds half of the figures in its 50 % interval, nine of ten in the other.",
            "对数得分为预测在数据处对数密度的均值，越高越好；"
            "宽度恰当的预测应使 50 % 区间含一半数据，90 % 区间含九成。",
        ),
        (
            Heading("world", Text("forecast", "预测"), number=False),
            Heading("forecaster", Text("forecaster", "方法"), number=False),
            Heading("quantity", Text("quantity", "数量"), number=False),
            Heading("figures", Text("figures", "数据数")),
            Heading("log_score", Text("log score", "对数得分")),
            Heading("coverage_50", Text("in 50 %", "50 % 内")),
            Heading("coverage_90", Text("in 90 %", "90 % 内")),
            Heading("error", Text("off by (share)", "相对误差")),
        ),
        data,
    )
    return Section("scores", Text("Would it have been seen coming?", "能否预见？"), [], [table])


def _sampler(run: CalibrationRun) -> Section:
    said, generations = run.manifest, run.table("generations")
    paragraph = Text(
        f"{said['particles']:_} particles went from the prior to the posterior through "
        f"{generations.num_rows - 1} generations and {said['simulations']:_} simulated paths, in "
        f"{said['seconds'] / 60:.1f} minutes; the sample is worth "
        f"{said['effective_samples']:.0f} independent draws or more of every parameter. The "
        f"logarithm of the evidence is {said['log_evidence']:.1f}.",
        f"{said['particles']:_} 个粒子经 {generations.num_rows - 1} 代、"
        f"{said['simulations']:_} 条模拟路径由先验移至后验，用时 {said['seconds'] / 60:.1f} 分钟；"
        f"样本至少相当于 {said['effective_samples']:.0f} 次独立抽样。"
        f"对数证据为 {said['log_evidence']:.1f}。",
    )
    trace_rows = _trace_rows(run)
    panels = list(dict.fromkeys(row["parameter"] for row in trace_rows))
    trace = Figure(
        "trace",
        Text("From prior to posterior", "由先验到后验"),
        Text(
            "Median, 50 % and 90 % band of the particles at the end of each generation: the first "
            "is the prior, the last the posterior. The first panel is the exponent, the part of "
            "the figures' weight that a generation has taken in.",
            "每代结束时粒子的中位数、50 % 与 90 % 区间：首代为先验，末代为后验。"
            "首图为似然指数，即该代已计入的数据权重。",
        ),
        pa.Table.from_pylist(trace_rows),
        lambda language: charts.trace(language, panels),
    )
    names = generations.column_names
    table = Rows(
        "generations_table",
        Text("Generations", "各代"),
        Text(
            "The likelihood is raised to the exponent; correlation is the largest that is left "
            "between particles and where they were before the moves.",
            "似然取指数次幂；相关为移动前后粒子间残余的最大相关。",
        ),
        tuple(Heading(name, Text(name, name)) for name in names),
        {name: generations[name].to_pylist() for name in names},
    )
    return Section(
        "sampler", Text("How the sample came about", "抽样过程"), [paragraph], [trace, table]
    )


def _trace_rows(run: CalibrationRun) -> list[dict[str, Any]]:
    """Return rows of the trace, the exponent first, as if it were a parameter without spread."""
    names = ("generation", "parameter", "q05", "q25", "q50", "q75", "q95")
    exponents = [
        {
            "generation": row["generation"],
            "parameter": charts.EXPONENT,
            **dict.fromkeys(names[2:], row["exponent"]),
        }
        for row in run.table("generations").to_pylist()
    ]
    return [*exponents, *run.table("trace").select(names).to_pylist()]
