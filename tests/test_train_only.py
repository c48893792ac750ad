"""Clips that train but are never tested: no fold tests them, and none leaks."""

import dataclasses

import numpy as np
import openpyxl
import pytest
from downloads import write
from toy import make_clips

from data_builders.casme_cubed import CasmeCubed
from jmer.data import check, load
from jmer.data.splits import (
    ClipHoldOut,
    ClipKFold,
    Fold,
    HoldOut,
    KFold,
    Loso,
    audit,
    make_folds,
)
from jmer.errors import JmerError, UsageError
from jmer.train.tasks import InnerSplit, Task, make_table

# Of 5 subjects with 6 clips each, two; everything of a sixth.
EXTRA = np.concatenate([np.tile([0, 0, 0, 0, 1, 1], 5), np.ones(6)]).astype(bool)
ALONE = "s5"


@pytest.fixture
def clips():
    return dataclasses.replace(make_clips(6, 6), train_only=EXTRA)


@pytest.mark.parametrize("protocol", [Loso(), KFold(3), HoldOut(0.4)], ids=repr)
def test_whoever_is_tested_does_not_train(clips, protocol):
    folds = make_folds(protocol, clips)
    assert ALONE not in {fold.name for fold in folds}
    for fold in folds:
        assert not clips.train_only[fold.test].any()
        held_out = np.isin(clips.subject, clips.subject[fold.test])
        assert sorted(fold.train) == np.flatnonzero(~held_out).tolist()
    tested = np.concatenate([fold.test for fold in folds])
    if protocol.exhaustive:
        assert sorted(tested) == np.flatnonzero(~EXTRA).tolist()


@pytest.mark.parametrize("protocol", [ClipKFold(4), ClipHoldOut(0.3)], ids=repr)
def test_all_of_them_train_where_folds_are_of_clips(clips, protocol):
    for fold in make_folds(protocol, clips):
        assert not clips.train_only[fold.test].any()
        assert set(np.flatnonzero(EXTRA)) <= set(fold.train)


@pytest.mark.parametrize("protocol", [Loso(), KFold(3), ClipKFold(4)], ids=repr)
def test_folds_do_not_depend_on_them(clips, protocol):
    kept = np.flatnonzero(~EXTRA)
    columns = {
        f.name: getattr(clips, f.name)[kept]
        for f in dataclasses.fields(clips)
        if f.name not in ("name", "classes", "inputs")
    }
    inputs = {name: value[kept] for name, value in clips.inputs.items()}
    without = dataclasses.replace(clips, **columns, inputs=inputs)
    for one, two in zip(
        make_folds(protocol, clips), make_folds(protocol, without), strict=True
    ):
        assert one.name == two.name
        assert one.test.tolist() == kept[two.test].tolist()


@pytest.mark.parametrize("unit", ["subject", "clip"])
def test_they_never_choose_the_epoch(clips, unit):
    folds = make_folds(Loso(), clips)
    tasks = [Task(seed, fold.name) for seed in range(3) for fold in folds]
    table = make_table(tasks, folds, clips, inner=InnerSplit(0.3, unit))
    for i, task in enumerate(tasks):
        inner = np.asarray(table.inner[i])[np.asarray(table.inner_weight[i]) > 0]
        assert len(inner) and not clips.train_only[inner].any()
        assert not table.train[i][inner].any()
        trained = set(clips.subject[table.train[i]])
        assert task.fold not in trained
        if unit == "subject":
            assert not trained & set(clips.subject[inner])


def test_the_audit_finds_one_that_is_tested(clips):
    folds = make_folds(Loso(), clips)
    extra = np.flatnonzero(EXTRA)[0]
    first = folds[0]
    folds[0] = Fold(first.name, first.train, np.append(first.test, extra))
    with pytest.raises(JmerError, match="clip4 of subject s0 is tested, but is for"):
        audit(folds, clips, exhaustive=True)


def test_a_set_needs_clips_to_test(clips):
    with pytest.raises(JmerError, match="no clip may be tested"):
        dataclasses.replace(clips, train_only=np.ones(len(clips), bool))


def test_the_fingerprint_tells_them(clips):
    plain = make_clips(6, 6)
    assert not plain.train_only.any() and "n_train_only" not in plain.summary()
    assert plain.fingerprint != clips.fingerprint
    assert clips.summary()["n_train_only"] == EXTRA.sum()


# --- macro-expressions of CAS(ME)3

HEADER = ["Subject", "Filename", "Onset", "Apex", "Offset", "AU", "Expression type"]
KINDS = ("Macro-expression", "micro-expression")


def macro_tree(folder):
    """Part A with the sheet of all expressions, of which the first two are macro."""
    tree = write(
        "casme_cubed", folder, classes="objective", source="videos", macro=True
    )
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "AU+Emotion"
    sheet.append([*HEADER, "Objective class"])
    for i, take in enumerate(tree.takes):
        row = [take.key[0], take.key[1].split("_")[0], take.onset, take.apex]
        sheet.append([*row, take.offset, "4", KINDS[i > 1], ("I", "II")[i % 2]])
    book.save(tree.root / "CAS(ME)3_part_A_v2.xlsx")
    del tree.rows[tree.top : tree.top + 2]
    tree.write_sheet()
    return tree, tree.config


def test_macro_expressions_train_only(tmp_path):
    tree, config = macro_tree(tmp_path)
    problems, summary = check(config)
    assert not problems and "for training alone: 2" in summary
    clips = load(config)
    macro = {(t.key[0], f"{t.key[1]}_macro") for t in tree.takes[:2]}
    found = set(zip(clips.subject, clips.clip_id, strict=True))
    assert found == macro | {t.key for t in tree.takes[2:]}
    for i, key in enumerate(zip(clips.subject, clips.clip_id, strict=True)):
        assert clips.train_only[i] == (key in macro)
        if key in macro:
            place = [t.key[1] for t in tree.takes].index(key[1].removesuffix("_macro"))
            assert clips.classes[clips.label[i]] == ("I", "II")[place % 2]


def test_an_expression_is_macro_or_micro(tmp_path):
    _, config = macro_tree(tmp_path)
    path = config.manual_dir / "CAS(ME)3_part_A_v2.xlsx"
    book = openpyxl.load_workbook(path)
    book["AU+Emotion"]["G4"] = "blink"
    book.save(path)
    with pytest.raises(JmerError, match="row 4: unknown expression type 'blink'"):
        check(config)


def test_without_the_sheet_of_all_expressions(tmp_path):
    _, config = macro_tree(tmp_path)
    (config.manual_dir / "CAS(ME)3_part_A_v2.xlsx").unlink()
    with pytest.raises(JmerError, match=r"no annotation sheet .*part_A_v2"):
        check(config)


@pytest.mark.parametrize("fields", [{"classes": "7class"}, {"source": "clips"}])
def test_macro_expressions_have_no_emotion_and_lie_in_videos(fields):
    with pytest.raises(UsageError, match=r"macro=True with .*need classes=objective"):
        CasmeCubed(
            **{"classes": "objective", "source": "videos", "macro": True} | fields
        )
