"""`jmer bench FILE --target MACHINE`, with a CPU in the place of the machine: records,
what does not fit, and tables that go on where they stopped."""

import dataclasses
import json
import re
from pathlib import Path

import jax
import pytest

from jmer import shipped
from jmer.bench import elsewhere
from jmer.bench.aims import aims
from jmer.bench.kept import Kept
from jmer.bench.target_page import page, write_page
from jmer.bench.timing import Grid
from jmer.cli import main
from jmer.commands.bench import TABLED
from jmer.data.random_clips import RandomClips
from jmer.errors import JmerError
from jmer.experiment import Experiment, load_experiment
from jmer.files import write_json
from jmer.models.aman import AmanConfig
from jmer.models.base import networks
from jmer.models.ststnet import STSTNetConfig
from jmer.optim import SgdConfig
from jmer.targets import machines
from jmer.targets.machines import Chip, Target

NETWORK = STSTNetConfig(size=7, filters=(2, 3))
EXPERIMENT = Experiment(
    model=NETWORK,
    data=RandomClips(
        shapes=(("apex_flow", NETWORK.input_shapes[0]),), subjects=5, per_subject=3
    ),
    optim=SgdConfig(lr=0.1),
    epochs=6,
    batch_size=4,
)
MANY = dataclasses.replace(
    EXPERIMENT, seeds=tuple(range(10)), variants=("optim.lr=0.1", "optim.lr=0.2")
)
FIELDS = {
    *("target", "network", "batches", "dtype", "lowering", "chunk", "devices", "tasks"),
    *("bytes_per_device", "memory_per_device", "collectives", "kernels"),
    *("bytes_moved_step", "estimated_cycles_step", "estimated_cycles_fold_epoch"),
    *("compile_seconds", "tasks_that_fit", "dearest", "program", "compilers"),
    *("created", "revision", "experiment", "rank", "rank_unit", "steps_epoch"),
}


def quiet(text):
    """Says nothing."""


def here(monkeypatch):
    """Two devices of this machine, under another name."""
    chip = Chip("gpu", 10**9, flops=1e12, bandwidth=1e11, clock=1e9)
    monkeypatch.setattr(
        machines, "devices", lambda machine: tuple(jax.devices()[: machine.devices])
    )
    monkeypatch.setattr(machines, "compiler_options", lambda machine: {})
    return Target("here-2", chip, 2, "")


@pytest.fixture(name="machine")
def _machine(monkeypatch):
    return here(monkeypatch)


def records_of(machine, kept, experiment=EXPERIMENT, name="toy", **grid):
    grid = {"lowerings": ("backend",), "chunks": (1,), **grid}
    return [
        elsewhere.compiled_for(aim, name, kept, quiet)
        for aim in aims(experiment, Grid(**grid), machine)
    ]


@pytest.fixture(name="made", scope="module")
def _made(tmp_path_factory):
    """A table of two layouts of one experiment, and one of another: what takes time."""
    file = tmp_path_factory.mktemp("made") / "table.json"
    with pytest.MonkeyPatch.context() as patch:
        machine, kept = here(patch), Kept(file)
        records_of(machine, kept, MANY, name="many")
        records_of(machine, kept, chunks=(1, 2))
        kept.finish()
    return file


@pytest.fixture(name="table")
def _table(made, tmp_path):
    """A copy of it, to be changed."""
    file = tmp_path / "table.json"
    file.write_bytes(made.read_bytes())
    return file


def there(file):
    content = json.loads(file.read_text())["targets"]
    return [(each["experiment"], each["chunk"]) for each in content]


def test_a_record_has_all_there_is_to_know(table):
    found = json.loads(table.read_text())["targets"][1]
    assert set(found) >= FIELDS
    assert (found["tasks"], found["devices"], found["chunk"]) == (5, 2, 1)
    assert found["collectives"] == [] and found["kernels"] > 0
    assert found["bytes_moved_step"] > 0 and found["compile_seconds"] >= 0
    # A CPU's compiler says no cycles.
    cycles = found["estimated_cycles_step"], found["estimated_cycles_fold_epoch"]
    assert cycles == (None, None)
    assert found["rank_unit"] == "bytes" and found["rank"] > 0
    assert 5 <= found["tasks_that_fit"] <= 10**9 / found["state_bytes_task"] * 2


def test_seeds_and_variants_make_more_tasks(table):
    found = json.loads(table.read_text())["targets"][0]
    assert found["tasks"] == 5 * 10 * 2 and found["collectives"] == []


def test_what_is_kept_is_not_compiled_again(machine, table, monkeypatch):
    before = json.loads(table.read_text())
    monkeypatch.setattr(jax.stages.Lowered, "compile", None)
    kept = Kept(table)
    assert records_of(machine, kept, chunks=(1, 2)) == before["targets"][1:]
    assert kept.finish()["targets"] == before["targets"]
    # Another program is another record: here, one of another size.
    other = dataclasses.replace(EXPERIMENT, batch_size=5)
    with pytest.raises(TypeError):
        records_of(machine, kept, other)


def test_an_interrupted_table_keeps_what_it_has(machine, table):
    """What is compiled anew replaces its cell at the end only."""
    assert there(table) == [("many", 1), ("toy", 1), ("toy", 2)]
    kept, before = Kept(table), json.loads(table.read_text())["targets"]
    wider = dataclasses.replace(EXPERIMENT.model, filters=(3,))
    (new,) = records_of(machine, kept, dataclasses.replace(EXPERIMENT, model=wider))
    assert sorted(there(table)) == [("many", 1), ("toy", 1), ("toy", 1), ("toy", 2)]
    kept.finish()
    assert json.loads(table.read_text())["targets"] == [before[0], new, before[2]]


def test_layouts_that_are_not_asked_for_again_stay(machine, table):
    """Each with its own date and makers."""
    content = json.loads(table.read_text())
    before = content["targets"]
    before[2] |= {"revision": "long ago", "made_by": {"jmer": "0", "python": "3.99.1"}}
    write_json(table, content)
    kept = Kept(table)
    assert records_of(machine, kept) == before[1:2]
    other = dataclasses.replace(EXPERIMENT, batch_size=3)
    (new,) = records_of(machine, kept, other)
    after = kept.finish()["targets"]
    assert after == json.loads(table.read_text())["targets"]
    assert after == [before[0], before[1], new, before[2]]
    assert kept.summary()["targets"] == [before[1], new]  # what --json has
    assert "Python 3.99.1, " in page(json.loads(table.read_text()))


def test_a_pack_that_does_not_fit(machine, table):
    """Asked for, it is an error that says which would; else that one is compiled, as
    a run would have it."""
    whole = json.loads(table.read_text())["targets"][0]
    memory = whole["bytes_per_device"] - 5 * whole["state_bytes_task"]
    chip = dataclasses.replace(machine.chip, memory=memory)
    small = dataclasses.replace(machine, chip=chip, name="here-small")
    with pytest.raises(elsewhere.TooLarge, match="does not fit") as caught:
        records_of(small, Kept(table), MANY, "many", packs=(100,))
    text = str(caught.value)
    would = int(text.split("--packs ")[1].split(" would")[0])
    assert "GB too many" in text and "\n" not in text and 70 < would < 100
    said = []
    (aim,) = aims(MANY, Grid(lowerings=("backend",), chunks=(1,)), small)
    found = elsewhere.compiled_for(aim, "many", Kept(table), said.append)
    assert found["tasks"] == would and found["bytes_per_device"] <= memory
    # That the whole does not fit was known by then.
    assert "does not fit: it needs" in said[0]
    assert [line.split()[0] for line in said[1:]] == ["compiling"]


def test_a_pack_is_only_said_to_fit_where_the_compiler_gave_a_size(machine):
    aim = next(
        aims(MANY, Grid(packs=(100,), lowerings=("backend",), chunks=(1,)), machine)
    )
    size = machine.chip.memory + 10 * aim.state_bytes
    assert re.search(r"--packs \d+ would\.", str(elsewhere.TooLarge(aim, round(size))))
    assert str(elsewhere.TooLarge(aim, None)).endswith(" Try --packs 50.")


def test_one_task_that_does_not_fit_says_what_can_be_done(machine, table):
    refused = elsewhere.TooLarge(
        next(aims(EXPERIMENT, Grid(packs=(1,)), machine)), None
    )
    assert "smaller --batch-size" in str(refused) and "more than the 1 GB" in str(
        refused
    )


def test_a_page_names_its_source_and_says_what_is_best(table):
    content = json.loads(table.read_text())
    text = page(content)
    for part in ("estimates of compilers", content["versions"]["python"], "jaxlib "):
        assert part in text
    (line,) = [row for row in text.splitlines() if "times the best's bytes" in row]
    assert " 1.00" in line
    write_page(table.with_suffix(".md"), content)
    assert table.with_suffix(".md").read_text() == text
    # Each record tells by what it was made, whoever makes the page.
    content["targets"][0]["made_by"]["python"] = "3.99.1"
    text = page(content)
    assert f"Python {content['versions']['python']}, " in text
    assert text.count("Python 3.99.1, ") == 1


@pytest.mark.parametrize("content", ["[]", '{"schema": 2}', '{"targets": [], "a": 1}'])
def test_a_file_of_something_else_is_not_written_over(tmp_path, content):
    file = tmp_path / "table.json"
    file.write_text(content)
    with pytest.raises(JmerError, match=r"table\.json"):
        Kept(file)
    assert file.read_text() == content


def test_a_table_of_an_older_kind_is_made_anew(tmp_path):
    file = tmp_path / "table.json"
    file.write_text('{"schema": 1, "targets": [], "refused": []}')
    assert Kept(file).finish()["targets"] == []


# --- networks


def test_every_network_is_in_the_table():
    files = [shipped.find(Path(name)) for name in TABLED]
    tabled = {load_experiment(file).model.name for file in files}
    assert tabled == {kind.name for kind in networks()} - {"magnet", "resnet18"}


def test_files_of_weights_are_not_needed(machine):
    """AMAN's magnifier and backbone are nobody's to ship."""
    experiment = load_experiment(shipped.find(Path("aman_casme2")))
    bare = experiment.model.without_files
    assert isinstance(bare, AmanConfig) and bare.magnifier is bare.backbone is None
    assert bare.input_shapes == experiment.model.input_shapes
    given = dataclasses.replace(
        experiment.model, magnifier="a.pth", backbone="b.pth", pretrain="all"
    )
    assert given.without_files == bare
    (aim,) = aims(dataclasses.replace(experiment, model=bare), Grid(), machine)
    # Of 20 frames by 9 factors, features of the third stage.
    (shape,) = (shape for _, shape in aim.work.data.shapes)
    assert shape[-3:] == (14, 14, 256)


# --- the command


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--lowerings", "patch"], "did you mean 'patches'"),
        (["--target", "v5e4"], "did you mean 'v5e-4'"),
        (["--target", "h100", "--peer", "torch"], "leave out --peer"),
        (["--variants", "optim.lrr=1"], "lrr"),
    ],
)
def test_mistakes_are_told_before_anything_is_compiled(capsys, words, message):
    assert main(["bench", "ststnet_megc2019", *words]) == 2
    text = capsys.readouterr().err
    assert message in text and text.startswith("error: ") and text.count("\n") == 1
