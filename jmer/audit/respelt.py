"""Predictions of a run that a spreadsheet saved again, by the names of the data set."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from jmer.audit.finding import Finding
from jmer.audit.roster import title
from jmer.data.clips import ClipSet
from jmer.data.names import name_keys, plain
from jmer.data.splits import Fold
from jmer.runs.run import Run
from jmer.text import counted

Named = tuple[str, ...]


def respelt(
    run: Run, clips: ClipSet, folds: Sequence[Fold]
) -> tuple[Run, dict[Named, Named]]:
    """The run with names of clips and folds that the set does not have (6) as the only
    ones of it that they can be (006), and which those are.
    """
    p = run.predictions
    found = _matches(p.names, clips.names)
    of_fold = _matches(((f,) for f in p.fold.tolist()), [(f.name,) for f in folds])
    if not found and not of_fold:
        return run, {}
    names = [found.get(name, name) for name in p.names]
    dataset, subject, clip = (np.array(x) for x in zip(*names, strict=True))
    fold = np.array([of_fold.get((f,), (f,))[0] for f in p.fold.tolist()])
    made = replace(run)
    made.__dict__["predictions"] = replace(
        p, dataset=dataset, subject=subject, clip=clip, fold=fold
    )
    made.__dict__["metrics"] = run.metrics
    return made, found | of_fold


def _matches(names: Iterable[Named], known: Sequence[Named]) -> dict[Named, Named]:
    """Of each name that is not known the one that it can be: no other name is that, and
    it is no other."""
    there = set(known)
    strange = [name for name in dict.fromkeys(names) if name not in there]
    if not strange or not known:
        return {}
    keys = [name_keys(column) for column in zip(*known, *strange, strict=True)]

    def key(name: Named) -> Named:
        return tuple(k(plain(part)) for k, part in zip(keys, name, strict=True))

    candidates: dict[Named, list[Named]] = {}
    for name in dict.fromkeys(known):
        candidates.setdefault(key(name), []).append(name)
    asked: dict[Named, list[Named]] = {}
    for name in strange:
        asked.setdefault(key(name), []).append(name)
    return {
        mine[0]: candidates[k][0]
        for k, mine in asked.items()
        if len(mine) == 1 and len(candidates.get(k, ())) == 1
    }


def noted(known: Finding, taken: Mapping[Named, Named]) -> Finding:
    """The verdict on names, with those that were taken for others."""
    if not taken or known.verdict == "violation":
        return known
    mine, its = next(iter(taken.items()))
    text = (
        f"{known.text} {counted(len(taken), 'name')} of clips and folds are spelt "
        f"otherwise than in the set and the protocol, such as {title(mine)} for "
        f"{title(its)}: a spreadsheet may have saved the predictions again."
    )
    return Finding(known.rule, "warning", text, known.details)


def uncertain(found: Finding, known: Finding) -> Finding:
    """A verdict on who trains, where it is not known who is tested."""
    if known.verdict != "violation" or found.verdict != "ok":
        return found
    text = f"Cannot tell, for not all that is tested is known. {known.text}"
    return Finding(found.rule, "unknown", text)
