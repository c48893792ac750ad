"""An experiment: everything that decides a number, in one frozen value."""

import dataclasses
import importlib.util
from pathlib import Path
from typing import Any, Literal

from jmer.data.config import DataConfig
from jmer.data.splits import Loso, Protocol
from jmer.errors import UsageError
from jmer.models.base import NetworkConfig
from jmer.optim import OptimConfig
from jmer.train.batches import Mode
from jmer.train.tasks import Selection


@dataclasses.dataclass(frozen=True)
class EngineConfig:
    """How the tasks are laid out over the machine. No number depends on it."""

    strategy: Literal["auto", "vmap", "map", "loop"] = "auto"
    """All tasks of a device side by side (vmap), in turn inside one program (map), or
    in turn from the host (loop); auto measures how many side by side are fastest."""
    chunk: int | None = None
    """Tasks side by side on a device, one such chunk after another."""
    lowering: Literal["auto", "backend", "patches"] = "auto"
    """Convolutions of the compiler's library (backend) or products of patches, with
    fused blocks (patches); auto is patches on a CPU and is measured elsewhere."""
    pack: int | None = None
    """Tasks that train on one device in one program (default: as many as memory holds).
    """
    devices: int | None = None
    """Devices to spread the tasks over; on a CPU, threads (default: measured)."""
    plan_seconds: float = 60.0
    """Time to measure layouts in before a long run, in seconds; 0 takes the first."""
    memory_limit: float | None = None
    """Memory of a device that a program may take, in GB (default: what it has)."""
    checkpoint_seconds: float = 60.0
    """Least time between two checkpoints, in seconds; 0 saves at every evaluation."""

    def __post_init__(self):
        for name in ("chunk", "pack", "devices"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"engine.{name}={value} must be at least 1")
        for name in ("checkpoint_seconds", "plan_seconds"):
            if getattr(self, name) < 0:
                raise UsageError(
                    f"engine.{name.replace('_', '-')}={getattr(self, name)} must not "
                    f"be negative"
                )
        if self.memory_limit is not None and self.memory_limit <= 0:
            raise UsageError(f"engine.memory-limit={self.memory_limit} must be above 0")
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
    batches: Mode = "own"
    """own: full batches of a fold's own clips, the textbook protocol. shared: all folds
    see the same batches of the whole set, and each leaves out what it must not see. The
    seed shuffles the set anew for every epoch; a fold goes through its own clips in
    that order."""
    selection: Selection = "last"
    """Which epoch is tested: the last, or the one that does best on inner clips, those
    of whole training subjects that are held out for it."""
    inner_fraction: float = 0.2
    """Share of the training clips held out by --selection inner; 0 to 1, exclusive."""
    eval_every: int = 1
    """Epochs between two evaluations."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Type of matrix work; auto is bfloat16 on accelerators and float32 on a CPU.
    Parameters, losses and statistics are float32."""
    protocol: Protocol = dataclasses.field(default_factory=Loso)
    """Who is held out of which fold."""
    engine: EngineConfig = dataclasses.field(default_factory=EngineConfig)
    """How the work is laid out."""

    def __post_init__(self):
        for name in ("epochs", "batch_size", "eval_every"):
            if getattr(self, name) < 1:
                option = name.replace("_", "-")
                raise UsageError(f"{option}={getattr(self, name)} must be at least 1")
        if not 0 < self.inner_fraction < 1:
            raise UsageError(
                f"inner-fraction={self.inner_fraction} must be between 0 and 1"
            )
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise UsageError(f"seeds={self.seeds} must be different numbers")
        if min(self.seeds) < 0:
            raise UsageError(f"seeds={self.seeds} must not be negative")

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
        del fields["engine"], fields["seeds"]
        del fields["data"]["manual_dir"], fields["data"]["data_dir"]
        if self.selection != "inner":
            del fields["inner_fraction"]
        return fields


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def load_experiment(path: Path) -> Experiment:
    """The `EXPERIMENT` that a Python file defines.

    Raises: UsageError if there is no such file, it fails, or it defines none.
    """
    if not path.is_file():
        raise UsageError(
            f"experiment file {path} does not exist; `jmer list experiments` shows "
            f"those that come with jmer."
        )
    spec = importlib.util.spec_from_file_location(f"experiment_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise UsageError(f"experiment file {path} is no Python file (.py).")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except UsageError as error:
        raise UsageError(f"experiment file {path}: {error}") from error
    except (Exception, SystemExit) as error:
        raise UsageError(
            f"experiment file {path} fails: {type(error).__name__}: {error}"
        ) from error
    experiment = getattr(module, "EXPERIMENT", None)
    if not isinstance(experiment, Experiment):
        raise UsageError(
            f"experiment file {path} defines no EXPERIMENT = Experiment(...)."
        )
    return experiment
