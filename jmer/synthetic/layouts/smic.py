"""SMIC: no sheet, a folder a clip, and three cameras."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import UInt8

from jmer.synthetic.layouts import quirks
from jmer.synthetic.layouts.disk_layout import FrameLayout
from jmer.synthetic.layouts.draft import Book, Cells, Draft, Take
from jmer.synthetic.layouts.images import framed
from jmer.synthetic.layouts.shot import ImageForm, Shot
from jmer.synthetic.rendering import SyntheticClip
from jmer.synthetic.spec import SyntheticSpec

# Those whom all three cameras saw come first.
SUBJECTS = (11, 12, 13, 14, 15, 18, 19, 20, 1, 2, 3, 4, 5, 6, 8, 9)
SEEN_BY_ALL = 8
SLOWER = 4  # 100 frames a second, and 25
TAGS = {"negative": "ne", "positive": "po", "surprise": "sur"}
LATE = 20  # the subject whose frame numbers have eight digits


@dataclass(frozen=True)
class SmicLayout(FrameLayout):
    """SMIC: `SMIC_all_raw/HS/s1/micro/negative/s1_ne_01/image012345.bmp`, cropped too.

    VIS and NIR have every fourth frame of some of the clips; NIR is grey. A folder
    holds nothing but the frames from onset to offset.
    """

    parts: tuple[str, ...] = ("HS", "VIS", "NIR")
    """The cameras."""

    name = "smic"
    words: ClassVar = {
        **{name: (name,) for name in TAGS},
        **dict.fromkeys(("disgust", "repression", "others"), ("negative",)),
        "happiness": ("positive",),
    }
    views: ClassVar = {
        "raw": ImageForm(640 / 480, whole=False),
        "cropped": ImageForm(280 / 340, whole=False),
    }

    def number(self, shot: Shot) -> int:
        if shot.subject < len(SUBJECTS):
            return SUBJECTS[shot.subject]
        return shot.subject + 5

    def key(self, shot: Shot) -> tuple[str, str]:
        subject = f"s{self.number(shot):02d}"
        return subject, f"{subject}_{TAGS[shot.word]}_{shot.count + 1:02d}"

    def pattern(self, shot: Shot, source: str) -> str:
        number, clip = self.number(shot), self.key(shot)[1].split("_", 1)[1]
        root = f"SMIC_all_{source}/{shot.part}/s{number}/micro/{shot.word}"
        file = {"raw": "image", "cropped": "reg_image"}[source]
        return f"{root}/s{number}_{clip}/{file}{{n:06d}}.bmp"

    def first(self, shot: Shot) -> int:
        late = 17_761_454 if self.number(shot) == LATE else 10_250
        return late + 1013 * shot.index

    def shots(self, spec: SyntheticSpec) -> Iterator[Shot]:
        for shot in super().shots(spec):
            if "HS" in self.parts:
                yield dataclasses.replace(shot, part="HS")
            slow = [part for part in self.parts if part != "HS"]
            for part in slow if shot.subject < SEEN_BY_ALL else ():
                clip = slower(shot.clip)
                start = shot.start // SLOWER
                yield dataclasses.replace(shot, clip=clip, start=start, part=part)

    def cells(self, shot: Shot) -> Cells:
        return []

    def take(self, shot: Shot) -> Take:
        made = super().take(shot)
        made.apex, made.action_units = None, ""
        return made

    def pictures(self, shot: Shot, source: str) -> UInt8[np.ndarray, "t h w 3"]:
        view = self.views[source]
        return framed(shot.frames, view.aspect, grey=shot.part == "NIR")

    def books(self, takes: list[Take]) -> list[Book]:
        return []

    def readers(self) -> tuple[tuple[str, ...], ...]:
        return tuple((self.name, "--part", part) for part in self.parts)

    def bend(self, take: Take, shot: Shot) -> None:
        length = take.offset - take.onset + 1
        if shot.index == 0 and length > 2:
            quirks.lose_frame(take, take.onset + 1, "raw", "cropped")
        elif shot.index % 4 == 1:
            quirks.rename_ending(take, "BMP")
        elif shot.index % 4 == 2:
            quirks.rename_ending(take, "jpg")

    def disturb(self, draft: Draft) -> None:
        draft.options = ("--missing-frames", "neighbour")
        quirks.leave_remains(draft)
        for take in draft.takes:
            for images in take.images.values():
                home = images.pattern.split("/micro/")[0]
                draft.files[f"{home}/non_micro/non_01/image000001.bmp"] = quirks.JUNK
        draft.quirks.append("a folder non_micro beside micro")


def slower(clip: SyntheticClip) -> SyntheticClip:
    """Every fourth frame of a clip."""
    last = (len(clip.frames) - 1) // SLOWER
    moments = {
        name: min(round(getattr(clip, name) / SLOWER), last)
        for name in ("onset", "apex", "offset")
    }
    return dataclasses.replace(clip, frames=clip.frames[::SLOWER], **moments)
