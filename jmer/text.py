"""Numbers and names as people read them."""

import difflib
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

# Controls but the end of a line and a tab, and letters without a shape: those that turn
# the direction of writing, that fill no place, and halves of letters.
HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e"
    "\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)


def visible(text: str) -> str:
    """Text with all that a terminal or a page would act on instead of showing it, such
    as a colour, a cleared screen or a line written backwards, as Python writes it.

    >>> print(visible("red \\x1b[31m, sub\\u202e01"))
    red \\x1b[31m, sub\\u202e01
    """
    if text.isprintable():
        return text
    return HIDDEN.sub(lambda found: ascii(found[0])[1:-1], text)


def points(value: float | None) -> str:
    """A score in [0, 1] as papers print it; a dash for none.

    >>> points(0.72089), points(None)
    ('0.7209', '–')
    """
    return "–" if value is None else f"{value:.4f}"


def interval(band: tuple[float, float] | list[float]) -> str:
    """Two ends, one digit shorter than the score: they are known less well."""
    return f"95 % interval {band[0]:.3f} to {band[1]:.3f}"


def banded(value: float | None, band: tuple[float, float] | None) -> str:
    """A score with its interval, if there is one, that stays on its line."""
    return points(value) + (f" {ends(band)}" if band else "")


def ends(band: tuple[float, float]) -> str:
    """Those of an interval, on one line."""
    return f"[{band[0]:.3f},\N{NO-BREAK SPACE}{band[1]:.3f}]"


def duration(seconds: float) -> str:
    """Seconds as people read them.

    >>> duration(42), duration(200), duration(7500)
    ('42.0 s', '3 min 20 s', '2 h 05 min')
    """
    if seconds < 99.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 100:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def counted(number: int, one: str, many: str | None = None) -> str:
    """A number with its noun; `many` where an s does not do.

    >>> counted(1, "seed"), counted(5, "seed"), counted(2, "class", "classes")
    ('1 seed', '5 seeds', '2 classes')
    """
    return f"{number} {one if number == 1 else many or one + 's'}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """` (did you mean 'run'?)`, or nothing where no known name is near.

    A name that ends as `word` does after a slash counts as near: `hsta` is
    `synthetic/hsta` cut short.
    """
    names = list(known)
    near = [name for name in names if name.endswith(f"/{word}")]
    near += difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    return f" (did you mean {near[0]!r}?)" if near else ""


def flattened(value: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Leaves of nested dicts under dotted names, as on the command line.

    >>> dict(flattened({"optim": {"lr": 0.001}, "seeds": [0, 1]}))
    {'optim.lr': '0.001', 'seeds': '[0, 1]'}
    """
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from flattened(inner, f"{prefix}.{name}" if prefix else str(name))
    else:
        text = value if isinstance(value, str) else json.dumps(value, default=str)
        yield prefix, text
