"""The page as a file: what is in it, what cannot get out of it."""

from __future__ import annotations

import base64
import json
import re
import struct
import zlib
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from amr.moments import Moment, Span
from amr.report.page import PageClip, PageRecording, build_page, script_safe_json, source_hash, thinned
from amr.report.page_sound import MAX_CLIP_S, SoundOptions, page_recordings, relative_url
from amr.report.png import ink_png
from amr.report.records import Case

HOSTILE = [
    "<script>window.hacked = 1</script>",
    "</script><script>window.hacked = 1</script>",
    "<!--<script>",
    "\"'`&amp;<img src=x onerror=window.hacked=1>",
    "line\u2028separator\u2029and\0null",
    "{{script}} {{data}}",
    "\ud800 lone surrogate",
    "javascript:window.hacked=1",
    "../../../etc/passwd",
    "\u202egnirts desrever",
    "]]>]]&gt;",
]


def case(query: str = "a dog", vid: str = "street", qid: int | str = "q", score: float = 0.9) -> Case:
    return Case(
        qid,
        query,
        vid,
        [Moment(1, 2, score), Moment(5, 70, 0.2)],
        [Span(1, 3)],
        [0.0, 1.0],
        10.0,
        top_iou=0.5,
    )


class Elements(HTMLParser):
    """The elements of a page, as an HTML parser of somebody else sees them."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=False)
        self.names: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes += attrs


def data_of(page: str) -> dict[str, object]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    data = json.loads(found.group(1))
    assert isinstance(data, dict)
    return data


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text(text: str) -> None:
    calm = build_page([case()], {}, title="calm")
    page = build_page([case(text, vid=text, qid=text)], {text: PageRecording(10.0)}, title=text)
    assert Elements(page).names == Elements(calm).names
    assert data_of(page)["cases"][0]["query"] == text  # type: ignore[index]
    assert data_of(page)["recordings"][0]["vid"] == text  # type: ignore[index]


@given(st.text())
@settings(max_examples=200)
def test_any_text_comes_back_and_closes_nothing(text: str) -> None:
    safe = script_safe_json({"x": text})
    assert json.loads(safe) == {"x": text}
    assert safe.isascii()
    assert not set(safe) & set("<>&")


def test_the_page_asks_nobody_for_anything() -> None:
    page = build_page([case()], {}, title="t")
    elements = Elements(page)
    assert not {"link", "iframe", "img", "base", "object", "embed"} & set(elements.names)
    assert not [
        name for name, _ in elements.attributes if name in ("src", "href", "action") or name.startswith("on")
    ]
    outside = set(re.findall(r"https?://[^\s\"'<>)]+", page))
    assert outside == {"http://www.w3.org/2000/svg"}  # a namespace's name, fetched by nobody
    assert "import(" not in page
    assert "fetch(" not in page
    assert "innerHTML" not in page


def test_the_policy_names_the_script_that_is_there() -> None:
    page = build_page([case()], {}, title="t")
    script = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    style = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    assert len(script) == len(style) == 1
    assert source_hash(script[0]) in page.replace("&#x27;", "'")
    assert source_hash(style[0]) in page
    assert "unsafe" not in page


def test_values_are_brought_into_the_recording() -> None:
    page = build_page([case(score=float("nan"))], {"street": PageRecording(9.5)}, title="t")
    entry = data_of(page)["cases"][0]  # type: ignore[index]
    assert entry["p"] == [[1, 2, 0.0], [5, 9.5, 0.2]]
    assert entry["t"] == [[1, 3]]
    assert entry["iou"] == 0.5


def test_recordings_stand_below_their_question_best_first() -> None:
    """A prediction file goes by recording, each with all questions."""
    mixed = [
        case("dog", "a", 1, 0.2),
        case("rain", "a", 2, 0.9),
        case("dog", "b", 3, 0.8),
        case("rain", "b", 4, 0.1),
    ]
    nothing = Case(5, "dog", "c", [], None, [], 10.0)
    data = data_of(build_page([nothing, *mixed], {}, title="t"))
    assert [each["qid"] for each in data["cases"]] == ["3", "1", "5", "2", "4"]


def test_same_cases_same_page() -> None:
    assert build_page([case()], {}, title="t") == build_page([case()], {}, title="t")


@given(st.lists(st.floats(0, 1), max_size=600), st.integers(1, 240))
@settings(max_examples=60)
def test_thinned_curves_keep_their_peak(curve: list[float], points: int) -> None:
    thin = thinned(curve, points)
    assert len(thin) == min(points, len(curve))
    assert not curve or max(thin) == round(100 * max(curve))


@pytest.mark.parametrize("shape", [(1, 1), (3, 4), (5, 7), (48, 480)])
def test_png_against_its_own_rules(shape: tuple[int, int]) -> None:
    shade = np.random.default_rng(0).integers(0, 16, shape).astype(np.uint8)
    content = ink_png(shade)
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, rest = {}, content[8:]
    while rest:
        length = struct.unpack(">I", rest[:4])[0]
        kind, body, check = rest[4:8], rest[8 : 8 + length], rest[8 + length : 12 + length]
        assert struct.unpack(">I", check)[0] == zlib.crc32(kind + body)
        chunks[kind] = body
        rest = rest[12 + length :]
    assert struct.unpack(">IIBBBBB", chunks[b"IHDR"]) == (shape[1], shape[0], 4, 3, 0, 0, 0)
    row_bytes = 1 + (shape[1] + 1) // 2
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(shape[0], row_bytes)
    pixels = np.stack([rows[:, 1:] >> 4, rows[:, 1:] & 15], axis=2).reshape(shape[0], -1)
    np.testing.assert_array_equal(pixels[:, : shape[1]], shade)


def test_png_is_read_by_others() -> None:
    image = pytest.importorskip("PIL.Image", reason="needs Pillow, which comes with matplotlib")
    import io

    shade = np.arange(16, dtype=np.uint8).reshape(2, 8)
    pixels = np.asarray(image.open(io.BytesIO(ink_png(shade))).convert("RGBA"))
    np.testing.assert_array_equal(pixels[..., 3], shade * 17)
    assert pixels[..., :3].max() == 0


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("a.wav", "./audio/a.wav"),
        ("javascript:alert(1).wav", "./audio/javascript%3Aalert%281%29.wav"),
        ('a b#c?d%"<>.wav', "./audio/a%20b%23c%3Fd%25%22%3C%3E.wav"),
        ("Vögel.wav", "./audio/V%C3%B6gel.wav"),
    ],
)
def test_links_are_relative_and_escaped(tmp_path: Path, name: str, url: str) -> None:
    assert relative_url(tmp_path / "audio" / name, tmp_path) == url


def test_links_lead_up_where_they_must(tmp_path: Path) -> None:
    (tmp_path / "pages").mkdir()
    assert relative_url(tmp_path / "a.wav", tmp_path / "pages") == "./../a.wav"


@pytest.fixture
def street(tmp_path: Path) -> Path:
    path = tmp_path / "street.wav"
    soundfile.write(path, np.sin(np.arange(20 * 8000) / 5) * 0.5, 8000)
    return path


def test_recordings_are_linked_or_embedded(street: Path) -> None:
    files = {"street": street}
    linked = page_recordings([case()], files, SoundOptions(street.parent))["street"]
    assert linked.link == "./street.wav"
    assert linked.image.startswith("data:image/png;base64,")
    assert linked.clips == []
    assert linked.duration_s == 20
    inside = page_recordings([case()], files, SoundOptions(street.parent, images=False, embed=1))["street"]
    assert inside.link == inside.image == ""
    assert [(clip.start_s, clip.end_s) for clip in inside.clips] == [(1, 2), (1, 3)]


def test_embedded_clips_can_be_decoded_and_are_short(street: Path) -> None:
    recording = page_recordings([case()], {"street": street}, SoundOptions(street.parent, embed=5))["street"]
    lengths = {}
    for clip in recording.clips:
        kind, _, content = clip.sound.partition(";base64,")
        assert kind in ("data:audio/mpeg", "data:audio/wav")
        path = street.with_name("clip.mp3" if "mpeg" in kind else "clip.wav")
        path.write_bytes(base64.b64decode(content))
        lengths[clip.start_s, clip.end_s] = soundfile.info(path).duration
    assert lengths.keys() == {(1, 2), (1, 3), (5, 5 + min(MAX_CLIP_S, 15))}
    for (start_s, end_s), length_s in lengths.items():
        assert length_s == pytest.approx(end_s - start_s, abs=0.1)


def test_unknown_recordings_have_no_sound() -> None:
    assert page_recordings([case(vid="../../etc/passwd")], {}, SoundOptions(Path())) == {}


def test_a_thousand_recordings_stay_small() -> None:
    cases = [case(f"query {i} of a certain length", f"recording_{i // 3}") for i in range(3000)]
    image = "data:image/png;base64," + base64.b64encode(ink_png(np.zeros((48, 480), np.uint8))).decode()
    recordings = {f"recording_{i}": PageRecording(60.0, f"./audio/{i}.wav", image) for i in range(1000)}
    page = build_page(cases, recordings, title="many")
    assert len(page) < 2_000_000


def test_clips_travel_with_their_times() -> None:
    recording = PageRecording(10.0, clips=[PageClip(1.0, 2.0, "data:audio/mpeg;base64,AAAA")])
    data = data_of(build_page([case()], {"street": recording}, title="t", embedded=True))
    assert data["recordings"][0]["clips"] == [  # type: ignore[index]
        {"start": 1.0, "end": 2.0, "sound": "data:audio/mpeg;base64,AAAA"}
    ]
    assert data["embedded"] is True
