"""Money comes from somewhere and goes somewhere: both books balance on real rows.

A book is a sum of some hundred terms, each rounded by 2**-53 relative to the money that has flowed:
1e-9 of the largest entry is far more than that.
"""

import dataclasses
from collections import defaultdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from configs.load import Config
from flows import rows, simulation
from results.analysis.money import (
    MEMBERS_SOURCES,
    MEMBERS_USES,
    SOURCES,
    USES,
    cash_books,
    members_books,
    members_money,
    money,
    money_over_time,
)
from results.run import Run, RunError, open_run
from results.store import create_run
from tests.results.synthetic import a_manifest, close
from tests.scenarios import a_scenario, channel, flat_table, people

RELATIVE = 1e-9
PATHS = 6
FUNDING = 20_000.0
PUSH = ({"from_period": 0, "value": 0.001},)

Book = dict[str, Any]

CASES: dict[str, dict[str, Any]] = {
    "everything is on": {
        "plans": {
            "main": {
                "fee_rate": 0.1,
                "smoothing": {"persistence": 0.8},
                "reserve_yuan": 5_000.0,
                "custody_yuan_per_member_year": 6.0,
                "uncollected_to": "next_period",
            },
            "elder": {
                "max_age": 59,
                "benefit": ({"from_age": 0, "benefit_yuan": 500.0},),
                "advertised_share_yuan": 1.0,
                "prepaid": {"deposit_yuan": 30.0},
            },
        },
        "platform": {
            "interest_rate": 0.03,
            "interest_to": "platform",
            "operating_yuan_per_year": 1_200.0,
            "investigation_yuan_per_claim": 20.0,
        },
        "initial_members": [people(1_000), people(500, plan="elder")],
        "channels": {"web": channel(push=PUSH, acquisition_yuan_per_join=2.0, red_packet_yuan=1.0)},
    },
    "a platform without a parent fails": {
        "plans": {"main": {"custody_yuan_per_member_year": 60.0}},
        "platform": {
            "parent": False,
            "custody_from": "platform",
            "operating_yuan_per_year": 24_000.0,
        },
        "closure": {"returned_contributions": 0.3},
    },
    "a fund of a fixed price is ruined": {
        "plans": {"main": {"fixed_price_yuan_per_year": 30.0, "reserve_yuan": 30_000.0}},
    },
    "members get back what they paid": {
        "closure": {"floor_members": 10**6, "floor_from_period": 4, "returned_contributions": 0.5},
    },
}


def simulated(folder: Path, **changes: Any) -> Run:
    """Simulate a small pool and write its run."""
    platform = {"funding_yuan": FUNDING, **changes.pop("platform", {})}
    scenario = a_scenario(
        **{"initial_members": [people(1_000)]} | changes,
        claims={"incidence": flat_table(0.1)},
        platform=platform,
    )
    config = Config.model_validate({"name": "small", "scenario": scenario, "sweep": {}})
    block = simulation.simulate(scenario, 7, 0, range(PATHS))
    store = create_run(folder)
    plans = tuple(scenario.plans)
    manifest = a_manifest(
        config=config.model_dump(mode="json"), plans=plans, points=1, periods_per_year=12
    )
    tables = (rows.path_table, rows.pool_table, rows.period_table)
    names = ("paths", "pools", "periods")
    files = [store.write_table(n, t(block), 0) for n, t in zip(names, tables, strict=True)]
    close(store, manifest, files)
    return open_run(folder)


@pytest.fixture(scope="module", params=CASES)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return simulated(tmp_path_factory.mktemp("run") / "run", **CASES[request.param])


def assert_balanced(books: pa.Table, sources: tuple[str, ...], uses: tuple[str, ...]) -> None:
    assert books.num_rows == PATHS
    for book in books.to_pylist():
        largest = max(abs(book[name]) for name in (*sources, *uses))
        incoming, outgoing = (sum(book[name] for name in side) for side in (sources, uses))
        assert incoming == pytest.approx(outgoing, abs=RELATIVE * largest)
        assert largest > 0.0


def test_cash_comes_from_its_sources_and_goes_to_its_uses_on_every_path(run: Run) -> None:
    books = cash_books(run, [0])
    assert_balanced(books, SOURCES, USES)
    assert set(books["funding"].to_pylist()) == {FUNDING}


def test_what_is_shared_is_paid_by_members_or_platform_on_every_path(run: Run) -> None:
    assert_balanced(members_books(run, [0]), MEMBERS_SOURCES, MEMBERS_USES)


def test_every_period_has_as_much_coming_in_as_going_out(run: Run) -> None:
    balance: dict[int, float] = defaultdict(float)
    largest = 0.0
    for row in money_over_time(run, [0]).to_pylist():
        balance[row["period"]] += row["mean"] if row["side"] == "source" else -row["mean"]
        largest = max(largest, abs(row["mean"]))
    assert balance
    assert max(map(abs, balance.values())) <= RELATIVE * largest


def test_the_periods_add_up_to_the_whole_life(run: Run) -> None:
    whole = {row["name"]: row["mean"] for row in money(run, [0]).to_pylist()}
    summed: dict[str, float] = defaultdict(float)
    for row in money_over_time(run, [0]).to_pylist():
        summed[row["name"]] += row["mean"]
    for name in {*SOURCES, *USES} - {"from_reserve", "to_reserve", "lent", "cash_left"}:
        assert summed[name] == pytest.approx(whole.get(name, 0.0), rel=RELATIVE), name
    left = whole.get("cash_left", 0.0) - whole.get("lent", 0.0)
    moved = summed["to_cash"] - summed["from_cash"]
    assert moved == pytest.approx(left, abs=RELATIVE * max(map(abs, whole.values())))


def test_each_kind_of_money_is_there_that_the_platform_earns_or_pays(tmp_path: Path) -> None:
    run = simulated(tmp_path, **CASES["everything is on"])
    names = {row["name"] for row in money(run, [0]).to_pylist()}
    assert names >= {"interest", "custody", "acquisition", "red_packets", "operating"}
    assert names >= {"funding", "collected", "benefits", "investigation"}
    shared = {row["name"] for row in members_money(run, [0]).to_pylist()}
    assert shared >= {"fee", "custody", "benefits", "to_reserve"}


def test_what_failed_to_be_paid_of_benefits_charged_was_kept(tmp_path: Path) -> None:
    run = simulated(tmp_path, **CASES["a platform without a parent fails"])
    with run.duckdb() as connection:
        defaulted = connection.sql("select sum(defaulted) from periods").fetchall()[0][0]
    kept = sum(members_books(run, [0])["kept"].to_pylist())
    assert defaulted > 0.0
    assert kept == pytest.approx(defaulted, rel=RELATIVE)


def test_plans_add_up_to_the_pool(tmp_path: Path) -> None:
    run = simulated(tmp_path, **CASES["everything is on"])
    parts = [members_books(run, [0], plan).to_pylist() for plan in run.manifest.plans]
    for number, whole in enumerate(members_books(run, [0]).to_pylist()):
        for name in (*MEMBERS_SOURCES, *MEMBERS_USES):
            one, other = (part[number][name] for part in parts)
            assert one + other == pytest.approx(whole[name], rel=RELATIVE, abs=1e-6), name


def test_a_plan_that_there_is_none_of_is_refused(run: Run) -> None:
    with pytest.raises(RunError, match="no plan 'gold'"):
        members_money(run, [0], "gold")
    with pytest.raises(RunError, match=r"no point 7; .* has points 0 to 0"):
        money(run, [7])


def test_a_platform_that_is_swept_is_the_point_s_own(tmp_path: Path) -> None:
    run = simulated(tmp_path, **CASES["everything is on"])
    swept = {"platform.funding_yuan": [FUNDING, 5.0], "platform.interest_to": ["members"]}
    config = {**run.manifest.config, "sweep": {"axes": swept}}
    other = dataclasses.replace(run.manifest, config=config, points=2)
    books = cash_books(dataclasses.replace(run, manifest=other), [0, 1])
    assert set(books["funding"].to_pylist()) == {FUNDING}
    assert set(books["interest"].to_pylist()) == {0.0}
    assert cash_books(run, [0])["interest"].to_pylist()[0] > 0.0
