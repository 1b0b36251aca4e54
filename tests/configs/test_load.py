"""Configuration files: what is read, how files extend one another, overrides."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from configs.load import Config, load

Write = Callable[[str, str], Path]
Refusal = Callable[..., str]
SHIPPED = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))


def test_file_alone_is_loaded_with_defaults(small: Path) -> None:
    config = load(small)
    assert isinstance(config, Config)
    assert config.name == "small"
    assert config.scenario.plans["main"].fee_rate == 0.08
    assert config.scenario.claims.incidence.name == "incidence_cn_2020_28_diseases"
    assert config.scenario.health["standard"].acceptance == 1
    assert (config.sweep.design, config.sweep.axes) == ("grid", {})


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_shipped_configuration_loads(path: Path) -> None:
    assert load(path).name == path.stem


def test_path_may_be_text(small: Path) -> None:
    assert load(str(small)) == load(small)


def test_mappings_merge_deeply_and_lists_and_scalars_replace(small: Path, write: Write) -> None:
    write(
        "top.yaml",
        """
        extends: small.yaml
        scenario:
          title: Another
          plans:
            main: {benefit: [{from_age: 0, benefit_yuan: 5}]}
          motives:
            idle: {payment_failure: 0.5}
        """,
    )
    base, top = load(small).scenario, load("top.yaml").scenario
    assert top.title == "Another"
    assert top.plans["main"].fee_rate == base.plans["main"].fee_rate
    assert [step.benefit_yuan for step in top.plans["main"].benefit] == [5]
    assert list(top.motives) == ["bargain", "altruist", "idle"]


def test_chain_of_three_files_is_followed_from_each_file_s_folder(
    small: Path, write: Write
) -> None:
    write("a/middle.yaml", "extends: ../small.yaml\nscenario: {periods: 10, shock_cap: 2}\n")
    write("b/c/top.yaml", "extends: ../../a/middle.yaml\nscenario: {periods: 20}\n")
    scenario = load("b/c/top.yaml").scenario
    assert (scenario.periods, scenario.shock_cap) == (20, 2)
    assert scenario.plans == load(small).scenario.plans


def test_name_is_the_file_s_own_and_never_that_of_the_file_it_extends(
    small: Path, write: Write
) -> None:
    write("named.yaml", f"name: given\nextends: {small}\n")
    write("top.yaml", "extends: named.yaml\n")
    assert load("named.yaml").name == "given"
    assert load("top.yaml").name == "top"


def test_table_path_starts_at_the_file_that_names_it(small: Path, write: Write) -> None:
    rows = "".join(f"{age},0.001,0.002\n" for age in range(60))
    write("a/own.csv", f"age,male,female\n{rows}")
    write("a/base.yaml", f"extends: ../{small}\nscenario: {{claims: {{incidence: own.csv}}}}\n")
    write(
        "b/top.yaml",
        """
        extends: ../a/base.yaml
        sweep: {axes: {claims.mortality: [null, ../a/own.csv]}}
        """,
    )
    config = load("b/top.yaml")
    assert config.scenario.claims.incidence.rate(59, "female") == 0.002
    assert config.sweep.axes["claims.mortality"][1]["name"] == "own"  # type: ignore[index, call-overload]


@pytest.mark.parametrize(
    ("override", "read"),
    [
        ("plans.main.fee_rate=0.1", lambda c: c.scenario.plans["main"].fee_rate == 0.1),
        ("scenario.plans.main.fee_rate=0", lambda c: c.scenario.plans["main"].fee_rate == 0),
        (
            "plans.main.benefit.1.benefit_yuan=7",
            lambda c: c.scenario.plans["main"].benefit[1].benefit_yuan == 7,
        ),
        (
            "motives.*.education_speed=1e-2",
            lambda c: {m.education_speed for m in c.scenario.motives.values()} == {0.01},
        ),
        ("news.persistence=0.5", lambda c: c.scenario.news.persistence == 0.5),
        (
            "health.standard.acceptance=0.9",
            lambda c: c.scenario.health["standard"].acceptance == 0.9,
        ),
        ("health.*.acceptance=0.9", lambda c: c.scenario.health["standard"].acceptance == 0.9),
        (
            "claims.severity.severe.benefit_fraction=0.9",
            lambda c: (
                c.scenario.claims.severity["severe"].benefit_fraction == 0.9
                and c.scenario.claims.severity["severe"].probability == 1
            ),
        ),
        (
            "plans.main.caps.per_year_yuan=188",
            lambda c: c.scenario.plans["main"].caps.per_year_yuan == 188,
        ),
        (
            "claims.mortality=mortality_cn_2010_2013_nonpension_1",
            lambda c: c.scenario.claims.mortality.covers(0, 105),
        ),
        ("regulator_announcements=[3, 4]", lambda c: c.scenario.regulator_announcements == (3, 4)),
        ("start_date=2018-10-16", lambda c: c.scenario.start_date.isoformat() == "2018-10-16"),
        ("title=a=b", lambda c: c.scenario.title == "a=b"),
        ("sweep.paths=10", lambda c: c.sweep.paths == 10),
        (
            "sweep.axes.plans.main.fee_rate=[0, 0.1]",
            lambda c: c.sweep.axes == {"plans.main.fee_rate": (0.0, 0.1)},
        ),
        ("sweep.axes={}", lambda c: c.sweep.axes == {}),
    ],
)
def test_override_sets_a_field(small: Path, override: str, read: Callable[[Config], bool]) -> None:
    assert read(load(small, [override]))


def test_later_override_wins_and_all_are_checked_together(small: Path) -> None:
    overrides = ["channels.organic.motives.bargain=0.9", "channels.organic.motives.altruist=0.3"]
    last = "channels.organic.motives.altruist=0.1"
    motives = load(small, [*overrides, last]).scenario.channels["organic"].motives
    assert motives == {"bargain": 0.9, "altruist": 0.1}


def test_override_can_give_what_the_file_lacks(write: Write) -> None:
    from_file = write("base.yaml", "scenario: {title: x}\n")
    given = [
        "market_members=10",
        "motives={a: {}}",
        "plans={p: {max_age: 59, benefit: [{from_age: 0, benefit_yuan: 1}], "
        "advertised_share_yuan: 1}}",
    ]
    assert list(load(from_file, given).scenario.plans) == ["p"]


def test_override_table_path_starts_at_the_working_directory(small: Path, write: Write) -> None:
    rows = "".join(f"{age},0.001,0.002\n" for age in range(60))
    write("own.csv", f"age,male,female\n{rows}")
    write("deep/top.yaml", f"extends: ../{small}\n")
    assert (
        load("deep/top.yaml", ["claims.incidence=own.csv"]).scenario.claims.incidence.name == "own"
    )


def test_file_that_extends_nothing_existing_says_what_lies_there(
    write: Write, refusal: Refusal, small: Path
) -> None:
    write("a/top.yaml", "extends: ../smal.yaml\n")
    assert refusal("a/top.yaml") == (
        "a/top.yaml: extends: expected an existing file, got '../smal.yaml'; "
        "did you mean small.yaml? YAML files there: small.yaml"
    )


def test_circle_of_files_is_refused_by_its_files(write: Write, refusal: Refusal) -> None:
    write("a.yaml", "extends: b.yaml\n")
    write("b.yaml", "extends: sub/../a.yaml\n")
    assert refusal("a.yaml") == (
        "b.yaml: extends: expected files that do not extend one another in a circle, "
        "got a.yaml -> b.yaml -> a.yaml"
    )


def test_file_that_extends_itself_is_refused(write: Write, refusal: Refusal) -> None:
    assert "got a.yaml -> a.yaml" in refusal(write("a.yaml", "extends: a.yaml\n"))


def test_extends_takes_one_file(write: Write, refusal: Refusal) -> None:
    assert refusal(write("a.yaml", "extends: [b.yaml, c.yaml]\n")) == (
        'a.yaml: extends: expected the path of one file, got ["b.yaml", "c.yaml"]'
    )


def test_missing_file_is_refused_with_the_path_as_given(small: Path, refusal: Refusal) -> None:
    assert refusal("smll.yaml") == (
        "smll.yaml: expected an existing file, got no such file; "
        "did you mean small.yaml? YAML files there: small.yaml"
    )
    assert refusal("no/x.yaml") == (
        "no/x.yaml: expected an existing file, got no such file; "
        "cannot look into the folder 'no': No such file or directory"
    )


def test_missing_file_in_an_empty_folder_is_refused(
    refusal: Refusal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert refusal("x.yaml") == (
        "x.yaml: expected an existing file, got no such file; there are no YAML files in '.'"
    )


@pytest.mark.parametrize("name", ["x" * 5000, "x\0y"])
def test_names_that_no_file_can_have_are_refused(
    small: Path, write: Write, refusal: Refusal, name: str
) -> None:
    assert "got no such file" in refusal(f"{name}.yaml")
    assert "expected an existing file" in refusal(write("a.yaml", f"extends: {name!r}\n"))
    assert "expected a shipped table" in refusal(small, f"claims.incidence={json.dumps(name)}")


def test_folder_is_refused(write: Write, refusal: Refusal) -> None:
    write("runs/config.yaml", "scenario: {}")
    assert refusal("runs") == (
        "runs: expected a YAML file, got a folder; YAML files there: config.yaml"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a.yaml: expected a mapping with extends, name, scenario, sweep, got an empty file"),
        (
            "# nothing\n",
            "a.yaml: expected a mapping with extends, name, scenario, sweep, got an empty file",
        ),
        (
            "- a\n- b\n",
            'a.yaml: expected a mapping with extends, name, scenario, sweep, got ["a", "b"]',
        ),
        (
            "just text",
            "a.yaml: expected a mapping with extends, name, scenario, sweep, got 'just text'",
        ),
        (
            "scenario:\n  title: a\n  title: b\n",
            "a.yaml line 3: expected each key once, got 'title' again (first in line 2)",
        ),
        (
            "scenario:\n\ttitle: a\n",
            "a.yaml line 2: expected YAML, but found character '\\t' that cannot start any token "
            "while scanning for the next token (indent with spaces)",
        ),
    ],
)
def test_text_that_is_no_configuration_is_refused(
    write: Write, refusal: Refusal, text: str, message: str
) -> None:
    write("a.yaml", "")
    Path("a.yaml").write_text(text, encoding="utf-8")
    assert refusal("a.yaml") == message


def test_file_that_is_not_utf8_is_refused(refusal: Refusal, write: Write) -> None:
    write("a.yaml", "")
    Path("a.yaml").write_bytes("scenario: {title: 相互宝}".encode("gbk"))
    assert refusal("a.yaml") == (
        "a.yaml: expected UTF-8 text, got the byte 0xcf at position 18; save the file as UTF-8"
    )


@pytest.mark.parametrize("name", [".hidden", "a/b", "a\\b", " a", ""])
def test_name_that_is_no_folder_s_is_refused(
    small: Path, write: Write, refusal: Refusal, name: str
) -> None:
    message = refusal(write("top.yaml", f"extends: {small}\nname: '{name}'\n"))
    assert message.startswith("top.yaml: name: expected ")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("fee", "--set: expected dotted.field=value, got 'fee'"),
        ("=3", "--set: expected dotted.field=value, got '=3'"),
        (
            "fee_rate=0.1",
            "--set: expected a field of the scenario, got 'fee_rate'; "
            "did you mean plans.main.fee_rate?",
        ),
        (
            "plans.mian.fee_rate=0.1",
            "--set: expected a field of the scenario, "
            "got 'plans.mian.fee_rate'; did you mean plans.main.fee_rate?",
        ),
        (
            "plans.main.fee_rate.x=0.1",
            "--set: expected a field of the scenario, "
            "got 'plans.main.fee_rate.x'; did you mean plans.main.fee_rate?",
        ),
        (
            "plans.main.benefit.2.from_age=50",
            "--set: expected a field of the scenario, "
            "got 'plans.main.benefit.2.from_age'; did you mean plans.main.benefit.0.from_age?",
        ),
        (
            "sweep.path=3",
            "--set: expected a field of the sweep, got 'path'; did you mean paths?",
        ),
        (
            "zzz=1",
            "--set: expected a field of the scenario, got 'zzz'",
        ),
        (
            "title=[a",
            "--set: title: expected YAML, but expected ',' or ']', but got '<stream end>' "
            "while parsing a flow sequence",
        ),
        (
            "plans.main.fee_rate=-1",
            "--set: scenario.plans.main.fee_rate: expected at least 0 and below 1, got -1 "
            "(management fee on benefits; unit: share of benefits; default: 0.0)",
        ),
        (
            "sweep.paths=0",
            "--set: sweep.paths: expected at least 1 and at most 2_147_483_647, got 0 "
            "(paths of each point; with `stop_when`, the most; unit: paths; default: 100)",
        ),
        (
            "sweep.seed=-1",
            "--set: sweep.seed: expected at least 0 and at most 18_446_744_073_709_551_615, "
            "got -1 (seed of the random numbers; default: 0)",
        ),
        (
            "sweep.design=gird",
            "--set: sweep.design: expected one of grid, list, random, latin_hypercube, sobol, "
            "saltelli, morris, got 'gird'; did you mean grid? (how axes make points: every "
            "combination (grid), the values in turn (list), or a sample; default: 'grid')",
        ),
    ],
)
def test_bad_override_is_refused(
    small: Path, refusal: Refusal, override: str, message: str
) -> None:
    assert refusal(small, override) == message
