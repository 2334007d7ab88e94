"""The page in a real browser: types, plays, accepts, drags, names, exports, reloads, and finds its labels."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from browsers import WATCH, Visitor, needs_browser, opened_browser
from serve_world import opened_page
from waiting import wait_for

pytest.importorskip("selenium", reason="needs selenium (pip) to drive a browser")

from amr.formats.labels import Label, read_labels
from amr.formats.queries import Query
from amr.serve.routes import Page
from amr.serve.server import link_to

pytestmark = needs_browser
ESCAPE, ENTER = "\ue00c", "\ue007"
LEFT, RIGHT = "\ue012", "\ue014"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("served")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Iterator[Any]:
    (folder / "downloads").mkdir()
    with opened_browser(tmp_path_factory.mktemp("profile"), folder / "downloads") as driver:
        yield driver


@pytest.fixture(scope="module")
def served(folder: Path) -> Iterator[Page]:
    with pytest.MonkeyPatch.context() as patch, opened_page(folder) as opened:
        patch.setattr("amr.serve.moments.learn", lambda _search, words, *_: Query(words))
        yield opened.page


class Visit(Visitor):
    """The page of ``amr serve``."""

    def __init__(self, browser: Any, page: Page) -> None:
        super().__init__(browser)
        self.page = page

    def wait(self, condition: Callable[[], Any], what: str) -> None:
        wait_for(
            lambda: bool(condition()), lambda: f"{what}: {self.text('#status')!r} {self.text('#state')!r}"
        )

    def asks(self, text: str) -> None:
        """Type a question, and wait for its whole answer."""
        self.keys(ESCAPE, "/", text)
        self.waits_for_answers(text)
        self.keys(ESCAPE)

    def waits_for_answers(self, *texts: str) -> None:
        """Until these questions are answered: not the beginning of one, and not by the quick look."""
        shown = "[...document.querySelectorAll('.block')].map(block => block.dataset.question)"
        state = f"return [document.querySelector('#state.busy') === null, ...{shown}]"
        self.wait(lambda: self.run(state) == [True, *texts], f"answers {texts}")

    def names(self) -> list[str]:
        return list(self.run("return [...document.querySelectorAll('.moment .name')].map(n => n.innerText)"))

    def labels(self) -> list[Label]:
        return read_labels(self.page.labels.path) if self.page.labels.path.exists() else []

    def waits_for_labels(self, *expected: Label) -> None:
        self.wait(lambda: self.labels() == list(expected), f"labels are {self.labels()}, not {expected}")


@pytest.fixture
def visit(browser: Any, served: Page) -> Visit:
    """The page, just opened by its link, without labels and without a history."""
    browser.get("about:blank")
    wait_for(lambda: not served.writing.are_busy)  # what the last page had sent
    served.labels.path.unlink(missing_ok=True)
    browser.get(link_to(served, "127.0.0.1"))
    browser.execute_script("localStorage.clear()")
    browser.get(link_to(served, "127.0.0.1"))
    browser.execute_script(WATCH)
    shown = Visit(browser, served)
    shown.wait(lambda: shown.all("#first td"), "shows what is here")
    return shown


BEST = {"vid": "20240611_053000", "query": "a dog barks"}


def test_the_first_view(visit: Visit) -> None:
    assert visit.browser.current_url == f"http://127.0.0.1:{visit.page.access.port}/"
    assert visit.text("#title") == "test"
    assert visit.text("#summary") == "4 recordings, 1.2 minutes"
    assert "Tue 2024-06-11, 05:30" in visit.text("#first")


def test_it_searches_while_one_types(visit: Visit) -> None:
    visit.asks("a dog barks")
    assert visit.names()[0] == "20240611_053000"
    first = visit.text(".moment")
    assert "05:30:02" in first
    assert "2024-06-11" in first
    assert "0:02.0 – 0:03.5" in first
    assert "0.90" in first
    visit.wait(
        lambda: visit.run("return document.querySelector('.lane img').naturalWidth") > 100, "draws a strip"
    )
    assert len(visit.all(".moment")) == 4
    assert "the file of this recording is not here" in visit.text("#answers")


def test_less_likely_moments_are_shown_on_request(visit: Visit) -> None:
    visit.asks("a dog barks")
    assert "0.20" not in visit.text("#answers")
    assert visit.text("#state").startswith("4 moments in 4 recordings")
    assert visit.text(".more") == "Show 4 less likely moments"
    visit.click("#answers .more")
    assert len(visit.all(".moment")) == 8
    assert not visit.all("#answers .more")


def test_a_judged_moment_is_shown_however_unlikely(visit: Visit) -> None:
    visit.page.labels.change(add=Label("street", "a dog barks", 6.0, 7.0, accepted=False))
    visit.browser.refresh()
    visit.asks("a dog barks")
    assert len(visit.all(".moment")) == 5
    assert len(visit.all(".moment.rejected")) == 1
    assert visit.text(".more") == "Show 3 less likely moments"


def test_several_questions_and_orders(visit: Visit) -> None:
    visit.keys(ESCAPE, "/", "a dog barks")
    visit.run("const q = document.getElementById('question'); q.value += '\\nrain'")
    visit.keys(" ")
    visit.waits_for_answers("a dog barks", "rain")
    assert [heading.text for heading in visit.all(".block h2")] == ["a dog barks", "rain"]
    visit.keys(ESCAPE, "o")
    assert visit.text(".block:first-child h3") == "20240611_053000"
    visit.keys("o")
    days = [heading.text for heading in visit.all(".block:first-child h3")]
    assert days == ["Tue 2024-06-11", "Wed 2024-06-12", "day not known"]


def test_filters(visit: Visit) -> None:
    visit.asks("a dog barks")
    visit.run(
        "const f = document.getElementById('folder'); f.value = 'north'; f.dispatchEvent(new Event('change'))"
    )
    visit.wait(lambda: set(visit.names()) == {"north/240612-060000"}, "one folder")
    visit.run(
        "document.getElementById('folder').value = ''; const f = document.getElementById('to');"
        "f.value = '2024-06-11'; f.dispatchEvent(new Event('change'))"
    )
    visit.wait(lambda: set(visit.names()) == {"20240611_053000"}, "one day")
    visit.browser.refresh()
    visit.wait(lambda: set(visit.names()) == {"20240611_053000"}, "the same after a reload")


def test_it_plays(visit: Visit) -> None:
    visit.asks("a dog barks")
    visit.keys(" ", " ")  # at once: the moment is short
    visit.wait(lambda: visit.all(".moment:first-child.paused .head"), "space plays the first, and pauses it")
    visit.keys("j")
    visit.click(".moment:nth-child(2) .listen")
    visit.wait(lambda: "1" in visit.seen("playing"), "a click plays the second")
    visit.wait(lambda: visit.seen("most") > 1, "goes on")
    visit.keys(ESCAPE)
    assert visit.all(".playing") == []
    visit.click(".moment:nth-child(3) .band")
    visit.wait(lambda: "2" in visit.seen("playing"), "a click into the strip, too")
    visit.keys(ESCAPE)


def test_it_plays_to_the_end_of_what_is_shown(visit: Visit) -> None:
    visit.asks("a dog barks")
    begun = visit.run("return performance.now()")
    visit.keys(" ")
    visit.wait(lambda: visit.seen("playing"), "plays")
    visit.wait(lambda: not visit.all(".playing"), "ends")
    assert visit.run("return performance.now()") - begun > 4000  # 5.5 s are shown
    assert visit.text("#status") == ""


def test_accept_reject_and_take_back(visit: Visit) -> None:
    visit.asks("a dog barks")
    dog = Label(**BEST, start_s=2.0, end_s=3.5)
    visit.keys("a")
    visit.waits_for_labels(dog)
    visit.wait(lambda: visit.all(".moment:first-child.accepted"), "is shown as accepted")
    visit.wait(lambda: visit.all(".moment:nth-child(2)[aria-current]"), "goes on to the next")
    visit.keys("x")
    other = Label("north/240612-060000", "a dog barks", 2.0, 3.5, accepted=False)
    visit.waits_for_labels(dog, other)
    visit.wait(lambda: visit.text("#nods") == "1 ✓ 1 ✗", "counts")
    visit.keys("kk", "u")
    visit.waits_for_labels(other)
    visit.click(".moment:nth-child(2) .reject")
    visit.waits_for_labels()


def test_an_end_is_dragged(visit: Visit) -> None:
    from selenium.webdriver import ActionChains

    visit.asks("a dog barks")
    lane = visit.all(".lane")[0]
    knob = visit.all(".knob.end")[0]
    second = lane.size["width"] / 5.5  # two seconds stand before and after the moment of 1.5
    ActionChains(visit.browser).drag_and_drop_by_offset(knob, round(second), 0).perform()
    visit.wait(lambda: len(visit.labels()) == 1, "is accepted as it lies now")
    [label] = visit.labels()
    assert label.start_s == 2.0
    assert label.end_s == pytest.approx(4.5, abs=0.02)
    visit.run("document.querySelector('.knob.start').focus()")
    visit.keys(LEFT, LEFT, LEFT)
    visit.wait(lambda: visit.labels()[0].start_s == pytest.approx(1.7, abs=0.001), "moves by the keyboard")
    assert len(visit.labels()) == 1


def test_a_name_is_given(visit: Visit) -> None:
    visit.asks("a dog barks")
    visit.keys("n")
    visit.wait(
        lambda: visit.run("return document.activeElement.className") == "label", "the name can be written"
    )
    visit.keys("Rex", ENTER)
    visit.waits_for_labels(Label(BEST["vid"], "Rex", 2.0, 3.5, question="a dog barks"))
    assert visit.run("return document.querySelector('.label').value") == "Rex"


def test_a_learned_sound_is_kept_and_asked_for(
    visit: Visit, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def keep(_search: object, queries: list[Query], target: Path, *, force: bool) -> None:
        assert force == target.exists()
        target.write_text(queries[0].text)

    monkeypatch.setattr("amr.serve.moments.keep", keep)
    monkeypatch.setattr("amr.serve.moments.recall", lambda *_: None)
    visit.asks("a dog barks")
    assert not visit.all("#keep")[0].is_displayed()
    visit.keys("a")
    visit.wait(lambda: visit.all("#keep")[0].is_displayed(), "offers to keep what was learned")
    visit.keys("s")
    visit.wait(lambda: visit.run("return document.activeElement.id") == "keep-name", "asks for a name")
    visit.keys("../Rex", ENTER)
    visit.wait(lambda: "cannot be the name" in visit.text("#keep-error"), "says what is wrong")
    visit.run("document.getElementById('keep-name').select()")
    visit.keys("Rex", ENTER)
    visit.wait(lambda: "ask for @Rex" in visit.text("#status"), "says that it is kept")
    kept = folder / "Rex.sound"
    assert kept.read_text() == "a dog barks"
    visit.click("#keep")
    visit.run("document.getElementById('keep-name').select()")
    visit.keys("Rex", ENTER)
    visit.wait(lambda: visit.text("#keep-go") == "Replace it", "does not replace it unasked")
    visit.keys(ENTER)
    visit.wait(lambda: not visit.run("return document.getElementById('keeping').open"), "replaces it")
    visit.click("#clear")
    visit.wait(lambda: visit.text("#named") == "@Rex", "is shown")
    visit.keys("@R")
    visit.wait(lambda: visit.text("#named") == "@Rex", "is offered while its name is typed")
    assert visit.text("#answers") == ""
    visit.click("#named button")
    visit.waits_for_answers("@Rex")
    kept.unlink()


def test_a_reload_finds_its_labels(visit: Visit) -> None:
    visit.asks("a dog barks")
    visit.keys("a")
    visit.wait(lambda: visit.all(".moment:first-child.accepted"), "accepts")
    visit.browser.refresh()
    visit.wait(lambda: visit.all(".moment:first-child.accepted"), "is still accepted")
    assert visit.run("return document.getElementById('question').value") == "a dog barks"


def test_the_history(visit: Visit) -> None:
    visit.asks("a dog barks")
    visit.wait(
        lambda: visit.run("return localStorage.getItem('amr-history')") == '["a dog barks"]', "remembers"
    )
    visit.click("#clear")
    visit.wait(lambda: visit.all("#history li"), "is shown")
    visit.click("#history button")
    visit.waits_for_answers("a dog barks")
    assert len(visit.all(".moment")) == 4


def test_exports(visit: Visit, folder: Path) -> None:
    visit.asks("a dog barks")
    visit.click("#export summary")
    visit.click("#forms a[href='/export/csv']")
    visit.wait(lambda: "nothing is accepted yet" in visit.text("#status"), "says that there is nothing")
    visit.keys("a")
    visit.wait(lambda: visit.all(".accepted"), "accepts")
    visit.click("#export summary")
    visit.click("#forms a[href='/export/csv']")
    saved = folder / "downloads" / "labels.csv"
    visit.wait(saved.exists, "is saved")
    assert "20240611_053000" in saved.read_text()


def test_the_path_is_copied(visit: Visit, folder: Path) -> None:
    visit.asks("a dog barks")
    visit.keys("c")
    visit.wait(lambda: str(folder / "20240611_053000.wav") in visit.text("#status"), "copies, or shows")


def test_a_server_that_is_gone_is_told(visit: Visit) -> None:
    visit.browser.execute_cdp_cmd("Network.enable", {})
    offline = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
    visit.browser.execute_cdp_cmd("Network.emulateNetworkConditions", offline)
    try:
        visit.keys(ESCAPE, "/", "a dog")
        visit.wait(lambda: "does not answer" in visit.text("#status"), "says so")
    finally:
        back = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        visit.browser.execute_cdp_cmd("Network.emulateNetworkConditions", back)


def test_hostile_names_are_text(visit: Visit) -> None:
    hostile = "<img src=x onerror='window.hacked=1'><script>window.hacked=2</script>"
    record = {"qid": 1, "query": hostile, "question": "a dog barks", "vid": BEST["vid"]}
    visit.page.labels.path.write_text(json.dumps({**record, "relevant_windows": [[2, 3.5]]}) + "\n")
    visit.browser.refresh()
    visit.wait(lambda: visit.all("#first td"), "loads")
    visit.asks("a dog barks")
    visit.wait(lambda: visit.all(".moment:first-child.accepted"), "is accepted")
    assert visit.run("return document.querySelector('.label').value") == hostile
    visit.keys(ESCAPE, "/", hostile)
    visit.waits_for_answers(hostile)
    assert visit.run("return window.hacked") is None


def test_it_asks_this_server_alone_and_logs_no_error(visit: Visit) -> None:
    visit.browser.get_log("browser")
    visit.browser.get_log("performance")
    visit.browser.refresh()
    visit.run(WATCH)
    visit.wait(lambda: visit.all("#first td"), "loads")
    visit.asks("a dog barks")
    visit.keys(" ")
    visit.wait(lambda: visit.seen("playing"), "plays")
    visit.keys(ESCAPE)
    severe = [entry for entry in visit.browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert severe == [], severe[0]["message"]
    events = [json.loads(entry["message"])["message"] for entry in visit.browser.get_log("performance")]
    urls = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
    assert len(urls) > 5
    own = (f"http://127.0.0.1:{visit.page.access.port}/", "data:")  # Chromium draws its date fields with data
    assert [url for url in urls if not url.startswith(own)] == []


@pytest.mark.parametrize("width", [320, 390])
def test_a_narrow_screen(visit: Visit, width: int) -> None:
    phone = {"width": width, "height": 780, "deviceScaleFactor": 2, "mobile": True}
    visit.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    try:
        visit.asks("a dog barks")
        assert visit.run("return [document.documentElement.scrollWidth, innerWidth]") == [width, width]
        rights = visit.run(
            "return [...document.querySelectorAll('button, .name, .lane')]"
            ".map(n => n.getBoundingClientRect().right)"
        )
        assert max(rights) <= width
        assert visit.all(".moment .name")[0].is_displayed()
        assert not visit.all("#folder")[0].is_displayed()
        visit.click("#narrow")
        assert visit.all("#folder")[0].is_displayed()
    finally:
        visit.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_light_and_dark(visit: Visit) -> None:
    paper = "return getComputedStyle(document.body).backgroundColor"
    seen = {}
    for scheme in ("light", "dark"):
        feature = {"name": "prefers-color-scheme", "value": scheme}
        visit.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        seen[scheme] = visit.run(paper)
    assert seen == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 26)"}
    scheme = (
        "return getComputedStyle(document.documentElement).colorScheme"  # of scroll bars and fields of dates
    )
    visit.click("#theme")
    assert (visit.run(paper), visit.run(scheme)) == (seen["light"], "light")
    visit.click("#theme")
    assert (visit.run(paper), visit.run(scheme)) == (seen["dark"], "dark")
    visit.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_the_keys_are_shown(visit: Visit) -> None:
    visit.asks("a dog barks")
    visit.keys("?")
    assert visit.run("return document.getElementById('help').open") is True
    visit.click("#help button")
    visit.keys("j", "j", "k")
    assert visit.all(".moment:nth-child(2)[aria-current]")
