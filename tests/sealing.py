"""Runs that a test edited, as if jmer had written them so."""

import json
from pathlib import Path

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
