"""Files of runs that a test edits: by hand, or as if jmer had written them so."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jmer.files import write_json
from jmer.files.digest import written
from jmer.files.seal import unsealed


def reseal(folder: Path) -> None:
    """Renews the checksums of a run's results and description, for a test that asks for
    something else than whether they fit."""
    for name in ("experiment.json", "metrics.json"):
        content = json.loads((folder / name).read_text("utf-8"))
        for file in content.get("sums", ()):
            content["sums"][file] = written((folder / file).read_bytes())
        write_json(folder / name, unsealed(content))


def edit(folder: Path, name: str, change: Callable[[Any], Any]) -> None:
    """By hand, a JSON file."""
    file = folder / name
    content = json.loads(file.read_text("utf-8"))
    change(content)
    file.write_text(json.dumps(content, indent=2), "utf-8")


def replaced(folder: Path, name: str, old: str, new: str) -> None:
    """By hand, the first place that says `old`."""
    file = folder / name
    content = file.read_text("utf-8")
    assert old in content
    file.write_text(content.replace(old, new, 1), "utf-8")
