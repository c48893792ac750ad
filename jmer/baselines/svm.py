"""The fit of support vector machines to the training clips of a fold."""

import importlib
import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np

from jmer.annotations import Bool, Float, Int
from jmer.baselines.config import BaselineConfig
from jmer.baselines.machine import pairs_of
from jmer.errors import JmerError, Needs, UsageError
from jmer.optim import OptimConfig

Arrays = dict[str, np.ndarray]
Label = Int[np.ndarray, " n"] | Bool[np.ndarray, "n k"]
TOLERANCE = 1e-4


@dataclass(frozen=True, kw_only=True)
class SvmConfig(OptimConfig):
    """Support vector machines, one against one, by LIBSVM (scikit-learn), of features
    in deviations of the fold's training clips."""

    fits: ClassVar[bool] = True
    later: ClassVar[Mapping[str, Any]] = {"scaling": "each"}
    values: ClassVar[tuple[str, ...]] = ("c", "gamma")
    # No field: nothing is stepped.
    lr: ClassVar[float] = 1.0  # type: ignore[misc]

    c: float = 1.0
    """What a training clip on the wrong side costs."""
    gamma: float = 1.0
    """With kernel=rbf, width of the Gaussians: exp(-gamma d² / features) at distance
    d."""
    weights: Literal["none", "balanced"] = "none"
    """balanced: c is larger for rare classes, so that all weigh the same."""
    scaling: Literal["each", "all", "none"] = "each"
    """each: every feature by its own mean and deviation. all: by those of all features
    together, so that large ones weigh more; with kernel=rbf and gamma 1, what
    scikit-learn calls gamma="scale". none: as they are."""
    c_among: tuple[float, ...] = ()
    """With --selection inner, the values of c to choose from on inner clips."""
    gamma_among: tuple[float, ...] = ()
    """The same of gamma."""

    def __post_init__(self) -> None:
        check = self._check
        check.choices()
        for name in ("c", "gamma"):
            check.must(name, _usable(getattr(self, name)), "be positive and finite")
            among = f"{name}_among"
            fit = all(map(_usable, getattr(self, among)))
            check.must(among, fit, "be positive and finite")

    @property
    def needs(self) -> Needs:
        return {n: None if getattr(self, f"{n}_among") else {} for n in ("c", "gamma")}

    @property
    def settings(self) -> list["SvmConfig"]:
        """Those to choose from, or this one alone."""
        grid = itertools.product(self.c_among or (self.c,), self.gamma_among or (None,))
        return [
            replace(
                self,
                c=c,
                gamma=self.gamma if gamma is None else gamma,
                c_among=(),
                gamma_among=(),
            )
            for c, gamma in grid
        ]

    def require_selection(self, selection: str) -> None:
        """Raises: UsageError if there is a choice and nothing to choose on, or the
        other way round."""
        choice = len(self.settings) > 1
        if choice and selection != "inner":
            raise UsageError(
                f"selection={selection}: optim.c-among and optim.gamma-among are "
                f"chosen from on inner clips: add --selection inner"
            )
        if selection == "inner" and not choice:
            raise UsageError(
                "selection=inner: there is nothing to choose: give --optim.c-among "
                "0.1 1 10, or --selection last"
            )

    def fit(
        self,
        network: BaselineConfig,
        features: Float[np.ndarray, "n d"],
        label: Label,
        classes: int,
    ) -> Arrays:
        """The arrays of `network`'s module (`params.…`, `stats.…`) for these training
        clips, float32; the same clips give the same bits.

        `label` is an index of a class [n], or with `network.machines` each, which
        classes a clip is of [n, k]. A class that none of them is of is never answered.

        Raises: JmerError without scikit-learn; UsageError as `require_vectors`.
        """
        require_vectors(network, len(label))
        ready = _Ready.of(features, self.scaling)
        x = ready.rows.astype(np.float64)
        kernel, gamma = x @ x.T, np.float32(self.gamma / x.shape[1])
        if network.kernel == "rbf":
            squares = np.diag(kernel)
            far = squares[:, None] + squares[None] - 2 * kernel
            kernel = np.exp(-float(gamma) * np.maximum(far, 0))
        sides = _each if network.machines == "each" else _pairs
        every = list(sides(label, classes, balanced=self.weights == "balanced"))
        dual, offset = np.zeros((len(x), len(every))), np.zeros(len(every))
        for column, own in enumerate(every):
            dual[own.clips, column], offset[column] = self._machine(own, kernel)
        stats = {"stats.mean": ready.mean, "stats.scale": ready.scale}
        known = {**stats, "params.offset": offset.astype(np.float32)}
        if network.kernel == "linear":
            return {**known, "params.weight": (x.T @ dual).astype(np.float32)}
        kept = np.flatnonzero(dual.any(1))
        room = network.vectors - len(kept)
        return {
            **known,
            "params.gamma": np.asarray(gamma),
            "params.support": np.pad(ready.rows[kept], ((0, room), (0, 0))),
            "params.weight": np.pad(dual[kept], ((0, room), (0, 0))).astype(np.float32),
        }

    def _machine(
        self, own: "_Sides", kernel: Float[np.ndarray, "n n"]
    ) -> tuple[Float[np.ndarray, " m"], float]:
        """What each clip weighs in a machine, and the offset."""
        dual = np.zeros(len(own.clips))
        if own.first.all() or not own.first.any():  # one class, or none
            return dual, 1.0 if own.first.any() else -1.0
        machine = _svm().SVC(
            C=self.c,
            kernel="precomputed",
            class_weight={True: own.cost, False: own.other_cost},
            tol=TOLERANCE,
        )
        machine.fit(kernel[np.ix_(own.clips, own.clips)], own.first)
        dual[machine.support_] = machine.dual_coef_[0]
        return dual, float(machine.intercept_[0])


def require_vectors(network: BaselineConfig, clips: int) -> None:
    """Raises: UsageError if Gaussian machines have no room for so many training clips,
    all of which they may keep."""
    if network.kernel == "rbf" and clips > network.vectors:
        raise UsageError(
            f"model.vectors={network.vectors}: the machines of a fold may keep all of "
            f"its {clips} training clips: give --model.vectors {clips}"
        )


class _Sides(NamedTuple):
    """The training clips of a machine, which of them are on its positive side, and by
    what the costs of both sides are multiplied."""

    clips: Int[np.ndarray, " m"]
    first: np.ndarray
    cost: float
    other_cost: float


def _pairs(label: Label, classes: int, *, balanced: bool) -> Iterator[_Sides]:
    """The clips of every two classes."""
    counts = np.bincount(label, minlength=classes)
    costs = np.ones(classes)
    if balanced:
        present = max(int((counts > 0).sum()), 1)
        costs = len(label) / (present * np.maximum(counts, 1))
    for first, second in pairs_of(classes):
        clips = np.flatnonzero((label == first) | (label == second))
        yield _Sides(clips, label[clips] == first, costs[first], costs[second])


def _each(label: Label, classes: int, *, balanced: bool) -> Iterator[_Sides]:
    """All clips, by whether they are of a class."""
    own = label if label.ndim == 2 else label[:, None] == np.arange(classes)
    for positive in own.T.astype(bool):
        sizes = int(positive.sum()), int((~positive).sum())
        costs = [len(label) / (2 * max(n, 1)) if balanced else 1.0 for n in sizes]
        yield _Sides(np.arange(len(label)), positive, *costs)


class _Ready(NamedTuple):
    """Training clips, scaled by themselves."""

    mean: Float[np.ndarray, " d"]
    scale: Float[np.ndarray, " d"]
    rows: Float[np.ndarray, "n d"]

    @classmethod
    def of(cls, features: Float[np.ndarray, "n d"], scaling: str) -> "_Ready":
        wide = features.astype(np.float64)
        mean, deviation = wide.mean(0), wide.std(0)
        if scaling == "all":
            mean = np.full_like(mean, wide.mean())
            deviation = np.full_like(deviation, wide.std())
        if scaling == "none":
            mean, deviation = np.zeros_like(mean), np.ones_like(deviation)
        # What only rounding sets apart would be blown up.
        varies = deviation > 1e-6 * np.maximum(np.abs(wide).max(0), 1e-12)
        if scaling != "each":
            varies = np.full_like(varies, varies.any())
        scale = np.where(varies, 1 / np.where(varies, deviation, 1), 0)
        mean, scale = mean.astype(np.float32), scale.astype(np.float32)
        return cls(mean, scale, (features.astype(np.float32) - mean) * scale)


def _usable(value: Any) -> bool:
    return 0 < value < math.inf


def _svm() -> Any:
    try:
        return importlib.import_module("sklearn.svm")
    except ModuleNotFoundError as error:
        raise JmerError(
            f"baselines are fitted by scikit-learn, which is not installed "
            f"({error.name} is missing): pip install 'jmer[baselines]'."
        ) from error
