"""`lower-multi-memory`: intrinsics of the host that get a pointer and a memory's number. See __init__.py.

What is done to the arguments stands in host.wat.
"""

from __future__ import annotations

from typing import Any

from meld.abi.intrinsics import INTRINSICS, MODULE, Intrinsic
from meld.abi.layout import Layouts
from meld.ir import component as c
from meld.ir.module import CoreItem, Function, Memory, Module
from meld.notes.streams import StreamUse
from meld.passes.base import PassContext
from meld.passes.lower_multi_memory.regions import KIND, Region
from meld.rewriting.splice import splice
from meld.rewriting.template import template

WHOLE = 1 << 32
"""More than any region: what a value of unknown size may need."""

BEYOND_OF_STREAM = """\
    ;; What lies in the region is moved; then the host traps if it would move more.
    (if (i64.lt_s (local.get $room) (i64.const 0))
      (then (local.set $room (i64.const 0))))
    (local.set $moved
      (call $host
        (local.get $handle)
        (i32.add (local.get $base) (local.get $ptr))
        (i32.wrap_i64 (local.get $room))
        (i32.const 0)))
    (drop
      (call $host
        (local.get $handle)
        (local.get $ptr)
        (i32.sub
          (local.get $len)
          (select (local.get $moved) (i32.const 0) (i32.gt_s (local.get $moved) (i32.const 0))))
        (i32.const -1)))
    (local.get $moved)"""

BEYOND_OF_FUTURE = "    (call $host (local.get $handle) (local.get $ptr) (i32.const -1))"


def wrap_intrinsics(module: Module, single: Memory, regions: list[Region], cx: PassContext) -> None:
    """Puts a wrapper between the program and each intrinsic that has a `mem` parameter."""
    new: dict[Any, Any] = {}
    for item in list(module.imports):
        if isinstance(item, Function) and item.imported is not None and item.imported.module == MODULE:
            intrinsic = INTRINSICS.get(item.imported.field)
            if intrinsic is not None and intrinsic.mem is not None:
                reach = None if "len" in intrinsic.params else _reach(module, item)
                new[item] = _wrapper(module, item, intrinsic, single, regions, reach)
                if reach == WHOLE:
                    cx.remark(
                        f"nothing declares how large the values are that `{item.name}` moves; an attempt to move one "
                        "traps"
                    )
    wrappers = {id(f) for f in new.values()}
    module.replace_uses(new, unless=lambda item: id(item) in wrappers)


def _wrapper(
    module: Module, host: Function, intrinsic: Intrinsic, single: Memory, regions: list[Region], reach: int | None
) -> Function:
    """A wrapper that checks for `reach` bytes, for as many as the call says if that is None."""
    stream = reach is None
    source = template(
        __package__,
        "host.wat",
        {
            "signature": " ".join(f"(param ${p} i32)" for p in intrinsic.params) + " (result i32)",
            "imports": "\n".join(
                f'  (import "meld" "{what}{r.number}" (global ${what}{r.number} {"(mut i32)" if g.mutable else "i32"}))'
                for r in regions
                for what, g in (("base", r.base), ("size", r.size))
            ),
            "cases": "\n".join(
                f"      (if (i32.eq (local.get $mem) (i32.const {r.number}))\n"
                f"        (then\n"
                f"          (local.set $base (global.get $base{r.number}))\n"
                f"          (local.set $size (global.get $size{r.number}))\n"
                f"          (br $found)))"
                for r in regions
            ),
            "reach": "(i64.extend_i32_u (local.get $len))" if stream else f"(i64.const {reach})",
            "passed": _passed(intrinsic, "0"),
            "passed_nowhere": _passed(intrinsic, "-1"),
            "beyond": BEYOND_OF_STREAM if stream else BEYOND_OF_FUTURE,
        },
    )
    given: dict[str, CoreItem] = {"memory": single, "call": host}
    for r in regions:
        given |= {f"base{r.number}": r.base, f"size{r.number}": r.size}
    bindings = {item: given[item.imported.field] for item in source.imports if item.imported}
    new = splice(source, module, bindings, synthetic=KIND, rename=lambda item: f"{host.name}.region").new
    wrapper = new[source.functions[0]]
    assert isinstance(wrapper, Function)
    return wrapper


def _passed(intrinsic: Intrinsic, mem: str) -> str:
    return " ".join(f"(i32.const {mem})" if p == "mem" else f"(local.get ${p})" for p in intrinsic.params)


def _reach(module: Module, host: Function) -> int:
    """Bytes of the largest value that a future of this caller can have: the intrinsics do not say how large it is."""
    uses = [use for use in module.notes_of(StreamUse) if isinstance(use.type, c.Future)]
    mine = [use for use in uses if use.instance is host.owner] if host.owner is not None else uses
    sizes = [0 if use.type.element is None else Layouts().of(use.type.element).size for use in mine]
    return max(sizes, default=WHOLE)
