"""`jmer data new folder`: a table to fill in, for clips of one's own."""

import csv
import dataclasses
import io
import shlex
from pathlib import Path

from jmer.commands.parsing import parse, read_name
from jmer.errors import UsageError
from jmer.files import write_text
from jmer.text import counted


@dataclasses.dataclass(frozen=True)
class NewTableOptions:
    """Begin the table of a set of one's own: a row for each video and each folder of
    frames that lies beside it. Nothing is replaced."""

    out: Path = Path("clips.csv")
    """The table to write (.csv)."""
    root: Path | None = None
    """The folder to look for clips in (default: that of the table). Each file comes
    once, by whatever links; what jmer wrote is passed over."""

    def __post_init__(self) -> None:
        if self.out.suffix.lower() != ".csv":
            raise UsageError(f"out={self.out} must end in .csv")


def new(words: list[str]) -> int:
    _, rest = read_name("data new", "the kind of set", ("folder",), words)
    options = parse(NewTableOptions, "jmer data new folder", rest)
    from data_builders.folder.template import rows

    out, root = options.out, options.root or options.out.parent
    if out.exists() or out.is_symlink():
        raise UsageError(
            f"{out} is there already, and stays: choose another with --out FILE"
        )
    found = rows(root)
    table = io.StringIO(newline="")
    csv.writer(table, lineterminator="\n").writerows(found)
    # Spreadsheets take a table for UTF-8 if it begins so.
    write_text(out, "\ufeff" + table.getvalue())
    print(f"{out}: {counted(len(found) - 1, 'clip')} of {root}. Fill in of each")
    print("  subject  who it is: clips of one person have the same word")
    print("  label    what it shows: each word is a class")
    print("  onset, apex, offset  frames, from 1 in a video and as image files are")
    print("           numbered, or seconds (--times seconds); empty: the whole clip")
    print("  and if known, in columns of your own: fps, action_units, dataset, and")
    print("  session  clips of one person and one sitting have the same word")
    given = ["--table", str(out), *(["--root", str(root)] if options.root else [])]
    typed = shlex.join(["jmer", "data", "check", "folder", *given])
    print(f"then `{typed}` says what is missing")
    return 0
