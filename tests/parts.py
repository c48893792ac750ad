"""The files of a place, and who reads them."""

from pathlib import Path

import readers

METRICS = Path("done/metrics.json")
EXPERIMENT = Path("done/experiment.json")
PREDICTIONS = Path("done/predictions.csv")
PROGRESS = Path("done/progress.jsonl")
PACKS = Path("done/checkpoints/packs.json")
SUMMED = (readers.loaded, readers.audited, readers.reported)
TRAINED = (readers.loaded, readers.evaluated, readers.resumed)
ALL = (*SUMMED, readers.compared, readers.evaluated, readers.resumed)


def step(pack: int = 0, run: str = "done") -> Path:
    """The folder of the last checkpoint of a pack."""
    (found,) = Path(run).glob(f"checkpoints/pack-{pack:04d}/*-tasks-*/[0-9]")
    return found


def arrays(pack: int = 0, run: str = "done") -> Path:
    return step(pack, run) / "arrays/arrays.npz"


def notes(pack: int = 0, run: str = "done") -> Path:
    return step(pack, run) / "meta/metadata"


def found(folder: str, pattern: str) -> Path:
    (path,) = Path(folder).rglob(pattern)
    return path
