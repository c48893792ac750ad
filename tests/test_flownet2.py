"""FlowNet 2.0 against an independent twin, and data sets that are prepared with it.

By hand, since it takes 650 MB: at the paper's width, a random twin and the network read
from its checkpoint agree to 9e-6 of the largest vector on a pair of 192 x 192.
"""

import dataclasses
import functools
import re
import subprocess
import sys

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from downloads import write
from flax import nnx
from numeric import close, normal
from numpy.testing import assert_array_equal

from data_builders.synthetic import Synthetic
from jmer.data import check, load, prepare
from jmer.errors import JmerError, UsageError
from jmer.experiment import Experiment
from jmer.models.ststnet import STSTNetConfig
from jmer.nn import use_lowering
from jmer.optim import AdamConfig
from jmer.preprocess.clip_recipe import ClipRecipe
from jmer.preprocess.flow import apex_flow, estimate_pairs
from jmer.preprocess.flow_colours import flow_colours
from jmer.preprocess.flownet2 import estimate
from jmer.preprocess.flownet2.correlation import correlation
from jmer.preprocess.flownet2.deconv import Deconv
from jmer.preprocess.flownet2.estimate import flownet2
from jmer.preprocess.flownet2.stack import FlowNet2, moved_back
from jmer.preprocess.flownet2.weights import name_in_checkpoint, read_checkpoint
from jmer.preprocess.temporal import resample
from jmer.preprocess.tensors import neighbour_flow

WIDTH = 4
RNG = np.random.default_rng(5)
FRAMES = RNG.integers(0, 256, (4, 64, 128, 3), np.uint8)


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch")


@pytest.fixture(scope="module")
def twin(torch):
    from twins.flownet2 import random_twin

    return random_twin(0, WIDTH)


@pytest.fixture(scope="module")
def checkpoint(torch, twin, tmp_path_factory):
    """In the form in which the weights were published."""
    file = tmp_path_factory.mktemp("weights") / "FlowNet2_checkpoint.pth.tar"
    content = {"epoch": 0, "state_dict": twin.state_dict(), "best_EPE": 1e10}
    torch.save(content, file, _use_new_zipfile_serialization=False)
    return file


@pytest.fixture(scope="module")
def network(checkpoint):
    return read_checkpoint(checkpoint, width=WIDTH)


@pytest.fixture
def narrow(monkeypatch):
    """Data sets are prepared with networks of few channels."""
    reader = functools.partial(read_checkpoint, width=WIDTH)
    monkeypatch.setattr(estimate, "read_checkpoint", reader)
    estimate._load.cache_clear()
    yield
    estimate._load.cache_clear()


@nnx.jit
def run(model, *inputs):
    with use_lowering("backend"):  # as data sets are prepared
        return model(*inputs)


def by_twin(part, *inputs) -> np.ndarray:
    """What a module of PyTorch makes of arrays with channels last."""
    import torch

    with torch.no_grad():
        y = part(*(torch.tensor(x).movedim(-1, 1) for x in inputs))
    return y.movedim(1, -1).numpy()


@pytest.mark.parametrize("shape", [(2, 5, 23, 7), (1, 3, 44, 2)], ids=str)
def test_correlation_is_its_definition(shape):
    first, second = normal(0, *shape), normal(1, *shape)
    b, h, w, _ = shape
    expected = np.zeros((b, h, w, 441), np.float32)
    for y, x in np.ndindex(h, w):
        for k, (dy, dx) in enumerate(np.ndindex(21, 21)):
            there = y + 2 * dy - 20, x + 2 * dx - 20
            if 0 <= there[0] < h and 0 <= there[1] < w:
                products = first[:, y, x] * second[:, there[0], there[1]]
                expected[:, y, x, k] = products.mean(-1)
    close(jax.jit(correlation)(first, second), expected)


@pytest.mark.parametrize("bias", [True, False])
def test_deconvolution_is_pytorchs(torch, bias):
    layer = torch.nn.ConvTranspose2d(5, 3, 4, 2, 1, bias=bias)
    ours = Deconv(5, 3, bias=bias, rngs=nnx.Rngs(params=0))
    assert (ours.bias is not None) == bias
    ours.kernel[...] = layer.weight.detach().numpy().transpose(2, 3, 0, 1)
    if bias:
        ours.bias[...] = layer.bias.detach().numpy()
    x = normal(0, 2, 4, 7, 5)
    close(run(ours, x), by_twin(layer, x))


def test_warp_looks_where_the_flow_points():
    image, flow = normal(0, 2, 5, 7, 3), 4 * normal(1, 2, 5, 7, 2)
    flow[0, 0, 0] = 1e9, -1e9  # far outside
    flow[0, 1, 1] = 2, 1  # a pixel's centre
    expected = np.zeros_like(image)
    for k, y, x in np.ndindex(2, 5, 7):
        at = np.float64(x) + flow[k, y, x, 0], np.float64(y) + flow[k, y, x, 1]
        left, top = np.floor(at)
        for dy, dx in np.ndindex(2, 2):
            row, column = (min(max(top + dy, 0), 4), min(max(left + dx, 0), 6))
            share = (1 - abs(at[0] - left - dx)) * (1 - abs(at[1] - top - dy))
            expected[k, y, x] += share * image[k, int(row), int(column)]
    warped = jax.jit(moved_back)(image, flow)
    close(warped, expected, 1e-4)
    assert_array_equal(warped[0, 1, 1], image[0, 2, 3])
    assert_array_equal(warped[0, 0, 0], image[0, 0, 6])


PARTS = {
    "flownetc": 6,
    "flownets_1": 12,
    "flownets_2": 12,
    "flownets_d": 6,
    "flownetfusion": 11,
}


@pytest.mark.parametrize("name", PARTS)
def test_each_network_is_its_twin(network, twin, name):
    x = normal(0, 2, 128, 64, PARTS[name])
    inputs = (x[..., :3], x[..., 3:]) if name == "flownetc" else (x,)
    flow = run(getattr(network, name), *inputs)
    close(flow, by_twin(getattr(twin, name), x), 2e-5)


def of_twin(twin, first, second) -> np.ndarray:
    import torch
    from twins.flownet2 import seen

    with torch.no_grad():
        return twin(seen(first, second)).movedim(1, -1).numpy()


@pytest.mark.usefixtures("narrow")
def test_the_whole_is_its_twin(checkpoint, twin):
    expected = of_twin(twin, FRAMES[:2], FRAMES[2:])
    close(flownet2(FRAMES[:2], FRAMES[2:], checkpoint), expected, 1e-4)
    # Nothing that the comparison rests on is trivial.
    assert expected.std((1, 2)).min() > 1


def test_published_weights_fit(torch):
    """The paper's size, by shapes alone."""
    from twins.flownet2 import FlowNet2 as Twin

    with torch.device("meta"):
        expected = {k: tuple(v.shape) for k, v in Twin().state_dict().items()}
    model = nnx.eval_shape(lambda: FlowNet2(rngs=nnx.Rngs(params=0)))
    found = {}
    for path, variable in nnx.to_flat_state(nnx.state(model, nnx.Param)):
        name, order = name_in_checkpoint(path)
        found[name] = tuple(variable.shape[axis] for axis in order)
    assert found == expected
    assert sum(np.prod(shape) for shape in found.values()) == 162_518_834
    # Some as the published files have them.
    assert found["flownetc.conv3_1.0.weight"] == (256, 473, 3, 3)
    assert found["flownets_1.conv1.0.weight"] == (64, 12, 7, 7)
    assert found["flownets_2.deconv4.0.weight"] == (1026, 256, 4, 4)
    assert found["flownets_d.inter_conv3.0.bias"] == (128,)
    assert found["flownetfusion.predict_flow1.weight"] == (2, 32, 3, 3)
    assert found["flownets_d.upsampled_flow6_to_5.bias"] == (2,)
    assert "flownets_1.upsampled_flow6_to_5.bias" not in found


def test_lowers_for_every_backend(network):
    graphdef, params = nnx.split(network)
    step = functools.partial(estimate._flow, graphdef)
    exported = jax.export.export(jax.jit(step), platforms=("cpu", "cuda", "tpu"))
    shapes = jax.eval_shape(lambda: params)
    done = exported(shapes, FRAMES[:1], FRAMES[1:2])
    assert done.platforms == ("cpu", "cuda", "tpu")
    assert done.out_avals[0].shape == (1, 64, 128, 2)
    assert done.out_avals[0].dtype == jnp.float32


def test_sides_are_multiples_of_64(network):
    with pytest.raises(ValueError, match=r"\(1, 64, 96, 3\) must be multiples of 64"):
        network(jnp.zeros((1, 64, 96, 3)), jnp.zeros((1, 64, 96, 3)))


def wrapped(state):
    return {"state_dict": state, "epoch": 3}


def parallel(state):
    return wrapped({f"module.{name}": value for name, value in state.items()})


@pytest.mark.parametrize("form", [dict, wrapped, parallel])
def test_any_usual_form_is_read(torch, twin, network, tmp_path, form):
    torch.save(form(twin.state_dict()), tmp_path / "a.pth")
    other = read_checkpoint(tmp_path / "a.pth", width=WIDTH)
    jax.tree.map(assert_array_equal, nnx.state(other), nnx.state(network))


def lacking(state):
    del state["flownets_1.conv3_1.0.bias"], state["flownetc.conv2.0.weight"]


def larger(state):
    state["flownetc.deconv5.0.weight"] = state["flownetc.deconv5.0.weight"][1:]


def unknown(state):
    state["flownetc.conv1.1.running_mean"] = state["flownetc.conv1.0.bias"]


def nothing(state):
    state.clear()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lacking, r"flownetc\.conv2\.0\.weight is missing, flownets_1.conv3_1.0.bias"),
        (larger, r"deconv5\.0\.weight has shape \(63, .*instead of \(64, 32, 4, 4\)"),
        (unknown, r"flownetc\.conv1\.1\.running_mean is no part of it\. Give NVIDIA"),
        (nothing, r"is missing, .* is missing, and \d+ more\. Give NVIDIA's"),
    ],
)
def test_other_weights_are_refused_by_name(torch, twin, tmp_path, change, words):
    state = dict(twin.state_dict())
    change(state)
    torch.save(wrapped(state), tmp_path / "odd.pth")
    with pytest.raises(JmerError, match=rf"odd\.pth is no checkpoint of .*{words}"):
        read_checkpoint(tmp_path / "odd.pth", width=WIDTH)


def test_files_that_are_no_weights_are_refused(torch, tmp_path):
    file = tmp_path / "odd.pth"
    with pytest.raises(JmerError, match=r"cannot read .*odd\.pth: No such file"):
        flownet2(FRAMES[:1], FRAMES[1:2], file)
    file.write_bytes(b"no weights")
    with pytest.raises(JmerError, match=r"odd\.pth cannot be read as plain weights"):
        flownet2(FRAMES[:1], FRAMES[1:2], file)


@pytest.mark.usefixtures("narrow")
def test_frames_of_other_sizes_are_stretched(torch, twin, checkpoint):
    """To the next multiples of 64; vectors are in pixels of the frames."""
    first, second = FRAMES[:2, :41, :100], FRAMES[2:, :41, :100]

    def stretched(x, height, width):
        channels_first = torch.tensor(np.float32(x)).movedim(-1, 1)
        resized = torch.nn.functional.interpolate(
            channels_first, (height, width), mode="bilinear", align_corners=False
        )
        return resized.movedim(1, -1).numpy()

    large = of_twin(twin, stretched(first, 64, 128), stretched(second, 64, 128))
    expected = stretched(large, 41, 100) * np.float32([100 / 128, 41 / 64])
    found = flownet2(first, second, checkpoint)
    assert found.dtype == np.float32
    close(found, expected, 1e-4)


@pytest.mark.usefixtures("narrow")
def test_pairs_do_not_depend_on_the_others(checkpoint, monkeypatch):
    first, second = FRAMES[[0, 1, 2, 3, 0]], FRAMES[[1, 2, 3, 0, 2]]
    monkeypatch.setattr(estimate, "PIXELS", 2 * 64 * 128)  # three calls of two pairs
    together = flownet2(first, second, checkpoint)
    assert together.shape == (5, 64, 128, 2)
    programs = estimate._flow._cache_size()
    close(flownet2(first[1:], second[1:], checkpoint), together[1:], 1e-4)
    assert estimate._flow._cache_size() == programs
    monkeypatch.setattr(estimate, "PIXELS", 1)  # not even one
    close(flownet2(first, second, checkpoint), together, 1e-4)
    assert flownet2(first[:0], second[:0], checkpoint).shape == (0, 64, 128, 2)


@pytest.mark.usefixtures("narrow")
def test_grey_frames_are_seen_as_rgb(checkpoint):
    grey = FRAMES[..., 0]
    as_rgb = np.repeat(grey[..., None], 3, axis=-1)
    flow = estimate_pairs(grey[:1], grey[1:2], "flownet2", checkpoint)
    assert_array_equal(flow, flownet2(as_rgb[:1], as_rgb[1:2], checkpoint))


@pytest.mark.usefixtures("narrow")
def test_weights_are_read_once_until_they_change(torch, twin, tmp_path, monkeypatch):
    file, reads = tmp_path / "a.pth", []
    torch.save(twin.state_dict(), file)
    reader = estimate.read_checkpoint

    def read(file):
        reads.append(file)
        return reader(file)

    monkeypatch.setattr(estimate, "read_checkpoint", read)
    for expected in (1, 1, 2, 2):
        if expected == 2 and len(reads) == 1:
            torch.save(wrapped(twin.state_dict()), file)
        estimate.load_network(file)
        assert len(reads) == expected


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (FRAMES, FRAMES[:2]),
        (FRAMES, FRAMES[..., 0]),
        (FRAMES[..., :2], FRAMES[..., :2]),
        (np.float32(FRAMES), np.float32(FRAMES)),
        (FRAMES[0, :, :, 0], FRAMES[0, :, :, 0]),
    ],
    ids=["number", "colour", "channels", "type", "one"],
)
def test_what_are_no_pairs_is_refused(first, second, checkpoint):
    with pytest.raises(ValueError, match=r"expected uint8 images|differ in shape"):
        flownet2(first, second, checkpoint)


@pytest.fixture
def tree(narrow, checkpoint, tmp_path):
    return write(
        "casme2",
        tmp_path,
        flow="flownet2",
        flow_weights=checkpoint,
        modality="flow",
        resample="linear",
        frames=3,
        size=40,
    )


def test_a_set_is_prepared_with_it(tree, checkpoint):
    problems, _ = check(tree.config)
    assert not problems
    flow = load(tree.config).inputs["flow"]
    apex = dataclasses.replace(tree.config, modality="apex-flow", size=14)
    apex_flows = load(apex).inputs["apex_flow"]
    dense = dataclasses.replace(tree.config, modality="clip", special="dense")
    special = load(dense).inputs["special"]
    with_it = {"method": "flownet2", "weights": checkpoint}
    for i, take in enumerate(tree.loaded):
        onset, peak, offset = take.interval
        frames, _ = resample(sized(take.published), take.interval, 3, "linear")
        assert_array_equal(flow[i], neighbour_flow(frames, **with_it))
        expected = apex_flow(take.published, onset, peak, 14, **with_it)
        assert_array_equal(apex_flows[i], expected.astype(np.float16))
        moments = sized(take.published)[[onset, peak, offset]]
        flows = estimate_pairs(moments[:-1], moments[1:], **with_it)
        assert_array_equal(special[i], flow_colours(flows))


def sized(frames):
    from jmer.preprocess.tensors import resize

    return resize(frames, 40)


def test_a_prepared_set_knows_its_weights_by_content(torch, twin, tree, tmp_path):
    before = load(tree.config).fingerprint

    def moved(name, content):
        torch.save(content, tmp_path / name)
        return dataclasses.replace(tree.config, flow_weights=tmp_path / name)

    # Another place is the same set; no place is what was prepared.
    copy = tmp_path / "copy.tar"
    copy.write_bytes(tree.config.flow_weights.read_bytes())
    here = dataclasses.replace(tree.config, flow_weights=copy)
    nowhere = dataclasses.replace(tree.config, flow_weights=None)
    assert here.recipe == tree.config.recipe == nowhere.recipe
    assert "flow_weights" not in here.recipe
    assert load(here).fingerprint == load(nowhere).fingerprint == before
    nowhere = dataclasses.replace(nowhere, manual_dir=None)
    assert load(nowhere).fingerprint == before
    # Other content is another source.
    state = dict(twin.state_dict())
    state["flownetfusion.predict_flow0.bias"] = torch.tensor([2.0, -1.0])
    other = moved("other.pth", state)
    words = r"flow_weights=.*other\.pth is not the file .* or give the file"
    with pytest.raises(JmerError, match=words):
        load(other)
    prepare(other, overwrite=True)
    assert load(other).fingerprint != before
    with pytest.raises(JmerError, match="is not the file"):
        load(here)


def test_weights_that_lack_are_asked_for(tree):
    without = dataclasses.replace(tree.config, flow_weights=None)
    for command in (check, prepare, load):
        with pytest.raises(UsageError, match=r"flow=flownet2 needs flow_weights"):
            command(without)
    # Where no flow is estimated, none are needed.
    prepare(dataclasses.replace(without, modality="clip"))


def test_unusable_weights_leave_nothing_behind(torch, tree, tmp_path):
    odd = tmp_path / "odd.pth"
    torch.save({"conv1.weight": torch.ones(2)}, odd)
    config = dataclasses.replace(tree.config, flow_weights=odd)
    for command in (check, prepare):
        with pytest.raises(JmerError, match=r"odd\.pth is no checkpoint of FlowNet"):
            command(config)
    gone = dataclasses.replace(config, flow_weights=tmp_path / "gone.pth")
    with pytest.raises(JmerError, match=r"gone\.pth: No such file.*Give NVIDIA's"):
        prepare(gone)
    assert not [f for f in tree.config.data_dir.rglob("*") if f.is_file()]
    prepare(tree.config)
    with pytest.raises(JmerError, match=r"cannot read .*gone\.pth: No such file"):
        prepare(gone)


def test_weights_go_with_the_network_alone(checkpoint):
    for recipe in (ClipRecipe, Synthetic):
        with pytest.raises(
            UsageError, match=r"flow_weights=.* goes with flow=flownet2"
        ):
            recipe(flow_weights=checkpoint)
    with pytest.raises(ValueError, match="flownet2 needs weights"):
        estimate_pairs(FRAMES[:1], FRAMES[1:2], "flownet2")


@pytest.mark.usefixtures("narrow")
def test_synthetic_faces_have_it_too(checkpoint, tmp_path):
    config = Synthetic(
        subjects=2,
        clips=6,
        length=8,
        size=32,
        flow_size=9,
        flow="flownet2",
        flow_weights=checkpoint,
        data_dir=tmp_path,
    )
    estimated = load(config).inputs["apex_flow"]
    assert np.isfinite(estimated).all()
    plain = dataclasses.replace(config, flow="farneback", flow_weights=None)
    assert np.abs(estimated - load(plain).inputs["apex_flow"]).max() > 0.1


def test_a_run_does_not_depend_on_the_place_of_weights(checkpoint):
    model = STSTNetConfig()
    data = Synthetic(flow="flownet2", flow_weights=checkpoint)
    there = Experiment(model=model, data=data, optim=AdamConfig())
    here = dataclasses.replace(there, data=dataclasses.replace(data, flow_weights=None))
    assert there.resolved() != here.resolved()
    assert there.identity() == here.identity()


def test_it_is_loaded_only_when_it_is_used():
    code = (
        "import jmer.preprocess.tensors, jmer.data.load, data_builders.frame_builder\n"
        "from jmer.preprocess.clip_recipe import ClipRecipe\n"
        "ClipRecipe(modality='flow', flow='dis').require_files()\n"
        "import sys; print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert not re.findall(r"jmer\.flownet2|\bjax\b|\btorch\b", done.stdout)
