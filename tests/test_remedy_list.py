"""No error prints a remedy that no test has typed, or `remedy_list.py` says why not."""

import configparser
import re

import pytest
from remedies import ROOT, remedies
from remedy_list import TYPED

from jmer.cli import COMMANDS


@pytest.mark.parametrize("name", ["cuda", "torch", "faces", "beam"])
def test_extras_that_errors_name_are_there(name):
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    assert name in setup["options.extras_require"]


def test_pip_is_told_of_extras_that_are_there():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    named = {e for _, text in remedies() for e in re.findall(r"jmer\[(\w+)\]", text)}
    assert named and named <= {*setup["options.extras_require"]}


def test_commands_in_backquotes_are_commands():
    """Whatever stands in backquotes after `jmer` is a command of jmer."""
    known = {words.split()[0] for words in COMMANDS}
    for file, text in remedies():
        for word in re.findall(r"`jmer ([a-z]+)", text):
            assert word in known, (file, text)


def test_every_remedy_is_typed_by_a_test_or_says_why_not():
    """A new one fails here: type it in a test, and add it to `remedy_list.py`."""
    texts = remedies()
    untyped = [
        (file, text)
        for file, text in texts
        if not any(part in text for part, _ in TYPED)
    ]
    assert not untyped
    assert not [part for part, _ in TYPED if not any(part in t for _, t in texts)]


def test_the_list_names_tests_that_are_there():
    for _, where in TYPED:
        for file, name in re.findall(r"(test_\w+\.py)(?:::(\w+))?", where):
            text = (ROOT / "tests" / file).read_text(encoding="utf-8")
            assert not name or f"\ndef {name}(" in text, where
