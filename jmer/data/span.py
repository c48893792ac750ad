"""Where a clip comes from: frames of a recording, and a sitting, which other clips may
share."""

from typing import NamedTuple


class Span(NamedTuple):
    """The frames `first` to `last`, inclusive, of a recording, that a clip is cut from.

    Data set, subject and clip name the clip. Numbers count within the recording, whose
    name is unique in the whole set.
    """

    dataset: str
    subject: str
    clip: str
    video: str
    first: int
    last: int


class Session(NamedTuple):
    """The sitting of its subject that a clip was recorded in, named within the subject.

    Data set, subject and clip name the clip.
    """

    dataset: str
    subject: str
    clip: str
    session: str
