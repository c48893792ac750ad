"""What a report is made of, before it is Markdown or HTML. All text is plain text."""

from dataclasses import dataclass
from typing import ClassVar


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

    `cards`: each row becomes a card of its own on a narrow screen.
    """

    kind: ClassVar[str] = "table"
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: int = 1
    cards: bool = False

    @property
    def sortable(self) -> bool:
        """Whether an order of its rows other than ours can mean something."""
        return all(self.columns) and len(self.rows) > 2


@dataclass(frozen=True)
class Figure:
    kind: ClassVar[str] = "figure"
    path: str
    """Where Markdown finds it, relative to the report."""
    alt: str
    caption: str
    png: bytes


@dataclass(frozen=True)
class Code:
    kind: ClassVar[str] = "code"
    text: str


PageBlock = Paragraph | Gauges | Table | Figure | Code


@dataclass(frozen=True)
class Section:
    """`folded`: HTML shows the title, and the rest on a click."""

    title: str
    blocks: tuple[PageBlock, ...]
    folded: bool = False


@dataclass(frozen=True)
class Page:
    title: str
    subtitle: str
    lead: tuple[PageBlock, ...]
    sections: tuple[Section, ...]

    def figures(self) -> list[Figure]:
        """All figures, in order."""
        blocks = [block for section in self.sections for block in section.blocks]
        return [block for block in blocks if isinstance(block, Figure)]
