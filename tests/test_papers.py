"""The papers' tables: their figures, and the experiments that make each row."""

import json
import re
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

from jmer.cli import main
from jmer.errors import UsageError
from jmer.experiment import load_experiment
from jmer.papers import TABLES, table
from jmer.report.reproduction import differences, is_row
from jmer.sweep.cells import Cell, load_sweep

ROOT = Path(__file__).resolve().parent.parent
EXPERIMENTS = ROOT / "experiments"
# The facts of the papers as they were read, where the folder is there.
FACTS = ROOT.parent / "shared" / "models.md"
ROWS = {
    **{"stanet-1": 21, "stanet-2": 4, "meranet-1": 20, "aman-1": 5, "aman-2": 20},
    **{"aman-3": 9, "visual-memory-1": 3, "visual-memory-2": 6, "hsta-1": 16},
    **{
        "cd6me-1": 9,
        "megc2019-1": 3,
        "hsta-2": 6,
        "hsta-3": 12,
        "hsta-4": 30,
        "hsta-5": 33,
        "hsta-6": 8,
        "hsta-7": 5,
    },
}


def figures(name: str, prefix: str = "") -> Counter:
    """How often each figure is in a table, in the rows of a prefix."""
    return Counter(
        value
        for row in table(name).rows
        if row.name.startswith(prefix)
        for value in row.figures.values()
    )


def printed(lines: list[str], first: int) -> Counter:
    """The figures of comma-separated lines, from a column on."""
    cells = [cell for line in lines for cell in line.split(",")[first:]]
    return Counter(float(cell) for cell in cells if cell.strip())


def test_every_table_has_its_rows():
    assert {name: len(one.rows) for name, one in TABLES.items()} == ROWS
    for one in TABLES.values():
        keys = [(row.name, row.data) for row in one.rows]
        assert len(set(keys)) == len(keys)
        assert {row.data for row in one.rows} == set(one.data)


@pytest.mark.skipif(not FACTS.is_file(), reason="the papers' facts are not here")
def test_every_figure_of_the_papers_is_there_once():
    lines = FACTS.read_text().splitlines()
    start = {
        int(m[1]): i for i, x in enumerate(lines) if (m := re.match(r"## (\d)\.", x))
    }
    section = {n: lines[i : start.get(n + 1)] for n, i in start.items()}

    def between(number: int, first: str, last: str | None = None) -> list[str]:
        part = section[number]
        begin = part.index(first) + 1
        end = next(i for i in range(begin, len(part)) if part[i] in (last, "```"))
        return part[begin:end]

    methods, ablation = "method,CASME1,CASME2,SMIC_HS", "ablation_CASME1,sab,l1,tab,ACC"
    assert figures("stanet-1") == printed(between(1, methods, ablation), 1)
    assert figures("stanet-2") == printed(between(1, ablation), 4)
    columns = {1: 2, 2: 5, 3: 5, 4: 2, 5: 2, 6: 3, 7: 5}
    for number, column in columns.items():
        rows = [x for x in section[2] if x.startswith(f"T{number},")][1:]
        assert figures(f"hsta-{number}") == printed(rows, column), number
    video = [x for x in section[2] if re.match(r"T1,\d", x)]
    video = [",".join(x.split(",")[:5]) for x in video]
    assert figures("hsta-1", "video") == printed(video, 2)
    assert figures("meranet-1") == printed(
        between(3, "method,CASME1,CASME2,CASME_sq"), 1
    )
    methods = "method,C2_ACC,C2_F1,SAMM_ACC,SAMM_F1,SMIC_ACC,SMIC_F1"
    assert figures("aman-1") == printed(between(4, "k,ACC_CASME2", methods), 1)
    modules = "modules,C2,SAMM,SMIC"
    assert figures("aman-2") == printed(between(4, methods, modules), 1)
    assert figures("aman-3") == printed(between(4, modules), 1)
    spotting = between(5, "spotting,AUC", "recognition,ACC")
    assert figures("visual-memory-1") == printed(spotting, 1)
    assert figures("visual-memory-2") == printed(between(5, "recognition,ACC"), 1)


def of_cell(cell: Cell) -> SimpleNamespace:
    """What a run of a cell says of itself."""
    resolved = json.loads(json.dumps(cell.experiment.resolved()))
    return SimpleNamespace(metrics={}, experiment={"experiment": resolved})


@pytest.mark.parametrize("one", TABLES.values(), ids=TABLES)
def test_the_experiments_of_a_table_make_each_of_its_rows_once(one):
    cells = [
        cell
        for file in one.files
        for cell in load_sweep(EXPERIMENTS / f"{file}.py").cells
    ]
    made = [
        (row.name, row.data)
        for cell in cells
        for row in one.rows
        if row.switches is not None and is_row(of_cell(cell), one.wanted(row))
    ]
    possible = [(row.name, row.data) for row in one.rows if row.switches is not None]
    assert sorted(made) == sorted(possible) and len(cells) == len(possible)


@pytest.mark.parametrize(
    ("sweep", "cell", "file"),
    [
        ("stanet_table1", "CASME", "stanet_casme"),
        ("stanet_table1", "CASME II", "stanet_casme2"),
        ("stanet_table1", "SMIC-HS", "stanet_smic"),
        ("stanet_casme_ablation", "+SAB+TAB+l1", "stanet_casme"),
        ("hsta_table2", "a5", "hsta_table2_unfused"),
        ("hsta_table5", "SAMM", "hsta_samm"),
        ("hsta_table5", "CASME II", "hsta_casme2"),
        ("hsta_table6", "3 classes", "hsta_table6_3class"),
        ("hsta_table6", "7 classes", "hsta_table6_7class"),
        ("hsta_table7", "SF+MaE+OC", "hsta_table7_macro"),
        ("meranet_table1", "3DResNet, CASME II", "resnet3d_casme2"),
        ("meranet_table1", "MERANet, CAS(ME)²", "meranet_casme_squared"),
        ("aman_table1", "k=9", "aman_casme2"),
        ("aman_table2", "SMIC-HS", "aman_smic"),
        ("aman_table3", "MA+FA, SAMM", "aman_samm"),
    ],
)
def test_a_cell_is_the_experiment_of_the_same_name(sweep, cell, file):
    (found,) = load_sweep(EXPERIMENTS / f"{sweep}.py").choose([cell])
    assert found.experiment == load_experiment(EXPERIMENTS / f"{file}.py")


OURS = {
    # The benchmark's defaults.
    "cd6me_ststnet": ["epochs 200, paper 500", "optim.lr 0.0001, paper 5e-05"],
    "cd6me_offapexnet": ["epochs 200, paper 3000"],
    "aman": [
        "model.backbone none, paper a network of expressions",
        "model.magnifier none, paper the published network",
    ],
    "visual_memory": [
        "pretrained none, paper a network of motion",
        "start-from none, paper a run of the spatial phase",
    ],
}
"""In what our files differ from the papers, as they are."""


@pytest.mark.parametrize("one", TABLES.values(), ids=TABLES)
def test_our_experiments_are_the_papers_but_for_what_is_listed(one):
    for file in one.files:
        for cell in load_sweep(EXPERIMENTS / f"{file}.py").cells:
            run = of_cell(cell)
            run.experiment["identity"] = {"dtype": "float32"}
            (row,) = [
                row
                for row in one.rows
                if row.switches is not None and is_row(run, one.wanted(row))
            ]
            found = sorted(differences(run, one.settings(row)))
            ours = OURS.get(file, OURS.get(cell.experiment.model.name, []))
            assert found == ours, (file, cell.name)


def test_tables_are_listed_with_what_makes_them(capsys):
    assert main(["list", "tables", "--json"]) == 0
    listed = {r["name"]: r for r in json.loads(capsys.readouterr().out)}
    assert set(listed) == set(TABLES)
    for name, record in listed.items():
        files = record["jmer run"].split()
        assert files and all((ROOT / file).is_file() for file in files), name


def possible(tested: int, printed: str) -> bool:
    """Whether some of so many clips are this share of them, as it is printed."""
    digits = len(printed.partition(".")[2])
    return any(f"{100 * k / tested:.{digits}f}" == printed for k in range(tested + 1))


def test_which_test_sets_can_give_what_is_printed():
    """What the notes of the tables and the pages of the papers say of them."""

    def sizes(*printed):
        return [n for n in range(1, 61) if all(possible(n, one) for one in printed)]

    assert sizes("81.0", "90.5") == [21, 42]
    assert sizes("83.3", "91.7") == [12, 24, 36, 48, 60]
    assert not any(possible(n, one) for n in (29, 31) for one in ("81.0", "90.5"))
    assert possible(30, "83.3") and not possible(30, "91.7")
    assert not possible(11, "83.3") and not possible(11, "91.7")
    stanet = {171: (76.61, 71.35, 73.10, 74.85), 246: (69.11,), 164: (68.90,)}
    assert all(possible(n, f"{x:.2f}") for n, row in stanet.items() for x in row)


def test_a_table_that_there_is_not():
    with pytest.raises(UsageError, match="must be one of stanet-1, stanet-2, hsta-1"):
        table("stanet-3")
