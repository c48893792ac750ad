"""What is wrong with a source: found by `check` and `prepare` alike, shown by kind."""

import re
from collections.abc import Iterator, Sequence

from jmer.errors import JmerError
from jmer.text import counted

SHOWN = 3  # of each kind


class Problem(str):
    """What is wrong, in words that name the file, the value and the remedy; `kind`
    says in a few words what it has in common with others."""

    kind: str

    def __new__(cls, text: str, kind: str = "") -> "Problem":
        made = super().__new__(cls, text)
        made.kind = kind or _remedy(text)
        return made


class Unusable(JmerError):
    """One problem of a source."""

    def __init__(self, text: str, kind: str = "") -> None:
        super().__init__(text)
        self.problem = Problem(text, kind)


class Several(JmerError):
    """Problems of a source that are known at once, of which the first is said."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(problems[0])
        self.problems = tuple(problems)


def together(problems: Sequence[Problem]) -> JmerError:
    """One error of all problems, of which there is at least one."""
    if len(problems) > 1:
        return Several(problems)
    return Unusable(problems[0], problems[0].kind)


def problem_of(error: JmerError) -> Problem:
    """What an error says is wrong, first of all."""
    return problems_of(error)[0]


def problems_of(error: JmerError) -> Sequence[Problem]:
    """All that an error says is wrong."""
    if isinstance(error, Several):
        return error.problems
    return [error.problem if isinstance(error, Unusable) else Problem(str(error))]


def grouped(problems: Sequence[str], shown: int | None = SHOWN) -> Iterator[str]:
    """Lines for people: each kind with its number, and `shown` (None: all) of its
    problems; then how many there are.

    >>> list(grouped([Problem("a.jpg is empty. Restore it.", "empty files")]))
    ['empty files: 1', '  a.jpg is empty. Restore it.', '1 problem']
    """
    kinds: dict[str, list[str]] = {}
    for problem in problems:
        one = problem if isinstance(problem, Problem) else Problem(problem)
        kinds.setdefault(one.kind, []).append(one)
    for kind, found in kinds.items():
        yield f"{kind}: {len(found)}"
        yield from (f"  {problem}" for problem in found[:shown])
        if shown is not None and len(found) > shown:
            yield f"  and {len(found) - shown} more (--all shows them)"
    yield counted(len(problems), "problem")


def _remedy(text: str) -> str:
    """Its last sentence: what has the same remedy belongs together."""
    last = re.split(r"(?<=[a-z0-9)]) ?[.:] (?=[A-Z])", text)[-1].rstrip(".")
    return last if len(last) < 80 else "other"
