"""`huzhu apportion` and its library call: one bill, every rule, worked by hand."""

import csv
import doctest
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from configs.cells import CellTable, read_cells
from configs.messages import ConfigError
from flows import apportionment, cli
from flows.apportionment import RULES, apportion
from results.charges import charges_text

# Mean losses 3 and 2 yuan: 60 * 3 + 40 * 2 = 260 expected.
TINY = """\
cell,members,probability,benefit_yuan,weight,band,claims_yuan
young,60,0.01,300,1,a,300
old,40,0.02,100,2,b,100
"""
BY_HAND = """\
Charge, yuan a member (fair: the member's own expected loss, with the fee)
cell   members    fair   equal   table  expected  pooled_bands
young       60   3.300   4.400   3.143     5.077         5.288
old         40   2.200   4.400   6.286     3.385         3.067
total      100  286.00  440.00  440.00    440.00        440.00

Cross-subsidy, yuan a member (above 0: pays for others)
cell   members   equal   table  expected  pooled_bands
young       60  -0.677  -1.934    +0.000        +0.212
old         40  +1.015  +2.901    +0.000        -0.317

Under every rule the charges add up to the bill with the fee, 440.00 yuan.
Every charge is exact.
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "cells.csv"
    file.write_text(TINY)
    return file


@pytest.fixture
def cells(file: Path) -> CellTable:
    return read_cells(file)


def by_command(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Carry out `huzhu apportion` and return what it printed."""
    assert cli.carry_out(["apportion", *map(str, arguments)]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    return printed.out


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Carry out `huzhu apportion`, which must refuse, and return why."""
    assert cli.carry_out(["apportion", *map(str, arguments)]) == cli.BAD_INPUT
    printed = capsys.readouterr()
    assert printed.out == ""
    return printed.err


def test_a_small_bill_is_shared_as_by_hand(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # equal 400 / 100; table 400 / (60 + 80); expected 400 mu / 260; bands (300 / 2 + 200 * 180 /
    # 260) / 60 and (100 / 2 + 200 * 80 / 260) / 40; all with a fee of 10 %
    rules = ["--rule", "equal", "--rule", "table", "--rule", "expected", "--rule", "pooled_bands"]
    got = by_command(capsys, file, "--bill", 400, "--fee", 0.1, "--quota", 0.5, *rules)
    young = 1.1 * (150 + 200 * 180 / 260) / 60
    assert f"{young:.3f}" in got
    assert got == BY_HAND


@pytest.mark.parametrize("rule", RULES)
def test_charges_add_up_to_the_bill_and_the_fee_and_subsidies_to_nothing(
    rule: str, cells: CellTable
) -> None:
    charges = apportion(cells, rule, 400.0, fee_rate=0.08, quota=0.3)
    assert charges.rule == rule
    assert charges.billed_yuan == pytest.approx(432.0)
    # a sum of two products
    assert cells.members @ charges.charge == pytest.approx(432.0, rel=1e-13)
    assert cells.members @ charges.cross_subsidy == pytest.approx(0.0, abs=432e-13)
    assert charges.fair == pytest.approx([3.24, 2.16], rel=1e-14)


def test_cross_subsidy_is_the_charge_less_the_fair_one_scaled_to_the_bill(
    cells: CellTable,
) -> None:
    charges = apportion(cells, "conditional_mean", 400.0, fee_rate=0.08)
    scaled = charges.charge - charges.fair * 400 / 260
    assert charges.cross_subsidy == pytest.approx(scaled, rel=1e-12)


def test_equal_shares_of_the_expected_bill_subsidise_by_the_mean_less_the_own_mean(
    cells: CellTable,
) -> None:
    charges = apportion(replace(cells, claims_yuan=None), "equal", 260.0, fee_rate=0.5)
    assert charges.cross_subsidy == pytest.approx([1.5 * (2.6 - 3), 1.5 * (2.6 - 2)], rel=1e-13)


def test_unknown_claims_are_taken_in_proportion_to_expected_losses(cells: CellTable) -> None:
    unknown = replace(cells, claims_yuan=None)
    known = replace(cells, claims_yuan=np.array([400 * 180 / 260, 400 * 80 / 260]))
    for rule in RULES:
        one, other = apportion(unknown, rule, 400.0), apportion(known, rule, 400.0)
        assert one.charge == pytest.approx(other.charge, rel=1e-12)


def test_without_any_expected_loss_equal_shares_are_the_measure(cells: CellTable) -> None:
    still = replace(cells, probability=np.zeros(2), claims_yuan=None)
    for rule in set(RULES) - {"table", "pooled_bands"}:
        charges = apportion(still, rule, 400.0)
        assert charges.charge.tolist() == [4.0, 4.0]
        assert charges.cross_subsidy.tolist() == [0.0, 0.0]


def test_csv_and_json_hold_every_figure_of_every_rule(
    file: Path, cells: CellTable, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = list(
        csv.DictReader(io.StringIO(by_command(capsys, file, "--bill=400", "--format=csv")))
    )
    answer = json.loads(by_command(capsys, file, "--bill=400", "--format=json"))
    assert answer["billed_yuan"] == 400.0
    expected = [
        (rule, name, charge, subsidy)
        for rule in RULES
        for charges in [apportion(cells, rule, 400.0)]
        for name, charge, subsidy in zip(
            cells.cell, charges.charge.tolist(), charges.cross_subsidy.tolist(), strict=True
        )
    ]
    for found in (lines, answer["charges"]):
        assert [
            (row["rule"], row["cell"], float(row["charge_yuan"]), float(row["cross_subsidy_yuan"]))
            for row in found
        ] == expected
    assert list(lines[0]) == list(answer["charges"][0])
    assert [row["members"] for row in answer["charges"]] == [60, 40] * len(RULES)


def test_a_bill_of_nothing_is_shown_as_zeros(cells: CellTable) -> None:
    still = replace(cells, probability=np.zeros(2), claims_yuan=None, cell=("青年", "old"))
    text = charges_text(still, [apportion(still, "equal", 0.0)])
    assert text.splitlines()[2].split() == ["青年", "60", "0.00", "0.00"]
    # a Chinese character is as wide as two others
    assert len(text.splitlines()[2]) == len(text.splitlines()[3]) - 2


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"bill_yuan": -1.0}, "bill_yuan: expected a number of yuan from 0 to 1000000000000000, "),
        ({"bill_yuan": float("nan")}, "bill_yuan: expected a number of yuan .*, got NaN"),
        ({"fee_rate": 8.0}, r"fee_rate: expected a share of benefits from 0 to 1, got 8\.0"),
        ({"quota": 1.5}, r"quota: expected a share from 0 to 1, got 1\.5"),
        ({"rule": "expcted"}, "rule: expected one of equal, .*, got 'expcted'; did you mean exp"),
        ({"rule": "zz"}, "rule: expected one of equal, .*, got 'zz'$"),
        ({"bill_yuan": 500.0}, r"claims_yuan: .* bill of 500\.00 yuan, got 400\.00; correct one"),
    ],
)
def test_what_is_out_of_range_is_refused(
    cells: CellTable, changes: dict[str, float | str], said: str
) -> None:
    arguments = {"rule": "equal", "bill_yuan": 400.0, **changes}
    with pytest.raises(ConfigError, match=said):
        apportion(cells, **arguments)  # type: ignore[arg-type]


def test_cells_without_members_are_refused(cells: CellTable) -> None:
    with pytest.raises(ConfigError, match="members: expected at least 1 in all cells, got 0"):
        apportion(replace(cells, members=np.zeros(2, np.int64)), "equal", 400.0)


def test_a_bad_file_or_argument_ends_with_status_2_and_names_the_column(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "rule: expected one of equal" in refused(capsys, file, "--bill", 400, "--rule", "x")
    assert "Missing option '--bill'" in refused(capsys, file)
    file.write_text(TINY.replace("0.02", "2 %"))
    message = refused(capsys, file, "--bill", 400)
    assert message == (
        f"huzhu: {file} line 3: probability: expected a probability (0.5 % is written 0.005) from "
        "0 to 1, got '2 %'\n"
    )


def test_the_example_of_the_library_call_is_what_it_returns() -> None:
    assert doctest.testmod(apportionment) == (0, 5)


def test_the_manual_shows_what_the_command_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    manual = (Path(__file__).parents[2] / "docs" / "apportionment.md").read_text()
    _, table, _, session, _ = manual.split("```\n")
    command, _, output = session.partition("\n")
    (tmp_path / "cells.csv").write_text(table)
    monkeypatch.chdir(tmp_path)
    assert by_command(capsys, *command.removeprefix("$ huzhu apportion ").split()) == output


TWO = """\
cell,members,probability,benefit_yuan
younger,1,0.02,50021
older,1,0.10,30011
"""


@pytest.mark.parametrize(
    ("bill", "said"),
    [
        (30_011, "Every charge is exact.\n"),
        (
            40_000,
            "conditional_mean: a bill of 40,000.00 yuan is impossible, no claims add up to it. The "
            "charges are those of the bills nearby, smoothed.\n",
        ),
        (
            90_000,
            "conditional_mean: a bill of 90,000.00 yuan is impossible, at most 80,032.00 yuan can "
            "be claimed. The charges are those of that bill, scaled up.\n",
        ),
    ],
)
def test_the_conditional_mean_says_what_its_charges_are_worth(
    file: Path, bill: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(TWO)
    assert by_command(capsys, file, "--bill", bill).endswith(said)


def test_a_bill_below_what_is_certain_is_said_to_be_impossible(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(TWO.replace("0.10", "1"))
    assert cli.carry_out(["apportion", str(file), "--bill", "100"]) == 0
    assert capsys.readouterr().out.endswith(
        "impossible, 30,011.00 yuan is certain to be claimed. The charges are those of that bill, "
        "scaled down.\n"
    )


def test_an_approximation_stands_beside_its_error_in_every_format(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # ten thousand cases of three odd benefits: too many to count one by one
    lines = [f"{b},10_000_000,0.0003,{b}" for b in (50_021, 30_011, 20_003)]
    file.write_text("\n".join(["cell,members,probability,benefit_yuan", *lines]))
    arguments = (file, "--bill", 300_100_000, "--fee", 0.5, "--rule", "conditional_mean")
    text = by_command(capsys, *arguments)
    assert "conditional_mean is approximate: it counts nearby bills as the same bill." in text
    assert cli.carry_out(["apportion", *map(str, arguments), "--format", "json"]) == 0
    out, err = capsys.readouterr()
    record = json.loads(out)["charges"][0]
    assert record["method"] == "saddle_point"
    assert f"off by up to {record['error_yuan']:.2g} yuan" in text
    assert f"off by up to {record['error_yuan']:.2g} yuan" in err


def test_implausible_probabilities_are_warned_of_on_standard_error(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(TINY.replace("0.02", "2e-1"))
    assert cli.carry_out(["apportion", str(file), "--bill", "400", "--rule", "equal"]) == 0
    printed = capsys.readouterr()
    assert printed.err.startswith(f"huzhu: warning: {file}: probability: 0.2 of the cell 'old' is ")
    assert printed.err.count("\n") == 1
    assert "400.00 yuan" in printed.out


@pytest.mark.parametrize("bill", ["0_001", "1,5", "nan", "1e400"])
def test_a_bill_that_is_no_number_is_refused(
    file: Path, capsys: pytest.CaptureFixture[str], bill: str
) -> None:
    assert cli.carry_out(["apportion", str(file), "--bill", bill]) == 2
    assert f"'--bill': expected a number, got '{bill}'" in capsys.readouterr().err
