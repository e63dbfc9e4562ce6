"""JupyterLab in a real browser: every notebook is opened, run and looked at, in both themes.

DATAOPS_SCREENSHOTS names a folder for the pictures, DATAOPS_TEST_BROWSER the browser where it is not at hand by name.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import nbformat
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from dataops.local.stack import Stack
from dataops.workbook.lab import NOTEBOOKS
from dataops.workbook.run import find_batch, run_batch
from tests.lab_process import Lab, running_lab

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
OPTIONS = [
    "--no-sandbox", "--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run",
]  # fmt: skip
NAMES = sorted(path.name for path in NOTEBOOKS.glob("*.ipynb"))
PATIENCE = 300_000
TALL = 14_000
"""Pixels: a window in which a whole notebook is in sight, and so on its picture."""
EVIL = "<script>window.hit = 1</script><img src=x onerror='window.hit = 1'>"
PROBE = """
from dataops.workbook.table import Table
value = {evil!r}
Table([value], [[value], [value * 9]], value)
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's chromium, or the Chrome that is at hand."""
    path = os.environ.get("DATAOPS_TEST_BROWSER") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip("no chromium or Chrome on this machine: install one, or name it in DATAOPS_TEST_BROWSER")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=OPTIONS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def lab(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab on copies of the notebooks without their outputs, where the batch has run once: there is what to compare."""
    run_batch(find_batch("orders"), create_target=True, folder=tmp_path_factory.mktemp("runs"))
    place = tmp_path_factory.mktemp("lab")
    folder = place / "notebooks"
    folder.mkdir()
    for path in NOTEBOOKS.glob("*.ipynb"):
        notebook = nbformat.read(path, 4)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        nbformat.write(notebook, folder / path.name)
    kernel = {"kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"}}
    cells = [nbformat.v4.new_code_cell(PROBE.format(evil=EVIL)), nbformat.v4.new_code_cell("raise ValueError(value)")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), folder / "probe.ipynb")
    with running_lab(place, folder) as lab:
        yield lab


@pytest.fixture
def open_page(browser: Browser, lab: Lab) -> Iterator[Callable[..., Page]]:
    """Open a page of the lab; it may speak to loopback only."""
    asked: list[str] = []
    contexts = []

    def open_page(path: str, height: int = TALL) -> Page:
        context = browser.new_context(viewport={"width": 1500, "height": height})
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("websocket", lambda socket: asked.append(socket.url))
        page.set_default_timeout(PATIENCE)
        page.goto(f"{lab.address}/{path}?token={lab.token}&reset")
        page.wait_for_selector("#jupyterlab-splash", state="detached")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert asked
    assert {urlsplit(url).hostname for url in asked if urlsplit(url).scheme not in ("data", "blob")} == {"127.0.0.1"}


def await_kernel(page: Page) -> None:
    """Return once the notebook can run: Run All is lost on one whose kernel is not there yet."""
    page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status='idle']")
    page.wait_for_selector(".jp-CodeCell .jp-InputPrompt")
    page.wait_for_timeout(1500)  # the indicator is drawn before the session is set up, and nothing tells when that is


def run_all(page: Page) -> None:
    """Run > Run All Cells, as a user does, until every cell has a number."""
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).click()
    numbered = "[...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')].every(of => /^\\[\\d+\\]:?$/.test(of.textContent.trim()))"
    page.wait_for_function(numbered)
    page.wait_for_timeout(500)  # pictures are drawn after their cell is done


def keep(page: Page, name: str, tmp_path: Path) -> None:
    """Save what the page shows in both themes, down to the last cell."""
    folder = Path(os.environ.get("DATAOPS_SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    cells = page.locator(".jp-Notebook .jp-Cell")
    bottom = max(600, *(box["y"] + box["height"] + 24 for box in [cells.last.bounding_box()]))
    for theme in ("Light", "Dark"):
        page.get_by_role("menuitem", name="Settings", exact=True).click()
        page.get_by_text("Theme", exact=True).hover()
        page.get_by_text(f"JupyterLab {theme}", exact=True).click()
        light = str(theme == "Light").lower()
        page.wait_for_selector(f"body[data-jp-theme-light='{light}']", state="attached")
        page.wait_for_selector("#jupyterlab-splash", state="detached")
        page.wait_for_timeout(500)  # colours fade over
        clip = {"x": 0, "y": 0, "width": 1500, "height": min(bottom, TALL)}
        page.screenshot(path=folder / f"{name}-{theme.lower()}.png", clip=clip)


@pytest.mark.parametrize("name", NAMES)
def test_every_cell_of_a_notebook_runs(open_page, tmp_path, name):
    page = open_page(f"lab/tree/{name}")
    await_kernel(page)
    expect(page.locator(".jp-CodeCell .jp-OutputArea-output")).to_have_count(0)
    run_all(page)
    assert page.locator(".jp-RenderedText[data-mime-type*='stderr'], .jp-OutputArea-output .ansi-red-fg").count() == 0
    assert page.locator(".jp-CodeCell .jp-OutputArea-output").count() > 1
    expect(page.locator(".jp-CodeCell").last).to_contain_text("orders: ")
    keep(page, name.removesuffix(".ipynb"), tmp_path)


def test_three_clicks_lead_to_a_reconciled_run(open_page):
    page = open_page("lab", height=1000)
    page.get_by_role("listitem", name="04-run-batch").click()
    await_kernel(page)
    run_all(page)
    verdict = page.locator(".jp-CodeCell").last
    verdict.scroll_into_view_if_needed()
    expect(verdict).to_contain_text("orders: succeeded; 6,000 source rows = 6,000 target + 0 rejected + 0 dropped.")


def test_a_cell_of_a_table_that_holds_markup_is_text(open_page, tmp_path):
    page = open_page("lab/tree/probe.ipynb", height=1000)
    await_kernel(page)
    run_all(page)
    keep(page, "markup", tmp_path)
    assert page.locator(".jp-OutputArea-output table").inner_text().count("<img src=x onerror=") >= 3
    assert page.locator(".jp-OutputArea-output").last.inner_text().count("<img src=x onerror=") >= 1
    assert page.locator(".jp-OutputArea-output img").count() == 0
    assert page.evaluate("window.hit") is None


def test_nobody_is_warned_or_bothered(open_page, lab):
    page = open_page("lab", height=1000)
    assert page.locator(".jp-toast, .Toastify__toast, .jp-Dialog").count() == 0
    said = [line for line in lab.log.read_text().splitlines() if line.startswith("[W") or "Warning" in line]
    assert [line for line in said if not line.endswith("is not trusted")] == []  # nobody has looked at these copies yet
