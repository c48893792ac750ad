"""What happens to sets, caches, weights, sweeps and unfinished runs: each by name."""

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import readers
from edits import (
    Case,
    Damage,
    copied,
    edit,
    put,
    removed,
    renamed,
    rewrite,
    saved_again,
    swapped,
)
from parts import PACKS, arrays, found, step


def of_others() -> Iterable[Case]:
    def record() -> Path:
        return found("prepared", "*.array_record*")

    def info() -> Path:
        return found("prepared", "dataset_info.json")

    def kept() -> Path:
        return found("features", "*.npz")

    def each(change: Callable[[Any], Any]) -> Callable[[dict[str, Any]], Any]:
        def changed(content: dict[str, Any]) -> None:
            for name, value in content.items():
                if value.ndim > 1:
                    content[name] = change(value)

        return changed

    def other_facts(content: dict[str, Any]) -> None:
        about = json.loads(str(content["about"]))
        content["about"] = np.array(json.dumps({**about, "step": 9}))

    index, part = Path("weights/weights.json"), Path("pretrained/part.npz")
    own = (readers.prepared, readers.shown, readers.audited)
    cases: Sequence[tuple[str, tuple[Callable[[], Any], ...], Damage]] = (
        (
            "set: clips of another",
            own,
            copied(lambda: found("other-prepared", "*.array_record*"), record),
        ),
        (
            "set: one bit",
            own,
            rewrite(record, lambda c: c[:9000] + bytes([c[9000] ^ 1]) + c[9001:]),
        ),
        ("set: cut", own, rewrite(record, lambda c: c[:-4000])),
        ("set: empty", own, rewrite(record, lambda c: b"")),
        ("set: no clips", own, removed(record)),
        ("set: fewer clips", own, rewrite(info, lambda c: c.replace(b'"12"', b'"10"'))),
        (
            "set: classes in another order",
            own,
            rewrite(
                lambda: found("prepared", "label.labels.txt"),
                lambda c: b"".join(sorted(c.splitlines(keepends=True))[::-1]),
            ),
        ),
        (
            "set: other features",
            own,
            rewrite(
                lambda: found("prepared", "features.json"),
                lambda c: c.replace(b"float16", b"float32"),
            ),
        ),
        ("set: no features", own, removed(lambda: found("prepared", "features.json"))),
        (
            "set: other facts",
            own,
            rewrite(
                lambda: found("prepared", "metadata.json"),
                lambda c: c.replace(b"syn01", b"syn09"),
            ),
        ),
        (
            "set: a folder of another",
            own,
            copied(
                lambda: (
                    info().parent.parent
                    if False
                    else found("other-prepared", "dataset_info.json").parent
                ),
                lambda: info().parent,
            ),
        ),
        (
            "features: fewer clips",
            (readers.features,),
            saved_again(kept, each(lambda x: x[:8])),
        ),
        (
            "features: another order",
            (readers.features,),
            saved_again(kept, each(lambda x: x[::-1].copy())),
        ),
        (
            "features: poisoned",
            (readers.features,),
            saved_again(kept, each(lambda x: x + 1)),
        ),
        (
            "features: not finite",
            (readers.features,),
            saved_again(kept, each(lambda x: np.full_like(x, np.iinfo(x.dtype).max))),
        ),
        (
            "features: of other clips",
            (readers.features,),
            copied(lambda: found("other-features", "*.npz"), kept),
        ),
        (
            "features: another type",
            (readers.features,),
            saved_again(
                kept,
                lambda c: c.update(
                    {
                        n.replace("float32", "int32"): c.pop(n)
                        for n in list(c)
                        if "float32" in n
                    }
                ),
            ),
        ),
        (
            "features: nothing in them",
            (readers.features,),
            saved_again(kept, lambda c: c.clear()),
        ),
        (
            "plan: more at a time",
            (readers.plan,),
            put(Path("plans/plan.json"), "layout", "chunk", value=7),
        ),
        (
            "plan: a device more",
            (readers.plan,),
            put(Path("plans/plan.json"), "layout", "devices", value=2),
        ),
        (
            "plan: of another",
            (readers.plan,),
            copied(Path("other-plans/plan.json"), Path("plans/plan.json")),
        ),
        (
            "weights: tasks exchanged",
            (readers.model, readers.weights_evaluated),
            put(index, "tasks", value=lambda old: old[::-1]),
        ),
        (
            "weights: another fold",
            (readers.model, readers.weights_evaluated),
            put(index, "tasks", 0, "fold", value="syn09"),
        ),
        (
            "weights: classes exchanged",
            (readers.model, readers.weights_evaluated),
            put(index, "classes", value=lambda old: old[::-1]),
        ),
        (
            "weights: another network",
            (readers.model, readers.weights_evaluated),
            put(index, "fields", "size", value=9),
        ),
        (
            "weights: other clips held out",
            (readers.model, readers.weights_evaluated),
            put(
                index,
                "held_out",
                value=lambda old: dict(zip(old, list(old.values())[::-1], strict=True)),
            ),
        ),
        (
            "weights: nothing held out",
            (readers.model, readers.weights_evaluated),
            edit(index, lambda c: c.pop("held_out")),
        ),
        (
            "weights: no checksum",
            (readers.model,),
            edit(index, lambda c: c.pop("arrays_sha256")),
        ),
        (
            "weights: arrays of another",
            (readers.model,),
            copied(Path("other-weights/weights.npz"), Path("weights/weights.npz")),
        ),
        (
            "weights: arrays changed",
            (readers.model,),
            saved_again(Path("weights/weights.npz"), each(lambda x: x + 1)),
        ),
        (
            "part: changed",
            (readers.pretrained,),
            saved_again(part, each(lambda x: x + 1)),
        ),
        (
            "part: another shape",
            (readers.pretrained,),
            saved_again(part, each(lambda x: x.T.copy())),
        ),
        (
            "part: other facts",
            (readers.pretrained,),
            saved_again(part, other_facts),
        ),
        (
            "part: no facts",
            (readers.pretrained,),
            saved_again(part, lambda c: c.pop("about")),
        ),
        (
            "part: a PyTorch file",
            (readers.pretrained,),
            rewrite(part, lambda c: b"\x80\x02}q\x00."),
        ),
        (
            "sweep: cells exchanged",
            (readers.swept, readers.sweep_reported),
            swapped(Path("sweep/batches=own"), Path("sweep/batches=shared")),
        ),
        (
            "sweep: a cell by another name",
            (readers.swept, readers.sweep_reported),
            renamed(Path("sweep/batches=own"), lambda n: "batches=mine"),
        ),
        (
            "sweep: a cell of another",
            (readers.swept, readers.sweep_reported),
            copied(Path("other-sweep/batches=own"), Path("sweep/batches=own")),
        ),
        (
            "sweep: scores of another cell",
            (readers.swept, readers.sweep_reported),
            copied(
                Path("sweep/batches=own/metrics.json"),
                Path("sweep/batches=shared/metrics.json"),
            ),
        ),
        (
            "sweep: no scores",
            (readers.sweep_reported,),
            removed(Path("sweep/batches=own/metrics.json")),
        ),
        (
            "sweep: cells elsewhere",
            (readers.swept, readers.sweep_reported),
            put(Path("sweep/sweep.json"), "cells", 0, "folder", value="../other"),
        ),
        (
            "unfinished: no layout",
            (readers.gone_on,),
            removed(Path("stopped/checkpoints/packs.json")),
        ),
        (
            "unfinished: layout of another",
            (readers.gone_on,),
            copied(PACKS, Path("stopped/checkpoints/packs.json")),
        ),
        (
            "unfinished: a checkpoint of another",
            (readers.gone_on,),
            copied(lambda: step(1, "other-stopped"), lambda: step(1, "stopped")),
        ),
        (
            "unfinished: later by its name",
            (readers.gone_on,),
            renamed(lambda: step(1, "stopped"), lambda n: "3" if n != "3" else "2"),
        ),
        (
            "unfinished: no description",
            (readers.gone_on,),
            removed(Path("stopped/experiment.json")),
        ),
        (
            "unfinished: description of another",
            (readers.gone_on,),
            copied(
                Path("other-stopped/experiment.json"), Path("stopped/experiment.json")
            ),
        ),
        (
            "unfinished: a finished pack is gone",
            (readers.gone_on,),
            removed(lambda: step(0, "stopped").parent),
        ),
        (
            "unfinished: weights changed",
            (readers.gone_on,),
            saved_again(
                lambda: arrays(1, "stopped"),
                lambda c: c.update({"params.head.bias": c["params.head.bias"] + 1}),
            ),
        ),
        (
            "unfinished: log of another",
            (readers.gone_on,),
            copied(
                Path("other-stopped/progress.jsonl"), Path("stopped/progress.jsonl")
            ),
        ),
    )
    yield from cases
