"""A log of JSON objects, one a line, each with a checksum of its own."""

import json
import re
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jmer.files import Changed

MOST_LINE = 2**20
"""Bytes of a line; of a longer one, each such part is a line that is no JSON."""
SUM = re.compile(rb', "crc": "([0-9a-f]{8})"}\n')


def line_of(event: Mapping[str, Any]) -> bytes:
    """An object as a line, with the CRC-32 of what stands before that."""
    body = json.dumps(event).encode().removesuffix(b"}")
    return body + f', "crc": "{zlib.crc32(body):08x}"}}\n'.encode()


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a log. Of a version without checksums, lines that are no JSON are
    passed over: a run that was killed leaves a line cut short, and one that was resumed
    wrote on behind it. So is the end of a log that is being written.

    Raises: Changed naming the first damaged line.
    """
    has_sums = False
    # Line by line: a thousand packs of one task write a hundred megabytes.
    with path.open("rb") as file:
        lines = iter(lambda: file.readline(MOST_LINE), b"")
        for number, line in enumerate(lines, start=1):
            body, kept = _checked(line)
            has_sums = has_sums or kept is not None
            if not line.endswith(b"\n") and len(line) < MOST_LINE:
                return
            if has_sums and not kept:
                raise Changed(
                    f"{path}: line {number} is not what jmer wrote there: it was "
                    f"edited or damaged. Restore the file from a copy, or remove it: "
                    f"reports then show no curves of what it has, and all else stays."
                )
            try:
                event = json.loads(body)
            except (ValueError, RecursionError):
                continue
            if isinstance(event, dict):
                yield event


def _checked(line: bytes) -> tuple[bytes, bool | None]:
    """A line without its checksum, and whether that fits; None if it has none."""
    found = SUM.search(line)
    if found is None:
        return line, False if b'"crc"' in line else None
    body = line[: found.start()]
    fits = found.end() == len(line) and zlib.crc32(body) == int(found[1], 16)
    return body + b"}", fits
