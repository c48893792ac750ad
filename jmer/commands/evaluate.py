"""The command that tests weights that are trained already."""

from pathlib import Path

from jmer.commands.parsing import parse, read_file
from jmer.commands.run import print_summary, scored_at_least


def evaluate(words: list[str]) -> int:
    file, rest = read_file("evaluate", words)
    import tyro

    from jmer.commands.options import EvaluateOptions
    from jmer.experiment import load_experiment

    default = EvaluateOptions(
        load_experiment(file),
        weights=tyro.MISSING,
        run_dir=Path("runs") / f"{file.stem}-evaluated",
    )
    options = parse(EvaluateOptions, f"jmer evaluate {words[0]}", rest, default)
    from jmer.runner.evaluate import evaluate
    from jmer.runs.folder import command_line

    with scored_at_least(options.run_dir):
        metrics = evaluate(
            options.experiment,
            weights=options.weights,
            name=file.stem,
            command=command_line(),
            run_dir=options.run_dir,
            overwrite=options.overwrite,
            wait=options.wait,
        )
    print_summary(metrics, options.run_dir)
    return 0
