"""CAS(ME)³, part C: a mock crime, whose sheet counts files."""

from typing import ClassVar

from jmer.synthetic.layouts import quirks
from jmer.synthetic.layouts.disk_layout import FrameLayout
from jmer.synthetic.layouts.draft import Book, Cells, Draft, Take
from jmer.synthetic.layouts.shot import ImageForm, Shot

HEADER = ("sub", "count", "onset", "offset", "au", "emotion")
FIRST = 373  # what the first file is called


class CasmeCubedCLayout(FrameLayout):
    """CAS(ME)³, part C: `part_C/01/a/color/373.jpg`, which is file 1 of its folder."""

    name = "casme_cubed_c"
    words: ClassVar = {
        "negative": ("negative", "negative", "others"),
        "positive": ("positive",),
        "surprise": ("surprise",),
        "disgust": ("negative",),
        "happiness": ("positive",),
        "repression": ("negative",),
        "others": ("others",),
    }
    views: ClassVar = {"videos": ImageForm(1280 / 720)}

    def video(self, shot: Shot) -> str:
        return f"{shot.subject + 1:02d}"

    def first(self, shot: Shot) -> int:
        return FIRST

    def key(self, shot: Shot) -> tuple[str, str]:
        return f"{shot.subject + 1:02d}", f"a_{shot.onset - FIRST + 1}"

    def pattern(self, shot: Shot, source: str) -> str:
        return f"part_C/{self.video(shot)}/a/color/{{n}}.jpg"

    def cells(self, shot: Shot) -> Cells:
        onset, offset = shot.onset - FIRST + 1, shot.offset - FIRST + 1
        units = shot.clip.action_units.replace("+", ",")
        return [shot.subject + 1, "a", onset, offset, units, shot.word]

    def take(self, shot: Shot) -> Take:
        made = super().take(shot)
        made.dataset, made.apex = "casme_cubed", None
        made.action_units = made.cells[4]
        return made

    def books(self, takes: list[Take]) -> list[Book]:
        name = "CAS(ME)3_part_C_ME.xlsx"
        return quirks.one_sheet(name, "mockCrimeME", list(HEADER), takes)

    def readers(self) -> tuple[tuple[str, ...], ...]:
        fixed = ("--part", "C", "--source", "videos", "--missing-apex", "middle")
        return (("casme_cubed", *fixed, "--classes", "4class"),)

    def bend(self, take: Take, shot: Shot) -> None:
        if shot.index % 3 == 0:
            take.cells[4] = take.cells[4].replace(",", "，")
            take.quirks.append("action units with full-width commas")
        elif shot.index % 3 == 1:
            take.cells[4] = f"{take.cells[4]}?"
            take.quirks.append("action units are uncertain: `?`")
        else:
            quirks.spoil_text(take, 5)
            quirks.as_text(take, 0, 2, 3)

    def disturb(self, draft: Draft) -> None:
        quirks.untidy(draft, draft.books[0].sheets["mockCrimeME"])
        quirks.add_junk_sheets(draft, "Sheet1")
        quirks.leave_remains(draft)
        for take in draft.takes[:2]:
            folder = take.images["videos"].folder.replace("/color", "/depth")
            draft.files[f"{folder}/{take.onset}.png"] = quirks.JUNK
        draft.quirks.append("folders of depth lie beside those of colour")
