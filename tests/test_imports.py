"""Modules import downwards only, and `import jmer` brings nothing heavy along."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
RANKS = [
    {"errors", "__init__", "annotations"},
    {"arrays", "facs", "files", "text", "torch_files"},
    {"keys", "trees", "losses", "metrics", "pretrained", "papers", "curves"},
    {"augment", "nn", "data", "synthetic", "optim", "results", "peers", "spotting"},
    {"magnet", "scoring"},
    {"models", "flownet2", "spotted", "paired"},
    {"train", "preprocess"},
    {"experiment", "report", "weights"},
    {"rundir", "outcome", "progress", "importers", "interrupt", "fields"},
    {"plan", "notebook", "sweep"},
    {"start", "features", "exporters"},
    {"session"},
    {"run", "evaluate", "explain", "bench", "pretrain"},
    {"audit", "sweep_plan"},
    {"sweeping"},
    {"commands"},
    {"cli"},
    {"__main__"},
]
RANK = {name: rank for rank, names in enumerate(RANKS) for name in names}
FILES = sorted((ROOT / "jmer").rglob("*.py"))


def part_of(file: Path) -> str:
    return file.relative_to(ROOT / "jmer").parts[0].removesuffix(".py")


def imported(file: Path) -> set[str]:
    """Parts of jmer that a file imports anywhere, type checking and functions too."""
    names: list[str] = []
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names += (
                [f"jmer.{alias.name}" for alias in node.names]
                if node.module == "jmer"
                else [node.module]
            )
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
    return {n.split(".")[1] for n in names if n.startswith("jmer.")} - {"__version__"}


def test_every_part_has_a_rank():
    assert {part_of(file) for file in FILES} == set(RANK)


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(ROOT)))
def test_imports_go_down(file):
    part = part_of(file)
    if part == "__init__":  # its lazy names are the notebook's
        assert imported(file) == {"notebook"}
        return
    upward = {n for n in imported(file) if n != part and RANK[n] >= RANK[part]}
    assert not upward


def test_networks_do_not_import_one_another():
    names = {f.stem for f in (ROOT / "jmer/models").glob("*.py")} - {"base", "__init__"}
    for file in (ROOT / "jmer/models").glob("*.py"):
        text = file.read_text()
        assert not [n for n in names - {file.stem} if f"models.{n}" in text]


@pytest.mark.parametrize("part", ["jmer.models", "jmer.train", "jmer.nn"])
def test_models_and_training_do_not_know_of_tfds(part):
    for file in (ROOT / part.replace(".", "/")).glob("*.py"):
        assert "tensorflow" not in file.read_text()
        assert not imported(file) & {"experiment", "commands", "cli", "run"}


def test_builders_import_only_the_lower_parts():
    for file in (ROOT / "data_builders").rglob("*.py"):
        assert imported(file) <= {"data", "errors", "facs", "preprocess", "synthetic"}


def loaded_by(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; import sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    return {name.split(".")[0] for name in done.stdout.split()}


def test_import_jmer_is_light():
    heavy = {
        "jax",
        "flax",
        "tensorflow_datasets",
        "pandas",
        "cv2",
        "matplotlib",
        "scipy",
    }
    assert not loaded_by("import jmer") & heavy


def test_models_and_training_need_no_data_tools():
    code = "import jmer.models.ststnet, jmer.train.pack, jmer.optim"
    heavy = {"tensorflow_datasets", "pandas", "cv2", "matplotlib", "tyro", "rich"}
    # Flax itself loads rich.
    assert not loaded_by(code) & (heavy - {"rich"})


def test_tensorflow_is_never_loaded():
    code = "from jmer.data import load; import jmer.data.builder, jmer.commands.run"
    assert "tensorflow" not in loaded_by(code)


def test_experiments_can_be_benchmarked_without_the_libraries_of_data_sets():
    code = (
        "from pathlib import Path; from jmer.experiment import load_experiment; "
        "[load_experiment(file) for file in Path('experiments').rglob('*.py')"
        " if file.name != 'flow.py']"
    )
    heavy = {"tensorflow_datasets", "cv2", "python_calamine", "tyro", "scipy"}
    assert not loaded_by(code) & heavy
