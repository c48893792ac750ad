"""Where the frames of each clip lie, found once more."""

import collections
import os
import re
from pathlib import Path

from fuzz_part import Part, subject_of


class Folders:
    """Where the frames of each clip lie."""

    def __init__(self, part: Part):
        self.part, self.name = part, part.config.name
        self.must_raise = ""
        self.by_key: dict[tuple[str], list[Path]] = collections.defaultdict(list)
        base = part.home
        pattern = re.compile(_subjects(part), re.IGNORECASE)
        self.subjects = [p for p in folders_in(base) if pattern.fullmatch(p.name)]
        self.others = [p for p in folders_in(base) if p not in self.subjects]
        if not self.subjects:
            self.must_raise = "no subjects"
            return
        if self.name == "smic":
            return
        if self.name == "casme_cubed" and part.config.source == "clips":
            for path in folders_in(base):
                self.by_key[path.name.lower(),].append(path)
            return
        self.homes: dict[int, list[Path]] = collections.defaultdict(list)
        for path in self.subjects:
            self.homes[int(re.findall(r"\d+", path.name)[-1])].append(path)

    def places(
        self, number: int, clip: str, written: str, onset: str
    ) -> tuple[str, ...]:
        """Folders that a problem of this clip may name."""
        if self.name == "casme_cubed" and self.part.config.source == "clips":
            return ()
        homes = self.homes.get(self._home(number), [])
        return tuple(map(str, homes)) if len(homes) > 1 else ()

    def _home(self, number: int) -> int:
        if self.name == "casme_squared":
            return int(subject_of(self.part, number)[1:])
        return number

    def find(self, number: int, clip: str, written: str, onset: str) -> list[Path]:
        """The folder of a clip; none if there is none, several if it is not clear."""
        if self.name == "casme_cubed" and self.part.config.source == "clips":
            for moment in (written, onset):
                key = f"spno.{number}_{clip.lower()}_{moment}"
                if hits := self.by_key.get((key.lower(),)):
                    return hits
            return []
        homes = self.homes.get(self._home(number), [])
        home = only_one(homes)
        if home is None:
            return homes
        if closed(home):
            return [home, home]  # it may be there: named, but not to be had
        inside = folders_in(home)
        if self.name == "casme_squared":
            code = VIDEOS.get(clip.split("_")[0].lower())
            return [p for p in inside if code and f"_{code}" in p.name.lower()]
        there = [p for p in inside if p.name.lower() == clip.lower()]
        one = only_one(there)
        if one is None or self.name != "casme_cubed":
            return there
        return [p for p in folders_in(one) if p.name.lower() == "color"]


VIDEOS = {
    **{"disgust1": "0101", "disgust2": "0102", "anger1": "0401", "anger2": "0402"},
    **{"happy1": "0502", "happy2": "0503", "happy3": "0505", "happy4": "0507"},
    "happy5": "0508",
}


def _subjects(part: Part) -> str:
    if part.config.name == "casme_cubed":
        clips = part.config.source == "clips"
        return r"spno\.\d+" + (r"_[a-m]_\d+" if clips else "")
    return part.builder.subject_folder


def only_one(paths: list[Path]) -> Path | None:
    return paths[0] if len(paths) == 1 else None


def folders_in(folder: Path) -> list[Path]:
    if closed(folder) or not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if p.is_dir())


def closed(folder: Path) -> bool:
    """Whether we may not look into a folder."""
    return folder.is_dir() and not os.access(folder, os.R_OK | os.X_OK)
