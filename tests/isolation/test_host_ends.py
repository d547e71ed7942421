"""With `--emit=component` streams of the host are held by instances, each by its own table: a stranger names none.

Sequences of calls: an honest instance and a hostile one each get streams of the host; the hostile one uses any number
as a handle. ``MELD_CASES`` says how many sequences; what is answered, and why it traps, is as unfused.
"""

from __future__ import annotations

import os
import random
import re
from typing import Any

import pytest
from both import unfused
from hosted import composed, product
from open_guests import HELPERS, LIBC, builtins, imports

from tests.passes.emit_tasks.test_open_ends import HOST, HOSTS

CASES = int(os.environ.get("MELD_CASES", "6"))
OPERATIONS = (
    "(call $s-read (local.get $h) (i32.const 128) (i32.const 3))",
    "(call $s-write (local.get $h) (i32.const 128) (i32.const 3))",
    "(call $f-read (local.get $h) (i32.const 128))",
    "(call $s-drop-readable (local.get $h)) (i32.const 0)",
    "(call $s-drop-writable (local.get $h)) (i32.const 0)",
    "(call $f-drop-readable (local.get $h)) (i32.const 0)",
    "(call $join (local.get $h) (call $set-new)) (i32.const 0)",
    "(call $source (local.get $h))",
    "(call $sink (local.get $h))",
    "(i32.wrap_i64 (call $s-new))",
)
"""Of the hostile instance, with any number."""


def guest(exports: str, code: str) -> str:
    """A component that uses streams of the host."""
    return f"""(import "sink" (func $sink async (param "data" (stream u8)) (result (future u32))))
    (import "source" (func $source async (param "n" u32) (result (stream u8))))
    {LIBC}
    {builtins("async", reads="sf", writes="s")}
    (core func $sink' (canon lower (func $sink)))
    (core func $source' (canon lower (func $source)))
    (core module $m
      {imports(reads="sf", writes="s")}
      (import "c2" "sink" (func $sink (param i32) (result i32)))
      (import "c2" "source" (func $source (param i32) (result i32)))
      {HELPERS} {code})
    (core instance $c2 (export "sink" (func $sink')) (export "source" (func $source')))
    (core instance $i (instantiate $m (with "c" (instance $canon)) (with "c2" (instance $c2))))
    {exports}"""


def program() -> str:
    """An honest and a hostile instance, and the host's functions for both."""
    arms = "".join(
        f"(if (i32.eq (local.get $op) (i32.const {number})) (then (return {operation})))"
        if ") (i32.const 0)" not in operation
        else f"(if (i32.eq (local.get $op) (i32.const {number})) (then {operation} (return)))"
        for number, operation in enumerate(OPERATIONS)
    )
    lifted = '(canon lift (core func $i "{0}"))'
    honest = guest(
        f"""(func (export "open") async (param "n" u32) (result u32) {lifted.format("open")})
        (func (export "take") async (result u32) {lifted.format("take")})""",
        """(global $data (mut i32) (i32.const 0))
        (func (export "open") (param i32) (result i32)
          (global.set $data (call $source (local.get 0))) (global.get $data))
        (func (export "take") (result i32) (local $got i32)
          (local.set $got (call $awaited (global.get $data)
            (call $s-read (global.get $data) (i32.const 128) (i32.const 7))))
          (i32.add (i32.mul (i32.shr_u (local.get $got) (i32.const 4)) (i32.const 1000))
            (call $sum (i32.const 128) (i32.shr_u (local.get $got) (i32.const 4)))))""",
    )
    hostile = guest(
        f"""(func (export "poke") async (param "op" u32) (param "h" u32) (result u32) {lifted.format("poke")})""",
        f"""(func (export "poke") (param $op i32) (param $h i32) (result i32) {arms} (i32.const -7))""",
    )
    given = '(with "sink" (func $sink)) (with "source" (func $source))'
    return f"""(component
      (import "sink" (func $sink async (param "data" (stream u8)) (result (future u32))))
      (import "source" (func $source async (param "n" u32) (result (stream u8))))
      (component $honest {honest})
      (component $hostile {hostile})
      (instance $a (instantiate $honest {given}))
      (instance $b (instantiate $hostile {given}))
      (export "open" (func $a "open")) (export "take" (func $a "take")) (export "poke" (func $b "poke")))"""


PROGRAM = program()
SHOWN = ("func open", "func take", "func poke")


def sequence(r: random.Random) -> list[tuple[Any, ...]]:
    """What is called; the handles are such as are given out at first, or far away."""
    calls: list[tuple[Any, ...]] = [("open", r.randrange(20))]
    for _ in range(r.randrange(1, 6)):
        handle = r.choice((0, 1, 1, 2, 2, 3, 4, 5, 0x10000001, 0x80000000, 0xFFFFFFFF))
        calls.append(("poke", r.randrange(len(OPERATIONS)), handle) if r.random() < 0.8 else ("take",))
    return [*calls, ("take",)]


@pytest.mark.parametrize("seed", range(CASES))
def test_a_stranger_reaches_no_end(seed: int) -> None:
    calls = sequence(random.Random(seed))
    want, got = (
        [re.sub(r"index \d+", "index", str(answer)) for answer in unfused(composed(HOST, text, HOSTS, SHOWN), calls)]
        for text in (PROGRAM, product(PROGRAM))
    )
    assert got == want  # a trap names the index where it is small
