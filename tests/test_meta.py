"""Several sets say together what a hand calculation, and SciPy, say they do."""

import csv
import io
import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats
from several import make, predictions_of, units_of

from jmer.audit.worth import _unit_balance
from jmer.cli import main
from jmer.errors import JmerError
from jmer.report import write_comparison
from jmer.report.meta import meta_analysis
from jmer.report.meta_page import meta_csv, meta_page
from jmer.report.methods import Tried, tried
from jmer.runs.run import read_run
from jmer.scores.meta import combine, random_effects
from jmer.scores.paired import Difference, benjamini_hochberg, holm, paired

SETS = {"casme2": 9, "samm": 12, "smic": 7}


def one(value, p, subjects, error=0.04):
    return Difference("uf1", value, value - 0.08, value + 0.08, p, subjects, error)


def test_stouffer_by_hand():
    # p 0.05 either way is z 1.96, and p 0.3173 is 1; the weights are 4 and 3.
    found = combine([one(0.1, 0.05, 16), one(-0.05, 0.31731, 9)])
    assert_allclose(found.z, (4 * 1.959964 - 3 * 1.0) / 5, rtol=1e-5)
    assert_allclose(found.p, math.erfc(found.z / math.sqrt(2)), rtol=1e-6)
    assert_allclose(found.weights, (4 / 7, 3 / 7))
    assert found.subjects == 25 and found.dissent == (1,)


@pytest.mark.parametrize("seed", range(5))
def test_scipy_combines_alike(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 7))
    sets = [
        one(*row)
        for row in zip(
            rng.normal(0, 0.1, n), rng.uniform(1e-4, 1, n), rng.integers(2, 90, n),
            rng.uniform(0.01, 0.1, n), strict=True,
        )
    ]  # fmt: skip
    found = combine(sets)
    sided = [s.p / 2 if s.value > 0 else 1 - s.p / 2 for s in sets]
    z, p = stats.combine_pvalues(
        sided, "stouffer", weights=np.sqrt([s.subjects for s in sets])
    )
    assert_allclose(found.z, z, rtol=1e-9)
    assert_allclose(found.p, 2 * min(p, 1 - p), rtol=1e-6)
    p = [s.p for s in sets]
    assert_allclose(benjamini_hochberg(p), stats.false_discovery_control(p))


def test_the_mean_difference_by_hand():
    # Weights 1/0.01 and 1/0.04, mean (100 * 0.3 + 25 * 0.05) / 125, and Q as below.
    fixed = (100 * 0.3 + 25 * 0.05) / 125
    q = 100 * (0.3 - fixed) ** 2 + 25 * (0.05 - fixed) ** 2
    tau2 = (q - 1) / (125 - (100**2 + 25**2) / 125)
    weights = [1 / (0.01 + tau2), 1 / (0.04 + tau2)]
    mean = (weights[0] * 0.3 + weights[1] * 0.05) / sum(weights)
    found = random_effects([0.3, 0.05], [0.1, 0.2])
    assert_allclose(found.value, mean)
    assert_allclose(found.between**2, tau2)
    assert_allclose(found.inconsistency, (q - 1) / q)
    assert_allclose(found.high - mean, 1.959964 / math.sqrt(sum(weights)), rtol=1e-6)
    # Where sets agree they are weighed by their subjects alone, and one is itself.
    alike = random_effects([0.1, 0.1], [0.1, 0.2])
    assert alike.between == alike.inconsistency == 0
    assert_allclose(alike.shares, (0.8, 0.2))
    single = random_effects([0.1], [0.05])
    assert_allclose((single.value, single.low), (0.1, 0.1 - 1.959964 * 0.05), rtol=1e-6)
    assert random_effects([0.1237], [0.0713]).inconsistency == 0


def test_sets_that_never_differ_have_no_mean():
    found = combine([one(0.0, 1.0, 9, 0.0), one(0.1, 0.05, 16)])
    assert found.pooled is None and found.dissent == ()
    assert_allclose(found.z, 4 * 1.959964 / 5, rtol=1e-5)
    with pytest.raises(ValueError, match="no set"):
        combine([])


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Three methods: `good` and `fair` on three sets, of which `good` is worse on smic;
    `poor` on one. The sets of `good` are a composite, those of `fair` are apart."""
    place = tmp_path_factory.mktemp("runs")
    good = predictions_of(SETS, 0.8, seed=1, seeds=(0, 1))
    worse = good.dataset == "smic"
    right = np.random.default_rng(4).random(worse.sum()) < 0.35
    good.predicted[worse] = np.where(right, good.label[worse], 2 - good.label[worse])
    made = [make(place / "all", "good", good, protocol=LOSO)]
    fair = predictions_of(SETS, 0.5, seed=2)
    for name in SETS:
        own = fair.where(fair.dataset == name)
        made.append(make(place / name, "fair", own, protocol=LOSO))
    poor = predictions_of({"samm": 12}, 0.3, seed=3)
    made.append(make(place / "poor", "poor", poor, protocol=LOSO))
    return made


LOSO = "leave-one-subject-out"


@pytest.fixture(scope="module")
def meta(runs):
    return meta_analysis(tried([("", folder) for folder in runs]), "uf1")


def test_each_set_has_the_paired_difference_of_its_subjects(runs, meta):
    first, second, third = meta.pairs
    assert (first.first, first.second) == ("good", "fair")
    assert [s.name for s in first.sets] == ["casme2", "samm", "smic"]
    assert [len(pair.sets) for pair in meta.pairs] == [3, 1, 1] and not meta.alone
    good = read_run(runs[0]).shown
    for effect, folder in zip(first.sets, runs[1:4], strict=True):
        own = good.where(good.dataset == effect.name)
        found = paired(own, read_run(folder).shown).overall["uf1"]
        assert effect.found == found and found.subjects == SETS[effect.name]
        assert 0 < found.error < 0.3
    assert first.combined == combine([s.found for s in first.sets])
    assert second.name == "poor − good" and third.name == "poor − fair"


def test_p_is_corrected_for_all_pairs_and_sets(meta):
    p = [pair.combined.p for pair in meta.pairs]
    assert_allclose([pair.holm for pair in meta.pairs], holm(p))
    assert_allclose([pair.bh for pair in meta.pairs], benjamini_hochberg(p))
    every = [s for pair in meta.pairs for s in pair.sets]
    assert_allclose([s.holm for s in every], holm([s.found.p for s in every]))
    assert_allclose(
        [s.bh for s in every], benjamini_hochberg([s.found.p for s in every])
    )


def test_a_set_that_dissents_is_said(meta):
    first = meta.pairs[0]
    values = {s.name: s.found.value for s in first.sets}
    assert values["casme2"] < 0 and values["samm"] < 0 and values["smic"] > 0
    assert first.combined.dissent == (2,) and first.combined.z < 0
    assert first.combined.pooled.inconsistency > 0.5
    # With it, all are less sure than the two that agree.
    two = combine([s.found for s in first.sets[:2]])
    assert abs(first.combined.z) < abs(two.z)
    page = meta_page(meta)
    assert "fair − good: smic says the opposite of the whole." in [
        block.text for block in page.lead
    ]


def test_the_table_has_it_in_full(meta):
    rows = list(csv.DictReader(io.StringIO(meta_csv(meta))))
    assert len(rows) == 3 + 1 + 1 + 3
    whole = [row for row in rows if not row["set"]]
    for row, pair in zip(whole, meta.pairs, strict=True):
        assert float(row["z"]) == pair.combined.z and float(row["p_bh"]) == pair.bh
        assert float(row["difference"]) == pair.combined.pooled.value
        own = [r for r in rows if r["set"] and r["second"] == pair.second]
        own = [r for r in own if r["first"] == pair.first]
        assert [r["set"] for r in own] == [s.name for s in pair.sets]
        assert math.isclose(sum(float(r["weight_z"]) for r in own), 1)


def test_the_command_writes_a_page(runs, tmp_path, capsys):
    words = ["meta", *map(str, runs), "--score", "UAR", "--out", str(tmp_path / "m")]
    assert main(words) == 0
    text = capsys.readouterr().out
    assert "Meta-analysis of 3 methods over 3 data sets" in text
    assert "Stouffer" in text and "DerSimonian" in text and "fair − good" in text
    html = (tmp_path / "m/report.html").read_text()
    assert html.count("data:image/png") == 3 and "UAR difference" in html
    assert (tmp_path / "m/figures/forest-1.png").is_file()
    assert (tmp_path / "m/meta.csv").read_text().startswith("first,second,score,set")
    assert main(["meta", *map(str, runs[:2]), "--out", str(runs[0])]) == 1
    assert "is a run, and keeps its own report" in capsys.readouterr().err


def test_runs_are_named_apart(runs, tmp_path, capsys):
    pair = [str(runs[1]), str(runs[1])]
    assert main(["meta", *pair]) == 1
    said = capsys.readouterr().err.strip()
    assert "are both fair on casme2" in said
    remedy = said.rpartition("as in ")[2]
    assert main(["meta", pair[0], remedy]) == 0
    assert "fair-2 − fair" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "jmer meta needs run directories"),
        (["x="], "'x=': write METHOD=FOLDER"),
        (["=x"], "'=x': write METHOD=FOLDER"),
        (
            ["RUN", "--score", "uf2"],
            "'uf2': no score is called so (did you mean 'uf1'?)",
        ),
    ],
)
def test_words_that_are_no_runs(runs, words, said, capsys):
    assert main(["meta", *(str(runs[0]) if w == "RUN" else w for w in words)]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"kind": "KFold"}, "is Loso, and .* KFold: differences by unlike protocols"),
        ({"protocol": "other, 3 folds"}, "differ in protocol: leave.* give runs that"),
        ({"selection": "inner"}, r"differ in selection of the epoch: last \\| inner"),
        ({"subject_independent": False}, "differ in subjects kept apart: yes"),
    ],
)
def test_runs_that_are_unlike_are_refused(runs, tmp_path, changes, said):
    other = predictions_of({"samm": 12}, 0.5, seed=5)
    made = make(tmp_path / "x", "other", other, **{"protocol": LOSO, **changes})
    with pytest.raises(JmerError, match=said):
        meta_analysis(tried([("", runs[0]), ("", made)]), "uf1")


def test_subjects_that_do_not_pair_are_refused(runs, tmp_path):
    fewer = make(
        tmp_path / "x", "other", predictions_of({"samm": 11}, 0.5), protocol=LOSO
    )
    words = r"do not pair on samm: not the same clips.*'samm11'"
    with pytest.raises(JmerError, match=words):
        meta_analysis(tried([("", runs[0]), ("", fewer)]), "uf1")


def test_methods_that_share_no_set(runs, tmp_path):
    other = make(
        tmp_path / "x", "other", predictions_of({"mmew": 5}, 0.5), protocol=LOSO
    )
    with pytest.raises(JmerError, match="no two methods were tested on the same"):
        meta_analysis(tried([("", runs[0]), ("", other)]), "uf1")
    found = meta_analysis(tried([("", f) for f in (runs[0], runs[1], other)]), "uf1")
    assert found.alone == (("good", "other"), ("fair", "other"))
    said = [block.text for block in meta_page(found).lead]
    assert "good and other share no data set, and are left out." in said


def test_one_person_has_no_spread(tmp_path):
    made = [
        Tried(name, read_run(make(tmp_path / name, name, predictions_of(sets, share))))
        for name, share in (("a", 0.4), ("b", 0.9))
        for sets in ({"solo": 1},)
    ]
    found = meta_analysis(made, "acc")
    assert found.pairs[0].combined.pooled is None
    assert any("There is no mean" in str(s.blocks) for s in meta_page(found).sections)


def test_action_units_are_combined_by_their_own_score(runs, tmp_path, capsys):
    for name, share in (("a", 0.5), ("b", 0.8)):
        found = units_of(predictions_of(SETS, share, seed=2))
        make(tmp_path / name, name, found, protocol=LOSO)
    words = [str(tmp_path / name) for name in "ab"]
    assert main(["meta", *words]) == 0
    text = capsys.readouterr().out
    assert "F1 difference" in text and "b − a" in text
    assert main(["meta", words[0], str(runs[0])]) == 1
    assert "labels of two kinds have no score in common" in capsys.readouterr().err


def test_the_same_units_in_another_order_are_the_same(tmp_path):
    first, second = (
        units_of(predictions_of({"casme2": 4, "samm": 4}, share, seed=i))
        for i, share in enumerate((0.5, 0.8))
    )
    turned = second.in_order(("AU4", "AU1"))
    assert turned.classes == ("AU4", "AU1") and turned.kind is second.kind
    np.testing.assert_array_equal(turned.label[:, 1], second.label[:, 0])
    one, other = paired(first, second), paired(first, turned)
    assert other.overall == one.overall and other.per_class == one.per_class
    folders = [
        make(tmp_path / name, name, found)
        for name, found in (("one", first), ("two", second), ("turned", turned))
    ]
    runs = tried([("", folder) for folder in folders])
    pairs = {pair.name: pair for pair in meta_analysis(runs, "f1").pairs}
    same, exact = pairs["two − one"], pairs["turned − one"]
    assert exact.combined == same.combined
    text = write_comparison(folders[1:], tmp_path / "out")
    assert "other classes" not in text and "not tested on the same clips" not in text
    assert "is inflated" in text
    for i, folder in enumerate(folders[:2]):
        found = (first, second)[i]
        folders[i] = make(folder.parent / f"fit {i}", f"fit{i}", found, oracle=None)
    text = write_comparison(folders[:2], tmp_path / "fits")
    assert "is inflated" not in text  # where there is no oracle


def test_a_clip_without_units_is_called_so():
    found = units_of(predictions_of({"casme2": 2}, 0.5))
    other = replace(found, label=found.label[np.r_[1, 0, 2 : len(found)]])
    with pytest.raises(JmerError, match=r"The first of them is 'none' and 'AU1'"):
        paired(found, other)


@pytest.mark.parametrize(
    ("units", "said"),
    [
        (
            {"AU1": 12, "AU4": 6},
            "12 clips of 20 show AU1, 6 AU4: always answering that",
        ),
        ({"AU1": 12}, "12 clips of 20 show AU1: always answering that it is shown has"),
    ],
)
def test_the_audit_counts_each_unit_once(units, said):
    about = {"n_samples": 20, "n_subjects": 1, "classes": [*units]}
    scores = {"per_class": {name: {"n": n} for name, n in units.items()}, **about}
    assert said in _unit_balance(scores).text
