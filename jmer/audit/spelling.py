"""Tables whose names and labels are spelt in several ways: what is one for certain,
what may be.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from jmer.audit.finding import Finding
from jmer.audit.rows import ListedRow
from jmer.data import names
from jmer.data.names import bare, name_keys, person_keys, set_keys, word_key
from jmer.text import counted


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
            f"each name in one way, and names of two people so that nobody takes them "
            f"for one; a column dataset tells sets apart."
        )
        return Finding(written.rule, "unknown", text)


KEYS = {"dataset": set_keys, "subject": person_keys, "fold": person_keys}
"""By column what two spellings of a name have in common; else `name_keys`."""


def alike(rows: Sequence[ListedRow], lists: Sequence[str]) -> Alike:
    """Gives each name its first spelling. `lists` says of each row which list it is
    in: clips of a subject that one list has in two spellings are two, unless these
    differ in capitals and alphabets alone.
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
    key = KEYS.get(name, name_keys)({row.text(name) for row in rows})
    # Spellings by what they have in common, in the order they come.
    groups: dict[tuple[str, ...], dict[str, set[str]]] = {}
    scopes = [(*(row.text(w) for w in within), key(row.text(name))) for row in rows]
    for i, (row, scope) in enumerate(zip(rows, scopes, strict=True)):
        own = groups.setdefault(scope, {}).setdefault(row.text(name), set())
        if lists is not None:
            own.add(lists[i])
    found, first = [], {}
    for scope, spelt in groups.items():
        for several in _together(spelt):
            first.update({(scope, spelling): several[0] for spelling in several})
            if len(several) > 1:
                found.append((name, several[0], several[1]))
    made = [
        _with(row, {name: first[scope, row.text(name)]})
        for row, scope in zip(rows, scopes, strict=True)
    ]
    return made, found


def _together(own: Mapping[str, set[str]]) -> list[list[str]]:
    """Spellings with the lists that have them, those that may be one together."""
    same = names.alike(own, bare)
    if _in_one_list(set[str]().union(*(own[s] for s in some)) for some in same):
        return same
    return [[*own]]


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
