"""The page in a real browser: search, sort, play, keyboard, hostile text, a narrow screen, dark and light."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from browsers import WATCH, Visitor, needs_browser, opened_browser
from waiting import wait_for

from amr.moments import Moment, Span
from amr.report.page import build_page
from amr.report.page_sound import SoundOptions, page_recordings
from amr.report.records import Case

pytest.importorskip("selenium", reason="needs selenium (pip) to drive a browser")
pytestmark = needs_browser

HOSTILE = "<script>window.hacked=1</script></script><img src=x onerror='window.hacked=1'>\u2028\"&quot;"


BROKEN_NAMES = """
  const broken = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const node = texts.currentNode;
    if (!node.parentNode.closest('.where, .recording, .facts')) continue;
    for (const word of node.data.matchAll(/[^\\s/_.-]+/g)) {
      const range = document.createRange();
      range.setStart(node, word.index);
      range.setEnd(node, word.index + word[0].length);
      if (new Set([...range.getClientRects()].map((box) => box.top)).size > 1) broken.push(word[0]);
    }
  }
  return broken;
"""
"""The words of names that do not stand on one line."""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with opened_browser(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


def cases() -> list[Case]:
    found = [Moment(2, 3, 0.9), Moment(6, 7.5, 0.6), Moment(2.5, 4, 0.3)]
    truth = [Span(2, 3.5), Span(8, 9)]
    return [
        Case("q1", "a dog barks", "street", found, truth, [0.1, 0.9, 0.2, 0.4], 10.0, 2 / 3),
        Case("q2", "birds sing", "forest", [Moment(0.5, 1.5, 0.4)], [Span(5, 6)], [], 10.0, 0.0),
        Case(3, HOSTILE, "../../../etc/passwd", [Moment(1, 2, 0.95)], None, [], 10.0),
        Case("q4", "a car passes the dog", "javascript:window.hacked=1", [], [Span(1, 2)], [], 10.0),
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
        Case(i, f"query {i}", f"recording {i // 3}", [Moment(1, 2, i / 3000)], [Span(1, 2)], [], 60.0, 1.0)
        for i in range(3000)
    ]
    (folder / "many.html").write_text(build_page(many, {}, title="many"))
    return folder


@pytest.fixture
def page(browser: Any, folder: Path) -> Callable[..., Page]:
    def load(name: str = "linked") -> Page:
        browser.get((folder / f"{name}.html").as_uri())
        browser.execute_script(WATCH)
        return Page(browser)

    return load


class Page(Visitor):
    """The report page; its recordings are of ten seconds."""

    def queries(self) -> list[str]:
        return [row.text for row in self.all("#rows td:first-child")]

    def playing(self) -> list[str]:
        return list(self.run("return [...document.querySelectorAll('.playing')].map(n => n.dataset.moment)"))

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        wait_for(condition, lambda: f"{what}: status {self.text('#status')!r}")

    def stood_s(self, what: str) -> float:
        """The ``least`` and the ``most`` of where the line of the sound has stood, in seconds."""
        return float(self.seen(what) or 0) / 10


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
    shown.wait(lambda: shown.stood_s("most") >= 6, "plays")
    shown.wait(lambda: shown.playing() == [], "stops")
    assert shown.seen("playing") == ["p1"]
    assert shown.stood_s("least") >= 6, "from the start of the moment"
    assert shown.stood_s("most") < 7.6, "to its end"
    assert shown.text("#status") == ""


def test_sound_is_played_from_any_place(page: Callable[..., Page]) -> None:
    shown = page()
    shown.click(".sound")  # the middle
    shown.wait(lambda: shown.stood_s("most") > 5.05, "plays on")
    assert 4.9 < shown.stood_s("least") < 5.6, "from the middle"


def test_keyboard(page: Callable[..., Page]) -> None:
    shown = page()
    shown.keys("j")
    assert shown.text("#detail h2") == "birds sing"
    shown.keys("k")
    shown.keys("2", " ")  # at once: the moment is short
    shown.wait(lambda: shown.stood_s("most") >= 6, "2 plays the second moment")
    assert set(shown.playing()) == {"p1"}, "space pauses"
    shown.keys(" ")
    shown.wait(lambda: shown.playing() == [], "space goes on, to the end")
    assert shown.stood_s("most") > 6.5
    shown.keys("t")
    shown.keys("t")
    assert shown.seen("playing") == ["p1", "t0", "t1"]
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
        "window.blocked = 0; addEventListener('securitypolicyviolation', () => { window.blocked += 1; });"
        "const s = document.createElement('div'); s.innerHTML = '<img src=x onerror=\"window.hacked=1\">';"
        "document.body.append(s);"
        "const t = document.createElement('script'); t.textContent = 'window.hacked=2';"
        "document.body.append(t)"
    )
    shown.wait(lambda: shown.run("return window.blocked") >= 2, "blocks both")
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
    shown.wait(lambda: shown.stood_s("most") >= 2, "plays")
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
        shown.wait(lambda: shown.stood_s("most") > 0, "plays")
    finally:
        shown.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_question_stands_once_above_its_recordings(page: Callable[..., Page], folder: Path) -> None:
    """Answers over many recordings; on a phone each row names its recording."""
    long_name = "north/2024-06-11/a_very_long_name_of_a_recording_made_at_the_river"
    several = [
        Case(f"q_{vid}", "a dog barks", vid, [Moment(1, 2, 0.5)], None, [], 10.0)
        for vid in ("street", long_name, "yard")
    ]
    (folder / "several.html").write_text(build_page(several, {}, title="several"))
    shown = page("several")
    assert [row.text for row in shown.all("#rows .question")] == ["a dog barks", "", ""]
    shown.click("[data-sort=recording]")
    assert [row.text for row in shown.all("#rows .question")] == ["a dog barks", "", ""]
    phone = {"width": 390, "height": 780, "deviceScaleFactor": 2, "mobile": True}
    shown.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    try:
        assert [row.text for row in shown.all("#rows .where")] == [long_name, "street", "yard"]
        assert shown.run("return document.documentElement.scrollWidth") == 390
        assert shown.run(BROKEN_NAMES) == []
        shown.click("#rows tr")
        assert shown.text("#detail .facts").startswith(long_name)
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
    shown.run(
        "const s = document.getElementById('search'); s.value = '2'; s.dispatchEvent(new Event('input'));"
        "s.value = '123'; s.dispatchEvent(new Event('input'))"
    )
    rows = [row.text for row in shown.all("#rows tr")]
    assert 0 < len(rows) <= 100, "as many as are seen"
    assert all("123" in row for row in rows)
