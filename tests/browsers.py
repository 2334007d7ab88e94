"""A headless Chromium for the tests of the pages, where one is installed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
needs_browser = pytest.mark.skipif(
    BROWSER is None or DRIVER is None,
    reason="needs Chromium and ChromeDriver (Debian: chromium, chromium-driver)",
)

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--mute-audio",
)

WATCH = """
  window.seen = {playing: [], least: Infinity, most: -1};
  new MutationObserver(() => {
    for (const node of document.querySelectorAll('.playing')) {
      const name = node.dataset.moment ?? String([...node.parentNode.children].indexOf(node));
      if (!seen.playing.includes(name)) seen.playing.push(name);
    }
    const head = document.querySelector('.head');
    if (!head) return;
    seen.least = Math.min(seen.least, parseFloat(head.style.left));
    seen.most = Math.max(seen.most, parseFloat(head.style.left));
  }).observe(document.body, {subtree: true, childList: true, attributes: true});
"""
"""Notes in the page what plays, by its name or its place, and where the line of the sound has stood, in per
cent: on a busy machine a short sound may be over before a test asks."""


@contextmanager
def opened_browser(profile: Path, downloads: Path | None = None) -> Iterator[Any]:
    """A driver of Chromium, 1280 pixels wide, with its logs on.

    Args:
        profile: a folder for what it keeps.
        downloads: a folder for what it saves.
    """
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = str(BROWSER)
    for flag in (*FLAGS, f"--user-data-dir={profile}", "--window-size=1280,900"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    if downloads is not None:
        options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    try:
        yield driver
    finally:
        driver.quit()


class Visitor:
    """What a person does with a page, and sees of it."""

    def __init__(self, browser: Any) -> None:
        self.browser = browser

    def run(self, script: str) -> Any:
        return self.browser.execute_script(script)

    def all(self, selector: str) -> list[Any]:
        return list(self.browser.find_elements("css selector", selector))

    def text(self, selector: str) -> str:
        return str(self.browser.find_element("css selector", selector).text)

    def click(self, selector: str) -> None:
        self.browser.find_element("css selector", selector).click()

    def keys(self, *keys: str) -> None:
        from selenium.webdriver import ActionChains

        ActionChains(self.browser).send_keys(*keys).perform()

    def seen(self, what: str) -> Any:
        """What has played (``playing``), or where the line of the sound has stood; see ``WATCH``."""
        return self.run(f"return window.seen.{what}")
