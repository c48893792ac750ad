"""Mistakes in what is typed: the error names what was meant, or where help is."""

import re
from pathlib import Path

import pytest
from at_work import EXPERIMENT, RUN, working_in, works_for_help
from remedies import commands, error, option, remedies, said, works


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Where a user is at work."""
    return working_in(tmp_path, monkeypatch)


def test_a_copy_beside_one_that_is_there(folder):
    Path("my 'copy'.py").touch()
    (new,) = commands(error(["new", "quickstart", "--out", "my 'copy'.py"]))
    (run,) = commands(works(new))
    assert works_for_help(run)
    (listed,) = commands(error(["new", "quickstarr"]))
    works(listed)
    (listed,) = commands(error(["new"]))
    works(listed)


OPTIONS = [
    (["run", RUN[1], "--epoch", "3"], "--epochs"),
    (["run", RUN[1], "--engine.packs", "3"], "--engine.pack"),
    (["data", "check", "casme2", "--missing-frame", "x"], "--missing-frames"),
    (["data", "prepare", RUN[1], "--data.subject", "3"], "--data.subjects"),
    (["weights", "measure", "x", "--factor", "3"], "--factors"),
    (["run", RUN[1], "--epochs", "viele"], ""),
    (["run", RUN[1], "--dtype", "float64"], ""),
    (["run", RUN[1], "stray"], ""),
    (["run", RUN[1], "--seeds", "1", "b"], ""),
    (["data", "synthesize", "--layout", "x"], ""),
    (["explain"], ""),
    (["bench", RUN[1], "--chunks", "a"], ""),
    (["list", "tables", "x"], ""),
    (["new", "a", "b"], ""),
]


@pytest.mark.parametrize(("words", "meant"), OPTIONS, ids=lambda v: " ".join(v)[:30])
def test_a_mistake_of_options_is_one_line(folder, words, meant, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    code, text = said(words)
    assert code == 2 and text.startswith("error: ") and text.count("\n") == 1
    assert not re.search("[\u2500-\u257f]", text)
    if meant:
        assert f"did you mean '{meant}'?" in text
    (shown,) = commands(text)
    assert shown[-1] == "--help" and "usage: jmer" in works(shown)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["bench", RUN[1], "--roundz", "3"], "did you mean '--rounds'?"),
        (["bench", RUN[1], "--dtypes", "float3"], "did you mean 'float32'?"),
        (["bench", RUN[1], "--batches", "owns"], "did you mean 'own'?"),
        (["bench", RUN[1], "--chunks", "a"], "'a' is no whole number"),
        (["data", "check", "casme2", "--size", "x"], "--size: 'x' is no whole number"),
        (["run", RUN[1], "--optim.lr", "1,5"], "'1,5' is no number"),
        (["run", RUN[1], "--seeds", "1", "b"], "'1', 'b' are not what it takes"),
    ],
    ids=str,
)
def test_a_mistake_is_said_in_plain_words(folder, words, text):
    code, told = said(words)
    assert code == 2 and text in told
    assert not re.search(r"int\(\)|literal|invalid \w+ value|typing|to float", told)


def test_help_is_as_wide_as_the_terminal(folder, monkeypatch):
    monkeypatch.setenv("COLUMNS", "70")
    lines = works(["data", "check", "casme2", "--help"]).splitlines()
    assert max(map(len, lines)) < 200


def test_names_that_have_changed(folder):
    (typed,) = re.findall(
        r"type `jmer ([^`]+)`", error(["data", "check", "casme2", "--protocol", "megc"])
    )
    assert typed == "data check casme2 --classes megc"


@pytest.mark.parametrize("words", [["run"], ["bench"], ["evaluate"]])
def test_commands_that_need_a_file_say_so(folder, words):
    text = error(words)
    assert "FILE" in text or "file" in text
    if words != ["bench"]:
        assert "jmer list experiments" in works([*words, "--help"])
        works([*words, RUN[1], "--help"])
    for name in ("data check", "data prepare", "pretrain"):
        assert "NAME --help" in works([*name.split(), "--help"])
    assert "WHAT; experiments" in error(["list"])
    works(["list", "experiments"])
    assert "one or more run directories" in error(["report"])
    assert "goes with --table NAME" in error(["report", "x", "--other-data"])


def test_the_audit_says_what_goes_with_what(folder):
    Path("p.csv").write_text(
        "person,clip,label,predicted\na,1,0,0\nb,2,1,1\n", encoding="utf-8"
    )
    text = error(["audit", "--predictions", "p.csv"])
    assert option(text, "--columns") == ["--columns", "subject=COLUMN"]
    said(["audit", "--predictions", "p.csv", "--columns", "subject=person"])
    assert "one of a run directory, --predictions FILE and --folds DIR" in error(
        ["audit"]
    )
    text = error(["audit", "--folds", ".", "--stated", "uf1=1"])
    assert "--stated goes with --predictions FILE" in text
    # Two columns: one is chosen, if names tell them apart.
    Path("p.csv").write_text(
        "subject,Subject,clip,label,predicted\na,a,1,0,0\nb,b,2,1,1\n", encoding="utf-8"
    )
    code, text = said(["audit", "--predictions", "p.csv"])
    if code == 1 and "two columns" in text and "--columns" in text:
        typed = option(text, "--columns")
        assert "two columns" not in said(["audit", "--predictions", "p.csv", *typed])[1]
    Path("p.csv").write_text(
        "subject,subject,clip,label,predicted\na,a,1,0,0\nb,b,2,1,1\n", encoding="utf-8"
    )
    text = error(["audit", "--predictions", "p.csv"])
    assert "--columns" not in text and "Rename one of the two" in text


def test_lists_fit_80_columns_and_say_all(folder, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    tables = works(["list", "tables"])
    for name in re.findall(r"^  jmer run (\S+)$", tables, re.MULTILINE):
        assert works_for_help(["run", name])
        break
    assert tables.count("jmer run experiments/") == len(
        re.findall(r"experiments/[\w/]+\.py$", tables, re.MULTILINE)
    )
    for line in works(["list", "datasets", "--json"]).splitlines():
        if '"what"' in line:
            assert line.rstrip(",").endswith('."')


@pytest.mark.parametrize("action", ["check", "prepare", "show"])
def test_an_experiment_names_its_data_set(folder, action):
    casme2 = EXPERIMENT.replace(
        'RandomClips(shapes=(("apex_flow", (7, 7, 3)),), subjects=3, per_subject=4)',
        "Casme2(size=7, modality='apex-flow')",
    )
    text = f"from data_builders.casme2 import Casme2\n{casme2}"
    Path("data 'e'.py").write_text(text, encoding="utf-8")
    help_ = works(["data", action, "data 'e'.py", "--help"])
    assert "--data.missing-frames" in help_ and "default: 7" in help_
    text = error(["data", action, "data 'e'.py"])
    assert "--data.manual-dir DIR" in text or "manual-dir" in text


def test_what_aman_can_do_without(folder):
    shown = [text for file, text in remedies() if file == "jmer/models/aman.py"]
    assert any("do without by --model.{switch}" in text for text in shown)
    for switch in ("magnify linear", "pretrain none"):
        works(
            [
                "run",
                "aman_casme2",
                f"--model.{switch.split()[0]}",
                switch.split()[1],
                "--help",
            ]
        )
