"""Finished runs and weights, for notebooks: plain arrays and dataclasses."""

import dataclasses
import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jmer.errors import JmerError
from jmer.files import read_json
from jmer.files.inside import require_contained
from jmer.files.places import expanded
from jmer.files.shape import checked
from jmer.runs.again import again
from jmer.runs.curves import read_curves
from jmer.runs.folder import (
    CHECKPOINTS,
    DESCRIPTION,
    METRICS,
    PREDICTIONS,
    PROGRESS,
    require_idle,
)
from jmer.runs.intact import no_run, require_finished, require_intact, require_scores
from jmer.runs.older import renewed
from jmer.runs.shapes import (
    ANY_DESCRIPTION,
    ANY_METRICS,
    DESCRIPTION_SHAPE,
    METRICS_SHAPE,
)
from jmer.runs.table import ClipTable
from jmer.scores.labels import LabelKind, kind_in, require_classes
from jmer.scores.paired import Paired, paired
from jmer.scores.predictions import Predictions
from jmer.scores.recognition import score
from jmer.text import counted, points

if TYPE_CHECKING:
    import pandas
    from flax import nnx
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

    from jmer.runs.packs import SavedPack
    from jmer.runs.weights import HeldOut, Weights
    from jmer.train.pack import PackResult

# Reports read runs without their weights: JAX and Orbax come with the first of these.


@dataclasses.dataclass(frozen=True)
class TaskSummary:
    """One training of a run."""

    subject: str
    """Name of the fold: the held-out subject, under LOSO."""
    seed: int
    variant: int
    selected_epoch: int
    """Epoch whose weights were kept and tested."""
    diverged: bool
    loss: np.ndarray
    """Mean training loss of the epoch before each evaluation, nats [e]."""


@dataclasses.dataclass(frozen=True)
class SubjectScore:
    """How well the clips of one person were recognised."""

    dataset: str
    subject: str
    clips: int
    acc: float
    """Share of the clips that are right, in [0, 1], averaged over seeds."""


@dataclasses.dataclass(frozen=True, repr=False)
class Run:
    """A finished run.

    >>> run = jmer.load_run("runs/ststnet")
    >>> run
    Run runs/ststnet: UF1 0.6646, UAR 0.6667, ACC 0.6667 on 30 clips of 6 subjects
    >>> run.metrics["per_dataset"]["samm"]["n_samples"]
    10
    >>> run.predictions
    60 predictions (6 folds, 2 seeds, 1 variant) of negative, positive, surprise
    >>> run.predictions.predicted[:6]
    array([1, 1, 2, 1, 1, 1])
    >>> run.clips.where(subject="sub01", seed=0)
    5 tested clips of 1 subject, 3 of them recognised
    >>> run.confusion
    array([[12,  8,  0],
           [ 0, 14,  6],
           [ 6,  0, 14]])
    >>> run.subjects[0]
    SubjectScore(dataset='casme2', subject='sub01', clips=5, acc=0.7)
    >>> epochs, loss = run.curves["loss"]
    >>> epochs, loss
    (array([1, 2, 3]), array([1.2, 0.6, 0.4]))
    >>> run.tasks[0].subject, run.tasks[0].selected_epoch
    ('sub01', 3)
    >>> run.params(subject="sub01", seed=0)["block"]["conv"]["kernel"].shape
    (3, 3, 3, 2)
    >>> flow = np.zeros((5, 8, 8, 3))  # u, v and strain of five clips
    >>> run.model(subject="sub01", seed=0)(flow).shape
    (5, 3)
    >>> run.predict(flow, subject="sub01", seed=0).shape
    (5, 3)
    """

    folder: Path
    changed: bool = dataclasses.field(default=False, compare=False)
    """Also what was changed after the run is read, for an audit to say so."""

    def __repr__(self) -> str:
        found = self.metrics
        shown = self.kind.reported.items()
        scores = (f"{m.label} {points(found.get(n))}" for n, m in shown)
        clips = counted(found["n_samples"], "clip")
        subjects = counted(found["n_subjects"], "subject")
        return f"Run {self.folder}: {', '.join(scores)} on {clips} of {subjects}"

    def _repr_html_(self) -> str:
        from jmer.runs.card import card

        return card(self)

    @functools.cached_property
    def metrics(self) -> dict[str, Any]:
        """The content of `metrics.json`."""
        file = self.folder / METRICS
        return checked(read_json(file, changed=self.changed), ANY_METRICS, file)

    @functools.cached_property
    def experiment(self) -> dict[str, Any]:
        """The content of `experiment.json`, in today's names of fields."""
        file = self.folder / DESCRIPTION
        found = read_json(file, changed=self.changed)
        return renewed(checked(found, ANY_DESCRIPTION, file))

    @property
    def kind(self) -> LabelKind:
        """What its labels are: classes, or sets of action units."""
        return kind_in(self.metrics)

    @property
    def excluded(self) -> tuple[str, ...]:
        """Clips that were left out of the data set by name (`--data.exclude`)."""
        found: Any = self.experiment
        for part in ("identity", "data", "exclude"):
            found = found.get(part) if isinstance(found, dict) else None
        return tuple(map(str, found)) if isinstance(found, list) else ()

    @property
    def unscored(self) -> tuple[int, ...]:
        """Seeds that were asked for and have no score yet, as of a run that is stopped
        while it gains some."""
        if "evaluated" in self.experiment.get("identity", {}):
            return ()
        asked = self.experiment["experiment"].get("seeds", ())
        lost = [task["seed"] for task in self.metrics.get("diverged", ())]
        known = {*self.metrics.get("seeds", asked), *lost}
        return tuple(seed for seed in asked if seed not in known)

    @functools.cached_property
    def predictions(self) -> Predictions:
        """The test predictions, an array a column."""
        return Predictions.load(self.folder / PREDICTIONS)

    @functools.cached_property
    def shown(self) -> Predictions:
        """Those of the variant that the run's own report shows."""
        return self.predictions.select(variant=self.metrics.get("variant", 0))

    def of_variant(self, number: int) -> "Run":
        """The same run with the scores of another of its variants as its own.

        Raises: JmerError if it has no predictions.
        """
        if number == self.metrics.get("variant", 0):
            return self
        scores = score(self.predictions.select(variant=number))
        made = dataclasses.replace(self)
        about = {**self.metrics, **scores, "variant": number, "oracle": None}
        made.__dict__["metrics"] = about
        return made

    @property
    def clips(self) -> ClipTable:
        """The tested clips with what was answered: a row for each clip and seed, of the
        variant that the run's own report shows."""
        return ClipTable(self.shown)

    def to_dataframe(self) -> "pandas.DataFrame":
        """`clips` for pandas: names, seed, true and predicted class, whether it is
        `right`, and `prob_CLASS` [0, 1] of each class; of action units AU1+AU4 as text,
        right if all of them are, and `unit_AU1` and so on.

        Raises: JmerError if pandas is not installed (extra `pandas`).
        """
        return self.clips.to_dataframe()

    def plot_confusion(self, ax: "Axes | None" = None) -> "Figure | Axes":
        """Test clips by true and predicted class: a new figure, which a notebook shows,
        or drawn into `ax`, which is returned then."""
        from jmer.runs.plots import plot_confusion

        return plot_confusion(self, ax)

    def plot_learning(self, ax: "Axes | None" = None) -> "Figure | Axes":
        """Loss, scores and the epochs that were tested, over epochs: a new figure, or
        the loss alone (scores, where there is no loss) in `ax`, which is returned then.

        Raises: JmerError for a run that has no curves, as an evaluation has none.
        """
        from jmer.runs.plots import plot_learning

        return plot_learning(self, ax)

    def plot_subjects(self, ax: "Axes | None" = None) -> "Figure | Axes":
        """The accuracy of each person, the worst first: a new figure, or drawn into
        `ax`, which is returned then."""
        from jmer.runs.plots import plot_subjects

        return plot_subjects(self, ax)

    @functools.cached_property
    def confusion(self) -> np.ndarray:
        """Test clips of true (row) and predicted class, over all seeds [k, k].

        Raises: JmerError if labels are sets of action units.
        """
        require_classes("a confusion matrix", self.kind)
        return np.array(self.metrics["confusion"])

    @functools.cached_property
    def subjects(self) -> tuple[SubjectScore, ...]:
        """The scores of each person, by data set and name."""
        return tuple(
            SubjectScore(row["dataset"], row["subject"], row["n"], row["acc"])
            for row in self.metrics["per_subject"]
        )

    @functools.cached_property
    def curves(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """(epochs, values) of `loss`, `test_acc`, `inner_uf1` and `inner_loss`, each
        averaged over all tasks; without those that were not recorded.
        """
        return read_curves(self.folder / PROGRESS)

    @functools.cached_property
    def tasks(self) -> tuple[TaskSummary, ...]:
        """The trainings, by seed and then fold."""
        summaries = [
            TaskSummary(
                subject=task.fold,
                seed=task.seed,
                variant=task.variant,
                selected_epoch=int(pack.selected[i]),
                diverged=not bool(pack.alive[-1, i]),
                loss=pack.loss[:, i],
            )
            for pack in self.packs
            for i, task in enumerate(pack.tasks)
        ]
        return tuple(sorted(summaries, key=lambda t: (t.seed, t.subject, t.variant)))

    @functools.cached_property
    def weights(self) -> "Weights":
        """The weights of all trainings, at their selected epochs.

        Raises: JmerError if the run trained nothing, as an evaluation does not.
        """
        from jmer.models.origin import made_again
        from jmer.runs.weights import Weights

        self.require_weights()
        file = self.folder / DESCRIPTION
        fields = dict(self.experiment["experiment"].get("model", {}))
        if "name" not in fields or "classes" not in self.experiment["data"]:
            raise JmerError(
                f"{file} does not say which network of which classes it is: it was "
                f"edited or damaged. Restore it, or run the experiment again."
            )
        paths = self.packs[0].weights
        return Weights(
            config=made_again(
                fields.pop("name"),
                fields,
                self.experiment.get("network", {}),
                file,
                "experiment.model",
            ),
            classes=tuple(self.experiment["data"]["classes"]),
            tasks=tuple(task for pack in self.packs for task in pack.tasks),
            arrays={
                path: np.concatenate([pack.weights[path] for pack in self.packs])
                for path in paths
            },
            sources=(str(self.folder.absolute()),),
            held_out=self.held_out,
            file=file,
            kind=self.kind,
        )

    def require_weights(self) -> None:
        """Raises: JmerError if the run trained nothing, as an evaluation does not."""
        if not self.packs:
            about = self.experiment
            if evaluated := about.get("identity", {}).get("evaluated"):
                raise JmerError(
                    f"{self.folder} has no trained weights, for it is an evaluation. "
                    f"Give the run that was evaluated: {evaluated}."
                )
            raise JmerError(
                f"{self.folder} has no trained weights: its {CHECKPOINTS} are gone. "
                f"Restore them, or type {again(self.folder, about)} again, which "
                f"trains anew."
            )

    def params(
        self, *, subject: str, seed: int | None = None, variant: int = 0
    ) -> dict[str, Any]:
        """The parameters of one training, a nested dictionary of arrays."""
        return self.weights.params(subject=subject, seed=seed, variant=variant)

    def model(
        self, *, subject: str, seed: int | None = None, variant: int = 0
    ) -> "nnx.Module":
        """The network of one training in evaluation mode, callable on arrays."""
        return self.weights.model(subject=subject, seed=seed, variant=variant)

    def predict(
        self,
        *arrays: "ArrayLike",
        subject: str,
        seed: int | None = None,
        variant: int = 0,
        **named: "ArrayLike",
    ) -> np.ndarray:
        """Probabilities of `metrics["classes"]`, float32 [n, k], by one training; of
        action units, each by itself.

        `arrays` are clips [n, ...] as the data set of the run stores them, in the order
        of the network's inputs, or by their names.

        Raises: JmerError, with the shapes and types that are wanted, for others, or if
        there is no such training.
        """
        return self.weights.predict(
            *arrays, subject=subject, seed=seed, variant=variant, **named
        )

    @functools.cached_property
    def packs(self) -> "list[PackResult]":
        """What each program recorded: its tasks, at each evaluation.

        Raises: JmerError if a checkpoint is damaged, or that of a task is gone.
        """
        found = [pack.result for pack in self.saved_packs if pack.result is not None]
        have = {dataclasses.astuple(task) for pack in found for task in pack.tasks}
        p = self.predictions
        columns = (p.seed.tolist(), p.fold.tolist(), p.variant.tolist())
        tested = set(zip(*columns, strict=True))
        if found and not self.changed and (gone := sorted(tested - have)):
            seed, fold, variant = gone[0]
            raise JmerError(
                f"{self.folder / CHECKPOINTS} has no checkpoint of {len(gone)} of "
                f"{len(tested)} trainings, the first of fold {fold}, seed {seed}, "
                f"variant {variant}: restore it, or type "
                f"{again(self.folder, self.experiment)} again, which trains it anew."
            )
        return found

    @property
    def held_out(self) -> "HeldOut | None":
        """What each fold was kept from, by the checkpoints; None if those do not say.

        Raises: JmerError if they contradict each other.
        """
        from jmer.runs.weights import read_held_out

        done = [pack for pack in self.saved_packs if pack.result is not None]
        return read_held_out(pack.notes for pack in done) if done else None

    @functools.cached_property
    def saved_packs(self) -> "list[SavedPack]":
        """The same, with the notes beside them, and packs that are unfinished."""
        from jmer.runs.packs import read_packs

        return read_packs(self.folder / CHECKPOINTS)

    def check(self) -> None:
        """Reads all that a report needs.

        Raises: JmerError naming the missing or damaged file, and what to do.
        """
        if not self.changed:
            require_intact(self.folder)  # its remedy is the better one
        require_finished(
            self.folder,
            lambda name: self.metrics if name == METRICS else self.experiment,
        )
        checked(self.metrics, METRICS_SHAPE, self.folder / METRICS)
        checked(self.experiment, DESCRIPTION_SHAPE, self.folder / DESCRIPTION)
        if not self.changed:
            require_scores(self.folder, self.metrics, self.shown)
        _ = self.shown  # which reads them


def load_run(folder: str | Path, *, changed: bool = False) -> Run:
    """The run in a directory; with `changed`, also one that is not what jmer wrote.

    Raises: JmerError if it is no run, is not finished, was changed afterwards, or has a
    link in it that leads out of it.
    """
    folder = expanded(Path(folder))
    for name in (DESCRIPTION, METRICS):
        if not (folder / name).is_file():
            require_idle(folder)
            raise no_run(folder, name)
    require_contained(folder)
    if not changed:
        require_intact(folder)
    return Run(folder, changed)


def read_run(folder: Path) -> Run:
    """The run in a directory, with all that a report needs of it.

    Raises: JmerError as `Run.check`.
    """
    if folder.is_dir():
        require_contained(folder)
    run = Run(folder)
    run.check()
    return run


def compare(
    a: Run | str | Path, b: Run | str | Path, *, draws: int = 2000, seed: int = 0
) -> Paired:
    """What sets run `b` apart from run `a`: first in what the two differ besides their
    scores (`apart`), then differences b − a on the same clips.

    Of several variants those are compared that the runs' own reports show. For several
    comparisons, correct p with `jmer.scores.paired.holm`.

    >>> found = jmer.compare("runs/ststnet", "runs/stanet")
    >>> found
    second minus first on 30 clips
      ACC +0.1667 [+0.133, +0.200], p 0.0312, 6 subjects
      UF1 +0.1684 [+0.133, +0.226], p 0.0312, 6 subjects
      UAR +0.1667 [+0.121, +0.200], p 0.0312, 6 subjects
      negative: F1 +0.1877 [+0.133, +0.290], p 0.0312, 6 subjects
      positive: F1 +0.1649 [+0.101, +0.267], p 0.0312, 6 subjects
      surprise: F1 +0.1527 [+0.055, +0.292], p 0.1250, 6 subjects
      casme2: ACC +0.1667 [+0.100, +0.200], p 0.2500, 3 subjects
      casme2: UF1 +0.1684 [+0.130, +0.333], p 0.2500, 3 subjects
      casme2: UAR +0.1667 [+0.083, +0.250], p 0.2500, 3 subjects
      samm: ACC +0.1500 [+0.100, +0.200], p 0.5000, 2 subjects
      samm: UF1 +0.1680 [+0.133, +0.272], p 0.5000, 2 subjects
      samm: UAR +0.1528 [+0.083, +0.167], p 0.5000, 2 subjects
      smic: ACC +0.2000 [+0.200, +0.200], p 1.0000, 1 subject
      smic: UF1 +0.3389 [+0.339, +0.339], p 1.0000, 1 subject
      smic: UAR +0.2500 [+0.250, +0.250], p 1.0000, 1 subject
    >>> found.overall["uf1"].p
    0.03125
    >>> found.per_class["surprise"]
    F1 +0.1527 [+0.055, +0.292], p 0.1250, 6 subjects
    >>> round(found.per_dataset["samm"]["acc"].value, 2)
    0.15

    Raises: JmerError if one is no finished run, or their clips or labels differ.
    """
    from jmer.runs.apart import apart

    runs = [each if isinstance(each, Run) else load_run(each) for each in (a, b)]
    found = paired(*(run.shown for run in runs), draws=draws, seed=seed)
    return dataclasses.replace(found, apart=tuple(map(str, apart(runs))))


def load_model(folder: str | Path) -> "Weights":
    """Imported weights: `.params(subject=…)` and `.model(subject=…)`.

    Raises: JmerError if the folder holds none.
    """
    from jmer.runs.weights import Weights

    return Weights.load(expanded(Path(folder)))


def find_weights(folder: Path) -> "Weights":
    """Weights from either an import or a finished run.

    Raises: JmerError if the folder is neither.
    """
    from jmer.runs.weights import INDEX

    if (folder / INDEX).is_file():
        return load_model(folder)
    if (folder / DESCRIPTION).is_file():
        return load_run(folder).weights
    if (folder / METRICS).is_file():
        raise no_run(folder, DESCRIPTION)
    raise JmerError(
        f"{folder} holds neither imported weights ({INDEX}) nor a run "
        f"({DESCRIPTION}). `jmer weights import` makes the former, `jmer run` the "
        f"latter."
    )
