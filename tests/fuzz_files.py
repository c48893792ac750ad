"""What one damaged file means, read once more: text of a table, images of a folder."""

import collections
import csv
import io
import re
from pathlib import Path

import cv2
from downloads import read

IMAGES = {
    ".jpg": (b"\xff\xd8", b"\xff\xd9"),
    ".jpeg": (b"\xff\xd8", b"\xff\xd9"),
    ".png": (b"\x89PNG", b"IEND"),
    ".bmp": (b"BM", b""),
}
UNCLEAR = -1
"""Stands for the number of frames that have none that is clear."""


def text_rows(path: Path, delimiter: str) -> list[list[str]] | None:
    """The cells of a file of text; None if it must be refused."""
    try:
        content = path.read_bytes()
        text = text_of(content)
        if text is None or not text.strip():
            return None
        rows = csv.reader(
            io.StringIO(text, newline=""), delimiter=delimiter, strict=True
        )
        return [[cell.strip() for cell in row] for row in rows]
    except (OSError, csv.Error):
        return None


def text_of(content: bytes) -> str | None:
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        tries = ["utf-16"]
    elif content[:3] == b"\xef\xbb\xbf":
        tries = ["utf-8-sig"]
    elif 2 * content[1::2].count(0) > len(content) // 2 > 1:
        tries = ["utf-16-le"]
    else:
        tries = ["utf-8", "gb2312", "cp1252", "gb18030"]
    for encoding in tries:
        try:
            text = content.decode(encoding)
        except UnicodeError:
            continue
        return None if "\0" in text else text
    return None


def without_zeros(text: str, comma: bool) -> str:
    """`1.0` is 1; where a comma is a decimal point, `1,0`, too."""
    head, point, tail = text.replace(",", ".").partition(".")
    number = head.isdecimal() and tail and not tail.strip("0") and point
    return head if number and (comma or "," not in text) else text


def images(folder: Path) -> dict[int, list[Path]]:
    """Everything in a folder that is called as a frame, by number."""
    there: dict[int, list[Path]] = collections.defaultdict(list)
    kinds: dict[str, list[Path]] = collections.defaultdict(list)
    for path in sorted(folder.iterdir()):
        known = path.suffix.lower() in IMAGES and not path.name.startswith(".")
        if known and re.search(r"\d", path.stem):
            kinds["#".join(re.split(r"\d+", path.stem))].append(path)
    if not kinds:
        return there
    main = sorted(kinds, key=lambda k: (-len(kinds[k]), k.count("#")))[0]
    columns = list(zip(*map(numbers, kinds[main]), strict=True))
    column = counting(columns)
    for path in kinds.pop(main):
        there[UNCLEAR if column is None else numbers(path)[column]].append(path)
    if column is None:
        there[UNCLEAR] *= 2
        return there
    start = next(iter(there.values()))[0].stem
    begin = [m.start() for m in re.finditer(r"\d+", start)][column]
    same = all(path[0].stem[:begin] == start[:begin] for path in there.values())
    for paths in kinds.values():
        for path in paths:
            said = numbers(path)
            head = start[:begin] if same else ""
            hit = re.search(re.escape(head) + r"\d+", path.stem)
            if hit:
                own = int(re.findall(r"\d+", hit.group())[-1])
                rest = path.stem[: hit.start()] + "|" + path.stem[hit.end() :]
                said = [own, *map(int, re.findall(r"\d+", rest))]
            clear = all(number == said[0] for number in said)
            there[said[0] if clear else UNCLEAR] += [path] if clear else [path, path]
    return there


def numbers(path: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", path.stem)]


def counting(columns: list[tuple[int, ...]]) -> int | None:
    """Which of the numbers in names counts frames; None if that is not clear."""
    varied = [len(set(column)) for column in columns]
    if max(varied) == 1:
        return len(columns) - 1
    most = [i for i, n in enumerate(varied) if n == max(varied)]
    if sum(n > 1 for n in varied) == 1 or len({columns[i] for i in most}) == 1:
        return most[-1]
    tight = [i for i in most if max(columns[i]) - min(columns[i]) + 1 == max(varied)]
    return tight[0] if len(tight) == 1 else None


def spoiled(path: Path) -> bool:
    """Whether a look at a file tells that it is no whole image."""
    if not path.is_file():
        return True
    try:
        content = path.read_bytes()
    except OSError:
        return True
    start, end = IMAGES[path.suffix.lower()]
    if not content.startswith(start):
        return True
    if start == b"BM":
        return int.from_bytes(content[2:6], "little") > len(content)
    return end not in content[-64:] and not _ended(content, start)


def _ended(content: bytes, start: bytes) -> bool:
    """Whether an image has its end, whatever follows it."""
    if start != b"\xff\xd8":
        parts, at = [], 8
        while at + 12 <= len(content):
            parts.append(content[at + 4 : at + 8])
            at += 12 + int.from_bytes(content[at : at + 4], "big")
        return b"IEND" in parts
    at, scanning = 2, False
    while at + 1 < len(content):
        first, second = content[at], content[at + 1]
        if scanning and (first != 255 or second in (0, 255, *range(0xD0, 0xD8))):
            at += 1
        elif first != 255:
            return False
        elif second == 0xD9:
            return True
        elif second == 255:
            at += 1
        elif second == 1 or 0xD0 <= second <= 0xD8:
            at += 2
        else:
            scanning = second == 0xDA
            at += 2 + int.from_bytes(content[at + 2 : at + 4], "big")
    return False


def shown(files: tuple[Path, ...]) -> bool:
    """Whether frames can be decoded, are of one size, and show something that moves."""
    try:
        frames = [read(path) for path in files]
    except (TypeError, cv2.error):  # OpenCV shows None, or refuses
        return False
    alike = len({frame.shape for frame in frames}) == 1
    blank = any((frame == frame[0, 0, 0]).all() for frame in frames)
    return alike and not blank and len({frame.tobytes() for frame in frames}) > 1
