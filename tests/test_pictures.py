"""Pictures of attention show what was found, where and when it was found."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import FACES, case_of, lightness, of_resnet3d, of_stanet, read
from numpy.testing import assert_allclose, assert_array_equal

from jmer.errors import JmerError
from jmer.models.hsta import HstaConfig
from jmer.models.ststnet import STSTNetConfig
from jmer.report.attention import activation, figures, hsta, saliency, stanet
from jmer.report.attention.case import as_rgb
from jmer.report.draw.heat import Scale, shades
from jmer.report.draw.layout import StripLayout, Tiles
from jmer.report.draw.strip import printed
from jmer.report.draw.style import DPI

RNG = np.random.default_rng(1)


def test_the_mask_lies_on_its_frame_and_place():
    mask = np.full((4, 2, 2, 3), 0.1, np.float32)
    mask[2, 0, 1] = 0.9
    features = RNG.uniform(size=mask.shape).astype(np.float32)
    grey = np.full((4, 14, 14, 3), 90, np.uint8)
    frame, drawn, before, after = stanet.mask_rows(Tiles("", grey), features, mask)
    assert all(len(row.images) == 4 for row in (frame, drawn, before, after))
    light = np.stack([lightness(image) for image in drawn.images])
    assert light.argmin(0)[0, 13] == 2 and light[2, 0, 13] == light.min()
    assert light[2, :5, 9:].max() < light[2, 9:, :5].min()
    assert (light[[0, 1, 3]] == light[2, 13, 0]).all()
    assert drawn.said == [printed(m.mean()) for m in mask]
    assert before.scale is after.scale
    assert_allclose((drawn.scale.low, drawn.scale.high), (0.1, 0.9), rtol=1e-6)
    raised = shades(((1 + mask) * features).mean(-1)[2], after.scale)
    assert_array_equal(after.images[2], raised)


def test_frames_have_their_flow_and_weight():
    case = of_stanet()
    weight = case.shown["frame_weight"]
    seen, flow = Tiles("", FACES[:4]), case.inputs["flow"].astype(np.float32)
    rows = stanet.frame_rows(seen, flow, weight)
    assert [len(row.images) for row in rows[:2]] == [4, 4]
    assert_array_equal(rows[2].values, weight)
    assert rows[2].even == 0.25 and rows[2].high == weight.max()
    assert [f.path for f in figures(case)] == ["figures/frames.png", "figures/mask.png"]
    plain = of_stanet(shown={"features": case.shown["features"]})
    assert [figure.path for figure in figures(plain)] == ["figures/frames.png"]


def test_without_frames_motion_is_dark():
    flow = np.zeros((2, 4, 4, 2), np.float32)
    flow[1, 2, 3] = (3, -4)
    images = stanet.speed(flow)
    assert np.unravel_index(images[..., 0].argmin(), (2, 4, 4)) == (1, 2, 3)
    alone = of_stanet(inputs={"flow": of_stanet().inputs["flow"]})
    assert len(figures(alone)) == 2


def test_the_activation_map_is_grad_cam():
    features = RNG.normal(size=(2, 3, 4, 5)).astype(np.float32)
    kernel = RNG.normal(size=(5, 3)).astype(np.float32)
    for label in range(3):
        grad = jax.grad(lambda x, k=label: (x.mean((0, 1, 2)) @ kernel)[k])(features)
        importance = grad.mean((0, 1, 2))
        expected = jnp.maximum((importance * features).sum(-1), 0)
        made = activation.activation(features, kernel[:, label])
        assert_allclose(made, expected, rtol=1e-5, atol=1e-7)
    total = (features @ kernel[:, 0]).sum() / (2 * 3 * 4)
    assert_allclose(total, features.mean((0, 1, 2)) @ kernel[:, 0], rtol=1e-4)


def test_the_activation_map_lies_on_its_frames():
    features = np.zeros((2, 3, 3, 2), np.float32)
    features[1, 2, 0, 0] = 1
    weights = {activation.HEAD: np.eye(2, 3, dtype=np.float32)}
    case = of_resnet3d(shown={"features": features}, weights=weights)
    row = activation.activation_row(case, 0, "x")
    assert len(row.images) == len(FACES)
    grey = of_resnet3d(
        shown={"features": features}, weights=weights,
        inputs={"clip": np.full_like(FACES, 90)},
    )  # fmt: skip
    drawn = activation.activation_row(grey, 0, "").images
    light = np.stack([lightness(image) for image in drawn])
    t, i, j = np.unravel_index(light.argmin(), light.shape)
    assert t >= 3 and i >= 10 and j <= 3
    assert (np.diff(light[:, 13, 0]) <= 0).all()


def test_both_networks_are_asked_for_the_true_class():
    first = of_resnet3d()
    second = of_resnet3d(logits=np.array([3, 0, 0], np.float32))
    figure = activation.side_by_side(first, second)
    assert figure.caption.startswith("Both for the true class, joy,")
    assert read(figure.png).shape[0] == round(
        StripLayout([Tiles("", FACES)] * 4, len(FACES)).height * DPI
    )


def test_gates_show_the_slices_of_the_moments():
    frames = RNG.integers(0, 256, (16, 4, 4, 3)).astype(np.uint8)
    slices = {
        "1.1": np.arange(16.0)[:, None, None] * np.ones((1, 4, 4)),
        "4.2": np.arange(2.0)[:, None, None] * np.ones((1, 2, 2)),
    }
    moments, (seen, early, late) = activation.gate_rows(frames, slices)
    assert moments == ["1", "4", "6", "9", "12", "14"]
    assert_array_equal(seen.images, frames[[1, 4, 6, 9, 12, 14]])
    expected = [shades(slices["1.1"][int(i)], early.scale) for i in moments]
    assert_array_equal(early.images, expected)
    assert len(late.images) == 2 and early.scale is late.scale == Scale(0, 15)


def test_a_patch_is_dark_where_it_is():
    frames = np.full((4, 11, 11, 3), 90, np.uint8)
    maps = np.full((6, 2, 3, 3), 0.01)
    maps[4, 1, 2, 0] = 0.8
    rows = hsta.attention_rows(frames, maps, (2, 3, 3), 3)
    assert [row.label for row in rows[4:6]] == ["layer 2\nunit 2", "layer 3\nunit 1"]
    assert [len(row.images) for row in rows] == [4] + [2] * 6
    light = lightness(rows[5].images[1])
    dark = light == light.min()
    assert dark[6:9, :3].all() and dark.sum() == 9
    assert (light[9:] == light.max()).all() and light[0, 0] < light.max()
    assert rows[5].said == ["0.09", f"{0.8 + 8 * 0.01:.2f}"]


def test_attention_of_all_alike_is_pale():
    frames = np.full((2, 6, 6, 3), 90, np.uint8)
    row = hsta.attention_rows(frames, np.full((1, 1, 2, 2), 0.25), (2, 3, 3), 1)[1]
    assert row.scale == Scale(0, 0.75)


def test_hsta_draws_what_it_has():
    network = HstaConfig(
        depth=(2, 1, 1), num_frames=4, size=12, patch_v=4, patch_s=6, dim_v=4, dim_s=4,
        heads=2,
    )  # fmt: skip
    inputs = {"clip": FACES[:4, :12, :12], "special": FACES[:2, :12, :12]}
    shown = {
        "video": RNG.uniform(size=(2, 2, 2, 3, 3)),
        "special_over_video": RNG.uniform(size=(2, 2, 2, 3, 3)),
        "special": RNG.uniform(size=(2, 2, 1, 2, 2)),
    }
    made = figures(case_of(network, inputs=inputs, shown=shown))
    assert [f.path for f in made] == [
        *("figures/video.png", "figures/special.png", "figures/special-over-video.png")
    ]


def test_gradient_times_input_tells_for_and_against():
    seen = RNG.integers(0, 9, (2, 2, 3)).astype(np.uint8)
    gradient = RNG.normal(size=seen.shape).astype(np.float32)
    names, (image, pro, contra) = saliency.product_rows("apex_flow", seen, gradient)
    assert names == ["right", "down", "strain"] and pro.scale is contra.scale
    assert_array_equal(image.images[2], np.repeat(seen[..., 2:], 3, -1))
    product = gradient * seen
    for c in range(3):
        positive = shades(np.maximum(product[..., c], 0), pro.scale)
        negative = shades(np.maximum(-product[..., c], 0), pro.scale)
        assert_array_equal(pro.images[c], positive)
        assert_array_equal(contra.images[c], negative)
    grey = RNG.integers(0, 256, (5, 5, 1)).astype(np.uint8)
    names, (image, *_) = saliency.product_rows("image", grey, np.ones((5, 5, 1)))
    assert names == ["image"] and (image.images[0] == grey).all()
    clip = RNG.normal(size=(4, 2, 2, 2)).astype(np.float32)
    names, (_, pro, _) = saliency.product_rows("flow", clip, clip)
    assert names == ["0", "1", "2", "3"]
    assert_array_equal(pro.images[3], shades((clip**2).sum(-1)[3], pro.scale))


def test_a_network_without_figures_is_named():
    case = case_of(STSTNetConfig(), inputs={}, shown={"volume": np.ones(3)})
    with pytest.raises(JmerError, match="no figure for ststnet, which shows volume of"):
        figures(case)


def test_pictures_of_other_types_run_from_black_to_white():
    made = as_rgb(np.array([-2.0, 0.0, 2.0]).reshape(3, 1, 1, 1))
    assert made.shape == (3, 1, 1, 3)
    assert made[:, 0, 0, 1].tolist() == [0, 128, 255]
