"""CAS(ME)²: whole videos, and a sheet without a header."""

from typing import ClassVar

from jmer.synthetic.layouts import quirks
from jmer.synthetic.layouts.disk_layout import FrameLayout, turn
from jmer.synthetic.layouts.draft import Book, Cells, Draft, Take
from jmer.synthetic.layouts.shot import ImageForm, Shot

SUBJECTS = (15, 16, *range(19, 28), *range(29, 39), 40)
VIDEOS = {
    **{"disgust1": "0101disgustingteeth", "disgust2": "0102eatingworms"},
    **{"anger1": "0401girlcrashing", "anger2": "0402beatingpregnantwoman"},
    **{"happy1": "0502funnyerrors", "happy2": "0503unnyfarting"},
    **{"happy3": "0505funnyinnovations", "happy4": "0507climbingthewall"},
    "happy5": "0508funnydunkey",
}
WATCHED = {
    "negative": ("disgust2", "anger1", "disgust1", "anger2"),
    "positive": ("happy1", "happy3", "happy5", "happy2", "happy4"),
    "surprise": ("happy1", "anger2", "disgust1"),
    "others": ("anger1", "happy2", "disgust2", "happy4"),
}
TITLE = "CASFEcode_final"
MISNAMED = 19  # one of its folders starts with another subject's number


class CasmeSquaredLayout(FrameLayout):
    """CAS(ME)²: `rawpic/s15/15_0101disgustingteeth/img001.jpg`, and cropped faces."""

    name = "casme_squared"
    words: ClassVar = {
        "negative": ("negative", "others"),
        "positive": ("positive",),
        "surprise": ("surprise",),
        "disgust": ("negative",),
        "happiness": ("positive",),
        "repression": ("negative",),
        "others": ("others",),
    }
    views: ClassVar = {"raw": ImageForm(640 / 480), "cropped": ImageForm(280 / 340)}
    most_subjects = len(SUBJECTS)

    def watched(self, shot: Shot) -> str:
        """The video during which a clip was shown."""
        misnamed = SUBJECTS[shot.subject] == MISNAMED and shot.count == 0
        if self.quirks and misnamed:
            return "happy1"
        return turn(WATCHED[shot.word], shot.count)

    def video(self, shot: Shot) -> str:
        return f"{shot.subject}/{self.watched(shot)}"

    def key(self, shot: Shot) -> tuple[str, str]:
        clip = f"{self.watched(shot)}_{shot.count + 1}"
        return f"s{SUBJECTS[shot.subject]}", f"{clip}_{shot.onset}"

    def pattern(self, shot: Shot, source: str) -> str:
        number, video = SUBJECTS[shot.subject], self.watched(shot)
        misnamed = self.quirks and (number, video) == (MISNAMED, "happy1")
        folder = f"s{number}/{23 if misnamed else number}_{VIDEOS[video]}"
        if source == "raw":
            return f"rawpic/{folder}/img{{n:03d}}.jpg"
        return f"longVideoFaceCropped/{folder}/img_{{n}}.jpg"

    def labels(self, shot: Shot) -> dict[str, str]:
        return {"emotion": shot.word, "stimulus": self.watched(shot).rstrip("12345")}

    def cells(self, shot: Shot) -> Cells:
        return [
            *(shot.subject + 1, f"{self.watched(shot)}_{shot.count + 1}"),
            *(shot.onset, shot.apex, shot.offset, shot.clip.action_units),
            *(shot.word, "micro-expression", "helpless"),
        ]

    def books(self, takes: list[Take]) -> list[Book]:
        by_subject = [
            [number, f"s{number}", i + 1] for i, number in enumerate(SUBJECTS)
        ]
        by_video = [[folder[:4], video] for video, folder in VIDEOS.items()]
        sheets = {
            TITLE: [take.cells for take in takes],
            "naming rule1": by_subject,
            "naming rule2": by_video,
        }
        return [Book("CAS(ME)^2code_final(Updated).xlsx", sheets)]

    def bend(self, take: Take, shot: Shot) -> None:
        if "/23_" in take.images["raw"].pattern:
            take.quirks.append("the folder of s19 is called 23_0502funnyerrors")
        if shot.index % 4 == 0:
            take.action_units = take.cells[5] = take.action_units.replace("+", ", ")
            take.quirks.append("action units with commas")
        elif shot.index % 4 == 1:
            take.action_units = take.cells[5] = "NULL"
            take.quirks.append("action units NULL")
        elif shot.index % 4 == 2:
            quirks.spoil_text(take, 1, 6, 7)
            take.clip = take.clip.capitalize()
        else:
            quirks.as_text(take, 2, 3, 4)

    def disturb(self, draft: Draft) -> None:
        book = draft.books[0]
        rows = book.sheets.pop(TITLE)
        shown = draft.takes[0]
        macro = [*rows[0][:2], shown.onset, shown.apex, 0, "12", "positive"]
        rows.append([*macro, "macro-expression", "happy"])
        rows.append([*macro[:3], 0, shown.offset, None, "negative"])
        rows[-1] += ["macro-expression", "sad"]
        draft.quirks.append("macro-expressions without offset or apex (0)")
        quirks.insert_blanks(draft, rows, 2, len(rows))
        book.sheets[TITLE] = rows
        draft.quirks.append("the annotation is not the first sheet")
        quirks.leave_remains(draft)
