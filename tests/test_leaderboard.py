"""The board says what the runs say, and leaves out what an audit would."""

import json
import re
import shutil

import numpy as np
import pytest
from markupsafe import escape
from several import make, predictions_of, units_of
from test_report import EVIL, parse

from jmer.audit.run import audit_against
from jmer.cli import main
from jmer.files import read_json, write_json
from jmer.files.seal import unsealed
from jmer.report import write_report
from jmer.report.leaderboard import device_seconds
from jmer.runs.run import read_run

ONE, TWO = {"casme2": 8}, {"casme2": 8, "samm": 7, "smic": 6}
PLAN = {"layout": {"devices": 2, "chunk": 3}}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two methods on a set and a composite, the second with more seeds there; a third
    on the composite alone."""
    place = tmp_path_factory.mktemp("runs")
    made = {}
    for i, (name, share) in enumerate((("b_net", 0.6), ("a_net", 0.8), ("c_svm", 0.4))):
        for kind, sets in (("one", ONE), ("comp", TWO)):
            if (name, kind) == ("c_svm", "one"):
                continue
            seeds = (0, 1) if (name, kind) == ("a_net", "comp") else (0,)
            found = predictions_of(sets, share, seed=i, seeds=seeds)
            folder = make(place / f"{name} {kind}", name, found, data=kind)
            made[name, kind] = folder
    rewritten(made["a_net", "one"] / "experiment.json", plan=PLAN)
    write_report(made["a_net", "one"])
    return made


def rewritten(file, **fields):
    """Fields of a file of a run, as if jmer had written them."""
    write_json(file, unsealed({**json.loads(file.read_text()), **fields}))


def board(runs, out, *words):
    """What the command says and the page; all runs, unless words name some."""
    given = list(words) or [str(folder) for folder in runs.values()]
    assert main(["leaderboard", *given, "--out", str(out)]) == 0
    return out.read_text()


@pytest.fixture(scope="module")
def page(runs, tmp_path_factory):
    return board(runs, tmp_path_factory.mktemp("out") / "board.html")


def cells(html):
    """Method, set and text of each cell of the board."""
    table = html[html.index('<table class="board') : html.index("</table>")]
    for row in re.findall(r"<tr>\n(<th scope=\"row\".*?)</tr>", table, re.DOTALL):
        method = re.search(r'data-label="Method">(.*?)</th>', row)[1]
        for name, cell in re.findall(
            r'<td class="number" data-label="(.*?)">(.*?)</td>', row, re.DOTALL
        ):
            yield method, name, re.sub(r"<.*?>|\s+", " ", cell).replace("\xa0", " ")


def test_numbers_are_those_of_the_runs(runs, page):
    found = {(method, name): text for method, name, text in cells(page)}
    assert len(found) == 6
    for key, folder in runs.items():
        metrics = read_json(folder / "metrics.json")
        numbers = [float(x) for x in re.findall(r"\d+\.\d+", found[key])]
        assert numbers == [
            *(round(x, 4) for x in (metrics["uf1"],)),
            *(round(x, 3) for x in metrics["ci95"]["uf1"]),
            metrics["oracle"]["uf1"],
        ]
    assert "not tried" in found["c_svm", "one"]
    # Two devices, for 125 seconds.
    assert " 250 device s (cpu)" in found["a_net", "one"]
    assert " 125 device s (cpu)" in found["b_net", "one"]
    assert device_seconds(read_run(runs["a_net", "one"])) == 250


def test_all_scores_stand_below(runs, page):
    text = parse(page).text.replace("\xa0", " ")
    for folder in runs.values():
        metrics = read_json(folder / "metrics.json")
        for name in ("uf1", "uar", "acc"):
            low, high = metrics["ci95"][name]
            assert f"{metrics[name]:.4f} [{low:.3f}, {high:.3f}]" in text
        for own in metrics["per_dataset"].values():
            assert f"{own['uar']:.4f}" in text
        assert str(folder) in text and metrics["protocol"] in text


def test_rows_are_ranked_by_the_set_of_most_methods(page):
    assert [method for method, name, _ in cells(page) if name == "comp"] == [
        "a_net",
        "b_net",
        "c_svm",
    ]
    # Three were tried on the composite, so it comes first.
    assert [name for method, name, _ in cells(page) if method == "a_net"] == [
        "comp",
        "one",
    ]


def test_a_score_leads_to_its_report(runs, page):
    links = [value for name, value in parse(page).attributes if name == "href"]
    (link,) = [one for one in links if not one.startswith("#")]
    assert link.endswith("a_net%20one/report.html") and link.startswith("../")


def test_the_page_needs_nothing_and_runs_nothing_else(page):
    assert "default-src 'none'" in page and page.count("<script>") == 1
    assert not re.search(r"https?://|<link|<iframe|onclick", page)
    assert "prefers-color-scheme: dark" in page and "@media print" in page
    assert '<table class="board cards sortable">' in page


def test_what_runs_disagree_on_is_said(runs, tmp_path, page):
    text = parse(page).text
    assert "On comp, runs differ in seeds: b_net 0; a_net 0, 1; c_svm 0." in text
    assert "do not rank" not in text
    other = predictions_of({"casme2": 7}, 0.5)
    odd = make(tmp_path / "odd", "odd", other, data="one", selection="inner")
    html = board(runs, tmp_path / "x.html", str(runs["a_net", "one"]), str(odd))
    text = parse(html).text
    assert "On one, runs differ in protocol: a_net leave-one-subject-out, 8" in text
    assert "differ in selection of the epoch: a_net last; odd inner. These sc" in text
    assert "On one, runs were tested on other clips: a_net 48; odd 42." in text


def leaky(folder):
    """A clip of the first subject is tested in the fold of another."""
    file = folder / "predictions.csv"
    text = file.read_text()
    first = "casme2,casme200,clip0,casme200"
    assert first in text
    file.write_text(text.replace(first, "casme2,casme200,clip0,casme201"))


def flattering(folder):
    rewritten(folder / "metrics.json", uf1=0.99)


def edited(folder):
    file = folder / "metrics.json"
    file.write_text(
        file.read_text().replace('"wall_seconds": 125', '"wall_seconds": 12')
    )


def audited(folder):
    audit_of(folder, {"verdict": "violation", "text": "Frames are shared."})


def audit_of(folder, *findings):
    """What an audit left there, of these findings."""
    about = audit_against(read_run(folder), None).about
    record = {"about": list(about), "findings": list(findings)}
    (folder / "audit.json").write_text(json.dumps(record))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (leaky, "subjects that are tested are also trained on"),
        (flattering, "uf1"),
        (edited, "metrics.json"),
        (audited, "Frames are shared."),
    ],
)
def test_a_flawed_run_is_left_out_and_named(runs, tmp_path, damage, said, capsys):
    bad = shutil.copytree(runs["b_net", "one"], tmp_path / "bad")
    damage(bad)
    html = board(runs, tmp_path / "x.html", str(runs["a_net", "one"]), str(bad))
    assert {method for method, *_ in cells(html)} == {"a_net"}
    text = parse(html).text
    assert f"Left out: {bad}. Its audit finds a flaw:" in text
    capsys.readouterr()
    assert main(["leaderboard", str(bad), "--out", str(tmp_path / "y.html")]) == 1
    error = capsys.readouterr().err
    assert error.startswith(
        f"error: no run is left for a leaderboard. {bad}: Its audit"
    )
    assert said in error
    assert not (tmp_path / "y.html").exists()


def test_an_audit_is_told(runs, tmp_path):
    run = shutil.copytree(runs["b_net", "one"], tmp_path / "run")
    told = [{"verdict": v, "text": ""} for v in ("ok", "warning", "unknown")]
    audit_of(run, *told)
    html = board(runs, tmp_path / "x.html", str(run), str(runs["a_net", "one"]))
    found = {method: text for method, _, text in cells(html)}
    assert "audit: 1 warning" in found["b_net"]
    assert "not audited with its data" in found["a_net"]
    for content, said in (
        ("{", "audit.json is no audit"),
        ("[]", "audit.json is no audit"),
        ('{"findings": 3, "about": []}', "audit.json is no audit"),
        ('{"findings": [], "about": ["claimed: UF1 1"]}', "audited before it changed"),
    ):
        (run / "audit.json").write_text(content)
        html = board(runs, tmp_path / "x.html", str(run))
        assert said in next(text for *_, text in cells(html))


def test_what_is_not_finished_is_left_out(runs, tmp_path):
    half = shutil.copytree(runs["b_net", "one"], tmp_path / "half")
    (half / "metrics.json").unlink()
    html = board(runs, tmp_path / "x.html", str(runs["a_net", "one"]), str(half))
    assert f"Left out: {half}. It is not finished." in parse(html).text


def test_small_sizes_and_lost_seeds_are_marked(runs, tmp_path):
    run = shutil.copytree(runs["b_net", "one"], tmp_path / "run")
    file = run / "experiment.json"
    made = json.loads(file.read_text())["experiment"]
    rewritten(file, experiment={**made, "small": True, "seeds": [0, 5]})
    html = board(runs, tmp_path / "x.html", str(run))
    (cell,) = [text for *_, text in cells(html)]
    assert "small size" in cell and "not all seeds or folds" in cell
    assert "Runs that are small sizes (--small), and no results:" in parse(html).text
    assert '<table class="board cards">' in html  # one row has no order


def test_names_stay_text(runs, tmp_path):
    words = [f"{EVIL}={runs['a_net', 'one']}", f"x & y={runs['b_net', 'one']}"]
    out = tmp_path / "x.html"
    assert main(["leaderboard", *words, "--out", str(out), "--title", EVIL]) == 0
    html = out.read_text()
    assert EVIL not in html and str(escape(EVIL)) in html
    assert parse(html).tags.count("script") == 1


def test_words_that_make_no_board(runs, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = str(runs["a_net", "one"])
    assert main(["leaderboard", run, "--out", "web"]) == 2
    error = capsys.readouterr().err.strip()
    assert "the page is one file; name it, as in --out web/leaderboard.html" in error
    assert main(["leaderboard", run, *error.rpartition("as in ")[2].split()]) == 0
    assert (tmp_path / "web/leaderboard.html").is_file()
    capsys.readouterr()
    assert main(["leaderboard", run, run]) == 1
    assert "are both a_net on casme2" in capsys.readouterr().err
    assert main(["leaderboard", str(tmp_path / "none")]) == 1
    assert main(["leaderboard"]) == 2
    assert "jmer leaderboard needs run directories" in capsys.readouterr().err


@pytest.mark.parametrize("width", [390, 1280])
def test_in_a_browser(page, tmp_path, width):
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("Chromium is not installed")
    (tmp_path / "board.html").write_text(page)
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=chromium, args=["--no-sandbox"]
        )
        shown = browser.new_page(viewport={"width": width, "height": 800})
        said = []
        shown.on("console", lambda message: said.append(message.text))
        shown.goto((tmp_path / "board.html").as_uri())
        assert said == []
        assert shown.evaluate("document.documentElement.scrollWidth") == width
        nameless = """
            const named = (e) => document.getElementById(
                e.getAttribute("aria-labelledby"))?.textContent
                || e.getAttribute("aria-label");
            return [...document.querySelectorAll("section, nav, [role=region]")]
                .filter((e) => !named(e)?.trim()).length
            + [...document.querySelectorAll("table")]
                .filter((e) => !e.caption?.textContent.trim()).length
            + [...document.querySelectorAll("th")].filter((e) => !e.scope).length;
        """
        assert shown.evaluate(f"(() => {{ {nameless} }})()") == 0
        if width > 600:
            table = shown.locator("table.board")
            values = lambda: table.locator("td:nth-child(3)").all_inner_texts()  # noqa: E731
            table.get_by_role("button", name=re.compile("^one")).click()
            scores = [v.split()[0] for v in values()]
            assert scores[-1] == "not"
            assert scores[:2] == sorted(scores[:2], reverse=True)
        browser.close()


def test_unlike_sets_are_columns_of_their_own(runs, tmp_path):
    same = make(tmp_path / "x", "d_net", predictions_of(TWO, 0.5), data="elsewhere")
    html = board(runs, tmp_path / "x.html", str(runs["a_net", "comp"]), str(same))
    # The same clips under two names: one column, called by what is in it.
    assert {name for _, name, _ in cells(html)} == {"casme2 + samm + smic"}
    assert np.all([text.strip() != "not tried" for *_, text in cells(html)])


def test_a_board_of_action_units(tmp_path):
    for name in ("d_net", "e_net"):
        make(tmp_path / name, name, units_of(predictions_of(TWO, 0.5)), oracle=None)
    html = board({n: tmp_path / n for n in ("d_net", "e_net")}, tmp_path / "x.html")
    metrics = read_json(tmp_path / "d_net/metrics.json")
    assert "by F1." in html and "UF1" not in html
    (cell, _) = [text for *_, text in cells(html)]
    assert cell.split()[0] == f"{metrics['f1']:.4f}" and "oracle" not in cell


def test_parts_of_one_set_share_its_column(tmp_path):
    made = {"casme2": 4, "samm": 3}, {"casme2": 4, "samm": 3, "smic": 3}, {"smic": 3}
    folders = [
        make(tmp_path / name, name, predictions_of(sets, 0.6, seed=i), data=data)
        for i, (name, sets, data) in enumerate(
            (
                ("some", made[0], "folder"),
                ("whole", made[1], "folder"),
                ("last", made[2], "folder"),
                ("other", {"mmew": 3}, "folder"),  # another table of one's own
            )
        )
    ]
    html = board({}, tmp_path / "b.html", *map(str, folders))
    found = [(m, name) for m, name, text in cells(html) if "not tried" not in text]
    whole = "casme2 + samm + smic"
    assert {name for method, name in found if method in ("some", "whole", "last")} == {
        whole
    }
    assert ("other", "mmew") in found
    assert "runs were tested on other clips: " in parse(html).text
    reversed_ = board({}, tmp_path / "c.html", *map(str, folders[::-1]))
    again = [(m, n) for m, n, text in cells(reversed_) if "not tried" not in text]
    assert sorted(again) == sorted(found)
