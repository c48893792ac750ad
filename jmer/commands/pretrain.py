"""Commands that train on what is made up, and measure the result."""

from pathlib import Path

from jmer.commands.parsing import parse, read_name

DEMO = "demo"
NAMES = ("magnet", "motion", DEMO)  # of the recipes, which need JAX


def pretrain(words: list[str]) -> int:
    name, words = read_name("pretrain", "the part of networks", NAMES, words)
    if name == DEMO:
        from jmer.commands.pretrain_demo import pretrain_demo

        return pretrain_demo(words)
    from jmer.commands.recipes import RECIPES, PretrainOptions

    recipe = RECIPES[name]()
    out = Path(f"{name}.npz")
    default = PretrainOptions(recipe, out=out, steps=recipe.steps)
    options = parse(PretrainOptions, f"jmer pretrain {name}", words, default)
    from jmer.pretrain.run import pretrain
    from jmer.runner.interrupt import Interruption
    from jmer.runner.plan import keep_compiled_programs
    from jmer.runner.progress import counting
    from jmer.runner.stages import SAVES

    keep_compiled_programs()
    with (
        Interruption() as interruption,
        counting(f"training {name}", SAVES, patient=True) as watch,
    ):
        begun = pretrain(
            options.recipe,
            options.out,
            steps=options.steps,
            every=options.save_every,
            seed=options.seed,
            dtype=options.dtype,
            watch=watch,
            stopping=interruption.asked,
        )
    before = f", {begun} of them before" if begun else ""
    print(f"{max(options.steps, begun)} steps{before}: {options.out}")
    return 0
