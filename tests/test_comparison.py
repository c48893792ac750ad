"""What a report says of several runs is what the paired tests found."""

import csv
import io
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from test_report import make_predictions, make_run

from jmer.cli import main
from jmer.errors import JmerError
from jmer.files import read_json, write_json
from jmer.report import write_comparison, write_report
from jmer.report.render import latex
from jmer.scores.paired import holm, paired
from jmer.scores.predictions import Predictions
from jmer.scores.recognition import score

CLASSES = ("joy", "fear_1", "a|b")
SCORES = ("uf1", "uar", "acc")


def make_pair(folder, *, share, name, seed):
    """A run on two data sets; a share of its predictions is put right."""
    make_run(folder, classes=CLASSES, name=name)
    p = make_predictions(CLASSES)
    right = np.random.default_rng(seed).random(len(p)) < share
    sets = np.where(np.isin(p.subject, ["s0", "s1"]), "first-set", "second_set")
    p = replace(p, predicted=np.where(right, p.label, p.predicted), dataset=sets)
    p.save(folder / "predictions.csv")
    about = read_json(folder / "metrics.json")
    write_json(folder / "metrics.json", {**about, **score(p)})
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    place = tmp_path_factory.mktemp("runs")
    makers = (("net_one", 0.0), ("net--two", 0.5), ("three & a half", 0.2))
    return [
        make_pair(place / str(i), share=share, name=name, seed=i)
        for i, (name, share) in enumerate(makers)
    ]


@pytest.fixture(scope="module")
def compared(folders, tmp_path_factory):
    out = tmp_path_factory.mktemp("compared")
    write_comparison(folders, out)
    return out


@pytest.fixture(scope="module")
def pairs(folders):
    first, *others = [Predictions.load(f / "predictions.csv") for f in folders]
    return [paired(first, other) for other in others]


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_markdown_has_the_differences_of_every_run(compared, pairs):
    text = (compared / "report.md").read_text()
    found = [
        [
            cell.replace("\\", "").replace("\xa0", " ").strip()
            for cell in re.split(r"(?<!\\)\|", line)[1:-1]
        ]
        for line in text.splitlines()
        if line.startswith("|")
    ]
    names = ("net--two", "three & a half")
    for i, (name, pair) in enumerate(zip(names, pairs, strict=True)):
        cells = [name]
        for key in SCORES:
            one = pair.overall[key]
            p = [p.overall[key].p for p in pairs]
            cells.append(f"{one.value:+.4f} [{one.low:+.3f}, {one.high:+.3f}]")
            cells.append(f"{one.p:.4f} ({holm(p)[i]:.4f})")
        assert cells in found
        one = pair.per_class["a|b"]
        p = [d.p for q in pairs for d in q.per_class.values()]
        (row,) = [r for r in found if r[:2] == [name, "a|b"]]
        assert row[2].startswith(f"{one.value:+.4f} [")
        assert row[3] == f"{one.p:.4f} ({holm(p)[3 * i + 2]:.4f})"
        (row,) = [r for r in found if r[:2] == [name, "second_set"]]
        assert row[4].startswith(f"{pair.per_dataset['second_set']['uar'].value:+.4f}")
    for what in ("All clips, 2", "Each class, 6", "Each data set, 4"):
        assert f"{what} tests of each score:" in text
    assert "Each run minus net_one" in text and "2 runs are compared" in text


def test_csv_has_every_score_and_difference_in_full(compared, folders, pairs):
    rows = rows_of((compared / "comparison.csv").read_text())
    assert len(rows) == 3 * (3 + 3 + 2 * 3)
    metrics = [read_json(folder / "metrics.json") for folder in folders]
    names = ("net_one", "net--two", "three & a half")
    for name, found, pair in zip(names, metrics, [None, *pairs], strict=True):
        own = {(r["part"], r["name"], r["score"]): r for r in rows if r["run"] == name}
        assert len(own) == 12
        row = own["all", "", "uf1"]
        assert float(row["value"]) == found["uf1"]
        assert [float(row["low"]), float(row["high"])] == found["ci95"]["uf1"]
        row = own["class", "fear_1", "f1"]
        assert float(row["value"]) == found["per_class"]["fear_1"]["f1"]
        assert row["low"] == ""
        row = own["data set", "first-set", "acc"]
        per_dataset = found["per_dataset"]["first-set"]
        assert float(row["value"]) == per_dataset["acc"]
        assert float(row["high"]) == per_dataset["ci95"]["acc"][1]
        if pair is None:
            assert {r["difference"] + r["p"] for r in own.values()} == {""}
            continue
        one = pair.per_dataset["first-set"]["acc"]
        columns = ("difference", "difference_low", "difference_high", "p")
        assert [float(row[c]) for c in columns] == [one.value, one.low, one.high, one.p]
        assert float(row["p_corrected"]) >= one.p
        difference = float(own["all", "", "uar"]["difference"])
        assert difference == pytest.approx(found["uar"] - metrics[0]["uar"])


def test_latex_has_the_same_tables(compared, pairs):
    text = (compared / "comparison.tex").read_text()
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") == 4
    assert text.count(r"\toprule") == text.count(r"\bottomrule") == 4
    one = pairs[0].overall["uf1"]
    assert rf"net-{{}}-two & {one.value:+.4f} {{[}}{one.low:+.3f},~" in text
    assert r"three \& a half & a\textbar{}b & " in text
    for block in re.findall(r"\\toprule(.*?)\\bottomrule", text, re.DOTALL):
        lines = [line for line in block.splitlines() if line.endswith(r"\\")]
        assert len({len(re.split(r"(?<!\\)&", line)) for line in lines}) == 1
        assert len(lines) > 1


def test_runs_that_cannot_be_compared_are_named_with_the_reason(folders, tmp_path):
    other = make_run(tmp_path / "other", classes=CLASSES, name="other", prefix="x ")
    text = write_comparison([folders[0], other, folders[1]], tmp_path / "out")
    text = text.replace("\\", "")
    assert "No paired test of other against net_one is possible: not the same" in text
    assert "of subject 's0' in 'first-set'" in text
    assert "| net--two | +" in text and "1 run is compared" in text
    rows = rows_of((tmp_path / "out/comparison.csv").read_text())
    assert {r["p"] for r in rows if r["run"] == "other"} == {""}


def test_few_subjects_are_pointed_out(tmp_path):
    folders = []
    for name in "ab":
        folder = make_run(tmp_path / name, name=name)
        p = make_predictions(CLASSES, subjects=4)
        p.save(folder / "predictions.csv")
        folders.append(folder)
    text = write_comparison(folders, tmp_path / "out")
    assert "With 4 subjects no p can be below 0.125" in text


def test_given_names_are_used_and_must_differ(folders, tmp_path):
    text = write_comparison(folders[:2], tmp_path, names=["base", "+SAB"])
    assert "Each run minus base" in text and "| +SAB | +" in text.replace("\\", "")
    with pytest.raises(JmerError, match="a name of its own, not base, base"):
        write_comparison(folders[:2], tmp_path, names=["base", "base"])


def test_one_run_is_compared_with_nothing(folders, tmp_path):
    text = write_comparison(folders[:1], tmp_path)
    assert "Paired differences" not in text
    assert (tmp_path / "comparison.tex").read_text().count(r"\begin{table}") == 1


def test_the_command_writes_all_of_it(folders, tmp_path, capsys):
    words = [str(folder) for folder in folders[:2]]
    assert main(["report", *words, "--out", str(tmp_path / "out")]) == 0
    assert "## Paired differences" in capsys.readouterr().out
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"report.md", "report.html", "comparison.csv", "comparison.tex"}
    assert {"scores.csv", "scores.tex"} <= {path.name for path in folders[0].iterdir()}


def test_scores_of_one_run_with_its_oracle(folders, tmp_path):
    folder = make_pair(tmp_path / "r", share=0.3, name="r", seed=9)
    about = read_json(folder / "metrics.json")
    oracle = score(Predictions.load(folders[1] / "predictions.csv"))
    write_json(folder / "metrics.json", {**about, "oracle": oracle})
    write_report(folder)
    rows = rows_of((folder / "scores.csv").read_text())
    assert [(r["name"], r["selection"]) for r in rows] == [
        (name, selection)
        for selection in ("last", "oracle (inflated)")
        for name in ("", "first-set", "second_set")
    ]
    for row, found in zip(rows[::3], (about, oracle), strict=True):
        assert float(row["uf1"]) == found["uf1"]
        ends = [float(row["uar_low"]), float(row["uar_high"])]
        assert ends == found["ci95"]["uar"]
    inner = oracle["per_dataset"]["second_set"]
    assert float(rows[-1]["acc"]) == inner["acc"]
    assert int(rows[-1]["subjects"]) == 4 and int(rows[-1]["clips"]) == 20
    text = (folder / "scores.tex").read_text()
    low, high = inner["ci95"]["uf1"]
    cells = rf"{inner['uf1']:.4f} {{[}}{low:.3f},~{high:.3f}]"
    assert rf"second\_set & oracle (inflated) & 4 & 20 & {cells}" in text


def test_an_oracle_of_older_runs_has_no_interval(tmp_path):
    folder = make_run(tmp_path / "r")
    write_report(folder)
    *_, oracle = rows_of((folder / "scores.csv").read_text())
    assert (oracle["uf1"], oracle["uf1_low"], oracle["clips"]) == ("0.8765", "", "")


COMMANDS = {
    **{name: letter for letter, name in (("\\", "textbackslash"), ("|", "textbar"))},
    **{"textasciitilde": "~", "textasciicircum": "^", "textless": "<"},
    **{"textgreater": ">", "char34": '"', "textquotesingle": "'"},
    **{"textasciigrave": "`", "textendash": "–", "texttimes": "×"},
}


def read_latex(text):
    """What LaTeX makes of escaped text; anything that would act on it is an error."""
    shown, i = "", 0
    pattern = re.compile(
        r"\\([a-z]+\d*)\{\}|\\([&%$#_{}])|\{([\[*])\}|(-)\{\}|(\$-\$)|(~)|([^\\{}$&#^_%~])"
    )
    while i < len(text):
        match = pattern.match(text, i)
        assert match, text[i:]
        command, escaped, braced, dash, minus, tie, plain = match.groups()
        if command:
            shown += COMMANDS[command]
        else:
            shown += escaped or braced or dash or (minus and "-") or plain or "\xa0"
            assert tie or not shown.endswith("\xa0")
        i = match.end()
    return shown


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"])))
@example("--- a_b & 50 % of $x^2$ \\alpha {~} `quoted'' [1] * –")
@example("-0.5")
def test_escaped_text_is_text_to_latex(text):
    escaped = latex.escape_latex(text)
    assert "--" not in escaped and not escaped.startswith(("[", "*"))
    expected = re.sub(r"[^\S\xa0]+", " ", text).strip(" ")
    kept = [c for c in expected if c.isprintable() or c == "\xa0"]
    assert read_latex(escaped) == "".join(kept)


# ---- runs that are not finished


def test_what_is_not_finished_is_named_and_left_out(tmp_path, capsys):
    a, b, c = (make_run(tmp_path / n, name=n) for n in "abc")
    alone = write_comparison([a, b], tmp_path / "ab")
    (c / "metrics.json").unlink()
    assert main(["report", str(a), str(c), str(b), "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr()
    assert f"{c} is not finished, and left out" in said.err
    text = (tmp_path / "out/report.md").read_text(encoding="utf-8")
    assert f"Left out, for it is not finished: {c}" in text.replace("\\", "")
    assert "Comparison of 2 runs" in text and len(text) > len(alone)
    assert "\nc," not in (tmp_path / "out/comparison.csv").read_text(encoding="utf-8")
    # One alone is an error, and so is one that nothing is left beside.
    assert main(["report", str(c)]) == 1
    assert f"{c} has no metrics.json" in capsys.readouterr().err
    assert main(["report", str(c), str(c)]) == 1
    # A single one beside it is a comparison that says so.
    assert main(["report", str(a), str(c)]) == 0
    assert "Left out" in capsys.readouterr().out


def test_seeds_that_have_no_score_yet_are_told_of(tmp_path):
    a, b = (make_run(tmp_path / n, name=n) for n in "ab")
    assert "not finished" not in write_comparison([a, b], tmp_path / "out")
    about = read_json(b / "experiment.json")
    known = read_json(b / "metrics.json")["seeds"]
    about["experiment"]["seeds"] = [*known, 77, 78]
    write_json(b / "experiment.json", about)
    text = write_comparison([a, b], tmp_path / "out")
    assert "Runs that are not finished, for seeds that were asked for have no" in text
    assert "yet: b." in text
    write_report(b)
    assert "77, 78 of its seeds have no score yet" in (b / "report.md").read_text()
    metrics = read_json(b / "metrics.json")
    lost = [{"fold": "x", "seed": s, "variant": 0, "epoch": 1} for s in (77, 78)]
    write_json(b / "metrics.json", metrics | {"diverged": lost})
    write_report(b)
    assert "have no score yet" not in (b / "report.md").read_text()
