"""Image files looked at without decoding: whether they are whole, and how deep."""

import re
import stat
from collections.abc import Callable
from pathlib import Path

_JPEG, _TIFF, _PNM = (b"\xff\xd8",), (b"II*\0", b"MM\0*"), (b"P5", b"P6")
ENDINGS: dict[str, tuple[tuple[bytes, ...], bytes]] = {
    ".jpg": (_JPEG, b"\xff\xd9"),
    ".jpeg": (_JPEG, b"\xff\xd9"),
    ".png": ((b"\x89PNG",), b"IEND"),
    ".bmp": ((b"BM",), b""),
    ".tif": (_TIFF, b""),
    ".tiff": (_TIFF, b""),
    ".pgm": (_PNM, b""),
    ".ppm": (_PNM, b""),
}
"""What an image file may start with, and what its last bytes contain."""
# In the scan of a JPEG, what is no pixel: a marker that is neither a byte 255 of data
# (followed by 0), nor one that only restarts the decoder, nor filling.
MARKER = re.compile(rb"\xff([^\x00\xd0-\xd7\xff])", re.DOTALL)
ALONE = {0x01, *range(0xD0, 0xD9)}  # markers without a length


def damage(path: Path) -> str:
    """What can be seen to be wrong with an image file without decoding it.

    What follows a whole image does no harm: cameras and copies pad files with zeros.
    """
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):
            return "is no file"
        size = about.st_size
        with path.open("rb") as file:
            head = file.read(64)
            file.seek(max(0, size - 64))
            tail = file.read()
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    if not size:
        return "is empty"
    starts, end = ENDINGS[path.suffix.lower()]
    if not head.startswith(starts):
        return f"is no {path.suffix[1:].upper()} image"
    if end:
        # Almost every file ends where its image does; only others are read as a whole.
        whole = end in tail or _whole(path, WALKS[end])
        return "" if whole else "is truncated"
    if head.startswith(b"BM"):
        return "is truncated" if int.from_bytes(head[2:6], "little") > size else ""
    if head[:1] == b"P":
        return "is truncated" if _bytes_of_pnm(head) > size else ""
    return ""


def _whole(path: Path, walk: Callable[[bytes], bool]) -> bool:
    try:
        return walk(path.read_bytes())
    except (OSError, IndexError):
        return False


def _jpeg_ends(content: bytes) -> bool:
    """Whether the end of the image comes, from marker to marker. A small image inside
    (of a preview) has an end of its own, which is passed over."""
    at = 2
    while content[at] == 0xFF:
        marker = content[at + 1]
        if marker == 0xFF:  # filling
            at += 1
        elif marker == 0xD9:
            return True
        elif marker in ALONE:
            at += 2
        else:
            at += 2 + int.from_bytes(content[at + 2 : at + 4], "big")
            if marker == 0xDA:
                found = MARKER.search(content, at)
                if found is None:
                    return False
                at = found.start()
    return False


def _png_ends(content: bytes) -> bool:
    """Whether the last chunk comes, from chunk to chunk."""
    at = 8
    while at + 12 <= len(content):
        if content[at + 4 : at + 8] == b"IEND":
            return True
        at += 12 + int.from_bytes(content[at : at + 4], "big")
    return False


WALKS = {ENDINGS[".jpg"][1]: _jpeg_ends, b"IEND": _png_ends}


def _pnm(head: bytes) -> tuple[int, int, int, int]:
    """Channels, pixels, the largest value and the length of the head; 0 for none."""
    text = re.match(rb"P([56])\s+(?:#[^\n]*\n\s*)*(\d+)\s+(\d+)\s+(\d+)\s", head)
    if text is None:
        return 0, 0, 0, 0
    kind, wide, high, most = map(int, text.groups())
    return (3 if kind == 6 else 1), wide * high, most, text.end()


def _bytes_of_pnm(head: bytes) -> int:
    channels, pixels, most, start = _pnm(head)
    return start + channels * pixels * (2 if most > 255 else 1)


def depth(path: Path) -> tuple[int, int]:
    """Bits of a value as they are stored, 8 or 16, and of how many of these the file
    says that they count: 0 if it does not say. Of what cannot be read, 8 and 0."""
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError:
        return 8, 0
    if head.startswith(b"\x89PNG"):
        if head[24:25] != b"\x10":
            return 8, 0
        at = head.find(b"sBIT")
        return 16, (head[at + 4] if 0 <= at < len(head) - 4 else 0) % 16
    if head[:2] in (b"P5", b"P6"):
        most = _pnm(head)[2]
        stated = most.bit_length() if most & (most + 1) == 0 and most < 65535 else 0
        return (16, stated) if most > 255 else (8, 0)
    if head[:4] in (b"II*\0", b"MM\0*"):
        return 16, 0  # its pixels say
    return 8, 0
