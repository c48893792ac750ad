"""The networks of the demonstration, made of synthetic faces and scored on others."""

import dataclasses
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from jmer.experiment import Experiment, load_experiment
from jmer.files import VERSION, make_folder, write_json, write_text, writing
from jmer.predict.card import card
from jmer.predict.conditions import FILE as CONDITIONS
from jmer.predict.conditions import write_conditions
from jmer.predict.demo import CLASSIFIER, RULE, SHIPPED, SPOTTER
from jmer.predict.unseen import score_unseen
from jmer.preprocess.faces import detector
from jmer.report.spotting import write_spotting
from jmer.runner.progress import View
from jmer.runner.run import run as train
from jmer.runs.explain import explained, set_of
from jmer.runs.folder import (
    CHECKPOINTS,
    DESCRIPTION,
    METRICS,
    PREDICTIONS,
    PROGRESS,
    SPOTTING,
)
from jmer.runs.run import Run, load_run
from jmer.scores.spotting import watch_all
from jmer.synthetic.footage import MOMENTS, TABLE, Shown, write_footage
from jmer.synthetic.recordings import LONGEST, RATES, SHORTEST, Shooting
from jmer.synthetic.spec import SyntheticSpec

CARD, SCORES = "card.md", "scores.json"
COMMITTED = "commit_success.txt"  # whether it is there is what Orbax asks
KEPT = (DESCRIPTION, METRICS, PREDICTIONS, PROGRESS, CONDITIONS)
"""Of each run, beside its checkpoints; its report can be written anew."""
FACES: dict[str, Any] = {"size": 96, "difficulty": 0.2, "noise": 0.4, "imbalance": 0.0}
TRAINING = Shooting(seconds=2.0, expressions=1, blinks=2, head_moves=1)
SCORED = Shooting(seconds=4.0, expressions=2, blinks=2, head_moves=2)
QUIET = dataclasses.replace(SCORED, expressions=0)
ABOUT = {
    "version": VERSION,
    "seconds": TRAINING.seconds,
    "rates": ", ".join(f"{rate:g}" for rate in RATES),
    "width": TRAINING.width,
    "height": TRAINING.height,
    "shortest": SHORTEST,
    "longest": LONGEST,
    "blinks": TRAINING.blinks,
    "moves": TRAINING.head_moves,
    "classes": "negative, positive, surprise",
}
OTHERS = 1000
"""Added to the seed for people whom no network has seen."""

Counting = Callable[..., AbstractContextManager[Callable[..., Any]]]


@dataclasses.dataclass(frozen=True)
class Demo:
    """What is made: see the options of `jmer pretrain demo`."""

    out: Path
    subjects: int
    videos: int
    unseen_subjects: int
    unseen_videos: int
    spotter_epochs: int | None
    classifier_epochs: int | None
    seed: int

    def faces(self, subjects: int, videos: int, seed: int) -> SyntheticSpec:
        return SyntheticSpec(subjects=subjects, clips=videos, seed=seed, **FACES)

    def experiment(self, name: str) -> Experiment:
        """That of jmer, on the videos of `out`."""
        made = load_experiment(f"demo/{name}")
        table = TABLE if name == SPOTTER else MOMENTS
        where = (self.out / "videos" / table).as_posix()
        # Where its table lies, not one of that name here; and nothing in a run tells
        # of other places than what is typed as `out`.
        prepared = self.out / "prepared"
        at: dict[str, Any] = {"table": where, "manual_dir": None, "data_dir": prepared}
        data = dataclasses.replace(made.data, **at)
        epochs = self.spotter_epochs if name == SPOTTER else self.classifier_epochs
        return dataclasses.replace(
            made, data=data, seeds=(self.seed,), epochs=epochs or made.epochs
        )


def make_demo(
    demo: Demo,
    make_view: Callable[[], View],
    counting: Counting,
    *,
    stopping: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """Writes what `jmer pretrain demo` says into `demo.out`, and returns the scores.

    What is there already, of the same options, stays.

    Raises: JmerError as the parts do; KeyboardInterrupt once `stopping` says so.
    """
    detector()  # or what to install is said before anything is made
    out = make_folder(demo.out)

    def footage(name: str, people: int, videos: int, of: Shooting) -> list[Shown]:
        seed = demo.seed + (0 if of is TRAINING else OTHERS)
        with counting(f"recording {name}") as watch:
            return write_footage(
                out / name,
                demo.faces(people, videos, seed),
                of,
                watch=_stoppable(watch, stopping),
            )

    footage("videos", demo.subjects, demo.videos, TRAINING)
    for name in (SPOTTER, CLASSIFIER):
        train(
            demo.experiment(name),
            name=name,
            command=f"jmer run demo/{name}",
            run_dir=out / name,
            overwrite=False,
            view=make_view(),
            stopping=stopping,
        )
        write_conditions(load_run(out / name))
    spotter, classifier = load_run(out / SPOTTER), load_run(out / CLASSIFIER)
    scores = {SPOTTER: _own_scores(spotter), CLASSIFIER: _own_scores(classifier)}
    scores[SPOTTER]["spotting"] = _spotted(spotter)
    people, count = demo.unseen_subjects, demo.unseen_videos
    shown = [
        dataclasses.replace(one, video=f"{name}/{one.video}")
        for name, videos, of in (
            ("unseen", count, SCORED),
            ("unseen-quiet", max(count // 2, people, 6), QUIET),
        )
        for one in footage(name, people, videos, of)
    ]
    with counting("watching unseen people") as watch:
        scores["unseen"] = score_unseen(
            spotter.folder,
            classifier.folder,
            out,
            shown,
            rule=RULE,
            watch=_stoppable(watch, stopping),
        )
    write_json(out / SCORES, scores)
    _ship(out, scores)
    return scores


def _stoppable(
    watch: Callable[..., Any], stopping: Callable[[], bool]
) -> Callable[[int, int], None]:
    """Counts on, and ends with KeyboardInterrupt once `stopping` says so."""

    def told(done: int, total: int) -> None:
        watch(done, total)
        if stopping():
            raise KeyboardInterrupt

    return told


def _own_scores(run: Run) -> dict[str, Any]:
    """Of its own folds, each tested on people whom it was not trained on."""
    names = ("uf1", "uar", "acc", "n_samples", "n_subjects", "n_folds")
    return {
        **{name: run.metrics[name] for name in names},
        "ci95": run.metrics["ci95"],
        "parameters": sum(
            int(a[0].size) for n, a in run.weights.arrays.items() if n[:7] == "params."
        ),
    }


def _spotted(run: Run) -> dict[str, Any]:
    """As `jmer spot`, which this leaves in the run's folder."""
    clips = set_of(run)
    found = watch_all(
        clips, ((one.index, one.logits, one.shown) for one in explained(run, clips))
    )
    record = write_spotting(run.folder / SPOTTING, found, clips.classes, RULE, most=4)
    return {name: record[name] for name in ("auc", "intervals", "strs", "clips")}


def _ship(out: Path, scores: dict[str, Any]) -> None:
    """Leaves in `shipped` what predictions read of the two runs, and the model card."""
    for name in (SPOTTER, CLASSIFIER):
        target = out / SHIPPED / name
        with writing(target):
            shutil.rmtree(target, ignore_errors=True)
            make_folder(target)
            for file in KEPT:
                shutil.copyfile(out / name / file, target / file)
            shutil.copytree(out / name / CHECKPOINTS, target / CHECKPOINTS)
            for mark in target.rglob(COMMITTED):
                write_text(mark, "whole\n")  # it says where the checkpoint was made
    text = card(scores, ABOUT)
    write_text(out / SHIPPED / CARD, text)
    write_text(out / CARD, text)
    write_json(out / SHIPPED / SCORES, scores)
