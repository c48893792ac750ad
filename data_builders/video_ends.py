"""Whether a video file was cut off: by the bytes that it says it has."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from data_builders.disk import looking

EBML, SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
WHOLE_FILE = 0  # the size of a box of MP4 that reaches to the end of the file


def lacks_bytes(path: Path) -> bool:
    """Whether a Matroska, WebM, AVI, MP4 or QuickTime file ends before it says it does.
    False of other files, and of those that were written as they were sent.

    Raises: JmerError if the file cannot be read.
    """
    with looking(path), path.open("rb") as file:
        size = path.stat().st_size
        head = file.read(12)
        file.seek(0)
        if head[:4] == EBML:
            ends = list(_elements(file))
        elif head[:4] == b"RIFF":
            ends = [8 + struct.unpack("<I", head[4:8])[0]] if len(head) > 7 else []
        elif head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
            ends = list(_boxes(file, size))
        else:
            ends = []
    return any(end > size for end in ends)


def _elements(file: BinaryIO) -> Iterator[int]:
    """Where the head and the segment of a Matroska file end, if they say."""
    at = 0
    for name in (EBML, SEGMENT):
        file.seek(at)
        found, first = file.read(4), file.read(1)
        if found != name or not first or not first[0]:
            return
        more = 8 - first[0].bit_length()  # bytes of the number after the first
        value = int.from_bytes(bytes([first[0] - (0x80 >> more)]) + file.read(more))
        if value == (1 << 7 * (more + 1)) - 1:
            return  # not known
        at += 5 + more + value
        yield at


def _boxes(file: BinaryIO, size: int) -> Iterator[int]:
    """Where the outer boxes of an MP4 or QuickTime file end."""
    at = 0
    while at + 8 <= size:
        file.seek(at)
        length = struct.unpack(">I", file.read(4))[0]
        if length == 1:  # which stands after the name
            file.seek(at + 8)
            length = int.from_bytes(file.read(8))
        if length == WHOLE_FILE or length < 8:
            return
        at += length
        yield at


def said_end(container: Any, stream: Any) -> float | None:
    """When the last frame of an opened video is over as the file says, in seconds of
    its own time stamps; None where it does not."""
    text = stream.metadata.get("DURATION", "")  # of Matroska
    try:
        hours, minutes, seconds = map(float, text.split(":"))
        return 3600 * hours + 60 * minutes + seconds
    except ValueError:
        pass
    if stream.frames and stream.average_rate:  # of AVI, MP4 and QuickTime
        start = float((stream.start_time or 0) * stream.time_base)
        return start + float(stream.frames / stream.average_rate)
    if container.duration and len(container.streams) == 1:
        return float(container.duration / 1e6)
    return None
