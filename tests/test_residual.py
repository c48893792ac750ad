"""Residual blocks against PyTorch, and the names of torchvision's residual networks."""

import functools

import jax
import numpy as np
import pytest
from flax import nnx
from numeric import close, normal
from numpy.testing import assert_array_equal

from jmer import nn
from jmer.train.checkpoint import flatten
from jmer.weights import torch_names

SPACE = {2: (9, 11), 3: (5, 7, 9)}


@pytest.fixture(autouse=True)
def lowering():
    """The compiler's convolutions compile fast; `test_conv.py` compares the others."""
    with nn.use_lowering("backend"):
        yield


def mappings(state):
    """A peer's block as jmer's arrays, by path in jmer's block."""
    state = {name: value.detach().numpy().copy() for name, value in state.items()}
    found = {}
    for source, target in (
        ("conv1", "first"),
        ("conv2", "second"),
        ("downsample", "shortcut"),
    ):
        if f"{source}.0.weight" in state:
            found |= torch_names.conv(state, f"{source}.0", f"{target}.conv")
            found |= torch_names.batch_norm(state, f"{source}.1", f"{target}.norm")
    return found


def loaded(module, arrays):
    """The graph and states of a module with those arrays, all of them."""
    graphdef, *states = nnx.split(module, nnx.Param, nnx.BatchStat)
    template = dict(zip(("params", "stats"), states, strict=True))
    shapes = {path: value.shape for path, value in flatten(template).items()}
    assert {path: value.shape for path, value in arrays.items()} == shapes
    for kind, state in template.items():
        flat = nnx.to_flat_state(state)
        for path, leaf in flat:
            leaf[...] = arrays[".".join(map(str, (kind, *path)))]
    return graphdef, *states


@functools.partial(jax.jit, static_argnums=0)
def step(graphdef, params, stats, x, dy):
    """Output in evaluation and training, statistics afterwards, gradients."""

    def forward(params, x):
        model = nnx.merge(graphdef, params, stats, copy=True)
        return model(x, train=True), nnx.state(model, nnx.BatchStat)

    y, pull, after = jax.vjp(forward, params, x, has_aux=True)
    return nnx.merge(graphdef, params, stats)(x), y, after, *pull(dy)


class HalveGate(nnx.Module):
    """Halves the first channel, and says so."""

    def explain(self, x):
        return x.at[..., 0].multiply(0.5), {"half": x[..., 0]}


def torch_gate():
    import torch

    class Gate(torch.nn.Module):
        def forward(self, x):
            return torch.cat([x[:, :1] / 2, x[:, 1:]], dim=1)

    return Gate()


@pytest.mark.parametrize("rank", [2, 3])
@pytest.mark.parametrize(
    ("inputs", "outputs", "stride", "options"),
    [
        (4, 4, 1, {}),
        (4, 4, 1, {"gate": HalveGate()}),
        (4, 6, 2, {}),
        (4, 6, 1, {}),
        (4, 4, 2, {"shortcut": "zeropad"}),
        (4, 6, 2, {"shortcut": "zeropad", "gate": HalveGate()}),
    ],
    ids=["same", "gate", "strided", "wider", "strided zeropad", "zeropad and gate"],
)
def test_a_block_and_its_gradients_match_torch(rank, inputs, outputs, stride, options):
    torch = pytest.importorskip("torch")
    from jmer.peers.residual import ResidualBlock

    torch.manual_seed(0)
    theirs = options | {"gate": torch_gate()} if "gate" in options else options
    twin = ResidualBlock(inputs, outputs, stride, rank=rank, **theirs)
    for name, value in (*twin.named_parameters(), *twin.named_buffers()):
        if value.ndim == 1:  # of a norm
            value.data = torch.randn(value.shape) * 0.2 + 1 * (
                not name.endswith("bias")
            )
    sizes = {"stride": stride, "rank": rank, "rngs": nnx.Rngs(params=0)}
    ours = nn.ResidualBlock(inputs, outputs, **sizes, **options)
    model = loaded(ours, mappings(twin.state_dict()))

    x = normal(0, 3, *SPACE[rank], inputs)
    leaf = torch.tensor(np.moveaxis(x, -1, 1).copy(), requires_grad=True)
    evaluated = twin.eval()(leaf)
    trained = twin.train()(leaf)
    dy = normal(1, *np.moveaxis(np.empty(trained.shape), 1, -1).shape)
    trained.backward(torch.tensor(np.moveaxis(dy, -1, 1).copy()))

    found = step(*model, x, dy)
    for actual, expected in zip(found, (evaluated, trained), strict=False):
        close(actual, np.moveaxis(expected.detach().numpy(), 1, -1))
    after = mappings(twin.state_dict())
    for path, value in flatten({"stats": found[2]}).items():
        close(value, after[path])
    state = twin.state_dict() | {n: p.grad for n, p in twin.named_parameters()}
    gradients = mappings(state)
    for path, value in flatten({"params": found[3]}).items():
        close(value, gradients[path], 1e-4)
    close(found[4], np.moveaxis(leaf.grad.numpy(), 1, -1), 1e-4)


@pytest.mark.parametrize(("kernel", "strides"), [((3, 5), (1, 2)), ((3, 7, 7), None)])
def test_a_convolution_with_norm_matches_torch(kernel, strides):
    torch = pytest.importorskip("torch")
    from jmer.peers.residual import conv_norm

    torch.manual_seed(0)
    twin = conv_norm(3, 4, kernel, strides or 1)
    state = {n: v.detach().numpy().copy() for n, v in twin.state_dict().items()}
    arrays = torch_names.conv(state, "0", "conv") | torch_names.batch_norm(
        state, "1", "norm"
    )
    ours = nn.ConvNorm(3, 4, kernel, strides=strides, rngs=nnx.Rngs(params=0))
    x = normal(0, 3, *SPACE[len(kernel)], 3)
    expected = np.moveaxis(
        twin(torch.tensor(np.moveaxis(x, -1, 1).copy())).detach().numpy(), 1, -1
    )
    close(step(*loaded(ours, arrays), x, np.zeros_like(expected))[1], expected)


def test_clips_without_weight_move_no_statistics():
    block = nn.ResidualBlock(3, 4, stride=2, rank=2, rngs=nnx.Rngs(params=0))
    x = normal(0, 5, 7, 9, 3)
    weight = np.float32([1, 0, 1, 1, 0])
    found = []
    for noise in (0, 7):
        copy = nnx.clone(block)
        copy(
            np.where(weight.reshape(-1, 1, 1, 1) > 0, x, x + noise),
            weight=weight,
            train=True,
        )
        found.append(nnx.state(copy, nnx.BatchStat))
    jax.tree.map(assert_array_equal, *found)
    assert (found[0]["first"]["norm"]["mean"][...] != 0).all()


def test_a_block_passes_on_what_its_gate_shows():
    block = nn.ResidualBlock(3, 3, rank=2, gate=HalveGate(), rngs=nnx.Rngs(params=0))
    x = normal(0, 2, 5, 7, 3)
    y, shown = block.explain(x)
    assert_array_equal(y, block(x))
    assert shown["half"].shape == (2, 5, 7)
    plain = nn.ResidualBlock(3, 3, rank=2, rngs=nnx.Rngs(params=0))
    assert plain.explain(x)[1] == {}


def test_zeros_cannot_replace_channels():
    with pytest.raises(ValueError, match="inputs=6"):
        nn.ResidualBlock(6, 4, rank=2, shortcut="zeropad", rngs=nnx.Rngs(params=0))


# --- torchvision's names


def torchvision_state(rank: int, width: int) -> dict[str, np.ndarray]:
    """Random entries with the names and shapes of `resnet18` or `r3d_18`, spelled out
    here a second time; of any width.
    """
    rng = np.random.default_rng(0)
    state = {}

    def add_conv(name, shape):
        state[f"{name}.weight"] = rng.normal(size=shape).astype(np.float32)

    def add_norm(name, channels):
        for entry in ("weight", "bias", "running_mean", "running_var"):
            state[f"{name}.{entry}"] = rng.normal(size=channels).astype(np.float32)
        state[f"{name}.num_batches_tracked"] = np.array(3)

    clips = rank == 3
    add_conv("stem.0" if clips else "conv1", (width, 3, *(3, 7, 7)[-rank:]))
    add_norm("stem.1" if clips else "bn1", width)
    before = width
    for layer in (1, 2, 3, 4):
        after = width * 2 ** (layer - 1)
        for block in (0, 1):
            path = f"layer{layer}.{block}"
            for number, inputs in ((1, before), (2, after)):
                name = f"{path}.conv{number}"
                add_conv(f"{name}.0" if clips else name, (after, inputs, *(3,) * rank))
                add_norm(f"{name}.1" if clips else f"{path}.bn{number}", after)
            if before != after:
                add_conv(f"{path}.downsample.0", (after, before, *(1,) * rank))
                add_norm(f"{path}.downsample.1", after)
            before = after
    add_conv("fc", (400, before))
    state["fc.bias"] = np.zeros(400, np.float32)
    return state


@pytest.mark.parametrize(
    ("rank", "read"), [(2, torch_names.resnet18), (3, torch_names.r3d_18)]
)
def test_every_entry_of_torchvision_but_the_head_is_read_once(rank, read):
    state = torchvision_state(rank, 2)
    arrays = read(state, "some.trunk")
    read_entries = {
        name for name in state if "fc" not in name and "num_batches" not in name
    }
    assert len(arrays) == len(read_entries)
    assert all(path.split(".")[1:3] == ["some", "trunk"] for path in arrays)
    left = {state[name].tobytes(): name for name in read_entries}
    for path, value in arrays.items():
        back = np.moveaxis(value, (-1, -2), (0, 1)) if "kernel" in path else value
        del left[np.ascontiguousarray(back).tobytes()]
    assert not left
    first = arrays["params.some.trunk.stages.1.0.first.conv.kernel"]
    name = "layer2.0.conv1.0.weight" if rank == 3 else "layer2.0.conv1.weight"
    assert_array_equal(first[..., 1, 3], state[name][3, 1])
    shortcuts = {path for path in arrays if "shortcut.conv" in path}
    assert {path.split(".")[4] for path in shortcuts} == {"1", "2", "3"}


@pytest.mark.parametrize("read", [torch_names.resnet18, torch_names.r3d_18])
def test_a_missing_entry_is_named(read):
    rank = 2 if read is torch_names.resnet18 else 3
    state = torchvision_state(rank, 2)
    missing = next(name for name in state if name.startswith("layer3.1"))
    del state[missing]
    with pytest.raises(KeyError, match=missing):
        read(state)
