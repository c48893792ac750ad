"""An experiment: everything that decides a number, in one frozen value."""

import dataclasses
import hashlib
import math
import os
import sys
from collections.abc import Hashable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from jmer import shipped
from jmer.data.config import DataConfig
from jmer.data.extract import Extract
from jmer.data.splits import Loso, Protocol
from jmer.errors import MOST_SEED, FieldCheck, UsageError, is_whole, option, quoted
from jmer.files.places import expand_fields, expanded
from jmer.files.recorded import unasked
from jmer.models.base import NetworkConfig
from jmer.optim import OptimConfig
from jmer.shipped import beside
from jmer.train.batches import Mode, Sampling
from jmer.train.objective import PLAIN, LossConfig
from jmer.train.step import Criterion
from jmer.train.tasks import InnerDraw, InnerUnit, Selection
from jmer.train.variants import check_variant, parse_variant

FITTED = {
    **{"epochs": 1, "dtype": "float32", "sampling": "shuffled"},
    **{"pretrained": None, "start_from": None, "ema": 0.0, "patience": 0},
}
"""What fields are of an experiment whose network is fitted, not trained."""


@dataclasses.dataclass(frozen=True)
class EngineConfig:
    """How the tasks are laid out over the machine. No number depends on it."""

    strategy: Literal["auto", "vmap", "map", "loop"] = "auto"
    """All tasks of a device side by side (vmap), in turn inside one program (map), or
    in turn from the host (loop); auto measures how many side by side are fastest."""
    chunk: int | None = None
    """Tasks side by side on a device, one such chunk after another."""
    lowering: Literal["auto", "backend", "patches", "tpu", "gpu"] = "auto"
    """Convolutions of the compiler's library (backend), products of patches with fused
    blocks (patches), or what such a chip's compiler wants (tpu, gpu); auto is patches
    on a CPU and is measured elsewhere."""
    remat: Literal["auto", "on", "off"] = "auto"
    """Whether layers that know how make their values anew for the gradients instead of
    keeping them, which takes a third more time; auto: where one task needs more memory
    than there is."""
    accumulate: int | None = None
    """Parts in which a batch goes through, one after another, with the memory of one
    (default: 1, and more where one task needs more memory than there is)."""
    pack: int | None = None
    """Tasks that train on one device in one program (default: as many as memory holds).
    """
    devices: int | None = None
    """Devices to spread the tasks over; on a CPU, threads (default: measured)."""
    plan_seconds: float = 60.0
    """Time to measure layouts in before a long run, in seconds; 0 takes the first."""
    data: Literal["auto", "resident", "streamed"] = "auto"
    """Where the set lies: whole on each device (resident), or fed to it in blocks by
    Grain (streamed), which needs --batches shared; auto streams what does not fit."""
    memory_limit: float | None = None
    """Memory of a device that a program may take, in GB (default: what it has)."""
    checkpoint_seconds: float = 60.0
    """Least time between two checkpoints, in seconds; 0 saves at every evaluation."""

    def __post_init__(self) -> None:
        check = FieldCheck(self, "engine")
        check.choices()
        check.at_least(1, "chunk", "pack", "devices", "accumulate")
        check.whole("chunk", "pack", "devices", "accumulate", least=1)
        check.finite("checkpoint_seconds", "plan_seconds")
        limit = self.memory_limit
        fits = limit is None or 0 < limit < math.inf
        check.must("memory_limit", fits, "be finite and above 0")
        if self.chunk is not None and self.strategy in ("map", "loop"):
            raise UsageError(
                f"engine.chunk={self.chunk} and engine.strategy={self.strategy} "
                f"contradict each other: {self.strategy} has one task at a time"
            )


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A cross-validation of one network on one data set."""

    model: NetworkConfig
    """The network."""
    data: DataConfig
    """The data set."""
    optim: OptimConfig
    """The optimiser."""
    epochs: int = 100
    """Passes over the training clips of each fold."""
    batch_size: int = 32
    """Clips in a batch."""
    seeds: tuple[int, ...] = (0,)
    """Each seed trains all folds once more, with other weights and orders."""
    variants: tuple[str, ...] = ()
    """Trainings that differ in numbers only, in one program: optim.lr=1e-4 is one, with
    commas between several numbers. Every fold and seed is trained with each."""
    batches: Mode = "own"
    """own: full batches of a fold's own clips, the textbook protocol. shared: all folds
    see the same batches of the whole set, and each leaves out what it must not see. The
    seed shuffles the set anew for every epoch; a fold goes through its own clips in
    that order."""
    sampling: Sampling = "shuffled"
    """shuffled: an epoch has every training clip once. balanced: batches are drawn with
    replacement, every class as often, and a last batch that is not full is left out."""
    selection: Selection = "last"
    """Which epoch is tested: the last, or the one that does best on inner clips, those
    training clips that are held out for it."""
    inner_fraction: float = 0.2
    """Share of the training clips held out by --selection inner; 0 to 1, exclusive."""
    inner_unit: InnerUnit = "subject"
    """What is held out by --selection inner: whole training subjects, or single clips,
    the same share of each class."""
    inner_criterion: Criterion = "uf1"
    """What is best on inner clips: the highest UF1 (of equal ones, the lowest loss), or
    the lowest loss."""
    inner_draw: InnerDraw = "seed"
    """What inner clips are drawn by: the seed of the training, so that seeds differ in
    them too, or the split seed of the protocol (split; 0 where it has none), so that
    all trainings of a fold have the same."""
    patience: int = 0
    """Epochs without a better one on inner clips after which a task stops training and
    leaves the others (needs --selection inner); 0: none does. Its later evaluations are
    those of when it stopped."""
    pretrained: Path | None = None
    """PyTorch checkpoint of the network's trunk, trained on something else, that every
    training starts from (.pth, .pt or .tar, torchvision's names); or the file of a part
    of it that `jmer pretrain` wrote."""
    start_from: Path | None = None
    """Finished run whose weights trainings start from: each from those of its own fold
    and seed, or the only seed. Weights of the same name and shape are taken; a fold
    must test nothing that the run's fold may have trained on."""
    eval_every: int = 1
    """Epochs between two evaluations."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Type of matrix work; auto is bfloat16 on accelerators and float32 on a CPU.
    Parameters, losses and statistics are float32."""
    protocol: Protocol = dataclasses.field(default_factory=Loso)
    """Who is held out of which fold. --protocol NAME chooses another: loso, kfold,
    hold-out, lodo, cross-set, clip-kfold, clip-hold-out or clip-lists, whose options
    --help shows."""
    loss: LossConfig = dataclasses.field(default_factory=LossConfig)
    """What training makes of the cross-entropy."""
    ema: float = 0.0
    """Decay of moving means of the weights (and of the statistics of batch norm) over
    updates, which are tested and saved in place of the last weights; 0 for none, 0.99
    forgets all but the last hundred or so."""
    engine: EngineConfig = dataclasses.field(default_factory=EngineConfig)
    """How the work is laid out."""
    extract: Extract = dataclasses.field(default_factory=Extract)
    """What is seen of the prepared set."""
    small: bool = False
    """Train a small size, to try things out: a LOSO in minutes on 2 cores. A smaller
    network and smaller images, fewer epochs, at most 26 people and 260 clips; what else
    is given counts. It says what it changed, and is no row of any paper's table."""

    def __post_init__(self) -> None:
        _require_parts(self)
        expand_fields(self)
        require_network(self.model)
        self._require_fit()
        check = FieldCheck(self)
        check.choices()
        counts = "epochs", "batch_size", "eval_every"
        for name in counts:
            check.must(name, getattr(self, name) is not None, "be at least 1")
        check.at_least(1, *counts)
        check.whole(*counts, least=1)
        check.share("ema")
        check.must("patience", self.patience >= 0, "not be negative")
        check.whole("patience")
        if self.patience and self.selection != "inner":
            raise UsageError(
                f"patience={self.patience} needs clips that say which epoch is better, "
                f"and none of the test subject may: add --selection inner"
            )
        inside = 0 < self.inner_fraction < 1
        check.must("inner_fraction", inside, "be between 0 and 1")
        self._require_streamable()
        if self.sampling == "balanced" and self.batches == "shared":
            raise UsageError(
                "sampling=balanced needs batches=own: a batch that is balanced for all "
                "folds would tell each of its held-out labels"
            )
        if self.extract.action_units:
            _require_units(self)
        for text in self.variants:
            check_variant(text, self.parts)
        values = [tuple(sorted(each.items())) for each in self.variant_values]
        check.must("variants", _different(values), "be different")
        some = bool(self.seeds) and _different(self.seeds)
        check.must("seeds", some, "be different numbers")
        rule = f"be whole numbers from 0 to {MOST_SEED}"
        whole = all(is_whole(seed, -MOST_SEED, MOST_SEED) for seed in self.seeds)
        check.must("seeds", whole, rule)
        check.must("seeds", min(self.seeds) >= 0, f"not be negative, but {rule}")
        for name, number in _numbers(self):
            if not math.isfinite(number):  # as JSON has none of them
                raise UsageError(f"{name}={number} must be finite")

    def _require_streamable(self) -> None:
        """Raises: UsageError if the set is to be streamed, and folds have batches of
        their own: it is known before anything is read.

        Of a set that is streamed since it does not fit, `feeding.streams` decides: it
        knows the split, of which some have own batches that are read together.
        """
        balanced = self.sampling == "balanced"
        if self.engine.data != "streamed" or self.model.fitted:
            return
        if self.batches == "shared" and not balanced:
            return
        needs = "engine.data=streamed needs batches that all folds read together, and"
        if balanced:
            raise UsageError(
                f"{needs} sampling=balanced draws each fold's own clips: give "
                f"--batches shared --sampling shuffled, or --engine.data auto "
                f"--batches own"
            )
        raise UsageError(
            f"{needs} batches=own are of each fold's own clips: give --batches shared, "
            f"or --engine.data auto"
        )

    def _require_fit(self) -> None:
        """Raises: UsageError if a network is to be fitted or a baseline trained, or
        something is asked of a fit that it has not."""
        if self.optim.fits != self.model.fitted:
            kind = type(self.optim).__name__
            wanted = "SvmConfig()" if self.model.fitted else "AdamConfig()"
            raise UsageError(
                f"optim={kind}: {self.model.name} is "
                f"{'fitted at once' if self.model.fitted else 'trained in steps'}: "
                f"choose an optimiser such as {wanted}"
            )
        if not self.model.fitted:
            return
        for name, needed in FITTED.items():
            if (value := getattr(self, name)) != needed:
                raise UsageError(
                    f"{option(name)}={value}: {self.model.name} is fitted at once: "
                    f"leave it at {needed}"
                )
        if self.loss != PLAIN:
            raise UsageError(
                f"loss={self.loss}: {self.model.name} is fitted at once, by a loss of "
                f"its own: leave out --loss"
            )
        self.optim.require_selection(self.selection)

    @property
    def parts(self) -> dict[str, Any]:
        """The configurations whose numbers variants may change."""
        return {"optim": self.optim, "model": self.model}

    @property
    def variant_values(self) -> list[dict[str, float]]:
        """The numbers of each variant; one without any where none is asked for.

        Raises: UsageError for a field that cannot vary, or a value it cannot have.
        """
        return [parse_variant(text, self.parts) for text in self.variants] or [{}]

    @property
    def unread(self) -> dict[str, dict[str, Any]]:
        """Fields that make no difference as the others are, by dotted name, and what
        others would have to be for them to count; nothing, where nothing helps."""
        found: dict[str, dict[str, Any]] = {}
        for part in ("model", "data", "optim"):
            for name, needed in getattr(self, part).needs.items():
                if needed != {}:
                    whole = name if "." in name else f"{part}.{name}"
                    found[whole] = {f"{part}.{n}": v for n, v in (needed or {}).items()}
        if type(self.model).layers_above is NetworkConfig.layers_above:
            found["optim.layer_decay"] = {}
        if self.selection != "inner":
            names = [field.name for field in dataclasses.fields(self)]
            inner = [name for name in names if name.startswith("inner_")]
            found |= {name: {"selection": "inner"} for name in inner}
        return found

    def resolved(self) -> dict[str, Any]:
        """All fields as JSON values, and the names of the parts."""
        fields = _plain(dataclasses.asdict(self))
        for part in ("model", "data"):
            fields[part] = {"name": getattr(self, part).name, **fields[part]}
        for part in ("optim", "protocol"):
            kind = type(getattr(self, part)).__name__
            fields[part] = {"kind": kind, **fields[part]}
        return fields

    def identity(self) -> dict[str, Any]:
        """The resolved fields that a number depends on: two runs that agree in them
        can share a run directory. Seeds are not among them, so that more can follow.
        """
        fields = self.resolved()
        # Checkpoints and other runs count by their content, which a run adds.
        del fields["engine"], fields["seeds"]
        del fields["pretrained"], fields["start_from"]
        for name in self.model.files:
            del fields["model"][name]
        fields["data"] = {"name": self.data.name, **_plain(self.data.recipe)}
        for name in self.protocol.files:
            if fields["protocol"][name] is not None:
                fields["protocol"][name] = self.protocol.content()
        for name, part in {**self.parts, "protocol": self.protocol}.items():
            for field in unasked(part):
                del fields[name][field]
        if self.selection != "inner":
            for name in ("fraction", "unit", "criterion"):
                del fields[f"inner_{name}"]
        if self.selection != "inner" or self.inner_draw == "seed":
            del fields["inner_draw"]  # which came later
        if self.extract == Extract():
            del fields["extract"]
        else:
            for field in unasked(self.extract):
                del fields["extract"][field]
        if self.loss == PLAIN:
            del fields["loss"]
        for name in ("ema", "patience"):
            if not getattr(self, name):
                del fields[name]
        del fields["small"]  # which is what the other fields say by then
        return fields


def _require_parts(experiment: Experiment) -> None:
    """Raises: UsageError for a part that is something else than such a part: text, or a
    class without its brackets."""
    kinds = {
        "model": (NetworkConfig, "a network such as STSTNetConfig()"),
        "data": (DataConfig, "a data set such as Synthetic()"),
        "optim": (OptimConfig, "an optimiser such as AdamConfig()"),
        "protocol": (Protocol, "a protocol such as Loso()"),
        "engine": (EngineConfig, "an EngineConfig()"),
        "loss": (LossConfig, "a LossConfig()"),
        "extract": (Extract, "an Extract()"),
        "pretrained": (str | Path | None, "a path"),
        "start_from": (str | Path | None, "a path"),
    }
    for name, (kind, wanted) in kinds.items():
        value = getattr(experiment, name)
        if not isinstance(value, kind):  # type: ignore[arg-type]
            shown = value.__name__ if isinstance(value, type) else quoted(value)
            raise UsageError(f"{name}={shown} must be {wanted}")


def _require_units(experiment: Experiment) -> None:
    """Raises: UsageError for what goes by the class of a clip, where clips have sets of
    action units instead."""
    units = f"extract.action_units={experiment.extract.action_units}"
    protocol = experiment.protocol
    if protocol.by_class:
        raise UsageError(
            f"{units}: the protocol {protocol.word()} draws the same share of each "
            f"class, and sets of action units are no classes: --protocol loso"
        )
    if not experiment.model.takes_units:
        raise UsageError(
            f"{units}: {experiment.model.name} tells classes apart in pairs, and a "
            f"clip may show several action units: give --model.machines each"
        )
    if experiment.sampling == "balanced":
        raise UsageError(
            f"{units}: sampling=balanced draws classes alike, and sets of action units "
            f"are no classes: --sampling shuffled"
        )
    if experiment.selection == "inner" and experiment.inner_unit == "clip":
        raise UsageError(
            f"{units}: inner_unit=clip holds out the same share of each class, and "
            f"sets of action units are no classes: --inner-unit subject"
        )


def require_network(network: NetworkConfig) -> None:
    """Raises: UsageError if a network does not say what every network says."""
    kind = type(network)
    lacking = [name for name in ("name", "inputs") if not hasattr(kind, name)]
    for name in ("input_shapes", "build"):
        if getattr(kind, name, None) is getattr(NetworkConfig, name):
            lacking.append(name)
    if lacking:
        raise UsageError(
            f"model={kind.__name__}: this network has no {', no '.join(lacking)}. "
            f"Define {'it' if len(lacking) == 1 else 'them'} in the class "
            f"{kind.__name__}, as the networks of jmer.models do."
        )


def _numbers(value: Any, name: str = "") -> Iterator[tuple[str, float]]:
    """The numbers of a configuration and its parts that are not whole, each with the
    name of its field as it is typed."""
    if isinstance(value, float):
        yield name, value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _numbers(item, name)
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            dotted = f"{name}.{option(field.name)}".lstrip(".")
            yield from _numbers(getattr(value, field.name), dotted)


def _different(values: Sequence[Hashable]) -> bool:
    return len(set(values)) == len(values)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def load_experiment(path: Path | str) -> Experiment:
    """The `EXPERIMENT` that a Python file defines, or the base of its `SWEEP`; the file
    may be the name of an experiment that comes with jmer, such as `quickstart`.

    Raises: UsageError if there is no such file, it fails, or it defines neither.
    """
    defined = definitions(path)
    experiment = defined.get("EXPERIMENT", getattr(defined.get("SWEEP"), "base", None))
    if not isinstance(experiment, Experiment):
        raise UsageError(
            f"experiment file {path} defines no EXPERIMENT = Experiment(...)."
        )
    return experiment


def definitions(path: Path | str) -> dict[str, Any]:
    """All that a Python file defines, by name; the file as in `load_experiment`.

    Raises: UsageError if there is no such file, or it fails.
    """
    path = shipped.find(expanded(Path(path)))
    if path.suffix != ".py":
        raise UsageError(f"experiment file {path} is no Python file (.py).")
    try:
        module = beside.execute(path, _module_name(path))
    except UsageError as error:
        raise UsageError(f"experiment file {path}: {error}") from error
    except (Exception, SystemExit) as error:
        raise UsageError(
            f"experiment file {path} fails: {type(error).__name__}: {error}"
        ) from error
    return vars(module)


def _module_name(path: Path) -> str:
    """What the module of a file is called: another name for each file."""
    name = f"experiment_{path.stem}"
    taken = getattr(sys.modules.get(name), "__file__", None)
    if taken is None or Path(taken).resolve() == path.resolve():
        return name
    place = hashlib.sha256(os.fsencode(path.resolve().parent)).hexdigest()[:12]
    return f"{name}_{place}"
