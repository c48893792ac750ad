"""Writes the stored runs, weights and prepared set. Runs with the commit in README.md
alone: that is the point of them.
"""

import csv
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

from jmer import cli
from jmer.peers.ststnet import STSTNet

TINY = '''"""A LOSO that takes seconds."""

from data_builders.casme2 import Casme2
from jmer.experiment import EngineConfig, Experiment
from jmer.models.ststnet import STSTNetConfig
from jmer.optim import AdamWConfig

EXPERIMENT = Experiment(
    model=STSTNetConfig(filters=(2,)),
    data=Casme2(protocol="megc", modality="apex-flow", size=28),
    optim=AdamWConfig(lr=0.01, warmup_epochs=1, layer_decay=0.9),
    epochs=5,
    batch_size=4,
    seeds=(0, 1),
    engine=EngineConfig(devices=1, pack=3),
)
'''
RUN = ["run", "tiny.py", "--data.data-dir", "prepared", "--run-dir"]
INNER = ["--selection", "inner", "--inner-unit", "clip"]
SWEEP = ["--seeds", "0", "--epochs", "1", "--engine.pack", "6"]
CELLS = ["--sweep", "optim.lr=0.01,0.1", "batches=own,shared"]


def jmer(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "jmer", *words], check=True)


def stopped(*words: str) -> None:
    """`jmer words`, interrupted when the second pack has trained three epochs."""
    from jmer.interrupt import Interruption  # where it was then

    asked = 0

    def ask(self: Interruption) -> bool:
        nonlocal asked
        asked += 1
        return asked == 8

    Interruption.asked = ask  # type: ignore[method-assign]
    sys.argv = ["jmer", *words]
    assert cli.main([*words]) == 130


def checkpoint(file: Path, seed: int) -> None:
    """A checkpoint as the authors of STSTNet have them, of a network at random."""
    torch.manual_seed(seed)
    state = STSTNet().state_dict()
    for name, value in state.items():
        if name.endswith(("running_mean", "running_var")):
            value.uniform_(0.1, 0.5)
    torch.save(state, file)


def main() -> None:
    Path("tiny.py").write_text(TINY, encoding="utf-8")
    spec = ["--subjects", "3", "--clips", "12", "--length", "9", "--size", "64"]
    jmer("data", "synthesize", "--layout", "casme2", "--out", "faces", *spec)
    recipe = ["--protocol", "megc", "--modality", "apex-flow", "--size", "28"]
    places = ["--manual-dir", "faces", "--data-dir", "prepared"]
    jmer("data", "prepare", "casme2", *places, *recipe)

    jmer(*RUN, "finished")
    jmer(*RUN, "sweep", *SWEEP, *CELLS)

    stopped(*RUN, "unfinished", *INNER)
    shutil.copytree("unfinished", "kept")
    jmer(*RUN, "unfinished", *INNER)
    shutil.copy("unfinished/predictions.csv", "unfinished.csv")
    shutil.rmtree("unfinished")
    Path("kept").rename("unfinished")

    Path("checkpoints").mkdir()
    for i in range(1, 4):
        checkpoint(Path(f"checkpoints/sub{i:02}.pth"), seed=i)
    imported = ["--torch", "checkpoints", "--out", "weights"]
    jmer("weights", "import", "ststnet", *imported)
    evaluated = ["--weights", "weights", "--run-dir", "evaluated"]
    jmer("evaluate", *RUN[1:-1], *evaluated)
    shutil.copy("evaluated/predictions.csv", "evaluated.csv")

    # Made anew by `jmer report`, and most of the bytes.
    for folder in [*Path().rglob("figures")]:
        shutil.rmtree(folder)
    for made in ("**/report.html", "**/*.tex", "sweep/**/report.md", "sweep/*.csv"):
        for file in [*Path().glob(made)]:
            file.unlink()
    Path("tiny.py").unlink()
    for folder in map(Path, ("faces", "checkpoints", "evaluated")):
        shutil.rmtree(folder)
    closest()


def closest() -> None:
    """How near two classes are anywhere: numbers on other machines differ by less."""
    for file in sorted(Path().rglob("*.csv")):
        with file.open() as opened:
            rows = list(csv.DictReader(opened))
        if "predicted" not in rows[0]:
            continue
        chances = [
            [float(v) for name, v in row.items() if name.startswith("prob_")]
            for row in rows
        ]
        ordered = np.sort(chances)
        print(file, (ordered[:, -1] - ordered[:, -2]).min())


if __name__ == "__main__":
    main()
