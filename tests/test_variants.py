"""Trainings that differ in numbers only: one program, and as each would be alone."""

import dataclasses
from typing import ClassVar

import numpy as np
import pytest
from engine import NETWORK, assert_trees_close, make_program, row, tasks_of, train
from numeric import first_of

from jmer.errors import UsageError
from jmer.losses import weighted_mean
from jmer.models.ststnet import STSTNetConfig
from jmer.optim import AdamConfig, SgdConfig
from jmer.train.tasks import Task
from jmer.train.variants import columns, parse_variant, with_values

PARTS = {"optim": AdamConfig(lr=1e-3), "model": NETWORK}


@dataclasses.dataclass(frozen=True)
class Penalised(STSTNetConfig):
    """A penalty on the square of the logits."""

    values: ClassVar[tuple[str, ...]] = ("penalty",)
    penalty: float = 0.0

    def loss(self, model, inputs, label, *, weight, key):
        options = {"train": True, "key": key, "weight": weight}
        square = (self.apply(model, inputs, **options) ** 2).sum(-1)
        usual = super().loss(model, inputs, label, weight=weight, key=key)
        return usual + self.penalty * weighted_mean(square, weight)


def test_a_variant_is_read_by_the_names_of_the_options():
    text = "optim.lr=3e-4, optim.weight-decay=0.5"
    expected = {"optim.lr": 3e-4, "optim.weight_decay": 0.5}
    assert parse_variant(text, PARTS) == expected
    assert parse_variant(text.replace("-d", "_d"), PARTS) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("optim.lr", "'optim.lr' is none: write FIELD=NUMBER"),
        ("", "'' is none"),
        ("optim.beta1=0.5", "'optim.beta1=0.5' is none.*optim.lr, optim.weight-decay"),
        ("model.size=9", "'model.size=9' is none"),
        ("optim.lr=1,optim.lr=2", "'optim.lr=2' is none.*each field once"),
        ("optim.lr=fast", "'optim.lr=fast' is no number"),
        ("optim.lr=-1", "optim.lr=-1.0 must be positive"),
        ("optim.weight-decay=inf", "'optim.weight-decay=inf' must be finite"),
    ],
)
def test_what_is_no_variant_is_refused(text, words):
    with pytest.raises(UsageError, match=words):
        parse_variant(text, PARTS)


def test_a_variant_has_the_usual_value_of_what_it_does_not_name():
    variants = [{"optim.lr": 0.1}, {"optim.weight_decay": 0.2}]
    found = columns(variants, PARTS)
    assert found == {"optim.lr": [0.1, 1e-3], "optim.weight_decay": [0.0, 0.2]}
    assert columns([{}], PARTS) == {}


def test_values_reach_their_own_part_alone():
    values = {"optim.lr": 7.0, "model.dropout": 0.25}
    assert with_values(PARTS["optim"], "optim", values).lr == 7
    assert with_values(NETWORK, "model", values).dropout == 0.25
    assert NETWORK.dropout == 0.5


@pytest.mark.parametrize("mode", first_of(["own", "shared"], "own"))
def test_a_variant_in_a_pack_equals_an_experiment_of_its_own(clips, mode):
    variants = [
        {"optim.lr": 0.02, "optim.weight_decay": 0.1, "model.penalty": 0.0},
        {"optim.lr": 0.05, "optim.weight_decay": 0.0, "model.penalty": 0.3},
    ]
    values = {name: [v[name] for v in variants] for name in variants[0]}
    network = Penalised(size=7, filters=(2, 3))
    subjects = [task.fold for task in tasks_of(clips)][:2]
    tasks = [Task(0, s, variant) for variant in (0, 1) for s in subjects]
    program = make_program(clips, mode=mode, chunk=4, network=network)
    together, _ = train(program, clips, tasks, values=values)
    for i, task in enumerate(tasks):
        own = variants[task.variant]
        alone = make_program(
            clips,
            mode=mode,
            chunk=1,
            network=dataclasses.replace(network, penalty=own["model.penalty"]),
            optim=SgdConfig(own["optim.lr"], 0.9, own["optim.weight_decay"]),
        )
        state, _ = train(alone, clips, [Task(0, task.fold)])
        assert_trees_close(row(together, i), row(state, 0))


def test_variants_share_their_random_numbers(clips):
    """Equal values, equal results: they are compared on the same draws."""
    tasks = [Task(0, "s1", variant) for variant in (0, 1)]
    values = {"optim.lr": [0.05, 0.05]}
    states, _ = train(make_program(clips, chunk=1), clips, tasks, values=values)
    for leaf in (states.params["head"]["kernel"], states.params["head"]["bias"]):
        np.testing.assert_array_equal(leaf[...][0], leaf[...][1])
