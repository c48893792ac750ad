"""What `jmer spot` leaves in a run directory."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jmer.files import json_bytes, write_group
from jmer.files.digest import written
from jmer.report.draw.spotting import intensity_png, maps_png, roc_png
from jmer.runs.folder import FIGURES, SPOTTED
from jmer.scores.spotting import Rule, Watched, frame_roc, frame_table, spotting_record


def write_spotting(
    folder: Path,
    clips: Sequence[Watched],
    classes: Sequence[str],
    rule: Rule,
    *,
    most: int = 12,
) -> dict[str, Any]:
    """Writes `spotting.json`, `frames.csv` and `figures/*.png` into `folder`, and
    returns the record.

    The first clip of each subject is drawn, then the second of each, up to `most`.
    Nothing is written if a score cannot be had.

    Raises: JmerError as `spotting_record`, or if `folder` cannot be written.
    """
    record = spotting_record(clips, classes, rule)
    figures = {"roc": roc_png(frame_roc(clips))}
    drawn = _in_turn(clips)[:most]
    for i, clip in enumerate(drawn, 1):
        figures[f"intensity-{i:02d}"] = intensity_png(clip, rule)
        if clip.maps:
            figures[f"maps-{i:02d}"] = maps_png(clip.maps, clip.found)
    record["drawn"] = {f"{i:02d}": clip.clip for i, clip in enumerate(drawn, 1)}
    contents = {f"{FIGURES}/{name}.png": png for name, png in figures.items()}
    record["figures"] = {Path(n).name: written(png) for n, png in contents.items()}
    contents["frames.csv"] = frame_table(clips).encode()
    write_group(folder, {**contents, SPOTTED: json_bytes(record)})
    return record


def _in_turn(clips: Sequence[Watched]) -> list[Watched]:
    """The first clip of every subject, then the second of each, and so on."""
    seen: dict[str, int] = {}
    keys = []
    for i, clip in enumerate(clips):
        number = seen[clip.subject] = seen.get(clip.subject, -1) + 1
        keys.append((number, i))
    return [clips[i] for _, i in sorted(keys)]
