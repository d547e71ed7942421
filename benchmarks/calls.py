"""Calls from one component into another: fused by us and by the rival, linked by the engine, and without any adapter.

The loop is in the caller, in WebAssembly, so that only calls are timed. The floor allocates and copies; it checks
nothing.
"""

from __future__ import annotations

import itertools
import struct
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import wasmtime
import wasmtime.component
from measure import MISSING, REFUSED, Cell, Row, show_rows
from running import fused_by_rival, interleaved, rival, times

import meld
from meld.runtime.instantiate import Trapped, instantiate

START = 1024
"""Where the caller's data is."""
TURN = 1.5e-3
"""Seconds that one turn of one of the programs should take."""


@dataclass(frozen=True)
class Case:
    """One function: its type, what its caller lowers it with, and what is given to it."""

    name: str
    type: str
    data: bytes = b""
    units: int = 0
    lower: str = "utf8"
    lift: str = "utf8"
    target: str = ""


def text_of(pattern: str, size: int, encoding: str = "utf-8") -> bytes:
    """So many bytes of whole characters; what is left over is spaces."""
    data = (pattern * size).encode(encoding)[:size].decode(encoding, "ignore").encode(encoding)
    return data + (" " * size).encode(encoding)[: size - len(data)]


ASCII, GREEK = "The quick brown fox. ", "Ξεσκεπάζω τὴν "
FRENCH = "Où est la bibliothèque près d'ici ? "
LANGUAGES = {"French": FRENCH, "Greek": GREEK, "Japanese": "色は匂へど散りぬるを"}
WIDE = {"Greek": GREEK, "Cyrillic": "Съешь же ещё этих мягких булок ", "Chinese": "天地玄黃宇宙洪荒日月盈昃辰宿列張"}
"""Texts that are transcoded."""
EMOJI = "😀a😃bc"
EMOJI16 = text_of(EMOJI, 4096, "utf-16-le")
STRING, UTF16 = '(param "s" string) (result u32)', text_of(ASCII, 4096, "utf-16-le")
LATIN1 = text_of(FRENCH, 4096, "latin-1")
TARGETS = {16: "≥ 2 × as fast", 64: "≥ 2 × as fast", 4096: "≥ 4 × as fast"}
AS_FAST = "≥ 3 × as fast"
TRAPS = "traps"


def list_of(element: str, size: int, count: int = 0) -> Case:
    """A list of so many elements of so many bytes, which are zeros; of 4096 bytes if their number is not given."""
    function = f'(param "s" (list {element})) (result u32)'
    how_many = f"{count} elements" if count else "4096 B"
    count = count or 4096 // size
    return Case(f"call with list<{element}>, {how_many}", function, bytes(count * size), count)


def from_latin1(size: int, lift: str) -> Case:
    """French in Latin-1, into an encoding."""
    data = text_of(FRENCH, size, "latin-1")
    words = {"utf16": "UTF-16", "latin1+utf16": "Latin-1"}[lift]
    name = f"call with {size} B of French in Latin-1 into {words}"
    return Case(name, STRING, data, size, lower="latin1+utf16", lift=lift)


def list_of_lists(element: str, data: bytes) -> Case:
    """A list of 64 strings or lists of bytes, all with the same content."""
    each = [struct.pack("<II", START + 64 * 8 + i * len(data), len(data)) for i in range(64)]
    words = f"call with list<{element}>, 64 of {len(data)} B"
    return Case(words, f'(param "s" (list {element})) (result u32)', b"".join(each) + 64 * data, 64)


def into_utf16(name: str, words: str, size: int = 4096) -> Case:
    """A string in UTF-8 whose callee takes UTF-16."""
    target = AS_FAST if size == 4096 else ""
    data = text_of(words, size)
    return Case(f"call with {size} B of {name} into UTF-16", STRING, data, size, "utf8", "utf16", target)


def into_utf8(name: str, words: str) -> Case:
    """A string in UTF-16 whose callee takes UTF-8."""
    data = text_of(words, 4096, "utf-16-le")
    return Case(f"call with 4096 B of {name} in UTF-16 into UTF-8", STRING, data, 2048, "utf16", "utf8", AS_FAST)


CASES = (
    Case("call with numbers", '(param "a" u32) (param "b" u32) (result u32)', target="the bare call"),
    *(
        Case(f"call with {n} B of ASCII", STRING, text_of(ASCII, n), n, target=TARGETS.get(n, ""))
        for n in (16, 24, 64, 256, 4096)
    ),
    *(Case(f"call with 4096 B of {name}", STRING, text_of(words, 4096), 4096) for name, words in LANGUAGES.items()),
    *(into_utf16(name, words) for name, words in {"ASCII": ASCII, **WIDE}.items()),
    *(into_utf16(name, words, 24) for name, words in {"ASCII": ASCII, "Greek": GREEK}.items()),
    into_utf16("emoji among letters", EMOJI),
    *(into_utf8(name, words) for name, words in {"ASCII": ASCII, **WIDE}.items()),
    Case("call with 4096 B of French in Latin-1 into UTF-8", STRING, LATIN1, 4096, lower="latin1+utf16"),
    Case("call with 4096 B of French into Latin-1", STRING, text_of(FRENCH, 4096), 4096, lift="latin1+utf16"),
    Case("call with 4096 B of ASCII into Latin-1", STRING, text_of(ASCII, 4096), 4096, lift="latin1+utf16"),
    Case("call with 4096 B of UTF-16", STRING, UTF16, 2048, lower="utf16", lift="utf16"),
    *(from_latin1(size, lift) for lift in ("latin1+utf16", "utf16") for size in (24, 4096)),
    Case("call with 4096 B of emoji among letters in UTF-16 into UTF-8", STRING, EMOJI16, 2048, lower="utf16"),
    *(list_of(element, size, 3) for element, size in (("u8", 1), ("u32", 4), ("char", 4), ("(option u32)", 8))),
    list_of("u8", 1),
    list_of("u32", 4),
    list_of("char", 4),
    list_of("bool", 1),
    list_of("(tuple u8 u32)", 8),
    list_of("(tuple bool bool)", 2),
    list_of("(option u32)", 8),
    list_of("(result u32 (error u8))", 8),
    list_of_lists("string", text_of(ASCII, 16)),
    list_of_lists("(list u8)", bytes(16)),
)


def literal(data: bytes) -> str:
    return "".join(f"\\{byte:02x}" for byte in data)


def parties(case: Case) -> tuple[str, str]:
    """The caller and the callee as components."""
    caller = f"""(component $caller
  (import "bench:it/calls" (instance $it (export "take" (func {case.type}))))
  (alias export $it "take" (func $take))
  (core module $memory (memory (export "memory") 1) (data (i32.const 1024) "{literal(case.data)}"))
  (core instance $m (instantiate $memory))
  (core func $take (canon lower (func $take) (memory (core memory $m "memory")) string-encoding={case.lower}))
  (core module $main
    (import "bench:it/calls" "take" (func $take (param i32 i32) (result i32)))
    (func (export "run") (param $rounds i32) (result i32) (local $sum i32)
      (loop $next
        (local.set $sum (i32.add (local.get $sum) (call $take (i32.const 1024) (i32.const {case.units}))))
        (br_if $next (local.tee $rounds (i32.sub (local.get $rounds) (i32.const 1)))))
      (local.get $sum)))
  (core instance $i (instantiate $main (with "bench:it/calls" (instance (export "take" (func $take))))))
  (func (export "run") (param "rounds" u32) (result u32) (canon lift (core func $i "run"))))"""
    callee = f"""(component $callee
  (core module $main
    (memory (export "memory") 1)
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
    (func (export "bench:it/calls#take") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))
  (core instance $i (instantiate $main))
  (func $take {case.type}
    (canon lift (core func $i "bench:it/calls#take") (memory (core memory $i "memory"))
      (realloc (core func $i "cabi_realloc")) string-encoding={case.lift}))
  (instance $it (export "take" (func $take)))
  (export "bench:it/calls" (instance $it)))"""
    return caller, callee


FLOOR = """(module
  (memory $a 1) (memory $b 1)
  (func $realloc (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  (func $take (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func (export "run") (param $rounds i32) (result i32) (local $sum i32) (local $to i32) (local $at i32)
    (local $v0 v128) (local $v1 v128) (local $v2 v128) (local $v3 v128)
    (local $v4 v128) (local $v5 v128) (local $v6 v128) (local $v7 v128)
    (loop $next
      {copy}
      (local.set $sum (i32.add (local.get $sum) (call $take (local.get $to) (i32.const {units}))))
      (br_if $next (local.tee $rounds (i32.sub (local.get $rounds) (i32.const 1)))))
    (local.get $sum)))"""
COPY = """(local.set $to (call $realloc (i32.const 0) (i32.const 0) (i32.const 1) (i32.const {size})))
      (memory.copy $b $a (local.get $to) (i32.const 1024) (i32.const {size}))"""


def checked_copy(size: int) -> str:
    """What copies and checks ASCII, 128 bytes a turn, with nothing around it: the floor of a call that checks.

    A copy of its own by `memory.copy` and a loop that only checks take longer together.
    """
    at = [f"offset={16 * lane} align=1 (i32.add (i32.const 1024) (local.get $at))" for lane in range(8)]
    lanes = [f"(local.get $v{lane})" for lane in range(8)]
    while len(lanes) > 1:
        lanes = [f"(v128.or {a} {b})" for a, b in itertools.pairwise(lanes)][::2]
    return f"""(local.set $to (call $realloc (i32.const 0) (i32.const 0) (i32.const 1) (i32.const {size})))
      (local.set $at (i32.const 0))
      (loop $turn
        {" ".join(f"(local.set $v{lane} (v128.load $a {place}))" for lane, place in enumerate(at))}
        (if (i8x16.bitmask {lanes[0]}) (then unreachable))
        {" ".join(f"(v128.store $b {place} (local.get $v{lane}))" for lane, place in enumerate(at))}
        (br_if $turn (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 128))) (i32.const {size}))))"""


def core(module: meld.Module | bytes) -> Callable[[int], object]:
    """Runs a core module."""
    running = instantiate(module)
    return lambda rounds: running.call("run", rounds)


def component(binary: bytes) -> Callable[[int], object]:
    """Runs a component under the engine's own support for components."""
    config = wasmtime.Config()
    config.wasm_component_model = True
    with_components = wasmtime.Engine(config)
    store = wasmtime.Store(with_components)
    linked = wasmtime.component.Component(with_components, binary)
    instance = wasmtime.component.Linker(with_components).instantiate(store, linked)
    function: Any = instance.get_func(store, "run")

    def run(rounds: int) -> None:
        function(store, rounds)
        function.post_return(store)

    return run


def programs(case: Case, directory: Path) -> dict[str, Callable[[int], object]]:
    """What is compared; the rival may be missing."""
    texts, binaries = [], []
    for name, text in zip(("caller", "callee"), parties(case), strict=True):
        texts.append(directory / f"{name}.wat")
        texts[-1].write_text(text)
        binaries.append(directory / f"{name}.wasm")
        binaries[-1].write_bytes(meld.encode(meld.compile(texts[-1], passes="")))
    copy = COPY.format(size=len(case.data)) if case.data else ""
    found = {
        "ours": core(meld.compile(texts)),
        "engine": component(meld.encode(meld.compile(texts, stop_after="link"))),
        "floor": core(bytes(wasmtime.wat2wasm(FLOOR.format(copy=copy, units=case.units)))),
    }
    if case.name.endswith("B of ASCII") and len(case.data) % 128 == 0:
        checked = FLOOR.format(copy=checked_copy(len(case.data)), units=case.units)
        found["checked floor"] = core(bytes(wasmtime.wat2wasm(checked)))
    theirs = fused_by_rival(binaries, directory / "rival.wasm")
    if theirs is not None:
        found["rival"] = core(theirs)
    return found


def _runs(program: Callable[[int], object] | None) -> bool:
    """Whether a program runs without a trap, if there is one."""
    try:
        if program is not None:
            program(1)
        return True
    except Trapped:
        return False


def measured(case: Case) -> Row:
    """The row of a case."""
    with tempfile.TemporaryDirectory() as directory:
        runs = programs(case, Path(directory))
    wrong = not _runs(runs.get("rival"))
    if wrong:
        del runs["rival"]
    first = interleaved(runs, dict.fromkeys(runs, 1000), turns=3)
    rounds = {name: max(10, int(TURN / sample.least)) for name, sample in first.items()}
    taken = interleaved(runs, rounds, turns=40)
    ours, unfused, floor = (taken[name] for name in ("ours", "engine", "floor"))
    least = f"the floor, {times(unfused, floor):.2f} × as fast"
    reached = f"{times(unfused, ours):.2f} × as fast; {times(ours, floor):.2f} × {least}"
    if "checked floor" in taken:
        reached += f"; a bare copy that checks, {times(unfused, taken['checked floor']):.2f} × as fast"
    theirs: Cell = taken.get("rival") or (TRAPS if wrong else MISSING if rival() is None else REFUSED)
    return Row(case.name, ours, theirs, unfused, floor, case.target, reached)


def rows() -> list[Row]:
    """A row for each case."""
    return [measured(case) for case in CASES]


if __name__ == "__main__":
    show_rows(
        "Calls between components; unfused: the engine's own adapters; floor: no adapter, nothing checked", rows()
    )
