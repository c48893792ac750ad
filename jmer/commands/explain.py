"""The command that draws what networks looked at."""

import dataclasses
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from jmer.commands.parsing import import_modules, note_owner, parse
from jmer.text import visible

if TYPE_CHECKING:
    from jmer.data.clips import ClipSet
    from jmer.report.attention.case import Case
    from jmer.runs.run import Run


@dataclasses.dataclass(frozen=True)
class ExplainOptions:
    """Draw what a run's network looked at in test clips, by the weights of the fold
    that was tested on them: attention, class activation maps, or gradients.
    """

    run: tyro.conf.Positional[Path]
    """Run directory."""
    clip: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """A clip by name, or by SUBJECT/NAME; may be given several times (default: of each
    class a typical one that was recognised and one that was not, 8 at most)."""
    seed: int | None = None
    """Which of the run's seeds (default: the first)."""
    beside: Path | None = None
    """Another run that was tested on the same clips, to be set beside this one."""
    out: Path | None = None
    """Folder with a folder for each clip (default: RUN/explain)."""
    data_dir: Path | None = None
    """Folder of the prepared set, if it is no longer where the run found it."""
    manual_dir: Path | None = None
    """Folder of its source, likewise."""
    imports: Annotated[tuple[str, ...], tyro.conf.arg(name="import")] = ()
    """Modules to import first, such as that of a data set of your own; their code
    runs."""


def explain(words: list[str]) -> int:
    options = parse(ExplainOptions, "jmer explain", words)
    note_owner(run for run in (options.run, options.beside) if run is not None)
    import_modules(options.imports)
    from jmer.report.attention.grid import has_grid, write_grid
    from jmer.report.attention.page import write_explanation
    from jmer.runs.explain import find_clip, seed_of, set_of, typical
    from jmer.runs.folder import EXPLAIN, GRID
    from jmer.runs.run import load_run

    places = {"data_dir": options.data_dir, "manual_dir": options.manual_dir}
    run = load_run(options.run)
    clips = set_of(run, **places)
    seed = seed_of(run, options.seed)
    if options.clip:
        chosen = sorted({find_clip(clips, name) for name in options.clip})
    else:
        p = run.predictions.select(seed=seed, variant=run.metrics.get("variant", 0))
        number = {name: i for i, name in enumerate(clips.names)}
        columns = (p.dataset, p.subject, p.clip)
        names = [tuple(str(c[row]) for c in columns) for row in typical(p)]
        chosen = [number[name] for name in names]
    cases = [_cases(run, clips, chosen, seed)]
    if options.beside is not None:
        other = load_run(options.beside)
        theirs = set_of(other, **places)
        same = [find_clip(theirs, "/".join(clips.names[i][1:])) for i in chosen]
        cases.append(_cases(other, theirs, same, seed_of(other, options.seed)))
    out = options.run / EXPLAIN if options.out is None else options.out
    for i, case, *beside in zip(chosen, *cases, strict=True):
        folder = out / _folder(clips, i)
        write_explanation(folder, [case, *beside])
        true, found = case.named(case.truth), case.named(case.found)
        line = f"{case.subject}/{case.clip}: {found} (true: {true}), in {folder}"
        print(visible(" ".join(line.splitlines())))
    together = [*zip(*cases, strict=True)]
    if has_grid(together):
        write_grid(out / GRID, together)
        print(f"all of them in one figure: {out / GRID}")
    if options.out is None:
        place = shlex.quote(str(options.run))
        print(f"`jmer report {place}` puts them into the report of the run")
    return 0


def _cases(run: "Run", clips: "ClipSet", chosen: list[int], seed: int) -> list["Case"]:
    """The chosen clips by the trainings that held them out, in the same order."""
    from jmer.report.attention.case import Case, label_in
    from jmer.runs.explain import explained

    wanted = (seed, run.metrics.get("variant", 0))
    found = {
        one.index: one
        for one in explained(
            run, clips, chosen, batch=1,
            which=lambda task: (task.seed, task.variant) == wanted,
        )
    }  # fmt: skip
    labels = {i: label_in(clips.label[i], found[i].logits) for i in chosen}
    return [
        Case(
            folder=run.folder,
            network=run.weights.config,
            task=found[i].task,
            subject_unseen=run.metrics.get("subject_independent", False),
            classes=run.weights.classes,
            dataset=str(clips.dataset[i]),
            subject=str(clips.subject[i]),
            clip=str(clips.clip_id[i]),
            label=labels[i][0],
            shown_units=labels[i][1],
            interval=(int(clips.onset[i]), int(clips.offset[i])),
            inputs={name: array[i] for name, array in clips.inputs.items()},
            logits=found[i].logits,
            shown=found[i].shown,
            weights=found[i].weights,
            apex=int(clips.apex[i]),
        )
        for i in chosen
    ]


def _folder(clips: "ClipSet", i: int) -> str:
    """A name for a folder: that of the clip, where it is one and no other has it."""
    name = str(clips.clip_id[i])
    plain = re.sub(r"[^\w.-]+", "-", name).strip("-.")[:80]
    if plain == name and (clips.clip_id == name).sum() == 1:
        return name
    return f"{plain or 'clip'}-{i}"
