"""The experiments that come with jmer, and the rows of the papers beside them."""

from pathlib import Path

import pytest

from jmer.commands.list import _experiments
from jmer.commands.options import RunOptions
from jmer.commands.parsing import parse
from jmer.data.splits import ClipHoldOut, ClipKFold, Loso
from jmer.experiment import load_experiment
from jmer.optim import (
    AdamConfig,
    AdamWConfig,
    RmspropConfig,
    UntunedWarmupConfig,
)
from jmer.sweep.cells import load_sweep

EXPERIMENTS = Path(__file__).resolve().parent.parent / "experiments"
FILES = [
    file
    for file in sorted(EXPERIMENTS.rglob("*.py"))
    # A program of its own.
    if file != EXPERIMENTS / "benchmarks" / "flow.py"
]
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


def test_the_recipes_are_those_of_the_papers():
    stanet = load_experiment(EXPERIMENTS / "stanet_casme2.py")
    assert stanet.optim == AdamConfig(lr=1e-5, weight_decay=1e-4)
    assert (stanet.epochs, stanet.batch_size, stanet.protocol) == (30, 8, Loso())
    meranet = load_experiment(EXPERIMENTS / "meranet_casme_squared.py")
    assert meranet.optim == UntunedWarmupConfig(lr=0.1)
    assert meranet.protocol == ClipHoldOut(0.2)
    assert (meranet.selection, meranet.inner_criterion) == ("inner", "loss")
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
    assert (hsta.sampling, hsta.protocol) == ("balanced", ClipKFold(5))
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
