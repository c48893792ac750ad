"""Where the sheet and the images of a set of annotated frames lie below its folder."""

import collections
import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from data_builders import places
from data_builders.annotation import SheetRow, subject_number
from data_builders.disk import DEPTH, Disk, one_of
from data_builders.frame_files import Frame
from data_builders.frame_names import FrameNames
from data_builders.sheet_files import choices, find_table, sheets_in
from jmer.data.asking import other_choices
from jmer.data.maker import builder_of
from jmer.errors import JmerError


class FramePlaces(FrameNames):
    """Finds them by their names."""

    @functools.cached_property
    def disk(self) -> Disk:
        """Each builder has its own: the disk may have changed since another looked."""
        return Disk()

    @functools.cached_property
    def table(self) -> Path:
        """The annotation sheet. Raises: JmerError if there is none, or several."""
        return self._table(0)

    @functools.cached_property
    def second_table(self) -> Path:
        """The sheet of `second_tables`. Raises: JmerError as `table`."""
        return self._table(1)

    def _table(self, role: int) -> Path:
        base = self.require_manual_dir()
        sheets, chosen = self._sheets, self._chosen
        # The other sheet stays the one that was found.
        before = f"{self.table.name}," if role else ""
        try:
            return find_table(base, sheets[role], chosen[role], before)
        except JmerError as error:
            if sheets_in(base, sheets[role], chosen[role]):
                raise
            raise JmerError(f"{error}{self._elsewhere()}") from error

    @functools.cached_property
    def root(self) -> Path:
        """The folder of the subjects' folders. Raises: JmerError if there is none."""
        base, names = self.require_manual_dir(), self.root_names
        found = self.disk.find_root(base, names, self.holds_subjects)
        if found is None:
            raise JmerError(
                f"no folder {' or '.join(names)} with subjects in {base}: put the "
                f"{self.data.source} images there"
                f"{other_choices(self.data, 'source')}."
                f"{self._elsewhere() or self._misnamed(names)}"
            )
        return found

    @property
    def root_names(self) -> tuple[str, ...]:
        """What the folder may be called, the one to take first where there are two:
        frames around an expression are in whole recordings, and those that the owners
        selected may begin at the onset."""
        names = self.roots[self.data.source]
        if not self.data.context:
            return names
        return tuple(sorted(names, key=is_selected))

    beside: Sequence["FramePlaces"] = ()
    """What else is read from the same folder, by the same command."""
    nearby = True
    """Whether to look for a folder near `manual_dir` where that lacks something."""

    def _elsewhere(self) -> str:
        """Where sheet and images are, if near; nothing if they are not."""
        if not self.nearby:
            return ""
        every = (self, *self.beside)
        return places.hint(
            self.require_manual_dir(),
            lambda folder: (
                self._may_be(folder) and all(b._is_at(folder) for b in every)
            ),
        )

    def _may_be(self, folder: Path) -> bool:
        """Whether sheets and images seem to be in a folder, at a glance."""
        for patterns, chosen in zip(self._sheets, self._chosen, strict=True):
            if patterns and not sheets_in(folder, patterns, chosen, depth=2):
                return False
        names, deep = self.root_names, DEPTH if self.tables else 1
        return bool(Disk().find_root(folder, names, self.holds_subjects, depth=deep))

    def _is_at(self, folder: Path) -> bool:
        """Whether all is found there by all that the configuration says. Raises:
        JmerError if not."""
        there = builder_of(replace(self.data, manual_dir=folder), make=False)
        assert isinstance(there, FramePlaces)
        there.nearby = False
        if self.tables:
            _ = there.table
        if self.second_tables:
            _ = there.second_table
        return bool(there.root)

    @property
    def _sheets(self) -> list[tuple[str, ...]]:
        """Patterns of each sheet that is read."""
        return [self.tables, *([self.second_tables] if self.second_tables else [])]

    @property
    def _chosen(self) -> list[str]:
        """What `table` names of them."""
        return choices(self.data.table, self._sheets)

    def _misnamed(self, names: tuple[str, ...]) -> str:
        """How the folders are called that should be those of subjects, and the rule."""
        base = self.require_manual_dir()
        called = self.disk.find_root(base, names, lambda folder: folder != base)
        there = places.some(called or base)
        if not there:
            return ""
        return (
            f" In {called or base} are {there}, but subjects are called as "
            f"{self.example_folder} ({self.subject_folder})."
        )

    def odd_names(self, row: SheetRow) -> str:
        """Of a clip whose subject has no folder, those that are not called as one."""
        if subject_number(row.subject) in self.subject_folders:
            return ""
        names = [p.name for p in self.disk.folders(self.root)]
        odd = [name for name in names if not self._is_subject(name)]
        if not odd:
            return ""
        return (
            f" (where {', '.join(odd[:3])}{', …' if len(odd) > 3 else ''} are not "
            f"called as subjects, such as {self.example_folder})"
        )

    def holds_subjects(self, folder: Path) -> bool:
        """Whether folders of subjects lie in it."""
        return any(self._is_subject(p.name) for p in self.disk.folders(folder))

    def _is_subject(self, name: str) -> bool:
        """Whether a folder is called as those of subjects are."""
        return re.fullmatch(self.subject_folder, name, re.IGNORECASE) is not None

    @functools.cached_property
    def subject_folders(self) -> dict[int | None, list[Path]]:
        """The folders of each subject, by number; more than one is a mistake."""
        found = collections.defaultdict(list)
        for path in self.disk.folders(self.root):
            if self._is_subject(path.name):
                found[subject_number(path.name)].append(path)
        return dict(found)

    def subject_home(self, row: SheetRow) -> Path | None:
        """The folder of a row's subject. Raises: JmerError if there are two."""
        number = subject_number(row.subject)
        return one_of(self.subject_folders.get(number, ()))

    def clip_folder(self, row: SheetRow) -> Path | None:
        """The folder of a clip's frames, None if there is none."""
        home = self.subject_home(row)
        return home and self.disk.child(home, row.folder or row.clip)

    def numbered(self, folder: Path) -> Mapping[int, Frame]:
        """The images of a folder by the numbers that the sheet knows them by."""
        return self.disk.numbered(folder)


def is_selected(name: str) -> bool:
    """Whether a folder so called has what was selected of recordings."""
    return "selected" in name.lower()
