"""A run directory belongs to one experiment, and nothing foreign is ever deleted."""

import contextlib
import errno
import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jmer.errors import JmerError
from jmer.files import read_json, write_json
from jmer.runs.environment import environment
from jmer.runs.events import EventLog
from jmer.runs.folder import DESCRIPTION, first_difference
from jmer.runs.opening import open_run

IDENTITY = {"epochs": 7, "optim": {"kind": "AdamConfig", "lr": 0.001}}


def description(created="monday", **identity):
    return {
        "identity": {**IDENTITY, **identity},
        "revision": f"of {created}",
        "created": created,
    }


def content(folder):
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in folder.rglob("*")
        if p.is_file()
    }


def test_a_new_folder_is_made(tmp_path):
    folder = tmp_path / "runs" / "mine"
    open_run(folder, description(), overwrite=False)
    assert read_json(folder / DESCRIPTION) == description()
    empty = tmp_path / "empty"
    empty.mkdir()
    open_run(empty, description(), overwrite=False)
    assert read_json(empty / DESCRIPTION) == description()


def test_the_same_experiment_goes_on_where_it_was(tmp_path):
    open_run(tmp_path, description("monday"), overwrite=False)
    (tmp_path / "checkpoint").write_text("half")
    open_run(tmp_path, description("tuesday"), overwrite=False)
    found = read_json(tmp_path / DESCRIPTION)
    assert found["created"] == "monday"
    assert found["revision"] == "of tuesday"
    assert (tmp_path / "checkpoint").read_text() == "half"


@pytest.mark.parametrize(
    ("identity", "words"),
    [
        ({"epochs": 8}, "epochs is 7 there and 8 here"),
        (
            {"optim": {"kind": "AdamConfig", "lr": 0.01}},
            "optim.lr is 0.001 there and 0.01 here",
        ),
        ({"fresh": 3}, "fresh is None there and 3 here"),
    ],
)
def test_another_experiment_is_refused(tmp_path, identity, words):
    open_run(tmp_path, description(), overwrite=False)
    (tmp_path / "checkpoint").write_text("half")
    before = content(tmp_path)
    with pytest.raises(JmerError, match=words) as caught:
        open_run(tmp_path, description(**identity), overwrite=False)
    assert str(tmp_path) in str(caught.value)
    assert "--run-dir" in str(caught.value)
    assert "--overwrite" in str(caught.value)
    assert content(tmp_path) == before


def test_a_folder_whose_run_trained_nothing_is_free(tmp_path, capsys):
    open_run(tmp_path, description(), overwrite=False)
    with contextlib.closing(EventLog(tmp_path)):
        pass
    open_run(tmp_path, description(epochs=8), overwrite=False)
    assert content(tmp_path).keys() == {DESCRIPTION}
    assert read_json(tmp_path / DESCRIPTION)["identity"]["epochs"] == 8
    assert "of which nothing was trained" in capsys.readouterr().err
    open_run(tmp_path, description(epochs=8), overwrite=False)
    assert not capsys.readouterr().err


@pytest.mark.parametrize("name", ["checkpoints/pack-0/1/d", "metrics.json", "my.txt"])
def test_a_folder_with_anything_else_in_it_is_not(tmp_path, name):
    open_run(tmp_path, description(), overwrite=False)
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text("{}")
    before = content(tmp_path)
    with pytest.raises(JmerError, match="is the run of another experiment"):
        open_run(tmp_path, description(epochs=8), overwrite=False)
    assert content(tmp_path) == before


def test_overwrite_replaces_a_run(tmp_path):
    folder = tmp_path / "run"
    open_run(folder, description("monday"), overwrite=False)
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "3").write_text("half")
    open_run(folder, description("tuesday", epochs=9), overwrite=True)
    assert set(content(folder)) == {DESCRIPTION}
    assert read_json(folder / DESCRIPTION) == description("tuesday", epochs=9)


def test_overwrite_makes_what_is_not_there(tmp_path):
    open_run(tmp_path / "run", description(), overwrite=True)
    assert read_json(tmp_path / "run" / DESCRIPTION) == description()


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize(
    "files",
    [
        {"thesis.tex": "years of work"},
        {".hidden": "too"},
        {"thesis.tex": "years of work", DESCRIPTION: '{"title": "of mine"}'},
        {"thesis.tex": "years of work", DESCRIPTION: "[1, 2]"},
        {"thesis.tex": "years of work", DESCRIPTION: '"identity"'},
        {"thesis.tex": "years of work", DESCRIPTION: '{"identity": 3}'},
    ],
    ids=["files", "hidden", "foreign", "list", "text", "number"],
)
def test_a_folder_that_is_no_run_is_never_touched(tmp_path, files, overwrite):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    before = content(tmp_path)
    with pytest.raises(JmerError, match=r"it is no run.*--run-dir") as caught:
        open_run(tmp_path, description(), overwrite=overwrite)
    assert str(tmp_path) in str(caught.value)
    assert content(tmp_path) == before


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_damaged_description_is_named(tmp_path, overwrite):
    (tmp_path / DESCRIPTION).write_text('{"identity": {')
    (tmp_path / "predictions.csv").write_text("kept")
    with pytest.raises(JmerError, match=f"{DESCRIPTION} is not valid JSON"):
        open_run(tmp_path, description(), overwrite=overwrite)
    assert (tmp_path / "predictions.csv").read_text() == "kept"


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_file_is_no_folder(tmp_path, overwrite):
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(JmerError, match=f"{file} is a file: choose another"):
        open_run(file, description(), overwrite=overwrite)
    with pytest.raises(JmerError, match=f"cannot write {file}/below.*Make room"):
        open_run(file / "below", description(), overwrite=overwrite)
    assert file.read_text() == "mine"


LEAF = (
    st.none() | st.integers(-3, 3) | st.text("ab", max_size=2) | st.lists(st.integers())
)
NESTED = st.dictionaries(
    st.sampled_from("abcd"),
    st.recursive(
        LEAF,
        lambda inner: st.dictionaries(st.sampled_from("abcd"), inner),
        max_leaves=5,
    ),
)


def without_none(value):
    """A field that is None says as much as one that is absent."""
    if not isinstance(value, dict):
        return value
    return {k: without_none(v) for k, v in value.items() if v is not None}


@given(NESTED, NESTED)
def test_a_difference_is_found_exactly_if_there_is_one(old, new):
    assert first_difference(old, old) is None
    words = first_difference(old, new)
    assert (words is None) == (without_none(old) == without_none(new))
    back = first_difference(new, old)
    assert (words is None) == (back is None)


@given(NESTED, st.lists(st.sampled_from("efgh"), min_size=1, max_size=4))
def test_a_difference_is_named_by_its_path(fields, path):
    """Paths of other letters, so that the changed leaf is the only difference."""

    def with_leaf(value):
        for name in reversed(path):
            value = {name: value}
        return {**fields, **value}

    words = first_difference(with_leaf(13), with_leaf("x"))
    assert words == f"{'.'.join(path)} is 13 there and x here"


def events(folder):
    return [json.loads(s) for s in (folder / "progress.jsonl").read_text().splitlines()]


def write_event(folder, **event):
    log = EventLog(folder)
    try:
        log.write(event="note", **event)
    finally:
        log.close()


def test_events_are_appended(tmp_path):
    write_event(tmp_path, epoch=1)
    write_event(tmp_path, epoch=2, text="zwölf\nlines")
    assert [event["epoch"] for event in events(tmp_path)] == [1, 2]
    assert events(tmp_path)[1]["text"] == "zwölf\nlines"


@given(st.integers(0, 90))
def test_a_half_written_last_line_is_dropped(tmp_path_factory, cut):
    folder = tmp_path_factory.mktemp("log")
    lines = [json.dumps({"event": "note", "epoch": i}).encode() + b"\n" for i in (1, 2)]
    whole = b"".join(lines)
    (folder / "progress.jsonl").write_bytes(whole[:cut])
    write_event(folder, epoch=3)
    kept = [1, 2][: whole[:cut].count(b"\n")]
    assert [event["epoch"] for event in events(folder)] == [*kept, 3]


def test_a_log_that_cannot_be_written_says_so(tmp_path, monkeypatch):
    with pytest.raises(JmerError, match=f"cannot write {tmp_path}/absent/progress"):
        EventLog(tmp_path / "absent")
    if not os.access("/dev/full", os.W_OK):
        pytest.skip("no /dev/full on this system")
    (tmp_path / "progress.jsonl").symlink_to("/dev/full")
    monkeypatch.setattr(EventLog, "_mend", lambda self: None)  # it would read for ever
    reason = os.strerror(errno.ENOSPC)
    with pytest.raises(JmerError, match=f"progress.jsonl: {reason}"):
        write_event(tmp_path, epoch=1)


def test_the_environment_is_json(tmp_path):
    found = environment()
    write_json(tmp_path / "environment.json", found)
    assert found["device"]["count"] == 8
    assert found["device"]["platform"] == "cpu"
    assert {"jmer", "python", "jax", "numpy"} <= set(found["versions"])


# ---- a run that is replaced

OWN = (
    *("metrics.json", "predictions.csv", "progress.jsonl", "progress-1.jsonl"),
    *("report.md", "report.html", "scores.csv", "scores.tex", "audit.md"),
    *("figures/confusion.png", "thumbnails/00.png", "thumbnails/thumbnails.json"),
    *("spotting/spotting.json", "spotting/frames.csv", "spotting/figures/roc.png"),
    *("explain/EP01/explain.json", "explain/EP01/explain.md"),
    *("explain/EP01/figures/of-its-own.png", "explain/EP02/figures/drawn.png"),
    *("explain/EP02/explain.md", "checkpoints/packs.json"),
    "checkpoints/pack-0000/8-tasks-1f3019a2e0a80fc8/4/arrays/arrays.npz",
    "checkpoints/pack-0000/8-tasks-1f3019a2e0a80fc8/5.orbax-checkpoint-tmp-1/x/y",
    *("checkpoints/pack-0001/6/meta/metadata", ".report.md.0123abcd-1.x.part"),
    "tensorboard-1/events.out.tfevents.123.host",
)
FOREIGN = (
    *("notes.txt", "metrics.json.bak", "my figures/a.png", ".git/config", ".hidden"),
    *("figures/mine.png", "thumbnails/mine.png", "thumbnails/123.png"),
    *("spotting/figures/mine.png", "spotting/notes.txt", "explain/notes.txt"),
    *("explain/EP01/notes.txt", "explain/EP01/figures/mine.png"),
    *("explain/EP03/deep/explain.md", "checkpoints/notes.txt"),
    *("checkpoints/pack-0000/notes.txt", "checkpoints/packs/a", "tensorboard/x"),
    *("other/experiment.json", "other/metrics.json", "other/checkpoints/packs.json"),
    *("Figures/confusion.png", "sub/report.md", "checkpoints/pack-x/4/arrays"),
)


def full(folder):
    for name in (*OWN, *FOREIGN):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    for name in ("explain/EP01/explain.json", "explain/EP02/explain.md"):
        figure = "of-its-own" if "EP01" in name else "drawn"
        (folder / name).write_text(f'"path": "figures/{figure}.png"')


def test_what_is_replaced_is_the_run_and_nothing_else(tmp_path):
    folder, said = tmp_path / "run", []
    open_run(folder, description(), overwrite=False)
    full(folder)
    target = tmp_path / "elsewhere"
    target.mkdir()
    (target / "precious").write_text("kept")
    (folder / "tensorboard-2").symlink_to(target)
    (folder / "figures/subjects.png").symlink_to(target / "precious")
    new = description("tuesday") | {"identity": {"epochs": 9}}
    open_run(folder, new, overwrite=True, say=said.append)
    assert {*content(folder)} == {*FOREIGN, DESCRIPTION, "tensorboard-2/precious"} - {
        "tensorboard-2/precious"
    }
    assert (target / "precious").read_text() == "kept"
    assert not (folder / "figures/subjects.png").is_symlink()
    assert read_json(folder / DESCRIPTION) == new
    assert not (folder / "checkpoints/pack-0001").exists()
    assert len(said) == 1 and "for jmer did not write it" in said[0]
    assert f"{folder}/.git, " in said[0] and "and 1" in said[0]


def test_a_run_without_anything_else_is_replaced_in_silence(tmp_path):
    said = []
    open_run(tmp_path, description(), overwrite=False)
    for name in OWN:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("figures/of-its-own.png figures/drawn.png")
    open_run(tmp_path, description("b"), overwrite=True, say=said.append)
    assert [p.name for p in tmp_path.iterdir()] == [DESCRIPTION] and not said
