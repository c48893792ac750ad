"""Whether the files of a set are counted as its sheet counts frames.

Files that some program numbered anew begin with 0 where the owners begin with 1, or the
other way round; then every frame is read one late, or one early, and nothing looks
wrong. What names and sheet do not tell is refused.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from data_builders.annotation import SheetRow
from jmer.data.asking import data_option
from jmer.data.exclusion import about_clip
from jmer.data.problems import Problem

SHIFTS: dict[str, int] = {"same": 0, "files-from-0": 1, "files-from-1": -1}
"""What is added to the number of a file to make it that of the sheet."""
KIND = "frames that are counted from another number"


class Counted(NamedTuple):
    """A clip's numbers in the sheet, and the first and last of its folder."""

    row: SheetRow
    folder: Path
    first: int
    last: int
    onset: int
    offset: int

    def fits(self, shift: int) -> bool:
        return self.first + shift <= self.onset and self.offset <= self.last + shift


class Verdict(NamedTuple):
    """What to add to the numbers of files, and what is to be said of that."""

    shift: int = 0
    note: str = ""
    problems: Sequence[Problem] = ()


def judge(owners: int | None, clips: Sequence[Counted]) -> Verdict:
    """How the clips of one set are counted; `owners` begin with that number, None where
    that is not known.

    Files that begin otherwise than the owners' are taken as one off only if the sheet
    tells: a clip fits no other way, and all fit that way.
    """
    if owners == 0:
        return _from_one(clips)
    zero = [clip for clip in clips if clip.first == 0]
    if not zero:
        bare = [clip for clip in clips if clip.onset == 0 and clip.first == 1]
        return Verdict(problems=[_no_such(clip) for clip in bare])
    if owners is None and any(c.onset == 0 for c in zero) and not _only(1, zero):
        return Verdict()
    if owners == 1 and len(zero) == len(clips) and _only(1, clips):
        return Verdict(1, _note(1, _only(1, clips)[0]))
    return Verdict(problems=[_doubt(owners, zero, 1)])


def _from_one(clips: Sequence[Counted]) -> Verdict:
    """Of a set whose owners begin with 0."""
    if any(clip.first == 0 for clip in clips):
        return Verdict()
    # Cut to what the sheet names, it begins where that does.
    odd = [c for c in clips if c.first == 1 and not (c.onset == 1 and c.fits(0)
           and not c.fits(-1))]  # fmt: skip
    if not odd:
        return Verdict()
    if len(odd) == len(clips) and _only(-1, clips):
        return Verdict(-1, _note(-1, _only(-1, clips)[0]))
    return Verdict(problems=[_doubt(0, odd, -1)])


def _only(shift: int, clips: Sequence[Counted]) -> list[Counted]:
    """The clips that fit by that shift alone, if all fit by it."""
    if not all(clip.fits(shift) for clip in clips):
        return []
    return [clip for clip in clips if not clip.fits(0)]


def _note(shift: int, clip: Counted) -> str:
    begin, other = (0, 1) if shift == 1 else (1, 0)
    return (
        f"files begin with {begin} and the sheet counts from {other}, so that file "
        f"{begin} is read as frame {other}, and so on: else {clip.row.title}, frames "
        f"{clip.onset} to {clip.offset}, would not be in its files {clip.first} to "
        f"{clip.last}"
    )


def _doubt(owners: int | None, odd: Sequence[Counted], shift: int) -> Problem:
    """Of clips whose files may be counted otherwise than the sheet counts."""
    first, more = odd[0], len(odd) - 1
    begin, other = (0, 1) if shift == 1 else (1, 0)
    others = f" (and those of {more} more clips)" if more else ""
    known = f"the owners' with {other}"
    unlike = known if owners is not None else "which may be what the sheet calls 1"
    anew = f"files-from-{begin}"
    return Problem(
        f"{first.folder}: files begin with frame {begin}{others}, {unlike}: all may be "
        f"read one {'late' if shift == 1 else 'early'}. Choose "
        f"{data_option('numbering', anew)} if file {begin} is what the sheet calls "
        f"frame {other}, or {data_option('numbering', 'same')} if the sheet begins "
        f"with {begin} too.",
        KIND,
    )


def _no_such(clip: Counted) -> Problem:
    """Of a clip that begins with frame 0 in the sheet alone."""
    where, title = clip.row.where, clip.row.title
    problem = Problem(
        f"{where}: clip {title} begins with frame 0, but the files in {clip.folder} "
        f"with {clip.first}. Correct the sheet; or, if it counts from 0 and files from "
        f"1, choose {data_option('numbering', 'files-from-1')}.",
        KIND,
    )
    return about_clip(problem, clip.row.name)
