"""A log tells once of each finished task, whenever its process was killed."""

import json
import shutil

import numpy as np
import pytest

from jmer.errors import JmerError
from jmer.files import write_json
from jmer.runs.arrangement import Arrangement, LaidOut, pack_name
from jmer.runs.events import EventLog
from jmer.train.pack import PackResult
from jmer.train.tasks import Task

TASKS = (Task(0, "s1"), Task(0, "s2"), Task(1, "s1", 2))
RESULT = PackResult(
    tasks=TASKS,
    epoch=np.array([1, 2]),
    alive=np.array([[True] * 3, [True, True, False]]),
    loss=np.ones((2, 3)),
    test_logits=np.zeros((2, 3, 1, 2)),
    inner_uf1=np.ones((2, 3)),
    inner_loss=np.ones((2, 3)),
    selected=np.array([2, 1, 2]),
    seconds=1.0,
    weights={},
)


def told(folder) -> None:
    log = EventLog(folder)
    log.write_tasks(RESULT)
    log.close()


def tasks(folder) -> list[tuple]:
    lines = (folder / "progress.jsonl").read_text().splitlines()
    names = ("seed", "fold", "variant", "selected_epoch", "diverged")
    return [tuple(json.loads(line)[name] for name in names) for line in lines]


EXPECTED = [(0, "s1", 0, 2, False), (0, "s2", 0, 1, False), (1, "s1", 2, 2, True)]


def test_what_was_told_is_not_told_again(tmp_path):
    told(tmp_path)
    assert tasks(tmp_path) == EXPECTED
    before = (tmp_path / "progress.jsonl").read_bytes()
    told(tmp_path)
    assert (tmp_path / "progress.jsonl").read_bytes() == before


def test_what_a_killed_process_did_not_get_to_is_told_later(tmp_path):
    told(tmp_path)
    file = tmp_path / "progress.jsonl"
    content = file.read_bytes()
    # Not a word; in the midst of the first line, of the second, and of the last.
    ends = (0, 20, content.index(b"\n") + 5, len(content) - 1)
    for end in ends:
        file.write_bytes(content[:end])
        told(tmp_path)
        assert tasks(tmp_path) == EXPECTED


def described(folder, run: str, tasks=TASKS):
    """An unfinished run, its packs laid out."""
    folder.mkdir()
    write_json(folder / "experiment.json", {"run": run})
    Arrangement({}, (LaidOut(pack_name(0, tasks), tasks, {}),)).write(
        folder / "checkpoints"
    )
    return folder


def test_each_line_says_of_which_run_it_is(tmp_path):
    told(described(tmp_path / "run", "aa"))
    lines = (tmp_path / "run/progress.jsonl").read_text().splitlines()
    assert [json.loads(line)["run"] for line in lines] == ["aa"] * 3
    told(tmp_path / "run")  # which finds it its own


WRONG = {
    "the whole": lambda mine, other: other,
    "behind": lambda mine, other: mine + other,
    "before": lambda mine, other: other + mine,
    "a line": lambda mine, other: mine + other.splitlines(keepends=True)[1],
}


@pytest.mark.parametrize("how", WRONG)
def test_a_log_of_another_run_is_not_gone_on_with(tmp_path, how):
    mine, other = (described(tmp_path / run, run) for run in ("aa", "bb"))
    told(mine)
    told(other)
    file = mine / "progress.jsonl"
    file.write_bytes(WRONG[how](file.read_bytes(), (other / file.name).read_bytes()))
    number = 1 if how in ("the whole", "before") else 4
    with pytest.raises(JmerError, match=f"{file}: event {number} is of another run"):
        EventLog(mine)
    file.unlink()
    told(mine)
    assert tasks(mine) == EXPECTED


def test_a_log_of_other_tasks_that_does_not_say_of_which_run(tmp_path):
    told(tmp_path)
    run = described(tmp_path / "run", "aa", TASKS[:2])
    shutil.copy(tmp_path / "progress.jsonl", run)
    with pytest.raises(JmerError, match="event 3 is of another run"):
        EventLog(run)
