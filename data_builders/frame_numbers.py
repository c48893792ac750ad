"""Numbers of frames, read from the names of their files: the number that varies.

Names also hold other numbers, which a folder shares: of the recording, the day, the
frames a second, the copy (`s20_100fps_2_of_90`). Where names do not tell which of
their numbers counts, that is refused; the last one is not taken for want of a better.
"""

import collections
import re
from collections.abc import Sequence
from pathlib import Path

from data_builders.image_files import ENDINGS
from jmer.data.problems import Unusable

Numbers = tuple[int, ...]


def numbered(folder: Path, paths: Sequence[Path]) -> dict[int, Path]:
    """The images among the sorted `paths` of a folder by the numbers of their frames.

    Raises: JmerError naming two files that have the same number, or of whose numbers
    it is not clear which one counts.
    """
    alike: dict[str, list[tuple[Path, Numbers]]] = collections.defaultdict(list)
    for path in paths:
        numbers = tuple(map(int, re.findall(r"\d+", path.stem)))
        # ._ is what a Mac leaves beside each file.
        hidden = path.name.startswith(".")
        if numbers and not hidden and path.suffix.lower() in ENDINGS:
            alike[re.sub(r"\d+", "0", path.stem)].append((path, numbers))
    if not alike:
        return {}
    most = max(alike.values(), key=lambda files: (len(files), -len(files[0][1])))
    slot = _slot(folder, most)
    found: dict[int, Path] = {}
    for path, numbers in most:
        _add(found, folder, path, numbers[slot])
    lead = _lead(most, slot)
    for files in alike.values():
        if files is not most:
            for path, numbers in files:
                _add(found, folder, path, _other(folder, path, numbers, lead, most))
    return dict(sorted(found.items()))


def _slot(folder: Path, files: Sequence[tuple[Path, Numbers]]) -> int:
    """Which of the numbers in names that are alike but for them is the frame's."""
    columns = list(zip(*(numbers for _, numbers in files), strict=True))
    varying = [i for i, column in enumerate(columns) if len(set(column)) > 1]
    if not varying:
        return len(columns) - 1
    if len(varying) == 1:
        return varying[0]
    # Of a frame there is one file: its number tells all files apart. Frames follow one
    # another, as times and checksums do not.
    kinds = [len(set(columns[i])) for i in varying]
    best = [i for i, n in zip(varying, kinds, strict=True) if n == max(kinds)]
    if len(best) > 1 and len({columns[i] for i in best}) > 1:
        dense = [i for i in best if max(columns[i]) - min(columns[i]) < max(kinds)]
        if len(dense) != 1:
            (one, first), (two, second) = files[0], files[-1]
            raise Unusable(
                f"{folder}: {one.name} and {two.name} differ in more than one number "
                f"({first[best[0]]} to {second[best[0]]}, {first[best[1]]} to "
                f"{second[best[1]]}), so that frames cannot be told. Rename the files "
                f"so that one number counts the frames.",
                "names of frames that are not clear",
            )
        best = dense
    return best[-1]


def _lead(files: Sequence[tuple[Path, Numbers]], slot: int) -> str:
    """What all names have before the number of the frame; nothing if that differs."""
    leads = set()
    for path, _ in files:
        place = list(re.finditer(r"\d+", path.stem))[slot]
        leads.add(path.stem[: place.start()])
    return leads.pop() if len(leads) == 1 else ""


def _other(
    folder: Path,
    path: Path,
    numbers: Numbers,
    lead: str,
    most: Sequence[tuple[Path, Numbers]],
) -> int:
    """The number of a frame that is called otherwise than most.

    Raises: JmerError if its name has several that might be meant.
    """
    as_others = re.search(re.escape(lead) + r"(\d+)", path.stem)
    if as_others is not None:
        rest = path.stem[: as_others.start()] + " " + path.stem[as_others.end() :]
        numbers = (int(as_others[1]), *map(int, re.findall(r"\d+", rest)))
    if len(set(numbers)) > 1:
        either = " or ".join(str(n) for n in dict.fromkeys(numbers))
        beside = next((p for p, n in most if set(n) & set(numbers)), most[0][0])
        raise Unusable(
            f"{folder}: {path.name} may be frame {either}, being called otherwise than "
            f"{beside.name}. Remove it, or rename it as the others.",
            "names of frames that are not clear",
        )
    return numbers[0]


def _add(found: dict[int, Path], folder: Path, path: Path, number: int) -> None:
    if number in found:
        raise Unusable(
            f"{folder}: {found[number].name} and {path.name} are both frame "
            f"{number}. Remove one of the two.",
            "frames that are there twice",
        )
    found[number] = path
