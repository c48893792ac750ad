"""Damages of folders and frames."""

import contextlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from fuzz_files import IMAGES
from fuzz_folders import closed
from fuzz_part import Chance, Part

from jmer.synthetic.layouts.images import write_image

Change = Callable[[Chance, Path], str | None]
"""Damages a file or folder, and says how."""
Damage = Callable[[Chance, Part], str]
Pick = Callable[[Chance, Part], Path | None]


def _frame(case: Chance, part: Part) -> Path | None:
    """A frame that is still there."""
    take = case.pick(part.takes)
    folder = part.folder(take)
    names = sorted(folder.iterdir()) if _is_open(folder) else []
    there = [p for p in names if p.suffix.lower() in IMAGES and p.is_file()]
    inside = [part.frame(take, n) for n in range(take.onset, take.offset + 1)]
    there = [p for p in inside if p in there] or there
    return case.pick(there) if there else None


def _folder(case: Chance, part: Part) -> Path | None:
    there = [f for f in map(part.folder, part.takes) if _is_open(f)]
    return case.pick(there) if there else None


def _subject(case: Chance, part: Part) -> Path | None:
    if not _is_open(part.home):
        return None
    return _pick_folder(case, part.home)


def _pick_folder(case: Chance, folder: Path) -> Path | None:
    inside = sorted(folder.iterdir())
    there = [p for p in inside if _is_open(p) and not p.is_symlink()]
    return case.pick(there) if there else None


def _is_open(folder: Path) -> bool:
    """Whether it is a folder that may be looked into."""
    with contextlib.suppress(PermissionError):
        return folder.is_dir() and not closed(folder)
    return False


def _replace(path: Path, content: bytes) -> None:
    """Never into a file that the base tree shares."""
    path.unlink()
    path.write_bytes(content)


def on_frames(change: Change) -> Damage:
    def damage(case: Chance, part: Part) -> str:
        path = _frame(case, part)
        if path is None:
            return "no frame is left"
        return f"{path.relative_to(part.root)} {change(case, path) or ''}"

    damage.__name__ = change.__name__
    return damage


def on_folders(change: Change, pick: Pick = _folder) -> Damage:
    def damage(case: Chance, part: Part) -> str:
        path = pick(case, part)
        if path is None:
            return "no folder is left"
        return f"{path.relative_to(part.root)} {change(case, path) or ''}"

    damage.__name__ = change.__name__
    return damage


@on_frames
def frame_gone(case: Chance, path: Path) -> None:
    path.unlink()


@on_frames
def frame_cut(case: Chance, path: Path) -> str:
    content = path.read_bytes()
    share = case.rng.random()
    _replace(path, content[: int(share * len(content))])
    return f"{share:.2f} is left"


@on_frames
def frame_of_something_else(case: Chance, path: Path) -> str:
    size = case.pick((0, 1, 20, 4000))
    head = case.pick((b"", b"GIF89a", b"\xff\xd8", b"BM", b"<html>", b"\x89PNG"))
    tail = case.pick((b"", b"\xff\xd9", b"IEND\xaeB`\x82"))
    _replace(path, (head + case.rng.bytes(size) + tail) if size else b"")
    return f"{head} {size} {tail}"


@on_frames
def frame_scratched(case: Chance, path: Path) -> None:
    content = bytearray(path.read_bytes())
    for _ in range(case.pick((1, 8, 60))):
        content[case.rng.integers(2, len(content) - 2)] = case.rng.integers(256)
    _replace(path, bytes(content))


@on_frames
def frame_header_scratched(case: Chance, path: Path) -> None:
    content = bytearray(path.read_bytes())
    for _ in range(case.pick((1, 3))):
        content[case.rng.integers(2, 200)] = case.pick((0, 255, 127))
    _replace(path, bytes(content))


@on_frames
def frame_of_another_size(case: Chance, path: Path) -> str:
    high, wide = case.pick(((1, 1), (30, 26), (400, 3), (64, 64)))
    path.unlink()
    write_image(path, np.full((high, wide, 3), 90, np.uint8))
    return f"{wide}x{high}"


@on_frames
def frame_of_another_format(case: Chance, path: Path) -> str:
    ending = case.pick((".png", ".bmp", ".jpg"))
    picture = path.with_name(f"new{ending}")
    write_image(picture, np.full((32, 42, 3), 90, np.uint8))
    content = picture.read_bytes()
    picture.unlink()
    _replace(path, content)
    return ending


@on_frames
def frame_renamed(case: Chance, path: Path) -> str:
    number = "".join(c for c in path.stem if c.isdigit())[-4:]
    wide = number.translate({ord("0") + i: chr(0xFF10 + i) for i in range(10)})
    name = case.pick(
        (
            *(f"img{'9' * 30}", f"img{2**63}", f"img{2**64 + 5}", f"img{2**31}", "img"),
            *(f"img{wide}", f"img{number} (1)", f"img-{number}", f"名{number}", "img²"),
            *(f"img{number}_0", f"000000000{number}", f"img\udcff{number}", "img0"),
            *(f"img{number}.5", f"img{number}\n", "9" * 240),
        )
    )
    ending = case.pick((path.suffix, path.suffix, path.suffix.upper(), ".txt", ".JPEG"))
    target = path.with_name(name + ending)
    if not target.exists():
        path.rename(target)
    return f"-> {name + ending!r}"


@on_frames
def frame_twice(case: Chance, path: Path) -> str:
    name = case.pick((f"copy_{path.name}", f"{path.stem}.png", f"._{path.name}"))
    if not path.with_name(name).exists():
        shutil.copy(path, path.with_name(name))
    return f"and {name}"


@on_frames
def frame_is_no_file(case: Chance, path: Path) -> str:
    kind = case.pick(("folder", "dangling", "loop", "pipe", "link"))
    target = path.with_name("hidden.bin")
    if kind == "link" and not target.exists():
        path.rename(target)
        path.symlink_to(target)
        return "is a link to itself"
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(path.parent / "nowhere" if kind == "dangling" else path)
    return f"is {kind}"


@on_frames
def frame_padded(case: Chance, path: Path) -> str:
    rest = case.pick((bytes(1), bytes(512), b"\xff" * 99, case.rng.bytes(70_000)))
    _replace(path, path.read_bytes() + rest)
    return f"and {len(rest)} bytes"


@on_folders
def frames_renamed_alike(case: Chance, path: Path) -> str:
    before, after = case.pick(
        (
            *(("", "_0"), ("", " (1)"), ("2014-05-08 ", ""), ("", "_of_90")),
            *(("200fps", "-copy"), ("", ".jpg"), ("x", "_7_7")),
        )
    )
    for frame in sorted(path.iterdir()):
        if frame.suffix.lower() in IMAGES and not frame.name.startswith("."):
            frame.rename(frame.with_name(f"{before}{frame.stem}{after}{frame.suffix}"))
    return f"{before}…{after}"


@on_frames
def frame_unreadable(case: Chance, path: Path) -> None:
    _replace(path, path.read_bytes())
    path.chmod(0)


@on_frames
def files_beside(case: Chance, path: Path) -> None:
    for name in (".hidden9.jpg", "Thumbs.db", "notes 7.txt", "._1.jpg", "x.png", "7"):
        path.with_name(name).write_bytes(b"\0\1")
    with contextlib.suppress(OSError):
        path.parent.joinpath("loop").symlink_to("..")


@on_folders
def folder_gone(case: Chance, path: Path) -> None:
    shutil.rmtree(path)


@on_folders
def folder_emptied(case: Chance, path: Path) -> None:
    shutil.rmtree(path)
    path.mkdir()


@on_folders
def folder_renamed(case: Chance, path: Path) -> str:
    name = case.pick(
        (
            *(path.name.upper(), path.name.lower(), f"{path.name} ", f"{path.name}x"),
            *("名前", "é", f"\udcfe{path.name}", f"_{path.name}", f"{path.name}.bak"),
            *(f"s1_ne_{'9' * 30}", "s1_ne_77", "S1_SUR_７"),
        )
    )
    if not path.with_name(name).exists():
        path.rename(path.with_name(name))
    return f"-> {name!r}"


@on_folders
def folder_twice(case: Chance, path: Path) -> str:
    names = (path.name.swapcase(), path.name.capitalize(), f"{path.name}_copy")
    target = path.with_name(case.pick((*names, f".{path.name}")))
    if target.exists():
        return "is there"
    if case.chance(0.3):
        target.mkdir()
    else:
        shutil.copytree(path, target, symlinks=True)
    return f"and {target.name}"


def _no_folder(case: Chance, path: Path) -> str:
    kind = case.pick(("file", "dangling", "loop", "moved", "unreadable"))
    aside = path.parent.parent / f"aside {path.name}"
    if kind == "unreadable":
        path.chmod(0)
        return kind
    if kind == "moved":
        aside = case.folder / f"elsewhere {path.name}"
    if aside.exists() or aside.is_symlink():
        return "is there"
    if kind == "moved":
        path.rename(aside)
        path.symlink_to(aside)
        return kind
    shutil.rmtree(path)
    if kind == "file":
        path.write_bytes(b"zip")
    else:
        path.symlink_to(path.parent / "nowhere" if kind == "dangling" else path)
    return kind


def subject_renamed(case: Chance, path: Path) -> str:
    number = "".join(c for c in path.name if c.isdigit())
    name = case.pick(
        (
            *(path.name.upper(), path.name.lower(), f"{path.name}x", "名前"),
            *(
                number,
                f"sub{number.zfill(9)}",
                f"s{number.lstrip('0')}",
                f"sub{'9' * 40}",
            ),
        )
    )
    if not path.with_name(name).exists():
        path.rename(path.with_name(name))
    return f"-> {name!r}"


def subject_twice(case: Chance, path: Path) -> str:
    number = "".join(c for c in path.name if c.isdigit())
    word = path.name.split(number)[0] if number else "x"
    names = (path.name.swapcase(), f"{word}0{number}", f"{word}{number.lstrip('0')}")
    target = path.with_name(case.pick((*names, f"{path.name} copy")))
    if target.exists():
        return "is there"
    if case.chance(0.5):
        target.mkdir()
    else:
        shutil.copytree(path, target, symlinks=True)
    return f"and {target.name}"


def subject_gone(case: Chance, path: Path) -> None:
    shutil.rmtree(path)


def inside_renamed(case: Chance, path: Path) -> str:
    """A folder between subject and clip, where there is one."""
    old = _pick_folder(case, path)
    if old is None:
        return "is empty"
    new = old.with_name(case.pick((old.name.upper(), old.name.capitalize(), "other")))
    if not new.exists():
        old.rename(new)
    return f"{old.name} -> {new.name}"


def extra_subjects(case: Chance, path: Path) -> None:
    for name in ("sub99", "s99", "099", "spNO.999", "lost+found", "new folder"):
        path.with_name(name).mkdir(exist_ok=True)
    path.with_name("sub98").touch()
    with contextlib.suppress(OSError):
        path.with_name("sub97").symlink_to(path.with_name("sub97"))
        path.with_name("up").symlink_to("..")


def root_changed(case: Chance, part: Part) -> str:
    home = part.home
    if not home.is_dir() or home.is_symlink():
        return "no root is left"
    kind = case.pick(("gone", "renamed", "link", "case", "file", "second", "deeper"))
    place = case.folder / f"elsewhere {home.name}"
    lowest = f"{home.relative_to(part.root)}"
    if place.exists():
        return "is there"
    if kind == "second":
        target = part.root / "notes" / "a" / home.name
        target.mkdir(parents=True, exist_ok=True)
        return f"{lowest}: an empty one in notes/a"
    if kind == "case":
        new = home.with_name(home.name.swapcase())
        if new.exists():
            return "is there"
        home.rename(new)
        part.home = new
        return f"{lowest} -> {new.name}"
    home.rename(place)
    if kind == "link":
        home.symlink_to(place)
    elif kind == "renamed":
        place.rename(home.with_name("images"))
    elif kind == "file":
        home.write_bytes(b"zip")
    elif kind == "deeper":
        home.mkdir()
        place.rename(home / "images")
    return f"{lowest} {kind}"


def release(folder: Path) -> None:
    """So that it can be deleted by whom it was closed to."""
    for path, names, _ in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                (Path(path) / name).chmod(0o700)


def _for_subjects(change: Change) -> Damage:
    return on_folders(change, _subject)


OF_FRAMES = (
    *(frame_gone, frame_gone, frame_cut, frame_of_something_else, frame_scratched),
    *(frame_header_scratched, frame_of_another_size, frame_of_another_format),
    *(frame_renamed, frame_renamed, frame_renamed, frame_twice, frame_is_no_file),
    *(files_beside, frame_unreadable, frame_padded, frames_renamed_alike),
)
OF_FOLDERS = (
    *(folder_gone, folder_emptied, folder_renamed, folder_renamed, folder_twice),
    *(folder_twice, on_folders(_no_folder), _for_subjects(_no_folder), root_changed),
    *map(
        _for_subjects,
        (subject_renamed, subject_twice, subject_gone, inside_renamed, extra_subjects),
    ),
)
DAMAGES = (*OF_FRAMES, *OF_FOLDERS)
