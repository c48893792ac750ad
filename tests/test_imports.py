"""Modules import downwards only, and `import jmer` brings nothing heavy along."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# From the ground up. A room is a module or a package of jmer; what lies a level deeper
# and has a floor of its own is named by its path.
FLOORS = [
    {"errors", "text", "annotations", "trees", "peers"},
    {"files", "arrays", "optim", "papers", "shipped", "targets"},
    {"own"},
    {"keys", "losses", "weights", "data", "nn/lowering", "bundle"},
    {"nn", "augment", "scores", "synthetic"},
    {"magnet", "preprocess/flownet2"},
    {"models", "preprocess"},
    {"train", "report/draw", "baselines"},
    {"experiment", "runs", "report/render", "testing"},
    {"report", "pretrain"},
    {"runner", "audit", "report/attention"},
    {"bench", "sweep", "predict"},
    {"commands", "interactive"},
    {"cli", "__init__"},
    {"__main__"},
]
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
FILES = sorted((ROOT / "jmer").rglob("*.py"))


def room_of(module: str) -> str:
    """The room of `jmer.a.b.c`: `a/b` if that has a floor of its own, else `a`."""
    parts = module.split(".")[1:] or ["__init__"]
    inner = "/".join(parts[:2])
    return inner if inner in FLOOR else parts[0]


def module_of(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def is_module(name: str) -> bool:
    path = ROOT / name.replace(".", "/")
    return path.is_dir() or path.with_suffix(".py").is_file()


def imported(file: Path, package: str = "jmer") -> set[str]:
    """Modules of a package that a file imports anywhere, type checking and functions
    too."""
    names: list[str] = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            names += [name if is_module(name) else node.module for name in inner]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
    return {name for name in names if name.split(".")[0] == package}


def test_every_room_has_a_floor():
    assert {room_of(module_of(file)) for file in FILES} == set(FLOOR)


def test_there_are_few_loose_modules():
    assert len(list((ROOT / "jmer").glob("*.py"))) <= 14


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(ROOT)))
def test_imports_go_down(file):
    room = room_of(module_of(file))
    others = {room_of(name) for name in imported(file)} - {room}
    assert not {other for other in others if FLOOR[other] >= FLOOR[room]}


def at_once(body: list[ast.stmt]) -> Iterator[str]:
    """What a module imports as it is imported itself."""
    for line in body:
        match line:
            case ast.Import(names):
                yield from (one.name for one in names)
            case ast.ImportFrom(module=str(module), names=names):
                yield from (module, *(f"{module}.{one.name}" for one in names))
            case ast.If(test=ast.Name("TYPE_CHECKING"), orelse=other):
                yield from at_once(other)
            case ast.If(body=then, orelse=other):
                yield from at_once([*then, *other])
            case ast.Try(body=then):
                yield from at_once(then)


def needed() -> dict[str, set[str]]:
    """What has to be imported before each module: packages come before their parts."""
    files = [*FILES, *sorted((ROOT / "data_builders").rglob("*.py"))]
    modules = {module_of(file): file for file in files}
    found = {}
    for name, file in modules.items():
        wanted = set(at_once(ast.parse(file.read_text(encoding="utf-8")).body))
        parents = {".".join(one.split(".")[:i]) for one in wanted for i in range(1, 9)}
        around = {p for p in parents if f"{name}.".startswith(f"{p}.")}
        found[name] = ((wanted | parents - around) & modules.keys()) - {name}
    return found


def circle_from(start: str, needs: dict[str, set[str]]) -> list[str]:
    """A way from a module outside of its package and back to it; empty if none."""
    package = start.rpartition(".")[0]
    ways = [[start]]
    seen = {start}
    while ways:
        way = ways.pop()
        for after in sorted(needs[way[-1]]):
            left = any(not one.startswith(package) for one in way)
            if after == start and left:
                return [*way, after]
            if after not in seen:
                seen.add(after)
                ways.append([*way, after])
    return []


def test_modules_can_be_imported_first():
    """Whichever a process begins with: none waits for one that waits for it."""
    needs = needed()
    assert {"jmer.runs.plots", "data_builders.disk"} <= needs.keys()
    assert [circle for name in needs if (circle := circle_from(name, needs))] == []


def test_circles_are_seen():
    needs = {"jmer.a.x": {"jmer.b"}, "jmer.b": {"jmer.b.y"}, "jmer.b.y": {"jmer.a.x"}}
    assert circle_from("jmer.a.x", needs)[-1] == "jmer.a.x"
    assert not circle_from("jmer.a.x", {**needs, "jmer.b.y": set()})


def test_networks_do_not_import_one_another():
    names = {f.stem for f in (ROOT / "jmer/models").glob("*.py")} - {"base", "__init__"}
    for file in (ROOT / "jmer/models").glob("*.py"):
        text = file.read_text()
        assert not [n for n in names - {file.stem} if f"models.{n}" in text]


@pytest.mark.parametrize("part", ["jmer.models", "jmer.train", "jmer.nn"])
def test_models_and_training_do_not_know_of_tfds(part):
    for file in (ROOT / part.replace(".", "/")).glob("*.py"):
        assert "tensorflow" not in file.read_text()
        rooms = {room_of(name) for name in imported(file)}
        assert not rooms & {"experiment", "commands", "cli", "runner"}


def test_builders_import_only_the_lower_parts():
    for file in (ROOT / "data_builders").rglob("*.py"):
        rooms = {room_of(name) for name in imported(file)}
        assert rooms <= {"data", "errors", "preprocess", "synthetic"}


def test_data_sets_are_known_only_above_what_they_are_made_of():
    top = max(FLOOR[room] for room in ("data", "preprocess", "synthetic"))
    for file in FILES:
        if imported(file, "data_builders"):
            assert FLOOR[room_of(module_of(file))] > top, file


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
        " if file.name not in ('flow.py', 'side_by_side.py')]"
    )
    heavy = {"tensorflow_datasets", "cv2", "python_calamine", "tyro", "scipy"}
    assert not loaded_by(code) & heavy


EXTRAS = (
    "av",
    "sklearn",
    "pandas",
    "onnx",
    "onnxruntime",
    "jax2onnx",
    "torch",
    "grain",
)


@pytest.mark.slow
def test_a_run_needs_no_extra(tmp_path):
    """`import jmer` and `jmer run` work where none of the extras is installed."""
    (tmp_path / "exp.py").write_text(
        "from jmer.data.random_clips import RandomClips\n"
        "from jmer.experiment import EngineConfig, Experiment\n"
        "from jmer.models.ststnet import STSTNetConfig\n"
        "from jmer.optim import SgdConfig\n"
        "EXPERIMENT = Experiment(model=STSTNetConfig(size=8, filters=(2,)),\n"
        "    data=RandomClips(shapes=(('apex_flow', (8, 8, 3)),), subjects=2),\n"
        "    optim=SgdConfig(lr=0.1), epochs=1,\n"
        "    engine=EngineConfig(plan_seconds=0, lowering='patches', devices=1))\n"
    )
    code = (
        "import sys\n"
        f"class Absent:\n"
        f"    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.partition('.')[0] in {EXTRAS}:\n"
        f"            raise ModuleNotFoundError(name, name=name)\n"
        f"sys.meta_path.insert(0, Absent())\n"
        "import jmer\n"
        "from jmer.cli import main\n"
        "code = main(['run', 'exp.py']) or main(['report', 'runs/exp'])\n"
        f"assert not {{*{EXTRAS}}} & {{*sys.modules}}\n"
        "sys.exit(code)\n"
    )
    path = {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, **path},
    )
    assert done.returncode == 0, done.stderr
    assert "UF1" in done.stdout
