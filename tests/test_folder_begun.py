"""A table of one's own clips is begun: `jmer data new folder` lists what lies there."""

import csv

import pytest
from own_folder import Mine, touched

from jmer.cli import main


@pytest.fixture(name="mine")
def _mine(tmp_path):
    return Mine(tmp_path)


def test_a_table_begins_with_the_clips_that_lie_there(mine, capsys):
    out = mine.folder / "new.csv"
    words = ["data", "new", "folder", "--out", str(out)]
    assert main(words) == 0
    said = capsys.readouterr().out
    with out.open(encoding="utf-8-sig", newline="") as file:
        header, *rows = csv.reader(file)
    places = [f"films/{n}.mkv" for n in (1, 3, 5)] + [f"frames/{n}" for n in (0, 2, 4)]
    assert [row[0] for row in rows] == places
    assert header[:3] == ["clip", "subject", "label"] and rows[0][1] == "films"
    assert main(words) == 2
    # As it says: to fill it in, and to check.
    command = said.partition("then `jmer ")[2].partition("`")[0].split()
    assert main([*command, "--data-dir", str(mine.folder)]) == 1
    with out.open("w", newline="") as file:
        filled = [[row[0], str(n % 3), "ab"[n % 2]] for n, row in enumerate(rows)]
        csv.writer(file).writerows([header[:3], *filled])
    capsys.readouterr()
    assert main([*command, "--data-dir", str(mine.folder)]) == 0
    assert "6 clips, 3 subjects (3 a, 3 b)" in capsys.readouterr().out


def listed(folder, code=0, **options):
    """The places in a table that is begun of a folder."""
    out = folder / "begun.csv"
    out.unlink(missing_ok=True)
    more = [word for name, value in options.items() for word in (f"--{name}", value)]
    assert main(["data", "new", "folder", "--out", str(out), *map(str, more)]) == code
    if code:
        assert not out.exists()
        return []
    with out.open(encoding="utf-8-sig", newline="") as file:
        return [row[0] for row in [*csv.reader(file)][1:]]


def test_each_file_is_listed_once_by_whatever_links(tmp_path):
    mine, outside = tmp_path / "mine", tmp_path / "outside"
    films = [mine / "a/x.mkv", mine / "b/c/y.mp4", mine / "frames/1.png"]
    films += [outside / "deep/z.avi", mine / ".git/annex/kept.mkv"]
    touched(*films)
    own = ["a/x.mkv", "b/c/y.mp4", "frames"]
    for place, target in [
        ("a/again", "."),  # itself
        ("a/up", ".."),
        ("b/c/top", mine),
        ("b/other", "../a"),
        ("b/round", "c/round"),  # each other
        ("b/c/round", "../round"),
        ("0.mkv", "a/x.mkv"),
        ("0frames", "frames"),
        ("around", tmp_path),
    ]:
        (mine / place).symlink_to(target)
    assert listed(mine) == own
    # Out of it, by two links, and into what is hidden.
    (mine / "out").symlink_to(outside)
    (mine / "out2").symlink_to(outside / "deep")
    (outside / "back").symlink_to(mine / "a")
    (mine / "kept.mkv").symlink_to(".git/annex/kept.mkv")
    assert listed(mine) == [*own, "kept.mkv", "out/deep/z.avi"]


@pytest.mark.parametrize(
    "files",
    [
        [],
        ["notes.txt", "a/b/face.png"],
        ["a/.x.mkv"],
        ["r/experiment.json", "r/thumbnails/01.png"],
    ],
)
def test_a_folder_without_clips_is_no_table(tmp_path, capsys, files):
    mine = tmp_path / "mine"
    touched(mine / "empty/none", *(mine / file for file in files))
    listed(mine, code=1)
    said = capsys.readouterr().err
    assert said.startswith(f"error: {mine} has no clips") and said.count("\n") == 1
    assert all(word in said for word in (".mkv", ".png", "--root DIR"))
    touched(tmp_path / "films/a.mkv")
    assert listed(mine, root=tmp_path / "films") == ["a.mkv"]


def test_what_jmer_wrote_is_no_clip(tmp_path, capsys):
    touched(
        *(tmp_path / "runs/one" / name for name in
          ("experiment.json", "thumbnails/01.png", "explain/1/figures/1.png")),
        *(tmp_path / "predictions/x-one" / name for name in
          ("predict.md", "predict.html", "figures/classes-001.png")),
        # A prediction of films among them, and figures that are nobody's page.
        *(tmp_path / "films" / name for name in
          ("predict.md", "predict.html", "figures/face-1.png", "a.mkv")),
        *(tmp_path / "lab" / name for name in ("figures/1.png", "index.html")),
    )  # fmt: skip
    assert listed(tmp_path) == ["films/a.mkv", "lab/figures"]
    assert "2 clips of" in capsys.readouterr().out
