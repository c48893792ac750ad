"""Training on what is made up: the same however it is stopped, in one whole file."""

import csv
import dataclasses
import functools
import json
from typing import ClassVar

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from numeric import close
from numpy.testing import assert_allclose, assert_array_equal

from jmer import cli, keys, nn
from jmer.errors import JmerError, UsageError
from jmer.magnet.weight_files import arrays, load_magnet
from jmer.optim import AdamConfig, SgdConfig
from jmer.pretrain.base import PretrainRecipe
from jmer.pretrain.magnifier import MagnifierRecipe
from jmer.pretrain.run import pretrain
from jmer.pretrain.scenes import Motions
from jmer.pretrain.trainer import PretrainTrainer, _many
from jmer.runner.interrupt import Interruption
from jmer.weights.archive import read_weights, write_weights

TINY = Motions(size=8, objects=1, factor=5, motion=1, magnified=3)
RECIPE = MagnifierRecipe(AdamConfig(lr=3e-3), TINY, batch_size=2, width=2)


class Net(nnx.Module):
    def __init__(self, dtype, rngs):
        self.first = nn.Linear(3, 5, dtype=dtype, rngs=rngs)
        self.norm = nn.BatchNorm(5)
        self.last = nn.Linear(5, 1, dtype=dtype, rngs=rngs)

    def __call__(self, x):
        return self.last(nnx.tanh(self.norm(self.first(x), train=True)))[:, 0]


@dataclasses.dataclass(frozen=True)
class Sums(PretrainRecipe):
    """A network with statistics that learns to add: it compiles in no time."""

    name: ClassVar[str] = "sums"
    steps: ClassVar[int] = 9

    optim: SgdConfig = dataclasses.field(
        default_factory=lambda: SgdConfig(lr=0.05, momentum=0.9)
    )

    def build(self, dtype, rngs):
        return Net(dtype, rngs)

    def batch(self, key):
        return jax.random.normal(key, (7, 3))

    def loss(self, model, batch):
        return jnp.square(model(batch) - batch.sum(1)).mean()


def train(out, steps, recipe=None, *, every=4, calls=None, **options):
    """Stopped after that many calls, if any; the arrays of the file."""
    told = []

    def stopping():
        return calls is not None and len(told) >= calls

    pretrain(
        recipe or Sums(),
        out,
        steps=steps,
        every=every,
        watch=lambda *words: told.append(words),
        stopping=stopping,
        **options,
    )
    return read_weights(out)[0]


@pytest.mark.parametrize("calls", [1, 3])
def test_a_stopped_training_goes_on_bit_for_bit(tmp_path, calls):
    whole = train(tmp_path / "whole.npz", 11)
    out = tmp_path / "stopped.npz"
    with pytest.raises(KeyboardInterrupt):
        train(out, 11, calls=calls)
    assert 0 < read_weights(out)[1]["step"] < 11
    stopped = train(out, 11, every=5)
    assert whole.keys() == stopped.keys()
    for name, value in whole.items():
        assert_array_equal(value, stopped[name], name)
    assert whole["step"] == 11
    assert {name.split(".")[0] for name in whole} == {
        "step",
        "params",
        "newest",
        "stats",
        "optim",
    }


def test_a_finished_training_goes_on_if_more_is_asked(tmp_path):
    train(tmp_path / "a.npz", 5)
    before = (tmp_path / "a.npz").stat().st_mtime_ns
    longer, whole = train(tmp_path / "a.npz", 9), train(tmp_path / "b.npz", 9)
    for name, value in whole.items():
        assert_array_equal(value, longer[name], name)
    assert (tmp_path / "a.npz").stat().st_mtime_ns != before
    # Fewer are no reason to forget any.
    assert pretrain(Sums(), tmp_path / "a.npz", steps=3, every=4) == 9
    assert read_weights(tmp_path / "a.npz")[1]["step"] == 9


@pytest.mark.parametrize("name", ["magnet", "motion"])
def test_no_two_options_of_a_recipe_have_one_name(name, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["pretrain", name, "--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    for option in ("--out", "--steps", "--save-every", "--lr", "--average", "--size"):
        assert f"{option} " in shown


@pytest.mark.parametrize("average", [0.0, 0.5])
def test_the_running_mean_is_what_is_written(average):
    """Of the parameters that are updated, whose own path knows nothing of it."""
    trainer, plain = (PretrainTrainer(Sums(average=a), seed=1) for a in (average, 0.0))
    state, alone = trainer.start(), plain.start()
    mean = jax.device_get(state.params)
    for step in range(12):
        state, _ = trainer.advance(state, 1)
        alone, _ = plain.advance(alone, 1)
        newest = jax.device_get(state.newest)
        kept = min(average, (1 + step) / (10 + step))
        mean = jax.tree.map(lambda m, n, k=kept: k * m + (1 - k) * n, mean, newest)
        close(state.params, mean, 1e-6)
        close(newest, jax.device_get(alone.params), 1e-6)
    assert kept == average  # in the end


@pytest.mark.parametrize("parts", [(9,), (1, 8), (4, 2, 3)])
def test_calls_may_end_anywhere(parts):
    """Also where a call is one program, as on accelerators."""
    trainer = PretrainTrainer(Sums(), seed=1, looped=True)
    whole, _ = trainer.advance(trainer.start(), 9)
    state, losses = trainer.start(), []
    for count in parts:
        state, loss = trainer.advance(state, count)
        losses.append(float(loss) * count)
    jax.tree.map(assert_array_equal, state, whole)
    stepwise = PretrainTrainer(Sums(), seed=1, looped=False)
    other, mean = stepwise.advance(stepwise.start(), 9)
    close(other, jax.device_get(whole), 1e-4)
    assert_allclose(mean, sum(losses) / 9, rtol=1e-4)


def test_a_call_is_one_program_and_lowers_for_every_backend():
    trainer = PretrainTrainer(RECIPE, seed=0, looped=True)
    state = jax.eval_shape(trainer.start)
    given = (keys.seed_key(0), state, jax.ShapeDtypeStruct((), jnp.int32))
    text = _many.lower(RECIPE, "float32", *given).as_text()
    # All of the state is used up.
    assert text.count("tf.aliasing_output") == len(jax.tree.leaves(state))
    assert "callback" not in text
    exported = jax.export.export(_many, platforms=("cpu", "cuda", "tpu"))
    assert exported(RECIPE, "float32", *given).platforms == ("cpu", "cuda", "tpu")


def test_it_learns_and_the_seed_matters(tmp_path):
    told = []
    pretrain(
        Sums(),
        tmp_path / "a.npz",
        steps=120,
        every=1000,
        watch=lambda done, total, note: told.append((done, total, note)),
    )
    done, totals, notes = zip(*told, strict=True)
    assert done[-1] == 120 and list(done) == sorted(done) and set(totals) == {120}
    losses = [float(note.split()[1]) for note in notes]
    assert losses[-1] < losses[0] / 2
    assert "steps/s" not in notes[0] and notes[-1].endswith("steps/s")
    starts = [PretrainTrainer(Sums(), seed=seed).start() for seed in (0, 1)]
    kernels = [state.params["first"]["kernel"][...] for state in starts]
    assert not np.allclose(*kernels)


# --- files


def test_a_file_of_another_training_is_kept(tmp_path):
    out = tmp_path / "a.npz"
    train(out, 2)
    before = out.read_bytes()
    other = Sums(optim=SgdConfig(lr=0.1, momentum=0.9))
    with pytest.raises(JmerError, match=r"recipe\.optim\.lr is 0\.05 there and 0\.1"):
        train(out, 2, other)
    with pytest.raises(JmerError, match="seed is 0 there and 3 here"):
        train(out, 2, seed=3)
    with pytest.raises(JmerError, match="network is sums there and magnet here"):
        train(out, 2, RECIPE)
    assert out.read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"no archive", "other", "cut"], ids=str)
def test_files_that_are_no_weights_are_refused(tmp_path, content):
    out = tmp_path / "a.npz"
    if content == "other":
        np.savez(out, params=np.zeros(3))
    elif content == "cut":
        train(out, 1)
        out.write_bytes(out.read_bytes()[:-300])
    else:
        out.write_bytes(content)
    before = out.read_bytes()
    with pytest.raises(JmerError, match=r"a\.npz holds no weights that .* delete it"):
        train(out, 2)
    assert out.read_bytes() == before


def test_a_place_that_cannot_be_written_is_known_before_training(tmp_path):
    (tmp_path / "file").write_text("")
    told = []
    with pytest.raises(JmerError, match=r"cannot write .*file"):
        pretrain(
            Sums(),
            tmp_path / "file/a.npz",
            steps=2,
            every=1,
            watch=lambda *words: told.append(words),
        )
    assert not told


def test_a_loss_that_is_no_number_is_never_written(tmp_path):
    out = tmp_path / "a.npz"
    wild = Sums(optim=SgdConfig(lr=1e25, momentum=0.9))
    with pytest.raises(JmerError, match=r"the loss is (nan|inf) .* smaller --lr"):
        train(out, 50, wild, every=1)
    saved, about = read_weights(out)
    assert all(np.isfinite(x).all() for x in saved.values())
    assert about["step"] < 50


def test_arrays_of_another_shape_are_refused(tmp_path):
    out = tmp_path / "a.npz"
    train(out, 1)
    saved, about = read_weights(out)
    saved["params.first.kernel"] = saved["params.first.kernel"][:2]
    write_weights(out, saved, about)
    with pytest.raises(JmerError, match=r"a\.npz: params\.first\.kernel has shape"):
        train(out, 2)


# --- the magnifier


@pytest.mark.slow
def test_its_loss_is_that_of_a_twin():
    """Section 3.3 in PyTorch, and its gradients."""
    torch = pytest.importorskip("torch")
    from twins.magnet import random_twin

    recipe = dataclasses.replace(RECIPE, agreement=0.7)
    twin = random_twin(0, 2).double()
    state = {name: p.detach().numpy() for name, p in twin.named_parameters()}
    found = arrays(state, width=2)
    model = recipe.build(jnp.float32, nnx.Rngs(params=0))
    graphdef, params = nnx.split(model)
    leaves = [
        (p, v.replace(jnp.asarray(found[p], jnp.float32)))
        for p, v in nnx.to_flat_state(params)
    ]
    batch = jax.jit(recipe.batch)(keys.seed_key(2))

    @jax.jit
    def pulled(params):
        return jax.value_and_grad(
            lambda params: recipe.loss(nnx.merge(graphdef, params), batch)
        )(params)

    loss, gradients = pulled(nnx.from_flat_state(leaves))
    onset, frame, clean, target = (
        torch.tensor(np.asarray(x)).double().movedim(-1, 1) / 127.5 - 1
        for x in batch[:4]
    )
    (va, ma), (vf, mf), (vc, mc), (vt, _) = map(
        twin.encoder, (onset, frame, clean, target)
    )
    factor = torch.tensor(np.asarray(batch.factor)).double()
    made = twin.decoder(vf, twin.manipulator(ma, mf, factor))
    apart = (va - vc).abs().mean() + (vf - vt).abs().mean() + (mc - mf).abs().mean()
    expected = (made - target).abs().mean() + 0.7 * apart
    close(loss, expected.detach().numpy())
    expected.backward()
    wanted = arrays({n: p.grad.numpy() for n, p in twin.named_parameters()}, width=2)
    for path, value in nnx.to_flat_state(gradients):
        close(value[...], wanted[path], 1e-4)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A magnifier after some steps, and the losses on the way."""
    out, told = tmp_path_factory.mktemp("trained") / "tiny.npz", []
    pretrain(
        RECIPE, out, steps=60, every=60, watch=lambda *words: told.append(words[2])
    )
    return out, [float(note.split()[1]) for note in told]


@pytest.mark.slow
def test_a_trained_magnifier_is_read_as_the_published_one_is(trained):
    out, losses = trained
    assert losses[-1] < losses[0]
    graphdef, params = load_magnet(out)
    saved, _ = read_weights(out)
    for path, value in nnx.to_flat_state(params):
        name = ".".join(map(str, ("params", *path)))
        assert_array_equal(value[...], saved[name])
    frame = np.zeros((1, 8, 8, 3), np.float32)
    model = nnx.merge(graphdef, params)
    assert model(frame, frame, np.ones(1, np.float32)).shape == frame.shape
    assert load_magnet(out) is load_magnet(out)


def renamed(saved, about):
    about["identity"]["network"] = "motion"


def lacking(saved, about):
    del saved["params.decoder.first.conv.kernel"]


def wider(saved, about):
    about["identity"]["recipe"]["width"] = 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (renamed, "it is of motion"),
        (lacking, r"params\.decoder\.first\.conv\.kernel is missing"),
        (wider, r"params\.\S+ has shape \(.*\) instead of \("),
    ],
)
def test_other_files_are_refused_as_magnifiers(trained, tmp_path, change, words):
    saved, about = read_weights(trained[0])
    change(saved, about)
    write_weights(tmp_path / "odd.npz", saved, about)
    with pytest.raises(JmerError, match=rf"odd\.npz is no checkpoint of .*{words}"):
        load_magnet(tmp_path / "odd.npz")


@pytest.mark.slow
def test_bfloat16_is_for_computing_alone():
    trainer = PretrainTrainer(RECIPE, seed=0, dtype="bfloat16")
    state, loss = trainer.advance(trainer.start(), 1)
    assert loss.dtype == jnp.float32
    wide = PretrainTrainer(RECIPE, seed=0)
    _, expected = wide.advance(wide.start(), 1)
    assert 0 < abs(loss - expected) < 0.02 * expected
    for leaf in jax.tree.leaves((state.params, state.optim)):
        assert leaf.dtype in (jnp.float32, jnp.int32)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"batch_size": 0}, "batch-size=0 must be at least 1"),
        ({"width": 0}, "width=0 must be at least 1"),
        ({"average": 1.0}, "average=1.0 must be in"),
        ({"agreement": float("inf")}, "agreement=inf must be finite"),
    ],
)
def test_wrong_recipes_are_refused(fields, words):
    with pytest.raises(UsageError, match=words):
        MagnifierRecipe(**fields)


# --- commands

WORDS = "pretrain magnet --size 8 --objects 1 --width 1 --batch-size 1 --steps 3"


def test_the_command_trains_stops_and_goes_on(tmp_path, capsys, monkeypatch):
    out = tmp_path / "new/magnet.npz"
    words = [*WORDS.split(), "--out", str(out), "--lr", "0.002"]
    with monkeypatch.context() as patched:
        patched.setattr(Interruption, "asked", lambda self: True)
        assert cli.main(words) == 130
    assert capsys.readouterr().err == "interrupted; the same command goes on\n"
    about = read_weights(out)[1]
    assert about["step"] == 1
    assert about["identity"]["recipe"]["optim"]["lr"] == 0.002
    assert about["identity"]["recipe"]["motions"]["size"] == 8
    assert cli.main(words) == 0
    assert capsys.readouterr().out == f"3 steps, 1 of them before: {out}\n"
    assert cli.main([*words, "--seed", "1"]) == 1
    error = capsys.readouterr().err
    assert "seed is 0 there and 1 here" in error and error.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("pretrain", "NAME: magnet, motion"),
        ("pretrain everything", "NAME: magnet, motion"),
        (f"{WORDS} --out a.pth", "out=a.pth must end in .npz"),
        (f"{WORDS} --steps 0", "steps=0 must be at least 1"),
        (f"{WORDS} --size 9", "size=9 must be a multiple of 4"),
        (f"{WORDS} --lr 0", "optim.lr=0.0 must be positive"),
        ("weights measure a --motions 0", "motions=0.0 must all be finite and above 0"),
        ("weights measure a --factors 1", "factors=1.0 must all be finite and above 1"),
        ("weights measure a --size 40", "at least 48 for motions of 9 pixels"),
        ("weights measure a --out t.txt", "out=t.txt must end in .csv"),
        ("weights measure nowhere.npz", "nowhere.npz: No such file"),
    ],
)
def test_wrong_usage_is_one_line(words, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(words.split()) == (1 if "nowhere" in words else 2)
    error = capsys.readouterr().err
    assert error.startswith("error: ") and said in error and error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_table_of_somebody_else_stays(tmp_path, capsys):
    """It is told before anything is read or measured."""
    table = tmp_path / "table.csv"
    line = ["weights", "measure", "nowhere.npz", "--out", str(table)]
    for mine in ("", "clip,motion\n", "motion,factor,found,errors\n"):
        table.write_text(mine)
        assert cli.main(line) == 2
        error = capsys.readouterr().err
        assert "is there already, and not from `jmer weights measure`" in error
        assert "Choose another place with --out" in error and error.count("\n") == 1
        assert table.read_text() == mine
    table.write_text("motion,factor,found,error\n1.0,2.0,1.9,0.1\n")  # its own
    assert cli.main(line) == 1 and "nowhere.npz: No such" in capsys.readouterr().err


@pytest.mark.slow
def test_the_command_measures(trained, tmp_path, capsys):
    table = tmp_path / "table.csv"
    words = ["weights", "measure", str(trained[0]), "--out", str(table)]
    more = [
        "--motions",
        "0.5",
        "1",
        "--factors",
        "2",
        "3",
        "--size",
        "24",
        "--scenes",
        "1",
    ]
    table.write_text("motion,factor,found,error\nof,an,older,one\n")
    assert cli.main([*words, *more]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["motion", "x2", "x3"] and len(lines) == 4
    with table.open() as file:
        rows = list(csv.DictReader(file))
    assert [(r["motion"], r["factor"]) for r in rows] == [
        ("0.5", "2.0"),
        ("0.5", "3.0"),
        ("1.0", "2.0"),
        ("1.0", "3.0"),
    ]
    shown = float(lines[2].split()[1].removesuffix("%"))
    assert shown == pytest.approx(100 * float(rows[0]["error"]), abs=0.051)


def test_the_published_weights_magnify(magnification):
    """To about a tenth of what they should; less well by small factors."""
    pytest.importorskip("torch")
    from jmer.magnet.magnify import magnified
    from jmer.pretrain.measure import measure

    network = nnx.merge(*load_magnet(magnification / "learning_based_mag.pth.tar"))
    with nn.use_lowering("backend"):
        found = measure(
            functools.partial(magnified, network),
            motions=(0.5,),
            factors=(4, 6),
            size=64,
            scenes=1,
        )
    assert found.error.max() < 0.25, json.dumps(found.rows())
