"""Reports in a real browser, on a phone and on a laptop."""

import re
import shutil

import numpy as np
import pytest
from test_looks import make_looks
from test_report import EVIL, make_predictions, make_run

from jmer.files import write_bytes, write_json
from jmer.report import write_comparison, write_report
from jmer.report.draw.confusion import confusion_png
from jmer.report.looks import hardest
from jmer.report.pictures import index_of
from jmer.report.render.blocks import Figure

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
    keys = [list(key) for key, _ in hardest(make_predictions(("a", "b", "c")))]
    make_looks(runs[0], keys)
    png = confusion_png(np.eye(2, dtype=int), ["a", "b"])
    figure = Figure("figures/a.png", "what it is", "as it is", png)
    index = index_of(EVIL, ["It says so."], [figure], tuple(keys[0]))
    write_json(runs[0] / "explain/first/explain.json", index)
    write_bytes(runs[0] / "explain/first/figures/a.png", png)
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


@pytest.mark.parametrize("width", WIDTHS)
def test_links_lead_to_what_is_folded(browser, pages, width):
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.goto(pages[0].as_uri())
    contents = page.get_by_role("navigation", name="Contents").get_by_role("link")
    titles = page.locator("h2").all_inner_texts()
    assert contents.all_inner_texts() == titles
    page.locator(".meter a").first.focus()
    page.keyboard.press("Enter")
    words = page.get_by_role("region", name="Words", exact=True).first
    assert words.locator("details[open]").count() == 1
    meaning = words.locator("dd").first
    assert meaning.bounding_box()["y"] < 800 and "Unweighted" in meaning.inner_text()
    # Folded again, the same link unfolds it again.
    words.locator("summary").click()
    page.locator(".meter a").first.click()
    assert words.locator("details[open]").count() == 1
    # From a hard clip to its explanation.
    page.locator("summary", has_text="Clips most often wrong").click()
    page.locator("td a, th a").first.click()
    explained = page.locator("#explained-first")
    assert explained.locator("img").bounding_box()["height"] > 50


def test_everything_has_a_name(browser, pages):
    for file in pages:
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(file.as_uri())
        nameless = """
            const told = (e) => e.getAttribute("aria-labelledby");
            const named = (e) => e.getAttribute("aria-label")
                || document.getElementById(told(e))?.textContent;
            return [...document.querySelectorAll("section, nav, [role=region]")]
                .filter((e) => !named(e)?.trim()).length
            + [...document.images].filter((e) => !e.alt.trim()).length
            + [...document.querySelectorAll("table")]
                .filter((e) => !e.caption?.textContent.trim()).length
            + [...document.querySelectorAll("th")].filter((e) => !e.scope).length
            + [...document.querySelectorAll("a")]
                .filter((e) => !document.getElementById(e.hash.slice(1))).length;
        """
        assert page.evaluate(f"(() => {{ {nameless} }})()") == 0
        ids = page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
        assert len(ids) == len(set(ids))


def test_print_shows_what_is_folded_on_few_pages(browser, pages):
    page = browser.new_page()
    page.goto(pages[0].as_uri())
    page.emulate_media(media="print")
    for each in page.locator("details").all():
        assert each.locator("> :not(summary)").first.bounding_box()["height"] > 5
    for each in page.locator("h2, summary, thead").all():
        assert each.evaluate("e => getComputedStyle(e).breakAfter") == "avoid"
    assert page.get_by_role("navigation").count() == 0
    printed = page.pdf(format="A4")
    assert 1 < len(re.findall(rb"/Type\s*/Page\b", printed)) <= 4
    # And afterwards all is as it was.
    page.emulate_media(media="screen")
    assert page.locator("details[open]").count() == 0


def test_charts_are_dark_in_the_dark_and_light_on_paper(browser, pages):
    page = browser.new_page(color_scheme="dark")
    page.goto(pages[0].as_uri())
    filters = (
        "[...document.querySelectorAll('.chart')].map(e => getComputedStyle(e).filter)"
    )
    assert set(page.evaluate(filters)) == {"invert(1) hue-rotate(180deg)"}
    page.emulate_media(media="print")
    assert set(page.evaluate(filters)) == {"none"}
    paper = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(paper) == "rgb(255, 255, 255)"
