"""An edit inside one function: what is found then is what is found in the whole text, and the rest was not read."""

from __future__ import annotations

import os
import random
from typing import Any

import pytest

from meld.diagnostics.forms import Diagnostic
from meld.editor.documents import Document
from meld.editor.index import Index, index_text, name_of
from meld.editor.server import Server
from meld.ir.instructions import LazyBody

CASES = int(os.environ.get("MELD_CASES", "12"))

MODULE = """
  (type $t (func (param i32) (result i32)))
  (memory 1) (global $g (mut i32) (i32.const 0)) (table $table 1 funcref)
  (func $one (param $a i32) (result i32) (local $x i64)
    (if (result i32) (local.get $a) (then (call $two (i32.const 1))) (else (i32.const 2))))
  (func $two (type $t) block $l local.get 0 br_if $l end i32.const 7 ;; a comment
    global.set $g global.get $g)
  (func $three (param f32) (result i32) i32.const 0 i32.const 0 call_indirect $table (type 0))
  (func $four (drop (call_indirect (param i64) (result f64) (i64.const 1) (i32.const 0))))
  (func $five (call $four) (drop (call_indirect (type 2) (i32.const 0))))
  (func (export "six") (result i32) (i32.load offset=4 (i32.const 0)))"""
TEXTS = [
    f"(module {MODULE})",
    f"(component (core module $m {MODULE}) (core module {MODULE}) (core instance $m (instantiate $m)))",
]

PIECES = [
    "nop",
    "(nop)",
    "local.get 0",
    "drop",
    "i32.const 5 drop",
    "(call $two (i32.const 3))",
    "call $none",
    "(drop (i32.const 1))",
    ";; note\n",
    "(; block ;)",
    "(",
    ")",
    '"',
    "unknown",
    "(local $y i32)",
    ") (func $new nop",
    "(call_indirect (param f32) (f32.const 1) (i32.const 0))",
    "br 7\n",
    "(@meld.x)",
    "$two",
    "0",
    "9 ",
    " end",
    "(type $t)",
    '(export "y")',
    ";;",
    "(;",
    "local.get $x",
]


def shown(index: Index, found: list[Diagnostic]) -> Any:
    """What an editor shows of a text, without the objects."""
    targets: dict[int, int] = {}
    uses = [
        (u.span.start, u.span.end, u.definition, name_of(u.target), targets.setdefault(id(u.target), len(targets)))
        for u in index.uses
    ]
    wrong = [(d.message, d.span and (d.span.start, d.span.end), d.where, d.hint) for d in found]
    return uses, wrong


def compared(before: Index | None, text: str) -> Index:
    """The index of a text, by way of the version before; checks that nothing else is found in the whole text."""
    server = Server()
    index, whole = index_text(text, "t", before), index_text(text, "t")
    for at in range(0, len(text), 7):
        one, other = index.at(at), whole.at(at)
        assert (one and (one.span.start, one.span.end)) == (other and (other.span.start, other.span.end))
    found = server.found(index)
    assert shown(index, found) == shown(whole, server.found(whole)), text
    return index


def is_read(index: Index, name: str) -> bool:
    """Whether the body of a function was read."""
    read = {body.function.name: not isinstance(body.function.body, LazyBody) for body in index.bodies.values()}
    return read[name]


@pytest.mark.parametrize("text", TEXTS, ids=["module", "component"])
@pytest.mark.parametrize(
    ("place", "piece"),
    [
        ("block $l", "nop "),
        ("block $l", "call $none "),
        ("block $l", "what "),
        ("(call $two (i32", "(drop (i32.const 5)) "),
        ("(call $two (i32", "(call $none) "),
    ],
)
def test_the_rest_is_not_read(text: str, place: str, piece: str) -> None:
    """Also behind an edit with an error."""
    before = compared(None, text)
    at = text.index(place)
    changed = text[:at] + piece + text[at:]
    for version in (changed, text, changed):
        index = index_text(version, "t", before)
        assert not is_read(index, "three") and not is_read(index, "five") and is_read(index, "four")
        before = compared(before, version)


def test_a_parenthesis_that_is_open_meanwhile() -> None:
    """The version in which it is closed again is compared with the one before it was opened."""
    server = Server()
    text = TEXTS[0]
    opened = text.replace("block $l", "(drop block $l")
    closed = text.replace("block $l", "(drop (i32.const 1)) block $l")
    for number, version in enumerate((text, opened, closed)):
        server.put(Document("file:///t.wat", number, version))
        index = server.index(server.document("file:///t.wat"))
    assert not is_read(index, "three") and is_read(index, "two")


@pytest.mark.parametrize("seed", range(CASES))
def test_random_edits(seed: int) -> None:
    """Of any kind: those that are more than an edit inside one function are seen to be."""
    rng = random.Random(seed)
    text = rng.choice(TEXTS)
    index = compared(None, text)
    for _ in range(5):
        at = rng.randrange(1, len(text))
        end = at if rng.random() < 0.7 else min(len(text), at + rng.randrange(1, 9))
        piece = "" if end > at and rng.random() < 0.5 else rng.choice(PIECES)
        edited = text[:at] + piece + text[end:]
        index = compared(index, edited)
        if rng.random() < 0.6:
            text = edited
