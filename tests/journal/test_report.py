"""The page of a run, in a headless browser: nothing complained, the graph is seen, the search finds."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import CHROMIUM, Browser

from meld.cli import main
from meld.journal import Change, Journal, StepRecord, Symbol, What
from meld.journal.report import page

EXAMPLES = Path(__file__).parents[2] / "examples"
STREAM = [str(EXAMPLES / "stream" / f"{name}.wat") for name in ("producer", "consumer")]
GREET = [str(EXAMPLES / "greet" / f"{name}.wat") for name in ("crowd", "greeter")]
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")

EVIL = "</script><script>document.title='pwned'</script><img src=x onerror=alert(1)>{{data}}&amp;\"'\u202e\x1b[31m"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as one:
        yield one


def made(inputs: list[str], directory: Path) -> Path:
    out = directory / "report.html"
    assert main([*inputs, "-q", "-o", str(directory / "o.wasm"), f"--journal={directory / 'j.json'}"]) == 0
    assert main(["report", str(directory / "j.json"), "-o", str(out)]) == 0
    return out


def count(browser: Browser, selector: str) -> int:
    return int(browser.run(f"document.querySelectorAll({selector!r}).length"))


def all_of(browser: Browser, selector: str, what: str = "e.textContent") -> list[Any]:
    """A value for each element."""
    found: list[Any] = browser.run(f"[...document.querySelectorAll({selector!r})].map(e => {what})")
    return found


def choose(browser: Browser, selector: str, value: str) -> None:
    browser.run(f"e = document.querySelector({selector!r}); e.value = {value!r}; e.dispatchEvent(new Event('input'))")


def until(browser: Browser, condition: str) -> None:
    end = time.monotonic() + 30
    while not browser.run(condition):
        assert time.monotonic() < end, condition
        time.sleep(0.02)


def opened(browser: Browser, path: Path, *, dark: bool = False) -> None:
    browser.errors.clear()
    browser.requests.clear()
    browser.open(path, dark=dark)


def quiet(browser: Browser) -> None:
    """Nothing complained, and nothing but the file was asked for."""
    assert browser.errors == []
    assert [url for url in browser.requests if not url.startswith(("file:", "data:"))] == []


@needs_browser
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_graph_is_seen(browser: Browser, dark: bool, tmp_path: Path) -> None:
    opened(browser, made(STREAM, tmp_path), dark=dark)
    assert count(browser, "svg.graph") == 2
    names = all_of(browser, "svg.graph", "[...e.querySelectorAll('.name')].map(t => t.textContent)")
    assert [sorted(some) for some in names] == [["(host)", "consumer", "producer"], ["consumer", "producer", "state"]]
    sizes = all_of(browser, ".node rect", "[e.getBoundingClientRect().width, e.getBoundingClientRect().height]")
    assert all(width > 100 and height > 20 for width, height in sizes)
    seen = all_of(
        browser,
        ".node",
        "(e.scrollIntoView({block: 'center'}), r = e.getBoundingClientRect(), "
        "e.contains(document.elementFromPoint(r.x + r.width / 2, r.y + r.height / 2)))",
    )
    assert len(seen) == 6 and all(seen)
    assert count(browser, ".edge.bridged path.line") == 2  # the arrow and its legend
    colours = browser.run("[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]")
    light = [sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in colours]
    assert (light[0] < light[1]) == dark
    quiet(browser)


@needs_browser
def test_steps_open_and_show_what_changed(browser: Browser, tmp_path: Path) -> None:
    opened(browser, made(STREAM, tmp_path))
    assert count(browser, ".step") == 15  # the input, and the passes
    assert count(browser, ".step pre") == 0  # made when they are opened
    browser.run("document.querySelectorAll('.step')[5].querySelector('summary').focus()")
    browser.press("Enter", 13)
    until(browser, "document.querySelectorAll('.step .change').length === 5")
    browser.run("document.querySelector('.change summary').click()")
    until(browser, "document.querySelectorAll('.change pre .a').length === 1")
    assert "call $producer/stream_new.shim" in browser.run("document.querySelector('.change pre .a').textContent")
    assert "call $producer/stream_new" in browser.run("document.querySelector('.change pre .d').textContent")
    quiet(browser)


@needs_browser
def test_the_search_finds(browser: Browser, tmp_path: Path) -> None:
    opened(browser, made(GREET, tmp_path))
    everything = count(browser, ".symbol")
    browser.type("/")
    browser.type("welc")
    until(browser, f"document.querySelectorAll('.symbol').length < {everything}")
    names = all_of(browser, ".symbol .name")
    assert "crowd/welcome" in names
    assert all("welc" in name for name in names)
    choose(browser, "#kind", "func")
    kinds = all_of(browser, ".symbol .tag")
    assert set(kinds) == {"func"}
    browser.run("document.querySelector('.symbol summary').click()")
    until(browser, "document.querySelectorAll('.symbol pre').length > 0")
    assert "boundary" in browser.run("document.querySelector('#decision-table').textContent")
    assert "crowd" in browser.run("document.querySelector('#size-table').textContent")
    quiet(browser)


def hostile() -> Journal:
    """A run whose every name is an attack."""
    from meld.journal.graph import Edge, Graph, Node

    nodes = [Node(EVIL, EVIL, [EVIL]), Node("b", "instance")]
    graph = Graph(nodes, [Edge(EVIL, "b", EVIL, [EVIL]), Edge("b", EVIL, "host", [])])
    step = StepRecord(0, EVIL, EVIL, remarks=[EVIL], stats={EVIL: 1}, rewrites=[(EVIL, EVIL, True)], counts={EVIL: 1})
    step.graph, step.facts = graph, [EVIL]
    step.changes = [Change(0, What.CREATED, None, "k")]
    return Journal(
        version=EVIL,
        command=[EVIL],
        inputs=[(EVIL, 1, EVIL)],
        plan=[EVIL],
        status="failed",
        message=EVIL,
        symbols=[Symbol(EVIL, EVIL, EVIL, EVIL, EVIL, EVIL)],
        steps=[step],
        blobs={"k": EVIL},
        decisions=[(EVIL, EVIL, EVIL, EVIL, EVIL)],
    )


def test_names_are_texts() -> None:
    html = page(hostile())
    assert html.count("<script") == 2 and html.count("</script") == 2
    assert "<img" not in html and "\u202e" not in html and "\x1b" not in html
    assert page(hostile()) == html


@needs_browser
def test_names_do_nothing(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "evil.html"
    path.write_text(page(hostile()), encoding="utf-8")
    opened(browser, path)
    browser.run("document.querySelectorAll('summary').forEach(s=>s.click())")
    until(browser, "document.querySelectorAll('.step pre, .symbol pre').length > 0")
    assert count(browser, "img") == 0 and count(browser, "script") == 2
    assert browser.run("document.title").endswith("– meldc")
    shown = browser.run("document.querySelector('.symbol .name').textContent")
    assert shown.startswith("</script><script>")
    quiet(browser)


@needs_browser
def test_many_symbols_are_shown_as_far_as_one_looks(browser: Browser, tmp_path: Path) -> None:
    many = Journal(symbols=[Symbol("func", f"f{i}", size=i) for i in range(12_000)], steps=[StepRecord(0, "input")])
    many.steps[0].changes = [Change(i, What.CREATED) for i in range(12_000)]
    path = tmp_path / "many.html"
    path.write_text(page(many), encoding="utf-8")
    opened(browser, path)
    assert count(browser, ".symbol") == 100
    assert "12,000" in browser.run("document.querySelector('#found').textContent")
    browser.run("document.querySelector('#results button').click()")
    assert count(browser, ".symbol") == 200
    choose(browser, "#order", "size")
    assert browser.run("document.querySelector('.symbol .name').textContent") == "f11999"
    browser.run("document.querySelector('#query').focus()")
    browser.type("f1199")
    until(browser, "document.querySelectorAll('.symbol').length === 11")
    quiet(browser)
