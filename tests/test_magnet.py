"""The magnification network: an independent twin, and the images of its authors."""

import functools
import json

import cv2
import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from numeric import close, normal
from numpy.testing import assert_allclose, assert_array_equal

from jmer import cli
from jmer.errors import JmerError, UsageError
from jmer.magnet.magnify import linear, magnified
from jmer.magnet.network import Magnet
from jmer.magnet.weight_files import arrays, load_magnet, published, structure
from jmer.models.base import describe
from jmer.models.magnet import MagnetConfig
from jmer.nn import use_lowering
from jmer.runs.weights import Weights
from jmer.weights.archive import write_weights

WIDTH = 2
ONSET, FRAME = normal(0, 3, 12, 20, 3), normal(1, 3, 12, 20, 3)
FACTOR = np.float32([1, 2.5, 7])
REFERENCES = ("2.0", "4.26", "6.19", "8.13", "10.06", "12.0")


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch")


@pytest.fixture(scope="module")
def twin(torch):
    from twins.magnet import random_twin

    return random_twin(0, WIDTH)


@pytest.fixture(scope="module")
def checkpoint(torch, twin, tmp_path_factory):
    """In the form in which the weights were published."""
    file = tmp_path_factory.mktemp("weights") / "learning_based_mag.pth.tar"
    state = {f"module.{name}": value for name, value in twin.state_dict().items()}
    torch.save({"state_dict": state, "time": 12.5}, file)
    return file


@pytest.fixture(scope="module")
def network():
    """Of no particular weights."""
    return nnx.split(Magnet(width=WIDTH, rngs=nnx.Rngs(params=0)))


@functools.partial(jax.jit, static_argnums=(0, 1))
def run(graphdef, method, params, *inputs):
    with use_lowering("backend"):
        return getattr(nnx.merge(graphdef, params), method)(*inputs)


@functools.partial(jax.jit, static_argnums=(0, 1))
def pulled(graphdef, lowering, params, *inputs):
    """The frames, and gradients of their product with `normal(9, ...)`."""

    def loss(params, *inputs):
        with use_lowering(lowering):
            made = nnx.merge(graphdef, params)(*inputs)
        return (made * normal(9, *made.shape)).sum(), made

    gradients, made = jax.grad(loss, (0, 1, 2, 3), has_aux=True)(params, *inputs)
    return made, gradients


@pytest.mark.parametrize("lowering", ["backend", "patches"])
def test_is_its_twin_forward_and_backward(torch, twin, checkpoint, lowering):
    graphdef, params = load_magnet(checkpoint)
    made, (of_params, *of_inputs) = pulled(
        graphdef, lowering, params, ONSET, FRAME, FACTOR
    )
    assert made.dtype == jnp.float32
    twin = twin.double()
    images = [
        torch.tensor(x).double().movedim(-1, 1).requires_grad_() for x in (ONSET, FRAME)
    ]
    factor = torch.tensor(FACTOR).double().requires_grad_()
    expected = twin(*images, factor).movedim(1, -1)
    close(made, expected.detach().numpy())
    twin.zero_grad()
    (expected * torch.tensor(normal(9, *expected.shape))).sum().backward()
    for found, image in zip(of_inputs, images, strict=False):
        close(found, image.grad.movedim(1, -1).numpy(), 1e-4)
    close(of_inputs[2], factor.grad.numpy(), 1e-4)
    state = {name: p.grad.numpy() for name, p in twin.named_parameters()}
    wanted = arrays(state, width=WIDTH)
    found = nnx.to_flat_state(of_params)
    assert {path for path, _ in found} == set(wanted)
    for path, value in found:
        close(value[...], wanted[path], 1e-4)
    twin.float()


def test_a_sweep_is_each_frame_by_each_factor(network):
    graphdef, params = network
    onset = normal(2, 2, 8, 12, 3)
    frames, factors = normal(3, 2, 3, 8, 12, 3), jnp.array([1.0, 3.0, 4.5, 9.0])
    together = run(graphdef, "sweep", params, onset, frames, factors)
    assert together.shape == (2, 3, 4, 8, 12, 3)
    for t in range(3):
        for k in range(4):
            factor = jnp.broadcast_to(factors[k], 2)
            alone = run(graphdef, "__call__", params, onset, frames[:, t], factor)
            close(together[:, t, k], alone)


def test_a_sweep_shares_what_no_factor_changes(network):
    """Operations for 5 factors: one encoding a frame, and one of the onset."""
    graphdef, params = network

    def flops(method, *shapes):
        inputs = [jax.ShapeDtypeStruct(shape, np.float32) for shape in shapes]
        lowered = run.lower(graphdef, method, params, *inputs)
        return (lowered.cost_analysis() or {})["flops"]

    image = (16, 16, 3)
    few, many = (flops("sweep", (1, *image), (1, 1, *image), (k,)) for k in (1, 5))
    naive = flops("__call__", (5, *image), (5, *image), (5,))
    decoded = (many - few) / 4  # a manipulation and a decoding
    encoded = (naive / 5 - decoded) / 2
    assert encoded > 0.05 * decoded
    # The onset's texture is never needed, so an onset costs less than a frame.
    assert_allclose(many - 5 * decoded, 2 * encoded, rtol=0.2)


@pytest.mark.parametrize("sides", [(4, 8), (8, 10), (6, 8)], ids=str)
def test_sides_are_multiples_of_four(network, sides):
    graphdef, params = network
    image = np.zeros((1, *sides, 3), np.float32)
    with pytest.raises(ValueError, match=r"must be multiples of 4, 8 or more"):
        nnx.merge(graphdef, params)(image, image, np.ones(1, np.float32))


def test_lowers_for_every_backend(network):
    graphdef, params = network
    exported = jax.export.export(
        jax.jit(lambda *inputs: nnx.merge(graphdef, params)(*inputs)),
        platforms=("cpu", "cuda", "tpu"),
    )
    done = exported(ONSET, FRAME, FACTOR)
    assert done.out_avals[0].shape == ONSET.shape


def test_bfloat16_comes_near_float32(network):
    _, params = network
    graphdef = nnx.split(
        Magnet(width=WIDTH, dtype=jnp.bfloat16, rngs=nnx.Rngs(params=0))
    )[0]
    wide = run(network[0], "__call__", params, ONSET, FRAME, FACTOR)
    narrow = run(graphdef, "__call__", params, ONSET, FRAME, FACTOR)
    assert narrow.dtype == jnp.float32
    assert (narrow != wide).any()
    assert_allclose(narrow, wide, atol=0.03 * np.abs(wide).max())


# --- frames of 0 to 255


def test_pixels_go_through_the_network(network):
    graphdef, params = network
    rng = np.random.default_rng(0)
    clip = rng.integers(0, 256, (1, 2, 8, 12, 3), np.uint8)
    factors = jnp.array([1.0, 4.0])
    model = nnx.merge(graphdef, params)
    made = jax.jit(functools.partial(magnified, model))(clip[:, 0], clip, factors)
    seen = clip.astype(np.float32) / 127.5 - 1
    expected = run(graphdef, "sweep", params, seen[:, 0], seen, factors)
    expected = np.clip((np.asarray(expected) + 1) * 127.5, 0, 255)
    assert_allclose(made, expected, atol=2e-3)
    assert 0 < expected.min() < expected.max() < 255 or expected.std() > 1


def test_frames_may_be_magnified_in_another_size(network, monkeypatch):
    """Stretched as OpenCV does, and back again; the network itself left out."""
    model = nnx.merge(*network)
    seen = []

    def same(self, onset, frames, factors):
        seen.append(onset.shape)
        return jnp.repeat(frames[:, :, None], len(factors), axis=2)

    monkeypatch.setattr(Magnet, "sweep", same)
    image = np.random.default_rng(1).integers(0, 256, (9, 11, 3), np.uint8)
    frames = image[None, None]
    made = magnified(model, image[None], frames, jnp.ones(2), size=16)
    large = cv2.resize(image.astype(np.float32), (16, 16))
    expected = cv2.resize(large, (11, 9))
    assert seen == [(1, 16, 16, 3)]
    assert_allclose(made[0, 0], [expected, expected], atol=2e-3)


def test_linear_magnification_multiplies_the_change():
    onset = np.array([[[[100, 10, 200]]]], np.uint8)
    frame = np.array([[[[[104, 7, 230]]]]], np.uint8)
    made = linear(onset, frame, jnp.array([1.0, 2.0, 9.0]))
    assert_array_equal(
        made[0, 0, :, 0, 0], [[104, 7, 230], [108, 4, 255], [136, 0, 255]]
    )


# --- weights


def test_has_the_parameters_of_the_published_weights(torch):
    from jmer.peers.magnet import Magnet as Twin

    record = describe(MagnetConfig())
    assert record["parameters"] == 928_144
    assert record["input"].startswith("onset_frame 384x384x3, frame 384x384x3")
    with torch.device("meta"):
        expected = {n: tuple(v.shape) for n, v in Twin().state_dict().items()}
    found = {
        published(path): (v.shape[3], v.shape[2], *v.shape[:2])
        for path, v in nnx.to_flat_state(structure(16)[1])
    }
    assert found == expected


def lacking(state):
    del state["decoder.conv1.weight"], state["decoder.resblks.8.conv2.weight"]


def larger(state):
    state["manipulator.convblks.0.conv1.weight"] = state["decoder.conv1.weight"]


def unknown(state):
    state["encoder.conv3.bias"] = state["encoder.conv1.weight"]


def nothing(state):
    state.clear()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lacking, r"decoder\.resblks\.8\.conv2\.weight is missing, decoder\.conv1"),
        (larger, r"convblks\.0\.conv1\.weight has shape \(4, 8, 3, 3\) instead of"),
        (unknown, r"encoder\.conv3\.bias is no part of it\. Give the published"),
        (nothing, r"is missing, .* is missing, and \d+ more\. Give the published"),
    ],
)
def test_other_weights_are_refused_by_name(torch, twin, tmp_path, change, words):
    state = dict(twin.state_dict())
    change(state)
    torch.save({"state_dict": state}, tmp_path / "odd.pth")
    with pytest.raises(JmerError, match=rf"odd\.pth is no checkpoint of .*{words}"):
        load_magnet(tmp_path / "odd.pth")


def test_files_that_are_no_weights_are_refused(torch, tmp_path):
    with pytest.raises(JmerError, match=r"gone\.pth: No such file.*Give the published"):
        load_magnet(tmp_path / "gone.pth")
    (tmp_path / "odd.pth").write_bytes(b"no weights")
    with pytest.raises(JmerError, match=r"odd\.pth cannot be read as plain weights"):
        load_magnet(tmp_path / "odd.pth")


def test_a_file_is_read_once_until_it_changes(torch, twin, checkpoint, tmp_path):
    file = tmp_path / "a.pth"
    file.write_bytes(checkpoint.read_bytes())
    assert load_magnet(file) is load_magnet(file)
    before = load_magnet(file)
    torch.save({**twin.state_dict(), "lr": 1.0}, file)
    assert load_magnet(file) is not before


@pytest.mark.parametrize(
    ("fields", "words"),
    [({"size": 6}, "size=6"), ({"size": 4}, "size=4"), ({"width": 0}, "width=0")],
)
def test_bad_fields_are_refused(fields, words):
    with pytest.raises(UsageError, match=rf"model\.{words} must be"):
        MagnetConfig(**fields)


def test_it_is_no_classifier():
    config = MagnetConfig(size=8, width=1)
    with pytest.raises(JmerError, match="tells no classes apart"):
        config.predict(None, {})


# --- the published weights and images


def test_the_command_line_imports_the_published_weights(
    magnification, tmp_path, capsys
):
    words = ["weights", "import", "magnet", "--torch", str(magnification)]
    assert cli.main([*words, "--out", str(tmp_path)]) == 0
    assert "1 weights of magnet" in capsys.readouterr().out
    loaded = Weights.load(tmp_path)
    assert sum(x.size for x in loaded.arrays.values()) == 928_144
    model = loaded.model(subject="learning_based_mag")
    expected = load_magnet(magnification / "learning_based_mag.pth.tar")[1]
    jax.tree.map(assert_array_equal, nnx.state(model, nnx.Param), expected)
    cli.main(["list", "models", "--json"])
    listed = {r["name"]: r for r in json.loads(capsys.readouterr().out)}
    assert listed["magnet"]["parameters"] == 928_144


@pytest.mark.parametrize("name", REFERENCES)
def test_the_images_of_the_authors_are_reproduced(magnification, name):
    """To 42 dB of their JPEG files, at the factor whose rounded name they bear."""
    graphdef, params = load_magnet(magnification / "learning_based_mag.pth.tar")
    factors = np.linspace(2, 12, 32)
    factor = factors[np.abs(factors - float(name)).argmin()]
    assert round(factor, 2) == float(name)
    onset, frame = (
        cv2.resize(read(magnification / f"frames/reg_img{n}.jpg"), (384, 384))
        for n in (46, 59)
    )
    inputs = [x[None].astype(np.float32) / 127.5 - 1 for x in (onset, frame)]
    made = run(graphdef, "__call__", params, *inputs, np.float32([factor]))
    made = np.clip(np.rint((np.asarray(made[0]) + 1) * 127.5), 0, 255)
    error = made - read(magnification / f"reference/{name}.jpg")
    assert 10 * np.log10(255**2 / np.square(error).mean()) >= 42


def read(file):
    return cv2.cvtColor(cv2.imread(str(file)), cv2.COLOR_BGR2RGB)


def test_a_file_of_ours_with_more_in_it_is_refused(tmp_path):
    """What a training keeps beside the weights is none of the network's."""
    leaves = nnx.to_flat_state(structure(4)[1])
    arrays = {
        ".".join(["params", *map(str, path)]): np.zeros(variable.shape, np.float32)
        for path, variable in leaves
    }
    about = {"identity": {"network": "magnet", "recipe": {"width": 4}}}
    kept = {"newest.a": np.zeros(2), "optim.b": np.zeros(2), "step": np.zeros(())}
    write_weights(tmp_path / "a.npz", arrays | kept, about)
    load_magnet(tmp_path / "a.npz")
    for name in ("params.encoder.third.kernel", "stats.encoder.norm.mean"):
        write_weights(tmp_path / "b.npz", arrays | {name: np.zeros(2)}, about)
        with pytest.raises(JmerError, match=f"{name} is no part of it"):
            load_magnet(tmp_path / "b.npz")
