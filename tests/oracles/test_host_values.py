"""Values that a hostile instance gives the host, and is given: one memory beside unfused, both under the engine.

The same component is run as it is, and fused into a module of one memory that is wrapped as a component again. So the
engine plays the host in both, and nothing but what the module checks tells the one from the other: the engine would let
pass each pointer into the region of somebody else.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import wasmtime
from adapter_pairs import HEAP, PAGES, RESULTS, Form, Image, reason
from adapter_values import values
from cases import trying
from hypothesis import given
from hypothesis import strategies as st
from wasmtime import component as wc
from wrapped import ENGINE, fuse, plain

import meld
from meld.abi.layout import MAX_FLAT_PARAMS, MAX_FLAT_RESULTS, Layout, Layouts
from meld.abi.traps import Trap
from meld.abi.types import show
from meld.ir import component as c

PASSES = "--passes=link,merge,expose-resources,handle-tables,adapter-wiring,lower-multi-memory,finish"
PARAMS, OUT = 0, 768
"""Where in the memory the core values of parameters stand, 8 bytes each; an address to which the host's result goes."""

P = c.Prim
WORDS = c.ListType(P.STRING)
SIGNATURES: dict[str, tuple[list[Any], Any, Any]] = {
    "strings": ([WORDS], WORDS, ["", "hello", "w€rld"]),
    "char": ([P.CHAR], P.CHAR, "€"),
    "cases": (
        [c.Option(c.Tuple((P.CHAR, P.STRING))), c.Result(P.STRING, c.ListType(P.U32))],
        c.Option(c.Tuple((P.BOOL, P.STRING))),
        (True, "some"),
    ),
    "lists": (
        [c.ListType(c.ListType(c.Tuple((P.U8, P.U32)))), c.ListType(P.CHAR)],
        c.ListType(c.ListType(P.U16)),
        [[1, 2], [], [65535]],
    ),
    "many": ([P.U8] * 15 + [P.CHAR, c.Option(P.STRING)], c.Tuple((P.U64, P.CHAR, WORDS)), (1 << 63, "a", ["b"])),
}
"""Parameters of `call`, its result, which is also what `give` returns, and what the host answers."""


@dataclass(frozen=True)
class Program:
    """A signature between the instance and the host, in both settings."""

    params: Layout
    result: Layout
    sides: tuple[wc.Component, wc.Component]
    answer: Any


def source(params: list[Any], result: Any, encoding: str) -> str:
    layouts = Layouts()
    flat, returned = layouts.tuple_of(params).flat, layouts.of(result).flat
    loads = [f"({t.value}.load (i32.const {PARAMS + 8 * i}))" for i, t in enumerate(flat)]
    cores = [t.value for t in flat]
    if len(flat) > MAX_FLAT_PARAMS:
        loads, cores = [f"(i32.load (i32.const {PARAMS}))"], ["i32"]
    answered, given = "(drop (call $h LOADS))", returned[0].value if len(returned) == 1 else "i32"
    result_of_h = f"(result {given})"
    if len(returned) > MAX_FLAT_RESULTS:
        loads, cores = [*loads, f"(i32.load (i32.const {OUT}))"], [*cores, "i32"]
        answered, result_of_h = "(call $h LOADS)", ""
    declared = " ".join(f'(param "p{i}" {show(t)})' for i, t in enumerate(params))
    h = f"(func $h {declared} (result {show(result)}))"
    options = f'string-encoding={encoding} (memory $mem "memory")'
    return f"""(component
  (import "h" {h})
  (component $honest
    (core module $m (memory 1) (data (i32.const 0) "the secret key")
      (func (export "sum") (result i32) (local $at i32) (local $sum i32)
        (loop $next
          (local.set $sum (i32.add (i32.mul (local.get $sum) (i32.const 31)) (i32.load (local.get $at))))
          (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 4))) (i32.const 65536))))
        (local.get $sum)))
    (core instance $i (instantiate $m))
    (func (export "sum") (result u32) (canon lift (core func $i "sum"))))
  (component $hostile
    (import "h" {h})
    (core module $mem
      (memory (export "memory") {PAGES} {PAGES})
      (global $heap (mut i32) (i32.const {HEAP}))
      (func (export "heap") (param i32) (global.set $heap (local.get 0)))
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
        (local.set $at (global.get $heap))
        (global.set $heap (i32.add (local.get $at)
          (i32.and (i32.add (local.get 3) (i32.const 15)) (i32.const -8))))
        (if (local.get 1)
          (then (memory.copy (local.get $at) (local.get 0)
            (select (local.get 1) (local.get 3) (i32.lt_u (local.get 1) (local.get 3))))))
        (local.get $at)))
    (core instance $mem (instantiate $mem))
    (core func $h' (canon lower (func $h) {options} (realloc (func $mem "realloc"))))
    (core module $m
      (import "" "memory" (memory {PAGES}))
      (import "" "h" (func $h (param {" ".join(cores)}) {result_of_h}))
      (func (export "set") (param i32 i64) (i64.store (local.get 0) (local.get 1)))
      (func (export "get") (param i32) (result i64) (i64.load (local.get 0)))
      (func (export "call") {answered.replace("LOADS", " ".join(loads))})
      (func (export "give") (result {given}) ({given}.load (i32.const {OUT}))))
    (core instance $i (instantiate $m (with "" (instance
      (export "memory" (memory $mem "memory")) (export "h" (func $h'))))))
    (func (export "heap") (param "at" u32) (canon lift (core func $mem "heap")))
    (func (export "set") (param "at" u32) (param "to" u64) (canon lift (core func $i "set")))
    (func (export "get") (param "at" u32) (result u64) (canon lift (core func $i "get")))
    (func (export "call") (canon lift (core func $i "call")))
    (func (export "give") (result {show(result)}) (canon lift (core func $i "give") {options})))
  (instance $b (instantiate $hostile (with "h" (func $h))))
  (instance $a (instantiate $honest))
  (export "heap" (func $b "heap")) (export "set" (func $b "set")) (export "get" (func $b "get"))
  (export "call" (func $b "call")) (export "give" (func $b "give")) (export "sum" (func $a "sum")))"""


@cache
def program(name: str, encoding: str, folder: Path) -> Program:
    params, result, answer = SIGNATURES[name]
    path = folder / f"{name}-{encoding.replace('+', '-')}.wat"
    path.write_text(source(params, result, encoding))
    lowered = fuse([path], path.with_suffix(".wasm"), PASSES).read_bytes()
    sides = wc.Component(ENGINE, meld.encode(meld.load(path))), wc.Component(ENGINE, lowered)
    return Program(Layouts().tuple_of(params), Layouts().of(result), sides, answer)


@dataclass
class Side:
    """One of the two, running; `seen` is what its host was given."""

    answer: Any
    component: wc.Component
    seen: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.store = wasmtime.Store(ENGINE)
        linker = wc.Linker(ENGINE)
        with linker.root() as root:
            root.add_func("h", self.host)
        self.instance = linker.instantiate(self.store, self.component)

    def host(self, _: Any, *given: Any) -> Any:
        self.seen.append(plain(list(given)))
        return self.answer

    def call(self, name: str, *args: Any) -> Any:
        function = self.instance.get_func(self.store, name)
        assert function is not None
        found = plain(function(self.store, *args))
        function.post_return(self.store)
        return found

    def outcome(self, name: str) -> Any:
        """What a call returns, or why it traps."""
        try:
            return self.call(name)
        except (wasmtime.Trap, wasmtime.WasmtimeError) as e:
            return Trapped(reason(e))


@dataclass(frozen=True)
class Trapped:
    """A trap; equal if it is of the same kind."""

    why: str = field(compare=False)

    @property
    def kind(self) -> str:
        """What the engine says between components, or where the host lifts and lowers: two words for each kind."""
        return next((kind for kind, words in KINDS.items() if re.fullmatch(words, self.why)), self.why)


KINDS = {
    "bounds": r"(list|string) (content out-of-bounds|pointer/length out of bounds of memory)"
    r"|realloc return: beyond end of memory|pointer out of bounds( of memory)?|out of bounds memory access",
    "alignment": r"unaligned pointer|((list|return|string) )?pointer (is )?not aligned( to 2)?"
    r"|realloc return: result not aligned",
    "char": r"invalid `char` bit pattern|converted integer out of range for `char`",
    "discriminant": r"invalid variant discriminant|discriminant \d+ out of range \[0\.\.\d+\)"
    r"|invalid (expected|option) discriminant",
    "text": r"invalid utf-?(8|16).*|incomplete utf-8 byte sequence.*|unpaired surrogate found.*",
}

INSIDE = {trap.value for trap in Trap}
"""Traps of the module. Those of the engine, which guards its own side, have other words, but for plain accesses."""

HEAPS = st.sampled_from(
    [HEAP] * 6 + [HEAP + 1, HEAP + 2, HEAP + 4, 0x3FFFC, 0x3FFF8, 0x40000, 0x40008, -64, 0x7FFFFFF8]
)
OUTS = st.sampled_from([512] * 6 + [513, 514, 516, 0x3FFF8, 0x3FFFC, 0x40000, -8, 0x7FFFFFF8])


def run(side: Side, image: Image, heap: int, out: int, name: str, spills: bool) -> tuple[Any, list[Any], list[Any]]:
    """What a call comes to, what the host saw, and what is in memory then, the result of the host among it."""
    for at in range(0, image.free + 8, 8):
        (word,) = struct.unpack_from("<Q", image.bytes, at)
        if word:
            side.call("set", at, word)
    side.call("heap", heap & 0xFFFF_FFFF)
    got = side.outcome(name)
    if isinstance(got, Trapped):
        return got, side.seen, []
    left = [side.call("sum")]
    if name == "call" and spills:
        left.append(side.call("give"))
    if image.form.encoding == "utf8":  # other encodings may be allocated in several ways
        left += [side.call("get", at) for at in range(HEAP, HEAP + 512, 8)]
    return got, side.seen, left


def compare(found: Program, image: Image, heap: int, out: int, name: str) -> None:
    struct.pack_into("<I", image.bytes, OUT, out & 0xFFFF_FFFF)
    spills = len(found.result.flat) > MAX_FLAT_RESULTS
    unfused, lowered = (run(Side(found.answer, one), image, heap, out, name, spills) for one in found.sides)
    if not isinstance(unfused[0], Trapped):
        assert lowered == unfused
        return
    assert isinstance(lowered[0], Trapped)
    # of what is both, the specification and adapters report the alignment; an engine that lifts for the host does not
    both = (lowered[0].kind, unfused[0].kind)
    assert both[0] == both[1] or both == ("alignment", "bounds"), (lowered[0].why, unfused[0].why)
    assert lowered[0].why in INSIDE, f"the host was left to find: {lowered[0].why}"
    assert all(one in unfused[1] for one in lowered[1])


every = pytest.mark.parametrize(
    ("name", "encoding"),
    [*((name, "utf8") for name in SIGNATURES), ("strings", "utf16"), ("cases", "latin1+utf16")],
)
some = trying(0.012)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("host-values")


@every
@some
@given(data=st.data())
def test_calls_of_the_host(name: str, encoding: str, folder: Path, data: st.DataObject) -> None:
    found, image = program(name, encoding, folder), Image(Form(encoding))
    value = tuple(data.draw(values(t, image.form, data.draw(st.booleans()))) for t in SIGNATURES[name][0])
    if len(found.params.flat) > MAX_FLAT_PARAMS:
        at = image.alloc(found.params.size, found.params.align)
        image.store(found.params, value, at)
        at = data.draw(st.sampled_from([at] * 6 + [at + 1, 0x3FFFC, 0x40000, -8]))
        struct.pack_into("<I", image.bytes, PARAMS, at & 0xFFFF_FFFF)
    else:
        for i, core in enumerate(image.flat(found.params, value)):
            image.put(PARAMS + 8 * i, 8, core)
    compare(found, image, data.draw(HEAPS), data.draw(OUTS), "call")


@every
@some
@given(data=st.data())
def test_results_of_exports(name: str, encoding: str, folder: Path, data: st.DataObject) -> None:
    found, image = program(name, encoding, folder), Image(Form(encoding))
    value = data.draw(values(SIGNATURES[name][1], image.form, data.draw(st.booleans())))
    out = RESULTS
    if len(found.result.flat) > MAX_FLAT_RESULTS:
        image.store(found.result, value, RESULTS)
        out = data.draw(st.sampled_from([RESULTS] * 6 + [RESULTS + 1, 0x3FFFC, 0x40000, -8]))
    else:
        (out,) = image.flat(found.result, value)
    compare(found, image, HEAP, out, "give")
