"""`realloc` and `post-return` that the host calls leave their component in no way: the engine's words, fused or not.

Each program has a hostile component whose `realloc` or `post-return` reaches something else: what it calls, and how it
gets to it, are all combined with ``MELD_CASES``; by default each is there, and each pair of neighbours.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from itertools import cycle, product
from pathlib import Path
from typing import Any

import pytest
import wasmtime
from sides import Core
from wrapped import Hosts, Running

import meld

PLACES = ("parameter", "result", "post-return", "parameter inside", "post-return inside")
"""What is called for: a string of a parameter, a string that the host returns, a string that was returned; by the host,
or by an adapter between two components."""

WAYS: dict[str, str] = {
    "direct": "(func $way (call $out))",
    "tail": "(func $way (return_call $out))",
    "element": """(table $t 1 funcref) (elem (table $t) (i32.const 0) func $out)
      (func $way (call_indirect $t (i32.const 0)))""",
    "table.set": """(table $t 1 funcref) (elem declare func $out)
      (func $way (table.set $t (i32.const 0) (ref.func $out)) (call_indirect $t (i32.const 0)))""",
    "global": """(type $way (func)) (elem declare func $out) (global $g (ref $way) (ref.func $out))
      (func $way (call_ref $way (global.get $g)))""",
    "exported table": """(table $t (export "u") 1 funcref) (elem (table $t) (i32.const 0) func $out)
      (func $way (call_indirect $t (i32.const 0)))""",
    "passive": """(table $t 1 funcref) (elem $e func $out)
      (func $way (table.init $t $e (i32.const 0) (i32.const 0) (i32.const 1)) (call_indirect $t (i32.const 0)))""",
}
"""How core code gets to a function `$out` that takes and returns nothing."""

OUTS: dict[str, tuple[str, str, str]] = {
    "other component": ("(canon lower (func $bump))", "", "(call $f)"),
    "host": ("(canon lower (func $hit))", "", "(call $f)"),
    "host with memory": (
        '(canon lower (func $say) (memory $mem "memory"))',
        "(param i32 i32)",
        "(call $f (i32.const 0) (i32.const 2))",
    ),
    "resource.new": ("(canon resource.new $r)", "(param i32) (result i32)", "(drop (call $f (i32.const 7)))"),
    "resource.drop": ("(canon resource.drop $r)", "(param i32)", "(call $f (i32.const 1))"),
    "drop of the host's": ("(canon resource.drop $h)", "(param i32)", "(call $f (i32.const 1))"),
}
"""What is called: its core function, as `$f` of a type, and a call of it."""

HOST = """(import "hit" (func $hit)) (import "say" (func $say (param "s" string)))
      (import "ask" (func $ask (result string)))
      (import "host:x/r" (instance $host (export "h" (type (sub resource))))) (alias export $host "h" (type $h))"""
GIVEN = '(with "hit" (func $hit)) (with "say" (func $say)) (with "ask" (func $ask)) (with "host:x/r" (instance $host))'
AGAIN = """(core module $again (import "" "f" (func $f TYPE)) (export "f" (func $f)))
        (core instance $a (instantiate $again (with "" (instance (export "f" (func $f))))))"""


def program(place: str, way: str, out: str, *, second: bool) -> str:
    """The program; with `second` the function comes by way of another core module that exports it again."""
    canon, type_, call = OUTS[out]
    bad = {each: "(call $way)" if each == place.split()[0] else "" for each in PLACES}
    return f"""(component
      {HOST}
      (component $honest
        (core module $m (global $n (mut i32) (i32.const 0))
          (func (export "bump") (global.set $n (i32.add (global.get $n) (i32.const 1))))
          (func (export "count") (result i32) (global.get $n)))
        (core instance $i (instantiate $m))
        (func (export "bump") (canon lift (core func $i "bump")))
        (func (export "count") (result u32) (canon lift (core func $i "count"))))
      (component $hostile
        {HOST} (import "bump" (func $bump))
        (type $r (resource (rep i32)))
        (core module $mem (memory (export "memory") 1) (table (export "t") 1 funcref)
          (func (export "realloc") (param i32 i32 i32 i32) (result i32)
            (call_indirect (param i32 i32 i32 i32) (result i32)
              (local.get 0) (local.get 1) (local.get 2) (local.get 3) (i32.const 0))))
        (core instance $mem (instantiate $mem))
        (core func $ask' (canon lower (func $ask) (memory $mem "memory") (realloc (func $mem "realloc"))))
        (core func $f {canon})
        {AGAIN.replace("TYPE", type_) if second else ""}
        (core module $m
          (import "" "ask" (func $ask (param i32))) (import "" "f" (func $f {type_}))
          (import "" "t" (table $late 1 funcref))
          (func $out {call}) {WAYS[way]}
          (elem (table $late) (i32.const 0) func $result)
          (func $result (param i32 i32 i32 i32) (result i32) {bad["result"]} (i32.const 2048))
          (func (export "parameter") (param i32 i32 i32 i32) (result i32) {bad["parameter"]} (i32.const 1024))
          (func (export "post") (param i32) {bad["post-return"]})
          (func (export "take") (param i32 i32))
          (func (export "asks") (call $ask (i32.const 512)))
          (func (export "give") (result i32) (i32.const 16)))
        (core instance $i (instantiate $m (with "" (instance
          (export "f" (func {"$a" if second else "$f"}{' "f"' if second else ""}))
          (export "ask" (func $ask')) (export "t" (table $mem "t"))))))
        (func (export "take") (param "s" string)
          (canon lift (core func $i "take") (memory $mem "memory") (realloc (func $i "parameter"))))
        (func (export "asks") (canon lift (core func $i "asks")))
        (func (export "give") (result string)
          (canon lift (core func $i "give") (memory $mem "memory") (post-return (func $i "post")))))
      (instance $o (instantiate $honest))
      (instance $b (instantiate $hostile (with "bump" (func $o "bump")) {GIVEN}))
      (component $caller
        (import "take" (func $take (param "s" string))) (import "give" (func $give (result string)))
        (core module $mem (memory (export "memory") 1)
          (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64)))
        (core instance $mem (instantiate $mem))
        (core func $take' (canon lower (func $take) (memory $mem "memory")))
        (core func $give' (canon lower (func $give) (memory $mem "memory") (realloc (func $mem "realloc"))))
        (core module $m (import "" "take" (func $take (param i32 i32))) (import "" "give" (func $give (param i32)))
          (func (export "takes") (call $take (i32.const 0) (i32.const 1)))
          (func (export "gives") (call $give (i32.const 128))))
        (core instance $i (instantiate $m (with "" (instance
          (export "take" (func $take')) (export "give" (func $give'))))))
        (func (export "takes") (canon lift (core func $i "takes")))
        (func (export "gives") (canon lift (core func $i "gives"))))
      (instance $c (instantiate $caller (with "take" (func $b "take")) (with "give" (func $b "give"))))
      (export "takes" (func $c "takes")) (export "gives" (func $c "gives"))
      (export "take" (func $b "take")) (export "asks" (func $b "asks")) (export "give" (func $b "give"))
      (export "count" (func $o "count")))"""


def cases() -> Iterator[tuple[str, str, str, bool]]:
    """All, or as many as show each pair of a place and a callee, with every way among them."""
    if "MELD_CASES" in os.environ:
        yield from product(PLACES, WAYS, OUTS, (False, True))
        return
    ways = cycle(WAYS)
    for number, (place, out) in enumerate(product(PLACES, OUTS)):
        yield place, next(ways), out, number % 2 == 1


CALLS = {
    "parameter": ("take", "x"),
    "result": ("asks",),
    "post-return": ("give",),
    "parameter inside": ("takes",),
    "post-return inside": ("gives",),
}
KNOWN = ("cannot leave component instance", "cannot enter component instance", "unknown handle index")


def answers(data: bytes, place: str) -> list[Any]:
    """What the call and the next one answer, or why they trap; and which functions of the host were called."""
    called: list[str] = []

    def host(name: str, answer: Any = None) -> Callable[..., Any]:
        def function(*_: Any) -> Any:
            called.append(name)
            return answer

        return function

    hosts: Hosts = {"hit": host("hit"), "say": host("say"), "ask": host("ask", "yes")}
    running = Running(data, hosts, resources={"host:x/r": ["h"]})
    said: list[Any] = []
    for name, *arguments in (CALLS[place], ("count",)):
        function = running.instance.get_func(running.store, name)
        assert function is not None
        try:
            said.append(function(running.store, *arguments))
        except (wasmtime.Trap, wasmtime.WasmtimeError) as e:
            said.append(next((one for one in KNOWN if one in str(e)), str(e)))
    return [*said, called]


@pytest.mark.parametrize(("place", "way", "out", "second"), list(cases()))
def test_as_unfused(place: str, way: str, out: str, second: bool, tmp_path: Path) -> None:
    path = tmp_path / "p.wat"
    path.write_text(program(place, way, out, second=second))
    want = answers(meld.encode(meld.load(path)), place)
    assert want[0] in KNOWN or place == "post-return inside"  # there engines let it leave, and so does what is fused
    for more in ({}, {"passes": "default,lower-multi-memory"}):
        assert answers(meld.encode(meld.compile(path, wrap=True, **more)), place) == want, more


CORE_CALLS: dict[str, tuple[Any, ...]] = {
    "parameter": ("cabi_realloc", 0, 0, 1, 1),
    "post-return": ("cabi_post_give", 16),
    "parameter inside": ("takes",),
}


class Never(dict[tuple[str, str], Any]):
    """Functions of a host that must not be called."""

    def __missing__(self, name: tuple[str, str]) -> Any:
        def function(*_: Any) -> None:
            raise AssertionError(f"{name} was called")

        return function


@pytest.mark.parametrize("out", OUTS)
@pytest.mark.parametrize("place", CORE_CALLS)
def test_core_module(place: str, out: str, tmp_path: Path) -> None:
    """A host that goes by names calls the same functions: they trap in the engine's words, and close the program."""
    path = tmp_path / "p.wat"
    path.write_text(program(place, "direct", out, second=False))
    (tmp_path / "o.wasm").write_bytes(meld.encode(meld.compile(path)))
    core = Core(tmp_path / "o.wasm", Never())
    for call, why in ((CORE_CALLS[place], KNOWN[0]), (("count",), KNOWN[1])):
        with pytest.raises((wasmtime.Trap, wasmtime.WasmtimeError), match=why):
            core.call(*call)
