"""What only individuals have, as the kernels take it."""

from typing import Any

import numpy as np
import pytest

from configs import arrays
from kernels.individuals import DISCRETE, GAMMA, NO_FRAILTY, individuals_from_fields
from tests.kernels.pools import people, scenario


def fields(**changes: Any) -> dict[str, Any]:
    return arrays.individuals(scenario({"engine": "member"} | changes), 0.25)


def test_fields_become_records_and_arrays() -> None:
    packed = individuals_from_fields(fields(initial_members=[people(7)]))
    assert packed.settings["sample"].tolist() == [0.25]
    assert packed.settings["frailty_law"].tolist() == [NO_FRAILTY]
    assert packed.vintages["tenure"].tolist() == [50]
    assert packed.vintage_members.sum() == 7
    assert packed.vintage_members.dtype == np.int64
    assert packed.frailty.size == packed.frailty_chance.size == 0


def test_a_pool_may_start_with_nobody() -> None:
    packed = individuals_from_fields(fields(initial_members=[]))
    assert packed.vintages.shape == (0,)
    assert packed.vintage_members.shape[0] == 0


@pytest.mark.parametrize(
    ("law", "number"),
    [
        ({"law": "gamma", "variance": 0.5}, GAMMA),
        ({"law": "discrete", "values": [0.5, 2.0], "probabilities": [2 / 3, 1 / 3]}, DISCRETE),
    ],
)
def test_a_law_of_frailty_has_its_number(law: dict[str, Any], number: int) -> None:
    packed = individuals_from_fields(fields(**{"claims.frailty": law}))
    assert packed.settings["frailty_law"].tolist() == [number]
    assert packed.settings["frailty_variance"].tolist() == [law.get("variance", 0.0)]
    assert packed.frailty.tolist() == law.get("values", [])


def test_a_field_too_few_is_named() -> None:
    short = fields()
    short["settings"] = {"sample": 1.0}
    with pytest.raises(ValueError, match="settings: expected the fields of its dtype"):
        individuals_from_fields(short)
