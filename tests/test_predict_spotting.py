"""A small network that learns to spot, and what all of its folds find in new videos."""

import json

import numpy as np
import pytest
from filmed import film

import jmer
from data_builders.synthetic import Synthetic
from jmer.cli import main
from jmer.data.splits import KFold
from jmer.experiment import EngineConfig, Experiment
from jmer.models.visual_memory import VisualMemoryConfig
from jmer.optim import AdamWConfig
from jmer.predict.ask import Asking, Judge, judge
from jmer.predict.source import sources
from jmer.scores.intervals import annotated, interval_score
from jmer.scores.spotting import Rule, Watched, frame_roc
from jmer.synthetic.rendering import render_clip
from jmer.synthetic.spec import SyntheticSpec
from jmer.train import folds
from jmer.train.compiling import FEW_PASSES

FACES = {
    "length": 24, "size": 32, "difficulty": 0.0, "noise": 0.1, "imbalance": 0.0,
    "expressions": 1, "blinks": 0, "head_moves": 0,
}  # fmt: skip
CLOSE = 0.02


def experiment(place):
    return Experiment(
        model=VisualMemoryConfig(
            temporal_net=False, frames=24, steps=23, size=32, width=4, hidden=32,
            intensity_loss="cross-entropy", intensity_weight=3.0,
            steps_count="by-intensity", augmented=False,
        ),
        data=Synthetic(
            modality="clip", subjects=6, clips=60, data_dir=place / "tfds", **FACES
        ),
        optim=AdamWConfig(lr=2e-3, weight_decay=0.0, warmup_epochs=2, warmup_lr=1e-4),
        epochs=30,
        batch_size=2,
        eval_every=30,
        protocol=KFold(3),
        engine=EngineConfig(plan_seconds=0, lowering="patches", devices=1),
    )  # fmt: skip


@pytest.fixture
def _trained_fast(monkeypatch):
    """Here it is training that takes the time, for which programs that nothing was
    optimised of take three times as long."""
    real = folds.compiler_options
    monkeypatch.setattr(
        folds, "compiler_options", lambda *given: real(*given) | FEW_PASSES
    )


@pytest.mark.slow
@pytest.mark.usefixtures("_trained_fast")
def test_all_folds_spot_in_new_people_as_well_as_each_in_those_held_out(tmp_path):
    pytest.importorskip("av")
    run = jmer.run(experiment(tmp_path), run_dir=tmp_path / "run")
    assert main(["spot", str(tmp_path / "run"), "--most", "0"]) == 0
    own = json.loads((tmp_path / "run/spotting/spotting.json").read_text())
    assert own["auc"] > 0.8 and own["intervals"]["f1"] > 0.7  # it learnt

    spec = SyntheticSpec(subjects=6, clips=36, seed=77, **FACES)
    how = Asking(align="none", shown=0)
    asked, watched = Judge.of(run, how), []
    for i in range(spec.clips):
        clip = render_clip(spec, i)
        (source,) = sources(film(tmp_path / f"{i}.mkv", clip.frames, rate=30))
        curve = judge(source, asked, None, how).curve
        assert curve.intensity.shape == (3, 23)
        # Of all frames but the first, whose neighbour nobody knows.
        true = annotated(clip.intensity, clip.onset, clip.offset) - 1
        level = clip.intensity[1:].astype(float)
        watched.append(
            Watched(f"{i}", "new", curve.middle, level, np.maximum(true, 0), 0, 0)
        )
    auc = frame_roc(watched).area
    f1 = interval_score([one.video(Rule()) for one in watched]).f1
    print(f"own {own['auc']:.3f} {own['intervals']['f1']:.3f}; new {auc:.3f} {f1:.3f}")
    assert auc >= own["auc"] - CLOSE
    assert f1 >= own["intervals"]["f1"] - CLOSE
