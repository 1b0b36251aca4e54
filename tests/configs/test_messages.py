"""Messages about bad scenarios: file, field, what was expected, what came, the remedy."""

from collections.abc import Callable
from pathlib import Path

import pytest

Write = Callable[[str, str], Path]
Refusal = Callable[..., str]


@pytest.fixture
def over(small: Path, write: Write, refusal: Refusal) -> Callable[[str], str]:
    """Return the message about `top.yaml`, whose `scenario` is given and extends small.yaml."""

    def message(scenario: str) -> str:
        return refusal(write("top.yaml", f"extends: {small}\nscenario: {scenario}\n"))

    return message


@pytest.mark.parametrize(
    ("scenario", "message"),
    [
        (  # a fee of -1
            "{plans: {main: {fee_rate: -1}}}",
            "scenario.plans.main.fee_rate: expected at least 0 and below 1, got -1 "
            "(management fee on benefits; unit: share of benefits; default: 0.0)",
        ),
        (  # a percentage
            "{plans: {main: {fee_rate: 8%}}}",
            "scenario.plans.main.fee_rate: expected a number, at least 0 and below 1, got '8%'; "
            "write a number without quotes, unit or % sign "
            "(management fee on benefits; unit: share of benefits; default: 0.0)",
        ),
        (
            "{plans: {main: {fee_rate: true}}}",
            "scenario.plans.main.fee_rate: expected a number, at least 0 and below 1, got true "
            "(management fee on benefits; unit: share of benefits; default: 0.0)",
        ),
        (
            "{plans: {main: {fee_rate: .nan}}}",
            "scenario.plans.main.fee_rate: expected at least 0 and below 1, got NaN "
            "(management fee on benefits; unit: share of benefits; default: 0.0)",
        ),
        (
            "{plans: {main: {fee_rate: null}}}",
            "scenario.plans.main.fee_rate: expected a number, at least 0 and below 1, got null "
            "(management fee on benefits; unit: share of benefits; default: 0.0)",
        ),
        (
            "{plans: {main: {fee_rte: 0.1}}}",
            "scenario.plans.main.fee_rte: expected a known field, got 'fee_rte'; "
            "did you mean fee_rate?",
        ),
        (
            "{tenure: {zzz: 1}}",
            "scenario.tenure.zzz: expected a known field, got 'zzz'; "
            "known fields: bands, band_periods",
        ),
        (
            "{periods: 72.0}",
            "scenario.periods: expected a whole number, at least 1 and at most 4096, got 72.0; "
            "write 72 (length of a path; unit: periods; default: 72)",
        ),
        (
            "{periods: many}",
            "scenario.periods: expected a whole number, at least 1 and at most 4096, got 'many'; "
            "write a number without quotes, unit or % sign "
            "(length of a path; unit: periods; default: 72)",
        ),
        (
            "{market_members: 3_000_000_000}",
            "scenario.market_members: expected at least 0 and at most 2_000_000_000, "
            "got 3000000000 (M: people who could ever join; unit: persons)",
        ),
        (
            "{plans: {main: {waiting_members_pay: yes}}}",
            "scenario.plans.main.waiting_members_pay: expected true or false, got 'yes'; "
            "write true or false (whether members still in the waiting period are charged; "
            "default: false)",
        ),
        (
            "{plans: {main: {pool: north}}, industry: {migration: {north: {south: 0.1}}}}",
            "scenario.plans.main.pool: expected none, for `pools` names none, got 'north'\n"
            "top.yaml: scenario.industry.migration: expected none, for `pools` names none, "
            "got some",
        ),
        (
            "{plans: {main: {rule: eqal}}}",
            "scenario.plans.main.rule: expected one of equal, table, expected, "
            "linear, minimum_variance, conditional_mean, pooled_bands, got 'eqal'; "
            "did you mean equal? (apportionment rule; default: 'equal')",
        ),
        (
            "{plans: {main: {caps: {per_year_yuan: 0}}}}",
            "scenario.plans.main.caps.per_year_yuan: expected above 0, got 0 (most a member pays "
            "in P successive periods counted from the start; unit: yuan; default: null)",
        ),
        (
            "{plans: {main: {caps: {per_year_yuan: x}}}}",
            "scenario.plans.main.caps.per_year_yuan: expected a number, above 0, or null, "
            "got 'x'; write a number without quotes, unit or % sign (most a member pays in P "
            "successive periods counted from the start; unit: yuan; default: null)",
        ),
        ("{plans: 3}", "scenario.plans: expected a mapping of names, got 3 (plans by name)"),
        (
            "{plans: null}",
            "scenario.plans: expected a mapping of names, got null (plans by name)",
        ),
        (
            "{plans: {main: [1]}}",
            "scenario.plans.main: expected a mapping, got [1] (plans by name)",
        ),
        (
            "{news: 3}",
            "scenario.news: expected a mapping, got 3 (bad news)",
        ),
        (
            "{title: 3}",
            "scenario.title: expected text, got 3 (what is simulated, in a few words)",
        ),
        (
            "{start_date: 2018-13-40}",
            "scenario.start_date: expected a date such as 2018-10-16, or null, got '2018-13-40' "
            "(date of period 0, for labels; default: null)",
        ),
        (
            "{plans: {main: {benefit: []}}}",
            "scenario.plans.main.benefit: expected at least 1 entry, got 0 "
            "(benefit by age at diagnosis; unit: yuan)",
        ),
        (
            "{plans: {main: {benefit: [{from_age: 0}]}}}",
            "scenario.plans.main.benefit[0].benefit_yuan: expected a number, at least 0, "
            "got nothing (benefit of a case of fraction 1; unit: yuan)",
        ),
        (
            "{plans: {main: {benefit: [{from_age: 3, benefit_yuan: 1}]}}}",
            "scenario.plans.main.benefit: expected steps whose from_age starts at 0 and rises, "
            "got [3]",
        ),
        (
            "{plans: {main: {rule: table}}}",
            "scenario.plans.main.weights: expected weights for the rule 'table', got none",
        ),
        (
            "{motives: {a.b: {}}}",
            "scenario.motives.a.b: expected a name of letters, digits, _ and -, got 'a.b'",
        ),
        (
            "{plans: {main: {max_age: 60}}}",
            "scenario.plans.main.max_age: expected the last age of a band "
            "(age_edges [0, 20, 40, 60]), got 60",
        ),
        (
            "{plans: {main: {successor: senior}}}",
            "scenario.plans.main.successor: expected one of ['main'], got 'senior'",
        ),
        (  # probabilities that do not sum
            "{channels: {organic: {motives: {bargain: 0.4}}}}",
            "scenario.channels.organic.motives: expected probabilities that sum to 1, "
            "got a sum of 0.9",
        ),
        (
            "{claims: {report_delay: [0.5, 0.4]}}",
            "scenario.claims.report_delay: expected probabilities that sum to 1, got a sum of 0.9",
        ),
        (
            "{claims: {report_delay: [0.5, 1.4]}}",
            "scenario.claims.report_delay[1]: expected at least 0 and at most 1, got 1.4 "
            "(probability that a diagnosis is reported and assessed 0, 1, 2, ... periods later; "
            "default: [1.0])",
        ),
        (
            "{claims: {severity: {severe: {probability: 0.5, benefit_fraction: 1}}}}",
            "scenario.claims.severity: expected probabilities that sum to 1, got a sum of 0.5",
        ),
        (
            "{channels: {organic: {ages: [{from_age: 0, to_age: 59, male: 0.5, female: 0.4}]}}}",
            "scenario.channels.organic.ages: expected probabilities that sum to 1, "
            "got a sum of 0.9",
        ),
        (
            "{channels: {organic: {ages: [{from_age: 9, to_age: 5, male: 0.5, female: 0.5}]}}}",
            "scenario.channels.organic.ages[0].to_age: expected at least from_age 9, got 5",
        ),
        (
            "{channels: {organic: {ages: [{from_age: 0, to_age: 60, male: 0.5, female: 0.5}]}}}",
            "scenario.channels.organic.ages[0]: expected ages 0 to 59 (the plan 'main'), "
            "got 0 to 60",
        ),
        (
            "{news: {echo: 2}}",
            "scenario.news.echo: expected echo * size / (1 - persistence) below 1, got 2; "
            "otherwise news explodes",
        ),
        (
            "{competitor_pull: [{from_period: 3, value: 1}, {from_period: 3, value: 2}]}",
            "scenario.competitor_pull: expected steps in rising order of from_period, each once, "
            "got [3, 3]",
        ),
        (
            "{age_edges: [0, 30, 20, 60]}",
            "scenario.age_edges: expected rising ages, each once, got [0, 30, 20, 60]",
        ),
        (
            "{initial_members: [{age: 3, sex: male, motive: x, health: standard, members: 1}]}",
            "scenario.initial_members[0].motive: expected one of ['bargain', 'altruist'], got 'x'",
        ),
        (
            "{claims: {incidence: incidence_cn_2020_28}}",
            "scenario.claims.incidence: expected a shipped table or an existing CSV file, "
            "got 'incidence_cn_2020_28'; did you mean incidence_cn_2020_28_diseases? "
            "shipped tables: incidence_cn_2006_2010_25_diseases, "
            "incidence_cn_2006_2010_6_diseases, incidence_cn_2020_28_diseases, "
            "mortality_cn_2010_2013_nonpension_1",
        ),
        (
            "{claims: {incidence: 3}}",
            "scenario.claims.incidence: expected the name of a table or the path of a CSV file, "
            "got 3 (incidence table: a shipped table's name, or a CSV file with columns age, "
            "male, female; unit: per person-year; default: 'incidence_cn_2020_28_diseases')",
        ),
        (
            "{engine: members}",
            "scenario.engine: expected one of cohort, member, got 'members'; did you mean member? "
            "(cohort: members are counted by cell; member: each is simulated, with an age in "
            "years; default: 'cohort')",
        ),
        (
            "{learns_from: own_bills}",
            "scenario.learns_from: expected 'share' with the engine 'cohort', got 'own_bills'; "
            "write engine: member",
        ),
        (
            "{claims: {frailty: {law: gamma, variance: 0.5}}}",
            "scenario.claims.frailty: expected none with the engine 'cohort', "
            "got the law 'gamma'; write engine: member",
        ),
        (
            "{engine: member, age_edges: [0, 20, 40, 60, 129]}",
            "scenario.age_edges: expected at most 128 ages with the engine 'member', "
            "got 129 (0 to 128); narrow them or write engine: cohort\n"
            "top.yaml: scenario.claims.incidence: expected rates for all ages 0 to 128 "
            "(age_edges), got incidence_cn_2020_28_diseases with ages 0 to 105",
        ),
        (
            "{engine: member, claims: {frailty: {law: gamma}}}",
            "scenario.claims.frailty.variance: expected one with the law 'gamma', got none",
        ),
        (
            "{engine: member, claims: {frailty: {law: gamma, variance: 0}}}",
            "scenario.claims.frailty.variance: expected above 0, got 0 "
            "(variance between members, for the law `gamma`; default: null)",
        ),
        (
            "{engine: member, claims: {frailty: {law: gamma, variance: 1, values: [1]}}}",
            "scenario.claims.frailty.values: expected none with the law 'gamma', got 1",
        ),
        (
            "{engine: member, claims: {frailty: {law: gamma, variance: 1, probabilities: [1]}}}",
            "scenario.claims.frailty.probabilities: expected none with the law 'gamma', got 1",
        ),
        (
            "{engine: member, claims: {frailty: {law: discrete, variance: 1, values: [1]}}}",
            "scenario.claims.frailty.variance: expected none with the law 'discrete', got 1",
        ),
        (
            "{engine: member, claims: {frailty: {law: discrete}}}",
            "scenario.claims.frailty.values: expected some with the law 'discrete', got none",
        ),
        (
            "{engine: member, claims: {frailty: {law: discrete, values: [0, 2], "
            "probabilities: [1]}}}",
            "scenario.claims.frailty.probabilities: expected one for each of the 2 values, got 1",
        ),
        (
            "{engine: member, claims: {frailty: {law: discrete, values: [0, 2], "
            "probabilities: [0.5, 0.4]}}}",
            "scenario.claims.frailty.probabilities: expected probabilities that sum to 1, "
            "got a sum of 0.9",
        ),
        (
            "{engine: member, claims: {frailty: {law: discrete, values: [0, 3], "
            "probabilities: [0.5, 0.5]}}}",
            "scenario.claims.frailty.values: expected a mean of 1, got 1.5",
        ),
        (
            "{engine: member, claims: {frailty: {law: discrete, values: [-1, 3], "
            "probabilities: [0.5, 0.5]}}}",
            "scenario.claims.frailty.values[0]: expected at least 0, got -1 "
            "(factors on incidence, for the law `discrete`; their mean is 1)",
        ),
        (
            f"{{engine: member, claims: {{frailty: {{law: discrete, values: {[1] * 9}}}}}}}",
            "scenario.claims.frailty.values: expected at most 8 entries, got 9 "
            "(factors on incidence, for the law `discrete`; their mean is 1)",
        ),
    ],
)
def test_bad_scenario_is_refused_by_file_and_field(
    over: Callable[[str], str], scenario: str, message: str
) -> None:
    assert over(scenario) == f"top.yaml: {message}"


def test_table_with_a_gap_is_refused_by_its_line(over: Callable[[str], str], write: Write) -> None:
    write("my.csv", "age,male,female\n" + "".join(f"{a},0,0\n" for a in range(60) if a != 30))
    assert over("{claims: {incidence: my.csv}}") == (
        "top.yaml: scenario.claims.incidence: my.csv line 32: age: expected 30, got 31 "
        "(ages must follow one another without a gap)"
    )


def test_table_that_does_not_cover_the_ages_is_refused(
    over: Callable[[str], str], write: Write
) -> None:
    write("my.csv", "age,male,female\n" + "".join(f"{a},0,0\n" for a in range(18, 60)))
    assert over("{claims: {mortality: my.csv}}") == (
        "top.yaml: scenario.claims.mortality: expected rates for all ages 0 to 59 (age_edges), "
        "got my with ages 18 to 59"
    )


def test_the_file_that_gave_the_value_is_named(small: Path, write: Write, refusal: Refusal) -> None:
    small.write_text(small.read_text().replace("0.08", "8"))
    write("top.yaml", f"extends: {small}\nscenario: {{periods: 0}}\n")
    assert [line.partition(": expected")[0] for line in refusal("top.yaml").splitlines()] == [
        "top.yaml: scenario.periods",
        "small.yaml: scenario.plans.main.fee_rate",
    ]


def test_of_a_sum_the_file_with_the_last_word_is_named(
    small: Path, write: Write, refusal: Refusal
) -> None:
    write("top.yaml", f"extends: {small}\nscenario: {{title: x}}\n")
    override = "channels.organic.motives.bargain=0.1"
    assert refusal("top.yaml", override).startswith("--set: scenario.channels.organic.motives: ")


def test_a_missing_field_is_laid_to_the_file_that_began_its_mapping(
    small: Path, write: Write, refusal: Refusal
) -> None:
    write("top.yaml", f"extends: {small}\nscenario: {{plans: {{senior: {{max_age: 59}}}}}}\n")
    first, second = refusal("top.yaml").splitlines()
    assert first == (
        "top.yaml: scenario.plans.senior.benefit: expected a list, got nothing "
        "(benefit by age at diagnosis; unit: yuan)"
    )
    assert second.startswith(
        "top.yaml: scenario.plans.senior.advertised_share_yuan: expected a number, above 0, "
        "got nothing"
    )


def test_missing_scenario_is_refused(write: Write, refusal: Refusal) -> None:
    assert refusal(write("a.yaml", "name: a\n")) == (
        "a.yaml: scenario: expected a mapping, got nothing (the pool and its market)"
    )


def test_unknown_section_is_refused(small: Path, write: Write, refusal: Refusal) -> None:
    assert refusal(write("a.yaml", f"extends: {small}\nscenarios: {{}}\n")) == (
        "a.yaml: scenarios: expected a known field, got 'scenarios'; did you mean scenario?"
    )


def test_three_problems_are_told_and_the_rest_counted(over: Callable[[str], str]) -> None:
    lines = over(
        "{periods: 0, periods_per_year: 0, shock_cap: 0, income_yuan_per_year: 0, title: 1}"
    ).splitlines()
    assert [line.partition(": expected")[0] for line in lines] == [
        "top.yaml: scenario.title",
        "top.yaml: scenario.periods",
        "top.yaml: scenario.periods_per_year",
        "and 2 more",
    ]


def test_problems_between_fields_are_told_together(over: Callable[[str], str]) -> None:
    lines = over("{plans: {main: {max_age: 58, successor: x}}, market_members: 0}").splitlines()
    assert [line.partition(": expected")[0] for line in lines[:2]] == [
        "top.yaml: scenario.plans.main.max_age",
        "top.yaml: scenario.plans.main.successor",
    ]


def test_long_values_are_cut(over: Callable[[str], str]) -> None:
    message = over(f"{{periods: {'x' * 500}}}")
    assert "…" in message
    assert len(message) < 300
