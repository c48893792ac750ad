"""Layouts of an accelerator: several are compiled at once, and those that their
compiler expects most of are measured first."""

import dataclasses
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax

from jmer.train.estimates import Estimate, estimate
from jmer.train.planner import SHARE, Measurement, probed, timed, turns
from jmer.train.probe import Layout, Work, out_of_memory

AT_ONCE = 4
"""Compilers that work at the same time, on the cores of the host."""
HOPELESS = 2.0
"""What is expected to take so many times as long as the best is not measured."""


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A compiled layout that fits."""

    layout: Layout
    estimate: Estimate
    bytes: int
    compile_seconds: float
    run: Callable[[], float]
    """Seconds of an epoch of all tasks. Raises: JaxRuntimeError."""


def compiled(layout: Layout, work: Work, limit: float | None) -> Candidate | None:
    """The layout, compiled for this machine; None if it needs too much memory."""
    try:
        probe = probed(layout, work)
    except jax.errors.JaxRuntimeError as error:
        if not out_of_memory(error):
            raise
        return None
    if limit is not None and probe.bytes > limit:
        return None
    chunks = turns(layout, work)
    return Candidate(
        layout,
        estimate(
            probe.text,
            share=probe.share,
            eval_every=work.eval_every,
            chunks=chunks,
        ),
        probe.bytes,
        probe.compile_seconds,
        lambda: timed(probe) * chunks,
    )


def ranked(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The likeliest first. All are of one machine, hence in one unit."""
    return sorted(candidates, key=lambda c: c.estimate.amount)


def choose_ranked(
    layouts: Iterator[Layout],
    compile_one: Callable[[Layout], Candidate | None],
    *,
    seconds: float,
    epochs: int,
    at_once: int = AT_ONCE,
    say: Callable[[str], Any] = lambda text: None,
) -> list[Measurement]:
    """Measured layouts, the fastest first, as `planner.choose` finds them: within
    `seconds` or a tenth of a training of so many `epochs`. The first `at_once` are
    compiled together, and measured in the order of their compiler's estimates; at least
    one is. Those that come later are measured if they are expected to be worth it.
    """
    start = time.monotonic()
    found: list[Measurement] = []
    best: Estimate | None = None
    last = 0.0

    def late(ahead: float = 0.0) -> bool:
        fastest = min((m.seconds for m in found), default=float("inf"))
        spent = time.monotonic() - start + ahead
        return bool(found) and spent > min(seconds, SHARE * fastest * epochs)

    size = at_once
    while batch := list(itertools.islice(layouts, size)):
        if late(ahead=last):
            break
        with ThreadPoolExecutor(len(batch)) as pool:
            made = [c for c in pool.map(compile_one, batch) if c is not None]
        last = max((c.compile_seconds for c in made), default=last)
        for each in ranked(made):
            best = min((best or each.estimate, each.estimate), key=lambda e: e.amount)
            hopeless = each.estimate.amount > HOPELESS * best.amount
            measured = None if found and (hopeless or late()) else _measured(each)
            said = f"{each.estimate.amount:.3g} {each.estimate.unit} estimated"
            if measured is not None:
                found.append(measured)
                said = f"{measured.seconds:.3g} s an epoch, {said}"
            say(f"  {each.layout}: {said}, {each.bytes / 1e6:.0f} MB")
        # Once something is measured, the rest comes one by one.
        size = at_once if not found else 1
    return sorted(found, key=lambda m: m.seconds)


def _measured(candidate: Candidate) -> Measurement | None:
    """None if it does not fit after all."""
    try:
        seconds = candidate.run()
    except jax.errors.JaxRuntimeError as error:
        if not out_of_memory(error):
            raise
        return None
    return Measurement(
        candidate.layout,
        seconds,
        candidate.compile_seconds,
        candidate.bytes,
        candidate.estimate.amount,
    )
