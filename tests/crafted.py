"""What users, disks, editors and version control do to files of jmer: each by name.

A damage happens in the current folder, a place that `places.make_place` made, and
returns the path that it happened to.
"""

import csv
import io
import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import readers

Damage = Callable[[], Path]
Case = tuple[str, tuple[Callable[[], Any], ...], Damage]

METRICS = Path("done/metrics.json")
EXPERIMENT = Path("done/experiment.json")
PREDICTIONS = Path("done/predictions.csv")
PROGRESS = Path("done/progress.jsonl")
PACKS = Path("done/checkpoints/packs.json")
SUMMED = (readers.loaded, readers.reported, readers.audited)
TRAINED = (readers.loaded, readers.evaluated, readers.resumed)
ALL = (*SUMMED, readers.compared, readers.evaluated, readers.resumed)


def step(pack: int = 0, run: str = "done") -> Path:
    """The folder of the last checkpoint of a pack."""
    (found,) = Path(run).glob(f"checkpoints/pack-{pack:04d}/*-tasks-*/[0-9]")
    return found


def arrays(pack: int = 0, run: str = "done") -> Path:
    return step(pack, run) / "arrays/arrays.npz"


def notes(pack: int = 0, run: str = "done") -> Path:
    return step(pack, run) / "meta/metadata"


def found(folder: str, pattern: str) -> Path:
    (path,) = Path(folder).rglob(pattern)
    return path


Place = Path | Callable[[], Path]


def at(place: Place) -> Path:
    return place if isinstance(place, Path) else place()


def edit(place: Place, change: Callable[[Any], Any]) -> Damage:
    """Of a JSON file, by hand."""

    def damage() -> Path:
        content = json.loads(at(place).read_text())
        change(content)
        at(place).write_text(json.dumps(content, indent=2))
        return at(place)

    return damage


def put(place: Place, *keys: Any, value: Any) -> Damage:
    """Another value at a place in a JSON file."""

    def change(content: Any) -> None:
        for key in keys[:-1]:
            content = content[key]
        content[keys[-1]] = value(content[keys[-1]]) if callable(value) else value

    return edit(place, change)


def rewrite(place: Place, change: Callable[[bytes], bytes]) -> Damage:
    def damage() -> Path:
        at(place).write_bytes(change(at(place).read_bytes()))
        return at(place)

    return damage


def replaced(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    def change(content: bytes) -> bytes:
        assert old in content
        return content.replace(old, new, 1)

    return change


def saved_again(place: Place, change: Callable[[dict[str, Any]], Any]) -> Damage:
    """Of arrays, by somebody who knows NumPy."""

    def damage() -> Path:
        with np.load(at(place)) as archive:
            content = dict(archive)
        change(content)
        np.savez(at(place), **content)
        return at(place)

    return damage


def table(place: Path, change: Callable[[list[list[str]]], Any], **form: Any) -> Damage:
    """Of a CSV file, in a spreadsheet."""

    def damage() -> Path:
        rows = list(csv.reader(io.StringIO(place.read_text())))
        rows = change(rows) or rows
        text = io.StringIO()
        csv.writer(text, **{"lineterminator": "\n", **form}).writerows(rows)
        place.write_text(text.getvalue(), newline="")
        return place

    return damage


def copied(source: Place, target: Place) -> Damage:
    """A file or folder over another."""

    def damage() -> Path:
        mine, its = at(target), at(source)
        if its.is_file():
            shutil.copyfile(its, mine)
        else:
            shutil.rmtree(mine, ignore_errors=True)
            shutil.copytree(its, mine)
        return mine

    return damage


def renamed(place: Place, name: Callable[[str], str]) -> Damage:
    def damage() -> Path:
        path = at(place)
        path.rename(path.with_name(name(path.name)))
        return path

    return damage


def swapped(first: Place, second: Place) -> Damage:
    def damage() -> Path:
        a, b = at(first), at(second)
        aside = a.with_name("aside")
        a.rename(aside)
        b.rename(a)
        aside.rename(b)
        return a

    return damage


def removed(place: Place) -> Damage:
    def damage() -> Path:
        path = at(place)
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        return path

    return damage


def folder_instead(place: Place) -> Damage:
    def damage() -> Path:
        path = removed(place)()
        path.mkdir()
        return path

    return damage


def file_instead(place: Place) -> Damage:
    def damage() -> Path:
        path = removed(place)()
        path.write_text("mine")
        return path

    return damage


def loop(place: Place) -> Damage:
    def damage() -> Path:
        path = removed(place)()
        path.symlink_to(path.name)
        return path

    return damage


# What happens to any text.
TEXT: dict[str, Callable[[bytes], bytes]] = {
    "line ends of Windows": lambda c: c.replace(b"\n", b"\r\n"),
    "a byte order mark": lambda c: b"\xef\xbb\xbf" + c,
    "UTF-16": lambda c: c.decode().encode("utf-16"),
    "merge conflict": lambda c: (
        b"<<<<<<< HEAD\n" + c + b"=======\n" + c + b">>>>>>> other\n"
    ),
    "NUL after the power went": lambda c: (
        c[: len(c) // 2] + bytes(len(c) - len(c) // 2)
    ),
    "nothing but NUL": lambda c: bytes(len(c)),
    "empty": lambda c: b"",
    "a copy of itself behind": lambda c: c + c,
    "bytes that are no text": lambda c: c[:40] + b"\xff\xfe" + c[40:],
}
# What stands where an object is expected.
JSON: dict[str, bytes] = {
    "a list": b"[1, 2]",
    "null": b"null",
    "a number": b"3",
    "text": b'"text"',
    "an empty object": b"{}",
    "NaN": b'{"uf1": NaN}',
    "a huge number": b'{"uf1": 1e999, "seeds": 1' + b"0" * 5000 + b"}",
    "deep nesting": b"[" * 100_000,
    "deep nesting that ends": b'{"a":' * 5000 + b"1" + b"}" * 5000,
}


def of_text() -> Iterable[Case]:
    for name, change in TEXT.items():
        for file in (METRICS, EXPERIMENT, PREDICTIONS, PACKS):
            which = (readers.resumed,) if file == PACKS else (*SUMMED, readers.resumed)
            yield f"{file.name}: {name}", which, rewrite(file, change)
        yield f"log: {name}", (readers.loaded,), rewrite(PROGRESS, change)
        yield f"notes: {name}", TRAINED, rewrite(notes, change)


def of_json() -> Iterable[Case]:
    for name, content in JSON.items():
        given = lambda _, content=content: content  # noqa: E731
        for file in (METRICS, EXPERIMENT):
            yield f"{file.name}: {name}", SUMMED, rewrite(file, given)
        yield f"packs.json: {name}", (readers.resumed,), rewrite(PACKS, given)
        yield f"notes: {name}", TRAINED, rewrite(notes, given)
        yield (
            f"weights: {name}",
            (readers.model,),
            rewrite(Path("weights/weights.json"), given),
        )
        yield f"plan: {name}", (readers.plan,), rewrite(Path("plans/plan.json"), given)
        yield (
            f"sweep: {name}",
            (readers.swept, readers.sweep_reported),
            rewrite(Path("sweep/sweep.json"), given),
        )
        yield (
            f"set: {name}",
            (readers.prepared,),
            rewrite(lambda: found("prepared", "dataset_info.json"), given),
        )


def of_files() -> Iterable[Case]:
    for file in (METRICS, EXPERIMENT, PREDICTIONS):
        yield f"{file.name} is a folder", ALL, folder_instead(file)
        yield f"{file.name} leads to itself", ALL, loop(file)
        yield (
            f"{file.name} of another run",
            ALL,
            copied(Path("other") / file.name, file),
        )
    for place, name in ((arrays, "arrays"), (notes, "notes")):
        yield f"{name} is a folder", TRAINED, folder_instead(place)
        yield f"{name} lead to themselves", TRAINED, loop(place)
        yield f"{name} are gone", TRAINED, removed(place)
    yield "checkpoints are a file", TRAINED, file_instead(Path("done/checkpoints"))
    yield (
        "features are a folder",
        (readers.features,),
        folder_instead(lambda: found("features", "*.npz")),
    )
    yield (
        "weights are a folder",
        (readers.model,),
        folder_instead(Path("weights/weights.npz")),
    )
    yield (
        "part is a folder",
        (readers.pretrained,),
        folder_instead(Path("pretrained/part.npz")),
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
        ("a pack by another number", renamed(Path("done/checkpoints/pack-0000"), lambda n: "pack-0007")),
        ("another name of its tasks", renamed(lambda: step().parent, lambda n: n[:-1] + "x")),
        ("packs that changed places", swapped(lambda: step(0).parent, lambda: step(1).parent)),
        ("a pack is gone", removed(lambda: step().parent)),
        ("a pack twice", copied(lambda: step().parent, lambda: Path("done/checkpoints/pack-0009") / step().parent.name)),
        ("one bit in the name of a task", rewrite(notes, replaced(b"syn01", b"syn00"))),
        ("two names of tasks exchanged", rewrite(notes, lambda c: c.replace(b"syn01", b"?").replace(b"syn02", b"syn01").replace(b"?", b"syn02"))),
        ("a training that is said to be unfinished", rewrite(notes, replaced(b"true", b"false"))),
        ("weights of folds exchanged", saved_again(arrays, by_task)),
        ("another shape", saved_again(arrays, shape)),
        ("another type", saved_again(arrays, lambda c: c.update({"selected": c["selected"].astype(float)}))),
        ("a weight less", saved_again(arrays, lambda c: c.pop("params.head.bias"))),
        ("a weight more", saved_again(arrays, lambda c: c.update({"params.more": np.zeros(3)}))),
        ("objects", saved_again(arrays, lambda c: c.update({"selected": np.array([{}], object)}))),
        ("the header of an array", rewrite(arrays, lambda c: c.replace(b"(3, ", b"(1, "))),
        ("weights a little better", saved_again(arrays, lambda c: c.update({"params.head.bias": c["params.head.bias"] + 1e-3}))),
        ("predictions a little better", saved_again(arrays, lambda c: c.update({"history.test_logits": -c["history.test_logits"]}))),
        ("another chosen epoch", saved_again(arrays, lambda c: c.update({"selected": c["selected"] - 1}))),
        ("without checksums", removed(lambda: step() / "arrays/sums.json")),
        ("checksums of another pack", copied(lambda: step(1) / "arrays/sums.json", lambda: step() / "arrays/sums.json")),
    )  # fmt: skip
    for name, damage in cases:
        yield f"checkpoint: {name}", TRAINED, damage


def of_results() -> Iterable[Case]:
    cases: Sequence[tuple[str, Damage]] = (
        ("a better UF1", put(METRICS, "uf1", value=0.9)),
        ("a better confusion", put(METRICS, "confusion", value=lambda old: np.diag(np.sum(old, 1)).tolist())),
        ("a better seed", put(METRICS, "per_seed", 0, "uf1", value=0.9)),
        ("a narrower interval", put(METRICS, "ci95", "uf1", value=[0.28, 0.29])),
        ("no oracle", put(METRICS, "oracle", value=None)),
        ("a seed less", put(METRICS, "seeds", value=[0])),
        ("seeds of another type", put(METRICS, "seeds", value="01")),
        ("nothing diverged, in words", put(METRICS, "diverged", value="none")),
        ("the field twice", rewrite(METRICS, lambda c: b'{"uf1": 0.9,' + c[1:-2] + b', "uf1": 0.9}\n')),
        ("another selection", put(METRICS, "selection", value="inner")),
        ("subjects said to be apart", put(METRICS, "subject_independent", value=False)),
        ("another rate", put(EXPERIMENT, "experiment", "optim", "lr", value=0.1)),
        ("another rate in its identity", put(EXPERIMENT, "identity", "optim", "lr", value=0.1)),
        ("more epochs", put(EXPERIMENT, "experiment", "epochs", value=30)),
        ("another network", put(EXPERIMENT, "experiment", "model", "filters", value=[3])),
        ("another protocol", put(EXPERIMENT, "experiment", "protocol", "kind", value="Megc")),
        ("another fingerprint", put(EXPERIMENT, "data", "fingerprint", value="0" * 16)),
        ("other classes", put(EXPERIMENT, "data", "classes", value=["surprise", "positive", "negative"])),
        ("another command", put(EXPERIMENT, "command", value="jmer run better.py")),
        ("no experiment", put(EXPERIMENT, "experiment", value=None)),
        ("no identity", put(EXPERIMENT, "identity", value=[])),
        ("a truth", table(PREDICTIONS, lambda rows: rows[1].__setitem__(6, "2"))),
        ("answers that are right", table(PREDICTIONS, lambda rows: [rows[0], *([*r[:7], r[6], *r[8:]] for r in rows[1:])])),
        ("another order", table(PREDICTIONS, lambda rows: [rows[0], *rows[:0:-1]])),
        ("sorted by a spreadsheet", table(PREDICTIONS, lambda rows: [rows[0], *sorted(rows[1:], key=lambda r: r[2])])),
        ("a row twice", table(PREDICTIONS, lambda rows: rows.append(rows[-1]))),
        ("a row less", table(PREDICTIONS, lambda rows: rows.pop())),
        ("columns in another order", table(PREDICTIONS, lambda rows: [[*r[1:3], r[0], *r[3:]] for r in rows])),
        ("a column less", table(PREDICTIONS, lambda rows: [r[:-1] for r in rows])),
        ("no header", table(PREDICTIONS, lambda rows: rows[1:])),
        ("semicolons", table(PREDICTIONS, lambda rows: None, delimiter=";")),
        ("quotes", table(PREDICTIONS, lambda rows: None, quoting=csv.QUOTE_ALL, lineterminator="\r\n")),
        ("rounded by a spreadsheet", table(PREDICTIONS, lambda rows: [rows[0], *([*r[:8], *(f"{float(x):.3f}" for x in r[8:])] for r in rows[1:])])),
        ("percent", table(PREDICTIONS, lambda rows: [rows[0], *([*r[:8], *(f"{float(x):.1%}" for x in r[8:])] for r in rows[1:])])),
        ("seeds as floats", table(PREDICTIONS, lambda rows: [rows[0], *([*r[:4], f"{r[4]}.0", *r[5:]] for r in rows[1:])])),
        ("blank lines", rewrite(PREDICTIONS, lambda c: c.replace(b"\n", b"\n\n"))),
        ("the epochs of its log", rewrite(PROGRESS, lambda c: c.replace(b'"epoch": 2', b'"epoch": 7'))),
        ("the losses of its log", rewrite(PROGRESS, lambda c: c.replace(b'"loss": 1', b'"loss": 0'))),
        ("lines of its log twice", rewrite(PROGRESS, lambda c: b"".join(line + line for line in c.splitlines(keepends=True)))),
        ("half of its log", rewrite(PROGRESS, lambda c: c[: len(c) // 2])),
    )  # fmt: skip
    for name, damage in cases:
        yield f"results: {name}", (*SUMMED, readers.compared, readers.resumed), damage


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

    index, part = Path("weights/weights.json"), Path("pretrained/part.npz")
    own = (readers.prepared, readers.shown, readers.audited)
    cases: Sequence[tuple[str, tuple[Callable[[], Any], ...], Damage]] = (
        ("set: clips of another", own, copied(lambda: found("other-prepared", "*.array_record*"), record)),
        ("set: one bit", own, rewrite(record, lambda c: c[:9000] + bytes([c[9000] ^ 1]) + c[9001:])),
        ("set: cut", own, rewrite(record, lambda c: c[:-4000])),
        ("set: empty", own, rewrite(record, lambda c: b"")),
        ("set: no clips", own, removed(record)),
        ("set: fewer clips", own, rewrite(info, lambda c: c.replace(b'"12"', b'"10"'))),
        ("set: classes in another order", own, rewrite(lambda: found("prepared", "label.labels.txt"), lambda c: b"".join(sorted(c.splitlines(keepends=True))[::-1]))),
        ("set: other features", own, rewrite(lambda: found("prepared", "features.json"), lambda c: c.replace(b"float16", b"float32"))),
        ("set: no features", own, removed(lambda: found("prepared", "features.json"))),
        ("set: other facts", own, rewrite(lambda: found("prepared", "metadata.json"), lambda c: c.replace(b"syn01", b"syn09"))),
        ("set: a folder of another", own, copied(lambda: info().parent.parent if False else found("other-prepared", "dataset_info.json").parent, lambda: info().parent)),
        ("features: fewer clips", (readers.features,), saved_again(kept, each(lambda x: x[:8]))),
        ("features: another order", (readers.features,), saved_again(kept, each(lambda x: x[::-1].copy()))),
        ("features: poisoned", (readers.features,), saved_again(kept, each(lambda x: x + 1))),
        ("features: not finite", (readers.features,), saved_again(kept, each(lambda x: np.full_like(x, np.iinfo(x.dtype).max)))),
        ("features: of other clips", (readers.features,), copied(lambda: found("other-features", "*.npz"), kept)),
        ("features: another type", (readers.features,), saved_again(kept, lambda c: c.update({n.replace("float32", "int32"): c.pop(n) for n in list(c) if "float32" in n}))),
        ("features: nothing in them", (readers.features,), saved_again(kept, lambda c: c.clear())),
        ("plan: more at a time", (readers.plan,), put(Path("plans/plan.json"), "layout", "chunk", value=7)),
        ("plan: a device more", (readers.plan,), put(Path("plans/plan.json"), "layout", "devices", value=2)),
        ("plan: of another", (readers.plan,), copied(Path("other-plans/plan.json"), Path("plans/plan.json"))),
        ("weights: tasks exchanged", (readers.model, readers.weights_evaluated), put(index, "tasks", value=lambda old: old[::-1])),
        ("weights: another fold", (readers.model, readers.weights_evaluated), put(index, "tasks", 0, "fold", value="syn09")),
        ("weights: classes exchanged", (readers.model, readers.weights_evaluated), put(index, "classes", value=lambda old: old[::-1])),
        ("weights: another network", (readers.model, readers.weights_evaluated), put(index, "fields", "size", value=9)),
        ("weights: other clips held out", (readers.model, readers.weights_evaluated), put(index, "held_out", value=lambda old: dict(zip(old, list(old.values())[::-1], strict=True)))),
        ("weights: nothing held out", (readers.model, readers.weights_evaluated), edit(index, lambda c: c.pop("held_out"))),
        ("weights: no checksum", (readers.model,), edit(index, lambda c: c.pop("arrays_sha256"))),
        ("weights: arrays of another", (readers.model,), copied(Path("other-weights/weights.npz"), Path("weights/weights.npz"))),
        ("weights: arrays changed", (readers.model,), saved_again(Path("weights/weights.npz"), each(lambda x: x + 1))),
        ("part: changed", (readers.pretrained,), saved_again(part, each(lambda x: x + 1))),
        ("part: another shape", (readers.pretrained,), saved_again(part, each(lambda x: x.T.copy()))),
        ("part: other facts", (readers.pretrained,), saved_again(part, lambda c: c.update(about=np.array('{"jmer": "0", "step": 3}')))),
        ("part: no facts", (readers.pretrained,), saved_again(part, lambda c: c.pop("about"))),
        ("part: a PyTorch file", (readers.pretrained,), rewrite(part, lambda c: b"\x80\x02}q\x00.")),
        ("sweep: cells exchanged", (readers.swept, readers.sweep_reported), swapped(Path("sweep/batches=own"), Path("sweep/batches=shared"))),
        ("sweep: a cell by another name", (readers.swept, readers.sweep_reported), renamed(Path("sweep/batches=own"), lambda n: "batches=mine")),
        ("sweep: a cell of another", (readers.swept, readers.sweep_reported), copied(Path("other-sweep/batches=own"), Path("sweep/batches=own"))),
        ("sweep: scores of another cell", (readers.swept, readers.sweep_reported), copied(Path("sweep/batches=own/metrics.json"), Path("sweep/batches=shared/metrics.json"))),
        ("sweep: no scores", (readers.sweep_reported,), removed(Path("sweep/batches=own/metrics.json"))),
        ("sweep: cells elsewhere", (readers.swept, readers.sweep_reported), put(Path("sweep/sweep.json"), "cells", 0, "folder", value="../other")),
        ("unfinished: no layout", (readers.gone_on,), removed(Path("stopped/checkpoints/packs.json"))),
        ("unfinished: layout of another", (readers.gone_on,), copied(PACKS, Path("stopped/checkpoints/packs.json"))),
        ("unfinished: a checkpoint of another", (readers.gone_on,), copied(lambda: step(1, "other-stopped"), lambda: step(1, "stopped"))),
        ("unfinished: later by its name", (readers.gone_on,), renamed(lambda: step(1, "stopped"), lambda n: "3" if n != "3" else "2")),
        ("unfinished: no description", (readers.gone_on,), removed(Path("stopped/experiment.json"))),
        ("unfinished: description of another", (readers.gone_on,), copied(Path("other-stopped/experiment.json"), Path("stopped/experiment.json"))),
        ("unfinished: a finished pack is gone", (readers.gone_on,), removed(lambda: step(0, "stopped").parent)),
        ("unfinished: weights changed", (readers.gone_on,), saved_again(lambda: arrays(1, "stopped"), lambda c: c.update({"params.head.bias": c["params.head.bias"] + 1}))),
        ("unfinished: log of another", (readers.gone_on,), copied(Path("other-stopped/progress.jsonl"), Path("stopped/progress.jsonl"))),
    )  # fmt: skip
    yield from cases


CASES: tuple[Case, ...] = (
    *of_text(),
    *of_json(),
    *of_files(),
    *of_checkpoints(),
    *of_results(),
    *of_others(),
)
