"""A set of one's own: a table, and the folders of frames or videos that it names."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from data_builders.frame_set import FrameSet, Labelling
from jmer.errors import Need, Needs, UsageError

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "clip": ("clip", "file", "video", "path", "folder", "filename"),
    "subject": ("subject", "participant", "person", "who"),
    "label": ("label", "class", "emotion", "expression"),
    "onset": ("onset", "onset frame", "start"),
    "apex": ("apex", "apex frame", "peak"),
    "offset": ("offset", "offset frame", "end"),
    "fps": ("fps", "frame rate", "frames per second"),
    "action_units": ("action units", "aus", "au"),
    "dataset": ("dataset", "database", "source"),
    "session": ("session", "sitting"),
    "clip_name": (),
}
"""Our columns, and what they may be called in a table; compared without regard to case,
blanks and underscores. Where a clip lies is its name, unless a column of names is asked
for."""

WITH_APEX = ("sf", "apex-offset", "of", "dense")
"""Special images that depend on the apex."""


@dataclass(frozen=True)
class Folder(FrameSet):
    """Clips of one's own: a table with a row for each (columns clip, subject, label;
    where known onset, apex, offset, fps, action_units, dataset, session), and the
    folders of frames or the video files that it names."""

    name: ClassVar[str] = "folder"
    source_is_given: ClassVar[bool] = True
    frame_rate: ClassVar[float] = 0.0  # as the table or the video says
    labellings: ClassVar[Mapping[str, Labelling]] = {}
    each_cell: ClassVar[bool] = True
    files: ClassVar[tuple[str, ...]] = (*FrameSet.files, "labels")

    table: str = ""
    """The table: CSV with any delimiter, or a workbook (.xlsx, .xls)."""
    root: Path | None = None
    """Where the paths in the table begin (default: the table's folder)."""
    columns: tuple[str, ...] = ()
    """How columns are called that no default fits: subject=Who clip=Datei."""
    labels: Path | None = None
    """A table of two columns, label and class: which words of the table mean which
    class. Words with an empty class there are left out, and those that it lacks are
    refused; without it, each word is a class of its own, in capitals or not."""
    classes: str = ""
    """The classes that take part, in the order of their labels, with commas between
    (default: all, by alphabet)."""
    times: Literal["frames", "seconds"] = "frames"
    """What onset, apex and offset are: numbers of frames, as in the names of image
    files and from `first_frame` in a video; or seconds from the first frame."""
    first_frame: Literal["0", "1"] = "1"
    """What the table calls the first frame of a video."""
    fps: float = 0.0
    """Frames a second of folders of frames, where the table has no such column. Videos
    say themselves when a frame is shown."""
    source: str = "files"
    """Unused: the table says where the frames are."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _called(self.columns)
        if self.manual_dir is None:
            object.__setattr__(self, "manual_dir", self._place)
        if self.times == "seconds":  # which names of files say nothing of
            object.__setattr__(self, "numbering", "same")
        if not 0 <= self.fps < math.inf:
            raise UsageError(f"fps={self.fps}: must be finite and above 0")

    @property
    def needs(self) -> Needs:
        """Nothing stands for a moment that nobody looks at, and files of a table in
        seconds are counted by none."""
        counted: Need = {} if self.times == "frames" else None
        apex: Need = {} if self.needs_apex else None
        own = {"numbering": counted, "missing_apex": apex, "source": None}
        return {**super().needs, **own}

    @property
    def needs_apex(self) -> bool:
        """Whether what is stored depends on the apex."""
        shown = self.modality in ("apex-flow", "video") or self.special in WITH_APEX
        return shown or self.resample == "apex-window"

    unread: ClassVar[bool] = False
    """Whether the table is not to be looked at, nor anything else of the source."""

    def without_source(self) -> Self:
        made = super().without_source()
        for name, value in (("manual_dir", None), ("unread", True)):
            object.__setattr__(made, name, value)
        return made

    @property
    def table_file(self) -> Path:
        """The table as typed, with `~` and `$VARIABLE` written out."""
        return self.place_of(self.table)

    @property
    def _place(self) -> Path | None:
        if self.root is not None:
            return self.root
        # Where it is gone, what was prepared can still be used.
        table = self.table_file
        return table.parent if self.table and table.is_file() else None

    @property
    def places(self) -> tuple[str, ...]:
        return (*super().places, "root", "table")

    @property
    def recipe(self) -> dict[str, Any]:
        """Of the table, the name and that of its folder (its content is compared with
        what was prepared, as that of all files is), and whether labels are mapped."""
        fields = super().recipe
        parts = self.table_file.absolute().parts
        mapped = {} if self.labels is None else {"words": "mapped"}
        return {**fields, "listed": "/".join(parts[-2:]), **mapped}

    @property
    def names(self) -> Mapping[str, tuple[str, ...]]:
        """Our columns, and what each may be called in the table: what one is said to
        be called, no other is."""
        called = {ours: (theirs,) for ours, theirs in _called(self.columns).items()}
        taken = {_plain(theirs) for (theirs,) in called.values()}
        free = {
            ours: tuple(name for name in names if _plain(name) not in taken)
            for ours, names in COLUMNS.items()
        }
        return {**{o: names for o, names in free.items() if names}, **called}

    @property
    def rules(self) -> Labelling:
        """The classes, as the table of labels has them, or the table itself.

        Raises: JmerError if one cannot be read, or lacks a class that was asked for.
        """
        from data_builders.folder.words import labelling

        return labelling(self)

    @property
    def vocabulary(self) -> Mapping[str, tuple[str, ...]]:
        """Every word that a row may hold; each other is an error."""
        from data_builders.folder.words import words

        return {"label": words(self)}

    @property
    def more_words(self) -> str:
        return (
            f", or be added to {self.labels}, where an empty class leaves it out"
            if self.labels is not None
            else ""
        )

    def without_class(self, word: str) -> str:
        from data_builders.folder.words import is_mapped

        if is_mapped(self, word):
            return super().without_class(word)
        return f"{word} (no class in {self.labels})"


def _called(columns: tuple[str, ...]) -> dict[str, str]:
    """Raises: UsageError for what is no column=name."""
    made = dict[str, str]()
    for text in columns:
        ours, equals, theirs = text.partition("=")
        if ours not in COLUMNS or not equals or not theirs.strip():
            raise UsageError(
                f"columns={text!r}: must be one of {', '.join(COLUMNS)}, = and what it "
                f"is called in the table, such as subject=Who"
            )
        if made.setdefault(ours, theirs.strip()) != theirs.strip():
            raise UsageError(
                f"columns: {ours} is said to be called {made[ours]!r} and "
                f"{theirs.strip()!r}; leave out one of them"
            )
    return made


def _plain(text: str) -> str:
    return re.sub(r"[\s_]+", "", text).lower()
