"""What `jmer spot` and `jmer explain` left in a run directory, for its report."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from jmer.files import Changed, read_json
from jmer.files.digest import Written, differs, recorded, written
from jmer.files.inside import inside, read_picture
from jmer.files.shape import checked
from jmer.report.render.blocks import Figure, PageBlock, Paragraph, Section, Table, slug
from jmer.runs.folder import (
    EXPLAIN,
    EXPLAINED,
    FIGURES,
    GRID,
    SPOTTED,
    SPOTTING,
)
from jmer.runs.shapes import EXPLAINED_SHAPE, SPOTTED_SHAPE
from jmer.text import points

CURVES = 3  # clips whose intensity is drawn
MOST = 8  # clips that are explained
GRID_TITLE = "What the networks looked at, clip by clip"


def index_of(
    title: str,
    answers: Iterable[str],
    figures: Iterable[Figure],
    clip: tuple[str, str, str] | None = None,
) -> dict[str, Any]:
    """What `explain.json` says of the pictures beside it, and of which `clip` they are:
    data set, subject and name."""
    fields = ("path", "alt", "caption", "chart")
    return {
        "title": title,
        "clip": clip and list(clip),
        "answers": list(answers),
        "figures": [
            {name: getattr(f, name) for name in fields} | {"written": written(f.png)}
            for f in figures
        ],
    }


def pictures(run_dir: Path) -> Iterator[Section]:
    """A section for each of them that is there; figures that are gone are left out.

    Raises: JmerError if what describes them is damaged, or names what is no picture
    beside it, or another than was drawn.
    """
    if (run_dir / SPOTTING / SPOTTED).is_file():
        yield Section("Spotting", tuple(_spotting(run_dir)))
    for file in _explained(run_dir):
        told = checked(read_json(file), EXPLAINED_SHAPE, file)
        blocks: list[PageBlock] = [Paragraph(text) for text in told["answers"]]
        for i, about in enumerate(told["figures"]):
            place = inside(file.parent, about["path"], file, f"figures[{i}].path")
            texts = about["alt"], about["caption"]
            chart, then = about.get("chart") is True, recorded(about.get("written"))
            if figure := _figure(run_dir, place, *texts, chart=chart, then=then):
                blocks.append(figure)
        title = f"What it looked at in {told['title']}"
        title = GRID_TITLE if file.parent.name == GRID else title
        yield Section(title, tuple(blocks), folded=True, anchor=_anchor(file))


def _explained(run_dir: Path) -> list[Path]:
    """What describes all clips together, and then each of some."""
    every = sorted((run_dir / EXPLAIN).glob(f"*/{EXPLAINED}"))
    together = [file for file in every if file.parent.name == GRID]
    return together + [file for file in every if file not in together][:MOST]


def _anchor(file: Path) -> str:
    return f"explained-{slug(file.parent.name)}"


def anchors(run_dir: Path) -> dict[tuple[str, str, str], str]:
    """Of the sections of `pictures` about single clips: where they are in the page, by
    data set, subject and name of the clip, as far as they are known."""
    found = {}
    for file in _explained(run_dir):
        match read_json(file):
            case {"clip": [str(dataset), str(subject), str(clip)]}:
                found[dataset, subject, clip] = _anchor(file)
    return found


def _spotting(run_dir: Path) -> Iterator[PageBlock]:
    file = run_dir / SPOTTING / SPOTTED
    found = checked(read_json(file), SPOTTED_SHAPE, file)
    intervals = found["intervals"]
    scores = {
        f"AUC of {found['frames']} frames": found["auc"],
        "F1 of intervals": intervals["f1"],
        "Precision of intervals": intervals["precision"],
        "Recall of intervals": intervals["recall"],
        "STRS, spotted and recognised": found["strs"],
    }
    rows = tuple((name, points(value)) for name, value in scores.items())
    yield Table(("", "Score"), rows)
    names = {"roc": ("ROC curve of frames", "All frames of all test clips.")}
    for number, clip in list(found["drawn"].items())[:CURVES]:
        caption = (
            f"{clip}: bars are the intensity that was found, the line is the true one; "
            f"below are the intervals of both."
        )
        names[f"intensity-{number}"] = (f"Intensity of the frames of {clip}", caption)
    for name, (alt, caption) in names.items():
        path = inside(file.parent, f"{FIGURES}/{name}.png", file, "drawn")
        then = recorded(found.get("figures", {}).get(path.name))
        if figure := _figure(run_dir, path, alt, caption, chart=True, then=then):
            yield figure


def _figure(
    run_dir: Path,
    file: Path,
    alt: str,
    caption: str,
    *,
    chart: bool,
    then: Written | None,
) -> Figure | None:
    if not file.is_file():
        return None
    place = file.relative_to(run_dir).as_posix()
    return Figure(place, alt, caption, _content(file, then), chart)


def roc_of(run_dir: Path) -> bytes | None:
    """The ROC curve that `jmer spot` drew for a run; None if it drew none.

    Raises: JmerError if it is another than was drawn.
    """
    file = run_dir / SPOTTING / FIGURES / "roc.png"
    index = run_dir / SPOTTING / SPOTTED
    if not file.is_file() or not index.is_file():
        return None
    found = checked(read_json(index), SPOTTED_SHAPE, index)
    return _content(file, recorded(found.get("figures", {}).get(file.name)))


def _content(file: Path, then: Written | None) -> bytes:
    content = read_picture(file)
    if then is not None and (told := differs(content, then)):
        raise Changed(
            f"{file} is not the figure that jmer drew there ({told}). It was edited or "
            f"damaged: remove it, and the report leaves it out, or draw it again."
        )
    return content
