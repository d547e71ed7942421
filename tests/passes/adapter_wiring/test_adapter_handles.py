"""Handles inside values of any type: unfused under the engine, with boundaries interpreted, and fused.

A component makes the resources: the callee itself, or a third one. Caller and callee have some handles before the call;
the values hold numbers that are handles of theirs or none, a handle twice or owned and borrowed at once. The callee
drops as many of the handles it was given as the test says, so what it keeps of a borrow is seen too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import wasmtime
from adapter_pairs import (
    Form,
    Fused,
    Image,
    Named,
    Outcome,
    Pair,
    Unfused,
    callee_module,
    caller_module,
    drive,
    images,
    memory_module,
)
from adapter_values import HELD, accepted, cases_of, compound, forms, values
from cases import trying
from hypothesis import assume, given
from hypothesis import strategies as st

import meld
from meld.files import decode
from meld.ir import component as c
from tests.runtime.test_interpreter import Interpreted, quiet, shared_engine, stages

OWN, BORROW = c.Own("r"), c.Borrow("r")
DROPS = 768
"""Address of what the callee drops: how many, and the first index."""

plain = [c.Prim.STRING, c.Prim.U8, c.Prim.U64]
given_types = st.recursive(st.sampled_from([OWN, BORROW, OWN, BORROW, OWN, BORROW, *plain]), compound, max_leaves=6)
returned_types = st.recursive(st.sampled_from([OWN, OWN, OWN, *plain]), compound, max_leaves=5)
some_types = st.lists(given_types, min_size=1, max_size=4)


def handles_in(t: Any, value: Any, kind: Any) -> int:
    """How many handles of a kind a value holds; of a value that is none, 0."""
    match t, value:
        case (c.Own() | c.Borrow(), _):
            return int(t == kind)
        case (c.ListType(element), list()):
            return sum(handles_in(element, x, kind) for x in value)
        case (c.MapType(key, item), list()):
            return sum(handles_in(key, k, kind) + handles_in(item, v, kind) for k, v in value)
        case (c.Record(fields), tuple()):
            return sum(handles_in(x, v, kind) for (_, x), v in zip(fields, value, strict=True))
        case (c.Tuple(elements), tuple()):
            return sum(handles_in(x, v, kind) for x, v in zip(elements, value, strict=True))
        case (c.Variant() | c.Option() | c.Result(), (int(case), payload)) if case < len(cases_of(t)):
            inner = cases_of(t)[case]
            return 0 if inner is None else handles_in(inner, payload, kind)
    return 0


@dataclass
class HandlePair(Pair):
    """A pair whose types may hold handles of one resource. `inside`: the callee defines it."""

    inside: bool = False

    def component(self, *, fixed_lists: bool = False) -> str:
        names = Named(fixed_lists)
        params = "".join(f' (param "{n}" {names.of(t)})' for n, t in self.type.params)
        result = "" if self.type.result is None else f" (result {names.of(self.type.result)})"
        host = (
            ("poke", '(param "at" u32) (param "value" u64)'),
            ("peek", '(param "at" u32) (result u64)'),
            ("digest", "(result u64)"),
            ("fill", '(param "count" u32)'),
        )
        withs = "".join(f'(with "n{i}" (type $callee "n{i}"))' for i in names.named())

        def common(form: Form) -> str:
            lifts = (f'(func (export "{n}") {t} (canon lift (core func ${w} "{n}")))' for n, t, w in _where(host))
            return f"""(core module $mem {memory_module(form)[7:]}
    (core instance $mem (instantiate $mem))
    (alias core export $mem "memory" (core memory $memory))
    (alias core export $mem "realloc" (core func $realloc))
    (core func $drop (canon resource.drop $r))
    (core module $hand
      (import "" "make" (func $make (param i32) (result i32)))
      (func (export "fill") (param i32)
        loop $next
          (drop (call $make (i32.add (local.get 0) (i32.const 100))))
          (br_if $next (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))
        end))
    (core instance $hand (instantiate $hand (with "" (instance (export "make" (func $make))))))
    {"".join(lifts)}"""

        def options(form: Form) -> str:
            return f"string-encoding={form.encoding} (memory $memory) (realloc $realloc)"

        definition = """(core module $end (global $sum (mut i64) (i64.const 0))
      (func (export "dtor") (param i32)
        (global.set $sum (i64.add (i64.mul (global.get $sum) (i64.const 31)) (i64.extend_i32_u (local.get 0)))))
      (func (export "ended") (result i64) (global.get $sum)))
    (core instance $end (instantiate $end))
    (type $resource (resource (rep i32) (dtor (core func $end "dtor"))))
    (export $r "r" (type $resource))
    (core func $make (canon resource.new $resource))
    (func (export "make") (param "rep" u32) (result (own $r)) (canon lift (core func $make)))
    (func (export "ended") (result u64) (canon lift (core func $end "ended")))"""
        import_ = """(import "r" (type $r (sub resource)))
    (import "make" (func $m (param "rep" u32) (result (own $r))))
    (core func $make (canon lower (func $m)))"""
        maker = "callee" if self.inside else "maker"
        with_ = f'(with "r" (type ${maker} "r")) (with "make" (func ${maker} "make"))'
        dropping = callee_module(self.lift, self.callee, '(import "" "drops" (func $drops))', "call $drops")[7:]
        exports = (f'(export "{s}-{n}" (func ${s} "{n}"))' for s in ("caller", "callee") for n, _ in host)
        return f"""(component $pair
  {"" if self.inside else f"(component $maker {definition}) (instance $maker (instantiate $maker))"}
  (component $callee
    {definition if self.inside else import_}
    {common(self.callee)}
    (core module $drops
      (import "" "drop" (func $drop (param i32)))
      (import "own" "memory" (memory 4))
      (func (export "drops") (local $n i32)
        loop $next
          (i32.gt_u (i32.load (i32.const {DROPS})) (local.get $n))
          if
            (call $drop (i32.add (local.get $n) (i32.load (i32.const {DROPS + 8}))))
            (local.set $n (i32.add (local.get $n) (i32.const 1)))
            br $next
          end
        end))
    (core instance $drops (instantiate $drops
      (with "own" (instance $mem)) (with "" (instance (export "drop" (func $drop))))))
    {names.text(export=True)}
    (type $f (func{params}{result}))
    (core module $m {dropping}
    (core instance $i (instantiate $m (with "own" (instance $mem)) (with "" (instance $drops))))
    (func (export "f") (type $f) (canon lift (core func $i "f") {options(self.callee)})))
  (instance $callee (instantiate $callee {"" if self.inside else with_}))
  (component $caller
    {import_}
    {names.text(export=False)}
    (type $f (func{params}{result}))
    (import "f" (func $f (type $f)))
    {common(self.caller)}
    (core func $lowered (canon lower (func $f) {options(self.caller)}))
    (core module $m {caller_module(self.lower, self.caller)[7:]}
    (core instance $i (instantiate $m (with "own" (instance $mem))
      (with "callee" (instance (export "f" (func $lowered))))))
    (func (export "run") (canon lift (core func $i "run"))))
  (instance $caller (instantiate $caller {with_} (with "f" (func $callee "f")) {withs}))
  {" ".join(exports)}
  (export "run" (func $caller "run"))
  (export "ended" (func ${maker} "ended")))"""


def _where(host: tuple[tuple[str, str], ...]) -> list[tuple[str, str, str]]:
    return [(name, type_, "hand" if name == "fill" else "mem") for name, type_ in host]


def drive_with_handles(f: Any, caller: Image, callee: Image) -> Outcome:
    """Both sides get handles, then the call is made; what was destroyed counts too."""
    for side in ("caller", "callee"):
        f(f"{side}-fill")(HELD)
    outcome = drive(f, caller, callee)
    return outcome if outcome.trap else Outcome(False, (*outcome.digests, f("ended")()))


CALLS = 5


@trying(0.2, CALLS)
@given(
    st.lists(given_types, min_size=1, max_size=4), st.none() | returned_types, forms, forms, st.booleans(), st.data()
)
def test_handles(params: list[Any], result: Any, up: Form, down: Form, inside: bool, data: st.DataObject) -> None:
    t = c.CompFuncType(tuple((f"p{i}", x) for i, x in enumerate(params)), result)
    assume(accepted(t))
    pair = HandlePair(t, up, down, inside=inside)
    unfused = Unfused(shared_engine(), pair)
    merged, final = stages(decode(bytes(wasmtime.wat2wasm(pair.component(fixed_lists=True))), "pair"), "merge")
    interpreted, fused = Interpreted(merged), Fused(shared_engine(), meld.encode(final))
    for number in range(CALLS):
        wild = number == CALLS - 1
        arguments = tuple(quiet(x, data.draw(values(x, up, wild))) for x in params)
        returned = None if result is None else quiet(result, data.draw(values(result, down, wild)))
        caller, callee = images(pair, arguments, returned)
        taken = sum(
            handles_in(x, value, kind)
            for x, value in zip(params, arguments, strict=True)
            for kind in ((OWN,) if inside else (OWN, BORROW))
        )
        callee.put(DROPS, 8, data.draw(st.sampled_from([taken, taken, taken, taken, 0, taken - 1, taken + 1])) % 32)
        callee.put(DROPS + 8, 8, HELD + 1)
        want = unfused.run(caller, callee, drive_with_handles)
        for other in (interpreted, fused):
            got = other.run(caller, callee, drive_with_handles)
            assert got == want, f"{unfused.text}\n{arguments} -> {returned}\n{want.detail}\n{got.detail}"
