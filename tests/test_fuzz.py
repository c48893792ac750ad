"""Thousands of damaged sets: each ends in a clear error or in a correct set."""

import collections
import os

import fuzz
import pytest

CASES = int(os.environ.get("JMER_FUZZ_CASES", "150"))
FIRST = int(os.environ.get("JMER_FUZZ_FIRST", "0"))
BLOCK = 25
outcomes = collections.Counter[str]()


@pytest.fixture(scope="module", autouse=True)
def _trees():
    yield
    fuzz.remove_trees()


@pytest.mark.parametrize("start", range(FIRST, FIRST + CASES, BLOCK))
def test_damaged_sets_end_in_a_clear_error_or_in_a_correct_set(start):
    for number in range(start, min(start + BLOCK, FIRST + CASES)):
        outcomes[fuzz.run(number, loading=number % 10 == 0)] += 1


def test_all_ends_occur():
    if CASES < 100:
        pytest.skip("too few cases")
    assert set(outcomes) == {"error", "problems", "set"}
