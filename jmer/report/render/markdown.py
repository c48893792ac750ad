"""A report as Markdown (GitHub's flavour), with everything from data escaped."""

import re
from urllib.parse import quote

from jmer.report.render.blocks import (
    Board,
    BoardCell,
    Code,
    Figure,
    Gauge,
    Gauges,
    Page,
    PageBlock,
    Paragraph,
    Table,
    Terms,
)
from jmer.text import banded, interval, points, visible

# An underscore between letters or digits means nothing, and names are full of them.
SPECIAL = re.compile(r"[\\`*\[\]<>|~&]|(?<![^\W_])_|_(?![^\W_])")

PLAIN = "/=,+@:~"
"""What may stand in a link beside letters, digits and `_.-`."""


def escape_markdown(text: str) -> str:
    """`text` on one line, with nothing in it that Markdown or HTML would act on."""
    line = visible(re.sub(r"\s+", " ", text).strip())
    line = SPECIAL.sub(lambda match: "\\" + match.group(), line)
    # At the start of a line these make headings, lists and quotations.
    return re.sub(r"^(\d*)(#|[-+](?=-)|[-+.)](?=\s|$))", r"\1\\\2", line)


def _gauge(gauge: Gauge) -> str:
    band = f" ({interval(gauge.band)})" if gauge.band else ""
    note = f"; {escape_markdown(gauge.note)}" if gauge.note else ""
    return f"{escape_markdown(gauge.name)} **{points(gauge.value)}**{band}{note}"


def _table(table: Table) -> str:
    marks = ["---"] * table.left + ["---:"] * (len(table.columns) - table.left)
    lines = [[escape_markdown(name) for name in table.columns], marks]
    lines += [[escape_markdown(cell) for cell in row] for row in table.rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(cell: BoardCell | None) -> str:
    if cell is None:
        return "–"
    oracle = cell.oracle is not None
    notes = [f"oracle {points(cell.oracle)} (inflated)"] if oracle else []
    return "; ".join((banded(cell.value, cell.band), *notes, *cell.notes))


def _code(text: str) -> str:
    text = visible(text)
    # The fence is longer than any run of backticks inside.
    longest = max(map(len, re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text}\n{fence}"


def _block(block: PageBlock) -> str:
    match block:
        case Paragraph(text, "warning"):
            return f"> **Warning.** {escape_markdown(text)}"
        case Paragraph(text, "small"):
            return f"<sub>{escape_markdown(text)}</sub>"
        case Paragraph(text):
            return escape_markdown(text)
        case Gauges(items, large=True):
            first, *others = items
            return "\n".join(
                [f"## {_gauge(first)}\n", *map("- {}".format, map(_gauge, others))]
            )
        case Gauges(items):
            return "\n".join(f"- {_gauge(item)}" for item in items)
        case Table():
            return _table(block)
        case Board(_, columns, rows):
            cells = tuple((name, *map(_cell, own)) for name, own in rows)
            heads = (f"{name} ({about})" for name, about in columns)
            return _table(Table(("Method", *heads), cells))
        case Figure():
            alt, caption = escape_markdown(block.alt), escape_markdown(block.caption)
            return f"![{alt}]({quote(block.path, safe=PLAIN)})\n\n{caption}"
        case Code(text):
            return _code(text)
        case Terms(items):
            return "\n".join(_term(word, meaning) for word, meaning in items)


def _term(word: str, meaning: str) -> str:
    return f"- **{escape_markdown(word)}**: {escape_markdown(meaning)}"


def render(page: Page) -> str:
    """The page as Markdown; figures are links relative to the report."""
    parts = [f"# {escape_markdown(page.title)}", escape_markdown(page.subtitle)]
    if page.facts:
        parts.append("\n".join(_term(name, value) for name, value in page.facts))
    parts += [_block(block) for block in page.lead]
    for section in page.sections:
        parts.append(f"## {escape_markdown(section.title)}")
        parts += [_block(block) for block in section.blocks]
    return "\n\n".join(parts) + "\n"
