"""What errors of data sets tell a user to type is typed, and works."""

import contextlib
import dataclasses
import importlib.util
import json
import re
import shutil
from pathlib import Path

import cv2
import downloads
import numpy as np
import pytest
from remedies import commands, error, option, said, works

from data_builders import datasets
from data_builders.casme2 import Casme2
from jmer.commands.data import PrepareOptions
from jmer.commands.parsing import parse
from jmer.data.asking import choices, command_for, options
from jmer.data.config import DataConfig
from jmer.errors import UsageError
from jmer.synthetic.layouts.write import find_layout, synthesize
from jmer.synthetic.spec import SyntheticSpec

EXPERIMENT = """
from common import SIZE
from data_builders.casme2 import Casme2
from jmer.experiment import EngineConfig, Experiment
from jmer.models.ststnet import STSTNetConfig
from jmer.optim import SgdConfig

EXPERIMENT = Experiment(
    model=STSTNetConfig(size=SIZE, filters=(2,)),
    data=Casme2(size=SIZE, modality="apex-flow", classes="megc"),
    optim=SgdConfig(lr=0.01),
    epochs=1,
    engine=EngineConfig(plan_seconds=0, devices=1),
)
"""
RECIPE = ["--size", "8", "--modality", "apex-flow", "--classes", "megc"]
SPEC = SyntheticSpec(subjects=3, clips=12, length=5, size=32, seed=25)
EMOTIONS = ("disgust", "happiness", "surprise")


class Case:
    """A download with blanks and quotes in its path, and commands that read it."""

    def __init__(self, folder: Path) -> None:
        self.root, self.prepared = folder / "down load", folder / "pre pared"
        draft = synthesize(find_layout("casme2"), SPEC, self.root)
        config = Casme2(manual_dir=self.root, data_dir=self.prepared)
        self.tree = downloads.Tree(config, self.root, draft)
        self.clips = sorted(self.tree.takes, key=lambda seen: seen.key)
        emotion, of = downloads.COLUMNS["casme2"]["emotion"], dict[str, int]()
        for seen in self.clips:  # every subject has all classes, or nearly
            of[seen.key[0]] = of.get(seen.key[0], -1) + 1
            seen.cells[emotion] = EMOTIONS[of[seen.key[0]] % 3]
        self.tree.write_sheet()
        self.file = folder / "mein 'e'.py"
        self.file.write_text(EXPERIMENT)
        (folder / "common.py").write_text("SIZE = 8")
        self.run_dir = folder / "r ü n"

    def by_name(self, action: str = "check") -> list[str]:
        places = ["--manual-dir", str(self.root), "--data-dir", str(self.prepared)]
        return ["data", action, "casme2", *places, *RECIPE]

    @property
    def places(self) -> list[str]:
        source = ["--data.manual-dir", str(self.root)]
        return [*source, "--data.data-dir", str(self.prepared)]

    def by_file(self, action: str = "check") -> list[str]:
        return ["data", action, str(self.file), *self.places]

    @property
    def run(self) -> list[str]:
        return ["run", str(self.file), "--run-dir", str(self.run_dir), *self.places]

    def cell(self, name: str, value: object, at: int = 0) -> None:
        self.clips[at].cells[downloads.COLUMNS["casme2"][name]] = value
        self.tree.write_sheet()

    def frame(self, number: int) -> Path:
        seen = self.clips[0]
        return seen.path(seen.onset + number)


@pytest.fixture
def case(tmp_path) -> Case:
    folder = tmp_path / "ä b's"
    folder.mkdir()
    return Case(folder)


def one_apex(case):
    case.cell("apex", "/")


def no_frame(case):
    first = case.clips[0]
    case.frame(first.offset - first.onset).unlink()


def one_frame(case):
    for name in ("apex", "offset"):
        case.cell(name, case.clips[0].onset)


# The fault, and the option that is printed against it.
FAULTS = [
    (one_apex, "missing-apex"),
    (no_frame, "missing-frames"),
    (one_frame, "min-frames"),
]


@pytest.mark.parametrize(("fault", "name"), FAULTS)
@pytest.mark.parametrize("prefix", ["--", "--data."])
def test_an_option_is_named_as_the_command_knows_it(case, fault, name, prefix):
    fault(case)
    words = case.by_file() if prefix == "--data." else case.by_name()
    code, text = said(words)
    assert code == 1 and "1 problem" in text
    assert "no problems" in works([*words, *option(text, f"{prefix}{name}")])
    # Or without the clip, as is said of each, and of all at the end.
    assert "no problems" in works([*words, *option(text, f"{prefix}exclude")])
    (whole,) = commands(text)
    assert "excluded (--exclude)" in works(whole)


def test_a_run_says_what_to_run(case):
    no_frame(case)
    text = error(case.run)
    (whole,) = commands(text)
    assert whole[: len(case.run)] == case.run and "--data.exclude" in whole
    works(whole)
    made = json.loads((case.run_dir / "experiment.json").read_text())
    name = "/".join(case.clips[0].key)
    assert made["identity"]["data"]["exclude"] == [name]
    shown = (case.run_dir / "report.md").read_text()
    assert "Clips left out by name" in shown and name in shown
    assert name in said(["audit", str(case.run_dir)])[1]


def test_several_problems_and_their_commands(case):
    one_apex(case)
    case.cell("apex", "", at=1)
    text = error(case.by_name("prepare"))
    assert "(and 1 more" in text
    first, check = commands(text)
    assert check[:3] == ["data", "check", "casme2"]
    code, listed = said(check)
    assert code == 1 and "2 problems" in listed
    (whole,) = commands(listed)
    assert whole.count("--exclude") == 2 and "no problems" in works(whole)
    # Without one clip there is the other, and then none.
    (second,) = commands(error(first))
    works(second)


def test_clips_to_exclude_have_names(case):
    name = "/".join(case.clips[0].key)
    for words, prefix in ((case.by_name(), "--"), (case.by_file(), "--data.")):
        code, text = said([*words, f"{prefix}exclude", f"{name}x"])
        assert code == 1 and text.count("\n") == 3 and "did you mean" in text
        meant = text.partition("did you mean '")[2].partition("'")[0]
        assert meant == name
        works([*words, f"{prefix}exclude", meant])
        code, text = said([*words, f"{prefix}exclude", "zzz"])
        assert code == 1 and "no clip is called 'zzz'" in text


def test_all_ways_to_exclude_are_one_recipe(case):
    names = ["/".join(seen.key) for seen in case.clips[:2]]
    config, few = case.tree.config, {"exclude": tuple(names)}
    assert "exclude" not in config.recipe
    other = dataclasses.replace(config, exclude=(f"casme2/{names[1]}", names[0]))
    assert dataclasses.replace(config, **few).config_name == other.config_name
    assert other.config_name != config.config_name
    words = case.by_name("prepare")
    first = works([*words, "--exclude", names[0], "--exclude", names[1].upper()])
    assert first.splitlines()[0].startswith(f"{len(case.clips) - 2} clips")
    assert works([*words, "--exclude", *names]).splitlines()[0] == first.splitlines()[0]


def test_a_blank_frame_is_left_out_with_its_clip(case):
    frame = case.frame(0)
    height, width = cv2.imread(str(frame)).shape[:2]
    cv2.imwrite(str(frame), np.full((height, width, 3), 7, np.uint8))
    text = error(case.by_name("prepare"))
    assert "shows nothing" in text
    works([*case.by_name("prepare"), *option(text, "--exclude")])
    frame.unlink()  # "or delete it and choose …"
    works([*case.by_name("prepare"), *option(text, "--missing-frames")])


def test_what_has_no_classes_left(case):
    for at in range(len(case.clips)):
        case.cell("emotion", "fear", at)
    code, text = said(case.by_name())
    assert code == 1 and "no clip is left" in text
    typed = option(text, "--classes: --classes")[1:]
    assert typed == ["--classes", "5class"] and "--classes aus" in text
    works([*case.by_name(), "--classes", "aus"])


def test_too_few_frames(case):
    words = [*case.by_name(), "--min-frames", "999"]
    code, text = said(words)
    assert code == 1
    works([*words, *option(text, "--min-frames")])


def test_another_source(case):
    shutil.rmtree(next(case.root.rglob("Cropped")))
    text = error(case.by_name())
    works([*case.by_name(), *option(text, "--source: --source")[1:]])
    works(
        [
            *case.by_file(),
            *option(error(case.by_file()), "--data.source: --data.source")[1:],
        ]
    )


def test_sheets_that_are_two_or_none(case):
    sheet = case.tree.table
    other = sheet.with_name(f"{sheet.stem} [1] of 'me'{sheet.suffix}")
    shutil.copy(sheet, other)
    text = error(case.by_name())
    works([*case.by_name(), *option(text, "--table")])
    sheet.rename(sheet.with_name(f"umbenannt{sheet.suffix}"))
    other.unlink()
    text = error(case.by_file())
    assert option(text, "--data.table") == ["--data.table", "FILE"]
    works([*case.by_file(), "--data.table", f"umbenannt{sheet.suffix}"])


def test_a_set_without_its_source(case):
    words = ["run", str(case.file), "--data.data-dir", str(case.prepared)]
    text = error([*words, "--run-dir", str(case.run_dir)])
    assert option(text, "--data.manual-dir") == ["--data.manual-dir", "DIR"]
    words = ["data", "prepare", "casme2", "--data-dir", str(case.prepared), *RECIPE]
    assert option(error(words), "--manual-dir") == ["--manual-dir", "DIR"]
    works([*words, "--manual-dir", str(case.root)])


def test_a_changed_set_is_prepared_by_its_whole_recipe(case):
    works([*case.by_name("prepare"), "--frames", "5"])  # another of the same data set
    other = next((case.prepared / "casme2").iterdir())
    before = {f: f.read_bytes() for f in other.rglob("*") if f.is_file()}
    more = ["--data.min-frames", "2"]
    works([*case.by_file("prepare"), *more])
    case.cell("emotion", "fear", at=1)
    text = error([*case.run, *more])
    assert "has changed since" in text
    (prepare,) = commands(text)
    works(prepare)
    works([*case.run, *more])
    assert before == {f: f.read_bytes() for f in other.rglob("*") if f.is_file()}
    assert len(list((case.prepared / "casme2").iterdir())) == 2
    # Or what was prepared is used as it is.
    case.cell("emotion", "fear", at=0)
    text = error([*case.run, *more, "--overwrite"])
    assert "leave --data.manual-dir out" in text
    words = [w for w in case.run if w not in ("--data.manual-dir", str(case.root))]
    works([*words, *more, "--overwrite"])


def test_a_prepared_set_that_is_damaged(case):
    works(case.by_name("prepare"))
    folder = next((case.prepared / "casme2").glob("*/*"))
    for file in folder.glob("*array_record*"):
        file.write_bytes(file.read_bytes()[:20])
    text = error(case.by_name("prepare"))
    (prepare,) = commands(text)
    assert "--overwrite" in prepare
    works(prepare)
    works(case.by_name("prepare"))
    (folder / "dataset_info.json").write_text("{")
    text = error(case.run)
    assert "Delete that folder" in text
    shutil.rmtree(folder.parent)
    (prepare,) = commands(text)
    works(prepare)
    works(case.run)


def test_landmarks_that_changed_or_lack_a_clip(case):
    rows = ["subject,clip," + ",".join(f"{p}_{a}" for p in POINTS for a in "xy")]
    for seen in case.tree.takes:
        rows.append(",".join([*seen.key, *map(str, FACE)]))
    marks = case.root.parent / "points of 'all'.csv"
    marks.write_text("\n".join(rows))
    more = ["--landmarks", str(marks), "--align", "crop"]
    words = [*case.by_name("prepare"), *more]
    works(words)
    marks.write_text("\n".join(rows) + "\n")
    text = error(words)
    assert "is not the file that" in text
    (prepare,) = commands(text)
    works(prepare)
    works(words)
    marks.write_text(
        "\n".join(
            row for row in rows if not row.startswith(",".join(case.clips[0].key))
        )
    )
    code, text = said([*case.by_name(), *more])
    assert code == 1 and "no row of clip" in text
    works([*case.by_name(), *more, *option(text, "--exclude")])
    assert "leave --landmarks out" in text
    if importlib.util.find_spec("mtcnn") is None:
        marks.unlink()
        assert "leave --landmarks out" in error([*case.by_name(), *more])


POINTS = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
FACE = (8, 10, 20, 10, 14, 16, 9, 22, 19, 22)


def test_every_field_of_every_set_is_typed_as_it_is():
    """Whatever differs from the default, the command has it, and reads it back."""
    for kind in datasets():
        default = kind()
        for last in (False, True):
            config = changed(default, last=last)
            words = options(config, default)
            read = parse(PrepareOptions, "jmer", words, PrepareOptions(default)).data
            assert read == config, words


def changed(default: DataConfig, *, last: bool) -> DataConfig:
    """The configuration with every field as it is not by default, where it may."""
    made = default
    for field in dataclasses.fields(default):
        now = getattr(default, field.name)
        others: list[object] = []
        if isinstance(now, bool):
            others = [not now]
        elif isinstance(now, int):
            others = [now * 2, now + 2]
        elif isinstance(now, str):
            others = [v for v in choices(default, field.name) if v != now]
            if not choices(default, field.name):
                others = ["a b's [1].xlsx", "-x"]
        elif field.name == "exclude":
            others = [("sub 01/ä b's",), ("a/b", "c/d")]
        elif field.name in ("manual_dir", "data_dir"):
            others = [Path("a b/it's")]
        if others:
            with contextlib.suppress(UsageError):  # it does not go with the others
                value = others[-last]
                made = dataclasses.replace(made, **{field.name: value})  # type: ignore[arg-type]
    return made


def test_the_command_of_a_recipe(tmp_path):
    config = Casme2(manual_dir=tmp_path / "a b", errata=False, exclude=("sub01/x",))
    text = command_for(config, "prepare", "--overwrite")
    assert text == (
        f"jmer data prepare casme2 --manual-dir '{tmp_path / 'a b'}' --no-errata "
        f"--exclude sub01/x --overwrite"
    )


def test_a_folder_too_low(case):
    words = [*case.by_name(), "--manual-dir", str(case.root / "Cropped")]
    works([*words, *option(error(words), "--manual-dir")])
    words = [*case.by_file(), "--data.manual-dir", str(case.root / "Cropped")]
    works([*words, *option(error(words), "--data.manual-dir")])


def test_a_set_that_a_reader_does_not_find(case):
    works(case.run)
    shutil.rmtree(case.prepared)
    audit = ["audit", str(case.run_dir)]
    found = commands(" ".join(said(audit)[1].split()))
    prepare = next(words for words in found if words[:2] == ["data", "prepare"])
    assert prepare[-2:] == ["--manual-dir", "DIR"]
    works([*prepare[:-1], str(case.root)])
    assert "read once more, with the same fingerprint" in said(audit)[1]


def test_all_problems_are_shown(case):
    for at in range(5):
        case.cell("apex", "/", at)
    code, text = said(case.by_name())
    assert code == 1 and "and 2 more (--all shows them)" in text
    code, text = said([*case.by_name(), "--all"])
    assert code == 1 and text.count("Or leave the clip out") == 5


def test_bits_that_are_not_clear(case):
    for file in (case.root / "Cropped").rglob("*.jpg"):
        pixels = cv2.imread(str(file))
        cv2.imwrite(str(file.with_suffix(".png")), pixels.astype(np.uint16) * 16)
        file.unlink()
    code, text = said(case.by_name())
    assert code == 1 and "hold 12 bits" in text
    first = option(text, "--bits")
    code, text = said([*case.by_name(), *first])
    assert first == ["--bits", "10"] and code == 1 and "another --bits" in text
    works([*case.by_name(), "--bits", "12"])


SWEEP = """
import dataclasses
from jmer.sweep.cells import Sweep

ROW = dataclasses.replace(EXPERIMENT.data, classes="meranet")
SWEEP = Sweep(EXPERIMENT, rows={"megc": {"data": EXPERIMENT.data}, "3": {"data": ROW}})
del EXPERIMENT
"""


def counted_from(case, first, *, sheet):
    """Files of every clip begin with `first`, its onset in the sheet is `sheet`."""
    columns = downloads.COLUMNS["casme2"]
    for seen in case.clips:
        numbers = range(seen.onset, seen.offset + 1)
        paths = [seen.path(number) for number in numbers]
        aside = [path.rename(path.with_name(f"_{i}")) for i, path in enumerate(paths)]
        for path in seen.folder.glob("*.jpg"):
            path.unlink()
        for number, path in enumerate(aside, start=first):
            path.rename(seen.path(number))
        for name in ("onset", "apex", "offset"):
            seen.cells[columns[name]] = getattr(seen, name) - seen.onset + sheet
    case.tree.write_sheet()


def test_files_that_begin_with_0(case):
    counted_from(case, 0, sheet=0)
    text = error(case.by_name("prepare"))
    same = re.search(r"--numbering same", text)
    assert same
    works([*case.by_name("prepare"), *same[0].split()])
    other = option(text, "--numbering")
    assert other == ["--numbering", "files-from-0"]
    assert "lacks 1" in said([*case.by_name(), *other])[1]  # it is not so
    assert "--data.numbering same" in error(case.run)


def test_a_sheet_that_begins_with_0(case):
    counted_from(case, 1, sheet=0)
    text = error(case.by_name("prepare"))
    works([*case.by_name("prepare"), *option(text, "--numbering")])


def test_a_sweep_over_data_sets(case):
    case.file.write_text(EXPERIMENT + SWEEP, encoding="utf-8")
    above = case.root.parent / "all"
    above.mkdir()
    case.root.rename(above / "casme2")
    case.root = above
    assert works(case.by_file()).count("no problems") == 2
    # The sweep sets its data sets by itself: the file is what has to change.
    first = case.clips[0]
    number = first.offset
    (above / "casme2" / first.images.folder).joinpath(first.path(number).name).unlink()
    code, text = said(case.by_file())
    assert code == 1 and f"missing_frames='neighbour' in {case.file}" in text
    assert f"exclude='{'/'.join(first.key)}' in" in text and "--data." not in text
    edited = EXPERIMENT.replace("Casme2(", "Casme2(missing_frames='neighbour', ")
    case.file.write_text(edited + SWEEP, encoding="utf-8")
    assert works(case.by_file()).count("no problems") == 2


def test_a_machine_without_a_home(case, monkeypatch):
    words = [w for w in case.by_name() if w not in ("--data-dir", str(case.prepared))]
    nobody = dataclasses.replace(Casme2(), data_dir=Path("~nobody at all/x"))
    text = error([*words, "--data-dir", str(nobody.data_dir)])
    assert option(text, "--data-dir") == ["--data-dir", "DIR"]
    works(case.by_name())


def test_what_else_lies_in_a_prepared_set(case):
    words = case.by_file("prepare")
    works(words)
    letter = next((case.prepared / "casme2").glob("*/*")) / "my letter"
    letter.write_text("dear", encoding="utf-8")
    text = error([*words, "--overwrite"])
    assert "choose another --data.data-dir" in text and letter.exists()
    works([*words, "--overwrite", "--data.data-dir", str(case.prepared / "new")])
    letter.rename(case.root.parent / letter.name)
    works([*words, "--overwrite"])
