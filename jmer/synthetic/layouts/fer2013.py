"""FER2013: still images, all of them numbers in one table."""

from collections import Counter
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np

from jmer.synthetic.layouts.disk_layout import DiskLayout, turn, with_bar
from jmer.synthetic.layouts.draft import Book, Cells, Draft, Take
from jmer.synthetic.layouts.images import framed
from jmer.synthetic.spec import SyntheticSpec, plan_clips
from jmer.synthetic.stills import render_still

HEADER = ("emotion", "pixels", "Usage")
OTHER_HEADER = ("emotion", " Usage", " pixels")
SHOWN = {
    "angry": "anger",
    "disgust": "disgust",
    "fear": "fear",
    "happy": "happiness",
    "sad": "sadness",
    "surprise": "surprise",
    "neutral": None,
}
"""The classes, in the order of their numbers, and the emotion that each shows."""
USAGES = ("Training", "PublicTest", "PrivateTest")
PART = (0, 0, 0, 1, 2)  # of five images in a row: where each is used
SIZE = 48


class Fer2013Layout(DiskLayout):
    """FER2013: `fer2013.csv`, whose rows are images of 48x48, grey; `length` is 1."""

    name = "fer2013"
    words: ClassVar = {
        "negative": ("angry", "disgust", "fear", "sad"),
        "positive": ("happy", "neutral"),
        "surprise": ("surprise", "fear"),
        "disgust": ("disgust", "angry"),
        "happiness": ("happy",),
        "repression": ("sad", "neutral"),
        "others": ("neutral", "angry", "fear"),
    }

    def write(self, root: Path, spec: SyntheticSpec) -> Draft:
        drawn: list[tuple[int, int, str, Cells]] = []
        of_class = Counter[int]()
        for index, slot in enumerate(with_bar(plan_clips(spec), self.name)):
            words = self.words[spec.class_names[slot.label]]
            word = turn(words, of_class[slot.label])
            of_class[slot.label] += 1
            image = render_still(spec, index, SHOWN[word])
            (grey,) = framed(image[None], 1, grey=True)
            small = cv2.resize(grey[..., 0], (SIZE, SIZE), interpolation=cv2.INTER_AREA)
            if self.quirks and index == 1:
                small = np.zeros_like(small)
            pixels = " ".join(map(str, small.ravel().tolist()))
            row = [list(SHOWN).index(word), pixels, USAGES[PART[index % len(PART)]]]
            drawn.append((PART[index % len(PART)], index, word, row))
        drawn.sort(key=lambda entry: entry[:2])
        draft = Draft([self.take(i, *entry[1:]) for i, entry in enumerate(drawn)])
        rows: list[Cells] = [list(HEADER), *(take.cells for take in draft.takes)]
        if self.quirks:
            rows = [[e, usage, pixels] for e, pixels, usage in rows]
            rows[0] = list(OTHER_HEADER)
            draft.quirks.append("the columns of icml_face_data.csv, with blanks")
        draft.books = [Book("fer2013.csv", {"": rows})]
        draft.write_sheets(root)
        return draft

    def take(self, number: int, index: int, word: str, cells: Cells) -> Take:
        """What is written in a row; `number` counts from 0."""
        made = Take(
            dataset=self.name, subject=cells[2].lower(), clip=f"{number:05d}",
            labels={"emotion": word}, onset=0, apex=0, offset=0, action_units="",
            images={}, index=index, cells=cells,
        )  # fmt: skip
        if self.quirks and index == 1:
            made.quirks.append("all black")
        return made
