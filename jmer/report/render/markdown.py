"""A report as Markdown (GitHub's flavour), with everything from data escaped."""

import re

from jmer.report.render.blocks import (
    Block,
    Code,
    Figure,
    Meter,
    Meters,
    Page,
    Paragraph,
    Table,
)
from jmer.text import interval, points

# An underscore between letters or digits means nothing, and names are full of them.
SPECIAL = re.compile(r"[\\`*\[\]<>|~&]|(?<![^\W_])_|_(?![^\W_])")


def escape(text: str) -> str:
    """`text` on one line, with nothing in it that Markdown or HTML would act on."""
    line = re.sub(r"\s+", " ", text).strip()
    line = SPECIAL.sub(lambda match: "\\" + match.group(), line)
    # At the start of a line these make headings, lists and quotations.
    return re.sub(r"^(\d*)(#|[-+](?=-)|[-+.)](?=\s|$))", r"\1\\\2", line)


def _meter(meter: Meter) -> str:
    band = f" ({interval(meter.band)})" if meter.band else ""
    note = f"; {escape(meter.note)}" if meter.note else ""
    return f"{escape(meter.name)} **{points(meter.value)}**{band}{note}"


def _table(table: Table) -> str:
    marks = ["---"] * table.left + ["---:"] * (len(table.columns) - table.left)
    lines = [[escape(name) for name in table.columns], marks]
    lines += [[escape(cell) for cell in row] for row in table.rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _code(text: str) -> str:
    # The fence is longer than any run of backticks inside.
    longest = max(map(len, re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text}\n{fence}"


def _block(block: Block) -> str:
    match block:
        case Paragraph(text, "warning"):
            return f"> **Warning.** {escape(text)}"
        case Paragraph(text, "small"):
            return f"<sub>{escape(text)}</sub>"
        case Paragraph(text):
            return escape(text)
        case Meters(items, large=True):
            first, *others = items
            return "\n".join(
                [f"## {_meter(first)}\n", *map("- {}".format, map(_meter, others))]
            )
        case Meters(items):
            return "\n".join(f"- {_meter(item)}" for item in items)
        case Table():
            return _table(block)
        case Figure():
            return f"![{escape(block.alt)}]({block.path})\n\n{escape(block.caption)}"
        case Code(text):
            return _code(text)


def render(page: Page) -> str:
    """The page as Markdown; figures are links relative to the report."""
    parts = [f"# {escape(page.title)}", escape(page.subtitle)]
    parts += [_block(block) for block in page.lead]
    for section in page.sections:
        parts.append(f"## {escape(section.title)}")
        parts += [_block(block) for block in section.blocks]
    return "\n\n".join(parts) + "\n"
