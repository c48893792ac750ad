"""Trained weights: one set for each task, and the network that they belong to."""

import dataclasses
import hashlib
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.tree_util import tree_leaves_with_path as leaves_with_path
from numpy.typing import ArrayLike

from jmer import trees
from jmer.errors import JmerError
from jmer.files import json_bytes, read_json, write_group
from jmer.files.bombs import load_arrays
from jmer.files.lock import owned
from jmer.files.shape import EDITED
from jmer.models.base import NetworkConfig
from jmer.models.origin import made_again, origin
from jmer.runs.older import completed
from jmer.runs.wanted import as_inputs, telling
from jmer.scores.labels import CLASSES, UNITS, LabelKind
from jmer.train.checkpoint import Flat, unflatten
from jmer.train.numerics import X64, pinned
from jmer.train.tasks import Task

Clip = tuple[str, ...]
"""Data set, subject and name, which together name a clip."""
HeldOut = Mapping[str, frozenset[Clip]]
"""By fold the clips that were tested: none of them trained or chose an epoch."""

INDEX = "weights.json"
ARRAYS = "weights.npz"
HELD_OUT = "held_out"


@dataclasses.dataclass(frozen=True)
class Weights:
    """The weights of one network for several tasks.

    `arrays` has `params.…` and `stats.…` by path, task axis first, in the order of
    `tasks`. `sources` says where each came from, and `held_out` what each fold was kept
    from, where that is known.
    """

    config: NetworkConfig
    classes: tuple[str, ...]
    tasks: tuple[Task, ...]
    arrays: Flat
    sources: tuple[str, ...] = ()
    held_out: HeldOut | None = None
    file: Path = Path(INDEX)
    """What says which network it is, for errors to name."""
    kind: LabelKind = CLASSES
    """What `classes` are."""

    def index(self, subject: str, seed: int | None = None, variant: int = 0) -> int:
        """Row of a task; `seed` may be left out where there is only one.

        Raises: JmerError if there is no such task, or several.
        """
        rows = [
            i
            for i, task in enumerate(self.tasks)
            if task.fold == subject
            and task.variant == variant
            and seed in (None, task.seed)
        ]
        if len(rows) == 1:
            return rows[0]
        folds = sorted({task.fold for task in self.tasks})
        seeds = sorted({task.seed for task in self.tasks})
        raise JmerError(
            f"{len(rows)} trainings have {subject=}, {seed=}, {variant=}. Subjects: "
            f"{', '.join(folds)}. Seeds: {seeds}."
        )

    def params(
        self, *, subject: str, seed: int | None = None, variant: int = 0
    ) -> dict[str, Any]:
        """The parameters of one training, a nested dictionary of arrays."""
        row = self.index(subject, seed, variant)
        nested: dict[str, Any] = {}
        for path, value in self.arrays.items():
            kind, *names, last = path.split(".")
            if kind == "params":
                place = nested
                for name in names:
                    place = place.setdefault(name, {})
                place[last] = value[row]
        return nested

    def model(
        self, *, subject: str, seed: int | None = None, variant: int = 0
    ) -> nnx.Module:
        """The network of one training in evaluation mode, callable on arrays; with
        those that it cannot take, it raises UsageError, which names their shapes.

        Raises: JmerError under JAX's 64 bits, in which its numbers would be others.
        """
        if getattr(jax.config, X64):
            raise JmerError(
                "jax_enable_x64 is on, under which a network calculates other numbers "
                "than it was trained with: jax.config.update('jax_enable_x64', False) "
                "first, or take the arrays with params()."
            )
        graphdef, state = self.states()
        row = self.index(subject, seed, variant)
        made = jax.tree.map(lambda x: jnp.asarray(x[row]), state)
        return telling(nnx.merge(graphdef, *made), self.config)

    def predict(
        self,
        *arrays: ArrayLike,
        subject: str,
        seed: int | None = None,
        variant: int = 0,
        **named: ArrayLike,
    ) -> np.ndarray:
        """Probabilities of `classes`, float32 [n, k], by one training; see
        `Run.predict`."""
        inputs = as_inputs(self.config, arrays, named)
        model = self.model(subject=subject, seed=seed, variant=variant)
        with pinned():  # whatever a notebook has set
            config, of_units = self.config, self.kind is UNITS
            ask = config.predict_units if of_units else config.predict
            return self.kind.shares(np.asarray(ask(model, inputs), np.float32))

    def states(
        self, where: Path | None = None
    ) -> tuple[nnx.GraphDef, tuple[nnx.State, nnx.State]]:
        """The network's structure, and parameters and statistics of all tasks.

        Raises: JmerError, naming `where` (default: `file`), if the arrays do not fit
        the network.
        """
        file = where or self.file
        edited = "" if where else f" {EDITED}"
        try:
            graphdef, template = structure(self.config, len(self.classes))
            stacked = jax.tree.map(
                lambda x: jax.ShapeDtypeStruct((len(self.tasks), *x.shape), x.dtype),
                {"params": template[0], "stats": template[1]},
            )
        except (ValueError, TypeError, OverflowError, MemoryError) as error:
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise JmerError(
                f"{file}: the network that it describes cannot be built ({reason})."
                f"{edited}"
            ) from error
        try:
            state = unflatten(stacked, self.arrays, file)
        except JmerError as error:
            raise JmerError(f"{error}{edited}") from error
        known = {trees.path_name(p) for p, _ in leaves_with_path(stacked)}
        if left := self.arrays.keys() - known:
            raise JmerError(
                f"{file} has an array {min(left)} that its network has no place for: "
                f"it is of another network or size.{edited}"
            )
        return graphdef, (state["params"], state["stats"])

    def save(self, folder: Path) -> None:
        """Writes `weights.npz` and `weights.json`, without which it is no weights, as
        one; the latter knows the former by its hash.
        """
        content = io.BytesIO()
        np.savez(content, allow_pickle=False, **self.arrays)  # type: ignore[arg-type]
        arrays = content.getvalue()
        index = {
            "network": self.config.name,
            "origin": origin(self.config),
            "fields": dataclasses.asdict(self.config),
            "classes": list(self.classes),
            "tasks": [dataclasses.asdict(task) for task in self.tasks],
            "sources": list(self.sources),
            "arrays_sha256": hashlib.sha256(arrays).hexdigest(),
            **held_out_note(self.held_out),
        }
        with owned(folder / ".lock", f"the folder of weights {folder}", wait=True):
            write_group(folder, {ARRAYS: arrays, INDEX: json_bytes(index)})

    @classmethod
    def load(cls, folder: Path) -> "Weights":
        """The weights in a folder that `save` wrote.

        Raises: JmerError if it is no such folder, or is damaged.
        """
        if not (folder / INDEX).is_file():
            raise JmerError(
                f"{folder} has no {INDEX}: it holds no weights. `jmer weights import` "
                f"makes such a folder."
            )
        index = read_json(folder / INDEX, remedy="import the weights again.")
        try:
            # NumPy leaves a file open that it cannot read.
            with (folder / ARRAYS).open("rb") as file:
                flat = load_arrays(folder / ARRAYS, file)
                _require_same(file, index.get("arrays_sha256"))
            return cls(
                config=made_again(
                    index["network"],
                    completed("model", index["network"], index["fields"]),
                    index.get("origin", {}),
                    folder / INDEX,
                    "fields",
                ),
                classes=tuple(index["classes"]),
                tasks=tuple(Task(**task) for task in index["tasks"]),
                arrays=flat,
                sources=tuple(index["sources"]),
                held_out=read_held_out([index]),
                file=folder / INDEX,
            )
        except JmerError:
            raise
        except Exception as error:  # of a damaged archive, NumPy lets many through
            reason = str(error) or type(error).__name__
            raise JmerError(
                f"weights in {folder} are damaged ({reason}): import them again."
            ) from error


def _require_same(file: io.BufferedReader, expected: str | None) -> None:
    file.seek(0)
    # Earlier versions did not say.
    if expected not in (None, hashlib.file_digest(file, "sha256").hexdigest()):
        raise ValueError(f"{INDEX} is of another {ARRAYS}")


def held_out_note(held_out: HeldOut | None) -> dict[str, Any]:
    """As JSON values to be saved beside arrays; nothing where nothing is known."""
    if held_out is None:
        return {}
    return {HELD_OUT: {fold: sorted(map(list, own)) for fold, own in held_out.items()}}


def read_held_out(notes: Iterable[Mapping[str, Any]]) -> HeldOut | None:
    """What `held_out_note` wrote in each of these; None where one has nothing.

    Raises: JmerError if two say different things of a fold.
    """
    found: dict[str, frozenset[Clip]] = {}
    for note in notes:
        if HELD_OUT not in note:
            return None
        for fold, names in note[HELD_OUT].items():
            own = frozenset(tuple(map(str, name)) for name in names)
            if found.setdefault(fold, own) != own:
                raise JmerError(
                    f"two trainings of fold {fold} held out different clips: they are "
                    f"of different runs. Train again in an empty folder."
                )
    return found


def structure(
    config: NetworkConfig, classes: int
) -> tuple[nnx.GraphDef, tuple[nnx.State, nnx.State]]:
    """The network's structure, and the shapes of its parameters and statistics."""
    model = nnx.eval_shape(
        lambda: config.build(classes, dtype=jnp.float32, rngs=nnx.Rngs(params=0))
    )
    graphdef, *states = nnx.split(model, nnx.Param, nnx.BatchStat)
    return graphdef, (states[0], states[1])
