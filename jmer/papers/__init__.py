"""Tables of results as the papers printed them: the one place of expected figures."""

from jmer.errors import UsageError
from jmer.papers.aman import AMAN
from jmer.papers.cd6me import CD6ME_TABLES
from jmer.papers.hsta import HSTA
from jmer.papers.megc2019 import MEGC2019
from jmer.papers.meranet import MERANET
from jmer.papers.stanet import STANET
from jmer.papers.table import PaperRow, PaperTable
from jmer.papers.visual_memory import VISUAL_MEMORY
from jmer.text import did_you_mean

__all__ = ["TABLES", "PaperRow", "PaperTable", "table"]

TABLES = {
    t.name: t
    for tables in (STANET, HSTA, MERANET, AMAN, VISUAL_MEMORY, CD6ME_TABLES, MEGC2019)
    for t in tables
}


def table(name: str) -> PaperTable:
    """The table of a name.

    Raises: UsageError if there is none.
    """
    if name not in TABLES:
        raise UsageError(
            f"table={name!r} must be one of {', '.join(TABLES)}"
            f"{did_you_mean(name, TABLES)}"
        )
    return TABLES[name]
