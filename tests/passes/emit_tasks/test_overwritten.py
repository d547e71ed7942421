"""Buffers that are written to while they are offered: what a reader finds in them, and whose the handles are.

Elements are lifted when both buffers are there (CanonicalABI.md, ReadableBufferGuestImpl), as many as are
copied. Inside that is so; what the host reads has been lifted when it was written.
"""

from __future__ import annotations

import re

import pytest
from both import Fused, Unfused
from hosted import composed, product
from open_guests import LIBC, MEMORY, by_mode

OPTIONS = f'{MEMORY} (realloc (core func $libc "realloc"))'
TYPES = {
    "own": ("(own $R)", "(i32.store (local.get $at) (local.get $thing))", "(i32.load (local.get $at))", 4),
    "list": (
        "(tuple string (list (own $R)))",
        """(i32.store (local.get $at) (i32.const 8)) (i32.store offset=4 (local.get $at) (i32.const 3))
      (i32.store offset=8 (local.get $at) (i32.add (local.get $at) (i32.const 512)))
      (i32.store offset=12 (local.get $at) (i32.const 1))
      (i32.store offset=512 (local.get $at) (local.get $thing))""",
        "(i32.load (i32.load offset=8 (local.get $at)))",
        16,
    ),
}
"""An element, what writes a handle into one, and reads it, and its size."""


def host(element: str) -> str:
    """What makes things, holds the readable end of a stream of them, and reads some, without waiting."""
    of, _, get, size = TYPES[element]
    return f"""(component {LIBC}
  (type $r (resource (rep i32)))
  (export $R "r" (type $r))
  (type $s (stream {of}))
  (core func $new (canon resource.new $r)) (core func $rep (canon resource.rep $r))
  (core func $drop (canon resource.drop $r))
  (core func $read (canon stream.read $s async {OPTIONS})) (core func $done (canon stream.drop-readable $s))
  (core module $m
    (import "" "m" (memory 1))
    (import "" "new" (func $new (param i32) (result i32))) (import "" "rep" (func $rep (param i32) (result i32)))
    (import "" "drop" (func $drop (param i32)))
    (import "" "read" (func $read (param i32 i32 i32) (result i32))) (import "" "done" (func $done (param i32)))
    (global $data (mut i32) (i32.const 0))
    (func (export "make") (param i32) (result i32) (call $new (local.get 0)))
    (func (export "take") (param i32) (call $drop (local.get 0)))
    (func (export "value") (param i32) (result i32) (local.get 0))
    (func (export "hold") (param i32) (global.set $data (local.get 0)))
    (func (export "close") (call $done (global.get $data)))
    ;; the values of some things, as digits; with a 9 in front if the read has blocked
    (func (export "go") (param $n i32) (result i32) (local $sum i32) (local $result i32) (local $at i32)
      (local.set $result (call $read (global.get $data) (i32.const 128) (local.get $n)))
      (if (i32.eq (local.get $result) (i32.const -1)) (then (return (i32.const 9))))
      (local.set $n (i32.shr_u (local.get $result) (i32.const 4)))
      (local.set $at (i32.const 128))
      (block $over (loop $more
        (br_if $over (i32.eqz (local.get $n)))
        (local.set $sum (i32.add (i32.mul (local.get $sum) (i32.const 10)) (call $rep {get})))
        (local.set $at (i32.add (local.get $at) (i32.const {size})))
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (br $more)))
      (local.get $sum)))
  (core instance $i (instantiate $m (with "" (instance (export "m" (memory $libc "m")) (export "new" (func $new))
    (export "rep" (func $rep)) (export "drop" (func $drop)) (export "read" (func $read))
    (export "done" (func $done))))))
  (func (export "make") (param "n" u32) (result (own $R)) (canon lift (core func $i "make")))
  (func (export "take") (param "thing" (own $R)) (canon lift (core func $i "take")))
  (func (export "value") (param "thing" (borrow $R)) (result u32) (canon lift (core func $i "value")))
  (func (export "hold") (param "data" $s) (canon lift (core func $i "hold")))
  (func (export "close") (canon lift (core func $i "close")))
  (func (export "go") (param "n" u32) (result u32) (canon lift (core func $i "go"))))"""


GO = "(call $log (call $go (i32.const {})))"
STOP = "(call $log (call $cancel (global.get $to)))"
MODES = {
    "nothing": f"{GO.format(2)} {STOP} (call $see 3)",
    "another": f"(call $put 0 (local.get $d)) {GO.format(2)} {STOP} (call $see 3)",
    "swapped": f"(call $put 0 (local.get $b)) (call $put 1 (local.get $a)) {GO.format(2)} {STOP} (call $see 3)",
    "nothing at all, unread": f"(call $put 1 (i32.const 77)) {GO.format(1)} {STOP} (call $see 2) (call $see 3)",
    "nothing at all, never read": f"(call $put 0 (i32.const 0)) {STOP} (call $see 1) (call $see 2) (call $see 3)",
    "nothing at all, closed": "(call $put 0 (i32.const 0)) (call $close) (call $see 1) (call $see 2) (call $see 3)",
    "nothing at all, read": f"(call $put 1 (i32.const 77)) {GO.format(2)}",
    "far away, unread": f"(call $spoil 1) {GO.format(1)} {STOP} (call $see 2) (call $see 3)",
    "far away, read": f"(call $spoil 1) {GO.format(2)}",
    "used": f"(call $see 1) {GO.format(3)} {STOP}",
    "dropped, unread": f"(call $drop (local.get $c)) {GO.format(2)} {STOP}",
    "dropped, read": f"(call $drop (local.get $a)) {GO.format(1)}",
    "given away": f"(call $take (local.get $c)) {GO.format(2)} {STOP}",
    "written again": f"{GO.format(1)} (call $put 1 (local.get $d)) {GO.format(1)} {STOP} (call $see 2) (call $see 3)",
}
"""What is done with a buffer of three things, a to c, while it is offered; d is another one."""
for _name, _code in MODES.items():
    for _i, _local in enumerate("abc"):
        _code = _code.replace(f"(call $see {_i + 1})", f"(call $log (call $value (local.get ${_local})))")
        _code = _code.replace(f"$put {_i} ", f"$put (i32.const {_i}) ").replace(
            f"$spoil {_i}", f"$spoil (i32.const {_i})"
        )
    MODES[_name] = _code
BODY = by_mode(MODES.values())
HELD = {
    "make": "(param i32) (result i32)",
    "take": "(param i32)",
    "value": "(param i32) (result i32)",
    "hold": "(param i32)",
    "close": "",
    "go": "(param i32) (result i32)",
}
OWN = {
    "new": "(result i64)",
    "write": "(param i32 i32 i32) (result i32)",
    "cancel": "(param i32) (result i32)",
    "drop": "(param i32)",
    "return": "(param i32)",
}
LOWERED = " ".join(f"(core func ${name}' (canon lower (func ${name})))" for name in HELD)
SHAPES = " ".join(f'(import "" "{name}" (func ${name} {shape}))' for name, shape in (HELD | OWN).items())
GIVEN = " ".join(
    [f"""(export "{name}" (func ${name}'))""" for name in HELD]
    + [f"""(export "{name}" (func ${name}))""" for name in OWN]
)


def program(element: str) -> str:
    """What writes the things."""
    of, put, _, size = TYPES[element]
    return f"""(component
  (import "r" (type $R (sub resource)))
  (type $s (stream {of}))
  (import "make" (func $make (param "n" u32) (result (own $R)))) (import "take" (func $take (param "thing" (own $R))))
  (import "value" (func $value (param "thing" (borrow $R)) (result u32)))
  (import "hold" (func $hold (param "data" (stream {of})))) (import "close" (func $close))
  (import "go" (func $go (param "n" u32) (result u32)))
  {LIBC} {LOWERED}
  (core func $new (canon stream.new $s)) (core func $write (canon stream.write $s async {OPTIONS}))
  (core func $cancel (canon stream.cancel-write $s)) (core func $drop (canon resource.drop $R))
  (core func $return (canon task.return (result u32)))
  (core module $m
    (import "" "m" (memory 1)) {SHAPES}
    (global $to (mut i32) (i32.const 0)) (global $sum (mut i32) (i32.const 0))
    (func $log (param $n i32)
      (global.set $sum (i32.add (i32.mul (global.get $sum) (i32.const 31)) (i32.add (local.get $n) (i32.const 1)))))
    (func $put (param $i i32) (param $thing i32) (local $at i32)
      (local.set $at (i32.add (i32.const 256) (i32.mul (local.get $i) (i32.const {size}))))
      {put})
    ;; all of an element is nonsense
    (func $spoil (param $i i32)
      (memory.fill (i32.add (i32.const 256) (i32.mul (local.get $i) (i32.const {size})))
        (i32.const 0xff) (i32.const {size})))
    (func (export "run") (param $mode i32) (local $a i32) (local $b i32) (local $c i32) (local $d i32) (local $ends i64)
      (local.set $ends (call $new))
      (global.set $to (i32.wrap_i64 (i64.shr_u (local.get $ends) (i64.const 32))))
      (call $hold (i32.wrap_i64 (local.get $ends)))
      (local.set $a (call $make (i32.const 1))) (local.set $b (call $make (i32.const 2)))
      (local.set $c (call $make (i32.const 3))) (local.set $d (call $make (i32.const 4)))
      (call $put (i32.const 0) (local.get $a)) (call $put (i32.const 1) (local.get $b))
      (call $put (i32.const 2) (local.get $c))
      (call $log (call $write (global.get $to) (i32.const 256) (i32.const 3)))
      {BODY}
      (call $log (call $value (local.get $d)))
      (call $log (call $make (i32.const 5)))
      (call $return (global.get $sum))))
  (core instance $i (instantiate $m (with "" (instance (export "m" (memory $libc "m")) {GIVEN}))))
  (func (export "run") async (param "mode" u32) (result u32) (canon lift (core func $i "run") async)))"""


IMPORTS = ("type r", *(f"func {name}" for name in HELD))
AS_WRITTEN = ("another", "swapped")
"""The host finds what was there when the buffer was offered, where it would find these things unfused."""
LENIENT = ("nothing at all, read", "far away, read", "written again")
"""The same, where the component unfused traps."""
IN_USE = ("nothing at all, closed", "used", "dropped, unread", "dropped, read", "given away")
"""A handle that is offered to the host cannot be used before it is known whether it has gone over."""


def answers(engine: Unfused | Fused) -> dict[str, str]:
    """What the program answers in each mode. Traps do not say all indices."""
    found = {mode: str(engine.answers((("run", i),))[0]) for i, mode in enumerate(MODES)}
    return {mode: re.sub(r"(unknown handle index) \d+$", r"\1", answer) for mode, answer in found.items()}


@pytest.mark.parametrize("element", TYPES)
def test_buffers_that_are_overwritten(element: str) -> None:
    wasm = composed(host(element), program(element), IMPORTS, ("func run",))
    engine = answers(Unfused(wasm))
    assert answers(Fused(wasm)) == engine
    with_host = answers(Unfused(composed(host(element), product(program(element)), IMPORTS, ("func run",))))
    for mode, answer in with_host.items():
        if mode in AS_WRITTEN:
            assert answer == engine["nothing"], mode
        elif mode in IN_USE:
            assert "used with the wrong type" in answer, mode
        elif mode not in LENIENT:
            assert answer == engine[mode], mode
