"""What is kept between runs: used only if it can be trusted, and never needed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import meld
from meld.support import cache

STREAM = [Path(__file__).parents[2] / "examples" / "stream" / f"{name}.wat" for name in ("producer", "consumer")]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MELDC_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_what_is_saved_is_loaded(place: Path) -> None:
    cache.save("thing", b"key", b"data")
    assert cache.load("thing", b"key") == b"data"
    assert cache.load("thing", b"other") is None and cache.load("other", b"key") is None
    assert place.stat().st_mode & 0o777 == 0o700
    assert [p.stat().st_mode & 0o777 for p in place.iterdir()] == [0o600]


def test_only_the_latest_stay(place: Path) -> None:
    for number in range(5):
        cache.save("thing", bytes([number]), b"data", keep=2)
    assert len(list(place.iterdir())) == 2
    assert cache.load("thing", bytes([4])) == b"data"


def test_what_others_can_write_is_not_loaded(place: Path) -> None:
    cache.save("thing", b"key", b"data")
    (file,) = place.iterdir()
    file.chmod(0o660)
    assert cache.load("thing", b"key") is None
    file.chmod(0o600)
    place.chmod(0o777)
    assert cache.load("thing", b"key") is None
    cache.save("more", b"key", b"data")
    assert list(place.iterdir()) == [file]
    place.chmod(0o700)
    assert cache.load("thing", b"key") == b"data"


def test_links_are_not_followed(place: Path, tmp_path: Path) -> None:
    cache.save("thing", b"key", b"data")
    (file,) = place.iterdir()
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    assert cache.load("thing", b"key") is None
    place.rename(tmp_path / "real")
    place.symlink_to(tmp_path / "real")
    assert cache.load("thing", b"key") is None


def test_damage_is_noticed(place: Path) -> None:
    cache.save("thing", b"key", b"data")
    (file,) = place.iterdir()
    file.write_bytes(file.read_bytes()[:-1])
    assert cache.load("thing", b"key") is None
    file.write_bytes(b"")
    assert cache.load("thing", b"key") is None


@pytest.mark.parametrize("broken", ["off", "relative/path", "/dev/null/below"])
def test_without_a_place_nothing_is_kept(broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MELDC_CACHE", broken)
    cache.save("thing", b"key", b"data")
    assert cache.load("thing", b"key") is None


def test_products_do_not_depend_on_it(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (meld.encode(meld.compile(STREAM)) for _ in range(2))
    assert any(p.name.startswith("module-") for p in place.iterdir())
    monkeypatch.setenv("MELDC_CACHE", "off")
    assert first == second == meld.encode(meld.compile(STREAM))


def test_what_is_saved_under_a_pass_is_whole(place: Path) -> None:
    cache.save("thing", b"key", os.urandom(100_000))
    assert not [p for p in place.iterdir() if p.name.startswith(".")]
