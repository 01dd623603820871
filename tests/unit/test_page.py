"""The report's page in a browser, at a desk's and at a telephone's width."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from chromium import WIDTHS, needs_chromium, set_width
from facefill.metrics import face_metrics, set_metrics
from report_tree import Tree

pytestmark = needs_chromium
MASKS = {
    "center": {"kind": "center", "scale": 0.25},
    "random80": {"kind": "random", "hidden": 0.8, "seed": 0},
    "full": {"kind": "full"},
    "lowres": {"kind": "lowres", "factor": 8},
}
# In no order: the noise of "two" is the largest number but not the largest text.
METHODS = {"one": (20, 1), "two_with_a_long_name": (110, 2), "three": (9, 0), "four": (60, 2)}
METHODS |= {f"another{number}": (40 + number, 0) for number in range(4)}
FACES, SIZE = 6, 16
# What stands in the columns of the tables.
FACE = ["method", "faces", *face_metrics("page")]
SET = ["method", *set_metrics("completions", where="page")]
DIVERSE = {"two_with_a_long_name": 1.5, "four": 0.25}  # the others have no value


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    rng = np.random.default_rng(0)
    faces = rng.integers(0, 256, (3 * FACES, SIZE // 8, SIZE // 8, 3), dtype=np.uint8)
    faces = faces.repeat(8, axis=1).repeat(8, axis=2)
    rejects = ["a/very/long/path/" + 20 * "without-a-space" + ".jpg", "short.jpg"]
    tree = Tree(tmp_path_factory.mktemp("results"), faces, MASKS, METHODS, rejects)
    for method in METHODS:
        file = tree.root / "center" / method / "set_metrics.csv"
        table = pd.read_csv(file)
        value = DIVERSE.get(method, np.nan)
        table.loc[table["metric"] == "diversity", ["value", "low", "high"]] = value
        table.to_csv(file, index=False)
    return tree.report(tmp_path_factory.mktemp("report"))


@pytest.fixture(params=WIDTHS)
def opened(request, browser, outputs):
    """The page at one width, all its details open."""
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    show(browser, outputs, request.param)
    browser.execute_script("for (const part of document.querySelectorAll('details')) part.open = 1")
    return browser


def show(browser, outputs, width):
    set_width(browser, width)
    browser.get(Path(outputs.index).as_uri())


def table(browser, caption):
    return browser.find_element(By.CSS_SELECTOR, f'[aria-label="{caption}"] table')


def column(browser, caption, number):
    script = (
        "return [...arguments[0].tBodies[0].rows].map(row => row.cells[arguments[1]].innerText)"
    )
    texts = browser.execute_script(script, table(browser, caption), number)
    return [text.split("\n")[0].strip() for text in texts]


def heading(browser, caption, number):
    heads = table(browser, caption).find_elements(By.CSS_SELECTOR, "thead th")
    return heads[number], heads[number].find_element(By.TAG_NAME, "button")


def test_nothing_is_wider_than_the_window(opened):
    width, window = opened.execute_script(
        "const page = document.documentElement; return [page.scrollWidth, page.clientWidth]"
    )
    assert width <= window


def test_names_are_not_broken_into_letters(opened):
    heights = opened.execute_script(
        "return [...document.querySelectorAll('.sortable tr')].map(row => row.clientHeight)"
    )
    assert max(heights) < 120


def test_the_pictures_of_a_grid_stay_large_enough_to_see(opened):
    widths = opened.execute_script(
        "return [...document.querySelectorAll('.group img')].map(image => image.clientWidth)"
    )
    assert len(widths) > 100 and min(widths) >= 70


def test_all_pictures_load(opened):
    images = opened.execute_script(
        "return [...document.images].map(image => [image.complete, image.naturalWidth, image.alt])"
    )
    assert len(images) > 100
    assert [alt for complete, width, alt in images if not (complete and width)] == []
    assert all(alt for _, _, alt in images)


def test_the_console_is_empty(opened):
    opened.get_log("browser")
    opened.refresh()
    heading(opened, "Measures under the mask center", 2)[1].click()
    assert opened.get_log("browser") == []


def test_a_click_sorts_numbers_with_the_best_first(opened, outputs):
    caption = "Measures under the mask center"
    summary = pd.read_csv(outputs.summary).query("mask == 'center'")
    configured = column(opened, caption, 0)
    assert configured == list(METHODS)
    for metric, ascending in (("hole_psnr", False), ("identity_distance", True)):
        head, button = heading(opened, caption, FACE.index(metric))
        for order in (ascending, not ascending):
            button.click()
            expected = summary.sort_values(metric, ascending=order, kind="stable")["method"]
            assert column(opened, caption, 0) == list(expected)
            assert head.get_attribute("aria-sort") == ("ascending" if order else "descending")
    assert heading(opened, caption, FACE.index("hole_psnr"))[0].get_attribute("aria-sort") is None
    # 100 stands above 20 and 9: not as text.
    number = FACE.index("hole_l1")
    error = [float(text) for text in column(opened, caption, number)]
    heading(opened, caption, number)[1].send_keys(Keys.ENTER)  # scrolls it into view
    assert [float(text) for text in column(opened, caption, number)] == sorted(error)
    assert len({len(str(int(value))) for value in error}) > 1


def test_the_keyboard_sorts_text(opened):
    caption = "Measures under the mask random80"
    _, button = heading(opened, caption, 0)
    opened.execute_script("arguments[0].focus()", button)
    for key, order in ((Keys.ENTER, False), (Keys.SPACE, True)):
        opened.switch_to.active_element.send_keys(key)
        assert column(opened, caption, 0) == sorted(METHODS, reverse=order)
    opened.switch_to.active_element.send_keys(Keys.TAB)
    assert opened.switch_to.active_element.text.startswith("faces")


def test_what_is_missing_comes_last_both_ways(opened):
    """The diversity, of which two methods have a value."""
    caption = "Measures of the whole set under the mask center"
    number = SET.index("diversity")
    _, button = heading(opened, caption, number)
    for present in (["1.500", "0.250"], ["0.250", "1.500"]):
        button.click()
        assert column(opened, caption, number) == present + ["–"] * (len(METHODS) - 2)
    assert column(opened, "Measures under the mask full", 2) == ["–"] * len(METHODS)


def test_every_table_can_be_sorted_by_every_column(opened):
    rows = "return [...document.querySelectorAll('.sortable')].map(t => t.tBodies[0].rows.length)"
    before = opened.execute_script(rows)
    buttons = opened.find_elements(By.CSS_SELECTOR, ".sortable th button")
    heads = opened.find_elements(By.CSS_SELECTOR, ".sortable th")
    assert len(buttons) == len(heads) > 50
    opened.execute_script("for (const button of arguments[0]) button.click()", buttons)
    assert opened.execute_script(rows) == before
    sorted_by = opened.find_elements(By.CSS_SELECTOR, ".sortable th[aria-sort]")
    assert len(sorted_by) == len(before)


def test_without_a_script_the_tables_stand_as_configured(browser, outputs):
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    show(browser, outputs, 1280)
    assert browser.find_elements(By.CSS_SELECTOR, ".sortable th button") == []
    first = table(browser, "Measures under the mask center").find_elements(
        By.CSS_SELECTOR, "tbody td:first-child"
    )
    assert [cell.text for cell in first] == list(METHODS)
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
