"""Reports say what the predictions say, and survive hostile names."""

import base64
import hashlib
import json
import re
import struct
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from sklearn import metrics as reference

from jmer.errors import JmerError
from jmer.files import write_bytes, write_json
from jmer.report import write_comparison, write_report
from jmer.report.draw.confusion import confusion_png
from jmer.report.draw.learning import learning_png
from jmer.report.draw.subjects import subjects_png
from jmer.report.pictures import index_of
from jmer.report.render.blocks import Figure
from jmer.report.render.markdown import escape_markdown
from jmer.runs.curves import read_curves
from jmer.scores.predictions import Predictions
from jmer.scores.recognition import score
from jmer.text import duration, flattened, visible

NASTY = ("<b>bold</b>", "a|b", "`x`\n## $y$")
EVIL = "<script>alert(1)</script>"


def make_predictions(classes, *, seeds=(0, 1), subjects=6, clips=5, prefix=""):
    generator = np.random.default_rng(11)
    k = len(classes)
    rows = [
        ("set|1", f"{prefix}s{s}", f"{EVIL}{c}", f"f{s}", seed, 0, (s * c + c) % k)
        for seed in seeds
        for s in range(subjects)
        for c in range(clips)
    ]
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    label = columns[-1]
    logits = generator.normal(size=(len(rows), k)) + 1.2 * np.eye(k)[label]
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    predicted = shares.argmax(axis=1)
    return Predictions(classes, *columns, predicted, shares.astype(np.float32))


def make_run(folder, *, classes=NASTY, name="tiny_net", prefix="", **changes):
    folder.mkdir(parents=True)
    predictions = make_predictions(classes, prefix=prefix)
    predictions.save(folder / "predictions.csv")
    about = {
        "protocol": "loso over 6 subjects",
        "selection": "last",
        "batches": "shared",
        "subject_independent": True,
        "oracle": {"acc": 0.91, "uf1": 0.8765, "uar": 0.9},
        "diverged": [],
        "wall_seconds": 4321.0,
        "throughput": {
            "folds_per_hour": 120.5,
            "clips_per_second": 900.0,
            "seconds_per_fold_epoch": 0.01,
        },
    }
    write_json(folder / "metrics.json", score(predictions) | about | changes)
    experiment = {
        "name": name,
        "command": f"jmer run x.py --note '{EVIL} ``` '",
        "experiment": {"optim": {"lr": 3e-5, "note": EVIL}, "epochs": 50, "sizes": [1]},
        "versions": {"jax": "0.10.2"},
        "device": {"kind": "cpu", "count": 1, "platform": "cpu"},
        "revision": None,
        "data": {
            "name": "fake",
            "config": "flow28",
            "fingerprint": "abc123",
            "n_clips": 30,
            "n_subjects": 6,
            "classes": list(classes),
        },
        "created": "2026-01-02T03:04:05",
    }
    write_json(folder / "experiment.json", experiment)
    events = [
        {"event": "evaluation", "pack": pack, "epoch": epoch, "loss": 2 / epoch + pack}
        | {"test_acc": 1 - 1 / epoch, "inner_uf1": None, "seconds": 1.0}
        for epoch in (1, 2, 5)
        for pack in (0, 1)
    ]
    lines = [json.dumps(event) for event in [{"event": "start"}, *events]]
    (folder / "progress.jsonl").write_text("\n".join(lines) + '\n{"event": "eval')
    return folder


class Collector(HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self):
        super().__init__()
        self.tags, self.attributes, self.text = [], [], ""

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.text += data


def parse(html):
    collector = Collector()
    collector.feed(html)
    return collector


def png_size(content):
    assert content.startswith(b"\x89PNG")
    return struct.unpack(">II", content[16:24])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = make_run(tmp_path_factory.mktemp("runs") / "one")
    write_report(folder)
    return folder


def test_numbers_are_those_of_the_predictions(run):
    p = Predictions.load(run / "predictions.csv")
    per_seed = [p.select(seed=seed) for seed in (0, 1)]
    uf1 = np.mean(
        [reference.f1_score(q.label, q.predicted, average="macro") for q in per_seed]
    )
    uar = np.mean(
        [reference.balanced_accuracy_score(q.label, q.predicted) for q in per_seed]
    )
    acc = reference.accuracy_score(p.label, p.predicted)
    markdown = (run / "report.md").read_text()
    page = parse((run / "report.html").read_text()).text
    for name, value in (("UF1", uf1), ("UAR", uar), ("ACC", acc)):
        assert f"{name} **{value:.4f}** (95 % interval" in markdown
        assert re.search(rf"{name}\s+{value:.4f}\s+95 % interval", page)
    rows = reference.confusion_matrix(p.label, p.predicted)
    assert f"| a\\|b | {rows[1][0]} | {rows[1][1]} | {rows[1][2]} |" in markdown


def test_honest_number_comes_before_the_oracle(run):
    for text in (
        (run / "report.md").read_text(),
        parse((run / "report.html").read_text()).text,
    ):
        assert text.index("UF1") < text.index("inflated") < text.index("0.8765")
        assert text.count("0.8765") == 1


def test_html_is_self_contained_and_escaped(run):
    html = (run / "report.html").read_text()
    page = parse(html)
    assert not {"b", "link", "iframe", "object"} & set(page.tags)
    # One script, and none other may run.
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in html
    assert page.tags.count("script") == 1
    assert not re.search(r"https?://|url\(|@import", html)
    for name, value in page.attributes:
        assert not name.startswith("on")
        assert name != "src" or value.startswith("data:image/png;base64,")
        assert name != "href" or value.startswith("#")  # within the page
    for name in NASTY:
        assert name in page.text
    assert f"{EVIL}1" in page.text
    assert page.tags.count("img") == 3


def test_markdown_tables_hold_together(run):
    tokens = (
        MarkdownIt("commonmark", {"html": True})
        .enable("table")
        .parse((run / "report.md").read_text())
    )
    flat = [token for t in tokens for token in (t, *(t.children or []))]
    # The only HTML is our own <sub>.
    html = {t.content for t in flat if t.type in ("html_inline", "html_block")}
    assert html <= {"<sub>", "</sub>"}
    assert sum(t.type == "image" for t in flat) == 3
    text = [t.content for t in flat if t.type == "text"]
    assert "a|b" in text
    assert "<b>bold</b>" in text
    assert "`x` ## $y$" in text
    (code,) = [t.content for t in flat if t.type == "fence"]
    assert code.strip() == f"jmer run x.py --note '{EVIL} ``` '"
    headings = [
        t.content
        for i, t in enumerate(tokens[1:])
        if (tokens[i].type, tokens[i].tag) == ("heading_open", "h2")
    ]
    assert headings[1:4] == ["Protocol", "Per data set", "Per class"]


def test_report_has_what_a_reader_needs(run):
    markdown = (run / "report.md").read_text()
    for wanted in (
        *("loso over 6 subjects", "last epoch", "shared", "72 min 01 s", "abc123"),
        *("| optim.lr | 3e-05 |", "| epochs | 50 |", "0.10.2", "not a Git checkout"),
        *("| set\\|1 | s0 | 5 |", "120.5 folds per hour", "Clips most often wrong"),
    ):
        assert wanted in markdown
    assert "**Warning.**" not in markdown


def test_figures_have_the_right_size(run):
    width, height = png_size((run / "figures" / "confusion.png").read_bytes())
    assert (width, height) == (round(200 * (0.78 * 3 + 1.7)), round(200 * 3.59))
    width, height = png_size((run / "figures" / "learning.png").read_bytes())
    assert (width, height) == (920, 800)


def test_pictures_that_were_made_later_are_in_the_report(tmp_path):
    folder = make_run(tmp_path / "r")
    curve = {f"{i:02d}": f"{EVIL}{i}" for i in range(1, 6)}
    spotted = {"auc": 0.98765, "frames": 77, "strs": 0.5, "drawn": curve}
    intervals = {"f1": 0.75, "precision": 0.6, "recall": 1.0}
    write_json(folder / "spotting/spotting.json", {**spotted, "intervals": intervals})
    png = confusion_png(np.eye(2, dtype=int), ["a", "b"])
    for name in ("roc", "intensity-01", "intensity-02", "intensity-04"):
        write_bytes(folder / f"spotting/figures/{name}.png", png)
    drawn = [Figure(f"figures/{n}.png", f"{EVIL}{n}", "what it is", png) for n in "ab"]
    for clip in map(str, range(10)):
        index = index_of(f"{EVIL} {clip}", ["It says so."], drawn)
        write_json(folder / f"explain/{clip}/explain.json", index)
        write_bytes(folder / f"explain/{clip}/figures/a.png", png)
    write_report(folder)
    page = parse((folder / "report.html").read_text())
    # Of the run, the curve and two clips, and what is there of eight clips.
    assert page.tags.count("img") == 3 + 3 + 8
    assert page.tags.count("script") == 1
    assert "0.9877" in page.text and "It says so." in page.text
    assert f"What it looked at in {EVIL} 7" in page.text
    markdown = (folder / "report.md").read_text()
    assert "](explain/3/figures/a.png)" in markdown
    assert "](spotting/figures/roc.png)" in markdown


def test_same_run_gives_the_same_bytes(run):
    names = ("report.md", "report.html", "figures/confusion.png")
    before = [(run / name).read_bytes() for name in names]
    write_report(run)
    assert [(run / name).read_bytes() for name in names] == before


def test_warnings_name_what_is_wrong(tmp_path):
    diverged = [
        {"fold": f"f|{i}", "seed": 1, "variant": 0, "epoch": 7} for i in range(14)
    ]
    folder = make_run(tmp_path / "r", subject_independent=False, diverged=diverged)
    (folder / "progress.jsonl").unlink()
    write_report(folder)
    markdown = (folder / "report.md").read_text()
    assert "> **Warning.** This protocol is not subject-independent" in markdown
    assert "14 tasks diverged" in markdown
    assert "fold f\\|0, seed 1, variant 0 (epoch 7); fold f\\|1" in markdown
    assert "and 2 more" in markdown
    assert not (folder / "figures" / "learning.png").exists()
    assert parse((folder / "report.html").read_text()).text.count("Warning.") == 2


def test_seeds_on_different_clips_are_pointed_out(tmp_path):
    folder = make_run(tmp_path / "r")
    found = json.loads((folder / "metrics.json").read_text())
    found["per_seed"][1]["n_samples"] = 25
    write_json(folder / "metrics.json", found)
    write_report(folder)
    assert "all 30 clips (seed 1: 25)" in (folder / "report.md").read_text()


@pytest.mark.parametrize("name", ["metrics.json", "experiment.json", "predictions.csv"])
def test_an_unfinished_run_is_named(tmp_path, name):
    folder = make_run(tmp_path / "r")
    (folder / name).unlink()
    with pytest.raises(JmerError, match=rf"r has no {name}: it is no finished run"):
        write_report(folder)


def test_metrics_of_another_version_are_named(tmp_path):
    folder = make_run(tmp_path / "r")
    write_json(folder / "metrics.json", {"acc": 1})
    with pytest.raises(JmerError, match=r"metrics\.json has no protocol, selection"):
        write_report(folder)


def test_comparison_has_a_row_per_run(tmp_path):
    one = make_run(tmp_path / "one", name="net|one")
    two = make_run(tmp_path / "two", oracle=None, batches=None, wall_seconds=12.34)
    markdown = write_comparison([one, two], tmp_path / "out")
    assert markdown == (tmp_path / "out" / "report.md").read_text()
    found = json.loads((one / "metrics.json").read_text())
    low, high = found["ci95"]["uf1"]
    header, _, first, second = [
        line for line in markdown.splitlines() if line.startswith("|")
    ][:4]
    assert "Oracle UF1 (inflated)" in header
    assert first.startswith(
        "| net\\|one | loso over 6 subjects | last | shared | 2 | 30"
    )
    assert f"| {found['uf1']:.4f} \\[{low:.3f}, {high:.3f}\\] |" in first
    assert first.endswith("| 0.8765 | 72 min 01 s |")
    assert second.endswith("| – | 12.3 s |")
    assert "**Warning.**" not in markdown
    page = parse((tmp_path / "out" / "report.html").read_text())
    assert "net|one" in page.text


def test_comparison_warns_of_different_clips_and_mixed_subjects(tmp_path):
    one = make_run(tmp_path / "one")
    two = make_run(tmp_path / "two", prefix="other ", subject_independent=False)
    markdown = write_comparison([one, two], tmp_path / "out")
    assert "not tested on the same clips" in markdown
    named = f", and cannot be compared with the others: tiny_net ({two})"
    assert named in markdown.replace("\\", "")
    assert "(subjects mixed)" in markdown


def test_comparison_does_not_replace_the_report_of_a_run(run):
    with pytest.raises(JmerError, match="keeps its own report"):
        write_comparison([run], run)


def test_comparison_of_nothing(tmp_path):
    with pytest.raises(JmerError, match="no run to compare"):
        write_comparison([], tmp_path)


def test_curves_average_packs_and_survive_damage(tmp_path):
    path = tmp_path / "progress.jsonl"

    def line(**fields):
        return json.dumps({"event": "evaluation", "pack": 0} | fields)

    path.write_text(
        "\n".join(
            [
                *('{"event": "task"}', "7", '{"event": "evalu' + line(epoch=1)),
                line(epoch=2, loss=9.0, test_acc=0.5),
                line(epoch=2, loss=1.0, test_acc=0.5),  # resumed: counts instead
                line(epoch=2, pack=1, loss=3.0, test_acc=None),
                line(epoch=1, loss=float("nan"), inner_uf1=None),
                line(epoch=1, loss=4.0)[:-3],
            ]
        )
    )
    curves = read_curves(path)
    assert set(curves) == {"loss", "test_acc"}
    assert [a.tolist() for a in curves["loss"]] == [[2], [2.0]]
    assert [a.tolist() for a in curves["test_acc"]] == [[2], [0.5]]
    assert read_curves(tmp_path / "none") == {}


@pytest.mark.parametrize("k", [1, 2, 7])
def test_confusion_figure_of_any_classes(k):
    confusion = np.arange(k * k).reshape(k, k)
    confusion[0] = 0
    names = ["惊讶", "$x_{", "a very long name of a class indeed", "\t", *"efg"][:k]
    width, height = png_size(confusion_png(confusion, names))
    assert (width, height) == (
        round(200 * (0.78 * k + 1.7)),
        round(200 * (0.78 * k + 1.25)),
    )


def test_learning_figure_of_one_evaluation():
    one = (np.array([3]), np.array([0.5]))
    assert png_size(learning_png({"inner_uf1": one})) == (920, 450)
    assert png_size(learning_png({"loss": one})) == (920, 450)


def test_epochs_are_drawn_where_they_are_known(tmp_path):
    one = (np.array([5, 10, 15]), np.array([0.5, 0.7, 0.6]))
    epochs = {"selected": [15, 15], "oracle": [10, 5]}
    assert png_size(learning_png({"loss": one}, epochs)) == (920, 800)
    folder = make_run(tmp_path / "r", epochs=epochs)
    write_report(folder)
    assert png_size((folder / "figures/learning.png").read_bytes()) == (920, 1150)
    assert "best on the test subject" in (folder / "report.md").read_text()


@pytest.mark.parametrize(("count", "width"), [(1, 720), (20, 1040), (300, 1440)])
def test_subjects_figure_of_any_number(count, width):
    rows = [{"subject": f"$s_{i}", "n": 1 + i, "acc": i / count} for i in range(count)]
    assert png_size(subjects_png(rows, 0.5)) == (width, 520)


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1))
@example("__0__")
def test_escaped_text_is_text_to_markdown(text):
    tokens = MarkdownIt("commonmark", {"html": True}).parse(escape_markdown(text))
    flat = [token for t in tokens for token in (t, *(t.children or []))]
    kinds = {token.type for token in flat}
    assert kinds <= {"paragraph_open", "inline", "paragraph_close", "text"}
    shown = "".join(token.content for token in flat if token.type == "text")
    assert shown == visible(" ".join(text.split()))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (12.34, "12.3 s"),
        (99.96, "1 min 40 s"),
        (200, "3 min 20 s"),
        (7500, "2 h 05 min"),
    ],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_options_have_the_names_of_the_command_line():
    nested = {"a": {"b": 1, "c": {"d": [1, None]}}, "e": {}, "f": "text"}
    expected = [("a.b", "1"), ("a.c.d", "[1, null]"), ("e", "{}"), ("f", "text")]
    assert list(flattened(nested)) == expected
