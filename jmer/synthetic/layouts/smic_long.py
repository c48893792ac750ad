"""SMIC-E: whole recordings, with a sheet of two cameras."""

import dataclasses
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from jmer.synthetic.layouts import quirks
from jmer.synthetic.layouts.draft import Book, Cells, Draft, Take
from jmer.synthetic.layouts.shot import ImageForm, Shot
from jmer.synthetic.layouts.smic import SUBJECTS, SmicLayout
from jmer.synthetic.spec import SyntheticSpec

HEADER = (
    *("Subject", "Filename", None, "OnsetF", "OffsetF", "Onset2F", "Offset2F"),
    *("Onset3F", "Offset3F", None, "FirstF", "LastF", "TotalMF1", "TotalMF2"),
    *("TotalVL", "Emotion"),
)
SECOND = slice(5, 7)
LAST = HEADER.index("LastF")
# Its label is corrected by all other lists.
MISLABELLED = ("s18", "s18_sur_03")


@dataclass(frozen=True)
class Again(Shot):
    """A second micro-expression in the recording of another."""


@dataclass(frozen=True)
class SmicLongLayout(SmicLayout):
    """SMIC-E: `HS_long/SMIC-HS-E/s03/s3_ne_03/image012345.jpg`, whole recordings."""

    parts: tuple[str, ...] = ("HS", "VIS")
    """The cameras that the sheet knows."""

    name = "smic_long"
    views: ClassVar = {"long": ImageForm(640 / 480)}

    def number(self, shot: Shot) -> int:
        number = super().number(shot)
        if self.quirks:  # the subject of the wrong label comes first
            return {SUBJECTS[0]: 18, 18: SUBJECTS[0]}.get(number, number)
        return number

    def shots(self, spec: SyntheticSpec) -> Iterator[Shot]:
        numbers = Counter[tuple]()
        last = dict[str, Shot]()
        for shot in super().shots(spec):
            who = (shot.part, shot.subject, shot.word)
            before = last.get(shot.part)
            if (
                self.quirks
                and before is not None
                and not isinstance(before, Again)
                and (before.part, before.subject, before.word) == who
            ):
                fields = {
                    f.name: getattr(shot, f.name) for f in dataclasses.fields(shot)
                }
                start = before.start + len(before.frames)
                shot = Again(**{**fields, "count": before.count, "start": start})
            else:
                first = 2 if self.number(shot) == 18 and shot.word == "surprise" else 0
                shot = dataclasses.replace(shot, count=first + numbers[who])
                numbers[who] += 1
            last[shot.part] = shot
            yield shot

    def key(self, shot: Shot) -> tuple[str, str]:
        subject, clip = super().key(shot)
        return subject, f"{clip}_2" if isinstance(shot, Again) else clip

    def pattern(self, shot: Shot, source: str) -> str:
        subject, clip = super().key(shot)
        part = f"{shot.part}_long/SMIC-{shot.part}-E"
        clip = f"s{int(subject[1:])}{clip.removeprefix(subject)}"
        return f"SMIC-E_raw image/{part}/{subject}/{clip}/image{{n:06d}}.jpg"

    def cells(self, shot: Shot) -> Cells:
        if isinstance(shot, Again):
            return []
        subject, clip = self.key(shot)
        name = f"s{int(subject[1:])}{clip.removeprefix(subject)}"
        last, length = shot.start + len(shot.frames) - 1, shot.offset - shot.onset + 1
        return [
            *(self.number(shot), name, None, shot.onset, shot.offset),
            *(None, None, None, None, None, shot.start, last, length, None),
            *(len(shot.frames), shot.word),
        ]

    def take(self, shot: Shot) -> Take:
        made = super().take(shot)
        made.dataset = "smic"
        return made

    def books(self, takes: list[Take]) -> list[Book]:
        rows = {(take.part, take.key): take.cells for take in takes}
        for take in takes:
            if not take.cells:
                row = rows[take.part, (take.subject, take.clip.removesuffix("_2"))]
                row[SECOND] = [take.onset, take.offset]
                row[LAST] = take.images["long"].last
        sheets = {
            part: [
                list(HEADER),
                *(t.cells for t in takes if t.part == part and t.cells),
            ]
            for part in self.parts
        }
        return [Book("SMIC-HS-E_annotation_2019.xlsx", sheets)]

    def readers(self) -> tuple[tuple[str, ...], ...]:
        long = ("smic", "--source", "long")
        return tuple((*long, "--part", part) for part in self.parts)

    def bend(self, take: Take, shot: Shot) -> None:
        if isinstance(shot, Again):
            take.quirks.append("the second of a recording")
        elif take.key == MISLABELLED and take.part == "HS":
            take.cells[-1] = "negative"
            take.quirks.append("the label is wrong, as all other lists say")
        elif shot.index % 3 == 0:
            take.cells[0] = take.subject
            quirks.as_text(take, 3, 4)
        elif shot.index % 3 == 1:
            quirks.spoil_text(take, 1, len(HEADER) - 1)

    def disturb(self, draft: Draft) -> None:
        sheets = draft.books[0].sheets
        for rows in sheets.values():
            rows.append(["Note: frames are counted from 1"])
            rows.append([None, "s18 took part twice"])
        draft.quirks.append("notes below the rows")
        for row in sheets["VIS"]:
            del row[LAST : LAST + 1]
        draft.quirks.append("VIS has no column LastF")
        quirks.leave_remains(draft)
