"""A report as one HTML file: style and figures inside, nothing fetched.

Its one script sorts tables, and unfolds what is asked for or printed; nothing is lost
without it.
"""

import base64
import hashlib
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from jmer.report.draw.style import DPI
from jmer.report.render.blocks import Page
from jmer.report.render.place import mark
from jmer.text import ends, interval, points, visible

FOLDER = Path(__file__).parent
WIDTH = 1.2 * 96 / DPI
"""Pixels of the page for one of a figure: somewhat larger than its inches."""


def render(page: Page, by: str = "") -> str:
    """The page as HTML; every text is escaped by the template. It says which command
    it is `by`, for `jmer.report.render.place`."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    environment.filters.update(
        points=points,
        interval=interval,
        ends=ends,
        base64=lambda content: base64.b64encode(content).decode(),
        shown_width=_shown_width,
        percent=lambda value: f"{100 * min(max(value, 0), 1):.2f}%",
    )
    script = (FOLDER / "page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template("page.html").render(
        page=page,
        mark=Markup(mark(by)),
        anchors=page.anchors(),
        terms=page.terms(),
        style=Markup((FOLDER / "page.css").read_text(encoding="utf-8")),
        script=Markup(script),
        digest=digest,
    )


def _shown(value: Any) -> Any:
    """What stands in the page for a value: of text that the page would act on, such as
    marks that turn the direction of writing, how Python writes it."""
    plain = isinstance(value, str) and not isinstance(value, Markup)
    return visible(value) if plain else value


def _shown_width(png: bytes) -> int:
    """Of a figure in pixels of the page, so that their letters are of one size."""
    return round(int.from_bytes(png[16:20], "big") * WIDTH)
