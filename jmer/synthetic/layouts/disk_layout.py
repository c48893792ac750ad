"""What a layout is: the names, places and sheets of one data set."""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, TypeVar

import numpy as np
from jaxtyping import UInt8
from rich.console import Console
from rich.progress import track

from jmer.errors import UsageError
from jmer.synthetic.layouts.draft import Book, Cells, Draft, Images, Take
from jmer.synthetic.layouts.images import framed, write_image
from jmer.synthetic.layouts.shot import ImageForm, Shot
from jmer.synthetic.rendering import render_clip
from jmer.synthetic.spec import Slot, SyntheticSpec, plan_clips

T = TypeVar("T")


@dataclass(frozen=True)
class DiskLayout:
    """Writes synthetic clips as the owners of a data set distribute theirs."""

    name: ClassVar[str]

    quirks: bool = False
    """With the irregularities that the real set is known for."""

    def write(self, root: Path, spec: SyntheticSpec) -> Draft:
        """Writes all files below `root`.

        Raises: UsageError for a `spec` that the data set has no names for; OSError.
        """
        raise NotImplementedError

    def readers(self) -> tuple[tuple[str, ...], ...]:
        """What reads it: names of data sets, each with the options that it needs."""
        return ((self.name,),)


class FrameLayout(DiskLayout):
    """Folders of numbered frames and a sheet. A subclass says how they are called."""

    words: ClassVar[Mapping[str, tuple[str, ...]]]
    """What clips of each synthetic class are called in the sheet, in turns; the first
    word is that of a class in the usual protocol."""
    views: ClassVar[Mapping[str, ImageForm]]
    """The images by the `source` that reads them."""
    most_subjects: ClassVar[int] = 9999
    corrected: ClassVar[tuple[int, ...]] = ()
    """Lengths of sheets whose published corrections go by row."""

    def key(self, shot: Shot) -> tuple[str, str]:
        """Subject and clip as published lists have them."""
        raise NotImplementedError

    def pattern(self, shot: Shot, source: str) -> str:
        """Path of the frames below the root, with `{n}` for the number."""
        raise NotImplementedError

    def cells(self, shot: Shot) -> Cells:
        """The row of a clip in the sheet."""
        raise NotImplementedError

    def books(self, takes: list[Take]) -> list[Book]:
        """The sheets; `take.cells` are rows of theirs."""
        raise NotImplementedError

    def video(self, shot: Shot) -> str:
        """The recording that a clip is part of: clips of one follow one another."""
        return f"{shot.index}"

    def first(self, shot: Shot) -> int:
        """Number of the first frame of that recording."""
        return 1

    def labels(self, shot: Shot) -> dict[str, str]:
        """The word in every column of labels, in lower case."""
        return {"emotion": shot.word.lower()}

    def bend(self, take: Take, shot: Shot) -> None:
        """Makes a clip irregular in place, before its frames are written."""

    def disturb(self, draft: Draft) -> None:
        """Makes the set irregular in place, before its sheets are written."""

    def shots(self, spec: SyntheticSpec) -> Iterator[Shot]:
        """Clip after clip, so that few are in memory."""
        of_class, of_subject = Counter[int](), Counter[int]()
        next_start: dict[str, int] = {}
        for index, slot in enumerate(with_bar(plan_clips(spec), self.name)):
            clip = render_clip(spec, index)
            words = self.words[spec.class_names[slot.label]]
            word = turn(words, of_class[slot.label])
            shot = Shot(clip, index, slot.subject, of_subject[slot.subject], word)
            of_class[slot.label] += 1
            of_subject[slot.subject] += 1
            video = self.video(shot)
            start = next_start.get(video, self.first(shot))
            next_start[video] = start + len(shot.frames)
            yield dataclasses.replace(shot, start=start)

    def take(self, shot: Shot) -> Take:
        """What is written of a clip."""
        subject, clip = self.key(shot)
        last = shot.start + len(shot.frames) - 1
        images = {
            source: Images(
                self.pattern(shot, source),
                shot.start if view.whole else shot.onset,
                last if view.whole else shot.offset,
            )
            for source, view in self.views.items()
        }
        made = Take(
            dataset=self.name, subject=subject, clip=clip, labels=self.labels(shot),
            onset=shot.onset, apex=shot.apex, offset=shot.offset,
            action_units=shot.clip.action_units, images=images, index=shot.index,
            cells=self.cells(shot), part=shot.part,
        )  # fmt: skip
        if self.quirks:
            self.bend(made, shot)
        return made

    def pictures(self, shot: Shot, source: str) -> UInt8[np.ndarray, "t h w 3"]:
        """All frames of a clip from `shot.start` on, before they are encoded."""
        view = self.views[source]
        return framed(shot.frames, view.aspect, grey=view.grey)

    def write(self, root: Path, spec: SyntheticSpec) -> Draft:
        self.refuse(spec)
        draft = Draft([])
        for shot in self.shots(spec):
            take = self.take(shot)
            for source, images in take.images.items():
                pictures = self.pictures(shot, source)
                for number in images.numbers:
                    picture = pictures[number - shot.start]
                    write_image(images.path(root, number), picture)
            draft.takes.append(take)
        draft.books = self.books(draft.takes)
        if self.quirks:
            self.disturb(draft)
        draft.write_files(root)
        draft.write_sheets(root)
        return draft

    def refuse(self, spec: SyntheticSpec) -> None:
        """Raises: UsageError for what the data set has no names for."""
        if spec.subjects > self.most_subjects:
            raise UsageError(
                f"subjects={spec.subjects}: {self.name} has names for "
                f"{self.most_subjects} subjects. Ask for fewer."
            )
        if spec.clips in self.corrected:
            free = max(self.corrected) + 1
            raise UsageError(
                f"clips={spec.clips}: the published corrections of {self.name} go by "
                f"row in sheets of that many rows. Ask for another number, such as "
                f"{free}."
            )


def with_bar(slots: Sequence[Slot], name: str) -> Iterable[Slot]:
    """The same, with a bar in a terminal: large sets take their time."""
    console = Console(stderr=True)
    quiet = not console.is_terminal
    return track(
        slots, f"writing {name}", console=console, transient=True, disable=quiet
    )


def turn(things: Sequence[T], number: int) -> T:
    """The one whose turn it is."""
    return things[number % len(things)]
