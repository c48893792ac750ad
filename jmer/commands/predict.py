"""The command that asks trained networks about a video."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from jmer.commands.parsing import import_modules, note_owner, parse
from jmer.errors import JmerError, UsageError, option
from jmer.files.lock import tell
from jmer.scores.spotting import Rule
from jmer.text import counted, visible

if TYPE_CHECKING:
    from jmer.predict.ask import Asking
    from jmer.predict.result import Found, Prediction

DEMO = "demo"
OUT = Path("predictions")


@dataclasses.dataclass(frozen=True)
class PredictOptions:
    """Which expression does a video show, and when? Asks all folds of a finished run
    together, frames being prepared as those of its training set were.
    """

    run: tyro.conf.Positional[Path]
    """Run directory; `demo` for the networks that come with jmer, which were trained on
    synthetic faces alone."""
    videos: tyro.conf.Positional[tuple[Path, ...]]
    """Video files, folders of frames, or folders of either."""
    rule: Annotated[Rule, tyro.conf.arg(name="")]
    spotter: Path | None = None
    """Run directory of a network that tells the intensity of frames: it finds the
    intervals that RUN then names (default: RUN itself if it does, else windows)."""
    out: Path | None = None
    """Folder for a page, tables and JSON (default: predictions/NAME-RUN here)."""
    fold: str | None = None
    """One fold, by the name of its held-out subject (default: all of them)."""
    spotter_fold: str | None = None
    """One fold of the run that `spotter` names (default: all of them)."""
    seed: int | None = None
    """One of the run's seeds (default: all of them)."""
    member: Literal["best-inner"] | None = None
    """best-inner: the one training that was best on its own inner clips."""
    face: str = "largest"
    """Whose face, where there are several: largest, left, right, or its number from the
    left, from 1."""
    align: Literal["recipe", "none", "crop", "landmarks"] = "recipe"
    """What is cut from frames. recipe: as the training set had it. none: whole frames;
    no face is looked for."""
    look_every: float = 1.0
    """Seconds after which the face is looked for again."""
    fps: float | None = None
    """Frames a second of a folder of frames."""
    bits: Literal["10", "12", "14", "16"] | None = None
    """How many bits count of images with 16 a value (default: as they say)."""
    rate: float | None = None
    """Frames a second at which the network sees the video (default: those of the
    training set, or else of the video)."""
    window: float | None = None
    """Seconds of a window (default: a clip of the training set)."""
    stride: float | None = None
    """Seconds from one window to the next (default: a quarter of a window, half of one
    where intensities are told)."""
    clip: str | None = None
    """One clip alone: ONSET,OFFSET or ONSET,APEX,OFFSET in seconds, or `whole`."""
    camera: int | None = None
    """Number of a camera, to be filmed for `seconds` instead of VIDEO."""
    seconds: float = 10.0
    """How long to film with `camera`."""
    most: int = 12
    """Intervals or windows that the page shows with pictures."""
    overwrite: bool = False
    """Replace the answer about something else that is in the folder already."""
    data_dir: Path | None = None
    """Folder of the prepared set, if it is no longer where the run found it."""
    imports: Annotated[tuple[str, ...], tyro.conf.arg(name="import")] = ()
    """Modules or files to import first, such as that of a network of your own; their
    code runs."""

    def __post_init__(self) -> None:
        for name in ("look_every", "fps", "rate", "window", "stride", "seconds"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise UsageError(f"{option(name)}={value}: must be above 0")
        if self.most < 0:
            raise UsageError(f"most={self.most} must not be negative")
        if bool(self.videos) == (self.camera is not None):
            raise UsageError(
                "name a video, a folder of frames, or a camera: jmer predict RUN VIDEO"
            )


def predict(words: list[str]) -> int:
    options = parse(PredictOptions, "jmer predict", words)
    runs = _runs(options)
    note_owner(runs)
    import_modules(options.imports)
    from jmer.predict.ask import Judge, judge
    from jmer.predict.page import write_prediction
    from jmer.predict.room import held, require_room
    from jmer.predict.source import opened
    from jmer.runner.progress import counting
    from jmer.runs.run import load_run

    how = _how(options)
    with _places(options) as every:
        outs = _outs(options, every, runs)
        for place, out in zip(every, outs, strict=True):
            require_room(out, place, overwrite=options.overwrite)
        judges = [Judge.of(load_run(runs[0]), how)]
        judges += [Judge.spotting(load_run(run), how) for run in runs[1:]]

        def ask(place: Path, out: Path) -> None:
            with held(out, place, overwrite=options.overwrite):
                bits = None if options.bits is None else int(options.bits)
                source = opened(place, options.fps, bits)
                with counting(f"looking at {place.name}") as watch:
                    found = judge(
                        source, judges[0], [*judges, None][1], how, watch=watch
                    )
                with counting("drawing the page") as watch:
                    write_prediction(
                        out, found, source, judges[0], most=options.most, watch=watch
                    )
            for line in lines(found, out):
                print(visible(line))

        _each(ask, every, outs)
    return 0


def _each(
    ask: Callable[[Path, Path], None], every: Sequence[Path], outs: Sequence[Path]
) -> None:
    """Asks about one after another; of several, those that cannot be looked at are
    named, and the others are looked at all the same.

    Raises: JmerError that counts them, or what is wrong with the only one.
    """
    failed = []
    for place, out in zip(every, outs, strict=True):
        try:
            ask(place, out)
        except JmerError as error:
            if len(every) == 1:
                raise
            failed.append(place)
            tell(visible(f"{place.name}: {error}"))
    if failed:
        names = ", ".join(place.name for place in failed)
        raise JmerError(
            f"{len(failed)} of {len(every)} were not looked at, for the reasons above: "
            f"{names}."
        )


def _runs(options: PredictOptions) -> list[Path]:
    """The run that names, and the one that spots where another does."""
    if str(options.run) != DEMO:
        return [options.run, *([options.spotter] if options.spotter else [])]
    from jmer.predict.demo import demo_runs

    spotter, classifier = demo_runs()
    return [classifier, options.spotter or spotter]


def _how(options: PredictOptions) -> "Asking":
    from jmer.predict.ask import Asking
    from jmer.predict.demo import RULE

    own = options.rule == Rule() and str(options.run) == DEMO
    rule = RULE if own else options.rule
    return Asking(
        fold=options.fold,
        spotter_fold=options.spotter_fold,
        seed=options.seed,
        member=options.member,
        face=options.face,
        align=options.align,
        window=options.window,
        stride=options.stride,
        rate=options.rate,
        look_every=options.look_every,
        clip=None if options.clip is None else moments(options.clip),
        rule=rule,
        data_dir=options.data_dir,
        shown=options.most,
    )


def moments(text: str) -> tuple[float, float | None, float]:
    """Onset, apex and offset of `--clip`.

    Raises: UsageError if it is nothing of the kind.
    """
    if text == "whole":
        return 0.0, None, float("inf")
    try:
        given = [float(part) for part in text.split(",")]
        onset, offset = given[0], given[-1]
        apex = given[1] if len(given) == 3 else None
        rises = given == sorted(given) and onset < offset < float("inf")
        if len(given) in (2, 3) and onset >= 0 and rises:
            return onset, apex, offset
    except ValueError:
        pass
    raise UsageError(
        f"clip={text}: must be ONSET,OFFSET or ONSET,APEX,OFFSET in seconds that rise, "
        f"such as 1.2,1.6, or whole"
    )


@contextlib.contextmanager
def _places(options: PredictOptions) -> Iterator[list[Path]]:
    """What there is to look at; what a camera filmed is gone afterwards."""
    from jmer.predict.source import places

    if options.camera is None:
        yield [one for place in options.videos for one in places(place)]
        return
    from jmer.predict.camera import filmed
    from jmer.runner.progress import counting

    with counting("filming") as watch:
        film = filmed(options.camera, options.seconds, watch=watch)
    try:
        yield places(film)
    finally:
        film.unlink(missing_ok=True)


def _outs(options: PredictOptions, places: list[Path], runs: list[Path]) -> list[Path]:
    """A folder for each source; no two are alike, and none lies in a run.

    Raises: UsageError for a folder in a run.
    """
    run = DEMO if str(options.run) == DEMO else options.run.resolve().name
    out = options.out
    for folder in runs:
        inside = out is not None and out.resolve().is_relative_to(folder.resolve())
        if inside:
            raise UsageError(
                f"out={out}: lies in the run {folder}, where only what is of the run "
                f"belongs; choose another folder"
            )
    names = [place.stem or place.resolve().name for place in places]
    made = []
    for i, name in enumerate(names):
        unique = name if names.count(name) == 1 else f"{name}-{i + 1}"
        if out is None:
            made.append(OUT / f"{unique}-{run}")
        else:
            made.append(out if len(names) == 1 else out / unique)
    return made


def lines(found: "Prediction", out: Path) -> Iterator[str]:
    """What is said of a source on the terminal."""
    most = 8
    what = "interval" if found.spotted else "window"
    yield (
        f"{found.source}: {counted(len(found.found), what)} in {found.duration:.1f} s, "
        f"by {counted(len(found.namer.members), 'training')} of {found.namer.run}"
    )
    for one in found.found[:most] if found.spotted else ():
        apex = f"apex {one.apex:.2f}, " if found.spotted else ""
        yield f"  {one.onset:.2f} to {one.offset:.2f} s: {apex}{answer(found, one)}"
    if not found.spotted and found.found:
        yield from _summary(found)
    elif len(found.found) > most:
        yield f"  and {len(found.found) - most} more"
    for caution in found.cautions:
        yield f"note: {caution}"
    yield f"page, tables and JSON in {out}: open {out / 'predict.html'}"


def answer(found: "Prediction", one: "Found") -> str:
    """The class of a clip and how sure the members are of it, in words; or its action
    units, and the probability of the likeliest."""
    from jmer.scores.labels import UNITS

    if one.probabilities is None:
        return (
            "no face at its onset" if found.namer != found.spotter else "an expression"
        )
    mean, spread = one.probabilities.mean(0), one.probabilities.std(0)
    best = int(mean.argmax())
    what = f"{found.namer.classes[best]} " * (found.namer.kind is UNITS)
    text = f"{found.namer.label(one)}, {what}probability {mean[best]:.2f}"
    if len(one.probabilities) > 1:
        agreed = found.namer.agreed(one)
        text += f" ± {spread[best]:.2f} over members, {agreed:.0%} agree"
    return text


def _summary(found: "Prediction") -> Iterator[str]:
    """Of windows, how many have which class, or which action unit."""
    from jmer.scores.labels import JOINED, UNITS
    from jmer.scores.units import NOBODY

    labels = [found.namer.label(one) for one in found.found]
    if len(labels) == 1:
        one = found.found[0]
        yield f"  {one.onset:.2f} to {one.offset:.2f} s: {answer(found, one)}"
        return
    names = found.namer.classes
    if found.namer.kind is UNITS:
        labels = [unit for label in labels for unit in label.split(JOINED)]
        names = (*names, NOBODY)
    for name in names:
        if number := labels.count(name):
            yield f"  {name}: {counted(number, 'window')}"
