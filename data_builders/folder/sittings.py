"""The sittings that a table of one's own tells of: which clips of a subject were
recorded at once."""

import re
from collections.abc import Sequence

from data_builders.annotation import Clip
from data_builders.folder.words import EMPTY
from jmer.data.names import alike, bare
from jmer.errors import quoted

MIDNIGHT = re.compile(r"(\d{4}-\d\d-\d\d) 00:00:00")
"""A day, as a workbook stores it."""


def session_name(text: str) -> str:
    """What a cell calls a sitting; nothing where it is empty.

    >>> session_name("2024-05-01 00:00:00"), session_name("01"), session_name("n/a")
    ('2024-05-01', '01', '')
    """
    if text.lower() in EMPTY:
        return ""
    day = MIDNIGHT.fullmatch(text)
    return day[1] if day else text


def described(clips: Sequence[Clip]) -> list[str]:
    """A line on how many sittings there are, if the table tells of any."""
    found = {(c.row.subject, c.row.session) for c in clips if c.row.session}
    if not found:
        return []
    without = sum(not clip.row.session for clip in clips)
    rest = f"; clips without one: {without}" if without else ""
    people = len({subject for subject, _ in found})
    whose = f"{people} subject{'s' * (people != 1)}"
    return [f"  sessions: {len(found)}, of {whose}{rest}"]


def doubts(clips: Sequence[Clip]) -> list[str]:
    """What may be one sitting, spelt in two ways."""
    known = dict[str, list[str]]()
    for clip in clips:
        if clip.row.session:
            known.setdefault(clip.row.subject, []).append(clip.row.session)
    return [
        f"sessions {quoted(several[0])} and {quoted(other)} of subject "
        f"{quoted(subject)} are taken for two: write them alike if they are one"
        for subject, names in known.items()
        for several in alike(names, _plain)
        for other in several[1:]
    ]


def _plain(text: str) -> str:
    """The same for names that differ in capitals, alphabets, blanks, or zeros before a
    number."""
    plain = re.sub(r"[\s_-]+", "", bare(text))
    return re.sub(r"(?<!\d)0+(?=\d)", "", plain)
