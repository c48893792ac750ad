"""What editors, version control and power cuts do to any text that jmer wrote."""

from collections.abc import Callable, Iterable
from pathlib import Path

import readers
from edits import (
    Case,
    copied,
    file_instead,
    folder_instead,
    loop,
    removed,
    rewrite,
    unreadable,
)
from parts import (
    ALL,
    EXPERIMENT,
    METRICS,
    PACKS,
    PREDICTIONS,
    PROGRESS,
    SUMMED,
    TRAINED,
    arrays,
    found,
    notes,
)

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
        yield f"files: {file.name} is a folder", ALL, folder_instead(file)
        yield f"files: {file.name} may not be read", ALL, unreadable(file)
        yield f"files: {file.name} leads to itself", ALL, loop(file)
        yield (
            f"files: {file.name} of another run",
            ALL,
            copied(Path("other") / file.name, file),
        )
    for place, name in ((arrays, "arrays"), (notes, "notes")):
        yield f"files: {name} is a folder", TRAINED, folder_instead(place)
        yield f"files: {name} lead to themselves", TRAINED, loop(place)
        yield f"files: {name} are gone", TRAINED, removed(place)
    yield (
        "files: checkpoints are a file",
        TRAINED,
        file_instead(Path("done/checkpoints")),
    )
    yield (
        "files: features are a folder",
        (readers.features,),
        folder_instead(lambda: found("features", "*.npz")),
    )
    yield (
        "files: weights are a folder",
        (readers.model,),
        folder_instead(Path("weights/weights.npz")),
    )
    yield (
        "files: part is a folder",
        (readers.pretrained,),
        folder_instead(Path("pretrained/part.npz")),
    )
