"""TFDS builder of SMIC."""

import functools
import hashlib
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from data_builders.annotation import Correction, SheetRow, subject_number
from data_builders.disk import looking, one_of
from data_builders.frame_builder import FrameBuilder
from data_builders.sheet_files import sheets_in
from data_builders.sheets import Columns, Line
from data_builders.smic import CLASSES, Smic
from jmer.data.asking import data_option, other_choices
from jmer.errors import JmerError

CLIP = r"s(\d{1,9})_(ne|po|sur)_(\d{1,9})"
PARTS = ("HS", "VIS", "NIR")
TAGS = {"ne": "negative", "po": "positive", "sur": "surprise"}
NOTHING = ("", "0", "/", "-", "nan")


class Builder(FrameBuilder):
    """Frames `HS/s1/micro/negative/s1_ne_01/image012345.bmp`.

    There is no sheet: the folder of a clip is its row, and its first and last frame
    are onset and offset. Subjects and clips get the padded names of published lists
    (`s01`, `s01_ne_01`).

    Long recordings lie in `HS_long/SMIC-HS-E/s03/s3_ne_03/image012345.jpg`, and have a
    sheet. The second micro-expression of a recording is called `s03_ne_03_2`. The sheet
    calls s18_sur_03 negative, against its name and all lists, which is corrected.
    """

    VERSION = "1.0.0"
    data: Smic
    subject_folder = r"s\d+"
    example_folder = "s1"
    sheets_apart = PARTS

    @property
    def roots(self) -> dict[str, tuple[str, ...]]:
        part = self.data.part
        return {
            "raw": ("SMIC_all_raw", "SMIC_raw"),
            "cropped": ("SMIC_all_cropped", "SMIC_cropped"),
            "long": (f"SMIC-{part}-E", f"{part}_long"),
        }

    @property
    def tables(self) -> tuple[str, ...]:
        """Patterns of the sheet, of which some copies have one a camera: that of
        `part` goes before one of all."""
        if self.data.source != "long":
            return ()
        mine = _sheets(f"SMIC*{self.data.part}*E_annotation*")
        return mine if self._own_sheet else _sheets("SMIC*E_annotation*")

    @functools.cached_property
    def _own_sheet(self) -> bool:
        """Whether a sheet is called by the part."""
        mine = _sheets(f"SMIC*{self.data.part}*E_annotation*")
        return bool(sheets_in(self.require_manual_dir(), mine))

    @property
    def columns(self) -> Columns:
        """A sheet of one camera may have its name behind those of its columns."""
        moments = {
            f"{end.lower()}{n}": (f"{end}{n}F", f"{end}{n}F {self.data.part}")
            for n in ("", "2", "3")
            for end in ("Onset", "Offset")
        }
        named = {"subject": ("Subject",), "clip": ("Filename",)}
        return {**named, **moments, "emotion": ("Emotion",)}

    @property
    def corrections(self) -> tuple[Correction, ...]:
        if self.data.source != "long":
            return ()
        clips = ("s18_sur_03", "s18_sur_03_2")
        return tuple(Correction("emotion", "surprise", key=("s18", c)) for c in clips)

    @property
    def sheet(self) -> str:
        return self.data.part

    @property
    def optional(self) -> set[str]:
        return {name for name in self.columns if name[-1] in "23"}

    def holds_subjects(self, folder: Path) -> bool:
        if self.data.source == "long":
            return super().holds_subjects(folder)
        part = self.disk.child(folder, self.data.part)
        return part is not None and super().holds_subjects(part)

    @property
    def part(self) -> Path:
        return self.disk.child(self.root, self.data.part) or self.root

    def rows(self) -> list[SheetRow]:
        if self.data.source == "long":
            return [row for line in self.lines() for row in self._of_line(line)]
        return [self._row(i, clip) for i, clip in enumerate(self._clips())]

    def _clips(self) -> Iterator[Path]:
        """Raises: JmerError if what is called as a clip or holds clips is no folder of
        one."""
        for home in self.disk.folders(self.part):
            micro = self.disk.child(home, "micro")
            if micro is None:
                continue
            if not re.fullmatch(self.subject_folder, home.name, re.IGNORECASE):
                raise JmerError(
                    f"{home} holds clips, but is no name of a subject, such as s1. "
                    f"Rename it, or move it elsewhere."
                )
            for emotion in self.disk.folders(micro):
                with looking(emotion):
                    inside = sorted(emotion.iterdir())
                for path in inside:
                    if path.is_dir():
                        yield path
                    elif re.fullmatch(CLIP, path.name.lower()):
                        raise JmerError(f"{path} is no folder. Restore that clip.")

    def _row(self, number: int, folder: Path) -> SheetRow:
        there = sorted(self.disk.numbered(folder))
        found = re.fullmatch(CLIP, folder.name.lower())
        if found is None:
            raise JmerError(
                f"{folder} is no name of a clip, such as s1_ne_01. Rename it, or move "
                f"it elsewhere."
            )
        subject, tag, clip = found.groups()
        emotion = folder.parent.name.lower()
        home = folder.parent.parent.parent.name
        if emotion != TAGS[tag] or int(subject) != subject_number(home):
            raise JmerError(
                f"{folder} lies among the {emotion} clips of {home}, but its name says "
                f"{TAGS[tag]} of s{subject}. Put it where it belongs."
            )
        return SheetRow(
            where=str(folder),
            number=number,
            subject=f"s{int(subject):02d}",
            clip=f"s{int(subject):02d}_{tag}_{int(clip):02d}",
            labels={"emotion": emotion},
            onset=str(there[0]) if there else "",
            apex="",
            offset=str(there[-1]) if there else "",
            folder=str(folder),
        )

    def lines(self) -> list[Line]:
        lines = super().lines()
        where = lines[0].where if lines else ""
        title = re.search(r", sheet (.*), row \d+$", where)
        called = self.data.part in self.table.name.upper()
        # Where the file is called by the part, its sheet may be called anything else.
        others = PARTS if called else (title[1].upper(),) if title else ()
        wrong = title and title[1] != self.sheet and title[1].upper() in others
        if wrong:
            raise JmerError(
                f"{self.table} has no sheet {self.sheet} that names the columns. Give "
                f"a workbook that has one with {data_option('table', 'FILE')}"
                f"{other_choices(self.data, 'part')}."
            )
        return lines

    def _of_line(self, line: Line) -> list[SheetRow]:
        """A row for each micro-expression of a recording."""
        values = line.values
        found = re.fullmatch(CLIP, values["clip"].lower())
        subject, tag, clip = found.groups() if found else ("", "", "")
        number = subject_number(values["subject"])
        if found and number not in (None, int(subject)):
            raise JmerError(
                f"{line.where}: clip {values['clip']} of subject {values['subject']}: "
                f"the name is that of another. Correct the sheet."
            )
        first = SheetRow(
            where=line.where,
            number=line.number,
            subject=f"s{int(subject):02d}" if found else "",
            clip=f"s{int(subject):02d}_{tag}_{int(clip):02d}" if found else "",
            labels={"emotion": values["emotion"].lower()},
            onset=values["onset"],
            apex="",
            offset=values["offset"],
        )
        rows = [replace(first, folder=first.clip)]
        for n in ("2", "3"):
            onset, offset = values.get(f"onset{n}", ""), values.get(f"offset{n}", "")
            if onset.lower() not in NOTHING or offset.lower() not in NOTHING:
                clip = f"{first.clip}_{n}" if found else ""
                rows.append(replace(rows[0], clip=clip, onset=onset, offset=offset))
        return rows

    def left_out(self, row: SheetRow) -> str:
        note = not (row.clip or row.onset) and row.labels["emotion"] not in CLASSES
        return "lines of the sheet that are no recordings" if note else ""

    def clip_folder(self, row: SheetRow) -> Path | None:
        if self.data.source != "long":
            return Path(row.folder)
        home = self.subject_home(row)
        there = []
        for folder in self.disk.folders(home) if home else ():
            found = re.fullmatch(CLIP, folder.name.lower())
            _, tag, clip = found.groups() if found else ("", "", "0")
            if row.folder == f"{row.subject}_{tag}_{int(clip):02d}":
                there.append(folder)
        return one_of(there)

    def sheet_digests(self) -> dict[str, str]:
        if self.data.source == "long":
            return super().sheet_digests()
        # A clip more or less is a change, too.
        names = "\n".join(row.title for row, _ in self.annotation.chosen)
        digest = hashlib.sha256(names.encode()).hexdigest()[:16]
        return {str(self.part.relative_to(self.require_manual_dir())): digest}


def _sheets(name: str) -> tuple[str, ...]:
    return tuple(f"{name}.{ending}" for ending in ("xlsx", "xls", "csv"))
