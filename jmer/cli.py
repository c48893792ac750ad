"""The command line: `jmer COMMAND …`."""

import importlib
import os
import sys
from collections.abc import Sequence

from absl import logging

from jmer.commands import streams
from jmer.errors import JmerError, UsageError, quoted
from jmer.files import VERSION
from jmer.files.ending import end_at_once
from jmer.files.lock import tell
from jmer.runner.interrupt import EXIT_CODE, INTERRUPTED, Interruption
from jmer.text import did_you_mean, visible
from jmer.train.numerics import (
    clean_environment,
    explain_setting,
    require_known_flags,
)

OVERVIEW = """\
usage: jmer COMMAND …

  run FILE                 train and test an experiment, or a sweep of it, in parallel
  bench FILE               time an experiment, beside PyTorch if asked
  evaluate FILE            test weights that are trained already
  data list                data sets, and which are prepared
  data new folder          begin the table of a set of your own, videos or frames
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
  meta RUN…                several methods over several data sets, pair by pair
  leaderboard RUN…         one HTML page of methods by data sets, to put on the web
  audit RUN                what is wrong with a result: a run, a CSV file, fold lists
  spot RUN                 where a run found expressions: frames and intervals, scored
  predict RUN VIDEO…       which expression a video shows, and when
  explain RUN              what a run's network looked at in a clip, as pictures
  export RUN               a run's networks in a folder for JAX and NumPy alone, or ONNX
  list WHAT                experiments, models, datasets, layouts or tables
  new NAME                 a copy of an experiment of jmer's, to edit and run

FILE is a Python file, or the name of an experiment that comes with jmer: quickstart.
`jmer COMMAND --help` explains a command, `jmer run FILE --help` every field of the
experiment in FILE. `--debug` anywhere shows the traceback of an error.

exit codes: 0 done; 1 the data, the disk or the training failed, or an audit found a
flaw; 2 wrong usage; 3 all is trained and scored, but its report could not be written
(`jmer report RUN` tries again); 130 interrupted (the same command goes on from the
last checkpoint).
"""

# Each command's words, and the function that gets the words after them.
COMMANDS = {
    "run": "run:run",
    "bench": "bench:bench",
    "evaluate": "evaluate:evaluate",
    "data list": "data:data_list",
    "data new": "data_new:new",
    "data check": "data:check",
    "data prepare": "data:prepare",
    "data synthesize": "data:synthesize",
    "data show": "data:show",
    "pretrain": "pretrain:pretrain",
    "weights import": "weights:weights_import",
    "weights export": "weights:weights_export",
    "weights measure": "weights:measure",
    "report": "report:report",
    "meta": "meta:meta",
    "leaderboard": "leaderboard:leaderboard",
    "audit": "audit:audit",
    "spot": "spot:spot",
    "predict": "predict:predict",
    "explain": "explain:explain",
    "export": "export:export",
    "list": "list:list_",
    "new": "new:new",
}

WITHOUT_JAX = {"list", "new", "-h", "--help", "--version"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if arguments is None:  # this process is the command
        streams.take_over()
        clean_environment(os.environ, tell)
    streams.lenient()
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    if not debug:
        # Orbax logs the traceback of an error that it raises as well.
        logging.set_verbosity(logging.FATAL)
    try:
        code = _answer(words, debug, program=arguments is None)
    except SystemExit as stop:  # of the parser of options, after help or a mistake
        if not stop.code and _not_shown():
            raise SystemExit(1) from None
        raise
    return code or int(_not_shown())


def _not_shown() -> bool:
    """Whether what was printed is lost; says so."""
    if (reason := streams.failure()) is not None:
        print(f"error: cannot write the output: {reason}.", file=sys.stderr)
        return True
    return False


def _answer(words: list[str], debug: bool, *, program: bool) -> int:
    try:
        with Interruption():
            if program and not WITHOUT_JAX & {*words[:1], *words[-1:]}:
                require_known_flags()
            return _command(words)
    except JmerError as error:
        if debug:
            raise
        # Names may hold anything; they stay text, and within the line.
        line = visible(" ".join(str(error).splitlines()))
        print(f"error: {line}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        if debug:
            raise
        print(INTERRUPTED, file=sys.stderr, flush=True)
        if program:
            # What it was compiling goes on in threads of XLA, for which the interpreter
            # would wait, and fall.
            sys.stdout.flush()
            end_at_once(EXIT_CODE)
        return EXIT_CODE
    except BrokenPipeError:
        return 0
    except Exception as error:
        text = None if debug else explain_setting(error) or _of_backend(error)
        if text is None:
            raise
        print(f"error: {text}", file=sys.stderr)
        return 1


def _of_backend(error: Exception) -> str | None:
    """What to do about it, if JAX could not start on a device or has no room there."""
    if "jax" not in sys.modules:
        return None
    from jmer.train.backend import explain

    return explain(error)


def _command(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        print(OVERVIEW, end="")
        return 0 if words else 2
    if words[0] == "--version":
        print(f"jmer {VERSION}")
        return 0
    for length in (1, 2):
        place = COMMANDS.get(" ".join(words[:length]))
        if place:
            # Only now: commands bring JAX or TFDS along, and others' help should not
            # wait for them.
            name, function = place.split(":")
            module = importlib.import_module(f"jmer.commands.{name}")
            return getattr(module, function)(words[length:])
    groups = {name.split()[0] for name in COMMANDS if " " in name}
    if words[0] in groups and (len(words) == 1 or {"-h", "--help"} & {*words}):
        print(_of_group(words[0]), end="")
        return 0 if len(words) > 1 else 2
    asked = " ".join(words[: 2 if words[0] in groups else 1])
    raise UsageError(
        f"no command is called {quoted(asked)}{did_you_mean(asked, COMMANDS)}; there "
        f"are: {', '.join(COMMANDS)}."
    )


def _of_group(group: str) -> str:
    """The lines of the overview on the commands that begin with a word."""
    kept, inside = list[str](), False
    for line in OVERVIEW.splitlines():
        named = line.startswith("  ") and line[2:3].strip()
        inside = line.startswith(f"  {group} ") if named else inside and bool(line)
        kept += [line] if inside else []
    usage = f"usage: jmer {group} COMMAND …"
    explain = f"`jmer {group} COMMAND --help` explains a command."
    return "\n".join([usage, "", *kept, "", explain, ""])


if __name__ == "__main__":
    sys.exit(main())
