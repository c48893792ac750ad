"""`jmer.run`: trains and tests an experiment from Python."""

import contextlib
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jmer import shipped
from jmer.data.asking import Asked, asked_as
from jmer.data.splits import chosen_protocol
from jmer.errors import JmerError, UsageError, quoted
from jmer.experiment import Experiment
from jmer.files.places import expanded
from jmer.interactive.view import views
from jmer.runner.interrupt import Interruption
from jmer.runner.plan import keep_compiled_programs
from jmer.runner.progress import announce
from jmer.runner.run import run as run_experiment
from jmer.runs.run import load_run
from jmer.sweep.cells import load_sweep
from jmer.sweep.fields import read_value, with_fields
from jmer.sweep.given import require_read, typed
from jmer.sweep.small import made_small, told
from jmer.train import hosts
from jmer.train.backend import explain
from jmer.train.mesh import use_cpu_cores
from jmer.train.numerics import explain_setting, require_known_flags

if TYPE_CHECKING:
    from jmer.runs.run import Run

AGAIN = "interrupted; the same call goes on"


def run(
    experiment: Experiment | Path | str,
    *,
    run_dir: Path | str | None = None,
    overwrite: bool = False,
    wait: bool = False,
    **overrides: Any,
) -> "Run":
    """Trains and tests an experiment as `jmer run` does, with a progress bar, and
    returns the finished run.

    `experiment` is an `Experiment`, the path of a file that defines one, or the name of
    one that comes with jmer. Keywords replace its fields: `epochs=20`, a part's fields
    as a dictionary (`optim={"lr": 3e-3}`), or a whole part (`model=STSTNetConfig()`).
    Results lie in `run_dir` (default: `runs/` and the file's name; of an `Experiment`,
    its network's and its data set's). An unfinished run there goes on, to the same bits
    as if it had never been stopped, whether this function or `jmer run` began it; a
    finished one is not trained again. `overwrite`, `wait` and `small` are the options
    of `jmer run`.

    Raises: UsageError for a field or value that cannot be; JmerError as `jmer run`
    prints them; KeyboardInterrupt, with what was trained so far saved.

    """
    base, name, file = _found(experiment)
    given = _flat(overrides)
    whole = made = _changed(base, overrides)
    changed: tuple[str, ...] = ()
    if made.small:
        made, changed = made_small(whole, given)
    require_read(given, [whole, made])
    folder = expanded(Path("runs") / name if run_dir is None else Path(run_dir))
    words = ["run", file, "--run-dir", str(folder), *_typed(base, overrides)]
    command = shlex.join(["jmer", *words])
    if not file:
        command = f"jmer.run(EXPERIMENT, run_dir={str(folder)!r})"
    asked = Asked(
        prefix="--data.",
        words=tuple(words) if file else (),
        file=file,
        default=base.data,
    )
    with _explained():
        require_known_flags()
        use_cpu_cores(made.engine.devices)
        keep_compiled_programs()
        with (
            asked_as(asked),
            Interruption(announce, ends=False) as interruption,
            views() as make_view,
            hosts.together(None, alone=True, stopping=interruption.asked) as stopping,
        ):
            if made.small:
                announce(told(changed))
            try:
                run_experiment(
                    made,
                    name=name,
                    command=command,
                    run_dir=folder,
                    overwrite=overwrite,
                    wait=wait,
                    view=make_view(),
                    stopping=stopping,
                    changed=changed,
                )
            except KeyboardInterrupt:
                announce(AGAIN)
                raise
    return load_run(folder)


def _found(experiment: Experiment | Path | str) -> tuple[Experiment, str, str]:
    """The experiment, what it is called, and its file as one would type it.

    Raises: UsageError if it is none, or a sweep.
    """
    if isinstance(experiment, Experiment):
        return experiment, f"{experiment.model.name}_{experiment.data.name}", ""
    if not isinstance(experiment, str | Path):
        raise UsageError(
            f"jmer.run takes an Experiment, the path of a file that defines one, or a "
            f"name that `jmer list experiments` shows, and no {quoted(experiment)}"
        )
    path = shipped.find(expanded(Path(experiment)))
    sweep = load_sweep(path)
    if not sweep.single:
        cells = ", ".join(cell.name for cell in sweep.cells[:4])
        raise UsageError(
            f"{experiment} is a sweep of {len(sweep.cells)} runs ({cells}, …): give "
            f"the experiment of one of its cells, or type "
            f"`jmer run {shlex.quote(str(experiment))}` in a terminal"
        )
    return sweep.base, path.stem, str(experiment)


def _flat(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Fields by dotted name; of a dictionary, those that it names."""
    found: dict[str, Any] = {}
    for name, value in overrides.items():
        if isinstance(value, Mapping):
            found |= {f"{name}.{field}": inner for field, inner in value.items()}
        else:
            found[name] = value
    return found


def _changed(base: Experiment, overrides: Mapping[str, Any]) -> Experiment:
    """The experiment with other fields.

    Raises: UsageError for a field that there is not, or a value that it cannot have.
    """
    fields = _flat(overrides)
    if isinstance(protocol := fields.get("protocol"), str):
        fields["protocol"] = chosen_protocol(protocol, base.protocol)
    whole = {n: _read(base, n, v) for n, v in fields.items() if "." not in n}
    start = with_fields(base, whole)
    inner = {n: _read(start, n, v) for n, v in fields.items() if "." in n}
    return with_fields(start, inner)


def _read(base: Experiment, name: str, value: Any) -> Any:
    """A value as its field has it: paths may be text, tuples lists."""
    if isinstance(value, list):
        return tuple(value)
    return read_value(base, name, value) if isinstance(value, str) else value


def _typed(base: Experiment, overrides: Mapping[str, Any]) -> Iterator[str]:
    """The overrides as words of a command, as far as it can say them."""
    kinds = str | int | float | Path | list | tuple
    for name, value in _flat(overrides).items():
        if value is None or isinstance(value, kinds):
            yield from typed(name, value)


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """What JAX could not do, such as find room on a device, in a line."""
    try:
        yield
    except (JmerError, UsageError):
        raise
    except Exception as error:
        if text := explain_setting(error) or explain(error):
            raise JmerError(text) from error
        raise
