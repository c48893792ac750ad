"""The command that sets methods beside one another on one page."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from jmer.commands.named import named_runs
from jmer.commands.parsing import parse
from jmer.errors import JmerError, UsageError, quoted
from jmer.text import counted, visible

if TYPE_CHECKING:
    from jmer.runs.run import Run

BY = "leaderboard"
CLAIMED = "claimed: "
"""Begins the line of an audit that has the scores of the run."""


@dataclasses.dataclass(frozen=True)
class LeaderboardOptions:
    """Write one HTML file of methods by data sets, to read or to put on the web: honest
    scores large, the oracle small, intervals, protocols, device seconds, and a link to
    each run's report. Every run is audited by its own files; what breaks a rule, or is
    not finished, is left out and named."""

    runs: tyro.conf.Positional[tuple[str, ...]]
    """Run directories; that of a sweep stands for its finished cells. METHOD=FOLDER
    gives a run's method a name (default: its network's)."""
    out: Path = Path("leaderboard.html")
    """The file."""
    title: str = "Leaderboard"
    """What the page is called."""
    score: str = ""
    """Metric of the board, as `jmer report` calls it (default: the first there)."""

    def __post_init__(self) -> None:
        if self.out.suffix.lower() not in (".html", ".htm"):
            raise UsageError(
                f"--out {quoted(str(self.out))}: the page is one file; name it, as in "
                f"--out {self.out / 'leaderboard.html'}"
            )


def leaderboard(words: list[str]) -> int:
    options = parse(LeaderboardOptions, "jmer leaderboard", words)
    named, unfinished = named_runs("leaderboard", options.runs)
    from jmer.files import write_text
    from jmer.report.leaderboard import Entry, LeftOut, board_page
    from jmer.report.methods import Tried, method_of, score_of
    from jmer.report.render import html, markdown
    from jmer.report.render.place import require_room, wrote

    entries = list[Entry]()
    left_out = [LeftOut(one, "It is not finished.") for one in unfinished]
    for name, folder in named:
        run, said, broken = _judged(folder)
        if broken:
            left_out.append(LeftOut(folder, f"Its audit finds a flaw: {broken}"))
        else:
            entries.append(Entry(Tried(name or method_of(run), run), said))
    if not entries:
        named_all = "; ".join(f"{one.folder}: {one.why}" for one in left_out)
        raise JmerError(f"no run is left for a leaderboard. {named_all}")
    score = score_of(options.score, [one.tried for one in entries])
    page = board_page(options.title, entries, left_out, score, options.out)
    require_room([options.out], BY, known=wrote(options.out, BY))
    write_text(options.out, html.render(page, BY))
    shown = markdown.render(dataclasses.replace(page, sections=()))
    print(visible(shown))
    print(f"{counted(len(entries), 'run')} on the board: {options.out}")
    return 0


def _judged(folder: Path) -> "tuple[Run, str, str]":
    """The run, what audits say of it in a word, and the first rule that it breaks: by
    its own files now, and by its data when it was audited."""
    from jmer.audit.run import audit_against
    from jmer.runs.run import load_run

    run = load_run(folder, changed=True)
    run.check()
    try:
        found = audit_against(run, None, missing="it is not read for a leaderboard")
    except JmerError:  # of a protocol that this jmer does not know
        return run, "cannot be audited", ""
    broken = [one.text for one in found.having("violation")]
    kept, told = _kept(folder, [one for one in found.about if CLAIMED in one])
    return run, kept, next(iter([*broken, *told]), "")


def _kept(folder: Path, claimed: Sequence[str]) -> tuple[str, list[str]]:
    """What `audit.json` of a run says, in a word, and the rules that were broken; if it
    was written of what the run claims now."""
    from jmer.files import read_json
    from jmer.runs.folder import AUDIT

    file = folder / f"{AUDIT}.json"
    if not file.is_file():
        return "not audited with its data", []
    try:
        record = read_json(file)
    except JmerError:  # edited, or cut: it is no word of an audit
        record = None
    findings, about = (
        record.get(name) if isinstance(record, dict) else None
        for name in ("findings", "about")
    )
    if not isinstance(findings, list) or not isinstance(about, list):
        return f"{file.name} is no audit", []
    if not {*claimed} <= {*map(str, about)}:
        return "audited before it changed", []
    verdicts = [one for one in findings if isinstance(one, dict)]
    broken = [str(o.get("text")) for o in verdicts if o.get("verdict") == "violation"]
    doubts = sum(one.get("verdict") == "warning" for one in verdicts)
    return f"audit: {counted(doubts, 'warning') if doubts else 'sound'}", broken
