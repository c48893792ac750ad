"""The experiments that come with jmer, and the rows of the papers beside them."""

import dataclasses
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from jmer.commands.list import _experiments
from jmer.commands.options import RunOptions
from jmer.commands.parsing import parse
from jmer.data.listed import ClipLists
from jmer.data.splits import ClipHoldOut, ClipKFold, HoldOut, KFold, Loso, protocols
from jmer.errors import UsageError
from jmer.experiment import load_experiment
from jmer.optim import AdamConfig, AdamWConfig, RmspropConfig, UntunedWarmupConfig
from jmer.papers import table
from jmer.report.reproduction import differences
from jmer.sweep.cells import load_sweep

EXPERIMENTS = Path(__file__).resolve().parent.parent / "experiments"
PROGRAMS = [EXPERIMENTS / "benchmarks" / f"{n}.py" for n in ("flow", "side_by_side")]
FILES = [f for f in sorted(EXPERIMENTS.rglob("*.py")) if f not in PROGRAMS]
# One option away from the file: rows of the papers' tables, and what they change.
ROWS = [
    ("stanet_casme", "--model.no-sab", "model.sab", False),
    ("stanet_casme", "--model.no-tab", "model.tab", False),
    ("stanet_casme", "--model.lambda-l1 0", "model.lambda_l1", 0.0),
    ("synthetic/aman", "--model.ma single:3", "model.ma", "single:3"),
    ("aman_casme2", "--model.k 7", "model.k", 7),
    ("aman_casme2", "--model.n 5", "model.n", 5),
    ("aman_samm", "--model.fa mean", "model.fa", "mean"),
    ("aman_smic", "--model.ma single:5", "model.ma", "single:5"),
    ("meranet_casme_squared", "--model.attn ca", "model.attn", "ca"),
    ("meranet_casme_squared", "--model.attn st", "model.attn", "st"),
    ("meranet_casme_squared", "--model.attn none", "model.attn", "none"),
    ("meranet_casme_squared", "--model.ca-shared mlp", "model.ca_shared", "mlp"),
    ("meranet_casme_squared", "--model.st-kernel 3", "model.st_kernel", 3),
    ("meranet_casme_squared", "--model.st-kernel 7", "model.st_kernel", 7),
    ("meranet_casme_squared", "--model.shortcut zeropad", "model.shortcut", "zeropad"),
    ("visual_memory_casme2", "--model.no-contrast", "model.contrast", False),
    ("visual_memory_casme2", "--model.no-temporal-net", "model.temporal_net", False),
    ("visual_memory_casme2", "--model.memory none", "model.memory", "none"),
    ("visual_memory_casme2", "--model.memory convgru", "model.memory", "convgru"),
    ("visual_memory_casme2", "--model.context gap", "model.context", "gap"),
    ("visual_memory_casme2", "--model.fc6-dilation 2", "model.fc6_dilation", 2),
    (
        *("visual_memory_casme2", "--model.context-dilation 2"),
        *("model.context_dilation", 2),
    ),
    ("visual_memory_casme2", "--model.phase joint", "model.phase", "joint"),
    ("hsta_table2_unfused", "--model.depth 1 0 1", "model.depth", (1, 0, 1)),
    ("hsta_table2_unfused", "--model.depth 1 1 0", "model.depth", (1, 1, 0)),
    ("hsta_table2_unfused", "--model.depth 1 0 0", "model.depth", (1, 0, 0)),
    ("hsta_table7_macro", "--data.special of", "data.special", "of"),
]


def parsed(file: Path, *words: str):
    """The experiment that `jmer run` would run with these options."""
    default = RunOptions(load_experiment(file), run_dir=Path("runs"))
    return parse(RunOptions, "jmer run", list(words), default).experiment


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.stem)
def test_every_experiment_feeds_its_network(file):
    for experiment in (cell.experiment for cell in load_sweep(file).cells):
        shapes = getattr(experiment.data, "shapes", None)
        if shapes is None or file.parent.name == "benchmarks":
            return
        for name, shape in zip(
            experiment.model.inputs, experiment.model.input_shapes, strict=True
        ):
            assert shapes[name][0] == shape


def test_experiments_are_listed_and_other_programs_are_not():
    listed = {Path(record["file"]).resolve() for record in _experiments()}
    assert listed == set(FILES)


@pytest.mark.parametrize(("name", "option", "field", "value"), ROWS)
def test_a_row_of_a_paper_is_one_option_away(name, option, field, value):
    file = EXPERIMENTS / f"{name}.py"
    experiment = parsed(file, *option.split())
    part, field = field.split(".")
    assert getattr(getattr(experiment, part), field) == value
    assert getattr(getattr(load_experiment(file), part), field) != value


def test_the_figures_of_papers_are_sweeps():
    def values(name, field):
        cells = load_sweep(EXPERIMENTS / f"{name}.py").cells
        return [getattr(cell.experiment.model, field) for cell in cells]

    assert values("aman_figure3", "n") == list(range(1, 21)) * 3
    cells = load_sweep(EXPERIMENTS / "aman_figure3.py").cells
    assert [c.experiment.data.name for c in cells[::20]] == ["casme2", "samm", "smic"]
    assert values("hsta_figure3", "num_frames") == [2, 4, 6, 8, 10, 12]
    # "Solely using USTA", a single layer of it, on the video (section 4.2.1).
    assert values("hsta_figure3", "depth") == [(1, 0, 1)] * 6
    assert values("hsta_figure3", "csta") == [False] * 6
    assert values("hsta_figure3", "streams") == ["v"] * 6
    assert values("meranet_figure4", "ca_shared") == ["conv", "mlp"]
    assert values("meranet_figure5", "st_kernel") == [3, 5, 7]


def test_frames_of_384_pixels_as_in_amans_code_are_two_options():
    file = EXPERIMENTS / "aman_casme2.py"
    experiment = parsed(file, "--data.size", "384", "--model.stored", "384")
    (shape,) = experiment.model.input_shapes
    assert shape == (20, 384, 384, 3) == experiment.data.shapes["clip"][0]
    assert experiment.model.size == 224


@pytest.mark.parametrize(
    ("name", "options"),
    [
        (
            "stanet_casme_ablation",
            ["--model.no-sab", "--model.lambda-l1", "--model.tab"],
        ),
        (
            "meranet_casme_squared",
            [
                "--model.attn",
                "--model.ca-shared",
                "--model.st-kernel",
                "--model.frames",
            ],
        ),
        (
            "hsta_table7",
            [
                *(
                    "--model.depth",
                    "--model.no-csta",
                    "--model.streams",
                    "--data.special",
                ),
                *("--model.num-frames", "--model.no-usta-mlp", "--data.classes"),
            ],
        ),
    ],
)
def test_help_shows_the_fields_of_the_ablations(name, options, capsys):
    file = EXPERIMENTS / f"{name}.py"
    with pytest.raises(SystemExit):
        parsed(file, "--help")
    shown = capsys.readouterr().out
    assert [option for option in options if option not in shown] == []


STANET = {"stanet_casme": 60, "stanet_casme2": 30, "stanet_smic": 100}


@pytest.mark.parametrize("name", [*STANET, "stanet_casme_ablation"])
def test_the_recipe_is_that_of_stanet(name):
    """Sections 4.1 and 4.2 of its paper."""
    one = load_experiment(EXPERIMENTS / f"{name}.py")
    assert one.optim == AdamConfig(lr=1e-5, weight_decay=1e-4)
    assert (one.epochs, one.protocol) == (STANET.get(name, 60), Loso())
    assert (one.dtype, one.selection, one.sampling) == ("float32", "last", "shuffled")
    assert (one.data.flow, one.data.frames, one.data.size) == ("flownet2", 20, 192)
    assert one.data.resample == "linear" and one.model.augmented
    smic = name == "stanet_smic"
    assert one.model.rescales == ((1.0,) if smic else (0.9, 1.0, 1.1))
    assert one.model.flip == smic
    if name != "stanet_casme_ablation":
        assert one.model.lambda_l1 == 1e-8


MERANET = {"casme": 0.25, "casme2": 0.25, "casme_squared": 0.2}


@pytest.mark.parametrize("network", ["meranet", "resnet3d"])
@pytest.mark.parametrize("name", [*MERANET, "casme_depth32", "casme2_depth32"])
def test_the_recipe_is_that_of_meranet(network, name):
    """Sections 4.2 and 4.3 of its paper."""
    set_of, _, depth = name.partition("_depth")
    if depth and network == "resnet3d":
        return
    one = load_experiment(EXPERIMENTS / f"{network}_{name}.py")
    assert one.optim == UntunedWarmupConfig(lr=0.1)
    assert one.protocol == ClipHoldOut(MERANET[set_of], rounding="total")
    assert (one.epochs, one.batch_size, one.dtype) == (100, 8, "float32")
    assert (one.selection, one.inner_criterion) == ("inner", "loss")
    inner = (one.inner_fraction, one.inner_unit, one.inner_draw)
    assert inner == (0.2, "clip", "split")
    assert one.data.min_frames == (1 if set_of == "casme_squared" else 16)
    assert one.data.frames == one.model.frames == int(depth or 16)
    assert (one.data.resample, one.data.window) == ("apex-window", "inside")
    assert (one.model.flip, one.model.deviation) == (True, "sample")


def test_meranet_by_subject_is_that_of_its_paper_but_for_the_protocol():
    paper = {c.name: c.experiment for c in cells_of("meranet_table1")}
    for cell in cells_of("meranet_loso"):
        changed = {"protocol": Loso(), "inner_unit": "subject", "inner_draw": "seed"}
        assert cell.experiment == replace(paper[cell.name], **changed)


def cells_of(name: str):
    return load_sweep(EXPERIMENTS / f"{name}.py").cells


HSTA_FILES = [
    f for f in FILES if f.stem.startswith("hsta_") and f.parent == EXPERIMENTS
]


@pytest.mark.parametrize("file", HSTA_FILES, ids=lambda f: f.stem)
def test_every_experiment_of_hsta_has_its_recipe(file):
    """Section 4.1.3, and `K_folds_finetuning.py` of its code where that is silent."""
    for cell in load_sweep(file).cells:
        one, model, data = cell.experiment, cell.experiment.model, cell.experiment.data
        assert one.dtype == "float32"
        if model.name != "hsta":
            continue
        assert (one.epochs, one.batch_size, one.sampling) == (150, 32, "balanced")
        assert (one.optim.lr, one.optim.weight_decay) == (5e-5, 0.05)
        assert (one.optim.warmup_epochs, one.optim.warmup_lr) == (5, 1e-6)
        assert (model.dropout, model.drop_path) == (0.2, 0.2)
        assert (model.drop_path_rates, model.objective) == ("authors", "cross_entropy")
        assert (data.resample, data.size, data.resize) == ("uniform", 224, "bilinear")
        folds = isinstance(one.protocol, ClipLists)
        assert folds == ("table5" not in file.stem and data.name == "casme_cubed"
                         and "table6" not in file.stem)  # fmt: skip
        assert one.protocol == (ClipLists(k=5) if folds else Loso())


def test_the_recipe_on_synthetic_faces_is_the_papers():
    paper = load_experiment(EXPERIMENTS / "hsta_table4.py")
    small = load_experiment(EXPERIMENTS / "synthetic" / "hsta_recipe.py")
    for name in ("optim", "epochs", "batch_size", "sampling", "dtype", "selection"):
        assert getattr(small, name) == getattr(paper, name), name
    for name in ("depth", "dropout", "drop_path", "mlp_ratio", "num_frames", "csta"):
        assert getattr(small.model, name) == getattr(paper.model, name), name


def test_the_recipes_are_those_of_the_papers():
    hsta = load_experiment(EXPERIMENTS / "hsta_table4.py")
    assert hsta.optim == AdamWConfig(
        lr=5e-5,
        weight_decay=0.05,
        warmup_epochs=5,
        warmup_lr=1e-6,
        final_lr=1.25e-7,
        layer_decay=0.9,
    )
    assert (hsta.epochs, hsta.batch_size) == (150, 32)
    assert (hsta.sampling, hsta.protocol) == ("balanced", ClipLists(k=5))
    for name in ("casme2", "samm", "smic"):  # AMAN's code, the same for all
        aman = load_experiment(EXPERIMENTS / f"aman_{name}.py")
        # torch.optim.RMSprop(lr=1e-3, eps=1e-8, weight_decay=1e-4), StepLR(30, 0.2)
        assert aman.optim == RmspropConfig(
            lr=1e-3, epsilon=1e-8, weight_decay=1e-4, every=30, factor=0.2,
            smoothing=0.99,
        )  # fmt: skip
        assert (aman.epochs, aman.batch_size, aman.protocol) == (50, 4, Loso())
        assert (aman.dtype, aman.selection, aman.sampling) == (
            *("float32", "last", "shuffled"),
        )
        network = aman.model
        assert (network.k, network.n, network.norm) == (9, 11, "per-image")
        assert (network.pick, network.size, network.init) == ("step", 224, "torch")
        clips = aman.data
        assert (clips.frames, clips.resample, clips.size) == (20, "tim", 224)
    smic = load_experiment(EXPERIMENTS / "stanet_smic.py").model
    assert smic.flip and smic.rescales == (1.0,)
    memory = load_experiment(EXPERIMENTS / "visual_memory_casme2.py")
    assert memory.optim == RmspropConfig(
        **{"lr": 1e-4, "weight_decay": 0.005, "clip": 50.0},
        **{"form": "tensorflow", "smoothing": 0.9, "epsilon": 1e-10},
    )
    assert (memory.batch_size, memory.protocol) == (1, Loso())
    assert (memory.model.steps, memory.model.steps_count) == (14, "alike")
    assert (memory.model.rotate, memory.model.rescale, memory.model.shift) == (
        *(10.0, 0.1, 2.0),
    )
    assert (memory.data.resample, memory.data.stride) == ("native", 1)
    for name, kind in (("", HoldOut), ("_clips", ClipHoldOut)):
        file = EXPERIMENTS / f"visual_memory_casme2_70_30{name}.py"
        other = load_experiment(file)
        assert other.protocol == kind(0.3)
        assert dataclasses.replace(other, protocol=Loso()) == memory
    spatial = load_experiment(EXPERIMENTS / "visual_memory_casme2_spatial.py")
    assert spatial.data == memory.data
    assert (spatial.dtype, memory.dtype) == ("float32", "float32")


def test_a_run_of_the_paper_s_settings_is_its_row():
    """And one of the settings that were ours is not, with what differs in words."""
    memory = load_experiment(EXPERIMENTS / "visual_memory_casme2.py")
    told = settled(memory, "visual-memory-2")
    assert told == [
        "start-from none, paper a run of the spatial phase",
        "pretrained none, paper a network of motion",
    ]
    for change, words in (
        ({"optim": RmspropConfig(1e-4, 0.9, 1e-10, 0.005)}, "optim.form torch"),
        ({"protocol": HoldOut(0.2)}, "protocol.fraction 0.2, paper 0.3"),
        ({"protocol": ClipHoldOut(0.3)}, None),
        (
            {"model": dataclasses.replace(memory.model, steps_count="by-intensity")},
            "model.steps-count by-intensity, paper alike",
        ),
        (
            {"data": dataclasses.replace(memory.data, resample="whole")},
            "data.resample whole, paper native",
        ),
        (
            {"data": dataclasses.replace(memory.data, stride=2)},
            "data.stride 2, paper 1",
        ),
    ):
        found = settled(dataclasses.replace(memory, **change), "visual-memory-2")
        more = [one for one in found if one not in told]
        assert len(more) == (words is not None)
        assert words is None or words in more[0]


def settled(experiment, name):
    """In what an experiment is not the last row of a table, in words."""
    fields = experiment.resolved()
    run = SimpleNamespace(
        experiment={"experiment": fields, "identity": {"dtype": fields["dtype"]}},
        metrics={},
    )
    paper = table(name)
    return [*differences(run, paper.settings(paper.rows[-1]))]


@pytest.mark.parametrize(
    "file", ["visual_memory_casme2", "stanet_casme2", "quickstart"]
)
def test_a_protocol_is_chosen_by_its_name(file):
    file = EXPERIMENTS / f"{file}.py"
    assert parsed(file, "--protocol", "loso").protocol == Loso()
    words = ["--protocol=clip-kfold", "--protocol.k", "7"]
    assert parsed(file, *words).protocol == ClipKFold(7)
    words = ["--protocol.fraction", "0.3", "--protocol", "hold-out"]
    assert parsed(file, *words).protocol == HoldOut(0.3)
    assert parsed(file).protocol == load_experiment(file).protocol


def test_what_protocols_share_is_kept():
    file = EXPERIMENTS / "meranet_casme_squared.py"
    fraction = load_experiment(file).protocol.fraction
    assert fraction != HoldOut().fraction or fraction == 0.2
    assert parsed(file, "--protocol", "hold-out").protocol == HoldOut(fraction)


def test_every_protocol_is_named_in_help(capsys):
    with pytest.raises(SystemExit):
        parsed(EXPERIMENTS / "quickstart.py", "--protocol", "hold-out", "--help")
    shown = " ".join(capsys.readouterr().out.split())
    assert "--protocol.fraction" in shown
    ours = [w for w, kind in protocols().items() if kind.__module__ == Loso.__module__]
    assert len(ours) >= 5
    assert [word for word in ours if word not in shown] == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--protocol", "los"], "'los': no protocol is called so .did you mean 'loso'"),
        (["--protocol", "hold_out"], "There are loso, kfold, hold-out"),
        (["--protocol"], "There are loso"),
        (["--protocol", "loso", "--protocol=kfold"], "given twice: loso and kfold"),
    ],
)
def test_a_protocol_that_there_is_not(words, message):
    with pytest.raises(UsageError, match=message):
        parsed(EXPERIMENTS / "quickstart.py", *words)


def test_a_sweep_s_rows_are_divided_as_it_is_asked():
    """Where they do not set it themselves."""
    file = EXPERIMENTS / "aman_table1.py"
    sweep = load_sweep(file)
    default = RunOptions(sweep.base, run_dir=Path("runs"))
    words = ["--protocol", "kfold", "--protocol.k", "3"]
    options = parse(RunOptions, "jmer run", words, default)
    cells = sweep.over(options.experiment, ()).cells
    assert {cell.experiment.protocol for cell in cells} == {KFold(3)}
