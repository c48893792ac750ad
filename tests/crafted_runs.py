"""What users do to a run: each by name."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import readers
from edits import (
    Case,
    Damage,
    copied,
    put,
    removed,
    renamed,
    replaced,
    rewrite,
    saved_again,
    swapped,
    table,
)
from parts import (
    EXPERIMENT,
    METRICS,
    PREDICTIONS,
    PROGRESS,
    SUMMED,
    TRAINED,
    arrays,
    notes,
    step,
)


def of_checkpoints() -> Iterable[Case]:
    def by_task(content: dict[str, Any]) -> None:
        for name, value in content.items():
            if name.startswith("params."):
                content[name] = value[::-1].copy()

    def shape(content: dict[str, Any]) -> None:
        value = content["history.test_logits"]
        content["history.test_logits"] = value.reshape(*value.shape[:2], -1)

    cases: Sequence[tuple[str, Damage]] = (
        ("arrays of another fold", copied(lambda: arrays(1), arrays)),
        ("notes of another pack", copied(lambda: notes(1), notes)),
        ("a checkpoint of another run", copied(lambda: step(0, "other"), step)),
        ("arrays of another run", copied(lambda: arrays(0, "other"), arrays)),
        ("an earlier number", renamed(step, lambda name: "3")),
        ("a later number", renamed(step, lambda name: "9")),
        ("a checkpoint under two numbers", copied(step, lambda: step().with_name("9"))),
        (
            "a pack by another number",
            renamed(Path("done/checkpoints/pack-0000"), lambda n: "pack-0007"),
        ),
        (
            "another name of its tasks",
            renamed(lambda: step().parent, lambda n: n[:-1] + "x"),
        ),
        (
            "packs that changed places",
            swapped(lambda: step(0).parent, lambda: step(1).parent),
        ),
        ("a pack is gone", removed(lambda: step().parent)),
        (
            "a pack twice",
            copied(
                lambda: step().parent,
                lambda: Path("done/checkpoints/pack-0009") / step().parent.name,
            ),
        ),
        ("one bit in the name of a task", rewrite(notes, replaced(b"syn01", b"syn00"))),
        (
            "two names of tasks exchanged",
            rewrite(
                notes,
                lambda c: (
                    c.replace(b"syn01", b"?")
                    .replace(b"syn02", b"syn01")
                    .replace(b"?", b"syn02")
                ),
            ),
        ),
        (
            "a training that is said to be unfinished",
            rewrite(notes, replaced(b"true", b"false")),
        ),
        ("weights of folds exchanged", saved_again(arrays, by_task)),
        ("another shape", saved_again(arrays, shape)),
        (
            "another type",
            saved_again(
                arrays, lambda c: c.update({"selected": c["selected"].astype(float)})
            ),
        ),
        ("a weight less", saved_again(arrays, lambda c: c.pop("params.head.bias"))),
        (
            "a weight more",
            saved_again(arrays, lambda c: c.update({"params.more": np.zeros(3)})),
        ),
        (
            "objects",
            saved_again(
                arrays, lambda c: c.update({"selected": np.array([{}], object)})
            ),
        ),
        (
            "the header of an array",
            rewrite(arrays, lambda c: c.replace(b"(3, ", b"(1, ")),
        ),
        (
            "weights a little better",
            saved_again(
                arrays,
                lambda c: c.update({"params.head.bias": c["params.head.bias"] + 1e-3}),
            ),
        ),
        (
            "predictions a little better",
            saved_again(
                arrays,
                lambda c: c.update({"history.test_logits": -c["history.test_logits"]}),
            ),
        ),
        (
            "another chosen epoch",
            saved_again(arrays, lambda c: c.update({"selected": c["selected"] - 1})),
        ),
        ("without checksums", removed(lambda: step() / "arrays/sums.json")),
        (
            "checksums of another pack",
            copied(
                lambda: step(1) / "arrays/sums.json",
                lambda: step() / "arrays/sums.json",
            ),
        ),
    )
    for name, damage in cases:
        yield f"checkpoint: {name}", TRAINED, damage


def of_results() -> Iterable[Case]:
    cases: Sequence[tuple[str, Damage]] = (
        ("a better UF1", put(METRICS, "uf1", value=0.9)),
        (
            "a better confusion",
            put(
                METRICS, "confusion", value=lambda old: np.diag(np.sum(old, 1)).tolist()
            ),
        ),
        ("a better seed", put(METRICS, "per_seed", 0, "uf1", value=0.9)),
        ("a narrower interval", put(METRICS, "ci95", "uf1", value=[0.28, 0.29])),
        ("no oracle", put(METRICS, "oracle", value=None)),
        ("a seed less", put(METRICS, "seeds", value=[0])),
        ("seeds of another type", put(METRICS, "seeds", value="01")),
        ("nothing diverged, in words", put(METRICS, "diverged", value="none")),
        (
            "the field twice",
            rewrite(METRICS, lambda c: b'{"uf1": 0.9,' + c[1:-2] + b', "uf1": 0.9}\n'),
        ),
        ("another selection", put(METRICS, "selection", value="inner")),
        ("subjects said to be apart", put(METRICS, "subject_independent", value=False)),
        ("another rate", put(EXPERIMENT, "experiment", "optim", "lr", value=0.1)),
        (
            "another rate in its identity",
            put(EXPERIMENT, "identity", "optim", "lr", value=0.1),
        ),
        ("more epochs", put(EXPERIMENT, "experiment", "epochs", value=30)),
        (
            "another network",
            put(EXPERIMENT, "experiment", "model", "filters", value=[3]),
        ),
        (
            "another protocol",
            put(EXPERIMENT, "experiment", "protocol", "kind", value="Megc"),
        ),
        ("another fingerprint", put(EXPERIMENT, "data", "fingerprint", value="0" * 16)),
        (
            "other classes",
            put(
                EXPERIMENT,
                "data",
                "classes",
                value=["surprise", "positive", "negative"],
            ),
        ),
        ("another command", put(EXPERIMENT, "command", value="jmer run better.py")),
        ("no experiment", put(EXPERIMENT, "experiment", value=None)),
        ("no identity", put(EXPERIMENT, "identity", value=[])),
        ("a truth", table(PREDICTIONS, lambda rows: rows[1].__setitem__(6, "2"))),
        (
            "answers that are right",
            table(
                PREDICTIONS,
                lambda rows: [rows[0], *([*r[:7], r[6], *r[8:]] for r in rows[1:])],
            ),
        ),
        ("another order", table(PREDICTIONS, lambda rows: [rows[0], *rows[:0:-1]])),
        (
            "sorted by a spreadsheet",
            table(
                PREDICTIONS,
                lambda rows: [rows[0], *sorted(rows[1:], key=lambda r: r[2])],
            ),
        ),
        ("a row twice", table(PREDICTIONS, lambda rows: rows.append(rows[-1]))),
        ("a row less", table(PREDICTIONS, lambda rows: rows.pop())),
        (
            "columns in another order",
            table(PREDICTIONS, lambda rows: [[*r[1:3], r[0], *r[3:]] for r in rows]),
        ),
        ("a column less", table(PREDICTIONS, lambda rows: [r[:-1] for r in rows])),
        ("no header", table(PREDICTIONS, lambda rows: rows[1:])),
        ("semicolons", table(PREDICTIONS, lambda rows: None, delimiter=";")),
        (
            "quotes",
            table(
                PREDICTIONS,
                lambda rows: None,
                quoting=csv.QUOTE_ALL,
                lineterminator="\r\n",
            ),
        ),
        (
            "rounded by a spreadsheet",
            table(
                PREDICTIONS,
                lambda rows: [
                    rows[0],
                    *([*r[:8], *(f"{float(x):.3f}" for x in r[8:])] for r in rows[1:]),
                ],
            ),
        ),
        (
            "percent",
            table(
                PREDICTIONS,
                lambda rows: [
                    rows[0],
                    *([*r[:8], *(f"{float(x):.1%}" for x in r[8:])] for r in rows[1:]),
                ],
            ),
        ),
        (
            "seeds as floats",
            table(
                PREDICTIONS,
                lambda rows: [
                    rows[0],
                    *([*r[:4], f"{r[4]}.0", *r[5:]] for r in rows[1:]),
                ],
            ),
        ),
        ("blank lines", rewrite(PREDICTIONS, lambda c: c.replace(b"\n", b"\n\n"))),
        (
            "the epochs of its log",
            rewrite(PROGRESS, lambda c: c.replace(b'"epoch": 2', b'"epoch": 7')),
        ),
        (
            "the losses of its log",
            rewrite(PROGRESS, lambda c: c.replace(b'"loss": 1', b'"loss": 0')),
        ),
        (
            "lines of its log twice",
            rewrite(
                PROGRESS,
                lambda c: b"".join(line + line for line in c.splitlines(keepends=True)),
            ),
        ),
        ("half of its log", rewrite(PROGRESS, lambda c: c[: len(c) // 2])),
    )
    for name, damage in cases:
        yield f"results: {name}", (*SUMMED, readers.compared, readers.resumed), damage
