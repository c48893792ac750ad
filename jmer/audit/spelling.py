"""Names and labels as spreadsheets damage them: what is one for certain, what may be.

A spreadsheet drops zeros in front (001), adds a point (1.0), makes dates of names (1-2
becomes 2-Jan), writes 1000 as 1,000 or 1E+03, and people add blanks and capitals.
"""

import dataclasses
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from decimal import Decimal

from jmer.audit.finding import Finding
from jmer.audit.rows import ListedRow
from jmer.text import counted

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov")
MONTH = {name: i for i, name in enumerate((*MONTHS, "dec"), start=1)}
DAY_MONTH = re.compile(r"(\d{1,2})[- ./]([a-z]{3})[a-z]*\.?([- ./]\d{2,4})?")
MONTH_DAY = re.compile(r"([a-z]{3})[a-z]*\.?[- ./](\d{1,2})")
YEAR_FIRST = re.compile(r"\d{4}[-/.](\d{1,2})[-/.](\d{1,2})([ t]00:00(:00(\.0+)?)?z?)?")
YEAR_LAST = re.compile(r"(\d{1,2})[-/.](\d{1,2})[-/.]\d{4}")
NUMBER = re.compile(r"[+-]?(\d{1,300}|\d{1,3}(,\d{3}){1,9})(\.\d+)?(e[+-]?\d{1,2})?")

Key = Callable[[str], str]


def word_key(text: str) -> str:
    """What two spellings of one label have in common, for certain: case counts for
    nothing, and numbers are what they are worth.

    >>> word_key("Negative"), word_key("2.0"), word_key("02"), word_key("1,0")
    ('negative', '2', '2', '1,0')
    """
    folded = text.casefold()
    return folded if "," in folded else _number(folded) or folded


def name_keys(values: Iterable[str]) -> Key:
    """What two spellings of one name may have in common, where these are the names.

    >>> key = name_keys(["1-2", "2-Jan", "3-Feb"])
    >>> [key(name) for name in ("sub01", "Sub1", "001", "1.0", "1e3", "2-Jan", "1-2")]
    ['sub1', 'sub1', '1', '1', '1000', '1-2', '1-2']
    """
    known = {text.casefold() for text in values}

    def key(text: str) -> str:
        folded = text.casefold()
        folded = _date(folded, known) or _number(folded) or folded
        return re.sub(r"(?<!\d)0+(?=\d)", "", folded)

    return key


def _number(text: str) -> str | None:
    if not NUMBER.fullmatch(text):
        return None
    # To the last digit: names may be long numbers.
    value = Decimal(text.replace(",", ""))
    whole = int(value)
    return str(whole) if whole == value else format(value.normalize(), "f")


def _date(text: str, known: Collection[str]) -> str | None:
    """The two numbers that a spreadsheet took for a date, in the order of a name that
    there is."""
    if found := DAY_MONTH.fullmatch(text):
        day, month = int(found[1]), MONTH.get(found[2], 0)
    elif found := MONTH_DAY.fullmatch(text):
        day, month = int(found[2]), MONTH.get(found[1], 0)
    elif found := YEAR_FIRST.fullmatch(text) or YEAR_LAST.fullmatch(text):
        month, day = int(found[1]), int(found[2])
    else:
        return None
    if not month:
        return None
    pairs = (f"{month}-{day}", f"{day}-{month}")
    padded = (f"{month:02d}-{day:02d}", f"{day:02d}-{month:02d}")
    there = (p for p, q in zip(pairs, padded, strict=True) if p in known or q in known)
    return next(there, pairs[0])


@dataclasses.dataclass(frozen=True)
class Alike:
    """Rows with one spelling for each name, and the names that had several."""

    rows: tuple[ListedRow, ...]
    spellings: tuple[tuple[str, str, str], ...]
    """What it is, and two spellings of one of them."""

    @property
    def named(self) -> str:
        """All that may be one, in words."""
        shown = [f"{what} {a!r} and {b!r}" for what, a, b in self.spellings[:3]]
        more = len(self.spellings) - len(shown)
        return ", ".join(shown) + (f" and {more} more" if more else "")

    def doubtful(self, written: Finding, alike: Finding) -> Finding:
        """What can be said where names may be one: what holds either way."""
        if written.verdict == alike.verdict:
            return written
        text = (
            f"Cannot tell, for these may be one under two spellings: {self.named}. As "
            f"they are written: {written.text} If they are one: {alike.text} Write "
            f"each name in one way."
        )
        return Finding(written.rule, "unknown", text)


def alike(rows: Sequence[ListedRow], lists: Sequence[str]) -> Alike:
    """Gives each name its first spelling. `lists` says of each row which list it is
    in: clips of a subject that one list has in two spellings are two.
    """
    spellings: dict[tuple[str, str, str], None] = {}
    for name, within in (
        ("dataset", ()),
        ("fold", ()),
        ("subject", ("dataset",)),
        ("video", ("dataset", "subject")),
        ("clip", ("dataset", "subject")),
    ):
        apart = lists if name in ("clip", "video") else None
        rows, found = _alike(rows, name, within, apart)
        spellings.update(dict.fromkeys(found))
    return Alike(tuple(rows), tuple(spellings))


def _alike(
    rows: Sequence[ListedRow],
    name: str,
    within: Sequence[str],
    lists: Sequence[str] | None,
) -> tuple[Sequence[ListedRow], list[tuple[str, str, str]]]:
    if not rows or name not in rows[0].values:
        return rows, []
    key = name_keys({row.text(name) for row in rows})
    # Spellings by what they have in common, in the order they come.
    groups: dict[tuple[str, ...], dict[str, set[str]]] = {}
    scopes = [(*(row.text(w) for w in within), key(row.text(name))) for row in rows]
    for i, (row, scope) in enumerate(zip(rows, scopes, strict=True)):
        own = groups.setdefault(scope, {}).setdefault(row.text(name), set())
        if lists is not None:
            own.add(lists[i])
    together = {
        scope: len(own) > 1 and not _in_one_list(own.values())
        for scope, own in groups.items()
    }
    found = []
    for scope, several in together.items():
        if several:
            one, other, *_ = groups[scope]
            found.append((name, one, other))
    made = [
        _with(row, {name: next(iter(groups[scope]))}) if together[scope] else row
        for row, scope in zip(rows, scopes, strict=True)
    ]
    return made, found


def _in_one_list(lists: Iterable[set[str]]) -> bool:
    seen: set[str] = set()
    for own in lists:
        if seen & own:
            return True
        seen |= own
    return False


def _with(row: ListedRow, values: Mapping[str, str]) -> ListedRow:
    return dataclasses.replace(row, values={**row.values, **values})


def same_words(rows: Sequence[ListedRow]) -> tuple[list[ListedRow], str]:
    """Rows whose labels and predictions are spelt as the first of their kind, and what
    was taken for what; empty if nothing was.
    """
    first: dict[str, str] = {}
    other: dict[str, str] = {}
    made = []
    for name in ("label", "predicted"):
        for row in rows:
            text = row.text(name)
            if text and first.setdefault(word_key(text), text) != text:
                other[text] = first[word_key(text)]
    for row in rows:
        words = {
            name: first[word_key(row.text(name))]
            for name in ("label", "predicted")
            if row.text(name)
        }
        made.append(_with(row, words))
    shown = ", ".join(f"{a!r} as {b!r}" for a, b in [*other.items()][:4])
    said = f"{counted(len(other), 'word')} read as another: {shown}"
    return made, said if other else ""
