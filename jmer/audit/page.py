"""An audit on one page: as text, as Markdown and as JSON."""

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jmer.audit.finding import RULES, Audit, Finding, Verdict
from jmer.errors import JmerError
from jmer.files import read_json, write_json, write_text
from jmer.report.render.blocks import Page, PageBlock, Paragraph, Section, Table
from jmer.report.render.markdown import render
from jmer.report.render.place import require_room
from jmer.runs.folder import AUDIT
from jmer.text import counted

WIDTH = 88
MOST = 8
"""Rows of a finding that a page shows; JSON has them all."""
MARKS: dict[Verdict, str] = {
    "violation": "BROKEN",
    "warning": "warning",
    "unknown": "unknown",
    "ok": "kept",
}
SHOWN = ("violation", "warning")
"""Verdicts whose cases a page shows."""


def verdict(audit: Audit) -> str:
    """The outcome in a sentence."""
    sizes = {name: len(audit.having(name)) for name in MARKS}
    outcome = (
        f"{counted(sizes['violation'], 'rule is broken', 'rules are broken')}"
        if sizes["violation"]
        else "no rule is broken"
    )
    rest = f"{sizes['ok']} kept, {counted(sizes['warning'], 'warning')}"
    return f"{outcome}; {rest}, {sizes['unknown']} could not be checked"


def text(audit: Audit) -> str:
    """The page for a terminal."""
    lines = [f"audit of {audit.title}: {verdict(audit)}"]
    lines += [f"  {_one_line(line)}" for line in audit.about]
    for finding in audit.findings:
        lines.append("")
        lines.append(f"{MARKS[finding.verdict]:8} {RULES[finding.rule]}")
        lines += textwrap.wrap(
            _one_line(finding.text),
            WIDTH,
            initial_indent=" " * 9,
            subsequent_indent=" " * 9,
            break_on_hyphens=False,
        )
        if finding.verdict in SHOWN:
            lines += (f"           {line}" for line in _rows(finding))
    return "\n".join(lines)


def _one_line(words: str) -> str:
    """Names may hold anything; on a terminal they stay within their line."""
    return "".join(c if c.isprintable() else " " for c in words)


def _rows(finding: Finding) -> Iterator[str]:
    for row in finding.details[:MOST]:
        yield _one_line(", ".join(f"{name} {value}" for name, value in row.items()))
    if len(finding.details) > MOST:
        yield f"… and {len(finding.details) - MOST} more"


def page(audit: Audit) -> Page:
    """The page as blocks of a report: all verdicts, then the cases of broken rules."""
    verdicts = Table(
        columns=("Verdict", "Rule", "What was found"),
        rows=tuple((MARKS[f.verdict], RULES[f.rule], f.text) for f in audit.findings),
        left=3,
    )
    said = verdict(audit)
    outcome = Paragraph(
        f"{said[0].upper()}{said[1:]}.", "plain" if audit.sound else "warning"
    )
    first, *about = audit.about
    sections = [
        Section(f"{MARKS[finding.verdict]}: {RULES[finding.rule]}", _cases(finding))
        for finding in audit.findings
        if finding.details and finding.verdict in SHOWN
    ]
    lead: list[PageBlock] = [outcome, *map(Paragraph, about), verdicts]
    return Page(f"Audit of {audit.title}", first, tuple(lead), tuple(sections))


def _cases(finding: Finding) -> tuple[PageBlock, ...]:
    names = tuple(finding.details[0])
    rows = tuple(tuple(str(v) for v in row.values()) for row in finding.details[:MOST])
    table = Table(names, rows, left=len(names))
    left = len(finding.details) - MOST
    more = (Paragraph(f"… and {left} more in audit.json", "small"),) if left > 0 else ()
    return (table, *more)


def record(audit: Audit) -> dict[str, Any]:
    """All of it in types that JSON knows."""
    return {
        "title": audit.title,
        "about": list(audit.about),
        "verdict": "sound" if audit.sound else "violation",
        "findings": [
            {
                "rule": finding.rule,
                "title": RULES[finding.rule],
                "verdict": finding.verdict,
                "text": finding.text,
                "details": list(finding.details),
            }
            for finding in audit.findings
        ],
    }


def write_audit(audit: Audit, folder: Path, *, own: bool = False) -> None:
    """Writes `audit.json` and `audit.md` into a folder, which is that of the audited
    run (`own`), or else one where what is no audit stays.

    Raises: JmerError if it cannot be written; UsageError, before anything is, if there
    is something of these names that is no audit.
    """
    whole, text = folder / f"{AUDIT}.json", folder / f"{AUDIT}.md"
    if not own:
        require_room((text, whole), AUDIT, known=_is_audit(whole))
    # First: whoever types the command again, after it was killed, is known by it.
    write_json(whole, record(audit))
    write_text(text, render(page(audit)))


def _is_audit(file: Path) -> bool:
    try:
        found = read_json(file, changed=True)
    except JmerError:
        return False
    return isinstance(found, dict) and {"verdict", "findings"} <= found.keys()
