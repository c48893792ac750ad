"""Published corrections, and the published numbers of clips."""

import collections
import csv

import pytest
from conftest import SHARED
from downloads import CONFIGS

from data_builders.annotation import SheetRow, by_row, correct
from jmer.data.maker import builder_of


def rows(n):
    return [SheetRow("", i, "sub01", f"c{i}", {}, "1", "2", "3") for i in range(n)]


def test_corrections_by_row_belong_to_the_sheet_of_that_length():
    corrections = by_row(5, "apex", {3: 9})
    fixed, changes = correct(rows(5), corrections)
    assert [row.apex for row in fixed] == ["2", "2", "2", "9", "2"]
    assert changes == ["sub01/c3 (data row 3): apex 2 -> 9"]
    assert correct(rows(6), corrections) == (rows(6), [])


def test_corrections_of_casme2_know_both_sheets():
    from data_builders.casme2.casme2_dataset_builder import Builder

    later, _ = correct(rows(256), Builder.corrections)
    first, _ = correct(rows(255), Builder.corrections)
    assert [r.apex for r in first] == [r.apex for r in later[:222] + later[223:]]
    assert sum(r.apex != "2" for r in later) == 21
    assert (later[29].apex, later[238].apex, later[60].offset) == ("279", "98", "91")


# The published numbers, from label tables that only some machines have.
TABLES = {
    "casme2": "CASME2-coding-20140508",
    "samm": "SAMM_Micro_FACS_Codes_v2",
    "casme_cubed": "cas(me)3_part_A_ME_label_JpgIndex_v2",
}


def published(name, file, header, cells, tmp_path, **fields):
    """What a labelling makes of the real rows, without frames."""
    path = SHARED / "labels" / file
    if not path.exists():
        pytest.skip(f"{file} is not on this machine")
    with path.open(newline="") as table:
        lines = [cells(line) for line in csv.DictReader(table)]
    target = tmp_path / f"{TABLES[name]}.csv"
    with target.open("w", newline="") as table:
        csv.writer(table).writerows([header, *lines])
    return builder_of(
        CONFIGS[name](manual_dir=tmp_path, data_dir=tmp_path / "out", **fields)
    )


def counts(builder):
    annotation = builder.annotation
    assert not annotation.problems
    found = collections.Counter(name for _, name in annotation.chosen)
    return [found[name] for name in builder.class_names()]


def casme2_cells(line):
    keys = ("subject", "clip", "onset", "apex", "offset", "label")
    return [line[k] for k in keys]


CASME2_HEADER = ["Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame"]


@pytest.mark.parametrize(
    ("classes", "numbers", "subjects"),
    [
        ("5class", [64, 32, 27, 25, 99], 26),
        ("meranet", [64, 32, 25], 26),
        ("megc", [88, 32, 25], 24),
    ],
)
def test_published_counts_of_casme2(classes, numbers, subjects, tmp_path):
    header = [*CASME2_HEADER, "Estimated Emotion"]
    file = "casme2_5class.csv"
    built = published("casme2", file, header, casme2_cells, tmp_path, classes=classes)
    assert counts(built) == numbers
    chosen = {row.key for row, _ in built.annotation.chosen}
    if classes == "megc":
        with (SHARED / "labels" / "megc2019_3class.csv").open() as table:
            official = {
                (line["subject"], line["clip"]): line["label"]
                for line in csv.DictReader(table)
                if line["dataset"] == "casme2"
            }
        assert {row.key: name for row, name in built.annotation.chosen} == official
        assert len({subject for subject, _ in chosen}) == subjects
    elif classes == "5class":
        assert len({subject for subject, _ in chosen}) == subjects


def test_published_counts_of_samm(tmp_path):
    header = ["Subject", "Filename", "Onset Frame", "Apex Frame", "Offset Frame"]
    header = [*header, "Estimated Emotion"]
    built = published("samm", "samm_5class.csv", header, casme2_cells, tmp_path)
    assert counts(built) == [57, 12, 26, 15, 26]
    assert len({row.subject for row, _ in built.annotation.chosen}) == 27
    changes = {c.split(" (")[0]: c.split(": ")[1] for c in built.annotation.changes}
    assert changes["028/028_4_1"] == "apex 1088 -> 1105"


@pytest.mark.parametrize(
    ("classes", "numbers"),
    [
        ("7class", [161, 250, 187, 86, 64, 57, 55]),
        ("4class", [457, 55, 187, 161]),
        ("3class", [457, 55, 187]),
        ("objective", [15, 151, 234, 37, 47, 3, 373]),
    ],
)
@pytest.mark.parametrize("errata", [True, False])
def test_published_counts_of_casme_cubed(classes, numbers, errata, tmp_path):
    header = ["Subject", "Filename", "Onset", "Apex", "Offset", "AU"]
    keys = ("subject", "clip", "onset", "apex", "offset", "au", "objective_class")
    built = published(
        "casme_cubed",
        "casme3_parta.csv",
        [*header, "Objective class", "emotion"],
        lambda line: [*(line[k] for k in keys), line["label"]],
        tmp_path,
        classes=classes,
        errata=errata,
    )
    assert counts(built) == numbers
    chosen = [row for row, _ in built.annotation.chosen]
    if classes == "7class":
        assert len({row.subject for row in chosen}) == 94
        order = [int(r.onset) <= int(r.apex) <= int(r.offset) for r in chosen]
        assert order.count(False) == (0 if errata else 4)
        assert len(built.annotation.changes) == (7 if errata else 0)


def test_smic_labels_agree_with_the_published_list(tmp_path):
    """Every clip of the list gets its label from the name of its folder."""
    path = SHARED / "labels" / "smic_3class.csv"
    if not path.exists():
        pytest.skip("the label table is not on this machine")
    with path.open() as table:
        lines = list(csv.DictReader(table))
    for line in lines:
        subject, tag, number = line["clip"].split("_")
        subject = f"s{int(subject[1:])}"
        clip = f"{subject}_{tag}_{number}"
        home = f"SMIC_all_raw/HS/{subject}/micro/{line['label']}/{clip}"
        (tmp_path / home).mkdir(parents=True)
        (tmp_path / home / f"image{int(line['onset']):06d}.bmp").touch()
    built = builder_of(
        CONFIGS["smic"](manual_dir=tmp_path, data_dir=tmp_path / "o", source="raw")
    )
    assert counts(built) == [70, 51, 43]
    made = {(*row.key, name) for row, name in built.annotation.chosen}
    assert made == {(line["subject"], line["clip"], line["label"]) for line in lines}
