"""What the JSON files of a run must look like to be read."""

from collections.abc import Iterator
from typing import Any

from jmer.files.shape import (
    Problem,
    Shape,
    both,
    count,
    each,
    fields,
    flag,
    named,
    number,
    optional,
    seconds,
    seed,
    share,
    text,
)
from jmer.scores.labels import KINDS, UNITS
from jmer.scores.units import OUTCOMES

MOST_CLASSES = 256
"""Of a run; what a report draws of more could not be looked at."""

SCORES = {name: share for kind in KINDS.values() for name in kind.metrics}
EACH = {name: optional(share) for kind in KINDS.values() for name in kind.each}
BANDS = optional(named(each(number, size=2)))
COUNTS = each(each(count))
OF_PART = {
    **SCORES,
    "n_samples": count,
    "n_subjects": count,
    "ci95": BANDS,
    "confusion": COUNTS,
}
CHOSEN = ("selected", "oracle")
SPEEDS = ("folds_per_hour", "clips_per_second", "seconds_per_fold_epoch")
LOST = {"fold": text, "seed": seed, "variant": count, "epoch": count}
VALUES = named(number)


def _square(value: Any) -> Iterator[Problem]:
    """Whether what is there by class, or by unit, is there for each of them."""
    classes, confusion = value.get("classes"), value.get("confusion")
    if classes is not None and not 0 < len(classes) <= MOST_CLASSES:
        rule = f"a list of 1 to {MOST_CLASSES} names"
        yield ".classes", classes, rule
    elif classes is not None and confusion is not None:
        k, units = len(classes), value.get("labels") == UNITS.name
        wide, why = (OUTCOMES, "units") if units else (k, "classes")
        if len(confusion) != k or any(len(row) != wide for row in confusion):
            yield ".confusion", confusion, f"{k} lists of {wide}, as there are {why}"
        elif "per_class" in value and [*value["per_class"]] != classes:
            yield ".per_class", value["per_class"], "of the classes, in their order"


METRICS_SHAPE: Shape = both(
    fields(
        {
            **OF_PART,
            "protocol": text,
            "selection": text,
            "batches": optional(text),
            "subject_independent": flag,
            "fitted": flag,
            "held_out": optional(text),
            "n_folds": count,
            "seeds": each(seed, least=1),
            "labels": text,
            "classes": each(text, least=1),
            "fold_mean": optional(named(number)),
            "per_seed": each(
                fields({**OF_PART, "seed": seed}, needed=("seed", "n_samples"))
            ),
            "std": optional(named(seconds)),
            "per_dataset": named(fields(OF_PART, ("n_samples", "n_subjects"))),
            "per_class": named(
                fields({"n": count, **EACH, "ci95": BANDS}, ("n",))
            ),
            "per_subject": each(
                fields(
                    {"dataset": text, "subject": text, "n": count, "acc": share},
                    ("dataset", "subject", "n", "acc"),
                )
            ),
            "oracle": optional(
                fields({**OF_PART, "per_dataset": named(fields(OF_PART))})
            ),
            "epochs": optional(
                fields(dict.fromkeys(CHOSEN, each(count)), CHOSEN)
            ),
            "variant": count,
            "variants": each(fields({**SCORES, "values": VALUES}, ("values",))),
            "diverged": each(fields(LOST, (*LOST,))),
            "seeds_left_out": each(seed),
            "wall_seconds": seconds,
            "throughput": optional(
                fields(
                    dict.fromkeys(SPEEDS, seconds),
                    SPEEDS,
                )
            ),
        }
    ),
    _square,
)  # fmt: skip
"""Of `metrics.json`; which fields must be there, `folder.NEEDED` says."""

RECORDED = fields(
    {
        "model": fields({"name": text}),
        "data": fields(
            {"name": text, "data_dir": optional(text), "manual_dir": optional(text)}
        ),
        "optim": fields({}),
        "protocol": fields({"kind": text}),
        "seeds": each(seed),
        "variants": each(text),
        "inner_criterion": text,
        "pretrained": optional(text),
    }
)
OF_DATA = {
    "name": text,
    "config": text,
    "kind": text,
    "fingerprint": text,
    "classes": each(text, least=1),
    "n_train_only": count,
    "file": text,
    "hash": text,
    "import": text,
}

OF_NETWORK = {"kind": text, "file": text, "hash": text, "import": text}

DESCRIPTION_SHAPE: Shape = fields(
    {
        "network": fields(OF_NETWORK),
        "name": text,
        "command": text,
        "experiment": RECORDED,
        "identity": fields({}),
        "versions": named(text),
        "device": fields({"kind": text, "count": count, "platform": text},
                         ("kind", "count", "platform")),
        "revision": optional(text),
        "created": optional(text),
        "data": fields(OF_DATA, ("name", "config", "fingerprint")),
    }
)  # fmt: skip
"""Of `experiment.json`; which fields must be there, `folder.NEEDED` says."""

ANY_DESCRIPTION: Shape = fields(
    {"experiment": RECORDED, "network": fields(OF_NETWORK), "data": fields(OF_DATA)},
    ("experiment", "data"),
)
"""What there is to explain or to load weights by, without a report."""

ANY_METRICS: Shape = fields({"variant": count})

SWEEP_SHAPE: Shape = fields(
    {"cells": each(fields({"name": text, "folder": text}, ("name", "folder")))},
    ("cells",),
)
"""Of `sweep.json`."""

WRITTEN = optional(fields({"bytes": count, "sha256": text}, ("bytes", "sha256")))

EXPLAINED_SHAPE: Shape = fields(
    {
        "title": text,
        "answers": each(text),
        "figures": each(
            fields(
                {"path": text, "alt": text, "caption": text, "written": WRITTEN},
                ("path", "alt", "caption"),
            )
        ),
    },
    ("title", "answers", "figures"),
)
"""Of `explain.json`."""

SPOTTED_SHAPE: Shape = fields(
    {
        "frames": count,
        "auc": share,
        "strs": share,
        "intervals": fields(
            dict.fromkeys(("f1", "precision", "recall"), share),
            ("f1", "precision", "recall"),
        ),
        "drawn": named(text),
        "figures": named(WRITTEN),
    },
    ("frames", "auc", "strs", "intervals", "drawn"),
)
"""Of `spotting.json`."""
