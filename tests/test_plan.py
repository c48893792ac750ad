"""Layouts: which are tried, which is chosen, remembered, and made to fit."""

import dataclasses
import json
from pathlib import Path

import jax
import numpy as np
import pytest
from engine import make_program, table_of, tasks_of
from toy import make_clips

from jmer.data.splits import Loso, make_folds
from jmer.errors import JmerError, UsageError
from jmer.experiment import EngineConfig
from jmer.models.ststnet import STSTNetConfig
from jmer.runner import plan as planning
from jmer.runner.plan import Plan, fit, keep_compiled_programs, make_plan
from jmer.train import planner
from jmer.train.planner import Measurement, candidates, choose, measure
from jmer.train.probe import Layout, Probe, Work, step_flops
from jmer.train.step import Data
from jmer.train.tasks import Task


def make_work(seeds=(0,), epochs=20_000, **options) -> Work:
    clips = make_clips()
    program, tasks = make_program(clips, **options), tasks_of(clips, seeds)
    return Work(
        program.trainer,
        tuple(tasks),
        table_of(program, clips, tasks),
        Data.of(clips.inputs, clips.label),
        epochs,
        eval_every=2,
    )


def tasks(folds: int, seeds: int = 1) -> list[Task]:
    return [Task(s, f"s{i:02d}") for s in range(seeds) for i in range(folds)]


def seconds_of(seconds: dict[int, float], limit_bytes: int = 100):
    """A stand-in for `measure`: seconds by chunk; 10 bytes for each task of one."""

    def measured(layout, work, limit):
        size = 10 * layout.chunk
        if limit is not None and size > limit:
            return None
        return Measurement(layout, seconds[layout.chunk], 0.0, size)

    return measured


def test_chunks_are_even_parts_of_a_seed():
    found = {c.chunk for c in candidates(tasks(68), "cpu", together=True, devices=[2])}
    assert found == {34, 17, 12, 9, 6, 5, 3, 1}
    # Many seeds fill the devices by themselves.
    found = {
        c.chunk for c in candidates(tasks(26, 5), "gpu", together=False, devices=[2])
    }
    assert {26, 13, 9, 7, 1} <= found and max(found) == 26


def test_a_cpu_begins_with_what_fits_its_cache_an_accelerator_with_all():
    cpu = next(candidates(tasks(68), "cpu", together=True, devices=[2, 1]))
    gpu = next(candidates(tasks(68), "gpu", together=False, devices=[1]))
    assert (cpu.devices, cpu.chunk, cpu.lowering) == (2, 12, "patches")
    apart = next(candidates(tasks(68), "cpu", together=False, devices=[2, 1]))
    assert (apart.devices, apart.chunk) == (2, 1)
    assert (gpu.devices, gpu.chunk, gpu.lowering) == (1, 68, "gpu")
    both = {c.lowering for c in candidates(tasks(4), "tpu", together=True, devices=[1])}
    assert both == {"tpu", "backend", "patches"}


def test_what_is_pinned_is_not_varied():
    only = list(
        candidates(
            tasks(68), "gpu", together=False, devices=[3], chunk=7, lowering="patches"
        )
    )
    assert only == [Layout(3, 7, "patches")]


def test_the_fastest_is_chosen(monkeypatch):
    work = make_work()
    monkeypatch.setattr(planner, "measure", seconds_of({4: 3.0, 2: 1.0, 1: 2.0}))
    layouts = [Layout(1, n, "patches") for n in (4, 2, 1)]
    found = choose(iter(layouts), work, seconds=60, limit=None)
    assert [m.layout.chunk for m in found] == [2, 1, 4]
    found = choose(iter(layouts), work, seconds=60, limit=15)
    assert [m.layout.chunk for m in found] == [1]


def test_planning_takes_a_tenth_of_a_short_training_at_most(monkeypatch):
    """The first is measured in any case, since it has to be compiled."""
    work = dataclasses.replace(make_work(), epochs=1)
    monkeypatch.setattr(planner, "measure", seconds_of({4: 1e-9, 2: 1.0}))
    layouts = [Layout(1, n, "patches") for n in (4, 2)]
    found = choose(iter(layouts), work, seconds=60, limit=None)
    assert [m.layout.chunk for m in found] == [4]


def test_a_measurement_is_of_the_real_program():
    work = make_work()
    found = measure(Layout(2, 1, "patches"), work, None)
    assert found.seconds > 0 and found.bytes > 1000
    assert measure(Layout(2, 1, "patches"), work, found.bytes - 1) is None


def test_an_epoch_measured_in_part_is_scaled(monkeypatch):
    work = make_work(batch_size=1)
    steps = work.trainer.plan.steps
    assert steps == 9
    probe = Probe(Layout(1, 2, "patches"), work, steps=3)
    monkeypatch.setattr(probe, "_run", lambda epochs: 5.0 if epochs else 2.0)
    # 3 steps take 3 s; an evaluation of 2 s comes every second epoch.
    assert probe.epoch_seconds() == pytest.approx(9 + 1)


def test_flops_are_those_of_the_mathematics():
    """Convolution forward and weight gradient dominate; the input has no gradient."""
    work = make_work(batch_size=8)
    # Each tap falls on every pixel of the 7x7 image once; padding is not counted.
    conv = 2 * work.trainer.plan.size * 7 * 7 * 27 * 5
    assert 2 * conv < step_flops(work.trainer, work.data) < 4 * conv


@pytest.mark.slow
def test_memory_grows_linearly_with_the_pack():
    clips = make_clips(12, 2)
    program, every = make_program(clips, chunk=3), tasks_of(clips)
    table, data = table_of(program, clips, every), Data.of(clips.inputs, clips.label)
    work = Work(program.trainer, tuple(every), table, data, 1, 1)
    sizes = [Probe(Layout(1, 3, "patches"), work.first(n)).bytes for n in (6, 9, 12)]
    steps = np.diff(sizes)
    assert (steps > 0).all() and np.ptp(steps) <= 0.1 * steps.mean()


# --- plans


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("JMER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_programs_are_not_kept_where_nothing_can_be_written(monkeypatch, tmp_path):
    told: list[str] = []
    before = jax.config.jax_compilation_cache_dir
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", Path("/proc/none"), Path("/dev/null/x")):
        monkeypatch.setenv("JMER_CACHE", str(place))
        keep_compiled_programs(told.append)
        assert jax.config.jax_compilation_cache_dir == before
        assert told.pop().startswith(f"{place}/programs cannot be written (")
    try:
        monkeypatch.setenv("JMER_CACHE", str(tmp_path / "new"))
        keep_compiled_programs(told.append)
        assert jax.config.jax_compilation_cache_dir == str(tmp_path / "new/programs")
        assert not told and not any((tmp_path / "new/programs").iterdir())
    finally:
        jax.config.update("jax_compilation_cache_dir", before)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"strategy": "map", "devices": 2}, Layout(2, 1, "patches")),
        ({"strategy": "loop", "devices": 1}, Layout(1, 1, "patches")),
        ({"strategy": "vmap", "devices": 2}, Layout(2, 2, "patches")),
        ({"strategy": "vmap"}, Layout(8, 1, "patches")),  # of 4 tasks
        ({"strategy": "vmap", "chunk": 3, "devices": 1}, Layout(1, 3, "patches")),
        (
            {"chunk": 2, "devices": 1, "lowering": "backend"},
            Layout(1, 2, "backend"),
        ),
    ],
    ids=str,
)
def test_options_pin_the_layout(options, expected):
    found = make_plan(EngineConfig(**options), make_work())
    assert (found.layout, found.source) == (expected, "pinned")


def test_a_short_training_is_not_measured(monkeypatch):
    monkeypatch.setattr(planning, "choose", None)
    assert make_plan(EngineConfig(), make_work(epochs=3)).source == "first guess"
    assert make_plan(EngineConfig(plan_seconds=0), make_work()).source == "first guess"


def test_more_devices_than_there_are(cache):
    with pytest.raises(UsageError, match=r"engine.devices=9.*choose 1 to 8"):
        make_plan(EngineConfig(devices=9), make_work())


def test_a_measured_plan_is_remembered_for_the_same_work(cache, monkeypatch):
    calls = []

    def measured(layouts, work, **options):
        calls.append(work)
        layout = list(layouts)[-1]
        return [Measurement(layout, 0.125, 1.0, 1000)]

    monkeypatch.setattr(planning, "choose", measured)
    work, engine = make_work(), EngineConfig()
    first = make_plan(engine, work)
    assert (first.source, first.seconds, first.evaluations) == ("measured", 0.125, 2)
    again = make_plan(engine, work)
    assert again == dataclasses.replace(first, source="remembered")
    assert len(calls) == 1
    make_plan(engine, make_work(seeds=(0, 1)))
    make_plan(EngineConfig(devices=1), work)
    assert len(calls) == 3
    # A file that cannot be read is measured again.
    for file in (cache / "plans").iterdir():
        file.write_text("{")
    assert make_plan(engine, work).source == "measured"


def test_a_plan_survives_json():
    plan = Plan(Layout(2, 3, "patches"), 4, "measured", 0.5, 10, ({"seconds": 1.0},))
    assert Plan.of(json.loads(json.dumps(plan.record()))) == plan


# --- memory


def bytes_of(plan: Plan, work: Work) -> int:
    return Probe(plan.layout, work).bytes


def test_what_fits_is_left_alone():
    work = make_work()
    plan = Plan(Layout(1, 2, "patches"), 1, "pinned")
    said = []
    found, size = fit(plan, work, 1e9, said.append)
    assert found.layout == plan.layout and size == 4 and not said
    assert found.bytes == bytes_of(plan, work)
    assert fit(plan, work, None) == (plan, 4)


@pytest.mark.slow
def test_a_pack_beyond_the_limit_is_split_before_it_runs():
    work = make_work(seeds=tuple(range(8)))
    plan = Plan(Layout(1, 2, "patches"), 1, "pinned")
    whole, half = bytes_of(plan, work), bytes_of(plan, work.first(16))
    said = []
    found, size = fit(plan, work, (whole + half) / 2, said.append)
    assert found.layout.chunk == 2 and 8 <= size < 32
    assert bytes_of(plan, work.first(size)) <= (whole + half) / 2
    assert len(said) == 1 and f"{size} tasks of a device in one program" in said[0]


def test_a_chunk_beyond_the_limit_is_halved():
    work = make_work()
    plans = {n: Plan(Layout(1, n, "backend"), 1, "pinned") for n in (4, 1)}
    one = bytes_of(plans[1], work.first(1))
    said = []
    found, size = fit(plans[4], work, 1.2 * one, said.append)
    assert found.layout.chunk < 4 and size < 4
    assert any("side by side" in line for line in said)


def test_a_task_that_fits_nowhere_is_one_clear_error():
    plan = Plan(Layout(1, 1, "patches"), 1, "pinned")
    with pytest.raises(JmerError, match=r"one task needs .* --engine.memory-limit"):
        fit(plan, make_work(), 1000)


# --- many tasks


def test_compiling_takes_no_longer_for_more_tasks():
    """130 tasks make a program of as many operations as 26: a loop over chunks."""
    clips = make_clips(26, 1)

    def operations(seeds) -> int:
        program, every = make_program(clips, chunk=13), tasks_of(clips, seeds)
        table = table_of(program, clips, every)
        table = jax.tree.map(lambda x: x[program.rows(every)], table)
        data = Data.of(clips.inputs, clips.label)
        state = jax.eval_shape(program.init, table.key)
        counts = np.ones(1, np.int32)
        lowered = program.advance.lower(state, table, data, np.int32(0), counts)
        return lowered.as_text().count(" = ")

    assert operations(range(5)) == operations((0,)) > 500
    assert len(make_folds(Loso(), clips)) == 26


def test_flops_are_those_of_what_a_network_sees_in_training():
    """Of a clip of twelve frames it is shown three, drawn anew at each step."""

    @dataclasses.dataclass(frozen=True)
    class Window(STSTNetConfig):
        def augment(self, inputs, key, version):
            del key, version
            return {name: x[:, :3] for name, x in inputs.items()}

    work = make_work(batch_size=8)
    whole = step_flops(work.trainer, work.data)
    trainer = dataclasses.replace(work.trainer, network=Window(size=7, filters=(2, 3)))
    shapes, label = trainer.batch_shapes(work.data)
    assert shapes["apex_flow"].shape == (trainer.plan.size, 3, 7, 3)
    assert label.shape == (trainer.plan.size,) and whole > 0
