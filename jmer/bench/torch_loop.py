"""The same experiment as a PyTorch user runs it: one fold after another."""

import contextlib
import dataclasses
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jmer.data.clips import ClipSet
from jmer.data.machine import cores
from jmer.data.splits import Fold
from jmer.errors import JmerError, UsageError
from jmer.experiment import Experiment
from jmer.optim import AdamWConfig, MomentsConfig, RmspropConfig, SgdConfig
from jmer.train.objective import PLAIN

if TYPE_CHECKING:
    import torch

Made = Callable[[], tuple[Experiment, ClipSet, list[Fold]]]

FOLDS = 6  # timed in a round: every fold costs much the same
FEW_BATCHES = 60  # of an epoch of all timed folds; of more, a part is timed
PART = 5  # full batches of a fold


@dataclasses.dataclass(frozen=True)
class Variant:
    """A way to run the loop."""

    name: str
    channels_last: bool = False
    compiled: bool = False  # with automatic mixed precision and a fused optimiser
    graphs: bool = False  # its kernels recorded once, and launched together
    tuned: bool = False  # the twin that its author would write for speed


def variants(cuda: bool) -> list[Variant]:
    """The loop as it is written, and as it is best written."""
    plain = [Variant("torch"), Variant("torch channels-last", channels_last=True)]
    if cuda:
        compiled = Variant("torch.compile + AMP", channels_last=True, compiled=True)
        name = "torch.compile + AMP + CUDA graphs"
        plain += [compiled, dataclasses.replace(compiled, name=name, graphs=True)]
    return plain


class Loop:
    """The folds of an experiment, trained epoch by epoch.

    Raises: JmerError without PyTorch, or if the network has no twin.
    """

    def __init__(
        self,
        experiment: Experiment,
        clips: ClipSet,
        folds: list[Fold],
        variant: Variant,
    ):
        torch = import_torch()
        torch.set_num_threads(min(torch.get_num_threads(), cores()))
        self.name = variant.name
        self._experiment = experiment
        self._classes = len(clips.classes)
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._amp, self._graphs = variant.compiled, variant.graphs
        # From the smallest test set to the largest.
        chosen = np.linspace(0, len(folds) - 1, min(FOLDS, len(folds))).round()
        ordered = sorted(folds, key=lambda fold: len(fold.test))
        self._folds = [ordered[int(i)] for i in chosen]
        size = experiment.batch_size
        batches = sum(-(-len(fold.train) // size) for fold in self._folds)
        self._part = None if batches <= FEW_BATCHES else PART * size
        self._last = variant.channels_last
        self._inputs = tuple(
            self._place(clips.inputs[name]) for name in experiment.model.inputs
        )
        functional = torch.nn.functional
        self._loss, kind = functional.cross_entropy, torch.long
        if clips.of_units:
            self._loss = functional.binary_cross_entropy_with_logits
            kind = torch.float32
        self._label = torch.tensor(clips.label, dtype=kind, device=self._device)
        self._models = [self._model(variant) for _ in self._folds]
        self._order = torch.Generator().manual_seed(0)

    def epoch_seconds(self) -> float:
        """Time for an epoch of one fold: training, then testing. Of a long epoch, some
        full batches are trained on, and stand for the others."""
        seen = sum(len(fold.train[: self._part]) for fold in self._folds)
        share = seen / sum(len(fold.train) for fold in self._folds)
        training = self._seconds(self._train) / share
        return (training + self._seconds(self._test)) / len(self._folds)

    def _seconds(self, work: "Callable[[Fold, Any, Any], None]") -> float:
        """Of all folds."""
        self._wait()
        start = time.monotonic()
        for fold, (model, optimiser) in zip(self._folds, self._models, strict=True):
            work(fold, model, optimiser)
        self._wait()
        return time.monotonic() - start

    def _place(self, values: np.ndarray) -> "torch.Tensor":
        torch = import_torch()
        x = torch.tensor(np.asarray(values, np.float32))
        if x.ndim > 3:  # images and clips: channels first
            memory_format = _memory_format(x.ndim, self._last)
            x = x.movedim(-1, 1).contiguous(memory_format=memory_format)
        return x.to(self._device)

    def _model(
        self, variant: Variant
    ) -> "tuple[torch.nn.Module, torch.optim.Optimizer]":
        torch = import_torch()
        network = self._experiment.model
        model = network.peer(self._classes, tuned=variant.tuned).to(self._device)
        if variant.channels_last:
            for p in model.parameters():
                # A network may hold both 2D and 3D kernels.
                p.data = p.data.contiguous(memory_format=_memory_format(p.ndim, True))
        fused = variant.compiled and self._device == "cuda"
        optimiser = _optimiser(self._experiment, model, fused)
        if variant.compiled:
            mode = "reduce-overhead" if variant.graphs else None
            model = torch.compile(model, mode=mode)
        return model, optimiser

    def _train(
        self,
        fold: Fold,
        model: "torch.nn.Module",
        optimiser: "torch.optim.Optimizer",
    ) -> None:
        torch = import_torch()
        model.train()
        order = torch.randperm(len(fold.train), generator=self._order)
        shuffled = torch.tensor(fold.train)[order][: self._part].to(self._device)
        for batch in shuffled.split(self._experiment.batch_size):
            self._next()
            optimiser.zero_grad()
            with self._precision():
                logits = model(*(x[batch] for x in self._inputs))
            loss = self._loss(logits.float(), self._label[batch])
            loss.backward()
            optimiser.step()

    def _test(
        self,
        fold: Fold,
        model: "torch.nn.Module",
        optimiser: "torch.optim.Optimizer",
    ) -> None:
        torch = import_torch()
        model.eval()
        self._next()
        test = torch.tensor(fold.test, device=self._device)
        with torch.no_grad(), self._precision():
            model(*(x[test] for x in self._inputs)).argmax(-1).cpu()

    def _next(self) -> None:
        """What recorded kernels wrote the time before may be written over."""
        if self._graphs:
            import_torch().compiler.cudagraph_mark_step_begin()

    @contextlib.contextmanager
    def _precision(self) -> Iterator[None]:
        torch = import_torch()
        if self._amp:
            with torch.autocast(self._device, dtype=torch.bfloat16):
                yield
        else:
            yield

    def _wait(self) -> None:
        if self._device == "cuda":
            import_torch().cuda.synchronize()


class Processes:
    """The tuned loop in one process for each core, or for each of so many trainings
    where they are fewer: the best that users do on a CPU."""

    def __init__(self, make: Made, trainings: int) -> None:
        own = sorted(os.sched_getaffinity(0))[: cores()]
        count = min(len(own), trainings)
        each = "a process a core" if count == len(own) else "a process a training"
        self.name = f"torch, tuned, {each}"
        context = multiprocessing.get_context("spawn")
        self._pipes: list[Connection] = []
        for part in np.array_split(own, count):
            here, there = context.Pipe()
            context.Process(
                target=_serve, args=(there, set(part.tolist()), make), daemon=True
            ).start()
            self._pipes.append(here)
        for pipe in self._pipes:
            pipe.recv()  # ready

    def epoch_seconds(self) -> float:
        """Time for an epoch of one fold, where each process trains its own."""
        start = time.monotonic()
        for pipe in self._pipes:
            pipe.send("go")
        for pipe in self._pipes:
            folds = pipe.recv()
        return (time.monotonic() - start) / (folds * len(self._pipes))

    def close(self) -> None:
        for pipe in self._pipes:
            pipe.send("stop")


def _serve(pipe: Connection, own: set[int], make: Made) -> None:
    os.sched_setaffinity(0, own)
    import_torch().set_num_threads(len(own))
    experiment, clips, folds = make()
    tuned = Variant("tuned", channels_last=True, tuned=True)
    loop = Loop(experiment, clips, folds, tuned)
    loop.epoch_seconds()
    pipe.send("ready")
    while pipe.recv() == "go":
        loop.epoch_seconds()
        pipe.send(len(loop._folds))


def require_plain(experiment: Experiment, file: Path) -> None:
    """Raises: UsageError for what the loop does not do, so that its times would stand
    beside those of another training."""
    asked = {
        "loss": (experiment.loss, PLAIN, "LossConfig()"),
        "ema": (experiment.ema, 0, "0"),
        "patience": (experiment.patience, 0, "0"),
    }
    for name, (value, plain, shown) in asked.items():
        if value != plain:
            raise UsageError(
                f"{file}: {name}={value}, and the PyTorch loop has none of it: leave "
                f"out --peer, or give the experiment {name}={shown}"
            )


def import_torch() -> Any:
    """PyTorch.

    Raises: JmerError naming the remedy if it is not installed.
    """
    try:
        import torch
    except ImportError as error:
        raise JmerError(
            "--peer torch needs PyTorch: pip install 'jmer[torch]'."
        ) from error
    return torch


def _memory_format(rank: int, channels_last: bool) -> "torch.memory_format":
    torch = import_torch()
    last = {4: torch.channels_last, 5: torch.channels_last_3d} if channels_last else {}
    return last.get(rank, torch.contiguous_format)


def _optimiser(
    experiment: Experiment, model: "torch.nn.Module", fused: bool
) -> "torch.optim.Optimizer":
    # Schedules of the learning rate take no time, and are left out.
    torch, optim = import_torch(), experiment.optim
    assert isinstance(optim, SgdConfig | MomentsConfig | RmspropConfig)
    options: dict[str, Any] = {"lr": optim.lr, "weight_decay": optim.weight_decay}
    if fused and not isinstance(optim, RmspropConfig):
        options["fused"] = True
    match optim:
        case AdamWConfig():
            return torch.optim.AdamW(model.parameters(), **options)
        case MomentsConfig():
            return torch.optim.Adam(model.parameters(), **options)
        case RmspropConfig():
            return torch.optim.RMSprop(model.parameters(), **options)
        case SgdConfig():
            options["momentum"] = optim.momentum
            return torch.optim.SGD(model.parameters(), **options)
