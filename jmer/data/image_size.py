"""How large an image says it is, before anybody makes room for it."""

import re
from typing import Literal

MOST_PIXELS = 150_000_000
"""Of an image that is decoded: 450 MB in colour, and more than any camera of faces."""
PNG = b"\x89PNG\r\n\x1a\n"
SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers of JPEG that a size follows."""


def pixels_of(content: bytes) -> int | None:
    """Width times height, by the head of a PNG, JPEG, BMP, TIFF or PGM file; None of
    another."""
    if content.startswith(PNG):
        return _product(content[16:20], content[20:24])
    if content.startswith(b"BM"):
        width, height = (
            int.from_bytes(content[i : i + 4], "little", signed=True) for i in (18, 22)
        )
        return abs(width * height)
    if content.startswith(b"\xff\xd8"):
        return _of_jpeg(content)
    if content.startswith((b"II*\0", b"MM\0*")):
        return _of_tiff(content)
    if pnm := re.match(rb"P[2356]\s+(?:#[^\n]*\n\s*)*(\d{1,9})\s+(\d{1,9})", content):
        return int(pnm[1]) * int(pnm[2])
    return None


def _product(*sides: bytes) -> int:
    width, height = (int.from_bytes(side, "big") for side in sides)
    return width * height


def _of_tiff(content: bytes) -> int | None:
    """Of its first image: tags 256 and 257 among the twelve bytes of each entry."""
    order: Literal["little", "big"] = "little" if content[:2] == b"II" else "big"
    start = int.from_bytes(content[4:8], order)
    found: dict[int, int] = {}
    for i in range(int.from_bytes(content[start : start + 2], order)):
        entry = content[start + 2 + 12 * i : start + 14 + 12 * i]
        short = int.from_bytes(entry[2:4], order) == 3
        value = int.from_bytes(entry[8:10] if short else entry[8:12], order)
        found[int.from_bytes(entry[:2], order)] = value
    if not {256, 257} <= found.keys():
        return None
    return found[256] * found[257]


def _of_jpeg(content: bytes) -> int | None:
    """The largest size that one of its frames has, since a file may hold several."""
    at, largest = 2, None
    while at + 9 <= len(content) and content[at] == 0xFF:
        marker = content[at + 1]
        if marker == 0xFF:  # padding
            at += 1
            continue
        if marker in SIZES:
            found = _product(content[at + 5 : at + 7], content[at + 7 : at + 9])
            largest = max(found, largest or 0)
        if marker == 0xDA:  # the image itself
            break
        alone = marker == 0x01 or 0xD0 <= marker <= 0xD8
        at += 2 if alone else 2 + int.from_bytes(content[at + 2 : at + 4], "big")
    return largest
