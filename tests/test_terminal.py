"""A report on one screen: whole lines, and where the rest is."""

import itertools
import re
import sys

import pytest
from test_report import EVIL, make_run

from jmer.cli import main
from jmer.report import write_comparison, write_report
from jmer.report.render.terminal import screen

REST = "All of it: runs/one/report.html and .md"


@pytest.fixture(scope="module")
def markdown(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "one"
    epochs = {"selected": [5] * 4, "oracle": [1, 2, 2, 5]}
    write_report(make_run(folder, epochs=epochs))
    return (folder / "report.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def comparison(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    runs = [make_run(folder / f"run-{i}", name=f"net {i}") for i in range(3)]
    return write_comparison(runs, folder / "out")


@pytest.mark.parametrize("width", [40, 60, 80, 120])
@pytest.mark.parametrize("height", [16, 24, 30])
def test_it_fits(markdown, comparison, width, height):
    for text in (markdown, comparison):
        lines = screen(text, REST, width=width, height=height).splitlines()
        assert len(lines) <= height
        assert max(map(len, lines)) <= width
        assert lines[-1].endswith("report.html and .md") or REST.endswith(lines[-1])


def test_the_scores_come_first(markdown):
    shown = screen(markdown, REST, width=80, height=30)
    score = re.search(r"UF1 \*\*(0\.\d{4})\*\*", markdown)[1]
    assert f"UF1 {score} (95 % interval" in shown
    assert "Per data set" in shown and "Per class" in shown
    assert "**" not in shown and "\\" not in shown and "| " not in shown
    assert "a|b" in shown  # a class, as it is called


def test_tables_keep_their_first_column_and_their_scores(comparison):
    lines = screen(comparison, REST, width=80, height=24).splitlines()
    (head,) = [line for line in lines if line.startswith("Experiment ")][:1]
    assert "UF1 [95 %]" in head
    assert lines.index("What differs") < lines.index(head)
    rows = [line for line in lines if line.startswith("net 1")]
    assert re.search(r"0\.\d{4} \[0\.\d{3}, \d\.\d{3}\]", rows[0])


def test_what_a_page_is_about_is_cut_before_it_is_left_out():
    rows = [f"| run {i} | {i} |" for i in range(50)]
    text = "\n".join(
        ["# Title", "", "## Scores", "", "| Run | Clips |", "| --- | ---: |"]
    )
    shown = screen("\n".join([text, *rows]), REST, width=80, height=24).splitlines()
    assert len(shown) == 24 and shown[-2].startswith("… ")
    hidden = int(re.search(r"\d+", shown[-2])[0])
    assert sum(line.startswith("run ") for line in shown) + hidden == 50


def test_facts_share_a_line_and_code_is_as_it_was():
    text = (
        "# t\n\n- **A**: b\n- **C**: d\\_e\n\n## How\n\n```text\nrun **x** \\_y\n```\n"
    )
    shown = screen(text, REST, width=80, height=24).splitlines()
    assert shown[:2] == ["t", "  A: b · C: d_e"]
    assert "run **x** \\_y" in shown


def test_only_a_terminal_has_less(tmp_path, capsys, monkeypatch):
    folder = make_run(tmp_path / "one")
    assert main(["report", str(folder)]) == 0
    whole = capsys.readouterr().out
    assert whole == (folder / "report.md").read_text(encoding="utf-8") + "\n"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "24")
    assert main(["report", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 24 and str(folder) in "".join(lines[-4:])
    # Of a comparison that is kept nowhere, how to keep it.
    assert main(["report", str(folder), str(make_run(tmp_path / "two"))]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 24 and "--out FOLDER" in lines[-1]


def test_names_from_data_stay_on_their_lines(tmp_path):
    runs = [make_run(tmp_path / n, name=f"{EVIL} {n}\nx") for n in "ab"]
    text = write_comparison(runs, tmp_path / "out")
    lines = screen(text, REST, width=120, height=30).splitlines()
    assert any(line.startswith(f"{EVIL} a x") for line in lines)
    assert all(len(line) <= 120 for line in lines)
    assert not any(a == b == "" for a, b in itertools.pairwise(lines))
