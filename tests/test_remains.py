"""What a killed process had begun to write is removed by the next one."""

import os
import subprocess
import sys

import pytest
from holding import ROOT

from jmer.files import write_group, write_text
from jmer.files.remains import PART, aside, is_part
from jmer.runs.folder import contents, owning
from jmer.runs.opening import open_run
from jmer.train.checkpoint import drop_superseded

NOBODY = 2**22 + 1  # beyond the largest number of a process
KILLED = """
import os, signal, sys
from pathlib import Path
from jmer.files import write_group

folder, point, seen = Path(sys.argv[1]), 0, 0
FILES = ("os.rename", "os.remove", "os.mkdir", "open")

def hook(event, given):
    global seen
    if event in FILES:
        seen += 1
        if seen == point:
            os.kill(os.getpid(), signal.SIGKILL)

def states():
    names = ("table.csv", "scores.json")
    return [(folder / n).read_text() if (folder / n).exists() else "" for n in names]

group = lambda text: {"table.csv": text, "scores.json": text}
for point in range(1, 99):
    write_group(folder, group(b"old"))
    child = os.fork()
    if child == 0:
        sys.addaudithook(hook)
        write_group(folder, group(b"new"))
        os._exit(0)
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    table, scores = states()
    assert scores in ("", table), (point, table, scores)
    write_group(folder, group(b"new"))
    assert states() == ["new", "new"]
    assert sorted(os.listdir(folder)) == ["scores.json", "table.csv"], point
    if ended == 0:
        break
print(point - 1)
"""


def part_of(path, process=NOBODY, machine=None):
    """One that a process left behind."""
    handle, mine = aside(path)
    os.close(handle)
    found = PART.fullmatch(mine.name)
    name = mine.name.replace(found[1], machine or found[1])
    return mine.rename(mine.with_name(name.replace(f"-{found[2]}.", f"-{process}.")))


def test_a_group_killed_at_any_operation_is_of_one_kind_and_leaves_nothing(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 7


def test_the_part_of_a_dead_process_is_removed_by_who_writes_the_file(tmp_path):
    file = tmp_path / "metrics.json"
    dead = part_of(file)
    assert is_part(dead)
    write_text(file, "1")
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(
    ("name", "process", "machine"),
    [
        ("metrics.json", os.getppid(), None),  # which lives
        ("metrics.json", NOBODY, "0123abcd"),  # which nobody here knows
        ("predictions.csv", NOBODY, None),  # of another file
    ],
)
def test_no_other_part_is(tmp_path, name, process, machine):
    left = part_of(tmp_path / name, process, machine)
    write_text(tmp_path / "metrics.json", "1")
    assert left.exists()


@pytest.mark.parametrize(
    "name",
    [
        *(".metrics.json", ".metrics.json.part", ".metrics.json.1.part"),
        *(".nfs0000000000a1", ".metrics.json.swp", ".metrics.json.0123abcd-x.y.part"),
    ],
)
def test_files_of_others_are_no_parts(tmp_path, name):
    (tmp_path / name).write_text("mine")
    assert not is_part(tmp_path / name)
    write_group(tmp_path, {"metrics.json": b"1"})
    assert (tmp_path / name).exists()


def test_a_name_as_long_as_can_be(tmp_path):
    file = tmp_path / ("ä" * 120)
    write_text(file, "1")
    dead = part_of(file)
    write_text(file, "2")
    assert not dead.exists() and file.read_text() == "2"


def test_a_run_that_was_killed_before_it_had_a_description_begins(tmp_path):
    """What it had begun to write is no file of somebody else."""
    part_of(tmp_path / "experiment.json")
    assert contents(tmp_path) == []
    with owning(tmp_path):
        open_run(tmp_path, {"identity": {"epochs": 3}}, overwrite=False)
    assert [path.name for path in tmp_path.iterdir()] == ["experiment.json"]


@pytest.mark.parametrize(
    ("steps", "left"),
    [
        (["4"], {"4"}),
        (["3", "4"], {"4"}),
        (["2", "10", "9", "x"], {"10", "x"}),
        ([], set()),
    ],
)
def test_of_a_finished_pack_the_last_checkpoint_stays(tmp_path, steps, left):
    for name in steps:
        (tmp_path / name / "arrays").mkdir(parents=True)
    drop_superseded(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == left
