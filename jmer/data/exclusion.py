"""Clips that a user leaves out of a data set by name, as part of its recipe."""

from collections.abc import Iterable, Sequence

from jmer.data.asking import command_for, data_option, without
from jmer.data.config import DataConfig
from jmer.data.problems import Problem, Unusable
from jmer.errors import JmerError, UsageError, quoted, shortened
from jmer.text import counted, did_you_mean


class ClipProblem(Problem):
    """What is wrong with one clip, `clip`, which `--exclude` leaves out."""

    clip: str
    rows: int = 1
    """How many rows are of that name, all of which it leaves out."""


def about_clip(problem: Problem, clip: str, rows: int = 1) -> Problem:
    """A problem with one more remedy: to leave the clip out, which is all `rows` of its
    name. A name that no error shows in whole can be none.

    >>> about_clip(Problem("row 3: onset 'x' is no number."), "sub01/EP02")
    "row 3: onset 'x' is no number. Or leave the clip out: --exclude sub01/EP02"
    """
    if shortened(clip) != clip:
        return problem
    leave = data_option("exclude", clip)
    what = {1: "the clip", 2: "both rows"}.get(rows, f"all {rows} rows")
    made = ClipProblem(f"{problem} Or leave {what} out: {leave}", problem.kind)
    made.clip, made.rows = clip, rows
    return made


class UnusableClip(Unusable):
    """A problem with one clip, met while it was read."""

    def __init__(self, problem: Problem, clip: str) -> None:
        super().__init__(about_clip(problem, clip))
        self.problem = about_clip(problem, clip)


def normal(names: Sequence[str], dataset: str) -> tuple[str, ...]:
    """Names of clips in one order and spelling: the same clips are one recipe.

    Raises: UsageError for what is no list of names.
    """
    if isinstance(names, str):
        raise UsageError(f"exclude={names!r}: must be a list of names: ({names!r},)")
    return tuple(sorted({name.removeprefix(f"{dataset}/") for name in names}))


def is_excluded(clip: str, names: Sequence[str]) -> bool:
    """Whether one of the names is that of a clip, in capitals or not."""
    return clip.casefold() in {name.casefold() for name in names}


def unknown(names: Sequence[str], clips: Iterable[str]) -> list[Problem]:
    """A problem for each name that no clip of a set has."""
    known = list(dict.fromkeys(clips))
    return [
        Problem(
            f"{data_option('exclude', name)}: no clip is called {quoted(name)}"
            f"{did_you_mean(name, known)}. Names are subject/clip, as `jmer data "
            f"check` prints them, such as {known[0] if known else 'none'}.",
            "clips that are none",
        )
        for name in names
        if not any(is_excluded(clip, [name]) for clip in known)
    ]


def refusal(config: DataConfig, problems: Sequence[str]) -> JmerError:
    """The error that ends the preparation of a source with problems: the first, and
    the commands that leave its clip out, or show the others."""
    text, more = str(problems[0]), len(problems) - 1
    if isinstance(problems[0], ClipProblem):
        command = without(config, [problems[0].clip])
        text += f" as in `{command}`" if command else ""
    if more:
        text += f" (and {more} more: `{command_for(config, 'check')}`)"
    return JmerError(text)


def leave_all_out(config: DataConfig, problems: Sequence[str]) -> str:
    """The command at work without the clips that have problems; "" if none has."""
    clips = dict[str, int]()
    for problem in problems:
        if isinstance(problem, ClipProblem):
            clips[problem.clip] = max(problem.rows, clips.get(problem.clip, 1))
    if not clips:
        return ""
    command, rows = without(config, list(clips)), sum(clips.values())
    what = counted(rows, "row" if rows > len(clips) else "clip")
    return f"without {what}: `{command}`" if command else ""
