"""Which files of a data set are its annotation sheets, under whatever name."""

import contextlib
import difflib
import fnmatch
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from jmer.data.asking import data_option
from jmer.errors import JmerError

DEPTH = ("*", "*/*", "*/*/*")
# What people and browsers add to the name of a file: a date, a number, a word.
ADDED = re.compile(
    r"[ _.-]?(?<!\d)(19|20)\d\d[-_.]?\d\d[-_.]?\d\d(?!\d)|\s*\(\d+\)|\s*\[\d+\]|"
    r"[ _-]+(copy|kopie|copie|副本)\b|^(copy of|kopie von) ",
    re.IGNORECASE,
)
Patterns = Sequence[str]


def fits(name: str, patterns: Patterns) -> bool:
    """Whether a file is called as one of `patterns`, in whatever case, but for a date
    or the number of a copy in its name."""
    tried = {name.lower(), ADDED.sub("", name).lower()}
    return any(fnmatch.fnmatchcase(n, p.lower()) for n in tried for p in patterns)


def is_file(path: Path) -> bool:
    """Also of what may not be looked at, or has a name longer than any file's."""
    with contextlib.suppress(OSError):
        return path.is_file()
    return False


def sheets_in(
    root: Path, patterns: Patterns, chosen: str = "", *, depth: int = 3
) -> list[Path]:
    """The files below `root` (by default two folders deep) that fit a pattern, or that
    `chosen` names, by name or by path; one at that very place goes before others."""
    if chosen and is_file(root / chosen):
        return [root / chosen]
    found = [
        path
        for place in DEPTH[:depth]
        for path in root.glob(place)
        if not path.name.startswith(("~$", "."))  # locks and remains of others
        and (_is(path, root, chosen) if chosen else fits(path.name, patterns))
        and is_file(path)
    ]
    # By links, one file can be found in several places; the shortest way counts.
    found = sorted(found, key=lambda path: (-len(path.parts), path))
    return sorted({path.resolve(): path for path in found}.values())


def find_table(
    root: Path, patterns: Patterns, chosen: str = "", more: str = ""
) -> Path:
    """The one file below `root` whose name fits a pattern; `more` goes before its name
    where an error says how to choose one.

    Raises: JmerError if there is none, or more than one.
    """
    found = sheets_in(root, patterns, chosen)
    if not found:
        wanted = shlex.quote(chosen) if chosen else " or ".join(patterns)
        near = _near(chosen, root) if chosen else ""
        raise JmerError(
            f"no annotation sheet {wanted} in {root}{near}: put it there as the "
            f"owners distribute it, or give its name with "
            f"{data_option('table', f'{more}FILE')}."
        )
    if len(found) > 1:
        places = [str(p.relative_to(root)) for p in found]
        example = data_option("table", more + places[0])
        raise JmerError(
            f"{len(found)} annotation sheets in {root}: {', '.join(places[:8])}"
            f"{', …' if len(places) > 8 else ''}. Choose one with "
            f"{data_option('table')}, such as {example}, or remove the others."
        )
    return found[0]


def choices(table: str, roles: Sequence[Patterns]) -> list[str]:
    """Which of the names in `table`, with commas between, is meant for each sheet.

    A name goes to the sheet whose patterns it fits; others go to the rest in order.

    >>> choices("B_20181215.xlsx", [["A*.xlsx"], ["B.xlsx"]])
    ['', 'B_20181215.xlsx']
    >>> choices("mine.csv, other.csv", [["A*.xlsx"], ["B.xlsx"]])
    ['mine.csv', 'other.csv']
    """
    if len(roles) == 1:
        return [table]
    made, left = [""] * len(roles), list[str]()
    for name in filter(None, (part.strip() for part in table.split(","))):
        # Of the main sheet and another, the more particular pattern is the other's.
        at = [i for i, role in enumerate(roles) if fits(Path(name).name, role)]
        free = [i for i in at if not made[i]]
        if free:
            made[free[0]] = name
        else:
            left.append(name)
    for name in left:
        empty = [i for i, value in enumerate(made) if not value]
        if empty:
            made[empty[0]] = name
    return made


def _is(path: Path, root: Path, chosen: str) -> bool:
    inside = path.relative_to(root).as_posix().lower()
    wanted = chosen.removeprefix("./").lower()
    if chosen.startswith("/"):
        return path.resolve() == Path(chosen).resolve()
    if wanted in (inside, path.name.lower()):
        return True
    return fnmatch.fnmatchcase(path.name.lower(), wanted)


def _near(chosen: str, root: Path) -> str:
    """A file with nearly that name, if there is one."""
    endings = (".xlsx", ".xls", ".csv", ".tsv")
    names = [p.name for depth in DEPTH for p in root.glob(depth)
             if p.suffix.lower() in endings]  # fmt: skip
    near = difflib.get_close_matches(Path(chosen).name, names, n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""
