"""How many of 16 bits count: cameras of 10 or 12 bits are often saved as if of 16.

Read as 16 bits, such frames are nearly black, and their motion is lost in rounding.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from data_builders import frame_files
from data_builders.annotation import Clip
from data_builders.frame_set import FaceSet
from jmer.data.asking import data_option
from jmer.data.problems import Problem
from jmer.errors import JmerError

FULL = 2**14
"""Values of 16 bits that reach this far hold more than 14."""


class Depth(NamedTuple):
    """The bits that count of stored values with 16, and what is to be said of that."""

    bits: int = 16
    note: str = ""
    problem: Problem | None = None


def depth(data: FaceSet, clips: Sequence[Clip]) -> Depth:
    """Of the frames of all clips: as `data.bits` or the files say; of files that do not
    say, 16 if their values reach beyond 14.
    """
    starts = [clip.frames[clip.before] for clip in clips]
    found = [(c, frame_files.depth(s)) for c, s in zip(clips, starts, strict=True)]
    deep = {clip.row.key: (clip, said) for clip, (of, said) in found if of == 16}
    if not deep:
        return Depth()
    of = f"{len(deep)} of {len(clips)} clips with 16 bits a value"
    if data.bits != "stated":
        return Depth(
            int(data.bits),
            f"{of}, read as {data.bits} bits, as {data_option('bits')} says",
        )
    stated = sorted({said for _, said in deep.values()})
    place = f"{next(iter(deep.values()))[0].folder}"
    if len(stated) > 1:
        either = ", ".join(f"{n or 'nothing'}" for n in stated)
        return _unclear(f"{place}: {of}, whose files say different bits ({either}).")
    if stated[0]:
        return Depth(stated[0], f"{of}, read as {stated[0]} bits, as their files say")
    most, coarse = _largest([clip for clip, _ in deep.values()])
    if most >= FULL or coarse:
        return Depth()
    need = next(b for b in (10, 12, 14) if most < 2**b)
    return _unclear(
        f"{place}: {of}, of which none is above {most}: they hold {need} bits, or show "
        f"the dark."
    )


def _unclear(text: str) -> Depth:
    bits = data_option("bits", 10)
    text = f"{text} Choose {bits}, 12, 14 or 16, how many of them count."
    return Depth(problem=Problem(text, "bits that are not clear"))


def _largest(clips: Sequence[Clip]) -> tuple[int, bool]:
    """The largest value of onset, apex and offset frames, and whether all values are
    those of 8 bits in the upper half, or in both halves, as some programs store them.
    """
    most, coarse = 0, [True, True]
    for clip in clips:
        for moment in dict.fromkeys(clip.interval):
            try:
                values = frame_files.values(clip.frames[moment])
            except JmerError:
                continue  # is named when clips are read
            most = max(most, int(values.max()))
            coarse = [c and not np.any(values % n) for c, n in
                      zip(coarse, (256, 257), strict=True)]  # fmt: skip
        if most >= FULL:
            break
    return most, any(coarse)
