"""A bill that was shared among cells of members: as text, as CSV, as JSON."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from configs.cells import CellTable
from configs.spreadsheet import guarded
from configs.visible import visible

FEWEST_DECIMALS: Final = 2
MOST_DECIMALS: Final = 8
FIGURES: Final = 4
"""Figures that the largest charge of a table shows at least."""

Float64 = NDArray[np.float64]

Method = Literal["exact", "lattice", "saddle_point", "above", "below", "between"]
"""How charges were found: exactly; by an approximation; or for a bill that no claims add up to."""


@dataclass(frozen=True)
class Charges:
    """What a member of each cell is charged by a rule.

    Parameters
    ----------
    rule : str
        Name of the rule.
    charge : float64[cells]
        Yuan a member, fee included; 0 in a cell without members.
    fair : float64[cells]
        Yuan a member: their own expected loss this period with the fee, whatever the bill.
    cross_subsidy : float64[cells]
        Yuan a member: the charge less the fair charge scaled to the same bill, fair * bill /
        expected bill; equal shares are the measure where no loss is expected. Above zero the cell
        pays for others. Where the bill is the expected one, m, equal shares have the
        cross-subsidy (m/N - mu) (1 + fee), N the members and mu the cell's expected loss.
    bill_yuan : float
        Yuan, the bill without the fee.
    billed_yuan : float
        Yuan, the bill with the fee: the sum of members * charge.
    method : Method
        "lattice" and "saddle_point" are approximations; "above", "below" and "between" say that no
        claims add up to the bill, so that the charges are those of the bills nearby.
    error : float
        Yuan a member, an estimate (two standard deviations) of the largest error of an
        approximation; 0 where charges are exact, None where the bill is impossible.
    possible_yuan : tuple of float
        Yuan, the least and the largest possible bill, without the fee.
    """

    rule: str
    charge: Float64
    fair: Float64
    cross_subsidy: Float64
    bill_yuan: float
    billed_yuan: float
    method: Method = "exact"
    error: float | None = 0.0
    possible_yuan: tuple[float, float] = (0.0, math.inf)

    @property
    def note(self) -> str | None:
        """What a reader has to know of these charges; None where they are exact."""
        if self.method == "exact":
            return None
        if self.method in ("lattice", "saddle_point"):
            return (
                f"{self.rule} is approximate: it counts nearby bills as the same bill. A charge "
                f"may be off by up to {self.error:.2g} yuan (two standard deviations)."
            )
        least, most = (f"{yuan:,.2f} yuan" for yuan in self.possible_yuan)
        why, shown = {
            "above": (f"at most {most} can be claimed", "that bill, scaled up"),
            "below": (f"{least} is certain to be claimed", "that bill, scaled down"),
            "between": ("no claims add up to it", "the bills nearby, smoothed"),
        }[self.method]
        bill = f"{self.bill_yuan:,.2f} yuan"
        return (
            f"{self.rule}: a bill of {bill} is impossible, {why}. The charges are those of {shown}."
        )


def charges_text(cells: CellTable, charges: Sequence[Charges]) -> str:
    """Return two tables, charges and cross-subsidies: a row a cell, a column a rule.

    Parameters
    ----------
    cells : CellTable
        Whose charges they are.
    charges : sequence of Charges
        At least one, all of one bill and fee.

    Returns
    -------
    str
        Lines that end in a line break, the last one the totals in words.
    """
    names = [one.rule for one in charges]
    total = [f"{cells.members @ one.charge:,.2f}" for one in charges]
    fair = charges[0].fair
    paid = _block([fair, *(one.charge for one in charges)], cells)
    subsidies = _block([one.cross_subsidy for one in charges], cells, sign="+")
    billed = charges[0].billed_yuan
    people = f"{cells.members.sum():,}"
    lines = [
        "Charge, yuan a member (fair: the member's own expected loss, with the fee)",
        *_aligned(
            ["cell", "members", "fair", *names],
            [*paid, ["total", people, f"{cells.members @ fair:,.2f}", *total]],
        ),
        "",
        "Cross-subsidy, yuan a member (above 0: pays for others)",
        *_aligned(["cell", "members", *names], subsidies),
        "",
        f"Under every rule the charges add up to the bill with the fee, {billed:,.2f} yuan.",
        *(notes(charges) or ["Every charge is exact."]),
    ]
    return "\n".join(lines) + "\n"


def notes(charges: Sequence[Charges]) -> list[str]:
    """Return a sentence or two for each rule whose charges are not exact."""
    return [one.note for one in charges if one.note is not None]


def charges_csv(cells: CellTable, charges: Sequence[Charges]) -> str:
    """Return a line for each rule and cell, with headings: yuan a member, all digits.

    Names of cells that a spreadsheet takes for a formula are guarded (`configs.spreadsheet`).
    """
    out = io.StringIO()
    records = list(_records(cells, charges))
    writer = csv.DictWriter(out, list(records[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({**record, "cell": guarded(str(record["cell"]))} for record in records)
    return out.getvalue()


def charges_json(cells: CellTable, charges: Sequence[Charges]) -> str:
    """Return an object: what was billed, and the lines of the CSV file as objects."""
    answer = {"billed_yuan": charges[0].billed_yuan, "charges": list(_records(cells, charges))}
    return json.dumps(answer, ensure_ascii=False, indent=2) + "\n"


def _records(
    cells: CellTable, charges: Sequence[Charges]
) -> Iterator[Mapping[str, str | int | float | None]]:
    for one in charges:
        for place, name in enumerate(cells.cell):
            yield {
                "rule": one.rule,
                "cell": name,
                "members": int(cells.members[place]),
                "fair_yuan": float(one.fair[place]),
                "charge_yuan": float(one.charge[place]),
                "cross_subsidy_yuan": float(one.cross_subsidy[place]),
                "method": one.method,
                "error_yuan": one.error,
            }


def _block(columns: Sequence[Float64], cells: CellTable, sign: str = "") -> list[list[str]]:
    """Return name, members and figures of each cell, with the same decimals everywhere."""
    largest = max(float(np.abs(column).max()) for column in columns)
    before = math.floor(math.log10(largest)) + 1 if largest > 0 else FIGURES
    decimals = min(max(FIGURES - before, FEWEST_DECIMALS), MOST_DECIMALS)
    return [
        [visible(name), f"{cells.members[place]:,}"]
        # + 0.0 turns a rounded minus zero into zero
        + [
            f"{round(float(column[place]), decimals) + 0.0:{sign},.{decimals}f}"
            for column in columns
        ]
        for place, name in enumerate(cells.cell)
    ]


def _aligned(headings: list[str], rows: Sequence[list[str]]) -> list[str]:
    """Return lines of columns, words to the left and figures to the right."""
    from rich.cells import cell_len  # a Chinese character takes two places

    table = [headings, *rows]
    widths = [max(map(cell_len, column)) for column in zip(*table, strict=True)]
    lines = []
    for row in table:
        blanks = [" " * (w - cell_len(text)) for w, text in zip(widths, row, strict=True)]
        figures = [blank + text for blank, text in zip(blanks[1:], row[1:], strict=True)]
        lines.append("  ".join([row[0] + blanks[0], *figures]).rstrip())
    return lines
