"""Swept mappings are shown by what is in them, or not at all where a policy has a name."""

import json

from results.brief import in_brief, told_apart, told_points

YOUNG = json.dumps({"young": {"max_age": 39, "benefit": 1000}, "old": {"max_age": 49}})
CHEAP = json.dumps({"young": {"max_age": 39, "benefit": 500}, "old": {"max_age": 49}})
STEPS = json.dumps([{"from_age": 0, "benefit_yuan": 300_000}])


def test_long_mappings_and_lists_are_told_by_what_is_in_them() -> None:
    assert in_brief(YOUNG) == "{young, old}"
    assert in_brief(STEPS) == "[1 item]"
    assert in_brief(json.dumps(dict.fromkeys("abcdefgh", 0))) == "{a, b, c, …}"


def test_other_values_are_as_they_are() -> None:
    for value in ("[0,1,2]", "{not JSON, but a name of some length}", 0.08, None, True, "equal"):
        assert in_brief(value) == value


def test_values_that_would_read_alike_are_numbered() -> None:
    assert told_apart([YOUNG, CHEAP, None, YOUNG]) == [
        *("{young, old} #1", "{young, old} #2", None, "{young, old} #1"),
    ]


def test_the_name_of_a_policy_stands_for_the_mappings_that_it_sets() -> None:
    rows = [
        {"point": 0, "policy": "one", "plans": None, "plans.main.fee_rate": 0.1, "pools": YOUNG},
        {"point": 1, "policy": "two", "plans": YOUNG, "plans.main.fee_rate": None, "pools": CHEAP},
    ]
    fields = {"one": {"plans.main.fee_rate": 0.1}, "two": {"plans": {}}}
    told = told_points(rows, {"policies": fields, "axes": {"pools": []}})
    assert told == [
        {"point": 0, "policy": "one", "plans.main.fee_rate": 0.1, "pools": "{young, old} #1"},
        {"point": 1, "policy": "two", "plans.main.fee_rate": None, "pools": "{young, old} #2"},
    ]
