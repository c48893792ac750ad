"""A page as files in a folder."""

from pathlib import Path

from jmer.files import write_bytes, write_text
from jmer.report.render import html, markdown
from jmer.report.render.blocks import Page


def write_page(page: Page, out: Path, name: str) -> str:
    """Writes `name.md`, `name.html` and the figures into `out`, and returns the former.

    Raises: JmerError if it cannot be written.
    """
    text = markdown.render(page)
    for figure in page.figures():
        if not _is_there(out / figure.path, figure.png):
            write_bytes(out / figure.path, figure.png)
    write_text(out / f"{name}.md", text)
    write_text(out / f"{name}.html", html.render(page))
    return text


def _is_there(file: Path, content: bytes) -> bool:
    """Whether a figure was read from the very place: it stays as it is."""
    try:
        return file.stat().st_size == len(content) and file.read_bytes() == content
    except OSError:
        return False
