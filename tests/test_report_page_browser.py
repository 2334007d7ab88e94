"""The page in a real browser: search, sort, play, keyboard, hostile text, a narrow screen, dark and light."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from amr.moments import Moment, ScoredMoment
from amr.report.page import build_page
from amr.report.page_sound import SoundOptions, page_recordings
from amr.report.records import Case

pytest.importorskip("selenium", reason="needs selenium (pip) to drive a browser")
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
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

HOSTILE = "<script>window.hacked=1</script></script><img src=x onerror='window.hacked=1'>\u2028\"&quot;"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = str(BROWSER)
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}", "--window-size=1280,900"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


def cases() -> list[Case]:
    found = [ScoredMoment(2, 3, 0.9), ScoredMoment(6, 7.5, 0.6), ScoredMoment(2.5, 4, 0.3)]
    truth = [Moment(2, 3.5), Moment(8, 9)]
    return [
        Case("q1", "a dog barks", "street", found, truth, [0.1, 0.9, 0.2, 0.4], 10.0),
        Case("q2", "birds sing", "forest", [ScoredMoment(0.5, 1.5, 0.4)], [Moment(5, 6)], [], 10.0),
        Case(3, HOSTILE, "../../../etc/passwd", [ScoredMoment(1, 2, 0.95)], None, [], 10.0),
        Case("q4", "a car passes the dog", "javascript:window.hacked=1", [], [Moment(1, 2)], [], 10.0),
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``linked.html``, ``embedded.html``, ``missing.html`` and ``many.html`` with their recordings."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "audio files").mkdir()
    files = {}
    for vid, pitch in (("street", 5.0), ("forest", 2.0)):
        files[vid] = folder / "audio files" / f"{vid}#1 100%.wav"
        soundfile.write(files[vid], np.sin(np.arange(10 * 16_000) / pitch) * 0.3, 16_000)
    linked = page_recordings(cases(), files, SoundOptions(folder))
    embedded = page_recordings(cases(), files, SoundOptions(folder, embed=3))
    (folder / "linked.html").write_text(build_page(cases(), linked, title="A <b>title</b>"))
    (folder / "embedded.html").write_text(build_page(cases(), embedded, title="t", embedded=True))
    missing = page_recordings(cases(), files, SoundOptions(folder / "elsewhere"))
    (folder / "missing.html").write_text(build_page(cases(), missing, title="t"))
    many = [
        Case(i, f"query {i}", f"recording {i // 3}", [ScoredMoment(1, 2, i / 3000)], [Moment(1, 2)], [], 60.0)
        for i in range(3000)
    ]
    (folder / "many.html").write_text(build_page(many, {}, title="many"))
    return folder


@pytest.fixture
def page(browser: Any, folder: Path) -> Callable[..., Page]:
    def load(name: str = "linked") -> Page:
        browser.get((folder / f"{name}.html").as_uri())
        return Page(browser)

    return load


class Page:
    """What a person does with the page."""

    def __init__(self, browser: Any) -> None:
        self.browser = browser

    def all(self, selector: str) -> list[Any]:
        return list(self.browser.find_elements("css selector", selector))

    def text(self, selector: str) -> str:
        return str(self.browser.find_element("css selector", selector).text)

    def click(self, selector: str) -> None:
        self.browser.find_element("css selector", selector).click()

    def keys(self, *keys: str) -> None:
        from selenium.webdriver import ActionChains

        ActionChains(self.browser).send_keys(*keys).perform()

    def queries(self) -> list[str]:
        return [row.text for row in self.all("#rows td:first-child")]

    def run(self, script: str) -> Any:
        return self.browser.execute_script(script)

    def playing(self) -> list[str]:
        return list(self.run("return [...document.querySelectorAll('.playing')].map(n => n.dataset.moment)"))

    def wait(self, condition: Callable[[], bool], what: str, seconds: float = 5.0) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"{what}: status {self.text('#status')!r}"
            time.sleep(0.03)

    def head(self) -> float:
        """Where the line of the playing sound stands, in seconds of a recording of ten; -1: nowhere."""
        return float(
            self.run(
                "const h = document.querySelector('.sound .head');"
                "return h ? parseFloat(h.style.left) / 10 : -1"
            )
        )


def test_it_shows_what_is_in_the_file(page: Callable[..., Page]) -> None:
    shown = page()
    assert shown.text("h1") == "A <b>title</b>"
    assert shown.text("#summary") == "4 of 4 queries, 4 of 4 recordings"
    assert shown.text("#detail h2") == "a dog barks"
    assert "best answer IoU 0.67" in shown.text("#detail .facts")
    assert len(shown.all(".lane .mark.true")) == 2
    assert len(shown.all(".lane .mark:not(.true)")) == 3
    assert shown.run("return document.querySelector('.sound img').naturalWidth") > 100
    assert len(shown.all(".curve path")) == 1


def test_search(page: Callable[..., Page]) -> None:
    shown = page()
    shown.keys("/")
    shown.keys("dog")
    assert shown.queries() == ["a dog barks", "a car passes the dog"]
    shown.keys(" CAR")
    assert shown.queries() == ["a car passes the dog"]
    shown.keys("xyz")
    assert shown.queries() == []
    assert shown.text("#nothing") == "Nothing matches."
    shown.run("document.getElementById('search').value = 'forest'")
    shown.keys(" ")
    assert shown.queries() == ["birds sing"]
    shown.keys("\ue007")  # Enter: choose the first that is found
    assert shown.text("#detail h2") == "birds sing"


def test_sort_and_filter(page: Callable[..., Page]) -> None:
    shown = page()
    shown.click("[data-sort=query]")
    assert [query[:6] for query in shown.queries()] == ["<scrip", "a car ", "a dog ", "birds "]
    shown.click("[data-sort=query]")
    assert [query[:6] for query in shown.queries()] == ["birds ", "a dog ", "a car ", "<scrip"]
    assert [th.get_attribute("aria-sort") for th in shown.all("th[aria-sort]")] == ["descending"]
    shown.click("[data-sort=best]")
    assert [query[:6] for query in shown.queries()] == ["<scrip", "a dog ", "birds ", "a car "]
    shown.click("[data-sort=iou]")
    assert shown.queries()[0] == "a dog barks"
    shown.run(
        "const f = document.getElementById('filter'); f.value = 'found'; f.dispatchEvent(new Event('change'))"
    )
    assert shown.queries() == ["a dog barks"]


@pytest.mark.parametrize("name", ["linked", "embedded"])
def test_a_click_plays_the_moment_and_stops_at_its_end(page: Callable[..., Page], name: str) -> None:
    shown = page(name)
    shown.click(".finds .mark[data-moment=p1]")
    shown.wait(lambda: shown.head() >= 6, "plays from the start of the moment")
    assert set(shown.playing()) == {"p1"}
    assert 6 <= shown.head() < 7.6
    shown.wait(lambda: shown.playing() == [], "stops at the end of the moment")
    assert shown.text("#status") == ""


def test_sound_is_played_from_any_place(page: Callable[..., Page]) -> None:
    shown = page()
    shown.click(".sound")  # the middle
    shown.wait(lambda: shown.head() > 5.05, "plays on from the middle")
    assert shown.head() < 7


def test_keyboard(page: Callable[..., Page]) -> None:
    shown = page()
    shown.keys("j")
    assert shown.text("#detail h2") == "birds sing"
    shown.keys("k")
    shown.keys("2")
    shown.wait(lambda: shown.head() >= 6, "2 plays the second moment")
    shown.keys(" ")
    still = shown.head()
    time.sleep(0.15)
    assert shown.head() == pytest.approx(still, abs=0.05)
    shown.keys(" ")
    shown.wait(lambda: shown.head() > still, "space goes on")
    shown.keys("t")
    assert set(shown.playing()) == {"t0"}
    shown.keys("t")
    assert set(shown.playing()) == {"t1"}
    shown.keys("\ue00c")  # Escape
    assert shown.playing() == []
    shown.keys("?")
    assert shown.run("return document.getElementById('help').open") is True
    shown.click("#help button")
    assert shown.run("return document.getElementById('help').open") is False


def test_every_control_is_reached_by_tab(page: Callable[..., Page]) -> None:
    shown = page()
    reached = set()
    for _ in range(40):
        shown.keys("\ue004")  # Tab
        reached.add(
            shown.run("const a = document.activeElement; return a.id || a.dataset.moment || a.tagName")
        )
    assert {"search", "theme", "keys", "p0", "t0"} <= reached


def test_hostile_text_does_nothing(page: Callable[..., Page]) -> None:
    shown = page()
    shown.click("#rows tr:nth-child(3)")
    shown.keys("1")
    assert "without the recordings" in shown.text("#status")
    assert shown.run("return document.querySelector('#detail h2').textContent") == HOSTILE
    shown.click("#rows tr:nth-child(4)")
    shown.keys("t")
    assert shown.run("return window.hacked") is None
    assert shown.run("return document.scripts.length") == 2
    assert shown.all("#rows img, #detail h2 *") == []


def test_the_policy_blocks_what_is_put_in(page: Callable[..., Page]) -> None:
    shown = page()
    shown.run(
        "const s = document.createElement('div'); s.innerHTML = '<img src=x onerror=\"window.hacked=1\">';"
        "document.body.append(s);"
        "const t = document.createElement('script'); t.textContent = 'window.hacked=2';"
        "document.body.append(t)"
    )
    time.sleep(0.1)
    assert shown.run("return window.hacked") is None


def test_a_lost_recording_is_told(page: Callable[..., Page]) -> None:
    shown = page("missing")
    shown.keys("1")
    shown.wait(lambda: "cannot be played" in shown.text("#status"), "says what is wrong")


def test_it_asks_no_network_and_logs_no_error(page: Callable[..., Page]) -> None:
    import json

    shown = page()
    shown.browser.get_log("browser")
    shown.browser.get_log("performance")
    shown = page()
    shown.keys("1")
    shown.wait(lambda: shown.head() >= 2, "plays")
    assert [entry for entry in shown.browser.get_log("browser") if entry["level"] == "SEVERE"] == []
    events = [json.loads(entry["message"])["message"] for entry in shown.browser.get_log("performance")]
    urls = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
    assert urls
    assert all(url.startswith(("file:", "data:")) for url in urls)


@pytest.mark.parametrize("width", [320, 390])
def test_a_narrow_screen(page: Callable[..., Page], width: int) -> None:
    shown = page()
    phone = {"width": width, "height": 780, "deviceScaleFactor": 2, "mobile": True}
    shown.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    try:
        assert shown.run("return document.documentElement.scrollWidth") == width
        assert shown.run("return window.innerWidth") == width
        buttons = shown.run(
            "return [...document.querySelectorAll('button')].map(b => b.getBoundingClientRect().right)"
        )
        assert max(buttons) <= width
        shown.click("#rows tr:nth-child(2)")
        assert shown.text("#detail h2") == "birds sing"
        shown.click("#detail .mark")
        shown.wait(lambda: shown.head() > 0, "plays")
    finally:
        shown.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_light_and_dark(page: Callable[..., Page]) -> None:
    shown = page()
    paper = "return getComputedStyle(document.body).backgroundColor"
    seen = {}
    for scheme in ("light", "dark"):
        feature = {"name": "prefers-color-scheme", "value": scheme}
        shown.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        seen[scheme] = shown.run(paper)
    assert seen == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 26)"}
    shown.click("#theme")
    assert shown.run(paper) == seen["light"]
    shown.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_a_thousand_recordings(page: Callable[..., Page]) -> None:
    shown = page("many")
    assert shown.text("#summary") == "3000 of 3000 queries, 1000 of 1000 recordings"
    assert len(shown.all("#rows tr")) <= 200
    shown.click("[data-sort=best]")
    assert shown.queries()[0] == "query 2999"
    shown.run("window.scrollTo(0, document.body.scrollHeight)")
    shown.wait(lambda: len(shown.all("#rows tr")) >= 200, "more rows come")
    took_ms = shown.run(
        "const t = performance.now(); const s = document.getElementById('search'); s.value = '123';"
        "s.dispatchEvent(new Event('input')); return performance.now() - t"
    )
    assert took_ms < 1000
    rows = [row.text for row in shown.all("#rows tr")]
    assert rows
    assert all("123" in row for row in rows)
