"""The digest names the cause of a run's numbers; a resolved configuration is self-contained."""

import hashlib
import json
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from textwrap import indent
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import qmc

from configs import load as load_module
from configs.axes import AnyAxis
from configs.designs import unit_sample
from configs.load import Config, digest, dump, load
from configs.scenario import Scenario
from configs.sweep import Sweep

Write = Callable[[str, str], Path]

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
shares = st.floats(0, 1)
motives = st.dictionaries(
    st.from_regex(r"[a-z_]{1,6}", fullmatch=True),
    st.fixed_dictionaries({"education_speed": shares, "payment_failure": shares}),
    min_size=1,
    max_size=3,
)


@st.composite
def configs(draw: st.DrawFn) -> Config:
    """Draw configurations with odd text, odd floats and an axis."""
    scenario = Scenario.model_validate(
        {
            "title": draw(text),
            "sources": draw(st.lists(text, max_size=2)),
            "start_date": draw(st.none() | st.dates()),
            "market_members": draw(st.integers(0, 2_000_000_000)),
            "age_edges": [0, 30, 60],
            "income_yuan_per_year": draw(st.floats(1e-300, 1e300)),
            "motives": draw(motives),
            "plans": {
                "main": {
                    "max_age": 59,
                    "fee_rate": draw(st.floats(0, 0.999)),
                    "benefit": [{"from_age": 0, "benefit_yuan": draw(st.floats(0, 1e6))}],
                    "advertised_share_yuan": 0.1,
                    "caps": {"per_year_yuan": draw(st.none() | st.floats(0.01, 1e9))},
                }
            },
        }
    )
    axes: dict[str, AnyAxis] = {
        "plans.main.fee_rate": tuple(draw(st.lists(st.floats(0, 0.9), min_size=1, unique=True)))
    }
    sweep = Sweep(paths=draw(st.integers(1, 99)), seed=draw(st.integers(0, 2**64 - 1)), axes=axes)
    return Config(name="drawn", scenario=scenario, sweep=sweep)


@settings(deadline=None)
@given(configs())
def test_dumped_configuration_loads_to_itself_and_its_digest(
    tmp_path_factory: pytest.TempPathFactory, config: Config
) -> None:
    path = tmp_path_factory.mktemp("dump") / "config.yaml"
    path.write_text(dump(config), encoding="utf-8")
    again = load(path)
    assert again == config
    assert digest(again, 3) == digest(config, 3)


def test_resolved_configuration_needs_no_other_file(small: Path, write: Write) -> None:
    rows = "".join(f"{age},0.001,0.002\n" for age in range(60))
    table = write("a/own.csv", f"age,male,female\n{rows}")
    top = write(
        "a/top.yaml",
        """
        extends: ../small.yaml
        scenario: {claims: {incidence: own.csv}}
        sweep: {axes: {claims.mortality: [null, own.csv]}}
        """,
    )
    config = load(top)
    resolved = write("run/config.yaml", "")
    resolved.write_text(dump(config), encoding="utf-8")
    for file in (small, table, top):
        file.unlink()
    assert load(resolved) == config
    assert digest(load(resolved), 0) == digest(config, 0)


@pytest.mark.parametrize(
    "same",
    [
        # another order of fields
        "plans: {main: {fee_rate: 0.08, advertised_share_yuan: 0.1}}",
        # a default, said
        "periods: 72",
        # whole numbers for numbers
        "shock_cap: 5",
        "closure: {share_limit_periods: 1, floor_members: 0}",
        "news: {persistence: -0.0}",
        # a table by its contents
        "claims: {incidence: incidence_cn_2020_28_diseases}",
    ],
)
def test_digest_does_not_depend_on_how_a_scenario_is_written(
    small: Path, write: Write, same: str
) -> None:
    top = write("top.yaml", f"extends: {small}\nscenario: {{{same}}}\n")
    assert digest(load(top), 1) == digest(load(small), 1)


def test_digest_does_not_depend_on_the_order_of_fields_nor_on_comments(write: Write) -> None:
    plan = "{max_age: 59, benefit: [{from_age: 0, benefit_yuan: 1}], advertised_share_yuan: 1}"
    fields = [
        "title: x",
        "market_members: 5 # a market",
        f"plans: {{main: {plan}}}",
        "motives: {a: {}}",
    ]
    one = write("one.yaml", "scenario:\n" + indent("\n".join(fields), "  "))
    two = write("two.yaml", "# note\nscenario:\n" + indent("\n".join(reversed(fields)), "  "))
    assert digest(load(one), 0) == digest(load(two), 0)


def test_digest_does_not_depend_on_where_a_table_lies(small: Path, write: Write) -> None:
    rows = "".join(f"{age},0.001,0.002\n" for age in range(60))
    write("a/own.csv", f"age,male,female\n{rows}")
    write("b/own.csv", f"# a note\nage,female,male\n{rows.replace('1,0.002', '2,0.001')}")
    first = load(small, ["claims.incidence=a/own.csv"])
    assert digest(load(small, ["claims.incidence=b/own.csv"]), 0) == digest(first, 0)


@pytest.mark.parametrize(
    "override",
    [
        "plans.main.fee_rate=0.080001",
        "title=Another",
        "sweep.paths=7",
        "sweep.axes.plans.main.fee_rate=[0]",
        "claims.incidence=incidence_cn_2006_2010_6_diseases",
    ],
)
def test_digest_follows_what_a_run_depends_on(small: Path, override: str) -> None:
    assert digest(load(small, [override]), 1) != digest(load(small), 1)


def test_digest_follows_the_order_of_axes_since_points_are_numbered_by_it(small: Path) -> None:
    one, two = "sweep.axes.periods=[3, 4]", "sweep.axes.shock_cap=[1, 2]"
    assert digest(load(small, [one, two]), 0) != digest(load(small, [two, one]), 0)


def test_digest_follows_the_order_of_classes_since_draws_are_addressed_by_it(small: Path) -> None:
    swapped = ["motives={altruist: {}, bargain: {education_speed: 0.2}}"]
    assert digest(load(small, swapped), 0) != digest(load(small), 0)


def test_digest_follows_the_seed_given_and_not_the_file_s(small: Path) -> None:
    config, other = load(small), load(small, ["sweep.seed=5"])
    assert digest(config, 1) == digest(other, 1)
    assert digest(config, 1) != digest(config, 2)


def test_digest_does_not_follow_the_name(small: Path, write: Write) -> None:
    named = write("named.yaml", f"name: another\nextends: {small}\n")
    assert digest(load(named), 1) == digest(load(small), 1)


def test_digest_follows_the_version(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = digest(load(small), 1)
    monkeypatch.setattr(load_module, "version", lambda _: "999")
    assert digest(load(small), 1) != before


def test_digest_needs_no_installed_version(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(load_module, "version", missing)
    assert len(digest(load(small), 1)) == 64


SAMPLED = ["sweep.design=sobol", "sweep.points=4", "sweep.axes={periods: {low: 3, high: 9}}"]


def test_digest_of_a_sampled_design_follows_the_sample_and_what_makes_it(small: Path) -> None:
    changes = [
        *([], ["sweep.design_seed=1"], ["sweep.points=8"], ["sweep.design=random"]),
        *(["sweep.design=saltelli"], ["sweep.design=saltelli", "sweep.second_order=true"]),
    ]
    digests = {digest(load(small, [*SAMPLED, *change]), 1) for change in changes}
    assert len(digests) == len(changes)


def test_digest_follows_a_sample_that_another_version_draws_otherwise(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load(small, SAMPLED)
    before = digest(config, 1)
    monkeypatch.setattr(qmc.Sobol, "random", lambda self, n: np.full((n, self.d), 0.25))
    unit_sample.cache_clear()
    after = digest(config, 1)
    unit_sample.cache_clear()
    assert after != before


def test_fields_that_came_later_do_not_count_where_they_have_their_default(small: Path) -> None:
    """The digest of 0.1.0 is that of these fields alone, so runs keep their folders."""
    config = load(small, ["sweep.axes.periods=[3, 4]"])
    scenario = load_module.canonical(config.scenario)
    sweep = {"axes": [["periods", [3, 4]]], "design": "grid", "members_sample": 1.0, "paths": 100}
    cause = {"scenario": scenario, "sweep": sweep, "seed": 1, "version": load_module._version()}
    text = json.dumps(cause, sort_keys=True, separators=(",", ":"))
    assert digest(config, 1) == hashlib.sha256(text.encode()).hexdigest()
    for default in ("design_seed=0", "random_numbers=common", "policies={}", "points=null"):
        said = load(small, ["sweep.axes.periods=[3, 4]", f"sweep.{default}"])
        assert digest(said, 1) == digest(config, 1)
