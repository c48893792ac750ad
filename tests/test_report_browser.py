"""Reports in a real browser, on a phone and on a laptop."""

import shutil

import pytest
from test_report import EVIL, make_run

from jmer.report import write_comparison, write_report

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
WIDTHS = (390, 1280)


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        # Tests may run as root, who has no sandbox.
        yield started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    epochs = {"selected": [5] * 4, "oracle": [1, 2, 2, 5]}
    names = ("a class of a very long name " * 3, f"{EVIL}", "c")
    runs = [make_run(folder / "one", epochs=epochs), make_run(folder / "two")]
    runs.append(make_run(folder / "three", classes=names, name="x" * 90))
    for run in runs:
        write_report(run)
    write_comparison(runs, folder / "both")
    return [folder / name / "report.html" for name in ("one", "three", "both")]


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_runs_or_sticks_out(browser, pages, width):
    for file in pages:
        page, said = browser.new_page(viewport={"width": width, "height": 800}), []
        page.on("console", lambda message, said=said: said.append(message.text))
        page.on("pageerror", lambda error, said=said: said.append(str(error)))
        page.on("dialog", lambda box, said=said: said.append(box.message))
        page.goto(file.as_uri())
        for folded in page.query_selector_all("summary"):
            folded.click()
        assert said == []
        assert page.evaluate("document.documentElement.scrollWidth") == width
        images = "[...document.images].every(i => i.complete && i.naturalWidth > 0)"
        assert page.evaluate(images)


def test_columns_sort_the_rows(browser, pages):
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto(pages[0].as_uri())
    for folded in page.query_selector_all("summary"):
        folded.click()
    table = page.locator("table", has=page.get_by_role("button", name="Subject"))
    table = table.filter(has=page.get_by_role("button", name="ACC")).last

    def column(number):
        return table.locator(f"tbody td:nth-child({number})").all_inner_texts()

    before = column(4)
    assert before != sorted(before, reverse=True)
    table.get_by_role("button", name="ACC").click()
    assert column(4) == sorted(before, reverse=True)
    assert column(2) != sorted(column(2))  # rows move as a whole
    table.get_by_role("button", name="ACC").click()
    assert column(4) == sorted(before)
    table.get_by_role("button", name="Subject").click()
    assert column(2) == sorted(column(2))
    assert column(4) == before
    heads = table.locator("th[aria-sort]")
    assert heads.count() == 1
    assert heads.get_attribute("aria-sort") == "ascending"
