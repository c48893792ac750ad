"""What is read again of all that jmer wrote: the same, of a damaged place, or an error.

Each looks into the current folder, which `places.make_place` made.
"""

import dataclasses
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from killing import kept
from places import FROZEN, PLAN, PREPARE, RUN, SHORT, SWEEP, cache, frozen_clips, typed

import jmer
from jmer.data import load
from jmer.experiment import load_experiment
from jmer.runner.features import seen_by_tasks
from jmer.runner.plan import _read as read_plan
from jmer.runs.weights import Weights
from jmer.weights.archive import read_weights


def loaded() -> Any:
    run = jmer.load_run("done")
    columns = dataclasses.asdict(run.predictions)
    facts = [run.metrics, run.experiment, columns, run.tasks, run.curves, run.held_out]
    return [plain(facts), *weights_of(run.weights)]


def weights_of(found: Weights) -> Any:
    """In the order of their tasks: that of packs is for people."""
    order = sorted(range(len(found.tasks)), key=lambda i: found.tasks[i])
    arrays = {name: value[order] for name, value in found.arrays.items()}
    facts = [sorted(found.tasks), found.classes, arrays, found.held_out]
    return [str(found.config), plain(facts)]


def plain(value: Any) -> Any:
    """As JSON values."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, frozenset):
        return sorted(map(str, value))
    if isinstance(value, np.ndarray | np.generic):
        return [str(value.dtype), json.dumps(value.tolist(), default=str)]
    return value


def reported() -> Any:
    typed("report", "done")
    return [
        Path("done", file).read_text(encoding="utf-8")
        for file in ("report.md", "scores.csv")
    ]


def audited() -> Any:
    typed("audit", "done", "--out", "audit")
    return json.loads(Path("audit/audit.json").read_text(encoding="utf-8"))["findings"]


def evaluated(weights: str = "done") -> Any:
    shutil.rmtree("evaluated", ignore_errors=True)
    typed("evaluate", "tiny.py", "--weights", weights, "--run-dir", "evaluated")
    return sorted(
        Path("evaluated/predictions.csv").read_text(encoding="utf-8").splitlines()
    )


def explained() -> Any:
    typed("explain", "done", "--out", "explained", "--clip", "syn01_negative_01")
    return {n: v for n, v in kept(Path("explained")).items() if n.endswith(".json")}


def compared() -> Any:
    return repr(jmer.compare("done", "other"))


def resumed(name: str = "done") -> Any:
    typed(*RUN, name)
    return results(Path(name))


def results(folder: Path) -> Any:
    """What is read again, of a run that has just been finished; the numbers of packs
    are for people."""
    results = ("predictions.csv", "metrics.json", "experiment.json")
    read = (*results, "arrays.npz")
    return {
        re.sub(r"pack-\d+", "pack", name): value
        for name, value in kept(folder).items()
        if name.rsplit("/")[-1] in read and "(copy)" not in name
    }


def gone_on() -> Any:
    return resumed("stopped")


def swept() -> Any:
    typed(*RUN, "sweep", *SHORT, *SWEEP)
    return _of_sweep()


def sweep_reported() -> Any:
    typed("report", "sweep")
    return _of_sweep()


def _of_sweep() -> Any:
    cells = [f"batches={mode}/predictions.csv" for mode in ("own", "shared")]
    files = [Path("sweep", name) for name in ("comparison.csv", *cells)]
    return [file.read_text("utf-8") for file in files if file.exists()]


def prepared() -> Any:
    typed(*PREPARE)
    return plain(load(load_experiment(Path("tiny.py")).data))


def shown() -> Any:
    typed("data", "show", *PREPARE[2:], "--out", "shown.png", "--count", "3")
    return Path("shown.png").read_bytes()


def features() -> Any:
    with cache(Path("features").absolute()):
        return plain(seen_by_tasks(FROZEN, frozen_clips(), "backend", print))


def plan() -> Any:
    """One that is not to be had is measured again."""
    found = read_plan(Path("plans/plan.json")) or PLAN
    return plain(dataclasses.replace(found, source="remembered"))


def model() -> Any:
    return weights_of(jmer.load_model("weights"))


def weights_evaluated() -> Any:
    return evaluated("weights")


def pretrained() -> Any:
    return plain(read_weights(Path("pretrained/part.npz")))
