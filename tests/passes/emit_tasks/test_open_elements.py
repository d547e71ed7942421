"""Streams and futures of which the host has one end, and whose elements hold streams and futures, beside the engine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from both import unfused
from hosted import TARGETS, both, composed, product
from open_guests import HELPERS, LIBC, MEMORY

from meld.cli import main

OPTIONS = f'{MEMORY} (realloc (core func $libc "realloc"))'
SIZES = {"new": "(result i64)", "cancel": "(param i32) (result i32)", "drop": "(param i32)"}
WAITS = {
    "set-new": ("waitable-set.new", "(result i32)"),
    "join": ("waitable.join", "(param i32 i32)"),
    "wait": (f"waitable-set.wait {MEMORY}", "(param i32 i32) (result i32)"),
}


def builtins(option: str, **ends: str) -> tuple[str, str]:
    """The built-ins of ends: as an instance `$canon`, and as imports of a core module.

    Args:
        ends: for each type, named `$key`, whether it is a stream or a future.
    """
    canons = [f"(core func ${name} (canon {builtin}))" for name, (builtin, _) in WAITS.items()]
    shapes = {name: shape for name, (_, shape) in WAITS.items()}
    for key, kind in ends.items():
        for name in ("new", "read", "write", "cancel-read", "cancel-write", "drop-readable", "drop-writable"):
            waits = "async" if (key, name) in (("i", "write"), ("f", "write")) else option
            given = f" {waits} {OPTIONS}" if name in ("read", "write") else ""
            canons.append(f"(core func ${key}-{name} (canon {kind}.{name} ${key}{given}))")
            count = " i32" if kind == "stream" else ""
            shapes[f"{key}-{name}"] = SIZES.get(name.partition("-")[0], f"(param i32 i32{count}) (result i32)")
    exports = " ".join(f'(export "{name}" (func ${name}))' for name in shapes)
    canons.append(f'(core instance $canon (export "m" (memory $libc "m")) {exports})')
    copies = {"o-read": "o-read.of", "o-write": "o-write.of"}
    imports = [f'(import "c" "{name}" (func ${copies.get(name, name)} {shape}))' for name, shape in shapes.items()]
    return "\n  ".join(canons), "\n    ".join(['(import "c" "m" (memory 1))', *imports])


# The ends inside the elements: `$fill` writes to one of number k, and does not wait; `$sum` reads one, and drops it.
# `$kept` does so where it was written to by the same instance, or only drops it if engines do not let it be read there.

INNER = {
    "(stream u8)": """
    (func $fill (param $to i32) (param $k i32) (local $at i32)
      (local.set $at (i32.add (i32.const 1024) (i32.mul (local.get $k) (i32.const 16))))
      (memory.fill (local.get $at) (local.get $k) (i32.const 3))
      (drop (call $i-write (local.get $to) (local.get $at) (i32.const 3))))
    (func $sum (param $end i32) (result i32) (local $n i32) (local $sum i32)
      (local.set $n (i32.shr_u (call $awaited (local.get $end)
        (call $i-read (local.get $end) (i32.const 992) (i32.const 8))) (i32.const 4)))
      (call $i-drop-readable (local.get $end))
      (block $done (loop $more
        (br_if $done (i32.eqz (local.get $n)))
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (local.set $sum (i32.add (local.get $sum) (i32.load8_u offset=992 (local.get $n))))
        (br $more)))
      (local.get $sum))
    (func $kept (param $end i32) (result i32) (call $sum (local.get $end)))""",
    "(future u32)": """
    (func $fill (param $to i32) (param $k i32) (local $at i32)
      (local.set $at (i32.add (i32.const 1024) (i32.mul (local.get $k) (i32.const 16))))
      (i32.store (local.get $at) (local.get $k))
      (drop (call $i-write (local.get $to) (local.get $at))))
    (func $sum (param $end i32) (result i32)
      (drop (call $awaited (local.get $end) (call $i-read (local.get $end) (i32.const 992))))
      (call $i-drop-readable (local.get $end))
      (i32.load (i32.const 992)))
    (func $kept (param $end i32) (result i32) (call $sum (local.get $end)))""",
    "(stream (future u32))": """
    (func $fill (param $to i32) (param $k i32) (local $at i32) (local $ends i64)
      (local.set $at (i32.add (i32.const 1024) (i32.mul (local.get $k) (i32.const 16))))
      (local.set $ends (call $f-new))
      (i32.store (local.get $at) (i32.wrap_i64 (local.get $ends)))
      (i32.store offset=4 (local.get $at) (local.get $k))
      (drop (call $f-write (call $high (local.get $ends)) (i32.add (local.get $at) (i32.const 4))))
      (drop (call $i-write (local.get $to) (local.get $at) (i32.const 1))))
    (func $sum (param $end i32) (result i32) (local $n i32) (local $future i32)
      (local.set $n (i32.shr_u (call $awaited (local.get $end)
        (call $i-read (local.get $end) (i32.const 992) (i32.const 1))) (i32.const 4)))
      (call $i-drop-readable (local.get $end))
      (if (i32.eqz (local.get $n)) (then (return (i32.const 0))))
      (local.set $future (i32.load (i32.const 992)))
      (drop (call $awaited (local.get $future) (call $f-read (local.get $future) (i32.const 992))))
      (call $f-drop-readable (local.get $future))
      (i32.load (i32.const 992)))
    (func $kept (param $end i32) (result i32) (call $i-drop-readable (local.get $end)) (i32.const 100))""",
}

# The elements: type, size, and what writes an end into one, and reads it.
ELEMENTS = {
    "$i": (
        4,
        "(i32.store (local.get $at) (local.get $end))",
        "(i32.load (local.get $at))",
    ),
    "(tuple u64 (option $i))": (
        16,
        "(i32.store offset=8 (local.get $at) (i32.const 1)) (i32.store offset=12 (local.get $at) (local.get $end))",
        "(i32.load offset=12 (local.get $at))",
    ),
    "(tuple string (list $i))": (
        16,
        """(i32.store (local.get $at) (i32.const 8)) (i32.store offset=4 (local.get $at) (i32.const 0))
      (i32.store offset=8 (local.get $at) (i32.add (local.get $at) (i32.const 512)))
      (i32.store offset=12 (local.get $at) (i32.const 1))
      (i32.store offset=512 (local.get $at) (local.get $end))""",
        "(i32.load (i32.load offset=8 (local.get $at)))",
    ),
}

CODE = """
    (func $o-awaited (param $end i32) (param $result i32) (result i32)
      {awaited})
    (func $at (param $i i32) (result i32) (i32.add (i32.const 256) (i32.mul (local.get $i) (i32.const {size}))))
    (func $put (param $i i32) (param $end i32) (local $at i32)
      (local.set $at (call $at (local.get $i)))
      {put})
    (func $get (param $i i32) (result i32) (local $at i32)
      (local.set $at (call $at (local.get $i)))
      {get})
    ;; the ends of elements from one on
    (func $sums (param $i i32) (param $n i32) (result i32) (local $sum i32)
      (block $done (loop $more
        (br_if $done (i32.eqz (local.get $n)))
        (local.set $sum (i32.add (local.get $sum) (call $sum (call $get (local.get $i)))))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (br $more)))
      (local.get $sum))
    (func $keeps (param $i i32) (param $n i32) (result i32) (local $sum i32)
      (block $done (loop $more
        (br_if $done (i32.eq (local.get $i) (local.get $n)))
        (local.set $sum (i32.add (local.get $sum) (call $kept (call $get (local.get $i)))))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $more)))
      (local.get $sum))
    ;; makes elements 0 to n - 1, whose writable ends are from 128 on; they are written to if they are to be
    (func $make (param $n i32) (param $filled i32) (local $i i32) (local $ends i64)
      (block $done (loop $more
        (br_if $done (i32.eq (local.get $i) (local.get $n)))
        (local.set $ends (call $i-new))
        (i32.store offset=128 (i32.shl (local.get $i) (i32.const 2)) (call $high (local.get $ends)))
        (if (local.get $filled)
          (then (call $fill (call $high (local.get $ends)) (i32.add (local.get $i) (i32.const 1)))))
        (call $put (local.get $i) (i32.wrap_i64 (local.get $ends)))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $more))))
    (func $fills (param $n i32)
      (block $done (loop $more
        (br_if $done (i32.eqz (local.get $n)))
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (call $fill (i32.load offset=128 (i32.shl (local.get $n) (i32.const 2)))
          (i32.add (local.get $n) (i32.const 1)))
        (br $more))))
    ;; writes elements 0 to n - 1: how many have gone over
    (func $write-all (param $to i32) (param $n i32) (result i32) (local $gone i32) (local $result i32)
      (block $done (loop $more
        (br_if $done (i32.eq (local.get $gone) (local.get $n)))
        (local.set $result (call $o-awaited (local.get $to)
          (call $o-write (local.get $to) (call $at (local.get $gone)) (i32.sub (local.get $n) (local.get $gone)))))
        (local.set $gone (i32.add (local.get $gone) (i32.shr_u (local.get $result) (i32.const 4))))
        (br_if $more (i32.eqz (i32.and (local.get $result) (i32.const 15))))))
      (call $o-drop-writable (local.get $to))
      (local.get $gone))
    ;; reads some elements, two at a time: the sum of what they hold
    (func $read-some (param $data i32) (param $some i32) (result i32)
      (local $sum i32) (local $result i32) (local $n i32)
      (block $done (loop $more
        (br_if $done (i32.eqz (local.get $some)))
        (local.set $result (call $o-awaited (local.get $data)
          (call $o-read (local.get $data) (call $at (i32.const 8))
            (select (local.get $some) (i32.const 2) (i32.lt_u (local.get $some) (i32.const 2))))))
        (local.set $n (i32.shr_u (local.get $result) (i32.const 4)))
        (local.set $some (i32.sub (local.get $some) (local.get $n)))
        (local.set $sum (i32.add (local.get $sum) (call $sums (i32.const 8) (local.get $n))))
        (br_if $more (i32.eqz (i32.and (local.get $result) (i32.const 15))))))
      (call $o-drop-readable (local.get $data))
      (local.get $sum))
"""


AWAITED = {
    "stream": "(call $awaited (local.get $end) (local.get $result))",
    # as if it were a stream of one element
    "future": """(local.set $result (call $awaited (local.get $end) (local.get $result)))
      (select (i32.const 17) (local.get $result) (i32.eqz (local.get $result)))""",
}


COPIES = {"stream": "(param i32 i32 i32)", "future": "(param i32 i32)"}


def code(outer: str, inner: str, element: str, more: str) -> str:
    """The functions that both sides have."""
    size, put, get = ELEMENTS[element]
    text = HELPERS.split("(func $sum")[0] + INNER[inner]
    count = "(local.get 2)" if outer == "stream" else ""
    text += "".join(
        f"""
    (func ${name} (param i32 i32 i32) (result i32) (call ${name}.of (local.get 0) (local.get 1) {count}))"""
        for name in ("o-read", "o-write", more)
    )
    return text + CODE.format(size=size, put=put, get=get, awaited=AWAITED[outer])


def types(outer: str, inner: str, element: str) -> str:
    """The types of the ends, by name: `$o` is that of the outer ones."""
    lines = [f"(type $f (future u32)) (type $i {inner.replace('(future u32)', '$f') if inner[1] == 's' else inner})"]
    if "(" in element:
        head, _, part = element.rpartition(" (")
        lines.append(f"(type $part ({part.removesuffix(')')}) (type $e {head} $part))")
    lines.append(f"(type $o ({outer} {'$e' if '(' in element else '$i'}))")
    return " ".join(lines)


def host(outer: str, inner: str, element: str, option: str) -> str:
    """What reads the elements of a stream, or writes some."""
    made, imports = builtins(option, f="future", i=inner[1:7], o=outer)
    return f"""(component {LIBC} {types(outer, inner, element)} {made}
  (core func $return-future (canon task.return (result $f)))
  (core func $return-stream (canon task.return (result $o)))
  (core func $park (canon {outer}.write $o async {OPTIONS}))
  (core module $m
    {imports}
    (import "c2" "return-future" (func $return-future (param i32)))
    (import "c2" "return-stream" (func $return-stream (param i32)))
    (import "c2" "park" (func $park.of {COPIES[outer]} (result i32)))
    {code(outer, inner, element, "park")}
    (global $left (mut i32) (i32.const 0))
    (global $held (mut i32) (i32.const 0))
    (func (export "hold") (param i32) (global.set $held (local.get 0)))
    (func (export "go") (param $some i32) (call $sink (global.get $held) (local.get $some)))
    (func $sink (export "sink") (param $data i32) (param $some i32) (local $ends i64)
      (local.set $ends (call $f-new))
      (call $return-future (i32.wrap_i64 (local.get $ends)))
      (i32.store (i32.const 64) (call $read-some (local.get $data) (local.get $some)))
      (drop (call $awaited (call $high (local.get $ends))
        (call $f-write (call $high (local.get $ends)) (i32.const 64))))
      (call $f-drop-writable (call $high (local.get $ends))))
    (func (export "source") (param $n i32) (local $ends i64) (local $gone i32)
      (local.set $ends (call $o-new))
      (call $return-stream (i32.wrap_i64 (local.get $ends)))
      (call $make (local.get $n) (i32.const 1))
      (local.set $gone (call $write-all (call $high (local.get $ends)) (local.get $n)))
      (global.set $left (call $keeps (local.get $gone) (local.get $n))))
    ;; the same, but nothing is left that runs
    (func (export "parked") (param $n i32) (result i32) (local $ends i64)
      (local.set $ends (call $o-new))
      (call $make (local.get $n) (i32.const 1))
      (drop (call $park (call $high (local.get $ends)) (call $at (i32.const 0)) (local.get $n)))
      (i32.wrap_i64 (local.get $ends)))
    (func (export "left") (result i32) (global.get $left)))
  (core instance $c2 (export "return-future" (func $return-future)) (export "return-stream" (func $return-stream))
    (export "park" (func $park)))
  (core instance $i (instantiate $m (with "c" (instance $canon)) (with "c2" (instance $c2))))
  (func (export "sink") async (param "data" $o) (param "some" u32) (result $f) (canon lift (core func $i "sink") async))
  (func (export "hold") (param "data" $o) (canon lift (core func $i "hold")))
  (func (export "go") async (param "some" u32) (result $f) (canon lift (core func $i "go") async))
  (func (export "source") async (param "n" u32) (result $o) (canon lift (core func $i "source") async))
  (func (export "parked") (param "n" u32) (result $o) (canon lift (core func $i "parked")))
  (func (export "left") (result u32) (canon lift (core func $i "left"))))
"""


def program(outer: str, inner: str, element: str, option: str) -> str:
    """What exchanges them with the host."""
    made, imports = builtins(option, f="future", i=inner[1:7], o=outer)
    return f"""(component {types(outer, inner, element)}
  (import "sink" (func $sink async (param "data" $o) (param "some" u32) (result $f)))
  (import "hold" (func $hold (param "data" $o)))
  (import "go" (func $go async (param "some" u32) (result $f)))
  (import "source" (func $source async (param "n" u32) (result $o)))
  (import "parked" (func $parked (param "n" u32) (result $o)))
  {LIBC} {made}
  (core func $sink' (canon lower (func $sink))) (core func $source' (canon lower (func $source)))
  (core func $hold' (canon lower (func $hold))) (core func $go' (canon lower (func $go)))
  (core func $parked' (canon lower (func $parked)))
  (core func $return (canon task.return (result u32)))
  (core func $offer (canon {outer}.write $o async {OPTIONS}))
  (core module $m
    {imports}
    (import "c2" "sink" (func $sink (param i32 i32) (result i32)))
    (import "c2" "source" (func $source (param i32) (result i32)))
    (import "c2" "hold" (func $hold (param i32)))
    (import "c2" "go" (func $go (param i32) (result i32)))
    (import "c2" "parked" (func $parked (param i32) (result i32)))
    (import "c2" "return" (func $return (param i32)))
    (import "c2" "offer" (func $offer.of {COPIES[outer]} (result i32)))
    {code(outer, inner, element, "offer")}
    (func $value (param $future i32) (result i32)
      (drop (call $awaited (local.get $future) (call $f-read (local.get $future) (i32.const 96))))
      (call $f-drop-readable (local.get $future))
      (i32.load (i32.const 96)))
    (func $all (param $future i32) (param $gone i32) (param $n i32)
      (call $return
        (i32.add
          (i32.mul (call $value (local.get $future)) (i32.const 1000))
          (call $keeps (local.get $gone) (local.get $n)))))
    (func (export "read") (param $n i32)
      (call $return (call $read-some (call $source (local.get $n)) (i32.add (local.get $n) (i32.const 1)))))
    (func (export "read-two") (param $n i32)
      (call $return (call $read-some (call $source (local.get $n)) (i32.const 2))))
    (func (export "take") (param $n i32)
      (call $return (call $read-some (call $parked (local.get $n)) (local.get $n))))
    ;; writes 4 elements, of which the host reads some; those that are left can be read here
    (func (export "write") (param $some i32) (local $ends i64) (local $future i32)
      (local.set $ends (call $o-new))
      (local.set $future (call $sink (i32.wrap_i64 (local.get $ends)) (local.get $some)))
      (call $make (i32.const 4) (i32.const 1))
      (call $all (local.get $future) (call $write-all (call $high (local.get $ends)) (i32.const 4)) (i32.const 4)))
    ;; ends that are written to once the elements have been offered
    (func (export "later") (param $some i32) (local $ends i64) (local $future i32) (local $result i32)
      (local.set $ends (call $o-new))
      (local.set $future (call $sink (i32.wrap_i64 (local.get $ends)) (local.get $some)))
      (call $make (i32.const 4) (i32.const 0))
      (local.set $result (call $offer (call $high (local.get $ends)) (call $at (i32.const 0)) (i32.const 4)))
      (call $fills (i32.const 4))
      (local.set $result (call $o-awaited (call $high (local.get $ends)) (local.get $result)))
      (call $o-drop-writable (call $high (local.get $ends)))
      (call $all (local.get $future) (i32.shr_u (local.get $result) (i32.const 4)) (i32.const 4)))
    ;; elements that are offered, and then not any more, and then again; the host reads 2 of them
    (func (export "cancel") (param $filled i32) (local $ends i64) (local $to i32)
      (local.set $ends (call $o-new))
      (local.set $to (call $high (local.get $ends)))
      (call $hold (i32.wrap_i64 (local.get $ends)))
      (call $make (i32.const 4) (local.get $filled))
      (drop (call $offer (local.get $to) (call $at (i32.const 0)) (i32.const 4)))
      (drop (call $o-cancel-write (local.get $to)))
      (if (i32.eqz (local.get $filled)) (then (call $fills (i32.const 4))))
      (call $all (call $go (i32.const 2)) (call $write-all (local.get $to) (i32.const 4)) (i32.const 4)))
    ;; what the host writes goes back to it, as far as it takes it
    (func (export "relay") (param $some i32) (local $data i32) (local $ends i64) (local $future i32) (local $n i32)
      (local.set $data (call $source (i32.const 3)))
      (local.set $ends (call $o-new))
      (local.set $future (call $sink (i32.wrap_i64 (local.get $ends)) (local.get $some)))
      (local.set $n (i32.shr_u (call $o-awaited (local.get $data)
        (call $o-read (local.get $data) (call $at (i32.const 0)) (i32.const 3))) (i32.const 4)))
      (call $o-drop-readable (local.get $data))
      (call $all (local.get $future) (call $write-all (call $high (local.get $ends)) (local.get $n)) (local.get $n))))
  (core instance $c2 (export "sink" (func $sink')) (export "source" (func $source')) (export "parked" (func $parked'))
    (export "return" (func $return)) (export "offer" (func $offer)) (export "hold" (func $hold'))
    (export "go" (func $go')))
  (core instance $i (instantiate $m (with "c" (instance $canon)) (with "c2" (instance $c2))))
  {
        " ".join(
            f'(func (export "{name}") async (param "n" u32) (result u32) (canon lift (core func $i "{name}") async))'
            for name in EXPORTS
        )
    })
"""


WITHDRAWN = """
    ;; an element is offered, and then not any more: what happens to its ends before, and meanwhile
    (func $offered (param $to i32) (param $end i32)
      (call $put (i32.const 0) (local.get $end))
      (if (i32.ne (call $offer (local.get $to) (call $at (i32.const 0)) (i32.const 1)) (i32.const -1))
        (then unreachable)))
    (func (export "withdrawn") (param $how i32) (local $ends i64) (local $to i32) (local $w i32) (local $r i32)
      (local $got i32)
      (local.set $ends (call $o-new))
      (local.set $to (call $high (local.get $ends)))
      (call $hold (i32.wrap_i64 (local.get $ends)))
      (local.set $ends (call $i-new))
      (local.set $r (i32.wrap_i64 (local.get $ends)))
      (local.set $w (call $high (local.get $ends)))
      (i32.store (i32.const 1024) (i32.const 0x04030201))
      (block $done
        (if (i32.eqz (local.get $how))  ;; its writable end is dropped
          (then
            (call $offered (local.get $to) (local.get $r))
            (call $i-drop-writable (local.get $w))
            (br $done)))
        (if (i32.ne (call $i-write (local.get $w) (i32.const 1024) (i32.const 4)) (i32.const -1)) (then unreachable))
        (if (i32.eq (local.get $how) (i32.const 1))  ;; some of it is read before
          (then
            (drop (call $i-read (local.get $r) (i32.const 992) (i32.const 1)))
            (call $offered (local.get $to) (local.get $r))
            (br $done)))
        (call $offered (local.get $to) (local.get $r))
        (drop (call $i-cancel-write (local.get $w)))
        (if (i32.eq (local.get $how) (i32.const 2))  ;; what is written is taken back, and written again
          (then
            (drop (call $i-write (local.get $w) (i32.const 1025) (i32.const 3)))
            (br $done)))
        (call $i-drop-writable (local.get $w)))
      (drop (call $o-cancel-write (local.get $to)))
      (call $o-drop-writable (local.get $to))
      (local.set $got (call $i-read (local.get $r) (i32.const 992) (i32.const 8)))
      (call $return (i32.add (i32.mul (local.get $got) (i32.const 1000)) (i32.load8_u (i32.const 992))))
      (if (i32.ge_u (local.get $how) (i32.const 3)) (then (return)))
      (call $i-drop-readable (local.get $r)))"""


def withdrawn(element: str) -> str:
    """The program with an export more."""
    text = program("stream", "(stream u8)", element, "async")
    text = text.replace(
        """    (func (export "read") (param $n i32)""", WITHDRAWN + """    (func (export "read") (param $n i32)""", 1
    )
    lift = """(func (export "withdrawn") async (param "how" u32) (result u32)
    (canon lift (core func $i "withdrawn") async))"""
    return text.replace("""  (func (export "read") async""", f'  {lift}\n  (func (export "read") async', 1)


@pytest.mark.parametrize("element", ["$i", "(tuple string (list $i))"])
def test_ends_that_come_back(element: str) -> None:
    """An element is offered and withdrawn, whatever has been done with the writable end that it belongs to."""
    calls = tuple(("withdrawn", how) for how in range(4))
    answers = both(host("stream", "(stream u8)", element, "async"), withdrawn(element), HOSTS, *calls)
    assert answers == [1000, 48002, 48002, 1002]


EXPORTS = ("read", "read-two", "take", "write", "later", "cancel", "relay")
HOSTS = ("func sink", "func source", "func parked", "func hold", "func go")
CALLS = (
    ("read", 5), ("read-two", 4), ("take", 3), ("write", 3), ("write", 0), ("write", 4), ("later", 4), ("later", 2),
    ("cancel", 1), ("cancel", 0), ("relay", 3), ("relay", 1),
)  # fmt: skip
STREAMS = [45, 9, 18, 18012, 30, 30000, 9021, 9021, 9021, 9021, 18000, 3015]
FUTURES = [15, 3, 6, 6004, 10, 10000, 3007, 3007, 3007, 3007, 6000, 1005]
NESTED = [15, 3, 6, 6100, 400, 10000, 3200, 3200, 3200, 3200]
"""What is left of streams of futures cannot be read where it was made, nor can they be relayed."""
ONE = [3, 3, 3, 3027, 30, 3027, 3027, 3027, 3027, 3027, 3000, 3000]
"""A future has one element."""
ANSWERS = {
    ("stream", "(stream u8)"): STREAMS,
    ("stream", "(future u32)"): FUTURES,
    ("stream", "(stream (future u32))"): NESTED,
    ("future", "(stream u8)"): ONE,
}
ALL = "MELD_CASES" in os.environ
CASES = [(*pair, e, o) for pair in ANSWERS for e in ELEMENTS for o in ("async", "")][:: 1 if ALL else 7]


def expected(outer: str, inner: str) -> tuple[tuple[tuple[str, int], ...], list[int]]:
    """The calls, and their answers."""
    answers = ANSWERS[outer, inner]
    return CALLS[: len(answers)], answers


@pytest.mark.parametrize(("outer", "inner", "element", "option"), CASES)
def test_ends_in_elements(outer: str, inner: str, element: str, option: str) -> None:
    """They go over with their element, in both directions, and are the instance's own again if it does not."""
    calls, answers = expected(outer, inner)
    sides = host(outer, inner, element, option), program(outer, inner, element, option)
    assert both(*sides, HOSTS, *calls, targets=TARGETS) == answers


MAKER = """(component {libc} {types} {made}
  (core module $m
    {imports}
    {code}
    (func (export "made") (param $k i32) (result i32) (local $ends i64)
      (local.set $ends (call $i-new))
      (call $fill (call $high (local.get $ends)) (local.get $k))
      (i32.wrap_i64 (local.get $ends))))
  (core instance $i (instantiate $m (with "c" (instance $canon))))
  (func (export "made") (param "k" u32) (result $i) (canon lift (core func $i "made"))))"""
MAKES = """(local.set $ends (call $i-new))
        (i32.store offset=128 (i32.shl (local.get $i) (i32.const 2)) (call $high (local.get $ends)))
        (if (local.get $filled)
          (then (call $fill (call $high (local.get $ends)) (i32.add (local.get $i) (i32.const 1)))))
        (call $put (local.get $i) (i32.wrap_i64 (local.get $ends)))"""


def made_elsewhere(outer: str, inner: str, element: str) -> str:
    """The program in two instances: one makes the ends that are in the elements, the other one writes these."""
    built, imported = builtins("async", f="future", i=inner[1:7], o=outer)
    maker = MAKER.format(
        libc=LIBC,
        types=types(outer, inner, element),
        made=built,
        imports=imported.replace(".of ", " "),
        code=HELPERS.split("(func $sum")[0] + INNER[inner],
    )
    text = program(outer, inner, element, "async")
    head = text[: text.index("(core module $libc")]
    writer = text
    for old, new in (
        (MAKES, "(call $put (local.get $i) (call $made (i32.add (local.get $i) (i32.const 1))))"),
        ('(import "c2" "offer"', '(import "c2" "made" (func $made (param i32) (result i32))) {}'),
        ('(import "sink"', '(import "made" (func $made (param "k" u32) (result $i))) {}'),
        ('(export "offer"', '(export "made" (func $made\')) {}'),
        ("(core func $offer", "(core func $made' (canon lower (func $made))) {}"),
    ):
        assert old in writer
        writer = writer.replace(old, new.format(old), 1)
    kept = writer[writer.index("(func $kept") :].split("\n")[0]
    writer = writer.replace(kept, "(func $kept (param $end i32) (result i32) (call $sum (local.get $end)))")
    given = " ".join(f'(with "{name}" (func ${name}))' for name in ("sink", "source", "parked", "hold", "go"))
    shown = " ".join(f'(export "{name}" (func $w "{name}"))' for name in EXPORTS)
    return f"""{head}
  (component $M {maker.removeprefix("(component")}
  (component $W {writer.strip().removeprefix("(component")}
  (instance $maker (instantiate $M))
  (instance $w (instantiate $W (with "made" (func $maker "made")) {given}))
  {shown})"""


@pytest.mark.parametrize(("outer", "inner", "element"), [case[:3] for case in CASES[1:3]])
def test_ends_of_another_instance(outer: str, inner: str, element: str) -> None:
    """What comes back can be read where its element was written, whatever it carries."""
    calls = (("write", 3), ("write", 0), ("write", 4), ("cancel", 1))
    text = made_elsewhere(outer, inner, element)
    assert "(call $made" in text
    answers = both(host(outer, inner, element, "async"), text, HOSTS, *calls)
    each = 3 if inner == "(stream u8)" else 1
    first, last = (1, 1) if outer == "future" else (6, 10)  # what the host has had of 10, where it reads 3, and 4
    assert answers[:3] == [each * (1000 * gone + 10 - gone) for gone in (first, 0, last)]


@pytest.mark.parametrize(("outer", "inner", "element", "option"), CASES if ALL else CASES[:1])
def test_the_other_way_around(outer: str, inner: str, element: str, option: str) -> None:
    """The host is what has been fused."""
    calls, answers = expected(outer, inner)
    shown = tuple(f"func {name}" for name in EXPORTS)
    fused = product(host(outer, inner, element, option))
    assert unfused(composed(fused, program(outer, inner, element, option), HOSTS, shown), calls) == answers


def test_a_core_module(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It has no way to a stream of its host."""
    source, made = tmp_path / "a.wat", tmp_path / "p.wasm"
    source.write_text(program("stream", "(stream u8)", "$i", "async"))
    assert main([str(source), "-o", str(made)]) == 2
    said = capsys.readouterr().err
    assert "stays on the host" in said
    assert "--emit=component" in said
    assert not made.exists()
