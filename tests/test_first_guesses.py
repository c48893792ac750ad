"""What an accelerator begins with: the kinds of networks, and the table of guesses,
derived again from the compilers where they are installed."""

import dataclasses

import jax.numpy as jnp
import pytest
from engine import make_program, table_of, tasks_of
from test_networks import NETWORKS
from test_targets import machine_or_skip
from toy import clips_for

from jmer import trees
from jmer.data.random_clips import RandomClips
from jmer.models.aman import AmanConfig
from jmer.models.hsta import HstaConfig
from jmer.models.ststnet import STSTNetConfig
from jmer.nn.lowering.choice import WORTH_TRYING
from jmer.targets import machines
from jmer.train import first_guesses
from jmer.train.estimates import Estimate, estimate
from jmer.train.first_guesses import GUESSES, NARROW, first_guess, kind_of
from jmer.train.mesh import make_mesh
from jmer.train.planner import candidates
from jmer.train.step import Data
from jmer.train.tasks import Task

NEAR = 1.1  # times the best
# One of each kind, as small as one is that behaves as those of the papers do.
OF_KIND = {
    "narrow": STSTNetConfig(size=28),
    "wide": AmanConfig(
        k=2, n=2, frames=3, size=64, width=32, magnify="linear", pretrain="none"
    ),
    "products": HstaConfig(
        depth=(1, 0, 1),
        csta=False,
        streams="v",
        num_frames=2,
        size=32,
        patch_v=8,
        patch_s=8,
        dim_v=64,
        dim_s=32,
        heads=4,
    ),
}
TASKS = 8
# Bytes say little of a GPU's patches: of STANet's, which an H200 took 1.3 times as long
# for (experiments/benchmarks/h200.md).
ESTIMATED = {"tpu": WORTH_TRYING["tpu"], "gpu": ("gpu", "backend")}


def trained(network, **options):
    """A program, its tasks and its set, as tasks see it."""
    # Batches as large as the papers: launches count for less, and groups for more.
    many = 64 if isinstance(network, STSTNetConfig) else 4
    clips = clips_for(network, subjects=TASKS, per_subject=many)
    if network.has_prefix:
        clips = dataclasses.replace(clips, inputs=network.prefix(clips.inputs))
    options = {"dtype": jnp.bfloat16, "batch_size": 4 * many, **options}
    return make_program(clips, network=network, **options), clips


@pytest.mark.parametrize("kind", OF_KIND)
def test_a_network_has_the_kind_of_what_it_computes_most(kind):
    program, clips = trained(OF_KIND[kind])
    data = Data.of(clips.inputs, clips.label)
    found, operations = kind_of(program.trainer, data)
    assert found == kind and 1e5 < operations < 1e10
    assert first_guess(program.trainer, data, "cpu") is None
    for platform in ("tpu", "gpu"):
        found = first_guess(program.trainer, data, platform)
        assert found.lowering == GUESSES[platform, kind] and found.chunk >= TASKS


def test_channels_decide_between_narrow_and_wide():
    """The same network; its input has three channels, as all have."""
    few = STSTNetConfig(size=7, filters=(2, NARROW - 1))
    many = next(n for n in NETWORKS if n.name == "resnet3d")
    for network, kind in (
        (few, "narrow"),
        (dataclasses.replace(many, width=2 * NARROW), "wide"),
        (dataclasses.replace(many, width=1), "narrow"),
    ):
        program, clips = trained(network)
        data = Data.of(clips.inputs, clips.label)
        assert kind_of(program.trainer, data)[0] == kind


def test_multiplications_are_those_of_the_mathematics():
    """Each of three taps falls on each of a row's 28 pixels once, of three channels,
    for each of 16 outputs; then 400 features to three classes."""
    program, clips = trained(STSTNetConfig(), batch_size=8)
    size = program.trainer.plan.size
    _, operations = kind_of(program.trainer, Data.of(clips.inputs, clips.label))
    assert operations == pytest.approx(size * (84 * 84 * 3 * 16 + 400 * 3), rel=0.01)


def test_a_large_step_is_one_task_at_a_time(monkeypatch):
    program, clips = trained(OF_KIND["narrow"])
    data = Data.of(clips.inputs, clips.label)
    _, operations = kind_of(program.trainer, data)
    monkeypatch.setattr(first_guesses, "FULL", 5.2 * operations)
    assert first_guess(program.trainer, data, "gpu").chunk == 5
    monkeypatch.setattr(first_guesses, "FULL", operations / 100)
    assert first_guess(program.trainer, data, "gpu").chunk == 1


@pytest.mark.parametrize(("folds", "seeds"), [(68, 1), (68, 5), (17, 1), (34, 2)])
def test_a_tpu_chip_begins_with_as_many_of_ststnet_as_its_memory_likes(folds, seeds):
    """Of one chip; four have no more than 17 folds each."""
    shapes = (("apex_flow", (28, 28, 3)),)
    clips = RandomClips(shapes=shapes, subjects=folds, per_subject=6).empty()
    program = make_program(
        clips, network=STSTNetConfig(), dtype=jnp.bfloat16, batch_size=256
    )
    guess = first_guess(program.trainer, Data.of(clips.inputs, clips.label), "tpu")
    tasks = [Task(seed, f"{i:02}") for seed in range(seeds) for i in range(folds)]
    first = next(candidates(tasks, "tpu", together=False, devices=[1], guess=guess))
    assert first.chunk == 17


def expected(network, machine: machines.Target, lowering: str, chunk: int) -> Estimate:
    program, clips = trained(network, lowering=lowering, chunk=chunk)
    program = dataclasses.replace(
        program,
        mesh=make_mesh(1, machines.devices(machine)),
        options=machines.compiler_options(machine),
    )
    tasks = tasks_of(clips)[:chunk]
    table = trees.shapes(table_of(program, clips, tasks), chunk)
    data = Data.of(clips.inputs, clips.label)
    text = program.compiled(table, data).as_text()
    return estimate(text, chunks=TASKS / chunk)


@pytest.mark.parametrize("kind", OF_KIND)
@pytest.mark.parametrize(
    # Compiling all of these for a GPU takes a quarter of an hour.
    "name",
    ["v5e-1", pytest.param("h100", marks=pytest.mark.slow)],
)
def test_the_guess_is_near_the_best(name, kind, monkeypatch):
    monkeypatch.setenv("TPU_SKIP_MDS_QUERY", "1")
    monkeypatch.setenv("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")
    machine = machine_or_skip(name)
    suited = GUESSES[machine.chip.platform, kind]
    found = {
        (lowering, chunk): expected(OF_KIND[kind], machine, lowering, chunk).amount
        for lowering in ESTIMATED[machine.chip.platform]
        for chunk in (1, TASKS)
    }
    # So small, all are side by side.
    assert found[suited, TASKS] <= NEAR * min(found.values()), found
