"""The part of a comparison that says first in what its runs differ."""

from collections.abc import Iterable, Sequence

from jmer.errors import shortened
from jmer.report.render.blocks import PageBlock, Paragraph, Section, Table
from jmer.runs.apart import apart
from jmer.runs.run import Run

MOST = 12
"""Things that a sentence names."""


def unfair_warnings(runs: Sequence[Run]) -> Iterable[Paragraph]:
    """A warning where something that differs makes scores incomparable."""
    wrong = [one for one in apart(runs) if one.unfair]
    if wrong:
        reasons = "; ".join(f"{one.what} ({one.unfair})" for one in wrong)
        yield Paragraph(
            f"This comparison is not fair, for the runs differ in {reasons}. Their "
            f"scores do not rank the methods.",
            "warning",
        )


def apart_section(names: Sequence[str], runs: Sequence[Run]) -> Section:
    """What differs between the runs, in a sentence and a table."""
    found = apart(runs)
    if not found:
        text = "By what they say of themselves, these runs are the same experiment."
        return Section("What differs", (Paragraph(text),))
    named = [one.what for one in found[:MOST]]
    more = len(found) - len(named)
    text = f"The runs differ in {', '.join(named)}"
    text += f", and {more} more" if more else ""
    rows = tuple((one.what, *map(shortened, one.values)) for one in found)
    table = Table(("What", *names), rows, left=1 + len(names), cards=True)
    alone = "" if len(found) > 1 else " alone"
    blocks: list[PageBlock] = [Paragraph(f"{text}{alone}."), table]
    return Section("What differs", tuple(blocks))
