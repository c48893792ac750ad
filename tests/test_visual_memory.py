"""Visual memory against its plain PyTorch twin, small, and its numbers at full size."""

import dataclasses
import functools
import re

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from numeric import close, filled, first_of, normal
from numpy.testing import assert_allclose, assert_array_equal

from jmer import keys, nn
from jmer.errors import UsageError
from jmer.models.base import describe
from jmer.models.visual_memory import VisualMemoryConfig
from jmer.nn.conv import conv
from jmer.train.checkpoint import flatten

SMALL = VisualMemoryConfig(frames=4, steps=3, size=32, width=2, hidden=5)
CLASSES = 3
# The paper prints no number of parameters: these are counted by hand from the sizes of
# layers that it states, and of those that the networks it names have.
COUNTED = 28_066_887
MOTION = 3_089_793
CLIP = np.random.default_rng(0).uniform(0, 255, (7, 4, 32, 32, 3)).astype(np.float32)
FLOW = normal(1, 7, 3, 32, 32, 2)
FLOW[0, 1] = 0  # a field in which nothing moves
TARGET = np.random.default_rng(2).uniform(size=(7, 4)).astype(np.float32)
LABEL = np.arange(7, dtype=np.int32) % CLASSES
ONES = np.ones(7, np.float32)
KEY = keys.seed_key(0)
VERSION = jnp.zeros(7, int)
# Together they have every switch on and off; each costs seconds to compile.
ABLATIONS = {
    "paper": SMALL,
    "gap": dataclasses.replace(
        SMALL, context="gap", memory="none", fc6_dilation=2, flow_channels="uv"
    ),
    "convgru": dataclasses.replace(
        SMALL,
        memory="convgru",
        memory_channels=3,
        intensity_loss="cross-entropy",
        intensity_weight=0.5,
        steps_count="by-intensity",
    ),
    "plain": dataclasses.replace(
        SMALL, contrast=False, temporal_net=False, intensity=False
    ),
    "memory": dataclasses.replace(SMALL, phase="memory", context_dilation=2),
    "motion": dataclasses.replace(SMALL, phase="memory", train_motion=True),
}
FRAMES = dataclasses.replace(SMALL, phase="spatial", steps_count="by-intensity")


@pytest.fixture(scope="module")
def twins():
    pytest.importorskip("torch")
    from twins import visual_memory

    return visual_memory


def split(config=SMALL, dtype=jnp.float32, seed=0):
    model = config.build(CLASSES, dtype=dtype, rngs=nnx.Rngs(params=seed))
    return nnx.split(model, nnx.Param, nnx.BatchStat)


def split_of(config, flat):
    """jmer's network with a twin's arrays."""
    return filled(*split(config), flat)


def inputs_of(config, clip=CLIP, flow=FLOW, intensity=TARGET):
    every = {"clip": clip, "flow": flow, "intensity": intensity}
    return {name: every[name] for name in config.inputs}


@functools.partial(jax.jit, static_argnums=0, static_argnames="train")
def explain(graphdef, params, stats, *inputs, train=False, key=None):
    model = nnx.merge(graphdef, params, stats, copy=True)
    return model.explain(*inputs, train=train, key=key)


@functools.partial(jax.jit, static_argnums=(0, 1))
def loss_gradients(config, graphdef, params, stats, inputs, key=None):
    """The loss, the gradients, what the network gave it, and the statistics."""

    def objective(params):
        model = nnx.merge(graphdef, params, stats, copy=True)
        given = []

        class Seen:
            """The network, with its results put aside."""

            def explain(self, *inputs, **options):
                given.append(model.explain(*inputs, **options))
                return given[-1]

        loss = config.loss(Seen(), inputs, LABEL, weight=ONES, key=key)
        return loss, (given[0], nnx.state(model, nnx.BatchStat))

    (loss, aux), grads = jax.value_and_grad(objective, has_aux=True)(params)
    return loss, grads, aux


@pytest.mark.parametrize(
    ("options", "parameters"),
    [
        ({}, COUNTED),
        # A vector's layers and memory for the images'.
        (
            {"memory": "convgru"},
            COUNTED - 4_194_560 - 65_792 - 394_752 + 3_010_752 - 2 * 192 * 256,
        ),
        ({"memory": "none"}, COUNTED - 394_752),
        ({"contrast": False}, COUNTED - 294_912 - 3 * 128 * 256),
        ({"context": "gap"}, COUNTED - 8 * 128 * 128),
        ({"temporal_net": False}, COUNTED - MOTION - 256),
        ({"fc6_dilation": 2}, COUNTED),
        ({"intensity": False}, COUNTED - 256 * 256 - 256 - 257),
        ({"phase": "spatial"}, 14_714_688 + 4_719_616 + 5 * 1024 + 5),
    ],
)
def test_has_the_parameters_that_its_layers_make(options, parameters):
    record = describe(VisualMemoryConfig(**options))
    assert record["parameters"] == record["trained"] == parameters


def test_the_memory_trains_what_the_paper_says_is_trained_with_it():
    """As many parameters as were counted, with the spatial network up to its fc6 and
    the network of motion left alone."""
    record = describe(VisualMemoryConfig(phase="memory"))
    assert (record["parameters"], record["trained"]) == (COUNTED, 5_542_790)
    more = describe(VisualMemoryConfig(phase="memory", train_motion=True))
    assert more["trained"] == 5_542_790 + MOTION


def test_its_parts_have_the_parameters_that_were_counted():
    config = VisualMemoryConfig()
    model = nnx.eval_shape(
        lambda: config.build(5, dtype=jnp.float32, rngs=nnx.Rngs(params=0))
    )

    def count(*parts):
        leaves = [jax.tree.leaves(nnx.state(part, nnx.Param)) for part in parts]
        return sum(leaf.size for part in leaves for leaf in part)

    assert count(model.spatial) == 14_714_688 + 4_719_616
    assert count(model.reduce) == 295_296
    assert count(model.motion) == MOTION
    assert count(model.contrast) == 294_912
    assert count(model) - count(model.spatial, model.motion) == 5_542_790


def test_twin_has_the_parameters_that_were_counted(twins):
    twin = VisualMemoryConfig().peer(5)
    assert sum(p.numel() for p in twin.parameters()) == COUNTED


def test_shapes_at_the_size_of_the_paper():
    config = VisualMemoryConfig()

    def run(clip, flow):
        model = config.build(5, dtype=jnp.bfloat16, rngs=nnx.Rngs(params=0))
        return model.explain(clip, flow, train=True, key=KEY)

    shapes = [(2, *shape) for shape in config.input_shapes]
    assert shapes[2] == (2, 15)
    clip = jax.ShapeDtypeStruct(shapes[0], jnp.uint8)
    flow = jax.ShapeDtypeStruct(shapes[1], jnp.float16)
    logits, shown = jax.eval_shape(run, clip, flow)
    assert (logits.shape, logits.dtype) == ((2, 5), jnp.float32)
    assert {name: value.shape for name, value in shown.items()} == {
        "contrast": (2, 14, 8, 8, 3),
        "motion": (2, 14, 8, 8, 1),
        "step_logits": (2, 14, 5),
        "intensity": (2, 14),
    }
    assert {value.dtype for value in shown.values()} == {jnp.dtype(jnp.float32)}


def gradients_of(twin):
    """The gradients of its parameters, zero where it has none, and statistics."""
    gradients = {
        name: 0 * p if p.grad is None else p.grad for name, p in twin.named_parameters()
    }
    return dict(twin.state_dict()) | gradients


def agree(found, expected):
    """The logits of the clip and of each step, intensity and motion of both."""
    (logits, shown), (wanted, steps, intensity, motion) = found, expected
    close(logits, wanted.detach().numpy())
    close(shown["step_logits"], steps.detach().numpy())
    for name, value in (("intensity", intensity), ("motion", motion)):
        assert (name in shown) == (value is not None)
        if value is not None:
            value = value.detach().numpy()
            close(shown[name].reshape(-1), value.reshape(-1))


def torch_inputs(twins, config):
    both = (CLIP, FLOW) if config.temporal_net else (CLIP,)
    return [twins.channels_first(x) for x in both]


@pytest.mark.parametrize("name", first_of(ABLATIONS, "paper"))
def test_evaluates_as_its_twin(twins, name):
    config = ABLATIONS[name]
    twin = twins.random_twin(config, CLASSES, seed=1)
    ours = split_of(config, twins.ours(config, twin.state_dict()))
    seen = [x for n, x in inputs_of(config).items() if n != "intensity"]
    found = explain(*ours, *seen)
    inputs = torch_inputs(twins, config)
    agree(found, twin.explain(*inputs))
    every = [*inputs, *([None] if config.intensity else [])]
    close(twin(*every).detach().numpy(), found[0])


@pytest.mark.parametrize("name", first_of(ABLATIONS, "paper"))
def test_trains_as_its_twin(twins, name):
    """Output, running statistics and gradients of a step without dropout.

    The twin computes in float64: in float32 its own rounding moves a value across a
    ReLU's kink in some runs, and its gradient by percents.
    """
    import torch

    config = ABLATIONS[name]
    twin = twins.random_twin(config, CLASSES, seed=2).train()
    twin.drop.eval()
    ours = split_of(config, twins.ours(config, twin.state_dict()))
    loss, gradients, (found, stats) = loss_gradients(config, *ours, inputs_of(config))
    twin = twin.double()
    wanted = twin.explain(*(x.double() for x in torch_inputs(twins, config)))
    agree(found, wanted)
    _, steps, intensity, _ = wanted
    label = torch.tensor(LABEL).long().repeat_interleave(3)
    each = torch.nn.functional.cross_entropy(
        steps.flatten(0, 1), label, reduction="none"
    )
    true = torch.tensor(TARGET[:, 1:]).double()
    counts = true.flatten() if config.by_intensity else torch.ones_like(each)
    expected = (each * counts).sum() / counts.sum()
    if config.intensity:
        error = {
            "absolute": (intensity - true).abs().mean(),
            "cross-entropy": torch.nn.functional.binary_cross_entropy(intensity, true),
        }
        weight = config.intensity_weight
        expected = expected + weight * error[config.intensity_loss]
    expected.backward()
    assert_allclose(loss, expected.item(), rtol=1e-5)
    # Reordering is linear: a gradient goes through the import as its weight does.
    wanted = twins.ours(config, gradients_of(twin))
    found = flatten({"params": gradients, "stats": stats})
    assert found.keys() == wanted.keys()
    largest = max(np.abs(v).max() for n, v in wanted.items() if n.startswith("params"))
    for path, value in found.items():
        if re.search(r"\.encoder\.\d\.bias$", path):
            # Of a bias that the normalisation takes away: zero, not its rounding.
            assert_array_equal(value, 0)
            assert np.abs(wanted[path]).max() < 1e-9 * largest
            continue
        rtol = 1e-4 if path.startswith("params.") else 1e-5
        atol = rtol * np.abs(wanted[path]).max()
        assert_allclose(value, wanted[path], rtol, atol, err_msg=path)


def test_frames_by_themselves_as_their_twin(twins):
    """The first phase: logits, and gradients of frames by how much they show."""
    import torch

    twin = twins.random_twin(FRAMES, CLASSES, seed=4)
    ours = split_of(FRAMES, twins.ours(FRAMES, twin.state_dict()))
    inputs = inputs_of(FRAMES)
    assert inputs.keys() == {"clip", "intensity"}
    twin = twin.double()
    clip = twins.channels_first(CLIP).double()
    logits, frames = twin.explain(clip)
    loss, gradients, (found, _) = loss_gradients(FRAMES, *ours, inputs)
    close(found[0], logits.detach().numpy())
    close(found[1]["step_logits"], frames.detach().numpy())
    close(explain(*ours, CLIP)[0], twin(clip, None).detach().numpy())
    label = torch.tensor(LABEL).long().repeat_interleave(4)
    each = torch.nn.functional.cross_entropy(
        frames.flatten(0, 1), label, reduction="none"
    )
    shows = torch.tensor(TARGET).double().flatten()
    expected = (each * shows).sum() / shows.sum()
    expected.backward()
    assert_allclose(loss, expected.item(), rtol=1e-5)
    wanted = twins.ours(FRAMES, gradients_of(twin))
    found = flatten({"params": gradients})
    assert found.keys() == wanted.keys()
    for path, value in found.items():
        atol = 1e-4 * np.abs(wanted[path]).max()
        assert_allclose(value, wanted[path], 1e-4, atol, err_msg=path)


def test_frames_without_intensity_count_alike():
    graphdef, params, stats = split(FRAMES)
    alike = dataclasses.replace(FRAMES, steps_count="alike", intensity=False)
    assert alike.inputs == ("clip",)
    ones = np.ones_like(TARGET)
    options = {"weight": ONES, "key": KEY}

    @jax.jit
    def both(params, stats):
        model = nnx.merge(graphdef, params, stats, copy=True)
        inputs = inputs_of(FRAMES, intensity=ones)
        expected = FRAMES.loss(model, inputs, LABEL, **options)
        return alike.loss(model, {"clip": CLIP}, LABEL, **options), expected

    assert_allclose(*both(params, stats))


def test_the_phases_share_what_is_handed_on():
    """The second starts from arrays of the same names and shapes as the first ends."""
    first, second = (
        flatten(split(dataclasses.replace(SMALL, phase=phase))[1])
        for phase in ("spatial", "memory")
    )
    shared = {path for path in first if path.startswith("spatial.")}
    assert shared == first.keys() & second.keys()
    assert len(shared) == 2 * (13 + 1)
    assert all(first[path].shape == second[path].shape for path in shared)


@pytest.mark.parametrize(
    ("name", "alone"),
    [("memory", ("spatial.", "motion.")), ("motion", ("spatial.",))],
)
def test_the_memory_leaves_the_two_networks_alone(name, alone):
    """No gradient, no statistic, no dropout: training sees what tests see."""
    config = ABLATIONS[name]
    ours = split(config)
    _, gradients, (found, stats) = loss_gradients(config, *ours, inputs_of(config), KEY)
    gradients = flatten(gradients)
    for path, value in gradients.items():
        frozen = config.frozen(tuple(path.split(".")))
        assert frozen == path.startswith(alone)
        never = re.search(r"\.encoder\.\d\.bias$", path)
        assert np.any(value) != (frozen or never is not None), path
    moved = [
        (flatten(stats)[p] != value).any() for p, value in flatten(ours[2]).items()
    ]
    assert set(moved) == {"motion." not in alone}
    if "motion." in alone:
        close(found[1]["step_logits"], explain(*ours, CLIP, FLOW)[1]["step_logits"])
    assert not any(SMALL.frozen(tuple(path.split("."))) for path in flatten(split()[1]))


@pytest.mark.parametrize("shape", [(5, 4), (5, 2), (2, 2)])
def test_taps_in_the_padding_are_left_out(shape):
    """The wide convolution by what can lie within is that by all nine."""
    rngs = nnx.Rngs(params=0)
    graphdef, params = nnx.split(nn.AtrousConv(3, 7, dilation=4, rngs=rngs))
    x = normal(3, 2, *shape, 3)

    def ours(params, x):
        return nnx.merge(graphdef, params)(x)

    def whole(params, x):
        layer = nnx.merge(graphdef, params).conv
        options = ((1, 1), ((4, 4), (4, 4)), (4, 4))
        return conv(x, layer.kernel[...], *options) + layer.bias[...]

    found, wanted = (
        jax.value_and_grad(lambda *a, f=f: jnp.sin(f(*a)).sum(), (0, 1))(params, x)
        for f in (ours, whole)
    )
    close(found, wanted)
    kernel = np.array(found[1][0]["conv"]["kernel"][...])
    reached = np.abs(kernel).max((2, 3)) > 0
    inner = [np.ones(3, bool) if n > 4 else np.arange(3) == 1 for n in shape]
    assert_array_equal(reached, inner[0][:, None] & inner[1])
    with nn.use_lowering("backend"):
        equations = jax.make_jaxpr(ours)(params, x).eqns
    (product,) = (e for e in equations if e.primitive.name == "conv_general_dilated")
    window = product.invars[1].aval.shape[:2]
    assert window == tuple(3 if n > 4 else 1 for n in shape)


def test_the_trunk_starts_from_torchvisions(twins):
    """VGG-16 sees the same image, but for its border."""
    torch = pytest.importorskip("torch")
    twin = twins.random_twin(SMALL, CLASSES, seed=3)
    state = twins.arrays(twin.state_dict())
    vgg = {n: v for n, v in state.items() if n.startswith("features.")}
    flat = SMALL.trunk_from_torch(vgg | {"classifier.0.weight": state["fuse.weight"]})
    template = flatten(dict(zip(("params", "stats"), split()[1:], strict=True)))
    trunk = {p: v for p, v in template.items() if p.startswith("params.spatial.groups")}
    assert {p: v.shape for p, v in flat.items()} == {
        p: v.shape for p, v in trunk.items()
    }
    image = CLIP[:, 0]
    seen = torch.tensor(np.array(nn.imagenet(image)).transpose(0, 3, 1, 2))
    wanted = twin.features[0](seen).detach().numpy().transpose(0, 2, 3, 1)
    first = "params.spatial.groups.0.0"
    blue = image[..., ::-1] - np.array([103.939, 116.779, 123.68], np.float32)
    kernel, around = flat[f"{first}.kernel"], ((1, 1), (1, 1))
    found = conv(blue, kernel, (1, 1), around, (1, 1)) + flat[f"{first}.bias"]
    inner = (slice(None), slice(1, -1), slice(1, -1))
    close(found[inner], wanted[inner], 1e-4)
    assert_allclose(found, wanted, atol=0.02)
    with pytest.raises(ValueError, match="VGG-16 of 4 channels"):
        dataclasses.replace(SMALL, width=4).trunk_from_torch(vgg)
    with pytest.raises(ValueError, match="28 arrays"):
        SMALL.trunk_from_torch(vgg | {"features.30.weight": 0, "features.30.bias": 0})


def test_logits_are_of_the_mean_probability():
    logits, shown = explain(*split(), CLIP, FLOW)
    each = jax.nn.softmax(shown["step_logits"], -1)
    close(np.exp(logits), each.mean(1))
    assert_allclose(np.exp(logits).sum(-1), 1, rtol=1e-5)


def test_the_memory_goes_on_over_a_longer_clip():
    """Evaluation sees all frames, and the first steps are those of the clip's start."""
    graphdef, params, stats = split()
    whole = explain(graphdef, params, stats, CLIP, FLOW)[1]
    start = explain(graphdef, params, stats, CLIP[:, :3], FLOW[:, :2])[1]
    close(whole["intensity"][:, :2], start["intensity"])
    late = explain(graphdef, params, stats, CLIP[:, 1:], FLOW[:, 1:])[1]
    assert (whole["intensity"][:, 2] != late["intensity"][:, 1]).all()


def test_dropout_is_of_training_with_a_key():
    graphdef, params, stats = split()

    def draws(**options):
        def run(clip, flow):
            model = nnx.merge(graphdef, params, stats, copy=True)
            return model.explain(clip, flow, **options)[0]

        return "threefry2x32" in str(jax.make_jaxpr(run)(CLIP, FLOW))

    assert draws(train=True, key=KEY)
    assert not draws(train=True)
    assert not draws(key=KEY)


def test_training_sees_windows_of_longer_clips():
    """Frames, flow and intensity of the same steps."""
    config = dataclasses.replace(SMALL, frames=9, steps=3, augmented=False)
    clip, flow, intensity = (
        np.broadcast_to(
            np.arange(n, dtype=np.float32).reshape(1, n, *(1,) * (len(shape) - 1)),
            (40, *shape),
        )
        for n, shape in zip((9, 8, 9), config.input_shapes, strict=True)
    )
    inputs = inputs_of(config, clip, flow, intensity)
    found = config.augment(inputs, KEY, VERSION)
    start = np.array(found["clip"][:, 0, 0, 0, 0])
    assert set(start) == set(range(6))
    steps = start[:, None] + np.arange(4)
    assert_array_equal(found["intensity"], steps)
    assert_array_equal(found["clip"][..., 5, 7, 1], steps)
    assert_array_equal(found["flow"][..., 3, 4, 0], steps[:, :3])
    same = dataclasses.replace(config, frames=4).augment(inputs, KEY, VERSION)
    assert all(same[name] is value for name, value in inputs.items())


def test_frames_and_flow_change_alike():
    """A flow that moves a frame to the next still does, after both are changed."""
    side = 32
    y, x = np.mgrid[:side, :side].astype(np.float32)
    here = np.sin(x / 4) + np.cos(y / 5)
    there = np.sin((x - 1.5) / 4) + np.cos((y + 0.75) / 5)
    clip = np.stack([here, there], 0)[None, ..., None].repeat(3, -1)
    flow = np.broadcast_to(np.array([1.5, -0.75], np.float32), (1, 1, side, side, 2))
    clip, flow = clip.repeat(7, 0), flow.repeat(7, 0)
    config = dataclasses.replace(SMALL, frames=2, steps=1)
    made = config.augment({"clip": clip, "flow": flow}, KEY, VERSION)
    assert len(np.unique(np.array(made["clip"])[:, 0, 9, 9, 0])) == 7
    u, v = np.moveaxis(np.array(made["flow"]), -1, 0)
    speed = np.hypot(u, v) / np.hypot(1.5, 0.75)
    assert 0.9 <= speed.min() < 0.97 and 1.03 < speed.max() <= 1.1
    turn = np.degrees(np.arctan2(v, u) - np.arctan2(-0.75, 1.5))
    assert 5 < np.abs(turn).max() <= 10
    # Brightness is kept along the flow, to the first order: inside, where no edge is.
    first, second = np.moveaxis(np.array(made["clip"])[..., 0], 1, 0).astype(float)
    middle = (first + second) / 2
    slope = np.gradient(middle, axis=(1, 2))
    change = second - first + u[:, 0] * slope[1] + v[:, 0] * slope[0]
    inner = (slice(None), slice(7, -7), slice(7, -7))
    assert np.abs(change[inner]).mean() < 0.05 * np.abs((second - first)[inner]).mean()


def test_flow_is_seen_as_angle_and_share():
    field = np.zeros((1, 2, 2, 2), np.float16)
    field[0, 0] = [[3, 4], [0, -1]]
    angle, share = np.moveaxis(np.array(nn.polar_flow(field)), -1, 0)
    assert_allclose(angle[0], [[np.arctan2(4, 3) / np.pi, -0.5], [0, 0]], rtol=1e-6)
    assert_allclose(share[0], [[1, 0.2], [0, 0]])
    assert_array_equal(nn.polar_flow(0 * field), 0)


@pytest.mark.parametrize("name", ["paper", "convgru"])
def test_lowers_for_every_platform(name):
    config = ABLATIONS[name]
    graphdef, params, stats = split(config, jnp.bfloat16)

    def gradients(params, stats, inputs):
        return loss_gradients(config, graphdef, params, stats, inputs, KEY)[1]

    arguments = params, stats, inputs_of(config)
    platforms = ["cpu", "cuda", "tpu"]
    exported = jax.export.export(jax.jit(gradients), platforms=platforms)(*arguments)
    assert exported.platforms == ("cpu", "cuda", "tpu")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frames": 14}, "model.frames=14 must be more than model.steps=14"),
        ({"size": 40}, "model.size=40 must be a multiple of 16"),
        ({"fc6_dilation": 0}, "model.fc6-dilation=0 must be at least 1"),
        ({"intensity_weight": -1}, "model.intensity-weight=-1 must be finite and not"),
        ({"rotate": float("nan")}, "model.rotate=nan must be finite and not negative"),
        ({"rescale": 1.0}, "model.rescale=1.0 must be at least 0 and below 1"),
        (
            {"steps_count": "by-intensity", "intensity": False},
            "model.steps-count=by-intensity needs model.intensity",
        ),
        (
            {"train_motion": True, "phase": "spatial"},
            "model.train-motion goes with model.phase=memory, not with .*=spatial",
        ),
        ({"steps_count": "by"}, "model.steps-count=by must be one of"),
        ({"phase": "third"}, "model.phase=third must be one of"),
        ({"intensity_loss": "mse"}, "model.intensity-loss=mse must be one of"),
        ({"memory": "lstm"}, "model.memory=lstm must be one of"),
        ({"context": "wide"}, "model.context=wide must be one of"),
        ({"flow_channels": "rgb"}, "model.flow-channels=rgb must be one of"),
    ],
)
def test_impossible_fields_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        VisualMemoryConfig(**options)


@pytest.mark.parametrize("name", ["paper", "convgru"])
def test_black_frames_in_which_nothing_moves_are_no_trouble(name):
    """Nothing to divide by, and nothing to normalise: all stays finite."""
    config = ABLATIONS[name]
    inputs = inputs_of(config, 0 * CLIP, 0 * FLOW, 0 * TARGET)
    loss, gradients, (found, stats) = loss_gradients(config, *split(config), inputs)
    for value in jax.tree.leaves((loss, gradients, found, stats)):
        assert np.isfinite(value).all()
