"""What a report says, in English and in Chinese.

Names of the field (causes, quantities, outcomes) stand here in both languages; names that a user
gave (plans, policies, settings) stay as they are.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final, Literal, NamedTuple, get_args

Language = Literal["en", "zh"]
LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)


class Text(NamedTuple):
    """The same in both languages.

    Attributes
    ----------
    en, zh : str
        English; simplified Chinese.
    """

    en: str
    zh: str

    def of(self, language: Language) -> str:
        """Return it in one language."""
        return self.en if language == "en" else self.zh


TERMS: Final = {
    # causes of a lapse
    "base": Text("ordinary", "自然退出"),
    "first_bill": Text("first bill", "首次扣款"),
    "bill_shock": Text("bill shock", "账单超预期"),
    "growth": Text("growth of the share", "分摊增长"),
    "burden": Text("burden on income", "收入负担"),
    "news": Text("bad news", "负面新闻"),
    "competitor": Text("competitor", "竞品"),
    "regulation": Text("regulation", "监管"),
    "died": Text("died", "身故"),
    "aged_out": Text("aged out", "超龄"),
    "moved": Text("moved to another plan", "转入其他计划"),
    "early_diagnosis": Text("ill while waiting", "等待期内确诊"),
    "claimed": Text("had a case", "已获互助"),
    "rejected": Text("claim rejected", "申请被拒"),
    "arrears": Text("arrears", "欠费"),
    "balance_exhausted": Text("balance used up", "余额耗尽"),
    "others": Text("all others", "其他原因"),
    # causes of a closure
    "open": Text("open", "运行中"),
    "none": Text("open", "运行中"),
    "all": Text("all together", "全部"),
    "too_small": Text("too few members", "成员过少"),
    "share_limit": Text("share above its limit", "分摊超上限"),
    "insolvent": Text("platform out of money", "平台资金耗尽"),
    "ruin": Text("prepaid fund used up", "预存资金耗尽"),
    "no_profit": Text("no profit by the deadline", "到期未盈利"),
    # quantities over time
    "members": Text("members", "成员数"),
    # outcomes
    "share_a_year": Text("share a year (yuan)", "年均分摊（元）"),
    "share_max": Text("largest share (yuan)", "最高单期分摊（元）"),
    "peak_members": Text("peak members", "成员峰值"),
    "members_end": Text("members at the end", "期末成员数"),
    "survived": Text("open at the end", "期末仍运行"),
    "periods_run": Text("periods lived", "运行期数"),
    "cases": Text("cases", "互助案例数"),
    "benefits": Text("benefits paid (yuan)", "互助金总额（元）"),
    "all_paid": Text("every benefit paid", "互助金全部兑付"),
    "unfunded_benefits": Text(
        "benefits unpaid, mean over all paths (yuan)", "未兑付互助金（元，全部路径均值）"
    ),
    "unfunded_benefits_any": Text("some benefits unpaid", "有互助金未兑付"),
    "unfunded_benefits_if_any": Text(
        "benefits unpaid, if any (yuan)", "未兑付互助金（元，仅计有此情形的路径）"
    ),
    "uncovered_members": Text(
        "left without cover, mean over all paths", "失去保障的成员（全部路径均值）"
    ),
    "uncovered_members_any": Text("members left without cover", "有成员失去保障"),
    "uncovered_members_if_any": Text(
        "left without cover, if any", "失去保障的成员（仅计有此情形的路径）"
    ),
    "lost_deposits": Text(
        "deposits lost, mean over all paths (yuan)", "损失的预存款（元，全部路径均值）"
    ),
    "lost_deposits_any": Text("deposits lost", "有预存款损失"),
    "lost_deposits_if_any": Text(
        "deposits lost, if any (yuan)", "损失的预存款（元，仅计有此情形的路径）"
    ),
    "cross_subsidy": Text("part moved between groups", "群体间交叉补贴占比"),
    "price_slope_max": Text("largest price slope", "最大价格斜率"),
    "platform_cash_end": Text("platform's cash at the end (yuan)", "期末平台现金（元）"),
    # money
    "source": Text("where it comes from", "资金来源"),
    "use": Text("where it goes", "资金去向"),
    "subsidy": Text("borne by the platform", "平台承担"),
    "outstanding": Text("billed, not collected", "已出账未收取"),
    "carried": Text("not billed yet", "尚未出账"),
    "kept": Text("charged, then not paid out", "已收取未兑付"),
    "fee": Text("management fee", "管理费"),
    "funding": Text("platform's own at the start", "平台初始资金"),
    "collected": Text("collected from members", "向成员收取"),
    "cross_selling": Text("cross-selling", "交叉销售收入"),
    "interest": Text("interest", "利息"),
    "from_reserve": Text("taken from reserves", "动用准备金"),
    "lent": Text("lent by the parent company", "母公司垫付"),
    "custody": Text("custodian", "托管费"),
    "to_reserve": Text("put into reserves", "提取准备金"),
    "acquisition": Text("paid for sign-ups", "获客成本"),
    "red_packets": Text("red packets", "红包"),
    "investigation": Text("assessment of claims", "调查审核"),
    "operating": Text("operating", "运营成本"),
    "returned_contributions": Text("given back at the closure", "关闭时退还"),
    "cash_left": Text("left in cash", "结余现金"),
    # people
    "male": Text("men", "男"),
    "female": Text("women", "女"),
    "age": Text("age", "年龄"),
    "sex": Text("sex", "性别"),
    # axes and legends of figures
    "year": Text("years since the start", "开始后年数"),
    "cause": Text("cause", "原因"),
    "setting": Text("setting", "参数组合"),
    "outcome": Text("outcome", "结果指标"),
    "median": Text("median", "中位数"),
    "mean": Text("mean", "均值"),
    "standard_error": Text("standard error", "标准误"),
    "interval": Text("95 % interval", "95% 区间"),
    "middle_half": Text("middle 50 %", "中间 50%"),
    "middle_nine_tenths": Text("5–95 %", "5–95%"),
    "left": Text("members who left, a period", "每期退出人数"),
    "part_of_paths": Text("part of the paths", "路径占比"),
    "paid_above": Text("paid above own cost, yuan a person-year", "高于自身成本的支付（元/人年）"),
    "yuan": Text("yuan", "元"),
    "horizontal": Text("across", "横轴"),
    "vertical": Text("down", "纵轴"),
    "difference": Text("difference", "差值"),
    "low_end": Text("axis at its low end", "取低端值"),
    "high_end": Text("axis at its high end", "取高端值"),
    "first_order": Text("alone", "单独作用"),
    "total": Text("with its interactions", "含交互作用"),
    "effect": Text("effect over the whole axis", "整个取值范围内的效应"),
    "index": Text("part of the variance", "方差占比"),
    "plan": Text("plan", "计划"),
    "pool": Text("pool", "互助池"),
    "point": Text("point", "参数点"),
    "on_front": Text("not dominated", "帕累托前沿"),
    "dominated": Text("dominated", "被支配"),
    "swept": Text("swept field", "扫描参数"),
    "part_of_range": Text("part of the axis's range", "占取值范围的比例"),
    "paths": Text("paths", "路径数"),
    "yes": Text("yes", "是"),
    "no": Text("no", "否"),
}
"""Terms of the field and of figures, by the name they have in the tables."""


_OF_A_PERIOD: Final = {
    "share": Text("share of a period (yuan)", "每期分摊（元）"),
    "cases": Text("cases of a period", "每期互助案例数"),
}
"""Titles of quantities over time, where they are not those of the whole."""


def titled(quantity: str) -> Text:
    """Return the title of a quantity over time."""
    return _OF_A_PERIOD.get(quantity) or term(quantity)


def term(name: str) -> Text:
    """Return the words for a name of the tables; a name that has none stands for itself."""
    readable = name.replace("_", " ")
    return TERMS.get(name, Text(readable, readable))


def terms(names: Iterable[str], language: Language) -> dict[str, str]:
    """Return the words for some names in one language."""
    return {name: term(name).of(language) for name in names}


def labels(names: Iterable[str], language: Language) -> str:
    """Return the Vega expression that turns a label, one of `names`, into words."""
    table = json.dumps(terms(names, language), ensure_ascii=False)
    return f"{table}[datum.label] || datum.label"
