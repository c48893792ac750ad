"""A page as files in a folder."""

from collections.abc import Mapping
from pathlib import Path

from jmer.files import write_bytes, write_text
from jmer.report.render import html, markdown
from jmer.report.render.blocks import Page
from jmer.report.render.place import require_room, wrote


def write_page(
    page: Page,
    out: Path,
    name: str,
    *,
    beside: Mapping[str, str] | None = None,
    by: str | None = None,
) -> str:
    """Writes `name.md`, `name.html`, the figures and the texts `beside` them into
    `out`, and returns the first; `by` is the command that was given this folder, which
    is not its own.

    Raises: JmerError if it cannot be written; UsageError, before anything is, if there
    is something of these names in a folder that was given, which that command did not
    write.
    """
    text, beside = markdown.render(page), beside or {}
    whole = out / f"{name}.html"
    if by is not None:
        figures = (figure.path for figure in page.figures())
        names = (f"{name}.md", f"{name}.html", *beside, *figures)
        require_room((out / one for one in names), by, known=wrote(whole, by))
    # First: whoever types the command again, after it was killed, is known by it.
    write_text(whole, html.render(page, by or ""))
    for other, content in beside.items():
        write_text(out / other, content)
    for figure in page.figures():
        if not _is_there(out / figure.path, figure.png):
            write_bytes(out / figure.path, figure.png)
    write_text(out / f"{name}.md", text)
    return text


def _is_there(file: Path, content: bytes) -> bool:
    """Whether a figure was read from the very place: it stays as it is."""
    try:
        return file.stat().st_size == len(content) and file.read_bytes() == content
    except OSError:
        return False
