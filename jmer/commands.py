"""What each command of the command line takes, and does."""

import dataclasses
import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from rich.console import Console
from rich.table import Table

from jmer.data.config import DataConfig
from jmer.errors import UsageError
from jmer.experiment import Experiment, load_experiment
from jmer.interrupt import Interruption
from jmer.progress import counting, make_view
from jmer.rundir import command_line
from jmer.synthetic.spec import SyntheticSpec
from jmer.text import duration

# No prefix: `--epochs`, not `--experiment.epochs`; the parts keep theirs.
Fields = Annotated[Experiment, tyro.conf.arg(name="")]


@dataclasses.dataclass(frozen=True)
class RunOptions:
    """Train and test an experiment: every fold and seed, as many at once as fit."""

    experiment: Fields
    run_dir: Path
    """Folder of the results; an unfinished run there is resumed."""
    overwrite: bool = False
    """Replace the run in that folder, whatever it is a run of."""
    coordinator: str | None = None
    """HOST:PORT of the first of several processes, where no launcher tells them."""
    num_processes: int | None = None
    """How many processes share the run."""
    process_id: int | None = None
    """Which of them this is, from 0."""


@dataclasses.dataclass(frozen=True)
class EvaluateOptions:
    """Test weights that are trained already, each on its own held-out subject."""

    experiment: Fields
    weights: Path
    """Folder of imported weights, or a run directory."""
    run_dir: Path
    """Folder of the results."""
    overwrite: bool = False
    """Replace the run in that folder."""


def run(words: list[str]) -> int:
    file, experiment, words = _experiment("run", words)
    default = RunOptions(experiment, run_dir=Path("runs") / file.stem)
    options = _parse(RunOptions, f"jmer run {file}", words, default)
    from jmer.plan import keep_compiled_programs
    from jmer.run import run
    from jmer.train.hosts import connect
    from jmer.train.mesh import use_cpu_cores

    use_cpu_cores(options.experiment.engine.devices)
    keep_compiled_programs()
    connect(options.coordinator, options.num_processes, options.process_id)
    with Interruption() as interruption:
        metrics = run(
            options.experiment,
            name=file.stem,
            command=command_line(),
            run_dir=options.run_dir,
            overwrite=options.overwrite,
            view=make_view(),
            stopping=interruption.asked,
        )
    if metrics is not None:  # of several processes, the first one has them
        _print_summary(metrics, options.run_dir)
    return 0


def evaluate(words: list[str]) -> int:
    file, experiment, words = _experiment("evaluate", words)
    default = EvaluateOptions(
        experiment,
        weights=tyro.MISSING,
        run_dir=Path("runs") / f"{file.stem}-evaluated",
    )
    options = _parse(EvaluateOptions, f"jmer evaluate {file}", words, default)
    from jmer.evaluate import evaluate

    metrics = evaluate(
        options.experiment,
        weights=options.weights,
        name=file.stem,
        command=command_line(),
        run_dir=options.run_dir,
        overwrite=options.overwrite,
    )
    _print_summary(metrics, options.run_dir)
    return 0


def _experiment(command: str, words: list[str]) -> tuple[Path, Experiment, list[str]]:
    """The experiment file that the words begin with, and the words after it."""
    if not words or words[0].startswith("-"):
        usage = f"usage: jmer {command} FILE [options]"
        if words and words[0] in ("-h", "--help"):
            print(f"{usage}\n\n`jmer {command} FILE --help` explains the options.")
            raise SystemExit(0)
        raise UsageError(f"the experiment file comes first. {usage}")
    file = Path(words[0])
    return file, load_experiment(file), words[1:]


def _parse(kind: type, prog: str, words: list[str], default: Any = None) -> Any:
    """The options in `words`; tyro prints help and mistakes, and exits by itself."""
    options: dict[str, Any] = {} if default is None else {"default": default}
    return tyro.cli(
        kind,
        args=words,
        prog=prog,
        config=(tyro.conf.FlagCreatePairsOff,),
        **options,
    )


def _print_summary(metrics: dict[str, Any], folder: Path) -> None:
    def scored(name: str) -> str:
        low, high = metrics["ci95"][name]
        return f"{name.upper()} {metrics[name]:.4f} ({low:.3f} to {high:.3f})"

    say = Console(soft_wrap=True, highlight=False).print
    say(f"{scored('uf1')}  {scored('uar')}  {scored('acc')}")
    say(
        f"  {metrics['protocol']}; {metrics['n_samples']} clips; selection "
        f"{metrics['selection']}; 95% intervals over subjects"
    )
    if metrics["oracle"]:
        say(
            f"  inflated, for comparison: UF1 {metrics['oracle']['uf1']:.4f} with the "
            f"epoch chosen on the test subject"
        )
    if metrics["diverged"]:
        say(f"  {len(metrics['diverged'])} tasks diverged and are left out")
    say(f"  {duration(metrics['wall_seconds'])}; report: {folder / 'report.html'}")


def data_list(words: list[str]) -> int:
    return list_(["datasets", *words])


@dataclasses.dataclass(frozen=True)
class PrepareOptions:
    """Turn a data set as its owners distribute it into tensors, once."""

    data: tyro.conf.OmitArgPrefixes[DataConfig]
    overwrite: bool = False
    """Prepare it again, replacing what is there."""
    beam: tuple[str, ...] | None = None
    """Let Apache Beam prepare it, on the workers of a runner; its options without
    dashes, such as runner=DirectRunner direct_num_workers=8."""


@dataclasses.dataclass(frozen=True)
class CheckOptions:
    """Say what is missing or odd in a data set before it is prepared."""

    data: tyro.conf.OmitArgPrefixes[DataConfig]


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


def data_synthesize(words: list[str]) -> int:
    options = _parse(SynthesizeOptions, "jmer data synthesize", words)
    from jmer.synthetic.layouts.write import MANIFEST, find_layout, synthesize

    out = options.out
    layout = find_layout(options.layout, quirks=options.quirks)
    draft = synthesize(layout, options.spec, out)
    subjects = {(take.dataset, take.subject) for take in draft.takes}
    print(f"{len(draft.takes)} clips of {len(subjects)} subjects in {out}")
    odd = sum(bool(take.quirks) for take in draft.takes)
    if options.quirks:
        print(f"{odd} clips are irregular: {out / MANIFEST} says how")
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

    def __post_init__(self):
        if not 1 <= self.count <= 100:  # a picture of more is too tall to be drawn
            raise UsageError(f"count={self.count} must be from 1 to 100")
        if self.out.suffix.lower() != ".png":
            raise UsageError(f"out={self.out} must end in .png")


def data_prepare(words: list[str]) -> int:
    config, words = _dataset("prepare", words)
    prog = f"jmer data prepare {config.name}"
    options = _parse(PrepareOptions, prog, words, PrepareOptions(config))
    from jmer.data import load, prepare

    beam = options.beam and [f"--{option}" for option in options.beam]
    with counting(f"preparing {config.name}") as watch:
        folder = prepare(
            options.data, overwrite=options.overwrite, watch=watch, beam=beam
        )
    summary = load(options.data).summary()
    counts = ", ".join(f"{n} {name}" for name, n in summary["per_class"].items())
    print(f"{summary['n_clips']} clips, {summary['n_subjects']} subjects ({counts})")
    if extra := summary.get("n_train_only"):
        print(f"{extra} of them for training alone")
    print(f"fingerprint {summary['fingerprint']}; prepared in {folder}")
    return 0


def data_show(words: list[str]) -> int:
    config, words = _dataset("show", words)
    prog = f"jmer data show {config.name}"
    default = ShowOptions(config, out=Path(f"{config.name}.png"))
    options = _parse(ShowOptions, prog, words, default)
    from jmer.data import load
    from jmer.report.contact import write_sheet

    clips = load(options.data)
    shown = write_sheet(
        clips,
        options.out,
        count=options.count,
        classes=options.only,
        special=getattr(options.data, "special", "none"),
    )
    print(f"{len(shown)} of {len(clips)} clips in {options.out}")
    return 0


def data_check(words: list[str]) -> int:
    config, words = _dataset("check", words)
    prog = f"jmer data check {config.name}"
    options = _parse(CheckOptions, prog, words, CheckOptions(config))
    from jmer.data import check

    problems, summary = check(options.data)
    for problem in problems:
        print(problem)
    print(f"{len(problems)} problems" if problems else f"{summary}\nno problems")
    return 1 if problems else 0


def _dataset(command: str, words: list[str]) -> tuple[DataConfig, list[str]]:
    from jmer.data.load import datasets

    found = {kind.name: kind for kind in datasets()}
    if not words or words[0].startswith("-"):
        usage = f"usage: jmer data {command} NAME [options]; NAME: {', '.join(found)}"
        if words and words[0] in ("-h", "--help"):
            print(usage)
            raise SystemExit(0)
        raise UsageError(f"the name of the data set comes first. {usage}")
    if words[0] not in found:
        raise UsageError(
            f"no data set is called {words[0]!r}; there are: {', '.join(found)}."
        )
    return found[words[0]](), words[1:]


@dataclasses.dataclass(frozen=True)
class ImportOptions:
    """Turn published PyTorch checkpoints, one a held-out subject, into weights."""

    network: tyro.conf.Positional[str]
    """Name of the network, as `jmer list models` prints it."""
    torch: Path
    """Folder of the checkpoints, each named after its subject (006.pth)."""
    out: Path
    """Folder to write."""


def weights_import(words: list[str]) -> int:
    options = _parse(ImportOptions, "jmer weights import", words)
    from jmer.importers import import_torch

    weights = import_torch(options.network, options.torch)
    weights.save(options.out)
    print(f"{len(weights.tasks)} weights of {weights.config.name} in {options.out}")
    return 0


@dataclasses.dataclass(frozen=True)
class ReportOptions:
    """Write the report of a run again, or set several runs side by side."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Run directories."""
    out: Path | None = None
    """Folder of the comparison (default: print it only)."""


def report(words: list[str]) -> int:
    options = _parse(ReportOptions, "jmer report", words)
    from jmer.report import write_comparison, write_report

    if not options.runs:
        raise UsageError("jmer report needs one or more run directories.")
    for folder in options.runs:
        write_report(folder)
    if options.out is not None:
        print(write_comparison(list(options.runs), options.out))
    elif len(options.runs) == 1:
        print((options.runs[0] / "report.md").read_text())
    else:
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            print(write_comparison(list(options.runs), Path(folder)))
    return 0


@dataclasses.dataclass(frozen=True)
class ListOptions:
    """Show what there is."""

    what: tyro.conf.Positional[Literal["experiments", "models", "datasets", "layouts"]]
    """Which things."""
    json: Annotated[bool, tyro.conf.arg(name="json")] = False
    """Print JSON records."""


def list_(words: list[str]) -> int:
    options = _parse(ListOptions, "jmer list", words)
    listings: dict[str, Callable[[], list[dict[str, Any]]]] = {
        "experiments": _experiments,
        "models": _models,
        "datasets": _datasets,
        "layouts": _layouts,
    }
    records = listings[options.what]()
    if options.json:
        print(json.dumps(records, indent=2))
        return 0
    table = Table(*records[0], box=None) if records else Table(options.what)
    for record in records:
        table.add_row(*(str(value) for value in record.values()))
    Console().print(table)
    return 0


def _models() -> list[dict[str, Any]]:
    from jmer.models.base import describe, networks

    return [describe(kind()) for kind in networks()]


def _datasets() -> list[dict[str, Any]]:
    from jmer.data.load import datasets

    records = []
    for kind in datasets():
        config = kind()
        versions = config.data_dir / config.name
        prepared = len(list(versions.glob("*/*/dataset_info.json")))
        summary = (kind.__doc__ or "").strip().splitlines()[0]
        records.append({"name": kind.name, "prepared": prepared, "what": summary})
    return records


def _layouts() -> list[dict[str, Any]]:
    from jmer.synthetic.layouts import LAYOUTS

    docs = {name: kind.__doc__ or "" for name, kind in sorted(LAYOUTS.items())}
    return [{"name": n, "what": doc.splitlines()[0]} for n, doc in docs.items()]


def _experiments() -> list[dict[str, Any]]:
    """Files in `./experiments`, or beside the package in a source checkout."""
    import ast

    checkout = Path(__file__).resolve().parent.parent / "experiments"
    folder = next((f for f in (Path("experiments"), checkout) if f.is_dir()), None)
    records = []
    for file in sorted(folder.rglob("*.py")) if folder else []:
        if "\nEXPERIMENT = " not in file.read_text():
            continue  # a program of its own, such as the benchmark of optical flow
        doc = ast.get_docstring(ast.parse(file.read_text())) or ""
        first = doc.splitlines()[0] if doc else ""
        records.append({"file": str(file), "what": first})
    return records
