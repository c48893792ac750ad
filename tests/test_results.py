"""Predictions survive the disk bit for bit; scores agree with scikit-learn."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from sklearn import metrics as reference

from jmer.errors import JmerError
from jmer.scores.predictions import COLUMNS, Predictions
from jmer.scores.recognition import score

CLASSES = ("happiness", "disgust", "surprise")
# NumPy drops trailing NULs of text, and file names have none.
NAME = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


def make(seeds=(3, 8), subjects=5, clips=4, classes=CLASSES, datasets=2):
    """Every clip once per seed; wrong in about a third of the rows."""
    generator = np.random.default_rng(7)
    k = len(classes)
    rows = [
        (f"set{s % datasets}", f"s{s}", f"c{c}", f"fold {s}", seed, 0, (s + c) % k)
        for seed in seeds
        for s in range(subjects)
        for c in range(clips)
    ]
    dataset, subject, clip, fold, seed, variant, label = map(
        np.array, zip(*rows, strict=True)
    )
    logits = generator.normal(size=(len(rows), k)) + 1.5 * np.eye(k)[label]
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return Predictions(
        classes=classes,
        dataset=dataset,
        subject=subject,
        clip=clip,
        fold=fold,
        seed=seed,
        variant=variant,
        label=label,
        predicted=shares.argmax(axis=1),
        probabilities=shares.astype(np.float32),
    )


def assert_same(one, other):
    assert one.classes == other.classes
    for name in (*COLUMNS, "probabilities"):
        assert_array_equal(getattr(one, name), getattr(other, name))


def reference_scores(p):
    average = {"labels": np.unique(p.label), "average": "macro", "zero_division": 0}
    return {
        "acc": reference.accuracy_score(p.label, p.predicted),
        "uf1": reference.f1_score(p.label, p.predicted, **average),
        "uar": reference.recall_score(p.label, p.predicted, **average),
    }


def test_scores_are_pooled_over_folds_and_averaged_over_seeds():
    p = make()
    result = score(p)
    per_seed = [reference_scores(p.select(seed=seed)) for seed in (3, 8)]
    for name in ("acc", "uf1", "uar"):
        values = [scores[name] for scores in per_seed]
        assert result[name] == pytest.approx(np.mean(values))
        assert result["std"][name] == pytest.approx(np.std(values, ddof=1))
        assert [seed[name] for seed in result["per_seed"]] == pytest.approx(values)
        low, high = result["ci95"][name]
        assert low <= result[name] <= high
    of_folds = [reference_scores(p.select(fold=f))["uf1"] for f in np.unique(p.fold)]
    assert result["uf1"] != pytest.approx(np.mean(of_folds))


def test_counts_and_breakdowns():
    p = make()
    result = json.loads(json.dumps(score(p), allow_nan=False))
    assert result["seeds"] == [3, 8]
    assert result["classes"] == list(CLASSES)
    sizes = [result[name] for name in ("n_samples", "n_folds", "n_subjects")]
    assert sizes == [20, 5, 5]
    expected = reference.confusion_matrix(p.label, p.predicted)
    assert result["confusion"] == expected.tolist()
    assert result["per_dataset"]["set0"]["n_samples"] == 12
    assert result["per_dataset"]["set1"]["n_subjects"] == 2
    people = {row["subject"]: row for row in result["per_subject"]}
    mine = p.subject == "s2"
    assert people["s2"]["n"] == 4
    assert people["s2"]["acc"] == pytest.approx(
        (p.label == p.predicted)[mine].mean(),
    )
    f1 = [
        reference.f1_score(q.label, q.predicted, average=None)
        for q in (p.select(seed=3), p.select(seed=8))
    ]
    rows = [result["per_class"][name] for name in CLASSES]
    assert [row["f1"] for row in rows] == pytest.approx(np.mean(f1, axis=0).tolist())
    assert np.mean([row["f1"] for row in rows]) == pytest.approx(result["uf1"])
    assert [row["n"] for row in rows] == np.bincount(p.select(seed=3).label).tolist()


def test_means_over_folds_leave_out_what_a_fold_does_not_test():
    p = make(seeds=(3, 8))
    expected = {"acc": [], "f1": [], "recall": []}
    for seed in (3, 8):
        for fold in np.unique(p.fold).tolist():
            one = p.select(seed=seed, fold=fold)
            options = {"labels": np.unique(one.label), "average": "macro"}
            options["zero_division"] = 0
            true, found = one.label, one.predicted
            expected["acc"].append(np.mean(true == found))
            expected["f1"].append(reference.f1_score(true, found, **options))
            expected["recall"].append(reference.recall_score(true, found, **options))
    found = score(p)["fold_mean"]
    assert found == pytest.approx({name: np.mean(v) for name, v in expected.items()})


def test_data_sets_are_scored_alone():
    p = make(seeds=(0,))
    for name, row in score(p)["per_dataset"].items():
        keep = p.dataset == name
        uf1 = reference.f1_score(p.label[keep], p.predicted[keep], average="macro")
        assert row["uf1"] == pytest.approx(uf1)
        names = (*COLUMNS, "probabilities")
        alone = dataclasses.replace(p, **{n: getattr(p, n)[keep] for n in names})
        assert row["ci95"] == score(alone)["ci95"] != score(p)["ci95"]


def test_one_seed_has_no_deviation_and_an_absent_class_no_score():
    result = score(make(seeds=(0,), classes=(*CLASSES[:2], "fear"), clips=1))
    assert result["std"] is None
    absent = make(seeds=(0,))
    absent = dataclasses.replace(absent, label=absent.label % 2)
    row = score(absent)["per_class"]["surprise"]
    assert row == {"n": 0, "f1": None, "recall": None, "precision": None}


def test_same_clip_name_of_two_subjects_is_two_clips():
    assert score(make(seeds=(0,), subjects=2))["n_samples"] == 8


def test_a_clip_predicted_twice_is_named():
    p = make(seeds=(3,))
    clip = p.clip.copy()
    clip[1] = clip[0]
    twice = dataclasses.replace(p, clip=clip)
    with pytest.raises(JmerError, match=r"'c0' of subject 's0'.*2 times with seed 3"):
        score(twice)


def test_a_clip_with_two_labels_is_named():
    p = make()
    label = p.label.copy()
    label[0] = (label[0] + 1) % 3
    with pytest.raises(JmerError, match=r"'s0', 'c0'.*two labels"):
        score(dataclasses.replace(p, label=label))


def test_variants_are_not_mixed():
    p = make(seeds=(3, 8))
    several = dataclasses.replace(p, variant=(p.seed == 8).astype(int))
    with pytest.raises(JmerError, match=r"select\(variant=0\)"):
        score(several)
    assert score(several.select(variant=1))["seeds"] == [8]


def test_selecting_nothing_names_what_there_is():
    with pytest.raises(JmerError, match="seed 4; there are: 3, 8"):
        make().select(seed=4)


def test_nothing_to_score():
    p = make()
    empty = {name: getattr(p, name)[:0] for name in (*COLUMNS, "probabilities")}
    with pytest.raises(JmerError, match="no predictions"):
        score(Predictions(classes=CLASSES, **empty))


@pytest.mark.parametrize(
    "change", [{"label": np.array([3] * 40)}, {"seed": np.zeros(3, int)}]
)
def test_inconsistent_columns_are_refused(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        dataclasses.replace(make(), **change)


def test_file_is_readable_and_reads_back(tmp_path):
    p = make()
    path = tmp_path / "new" / "predictions.csv"
    p.save(path)
    header, row, *_ = path.read_text().splitlines()
    assert header.startswith("dataset,subject,clip,fold,seed,variant,label,predicted,")
    assert header.endswith("prob_happiness,prob_disgust,prob_surprise")
    assert row.startswith("set0,s0,c0,fold 0,3,0,happiness,")
    assert_same(Predictions.load(path), p)


@settings(max_examples=40)
@given(names=st.lists(NAME, min_size=5, max_size=5), classes=st.sets(NAME, min_size=1))
def test_any_names_read_back(tmp_path_factory, names, classes):
    p = make(seeds=(0,), subjects=1, clips=1, classes=tuple(classes))
    columns = dict(zip(("dataset", "subject", "clip", "fold"), names, strict=False))
    p = dataclasses.replace(p, **{k: np.array([v]) for k, v in columns.items()})
    path = tmp_path_factory.mktemp("wild") / "p.csv"
    p.save(path)
    assert_same(Predictions.load(path), p)


def edit(path, row, column, value):
    lines = [line.split(",") for line in path.read_text().splitlines()]
    lines[row - 1][lines[0].index(column)] = value
    path.write_text("\n".join(",".join(line) for line in lines))


@pytest.mark.parametrize(
    ("row", "column", "value", "message"),
    [
        (1, "fold", "fald", "row 1 has no column fold"),
        (1, "prob_disgust", "prob_happiness", "repeats column prob_happiness"),
        (3, "label", "joy", "row 3 has unknown label 'joy'; the classes are happiness"),
        (4, "predicted", "", "row 4 has unknown predicted ''"),
        (2, "seed", "one", "row 2 has seed 'one', which is no whole number"),
        (2, "variant", "9" * 30, "which is no whole number"),
        (5, "prob_disgust", "nan", "row 5 has prob_disgust 'nan', which is no number"),
        (5, "prob_disgust", "1e3", "no number from 0 to 1"),
        (2, "clip", "a,b", r"row 2 has 12 values for 11 columns: .*'a', 'b'"),
    ],
)
def test_damage_is_named(tmp_path, row, column, value, message):
    path = tmp_path / "predictions.csv"
    make().save(path)
    edit(path, row, column, value)
    with pytest.raises(JmerError, match=message) as caught:
        Predictions.load(path)
    assert str(path) in str(caught.value)
    assert "run the experiment again" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "has no column dataset"),
        (b"dataset,subject", "no column clip, fold"),
        (",".join((*COLUMNS, "prob_a")).encode(), "no predictions"),
        (b"\xff\xfe\x00", "no CSV file in UTF-8"),
        (b'"open', "no CSV file"),
    ],
)
def test_broken_files(tmp_path, content, message):
    path = tmp_path / "predictions.csv"
    path.write_bytes(content)
    with pytest.raises(JmerError, match=message):
        Predictions.load(path)


def test_missing_file(tmp_path):
    with pytest.raises(JmerError, match=r"cannot read .*none\.csv"):
        Predictions.load(tmp_path / "none.csv")


def test_probabilities_that_do_not_sum_to_one(tmp_path):
    p = make()
    path = tmp_path / "p.csv"
    dataclasses.replace(p, probabilities=p.probabilities / 2).save(path)
    with pytest.raises(JmerError, match=r"row 2 has probabilities that sum to 0\.5"):
        Predictions.load(path)


def test_a_spreadsheet_may_have_saved_it(tmp_path):
    p = make()
    path = tmp_path / "p.csv"
    p.save(path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes() + b"\r\n")
    assert_same(Predictions.load(path), p)


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_any_predictions_give_the_scores_of_scikit_learn(data):
    p = make(seeds=(0,), subjects=data.draw(st.integers(1, 4)))
    some = st.lists(st.integers(0, 2), min_size=len(p), max_size=len(p))
    p = dataclasses.replace(
        p, label=np.array(data.draw(some)), predicted=np.array(data.draw(some))
    )
    result = score(p)
    json.dumps(result, allow_nan=False)
    for name, value in reference_scores(p).items():
        assert result[name] == pytest.approx(value)
