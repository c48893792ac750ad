"""The command line: `jmer COMMAND …`."""

import io
import sys
from collections.abc import Callable, Sequence

from absl import logging

from jmer.errors import JmerError, UsageError
from jmer.files import VERSION

OVERVIEW = """\
usage: jmer COMMAND …

  run FILE                 train and test an experiment, or a sweep of it, in parallel
  bench FILE               time an experiment, beside PyTorch if asked
  evaluate FILE            test weights that are trained already
  data list                data sets, and which are prepared
  data check NAME          what is missing or odd in a download, before it is prepared
  data prepare NAME        turn a download into tensors, once
  data synthesize          write synthetic faces as real data sets are distributed
  data show NAME           a picture of some clips as they are prepared
  pretrain NAME            train a part of networks on what is made up, without data
  weights import NETWORK   published PyTorch checkpoints as jmer weights
  weights export DIR       trained weights as a PyTorch checkpoint
  weights measure FILE     by how much a magnifier magnifies motion that is known
  report RUN…              tables and figures of one run, or of several side by side; a
                           paper's table with our figures beside it
  audit RUN                what is wrong with a result: a run, a CSV file, fold lists
  spot RUN                 where a run found expressions: frames and intervals, scored
  explain RUN              what a run's network looked at in a clip, as pictures
  list WHAT                experiments, models, datasets, layouts or tables

`jmer COMMAND --help` explains a command, `jmer run FILE --help` every field of the
experiment in FILE. `--debug` anywhere shows the traceback of an error.

exit codes: 0 done; 1 the data, the disk or the training failed, or an audit found a
flaw; 2 wrong usage; 130 interrupted (the same command goes on from the last
checkpoint).
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Names of files may hold what an encoding lacks.
            stream.reconfigure(errors="backslashreplace")
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    if not debug:
        # Orbax logs the traceback of an error that it raises as well.
        logging.set_verbosity(logging.FATAL)
    try:
        return _command(words)
    except JmerError as error:
        if debug:
            raise
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        if debug:
            raise
        print("interrupted; the same command goes on", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 0


def _command(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        print(OVERVIEW, end="")
        return 0 if words else 2
    if words[0] == "--version":
        print(f"jmer {VERSION}")
        return 0
    # Commands bring JAX or TFDS along; help should not wait for them.
    if words[0] == "bench":  # alone, since it does without much that others need
        from jmer.commands.bench import bench

        return bench(words[1:])
    from jmer.commands import (
        audit,
        data,
        evaluate,
        explain,
        pretrain,
        report,
        run,
        spot,
        weights,
    )
    from jmer.commands import (
        list as listing,
    )

    table: dict[tuple[str, ...], Callable[[list[str]], int]] = {
        ("run",): run.run,
        ("evaluate",): evaluate.evaluate,
        ("data", "list"): data.data_list,
        ("data", "check"): data.check,
        ("data", "prepare"): data.prepare,
        ("data", "synthesize"): data.synthesize,
        ("data", "show"): data.show,
        ("pretrain",): pretrain.pretrain,
        ("weights", "import"): weights.weights_import,
        ("weights", "export"): weights.weights_export,
        ("weights", "measure"): weights.measure,
        ("report",): report.report,
        ("audit",): audit.audit,
        ("spot",): spot.spot,
        ("explain",): explain.explain,
        ("list",): listing.list_,
    }
    for length in (1, 2):
        action = table.get(tuple(words[:length]))
        if action:
            return action(words[length:])
    known = ", ".join(["bench", *(" ".join(name) for name in table)])
    asked = " ".join(words[:2])
    raise UsageError(f"no command is called {asked!r}; there are: {known}.")


if __name__ == "__main__":
    sys.exit(main())
