"""An experiment refuses what cannot run, and knows what its numbers depend on."""

import dataclasses
import json
from dataclasses import replace
from pathlib import Path

import pytest

from data_builders.casme2 import Casme2
from data_builders.folder import Folder
from data_builders.megc2019_flow28 import Megc2019Flow28
from data_builders.synthetic import Synthetic
from jmer.baselines.flow_pixels import FlowPixelsConfig
from jmer.baselines.svm import SvmConfig
from jmer.data.splits import ClipHoldOut, HoldOut, KFold, Loso
from jmer.errors import UsageError, option
from jmer.experiment import EngineConfig, Experiment, load_experiment
from jmer.models.stanet import STANetConfig
from jmer.models.ststnet import STSTNetConfig
from jmer.optim import AdamConfig, AdamWConfig, RmspropConfig, SgdConfig
from jmer.train.objective import LossConfig

EXPERIMENTS = Path(__file__).resolve().parent.parent / "experiments"
BASE = Experiment(
    model=STSTNetConfig(),
    data=Synthetic(data_dir=Path("/d")),
    optim=AdamConfig(lr=1e-3),
    epochs=7,
)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"epochs": 0}, "epochs=0 must be at least 1"),
        ({"batch_size": -3}, "batch-size=-3 must be at least 1"),
        ({"eval_every": 0}, "eval-every=0 must be at least 1"),
        ({"inner_fraction": 0.0}, "inner-fraction=0.0 must be between 0 and 1"),
        ({"inner_fraction": 1.0}, "inner-fraction=1.0 must be between 0 and 1"),
        ({"inner_fraction": float("nan")}, "inner-fraction=nan must be between"),
        ({"seeds": ()}, r"seeds=\(\) must be different numbers"),
        ({"variants": ("optim.lr=0.01", "optim.lr=1e-2")}, "must be different"),
        ({"seeds": (1, 2, 1)}, r"seeds=\(1, 2, 1\) must be different numbers"),
        ({"seeds": (0, -1)}, r"seeds=\(0, -1\) must not be negative"),
        ({"batches": "Shared"}, "batches=Shared must be one of .*own.*shared"),
        ({"batches": None}, "batches=None must be one of"),
        ({"sampling": "balance"}, "sampling=balance must be one of"),
        ({"selection": "best"}, "selection=best must be one of .*last.*inner"),
        ({"inner_unit": "x"}, "inner-unit=x must be one of"),
        ({"inner_criterion": "acc"}, "inner-criterion=acc must be one of"),
        ({"dtype": "float64"}, "dtype=float64 must be one of"),
        ({"eval_every": None}, "eval-every=None must be at least 1"),
        ({"model": STSTNetConfig}, "model=STSTNetConfig must be a network such as"),
        ({"data": "casme2"}, "data='casme2' must be a data set such as"),
        ({"data": None}, "data=None must be a data set"),
        ({"optim": AdamConfig}, "optim=AdamConfig must be an optimiser such as"),
        ({"optim": {"lr": 1}}, "optim={'lr': 1} must be an optimiser"),
        ({"protocol": "loso"}, "protocol='loso' must be a protocol such as Loso"),
        ({"engine": {}}, "engine={} must be an EngineConfig"),
        ({"pretrained": 5}, "pretrained=5 must be a path"),
        ({"start_from": 5}, "start_from=5 must be a path"),
    ],
)
def test_bad_fields_are_refused(fields, words):
    with pytest.raises(UsageError, match=words):
        replace(BASE, **fields)


@pytest.mark.parametrize(
    ("kind", "fields", "words"),
    [
        (EngineConfig, {"pack": 0}, "engine.pack=0 must be at least 1"),
        (EngineConfig, {"strategy": "fast"}, "engine.strategy=fast must be one of"),
        (Casme2, {"size": 10**6}, "size=1000000: must be at most 2,048"),
        (Casme2, {"frames": 2 * 10**9}, "frames=2000000000: must be at most 10,000"),
        (Casme2, {"size": 10**20}, "size=1(0+): must be at most"),
        (EngineConfig, {"checkpoint_seconds": -1.0}, "seconds=-1.0 must be finite and"),
        (AdamConfig, {"lr": 0.0}, "optim.lr=0.0 must be positive"),
        (AdamConfig, {"lr": float("nan")}, "optim.lr=nan must be positive"),
        (SgdConfig, {"lr": float("inf")}, "optim.lr=inf must be positive and finite"),
        (AdamConfig, {"beta2": 1.0}, r"optim.beta2=1.0 must be in \[0, 1\)"),
        (STSTNetConfig, {"size": 3}, "model.size=3 must be at least 4 pixels"),
        (STSTNetConfig, {"filters": (3, 0)}, r"model.filters=\(3, 0\) must be posi"),
        (STSTNetConfig, {"dropout": 1.0}, r"model.dropout=1.0 must be in \[0, 1\)"),
    ],
)
def test_bad_fields_of_the_parts_are_refused(kind, fields, words):
    with pytest.raises(UsageError, match=words):
        kind(**fields)


NOT_FINITE = (float("nan"), float("inf"), float("-inf"))
PARTS = (
    *(EngineConfig, LossConfig, Loso, ClipHoldOut, STSTNetConfig, STANetConfig),
    *(AdamConfig, AdamWConfig, RmspropConfig, SgdConfig, SvmConfig, Synthetic, Folder),
)


def _fractions(kind):
    """The fields of a part that are numbers, and no counts."""
    fields = dataclasses.fields(kind)
    return [field.name for field in fields if field.type in (float, float | None)]


@pytest.mark.parametrize("value", [*NOT_FINITE, -1.0])
@pytest.mark.parametrize(
    ("kind", "name"),
    [(kind, name) for kind in PARTS for name in _fractions(kind)],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_no_number_of_a_part_is_infinite(kind, name, value):
    spelt = name.replace("_", "[-_]")  # the recipe of a set has its own way
    with pytest.raises(UsageError, match=rf"{spelt}={value}:? must be"):
        kind(**{name: value})


@dataclasses.dataclass(frozen=True)
class Unchecked(STSTNetConfig):
    """A network of somebody's own, who has not thought of it."""

    gain: float = 1.0
    gains: tuple[float, ...] = (1.0, 2.0)


@pytest.mark.parametrize("value", NOT_FINITE)
def test_no_number_of_an_experiment_is_infinite(value):
    for fields in ({"gain": value}, {"gains": (1.0, value)}):
        (name,) = fields
        with pytest.raises(UsageError, match=rf"^model.{name}={value} must be finite"):
            replace(BASE, model=Unchecked(**fields))
    for name in ("ema", "inner_fraction", "epochs", "batch_size", "patience"):
        with pytest.raises(UsageError, match=rf"^{option(name)}={value} must"):
            replace(BASE, **{name: value})


STREAMED = EngineConfig(data="streamed")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "batches=own are of .* --batches shared, or --engine.data auto$"),
        (
            {"sampling": "balanced"},
            "sampling=balanced draws .* --batches shared --sampling shuffled, or "
            "--engine.data auto --batches own$",
        ),
        (
            {"sampling": "balanced", "batches": "shared"},
            "sampling=balanced draws .* --batches shared --sampling shuffled, or "
            "--engine.data auto --batches own$",
        ),
    ],
)
def test_a_stream_of_each_folds_own_batches_is_refused(fields, words):
    with pytest.raises(UsageError, match=f"^engine.data=streamed needs .*{words}"):
        replace(BASE, engine=STREAMED, **fields)


def test_what_is_streamed_or_fitted_may_be():
    replace(BASE, engine=STREAMED, batches="shared")
    fitted = {"model": FlowPixelsConfig(), "optim": SvmConfig(), "epochs": 1}
    replace(BASE, **fitted, dtype="float32", engine=STREAMED)


@pytest.mark.parametrize(
    "fields",
    [
        {"engine": EngineConfig("loop", pack=3, devices=2, checkpoint_seconds=0.0)},
        {"seeds": (0, 1, 2)},
        {"data": Synthetic(data_dir=Path("/elsewhere"))},
        {"data": Synthetic(data_dir=Path("/d"), manual_dir=Path("/m"))},
        {"inner_fraction": 0.3},  # of no effect without inner selection
    ],
    ids=lambda f: next(iter(f)),
)
def test_identity_leaves_out_what_no_number_depends_on(fields):
    other = replace(BASE, **fields)
    assert other.resolved() != BASE.resolved()
    assert other.identity() == BASE.identity()


def test_identity_has_whether_landmarks_are_given_and_not_where():
    def identity(landmarks):
        data = Casme2(align="crop", landmarks=landmarks and Path(landmarks))
        return replace(BASE, data=data).identity()

    assert identity("/here.csv") == identity("/there.csv") != identity(None)


@pytest.mark.parametrize(
    "fields",
    [
        {"epochs": 8},
        {"batch_size": 31},
        {"batches": "shared"},
        {"selection": "inner"},
        {"eval_every": 2},
        {"dtype": "bfloat16"},
        {"optim": AdamConfig(lr=2e-3)},
        {"optim": AdamConfig(lr=1e-3, weight_decay=1e-4)},
        {"optim": SgdConfig(lr=1e-3)},
        {"model": STSTNetConfig(filters=(3, 5, 7))},
        {"model": STSTNetConfig(dropout=0.25)},
        {"data": Synthetic(data_dir=Path("/d"), noise=0.25)},
        {"data": Megc2019Flow28(data_dir=Path("/d"))},
        {"protocol": KFold(3)},
        {"protocol": HoldOut()},
    ],
    ids=lambda f: next(iter(f)),
)
def test_identity_sees_what_numbers_depend_on(fields):
    assert replace(BASE, **fields).identity() != BASE.identity()


def test_identity_sees_each_field_of_its_parts():
    for one, other in (
        (KFold(3), KFold(4)),
        (KFold(3), KFold(3, 1)),
        (Loso(), KFold()),
    ):
        first, second = (replace(BASE, protocol=p).identity() for p in (one, other))
        assert first != second
    inner = replace(BASE, selection="inner")
    assert replace(inner, inner_fraction=0.3).identity() != inner.identity()
    assert replace(inner, inner_draw="split").identity() != inner.identity()


def test_fields_that_came_later_are_in_an_identity_only_where_they_matter():
    """So that runs of before go on under the name that they have."""
    clips = replace(BASE, selection="inner", protocol=ClipHoldOut())
    found = clips.identity()
    assert "inner_draw" not in found and "rounding" not in found["protocol"]
    other = replace(clips, inner_draw="split", protocol=ClipHoldOut(rounding="total"))
    assert other.identity()["inner_draw"] == "split"
    assert other.identity()["protocol"]["rounding"] == "total"
    last = replace(other, selection="last").identity()  # of no effect there
    assert "inner_draw" not in last


def test_fields_are_json_and_the_parts_are_named():
    fields = replace(BASE, seeds=(3, 5)).resolved()
    assert json.loads(json.dumps(fields, allow_nan=False)) == fields
    assert fields["model"]["name"] == "ststnet"
    assert fields["model"]["filters"] == [3, 5, 8]
    assert fields["data"]["name"] == "synthetic"
    assert fields["data"]["data_dir"] == "/d"
    assert fields["optim"]["kind"] == "AdamConfig"
    assert fields["protocol"]["kind"] == "Loso"
    assert fields["seeds"] == [3, 5]


SOURCE = """
from pathlib import Path
from data_builders.synthetic import Synthetic
from jmer.experiment import Experiment
from jmer.models.ststnet import STSTNetConfig
from jmer.optim import AdamConfig

EXPERIMENT = Experiment(
    model=STSTNetConfig(), data=Synthetic(data_dir=Path("/d")), optim=AdamConfig(),
    epochs=7,
)
"""


def test_an_experiment_is_loaded_from_its_file(tmp_path):
    path = tmp_path / "a name with spaces.py"
    path.write_text(SOURCE)
    assert load_experiment(path) == BASE


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("import no_such_module_here\n", "fails: ModuleNotFoundError: .*no_such_mod"),
        ("1 / 0\n", "fails: ZeroDivisionError: division by zero"),
        ("x = (\n", "fails: SyntaxError"),
        ("x = '\0'\n", "fails: (SyntaxError|ValueError)"),
        ("raise SystemExit(3)\n", "fails: SystemExit"),
        ("", r"defines no EXPERIMENT = Experiment\(...\)"),
        ("EXPERIMENT = {'epochs': 3}\n", "defines no EXPERIMENT"),
        ("from jmer.experiment import Experiment as EXPERIMENT\n", "defines no EXPER"),
        (SOURCE.replace("=7", "=0"), "epochs=0 must be at least 1"),
    ],
)
def test_a_file_that_gives_no_experiment_is_named(tmp_path, content, words):
    path = tmp_path / "mine.py"
    path.write_text(content)
    with pytest.raises(UsageError, match=words) as caught:
        load_experiment(path)
    assert f"experiment file {path}" in str(caught.value)


def test_what_is_no_file_is_named(tmp_path):
    for path, words in (
        (tmp_path / "absent.py", "does not exist; `jmer list exper"),
        (tmp_path, "is a folder, and no experiment file; `jmer list exper"),
    ):
        with pytest.raises(UsageError, match=words) as e:
            load_experiment(path)
        assert str(path) in str(e.value)
    text = tmp_path / "experiment.toml"
    text.write_text(SOURCE)
    with pytest.raises(UsageError, match=rf"{text} is no Python file \(.py\)"):
        load_experiment(text)


@pytest.mark.parametrize(
    ("name", "data", "epochs"),
    [("quickstart", "synthetic", 60), ("ststnet_megc2019", "megc2019_flow28", 800)],
)
def test_the_experiments_of_the_repository(name, data, epochs):
    experiment = load_experiment(EXPERIMENTS / f"{name}.py")
    assert experiment.data.name == data
    assert experiment.model.name == "ststnet"
    assert experiment.epochs == epochs
    assert experiment.protocol == Loso()
