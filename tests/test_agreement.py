"""All that a run writes agrees with its `predictions.csv`, by way of scikit-learn."""

import base64
import csv
import json
import re
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest
from markdown_it import MarkdownIt
from matplotlib.figure import Figure
from sklearn import metrics as reference
from test_report import make_run

from jmer.data.clips import ClipSet
from jmer.data.random_clips import RandomClips
from jmer.data.splits import Fold, Loso
from jmer.files import read_json, write_json
from jmer.optim import AdamConfig
from jmer.report import write_report
from jmer.runner.run import write_results
from jmer.scores.predictions import Predictions
from jmer.train.pack import PackResult
from jmer.train.tasks import Task

CLASSES = ("negative", "positive", "surprise", "others")
SIZES = (3, 7, 2, 5, 4, 6, 8)  # clips of each subject
SETS = ("casme2", "casme2", "casme2", "samm", "samm", "smic", "smic")
SEEDS, EPOCHS, VARIANTS = (0, 4, 5), (2, 4, 6, 7), 2
SCORES = ("uf1", "uar", "acc")


def make_clips():
    """Every class but the last occurs; that one is only ever recognised."""
    n = sum(SIZES)
    subject = np.repeat([f"s{i}" for i in range(len(SIZES))], SIZES)
    unknown = np.full(n, -1, np.int32)
    return ClipSet(
        name="made up",
        classes=CLASSES,
        inputs={"apex_flow": np.zeros((n, 1, 1, 3), np.float16)},
        label=(np.arange(n) * 5 // 2 % 3).astype(np.int32),
        subject=subject,
        dataset=np.repeat(SETS, SIZES),
        clip_id=np.array([f"c{i}" for i in range(n)]),
        onset=unknown,
        apex=unknown,
        offset=unknown,
        action_units=np.full(n, ""),
    )


def make_result(clips, folds):
    """Random logits at every evaluation, leaning towards the truth as they go on."""
    generator = np.random.default_rng(12)
    tasks = [
        Task(seed, fold.name, variant)
        for seed in SEEDS
        for variant in range(VARIANTS)
        for fold in folds
    ]
    logits = generator.normal(size=(len(EPOCHS), len(tasks), max(SIZES), len(CLASSES)))
    by_name = {fold.name: fold.test for fold in folds}
    for e in range(len(EPOCHS)):
        for f, task in enumerate(tasks):
            test = by_name[task.fold]
            logits[e, f, np.arange(len(test)), clips.label[test]] += 0.5 * e
    shape = (len(EPOCHS), len(tasks))
    return PackResult(
        tasks=tuple(tasks),
        epoch=np.array(EPOCHS),
        alive=np.ones(shape, bool),
        loss=np.zeros(shape),
        inner_uf1=np.full(shape, np.nan),
        inner_loss=np.full(shape, np.nan),
        test_logits=logits,
        selected=np.full(len(tasks), EPOCHS[-1]),
        seconds=3.0,
        weights={},
    )


def watch_figures(patch):
    """All figures that are saved from now on."""
    drawn, save = [], Figure.savefig

    def watched(figure, *arguments, **options):
        drawn.append(figure)
        return save(figure, *arguments, **options)

    patch.setattr(Figure, "savefig", watched)
    return drawn


def training_loss(drawn):
    """The line of the training loss, among all that was drawn."""
    lines = [line for figure in drawn for axes in figure.axes for line in axes.lines]
    (found,) = [line for line in lines if line.get_label() == "training loss"]
    return found


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The folder of the run, its history and clips, and the figures that were drawn."""
    folder = make_run(tmp_path_factory.mktemp("runs") / "r", classes=CLASSES)
    clips = make_clips()
    # By hand: `make_folds` refuses a class that nobody trains on.
    tested = [(name, clips.subject == name) for name in np.unique(clips.subject)]
    folds = [Fold(n, np.flatnonzero(~t), np.flatnonzero(t)) for n, t in tested]
    result = make_result(clips, folds)
    session = SimpleNamespace(
        experiment=SimpleNamespace(
            protocol=Loso(),
            selection="last",
            batches="own",
            epochs=EPOCHS[-1],
            data=RandomClips(),
            patience=0,
            optim=AdamConfig(),
        ),
        folds=folds,
        clips=clips,
        tasks=list(result.tasks),
        variants=[{"optim.lr": 0.1}, {"optim.lr": 0.2}],
        training_clips=30.0,
    )
    with pytest.MonkeyPatch.context() as patch:
        drawn = watch_figures(patch)
        write_results(session, [result], folder)
    return SimpleNamespace(
        folder=folder, result=result, clips=clips, folds=folds, drawn=drawn
    )


@pytest.fixture(scope="module")
def rows(written):
    """What `predictions.csv` says of the variant that is reported."""
    with (written.folder / "predictions.csv").open(newline="") as file:
        found = [row for row in csv.DictReader(file) if row["variant"] == "0"]
    assert len(found) == len(SEEDS) * sum(SIZES)
    return found


def scores(label, predicted):
    average = {"labels": sorted(set(label)), "average": "macro", "zero_division": 0}
    return {
        "uf1": reference.f1_score(label, predicted, **average),
        "uar": reference.recall_score(label, predicted, **average),
        "acc": reference.accuracy_score(label, predicted),
    }


def seed_mean(rows):
    """Scores pooled over folds within each seed, then averaged."""
    of_seeds = []
    for seed in SEEDS:
        own = [row for row in rows if row["seed"] == str(seed)]
        of_seeds.append(
            scores([row["label"] for row in own], [row["predicted"] for row in own])
        )
    return {name: np.mean([one[name] for one in of_seeds]) for name in SCORES}


def oracle_rows(written):
    """The epoch with the most test clips right, of each task by itself."""
    clips, found = written.clips, []
    test_of = {fold.name: fold.test for fold in written.folds}
    for f, task in enumerate(written.result.tasks):
        if task.variant:
            continue
        test = test_of[task.fold]
        guesses = [
            logits[f, : len(test)].argmax(-1) for logits in written.result.test_logits
        ]
        right = [(guess == clips.label[test]).sum() for guess in guesses]
        for clip, guess in zip(test, guesses[int(np.argmax(right))], strict=True):
            found.append(
                {"seed": str(task.seed), "dataset": clips.dataset[clip]}
                | {"label": CLASSES[clips.label[clip]], "predicted": CLASSES[guess]}
            )
    return found


class Cells(HTMLParser):
    """The tables of a page, as lists of rows of text."""

    def __init__(self):
        super().__init__()
        self.tables, self.inside = [], False

    def handle_starttag(self, tag, attrs):
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("th", "td"):
            self.tables[-1][-1].append("")
            self.inside = True

    def handle_endtag(self, tag):
        self.inside = self.inside and tag not in ("th", "td")

    def handle_data(self, data):
        if self.inside:
            self.tables[-1][-1][-1] += data


def tables(page):
    cells = Cells()
    cells.feed(page)
    return [[[" ".join(c.split()) for c in row] for row in t] for t in cells.tables]


@pytest.fixture(scope="module")
def shown(written):
    """The tables of `report.html`, by the first two words of their headers."""
    found = tables((written.folder / "report.html").read_text())
    return {tuple(table[0][:2]): table[1:] for table in found}


def test_markdown_and_html_have_the_same_tables(written):
    markdown = (written.folder / "report.md").read_text()
    rendered = MarkdownIt("commonmark").enable("table").render(markdown)
    of_html = tables((written.folder / "report.html").read_text())
    assert tables(rendered) == of_html and len(of_html) >= 9


def test_headline(written, rows):
    expected = seed_mean(rows)
    markdown = (written.folder / "report.md").read_text()
    metrics = read_json(written.folder / "metrics.json")
    for name in SCORES:
        assert f"{name.upper()} **{expected[name]:.4f}** (95 % interval" in markdown
        assert metrics[name] == pytest.approx(expected[name])


def test_confusion(written, rows, shown):
    label, predicted = ([row[name] for row in rows] for name in ("label", "predicted"))
    expected = reference.confusion_matrix(label, predicted, labels=CLASSES)
    assert shown["True class", CLASSES[0]] == [
        [name, *map(str, row)] for name, row in zip(CLASSES, expected, strict=True)
    ]
    texts = [text.get_text() for text in written.drawn[0].axes[0].texts]
    assert [int(t) for t in texts if t.isdigit()] == expected.ravel().tolist()
    total = expected.sum(axis=1, keepdims=True)
    shares = np.where(total > 0, 100 * expected / np.maximum(total, 1), np.nan)
    assert [t for t in texts if not t.isdigit()] == [
        "–" if np.isnan(share) else f"{share:.0f} %" for share in shares.ravel()
    ]


def test_classes(rows, shown):
    parts = (reference.f1_score, reference.recall_score, reference.precision_score)
    for name, row in zip(CLASSES, shown["Class", "Clips"], strict=True):
        of_seeds = []
        for seed in SEEDS:
            own = [r for r in rows if r["seed"] == str(seed)]
            true = [r["label"] == name for r in own]
            guess = [r["predicted"] == name for r in own]
            of_seeds.append([part(true, guess, zero_division=0) for part in parts])
        means = [f"{value:.4f}" for value in np.mean(of_seeds, axis=0)]
        assert row == [name, str(sum(true)), *(means if any(true) else ["–"] * 3)]


def test_data_sets_seeds_and_people(written, rows, shown):
    of_oracle = oracle_rows(written)
    for name, subjects, clips, *values in shown["Data set", "Subjects"]:
        own = [r for r in rows if r["dataset"] == name]
        assert int(subjects) == SETS.count(name) == len({r["subject"] for r in own})
        assert int(clips) == len({r["clip"] for r in own})
        expected = seed_mean(own)
        for value, score in zip(values[:3], SCORES, strict=True):
            assert re.match(rf"{expected[score]:.4f} \[0\.\d+, [01]\.\d+\]$", value)
        best = seed_mean([r for r in of_oracle if r["dataset"] == name])
        assert values[3:] == [f"{best[score]:.4f}" for score in ("uf1", "uar")]
    assert [r[0] for r in shown["Data set", "Subjects"]] == sorted(set(SETS))
    for seed, clips, *values in shown["Seed", "Clips"]:
        own = [r for r in rows if r["seed"] == seed]
        found = scores([r["label"] for r in own], [r["predicted"] for r in own])
        assert values == [f"{found[score]:.4f}" for score in SCORES]
        assert int(clips) == len(own)
    people = shown["Data set", "Subject"]
    assert [int(row[2]) for row in people] == list(SIZES)
    for dataset, subject, _, acc in people:
        own = [r for r in rows if (r["dataset"], r["subject"]) == (dataset, subject)]
        right = [r["label"] == r["predicted"] for r in own]
        assert acc == f"{np.mean(right):.4f}"


def test_oracle(written, rows):
    expected = seed_mean(oracle_rows(written))
    markdown = (written.folder / "report.md").read_text()
    values = ", ".join(f"{name.upper()} {expected[name]:.4f}" for name in SCORES)
    assert f"Oracle, inflated: {values}." in markdown
    assert expected["acc"] > seed_mean(rows)["acc"]


def test_scores_of_each_data_set_honest_and_oracle(written, rows):
    with (written.folder / "scores.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    latex = (written.folder / "scores.tex").read_text()
    assert len(found) == 2 * (1 + 3)
    for row in found:
        honest = row["selection"] == "last"
        own = rows if honest else oracle_rows(written)
        if row["part"] == "data set":
            own = [r for r in own if r["dataset"] == row["name"]]
        assert int(row["clips"]) == len(own) / len(SEEDS)
        for name, value in seed_mean(own).items():
            assert float(row[name]) == pytest.approx(value)
            assert 0 <= float(row[f"{name}_low"]) <= float(row[f"{name}_high"]) <= 1
            assert f"& {value:.4f} {{[}}{float(row[f'{name}_low']):.3f}," in latex


def test_figures_are_those_of_the_run(written):
    page = (written.folder / "report.html").read_text()
    inside = re.findall(r"data:image/png;base64,([^\"]+)", page)
    files = [file.read_bytes() for file in (written.folder / "figures").iterdir()]
    assert sorted(map(base64.b64decode, inside)) == sorted(files)
    assert len(files) == len(written.drawn)
    by_epoch = {}
    for line in (written.folder / "progress.jsonl").read_text().splitlines()[1:-1]:
        event = json.loads(line)
        by_epoch.setdefault(event["epoch"], []).append(event["loss"])
    line = training_loss(written.drawn)
    assert line.get_xdata().tolist() == sorted(by_epoch)
    means = [np.mean(by_epoch[epoch]) for epoch in sorted(by_epoch)]
    np.testing.assert_allclose(line.get_ydata(), means)


def many(folder, *, seeds, variants, packs):
    """A run over 40 subjects, with as many tasks as these give."""
    make_run(folder, classes=CLASSES[:3])
    rows = [
        ("set", f"s{s}", f"c{c}", f"s{s}", seed, variant, (s + c) % 3)
        for variant in range(variants)
        for seed in range(seeds)
        for s in range(40)
        for c in range(2)
    ]
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    shares = np.eye(3, dtype=np.float32)[columns[-1]]
    predictions = Predictions(CLASSES[:3], *columns, columns[-1], shares)
    predictions.save(folder / "predictions.csv")
    metrics = read_json(folder / "metrics.json")
    write_json(folder / "metrics.json", metrics | {"variant": 0})
    events = [
        {"event": "evaluation", "pack": pack, "epoch": epoch, "loss": 1 / epoch}
        for pack in range(packs)
        for epoch in (1, 2, 3)
    ]
    lines = "".join(json.dumps(event) + "\n" for event in events)
    (folder / "progress.jsonl").write_text(lines)
    return folder


def test_a_thousand_tasks_are_read_once_and_drawn_like_forty(tmp_path, monkeypatch):
    loads, load = [], Predictions.load
    monkeypatch.setattr(
        Predictions, "load", lambda path: loads.append(path) or load(path)
    )
    drawn = watch_figures(monkeypatch)
    few = many(tmp_path / "few", seeds=1, variants=1, packs=1)
    thousand = many(tmp_path / "thousand", seeds=5, variants=5, packs=1000)
    sizes = []
    for folder in (few, thousand):
        loads.clear()
        drawn.clear()
        write_report(folder)
        sizes.append((len(loads), len(drawn), len(training_loss(drawn).get_xdata())))
        assert len((folder / "report.md").read_text().splitlines()) < 200
    assert sizes[0] == sizes[1] and sizes[0][::2] == (1, 3)
