"""Mistakes in a set of one's own: each is named with its row, and what is told to type
works.
"""

import os
import shutil

import cv2
import openpyxl
import pytest
from filmed import cut, film
from own_folder import Mine, checked, touched

from jmer.cli import main


@pytest.fixture(name="mine")
def _mine(tmp_path):
    return Mine(tmp_path)


@pytest.mark.parametrize(
    "row, value, words",
    [
        (0, "frames/none", "no folder of clip"),
        (0, "mine.csv", "neither a folder of frames nor a video"),
        (0, "../elsewhere", "--root DIR"),
        (1, "/somewhere/else.mkv", "--root DIR"),
        (4, "films/1", "is of"),
        (0, "frames/0/../1", "no folder of clip"),
        (1, "films/1.MKV", "did you mean '1.mkv'"),
        (1, "films/11.mkv", "no folder of clip"),
        (1, "link.mkv", "a link that leads nowhere"),
        (0, "films", "has no frames"),
        (0, "pipe.mkv", "neither a folder of frames nor a video"),
        (0, "text.mp4", "cannot be read as a video"),
        (0, "empty.mp4", "is empty"),
        (0, "picture.mp4", "has one frame"),
        (0, "two", "are both frame 2"),
        (0, "gap", "lacks 1 of 3 frames (2)"),
    ],
)
@pytest.mark.parametrize("moments", [True, False])
def test_a_place_that_is_none_is_named_with_its_row(mine, row, value, words, moments):
    mine.rows[row][0] = value
    if moments:
        mine.rows[row][3:] = [1, 2, 3]
    else:  # the whole clip: what is wrong is the place, and no empty cell
        mine.rows[row][3:] = ["", "", ""]
    (mine.folder / "link.mkv").symlink_to("nowhere.mkv")
    os.mkfifo(mine.folder / "pipe.mkv")
    (mine.folder / "text.mp4").write_text("clip,subject")
    (mine.folder / "empty.mp4").touch()
    for name in ("two/1.png", "two/2.png", "two/2.jpg", "gap/1.png", "gap/3.png"):
        file = mine.folder / name
        file.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(file), mine.written[0][0])
    shutil.copy(mine.folder / "two/1.png", mine.folder / "picture.mp4")
    if words == "is of":  # found without its ending: another's clip, but no mistake
        assert len(mine.clips()) == 6
        return
    problem = mine.problem()
    if words == "has one frame" and moments:
        words = "lacks 2 of 3 frames"
    assert words in problem and f"mine.csv, row {row + 2}" in problem


def test_a_damaged_video_is_named(mine):
    path = mine.folder / "films/1.mkv"
    path.write_bytes(b"")
    assert f"{path} is empty" in mine.problem()
    film(path, mine.written[1])
    cut(path, 0.5)
    found = mine.problem()
    assert "lacks" in found and str(path) in found


def frames_at(mine, *places):
    """Rows of one subject, each of frames of its own."""
    mine.rows = []
    for n, place in enumerate(places):
        folder = mine.folder / place
        folder.mkdir(parents=True)
        for i in range(1, 4):
            cv2.imwrite(f"{folder}/{i}.png", mine.written[n][i])
        mine.rows.append([place, "s9", "ab"[n % 2], 1, 2, 3])


@pytest.mark.parametrize(
    "places", [("a-b/c", "a/b-c"), ("x/Film", "x/film"), ("s9/q-r", "s9/q/r")]
)
def test_two_files_of_one_name_are_no_duplicate(mine, capsys, places):
    frames_at(mine, *places, "z")
    for n, row in enumerate(mine.rows):
        row.append(f"own{n}" if n < 2 else "")
    header = ["clip", "subject", "label", "onset", "apex", "offset", "Name"]
    table = mine.table(header=header)
    (problem,) = mine.builder(table=table).problems()
    for words in (f"row 3: two files have one name: {places[1]} here", places[0],
                  "in row 2", "Or leave both rows out"):  # fmt: skip
        assert words in problem
    code, said = checked(capsys, mine, "--table", str(table))
    assert code == 1 and "files that have one name: 1" in said
    assert "without 2 rows: `" in said
    # Each remedy, as it is typed.
    whole = ("--table", str(table))
    code, said = checked(capsys, mine, *whole, "--columns", "clip_name=Name")
    assert code == 0 and "3 clips, 1 subject" in said
    named = mine.clips(table=table, columns=("clip_name=Name",))
    assert [clip["clip_id"] for clip in named] == ["own0", "own1", "z"]
    out = problem.rpartition("--exclude ")[2]
    code, said = checked(capsys, mine, *whole, "--exclude", out)
    assert code == 0 and "1 clip, 1 subject" in said
    (mine.folder / places[1]).rename(mine.folder / "renamed")
    mine.rows[1][0] = "renamed"
    assert len(mine.clips(table=mine.table(header=header))) == 3


@pytest.mark.parametrize("times, more", [(2, "both rows"), (3, "all 3 rows")])
@pytest.mark.parametrize("place", ["films/1.mkv", "./films/1.mkv"])
def test_leaving_a_duplicate_out_says_what_it_drops(mine, capsys, times, more, place):
    mine.rows = [mine.rows[0], *[[*mine.rows[1]] for _ in range(times)]]
    mine.rows[2][0] = place
    mine.rows[2][2] = "sad" if times == 2 else "happy"
    table = mine.table()
    problems = mine.builder(table=table).problems()
    assert len(problems) == times - 1
    assert all("duplicate clip" in p and f"leave {more} out" in p for p in problems)
    _, said = checked(capsys, mine, "--table", str(table))
    assert f"without {times} rows: `" in said
    out = problems[0].rpartition("--exclude ")[2].strip("'")
    code, said = checked(capsys, mine, "--table", str(table), "--exclude", out)
    assert code == 0 and f"left out: {times} " in said


@pytest.mark.parametrize("times", ["frames", "seconds"])
def test_all_bad_rates_are_named_at_once(mine, capsys, times):
    moments = [0, 0, 0.1] if times == "seconds" else [3, 5, 8]
    mine.rows = [[*mine.rows[0][:3], *moments] for _ in range(7)]
    rates = [-25, 0, "1.5.2", "inf", "1e9", "fast", 10]
    mine.rows = [[*row, rate] for row, rate in zip(mine.rows, rates, strict=True)]
    for n, row in enumerate(mine.rows):
        row[1] = f"p{n}"
    header = ["clip", "subject", "label", "onset", "apex", "offset", "fps"]
    table = str(mine.table(header=header))
    problems = mine.builder(table=table, times=times).problems()
    assert len(problems) == 6
    for n, (problem, rate) in enumerate(zip(problems, rates, strict=False), start=2):
        assert f"row {n}: fps '{rate}' is no number" in problem
    out = [p.rpartition("--exclude ")[2] for p in problems]
    words = ["--table", table, "--times", times, "--exclude", *out]
    code, said = checked(capsys, mine, *words)
    assert code == 0 and "1 clip, 1 subject" in said and "left out: 1 p0/" in said


def test_all_bad_cells_of_a_row_are_named_at_once(mine, tmp_path):
    labels = tmp_path / "labels.csv"
    labels.write_text("label;class\nhappy;a\nsad;b\n")
    header = ["clip", "subject", "label", "onset", "apex", "offset", "fps"]
    happy = [*mine.rows[0], ""]
    mine.rows = [
        happy,
        ["frames/2", "p2", "sad", "x", "-1", "3.5", "fast"],
        ["frames/none", "p3", "fear", "x", 5, 8, -1],
        ["films/none.mkv", "", "fear", 3, 5, "y", 10],
        ["films/1.mkv", "p4", "sad", 3, "3-May", "", 0],
    ]
    table = mine.table(header=header)
    found = {n: [] for n in range(2, 7)}
    for problem in mine.builder(table=table, labels=labels).problems():
        found[int(problem.partition("row ")[2].partition(":")[0])].append(problem)
    wanted = {
        2: [],
        3: ["fps 'fast'", "onset 'x'", "offset '3.5'", "apex '-1'"],
        4: ["no folder of clip", "fps '-1'", "unknown label 'fear'", "onset 'x'"],
        5: ["no folder of clip", "subject or clip is empty", "unknown label 'fear'",
            "offset 'y'"],
        6: ["fps '0'", "apex '3-May'"],
    }  # fmt: skip
    for row, words in wanted.items():
        assert len(found[row]) == len(words), found[row]
        assert all(w in p for w, p in zip(words, found[row], strict=True))
    mine.rows = [["frames/0", "p0", "happy", "a", -1, 99, 10], happy]
    problems = mine.builder(table=mine.table(header=header), times="seconds").problems()
    assert [p.partition(": ")[2][:9] for p in problems[:3]] == [
        "onset 'a'", "apex '-1'", "offset '9"]  # fmt: skip


@pytest.mark.parametrize("word", ["calm", "Very Calm", "7"])
def test_a_word_that_labels_lack_is_added_to_them(mine, tmp_path, capsys, word):
    labels = tmp_path / "labels.csv"
    labels.write_text("label;class\nHappy;Good\nsad;bad\n")
    mine.rows[2][2] = mine.rows[5][2] = word
    words = ("--table", str(mine.table()), "--labels", str(labels))
    code, said = checked(capsys, mine, *words)
    assert code == 1 and f"unknown label '{word.lower()}'" in said
    assert f"happy, sad, or be added to {labels}, where an empty class" in said
    labels.write_text(f"{labels.read_text()}{word};\n")
    code, said = checked(capsys, mine, *words)
    assert code == 0 and f"left out: 2 {word.lower()} (no class in {labels})" in said
    code, said = checked(capsys, mine, *words, "--classes", "Good")
    assert "left out: 2 sad (no class of Good)" in said
    assert f"left out: 2 {word.lower()} (no class in {labels})" in said
    labels.write_text(labels.read_text().replace(";\n", ";calm\n"))
    code, said = checked(capsys, mine, *words)
    assert code == 0 and "(2 Good, 2 bad, 2 calm)" in said


@pytest.mark.parametrize("titles", [("a", "b"), ("2023", "2024", "Copy")])
def test_two_sheets_of_a_workbook_are_no_parts(mine, capsys, titles):
    path = mine.table("t.xlsx")
    book = openpyxl.load_workbook(path)
    first = book.active
    first.title = titles[0]
    for title in titles[1:]:
        book.copy_worksheet(first).title = title
    book.save(path)
    code, said = checked(capsys, mine, "--table", str(path))
    assert code == 1 and "part" not in said and ", ".join(titles) in said
    assert "Remove all but one, or save that one as CSV." in said
    for title in titles[1:]:
        book.remove(book[title])
    book.save(path)
    assert checked(capsys, mine, "--table", str(path))[0] == 0


@pytest.mark.parametrize("inside", [[], ["mine.csv"], ["b.xlsx", "mine.csv", "x.txt"]])
def test_a_folder_is_no_table(mine, capsys, inside):
    path = mine.folder / "tables"
    path.mkdir()
    touched(*(path / name for name in inside))
    code, said = checked(capsys, mine, "--table", str(path))
    assert code == 1 and f"error: {path} is a folder: give the table in it" in said
    shown = [str(path / name) for name in inside if not name.endswith(".txt")]
    assert (f"(such as {', '.join(shown)})" if shown else "workbook, with") in said
    assert "`jmer data new folder`" in said and "--table FILE" in said


def test_what_errors_tell_to_type_works(mine, capsys):
    table = str(mine.table())
    code, said = checked(capsys, mine)
    assert code == 1 and "--table FILE" in said
    assert main(["data", "new", "folder", "--out", str(mine.folder / "t.csv")]) == 0
    code, said = checked(capsys, mine, "--table", f"{table}x")
    assert code == 1 and "--table FILE" in said
    code, said = checked(capsys, mine, "--table", table)
    assert code == 0 and "6 clips" in said
    code, said = checked(capsys, mine, "--table", table, "--classes", "hapy")
    assert code == 1 and "Classes are calm, happy, sad" in said
    assert checked(capsys, mine, "--table", table, "--classes", "happy")[0] == 0

    seconds = "--table", table, "--times", "seconds"
    code, said = checked(capsys, mine, *seconds)
    assert code == 1 and "--times frames" in said and "--fps RATE" in said
    assert checked(capsys, mine, "--table", table, "--times", "frames")[0] == 0
    assert checked(capsys, mine, *seconds, "--fps", "1")[0] == 1  # of films, of 0.2 s
    only = [
        word
        for n in (1, 3, 5)
        for word in ("--exclude", f"P {n // 2}, née Ñ/films-{n}")
    ]
    assert checked(capsys, mine, *seconds, "--fps", "1", *only)[0] == 0

    lists = mine.folder / "lists"
    lists.mkdir()
    other = mine.table("lists/t.csv")
    code, said = checked(capsys, mine, "--table", str(other))
    assert code == 1 and "no folder of clip" in said
    assert (
        checked(capsys, mine, "--table", str(other), "--root", str(mine.folder))[0] == 0
    )
    mine.rows[0][0] = "../frames/0"
    code, said = checked(capsys, mine, "--table", str(mine.table("lists/u.csv")))
    assert code == 1 and "--root DIR" in said

    named = str(mine.table(header=["Was", "Wer", "Wie", "a", "b", "c"]))
    code, said = checked(capsys, mine, "--table", named)
    assert code == 1 and "--columns clip=NAME subject=NAME label=NAME" in said
    mine.rows[0][0] = "frames/0"
    mine.table(header=["Was", "Wer", "Wie", "a", "b", "c"])
    words = ("--columns", "clip=Was", "subject=Wer", "label=Wie")
    assert checked(capsys, mine, "--table", named, *words)[0] == 0
