"""Sweeps: which cells they have, what they are called, and what is refused."""

from pathlib import Path

import pytest

from jmer.cli import main
from jmer.data.random_clips import RandomClips
from jmer.data.splits import KFold, Loso
from jmer.errors import UsageError
from jmer.experiment import Experiment, load_experiment
from jmer.models.hsta import HstaConfig
from jmer.models.ststnet import STSTNetConfig
from jmer.optim import AdamConfig, SgdConfig
from jmer.sweep.cells import Sweep, load_sweep
from jmer.sweep.fields import get_field, read_value, with_fields

BASE = Experiment(
    model=STSTNetConfig(size=7, filters=(2,)),
    data=RandomClips(shapes=(("apex_flow", (7, 7, 3)),)),
    optim=SgdConfig(lr=0.01),
    epochs=2,
)


def test_rows_are_cells_and_numbers_are_variants():
    sweep = Sweep(
        BASE,
        rows={"narrow": {}, "wide": {"model.filters": (3, 4), "epochs": 5}},
        values={"optim.lr": (0.1, 0.2), "optim.weight-decay": (0.0, 1e-3)},
    )
    narrow, wide = sweep.cells
    assert (narrow.name, wide.name) == ("narrow", "wide")
    assert narrow.experiment.model == BASE.model and narrow.experiment.epochs == 2
    assert wide.experiment.model.filters == (3, 4) and wide.experiment.epochs == 5
    assert narrow.experiment.variant_values == wide.experiment.variant_values
    assert narrow.experiment.variant_values == [
        {"optim.lr": lr, "optim.weight_decay": decay}
        for lr in (0.1, 0.2)
        for decay in (0.0, 1e-3)
    ]


def test_other_values_are_cells_of_each_row():
    sweep = Sweep(
        BASE,
        rows={"a": {}, "b": {"model.dropout": 0}},
        values={"optim.lr": (0.1,), "model.filters": ((2,), (3, 4)), "epochs": (1, 3)},
    )
    assert [cell.name for cell in sweep.cells][:5] == [
        "a model.filters=2 epochs=1",
        "a model.filters=2 epochs=3",
        "a model.filters=3 4 epochs=1",
        "a model.filters=3 4 epochs=3",
        "b model.filters=2 epochs=1",
    ]
    assert sweep.cells[3].folder == "a-model.filters=3-4-epochs=3"
    assert sweep.cells[3].experiment.model.filters == (3, 4)
    assert sweep.cells[3].experiment.epochs == 3
    assert all(c.experiment.variants == ("optim.lr=0.1",) for c in sweep.cells)
    dropout = sweep.cells[4].experiment.model.dropout
    assert dropout == 0 and isinstance(dropout, float)


def test_numbers_alone_are_one_cell():
    (cell,) = Sweep(BASE, values={"optim.lr": (0.1, 0.2, 0.3)}).cells
    assert cell.name == cell.folder == "base" and len(cell.experiment.variants) == 3
    assert Sweep(BASE).single and Sweep(BASE).cells[0].experiment == BASE


def test_a_row_may_change_whole_parts_and_fields_in_them():
    adam = AdamConfig(lr=1.0)
    row = {"optim": adam, "optim.beta1": 0.5, "protocol": Loso()}
    (cell,) = Sweep(BASE, rows={"adam": row}).cells
    assert cell.experiment.optim == AdamConfig(lr=1.0, beta1=0.5)


def test_a_row_with_data_of_its_own_finds_them_below_those_of_the_base(tmp_path):
    from data_builders.casme2 import Casme2
    from data_builders.smic import Smic

    base = with_fields(
        BASE,
        {"data": Smic(manual_dir=tmp_path / "all", data_dir=tmp_path / "prepared")},
    )
    sweep = Sweep(base, rows={"one": {"data": Smic()}, "two": {"data": Casme2()}})
    one, two = (cell.experiment.data for cell in sweep.cells)
    assert one.manual_dir == tmp_path / "all" / "smic"
    assert two.manual_dir == tmp_path / "all" / "casme2"
    assert one.data_dir == two.data_dir == tmp_path / "prepared"
    unknown = Sweep(with_fields(base, {"data": Smic()}), rows={"": {"data": Casme2()}})
    assert unknown.cells[0].experiment.data.manual_dir is None


@pytest.mark.parametrize(
    ("rows", "values", "words"),
    [
        (
            {"a": {"model.sab": True}},
            {},
            "row 'a': model.sab is no field: model has .*",
        ),
        ({"a": {"depth": 1}}, {}, "depth is no field: an experiment has model, data"),
        ({"a": {"modle.size": 1}}, {}, "modle.size is no field: an experiment has"),
        ({"a": {"epochs": "5"}}, {}, "epochs='5' must be a whole number"),
        ({"a": {"epochs": True}}, {}, "epochs=True must be a whole number"),
        ({"a": {"epochs": 0}}, {}, "row 'a': epochs=0 must be at least 1"),
        ({"a": {"batches": "all"}}, {}, "batches='all' must be one of own, shared"),
        ({"a": {"model": AdamConfig(lr=1)}}, {}, "model=.*AdamConfig.* NetworkConfig"),
        ({"a": {"model.filters": 3}}, {}, "model.filters=3 must be .*tuple"),
        ({"a": {}, "b": {}}, {}, "'a' and 'b' are the same experiment"),
        ({"a": {}, "b": {"seeds": (1,)}}, {}, "'a' and 'b' are the same"),
        ({"a": {}, "b": {"engine.pack": 2}}, {}, "'a' and 'b' are the same"),
        ({"a/b": {}, "a b": {"epochs": 3}}, {}, "folder 'a-b' is that of 'a/b'"),
        ({"A": {}, "a": {"epochs": 3}}, {}, "folder 'a' is that of 'A'"),
        ({"report.md": {}}, {}, "folder 'report.md' is that of 'a file of the sweep"),
        ({"..": {}}, {}, "'..' cannot name a cell"),
        ({"x" * 300: {}}, {}, "must have 1 to 200 letters"),
        ({"a": {"epochs": 3}}, {"epochs": (1,)}, "epochs=1 is set by row 'a' too"),
        ({}, {"epochs": ()}, "epochs needs a list of values"),
        ({}, {"epochs": 3}, "epochs needs a list of values"),
        ({}, {"epochs": (3, 3)}, "are the same experiment"),
        ({}, {"optim.lr": (0.1, 0.1)}, "must be different"),
        ({}, {"optim.lr": (0.1, "fast")}, "optim.lr='fast' must be a number"),
        ({}, {"optim.lr": (0.1, -1.0)}, "optim.lr=-1.0 must be positive"),
        ({}, {"optim.speed": (1,)}, "optim.speed is no field: optim has lr"),
    ],
)
def test_what_is_no_sweep_is_refused(rows, values, words):
    with pytest.raises(UsageError, match=words):
        Sweep(BASE, rows=rows, values=values)


def test_variants_and_values_are_not_mixed():
    base = with_fields(BASE, {"variants": ("optim.lr=1",)})
    with pytest.raises(UsageError, match=r"variants=.*optim.lr: leave out one"):
        Sweep(base, values={"optim.lr": (2.0,)})


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("optim.lr", "1e-4", 1e-4),
        ("optim.lr", "1", 1.0),
        ("epochs", "7", 7),
        ("model.csta", "False", False),
        ("model.depth", "3 1 2", (3, 1, 2)),
        ("model.streams", "v", "v"),
        ("model.special_size", "None", None),
        ("model.special_size", "24", 24),
        ("pretrained", "a/b.pth", Path("a/b.pth")),
        ("seeds", "4", (4,)),
    ],
)
def test_values_are_read_as_their_field_says(name, text, value):
    experiment = with_fields(BASE, {"model": HstaConfig()})
    found = read_value(experiment, name, text)
    assert found == value and type(found) is type(value)


def test_values_from_the_command_line_join_those_of_the_file():
    sweep = Sweep(BASE, rows={"a": {"epochs": 3}}, values={"model.dropout": (0.1, 0.2)})
    found = sweep.over(with_fields(BASE, {"batch_size": 5}), ["optim.lr=0.1, 0.2"])
    assert [cell.name for cell in found.cells] == [
        "a model.dropout=0.1",
        "a model.dropout=0.2",
    ]
    assert all(cell.experiment.batch_size == 5 for cell in found.cells)
    assert found.cells[0].experiment.variants == ("optim.lr=0.1", "optim.lr=0.2")
    assert [cell.name for cell in found.choose(["a model.dropout=0.2"])] == [
        "a model.dropout=0.2"
    ]
    assert len(found.choose([])) == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("optim.lr", "'optim.lr' is none: write FIELD=VALUE,VALUE"),
        ("optim.lr=", "'optim.lr=' is none"),
        ("optim.lr=fast,1", "--sweep: optim.lr='fast' must be a number"),
        ("model.width=1,2", "model.width is no field: model has filters"),
        ("model.dropout=0.5", "names model.dropout a second time"),
    ],
)
def test_a_text_that_is_no_values_is_refused(text, words):
    sweep = Sweep(BASE, values={"model.dropout": (0.1, 0.2)})
    with pytest.raises(UsageError, match=words):
        sweep.over(BASE, [text])


def test_an_option_that_the_rows_overrule_is_refused():
    sweep = Sweep(BASE, rows={"a": {"epochs": 3}, "b": {}})
    with pytest.raises(UsageError, match=r"epochs=9 would change nothing in row 'a'"):
        sweep.over(with_fields(BASE, {"epochs": 9}), [])
    with pytest.raises(UsageError, match="cells='c': the sweep has a, b"):
        sweep.choose(["c"])


def test_rows_that_are_not_chosen_do_not_object():
    sweep = Sweep(BASE, rows={"a": {"epochs": 3}, "b": {}, "ab": {"epochs": 4}})
    changed = with_fields(BASE, {"epochs": 9})
    (cell,) = sweep.over(changed, [], ["b"]).choose(["b"])
    assert cell.experiment.epochs == 9
    for chosen in (["a"], ["a", "b"], ["ab"]):
        with pytest.raises(UsageError, match=f"in row '{chosen[0]}': set there"):
            sweep.over(changed, [], chosen)
    two = Sweep(BASE, {"a": {"epochs": 3}, "b": {}}, {"model.filters": ((2,), (3,))})
    (name, *_) = [cell.name for cell in two.cells if cell.name.startswith("b ")]
    assert two.over(changed, [], [name]).choose([name])[0].experiment.epochs == 9


def overridden(file, **fields):
    """The cells of one of our sweeps over a base with other fields, by name."""
    sweep = load_sweep(Path("experiments") / f"{file}.py")
    base = with_fields(sweep.base, {n.replace("__", "."): v for n, v in fields.items()})
    return {cell.name: cell.experiment for cell in sweep.over(base, ()).cells}


@pytest.mark.parametrize(
    ("file", "field", "value", "reaches"),
    [
        ("stanet_table1", "data.flow", "dis", {"CASME", "CASME II", "SMIC-HS"}),
        ("stanet_table1", "data.frames", 12, {"CASME", "CASME II", "SMIC-HS"}),
        ("stanet_table1", "model.every_crop", True, {"CASME", "CASME II", "SMIC-HS"}),
        ("stanet_table1", "model.lstm", 7, {"CASME", "CASME II", "SMIC-HS"}),
        ("aman_table2", "data.frames", 25, {"CASME II", "SAMM", "SMIC-HS"}),
        ("hsta_table5", "data.padding", "zeros", {"SMIC-HS", "SAMM", "CASME II"}),
    ],
)
def test_an_option_reaches_every_row_that_has_it_and_leaves_the_rest(
    file, field, value, reaches
):
    before = overridden(file)
    after = overridden(file, **{field: value})
    assert {name for name in after if after[name] != before[name]} == reaches
    for name, one in after.items():
        assert with_fields(one, {field: get_field(before[name], field)}) == before[name]
        assert get_field(one, field) == value


def test_files_of_weights_and_splits_reach_every_row(tmp_path):
    weights = tmp_path / "F.pth.tar"
    weights.touch()
    found = overridden(
        "stanet_table1", data__flow="flownet2", data__flow_weights=weights
    )
    assert {one.data.flow_weights for one in found.values()} == {weights}
    found = overridden("meranet_table1", protocol__split_seed=1)
    assert {one.protocol.split_seed for one in found.values()} == {1}
    fractions = [one.protocol.fraction for one in found.values()]
    assert sorted(fractions) == [0.2, 0.2, 0.25, 0.25, 0.25, 0.25]


@pytest.mark.parametrize(
    ("file", "fields", "words"),
    [
        ("stanet_table1", {"epochs": 9}, "in row 'CASME II' and row 'SMIC-HS': set"),
        ("stanet_table1", {"model.flip": True}, "nothing in row 'SMIC-HS': set there"),
        ("meranet_table1", {"protocol.fraction": 0.5}, r"nothing in row '.*, CAS\(ME"),
        ("hsta_table4", {"model.depth": (1, 0, 0)}, "would change nothing in row"),
        ("aman_figure3", {"model.n": 4}, "nothing in the values of model.n: set there"),
    ],
)
def test_an_option_that_some_rows_set_names_them(file, fields, words):
    with pytest.raises(UsageError, match=words):
        overridden(file, **{n.replace(".", "__"): v for n, v in fields.items()})


def test_another_protocol_reaches_rows_that_had_the_bases():
    rows = {"a": {"protocol": BASE.protocol, "epochs": 3}, "b": {}}
    sweep, other = Sweep(BASE, rows=rows), KFold(k=2)
    cells = sweep.over(with_fields(BASE, {"protocol": other}), ()).cells
    assert [cell.experiment.protocol for cell in cells] == [other, other]
    sweep = Sweep(BASE, rows={"a": {"protocol": KFold(k=3)}})
    with pytest.raises(UsageError, match="would change nothing in row 'a'"):
        sweep.over(with_fields(BASE, {"protocol": other}), ())


FILE = """
from jmer.experiment import load_experiment
from jmer.sweep import Sweep
{}
"""


@pytest.mark.parametrize(
    "text",
    ["", "SWEEP = 3", "SWEEP = Sweep(BASE); EXPERIMENT = BASE"],
)
def test_a_file_defines_one_or_the_other(tmp_path, text):
    quickstart = Path("experiments/quickstart.py").absolute()
    base = (
        f"from pathlib import Path\nBASE = load_experiment(Path({str(quickstart)!r}))"
    )
    file = tmp_path / "x.py"
    file.write_text(FILE.format(f"{base}\n{text}"))
    said = r"must define (either EXPERIMENT .* or|one of EXPERIMENT and) SWEEP"
    with pytest.raises(UsageError, match=said):
        load_sweep(file)
    file.write_text(
        FILE.format(f"{base}\nSWEEP = Sweep(BASE, values={{'epochs': (1, 2)}})")
    )
    assert len(load_sweep(file).cells) == 2
    assert load_experiment(file).epochs == 60  # what `bench` and `evaluate` take
    file.write_text(
        FILE.format(f"{base}\nSWEEP = Sweep(BASE, rows={{'a': {{'x': 1}}}})")
    )
    with pytest.raises(UsageError, match=r"x.py: row 'a': x is no field"):
        load_sweep(file)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--sweep", "optim.lr=slow"], "optim.lr='slow' must be a number"),
        (["--sweep", "optim.speed=1"], "optim.speed is no field"),
        (["--cells", "a"], "experiments/quickstart.py is no sweep"),
        (["--sweep", "epochs=1,2", "--cells", "a"], "the sweep has epochs=1, epochs=2"),
    ],
)
def test_the_command_refuses_before_anything_runs(words, said, capsys, tmp_path):
    folder = tmp_path / "run"
    command = ["run", "experiments/quickstart.py", "--run-dir", str(folder), *words]
    assert main(command) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
    assert not folder.exists()


def test_the_command_sweeps_any_experiment(monkeypatch, tmp_path):
    asked = {}
    monkeypatch.setattr("jmer.sweep.run.run_sweep", lambda cells, **o: asked.update(o))
    words = ["--epochs", "2", "--sweep", "optim.lr=1e-4,1e-3", "model.dropout=0,0.5"]
    more = ["--run-dir", str(tmp_path), "--cells", "model.dropout=0.5"]
    assert main(["run", "experiments/quickstart.py", *words, *more]) == 0
    (cell,) = asked["chosen"]
    assert (cell.experiment.epochs, cell.experiment.model.dropout) == (2, 0.5)
    assert cell.experiment.variants == ("optim.lr=0.0001", "optim.lr=0.001")
    assert (asked["name"], asked["run_dir"]) == ("quickstart", tmp_path)
