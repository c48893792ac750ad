"""A number that would be taken for another one is refused, not taken."""

import dataclasses

import jax
import numpy as np
import pytest
from test_start import EXPERIMENT

from jmer import keys
from jmer.cli import main
from jmer.data.splits import ClipHoldOut, ClipKFold, HoldOut, KFold
from jmer.errors import MOST_COUNT, MOST_SEED, UsageError
from jmer.experiment import EngineConfig

RANGE = f"from 0 to {MOST_SEED}"
WRONG = [MOST_SEED + 1, -1, 2**63, 0.0, 1.5, True, "3"]


@pytest.mark.parametrize("seed", WRONG, ids=repr)
def test_no_seed_is_taken_for_another(seed):
    with pytest.raises(
        UsageError, match=rf"seed={seed} must be a whole number {RANGE}"
    ):
        keys.seed_key(seed)
    with pytest.raises(UsageError, match=rf"seeds=\(.*{seed}.*{RANGE}"):
        dataclasses.replace(EXPERIMENT, seeds=(2, seed))


def test_the_last_seed_is_one_of_its_own():
    codes = {
        tuple(np.asarray(jax.random.key_data(keys.seed_key(s))).tolist())
        for s in (0, 1, MOST_SEED - 1, MOST_SEED)
    }
    assert len(codes) == 4


@pytest.mark.parametrize("seed", ["4294967296", "-1", "4294967299"])
def test_commands_name_option_value_and_range(tmp_path, capsys, seed):
    commands = [
        ["run", "quickstart", f"--seeds={seed}", "--run-dir", str(tmp_path / "r")],
        ["pretrain", "motion", f"--seed={seed}", "--out", str(tmp_path / "m.npz")],
        ["weights", "measure", str(tmp_path / "m.npz"), f"--seed={seed}"],
    ]
    for words in commands:
        assert main(words) == 2
        said = " ".join(capsys.readouterr().err.split())
        assert seed in said and RANGE in said and "seed" in said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", [KFold, ClipKFold, HoldOut, ClipHoldOut])
@pytest.mark.parametrize("seed", [-1, 0.5, True, 2**63], ids=repr)
def test_seeds_of_divisions(kind, seed):
    with pytest.raises(UsageError, match=rf"protocol\.split-seed={seed} must be"):
        kind(split_seed=seed)


@pytest.mark.parametrize("value", [2.5, True, MOST_COUNT + 1, 2**40, float("nan")])
@pytest.mark.parametrize("name", ["epochs", "batch_size", "eval_every"])
def test_counts_that_a_device_cannot_hold(name, value):
    with pytest.raises(UsageError, match=rf"{name.replace('_', '-')}=.* must be"):
        dataclasses.replace(EXPERIMENT, **{name: value})


def test_other_counts_are_whole():
    with pytest.raises(UsageError, match=r"protocol\.k=2\.5 must be a whole number"):
        KFold(2.5)
    with pytest.raises(UsageError, match=r"engine\.chunk=1\.5 must be a whole number"):
        EngineConfig(chunk=1.5)
