"""A headless Chromium for tests of pages; skipped where it is not installed."""

import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def chromium():
    """A browser, driven by selenium; the test is skipped where there is none."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    program = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
    driver = shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("no browser: Chromium and chromedriver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        yield browser
    finally:
        browser.quit()


def visit(browser, path: Path) -> None:
    """Open a page from its file; what its script complains about is an error."""
    browser.get(path.resolve().as_uri())
    messages = [entry["message"] for entry in browser.get_log("browser")]
    assert messages == []


def value(browser, name: str, to: float) -> None:
    """Move a slider as a hand does: its value changes, and the page hears of it."""
    browser.execute_script(
        "const slider = document.getElementById(arguments[0]); slider.value = arguments[1];"
        "slider.dispatchEvent(new Event('input', {bubbles: true}));",
        name,
        to,
    )


def text(browser, name: str) -> str:
    """What an element shows."""
    return browser.find_element("id", name).text
