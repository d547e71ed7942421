"""The page of examples/web: two asynchronous components, fused, in plain WebAssembly in a browser."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import CHROMIUM, Browser

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    path = tmp_path_factory.mktemp("web") / "lines.html"
    subprocess.run([sys.executable, ROOT / "examples/web/build.py", path], check=True, capture_output=True)
    with Browser() as browser:
        browser.open(path)
        yield browser


def cells(page: Browser) -> list[list[str]]:
    found: list[list[str]] = page.run(
        "[...document.querySelectorAll('#runs tr')].map(row => [...row.cells].map(cell => cell.textContent))"
    )
    return found


def submitted(page: Browser, count: int) -> None:
    """Runs `count` lines and waits for the answer."""
    before = len(cells(page))
    page.run(f"document.getElementById('count').value = {count}; document.querySelector('button').click()")
    end = time.monotonic() + 30
    while len(cells(page)) == before and not page.run("document.getElementById('error').textContent"):
        assert time.monotonic() < end, page.errors
        time.sleep(0.05)


def test_the_lines_arrive(page: Browser) -> None:
    assert [row[:2] for row in cells(page)][:3] == [["10", "440"], ["1,000", "44,000"], ["100,000", "4,400,000"]]
    submitted(page, 12_345)
    assert cells(page)[-1][:2] == ["12,345", "543,180"]
    assert "the quick brown fox" in page.run("document.getElementById('buffer').textContent")


def test_no_line_at_all(page: Browser) -> None:
    submitted(page, 0)
    assert cells(page)[-1][:2] == ["0", "0"]


def test_the_page_needs_nothing_else(page: Browser) -> None:
    assert "0 imports" in page.run("document.getElementById('facts').textContent")
    assert [url for url in page.requests if not url.startswith(("file:", "data:"))] == []
    assert page.errors == []


def test_the_picture(page: Browser, tmp_path: Path) -> None:
    picture = tmp_path / "page.png"
    page.screenshot(picture, whole=True)
    assert picture.stat().st_size > 10_000
