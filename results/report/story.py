"""What was run, in words: the pool, the rules of its plans, the sweep, and how far it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from configs.shapes import Shape
from results.brief import told_apart, told_columns
from results.pooled import PooledRun, drawn_columns, pooled
from results.report.words import Text
from results.run import Run
from results.table import short_names, value_text

RULES: Final = {
    "equal": Text("in equal parts", "均摊"),
    "table": Text("by a table of weights by age and sex", "按年龄性别权重表分摊"),
    "expected": Text("by expected cost", "按预期成本分摊"),
    "linear": Text("by expected cost and a part of the surprise", "线性规则分摊"),
    "minimum_variance": Text("so that charges vary least", "最小方差规则分摊"),
    "conditional_mean": Text("by conditional mean", "条件均值规则分摊"),
    "pooled_bands": Text("within age bands that pool a quota", "分年龄组、部分合并分摊"),
}

_VALUES_TOLD: Final = 8
_PLANS_TOLD: Final = 12
_LENGTHS_TOLD: Final = 3
_DESIGNS: Final = {
    "grid": Text("every combination of", "所有组合："),
    "list": Text("values in turn of", "依次取值："),
}


def story(run: Run) -> list[Text]:
    """Return what was run, a paragraph each.

    Parameters
    ----------
    run : Run
        The run.
    """
    return [_size(run), *_plans(run), *_sweep(run), *_seed(run)]


def state(run: Run) -> list[Text]:
    """Return what a reader must know first: that a run is not finished, or that points failed.

    Parameters
    ----------
    run : Run
        The run.
    """
    manifest, told = run.manifest, []
    planned = manifest.points * manifest.paths_per_point
    there = run.rows("paths")
    if manifest.finished is None:
        told.append(
            Text(
                f"This run is not finished: {there:,} of {planned:,} planned paths are there. "
                "Every figure below is of these; the same command goes on with the run.",
                f"本次运行尚未完成：计划 {planned:,} 条路径，已完成 {there:,} 条。"
                "以下数字仅基于已完成部分；再次执行同一命令即可继续。",
            )
        )
    if manifest.failures:
        failed = sorted(
            {failure.point for failure in manifest.failures if failure.point is not None}
        )
        named = ", ".join(map(str, failed[:_VALUES_TOLD])) + (
            " …" if len(failed) > _VALUES_TOLD else ""
        )
        told.append(
            Text(
                f"{len(failed)} of {manifest.points} points failed ({named}) and are missing or "
                "incomplete below; manifest.json says why, huzhu retry runs them again.",
                f"{manifest.points} 个参数点中有 {len(failed)} 个失败（{named}），"
                "下文缺失或不完整；原因见 manifest.json，可用 huzhu retry 重新运行。",
            )
        )
    return told


def labels_of(rows: Sequence[Mapping[str, Any]]) -> dict[int, str]:
    """Return a name of each point: its number, and the swept values that differ; none for one.

    Parameters
    ----------
    rows : sequence of mapping
        Rows of the table `points`.
    """
    if len(rows) == 1:
        return {rows[0]["point"]: ""}
    swept = [name for name in (rows[0] if rows else {}) if name != "point"]
    differing = [name for name in swept if len({str(row[name]) for row in rows}) > 1]
    names = short_names(swept)
    return {
        row["point"]: " · ".join(
            [f"#{row['point']}", *(f"{names[path]} {_in_short(row[path])}" for path in differing)]
        )
        for row in rows
    }


def _in_short(value: Any) -> str:
    """Return a value as a label has room for it: to three digits where it has a fraction."""
    has_fraction = isinstance(value, float) and value != int(value)
    return value_text(float(f"{value:.3g}") if has_fraction else value)


def _size(run: Run) -> Text:
    """Return the size of the run."""
    manifest = run.manifest
    scenario = manifest.config["scenario"]
    kinds = {
        "cohort": Text(
            "members counted by age, sex, health and motive", "按年龄、性别、健康与动机分组计数"
        ),
        "member": Text("every member simulated on their own", "逐个成员模拟"),
    }
    swept = manifest.axes.get("engine", ())
    engines = dict.fromkeys([scenario.get("engine", "cohort"), *swept])
    words = [kinds.get(engine, Text(engine, engine)) for engine in engines]
    how = Text(" or ".join(word.en for word in words), "或".join(word.zh for word in words))
    lengths = [_length(shape) for shape in _lengths_told(run)]
    settings = f"{manifest.points:,} setting{'s' if manifest.points > 1 else ''}"
    paths = f"{manifest.paths_per_point:,} random path{'s' if manifest.paths_per_point > 1 else ''}"
    return Text(
        f"{manifest.scenario_title}: {' or '.join(length.en for length in lengths)}, "
        f"in a market of {scenario['market_members']:,} people; "
        f"{how.en}. {settings}, up to {paths} each.",
        f"{manifest.scenario_title}：{'或'.join(length.zh for length in lengths)}，"
        f"市场规模 {scenario['market_members']:,} 人；{how.zh}。"
        f"{manifest.points:,} 组参数，每组至多 {manifest.paths_per_point:,} 条随机路径。",
    )


def _lengths_told(run: Run) -> list[Shape]:
    """Return shapes of different lengths: all, or where there are many the ends."""
    distinct = {(shape.periods, shape.periods_per_year): shape for shape in run.shapes.distinct}
    lengths = sorted(distinct.values(), key=lambda one: one.periods / one.periods_per_year)
    return lengths if len(lengths) <= _LENGTHS_TOLD else [lengths[0], lengths[-1]]


def _length(shape: Shape) -> Text:
    """Return how long the paths of a shape are."""
    years = shape.periods / shape.periods_per_year
    return Text(
        f"{shape.periods} settlements, {shape.periods_per_year} a year ({years:.3g} years)",
        f"共 {shape.periods} 期，每年 {shape.periods_per_year} 期（{years:.3g} 年）",
    )


def _plans(run: Run) -> Iterator[Text]:
    """Yield the rules of each plan, as they are where no axis changes them."""
    own: Mapping[str, Any] = run.manifest.config["scenario"]["plans"]
    plans = [("", name, plan) for name, plan in own.items()]
    if not run.shapes.have_same_plans:
        plans = [*_plans_by_point(run)]
    for point, name, plan in plans[:_PLANS_TOLD]:
        steps = plan["benefit"]
        rule = RULES.get(plan["rule"], Text(plan["rule"], plan["rule"]))
        benefit = " / ".join(f"{step['benefit_yuan']:,.0f}" for step in steps)
        ages = ", ".join(str(step["from_age"]) for step in steps)
        many = len(steps) > 1
        fee = f"{plan['fee_rate']:.3g}"
        yield Text(
            f"{point}Plan {name}: a case brings {benefit} yuan"
            f"{f' from age {ages}' if many else ''}, after {plan['wait_periods']} waiting "
            f"periods; the others pay it {rule.en}, with a fee of {fee} of benefits.",
            f"{point}计划 {name}：每例互助金 {benefit} 元{f'（自 {ages} 岁起）' if many else ''}，"
            f"等待期 {plan['wait_periods']} 期；{rule.zh}，管理费率 {fee}。",
        )
    if len(plans) > _PLANS_TOLD:
        rest = len(plans) - _PLANS_TOLD
        yield Text(f"And {rest} more plans.", f"另有 {rest} 个计划。")


def _plans_by_point(run: Run) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield the plans of the first point of each set of plans: the point, name and rules."""
    from configs.sweep import Config, scenario_at

    config = Config.model_validate(run.manifest.config)
    firsts = {shape.plans: point for point, shape in reversed([*enumerate(_each(run))])}
    for point in sorted(firsts.values()):
        for name, plan in scenario_at(config, point).model_dump(mode="json")["plans"].items():
            yield f"#{point} · ", name, plan


def _each(run: Run) -> Iterator[Shape]:
    """Yield the shape of every point of a run by draw."""
    return (run.shapes.at(point) for point in range(run.manifest.points))


def _sweep(run: Run) -> Iterator[Text]:
    """Yield what was swept."""
    yield from _draws(run)
    sweep = run.manifest.config.get("sweep", {})
    axes = told_columns(pooled(run).manifest.axes, sweep)
    if not axes:
        return
    design = sweep.get("design", "grid")
    how = _DESIGNS.get(
        design, Text(f"{design.replace('_', ' ')} design over", f"{design} 抽样设计：")
    )
    told = "; ".join(f"{path}: {_values(told_apart(values))}" for path, values in axes.items())
    yield Text(f"Swept, {how.en} {told}.", f"参数扫描，{how.zh}{told}。")


def _draws(run: Run) -> Iterator[Text]:
    """Yield over which draws figures are pooled."""
    whole = pooled(run)
    if isinstance(whole, PooledRun):
        fields, errors = ", ".join(drawn_columns(run)[1:]), _errors(whole)
        yield Text(
            f"Every setting is run at each of {whole.draws:,} draws of {whole.sample}, which has "
            f"values of {fields}. Figures are pooled over the draws, each counting alike. "
            f"{errors.en}",
            f"每组参数在样本 {whole.sample} 的 {whole.draws:,} 次抽取下分别运行"
            f"（抽取的字段：{fields}）。"
            f"下文数字为各次抽取等权汇总。{errors.zh}",
        )


def _errors(run: PooledRun) -> Text:
    """Return what standard errors over draws hold, or why there are none."""
    paths = run.paths_together
    if run.draws < 2:
        return Text(
            "With one draw, no standard error can be given.", "只有一次抽取，无法给出标准误。"
        )
    if not run.is_common:
        return Text(
            "Standard errors are those of the means of the draws, which have random numbers of "
            "their own.",
            "标准误按各次抽取的均值计算，各次抽取使用各自的随机数。",
        )
    if paths < 2:
        return Text(
            "All draws share one path of random numbers. How far it moves a mean is not known, so "
            "no standard error is given; set sweep.paths to 2 or more to get one.",
            "各次抽取共用同一条随机数路径，其影响无法估计，故不给出标准误；"
            "将 sweep.paths 设为 2 或更大即可给出。",
        )
    return Text(
        f"Standard errors and intervals cover both the draws and the {paths:,} paths of random "
        "numbers that all draws share.",
        f"标准误与区间既包含各次抽取之间的差异，也包含各次抽取共用的 {paths:,} 条随机数路径"
        "的影响。",
    )


def _values(values: Sequence[Any]) -> str:
    """Return the values of an axis: all, or how many between which."""
    if len(values) <= _VALUES_TOLD:
        return ", ".join(map(value_text, values))
    numbers = all(isinstance(value, (int, float)) for value in values)
    if numbers:
        return f"{value_text(min(values))} … {value_text(max(values))} ({len(values):,})"
    return f"{', '.join(map(value_text, values[:_VALUES_TOLD]))} … ({len(values):,})"


def _seed(run: Run) -> Iterator[Text]:
    """Yield what makes the settings comparable."""
    common = run.manifest.config.get("sweep", {}).get("random_numbers", "common") == "common"
    if run.manifest.points > 1 and common:
        yield Text(
            "Path i of every setting sees the same draws, so that settings are compared path by "
            "path and differ by their rules, not by luck.",
            "各组参数的第 i 条路径使用相同随机数，因此可逐路径比较：差异来自规则，而非运气。",
        )
