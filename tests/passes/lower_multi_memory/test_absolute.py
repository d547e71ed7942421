"""Functions for the bytes of strings: those that take addresses of the single memory, one for all regions."""

from __future__ import annotations

from pathlib import Path

import pytest
from lowering import PAGE, Beside, lower, text
from parties import LOWERED_PASSES
from wrapped import ROOT

import meld
from meld.ir.module import Function, Module
from meld.passes.lower_multi_memory.absolute import absolute_functions
from meld.runtime.host import Host
from meld.runtime.instantiate import Trapped, instantiate
from meld.text.reading.program import parse_module

COPY = """
  (func $copy.{name} (@meld.synthetic transcode)
    (param $at i32) (param $end i32) (param $out i32) (result i32 i32)
    (local $byte i32)
    block $done
      loop $next
        (br_if $done (i32.eq (local.get $at) (local.get $end)))
        (br_if $done (i32.ge_u (local.tee $byte (i32.load8_u ${source} (local.get $at))) (i32.const 128)))
        (i32.store8 ${target} (local.get $out) (local.get $byte))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (local.set $out (i32.add (local.get $out) (i32.const 1)))
        br $next
      end
    end
    (if (i32.lt_u (i32.sub (local.get $end) (local.get $at)) (i32.const 2))
      (then (return (local.get $at) (local.get $out))))
    local.get $at
    local.get $out)
  (func (export "{name}") (param i32 i32 i32) (result i32 i32)
    (call $copy.{name} (local.get 0) (local.get 1) (local.get 2)))
"""
PAIRS = {"ab": ("a", "b"), "ba": ("b", "a"), "ac": ("a", "c"), "ca": ("c", "a"), "cb": ("c", "b"), "aa": ("a", "a")}


def copies(*pairs: str) -> str:
    made = "".join(COPY.format(name=name, source=PAIRS[name][0], target=PAIRS[name][1]) for name in pairs)
    grown = "\n".join(
        f'(func (export "grow{m}") (param i32) (result i32) (memory.grow ${m} (local.get 0)))' for m in "abc"
    )
    return f"""(module
  (memory $a 1) (memory $b 1) (memory $c 1)
  (data (memory $a) (i32.const 65530) "plain\\80")
  (data (memory $b) (i32.const 100) "other\\ffs")
  (data (memory $c) (i32.const 0) "third")
  {grown}
  {made})"""


def transcoders(module: Module) -> list[Function]:
    return [f for f in module.functions if f.synthetic == "transcode"]


@pytest.mark.parametrize("reserve", [256, 0])
def test_one_serves_all_regions(reserve: int) -> None:
    """Also at the ends of regions, and after they have moved."""
    source = copies(*PAIRS)
    module = parse_module(source, "copies.wat")
    lower(module, reserve)
    assert len(transcoders(module)) == 2  # to another memory, and inside of one
    both = Beside(text(source), reserve=reserve)
    for grown in ("growa", "growb", "growa", "growc"):
        assert both("ab", 65530, PAGE, 65000) == [65535, 65005]
        assert both("ba", 100, 107, 200) == [105, 205]
        assert both("ac", 65530, PAGE, 65531) == [65535, PAGE]
        assert both("cb", 0, 5, 7) == [5, 12]
        assert both("aa", 65530, 65534, 3) == [65534, 7]
        assert both("ca", 65531, PAGE, 0) == [PAGE, 5]
        both.same_state()
        both(grown, 1)


NOT_INVARIANT = {
    "compared with a number": "(if (i32.lt_u (local.get $at) (i32.const 9)) (then (return (i32.const 0))))",
    "compared as signed": "(drop (i32.lt_s (local.get $at) (local.get $end)))",
    "aligned": "(drop (i32.load $a (i32.and (local.get $at) (i32.const -4))))",
    "doubled": "(drop (i32.load $a (i32.add (local.get $at) (local.get $at))))",
    "stored": "(i32.store $b (local.get $end) (local.get $at))",
    "read before it is set": "(drop (i32.load8_u $a (local.get $other))) (local.set $other (local.get $at))",
    "set on one path": """(if (local.get $n) (then (local.set $other (local.get $at))))
      (drop (i32.load8_u $a (local.get $other)))""",
    "of two memories": "(drop (i32.load8_u $b (local.get $at)))",
    "measured": "(drop (i32.gt_u (local.get $at) (memory.size $a)))",
    "a call": "(call $elsewhere)",
    "a result of a block": "(drop (block (result i32) (local.get $at)))",
}
INVARIANT = {
    "a difference": "(drop (i32.lt_s (i32.sub (local.get $end) (local.get $at)) (i32.const 9)))",
    "the other end": "(drop (i32.load $a (i32.sub (local.get $end) (i32.const 4))))",
    "a choice": "(drop (i32.load $a (select (local.get $at) (local.get $end) (local.get $n))))",
    "a copy of it": "(local.set $other (local.get $at)) (drop (i32.load8_u $a (local.get $other)))",
    "behind a trap": "(if (local.get $n) (then (call $trap) (unreachable) (drop (i32.load $a))))",
    "a tail": "(block (br 0) (drop (i32.load $a (i32.and (local.get $at) (i32.const 1)))))",
}


def one(what: str) -> Module:
    return parse_module(
        f"""(module
  (memory $a 1) (memory $b 1)
  (func $elsewhere)
  (func $trap (@meld.synthetic trap) unreachable)
  (func $f (@meld.synthetic transcode) (param $at i32) (param $end i32) (param $n i32) (result i32)
    (local $other i32)
    {what}
    (i32.load8_u $a (local.get $at)))
  (func (export "f") (param i32 i32 i32) (result i32) (call $f (local.get 0) (local.get 1) (local.get 2))))""",
        "one.wat",
    )


@pytest.mark.parametrize("what", NOT_INVARIANT)
def test_not_invariant(what: str) -> None:
    module = one(NOT_INVARIANT[what])
    assert not absolute_functions(module)
    (f,) = transcoders(module)
    lower(module)
    assert transcoders(module) == [f] and any(i.op == "i32.load8_u" for i in f.instructions)


@pytest.mark.parametrize("what", INVARIANT)
def test_invariant(what: str) -> None:
    module = one(INVARIANT[what])
    (made,) = absolute_functions(module).values()
    assert [memory and memory.name for memory in made.params] == ["a", made.params[1] and "a", None]


@pytest.mark.parametrize(
    "use",
    [
        '(export "g" (func $f))',
        "(elem declare func $f) (func (drop (ref.func $f)))",
        "(table 1 funcref) (elem (i32.const 0) $f)",
    ],
)
def test_what_others_may_call_keeps_its_addresses(use: str) -> None:
    source = meld.print_text(one("")).rstrip().removesuffix(")")
    assert not absolute_functions(parse_module(f"{source}{use})", "used.wat"))


def test_the_example_has_one_of_each() -> None:
    """Two components that exchange strings with each other and with the host: four pairs of memories."""
    inputs = [ROOT / f"examples/greet/{name}.wat" for name in ("crowd", "greeter")]
    for passes, count in (("merge,host-memory,adapter-wiring,finish", 3), (LOWERED_PASSES, 1)):
        names = [f.name or "" for f in transcoders(meld.compile(inputs, passes=passes))]
        assert sum(name.startswith("adapter.decode_utf16") for name in names) == count


@pytest.mark.parametrize("kind", ["transcode", "memory-region", "async"])
def test_an_input_is_not_trusted(kind: str, tmp_path: Path) -> None:
    """A note of an input that its function is the compiler's is dropped: its accesses are checked."""
    reader = f"""(component $reader (core module $m (memory 1)
        (func $f (@meld.synthetic {kind}) (param $at i32) (result i32) (i32.load8_u (local.get $at)))
        (func (export "f") (param i32) (result i32) (call $f (local.get 0))))
      (core instance $i (instantiate $m))
      (func (export "f") (param "at" u32) (result u8) (canon lift (core func $i "f"))))"""
    other = """(component $other (core module $m (memory 1) (data (i32.const 0) "secret")
        (func (export "g") (result i32) (i32.add (i32.load8_u (i32.const 0)) (memory.grow (i32.const 0)))))
      (core instance $i (instantiate $m)) (func (export "g") (result u8) (canon lift (core func $i "g"))))"""
    for name, source in (("reader", reader), ("other", other)):
        (tmp_path / f"{name}.wat").write_text(source)
    module = meld.compile([tmp_path / "reader.wat", tmp_path / "other.wat"], passes=LOWERED_PASSES)
    assert len(module.memories) == 1
    running = instantiate(meld.encode(module), Host())
    assert running.call("f", PAGE - 1) == 0
    for at in range(PAGE - 8 * PAGE, 8 * PAGE, PAGE):
        if not 0 <= at < PAGE:
            with pytest.raises(Trapped):
                running.call("f", at)
