"""Commands of data sets."""

import dataclasses
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import tyro

from jmer.commands.list import list_
from jmer.commands.parsing import parse
from jmer.commands.targets import OfExperiment, targets
from jmer.data.config import DataConfig
from jmer.errors import UsageError
from jmer.runner.progress import counting
from jmer.synthetic.spec import SyntheticSpec
from jmer.text import counted, visible


@dataclasses.dataclass(frozen=True)
class PrepareOptions:
    """Turn a data set as its owners distribute it into tensors, once."""

    data: tyro.conf.OmitArgPrefixes[DataConfig]
    overwrite: bool = False
    """Prepare it again, replacing what is there."""
    beam: tuple[str, ...] | None = None
    """Let Apache Beam prepare it, on the workers of a runner; its options without
    dashes, such as runner=DirectRunner direct_num_workers=8."""
    no_wait: bool = False
    """Where another process is preparing the same set, end with an error at once; else
    that is waited for, and used."""


@dataclasses.dataclass(frozen=True)
class PrepareOfExperiment(PrepareOptions, OfExperiment):
    """Turn the data set of an experiment into tensors, once."""

    data: DataConfig
    """The data set of the experiment."""


@dataclasses.dataclass(frozen=True)
class CheckOptions:
    """Say what is missing or odd in a data set before it is prepared: all of it, kind
    by kind. Every frame is read."""

    data: tyro.conf.OmitArgPrefixes[DataConfig]
    all: bool = False
    """Show every problem, and not the first few of each kind."""


@dataclasses.dataclass(frozen=True)
class CheckOfExperiment(CheckOptions, OfExperiment):
    """Say what is missing or odd in the data set of an experiment."""

    data: DataConfig
    """The data set of the experiment."""


@dataclasses.dataclass(frozen=True)
class SynthesizeOptions:
    """Write synthetic faces on disk as the owners of a real data set distribute theirs.

    Frames are `--size` high and as wide as the real ones; what reads them stretches
    them to a square.
    """

    layout: str
    """Name of the real set; `jmer list layouts` has them all."""
    out: Path
    """Folder to write, in which nothing may lie yet."""
    spec: tyro.conf.OmitArgPrefixes[SyntheticSpec] = dataclasses.field(
        default_factory=lambda: SyntheticSpec(classes=5)
    )
    quirks: bool = False
    """With the irregularities that the real set is known for; jmer-manifest.json then
    says of each clip what a reader must return or report."""


def data_list(words: list[str]) -> int:
    return list_(["datasets", *words])


def synthesize(words: list[str]) -> int:
    options = parse(SynthesizeOptions, "jmer data synthesize", words)
    from jmer.synthetic.layouts.write import MANIFEST, find_layout, synthesize

    out = options.out
    layout = find_layout(options.layout, quirks=options.quirks)
    draft = synthesize(layout, options.spec, out)
    subjects = {(take.dataset, take.subject) for take in draft.takes}
    clips = counted(len(draft.takes), "clip")
    print(f"{clips} of {counted(len(subjects), 'subject')} in {out}")
    odd = sum(bool(take.quirks) for take in draft.takes)
    if options.quirks:
        some = counted(odd, "clip is", "clips are")
        print(f"{some} irregular: {out / MANIFEST} says how")
    print("next (apart from what was prepared of the real set):")
    for name, *needed in layout.readers():
        places = ["--manual-dir", str(out), "--data-dir", f"{out}-prepared"]
        for action, more in (("check", ()), ("prepare", draft.options)):
            command = ["jmer", "data", action, name, *needed, *places, *more]
            print(f"  {shlex.join(command)}")
    return 0


@dataclasses.dataclass(frozen=True)
class ShowOptions:
    """Draw some clips of a data set as they are prepared, as one picture."""

    data: tyro.conf.OmitArgPrefixes[DataConfig]
    out: Path
    """The picture to write (.png)."""
    count: int = 6
    """How many clips, of classes and subjects as different as can be."""
    only: Annotated[tuple[str, ...], tyro.conf.arg(name="class")] = ()
    """Classes to show (default: all)."""

    def __post_init__(self) -> None:
        if not 1 <= self.count <= 100:  # a picture of more is too tall to be drawn
            raise UsageError(f"count={self.count} must be from 1 to 100")
        if self.out.suffix.lower() != ".png":
            raise UsageError(f"out={self.out} must end in .png")


@dataclasses.dataclass(frozen=True)
class ShowOfExperiment(ShowOptions, OfExperiment):
    """Draw some clips of an experiment's data set as they are prepared."""

    data: DataConfig
    """The data set of the experiment."""


def prepare(words: list[str]) -> int:
    # As `jmer run` knows it; here it is what happens anyway.
    words = [word for word in words if word != "--wait"]
    for options in targets("prepare", words, PrepareOptions, PrepareOfExperiment):
        _prepare(options)
    return 0


def _prepare(options: PrepareOptions) -> None:
    from jmer.data import prepare, summary
    from jmer.data.summary import population

    beam = options.beam and [f"--{option}" for option in options.beam]
    with counting(f"preparing {options.data.name}") as watch:
        folder = prepare(
            options.data,
            overwrite=options.overwrite,
            watch=watch,
            beam=beam,
            wait=not options.no_wait,
        )
    found = summary(options.data)
    print(population(found["n_clips"], found["n_subjects"], found["per_class"]))
    if extra := found.get("n_train_only"):
        print(f"{extra} of them for training alone")
    if clips := getattr(options.data, "exclude", ()):
        print(f"excluded: {', '.join(clips)}")
    print(f"fingerprint {found['fingerprint']}; prepared in {folder}")


def show(words: list[str]) -> int:
    def default(kind: type[ShowOptions]) -> Callable[[DataConfig], ShowOptions]:
        return lambda config: kind(config, out=Path(f"{config.name}.png"))

    every = targets("show", words, default(ShowOptions), default(ShowOfExperiment))
    for number, options in enumerate(every, start=1):
        _show(options, f"-{number}" if number > 1 else "")
    return 0


def _show(options: ShowOptions, suffix: str) -> None:
    from jmer.data import load
    from jmer.report.contact import write_sheet

    clips = load(options.data)
    out = options.out.with_stem(f"{options.out.stem}{suffix}")
    shown = write_sheet(
        clips,
        out,
        count=options.count,
        classes=options.only,
        special=getattr(options.data, "special", "none"),
    )
    print(f"{len(shown)} of {len(clips)} clips in {out}")


def check(words: list[str]) -> int:
    found = [
        _check(options)
        for options in targets("check", words, CheckOptions, CheckOfExperiment)
    ]
    return 1 if any(found) else 0


def _check(options: CheckOptions) -> list[str]:
    from jmer.data import check
    from jmer.data.exclusion import leave_all_out
    from jmer.data.problems import SHOWN, grouped

    with counting(f"reading {options.data.name}") as watch:
        problems, summary = check(options.data, watch=watch)
    for line in grouped(problems, None if options.all else SHOWN) if problems else ():
        print(visible(line))
    if not problems:
        print(f"{summary}\nno problems")
    if command := leave_all_out(options.data, problems):
        print(command)
    return problems
