"""A large text is read without the places of its instructions first; what is said of it is the same."""

from __future__ import annotations

import pytest

import meld.verify.check as check
from meld.editor.index import index_text
from meld.text.reading.body import TextBody

FILLER = "\n".join(
    f"  (func $f{n} (param i32) (result i32) (i32.add (local.get 0) (i32.const {n})))" for n in range(1200)
)
assert len(FILLER) > check.LARGE


@pytest.mark.parametrize(
    ("last", "engine"),
    [
        ("(func (drop (local.get 7)))", False),
        ("(func call $f)", False),
        ("(func local.gt 0)", False),
        ("(func (drop (i64.const 0) (i32.add)))", True),
        ("(@meld.fcts merged)", False),
        ("(func", False),
    ],
)
def test_the_same_is_found(last: str, engine: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    text = f"(module\n{FILLER}\n  {last})"
    found = check.check_text(text, "t", engine=engine)
    monkeypatch.setattr(check, "LARGE", len(text) + 1)
    assert found == check.check_text(text, "t", engine=engine)
    assert found and all(
        one.span is not None and one.span.start >= len(FILLER) for one in found if "ends" not in one.message
    )


def test_no_places_are_kept_of_a_text_that_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(text: str, name: str) -> None:
        raise AssertionError("read with places")

    monkeypatch.setattr(check, "parse_all", never)
    assert check.check_text(f"(module {FILLER})", "t") == []


def test_an_indexed_text_is_not_decoded_again(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = []
    plain = TextBody.decode
    monkeypatch.setattr(TextBody, "decode", lambda self: (decoded.append(self), plain(self))[1])
    index = index_text(f"(module {FILLER} (func call $nothing))", "t")
    assert len(set(map(id, decoded))) == 1201
    assert len(check.check_parsed(index.program, index.errors, index.source)) == 1
    (again,) = {id(body) for body in decoded if decoded.count(body) > 1}
    assert again == id(index.program.functions[-1].body)  # the one that cannot be decoded
