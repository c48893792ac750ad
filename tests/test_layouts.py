"""Synthetic sets in the form of real ones: what is written is what comes back."""

import collections
import dataclasses
import functools
import json
import re
import shlex
from pathlib import Path

import numpy as np
import openpyxl
import pytest
from downloads import (
    CLIP_SETS,
    CONFIGS,
    FRAME_SETS,
    RECIPE,
    SPEC,
    Tree,
    read,
    taken,
    write,
)
from numpy.testing import assert_array_equal

from jmer.cli import main
from jmer.data import check, load
from jmer.errors import JmerError, UsageError
from jmer.preprocess.temporal import resample
from jmer.synthetic.layouts import LAYOUTS, disk_layout
from jmer.synthetic.layouts.draft import Draft
from jmer.synthetic.layouts.images import framed
from jmer.synthetic.layouts.write import find_layout, synthesize
from jmer.synthetic.rendering import generate
from jmer.synthetic.spec import CLASS_NAMES, SyntheticSpec
from jmer.text import counted

OPTIONS = [
    "--subjects",
    "3",
    "--clips",
    "8",
    "--classes",
    "3",
    "--length",
    "9",
    "--size",
    "32",
    "--seed",
    "25",
]
READ = ["--size", "32", "--frames", "4", "--resample", "uniform"]
EVERY = pytest.mark.parametrize("name", CLIP_SETS)
BOTH = pytest.mark.parametrize("quirks", [False, True], ids=["", "quirks"])
# The real form of the files, as `datasets.md` and public loaders have it.
FORMS = {
    "casme": [
        r"CASME_raw_selected/sub\d\d/(EP\d\d_\d+)/\1-\d+\.jpg",
        r"Cropped/sub\d\d/(EP\d\d_\d+)/reg_\1-\d+\.jpg",
    ],
    "casme2": [
        r"CASME2_RAW_selected/sub\d\d/EP\d\d[_\df]+/img[1-9]\d*\.jpg",
        r"Cropped/sub\d\d/EP\d\d[_\df]+/reg_img[1-9]\d*\.jpg",
    ],
    "samm": [r"SAMM/(\d{3})/\1_\d_\d+/\1_\d{5}\.jpg"],
    "smic": [
        r"SMIC_all_raw/(HS|VIS|NIR)/(s\d+)/micro/(negative|positive|surprise)/"
        r"\2_(ne|po|sur)_\d\d/image\d{6,8}\.bmp",
        r"SMIC_all_cropped/(HS|VIS|NIR)/(s\d+)/micro/(negative|positive|surprise)/"
        r"\2_(ne|po|sur)_\d\d/reg_image\d{6,8}\.bmp",
    ],
    "casme_squared": [
        r"rawpic/s(\d\d)/\1_0\d0\d[a-z]+/img\d{3,}\.jpg",
        r"longVideoFaceCropped/s(\d\d)/\1_0\d0\d[a-z]+/img_[1-9]\d*\.jpg",
    ],
    "casme_cubed": [
        r"part_A/spNO\.\d+/[a-m]/color/[1-9]\d*\.jpg",
        r"Part_A_ME_clip/frame/spNo\.\d+_[a-m]_\d+/[1-9]\d*\.jpg",
    ],
    "smic_long": [
        r"SMIC-E_raw image/(HS|VIS)_long/SMIC-\1-E/s(\d\d)/s\d+_(ne|po|sur)_\d\d/"
        r"image\d{6,8}\.jpg"
    ],
    "samm_long": [r"SAMM_longvideos/(\d{3}_\d)/\1_\d{4}\.jpg"],
    "casme_cubed_c": [r"part_C/\d\d/[a-z]/color/[1-9]\d*\.jpg"],
    "mmew": [
        r"MMEW_Final/Micro_Expression/[a-z]+/S\d\d-\d\d-\d{3}/[1-9]\d*\.jpg",
    ],
    "fourdme": [r"gray_micro/\d+/EP\d\d_\d+/[1-9]\d*\.jpg"],
    "dfme": [
        rf"{part}/sub\d{{4}}_\d\d/\d{{5}}\.png"
        for part in ("train_data", "test_data_A", "test_data_B")
    ],
}
FORMS["megc2019"] = [
    f"{name.upper()}/{form.replace('(HS|VIS|NIR)', '(HS)')}"
    for name in ("casme2", "samm", "smic")
    for form in FORMS[name]
]
# File, sheet, row of the header (from 1), and the header; None is a blank cell.
SHEETS = {
    "casme2": (
        *("CASME2-coding-20140508.xlsx", "Sheet1", 1),
        "Subject,Filename,,OnsetFrame,ApexFrame,OffsetFrame,,Action Units,"
        "Estimated Emotion",
    ),
    "casme": (
        *("casme.xlsx", "Sheet1", 1),
        "Subject,Filename,,OnsetF,ApexF1,ApexF2,OffsetF,,Onset,Total,AU,Emotion",
    ),
    "samm": (
        *("SAMM_Micro_FACS_Codes_v2.xlsx", "MICRO_ONLY", 14),
        "Subject,Filename,Inducement Code,Onset Frame,Apex Frame,Offset Frame,"
        "Duration,Micro,Action Units,Estimated Emotion,Objective Classes,Notes",
    ),
    "casme_squared": ("CAS(ME)^2code_final(Updated).xlsx", "CASFEcode_final", 0, ""),
    "casme_cubed": (
        *("cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx", "label", 1),
        "Subject,Filename,Onset,Apex,Offset,AU,Objective class,emotion",
    ),
    "smic_long": (
        *("SMIC-HS-E_annotation_2019.xlsx", "HS", 1),
        "Subject,Filename,,OnsetF,OffsetF,Onset2F,Offset2F,Onset3F,Offset3F,,FirstF,"
        "LastF,TotalMF1,TotalMF2,TotalVL,Emotion",
    ),
    "samm_long": (
        *("SAMM_LongVideos_V1_Release.xlsx", "FACS_Movement_Only", 10),
        "Subject,Filename,Inducement Code,Onset,Apex,Offset,Duration,Type,Action Units,"
        "Notes",
    ),
    "casme_cubed_c": (
        *("CAS(ME)3_part_C_ME.xlsx", "mockCrimeME", 1),
        "sub,count,onset,offset,au,emotion",
    ),
    "mmew": (
        *("MMEW_Micro_Exp.xlsx", "Sheet1", 1),
        "Subject,Filename,OnsetFrame,ApexFrame,OffsetFrame,Action Units,"
        "Estimated Emotion,remarks",
    ),
    "fourdme": (
        *("4DME_Labelling_Micro_release v1.xlsx", "Sheet1", 1),
        "fold,sub_ID,fold_name,Emotion,Onset,Apex,Offset,eye blink,Positive,Negative,"
        "Surprise,Repression,Others,AUs,AU1,AU2,AU4,AU5,AU6,AU7,AU9,AU10,AU12,AU14,"
        "AU15,AU17,AU20,AU23,AU24,AU25,AU26",
    ),
    "dfme": (
        *("training_full_with_AU.xlsx", "Sheet1", 1),
        "Subject,Filename,OnsetFrame,ApexFrame,OffsetFrame,Emotion,EmotionId,Fps,AU",
    ),
}


def command(capsys, words: list[str]) -> tuple[int, str]:
    capsys.readouterr()
    code = main(words)
    return code, capsys.readouterr().out


def printed_commands(text: str, action: str) -> list[list[str]]:
    lines = [shlex.split(line) for line in text.splitlines() if "  jmer " in line]
    return [words[1:] for words in lines if words[2] == action]


@EVERY
@BOTH
def test_the_printed_commands_read_what_was_written(name, quirks, tmp_path, capsys):
    out = tmp_path / "with a blank"
    asked = ["data", "synthesize", "--layout", name, "--out", str(out), *OPTIONS]
    code, said = command(capsys, asked + ["--quirks"] * quirks)
    assert code == 0
    manifest = json.loads((out / "jmer-manifest.json").read_text())
    assert manifest["quirky"] == quirks
    assert bool(manifest["quirks"]) == quirks
    assert any(clip["quirks"] for clip in manifest["clips"]) == quirks
    draft = Draft(taken(manifest))
    checks, prepares = (printed_commands(said, word) for word in ("check", "prepare"))
    assert len(checks) == len(prepares) == len(LAYOUTS[name]().readers())
    for checking, preparing in zip(checks, prepares, strict=True):
        part = checking[checking.index("--part") + 1] if "--part" in checking else ""
        fields = {"part": part} if part else {}
        places = {"manual_dir": out, "data_dir": Path(f"{out}-prepared")}
        config = CONFIGS[name](**places, **RECIPE, **fields)
        tree = Tree(config, out, draft)
        assert tree.loaded

        code, said = command(capsys, checking)
        expected = [words for t in tree.loaded for words in t.take.problems]
        assert code == (1 if expected else 0)
        lines = said.splitlines()
        if expected:
            assert lines.pop().startswith(f"without {counted(len(expected), 'clip')}: ")
        assert lines[-1] == (
            counted(len(expected), "problem") if expected else "no problems"
        )
        for words in expected:
            assert words in said

        assert main([*preparing, *READ]) == 0
        given = iter(manifest["options"])
        options = {k[2:].replace("-", "_"): next(given) for k in given}
        assert_read(load(dataclasses.replace(config, **options)), tree)


def assert_read(clips, tree):
    """`clips` are those of `tree`, in all that is known of them."""
    takes = tree.loaded
    assert_array_equal(clips.dataset, [t.take.dataset for t in takes])
    assert_array_equal(clips.subject, [t.key[0] for t in takes])
    assert_array_equal(clips.clip_id, [t.key[1] for t in takes])
    assert [clips.classes[i] for i in clips.label] == [t.label for t in takes]
    assert_array_equal(clips.action_units, [t.take.action_units for t in takes])
    for i, take in enumerate(takes):
        shown, moments = resample(take.shown, take.interval, 4, "uniform")
        assert_array_equal(clips.inputs["clip"][i], shown)
        assert (clips.onset[i], clips.apex[i], clips.offset[i]) == moments


@functools.lru_cache
def generated(seed: int):
    return tuple(generate(dataclasses.replace(SPEC, seed=seed)))


def psnr(one: np.ndarray, two: np.ndarray) -> float:
    return 10 * np.log10(255**2 / ((one.astype(float) - two) ** 2).mean())


@EVERY
@BOTH
def test_files_show_the_generated_frames(name, quirks, tmp_path):
    """Every file of an image is that of one frame of one clip, and none is lacking."""
    tree = write(name, tmp_path, quirks=quirks)
    layout = find_layout(name, quirks=quirks)
    parts = {
        part.name: part for part in getattr(layout, "parts", ()) if name == "megc2019"
    }
    seeds = {part: SPEC.seed + i for i, part in enumerate(parts)}
    expected = set()
    for take in tree.draft.takes:
        clip = generated(seeds.get(take.dataset, SPEC.seed))[take.index]
        step = 4 if take.part in ("VIS", "NIR") else 1
        frames, onset = clip.frames[::step], round(clip.onset / step)
        for source, images in take.images.items():
            view = parts.get(take.dataset, layout).views[source]
            grey = view.grey or take.part == "NIR"
            wide = framed(frames, view.aspect, grey=grey)
            for number in images.numbers:
                path = images.path(tree.root, number)
                expected.add(path)
                k = np.clip(number - take.onset + onset, 0, len(frames) - 1)
                found = read(path)
                assert not grey or (found == found[..., :1]).all()
                if path.suffix.lower() in (".bmp", ".png"):
                    assert_array_equal(found, wide[k])
                else:
                    assert psnr(found, wide[k]) >= 35
    endings = (".jpg", ".bmp", ".png")
    there = {
        path
        for path in tree.root.rglob("*")
        if path.suffix.lower() in endings and not path.name.startswith("._")
    }
    others = ("non_micro", "depth", "Macro_Expression")
    beside = {p for p in there - expected if any(o in str(p) for o in others)}
    assert there - beside == expected
    untidy = ("smic", "casme_cubed", "casme_cubed_c", "megc2019", "mmew")
    assert bool(beside) == (quirks and name in untidy)


@EVERY
def test_files_are_called_as_the_owners_call_them(name, tmp_path):
    tree = write(name, tmp_path)
    files = [p for p in tree.root.rglob("*") if p.is_file()]
    images = [p for p in files if p.suffix in (".jpg", ".bmp", ".png")]
    hits = collections.Counter()
    for path in images:
        place = path.relative_to(tree.root).as_posix()
        form = [form for form in FORMS[name] if re.fullmatch(form, place)]
        assert len(form) == 1, place
        hits[form[0]] += 1
    assert set(hits) == set(FORMS[name])
    others = {p.name for p in files} - {p.name for p in images}
    sheets = {"casme2", "samm"} if name == "megc2019" else {name} - {"smic"}
    tables = {SHEETS[n][0] for n in sheets}
    if name == "samm_long":
        tables.add(SHEETS["samm"][0])
    if name == "dfme":
        tables |= {f"test{part}_full_with_AU.xlsx" for part in "AB"}
    assert others == {"jmer-manifest.json", *tables}


@pytest.mark.parametrize("name", sorted(SHEETS))
def test_sheets_have_their_real_columns(name, tmp_path):
    tree = write(name, tmp_path)
    file, title, top, header = SHEETS[name]
    sheet = openpyxl.load_workbook(tree.root / file)[title]
    rows = [list(row) for row in sheet.iter_rows(values_only=True)]
    if top:
        assert rows[top - 1] == [cell or None for cell in header.split(",")]
    assert len(rows) == top + SPEC.clips
    assert [row[1] for row in rows[top:]] == [t.take.cells[1] for t in tree.takes]


@pytest.mark.parametrize("name", FRAME_SETS)
def test_every_word_of_a_sheet_can_occur(name):
    words = LAYOUTS[name].words
    assert set(words) == {c for classes in CLASS_NAMES.values() for c in classes}
    known = set(CONFIGS[name]().vocabulary["emotion"]) - {"others"}
    said = {word.lower() for all_of in words.values() for word in all_of}
    assert said - {"others"} == known
    usual = CONFIGS[name]().rules
    if usual.column == "emotion":
        first = [all_of[0].lower() for all_of in words.values()]
        used = {word for all_of in usual.classes.values() for word in all_of}
        assert set(first) - used <= {"amusement"}


def test_words_come_in_turns(tmp_path):
    spec = SyntheticSpec(subjects=2, clips=14, length=4, size=32, classes=5)
    draft = synthesize(find_layout("casme2"), spec, tmp_path / "set")
    by_class = collections.defaultdict(list)
    for take, clip in zip(draft.takes, generate(spec), strict=True):
        by_class[spec.class_names[clip.label]].append(take.labels["emotion"])
    assert by_class["happiness"] == ["happiness"] * len(by_class["happiness"])
    turns = ["repression", "repression", "sadness", "repression"]
    assert by_class["repression"] == turns[: len(by_class["repression"])]


def test_wider_frames_are_extended_and_narrower_ones_cut():
    frames = np.arange(2 * 6 * 6 * 3, dtype=np.uint8).reshape(2, 6, 6, 3)
    wide = framed(frames, 10 / 6)
    assert_array_equal(wide, frames[:, :, [0, 0, 0, 1, 2, 3, 4, 5, 5, 5]])
    assert_array_equal(framed(frames, 4 / 6), frames[:, :, 1:5])
    assert_array_equal(framed(frames, 1), frames)
    grey = framed(frames, 1, grey=True)
    luma = (frames @ [0.299, 0.587, 0.114])[..., None]
    assert np.abs(grey - luma).max() <= 0.51


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("samm", r"clip 013/013_1_9 lacks \d+ of \d+ frames \(5\d+-6739\)"),
        ("casme_cubed", r"onset 3647, .* of clip spNO.216/d_3647 are out of order"),
    ],
)
def test_without_errata_the_known_mistakes_are_reported(name, words, tmp_path):
    problems, _ = check(write(name, tmp_path, quirks=True, errata=False).config)
    assert len(problems) == 1 and re.search(words, problems[0])


def test_the_known_irregularities_are_there(tmp_path):
    found = {
        name: str(write(name, tmp_path / name, quirks=True).draft.manifest)
        for name in CLIP_SETS
    }
    assert "no apex: `/`" in found["casme2"] and "is missing" in found["casme2"]
    assert "called 23_0502funnyerrors" in found["casme_squared"]
    assert "called J" in found["casme_cubed"]
    assert "two rows above the header instead of 13" in found["samm"]
    assert "end in .jpg" in found["smic"] and "end in .BMP" in found["smic"]
    assert "second apex" in found["casme"]
    assert "casme2: the lock file ~$CASME2" in found["megc2019"]
    root = tmp_path / "casme_squared/published"
    assert [p.parent.name for p in root.glob("*/*/23_0502funnyerrors")] == ["s19"] * 2


def test_the_same_fields_make_the_same_set(tmp_path):
    trees = [write("samm", tmp_path / place) for place in "ab"]
    assert trees[0].draft.manifest == trees[1].draft.manifest
    for one, two in zip(*(tree.takes for tree in trees), strict=True):
        assert one.path(one.apex).read_bytes() == two.path(two.apex).read_bytes()


@pytest.mark.parametrize("failure", [KeyboardInterrupt, OSError("No space left")])
def test_nothing_half_written_is_left(failure, tmp_path, monkeypatch):
    written = []

    def fails(path, image):
        written.append(path)
        if len(written) == 40:
            raise failure
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    monkeypatch.setattr(disk_layout, "write_image", fails)
    kind = KeyboardInterrupt if failure is KeyboardInterrupt else JmerError
    words = None if kind is KeyboardInterrupt else "No space left. Make room"
    with pytest.raises(kind, match=words):
        synthesize(find_layout("smic"), SPEC, tmp_path / "set")
    assert len(written) == 40
    assert not list(tmp_path.iterdir())


def test_what_lies_there_is_kept(tmp_path, capsys):
    out = tmp_path / "set"
    words = ["data", "synthesize", "--layout", "samm", "--out", str(out), *OPTIONS]
    out.mkdir()
    assert main(words) == 0  # an empty folder may be there
    before = sorted(out.rglob("*"))
    assert main(words) == 2
    assert f"out={out}: something is there already" in capsys.readouterr().err
    assert sorted(out.rglob("*")) == before
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="something is there"):
        synthesize(find_layout("samm"), SPEC, tmp_path / "file")
    with pytest.raises(JmerError, match=r"cannot write .*file"):
        synthesize(find_layout("samm"), SPEC, tmp_path / "file/set")


@pytest.mark.parametrize(
    ("name", "fields", "words"),
    [
        ("casme2", {"clips": 255}, "clips=255: .*by row .*such as 257"),
        ("casme2", {"clips": 256}, "clips=256: .*by row .*such as 257"),
        ("casme", {"clips": 189}, "clips=189: .*such as 190"),
        ("samm", {"clips": 159}, "clips=159: .*such as 160"),
        ("megc2019", {"clips": 159}, "clips=159: .* of samm .*such as 160"),
        ("casme_squared", {"subjects": 23}, "subjects=23: .*22 subjects. .*fewer"),
    ],
)
def test_what_a_set_has_no_names_for_is_refused(name, fields, words, tmp_path):
    spec = SyntheticSpec(**{"clips": 50, **fields})
    with pytest.raises(UsageError, match=words):
        synthesize(find_layout(name), spec, tmp_path / "set")
    assert not list(tmp_path.iterdir())


def test_layouts_know_nothing_of_what_reads_them():
    for file in Path(disk_layout.__file__).parent.glob("*.py"):
        assert "data_builders" not in file.read_text()


def test_an_unknown_layout_names_those_there_are(capsys):
    assert main(["data", "synthesize", "--layout", "x", "--out", "/nowhere/y"]) == 2
    assert f"there are: {', '.join(sorted(LAYOUTS))}" in capsys.readouterr().err
    assert main(["list", "layouts", "--json"]) == 0
    assert [r["name"] for r in json.loads(capsys.readouterr().out)] == sorted(LAYOUTS)
