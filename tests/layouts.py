"""Small trees in the layouts of real data sets, written from synthetic faces."""

import dataclasses
import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import openpyxl

from data_builders.casme import Casme
from data_builders.casme2 import Casme2
from data_builders.casme_cubed import CasmeCubed
from data_builders.casme_squared import CasmeSquared
from data_builders.config import FrameSet
from data_builders.samm import Samm
from data_builders.smic import CLASSES as SMIC_CLASSES
from data_builders.smic import Smic
from jmer.synthetic.clips import generate
from jmer.synthetic.spec import SyntheticSpec

SPEC = SyntheticSpec(subjects=3, clips=6, length=9, size=32, seed=3)


@dataclass
class Take:
    """One clip of a tree: what the sheet says, and what should come of it."""

    key: tuple[str, str]  # subject and clip as they are loaded
    label: str
    folder: str  # of its frames, below the root
    file: str  # pattern of their names
    cells: list  # of the sheet
    onset: int
    apex: int
    offset: int
    images: np.ndarray  # of onset - 1 to offset + 1, as the files decode
    units: str

    def path(self, root: Path, number: int) -> Path:
        return root / self.folder / self.file.format(n=number)

    @property
    def shown(self) -> np.ndarray:
        return self.images[1:-1]

    @property
    def interval(self) -> tuple[int, int, int]:
        return 0, self.apex - self.onset, self.offset - self.onset


@dataclass
class Tree:
    """A data set on disk, and its configuration."""

    config: FrameSet
    root: Path
    layout: "Layout"
    takes: list[Take]

    def write_sheet(self):
        rows = [*self.layout.above, *(take.cells for take in self.takes)]
        if not self.layout.sheet:
            return
        book = openpyxl.Workbook()
        book.active.title = "naming rule1"  # one that is not the annotation
        book.active.append(["1", "s15", "index"])
        sheet = book.create_sheet(self.layout.sheet)
        for row in rows:
            sheet.append(row)
        book.save(self.root / self.layout.table)

    @property
    def loaded(self) -> list[Take]:
        return sorted((t for t in self.takes if t.label), key=lambda t: t.key)


@dataclass(frozen=True)
class Layout:
    config: type[FrameSet]
    words: tuple[str, ...]  # of the emotions shown
    classes: tuple[str, ...]  # what they are called; empty: not in the protocol
    take: Callable  # (subject 0.., clip 0.., word) -> (key, folder, file)
    cells: Callable = lambda *_: []
    table: str = ""
    sheet: str = ""
    above: tuple[list, ...] = ()
    grey: bool = False
    first: int = 46  # the recording number of the first onset
    fields: dict = field(default_factory=dict)
    columns: dict = field(default_factory=dict)  # where the sheet has what


def encoded(path: Path, image: np.ndarray) -> np.ndarray:
    """Writes an image as cameras do, and returns what can be read of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    quality = [cv2.IMWRITE_JPEG_QUALITY, 97]
    done = cv2.imwrite(str(path), np.ascontiguousarray(image[..., ::-1]), quality)
    assert done
    return np.ascontiguousarray(cv2.imread(str(path))[..., ::-1])


@functools.lru_cache
def faces():
    return tuple(generate(SPEC))


def write(layout: Layout, folder: Path, **fields) -> Tree:
    """A tree of six clips of three subjects; frames before and after each, too."""
    root = folder / "published"
    config = layout.config(
        manual_dir=root,
        data_dir=folder / "prepared",
        **{"size": 32, "frames": 4, "resample": "uniform", **layout.fields, **fields},
    )
    subjects = sorted({clip.subject for clip in faces()})
    takes = []
    for i, clip in enumerate(faces()):
        word, label = layout.words[i], layout.classes[i]
        number = layout.first + 20 * i
        frames = clip.frames[max(0, clip.onset - 1) :]
        frames = frames[: 5 + i % 3 + 2]
        if layout.grey:
            frames = np.repeat(frames[..., :1], 3, axis=-1)
        subject = subjects.index(clip.subject)
        onset, apex, offset = number, number + 2, number + len(frames) - 3
        key, place, file = layout.take(subject, i, word, onset)
        units = "4+R12"
        take = Take(
            key=key, label=label, folder=place, file=file, cells=[], onset=onset,
            apex=apex, offset=offset, images=frames, units=units,
        )  # fmt: skip
        take.cells = layout.cells(subject, i, word, take)
        whole = layout.config is Smic  # there, all frames are of the clip
        images = [
            encoded(take.path(root, onset - 1 + k), frame)
            for k, frame in enumerate(frames)
            if not (whole and k in (0, len(frames) - 1))
        ]
        if whole:
            images = [images[0], *images, images[-1]]
            take.apex = (onset + offset) // 2
            take.units = ""
        takes.append(dataclasses.replace(take, images=np.stack(images)))
    (root / "notes").mkdir()
    tree = Tree(config, root, layout, takes)
    tree.write_sheet()
    return tree


def _casme2(s, i, word, onset):
    clip = f"EP{i + 2:02d}_01f"
    return (f"sub{s + 1:02d}", clip), f"Cropped/sub{s + 1:02d}/{clip}", "reg_img{n}.jpg"


def _casme(s, i, word, onset):
    clip = f"EP{i + 1:02d}_{i + 10}"
    home = f"CASME/CASME_raw_selected/sub{s + 1:02d}/{clip}"
    return (f"sub{s + 1:02d}", clip), home, f"{clip}-{{n:03d}}.jpg"


def _samm(s, i, word, onset):
    clip = f"{s + 6:03d}_1_{i + 1}"
    home = f"SAMM/{s + 6:03d}/{clip}"
    return (f"{s + 6:03d}", clip), home, f"{s + 6:03d}_{{n:05d}}.jpg"


def _smic(s, i, word, onset):
    tag = {"negative": "ne", "positive": "po", "surprise": "sur"}[word]
    home = f"SMIC_all_cropped/HS/s{s + 1}/micro/{word}/s{s + 1}_{tag}_{i + 1:02d}"
    key = (f"s{s + 1:02d}", f"s{s + 1:02d}_{tag}_{i + 1:02d}")
    return key, home, "reg_image{n:06d}.bmp"


SQUARED = {
    "disgust2": "0102eatingworms",
    "anger1": "0401girlcrashing",
    "happy3": "0505funnyinnovations",
}


def _squared(s, i, word, onset):
    number = (15, 16, 19)[s]
    # As one folder of s19 is said to be called.
    name = f"{23 if (number, word) == (19, 'happy3') else number}_{SQUARED[word]}"
    key = (f"s{number}", f"{word}_{i + 1}_{onset}")
    return key, f"rawpic/s{number}/{name}", "img{n:03d}.jpg"


def _cubed(s, i, word, onset):
    video = "abcJ"[i % 4]
    home = f"Part_A_ME_clip/frame/spNo.{s + 1}_{video}_{onset}"
    return (f"spNO.{s + 1}", f"{video.lower()}_{onset}"), home, "{n}.jpg"


LAYOUTS = {
    "casme2": Layout(
        Casme2,
        words=("happiness", "Others", "disgust ", "sadness", "surprise", "repression"),
        classes=("happiness", "others", "disgust", "", "surprise", "repression"),
        take=_casme2,
        cells=lambda s, i, word, t: [
            f"{s + 1:02d}", t.key[1], None, t.onset, t.apex, t.offset, None, t.units,
            word,
        ],
        table="CASME2-coding-20140508.xlsx",
        sheet="Sheet1",
        above=(
            ["Subject", "Filename", None, "OnsetFrame", "ApexFrame ", "OffsetFrame",
             None, "Action Units", "Estimated Emotion"],
        ),
        columns={"onset": 3, "apex": 4, "emotion": 8},
    ),
    "casme": Layout(
        Casme,
        words=("tense", "disgust", "repression", "fear", "surprise", "tense"),
        classes=("tense", "disgust", "repression", "", "surprise", "tense"),
        take=_casme,
        cells=lambda s, i, word, t: [
            s + 1, t.key[1], None, t.onset, t.apex, None, t.offset, 1, 2, 3, t.units,
            word,
        ],
        table="casme.xlsx",
        sheet="Sheet1",
        above=(
            ["Subject", "Filename", None, "OnsetF", "ApexF1", "ApexF2", "OffsetF",
             None, "Onset", "Total", "AU", "Emotion"],
        ),
        fields={"source": "raw"},
        columns={"onset": 3, "apex": 4, "emotion": 11},
    ),
    "samm": Layout(
        Samm,
        words=("Anger", "Other", "Happiness", "Fear", "Surprise", "Contempt"),
        classes=("anger", "other", "happiness", "", "surprise", "contempt"),
        take=_samm,
        cells=lambda s, i, word, t: [
            f"{s + 6:03d}", t.key[1], 1, t.onset, t.apex, t.offset,
            t.offset - t.onset + 1, "Micro - 1/2", t.units, word, 7, None,
        ],
        table="SAMM_Micro_FACS_Codes_v2.xlsx",
        sheet="MICRO_ONLY",
        above=(
            *([f"preamble {i}"] for i in range(13)),
            ["Subject", "Filename", "Inducement Code", "Onset Frame", "Apex Frame",
             "Offset Frame", "Duration", "Micro", "Action Units", "Estimated Emotion",
             "Objective Classes", "Notes"],
        ),
        grey=True,
        first=5562,
        columns={"onset": 3, "apex": 4, "emotion": 9},
    ),
    "smic": Layout(
        Smic,
        words=(*SMIC_CLASSES, *SMIC_CLASSES),
        classes=(*SMIC_CLASSES, *SMIC_CLASSES),
        take=_smic,
        first=17_761_454,
    ),
    "casme_squared": Layout(
        CasmeSquared,
        words=("disgust2", "anger1", "anger1", "happy3", "disgust2", "happy3"),
        classes=("disgust", "anger", "anger", "happiness", "disgust", "happiness"),
        take=_squared,
        cells=lambda s, i, word, t: [
            s + 1, f"{word}_{i + 1}", t.onset, t.apex, t.offset, t.units, "negative",
            "micro-expression", "helpless",
        ],
        table="CAS(ME)^2code_final(Updated).xlsx",
        sheet="CASFEcode_final",
        fields={"source": "raw"},
        columns={"onset": 2, "apex": 3, "emotion": 1},
    ),
    "casme_cubed": Layout(
        CasmeCubed,
        words=("disgust", "Others", "sad", "happy", "fear", "surprise"),
        classes=("disgust", "others", "sad", "happy", "fear", "surprise"),
        take=_cubed,
        cells=lambda s, i, word, t: [
            f"spNO.{s + 1}", "abcJ"[i % 4], str(t.onset), str(t.apex), str(t.offset),
            t.units, "VII", word,
        ],
        table="cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx",
        sheet="label",
        above=(
            ["Subject", "Filename", "Onset", "Apex", "Offset", "AU", "Objective class",
             "emotion"],
        ),
        columns={"onset": 2, "apex": 3, "emotion": 7},
    ),
}  # fmt: skip
