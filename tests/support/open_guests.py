"""Pieces of components in text that read and write streams of bytes, and futures, and wait for them."""

from __future__ import annotations

from collections.abc import Iterable

LIBC = """
  (core module $libc (memory (export "m") 1)
    (global $top (mut i32) (i32.const 4096))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $top) (i32.const 15)) (i32.const -16)))
      (global.set $top (i32.add (local.get $at) (local.get 3)))
      (local.get $at)))
  (core instance $libc (instantiate $libc))
"""
MEMORY = '(memory (core memory $libc "m"))'


def by_mode(codes: Iterable[str]) -> str:
    """The code of a number that ``$mode`` holds."""
    return "".join(f"(if (i32.eq (local.get $mode) (i32.const {i})) (then {code}))" for i, code in enumerate(codes))


def builtins(option: str, *, reads: str, writes: str) -> str:
    """The built-ins of streams and futures, and a core instance `$canon` of them."""
    copies = {"s": ("stream", "$s"), "f": ("future", "$f")}
    lines, exports = [], []
    for key, (kind, of) in copies.items():
        operations = ["new", "drop-readable", "drop-writable"]
        lines += [f"(core func ${key}-{name} (canon {kind}.{name} {of}))" for name in operations]
        for verb, wanted in (("read", reads), ("write", writes)):
            if key in wanted:
                lines.append(f"(core func ${key}-{verb} (canon {kind}.{verb} {of} {option} {MEMORY}))")
                operations.append(verb)
        exports += [f'(export "{key}-{name}" (func ${key}-{name}))' for name in operations]
    return "\n  ".join(
        [
            "(type $s (stream u8)) (type $f (future u32))",
            *lines,
            "(core func $set-new (canon waitable-set.new)) (core func $join (canon waitable.join))",
            f"(core func $wait (canon waitable-set.wait {MEMORY}))",
            '(core instance $canon (export "m" (memory $libc "m"))',
            '  (export "set-new" (func $set-new)) (export "join" (func $join)) (export "wait" (func $wait))',
            f"  {' '.join(exports)})",
        ]
    )


def imports(*, reads: str, writes: str) -> str:
    """The same in a core module."""
    lines = ['(import "c" "m" (memory 1))']
    for key in "sf":
        size = "(param i32 i32 i32)" if key == "s" else "(param i32 i32)"
        lines.append(f'(import "c" "{key}-new" (func ${key}-new (result i64)))')
        lines += [
            f'(import "c" "{key}-drop-{end}" (func ${key}-drop-{end} (param i32)))' for end in ("readable", "writable")
        ]
        for verb, wanted in (("read", reads), ("write", writes)):
            if key in wanted:
                lines.append(f'(import "c" "{key}-{verb}" (func ${key}-{verb} {size} (result i32)))')
    return "\n    ".join(
        [
            *lines,
            '(import "c" "set-new" (func $set-new (result i32)))',
            '(import "c" "join" (func $join (param i32 i32)))',
            '(import "c" "wait" (func $wait (param i32 i32) (result i32)))',
        ]
    )


HELPERS = """
    (func $awaited (param $end i32) (param $result i32) (result i32) (local $set i32)
      (if (i32.ne (local.get $result) (i32.const -1)) (then (return (local.get $result))))
      (local.set $set (call $set-new))
      (call $join (local.get $end) (local.get $set))
      (drop (call $wait (local.get $set) (i32.const 2048)))
      (call $join (local.get $end) (i32.const 0))
      (i32.load (i32.const 2052)))
    (func $high (param i64) (result i32) (i32.wrap_i64 (i64.shr_u (local.get 0) (i64.const 32))))
    (func $sum (param $at i32) (param $n i32) (result i32) (local $sum i32)
      (block $done (loop $more
        (br_if $done (i32.eqz (local.get $n)))
        (local.set $sum (i32.add (local.get $sum) (i32.load8_u (local.get $at))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (br $more)))
      (local.get $sum))
"""

SINK = """
    ;; reads a stream to its end in pieces of 7, and gives the sum
    (func $drain (param $data i32) (result i32) (local $sum i32) (local $result i32)
      (loop $more
        (local.set $result (call $awaited (local.get $data)
          (call $s-read (local.get $data) (i32.const 128) (i32.const 7))))
        (local.set $sum (i32.add (local.get $sum)
          (call $sum (i32.const 128) (i32.shr_u (local.get $result) (i32.const 4)))))
        (br_if $more (i32.eqz (i32.and (local.get $result) (i32.const 15)))))
      (call $s-drop-readable (local.get $data))
      (local.get $sum))
"""
SOURCE = """
    ;; writes n bytes in pieces of 10, the last one shorter
    (func $fill (param $to i32) (param $n i32) (local $now i32) (local $result i32)
      (memory.fill (i32.const 256) (i32.const 3) (i32.const 10))
      (block $done (loop $more
        (br_if $done (i32.eqz (local.get $n)))
        (local.set $now (select (local.get $n) (i32.const 10) (i32.lt_u (local.get $n) (i32.const 10))))
        (local.set $result (call $awaited (local.get $to)
          (call $s-write (local.get $to) (i32.const 256) (local.get $now))))
        (br_if $done (i32.and (local.get $result) (i32.const 15)))
        (local.set $n (i32.sub (local.get $n) (i32.shr_u (local.get $result) (i32.const 4))))
        (br $more)))
      (call $s-drop-writable (local.get $to)))
"""

SOURCES = f"""(component $Sources {LIBC}
  {builtins("async", reads="s", writes="s")}
  (core func $return (canon task.return (result $s)))
  (core module $m
    {imports(reads="s", writes="s")}
    (import "c2" "return" (func $return (param i32)))
    {HELPERS} {SOURCE}
    (func (export "source") (param $n i32) (local $ends i64)
      (local.set $ends (call $s-new))
      (call $return (i32.wrap_i64 (local.get $ends)))
      (call $fill (call $high (local.get $ends)) (local.get $n))))
  (core instance $i (instantiate $m (with "c" (instance $canon))
    (with "c2" (instance (export "return" (func $return))))))
  (func (export "source") async (param "n" u32) (result $s) (canon lift (core func $i "source") async)))"""
"""A component whose task returns a stream, and goes on to write to it."""

ENDED = """    ;; waits for a subtask
    (func $ended (param $status i32) (local $handle i32) (local $set i32)
      (local.set $handle (i32.shr_u (local.get $status) (i32.const 4)))
      (if (i32.eqz (local.get $handle)) (then (return)))
      (local.set $set (call $set-new))
      (call $join (local.get $handle) (local.get $set))
      (loop $more
        (drop (call $wait (local.get $set) (i32.const 2048)))
        (br_if $more (i32.lt_u (i32.load (i32.const 2052)) (i32.const 2))))
      (call $join (local.get $handle) (i32.const 0))
      (call $drop (local.get $handle)))
"""
"""A function of a core module that waits for the subtask of a call; it imports what it calls."""
