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
        write_bytes(out / figure.path, figure.png)
    write_text(out / f"{name}.md", text)
    write_text(out / f"{name}.html", html.render(page))
    return text
