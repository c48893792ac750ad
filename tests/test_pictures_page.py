"""Charts, pages and grids of clips say what the networks answered."""

from pathlib import Path

import numpy as np
import pytest
from cases import FACES, case_of, of_resnet3d, of_stanet
from matplotlib.colors import to_hex
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import roc_auc_score, roc_curve
from test_report import EVIL, parse

from jmer.models.aman import AmanConfig
from jmer.report.attention import activation, aman, grid, page, shaded
from jmer.report.attention.page import explanation
from jmer.report.draw import spotting
from jmer.report.draw.heat import Scale, over, scale_of
from jmer.report.pictures import pictures
from jmer.report.render import html, markdown
from jmer.scores.intervals import roc, states
from jmer.scores.spotting import Rule, Watched

RNG = np.random.default_rng(1)

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
