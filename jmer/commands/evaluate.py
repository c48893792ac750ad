"""The command that tests weights that are trained already."""

import shlex
from pathlib import Path

from jmer.commands.parsing import parse, read_file
from jmer.commands.run import print_summary, scored_at_least


def evaluate(words: list[str]) -> int:
    file, rest = read_file("evaluate", words)
    import tyro

    from jmer.commands.options import EvaluateOptions
    from jmer.data.asking import Asked, asked_as
    from jmer.experiment import load_experiment

    experiment = load_experiment(file)
    default = EvaluateOptions(
        experiment,
        weights=tyro.MISSING,
        run_dir=Path("runs") / f"{file.stem}-evaluated",
    )
    prog = f"jmer evaluate {shlex.quote(words[0])}"
    options = parse(EvaluateOptions, prog, rest, default)
    from jmer.files.lock import tell
    from jmer.runner.evaluate import evaluate
    from jmer.runs.folder import command_line
    from jmer.sweep.given import given_in, require_read, require_tested
    from jmer.sweep.small import made_small, told

    whole = tested = options.experiment
    require_tested(given := given_in(rest, whole), whole)
    if tested.small:  # what a small run was trained on
        tested, changed = made_small(whole, given)
        tell(told(changed))
    require_read(given, [whole, tested])
    asked = Asked("--data.", ("evaluate", *words), words[0], experiment.data)
    with asked_as(asked), scored_at_least(options.run_dir):
        metrics = evaluate(
            tested,
            weights=options.weights,
            name=file.stem,
            command=command_line(),
            run_dir=options.run_dir,
            overwrite=options.overwrite,
            wait=options.wait,
        )
    print_summary(metrics, options.run_dir)
    return 0
