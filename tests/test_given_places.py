"""What a command is given with --out: what it wrote there is replaced, and no more."""

import shutil

import pytest
from several import make, predictions_of

from jmer.cli import main
from jmer.report import write_report

NAMES = {
    "report": ("report.md", "report.html", "comparison.csv", "comparison.tex"),
    "meta": ("report.md", "report.html", "meta.csv", "figures/forest-1.png"),
    "audit": ("audit.md", "audit.json"),
    "leaderboard": ("board.html",),
}
EACH = [(command, name) for command, names in NAMES.items() for name in names]


@pytest.fixture(name="runs", scope="module")
def _runs(tmp_path_factory):
    place = tmp_path_factory.mktemp("runs")
    return [
        make(place / name, name, predictions_of({"casme2": 3}, share, seed=3))
        for name, share in (("one", 0.5), ("two", 0.7))
    ]


def words(command, runs, out):
    """Of the command, with `out` for a folder; a board is a file in it."""
    if command == "audit":
        return ["audit", "--predictions", str(runs[0] / "predictions.csv"),
                "--out", str(out)]  # fmt: skip
    to = out / "board.html" if command == "leaderboard" else out
    return [command, *map(str, runs), "--out", str(to)]


def stays(line, file, capsys):
    """The command is refused in a line, and nothing in the folder changes."""
    before = {p: p.read_bytes() for p in file.parent.rglob("*") if p.is_file()}
    capsys.readouterr()
    assert main(line) == 2
    error = capsys.readouterr().err
    assert file.name in error and "is there already, and not from" in error
    assert "Choose another place with --out" in error and error.count("\n") == 1
    after = {p: p.read_bytes() for p in file.parent.rglob("*") if p.is_file()}
    assert after == before


@pytest.mark.parametrize(("command", "name"), EACH)
def test_what_is_not_the_commands_stays(command, name, runs, tmp_path, capsys):
    mine = tmp_path / "out" / name
    mine.parent.mkdir(parents=True)
    mine.write_text("<html>{} my own notes\n")
    line = words(command, runs, tmp_path / "out")
    stays(line, mine, capsys)
    if name == NAMES[command][0]:  # as the error says
        assert main(words(command, runs, tmp_path / "another")) in (0, 1)
        assert (tmp_path / "another" / name).is_file()


@pytest.mark.parametrize("command", NAMES)
def test_what_the_command_wrote_is_replaced(command, runs, tmp_path):
    line = words(command, runs, tmp_path / "out")
    first = tmp_path / "out" / NAMES[command][0]
    assert main(line) in (0, 1)
    if command != "leaderboard":
        first.write_text("old")  # beside its page, or its record
    before = first.stat().st_mtime_ns
    assert main(line) in (0, 1)
    assert first.read_text() != "old" and first.stat().st_mtime_ns != before


def test_what_another_command_wrote_stays(runs, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(words("report", runs, out)) == 0
    stays(words("meta", runs, out), out / "report.md", capsys)
    board = ["leaderboard", *map(str, runs), "--out", str(out / "report.html")]
    stays(board, out / "report.html", capsys)


def test_a_runs_own_folder_is_written_as_it_was(runs, tmp_path, capsys):
    run = shutil.copytree(runs[0], tmp_path / "run")
    for name in ("report.md", "report.html", "audit.md"):
        (run / name).write_text("as of an older commit")  # which has no mark
    board = ["leaderboard", str(run), "--out", str(run / "report.html")]
    stays(board, run / "report.html", capsys)
    write_report(run)
    assert "older commit" not in (run / "report.md").read_text()
    assert main(["audit", str(run)]) in (0, 1)
    assert "older commit" not in (run / "audit.md").read_text()
    assert main(["audit", str(run), "--out", str(run)]) in (0, 1)
    stays(board, run / "report.html", capsys)
