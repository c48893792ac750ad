"""Tables that went through a spreadsheet: no leak is cleared, and nothing condemned."""

import pytest
from test_audit_foreign import (
    at,
    audited,
    broken,
    finding,
    lists,
    table,
    uf1,
    without,
    write,
)

from jmer.audit.lists import audit_lists
from jmer.data.names import name_keys, plain, word_key

NAMES = {"s0": "001", "s1": "002", "s2": "1-2", "s3": "1000", "s4": "Sub_5"}


def people():
    """Five subjects with names that a spreadsheet can damage."""
    rows = without(table(subjects=5, clips=4), "video", "onset", "offset")
    return [row | dict.fromkeys(("subject", "fold"), NAMES[row["subject"]])
            for row in rows]  # fmt: skip


def leaking(folder, damage):
    """Lists in which all that test a person train on him too, with his name damaged."""
    rows = people()
    lists(folder, rows)
    for number in range(1, 6):
        every = [
            {"subject": damage(row["subject"]), "clip": row["clip"] + "x"}
            for row in rows
        ]
        write(folder / f"train_fold_{number}.csv", every)
    return audit_lists(folder)


DAMAGED = {
    "lost zeros": lambda s: s.lstrip("0"),
    "floats": lambda s: f"{float(s):.1f}" if s.isdigit() else s.upper(),
    "dates": lambda s: {"1-2": "2-Jan", "001": "1"}.get(s, s),
    "padded dates": lambda s: {"1-2": "01-Feb", "001": "1"}.get(s, s),
    "dates with a year": lambda s: {"1-2": "2024-01-02 00:00:00"}.get(s, s),
    "thousands": lambda s: {"1000": "1,000"}.get(s, s),
    "exponents": lambda s: {"1000": "1E+03"}.get(s, s),
    "capitals": str.upper,
    "slashes": lambda s: {"1-2": "01/02"}.get(s, s),
    "a date in letters": lambda s: {"1-2": "1. Februar"}.get(s, s),
    "a French date": lambda s: {"1-2": "01 f\u00e9vr 24"}.get(s, s),
    "a short year": lambda s: {"1-2": "02.01.24"}.get(s, s),
    "an eastern date": lambda s: {"1-2": "2\u67081\u65e5"}.get(s, s),
    "a date as days": lambda s: {"1-2": "45293"}.get(s, s),  # 2024-01-02
    "a letter S": lambda s: {"001": "S01", "Sub_5": "s5"}.get(s, s),
    "a word": lambda s: {"001": "Subject 1", "Sub_5": "Participant-05"}.get(s, s),
    "no word": lambda s: {"Sub_5": "5.0"}.get(s, s),
    "Cyrillic": lambda s: {"Sub_5": "\u0405ub_5"}.get(s, s),
    "Greek": lambda s: {"Sub_5": "Su\u03b2_5"}.get(s, s),
    "a letter for a digit": lambda s: {"1000": "1OOO"}.get(s, s),
    "an accent": lambda s: {"Sub_5": "S\u00fab_5"}.get(s, s),
}
UNSEEN = {
    "blanks": lambda s: f" {s} ",
    "no-break spaces": lambda s: f"{s}\u00a0",
    "full width": lambda s: "".join(
        chr(ord(c) + 0xFEE0) if c.isdigit() else c for c in s
    ),
    "byte order": lambda s: f"\ufeff{s}\u200b",
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_leak_under_another_spelling_is_not_cleared(tmp_path, damage):
    def one_leaks(s):
        """Only those whose name changed: a leak that is written alike is plain."""
        other = DAMAGED[damage](s)
        return other if other != s else f"q{s}"

    found = finding(leaking(tmp_path, one_leaks), "subjects")
    assert found.verdict == "unknown"
    assert "Cannot tell" in found.text and "two spellings: subject '" in found.text


@pytest.mark.parametrize("damage", UNSEEN)
def test_what_cannot_be_seen_counts_for_nothing(tmp_path, damage):
    found = finding(leaking(tmp_path, UNSEEN[damage]), "subjects")
    assert found.verdict == "violation" and "1 of 1, 1 of 1" in found.text


def test_names_of_another_kind_are_not_cleared(tmp_path):
    found = finding(leaking(tmp_path, lambda s: f"person {ord(s[-1])}"), "subjects")
    assert found.verdict == "unknown" and "under other names" in found.text


def test_nothing_is_never_tested_for_its_spelling(tmp_path):
    """Training lists with damaged names and clips: all are tested, so none is condemned
    for that it is not."""
    rows = people()
    lists(tmp_path, rows)
    for number, person in enumerate(NAMES.values(), start=1):
        train = [row for row in rows if row["subject"] != person]
        train = [
            {"subject": row["subject"].lstrip("0"), "clip": row["clip"].upper()}
            for row in train
        ]
        write(tmp_path / f"train_fold_{number}.csv", train)
    audit = audit_lists(tmp_path)
    assert not broken(audit)
    found = finding(audit, "never")
    assert found.verdict == "unknown" and "clip 'C0' and 'c0'" in found.text


def test_clips_that_one_list_tells_apart_are_two(tmp_path):
    rows = [row | {"clip": {"c0": "EP01_5", "c1": "EP01_05"}.get(row["clip"], "c")}
            for row in people() if row["clip"] in ("c0", "c1", "c2")]  # fmt: skip
    lists(tmp_path, rows)
    audit = audit_lists(tmp_path)
    assert audit.sound and finding(audit, "never").verdict == "ok"
    assert finding(audit, "twice").verdict == "ok"


@pytest.mark.parametrize(
    "twin", ["C0", "\u0441\uff10", "c\u0660", "\u04210"], ids=ascii
)
def test_a_clip_that_one_list_has_in_capitals_too(tmp_path, twin):
    rows = people()
    rows.append(rows[0] | {"clip": twin})
    found = finding(audited(tmp_path, rows), "twice")
    if plain(twin) == rows[0]["clip"]:
        assert found.verdict == "violation"
    else:
        assert found.verdict == "unknown" and "clip 'c0'" in found.text


@pytest.mark.parametrize("other", ["CASME II", "Casme-2", "CASMEII", "\u0421ASME 2"])
def test_a_leak_under_another_spelling_of_the_set(tmp_path, other):
    rows = [row | {"dataset": "casme2"} for row in people()]
    twin = rows[0] | {"dataset": other, "clip": "x", "fold": "002"}
    found = finding(audited(tmp_path, [*rows, twin]), "subjects")
    assert found.verdict == "unknown" and "dataset 'casme2'" in found.text


@pytest.mark.parametrize(
    "pair", [("03/04", "3-Apr"), ("3.4", "4. Mar"), ("4_3", "Apr 3")]
)
def test_days_and_months_in_either_order(tmp_path, pair):
    rows = [row for row in people() if row["subject"] in ("001", "Sub_5")]
    name = dict(zip(("001", "Sub_5"), pair, strict=True))
    for row in rows:
        row["subject"] = row["fold"] = name[row["subject"]]
    found = finding(audited(tmp_path, rows), "subjects")
    assert found.verdict == "unknown" and f"subject {pair[0]!r}" in found.text


def test_people_of_two_sets_are_not_one(tmp_path):
    rows = people()
    for row in rows:
        number = row["subject"][-1]
        row["dataset"] = "casme2" if number in "12" else "smic"
        row["subject"] = row["fold"] = f"sub0{number}" if number in "12" else "s02"
    assert finding(audited(tmp_path, rows), "subjects").verdict == "ok"


def test_a_fold_that_tests_somebody_under_two_names(tmp_path):
    rows = people()
    moved = next(row for row in rows if row["subject"] == "001")
    moved |= {"subject": "1", "fold": "002"}
    found = finding(audited(tmp_path, rows), "subjects")
    assert found.verdict == "unknown" and "subject '1' and '001'" in found.text


def test_seeds_whose_clips_are_spelt_otherwise(tmp_path):
    rows = people()
    rows += [row | {"seed": "1", "clip": row["clip"].upper()} for row in rows]
    audit = audited(tmp_path, rows)
    assert not broken(audit) and finding(audit, "never").verdict == "unknown"


@pytest.mark.parametrize(
    "spell",
    [
        str.upper,
        str.capitalize,
        lambda w: f" {w}\u00a0",
        lambda w: f"{w[:2]}\u200b{w[2:]}",
        lambda w: "".join(chr(ord(c) + 0xFEE0) for c in w),
    ],
)
def test_figures_do_not_depend_on_how_labels_are_spelt(tmp_path, spell):
    rows = at(table(), 1)
    stated = f"uf1={uf1(rows):.4f}"
    for row in rows:
        row["label"] = spell(row["label"])
    audit = audited(tmp_path, rows, stated)
    assert finding(audit, "metrics").verdict == "ok" and audit.sound


@pytest.mark.parametrize(
    "spell", ["{}.0", "{}.00", "0{}", "+{}", "{}e0", " {} "], ids=str
)
def test_figures_do_not_depend_on_how_numbers_are_written(tmp_path, spell):
    rows, code = table(), {"negative": "0", "positive": "1", "surprise": "2"}
    stated = f"uf1={uf1(rows):.4f}"
    for row in rows:
        row["label"] = spell.format(code[row["label"]])
        row["predicted"] = code[row["predicted"]]
    assert finding(audited(tmp_path, rows, stated), "metrics").verdict == "ok"


@pytest.mark.parametrize(
    "words",
    [
        {"negative": "0", "positive": "1", "surprise": "2"},
        {"negative": "neg", "positive": "pos", "surprise": "sur"},
        {"surprise": "surprised"},
        {"negative": "1,0"},
    ],
    ids=str,
)
def test_predictions_in_other_words_are_not_judged(tmp_path, words):
    rows = table()
    stated = f"uf1={uf1(rows):.4f}"
    for row in rows:
        row["predicted"] = words.get(row["predicted"], row["predicted"])
    audit = audited(tmp_path, rows, stated)
    assert not broken(audit)
    found = finding(audit, "metrics")
    assert found.verdict == "unknown" and "is no label" in found.text
    assert next(iter(words.values())) in finding(audit, "labels").text


def test_keys_keep_apart_what_is_not_alike():
    values = ["1-2", "2-1", "EP1_1", "EP11", "1.5", "15", "s1", "s11", "sub01_1", "1e"]
    values += ["20200101123456788", "20200101123456789", "9" * 400, "9" * 401]
    values += ["10", "1", "100", "may_1", "a0", "a"]
    key = name_keys(values)
    assert len({key(value) for value in values}) == len(values)
    assert len({*map(word_key, ("1", "10", "1,0", "1,000", "a", "1a"))}) == 6
    assert plain("\ufeff １２\u00a0 x ") == "12 x"
