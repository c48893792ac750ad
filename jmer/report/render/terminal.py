"""The Markdown of a report on one screen: its first and shortest parts, and where the
rest is."""

import re
import textwrap
from collections.abc import Iterator, Sequence

ESCAPED = re.compile(r"\\([\\`*_\[\]<>|~&#+.)-])")
CELL = re.compile(r"(?<!\\)\|")
BETWEEN = "  "
TITLE = 2  # lines of a section that says nothing


def screen(markdown: str, rest: str, *, width: int, height: int) -> str:
    """What `render` of `markdown` wrote, in at most `height` lines of `width` columns.

    The head comes first, as far as there is room; then as many sections as fit whole,
    in their order. The last line says where the `rest` is.
    """
    # Facts of few words side by side.
    markdown = re.sub(r"(?<=\S)\n- (?=\*\*)", " · ", markdown)
    head, *sections = re.split(r"^## ", markdown, flags=re.MULTILINE)
    if sections and "**" in sections[0].partition("\n")[0]:  # the score that leads
        head += sections.pop(0)
    last = textwrap.wrap(rest, width, break_on_hyphens=False)
    room = height - len(last)
    lines = _fitted(list(_lines(head, width)), room)
    made = [["", *_lines(section, width)] for section in sections]
    order = sorted(range(len(made)), key=lambda i: (len(made[i]), i))
    if made and len(lines) < room / 3:  # the scores, or the first, are what it is about
        scores = (i for i, one in enumerate(sections) if one.startswith("Scores"))
        about = next(scores, 0)
        order.remove(about)
        made[about] = _fitted(made[about], room - len(lines))
        order.insert(0, about)
    chosen, left = set(), room - len(lines)
    for i in order:
        if TITLE < len(made[i]) <= left:
            chosen.add(i)
            left -= len(made[i])
    shown = [line for i in sorted(chosen) for line in made[i]]
    return "\n".join([*lines, *shown, *last])


def _fitted(lines: list[str], room: int) -> list[str]:
    if len(lines) <= room:
        return lines
    return [*lines[: room - 1], f"… {len(lines) - room + 1} more lines"]


def _lines(part: str, width: int) -> Iterator[str]:
    """The lines of a head or a section, without blank ones."""
    part = re.sub(r"^!\[.*\n\n.*\n", "", part, flags=re.MULTILINE)  # and their captions
    table: list[list[str]] = []
    fenced = False
    for line in [*part.splitlines(), ""]:
        if line.startswith("| "):
            table.append([_plain(cell) for cell in CELL.split(line)[1:-1]])
            continue
        if table:
            yield from _table(table, width)
            table = []
        if re.match(r"`{3,}", line):
            fenced = not fenced
        elif line.strip():
            mark = "  " if line.startswith("- ") else ""
            plain = line if fenced else _plain(line.removeprefix("- "))
            yield from textwrap.wrap(
                plain, width, initial_indent=mark, subsequent_indent=2 * mark
            )


def _plain(text: str) -> str:
    """Without the marks of Markdown."""
    text = re.sub(r"^(#+|>) |</?sub>|(?<!\\)\*\*", "", text.strip())
    return ESCAPED.sub(r"\1", text).strip()


def _table(rows: Sequence[list[str]], width: int) -> Iterator[str]:
    """Columns side by side. Where there is no room for all, words go before numbers,
    the longest first, and numbers from the right; the first column stays.
    """
    head, marks, *body = rows
    shown = [head, *body] if any(head[1:]) else body
    wide = [max((len(row[i]) for row in shown), default=0) for i in range(len(head))]
    kept = [*range(len(head))]
    while len(kept) > 2 and sum(wide[i] + len(BETWEEN) for i in kept) > width + 2:
        words = [i for i in kept[1:] if not marks[i].endswith(":")]
        kept.remove(max(words, key=wide.__getitem__) if words else kept[-1])
    for row in shown:
        cells = [
            row[i].rjust(wide[i]) if marks[i].endswith(":") else row[i].ljust(wide[i])
            for i in kept
        ]
        yield BETWEEN.join(cells).rstrip()[:width]
