"""What parsers of options say of a mistake, on one line."""

import argparse
import contextlib
import difflib
import io
import itertools
import os
import re
import sys
from collections.abc import Iterator
from typing import NoReturn

from jmer.text import did_you_mean

SIDE, RULE = "\N{BOX DRAWINGS LIGHT VERTICAL}", "\N{BOX DRAWINGS LIGHT HORIZONTAL}"


@contextlib.contextmanager
def on_one_line(prog: str, *, asks_for_help: bool) -> Iterator[None]:
    """Within it, the box in which tyro explains a mistake is printed as `error: …`."""
    said, before = io.StringIO(), os.environ.get("COLUMNS")
    if not asks_for_help:
        # No word is broken for the width of a terminal that the box would have to fit.
        os.environ["COLUMNS"] = "100000"
    try:
        with contextlib.redirect_stderr(said):
            yield
    except SystemExit as ended:
        if ended.code and (box := said.getvalue()):
            said = io.StringIO(f"error: {sentence(box, prog)}\n")
        raise
    finally:
        if before is not None:
            os.environ["COLUMNS"] = before
        elif not asks_for_help:
            os.environ.pop("COLUMNS", None)
        sys.stderr.write(said.getvalue())


def sentence(box: str, prog: str) -> str:
    """A box as a sentence, with what may have been meant and where more is said."""
    lines = box.splitlines()
    if any(line.startswith(SIDE) for line in lines):
        inner = [line.strip()[2:-1] for line in lines if line.startswith(SIDE)]
    else:  # without the signs of boxes: a title, a rule, and what they would frame
        inner = [line[2:] for line in lines[2:] if line.strip()]
    parts = [
        list(part) for rule, part in itertools.groupby(inner, _is_rule) if not rule
    ]
    if not parts:  # another version of tyro's: all that it says
        return " ".join(box.split())
    what = " ".join(" ".join(parts[0]).split()).rstrip(".")
    what = re.sub(r"^Error parsing (\w*Options: |None: )?", "", what)
    if what.startswith("Missing from"):
        needed = [line.strip() for line in parts[0] if re.match(r" {4}\S", line)]
        what = f"Required options: {', '.join(needed)}"
    meant = ""
    for part in parts[1:]:
        options = [line.split()[0] for line in part if line.startswith("    --")]
        if part[0].startswith(("Perhaps", "Arguments similar")) and options:
            typed = next((w for w in what.split() if w.startswith("--")), "")
            near = difflib.get_close_matches(typed.rstrip(","), options, 1, 0)
            meant = f" (did you mean {near[0]!r}?)"
            break
    return f"{plain(what)}{meant}. `{prog} --help` explains them all."


NUMBERS = (
    (r"invalid literal for int\(\) with base 10: ('.*')", r"\1 is no whole number"),
    (r"could not convert string to float: ('.*')", r"\1 is no number"),
    (r"invalid int value: ('.*')", r"\1 is no whole number"),
    (r"invalid float value: ('.*')", r"\1 is no number"),
    (
        r"Could not find valid parse for arguments: \[(.*)\]",
        r"\1 are not what it takes",
    ),
    (
        r"Could not parse arguments \[(.*)\] into tuple type .*",
        r"\1 are not what it takes",
    ),
)
"""What Python and parsers say of a value, and what people read."""


def plain(what: str) -> str:
    """A mistake without the words of the library that found it.

    >>> plain("--size: invalid literal for int() with base 10: 'x'")
    "--size: 'x' is no whole number"
    """
    for theirs, ours in NUMBERS:
        what = re.sub(theirs, ours, what)
    return what


def _is_rule(line: str) -> bool:
    return set(line.strip()) <= {RULE, "-"}


class OneLineParser(argparse.ArgumentParser):
    """A parser whose mistakes are a line, as those of all other commands."""

    def error(self, message: str) -> NoReturn:
        print(
            f"error: {plain(message)}{self._meant(message)}. `{self.prog} --help` "
            f"explains them all.",
            file=sys.stderr,
        )
        raise SystemExit(2)

    def _meant(self, message: str) -> str:
        """What was meant by an option or a value that there is not."""
        option = re.search(r"unrecognized arguments: (--[^\s=]+)", message)
        if option:
            return did_you_mean(option[1], self._option_string_actions)
        value = re.search(r"invalid choice: '(.*)' \(choose from (.*)\)", message)
        if value:
            return did_you_mean(value[1], re.findall(r"[\w.-]+", value[2]))
        return ""
