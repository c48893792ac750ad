"""Checks of fields: what they refuse, and how they say it."""

import dataclasses
import math
from collections.abc import Callable
from typing import Literal

import pytest

from jmer.errors import FieldCheck, UsageError, option


@dataclasses.dataclass
class Fields:
    fc6_dilation: float | None = 1
    kind: Literal["one", "two"] = "one"
    word: str = "free"


Rule = Callable[[FieldCheck], None]
# What each rule lets pass, what it refuses, and the words.
RULES: dict[str, tuple[Rule, tuple[object, ...], tuple[object, ...], str]] = {
    "at least": (
        lambda check: check.at_least(2, "fc6_dilation"),
        (2, 3, math.inf, None),
        (1, -1, math.nan),
        "must be at least 2",
    ),
    "finite": (
        lambda check: check.finite("fc6_dilation"),
        (0, 7, None),
        (-1, math.inf, math.nan),
        "must be finite and not negative",
    ),
    "finite, from 3": (
        lambda check: check.finite("fc6_dilation", least=3),
        (3, 7),
        (2, math.inf, math.nan),
        "must be finite and at least 3",
    ),
    "share": (
        lambda check: check.share("fc6_dilation"),
        (0, 0.5),
        (-0.1, 1, 1.0, math.nan),
        "must be in [0, 1)",
    ),
    "multiple": (
        lambda check: check.multiple(4, "fc6_dilation"),
        (4, 8),
        (-4, 0, 6),
        "must be a multiple of 4",
    ),
    "multiple, from 8": (
        lambda check: check.multiple(4, "fc6_dilation", least=8, rest=", for x"),
        (8, 12),
        (4, 9),
        "must be a multiple of 4, 8 or more, for x",
    ),
    "one of": (
        lambda check: check.one_of((1, 2), "fc6_dilation"),
        (1, 2),
        (3,),
        "must be one of (1, 2)",
    ),
}


@pytest.mark.parametrize("name", RULES)
def test_a_rule_names_field_and_value(name):
    rule, good, bad, words = RULES[name]
    for value in good:
        rule(FieldCheck(Fields(value), "model"))
    for value in bad:
        with pytest.raises(UsageError) as raised:
            rule(FieldCheck(Fields(value), "model"))
        assert str(raised.value) == f"model.fc6-dilation={value} {words}"


def test_a_literal_has_one_of_its_values():
    FieldCheck(Fields(word="any")).choices()
    with pytest.raises(UsageError) as raised:
        FieldCheck(Fields(kind="three")).choices()
    assert str(raised.value) == "kind=three must be one of ('one', 'two')"


def test_the_first_field_that_does_not_fit_is_named():
    with pytest.raises(UsageError, match="fc6-dilation=nan must be at least 1"):
        FieldCheck(Fields(math.nan)).at_least(1, "fc6_dilation", "word")


def test_recipes_spell_fields_as_they_are_stored():
    with pytest.raises(UsageError) as raised:
        FieldCheck(Fields(0), recipe=True).at_least(1, "fc6_dilation")
    assert str(raised.value) == "fc6_dilation=0: must be at least 1"


def test_options_have_hyphens():
    assert option("model.fc6_dilation") == "model.fc6-dilation"
