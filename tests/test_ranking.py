"""Layouts of accelerators: in what order they are tried, and what is measured."""

import dataclasses
import itertools
from types import SimpleNamespace

import jax
import pytest
from test_plan import make_work, tasks

from jmer.experiment import EngineConfig
from jmer.runner import plan as planning
from jmer.runner.plan import make_plan, smaller
from jmer.targets.cost import costs
from jmer.targets.program_text import parse
from jmer.train import first_guesses, ranking
from jmer.train.estimates import GROUPED, LAUNCH, Estimate, estimate, of_costs
from jmer.train.first_guesses import GUESSES, Guess
from jmer.train.planner import candidates
from jmer.train.probe import Layout, Probe, bytes_refused
from jmer.train.ranking import Candidate, choose_ranked, compiled, ranked
from tests.test_targets import PROGRAM

FULL = jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory")


class Compiler:
    """A stand-in: estimates and seconds by chunk, and what was asked of it."""

    def __init__(self, estimates, seconds, unit="cycles"):
        self.estimates, self.seconds, self.unit = estimates, seconds, unit
        self.compiled: list[int] = []
        self.measured: list[int] = []

    def __call__(self, layout):
        self.compiled.append(layout.chunk)
        amount = self.estimates[layout.chunk]
        if amount is None:
            return None
        run = lambda: self.run(layout.chunk)  # noqa: E731
        return Candidate(layout, Estimate(amount, self.unit), 10, 0.0, run)

    def run(self, chunk):
        self.measured.append(chunk)
        seconds = self.seconds[chunk]
        if isinstance(seconds, Exception):
            raise seconds
        return seconds

    def choose(self, chunks, **options):
        layouts = iter([Layout(1, n, "backend") for n in chunks])
        options = {"seconds": 60, "epochs": 10**6, "at_once": 3, **options}
        found = choose_ranked(layouts, self, **options)
        return [m.layout.chunk for m in found]


def test_what_is_expected_to_be_fastest_is_measured_first_and_times_win():
    compiler = Compiler({16: 30.0, 8: 20.0, 4: 25.0}, {16: 1.0, 8: 3.0, 4: 2.0})
    assert compiler.choose([16, 8, 4]) == [16, 4, 8]
    assert compiler.measured == [8, 4, 16]


def test_without_time_to_measure_the_best_estimate_is_taken():
    """Not the first: of those that were compiled, one is measured."""
    compiler = Compiler({16: 30.0, 8: 20.0, 4: 25.0, 1: 1.0}, {8: 1e-9})
    assert compiler.choose([16, 8, 4, 1], epochs=1) == [8]
    assert compiler.measured == [8] and 1 not in compiler.compiled


def test_what_is_hopeless_is_not_measured():
    compiler = Compiler({16: 61.0, 8: 30.0, 4: 59.0}, {8: 1.0, 4: 2.0})
    assert compiler.choose([16, 8, 4]) == [8, 4]
    # Nor is what comes later, one by one.
    compiler = Compiler({4: 10.0, 2: 21.0, 1: 9.0}, {4: 1.0, 1: 2.0})
    assert compiler.choose([4, 2, 1], at_once=1) == [4, 1]
    assert compiler.compiled == [4, 2, 1]


def test_what_does_not_fit_is_left_out():
    compiler = Compiler({16: None, 8: 1.0, 4: 2.0, 2: 3.0}, {8: FULL, 4: FULL, 2: 5.0})
    assert compiler.choose([16, 8, 4, 2], at_once=2) == [2]
    assert Compiler({4: None, 2: None}, {}).choose([4, 2]) == []
    broken = Compiler({4: 1.0}, {4: jax.errors.JaxRuntimeError("INTERNAL: no")})
    with pytest.raises(jax.errors.JaxRuntimeError, match="INTERNAL"):
        broken.choose([4])


def test_what_is_measured_remembers_what_was_expected():
    said = []
    compiler = Compiler({2: 7e6}, {2: 0.5}, unit="bytes")
    layouts = iter([Layout(1, 2, "backend")])
    (found,) = choose_ranked(layouts, compiler, seconds=60, epochs=1, say=said.append)
    assert (found.seconds, found.estimate) == (0.5, 7e6)
    assert "0.5 s an epoch, 7e+06 bytes estimated" in said[0]


def test_a_candidate_is_the_real_program():
    """Compiled together, in threads; on a CPU, by bytes."""
    work = make_work()
    layouts = [Layout(1, n, "backend") for n in (4, 1)]
    found = choose_ranked(
        iter(layouts),
        lambda layout: compiled(layout, work, None),
        seconds=60,
        epochs=10**9,
        at_once=2,
    )
    assert {m.layout for m in found} <= set(layouts) and found[0].seconds > 0
    one = compiled(layouts[0], work, None)
    assert one.estimate.unit == "bytes" and one.estimate.amount > 0
    assert compiled(layouts[0], work, one.bytes - 1) is None


def test_a_probe_takes_memory_only_once_it_runs():
    probe = Probe(Layout(1, 2, "backend"), make_work())
    assert "_placed" not in vars(probe) and probe.text.startswith("HloModule")
    probe.warm_up()
    assert "_placed" in vars(probe)


# --- estimates


def test_an_estimate_has_every_part_as_often_as_it_runs():
    """Of three steps of twelve; an evaluation after every fifth epoch; four chunks."""
    found = estimate(PROGRAM, share=3 / 12, eval_every=5, chunks=4)
    assert found == Estimate(4 * (3 * 135 * 4 + 11 + 1000 / 5), "cycles")


def test_where_no_cycles_are_said_bytes_and_kernels_count():
    silent = PROGRAM.replace("estimated_cycles", "nothing")
    moved = costs(parse(silent), epochs=1)
    kernels = moved.kernels - moved.once.kernels
    size = moved.bytes - moved.once.bytes
    assert of_costs(moved) == Estimate(size + LAUNCH * kernels, "bytes")
    step = dataclasses.replace(moved.step, grouped=10**9)
    slow = dataclasses.replace(moved, step=step)
    more = of_costs(slow).amount - of_costs(moved).amount
    assert more == pytest.approx(GROUPED * 1e9)


def test_the_order_is_that_of_the_amounts():
    made = [
        Candidate(Layout(1, n, "backend"), Estimate(amount, "cycles"), 0, 0.0, list)
        for n, amount in ((1, 3.0), (2, 1.0), (3, 2.0))
    ]
    assert [c.layout.chunk for c in ranked(made)] == [2, 3, 1]


# --- what is tried first


def test_an_accelerator_begins_with_its_guess():
    first = next(
        candidates(
            tasks(68), "tpu", together=False, devices=[4], guess=Guess("patches", 4)
        )
    )
    # 68 tasks on 4 devices: 17, 9, 6, 5, 3 ... of which 5 is nearest to 4.
    assert first == Layout(4, 5, "patches")
    every = list(
        candidates(
            tasks(68), "tpu", together=False, devices=[1], guess=Guess("patches", 1000)
        )
    )
    assert every[0] == Layout(1, 68, "patches")
    # Both the next chunk and another lowering are among the first that are compiled.
    near = every[: ranking.AT_ONCE]
    assert len({c.chunk for c in near}) > 1 and len({c.lowering for c in near}) > 1


def test_the_plan_of_an_accelerator_is_ranked(monkeypatch):
    """Of a machine that says it is a TPU."""
    tpu = SimpleNamespace(platform="tpu", memory_stats=dict)
    seen = {**vars(jax), "local_devices": lambda: [tpu]}
    monkeypatch.setattr(planning, "jax", SimpleNamespace(**seen))
    work = make_work()
    asked = []
    monkeypatch.setattr(
        planning, "first_guess", lambda *of: asked.append(of) or Guess("patches", 1)
    )
    chosen = Layout(1, 2, "backend")

    def choose(layouts, one, **options):
        asked.append(next(layouts))
        return [ranking.Measurement(chosen, 0.5, 1.0, 10, 7.0)]

    monkeypatch.setattr(planning, "choose_ranked", choose)
    plan = make_plan(EngineConfig(), work)
    assert asked[0][2] == "tpu" and asked[1] == Layout(1, 1, "patches")
    assert (plan.layout, plan.source, plan.tried[0]["estimate"]) == (
        chosen, "measured", 7.0,
    )  # fmt: skip
    short = make_plan(EngineConfig(), dataclasses.replace(work, epochs=1))
    assert (short.layout, short.source) == (Layout(1, 1, "patches"), "first guess")


def test_every_kind_has_a_guess_on_every_accelerator():
    kinds = first_guesses.Kind.__args__
    assert set(GUESSES) == set(itertools.product(("tpu", "gpu"), kinds))


# --- memory


@pytest.mark.parametrize(
    ("size", "found"),
    [
        (140, (4, 8)),  # 12 tasks of 10, and 20 for the work: 8 fit into 100
        (101, (4, 8)),  # never the same again
        (400, (2, 2)),  # not even one chunk
        (None, (4, 4)),  # half of the chunks
    ],
)
def test_what_may_fit_instead(size, found):
    layout, tasks_ = smaller(Layout(1, 4, "backend"), 12, size, 10.0, 100)
    assert (layout.chunk, tasks_) == found


def test_of_one_task_nothing_can_be_taken_away():
    assert smaller(Layout(1, 1, "backend"), 1, 140, 10.0, 100) is None
    assert smaller(Layout(1, 1, "backend"), 1, None, 10.0, 100) is None
    assert smaller(Layout(1, 4, "backend"), 4, None, 1.0, 100)[0].chunk == 2


@pytest.mark.parametrize(
    ("message", "size"),
    [
        ("Ran out of memory. Used 53.00G of 15.75G hbm.", 53 * 2**30),
        ("used 512.5M of 100.0M", int(512.5 * 2**20)),
        ("RESOURCE_EXHAUSTED: no room", None),
    ],
)
def test_compilers_say_how_much_they_would_need(message, size):
    assert bytes_refused(RuntimeError(message)) == size


def test_a_program_that_its_compiler_refuses_is_made_smaller(monkeypatch):
    """On a TPU it is the compiler that finds out."""
    work = make_work()
    needed = iter([2 * 10**9, None, 100])
    monkeypatch.setattr(planning, "bytes_needed", lambda *of: next(needed))
    said = []
    plan = planning.Plan(Layout(1, 4, "patches"), 1, "pinned")
    found, size = planning.fit(plan, work, 1e9, said.append)
    assert (found.layout.chunk, size, found.bytes) == (1, 1, 100)
    assert [line.split(":")[0] for line in said] == [
        "2 GB on a device is more than 1 GB", "All need more than 1 GB",
    ]  # fmt: skip
