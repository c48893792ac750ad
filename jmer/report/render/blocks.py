"""What a report is made of, before it is Markdown or HTML. All text is plain text."""

import re
from dataclasses import dataclass
from typing import ClassVar


def slug(text: str) -> str:
    """Letters, digits and dashes, for an address within a page.

    >>> slug("What it looked at in sub01/EP02_01f")
    'what-it-looked-at-in-sub01-ep02-01f'
    """
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60] or "part"


@dataclass(frozen=True)
class Paragraph:
    kind: ClassVar[str] = "paragraph"
    text: str
    style: str = "plain"
    """`plain`, `warning` (must not be missed) or `small` (beside the point)."""


@dataclass(frozen=True)
class Gauge:
    """One score in [0, 1], with an interval where there is one."""

    name: str
    value: float
    band: tuple[float, float] | None
    note: str = ""


@dataclass(frozen=True)
class Gauges:
    """Scores drawn on a common scale; the first is the headline if `large`."""

    kind: ClassVar[str] = "gauges"
    items: tuple[Gauge, ...]
    large: bool = False


@dataclass(frozen=True)
class Table:
    """`left` columns of text come first, and are aligned left; the rest are numbers.

    `cards`: each row becomes a card of its own on a narrow screen. What a row has
    beside its text is shown in HTML alone.
    """

    kind: ClassVar[str] = "table"
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: int = 1
    cards: bool = False
    looks: tuple[bytes | None, ...] = ()
    """A small PNG for each row, or none."""
    links: tuple[str | None, ...] = ()
    """For each row, the anchor of the section of this page that says more, or none."""

    @property
    def headed(self) -> bool:
        """Whether the first column says what a row is about."""
        return len(self.columns) > 1

    @property
    def sortable(self) -> bool:
        """Whether an order of its rows other than ours can mean something."""
        return all(self.columns) and len(self.rows) > 2


@dataclass(frozen=True)
class BoardCell:
    """The score of a method on a set, and what stands below it."""

    value: float | None
    band: tuple[float, float] | None
    oracle: float | None
    """None where no epoch was to be chosen."""
    notes: tuple[str, ...] = ()
    link: str | None = None
    """Address of the report that says more, relative to the page."""


@dataclass(frozen=True)
class Board:
    """Methods (rows) by data sets (columns); nothing where one was not tried."""

    kind: ClassVar[str] = "board"
    title: str
    columns: tuple[tuple[str, str], ...]
    """Each set, and how its runs are tested."""
    rows: tuple[tuple[str, tuple[BoardCell | None, ...]], ...]


@dataclass(frozen=True)
class Figure:
    kind: ClassVar[str] = "figure"
    path: str
    """Where Markdown finds it, relative to the report."""
    alt: str
    caption: str
    png: bytes
    chart: bool = False
    """Lines and words alone, that are as good in white on black."""


@dataclass(frozen=True)
class Code:
    kind: ClassVar[str] = "code"
    text: str


@dataclass(frozen=True)
class Terms:
    """Words and what they mean."""

    kind: ClassVar[str] = "terms"
    items: tuple[tuple[str, str], ...]


PageBlock = Paragraph | Gauges | Table | Board | Figure | Code | Terms


@dataclass(frozen=True)
class Section:
    """`folded`: HTML shows the title, and the rest on a click."""

    title: str
    blocks: tuple[PageBlock, ...]
    folded: bool = False
    anchor: str = ""
    """Its name in addresses, where its title does not do."""


@dataclass(frozen=True)
class Page:
    title: str
    subtitle: str
    lead: tuple[PageBlock, ...]
    sections: tuple[Section, ...]
    facts: tuple[tuple[str, str], ...] = ()
    """What it is about, in a few words each."""

    def anchors(self) -> list[str]:
        """A name for each section, as it stands in addresses; no two are alike."""
        names = [section.anchor or slug(section.title) for section in self.sections]
        return [
            name if names.index(name) == i else f"{name}-{i}"
            for i, name in enumerate(names)
        ]

    def terms(self) -> dict[str, str]:
        """The words that the page explains, and their names in addresses."""
        blocks = [block for section in self.sections for block in section.blocks]
        found = [block for block in blocks if isinstance(block, Terms)]
        return {
            word: f"word-{slug(word)}" for terms in found for word, _ in terms.items
        }

    def figures(self) -> list[Figure]:
        """All figures, in order."""
        blocks = [block for section in self.sections for block in section.blocks]
        return [block for block in blocks if isinstance(block, Figure)]
