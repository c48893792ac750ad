"""What is wrong with the predictions and the fold lists of others."""

import csv
import itertools
import json

import numpy as np
import pytest
from conftest import SHARED
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from jmer.audit.foreign import audit_predictions
from jmer.audit.foreign_figures import parse_stated
from jmer.audit.lists import audit_lists
from jmer.audit.rows import ListedRow
from jmer.cli import main
from jmer.errors import JmerError, UsageError

WORDS = ("negative", "positive", "surprise")


def table(*, subjects=11, clips=7, seeds=(0,), epochs=(1,), right=0.7, draw=5):
    """A clean LOSO of random predictions: rows of text, a fold for each subject."""
    rng = np.random.default_rng(draw)
    rows = []
    for s, c in itertools.product(range(subjects), range(clips)):
        label = int(rng.integers(3))
        for seed, epoch in itertools.product(seeds, epochs):
            predicted = label if rng.random() < right else int(rng.integers(3))
            rows.append(
                {
                    "dataset": "set",
                    "subject": f"s{s}",
                    "clip": f"c{c}",
                    "fold": f"s{s}",
                    "seed": str(seed),
                    "epoch": str(epoch),
                    "label": WORDS[label],
                    "predicted": WORDS[predicted],
                    "video": "v",
                    "onset": str(100 * c),
                    "offset": str(100 * c + 99),
                }
            )
    return rows


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def without(rows, *names):
    return [{k: v for k, v in row.items() if k not in names} for row in rows]


def broken(audit):
    return {finding.rule for finding in audit.having("violation")}


def finding(audit, rule):
    (found,) = [f for f in audit.findings if f.rule == rule]
    return found


def audited(tmp_path, rows, *stated, **columns):
    path = write(tmp_path / "predictions.csv", rows)
    return audit_predictions(path, parse_stated(stated), columns)


def uf1(rows):
    label, predicted = ([row[k] for row in rows] for k in ("label", "predicted"))
    return f1_score(label, predicted, average="macro", labels=sorted(set(label)))


def at(rows, epoch):
    return [row for row in rows if row["epoch"] == str(epoch)]


def test_clean_predictions_pass(tmp_path):
    rows = table()
    audit = audited(tmp_path, rows, f"uf1={uf1(rows):.4f}")
    assert audit.sound
    kept = {f.rule for f in audit.having("ok")}
    assert {"subjects", "clips", "twice", "frames", "metrics", "pooling"} <= kept
    assert "clips of other folds are taken to train" in finding(audit, "subjects").text


def swap_folds(rows):
    rows[0]["fold"] = rows[-1]["fold"]


def repeat(rows):
    rows.append(dict(rows[3]))


def relabel(rows):
    """With another seed, the clip has another label."""
    rows += [row | {"seed": "1"} for row in rows]
    labels = {row["label"] for row in rows}
    rows[0]["label"] = min(labels - {rows[0]["label"]})


def forget(rows):
    rows += [row | {"seed": "1"} for row in rows[1:]]


@pytest.mark.parametrize(
    ("change", "rules"),
    [
        (swap_folds, {"subjects"}),
        (repeat, {"twice"}),
        (relabel, {"labels"}),
        (forget, {"never"}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_one_flaw_breaks_one_rule(tmp_path, change, rules):
    rows = table()
    change(rows)
    assert broken(audited(tmp_path, rows)) == rules


def test_who_trains_may_be_listed(tmp_path):
    rows = [row | {"split": "test"} for row in table(subjects=4)]
    every = {(row["subject"], row["clip"]): row for row in rows}.values()
    for fold in ("s0", "s1", "s2", "s3"):
        others = [row for row in every if row["subject"] != fold]
        rows += [
            row | {"split": "train", "predicted": "", "fold": fold} for row in others
        ]
    audit = audited(tmp_path, rows)
    assert audit.sound and "taken to train" not in finding(audit, "subjects").text
    # A clip of its own subject, which overlaps no other.
    rows.append(rows[0] | {"split": "train", "clip": "more", "onset": "", "label": ""})
    assert broken(audited(tmp_path, rows)) == {"subjects", "never"}
    # And one that overlaps.
    rows[-1] |= {"onset": "99", "offset": "99"}
    audit = audited(tmp_path, rows)
    assert broken(audit) == {"subjects", "never", "frames"}
    details = finding(audit, "frames").details
    assert [row["tested"] for row in details] == ["set/s0/c0 (0–99)"]


def test_without_folds_and_clips_little_is_known(tmp_path):
    rows = without(table(), "fold", "clip", "video", "onset", "offset", "seed", "epoch")
    audit = audited(tmp_path, rows)
    assert audit.sound
    unknown = {f.rule for f in audit.having("unknown")}
    assert unknown == {
        *("subjects", "clips", "twice", "never", "frames", "labels", "selection"),
        *("metrics", "pooling"),
    }


def folds_of(rows):
    return [
        list(group)
        for _, group in itertools.groupby(rows, key=lambda row: row["subject"])
    ]


@pytest.mark.parametrize("classes", ["tested", "all", "either"])
def test_a_mean_over_folds(tmp_path, classes):
    rows = table(clips=4)
    values = []
    for fold in folds_of(rows):
        label, predicted = ([row[k] for row in fold] for k in ("label", "predicted"))
        labels = {"tested": sorted(set(label)), "all": WORDS, "either": None}[classes]
        values.append(
            f1_score(label, predicted, average="macro", labels=labels, zero_division=0)
        )
    stated = f"uf1={np.mean(values):.4f}"
    assert abs(np.mean(values) - uf1(rows)) > 0.01
    audit = audited(tmp_path, rows, stated)
    assert broken(audit) == {"pooling"}
    assert "mean over folds" in finding(audit, "pooling").text


def test_an_accuracy_averaged_over_folds(tmp_path):
    rows = table(clips=8)
    rows = [r for r in rows if not (r["subject"] < "s5" and r["clip"] > "c2")]
    right = [[r["label"] == r["predicted"] for r in fold] for fold in folds_of(rows)]
    pooled, mean = np.mean(np.concatenate(right)), np.mean([np.mean(r) for r in right])
    assert abs(pooled - mean) > 0.005
    assert not broken(audited(tmp_path, rows, f"acc={pooled:.4f}"))
    assert broken(audited(tmp_path, rows, f"acc={mean:.4f}")) == {"pooling"}


def accuracy(rows):
    return np.mean([row["label"] == row["predicted"] for row in rows])


def best_of_each_fold(rows):
    made = []
    for fold in folds_of(rows):
        made += max((at(fold, e) for e in (1, 2, 3, 4)), key=accuracy)
    return made


def best_for_all(rows):
    return max((at(rows, e) for e in (1, 2, 3, 4)), key=uf1)


@pytest.mark.parametrize("choose", [best_of_each_fold, best_for_all])
def test_an_epoch_chosen_on_test(tmp_path, choose):
    rows = table(epochs=(1, 2, 3, 4), draw=6)
    honest, best = uf1(at(rows, 4)), uf1(choose(rows))
    assert best > honest + 0.005
    assert not broken(audited(tmp_path, rows, f"uf1={honest:.4f}"))
    audit = audited(tmp_path, rows, f"uf1={best:.4f}")
    assert broken(audit) == {"selection"}
    assert "epoch" in finding(audit, "selection").text
    assert broken(audited(tmp_path, rows, "uf1=0.9999")) == {"metrics"}


def test_only_the_chosen_epochs_are_there(tmp_path):
    rows = best_of_each_fold(table(epochs=(1, 2, 3, 4)))
    audit = audited(tmp_path, rows, f"uf1={uf1(rows):.4f}")
    assert finding(audit, "selection").verdict == "warning"
    assert audit.sound


def test_the_best_seed(tmp_path):
    rows = table(seeds=(0, 1, 2))
    each = [uf1([r for r in rows if r["seed"] == s]) for s in "012"]
    assert not broken(audited(tmp_path, rows, f"uf1={np.mean(each):.4f}"))
    audit = audited(tmp_path, rows, f"uf1={max(each):.4f}")
    assert broken(audit) == {"selection"}
    assert "it is the best seed" in finding(audit, "selection").text


@pytest.mark.parametrize(
    ("text", "printed", "other"),
    [
        ("0.85", (0.8451, 0.8549, 0.8599), (0.844, 0.861)),
        ("1", (0.9, 1.0), (0.4,)),
        ("0.8500", (0.85003,), (0.8502, 0.8498)),
    ],
)
def test_a_stated_figure_is_rounded_or_cut(text, printed, other):
    figure = parse_stated([f"UF1={text}"])["uf1"]
    assert all(figure.meets(value) for value in printed)
    assert not any(figure.meets(value) for value in other)


@pytest.mark.parametrize("text", ["uf1", "f1=0.5", "uf1=85", "uf1=x", "uf1=nan"])
def test_a_stated_figure_that_is_none(text):
    with pytest.raises(UsageError, match="must be NAME=VALUE with a name of acc, uf1"):
        parse_stated([text])


def test_a_predicted_word_that_is_no_label(tmp_path):
    rows = table()
    for row in rows:
        row["predicted"] = row["predicted"].upper()
    found = finding(audited(tmp_path, rows), "labels")
    assert found.verdict == "warning" and "NEGATIVE" in found.text


def test_always_the_same_answer_is_not_better(tmp_path):
    rows = table()
    for row in rows:
        row["predicted"] = "negative"
    found = finding(audited(tmp_path, rows), "balance")
    assert found.verdict == "warning" and "not above that by its interval" in found.text
    good = finding(audited(tmp_path, table(right=0.9)), "balance")
    assert good.verdict == "ok"


def lists(folder, rows, *, names=("train_fold_{}.csv", "test_fold_{}.csv")):
    """The folds of a table, as lists."""
    rows = without(rows, "fold", "seed", "epoch", "predicted", "dataset")
    people = list(dict.fromkeys(row["subject"] for row in rows))
    for number, person in enumerate(people, start=1):
        train = [row for row in rows if row["subject"] != person]
        test = [row for row in rows if row["subject"] == person]
        for name, side in zip(names, (train, test), strict=True):
            write(folder / name.format(number), side)
    return folder


def edit(path, change):
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    write(path, change(rows))


def test_clean_lists_pass(tmp_path):
    audit = audit_lists(lists(tmp_path, table()))
    assert audit.sound and "11 folds, 77 clips of 11 subjects; 77 tested" in audit.about
    other = lists(tmp_path / "b", table(), names=("train{}.csv", "test{}.csv"))
    assert audit_lists(other).sound


@pytest.mark.parametrize(
    ("change", "rules"),
    [
        # Another clip of the tested subject trains, and is tested nowhere.
        ("subject", {"subjects", "never"}),
        ("overlap", {"subjects", "never", "frames"}),
        ("both", {"subjects", "clips"}),
        ("twice", {"twice"}),
        ("never", {"never"}),
    ],
)
def test_a_flaw_in_lists(tmp_path, change, rules):
    folder = lists(tmp_path, table(subjects=5))
    with (folder / "test_fold_2.csv").open(newline="") as file:
        tested = list(csv.DictReader(file))
    train, test = folder / "train_fold_2.csv", folder / "test_fold_2.csv"
    more = tested[1] | {"clip": "more"}
    if change == "subject":
        edit(train, lambda rows: [*rows, more | {"onset": "9000", "offset": "9001"}])
    elif change == "overlap":
        edit(train, lambda rows: [*rows, more])
    elif change == "both":
        edit(train, lambda rows: [*rows, tested[1]])
    elif change == "twice":
        edit(test, lambda rows: [*rows, rows[0]])
    else:
        edit(test, lambda rows: rows[1:])
    assert broken(audit_lists(folder)) == rules


def test_the_published_folds_of_hsta(tmp_path, capsys):
    folder = SHARED / "labels/hsta_5fold"
    if not folder.is_dir():
        pytest.skip("the published folds are not on this machine")
    assert main(["audit", "--folds", str(folder), "--out", str(tmp_path)]) == 1
    assert "62 of 68, 54 of 54, 62 of 64, 58 of 59, 64 of 67" in " ".join(
        capsys.readouterr().out.split()
    )
    record = json.loads((tmp_path / "audit.json").read_text())
    found = {one["rule"]: one for one in record["findings"]}
    violations = {rule for rule, one in found.items() if one["verdict"] == "violation"}
    assert violations == {"subjects", "frames"}
    also = [row["of these also train"] for row in found["subjects"]["details"]]
    assert also == [62, 54, 62, 58, 64]
    # Counted apart from this code, by comparing all pairs.
    folds = [row["fold"] for row in found["frames"]["details"]]
    assert [folds.count(str(k)) for k in range(1, 6)] == [3, 4, 0, 3, 2]
    assert "3 clips with an offset before the onset" in record["about"][1]


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ("", "is empty"),
        ("subject,label,predicted\n", "has no rows"),
        ("subject,label\na,b\n", "has no column predicted, but subject, label. Say"),
        ("subject,label,predicted\na,b\n", "line 2 has 2 values for 3 columns"),
        ("subject,label,predicted\na,b,\n", "line 2: predicted is empty"),
        ("subject,label,predicted,seed\na,b,c,x\n", "line 2: seed 'x' is no whole"),
        ("subject,label,predicted,split\na,b,c,val\n", "split 'val' is neither train"),
        ("subject,label,predicted,split\na,b,,train\n", "tests nothing"),
        ("subject,Subject,label,predicted\na,b,c,d\n", "two columns for subject"),
        ('subject,label,predicted\n"a,b,c\n', "is no CSV file"),
    ],
)
def test_a_table_that_is_none(tmp_path, capsys, content, error):
    path = tmp_path / "table.csv"
    path.write_text(content)
    assert main(["audit", "--predictions", str(path)]) == 1
    said = capsys.readouterr().err
    assert error in said and said.count("\n") == 1


def test_columns_that_are_called_otherwise(tmp_path, capsys):
    rows = [
        {"Person": r["subject"], "truth": r["label"], "predicted": r["predicted"]}
        for r in table()
    ]
    path = str(write(tmp_path / "p.csv", rows))
    assert main(["audit", "--predictions", path]) == 1
    assert "has no column subject, but Person" in capsys.readouterr().err
    words = ["--columns", "subject=Person", "label=truth"]
    assert main(["audit", "--predictions", path, *words]) == 0
    assert "no rule is broken" in capsys.readouterr().out
    assert main(["audit", "--predictions", path, "--columns", "who=Person"]) == 2


@pytest.mark.parametrize("mark", [";", "\t"])
def test_other_separators(tmp_path, mark):
    path = write(tmp_path / "p.csv", table())
    path.write_text(path.read_text().replace(",", mark))
    assert audit_predictions(path).sound


def test_a_folder_without_lists(tmp_path, capsys):
    for folder in (tmp_path, tmp_path / "nowhere"):
        assert main(["audit", "--folds", str(folder)]) == 1
    lists(tmp_path / "folds", table(subjects=3))
    (tmp_path / "folds/test_fold_2.csv").unlink()
    assert main(["audit", "--folds", str(tmp_path / "folds")]) == 1
    said = capsys.readouterr().err
    for error in ("no pair of lists", "is no folder", "has no test_fold_2.csv"):
        assert error in said


@pytest.mark.parametrize(
    ("frames", "found"),
    [
        (("J", "3", "9"), ("set/s1/j", 3, 9)),  # letters of videos come in either case
        (("j", "3.0", "3"), ("set/s1/j", 3, 3)),
        (("j", "9", "3"), None),
        (("j", "", "3"), None),
        (("", "3", "9"), None),
    ],
)
def test_the_frames_of_a_row(frames, found):
    values = dict(zip(("video", "onset", "offset"), frames, strict=True))
    assert (
        ListedRow("line 2", {"dataset": "set", "subject": "s1", **values}).span == found
    )


def test_a_missing_file(tmp_path):
    with pytest.raises(JmerError, match=r"cannot read .*No such file"):
        audit_predictions(tmp_path / "none.csv")


def test_hostile_names_stay_in_their_line(tmp_path, capsys):
    rows = table(subjects=3)
    rows[0] |= {"subject": "<script>|\n\x1b[31m"}
    path = write(tmp_path / "p.csv", [*rows, rows[0]])
    assert main(["audit", "--predictions", str(path), "--out", str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert "\x1b" not in out and "<script>" in out
    assert "<script>" not in (tmp_path / "audit.md").read_text()


@settings(max_examples=30, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 5), min_size=2, max_size=6),
    flaw=st.sampled_from(["", "subjects", "twice"]),
    data=st.data(),
)
def test_random_tables(tmp_path_factory, sizes, flaw, data):
    """A clean LOSO breaks no rule; one flaw, wherever it is, breaks its own."""
    rows = [
        {"subject": f"s{s}", "clip": f"{s}-{c}", "fold": f"s{s}", "label": "ab"[c % 2],
         "predicted": data.draw(st.sampled_from("ab"))}
        for s, size in enumerate(sizes)
        for c in range(size)
    ]  # fmt: skip
    place = data.draw(st.integers(0, len(rows) - 1))
    if flaw == "twice":
        rows.append(dict(rows[place]))
    elif flaw:
        mine = rows[place]["subject"]
        other = next(row["subject"] for row in rows if row["subject"] != mine)
        rows.append(rows[place] | {"clip": "more", "fold": other})
    path = write(tmp_path_factory.mktemp("random") / "p.csv", rows)
    assert broken(audit_predictions(path)) == ({flaw} if flaw else set())


def test_a_closed_pipe_costs_neither_files_nor_verdict(tmp_path, monkeypatch):
    rows = "".join(f"{s},c{c},{c},{c}\n" for s in "ab" for c in range(3))
    table = tmp_path / "p.csv"
    table.write_text("subject,clip,label,predicted\n" + rows + "a,c0,0,0\n")

    def closed(*args, **options):
        raise BrokenPipeError

    monkeypatch.setattr("builtins.print", closed)
    out = tmp_path / "out"
    code = main(["audit", "--predictions", str(table), "--out", str(out)])
    assert code == 1 and (out / "audit.json").is_file()


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        *(("acc=80", "acc=0.80"), ("UF1=72.5", "uf1=0.725"), ("uar=85%", "uar=0.85")),
        *(("acc=0,8", "acc=0.8"), ("acc=100%", "acc=1.00"), ("uf1=7.5%", "uf1=0.075")),
        *(("acc=1e9", None), ("acc=-80", None), ("acc=", None), ("acc=1000", None)),
        ("ufl=0.8", "uf1"),
    ],
)
def test_a_percentage_is_answered_with_the_share(text, meant):
    with pytest.raises(UsageError, match="a value from 0 to 1") as refused:
        parse_stated([text])
    assert ("did you mean" in str(refused.value)) == (meant is not None)
    if meant:
        assert f"(did you mean '{meant}'?)" in str(refused.value)
        assert "=" not in meant or parse_stated([meant])
