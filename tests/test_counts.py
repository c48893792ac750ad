"""Published numbers of clips, from label tables that only some machines have."""

import collections
import csv

import pytest
from conftest import SHARED

from data_builders.casme2 import Casme2
from data_builders.megc2019 import Megc2019
from data_builders.smic import Smic
from jmer.data.maker import builder_of

# Clips of each subject of SMIC HS.
SMIC = {1: 6, 2: 6, 3: 39, 4: 19, 5: 2, 6: 4, 8: 13, 9: 4, 11: 7, 12: 9, 13: 10, 14: 10}
SMIC |= {15: 4, 18: 7, 19: 2, 20: 22}
HEADER = ["Subject", "Filename", "Onset", "Apex", "Offset", "Emotion"]


def lines(name: str) -> list[dict[str, str]]:
    path = SHARED / "labels" / f"{name}.csv"
    if not path.exists():
        pytest.skip(f"{path.name} is not on this machine")
    with path.open(newline="") as table:
        return list(csv.DictReader(table))


def write_sheet(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    keys = ("subject", "clip", "onset", "apex", "offset", "label")
    with path.open("w", newline="") as table:
        cells = [[row.get(key, "") for key in keys] for row in rows]
        csv.writer(table).writerows([HEADER, *cells])


def write_smic(root, rows):
    for row in rows:
        subject, tag, number = row["clip"].split("_")
        subject = f"s{int(subject[1:])}"
        home = root / "SMIC_all_raw" / "HS" / subject / "micro" / row["label"]
        (home / f"{subject}_{tag}_{number}").mkdir(parents=True)


def test_the_composite_has_442_clips_of_68_subjects(tmp_path):
    listed = lines("megc2019_3class")
    write_sheet(tmp_path / "CASME2-coding.csv", lines("casme2_5class"))
    write_smic(tmp_path, lines("smic_3class"))
    # The table of SAMM holds five classes; what else is negative may be any other.
    words = {row["clip"]: row["label"] for row in lines("samm_5class")}
    samm = [row for row in listed if row["dataset"] == "samm"]
    assert all(row["clip"] in words for row in samm if row["label"] != "negative")
    rest = [
        {**row, "label": words.get(row["clip"], ("disgust", "fear", "sadness")[i % 3])}
        for i, row in enumerate(samm)
    ]
    others = [row for row in lines("samm_5class") if row["label"] == "other"]
    write_sheet(tmp_path / "SAMM_Micro_FACS_Codes_v2.csv", rest + others)

    config = Megc2019(manual_dir=tmp_path, data_dir=tmp_path / "out", source="raw")
    made = [
        (part.data.name, *row.key, label)
        for part in builder_of(config).parts
        for row, label in part.annotation.chosen
    ]
    assert not [
        p for part in builder_of(config).parts for p in part.annotation.problems
    ]
    per_class = collections.Counter(label for *_, label in made)
    assert per_class == {"negative": 250, "positive": 109, "surprise": 83}
    assert len(made) == 442
    sizes = collections.Counter((name, subject) for name, subject, *_ in made)
    assert len(sizes) == 68
    assert sorted(sizes.values()) == sorted(Megc2019.subject_sizes)
    assert {(name, clip, label) for name, _, clip, label in made} == {
        (row["dataset"], row["clip"], row["label"]) for row in listed
    }


@pytest.mark.parametrize("later", [False, True])
def test_casme2_has_246_clips_or_247(later, tmp_path):
    rows = lines("casme2_5class")
    if not later:
        added = ("sub24", "EP02_07")
        rows = [row for row in rows if (row["subject"], row["clip"]) != added]
    write_sheet(tmp_path / "CASME2-coding.csv", rows)
    made = builder_of(Casme2(manual_dir=tmp_path, data_dir=tmp_path / "o")).annotation
    assert not made.problems
    assert len(made.chosen) == (247 if later else 246)
    assert len({row.subject for row, _ in made.chosen}) == 26
    per_class = collections.Counter(label for _, label in made.chosen)
    assert per_class["disgust"] == (64 if later else 63)


def test_smic_has_its_clips_of_each_subject(tmp_path):
    write_smic(tmp_path, lines("smic_3class"))
    config = Smic(manual_dir=tmp_path, data_dir=tmp_path / "out", source="raw")
    made = builder_of(config).annotation.chosen
    sizes = collections.Counter(int(row.subject[1:]) for row, _ in made)
    assert sizes == SMIC and sum(SMIC.values()) == 164
