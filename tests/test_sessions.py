"""Sittings of a subject: from the column of a table to the verdict of an audit."""

import csv
import dataclasses
import datetime
import json

import cv2
import numpy as np
import openpyxl
import pytest
from toy import make_clips

from data_builders.folder import Folder
from data_builders.folder.sittings import session_name
from jmer.audit.roster import Roster
from jmer.audit.shared_sessions import check_sessions
from jmer.cli import main
from jmer.data import load, prepare
from jmer.data.maker import builder_of
from jmer.data.on_disk import on_disk
from jmer.data.splits import ClipKFold, Loso, make_folds
from jmer.errors import JmerError, UsageError
from jmer.files import write_json
from jmer.runner.outcome import join, predict
from jmer.runs.table import ClipTable
from jmer.scores.predictions import Predictions
from jmer.train.tasks import Task

SEALED = ("sealed", "seal")
SIZE = 28
HEADER = ["clip", "subject", "label"]


@pytest.fixture(name="mine", scope="module")
def _mine(tmp_path_factory):
    """Six folders of three frames, of two people."""
    folder = tmp_path_factory.mktemp("mine")
    rng = np.random.default_rng(0)
    for n in range(6):
        (folder / f"c{n}").mkdir()
        for i in range(1, 4):
            picture = rng.integers(0, 256, (SIZE, SIZE, 3), np.uint8)
            cv2.imwrite(f"{folder}/c{n}/{i}.png", picture)
    return folder


def table(folder, name, sessions, called="session"):
    header = [*HEADER, called] if sessions is not None else HEADER
    rows = [[f"c{n}", f"p{n // 3}", "ab"[n % 2]] for n in range(6)]
    if sessions is not None:
        rows = [[*row, cell] for row, cell in zip(rows, sessions, strict=True)]
    path = folder / name
    if path.suffix == ".xlsx":
        book = openpyxl.Workbook()
        for row in (header, *rows):
            book.active.append(row)
        book.save(path)
    else:
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([header, *rows])
    return path


def data_of(path, **fields):
    return Folder(
        table=str(path), modality="clip", resample="uniform", frames=3, size=SIZE,
        data_dir=path.parent / f"made-{path.stem}", **fields,
    )  # fmt: skip


def sessions_of(path, **fields):
    builder = builder_of(data_of(path, **fields))
    assert builder.problems() == []
    return [session.session for session in builder.sessions()], builder


DAY = datetime.datetime(2024, 5, 1)


@pytest.mark.parametrize(
    "name, cells, expected",
    [
        ("a.csv", ["1", "1.0", "01", "x", "", "-"], ["1", "1", "01", "x"]),
        ("b.xlsx", [1, 1.0, "01", 2.5, None, "n/a"], ["1", "1", "01", "2.5"]),
        ("c.xlsx", [DAY, DAY, DAY.date(), "2024-05-01", "1/5", DAY.replace(hour=9)],
         [*["2024-05-01"] * 4, "1/5", "2024-05-01 09:00:00"]),
        ("d.csv", ["  morning ", "Sitzung 2", "é", "é", "None", "nan"],
         ["morning", "Sitzung 2", "é", "é"]),
    ],
)  # fmt: skip
def test_cells_name_sittings(mine, name, cells, expected):
    assert sessions_of(table(mine, name, cells))[0] == expected


def test_a_column_may_be_called_otherwise(mine):
    cells = list("aabbcc")
    assert sessions_of(table(mine, "e.csv", cells, "Sitting"))[0] == cells
    other = table(mine, "f.csv", cells, "Tag")
    assert sessions_of(other)[0] == []
    assert sessions_of(other, columns=("session=Tag",))[0] == cells


def test_what_may_be_one_sitting_is_said(mine):
    path = table(mine, "g.csv", ["S1", "s 01", "S10", "S1", "", "S2"])
    _, builder = sessions_of(path)
    (said,) = [note for note in builder.notes() if "sessions" in note]
    assert "'S1' and 's 01' of subject 'p0' are taken for two" in said
    assert "sessions: 5, of 2 subjects; clips without one: 1" in builder.summary()


@pytest.mark.parametrize(
    "names, pairs",
    [
        (["syn01", "SYN01"], ["'syn01' and 'SYN01'"]),
        (["1", "01", "2"], ["'1' and '01'"]),
        (["007", "7", "07"], ["'007' and '7'", "'007' and '07'"]),
        (["EP01", "\u0415\u042001"], ["'EP01' and '\u0415\u042001'"]),
        (["Subject 3", "s03", "sub_3"], ["'Subject 3' and 's03'"]),
        (["J\u00f6rg", "jorg", "Anna M", "anna-m"], ["'Anna M' and 'anna-m'"]),
        (["a", "b"], []),
        (["01a", "1b", "10"], []),
        (["A/1", "B/1"], []),  # of two data sets
    ],
)
def test_who_may_be_one_person_is_said(mine, capsys, names, pairs):
    split = [name.rpartition("/")[::2] for name in names]
    rows = [
        [f"c{n}", name, "ab"[n % 2], dataset]
        for n, (dataset, name) in enumerate((split * 3)[:6])
    ]
    if rows[0][3]:
        rows = [
            [c, f"{name}.{dataset}", *rest, dataset] for c, name, *rest, dataset in rows
        ]
    path = mine / "people.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([[*HEADER, "dataset"], *rows])
    builder = builder_of(data_of(path))
    said = [note for note in builder.notes() if "one person" in note]
    assert len(said) == bool(pairs) and all(pair in said[0] for pair in pairs)
    words = ["data", "check", "folder", "--table", str(path), "--modality", "clip"]
    assert main([*words, "--data-dir", str(mine / "made")]) == 0
    assert ("note: subjects" in capsys.readouterr().out) == bool(pairs)


def test_one_person_alone_is_said(mine):
    path = table(mine, "alone.csv", None)
    path.write_text(path.read_text().replace("p1", "p0"))
    builder = builder_of(data_of(path))
    assert any("'p0': leave-one-subject-out needs two" in n for n in builder.notes())
    assert builder.summary().startswith("6 clips, 1 subject (3 a, 3 b)")


def test_they_are_kept_with_the_set_and_change_no_other(mine, tmp_path, monkeypatch):
    monkeypatch.setenv("JMER_CACHE", str(tmp_path))
    cells = ["1", "1.0", "2", "1", "1", ""]
    without, blank, told = (
        data_of(table(mine, f"{name}.csv", given))
        for name, given in (("h", None), ("i", [""] * 6), ("j", cells))
    )
    for data in (without, blank, told):
        prepare(data)
    sets = [load(data) for data in (without, blank, told)]
    assert sets[0].session.tolist() == [""] * 6
    assert sets[0].fingerprint == sets[1].fingerprint != sets[2].fingerprint
    plain = dataclasses.replace(sets[2], session=None)
    assert plain.fingerprint == sets[0].fingerprint
    assert sets[2].session.tolist() == ["1", "1", "2", "1", "1", ""]
    kept = json.loads((prepare(without) / "metadata.json").read_text())
    assert "sessions" not in kept
    rows = on_disk(builder_of(told), print)
    assert rows.session.tolist() == sets[2].session.tolist()
    assert rows.fingerprint == sets[2].fingerprint


def test_rows_on_a_disk_of_before_know_of_none(mine, tmp_path, monkeypatch):
    monkeypatch.setenv("JMER_CACHE", str(tmp_path))
    builder = builder_of(data_of(table(mine, "k.csv", None)))
    prepare(builder.data)
    builder = builder_of(builder.data)
    before = on_disk(builder, print)
    (about,) = tmp_path.rglob("rows.json")
    described = json.loads(about.read_text())
    del described["columns"]["session"]
    write_json(about, {k: v for k, v in described.items() if k not in SEALED})
    assert on_disk(builder, print).fingerprint == before.fingerprint


@pytest.fixture(name="clips")
def _clips():
    """Of 3 subjects 6 clips each, two of a sitting; of the last subject, none told."""
    session = [*"aabbcc", *"aabbcc", *[""] * 6]
    return dataclasses.replace(make_clips(3, 6), session=np.array(session))


def predicted(clips):
    logits = np.eye(3)[clips.label]
    tasks = [Task(0, name) for name in ("s0", "s1", "s2")]
    tests = [np.flatnonzero(clips.subject == task.fold) for task in tasks]
    both = zip(tasks, tests, strict=True)
    return join([predict(task, test, logits[test], clips) for task, test in both])


def test_predictions_carry_them(clips, tmp_path):
    told, plain = predicted(clips), predicted(make_clips(3, 6))
    told.save(tmp_path / "told.csv")
    plain.save(tmp_path / "plain.csv")
    header = (tmp_path / "plain.csv").read_text().splitlines()[0]
    assert "session" not in header
    again = Predictions.load(tmp_path / "told.csv")
    assert again.session.tolist() == clips.session.tolist()
    assert Predictions.load(tmp_path / "plain.csv").session is None
    some = ClipTable(again).where(session="b")
    assert [row.session for row in some] == ["b"] * 4
    assert "session" in some.columns and "session" not in ClipTable(plain).columns
    pandas = pytest.importorskip("pandas")
    frame = some.to_dataframe()
    assert isinstance(frame, pandas.DataFrame) and set(frame["session"]) == {"b"}


def verdict(clips, protocol, sessions=True):
    folds = make_folds(protocol, clips)
    names = tuple(clips.names)
    known = zip(names, clips.session.tolist(), strict=True)
    told = {name: session for name, session in known if session and sessions}
    return check_sessions(Roster(names, tuple(folds), (), sessions=told))


def test_sittings_on_both_sides_are_named(clips):
    found = verdict(clips, ClipKFold(3))
    assert found.verdict == "warning" and "6 clips of 18 without" in found.text
    name, fold = found.details[0]["session"], found.details[0]["fold"]
    assert f"fold {fold}, such as {name}" in found.text
    for row in found.details:
        assert row["tested"] == row["trained on"] == 1
        dataset, subject, session = row["session"].split("/")
        both = (clips.subject == subject) & (clips.session == session)
        assert dataset == "toy" and both.sum() == 2
    assert verdict(clips, Loso()).verdict == "ok"
    assert verdict(clips, ClipKFold(3), sessions=False).verdict == "unknown"
    alone = dataclasses.replace(clips, session=clips.clip_id)
    assert verdict(alone, ClipKFold(3)).verdict == "ok"


def test_one_name_of_two_subjects_is_two_sittings(clips):
    """Of each subject, all clips of a sitting are on one side; the other's are not."""
    train = np.flatnonzero(
        ((clips.subject == "s0") & (clips.session == "a"))
        | ((clips.subject == "s1") & (clips.session == "b"))
    )
    rest = np.setdiff1d(np.flatnonzero(clips.session != ""), train)
    fold = dataclasses.replace(
        make_folds(ClipKFold(2), clips)[0], train=train, test=rest
    )
    told = dict(zip(clips.names, clips.session.tolist(), strict=True))
    table = Roster(tuple(clips.names), (fold,), (), sessions=told)
    assert check_sessions(table).verdict == "ok"


def test_a_cell_of_odd_text_stays_a_name():
    for text in ("0", "-1", "1,5", "=1+1", "a/b", "12:30:00"):
        assert session_name(text) == text


EXPERIMENT = """
from data_builders.folder import Folder
from jmer.data.splits import ClipKFold
from jmer.experiment import EngineConfig, Experiment
from jmer.models.ststnet import STSTNetConfig
from jmer.optim import SgdConfig

EXPERIMENT = Experiment(
    model=STSTNetConfig(size=28), epochs=1, optim=SgdConfig(lr=0.01),
    data=Folder(modality="apex-flow", missing_apex="middle", size=28),
    protocol=ClipKFold(3),
    engine=EngineConfig(plan_seconds=0, lowering="patches", devices=1),
)
"""


@pytest.mark.slow
def test_the_audit_of_a_run_warns(mine, capsys):
    (mine / "exp.py").write_text(EXPERIMENT)
    given = table(mine, "l.csv", ["1", "1", "1", "x", "x", "x"])
    words = ["--data.table", str(given), "--data.data-dir", str(mine / "made-l")]
    run = str(mine / "run")
    assert main(["run", str(mine / "exp.py"), *words, "--run-dir", run]) == 0
    header = (mine / "run/predictions.csv").read_text().splitlines()[0]
    assert header.split(",")[8] == "session"
    assert main(["audit", run]) == 0
    record = json.loads((mine / "run/audit.json").read_text())
    (found,) = [f for f in record["findings"] if f["rule"] == "sessions"]
    assert found["verdict"] == "warning" and "folder/p0/1" in found["text"]
    capsys.readouterr()


def test_one_column_is_not_two(mine):
    path = table(mine, "m.csv", None)
    (problem,) = _problems(path, columns=("subject=label",))
    assert "lacks class" in problem and "--columns" in problem
    with pytest.raises(UsageError, match="called 'a' and 'b'; leave out one"):
        data_of(path, columns=("label=a", "label=b"))
    for odd in ("subject=", "subjekt=Who", "Who"):
        with pytest.raises(UsageError, match="such as subject=Who"):
            data_of(path, columns=(odd,))
    # The data set is not what the label is called.
    path = table(mine, "n.csv", list("xyzxyz"), "source")
    made = builder_of(data_of(path, columns=("label=source",)))
    assert made.problems() == [] and made.class_names() == ("x", "y", "z")
    assert {span.dataset for span in made.spans()} == {"folder"}


def _problems(path, **fields):
    try:
        return builder_of(data_of(path, **fields)).problems()
    except JmerError as error:
        return [str(error)]


@pytest.mark.parametrize(
    "cell, name", [("n/a", "folder"), ("-", "folder"), ("a/b", "a/b")]
)
def test_a_data_set_is_named_or_not(mine, cell, name):
    made = builder_of(data_of(table(mine, "o.csv", [cell] * 6, "dataset")))
    assert made.problems() == []
    assert {span.dataset for span in made.spans()} == {name}
