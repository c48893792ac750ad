"""A log tells once of each finished task, whenever its process was killed."""

import json

import numpy as np

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
