"""Pictures of attention show what was found, where and when it was found."""

import itertools
from pathlib import Path

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib.colors import to_hex
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import roc_auc_score, roc_curve
from test_report import EVIL, parse

from jmer.errors import JmerError
from jmer.models.aman import AmanConfig
from jmer.models.hsta import HstaConfig
from jmer.models.meranet import Resnet3dConfig
from jmer.models.stanet import STANetConfig
from jmer.models.ststnet import STSTNetConfig
from jmer.report.attention import (
    activation,
    aman,
    figures,
    grid,
    hsta,
    page,
    saliency,
    shaded,
    stanet,
)
from jmer.report.attention.case import Case, as_rgb
from jmer.report.attention.page import explanation
from jmer.report.draw import spotting
from jmer.report.draw.heat import Scale, colour_map, over, scale_of, shades
from jmer.report.draw.layout import Bars, StripLayout, Tiles
from jmer.report.draw.strip import printed, strip_png
from jmer.report.draw.style import DPI
from jmer.report.pictures import pictures
from jmer.report.render import html, markdown
from jmer.scores.intervals import roc, states
from jmer.scores.spotting import Rule, Watched
from jmer.train.tasks import Task

RNG = np.random.default_rng(1)
FACES = RNG.integers(0, 256, (5, 14, 14, 3)).astype(np.uint8)


def lightness(image):
    return image.astype(float) @ (0.2126, 0.7152, 0.0722)


def case_of(network, **changes):
    fields = {
        "folder": Path("runs/one"),
        "task": Task(3, "s7"),
        "subject_unseen": True,
        "classes": ("anger", "joy", "fear"),
        "dataset": "faces",
        "subject": "s7",
        "clip": "c1",
        "label": 1,
        "interval": (1, 3),
        "logits": np.array([0.2, 1.7, -0.4], np.float32),
        "weights": {},
    }
    return Case(**fields | {"network": network} | changes)


def of_stanet(**changes):
    shown = {
        "features": RNG.uniform(size=(4, 3, 3, 5)).astype(np.float32),
        "mask": RNG.uniform(size=(4, 3, 3, 5)).astype(np.float32),
        "frame_weight": np.array([0.1, 0.4, 0.3, 0.2], np.float32),
    }
    inputs = {"clip": FACES, "flow": RNG.normal(size=(4, 14, 14, 2))}
    fields = {"inputs": inputs, "shown": shown} | changes
    return case_of(STANetConfig(frames=4, size=64), **fields)


def of_resnet3d(**changes):
    shown = {"features": RNG.normal(size=(3, 2, 2, 6)).astype(np.float32)}
    weights = {activation.HEAD: RNG.normal(size=(6, 3)).astype(np.float32)}
    fields = {"inputs": {"clip": FACES}, "shown": shown, "weights": weights} | changes
    return case_of(Resnet3dConfig(frames=5, size=14), **fields)


# ---- shades


def test_shades_darken_with_their_value_on_any_image():
    image = np.tile(np.arange(256, dtype=np.uint8)[None, :, None], (2, 1, 3))
    scale = Scale(-1, 3)
    steps = [over(image, np.full((1, 1), v), scale) for v in np.linspace(-1, 3, 33)]
    light = np.stack([lightness(step) for step in steps])
    assert (np.diff(light, axis=0) < 0).all()
    assert light[-1].max() < light[0].min()


def test_shades_are_those_of_the_bar_and_end_with_the_scale():
    values = np.linspace(2, 5, 256)[None]
    drawn = shades(values, Scale(2, 5))[0]
    bar = colour_map()(np.arange(256))[:, :3] * 255
    assert_allclose(drawn, bar, atol=1.01)
    beyond = shades(np.array([[0.0, 9.0]]), Scale(2, 5))[0]
    assert_array_equal(beyond, drawn[[0, -1]])
    assert scale_of(np.zeros((2, 2))).share(np.zeros(1)) == 0  # nothing to show


# ---- rows of images


@pytest.mark.parametrize("columns", [1, 7, 8, 9, 19, 40])
def test_each_image_has_a_place_of_its_own_in_its_column(columns):
    images = [np.zeros((2, 2, 3), np.uint8)] * columns
    rows = [Tiles("a", images), Bars("b", np.ones(columns), 1), Tiles("c", images)]
    layout = StripLayout(rows, columns)
    places = list(layout.places())
    for row in (0, 2):
        own = [p for p in places if p.row == row]
        assert [p.index for p in own] == list(range(columns))
    assert len({(p.left, p.top) for p in places}) == 2 * columns
    for p in places:
        assert p.left >= 0 and p.left + p.side <= layout.width
        assert p.top >= 0 and p.top + p.side <= layout.height
    for p, q in itertools.pairwise(places):
        apart = abs(p.left - q.left) >= p.side or abs(p.top - q.top) >= p.side
        assert apart
    above = {p.index: p.left for p in places if p.row == 0}
    assert above == {p.index: p.left for p in places if p.row == 2}
    sizes = [len(band) for band in layout.bands]
    assert sum(sizes) == columns and max(sizes) - min(sizes) <= 1


def test_images_are_drawn_in_their_places():
    """Of more columns than a band has, with words that look like formulas."""
    colours = RNG.integers(0, 256, (2, 11, 1, 1, 3)).astype(np.uint8)
    rows = [
        Tiles("$a$", colours[0], Scale(0, 1), ["$x_1$"] * 11),
        Bars("weight", np.arange(11.0), 10.0, 1.0),
        Tiles("b", colours[1]),
    ]
    drawn = read(strip_png(rows, ["$1"] * 11))
    layout = StripLayout(rows, 11)
    assert_allclose(drawn.shape[:2], (layout.height * DPI, layout.width * DPI), atol=1)
    for place in layout.places():
        y, x = (round((v + place.side / 2) * DPI) for v in (place.top, place.left))
        expected = rows[place.row].images[place.index][0, 0]
        assert_array_equal(drawn[y, x], expected)


def test_an_image_of_several_columns_stands_in_their_middle():
    six, three = [np.zeros((1, 1, 3), np.uint8)] * 6, [np.ones((1, 1, 3), np.uint8)] * 3
    layout = StripLayout([Tiles("a", six), Tiles("b", three)], 6, together=2)
    left = {(p.row, p.index): p.left for p in layout.places()}
    for i in range(3):
        ends = left[0, 2 * i] + left[0, 2 * i + 1]
        assert left[1, i] == pytest.approx(ends / 2)
    wide = StripLayout([Tiles("a", six * 3), Tiles("b", three * 3)], 18, together=2)
    assert [len(band) for band in wide.bands] == [6, 6, 6]
    assert len(list(wide.places())) == 18 + 9
    with pytest.raises(ValueError, match="b: 5 images in 18 columns"):
        strip_png([Tiles("b", six[:5])], [""] * 18)


def test_numbers_are_short():
    values = (0.0, 0.0004, 0.0852, 0.5, 1.0, 12.345, 999.4, 123456.0)
    assert [printed(v) for v in values] == [
        *("0", "4e-4", "0.085", "0.500", "1", "12.3", "999", "1e5")
    ]


def read(content):
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    return image[..., ::-1]


# ---- networks


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


# ---- charts


@pytest.fixture
def drawn(monkeypatch):
    """Figures as they are, where there would be PNG bytes of them."""
    for module in (activation, page, spotting, shaded):
        monkeypatch.setattr(module, "png", lambda figure: figure)


def test_bars_of_intensity_have_the_colour_of_their_state(drawn):
    found = np.array([0.0, 0.15, 0.5, 0.9, 0.6, 0.2, 0.05])
    true = np.linspace(0, 1, 7)
    clip = Watched("$c$", "s", found, true, np.array([[1, 6]]), 0, 1)
    axes = spotting.intensity_png(clip, Rule(), 4).axes[0]
    bars = sorted(axes.patches, key=lambda bar: bar.get_x())
    assert_allclose([bar.get_height() for bar in bars], found)
    assert_allclose([bar.get_x() + 0.5 for bar in bars], np.arange(4, 11))
    of_state = [spotting.COLOURS[state] for state in states(found)]
    assert [to_hex(bar.get_facecolor()) for bar in bars] == of_state
    assert [bool(bar.get_hatch()) for bar in bars] == [False] * 4 + [True] * 2 + [False]
    curve = axes.lines[0]
    assert_allclose(curve.get_xydata(), np.stack([np.arange(4, 11), true], 1))
    spans = [line.get_xdata() for line in axes.lines[1:3]]
    assert_allclose(spans, [[4.6, 10.4], [4.6, 9.4]])  # true from 5, found to 9


def test_the_roc_curve_is_that_of_scikit_learn(drawn):
    score, positive = RNG.integers(0, 6, 40) / 5, RNG.integers(0, 2, 40) > 0
    axes = spotting.roc_png(roc(score, positive)).axes[0]
    expected = roc_curve(positive, score, drop_intermediate=False)[:2]
    assert_allclose(axes.lines[1].get_data(), expected)
    assert axes.get_title() == f"area {roc_auc_score(positive, score):.3f}"


def test_bars_are_the_probabilities_and_the_true_one_is_hatched(drawn):
    cases = [of_stanet(), of_stanet(label=2)]
    for case, axes in zip(cases, page.probabilities_png(cases).axes, strict=True):
        assert_allclose([bar.get_width() for bar in axes.patches], case.probabilities)
        hatched = [bool(bar.get_hatch()) for bar in axes.patches]
        assert hatched == [i == case.label for i in range(3)]
        assert axes.get_yticklabels()[case.label].get_text().endswith(" (true)")
        bold = [text.get_weight() == "bold" for text in axes.texts]
        assert bold == [i == case.predicted for i in range(3)]


def test_tables_are_shaded_and_printed_by_value(drawn):
    values = RNG.uniform(size=(3, 5))
    names = list("abc"), list("vwxyz")
    axes = shaded.table_png(values, *names, Scale(0, 1), across="x", down="y").axes[0]
    assert_array_equal(axes.images[0].get_array(), values)
    assert axes.images[0].get_clim() == (0, 1)
    assert [t.get_text() for t in axes.texts] == [f"{v:.2f}" for v in values.flat]
    wide = shaded.table_png(
        np.zeros((2, 40)), ["a", "b"], ["0"] * 40, Scale(0, 1), across="x"
    ).axes[0]
    assert not wide.texts and len(wide.get_xticks()) <= 14


def test_channels_fall_from_the_largest_weight(drawn):
    weights = {"1.1": RNG.uniform(size=8), "2.1": RNG.uniform(size=16)}
    figure = activation.channels_png(weights)
    for axes, values in zip(figure.axes, weights.values(), strict=False):
        corners = axes.collections[0].get_paths()[0].vertices
        assert_allclose(corners[:, 1].max(), values.max())
        assert axes.get_title().endswith(f"mean {values.mean():.2f}")
    assert [axes.get_visible() for axes in figure.axes] == [True, True, False, False]


# ---- the page


def test_the_page_says_what_was_answered_and_by_whom():
    case = of_stanet()
    shares = case.probabilities
    assert shares.sum() == pytest.approx(1) and case.right
    made = explanation([case])
    text = markdown.render(made)
    assert f"stanet: joy, with probability {shares[1]:.2f}, which is right." in text
    assert "fold s7, seed 3, trained without this subject" in text
    assert "no proof" in text and "not keep subjects apart" not in text
    assert len(made.figures()) == 3
    wrong = markdown.render(explanation([of_stanet(label=0, subject_unseen=False)]))
    assert f"The true class is anger, to which it gives {shares[0]:.2f}." in wrong
    assert "not keep subjects apart" in wrong and "without this clip" in wrong


def test_large_logits_are_probabilities():
    shares = of_stanet(logits=np.array([900, 899, -900], np.float32)).probabilities
    assert_allclose(shares, [0.731, 0.269, 0], atol=1e-3)


def test_two_runs_stand_beside_each_other():
    first, second = of_resnet3d(), of_resnet3d(folder=Path("runs/two"), label=1)
    made = explanation([first, second])
    names = [figure.path for figure in made.figures()]
    assert names == [
        "figures/probabilities.png",
        "figures/side-by-side.png",
        "figures/activation.png",
        "figures/activation-2.png",
    ]
    other = of_resnet3d(folder=Path("runs/two"), inputs={"clip": FACES[:4]})
    text = markdown.render(explanation([first, other]))
    assert "see other frames" in text
    assert "see other frames" not in markdown.render(explanation([first, of_stanet()]))


def test_the_maps_side_by_side_are_of_the_true_class_and_of_each_prediction(
    monkeypatch,
):
    rows = []
    monkeypatch.setattr(activation, "strip_png", lambda r, c: rows.extend(r) or b"")
    # Both see "fear"; the first says so, the second says "joy".
    first = of_resnet3d(label=2, logits=np.array([0, 0, 3], np.float32))
    second = of_resnet3d(label=2, folder=Path("runs/two"))
    activation.side_by_side(first, second)
    told = [row.label.split("\n")[1].split()[0] for row in rows[1:]]
    assert told == ["fear", "fear", "joy"]
    assert_array_equal(rows[3].images, activation.activation_row(second, 1, "").images)


def test_a_grid_has_the_apex_the_true_class_and_each_prediction(monkeypatch):
    """Figure 6 of MERANet's paper, with the predicted classes below."""
    drawn = []
    monkeypatch.setattr(grid, "strip_png", lambda r, c: drawn.extend([r, c]) or b"")
    ours = [of_resnet3d(apex=2), of_resnet3d(label=2, apex=-1)]
    theirs = [of_resnet3d(apex=2, logits=np.array([5, 0, 0], np.float32)),
              of_resnet3d(label=2)]  # fmt: skip
    clips = [*zip(ours, theirs, strict=True)]
    assert grid.has_grid(clips)
    grid.grid(clips)
    (seen, *maps), captions = drawn
    assert captions == ["joy", "fear"]
    assert_array_equal(seen.images, FACES[[2, 2]])  # of five frames, the middle
    assert [row.said[0].split()[0] for row in maps] == ["joy", "joy", "joy", "anger"]
    assert [row.said[1].split()[0] for row in maps] == ["fear", "fear", "joy", "joy"]
    features, head = theirs[0].shown["features"], theirs[0].weights[activation.HEAD]
    coarse = activation.activation(features, head[:, 0])
    whole = activation.upsampled(coarse, (5, 14, 14))
    expected = over(FACES[2], whole[2], scale_of(whole[2], low=0))
    assert_array_equal(maps[3].images[0], expected)
    assert not grid.has_grid(clips[:1])  # which its own page shows
    assert not grid.has_grid([(of_stanet(),), (of_stanet(),)])
    shorter = of_resnet3d(inputs={"clip": FACES[:4]})
    assert not grid.has_grid([(ours[0], theirs[0]), (ours[1], shorter)])


def of_aman(**changes):
    config = AmanConfig(
        k=3, n=2, frames=5, size=14, width=2, magnify="linear", pretrain="none"
    )
    weight = RNG.uniform(size=(2, 3)).astype(np.float32)
    fields = {"inputs": {"clip": FACES}, "shown": {"factor_weight": weight}} | changes
    return case_of(config, **fields)


def test_magnified_frames_of_several_subjects_are_one_figure(monkeypatch):
    """Figure 1 of AMAN's paper. Of five frames, 0 and 2 are seen."""
    drawn = []
    monkeypatch.setattr(
        aman, "strip_png", lambda r, c, **o: drawn.extend([r, c]) or b""
    )
    first, second = of_aman(apex=0), of_aman(subject="s8", label=0, apex=3)
    assert grid.has_grid([(first,), (second,)])
    assert not grid.has_grid([(first, first), (second, second)])
    aman.across([first, second])
    rows, captions = drawn
    assert captions == ["× 1", "× 2", "× 3"]
    assert [row.label for row in rows] == ["subject s7\njoy", "subject s8\nanger"]
    assert_array_equal(rows[0].images, FACES[[0, 0, 0]])  # the onset does not move
    start, change = FACES[0].astype(float), FACES[2].astype(float) - FACES[0]
    for image, factor in zip(rows[1].images, (1, 2, 3), strict=True):
        assert_array_equal(image, np.clip(start + factor * change, 0, 255))
    told = second.shown["factor_weight"][1]
    assert rows[1].said == [f"{value:.2f}" for value in told]


def test_a_grid_is_a_page_and_the_first_pictures_of_a_report(tmp_path):
    clips = [(of_resnet3d(),), (of_resnet3d(label=0),)]
    for name in ("+grid", "a", "B", "0"):
        grid.write_grid(tmp_path / "explain" / name, clips)
    assert (tmp_path / "explain/+grid/figures/grid.png").read_bytes()[:4] == b"\x89PNG"
    titles = [section.title for section in pictures(tmp_path)]
    assert titles[0] == "What the networks looked at, clip by clip"
    assert len(titles) == 4


def test_names_from_data_are_escaped():
    case = of_stanet(
        clip=EVIL, subject=EVIL, dataset="a|b", classes=(EVIL, "<b>$x$</b>", "`c`")
    )
    found = parse(html.render(explanation([case])))
    assert found.tags.count("script") == 1  # our own
    assert "b" not in found.tags
    assert EVIL in found.text
    assert "<script" not in markdown.render(explanation([case])).replace("\\<", "")
