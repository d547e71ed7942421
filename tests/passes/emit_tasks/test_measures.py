"""Elements in which lists hold lists are measured before the reader allocates: too much traps, as under the engine."""

from __future__ import annotations

import struct

import pytest
from both import Fused, Unfused
from smith import wasm_tools

TOO_MUCH = "trap: too much data is being copied between the host and the guest: fuel allocated for hostcalls has been"

PROGRAM = """
(component
  (component $a
    (type $f (future {type}))
    (core module $memory (memory (export "memory") 17)
      (data (i32.const 128) "{value}") (data (i32.const 4096) "{list}"))
    (core instance $memory (instantiate $memory))
    (core func $new (canon future.new $f))
    (core func $write (canon future.write $f async {options} (memory (core memory $memory "memory"))))
    (core func $return (canon task.return (result $f)))
    (core module $m
      (import "" "new" (func $new (result i64)))
      (import "" "write" (func $write (param i32 i32) (result i32)))
      (import "" "return" (func $return (param i32)))
      (func (export "give") (result i32) (local $ends i64)
        (local.set $ends (call $new))
        (call $return (i32.wrap_i64 (local.get $ends)))
        (drop (call $write (i32.wrap_i64 (i64.shr_u (local.get $ends) (i64.const 32))) (i32.const 128)))
        (i32.const 0))
      (func (export "callback") (param i32 i32 i32) (result i32) (unreachable)))
    (core instance $m (instantiate $m (with "" (instance
      (export "new" (func $new)) (export "write" (func $write)) (export "return" (func $return))))))
    (func (export "give") async (result $f)
      (canon lift (core func $m "give") async (callback (core func $m "callback")))))
  (component $b
    (type $f (future {type}))
    (import "give" (func $give async (result $f)))
    (core module $memory
      (memory (export "memory") 17)
      (global $free (mut i32) (i32.const 65536))
      (func (export "realloc") (param i32 i32 i32 i32) (result i32)
        {allocates}
        (global.set $free (i32.add (global.get $free) (i32.and (i32.add (local.get 3) (i32.const 15)) (i32.const -8))))
        (i32.sub (global.get $free) (i32.and (i32.add (local.get 3) (i32.const 15)) (i32.const -8)))))
    (core instance $memory (instantiate $memory))
    (core func $give' (canon lower (func $give)))
    (core func $read
      (canon future.read $f {options} (memory (core memory $memory "memory")) (realloc (core func $memory "realloc"))))
    (core module $m
      (import "" "memory" (memory 1))
      (import "" "give" (func $give (result i32)))
      (import "" "read" (func $read (param i32 i32) (result i32)))
      (func (export "run") (result i32)
        (local $hash i32) (local $at i32)
        (drop (call $read (call $give) (i32.const 64)))
        (local.set $at (i32.const 65532))
        (loop $more
          (local.set $at (i32.add (local.get $at) (i32.const 4)))
          (local.set $hash (i32.add (i32.mul (local.get $hash) (i32.const 31)) (i32.load (local.get $at))))
          (br_if $more (i32.lt_u (local.get $at) (i32.const 131068))))
        (i32.add (local.get $hash) (i32.load (i32.const 68)))))
    (core instance $m (instantiate $m (with "" (instance
      (export "memory" (memory $memory "memory")) (export "give" (func $give')) (export "read" (func $read))))))
    (func (export "run") async (result s32) (canon lift (core func $m "run"))))
  (instance $a (instantiate $a))
  (instance $b (instantiate $b (with "give" (func $a "give"))))
  (func (export "run") (alias export $b "run")))
"""


def program(
    element: str, value: list[int], items: list[int], *, allocates: bool, allocator: str = "", options: str = ""
) -> bytes:
    """A future of a type, whose value is i32s at 128 and 4096. Without an allocator each allocation traps.

    Args:
        allocator: code of it, in front of the rest.
        options: further ones of the write and of the read.
    """

    def bytes_of(words: list[int]) -> str:
        return "".join(f"\\{byte:02x}" for byte in struct.pack(f"<{len(words)}I", *words))

    trap = allocator if allocates else "(unreachable)"
    text = PROGRAM.format(type=element, value=bytes_of(value), list=bytes_of(items), allocates=trap, options=options)
    return wasm_tools("parse", data=text.encode())


MUCH, LITTLE = [8192, 1 << 20] * 200, [4096, 3] * 20

TYPES = [
    ("(list (list u8))", [4096, "n"], 1),
    ("(list string)", [4096, "n"], 1),
    ("(tuple u32 (list string))", [7, 4096, "n"], 1),
    ("(option (list (list u8)))", [1, 4096, "n"], 1),
    ("(result u32 (error (list string)))", [1, 4096, "n"], 1),
    ("(list (option string))", [4096, "n"], 3),
    ("(list (tuple string (list s8)))", [4096, "n"], 2),
]
"""A type, its value (n is the length of the list at 4096), and how many i32s an element of that list has, in pairs."""


@pytest.mark.parametrize(("element", "value", "pairs"), TYPES, ids=[t for t, _, _ in TYPES])
def test_much_and_little(element: str, value: list[int | str], pairs: int) -> None:
    for items, expected in ((MUCH, TOO_MUCH), (LITTLE, None)):
        words = [w for i in range(0, len(items), 2) for w in _element(items[i : i + 2], pairs)]
        number = len(items) // 2 // (2 if pairs == 2 else 1)
        given = [number if w == "n" else w for w in value]
        wasm = program(element, given, words, allocates=expected is None)
        fused, unfused = Fused(wasm).answers((("run",),)), Unfused(wasm).answers((("run",),))
        assert fused == unfused
        assert str(fused[0]).startswith(expected or "") and (expected is not None or isinstance(fused[0], int))


def _element(pair: list[int], pairs: int) -> list[int]:
    return [1, *pair] if pairs == 3 else pair


def test_lists_are_checked_where_they_are_measured() -> None:
    wasm = program("(list (list u8))", [4096, 1], [0, 1 << 24], allocates=False)
    assert (
        Fused(wasm).answers((("run",),))
        == Unfused(wasm).answers((("run",),))
        == ["trap: list pointer/length out of bounds of memory"]
    )


def test_what_no_list_multiplies_is_not_measured() -> None:
    wasm = program("(list u8)", [0, 1 << 20], [], allocates=False)
    assert Fused(wasm).answers((("run",),)) == ["trap: wasm `unreachable` instruction executed"]
